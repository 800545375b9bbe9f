/* bucket.c - the best documents that have all of some words, and the bucket they are gathered in.
 *
 * A document's worth is the sum of what the words weigh in it; at equal worth the greater key wins,
 * which is the smaller id where importance is equal too (see format.h). The shortest list is walked
 * and the others are probed; bitmaps are intersected, and what cannot be among the best is passed over:
 * documents fall in importance along a list, and the index knows in which of them no word weighs much.
 *
 * HOT: 5 ns a document looked at, 50 ns one that has all words. */
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

/* Whether a probe asks a posting list. */
static bool has_list(const geo_searcher *s, const geo_probe *p)
{
    return p->kind == GEO_PROBE_WORD ||
           (p->kind == GEO_PROBE_FILTER && s->groups[p->which].count == 1);
}

/* Rounding may not make a bound smaller than a sum it stands for. */
static const double SLACK = 1e-9;

/* Importance falls along a list. What bounds a document takes that of the first of so many, which is in
 * the processor's cache when its own is not. */
enum { STRETCH_DOCS = 64 * GEO_STRETCH_WORDS };

/* HOT. Whether a document of the first probe has every other, and it is not damaged. */
static inline bool has_bits(const geo_searcher *s, uint32_t doc)
{
    for (uint32_t i = 0; i < s->sieve_bit_count; i++) {
        if (!(s->sieve_bits[i][doc / 64] >> (doc % 64) & 1))
            return false;
    }
    return true;
}

static inline bool in_sets(const geo_index *ix, const geo_searcher *s, uint32_t doc)
{
    for (uint32_t i = 0; i < s->sieve_set_count; i++) {
        const geo_probe *p = s->sieve_sets[i];
        if (p->kind == GEO_PROBE_CELL ? !in_cell(s, doc)
                                      : !passes_group(ix, s, &s->groups[p->which], doc))
            return false;
    }
    return true;
}

static inline bool has_rest(const geo_index *ix, geo_searcher *s, uint32_t doc)
{
    for (uint32_t i = 0; i < s->sieve_list_count; i++) {
        if (!geo_postings_has(s->sieve_lists[i], doc, NULL))
            return false;
        s->sieve_lists[i]->place = s->sieve_lists[i]->at;
    }
    return in_sets(ix, s, doc);
}

/* HOT. Keeps pending document `n` if it is among the best; most weigh less than these, which is seen
 * before its own importance is read. Sums are built from the rarest key on, as Redis does, so that their
 * last digits agree; sets weigh one. */
static void weigh(const geo_index *ix, geo_searcher *s, uint32_t limit, uint32_t n)
{
    const geo_pending *pending = &s->pending;
    uint32_t doc = pending->docs[n];
    uint8_t codes[GEO_SEARCH_KEYS_MAX], code = 0;
    double most = SLACK, importance = ix->importances[doc / STRETCH_DOCS * STRETCH_DOCS];
    for (uint32_t i = 0; i < s->probe_count; i++) {
        const geo_probe *p = &s->probes[i];
        if (p->kind != GEO_PROBE_WORD) {
            most += 1;
            continue;
        }
        if (!p->again)
            code = pending->at[i][n] < p->list.count ? p->list.weights[pending->at[i][n]] : 0;
        codes[i] = code;
        most += ix->weight_base[code] + importance * ix->weight_slope[code];
    }
    if (s->top_count == limit && most < s->top[0].score)
        return;
    double sum = 0, weight = 0;
    int weighed = -1;
    for (uint32_t i = 0; i < s->probe_count; i++) {
        if (s->probes[i].kind != GEO_PROBE_WORD) {
            sum += 1;
            continue;
        }
        if (codes[i] != weighed) /* a name's words weigh the same */
            weight = geo_weight(ix, codes[i], doc);
        weighed = codes[i];
        sum += weight;
    }
    keep(s, limit, sum, doc);
}

