/* kit_fixture.h - a kit whose parts a test can look into: a fake clock, a registry, breakers, health and a
 * tracer whose last span can be read. */
#ifndef SEXTANT_TESTS_KIT_FIXTURE_H
#define SEXTANT_TESTS_KIT_FIXTURE_H

#include "tests/unit/base/cmocka_all.h"

#include <stdio.h>

#include <sextant/kit.h>

#include "tests/unit/telemetry/span_capture.h"

typedef struct kit_fixture {
    sx_kit kit;
    span_capture spans;
} kit_fixture;

static inline void kit_fixture_open(kit_fixture *f, const sx_clock *clock)
{
    sx_error err;
    memset(f, 0, sizeof(*f));
    sx_buf_init(&f->spans.text, 0);
    f->kit.clock = clock;
    assert_int_equal(sx_metrics_new(NULL, &f->kit.metrics, &err), SX_OK);
    assert_int_equal(sx_health_new(&(sx_health_options){.clock = clock, .metrics = f->kit.metrics},
                                   &f->kit.health, &err),
                     SX_OK);
    assert_int_equal(
        sx_breakers_new(&(sx_breakers_options){.clock = clock}, &f->kit.breakers, &err), SX_OK);
    assert_int_equal(sx_tracer_new_to(&(sx_tracer_options){.clock = clock}, &CAPTURE, &f->spans,
                                      &f->kit.tracer, &err),
                     SX_OK);
}

static inline void kit_fixture_close(kit_fixture *f)
{
    sx_tracer_free(f->kit.tracer);
    sx_breakers_free(f->kit.breakers);
    sx_health_free(f->kit.health);
    sx_metrics_free(f->kit.metrics);
    sx_buf_done(&f->spans.text);
}

/* Whether the exposition has that line. */
static inline bool kit_fixture_shows(kit_fixture *f, const char *line)
{
    sx_buf out;
    sx_error err;
    sx_buf_init(&out, 0);
    assert_int_equal(sx_metrics_write(f->kit.metrics, SX_METRICS_TEXT_004, &out, &err), SX_OK);
    sx_str text = sx_buf_view(&out);
    bool shows = sx_str_find(text, sx_str_z(line)) < text.len;
    if (!shows)
        print_message("%.*s\n", SX_ARG(text));
    sx_buf_done(&out);
    return shows;
}

typedef struct kit_fixture_checks {
    const char *name;
    int well; /* -1: there is none of that name */
} kit_fixture_checks;

static inline void kit_fixture_see(void *ctx, const sx_health_info *info)
{
    kit_fixture_checks *c = ctx;
    if (strcmp(info->name, c->name) == 0)
        c->well = info->well;
}

static inline int kit_fixture_well(kit_fixture *f, const char *name)
{
    kit_fixture_checks c = {name, -1};
    sx_health_each(f->kit.health, kit_fixture_see, &c);
    return c.well;
}

#endif
