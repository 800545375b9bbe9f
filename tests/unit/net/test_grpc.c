/* test_grpc.c - gRPC: messages however they are cut, status and time-outs, and calls of our client to
 * our server, unary and streaming, good and bad. */
#include "tests/unit/net/client_fixture.h"

#include <stdio.h>

#include <sextant/compress.h>
#include <sextant/grpc.h>
#include <sextant/mem.h>

#include "lib/base/fault.h"

/* ---- framing ---- */

static void test_messages_however_they_are_cut(void **state)
{
    sx_buf stream, zipped;
    (void)state;
    sx_buf_init(&stream, 0);
    sx_buf_init(&zipped, 0);
    sx_grpc_write_message(SX_STR("one"), &stream);
    sx_grpc_write_message(SX_STR(""), &stream);
    assert_int_equal(sx_compress(SX_CODEC_GZIP, SX_STR("three"), SX_LEVEL_DEFAULT, &zipped, NULL),
                     SX_OK);
    size_t at = stream.len;
    sx_grpc_write_message(sx_buf_view(&zipped), &stream);
    stream.data[at] = 1;
    static const char *const WANTED[] = {"one", "", "three"};
    for (size_t step = 1; step <= stream.len; step++) {
        sx_grpc_reader r;
        sx_error err;
        size_t seen = 0;
        sx_grpc_reader_init(&r, 0, SX_CODEC_GZIP);
        for (size_t from = 0; from < stream.len; from += step) {
            sx_str in = sx_str_first(sx_str_from(sx_buf_view(&stream), from), step), message;
            while (sx_grpc_reader_next(&r, &in, &message, &err) == SX_OK) {
                assert_true(seen < 3);
                assert_true(sx_str_eq(message, sx_str_z(WANTED[seen++])));
            }
            assert_int_equal(in.len, 0);
        }
        assert_int_equal(seen, 3);
        assert_false(sx_grpc_reader_is_partial(&r));
        sx_grpc_reader_done(&r);
    }
    sx_buf_done(&stream);
    sx_buf_done(&zipped);
}

static void test_bad_messages_are_refused(void **state)
{
    static const struct {
        sx_str bytes;
        sx_codec coding;
        sx_status status;
    } CASES[] = {
        {SX_STR_INIT("\2\0\0\0\0"), SX_CODEC_GZIP, SX_EPROTOCOL},
        {SX_STR_INIT("\1\0\0\0\0"), SX_CODEC_IDENTITY, SX_EPROTOCOL},
        {SX_STR_INIT("\1\0\0\0\3abc"), SX_CODEC_GZIP, SX_EPROTOCOL},
        {SX_STR_INIT("\0\0\0\0\145"), SX_CODEC_IDENTITY, SX_ELIMIT}, /* 101 bytes */
        {SX_STR_INIT("\0\377\377\377\377"), SX_CODEC_IDENTITY, SX_ELIMIT},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        for (int bytewise = 0; bytewise < 2; bytewise++) {
            sx_grpc_reader r;
            sx_error err = {0};
            sx_status st = SX_AGAIN;
            sx_str message;
            sx_grpc_reader_init(&r, 100, CASES[i].coding);
            for (size_t at = 0; at < CASES[i].bytes.len && st == SX_AGAIN;) {
                sx_str in = sx_str_from(CASES[i].bytes, at);
                in = bytewise ? sx_str_first(in, 1) : in;
                at += in.len;
                st = sx_grpc_reader_next(&r, &in, &message, &err);
            }
            assert_int_equal(st, CASES[i].status);
            assert_true(err.message[0]);
            sx_grpc_reader_done(&r);
        }
    }
}

static void test_decompression_bomb_is_refused(void **state)
{
    sx_buf zipped, stream;
    sx_grpc_reader r;
    sx_str message;
    sx_error err;
    char *zeros = sx_calloc(1, 1 << 20);
    (void)state;
    sx_buf_init(&zipped, 0);
    sx_buf_init(&stream, 0);
    sx_compress(SX_CODEC_GZIP, sx_str_of(zeros, 1 << 20), SX_LEVEL_DEFAULT, &zipped, NULL);
    sx_grpc_write_message(sx_buf_view(&zipped), &stream);
    stream.data[0] = 1;
    sx_grpc_reader_init(&r, 65536, SX_CODEC_GZIP);
    sx_str in = sx_buf_view(&stream);
    assert_int_equal(sx_grpc_reader_next(&r, &in, &message, &err), SX_ELIMIT);
    sx_grpc_reader_done(&r);
    sx_buf_done(&zipped);
    sx_buf_done(&stream);
    sx_free(zeros);
}

