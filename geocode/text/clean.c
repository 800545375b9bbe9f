/* clean.c - see clean.h. Each step edits one buffer in place, and only ever shortens it. */
#include "geocode/text/clean.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_char(char c)
{
    return c != ' ';
}

/* The query being cleaned. */
typedef struct draft {
    char *text;
    size_t len;
} draft;

static sx_str view(const draft *d)
{
    return sx_str_of(d->text, d->len);
}

/* Takes out [from, to). */
static void cut(draft *d, size_t from, size_t to)
{
    memmove(d->text + from, d->text + to, d->len - to);
    d->len -= to - from;
}

/* Where `what` begins at or behind `from`; d->len if nowhere. */
static size_t find(const draft *d, size_t from, sx_str what)
{
    return from + sx_str_find(sx_str_from(view(d), from), what);
}

/* The end of the word at `at`. */
static size_t word_end(sx_str s, size_t at)
{
    while (at < s.len && is_word_char(s.data[at]))
        at++;
    return at;
}

/* The length of a house number at the beginning of `s`, with the word for its letter if that is
 * written apart; 0 if there is none. */
static size_t number_at(const geo_rules *r, sx_str s)
{
    size_t digits = 0, end = word_end(s, 0);
    while (digits < end && is_digit(s.data[digits]))
        digits++;
    if (digits == 0 || digits > 4)
        return 0;
    sx_str rest = sx_str_from(sx_str_first(s, end), digits);
    if (rest.len)
        return rest.len == 1 || geo_rules_ordinal(r, rest).len ? end : 0;
    size_t next = end < s.len ? end + 1 : end, next_end = word_end(s, next);
    sx_str letter = sx_str_from(sx_str_first(s, next_end), next);
    sx_str after = next_end < s.len ? sx_str_from(s, next_end + 1) : sx_str_of("", 0);
    bool is_letter = letter.len == 1 && !is_digit(letter.data[0]);
    /* "4 r jules": the letter is the street word unless another follows. */
    if ((is_letter || geo_rules_ordinal(r, letter).len) &&
        geo_rules_is_street_word(r, sx_str_first(after, word_end(after, 0))))
        return next_end;
    return end;
}

/* Whether a house number, a street word and something more stand at the beginning of `s`. */
static bool is_address(const geo_rules *r, sx_str s)
{
    size_t number = number_at(r, s);
    if (number == 0 || number >= s.len)
        return false;
    s = sx_str_from(s, number + 1);
    size_t end = word_end(s, 0);
    return geo_rules_is_street_word(r, sx_str_first(s, end)) && end + 1 < s.len;
}

/* The address begins at its house number, if there is one before a street word. */
static sx_str extract(const geo_rules *r, sx_str s)
{
    for (size_t at = 0; at < s.len; at = word_end(s, at) + 1) {
        sx_str rest = sx_str_from(s, at);
        if (is_address(r, rest))
            return rest;
    }
    return s;
}

/* "2e etage", "12eme etage", wherever it stands. */
static void drop_floors(draft *d)
{
    static const sx_str FLOOR = SX_STR_INIT("e etage");
    for (size_t at = 0; (at = find(d, at, FLOOR)) < d->len;) {
        size_t from = at;
        if (at >= 2 && d->text[at - 1] == 'm' && d->text[at - 2] == 'e')
            from = at - 2;
        while (from > 0 && is_digit(d->text[from - 1]))
            from--;
        cut(d, from, at + FLOOR.len);
        at = from;
    }
}

/* Boxes: "bp 1234", "cs12345", "tsa 12", "cidex 3"; a number must follow. */
static void drop_boxes(draft *d)
{
    static const sx_str BOXES[] = {SX_STR_INIT("bp"), SX_STR_INIT("cs"), SX_STR_INIT("tsa"),
                                   SX_STR_INIT("cidex")};
    for (size_t at = 0; at < d->len; at = word_end(view(d), at) + 1) {
        sx_str rest = sx_str_from(view(d), at);
        for (size_t i = 0; i < SX_COUNT_OF(BOXES); i++) {
            if (!sx_str_starts(rest, BOXES[i]))
                continue;
            size_t digits = BOXES[i].len;
            digits += digits < rest.len && rest.data[digits] == ' ';
            if (digits < rest.len && rest.data[digits] == 'n')
                digits += 1 + (digits + 1 < rest.len && rest.data[digits + 1] == 'o');
            digits += digits < rest.len && rest.data[digits] == ' ';
            size_t end = digits;
            while (end < rest.len && end - digits < 5 && is_digit(rest.data[end]))
                end++;
            if (end > digits)
                cut(d, at, at + end);
            break;
        }
    }
}

/* A postcode before "cedex" keeps its department; the word and its number go. */
static void drop_cedex(draft *d)
{
    static const sx_str CEDEX = SX_STR_INIT("cedex");
    size_t last = d->len;
    for (size_t at = 0; (at = find(d, at, CEDEX)) < d->len; at++)
        last = at;
    if (last == d->len)
        return;
    for (size_t at = 0, run = 0; at < last; at++) {
        run = is_digit(d->text[at]) ? run + 1 : 0;
        if (run == 5) {
            d->text[at] = d->text[at - 1] = ' ';
            d->text[at - 2] = d->text[at - 3];
            d->text[at - 3] = d->text[at - 4];
            d->text[at - 4] = ' '; /* letters before it are a word of their own */
            break;
        }
    }
    for (size_t at = 0; (at = find(d, at, CEDEX)) < d->len;) {
        size_t word = at + CEDEX.len, end;
        size_t digits = word < d->len && d->text[word] == ' ' ? word + 1 : word;
        for (end = digits; end < d->len && is_digit(d->text[end]);)
            end++;
        cut(d, at, end > digits && end - digits <= 2 ? end : word);
    }
}

/* "lieu dit" and its spellings at the beginning, before something else. */
static void drop_place_word(draft *d)
{
    static const sx_str WORDS[] = {
        SX_STR_INIT("lieu dit "),  SX_STR_INIT("lieudit "),   SX_STR_INIT("lieux dit "),
        SX_STR_INIT("lieu dits "), SX_STR_INIT("lieudits "),  SX_STR_INIT("lieux dits "),
        SX_STR_INIT("lieuxdit "),  SX_STR_INIT("lieuxdits "),
    };
    for (size_t i = 0; i < SX_COUNT_OF(WORDS); i++) {
        if (sx_str_starts(view(d), WORDS[i]) && d->len > WORDS[i].len) {
            cut(d, 0, WORDS[i].len);
            return;
        }
    }
}

/* "014" is 14; a postcode keeps its zero. */
static void drop_zeros(draft *d)
{
    for (size_t at = 0; at < d->len; at = word_end(view(d), at) + 1) {
        size_t end = word_end(view(d), at), zeros = at, digits = at;
        while (digits < end && is_digit(d->text[digits]))
            digits++;
        while (zeros + 1 < digits && d->text[zeros] == '0')
            zeros++;
        if (digits == end && end - zeros <= 3)
            cut(d, at, zeros);
    }
}

sx_str geo_clean_query(const geo_rules *r, sx_str folded, char *out)
{
    if (!geo_rules_cleans(r) || folded.len == 0)
        return folded;
    folded = extract(r, folded);
    memcpy(out, folded.data, folded.len);
    draft d = {out, folded.len};
    drop_floors(&d);
    drop_boxes(&d);
    drop_cedex(&d);
    drop_place_word(&d);
    drop_zeros(&d);
    return view(&d);
}
