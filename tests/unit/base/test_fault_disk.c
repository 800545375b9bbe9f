/* test_fault_disk.c - power cuts: that the model loses what it may and keeps what it must. */
#include <sextant/file.h>

#include "base/fault.h"
#include "tests/unit/base/cmocka_all.h"
#include "tests/unit/base/temp_folder.h"

static temp_folder folder;

static int make_folder(void **state)
{
    (void)state;
    return temp_folder_make(&folder);
}

static int remove_folder(void **state)
{
    (void)state;
    folder_remove(folder.path);
    return 0;
}

enum { SEEDS = 40 };

/* What a file holds on the disk after a cut; "-" if it is not there. */
static const char *contents(const char *path)
{
    static char text[4096];
    FILE *f = fopen(path, "rb");
    if (!f)
        return "-";
    size_t len = fread(text, 1, sizeof(text) - 1, f);
    text[len] = '\0';
    fclose(f);
    return text;
}

static void cut(size_t ops, uint64_t seed)
{
    sx_error err = {0};
    folder_remove(in_folder(&folder, "after"));
    if (sx_fault_disk_cut(ops, seed, in_folder(&folder, "after"), &err) != SX_OK)
        fail_msg("%s", err.message);
}

static void start(void)
{
    sx_error err = {0};
    folder_remove(in_folder(&folder, "disk"));
    assert_int_equal(sx_folder_make(in_folder(&folder, "disk"), &err), SX_OK);
}

static void record(void)
{
    sx_error err = {0};
    assert_int_equal(sx_fault_disk_start(in_folder(&folder, "disk"), &err), SX_OK);
}

/* The property that sx_replace promises, at every moment and for many disks. */
static void test_a_replaced_file_is_old_or_new_after_any_cut(void **state)
{
    (void)state;
    sx_error err = {0};
    start();
    assert_int_equal(sx_file_replace(in_folder(&folder, "disk/f"), SX_STR("old"), &err), SX_OK);
    record();
    assert_int_equal(sx_file_replace(in_folder(&folder, "disk/f"), SX_STR("new"), &err), SX_OK);
    size_t ops = sx_fault_disk_ops();
    assert_true(ops >= 5); /* made, written, synced, renamed, folder synced */
    bool seen_old = false, seen_new = false;
    for (size_t at = 0; at <= ops; at++) {
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            cut(at, seed);
            const char *now = contents(in_folder(&folder, "after/f"));
            assert_true(strcmp(now, "old") == 0 || strcmp(now, "new") == 0);
            assert_true(at < ops || strcmp(now, "new") == 0);
            seen_old |= strcmp(now, "old") == 0;
            seen_new |= strcmp(now, "new") == 0;
        }
    }
    assert_true(seen_old && seen_new);
    assert_int_equal(sx_fault_disk_stop(&err), SX_OK);
}

/* The well-known mistake must show, or the model is too kind. */
static void test_a_rename_without_fsync_is_seen_to_lose_contents(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_writer w;
    start();
    assert_int_equal(sx_file_replace(in_folder(&folder, "disk/f"), SX_STR("old"), &err), SX_OK);
    record();
    assert_int_equal(sx_writer_open(&w, in_folder(&folder, "disk/t"), SX_WRITER_NEW, 0, &err),
                     SX_OK);
    assert_int_equal(sx_writer_bytes(&w, "new", 3, &err), SX_OK);
    assert_int_equal(sx_writer_close(&w, &err), SX_OK);
    assert_int_equal(
        sx_file_rename(in_folder(&folder, "disk/t"), in_folder(&folder, "disk/f"), &err), SX_OK);
    assert_int_equal(sx_folder_sync(in_folder(&folder, "disk"), &err), SX_OK);
    bool lost = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        cut(sx_fault_disk_ops(), seed);
        lost |= strcmp(contents(in_folder(&folder, "after/f")), "") == 0;
    }
    assert_true(lost);
    sx_fault_disk_stop(NULL);
}

