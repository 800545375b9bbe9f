/* api.c - what all endpoints share: per-loop scratch, methods, sending. */
#include "geocode/api/api.h"

#include <sextant/mem.h>
#include <sextant/service.h>

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

sx_status geo_api_new(const geo_index *index, geo_api **out, sx_error *err)
{
    geo_api *api = sx_calloc(1, sizeof(*api));
    if (!api)
        return sx_fail_memory(err, "the geocoder's API");
    api->index = index;
    list_filters(api);
    *out = api;
    return SX_OK;
}

void geo_api_free(geo_api *api)
{
    sx_free(api);
}

sx_status geo_scratch_new(geo_scratch **out, sx_error *err)
{
    geo_scratch *s = sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "a geocoder's loop");
    s->searcher = geo_searcher_new(err);
    if (!s->searcher) {
        sx_free(s);
        return SX_ENOMEM;
    }
    *out = s;
    return SX_OK;
}

void geo_scratch_free(geo_scratch *s)
{
    if (!s)
        return;
    geo_searcher_free(s->searcher);
    sx_buf_done(&s->body);
    sx_free(s);
}

geo_scratch *geo_api_scratch(const sx_request *r)
{
    geo_scratch *s = sx_request_loop_context(r);
    sx_buf_clear(&s->body);
    return s;
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
