/* bare_http2_server.c - a server for h2spec, h2load and interop tests: one loop, both protocols.
 *
 *     bare_http2_server 127.0.0.1:8080 [CHAIN.pem KEY.pem]
 *     h2spec -h 127.0.0.1 -p 8080
 *     h2load -n 200000 -c 16 -m 32 http://127.0.0.1:8080/
 *
 * GET gives "hello, world"; GET /big gives 1 MiB in pieces; POST gives back its body as it comes. */
#include <signal.h>
#include <stdio.h>

#include <sextant/http.h>
#include <sextant/tls.h>

static sx_loop *the_loop; /* for the signal handler */

/* ---- echo ---- */

static void echo_body(sx_request *r, void *ctx, sx_str piece, bool last)
{
    (void)ctx;
    if (sx_reply_write(r, piece) == SX_AGAIN)
        sx_request_pause(r);
    if (last)
        sx_reply_end(r);
}

static void echo_drained(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_request_resume(r);
}

static const sx_request_events ECHO = {.body = echo_body, .drained = echo_drained};

/* ---- a large body ---- */

enum { BIG_BYTES = 1 << 20, PIECE_BYTES = 16384 };

static const char PIECE[PIECE_BYTES];

static void send_big(sx_request *r, void *ctx)
{
    (void)ctx;
    while (r->sent_bytes < BIG_BYTES) {
        sx_status st = sx_reply_write(r, sx_str_of(PIECE, PIECE_BYTES));
        if (st != SX_OK)
            return;
    }
    sx_reply_end(r);
}

static const sx_request_events BIG = {.drained = send_big};

static void handle(sx_request *r, void *ctx)
{
    (void)ctx;
    if (r->method == SX_POST) {
        sx_reply_begin(r, 200, SX_STR("application/octet-stream"), SX_LENGTH_UNKNOWN);
        sx_request_events_set(r, &ECHO, NULL);
    } else if (sx_str_eq(r->path, SX_STR("/big"))) {
        sx_request_events_set(r, &BIG, NULL);
        sx_reply_begin(r, 200, SX_STR("application/octet-stream"), BIG_BYTES);
        send_big(r, NULL);
    } else {
        sx_reply(r, 200, SX_STR("text/plain"), SX_STR("hello, world\n"));
    }
}

static void on_signal(int number)
{
    (void)number;
    sx_loop_stop(the_loop);
}

int main(int argc, char **argv)
{
    sx_error err = {0};
    sx_bound bound;
    sx_http_server *server = NULL;
    sx_http_server_options options = {.handler = handle};
    sx_listen_options listen = {.address = sx_str_z(argc > 1 ? argv[1] : "127.0.0.1:0"),
                                .inherited_fd = -1};
    if (argc > 3) {
        sx_tls_certificate certificate = {argv[2], argv[3]};
        sx_tls_server_options tls = {
            .certificates = &certificate, .certificate_count = 1, .http2 = true};
        if (sx_tls_server_new(&tls, &listen.tls, &err) != SX_OK) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
    }
    if (sx_loop_new(NULL, 0, &the_loop, &err) != SX_OK ||
        sx_http_server_new(the_loop, &options, &server, &err) != SX_OK ||
        sx_http_server_listen(server, &listen, &bound, &err) != SX_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    fprintf(stderr, "ready bench http=%s\n", bound.text);
    sx_loop_run(the_loop);
    sx_http_server_free(server);
    sx_loop_free(the_loop);
    if (listen.tls)
        sx_tls_unref(listen.tls);
    return 0;
}
