/* hedge.c - when a second attempt is worth it: the quantile of the latencies so far, and a
 * budget.
 *
 * Latencies are counted in buckets an eighth of an octave wide, from 1 us to 18 minutes, so the
 * quantile is at most an eighth too high. Every SAMPLES_REVIEW calls one thread finds the
 * quantile anew; when there are many all counts are halved, so that what the calls took an hour
 * ago fades. */
#include <sextant/retry.h>

#include "resilience/budget.h"

enum {
    FIRST_BIT = 10, /* 2^10 ns is the end of the first bucket */
    LAST_BIT = 40,
    STEPS = 8, /* buckets an octave */
    BUCKETS = (LAST_BIT - FIRST_BIT) * STEPS + 2,
    SAMPLES_REVIEW = 64,
    SAMPLES_HALVED = 8192,
    NS_PER_MS = 1000000
};

struct sx_hedge {
    budget budget;
    int64_t delay_ns; /* atomic; -1: not known */
    uint64_t samples; /* since the start */
    bool reviewing;   /* atomic: one thread at a time */
    uint32_t counts[BUCKETS];
    sx_hedge_options o; /* with defaults; name is not kept */
    sx_counter *outcome[SX_HEDGE_OUTCOMES];
    sx_gauge *delay;
    void *block;
};

/* ---- the quantile ---- */

static unsigned bucket_of(int64_t ns)
{
    if (ns < 1 << FIRST_BIT)
        return 0;
    unsigned bit = 63 - (unsigned)__builtin_clzll((uint64_t)ns);
    if (bit >= LAST_BIT)
        return BUCKETS - 1;
    unsigned step = (unsigned)((uint64_t)ns >> (bit - 3)) & (STEPS - 1);
    return 1 + (bit - FIRST_BIT) * STEPS + step;
}

/* The upper end of a bucket. */
static int64_t bucket_end_ns(unsigned bucket)
{
    if (bucket == 0)
        return 1 << FIRST_BIT;
    unsigned bit = FIRST_BIT + (bucket - 1) / STEPS, step = (bucket - 1) % STEPS;
    return ((int64_t)STEPS + step + 1) << (bit - 3);
}

static void set_delay(sx_hedge *h, int64_t ns)
{
    int64_t least = (int64_t)h->o.delay_ms_min * NS_PER_MS;
    store(&h->delay_ns, ns > least ? ns : least);
    if (h->delay)
        sx_gauge_set(h->delay, (double)load(&h->delay_ns) / 1e9);
}

