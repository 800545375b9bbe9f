/* derive_table.c - rows, their merging and leaving; the exponential histogram. */
#include "observe/collector/derive_table.h"

#include <math.h>

#include <sextant/mem.h>
#include <sextant/utf8.h>

enum { SLOTS_LEAST = 64, ARENA_BYTES = 16 << 10 };

static uint32_t bucket_count(const derive_shape *shape)
{
    return shape->expo_size ? shape->expo_size : shape->bound_count + 1;
}

/* --- Rows. */

static bool copy_values(sx_arena *arena, derive_row *row, const derive_key *key, uint32_t count)
{
    sx_str *values = sx_arena_calloc(arena, count + 1, sizeof(*values));
    if (!values)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!key->values[i].data)
            continue;
        values[i] = sx_arena_copy(arena, key->values[i]);
        if (!values[i].data)
            return false;
    }
    row->values = values;
    return true;
}

static derive_row *new_row(sx_arena *arena, const derive_shape *shape)
{
    derive_row *row = sx_arena_calloc(arena, 1, sizeof(*row));
    if (!row)
        return NULL;
    for (uint32_t i = 0; i < shape->histogram_count; i++) {
        row->histograms[i].scale = DERIVE_SCALE_MAX;
        row->histograms[i].buckets =
            sx_arena_calloc(arena, bucket_count(shape), sizeof(*row->histograms[i].buckets));
        if (!row->histograms[i].buckets)
            return NULL;
    }
    if (shape->exemplars_max &&
        !(row->exemplars = sx_arena_calloc(arena, shape->exemplars_max, sizeof(*row->exemplars))))
        return NULL;
    if (shape->ref_count &&
        !(row->refs = sx_arena_calloc(arena, shape->ref_count, sizeof(*row->refs))))
        return NULL;
    return row;
}

static void index_row(derive_slot *slots, size_t mask, derive_row *row)
{
    size_t i = row->hash & mask;
    while (slots[i].row)
        i = (i + 1) & mask;
    slots[i] = (derive_slot){row->hash, row};
}

sx_status derive_table_init(derive_table *t, const derive_shape *shape, sx_error *err)
{
    *t = (derive_table){.shape = shape, .mask = SLOTS_LEAST - 1};
    sx_arena_init(&t->arena, ARENA_BYTES, 0);
    t->slots = sx_calloc(SLOTS_LEAST, sizeof(*t->slots));
    t->overflow = new_row(&t->arena, shape);
    if (!t->slots || !t->overflow) {
        derive_table_done(t);
        return sx_fail_memory(err, "a table of derived metrics");
    }
    t->overflow->overflow = true;
    return SX_OK;
}

void derive_table_done(derive_table *t)
{
    sx_free(t->slots);
    sx_free(t->rows);
    sx_arena_done(&t->arena);
    *t = (derive_table){0};
}

/* Room for one row more, in the vector and in the index. */
static bool make_room(derive_table *t)
{
    if (t->count == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : SLOTS_LEAST / 2;
        derive_row **more = sx_realloc(t->rows, cap * sizeof(*more));
        if (!more)
            return false;
        t->rows = more;
        t->cap = cap;
    }
    if ((t->count + 1) * 2 <= t->mask + 1)
        return true;
    size_t mask = t->mask * 2 + 1;
    derive_slot *slots = sx_calloc(mask + 1, sizeof(*slots));
    if (!slots)
        return false;
    for (size_t i = 0; i < t->count; i++)
        index_row(slots, mask, t->rows[i]);
    sx_free(t->slots);
    t->slots = slots;
    t->mask = mask;
    return true;
}

derive_row *derive_table_make(derive_table *t, const derive_key *key)
{
    derive_row *row = NULL;
    if (t->count < t->shape->rows_max && make_room(t))
        row = new_row(&t->arena, t->shape);
    if (!row || !copy_values(&t->arena, row, key, t->shape->value_count)) {
        t->overflowed++;
        return t->overflow;
    }
    row->hash = key->hash;
    row->tag = key->tag;
    t->rows[t->count++] = row;
    index_row(t->slots, t->mask, row);
    return row;
}

