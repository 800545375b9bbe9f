/* test_static.c - files and assets: what is found, what is never found, conditions, ranges, codings. */
#include "tests/unit/net/client_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sextant/static.h>

#include "lib/base/fault.h"
#include "net/static_rules.h"

typedef struct static_fixture {
    client_fixture f;
    sx_http_server *server;
    sx_bound bound;
    sx_pool *pool;
    sx_static *folder;
    char root[64];
    char url[160];
} static_fixture;

static const sx_asset ASSETS[] = {
    {"/app.js", NULL, "\"j1\"", "let a;", 6, "zipped", 6},
    {"/index.html", NULL, "\"h1\"", "<p>hi", 5, NULL, 0},
};
static const sx_assets TABLE = {ASSETS, SX_COUNT_OF(ASSETS), "max-age=60"};
static const sx_str BROTLI[] = {SX_STR_INIT("squeezed"), SX_STR_INIT("")};

static void handle(sx_request *r, void *ctx)
{
    static_fixture *s = ctx;
    bool found = true;
    if (sx_str_starts(r->path, SX_STR("/assets/")))
        found = sx_assets_serve(&TABLE, r, sx_str_from(r->path, 7));
    else if (sx_str_starts(r->path, SX_STR("/squeezed/")))
        found = sx_assets_serve_brotli(&TABLE, BROTLI, r, sx_str_from(r->path, 9));
    else
        sx_static_serve(s->folder, r, r->path);
    if (!found)
        sx_reply(r, 404, SX_STR("text/plain"), SX_STR("no asset\n"));
}

static void write_file(static_fixture *s, const char *name, const char *text, size_t len)
{
    char path[160];
    struct timespec times[2] = {{784111777, 0}, {784111777, 5}}; /* 6 Nov 1994 08:49:37 */
    snprintf(path, sizeof(path), "%s/%s", s->root, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    futimens(fd, times);
    close(fd);
}

static char big[300000];

static int open_fixture(void **state)
{
    static static_fixture s;
    sx_error err;
    char path[160];
    memset(&s, 0, sizeof(s));
    client_fixture_open(&s.f, NULL);
    snprintf(s.root, sizeof(s.root), "/tmp/sx_static_XXXXXX");
    assert_non_null(mkdtemp(s.root));
    snprintf(path, sizeof(path), "%s/sub", s.root);
    mkdir(path, 0755);
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)('a' + i % 23);
    write_file(&s, "a.txt", "0123456789", 10);
    write_file(&s, "index.html", "<p>index", 8);
    write_file(&s, "sub/index.html", "<p>sub", 6);
    write_file(&s, "big.bin", big, sizeof(big));
    write_file(&s, "z.js", "plain", 5);
    write_file(&s, "z.js.gz", "gzipped", 7);
    write_file(&s, "z.js.br", "brotli", 6);
    write_file(&s, "empty.css", "", 0);
    write_file(&s, "sp ace.txt", "s", 1);
    snprintf(path, sizeof(path), "%s/out", s.root);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof(path), "%s/in", s.root);
    assert_int_equal(symlink("a.txt", path), 0);
    snprintf(path, sizeof(path), "%s/pipe", s.root);
    assert_int_equal(mkfifo(path, 0644), 0);

    assert_int_equal(sx_pool_new(&(sx_pool_options){.name = "disk", .threads = 1}, &s.pool, &err),
                     SX_OK);
    sx_static_options options = {.root = s.root, .pool = s.pool, .precompressed = true};
    assert_int_equal(sx_static_open(&options, &s.folder, &err), SX_OK);
    sx_http_server_options server = {.handler = handle, .ctx = &s};
    sx_listen_options listen = {.address = SX_STR("127.0.0.1:0"), .inherited_fd = -1};
    assert_int_equal(sx_http_server_new(s.f.server.loop, &server, &s.server, &err), SX_OK);
    assert_int_equal(sx_http_server_listen(s.server, &listen, &s.bound, &err), SX_OK);
    *state = &s;
    return 0;
}

static int close_fixture(void **state)
{
    static_fixture *s = *state;
    char command[128];
    sx_http_client_free(s->f.client);
    s->f.client = NULL;
    sx_http_server_free(s->server);
    sx_static_close(s->folder);
    sx_pool_free(s->pool);
    client_fixture_close(&s->f);
    snprintf(command, sizeof(command), "rm -r '%s'", s->root);
    assert_int_equal(system(command), 0);
    return 0;
}

/* A call with up to two fields; the record is filled. */
static void get_with(static_fixture *s, call_record *r, const char *method, const char *target,
                     const sx_header *headers, size_t count)
{
    memset(r, 0, sizeof(*r));
    snprintf(s->url, sizeof(s->url), "http://%s%s", s->bound.text, target);
    sx_call_request request = {.method = sx_str_z(method),
                               .url = sx_str_z(s->url),
                               .headers = headers,
                               .header_count = count};
    assert_int_equal(sx_http_call(s->f.client, &request, &RECORD, r, &r->call, &r->err), SX_OK);
    client_fixture_until(&s->f, &r->dones);
    assert_int_equal(r->result, SX_OK);
}

