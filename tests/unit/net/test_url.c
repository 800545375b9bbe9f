/* test_url.c - URLs are split in one way only, paths cannot climb, escapes and queries decode. */
#include "tests/unit/base/cmocka_all.h"

#include <sextant/http.h>
#include <sextant/mem.h>
#include <sextant/url.h>

#include "lib/base/fault.h"

static void expect(sx_str got, const char *wanted)
{
    if (!sx_str_eq(got, sx_str_z(wanted)))
        fail_msg("'%.*s' is not '%s'", SX_ARG(got), wanted);
}

static void test_good_urls_are_split(void **state)
{
    static const struct {
        const char *text, *userinfo, *host;
        unsigned port;
        const char *authority, *path, *query, *target;
        sx_url_scheme scheme;
    } CASES[] = {
        {"http://a", NULL, "a", 80, "a", "", NULL, "/", SX_URL_HTTP},
        {"HTTPS://Example.COM:8443/x/y?q=1#f", NULL, "Example.COM", 8443, "Example.COM:8443",
         "/x/y", "q=1", "/x/y?q=1", SX_URL_HTTPS},
        {"https://u:p%40@h/", "u:p%40", "h", 443, "h", "/", NULL, "/", SX_URL_HTTPS},
        {"http://[::1]:9090?x", NULL, "::1", 9090, "[::1]:9090", "", "x", "/?x", SX_URL_HTTP},
        {"http://[2001:db8::1]/", NULL, "2001:db8::1", 80, "[2001:db8::1]", "/", NULL, "/",
         SX_URL_HTTP},
        {"http://h/federate?match[]={a=\"", NULL, NULL, 0, NULL, NULL, NULL, NULL, SX_URL_HTTP},
        {"http://h/f?match[]={a}", NULL, "h", 80, "h", "/f", "match[]={a}", "/f?match[]={a}",
         SX_URL_HTTP},
        {"http://b\xc3\xbc"
         "cher.example/",
         NULL,
         "b\xc3\xbc"
         "cher.example",
         80,
         "b\xc3\xbc"
         "cher.example",
         "/", NULL, "/", SX_URL_HTTP},
        {"unix:/run/a.sock", NULL, "/run/a.sock", 0, "", "", NULL, "/", SX_URL_UNIX},
        {"unix:/run/a.sock:/x?y", NULL, "/run/a.sock", 0, "", "/x", "y", "/x?y", SX_URL_UNIX},
        {"http://a?b=/@c", NULL, "a", 80, "a", "", "b=/@c", "/?b=/@c", SX_URL_HTTP},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_url url;
        sx_error err;
        sx_status st = sx_url_parse(sx_str_z(CASES[i].text), &url, &err);
        if (!CASES[i].host) {
            assert_int_equal(st, SX_EFORMAT);
            continue;
        }
        if (st != SX_OK)
            fail_msg("%s: %s", CASES[i].text, err.message);
        assert_int_equal(url.scheme, CASES[i].scheme);
        assert_int_equal(url.port, CASES[i].port);
        assert_true(!!url.userinfo.data == !!CASES[i].userinfo);
        if (CASES[i].userinfo)
            expect(url.userinfo, CASES[i].userinfo);
        expect(url.host, CASES[i].host);
        expect(url.authority, CASES[i].authority);
        expect(url.path, CASES[i].path);
        assert_true(!!url.query.data == !!CASES[i].query);
        sx_buf target;
        sx_buf_init(&target, 0);
        sx_url_target(&url, &target);
        expect(sx_buf_view(&target), CASES[i].target);
        sx_buf_done(&target);
    }
}

static void test_bad_urls_are_refused_with_a_reason(void **state)
{
    static const char *const CASES[] = {
        "",
        "http:",
        "http:/a",
        "http://",
        "http:///x",
        "http://:80/",
        "http://a:/",
        "http://a:0/",
        "http://a:65536/",
        "http://a:+1/",
        "http://a:80:80/",
        "http://a b/",
        "http://a\\b/",
        "http://a%2fb/",
        "http://a@b@c/",
        "http://[::1/",
        "http://[::g]/",
        "http://[::1%25eth0]/",
        "http://[::1]x/",
        "http://[127.0.0.1]/",
        "http://a/\x01",
        "http://a/ b",
        "http://a/%",
        "http://a/%4",
        "http://a/%zz",
        "http://a/\xc3\xbc",
        "http://a/?\"",
        "http://a/?%a",
        "http://a/#\n",
        "ftp://a/",
        "//a/",
        "a.example/x",
        "javascript:alert(1)",
        "unix:",
        "unix:a",
        "unix:/",
        "unix:/a:b",
        "unix:/a:",
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_url url = {.port = 7};
        sx_error err = {0};
        sx_status st = sx_url_parse(sx_str_z(CASES[i]), &url, &err);
        if (st == SX_OK)
            fail_msg("'%s' was taken", CASES[i]);
        assert_true(err.message[0]);
        assert_int_equal(url.port, 7); /* untouched */
    }
    sx_url url;
    sx_error err;
    char *giant = sx_alloc(SX_URL_BYTES_MAX + 1);
    memset(giant, 'a', SX_URL_BYTES_MAX + 1);
    memcpy(giant, "http://a/", 9);
    assert_int_equal(sx_url_parse(sx_str_of(giant, SX_URL_BYTES_MAX + 1), &url, &err), SX_ELIMIT);
    assert_int_equal(sx_url_parse(sx_str_of(giant, SX_URL_BYTES_MAX), &url, &err), SX_OK);
    sx_free(giant);
}

