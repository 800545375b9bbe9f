/* tokens.c - see tokens.h. */
#include "geocode/text/tokens.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

bool geo_number_parse(sx_str folded, geo_number *out)
{
    size_t digits = 0;
    uint32_t number = 0;
    while (digits < folded.len && digits <= GEO_NUMBER_DIGITS_MAX && is_digit(folded.data[digits]))
        number = number * 10 + (uint32_t)(folded.data[digits++] - '0');
    sx_str suffix = sx_str_from(folded, digits);
    if (digits == 0 || digits > GEO_NUMBER_DIGITS_MAX || suffix.len > GEO_NUMBER_SUFFIX_MAX)
        return false;
    if (suffix.len && (!is_letter(suffix.data[0]) || folded.data[0] == '0'))
        return false;
    for (size_t i = 1; i < suffix.len; i++) {
        if (!is_digit(suffix.data[i]))
            return false;
    }
    *out = (geo_number){number, suffix};
    return true;
}

/* Cuts at spaces; a word longer than the limit keeps its first bytes, never half a character. */
static size_t cut_words(sx_str folded, geo_token *out, size_t max)
{
    size_t count = 0, at = 0;
    while (at < folded.len && count < max) {
        size_t end = at + sx_str_find_byte(sx_str_from(folded, at), ' ');
        size_t stop = end - at > GEO_TOKEN_BYTES_MAX ? at + GEO_TOKEN_BYTES_MAX : end;
        while (stop < end && ((unsigned char)folded.data[stop] & 0xC0) == 0x80)
            stop--;
        geo_token *t = &out[count++];
        t->text = sx_str_of(folded.data + at, stop - at);
        t->from = (uint32_t)at;
        t->to = (uint32_t)end;
        t->number_like = t->flagged = false;
        at = end + 1;
    }
    return count;
}

/* The suffix that word `next` adds to a bare number before it; empty if none. A single letter only
 * counts where a street word or nothing follows, and never if it is a street word's abbreviation
 * itself: "4 r jules cloquet" is no 4r. */
static sx_str suffix_of(const geo_rules *r, const geo_token *next, const geo_token *after)
{
    sx_str ordinal = geo_rules_ordinal(r, next->text);
    if (ordinal.len)
        return ordinal;
    if (next->text.len != 1 || !is_letter(next->text.data[0]) ||
        geo_rules_is_street_word(r, next->text))
        return sx_str_of("", 0);
    if (after && !geo_rules_is_street_word(r, after->text))
        return sx_str_of("", 0);
    return next->text;
}

static bool all_digits(sx_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.data[i]))
            return false;
    }
    return s.len > 0;
}

/* Endings that make a number an ordinal: "12eme" and "12e" are one word. */
static bool is_rank(sx_str ending)
{
    static const sx_str RANKS[] = {SX_STR_INIT("eme"),  SX_STR_INIT("er"), SX_STR_INIT("ere"),
                                   SX_STR_INIT("ieme"), SX_STR_INIT("nd"), SX_STR_INIT("nde")};
    for (size_t i = 0; i < SX_COUNT_OF(RANKS); i++) {
        if (sx_str_eq(RANKS[i], ending))
            return true;
    }
    return false;
}

/* "19ter" as one word becomes "19t", like "19 ter"; "12eme" becomes "12e". */
static void fold_ordinal(const geo_rules *r, geo_token *t)
{
    size_t digits = 0;
    while (digits < t->text.len && is_digit(t->text.data[digits]))
        digits++;
    if (digits == 0 || digits > GEO_NUMBER_DIGITS_MAX)
        return;
    sx_str ending = sx_str_from(t->text, digits), ordinal = geo_rules_ordinal(r, ending);
    if (ordinal.len == 0 && !is_rank(ending))
        return;
    memcpy(t->glued, t->text.data, digits);
    t->glued[digits] = ordinal.len ? ordinal.data[0] : 'e';
    t->text = sx_str_of(t->glued, digits + 1);
}

/* Joins "19 bis" and "7 b" into one token each; returns the new count. */
static size_t glue_numbers(const geo_rules *r, geo_token *t, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++, kept++) {
        sx_str suffix = {"", 0};
        if (all_digits(t[i].text) && t[i].text.len <= GEO_NUMBER_DIGITS_MAX && i + 1 < count)
            suffix = suffix_of(r, &t[i + 1], i + 2 < count ? &t[i + 2] : NULL);
        t[kept].from = t[i].from;
        t[kept].to = t[i].to;
        t[kept].text = t[i].text;
        if (suffix.len) {
            memcpy(t[kept].glued, t[i].text.data, t[i].text.len);
            memcpy(t[kept].glued + t[i].text.len, suffix.data, suffix.len);
            t[kept].text = sx_str_of(t[kept].glued, t[i].text.len + suffix.len);
            t[kept].to = t[i + 1].to;
            i++;
        }
    }
    return kept;
}

/* A house number stands before the word that names a kind of street; if no number does, at the
 * front. "rue du 8 mai" and "paris 19" have none. */
static void flag_numbers(const geo_rules *r, geo_token *t, size_t count)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        geo_number number;
        t[i].number_like = geo_number_parse(t[i].text, &number);
        t[i].flagged =
            t[i].number_like && i + 1 < count && geo_rules_is_street_word(r, t[i + 1].text);
        any = any || t[i].flagged;
    }
    if (!any && count > 1 && t[0].number_like)
        t[0].flagged = true;
}

size_t geo_tokens(const geo_rules *r, sx_str folded, geo_token *out, size_t max)
{
    size_t count = glue_numbers(r, out, cut_words(folded, out, max));
    for (size_t i = 0; i < count; i++)
        fold_ordinal(r, &out[i]);
    flag_numbers(r, out, count);
    /* Expanded last: the checks above look at words as they were written. */
    for (size_t i = 0; i < count; i++)
        out[i].text = geo_rules_expand(r, out[i].text);
    return count;
}
