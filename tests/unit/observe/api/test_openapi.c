/* test_openapi.c - the description of the API and the table of routes name the same. */
#include "tests/unit/base/cmocka_all.h"

#include <sextant/mem.h>
#include <sextant/static.h>
#include <sextant/yaml.h>

#include "observe/api/api.h"
#include "observe/ui/ui.h"

extern const sx_assets OBSERVE_OPENAPI;

enum { PATH_BYTES = 200 };

static const struct {
    int method;
    const char *key;
} METHODS[] = {{SX_GET, "get"},
               {SX_POST, "post"},
               {SX_PUT, "put"},
               {SX_DELETE, "delete"},
               {SX_PATCH, "patch"}};

typedef struct fixture {
    sx_arena arena;
    sx_route rows[API_ROUTES_MAX];
    size_t count;
    sx_yaml_file file; /* nodes point to it */
    const sx_yaml_node *paths;
} fixture;

static int open_fixture(void **state)
{
    fixture *f = sx_calloc(1, sizeof *f);
    static observe_api api;
    sx_error err = {0};
    assert_non_null(f);
    sx_arena_init(&f->arena, 0, 0);
    assert_int_equal(api_routes(&api, SX_STR(""), &f->arena, f->rows, &f->count, &err), SX_OK);
    sx_str text = sx_str_of(OBSERVE_OPENAPI.items[0].bytes, OBSERVE_OPENAPI.items[0].len);

    if (sx_yaml_parse(text, SX_STR("openapi.yaml"), NULL, &f->arena, &f->file, &err) != SX_OK)
        fail_msg("%s", err.message);
    f->paths = sx_yaml_get(f->file.documents[0], SX_STR("paths"));
    assert_non_null(f->paths);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    fixture *f = *state;
    sx_arena_done(&f->arena);
    sx_free(f);
    return 0;
}

/* A route's path with {id} for :id, in `out`. */
static void described_path(const char *path, char out[PATH_BYTES])
{
    size_t n = 0;
    for (const char *at = path; *at && n < PATH_BYTES - 3;) {
        if (*at != ':') {
            out[n++] = *at++;
            continue;
        }
        out[n++] = '{';
        for (at++; *at && *at != '/' && n < PATH_BYTES - 3; at++)
            out[n++] = *at;
        out[n++] = '}';
    }
    out[n] = '\0';
}

/* What the document has for a path: below /api/v1 it is told without that, elsewhere with the server's
 * root as `servers`. */
static const sx_yaml_node *find_path(const fixture *f, const char *path)
{
    char whole[PATH_BYTES];
    described_path(path, whole);
    sx_str name = sx_str_z(whole);
    static const sx_str BASE = SX_STR_INIT("/api/v1");
    bool below = sx_str_starts(name, SX_STR("/api/v1/"));
    const sx_yaml_node *item = sx_yaml_get(f->paths, below ? sx_str_from(name, BASE.len) : name);
    if (item && (sx_yaml_get(item, SX_STR("servers")) != NULL) == below)
        fail_msg("%s: the wrong `servers`", path);
    return item;
}

/* The interface's pages and files, which are no API; and the proxies, which are the API once more. */
static bool is_page(const char *path)
{
    for (size_t i = 0; i < UI_PATHS_COUNT; i++)
        if (strcmp(path, UI_PATHS[i]) == 0)
            return true;
    return strcmp(path, "/") == 0 ||
           strncmp(path, "/api/datasources/proxy/", strlen("/api/datasources/proxy/")) == 0 ||
           strncmp(path, "/assets", strlen("/assets")) == 0;
}

static void test_every_route_is_described(void **state)
{
    const fixture *f = *state;
    size_t missing = 0;
    for (size_t i = 0; i < f->count; i++)
        for (size_t m = 0; m < SX_COUNT_OF(METHODS); m++) {
            const char *path = f->rows[i].path;
            /* The document itself; and what only says that GET is wrong. */
            if ((int)f->rows[i].method != METHODS[m].method || is_page(path) ||
                !strcmp(path, "/api/v1/openapi.yaml") ||
                (METHODS[m].method == SX_GET &&
                 (!strcmp(path, "/-/reload") || !strcmp(path, "/-/quit"))))
                continue;
            const sx_yaml_node *item = find_path(f, path);
            if (item && sx_yaml_get(item, sx_str_z(METHODS[m].key)))
                continue;
            print_error("not described: %s %s\n", METHODS[m].key, path);
            missing++;
        }
    assert_int_equal(missing, 0);
}

static bool is_routed(const fixture *f, sx_str name, bool below, int method)
{
    for (size_t i = 0; i < f->count; i++) {
        char whole[PATH_BYTES];
        described_path(f->rows[i].path, whole);
        sx_str path = sx_str_z(whole);
        if (below && !sx_str_starts(path, SX_STR("/api/v1/")))
            continue;
        if ((int)f->rows[i].method == method &&
            sx_str_eq(below ? sx_str_from(path, 7) : path, name))
            return true;
    }
    return false;
}

static void test_all_that_is_described_is_there(void **state)
{
    const fixture *f = *state;
    size_t wrong = 0;
    for (uint32_t i = 0; i < f->paths->count; i++) {
        const sx_yaml_pair *p = &f->paths->pairs[i];
        bool below = !sx_yaml_get(p->value, SX_STR("servers"));
        for (size_t m = 0; m < SX_COUNT_OF(METHODS); m++)
            if (sx_yaml_get(p->value, sx_str_z(METHODS[m].key)) &&
                !is_routed(f, p->key->scalar, below, METHODS[m].method)) {
                print_error("no route: %s %.*s\n", METHODS[m].key, SX_ARG(p->key->scalar));
                wrong++;
            }
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route_is_described),
        cmocka_unit_test(test_all_that_is_described_is_there),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
