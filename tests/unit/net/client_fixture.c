/* client_fixture.c - see client_fixture.h. */
#include "tests/unit/net/client_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sextant/mem.h>

static void on_head(sx_call *call, void *ctx, const sx_response *response)
{
    call_record *r = ctx;
    (void)call;
    r->heads++;
    r->status = response->status;
    r->version = response->version;
    r->content_bytes = response->content_bytes;
    sx_str value = sx_response_header(response, SX_STR("x-test"));
    if (!value.data)
        value = sx_response_header(response, SX_STR("content-type"));
    snprintf(r->header, sizeof(r->header), "%.*s", SX_ARG(value));
    if (r->on_head)
        r->on_head(r);
}

static void on_body(sx_call *call, void *ctx, sx_str piece)
{
    call_record *r = ctx;
    (void)call;
    r->pieces++;
    sx_buf_str(&r->body, piece);
    if (r->on_body)
        r->on_body(r);
}

static void on_writable(sx_call *call, void *ctx)
{
    call_record *r = ctx;
    (void)call;
    r->writables++;
}

static void on_done(sx_call *call, void *ctx, sx_status status, const sx_error *err,
                    const sx_header *trailers, size_t trailer_count)
{
    call_record *r = ctx;
    (void)call;
    r->dones++;
    r->result = status;
    r->err = *err;
    r->trailer_count = trailer_count;
    if (trailer_count)
        snprintf(r->trailer, sizeof(r->trailer), "%.*s", SX_ARG(trailers[0].value));
    r->call = NULL;
    if (r->on_done)
        r->on_done(r);
}

const sx_call_events RECORD = {
    .head = on_head, .body = on_body, .writable = on_writable, .done = on_done};

void client_fixture_open(client_fixture *f, const sx_http_client_options *options)
{
    sx_error err;
    memset(f, 0, sizeof(*f));
    http_fixture_open(&f->server, NULL);
    assert_int_equal(sx_http_client_new(f->server.loop, options, &f->client, &err), SX_OK);
}

void client_fixture_close(client_fixture *f)
{
    sx_http_client_free(f->client);
    http_fixture_close(&f->server);
}

sx_status client_fixture_start(client_fixture *f, call_record *r, const char *method,
                               const char *target, const char *body)
{
    char url[512];
    bool is_url = strstr(target, ":/") != NULL;
    snprintf(url, sizeof(url), "%s%s%s", is_url ? "" : "http://",
             is_url ? "" : f->server.bound.text, target);
    sx_call_request request = {
        .method = sx_str_z(method), .url = sx_str_z(url), .body = sx_str_z(body)};
    return sx_http_call(f->client, &request, &RECORD, r, &r->call, &r->err);
}

void client_fixture_until(client_fixture *f, const int *flag)
{
    for (int i = 0; i < 50000 && !*flag; i++) {
        sx_loop_turn(f->server.loop);
        if (i > 200)
            poll(NULL, 0, 1); /* only where another thread or process has to move */
    }
    assert_int_not_equal(*flag, 0);
}

void client_fixture_call(client_fixture *f, call_record *r, const char *method, const char *target,
                         const char *body)
{
    sx_status st = client_fixture_start(f, r, method, target, body);
    if (st != SX_OK)
        fail_msg("%s", r->err.message);
    client_fixture_until(f, &r->dones);
}

void call_record_done(call_record *r)
{
    sx_buf_done(&r->body);
}

/* ---- raw peers ---- */

void raw_peer_open(raw_peer *p)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t bytes = sizeof(in);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->fd = -1;
    p->listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->listening, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(p->listening, 64), 0);
    assert_int_equal(getsockname(p->listening, (struct sockaddr *)&in, &bytes), 0);
    snprintf(p->url, sizeof(p->url), "http://127.0.0.1:%u/", ntohs(in.sin_port));
}

void raw_peer_close(raw_peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    if (p->listening >= 0)
        close(p->listening);
}

void raw_peer_accept(client_fixture *f, raw_peer *p)
{
    int on = 1;
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    for (int i = 0; i < 5000 && p->fd < 0; i++) {
        sx_loop_turn(f->server.loop);
        p->fd = accept4(p->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    assert_true(p->fd >= 0);
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void raw_peer_say(client_fixture *f, raw_peer *p, const void *data, size_t len)
{
    const char *at = data;
    while (len) {
        ssize_t n = send(p->fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            break;
        at += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
        sx_loop_turn(f->server.loop);
    }
    http_fixture_settle(&f->server);
}

const char *raw_peer_read_to(client_fixture *f, raw_peer *p, const char *end)
{
    static char text[1 << 20];
    size_t len = 0, end_len = strlen(end);
    for (int i = 0; i < 20000; i++) {
        sx_loop_turn(f->server.loop);
        ssize_t n = recv(p->fd, text + len, sizeof(text) - 1 - len, 0);
        if (n > 0)
            len += (size_t)n;
        text[len] = '\0';
        if (len >= end_len && memcmp(text + len - end_len, end, end_len) == 0)
            return text;
    }
    fail_msg("the request did not come; so far: %s", text);
    return text;
}
