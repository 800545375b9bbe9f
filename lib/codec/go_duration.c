/* go_duration.c - durations as Go's package time reads and writes them. See go_text.h.
 *
 * Whole numbers throughout: a duration's nanoseconds are exact up to the 292 years that it can say. */
#include "codec/go_text.h"

#include <stdio.h>

enum { FRACTION_DIGITS_MAX = 18 }; /* more say nothing: an hour has 13 digits of nanoseconds */

static const struct {
    sx_str name;
    uint64_t ns;
} UNITS[] = {
    {SX_STR_INIT("ns"), 1},           {SX_STR_INIT("us"), 1000},
    {SX_STR_INIT("\xc2\xb5s"), 1000}, /* the micro sign */
    {SX_STR_INIT("\xce\xbcs"), 1000}, /* the Greek letter */
    {SX_STR_INIT("ms"), 1000000},     {SX_STR_INIT("s"), 1000000000},
    {SX_STR_INIT("m"), 60000000000},  {SX_STR_INIT("h"), 3600000000000},
};

static const uint64_t NS_MOST = (uint64_t)1 << 63; /* of a negative one; else one less */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static sx_status bad(sx_str whole, sx_error *err)
{
    return sx_fail(err, SX_EINVAL, "time: invalid duration \"%.*s\"", SX_ARG(whole));
}

/* A number: its whole part, and its fraction as fraction / scale. */
typedef struct decimal {
    uint64_t whole, fraction, scale;
    size_t digits;
} decimal;

/* Takes a number off the front of *rest; false: it is too big. */
static bool take_number(sx_str *rest, decimal *d)
{
    size_t i = 0, fraction_digits = 0;
    *d = (decimal){.scale = 1};
    for (; i < rest->len && is_digit(rest->data[i]); i++, d->digits++) {
        if (d->whole > NS_MOST / 10)
            return false;
        d->whole = d->whole * 10 + (unsigned)(rest->data[i] - '0');
    }
    if (i < rest->len && rest->data[i] == '.') {
        for (i++; i < rest->len && is_digit(rest->data[i]); i++, d->digits++) {
            if (fraction_digits == FRACTION_DIGITS_MAX)
                continue;
            fraction_digits++;
            d->fraction = d->fraction * 10 + (unsigned)(rest->data[i] - '0');
            d->scale *= 10;
        }
    }
    *rest = sx_str_from(*rest, i);
    return d->whole <= NS_MOST;
}

/* One number with its unit from the front of *rest, added to *sum. */
static sx_status read_part(sx_str whole, sx_str *rest, uint64_t *sum, sx_error *err)
{
    decimal d;
    size_t len = 0;
    if (!take_number(rest, &d) || d.digits == 0)
        return bad(whole, err);
    while (len < rest->len && !is_digit(rest->data[len]) && rest->data[len] != '.')
        len++;
    sx_str name = sx_str_first(*rest, len);
    *rest = sx_str_from(*rest, len);
    if (len == 0)
        return sx_fail(err, SX_EINVAL, "time: missing unit in duration \"%.*s\"", SX_ARG(whole));
    for (size_t i = 0; i < SX_COUNT_OF(UNITS); i++) {
        if (!sx_str_eq(name, UNITS[i].name))
            continue;
        unsigned __int128 ns = (unsigned __int128)d.whole * UNITS[i].ns +
                               (unsigned __int128)d.fraction * UNITS[i].ns / d.scale + *sum;
        if (ns > NS_MOST)
            return bad(whole, err);
        *sum = (uint64_t)ns;
        return SX_OK;
    }
    return sx_fail(err, SX_EINVAL, "time: unknown unit \"%.*s\" in duration \"%.*s\"", SX_ARG(name),
                   SX_ARG(whole));
}

sx_status go_duration_read(sx_str text, int64_t *ns, sx_error *err)
{
    bool minus = text.len && text.data[0] == '-';
    bool sign = minus || (text.len && text.data[0] == '+');
    sx_str rest = sx_str_from(text, sign);
    uint64_t sum = 0;
    if (rest.len == 0)
        return bad(text, err);
    if (sx_str_eq(rest, SX_STR("0")))
        rest.len = 0; /* the one number that needs no unit */
    while (rest.len) {
        sx_status status = read_part(text, &rest, &sum, err);
        if (status != SX_OK)
            return status;
    }
    if (sum == NS_MOST && !minus)
        return bad(text, err);
    *ns = minus ? (int64_t)(0 - sum) : (int64_t)sum;
    return SX_OK;
}

/* Digits of value / 10^places without zeros at its end. */
static void put_decimal(sx_buf *out, uint64_t value, int places)
{
    char text[32];
    uint64_t unit = 1;
    for (int i = 0; i < places; i++)
        unit *= 10;
    int n = snprintf(text, sizeof(text), "%0*llu", places, (unsigned long long)(value % unit));
    while (n > 0 && text[n - 1] == '0')
        n--;
    sx_buf_u64(out, value / unit);
    if (n > 0) {
        sx_buf_byte(out, '.');
        sx_buf_bytes(out, text, (size_t)n);
    }
}

void go_duration_write(int64_t ns, sx_buf *out)
{
    const uint64_t micro = 1000, milli = 1000000, second = 1000000000;
    uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (ns < 0)
        sx_buf_byte(out, '-');
    if (u == 0) {
        sx_buf_str(out, SX_STR("0s"));
    } else if (u < micro) {
        sx_buf_u64(out, u);
        sx_buf_str(out, SX_STR("ns"));
    } else if (u < milli) {
        put_decimal(out, u, 3);
        sx_buf_str(out, SX_STR("\xc2\xb5s"));
    } else if (u < second) {
        put_decimal(out, u, 6);
        sx_buf_str(out, SX_STR("ms"));
    } else {
        uint64_t minutes = u / second / 60;
        if (minutes >= 60)
            sx_buf_printf(out, "%lluh", (unsigned long long)(minutes / 60));
        if (minutes)
            sx_buf_printf(out, "%llum", (unsigned long long)(minutes % 60));
        put_decimal(out, u % (60 * second), 9);
        sx_buf_byte(out, 's');
    }
}
