/* deadline.c - reading and writing how long a caller waits. Every byte read here comes from
 * outside. */
#include <sextant/deadline.h>

#include <stdio.h>

#include <sextant/grpc.h>

static const int64_t MOST_MS = (int64_t)3650 * 86400 * 1000;

typedef struct unit {
    sx_str name;
    double ms;
} unit;

static const unit UNITS[] = {
    {SX_STR_INIT(""), 1000},   {SX_STR_INIT("s"), 1000},  {SX_STR_INIT("ms"), 1},
    {SX_STR_INIT("us"), 1e-3}, {SX_STR_INIT("m"), 60000}, {SX_STR_INIT("h"), 3600000},
};

/* Digits with at most one point among them, at least one digit; how many bytes. */
static size_t scan_number(sx_str text, double *out)
{
    double value = 0, place = 1;
    size_t i = 0, digits = 0;
    bool point = false;
    for (; i < text.len; i++) {
        char c = text.data[i];
        if (c == '.' && !point) {
            point = true;
        } else if (c >= '0' && c <= '9') {
            digits++;
            if (point)
                place /= 10;
            value = point ? value + (c - '0') * place : value * 10 + (c - '0');
        } else {
            break;
        }
    }
    *out = value; /* infinite after 300 digits: cut below as any other that is too long */
    return digits > 0 ? i : 0;
}

sx_status sx_timeout_parse(sx_str text, int64_t *ms, sx_error *err)
{
    double value;
    size_t used = scan_number(text, &value);
    for (size_t i = 0; used > 0 && i < SX_COUNT_OF(UNITS); i++) {
        if (!sx_str_eq(sx_str_from(text, used), UNITS[i].name))
            continue;
        double exact = value * UNITS[i].ms;
        int64_t whole = exact < (double)MOST_MS ? (int64_t)exact : MOST_MS;
        /* Up, but not because a decimal fraction is no binary one: 0.003 s is 3 ms. */
        *ms = whole < MOST_MS && exact - (double)whole > 1e-6 ? whole + 1 : whole;
        return SX_OK;
    }
    return sx_fail(err, SX_EFORMAT,
                   "'%.*s' is not a time: write seconds as 2.5, or a number with us, ms, s, m or h",
                   SX_ARG(sx_str_first(text, 64)));
}

static sx_status parse_ms(sx_str text, int64_t *ms, sx_error *err)
{
    uint64_t value;
    bool digits = text.len > 0;
    for (size_t i = 0; i < text.len; i++)
        digits = digits && text.data[i] >= '0' && text.data[i] <= '9';
    if (!digits)
        return sx_fail(err, SX_EFORMAT, "'%.*s' is not a whole number of milliseconds",
                       SX_ARG(sx_str_first(text, 64)));
    bool fits = sx_str_to_u64(text, &value) && value < (uint64_t)MOST_MS;
    *ms = fits ? (int64_t)value : MOST_MS;
    return SX_OK;
}

sx_status sx_deadline_read(const sx_deadline_fields *fields, int64_t most_ms, int64_t *ms,
                           sx_error *err)
{
    const struct {
        const char *name;
        sx_str value;
        sx_status (*parse)(sx_str text, int64_t *ms, sx_error *err);
    } rows[] = {
        {"grpc-timeout", fields->grpc_timeout, sx_grpc_timeout_parse},
        {"X-Request-Timeout", fields->request_timeout, sx_timeout_parse},
        {"X-Envoy-Expected-Rq-Timeout-Ms", fields->envoy_ms, parse_ms},
    };
    int64_t least = -1;
    for (size_t i = 0; i < SX_COUNT_OF(rows); i++) {
        int64_t one;
        sx_str value = sx_str_trim(rows[i].value);
        if (rows[i].value.len == 0)
            continue;
        sx_status status = rows[i].parse(value, &one, err);
        if (status != SX_OK)
            return sx_error_prefix(err, status, "%s", rows[i].name);
        if (least < 0 || one < least)
            least = one;
    }
    *ms = most_ms > 0 && least > most_ms ? most_ms : least;
    return SX_OK;
}

int64_t sx_deadline_after_ms(const sx_clock *clock, int64_t ms)
{
    int64_t now_ns = sx_clock_mono_ns(clock);
    ms = ms < MOST_MS ? ms : MOST_MS;
    int64_t at_ns = now_ns + ms * 1000000;
    return at_ns != 0 ? at_ns : 1;
}

size_t sx_deadline_write(int64_t left_ms, unsigned kinds,
                         sx_deadline_field fields[SX_DEADLINE_FIELDS], char room[SX_DEADLINE_BYTES])
{
    size_t n = 0;
    char *at = room;
    if (left_ms < 0)
        return 0;
    left_ms = left_ms < MOST_MS ? left_ms : MOST_MS;
    if (kinds & SX_DEADLINE_REQUEST) {
        int len = snprintf(at, 32, "%lld.%03lld", (long long)(left_ms / 1000),
                           (long long)(left_ms % 1000));
        fields[n++] = (sx_deadline_field){SX_STR("X-Request-Timeout"), sx_str_of(at, (size_t)len)};
        at += len;
    }
    if (kinds & SX_DEADLINE_ENVOY) {
        int len = snprintf(at, 32, "%lld", (long long)left_ms);
        fields[n++] = (sx_deadline_field){SX_STR("X-Envoy-Expected-Rq-Timeout-Ms"),
                                          sx_str_of(at, (size_t)len)};
        at += len;
    }
    if (kinds & SX_DEADLINE_GRPC) {
        sx_str text = sx_grpc_timeout_format(left_ms, at);
        fields[n++] = (sx_deadline_field){SX_STR("grpc-timeout"), text};
    }
    return n;
}
