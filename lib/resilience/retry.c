/* retry.c - whether and when to try again. Computes only; retry_loop.c waits. */
#include <sextant/retry.h>

#include <sextant/hash.h>
#include <sextant/random.h>

#include "net/static_rules.h"
#include "resilience/budget.h"
#include "resilience/metric_list.h"

typedef enum call_outcome { CALL_FIRST, CALL_RETRIED, CALL_FAILED, CALL_OUTCOMES } call_outcome;

struct sx_retry {
    budget budget;
    uint64_t draws; /* atomic: how many random numbers were taken */
    uint64_t seed;
    sx_retry_options o; /* with defaults; name is not kept */
    sx_counter *calls[CALL_OUTCOMES], *stopped[SX_RETRY_VERDICTS], *retries, *waited;
    void *block;
};

enum { NS_PER_MS = 1000000 };

const char *sx_retry_verdict_name(sx_retry_verdict verdict)
{
    static const char *const NAMES[SX_RETRY_VERDICTS] = {
        [SX_RETRY_GO] = "go",
        [SX_RETRY_NO_TRIES] = "attempts",
        [SX_RETRY_NO_TIME] = "time",
        [SX_RETRY_NO_BUDGET] = "budget",
        [SX_RETRY_TOO_LONG] = "retry_after",
    };
    return (unsigned)verdict < SX_RETRY_VERDICTS ? NAMES[verdict] : "unknown";
}

/* ---- life ---- */

