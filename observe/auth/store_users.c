/* store_users.c - users: added, changed, removed, listed. */
#include <string.h>

#include <sextant/mem.h>

#include "observe/auth/store_impl.h"

static const char COLUMNS[] =
    "SELECT login, name, password, source, subject, role, disabled, created_ms, seen_ms FROM users";

static sx_status no_user(sx_str login, sx_error *err)
{
    return sx_fail(err, SX_ENOTFOUND, "there is no user '%.*s'", SX_ARG(login));
}

static auth_user read_row(const sx_sqlite_result *r, size_t row)
{
    auth_user u = {.login = sx_sqlite_at(r, row, 0)->str,
                   .name = sx_sqlite_at(r, row, 1)->str,
                   .password = sx_sqlite_at(r, row, 2)->str,
                   .source = sx_sqlite_at(r, row, 3)->str,
                   .subject = sx_sqlite_at(r, row, 4)->str,
                   .disabled = sx_sqlite_at(r, row, 6)->i64 != 0,
                   .created_ms = sx_sqlite_at(r, row, 7)->i64,
                   .seen_ms = sx_sqlite_at(r, row, 8)->i64};
    (void)auth_role_parse(sx_sqlite_at(r, row, 5)->str, &u.role);
    return u;
}

sx_status auth_store_user(auth_store *s, sx_str login, sx_arena *arena, auth_user *out,
                          sx_error *err)
{
    sx_sqlite_result r;
    sx_sqlite_value key = sx_sqlite_text(login);
    sx_str sql = sx_arena_printf(arena, "%s WHERE login = ?", COLUMNS);
    if (!sql.data)
        return sx_fail_memory(err, "the user");
    sx_status status = store_run(s, sql.data, &key, 1, arena, &r, err);
    if (status != SX_OK)
        return status;
    if (r.row_count == 0)
        return no_user(login, err);
    *out = read_row(&r, 0);
    return SX_OK;
}

sx_status auth_store_users(auth_store *s, sx_arena *arena, auth_user **out, size_t *count,
                           sx_error *err)
{
    sx_sqlite_result r;
    sx_str sql = sx_arena_printf(arena, "%s ORDER BY login", COLUMNS);
    if (!sql.data)
        return sx_fail_memory(err, "the users");
    sx_status status = store_run(s, sql.data, NULL, 0, arena, &r, err);
    if (status != SX_OK)
        return status;
    auth_user *users = sx_arena_calloc(arena, r.row_count + 1, sizeof *users);
    if (!users)
        return sx_fail_memory(err, "the users");
    for (size_t i = 0; i < r.row_count; i++)
        users[i] = read_row(&r, i);
    *out = users;
    *count = r.row_count;
    return SX_OK;
}

/* The copy in memory is made anew from the file: with `writing` held. */
static sx_status take_up(auth_store *s, sx_str login, sx_error *err)
{
    sx_arena arena;
    auth_user u;
    sx_arena_init(&arena, 0, 0);
    sx_status status = auth_store_user(s, login, &arena, &u, err);
    mem_user fresh = {.login = u.login, .name = u.name, .password = u.password};
    mem_user *made = NULL;
    if (status == SX_OK) {
        sx_str *texts[] = {&fresh.login, &fresh.name, &fresh.password};
        fresh.role = u.role;
        fresh.disabled = u.disabled;
        made = store_block(sizeof fresh, texts, SX_COUNT_OF(texts));
        if (!made)
            status = sx_fail_memory(err, "the user");
    }
    if (made) {
        *made = fresh;
        pthread_rwlock_wrlock(&s->lock);
        if (!store_put(&s->users, made->login, made))
            status = sx_fail_memory(err, "the user");
        pthread_rwlock_unlock(&s->lock);
    }
    sx_arena_done(&arena);
    return status;
}

sx_status auth_store_user_add(auth_store *s, const auth_user *user, sx_error *err)
{
    if (auth_store_user_count(s) >= AUTH_USERS_MAX)
        return sx_fail(err, SX_ELIMIT, "there are %d users, and no more can be", AUTH_USERS_MAX);
    int64_t now = sx_clock_ms(s->clock);
    sx_sqlite_value params[] = {sx_sqlite_text(user->login),
                                sx_sqlite_text(user->name),
                                sx_sqlite_text(auth_role_name(user->role)),
                                sx_sqlite_text(user->password),
                                sx_sqlite_text(user->source),
                                sx_sqlite_text(user->subject),
                                sx_sqlite_i64(user->disabled),
                                sx_sqlite_i64(now)};
    pthread_mutex_lock(&s->writing);
    sx_status status = store_run(
        s,
        "INSERT INTO users(login, name, role, password, source, subject, disabled, created_ms,"
        " seen_ms) VALUES(?, ?, ?, ?, ?, ?, ?, ?, 0)",
        params, SX_COUNT_OF(params), NULL, NULL, err);
    if (status == SX_EEXIST)
        status = sx_fail(err, SX_EEXIST, "there is a user '%.*s' already", SX_ARG(user->login));
    if (status == SX_OK)
        status = take_up(s, user->login, err);
    if (status == SX_OK)
        status = store_changed(s, err);
    return store_end_change(s, status);
}

/* Forgets sessions (and tokens) of `login` but the one of `keep`. The lock is held for writing. */
static void forget(sx_map *m, sx_str login, const uint8_t *keep, size_t login_at)
{
    size_t cursor = 0;
    for (sx_map_entry *e; (e = sx_map_next(m, &cursor));) {
        void *item = e->ptr;
        const sx_str *whose = (const sx_str *)((const char *)item + login_at);
        if (!sx_str_eq(*whose, login) || (keep && memcmp(item, keep, STORE_HASH_BYTES) == 0))
            continue;
        sx_map_remove(m, e->key);
        sx_free(item);
    }
}

