/* collect.c - which documents are worth comparing with the query: Addok's collectors in their order.
 *
 * Documents that have all meaningful words come first. While there are few, the last word is taken
 * for the beginning of another, then words for misspelt ones, then groups of words that occur
 * together, at last all words but one. A step is left out when the bucket is full, or holds a
 * document whose label is nearly the query ("cream"). What Addok does is known from its debug trace. */
#include "geocode/search/searcher.h"

static const double MATCH_LEAST = 0.9; /* Addok's MATCH_THRESHOLD: a label this similar is cream */

static const uint32_t NOT_TRIED = UINT32_MAX;

enum {
    LEAVES_TWO_FROM = 4, /* two words are left out of a query of so many */
    FEW_DOCS = 16        /* read sooner than lists are compared */
};

/* One collecting under way. */
typedef struct hunt {
    const geo_index *ix;
    geo_searcher *s;
    const geo_query *q;
} hunt;

static void add_key(const hunt *h, geo_keys *k, uint32_t word)
{
    k->terms[k->count++] = h->s->words[word].term;
}

static void add_keys(const hunt *h, geo_keys *k, const geo_word_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        add_key(h, k, list->at[i]);
}

/* Asked of a few documents only. */
static bool has_cream(const hunt *h)
{
    if (h->s->bucket_count == 0 || h->s->bucket_count >= GEO_SEARCH_BUCKET_MIN)
        return false;
    return geo_search_has(h->ix, h->s, h->q, MATCH_LEAST);
}

/* Nothing but common words, and perhaps unknown ones. True if that is all there is to it. */
static bool collect_common(const hunt *h)
{
    geo_searcher *s = h->s;
    if (s->meaningful.count || !s->common.count)
        return false;
    if (h->q->has_point && h->q->autocomplete)
        geo_search_complete(h->ix, s, h->q, &s->common, true);
    if (!s->missing.count) {
        geo_keys k = {.cell = h->q->has_point};
        add_keys(h, &k, &s->common);
        geo_bucket_add(h->ix, s, h->q, &k, 0);
    }
    geo_search_complete(h->ix, s, h->q, &s->common, false);
    return s->bucket_count > 0;
}

/* Moves the first common word to the meaningful ones. */
static void take_common(geo_searcher *s)
{
    s->meaningful.at[s->meaningful.count++] = s->common.at[0];
    s->common.count--;
    memmove(s->common.at, s->common.at + 1, s->common.count);
}

/* Documents with all meaningful words; if these are too many, the common ones narrow them down. True
 * if the search may end here. */
static bool collect_meaningful(const hunt *h)
{
    geo_searcher *s = h->s;
    geo_keys k = {0};
    if (s->meaningful.count <= 1 && s->common.count)
        take_common(s);
    add_keys(h, &k, &s->meaningful);
    if (k.count)
        geo_bucket_add(h->ix, s, h->q, &k, 0);
    /* Then all of them are one group, and its documents are here already. */
    s->all_together = s->bucket_count && s->meaningful.count < GEO_SEARCH_MEANINGFUL_MAX;
    if (!h->q->autocomplete && geo_bucket_dry(s) && has_cream(h))
        return true;
    for (uint32_t i = 0; i < s->common.count && geo_bucket_overflows(s); i++) {
        add_key(h, &k, s->common.at[i]);
        geo_bucket_clear(s);
        geo_bucket_add(h->ix, s, h->q, &k, 0);
    }
    if (h->q->has_point && geo_bucket_overflows(s)) {
        k.cell = true;
        geo_bucket_add(h->ix, s, h->q, &k, GEO_SEARCH_BUCKET_MIN);
    }
    return false;
}

/* Longest first; words of one length stay as they are. */
static void sort_by_length(const geo_searcher *s, geo_word_list *list)
{
    for (uint32_t i = 1; i < list->count; i++) {
        uint8_t one = list->at[i];
        uint32_t at = i;
        for (; at > 0 && s->words[list->at[at - 1]].text.len < s->words[one].text.len; at--)
            list->at[at] = list->at[at - 1];
        list->at[at] = one;
    }
}

