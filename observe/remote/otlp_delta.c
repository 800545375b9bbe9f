/* otlp_delta.c - delta points added up to cumulative ones: the feature otlp-deltatocumulative.
 *
 * A stream is a metric of a resource and scope with the same attributes. What it has come to is kept
 * here, for all writers; a point is added and replaced by the sum. A stream that was silent for
 * five minutes begins anew, as do all after a restart: to queries both look like a counter's reset.
 * Source: OpenTelemetry, metrics data model, "Delta-to-cumulative", "Exponential histogram: merging";
 * the behaviour of Prometheus, which has the collector's deltatocumulative processor. */
#include <math.h>
#include <pthread.h>

#include "observe/remote/otlp.h"

enum {
    STALE_MS = 5 * 60 * 1000,
    SWEEP_MS = 60 * 1000,
    BUCKETS_MAX = 160, /* of a side of an exponential stream: a wider one is folded */
    STREAMS_MAX = 1 << 22,
    CELLS_MAX = 1 << 26 /* classic streams are as long as they came */
};

/* A stream's sum. */
typedef struct delta_stream {
    int64_t seen_ms;
    uint64_t t_ns, start_ns;
    double value, sum, count, zero_count, zero_threshold;
    bool has_sum;
    int32_t scale;
    otlp_numbers bounds;
    otlp_buckets sides[2]; /* positive (also a classic histogram's), negative */
} delta_stream;

struct remote_deltas {
    pthread_mutex_t lock;
    sx_map64 streams;
    const sx_clock *clock;
    int64_t swept_ms;
    size_t cells; /* room for numbers in all streams */
    uint32_t streams_max;
    uint64_t cells_max;
};

sx_status remote_deltas_new(const remote_deltas_options *options, remote_deltas **out,
                            sx_error *err)
{
    const remote_deltas_options o = options ? *options : (remote_deltas_options){0};
    remote_deltas *d = sx_calloc(1, sizeof *d);
    if (!d)
        return sx_fail_memory(err, "delta streams");
    d->clock = o.clock ? o.clock : sx_clock_system();
    d->streams_max = o.streams_max ? o.streams_max : STREAMS_MAX;
    d->cells_max = o.buckets_max ? o.buckets_max : CELLS_MAX;
    pthread_mutex_init(&d->lock, NULL);
    sx_map64_init(&d->streams, NULL);
    *out = d;
    return SX_OK;
}

static size_t cells_of(const delta_stream *st)
{
    return st->bounds.cap + st->sides[0].counts.cap + st->sides[1].counts.cap;
}

static void stream_free(delta_stream *st)
{
    sx_free(st->bounds.items);
    sx_free(st->sides[0].counts.items);
    sx_free(st->sides[1].counts.items);
    sx_free(st);
}

void remote_deltas_free(remote_deltas *d)
{
    size_t cursor = 0;
    if (!d)
        return;
    for (sx_map64_entry *e; (e = sx_map64_next(&d->streams, &cursor));)
        stream_free(e->ptr);
    sx_map64_done(&d->streams);
    pthread_mutex_destroy(&d->lock);
    sx_free(d);
}

/* Streams that have been silent are forgotten, once a minute. */
static void sweep(remote_deltas *d, int64_t now_ms)
{
    size_t cursor = 0;
    if (now_ms - d->swept_ms < SWEEP_MS)
        return;
    d->swept_ms = now_ms;
    for (sx_map64_entry *e; (e = sx_map64_next(&d->streams, &cursor));) {
        delta_stream *st = e->ptr;
        if (now_ms - st->seen_ms <= STALE_MS)
            continue;
        sx_map64_remove(&d->streams, e->key);
        d->cells -= cells_of(st);
        stream_free(st);
    }
}

/* --- Arrays. */