static void test_a_synced_file_without_a_synced_name_may_be_gone(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_writer w;
    start();
    record();
    assert_int_equal(sx_writer_open(&w, in_folder(&folder, "disk/log"), SX_WRITER_NEW, 0, &err),
                     SX_OK);
    assert_int_equal(sx_writer_bytes(&w, "first", 5, &err), SX_OK);
    assert_int_equal(sx_writer_sync(&w, &err), SX_OK);
    cut(sx_fault_disk_ops(), 1);
    assert_string_equal(contents(in_folder(&folder, "after/log")), "-");
    assert_int_equal(sx_folder_sync(in_folder(&folder, "disk"), &err), SX_OK);
    assert_int_equal(sx_writer_bytes(&w, "second", 6, &err), SX_OK);
    assert_int_equal(sx_writer_flush(&w, &err), SX_OK);
    cut(sx_fault_disk_ops(), 1);
    assert_string_equal(contents(in_folder(&folder, "after/log")), "first");
    cut(sx_fault_disk_ops(), 0);
    assert_string_equal(contents(in_folder(&folder, "after/log")), "firstsecond");
    for (uint64_t seed = 2; seed < SEEDS; seed++) {
        cut(sx_fault_disk_ops(), seed);
        assert_memory_equal(contents(in_folder(&folder, "after/log")), "first", 5);
    }
    assert_int_equal(sx_writer_close(&w, &err), SX_OK);
    sx_fault_disk_stop(NULL);
}

static void test_unsynced_writes_are_torn_and_reordered(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_writer w;
    char a[1024], b[1024];
    memset(a, 'a', sizeof(a));
    memset(b, 'b', sizeof(b));
    start();
    record();
    assert_int_equal(sx_writer_open(&w, in_folder(&folder, "disk/log"), SX_WRITER_NEW, 16, &err),
                     SX_OK);
    assert_int_equal(sx_folder_sync(in_folder(&folder, "disk"), &err), SX_OK);
    assert_int_equal(sx_writer_bytes(&w, a, sizeof(a), &err), SX_OK);
    assert_int_equal(sx_writer_bytes(&w, b, sizeof(b), &err), SX_OK);
    bool torn = false, reordered = false;
    for (uint64_t seed = 2; seed < 2 + SEEDS; seed++) {
        cut(sx_fault_disk_ops(), seed);
        sx_buf got;
        sx_buf_init(&got, 0);
        assert_int_equal(sx_file_read(in_folder(&folder, "after/log"), 0, &got, &err), SX_OK);
        assert_int_equal(got.len % 512, 0);
        torn |= got.len == 512 || got.len == 1536;
        reordered |= got.len > 1024 && got.data[0] == '\0';
        sx_buf_done(&got);
    }
    assert_true(torn && reordered);
    assert_int_equal(sx_writer_close(&w, &err), SX_OK);
    sx_fault_disk_stop(NULL);
}

static void test_folders_and_removals_follow_the_same_rules(void **state)
{
    (void)state;
    sx_error err = {0};
    start();
    assert_int_equal(sx_file_replace(in_folder(&folder, "disk/old"), SX_STR("x"), &err), SX_OK);
    record();
    assert_int_equal(sx_folder_make(in_folder(&folder, "disk/sub"), &err), SX_OK);
    assert_int_equal(sx_file_replace(in_folder(&folder, "disk/sub/f"), SX_STR("y"), &err), SX_OK);
    assert_int_equal(sx_file_remove(in_folder(&folder, "disk/old"), &err), SX_OK);
    cut(sx_fault_disk_ops(), 1);
    assert_string_equal(contents(in_folder(&folder, "after/sub/f")), "y");
    assert_string_equal(contents(in_folder(&folder, "after/old")), "x");
    cut(sx_fault_disk_ops(), 0);
    assert_string_equal(contents(in_folder(&folder, "after/old")), "-");
    assert_int_equal(sx_file_truncate(in_folder(&folder, "disk/sub/f"), 0, &err), SX_OK);
    cut(sx_fault_disk_ops(), 1);
    assert_string_equal(contents(in_folder(&folder, "after/sub/f")), "");
    sx_fault_disk_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_replaced_file_is_old_or_new_after_any_cut),
        cmocka_unit_test(test_a_rename_without_fsync_is_seen_to_lose_contents),
        cmocka_unit_test(test_a_synced_file_without_a_synced_name_may_be_gone),
        cmocka_unit_test(test_unsynced_writes_are_torn_and_reordered),
        cmocka_unit_test(test_folders_and_removals_follow_the_same_rules),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
