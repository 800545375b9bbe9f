/* limiter_text.c - rates as people write them, and answers as HTTP fields. */
#include "resilience/limiter_table.h"

#include <stdio.h>

/* ---- reading rates ---- */

typedef struct unit {
    sx_str name;
    uint64_t ms;
} unit;

static const unit UNITS[] = {
    {SX_STR_INIT("ms"), 1},        {SX_STR_INIT("s"), 1000},       {SX_STR_INIT("sec"), 1000},
    {SX_STR_INIT("second"), 1000}, {SX_STR_INIT("seconds"), 1000}, {SX_STR_INIT("m"), 60000},
    {SX_STR_INIT("min"), 60000},   {SX_STR_INIT("minute"), 60000}, {SX_STR_INIT("minutes"), 60000},
    {SX_STR_INIT("h"), 3600000},   {SX_STR_INIT("hour"), 3600000}, {SX_STR_INIT("hours"), 3600000},
    {SX_STR_INIT("d"), 86400000},  {SX_STR_INIT("day"), 86400000}, {SX_STR_INIT("days"), 86400000},
};

static size_t digits_of(sx_str s)
{
    size_t n = 0;
    while (n < s.len && s.data[n] >= '0' && s.data[n] <= '9')
        n++;
    return n;
}

/* "second", "10s", "15 minutes". */
static sx_status read_period(sx_str text, uint32_t *ms, sx_error *err)
{
    size_t digits = digits_of(text);
    uint64_t times = 1;
    sx_str name = sx_str_trim_all(sx_str_from(text, digits));
    if (digits > 0 && (!sx_str_to_u64(sx_str_first(text, digits), &times) || times > UINT32_MAX))
        times = UINT32_MAX; /* too long whatever the unit, or of milliseconds just right */
    for (size_t i = 0; i < SX_COUNT_OF(UNITS); i++) {
        if (!sx_str_ieq(name, UNITS[i].name))
            continue;
        uint64_t period = times * UNITS[i].ms;
        if (period == 0 || period > UINT32_MAX)
            return sx_fail(err, SX_EINVAL, "period '%.*s' is not between 1 ms and 49 days",
                           SX_ARG(text));
        *ms = (uint32_t)period;
        return SX_OK;
    }
    return sx_fail(
        err, SX_EINVAL,
        "period '%.*s' is not a unit (ms, s, m, h, d, second, minute, hour, day) with or "
        "without a whole number before it",
        SX_ARG(text));
}

static sx_status read_count(sx_str text, const char *what, uint32_t *out, sx_error *err)
{
    uint64_t value;
    text = sx_str_trim_all(text);
    if (!sx_str_to_u64(text, &value) || value == 0 || value > UINT32_MAX)
        return sx_fail(err, SX_EINVAL, "%s '%.*s' is not a whole number from 1 to %u", what,
                       SX_ARG(text), UINT32_MAX);
    *out = (uint32_t)value;
    return SX_OK;
}

/* Cuts the last word off if it is `word` in any case. */
static bool cut_word(sx_str *text, sx_str word)
{
    if (text->len <= word.len)
        return false;
    sx_str before = sx_str_first(*text, text->len - word.len);
    if (!sx_str_ieq(sx_str_from(*text, before.len), word) ||
        (before.data[before.len - 1] != ' ' && before.data[before.len - 1] != '\t'))
        return false;
    *text = sx_str_trim_all(before);
    return true;
}

/* "100/minute burst 20". */
static sx_status read_rate(sx_str text, sx_rate *out, sx_error *err)
{
    sx_str count, rest;
    sx_rate rate = {.kind = SX_RATE_TOKEN_BUCKET};
    text = sx_str_trim_all(text);
    if (!sx_str_cut(text, '/', &count, &rest))
        return sx_fail(err, SX_EINVAL, "has no '/'; write COUNT/PERIOD, as 10/second");
    sx_status status = read_count(count, "count", &rate.count, err);
    if (status != SX_OK)
        return status;
    rest = sx_str_trim_all(rest);
    size_t tail = 0;
    while (tail < rest.len && rest.data[rest.len - 1 - tail] >= '0' &&
           rest.data[rest.len - 1 - tail] <= '9')
        tail++;
    if (cut_word(&rest, SX_STR("sliding"))) {
        rate.kind = SX_RATE_SLIDING_WINDOW;
    } else if (tail > 0 && tail < rest.len) {
        sx_str period = sx_str_trim_all(sx_str_first(rest, rest.len - tail));
        if (!cut_word(&period, SX_STR("burst")))
            return sx_fail(err, SX_EINVAL,
                           "after the period only 'burst N' or 'sliding' may follow");
        status = read_count(sx_str_from(rest, rest.len - tail), "burst", &rate.burst, err);
        rest = period;
    }
    if (status == SX_OK)
        status = read_period(rest, &rate.period_ms, err);
    if (status == SX_OK)
        *out = rate;
    return status;
}

