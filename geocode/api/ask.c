/* ask.c - see ask.h. */
#include "geocode/api/ask.h"

#include <string.h>

#include "geocode/api/refusal.h"

/* A question that waits for a tier; in the request's arena, the question behind it. */
typedef struct parked {
    geo_ask *ask;
    sx_request *r;    /* held */
    geo_snapshot *on; /* held */
    const char *tier; /* where the answer is, if it is there; static */
} parked;

/* ---- sending ---- */

static void make_key(const geo_ask *ask, geo_scratch *s)
{
    sx_buf_clear(&s->key);
    ask->kind->key(ask, &s->key);
}

/* Where the compressed forms of one answer are. */
typedef struct coded {
    const geo_ask *ask;
    geo_scratch *s;
    sx_cache_view view; /* held while it is being sent */
} coded;

static bool find_coded(void *ctx, sx_str coding, sx_str *body)
{
    coded *c = ctx;
    make_key(c->ask, c->s);
    sx_buf_str(&c->s->key, coding);
    if (c->s->key.failed ||
        !geo_cache_find_coded(c->s->api->cache, sx_buf_view(&c->s->key), &c->view))
        return false;
    *body = c->view.value;
    return true;
}

/* Follows find_coded, which has made the key. */
static void keep_coded(void *ctx, sx_str coding, sx_str body)
{
    coded *c = ctx;
    (void)coding;
    if (!c->s->key.failed)
        geo_cache_keep_coded(c->s->api->cache, sx_buf_view(&c->s->key), body);
}

/* `from` says where the answer was: "memory", "redis", or "none" if it was computed. */
static void send_value(const geo_ask *ask, sx_request *r, geo_scratch *s, sx_str value,
                       const char *from)
{
    geo_cached answer;
    if (!geo_cached_read(value, &answer)) {
        geo_refuse_status(r, 500);
        return;
    }
    SX_SPAN_SET(sx_request_span(r), sx_field_u64("geocode.results", answer.results),
                sx_field_double("geocode.top_score", answer.top_score),
                sx_field_z("geocode.cache.tier", from));
    coded place = {.ask = ask, .s = s};
    sx_coded_store store = {find_coded, keep_coded, &place};
    ask->kind->send(ask, r, answer.body, s->api->cache && ask->keep ? &store : NULL);
    sx_cache_release(&place.view);
}

/* Computes, keeps what was computed if that is our duty, and sends it. */
static void answer_anew(const geo_ask *ask, sx_request *r, geo_scratch *s, sx_cache_token duty)
{
    sx_error err = {0};
    geo_cache *cache = s->api->cache;
    sx_status status = ask->kind->compute(ask, r, s, &err);
    if (status != SX_OK) {
        if (cache)
            geo_cache_give_up(cache, duty);
        ask->kind->refuse(ask, r, &err);
        return;
    }
    if (cache)
        geo_cache_fill(cache, duty, &s->body, ask->kind->always_sure);
    if (s->body.failed)
        geo_refuse_status(r, 500);
    else
        send_value(ask, r, s, sx_buf_view(&s->body), "none");
}

/* ---- the cache ---- */

/* On the request's loop, once the tiers have said what they have. */
static void on_tiers(void *ctx, sx_cache_result result, sx_cache_view *view)
{
    parked *p = ctx;
    sx_request *r = p->r;
    geo_snapshot *on = p->on;
    geo_scratch *s = geo_api_scratch(r, p->ask->endpoint);
    const sx_context *outer = sx_context_enter(sx_request_context(r));
    if (result == SX_CACHE_HIT || result == SX_CACHE_STALE)
        send_value(p->ask, r, s, view->value, p->tier);
    else
        answer_anew(p->ask, r, s, view->token);
    sx_context_leave(outer);
    sx_cache_release(view);
    sx_request_release(r); /* *p is gone */
    geo_snapshot_unref(on);
}

/* The question was on the handler's stack. */
static void park(parked *p, const geo_ask *ask, sx_request *r, geo_scratch *s)
{
    p->ask = (geo_ask *)(void *)(p + 1);
    memcpy(p->ask, ask, ask->bytes);
    p->tier = geo_cache_tier_name(s->api->cache, true);
    p->r = r;
    p->on = geo_snapshot_ref(s->now);
    sx_request_hold(r);
}

void geo_ask_answer(const geo_ask *ask, sx_request *r, geo_scratch *s)
{
    geo_cache *cache = s->api->cache;
    sx_cache_view view;
    parked *later = NULL;
    if (!cache || !ask->keep) {
        answer_anew(ask, r, s, SX_CACHE_NO_TOKEN);
        return;
    }
    make_key(ask, s);
    if (geo_cache_has_tiers(cache))
        later = sx_arena_alloc(&r->arena, sizeof(*later) + ask->bytes);
    if (s->key.failed || (geo_cache_has_tiers(cache) && !later)) {
        answer_anew(ask, r, s, SX_CACHE_NO_TOKEN);
        return;
    }
    sx_cache_result result =
        geo_cache_get(cache, sx_buf_view(&s->key), r->loop, on_tiers, later, &view);
    switch (result) {
    case SX_CACHE_HIT:
    case SX_CACHE_STALE:
        send_value(ask, r, s, view.value, geo_cache_tier_name(cache, false));
        break;
    case SX_CACHE_WAIT: /* on_tiers comes by way of the loop: not before we return */
        park(later, ask, r, s);
        break;
    default:
        answer_anew(ask, r, s, view.token);
        break;
    }
    sx_cache_release(&view);
}