static void expect(static_fixture *s, const char *method, const char *target, const char *name,
                   const char *value, int status, const char *body)
{
    call_record r;
    sx_header header = {sx_str_z(name), sx_str_z(value)};
    get_with(s, &r, method, target, &header, name ? 1 : 0);
    if (r.status != status || (body && !sx_str_eq(sx_buf_view(&r.body), sx_str_z(body))))
        fail_msg("%s %s (%s: %s): %d '%.*s'", method, target, name ? name : "", value ? value : "",
                 r.status, SX_ARG(sx_buf_view(&r.body)));
    call_record_done(&r);
}

static void test_files_are_found(void **state)
{
    static_fixture *s = *state;
    expect(s, "GET", "/a.txt", NULL, NULL, 200, "0123456789");
    expect(s, "HEAD", "/a.txt", NULL, NULL, 200, "");
    expect(s, "GET", "/", NULL, NULL, 200, "<p>index");
    expect(s, "GET", "/sub/", NULL, NULL, 200, "<p>sub");
    expect(s, "GET", "/sub/../a.txt", NULL, NULL, 200, "0123456789");
    expect(s, "GET", "/sp%20ace.txt", NULL, NULL, 200, "s");
    expect(s, "GET", "/empty.css", NULL, NULL, 200, "");
    expect(s, "GET", "/in", NULL, NULL, 200, "0123456789");
    expect(s, "POST", "/a.txt", NULL, NULL, 405, NULL);
}

static void test_nothing_else_is_found(void **state)
{
    static const char *const TARGETS[] = {"/none",
                                          "/sub",
                                          "/a.txt/",
                                          "/out",
                                          "/../etc/passwd",
                                          "/sub/../../etc/passwd",
                                          "/%2e%2e/etc/passwd",
                                          "/..%2fetc",
                                          "/pipe",
                                          "/a.txt%5c",
                                          "/sub/%2e%2e/%2e%2e/x"};
    static_fixture *s = *state;
    for (size_t i = 0; i < SX_COUNT_OF(TARGETS); i++)
        expect(s, "GET", TARGETS[i], NULL, NULL, 404, "not found\n");
    expect(s, "GET", "/a%00.txt", NULL, NULL, 400, NULL);
}

static void test_large_file_comes_whole_and_in_ranges(void **state)
{
    static_fixture *s = *state;
    call_record r;
    get_with(s, &r, "GET", "/big.bin", NULL, 0);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.content_bytes, sizeof(big));
    assert_true(sx_str_eq(sx_buf_view(&r.body), sx_str_of(big, sizeof(big))));
    call_record_done(&r);
    sx_header range = {SX_STR("Range"), SX_STR("bytes=100000-250000")};
    get_with(s, &r, "GET", "/big.bin", &range, 1);
    assert_int_equal(r.status, 206);
    assert_true(sx_str_eq(sx_buf_view(&r.body), sx_str_of(big + 100000, 150001)));
    call_record_done(&r);
}

