/* shed.c - which requests are refused under overload.
 *
 * The decision reads one number for its priority: the part of 2^32 that is refused, 0 while
 * there is no pressure. Otherwise that part is added to a sum of the priority's own, and
 * whenever the sum runs over one request is refused: exactly that part, evenly spread, without
 * random numbers.
 *
 * Who tells a signal, or is decided upon under pressure, and finds the interval over, moves the
 * pressure: one thread does it, nobody waits. Without any of them nothing happens, and nothing
 * needs to.
 * */
#include <sextant/shed.h>

#include "resilience/atomic.h"

#define PART_ALL 0xffffffffu /* refuses (nearly) all */

enum { CPU_INTERVALS = 20, PRESSURE_MOST = 290, NS_PER_MS = 1000000 };

struct sx_shed {
    /* Read by every decision; written when the pressure moves. */
    uint32_t part[SX_PRIORITIES]; /* of 2^32 that is refused */
    uint32_t in_flight_most[SX_PRIORITIES];
    const sx_clock *clock; /* coarse */
    sx_counter *allowed[SX_PRIORITIES], *refused[SX_PRIORITIES];

    uint32_t running __attribute__((aligned(CACHE_LINE))); /* counted if in_flight_max is set */
    uint32_t sum[SX_PRIORITIES];

    /* The interval so far. */
    int64_t interval_end_ns __attribute__((aligned(CACHE_LINE)));
    int64_t queue_least_ns; /* INT64_MAX: not told */
    int64_t loop_most_ns;
    int64_t cpu_until_ns;
    double cpu_used;
    uint32_t running_most;

    /* Under `moving`, which nobody waits for; atomic for readers. */
    bool moving __attribute__((aligned(CACHE_LINE)));
    double pressure;
    double worst_before;
    double queue, loop, cpu, in_flight;
    sx_shed_options o; /* with defaults; name is not kept */
    sx_gauge *pressure_gauge, *running_gauge;
    sx_metrics *own_metrics;
    void *block;
};

/* Which priorities are refused first. */
static const sx_priority ORDER[SX_PRIORITIES] = {SX_PRIORITY_SHEDDABLE, SX_PRIORITY_NORMAL,
                                                 SX_PRIORITY_CRITICAL};

static const sx_str NAMES[SX_PRIORITIES] = {
    [SX_PRIORITY_NORMAL] = SX_STR_INIT("normal"),
    [SX_PRIORITY_CRITICAL] = SX_STR_INIT("critical"),
    [SX_PRIORITY_SHEDDABLE] = SX_STR_INIT("sheddable"),
};

const char *sx_priority_name(sx_priority priority)
{
    return (unsigned)priority < SX_PRIORITIES ? NAMES[priority].data : "unknown";
}

bool sx_priority_parse(sx_str text, sx_priority *out)
{
    for (size_t i = 0; i < SX_PRIORITIES; i++)
        if (sx_str_ieq(text, NAMES[i])) {
            *out = (sx_priority)i;
            return true;
        }
    return false;
}

/* ---- pressure ---- */

static double worst_signal(sx_shed *s, int64_t now_ns)
{
    int64_t queue_ns = __atomic_exchange_n(&s->queue_least_ns, INT64_MAX, __ATOMIC_RELAXED);
    int64_t loop_ns = __atomic_exchange_n(&s->loop_most_ns, 0, __ATOMIC_RELAXED);
    uint32_t running = __atomic_exchange_n(&s->running_most, 0, __ATOMIC_RELAXED);
    bool has_cpu = now_ns < load(&s->cpu_until_ns);
    const struct {
        double *share;
        double value, target;
    } signals[] = {
        {&s->queue, queue_ns == INT64_MAX ? 0 : (double)queue_ns, s->o.queue_ms * 1e6},
        {&s->loop, (double)loop_ns, s->o.loop_ms * 1e6},
        {&s->cpu, has_cpu ? load_double(&s->cpu_used) : 0, s->o.cpu},
        {&s->in_flight, running, s->o.in_flight_max > 0 ? s->o.in_flight_max : 1},
    };
    double worst = 0;
    for (size_t i = 0; i < SX_COUNT_OF(signals); i++) {
        double share = signals[i].value / signals[i].target;
        store_double(signals[i].share, share);
        worst = share > worst ? share : worst;
    }
    return worst;
}

/* `worst` is a share of its target, `before` that of the interval before. A queue that shrinks
 * already is left to shrink: to refuse still more would overshoot. */