static void test_timeouts(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } CASES[] = {{"1H", 3600000}, {"2M", 120000},     {"3S", 3000},
                 {"4m", 4},       {"1u", 1},          {"1n", 1},
                 {"1000001n", 2}, {"0m", 0},          {"99999999H", INT64_C(359999996400000)},
                 {"", -1},        {"5", -1},          {"m", -1},
                 {"-1m", -1},     {"123456789m", -1}, {"1x", -1},
                 {"1 m", -1},     {"1.5S", -1}};
    char out[16];
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        int64_t ms = -1;
        sx_error err;
        sx_status st = sx_grpc_timeout_parse(sx_str_z(CASES[i].text), &ms, &err);
        assert_int_equal(st, CASES[i].ms < 0 ? SX_EFORMAT : SX_OK);
        assert_int_equal(ms, CASES[i].ms);
    }
    static const int64_t MS[] = {0, 1, 99999999, 100000000, 99999999000, 400000000000};
    for (size_t i = 0; i < SX_COUNT_OF(MS); i++) {
        int64_t back;
        sx_str text = sx_grpc_timeout_format(MS[i], out);
        assert_int_equal(sx_grpc_timeout_parse(text, &back, NULL), SX_OK);
        assert_true(back >= MS[i] - MS[i] / 100 && back <= MS[i] + 1000);
    }
}

static void test_status_messages_read_back(void **state)
{
    sx_arena arena;
    sx_buf coded;
    sx_str text = SX_STR("100% \xc3\xa9\n\tok~");
    (void)state;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&coded, 0);
    sx_grpc_message_encode(text, &coded);
    assert_true(sx_str_eq(sx_buf_view(&coded), SX_STR("100%25 %C3%A9%0A%09ok~")));
    assert_true(sx_str_eq(sx_grpc_message_decode(&arena, sx_buf_view(&coded)), text));
    assert_true(sx_str_eq(sx_grpc_message_decode(&arena, SX_STR("50% %4")), SX_STR("50% %4")));
    assert_string_equal(sx_grpc_status_name(14), "UNAVAILABLE");
    assert_string_equal(sx_grpc_status_name(99), "UNKNOWN");
    assert_int_equal(sx_grpc_status_of_http(404), SX_GRPC_UNIMPLEMENTED);
    sx_buf_done(&coded);
    sx_arena_done(&arena);
}

/* ---- calls ---- */

typedef struct grpc_fixture {
    client_fixture f;
    sx_http_server *server;
    sx_bound bound;
    sx_grpc_call *held; /* of /t.S/Hold */
    int server_done;
    sx_grpc_status server_status;
    int64_t left_ms;
    /* The client's side. */
    sx_grpc_call *call;
    int messages, dones, writables;
    bool cancels; /* at the first message */
    sx_grpc_status status;
    char text[128];
    sx_buf got;
} grpc_fixture;

static void serve_unary(sx_grpc_call *c, void *ctx, sx_str message)
{
    (void)ctx;
    if (sx_str_eq(message, SX_STR("fail"))) {
        sx_grpc_trailer(c, SX_STR("x-more"), SX_STR("1"));
        sx_grpc_finish(c, SX_GRPC_NOT_FOUND, SX_STR("no such \xc3\xa9"));
        return;
    }
    sx_grpc_send(c, message);
    sx_grpc_finish(c, SX_GRPC_OK, SX_STR(""));
}

static void serve_echo(sx_grpc_call *c, void *ctx, sx_str message)
{
    (void)ctx;
    sx_grpc_send(c, message);
}

static void serve_end(sx_grpc_call *c, void *ctx)
{
    (void)ctx;
    sx_grpc_finish(c, SX_GRPC_OK, SX_STR(""));
}

static void serve_done(sx_grpc_call *c, void *ctx, sx_grpc_status status, sx_str text)
{
    grpc_fixture *g = ctx;
    (void)c, (void)text;
    g->server_done++;
    g->server_status = status;
}

static const sx_grpc_events UNARY = {.message = serve_unary, .done = serve_done};
static const sx_grpc_events ECHO = {.message = serve_echo, .end = serve_end, .done = serve_done};
static const sx_grpc_events HOLD = {.done = serve_done};

static void handle(sx_request *r, void *ctx)
{
    grpc_fixture *g = ctx;
    sx_str service, method;
    if (!sx_grpc_path(r->path, &service, &method)) {
        sx_reply(r, 404, SX_STR("text/plain"), SX_STR("no\n"));
    } else if (sx_str_eq(method, SX_STR("Unary"))) {
        sx_grpc_accept(r, &(sx_grpc_options){.unary = true, .message_bytes_max = 1000}, &UNARY, g);
    } else if (sx_str_eq(method, SX_STR("Echo"))) {
        sx_grpc_accept(r, NULL, &ECHO, g);
    } else if (sx_str_eq(method, SX_STR("Hold"))) {
        g->held = sx_grpc_accept(r, NULL, &HOLD, g);
        g->left_ms = sx_grpc_left_ms(g->held);
    } else {
        sx_grpc_unimplemented(r);
    }
}

