/* handlers.c - /search/ and /reverse/: parameters in, one answer out, computed or kept from before.
 *
 *     parameters -> key -> memory has it ------------------------------------> sent
 *                             | no tiers: compute, keep ---------------------> sent
 *                             | tiers: the request waits (parked) -> they have it, or compute, keep
 *
 * Computing takes some microseconds and is done at once, on the loop. A request that waits for a tier
 * holds on to the index it began with, so that its key and its answer belong together. */
#include <sextant/json.h>

#include "geocode/api/answer.h"
#include "geocode/api/refusal.h"
#include "geocode/api/scratch.h"
#include "geocode/api/spans.h"
#include "geocode/reverse/reverse.h"

enum { SEARCH_LIMIT_DEFAULT = 5, REVERSE_LIMIT_DEFAULT = 1, FILTERS_ALL = 512 };

/* Addok looks into the geohash cells around a point, which reach about this far. */
static const double REVERSE_WITHIN_M = GEO_REVERSE_CELLS;

/* One request, with its parameters read. */
typedef struct task {
    const geo_snapshot *on;
    geo_endpoint endpoint; /* search or reverse */
    int64_t limit;         /* as applied, and as told in the answer */
    const geo_params *params;
} task;

/* A task that waits for a tier; in the request's arena. */
typedef struct parked {
    task task;
    sx_request *r;    /* held */
    geo_snapshot *on; /* held */
    const char *tier; /* where the answer is, if it is there; static */
    geo_params params;
} parked;

/* ---- computing ---- */

/* Maps an error of the search to an answer: what the client did wrong is said to it. */
static void refuse_error(sx_request *r, const sx_error *err)
{
    geo_refusal refusal = {500, SX_STR("500 Internal Server Error"), {0}};
    if (err->status == SX_ELIMIT)
        refusal = (geo_refusal){413, sx_str_z(err->message), {0}};
    else if (err->status == SX_EINVAL)
        refusal = (geo_refusal){400, SX_STR("Invalid parameter"), sx_str_z(err->message)};
    geo_refuse(r, &refusal);
}

/* Lays the filters' values out flat. Empty values filter nothing, as in Addok. */
static size_t flatten(const task *t, geo_filter *out)
{
    size_t count = 0;
    for (size_t i = 0; t->on->filters[i]; i++) {
        const geo_param_filter *filter = &t->params->filters[i];
        for (size_t k = 0; k < filter->count; k++) {
            if (filter->values[k].len)
                out[count++] = (geo_filter){sx_str_z(t->on->filters[i]), filter->values[k]};
        }
    }
    return count;
}

/* What is asked of the search, and what it tells if it is to explain itself. */
typedef struct searching {
    geo_filter filters[FILTERS_ALL];
    geo_query query;
    geo_trace trace;
    geo_explaining explaining;
} searching;

static sx_status search(const task *t, geo_scratch *s, geo_spans *spans, searching *ing,
                        sx_error *err)
{
    const geo_params *p = t->params;
    ing->query = (geo_query){.text = p->q,
                             .limit = (uint32_t)t->limit,
                             .autocomplete = p->autocomplete,
                             .has_point = p->has_lat && p->has_lon,
                             .lat = p->lat,
                             .lon = p->lon,
                             .filters = ing->filters,
                             .filter_count = flatten(t, ing->filters),
                             .observer = geo_spans_observer(spans),
                             .better = p->better};
    if (sx_unlikely(p->explain)) {
        ing->trace = (geo_trace){0};
        ing->query.trace = &ing->trace;
        ing->explaining = (geo_explaining){s->searcher, &ing->query, &ing->trace};
    }
    return geo_search(t->on->index, s->searcher, &ing->query, &s->results, err);
}

