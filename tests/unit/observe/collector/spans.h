/* spans.h - spans, recording exporters and one-line configurations for the tests of pipelines. */
#ifndef TESTS_COLLECTOR_SPANS_H
#define TESTS_COLLECTOR_SPANS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <pthread.h>

#include "observe/collector/collector.h"

enum { RECORDED_MAX = 64 };

/* Everything that came out of a pipeline's end. */
typedef struct recorder {
    span_batch *batches[RECORDED_MAX];
    size_t count;
    bool full;
} recorder;

static recorder RECORDER;

static sx_status record(void *ctx, span_batch *b, sx_error *err)
{
    recorder *r = ctx;
    if (r->full || r->count == RECORDED_MAX)
        return sx_fail(err, SX_ELIMIT, "full");
    r->batches[r->count++] = span_batch_ref(b);
    return SX_OK;
}

static sx_status open_recorder(const exporter_settings *settings, const span_exporter_host *host,
                               void **out, sx_error *err)
{
    (void)settings, (void)host, (void)err;
    *out = &RECORDER;
    return SX_OK;
}

static span_sink recorder_sink(void *exporter)
{
    return (span_sink){.take = record, .ctx = exporter, .keeps = true};
}

static void close_recorder(void *exporter, int64_t drain_ms)
{
    (void)exporter, (void)drain_ms;
}

static const collector_exporters RECORDERS = {open_recorder, recorder_sink, close_recorder};

static inline void recorder_clear(void)
{
    for (size_t i = 0; i < RECORDER.count; i++)
        span_batch_unref(RECORDER.batches[i]);
    RECORDER.count = 0;
}

static inline size_t recorded_spans(void)
{
    size_t all = 0;
    for (size_t i = 0; i < RECORDER.count; i++)
        all += RECORDER.batches[i]->count;
    return all;
}

static inline const span *recorded(size_t n)
{
    for (size_t i = 0; i < RECORDER.count; i++) {
        if (n < RECORDER.batches[i]->count)
            return RECORDER.batches[i]->spans[n];
        n -= RECORDER.batches[i]->count;
    }
    fail_msg("only so many spans came");
    return NULL;
}

/* A configuration with `processors` (YAML of the section, two spaces in) in one pipeline, in the order
 * of `names`: "[a, b]". */
static inline collector_settings *settings_with(const char *processors, const char *names)
{
    char text[8192];
    sx_error err = {0};
    collector_settings *s = NULL;
    snprintf(text, sizeof(text),
             "receivers: {otlp: {protocols: {grpc: }}}\nexporters: {nop: }\n"
             "processors:\n%s\nservice:\n  pipelines:\n    traces: {receivers: [otlp], "
             "processors: %s, exporters: [nop]}\n",
             processors, names);
    if (collector_settings_parse(sx_str_z(text), SX_STR("c.yml"), NULL, &s, NULL, &err) != SX_OK)
        fail_msg("%s", err.message);
    return s;
}

/* One pipeline that runs in the test's own thread, on a clock moved by hand. */
typedef struct pipe_fixture {
    sx_fake_clock clock;
    collector *c;
    span_sink sink;
} pipe_fixture;

static inline void pipe_open(pipe_fixture *f, const char *processors, const char *names)
{
    sx_error err = {0};
    collector_settings *s = settings_with(processors, names);
    sx_fake_clock_init(&f->clock, 1700000000000);
    collector_host host = {.clock = &f->clock.clock, .exporters = &RECORDERS, .no_threads = true};
    RECORDER.full = false;
    recorder_clear();
    if (collector_new(s, &host, &f->c, &err) != SX_OK)
        fail_msg("%s", err.message);
    collector_settings_unref(s);
    assert_int_equal(collector_sink(f->c, SX_STR("otlp"), "grpc", &f->sink, &err), SX_OK);
}

static inline void pipe_close(pipe_fixture *f)
{
    collector_free(f->c);
    recorder_clear();
}

