/* test_wal_tail.c - a log followed while it is written: every record once, in order. */
#include <stdio.h>

#include <sextant/mem.h>

#include "base/fault.h"
#include "observe/tsdb/wal.h"
#include "tests/unit/base/cmocka_all.h"
#include "tests/unit/base/temp_folder.h"

enum { RECORD_MAX = 200000 };

static int set_up(void **state)
{
    temp_folder *f = sx_calloc(1, sizeof *f);
    *state = f;
    return temp_folder_make(f);
}

static int tear_down(void **state)
{
    temp_folder *f = *state;
    folder_remove(f->path);
    sx_free(f);
    return 0;
}

static sx_str make_record(size_t i, char *bytes)
{
    static const size_t LENS[] = {1, 7, 100, 32761, 32754, 5000, 3, 150000};
    size_t len = LENS[i % SX_COUNT_OF(LENS)];
    for (size_t k = 0; k < len; k++)
        bytes[k] = (char)((k * 2654435761u + i) >> 13);
    return sx_str_of(bytes, len);
}

static void write_record(tsdb_wal *w, size_t i)
{
    static char bytes[RECORD_MAX];
    tsdb_wal_batch b;
    sx_error err = {0};
    tsdb_wal_batch_init(&b);
    assert_int_equal(tsdb_wal_batch_add(&b, w, make_record(i, bytes), &err), SX_OK);
    assert_int_equal(tsdb_wal_write(w, &b, &err), SX_OK);
    tsdb_wal_batch_done(&b);
}

static tsdb_wal *open_log(const char *dir, uint64_t segment_bytes)
{
    tsdb_wal *w;
    sx_error err = {0};
    tsdb_wal_options options = {.segment_bytes = segment_bytes, .packing = TSDB_WAL_PLAIN};
    assert_int_equal(tsdb_wal_open(dir, 1, &options, &w, &err), SX_OK);
    return w;
}

static void open_tail(tsdb_wal_tail *t, const char *dir, uint32_t segment, uint64_t offset)
{
    sx_error err = {0};
    assert_int_equal(tsdb_wal_tail_open(t, dir, segment, offset, &err), SX_OK);
}

/* All that there is now, which are the records from `next` on; where the next one will be. */
static size_t read_on(tsdb_wal_tail *t, size_t next)
{
    static char bytes[RECORD_MAX];
    sx_str record;
    sx_error err = {0};
    sx_status status;
    while ((status = tsdb_wal_tail_next(t, &record, &err)) == SX_OK)
        assert_true(sx_str_eq(record, make_record(next++, bytes)));
    if (status != SX_END)
        fail_msg("%s", err.message);
    return next;
}

static void test_a_tail_follows_the_writer_through_segments(void **state)
{
    temp_folder *f = *state;
    tsdb_wal_tail t;
    open_tail(&t, f->path, 0, 0);
    assert_int_equal(read_on(&t, 0), 0);
    tsdb_wal *w = open_log(f->path, 1 << 18);
    size_t next = 0;
    for (size_t i = 0; i < 60; i++) {
        write_record(w, i);
        if (i % 7 == 0) {
            next = read_on(&t, next);
            assert_int_equal(next, i + 1);
        }
        if (i % 20 == 10) { /* a restart */
            uint32_t segment = t.segment;
            uint64_t offset = t.offset;
            tsdb_wal_tail_close(&t);
            open_tail(&t, f->path, segment, offset);
        }
    }
    assert_int_equal(read_on(&t, next), 60);
    assert_true(t.segment > 3);
    assert_int_equal(t.lost, 0);
    assert_int_equal(t.damaged, 0);
    tsdb_wal_tail_close(&t);
    tsdb_wal_close(w);
}

/* A write is not there at once: a reader may see any part of it. */
static void test_a_segment_that_grows_by_bytes_gives_each_record_once(void **state)
{
    temp_folder *f = *state;
    char from[128], dir[128], to[160];
    sx_buf whole;
    sx_error err = {0};
    sx_buf_init(&whole, 0);
    snprintf(from, sizeof from, "%s/00000001", f->path);
    snprintf(dir, sizeof dir, "%s/copy", f->path);
    snprintf(to, sizeof to, "%s/00000001", dir);
    tsdb_wal *w = open_log(f->path, 0);
    for (size_t i = 0; i < 8; i++)
        write_record(w, i);
    tsdb_wal_close(w);
    assert_int_equal(sx_file_read(from, 0, &whole, &err), SX_OK);
    assert_int_equal(sx_folder_make(dir, &err), SX_OK);
    sx_writer out;
    assert_int_equal(sx_writer_open(&out, to, SX_WRITER_NEW, 0, &err), SX_OK);
    tsdb_wal_tail t;
    open_tail(&t, dir, 1, 0);
    size_t next = 0;
    for (size_t at = 0; at < whole.len;) {
        size_t step = at < 200 ? 1 : 911;
        if (step > whole.len - at)
            step = whole.len - at;
        assert_int_equal(sx_writer_bytes(&out, whole.data + at, step, &err), SX_OK);
        assert_int_equal(sx_writer_flush(&out, &err), SX_OK);
        at += step;
        next = read_on(&t, next);
        assert_true(t.offset <= at);
    }
    assert_int_equal(next, 8);
    assert_int_equal(sx_writer_close(&out, &err), SX_OK);
    tsdb_wal_tail_close(&t);
    sx_buf_done(&whole);
}

