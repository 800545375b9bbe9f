/* test_log.c - lines are whole, valid JSON whatever is in them, counted when dropped. */
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <sextant/buf.h>
#include <sextant/log.h>
#include <sextant/metrics.h>
#include <sextant/utf8.h>

#include "base/fault.h"

typedef struct fixture {
    sx_log *log;
    char path[64];
    sx_fake_clock clock;
    sx_buf text;
} fixture;

enum { START_MS = 1705314600 }; /* 2024-01-15T10:30:00Z, in seconds */

static void open_log(fixture *f, sx_log_options o)
{
    sx_error err = {0};
    o.path = f->path;
    o.clock = &f->clock.clock;
    if (sx_log_new(&o, &f->log, &err) != SX_OK)
        fail_msg("%s", err.message);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    snprintf(f->path, sizeof(f->path), "/tmp/sx-test-log-XXXXXX");
    close(mkstemp(f->path));
    sx_fake_clock_init(&f->clock, (int64_t)START_MS * 1000 + 123);
    sx_buf_init(&f->text, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    sx_log_free(f->log);
    unlink(f->path);
    sx_buf_done(&f->text);
    free(f);
    return 0;
}

/* All that is in a file, NUL-terminated. */
static const char *contents(fixture *f, const char *path)
{
    sx_buf_clear(&f->text);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    for (;;) {
        char *at = sx_buf_reserve(&f->text, 65536);
        ssize_t got = read(fd, at, 65536);
        if (got <= 0)
            break;
        f->text.len += (size_t)got;
    }
    close(fd);
    sx_buf_byte(&f->text, '\0');
    f->text.len--;
    return f->text.data;
}

static const char *written(fixture *f)
{
    assert_true(sx_log_flush(f->log, 5000));
    return contents(f, f->path);
}

static void test_a_record_is_one_json_object(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.service = "shipping-collector", .layer = "collection"});
    sx_logger *l = sx_log_logger(f->log, "");
    sx_log_context context = {.trace_id = SX_STR("550e8400e29b41d4a716446655440000"),
                              .span_id = SX_STR("7f2a1b3c7f2a1b3c"),
                              .request_id = SX_STR("r-1")};
    SX_LOG_INFO(l, &context, "Event processed successfully",
                sx_field_str("event_id", SX_STR("evt-12345")),
                sx_field_i64("processing_time_ms", -125), sx_field_u64("u", UINT64_MAX),
                sx_field_double("d", 0.1), sx_field_double("n", NAN), sx_field_bool("ok", true),
                sx_field_json("metadata", SX_STR("{\"carrier\":\"fedex\"}")));
    SX_LOG_ERROR(sx_log_logger(f->log, "net"), NULL, "no fields");
    assert_string_equal(
        written(f),
        "{\"timestamp\":\"2024-01-15T10:30:00.123Z\",\"level\":\"INFO\","
        "\"service\":\"shipping-collector\",\"layer\":\"collection\","
        "\"trace_id\":\"550e8400e29b41d4a716446655440000\",\"span_id\":\"7f2a1b3c7f2a1b3c\","
        "\"request_id\":\"r-1\",\"message\":\"Event processed successfully\","
        "\"event_id\":\"evt-12345\",\"processing_time_ms\":-125,\"u\":18446744073709551615,"
        "\"d\":0.1,\"n\":null,\"ok\":true,\"metadata\":{\"carrier\":\"fedex\"}}\n"
        "{\"timestamp\":\"2024-01-15T10:30:00.123Z\",\"level\":\"ERROR\","
        "\"service\":\"shipping-collector\",\"layer\":\"collection\",\"logger\":\"net\","
        "\"message\":\"no fields\"}\n");
}

static void test_an_access_line_has_the_request(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.service = "hello"});
    sx_access a = {.wall_ns = 1705314600999000000,
                   .context = {.request_id = SX_STR("r-1")},
                   .method = SX_STR("GET"),
                   .path = SX_STR("/a\"b"),
                   .route = SX_STR("/:x"),
                   .client = SX_STR("127.0.0.1"),
                   .user_agent = SX_STR("curl/8"),
                   .status = 200,
                   .duration_ns = 1234567,
                   .received_bytes = 5,
                   .sent_bytes = 13};
    sx_log_access(f->log, &a);
    assert_string_equal(written(f),
                        "{\"timestamp\":\"2024-01-15T10:30:00.999Z\",\"level\":\"INFO\","
                        "\"service\":\"hello\",\"request_id\":\"r-1\",\"message\":\"request\","
                        "\"method\":\"GET\",\"path\":\"/a\\\"b\",\"route\":\"/:x\",\"status\":200,"
                        "\"duration_ms\":1.234,\"bytes_in\":5,\"bytes_out\":13,"
                        "\"client\":\"127.0.0.1\",\"user_agent\":\"curl/8\"}\n");
}

