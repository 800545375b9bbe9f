/* number.c - numbers in Go's notation: 1_000, 0x1F, 017, .5, 1., Inf, NaN.
 *
 * Prometheus reads a whole number with Go's ParseInt and base 0 first (so 017 is 15), anything else
 * with ParseFloat. The lexer has let through only letters of numbers. */
#include "codec/go_text.h"
#include "observe/promql/parser.h"

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

bool promql_read_number(sx_str text, double *out, const char **why)
{
    bool hex = text.len > 1 && text.data[0] == '0' && (text.data[1] | 32) == 'x';
    *why = NULL;
    if (hex && underscores_are_right(text, hex) && read_whole(sx_str_from(text, 2), 16, out))
        return true;
    if (!hex && underscores_are_right(text, hex) &&
        read_whole(text, text.len > 1 && text.data[0] == '0' ? 8 : 10, out))
        return true;
    *why = go_float_read(text, out);
    return *why == NULL;
}
