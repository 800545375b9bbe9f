/* handlers.c - /search/ and /reverse/ as Addok has them: parameters in, one answer out (ask.h). */
#include <sextant/json.h>

#include "geocode/api/answer.h"
#include "geocode/api/ask.h"
#include "geocode/api/nominatim.h"
#include "geocode/api/photon.h"
#include "geocode/api/refusal.h"
#include "geocode/api/spans.h"
#include "geocode/reverse/reverse.h"

enum { SEARCH_LIMIT_DEFAULT = 5, REVERSE_LIMIT_DEFAULT = 1, FILTERS_ALL = 512 };

/* Addok looks into the geohash cells around a point, which reach about this far. */
static const double REVERSE_WITHIN_M = GEO_REVERSE_CELLS;

/* One request, with its parameters read. */
typedef struct task {
    geo_ask ask;   /* of search or reverse */
    int64_t limit; /* as applied, and as told in the answer */
    geo_params params;
} task;

static const task *task_of(const geo_ask *ask)
{
    return (const task *)(const void *)ask;
}

/* ---- computing ---- */

/* Maps an error of the search to an answer: what the client did wrong is said to it. */
static void refuse_error(const geo_ask *ask, sx_request *r, const sx_error *err)
{
    (void)ask;
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
    for (size_t i = 0; t->ask.on->filters[i]; i++) {
        const geo_param_filter *filter = &t->params.filters[i];
        for (size_t k = 0; k < filter->count; k++) {
            if (filter->values[k].len)
                out[count++] = (geo_filter){sx_str_z(t->ask.on->filters[i]), filter->values[k]};
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
    const geo_params *p = &t->params;
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
    return geo_search(t->ask.on->index, s->searcher, &ing->query, &s->results, err);
}

static sx_status reverse(const task *t, geo_scratch *s, geo_spans *spans, sx_error *err)
{
    geo_filter filters[FILTERS_ALL];
    /* Addok takes any number here; a negative one is "all but the last". */
    uint32_t most =
        t->limit < 0 || t->limit > GEO_RESULTS_MAX ? GEO_RESULTS_MAX : (uint32_t)t->limit;
    geo_reverse_query query = {
        .lat = t->params.lat,
        .lon = t->params.lon,
        .limit = most,
        .within_m = t->params.better & GEO_BETTER_ANY_DISTANCE ? GEO_REVERSE_ANY : REVERSE_WITHIN_M,
        .filters = filters,
        .filter_count = flatten(t, filters)};
    geo_spans_candidates(spans);
    return geo_reverse(t->ask.on->index, &query, &s->results, err);
}

/* Puts the answer into s->body, as it is kept. */
static sx_status compute(const geo_ask *ask, sx_request *r, geo_scratch *s, sx_error *err)
{
    const task *t = task_of(ask);
    geo_spans spans;
    searching ing;
    ing.explaining = (geo_explaining){0};
    geo_spans_begin(&spans, r);
    sx_status status = ask->endpoint == GEO_ENDPOINT_search ? search(t, s, &spans, &ing, err)
                                                            : reverse(t, s, &spans, err);
    if (status == SX_OK) {
        geo_answer answer = {.index = t->ask.on->index,
                             .results = &s->results,
                             .params = &t->params,
                             .filters = t->ask.on->filters,
                             .limit = t->limit,
                             .explaining = t->params.explain ? &ing.explaining : NULL};
        geo_spans_format(&spans);
        geo_cached_begin(&s->body);
        status = geo_answer_write(&answer, &s->body, err);
        geo_cached_finish(&s->body, s->results.count,
                          s->results.count ? s->results.items[0].score : 0);
    }
    geo_spans_end(&spans);
    return status;
}

/* ---- keeping and sending ---- */

static void make_key(const geo_ask *ask, sx_buf *out)
{
    const task *t = task_of(ask);
    const geo_cache_asked asked = {ask->on->generation, ask->endpoint, t->limit, &t->params,
                                   ask->on->filters};
    geo_cache_key(&asked, out);
}

static void send_answer(const geo_ask *ask, sx_request *r, sx_str body, const sx_coded_store *store)
{
    (void)ask;
    geo_api_send(r, body, store);
}

static const geo_ask_kind SEARCH = {make_key, compute, send_answer, refuse_error, false};
static const geo_ask_kind REVERSE = {make_key, compute, send_answer, refuse_error, true};

static void answer(task *t, const geo_ask_kind *kind, sx_request *r, geo_scratch *s)
{
    t->ask = (geo_ask){.kind = kind,
                       .bytes = sizeof(*t),
                       .on = s->now,
                       .endpoint = s->endpoint,
                       /* what is explained has times of one search: it is not kept */
                       .keep = !t->params.explain};
    geo_ask_answer(&t->ask, r, s);
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
    task t;
    if (geo_nominatim_is_meant(r->query)) {
        geo_nominatim_search(r, NULL);
        return;
    }
    geo_scratch *s = geo_api_scratch(r, GEO_ENDPOINT_search);
    geo_params_rules rules = {s->now->filters, GEO_RESULTS_MAX, false};
    if (geo_api_other_method(r) || !read_params(r, &rules, &t.params))
        return;
    t.limit = t.params.limit ? t.params.limit : SEARCH_LIMIT_DEFAULT;
    answer(&t, &SEARCH, r, s);
}

void geo_api_reverse(sx_request *r, void *ctx)
{
    (void)ctx;
    task t;
    if (geo_nominatim_is_meant(r->query)) {
        geo_nominatim_reverse(r, NULL);
        return;
    }
    if (geo_photon_is_meant(r->query)) {
        geo_photon_reverse(r, NULL);
        return;
    }
    geo_scratch *s = geo_api_scratch(r, GEO_ENDPOINT_reverse);
    geo_params_rules rules = {s->now->filters, 0, true};
    if (geo_api_other_method(r) || !read_params(r, &rules, &t.params))
        return;
    t.params.q = sx_str_of(NULL, 0); /* /reverse/ neither uses it nor repeats it */
    t.limit = t.params.limit ? t.params.limit : REVERSE_LIMIT_DEFAULT;
    answer(&t, &REVERSE, r, s);
}