static void got_message(sx_grpc_call *c, void *ctx, sx_str message)
{
    grpc_fixture *g = ctx;
    g->messages++;
    sx_buf_str(&g->got, message);
    if (g->cancels)
        sx_grpc_cancel(c);
}

static void got_writable(sx_grpc_call *c, void *ctx)
{
    grpc_fixture *g = ctx;
    (void)c;
    g->writables++;
}

static void got_done(sx_grpc_call *c, void *ctx, sx_grpc_status status, sx_str text)
{
    grpc_fixture *g = ctx;
    (void)c;
    g->dones++;
    g->status = status;
    snprintf(g->text, sizeof(g->text), "%.*s", SX_ARG(text));
    g->call = NULL;
}

static const sx_grpc_events CLIENT = {
    .message = got_message, .writable = got_writable, .done = got_done};

static void open_fixture(grpc_fixture *g)
{
    sx_error err;
    sx_http_client_options options = {.http2_prior_knowledge = true};
    sx_http_server_options server = {.handler = handle, .ctx = g};
    sx_listen_options listen = {.address = SX_STR("127.0.0.1:0"), .inherited_fd = -1};
    memset(g, 0, sizeof(*g));
    client_fixture_open(&g->f, &options);
    assert_int_equal(sx_http_server_new(g->f.server.loop, &server, &g->server, &err), SX_OK);
    assert_int_equal(sx_http_server_listen(g->server, &listen, &g->bound, &err), SX_OK);
}

static void close_fixture(grpc_fixture *g)
{
    sx_buf_done(&g->got);
    sx_http_client_free(g->f.client);
    g->f.client = NULL;
    sx_http_server_free(g->server);
    client_fixture_close(&g->f);
}

static sx_status start(grpc_fixture *g, const char *path, uint32_t timeout_ms)
{
    char url[160];
    sx_error err;
    g->messages = g->dones = 0;
    sx_buf_clear(&g->got);
    snprintf(url, sizeof(url), "http://%s%s", g->bound.text, path);
    sx_grpc_request request = {.url = sx_str_z(url), .timeout_ms = timeout_ms};
    return sx_grpc_start(g->f.client, &request, &CLIENT, g, &g->call, &err);
}

static void call_unary(grpc_fixture *g, const char *path, sx_str message)
{
    assert_int_equal(start(g, path, 0), SX_OK);
    assert_int_equal(sx_grpc_send(g->call, message), SX_OK);
    sx_grpc_send_end(g->call);
    client_fixture_until(&g->f, &g->dones);
}

static void test_unary_calls(void **state)
{
    grpc_fixture g;
    char big[2000] = {0};
    (void)state;
    open_fixture(&g);
    call_unary(&g, "/t.S/Unary", SX_STR("hello"));
    assert_int_equal(g.status, SX_GRPC_OK);
    assert_true(sx_str_eq(sx_buf_view(&g.got), SX_STR("hello")));
    call_unary(&g, "/t.S/Unary", SX_STR("fail"));
    assert_int_equal(g.status, SX_GRPC_NOT_FOUND);
    assert_string_equal(g.text, "no such \xc3\xa9");
    call_unary(&g, "/t.S/Unary", sx_str_of(big, sizeof(big)));
    assert_int_equal(g.status, SX_GRPC_RESOURCE_EXHAUSTED);
    call_unary(&g, "/t.S/None", SX_STR(""));
    assert_int_equal(g.status, SX_GRPC_UNIMPLEMENTED);
    call_unary(&g, "/none", SX_STR(""));
    assert_int_equal(g.status, SX_GRPC_UNIMPLEMENTED); /* by HTTP's 404 */
    assert_int_equal(sx_http_client_counts_of(g.f.client)->opened, 1);
    close_fixture(&g);
}

static void test_unary_call_with_two_messages_or_none_fails(void **state)
{
    grpc_fixture g;
    (void)state;
    open_fixture(&g);
    assert_int_equal(start(&g, "/t.S/Unary", 0), SX_OK);
    sx_grpc_send(g.call, SX_STR("a"));
    sx_grpc_send(g.call, SX_STR("b"));
    sx_grpc_send_end(g.call);
    client_fixture_until(&g.f, &g.dones);
    assert_int_equal(g.status, SX_GRPC_INTERNAL);
    assert_int_equal(start(&g, "/t.S/Unary", 0), SX_OK);
    sx_grpc_send_end(g.call);
    client_fixture_until(&g.f, &g.dones);
    assert_int_equal(g.status, SX_GRPC_INTERNAL);
    close_fixture(&g);
}

