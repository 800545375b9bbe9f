/* fuzz_rates.c - rates that are accepted, written plainly, read back as the same; those that are
 * refused have a reason and fill nothing. What is accepted keeps its promises on a limiter: no more
 * than the rest that it announced, and what was to be retried later passes then. */
#include <sextant/limiter.h>

#include <stdio.h>
#include <string.h>

#include "resilience/limiter_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_plainly(const sx_rate *rates, size_t count, char *out, size_t room)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        char tail[32] = "";
        if (rates[i].kind == SX_RATE_SLIDING_WINDOW)
            snprintf(tail, sizeof(tail), " sliding");
        else if (rates[i].burst > 0)
            snprintf(tail, sizeof(tail), " burst %u", rates[i].burst);
        int n = snprintf(out + used, room - used, "%s%u/%ums%s", i > 0 ? "+" : "", rates[i].count,
                         rates[i].period_ms, tail);
        sx_assert(n > 0 && used + (size_t)n < room);
        used += (size_t)n;
    }
}

/* One rule under random costs and times: the bytes of the input once more. */
static void use_rule(const limiter_rule *r, const uint8_t *data, size_t size)
{
    limiter_cell cell = {0};
    int64_t now = 1000000000;
    uint64_t most = r->rate.kind == SX_RATE_TOKEN_BUCKET ? r->rate.burst : r->rate.count;
    for (size_t i = 0; i < size; i++) {
        uint32_t cost =
            (uint32_t)(1u + (data[i] & 7u)) * (data[i] & 8 ? 1u : (uint32_t)most / 9 + 1);
        now += (int64_t)(data[i] >> 4) * r->period_ns / 16;
        limiter_verdict v = limiter_cell_ask(r, &cell, now, cost);
        sx_assert(v.remaining <= most);
        sx_assert(v.allowed ? v.remaining >= cost && v.wait_ns == 0 : v.wait_ns > 0);
        if (!v.allowed && v.wait_ns != INT64_MAX) {
            limiter_cell later = cell;
            sx_assert(limiter_cell_ask(r, &later, now + v.wait_ns + 1000, cost).allowed);
        }
        sx_assert(cost <= most || v.wait_ns == INT64_MAX);
        if (v.allowed)
            limiter_cell_take(r, &cell, now, cost);
        limiter_cell whole = cell;
        int64_t at = limiter_cell_whole_at(r, &cell);
        sx_assert(limiter_cell_ask(r, &whole, at > now ? at : now, 1).remaining == most);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_rate rates[SX_RATES_MAX], again[SX_RATES_MAX];
    size_t count = 77, count_again;
    sx_error err = {0};
    if (sx_rates_parse(sx_str_of(data, size), rates, &count, &err) != SX_OK) {
        sx_assert(err.message[0] != '\0' && count == 77);
        return 0;
    }
    sx_assert(count >= 1 && count <= SX_RATES_MAX);
    char text[256];
    write_plainly(rates, count, text, sizeof(text));
    sx_assert(sx_rates_parse(sx_str_z(text), again, &count_again, &err) == SX_OK);
    sx_assert(count_again == count);
    for (size_t i = 0; i < count; i++) {
        limiter_rule rule;
        sx_assert(rates[i].kind == again[i].kind && rates[i].count == again[i].count &&
                  rates[i].period_ms == again[i].period_ms && rates[i].burst == again[i].burst);
        if (limiter_rule_make(&rates[i], &rule, &err) == SX_OK)
            use_rule(&rule, data, size < 64 ? size : 64);
    }
    return 0;
}
