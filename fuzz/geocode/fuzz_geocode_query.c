/* fuzz_geocode_query.c - any text as a query: results are sound, and asking twice gives the same.
 * The first byte chooses the options. */
#include <sextant/base.h>

#include "geocode/search/search.h"
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
    if (size == 0)
        return 0;
    const geo_filter filter = {SX_STR("postcode"), SX_STR("75002")};
    geo_query q = {.text = sx_str_of(data + 1, size - 1),
                   .limit = 1 + (data[0] >> 3),
                   .autocomplete = data[0] & 1,
                   .has_point = data[0] & 2,
                   .lat = 48.8,
                   .lon = 2.3,
                   .filters = &filter,
                   .filter_count = data[0] & 4 ? 1 : 0};
    sx_status status = geo_search(ix, s, &q, &first, &err);
    sx_assert(status == SX_OK || (status == SX_ELIMIT && err.message[0]));
    if (status != SX_OK)
        return 0;
    check(ix, &first, q.limit);
    sx_assert(geo_search(ix, s, &q, &second, &err) == SX_OK);
    sx_assert(first.count == second.count);
    for (uint32_t i = 0; i < first.count; i++)
        sx_assert(first.items[i].doc == second.items[i].doc);
    return 0;
}
