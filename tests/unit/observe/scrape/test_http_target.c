/* prom_http: credentials, redirects, tokens, bodies, limits and time, against a server on its loop. */
#include "tests/unit/base/cmocka_all.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sextant/compress.h>
#include <sextant/http.h>

#include "base/fault.h"
#include "observe/scrape/http_target.h"
#include "observe/scrape/http_target_internal.h"

typedef struct fixture {
    sx_fake_clock clock;
    sx_loop *loop;
    sx_http_server *server;
    sx_bound bound;
    prom_http_config config;
    prom_http *http;
    /* What the server saw: a line a request, "METHOD target|authorization|x-own|body". */
    sx_buf seen;
    int tokens;        /* given out */
    int token_seconds; /* their life */
    bool wants_form;   /* credentials of tokens in the body */
    int refuse_until;  /* /guarded refuses tokens below this number */
    sx_request *held;  /* of /hold */
    /* What the last call told. */
    int dones, status;
    sx_status result;
    char error[SX_ERROR_MESSAGE_BYTES];
    sx_buf body, pieces;
    char type[64];
} fixture;

static void on_aborted(sx_request *r, void *ctx)
{
    (void)r;
    ((fixture *)ctx)->held = NULL;
}

static void reply_packed(sx_request *r, sx_codec codec, const char *coding, size_t size)
{
    sx_buf plain, packed;
    sx_buf_init(&plain, 0);
    sx_buf_init(&packed, 0);
    for (size_t i = 0; i < size; i++)
        sx_buf_byte(&plain, (char)('a' + i % 26));
    assert_int_equal(sx_compress(codec, sx_buf_view(&plain), 0, &packed, NULL), SX_OK);
    sx_reply_header(r, SX_STR("Content-Encoding"), sx_str_z(coding));
    sx_reply(r, 200, SX_STR("text/plain; version=0.0.4"), sx_buf_view(&packed));
    sx_buf_done(&plain);
    sx_buf_done(&packed);
}

static void reply_token(fixture *f, sx_request *r)
{
    char text[128];
    bool in_form = sx_str_find(r->body, SX_STR("client_secret=")) < r->body.len;
    if (in_form != f->wants_form) {
        sx_reply(r, 401, SX_STR("text/plain"), SX_STR("wrong way"));
        return;
    }
    snprintf(text, sizeof(text),
             "{\"access_token\":\"t%d\",\"token_type\":\"bearer\",\"expires_in\":%d}", ++f->tokens,
             f->token_seconds);
    sx_reply(r, 200, SX_STR("application/json"), sx_str_z(text));
}

static void reply_guarded(fixture *f, sx_request *r)
{
    sx_str given = sx_request_header(r, SX_STR("authorization"));
    int64_t number = 0;
    bool is_token =
        sx_str_starts(given, SX_STR("Bearer t")) && sx_str_to_i64(sx_str_from(given, 8), &number);
    if (is_token && number >= f->refuse_until)
        sx_reply(r, 200, SX_STR("text/plain"), SX_STR("in"));
    else
        sx_reply(r, 401, SX_STR("text/plain"), SX_STR("out"));
}

