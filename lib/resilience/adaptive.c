/* adaptive.c - how many calls at once another side can take, learned from how long they take.
 *
 * Little's law: an other side that works on n calls at once without queueing answers in the time
 * of an idle one (the base); what is sent beyond n only queues, and each call takes longer. So,
 * each window:
 *
 *     gradient = tolerance * base / mean, from 0.5 to 1
 *     wanted   = limit * gradient + queue
 *     limit    = limit + smoothing * (wanted - limit)
 *
 * which settles where calls take about `tolerance` times the base. `queue` (the square root of
 * the limit unless set) is what it dares to add; a limit that is not used by half does not grow.
 * A window with dropped calls cuts the limit by a tenth.
 *
 * The base is the least mean of any window. It must not be forgotten while queues stand (then
 * the queue would become the base, and the limit would creep up for ever), nor kept when the
 * other side has become slower for good. So every probe_windows the limit is halved for two
 * windows: the first lets the queue drain, the second measures the base anew.
 *
 * Compare: Netflix concurrency-limits (gradients of round-trip times), TCP Vegas (a standing
 * queue measured against the least time), BBR (probing for the least time). */
#include <sextant/bulkhead.h>

#include <math.h>

#include "resilience/atomic.h"
#include "resilience/metric_list.h"

typedef enum probe { PROBE_NONE, PROBE_DRAINING, PROBE_MEASURING } probe;

struct sx_adaptive {
    /* Written by every call. */
    uint32_t running;
    uint32_t limit; /* in force now: the learned one, or half of it during a probe */

    /* The window so far; written by every call's end. */
    int64_t sum_ns __attribute__((aligned(CACHE_LINE)));
    int64_t window_end_ns;
    uint32_t count, dropped;
    uint32_t most_running;

    /* Under `reviewing`, which nobody waits for. */
    bool reviewing __attribute__((aligned(CACHE_LINE)));
    double learned;  /* the limit, with its fraction */
    int64_t base_ns; /* atomic for readers */
    uint32_t windows_to_probe;
    probe probe;

    sx_adaptive_options o; /* with defaults; name is not kept */
    sx_counter *outcome[SX_ADAPTIVE_OUTCOMES], *refused;
    sx_gauge *limit_gauge, *running_gauge, *base_gauge;
    void *block;
};

enum { NS_PER_MS = 1000000 };

/* ---- a window's end ---- */

typedef struct window {
    int64_t mean_ns; /* 0: no call's time counts */
    uint32_t dropped, most_running;
} window;

/* Takes what was gathered; calls that end meanwhile may be half in this window and half in the
 * next. */
static window take_window(sx_adaptive *a, int64_t now_ns)
{
    uint32_t count = __atomic_exchange_n(&a->count, 0, __ATOMIC_RELAXED);
    int64_t sum_ns = __atomic_exchange_n(&a->sum_ns, 0, __ATOMIC_RELAXED);
    window w = {
        .mean_ns = count > 0 && sum_ns > 0 ? sum_ns / count : 0,
        .dropped = __atomic_exchange_n(&a->dropped, 0, __ATOMIC_RELAXED),
        .most_running = __atomic_exchange_n(&a->most_running, 0, __ATOMIC_RELAXED),
    };
    if (count > 0 && w.mean_ns == 0)
        w.mean_ns = 1; /* faster than the clock can tell */
    store(&a->window_end_ns, now_ns + (int64_t)a->o.window_ms * NS_PER_MS);
    return w;
}

static double clamp(double value, double least, double most)
{
    return value < least ? least : value > most ? most : value;
}

static void learn(sx_adaptive *a, const window *w)
{
    if (a->base_ns == 0 || w->mean_ns < a->base_ns)
        store(&a->base_ns, w->mean_ns);
    double queue = a->o.queue > 0 ? a->o.queue : sqrt(a->learned);
    double gradient = clamp(a->o.tolerance * (double)a->base_ns / (double)w->mean_ns, 0.5, 1);
    double wanted = a->learned * gradient + queue;
    if (wanted > a->learned && w->most_running * 2.0 < a->learned)
        return; /* nobody asks for more */
    a->learned += a->o.smoothing * (wanted - a->learned);
}