static SX_COLD void review(sx_hedge *h)
{
    if (__atomic_exchange_n(&h->reviewing, true, __ATOMIC_ACQUIRE))
        return;
    uint64_t total = 0, below = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        total += load(&h->counts[i]);
    unsigned i = 0;
    for (; i < BUCKETS - 1; i++) {
        below += load(&h->counts[i]);
        if ((double)below >= h->o.quantile * (double)total)
            break;
    }
    if (total >= h->o.samples_min)
        set_delay(h, bucket_end_ns(i));
    for (unsigned j = 0; total >= SAMPLES_HALVED && j < BUCKETS; j++) {
        uint32_t seen = load(&h->counts[j]);
        __atomic_sub_fetch(&h->counts[j], seen - seen / 2, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&h->reviewing, false, __ATOMIC_RELEASE);
}

static void record(sx_hedge *h, int64_t ns)
{
    add_return(&h->counts[bucket_of(ns > 0 ? ns : 0)], 1);
    uint64_t samples = add_return(&h->samples, 1);
    if (h->o.delay_ms == 0 && (samples % SAMPLES_REVIEW == 0 || samples == h->o.samples_min))
        review(h);
}

/* ---- calls ---- */

int64_t sx_hedge_begin(sx_hedge *h)
{
    budget_earn(&h->budget);
    return load(&h->delay_ns);
}

bool sx_hedge_allow(sx_hedge *h)
{
    return budget_spend(&h->budget, sx_clock_mono_ns(h->o.clock));
}

void sx_hedge_end(sx_hedge *h, sx_hedge_outcome outcome, int64_t first_ns)
{
    record(h, first_ns);
    if (h->delay)
        sx_counter_add(h->outcome[outcome], 1);
}

/* ---- life ---- */

static sx_status make_metrics(sx_hedge *h, sx_metrics *metrics, sx_str name, sx_error *err)
{
    static const char *const NAME[] = {"name"}, *const NAME_OUTCOME[] = {"name", "outcome"};
    static const char *const OUTCOMES[SX_HEDGE_OUTCOMES] = {
        [SX_HEDGE_NOT_NEEDED] = "not_needed",     [SX_HEDGE_FIRST_WON] = "first_won",
        [SX_HEDGE_SECOND_WON] = "second_won",     [SX_HEDGE_BOTH_FAILED] = "both_failed",
        [SX_HEDGE_NOT_AFFORDED] = "not_afforded",
    };
    const sx_metric_options calls = {
        .kind = SX_METRIC_COUNTER,
        .name = "hedge_calls_total",
        .help = "Calls that may be hedged, by how they ended.",
        .labels = NAME_OUTCOME,
        .label_count = 2,
    };
    const sx_metric_options delay = {
        .kind = SX_METRIC_GAUGE,
        .name = "hedge_delay_seconds",
        .help = "After how long a second attempt starts; 0: not known yet.",
        .labels = NAME,
        .label_count = 1,
    };
    sx_metric *made_calls, *made_delay;
    sx_status status = sx_metric_new(metrics, &calls, &made_calls, err);
    if (status == SX_OK)
        status = sx_metric_new(metrics, &delay, &made_delay, err);
    if (status != SX_OK)
        return status;
    for (size_t i = 0; i < SX_HEDGE_OUTCOMES; i++)
        h->outcome[i] =
            sx_metric_counter(made_calls, (const sx_str[]){name, sx_str_z(OUTCOMES[i])}, 2);
    h->delay = sx_metric_gauge(made_delay, &name, 1);
    return SX_OK;
}

sx_status sx_hedge_new(const sx_hedge_options *options, sx_hedge **out, sx_error *err)
{
    static const sx_hedge_options NONE = {0};
    const sx_hedge_options *o = options ? options : &NONE;
    if (!(o->quantile >= 0 && o->quantile < 1))
        return sx_fail(err, SX_EINVAL, "a hedge's quantile of %g is not between 0 and 1",
                       o->quantile);
    void *block;
    sx_hedge *h = line_alloc(sizeof(*h), &block);
    if (!h)
        return sx_fail_memory(err, "a hedging policy");
    h->block = block;
    h->o = *o;
    h->o.clock = o->clock ? o->clock : sx_clock_system();
    h->o.quantile = o->quantile > 0 ? o->quantile : 0.95;
    h->o.delay_ms_min = o->delay_ms_min ? o->delay_ms_min : 1;
    h->o.samples_min = o->samples_min ? o->samples_min : 100;
    const budget_options rates = {
        .ratio = o->budget_ratio == 0 ? 0.1 : o->budget_ratio,
        .per_s = o->budget_per_s ? o->budget_per_s : 1,
        .most = o->budget_max ? o->budget_max : 20,
    };
    budget_init(&h->budget, &rates, sx_clock_mono_ns(h->o.clock));
    sx_str name = sx_str_z(o->name ? o->name : "default");
    sx_status status = o->metrics ? make_metrics(h, o->metrics, name, err) : SX_OK;
    if (status != SX_OK) {
        sx_hedge_free(h);
        return status;
    }
    h->delay_ns = -1;
    if (o->delay_ms > 0)
        set_delay(h, (int64_t)o->delay_ms * NS_PER_MS);
    *out = h;
    return SX_OK;
}

void sx_hedge_free(sx_hedge *h)
{
    if (h)
        sx_free(h->block);
}