static bool copy_numbers(otlp_numbers *to, const otlp_numbers *from)
{
    if (!sx_grow(&to->items, &to->cap, from->count + 1, sizeof *to->items))
        return false;
    if (from->count)
        memcpy(to->items, from->items, from->count * sizeof *to->items);
    to->count = from->count;
    return true;
}

static bool copy_buckets(otlp_buckets *to, const otlp_buckets *from)
{
    to->offset = from->offset;
    return copy_numbers(&to->counts, &from->counts);
}

/* --- Exponential histograms: dense counts, bucket i at offset + i. */

typedef struct bucket_range {
    int64_t first, last; /* first > last: none */
} bucket_range;

static bucket_range range_of(const otlp_buckets *b, unsigned down)
{
    if (b->counts.count == 0)
        return (bucket_range){0, -1};
    return (bucket_range){(int64_t)b->offset >> down,
                          ((int64_t)b->offset + (int64_t)b->counts.count - 1) >> down};
}

static bucket_range join(bucket_range a, bucket_range b)
{
    if (a.first > a.last)
        return b;
    if (b.first > b.last)
        return a;
    return (bucket_range){a.first < b.first ? a.first : b.first, a.last > b.last ? a.last : b.last};
}

static void add_folded(double *to, int64_t first, const otlp_buckets *b, unsigned down)
{
    for (size_t i = 0; i < b->counts.count; i++)
        to[(((int64_t)b->offset + (int64_t)i) >> down) - first] += b->counts.items[i];
}

/* The stream's side becomes the sum of both, each at its own scale before. */
static sx_status merge_side(otlp_buckets *sum, unsigned sum_down, const otlp_buckets *more,
                            unsigned more_down, sx_error *err)
{
    bucket_range all = join(range_of(sum, sum_down), range_of(more, more_down));
    double cells[BUCKETS_MAX] = {0};
    if (all.first > all.last)
        return SX_OK;
    size_t width = (size_t)(all.last - all.first) + 1;
    sx_assert(width <= BUCKETS_MAX);
    add_folded(cells, all.first, sum, sum_down);
    add_folded(cells, all.first, more, more_down);
    if (!sx_grow(&sum->counts.items, &sum->counts.cap, width, sizeof *sum->counts.items))
        return sx_fail_memory(err, "a delta stream");
    memcpy(sum->counts.items, cells, width * sizeof *cells);
    sum->counts.count = width;
    sum->offset = (int32_t)all.first;
    return SX_OK;
}

static bool fits(const otlp_buckets *a, unsigned a_down, const otlp_buckets *b, unsigned b_down)
{
    bucket_range all = join(range_of(a, a_down), range_of(b, b_down));
    return all.last - all.first < BUCKETS_MAX;
}

/* Buckets that lie in the zero bucket once it is as wide as `threshold` are counted there. */
static void widen_zero(otlp_buckets *b, int32_t scale, double threshold, double *zero_count)
{
    size_t inside = 0;
    while (inside < b->counts.count && (int64_t)b->offset + (int64_t)inside < INT32_MAX &&
           exp2(ldexp((double)b->offset + (double)inside + 1, -scale)) <= threshold)
        *zero_count += b->counts.items[inside++];
    if (inside == 0)
        return;
    b->counts.count -= inside;
    memmove(b->counts.items, b->counts.items + inside, b->counts.count * sizeof *b->counts.items);
    b->offset += (int32_t)inside;
}