static double moved(double pressure, double worst, double before, double intervals)
{
    const double rise = 10, rise_most = 40, fall = 5, calm = 0.7, shrinks = 0.95;
    if (worst >= 1 && worst >= before * shrinks)
        pressure += rise * worst < rise_most ? rise * worst : rise_most;
    else if (worst < calm)
        pressure -= fall * intervals;
    return pressure < 0 ? 0 : pressure > PRESSURE_MOST ? PRESSURE_MOST : pressure;
}

static void set_parts(sx_shed *s)
{
    for (size_t i = 0; i < SX_PRIORITIES; i++) {
        double part = (s->pressure - 100.0 * (double)i) / 100;
        part = part < 0 ? 0 : part > 1 ? 1 : part;
        store(&s->part[ORDER[i]], (uint32_t)(part * PART_ALL));
    }
}

static SX_COLD void move(sx_shed *s, int64_t now_ns)
{
    if (__atomic_exchange_n(&s->moving, true, __ATOMIC_ACQUIRE))
        return;
    int64_t end_ns = load(&s->interval_end_ns), interval_ns = (int64_t)s->o.interval_ms * NS_PER_MS;
    if (now_ns >= end_ns) { /* or somebody was quicker */
        double intervals = 1 + (double)(now_ns - end_ns) / (double)interval_ns;
        double worst = worst_signal(s, now_ns);
        store_double(&s->pressure, moved(s->pressure, worst, s->worst_before, intervals));
        s->worst_before = worst;
        set_parts(s);
        store(&s->interval_end_ns, now_ns + interval_ns);
        sx_gauge_set(s->pressure_gauge, s->pressure / 100);
    }
    __atomic_store_n(&s->moving, false, __ATOMIC_RELEASE);
}

static inline void look_at_clock(sx_shed *s)
{
    int64_t now_ns = sx_clock_mono_ns(s->clock);
    if (sx_unlikely(now_ns >= load(&s->interval_end_ns)))
        move(s, now_ns);
}

/* ---- decisions ---- */

static bool is_refused_part(sx_shed *s, sx_priority priority, uint32_t part)
{
    return part == PART_ALL || (part > 0 && add_return(&s->sum[priority], part) < part);
}

/* Counts one more as running if there is room for that priority. */
static bool enter(sx_shed *s, sx_priority priority)
{
    uint32_t running = add_return(&s->running, 1);
    if (sx_unlikely(running > s->in_flight_most[priority])) {
        __atomic_sub_fetch(&s->running, 1, __ATOMIC_RELAXED);
        return false;
    }
    uint32_t most = load(&s->running_most);
    while (running > most && !exchange_if(&s->running_most, &most, running))
        ;
    look_at_clock(s);
    return true;
}

bool sx_shed_allow(sx_shed *s, sx_priority priority)
{
    bool refused = false;
    sx_assert((unsigned)priority < SX_PRIORITIES);
    if (sx_unlikely(load(&s->part[priority]) > 0)) {
        look_at_clock(s); /* which may end it */
        refused = is_refused_part(s, priority, load(&s->part[priority]));
    }
    if (!refused && s->o.in_flight_max > 0)
        refused = !enter(s, priority);
    if (sx_unlikely(refused)) {
        sx_counter_add(s->refused[priority], 1);
        return false;
    }
    sx_counter_add(s->allowed[priority], 1);
    sx_gauge_add(s->running_gauge, 1); /* each thread's own: a shared count would cost more */
    return true;
}

void sx_shed_done(sx_shed *s)
{
    sx_gauge_add(s->running_gauge, -1);
    if (s->o.in_flight_max == 0)
        return;
    uint32_t running = __atomic_sub_fetch(&s->running, 1, __ATOMIC_RELAXED);
    sx_assert(running != UINT32_MAX);
}

/* ---- signals ---- */

void sx_shed_queue_delay(sx_shed *s, int64_t ns)
{
    int64_t least = load(&s->queue_least_ns);
    while (ns < least && !exchange_if(&s->queue_least_ns, &least, ns))
        ;
    look_at_clock(s);
}

void sx_shed_loop_delay(sx_shed *s, int64_t ns)
{
    int64_t most = load(&s->loop_most_ns);
    while (ns > most && !exchange_if(&s->loop_most_ns, &most, ns))
        ;
    look_at_clock(s);
}

void sx_shed_cpu(sx_shed *s, double used)
{
    int64_t span_ns = (int64_t)s->o.interval_ms * CPU_INTERVALS * NS_PER_MS;
    store_double(&s->cpu_used, used >= 0 ? used : 0);
    store(&s->cpu_until_ns, sx_clock_mono_ns(s->clock) + span_ns);
    look_at_clock(s);
}

