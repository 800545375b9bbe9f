/* fixture.h - a database in a folder of its own, a writer into it, and buffers to make requests in:
 * for the tests of observe/remote. */
#ifndef TESTS_OBSERVE_REMOTE_FIXTURE_H
#define TESTS_OBSERVE_REMOTE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "observe/remote/remote.h"
#include "observe/tsdb/db.h"
#include "tests/unit/observe/remote/wire.h"

enum { NOW = 1700000000 };
#define NOW_MS (NOW * INT64_C(1000))

typedef struct fixture {
    char dir[64];
    sx_fake_clock clock;
    tsdb *db;
    remote_writer *w;
    sx_buf plain, packed, messages;
    remote_written out;
    sx_error err;
    sx_arena arena;
} fixture;

static inline int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/sx-remote-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    sx_fake_clock_init(&f->clock, NOW_MS);
    tsdb_options options = {.clock = &f->clock.clock, .retention_ms = INT64_MAX};
    assert_int_equal(tsdb_open(f->dir, &options, &f->db, &f->err), SX_OK);
    remote_limits limits = {.clock = &f->clock.clock};
    assert_int_equal(remote_writer_new(tsdb_appendable_of(f->db), &limits, &f->w, &f->err), SX_OK);
    sx_buf_init(&f->plain, 0);
    sx_buf_init(&f->packed, 0);
    sx_buf_init(&f->messages, 0);
    sx_arena_init(&f->arena, 0, 0);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    fixture *f = *state;
    char command[128];
    remote_writer_free(f->w);
    tsdb_close(f->db);
    sx_buf_done(&f->plain);
    sx_buf_done(&f->packed);
    sx_buf_done(&f->messages);
    sx_arena_done(&f->arena);
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

typedef sx_status write_function(remote_writer *w, sx_str body, remote_written *out, sx_error *err);

/* Sends f->plain and clears it. */
static inline sx_status post(fixture *f, write_function *write)
{
    sx_buf_clear(&f->messages);
    f->out = (remote_written){.messages = &f->messages};
    sx_status status = write(f->w, wire_pack(&f->plain, &f->packed), &f->out, &f->err);
    sx_buf_clear(&f->plain);
    return status;
}

/* The samples of the one series that has the metric name. */
static inline size_t read_back(fixture *f, const char *metric, tsdb_columns *c, sx_buf *labels)
{
    tsdb_queryable *store = tsdb_queryable_of(f->db);
    tsdb_querier *q;
    tsdb_matcher m;
    tsdb_selection found;
    tsdb_hints hints = {.min_t = 0, .max_t = INT64_MAX, .sorted = true};
    assert_int_equal(store->querier(store, 0, INT64_MAX, &q, &f->err), SX_OK);
    assert_int_equal(
        tsdb_matcher_init(&m, TSDB_MATCH_EQUAL, TSDB_METRIC_NAME, sx_str_z(metric), &f->err),
        SX_OK);
    assert_int_equal(q->ops->select(q, &hints, &m, 1, &f->arena, &found, NULL, &f->err), SX_OK);
    tsdb_columns_init(c, &f->arena);
    for (size_t i = 0; i < found.count; i++) {
        if (labels)
            tsdb_labels_print(found.items[i].labels, labels, NULL);
        assert_int_equal(q->ops->read(q, &found.items[i], 0, INT64_MAX, c, &f->err), SX_OK);
    }
    q->ops->free(q);
    tsdb_matcher_done(&m);
    return found.count;
}

#endif
