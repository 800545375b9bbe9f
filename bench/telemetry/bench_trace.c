/* bench_trace.c - what tracing costs a request.
 *
 * Budgets: parse and write a trace context and make an id 200 ns; a span with three attributes from
 * start to encoded bytes 500 ns; one that is not sampled 60 ns. Spans go to a sink that only gives
 * memory, as an exporter's lane does. The best of several rounds counts: the others were disturbed. */
#include <stdio.h>

#include <sextant/context.h>

#include "telemetry/semconv.h"
#include "telemetry/tracer.h"

enum { LOOPS = 2000, ROUNDS = 900 }; /* short rounds: some of them run undisturbed */

static int64_t now_ns(void)
{
    return sx_clock_mono_ns(sx_clock_system());
}

static size_t committed;

static char *lane_room(void *to, size_t bytes)
{
    static char room[65536];
    (void)to;
    sx_assert(bytes < sizeof(room));
    return room;
}

static void lane_commit(void *to, size_t bytes)
{
    (void)to;
    committed += bytes;
}

typedef struct request {
    sx_str traceparent, tracestate;
} request;

static sx_str get_field(const void *carrier, sx_str name)
{
    const request *r = carrier;
    return name.len == 11 ? r->traceparent : r->tracestate;
}

/* What a request costs that is passed on: its context read, a span of its own, the fields of the
 * call it makes. */
static void propagate(sx_tracer *tracer)
{
    static const request CARRIER = {
        SX_STR_INIT("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
        SX_STR_INIT("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")};
    sx_span_context c;
    sx_inject_field fields[SX_INJECT_FIELDS];
    char room[SX_INJECT_BYTES];
    sx_trace_extract(SX_PROPAGATE_W3C, get_field, &CARRIER, &c);
    sx_tracer_ids(tracer, NULL, c.span_id);
    committed += sx_trace_inject(SX_PROPAGATE_W3C, &c, SX_STR(""), fields, room);
    __asm__ volatile("" : : "r"(room) : "memory");
}

static void span_of_three(sx_tracer *tracer)
{
    sx_span span;
    sx_span_start(&span, tracer,
                  &(sx_span_options){.name = SX_STR("GET /orders/:id"), .kind = SX_SPAN_SERVER});
    SX_SPAN_SET(&span, sx_field_str(SX_ATTR_HTTP_REQUEST_METHOD, SX_STR("GET")),
                sx_field_str(SX_ATTR_HTTP_ROUTE, SX_STR("/orders/:id")),
                sx_field_i64(SX_ATTR_HTTP_RESPONSE_STATUS_CODE, 200));
    sx_span_end(&span);
    __asm__ volatile("" : : "r"(&span) : "memory");
}

static void enter_and_leave(sx_tracer *tracer)
{
    static const sx_context c = {.priority = SX_PRIORITY_NORMAL};
    (void)tracer;
    const sx_context *outer = sx_context_enter(&c);
    __asm__ volatile("" : : : "memory");
    sx_context_leave(outer);
}

static void measure(const char *name, void (*work)(sx_tracer *), sx_tracer *tracer)
{
    int64_t best = INT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = now_ns();
        for (int i = 0; i < LOOPS; i++)
            work(tracer);
        int64_t took = now_ns() - start;
        best = took < best ? took : best;
    }
    printf("%s %.1f ns\n", name, (double)best / LOOPS);
}

static sx_tracer *tracer_of(double ratio)
{
    static const sx_span_sink SINK = {lane_room, lane_commit};
    sx_tracer *t;
    sx_tracer_options o = {.sampling = {.ratio_set = true, .ratio = ratio}};
    sx_assert(sx_tracer_new_to(&o, &SINK, NULL, &t, NULL) == SX_OK);
    return t;
}

int main(void)
{
    sx_tracer *all = tracer_of(1), *none = tracer_of(0);
    sx_telemetry_thread_join();
    measure("trace_context_parse_and_emit", propagate, all);
    measure("span_three_attributes", span_of_three, all);
    measure("span_not_sampled", span_of_three, none);
    measure("context_enter_leave", enter_and_leave, all);
    sx_telemetry_thread_leave();
    measure("span_three_attributes_not_joined", span_of_three, all);
    sx_tracer_free(all);
    sx_tracer_free(none);
    return committed == 0;
}
