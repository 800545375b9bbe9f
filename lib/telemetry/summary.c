/* summary.c - quantiles over a sliding window (summary.h). */
#include "telemetry/summary.h"

#include <math.h>

#include <sextant/mem.h>
#include <sextant/number.h>

enum { BUFFER = 1024, DATE_EACH = 32, SAMPLES_MAX = 1 << 20, SLICES_MAX = 60 };

/* One kept value: `width` values lie behind the one before it and up to it; it may stand `delta` places
 * higher than all widths up to here add up to. */
typedef struct sample {
    double value;
    uint32_t width, delta;
} sample;

/* What came in one part of the window. */
typedef struct slice {
    sample *samples; /* by value */
    size_t count, cap;
    uint64_t n; /* values seen */
} slice;

struct sx_window {
    pthread_mutex_t lock; /* all of it */
    const sx_summary_shape *shape;
    const sx_clock *clock;
    uint64_t count;
    double sum;
    size_t buffered;
    int64_t seen_ms;  /* when the latest that was dated came */
    int64_t slice_ms; /* length of a part */
    int64_t at;       /* number of the part being filled: time over slice_ms */
    double buffer[BUFFER];
    slice slices[]; /* shape->age_buckets; part number i is at i % age_buckets */
};

static const sx_metric_quantile DEFAULT_QUANTILES[] = {{0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}};
enum { AGE_MS_DEFAULT = 600000, BUCKETS_DEFAULT = 5 };

bool sx_summary_prepare(sx_arena *arena, sx_summary_shape *shape, const sx_metric_options *o)
{
    size_t count = o->quantiles ? o->quantile_count : SX_COUNT_OF(DEFAULT_QUANTILES);
    const sx_metric_quantile *from = o->quantiles ? o->quantiles : DEFAULT_QUANTILES;
    sx_str *texts = (sx_str *)sx_arena_calloc(arena, 2 * count, sizeof(*texts));
    sx_metric_quantile *kept = (sx_metric_quantile *)sx_arena_calloc(arena, count, sizeof(*kept));
    if (!texts || !kept)
        return false;
    memcpy(kept, from, count * sizeof(*kept));
    double error = 1;
    for (size_t i = 0; i < count; i++) {
        error = kept[i].error < error ? kept[i].error : error;
        char number[SX_DOUBLE_BYTES];
        size_t len = sx_double_format(kept[i].quantile, SX_DOUBLE_GO, number);
        const char *more = strcspn(number, ".eI") >= len ? ".0" : "";
        texts[i] = sx_arena_printf(arena, "quantile=\"%.*s\"} ", (int)len, number);
        texts[count + i] = sx_arena_printf(arena, "quantile=\"%.*s%s\"} ", (int)len, number, more);
        if (!texts[i].data || !texts[count + i].data)
            return false;
    }
    *shape = (sx_summary_shape){.quantiles = kept,
                                .texts = texts,
                                .texts_open = texts + count,
                                .count = count,
                                .error = error,
                                .age_ms = o->age_ms_max ? o->age_ms_max : AGE_MS_DEFAULT,
                                .age_buckets = o->age_buckets ? o->age_buckets : BUCKETS_DEFAULT};
    return true;
}

static int64_t now_ms(const sx_window *w)
{
    return sx_clock_mono_ns(w->clock) / 1000000;
}

sx_window *sx_window_new(const sx_summary_shape *shape, const sx_clock *clock)
{
    sx_window *w =
        (sx_window *)sx_calloc(1, sizeof(*w) + shape->age_buckets * sizeof(w->slices[0]));
    if (!w)
        return NULL;
    pthread_mutex_init(&w->lock, NULL);
    w->shape = shape;
    w->clock = clock;
    w->slice_ms = shape->age_ms / shape->age_buckets;
    w->slice_ms = w->slice_ms ? w->slice_ms : 1;
    w->at = now_ms(w) / w->slice_ms;
    return w;
}

void sx_window_free(sx_window *w)
{
    if (!w)
        return;
    for (uint32_t i = 0; i < w->shape->age_buckets; i++)
        sx_free(w->slices[i].samples);
    pthread_mutex_destroy(&w->lock);
    sx_free(w);
}

/* Neighbours become one as long as no rank is off by more than `room` / 2, from the top down. The least
 * and the greatest stay what they are. */
static void compress(slice *s, uint64_t room)
{
    if (s->count < 3)
        return;
    size_t to = s->count - 1; /* kept ones gather at the end */
    for (size_t i = s->count - 1; i-- > 0;) {
        sample c = s->samples[i];
        sample *next = &s->samples[to];
        bool join = i > 0 && (uint64_t)c.width + next->width + next->delta <= room;
        next->width += join ? c.width : 0;
        to -= !join;
        if (!join)
            s->samples[to] = c;
    }
    memmove(s->samples, s->samples + to, (s->count - to) * sizeof(*s->samples));
    s->count -= to;
}

/* Merges sorted values. Without memory they are left out of the quantiles. */
static void merge(slice *s, double error, const double *values, size_t count)
{
    if (s->count + count > SAMPLES_MAX || s->n + count > UINT32_MAX / 2 ||
        !sx_grow(&s->samples, &s->cap, s->count + count, sizeof(*s->samples)))
        return;
    size_t at = s->count + count, old = s->count, new = count; /* from the end, in place */
    uint32_t delta =
        0; /* of what stands before the old sample placed last: nothing above it, exact */
    s->count = at;
    while (new > 0) {
        if (old > 0 && s->samples[old - 1].value > values[new - 1]) {
            s->samples[--at] = s->samples[--old];
            /* Somewhere among those that the old one stands for. */
            delta = s->samples[at].width + s->samples[at].delta - 1;
        } else {
            s->samples[--at] = (sample){values[--new], 1, old > 0 ? delta : 0};
        }
    }
    s->n += count;
    compress(s, (uint64_t)(2 * error * (double)s->n));
}

