/* query_fuzzy.c - see query_fuzzy.h.
 *
 * Terms are sorted, so a range of them is a node of a trie: the search for close words goes down it with
 * an automaton whose states are bits, and leaves what cannot get close any more. A transposition
 * counts as one error. What may be visited is bounded, so that a large index costs no more time. */
#include "geocode/nominatim/query_fuzzy.h"

enum {
    WORD_MIN = 4,  /* shorter ones are not guessed */
    WORD_LONG = 8, /* from here on with two errors */
    WORD_MAX = 48,
    ERRORS_MAX = 2,
    SCAN_MAX = 4096, /* terms looked at for a completion */
    PART_MIN = 3,    /* of a word that is taken apart */
};

/* How often names hold the word; 0: never. */
static uint32_t uses_of(const nom_words *w, const nom_disk_term *term)
{
    uint32_t count;
    const nom_disk_entry *entries = term ? nom_term_entries(w, term, &count) : NULL;
    for (uint32_t i = 0; entries && i < count; i++) {
        const nom_disk_token *t =
            entries[i].kind == NOM_E_PARTIAL ? nom_token(w, entries[i].token) : NULL;
        if (t)
            return t->count + 1;
    }
    return 0;
}

static const nom_disk_term *find(const nom_words *w, sx_str word)
{
    return nom_term_find(w, word, nom_term_hash(word));
}

/* The automaton that accepts what is close to a word: bit i of `at[k]` is set if, with k errors at most, the
 * letters so far can stand for the word's first i. `turned` holds where a pair of letters is half read
 * in the wrong order. */
typedef struct nearness {
    uint64_t at[ERRORS_MAX + 1], turned[ERRORS_MAX];
} nearness;

typedef struct closest {
    const nom_words *w;
    sx_str word;
    unsigned most, best;
    uint32_t best_uses, effort;
    sx_str found;
    uint64_t inside;      /* bits 0 to the word's length */
    uint64_t second_from; /* where a second error may be: see nom_closest_word */
    uint64_t where[256];  /* bit i: the word's i-th letter is this one */
} closest;

static void take_term(closest *c, uint32_t number, const nearness *n)
{
    unsigned distance = 0;
    while (distance <= c->most && !(n->at[distance] >> c->word.len & 1))
        distance++;
    const nom_disk_term *term = c->w->terms + number;
    if (distance == 0 || distance > c->most || distance > c->best)
        return;
    uint32_t uses = uses_of(c->w, term);
    if (uses > 0 && (distance < c->best || uses > c->best_uses)) {
        c->best = distance;
        c->best_uses = uses;
        c->found = nom_term_text(c->w, term);
    }
}

static bool is_beyond(const nom_words *w, uint32_t term, size_t depth, uint8_t letter)
{
    sx_str text = nom_term_text(w, w->terms + term);
    return text.len > depth && (uint8_t)text.data[depth] > letter;
}

