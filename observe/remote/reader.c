/* reader.c - the remote ends of remote_read: clients, and the thread that speaks to them.
 *
 * A query's thread makes a fetch, has it begun on the loop and waits. Clients belong to the loop and
 * are made and freed there; a configuration's set of them lives until its last querier has gone. */
#include <stdio.h>

#include <sextant/hash.h>
#include <sextant/http.h>
#include <sextant/http_client.h>
#include <sextant/mem.h>

#include "observe/remote/reader_internal.h"

enum { CONNECTIONS_MAX = 256, CANCEL_LOOK_MS = 20, ENDS_MAX = 1000 };
static const uint64_t BODY_BYTES_MAX = UINT64_C(1) << 30;

/* --- Sets. */

static void set_free(read_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->ends[i].http)
            prom_http_free(set->ends[i].http);
    prom_config_unref(set->config);
    sx_free(set->ends);
    sx_free(set);
}

static void free_on_loop(sx_loop *loop, void *arg)
{
    (void)loop;
    set_free(arg);
}

read_set *read_set_take(remote_reader *r)
{
    pthread_mutex_lock(&r->lock);
    read_set *set = r->set;
    if (set)
        set->refs++;
    pthread_mutex_unlock(&r->lock);
    return set;
}

void read_set_drop(read_set *set)
{
    sx_error err;
    if (!set)
        return;
    remote_reader *r = set->reader;
    pthread_mutex_lock(&r->lock);
    bool last = --set->refs == 0;
    pthread_mutex_unlock(&r->lock);
    /* Without memory to post it leaks what the next start would make anew: clients are the loop's. */
    if (last && sx_loop_post(r->loop, free_on_loop, set, &err) != SX_OK && r->kit.log)
        SX_LOG_WARN(sx_log_logger(r->kit.log, "remote"), NULL, "remote read clients are kept",
                    sx_field_error(&err));
}

/* --- Metrics, with Prometheus's names but one. */

static const char *const KINDS[READ_KINDS] = {"sampled", "chunked", "unsupported"};

static sx_status metrics_init(remote_reader *r, sx_error *err)
{
    static const char *const LABELS[] = {"remote_name", "url", "response_type", "code"};
    static const double BOUNDS[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25, 60};
    if (!r->kit.metrics)
        return SX_OK;
    sx_metric_options o = {.kind = SX_METRIC_COUNTER,
                           .name = "prometheus_remote_read_client_queries_total",
                           .help = "The total number of remote read queries.",
                           .labels = LABELS,
                           .label_count = 4,
                           .series_max = ENDS_MAX};
    sx_status status = sx_metric_new(r->kit.metrics, &o, &r->queries_total, err);
    o.kind = SX_METRIC_GAUGE;
    o.name = "prometheus_remote_read_client_queries_in_flight"; /* theirs would clash with _total */
    o.help = "The number of in-flight remote read queries.";
    o.label_count = 2;
    if (status == SX_OK)
        status = sx_metric_new(r->kit.metrics, &o, &r->queries, err);
    o.kind = SX_METRIC_HISTOGRAM;
    o.name = "prometheus_remote_read_client_request_duration_seconds";
    o.help = "How long remote read requests took, with their answers.";
    o.label_count = 3;
    o.bounds = BOUNDS;
    o.bound_count = SX_COUNT_OF(BOUNDS);
    o.native = true;
    o.native_buckets_max = 100;
    return status == SX_OK ? sx_metric_new(r->kit.metrics, &o, &r->seconds, err) : status;
}

static void count_under_way(const read_fetch *f, double delta)
{
    const remote_reader *r = f->set->reader;
    const sx_str values[] = {f->end->name, f->end->entry->url};
    sx_gauge *g = r->queries ? sx_metric_gauge(r->queries, values, 2) : NULL;
    if (g)
        sx_gauge_add(g, delta);
}

static void count_answer(const read_fetch *f, read_kind kind, int status, int64_t elapsed_ns)
{
    const remote_reader *r = f->set->reader;
    char code[16];
    snprintf(code, sizeof code, "%d", status);
    const sx_str values[] = {f->end->name, f->end->entry->url, sx_str_z(KINDS[kind]),
                             sx_str_z(code)};
    sx_counter *n = r->queries_total ? sx_metric_counter(r->queries_total, values, 4) : NULL;
    sx_histogram *s = r->seconds ? sx_metric_histogram(r->seconds, values, 3) : NULL;
    if (n)
        sx_counter_add(n, 1);
    if (s)
        sx_histogram_observe(s, (double)elapsed_ns / 1e9);
}

/* --- One fetch, on the loop. */

