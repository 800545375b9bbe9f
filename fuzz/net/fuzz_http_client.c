/* A client whose server says anything, by HTTP/1.1 or HTTP/2: every call is told `done` exactly once,
 * a head comes before a body, limits hold, nothing leaks. */
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_client_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_BYTES_MAX = 1000, CALLS = 2 };

typedef struct seen {
    sx_call *call;
    int heads, dones;
    size_t body;
    uint8_t mood; /* bits: pause at the head, cancel at the body */
} seen;

static void on_head(sx_call *call, void *ctx, const sx_response *response)
{
    seen *s = ctx;
    sx_assert(++s->heads == 1 && s->dones == 0);
    sx_assert(response->status >= 200 && response->status <= 999);
    for (size_t i = 0; i < response->header_count; i++) {
        sx_str value = response->headers[i].value;
        sx_assert(response->headers[i].name.len > 0);
        sx_assert(!value.len ||
                  (!memchr(value.data, '\n', value.len) && !memchr(value.data, '\0', value.len)));
    }
    if (s->mood & 1)
        sx_call_pause(call);
}

static void on_body(sx_call *call, void *ctx, sx_str piece)
{
    seen *s = ctx;
    sx_assert(s->heads == 1 && s->dones == 0 && piece.len > 0);
    s->body += piece.len;
    sx_assert(s->body <= BODY_BYTES_MAX);
    if (s->mood & 2)
        sx_call_cancel(call);
}

static void on_done(sx_call *call, void *ctx, sx_status status, const sx_error *err,
                    const sx_header *trailers, size_t trailer_count)
{
    seen *s = ctx;
    (void)call, (void)trailers, (void)trailer_count;
    sx_assert(++s->dones == 1);
    sx_assert(status == SX_OK ? s->heads == 1 : err->message[0] != '\0');
    s->call = NULL;
}

static const sx_call_events EVENTS = {.head = on_head, .body = on_body, .done = on_done};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    seen s[CALLS] = {{0}};
    sx_fake_clock clock;
    sx_loop *loop;
    sx_http_client *client;
    sx_stream *stream;
    int ends[2];
    if (size < 1)
        return 0;
    bool is_http2 = data[0] & 4;
    sx_http_client_options options = {.body_bytes_max = BODY_BYTES_MAX,
                                      .header_bytes_max = 2048,
                                      .http2_prior_knowledge = is_http2,
                                      .connections_max = 1};
    sx_fake_clock_init(&clock, 1000000);
    sx_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    sx_assert(sx_loop_new(&clock.clock, 0, &loop, NULL) == SX_OK);
    sx_assert(sx_http_client_new(loop, &options, &client, NULL) == SX_OK);
    /* The calls ask for a socket that is not there; before that fails they get our pair. */
    sx_call_request request = {.url = SX_STR("unix:/nowhere/at/all.sock:/x"),
                               .method = data[0] & 8 ? SX_STR("HEAD") : SX_STR("GET")};
    for (int i = 0; i < CALLS; i++) {
        s[i].mood = data[0];
        sx_assert(sx_http_call(client, &request, &EVENTS, &s[i], &s[i].call, NULL) == SX_OK);
    }
    sx_assert(sx_stream_accept(loop, ends[0], NULL, NULL, &client->stream_options, NULL, NULL,
                               &stream, NULL) == SX_OK);
    origin_connected(s[0].call->origin, stream, is_http2 ? CLIENT_HTTP2 : CLIENT_HTTP1);

    /* The first byte of each piece is its length; 0 resumes what is paused. */
    for (size_t at = 1; at < size;) {
        size_t len = data[at++];
        for (int i = 0; i < CALLS && len == 0; i++) {
            if (s[i].call)
                sx_call_resume(s[i].call);
        }
        len = len < size - at ? len : size - at;
        ssize_t n = send(ends[1], data + at, len, MSG_NOSIGNAL);
        (void)n; /* the client may have closed */
        at += len;
        sx_loop_turn(loop);
    }
    for (int i = 0; i < CALLS; i++) {
        if (s[i].call)
            sx_call_resume(s[i].call);
    }
    sx_loop_turn(loop);
    close(ends[1]);
    sx_loop_turn(loop);
    sx_loop_turn(loop);
    sx_http_client_free(client);
    for (int i = 0; i < CALLS; i++)
        sx_assert(s[i].dones == 1);
    sx_loop_free(loop);
    return 0;
}
