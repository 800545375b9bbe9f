/* writer.c - one request's batch: series found or made, samples appended, refusals put into words.
 *
 * A request is one batch of the store: it is in the log whole or not at all. What a sample is refused
 * for does not stop the others; Prometheus instead forgets a whole request of 1.0 with one bad sample,
 * and the sender throws it away. */
#include "observe/remote/writer.h"

#include <errno.h>
#include <stdio.h>

#include <sextant/number.h>
#include <sextant/compress.h>
#include <sextant/utf8.h>

enum {
    DECODED_BYTES_MAX = 32 << 20,
    CACHED_SERIES_MAX = 4 << 20,
    LABELS_MAX = 2048,
    LABEL_BYTES_MAX = 1 << 20,
    MESSAGES_MAX = 10,
    MESSAGE_BYTES_MAX = 4096, /* a label set that long is cut */
    KEPT_BYTES_MAX = 4 << 20, /* of a buffer between requests */
    METRIC_NAMES_MAX = 1 << 20,
    LOOKBACK_MS = 5 * 60 * 1000,
    AHEAD_MS_MAX = 10 * 60 * 1000,
};

sx_status remote_writer_new(tsdb_appendable *store, const remote_limits *limits,
                            remote_writer **out, sx_error *err)
{
    remote_writer *w = sx_calloc(1, sizeof *w);
    if (!w)
        return sx_fail_memory(err, "remote writer");
    if (limits)
        w->limits = *limits;
    w->store = store;
    w->limits.decoded_bytes_max =
        w->limits.decoded_bytes_max ? w->limits.decoded_bytes_max : DECODED_BYTES_MAX;
    w->limits.series_max = w->limits.series_max ? w->limits.series_max : CACHED_SERIES_MAX;
    w->limits.labels_max = w->limits.labels_max ? w->limits.labels_max : LABELS_MAX;
    w->limits.label_bytes_max =
        w->limits.label_bytes_max ? w->limits.label_bytes_max : LABEL_BYTES_MAX;
    w->limits.lookback_ms = w->limits.lookback_ms ? w->limits.lookback_ms : LOOKBACK_MS;
    w->limits.clock = w->limits.clock ? w->limits.clock : sx_clock_system();
    w->seed = sx_hash_seed();
    series_cache_init(&w->cache, w->limits.series_max);
    sx_map_init(&w->metrics, NULL);
    sx_arena_init(&w->names, 0, 0);
    sx_arena_init(&w->arena, 0, 0);
    sx_arena_init(&w->late_arena, 0, 0);
    sx_buf_init(&w->plain, 0);
    sx_buf_init(&w->text, MESSAGE_BYTES_MAX);
    *out = w;
    return SX_OK;
}

void remote_writer_free(remote_writer *w)
{
    if (!w)
        return;
    if (w->app)
        w->app->ops->free(w->app);
    series_cache_done(&w->cache);
    sx_map_done(&w->metrics);
    sx_arena_done(&w->names);
    sx_arena_done(&w->arena);
    sx_arena_done(&w->late_arena);
    wire_histogram_done(&w->histogram);
    sx_buf_done(&w->plain);
    sx_buf_done(&w->text);
    sx_free(w->labels);
    sx_free(w->symbols);
    sx_free(w->symbol_hashes);
    sx_free(w->refs);
    sx_free(w->key);
    otlp_state_free(w->otlp);
    sx_free(w);
}

sx_str remote_metric_type(uint64_t number)
{
    static const sx_str TYPES[] = {SX_STR_INIT("unknown"),        SX_STR_INIT("counter"),
                                   SX_STR_INIT("gauge"),          SX_STR_INIT("histogram"),
                                   SX_STR_INIT("gaugehistogram"), SX_STR_INIT("summary"),
                                   SX_STR_INIT("info"),           SX_STR_INIT("stateset")};
    return TYPES[number < sizeof TYPES / sizeof *TYPES ? number : 0];
}

/* --- One request. */