/* Bits that are in order as the doubles are, and back. */
static uint64_t key_of(double value)
{
    uint64_t bits = sx_cell_bits(value);
    return bits ^ ((uint64_t)((int64_t)bits >> 63) | (uint64_t)1 << 63);
}

static double value_of(uint64_t key)
{
    uint64_t positive = (uint64_t)1 << 63;
    return sx_cell_float(key & positive ? key ^ positive : ~key);
}

/* Byte by byte from the least: no branch on the values, where a comparison goes wrong half the time and
 * qsort() takes five times as long. Bytes that all have in common are passed over. */
static void sort(double *values, size_t count)
{
    enum { BYTES = 8, DIGITS = 256 };
    uint64_t keys[BUFFER], room[BUFFER], *from = keys, *to = room;
    uint16_t digits[BYTES][DIGITS] = {0};
    for (size_t i = 0; i < count; i++) {
        keys[i] = key_of(values[i]);
        for (int b = 0; b < BYTES; b++)
            digits[b][keys[i] >> (8 * b) & 255]++;
    }
    for (int b = 0; b < BYTES; b++) {
        uint16_t *at = digits[b], before = 0;
        if (at[keys[0] >> (8 * b) & 255] == count)
            continue;
        for (int d = 0; d < DIGITS; d++) {
            uint16_t here = at[d];
            at[d] = before;
            before = (uint16_t)(before + here);
        }
        for (size_t i = 0; i < count; i++)
            to[at[from[i] >> (8 * b) & 255]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    for (size_t i = 0; i < count; i++)
        values[i] = value_of(from[i]);
}

/* Goes on to the part of the window that `now` is in; what lies a window behind is forgotten. */
static void go_on(sx_window *w, int64_t now)
{
    uint32_t count = w->shape->age_buckets;
    int64_t to = now / w->slice_ms;
    if (to - w->at > count)
        w->at = to - count;
    while (w->at < to) {
        slice *s = &w->slices[++w->at % count];
        s->count = 0;
        s->n = 0;
    }
}

static SX_COLD void flush(sx_window *w)
{
    if (!w->buffered)
        return;
    sort(w->buffer, w->buffered);
    go_on(w, w->seen_ms);
    merge(&w->slices[w->at % w->shape->age_buckets], w->shape->error, w->buffer, w->buffered);
    w->buffered = 0;
}

void sx_window_observe(sx_window *w, double value)
{
    pthread_mutex_lock(&w->lock);
    w->count++;
    w->sum += value;
    if (sx_likely(!isnan(value))) { /* it has no rank */
        if (w->buffered % DATE_EACH == 0)
            w->seen_ms = now_ms(w);
        w->buffer[w->buffered++] = value;
        if (sx_unlikely(w->buffered == BUFFER))
            flush(w);
    }
    pthread_mutex_unlock(&w->lock);
}

/* All parts together, in the order of their values. */
typedef struct walk {
    const sx_window *w;
    size_t next[SLICES_MAX];
    double beyond
        [SLICES_MAX]; /* how many of a part may lie before its next sample, widths so far apart */
    double n;
    double least, most; /* between them lies the rank of the value that was given last */
    double open;        /* sum of `beyond` */
} walk;

static double beyond(const slice *s, size_t next)
{
    const sample *one = &s->samples[next];
    return next < s->count ? (double)one->width + one->delta - 1 : 0;
}

/* The next value. False after the last. */
static bool walk_on(walk *k, double *value)
{
    const slice *from = NULL;
    uint32_t which = 0;
    for (uint32_t i = 0; i < k->w->shape->age_buckets; i++) {
        const slice *s = &k->w->slices[i];
        if (k->next[i] < s->count && (!from || s->samples[k->next[i]].value < *value)) {
            from = s;
            which = i;
            *value = s->samples[k->next[i]].value;
        }
    }
    if (!from)
        return false;
    const sample *one = &from->samples[k->next[which]++];
    k->least += one->width;
    k->most =
        k->least + one->delta + (k->open - k->beyond[which]); /* its own place is known better */
    double now = beyond(from, k->next[which]);
    k->open += now - k->beyond[which];
    k->beyond[which] = now;
    return true;
}

/* Each quantile is the value whose rank is off by the least, whatever it truly is. */
static void find_quantiles(const sx_window *w, double *out)
{
    double value = 0, best[SX_METRIC_QUANTILES_MAX];
    walk k = {.w = w};
    for (uint32_t i = 0; i < w->shape->age_buckets; i++) {
        k.n += (double)w->slices[i].n;
        k.beyond[i] = beyond(&w->slices[i], 0);
        k.open += k.beyond[i];
    }
    for (size_t i = 0; i < w->shape->count; i++) {
        out[i] = NAN;
        best[i] = INFINITY;
    }
    while (walk_on(&k, &value)) {
        for (size_t i = 0; i < w->shape->count; i++) {
            double target = ceil(w->shape->quantiles[i].quantile * k.n);
            target = target < 1 ? 1 : target;
            double below = target - k.least, above = k.most - target;
            double off = below > above ? below : above;
            if (off < best[i]) {
                best[i] = off;
                out[i] = value;
            }
        }
    }
}

void sx_window_read(sx_window *w, sx_window_sum *out)
{
    pthread_mutex_lock(&w->lock);
    flush(w);
    go_on(w, now_ms(w));
    out->count = w->count;
    out->sum = w->sum;
    find_quantiles(w, out->values);
    pthread_mutex_unlock(&w->lock);
}
