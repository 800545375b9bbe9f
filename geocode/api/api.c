/* api.c - what all endpoints share: per-loop scratch, methods, sending. */
#include "geocode/api/api.h"

#include <sextant/mem.h>

#include "geocode/api/refusal.h"
#include "geocode/api/scratch.h"

/* Addok names the filters of an answer in the order of its configuration; the Base Adresse Nationale's
 * is this one. Filters that only the index knows come after. */
static const char *const USUAL_ORDER[] = {"type", "citycode", "postcode"};

static bool index_has_filter(const geo_index *index, const char *name)
{
    sx_str key;
    for (uint32_t i = 0; (key = geo_index_filter_key(index, i)).len; i++) {
        if (sx_str_eq(key, sx_str_z(name)))
            return true;
    }
    return false;
}

static void list_filters(geo_api *api)
{
    size_t count = 0;
    for (size_t i = 0; i < SX_COUNT_OF(USUAL_ORDER); i++) {
        if (index_has_filter(api->index, USUAL_ORDER[i]))
            api->filters[count++] = USUAL_ORDER[i];
    }
    api->filters[count] = NULL;
}

sx_status geo_api_new(const geo_index *index, unsigned loops, geo_api **out, sx_error *err)
{
    geo_api *api = sx_calloc(1, sizeof(*api));
    geo_scratch *scratch = sx_calloc(loops, sizeof(*scratch));
    if (!api || !scratch) {
        sx_free(api);
        sx_free(scratch);
        return sx_fail_memory(err, "the geocoder's loops");
    }
    api->index = index;
    api->loops = scratch;
    api->loop_count = loops;
    list_filters(api);
    for (unsigned i = 0; i < loops; i++) {
        scratch[i].searcher = geo_searcher_new(err);
        if (!scratch[i].searcher) {
            geo_api_free(api);
            return SX_ENOMEM;
        }
    }
    *out = api;
    return SX_OK;
}

void geo_api_free(geo_api *api)
{
    for (unsigned i = 0; api && i < api->loop_count; i++) {
        geo_searcher_free(api->loops[i].searcher);
        sx_buf_done(&api->loops[i].body);
    }
    if (api)
        sx_free(api->loops);
    sx_free(api);
}

geo_scratch *geo_api_scratch(geo_api *api, const sx_request *r)
{
    unsigned i = sx_loop_index(r->loop);
    sx_assert(i < api->loop_count);
    sx_buf_clear(&api->loops[i].body);
    return &api->loops[i];
}

bool geo_api_other_method(sx_request *r)
{
    if (r->method == SX_GET)
        return false;
    if (r->method != SX_OPTIONS) {
        geo_refuse_method(r, SX_STR("GET, OPTIONS"));
        return true;
    }
    geo_allow_any_origin(r);
    sx_reply_header(r, SX_STR("Allow"), SX_STR("GET"));
    sx_reply(r, 200, SX_STR("application/json"), SX_STR(""));
    return true;
}

void geo_api_send(sx_request *r, const sx_buf *body)
{
    if (body->failed) {
        geo_refuse_status(r, 500);
        return;
    }
    geo_allow_any_origin(r);
    sx_reply(r, 200, SX_STR("application/json; charset=utf-8"), sx_buf_view(body));
}

void geo_api_health(sx_request *r, void *ctx)
{
    (void)ctx;
    if (geo_api_other_method(r))
        return;
    geo_allow_any_origin(r);
    sx_reply(r, 200, SX_STR("application/json; charset=utf-8"),
             SX_STR("{\"status\": \"HEALTHY\"}"));
}

void geo_api_not_found(sx_request *r, void *ctx)
{
    (void)ctx;
    geo_refuse_status(r, 404);
}
