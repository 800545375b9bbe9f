/* api.c - what all endpoints share: per-loop scratch, methods, sending. */
#include "geocode/api/api.h"

#include <sextant/mem.h>
#include <sextant/service.h>

#include "geocode/api/refusal.h"
#include "geocode/api/scratch.h"

/* Usual questions of Nominatim's API stay within one chunk, which is kept. */
enum { ARENA_BYTES = 512 << 10 };

sx_status geo_scratch_new(geo_api *api, geo_scratch **out, sx_error *err)
{
    geo_scratch *s = sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "a geocoder's loop");
    s->searcher = geo_searcher_new(err);
    s->nominatim = s->searcher ? nom_searcher_new(err) : NULL;
    if (!s->nominatim) {
        geo_searcher_free(s->searcher);
        sx_free(s);
        return SX_ENOMEM;
    }
    sx_buf_init(&s->key, 0);
    sx_buf_init(&s->body, 0);
    sx_arena_init(&s->arena, ARENA_BYTES, api->nominatim_bytes_max);
    s->api = api;
    s->now = geo_live_follow(api->live, NULL);
    *out = s;
    return SX_OK;
}

void geo_scratch_free(geo_scratch *s)
{
    if (!s)
        return;
    geo_snapshot_unref(s->now);
    geo_searcher_free(s->searcher);
    nom_searcher_free(s->nominatim);
    sx_buf_done(&s->key);
    sx_buf_done(&s->body);
    sx_arena_done(&s->arena);
    sx_free(s);
}

void geo_scratch_follow(geo_scratch *s)
{
    s->now = geo_live_follow(s->api->live, s->now);
}

geo_scratch *geo_api_scratch(const sx_request *r, geo_endpoint endpoint)
{
    geo_scratch *s = sx_request_loop_context(r);
    geo_scratch_follow(s);
    s->endpoint = endpoint;
    sx_buf_clear(&s->body);
    return s;
}

void geo_api_count(sx_request *r, int status)
{
    const geo_scratch *s = sx_request_loop_context(r);
    geo_stats_count(&s->api->stats, r, s->endpoint, status);
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
    geo_api_count(r, 200);
    sx_reply(r, 200, SX_STR("application/json"), SX_STR(""));
    return true;
}

void geo_api_send(sx_request *r, sx_str body, const sx_coded_store *store)
{
    geo_allow_any_origin(r);
    geo_api_count(r, 200);
    sx_reply_coded(r, 200, SX_STR("application/json; charset=utf-8"), body, store);
}

void geo_api_send_body(sx_request *r, const geo_scratch *s)
{
    if (s->body.failed)
        geo_refuse_status(r, 500);
    else
        geo_api_send(r, sx_buf_view(&s->body), NULL);
}

void geo_api_health(sx_request *r, void *ctx)
{
    (void)ctx;
    (void)geo_api_scratch(r, GEO_ENDPOINT_health);
    if (!geo_api_other_method(r))
        geo_api_send(r, SX_STR("{\"status\": \"HEALTHY\"}"), NULL);
}

void geo_api_not_found(sx_request *r, void *ctx)
{
    (void)ctx;
    (void)geo_api_scratch(r, GEO_ENDPOINT_other);
    geo_refuse_status(r, 404);
}
