/* fuzz_router.c - any table of patterns compiles to a tree that keeps its invariants or is refused
 * with a message; a path finds what trying every row finds. Lines: patterns, an empty line, paths. */
#include "service/router.h"

enum { ROWS_MAX = 32, PATTERN_MAX = 200 };

static void nothing(sx_request *r, void *ctx)
{
    (void)r;
    (void)ctx;
}

/* Whether a pattern fits a path without escapes, segment by segment. */
static bool fits(sx_str pattern, sx_str path)
{
    for (bool more = true; more;) {
        sx_str p, s;
        bool s_more;
        more = sx_str_cut(pattern, '/', &p, &pattern);
        if (sx_str_starts(p, SX_STR("*")))
            return true;
        s_more = sx_str_cut(path, '/', &s, &path);
        bool param = sx_str_starts(p, SX_STR(":")) || sx_str_starts(p, SX_STR("{"));
        if ((param ? s.len == 0 : !sx_str_eq(p, s)) || more != s_more)
            return false;
    }
    return true;
}

static void check_path(const sx_router *router, const sx_route *routes, size_t count, sx_str path)
{
    sx_arena arena;
    sx_route_match m;
    sx_arena_init(&arena, 0, 0);
    sx_route_result result = sx_router_find(router, SX_GET, path, &arena, &m);
    if (result == SX_ROUTE_FOUND) {
        sx_assert(m.index < count && m.param_count <= SX_ROUTE_PARAMS_MAX);
        for (size_t i = 0; i < m.param_count; i++)
            sx_assert(sx_router_param_name(router, m.index, i).len > 0);
    }
    if (path.len > 0 && path.data[0] == '/' && sx_str_find_byte(path, '%') == path.len) {
        bool any = false;
        for (size_t i = 0; i < count; i++)
            any |= fits(sx_str_from(sx_str_z(routes[i].path), 1), sx_str_from(path, 1));
        sx_assert(any == (result == SX_ROUTE_FOUND));
        if (any)
            sx_assert(fits(sx_str_from(sx_str_z(routes[m.index].path), 1), sx_str_from(path, 1)));
    }
    sx_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char patterns[ROWS_MAX][PATTERN_MAX + 1];
    sx_route routes[ROWS_MAX];
    size_t count = 0;
    sx_str rest = sx_str_of(data, size), line;
    while (count < ROWS_MAX && sx_str_cut(rest, '\n', &line, &rest) && line.len > 0) {
        line = sx_str_first(line, PATTERN_MAX);
        memcpy(patterns[count], line.data, line.len);
        patterns[count][line.len] = '\0';
        routes[count] = (sx_route){SX_GET, patterns[count], nothing};
        count++;
    }
    sx_router *router;
    sx_error err = {0};
    if (sx_router_new(routes, count, SX_SLASH_STRICT, &router, &err)) {
        sx_assert(err.message[0] != '\0');
        return 0;
    }
    sx_assert(sx_router_check(router));
    for (bool more = true; more;) {
        more = sx_str_cut(rest, '\n', &line, &rest);
        check_path(router, routes, count, line);
    }
    sx_router_free(router);
    return 0;
}
