/* store_fixture.c - opens, dumps and removes a database. */
#include "tests/unit/observe/scrape/store_fixture.h"

#include "tests/unit/base/cmocka_all.h"

#include <sextant/mem.h>

void store_open(store_fixture *f, const sx_clock *clock)
{
    sx_error err = {0};
    tsdb_options o = {.clock = clock, .fsync = TSDB_FSYNC_NONE, .shards = 2};
    assert_int_equal(temp_folder_make(&f->folder), 0);
    if (tsdb_open(in_folder(&f->folder, "data"), &o, &f->db, &err) != SX_OK)
        fail_msg("%s", err.message);
}

void store_close(store_fixture *f)
{
    tsdb_close(f->db);
    folder_remove(f->folder.path);
}

static void dump_series(tsdb_querier *q, const tsdb_series *s, int64_t base, sx_buf *out)
{
    tsdb_columns c;
    sx_arena arena;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    tsdb_labels_print_series(s->labels, out, NULL);
    if (q->ops->read(q, s, INT64_MIN, INT64_MAX, &c, &err) != SX_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < c.count; i++) {
        sx_buf_byte(out, ' ');
        if (c.h && c.h[i] && tsdb_is_stale(c.h[i]->sum))
            sx_buf_str(out, SX_STR("stale"));
        else if (c.h && c.h[i])
            tsdb_histogram_print(c.h[i], out, NULL);
        else if (tsdb_is_stale(c.v[i]))
            sx_buf_str(out, SX_STR("stale"));
        else
            sx_buf_printf(out, "%g", c.v[i]);
        sx_buf_printf(out, "@%lld", (long long)(c.t[i] - base));
    }
    sx_buf_byte(out, '\n');
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
}

void store_dump(store_fixture *f, const char *names, int64_t base, sx_buf *out)
{
    tsdb_queryable *from = tsdb_queryable_of(f->db);
    tsdb_querier *q;
    tsdb_selection sel;
    tsdb_matcher m;
    sx_arena arena;
    sx_error err = {0};
    tsdb_hints hints = {.min_t = INT64_MIN, .max_t = INT64_MAX, .sorted = true};
    sx_arena_init(&arena, 0, 0);
    sx_buf_clear(out);
    assert_int_equal(
        tsdb_matcher_init(&m, TSDB_MATCH_REGEX, TSDB_METRIC_NAME, sx_str_z(names), &err), SX_OK);
    if (from->querier(from, INT64_MIN, INT64_MAX, &q, &err) != SX_OK ||
        q->ops->select(q, &hints, &m, 1, &arena, &sel, NULL, &err) != SX_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < sel.count; i++) {
        sx_str name = tsdb_labels_get(sel.items[i].labels, TSDB_METRIC_NAME);
        if (!sx_str_eq(name, SX_STR("scrape_duration_seconds")))
            dump_series(q, &sel.items[i], base, out);
    }
    q->ops->free(q);
    tsdb_matcher_done(&m);
    sx_arena_done(&arena);
    sx_buf_byte(out, 0);
}
