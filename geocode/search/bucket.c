/* bucket.c - the best documents that have all of some words, and the bucket they are gathered in.
 *
 * A document's worth is the sum of what the words weigh in it; at equal worth the greater key wins,
 * which is the smaller id where importance is equal too (see format.h). The shortest list is walked
 * and the others are probed; bitmaps are intersected. Where even the shortest is long, the words' best documents come first
 * (Fagin's threshold algorithm): once the hundredth best so far weighs more than anything not yet
 * met could, the walk is not needed.
 *
 * HOT: 15 to 30 ns a document. */
#include <math.h>

#include "geocode/search/searcher.h"

void geo_bucket_clear(geo_searcher *s)
{
    for (uint32_t i = 0; i < s->bucket_count; i++)
        s->seen[s->seen_used[i]] = 0;
    s->bucket_count = s->judged = 0;
}

static void put(geo_searcher *s, uint32_t doc)
{
    uint32_t slot = (doc * 2654435761u) >> 20; /* the top 12 bits */
    while (s->seen[slot] && s->seen[slot] != doc + 1)
        slot = (slot + 1) % GEO_SEARCH_SEEN_SLOTS;
    if (s->seen[slot] || s->bucket_count == GEO_SEARCH_BUCKET_ROOM)
        return;
    s->seen[slot] = doc + 1;
    s->seen_used[s->bucket_count] = (uint16_t)slot;
    s->bucket[s->bucket_count++] = (geo_found){.result.doc = doc, .similarity = -1};
}

void geo_search_cell(const geo_index *ix, geo_searcher *s, const geo_query *q)
{
    if (!s->cell_known)
        s->cell_count = geo_cell_docs(ix, q->lat, q->lon, 1, s->cell, GEO_SEARCH_CELL_DOCS_MAX);
    s->cell_known = true;
}

static bool in_cell(const geo_searcher *s, uint32_t doc)
{
    uint32_t low = 0, high = s->cell_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->cell[middle] < doc)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->cell_count && s->cell[low] == doc;
}

/* --- All keys at once. */

/* Whether the document at the root is worth less than (score, doc). */
static bool is_worse(const geo_top *a, double score, uint32_t doc)
{
    return a->score < score || (a->score == score && a->doc > doc);
}

static void sift(geo_top *heap, uint32_t count, uint32_t at)
{
    for (;;) {
        uint32_t least = at, left = 2 * at + 1;
        for (uint32_t child = left; child < count && child < left + 2; child++) {
            if (is_worse(&heap[child], heap[least].score, heap[least].doc))
                least = child;
        }
        if (least == at)
            return;
        geo_top swap = heap[at];
        heap[at] = heap[least];
        heap[least] = swap;
        at = least;
    }
}

static void keep(geo_searcher *s, uint32_t limit, double score, uint32_t doc)
{
    if (s->top_count < limit) {
        s->top[s->top_count++] = (geo_top){score, doc};
        if (s->top_count == limit) {
            for (uint32_t i = limit / 2; i-- > 0;)
                sift(s->top, limit, i);
        }
    } else if (is_worse(&s->top[0], score, doc)) {
        s->top[0] = (geo_top){score, doc};
        sift(s->top, limit, 0);
    }
}

/* Values that many documents have are looked up in their bitmaps; for others the document's own terms
 * are read, once. */
static bool passes_group(const geo_index *ix, const geo_searcher *s, const geo_filter_group *g,
                         uint32_t doc)
{
    uint32_t terms[GEO_DOC_TERMS_MAX], count = 0;
    bool all_bitmaps = true;
    for (uint32_t i = 0; i < g->count; i++) {
        const uint64_t *bits = s->filter_bits[g->first + i];
        if (bits && (bits[doc / 64] >> (doc % 64) & 1))
            return true;
        all_bitmaps = all_bitmaps && bits;
    }
    if (!all_bitmaps)
        count = geo_doc_terms(ix, doc, terms);
    for (uint32_t i = 0; i < g->count; i++) {
        for (uint32_t t = 0; t < count && terms[t] <= s->filter_terms[g->first + i]; t++) {
            if (terms[t] == s->filter_terms[g->first + i])
                return true;
        }
    }
    return false;
}

