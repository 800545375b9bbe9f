/* test_redis_parts.c - Redis URLs, commands as bytes, replies out of bytes, what errors mean. */
#include "tests/unit/base/cmocka_all.h"

#include <stdio.h>

#include "client/redis_internal.h"
#include "lib/base/fault.h"

static void test_urls(void **state)
{
    static const struct {
        const char *url, *host, *user, *password;
        uint16_t port;
        uint32_t db;
        bool tls;
    } ROWS[] = {
        {"redis://", "127.0.0.1", "", "", 6379, 0, false},
        {"redis://cache", "cache", "", "", 6379, 0, false},
        {"REDISS://u:p%40ss@[::1]:1/15", "::1", "u", "p@ss", 1, 15, true},
        {"redis://:a@b@host:7?db=3", "host", "", "a@b", 7, 3, false},
        {"unix:///run/redis.sock?db=2", "/run/redis.sock", "", "", 0, 2, false},
        {"unix://u:p@/a%20b", "/a b", "u", "p", 0, 0, false},
    };
    static const char *const WRONG[] = {
        "",
        "http://x",
        "redis:/x",
        "redis://h:0",
        "redis://h:65536",
        "redis://h/",
        "redis://h/x",
        "redis://h/70000",
        "redis://secret@h",
        "redis://:%zz@h",
        "redis://[::1",
        "redis://[::1]x",
        "unix://relative",
        "redis://h?name=x",
        "redis://a b",
        "redis://h:6379x",
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_arena arena;
        sx_error err;
        redis_address a;
        sx_arena_init(&arena, 0, 0);
        assert_int_equal(redis_url_parse(sx_str_z(ROWS[i].url), &arena, &a, &err), SX_OK);
        assert_true(sx_str_eq(a.host, sx_str_z(ROWS[i].host)));
        assert_true(sx_str_eq(a.user, sx_str_z(ROWS[i].user)));
        assert_true(sx_str_eq(a.password, sx_str_z(ROWS[i].password)));
        assert_int_equal(a.port, ROWS[i].port);
        assert_int_equal(a.db, ROWS[i].db);
        assert_int_equal(a.tls, ROWS[i].tls);
        sx_arena_done(&arena);
    }
    for (size_t i = 0; i < SX_COUNT_OF(WRONG); i++) {
        sx_arena arena;
        sx_error err;
        redis_address a;
        sx_arena_init(&arena, 0, 0);
        sx_status st = redis_url_parse(sx_str_z(WRONG[i]), &arena, &a, &err);
        if (strcmp(WRONG[i], "redis://h/") == 0) /* no database is named */
            assert_int_equal(st, SX_OK);
        else
            assert_int_equal(st, SX_EFORMAT);
        assert_null(strstr(err.message, "secret")); /* a URL is a password, or may be one */
        sx_arena_done(&arena);
    }
}

static void test_commands_as_bytes(void **state)
{
    const sx_str words[] = {SX_STR("SET"), SX_STR("k\r\n\0"), SX_STR(""), SX_STR("0123456789")};
    static const char WIRE[] =
        "*4\r\n$3\r\nSET\r\n$4\r\nk\r\n\0\r\n$0\r\n\r\n$10\r\n0123456789\r\n";
    char out[128], name[32];
    (void)state;
    assert_int_equal(redis_wire_bytes(words, 4), sizeof(WIRE) - 1);
    redis_wire_write(words, 4, out);
    assert_memory_equal(out, WIRE, sizeof(WIRE) - 1);
    assert_true(sx_str_eq(redis_command_name(SX_STR("hGet"), name), SX_STR("HGET")));
    assert_true(sx_str_eq(redis_command_name(SX_STR("a b"), name), SX_STR("?")));
    assert_non_null(redis_command_refused(SX_STR("multi")));
    assert_null(redis_command_refused(SX_STR("GET")));
    assert_int_equal(redis_error_meaning(SX_STR("MOVED 1 h:1")).status, SX_EUNSUPPORTED);
    assert_int_equal(redis_error_meaning(SX_STR("LOADING x")).outcome, CLIENT_UNAVAILABLE);
    assert_true(redis_error_meaning(SX_STR("READONLY You can't")).is_readonly);
    assert_int_equal(redis_error_meaning(SX_STR("ERR")).status, SX_EINVAL);
}

