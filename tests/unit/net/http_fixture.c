/* http_fixture.c - see http_fixture.h. */
#include "tests/unit/base/cmocka_all.h"

#include "tests/unit/net/http_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static void on_body(sx_request *r, void *ctx, sx_str piece, bool last)
{
    http_fixture *f = ctx;
    sx_buf_str(&f->body, piece);
    f->body_pieces++;
    f->body_ended |= last;
    if (last && sx_str_eq(r->path, SX_STR("/stream")))
        sx_reply(r, 200, SX_STR("text/plain"), sx_buf_view(&f->body));
    if (last && r->status == 101)
        sx_reply_end(r);
    else if (r->status == 101)
        sx_reply_write(r, piece); /* an upgraded connection echoes */
}

static void on_aborted(sx_request *r, void *ctx)
{
    http_fixture *f = ctx;
    f->aborted++;
    if (f->held == r)
        f->held = NULL;
}

static const sx_request_events READING = {.body = on_body, .aborted = on_aborted};
static const sx_request_events WATCHING = {.aborted = on_aborted};

static void echo(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply(r, 200, SX_STR("text/plain"), r->body);
}

static void do_hello(http_fixture *f, sx_request *r)
{
    (void)f;
    sx_reply(r, 200, SX_STR("text/plain"), SX_STR("hello"));
}

static void do_target(http_fixture *f, sx_request *r)
{
    (void)f;
    sx_reply(r, 200, SX_STR("text/plain"), r->target);
}

static void do_echo(http_fixture *f, sx_request *r)
{
    sx_request_read_body(r, 1000, echo, f);
}

static void do_stream(http_fixture *f, sx_request *r)
{
    sx_request_events_set(r, &READING, f);
}

static void do_hold(http_fixture *f, sx_request *r)
{
    f->held = r;
    f->held_host = sx_request_header(r, SX_STR("host"));
    sx_request_events_set(r, &WATCHING, f);
}

static void do_pieces(http_fixture *f, sx_request *r)
{
    (void)f;
    sx_reply_begin(r, 200, SX_STR("text/plain"), SX_LENGTH_UNKNOWN);
    sx_reply_write(r, SX_STR("one "));
    sx_reply_write(r, SX_STR("twotwotwotwotwotwo"));
    sx_reply_trailer(r, SX_STR("X-Sum"), SX_STR("7"));
    sx_reply_end(r);
}

static void do_empty(http_fixture *f, sx_request *r)
{
    (void)f;
    sx_reply(r, 204, SX_STR(""), SX_STR(""));
}

static void do_short(http_fixture *f, sx_request *r)
{
    (void)f;
    sx_reply_begin(r, 200, SX_STR("text/plain"), 10);
    assert_int_equal(sx_reply_write(r, SX_STR("0123456789X")), SX_EINVAL);
    sx_reply_write(r, SX_STR("01234"));
    sx_reply_end(r);
}

static void do_hints(http_fixture *f, sx_request *r)
{
    sx_reply_header(r, SX_STR("Link"), SX_STR("</a.css>"));
    assert_int_equal(sx_reply_interim(r, 103), SX_OK);
    do_hello(f, r);
}

static void do_fields(http_fixture *f, sx_request *r)
{
    assert_int_equal(sx_reply_header(r, SX_STR("X-A"), SX_STR(" b ")), SX_OK);
    assert_int_equal(sx_reply_header(r, SX_STR("Date"), SX_STR("today")), SX_OK);
    assert_int_equal(sx_reply_header(r, SX_STR("X A"), SX_STR("b")), SX_EINVAL);
    assert_int_equal(sx_reply_header(r, SX_STR("X-A"), SX_STR("b\r\nX: y")), SX_EINVAL);
    assert_int_equal(sx_reply_header(r, SX_STR("connection"), SX_STR("x")), SX_EINVAL);
    do_hello(f, r);
    assert_int_equal(sx_reply_header(r, SX_STR("X-Late"), SX_STR("b")), SX_EINVAL);
}

static void do_upgrade(http_fixture *f, sx_request *r)
{
    sx_request_events_set(r, &READING, f);
    if (sx_reply_upgrade(r, SX_STR("echo")) != SX_OK)
        sx_reply(r, 426, SX_STR("text/plain"), SX_STR("upgrade\n"));
}

static void do_big(http_fixture *f, sx_request *r)
{
    (void)f;
    static char big[1 << 20];
    memset(big, 'b', sizeof(big));
    sx_reply_static(r, 200, SX_STR("text/plain"), sx_str_of(big, sizeof(big)));
}