bool geo_bucket_passes(const geo_index *ix, const geo_searcher *s, uint32_t doc)
{
    for (uint32_t g = 0; g < s->group_count; g++) {
        if (!passes_group(ix, s, &s->groups[g], doc))
            return false;
    }
    return !s->nothing_passes;
}

/* Adds what a probe gives the document; false if it has not got it. Sets weigh one. */
static bool probe(const geo_index *ix, geo_searcher *s, geo_probe *p, uint32_t doc, double *sum)
{
    uint8_t weight;
    if (p->kind == GEO_PROBE_WORD) {
        if (!geo_postings_has(&p->list, doc, &weight))
            return false;
        *sum += geo_weight(ix, weight, doc);
        return true;
    }
    *sum += 1;
    if (p->kind == GEO_PROBE_CELL)
        return in_cell(s, doc);
    const geo_filter_group *g = &s->groups[p->which];
    return g->count == 1 ? geo_postings_has(&p->list, doc, NULL) : passes_group(ix, s, g, doc);
}

/* Whether a probe asks a posting list. */
static bool has_list(const geo_searcher *s, const geo_probe *p)
{
    return p->kind == GEO_PROBE_WORD ||
           (p->kind == GEO_PROBE_FILTER && s->groups[p->which].count == 1);
}

/* Whether probe `i` asks what the one before it asks: "rue de la rue" has a word twice, and its weight
 * counts twice. */
static bool asks_again(const geo_searcher *s, uint32_t i)
{
    return i > 0 && s->probes[i].kind == GEO_PROBE_WORD &&
           s->probes[i - 1].kind == GEO_PROBE_WORD && s->probes[i].which == s->probes[i - 1].which;
}

/* Whether a bitmap tells that the document has not all keys. */
static inline bool is_lacking(const geo_searcher *s, uint32_t doc)
{
    for (uint32_t i = s->bitmap_probes; i < s->probe_count; i++) {
        if (has_list(s, &s->probes[i]) && geo_postings_lacks(&s->probes[i].list, doc))
            return true;
    }
    return false;
}

/* A document that has the first key, for `sum`: whether it has the others, and its worth. Bitmaps are
 * asked first, since most documents fail. Sums are built from the rarest key on, as Redis does, so
 * that their last digits agree. */
static void consider(const geo_index *ix, geo_searcher *s, uint32_t limit, uint32_t doc, double sum)
{
    if (sx_unlikely(doc >= ix->doc_count)) {
        s->corrupt = true;
        return;
    }
    if (is_lacking(s, doc))
        return;
    double weight = sum;
    for (uint32_t i = 1; i < s->probe_count; i++) {
        if (!asks_again(s, i)) {
            weight = 0;
            if (!probe(ix, s, &s->probes[i], doc, &weight))
                return;
        }
        sum += weight;
    }
    keep(s, limit, sum, doc);
}

/* A key before its list is opened: lists are large, and are put in order while they are still this. */
typedef struct plan {
    uint32_t count, which;
    int kind;
} plan;

/* Puts a key behind those that are not more frequent. */
static void add_plan(plan *plans, uint32_t *count, plan p)
{
    uint32_t at = (*count)++;
    for (; at > 0 && plans[at - 1].count > p.count; at--)
        plans[at] = plans[at - 1];
    plans[at] = p;
}

static void open_probe(const geo_index *ix, const geo_searcher *s, const plan *from, geo_probe *to)
{
    to->count = from->count;
    to->kind = from->kind;
    to->which = from->which;
    if (from->kind == GEO_PROBE_WORD)
        geo_postings_open(ix, from->which, &to->list);
    else if (from->kind == GEO_PROBE_FILTER && s->groups[from->which].count == 1)
        geo_postings_open(ix, s->filter_terms[s->groups[from->which].first], &to->list);
}