/* Weighs the documents that wait for it. What is read of all of them is fetched before the first. */
static void weigh_pending(const geo_index *ix, geo_searcher *s, uint32_t limit)
{
    geo_pending *pending = &s->pending;
    for (uint32_t i = 0; i < s->probe_count; i++) {
        const geo_probe *p = &s->probes[i];
        if (p->kind != GEO_PROBE_WORD || p->again || p->list.kind != GEO_POSTINGS_BITMAP)
            continue;
        for (uint32_t n = 0; n < pending->count; n++) {
            pending->at[i][n] = geo_postings_place(&p->list, pending->docs[n]);
            __builtin_prefetch(p->list.weights + pending->at[i][n]);
        }
    }
    for (uint32_t n = 0; n < pending->count; n++)
        weigh(ix, s, limit, n);
    pending->count = 0;
}

/* A document that has all keys, each of which has just been asked. */
static void take(const geo_index *ix, geo_searcher *s, uint32_t limit, uint32_t doc)
{
    geo_pending *pending = &s->pending;
    uint32_t n = pending->count++;
    pending->docs[n] = doc;
    if (s->top_count < limit)
        __builtin_prefetch(&ix->importances[doc]);
    for (uint32_t i = 0; i < s->probe_count; i++) {
        const geo_probe *p = &s->probes[i];
        if (p->kind != GEO_PROBE_WORD || p->again)
            continue;
        if (p->list.kind == GEO_POSTINGS_BITMAP) {
            __builtin_prefetch(&p->list.ranks[doc / 64 / GEO_RANK_WORDS]);
        } else {
            pending->at[i][n] = p->list.place;
            __builtin_prefetch(p->list.weights + p->list.place);
        }
    }
    if (pending->count == GEO_PENDING_MAX)
        weigh_pending(ix, s, limit);
}

/* A document that has the first key: whether it has the others, and its worth. */
static void consider(const geo_index *ix, geo_searcher *s, uint32_t limit, uint32_t doc)
{
    if (sx_unlikely(doc >= ix->doc_count))
        s->corrupt = true;
    else if (has_bits(s, doc) && has_rest(ix, s, doc))
        take(ix, s, limit, doc);
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

static void open_probe(const geo_index *ix, const geo_searcher *s, const plan *from, bool again,
                       geo_probe *to)
{
    to->count = from->count;
    to->kind = from->kind;
    to->which = from->which;
    to->again = again;
    if (again)
        return;
    if (from->kind == GEO_PROBE_WORD)
        geo_postings_open(ix, from->which, &to->list);
    else if (from->kind == GEO_PROBE_FILTER && s->groups[from->which].count == 1)
        geo_postings_open(ix, s->filter_terms[s->groups[from->which].first], &to->list);
}

static void make_sieve(geo_searcher *s)
{
    s->sieve_bit_count = s->sieve_list_count = s->sieve_set_count = 0;
    for (uint32_t i = 1; i < s->probe_count; i++) {
        geo_probe *p = &s->probes[i];
        if (p->again)
            continue;
        if (!has_list(s, p))
            s->sieve_sets[s->sieve_set_count++] = p;
        else if (p->list.kind == GEO_POSTINGS_BITMAP)
            s->sieve_bits[s->sieve_bit_count++] = p->list.words;
        else
            s->sieve_lists[s->sieve_list_count++] = &p->list;
    }
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
    for (uint32_t i = 0; i < s->probe_count; i++)
        open_probe(ix, s, &plans[i],
                   i > 0 && plans[i].kind == GEO_PROBE_WORD &&
                       plans[i - 1].kind == GEO_PROBE_WORD && plans[i].which == plans[i - 1].which,
                   &s->probes[i]);
    make_sieve(s);
    s->pending.count = 0;
    return s->probe_count > 0 && s->probes[0].count > 0;
}

/* A list on a walk over bitmaps. */
typedef struct walked {
    const geo_postings *list;
    double times;                 /* its word stands in the query */
    double most[GEO_CAP_CLASSES]; /* that its word weighs in a class, but for importance */
} walked;

/* The words among the probes, all of which have bitmaps; `*sets` weigh one each. */
static uint32_t find_words(const geo_index *ix, const geo_searcher *s, walked *out, double *sets)
{
    uint32_t count = 0;
    *sets = 0;
    for (uint32_t i = 0; i < s->probe_count; i++) {
        const geo_probe *p = &s->probes[i];
        if (p->kind != GEO_PROBE_WORD) {
            *sets += 1;
        } else if (p->again) {
            out[count - 1].times++;
        } else {
            out[count] = (walked){.list = &p->list, .times = 1};
            for (uint32_t class = 0; class < GEO_CAP_CLASSES; class ++)
                out[count].most[class] = ix->weight_base[p->list.class_tops[class]];
            count++;
        }
    }
    return count;
}

enum { ALL_CLASSES = (1 << GEO_CAP_CLASSES) - 1 };

/* Which classes have documents that may be among the best, if these are no more important than
 * `importance`: a bit each. What the words weigh together is bounded by what each weighs in documents of
 * the class, and by the cap that none of them is above. */
static uint32_t choose_classes(const geo_index *ix, const geo_searcher *s, const walked *w,
                               uint32_t count, double sets, double importance)
{
    uint32_t chosen = 0;
    double more = importance > 0 ? 0.1 * importance : 0; /* a field has one token at least */
    if (ix->cap_levels == 0)
        return ALL_CLASSES;
    for (uint32_t class = 0; class < GEO_CAP_CLASSES; class ++) {
        double sum = sets + SLACK, cap = INFINITY;
        if (class > 0)
            cap = ix->cap_base[class - 1] + importance * ix->cap_slope[class - 1];
        for (uint32_t i = 0; i < count; i++) {
            double most = w[i].most[class] + more;
            sum += w[i].times * (most < cap ? most : cap);
        }
        chosen |= (uint32_t)(sum >= s->top[0].score) << class;
    }
    return chosen;
}

/* The documents of a word of bitmaps that are in one of these classes. */
static uint64_t bits_of_classes(const geo_index *ix, uint32_t word, uint32_t classes)
{
    uint64_t bits = 0;
    for (uint32_t class = 0; class < GEO_CAP_CLASSES; class ++)
        bits |= classes >> class & 1 ? geo_class_bits(ix, word, class) : 0;
    return bits;
}

/* HOT. Whether none of the documents under a rank entry can be among the best: the index knows what
 * weighs most there, and none of them is more important than `importance`. */
static bool is_hopeless(const geo_index *ix, const geo_searcher *s, const walked *w, uint32_t count,
                        double sets, uint32_t entry, double importance)
{
    double most = sets + SLACK;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t code = w[i].list->tops[entry];
        most += w[i].times * (ix->weight_base[code] + importance * ix->weight_slope[code]);
    }
    return most < s->top[0].score;
}