/* A reply as text: "[1 (nil) x]". */
static void show(const sx_redis_reply *r, sx_buf *out)
{
    if (r->kind == SX_REDIS_NIL)
        sx_buf_str(out, SX_STR("nil"));
    if (r->kind == SX_REDIS_INTEGER)
        sx_buf_i64(out, r->integer);
    if (r->kind == SX_REDIS_ERROR)
        sx_buf_byte(out, '!');
    sx_buf_str(out, r->str);
    if (r->kind == SX_REDIS_ARRAY) {
        sx_buf_byte(out, '[');
        for (size_t i = 0; i < r->count; i++) {
            sx_buf_str(out, i ? SX_STR(" ") : SX_STR(""));
            show(&r->items[i], out);
        }
        sx_buf_byte(out, ']');
    }
}

/* Whatever way the bytes are cut, the same replies come. */
static void test_replies_cut_at_every_byte(void **state)
{
    static const char TEXT[] =
        "+OK\r\n:-7\r\n$-1\r\n*0\r\n*3\r\n$2\r\n\r\n\r\n*2\r\n:1\r\n*-1\r\n-ERR no\r\n$0\r\n\r\n";
    (void)state;
    for (size_t cut = 0; cut < sizeof(TEXT); cut++) {
        redis_reader r;
        sx_error err;
        sx_buf out;
        const sx_redis_reply *reply;
        sx_buf_init(&out, 0);
        assert_int_equal(redis_reader_init(&r, 1000, 100, &err), SX_OK);
        const sx_str pieces[] = {sx_str_of(TEXT, cut),
                                 sx_str_of(TEXT + cut, sizeof(TEXT) - 1 - cut)};
        for (int i = 0; i < 2; i++) {
            sx_status st;
            assert_int_equal(redis_reader_feed(&r, pieces[i], &err), SX_OK);
            while ((st = redis_reader_next(&r, &reply, &err)) == SX_OK) {
                show(reply, &out);
                sx_buf_byte(&out, ';');
            }
            assert_int_equal(st, SX_AGAIN);
        }
        assert_true(sx_str_eq(sx_buf_view(&out), SX_STR("OK;-7;nil;[];[\r\n [1 nil] !ERR no];;")));
        sx_buf_done(&out);
        redis_reader_done(&r);
    }
}

static sx_status feed(const char *text, size_t bytes_max, uint32_t items_max, sx_error *err)
{
    redis_reader r;
    const sx_redis_reply *reply;
    sx_status st = redis_reader_init(&r, bytes_max, items_max, err);
    if (st == SX_OK)
        st = redis_reader_feed(&r, sx_str_z(text), err);
    while (st == SX_OK)
        st = redis_reader_next(&r, &reply, err);
    redis_reader_done(&r);
    return st;
}

static void test_replies_that_are_too_much_or_wrong(void **state)
{
    sx_error err;
    (void)state;
    assert_int_equal(feed("*2147483647\r\n", 1000, 100, &err), SX_ELIMIT);
    assert_int_equal(feed("*60\r\n*60\r\n", 1000, 100, &err), SX_ELIMIT);
    assert_int_equal(feed("$500\r\nabcdefghijkl", 10, 100, &err), SX_ELIMIT);
    assert_int_equal(feed("HTTP/1.1 400 Bad\r\n", 1000, 100, &err), SX_EPROTOCOL);
    assert_int_equal(
        feed("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", 1000, 100, &err),
        SX_EPROTOCOL);
    assert_int_equal(feed("$-5\r\n", 1000, 100, &err), SX_EPROTOCOL);
    assert_true(err.message[0] != '\0');
}

static void test_replies_without_memory(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        sx_error err;
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = feed("*2\r\n$3\r\nabc\r\n*1\r\n+x\r\n", 1000, 100, &err);
        bool is_last = sx_fault_alloc_calls() < nth;
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(st, is_last ? SX_AGAIN : SX_ENOMEM);
        if (is_last)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_commands_as_bytes),
        cmocka_unit_test(test_replies_cut_at_every_byte),
        cmocka_unit_test(test_replies_that_are_too_much_or_wrong),
        cmocka_unit_test(test_replies_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