/* The keys, rarest first. False if one of them has no documents. */
static bool open_probes(const geo_index *ix, geo_searcher *s, const geo_query *q, const geo_keys *k)
{
    plan plans[GEO_SEARCH_KEYS_MAX];
    s->probe_count = 0;
    for (uint32_t i = 0; i < k->count; i++) {
        if (k->terms[i] >= ix->term_count)
            return false;
        add_plan(plans, &s->probe_count,
                 (plan){ix->terms[k->terms[i]].count, k->terms[i], GEO_PROBE_WORD});
    }
    for (uint32_t g = 0; g < s->group_count; g++)
        add_plan(plans, &s->probe_count, (plan){s->groups[g].documents, g, GEO_PROBE_FILTER});
    if (k->cell) {
        geo_search_cell(ix, s, q);
        add_plan(plans, &s->probe_count, (plan){s->cell_count, 0, GEO_PROBE_CELL});
    }
    s->bitmap_probes = s->probe_count;
    for (uint32_t i = 0; i < s->probe_count; i++) {
        open_probe(ix, s, &plans[i], &s->probes[i]);
        if (i > 0 && s->bitmap_probes == s->probe_count && !asks_again(s, i) &&
            has_list(s, &s->probes[i]) && s->probes[i].list.kind == GEO_POSTINGS_BITMAP)
            s->bitmap_probes = i;
    }
    return s->probe_count > 0 && s->probes[0].count > 0;
}

/* Rounding may not make a bound smaller than a sum it stands for. */
static const double SLACK = 1e-9;

/* Importance falls along a list; how often a walk looks how far it has: in words of a bitmap. */
enum { IMPORTANCE_WORDS = 32 };

/* A bitmap on a walk: what its list weighs, and how many bits lie before the word under way. */
typedef struct walked {
    const geo_postings *list;
    uint32_t times, before; /* times: its word stands in the query; 0: a set, which weighs one */
} walked;

/* The bitmaps among the probes. *whole: the probes are nothing else. */
static uint32_t find_bitmaps(const geo_searcher *s, walked *out, bool *whole)
{
    uint32_t count = 0;
    *whole = true;
    for (uint32_t i = 0; i < s->probe_count; i++) {
        const geo_probe *p = &s->probes[i];
        if (!has_list(s, p) || p->list.kind != GEO_POSTINGS_BITMAP)
            *whole = false;
        else if (asks_again(s, i))
            out[count - 1].times++;
        else
            out[count++] = (walked){&p->list, p->kind == GEO_PROBE_WORD ? 1 : 0, 0};
    }
    return count;
}

/* HOT, 3 ns a bitmap. What a document that is in all of them weighs at most, nearly, if its importance
 * is no more than `importance`: its own is seldom in the processor's cache. */
static double guess(const geo_index *ix, const walked *w, uint32_t count, uint32_t doc,
                    double importance)
{
    double sum = 0;
    uint64_t below = (UINT64_C(1) << (doc % 64)) - 1;
    for (uint32_t i = 0; i < count; i++) {
        if (w[i].times == 0) {
            sum += 1;
            continue;
        }
        uint32_t rank = w[i].before + geo_bits_in(w[i].list->words[doc / 64] & below);
        uint8_t code = rank < w[i].list->count ? w[i].list->weights[rank] : 0;
        sum += w[i].times * (ix->weight_base[code] + importance * ix->weight_slope[code]);
    }
    return sum;
}

/* HOT. Whether none of the documents under a rank entry can be among the best: the index knows what
 * weighs most there, and none of them is more important than `importance`. */
static bool is_hopeless(const geo_index *ix, const geo_searcher *s, const walked *w, uint32_t count,
                        uint32_t entry, double importance)
{
    double most = SLACK;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t code = w[i].list->tops[entry];
        most += w[i].times == 0
                    ? 1
                    : w[i].times * (ix->weight_base[code] + importance * ix->weight_slope[code]);
    }
    return most < s->top[0].score;
}

/* Bitmaps are walked together, 64 documents at a time. Once there are enough documents, most of the
 * others weigh less than all of them: that is seen before their weight is computed as Addok does. */
