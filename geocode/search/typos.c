/* typos.c - the words of the dictionary that are one or two errors away from one of the query's.
 *
 * The tree of words is walked with the states of an automaton: bit j of row e says that j letters of
 * the word are behind us at the cost of e errors. A letter of the tree moves all states at once
 * (Wu and Manber's way); a branch whose rows are empty is left. Two neighbours swapped are one error,
 * for which the states wait one letter. Visits some thousand nodes for two errors. */
#include "geocode/search/reading.h"

enum { EDITS_MAX = 2, DEPTH_MAX = GEO_TOKEN_BYTES_MAX + EDITS_MAX };

typedef struct states {
    uint64_t row[EDITS_MAX + 1];
    uint64_t swapped[EDITS_MAX + 1]; /* from where the second of two swapped letters is awaited */
} states;

typedef struct hunt {
    const geo_index *ix;
    uint64_t letters[256]; /* by byte: where the word has it */
    uint32_t len, most, count;
    geo_typo *out;
} hunt;

static states step(const hunt *h, const states *s, uint8_t byte)
{
    uint64_t here = h->letters[byte];
    states next = {{0}, {0}};
    next.row[0] = (s->row[0] & here) << 1;
    for (uint32_t e = 1; e <= h->most; e++) {
        uint64_t before = s->row[e - 1];
        next.row[e] = (s->row[e] & here) << 1;      /* the same letter */
        next.row[e] |= before | before << 1;        /* one too many; another one */
        next.row[e] |= next.row[e - 1] << 1;        /* one left out */
        next.row[e] |= (s->swapped[e] & here) << 2; /* the first of two swapped comes second */
        next.swapped[e] = before & (here >> 1);
    }
    return next;
}

/* Nearest first; what comes when all places are taken by nearer ones is left out. */
static void add(hunt *h, uint32_t term, uint32_t edits)
{
    uint32_t at = h->count;
    while (at > 0 && h->out[at - 1].edits > edits)
        at--;
    if (at == GEO_TYPOS_MAX)
        return;
    if (h->count < GEO_TYPOS_MAX)
        h->count++;
    memmove(&h->out[at + 1], &h->out[at], (h->count - 1 - at) * sizeof(*h->out));
    h->out[at] = (geo_typo){term, edits};
}

static bool is_alive(const hunt *h, const states *s)
{
    uint64_t any = 0;
    for (uint32_t e = 0; e <= h->most; e++)
        any |= s->row[e] | s->swapped[e];
    return any != 0;
}

/* Recursion is as deep as the word is long, and two more. */
static void walk(hunt *h, uint32_t node, const states *s, uint32_t depth)
{
    uint32_t first, count = geo_trie_children(h->ix, node, &first);
    for (uint32_t child = first; child < first + count && depth < DEPTH_MAX; child++) {
        states next = step(h, s, h->ix->trie[child].byte);
        if (!is_alive(h, &next))
            continue;
        uint32_t term = h->ix->trie[child].term;
        for (uint32_t e = 0; e <= h->most && term < h->ix->term_count; e++) {
            if (next.row[e] >> h->len & 1) {
                add(h, term, e);
                break;
            }
        }
        walk(h, child, &next, depth + 1);
    }
}

uint32_t geo_typos(const geo_index *ix, sx_str word, uint32_t most, geo_typo out[GEO_TYPOS_MAX])
{
    hunt h = {.ix = ix, .len = (uint32_t)word.len, .out = out};
    states start = {{1}, {0}};
    if (word.len == 0 || word.len > GEO_TOKEN_BYTES_MAX || ix->node_count == 0)
        return 0;
    h.most = most < EDITS_MAX ? most : EDITS_MAX;
    for (uint32_t i = 0; i < word.len; i++)
        h.letters[(uint8_t)word.data[i]] |= UINT64_C(1) << i;
    for (uint32_t e = 1; e <= h.most; e++)
        start.row[e] = start.row[e - 1] | start.row[e - 1] << 1; /* letters left out in front */
    walk(&h, 0, &start, 0);
    return h.count;
}

uint32_t geo_edits(sx_str a, sx_str b, uint32_t most)
{
    uint8_t rows[3][GEO_TOKEN_BYTES_MAX * 2 + 1];
    uint8_t *before2 = rows[0], *before = rows[1], *now = rows[2];
    size_t longer = a.len > b.len ? a.len - b.len : b.len - a.len;
    if (longer > most || a.len > GEO_TOKEN_BYTES_MAX * 2 || b.len > GEO_TOKEN_BYTES_MAX * 2)
        return most + 1;
    for (size_t j = 0; j <= b.len; j++)
        before[j] = (uint8_t)j;
    for (size_t i = 1; i <= a.len; i++) {
        uint8_t least = now[0] = (uint8_t)i;
        for (size_t j = 1; j <= b.len; j++) {
            uint8_t best = (uint8_t)(before[j - 1] + (a.data[i - 1] != b.data[j - 1]));
            if (before[j] + 1 < best)
                best = (uint8_t)(before[j] + 1);
            if (now[j - 1] + 1 < best)
                best = (uint8_t)(now[j - 1] + 1);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] &&
                a.data[i - 2] == b.data[j - 1] && before2[j - 2] + 1 < best)
                best = (uint8_t)(before2[j - 2] + 1);
            now[j] = best;
            least = best < least ? best : least;
        }
        if (least > most)
            return most + 1;
        uint8_t *oldest = before2;
        before2 = before;
        before = now;
        now = oldest;
    }
    return before[b.len] <= most ? before[b.len] : most + 1;
}
