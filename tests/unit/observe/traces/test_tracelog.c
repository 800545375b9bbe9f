/* test_tracelog.c - the log of the traces: what was written is read, a torn end costs only itself,
 * failing writes cost only their batches. */
#include "tests/unit/base/cmocka_all.h"

#include <errno.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "base/fault.h"
#include "observe/traces/tracelog.h"
#include "tests/unit/base/temp_folder.h"

static sx_str payload(unsigned n, char *room)
{
    size_t len = n * 37 % 400;
    for (size_t i = 0; i < len; i++)
        room[i] = (char)(n + i * 7);
    return sx_str_of(room, len);
}

static void assert_records(const tr_log_file *f, unsigned first, unsigned count)
{
    char room[400];
    assert_int_equal(f->count, count);
    for (unsigned i = 0; i < count; i++)
        assert_true(sx_str_eq(f->records[i].otlp, payload(first + i, room)));
}

static tr_log *open_log(const temp_folder *t, tr_fsync fsync)
{
    tr_log *l;
    sx_error err = {0};
    if (tr_log_open(t->path, 1, fsync, &l, &err) != SX_OK)
        fail_msg("%s", err.message);
    return l;
}

static void append(tr_log *l, unsigned first, unsigned count)
{
    char room[400];
    uint64_t sequence;
    sx_error err = {0};
    for (unsigned i = first; i < first + count; i++)
        if (tr_log_append(l, payload(i, room), &sequence, &err) != SX_OK)
            fail_msg("%s", err.message);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    temp_folder t;
    tr_log_file f;
    sx_error err = {0};
    for (tr_fsync policy = TR_FSYNC_INTERVAL; policy <= TR_FSYNC_NONE; policy++) {
        assert_int_equal(temp_folder_make(&t), 0);
        tr_log *l = open_log(&t, policy);
        append(l, 0, 20);
        assert_int_equal(tr_log_turn(l, 2, &err), SX_OK);
        append(l, 20, 5);
        assert_int_equal(tr_log_void(l, 22, &err), SX_OK); /* sequences count from 1 */
        assert_int_equal(tr_log_sync(l, &err), SX_OK);
        tr_log_close(l);
        assert_int_equal(tr_log_file_open(in_folder(&t, "00000001.log"), &f, &err), SX_OK);
        assert_records(&f, 0, 20);
        assert_int_equal(f.torn_bytes, 0);
        tr_log_file_close(&f);
        assert_int_equal(tr_log_file_open(in_folder(&t, "00000002.log"), &f, &err), SX_OK);
        assert_int_equal(f.count, 4); /* the second is void */
        assert_int_equal(f.records[1].sequence, 23);
        tr_log_file_close(&f);
        folder_remove(t.path);
    }
}

static void cut_at_every_byte(void **state)
{
    (void)state;
    temp_folder t;
    sx_buf bytes;
    sx_error err = {0};
    tr_log_file f;
    assert_int_equal(temp_folder_make(&t), 0);
    tr_log *l = open_log(&t, TR_FSYNC_NONE);
    append(l, 0, 12);
    tr_log_close(l);
    sx_buf_init(&bytes, 0);
    assert_int_equal(sx_file_read(in_folder(&t, "00000001.log"), 0, &bytes, &err), SX_OK);
    assert_int_equal(tr_log_file_parse(sx_buf_view(&bytes), &f, &err), SX_OK);
    assert_records(&f, 0, 12);
    tr_log_file_close(&f);
    size_t whole = 0;
    for (size_t len = 0; len < bytes.len; len++) {
        assert_int_equal(tr_log_file_parse(sx_str_of(bytes.data, len), &f, &err), SX_OK);
        assert_in_range(f.count, whole, whole + 1);
        whole = f.count;
        assert_records(&f, 0, (unsigned)whole);
        assert_int_equal(f.good_bytes + f.torn_bytes, len);
        tr_log_file_close(&f);
    }
    for (size_t at = 0; at < bytes.len; at++) { /* a damaged byte is never a wrong record */
        bytes.data[at] ^= 0x20;
        sx_status status = tr_log_file_parse(sx_buf_view(&bytes), &f, &err);
        if (status == SX_OK) {
            assert_true(f.count < 12);
            assert_records(&f, 0, (unsigned)f.count);
        }
        tr_log_file_close(&f);
        bytes.data[at] ^= 0x20;
    }
    sx_buf_done(&bytes);
    folder_remove(t.path);
}

