/* company.c - which words may stand beside some of the query's.
 *
 * A misspelt word or an unfinished one is tried as each of many others, with the query's other words as
 * they are. The documents that have these are looked for once; mostly they are few, and what words they
 * have tells for each of the many that no document has it, too. */
#include "geocode/search/searcher.h"

enum { FEW_DOCS = 64 }; /* whose words are read; more are asked one by one */

static uint32_t bit_of(uint32_t term)
{
    return (term * 2654435761u) >> 20; /* the top 12 bits */
}

bool geo_company_find(const geo_index *ix, geo_company *c, const geo_keys *k)
{
    uint32_t terms[GEO_SEARCH_TOKENS_MAX + 1];
    c->words_known = false;
    c->documents = c->heavy_count = 0;
    /* A word that does not go with the others is soonest found out by the rarest of them. */
    for (uint32_t i = 0; i < k->count; i++) {
        uint32_t term = k->terms[i], at = i;
        if (term >= ix->term_count)
            return false;
        for (; at > 0 && ix->terms[terms[at - 1]].count > ix->terms[term].count; at--)
            terms[at] = terms[at - 1];
        terms[at] = term;
    }
    c->known = k->count > 0 &&
               geo_terms_docs(ix, terms, k->count, c->docs, GEO_COMPANY_MAX, &c->documents);
    if (c->known)
        return c->documents > 0;
    for (uint32_t i = 0; i < k->count; i++) {
        uint32_t heavy = geo_heavy_find(ix, terms[i]);
        if (heavy != GEO_NOT_HEAVY)
            c->heavy[c->heavy_count++] = heavy;
    }
    return true;
}

/* Their words, as a set of bits: a word that is not in it is in none of them. */
static void read_words(const geo_index *ix, geo_company *c)
{
    uint32_t terms[GEO_DOC_TERMS_MAX];
    memset(c->words, 0, sizeof(c->words));
    for (uint32_t i = 0; i < c->documents; i++)
        __builtin_prefetch(&ix->docs[c->docs[i]].terms);
    for (uint32_t i = 0; i < c->documents; i++) /* they lie anywhere: all at once */
        __builtin_prefetch(ix->s[GEO_S_DOC_TERMS].data + ix->docs[c->docs[i]].terms);
    for (uint32_t i = 0; i < c->documents; i++) {
        uint32_t count = geo_doc_terms(ix, c->docs[i], terms);
        for (uint32_t t = 0; t < count; t++)
            c->words[bit_of(terms[t]) / 64] |= UINT64_C(1) << (bit_of(terms[t]) % 64);
    }
    c->words_known = true;
}

/* Whether one of the documents is in a list: the shorter is walked, the longer asked. */
static bool is_among(const geo_index *ix, const geo_company *c, uint32_t term)
{
    geo_postings list;
    geo_postings_open(ix, term, &list);
    if (list.kind == GEO_POSTINGS_BITMAP || list.count > c->documents) {
        for (uint32_t i = 0; i < c->documents; i++) {
            if (geo_postings_has(&list, c->docs[i], NULL))
                return true;
        }
        return false;
    }
    geo_postings docs = {
        .kind = GEO_POSTINGS_ARRAY, .count = c->documents, .docs = c->docs, .weights = NULL};
    for (uint32_t i = 0; i < list.count; i++) {
        if (geo_postings_has(&docs, list.docs[i], NULL))
            return true;
    }
    return false;
}

bool geo_company_may_have(const geo_index *ix, geo_company *c, uint32_t term)
{
    if (c->known && c->documents > FEW_DOCS)
        return is_among(ix, c, term);
    if (c->known) {
        if (!c->words_known)
            read_words(ix, c);
        return c->words[bit_of(term) / 64] >> (bit_of(term) % 64) & 1;
    }
    uint32_t heavy = c->heavy_count ? geo_heavy_find(ix, term) : GEO_NOT_HEAVY;
    for (uint32_t i = 0; heavy != GEO_NOT_HEAVY && i < c->heavy_count; i++) {
        if (!geo_heavies_meet(ix, heavy, c->heavy[i]))
            return false;
    }
    return true;
}
