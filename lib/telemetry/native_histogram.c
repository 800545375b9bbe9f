/* native_histogram.c - windows of exponential buckets: made wider, made coarser, added up. */
#include "telemetry/native_histogram.h"

#include <float.h>
#include <math.h>

#include <sextant/mem.h>

#include "telemetry/exemplar.h"
#include "telemetry/thread.h"

enum { SHIFT_MAX = SX_NATIVE_SCHEMA_MAX - SX_NATIVE_SCHEMA_MIN, SLOTS_LEAST = 16 };

/* Where `key` lands when its schema is made coarser `by` times: the key over 2^by, rounded up. */
static int32_t coarser(int32_t key, unsigned by)
{
    return (key + (1 << by) - 1) >> by;
}

void sx_native_prepare(sx_native *n, const sx_metric_options *o)
{
    double growth = o->native_growth > 0 ? o->native_growth : 1.1;
    int schema = SX_NATIVE_SCHEMA_MIN;
    while (schema < SX_NATIVE_SCHEMA_MAX && exp2(exp2(-schema)) > growth)
        schema++;
    double zero = o->native_zero_threshold;
    zero = zero == 0 ? 0x1p-128 : zero < 0 ? 0 : zero;
    uint32_t buckets_max = o->native_buckets_max ? o->native_buckets_max : 160;
    uint32_t window_max = SX_NATIVE_WINDOW_LEAST;
    while (window_max < 4 * buckets_max)
        window_max *= 2;
    uint64_t normal = sx_cell_bits(DBL_MIN), zero_bits = sx_cell_bits(zero);
    *n = (sx_native){.on = true,
                     .schema = (int8_t)schema,
                     .buckets_max = buckets_max,
                     .window_max = window_max,
                     .zero_threshold = zero,
                     .zero_bits = zero_bits,
                     .least_bits = zero_bits + 1 > normal ? zero_bits + 1 : normal};
}

/* ---- the writer's side ---- */