/* --- Exponential histograms: bucket i of scale s holds (2^((i-1)/2^s), 2^(i/2^s)], as Prometheus
 * counts them. The window begins at index `first` and has `used` buckets in use. */

static int32_t coarser(int32_t index, int steps)
{
    return ((index - 1) >> steps) + 1;
}

static void expo_reduce(derive_histogram *h, int steps)
{
    uint32_t used = 0;
    int32_t first = coarser(h->first, steps);
    for (uint32_t i = 0; i < h->used; i++) {
        uint32_t to = (uint32_t)(coarser(h->first + (int32_t)i, steps) - first);
        uint64_t count = h->buckets[i];
        h->buckets[i] = 0;
        h->buckets[to] += count; /* never ahead of i */
        used = to + 1;
    }
    h->first = first;
    h->used = used;
    h->scale -= steps;
}

/* Makes room for the bucket of `index` at the histogram's scale; false: too far away, reduce. */
static bool expo_reach(const derive_shape *shape, derive_histogram *h, int32_t index)
{
    if (!h->used) {
        h->first = index;
        h->used = 1;
        return true;
    }
    int64_t first = index < h->first ? index : h->first;
    int64_t last = (int64_t)h->first + h->used - 1;
    if (index > last)
        last = index;
    if (last - first + 1 > shape->expo_size)
        return false;
    if (first < h->first) {
        size_t by = (size_t)(h->first - first);
        memmove(h->buckets + by, h->buckets, h->used * sizeof(*h->buckets));
        memset(h->buckets, 0, by * sizeof(*h->buckets));
    }
    h->first = (int32_t)first;
    h->used = (uint32_t)(last - first + 1);
    return true;
}

/* Adds `count` to the bucket `index` of `scale`, which is not finer than the histogram may be. */
static uint32_t expo_add(const derive_shape *shape, derive_histogram *h, int32_t scale,
                         int32_t index, uint64_t count)
{
    if (scale < h->scale)
        expo_reduce(h, h->scale - scale);
    index = coarser(index, scale - h->scale);
    while (!expo_reach(shape, h, index)) {
        if (h->scale == DERIVE_SCALE_MIN) { /* 65536-fold a bucket: 64 bits of nanoseconds fit */
            index = index < h->first ? h->first : h->first + (int32_t)h->used - 1;
            break;
        }
        expo_reduce(h, 1);
        index = coarser(index, 1);
    }
    h->buckets[index - h->first] += count;
    return (uint32_t)(index - h->first);
}

uint32_t derive_expo_observe(const derive_shape *shape, derive_histogram *h, uint64_t ns)
{
    if (!ns) {
        h->zero++;
        return 0;
    }
    double v = log2((double)ns / shape->ns_per_unit);
    return expo_add(shape, h, h->scale, (int32_t)ceil(ldexp(v, h->scale)), 1);
}

/* --- Merging. */

void derive_row_exemplar(const derive_shape *shape, derive_row *row, uint32_t histogram,
                         uint32_t bucket, const derive_exemplar *e)
{
    uint64_t bit = UINT64_C(1) << (bucket & 63);
    if (row->exemplar_count >= shape->exemplars_max || row->histograms[histogram].has & bit)
        return;
    row->histograms[histogram].has |= bit;
    derive_exemplar *to = &row->exemplars[row->exemplar_count++];
    *to = *e;
    to->histogram = (uint8_t)histogram;
    to->bucket = (uint8_t)bucket;
}

static void forget(derive_row *row)
{
    row->exemplar_count = 0;
    for (int i = 0; i < DERIVE_HISTOGRAMS; i++)
        row->histograms[i].has = 0;
}