sx_status sx_rates_parse(sx_str text, sx_rate rates[SX_RATES_MAX], size_t *count, sx_error *err)
{
    sx_rate found[SX_RATES_MAX];
    size_t n = 0, at = 0;
    for (;;) {
        size_t end = at;
        while (end < text.len && text.data[end] != '+' && text.data[end] != ',')
            end++;
        sx_str part = sx_str_of(text.len ? text.data + at : NULL, end - at);
        if (n == SX_RATES_MAX)
            return sx_fail(err, SX_EINVAL, "'%.*s' has more than %d rates", SX_ARG(text),
                           SX_RATES_MAX);
        sx_status status = read_rate(part, &found[n++], err);
        if (status != SX_OK)
            return sx_error_prefix(err, status, "rate '%.*s'", SX_ARG(sx_str_trim_all(part)));
        if (end == text.len)
            break;
        at = end + 1;
    }
    memcpy(rates, found, n * sizeof(*found));
    *count = n;
    return SX_OK;
}

/* ---- fields of an answer ---- */

static uint32_t seconds_of(uint32_t ms)
{
    return ms / 1000 + (ms % 1000 > 0);
}

size_t limiter_policy_write(const sx_rate *rates, size_t count, char out[LIMITER_POLICY_BYTES])
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const sx_rate *r = &rates[i];
        char burst[32] = "";
        if (r->kind == SX_RATE_TOKEN_BUCKET && r->burst != r->count)
            snprintf(burst, sizeof(burst), ";burst=%u", r->burst);
        int n = snprintf(out + used, LIMITER_POLICY_BYTES - used, "%s%u;w=%u%s", i > 0 ? ", " : "",
                         r->count, seconds_of(r->period_ms), burst);
        sx_assert(n > 0 && used + (size_t)n < LIMITER_POLICY_BYTES); /* four of at most 40 bytes */
        used += (size_t)n;
    }
    return used;
}

/* Writes a number at *at and moves it on. */
static sx_str put_number(char **at, uint64_t value)
{
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    char *start = *at;
    for (size_t i = 0; i < n; i++)
        start[i] = digits[n - 1 - i];
    *at = start + n;
    return sx_str_of(start, n);
}

size_t sx_limit_headers(const sx_limiter *l, const sx_limit_answer *a,
                        sx_limit_field fields[SX_LIMIT_FIELDS], char room[SX_LIMIT_BYTES])
{
    limiter_public seen;
    char *at = room;
    size_t n = 0;
    limiter_public_read(l, &seen);
    memcpy(at, seen.policy, seen.policy_len);
    sx_str policy = sx_str_of(at, seen.policy_len);
    at += seen.policy_len;
    fields[n++] = (sx_limit_field){SX_STR("RateLimit-Limit"), put_number(&at, a->limit)};
    fields[n++] = (sx_limit_field){SX_STR("RateLimit-Remaining"), put_number(&at, a->remaining)};
    fields[n++] = (sx_limit_field){SX_STR("RateLimit-Reset"), put_number(&at, a->reset_s)};
    fields[n++] = (sx_limit_field){SX_STR("RateLimit-Policy"), policy};
    if (!a->allowed && a->retry_after_ms != UINT32_MAX) {
        uint32_t seconds = seconds_of(a->retry_after_ms);
        fields[n++] =
            (sx_limit_field){SX_STR("Retry-After"), put_number(&at, seconds ? seconds : 1)};
    }
    return n;
}
