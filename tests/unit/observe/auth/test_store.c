/* test_store.c - users, sessions and tokens: kept, found, ended, and read again when others change them. */
#include "tests/unit/base/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "observe/auth/password.h"
#include "observe/auth/store.h"

enum { DAY_MS = 86400000, IDLE_MS = 3600000 };

typedef struct fixture {
    char folder[64], path[96];
    auth_store *store;
    sx_fake_clock clock;
    sx_arena arena;
} fixture;

static void open_store(fixture *f, auth_store **out, bool aside)
{
    sx_error err = {0};
    const auth_store_options options = {.path = f->path,
                                        .clock = &f->clock.clock,
                                        .aside = aside,
                                        .audit_max = 10,
                                        .tick_ms = 60000};
    if (auth_store_open(&options, out, &err) != SX_OK)
        fail_msg("%s", err.message);
}

static int open_fixture(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/sx-auth-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/sub/users.db", f->folder);
    sx_fake_clock_init(&f->clock, 1000000LL * 1000000);
    sx_arena_init(&f->arena, 0, 0);
    open_store(f, &f->store, false);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    fixture *f = *state;
    char command[128];
    auth_store_close(f->store);
    sx_arena_done(&f->arena);
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void add(auth_store *s, const char *login, auth_role role)
{
    sx_error err = {0};
    const auth_user user = {.login = sx_str_z(login),
                            .name = SX_STR("Somebody"),
                            .password = SX_STR("$argon2id$x"),
                            .source = SX_STR("local"),
                            .subject = SX_STR(""),
                            .role = role};
    assert_int_equal(auth_store_user_add(s, &user, &err), SX_OK);
}

static void begin(fixture *f, const char *login, char cookie[AUTH_SECRET_BYTES])
{
    sx_error err = {0};
    assert_int_equal(auth_store_session_new(f->store, sx_str_z(login), DAY_MS, SX_STR("::1"),
                                            SX_STR("a browser"), cookie, &err),
                     SX_OK);
}

static bool is_in(fixture *f, auth_store *s, const char *cookie, auth_who *who)
{
    return auth_store_session_find(s, sx_str_z(cookie), IDLE_MS, &f->arena, who);
}

static void test_a_session_is_its_users(void **state)
{
    fixture *f = *state;
    char cookie[AUTH_SECRET_BYTES], other[AUTH_SECRET_BYTES];
    auth_who who;
    add(f->store, "ann", AUTH_ADMIN);
    begin(f, "ann", cookie);
    begin(f, "ann", other);
    assert_true(strcmp(cookie, other) != 0 && strlen(cookie) == AUTH_SECRET_BYTES - 1);
    assert_true(is_in(f, f->store, cookie, &who));
    assert_true(sx_str_eq(who.login, SX_STR("ann")) && who.role == AUTH_ADMIN);
    assert_false(is_in(f, f->store, "", &who));
    assert_false(is_in(f, f->store, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &who));
    assert_int_equal(auth_store_session_end(f->store, sx_str_z(cookie), NULL), SX_OK);
    assert_false(is_in(f, f->store, cookie, &who));
    assert_true(is_in(f, f->store, other, &who));
}

static void test_sessions_end_by_age_and_by_rest(void **state)
{
    fixture *f = *state;
    char used[AUTH_SECRET_BYTES], idle[AUTH_SECRET_BYTES];
    auth_who who;
    add(f->store, "ann", AUTH_VIEWER);
    begin(f, "ann", used);
    begin(f, "ann", idle);
    for (int i = 0; i < 25; i++) {
        sx_fake_clock_advance(&f->clock, IDLE_MS - 1);
        assert_int_equal(is_in(f, f->store, used, &who), (i + 1) * (int64_t)(IDLE_MS - 1) < DAY_MS);
    }
    assert_false(is_in(f, f->store, idle, &who));
    auth_session *list;
    size_t count;
    assert_int_equal(auth_store_sweep(f->store, IDLE_MS, NULL), SX_OK);
    assert_int_equal(
        auth_store_sessions(f->store, SX_STR(""), SX_STR(""), &f->arena, &list, &count, NULL),
        SX_OK);
    assert_int_equal(count, 0);
}

static void test_sessions_are_bounded_a_user(void **state)
{
    fixture *f = *state;
    char first[AUTH_SECRET_BYTES], cookie[AUTH_SECRET_BYTES];
    auth_session *list;
    auth_who who;
    size_t count;
    add(f->store, "ann", AUTH_VIEWER);
    begin(f, "ann", first);
    for (int i = 0; i < AUTH_SESSIONS_EACH_MAX; i++) {
        sx_fake_clock_advance(&f->clock, 1);
        begin(f, "ann", cookie);
    }
    assert_false(is_in(f, f->store, first, &who)); /* the least recently used */
    assert_true(is_in(f, f->store, cookie, &who));
    assert_int_equal(auth_store_sessions(f->store, SX_STR("ann"), sx_str_z(cookie), &f->arena,
                                         &list, &count, NULL),
                     SX_OK);
    assert_int_equal(count, AUTH_SESSIONS_EACH_MAX);
    assert_true(list[0].own);
}

static void test_all_is_there_after_a_restart(void **state)
{
    fixture *f = *state;
    char cookie[AUTH_SECRET_BYTES], token[AUTH_TOKEN_BYTES];
    auth_who who;
    auth_token t = {.name = SX_STR("ci"), .login = SX_STR("ann"), .role = AUTH_EDITOR};
    add(f->store, "ann", AUTH_EDITOR);
    begin(f, "ann", cookie);
    assert_int_equal(auth_store_token_new(f->store, &t, token, NULL), SX_OK);
    auth_store_close(f->store);
    open_store(f, &f->store, false);
    assert_true(is_in(f, f->store, cookie, &who));
    assert_true(auth_store_token_find(f->store, sx_str_z(token), &f->arena, &who));
    assert_int_equal(who.role, AUTH_EDITOR);
}

static void test_a_token_may_no_more_than_its_owner(void **state)
{
    fixture *f = *state;
    char token[AUTH_TOKEN_BYTES], brief[AUTH_TOKEN_BYTES];
    auth_who who;
    auth_token t = {.name = SX_STR("ci"), .login = SX_STR("ann"), .role = AUTH_ADMIN};
    auth_user user = {.login = SX_STR("ann"), .role = AUTH_VIEWER, .disabled = true};
    add(f->store, "ann", AUTH_ADMIN);
    assert_int_equal(auth_store_token_new(f->store, &t, token, NULL), SX_OK);
    assert_true(auth_store_token_find(f->store, sx_str_z(token), &f->arena, &who));
    assert_int_equal(who.role, AUTH_ADMIN);
    assert_int_equal(auth_store_user_set(f->store, &user, AUTH_SET_ROLE, SX_STR(""), NULL), SX_OK);
    assert_true(auth_store_token_find(f->store, sx_str_z(token), &f->arena, &who));
    assert_int_equal(who.role, AUTH_VIEWER);
    t.expires_ms = sx_clock_ms(&f->clock.clock) + 1000;
    assert_int_equal(auth_store_token_new(f->store, &t, brief, NULL), SX_OK);
    sx_fake_clock_advance(&f->clock, 1000);
    assert_false(auth_store_token_find(f->store, sx_str_z(brief), &f->arena, &who));
    assert_int_equal(auth_store_user_set(f->store, &user, AUTH_SET_DISABLED, SX_STR(""), NULL),
                     SX_OK);
    assert_false(auth_store_token_find(f->store, sx_str_z(token), &f->arena, &who));
    assert_int_equal(auth_store_user_remove(f->store, SX_STR("ann"), NULL), SX_OK);
    assert_int_equal(auth_store_token_end(f->store, SX_STR(""), t.id, NULL), SX_ENOTFOUND);
}

static void test_a_new_password_ends_other_sessions(void **state)
{
    fixture *f = *state;
    char own[AUTH_SECRET_BYTES], other[AUTH_SECRET_BYTES];
    auth_who who;
    auth_user user = {.login = SX_STR("ann"), .password = SX_STR("$argon2id$y")};
    add(f->store, "ann", AUTH_VIEWER);
    begin(f, "ann", own);
    begin(f, "ann", other);
    assert_int_equal(auth_store_user_set(f->store, &user, AUTH_SET_PASSWORD, sx_str_z(own), NULL),
                     SX_OK);
    assert_true(is_in(f, f->store, own, &who));
    assert_false(is_in(f, f->store, other, &who));
}

static void test_changes_of_another_process_are_seen(void **state)
{
    fixture *f = *state;
    auth_store *aside;
    auth_who who;
    sx_str hash;
    open_store(f, &aside, true);
    add(aside, "late", AUTH_EDITOR);
    assert_false(auth_store_password(f->store, SX_STR("late"), &f->arena, &hash, &who));
    assert_int_equal(auth_store_flush(f->store, NULL), SX_OK);
    assert_true(auth_store_password(f->store, SX_STR("late"), &f->arena, &hash, &who));
    auth_store_close(aside);
}

static void test_the_audit_log_is_bounded_and_paged(void **state)
{
    fixture *f = *state;
    auth_entry *list;
    size_t count;
    for (int i = 0; i < 25; i++) {
        const auth_entry e = {.at_ms = i,
                              .login = SX_STR("ann"),
                              .address = SX_STR("::1"),
                              .action = i % 2 ? SX_STR("a") : SX_STR("b"),
                              .what = SX_STR("x")};
        auth_store_note(f->store, &e);
    }
    assert_int_equal(
        auth_store_entries(f->store, 0, 4, SX_STR(""), SX_STR(""), &f->arena, &list, &count, NULL),
        SX_OK);
    assert_int_equal(count, 4);
    assert_int_equal(list[0].at_ms, 24);
    assert_int_equal(auth_store_entries(f->store, list[3].id, 100, SX_STR("ann"), SX_STR("a"),
                                        &f->arena, &list, &count, NULL),
                     SX_OK);
    assert_int_equal(count, 3); /* ten are kept, four were seen, half are of the other kind */
}

static void test_logins_are_made_of_plain_letters(void **state)
{
    char text[AUTH_LOGIN_MAX];
    sx_str login;
    (void)state;
    assert_true(auth_login_clean(SX_STR("Ann@Example.org"), text, &login));
    assert_true(sx_str_eq(login, SX_STR("ann@example.org")));
    static const char *const BAD[] = {"", "a b", "a:b", "a\nb", "a\"b", "\x7f"};
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++)
        assert_false(auth_login_clean(sx_str_z(BAD[i]), text, &login));
}

