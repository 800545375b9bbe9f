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

static void add_completion(const geo_index *ix, geo_searcher *s, uint32_t term, bool by_weight)
{
    uint32_t at = s->completion_count++;
    s->completions[at] = term;
    s->completion_scores[at] = by_weight ? best_weight(ix, term) : ix->terms[term].count;
}

/* The words from `first` to `end` that stand in one of the few documents that have the others. */
static void complete_from_docs(const geo_index *ix, geo_searcher *s, uint32_t first, uint32_t end,
                               uint32_t but)
{
    const geo_company *c = &s->company;
    uint32_t terms[GEO_DOC_TERMS_MAX];
    uint64_t seen[GEO_SEARCH_COMPLETIONS_MAX / 64 + 1] = {0};
    for (uint32_t i = 0; i < c->documents; i++)
        __builtin_prefetch(&ix->docs[c->docs[i]].terms);
    for (uint32_t i = 0; i < c->documents; i++) /* they lie anywhere: all at once */
        __builtin_prefetch(ix->s[GEO_S_DOC_TERMS].data + ix->docs[c->docs[i]].terms);
    for (uint32_t i = 0; i < c->documents; i++) {
        uint32_t count = geo_doc_terms(ix, c->docs[i], terms);
        for (uint32_t t = 0; t < count; t++) {
            uint32_t at = terms[t] - first;
            if (terms[t] < first || terms[t] >= end || terms[t] == but ||
                (seen[at / 64] >> (at % 64) & 1))
                continue;
            seen[at / 64] |= UINT64_C(1) << (at % 64);
            add_completion(ix, s, terms[t], false);
        }
    }
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
    uint32_t first, end, others = k.count;
    s->completion_count = 0;
    geo_term_range(ix, last->text, &first, &end);
    if (end - first > GEO_SEARCH_COMPLETIONS_MAX) /* the word itself is one, and is the first */
        end = first + GEO_SEARCH_COMPLETIONS_MAX + (last->term == first);
    if (first == end || (others && !geo_company_find(ix, &s->company, &k)))
        return;
    bool by_docs = others && s->company.known && s->company.documents < end - first;
    if (by_docs)
        complete_from_docs(ix, s, first, end, last->term);
    for (uint32_t t = first; t < end && !by_docs; t++) {
        if (t != last->term)
            add_completion(ix, s, t, by_weight);
    }
    uint32_t count = s->completion_count;
    for (uint32_t i = count / 2; i-- > 0;)
        sift(s, count, i);
    k.count++; /* the word that is completed comes behind them */
    while (count && !geo_bucket_overflows(s)) {
        uint32_t term = s->completions[0];
        swap(s, 0, --count);
        sift(s, count, 0);
        if (others && !by_docs && !geo_company_may_have(ix, &s->company, term))
            continue;
        k.terms[others] = term;
        geo_bucket_add(ix, s, q, &k, 0);
    }
}