static void walk_bitmaps(const geo_index *ix, geo_searcher *s, uint32_t limit)
{
    geo_probe *first = &s->probes[0];
    walked w[GEO_SEARCH_KEYS_MAX];
    bool whole;
    uint32_t count = find_bitmaps(s, w, &whole);
    double importance = 0; /* no document from here on has more */
    for (uint32_t word = 0; word < first->list.word_count; word++) {
        if (word % IMPORTANCE_WORDS == 0)
            importance = ix->importances[(size_t)word * 64];
        uint64_t bits = first->list.words[word];
        for (uint32_t i = 1; i < count; i++)
            bits &= w[i].list->words[word];
        if (bits == 0)
            continue;
        if (whole && s->top_count == limit &&
            is_hopeless(ix, s, w, count, word / GEO_RANK_WORDS, importance)) {
            word |= GEO_RANK_WORDS - 1; /* on to the next entry */
            continue;
        }
        for (uint32_t i = 0; whole && i < count; i++)
            w[i].before = geo_postings_rank(w[i].list, word);
        for (; bits; bits &= bits - 1) {
            uint32_t doc = word * 64 + (uint32_t)__builtin_ctzll(bits);
            double sum = 0;
            if (doc >= ix->doc_count) {
                s->corrupt = true;
                continue;
            }
            if (whole && s->top_count == limit &&
                guess(ix, w, count, doc, importance) + SLACK < s->top[0].score)
                continue;
            if (probe(ix, s, first, doc, &sum))
                consider(ix, s, limit, doc, sum);
        }
    }
}

/* What the keys but the first weigh at most, and what importance adds to all of them: a field has one
 * token at least, so a tenth of it. */
static double most_beside(const geo_index *ix, const geo_searcher *s)
{
    double importance = fabs(ix->importances[0]), least = fabs(ix->importances[ix->doc_count - 1]);
    double most = SLACK, tenth = 0.1 * (importance > least ? importance : least);
    for (uint32_t i = 0; i < s->probe_count; i++) {
        const geo_probe *p = &s->probes[i];
        bool is_word = p->kind == GEO_PROBE_WORD;
        if (i > 0)
            most += is_word ? ix->weight_base[ix->terms[p->which].weight] : 1;
        most += is_word ? tenth : 0;
    }
    return most;
}

static void walk_word(const geo_index *ix, geo_searcher *s, uint32_t limit)
{
    uint8_t weight;
    geo_postings *list = &s->probes[0].list;
    double others = most_beside(ix, s);
    for (uint32_t doc; (doc = geo_postings_next(list, &weight)) != GEO_NO_DOC;) {
        if (sx_unlikely(doc >= ix->doc_count)) {
            s->corrupt = true;
            return;
        }
        if (is_lacking(s, doc)) /* before its importance is fetched */
            continue;
        if (s->top_count == limit && ix->weight_base[weight] + others < s->top[0].score)
            continue;
        consider(ix, s, limit, doc, geo_weight(ix, weight, doc));
    }
    s->corrupt = s->corrupt || list->bad;
}

/* The documents of a filter's values; one met twice is taken once. */
static void walk_filter(const geo_index *ix, geo_searcher *s, uint32_t limit)
{
    const geo_filter_group *g = &s->groups[s->probes[0].which];
    for (uint32_t i = 0; i < g->count; i++) {
        geo_postings list;
        uint8_t weight;
        geo_postings_open(ix, s->filter_terms[g->first + i], &list);
        for (uint32_t doc; (doc = geo_postings_next(&list, &weight)) != GEO_NO_DOC;) {
            bool twice = false;
            for (uint32_t t = 0; g->count > 1 && t < s->top_count && !twice; t++)
                twice = s->top[t].doc == doc;
            if (!twice)
                consider(ix, s, limit, doc, 1);
        }
    }
}

/* Whether `doc` is met for the first time; `slots` has room for twice as many as can come. */
enum { MET_SLOTS = 4096, MET_MAX = MET_SLOTS / 2 };

static bool first_sight(uint32_t slots[MET_SLOTS], uint32_t doc)
{
    uint32_t slot = (doc * 2654435761u) >> 20; /* the top 12 bits */
    while (slots[slot] && slots[slot] != doc + 1)
        slot = (slot + 1) % MET_SLOTS;
    bool first = slots[slot] == 0;
    slots[slot] = doc + 1;
    return first;
}

/* Whether a document that any of the words has given has all of them, found out without decoding a
 * block: these documents lie anywhere, and most have not. */
