/* rules.c - see rules.h.
 *
 * A word's place decides what is replaced by what. Names are looked through as "^ name ^", so that
 * ' ' stands at both ends of every word:
 *
 *     word     ' word '  by ' short '            ^word  '^ word ' (first)      word$  ' word ^' (last)
 *     ~word    'word ' by 'short ', ' word ' by ' short '; and unless it stays attached
 *              'word ' by ' short ', ' word ' by 'short ': "bahnhofstraße" is "bahnhof str", too
 *     word~    the same at the front of words
 *
 * A word stands for itself, too, unless the fact says otherwise. */
#include "geocode/words/rules.h"

#include <stdlib.h>

#include "geocode/words/abbreviations.h"

enum { LANGUAGES = sizeof(ABBREVIATIONS) / sizeof(ABBREVIATIONS[0]) };
_Static_assert((int)LANGUAGES <= (int)WRD_LANGUAGES_MAX, "languages");

/* A replacement before they are put together by source. */
typedef struct pair {
    sx_str source, by;
} pair;

typedef struct maker {
    sx_arena *arena;
    pair *pairs;
    size_t count, cap;
    bool failed;
} maker;

/* A word of a fact with its marks. */
typedef struct fact_word {
    sx_str word;
    char before, after; /* '~', '^', '$' or 0 */
} fact_word;

int wrd_language(sx_str code)
{
    for (int i = 0; i < (int)LANGUAGES; i++)
        if (sx_str_eq(code, sx_str_z(ABBREVIATIONS[i].language)))
            return i;
    return -1;
}

static sx_str join(maker *m, const char *a, const char *b, sx_str middle, const char *c,
                   const char *d)
{
    sx_str made = sx_arena_printf(m->arena, "%s%s%.*s%s%s", a, b, SX_ARG(middle), c, d);
    m->failed |= !made.data;
    return made;
}

static void put(maker *m, sx_str source, sx_str by)
{
    for (size_t i = 0; i < m->count; i++)
        if (sx_str_eq(m->pairs[i].source, source) && sx_str_eq(m->pairs[i].by, by))
            return;
    if (m->failed || !sx_arena_grow(m->arena, &m->pairs, &m->cap, m->count + 1, sizeof(pair))) {
        m->failed = true;
        return;
    }
    m->pairs[m->count++] = (pair){source, by};
}

/* `word` by `by` wherever the marks say. */
static void put_word(maker *m, fact_word w, sx_str by, bool apart)
{
    const char *front = w.before == '^' ? "^ " : " ", *back = w.after == '$' ? " ^" : " ";
    if (w.before == '~') {
        sx_str in = join(m, "", "", w.word, back, ""),
               in_alone = join(m, " ", "", w.word, back, "");
        sx_str out = join(m, "", "", by, back, ""), out_alone = join(m, " ", "", by, back, "");
        put(m, in, out);
        put(m, in_alone, out_alone);
        if (apart) {
            put(m, in, out_alone);
            put(m, in_alone, out);
        }
    } else if (w.after == '~') {
        sx_str in = join(m, front, "", w.word, "", ""),
               in_alone = join(m, front, "", w.word, " ", "");
        sx_str out = join(m, front, "", by, "", ""), out_alone = join(m, front, "", by, " ", "");
        put(m, in, out);
        put(m, in_alone, out_alone);
        if (apart) {
            put(m, in, out_alone);
            put(m, in_alone, out);
        }
    } else {
        put(m, join(m, front, "", w.word, back, ""), join(m, front, "", by, back, ""));
    }
}

static fact_word read_word(sx_str text)
{
    fact_word w = {text, 0, 0};
    if (text.len && (text.data[0] == '~' || text.data[0] == '^')) {
        w.before = text.data[0];
        w.word = sx_str_from(w.word, 1);
    }
    if (w.word.len && (w.word.data[w.word.len - 1] == '~' || w.word.data[w.word.len - 1] == '$')) {
        w.after = w.word.data[w.word.len - 1];
        w.word.len--;
    }
    return w;
}