/* Reads the inside of a JSON string back; fails the test on anything RFC 8259 forbids. */
static size_t unescape(const char *at, char *out, size_t *out_len)
{
    const char *start = at;
    *out_len = 0;
    while (*at != '"') {
        unsigned char c = (unsigned char)*at++;
        assert_true(c >= 0x20);
        if (c == '\\') {
            static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
            c = (unsigned char)*at++;
            if (c == 'u') {
                char hex[5] = {at[0], at[1], at[2], at[3], 0};
                char *end;
                c = (unsigned char)strtol(hex, &end, 16);
                assert_ptr_equal(end, hex + 4);
                at += 4;
            } else {
                const char *found = strchr(FROM, c);
                assert_non_null(found);
                c = (unsigned char)TO[found - FROM];
            }
        }
        out[(*out_len)++] = (char)c;
    }
    return (size_t)(at - start);
}

static void test_every_byte_in_a_value_gives_valid_json(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){0});
    sx_logger *l = sx_log_logger(f->log, "");
    for (int byte = 0; byte < 256; byte++) {
        for (int place = 0; place < 20; place += 9) {
            char value[20];
            memset(value, 'x', sizeof(value));
            value[place] = (char)byte;
            sx_str s = {value, sizeof(value)};
            SX_LOG_INFO(l, NULL, "m", sx_field_str("v", s));
            const char *text = written(f);
            const char *line = text + f->text.len - 1; /* the last newline */
            while (line > text && line[-1] != '\n')
                line--;
            line = strstr(line, "\"v\":\"");
            assert_non_null(line);
            char back[64];
            size_t len, used = unescape(line + 5, back, &len);
            assert_string_equal(line + 5 + used, "\"}\n");
            assert_true(sx_utf8_valid(sx_str_of(back, len)));
            if (byte < 0x80)
                assert_true(sx_str_eq(sx_str_of(back, len), s));
            else
                assert_int_equal(len, 22); /* U+FFFD in its place */
        }
    }
}

static void test_levels_change_while_running(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.level = SX_LEVEL_WARN});
    sx_logger *net = sx_log_logger(f->log, "net"), *db = sx_log_logger(f->log, "db");
    assert_ptr_equal(net, sx_log_logger(f->log, "net"));
    SX_LOG_INFO(net, NULL, "hidden");
    assert_int_equal(sx_log_level_set(f->log, "net", SX_LEVEL_DEBUG, NULL), SX_OK);
    SX_LOG_DEBUG(net, NULL, "shown 1");
    SX_LOG_DEBUG(db, NULL, "hidden");
    assert_int_equal(sx_log_level_set(f->log, NULL, SX_LEVEL_INFO, NULL), SX_OK);
    SX_LOG_INFO(db, NULL, "shown 2");
    SX_LOG_DEBUG(net, NULL, "hidden");
    SX_LOG_INFO(sx_log_logger(f->log, "new"), NULL, "shown 3");
    assert_int_equal(sx_log_level_set(f->log, "none", SX_LEVEL_INFO, NULL), SX_ENOTFOUND);
    const char *text = written(f);
    assert_non_null(strstr(text, "shown 1"));
    assert_non_null(strstr(text, "shown 2"));
    assert_non_null(strstr(text, "shown 3"));
    assert_null(strstr(text, "hidden"));
    sx_level level;
    assert_true(sx_level_parse(SX_STR("warn"), &level));
    assert_int_equal(level, SX_LEVEL_WARN);
    assert_false(sx_level_parse(SX_STR("loud"), &level));
}

static void test_reopening_goes_on_in_a_new_file(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){0});
    sx_logger *l = sx_log_logger(f->log, "");
    char rotated[80];
    snprintf(rotated, sizeof(rotated), "%s.1", f->path);
    SX_LOG_INFO(l, NULL, "before");
    written(f);
    assert_int_equal(rename(f->path, rotated), 0);
    sx_log_reopen(f->log);
    assert_true(sx_log_flush(f->log, 5000));
    SX_LOG_INFO(l, NULL, "after");
    assert_non_null(strstr(written(f), "after"));
    assert_null(strstr(contents(f, f->path), "before"));
    assert_null(strstr(contents(f, rotated), "after"));
    unlink(rotated);
}

