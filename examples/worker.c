/* worker.c - a thread that works off jobs, with spans, metrics and logs and no event loop.
 *
 *     worker 1 2 3 oops 5
 *     OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 worker 1 2 3
 *
 * Each argument is a job: a number to square. The main thread puts them in line, each in a span of its
 * own; the worker's span for it has that as its parent, and so do the worker's log lines (stderr). At
 * the end the metrics are shown (stdout). */
#include <pthread.h>
#include <stdio.h>

#include <sextant/context.h>
#include <sextant/telemetry.h>

enum { LINE_MAX = 64 };

typedef struct job {
    sx_str text;
    sx_span_context asked_by; /* a context is a value: it travels with the work */
} job;

typedef struct worker {
    pthread_mutex_t lock; /* guards the line */
    pthread_cond_t changed;
    job line[LINE_MAX];
    size_t put, taken; /* counts; the difference is what waits */
    bool closed;       /* nothing more will be put */

    sx_tracer *tracer;
    sx_logger *logger;
    const sx_clock *clock;
    sx_histogram *seconds; /* handles, resolved once */
    sx_counter *done, *failed;
} worker;

static bool take(worker *w, job *out)
{
    pthread_mutex_lock(&w->lock);
    while (w->put == w->taken && !w->closed)
        pthread_cond_wait(&w->changed, &w->lock);
    bool got = w->put != w->taken;
    if (got)
        *out = w->line[w->taken++ % LINE_MAX];
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    return got;
}

static void put(worker *w, job what)
{
    pthread_mutex_lock(&w->lock);
    while (w->put - w->taken == LINE_MAX)
        pthread_cond_wait(&w->changed, &w->lock);
    w->line[w->put++ % LINE_MAX] = what;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void close_line(worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->closed = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void square(worker *w, sx_span *span, sx_str text)
{
    uint64_t number;
    if (!sx_str_to_u64(text, &number) || number > UINT32_MAX) {
        sx_span_error(span, SX_STR("not_a_number"), text);
        sx_counter_add(w->failed, 1);
        SX_LOG_WARN(w->logger, NULL, "job refused", sx_field_str("job", text));
        return;
    }
    SX_SPAN_SET(span, sx_field_u64("job.number", number));
    sx_counter_add(w->done, 1);
    /* NULL: the line gets the trace and span of the current context. */
    SX_LOG_INFO(w->logger, NULL, "job done", sx_field_u64("square", number * number));
}

static void *work(void *arg)
{
    worker *w = arg;
    job j;
    sx_telemetry_thread_join(); /* memory of its own to write to: nothing here takes a lock */
    while (take(w, &j)) {
        sx_span span;
        int64_t begin_ns = sx_clock_mono_ns(w->clock);
        sx_span_start(&span, w->tracer,
                      &(sx_span_options){.name = SX_STR("square"),
                                         .kind = SX_SPAN_CONSUMER,
                                         .parent = &j.asked_by});
        sx_context here = {.span = span.context};
        const sx_context *outer = sx_context_enter(&here); /* what starts now is its child */
        square(w, &span, j.text);
        sx_context_leave(outer);
        sx_span_end(&span);
        sx_histogram_observe(w->seconds, (double)(sx_clock_mono_ns(w->clock) - begin_ns) * 1e-9);
    }
    sx_telemetry_thread_leave();
    return NULL;
}

static sx_status add_metrics(worker *w, sx_metrics *metrics, sx_error *err)
{
    static const char *const OUTCOME[] = {"outcome"};
    static const double BOUNDS[] = {1e-6, 1e-5, 1e-4, 1e-3, 1e-2};
    sx_metric *jobs, *seconds;
    sx_status status = sx_metric_new(metrics,
                                     &(sx_metric_options){.kind = SX_METRIC_COUNTER,
                                                          .name = "jobs_total",
                                                          .help = "Jobs worked off.",
                                                          .labels = OUTCOME,
                                                          .label_count = 1},
                                     &jobs, err);
    if (status == SX_OK)
        status = sx_metric_new(metrics,
                               &(sx_metric_options){.kind = SX_METRIC_HISTOGRAM,
                                                    .name = "job_duration_seconds",
                                                    .help = "Time that a job took.",
                                                    .bounds = BOUNDS,
                                                    .bound_count = SX_COUNT_OF(BOUNDS)},
                               &seconds, err);
    if (status != SX_OK)
        return status;
    w->done = sx_metric_counter(jobs, &SX_STR("done"), 1);
    w->failed = sx_metric_counter(jobs, &SX_STR("failed"), 1);
    w->seconds = sx_metric_histogram(seconds, NULL, 0);
    return SX_OK;
}

static void put_all(worker *w, char **jobs)
{
    for (; *jobs; jobs++) {
        sx_span span;
        sx_span_start(&span, w->tracer,
                      &(sx_span_options){.name = SX_STR("ask"), .kind = SX_SPAN_PRODUCER});
        put(w, (job){.text = sx_str_z(*jobs), .asked_by = span.context});
        sx_span_end(&span);
    }
    close_line(w);
}

int main(int argc, char **argv)
{
    (void)argc;
    worker w = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    sx_telemetry *t;
    sx_error err;
    pthread_t thread;
    if (sx_telemetry_new(&(sx_telemetry_options){.service = "worker", .version = "1.0.0"}, &t,
                         &err) != SX_OK) {
        fprintf(stderr, "worker: %s\n", err.message);
        return 1;
    }
    w.tracer = sx_telemetry_tracer(t);
    w.logger = sx_log_logger(sx_telemetry_log(t), "jobs");
    w.clock = sx_clock_system();
    sx_status status = add_metrics(&w, sx_telemetry_metrics(t), &err);
    if (status == SX_OK && pthread_create(&thread, NULL, work, &w) != 0)
        status = sx_fail(&err, SX_ENOMEM, "no thread can be had");
    if (status == SX_OK) {
        put_all(&w, argv + 1);
        pthread_join(thread, NULL);
        sx_buf text;
        sx_buf_init(&text, 0);
        status = sx_metrics_write(sx_telemetry_metrics(t), SX_METRICS_TEXT_004, &text, &err);
        fwrite(text.data, 1, text.len, stdout);
        sx_buf_done(&text);
    }
    if (status != SX_OK)
        fprintf(stderr, "worker: %s\n", err.message);
    sx_telemetry_free(t, 2000); /* waits at most 2 s for the receiver of the spans */
    return status == SX_OK ? 0 : 1;
}
