/* search.c - one query from text to ranked results. See search.h. */
#include "geocode/search/search.h"

#include <math.h>

#include <sextant/mem.h>

#include "geocode/search/better.h"
#include "geocode/search/searcher.h"
#include "geocode/text/fold.h"
#include "geocode/text/rewrite.h"

static const double IMPORTANCE_SHARE = 0.1, NEARNESS_SHARE = 0.1;

geo_searcher *geo_searcher_new(sx_error *err)
{
    geo_searcher *s = sx_calloc(1, sizeof(*s));
    if (!s) {
        sx_fail_memory(err, "a searcher");
        return NULL;
    }
    geo_pairs_init(&s->pairs);
    s->meet = geo_meet_choose();
    return s;
}

void geo_searcher_free(geo_searcher *s)
{
    if (s)
        geo_better_free(s->better);
    sx_free(s);
}

double geo_distance_m(double lat1, double lon1, double lat2, double lon2)
{
    static const double RADIANS = M_PI / 180, RADIUS_M = 6367000;
    double south = sin((lat2 - lat1) * RADIANS / 2), east = sin((lon2 - lon1) * RADIANS / 2);
    double h = south * south + cos(lat1 * RADIANS) * cos(lat2 * RADIANS) * east * east;
    return 2 * RADIUS_M * asin(sqrt(h < 1 ? h : 1));
}

double geo_search_nearness(double distance_m)
{
    double of_50_km = distance_m / 50000;
    return distance_m < 100000 ? exp(-of_50_km * of_50_km) : 0;
}

static sx_status check_query(const geo_query *q, sx_error *err)
{
    uint32_t most = q->chars_max ? q->chars_max : GEO_QUERY_CHARS_MAX;
    if (most > GEO_QUERY_CHARS_LIMIT)
        most = GEO_QUERY_CHARS_LIMIT;
    /* A character has at most 4 bytes: no need to count a text of megabytes. */
    size_t chars = geo_char_count(sx_str_first(q->text, (size_t)1 << 20));
    if (chars > most)
        return sx_fail(err, SX_ELIMIT, "Query too long, %zu chars, limit is %u", chars, most);
    if (q->filter_count > GEO_QUERY_FILTERS_MAX)
        return sx_fail(err, SX_ELIMIT, "%zu filter values; at most %d are possible",
                       q->filter_count, GEO_QUERY_FILTERS_MAX);
    if (q->has_point && !(fabs(q->lat) <= 90 && fabs(q->lon) <= 180))
        return sx_fail(err, SX_EINVAL, "lat %g, lon %g is not on Earth", q->lat, q->lon);
    return SX_OK;
}

void geo_results_insert(const geo_index *ix, geo_results *out, uint32_t limit, const geo_result *r)
{
    uint32_t at = out->count;
    while (at > 0) {
        const geo_result *before = &out->items[at - 1];
        if (before->score > r->score ||
            (before->score == r->score && ix->docs[before->doc].key < ix->docs[r->doc].key))
            break;
        at--;
    }
    if (at >= limit)
        return;
    if (out->count < limit)
        out->count++;
    memmove(&out->items[at + 1], &out->items[at], (out->count - 1 - at) * sizeof(*r));
    out->items[at] = *r;
}

/* Whether the filter on type lets a document pass without a house number: not if it asks for house
 * numbers and nothing else. */
bool geo_search_passes_bare(const geo_searcher *s, const geo_query *q)
{
    if (!s->takes_housenumber)
        return true;
    for (size_t i = 0; i < q->filter_count; i++) {
        if (sx_str_eq(q->filters[i].key, SX_STR("type")) &&
            !sx_str_eq(q->filters[i].value, SX_STR("housenumber")))
            return true;
    }
    return false;
}

void geo_search_rate(const geo_index *ix, const geo_query *q, double similarity, geo_result *r)
{
    double sum = similarity + IMPORTANCE_SHARE * ix->docs[r->doc].importance;
    double whole = 1.1;
    if (q->has_point) {
        r->distance_m = geo_distance_m(q->lat, q->lon, r->lat_e7 / 1e7, r->lon_e7 / 1e7);
        sum += NEARNESS_SHARE * geo_search_nearness(r->distance_m);
        whole = 1.2; /* 1.1 + 0.1 is another double, and not Addok's */
    }
    r->score = sum / whole;
}

double geo_search_rate_most(const geo_index *ix, const geo_query *q, double similarity,
                            uint32_t doc)
{
    double sum = similarity + IMPORTANCE_SHARE * ix->docs[doc].importance;
    return q->has_point ? (sum + NEARNESS_SHARE) / 1.2 : sum / 1.1;
}

double geo_search_least(const geo_index *ix, const geo_query *q, double score, uint32_t doc)
{
    double rest = IMPORTANCE_SHARE * ix->docs[doc].importance;
    return q->has_point ? score * 1.2 - rest - NEARNESS_SHARE : score * 1.1 - rest;
}

static void enter(const geo_query *q, geo_phase phase)
{
    if (sx_unlikely(q->trace != NULL))
        geo_trace_phase(q->trace, phase);
    if (q->observer)
        q->observer->phase(q->observer->ctx, phase);
}

void geo_search_read(const geo_index *ix, geo_searcher *s, const geo_query *q, unsigned language)
{
    s->rules = geo_rules_of(language);
    s->query = geo_fold(q->text, s->folded, sizeof(s->folded));
    s->may_have_number = true;
    if (geo_rules_rewrites(s->rules))
        s->query = geo_rewrite_query(s->rules, s->query, s->rewritten, sizeof(s->rewritten),
                                     &s->may_have_number);
    geo_search_plan(ix, s, q);
}

sx_status geo_search_as(const geo_index *ix, geo_searcher *s, const geo_query *q, unsigned language,
                        geo_results *out, sx_error *err)
{
    out->count = 0;
    sx_status status = check_query(q, err);
    if (status != SX_OK || ix->doc_count == 0)
        return status;
    s->corrupt = false;
    s->trace = q->trace;
    s->wanted = q->limit == 0 ? 5 : q->limit < GEO_RESULTS_MAX ? q->limit : GEO_RESULTS_MAX;
    enter(q, GEO_PHASE_NORMALISE);
    geo_search_read(ix, s, q, language);
    enter(q, GEO_PHASE_CANDIDATES);
    geo_search_collect(ix, s, q);
    enter(q, GEO_PHASE_SCORE);
    geo_search_rank(ix, s, q, out);
    if (sx_unlikely(q->better != 0)) {
        enter(q, GEO_PHASE_BETTER);
        status = geo_better_search(ix, s, q, out, err);
    }
    if (sx_unlikely(q->trace != NULL))
        geo_trace_end(q->trace);
    if (status != SX_OK)
        return status;
    return s->corrupt ? sx_fail(err, SX_ECORRUPT,
                                "the index is damaged; run 'sextant geocode "
                                "verify' and build it again")
                      : SX_OK;
}