static sx_status add_exponential(delta_stream *st, otlp_point *p, sx_error *err)
{
    enum { DOWN_MAX = 40 }; /* from there on all indexes are 0 or -1, so that both fit */
    otlp_buckets *more[2] = {&p->positive, &p->negative};
    double threshold =
        st->zero_threshold > p->zero_threshold ? st->zero_threshold : p->zero_threshold;
    for (unsigned i = 0; i < 2; i++) {
        if (threshold > st->zero_threshold)
            widen_zero(&st->sides[i], st->scale, threshold, &st->zero_count);
        if (threshold > p->zero_threshold)
            widen_zero(more[i], p->scale, threshold, &p->zero_count);
    }
    int64_t scale = st->scale < p->scale ? st->scale : p->scale;
    unsigned down[2];
    for (;; scale--) {
        int64_t by[2] = {st->scale - scale, p->scale - scale};
        for (unsigned i = 0; i < 2; i++)
            down[i] = by[i] > DOWN_MAX ? DOWN_MAX : (unsigned)by[i];
        if (fits(&st->sides[0], down[0], more[0], down[1]) &&
            fits(&st->sides[1], down[0], more[1], down[1]))
            break;
    }
    if (scale < TSDB_SCHEMA_MIN)
        return sx_fail(err, SX_EINVAL, "dropped sample: its buckets are too far from the sum's");
    sx_status status = SX_OK;
    for (unsigned i = 0; i < 2 && status == SX_OK; i++)
        status = merge_side(&st->sides[i], down[0], more[i], down[1], err);
    st->scale = (int32_t)scale;
    st->zero_threshold = threshold;
    st->zero_count += p->zero_count;
    return status;
}

/* --- All kinds. */

/* With other bounds nothing can be added: the stream goes on from this point. */
static sx_status add_classic(delta_stream *st, const otlp_point *p, bool *replace)
{
    otlp_numbers *sum = &st->sides[0].counts;
    const otlp_numbers *more = &p->positive.counts;
    *replace = st->bounds.count != p->bounds.count ||
               (st->bounds.count && memcmp(st->bounds.items, p->bounds.items,
                                           st->bounds.count * sizeof *p->bounds.items) != 0);
    for (size_t i = 0; !*replace && i < sum->count && i < more->count; i++)
        sum->items[i] += more->items[i];
    return SX_OK;
}

/* An exponential point is added to nothing, so that it, too, is folded to what a stream may hold. */
static sx_status begin_stream(delta_stream *st, otlp_kind kind, otlp_point *p, sx_error *err)
{
    st->start_ns = p->start_ns;
    st->value = p->value;
    st->sum = p->sum;
    st->count = p->count;
    st->has_sum = p->has_sum;
    st->scale = p->scale;
    st->zero_count = p->zero_count;
    st->zero_threshold = p->zero_threshold;
    if (kind == OTLP_EXPONENTIAL) {
        st->zero_count = 0;
        st->sides[0].counts.count = st->sides[1].counts.count = 0;
        return add_exponential(st, p, err);
    }
    bool room = copy_numbers(&st->bounds, &p->bounds) &&
                copy_buckets(&st->sides[0], &p->positive) &&
                copy_buckets(&st->sides[1], &p->negative);
    return room ? SX_OK : sx_fail_memory(err, "a delta stream");
}

static sx_status add_point(delta_stream *st, otlp_kind kind, otlp_point *p, sx_error *err)
{
    bool replace = false;
    sx_status status = SX_OK;
    if (kind == OTLP_EXPONENTIAL)
        status = add_exponential(st, p, err);
    else if (kind == OTLP_HISTOGRAM)
        status = add_classic(st, p, &replace);
    if (status != SX_OK)
        return status;
    if (replace)
        return begin_stream(st, kind, p, err);
    st->value += p->value;
    st->count += p->count;
    st->has_sum = st->has_sum && p->has_sum;
    st->sum = st->has_sum ? st->sum + p->sum : 0;
    return SX_OK;
}

static sx_status show(otlp_point *p, const delta_stream *st, sx_error *err)
{
    p->start_ns = st->start_ns;
    p->value = st->value;
    p->sum = st->sum;
    p->count = st->count;
    p->has_sum = st->has_sum;
    p->scale = st->scale;
    p->zero_count = st->zero_count;
    p->zero_threshold = st->zero_threshold;
    bool room =
        copy_buckets(&p->positive, &st->sides[0]) && copy_buckets(&p->negative, &st->sides[1]);
    return room ? SX_OK : sx_fail_memory(err, "a data point");
}

