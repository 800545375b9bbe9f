/* hello.c - the smallest service: answers `hello, world` on / at $HOST:$PORT (127.0.0.1:8080).
 *
 * What it has beyond that line comes with the kit: /metrics, /health/live and /health/ready, an
 * X-Request-ID on every reply, an access log (stdout; --access_log=FILE), every limit as a setting
 * (--help), and a graceful end on SIGTERM. */
#include <sextant/sextant.h>
#include <stdio.h>
#include <stdlib.h>

static void hello(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply_static(r, 200, SX_STR("text/plain; charset=utf-8"), SX_STR("hello, world\n"));
}

int main(int argc, char **argv)
{
    static const sx_route ROUTES[] = {{SX_GET, "/", hello}};
    const char *host = getenv("HOST"), *port = getenv("PORT");
    char listen[300];
    snprintf(listen, sizeof(listen), "%s:%s", host ? host : "127.0.0.1", port ? port : "8080");
    const sx_service_def def = {.name = "hello",
                                .version = "1.0.0",
                                .summary = "the smallest service",
                                .listen = listen,
                                .routes = ROUTES,
                                .route_count = SX_COUNT_OF(ROUTES)};
    return sx_service_main(argc, argv, &def);
}
