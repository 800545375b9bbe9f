/* query_fuzzy.c - see query_fuzzy.h.
 *
 * Terms are sorted, so a range of them is a node of a trie: the search for close words goes down it with
 * one row of the distance table a letter, and leaves what cannot get close any more. A transposition
 * counts as one error. What may be visited is bounded, so that a large index costs no more time. */
#include "geocode/nominatim/query_fuzzy.h"

enum {
    WORD_MIN = 4,  /* shorter ones are not guessed */
    WORD_LONG = 8, /* from here on with two errors */
    WORD_MAX = 48,
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

typedef struct closest {
    const nom_words *w;
    sx_str word;
    unsigned most, best;
    uint32_t best_uses, effort;
    sx_str found;
    unsigned rows[WORD_MAX + 3][WORD_MAX + 1];
} closest;

static void take_term(closest *c, uint32_t number, unsigned distance)
{
    const nom_disk_term *term = c->w->terms + number;
    uint32_t uses = uses_of(c->w, term);
    if (uses == 0 || distance == 0)
        return;
    if (distance < c->best || (distance == c->best && uses > c->best_uses)) {
        c->best = distance;
        c->best_uses = uses;
        c->found = nom_term_text(c->w, term);
    }
}

/* The first term of [low, high) whose letter at `depth` is above `letter`. */
static uint32_t end_of_letter(const nom_words *w, uint32_t low, uint32_t high, size_t depth,
                              uint8_t letter)
{
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        sx_str text = nom_term_text(w, w->terms + middle);
        if (text.len > depth && (uint8_t)text.data[depth] > letter)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The row of the distance table for `letter` as the depth-th one; returns its least value. */
static unsigned next_row(closest *c, size_t depth, char letter, char before)
{
    unsigned *row = c->rows[depth], *above = c->rows[depth - 1];
    unsigned least = row[0] = (unsigned)depth;
    for (size_t i = 1; i <= c->word.len; i++) {
        unsigned value = above[i - 1] + (c->word.data[i - 1] != letter);
        value = above[i] + 1 < value ? above[i] + 1 : value;
        value = row[i - 1] + 1 < value ? row[i - 1] + 1 : value;
        if (depth > 1 && i > 1 && c->word.data[i - 1] == before && c->word.data[i - 2] == letter &&
            c->rows[depth - 2][i - 2] + 1 < value)
            value = c->rows[depth - 2][i - 2] + 1;
        row[i] = value;
        least = value < least ? value : least;
    }
    return least;
}

/* Recursion is bounded by the length of the word. */
static void go_down(closest *c, uint32_t low, uint32_t high, size_t depth, char before)
{
    while (low < high && c->effort > 0) {
        sx_str text = nom_term_text(c->w, c->w->terms + low);
        if (text.len <= depth) {
            if (c->rows[depth][c->word.len] <= c->most)
                take_term(c, low, c->rows[depth][c->word.len]);
            low++;
            continue;
        }
        char letter = text.data[depth];
        uint32_t end = end_of_letter(c->w, low, high, depth, (uint8_t)letter);
        c->effort--;
        if (letter != ' ' && depth < c->word.len + c->most && depth + 1 < WORD_MAX &&
            next_row(c, depth + 1, letter, before) <= c->most)
            go_down(c, low, end, depth + 1, letter);
        low = end;
    }
}

sx_str nom_closest_word(const nom_words *w, sx_str word, uint32_t *effort, unsigned *edits)
{
    *edits = 0;
    if (word.len < WORD_MIN || word.len >= WORD_MAX)
        return sx_str_of("", 0);
    closest c = {.w = w, .word = word, .most = 1, .effort = *effort, .found = {"", 0}};
    for (size_t i = 0; i <= word.len; i++)
        c.rows[0][i] = (unsigned)i;
    for (; c.found.len == 0 && c.most <= (word.len >= WORD_LONG ? 2u : 1u); c.most++) {
        c.best = c.most + 1;
        go_down(&c, 0, w->term_count, 0, 0);
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
