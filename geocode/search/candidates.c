/* candidates.c - which documents are worth comparing with the query.
 *
 * First those that have every word: the rarest word's list is walked, most important documents
 * first, and each document is probed for the other words and the filters. If none has all, those
 * that have the rarest words, by how much of the query's rarity they cover. Both walks have a bound,
 * so a query of common words costs no more than one of rare ones. */
#include <math.h>

#include "geocode/search/searcher.h"

/* --- The plan: words and filters as terms. */

static uint32_t range_count(const geo_index *ix, uint32_t first, uint32_t end)
{
    uint64_t count = 0;
    for (uint32_t t = first; t < end && count < ix->doc_count; t++)
        count += ix->terms[t].count;
    return count < ix->doc_count ? (uint32_t)count : ix->doc_count;
}

static bool wanted_already(const geo_searcher *s, uint32_t first, uint32_t end)
{
    for (uint32_t i = 0; i < s->want_count; i++) {
        if (s->wants[i].first == first && s->wants[i].end == end)
            return true;
    }
    return false;
}

/* Adds a word, or (`unfinished`) everything it may be the beginning of. Unknown words are left out:
 * nothing could match. */
static void want(const geo_index *ix, geo_searcher *s, const geo_token *t, bool unfinished,
                 geo_need need)
{
    if (s->want_count == GEO_SEARCH_TERMS_MAX)
        return;
    uint32_t term = geo_term_find(ix, t->text), first = term, end = term + 1;
    /* The unfinished word as it was written: "r" is "rue" when whole, but may become "rivoli". */
    sx_str written = sx_str_of(s->query.data + t->from, t->to - t->from);
    if (unfinished)
        geo_term_range(ix, written, &first, &end);
    if (first == end && term != GEO_NO_TERM) {
        first = term;
        end = term + 1;
    }
    if (first >= ix->term_count || first >= end || wanted_already(s, first, end))
        return;
    geo_want *w = &s->wants[s->want_count++];
    *w = (geo_want){.first = first, .end = end, .term = term, .need = need, .text = written};
    w->count = end - first == 1 ? ix->terms[first].count : range_count(ix, first, end);
    if (term != GEO_NO_TERM && (term < first || term >= end))
        w->count += ix->terms[term].count;
    w->rarity = log(1 + (double)ix->doc_count / (w->count + 1.0));
    geo_postings_open(ix, term, &w->list);
}

/* Numbers are optional words: one may be the house number, or the floor, or the year of a street's
 * name. In a query of numbers alone they are all there is. */
static void plan_words(const geo_index *ix, geo_searcher *s, bool autocomplete)
{
    bool only_numbers = true;
    for (size_t i = 0; i < s->token_count; i++)
        only_numbers = only_numbers && s->tokens[i].number_like;
    for (size_t i = 0; i < s->token_count; i++) {
        geo_token *t = &s->tokens[i];
        bool last = i + 1 == s->token_count;
        if (t->flagged && s->number_count < GEO_SEARCH_NUMBERS_MAX &&
            geo_number_parse(t->text, &s->numbers[s->number_count]))
            s->number_texts[s->number_count++] = t->text;
        geo_need need = t->flagged       ? GEO_NEED_HOUSE
                        : t->number_like ? GEO_NEED_NUMBER
                                         : GEO_NEED_WORD;
        want(ix, s, t, autocomplete && last, only_numbers ? GEO_NEED_WORD : need);
    }
}

/* All values of one key become one group. */
static void plan_group(const geo_index *ix, geo_searcher *s, const geo_query *q, size_t from)
{
    geo_filter_group *g = &s->groups[s->group_count++];
    bool is_type = sx_str_eq(q->filters[from].key, SX_STR("type"));
    *g = (geo_filter_group){q->filters[from].key, s->filter_term_count, 0};
    for (size_t i = from; i < q->filter_count; i++) {
        if (!sx_str_eq(q->filters[i].key, g->key))
            continue;
        if (is_type && sx_str_eq(q->filters[i].value, SX_STR("housenumber")))
            s->takes_housenumber = true;
        uint32_t term = geo_filter_term(ix, g->key, q->filters[i].value);
        if (term != GEO_NO_TERM) {
            s->filter_terms[s->filter_term_count++] = term;
            g->count++;
        }
    }
    s->type_filtered = s->type_filtered || is_type;
    s->nothing_passes = s->nothing_passes || g->count == 0;
}

static void plan_filters(const geo_index *ix, geo_searcher *s, const geo_query *q)
{
    for (size_t i = 0; i < q->filter_count; i++) {
        bool known = false;
        for (uint32_t g = 0; g < s->group_count; g++)
            known = known || sx_str_eq(s->groups[g].key, q->filters[i].key);
        if (!known && geo_filter_known(ix, q->filters[i].key) &&
            s->group_count < GEO_SEARCH_GROUPS_MAX)
            plan_group(ix, s, q, i);
    }
}