static void test_a_value_too_long_for_a_line_is_cut(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){0});
    char *value = malloc(1000000);
    memset(value, '\x01', 1000000); /* six bytes each in JSON */
    for (int i = 0; i < 20; i++)
        SX_LOG_INFO(sx_log_logger(f->log, ""), NULL, "long",
                    sx_field_str("v", sx_str_of(value, 1000000)), sx_field_i64("after", i));
    const char *text = written(f);
    assert_non_null(strstr(text, "...\",\"after\":19}\n"));
    assert_int_equal(sx_log_counts_of(f->log).dropped, 0);
    free(value);
}

/* Whole lines, as many of the last as the bytes hold, wherever the ring's end falls. */
static void test_the_last_lines_are_kept(void **state)
{
    fixture *f = *state;
    sx_error err;
    sx_buf kept;
    open_log(f, (sx_log_options){.recent_bytes_max = 1000, .repeats_max = SX_LOG_REPEATS_ALL});
    sx_logger *l = sx_log_logger(f->log, "");
    sx_buf_init(&kept, 0);
    assert_int_equal(sx_log_recent(f->log, &kept, &err), SX_OK);
    assert_int_equal(kept.len, 0);
    for (int64_t i = 0; i < 100; i++) {
        SX_LOG_INFO(l, NULL, "line", sx_field_i64("n", i * i * i));
        sx_str all = sx_str_z(written(f));
        sx_buf_clear(&kept);
        assert_int_equal(sx_log_recent(f->log, &kept, &err), SX_OK);
        assert_true(kept.len <= 1000 && kept.len + 100 > (all.len < 1000 ? all.len : 1000));
        assert_true(sx_str_ends(all, sx_buf_view(&kept)));
        assert_int_equal(kept.data[0], '{');
    }
    sx_buf_done(&kept);
}

static void test_what_a_stuck_output_cannot_take_is_dropped_and_counted(void **state)
{
    fixture *f = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    sx_error err = {0};
    assert_int_equal(sx_log_new(&(sx_log_options){.fd = ends[1],
                                                  .lane_bytes_max = 131072,
                                                  .form = SX_LOG_JSON,
                                                  .repeats_max = SX_LOG_REPEATS_ALL},
                                &f->log, &err),
                     SX_OK);
    sx_logger *l = sx_log_logger(f->log, "");
    enum { LINES = 5000 };
    for (int i = 0; i < LINES; i++) /* nobody reads: never blocks */
        SX_LOG_INFO(l, NULL, "a line of some length that fills the pipe and then the lane");
    sx_log_counts counts = sx_log_counts_of(f->log);
    assert_int_equal(counts.lines, LINES);
    assert_true(counts.dropped > 0);
    assert_false(sx_log_flush(f->log, 20)); /* and says so when asked to wait */

    /* Somebody reads again: what was kept comes whole, and the log tells of the rest. */
    sx_buf all;
    sx_buf_init(&all, 0);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 5000; i++) {
        char *at = sx_buf_reserve(&all, 65536);
        ssize_t got = read(ends[0], at, 65536);
        if (got > 0)
            all.len += (size_t)got;
        else if (sx_log_flush(f->log, 2))
            break;
    }
    for (ssize_t got = 1; got > 0;) {
        char *at = sx_buf_reserve(&all, 65536);
        got = read(ends[0], at, 65536);
        all.len += got > 0 ? (size_t)got : 0;
    }
    sx_str text = sx_buf_view(&all);
    uint64_t lines = 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    size_t at = sx_str_find(text, SX_STR("\"message\":\"log lines dropped\",\"dropped\":"));
    assert_true(at < text.len);
    uint64_t reports = 0;
    for (sx_str rest = text; (at = sx_str_find(rest, SX_STR("lines dropped\""))) < rest.len;
         rest = sx_str_from(rest, at + 1))
        reports++;
    assert_int_equal(lines - reports, LINES - sx_log_counts_of(f->log).dropped);
    sx_buf_done(&all);
    sx_log_free(f->log);
    f->log = NULL;
    close(ends[0]);
    close(ends[1]);
}

static void test_a_full_disk_is_counted_and_survived(void **state)
{
    fixture *f = *state;
    int fd = open("/dev/full", O_WRONLY);
    if (fd < 0)
        skip();
    sx_error err = {0};
    assert_int_equal(sx_log_new(&(sx_log_options){.fd = fd, .form = SX_LOG_JSON}, &f->log, &err),
                     SX_OK);
    for (int i = 0; i < 10; i++)
        SX_LOG_INFO(sx_log_logger(f->log, ""), NULL, "lost");
    assert_true(sx_log_flush(f->log, 5000));
    sx_log_counts counts = sx_log_counts_of(f->log);
    assert_true(counts.write_errors > 0);
    assert_true(counts.dropped >= 10);
    sx_log_free(f->log);
    f->log = NULL;
    close(fd);
}

