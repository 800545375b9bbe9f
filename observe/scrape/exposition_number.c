/* exposition_number.c - numbers as Go's strconv reads them, and as OpenMetrics writes them. */
#include <math.h>

#include <sextant/number.h>

#include "observe/scrape/exposition_internal.h"

enum { DIGITS_EXACT = 18, TEXT_MAX = 512 };

static SX_COLD sx_status bad_number(sx_str text, const char *why, sx_error *err)
{
    sx_buf shown;
    sx_buf_init(&shown, 0);
    tsdb_quote(sx_str_first(text, TEXT_MAX), &shown);
    sx_status st = sx_fail(err, SX_EFORMAT, "strconv.ParseFloat: parsing %.*s: %s",
                           SX_ARG(sx_buf_view(&shown)), why);
    sx_buf_done(&shown);
    return st;
}

/* inf, infinity (with a sign) and nan, in any case. */
static bool read_word(sx_str text, double *out)
{
    bool negative = text.len && text.data[0] == '-';
    sx_str word = sx_str_from(text, negative || (text.len && text.data[0] == '+'));
    if (sx_str_ieq(word, SX_STR("inf")) || sx_str_ieq(word, SX_STR("infinity"))) {
        *out = negative ? -INFINITY : INFINITY;
        return true;
    }
    if (sx_str_ieq(text, SX_STR("nan"))) {
        uint64_t bits = TSDB_NORMAL_NAN_BITS; /* one NaN, whatever the target's language made */
        memcpy(out, &bits, sizeof *out);
        return true;
    }
    return false;
}

/* Go allows ".5", "5." and leading zeros, which JSON's grammar does not: rewrites the number so that
 * the exact reader takes it. */
static sx_status read_exactly(sx_str text, double *out, sx_error *err)
{
    char plain[TEXT_MAX + 4];
    size_t len = 0, at = 0;
    if (text.len > TEXT_MAX)
        return bad_number(text, "invalid syntax", err);
    if (text.data[0] == '-')
        plain[len++] = '-';
    at += text.data[0] == '-' || text.data[0] == '+';
    while (at + 1 < text.len && text.data[at] == '0' && text.data[at + 1] >= '0' &&
           text.data[at + 1] <= '9')
        at++;
    if (at < text.len && text.data[at] == '.')
        plain[len++] = '0';
    for (; at < text.len; at++) {
        char c = text.data[at], next = at + 1 < text.len ? text.data[at + 1] : 'e';
        if (c == '.' && (next < '0' || next > '9'))
            continue;
        plain[len++] = c;
    }
    if (!sx_double_parse(sx_str_of(plain, len), out))
        return bad_number(text, "invalid syntax", err);
    if (isinf(*out))
        return bad_number(text, "value out of range", err);
    return SX_OK;
}

sx_status expo_float(sx_str text, double *out, sx_error *err)
{
    const char *p = text.data, *end = p + text.len;
    bool negative = p < end && *p == '-', any = false, point = false;
    uint64_t mantissa = 0;
    int digits = 0, scale = 0;
    p += negative || (p < end && *p == '+');
    for (; p < end; p++) {
        if (*p >= '0' && *p <= '9') {
            mantissa = mantissa * 10 + (uint64_t)(*p - '0');
            digits += mantissa != 0;
            scale -= point;
            any = true;
            if (sx_unlikely(digits > DIGITS_EXACT))
                return read_exactly(text, out, err);
        } else if (*p == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    if (sx_likely(p == end && any)) {
        if (scale == 0 && digits <= 15) { /* counters: most of all samples */
            *out = negative ? -(double)mantissa : (double)mantissa;
            return SX_OK;
        }
        return sx_double_of_decimal(mantissa, scale, negative, out) ? SX_OK
                                                                    : read_exactly(text, out, err);
    }
    if (any && (*p == 'e' || *p == 'E'))
        return read_exactly(text, out, err);
    if (read_word(text, out))
        return SX_OK;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == 'p' || text.data[i] == 'P' || text.data[i] == '_')
            return sx_fail(err, SX_EFORMAT, "unsupported character in float");
    }
    return bad_number(text, "invalid syntax", err);
}

size_t expo_normal_float(sx_str text, char out[EXPO_FLOAT_BYTES])
{
    double v;
    if (expo_float(text, &v, NULL) != SX_OK)
        return 0;
    size_t len = sx_double_format(v, SX_DOUBLE_GO, out);
    if (!isfinite(v))
        return len;
    for (size_t i = 0; i < len; i++) {
        if (out[i] == '.' || out[i] == 'e')
            return len;
    }
    memcpy(out + len, ".0", 3);
    return len + 2;
}
