/* test_file.c - the file layer on a real folder, and with every system call failing in turn. */
#include <sextant/file.h>

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

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
    sx_fault_file_set((sx_fault_file){0});
    sx_fault_alloc_set((sx_fault_alloc){0});
    folder_remove(folder.path);
    return 0;
}

static void put(const char *path, const char *text)
{
    sx_error err = {0};
    assert_int_equal(sx_file_replace(path, sx_str_z(text), &err), SX_OK);
}

static void assert_holds(const char *path, const char *text)
{
    sx_buf b;
    sx_error err = {0};
    sx_buf_init(&b, 0);
    assert_int_equal(sx_file_read(path, 0, &b, &err), SX_OK);
    assert_int_equal(b.len, strlen(text));
    if (b.len)
        assert_memory_equal(b.data, text, b.len);
    sx_buf_done(&b);
}

static void test_a_replaced_file_has_the_new_contents_and_mode(void **state)
{
    (void)state;
    const char *path = in_folder(&folder, "state");
    put(path, "one");
    assert_holds(path, "one");
    put(path, "");
    assert_holds(path, "");
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(access(in_folder(&folder, "state.tmp"), F_OK), -1);
}

static void test_reading_has_a_limit_and_names_the_file(void **state)
{
    (void)state;
    const char *path = in_folder(&folder, "limited");
    put(path, "123456");
    sx_buf b;
    sx_error err = {0};
    sx_buf_init(&b, 0);
    sx_buf_str(&b, SX_STR("kept"));
    assert_int_equal(sx_file_read(path, 5, &b, &err), SX_ELIMIT);
    assert_non_null(strstr(err.message, "limited is larger than the limit of 5 bytes"));
    assert_int_equal(b.len, 4);
    assert_int_equal(sx_file_read(path, 6, &b, &err), SX_OK);
    assert_int_equal(b.len, 10);
    assert_int_equal(sx_file_read(in_folder(&folder, "absent"), 0, &b, &err), SX_ENOTFOUND);
    assert_int_equal(sx_file_read(folder.path, 0, &b, &err), SX_EINVAL);
    assert_int_equal(sx_file_read("/proc/self/status", 0, &b, &err), SX_OK);
    assert_true(b.len > 100);
    sx_buf_done(&b);
}

static void test_a_mapping_shows_the_file(void **state)
{
    (void)state;
    const char *path = in_folder(&folder, "mapped");
    sx_mapping m;
    sx_error err = {0};
    put(path, "mapped text");
    assert_int_equal(sx_mapping_open(&m, path, SX_MAP_RANDOM, &err), SX_OK);
    assert_int_equal(m.len, 11);
    assert_memory_equal(m.data, "mapped text", 11);
    sx_mapping_close(&m);
    sx_mapping_close(&m);
    put(path, "");
    assert_int_equal(sx_mapping_open(&m, path, SX_MAP_SEQUENTIAL, &err), SX_OK);
    assert_null(m.data);
    sx_mapping_close(&m);
    assert_int_equal(sx_mapping_open(&m, folder.path, SX_MAP_RANDOM, &err), SX_EINVAL);
}

static void test_a_writer_appends_through_a_small_buffer(void **state)
{
    (void)state;
    const char *path = in_folder(&folder, "log");
    sx_writer w;
    sx_error err = {0};
    assert_int_equal(sx_writer_open(&w, path, SX_WRITER_NEW, 4, &err), SX_OK);
    assert_int_equal(sx_writer_bytes(&w, "ab", 2, &err), SX_OK);
    assert_holds(path, "");
    assert_int_equal(sx_writer_bytes(&w, "cde", 3, &err), SX_OK);
    assert_int_equal(sx_writer_bytes(&w, "fghijkl", 7, &err), SX_OK);
    assert_int_equal(w.offset, 12);
    assert_holds(path, "abcdefghijkl");
    assert_int_equal(sx_writer_close(&w, &err), SX_OK);
    assert_int_equal(sx_writer_close(&w, &err), SX_OK);
    assert_int_equal(sx_writer_open(&w, path, SX_WRITER_NEW, 0, &err), SX_EEXIST);
    assert_int_equal(sx_writer_open(&w, path, SX_WRITER_APPEND, 0, &err), SX_OK);
    assert_int_equal(w.offset, 12);
    assert_int_equal(sx_writer_bytes(&w, "m", 1, &err), SX_OK);
    assert_int_equal(sx_writer_sync(&w, &err), SX_OK);
    assert_holds(path, "abcdefghijklm");
    sx_writer_abandon(&w);
    assert_int_equal(sx_writer_open(&w, path, SX_WRITER_EMPTY, 0, &err), SX_OK);
    assert_int_equal(sx_writer_close(&w, &err), SX_OK);
    assert_holds(path, "");
}

