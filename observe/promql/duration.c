/* duration.c - durations in Prometheus's notation: 1y2w3d4h5m6s7ms, units from large to small. */
#include <inttypes.h>
#include <stdio.h>

#include "observe/promql/parser.h"

typedef struct duration_unit {
    sx_str name;
    int64_t ms;
    bool alone; /* printed only if nothing smaller is left: 90d is easier to read than 12w6d */
} duration_unit;

static const duration_unit UNITS[] = {
    {SX_STR_INIT("y"), INT64_C(365) * 86400000, true},
    {SX_STR_INIT("w"), INT64_C(7) * 86400000, true},
    {SX_STR_INIT("d"), 86400000, false},
    {SX_STR_INIT("h"), 3600000, false},
    {SX_STR_INIT("m"), 60000, false},
    {SX_STR_INIT("s"), 1000, false},
    {SX_STR_INIT("ms"), 1, false},
};

/* Prometheus keeps nanoseconds in 64 bits. */
static const int64_t MS_MAX = INT64_MAX / 1000000;

static const char *invalid(sx_str text, char *message, size_t message_bytes)
{
    snprintf(message, message_bytes, "not a valid duration string: \"%.*s\"", SX_ARG(text));
    return message;
}

static size_t digits_of(sx_str s)
{
    size_t n = 0;
    while (n < s.len && s.data[n] >= '0' && s.data[n] <= '9')
        n++;
    return n;
}

/* NULL, or what is wrong, made in `message` or constant. */
const char *promql_read_duration(sx_str text, int64_t *ms, char *message, size_t message_bytes)
{
    if (text.len == 0)
        return "empty duration string";
    *ms = 0;
    if (sx_str_eq(text, SX_STR("0")))
        return NULL;
    size_t least = 0; /* the first unit that may come */
    for (sx_str rest = text; rest.len;) {
        size_t digits = digits_of(rest), letters = 0;
        uint64_t value;
        if (!sx_str_to_u64(sx_str_first(rest, digits), &value))
            return invalid(text, message, message_bytes);
        rest = sx_str_from(rest, digits);
        while (letters < rest.len && (rest.data[letters] < '0' || rest.data[letters] > '9'))
            letters++;
        if (letters == 0)
            return invalid(text, message, message_bytes);
        sx_str name = sx_str_first(rest, letters);
        rest = sx_str_from(rest, letters);
        size_t unit = 0;
        while (unit < SX_COUNT_OF(UNITS) && !sx_str_eq(UNITS[unit].name, name))
            unit++;
        if (unit == SX_COUNT_OF(UNITS)) {
            snprintf(message, message_bytes, "unknown unit \"%.*s\" in duration \"%.*s\"",
                     SX_ARG(name), SX_ARG(text));
            return message;
        }
        if (unit < least)
            return invalid(text, message, message_bytes);
        least = unit + 1;
        if (value > (uint64_t)(MS_MAX / UNITS[unit].ms) ||
            (int64_t)value * UNITS[unit].ms > MS_MAX - *ms)
            return "duration out of range";
        *ms += (int64_t)value * UNITS[unit].ms;
    }
    return NULL;
}

sx_status promql_parse_duration(sx_str text, bool seconds, int64_t *ms, sx_error *err)
{
    double value;
    const char *why;
    sx_str digits = text;
    bool minus = text.len && text.data[0] == '-';
    if (minus || (text.len && text.data[0] == '+'))
        digits = sx_str_from(text, 1);
    while (digits.len > 1 && digits.data[0] == '0' && digits_of(digits) > 1)
        digits = sx_str_from(digits, 1); /* no octal here */
    bool hex = digits.len > 1 && (digits.data[1] | 32) == 'x';
    if (seconds && !hex && promql_read_number(digits, &value, &why)) {
        value = (minus ? -value : value) * 1e9;
        if (!(value > -0x1p63 && value < 0x1p63))
            return sx_fail(err, SX_EFORMAT,
                           "cannot parse \"%.*s\" to a valid duration. It overflows int64",
                           SX_ARG(text));
        *ms = (int64_t)value / 1000000;
        return SX_OK;
    }
    char message[256];
    int64_t out;
    const char *error = promql_read_duration(text, &out, message, sizeof message);
    if (error && seconds)
        return sx_fail(err, SX_EFORMAT, "cannot parse \"%.*s\" to a valid duration", SX_ARG(text));
    if (error)
        return sx_fail(err, SX_EFORMAT, "%s", error);
    *ms = out;
    return SX_OK;
}

void promql_print_duration(int64_t ms, char out[64])
{
    size_t len = 0;
    out[0] = 0;
    if (ms == 0)
        snprintf(out, 64, "0s");
    for (size_t i = 0; i < SX_COUNT_OF(UNITS); i++) {
        if (ms <= 0 || (UNITS[i].alone && ms % UNITS[i].ms != 0) || ms < UNITS[i].ms)
            continue;
        int n =
            snprintf(out + len, 64 - len, "%" PRId64 "%s", ms / UNITS[i].ms, UNITS[i].name.data);
        len += n > 0 ? (size_t)n : 0;
        ms %= UNITS[i].ms;
    }
}
