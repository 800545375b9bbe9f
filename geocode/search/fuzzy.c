/* fuzzy.c - the words of the dictionary that are one slip of a finger away.
 *
 * Two neighbours swapped, a letter replaced by one beside it on the keyboard (Addok's map), a letter
 * too few, and in words of four letters and more one too many. The tree of words is walked once along
 * the word; at each of its nodes only the letters that exist there are tried, if the set of words may
 * have what comes out, and the rest of the word must follow. The slips are then put in Addok's order: swapped, replaced, inserted by letter,
 * left out. */
#include "geocode/search/searcher.h"

static const char *const BESIDE[26] = {
    "ezqop",  "vghn", "xdfvio", "serfcx", "azsdryu", "drtgvc", "ftyhbv", "gyujnb", "ujko",
    "huikn",  "jil",  "kom",    "lpu",    "bhj",     "iaklp",  "oalm",   "azsw",   "edft",
    "qzedxw", "rfgy", "yehji",  "cfgb",   "qsx",     "wsdc",   "teghu",  "aqse",
};

enum { SWAPPED, REPLACED, INSERTED, LEFT_OUT, LEAVES_OUT_FROM = 4 };

/* Longer words are looked for without asking the set of words first. */
enum { SPELLED_MAX = 63 };

typedef struct slips {
    const geo_index *ix;
    uint32_t count;
    uint32_t terms[GEO_SEARCH_FUZZY_MAX], order[GEO_SEARCH_FUZZY_MAX];
    bool spelled;
    uint64_t all, before[SPELLED_MAX + 1],
        power[SPELLED_MAX + 2]; /* the word's number, by letters */
} slips;

static void spell(slips *s, sx_str word)
{
    s->spelled = word.len <= SPELLED_MAX;
    s->all = 0;
    s->power[0] = 1;
    for (size_t i = 0; s->spelled && i < word.len; i++) {
        s->before[i] = s->all;
        s->all += ((uint64_t)(unsigned char)word.data[i] + 1) * s->power[i];
        s->power[i + 1] = s->power[i] * GEO_SPELL_BASE;
    }
    if (s->spelled)
        s->before[word.len] = s->all;
}

static bool may_leave_out(const slips *s, uint32_t at)
{
    return !s->spelled || geo_word_may_be(s->ix, s->before[at] + (s->all - s->before[at + 1]) *
                                                                     GEO_SPELL_BASE_INVERSE);
}

static bool may_swap(const slips *s, sx_str word, uint32_t at)
{
    uint64_t change = (uint64_t)(unsigned char)word.data[at + 1] - (unsigned char)word.data[at];
    return !s->spelled ||
           geo_word_may_be(s->ix, s->all + change * s->power[at] - change * s->power[at + 1]);
}

/* The word that ends at `node` (0: none), at its place in the order. A word reached in two ways
 * keeps the first. */
static void add(slips *s, uint32_t node, uint32_t kind, uint32_t major, uint32_t minor)
{
    if (node == 0 || s->ix->trie[node].term >= s->ix->term_count)
        return;
    uint32_t term = s->ix->trie[node].term, order = kind << 28 | major << 14 | minor, at;
    for (at = 0; at < s->count; at++) {
        if (s->terms[at] == term) {
            if (s->order[at] <= order)
                return;
            break;
        }
    }
    if (at == s->count && s->count++ == GEO_SEARCH_FUZZY_MAX) {
        s->count = GEO_SEARCH_FUZZY_MAX;
        return;
    }
    for (; at > 0 && s->order[at - 1] > order; at--) {
        s->terms[at] = s->terms[at - 1];
        s->order[at] = s->order[at - 1];
    }
    s->terms[at] = term;
    s->order[at] = order;
}

static uint32_t place_in(const char *set, char c)
{
    uint32_t i = 0;
    while (set[i] && set[i] != c)
        i++;
    return set[i] ? i : UINT32_MAX;
}

/* The slips at letter `at` of the word, whose letters before it lead to `node`. */
static void slip_at(slips *s, sx_str word, uint32_t at, uint32_t node)
{
    sx_str rest = sx_str_from(word, at);
    if (rest.len >= 2 && rest.data[0] != rest.data[1] && may_swap(s, word, at)) {
        uint32_t swapped = geo_trie_child(s->ix, node, (uint8_t)rest.data[1]);
        swapped = swapped ? geo_trie_child(s->ix, swapped, (uint8_t)rest.data[0]) : 0;
        swapped = swapped ? geo_trie_walk(s->ix, swapped, sx_str_from(rest, 2)) : 0;
        add(s, swapped, SWAPPED, at, 0);
    }
    const char *beside =
        rest.len && rest.data[0] >= 'a' && rest.data[0] <= 'z' ? BESIDE[rest.data[0] - 'a'] : "";
    /* The word's number with nothing, or a letter less, at this place. */
    uint64_t inserted = 0, replaced = 0, power = 0;
    if (s->spelled) {
        power = s->power[at];
        inserted = s->before[at] + (s->all - s->before[at]) * GEO_SPELL_BASE;
        replaced = s->all - (rest.len ? (uint64_t)(unsigned char)rest.data[0] + 1 : 0) * power;
    }
    uint32_t first, count = geo_trie_children(s->ix, node, &first);
    for (uint32_t child = first; child < first + count; child++) {
        char c = (char)s->ix->trie[child].byte;
        if (c < 'a' || c > 'z')
            continue;
        uint64_t letter = ((uint64_t)(unsigned char)c + 1) * power;
        if (!s->spelled || geo_word_may_be(s->ix, inserted + letter))
            add(s, geo_trie_walk(s->ix, child, rest), INSERTED, (uint32_t)(c - 'a'), at);
        if (s->spelled && !geo_word_may_be(s->ix, replaced + letter))
            continue;
        uint32_t place = place_in(beside, c);
        if (place != UINT32_MAX)
            add(s, geo_trie_walk(s->ix, child, sx_str_from(rest, 1)), REPLACED, at, place);
    }
    if (rest.len && word.len >= LEAVES_OUT_FROM && may_leave_out(s, at))
        add(s, geo_trie_walk(s->ix, node, sx_str_from(rest, 1)), LEFT_OUT, at, 0);
}

uint32_t geo_search_fuzzy(const geo_index *ix, sx_str word, uint32_t out[GEO_SEARCH_FUZZY_MAX])
{
    slips s;
    uint32_t node = 0;
    s.ix = ix;
    s.count = 0;
    spell(&s, word);
    for (uint32_t at = 0; at <= word.len; at++) {
        slip_at(&s, word, at, node);
        node = at < word.len ? geo_trie_child(ix, node, (uint8_t)word.data[at]) : 0;
        if (node == 0)
            break;
    }
    memcpy(out, s.terms, s.count * sizeof(*out));
    return s.count;
}