static void review_window(sx_adaptive *a, const window *w)
{
    if (w->dropped > 0) {
        a->learned *= 0.9;
        a->probe = PROBE_NONE;
    } else if (a->probe == PROBE_DRAINING) {
        a->probe = PROBE_MEASURING;
    } else if (a->probe == PROBE_MEASURING) {
        store(&a->base_ns, w->mean_ns);
        a->probe = PROBE_NONE;
    } else {
        learn(a, w);
        if (--a->windows_to_probe == 0) {
            a->windows_to_probe = a->o.probe_windows;
            a->probe = PROBE_DRAINING;
        }
    }
    a->learned = clamp(a->learned, a->o.limit_min, a->o.limit_max);
}

static SX_COLD void review(sx_adaptive *a, int64_t now_ns)
{
    if (__atomic_exchange_n(&a->reviewing, true, __ATOMIC_ACQUIRE))
        return;
    if (now_ns >= load(&a->window_end_ns)) { /* or somebody was quicker */
        window w = take_window(a, now_ns);
        if (w.mean_ns > 0 || w.dropped > 0)
            review_window(a, &w);
        double limit = a->probe == PROBE_NONE ? a->learned : a->learned / 2;
        store(&a->limit, (uint32_t)clamp(limit, a->o.limit_min, a->o.limit_max));
        if (a->limit_gauge) {
            sx_gauge_set(a->limit_gauge, load(&a->limit));
            sx_gauge_set(a->base_gauge, (double)a->base_ns / 1e9);
        }
    }
    __atomic_store_n(&a->reviewing, false, __ATOMIC_RELEASE);
}

/* ---- calls ---- */

bool sx_adaptive_allow(sx_adaptive *a, sx_adaptive_pass *pass)
{
    uint32_t running = add_return(&a->running, 1);
    if (sx_unlikely(running > load(&a->limit))) {
        __atomic_sub_fetch(&a->running, 1, __ATOMIC_RELAXED);
        if (a->refused)
            sx_counter_add(a->refused, 1);
        return false;
    }
    uint32_t most = load(&a->most_running);
    while (sx_unlikely(running > most) && !exchange_if(&a->most_running, &most, running))
        ;
    pass->start_ns = sx_clock_mono_ns(a->o.clock);
    if (a->running_gauge)
        sx_gauge_add(a->running_gauge, 1);
    return true;
}

void sx_adaptive_done(sx_adaptive *a, const sx_adaptive_pass *pass, sx_adaptive_outcome outcome)
{
    uint32_t running = __atomic_sub_fetch(&a->running, 1, __ATOMIC_RELAXED);
    sx_assert(running != UINT32_MAX);
    if (a->running_gauge) {
        sx_gauge_add(a->running_gauge, -1);
        sx_counter_add(a->outcome[outcome], 1);
    }
    if (outcome == SX_ADAPTIVE_IGNORED)
        return;
    int64_t now_ns = sx_clock_mono_ns(a->o.clock);
    if (outcome == SX_ADAPTIVE_DROPPED) {
        add_return(&a->dropped, 1);
    } else {
        add_return(&a->sum_ns, now_ns - pass->start_ns);
        add_return(&a->count, 1);
    }
    if (now_ns >= load(&a->window_end_ns) &&
        load(&a->count) + load(&a->dropped) >= a->o.samples_min)
        review(a, now_ns);
}

void sx_adaptive_info_of(const sx_adaptive *a, sx_adaptive_info *out)
{
    *out = (sx_adaptive_info){load(&a->limit), load(&a->running), load(&a->base_ns)};
}

/* ---- life ---- */

