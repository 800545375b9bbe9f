/* test_class.c - every route has a class, so that no new one is open, or closed, by accident. */
#include "tests/unit/base/cmocka_all.h"

#include "observe/api/api.h"
#include "observe/auth/class.h"

typedef struct fixture {
    sx_arena arena;
    sx_route rows[API_ROUTES_MAX];
    size_t count;
} fixture;

static int open_fixture(void **state)
{
    static fixture f;
    static observe_api api;
    sx_error err = {0};
    sx_arena_init(&f.arena, 0, 0);
    *state = &f;
    return api_routes(&api, SX_STR(""), &f.arena, f.rows, &f.count, &err) != SX_OK;
}

static int close_fixture(void **state)
{
    sx_arena_done(&((fixture *)*state)->arena);
    return 0;
}

static auth_class class_of(int method, const char *path)
{
    return auth_class_of((sx_method)method, sx_str_z(path), sx_str_z(path));
}

static void test_every_route_has_a_class(void **state)
{
    const fixture *f = *state;
    size_t missing = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (class_of(f->rows[i].method, f->rows[i].path) != AUTH_CLASS_UNKNOWN)
            continue;
        print_error("observe/auth/class.c has no row for %s %s\n",
                    sx_method_name((sx_method)f->rows[i].method), f->rows[i].path);
        missing++;
    }
    assert_int_equal(missing, 0);
}

static void test_what_changes_is_no_reading(void **state)
{
    static const struct {
        int method;
        const char *path;
        auth_class class;
    } ROWS[] = {
        {SX_POST, "/-/quit", AUTH_CLASS_ADMIN},
        {SX_PUT, "/-/reload", AUTH_CLASS_ADMIN},
        {SX_POST, "/api/v1/admin/tsdb/delete_series", AUTH_CLASS_ADMIN},
        {SX_POST, "/api/v1/admin/queries/:id/kill", AUTH_CLASS_ADMIN},
        {SX_GET, "/api/admin/users", AUTH_CLASS_ADMIN},
        {SX_POST, "/api/admin/users", AUTH_CLASS_ADMIN},
        {SX_POST, "/api/v1/write", AUTH_CLASS_INTAKE},
        {SX_POST, "/api/v1/otlp/v1/metrics", AUTH_CLASS_INTAKE},
        {SX_POST, "/api/traces", AUTH_CLASS_INTAKE},
        {SX_GET, "/api/traces", AUTH_CLASS_READ},
        {SX_POST, "/api/v1/query", AUTH_CLASS_READ},
        {SX_POST, "/api/v1/read", AUTH_CLASS_READ},
        {SX_GET, "/federate", AUTH_CLASS_READ},
        {SX_GET, "/api/v1/status/config", AUTH_CLASS_READ},
        {SX_POST, "/api/dashboards/db", AUTH_CLASS_EDIT},
        {SX_DELETE, "/api/dashboards/uid/:uid", AUTH_CLASS_EDIT},
        {SX_GET, "/api/dashboards/uid/:uid", AUTH_CLASS_READ},
        {SX_POST, "/api/archive/:id", AUTH_CLASS_EDIT},
        {SX_POST, "/api/datasources", AUTH_CLASS_ADMIN},
        {SX_DELETE, "/api/datasources/uid/:uid", AUTH_CLASS_ADMIN},
        {SX_PUT, "/api/user/password", AUTH_CLASS_SELF},
        {SX_POST, "/api/login", AUTH_CLASS_OPEN},
        {SX_GET, "/metrics", AUTH_CLASS_METRICS},
        {SX_GET, "/collect/redis", AUTH_CLASS_METRICS},
        {SX_GET, "/-/healthy", AUTH_CLASS_OPEN},
        {SX_OPTIONS, "/api/v1/write", AUTH_CLASS_OPEN},
        {SX_DELETE, "/nobody/knows", AUTH_CLASS_UNKNOWN},
        {SX_PATCH, "/api/v1/query", AUTH_CLASS_UNKNOWN},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++)
        if (class_of(ROWS[i].method, ROWS[i].path) != ROWS[i].class)
            fail_msg("%s %s", sx_method_name((sx_method)ROWS[i].method), ROWS[i].path);
}

static void test_grpc_is_told_by_its_path(void **state)
{
    static const struct {
        const char *path;
        auth_class class;
    } ROWS[] = {
        {"/opentelemetry.proto.collector.trace.v1.TraceService/Export", AUTH_CLASS_INTAKE},
        {"/jaeger.api_v2.CollectorService/PostSpans", AUTH_CLASS_INTAKE},
        {"/jaeger.api_v2.QueryService/GetTrace", AUTH_CLASS_READ},
        {"/jaeger.api_v2.QueryService/ArchiveTrace", AUTH_CLASS_EDIT},
        {"/jaeger.api_v3.QueryService/FindTraces", AUTH_CLASS_READ},
        {"/jaeger.storage.v2.TraceReader/GetTraces", AUTH_CLASS_READ},
        {"/somebody.Else/Call", AUTH_CLASS_UNKNOWN},
        {"/", AUTH_CLASS_UNKNOWN},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++)
        if (auth_class_of(SX_POST, SX_STR("/*"), sx_str_z(ROWS[i].path)) != ROWS[i].class)
            fail_msg("%s", ROWS[i].path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route_has_a_class),
        cmocka_unit_test(test_what_changes_is_no_reading),
        cmocka_unit_test(test_grpc_is_told_by_its_path),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