void geo_search_plan(const geo_index *ix, geo_searcher *s, const geo_query *q)
{
    s->want_count = s->number_count = 0;
    s->group_count = s->filter_term_count = 0;
    s->nothing_passes = s->type_filtered = s->takes_housenumber = false;
    plan_words(ix, s, q->autocomplete);
    plan_filters(ix, s, q);
}

/* --- Documents against the plan. */

static bool in_range(const uint32_t *terms, uint32_t count, uint32_t first, uint32_t end)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (terms[middle] < first)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && terms[low] < end;
}

static bool passes_filters(const geo_searcher *s, const uint32_t *terms, uint32_t count)
{
    for (uint32_t g = 0; g < s->group_count; g++) {
        bool passes = false;
        for (uint32_t i = 0; i < s->groups[g].count && !passes; i++) {
            uint32_t term = s->filter_terms[s->groups[g].first + i];
            passes = in_range(terms, count, term, term + 1);
        }
        if (!passes)
            return false;
    }
    return true;
}

/* Whether a document has the word, as the present pass matches words. */
static bool has_word(const geo_searcher *s, const geo_want *w, const uint32_t *terms,
                     uint32_t count)
{
    if (w->term != GEO_NO_TERM && in_range(terms, count, w->term, w->term + 1))
        return true;
    bool whole = s->whole_words && w->term != GEO_NO_TERM;
    return !whole && in_range(terms, count, w->first, w->end);
}

/* How well a document's words fit: the sum of the words' weights in it, as Addok sums them, and its
 * importance. A word that is only begun weighs as one of the name's many. */
static double fit(const geo_index *ix, geo_searcher *s, uint32_t doc)
{
    double sum = ix->docs[doc].importance;
    for (uint32_t i = 0; i < s->want_count; i++) {
        uint8_t weight;
        if (s->wants[i].term != GEO_NO_TERM && geo_postings_has(&s->wants[i].list, doc, &weight))
            sum += ix->weights[weight];
    }
    return sum;
}

/* Keeps the best; the worst kept is at the root of a heap once it is full. */
static void sift(geo_candidate *heap, uint32_t count, uint32_t at)
{
    for (;;) {
        uint32_t least = at, left = 2 * at + 1;
        for (uint32_t child = left; child < count && child < left + 2; child++) {
            if (heap[child].value < heap[least].value)
                least = child;
        }
        if (least == at)
            return;
        geo_candidate swap = heap[at];
        heap[at] = heap[least];
        heap[least] = swap;
        at = least;
    }
}

static void keep(geo_searcher *s, uint32_t doc, double value)
{
    geo_candidate *c = s->candidates;
    if (s->candidate_count < GEO_SEARCH_CANDIDATES_MAX) {
        c[s->candidate_count++] = (geo_candidate){doc, value};
        if (s->candidate_count == GEO_SEARCH_CANDIDATES_MAX) {
            for (uint32_t i = GEO_SEARCH_CANDIDATES_MAX / 2; i-- > 0;)
                sift(c, s->candidate_count, i);
        }
    } else if (value > c[0].value) {
        c[0] = (geo_candidate){doc, value};
        sift(c, s->candidate_count, 0);
    }
}

/* Whether `doc` is met for the first time in this query. */
static bool first_sight(geo_searcher *s, uint32_t doc)
{
    uint32_t slot = (doc * 2654435761u) >> 19; /* the top 13 bits */
    while (s->seen[slot] && s->seen[slot] != doc + 1)
        slot = (slot + 1) % GEO_SEARCH_SEEN_SLOTS;
    if (s->seen[slot])
        return false;
    if (s->seen_count >= GEO_SEARCH_SEEN_SLOTS / 2)
        return false; /* more than any bound below lets through: cannot happen */
    s->seen[slot] = doc + 1;
    s->seen_used[s->seen_count++] = slot;
    return true;
}

static void forget_seen(geo_searcher *s)
{
    while (s->seen_count)
        s->seen[s->seen_used[--s->seen_count]] = 0;
}

/* HOT: 20 to 80 ns. Whole words are probed in their lists; only if all are there are the document's
 * terms read, for what cannot be probed: unfinished words and filters. */
static void consider(const geo_index *ix, geo_searcher *s, uint32_t doc)
{
    uint32_t ranges = 0;
    for (uint32_t i = 0; i < s->want_count; i++) {
        geo_want *w = &s->wants[i];
        if (w->need > s->level || i == s->lead)
            continue;
        bool whole = w->term != GEO_NO_TERM && (s->whole_words || w->end - w->first == 1);
        if (!whole)
            ranges++;
        else if (!geo_postings_has(&w->list, doc, NULL))
            return;
    }
    if (ranges || s->group_count) {
        uint32_t terms[GEO_DOC_TERMS_MAX];
        uint32_t count = geo_doc_terms(ix, doc, terms);
        for (uint32_t i = 0; ranges && i < s->want_count; i++) {
            if (s->wants[i].need <= s->level && i != s->lead &&
                !has_word(s, &s->wants[i], terms, count))
                return;
        }
        if (!passes_filters(s, terms, count))
            return;
    }
    s->matches++;
    keep(s, doc, fit(ix, s, doc) + s->bonus);
}

