/* fuzz_geocode_params.c - whatever stands in a query string is read within its bounds, or refused with
 * words that name a parameter; what is read is valid UTF-8. */
#include <math.h>

#include <sextant/utf8.h>

#include "geocode/api/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const geo_params *p, const geo_params_rules *rules)
{
    sx_assert(sx_utf8_valid(p->q));
    sx_assert(!p->has_lat || fabs(p->lat) <= 90);
    sx_assert(!p->has_lon || fabs(p->lon) <= 180);
    sx_assert(!rules->limit_most || (p->limit >= 0 && p->limit <= rules->limit_most));
    sx_assert(rules->point_required ? p->has_lat && p->has_lon : p->has_q);
    for (size_t i = 0; rules->filters[i]; i++) {
        sx_assert(p->filters[i].count <= GEO_FILTER_VALUES_MAX);
        for (size_t k = 0; k < p->filters[i].count; k++)
            sx_assert(sx_utf8_valid(p->filters[i].values[k]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const FILTERS[] = {"type", "citycode", "postcode", NULL};
    static const geo_params_rules RULES[] = {{FILTERS, 100, false}, {FILTERS, 0, true}};
    for (size_t i = 0; i < SX_COUNT_OF(RULES); i++) {
        sx_arena arena;
        geo_params params;
        geo_refusal refusal = {0};
        sx_arena_init(&arena, 0, 0);
        sx_status status =
            geo_params_read(&arena, sx_str_of(data, size), &RULES[i], &params, &refusal);
        if (status == SX_OK)
            check(&params, &RULES[i]);
        else
            sx_assert(status == SX_EINVAL && refusal.status == 400 && refusal.title.len &&
                      sx_str_find_byte(refusal.description, '"') < refusal.description.len);
        sx_arena_done(&arena);
    }
    return 0;
}