static void note_pair(geo_searcher *s, uint32_t a, uint32_t b)
{
    s->meets[a] |= UINT64_C(1) << b;
    s->meets[b] |= UINT64_C(1) << a;
}

/* Which of the `others` word `i`, which few documents have, occurs with: asked of these documents. */
static void know_by_docs(const hunt *h, uint32_t i, uint64_t others)
{
    geo_searcher *s = h->s;
    uint32_t docs[FEW_DOCS], terms[GEO_DOC_TERMS_MAX], count;
    if (!geo_terms_docs(h->ix, &s->words[i].term, 1, docs, FEW_DOCS, &count))
        return;
    for (uint32_t d = 0; d < count && (others & ~s->meets[i]); d++) {
        uint32_t term_count = geo_doc_terms(h->ix, docs[d], terms);
        for (uint64_t left = others & ~s->meets[i]; left; left &= left - 1) {
            uint32_t word = (uint32_t)__builtin_ctzll(left), t = 0;
            while (t < term_count && terms[t] < s->words[word].term)
                t++;
            if (t < term_count && terms[t] == s->words[word].term)
                note_pair(s, i, word);
        }
    }
}

/* Which words occur together, two by two: asked of the index once a query. */
static void know_pairs(const hunt *h)
{
    geo_searcher *s = h->s;
    uint64_t known = 0, asked = 0;
    if (s->pairs_known)
        return;
    s->pairs_known = true;
    memset(s->meets, 0, s->word_count * sizeof(*s->meets));
    for (uint32_t i = 0; i < s->word_count; i++) {
        if (s->words[i].term != GEO_NO_TERM)
            known |= UINT64_C(1) << i;
    }
    for (uint64_t left = known; left; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(left);
        if (s->words[i].count > FEW_DOCS)
            continue;
        know_by_docs(h, i, known & ~(UINT64_C(1) << i));
        asked |= UINT64_C(1) << i;
    }
    for (uint64_t left = known & ~asked; left; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(left);
        for (uint64_t others = left & (left - 1); others; others &= others - 1) {
            uint32_t other = (uint32_t)__builtin_ctzll(others);
            if (geo_terms_meet(h->ix, s->words[i].term, s->words[other].term))
                note_pair(s, i, other);
        }
    }
}

/* Whether some document may have all these words (a bit each): every two of them occur together. */
static bool may_meet(const hunt *h, uint64_t words)
{
    know_pairs(h);
    for (uint64_t left = words; left; left &= left - 1) {
        uint32_t word = (uint32_t)__builtin_ctzll(left);
        if ((words & ~h->s->meets[word]) != UINT64_C(1) << word)
            return false;
    }
    return true;
}

static uint64_t bits_of(const geo_word_list *list)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < list->count; i++)
        bits |= UINT64_C(1) << list->at[i];
    return bits;
}

/* The words one letter away are looked for once a query. */
static uint32_t near_words(const hunt *h, uint32_t word)
{
    geo_searcher *s = h->s;
    if (s->near_count[word] == NOT_TRIED)
        s->near_count[word] = geo_search_fuzzy(h->ix, s->words[word].text, s->near[word]);
    return s->near_count[word];
}

/* A word that does not go with the others is soonest found out by the rarest of them. */
static void rarest_first(const geo_index *ix, geo_keys *k)
{
    for (uint32_t i = 1; i < k->count; i++) {
        uint32_t term = k->terms[i], at = i;
        for (; at > 0 && ix->terms[k->terms[at - 1]].count > ix->terms[term].count; at--)
            k->terms[at] = k->terms[at - 1];
        k->terms[at] = term;
    }
}

