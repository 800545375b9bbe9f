/* better.c - see better.h. */
#include "geocode/search/better.h"

#include <math.h>

#include <sextant/mem.h>

enum {
    SLOTS = 1 << 15, /* documents met; a power of two */
    SLOTS_USED_MAX = SLOTS / 2,
    WALK_MAX = 16000,       /* postings walked; frequent words are only asked of what was met */
    WALK_ALONE_MAX = 60000, /* of the rarest word, whatever it is */
    HOPEFULS_MAX = 32,      /* documents compared word by word */
    PROBED_MAX = 96,        /* asked for the frequent words */
    WAYS_MAX = 192,         /* terms that one word may stand for */
    COMPLETIONS_MAX = 64,
    PARTS_MAX = 6, /* words that one may be torn into */
};

static const double EXACT_WORTH = 1, COMPLETED_WORTH = 0.8, TYPO_WORTH[] = {1, 0.7, 0.45},
                    GLUED_WORTH = 0.9;
static const double GOOD = 0.9, /* Addok's similarity from which on nothing is done */
    FAIR = 0.81,                /* ours, from which on errors in known words are not looked for */
    HOLDS = 0.7, BEGINS = 0.9;  /* Addok's for a label that holds or begins with the query */
static const double LEAST_SCORE = 0.1;

/* A term that a word of the query may stand for. */
typedef struct way {
    uint32_t term, count;
    double worth;
} way;

/* A word of the query, or two beside each other, and the terms it may stand for. */
typedef struct slot {
    uint32_t way_count;
    uint64_t documents; /* of all its ways */
    way ways[WAYS_MAX];
} slot;

enum { SLOTS_OF_QUERY_MAX = 2 * GEO_READING_WORDS_MAX };

typedef struct met {
    uint32_t doc; /* plus 1; 0: free */
    uint32_t slot;
    float sum, here; /* of the slots before; of `slot`, the best of its ways */
} met;

typedef struct hopeful {
    double worth;
    uint32_t doc;
} hopeful;

struct geo_better_room {
    geo_reading reading, label;
    geo_read_memo memo;
    geo_asked asked;
    slot slots[SLOTS_OF_QUERY_MAX];
    uint32_t slot_count;
    met table[SLOTS];
    uint32_t used[SLOTS_USED_MAX], used_count;
    hopeful hopefuls[PROBED_MAX];
    uint32_t hopeful_count;
    geo_results results;
    geo_fit fit;
    double best; /* similarity */
};

void geo_better_free(geo_better_room *room)
{
    sx_free(room);
}

/* Addok's similarity of the best of its results. */
static double best_similarity(const geo_searcher *s, const geo_results *addok)
{
    for (uint32_t i = 0; addok->count && i < s->bucket_count; i++) {
        if (s->bucket[i].result.doc == addok->items[0].doc)
            return s->bucket[i].similarity;
    }
    return 0;
}

/* A number that is no postcode and was not taken for a house's: it stands behind the street, or sticks
 * to a word, and the best label may be good without it. */
static bool has_stray_number(const geo_searcher *s)
{
    size_t run = 0;
    for (size_t i = 0; i <= s->cleaned_query.len && !s->has_number; i++) {
        bool digit = i < s->cleaned_query.len && s->cleaned_query.data[i] >= '0' &&
                     s->cleaned_query.data[i] <= '9';
        if (!digit && run > 0 && run <= GEO_NUMBER_DIGITS_MAX)
            return true;
        run = digit ? run + 1 : 0;
    }
    return false;
}

bool geo_better_content(const geo_searcher *s, const geo_query *q, const geo_results *addok)
{
    double best = best_similarity(s, addok);
    bool is_part = q->autocomplete && (best == HOLDS || best == BEGINS);
    bool loose = q->better & (GEO_BETTER_WORD_ORDER | GEO_BETTER_SPLIT_JOIN);
    return is_part || best == 1 || (best >= GOOD && !(loose && has_stray_number(s)));
}

/* ---- what a word may stand for ---- */

