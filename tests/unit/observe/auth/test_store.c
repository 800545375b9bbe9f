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

static const auth_session_start *start_of(const char *login, const auth_grant *grant)
{
    static auth_session_start start;
    start = (auth_session_start){.login = sx_str_z(login),
                                 .address = SX_STR("::1"),
                                 .agent = SX_STR("a browser"),
                                 .lifetime_ms = DAY_MS,
                                 .grant = grant};
    return &start;
}

static void begin(fixture *f, const char *login, char cookie[AUTH_SECRET_BYTES])
{
    sx_error err = {0};
    assert_int_equal(auth_store_session_new(f->store, start_of(login, NULL), cookie, &err), SX_OK);
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

/* ---- without memory ---- */

typedef struct thing {
    auth_store *store;
    sx_arena *arena;
    char cookie[AUTH_SECRET_BYTES], token[AUTH_TOKEN_BYTES];
    auth_token made;
} thing;

static sx_status try_add(thing *t, sx_error *err)
{
    const auth_user user = {.login = SX_STR("bob"),
                            .name = SX_STR("Bob"),
                            .password = SX_STR("$argon2id$x"),
                            .source = SX_STR("local"),
                            .subject = SX_STR(""),
                            .role = AUTH_EDITOR};
    sx_status status = auth_store_user_add(t->store, &user, err);
    return status == SX_EEXIST ? SX_OK
                               : status; /* the try before wrote it, and failed afterwards */
}

static sx_status try_change(thing *t, sx_error *err)
{
    const auth_user user = {.login = SX_STR("bob"), .role = AUTH_ADMIN, .name = SX_STR("B.")};
    return auth_store_user_set(t->store, &user, AUTH_SET_ROLE | AUTH_SET_NAME, SX_STR(""), err);
}

static sx_status try_session(thing *t, sx_error *err)
{
    const auth_grant grant = {.id_token = SX_STR("a.b.c"), .refresh = SX_STR("x")};
    return auth_store_session_new(t->store, start_of("bob", &grant), t->cookie, err);
}

static sx_status try_sessions(thing *t, sx_error *err)
{
    auth_session *list;
    size_t count;
    auth_grant grant;
    sx_status status =
        auth_store_sessions(t->store, SX_STR("bob"), SX_STR(""), t->arena, &list, &count, err);
    return status == SX_OK ? auth_store_grant(t->store, sx_str_z(t->cookie), t->arena, &grant, err)
                           : status;
}

static sx_status try_token(thing *t, sx_error *err)
{
    t->made = (auth_token){.name = SX_STR("ci"), .login = SX_STR("bob"), .role = AUTH_VIEWER};
    return auth_store_token_new(t->store, &t->made, t->token, err);
}

static sx_status try_find(thing *t, sx_error *err)
{
    auth_who who;
    sx_arena small; /* its first use takes memory */
    sx_arena_init(&small, 0, 0);
    bool found = auth_store_session_find(t->store, sx_str_z(t->cookie), IDLE_MS, &small, &who) &&
                 auth_store_token_find(t->store, sx_str_z(t->token), &small, &who);
    sx_arena_done(&small);
    return found ? SX_OK : sx_fail_memory(err, "who it is");
}

static sx_status try_entries(thing *t, sx_error *err)
{
    const auth_entry e = {.login = SX_STR("bob"),
                          .action = SX_STR("a"),
                          .what = SX_STR("b"),
                          .address = SX_STR("::1")};
    auth_entry *list;
    size_t count;
    auth_store_note(t->store, &e);
    return auth_store_entries(t->store, 0, 10, SX_STR(""), SX_STR(""), t->arena, &list, &count,
                              err);
}

static sx_status try_flush(thing *t, sx_error *err)
{
    return auth_store_flush(t->store, err);
}

static sx_status try_end(thing *t, sx_error *err)
{
    sx_status status = auth_store_session_end(t->store, sx_str_z(t->cookie), err);
    if (status == SX_OK)
        status = auth_store_token_end(t->store, SX_STR("bob"), t->made.id, err);
    return status == SX_ENOTFOUND ? SX_OK : status;
}

static sx_status try_remove(thing *t, sx_error *err)
{
    sx_status status = auth_store_user_remove(t->store, SX_STR("bob"), err);
    return status == SX_ENOTFOUND ? SX_OK : status;
}

/* Each call with its nth allocation failing, for every n, until it goes through; after each, memory and
 * file say the same of the user. */
static void test_without_memory_file_and_copy_agree(void **state)
{
    static sx_status (*const STEPS[])(thing *, sx_error *) = {
        try_add,  try_change,  try_session, try_sessions, try_token,
        try_find, try_entries, try_flush,   try_end,      try_remove};
    fixture *f = *state;
    thing t = {.arena = &f->arena};
    open_store(f, &t.store, true); /* no thread of its own takes memory in between */
    for (size_t i = 0; i < SX_COUNT_OF(STEPS); i++) {
        sx_status status = SX_ENOMEM;
        for (int64_t nth = 1; status != SX_OK; nth++) {
            sx_error err = {0};
            auth_user file;
            auth_who copy;
            sx_str hash;
            sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
            status = STEPS[i](&t, &err);
            sx_fault_alloc_set((sx_fault_alloc){0});
            if (status != SX_OK && status != SX_ENOMEM)
                fail_msg("step %zu, allocation %lld: %s", i, (long long)nth, err.message);
            assert_int_equal(auth_store_refresh(t.store, NULL), SX_OK);
            bool there = auth_store_user(t.store, SX_STR("bob"), &f->arena, &file, NULL) == SX_OK;
            assert_int_equal(auth_store_password(t.store, SX_STR("bob"), &f->arena, &hash, &copy),
                             there);
            assert_true(!there || file.role == copy.role);
        }
    }
    auth_store_close(t.store);
}

static void test_without_memory_no_store_is_opened(void **state)
{
    fixture *f = *state;
    add(f->store, "ann", AUTH_ADMIN);
    begin(f, "ann", (char[AUTH_SECRET_BYTES]){0});
    const auth_store_options options = {.path = f->path, .clock = &f->clock.clock, .aside = true};
    for (int64_t nth = 1, done = 0; !done; nth++) {
        auth_store *store = NULL;
        sx_error err = {0};
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        done = auth_store_open(&options, &store, &err) == SX_OK;
        if (done)
            assert_int_equal(auth_store_user_count(store), 1);
        auth_store_close(store);
        int64_t held = sx_fault_alloc_held();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
    }
}

static size_t due(fixture *f, auth_grant out[4])
{
    size_t count;
    sx_error err = {0};
    int64_t since = sx_clock_ms(&f->clock.clock) - 60000;
    if (auth_store_grants_due(f->store, since, &f->arena, out, 4, &count, &err) != SX_OK)
        fail_msg("%s", err.message);
    return count;
}

static void test_grants_are_due_while_their_session_is_used(void **state)
{
    fixture *f = *state;
    char cookie[AUTH_SECRET_BYTES], bare[AUTH_SECRET_BYTES];
    auth_who who;
    auth_grant found[4];
    const auth_grant given = {.id_token = SX_STR("a.b.c"), .refresh = SX_STR("sealed")},
                     none = {.id_token = SX_STR("d.e.f"), .refresh = SX_STR("")};
    add(f->store, "ann", AUTH_VIEWER);
    assert_int_equal(auth_store_session_new(f->store, start_of("ann", &given), cookie, NULL),
                     SX_OK);
    assert_int_equal(auth_store_session_new(f->store, start_of("ann", &none), bare, NULL), SX_OK);
    sx_fake_clock_advance(&f->clock, 60000);
    assert_int_equal(due(f, found), 0); /* nobody uses it */
    sx_fake_clock_advance(&f->clock, 1);
    assert_true(is_in(f, f->store, cookie, &who) && is_in(f, f->store, bare, &who));
    assert_int_equal(due(f, found), 1);
    assert_true(sx_str_eq(found[0].login, SX_STR("ann")) &&
                sx_str_eq(found[0].refresh, SX_STR("sealed")));
    auth_store_close(f->store);
    open_store(f, &f->store, false);
    assert_true(is_in(f, f->store, cookie, &who));
    assert_int_equal(due(f, found), 1);
    found[0].refresh = SX_STR("next");
    found[0].id_token = SX_STR("");
    assert_int_equal(auth_store_grant_renew(f->store, &found[0], NULL), SX_OK);
    assert_int_equal(due(f, found), 0);
    assert_int_equal(auth_store_grant(f->store, sx_str_z(cookie), &f->arena, &found[0], NULL),
                     SX_OK);
    assert_true(sx_str_eq(found[0].refresh, SX_STR("next")) &&
                sx_str_eq(found[0].id_token, SX_STR("a.b.c")));
    assert_int_equal(auth_store_grant_end(f->store, &found[0], NULL), SX_OK);
    assert_false(is_in(f, f->store, cookie, &who));
    assert_int_equal(auth_store_grant(f->store, sx_str_z(cookie), &f->arena, &found[0], NULL),
                     SX_ENOTFOUND);
    assert_int_equal(auth_store_grant(f->store, sx_str_z(bare), &f->arena, &found[0], NULL), SX_OK);
    assert_int_equal(auth_store_user_remove(f->store, SX_STR("ann"), NULL), SX_OK);
    assert_int_equal(auth_store_grant(f->store, sx_str_z(bare), &f->arena, &found[0], NULL),
                     SX_ENOTFOUND);
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
        cmocka_unit_test_setup_teardown(test_grants_are_due_while_their_session_is_used,
                                        open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_without_memory_file_and_copy_agree, open_fixture,
                                        close_fixture),
        cmocka_unit_test_setup_teardown(test_without_memory_no_store_is_opened, open_fixture,
                                        close_fixture),
        cmocka_unit_test(test_logins_are_made_of_plain_letters),
        cmocka_unit_test(test_passwords_are_hashed_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