sx_status remote_begin(remote_writer *w, remote_written *out, sx_error *err)
{
    sx_buf *messages = out->messages;
    *out = (remote_written){.messages = messages};
    w->out = out;
    w->told = 0;
    int64_t now = sx_clock_ms(w->limits.clock);
    w->latest_t = now + AHEAD_MS_MAX;
    series_cache_at(&w->cache, now);
    return w->app ? SX_OK : w->store->appender(w->store, &w->app, err);
}

static sx_status unpack(remote_writer *w, sx_str body, sx_error *err)
{
    if (w->plain.cap > KEPT_BYTES_MAX)
        sx_buf_done(&w->plain);
    sx_buf_clear(&w->plain);
    return sx_decompress(SX_CODEC_SNAPPY, body, w->limits.decoded_bytes_max, &w->plain, err);
}

sx_status remote_end(remote_writer *w, sx_status status, sx_error *err)
{
    sx_error local;
    if (!err)
        err = &local;
    if (status == SX_OK) {
        status = w->app->ops->commit(w->app, err);
        if (status != SX_OK && (err->os_errno == ENOSPC || err->os_errno == EDQUOT)) {
            sx_error_prefix(err, status, "nothing was stored, try again later");
            status = err->status = SX_REFUSED;
        }
    } else {
        w->app->ops->rollback(w->app);
    }
    if (status != SX_OK) {
        sx_buf *messages = w->out->messages;
        *w->out = (remote_written){.messages = messages};
    }
    sx_arena_reset(&w->arena);
    w->out = NULL;
    return status;
}

sx_status remote_take(remote_writer *w, sx_str body,
                      sx_status (*read)(remote_writer *w, sx_error *err), remote_written *out,
                      sx_error *err)
{
    sx_status status = remote_begin(w, out, err);
    if (status != SX_OK)
        return status;
    status = unpack(w, body, err);
    if (status == SX_OK)
        status = read(w, err);
    return remote_end(w, status, err);
}

void remote_complain(remote_writer *w, const char *fmt, ...)
{
    w->out->bad = true;
    if (!w->out->messages || w->told == MESSAGES_MAX)
        return;
    va_list args;
    va_start(args, fmt);
    if (w->told++)
        sx_buf_byte(w->out->messages, '\n');
    sx_buf_vprintf(w->out->messages, fmt, args);
    va_end(args);
}

/* The labels of w->labels as text; what is too long ends early. */
static sx_str print_labels(remote_writer *w)
{
    sx_buf_clear(&w->text);
    tsdb_labels_print((tsdb_labels){w->labels, (uint32_t)w->label_count}, &w->text, NULL);
    return sx_buf_view(&w->text);
}

sx_str remote_series_text(remote_writer *w)
{
    tsdb_labels sorted;
    if (w->series.read_labels) {
        w->label_count = 0;
        if (w->series.read_labels(w, w->series.raw, NULL) != SX_OK)
            return sx_str_of(NULL, 0);
    }
    if (tsdb_labels_sort(w->labels, w->label_count, &sorted, NULL) == SX_OK)
        w->label_count = sorted.count;
    return print_labels(w);
}

/* --- Series. */

/* What Prometheus calls an invalid label set; the name of a label given twice is in *twice. */
static bool labels_are_valid(remote_writer *w, sx_str *twice, tsdb_labels *sorted)
{
    uint64_t bytes = 0;
    bool named = false;
    *twice = sx_str_of(NULL, 0);
    for (size_t i = 0; i < w->label_count; i++) {
        const tsdb_label *l = &w->labels[i];
        bytes += l->name.len + l->value.len;
        if (l->name.len == 0 || !sx_utf8_valid(l->name) || !sx_utf8_valid(l->value))
            return false;
        named |= l->value.len && sx_str_eq(l->name, TSDB_METRIC_NAME);
    }
    if (!named)
        return false;
    if (tsdb_labels_sort(w->labels, w->label_count, sorted, NULL) != SX_OK) {
        for (size_t i = 1; i < w->label_count && !twice->len; i++)
            for (size_t k = 0; k < i; k++)
                if (sx_str_eq(w->labels[i].name, w->labels[k].name)) {
                    *twice = w->labels[i].name;
                    break;
                }
        return false;
    }
    return bytes <= w->limits.label_bytes_max;
}

