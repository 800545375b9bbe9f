/* cells.c - the hot half of the metrics: what a program calls while it works.
 *
 * Budgets: 2 ns for a counter or gauge, 10 ns for a histogram. store.h says how the cells lie and
 * who writes which. */
#include <math.h>

#include <sextant/number.h>

#include "telemetry/exemplar.h"
#include "telemetry/native_histogram.h"
#include "telemetry/store.h"
#include "telemetry/summary.h"
#include "telemetry/thread.h"

/* The calling thread's cells of a series. */
static inline uint64_t *own_cells(const sx_series *s)
{
    return s->cells + (size_t)sx_thread_shard * SX_STRIPE_CELLS;
}

/* For the thread that alone writes this cell. */
static inline void own_add(uint64_t *cell, uint64_t n)
{
    __atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void own_add_float(uint64_t *cell, double value)
{
    double sum = sx_cell_float(__atomic_load_n(cell, __ATOMIC_RELAXED)) + value;
    __atomic_store_n(cell, sx_cell_bits(sum), __ATOMIC_RELAXED);
}

/* For cells of stripe 0, which several threads write. */
static void shared_add_float(uint64_t *cell, double value)
{
    uint64_t seen = __atomic_load_n(cell, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(cell, &seen, sx_cell_bits(sx_cell_float(seen) + value),
                                        true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static inline void add_float(uint64_t *cell, double value)
{
    if (sx_likely(sx_thread_shard != 0))
        own_add_float(cell, value);
    else
        shared_add_float(cell, value);
}

static inline void add(uint64_t *cell, uint64_t n)
{
    if (sx_likely(sx_thread_shard != 0))
        own_add(cell, n);
    else
        __atomic_fetch_add(cell, n, __ATOMIC_RELAXED);
}

void sx_counter_add(sx_counter *c, uint64_t n)
{
    add(own_cells(&c->series), n);
}

void sx_counter_add_float(sx_counter *c, double value)
{
    if (value >= 0)
        add_float(own_cells(&c->series) + 1, value);
}

void sx_gauge_add(sx_gauge *g, double delta)
{
    add_float(own_cells(&g->series), delta);
}

void sx_gauge_set(sx_gauge *g, double value)
{
    /* Stripe 0 takes the difference, so that adds from any thread still count from here on. */
    double others = 0;
    unsigned used = sx_thread_shards_used();
    for (unsigned i = 1; i < used; i++)
        others += sx_cell_float(
            __atomic_load_n(g->series.cells + (size_t)i * SX_STRIPE_CELLS, __ATOMIC_RELAXED));
    __atomic_store_n(g->series.cells, sx_cell_bits(value - others), __ATOMIC_RELAXED);
}

static size_t bisect(const sx_bounds *b, double value)
{
    size_t low = 0, high = b->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (value <= b->upper[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

size_t sx_bounds_find(const sx_bounds *b, double value)
{
    if (sx_unlikely(!b->table))
        return bisect(b, value);
    if (sx_unlikely(isnan(value)))
        return b->count;
    /* No branch on the value: latencies lie on both sides of every bound, and a wrong guess costs
     * more than all of this. A negative value has a negative key. */
    int64_t at = ((int64_t)sx_cell_bits(value) >> SX_BOUNDS_SHIFT) - b->table_base;
    at = at < 0 ? 0 : at;
    at = at > b->table_last ? b->table_last : at;
    size_t i = b->table[at];
    i += value > b->upper[i]; /* usually enough */
    while (value > b->upper[i])
        i++;
    return i;
}

/* The sum, and the classic buckets if there are any. */
static inline void observe_rest(const sx_metric *metric, uint64_t *cells, double value)
{
    const sx_bounds *b = &metric->bounds;
    if (b->count > 0)
        add(cells + sx_bounds_find(b, value), 1);
    add_float(cells + b->count + 1, value);
}

/* What has no bucket yet, or needs none; and, under a lock, what all threads without a stripe meet. */
static SX_COLD void observe_native_slowly(sx_histogram *h, double value)
{
    const sx_metric *metric = h->series.metric;
    uint64_t *cells = own_cells(&h->series);
    bool shared = sx_thread_shard == 0;
    if (shared)
        pthread_mutex_lock(&metric->registry->shared_lock);
    bool counted = sx_native_observe(metric, cells + metric->bounds.count + 2, value);
    if (shared)
        pthread_mutex_unlock(&metric->registry->shared_lock);
    if (counted) /* else without memory: count and sum belong together */
        observe_rest(metric, cells, value);
}

static void observe_both(sx_histogram *h, double value)
{
    observe_rest(h->series.metric, own_cells(&h->series), value);
}

/* Whatever is rare is a call at the end, so that the usual way saves no registers. */
static void observe_native(sx_histogram *h, double value)
{
    const sx_metric *metric = h->series.metric;
    uint64_t *cells = own_cells(&h->series);
    size_t bounds = metric->bounds.count;
    uint64_t *count = sx_thread_shard ? sx_native_slot(metric, cells + bounds + 2, value) : NULL;
    if (sx_unlikely(!count)) {
        observe_native_slowly(h, value);
        return;
    }
    own_add(count, 1);
    if (bounds > 0)
        observe_both(h, value);
    else
        own_add_float(cells + 1, value);
}

void sx_histogram_observe(sx_histogram *h, double value)
{
    const sx_metric *metric = h->series.metric;
    if (metric->native.on) {
        observe_native(h, value);
        return;
    }
    const sx_bounds *b = &metric->bounds;
    uint64_t *cells = own_cells(&h->series);
    add(cells + sx_bounds_find(b, value), 1);
    add_float(cells + b->count + 1, value);
}

void sx_summary_observe(sx_summary *s, double value)
{
    sx_window_observe(sx_series_window(&s->series), value);
}

void sx_counter_add_exemplar(sx_counter *c, uint64_t n, const uint8_t trace_id[16],
                             const uint8_t span_id[8])
{
    sx_counter_add(c, n);
    sx_exemplar_put(&c->series, 0, (double)n, trace_id, span_id);
}

void sx_histogram_observe_exemplar(sx_histogram *h, double value, const uint8_t trace_id[16],
                                   const uint8_t span_id[8])
{
    const sx_bounds *b = &h->series.metric->bounds;
    sx_histogram_observe(h, value);
    size_t slot = b->count > 0 ? sx_bounds_find(b, value) : sx_native_exemplar_slot(value);
    sx_exemplar_put(&h->series, slot, value, trace_id, span_id);
}

/* Infos and state sets change seldom and must be seen whole: one cell, whoever writes. */

void sx_info_set(sx_info *i)
{
    __atomic_store_n(i->series.cells, 1, __ATOMIC_RELAXED);
}

void sx_info_clear(sx_info *i)
{
    __atomic_store_n(i->series.cells, 0, __ATOMIC_RELAXED);
}

static uint64_t state_bit(const sx_stateset *s, size_t state)
{
    sx_assert(state < s->series.metric->state_count);
    return (uint64_t)1 << state;
}

void sx_stateset_set(sx_stateset *s, size_t state)
{
    __atomic_fetch_or(s->series.cells, state_bit(s, state), __ATOMIC_RELAXED);
}

void sx_stateset_clear(sx_stateset *s, size_t state)
{
    __atomic_fetch_and(s->series.cells, ~state_bit(s, state), __ATOMIC_RELAXED);
}

void sx_stateset_enter(sx_stateset *s, size_t state)
{
    __atomic_store_n(s->series.cells, state_bit(s, state), __ATOMIC_RELAXED);
}

bool sx_stateset_has(const sx_stateset *s, size_t state)
{
    return (__atomic_load_n(s->series.cells, __ATOMIC_RELAXED) & state_bit(s, state)) != 0;
}

int64_t sx_series_now_ns(const sx_series *s)
{
    return sx_clock_ns(s->metric->registry->clock);
}

uint64_t sx_series_count_sum(const sx_series *s, size_t cell)
{
    uint64_t sum = 0;
    unsigned used = sx_thread_shards_used();
    for (unsigned i = 0; i < used; i++)
        sum += __atomic_load_n(s->cells + (size_t)i * SX_STRIPE_CELLS + cell, __ATOMIC_RELAXED);
    return sum;
}

double sx_series_float_sum(const sx_series *s, size_t cell)
{
    double sum = 0;
    unsigned used = sx_thread_shards_used();
    for (unsigned i = 0; i < used; i++)
        sum += sx_cell_float(
            __atomic_load_n(s->cells + (size_t)i * SX_STRIPE_CELLS + cell, __ATOMIC_RELAXED));
    return sum;
}

double sx_counter_value(const sx_counter *c)
{
    return (double)sx_series_count_sum(&c->series, 0) + sx_series_float_sum(&c->series, 1);
}

double sx_gauge_value(const sx_gauge *g)
{
    return sx_series_float_sum(&g->series, 0);
}

uint64_t sx_histogram_count(const sx_histogram *h)
{
    const sx_bounds *b = &h->series.metric->bounds;
    if (b->count == 0)
        return sx_native_total(&h->series);
    uint64_t sum = 0;
    for (size_t i = 0; i <= b->count; i++)
        sum += sx_series_count_sum(&h->series, i);
    return sum;
}

double sx_histogram_sum(const sx_histogram *h)
{
    return sx_series_float_sum(&h->series, h->series.metric->bounds.count + 1);
}

uint64_t sx_summary_count(const sx_summary *s)
{
    sx_window_sum all;
    sx_window_read(sx_series_window(&s->series), &all);
    return all.count;
}

double sx_summary_sum(const sx_summary *s)
{
    sx_window_sum all;
    sx_window_read(sx_series_window(&s->series), &all);
    return all.sum;
}

double sx_summary_quantile(const sx_summary *s, size_t i)
{
    sx_window_sum all;
    sx_assert(i < s->series.metric->summary.count);
    sx_window_read(sx_series_window(&s->series), &all);
    return all.values[i];
}

/* A table this long reaches over 512 powers of two, from nanoseconds to the age of the universe. */
enum { TABLE_MAX = 2048 };

static bool prepare_table(sx_arena *arena, sx_bounds *b)
{
    b->table = NULL;
    if (b->count == 0 || !(b->upper[0] > 0))
        return true;
    int64_t base = (int64_t)(sx_cell_bits(b->upper[0]) >> SX_BOUNDS_SHIFT);
    int64_t size = (int64_t)(sx_cell_bits(b->upper[b->count - 1]) >> SX_BOUNDS_SHIFT) - base + 1;
    if (size > TABLE_MAX)
        return true;
    uint16_t *table = (uint16_t *)sx_arena_alloc(arena, (size_t)(size + 2) * sizeof(*table));
    if (!table)
        return false;
    table[0] = 0; /* below the first bound's key */
    for (int64_t k = 0; k < size; k++) {
        /* The least of the values with this key. */
        double least = sx_cell_float((uint64_t)(base + k) << SX_BOUNDS_SHIFT);
        uint16_t i = 0;
        while (b->upper[i] < least)
            i++;
        table[k + 1] = i;
    }
    table[size + 1] = (uint16_t)b->count; /* above the last bound's key */
    b->table = table;
    b->table_base = base - 1;
    b->table_last = size + 1;
    return true;
}

/* `le="1"} `; in OpenMetrics a whole number has its ".0". */
static sx_str render_le(sx_arena *arena, double bound, bool open)
{
    char number[SX_DOUBLE_BYTES];
    size_t len = sx_double_format(bound, SX_DOUBLE_GO, number);
    const char *more = open && strcspn(number, ".eI") == len ? ".0" : "";
    return sx_arena_printf(arena, "le=\"%.*s%s\"} ", (int)len, number, more);
}

bool sx_bounds_prepare(sx_arena *arena, sx_bounds *b)
{
    sx_str *le = (sx_str *)sx_arena_calloc(arena, b->count + 1, sizeof(*le));
    sx_str *le_open = (sx_str *)sx_arena_calloc(arena, b->count + 1, sizeof(*le));
    if (!le || !le_open || !prepare_table(arena, b))
        return false;
    for (size_t i = 0; i <= b->count; i++) {
        le[i] = render_le(arena, b->upper[i], false);
        le_open[i] = render_le(arena, b->upper[i], true);
        if (!le[i].data || !le_open[i].data)
            return false;
    }
    b->le = le;
    b->le_open = le_open;
    return true;
}