static sx_status reverse(const task *t, geo_scratch *s, geo_spans *spans, sx_error *err)
{
    geo_filter filters[FILTERS_ALL];
    /* Addok takes any number here; a negative one is "all but the last". */
    uint32_t most =
        t->limit < 0 || t->limit > GEO_RESULTS_MAX ? GEO_RESULTS_MAX : (uint32_t)t->limit;
    geo_reverse_query query = {.lat = t->params->lat,
                               .lon = t->params->lon,
                               .limit = most,
                               .within_m = t->params->better & GEO_BETTER_ANY_DISTANCE
                                               ? GEO_REVERSE_ANY
                                               : REVERSE_WITHIN_M,
                               .filters = filters,
                               .filter_count = flatten(t, filters)};
    geo_spans_candidates(spans);
    return geo_reverse(t->on->index, &query, &s->results, err);
}

/* Puts the answer into s->body, as it is kept. */
static sx_status compute(const task *t, sx_request *r, geo_scratch *s, sx_error *err)
{
    geo_spans spans;
    searching ing;
    ing.explaining = (geo_explaining){0};
    geo_spans_begin(&spans, r);
    sx_status status = t->endpoint == GEO_ENDPOINT_search ? search(t, s, &spans, &ing, err)
                                                          : reverse(t, s, &spans, err);
    if (status == SX_OK) {
        geo_answer answer = {.index = t->on->index,
                             .results = &s->results,
                             .params = t->params,
                             .filters = t->on->filters,
                             .limit = t->limit,
                             .explaining = t->params->explain ? &ing.explaining : NULL};
        geo_spans_format(&spans);
        geo_cached_begin(&s->body);
        status = geo_answer_write(&answer, &s->body, err);
        geo_cached_finish(&s->body, &s->results);
    }
    geo_spans_end(&spans);
    return status;
}

/* ---- sending ---- */

/* The key of a task's answer, in s->key. */
static void make_key(const task *t, geo_scratch *s)
{
    const geo_cache_asked asked = {t->on->generation, t->endpoint, t->limit, t->params,
                                   t->on->filters};
    geo_cache_key(&asked, &s->key);
}

/* Where the compressed forms of one answer are. */
typedef struct coded {
    const task *t;
    geo_scratch *s;
    sx_cache_view view; /* held while it is being sent */
} coded;