static void test_console_lines_are_for_people(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.form = SX_LOG_CONSOLE, .service = "s"});
    SX_LOG_WARN(sx_log_logger(f->log, "net"), NULL, "slow\x1b[31m peer", sx_field_z("a", "plain"),
                sx_field_z("b", "two words"), sx_field_i64("n", 3));
    sx_log_access(f->log, &(sx_access){.method = SX_STR("GET"),
                                       .path = SX_STR("/"),
                                       .status = 200,
                                       .duration_ns = 1500000,
                                       .sent_bytes = 3,
                                       .client = SX_STR("::1"),
                                       .context = {.request_id = SX_STR("r-1")}});
    assert_string_equal(
        written(f),
        "2024-01-15T10:30:00.123Z WARN  net: slow\\u001b[31m peer a=plain b=\"two words\" n=3\n"
        "2024-01-15T10:30:00.123Z INFO  request method=GET path=/ status=200 duration_ms=1.5 "
        "bytes_out=3 client=::1 request_id=r-1\n");
}

/* ---- threads ---- */

enum { THREADS = 6, ROUNDS = 3000 };

typedef struct job {
    sx_log *log;
    int number;
} job;

static void *work(void *arg)
{
    const job *j = arg;
    if (j->number % 2)
        sx_telemetry_thread_join();
    sx_logger *l = sx_log_logger(j->log, "");
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 2)
            SX_LOG_INFO(l, NULL, "x", sx_field_i64("thread", j->number));
        else
            sx_log_access(j->log, &(sx_access){.path = SX_STR("/x"), .status = 200});
        if (i % 16 == 0)
            sx_log_turn_end(j->log);
    }
    sx_log_turn_end(j->log);
    sx_telemetry_thread_leave();
    return NULL;
}

static void test_lines_of_many_threads_stay_whole(void **state)
{
    fixture *f = *state;
    open_log(f, (sx_log_options){.repeats_max = SX_LOG_REPEATS_ALL});
    pthread_t threads[THREADS];
    job jobs[THREADS];
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (job){f->log, i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    for (int i = 0; i < 5; i++)
        sx_log_reopen(f->log);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    const char *text = written(f);
    size_t lines = 0;
    for (const char *at = text; *at; lines++) {
        const char *end = strchr(at, '\n');
        assert_non_null(end);
        assert_memory_equal(at, "{\"timestamp\":\"2024-01-15T10:30:00.123Z\",\"level\":\"INFO\",",
                            55);
        assert_int_equal(end[-1], '}');
        at = end + 1;
    }
    assert_int_equal(sx_log_counts_of(f->log).dropped, 0);
    assert_int_equal(lines, THREADS * ROUNDS);
}

static void test_every_allocation_may_fail(void **state)
{
    fixture *f = *state;
    for (int64_t nth = 1; nth < 40; nth++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_error err = {0};
        sx_log_options o = {.path = f->path, .service = "s", .layer = "l"};
        sx_log *log = NULL;
        if (sx_log_new(&o, &log, &err) == SX_OK)
            SX_LOG_INFO(sx_log_logger(log, "a"), NULL, "x");
        else
            assert_int_equal(err.status, SX_ENOMEM);
        sx_log_free(log);
        assert_int_equal(sx_fault_alloc_held(), 0);
        if (sx_fault_alloc_calls() < nth)
            break;
    }
    sx_fault_alloc_set((sx_fault_alloc){0});
}

static void test_a_file_that_cannot_be_opened_is_named(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_log *log = NULL;
    assert_int_equal(sx_log_new(&(sx_log_options){.path = "/nowhere/at/all.log"}, &log, &err),
                     SX_ENOTFOUND);
    assert_non_null(strstr(err.message, "/nowhere/at/all.log"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_record_is_one_json_object, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_access_line_has_the_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_byte_in_a_value_gives_valid_json, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_levels_change_while_running, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reopening_goes_on_in_a_new_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_value_too_long_for_a_line_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_last_lines_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_stuck_output_cannot_take_is_dropped_and_counted,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_disk_is_counted_and_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(test_console_lines_are_for_people, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lines_of_many_threads_stay_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_allocation_may_fail, setup, teardown),
        cmocka_unit_test(test_a_file_that_cannot_be_opened_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
