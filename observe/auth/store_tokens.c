/* store_tokens.c - tokens, and the audit log's reading. */
#include <stdlib.h>
#include <string.h>

#include <sextant/mem.h>

#include "observe/auth/store_impl.h"

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
    status = store_end_change(s, status);
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
    return store_end_change(s, status);
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