/* Puts each word one letter away from `word` beside the words of `k`. */
static void try_slips(const hunt *h, uint32_t word, geo_keys *k)
{
    geo_searcher *s = h->s;
    if (!geo_company_find(h->ix, &s->company, k))
        return; /* no document has the others together, whatever is put beside them */
    const uint32_t *near = s->near[word];
    uint32_t others = k->count++, count = near_words(h, word);
    for (uint32_t i = 0; i < count && geo_bucket_dry(s); i++) {
        bool again = false; /* the word itself is no other one */
        for (uint32_t o = 0; o < others; o++)
            again = again || near[i] == k->terms[o];
        if (again || !geo_company_may_have(h->ix, &s->company, near[i]))
            continue;
        k->terms[others] = near[i];
        geo_bucket_add(h->ix, s, h->q, k, 0);
    }
}

/* Tries the words one letter away from each of `list`, with the other meaningful words and, if asked,
 * the common ones. */
static void try_fuzzy(const hunt *h, geo_word_list *list, bool with_common)
{
    geo_searcher *s = h->s;
    sort_by_length(s, list);
    for (uint32_t i = 0; i < list->count; i++) {
        const geo_word *w = &s->words[list->at[i]];
        if (w->digits)
            continue;
        if (!geo_bucket_dry(s)) {
            if (!geo_bucket_overflows(s))
                return;
            continue; /* the words that follow add nothing */
        }
        geo_keys k = {0};
        uint64_t words = 0;
        for (uint32_t m = 0; m < s->meaningful.count; m++) {
            if (s->meaningful.at[m] == list->at[i])
                continue;
            add_key(h, &k, s->meaningful.at[m]);
            words |= UINT64_C(1) << s->meaningful.at[m];
        }
        if (with_common) {
            add_keys(h, &k, &s->common);
            words |= bits_of(&s->common);
        }
        if (!may_meet(h, words))
            continue;
        rarest_first(h->ix, &k);
        try_slips(h, list->at[i], &k);
    }
}

static bool may_go_on(const hunt *h)
{
    return geo_bucket_dry(h->s) && !has_cream(h);
}

static void collect_fuzzy(const hunt *h)
{
    geo_searcher *s = h->s;
    /* Addok asks the candidates to occur together with the filters, as if these were words: none
     * does. */
    if (s->group_count || !may_go_on(h))
        return;
    if (s->missing.count)
        try_fuzzy(h, &s->missing, true);
    if (!may_go_on(h))
        return;
    if (s->meaningful.count)
        try_fuzzy(h, &s->meaningful, true);
    if (s->common.count && s->meaningful.count && may_go_on(h))
        try_fuzzy(h, &s->meaningful, false);
}

/* A set of words that occur with each other, two by two. */
typedef struct group {
    uint64_t words;         /* a bit each */
    double documents, mean; /* of its words, together and on average */
} group;

/* The group that word `first` begins; words join in the query's order. */
static group gather(const hunt *h, uint32_t first, uint64_t candidates)
{
    const geo_searcher *s = h->s;
    group g = {UINT64_C(1) << first, s->words[first].count, 0};
    for (uint32_t i = 0; i < s->word_count; i++) {
        uint64_t bit = UINT64_C(1) << i;
        if (!(candidates & bit) || (g.words & bit) || (g.words & ~s->meets[i]) != 0)
            continue;
        g.words |= bit;
        g.documents += s->words[i].count;
    }
    g.mean = g.documents / __builtin_popcountll(g.words);
    return g;
}

/* The rarest words first. */
static void put_group(group *groups, uint32_t *count, group g)
{
    uint32_t at = *count;
    for (uint32_t i = 0; i < *count; i++) {
        if (groups[i].words == g.words)
            return;
    }
    for (; at > 0 && groups[at - 1].mean > g.mean; at--)
        groups[at] = groups[at - 1];
    groups[at] = g;
    ++*count;
}