static void test_ranges(void **state)
{
    static_fixture *s = *state;
    static const struct {
        const char *range;
        int status;
        const char *body;
    } CASES[] = {
        {"bytes=0-0", 206, "0"},          {"bytes=2-4", 206, "234"},
        {"bytes=7-", 206, "789"},         {"bytes=-3", 206, "789"},
        {"bytes=-30", 206, "0123456789"}, {"bytes=5-99", 206, "56789"},
        {"bytes=10-", 416, ""},           {"bytes=-0", 416, ""},
        {"bytes=4-2", 200, "0123456789"}, {"bytes=0-1,3-4", 200, "0123456789"},
        {"lines=1-2", 200, "0123456789"}, {"bytes=", 200, "0123456789"},
        {"bytes=a-b", 200, "0123456789"}, {"bytes=99999999999999999999-", 200, "0123456789"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++)
        expect(s, "GET", "/a.txt", "Range", CASES[i].range, CASES[i].status, CASES[i].body);
    expect(s, "GET", "/assets/app.js", "Range", "bytes=1-2", 206, "et");
}

static void test_conditions(void **state)
{
    static_fixture *s = *state;
    static const char *const ETAG = "\"a-2ebc98a1000000005\"";
    static const struct {
        const char *name, *value;
        int status;
    } CASES[] = {
        {"If-None-Match", "\"a-2ebc98a1000000005\"", 304},
        {"If-None-Match", "\"x\", W/\"a-2ebc98a1000000005\"", 304},
        {"If-None-Match", "*", 304},
        {"If-None-Match", "\"x\"", 200},
        {"If-Match", "\"x\"", 412},
        {"If-Match", "*", 200},
        {"If-Match", "\"a-2ebc98a1000000005\"", 200},
        {"If-Match", "W/\"a-2ebc98a1000000005\"", 412},
        {"If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 304},
        {"If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT", 304},
        {"If-Modified-Since", "Sun Nov  6 08:49:37 1994", 304},
        {"If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT", 200},
        {"If-Modified-Since", "yesterday", 200},
        {"If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT", 412},
        {"If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 200},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++)
        expect(s, "GET", "/a.txt", CASES[i].name, CASES[i].value, CASES[i].status, NULL);
    call_record r;
    sx_header both[] = {{SX_STR("Range"), SX_STR("bytes=1-2")},
                        {SX_STR("If-Range"), sx_str_z(ETAG)}};
    get_with(s, &r, "GET", "/a.txt", both, 2);
    assert_int_equal(r.status, 206);
    call_record_done(&r);
    both[1].value = SX_STR("\"other\"");
    get_with(s, &r, "GET", "/a.txt", both, 2);
    assert_int_equal(r.status, 200);
    call_record_done(&r);
    expect(s, "GET", "/assets/app.js", "If-None-Match", "\"j1\"", 304, "");
}

static void test_codings(void **state)
{
    static_fixture *s = *state;
    expect(s, "GET", "/z.js", NULL, NULL, 200, "plain");
    expect(s, "GET", "/z.js", "Accept-Encoding", "gzip", 200, "gzipped");
    expect(s, "GET", "/z.js", "Accept-Encoding", "gzip, br", 200, "brotli");
    expect(s, "GET", "/z.js", "Accept-Encoding", "br;q=0, gzip;q=0", 200, "plain");
    expect(s, "GET", "/a.txt", "Accept-Encoding", "gzip, br", 200, "0123456789");
    expect(s, "GET", "/assets/app.js", NULL, NULL, 200, "let a;");
    expect(s, "GET", "/assets/app.js", "Accept-Encoding", "gzip", 200, "zipped");
    expect(s, "GET", "/assets/app.js", "Accept-Encoding", "gzip, br", 200, "zipped");
    expect(s, "GET", "/assets/", "Accept-Encoding", "gzip", 200, "<p>hi");
    expect(s, "GET", "/squeezed/app.js", "Accept-Encoding", "gzip, deflate, br", 200, "squeezed");
    expect(s, "GET", "/squeezed/app.js", "Accept-Encoding", "br;q=0.5, gzip", 200, "zipped");
    expect(s, "GET", "/squeezed/app.js", "Accept-Encoding", "*;q=0", 200, "let a;");
    expect(s, "GET", "/squeezed/app.js", "If-None-Match", "\"j1-br\"", 200, "let a;");
    expect(s, "GET", "/squeezed/", "Accept-Encoding", "gzip, br", 200, "<p>hi");
    expect(s, "GET", "/assets/none", NULL, NULL, 404, "no asset\n");
    expect(s, "GET", "/assets/../a.txt", NULL, NULL, 404, "no asset\n");
    expect(s, "PUT", "/assets/app.js", NULL, NULL, 405, NULL);
}

static void test_dates(void **state)
{
    static const char *const BAD[] = {"",
                                      "Sun",
                                      "Sun, 06 Nov 1994",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 6 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Foo 1994 08:49:37 GMT",
                                      "Sun, 00 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 GMTx",
                                      "784111777"};
    char out[32];
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++)
        assert_int_equal(static_date_parse(sx_str_z(BAD[i])), -1);
    assert_int_equal(static_date_parse(SX_STR("Sun, 06 Nov 1994 08:49:37 GMT")), 784111777);
    for (int64_t t = 0; t < INT64_C(4000000000); t += 86399 * 17)
        assert_int_equal(static_date_parse(static_date_format(t, out)), t);
}

static void test_missing_folder_is_named(void **state)
{
    sx_static *folder;
    sx_error err;
    (void)state;
    sx_static_options options = {.root = "/nowhere/at/all"};
    assert_int_equal(sx_static_open(&options, &folder, &err), SX_ENOTFOUND);
    assert_non_null(strstr(err.message, "/nowhere/at/all"));
}

/* Clients that go away in the middle, and a server that is freed then, leave nothing behind. */
static void test_client_goes_in_the_middle(void **state)
{
    static_fixture *s = *state;
    for (int turns = 0; turns < 40; turns++) {
        call_record r = {0};
        snprintf(s->url, sizeof(s->url), "http://%s/big.bin", s->bound.text);
        sx_call_request request = {.url = sx_str_z(s->url)};
        assert_int_equal(sx_http_call(s->f.client, &request, &RECORD, &r, &r.call, &r.err), SX_OK);
        for (int i = 0; i < turns; i++)
            sx_loop_turn(s->f.server.loop);
        if (r.call)
            sx_call_cancel(r.call);
        call_record_done(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files_are_found, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_nothing_else_is_found, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_large_file_comes_whole_and_in_ranges, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_ranges, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_conditions, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_codings, open_fixture, close_fixture),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_missing_folder_is_named),
        cmocka_unit_test_setup_teardown(test_client_goes_in_the_middle, open_fixture,
                                        close_fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