static void failing_writes_cost_their_batch_alone(void **state)
{
    (void)state;
    char room[400];
    for (int64_t n = 1; n < 60; n++) {
        temp_folder t;
        tr_log_file f;
        sx_error err = {0};
        uint64_t sequence;
        assert_int_equal(temp_folder_make(&t), 0);
        tr_log *l = open_log(&t, TR_FSYNC_NONE);
        unsigned kept[40], count = 0;
        sx_fault_file_set((sx_fault_file){.nth = n,
                                          .and_after = n % 3 == 0,
                                          .calls = SX_FAULT_WRITE | SX_FAULT_TRUNCATE,
                                          .os_errno = ENOSPC,
                                          .torn_bytes = (size_t)n % 50});
        for (unsigned i = 0; i < 20; i++) {
            if (i == 12)
                sx_fault_file_set((sx_fault_file){0});
            if (tr_log_append(l, payload(i, room), &sequence, &err) == SX_OK)
                kept[count++] = i;
        }
        sx_fault_file_set((sx_fault_file){0});
        tr_log_close(l);
        assert_true(count >= 8);
        assert_int_equal(tr_log_file_open(in_folder(&t, "00000001.log"), &f, &err), SX_OK);
        assert_int_equal(f.count, count);
        assert_int_equal(f.torn_bytes, 0);
        for (unsigned i = 0; i < count; i++)
            assert_true(sx_str_eq(f.records[i].otlp, payload(kept[i], room)));
        tr_log_file_close(&f);
        folder_remove(t.path);
    }
}

/* Under `always` what was acknowledged is there after a power cut at any moment. */
static void power_cuts(void **state)
{
    (void)state;
    temp_folder t, into;
    sx_error err = {0};
    char root[128], room[400];
    size_t after[12];
    uint64_t sequence;
    assert_int_equal(temp_folder_make(&t), 0);
    snprintf(root, sizeof root, "%s/log", t.path);
    assert_int_equal(sx_folder_make(root, &err), SX_OK);
    assert_int_equal(sx_fault_disk_start(root, &err), SX_OK);
    tr_log *l;
    assert_int_equal(tr_log_open(root, 1, TR_FSYNC_ALWAYS, &l, &err), SX_OK);
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(tr_log_append(l, payload(i, room), &sequence, &err), SX_OK);
        after[i] = sx_fault_disk_ops();
    }
    size_t ops = sx_fault_disk_ops();
    for (size_t op = 0; op <= ops; op++)
        for (uint64_t seed = 0; seed < 6; seed++) {
            unsigned promised = 0;
            while (promised < 12 && after[promised] <= op)
                promised++;
            char dir[160];
            assert_int_equal(temp_folder_make(&into), 0);
            snprintf(dir, sizeof dir, "%s/cut", into.path);
            assert_int_equal(sx_fault_disk_cut(op, seed, dir, &err), SX_OK);
            tr_log_file f = {0};
            char path[200];
            snprintf(path, sizeof path, "%s/00000001.log", dir);
            sx_status status = tr_log_file_open(path, &f, &err);
            assert_true(status == SX_OK || (status == SX_ENOTFOUND && promised == 0));
            assert_true(f.count >= promised);
            assert_records(&f, 0, (unsigned)f.count);
            tr_log_file_close(&f);
            folder_remove(into.path);
        }
    assert_int_equal(sx_fault_disk_stop(&err), SX_OK);
    tr_log_close(l);
    folder_remove(t.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(failing_writes_cost_their_batch_alone),
        cmocka_unit_test(power_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
