/* test_router.c - the router beside a naive matcher that tries every row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/fault.h"
#include "service/router.h"
#include <sextant/random.h>

/* Seeded by each test, so that a failure comes again. */
static sx_random dice;

static int roll(void)
{
    return (int)(sx_random_u64(&dice) >> 33);
}

static void nothing(sx_request *r, void *ctx)
{
    (void)r;
    (void)ctx;
}

typedef struct fixture {
    sx_router *router;
    sx_arena arena;
    sx_route_match match;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    sx_arena_init(&f->arena, 0, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    sx_router_free(f->router);
    sx_arena_done(&f->arena);
    free(f);
    return 0;
}

static void compile(fixture *f, const sx_route *routes, size_t count, sx_slash slash)
{
    sx_error err = {0};
    sx_router_free(f->router);
    f->router = NULL;
    if (sx_router_new(routes, count, slash, &f->router, &err))
        fail_msg("%s", err.message);
    assert_true(sx_router_check(f->router));
}

static sx_route_result find(fixture *f, int method, const char *path)
{
    return sx_router_find(f->router, method, sx_str_z(path), &f->arena, &f->match);
}

static void assert_found(fixture *f, int method, const char *path, size_t index)
{
    if (find(f, method, path) != SX_ROUTE_FOUND || f->match.index != index)
        fail_msg("%s: result %d, row %zu", path, (int)find(f, method, path), f->match.index);
}

static const sx_route ROUTES[] = {
    /* 0 */ {SX_GET, "/", nothing},
    /* 1 */ {SX_GET, "/api/v1/query", nothing},
    /* 2 */ {SX_POST, "/api/v1/query", nothing},
    /* 3 */ {SX_GET, "/api/v1/query_range", nothing},
    /* 4 */ {SX_GET, "/api/v1/label/:name/values", nothing},
    /* 5 */ {SX_GET, "/users/{id}", nothing},
    /* 6 */ {SX_GET, "/users/me", nothing},
    /* 7 */ {SX_DELETE, "/users/:id", nothing},
    /* 8 */ {SX_GET, "/users/:user/posts/:post", nothing},
    /* 9 */ {SX_GET, "/files/*path", nothing},
    /* 10 */ {SX_GET, "/files/readme", nothing},
    /* 11 */ {SX_ANY_METHOD, "/any", nothing},
    /* 12 */ {SX_HEAD, "/head", nothing},
    /* 13 */ {SX_GET, "/head", nothing},
    /* 14 */ {SX_POST, "/users/me", nothing},
    /* 15 */ {SX_GET, "/caf\xc3\xa9", nothing},
};

static void test_text_beats_parameters_beat_the_rest(void **state)
{
    fixture *f = *state;
    compile(f, ROUTES, SX_COUNT_OF(ROUTES), SX_SLASH_STRICT);
    assert_found(f, SX_GET, "/", 0);
    assert_found(f, SX_GET, "/api/v1/query", 1);
    assert_found(f, SX_POST, "/api/v1/query", 2);
    assert_found(f, SX_GET, "/api/v1/query_range", 3);
    assert_found(f, SX_GET, "/users/me", 6);
    assert_found(f, SX_GET, "/users/mel", 5);
    assert_found(f, SX_GET, "/users/m", 5);
    assert_found(f, SX_DELETE, "/users/me", 7); /* the text's node has no DELETE: goes back */
    assert_found(f, SX_GET, "/users/me/posts/7", 8);
    assert_found(f, SX_GET, "/files/readme", 10);
    assert_found(f, SX_GET, "/files/readme.txt", 9);
    assert_found(f, SX_GET, "/files/", 9);
    assert_found(f, SX_PATCH, "/any", 11);
    assert_found(f, SX_METHOD_OTHER, "/any", 11);
    assert_int_equal(find(f, SX_GET, "/api"), SX_ROUTE_NONE);
    assert_int_equal(find(f, SX_GET, "/api/v1/query/"), SX_ROUTE_NONE);
    assert_int_equal(find(f, SX_GET, "/users/"), SX_ROUTE_NONE);
    assert_int_equal(find(f, SX_GET, "/files"), SX_ROUTE_NONE);
    assert_int_equal(find(f, SX_GET, ""), SX_ROUTE_NONE);
}

static void test_parameters_are_views_of_the_path(void **state)
{
    fixture *f = *state;
    compile(f, ROUTES, SX_COUNT_OF(ROUTES), SX_SLASH_STRICT);
    assert_found(f, SX_GET, "/users/ann/posts/7", 8);
    assert_int_equal(f->match.param_count, 2);
    assert_true(sx_str_eq(f->match.params[0], SX_STR("ann")));
    assert_true(sx_str_eq(f->match.params[1], SX_STR("7")));
    assert_true(sx_str_eq(sx_router_param_name(f->router, 8, 1), SX_STR("post")));
    assert_found(f, SX_GET, "/files/a/b/c", 9);
    assert_true(sx_str_eq(f->match.params[0], SX_STR("a/b/c")));
    assert_true(sx_str_eq(sx_router_param_name(f->router, 9, 0), SX_STR("path")));
}

static void test_other_methods_are_named(void **state)
{
    fixture *f = *state;
    compile(f, ROUTES, SX_COUNT_OF(ROUTES), SX_SLASH_STRICT);
    assert_int_equal(find(f, SX_PUT, "/api/v1/query"), SX_ROUTE_METHOD);
    assert_int_equal(f->match.allow, 1u << SX_GET | 1u << SX_HEAD | 1u << SX_POST);
    assert_int_equal(find(f, SX_PUT, "/users/me"), SX_ROUTE_METHOD); /* of both that fit */
    assert_int_equal(f->match.allow,
                     1u << SX_GET | 1u << SX_HEAD | 1u << SX_POST | 1u << SX_DELETE);
    assert_found(f, SX_HEAD, "/api/v1/query", 1); /* GET answers */
    assert_found(f, SX_HEAD, "/head", 12);        /* unless it has its own row */
}

static void test_escapes_mean_the_same_path(void **state)
{
    fixture *f = *state;
    compile(f, ROUTES, SX_COUNT_OF(ROUTES), SX_SLASH_STRICT);
    assert_found(f, SX_GET, "/users/%6de", 6);
    assert_found(f, SX_GET, "/caf%C3%A9", 15);
    assert_found(f, SX_GET, "/users/a%20b", 5);
    assert_true(sx_str_eq(f->match.params[0], SX_STR("a b")));
    assert_found(f, SX_GET, "/users/a%2Fb%25", 5); /* an encoded slash does not separate */
    assert_true(f->match.escaped);
    assert_true(sx_str_eq(f->match.params[0], SX_STR("a%2Fb%25")));
    assert_int_equal(find(f, SX_GET, "/api%2fv1/query"), SX_ROUTE_NONE);
    static const char *const BROKEN[] = {"/users/%", "/users/%4", "/users/%zz", "/users/%00",
                                         "/users/%4g"};
    for (size_t i = 0; i < SX_COUNT_OF(BROKEN); i++)
        assert_int_equal(find(f, SX_GET, BROKEN[i]), SX_ROUTE_BAD_ESCAPE);
}

static void test_a_closing_slash_is_a_matter_of_policy(void **state)
{
    static const sx_route SLASHES[] = {
        {SX_GET, "/a", nothing}, {SX_GET, "/b/", nothing}, {SX_GET, "/c/:id", nothing}};
    fixture *f = *state;
    compile(f, SLASHES, 3, SX_SLASH_STRICT);
    assert_int_equal(find(f, SX_GET, "/a/"), SX_ROUTE_NONE);
    compile(f, SLASHES, 3, SX_SLASH_IGNORE);
    assert_found(f, SX_GET, "/a/", 0);
    assert_found(f, SX_GET, "/b", 1);
    assert_found(f, SX_GET, "/c/x%20y/", 2);
    assert_true(sx_str_eq(f->match.params[0], SX_STR("x y")));
    assert_int_equal(find(f, SX_GET, "/a//"), SX_ROUTE_NONE);
    compile(f, SLASHES, 3, SX_SLASH_REDIRECT);
    assert_int_equal(find(f, SX_GET, "/a/"), SX_ROUTE_REDIRECT);
    assert_true(sx_str_eq(f->match.location, SX_STR("/a")));
    assert_int_equal(find(f, SX_GET, "/b"), SX_ROUTE_REDIRECT);
    assert_true(sx_str_eq(f->match.location, SX_STR("/b/")));
    assert_int_equal(find(f, SX_GET, "/c/x%20y/"), SX_ROUTE_REDIRECT);
    assert_true(sx_str_eq(f->match.location, SX_STR("/c/x%20y"))); /* as sent */
}

static void test_bad_tables_are_refused(void **state)
{
    (void)state;
    static const struct {
        sx_route routes[2];
        sx_status status;
    } CASES[] = {
        {{{SX_GET, "a", nothing}}, SX_EINVAL},
        {{{SX_GET, "", nothing}}, SX_EINVAL},
        {{{SX_GET, NULL, nothing}}, SX_EINVAL},
        {{{SX_GET, "/a", NULL}}, SX_EINVAL},
        {{{99, "/a", nothing}}, SX_EINVAL},
        {{{SX_GET, "/:", nothing}}, SX_EINVAL},
        {{{SX_GET, "/{}", nothing}}, SX_EINVAL},
        {{{SX_GET, "/{a", nothing}}, SX_EINVAL},
        {{{SX_GET, "/x{a}", nothing}}, SX_EINVAL},
        {{{SX_GET, "/*/a", nothing}}, SX_EINVAL},
        {{{SX_GET, "/a*", nothing}}, SX_EINVAL},
        {{{SX_GET, "/a%20", nothing}}, SX_EINVAL},
        {{{SX_GET, "/:a/:a", nothing}}, SX_EINVAL},
        {{{SX_GET, "/:a/:b/:c/:d/:e/:f/:g/:h/:i", nothing}}, SX_EINVAL},
        {{{SX_GET, "/a", nothing}, {SX_GET, "/a", nothing}}, SX_EEXIST},
        {{{SX_GET, "/:a", nothing}, {SX_GET, "/{b}", nothing}}, SX_EEXIST},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_router *router = NULL;
        sx_error err = {0};
        size_t count = CASES[i].routes[1].handler ? 2 : 1;
        if (sx_router_new(CASES[i].routes, count, SX_SLASH_STRICT, &router, &err) !=
            CASES[i].status)
            fail_msg("case %zu: %s", i, err.message);
        assert_true(err.message[0] != '\0');
    }
}

/* ---- against a model ---- */

static bool model_segments(sx_str pattern, sx_str path)
{
    for (;;) {
        sx_str p, s, p_rest, s_rest;
        if (pattern.len && pattern.data[0] == '*')
            return true;
        bool p_more = sx_str_cut(pattern, '/', &p, &p_rest);
        bool s_more = sx_str_cut(path, '/', &s, &s_rest);
        if (p.len && p.data[0] == ':' ? s.len == 0 : !sx_str_eq(p, s))
            return false;
        if (p_more != s_more)
            return false;
        if (!p_more)
            return true;
        pattern = p_rest;
        path = s_rest;
    }
}

/* 2 text, 1 parameter, 0 rest: segment by segment, which of two patterns that fit comes first. */
static int model_rank(sx_str pattern, char out[64])
{
    size_t n = 0;
    sx_str segment;
    for (bool more = true; more;) {
        more = sx_str_cut(pattern, '/', &segment, &pattern);
        out[n++] = segment.len && segment.data[0] == ':'   ? '1'
                   : segment.len && segment.data[0] == '*' ? '0'
                                                           : '2';
    }
    out[n] = '\0';
    return (int)n;
}

static void test_it_agrees_with_a_naive_matcher(void **state)
{
    static const char *const PIECES[] = {"a", "b", "ab", "abc", ":x", ":x", "", "b:c"};
    fixture *f = *state;
    sx_random_seed(&dice, 11);
    for (int round = 0; round < 300; round++) {
        char patterns[40][64];
        sx_route routes[40];
        size_t count = 0;
        while (count < 1 + (size_t)(roll() % 30)) {
            char *p = patterns[count];
            size_t len = 0;
            int segments = 1 + roll() % 4, params = 0;
            for (int i = 0; i < segments; i++) {
                const char *piece = PIECES[(size_t)roll() % SX_COUNT_OF(PIECES)];
                if (piece[0] == ':')
                    len += (size_t)snprintf(p + len, 64 - len, "/:p%d", params++);
                else
                    len += (size_t)snprintf(p + len, 64 - len, "/%s", piece);
            }
            if (roll() % 6 == 0)
                snprintf(p + len, 64 - len, "/*");
            routes[count] = (sx_route){roll() % 4 ? SX_GET : SX_POST, p, nothing};
            sx_router *router;
            if (sx_router_new(routes, count + 1, SX_SLASH_STRICT, &router, NULL) == SX_OK) {
                sx_router_free(router);
                count++;
            } else if (roll() % 3 == 0) {
                break; /* the same again: enough of this table */
            }
        }
        if (count == 0)
            continue;
        compile(f, routes, count, SX_SLASH_STRICT);
        for (int i = 0; i < 60; i++) {
            char path[64];
            size_t len = 0;
            for (int k = 1 + roll() % 5; k > 0; k--)
                len += (size_t)snprintf(path + len, sizeof(path) - len, "/%s",
                                        PIECES[(size_t)roll() % SX_COUNT_OF(PIECES)]);
            int method = roll() % 2 ? SX_GET : SX_POST;
            size_t best = SIZE_MAX;
            bool other = false;
            char best_rank[64] = "", rank[64];
            for (size_t k = 0; k < count; k++) {
                sx_str pattern = sx_str_from(sx_str_z(patterns[k]), 1);
                if (!model_segments(pattern, sx_str_from(sx_str_z(path), 1)))
                    continue;
                other |= routes[k].method != method;
                model_rank(pattern, rank);
                if (routes[k].method == method &&
                    (best == SIZE_MAX || strcmp(rank, best_rank) > 0)) {
                    best = k;
                    memcpy(best_rank, rank, sizeof(rank));
                }
            }
            sx_route_result result = find(f, method, path);
            if (best != SIZE_MAX) {
                if (result != SX_ROUTE_FOUND || f->match.index != best)
                    fail_msg("%s: %d, row %s, model %s", path, (int)result,
                             result ? "-" : patterns[f->match.index], patterns[best]);
            } else {
                assert_int_equal(result, other ? SX_ROUTE_METHOD : SX_ROUTE_NONE);
            }
        }
    }
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    bool whole = false;
    for (int64_t nth = 1; nth < 500 && !whole; nth++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_router *router = NULL;
        sx_error err = {0};
        sx_status status =
            sx_router_new(ROUTES, SX_COUNT_OF(ROUTES), SX_SLASH_STRICT, &router, &err);
        assert_true(status == SX_OK || status == SX_ENOMEM);
        sx_router_free(status == SX_OK ? router : NULL);
        whole = sx_fault_alloc_calls() < nth;
        assert_int_equal(sx_fault_alloc_held(), 0);
    }
    assert_true(whole);
    sx_fault_alloc_set((sx_fault_alloc){0});
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_text_beats_parameters_beat_the_rest),
        TEST(test_parameters_are_views_of_the_path),
        TEST(test_other_methods_are_named),
        TEST(test_escapes_mean_the_same_path),
        TEST(test_a_closing_slash_is_a_matter_of_policy),
        TEST(test_bad_tables_are_refused),
        TEST(test_it_agrees_with_a_naive_matcher),
        TEST(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