static void test_every_cut_of_a_url_is_taken_or_refused(void **state)
{
    static const char TEXT[] = "https://user:p%20w@[2001:db8::1]:8443/a/%41?b=%42&c#d%43";
    (void)state;
    for (size_t len = 0; len < sizeof(TEXT); len++) {
        char *exact = sx_alloc(len); /* so that a sanitizer sees a read beyond */
        sx_url url;
        sx_error err = {0};
        memcpy(exact, TEXT, len);
        if (sx_url_parse(sx_str_of(exact, len), &url, &err) != SX_OK)
            assert_true(err.message[0]);
        sx_free(exact);
    }
}

static void test_paths_are_cleaned(void **state)
{
    static const struct {
        const char *path, *clean;
        sx_status status;
    } CASES[] = {
        {"/", "/", SX_OK},
        {"/a", "/a", SX_OK},
        {"/a/", "/a/", SX_OK},
        {"//a//b", "/a/b", SX_OK},
        {"/a/./b/.", "/a/b/", SX_OK},
        {"/a/../b", "/b", SX_OK},
        {"/a/b/..", "/a/", SX_OK},
        {"/a/..", "/", SX_OK},
        {"/a/%2e%2e/b", "/b", SX_OK},
        {"/a%20b", "/a b", SX_OK},
        {"/...", "/...", SX_OK},
        {"/a+b", "/a+b", SX_OK},
        {"/..", NULL, SX_EACCESS},
        {"/a/../../b", NULL, SX_EACCESS},
        {"/%2e%2e/etc", NULL, SX_EACCESS},
        {"/a%2fb", NULL, SX_EACCESS},
        {"/a%2F..", NULL, SX_EACCESS},
        {"/a\\b", NULL, SX_EACCESS},
        {"/a%5cb", NULL, SX_EACCESS},
        {"/a%00b", NULL, SX_EFORMAT},
        {"/a%0", NULL, SX_EFORMAT},
        {"/%", NULL, SX_EFORMAT},
        {"", NULL, SX_EFORMAT},
        {"a", NULL, SX_EFORMAT},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_arena arena;
        sx_str clean;
        sx_error err = {0};
        sx_arena_init(&arena, 0, 0);
        sx_status st = sx_path_clean(&arena, sx_str_z(CASES[i].path), &clean, &err);
        if (st != CASES[i].status)
            fail_msg("%s: %s", CASES[i].path, sx_status_name(st));
        if (st == SX_OK)
            expect(clean, CASES[i].clean);
        else
            assert_true(err.message[0]);
        sx_arena_done(&arena);
    }
}

static void test_percent_decoding(void **state)
{
    sx_arena arena;
    sx_str out, plain = SX_STR("no escapes + here");
    sx_error err;
    (void)state;
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(sx_percent_decode(&arena, plain, SX_PERCENT_PATH, &out, &err), SX_OK);
    assert_ptr_equal(out.data, plain.data);
    assert_int_equal(sx_percent_decode(&arena, plain, SX_PERCENT_FORM, &out, &err), SX_OK);
    expect(out, "no escapes   here");
    assert_int_equal(
        sx_percent_decode(&arena, SX_STR("%41%c3%A9%00x"), SX_PERCENT_PATH, &out, &err), SX_OK);
    assert_int_equal(out.len, 5);
    assert_memory_equal(out.data, "A\xc3\xa9\0x", 5);
    assert_int_equal(sx_percent_decode(&arena, SX_STR("ab%4"), SX_PERCENT_PATH, &out, &err),
                     SX_EFORMAT);
    assert_non_null(strstr(err.message, "offset 2"));
    assert_int_equal(sx_percent_decode(&arena, SX_STR("%%41"), SX_PERCENT_PATH, &out, &err),
                     SX_EFORMAT);
    sx_arena_done(&arena);
}

static void test_queries_are_walked(void **state)
{
    sx_str rest = SX_STR("&a=1&&b&=c&d=e=f&"), name, value;
    static const char *const WANTED[][2] = {{"a", "1"}, {"b", ""}, {"", "c"}, {"d", "e=f"}};
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(WANTED); i++) {
        assert_true(sx_query_next(&rest, &name, &value));
        expect(name, WANTED[i][0]);
        expect(value, WANTED[i][1]);
    }
    assert_false(sx_query_next(&rest, &name, &value));
    assert_false(sx_query_next(&rest, &name, &value));
}

static void test_encoding_reads_back(void **state)
{
    char all[256];
    sx_buf coded;
    sx_arena arena;
    sx_str back;
    sx_error err;
    (void)state;
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    sx_buf_init(&coded, 0);
    sx_arena_init(&arena, 0, 0);
    sx_url_encode(sx_str_of(all, 256), &coded);
    assert_int_equal(sx_percent_decode(&arena, sx_buf_view(&coded), SX_PERCENT_FORM, &back, &err),
                     SX_OK);
    assert_true(sx_str_eq(back, sx_str_of(all, 256)));
    sx_buf_done(&coded);
    sx_arena_done(&arena);
}

static void test_memory_failures_are_reported(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= 2; n++) {
        sx_arena arena;
        sx_str out;
        sx_error err;
        sx_arena_init(&arena, 16, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        assert_int_equal(sx_path_clean(&arena, SX_STR("/%41/a/long/enough/path"), &out, &err),
                         SX_ENOMEM);
        sx_fault_alloc_set((sx_fault_alloc){0});
        sx_arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_urls_are_split),
        cmocka_unit_test(test_bad_urls_are_refused_with_a_reason),
        cmocka_unit_test(test_every_cut_of_a_url_is_taken_or_refused),
        cmocka_unit_test(test_paths_are_cleaned),
        cmocka_unit_test(test_percent_decoding),
        cmocka_unit_test(test_queries_are_walked),
        cmocka_unit_test(test_encoding_reads_back),
        cmocka_unit_test(test_memory_failures_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
