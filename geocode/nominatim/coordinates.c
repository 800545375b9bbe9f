/* coordinates.c - coordinates and categories among the words of a query. See params.h.
 *
 * A point may stand before or behind other words, not between them. Seven ways of writing it are known,
 * tried in the order of FORMS; the first that fits counts. */
#include <string.h>

#include "geocode/nominatim/params.h"
#include "geocode/text/form.h"

/* What a text is matched with, a letter a step:
 *   A  N or S        E  E or W        s  any blanks        c  blanks and commas, at least one
 *   D  degrees with a point, perhaps °       G  the same with a sign, without °
 *   M  degrees and minutes                   S  degrees, minutes and seconds
 *   [  ]  that bracket, or nothing
 * The first number is the latitude. */
static const char *const FORMS[] = {"AsDcEsD", "DsAcDsE", "AsMcEsM", "MsAcMsE",
                                    "AsScEsS", "SsAcSsE", "[GcG]"};

typedef struct match {
    sx_str left; /* of the text */
    double degrees[2];
    unsigned numbers;
    double sign[2]; /* of the latitude, the longitude */
} match;

static size_t blank_bytes(sx_str s)
{
    if (s.len && (s.data[0] == ' ' || (s.data[0] >= '\t' && s.data[0] <= '\r')))
        return 1;
    return sx_str_starts(s, SX_STR("\xC2\xA0")) ? 2 : 0;
}

/* Takes as many of the given signs as there are, and blanks too if `blanks`. How many were taken. */
static size_t take_any(match *m, const char *const *signs, bool blanks)
{
    size_t taken = 0, bytes;
    do {
        bytes = blanks ? blank_bytes(m->left) : 0;
        for (size_t i = 0; bytes == 0 && signs[i]; i++)
            bytes = sx_str_starts(m->left, sx_str_z(signs[i])) ? strlen(signs[i]) : 0;
        m->left = sx_str_from(m->left, bytes);
        taken += bytes > 0;
    } while (bytes > 0);
    return taken;
}

static const char *const NO_SIGNS[] = {NULL};
static const char *const COMMA[] = {",", NULL};
static const char *const DEGREE[] = {"°", NULL};
static const char *const MINUTE[] = {"′", "'", NULL};
static const char *const SECOND[] = {"\"", "″", NULL};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static sx_str take_digits(match *m, bool points)
{
    size_t len = 0;
    while (len < m->left.len &&
           (is_digit(m->left.data[len]) || (points && m->left.data[len] == '.')))
        len++;
    sx_str digits = sx_str_first(m->left, len);
    m->left = sx_str_from(m->left, len);
    return digits;
}

/* A number of digits alone, or, with `points`, with a point too. */
static bool take_number(match *m, bool points, double *out)
{
    sx_str digits = take_digits(m, points);
    return digits.len > 0 && geo_python_float(digits, out);
}

/* "47.14": digits on both sides of the point. */
static bool take_decimal(match *m, bool sign, double *out)
{
    sx_str begin = m->left;
    if (sign && m->left.len && (m->left.data[0] == '+' || m->left.data[0] == '-'))
        m->left = sx_str_from(m->left, 1);
    if (take_digits(m, false).len == 0 || m->left.len == 0 || m->left.data[0] != '.')
        return false;
    m->left = sx_str_from(m->left, 1);
    return take_digits(m, false).len > 0 &&
           geo_python_float(sx_str_first(begin, begin.len - m->left.len), out);
}

/* Degrees, minutes and, if `seconds`, seconds. */
static bool take_parts(match *m, bool seconds, double *out)
{
    double degrees, minutes, second = 0;
    if (!take_number(m, false, &degrees) || take_any(m, DEGREE, true) == 0 ||
        !take_number(m, !seconds, &minutes))
        return false;
    if (!seconds)
        (void)take_any(m, MINUTE, false);
    else if (take_any(m, MINUTE, true) == 0 || !take_number(m, true, &second))
        return false;
    else
        (void)take_any(m, SECOND, false);
    *out = degrees + minutes / 60.0 + second / 3600.0;
    return true;
}