static const struct {
    sx_str path;
    void (*fn)(http_fixture *f, sx_request *r);
} ROUTES[] = {
    {SX_STR_INIT("/"), do_hello},        {SX_STR_INIT("/echo"), do_echo},
    {SX_STR_INIT("/stream"), do_stream}, {SX_STR_INIT("/hold"), do_hold},
    {SX_STR_INIT("/pieces"), do_pieces}, {SX_STR_INIT("/empty"), do_empty},
    {SX_STR_INIT("/short"), do_short},   {SX_STR_INIT("/hints"), do_hints},
    {SX_STR_INIT("/fields"), do_fields}, {SX_STR_INIT("/upgrade"), do_upgrade},
    {SX_STR_INIT("/big"), do_big},
};

static void handle(sx_request *r, void *ctx)
{
    http_fixture *f = ctx;
    f->handled++;
    snprintf(f->peer_address, sizeof(f->peer_address), "%s", r->peer->address);
    snprintf(f->tls_client_name, sizeof(f->tls_client_name), "%.*s",
             SX_ARG(r->peer->tls_client_name));
    for (size_t i = 0; i < SX_COUNT_OF(ROUTES); i++) {
        if (sx_str_eq(ROUTES[i].path, r->path)) {
            ROUTES[i].fn(f, r);
            return;
        }
    }
    do_target(f, r);
}

static void on_done(sx_request *r, void *ctx)
{
    http_fixture *f = ctx;
    f->done++;
    f->cut_short += r->cut_short;
    f->done_status = r->status;
    snprintf(f->done_target, sizeof(f->done_target), "%.*s", SX_ARG(r->target));
}

static void on_rejected(sx_http_server *server, void *ctx, const sx_peer *peer, int status,
                        const char *why)
{
    (void)server, (void)peer;
    http_fixture *f = ctx;
    f->rejected++;
    f->rejected_status = status;
    snprintf(f->rejected_why, sizeof(f->rejected_why), "%s", why);
}

void http_fixture_open(http_fixture *f, const sx_http_limits *limits)
{
    sx_error err;
    memset(f, 0, sizeof(*f));
    sx_fake_clock_init(&f->clock, 784111777000); /* Sun, 06 Nov 1994 08:49:37 GMT */
    sx_buf_init(&f->body, 0);
    f->options = (sx_http_server_options){.handler = handle,
                                          .done = on_done,
                                          .rejected = on_rejected,
                                          .ctx = f,
                                          .server_name = "test"};
    if (limits)
        f->options.limits = *limits;
    assert_int_equal(sx_loop_new(&f->clock.clock, 0, &f->loop, &err), SX_OK);
    assert_int_equal(sx_http_server_new(f->loop, &f->options, &f->server, &err), SX_OK);
    sx_listen_options listen = {.address = SX_STR("127.0.0.1:0"), .inherited_fd = -1};
    http_fixture_listen(f, &listen);
}

void http_fixture_listen(http_fixture *f, const sx_listen_options *options)
{
    sx_error err = {0};
    if (sx_http_server_listen(f->server, options, &f->bound, &err) != SX_OK)
        fail_msg("%s", err.message);
}

void http_fixture_close(http_fixture *f)
{
    sx_http_server_free(f->server);
    sx_loop_free(f->loop);
    sx_buf_done(&f->body);
}

/* The kernel delivers over the loopback within the call, so a few turns are all it takes. */
void http_fixture_settle(http_fixture *f)
{
    for (int i = 0; i < 12; i++)
        sx_loop_turn(f->loop);
}

int http_fixture_connect(http_fixture *f)
{
    const char *colon = strrchr(f->bound.text, ':');
    uint64_t port;
    assert_true(sx_str_to_u64(sx_str_z(colon + 1), &port));
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    /* Nagle's algorithm would hold small pieces back for real milliseconds. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    http_fixture_settle(f);
    return fd;
}

void http_fixture_send(http_fixture *f, int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        } else if (n < 0 && errno != EAGAIN) {
            break; /* the server has closed: the test will see */
        }
        sx_loop_turn(f->loop);
    }
    http_fixture_settle(f);
}

void http_fixture_say(http_fixture *f, int fd, const char *text)
{
    http_fixture_send(f, fd, text, strlen(text));
}

const char *http_fixture_read(http_fixture *f, int fd, int *is_closed)
{
    static char text[2 << 20];
    size_t len = 0;
    int closed = 0;
    for (int idle = 0; idle < 20 && !closed;) {
        sx_loop_turn(f->loop);
        ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT);
        if (n > 0)
            len += (size_t)n;
        else if (n == 0)
            closed = 1;
        else if (errno == ECONNRESET)
            closed = 2;
        else
            idle++;
    }
    text[len] = '\0';
    if (is_closed)
        *is_closed = closed;
    return text;
}

void http_fixture_stall(http_fixture *f, int fd, const char *data, size_t len, int64_t ms)
{
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), len);
    http_fixture_wait(f, ms);
}

void http_fixture_wait(http_fixture *f, int64_t ms)
{
    sx_fake_clock_advance(&f->clock, ms);
    http_fixture_settle(f);
}