static bool find_coded(void *ctx, sx_str coding, sx_str *body)
{
    coded *c = ctx;
    make_key(c->t, c->s);
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
static void send_value(const task *t, sx_request *r, geo_scratch *s, sx_str value, const char *from)
{
    geo_cached answer;
    if (!geo_cached_read(value, &answer)) {
        geo_refuse_status(r, 500);
        return;
    }
    SX_SPAN_SET(sx_request_span(r), sx_field_u64("geocode.results", answer.results),
                sx_field_double("geocode.top_score", answer.top_score),
                sx_field_z("geocode.cache.tier", from));
    coded place = {.t = t, .s = s};
    sx_coded_store store = {find_coded, keep_coded, &place};
    geo_api_send(r, answer.body, s->api->cache && !t->params->explain ? &store : NULL);
    sx_cache_release(&place.view);
}

/* Computes, keeps what was computed if that is our duty, and sends it. */
static void answer_anew(const task *t, sx_request *r, geo_scratch *s, sx_cache_token duty)
{
    sx_error err = {0};
    geo_cache *cache = s->api->cache;
    sx_status status = compute(t, r, s, &err);
    if (status != SX_OK) {
        if (cache)
            geo_cache_give_up(cache, duty);
        refuse_error(r, &err);
        return;
    }
    if (cache)
        geo_cache_fill(cache, duty, &s->body, t->endpoint == GEO_ENDPOINT_reverse);
    if (s->body.failed)
        geo_refuse_status(r, 500);
    else
        send_value(t, r, s, sx_buf_view(&s->body), "none");
}

/* ---- the cache ---- */

/* On the request's loop, once the tiers have said what they have. */
static void on_tiers(void *ctx, sx_cache_result result, sx_cache_view *view)
{
    parked *p = ctx;
    sx_request *r = p->r;
    geo_snapshot *on = p->on;
    geo_scratch *s = geo_api_scratch(r, p->task.endpoint);
    const sx_context *outer = sx_context_enter(sx_request_context(r));
    if (result == SX_CACHE_HIT || result == SX_CACHE_STALE)
        send_value(&p->task, r, s, view->value, p->tier);
    else
        answer_anew(&p->task, r, s, view->token);
    sx_context_leave(outer);
    sx_cache_release(view);
    sx_request_release(r); /* *p is gone */
    geo_snapshot_unref(on);
}

/* The parameters were on the handler's stack. */
static void park(parked *p, const task *t, sx_request *r, geo_scratch *s)
{
    p->task = *t;
    p->params = *t->params;
    p->task.params = &p->params;
    p->tier = geo_cache_tier_name(s->api->cache, true);
    p->r = r;
    p->on = geo_snapshot_ref(s->now);
    sx_request_hold(r);
}

static void answer(const task *t, sx_request *r, geo_scratch *s)
{
    geo_cache *cache = s->api->cache;
    sx_cache_view view;
    parked *later = NULL;
    if (!cache || t->params->explain) { /* its times are of one search: it is not kept */
        answer_anew(t, r, s, SX_CACHE_NO_TOKEN);
        return;
    }
    make_key(t, s);
    if (geo_cache_has_tiers(cache))
        later = sx_arena_alloc(&r->arena, sizeof(*later));
    if (s->key.failed || (geo_cache_has_tiers(cache) && !later)) {
        answer_anew(t, r, s, SX_CACHE_NO_TOKEN);
        return;
    }
    sx_cache_result result =
        geo_cache_get(cache, sx_buf_view(&s->key), r->loop, on_tiers, later, &view);
    switch (result) {
    case SX_CACHE_HIT:
    case SX_CACHE_STALE:
        send_value(t, r, s, view.value, geo_cache_tier_name(cache, false));
        break;
    case SX_CACHE_WAIT: /* on_tiers comes by way of the loop: not before we return */
        park(later, t, r, s);
        break;
    default:
        answer_anew(t, r, s, view.token);
        break;
    }
    sx_cache_release(&view);
}

/* ---- the endpoints ---- */

static bool read_params(sx_request *r, const geo_params_rules *rules, geo_params *out)
{
    geo_refusal refusal;
    sx_status status = geo_params_read(&r->arena, r->query, rules, out, &refusal);
    if (status == SX_EINVAL)
        geo_refuse(r, &refusal);
    else if (status != SX_OK)
        geo_refuse_status(r, 500);
    return status == SX_OK;
}

void geo_api_search(sx_request *r, void *ctx)
{
    (void)ctx;
    geo_params params;
    geo_scratch *s = geo_api_scratch(r, GEO_ENDPOINT_search);
    geo_params_rules rules = {s->now->filters, GEO_RESULTS_MAX, false};
    if (geo_api_other_method(r) || !read_params(r, &rules, &params))
        return;
    int64_t limit = params.limit ? params.limit : SEARCH_LIMIT_DEFAULT;
    answer(&(task){s->now, GEO_ENDPOINT_search, limit, &params}, r, s);
}

void geo_api_reverse(sx_request *r, void *ctx)
{
    (void)ctx;
    geo_params params;
    geo_scratch *s = geo_api_scratch(r, GEO_ENDPOINT_reverse);
    geo_params_rules rules = {s->now->filters, 0, true};
    if (geo_api_other_method(r) || !read_params(r, &rules, &params))
        return;
    params.q = sx_str_of(NULL, 0); /* /reverse/ neither uses it nor repeats it */
    int64_t limit = params.limit ? params.limit : REVERSE_LIMIT_DEFAULT;
    answer(&(task){s->now, GEO_ENDPOINT_reverse, limit, &params}, r, s);
}