static void add_way(const geo_index *ix, slot *s, uint32_t term, double worth)
{
    if (term >= ix->term_count || s->way_count == WAYS_MAX)
        return;
    for (uint32_t i = 0; i < s->way_count; i++) {
        if (s->ways[i].term == term)
            return; /* the first is the best */
    }
    s->ways[s->way_count++] = (way){term, ix->terms[term].count, worth};
    s->documents += ix->terms[term].count;
}

static uint32_t find_sound(const geo_index *ix, const geo_rules *rules, sx_str text)
{
    char room[GEO_TOKEN_BYTES_MAX];
    if (text.len > sizeof(room))
        return GEO_NO_TERM;
    memcpy(room, text.data, text.len);
    return geo_word_find(ix, sx_str_of(room, geo_rules_sound(rules, room, text.len)));
}

static void add_completions(const geo_index *ix, slot *s, sx_str sound)
{
    uint32_t first, end, added = 0;
    geo_term_range(ix, sound, &first, &end);
    for (uint32_t t = first; t < end && added < COMPLETIONS_MAX; t++, added++)
        add_way(ix, s, t, COMPLETED_WORTH);
}

/* A letter may decide how those beside it sound: "blanhe" is one letter from "blanche", but its sound
 * is two from the other's. So words that are written with one error are looked for too. */
static void add_misspelt(const geo_index *ix, const geo_rules *rules, slot *s, sx_str text)
{
    char room[GEO_TOKEN_BYTES_MAX + 1];
    if (text.len < GEO_TYPO_LETTERS_MIN || text.len > GEO_TOKEN_BYTES_MAX - 1)
        return;
    for (size_t at = 0; at <= text.len; at++) {
        size_t left = text.len - at;
        memcpy(room, text.data, at);
        for (char c = 'a'; c <= 'z'; c++) {
            room[at] = c;
            memcpy(room + at + 1, text.data + at, left); /* one was left out */
            add_way(ix, s, find_sound(ix, rules, sx_str_of(room, text.len + 1)), TYPO_WORTH[1]);
            if (left == 0 || c == text.data[at])
                continue;
            memcpy(room + at + 1, text.data + at + 1, left - 1); /* another one */
            add_way(ix, s, find_sound(ix, rules, sx_str_of(room, text.len)), TYPO_WORTH[1]);
        }
        if (left == 0)
            continue;
        memcpy(room + at, text.data + at + 1, left - 1); /* one too many */
        add_way(ix, s, find_sound(ix, rules, sx_str_of(room, text.len - 1)), TYPO_WORTH[1]);
        if (left == 1)
            continue;
        memcpy(room + at, text.data + at, left);
        room[at] = text.data[at + 1];
        room[at + 1] = text.data[at]; /* swapped */
        add_way(ix, s, find_sound(ix, rules, sx_str_of(room, text.len)), TYPO_WORTH[1]);
    }
}

static void add_typos(const geo_index *ix, const geo_asked *asked, slot *s, const geo_read_word *w)
{
    bool two = asked->better & GEO_BETTER_TYPOS_TWO;
    geo_typo typos[GEO_TYPOS_MAX];
    uint32_t most = two && w->text.len + 2 >= GEO_TYPOS_TWO_FROM && w->sound.len >= 5 ? 2 : 1;
    uint32_t count = geo_typos(ix, w->sound, most, typos);
    for (uint32_t i = 0; i < count; i++)
        add_way(ix, s, typos[i].term, TYPO_WORTH[typos[i].edits]);
    add_misspelt(ix, asked->rules, s, w->text);
}

static slot *new_slot(geo_better_room *r)
{
    slot *s = &r->slots[r->slot_count];
    s->way_count = 0;
    s->documents = 0;
    return s;
}

