/* store_sessions.c - sessions: begun, found, ended, listed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/mem.h>

#include "observe/auth/store_impl.h"

static void session_id(const mem_session *n, char out[AUTH_ID_BYTES])
{
    for (size_t i = 0; i < (AUTH_ID_BYTES - 1) / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", n->hash[i]);
}

sx_status store_session_remove(auth_store *s, const uint8_t *hash, sx_error *err)
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

typedef struct new_session {
    const mem_session *session;
    const auth_grant *grant; /* NULL: none */
} new_session;

static sx_status insert_session(sx_sqlite_tx *tx, void *arg, sx_error *err)
{
    const new_session *n = arg;
    const mem_session *m = n->session;
    const sx_sqlite_value hash = sx_sqlite_blob(store_key(m->hash)),
                          login = sx_sqlite_text(m->login), now = sx_sqlite_i64(m->created_ms);
    const sx_sqlite_value session[] = {hash,
                                       login,
                                       now,
                                       sx_sqlite_i64(m->expires_ms),
                                       sx_sqlite_text(m->address),
                                       sx_sqlite_text(m->agent)};
    const sx_sqlite_value user[] = {now, login};
    const sx_sqlite_value grant[] = {
        hash, sx_sqlite_text(n->grant ? n->grant->id_token : SX_STR("")),
        sx_sqlite_text(n->grant ? n->grant->refresh : SX_STR("")), now};
    const sx_sqlite_query queries[] = {
        {.sql = SX_STR("INSERT INTO sessions(hash, login, created_ms, seen_ms, expires_ms, address,"
                       " agent) VALUES(?1, ?2, ?3, ?3, ?4, ?5, ?6)"),
         .params = session,
         .param_count = SX_COUNT_OF(session)},
        {.sql = SX_STR("UPDATE users SET seen_ms = ? WHERE login = ?"),
         .params = user,
         .param_count = SX_COUNT_OF(user)},
        {.sql =
             SX_STR("INSERT INTO grants(hash, id_token, refresh, renewed_ms) VALUES(?, ?, ?, ?)"),
         .params = grant,
         .param_count = SX_COUNT_OF(grant)}};
    sx_status status = SX_OK;
    for (size_t i = 0; i < (n->grant ? 3 : 2) && status == SX_OK; i++)
        status = sx_sqlite_tx_run(tx, &queries[i], NULL, NULL, err);
    return status;
}

static sx_status make_room(auth_store *s, sx_str login, sx_error *err)
{
    uint8_t oldest[STORE_HASH_BYTES];
    sx_status status = SX_OK;
    if (find_oldest(s, login, AUTH_SESSIONS_EACH_MAX, oldest))
        status = store_session_remove(s, oldest, err);
    if (status == SX_OK && find_oldest(s, SX_STR(""), AUTH_SESSIONS_MAX, oldest))
        status = store_session_remove(s, oldest, err);
    return status;
}

sx_status auth_store_session_new(auth_store *s, const auth_session_start *start,
                                 char cookie[AUTH_SECRET_BYTES], sx_error *err)
{
    int64_t now = sx_clock_ms(s->clock);
    const auth_grant *grant = start->grant;
    mem_session n = {.login = start->login,
                     .address = start->address,
                     .agent = sx_str_first(start->agent, STORE_TEXT_MAX),
                     .created_ms = now,
                     .saved_ms = now,
                     .seen_ms = now,
                     .renewed_ms = grant && grant->refresh.len ? now : 0,
                     .expires_ms = now + start->lifetime_ms};
    sx_str *texts[] = {&n.login, &n.address, &n.agent};
    sx_status status = store_secret(cookie, err);
    mem_session *made = status == SX_OK ? store_block(sizeof n, texts, SX_COUNT_OF(texts)) : NULL;
    if (status == SX_OK && !made)
        status = sx_fail_memory(err, "the session");
    if (status != SX_OK)
        return status;
    store_hash(sx_str_z(cookie), n.hash);
    *made = n;
    new_session row = {made, grant};
    pthread_mutex_lock(&s->writing);
    status = make_room(s, start->login, err);
    if (status == SX_OK)
        status = sx_sqlite_transact(s->db, 0, insert_session, &row, err);
    if (status == SX_OK) {
        pthread_rwlock_wrlock(&s->lock);
        if (!store_put(&s->sessions, store_key(made->hash), made))
            status = sx_fail_memory(err, "the session");
        pthread_rwlock_unlock(&s->lock);
        made = NULL;
    }
    status = store_end_change(s, status);
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

static sx_status end_by_hash(auth_store *s, const uint8_t *hash, sx_error *err)
{
    pthread_mutex_lock(&s->writing);
    sx_status status = store_session_remove(s, hash, err);
    return store_end_change(s, status);
}

sx_status auth_store_session_end(auth_store *s, sx_str cookie, sx_error *err)
{
    uint8_t hash[STORE_HASH_BYTES];
    store_hash(cookie, hash);
    return end_by_hash(s, hash, err);
}

sx_status auth_store_grant_end(auth_store *s, const auth_grant *grant, sx_error *err)
{
    return end_by_hash(s, grant->session, err);
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
    sx_status status = found ? store_session_remove(s, hash, err)
                             : sx_fail(err, SX_ENOTFOUND, "there is no such session");
    return store_end_change(s, status);
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
        status = store_session_remove(s, over[i], err);
    return store_end_change(s, status);
}