/* Attributes in any order are the same stream. The seed is the process's: all writers hash alike. */
static uint64_t stream_key(const otlp_state *s)
{
    uint64_t seed = sx_hash_seed();
    uint64_t attributes = 0;
    for (size_t i = 0; i < s->point.attributes.count; i++)
        attributes += sx_hash(s->point.attributes.items[i], seed);
    uint64_t parts[4] = {s->resource_hash, s->scope_id, s->metric_hash, attributes};
    return sx_hash_bytes(parts, sizeof parts, seed);
}

static sx_status find_stream(remote_deltas *d, uint64_t key, delta_stream **out, sx_error *err)
{
    *out = sx_map64_get(&d->streams, key);
    if (*out)
        return SX_OK;
    if (sx_map64_count(&d->streams) >= d->streams_max)
        return sx_fail(err, SX_ELIMIT, "more than %u delta streams", d->streams_max);
    delta_stream *st = sx_calloc(1, sizeof *st);
    sx_map64_entry *e = st ? sx_map64_put(&d->streams, key, NULL) : NULL;
    if (!e) {
        sx_free(st);
        return sx_fail_memory(err, "a delta stream");
    }
    e->ptr = *out = st;
    return SX_OK;
}

static sx_status accumulate(remote_deltas *d, otlp_state *s, sx_error *err)
{
    otlp_point *p = &s->point;
    delta_stream *st;
    int64_t now_ms = sx_clock_ms(d->clock);
    sweep(d, now_ms);
    sx_status status = find_stream(d, stream_key(s), &st, err);
    if (status != SX_OK)
        return status;
    bool fresh = st->t_ns == 0 || now_ms - st->seen_ms > STALE_MS;
    if (!fresh && p->start_ns < st->start_ns)
        return sx_fail(err, SX_EINVAL,
                       "dropped sample with start_time=%llu, because series only starts at "
                       "start_time=%llu. consider checking for multiple processes sending the "
                       "exact same series",
                       (unsigned long long)p->start_ns, (unsigned long long)st->start_ns);
    if (!fresh && p->t_ns <= st->t_ns)
        return sx_fail(err, SX_EINVAL,
                       "out of order: dropped sample from time=%llu, because series is already at "
                       "time=%llu",
                       (unsigned long long)p->t_ns, (unsigned long long)st->t_ns);
    if (fresh && d->cells > d->cells_max)
        return sx_fail(err, SX_ELIMIT, "delta streams of more than %llu buckets",
                       (unsigned long long)d->cells_max);
    size_t before = cells_of(st);
    int32_t scale = p->scale;
    status = fresh ? begin_stream(st, s->kind, p, err) : add_point(st, s->kind, p, err);
    d->cells += cells_of(st) - before;
    if (status != SX_OK) {
        st->t_ns = 0; /* it may be half of both: the next point begins it anew */
        return status;
    }
    st->t_ns = p->t_ns;
    st->seen_ms = now_ms;
    return fresh && st->scale == scale ? SX_OK : show(p, st, err);
}

sx_status otlp_accumulate(remote_writer *w, bool *taken, sx_error *err)
{
    remote_deltas *d = w->limits.deltas;
    otlp_state *s = w->otlp;
    sx_error bad = {0};
    *taken = true;
    if (s->point.stale)
        return SX_OK;
    if (s->kind == OTLP_EXPONENTIAL && s->point.scale < TSDB_SCHEMA_MIN)
        return SX_OK; /* it is refused when its samples are made */
    pthread_mutex_lock(&d->lock);
    sx_status status = accumulate(d, s, &bad);
    pthread_mutex_unlock(&d->lock);
    if (status == SX_EINVAL || status == SX_ELIMIT) {
        *taken = false;
        otlp_reject(w, 1, "%s", bad.message);
        return SX_OK;
    }
    return status == SX_OK ? SX_OK : sx_fail(err, status, "%s", bad.message);
}