/* For metadata of 1.0, which names a metric and no series. Without memory there is none. */
static void remember_metric(remote_writer *w, tsdb_labels labels, tsdb_ref ref)
{
    sx_str name = tsdb_labels_get(labels, TSDB_METRIC_NAME);
    bool added;
    if (sx_map_count(&w->metrics) >= METRIC_NAMES_MAX && !sx_map_find(&w->metrics, name))
        return;
    sx_map_entry *e = sx_map_put(&w->metrics, name, &added);
    if (!e)
        return;
    if (added) {
        sx_str own = sx_arena_copy(&w->names, name);
        if (!own.data) {
            sx_map_remove(&w->metrics, name);
            return;
        }
        e->key = own;
    }
    e->u64 = ref;
}

sx_status remote_resolve(remote_writer *w, bool *known, sx_error *err)
{
    tsdb_labels sorted = {0};
    sx_str twice;
    tsdb_refusal why = TSDB_TAKEN;
    *known = false;
    w->series.ref = 0;
    w->series.invalid = true;
    if (w->label_count > w->limits.labels_max) {
        remote_complain(w, "series has %zu labels, more than the limit of %u", w->label_count,
                        w->limits.labels_max);
        return SX_OK;
    }
    if (!labels_are_valid(w, &twice, &sorted)) {
        sx_str shown = print_labels(w);
        if (twice.len)
            remote_complain(w, "invalid labels for series, labels %.*s, duplicated label %.*s",
                            SX_ARG(shown), SX_ARG(twice));
        else
            remote_complain(w, "invalid metric name or labels, got %.*s", SX_ARG(shown));
        return SX_OK;
    }
    w->label_count = sorted.count;
    sx_status status =
        w->app->ops->series(w->app, sorted, tsdb_labels_hash(sorted), &w->series.ref, &why, err);
    if (status != SX_OK)
        return status;
    if (why != TSDB_TAKEN) {
        sx_str shown = print_labels(w);
        remote_complain(w, "%s for series %.*s", tsdb_refusal_words(why), SX_ARG(shown));
        return SX_OK;
    }
    remember_metric(w, sorted, w->series.ref);
    *known = true;
    return SX_OK;
}

void remote_remember(remote_writer *w)
{
    series_entry *e =
        series_cache_put(&w->cache, w->series.hash, w->series.key_bytes, w->series.ref);
    if (e)
        series_cache_use(&w->cache, e);
}

/* The store says that the series has left: it is made again under the same key. */
static SX_COLD sx_status resolve_again(remote_writer *w, bool *known, sx_error *err)
{
    if (w->series.read_labels) {
        w->label_count = 0;
        sx_status status = w->series.read_labels(w, w->series.raw, err);
        if (status != SX_OK)
            return status;
    }
    sx_status status = remote_resolve(w, known, err);
    if (status == SX_OK && *known && w->series.key_bytes)
        remote_remember(w);
    return status;
}

/* --- Samples. */

static SX_COLD void refuse(remote_writer *w, tsdb_refusal why, bool future)
{
    sx_str shown = remote_series_text(w);
    w->out->refused++;
    remote_complain(w, "%s%s for series %.*s", tsdb_refusal_words(why),
                    future ? ": timestamp is too far in the future" : "", SX_ARG(shown));
}

/* Prometheus's words but for the value that there is, which only the store knows. */
static SX_COLD void refuse_duplicate(remote_writer *w, int64_t t, double v)
{
    char value[SX_DOUBLE_BYTES];
    sx_str shown = remote_series_text(w);
    sx_double_format(v, SX_DOUBLE_GO, value);
    w->out->refused++;
    remote_complain(w, "%s %lld; overrides not allowed: new value %s for series %.*s",
                    tsdb_refusal_words(TSDB_DUPLICATE), (long long)t, value, SX_ARG(shown));
}

