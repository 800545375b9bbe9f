/* derive_fixture.h - a metric store in a folder of its own, a clock that stands still, and spans. */
#ifndef TESTS_DERIVE_FIXTURE_H
#define TESTS_DERIVE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "observe/collector/derive.h"
#include "observe/tsdb/db.h"

enum { START_MS_DAY = 1700000000 };

typedef struct fixture {
    sx_fake_clock clock;
    char dir[64];
    tsdb *db;
    derive_host host;
} fixture;

static inline void fixture_open(fixture *f)
{
    sx_error err = {0};
    sx_fake_clock_init(&f->clock, (int64_t)START_MS_DAY * 1000);
    snprintf(f->dir, sizeof(f->dir), "/tmp/sx-derive-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    tsdb_options options = {.clock = &f->clock.clock};
    assert_int_equal(tsdb_open(f->dir, &options, &f->db, &err), SX_OK);
    /* Waits for the replay, whose thread would meet the allocations that a test makes fail. */
    assert_int_equal(tsdb_maintain(f->db, &err), SX_OK);
    f->host = (derive_host){
        .store = tsdb_appendable_of(f->db), .clock = &f->clock.clock, .id = SX_STR("test")};
}

static inline void fixture_close(fixture *f)
{
    char command[96];
    tsdb_close(f->db);
    snprintf(command, sizeof(command), "rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
}

typedef struct found {
    size_t count; /* samples */
    double first, last;
    int64_t first_ms, last_ms;
    bool histogram;
    tsdb_histogram h; /* the last one; in the arena */
    size_t series;    /* of the store */
} found;

/* What the store has of the series that prints as `text`. */
static inline found look(fixture *f, sx_arena *arena, const char *text)
{
    sx_error err = {0};
    tsdb_querier *q;
    tsdb_selection all = {0};
    found out = {.first = -1, .last = -1};
    tsdb_matcher m;
    tsdb_queryable *from = tsdb_queryable_of(f->db);
    assert_int_equal(
        tsdb_matcher_init(&m, TSDB_MATCH_NOT_EQUAL, TSDB_METRIC_NAME, SX_STR(""), &err), SX_OK);
    assert_int_equal(from->querier(from, 0, INT64_MAX, &q, &err), SX_OK);
    tsdb_hints hints = {.min_t = 0, .max_t = INT64_MAX, .sorted = true};
    assert_int_equal(q->ops->select(q, &hints, &m, 1, arena, &all, NULL, &err), SX_OK);
    out.series = all.count;
    for (size_t i = 0; i < all.count; i++) {
        sx_buf name;
        tsdb_columns c;
        sx_buf_init(&name, 0);
        assert_int_equal(tsdb_labels_print_series(all.items[i].labels, &name, &err), SX_OK);
        if (getenv("DERIVE_SHOW"))
            printf("%.*s\n", (int)name.len, name.data);
        if (sx_str_eq(sx_buf_view(&name), sx_str_z(text))) {
            tsdb_columns_init(&c, arena);
            assert_int_equal(q->ops->read(q, &all.items[i], 0, INT64_MAX, &c, &err), SX_OK);
            out.count = c.count;
            if (c.count) {
                out.first = c.v[0];
                out.last = c.v[c.count - 1];
                out.first_ms = c.t[0];
                out.last_ms = c.t[c.count - 1];
                out.histogram = c.h && c.h[c.count - 1];
                if (out.histogram)
                    out.h = *c.h[c.count - 1];
            }
            tsdb_columns_done(&c);
        }
        sx_buf_done(&name);
    }
    q->ops->free(q);
    tsdb_matcher_done(&m);
    return out;
}

static inline double last_of(fixture *f, const char *text)
{
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    double v = look(f, &arena, text).last;
    sx_arena_done(&arena);
    return v;
}

/* --- Spans. */

typedef struct made {
    span_batch *batch;
    span_scope scope;
    span_resource resource;
} made;

static inline void made_init(made *m, const char *service)
{
    memset(m, 0, sizeof(*m));
    m->batch = span_batch_new(0);
    assert_non_null(m->batch);
    m->resource.service = sx_str_z(service);
}

static inline span *add_span(made *m, const char *name, span_kind kind, uint64_t ms, uint8_t trace,
                             uint8_t id, uint8_t parent)
{
    span *s = span_batch_add(m->batch);
    assert_non_null(s);
    memset(s->trace_id, trace, sizeof(s->trace_id));
    memset(s->id, id, sizeof(s->id));
    memset(s->parent, parent, sizeof(s->parent));
    s->start_ns = (uint64_t)START_MS_DAY * 1000000000;
    s->end_ns = s->start_ns + ms * 1000000;
    s->name = sx_str_z(name);
    s->kind = (uint8_t)kind;
    s->resource = &m->resource;
    s->scope = &m->scope;
    return s;
}

#define TEXT_ATTR(k, v)                                                                            \
    {                                                                                              \
        .key = (k), .key_len = sizeof(k) - 1, .value = { {.data = (v)}, sizeof(v) - 1, SPAN_STR }  \
    }
#define INT_ATTR(k, v)                                                                             \
    {                                                                                              \
        .key = (k), .key_len = sizeof(k) - 1, .value = { {.i = (v)}, 0, SPAN_INT }                 \
    }
#define ATTRS(list) ((span_attrs){(list), SX_COUNT_OF(list), 0})

#endif
