/* test_log_rotate.c - files begin anew by size and age; no line is lost or torn, whatever the disk does. */
#include "tests/unit/telemetry/log_fixture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>

#include <sextant/metrics.h>

#include "base/fault.h"
#include "telemetry/log_file.h"

/* Waits (the writer and the packer are threads) until there are `count` files with that ending, and
 * none with a compressing one's. */
static void wait_for_files(fixture *f, size_t count, const char *ending)
{
    for (int i = 0; i < 2000; i++) {
        size_t found = 0, unfinished = 0;
        list_files(f);
        for (size_t k = 0; k < f->name_count; k++) {
            sx_str name = sx_str_z(f->names[k]);
            found += sx_str_ends(name, sx_str_z(ending)) && !sx_str_eq(name, SX_STR("shop.log"));
            unfinished += sx_str_ends(name, SX_STR(".tmp"));
        }
        /* A compressed file and its plain one stand side by side for a moment. */
        if (found == count && unfinished == 0 && (!*ending || f->name_count == count + 1))
            return;
        poll(NULL, 0, 5); /* a poll with a deadline: the threads tell nobody when they are done */
    }
    fail_msg("%zu files ending in '%s' never came", count, ending);
}

static size_t size_of(const fixture *f, const char *name)
{
    char path[256];
    struct stat about;
    snprintf(path, sizeof(path), "%s/%s", f->folder, name);
    assert_int_equal(stat(path, &about), 0);
    return (size_t)about.st_size;
}

/* Everything in all files, the oldest first: names sort by age and the present one comes last. */
static void read_all(fixture *f)
{
    list_files(f);
    sx_buf_clear(&f->text);
    for (size_t i = 1; i < f->name_count; i++)
        add_contents(f, f->names[i]);
    add_contents(f, f->names[0]);
}

static void test_a_file_stays_below_its_size(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.rotate_bytes = 1000, .rotate_keep = 50});
    sx_logger *l = sx_log_logger(f->log, "");
    for (int i = 0; i < 100; i++)
        SX_LOG_INFO(l, NULL, "a line", sx_field_i64("number", i));
    assert_true(sx_log_flush(f->log, 5000));
    read_all(f);
    assert_true(f->name_count > 8);
    assert_int_equal(f->name_count, 1 + sx_log_counts_of(f->log).rotations);
    assert_string_equal(f->names[1], "shop.log.20240115-103000.123");
    assert_string_equal(f->names[2], "shop.log.20240115-103000.124");
    for (size_t i = 0; i < f->name_count; i++)
        assert_true(size_of(f, f->names[i]) <= 1000);
    const char *at = f->text.data;
    for (int i = 0; i < 100; i++) { /* in order, each whole */
        char want[32];
        const char *end = strchr(at, '\n');
        snprintf(want, sizeof(want), "\"number\":%d}\n", i);
        assert_non_null(end);
        assert_memory_equal(end + 1 - strlen(want), want, strlen(want));
        at = end + 1;
    }
    assert_string_equal(at, "");
}

static void test_a_line_longer_than_a_file_has_one_of_its_own(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.rotate_bytes = 50, .rotate_keep = 50});
    for (int i = 0; i < 3; i++)
        SX_LOG_INFO(sx_log_logger(f->log, ""), NULL, "longer than fifty bytes in any case",
                    sx_field_i64("i", i));
    assert_true(sx_log_flush(f->log, 5000));
    list_files(f);
    assert_int_equal(f->name_count, 3);
}

static void test_a_file_is_rotated_by_age(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.rotate_s = 86400});
    sx_logger *l = sx_log_logger(f->log, "");
    sx_fake_clock_advance(&f->clock, 86400000);
    written(f);
    list_files(f);
    assert_int_equal(f->name_count, 1); /* an empty file may be old */
    SX_LOG_INFO(l, NULL, "monday");
    written(f);
    sx_fake_clock_advance(&f->clock, 1000);
    SX_LOG_INFO(l, NULL, "tuesday");
    assert_non_null(strstr(written(f), "tuesday"));
    sx_buf_clear(&f->text);
    list_files(f);
    assert_int_equal(f->name_count, 2);
    add_contents(f, f->names[1]);
    assert_int_equal(count_of(f, "monday"), 1);
    assert_int_equal(count_of(f, "tuesday"), 0);
}

