/* test_routes.c - the role that a route of dashboards says it needs is the one that sign-in asks for. */
#include "tests/unit/base/cmocka_all.h"

#include "observe/auth/class.h"
#include "observe/api/dash.h"

static bool agrees(dash_need need, auth_class class)
{
    switch (need) {
    case DASH_NEEDS_VIEWER:
        return class == AUTH_CLASS_READ || class == AUTH_CLASS_STAR || class == AUTH_CLASS_OPEN;
    case DASH_NEEDS_EDITOR:
        return class == AUTH_CLASS_EDIT;
    case DASH_NEEDS_ADMIN:
        return class == AUTH_CLASS_ADMIN;
    }
    return false;
}

static void test_both_tables_say_the_same(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < DASH_ROUTES_COUNT; i++) {
        const dash_route *r = &DASH_ROUTES[i];
        sx_str path = sx_str_z(r->path);
        /* Changes of data sources are refused to everybody. */
        if (r->method != SX_GET && sx_str_starts(path, SX_STR("/api/datasources")))
            continue;
        if (agrees(r->need, auth_class_of((sx_method)r->method, path, path)))
            continue;
        print_error("%s %s\n", sx_method_name((sx_method)r->method), r->path);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_tables_say_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