/* Gives a batch to the pipeline and runs it; the batch is let go. */
static inline void pipe_send(pipe_fixture *f, span_batch *b)
{
    sx_error err = {0};
    assert_int_equal(f->sink.take(f->sink.ctx, b, &err), SX_OK);
    span_batch_unref(b);
    collector_run(f->c);
}

/* A span called `name` of `service`, in trace number `trace`, of 10 ms. */
static inline span *add_span(span_batch *b, const char *service, const char *name, uint8_t trace)
{
    static const span_scope SCOPE = {.name = SX_STR_INIT("scope"), .version = SX_STR_INIT("1.0")};
    span_resource *r = sx_arena_calloc(&b->arena, 1, sizeof(*r));
    span_attr *a = sx_arena_calloc(&b->arena, 1, sizeof(*a));
    span *s = span_batch_add(b);
    assert_true(r && a && s);
    *a =
        (span_attr){.key = "service.name",
                    .key_len = 12,
                    .value = {.data = service, .len = (uint32_t)strlen(service), .type = SPAN_STR}};
    r->attrs = (span_attrs){.items = a, .count = 1};
    r->service = sx_str_z(service);
    s->resource = r;
    s->scope = &SCOPE;
    s->name = sx_str_z(name);
    s->kind = SPAN_SERVER;
    s->trace_id[0] = trace;
    s->trace_id[15] = (uint8_t)(trace * 37);
    s->id[7] = (uint8_t)(b->count);
    s->start_ns = UINT64_C(1700000000000000000);
    s->end_ns = s->start_ns + 10000000;
    return s;
}

/* Gives a span one more attribute. */
static inline void add_attr(span_batch *b, span *s, const char *key, span_value value)
{
    span_attr *items = sx_arena_calloc(&b->arena, s->attrs.count + 1, sizeof(*items));
    assert_non_null(items);
    for (uint32_t i = 0; i < s->attrs.count; i++)
        items[i] = s->attrs.items[i];
    items[s->attrs.count] =
        (span_attr){.key = key, .key_len = (uint32_t)strlen(key), .value = value};
    s->attrs.items = items;
    s->attrs.count++;
}

static inline span_value text_value(const char *text)
{
    return (span_value){.data = text, .len = (uint32_t)strlen(text), .type = SPAN_STR};
}

static inline span_value int_value(int64_t i)
{
    return (span_value){.i = i, .type = SPAN_INT};
}

/* All attributes as text: "a=1 b=x". */
static inline const char *attrs_text(span_attrs attrs)
{
    static char text[4096];
    sx_buf buf;
    sx_buf_init(&buf, 0);
    for (uint32_t i = 0; i < attrs.count; i++) {
        if (i)
            sx_buf_byte(&buf, ' ');
        sx_buf_str(&buf, span_attr_key(&attrs.items[i]));
        sx_buf_byte(&buf, '=');
        span_value_text(&attrs.items[i].value, &buf);
    }
    snprintf(text, sizeof(text), "%.*s", SX_ARG(sx_buf_view(&buf)));
    sx_buf_done(&buf);
    return text;
}

/* --- Settings that are refused. */

typedef struct refused_settings {
    const char *text, *expected; /* words of the message */
} refused_settings;

/* Each text between `before` and `after`, within a configuration that is right but for it. `place` is in
 * each message, too. */
static inline void assert_refused(const refused_settings *all, size_t count, const char *before,
                                  const char *after, const char *place)
{
    for (size_t i = 0; i < count; i++) {
        char text[1024];
        collector_settings *s = NULL;
        sx_error err = {0};
        snprintf(text, sizeof(text),
                 "receivers: {zipkin: }\nexporters: {nop: }\nprocessors:%s%s%s\nservice: "
                 "{pipelines: {traces: {receivers: [zipkin], exporters: [nop]}}}\n",
                 before, all[i].text, after);
        sx_status st =
            collector_settings_parse(sx_str_z(text), SX_STR("c.yml"), NULL, &s, NULL, &err);
        if (st != SX_EFORMAT || !strstr(err.message, all[i].expected) ||
            !strstr(err.message, place))
            fail_msg("%s: %d \"%s\"", all[i].text, st, err.message);
    }
}

#endif
