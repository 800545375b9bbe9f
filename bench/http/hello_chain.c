/* hello_chain.c - examples/hello behind a circuit breaker of its own, for bench_hello.py: with limits,
 * tracing and the access log switched on by settings, every request passes the whole chain. */
#include <sextant/breaker.h>
#include <sextant/service.h>

typedef struct chain {
    sx_breaker *breaker;
} chain;

static sx_status setup(sx_service *s, void *ctx, sx_error *err)
{
    (void)err;
    chain *c = ctx;
    c->breaker = sx_breakers_get(sx_service_kit(s)->breakers, SX_STR("hello"), NULL);
    return SX_OK;
}

static void hello(sx_request *r, void *ctx)
{
    const chain *c = ctx;
    sx_breaker_pass pass;
    if (!sx_breaker_allow(c->breaker, &pass)) {
        sx_reply_error(r, 503, NULL);
        return;
    }
    sx_reply_static(r, 200, SX_STR("text/plain; charset=utf-8"), SX_STR("hello, world\n"));
    sx_breaker_done(c->breaker, &pass, true);
}

int main(int argc, char **argv)
{
    chain c = {NULL};
    const sx_route routes[] = {{SX_GET, "/", hello, &c}};
    return sx_service_main(argc, argv,
                           &(sx_service_def){.name = "hello",
                                             .version = "1.0.0",
                                             .routes = routes,
                                             .route_count = SX_COUNT_OF(routes),
                                             .ctx = &c,
                                             .setup = setup});
}
