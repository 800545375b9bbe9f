/* test_http.c - HTTP and gRPC calls of the kit's client: spans, fields, series, breakers, contexts. */
#include "tests/unit/net/client_fixture.h"

#include <sextant/client_http.h>
#include <sextant/grpc.h>
#include <sextant/mem.h>

#include "client/http_attributes.h"
#include "lib/base/fault.h"
#include "tests/unit/client/kit_fixture.h"

typedef struct fixture {
    kit_fixture kit;
    sx_fake_clock clock;
    client_fixture f; /* its client is the kit's */
    sx_http_server *server;
    sx_bound bound;
    char seen[512];     /* fields of the last request */
    int answer;         /* the server's next status */
    sx_context inside;  /* of the last `done` */
    char inside_id[32]; /* its request's id: the context's texts die with the call */
    bool has_inside;
    int dones;
    sx_status result;
    int grpc_status;
    int grpc_answer;
    int grpc_dones;
} fixture;

static void serve_unary(sx_grpc_call *c, void *ctx, sx_str message)
{
    fixture *x = ctx;
    sx_grpc_send(c, message);
    sx_grpc_finish(c, (sx_grpc_status)x->grpc_answer, SX_STR(""));
}

static void handle(sx_request *r, void *ctx)
{
    static const sx_grpc_events UNARY = {.message = serve_unary};
    fixture *x = ctx;
    snprintf(x->seen, sizeof(x->seen), "%.*s|%.*s|%.*s|%.*s",
             SX_ARG(sx_request_header(r, SX_STR("traceparent"))),
             SX_ARG(sx_request_header(r, SX_STR("tracestate"))),
             SX_ARG(sx_request_header(r, SX_STR("baggage"))),
             SX_ARG(sx_request_header(r, SX_STR("x-request-id"))));
    if (sx_grpc_is_call(r))
        sx_grpc_accept(r, &(sx_grpc_options){.unary = true}, &UNARY, x);
    else if (x->answer == 0)
        return; /* for ever */
    else
        sx_reply(r, x->answer, SX_STR("text/plain"), SX_STR("x"));
}

static void open_fixture(fixture *x, const sx_kit_http_options *given)
{
    sx_error err;
    sx_kit_http_options options = given ? *given : (sx_kit_http_options){0};
    memset(x, 0, sizeof(*x));
    x->answer = 200;
    http_fixture_open(&x->f.server, NULL);
    kit_fixture_open(&x->kit, &x->f.server.clock.clock);
    assert_int_equal(
        sx_kit_http_client_new(x->f.server.loop, &x->kit.kit, &options, &x->f.client, &err), SX_OK);
    assert_int_equal(sx_http_server_new(x->f.server.loop,
                                        &(sx_http_server_options){.handler = handle, .ctx = x},
                                        &x->server, &err),
                     SX_OK);
    assert_int_equal(sx_http_server_listen(
                         x->server,
                         &(sx_listen_options){.address = SX_STR("127.0.0.1:0"), .inherited_fd = -1},
                         &x->bound, &err),
                     SX_OK);
}

static void close_fixture(fixture *x)
{
    sx_http_client_free(x->f.client);
    sx_http_server_free(x->server);
    http_fixture_close(&x->f.server);
    kit_fixture_close(&x->kit);
}

static void on_done(sx_call *call, void *ctx, sx_status status, const sx_error *err,
                    const sx_header *trailers, size_t trailer_count)
{
    fixture *x = ctx;
    (void)call, (void)err, (void)trailers, (void)trailer_count;
    x->dones++;
    x->result = status;
    x->inside = *sx_context_current();
    snprintf(x->inside_id, sizeof(x->inside_id), "%.*s", SX_ARG(x->inside.request_id));
    x->has_inside = sx_context_span() != NULL;
}

static const sx_call_events EVENTS = {.done = on_done};

static sx_status start(fixture *x, const char *target, uint32_t ms, sx_error *err)
{
    char url[200];
    x->dones = 0;
    snprintf(url, sizeof(url), "http://u:p@%s%s", x->bound.text, target);
    return sx_http_call(x->f.client, &(sx_call_request){.url = sx_str_z(url), .total_ms_max = ms},
                        &EVENTS, x, NULL, err);
}

static void call(fixture *x, const char *target)
{
    sx_error err;
    assert_int_equal(start(x, target, 0, &err), SX_OK);
    client_fixture_until(&x->f, &x->dones);
}