/* "word,word|>short,short". */
static void put_fact(maker *m, sx_str fact)
{
    sx_str words, shorts, text, by;
    (void)sx_str_cut(fact, '>', &words, &shorts);
    bool keep = true, apart = true;
    for (; words.len && (words.data[words.len - 1] == '=' || words.data[words.len - 1] == '|');
         words.len--) {
        keep &= words.data[words.len - 1] != '=';
        apart &= words.data[words.len - 1] != '|';
    }
    while (words.len) {
        (void)sx_str_cut(words, ',', &text, &words);
        fact_word w = read_word(text);
        if (keep)
            put_word(m, w, w.word, apart);
        for (sx_str rest = shorts; rest.len;) {
            (void)sx_str_cut(rest, ',', &by, &rest);
            put_word(m, w, by, apart);
        }
    }
}

static int by_source(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    int order = sx_str_cmp(x->source, y->source);
    return order ? order : sx_str_cmp(x->by, y->by);
}

/* A space at the end of both is left to what comes next. */
static sx_str without_shared_space(sx_str source, sx_str by)
{
    bool shared =
        source.len && source.data[source.len - 1] == ' ' && by.len && by.data[by.len - 1] == ' ';
    return sx_str_first(by, by.len - shared);
}

bool wrd_rules_make(unsigned index, sx_arena *arena, wrd_rules *out)
{
    maker m = {.arena = arena};
    sx_str facts = ABBREVIATIONS[index].words, fact;
    while (facts.len) {
        (void)sx_str_cut(facts, ';', &fact, &facts);
        put_fact(&m, fact);
    }
    wrd_rule *rules = sx_arena_calloc(arena, m.count + 1, sizeof(*rules));
    sx_str *shorts = sx_arena_calloc(arena, m.count + 1, sizeof(*shorts));
    if (m.failed || !rules || !shorts)
        return false;
    if (m.count)
        qsort(m.pairs, m.count, sizeof(pair), by_source);
    uint32_t count = 0;
    for (size_t i = 0; i < m.count; i++) {
        if (i == 0 || !sx_str_eq(m.pairs[i].source, m.pairs[i - 1].source))
            rules[count++] = (wrd_rule){m.pairs[i].source, shorts + i, 0};
        shorts[i] = without_shared_space(m.pairs[i].source, m.pairs[i].by);
        rules[count - 1].count++;
    }
    *out = (wrd_rules){.language = ABBREVIATIONS[index].language, .rules = rules, .count = count};
    out->umlauts = sx_str_eq(sx_str_z(out->language), SX_STR("de"));
    for (unsigned byte = 0, at = 0; byte <= 256; byte++) {
        out->first[byte] = at;
        while (at < count && byte < 256 && (uint8_t)rules[at].source.data[0] == byte)
            at++;
    }
    return true;
}

const wrd_rule *wrd_rules_find(const wrd_rules *r, sx_str text)
{
    const wrd_rule *best = NULL;
    uint8_t byte = (uint8_t)text.data[0];
    uint32_t low = r->first[byte], high = r->first[byte + 1];
    for (size_t depth = 1; low < high; depth++) {
        if (r->rules[low].source.len == depth)
            best = r->rules + low++;
        if (depth == text.len)
            break;
        uint8_t want = (uint8_t)text.data[depth];
        uint32_t from = low, end = high;
        while (from < end) { /* the first that is not below */
            uint32_t middle = from + (end - from) / 2;
            if ((uint8_t)r->rules[middle].source.data[depth] < want)
                from = middle + 1;
            else
                end = middle;
        }
        low = from;
        end = high;
        while (from < end) { /* the first above */
            uint32_t middle = from + (end - from) / 2;
            if ((uint8_t)r->rules[middle].source.data[depth] <= want)
                from = middle + 1;
            else
                end = middle;
        }
        high = from;
    }
    return best;
}