static void test_only_the_latest_old_files_are_kept(void **state)
{
    fixture *f = *state;
    char stranger[128];
    snprintf(stranger, sizeof(stranger), "%s.backup", f->path);
    close(open(stranger, O_CREAT | O_WRONLY, 0600));
    open_log(f, (sx_log_options){.rotate_bytes = 100, .rotate_keep = 3});
    for (int i = 0; i < 20; i++)
        SX_LOG_INFO(sx_log_logger(f->log, ""), NULL, "line", sx_field_i64("i", i));
    assert_true(sx_log_flush(f->log, 5000));
    wait_for_files(f, 4, ""); /* three old ones and the stranger, which is not ours */
    assert_int_equal(f->name_count, 5);
    read_all(f);
    assert_int_equal(count_of(f, "\"i\":19}"), 1);
    assert_int_equal(count_of(f, "\"i\":0}"), 0);
}

static void compressed(fixture *f, sx_codec codec, const char *ending)
{
    open_log(f, (sx_log_options){.rotate_bytes = 500, .rotate_keep = 20, .rotate_codec = codec});
    for (int i = 0; i < 40; i++)
        SX_LOG_INFO(sx_log_logger(f->log, ""), NULL, "line", sx_field_i64("i", i));
    assert_true(sx_log_flush(f->log, 5000));
    wait_for_files(f, sx_log_counts_of(f->log).rotations, ending);
    struct stat about;
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->folder, f->names[1]);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0137, 0); /* of the log's own mode, less the umask */
    read_all(f);
    for (int i = 0; i < 40; i++) {
        char want[32];
        snprintf(want, sizeof(want), "\"i\":%d}\n", i);
        assert_int_equal(count_of(f, want), 1);
    }
}

static void test_old_files_are_compressed_by_gzip(void **state)
{
    compressed(*state, SX_CODEC_GZIP, ".gz");
}

static void test_old_files_are_compressed_by_zstd(void **state)
{
    compressed(*state, SX_CODEC_ZSTD, ".zst");
}

static void test_what_an_earlier_run_left_is_compressed(void **state)
{
    fixture *f = *state;
    char old[128];
    snprintf(old, sizeof(old), "%s.20230101-000000.000", f->path);
    int fd = open(old, O_CREAT | O_WRONLY, 0640);
    assert_int_equal(write(fd, "left\n", 5), 5);
    close(fd);
    open_log(f, (sx_log_options){.rotate_bytes = 500, .rotate_codec = SX_CODEC_GZIP});
    wait_for_files(f, 1, ".gz");
    sx_buf_clear(&f->text);
    add_contents(f, f->names[1]);
    assert_string_equal(f->text.data, "left\n");
}

static void test_names_of_old_files_are_told_from_others(void **state)
{
    (void)state;
    sx_str base = SX_STR("a.log");
    assert_int_equal(sx_log_old_of(SX_STR("a.log.20240115-103000.123"), base), SX_LOG_OLD_PLAIN);
    assert_int_equal(sx_log_old_of(SX_STR("a.log.20240115-103000.123.gz"), base),
                     SX_LOG_OLD_PACKED);
    assert_int_equal(sx_log_old_of(SX_STR("a.log.20240115-103000.123.zst"), base),
                     SX_LOG_OLD_PACKED);
    static const char *const OTHERS[] = {"a.log",
                                         "a.log.1",
                                         "b.log.20240115-103000.123",
                                         "a.log.20240115-103000.12",
                                         "a.log.20240115_103000.123",
                                         "a.log.2024011x-103000.123",
                                         "a.log.20240115-103000.123.gz.tmp",
                                         "a.log.20240115-103000.1234",
                                         ""};
    for (size_t i = 0; i < SX_COUNT_OF(OTHERS); i++)
        assert_int_equal(sx_log_old_of(sx_str_z(OTHERS[i]), base), SX_LOG_NOT_OLD);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 4000 };