static void test_a_writer_keeps_its_first_failure(void **state)
{
    (void)state;
    sx_writer w;
    sx_error err = {0};
    assert_int_equal(sx_writer_open(&w, in_folder(&folder, "failing"), SX_WRITER_EMPTY, 0, &err),
                     SX_OK);
    assert_int_equal(sx_writer_bytes(&w, "x", 1, &err), SX_OK);
    sx_fault_file_set((sx_fault_file){.nth = 1, .calls = SX_FAULT_SYNC, .os_errno = EIO});
    assert_int_equal(sx_writer_sync(&w, &err), SX_EIO);
    assert_int_equal(err.os_errno, EIO);
    assert_int_equal(sx_writer_sync(&w, NULL), SX_EIO); /* the disk would say yes by now */
    assert_int_equal(sx_writer_bytes(&w, "y", 1, &err), SX_EIO);
    assert_int_equal(sx_writer_close(&w, &err), SX_EIO);
    sx_fault_file_set((sx_fault_file){0});
}

static void test_short_reads_and_writes_lose_nothing(void **state)
{
    (void)state;
    const char *path = in_folder(&folder, "short");
    sx_fault_file_set((sx_fault_file){.short_bytes = 3});
    put(path, "a text that is longer than three bytes");
    assert_holds(path, "a text that is longer than three bytes");
    sx_reader r;
    sx_error err = {0};
    char out[64];
    size_t got;
    assert_int_equal(sx_reader_open(&r, path, &err), SX_OK);
    assert_int_equal(sx_reader_read(&r, out, 10, &got, &err), SX_OK);
    assert_int_equal(got, 10);
    assert_int_equal(sx_reader_read(&r, out, sizeof(out), &got, &err), SX_OK);
    assert_int_equal(got, 28);
    assert_int_equal(sx_reader_read(&r, out, sizeof(out), &got, &err), SX_END);
    assert_int_equal(sx_reader_at(&r, 2, out, 4, &err), SX_OK);
    assert_memory_equal(out, "text", 4);
    assert_int_equal(sx_reader_at(&r, 36, out, 4, &err), SX_ECORRUPT);
    sx_reader_close(&r);
    sx_fault_file_set((sx_fault_file){0});
}

static void test_a_replacement_that_fails_at_any_call_keeps_the_old_file(void **state)
{
    (void)state;
    const char *path = in_folder(&folder, "victim");
    static const int ERRNOS[] = {EIO, ENOSPC};
    for (size_t e = 0; e < SX_COUNT_OF(ERRNOS); e++) {
        for (int64_t nth = 1;; nth++) {
            sx_fault_file_set((sx_fault_file){0});
            put(path, "old");
            sx_fault_file_set((sx_fault_file){.nth = nth,
                                              .calls = SX_FAULT_ANY & ~(unsigned)SX_FAULT_CLOSE,
                                              .os_errno = ERRNOS[e],
                                              .torn_bytes = 1});
            sx_error err = {0};
            sx_status status = sx_file_replace(path, SX_STR("new"), &err);
            bool reached = sx_fault_file_calls() >= nth;
            sx_fault_file_set((sx_fault_file){0});
            if (!reached) {
                assert_int_equal(status, SX_OK);
                assert_true(nth > 8);
                break;
            }
            assert_int_equal(status, SX_EIO);
            assert_non_null(strstr(err.message, folder.path));
            bool only_folder_sync = strstr(err.message, "folder") != NULL;
            assert_holds(path, only_folder_sync ? "new" : "old");
        }
    }
}

static void test_a_replacement_without_memory_keeps_the_old_file(void **state)
{
    (void)state;
    const char *path = in_folder(&folder, "memory");
    for (int64_t nth = 1;; nth++) {
        put(path, "old");
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_error err = {0};
        sx_status status = sx_file_replace(path, SX_STR("new"), &err);
        bool reached = sx_fault_alloc_calls() >= nth;
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (!reached) {
            assert_int_equal(status, SX_OK);
            assert_true(nth > 3);
            break;
        }
        assert_int_equal(status, SX_ENOMEM);
    }
}

static void test_a_second_replacement_of_the_same_file_is_refused(void **state)
{
    (void)state;
    const char *path = in_folder(&folder, "twice");
    sx_replace first, second;
    sx_error err = {0};
    assert_int_equal(sx_replace_open(&first, path, 0, &err), SX_OK);
    assert_int_equal(sx_replace_open(&second, path, 0, &err), SX_REFUSED);
    assert_int_equal(sx_writer_bytes(&first.writer, "1", 1, &err), SX_OK);
    assert_int_equal(sx_replace_commit(&first, &err), SX_OK);
    assert_holds(path, "1");
    assert_int_equal(sx_replace_open(&second, path, 0, &err), SX_OK);
    sx_replace_abandon(&second);
    sx_replace_abandon(&second);
    assert_holds(path, "1");
    assert_int_equal(access(in_folder(&folder, "twice.tmp"), F_OK), -1);
}