typedef void (*visitor)(const geo_index *ix, geo_searcher *s, uint32_t doc);

/* Whether neither `doc` nor any less important one can take a place among the candidates. */
static bool is_hopeless(const geo_index *ix, const geo_searcher *s, uint32_t doc)
{
    return s->candidate_count == GEO_SEARCH_CANDIDATES_MAX &&
           ix->docs[doc].importance + s->best_fit + s->bonus <= s->candidates[0].value;
}

/* Visits the documents of a list, each once a pass, until `*left` of them were looked at, enough
 * matched, or the rest is hopeless. */
static void walk_list(const geo_index *ix, geo_searcher *s, uint32_t term, uint32_t *left,
                      visitor visit)
{
    geo_postings list;
    uint8_t weight;
    geo_postings_open(ix, term, &list);
    s->corrupt = s->corrupt || list.bad;
    while (*left > 0 && s->matches < GEO_SEARCH_MATCHES_MAX) {
        uint32_t doc = geo_postings_next(&list, &weight);
        if (doc == GEO_NO_DOC)
            return;
        --*left;
        if (doc >= ix->doc_count) {
            s->corrupt = true;
            return;
        }
        if (is_hopeless(ix, s, doc))
            return;
        if (first_sight(s, doc))
            visit(ix, s, doc);
    }
}

/* Walks the documents of one wanted word: of its own term, then (unless only whole words are
 * matched) of the terms it may become, the precomputed best ones first. */
static void walk_word(const geo_index *ix, geo_searcher *s, uint32_t which, uint32_t most,
                      visitor visit)
{
    const geo_want *w = &s->wants[which];
    const uint32_t *best;
    uint32_t best_count = 0;
    if (w->term != GEO_NO_TERM) {
        walk_list(ix, s, w->term, &most, visit);
        if (s->whole_words || (w->first == w->term && w->end == w->term + 1))
            return;
    }
    if (geo_prefix_docs(ix, w->text, &best, &best_count)) {
        for (uint32_t i = 0; i < best_count; i++) {
            if (best[i] < ix->doc_count && first_sight(s, best[i]))
                visit(ix, s, best[i]);
        }
        /* With other words or filters the best ones may all fail; else they are enough. */
        if (s->want_count == 1 && s->group_count == 0)
            return;
    }
    for (uint32_t t = w->first; t < w->end && most > 0; t++) {
        if (t != w->term)
            walk_list(ix, s, t, &most, visit);
    }
}

/* How many documents a word has in this pass. */
static uint32_t count_of(const geo_index *ix, const geo_searcher *s, const geo_want *w)
{
    return s->whole_words && w->term != GEO_NO_TERM ? ix->terms[w->term].count : w->count;
}

/* Walks the documents that pass one filter. */
static void walk_group(const geo_index *ix, geo_searcher *s, const geo_filter_group *g,
                       uint32_t most)
{
    for (uint32_t i = 0; i < g->count; i++)
        walk_list(ix, s, s->filter_terms[g->first + i], &most, consider);
}

static uint32_t group_size(const geo_index *ix, const geo_searcher *s, const geo_filter_group *g)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < g->count; i++)
        sum += ix->terms[s->filter_terms[g->first + i]].count;
    return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

/* One pass: the documents of the rarest word that must match, or of a filter that is rarer still,
 * are looked at. Nothing if no word must match. */
static void pass(const geo_index *ix, geo_searcher *s, geo_need level, bool whole_words)
{
    uint32_t least = GEO_SEARCH_TERMS_MAX, least_count = UINT32_MAX;
    const geo_filter_group *group = NULL;
    s->level = level;
    s->bonus = 10 * level;
    s->whole_words = whole_words;
    s->matches = 0;
    for (uint32_t i = 0; i < s->candidate_count; i++)
        (void)first_sight(s, s->candidates[i].doc); /* an earlier pass found it */
    s->best_fit = 0;
    for (uint32_t i = 0; i < s->want_count; i++) {
        if (s->wants[i].term != GEO_NO_TERM)
            s->best_fit += ix->weights[ix->terms[s->wants[i].term].weight];
        if (s->wants[i].need > level)
            continue;
        uint32_t count = count_of(ix, s, &s->wants[i]);
        if (least == GEO_SEARCH_TERMS_MAX || count < least_count) {
            least = i;
            least_count = count;
        }
    }
    if (least == GEO_SEARCH_TERMS_MAX)
        return;
    for (uint32_t g = 0; g < s->group_count; g++) {
        uint32_t count = group_size(ix, s, &s->groups[g]);
        /* Lists of several values come one after the other, not by importance: whole or not. */
        if (count < least_count && (s->groups[g].count == 1 || count <= GEO_SEARCH_VISITS_MAX)) {
            group = &s->groups[g];
            least_count = count;
        }
    }
    s->lead = group ? GEO_SEARCH_TERMS_MAX : least;
    if (group)
        walk_group(ix, s, group, GEO_SEARCH_VISITS_MAX);
    else
        walk_word(ix, s, least,
                  whole_words ? GEO_SEARCH_VISITS_MAX : GEO_SEARCH_UNFINISHED_VISITS_MAX, consider);
    forget_seen(s);
}

