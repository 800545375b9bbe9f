/* bare_http1_server.c - the bare server: "hello, world" on one loop, for wrk and perf.
 *
 *     bare_http1_server 127.0.0.1:8080
 *     wrk -t2 -c64 -d5 http://127.0.0.1:8080/
 *
 * Requests per CPU-second are wrk's requests over the growth of utime + stime in /proc/PID/stat. */
#include <signal.h>
#include <stdio.h>

#include <sextant/http.h>

static sx_loop *the_loop; /* for the signal handler */

static void hello(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply(r, 200, SX_STR("text/plain"), SX_STR("hello, world\n"));
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
    sx_http_server_options options = {.handler = hello};
    sx_listen_options listen = {.address = sx_str_z(argc > 1 ? argv[1] : "127.0.0.1:0"),
                                .inherited_fd = -1};
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
    const sx_http_counts *counts = sx_http_server_counts(server);
    printf("requests %llu count\n", (unsigned long long)counts->requests);
    sx_http_server_free(server);
    sx_loop_free(the_loop);
    return 0;
}
