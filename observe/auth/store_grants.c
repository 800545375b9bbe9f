/* store_grants.c - what providers gave with sessions: read, due, renewed. They are in the file alone; of
 * each only when it was renewed is in memory. */
#include <string.h>

#include "observe/auth/store_impl.h"

static sx_status read_grant(auth_store *s, const uint8_t *hash, sx_arena *arena, auth_grant *out,
                            sx_error *err)
{
    sx_sqlite_result r;
    sx_sqlite_value key = sx_sqlite_blob(store_key(hash));
    sx_status status = store_run(s,
                                 "SELECT u.login, u.subject, g.id_token, g.refresh FROM grants g"
                                 " JOIN sessions s ON s.hash = g.hash"
                                 " JOIN users u ON u.login = s.login WHERE g.hash = ?",
                                 &key, 1, arena, &r, err);
    if (status != SX_OK)
        return status;
    if (r.row_count == 0)
        return sx_fail(err, SX_ENOTFOUND, "no provider gave anything with the session");
    *out = (auth_grant){.login = sx_sqlite_at(&r, 0, 0)->str,
                        .subject = sx_sqlite_at(&r, 0, 1)->str,
                        .id_token = sx_sqlite_at(&r, 0, 2)->str,
                        .refresh = sx_sqlite_at(&r, 0, 3)->str};
    memcpy(out->session, hash, STORE_HASH_BYTES);
    return SX_OK;
}

sx_status auth_store_grant(auth_store *s, sx_str cookie, sx_arena *arena, auth_grant *out,
                           sx_error *err)
{
    uint8_t hash[STORE_HASH_BYTES];
    store_hash(cookie, hash);
    return read_grant(s, hash, arena, out, err);
}

sx_status auth_store_grants_due(auth_store *s, int64_t since_ms, sx_arena *arena, auth_grant *out,
                                size_t most, size_t *count, sx_error *err)
{
    size_t cursor = 0, found = 0;
    pthread_rwlock_rdlock(&s->lock);
    for (sx_map_entry *e; found < most && (e = sx_map_next(&s->sessions, &cursor));) {
        const mem_session *n = e->ptr;
        if (n->renewed_ms && n->renewed_ms <= since_ms && atomic_load(&n->seen_ms) > n->renewed_ms)
            memcpy(out[found++].session, n->hash, STORE_HASH_BYTES);
    }
    pthread_rwlock_unlock(&s->lock);
    *count = 0;
    sx_status status = SX_OK;
    for (size_t i = 0; i < found && status == SX_OK; i++) {
        uint8_t hash[STORE_HASH_BYTES];
        memcpy(hash, out[i].session, sizeof hash); /* out[*count] may be before it */
        status = read_grant(s, hash, arena, &out[*count], err);
        *count += status == SX_OK;
        if (status == SX_ENOTFOUND) /* has just ended */
            status = SX_OK;
    }
    return status;
}

sx_status auth_store_grant_renew(auth_store *s, const auth_grant *grant, sx_error *err)
{
    int64_t now = sx_clock_ms(s->clock);
    sx_sqlite_value params[] = {sx_sqlite_blob(store_key(grant->session)), sx_sqlite_i64(now),
                                sx_sqlite_text(grant->id_token), sx_sqlite_text(grant->refresh)};
    pthread_mutex_lock(&s->writing);
    sx_status status = store_run(s,
                                 "UPDATE grants SET renewed_ms = ?2,"
                                 " id_token = CASE WHEN ?3 = '' THEN id_token ELSE ?3 END,"
                                 " refresh = CASE WHEN ?4 = '' THEN refresh ELSE ?4 END"
                                 " WHERE hash = ?1",
                                 params, SX_COUNT_OF(params), NULL, NULL, err);
    if (status == SX_OK) {
        pthread_rwlock_wrlock(&s->lock);
        mem_session *n = sx_map_get(&s->sessions, store_key(grant->session));
        if (n)
            n->renewed_ms = now;
        pthread_rwlock_unlock(&s->lock);
    }
    return store_end_change(s, status);
}
