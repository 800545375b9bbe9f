/* bench_router.c - one look-up in a table of the size of a real API. Budget: 50 ns for a path
 * without parameters. */
#include <stdio.h>

#include "service/router.h"

static void nothing(sx_request *r, void *ctx)
{
    (void)r;
    (void)ctx;
}

static const sx_route ROUTES[] = {
    {SX_GET, "/", nothing},
    {SX_GET, "/metrics", nothing},
    {SX_GET, "/health/live", nothing},
    {SX_GET, "/health/ready", nothing},
    {SX_GET, "/api/v1/query", nothing},
    {SX_POST, "/api/v1/query", nothing},
    {SX_GET, "/api/v1/query_range", nothing},
    {SX_POST, "/api/v1/query_range", nothing},
    {SX_GET, "/api/v1/series", nothing},
    {SX_GET, "/api/v1/labels", nothing},
    {SX_GET, "/api/v1/label/:name/values", nothing},
    {SX_GET, "/api/v1/targets", nothing},
    {SX_GET, "/api/v1/rules", nothing},
    {SX_GET, "/api/v1/alerts", nothing},
    {SX_GET, "/api/traces/:id", nothing},
    {SX_GET, "/api/services/:service/operations", nothing},
    {SX_GET, "/search/", nothing},
    {SX_GET, "/reverse/", nothing},
    {SX_GET, "/users/:user/posts/:post", nothing},
    {SX_GET, "/static/*", nothing},
};

enum { ROUNDS = 10000000 };

static void measure(const sx_router *router, const char *name, const char *path,
                    sx_route_result expected)
{
    const sx_clock *clock = sx_clock_system();
    sx_arena arena;
    sx_route_match m;
    sx_str view = sx_str_z(path);
    sx_arena_init(&arena, 0, 0);
    int64_t start = sx_clock_mono_ns(clock);
    for (int i = 0; i < ROUNDS; i++) {
        __asm__ volatile("" : "+m"(view)); /* the path is unknown each time */
        sx_assert(sx_router_find(router, SX_GET, view, &arena, &m) == expected);
        if (m.escaped)
            sx_arena_reset(&arena);
    }
    printf("%s %.1f ns\n", name, (double)(sx_clock_mono_ns(clock) - start) / ROUNDS);
    sx_arena_done(&arena);
}

int main(void)
{
    sx_router *router;
    sx_assert(sx_router_new(ROUTES, SX_COUNT_OF(ROUTES), SX_SLASH_STRICT, &router, NULL) == SX_OK);
    measure(router, "route_root", "/", SX_ROUTE_FOUND);
    measure(router, "route_static", "/api/v1/query_range", SX_ROUTE_FOUND);
    measure(router, "route_param", "/api/v1/label/instance/values", SX_ROUTE_FOUND);
    measure(router, "route_two_params", "/users/ann/posts/12345", SX_ROUTE_FOUND);
    measure(router, "route_rest", "/static/js/app.js", SX_ROUTE_FOUND);
    measure(router, "route_escaped", "/users/ann%20b/posts/12345", SX_ROUTE_FOUND);
    measure(router, "route_none", "/api/v2/query", SX_ROUTE_NONE);
    sx_router_free(router);
    return 0;
}
