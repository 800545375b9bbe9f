/* fuzz_geocode_query.c - any text as a query: results are sound, asking twice gives the same, and what
 * explains a result adds up to its score. The first two bytes choose the options: the second, what is
 * done beyond Addok's search. */
#include <sextant/base.h>

#include <math.h>

#include "geocode/search/explain.h"
#include "small_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const geo_index *ix, const geo_results *r, uint32_t limit)
{
    char text[GEO_LABEL_BYTES_MAX];
    sx_assert(r->count <= limit);
    for (uint32_t i = 0; i < r->count; i++) {
        sx_assert(r->items[i].score >= 0.1 && r->items[i].score <= 1);
        sx_assert(i == 0 || r->items[i - 1].score >= r->items[i].score);
        sx_assert(geo_result_label(ix, &r->items[i], text).len > 0);
    }
}

static void check_explained(const geo_index *ix, geo_searcher *s, const geo_query *q,
                            const geo_results *r)
{
    static geo_explanation x;
    sx_error err = {0};
    for (uint32_t i = 0; i < r->count; i++) {
        double sum = 0;
        sx_assert(geo_explain_result(ix, s, q, &r->items[i], &x, &err) == SX_OK);
        for (uint32_t k = 0; k < x.part_count; k++)
            sum += x.parts[k].points;
        sx_assert(fabs(sum - r->items[i].score) < 1e-9);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static geo_index *ix;
    static geo_searcher *s;
    static geo_results first, second;
    sx_error err = {0};
    if (!ix) {
        const sx_buf *bytes = small_index_bytes();
        sx_assert(geo_index_open_memory(bytes->data, bytes->len, &ix, &err) == SX_OK);
        s = geo_searcher_new(&err);
        sx_assert(s);
    }
    if (size < 2)
        return 0;
    const geo_filter filter = {SX_STR("postcode"), SX_STR("75002")};
    geo_query q = {.text = sx_str_of(data + 2, size - 2),
                   .limit = 1 + (data[0] >> 3),
                   .autocomplete = data[0] & 1,
                   .has_point = data[0] & 2,
                   .lat = 48.8,
                   .lon = 2.3,
                   .filters = &filter,
                   .filter_count = data[0] & 4 ? 1 : 0,
                   .better = data[1]};
    sx_status status = geo_search(ix, s, &q, &first, &err);
    sx_assert(status == SX_OK || (status == SX_ELIMIT && err.message[0]));
    if (status != SX_OK)
        return 0;
    check(ix, &first, q.limit);
    sx_assert(geo_search(ix, s, &q, &second, &err) == SX_OK);
    sx_assert(first.count == second.count);
    for (uint32_t i = 0; i < first.count; i++)
        sx_assert(first.items[i].doc == second.items[i].doc);
    check_explained(ix, s, &q, &second);
    return 0;
}
