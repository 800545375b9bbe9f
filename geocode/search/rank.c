/* rank.c - what the documents of the bucket score, and which are the best.
 *
 * Comparing a document's labels with the query costs some 200 ns, and a bucket may have hundreds of
 * documents of which five are wanted. So each gets a bound first, from its sign and its importance;
 * they are compared from the highest bound down, until none is left that could be among the best.
 * What a document scores does not depend on the others, so this changes no answer. */
#include "geocode/search/searcher.h"

static const double LEAST_SCORE = 0.1; /* Addok's MIN_SCORE: what is below is no answer */

/* Rounding may not make a bound smaller than what it stands for. */
static const double SLACK = 1e-9;

/* Takes the house number that the query names, if the document has it. */
static bool take_number(const geo_index *ix, const geo_searcher *s, geo_result *r)
{
    geo_housenumber n;
    /* The index has "0s" as no number but all suffix. */
    sx_str suffix = s->number.number ? s->number.suffix : s->number_text;
    if (!s->has_number || ix->docs[r->doc].number_count == 0 ||
        !geo_number_find(ix, r->doc, s->number.number, suffix, &n))
        return false;
    r->number = n.index;
    r->lon_e7 = n.lon_e7;
    r->lat_e7 = n.lat_e7;
    return true;
}

/* Compares a document with the query. Its score need not be known if it is below `least`, and then is
 * something below that; a number is only looked for if it matters. */
static void score_one(const geo_index *ix, geo_searcher *s, const geo_query *q, geo_found *f,
                      double least)
{
    const geo_disk_doc *doc = &ix->docs[f->result.doc];
    geo_result *r = &f->result;
    *r = (geo_result){.doc = r->doc,
                      .number = GEO_NO_NUMBER,
                      .lon_e7 = doc->lon_e7,
                      .lat_e7 = doc->lat_e7,
                      .distance_m = -1};
    f->similarity = 0;
    f->passes = false;
    if (!geo_doc_label_parts(ix, r->doc, &s->parts)) {
        s->corrupt = true;
        return;
    }
    bool may_have =
        s->has_number && doc->number_count && (!s->type_filtered || s->takes_housenumber);
    double similar = geo_search_least(ix, q, least, r->doc) - SLACK;
    geo_alike alike = geo_compare(ix, s, r->doc, may_have ? s->number_text : sx_str_of("", 0),
                                  q->autocomplete, similar);
    if (alike.numbered < similar && alike.bare < similar)
        return; /* so it does not pass, which is as good */
    bool has = may_have && take_number(ix, s, r);
    if (!has && !geo_search_passes_bare(s, q))
        return;
    f->passes = true;
    f->similarity = has ? alike.numbered : alike.bare;
    geo_search_rate(ix, q, f->similarity, r);
}

/* The first document that is that similar is asked again the next time: it stays. */
bool geo_search_has(const geo_index *ix, geo_searcher *s, const geo_query *q, double least)
{
    bool has = false, begun = false;
    while (s->judged < s->bucket_count) {
        geo_found *f = &s->bucket[s->judged];
        if (f->similarity < 0) {
            if (!begun)
                geo_pairs_begin(&s->pairs, s->query);
            begun = true;
            score_one(ix, s, q, f, 0);
        }
        has = f->passes && f->similarity >= least;
        if (has)
            break;
        s->judged++;
    }
    if (begun)
        geo_pairs_end(&s->pairs, s->query);
    return has;
}

/* The heap has the highest bound at its root. */
static void sift(geo_searcher *s, uint32_t count, uint32_t at)
{
    for (;;) {
        uint32_t best = at, left = 2 * at + 1;
        for (uint32_t child = left; child < count && child < left + 2; child++) {
            if (s->bucket[s->order[child]].result.score > s->bucket[s->order[best]].result.score)
                best = child;
        }
        if (best == at)
            return;
        uint16_t swap = s->order[at];
        s->order[at] = s->order[best];
        s->order[best] = swap;
        at = best;
    }
}

/* Whether a document that scores `score` at most may still be among the results. */
static bool may_enter(const geo_searcher *s, const geo_results *out, double score)
{
    return score >= LEAST_SCORE &&
           (out->count < s->wanted || score >= out->items[out->count - 1].score);
}

static void take(const geo_index *ix, const geo_searcher *s, const geo_found *f, geo_results *out)
{
    if (f->passes && f->result.score >= LEAST_SCORE)
        geo_results_insert(ix, out, s->wanted, &f->result);
}

/* Those not compared yet, from the highest bound down. */
static void rank_rest(const geo_index *ix, geo_searcher *s, const geo_query *q, geo_results *out)
{
    uint32_t count = 0;
    geo_pairs_sign(&s->pairs, s->query, s->has_number ? s->number_text : sx_str_of("", 0));
    for (uint32_t i = 0; i < s->bucket_count; i++) {
        geo_found *f = &s->bucket[i];
        if (f->similarity >= 0)
            continue;
        f->result.score =
            SLACK +
            geo_search_rate_most(ix, q, geo_similarity_bound(ix, s, f->result.doc, q->autocomplete),
                                 f->result.doc);
        s->order[count++] = (uint16_t)i;
    }
    for (uint32_t i = count / 2; i-- > 0;)
        sift(s, count, i);
    while (count) {
        geo_found *f = &s->bucket[s->order[0]];
        if (!may_enter(s, out, f->result.score))
            return;
        s->order[0] = s->order[--count];
        sift(s, count, 0);
        score_one(ix, s, q, f, out->count < s->wanted ? 0 : out->items[out->count - 1].score);
        take(ix, s, f, out);
    }
}

/* Documents lie anywhere: what is read of them is fetched for all before it is read of the first.
 * A function that does nothing else is removed by gcc with its calls, so it tells how many. */
static uint32_t fetch(const geo_index *ix, const geo_searcher *s)
{
    uint32_t count = 0;
    for (; count < s->bucket_count; count++)
        __builtin_prefetch(&ix->docs[s->bucket[count].result.doc]);
    const geo_bytes *labels = &ix->s[GEO_S_LABELS];
    for (uint32_t i = 0; i < count; i++) {
        uint64_t at = ix->docs[s->bucket[i].result.doc].labels;
        if (sx_unlikely(at >= labels->bytes)) /* damaged: told when it is read */
            continue;
        __builtin_prefetch(labels->data + at);
        __builtin_prefetch(labels->data + at + GEO_LABEL_HEAD_BYTES + 28);
    }
    return count;
}

void geo_search_rank(const geo_index *ix, geo_searcher *s, const geo_query *q, geo_results *out)
{
    bool few = fetch(ix, s) <= s->wanted;
    geo_pairs_begin(&s->pairs, s->query);
    for (uint32_t i = 0; i < s->bucket_count; i++) {
        geo_found *f = &s->bucket[i];
        if (few && f->similarity < 0)
            score_one(ix, s, q, f, 0);
        if (f->similarity >= 0)
            take(ix, s, f, out);
    }
    if (!few)
        rank_rest(ix, s, q, out);
    geo_pairs_end(&s->pairs, s->query);
}
