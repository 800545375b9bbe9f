/* A whole server on a socket pair: whatever comes, in whatever pieces, it neither crashes nor leaks a
 * request, and each request that reached the handler is reported done exactly once. */
#include <sys/socket.h>
#include <unistd.h>

#include <sextant/http.h>

#include "net/http_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct seen {
    int handled, done;
    sx_request *waiting;
} seen;

static void on_body(sx_request *r, void *ctx, sx_str piece, bool last)
{
    (void)ctx, (void)piece;
    if (last && r->status == 0)
        sx_reply(r, 200, SX_STR(""), SX_STR("read"));
}

static void on_aborted(sx_request *r, void *ctx)
{
    seen *s = ctx;
    if (s->waiting == r)
        s->waiting = NULL;
}

static const sx_request_events EVENTS = {.body = on_body, .aborted = on_aborted};
static const sx_request_events WATCHING = {.aborted = on_aborted};

static void echo(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply(r, 200, SX_STR("text/plain"), r->body);
}

/* The target's second byte chooses what is done with the request. */
static void handle(sx_request *r, void *ctx)
{
    seen *s = ctx;
    s->handled++;
    switch (r->path.len > 1 ? r->path.data[1] : 0) {
    case 'b':
        sx_request_read_body(r, 100, echo, NULL);
        break;
    case 's':
        sx_request_events_set(r, &EVENTS, s);
        break;
    case 'w':
        s->waiting = r;
        sx_request_events_set(r, &WATCHING, s);
        break;
    case 'c':
        sx_reply_begin(r, 200, SX_STR(""), SX_LENGTH_UNKNOWN);
        sx_reply_write(r, r->target);
        sx_reply_end(r);
        break;
    case 'u':
        sx_request_events_set(r, &EVENTS, s);
        if (sx_reply_upgrade(r, SX_STR("x")) != SX_OK)
            sx_reply(r, 400, SX_STR(""), SX_STR(""));
        break;
    case 'a':
        sx_reply_abort(r);
        break;
    default:
        sx_reply(r, 200, SX_STR("text/plain"), r->target);
        break;
    }
}

static void on_done(sx_request *r, void *ctx)
{
    (void)r;
    ((seen *)ctx)->done++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    seen s = {0};
    sx_fake_clock clock;
    sx_fake_clock_init(&clock, 1000000);
    sx_loop *loop;
    sx_http_server *server;
    sx_stream *stream;
    int ends[2];
    sx_http_server_options options = {.handler = handle, .done = on_done, .ctx = &s};
    sx_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    sx_assert(sx_loop_new(&clock.clock, 0, &loop, NULL) == SX_OK);
    sx_assert(sx_http_server_new(loop, &options, &server, NULL) == SX_OK);
    sx_assert(sx_stream_accept(loop, ends[0], NULL, NULL, &server->stream_options, NULL, NULL,
                               &stream, NULL) == SX_OK);
    sx_http_server_take(server, stream);
    /* The first byte of each piece is its length; 0 lets time pass or answers what waits. */
    for (size_t at = 0; at < size;) {
        size_t len = data[at++];
        if (len == 0) {
            sx_fake_clock_advance(&clock, 4000);
            if (s.waiting) {
                sx_request *r = s.waiting;
                s.waiting = NULL;
                sx_reply(r, 200, SX_STR(""), SX_STR("waited"));
            }
        }
        len = len < size - at ? len : size - at;
        ssize_t n = send(ends[1], data + at, len, MSG_NOSIGNAL);
        (void)n; /* the server may have closed */
        at += len;
        sx_loop_turn(loop);
    }
    char out[4096];
    for (int i = 0; i < 4; i++) {
        sx_loop_turn(loop);
        while (recv(ends[1], out, sizeof(out), MSG_DONTWAIT) > 0) {
        }
    }
    close(ends[1]);
    sx_loop_turn(loop);
    sx_http_server_free(server);
    sx_assert(s.done == s.handled);
    sx_loop_free(loop);
    return 0;
}