static void on_whole(sx_request *r, void *ctx)
{
    fixture *f = ctx;
    sx_str own = sx_request_header(r, SX_STR("x-own"));
    sx_str auth = sx_request_header(r, SX_STR("authorization"));
    sx_buf_printf(&f->seen, "%.*s %.*s|%.*s|%.*s|%.*s\n", SX_ARG(r->method_text), SX_ARG(r->target),
                  SX_ARG(auth), SX_ARG(own), SX_ARG(r->body));
    sx_str path = r->path;
    if (sx_str_starts(path, SX_STR("/to/"))) { /* /to/STATUS?LOCATION */
        int64_t status = 302;
        sx_str_to_i64(sx_str_from(path, 4), &status);
        sx_reply_header(r, SX_STR("Location"), r->query);
        sx_reply(r, (int)status, SX_STR("text/plain"), SX_STR("moved"));
    } else if (sx_str_eq(path, SX_STR("/gzip"))) {
        reply_packed(r, SX_CODEC_GZIP, "gzip", 300000);
    } else if (sx_str_eq(path, SX_STR("/deflate"))) {
        reply_packed(r, SX_CODEC_ZLIB, "deflate", 300000);
    } else if (sx_str_eq(path, SX_STR("/zstd"))) {
        reply_packed(r, SX_CODEC_ZSTD, "zstd", 300000);
    } else if (sx_str_eq(path, SX_STR("/torn"))) {
        sx_reply_header(r, SX_STR("Content-Encoding"), SX_STR("gzip"));
        sx_reply(r, 200, SX_STR("text/plain"), SX_STR("\x1f\x8b\x08"));
    } else if (sx_str_eq(path, SX_STR("/token"))) {
        reply_token(f, r);
    } else if (sx_str_eq(path, SX_STR("/guarded"))) {
        reply_guarded(f, r);
    } else if (sx_str_eq(path, SX_STR("/hold"))) {
        static const sx_request_events EVENTS = {.aborted = on_aborted};
        sx_request_events_set(r, &EVENTS, f);
        f->held = r;
    } else {
        sx_reply(r, 200, SX_STR("text/plain"), SX_STR("hello"));
    }
}

static void handle(sx_request *r, void *ctx)
{
    sx_request_read_body(r, 1 << 16, on_whole, ctx);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    sx_fake_clock_init(&f->clock, 1700000000000);
    f->token_seconds = 3600;
    f->config.follow_redirects = f->config.enable_http2 = true;
    assert_int_equal(sx_loop_new(&f->clock.clock, 0, &f->loop, NULL), SX_OK);
    sx_http_server_options o = {.handler = handle, .ctx = f};
    assert_int_equal(sx_http_server_new(f->loop, &o, &f->server, NULL), SX_OK);
    sx_listen_options l = {.address = SX_STR("127.0.0.1:0")};
    assert_int_equal(sx_http_server_listen(f->server, &l, &f->bound, NULL), SX_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    prom_http_free(f->http);
    sx_http_server_free(f->server);
    sx_loop_free(f->loop);
    sx_buf_done(&f->seen);
    sx_buf_done(&f->body);
    sx_buf_done(&f->pieces);
    free(f);
    return 0;
}

static void open_http(fixture *f)
{
    sx_error err;
    if (prom_http_new(f->loop, NULL, &f->config, NULL, &f->http, &err) != SX_OK)
        fail_msg("%s", err.message);
}

static void on_done(void *ctx, const prom_http_answer *a)
{
    fixture *f = ctx;
    f->dones++;
    f->status = a->status;
    f->result = a->result;
    snprintf(f->error, sizeof(f->error), "%s", a->error->message);
    snprintf(f->type, sizeof(f->type), "%.*s", SX_ARG(a->content_type));
    sx_buf_clear(&f->body);
    sx_buf_str(&f->body, a->body);
}

static int64_t now_ms(void)
{
    return sx_clock_mono_ms(sx_clock_system()); /* the fixture's stands still */
}

static void turn(fixture *f)
{
    struct pollfd p = {.fd = sx_loop_fd(f->loop), .events = POLLIN};
    poll(&p, 1, 5);
    sx_loop_turn(f->loop);
}

static void until_done(fixture *f, int dones)
{
    int64_t end = now_ms() + 10000;
    while (f->dones < dones && now_ms() < end)
        turn(f);
    assert_int_equal(f->dones, dones);
}

static const char *url_of(fixture *f, const char *target)
{
    static char text[4][512];
    static unsigned next;
    char *out = text[next++ % 4];
    snprintf(out, 512, "http://%s%s", f->bound.text, target);
    return out;
}

static void call(fixture *f, prom_http_request r, const char *target)
{
    sx_error err;
    int before = f->dones;
    r.url = sx_str_z(url_of(f, target));
    sx_buf_clear(&f->seen);
    if (prom_http_send(f->http, &r, on_done, f, NULL, &err) != SX_OK)
        fail_msg("%s", err.message);
    until_done(f, before + 1);
}

static void get(fixture *f, const char *target)
{
    call(f, (prom_http_request){.timeout_ms = 60000, .accept_gzip = true}, target);
}

static void assert_seen(fixture *f, const char *text)
{
    sx_buf_byte(&f->seen, '\0');
    f->seen.len--;
    assert_string_equal(f->seen.data, text);
}

static char *write_file(const char *text)
{
    static char paths[4][64];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, 64, "/tmp/sx_http_target_XXXXXX");
    int fd = mkstemp(path);
    assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    return path;
}