static void own_increment(uint64_t *cell)
{
    __atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

/* The key at the finest schema of what is neither zero nor NaN. */
static int32_t key_of(uint64_t size)
{
    if (size == SX_DOUBLE_INFINITY) /* the bucket after the one of the largest double */
        return 1024 * SX_NATIVE_FINEST + 1;
    if (size >= sx_cell_bits(DBL_MIN))
        return sx_native_key(size);
    /* Subnormal: 2^54 times as large it is not, and 54 powers of two lower. */
    return sx_native_key(sx_cell_bits(sx_cell_float(size) * 0x1p54)) - 54 * SX_NATIVE_FINEST;
}

/* Keys in use, low > high: none. */
typedef struct key_range {
    int32_t low, high;
} key_range;

static const key_range NO_KEYS = {INT32_MAX, INT32_MIN};

static void include_key(key_range *range, int32_t key)
{
    range->low = key < range->low ? key : range->low;
    range->high = key > range->high ? key : range->high;
}

static uint32_t width_of(key_range range)
{
    return range.low > range.high ? 0 : (uint32_t)(range.high - range.low) + 1;
}

static key_range coarser_range(key_range range, unsigned by)
{
    if (range.low <= range.high)
        range = (key_range){coarser(range.low, by), coarser(range.high, by)};
    return range;
}

static key_range used_keys(const sx_native_window *w, unsigned side)
{
    key_range range = NO_KEYS;
    for (uint32_t i = 0; i < w->len[side]; i++)
        if (__atomic_load_n(&w->counts[w->offset[side] + i], __ATOMIC_RELAXED))
            include_key(&range, w->first[side] + (int32_t)i);
    return range;
}

/* Slots for so many keys, with room to grow on both sides. */
static uint32_t slots_for(uint32_t width, uint32_t most)
{
    uint32_t slots = SLOTS_LEAST;
    if (width == 0)
        return 0;
    while (slots < width + width / 4)
        slots *= 2;
    return slots < most ? slots : most;
}

static void copy_counts(const sx_native_window *from, sx_native_window *to)
{
    unsigned by = to->shift - from->shift;
    for (unsigned side = 0; side < 2; side++)
        for (uint32_t i = 0; i < from->len[side]; i++) {
            uint64_t count = from->counts[from->offset[side] + i];
            int32_t key = coarser(from->first[side] + (int32_t)i, by);
            if (count)
                to->counts[to->offset[side] + (uint32_t)(key - to->first[side])] += count;
        }
}

static void retire(sx_metrics *m, sx_native_window *w)
{
    sx_native_window *top = __atomic_load_n(&m->retired, __ATOMIC_RELAXED);
    do
        w->next_retired = top;
    while (!__atomic_compare_exchange_n(&m->retired, &top, w, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED));
}

/* A window with room for the keys in both ranges. */
static sx_native_window *make_window(const key_range range[2], unsigned shift, uint32_t most)
{
    uint32_t len[2] = {slots_for(width_of(range[0]), most), slots_for(width_of(range[1]), most)};
    sx_native_window *w = (sx_native_window *)sx_calloc(1, sizeof(*w) + ((size_t)len[0] + len[1]) *
                                                                            sizeof(w->counts[0]));
    if (!w)
        return NULL;
    w->shift = shift;
    w->round = (1 << shift) - 1;
    w->offset[1] = len[0];
    for (unsigned side = 0; side < 2; side++) {
        uint32_t width = width_of(range[side]);
        sx_assert(width <= len[side]);
        w->len[side] = len[side];
        if (width)
            w->first[side] = range[side].low - (int32_t)((len[side] - width) / 2);
    }
    return w;
}

/* Counts a value that has no slot, in a new window that has one. */
static bool make_room(const sx_metric *metric, uint64_t *cells, int32_t key, unsigned side)
{
    const sx_native *n = &metric->native;
    sx_native_window *old = (sx_native_window *)(uintptr_t)__atomic_load_n(cells, __ATOMIC_RELAXED);
    unsigned shift = old ? old->shift : (unsigned)(SX_NATIVE_SCHEMA_MAX - n->schema);
    key_range range[2] = {NO_KEYS, NO_KEYS};
    for (unsigned i = 0; old && i < 2; i++)
        range[i] = used_keys(old, i);
    include_key(&range[side], coarser(key, shift));
    while (width_of(range[0]) > n->window_max || width_of(range[1]) > n->window_max) {
        shift++;
        range[0] = coarser_range(range[0], 1);
        range[1] = coarser_range(range[1], 1);
    }
    sx_assert(shift <= SHIFT_MAX); /* SX_NATIVE_WINDOW_LEAST is enough there */
    sx_native_window *made = make_window((const key_range *)range, shift, n->window_max);
    if (!made)
        return false;
    if (old)
        copy_counts(old, made);
    made->counts[made->offset[side] + (uint32_t)(coarser(key, shift) - made->first[side])]++;
    __atomic_store_n(cells, (uint64_t)(uintptr_t)made, __ATOMIC_RELEASE);
    if (old)
        retire(metric->registry, old);
    return true;
}

bool sx_native_observe(const sx_metric *metric, uint64_t *cells, double value)
{
    uint64_t bits = sx_cell_bits(value), size = bits & ~SX_DOUBLE_SIGN;
    unsigned side = (unsigned)(bits >> 63);
    if (size > SX_DOUBLE_INFINITY || size <= metric->native.zero_bits) {
        own_increment(cells + (size > SX_DOUBLE_INFINITY ? 2 : 1));
        return true;
    }
    int32_t key = key_of(size);
    sx_native_window *w = (sx_native_window *)(uintptr_t)__atomic_load_n(cells, __ATOMIC_RELAXED);
    if (w) {
        uint32_t slot = (uint32_t)coarser(key, w->shift) - (uint32_t)w->first[side];
        if (slot < w->len[side]) {
            own_increment(&w->counts[w->offset[side] + slot]);
            return true;
        }
    }
    return make_room(metric, cells, key, side);
}

size_t sx_native_exemplar_slot(double value)
{
    /* Neighbours among the powers of two have different slots, so that all sizes stay in view. */
    return (size_t)(sx_cell_bits(value) >> 52) % SX_EXEMPLARS_NATIVE;
}

/* ---- the reader's side ---- */

static uint64_t *stripe_cells(const sx_series *s, unsigned stripe)
{
    return s->cells + (size_t)stripe * SX_STRIPE_CELLS + s->metric->bounds.count + 2;
}

static const sx_native_window *window_of(const sx_series *s, unsigned stripe)
{
    return (const sx_native_window *)(uintptr_t)__atomic_load_n(stripe_cells(s, stripe),
                                                                __ATOMIC_ACQUIRE);
}

static uint64_t load(const uint64_t *cell)
{
    return __atomic_load_n(cell, __ATOMIC_RELAXED);
}

uint64_t sx_native_total(const sx_series *s)
{
    sx_metrics *m = s->metric->registry;
    uint64_t total = 0;
    unsigned used = sx_thread_shards_used();
    pthread_mutex_lock(&m->window_lock);
    for (unsigned i = 0; i < used; i++) {
        const sx_native_window *w = window_of(s, i);
        const uint64_t *cells = stripe_cells(s, i);
        total += load(cells + 1) + load(cells + 2);
        for (size_t k = 0; w && k < (size_t)w->len[0] + w->len[1]; k++)
            total += load(&w->counts[k]);
    }
    pthread_mutex_unlock(&m->window_lock);
    return total;
}

/* The windows of all stripes as they are now, and the coarsest schema among them at which each side
 * of them all together is no wider than `width_max`. */
typedef struct windows {
    const sx_native_window *at[SX_STRIPES];
    unsigned count, shift;
    key_range range[2]; /* of slots, at that schema */
} windows;

static void take_windows(const sx_series *s, unsigned used, uint32_t width_max, windows *all)
{
    all->count = 0;
    all->shift = (unsigned)(SX_NATIVE_SCHEMA_MAX - s->metric->native.schema);
    for (unsigned i = 0; i < used; i++) {
        const sx_native_window *w = window_of(s, i);
        if (!w)
            continue;
        all->at[all->count++] = w;
        all->shift = w->shift > all->shift ? w->shift : all->shift;
    }
    for (;; all->shift++) {
        all->range[0] = all->range[1] = NO_KEYS;
        for (unsigned i = 0; i < all->count; i++)
            for (unsigned side = 0; side < 2; side++) {
                const sx_native_window *w = all->at[i];
                int32_t last = w->first[side] + (int32_t)w->len[side] - 1;
                if (w->len[side] == 0)
                    continue;
                include_key(&all->range[side], coarser(w->first[side], all->shift - w->shift));
                include_key(&all->range[side], coarser(last, all->shift - w->shift));
            }
        if (all->shift == SHIFT_MAX ||
            (width_of(all->range[0]) <= width_max && width_of(all->range[1]) <= width_max))
            return;
    }
}

static bool add_windows(const windows *all, unsigned side, sx_native_side *to)
{
    to->len = width_of(all->range[side]);
    to->first = all->range[side].low;
    if (to->len == 0)
        return true;
    if (!sx_grow(&to->counts, &to->cap, to->len, sizeof(*to->counts)))
        return false;
    memset(to->counts, 0, to->len * sizeof(*to->counts));
    for (unsigned i = 0; i < all->count; i++) {
        const sx_native_window *w = all->at[i];
        for (uint32_t k = 0; k < w->len[side]; k++) {
            int32_t key = coarser(w->first[side] + (int32_t)k, all->shift - w->shift);
            to->counts[key - to->first] += load(&w->counts[w->offset[side] + k]);
        }
    }
    return true;
}

/* Leaves out what is empty at both ends. */
static void trim(sx_native_side *side)
{
    size_t from = 0;
    while (side->len > 0 && side->counts[side->len - 1] == 0)
        side->len--;
    while (from < side->len && side->counts[from] == 0)
        from++;
    if (from == 0)
        return;
    side->len -= from;
    side->first += (int32_t)from;
    memmove(side->counts, side->counts + from, side->len * sizeof(*side->counts));
}

static void halve(sx_native_side *side)
{
    if (side->len == 0)
        return;
    int32_t first = coarser(side->first, 1), last = side->first + (int32_t)side->len - 1;
    for (size_t i = 0; i < side->len; i++) {
        uint64_t count = side->counts[i];
        side->counts[i] = 0; /* its new place is here or before */
        side->counts[coarser(side->first + (int32_t)i, 1) - first] += count;
    }
    side->first = first;
    side->len = (size_t)(coarser(last, 1) - first) + 1;
}

static size_t buckets_in_use(const sx_native_sum *sum, uint64_t *observed)
{
    size_t in_use = 0;
    *observed = 0;
    for (unsigned side = 0; side < 2; side++)
        for (size_t i = 0; i < sum->side[side].len; i++) {
            in_use += sum->side[side].counts[i] != 0;
            *observed += sum->side[side].counts[i];
        }
    return in_use;
}

bool sx_native_add_up(const sx_series *s, sx_native_sum *sum)
{
    const sx_native *n = &s->metric->native;
    sx_metrics *m = s->metric->registry;
    unsigned used = sx_thread_shards_used();
    windows all;
    pthread_mutex_lock(&m->window_lock);
    take_windows(s, used, n->window_max * 4, &all);
    bool done = add_windows(&all, 0, &sum->side[0]) && add_windows(&all, 1, &sum->side[1]);
    pthread_mutex_unlock(&m->window_lock);
    if (!done)
        return false;
    sum->zeros = sum->nans = 0;
    for (unsigned i = 0; i < used; i++) {
        sum->zeros += load(stripe_cells(s, i) + 1);
        sum->nans += load(stripe_cells(s, i) + 2);
    }
    sum->schema = SX_NATIVE_SCHEMA_MAX - (int)all.shift;
    uint64_t observed;
    while (buckets_in_use(sum, &observed) > n->buckets_max && sum->schema > SX_NATIVE_SCHEMA_MIN) {
        halve(&sum->side[0]);
        halve(&sum->side[1]);
        sum->schema--;
    }
    trim(&sum->side[0]);
    trim(&sum->side[1]);
    sum->total = observed + sum->zeros + sum->nans;
    return true;
}

void sx_native_sum_done(sx_native_sum *sum)
{
    sx_free(sum->side[0].counts);
    sx_free(sum->side[1].counts);
    *sum = (sx_native_sum){0};
}

void sx_native_reclaim(sx_metrics *m)
{
    pthread_mutex_lock(&m->window_lock);
    sx_native_window *w = __atomic_exchange_n(&m->retired, NULL, __ATOMIC_ACQUIRE);
    while (w) {
        sx_native_window *next = w->next_retired;
        sx_free(w);
        w = next;
    }
    pthread_mutex_unlock(&m->window_lock);
}

void sx_native_free_windows(const sx_series *s)
{
    unsigned used = sx_thread_shards_used();
    for (unsigned i = 0; i < used; i++) /* the pages of the others were never touched */
        sx_free((void *)(uintptr_t)*stripe_cells(s, i));
}
