/* exposition_number.c - numbers as Go's strconv reads them, and as OpenMetrics writes them. */
#include <math.h>

#include <sextant/number.h>

#include "codec/go_text.h"
#include "observe/scrape/exposition_internal.h"

enum { DIGITS_EXACT = 18, SHOWN_MAX = 512 };

static SX_COLD sx_status bad_number(sx_str text, const char *why, sx_error *err)
{
    sx_buf shown;
    sx_buf_init(&shown, 0);
    tsdb_quote(sx_str_first(text, SHOWN_MAX), &shown);
    sx_status st = sx_fail(err, SX_EFORMAT, "strconv.ParseFloat: parsing %.*s: %s",
                           SX_ARG(sx_buf_view(&shown)), why);
    sx_buf_done(&shown);
    return st;
}

/* All that the quick way below does not read. Prometheus refuses what is hexadecimal or has
 * underscores before it asks strconv. */
static sx_status read_exactly(sx_str text, double *out, sx_error *err)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == 'p' || text.data[i] == 'P' || text.data[i] == '_')
            return sx_fail(err, SX_EFORMAT, "unsupported character in float");
    }
    const char *why = go_float_read(text, out);
    return why ? bad_number(text, why, err) : SX_OK;
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
    return read_exactly(text, out, err);
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
