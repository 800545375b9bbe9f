/* search.c - one query from text to ranked results. See search.h. */
#include "geocode/search/search.h"

#include <math.h>

#include <sextant/mem.h>

#include "geocode/search/searcher.h"
#include "geocode/text/fold.h"

static const double IMPORTANCE_SHARE = 0.1, NEARNESS_SHARE = 0.1;
static const double LEAST_SCORE = 0.1; /* Addok's MIN_SCORE: what is below is no answer */

geo_searcher *geo_searcher_new(sx_error *err)
{
    geo_searcher *s = sx_calloc(1, sizeof(*s));
    if (!s)
        sx_fail_memory(err, "a searcher");
    else
        geo_pairs_init(&s->pairs);
    return s;
}

void geo_searcher_free(geo_searcher *s)
{
    sx_free(s);
}

double geo_distance_m(double lat1, double lon1, double lat2, double lon2)
{
    static const double RADIANS = M_PI / 180, RADIUS_M = 6367000;
    double south = sin((lat2 - lat1) * RADIANS / 2), east = sin((lon2 - lon1) * RADIANS / 2);
    double h = south * south + cos(lat1 * RADIANS) * cos(lat2 * RADIANS) * east * east;
    return 2 * RADIUS_M * asin(sqrt(h < 1 ? h : 1));
}

/* 1 at the point, 0.37 at 50 km, nothing from 100 km on. */
static double nearness(double distance_m)
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

