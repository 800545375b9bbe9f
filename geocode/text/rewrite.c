/* rewrite.c - see rewrite.h. The words are numbered, the house number is looked for, what belongs to
 * its door is passed over, and the rest is written in the order of a label. */
#include "geocode/text/rewrite.h"

#include "geocode/text/rules_tables.h"

enum { WORDS_MAX = 128, FLOOR_DIGITS_MAX = 3 };

typedef struct reading {
    const geo_rules *rules;
    sx_str words[WORDS_MAX];
    size_t count;
    size_t number_at;       /* count: there is none */
    size_t skip_at, behind; /* words [skip_at, behind) are number, mark and door */
    sx_str digits, suffix;  /* of the number */
} reading;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static sx_str word_at(const reading *d, size_t i)
{
    return i < d->count ? d->words[i] : sx_str_of("", 0);
}

static size_t digits_of(sx_str word)
{
    size_t digits = 0;
    while (digits < word.len && is_digit(word.data[digits]))
        digits++;
    return digits;
}

static bool is_letter(sx_str word)
{
    return word.len == 1 && word.data[0] >= 'a' && word.data[0] <= 'z';
}

static bool is_mark(const reading *d, sx_str word)
{
    return geo_rule_has(d->rules->marks, d->rules->marks_count, word);
}

/* "no12" is "12": the word without a mark that is glued to it. */
static sx_str without_mark(const reading *d, sx_str word)
{
    size_t letters = 0;
    while (letters < word.len && !is_digit(word.data[letters]))
        letters++;
    return letters && letters < word.len && is_mark(d, sx_str_first(word, letters))
               ? sx_str_from(word, letters)
               : word;
}

/* Whether the word is a number as houses have it: "12", "12b", "12bis"; fills digits and suffix. */
static bool take_number(reading *d, sx_str word)
{
    word = without_mark(d, word);
    size_t digits = digits_of(word);
    if (digits == 0 || digits > d->rules->number_digits)
        return false;
    sx_str letters = sx_str_from(word, digits), ordinal = geo_rules_ordinal(d->rules, letters);
    if (letters.len && !ordinal.len && !is_letter(letters))
        return false;
    d->digits = sx_str_first(word, digits);
    d->suffix = ordinal.len ? ordinal : letters;
    return true;
}

/* The number at `i` belongs to a name: "12 de octubre", "calle 30", "km 5". */
static bool is_named(const reading *d, size_t i)
{
    const geo_rules *r = d->rules;
    if (geo_rule_has(r->follows_name, r->follows_name_count, word_at(d, i + 1)))
        return true;
    if (i == 0)
        return false;
    sx_str before = d->words[i - 1];
    return sx_str_eq(before, SX_STR("km")) ||
           (i == 1 && geo_rules_is_street_word(r, before) && i + 1 < d->count);
}

/* The number that stands behind a name, or first of all. */
static void find_number(reading *d)
{
    d->number_at = d->skip_at = d->behind = d->count;
    for (size_t i = 0; i < d->count; i++) {
        bool marked = (i > 0 && is_mark(d, d->words[i - 1])) ||
                      without_mark(d, d->words[i]).len < d->words[i].len;
        if (!take_number(d, d->words[i]) || (!marked && is_named(d, i)) ||
            (i == 0 && d->count == 1))
            continue;
        d->number_at = i;
        d->skip_at = i > 0 && is_mark(d, d->words[i - 1]) ? i - 1 : i;
        d->behind = i + 1;
        return;
    }
}

/* "bis", or a letter of its own: part of the number unless that has one. */
static void take_suffix(reading *d)
{
    sx_str word = word_at(d, d->behind), ordinal = geo_rules_ordinal(d->rules, word);
    if (d->suffix.len || (!ordinal.len && !is_letter(word)))
        return;
    /* In front of the street a lone letter is the street's: "12 c mayor". */
    if (!ordinal.len && d->number_at == 0 && d->behind + 1 < d->count)
        return;
    d->suffix = ordinal.len ? ordinal : word;
    d->behind++;
}

/* "3o", "2a", "14" behind the number: a floor, a door or the end of a range. */
static bool is_floor_number(sx_str word)
{
    size_t digits = digits_of(word);
    sx_str end = sx_str_from(word, digits);
    return digits > 0 && digits <= FLOOR_DIGITS_MAX && (end.len == 0 || is_letter(end));
}

static void skip_door(reading *d)
{
    const geo_rules *r = d->rules;
    if (d->number_at == 0)
        return; /* the street follows */
    for (size_t first = d->behind; d->behind < d->count; d->behind++) {
        sx_str word = d->words[d->behind];
        bool letter = r->letters_are_floors && d->behind > first && is_letter(word);
        if (!letter && !is_floor_number(word) && !geo_rule_has(r->floors, r->floors_count, word))
            return;
    }
}

/* "s/n", for a house without a number, wherever it stands but at the beginning. */
static void drop_no_number(reading *d)
{
    for (size_t i = 1; i < d->count; i++) {
        bool apart =
            sx_str_eq(d->words[i], SX_STR("s")) && sx_str_eq(word_at(d, i + 1), SX_STR("n"));
        if (!apart && !sx_str_eq(d->words[i], SX_STR("sn")))
            continue;
        size_t gone = apart ? 2 : 1;
        for (size_t k = i; k + gone < d->count; k++)
            d->words[k] = d->words[k + gone];
        d->count -= gone;
        return;
    }
}

/* Where words go. */
typedef struct sink {
    char *out;
    size_t len, cap;
} sink;

static void put(sink *to, sx_str word, bool glued)
{
    size_t gap = to->len && !glued ? 1 : 0;
    if (word.len == 0 || word.len + gap > to->cap - to->len)
        return;
    if (gap)
        to->out[to->len++] = ' ';
    memcpy(to->out + to->len, word.data, word.len);
    to->len += word.len;
}

/* An abbreviation written out. One letter ("c mayor") is one only where a street begins. */
static sx_str written(const reading *d, size_t i, bool street_begins)
{
    sx_str word = d->words[i];
    if (i + 1 == d->count || (word.len == 1 && !street_begins))
        return word;
    const geo_rule_pair *row = geo_rule_find(d->rules->written, d->rules->written_count, word);
    return row ? row->to : word;
}

sx_str geo_rewrite_query(const geo_rules *r, sx_str folded, char *out, size_t cap, bool *has_number)
{
    reading d = {.rules = r};
    sink to = {out, 0, cap};
    for (sx_str rest = folded, word; rest.len && d.count < WORDS_MAX;) {
        (void)sx_str_cut(rest, ' ', &word, &rest);
        if (word.len)
            d.words[d.count++] = word;
    }
    drop_no_number(&d);
    find_number(&d);
    *has_number = d.number_at < d.count;
    if (*has_number) {
        take_suffix(&d);
        skip_door(&d);
        put(&to, d.digits, false);
        put(&to, d.suffix, true);
    }
    bool begins = true;
    for (size_t i = 0; i < d.count; i++) {
        if (i >= d.skip_at && i < d.behind)
            continue;
        put(&to, written(&d, i, begins), false);
        begins = false;
    }
    return sx_str_of(out, to.len);
}
