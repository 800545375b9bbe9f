/* test_claims.c - who a person is by what the provider says, and texts that come back from strangers. */
#include "tests/unit/base/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "observe/auth/claims.h"
#include "observe/auth/seal.h"

static const sx_str DOMAINS[] = {SX_STR_INIT("example.org")};
static const sx_str GROUPS[] = {SX_STR_INIT("staff")};
static const tsdb_label ROLES[] = {{SX_STR_INIT("ops"), SX_STR_INIT("admin")},
                                   {SX_STR_INIT("dev"), SX_STR_INIT("editor")},
                                   {SX_STR_INIT("out"), SX_STR_INIT("none")}};

static auth_oidc plain(void)
{
    return (auth_oidc){.on = true,
                       .issuer = SX_STR("https://id.example"),
                       .login_claim = SX_STR("preferred_username"),
                       .name_claim = SX_STR("name"),
                       .role_claim = SX_STR("roles"),
                       .groups_claim = SX_STR("groups"),
                       .roles = ROLES,
                       .role_count = SX_COUNT_OF(ROLES),
                       .default_role = AUTH_VIEWER};
}

typedef struct answer {
    auth_user user;
    const char *why;
    sx_status status;
} answer;

static sx_arena arena;

static int open_arena(void **state)
{
    (void)state;
    sx_arena_init(&arena, 0, 0);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    sx_arena_done(&arena);
    return 0;
}

static answer ask(const auth_oidc *o, const char *token, const char *userinfo)
{
    answer a = {0};
    const claims c = {sx_str_z(token), sx_str_z(userinfo)};
    a.status = claims_user(&c, o, &arena, &a.user, &a.why);
    return a;
}

static void test_a_login_is_the_first_claim_that_is_there(void **state)
{
    (void)state;
    auth_oidc o = plain();
    answer a = ask(&o, "{\"sub\":\"7\",\"preferred_username\":\"Olga\",\"name\":\"O. E.\"}", "");
    assert_int_equal(a.status, SX_OK);
    assert_true(sx_str_eq(a.user.login, SX_STR("olga")) && sx_str_eq(a.user.name, SX_STR("O. E.")));
    assert_true(sx_str_eq(a.user.subject, SX_STR("https://id.example 7")));
    assert_int_equal(a.user.role, AUTH_VIEWER);
    a = ask(&o, "{\"sub\":\"7\"}", "{\"sub\":\"7\",\"email\":\"o@x.y\"}");
    assert_true(sx_str_eq(a.user.login, SX_STR("o@x.y")));
    a = ask(&o, "{\"sub\":\"seven\"}", "");
    assert_true(sx_str_eq(a.user.login, SX_STR("seven")));
    a = ask(&o, "{\"sub\":\"two words\"}", "");
    assert_int_equal(a.status, SX_EACCESS);
    assert_non_null(a.why);
}

static void test_roles_are_the_highest_of_the_first_who_knows(void **state)
{
    static const struct {
        const char *token, *userinfo;
        auth_role role;
    } CASES[] = {
        {"{\"sub\":\"a\",\"roles\":[\"dev\",\"ops\",\"x\"]}", "", AUTH_ADMIN},
        {"{\"sub\":\"a\",\"roles\":\"dev\"}", "{\"roles\":[\"ops\"]}", AUTH_EDITOR},
        {"{\"sub\":\"a\"}", "{\"roles\":[\"ops\"]}", AUTH_ADMIN},
        {"{\"sub\":\"a\",\"roles\":[]}", "{\"roles\":[\"dev\"]}", AUTH_EDITOR},
        {"{\"sub\":\"a\",\"roles\":[\"admin\"]}", "", AUTH_VIEWER}, /* the map has no such word */
        {"{\"sub\":\"a\",\"roles\":[\"out\"]}", "", AUTH_NONE},
        {"{\"sub\":\"a\",\"roles\":[\"out\",\"dev\"]}", "", AUTH_EDITOR},
    };
    (void)state;
    auth_oidc o = plain();
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        answer a = ask(&o, CASES[i].token, CASES[i].userinfo);
        assert_int_equal(a.user.role, CASES[i].role);
        assert_int_equal(a.status, CASES[i].role ? SX_OK : SX_EACCESS);
    }
    o.role_count = 0; /* the values are roles */
    assert_int_equal(ask(&o, "{\"sub\":\"a\",\"roles\":[\"admin\"]}", "").user.role, AUTH_ADMIN);
    o.role_claim = SX_STR("");
    assert_int_equal(ask(&o, "{\"sub\":\"a\",\"roles\":[\"admin\"]}", "").user.role, AUTH_VIEWER);
}