/* Puts a result in its place: falling score, then the order of import. */
static void insert(const geo_index *ix, geo_results *out, uint32_t limit, const geo_result *r)
{
    uint32_t at = out->count;
    while (at > 0) {
        const geo_result *before = &out->items[at - 1];
        if (before->score > r->score ||
            (before->score == r->score && ix->docs[before->doc].order < ix->docs[r->doc].order))
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

/* Whether one of the document's names has `word`: then it is no house number ("20P4 Rue de Rome" is
 * a street's name in the BAN). */
static bool in_name(const geo_searcher *s, sx_str word)
{
    for (uint32_t n = 0; n < s->parts.name_count; n++) {
        sx_str left = s->parts.names[n], part;
        while (left.len) {
            (void)sx_str_cut(left, ' ', &part, &left);
            if (sx_str_eq(part, word))
                return true;
        }
    }
    return false;
}

/* The best house number that the query may mean: the candidate's label with it fits best. Returns
 * the similarity, or -1 if none of the query's numbers is there. */
static double best_number(const geo_index *ix, geo_searcher *s, const geo_query *q, geo_result *r)
{
    const geo_disk_doc *doc = &ix->docs[r->doc];
    double best = -1;
    for (uint32_t i = 0; i < s->number_count && doc->number_count; i++) {
        geo_housenumber n;
        if (in_name(s, s->number_texts[i]) ||
            !geo_number_find(ix, r->doc, s->numbers[i].number, s->numbers[i].suffix, &n))
            continue;
        double similarity = geo_similarity(s, doc, s->number_texts[i], q->autocomplete);
        if (similarity <= best)
            continue;
        best = similarity;
        r->number = n.index;
        r->lon_e7 = n.lon_e7;
        r->lat_e7 = n.lat_e7;
    }
    return best;
}

/* Whether the filter on type lets a document pass as itself, without a house number. */
static bool passes_as_itself(const geo_index *ix, const geo_searcher *s, const geo_query *q,
                             uint32_t doc)
{
    if (!s->type_filtered || !s->takes_housenumber || ix->docs[doc].number_count == 0)
        return true;
    geo_value type, item;
    if (!geo_doc_property(ix, doc, SX_STR("type"), &type))
        return false;
    sx_str own = geo_value_first(ix, &type, &item);
    for (size_t i = 0; i < q->filter_count; i++) {
        if (sx_str_eq(q->filters[i].key, SX_STR("type")) && sx_str_eq(q->filters[i].value, own))
            return true;
    }
    return false;
}

/* No label of the document at hand can be more like the query than this. Every label holds the name,
 * so if each name is longer than the query none equals it. */
static double most_similar(const geo_searcher *s, bool autocomplete)
{
    size_t shortest = SIZE_MAX;
    for (uint32_t n = 0; n < s->parts.name_count; n++) {
        if (s->parts.names[n].len < shortest)
            shortest = s->parts.names[n].len;
    }
    if (shortest <= s->query.len || s->query.len < 2)
        return 1;
    return autocomplete ? 0.9 : (double)(s->query.len - 1) / (double)(shortest - 1);
}

static void score_one(const geo_index *ix, geo_searcher *s, const geo_query *q, uint32_t limit,
                      uint32_t id, geo_results *out)
{
    const geo_disk_doc *doc = &ix->docs[id];
    geo_result r = {.doc = id,
                    .number = GEO_NO_NUMBER,
                    .lon_e7 = doc->lon_e7,
                    .lat_e7 = doc->lat_e7,
                    .distance_m = -1};
    if (!geo_doc_label_parts(ix, id, &s->parts)) {
        s->corrupt = true;
        return;
    }
    double near_most = q->has_point ? NEARNESS_SHARE : 0;
    double whole = q->has_point ? 1.2 : 1.1; /* 1.1 + 0.1 is another double, and not Addok's */
    double important = IMPORTANCE_SHARE * doc->importance;
    if (out->count == limit && (most_similar(s, q->autocomplete) + important + near_most) / whole <
                                   out->items[limit - 1].score)
        return;
    double similarity = -1;
    if (!s->type_filtered || s->takes_housenumber)
        similarity = best_number(ix, s, q, &r);
    if (similarity < 0) {
        if (!passes_as_itself(ix, s, q, id))
            return;
        similarity = geo_similarity(s, doc, sx_str_of("", 0), q->autocomplete);
    }
    double sum = similarity + important;
    if (q->has_point) {
        r.distance_m = geo_distance_m(q->lat, q->lon, r.lat_e7 / 1e7, r.lon_e7 / 1e7);
        sum += NEARNESS_SHARE * nearness(r.distance_m);
    }
    r.score = sum / whole;
    if (r.score >= LEAST_SCORE)
        insert(ix, out, limit, &r);
}

/* By document. The walks gave most of them in that order: insertion has little to do, and takes no
 * memory as qsort() may. */
static void sort_candidates(geo_candidate *c, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        geo_candidate one = c[i];
        uint32_t at = i;
        for (; at > 0 && c[at - 1].doc > one.doc; at--)
            c[at] = c[at - 1];
        c[at] = one;
    }
}

/* Most important first, so that the limit is soon full of good results and the rest is cut short. */
static void score_all(const geo_index *ix, geo_searcher *s, const geo_query *q, geo_results *out)
{
    uint32_t limit = q->limit == 0 ? 5 : q->limit < GEO_RESULTS_MAX ? q->limit : GEO_RESULTS_MAX;
    sort_candidates(s->candidates, s->candidate_count);
    geo_pairs_begin(&s->pairs, s->query);
    for (uint32_t i = 0; i < s->candidate_count; i++)
        score_one(ix, s, q, limit, s->candidates[i].doc, out);
    geo_pairs_end(&s->pairs, s->query);
}

static void enter(const geo_query *q, geo_phase phase)
{
    if (q->observer)
        q->observer->phase(q->observer->ctx, phase);
}

sx_status geo_search(const geo_index *ix, geo_searcher *s, const geo_query *q, geo_results *out,
                     sx_error *err)
{
    out->count = 0;
    sx_status status = check_query(q, err);
    if (status != SX_OK || ix->doc_count == 0)
        return status;
    s->corrupt = false;
    enter(q, GEO_PHASE_NORMALISE);
    s->query = geo_fold(q->text, s->folded, sizeof(s->folded));
    /* One set of rules a query: the first source's. */
    geo_source source;
    unsigned language = geo_index_source(ix, 0, &source) ? source.language : GEO_LANGUAGE_NONE;
    s->token_count = geo_tokens(geo_rules_of(language), s->query, s->tokens, GEO_SEARCH_TOKENS_MAX);
    enter(q, GEO_PHASE_CANDIDATES);
    geo_search_plan(ix, s, q);
    geo_search_all_words(ix, s);
    enter(q, GEO_PHASE_SCORE);
    if (s->candidate_count)
        score_all(ix, s, q, out);
    if (out->count == 0) {
        enter(q, GEO_PHASE_CANDIDATES);
        geo_search_rare_words(ix, s);
        enter(q, GEO_PHASE_SCORE);
        score_all(ix, s, q, out);
    }
    return s->corrupt ? sx_fail(err, SX_ECORRUPT,
                                "the index is damaged; run 'sextant geocode "
                                "verify' and build it again")
                      : SX_OK;
}
