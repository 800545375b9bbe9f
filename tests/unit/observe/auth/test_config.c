/* test_config.c - the file of sign-in: its defaults, what it says, and faults by line and key. */
#include "tests/unit/base/cmocka_all.h"

#include <sextant/buf.h>

#include "base/fault.h"
#include "observe/auth/config.h"

static auth_config *parse(const char *text)
{
    auth_config *c = NULL;
    sx_error err = {0};
    if (auth_config_parse(sx_str_z(text), SX_STR("auth.yml"), &c, NULL, &err) != SX_OK)
        fail_msg("%s", err.message);
    return c;
}

static void test_an_empty_file_is_closed(void **state)
{
    (void)state;
    auth_config *c = parse("");
    assert_int_equal(c->need[AUTH_CLASS_OPEN], AUTH_NONE);
    assert_int_equal(c->need[AUTH_CLASS_READ], AUTH_VIEWER);
    assert_int_equal(c->need[AUTH_CLASS_METRICS], AUTH_VIEWER);
    assert_int_equal(c->need[AUTH_CLASS_INTAKE], AUTH_EDITOR);
    assert_int_equal(c->need[AUTH_CLASS_EDIT], AUTH_EDITOR);
    assert_int_equal(c->need[AUTH_CLASS_ADMIN], AUTH_ADMIN);
    assert_int_equal(c->need[AUTH_CLASS_UNKNOWN], AUTH_ADMIN);
    assert_int_equal(c->anonymous, AUTH_NONE);
    assert_false(c->oidc.on || c->trusted.on);
    auth_config_free(c);
}

static void test_a_whole_file_is_read(void **state)
{
    (void)state;
    auth_config *c = parse("users: {database: db/users.db}\n"
                           "session: {lifetime: 1h, idle: 10m, cookie_secure: always}\n"
                           "anonymous: viewer\n"
                           "machines: {intake: open, metrics: open}\n"
                           "audit: {entries_max: 5}\n"
                           "trusted_header:\n"
                           "  name: X-User\n"
                           "  from: [10.0.0.0/8, loopback]\n"
                           "  role_header: X-Role\n"
                           "  roles: {staff: editor, guest: none}\n"
                           "oidc:\n"
                           "  issuer: https://id.example\n"
                           "  client_id: us\n"
                           "  client_secret: hush\n"
                           "  role_claim: roles\n"
                           "  roles: {ops: admin}\n");
    assert_int_equal(c->session.lifetime_ms, 3600000);
    assert_int_equal(c->session.cookie_secure, AUTH_SECURE_ALWAYS);
    assert_int_equal(c->need[AUTH_CLASS_INTAKE], AUTH_NONE);
    assert_true(c->oidc.on && sx_str_eq(c->oidc.secret, SX_STR("hush")));
    assert_true(sx_exempt_has(&c->nets, SX_STR("10.2.3.4")));
    assert_true(sx_exempt_has(&c->nets, SX_STR("::1")));
    assert_false(sx_exempt_has(&c->nets, SX_STR("11.2.3.4")));
    assert_true(sx_exempt_has(&c->nets, SX_STR(""))); /* loopback: by a Unix socket */
    assert_int_equal(auth_config_role(c->trusted.roles, 2, SX_STR("staff"), AUTH_VIEWER),
                     AUTH_EDITOR);
    assert_int_equal(auth_config_role(c->trusted.roles, 2, SX_STR("guest"), AUTH_VIEWER),
                     AUTH_NONE);
    assert_int_equal(auth_config_role(c->trusted.roles, 2, SX_STR("x"), AUTH_VIEWER), AUTH_VIEWER);
    auth_config_free(c);
}

static void test_faults_name_line_and_key(void **state)
{
    static const struct {
        const char *text, *line, *word;
    } BAD[] = {
        {"anonymous: admin\n", ":1:", "anonymous"},
        {"sessions: {}\n", ":1:", "session"},
        {"session: {lifetime: 1s}\n", ":1:", "1m"},
        {"anonymous: none\nmachines: {intake: nobody}\n", ":2:", "intake"},
        {"trusted_header: {name: X}\n", ":1:", "from"},
        {"trusted_header: {name: X, from: [10.0.0.0/40]}\n", ":1:", "10.0.0.0/40"},
        {"trusted_header: {name: X, from: [10.0.0.1], roles: {a: b}, role_header: Y}\n",
         ":1:", "'b'"},
        {"trusted_header: {name: X, from: [10.0.0.1], roles: {a: admin}}\n", ":1:", "role_header"},
        {"oidc: {issuer: https://x}\n", ":1:", "client_id"},
        {"oidc: {issuer: 'http://id.example', client_id: x}\n", ":1:", "https"},
        {"oidc: {issuer: 'https://id.example?x', client_id: x}\n", ":1:", "https"},
        {"oidc: {issuer: 'https://x', client_id: x, client_secret_file: /nowhere}\n", "",
         "client_secret_file"},
        {"audit: {entries_max: 0}\n", ":1:", "entries_max"},
        {"users: [x]\n", ":1:", "users"},
        {"- x\n", ":1:", ""},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++) {
        auth_config *c = NULL;
        sx_error err = {0};
        sx_status status =
            auth_config_parse(sx_str_z(BAD[i].text), SX_STR("auth.yml"), &c, NULL, &err);
        if (status == SX_OK || !strstr(err.message, BAD[i].line) ||
            !strstr(err.message, BAD[i].word))
            fail_msg("%s -> %s", BAD[i].text, err.message);
    }
}

static void test_without_memory_it_fails_and_leaks_nothing(void **state)
{
    static const char TEXT[] = "oidc: {issuer: 'https://x', client_id: x, client_secret: y}\n";
    (void)state;
    for (int64_t nth = 1;; nth++) {
        auth_config *c = NULL;
        sx_error err = {0};
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = auth_config_parse(sx_str_z(TEXT), SX_STR("a.yml"), &c, NULL, &err);
        if (status == SX_OK)
            auth_config_free(c);
        int64_t held = sx_fault_alloc_held();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
        if (status == SX_OK)
            break;
        assert_int_equal(status, SX_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_file_is_closed),
        cmocka_unit_test(test_a_whole_file_is_read),
        cmocka_unit_test(test_faults_name_line_and_key),
        cmocka_unit_test(test_without_memory_it_fails_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