static bool has_words(const geo_index *ix, const geo_searcher *s, uint32_t doc)
{
    for (uint32_t i = 0; i < s->probe_count; i++) {
        if (geo_postings_lacks(&s->probes[i].list, doc))
            return false;
    }
    for (uint32_t i = 0; i < s->probe_count; i++) {
        if (s->probe_count > 1 && s->probes[i].list.kind == GEO_POSTINGS_BLOCKS &&
            !geo_doc_has_term(ix, doc, s->probes[i].which))
            return false;
    }
    return true;
}

/* Whether so many documents have all the words, if they are spread evenly, that the best of them are
 * likely to be found among the words' best. */
static bool is_promising(const geo_index *ix, const geo_searcher *s, uint32_t limit)
{
    double expected = s->probes[0].count;
    for (uint32_t i = 1; i < s->probe_count; i++)
        expected *= asks_again(s, i) ? 1 : (double)s->probes[i].count / ix->doc_count;
    return expected >= 2.0 * limit;
}

/* The best documents of every word, in turn. True if nothing else can be among the best. */
static bool threshold(const geo_index *ix, geo_searcher *s, uint32_t limit)
{
    const geo_disk_heavy_doc *best[GEO_SEARCH_KEYS_MAX];
    uint32_t count[GEO_SEARCH_KEYS_MAX], met_count = 0, slots[MET_SLOTS];
    for (uint32_t i = 0; i < s->probe_count; i++) {
        uint32_t heavy = s->probes[i].kind == GEO_PROBE_WORD
                             ? geo_heavy_find(ix, s->probes[i].which)
                             : GEO_NOT_HEAVY;
        if (heavy == GEO_NOT_HEAVY)
            return false;
        best[i] = geo_heavy_docs(ix, heavy, &count[i]);
    }
    memset(slots, 0, sizeof(slots));
    for (uint32_t depth = 0; depth < GEO_HEAVY_DOCS; depth++) {
        double bound = SLACK;
        for (uint32_t i = 0; i < s->probe_count; i++) {
            if (depth >= count[i] || best[i][depth].doc >= ix->doc_count || met_count == MET_MAX)
                return false;
            uint32_t doc = best[i][depth].doc;
            bound += geo_weight(ix, (uint8_t)best[i][depth].weight, doc);
            if (asks_again(s, i) || !first_sight(slots, doc))
                continue;
            met_count++;
            double sum = 0;
            if (has_words(ix, s, doc) && probe(ix, s, &s->probes[0], doc, &sum))
                consider(ix, s, limit, doc, sum);
        }
        if (s->top_count == limit && s->top[0].score > bound)
            return true;
    }
    return false;
}

void geo_bucket_add(const geo_index *ix, geo_searcher *s, const geo_query *q, const geo_keys *k,
                    uint32_t limit)
{
    if (limit == 0)
        limit = geo_bucket_overflows(s) ? 0 : GEO_SEARCH_BUCKET_MAX - s->bucket_count;
    s->top_count = 0;
    if (limit == 0 || s->nothing_passes || !open_probes(ix, s, q, k))
        return;
    if (s->probes[0].kind == GEO_PROBE_CELL) {
        for (uint32_t i = 0; i < s->cell_count; i++)
            consider(ix, s, limit, s->cell[i], 1);
    } else if (s->probes[0].kind == GEO_PROBE_FILTER) {
        if (has_list(s, &s->probes[0]) && s->probes[0].list.kind == GEO_POSTINGS_BITMAP)
            walk_bitmaps(ix, s, limit);
        else
            walk_filter(ix, s, limit);
    } else if (s->probes[0].count < GEO_HEAVY_LEAST || !is_promising(ix, s, limit) ||
               !threshold(ix, s, limit)) {
        s->top_count = 0;
        if (s->probes[0].list.kind == GEO_POSTINGS_BITMAP) {
            walk_bitmaps(ix, s, limit);
        } else {
            geo_postings_open(ix, s->probes[0].which, &s->probes[0].list); /* if probing moved it */
            walk_word(ix, s, limit);
        }
    }
    for (uint32_t i = 0; i < s->top_count; i++)
        put(s, s->top[i].doc);
}
