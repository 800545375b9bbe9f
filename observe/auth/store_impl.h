/* store_impl.h - what the files of store.h share. */
#ifndef OBSERVE_AUTH_STORE_IMPL_H
#define OBSERVE_AUTH_STORE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include <sextant/map.h>
#include <sextant/sqlite.h>

#include "observe/auth/store.h"

enum { STORE_HASH_BYTES = AUTH_HASH_BYTES, STORE_TEXT_MAX = 256 };

/* One block of the heap each, with its texts behind it. */
typedef struct mem_user {
    sx_str login, name, password;
    auth_role role;
    bool disabled;
} mem_user;

typedef struct mem_session {
    uint8_t hash[STORE_HASH_BYTES];
    sx_str login, address, agent;
    int64_t created_ms, expires_ms;
    int64_t saved_ms;        /* the last use, as the file has it; under the lock for writing */
    int64_t renewed_ms;      /* of its grant's refresh token; 0: there is none. As saved_ms */
    _Atomic int64_t seen_ms; /* written by any loop, under the lock for reading */
} mem_session;

typedef struct mem_token {
    uint8_t hash[STORE_HASH_BYTES];
    sx_str name, login;
    auth_role role;
    int64_t id, created_ms, expires_ms, saved_ms;
    _Atomic int64_t used_ms;
} mem_token;

typedef struct queued {
    struct queued *next;
    auth_entry entry; /* texts behind it */
} queued;

struct auth_store {
    sx_sqlite *db;
    const sx_clock *clock;
    bool aside;
    uint32_t tick_ms;
    _Atomic uint32_t audit_max;

    pthread_mutex_t writing; /* one change at a time: file and memory agree when it is free */
    pthread_rwlock_t lock;   /* of the three */
    sx_map users, sessions, tokens;
    int64_t generation; /* of the file, as it was read; by `writing` */

    pthread_mutex_t queue_lock;
    pthread_cond_t wake;
    queued *first, **last;
    uint32_t queue_len;
    uint64_t dropped;
    bool stopping;
    pthread_t thread;
    bool has_thread;
};

/* One statement; `result` may be NULL. */
sx_status store_run(auth_store *s, const char *sql, const sx_sqlite_value *params, size_t count,
                    sx_arena *arena, sx_sqlite_result *result, sx_error *err);
/* Tells a server that the file has changed, if one may use it. With `writing` held. */
sx_status store_changed(auth_store *s, sx_error *err);
/* Ends a change that was begun by taking `writing`: one that failed half-way has the next refresh read the
 * file again, so that it and memory agree. Gives `status`. */
sx_status store_end_change(auth_store *s, sx_status status);
/* Reads all into memory. With `writing` held. */
sx_status store_load(auth_store *s, sx_error *err);
/* A map whose values are such blocks: frees them and it. */
void store_map_done(sx_map *m);
/* Ends one. With `writing` held. Errors: SQLite's; no session of that hash is none. */
sx_status store_session_remove(auth_store *s, const uint8_t *hash, sx_error *err);

/* A block of the heap of `bytes` with copies of the texts behind it, to which `texts` then point. */
void *store_block(size_t bytes, sx_str *texts[], size_t count);
/* Puts a block of the heap, which is the map's from here on, in the place of one of the same key; frees it
 * and says false if there is no memory. With the lock held for writing. */
bool store_put(sx_map *m, sx_str key, void *value);
/* SHA-256. */
void store_hash(sx_str text, uint8_t out[STORE_HASH_BYTES]);
/* 256 random bits as base64url. */
sx_status store_secret(char out[AUTH_SECRET_BYTES], sx_error *err);
void *store_tick(void *arg);
sx_status store_write_queue(auth_store *s, sx_error *err);

static inline sx_str store_key(const uint8_t *hash)
{
    return sx_str_of(hash, STORE_HASH_BYTES);
}

#endif