static void rewrite_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
}

static void test_basic_auth_and_own_fields_are_read_at_each_request(void **state)
{
    fixture *f = *state;
    char *password = write_file("one\n");
    char *own = write_file(" from file \n");
    sx_str values[] = {SX_STR("a")}, files[] = {sx_str_z(own)};
    prom_http_header header = {SX_STR("X-Own"), values, NULL, files, 1, 0, 1};
    f->config.basic_auth.set = true;
    f->config.basic_auth.username = SX_STR("me");
    f->config.basic_auth.password.file = sx_str_z(password);
    f->config.headers = &header;
    f->config.header_count = 1;
    open_http(f);
    get(f, "/x?a=b");
    assert_int_equal(f->status, 200);
    assert_string_equal(f->type, "text/plain");
    assert_seen(f, "GET /x?a=b|Basic bWU6b25l|a|\n");
    rewrite_file(password, "two");
    get(f, "/x");
    assert_seen(f, "GET /x|Basic bWU6dHdv|a|\n");
    unlink(password);
    sx_error err;
    prom_http_request r = {.url = SX_STR("http://127.0.0.1:1/")};
    assert_int_equal(prom_http_send(f->http, &r, on_done, f, NULL, &err), SX_ENOTFOUND);
    assert_non_null(strstr(err.message, "unable to read basic auth password"));
    unlink(own);
}

static void test_redirects_are_followed_as_go_does(void **state)
{
    fixture *f = *state;
    f->config.authorization.set = true;
    f->config.authorization.type = SX_STR("Bearer");
    f->config.authorization.credentials.text = SX_STR("abc");
    open_http(f);
    get(f, "/to/302?../a/./b/../c?x=1");
    assert_seen(f, "GET /to/302?../a/./b/../c?x=1|Bearer abc||\nGET /a/c?x=1|Bearer abc||\n");
    prom_http_request post = {.method = SX_STR("POST"), .body = SX_STR("q")};
    call(f, post, "/to/303?/next");
    assert_seen(f, "POST /to/303?/next|Bearer abc||q\nGET /next|Bearer abc||\n");
    call(f, post, "/to/307?/next");
    assert_seen(f, "POST /to/307?/next|Bearer abc||q\nPOST /next|Bearer abc||q\n");
    get(f, "/to/302?/to/302");
    assert_int_equal(f->result, SX_OK); /* no location: the answer itself */
    assert_int_equal(f->status, 302);
    get(f, "/to/302?ftp://x/");
    assert_int_equal(f->result, SX_EFORMAT);
    get(f, "/to/302?unix:/tmp/x:/");
    assert_int_equal(f->result, SX_EFORMAT);
}

static void test_endless_redirects_end(void **state)
{
    fixture *f = *state;
    open_http(f);
    get(f, "/to/302?302?302?302?302?302?302?302?302?302?302?302?302");
    assert_int_equal(f->result, SX_ELIMIT);
    assert_string_equal(f->error, "stopped after 10 redirects");
}

static void test_redirects_are_shown_if_they_are_not_to_be_followed(void **state)
{
    fixture *f = *state;
    f->config.follow_redirects = false;
    open_http(f);
    get(f, "/to/302?/x");
    assert_int_equal(f->status, 302);
    assert_int_equal(f->body.len, 5);
}