/* Groups of words that go together: "rue suger 75005" has "rue suger" and "rue 75005". */
static void collect_relations(const hunt *h)
{
    geo_searcher *s = h->s;
    group groups[GEO_SEARCH_TOKENS_MAX];
    uint64_t candidates = 0;
    uint32_t count = 0;
    if (!geo_bucket_dry(s) || s->all_together)
        return;
    know_pairs(h);
    for (uint32_t i = 0; i < s->word_count; i++) {
        if (s->words[i].term != GEO_NO_TERM && s->words[i].count <= GEO_SEARCH_COMMON_LEAST)
            candidates |= UINT64_C(1) << i;
    }
    for (uint32_t i = 0; i < s->word_count; i++) {
        if ((candidates >> i & 1) && (s->meets[i] & candidates))
            put_group(groups, &count, gather(h, i, candidates));
    }
    for (uint32_t g = 0; g < count && !geo_bucket_overflows(s); g++) {
        geo_keys k = {0};
        for (uint32_t i = 0; i < s->word_count; i++) {
            if (groups[g].words >> i & 1)
                add_key(h, &k, i);
        }
        geo_bucket_add(h->ix, s, h->q, &k, 0);
    }
}

/* Numbers first, then the most frequent: what is left out soonest. */
static void sort_by_worth(const geo_searcher *s, geo_word_list *list)
{
    for (uint32_t i = 1; i < list->count; i++) {
        uint8_t one = list->at[i];
        const geo_word *w = &s->words[one];
        uint32_t at = i;
        for (; at > 0; at--) {
            const geo_word *before = &s->words[list->at[at - 1]];
            if (before->digits != w->digits ? before->digits : before->count >= w->count)
                break;
            list->at[at] = list->at[at - 1];
        }
        list->at[at] = one;
    }
}

/* All meaningful words but number `a` and (if it is another) `b` of the list. */
static void add_without(const hunt *h, uint32_t a, uint32_t b)
{
    const geo_word_list *list = &h->s->meaningful;
    uint64_t words = bits_of(list) & ~(UINT64_C(1) << list->at[a]) & ~(UINT64_C(1) << list->at[b]);
    geo_keys k = {0};
    if (!may_meet(h, words))
        return;
    for (uint32_t i = 0; i < list->count; i++) {
        if (i != a && i != b)
            add_key(h, &k, list->at[i]);
    }
    if (k.count)
        geo_bucket_add(h->ix, h->s, h->q, &k, 0);
}

/* Leaves out a word; if there is still nothing, two. */
static void collect_fewer(const hunt *h)
{
    geo_searcher *s = h->s;
    uint32_t count = s->meaningful.count;
    if (!may_go_on(h) || (s->bucket_count && count <= s->should_match + 1))
        return;
    sort_by_worth(s, &s->meaningful);
    for (uint32_t i = 0; i < count && !geo_bucket_overflows(s); i++)
        add_without(h, i, i);
    if (s->bucket_count || count < LEAVES_TWO_FROM)
        return;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = i + 1; k < count && !geo_bucket_overflows(s); k++)
            add_without(h, i, k);
    }
}

void geo_search_collect(const geo_index *ix, geo_searcher *s, const geo_query *q)
{
    hunt h = {ix, s, q};
    geo_bucket_clear(s);
    s->cell_known = s->all_together = s->pairs_known = false;
    for (uint32_t i = 0; i < s->word_count; i++)
        s->near_count[i] = NOT_TRIED;
    if (s->nothing_passes)
        return;
    if (s->word_count == 0) {
        if (s->has_number && q->has_point) {
            geo_keys k = {.cell = true};
            geo_bucket_add(ix, s, q, &k, 0);
        }
        return;
    }
    bool ended = collect_common(&h);
    geo_step_done(s, GEO_STEP_COMMON);
    if (ended)
        return;
    ended = collect_meaningful(&h);
    geo_step_done(s, GEO_STEP_MEANINGFUL);
    if (ended)
        return;
    if (!geo_bucket_overflows(s) && q->autocomplete) {
        if (q->has_point)
            geo_search_complete(ix, s, q, &s->meaningful, true);
        geo_search_complete(ix, s, q, &s->meaningful, false);
        geo_step_done(s, GEO_STEP_COMPLETE);
    }
    collect_fuzzy(&h);
    geo_step_done(s, GEO_STEP_FUZZY);
    collect_relations(&h);
    geo_step_done(s, GEO_STEP_RELATIONS);
    collect_fewer(&h);
    geo_step_done(s, GEO_STEP_FEWER);
}