static void *work(void *arg)
{
    sx_log *log = arg;
    sx_telemetry_thread_join();
    sx_logger *l = sx_log_logger(log, "");
    for (int i = 0; i < ROUNDS; i++)
        SX_LOG_INFO(l, NULL, "x", sx_field_i64("number", i), sx_field_z("end", "of line"));
    sx_telemetry_thread_leave();
    return NULL;
}

static void test_no_line_is_lost_or_torn_over_rotations(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.rotate_bytes = 60000,
                                 .rotate_keep = NAMES,
                                 .repeats_max = SX_LOG_REPEATS_ALL});
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, f->log);
    for (int i = 0; i < 20; i++) {
        sx_log_reopen(f->log);
        sx_log_flush(f->log, 1000);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(sx_log_flush(f->log, 5000));
    assert_true(sx_log_counts_of(f->log).rotations > 10);
    read_all(f);
    size_t lines = 0;
    for (const char *at = f->text.data; *at; lines++) {
        const char *end = strchr(at, '\n');
        assert_non_null(end);
        assert_memory_equal(at, "{\"timestamp\":\"", 14);
        assert_memory_equal(end - 16, "\"end\":\"of line\"}", 16);
        at = end + 1;
    }
    assert_int_equal(lines, THREADS * ROUNDS);
    assert_int_equal(sx_log_counts_of(f->log).dropped, 0);
}

/* ---- bad outputs ---- */

static void test_a_fifo_is_refused(void **state)
{
    fixture *f = *state;
    sx_error err = {0};
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_int_equal(sx_log_new(&(sx_log_options){.path = f->path}, &f->log, &err), SX_EINVAL);
    assert_non_null(strstr(err.message, "is a FIFO; log to standard output"));
}

static void test_a_folder_is_refused(void **state)
{
    fixture *f = *state;
    sx_error err = {0};
    assert_int_equal(sx_log_new(&(sx_log_options){.path = f->folder}, &f->log, &err), SX_EINVAL);
    assert_non_null(strstr(err.message, "is a folder"));
}

static void test_a_codec_that_is_no_choice_is_refused(void **state)
{
    fixture *f = *state;
    sx_error err = {0};
    sx_log_options o = {.path = f->path, .rotate_bytes = 1, .rotate_codec = SX_CODEC_BROTLI};
    assert_int_equal(sx_log_new(&o, &f->log, &err), SX_EINVAL);
    assert_non_null(strstr(err.message, "use gzip or zstd"));
}