static void test_credentials_stay_with_their_host(void **state)
{
    fixture *f = *state;
    char target[128];
    sx_str values[] = {SX_STR("mine")};
    prom_http_header header = {SX_STR("X-Own"), values, NULL, NULL, 1, 0, 0};
    f->config.authorization.set = true;
    f->config.authorization.type = SX_STR("Bearer");
    f->config.authorization.credentials.text = SX_STR("abc");
    f->config.headers = &header;
    f->config.header_count = 1;
    open_http(f);
    /* To another name of the same server and back again. */
    snprintf(target, sizeof(target), "/to/302?http://localhost%s/to/302?%s",
             strrchr(f->bound.text, ':'), url_of(f, "/back"));
    get(f, target);
    sx_str seen = sx_buf_view(&f->seen);
    assert_true(sx_str_find(seen, SX_STR("|Bearer abc|mine|\nGET /to/302")) < seen.len);
    assert_true(sx_str_ends(seen, SX_STR("GET /back|||\n")));
    assert_false(http_location_is_same_host(SX_STR("https://a/"), SX_STR("http://a/")));
    assert_true(http_location_is_same_host(SX_STR("http://a/"), SX_STR("https://A:1/")));
}

static void test_bodies_are_decompressed_and_bounded(void **state)
{
    fixture *f = *state;
    static const char *const TARGETS[] = {"/gzip", "/deflate", "/zstd", "/gzip"};
    open_http(f);
    for (size_t i = 0; i < SX_COUNT_OF(TARGETS); i++) {
        get(f, TARGETS[i]);
        assert_int_equal(f->result, SX_OK);
        assert_int_equal(f->body.len, 300000);
        assert_memory_equal(f->body.data + 299998, &"abcdefghijklmnopqrstuvwxyz"[299998 % 26], 2);
        prom_http_request r = {.body_bytes_max = 300000};
        call(f, r, TARGETS[i]);
        assert_int_equal(f->result, SX_ELIMIT);
        assert_string_equal(f->error, "body size limit exceeded");
        r.body_bytes_max = 300001;
        call(f, r, TARGETS[i]);
        assert_int_equal(f->result, SX_OK);
    }
    get(f, "/torn");
    assert_int_equal(f->result, SX_EFORMAT);
}

static void on_piece(void *ctx, int status, sx_str piece)
{
    fixture *f = ctx;
    assert_int_equal(status, 200);
    sx_buf_str(&f->pieces, piece);
}

static void test_watches_get_pieces(void **state)
{
    fixture *f = *state;
    open_http(f);
    call(f, (prom_http_request){.piece = on_piece, .accept_gzip = true}, "/gzip");
    assert_int_equal(f->result, SX_OK);
    assert_int_equal(f->body.len, 0);
    assert_int_equal(f->pieces.len, 300000);
}

static void test_a_call_has_its_time(void **state)
{
    fixture *f = *state;
    open_http(f);
    prom_http_request r = {.timeout_ms = 10000, .url = sx_str_z(url_of(f, "/hold"))};
    assert_int_equal(prom_http_send(f->http, &r, on_done, f, NULL, NULL), SX_OK);
    while (!f->held)
        turn(f);
    sx_fake_clock_advance(&f->clock, 9999);
    turn(f);
    assert_int_equal(f->dones, 0);
    sx_fake_clock_advance(&f->clock, 1);
    turn(f);
    assert_int_equal(f->dones, 1);
    assert_int_equal(f->result, SX_ETIMEOUT);
    assert_string_equal(f->error, "context deadline exceeded");
}

static void free_when_done(void *ctx, const prom_http_answer *a)
{
    fixture *f = ctx;
    on_done(ctx, a);
    prom_http_free(f->http);
    f->http = NULL;
}