static void test_only_members_with_a_mail_of_ours_come_in(void **state)
{
    static const struct {
        const char *token, *userinfo;
        bool in;
    } CASES[] = {
        {"\"groups\":[\"staff\"],\"email\":\"a@Example.org\",\"email_verified\":true", "{}", true},
        {"\"groups\":[\"staff\"],\"email\":\"a@example.org\",\"email_verified\":\"true\"", "{}",
         true},
        {"\"groups\":[\"guests\"],\"email\":\"a@example.org\",\"email_verified\":true", "{}",
         false},
        {"\"email\":\"a@example.org\",\"email_verified\":true", "{\"groups\":[\"staff\"]}", true},
        {"\"groups\":[\"staff\"],\"email\":\"a@example.com\",\"email_verified\":true", "{}", false},
        {"\"groups\":[\"staff\"],\"email\":\"a@b@example.org\",\"email_verified\":true", "{}",
         false},
        {"\"groups\":[\"staff\"],\"email\":\"a@example.org\",\"email_verified\":false", "{}",
         false},
        /* Another's word on another's address. */
        {"\"groups\":[\"staff\"],\"email\":\"a@example.org\"", "{\"email_verified\":true}", false},
        {"\"groups\":[\"staff\"],\"email_verified\":true", "{\"email\":\"a@example.org\"}", false},
        {"\"groups\":[\"staff\"]", "{\"email\":\"a@example.org\",\"email_verified\":true}", true},
    };
    (void)state;
    auth_oidc o = plain();
    o.domains = DOMAINS;
    o.groups = GROUPS;
    o.domain_count = o.group_count = 1;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        char token[256];
        snprintf(token, sizeof token, "{\"sub\":\"a\",%s}", CASES[i].token);
        assert_int_equal(ask(&o, token, CASES[i].userinfo).status,
                         CASES[i].in ? SX_OK : SX_EACCESS);
    }
}

static void test_userinfo_is_asked_for_what_is_missing(void **state)
{
    (void)state;
    auth_oidc o = plain();
    claims c = {SX_STR("{\"preferred_username\":\"a\",\"name\":\"A\",\"roles\":[\"x\"]}"),
                SX_STR("")};
    assert_false(claims_lack(&c, &o, &arena));
    o.groups = GROUPS;
    o.group_count = 1;
    assert_true(claims_lack(&c, &o, &arena));
    c.userinfo = SX_STR("{\"groups\":[\"y\"]}");
    assert_false(claims_lack(&c, &o, &arena));
}

static void test_userinfo_is_of_the_same_person(void **state)
{
    static const struct {
        const char *token, *userinfo, *subject;
        bool same;
    } CASES[] = {
        {"{\"sub\":\"7\"}", "{\"sub\":\"7\"}", "", true},
        {"{\"sub\":\"7\"}", "{\"sub\":\"8\"}", "8", false},
        {"{\"sub\":\"7\"}", "{}", "", false},
        {"{}", "{\"sub\":\"7\"}", "7", false},
        {"", "{\"sub\":\"7\"}", "7", true},
        {"", "{\"sub\":\"7\"}", "", false},
        {"", "{\"sub\":\"\"}", "", false},
        {"{\"sub\":\"7\"}", "eyJhbGciOi.x.y", "7", false},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        const claims c = {sx_str_z(CASES[i].token), sx_str_z(CASES[i].userinfo)};
        assert_int_equal(claims_agree(&c, sx_str_z(CASES[i].subject), &arena), CASES[i].same);
    }
}