static sx_status end_sessions(auth_store *s, sx_str login, sx_str keep, sx_error *err)
{
    uint8_t hash[STORE_HASH_BYTES];
    store_hash(keep, hash);
    sx_sqlite_value params[] = {sx_sqlite_text(login), sx_sqlite_blob(store_key(hash))};
    sx_status status = store_run(s, "DELETE FROM sessions WHERE login = ? AND hash <> ?", params,
                                 SX_COUNT_OF(params), NULL, NULL, err);
    if (status != SX_OK)
        return status;
    pthread_rwlock_wrlock(&s->lock);
    forget(&s->sessions, login, hash, offsetof(mem_session, login));
    pthread_rwlock_unlock(&s->lock);
    return SX_OK;
}

sx_status auth_store_user_set(auth_store *s, const auth_user *user, unsigned fields, sx_str keep,
                              sx_error *err)
{
    sx_sqlite_result r = {0};
    sx_sqlite_value params[] = {sx_sqlite_text(user->login),
                                sx_sqlite_i64((fields & AUTH_SET_NAME) != 0),
                                sx_sqlite_text(user->name),
                                sx_sqlite_i64((fields & AUTH_SET_PASSWORD) != 0),
                                sx_sqlite_text(user->password),
                                sx_sqlite_i64((fields & AUTH_SET_ROLE) != 0),
                                sx_sqlite_text(auth_role_name(user->role)),
                                sx_sqlite_i64((fields & AUTH_SET_DISABLED) != 0),
                                sx_sqlite_i64(user->disabled)};
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    pthread_mutex_lock(&s->writing);
    sx_status status =
        store_run(s,
                  "UPDATE users SET name = CASE WHEN ?2 THEN ?3 ELSE name END,"
                  " password = CASE WHEN ?4 THEN ?5 ELSE password END,"
                  " role = CASE WHEN ?6 THEN ?7 ELSE role END,"
                  " disabled = CASE WHEN ?8 THEN ?9 ELSE disabled END WHERE login = ?1",
                  params, SX_COUNT_OF(params), &arena, &r, err);
    if (status == SX_OK && r.changes == 0)
        status = no_user(user->login, err);
    if (status == SX_OK)
        status = take_up(s, user->login, err);
    bool ends = (fields & AUTH_SET_PASSWORD) || ((fields & AUTH_SET_DISABLED) && user->disabled);
    if (status == SX_OK && ends)
        status = end_sessions(s, user->login, keep, err);
    if (status == SX_OK)
        status = store_changed(s, err);
    status = store_end_change(s, status);
    sx_arena_done(&arena);
    return status;
}

static sx_status remove_rows(sx_sqlite_tx *tx, void *arg, sx_error *err)
{
    static const sx_str STATEMENTS[] = {SX_STR_INIT("DELETE FROM sessions WHERE login = ?"),
                                        SX_STR_INIT("DELETE FROM tokens WHERE login = ?"),
                                        SX_STR_INIT("DELETE FROM users WHERE login = ?")};
    const sx_str *login = arg;
    sx_sqlite_value key = sx_sqlite_text(*login);
    sx_status status = SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(STATEMENTS) && status == SX_OK; i++) {
        const sx_sqlite_query query = {.sql = STATEMENTS[i], .params = &key, .param_count = 1};
        status = sx_sqlite_tx_run(tx, &query, NULL, NULL, err);
    }
    return status;
}

sx_status auth_store_user_remove(auth_store *s, sx_str login, sx_error *err)
{
    pthread_mutex_lock(&s->writing);
    pthread_rwlock_rdlock(&s->lock);
    bool there = sx_map_find(&s->users, login) != NULL;
    pthread_rwlock_unlock(&s->lock);
    sx_status status =
        there ? sx_sqlite_transact(s->db, 0, remove_rows, &login, err) : no_user(login, err);
    if (status == SX_OK) {
        pthread_rwlock_wrlock(&s->lock);
        sx_map_entry *e = sx_map_find(&s->users, login);
        void *old = e ? e->ptr : NULL;
        forget(&s->sessions, login, NULL, offsetof(mem_session, login));
        forget(&s->tokens, login, NULL, offsetof(mem_token, login));
        if (e)
            sx_map_remove(&s->users, login);
        pthread_rwlock_unlock(&s->lock);
        sx_free(old);
        status = store_changed(s, err);
    }
    return store_end_change(s, status);
}

size_t auth_store_user_count(auth_store *s)
{
    pthread_rwlock_rdlock(&s->lock);
    size_t count = sx_map_count(&s->users);
    pthread_rwlock_unlock(&s->lock);
    return count;
}

size_t auth_store_admin_count(auth_store *s)
{
    size_t count = 0, cursor = 0;
    pthread_rwlock_rdlock(&s->lock);
    for (sx_map_entry *e; (e = sx_map_next(&s->users, &cursor));) {
        const mem_user *u = e->ptr;
        count += u->role == AUTH_ADMIN && !u->disabled;
    }
    pthread_rwlock_unlock(&s->lock);
    return count;
}

bool auth_store_password(auth_store *s, sx_str login, sx_arena *arena, sx_str *hash, auth_who *who)
{
    pthread_rwlock_rdlock(&s->lock);
    const mem_user *u = sx_map_get(&s->users, login);
    bool found = u && !u->disabled && u->password.len;
    if (found) {
        *hash = sx_arena_copy(arena, u->password);
        *who = (auth_who){.login = sx_arena_copy(arena, u->login),
                          .name = sx_arena_copy(arena, u->name),
                          .role = u->role};
        found = hash->data && who->login.data && who->name.data;
    }
    pthread_rwlock_unlock(&s->lock);
    return found;
}