/* Rare words are worth more. Of words that are guessed it is rare that any of them fits. */
static void keep_slot(const geo_index *ix, geo_better_room *r, slot *s)
{
    if (s->way_count == 0 || r->slot_count == SLOTS_OF_QUERY_MAX)
        return;
    for (uint32_t i = 0; i < s->way_count; i++) {
        way *w = &s->ways[i];
        double documents = w->worth == EXACT_WORTH ? w->count : (double)s->documents;
        w->worth *= log(1 + ix->doc_count / (documents + 1));
    }
    r->slot_count++;
}

/* Words that others are often stuck to. */
static bool is_short(sx_str text)
{
    static const sx_str SHORT[] = {SX_STR_INIT("d"),  SX_STR_INIT("de"),  SX_STR_INIT("des"),
                                   SX_STR_INIT("du"), SX_STR_INIT("l"),   SX_STR_INIT("la"),
                                   SX_STR_INIT("le"), SX_STR_INIT("les"), SX_STR_INIT("st"),
                                   SX_STR_INIT("en"), SX_STR_INIT("sur"), SX_STR_INIT("rue")};
    for (size_t i = 0; i < SX_COUNT_OF(SHORT); i++) {
        if (sx_str_eq(text, SHORT[i]))
            return true;
    }
    return false;
}

/* Whether a piece of a word run together is one that people would run together. */
static bool is_piece(const geo_index *ix, const geo_asked *asked, sx_str text, uint32_t *term)
{
    *term = text.len >= 3 || is_short(text)
                ? find_sound(ix, asked->rules, geo_rules_expand(asked->rules, text))
                : GEO_NO_TERM;
    return *term != GEO_NO_TERM;
}

/* Cuts a word into the fewest known pieces, which get slots of their own if they occur together. */
static void add_pieces(const geo_index *ix, geo_better_room *r, sx_str text)
{
    const geo_asked *asked = &r->asked;
    uint32_t fewest[GEO_TOKEN_BYTES_MAX + 1], term_at[GEO_TOKEN_BYTES_MAX + 1];
    uint8_t from[GEO_TOKEN_BYTES_MAX + 1];
    if (text.len < 5 || text.len > GEO_TOKEN_BYTES_MAX)
        return;
    fewest[0] = 0;
    for (size_t to = 1; to <= text.len; to++) {
        fewest[to] = UINT32_MAX;
        for (size_t at = 0; at < to; at++) {
            uint32_t term;
            /* Short pieces are dear: "rue" and "mont" rather than "ru", "em" and "ont". */
            sx_str piece = sx_str_first(sx_str_from(text, at), to - at);
            uint32_t cost = is_short(piece) ? 1 : to - at >= 4 ? 2 : 3;
            if ((at == 0 && to == text.len) || fewest[at] == UINT32_MAX ||
                fewest[at] + cost >= fewest[to] || !is_piece(ix, asked, piece, &term))
                continue;
            fewest[to] = fewest[at] + cost;
            from[to] = (uint8_t)at;
            term_at[to] = term;
        }
    }
    if (fewest[text.len] > 3 * PARTS_MAX)
        return;
    uint32_t pieces[GEO_TOKEN_BYTES_MAX], count = 0;
    for (size_t to = text.len; to > 0; to = from[to])
        pieces[count++] = term_at[to];
    for (uint32_t i = 0; i < count; i++) {
        bool goes = true;
        for (uint32_t k = 0; k < count && goes; k++)
            goes = geo_terms_meet(ix, pieces[i], pieces[k]);
        if (!goes)
            return;
    }
    for (uint32_t i = 0; i < count && r->slot_count < SLOTS_OF_QUERY_MAX; i++) {
        slot *s = new_slot(r);
        add_way(ix, s, pieces[i], GLUED_WORTH);
        keep_slot(ix, r, s);
    }
}