static sx_status make_metrics(sx_adaptive *a, sx_metrics *metrics, sx_str name, sx_error *err)
{
    static const char *const NAME[] = {"name"}, *const NAME_OUTCOME[] = {"name", "outcome"};
    static const char *const NAMES[SX_ADAPTIVE_OUTCOMES] = {
        [SX_ADAPTIVE_OK] = "ok",
        [SX_ADAPTIVE_DROPPED] = "dropped",
        [SX_ADAPTIVE_IGNORED] = "ignored",
    };
    static const sx_metric_options OPTIONS[] = {
        {.kind = SX_METRIC_COUNTER,
         .name = "adaptive_concurrency_calls_total",
         .help = "Calls: ok, dropped (timed out or refused by the other side), ignored, refused.",
         .labels = NAME_OUTCOME,
         .label_count = 2},
        {.kind = SX_METRIC_GAUGE,
         .name = "adaptive_concurrency_limit",
         .help = "How many calls may run at once, as learned.",
         .labels = NAME,
         .label_count = 1},
        {.kind = SX_METRIC_GAUGE,
         .name = "adaptive_concurrency_running",
         .help = "How many do.",
         .labels = NAME,
         .label_count = 1},
        {.kind = SX_METRIC_GAUGE,
         .name = "adaptive_concurrency_base_latency_seconds",
         .help = "What a call takes where nothing queues, as learned.",
         .labels = NAME,
         .label_count = 1},
    };
    sx_metric *made[SX_COUNT_OF(OPTIONS)];
    sx_status status = sx_metric_list(metrics, OPTIONS, SX_COUNT_OF(OPTIONS), made, err);
    if (status != SX_OK)
        return status;
    for (size_t i = 0; i < SX_ADAPTIVE_OUTCOMES; i++)
        a->outcome[i] = sx_metric_counter(made[0], (const sx_str[]){name, sx_str_z(NAMES[i])}, 2);
    a->refused = sx_metric_counter(made[0], (const sx_str[]){name, SX_STR("refused")}, 2);
    a->limit_gauge = sx_metric_gauge(made[1], &name, 1);
    a->running_gauge = sx_metric_gauge(made[2], &name, 1);
    a->base_gauge = sx_metric_gauge(made[3], &name, 1);
    sx_gauge_set(a->limit_gauge, a->limit);
    return SX_OK;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

static sx_status fill_options(sx_adaptive_options *o, sx_error *err)
{
    o->limit_min = or_default(o->limit_min, 2);
    o->limit_max = or_default(o->limit_max, 1000);
    if (o->limit_start == 0)
        o->limit_start = (uint32_t)clamp(20, o->limit_min, o->limit_max);
    o->tolerance = o->tolerance == 0 ? 1.5 : o->tolerance;
    o->smoothing = o->smoothing == 0 ? 0.2 : o->smoothing;
    o->window_ms = or_default(o->window_ms, 100);
    o->samples_min = or_default(o->samples_min, 10);
    o->probe_windows = or_default(o->probe_windows, 100);
    o->clock = o->clock ? o->clock : sx_clock_system();
    if (o->limit_min > o->limit_start || o->limit_start > o->limit_max)
        return sx_fail(err, SX_EINVAL, "limits of %u, %u (start) and %u do not rise", o->limit_min,
                       o->limit_start, o->limit_max);
    if (!(o->tolerance >= 1) || !(o->smoothing > 0 && o->smoothing <= 1))
        return sx_fail(err, SX_EINVAL,
                       "a tolerance of %g must be at least 1, a smoothing of %g above 0 and at "
                       "most 1",
                       o->tolerance, o->smoothing);
    return SX_OK;
}

sx_status sx_adaptive_new(const sx_adaptive_options *options, sx_adaptive **out, sx_error *err)
{
    static const sx_adaptive_options NONE = {0};
    sx_adaptive_options o = options ? *options : NONE;
    void *block;
    sx_status status = fill_options(&o, err);
    if (status != SX_OK)
        return status;
    sx_adaptive *a = line_alloc(sizeof(*a), &block);
    if (!a)
        return sx_fail_memory(err, "an adaptive limit");
    a->block = block;
    a->o = o;
    a->limit = o.limit_start;
    a->learned = o.limit_start;
    a->windows_to_probe = o.probe_windows;
    a->window_end_ns = sx_clock_mono_ns(o.clock) + (int64_t)o.window_ms * NS_PER_MS;
    sx_str name = sx_str_z(o.name ? o.name : "default");
    status = o.metrics ? make_metrics(a, o.metrics, name, err) : SX_OK;
    if (status != SX_OK) {
        sx_adaptive_free(a);
        return status;
    }
    *out = a;
    return SX_OK;
}

void sx_adaptive_free(sx_adaptive *a)
{
    if (a)
        sx_free(a->block);
}