static void test_passwords_are_hashed_and_checked(void **state)
{
    char hash[AUTH_PASSWORD_TEXT], again[AUTH_PASSWORD_TEXT], longest[AUTH_PASSWORD_MOST + 1];
    sx_error err = {0};
    (void)state;
    memset(longest, 'x', sizeof longest);
    assert_int_equal(auth_password_hash(SX_STR("1234567"), hash, &err), SX_EINVAL);
    assert_int_equal(auth_password_hash(sx_str_of(longest, sizeof longest), hash, &err), SX_EINVAL);
    assert_int_equal(auth_password_hash(SX_STR("12345678"), hash, &err), SX_OK);
    assert_int_equal(auth_password_hash(SX_STR("12345678"), again, &err), SX_OK);
    assert_true(strcmp(hash, again) != 0);
    assert_true(auth_password_matches(sx_str_z(hash), SX_STR("12345678")));
    assert_false(auth_password_matches(sx_str_z(hash), SX_STR("12345679")));
    assert_false(auth_password_matches(SX_STR(""), SX_STR("12345678")));
    assert_false(auth_password_matches(SX_STR("$argon2id$v=19$m=1"), SX_STR("12345678")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_session_is_its_users, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_sessions_end_by_age_and_by_rest, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_sessions_are_bounded_a_user, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_all_is_there_after_a_restart, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_a_token_may_no_more_than_its_owner, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_a_new_password_ends_other_sessions, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_changes_of_another_process_are_seen, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_the_audit_log_is_bounded_and_paged, open_fixture,
                                        close_fixture),
        cmocka_unit_test(test_logins_are_made_of_plain_letters),
        cmocka_unit_test(test_passwords_are_hashed_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