/* `hard`: known words may be wrong ones too. */
static void make_slots(const geo_index *ix, geo_better_room *r, bool hard)
{
    const geo_asked *a = &r->asked;
    r->slot_count = 0;
    for (uint32_t i = 0; i < r->reading.count && r->slot_count < SLOTS_OF_QUERY_MAX; i++) {
        const geo_read_word *w = &r->reading.words[i];
        bool is_word = w->kind == GEO_READ_WORD && !w->filler;
        uint32_t term = geo_word_find(ix, w->sound);
        slot *s = new_slot(r);
        add_way(ix, s, term, EXACT_WORTH);
        if (a->unfinished && i + 1 == r->reading.count && is_word && w->sound.len >= 3)
            add_completions(ix, s, w->sound);
        bool doubtful = is_word && (term == GEO_NO_TERM || hard);
        if (doubtful && (a->better & GEO_BETTER_TYPOS) && w->text.len >= GEO_TYPO_LETTERS_MIN)
            add_typos(ix, a, s, w);
        keep_slot(ix, r, s);
        if (doubtful && (a->better & GEO_BETTER_SPLIT_JOIN))
            add_pieces(ix, r, w->text);
        if (!(a->better & GEO_BETTER_SPLIT_JOIN) || !is_word || i + 1 == r->reading.count ||
            r->slot_count == SLOTS_OF_QUERY_MAX)
            continue;
        char both[2 * GEO_TOKEN_BYTES_MAX];
        const geo_read_word *next = &r->reading.words[i + 1];
        if (w->text.len + next->text.len > sizeof(both) || next->kind != GEO_READ_WORD)
            continue;
        memcpy(both, w->text.data, w->text.len);
        memcpy(both + w->text.len, next->text.data, next->text.len);
        s = new_slot(r);
        add_way(ix, s, find_sound(ix, a->rules, sx_str_of(both, w->text.len + next->text.len)),
                GLUED_WORTH);
        keep_slot(ix, r, s);
    }
}

/* ---- which documents have them ---- */

static met *find_met(geo_better_room *r, uint32_t doc)
{
    uint32_t at = (doc * 2654435761u) >> 17; /* the top 15 bits */
    while (r->table[at].doc && r->table[at].doc != doc + 1)
        at = (at + 1) % SLOTS;
    return &r->table[at];
}

static void meet(geo_better_room *r, uint32_t doc, uint32_t slot_at, double worth)
{
    met *m = find_met(r, doc);
    if (m->doc == 0) {
        if (r->used_count == SLOTS_USED_MAX)
            return;
        r->used[r->used_count++] = (uint32_t)(m - r->table);
        *m = (met){doc + 1, slot_at, 0, 0};
    }
    if (m->slot != slot_at) {
        m->sum += m->here;
        m->here = 0;
        m->slot = slot_at;
    }
    if ((float)worth > m->here)
        m->here = (float)worth;
}

static void clear_met(geo_better_room *r)
{
    for (uint32_t i = 0; i < r->used_count; i++)
        r->table[r->used[i]] = (met){0};
    r->used_count = 0;
}

/* Walks a slot's lists, the best ways first, as far as the budget goes. */
static void walk(const geo_index *ix, geo_better_room *r, uint32_t slot_at, uint64_t *budget)
{
    const slot *s = &r->slots[slot_at];
    for (uint32_t i = 0; i < s->way_count && *budget; i++) {
        geo_postings list;
        uint8_t weight;
        geo_postings_open(ix, s->ways[i].term, &list);
        for (uint32_t doc; *budget && (doc = geo_postings_next(&list, &weight)) != GEO_NO_DOC;) {
            if (doc < ix->doc_count)
                meet(r, doc, slot_at, s->ways[i].worth);
            --*budget;
        }
    }
}

static double total(const met *m)
{
    return (double)m->sum + (double)m->here;
}

/* Of equal worth, the more important document, which has the smaller id. */
static bool is_behind(const hopeful *a, double worth, uint32_t doc)
{
    return a->worth < worth || (a->worth == worth && a->doc > doc);
}

static void hope(geo_better_room *r, uint32_t most, double worth, uint32_t doc)
{
    uint32_t at = r->hopeful_count;
    if (at == most && !is_behind(&r->hopefuls[at - 1], worth, doc))
        return;
    if (r->hopeful_count < most)
        r->hopeful_count++;
    else
        at--;
    for (; at > 0 && is_behind(&r->hopefuls[at - 1], worth, doc); at--)
        r->hopefuls[at] = r->hopefuls[at - 1];
    r->hopefuls[at] = (hopeful){worth, doc};
}