/* Whatever memory is missing, nobody comes in as somebody else or with more than is theirs. */
static void test_without_memory_nobody_gains(void **state)
{
    static const char TOKEN[] = "{\"sub\":\"\\u0061\",\"roles\":[\"\\u0064ev\"],"
                                "\"groups\":[\"st\\u0061ff\"]}";
    (void)state;
    auth_oidc o = plain();
    o.groups = GROUPS;
    o.group_count = 1;
    for (int64_t nth = 1, done = 0; !done; nth++) {
        sx_arena own;
        auth_user user;
        const char *why = NULL;
        const claims c = {sx_str_z(TOKEN), SX_STR("")};
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_arena_init(&own, 0, 0);
        sx_status status = claims_user(&c, &o, &own, &user, &why);
        done = status == SX_OK && user.role == AUTH_EDITOR;
        assert_true(status != SX_OK || sx_str_eq(user.login, SX_STR("a")));
        assert_true(status != SX_OK || user.role <= AUTH_EDITOR);
        sx_arena_done(&own);
        int64_t held = sx_fault_alloc_held();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
    }
}

/* ---- sealed texts ---- */

static const uint8_t KEY[SEAL_KEY_BYTES] = {1, 2, 3};

static void test_what_was_sealed_comes_back_and_nothing_else(void **state)
{
    static const uint8_t OTHER[SEAL_KEY_BYTES] = {1, 2, 4};
    (void)state;
    static const char *const TEXTS[] = {"", "x", "state~nonce~/d/abc?x=1&y=~"};
    for (size_t i = 0; i < SX_COUNT_OF(TEXTS); i++) {
        sx_str sealed, again, text;
        assert_int_equal(seal_close(KEY, sx_str_z(TEXTS[i]), &arena, &sealed, NULL), SX_OK);
        assert_int_equal(seal_close(KEY, sx_str_z(TEXTS[i]), &arena, &again, NULL), SX_OK);
        assert_false(sx_str_eq(sealed, again)); /* another nonce */
        assert_true(seal_open(KEY, sealed, &arena, &text));
        assert_true(sx_str_eq(text, sx_str_z(TEXTS[i])));
        assert_false(seal_open(OTHER, sealed, &arena, &text));
        for (size_t cut = 0; cut < sealed.len; cut++)
            assert_false(seal_open(KEY, sx_str_first(sealed, cut), &arena, &text));
        char changed[256];
        assert_true(sealed.len < sizeof changed);
        for (size_t at = 0; at + 1 < sealed.len; at++) { /* the last letter has spare bits */
            memcpy(changed, sealed.data, sealed.len);
            changed[at] = changed[at] == 'A' ? 'B' : 'A';
            assert_false(seal_open(KEY, sx_str_of(changed, sealed.len), &arena, &text));
        }
    }
}

static void test_what_is_too_long_is_not_sealed(void **state)
{
    (void)state;
    sx_str sealed, text;
    sx_error err = {0};
    char *long_text = sx_arena_calloc(&arena, 1, SEAL_TEXT_MAX + 1);
    assert_int_equal(
        seal_close(KEY, sx_str_of(long_text, SEAL_TEXT_MAX + 1), &arena, &sealed, &err), SX_ELIMIT);
    assert_int_equal(seal_close(KEY, sx_str_of(long_text, SEAL_TEXT_MAX), &arena, &sealed, &err),
                     SX_OK);
    assert_true(seal_open(KEY, sealed, &arena, &text));
    assert_int_equal(text.len, SEAL_TEXT_MAX);
}

static void test_without_memory_nothing_is_sealed(void **state)
{
    (void)state;
    for (int64_t nth = 1, done = 0; !done; nth++) {
        sx_arena own;
        sx_str sealed, text;
        sx_error err = {0};
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_arena_init(&own, 0, 0);
        sx_status status = seal_close(KEY, SX_STR("a text"), &own, &sealed, &err);
        done = status == SX_OK && seal_open(KEY, sealed, &own, &text);
        assert_true(status == SX_OK || status == SX_ENOMEM);
        sx_arena_done(&own);
        int64_t held = sx_fault_alloc_held();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_login_is_the_first_claim_that_is_there),
        cmocka_unit_test(test_roles_are_the_highest_of_the_first_who_knows),
        cmocka_unit_test(test_only_members_with_a_mail_of_ours_come_in),
        cmocka_unit_test(test_userinfo_is_asked_for_what_is_missing),
        cmocka_unit_test(test_userinfo_is_of_the_same_person),
        cmocka_unit_test(test_without_memory_nobody_gains),
        cmocka_unit_test(test_what_was_sealed_comes_back_and_nothing_else),
        cmocka_unit_test(test_what_is_too_long_is_not_sealed),
        cmocka_unit_test(test_without_memory_nothing_is_sealed),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