/* Bitmaps are walked together, a stretch at a time. Once there are enough documents, most stretches have
 * few others that can be among the best: documents fall in importance, a name's words weigh the less the
 * more they are, and the index has a bitmap of the documents with names of one word, of two, of three. */
static void walk_bitmaps(const geo_index *ix, geo_searcher *s, uint32_t limit)
{
    walked w[GEO_SEARCH_KEYS_MAX];
    const uint64_t *bits[GEO_SEARCH_KEYS_MAX + 1];
    const geo_postings *first = &s->probes[0].list;
    uint64_t met[GEO_STRETCH_WORDS];
    double sets;
    for (uint32_t i = 0; i < s->probe_count; i++) {
        if (s->probes[i].kind == GEO_PROBE_WORD && !s->probes[i].again &&
            s->probes[i].list.kind != GEO_POSTINGS_BITMAP) {
            s->corrupt = true; /* a word in more documents than the first, without a bitmap */
            return;
        }
    }
    uint32_t count = find_words(ix, s, w, &sets), lists = 1 + s->sieve_bit_count;
    bits[0] = first->words;
    memcpy(bits + 1, s->sieve_bits, s->sieve_bit_count * sizeof(*bits));
    for (uint32_t from = 0; from < first->word_count; from += GEO_STRETCH_WORDS) {
        uint32_t words = first->word_count - from;
        words = words < GEO_STRETCH_WORDS ? words : GEO_STRETCH_WORDS;
        double importance = ix->importances[(size_t)from * 64];
        uint32_t classes =
            s->top_count == limit ? choose_classes(ix, s, w, count, sets, importance) : ALL_CLASSES;
        if (classes == 0)
            break; /* the rest is less important still */
        uint32_t last = 31 - (uint32_t)__builtin_clz(classes);
        bool capped = last < GEO_CAP_LEVELS;
        if (capped)
            bits[lists] = ix->caps + (size_t)last * ix->cap_words;
        uint32_t some = s->meet(bits, lists + capped, from, words, met);
        for (; some; some &= some - 1) {
            uint32_t word = (uint32_t)__builtin_ctz(some), at = from + word;
            if (s->top_count == limit &&
                is_hopeless(ix, s, w, count, sets, at / GEO_RANK_WORDS, importance))
                continue;
            uint64_t left = met[word];
            if (classes != ALL_CLASSES)
                left &= bits_of_classes(ix, at, classes);
            for (; left; left &= left - 1) {
                uint32_t doc = at * 64 + (uint32_t)__builtin_ctzll(left);
                if (sx_unlikely(doc >= ix->doc_count))
                    s->corrupt = true;
                else if (has_rest(ix, s, doc))
                    take(ix, s, limit, doc);
            }
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

/* A chunk of the first list at a time: those that are in all bitmaps, then in all arrays. */
static void walk_word(const geo_index *ix, geo_searcher *s, uint32_t limit)
{
    geo_postings *list = &s->probes[0].list;
    double others = most_beside(ix, s);
    uint8_t which[GEO_POSTINGS_CHUNK];
    for (uint32_t from = 0; from < list->count; from += GEO_POSTINGS_CHUNK) {
        const uint32_t *docs = list->docs + from;
        uint32_t n =
            list->count - from < GEO_POSTINGS_CHUNK ? list->count - from : GEO_POSTINGS_CHUNK;
        if (sx_unlikely(!geo_docs_exist(ix, docs, n))) {
            s->corrupt = true;
            return;
        }
        n = geo_postings_sieve_bits(s->sieve_bits, s->sieve_bit_count, docs, n, which);
        for (uint32_t i = 0; i < s->sieve_list_count && n; i++)
            n = geo_postings_sieve(s->sieve_lists[i], docs, which, n,
                                   geo_postings_near(s->sieve_lists[i], list), s->sieve_at[i]);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t doc = docs[which[i]];
            list->place = from + which[i];
            if ((s->top_count == limit &&
                 ix->weight_base[list->weights[list->place]] + others < s->top[0].score) ||
                !in_sets(ix, s, doc))
                continue;
            for (uint32_t l = 0; l < s->sieve_list_count; l++)
                s->sieve_lists[l]->place = s->sieve_at[l][which[i]];
            take(ix, s, limit, doc);
        }
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
                consider(ix, s, limit, doc);
        }
        weigh_pending(ix, s, limit); /* the next value's list may have the same documents */
    }
}

/* One word alone, perhaps said again and again: the index keeps the best documents of those that many
 * have. True if no other can be among the best. */
static bool take_best(const geo_index *ix, geo_searcher *s, uint32_t limit)
{
    uint32_t count, times = s->probe_count, heavy = GEO_NOT_HEAVY;
    if (s->probes[0].kind == GEO_PROBE_WORD)
        heavy = geo_heavy_find(ix, s->probes[0].which);
    for (uint32_t i = 1; i < times; i++)
        heavy = s->probes[i].again ? heavy : GEO_NOT_HEAVY;
    if (heavy == GEO_NOT_HEAVY)
        return false;
    const geo_disk_heavy_doc *best = geo_heavy_docs(ix, heavy, &count);
    for (uint32_t i = 0; i < count && best[i].doc < ix->doc_count; i++) {
        double weight = geo_weight(ix, (uint8_t)best[i].weight, best[i].doc), sum = 0;
        if (s->top_count == limit && (times == 1 || s->top[0].score > times * weight + SLACK))
            return true;
        for (uint32_t t = 0; t < times; t++)
            sum += weight;
        keep(s, limit, sum, best[i].doc);
    }
    s->top_count = 0;
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
            consider(ix, s, limit, s->cell[i]);
    } else if (s->probes[0].kind == GEO_PROBE_FILTER) {
        if (has_list(s, &s->probes[0]) && s->probes[0].list.kind == GEO_POSTINGS_BITMAP)
            walk_bitmaps(ix, s, limit);
        else
            walk_filter(ix, s, limit);
    } else if (!take_best(ix, s, limit)) {
        if (s->probes[0].list.kind == GEO_POSTINGS_BITMAP)
            walk_bitmaps(ix, s, limit);
        else
            walk_word(ix, s, limit);
    }
    weigh_pending(ix, s, limit);
    for (uint32_t i = 0; i < s->top_count; i++)
        put(s, s->top[i].doc);
}