static void test_a_lock_is_held_by_one_process(void **state)
{
    (void)state;
    const char *path = in_folder(&folder, "lock");
    sx_file_lock lock, other;
    sx_error err = {0};
    assert_int_equal(sx_file_lock_open(&lock, path, &err), SX_OK);
    assert_int_equal(sx_file_lock_open(&other, path, &err), SX_REFUSED);
    char id[32];
    snprintf(id, sizeof(id), "(id %ld)", (long)getpid());
    assert_non_null(strstr(err.message, id));
    assert_int_equal(other.fd, -1);
    sx_file_lock_close(&lock);
    assert_int_equal(sx_file_lock_open(&other, path, &err), SX_OK);
    sx_file_lock_close(&other);
}

static void test_folders_are_made_with_all_above_them(void **state)
{
    (void)state;
    const char *path = in_folder(&folder, "a//b/c/");
    sx_error err = {0};
    assert_int_equal(sx_folder_make(path, &err), SX_OK);
    assert_int_equal(sx_folder_make(path, &err), SX_OK);
    struct stat info;
    assert_int_equal(stat(in_folder(&folder, "a/b/c"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    put(in_folder(&folder, "a/file"), "x");
    assert_int_equal(sx_folder_make(in_folder(&folder, "a/file/d"), &err), SX_EEXIST);
    assert_non_null(strstr(err.message, "a/file is there but is not a folder"));
}

static void test_a_listing_is_sorted_and_bounded(void **state)
{
    (void)state;
    sx_error err = {0};
    const char *path = in_folder(&folder, "list");
    assert_int_equal(sx_folder_make(path, &err), SX_OK);
    put(in_folder(&folder, "list/b"), "");
    put(in_folder(&folder, "list/a"), "");
    put(in_folder(&folder, "list/c"), "");
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_str *names;
    size_t count;
    assert_int_equal(sx_folder_list(path, 3, &arena, &names, &count, &err), SX_OK);
    assert_int_equal(count, 3);
    assert_true(sx_str_eq(names[0], SX_STR("a")) && sx_str_eq(names[2], SX_STR("c")));
    assert_int_equal(sx_folder_list(path, 2, &arena, &names, &count, &err), SX_ELIMIT);
    assert_int_equal(sx_folder_list("/nowhere", 2, &arena, &names, &count, &err), SX_ENOTFOUND);
    sx_arena_done(&arena);
}

static void test_rename_remove_truncate_and_stat(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_file_info info;
    put(in_folder(&folder, "from"), "12345");
    assert_int_equal(sx_file_rename(in_folder(&folder, "from"), in_folder(&folder, "to"), &err),
                     SX_OK);
    assert_int_equal(sx_file_truncate(in_folder(&folder, "to"), 2, &err), SX_OK);
    assert_holds(in_folder(&folder, "to"), "12");
    assert_int_equal(sx_file_stat(in_folder(&folder, "to"), &info, &err), SX_OK);
    assert_int_equal(info.bytes, 2);
    assert_false(info.is_folder);
    assert_int_equal(sx_file_remove(in_folder(&folder, "to"), &err), SX_OK);
    assert_int_equal(sx_file_remove(in_folder(&folder, "to"), &err), SX_ENOTFOUND);
    assert_int_equal(sx_file_stat(in_folder(&folder, "to"), &info, &err), SX_ENOTFOUND);
    assert_int_equal(sx_file_rename(in_folder(&folder, "to"), in_folder(&folder, "from"), &err),
                     SX_ENOTFOUND);
    assert_int_equal(sx_file_truncate(in_folder(&folder, "to"), 0, &err), SX_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_replaced_file_has_the_new_contents_and_mode),
        cmocka_unit_test(test_reading_has_a_limit_and_names_the_file),
        cmocka_unit_test(test_a_mapping_shows_the_file),
        cmocka_unit_test(test_a_writer_appends_through_a_small_buffer),
        cmocka_unit_test(test_a_writer_keeps_its_first_failure),
        cmocka_unit_test(test_short_reads_and_writes_lose_nothing),
        cmocka_unit_test(test_a_replacement_that_fails_at_any_call_keeps_the_old_file),
        cmocka_unit_test(test_a_replacement_without_memory_keeps_the_old_file),
        cmocka_unit_test(test_a_second_replacement_of_the_same_file_is_refused),
        cmocka_unit_test(test_a_lock_is_held_by_one_process),
        cmocka_unit_test(test_folders_are_made_with_all_above_them),
        cmocka_unit_test(test_a_listing_is_sorted_and_bounded),
        cmocka_unit_test(test_rename_remove_truncate_and_stat),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