static void test_a_path_that_became_a_folder_keeps_the_old_file(void **state)
{
    fixture *f = *state;
    char moved[128];
    snprintf(moved, sizeof(moved), "%s.moved", f->path);
    open_log(f, (sx_log_options){0});
    assert_int_equal(rename(f->path, moved), 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
    sx_log_reopen(f->log);
    SX_LOG_INFO(sx_log_logger(f->log, ""), NULL, "still here");
    assert_true(sx_log_flush(f->log, 5000));
    sx_buf_clear(&f->text);
    add_contents(f, "shop.log.moved");
    assert_int_equal(count_of(f, "still here"), 1);
    assert_int_equal(sx_log_counts_of(f->log).dropped, 0);
}

/* Ends the log and the faults (which are set while no thread runs) and reads what it left. */
static sx_log_counts end(fixture *f)
{
    assert_true(sx_log_flush(f->log, 5000));
    sx_log_counts counts = sx_log_counts_of(f->log);
    sx_log_free(f->log);
    f->log = NULL;
    sx_fault_file_set((sx_fault_file){0});
    sx_buf_clear(&f->text);
    add_contents(f, "shop.log");
    return counts;
}

static void test_a_rotation_that_fails_loses_nothing(void **state)
{
    fixture *f = *state;
    sx_fault_file_set((sx_fault_file){.nth = 2, /* the first opens the log */
                                      .and_after = true,
                                      .calls = SX_FAULT_RENAME | SX_FAULT_OPEN,
                                      .os_errno = ENOSPC});
    open_log(f, (sx_log_options){.rotate_bytes = 200, .rotate_keep = 50});
    for (int i = 0; i < 20; i++)
        SX_LOG_INFO(sx_log_logger(f->log, ""), NULL, "line", sx_field_i64("i", i));
    sx_log_counts counts = end(f);
    assert_int_equal(count_of(f, "\"line\""), 20);
    assert_int_equal(counts.rotations, 0);
    assert_int_equal(counts.dropped, 0);
}

static void test_a_new_file_that_cannot_be_made_gives_the_name_back(void **state)
{
    fixture *f = *state;
    sx_fault_file_set(
        (sx_fault_file){.nth = 2, .and_after = true, .calls = SX_FAULT_OPEN, .os_errno = ENOSPC});
    open_log(f, (sx_log_options){.rotate_bytes = 200, .rotate_keep = 50});
    for (int i = 0; i < 20; i++)
        SX_LOG_INFO(sx_log_logger(f->log, ""), NULL, "line", sx_field_i64("i", i));
    (void)end(f);
    assert_int_equal(count_of(f, "\"line\""), 20);
    list_files(f);
    assert_int_equal(f->name_count, 1);
}

static void test_a_full_disk_holds_nobody_up(void **state)
{
    fixture *f = *state;
    sx_fault_file_set(
        (sx_fault_file){.nth = 2, .and_after = true, .calls = SX_FAULT_WRITE, .os_errno = ENOSPC});
    open_log(f, (sx_log_options){.repeats_max = SX_LOG_REPEATS_ALL});
    sx_logger *l = sx_log_logger(f->log, "");
    SX_LOG_INFO(l, NULL, "before");
    assert_true(sx_log_flush(f->log, 5000));
    for (int i = 0; i < 100; i++)
        SX_LOG_INFO(l, NULL, "while it is full");
    sx_log_counts counts = end(f);
    assert_true(counts.dropped >= 100);
    assert_true(counts.write_errors > 0);
    assert_string_equal(f->text.data,
                        "{\"timestamp\":\"2024-01-15T10:30:00.123Z\",\"level\":\"INFO\","
                        "\"message\":\"before\"}\n");
}

/* A write fails after a part of a line: what comes after starts on a line of its own. */
static void test_a_torn_line_costs_itself_alone(void **state)
{
    fixture *f = *state;
    sx_fault_file_set(
        (sx_fault_file){.nth = 2, .calls = SX_FAULT_WRITE, .os_errno = ENOSPC, .torn_bytes = 30});
    open_log(f, (sx_log_options){0});
    static const char *const MESSAGES[] = {"before", "torn", "after"};
    for (size_t i = 0; i < SX_COUNT_OF(MESSAGES); i++) {
        SX_LOG_INFO(sx_log_logger(f->log, ""), NULL, MESSAGES[i]);
        assert_true(sx_log_flush(f->log, 5000));
    }
    sx_log_counts counts = end(f);
    assert_true(counts.dropped >= 1);
    assert_int_equal(count_of(f, "\"torn\""), 0);
    assert_int_equal(count_of(f, "\n{\"timestamp\":\"2024-01-15T10:30:00.123Z\",\"level\":\"INFO\","
                                 "\"message\":\"after\"}\n"),
                     1);
}

/* Somebody makes room by emptying the file: what was torn has gone with it. */
static void test_an_emptied_file_starts_with_a_line(void **state)
{
    fixture *f = *state;
    char path[256];
    sx_fault_file_set(
        (sx_fault_file){.nth = 2, .calls = SX_FAULT_WRITE, .os_errno = ENOSPC, .torn_bytes = 30});
    open_log(f, (sx_log_options){0});
    sx_logger *l = sx_log_logger(f->log, "");
    SX_LOG_INFO(l, NULL, "before");
    assert_true(sx_log_flush(f->log, 5000));
    SX_LOG_INFO(l, NULL, "torn");
    assert_true(sx_log_flush(f->log, 5000));
    snprintf(path, sizeof(path), "%s/shop.log", f->folder);
    /* The report of what was lost may have mended it; then there is nothing to see here. */
    assert_int_equal(truncate(path, 0), 0);
    SX_LOG_INFO(l, NULL, "after");
    end(f);
    assert_int_equal(f->text.data[0], '{');
    assert_int_equal(count_of(f, "\"after\""), 1);
}

static void test_a_clock_set_back_does_not_stop_rotation_by_age(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.rotate_s = 86400});
    SX_LOG_INFO(sx_log_logger(f->log, ""), NULL, "of the wrong year");
    written(f);
    sx_fake_clock_jump(&f->clock, 1000000000000); /* 2001 */
    SX_LOG_INFO(sx_log_logger(f->log, ""), NULL, "of the right year");
    written(f);
    list_files(f);
    assert_int_equal(f->name_count, 1);
    sx_fake_clock_advance(&f->clock, 86400000);
    SX_LOG_INFO(sx_log_logger(f->log, ""), NULL, "a day later");
    written(f);
    list_files(f);
    assert_int_equal(f->name_count, 2);
}

