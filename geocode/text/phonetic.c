/* phonetic.c - the table of rewriting rules behind phonetic.h.
 *
 * Each rule is a pass over the word: where its letters stand between what may come before and after,
 * as the word was when the pass began, they are replaced. A set begins with its kind: '+' one of
 * these must be there; '!' something else must be there; '-' none of these may be, the word's edge
 * is fine; '^' and '$' the edge itself. The order matters: later rules see what earlier ones wrote.
 *
 * HOT: a rule whose letters do not all occur in the word is not tried. */
#include "geocode/text/phonetic.h"

typedef struct rule {
    const char *find, *before, *after, *to;
    uint8_t find_len, to_len;
    uint32_t letters; /* those of `find`, a bit each */
} rule;

/* The bit of letter `i` of a text; 0 beyond its end. */
#define BIT(s, i) (sizeof(s) > (i) + 1 ? 1u << ((s)[sizeof(s) > (i) + 1 ? (i) : 0] - 'a') : 0)
#define RULE(find, before, after, to)                                                              \
    {find,                                                                                         \
     before,                                                                                       \
     after,                                                                                        \
     to,                                                                                           \
     sizeof(find) - 1,                                                                             \
     sizeof(to) - 1,                                                                               \
     BIT(find, 0) | BIT(find, 1) | BIT(find, 2) | BIT(find, 3) | BIT(find, 4)}

#define VOWELS "aeiouy"
#define DIGITS "0123456789"

/* A "th" at the end keeps its sound: written T until all endings are cut. */
static const rule FIRST[] = {
    RULE("ch", "!s", "$", "k"),
    RULE("anc", "", "$", "an"),
    RULE("amp", "", "$", "an"),
    RULE("mps", "+" VOWELS, "$", "n"),
    RULE("mp", "+" VOWELS, "!" VOWELS "r", "n"),
    RULE("ph", "", "", "f"),
    RULE("g", "-g", "+eiy", "j"),
    RULE("je", "", "+" VOWELS, "j"),
    RULE("eign", "", "+" VOWELS, "eni"),
    RULE("sch", "", "", "ch"),
    RULE("sh", "", "", "ch"),
    RULE("s", "+" VOWELS, "+" VOWELS, "z"),
    RULE("cc", "", "+eiy", "ks"),
    RULE("sc", "", "+eiy", "s"),
    RULE("c", "", "+eiy", "s"),
    RULE("scw", "", "", "sw"),
    RULE("c", "!" DIGITS, "-hw", "k"),
    RULE("c", "^", "!hw", "k"),
    RULE("c", "+" DIGITS, "!hw", "k"),
    RULE("qu", "-" DIGITS, "", "k"),
    RULE("q", "-" DIGITS, "", "k"),
    RULE("mg", "+" VOWELS, "!eiy", "ng"),
    RULE("th", "", "$", "T"),
    RULE("ngt", "", "", "nt"),
    RULE("gu", "", "+aeio", "g"),
    RULE("h", "!c" DIGITS, "", ""),
    RULE("h", "^", "!", ""),
    RULE("esn", "", "", "en"),
    RULE("y", "-" DIGITS, "", "i"),
    RULE("eim", "", "$", "aim"),
    RULE("ei", "-a", "!", "e"),
    RULE("ae", "", "!", "e"),
    RULE("oeufs", "", "", "oeus"),
    RULE("oe", "", "+u", "e"),
    RULE("oe", "", "!u", "eu"),
};

/* After the ending is cut. */
static const rule LAST[] = {
    RULE("m", "+" VOWELS, "+pbftT", "n"),
    RULE("w", "-" DIGITS, "", "v"),
    RULE("nt", "+" VOWELS, "!aeiour", "n"),
    RULE("nd", "+" VOWELS, "!aeiour", "n"),
};

/* Silent endings, longest first: cut, or shortened, behind so many letters. */
static const struct {
    const char *end;
    uint8_t letters; /* that must stand before it */
    const char *before, *to;
} ENDINGS[] = {
    {"egs", 2, "", ""},   {"eds", 2, "", ""},   {"tgs", 1, "", ""},    {"tds", 1, "", ""},
    {"lts", 0, "+u", ""}, {"lxs", 0, "+u", ""}, {"ed", 2, "", ""},     {"es", 2, "", ""},
    {"eg", 2, "", ""},    {"ts", 0, "+e", "t"}, {"tg", 0, "+es", "t"}, {"td", 0, "+es", "t"},
    {"lt", 0, "+u", ""},  {"lx", 0, "+u", ""},  {"xs", 0, "+u", ""},   {"ts", 1, "", ""},
    {"ds", 1, "", ""},    {"gs", 1, "", ""},    {"tg", 1, "", ""},     {"td", 1, "", ""},
    {"e", 2, "", ""},     {"x", 0, "+u", ""},   {"s", 1, "!s", ""},    {"t", 1, "!est", ""},
    {"d", 1, "", ""},     {"g", 1, "", ""},
};

