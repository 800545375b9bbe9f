/* fuzz_photon_params.c - the parameters of Photon's endpoints: the first byte chooses one, the rest is the
 * query. What is taken is within its bounds, and taken the same way once more; a refusal says why. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "geocode/photon/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const photon_query *q)
{
    sx_assert(q->limit >= 1 && q->limit <= PHOTON_LIMIT_MAX);
    sx_assert(q->zoom >= 0 && q->zoom <= 18 && q->bias >= 0 && q->bias <= 1);
    sx_assert(q->radius_km > 0 && q->radius_km <= 5000);
    sx_assert(!q->has_point || (fabs(q->at.lat) <= 90 && fabs(q->at.lon) <= 180));
    const photon_wanted *w = &q->wanted;
    sx_assert(w->tag_count <= PHOTON_FILTERS_MAX && w->category_count <= PHOTON_FILTERS_MAX);
    sx_assert(!w->has_box ||
              (w->box.lon_min <= w->box.lon_max && w->box.lat_min <= w->box.lat_max));
    for (uint32_t i = 0; i < w->tag_count; i++)
        sx_assert(w->tags[i].key.len || w->tags[i].value.len);
    for (uint32_t i = 0; i < w->category_count; i++)
        sx_assert(photon_categories_valid(w->categories[i].list));
    /* A tag that is its own filter's is wanted by it. */
    for (uint32_t i = 0; i < w->tag_count; i++) {
        const photon_wanted alone = {.tags = &w->tags[i], .tag_count = 1};
        bool wanted = photon_tag_wanted(&alone, w->tags[i].key, w->tags[i].value);
        sx_assert(wanted == (w->tags[i].kind == PHOTON_TAG_WANTED));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    sx_arena arena;
    photon_query q, again;
    sx_str message, same;
    sx_str query = sx_str_of(data + 1, size - 1);
    photon_endpoint endpoint = (photon_endpoint)(data[0] % PHOTON_ENDPOINTS);
    sx_arena_init(&arena, 0, 0);
    sx_status status = photon_params_read(&arena, query, endpoint, &q, &message);
    if (status == SX_OK)
        check(&q);
    else
        sx_assert(status == SX_EINVAL && message.len > 0);
    sx_assert(photon_params_read(&arena, query, endpoint, &again, &same) == status);
    sx_assert(status == SX_OK ? again.limit == q.limit && sx_str_eq(again.q, q.q)
                              : sx_str_eq(message, same));
    sx_arena_done(&arena);
    return 0;
}