/* Documents whose whole name is the query: they may be far down every list. */
static void whole_names(const geo_index *ix, geo_searcher *s)
{
    char text[GEO_NAME_BYTES_MAX];
    sx_str name = geo_name_text(s->query, text);
    uint32_t term = name.len ? geo_term_find(ix, name) : GEO_NO_TERM;
    uint32_t left = GEO_SEARCH_CANDIDATES_MAX / 2;
    s->level = GEO_NEED_WORD;
    s->bonus = 100;
    s->whole_words = true;
    s->lead = GEO_SEARCH_TERMS_MAX;
    s->matches = 0;
    s->best_fit = HUGE_VAL;
    if (term != GEO_NO_TERM)
        walk_list(ix, s, term, &left, consider);
    forget_seen(s);
}

static bool any_need(const geo_searcher *s, geo_need need)
{
    for (uint32_t i = 0; i < s->want_count; i++) {
        if (s->wants[i].need == need)
            return true;
    }
    return false;
}

/* A pass with whole words, and one with the last word unfinished where that may add something: of a
 * single word, only if few have it whole. */
static void both_passes(const geo_index *ix, geo_searcher *s, geo_need level)
{
    const geo_want *last = &s->wants[s->want_count - 1];
    bool unfinished = last->end - last->first > 1 || last->first != last->term;
    pass(ix, s, level, true);
    if (unfinished && last->term != GEO_NO_TERM &&
        (s->want_count > 1 || s->candidate_count < GEO_SEARCH_ENOUGH))
        pass(ix, s, level, false);
}

void geo_search_all_words(const geo_index *ix, geo_searcher *s)
{
    s->candidate_count = 0;
    if (s->want_count == 0 || s->nothing_passes)
        return;
    whole_names(ix, s);
    if (any_need(s, GEO_NEED_HOUSE))
        pass(ix, s, GEO_NEED_HOUSE, true);
    if (!any_need(s, GEO_NEED_NUMBER)) {
        both_passes(ix, s, GEO_NEED_WORD);
        return;
    }
    uint32_t before = s->candidate_count;
    both_passes(ix, s, GEO_NEED_NUMBER);
    if (s->candidate_count == before)
        both_passes(ix, s, GEO_NEED_WORD);
}

/* Keeps a document by the rarity of the words that it does have. */
static void consider_some(const geo_index *ix, geo_searcher *s, uint32_t doc)
{
    uint32_t terms[GEO_DOC_TERMS_MAX];
    uint32_t count = geo_doc_terms(ix, doc, terms);
    double sum = ix->docs[doc].importance;
    for (uint32_t i = 0; i < s->want_count; i++) {
        if (has_word(s, &s->wants[i], terms, count))
            sum += s->wants[i].need ? s->wants[i].rarity / 2 : s->wants[i].rarity;
    }
    if (passes_filters(s, terms, count))
        keep(s, doc, sum);
}

void geo_search_rare_words(const geo_index *ix, geo_searcher *s)
{
    s->candidate_count = 0;
    s->whole_words = false;
    s->matches = 0;
    s->bonus = 0;
    s->best_fit = 0;
    for (uint32_t i = 0; i < s->want_count; i++)
        s->best_fit += s->wants[i].rarity;
    if (s->nothing_passes)
        return;
    bool done[GEO_SEARCH_TERMS_MAX] = {false};
    for (uint32_t round = 0; round < s->want_count && round < GEO_SEARCH_RARE_ROUNDS_MAX; round++) {
        uint32_t least = GEO_SEARCH_TERMS_MAX;
        for (uint32_t i = 0; i < s->want_count; i++) {
            if (!done[i] &&
                (least == GEO_SEARCH_TERMS_MAX || s->wants[i].count < s->wants[least].count))
                least = i;
        }
        done[least] = true;
        walk_word(ix, s, least, GEO_SEARCH_RARE_VISITS_MAX, consider_some);
    }
    forget_seen(s);
}