/* What the words that were not walked add to a document that was met. */
static double probe(const geo_index *ix, const geo_better_room *r, const bool *walked, uint32_t doc)
{
    uint32_t terms[GEO_DOC_TERMS_MAX], count = geo_doc_terms(ix, doc, terms);
    double sum = 0;
    for (uint32_t i = 0; i < r->slot_count; i++) {
        double best = 0;
        for (uint32_t w = 0; w < r->slots[i].way_count && !walked[i]; w++) {
            const way *one = &r->slots[i].ways[w];
            for (uint32_t t = 0; t < count && terms[t] <= one->term && one->worth > best; t++)
                best = terms[t] == one->term ? one->worth : best;
        }
        sum += best;
    }
    return sum;
}

/* The documents that have most of the words, into r->hopefuls. */
static void gather(const geo_index *ix, const geo_searcher *s, geo_better_room *r)
{
    bool walked[SLOTS_OF_QUERY_MAX] = {false};
    uint64_t budget = WALK_MAX;
    for (uint32_t round = 0; round < r->slot_count; round++) {
        uint32_t rarest = UINT32_MAX;
        for (uint32_t i = 0; i < r->slot_count; i++) {
            if (!walked[i] &&
                (rarest == UINT32_MAX || r->slots[i].documents < r->slots[rarest].documents))
                rarest = i;
        }
        if (round == 0 && r->slots[rarest].documents > budget)
            budget = WALK_ALONE_MAX;
        else if (r->slots[rarest].documents > budget)
            break;
        walk(ix, r, rarest, &budget);
        walked[rarest] = true;
    }
    r->hopeful_count = 0;
    for (uint32_t i = 0; i < r->used_count; i++) {
        const met *m = &r->table[r->used[i]];
        if (s->group_count == 0 || geo_bucket_passes(ix, s, m->doc - 1))
            hope(r, PROBED_MAX, total(m), m->doc - 1);
    }
    hopeful probed[PROBED_MAX];
    uint32_t count = r->hopeful_count;
    memcpy(probed, r->hopefuls, count * sizeof(*probed));
    r->hopeful_count = 0;
    for (uint32_t i = 0; i < count; i++)
        hope(r, HOPEFULS_MAX, probed[i].worth + probe(ix, r, walked, probed[i].doc), probed[i].doc);
    clear_met(r);
}

/* ---- comparing ---- */

void geo_better_ask(const geo_searcher *s, const geo_query *q, geo_reading *reading,
                    geo_asked *asked)
{
    *asked = (geo_asked){.rules = s->rules,
                         .reading = reading,
                         .better = q->better,
                         .unfinished = q->autocomplete,
                         .takes_numbers = !s->type_filtered || s->takes_housenumber};
    geo_read(s->rules, NULL, s->cleaned_query, q->better & GEO_BETTER_SPLIT_JOIN, reading);
    if (!s->has_number)
        return;
    asked->number_text = s->number_text;
    asked->number = s->number;
    geo_read_drop_number(reading, s->number_text);
}