static void test_standard_output_may_be_named_as_a_device(void **state)
{
    fixture *f = *state;
    int ends[2], saved = dup(STDOUT_FILENO);
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    dup2(ends[1], STDOUT_FILENO);
    sx_error err = {0};
    sx_status status = sx_log_new(&(sx_log_options){.path = "/dev/stdout"}, &f->log, &err);
    if (status == SX_OK) {
        SX_LOG_INFO(sx_log_logger(f->log, ""), NULL, "to a pipe");
        sx_log_free(f->log);
        f->log = NULL;
    }
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(ends[1]);
    char text[256] = "";
    assert_int_equal(status, SX_OK);
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    assert_non_null(strstr(text, "to a pipe"));
    close(ends[0]);
}

static void test_every_allocation_may_fail(void **state)
{
    fixture *f = *state;
    for (int64_t nth = 1; nth < 60; nth++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_error err = {0};
        sx_log_options o = {.path = f->path,
                            .rotate_bytes = 100,
                            .rotate_codec = SX_CODEC_GZIP,
                            .clock = &f->clock.clock};
        sx_log *log = NULL;
        if (sx_log_new(&o, &log, &err) == SX_OK) {
            for (int i = 0; i < 5; i++)
                SX_LOG_INFO(sx_log_logger(log, "a"), NULL, "x", sx_field_i64("i", i));
            sx_log_flush(log, 5000);
        } else {
            assert_int_equal(err.status, SX_ENOMEM);
        }
        sx_log_free(log);
        assert_int_equal(sx_fault_alloc_held(), 0);
    }
    sx_fault_alloc_set((sx_fault_alloc){0});
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_a_file_stays_below_its_size),
        CASE(test_a_line_longer_than_a_file_has_one_of_its_own),
        CASE(test_a_file_is_rotated_by_age),
        CASE(test_only_the_latest_old_files_are_kept),
        CASE(test_old_files_are_compressed_by_gzip),
        CASE(test_old_files_are_compressed_by_zstd),
        CASE(test_what_an_earlier_run_left_is_compressed),
        CASE(test_names_of_old_files_are_told_from_others),
        CASE(test_no_line_is_lost_or_torn_over_rotations),
        CASE(test_a_fifo_is_refused),
        CASE(test_a_folder_is_refused),
        CASE(test_a_codec_that_is_no_choice_is_refused),
        CASE(test_a_path_that_became_a_folder_keeps_the_old_file),
        CASE(test_a_rotation_that_fails_loses_nothing),
        CASE(test_a_new_file_that_cannot_be_made_gives_the_name_back),
        CASE(test_a_full_disk_holds_nobody_up),
        CASE(test_a_torn_line_costs_itself_alone),
        CASE(test_an_emptied_file_starts_with_a_line),
        CASE(test_a_clock_set_back_does_not_stop_rotation_by_age),
        CASE(test_standard_output_may_be_named_as_a_device),
        CASE(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
