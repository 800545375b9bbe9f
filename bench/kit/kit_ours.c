/* kit_ours.c - the kit's hot paths, as kit.go and the C++ programs beside it measure their peers': one line
 * a figure, `name library nanoseconds`, the least of several rounds. Run by bench_kit.py. */
#include <stdio.h>
#include <time.h>

#include <sextant/breaker.h>
#include <sextant/context.h>
#include <sextant/limiter.h>
#include <sextant/metrics.h>
#include <sextant/protobuf.h>
#include <sextant/random.h>
#include <sextant/trace.h>

#include "telemetry/tracer.h"

enum { ROUNDS = 7, KEYS = 64, BATCH_BYTES = 262144, FRAME_BYTES = 8 };

/* CPU time of the process, as the peers are measured: see bench_kit.py. */
static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct {
    sx_counter *counter;
    sx_histogram *histogram;
    sx_tracer *all, *none;
    sx_breaker *breaker;
    sx_limiter *limiter;
    sx_uuid_source ids;
    char keys[KEYS][16];
    uint64_t sink; /* results go here, so that no compiler drops the work */
} kit;

/* ---- the exporter's side of spans: batches of ExportTraceServiceRequest's innermost list ---- */

static struct {
    char bytes[BATCH_BYTES];
    size_t len;
    uint64_t exported;
} batch;

static char *batch_room(void *to, size_t bytes)
{
    (void)to;
    if (sizeof(batch.bytes) - batch.len < bytes + FRAME_BYTES) {
        batch.exported += batch.len;
        batch.len = 0;
    }
    return batch.bytes + batch.len + FRAME_BYTES;
}

/* Puts tag and length in front, as ScopeSpans has its spans. */
static void batch_commit(void *to, size_t bytes)
{
    (void)to;
    char frame[16];
    char *end = sx_pb_put_varint(frame, 2 << 3 | SX_PB_BYTES);
    end = sx_pb_put_varint(end, bytes);
    char *at = batch.bytes + batch.len;
    memcpy(at, frame, (size_t)(end - frame));
    memmove(at + (end - frame), at + FRAME_BYTES, bytes);
    batch.len += (size_t)(end - frame) + bytes;
}

/* ---- one call each ---- */

static void count(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        sx_counter_add(kit.counter, 1);
}

static void observe(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        sx_histogram_observe(kit.histogram, (double)(i & 1023) * 0.001);
}

typedef struct request {
    sx_str traceparent, tracestate;
} request;

static sx_str get_field(const void *carrier, sx_str name)
{
    const request *r = carrier;
    return name.len == 11 ? r->traceparent : r->tracestate;
}

static void propagate(uint64_t n)
{
    static const request CARRIER = {
        SX_STR_INIT("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
        SX_STR_INIT("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")};
    for (uint64_t i = 0; i < n; i++) {
        char id[SX_UUID_BYTES], room[SX_INJECT_BYTES];
        sx_span_context parent;
        sx_span span;
        sx_inject_field fields[SX_INJECT_FIELDS];
        sx_uuid7(&kit.ids, id);
        sx_trace_extract(SX_PROPAGATE_W3C, get_field, &CARRIER, &parent);
        sx_span_start(&span, kit.none,
                      &(sx_span_options){.name = SX_STR("call"), .parent = &parent});
        kit.sink += sx_trace_inject(SX_PROPAGATE_W3C, &span.context, SX_STR(""), fields, room);
        sx_span_end(&span);
        __asm__ volatile("" : : "r"(room), "r"(id) : "memory");
    }
}

static void export_spans(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        sx_span span;
        sx_span_start(
            &span, kit.all,
            &(sx_span_options){.name = SX_STR("GET /orders/:id"), .kind = SX_SPAN_SERVER});
        SX_SPAN_SET(&span, sx_field_str("http.request.method", SX_STR("GET")),
                    sx_field_str("http.route", SX_STR("/orders/:id")),
                    sx_field_i64("http.response.status_code", 200));
        sx_span_end(&span);
    }
}

static void ask_breaker(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        sx_breaker_pass pass;
        if (sx_breaker_allow(kit.breaker, &pass))
            sx_breaker_done(kit.breaker, &pass, true);
    }
}

static void ask_limiter(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        kit.sink += sx_limiter_take(kit.limiter, SX_STR("192.0.2.1"), 1, NULL);
}

static void ask_limiter_by_key(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        kit.sink += sx_limiter_take(kit.limiter, sx_str_of(kit.keys[i % KEYS], 16), 1, NULL);
}

static void measure(const char *name, void (*work)(uint64_t n), uint64_t n)
{
    int64_t best = INT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = now_ns();
        work(n);
        int64_t took = now_ns() - start;
        best = took < best ? took : best;
    }
    printf("%s libsextant %.2f\n", name, (double)best / (double)n);
}

/* ---- setting up ---- */

static void make_metrics(void)
{
    static const char *const LABELS[] = {"code"};
    sx_metrics *metrics;
    sx_metric *requests, *seconds;
    sx_metric_options o = {.kind = SX_METRIC_COUNTER,
                           .name = "requests_total",
                           .help = "Requests.",
                           .labels = LABELS,
                           .label_count = 1};
    sx_assert(sx_metrics_new(NULL, &metrics, NULL) == SX_OK);
    sx_assert(sx_metric_new(metrics, &o, &requests, NULL) == SX_OK);
    o.kind = SX_METRIC_HISTOGRAM;
    o.name = "request_seconds";
    sx_assert(sx_metric_new(metrics, &o, &seconds, NULL) == SX_OK);
    kit.counter = sx_metric_counter(requests, &SX_STR("200"), 1);
    kit.histogram = sx_metric_histogram(seconds, &SX_STR("200"), 1);
}

static void make_tracers(void)
{
    static const sx_span_sink SINK = {batch_room, batch_commit};
    sx_tracer_options all = {.sampling = {.ratio_set = true, .ratio = 1}};
    sx_tracer_options none = {.sampling = {.ratio_set = true, .ratio = 0}};
    sx_assert(sx_tracer_new_to(&all, &SINK, NULL, &kit.all, NULL) == SX_OK);
    sx_assert(sx_tracer_new_to(&none, &SINK, NULL, &kit.none, NULL) == SX_OK);
}

static void make_decisions(void)
{
    sx_breakers *breakers;
    sx_limiter_options o = {.rates = {{.count = 1000000000, .period_ms = 1000}}, .rate_count = 1};
    sx_assert(sx_breakers_new(NULL, &breakers, NULL) == SX_OK);
    kit.breaker = sx_breakers_get(breakers, SX_STR("redis"), NULL);
    sx_assert(sx_limiter_new(&o, &kit.limiter, NULL) == SX_OK);
    for (int i = 0; i < KEYS; i++)
        snprintf(kit.keys[i], sizeof(kit.keys[i]), "192.0.2.%07d", i);
}

int main(void)
{
    sx_telemetry_thread_join();
    sx_uuid_source_init(&kit.ids, sx_clock_system());
    make_metrics();
    make_tracers();
    make_decisions();
    measure("counter_increment", count, 20000000);
    measure("histogram_observe", observe, 10000000);
    measure("request_id_and_trace_context", propagate, 300000);
    measure("span_to_exported_bytes", export_spans, 300000);
    measure("breaker_decision", ask_breaker, 3000000);
    measure("limiter_decision", ask_limiter, 3000000);
    measure("limiter_decision_by_key", ask_limiter_by_key, 3000000);
    return batch.exported == 0 || kit.sink == 0;
}