/* Compares one document and puts it among the results. */
static void consider(const geo_index *ix, geo_searcher *s, const geo_query *q, geo_better_room *r,
                     uint32_t doc)
{
    geo_result result = {.doc = doc,
                         .number = GEO_NO_NUMBER,
                         .lon_e7 = ix->docs[doc].lon_e7,
                         .lat_e7 = ix->docs[doc].lat_e7,
                         .distance_m = -1};
    for (uint32_t i = 0; i < r->results.count; i++) {
        if (r->results.items[i].doc == doc)
            return;
    }
    if (!geo_doc_label_parts(ix, doc, &s->parts)) {
        s->corrupt = true;
        return;
    }
    geo_fit_doc(ix, &r->asked, doc, &s->parts, &r->label, &r->fit);
    sx_str number = {"", 0};
    if (r->fit.at_number != GEO_NO_NUMBER || r->fit.made_len) {
        number = r->asked.number_text.len ? r->asked.number_text
                                          : r->reading.words[r->fit.number_word].raw;
        result.number = r->fit.at_number;
        result.lon_e7 = r->fit.lon_e7;
        result.lat_e7 = r->fit.lat_e7;
        result.made_len = r->fit.made_len;
        memcpy(result.made, r->fit.made, sizeof(result.made));
    } else if (!geo_search_passes_bare(s, q)) {
        return;
    }
    double letters = geo_similarity(s, &ix->docs[doc], number, false);
    double similarity =
        GEO_AGREEMENT_SHARE * r->fit.agreement + (1 - GEO_AGREEMENT_SHARE) * letters;
    geo_search_rate(ix, q, similarity, &result);
    if (similarity > r->best)
        r->best = similarity;
    if (result.score >= LEAST_SCORE)
        geo_results_insert(ix, &r->results, s->wanted, &result);
}

static void compare_all(const geo_index *ix, geo_searcher *s, const geo_query *q,
                        geo_better_room *r, const geo_results *addok)
{
    geo_pairs_begin(&s->pairs, s->query);
    for (uint32_t i = 0; addok && i < addok->count; i++)
        consider(ix, s, q, r, addok->items[i].doc);
    for (uint32_t i = 0; i < r->hopeful_count; i++)
        consider(ix, s, q, r, r->hopefuls[i].doc);
    geo_pairs_end(&s->pairs, s->query);
}

/* ---- house numbers that are not there ---- */

static void interpolate(const geo_index *ix, const geo_searcher *s, const geo_query *q,
                        geo_results *out)
{
    if (!s->has_number || (s->type_filtered && !s->takes_housenumber) ||
        s->number_text.len > GEO_MADE_NUMBER_MAX)
        return;
    for (uint32_t i = 0; i < out->count; i++) {
        geo_result *r = &out->items[i];
        if (r->number != GEO_NO_NUMBER || r->made_len || ix->docs[r->doc].number_count == 0 ||
            !geo_number_between(ix, r->doc, &s->number, &r->lon_e7, &r->lat_e7))
            continue;
        memcpy(r->made, s->number_text.data, s->number_text.len);
        r->made_len = (uint8_t)s->number_text.len;
        if (q->has_point)
            r->distance_m = geo_distance_m(q->lat, q->lon, r->lat_e7 / 1e7, r->lon_e7 / 1e7);
    }
    geo_step_done(s, GEO_STEP_INTERPOLATE);
}

sx_status geo_better_search(const geo_index *ix, geo_searcher *s, const geo_query *q,
                            geo_results *out, sx_error *err)
{
    const uint32_t HERE = GEO_BETTER_ALL & ~GEO_BETTER_ANY_DISTANCE & ~GEO_BETTER_INTERPOLATE;
    bool content = geo_better_content(s, q, out) || !(q->better & HERE) || s->nothing_passes;
    if (!content) {
        if (!s->better)
            s->better = sx_calloc(1, sizeof(*s->better));
        geo_better_room *r = s->better;
        if (!r)
            return sx_fail_memory(err, "a better search");
        r->results.count = 0;
        r->best = 0;
        geo_better_ask(s, q, &r->reading, &r->asked);
        r->asked.memo = &r->memo;
        make_slots(ix, r, false);
        gather(ix, s, r);
        compare_all(ix, s, q, r, out);
        geo_step_done(s, GEO_STEP_BETTER);
        if (r->best < FAIR) {
            make_slots(ix, r, true);
            gather(ix, s, r);
            compare_all(ix, s, q, r, NULL);
            geo_step_done(s, GEO_STEP_BETTER_TYPOS);
        }
        *out = r->results;
    }
    if (q->better & GEO_BETTER_INTERPOLATE)
        interpolate(ix, s, q, out);
    return SX_OK;
}