static void test_a_client_can_be_freed_from_done(void **state)
{
    fixture *f = *state;
    open_http(f);
    prom_http_request r = {.url = sx_str_z(url_of(f, "/gzip"))};
    assert_int_equal(prom_http_send(f->http, &r, free_when_done, f, NULL, NULL), SX_OK);
    until_done(f, 1);
    open_http(f);
    prom_http_call *c;
    assert_int_equal(prom_http_send(f->http, &r, on_done, f, NULL, NULL), SX_OK);
    assert_int_equal(prom_http_send(f->http, &r, on_done, f, &c, NULL), SX_OK);
    prom_http_cancel(c);
    assert_int_equal(f->dones, 2);
    prom_http_free(f->http);
    f->http = NULL;
    assert_int_equal(f->dones, 3);
    assert_int_equal(f->result, SX_ECANCELED);
}

static void use_oauth(fixture *f, const char *secret_file)
{
    static char url[128];
    static const sx_str SCOPES[] = {SX_STR_INIT("a"), SX_STR_INIT("b c")};
    static const tsdb_label PARAMS[] = {{SX_STR_INIT("aud"), SX_STR_INIT("x&y")}};
    snprintf(url, sizeof(url), "%s", url_of(f, "/token"));
    f->config.oauth2.set = true;
    f->config.oauth2.client_id = SX_STR("id");
    f->config.oauth2.client_secret.text = secret_file ? SX_STR("") : SX_STR("s/s");
    f->config.oauth2.client_secret.file = sx_str_z(secret_file);
    f->config.oauth2.token_url = sx_str_z(url);
    f->config.oauth2.scopes = SCOPES;
    f->config.oauth2.scope_count = 2;
    f->config.oauth2.endpoint_params = PARAMS;
    f->config.oauth2.endpoint_param_count = 1;
    open_http(f);
}

static void test_tokens_are_fetched_once_and_renewed(void **state)
{
    fixture *f = *state;
    use_oauth(f, NULL);
    prom_http_request r = {.url = sx_str_z(url_of(f, "/guarded"))};
    assert_int_equal(prom_http_send(f->http, &r, on_done, f, NULL, NULL), SX_OK);
    assert_int_equal(prom_http_send(f->http, &r, on_done, f, NULL, NULL), SX_OK);
    until_done(f, 2);
    assert_int_equal(f->status, 200);
    assert_int_equal(f->tokens, 1);
    assert_seen(f, "POST /token|Basic aWQ6cyUyRnM=||grant_type=client_credentials&scope=a+b+c&"
                   "aud=x%26y\n"
                   "GET /guarded|Bearer t1||\nGET /guarded|Bearer t1||\n");
    sx_fake_clock_advance(&f->clock, 3589000);
    get(f, "/guarded");
    assert_int_equal(f->tokens, 1);
    sx_fake_clock_advance(&f->clock, 1000);
    turn(f);
    get(f, "/guarded");
    assert_int_equal(f->tokens, 2);
    f->refuse_until = 3; /* the server has forgotten it: asked again once, with a new one */
    get(f, "/guarded");
    assert_int_equal(f->status, 200);
    assert_int_equal(f->tokens, 3);
    f->refuse_until = 99;
    get(f, "/guarded");
    assert_int_equal(f->status, 401);
    assert_int_equal(f->tokens, 4);
}

static void test_tokens_for_servers_that_want_a_form(void **state)
{
    fixture *f = *state;
    char *secret = write_file("first\n");
    f->wants_form = true;
    use_oauth(f, secret);
    get(f, "/guarded");
    assert_int_equal(f->status, 200);
    sx_str seen = sx_buf_view(&f->seen);
    assert_true(sx_str_find(seen, SX_STR("||client_id=id&client_secret=first&grant_type")) <
                seen.len);
    rewrite_file(secret, "second");
    get(f, "/guarded");
    assert_int_equal(f->tokens, 2);
    unlink(secret);
}