static void test_a_call_has_a_span_and_carries_its_context(void **state)
{
    fixture x;
    sx_context caller = {.baggage = SX_STR("k=v"), .request_id = SX_STR("req-1")};
    char expected[512];
    (void)state;
    open_fixture(&x, NULL);
    sx_traceparent_parse(SX_STR("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
                         &caller.span);
    caller.span.tracestate = SX_STR("a=b");
    const sx_context *outer = sx_context_enter(&caller);
    sx_error err;
    assert_int_equal(start(&x, "/a?token=secret", 0, &err), SX_OK);
    sx_context_leave(outer);
    client_fixture_until(&x.f, &x.dones);
    assert_true(sx_str_starts(sx_str_z(x.seen), SX_STR("00-4bf92f3577b34da6a3ce929d0e0e4736-")));
    assert_null(strstr(x.seen, "00f067aa0ba902b7")); /* the client's own span, not its parent */
    assert_non_null(strstr(x.seen, "|a=b|k=v|req-1"));
    assert_true(x.has_inside); /* `done` runs on behalf of the caller */
    assert_memory_equal(x.inside.span.span_id, caller.span.span_id, 8);
    assert_string_equal(x.inside_id, "req-1");
    assert_null(sx_context_span()); /* and nothing leaks out of it */
    snprintf(expected, sizeof(expected),
             "GET kind=3 {server.address='127.0.0.1' server.port=%s http.request.method='GET' "
             "url.full='http://REDACTED:REDACTED@%s/a' http.response.status_code=200 "
             "network.protocol.version='1.1' http.response.body.size=1}",
             strchr(x.bound.text, ':') + 1, x.bound.text);
    assert_string_equal(capture_read(&x.kit.spans), expected);
    assert_memory_equal(x.kit.spans.parent_id, caller.span.span_id, 8);
    snprintf(expected, sizeof(expected),
             "http_client_requests_total{method=\"GET\",host=\"%s\",code=\"200\"} 1", x.bound.text);
    assert_true(kit_fixture_shows(&x.kit, expected));
    snprintf(expected, sizeof(expected), "http_client_requests_in_flight{host=\"%s\"} 0",
             x.bound.text);
    assert_true(kit_fixture_shows(&x.kit, expected));
    assert_true(kit_fixture_shows(&x.kit, "http_client_connections{state=\"open\"} 1"));
    close_fixture(&x);
}

static void test_errors_open_the_origins_breaker(void **state)
{
    fixture x;
    sx_error err;
    (void)state;
    open_fixture(&x, NULL);
    x.answer = 501; /* says that it does not know how: it is well */
    for (int i = 0; i < 10; i++)
        call(&x, "/");
    x.answer = 404;
    call(&x, "/");
    assert_non_null(strstr(capture_read(&x.kit.spans), "status=2: {"));
    assert_non_null(strstr(capture_read(&x.kit.spans), "error.type='404'"));
    x.answer = 503;
    for (int i = 0; i < 5; i++)
        call(&x, "/");
    size_t spans = x.kit.spans.spans;
    assert_int_equal(start(&x, "/", 0, &err), SX_REFUSED);
    assert_non_null(strstr(err.message, "is open"));
    assert_int_equal(x.kit.spans.spans, spans + 1); /* what was refused is seen, too */
    assert_non_null(strstr(capture_read(&x.kit.spans), "error.type='refused'"));
    http_fixture_wait(&x.f.server, 60000);
    x.answer = 200;
    call(&x, "/");
    call(&x, "/");
    assert_int_equal(x.result, SX_OK);
    close_fixture(&x);
}

static void test_a_deadline_cuts_a_call_and_is_nobodys_fault(void **state)
{
    fixture x;
    sx_error err;
    sx_context caller = {0};
    (void)state;
    open_fixture(&x, &(sx_kit_http_options){.client = {.name = "shop"}});
    call(&x, "/");
    assert_int_equal(kit_fixture_well(&x.kit, "shop"), 1);
    x.answer = 0;
    for (int i = 0; i < 6; i++) {
        caller.deadline_mono_ns = sx_clock_mono_ns(&x.f.server.clock.clock) + (int64_t)50 * 1000000;
        const sx_context *outer = sx_context_enter(&caller);
        assert_int_equal(start(&x, "/", 0, &err), SX_OK);
        sx_context_leave(outer);
        http_fixture_settle(&x.f.server);
        http_fixture_wait(&x.f.server, 49);
        assert_int_equal(x.dones, 0);
        http_fixture_wait(&x.f.server, 1);
        assert_int_equal(x.dones, 1);
        assert_int_equal(x.result, SX_ETIMEOUT);
    }
    assert_int_equal(kit_fixture_well(&x.kit, "shop"), 1);
    const sx_context *outer = sx_context_enter(&caller); /* it has passed by now */
    assert_int_equal(start(&x, "/", 0, &err), SX_ETIMEOUT);
    sx_context_leave(outer);
    for (int i = 0; i < 5; i++) { /* our own time-outs are the server's fault */
        assert_int_equal(start(&x, "/", 10, &err), SX_OK);
        http_fixture_settle(&x.f.server);
        http_fixture_wait(&x.f.server, 10);
        assert_int_equal(x.result, SX_ETIMEOUT);
    }
    assert_int_equal(kit_fixture_well(&x.kit, "shop"), 0);
    assert_int_equal(start(&x, "/", 10, &err), SX_REFUSED);
    assert_non_null(strstr(err.message, "'shop'"));
    close_fixture(&x);
}

static void got_done(sx_grpc_call *c, void *ctx, sx_grpc_status status, sx_str text)
{
    fixture *x = ctx;
    (void)c, (void)text;
    x->grpc_status = (int)status;
    x->grpc_dones++;
}

static void test_a_grpc_call_has_one_span_of_its_own_kind(void **state)
{
    static const sx_grpc_events CLIENT = {.done = got_done};
    fixture x;
    sx_error err;
    char url[200], expected[300];
    (void)state;
    open_fixture(&x, &(sx_kit_http_options){.http = {.http2_prior_knowledge = true}});
    snprintf(url, sizeof(url), "http://%s/demo.Greeter/SayHello", x.bound.text);
    for (int status = 0; status < 15; status += 14) {
        sx_grpc_call *c;
        size_t spans = x.kit.spans.spans;
        x.grpc_answer = status;
        x.grpc_dones = 0;
        assert_int_equal(sx_grpc_start(x.f.client, &(sx_grpc_request){.url = sx_str_z(url)},
                                       &CLIENT, &x, &c, &err),
                         SX_OK);
        sx_grpc_send(c, SX_STR("m"));
        sx_grpc_send_end(c);
        client_fixture_until(&x.f, &x.grpc_dones);
        assert_int_equal(x.grpc_status, status);
        assert_int_equal(x.kit.spans.spans, spans + 1);
        snprintf(expected, sizeof(expected),
                 "demo.Greeter/SayHello kind=3%s {server.address='127.0.0.1' server.port=%s "
                 "rpc.system='grpc' rpc.service='demo.Greeter' rpc.method='SayHello' "
                 "rpc.grpc.status_code=%d%s}",
                 status ? " status=2:" : "", strchr(x.bound.text, ':') + 1, status,
                 status ? " error.type='UNAVAILABLE'" : "");
        assert_string_equal(capture_read(&x.kit.spans), expected);
    }
    snprintf(expected, sizeof(expected),
             "grpc_client_requests_total{method=\"demo.Greeter/SayHello\",host=\"%s\","
             "code=\"UNAVAILABLE\"} 1",
             x.bound.text);
    assert_true(kit_fixture_shows(&x.kit, expected));
    close_fixture(&x);
}

static void test_urls_are_shown_without_secrets(void **state)
{
    static const char *const ROWS[][2] = {
        {"http://u:p@h/a?b=1#f", "http://REDACTED:REDACTED@h/a?b=1"},
        {"https://h?sig=abc&x=1&Signature=z", "https://h/?sig=REDACTED&x=1&Signature=REDACTED"},
        {"unix:/run/a.sock:/b", "unix:/run/a.sock:/b"},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_url url;
        sx_buf out;
        sx_buf_init(&out, 0);
        assert_int_equal(sx_url_parse(sx_str_z(ROWS[i][0]), &url, NULL), SX_OK);
        http_url_redact(&url, true, &out);
        assert_true(sx_str_eq(sx_buf_view(&out), sx_str_z(ROWS[i][1])));
        sx_buf_done(&out);
    }
}

static void test_a_client_without_memory(void **state)
{
    http_fixture server;
    (void)state;
    http_fixture_open(&server, NULL);
    for (int64_t nth = 1;; nth++) {
        kit_fixture kit;
        sx_http_client *client = NULL;
        sx_error err;
        kit_fixture_open(&kit, &server.clock.clock);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = sx_kit_http_client_new(
            server.loop, &kit.kit, &(sx_kit_http_options){.client = {.name = "a"}}, &client, &err);
        bool is_last = sx_fault_alloc_calls() < nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (st == SX_OK)
            sx_http_client_free(client);
        else
            assert_int_equal(st, SX_ENOMEM);
        kit_fixture_close(&kit);
        if (is_last)
            break;
    }
    http_fixture_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_call_has_a_span_and_carries_its_context),
        cmocka_unit_test(test_errors_open_the_origins_breaker),
        cmocka_unit_test(test_a_deadline_cuts_a_call_and_is_nobodys_fault),
        cmocka_unit_test(test_a_grpc_call_has_one_span_of_its_own_kind),
        cmocka_unit_test(test_urls_are_shown_without_secrets),
        cmocka_unit_test(test_a_client_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