/* HOT. */
sx_status remote_sample(remote_writer *w, int64_t t, int64_t start_t, double v, sx_error *err)
{
    tsdb_refusal why = TSDB_TAKEN;
    tsdb_appender *app = w->app;
    if (sx_unlikely(t > w->latest_t)) {
        refuse(w, TSDB_OUT_OF_BOUNDS, true);
        return SX_OK;
    }
    sx_status status = SX_OK;
    if (sx_unlikely(start_t))
        status = app->ops->start(app, w->series.ref, t, start_t, &why, err);
    if (sx_likely(status == SX_OK))
        status = app->ops->sample(app, w->series.ref, t, v, &why, err);
    if (sx_unlikely(status == SX_ENOTFOUND)) {
        bool known;
        status = resolve_again(w, &known, err);
        if (status == SX_OK && !known) {
            w->out->refused++;
            return SX_OK;
        }
        if (status == SX_OK)
            status = app->ops->sample(app, w->series.ref, t, v, &why, err);
    }
    if (sx_unlikely(status != SX_OK))
        return status;
    if (sx_likely(why == TSDB_TAKEN))
        w->out->samples++;
    else if (why == TSDB_DUPLICATE)
        refuse_duplicate(w, t, v);
    else
        refuse(w, why, false);
    return SX_OK;
}

static SX_COLD void refuse_histogram(remote_writer *w, const tsdb_histogram *h, tsdb_refusal why)
{
    sx_error bad;
    if (why != TSDB_BAD_HISTOGRAM || tsdb_histogram_check(h, &bad) == SX_OK) {
        refuse(w, why, false);
        return;
    }
    sx_str shown = remote_series_text(w);
    w->out->refused++;
    remote_complain(w, "%s for series %.*s", bad.message, SX_ARG(shown));
}

sx_status remote_histogram(remote_writer *w, int64_t t, int64_t start_t, const tsdb_histogram *h,
                           sx_error *err)
{
    tsdb_refusal why = TSDB_TAKEN;
    const tsdb_appender_ops *ops = w->app->ops;
    if (t > w->latest_t) {
        refuse(w, TSDB_OUT_OF_BOUNDS, true);
        return SX_OK;
    }
    sx_status status = SX_OK;
    if (start_t)
        status = ops->start(w->app, w->series.ref, t, start_t, &why, err);
    if (status == SX_OK)
        status = ops->histogram(w->app, w->series.ref, t, h, &why, err);
    if (status == SX_ENOTFOUND) {
        bool known;
        status = resolve_again(w, &known, err);
        if (status == SX_OK && !known) {
            w->out->refused++;
            return SX_OK;
        }
        if (status == SX_OK)
            status = ops->histogram(w->app, w->series.ref, t, h, &why, err);
    }
    if (status != SX_OK)
        return status;
    if (why == TSDB_TAKEN)
        w->out->histograms++;
    else
        refuse_histogram(w, h, why);
    return SX_OK;
}

sx_status remote_exemplar(remote_writer *w, const tsdb_exemplar *e, sx_error *err)
{
    tsdb_refusal why = TSDB_TAKEN;
    if (e->has_t && e->t > w->latest_t) {
        w->out->refused++;
        return SX_OK;
    }
    sx_status status = w->app->ops->exemplar(w->app, w->series.ref, e, &why, err);
    if (status == SX_ENOTFOUND) /* its samples were refused before */
        return SX_OK;
    if (status != SX_OK)
        return status;
    /* As with Prometheus an exemplar that is not taken is no fault of the request. */
    if (why == TSDB_TAKEN)
        w->out->exemplars++;
    else
        w->out->refused++;
    return SX_OK;
}

sx_status remote_read_histogram(remote_writer *w, sx_pb_reader *r, bool known, sx_error *err)
{
    tsdb_histogram h;
    sx_error bad = {0};
    sx_status status = wire_histogram_read(&w->histogram, r, &w->arena, &h, &bad);
    if (!known || r->fault) {
        w->out->refused++;
        w->out->invalid_labels += w->series.invalid;
        return SX_OK;
    }
    if (status == SX_EINVAL) {
        w->out->refused++;
        remote_complain(w, "%s", bad.message);
        return SX_OK;
    }
    if (status != SX_OK)
        return sx_fail(err, status, "%s", bad.message);
    return remote_histogram(w, w->histogram.t, w->histogram.start_t, &h, err);
}
