/* The HTTP/2 server on a socket pair. The input is a list of acts, most of them well-formed frames in
 * any order, so that the fuzzer gets past nghttp2's checks into ours: no crash, and each request that
 * reached the handler is reported done exactly once. */
#include <sys/socket.h>
#include <unistd.h>

#include <sextant/http.h>

#include "net/http2_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WAITING = 8 };

typedef struct fuzz {
    const uint8_t *at, *end;
    sx_fake_clock clock;
    sx_loop *loop;
    sx_http_server *server;
    int fd;
    uint32_t next_id;
    int handled, done;
    sx_request *waiting[WAITING];
} fuzz;

static int place_of(const fuzz *f, const sx_request *r)
{
    for (int i = 0; i < WAITING; i++) {
        if (f->waiting[i] == r)
            return i;
    }
    return -1;
}

static void on_body(sx_request *r, void *ctx, sx_str piece, bool last)
{
    fuzz *f = ctx;
    if (r->status && sx_reply_write(r, piece) == SX_AGAIN)
        sx_request_pause(r);
    int i = place_of(f, r);
    if (last && r->status) {
        if (i >= 0)
            f->waiting[i] = NULL;
        sx_reply_trailer(r, SX_STR("x"), SX_STR("y"));
        sx_reply_end(r);
    }
}

static void on_drained(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_request_resume(r);
}

static void on_aborted(sx_request *r, void *ctx)
{
    fuzz *f = ctx;
    int i = place_of(f, r);
    if (i >= 0)
        f->waiting[i] = NULL;
}

static const sx_request_events EVENTS = {
    .body = on_body, .drained = on_drained, .aborted = on_aborted};

static const sx_request_events WATCHING = {.aborted = on_aborted};

static void echo(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply(r, 200, SX_STR("text/plain"), r->body);
}

/* The path's second byte chooses what is done with the request. */
static void handle(sx_request *r, void *ctx)
{
    fuzz *f = ctx;
    int place = place_of(f, NULL);
    f->handled++;
    switch (r->path.len > 1 ? r->path.data[1] : 0) {
    case 'b':
        sx_request_read_body(r, 100, echo, NULL);
        break;
    case 's':
        if (place >= 0)
            f->waiting[place] = r;
        sx_reply_begin(r, 200, SX_STR(""), SX_LENGTH_UNKNOWN);
        sx_request_events_set(r, &EVENTS, f);
        break;
    case 'w':
        if (place < 0) {
            sx_reply(r, 503, SX_STR(""), SX_STR(""));
            break;
        }
        f->waiting[place] = r;
        sx_request_events_set(r, &WATCHING, f);
        break;
    case 'i':
        sx_reply_interim(r, 103);
        sx_reply(r, 204, SX_STR(""), SX_STR(""));
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
    ((fuzz *)ctx)->done++;
}

static uint8_t take(fuzz *f)
{
    return f->at < f->end ? *f->at++ : 0;
}

static void say(fuzz *f, const void *bytes, size_t len)
{
    ssize_t n = send(f->fd, bytes, len, MSG_NOSIGNAL);
    (void)n; /* the server may have closed */
}

static void say_frame(fuzz *f, uint8_t type, uint8_t flags, uint32_t id, const void *payload,
                      size_t len)
{
    uint8_t head[9] = {
        (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,       type,       flags,
        (uint8_t)(id >> 24),  (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    say(f, head, sizeof(head));
    say(f, payload, len);
}

/* A request for a path of two bytes, of which the input gives one; all fields from HPACK's table. */
static void say_request(fuzz *f)
{
    uint8_t flags = (uint8_t)(4 | (take(f) & 1));
    uint8_t block[] = {(uint8_t)(0x82 | (take(f) & 1)), /* GET or POST */
                       0x86,                            /* http */
                       0x01,
                       1,
                       'h', /* :authority */
                       0x04,
                       2,
                       '/',
                       take(f) /* :path */};
    say_frame(f, 1, flags, f->next_id, block, sizeof(block));
    f->next_id += 2;
}

static void reply_to_one(fuzz *f)
{
    int i = take(f) % WAITING;
    sx_request *r = f->waiting[i];
    if (!r || r->status)
        return;
    f->waiting[i] = NULL;
    if (take(f) & 1)
        sx_request_read_body(r, 1000, echo, NULL);
    else
        sx_reply(r, 200, SX_STR(""), SX_STR("waited"));
}

static void act(fuzz *f)
{
    static const uint8_t ZEROS[4096];
    uint8_t what = take(f) % 12, a = take(f), b = take(f);
    uint32_t id = 1 + 2 * (uint32_t)(a % 16);
    switch (what) {
    case 0:
    case 1:
    case 2:
        say_request(f);
        break;
    case 3:
        say_frame(f, 0, b & 1, id, ZEROS, (size_t)b * 16);
        break;
    case 4:
        say_frame(f, 3, 0, id, (uint8_t[]){0, 0, 0, b}, 4);
        break;
    case 5:
        say_frame(f, 8, 0, b & 1 ? id : 0, (uint8_t[]){0, 0, b, a}, 4);
        break;
    case 6:
        say_frame(f, 4, 0, 0, (uint8_t[]){0, (uint8_t)(a % 8), 0, 0, b, a}, 6);
        break;
    case 7: { /* any frame at all */
        size_t len = a < (size_t)(f->end - f->at) ? a : (size_t)(f->end - f->at);
        const uint8_t *payload = f->at;
        f->at += len;
        say_frame(f, b % 12, take(f), take(f) % 32, payload, len);
        break;
    }
    case 8:
        sx_fake_clock_advance(&f->clock, (int64_t)b * 200);
        break;
    case 9:
        reply_to_one(f);
        break;
    case 10:
        say_frame(f, 6, a & 1, 0, "12345678", 8);
        break;
    case 11:
        if (b == 7)
            sx_http_server_drain(f->server, 1000, NULL, NULL);
        break;
    }
    if (a & 0x80)
        sx_loop_turn(f->loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz f = {.at = data, .end = data + size, .next_id = 1};
    sx_stream *stream;
    int ends[2];
    sx_http_server_options options = {.handler = handle, .done = on_done, .ctx = &f};
    options.limits.streams_max = 8;
    sx_fake_clock_init(&f.clock, 1000000);
    sx_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    f.fd = ends[1];
    sx_assert(sx_loop_new(&f.clock.clock, 0, &f.loop, NULL) == SX_OK);
    sx_assert(sx_http_server_new(f.loop, &options, &f.server, NULL) == SX_OK);
    sx_assert(sx_stream_accept(f.loop, ends[0], NULL, NULL, &f.server->stream_options, NULL, NULL,
                               &stream, NULL) == SX_OK);
    sx_http2_server_take(f.server, stream, SX_STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    say_frame(&f, 4, 0, 0, "", 0);
    while (f.at < f.end)
        act(&f);
    char out[4096];
    for (int i = 0; i < 4; i++) {
        sx_loop_turn(f.loop);
        while (recv(f.fd, out, sizeof(out), MSG_DONTWAIT) > 0) {
        }
    }
    close(f.fd);
    sx_loop_turn(f.loop);
    sx_http_server_free(f.server);
    sx_assert(f.done == f.handled);
    sx_loop_free(f.loop);
    return 0;
}