/* The first term of [low, high) whose letter at `depth` is above `letter`: mostly a near one. */
static uint32_t end_of_letter(const nom_words *w, uint32_t low, uint32_t high, size_t depth,
                              uint8_t letter)
{
    uint32_t step = 1;
    while (step < high - low && !is_beyond(w, low + step, depth, letter)) {
        low += step;
        step *= 2;
    }
    high = step < high - low ? low + step : high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (is_beyond(w, middle, depth, letter))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* One more letter. False if what begins so cannot be close. */
static bool read_letter(const closest *c, const nearness *n, uint8_t letter, nearness *out)
{
    uint64_t here = c->where[letter], alive;
    out->at[0] = alive = (n->at[0] & here) << 1;
    for (unsigned k = 1; k <= c->most; k++) {
        uint64_t may = k > 1 ? c->second_from : UINT64_MAX;
        uint64_t fewer = n->at[k - 1] & may;
        uint64_t at = (n->at[k] & here) << 1 | fewer | fewer << 1 | (out->at[k - 1] & may) << 1 |
                      (n->turned[k - 1] & here) << 2;
        out->at[k] = at & c->inside;
        out->turned[k - 1] = fewer & here >> 1;
        alive |= out->at[k] | out->turned[k - 1];
    }
    return alive != 0;
}

/* The first term of [low, high) whose letter at `depth` is `letter` or above. */
static uint32_t start_of_letter(const nom_words *w, uint32_t low, uint32_t high, size_t depth,
                                uint8_t letter)
{
    return letter ? end_of_letter(w, low, high, depth, (uint8_t)(letter - 1)) : low;
}

static void go_down(closest *c, uint32_t low, uint32_t high, size_t depth, const nearness *n);

/* Terms of [low, high) that go on with `letter`; returns where they end. */
static uint32_t follow(closest *c, uint32_t low, uint32_t high, size_t depth, uint8_t letter,
                       const nearness *n)
{
    uint32_t end = end_of_letter(c->w, low, high, depth, letter);
    nearness next;
    c->effort--;
    if (letter != ' ' && read_letter(c, n, letter, &next))
        go_down(c, low, end, depth + 1, &next);
    return end;
}

/* No error is left: only the word's own letters at `places` lead on. */
static void go_straight(closest *c, uint32_t low, uint32_t high, size_t depth, const nearness *n,
                        uint64_t places)
{
    uint64_t done[4] = {0};
    for (; places && c->effort > 0; places &= places - 1) {
        size_t place = (size_t)__builtin_ctzll(places);
        uint8_t letter = place < c->word.len ? (uint8_t)c->word.data[place] : 0;
        if (letter == 0 || (done[letter >> 6] >> (letter & 63) & 1))
            continue;
        done[letter >> 6] |= (uint64_t)1 << (letter & 63);
        uint32_t at = start_of_letter(c->w, low, high, depth, letter);
        if (at < high && !is_beyond(c->w, at, depth, letter))
            (void)follow(c, at, high, depth, letter, n);
    }
}

/* Recursion is bounded by the length of the word. */
static void go_down(closest *c, uint32_t low, uint32_t high, size_t depth, const nearness *n)
{
    for (; low < high && nom_term_text(c->w, c->w->terms + low).len <= depth; low++)
        take_term(c, low, n);
    if (n->at[c->most - 1] == 0) {
        go_straight(c, low, high, depth, n, n->at[c->most] | n->turned[c->most - 1]);
        return;
    }
    while (low < high && c->effort > 0)
        low = follow(c, low, high, depth,
                     (uint8_t)nom_term_text(c->w, c->w->terms + low).data[depth], n);
}

/* Of two errors one at least has to be in the word's second half: to look for both in its beginning
 * takes most of the time, and people seldom err so early. */
sx_str nom_closest_word(const nom_words *w, sx_str word, uint32_t *effort, unsigned *edits)
{
    *edits = 0;
    if (word.len < WORD_MIN || word.len >= WORD_MAX)
        return sx_str_of("", 0);
    closest c = {.w = w, .word = word, .most = 1, .effort = *effort, .found = {"", 0}};
    c.inside = ((uint64_t)2 << word.len) - 1;
    c.second_from = UINT64_MAX << word.len / 2;
    for (size_t i = 0; i < word.len; i++)
        c.where[(uint8_t)word.data[i]] |= (uint64_t)1 << i;
    const nearness start = {.at = {1, 3, 3}}; /* a letter may be missing at once */
    for (; c.found.len == 0 && c.most <= (word.len >= WORD_LONG ? 2u : 1u); c.most++) {
        c.best = c.most + 1;
        go_down(&c, 0, w->term_count, 0, &start);
    }
    *edits = c.best;
    *effort = c.effort;
    return c.found;
}

uint32_t nom_complete_word(const nom_words *w, sx_str prefix, sx_str out[NOM_COMPLETIONS_MAX])
{
    uint32_t count = 0, uses[NOM_COMPLETIONS_MAX];
    uint32_t first = nom_term_from(w, prefix);
    for (uint32_t i = first; i < w->term_count && i - first < SCAN_MAX; i++) {
        sx_str text = nom_term_text(w, w->terms + i);
        if (!sx_str_starts(text, prefix))
            break;
        uint32_t used = sx_str_find_byte(text, ' ') < text.len ? 0 : uses_of(w, w->terms + i);
        if (used == 0 || (count == NOM_COMPLETIONS_MAX && used <= uses[count - 1]))
            continue;
        uint32_t at = count < NOM_COMPLETIONS_MAX ? count++ : count - 1;
        for (; at > 0 && uses[at - 1] < used; at--) {
            uses[at] = uses[at - 1];
            out[at] = out[at - 1];
        }
        uses[at] = used;
        out[at] = text;
    }
    return count;
}

/* --- Unknown words of a query. */

static bool is_known(const nom_words *w, sx_str word)
{
    uint32_t count;
    const nom_disk_term *term = find(w, word);
    if (!term)
        return false;
    (void)nom_term_entries(w, term, &count);
    return count > 0;
}

static bool has_digit(sx_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] >= '0' && s.data[i] <= '9')
            return true;
    return false;
}

static void replace(nom_ask *q, uint32_t node, sx_str word, unsigned edits)
{
    q->nodes[node].ascii = q->nodes[node].normal = word;
    q->guesses += edits;
}

/* "Haupt strasse" that is known as one word. */
static bool join(nom_ask *q, uint32_t node)
{
    if (node + 1 >= q->node_count || q->nodes[node].ends == ',')
        return false;
    sx_str joined = sx_arena_printf(q->arena, "%.*s%.*s", SX_ARG(q->nodes[node].ascii),
                                    SX_ARG(q->nodes[node + 1].ascii));
    if (!joined.data || uses_of(q->words, find(q->words, joined)) == 0)
        return false;
    q->nodes[node].ends = q->nodes[node + 1].ends;
    q->nodes[node].kind = q->nodes[node + 1].kind;
    replace(q, node, joined, 1);
    memmove(q->nodes + node + 1, q->nodes + node + 2,
            (q->node_count - node - 2) * sizeof(nom_node));
    q->node_count--;
    return true;
}

/* "Hauptstrasse12" and "vaduzstadt": two words that are both known. */
static bool part(nom_ask *q, uint32_t node)
{
    sx_str word = q->nodes[node].ascii;
    if (q->node_count == NOM_NODES_MAX)
        return false;
    for (size_t at = PART_MIN; at + PART_MIN <= word.len; at++) {
        sx_str left = sx_str_first(word, at), right = sx_str_from(word, at);
        if (uses_of(q->words, find(q->words, left)) == 0 || !is_known(q->words, right))
            continue;
        memmove(q->nodes + node + 1, q->nodes + node, (q->node_count - node) * sizeof(nom_node));
        q->node_count++;
        q->nodes[node].ends = ' ';
        q->nodes[node].kind = q->nodes[node - 1].kind;
        replace(q, node, left, 1);
        replace(q, node + 1, right, 0);
        return true;
    }
    return false;
}

void nom_ask_guess(nom_ask *q)
{
    for (uint32_t i = 1; i < q->node_count; i++) {
        sx_str word = q->nodes[i].ascii;
        if (has_digit(word) || (i != q->suspect && is_known(q->words, word)))
            continue;
        unsigned edits;
        if (i != q->suspect && (join(q, i) || part(q, i)))
            continue;
        sx_str other = nom_closest_word(q->words, word, &q->effort, &edits);
        if (other.len)
            replace(q, i, other, edits);
    }
}
