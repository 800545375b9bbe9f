/* complete.c - the query's last word as the beginning of others. */
#include <stdlib.h>

#include "geocode/search/searcher.h"

/* What a completion is tried by: its documents, or the best weight it has in one. */
static double best_weight(const geo_index *ix, uint32_t term)
{
    geo_postings list;
    double best = 0;
    uint8_t weight;
    uint32_t heavy = geo_heavy_find(ix, term), count;
    if (heavy != GEO_NOT_HEAVY) {
        const geo_disk_heavy_doc *docs = geo_heavy_docs(ix, heavy, &count);
        return count && docs->doc < ix->doc_count ? geo_weight(ix, (uint8_t)docs->weight, docs->doc)
                                                  : 0;
    }
    geo_postings_open(ix, term, &list);
    for (uint32_t doc; (doc = geo_postings_next(&list, &weight)) != GEO_NO_DOC;) {
        double here = doc < ix->doc_count ? geo_weight(ix, weight, doc) : 0;
        best = here > best ? here : best;
    }
    return best;
}

/* A heap with the best completion at its root; ties go to the one that sorts first. */
static bool goes_before(const geo_searcher *s, uint32_t a, uint32_t b)
{
    if (s->completion_scores[a] != s->completion_scores[b])
        return s->completion_scores[a] > s->completion_scores[b];
    return s->completions[a] < s->completions[b];
}

static void swap(geo_searcher *s, uint32_t a, uint32_t b)
{
    uint32_t term = s->completions[a];
    double score = s->completion_scores[a];
    s->completions[a] = s->completions[b];
    s->completion_scores[a] = s->completion_scores[b];
    s->completions[b] = term;
    s->completion_scores[b] = score;
}

static void sift(geo_searcher *s, uint32_t count, uint32_t at)
{
    for (;;) {
        uint32_t best = at, left = 2 * at + 1;
        for (uint32_t child = left; child < count && child < left + 2; child++) {
            if (goes_before(s, child, best))
                best = child;
        }
        if (best == at)
            return;
        swap(s, at, best);
        at = best;
    }
}

static bool meets_all(const geo_index *ix, const geo_keys *k, uint32_t count, uint32_t term)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!geo_terms_meet(ix, term, k->terms[i]))
            return false;
    }
    return true;
}

void geo_search_complete(const geo_index *ix, geo_searcher *s, const geo_query *q,
                         const geo_word_list *list, bool cell)
{
    geo_keys k = {.cell = cell};
    if (s->last < 0)
        return;
    const geo_word *last = &s->words[s->last];
    if (last->text.len < GEO_SEARCH_PREFIX_MIN || last->text.len > GEO_SEARCH_PREFIX_MAX ||
        last->digits) /* no number is completed */
        return;
    for (uint32_t i = 0; i < list->count; i++) {
        const geo_word *w = &s->words[list->at[i]];
        if (!sx_str_eq(w->text, last->text))
            k.terms[k.count++] = w->term;
    }
    /* A word that is known, alone, is completed to what it is best in; otherwise to what is frequent. */
    bool by_weight = k.count == 0 && last->term != GEO_NO_TERM;
    uint32_t first, end, count = 0, others = k.count++;
    geo_term_range(ix, last->text, &first, &end);
    for (uint32_t t = first; t < end && count < GEO_SEARCH_COMPLETIONS_MAX; t++) {
        if (t == last->term)
            continue;
        s->completions[count] = t;
        s->completion_scores[count++] = by_weight ? best_weight(ix, t) : ix->terms[t].count;
    }
    for (uint32_t i = count / 2; i-- > 0;)
        sift(s, count, i);
    while (count && !geo_bucket_overflows(s)) {
        uint32_t term = s->completions[0];
        swap(s, 0, --count);
        sift(s, count, 0);
        if (!meets_all(ix, &k, others, term))
            continue;
        k.terms[others] = term;
        geo_bucket_add(ix, s, q, &k, 0);
    }
}
