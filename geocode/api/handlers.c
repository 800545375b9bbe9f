/* handlers.c - /search/ and /reverse/: parameters in, one search, one answer out. */
#include <sextant/json.h>

#include "geocode/api/answer.h"
#include "geocode/api/refusal.h"
#include "geocode/api/scratch.h"
#include "geocode/reverse/reverse.h"

enum { SEARCH_LIMIT_DEFAULT = 5, REVERSE_LIMIT_DEFAULT = 1, FILTERS_ALL = 512 };

/* Addok looks into the geohash cells around a point, which reach about this far. */
static const double REVERSE_WITHIN_M = 300;

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
static size_t flatten(const geo_api *api, const geo_params *params, geo_filter *out)
{
    size_t count = 0;
    for (size_t i = 0; api->filters[i]; i++) {
        const geo_param_filter *filter = &params->filters[i];
        for (size_t k = 0; k < filter->count; k++) {
            if (filter->values[k].len)
                out[count++] = (geo_filter){sx_str_z(api->filters[i]), filter->values[k]};
        }
    }
    return count;
}

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

static void send_answer(sx_request *r, const geo_api *api, geo_scratch *s, const geo_params *params,
                        int64_t limit)
{
    sx_error err = {0};
    geo_answer answer = {api->index, &s->results, params, api->filters, limit};
    if (geo_answer_write(&answer, &s->body, &err) != SX_OK)
        refuse_error(r, &err);
    else
        geo_api_send(r, &s->body);
}

void geo_api_search(sx_request *r, void *ctx)
{
    geo_api *api = ctx;
    geo_params params;
    geo_filter filters[FILTERS_ALL];
    geo_params_rules rules = {api->filters, GEO_RESULTS_MAX, false};
    if (geo_api_other_method(r) || !read_params(r, &rules, &params))
        return;
    int64_t limit = params.limit ? params.limit : SEARCH_LIMIT_DEFAULT;
    geo_scratch *s = geo_api_scratch(r);
    geo_query query = {.text = params.q,
                       .limit = (uint32_t)limit,
                       .autocomplete = params.autocomplete,
                       .has_point = params.has_lat && params.has_lon,
                       .lat = params.lat,
                       .lon = params.lon,
                       .filters = filters,
                       .filter_count = flatten(api, &params, filters)};
    sx_error err = {0};
    if (geo_search(api->index, s->searcher, &query, &s->results, &err) != SX_OK)
        refuse_error(r, &err);
    else
        send_answer(r, api, s, &params, limit);
}

void geo_api_reverse(sx_request *r, void *ctx)
{
    geo_api *api = ctx;
    geo_params params;
    geo_filter filters[FILTERS_ALL];
    geo_params_rules rules = {api->filters, 0, true};
    if (geo_api_other_method(r) || !read_params(r, &rules, &params))
        return;
    params.q = sx_str_of(NULL, 0); /* /reverse/ neither uses it nor repeats it */
    int64_t limit = params.limit ? params.limit : REVERSE_LIMIT_DEFAULT;
    /* Addok takes any number here; a negative one is "all but the last". */
    uint32_t most = limit < 0 || limit > GEO_RESULTS_MAX ? GEO_RESULTS_MAX : (uint32_t)limit;
    geo_scratch *s = geo_api_scratch(r);
    geo_reverse_query query = {.lat = params.lat,
                               .lon = params.lon,
                               .limit = most,
                               .within_m = REVERSE_WITHIN_M,
                               .filters = filters,
                               .filter_count = flatten(api, &params, filters)};
    sx_error err = {0};
    if (geo_reverse(api->index, &query, &s->results, &err) != SX_OK)
        refuse_error(r, &err);
    else
        send_answer(r, api, s, &params, limit);
}