static void test_streams_both_ways_with_pauses(void **state)
{
    grpc_fixture g;
    char piece[5000];
    (void)state;
    open_fixture(&g);
    memset(piece, 'x', sizeof(piece));
    assert_int_equal(start(&g, "/t.S/Echo", 0), SX_OK);
    for (int i = 0; i < 100; i++) {
        sx_grpc_send(g.call, sx_str_of(piece, sizeof(piece)));
        if (i % 10 == 3)
            sx_grpc_pause(g.call);
        http_fixture_settle(&g.f.server);
        if (i % 10 == 7)
            sx_grpc_resume(g.call);
    }
    sx_grpc_send_end(g.call);
    client_fixture_until(&g.f, &g.dones);
    assert_int_equal(g.status, SX_GRPC_OK);
    assert_int_equal(g.messages, 100);
    assert_int_equal(g.got.len, 100 * sizeof(piece));
    close_fixture(&g);
}

static void test_deadline_passes_on_both_sides(void **state)
{
    grpc_fixture g;
    (void)state;
    open_fixture(&g);
    assert_int_equal(start(&g, "/t.S/Hold", 1500), SX_OK);
    for (int i = 0; i < 1000 && !g.held; i++)
        sx_loop_turn(g.f.server.loop);
    assert_int_equal(g.left_ms, 1500);
    http_fixture_wait(&g.f.server, 1499);
    assert_int_equal(g.dones + g.server_done, 0);
    http_fixture_wait(&g.f.server, 1);
    assert_int_equal(g.dones, 1);
    assert_int_equal(g.status, SX_GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(g.server_done, 1);
    close_fixture(&g);
}

static void test_cancel_reaches_the_server(void **state)
{
    grpc_fixture g;
    (void)state;
    open_fixture(&g);
    assert_int_equal(start(&g, "/t.S/Hold", 0), SX_OK);
    for (int i = 0; i < 1000 && !g.held; i++)
        sx_loop_turn(g.f.server.loop);
    sx_grpc_cancel(g.call);
    assert_int_equal(g.status, SX_GRPC_CANCELLED);
    client_fixture_until(&g.f, &g.server_done);
    assert_int_equal(g.server_status, SX_GRPC_CANCELLED);
    /* And from within a message. */
    g.cancels = true;
    assert_int_equal(start(&g, "/t.S/Echo", 0), SX_OK);
    sx_grpc_send(g.call, SX_STR("a"));
    sx_grpc_send(g.call, SX_STR("b"));
    client_fixture_until(&g.f, &g.dones);
    assert_int_equal(g.messages, 1);
    close_fixture(&g);
}

static void test_what_is_no_grpc_is_told_so(void **state)
{
    grpc_fixture g;
    call_record r = {0};
    char url[160];
    (void)state;
    open_fixture(&g);
    snprintf(url, sizeof(url), "http://%s/t.S/Unary", g.bound.text);
    client_fixture_call(&g.f, &r, "GET", url, NULL);
    assert_int_equal(r.status, 405);
    call_record_done(&r);
    memset(&r, 0, sizeof(r));
    client_fixture_call(&g.f, &r, "POST", url, "x");
    assert_int_equal(r.status, 415);
    call_record_done(&r);
    close_fixture(&g);
}

static void test_memory_failures(void **state)
{
    int64_t calls = 1;
    (void)state;
    for (int64_t n = 1; n <= calls; n++) {
        grpc_fixture g;
        open_fixture(&g);
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        if (start(&g, "/t.S/Unary", 1000) == SX_OK) {
            if (g.call && sx_grpc_send(g.call, SX_STR("hello")) != SX_OK)
                sx_grpc_cancel(g.call);
            if (g.call)
                sx_grpc_send_end(g.call);
            for (int i = 0; i < 300 && !g.dones; i++)
                sx_loop_turn(g.f.server.loop);
            http_fixture_wait(&g.f.server, 1000);
            assert_int_equal(g.dones, 1);
        }
        calls = sx_fault_alloc_calls();
        sx_fault_alloc_set((sx_fault_alloc){0});
        close_fixture(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_however_they_are_cut),
        cmocka_unit_test(test_bad_messages_are_refused),
        cmocka_unit_test(test_decompression_bomb_is_refused),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_status_messages_read_back),
        cmocka_unit_test(test_unary_calls),
        cmocka_unit_test(test_unary_call_with_two_messages_or_none_fails),
        cmocka_unit_test(test_streams_both_ways_with_pauses),
        cmocka_unit_test(test_deadline_passes_on_both_sides),
        cmocka_unit_test(test_cancel_reaches_the_server),
        cmocka_unit_test(test_what_is_no_grpc_is_told_so),
        cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