static sx_status make_metrics(sx_retry *r, sx_metrics *metrics, sx_str name, sx_error *err)
{
    static const char *const NAME[] = {"name"}, *const NAME_OUTCOME[] = {"name", "outcome"},
                             *const NAME_REASON[] = {"name", "reason"};
    static const sx_metric_options OPTIONS[] = {
        {.kind = SX_METRIC_COUNTER,
         .name = "retry_calls_total",
         .help = "Calls by how they ended: first (the first try did it), retried or failed.",
         .labels = NAME_OUTCOME,
         .label_count = 2},
        {.kind = SX_METRIC_COUNTER,
         .name = "retry_retries_total",
         .help = "Tries after the first.",
         .labels = NAME,
         .label_count = 1},
        {.kind = SX_METRIC_COUNTER,
         .name = "retry_stopped_total",
         .help = "Failed calls that were not tried again, by what stopped them.",
         .labels = NAME_REASON,
         .label_count = 2},
        {.kind = SX_METRIC_COUNTER,
         .name = "retry_wait_seconds_total",
         .help = "Time that was to be waited before retries.",
         .labels = NAME,
         .label_count = 1},
    };
    static const char *const OUTCOMES[CALL_OUTCOMES] = {"first", "retried", "failed"};
    sx_metric *made[SX_COUNT_OF(OPTIONS)];
    sx_status status = sx_metric_list(metrics, OPTIONS, SX_COUNT_OF(OPTIONS), made, err);
    if (status != SX_OK)
        return status;
    for (size_t i = 0; i < CALL_OUTCOMES; i++)
        r->calls[i] = sx_metric_counter(made[0], (const sx_str[]){name, sx_str_z(OUTCOMES[i])}, 2);
    r->retries = sx_metric_counter(made[1], &name, 1);
    for (size_t i = SX_RETRY_NO_TRIES; i < SX_RETRY_VERDICTS; i++) {
        sx_str reason = sx_str_z(sx_retry_verdict_name((sx_retry_verdict)i));
        r->stopped[i] = sx_metric_counter(made[2], (const sx_str[]){name, reason}, 2);
    }
    r->waited = sx_metric_counter(made[3], &name, 1);
    return SX_OK;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

sx_status sx_retry_new(const sx_retry_options *options, sx_retry **out, sx_error *err)
{
    static const sx_retry_options NONE = {0};
    void *block;
    sx_retry *r = line_alloc(sizeof(*r), &block);
    if (!r)
        return sx_fail_memory(err, "a retry policy");
    r->block = block;
    r->o = options ? *options : NONE;
    r->o.clock = r->o.clock ? r->o.clock : sx_clock_system();
    r->o.attempts_max = or_default(r->o.attempts_max, 3);
    r->o.wait_ms = or_default(r->o.wait_ms, 50);
    r->o.wait_ms_max = or_default(r->o.wait_ms_max, 2000);
    r->o.retry_after_ms_max = or_default(r->o.retry_after_ms_max, 30000);
    r->seed = r->o.seed ? r->o.seed : sx_hash_seed();
    const budget_options rates = {
        .ratio = r->o.budget_ratio == 0 ? 0.2 : r->o.budget_ratio,
        .per_s = or_default(r->o.budget_per_s, 10),
        .most = or_default(r->o.budget_max, 100),
    };
    budget_init(&r->budget, &rates, sx_clock_mono_ns(r->o.clock));
    sx_str name = sx_str_z(r->o.name ? r->o.name : "default");
    sx_status status = r->o.metrics ? make_metrics(r, r->o.metrics, name, err) : SX_OK;
    if (status != SX_OK) {
        sx_retry_free(r);
        return status;
    }
    *out = r;
    return SX_OK;
}

void sx_retry_free(sx_retry *r)
{
    if (r)
        sx_free(r->block);
}

/* ---- one call ---- */

void sx_retry_begin(sx_retry *r, const sx_context *context, sx_retry_run *run)
{
    *run = (sx_retry_run){.policy = r, .tries = 1};
    budget_earn(&r->budget);
    if (r->o.total_ms > 0)
        run->deadline_ns = sx_clock_mono_ns(r->o.clock) + (int64_t)r->o.total_ms * NS_PER_MS;
    int64_t outer_ns = context ? context->deadline_mono_ns : 0;
    if (outer_ns != 0 && (run->deadline_ns == 0 || outer_ns < run->deadline_ns))
        run->deadline_ns = outer_ns;
}

/* Milliseconds to the deadline, rounded up, at least 0. There is one. */
static int64_t left_ms(const sx_retry_run *run)
{
    int64_t left_ns = run->deadline_ns - sx_clock_mono_ns(run->policy->o.clock);
    return left_ns > 0 ? (left_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
}

uint32_t sx_retry_try_ms(const sx_retry_run *run)
{
    uint32_t try_ms = run->policy->o.try_ms;
    if (run->deadline_ns == 0)
        return try_ms;
    int64_t left = left_ms(run);
    if (left < 1)
        left = 1; /* 0 would be no limit at all */
    return try_ms > 0 && try_ms < left ? try_ms : left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
}

/* Evenly from `low` to `high`, both included. */
static uint32_t draw(sx_retry *r, uint32_t low, uint32_t high)
{
    uint64_t random = sx_hash_u64(add_return(&r->draws, 1), r->seed);
    return low + (uint32_t)((unsigned __int128)random * ((uint64_t)high - low + 1) >> 64);
}

static uint32_t draw_wait(sx_retry_run *run)
{
    sx_retry *r = run->policy;
    uint64_t most = r->o.wait_ms_max;
    uint64_t first = r->o.wait_ms < most ? r->o.wait_ms : most, top = first;
    if (r->o.jitter == SX_JITTER_DECORRELATED) {
        uint64_t last = run->last_wait_ms > first ? run->last_wait_ms : first;
        top = last * 3 < most ? last * 3 : most;
        return draw(r, (uint32_t)first, (uint32_t)top);
    }
    for (uint32_t i = 1; i < run->tries && top < most; i++)
        top = top * 2 < most ? top * 2 : most;
    return r->o.jitter == SX_JITTER_NONE ? (uint32_t)top : draw(r, 0, (uint32_t)top);
}

static sx_retry_verdict judge(sx_retry_run *run, uint32_t retry_after_ms, uint32_t wait_ms)
{
    sx_retry *r = run->policy;
    if (run->tries >= r->o.attempts_max)
        return SX_RETRY_NO_TRIES;
    if (retry_after_ms > r->o.retry_after_ms_max)
        return SX_RETRY_TOO_LONG;
    if (run->deadline_ns != 0 && wait_ms >= left_ms(run))
        return SX_RETRY_NO_TIME;
    if (!budget_spend(&r->budget, sx_clock_mono_ns(r->o.clock)))
        return SX_RETRY_NO_BUDGET;
    return SX_RETRY_GO;
}

sx_retry_verdict sx_retry_next(sx_retry_run *run, uint32_t retry_after_ms, uint32_t *wait_ms)
{
    sx_retry *r = run->policy;
    uint32_t wait = draw_wait(run);
    if (wait < retry_after_ms)
        wait = retry_after_ms;
    sx_retry_verdict verdict = judge(run, retry_after_ms, wait);
    if (verdict != SX_RETRY_GO) {
        if (r->retries)
            sx_counter_add(r->stopped[verdict], 1);
        return verdict;
    }
    run->tries++;
    run->last_wait_ms = wait;
    *wait_ms = wait;
    if (r->retries) {
        sx_counter_add(r->retries, 1);
        sx_counter_add_float(r->waited, wait / 1000.0);
    }
    return SX_RETRY_GO;
}

void sx_retry_end(const sx_retry_run *run, bool ok)
{
    call_outcome outcome = !ok ? CALL_FAILED : run->tries > 1 ? CALL_RETRIED : CALL_FIRST;
    if (run->policy->retries)
        sx_counter_add(run->policy->calls[outcome], 1);
}

uint32_t sx_retry_after_parse(sx_str value, int64_t now_wall_ms)
{
    uint64_t seconds;
    value = sx_str_trim(value);
    int64_t ms;
    if (sx_str_to_u64(value, &seconds)) {
        ms = seconds < UINT32_MAX ? (int64_t)seconds * 1000 : UINT32_MAX;
    } else {
        int64_t at_s = static_date_parse(value);
        if (at_s < 0)
            return 0;
        ms = at_s * 1000 - now_wall_ms;
    }
    return ms < 1 ? 1 : ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}
