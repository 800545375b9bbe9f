/* export_fixture.h - an exporter whose loop is turned by hand, on a fake clock, with a driver that notes
 * what it is given and answers as the test says. */
#ifndef TESTS_EXPORT_FIXTURE_H
#define TESTS_EXPORT_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/base/cmocka_all.h"

#include <sextant/mem.h>

#include "observe/collector/exporter_internal.h"
#include "tests/unit/observe/spans/sample.h"

enum { START_MS = 1000000, NOTED_MAX = 256 };

/* What the driver does with a request. The test's process has one exporter at a time. */
typedef struct noted {
    unsigned sends;            /* calls of send */
    size_t entries[NOTED_MAX]; /* batches of each */
    uint64_t spans[NOTED_MAX]; /* spans of each */
    export_end end;            /* how the next ones end */
    size_t bad_spans;          /* requests with more spans than this end as `end`, others well */
    bool hold;                 /* they stay under way */
    export_request *held[NOTED_MAX]; /* those */
    unsigned held_count, cancelled;
    bool refuse_send; /* send itself fails */
} noted;

static noted note;

static sx_status fake_send(export_request *r, sx_error *err)
{
    assert_true(note.sends < NOTED_MAX);
    note.entries[note.sends] = r->entry_count;
    note.spans[note.sends++] = r->spans;
    if (note.refuse_send)
        return sx_fail(err, SX_ENOMEM, "no memory");
    if (note.hold)
        note.held[note.held_count++] = r;
    else
        export_over(r, r->spans > note.bad_spans ? &note.end : &(export_end){.kind = EXPORT_DONE});
    return SX_OK;
}

static void fake_cancel(export_request *r)
{
    (void)r;
    note.cancelled++;
}

static const export_driver FAKE = {.name = "fake", .send = fake_send, .cancel = fake_cancel};

typedef struct fixture {
    sx_fake_clock clock;
    sx_metrics *metrics;
    sx_kit kit;
    exporter_settings settings;
    span_exporter *e;
    sx_error err;
} fixture;

static inline void fixture_init(fixture *f)
{
    memset(f, 0, sizeof(*f));
    note = (noted){.bad_spans = SIZE_MAX};
    sx_fake_clock_init(&f->clock, 1700000000000);
    assert_int_equal(sx_metrics_new(NULL, &f->metrics, &f->err), SX_OK);
    f->kit.metrics = f->metrics;
    f->settings = (exporter_settings){
        .id = {SX_STR("otlp"), SX_STR("otlp/test"), 7},
        .retry = {true, 5000, 30000, 300000, 1.5, 0},
        .queue = {.enabled = true, .size = 10, .consumers = 2, .sizer = SX_STR("requests")}};
}

static inline void fixture_open(fixture *f)
{
    const span_exporter_host host = {&f->kit, &f->clock.clock};
    assert_int_equal(export_make(&f->settings, &host, &FAKE, false, &f->e, &f->err), SX_OK);
}

static inline void fixture_close(fixture *f)
{
    span_exporter_free(f->e, 0);
    sx_metrics_free(f->metrics);
}

static inline void turn(fixture *f, int64_t ms)
{
    sx_fake_clock_advance(&f->clock, ms);
    for (int i = 0; i < 3; i++)
        sx_loop_turn(f->e->loop);
}

/* A batch of `spans` copies of the sample's first span. */
static inline span_batch *batch_of(size_t spans)
{
    sx_error err;
    span_batch *b = span_batch_new(0);
    assert_non_null(b);
    for (size_t i = 0; i < spans; i++)
        assert_int_equal(span_batch_put(b, &SAMPLE_SPANS[0], &err), SX_OK);
    return b;
}

static inline sx_status give(fixture *f, size_t spans)
{
    span_batch *b = batch_of(spans);
    span_sink sink = span_exporter_sink(f->e);
    sx_status status = sink.take(sink.ctx, b, &f->err);
    span_batch_unref(b);
    return status;
}

/* The value of a series of the exposition, 0 if it is not there. */
static inline double metric_of(fixture *f, const char *series)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    assert_int_equal(sx_metrics_write(f->metrics, SX_METRICS_TEXT_004, &text, &f->err), SX_OK);
    sx_buf_byte(&text, '\0');
    const char *at = strstr(text.data, series);
    double value = at ? strtod(at + strlen(series), NULL) : 0;
    sx_buf_done(&text);
    return value;
}

#endif
