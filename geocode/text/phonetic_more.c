/* phonetic_more.c - how Spanish and German words sound, see phonetic.h.
 *
 * Both spell as they speak, so one walk from left to right is enough: at each letter the first row
 * whose text stands there, between what it wants before and after, is written instead; a letter that
 * no row names stays. Doubled letters then count once. No row writes more than it reads, so the walk
 * works in place. */
#include "geocode/text/phonetic.h"

/* A set begins with its kind: '+' one of these letters must be there, '-' none of these may be (the
 * word's edge is fine), '^' and '$' the edge itself; empty: anything. */
typedef struct row {
    const char *find, *before, *after, *to;
} row;

static const row SPANISH[] = {
    {"ch", "", "", "ch"},      {"cc", "", "+ei", "ks"},  {"c", "", "+ei", "s"},
    {"c", "", "", "k"},        {"gu", "", "+ei", "g"},   {"g", "", "+ei", "j"},
    {"hi", "^", "+e", "y"},    {"h", "", "", ""},        {"ll", "", "", "y"},
    {"ny", "", "+aeiou", "n"}, {"n", "", "+bvpm", "m"},  {"ph", "", "", "f"},
    {"ps", "^", "", "s"},      {"qu", "", "+ei", "k"},   {"q", "", "", "k"},
    {"sc", "", "+ei", "s"},    {"tx", "", "", "ch"},     {"tz", "", "", "s"},
    {"v", "", "", "b"},        {"w", "", "", "b"},       {"x", "", "+aeiou", "j"},
    {"x", "", "", "s"},        {"y", "", "-aeiou", "i"}, {"z", "", "", "s"},
};

static const row GERMAN[] = {
    {"ae", "-aeou", "", "a"},      {"ai", "", "", "ei"},     {"ay", "", "", "ei"},
    {"ck", "", "", "k"},           {"ch", "", "", "ch"},     {"c", "", "", "k"},
    {"dt", "", "$", "t"},          {"ei", "", "", "ei"},     {"ey", "", "", "ei"},
    {"h", "+aeiou", "-aeiou", ""}, {"ie", "", "", "i"},      {"oe", "-aeou", "", "o"},
    {"ph", "", "", "f"},           {"platz", "", "$", "pl"}, {"strasse", "", "$", "str"},
    {"strase", "", "$", "str"},    {"th", "", "", "t"},      {"tz", "", "", "z"},
    {"ue", "-aeouq", "", "u"},     {"v", "", "", "f"},       {"y", "", "", "i"},
};

/* No letter at the word's edge. */
enum { EDGE = 0 };

static bool allows(const char *set, char c)
{
    if (set[0] == '\0')
        return true;
    if (set[0] == '^' || set[0] == '$')
        return c == EDGE;
    bool in = c != EDGE && strchr(set + 1, c) != NULL;
    return (set[0] == '+') == in;
}

/* A row that fits at word[at]; NULL if none does. `before` is the letter as it was read. */
static const row *row_at(const row *rows, size_t count, const char *word, size_t len, size_t at,
                         char before)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].find[0] != word[at])
            continue;
        size_t find = strlen(rows[i].find);
        if (find <= len - at && memcmp(word + at, rows[i].find, find) == 0 &&
            allows(rows[i].before, before) &&
            allows(rows[i].after, at + find < len ? word[at + find] : EDGE))
            return &rows[i];
    }
    return NULL;
}

static size_t rewrite(const row *rows, size_t count, char *word, size_t len)
{
    size_t out = 0;
    char before = EDGE;
    for (size_t at = 0; at < len;) {
        const row *r = row_at(rows, count, word, len, at, before);
        size_t find = r ? strlen(r->find) : 1, to = r ? strlen(r->to) : 1;
        before = word[at + find - 1];
        if (r)
            memcpy(word + out, r->to, to);
        else
            word[out] = word[at];
        out += to;
        at += find;
    }
    return out;
}

/* A doubled letter counts once; digits stay as they are. A word of which nothing would be heard keeps
 * its letters. */
static size_t single_letters(char *word, size_t len)
{
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        bool letter = word[i] >= 'a' && word[i] <= 'z';
        if (out == 0 || !letter || word[out - 1] != word[i])
            word[out++] = word[i];
    }
    return out;
}

/* "h" alone would be silent altogether. */
static bool is_lone(const char *word, size_t len)
{
    return len < 2 && (len == 0 || word[0] == 'h');
}

size_t geo_phonetic_spanish(char *word, size_t len)
{
    if (is_lone(word, len))
        return len;
    return single_letters(word, rewrite(SPANISH, SX_COUNT_OF(SPANISH), word, len));
}

size_t geo_phonetic_german(char *word, size_t len)
{
    if (is_lone(word, len))
        return len;
    return single_letters(word, rewrite(GERMAN, SX_COUNT_OF(GERMAN), word, len));
}