static void fetch_over(read_fetch *f, sx_status status, const sx_error *err)
{
    remote_reader *r = f->set->reader;
    count_under_way(f, -1);
    sx_timer_stop(sx_loop_timers(r->loop), &f->look);
    pthread_mutex_lock(&r->lock);
    f->call = NULL;
    f->status = status;
    if (err)
        f->err = *err;
    f->done = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static sx_status take_answer(read_fetch *f, const prom_http_answer *a, sx_error *err)
{
    sx_str url = f->end->entry->url;
    if (a->result != SX_OK) {
        *err = *a->error;
        return sx_error_prefix(err, a->result, "error sending request: Post \"%.*s\"", SX_ARG(url));
    }
    if (a->status / 100 != 2)
        return sx_fail(err, SX_EPROTOCOL, "remote server %.*s returned http status %d %s: %.*s",
                       SX_ARG(url), a->status, sx_http_reason(a->status),
                       SX_ARG(sx_str_first(sx_str_trim_all(a->body), 256)));
    f->streamed = sx_str_starts(a->content_type, SX_STR(REMOTE_READ_STREAMED));
    read_kind kind = f->streamed ? READ_CHUNKED : READ_SAMPLED;
    if (!f->streamed && !sx_str_starts(a->content_type, SX_STR(REMOTE_READ_SAMPLES)))
        kind = READ_UNSUPPORTED;
    count_answer(f, kind, a->status, a->elapsed_ns);
    if (kind == READ_UNSUPPORTED)
        return sx_fail(err, SX_EPROTOCOL, "unsupported content type: %.*s",
                       SX_ARG(sx_str_first(a->content_type, 100)));
    sx_buf_str(&f->answer.body, a->body);
    return sx_buf_status(&f->answer.body, "an answer of remote read", err);
}

static void on_answer(void *ctx, const prom_http_answer *a)
{
    read_fetch *f = ctx;
    sx_error err = {0};
    sx_status status = take_answer(f, a, &err);
    fetch_over(f, status, &err);
}

/* A query that is given up, or out of time, is looked for: nobody tells. */
static void on_look(sx_timer *timer, void *arg)
{
    read_fetch *f = arg;
    sx_loop *loop = f->set->reader->loop;
    bool late = f->deadline_ns && sx_clock_mono_ns(sx_loop_clock(loop)) > f->deadline_ns;
    if (late || (f->canceled && *f->canceled))
        prom_http_cancel(f->call);
    else
        sx_timer_start(sx_loop_timers(loop), timer, CANCEL_LOOK_MS);
}

static void start_on_loop(sx_loop *loop, void *arg)
{
    read_fetch *f = arg;
    const prom_remote_read *e = f->end->entry;
    tsdb_label headers[64] = {
        {SX_STR("Content-Encoding"), SX_STR("snappy")},
        {SX_STR("Accept-Encoding"), SX_STR("snappy")},
        {SX_STR("Content-Type"), SX_STR("application/x-protobuf")},
        {SX_STR("X-Prometheus-Remote-Read-Version"), SX_STR("0.1.0")},
    };
    size_t n = 4;
    sx_error err;
    f->look = (sx_timer){.fn = on_look, .arg = f};
    for (uint32_t i = 0; i < e->header_count && n < SX_COUNT_OF(headers); i++)
        headers[n++] = e->headers[i];
    const prom_http_request request = {.method = SX_STR("POST"),
                                       .url = e->url,
                                       .headers = headers,
                                       .header_count = n,
                                       .body = sx_buf_view(&f->request),
                                       .timeout_ms = e->timeout_ms};
    count_under_way(f, 1);
    sx_status status = prom_http_send(f->end->http, &request, on_answer, f, &f->call, &err);
    if (status != SX_OK)
        fetch_over(f, status, &err);
    else if (f->canceled || f->deadline_ns)
        sx_timer_start(sx_loop_timers(loop), &f->look, CANCEL_LOOK_MS);
}

void read_fetch_start(read_fetch *f)
{
    sx_error err;
    sx_status status = read_question_write(&f->question, &f->request, &err);
    if (status == SX_OK)
        status = sx_loop_post(f->set->reader->loop, start_on_loop, f, &err);
    if (status == SX_OK)
        return;
    f->status = status; /* nobody else has it */
    f->err = err;
    f->done = true;
}

void read_fetch_wait(read_fetch *f)
{
    remote_reader *r = f->set->reader;
    pthread_mutex_lock(&r->lock);
    while (!f->done)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

/* --- A configuration. */

typedef struct applying {
    remote_reader *r;
    read_set *set;
    sx_error err;
    sx_status status;
    bool done;
} applying;

static void open_on_loop(sx_loop *loop, void *arg)
{
    applying *a = arg;
    read_set *set = a->set;
    const prom_http_limits limits = {.connections_max = CONNECTIONS_MAX,
                                     .body_bytes_max = a->r->options.body_bytes_max};
    sx_status status = SX_OK;
    for (uint32_t i = 0; i < set->count && status == SX_OK; i++)
        status = prom_http_new(loop, &a->r->kit, &set->ends[i].entry->http, &limits,
                               &set->ends[i].http, &a->err);
    if (status != SX_OK)
        set_free(set);
    pthread_mutex_lock(&a->r->lock);
    a->status = status;
    a->done = true;
    pthread_cond_broadcast(&a->r->changed);
    pthread_mutex_unlock(&a->r->lock);
}

static sx_status set_new(remote_reader *r, prom_config *config, read_set **out, sx_error *err)
{
    read_set *set = sx_calloc(1, sizeof *set);
    read_end *ends = sx_calloc(config->remote_read_count, sizeof *ends);
    if (!set || !ends) {
        sx_free(set);
        sx_free(ends);
        return sx_fail_memory(err, "remote read");
    }
    *set = (read_set){.refs = 1,
                      .reader = r,
                      .config = prom_config_ref(config),
                      .ends = ends,
                      .count = config->remote_read_count};
    for (uint32_t i = 0; i < set->count; i++) {
        read_end *end = &ends[i];
        end->entry = &config->remote_reads[i];
        end->name = end->entry->name;
        if (end->name.len)
            continue;
        snprintf(end->name_text, sizeof end->name_text, "%06llx",
                 (unsigned long long)(sx_hash(end->entry->url, i) & 0xffffff));
        end->name = sx_str_z(end->name_text);
    }
    *out = set;
    return SX_OK;
}

static void *run_loop(void *arg)
{
    remote_reader *r = arg;
    sx_telemetry_thread_join();
    sx_loop_run(r->loop);
    sx_telemetry_thread_leave();
    return NULL;
}

/* With the first entry: most servers have none. */
static sx_status start_thread(remote_reader *r, sx_error *err)
{
    if (r->running)
        return SX_OK;
    sx_status status = r->loop ? SX_OK : sx_loop_new(r->options.clock, 0, &r->loop, err);
    if (status != SX_OK)
        return status;
    int error = pthread_create(&r->thread, NULL, run_loop, r);
    r->running = error == 0;
    return error ? sx_fail_os(err, error, "the remote reader's thread") : SX_OK;
}

sx_status remote_reader_apply(remote_reader *r, prom_config *config, sx_error *err)
{
    applying a = {.r = r};
    if (config->remote_read_count) {
        sx_status status = start_thread(r, err);
        if (status == SX_OK)
            status = set_new(r, config, &a.set, err);
        if (status != SX_OK)
            return status;
        status = sx_loop_post(r->loop, open_on_loop, &a, err);
        if (status != SX_OK) {
            set_free(a.set);
            return status;
        }
        pthread_mutex_lock(&r->lock);
        while (!a.done)
            pthread_cond_wait(&r->changed, &r->lock);
        pthread_mutex_unlock(&r->lock);
        if (a.status != SX_OK) {
            if (err)
                *err = a.err;
            return a.status;
        }
    }
    pthread_mutex_lock(&r->lock);
    read_set *old = r->set;
    r->set = a.set;
    pthread_mutex_unlock(&r->lock);
    read_set_drop(old);
    return SX_OK;
}

/* --- Life. */

sx_status remote_reader_new(const remote_reader_options *options, remote_reader **out,
                            sx_error *err)
{
    remote_reader *r = sx_calloc(1, sizeof *r);
    if (!r)
        return sx_fail_memory(err, "a remote reader");
    r->base.querier = read_querier_make;
    r->options = *options;
    if (options->kit)
        r->kit = *options->kit;
    if (!r->options.body_bytes_max)
        r->options.body_bytes_max = BODY_BYTES_MAX;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    sx_status status = metrics_init(r, err);
    if (status != SX_OK) {
        remote_reader_free(r);
        return status;
    }
    *out = r;
    return SX_OK;
}

void remote_reader_free(remote_reader *r)
{
    if (!r)
        return;
    read_set_drop(r->set);
    if (r->running) {
        sx_loop_stop(r->loop);
        pthread_join(r->thread, NULL);
    }
    if (r->loop)
        sx_loop_free(r->loop); /* runs what was posted and has not run */
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    sx_free(r);
}

tsdb_queryable *remote_reader_queryable(remote_reader *r)
{
    return &r->base;
}