/* No letter at the word's edge. */
enum { EDGE = 0 };

static bool in_set(const char *set, char c)
{
    for (; *set; set++) {
        if (*set == c)
            return true;
    }
    return false;
}

static bool allows(const char *set, char c)
{
    switch (set[0]) {
    case '\0':
        return true;
    case '^':
    case '$':
        return c == EDGE;
    case '+':
        return c != EDGE && in_set(set + 1, c);
    case '!':
        return c != EDGE && !in_set(set + 1, c);
    default:
        return c == EDGE || !in_set(set + 1, c);
    }
}

/* The word's letters as a set of bits; digits and other bytes share bit 31. */
static uint32_t letters_of(const char *word, size_t len)
{
    uint32_t set = 0;
    for (size_t i = 0; i < len; i++)
        set |= word[i] >= 'a' && word[i] <= 'z' ? 1u << (word[i] - 'a') : 1u << 31;
    return set;
}

static bool begins(const char *word, const char *find, size_t len)
{
    for (size_t i = 1; i < len; i++) {
        if (word[i] != find[i])
            return false;
    }
    return true; /* the first letter has been compared */
}

/* One pass. What was read is overwritten behind the reading place; the letter before it is kept. */
static size_t apply(const rule *r, char *word, size_t len)
{
    size_t find_len = r->find_len, to_len = r->to_len, out = 0, at = 0;
    while (at < len && word[at] != r->find[0])
        at++;
    out = at;
    char before = at ? word[at - 1] : EDGE;
    while (at < len) {
        if (word[at] == r->find[0] && at + find_len <= len &&
            begins(word + at, r->find, find_len) && allows(r->before, before) &&
            allows(r->after, at + find_len < len ? word[at + find_len] : EDGE)) {
            before = word[at + find_len - 1];
            at += find_len;
            memcpy(word + out, r->to, to_len);
            out += to_len;
            continue;
        }
        before = word[at];
        word[out++] = word[at++];
    }
    return out;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || c == 'T';
}

static size_t cut_ending(char *word, size_t len)
{
    static const uint32_t LAST_LETTERS =
        BIT("d", 0) | BIT("e", 0) | BIT("g", 0) | BIT("s", 0) | BIT("t", 0) | BIT("x", 0);
    if (len == 0 || !(letters_of(word + len - 1, 1) & LAST_LETTERS))
        return len;
    for (size_t i = 0; i < SX_COUNT_OF(ENDINGS); i++) {
        size_t end = strlen(ENDINGS[i].end), letters = ENDINGS[i].letters;
        if (word[len - 1] != ENDINGS[i].end[end - 1] || end + letters > len ||
            memcmp(word + len - end, ENDINGS[i].end, end) != 0)
            continue;
        size_t stem = len - end;
        bool fits = allows(ENDINGS[i].before, stem ? word[stem - 1] : EDGE);
        for (size_t k = 1; fits && k <= letters; k++)
            fits = is_letter(word[stem - k]);
        if (!fits)
            continue;
        size_t to = strlen(ENDINGS[i].to);
        memcpy(word + stem, ENDINGS[i].to, to);
        return stem + to;
    }
    return len;
}

/* Doubled letters count once; the T of the endings is a t again. */
static size_t single_letters(char *word, size_t len)
{
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        if (out == 0 || word[out - 1] != word[i] || !is_letter(word[i]))
            word[out++] = word[i];
    }
    for (size_t i = 0; i < out; i++) {
        if (word[i] == 'T')
            word[i] = 't';
    }
    return out;
}

static size_t apply_all(const rule *rules, size_t count, char *word, size_t len)
{
    uint32_t have = letters_of(word, len);
    for (size_t i = 0; i < count && len; i++) {
        if (rules[i].letters & ~have)
            continue;
        len = apply(&rules[i], word, len);
        have = letters_of(word, len);
    }
    return len;
}

size_t geo_phonetic_french(char *word, size_t len)
{
    len = apply_all(FIRST, SX_COUNT_OF(FIRST), word, len);
    len = cut_ending(word, len);
    len = apply_all(LAST, SX_COUNT_OF(LAST), word, len);
    return single_letters(word, len);
}