static bool take_letter(match *m, char plus, char minus, double *sign)
{
    if (m->left.len == 0 || (m->left.data[0] != plus && m->left.data[0] != minus))
        return false;
    *sign = m->left.data[0] == plus ? 1 : -1;
    m->left = sx_str_from(m->left, 1);
    return true;
}

static bool take_step(match *m, char step)
{
    double *number = &m->degrees[m->numbers];
    bool ok;
    switch (step) {
    case 'A':
        return take_letter(m, 'N', 'S', &m->sign[0]);
    case 'E':
        return take_letter(m, 'E', 'W', &m->sign[1]);
    case 's':
        (void)take_any(m, NO_SIGNS, true);
        return true;
    case 'c':
        return take_any(m, COMMA, true) > 0;
    case '[':
    case ']':
        if (m->left.len && m->left.data[0] == step)
            m->left = sx_str_from(m->left, 1);
        return true;
    case 'G':
        ok = take_decimal(m, true, number);
        break;
    case 'D':
        ok = take_decimal(m, false, number);
        if (ok && sx_str_starts(m->left, SX_STR("°")))
            m->left = sx_str_from(m->left, 2);
        break;
    default:
        ok = take_parts(m, step == 'S', number);
    }
    m->numbers++;
    return ok;
}

/* Matches a form at the beginning of m->left; behind it is a blank or nothing. */
static bool take_form(match *m, const char *form)
{
    for (; *form; form++) {
        if (!take_step(m, *form))
            return false;
    }
    return m->left.len == 0 || blank_bytes(m->left) > 0;
}

static sx_str without_blanks(sx_str s)
{
    for (size_t bytes; (bytes = blank_bytes(s)) > 0;)
        s = sx_str_from(s, bytes);
    return s;
}

/* The first place in the text where a form fits. */
static bool find_form(sx_str text, const char *form, match *m, sx_str *before)
{
    sx_str at = text;
    *before = sx_str_first(text, 0);
    for (;;) {
        *m = (match){.left = at, .sign = {1, 1}};
        if (take_form(m, form))
            return true;
        while (at.len && blank_bytes(at) == 0)
            at = sx_str_from(at, 1);
        if (at.len == 0)
            return false;
        *before = sx_str_first(text, text.len - at.len);
        at = without_blanks(at);
    }
}

bool nom_coordinates_find(sx_str text, double *lon, double *lat, sx_str *rest)
{
    for (size_t i = 0; i < SX_COUNT_OF(FORMS); i++) {
        match m;
        sx_str before;
        if (!find_form(text, FORMS[i], &m, &before))
            continue;
        sx_str behind = without_blanks(m.left);
        if (before.len && behind.len)
            continue;
        *lat = m.degrees[0] * m.sign[0];
        *lon = m.degrees[1] * m.sign[1];
        *rest = before.len ? before : behind;
        return true;
    }
    return false;
}

static bool is_key_byte(char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
}

/* Letters up to `end`; false if there are none, or others. */
static bool take_key(sx_str *text, char end, sx_str *out)
{
    size_t len = 0;
    while (len < text->len && is_key_byte(text->data[len]))
        len++;
    if (len == 0 || len == text->len || text->data[len] != end)
        return false;
    *out = sx_str_first(*text, len);
    *text = sx_str_from(*text, len + 1);
    return true;
}

bool nom_category_find(sx_str text, sx_arena *arena, sx_str *key, sx_str *value, sx_str *rest)
{
    for (size_t at = 0; at < text.len; at++) {
        if (text.data[at] != '[')
            continue;
        sx_str behind = sx_str_from(text, at + 1);
        if (!take_key(&behind, '=', key) || !take_key(&behind, ']', value))
            continue;
        sx_str before = sx_str_trim_all(sx_str_first(text, at));
        behind = sx_str_trim_all(behind);
        *rest = before.len == 0 ? behind
                : behind.len == 0
                    ? before
                    : sx_arena_printf(arena, "%.*s %.*s", SX_ARG(before), SX_ARG(behind));
        return true;
    }
    return false;
}