static void merge_histogram(const derive_shape *shape, derive_histogram *into,
                            derive_histogram *from)
{
    into->count += from->count;
    into->sum_ns += from->sum_ns;
    into->zero += from->zero;
    uint32_t count = shape->expo_size ? from->used : bucket_count(shape);
    for (uint32_t i = 0; i < count; i++) {
        if (from->buckets[i] && shape->expo_size)
            expo_add(shape, into, from->scale, from->first + (int32_t)i, from->buckets[i]);
        else if (from->buckets[i])
            into->buckets[i] += from->buckets[i];
        from->buckets[i] = 0;
    }
    from->count = from->zero = from->used = 0;
    from->sum_ns = 0;
    from->scale = DERIVE_SCALE_MAX;
}

static void merge_row(const derive_shape *shape, derive_row *into, derive_row *from, int64_t now_ms)
{
    for (int i = 0; i < DERIVE_COUNTERS; i++) {
        into->counters[i] += from->counters[i];
        from->counters[i] = 0;
    }
    for (uint32_t i = 0; i < from->exemplar_count; i++)
        derive_row_exemplar(shape, into, from->exemplars[i].histogram, from->exemplars[i].bucket,
                            &from->exemplars[i]);
    for (uint32_t i = 0; i < shape->histogram_count; i++)
        merge_histogram(shape, &into->histograms[i], &from->histograms[i]);
    forget(from);
    into->dirty = true;
    into->seen_ms = from->seen_ms = now_ms;
    from->dirty = false;
}

void derive_table_merge(derive_table *into, derive_table *from, int64_t now_ms)
{
    for (size_t i = 0; i < from->count; i++) {
        derive_row *row = from->rows[i];
        if (!row->dirty)
            continue;
        derive_key key = {row->hash, row->tag, row->values};
        merge_row(into->shape, derive_table_row(into, &key), row, now_ms);
    }
    if (from->overflow->dirty)
        merge_row(into->shape, into->overflow, from->overflow, now_ms);
    into->overflowed += from->overflowed;
    from->overflowed = 0;
}

void derive_table_forget_exemplars(derive_table *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->rows[i]->exemplar_count)
            forget(t->rows[i]);
    forget(t->overflow);
}

/* --- Leaving. */

static bool move_row(derive_table *to, const derive_row *old)
{
    const derive_shape *shape = to->shape;
    derive_row *row = old->overflow ? to->overflow : NULL;
    if (!row) {
        derive_key key = {old->hash, old->tag, old->values};
        row = derive_table_make(to, &key);
        if (row->overflow)
            return false;
    }
    derive_row fresh = *row;
    *row = *old;
    row->values = fresh.values;
    row->exemplars = fresh.exemplars;
    row->refs = fresh.refs;
    for (uint32_t i = 0; i < shape->histogram_count; i++) {
        row->histograms[i].buckets = fresh.histograms[i].buckets;
        memcpy(row->histograms[i].buckets, old->histograms[i].buckets,
               bucket_count(shape) * sizeof(*row->histograms[i].buckets));
    }
    if (old->exemplar_count)
        memcpy(row->exemplars, old->exemplars, old->exemplar_count * sizeof(*row->exemplars));
    if (shape->ref_count)
        memcpy(row->refs, old->refs, shape->ref_count * sizeof(*row->refs));
    return true;
}

void derive_table_expire(derive_table *t, int64_t before_ms,
                         void (*gone)(void *ctx, const derive_row *row), void *ctx)
{
    derive_table left;
    size_t old = 0;
    for (size_t i = 0; i < t->count; i++)
        old += !t->rows[i]->dirty && t->rows[i]->seen_ms < before_ms;
    if (!old || derive_table_init(&left, t->shape, NULL) != SX_OK)
        return;
    bool ok = move_row(&left, t->overflow);
    for (size_t i = 0; i < t->count && ok; i++)
        if (t->rows[i]->dirty || t->rows[i]->seen_ms >= before_ms)
            ok = move_row(&left, t->rows[i]);
    if (!ok) {
        derive_table_done(&left);
        return;
    }
    for (size_t i = 0; i < t->count && gone; i++)
        if (!t->rows[i]->dirty && t->rows[i]->seen_ms < before_ms)
            gone(ctx, t->rows[i]);
    left.overflowed = t->overflowed;
    derive_table_done(t);
    *t = left;
}
