/* number.c - numbers in Go's notation: 1_000, 0x1F, 017, .5, 1., Inf, NaN.
 *
 * Prometheus reads a whole number with Go's ParseInt and base 0 first (so 017 is 15), anything else
 * with ParseFloat. The lexer has let through only letters of numbers. */
#include <math.h>

#include <sextant/number.h>

#include "observe/promql/parser.h"

enum { NUMBER_BYTES_MAX = 4096 };

/* Underscores stand between digits, or between a base's sign and a digit. */
static bool underscores_are_right(sx_str s, bool hex)
{
    char before = '-';
    size_t from = 0;
    if (hex) {
        before = '0';
        from = 2;
    }
    for (size_t i = from; i < s.len; i++) {
        char c = s.data[i];
        bool digit = (c >= '0' && c <= '9') || (hex && ((c | 32) >= 'a' && (c | 32) <= 'f'));
        if (c == '_') {
            if (before != '0')
                return false;
            before = '_';
        } else if (digit) {
            before = '0';
        } else {
            if (before == '_')
                return false;
            before = '-';
        }
    }
    return before != '_';
}

static bool read_whole(sx_str s, unsigned base, double *out)
{
    uint64_t value = 0;
    bool any = false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (c == '_')
            continue;
        unsigned digit = c >= '0' && c <= '9'                 ? (unsigned)(c - '0')
                         : (c | 32) >= 'a' && (c | 32) <= 'f' ? (unsigned)((c | 32) - 'a' + 10)
                                                              : 99;
        if (digit >= base || value > ((uint64_t)INT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
        any = true;
    }
    *out = (double)(int64_t)value;
    return any;
}

/* Into the stricter notation of sx_double_scan: 0.5 for .5, 1 for 1., 8 for 08. */
static bool read_decimal(sx_str s, double *out)
{
    char text[NUMBER_BYTES_MAX];
    size_t len = 0, digits = 0;
    if (s.len > NUMBER_BYTES_MAX - 4)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (c == '_')
            continue;
        bool digit = c >= '0' && c <= '9';
        if (digit && len == 1 && text[0] == '0') /* a leading zero */
            len = 0;
        if (c == '.' && len == 0)
            text[len++] = '0';
        digits += digit;
        if ((c | 32) == 'e') {
            if (digits == 0)
                return false;
            if (len && text[len - 1] == '.')
                len--;
        }
        text[len++] = c;
    }
    if (len && text[len - 1] == '.')
        len--;
    return digits && sx_double_parse(sx_str_of(text, len), out);
}

bool promql_read_number(sx_str text, double *out, const char **why)
{
    bool hex = text.len > 1 && text.data[0] == '0' && (text.data[1] | 32) == 'x';
    *why = "invalid syntax";
    if (sx_str_ieq(text, SX_STR("inf"))) {
        *out = INFINITY;
        return true;
    }
    if (sx_str_ieq(text, SX_STR("nan"))) {
        *out = NAN;
        return true;
    }
    if (text.len == 0 || !underscores_are_right(text, hex))
        return false;
    if (hex)
        return read_whole(sx_str_from(text, 2), 16, out);
    if (read_whole(text, text.data[0] == '0' && text.len > 1 ? 8 : 10, out))
        return true;
    if (!read_decimal(text, out))
        return false;
    *why = "value out of range";
    return !isinf(*out);
}
