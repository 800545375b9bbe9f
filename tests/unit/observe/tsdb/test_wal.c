/* test_wal.c - the log: every record comes back, whatever its length; damage costs what it hit. */
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

static size_t record_len(size_t i)
{
    static const size_t LENS[] = {1, 7, 100, 32761, 32760, 32754, 5000, 65536, 3, 150000};
    return LENS[i % (sizeof LENS / sizeof *LENS)];
}

/* Half of them compress well. */
static sx_str make_record(size_t i, char *bytes)
{
    size_t len = record_len(i);
    for (size_t k = 0; k < len; k++)
        bytes[k] = (char)(i % 2 ? i : (k * 2654435761u + i) >> 13);
    return sx_str_of(bytes, len);
}

static void write_records(const char *dir, size_t from, size_t to, uint32_t segment,
                          const tsdb_wal_options *options)
{
    static char bytes[RECORD_MAX];
    tsdb_wal *w;
    tsdb_wal_batch b;
    sx_error err = {0};
    tsdb_wal_batch_init(&b);
    assert_int_equal(tsdb_wal_open(dir, segment, options, &w, &err), SX_OK);
    for (size_t i = from; i < to; i++) {
        assert_int_equal(tsdb_wal_batch_add(&b, w, make_record(i, bytes), &err), SX_OK);
        if (i % 3 == 0) {
            if (tsdb_wal_write(w, &b, &err) != SX_OK)
                fail_msg("%s", err.message);
            tsdb_wal_batch_clear(&b);
        }
    }
    assert_int_equal(tsdb_wal_write(w, &b, &err), SX_OK);
    tsdb_wal_batch_done(&b);
    tsdb_wal_close(w);
}

/* Reads all; returns how many records there are, which must be the first ones in order if `strict`. */
static size_t read_records(const char *dir, bool strict, uint64_t *corruptions, uint64_t *good_end)
{
    static char bytes[RECORD_MAX];
    tsdb_wal_range range;
    tsdb_wal_reader r;
    sx_str record;
    sx_error err = {0};
    size_t count = 0;
    assert_int_equal(tsdb_wal_list(dir, &range, &err), SX_OK);
    assert_int_equal(tsdb_wal_reader_open(&r, dir, range.first, range.last, &err), SX_OK);
    sx_status status;
    while ((status = tsdb_wal_next(&r, &record, &err)) == SX_OK) {
        if (strict)
            assert_true(sx_str_eq(record, make_record(count, bytes)));
        count++;
    }
    assert_int_equal(status, SX_END);
    *corruptions = r.corruptions;
    *good_end = r.good_end;
    tsdb_wal_reader_close(&r);
    return count;
}

static void test_records_of_any_length_come_back(void **state)
{
    temp_folder *f = *state;
    uint64_t corruptions, good_end;
    static const struct {
        const char *name;
        tsdb_wal_packing packing;
    } ROWS[] = {{"zstd", TSDB_WAL_ZSTD}, {"snappy", TSDB_WAL_SNAPPY}, {"plain", TSDB_WAL_PLAIN}};
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        tsdb_wal_options options = {.segment_bytes = 1 << 18, .packing = ROWS[i].packing};
        const char *dir = in_folder(f, ROWS[i].name);
        write_records(dir, 0, 60, 0, &options);
        assert_int_equal(read_records(dir, true, &corruptions, &good_end), 60);
        assert_int_equal(corruptions, 0);
    }
}

