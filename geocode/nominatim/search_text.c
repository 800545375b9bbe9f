/* search_text.c - see search_text.h.
 *
 * Seven notations of coordinates, tried in this order: decimal degrees, degrees and minutes, degrees,
 * minutes and seconds, each with the letter of the sky before or behind; and two plain decimal
 * numbers. They may stand at the begin of the text, at its end, or be all of it. */
#include "geocode/nominatim/search_text.h"

#include <sextant/number.h>

enum { DIGITS_MAX = 24 };

/* Reads forwards; `bad` once something did not fit. */
typedef struct reader {
    sx_str s;
    size_t at;
    bool bad;
} reader;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool takes(reader *r, const char *text)
{
    sx_str wanted = sx_str_z(text);
    if (!sx_str_starts(sx_str_from(r->s, r->at), wanted))
        return false;
    r->at += wanted.len;
    return true;
}

static size_t skip_spaces(reader *r)
{
    size_t from = r->at;
    while (r->at < r->s.len && is_space(r->s.data[r->at]))
        r->at++;
    return r->at - from;
}

/* At least one of: a space, or one of the signs. */
static void skip_some(reader *r, const char *const *signs)
{
    size_t from = r->at;
    for (bool more = true; more;) {
        more = skip_spaces(r) > 0;
        for (size_t i = 0; signs[i]; i++)
            more |= takes(r, signs[i]);
    }
    r->bad |= r->at == from;
}

static void skip_any(reader *r, const char *const *signs)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; signs[i]; i++)
            more |= takes(r, signs[i]);
    }
}

static const char *const DEGREE[] = {"°", NULL};
static const char *const MINUTE[] = {"′", "'", NULL};
static const char *const SECOND[] = {"\"", "″", NULL};
static const char *const COMMA[] = {",", NULL};

/* Digits; `point`: with a '.' among them where `must`, or perhaps. */
static double number(reader *r, bool may, bool must)
{
    size_t from = r->at, points = 0, point_at = 0;
    while (r->at < r->s.len && (is_digit(r->s.data[r->at]) || (may && r->s.data[r->at] == '.'))) {
        if (r->s.data[r->at] == '.') {
            if (++points > 1)
                break;
            point_at = r->at;
        }
        r->at++;
    }
    sx_str text = sx_str_of(r->s.data + from, r->at - from);
    double value = 0;
    bool whole = !must || (points == 1 && point_at > from && point_at + 1 < r->at);
    if (text.len == 0 || text.len > DIGITS_MAX || !whole || !sx_double_parse(text, &value))
        r->bad = true;
    return value;
}

typedef enum notation { DECIMAL, MINUTES, SECONDS } notation;

static double angle(reader *r, notation n)
{
    double value = number(r, n == DECIMAL, n == DECIMAL);
    if (n == DECIMAL) {
        (void)takes(r, "°");
        return value;
    }
    skip_some(r, DEGREE);
    if (n == MINUTES) {
        value += number(r, true, false) / 60;
        skip_any(r, MINUTE);
        return value;
    }
    value += number(r, false, false) / 60;
    skip_some(r, MINUTE);
    value += number(r, true, false) / 3600;
    skip_any(r, SECOND);
    return value;
}

/* +1, -1; bad if neither letter is there. */
static double sky(reader *r, const char *plus, const char *minus)
{
    if (takes(r, plus))
        return 1;
    if (takes(r, minus))
        return -1;
    r->bad = true;
    return 0;
}

static geo_pt with_letters(reader *r, notation n, bool before)
{
    geo_pt p = {0, 0};
    double north = 0, east = 0;
    if (before) {
        north = sky(r, "N", "S");
        (void)skip_spaces(r);
    }
    p.lat = angle(r, n);
    if (!before) {
        (void)skip_spaces(r);
        north = sky(r, "N", "S");
    }
    skip_some(r, COMMA);
    if (before) {
        east = sky(r, "E", "W");
        (void)skip_spaces(r);
    }
    p.lon = angle(r, n);
    if (!before) {
        (void)skip_spaces(r);
        east = sky(r, "E", "W");
    }
    return (geo_pt){p.lon * east, p.lat * north};
}

static double signed_number(reader *r)
{
    double sign = takes(r, "-") ? -1 : 1;
    if (sign > 0)
        (void)takes(r, "+");
    return sign * number(r, true, true);
}

static geo_pt plain(reader *r)
{
    (void)takes(r, "[");
    geo_pt p;
    p.lat = signed_number(r);
    skip_some(r, COMMA);
    p.lon = signed_number(r);
    (void)takes(r, "]");
    return p;
}

enum { NOTATIONS = 7 };

static geo_pt read_as(reader *r, int which)
{
    return which == NOTATIONS - 1 ? plain(r)
                                  : with_letters(r, (notation)(which / 2), which % 2 == 0);
}

/* The coordinates that begin at `from`, with the end of the text or a space behind them. */
static bool read_at(sx_str text, size_t from, int which, geo_pt *out, size_t *end)
{
    reader r = {.s = text, .at = from};
    *out = read_as(&r, which);
    *end = r.at;
    return !r.bad && (r.at == text.len || is_space(text.data[r.at]));
}

/* Only at such a letter can coordinates begin: most words need no closer look. */
static bool may_begin(char c)
{
    return is_digit(c) || memchr(".[+-NS", c, 6) != NULL;
}

bool nom_take_coordinates(sx_str *text, sx_arena *arena, geo_pt *out)
{
    (void)arena;
    sx_str s = *text;
    size_t end;
    for (int which = 0; which < NOTATIONS; which++) {
        for (size_t from = 0; from < s.len; from++) {
            if (from > 0 && !is_space(s.data[from - 1]))
                continue;
            if (!may_begin(s.data[from]) || !read_at(s, from, which, out, &end))
                continue;
            sx_str before = sx_str_trim_all(sx_str_first(s, from));
            sx_str behind = sx_str_trim_all(sx_str_from(s, end));
            if (before.len && behind.len)
                break; /* in the middle of a text it is none */
            *text = before.len ? before : behind;
            return true;
        }
    }
    return false;
}

static size_t word_at(sx_str s, size_t at)
{
    size_t from = at;
    while (at < s.len &&
           (((s.data[at] | 0x20) >= 'a' && (s.data[at] | 0x20) <= 'z') || s.data[at] == '_'))
        at++;
    return at - from;
}

bool nom_take_category(sx_str *text, sx_arena *arena, sx_str *class_name, sx_str *type)
{
    sx_str s = *text;
    for (size_t open = 0; open < s.len; open++) {
        if (s.data[open] != '[')
            continue;
        size_t key = word_at(s, open + 1), equals = open + 1 + key;
        if (key == 0 || equals >= s.len || s.data[equals] != '=')
            continue;
        size_t value = word_at(s, equals + 1), close = equals + 1 + value;
        if (value == 0 || close >= s.len || s.data[close] != ']')
            continue;
        *class_name = sx_str_of(s.data + open + 1, key);
        *type = sx_str_of(s.data + equals + 1, value);
        sx_str before = sx_str_trim_all(sx_str_first(s, open));
        sx_str behind = sx_str_trim_all(sx_str_from(s, close + 1));
        sx_str joined = sx_arena_printf(arena, "%.*s %.*s", SX_ARG(before), SX_ARG(behind));
        *text = joined.data ? sx_str_trim_all(joined) : before;
        return true;
    }
    return false;
}
