/* store_sessions.c - sessions, tokens and the audit log's reading. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/mem.h>

#include "observe/auth/store_impl.h"

/* ---- sessions ---- */

static void session_id(const mem_session *n, char out[AUTH_ID_BYTES])
{
    for (size_t i = 0; i < (AUTH_ID_BYTES - 1) / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", n->hash[i]);
}

/* With `writing` held. */
static sx_status remove_session(auth_store *s, const uint8_t *hash, sx_error *err)
{
    uint8_t key[STORE_HASH_BYTES]; /* `hash` may lie in what is freed */
    memcpy(key, hash, sizeof key);
    sx_sqlite_value param = sx_sqlite_blob(store_key(key));
    sx_status status =
        store_run(s, "DELETE FROM sessions WHERE hash = ?", &param, 1, NULL, NULL, err);
    if (status != SX_OK)
        return status;
    pthread_rwlock_wrlock(&s->lock);
    sx_map_entry *e = sx_map_find(&s->sessions, store_key(key));
    void *old = e ? e->ptr : NULL;
    if (e)
        sx_map_remove(&s->sessions, store_key(key));
    pthread_rwlock_unlock(&s->lock);
    sx_free(old);
    return SX_OK;
}

/* The least recently used session of `login` (of anybody: empty) if there are `most` of them. */
static bool find_oldest(auth_store *s, sx_str login, size_t most, uint8_t out[STORE_HASH_BYTES])
{
    size_t cursor = 0, count = 0;
    const mem_session *oldest = NULL;
    pthread_rwlock_rdlock(&s->lock);
    for (sx_map_entry *e; (e = sx_map_next(&s->sessions, &cursor));) {
        const mem_session *n = e->ptr;
        if (login.len && !sx_str_eq(n->login, login))
            continue;
        count++;
        if (!oldest || atomic_load(&n->seen_ms) < atomic_load(&oldest->seen_ms))
            oldest = n;
    }
    bool full = oldest && count >= most;
    if (full)
        memcpy(out, oldest->hash, STORE_HASH_BYTES);
    pthread_rwlock_unlock(&s->lock);
    return full;
}

static sx_status store_session(auth_store *s, const mem_session *n, sx_error *err)
{
    uint8_t oldest[STORE_HASH_BYTES];
    sx_status status = SX_OK;
    if (find_oldest(s, n->login, AUTH_SESSIONS_EACH_MAX, oldest))
        status = remove_session(s, oldest, err);
    if (status == SX_OK && find_oldest(s, SX_STR(""), AUTH_SESSIONS_MAX, oldest))
        status = remove_session(s, oldest, err);
    sx_sqlite_value params[] = {sx_sqlite_blob(store_key(n->hash)),
                                sx_sqlite_text(n->login),
                                sx_sqlite_i64(n->created_ms),
                                sx_sqlite_i64(n->created_ms),
                                sx_sqlite_i64(n->expires_ms),
                                sx_sqlite_text(n->address),
                                sx_sqlite_text(n->agent)};
    if (status == SX_OK)
        status = store_run(s,
                           "INSERT INTO sessions(hash, login, created_ms, seen_ms, expires_ms,"
                           " address, agent) VALUES(?, ?, ?, ?, ?, ?, ?)",
                           params, SX_COUNT_OF(params), NULL, NULL, err);
    sx_sqlite_value seen[] = {sx_sqlite_i64(n->created_ms), sx_sqlite_text(n->login)};
    if (status == SX_OK)
        status = store_run(s, "UPDATE users SET seen_ms = ? WHERE login = ?", seen,
                           SX_COUNT_OF(seen), NULL, NULL, err);
    return status;
}

sx_status auth_store_session_new(auth_store *s, sx_str login, int64_t lifetime_ms, sx_str address,
                                 sx_str agent, char cookie[AUTH_SECRET_BYTES], sx_error *err)
{
    int64_t now = sx_clock_ms(s->clock);
    mem_session n = {.login = login,
                     .address = address,
                     .agent = sx_str_first(agent, STORE_TEXT_MAX),
                     .created_ms = now,
                     .saved_ms = now,
                     .seen_ms = now,
                     .expires_ms = now + lifetime_ms};
    sx_str *texts[] = {&n.login, &n.address, &n.agent};
    sx_status status = store_secret(cookie, err);
    mem_session *made = status == SX_OK ? store_block(sizeof n, texts, SX_COUNT_OF(texts)) : NULL;
    if (status == SX_OK && !made)
        status = sx_fail_memory(err, "the session");
    if (status != SX_OK)
        return status;
    store_hash(sx_str_z(cookie), n.hash);
    *made = n;
    pthread_mutex_lock(&s->writing);
    status = store_session(s, made, err);
    if (status == SX_OK) {
        pthread_rwlock_wrlock(&s->lock);
        if (!store_put(&s->sessions, store_key(made->hash), made))
            status = sx_fail_memory(err, "the session");
        pthread_rwlock_unlock(&s->lock);
        made = NULL;
    }
    pthread_mutex_unlock(&s->writing);
    sx_free(made);
    return status;
}

static bool copy_who(const mem_user *u, sx_arena *arena, auth_who *out)
{
    *out = (auth_who){.login = sx_arena_copy(arena, u->login),
                      .name = sx_arena_copy(arena, u->name.len ? u->name : u->login),
                      .role = u->role};
    return out->login.data && out->name.data;
}

bool auth_store_session_find(auth_store *s, sx_str cookie, int64_t idle_ms, sx_arena *arena,
                             auth_who *out)
{
    uint8_t hash[STORE_HASH_BYTES];
    int64_t now = sx_clock_ms(s->clock);
    bool found = false;
    if (cookie.len != AUTH_SECRET_BYTES - 1)
        return false;
    store_hash(cookie, hash);
    pthread_rwlock_rdlock(&s->lock);
    mem_session *n = sx_map_get(&s->sessions, store_key(hash));
    if (n && now < n->expires_ms && now - atomic_load(&n->seen_ms) < idle_ms) {
        const mem_user *u = sx_map_get(&s->users, n->login);
        found = u && !u->disabled && copy_who(u, arena, out);
        if (found)
            atomic_store_explicit(&n->seen_ms, now, memory_order_relaxed);
    }
    pthread_rwlock_unlock(&s->lock);
    return found;
}

sx_status auth_store_session_end(auth_store *s, sx_str cookie, sx_error *err)
{
    uint8_t hash[STORE_HASH_BYTES];
    store_hash(cookie, hash);
    pthread_mutex_lock(&s->writing);
    sx_status status = remove_session(s, hash, err);
    pthread_mutex_unlock(&s->writing);
    return status;
}

sx_status auth_store_session_end_id(auth_store *s, sx_str login, sx_str id, sx_error *err)
{
    uint8_t hash[STORE_HASH_BYTES];
    char name[AUTH_ID_BYTES];
    bool found = false;
    size_t cursor = 0;
    pthread_mutex_lock(&s->writing);
    pthread_rwlock_rdlock(&s->lock);
    for (sx_map_entry *e; !found && (e = sx_map_next(&s->sessions, &cursor));) {
        const mem_session *n = e->ptr;
        session_id(n, name);
        found = sx_str_eq(id, sx_str_z(name)) && (!login.len || sx_str_eq(login, n->login));
        if (found)
            memcpy(hash, n->hash, sizeof hash);
    }
    pthread_rwlock_unlock(&s->lock);
    sx_status status = found ? remove_session(s, hash, err)
                             : sx_fail(err, SX_ENOTFOUND, "there is no such session");
    pthread_mutex_unlock(&s->writing);
    return status;
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = ((const auth_session *)a)->seen_ms, y = ((const auth_session *)b)->seen_ms;
    return x < y ? 1 : x > y ? -1 : 0;
}

sx_status auth_store_sessions(auth_store *s, sx_str login, sx_str cookie, sx_arena *arena,
                              auth_session **out, size_t *count, sx_error *err)
{
    uint8_t own[STORE_HASH_BYTES];
    size_t cursor = 0, n = 0;
    bool ok = true;
    store_hash(cookie, own);
    pthread_rwlock_rdlock(&s->lock);
    auth_session *list = sx_arena_calloc(arena, sx_map_count(&s->sessions) + 1, sizeof *list);
    for (sx_map_entry *e; list && ok && (e = sx_map_next(&s->sessions, &cursor));) {
        const mem_session *from = e->ptr;
        if (login.len && !sx_str_eq(from->login, login))
            continue;
        auth_session *to = &list[n++];
        session_id(from, to->id);
        to->login = sx_arena_copy(arena, from->login);
        to->address = sx_arena_copy(arena, from->address);
        to->agent = sx_arena_copy(arena, from->agent);
        to->created_ms = from->created_ms;
        to->seen_ms = atomic_load(&from->seen_ms);
        to->expires_ms = from->expires_ms;
        to->own = memcmp(own, from->hash, sizeof own) == 0;
        ok = to->login.data && to->address.data && to->agent.data;
    }
    pthread_rwlock_unlock(&s->lock);
    if (!list || !ok)
        return sx_fail_memory(err, "the sessions");
    qsort(list, n, sizeof *list, newest_first);
    *out = list;
    *count = n;
    return SX_OK;
}

sx_status auth_store_sweep(auth_store *s, int64_t idle_ms, sx_error *err)
{
    enum { BATCH = 64 };
    uint8_t over[BATCH][STORE_HASH_BYTES];
    size_t cursor = 0, count = 0;
    int64_t now = sx_clock_ms(s->clock);
    sx_status status = SX_OK;
    pthread_mutex_lock(&s->writing);
    pthread_rwlock_rdlock(&s->lock);
    for (sx_map_entry *e; count < BATCH && (e = sx_map_next(&s->sessions, &cursor));) {
        const mem_session *n = e->ptr;
        if (now >= n->expires_ms || now - atomic_load(&n->seen_ms) >= idle_ms)
            memcpy(over[count++], n->hash, STORE_HASH_BYTES);
    }
    pthread_rwlock_unlock(&s->lock);
    for (size_t i = 0; i < count && status == SX_OK; i++)
        status = remove_session(s, over[i], err);
    pthread_mutex_unlock(&s->writing);
    return status;
}

/* ---- tokens ---- */

sx_status auth_store_token_new(auth_store *s, auth_token *made, char token[AUTH_TOKEN_BYTES],
                               sx_error *err)
{
    int64_t now = sx_clock_ms(s->clock);
    sx_sqlite_result r = {0};
    mem_token t = {.name = made->name,
                   .login = made->login,
                   .role = made->role,
                   .created_ms = now,
                   .expires_ms = made->expires_ms};
    sx_str *texts[] = {&t.name, &t.login};
    sx_arena arena;
    memcpy(token, "sxt_", 4);
    sx_status status = store_secret(token + 4, err);
    if (status != SX_OK)
        return status;
    mem_token *kept = store_block(sizeof t, texts, SX_COUNT_OF(texts));
    if (!kept)
        return sx_fail_memory(err, "the token");
    store_hash(sx_str_z(token), t.hash);
    sx_sqlite_value params[] = {sx_sqlite_blob(store_key(t.hash)),
                                sx_sqlite_text(t.name),
                                sx_sqlite_text(t.login),
                                sx_sqlite_text(auth_role_name(t.role)),
                                sx_sqlite_i64(now),
                                sx_sqlite_i64(t.expires_ms)};
    sx_arena_init(&arena, 0, 0);
    pthread_mutex_lock(&s->writing);
    pthread_rwlock_rdlock(&s->lock);
    bool full = sx_map_count(&s->tokens) >= AUTH_TOKENS_MAX;
    pthread_rwlock_unlock(&s->lock);
    status = full ? sx_fail(err, SX_ELIMIT, "there are %d tokens; end some", AUTH_TOKENS_MAX)
                  : store_run(s,
                              "INSERT INTO tokens(hash, name, login, role, created_ms, expires_ms,"
                              " used_ms) VALUES(?, ?, ?, ?, ?, ?, 0)",
                              params, SX_COUNT_OF(params), &arena, &r, err);
    if (status == SX_OK) {
        t.id = made->id = r.last_row_id;
        made->created_ms = now;
        *kept = t;
        pthread_rwlock_wrlock(&s->lock);
        if (!store_put(&s->tokens, store_key(kept->hash), kept))
            status = sx_fail_memory(err, "the token");
        pthread_rwlock_unlock(&s->lock);
        kept = NULL;
    }
    pthread_mutex_unlock(&s->writing);
    sx_arena_done(&arena);
    sx_free(kept);
    return status;
}

bool auth_store_token_find(auth_store *s, sx_str token, sx_arena *arena, auth_who *out)
{
    uint8_t hash[STORE_HASH_BYTES];
    int64_t now = sx_clock_ms(s->clock);
    bool found = false;
    if (token.len != AUTH_TOKEN_BYTES - 1)
        return false;
    store_hash(token, hash);
    pthread_rwlock_rdlock(&s->lock);
    mem_token *t = sx_map_get(&s->tokens, store_key(hash));
    if (t && (t->expires_ms == 0 || now < t->expires_ms)) {
        const mem_user *owner = sx_map_get(&s->users, t->login);
        *out = (auth_who){.login = sx_arena_copy(arena, t->login),
                          .name = sx_arena_copy(arena, t->name),
                          .role = t->role};
        if (owner && owner->role < out->role)
            out->role = owner->role;
        found = !(owner && owner->disabled) && out->login.data && out->name.data;
        if (found)
            atomic_store_explicit(&t->used_ms, now, memory_order_relaxed);
    }
    pthread_rwlock_unlock(&s->lock);
    return found;
}

sx_status auth_store_token_end(auth_store *s, sx_str login, int64_t id, sx_error *err)
{
    size_t cursor = 0;
    mem_token *found = NULL;
    sx_sqlite_value key = sx_sqlite_i64(id);
    pthread_mutex_lock(&s->writing); /* nobody else frees one */
    pthread_rwlock_rdlock(&s->lock);
    for (sx_map_entry *e; !found && (e = sx_map_next(&s->tokens, &cursor));) {
        mem_token *t = e->ptr;
        if (t->id == id && (!login.len || sx_str_eq(t->login, login)))
            found = t;
    }
    pthread_rwlock_unlock(&s->lock);
    sx_status status =
        found ? store_run(s, "DELETE FROM tokens WHERE id = ?", &key, 1, NULL, NULL, err)
              : sx_fail(err, SX_ENOTFOUND, "there is no token %lld", (long long)id);
    if (status == SX_OK) {
        pthread_rwlock_wrlock(&s->lock);
        sx_map_remove(&s->tokens, store_key(found->hash));
        pthread_rwlock_unlock(&s->lock);
        sx_free(found);
    }
    pthread_mutex_unlock(&s->writing);
    return status;
}

static int by_id(const void *a, const void *b)
{
    int64_t x = ((const auth_token *)a)->id, y = ((const auth_token *)b)->id;
    return x < y ? -1 : x > y ? 1 : 0;
}

sx_status auth_store_tokens(auth_store *s, sx_str login, sx_arena *arena, auth_token **out,
                            size_t *count, sx_error *err)
{
    size_t cursor = 0, n = 0;
    bool ok = true;
    pthread_rwlock_rdlock(&s->lock);
    auth_token *list = sx_arena_calloc(arena, sx_map_count(&s->tokens) + 1, sizeof *list);
    for (sx_map_entry *e; list && ok && (e = sx_map_next(&s->tokens, &cursor));) {
        const mem_token *from = e->ptr;
        if (login.len && !sx_str_eq(from->login, login))
            continue;
        list[n] = (auth_token){.id = from->id,
                               .name = sx_arena_copy(arena, from->name),
                               .login = sx_arena_copy(arena, from->login),
                               .role = from->role,
                               .created_ms = from->created_ms,
                               .expires_ms = from->expires_ms,
                               .used_ms = atomic_load(&from->used_ms)};
        ok = list[n].name.data && list[n].login.data;
        n++;
    }
    pthread_rwlock_unlock(&s->lock);
    if (!list || !ok)
        return sx_fail_memory(err, "the tokens");
    qsort(list, n, sizeof *list, by_id);
    *out = list;
    *count = n;
    return SX_OK;
}

/* ---- audit ---- */

sx_status auth_store_entries(auth_store *s, int64_t before, uint32_t limit, sx_str login,
                             sx_str action, sx_arena *arena, auth_entry **out, size_t *count,
                             sx_error *err)
{
    sx_sqlite_result r;
    sx_sqlite_value params[] = {sx_sqlite_i64(before ? before : INT64_MAX), sx_sqlite_text(login),
                                sx_sqlite_text(action), sx_sqlite_i64(limit)};
    sx_status status = store_write_queue(s, err); /* what has just happened is to be seen */
    if (status == SX_OK)
        status = store_run(s,
                           "SELECT id, at_ms, login, address, action, what, ok FROM audit"
                           " WHERE id < ?1 AND (?2 = '' OR login = ?2) AND (?3 = '' OR action = ?3)"
                           " ORDER BY id DESC LIMIT ?4",
                           params, SX_COUNT_OF(params), arena, &r, err);
    if (status != SX_OK)
        return status;
    auth_entry *list = sx_arena_calloc(arena, r.row_count + 1, sizeof *list);
    if (!list)
        return sx_fail_memory(err, "the audit log");
    for (size_t i = 0; i < r.row_count; i++)
        list[i] = (auth_entry){.id = sx_sqlite_at(&r, i, 0)->i64,
                               .at_ms = sx_sqlite_at(&r, i, 1)->i64,
                               .login = sx_sqlite_at(&r, i, 2)->str,
                               .address = sx_sqlite_at(&r, i, 3)->str,
                               .action = sx_sqlite_at(&r, i, 4)->str,
                               .what = sx_sqlite_at(&r, i, 5)->str,
                               .ok = sx_sqlite_at(&r, i, 6)->i64 != 0};
    *out = list;
    *count = r.row_count;
    return SX_OK;
}