static void test_a_torn_end_is_cut_and_writing_goes_on(void **state)
{
    temp_folder *f = *state;
    tsdb_wal_options options = {.packing = TSDB_WAL_PLAIN};
    uint64_t corruptions, good_end;
    sx_buf whole;
    sx_error err = {0};
    sx_buf_init(&whole, 0);
    const char *dir = in_folder(f, "log");
    write_records(dir, 0, 4, 0, &options);
    char path[600], torn_dir[512], torn[600];
    snprintf(path, sizeof path, "%s/00000000", dir);
    snprintf(torn_dir, sizeof torn_dir, "%s/torn", f->path);
    snprintf(torn, sizeof torn, "%s/00000000", torn_dir);
    assert_int_equal(sx_file_read(path, 0, &whole, &err), SX_OK);
    for (size_t len = 0; len <= whole.len; len += len < 400 || len > whole.len - 400 ? 1 : 997) {
        assert_int_equal(sx_folder_make(torn_dir, &err), SX_OK);
        assert_int_equal(sx_file_replace(torn, sx_str_of(whole.data, len), &err), SX_OK);
        size_t count = read_records(torn_dir, true, &corruptions, &good_end);
        assert_true(count <= 4 && good_end <= len);
        assert_true(corruptions <= 1);
        assert_int_equal(tsdb_wal_repair(torn_dir, 0, good_end, &err), SX_OK);
        write_records(torn_dir, count, 6, 1, &options);
        assert_int_equal(read_records(torn_dir, true, &corruptions, &good_end), 6);
        assert_int_equal(corruptions, 0);
        folder_remove(torn_dir);
    }
    sx_buf_done(&whole);
}

static void test_damage_costs_only_what_it_hit(void **state)
{
    temp_folder *f = *state;
    tsdb_wal_options options = {.segment_bytes = 1 << 18, .packing = TSDB_WAL_PLAIN};
    uint64_t corruptions, good_end;
    sx_buf whole;
    sx_error err = {0};
    sx_buf_init(&whole, 0);
    const char *dir = in_folder(f, "log");
    write_records(dir, 0, 60, 0, &options);
    char path[600];
    snprintf(path, sizeof path, "%s/00000001", dir);
    assert_int_equal(sx_file_read(path, 0, &whole, &err), SX_OK);
    for (size_t at = 3; at < whole.len; at += 4099) {
        whole.data[at] ^= 0x55;
        assert_int_equal(sx_file_replace(path, sx_buf_view(&whole), &err), SX_OK);
        whole.data[at] ^= 0x55;
        size_t count = read_records(dir, false, &corruptions, &good_end);
        assert_true(count >= 40 && count <= 60);
        assert_true(corruptions >= 1 || count == 60);
    }
    sx_buf_done(&whole);
}

static void test_a_failed_write_leaves_no_trace(void **state)
{
    temp_folder *f = *state;
    static char bytes[RECORD_MAX];
    uint64_t corruptions, good_end;
    for (unsigned policy = 0; policy < 3; policy++)
        for (int64_t nth = 1; nth < 12; nth++) {
            tsdb_wal_options options = {.segment_bytes = 1 << 16, .fsync = (tsdb_fsync)policy};
            char dir[512];
            snprintf(dir, sizeof dir, "%s/%u-%d", f->path, policy, (int)nth);
            tsdb_wal *w;
            tsdb_wal_batch b;
            sx_error err = {0};
            tsdb_wal_batch_init(&b);
            assert_int_equal(tsdb_wal_open(dir, 0, &options, &w, &err), SX_OK);
            sx_fault_file_set((sx_fault_file){.nth = nth,
                                              .calls = SX_FAULT_WRITE | SX_FAULT_OPEN,
                                              .os_errno = 28 /* ENOSPC */,
                                              .torn_bytes = (size_t)nth * 100});
            size_t done = 0;
            for (int tries = 0; done < 8 && tries < 20; tries++) {
                tsdb_wal_batch_clear(&b);
                assert_int_equal(tsdb_wal_batch_add(&b, w, make_record(done, bytes), &err), SX_OK);
                if (tsdb_wal_write(w, &b, &err) == SX_OK)
                    done++;
                else
                    assert_int_equal(err.os_errno, 28);
            }
            sx_fault_file_set((sx_fault_file){0});
            assert_int_equal(done, 8);
            tsdb_wal_batch_done(&b);
            tsdb_wal_close(w);
            assert_int_equal(read_records(dir, true, &corruptions, &good_end), 8);
            assert_int_equal(corruptions, 0);
        }
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_records_of_any_length_come_back),
        T(test_a_torn_end_is_cut_and_writing_goes_on),
        T(test_damage_costs_only_what_it_hit),
        T(test_a_failed_write_leaves_no_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