static void test_segments_removed_unread_are_told(void **state)
{
    temp_folder *f = *state;
    sx_error err = {0};
    tsdb_wal_tail t;
    uint32_t ended;
    tsdb_wal *w = open_log(f->path, 0);
    write_record(w, 0);
    open_tail(&t, f->path, 0, 0);
    size_t next = read_on(&t, 0);
    assert_int_equal(next, 1);
    write_record(w, 1); /* in the segment that is being read: it is still to be had */
    for (size_t i = 2; i < 5; i++) {
        assert_int_equal(tsdb_wal_cut(w, &ended, &err), SX_OK);
        write_record(w, i);
    }
    assert_int_equal(tsdb_wal_remove(f->path, 4, 0, &err), SX_OK);
    static char bytes[RECORD_MAX];
    sx_str record;
    assert_int_equal(tsdb_wal_tail_next(&t, &record, &err), SX_OK);
    assert_true(sx_str_eq(record, make_record(1, bytes)));
    assert_int_equal(tsdb_wal_tail_next(&t, &record, &err), SX_OK);
    assert_true(sx_str_eq(record, make_record(4, bytes)));
    assert_int_equal(t.lost, 2);
    assert_int_equal(tsdb_wal_tail_next(&t, &record, &err), SX_END);
    tsdb_wal_tail_close(&t);
    tsdb_wal_close(w);
}

static void test_damage_is_passed_over(void **state)
{
    temp_folder *f = *state;
    char path[128];
    sx_error err = {0};
    sx_buf whole;
    uint32_t ended;
    sx_buf_init(&whole, 0);
    snprintf(path, sizeof path, "%s/00000001", f->path);
    tsdb_wal *w = open_log(f->path, 0);
    for (size_t i = 0; i < 8; i++)
        write_record(w, i);
    assert_int_equal(tsdb_wal_cut(w, &ended, &err), SX_OK);
    write_record(w, 8);
    assert_int_equal(sx_file_read(path, 0, &whole, &err), SX_OK);
    whole.data[40000] ^= 1; /* within the fifth */
    whole.len -= 40000;     /* and the last one is torn */
    assert_int_equal(sx_file_replace(path, sx_buf_view(&whole), &err), SX_OK);
    tsdb_wal_tail t;
    sx_str record;
    size_t count = 0;
    open_tail(&t, f->path, 0, 0);
    while (tsdb_wal_tail_next(&t, &record, &err) == SX_OK)
        count++;
    assert_int_equal(count, 7);
    assert_int_equal(t.segment, 2);
    assert_int_equal(t.damaged, 1);
    tsdb_wal_tail_close(&t);
    tsdb_wal_close(w);
    sx_buf_done(&whole);
}

static void test_what_the_writer_took_back_is_read_as_it_is_then(void **state)
{
    temp_folder *f = *state;
    char path[128];
    sx_error err = {0};
    sx_file_info info;
    tsdb_wal_tail t;
    snprintf(path, sizeof path, "%s/00000001", f->path);
    tsdb_wal *w = open_log(f->path, 0);
    write_record(w, 0);
    assert_int_equal(sx_file_stat(path, &info, &err), SX_OK);
    write_record(w, 3);
    tsdb_wal_close(w);
    open_tail(&t, f->path, 1, 0);
    sx_str record;
    assert_int_equal(tsdb_wal_tail_next(&t, &record, &err), SX_OK);
    assert_int_equal(tsdb_wal_tail_next(&t, &record, &err), SX_OK);
    assert_int_equal(sx_file_truncate(path, info.bytes, &err), SX_OK);
    assert_int_equal(tsdb_wal_tail_next(&t, &record, &err), SX_END);
    assert_int_equal(t.offset, info.bytes);
    tsdb_wal_tail_close(&t);
}

static void test_without_memory_it_says_so(void **state)
{
    temp_folder *f = *state;
    sx_error err = {0};
    tsdb_wal *w = open_log(f->path, 0);
    for (size_t i = 0; i < 5; i++)
        write_record(w, i);
    tsdb_wal_close(w);
    bool failed = true;
    for (int64_t n = 1; failed; n++) {
        tsdb_wal_tail t;
        sx_str record;
        size_t count = 0;
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status status = tsdb_wal_tail_open(&t, f->path, 1, 0, &err);
        while (status == SX_OK)
            if ((status = tsdb_wal_tail_next(&t, &record, &err)) == SX_OK)
                count++;
        failed = status == SX_ENOMEM;
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (!failed)
            assert_int_equal(count, 5);
        tsdb_wal_tail_close(&t);
    }
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_a_tail_follows_the_writer_through_segments),
        T(test_a_segment_that_grows_by_bytes_gives_each_record_once),
        T(test_segments_removed_unread_are_told),
        T(test_damage_is_passed_over),
        T(test_what_the_writer_took_back_is_read_as_it_is_then),
        T(test_without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