void sx_shed_info_of(const sx_shed *s, sx_shed_info *out)
{
    double running = sx_gauge_value(s->running_gauge);
    *out = (sx_shed_info){
        .pressure = load_double(&s->pressure),
        .queue = load_double(&s->queue),
        .loop = load_double(&s->loop),
        .cpu = load_double(&s->cpu),
        .in_flight = load_double(&s->in_flight),
        .running = running > 0 ? (uint32_t)(running + 0.5) : 0,
    };
    for (size_t i = 0; i < SX_PRIORITIES; i++)
        out->refused[i] = (uint64_t)sx_counter_value(s->refused[i]);
}

/* ---- life ---- */

static sx_status make_metrics(sx_shed *s, sx_metrics *metrics, sx_str name, sx_error *err)
{
    static const char *const NAME[] = {"name"}, *const NAME_PRIORITY_OUTCOME[] = {
                                                    "name", "priority", "outcome"};
    const sx_metric_options requests = {
        .kind = SX_METRIC_COUNTER,
        .name = "load_shed_requests_total",
        .help = "Requests by priority and outcome: allowed or refused.",
        .labels = NAME_PRIORITY_OUTCOME,
        .label_count = 3,
    };
    const sx_metric_options pressure = {
        .kind = SX_METRIC_GAUGE,
        .name = "load_shed_pressure_ratio",
        .help = "0 to 1: that part of the sheddable is refused; to 2: of the normal; to 3: of the "
                "critical.",
        .labels = NAME,
        .label_count = 1,
    };
    const sx_metric_options running = {
        .kind = SX_METRIC_GAUGE,
        .name = "load_shed_in_flight",
        .help = "Requests that were allowed and are not done.",
        .labels = NAME,
        .label_count = 1,
    };
    sx_metric *made, *made_pressure, *made_running;
    sx_status status = sx_metric_new(metrics, &requests, &made, err);
    if (status == SX_OK)
        status = sx_metric_new(metrics, &pressure, &made_pressure, err);
    if (status == SX_OK)
        status = sx_metric_new(metrics, &running, &made_running, err);
    if (status != SX_OK)
        return status;
    for (size_t i = 0; i < SX_PRIORITIES; i++) {
        s->allowed[i] =
            sx_metric_counter(made, (const sx_str[]){name, NAMES[i], SX_STR("allowed")}, 3);
        s->refused[i] =
            sx_metric_counter(made, (const sx_str[]){name, NAMES[i], SX_STR("refused")}, 3);
    }
    s->pressure_gauge = sx_metric_gauge(made_pressure, &name, 1);
    s->running_gauge = sx_metric_gauge(made_running, &name, 1);
    return SX_OK;
}

static void set_limits(sx_shed *s)
{
    static const uint32_t PERCENT[SX_PRIORITIES] = {
        [SX_PRIORITY_SHEDDABLE] = 80, [SX_PRIORITY_NORMAL] = 100, [SX_PRIORITY_CRITICAL] = 110};
    for (size_t i = 0; i < SX_PRIORITIES; i++) {
        uint64_t most = (uint64_t)s->o.in_flight_max * PERCENT[i] / 100;
        s->in_flight_most[i] = most > INT32_MAX ? INT32_MAX : most > 0 ? (uint32_t)most : 1;
    }
}

sx_status sx_shed_new(const sx_shed_options *options, sx_shed **out, sx_error *err)
{
    static const sx_shed_options NONE = {0};
    const sx_shed_options *o = options ? options : &NONE;
    void *block;
    sx_shed *s = line_alloc(sizeof(*s), &block);
    if (!s)
        return sx_fail_memory(err, "a load shedder");
    s->block = block;
    s->o = *o;
    s->o.queue_ms = o->queue_ms ? o->queue_ms : 50;
    s->o.loop_ms = o->loop_ms ? o->loop_ms : 100;
    s->o.cpu = o->cpu > 0 ? o->cpu : 0.95;
    s->o.interval_ms = o->interval_ms ? o->interval_ms : 100;
    s->clock = sx_clock_coarse(o->clock ? o->clock : sx_clock_system());
    s->queue_least_ns = INT64_MAX;
    s->interval_end_ns = sx_clock_mono_ns(s->clock) + (int64_t)s->o.interval_ms * NS_PER_MS;
    set_limits(s);
    sx_str name = sx_str_z(o->name ? o->name : "default");
    sx_status status = SX_OK;
    if (!o->metrics)
        status = sx_metrics_new(NULL, &s->own_metrics, err);
    if (status == SX_OK)
        status = make_metrics(s, o->metrics ? o->metrics : s->own_metrics, name, err);
    if (status != SX_OK) {
        sx_shed_free(s);
        return status;
    }
    *out = s;
    return SX_OK;
}

void sx_shed_free(sx_shed *s)
{
    if (!s)
        return;
    sx_metrics_free(s->own_metrics);
    sx_free(s->block);
}