static void test_a_token_refused_fails_the_call(void **state)
{
    fixture *f = *state;
    use_oauth(f, NULL);
    f->config.oauth2.token_url = sx_str_z(url_of(f, "/hold/not"));
    get(f, "/guarded");
    assert_int_equal(f->result, SX_EFORMAT);
    assert_non_null(strstr(f->error, "oauth2: server response missing access_token"));
    f->config.oauth2.token_url = sx_str_z(url_of(f, "/guarded"));
    get(f, "/guarded");
    assert_int_equal(f->result, SX_EACCESS);
    assert_string_equal(f->error, "oauth2: cannot fetch token: 401 Unauthorized\nResponse: out");
}

static void test_locations_are_resolved(void **state)
{
    static const struct {
        const char *base, *location, *result;
    } ROWS[] = {
        {"http://h:1/a/b?q", "c", "http://h:1/a/c"},
        {"http://h/a/b?q", "", "http://h/a/b?q"},
        {"http://h/a/b?q", "#f", "http://h/a/b?q"},
        {"http://h/a/b?q", "?z", "http://h/a/b?z"},
        {"http://h/a/b", "../../../x/", "http://h/x/"},
        {"http://h", "x", "http://h/x"},
        {"https://u:p@h/a", "//g/x", "https://g/x"},
        {"https://h/a", "HTTPS://g:8/x#y", "HTTPS://g:8/x"},
        {"http://h/a/b/", "..", "http://h/a/"},
        {"http://h/a/b/", ".", "http://h/a/b/"},
        {"unix:/tmp/s:/a/b", "/c", "unix:/tmp/s:/c"},
        {"http://h/", "javascript:1", NULL},
        {"http://h/", "http://a b/", NULL},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_buf out;
        sx_buf_init(&out, 0);
        sx_status st =
            http_location_resolve(sx_str_z(ROWS[i].base), sx_str_z(ROWS[i].location), &out, NULL);
        assert_int_equal(st, ROWS[i].result ? SX_OK : SX_EFORMAT);
        sx_buf_byte(&out, '\0');
        if (ROWS[i].result)
            assert_string_equal(out.data, ROWS[i].result);
        sx_buf_done(&out);
    }
}

/* A configuration with all that takes memory, one call that is redirected, each allocation failed. */
static void test_memory_may_fail_anywhere(void **state)
{
    fixture *f = *state;
    use_oauth(f, NULL);
    prom_http_free(f->http);
    f->http = NULL;
    for (int64_t n = 1;; n++) {
        prom_http_request r = {.url = sx_str_z(url_of(f, "/to/302?/x")), .accept_gzip = true};
        int dones = f->dones;
        sx_buf_clear(&f->seen);
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status st = prom_http_new(f->loop, NULL, &f->config, NULL, &f->http, NULL);
        if (st == SX_OK)
            st = prom_http_send(f->http, &r, on_done, f, NULL, NULL);
        if (st == SX_OK) { /* the server may be the one that has none: a call has its time */
            for (int i = 0; i < 30 && f->dones == dones; i++)
                turn(f);
            if (f->dones == dones) {
                sx_fault_alloc_set((sx_fault_alloc){0});
                prom_http_free(f->http);
                f->http = NULL;
                assert_int_equal(f->dones, dones + 1);
                continue;
            }
        }
        int64_t calls = sx_fault_alloc_calls();
        sx_fault_alloc_set((sx_fault_alloc){0});
        prom_http_free(f->http);
        f->http = NULL;
        if (calls < n)
            break;
    }
    assert_int_equal(f->result, SX_OK);
    assert_int_equal(f->body.len, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(test_basic_auth_and_own_fields_are_read_at_each_request),
        T(test_redirects_are_followed_as_go_does),
        T(test_endless_redirects_end),
        T(test_redirects_are_shown_if_they_are_not_to_be_followed),
        T(test_credentials_stay_with_their_host),
        T(test_bodies_are_decompressed_and_bounded),
        T(test_watches_get_pieces),
        T(test_a_call_has_its_time),
        T(test_a_client_can_be_freed_from_done),
        T(test_tokens_are_fetched_once_and_renewed),
        T(test_tokens_for_servers_that_want_a_form),
        T(test_a_token_refused_fails_the_call),
        T(test_locations_are_resolved),
        T(test_memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
