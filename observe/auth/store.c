/* store.c - the file, its copy in memory, and the thread that writes what is only noted. */
#include "observe/auth/store_impl.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <sextant/file.h>
#include <sextant/mem.h>
#include <sextant/random.h>

enum {
    QUEUE_MAX = 4096,
    TICK_MS = 2000,
    AUDIT_MAX = 100000,
    SAVE_AFTER_MS =
        60000, /* a last use is written when it is this much later than what is written */
    SAVE_BATCH = 512,
    STALE = -1, /* no generation of a file */
};

static const char SCHEMA[] =
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT OR IGNORE INTO meta VALUES('version', 1), ('generation', 0);"
    "CREATE TABLE IF NOT EXISTS users(login TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL,"
    " password TEXT NOT NULL, source TEXT NOT NULL, subject TEXT NOT NULL, disabled INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS sessions(hash BLOB PRIMARY KEY, login TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
    " address TEXT NOT NULL, agent TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS tokens(id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB UNIQUE NOT NULL,"
    " name TEXT NOT NULL, login TEXT NOT NULL, role TEXT NOT NULL, created_ms INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS audit(id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL,"
    " login TEXT NOT NULL, address TEXT NOT NULL, action TEXT NOT NULL, what TEXT NOT NULL,"
    " ok INTEGER NOT NULL);"
    /* Beside the sessions, whose rows it goes with however they are deleted. */
    "CREATE TABLE IF NOT EXISTS grants(hash BLOB PRIMARY KEY, id_token TEXT NOT NULL,"
    " refresh TEXT NOT NULL, renewed_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TRIGGER IF NOT EXISTS grants_end AFTER DELETE ON sessions"
    " BEGIN DELETE FROM grants WHERE hash = OLD.hash; END;";

/* ---- small things ---- */

sx_status store_run(auth_store *s, const char *sql, const sx_sqlite_value *params, size_t count,
                    sx_arena *arena, sx_sqlite_result *result, sx_error *err)
{
    const sx_sqlite_query query = {.sql = sx_str_z(sql), .params = params, .param_count = count};
    return sx_sqlite_run(s->db, &query, arena, result, err);
}

sx_status store_changed(auth_store *s, sx_error *err)
{
    if (!s->aside)
        return SX_OK;
    return store_run(s, "UPDATE meta SET value = value + 1 WHERE key = 'generation'", NULL, 0, NULL,
                     NULL, err);
}

sx_status store_end_change(auth_store *s, sx_status status)
{
    bool refused = status == SX_EEXIST || status == SX_ENOTFOUND || status == SX_ELIMIT;
    if (status != SX_OK && !refused)
        s->generation = STALE;
    pthread_mutex_unlock(&s->writing);
    return status;
}

void store_hash(sx_str text, uint8_t out[STORE_HASH_BYTES])
{
    SHA256((const unsigned char *)text.data, text.len, out);
}

sx_status store_secret(char out[AUTH_SECRET_BYTES], sx_error *err)
{
    static const char LETTERS[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t bytes[33] = {0}; /* the last one fills up the last letter */
    sx_status status = sx_random_bytes(bytes, 32, err);
    for (size_t i = 0; i < AUTH_SECRET_BYTES - 1; i++) {
        size_t bit = i * 6, at = bit / 8, shift = bit % 8;
        unsigned two = (unsigned)bytes[at] << 8 | (at + 1 < sizeof bytes ? bytes[at + 1] : 0u);
        out[i] = LETTERS[two >> (10 - shift) & 63];
    }
    out[AUTH_SECRET_BYTES - 1] = '\0';
    OPENSSL_cleanse(bytes, sizeof bytes);
    return status;
}

void *store_block(size_t bytes, sx_str *texts[], size_t count)
{
    size_t all = bytes;
    for (size_t i = 0; i < count; i++)
        all += texts[i]->len;
    char *block = sx_calloc(1, all);
    size_t at = bytes;
    for (size_t i = 0; block && i < count; i++) {
        if (texts[i]->len)
            memcpy(block + at, texts[i]->data, texts[i]->len);
        *texts[i] = sx_str_of(block + at, texts[i]->len);
        at += texts[i]->len;
    }
    return block;
}

bool auth_login_clean(sx_str text, char out[AUTH_LOGIN_MAX], sx_str *login)
{
    if (text.len == 0 || text.len > AUTH_LOGIN_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c <= ' ' || c == 0x7f || c == ':' || c == '"' || c == '\\')
            return false;
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    *login = sx_str_of(out, text.len);
    return true;
}

/* ---- memory ---- */

void store_map_done(sx_map *m)
{
    size_t cursor = 0;
    for (sx_map_entry *e; (e = sx_map_next(m, &cursor));)
        sx_free(e->ptr);
    sx_map_done(m);
}

bool store_put(sx_map *m, sx_str key, void *value)
{
    sx_map_entry *e = sx_map_find(m, key);
    if (e) { /* its key lies in the block that is freed */
        void *old = e->ptr;
        sx_map_remove(m, key);
        sx_free(old);
    }
    e = sx_map_put(m, key, NULL);
    if (!e) {
        sx_free(value);
        return false;
    }
    e->ptr = value;
    return true;
}

static auth_role role_of(sx_str text)
{
    auth_role role = AUTH_NONE;
    (void)auth_role_parse(text, &role);
    return role;
}

typedef struct loaded {
    sx_map users, sessions, tokens;
} loaded;

static bool take_user(loaded *into, const sx_sqlite_result *r, size_t row)
{
    mem_user u = {.login = sx_sqlite_at(r, row, 0)->str,
                  .name = sx_sqlite_at(r, row, 1)->str,
                  .password = sx_sqlite_at(r, row, 3)->str,
                  .role = role_of(sx_sqlite_at(r, row, 2)->str),
                  .disabled = sx_sqlite_at(r, row, 4)->i64 != 0};
    sx_str *texts[] = {&u.login, &u.name, &u.password};
    mem_user *made = store_block(sizeof u, texts, SX_COUNT_OF(texts));
    if (!made)
        return false;
    *made = u;
    return store_put(&into->users, made->login, made);
}

static bool take_session(loaded *into, const sx_sqlite_result *r, size_t row)
{
    sx_str hash = sx_sqlite_at(r, row, 0)->str;
    mem_session n = {.login = sx_sqlite_at(r, row, 1)->str,
                     .created_ms = sx_sqlite_at(r, row, 2)->i64,
                     .saved_ms = sx_sqlite_at(r, row, 3)->i64,
                     .expires_ms = sx_sqlite_at(r, row, 4)->i64,
                     .address = sx_sqlite_at(r, row, 5)->str,
                     .agent = sx_sqlite_at(r, row, 6)->str,
                     .renewed_ms = sx_sqlite_at(r, row, 7)->i64};
    if (hash.len != STORE_HASH_BYTES || sx_map_count(&into->sessions) >= AUTH_SESSIONS_MAX)
        return true;
    sx_str *texts[] = {&n.login, &n.address, &n.agent};
    mem_session *made = store_block(sizeof n, texts, SX_COUNT_OF(texts));
    if (!made)
        return false;
    memcpy(n.hash, hash.data, STORE_HASH_BYTES);
    n.seen_ms = n.saved_ms;
    *made = n;
    return store_put(&into->sessions, store_key(made->hash), made);
}

static bool take_token(loaded *into, const sx_sqlite_result *r, size_t row)
{
    sx_str hash = sx_sqlite_at(r, row, 1)->str;
    mem_token t = {.id = sx_sqlite_at(r, row, 0)->i64,
                   .name = sx_sqlite_at(r, row, 2)->str,
                   .login = sx_sqlite_at(r, row, 3)->str,
                   .role = role_of(sx_sqlite_at(r, row, 4)->str),
                   .created_ms = sx_sqlite_at(r, row, 5)->i64,
                   .expires_ms = sx_sqlite_at(r, row, 6)->i64,
                   .saved_ms = sx_sqlite_at(r, row, 7)->i64};
    if (hash.len != STORE_HASH_BYTES)
        return true;
    sx_str *texts[] = {&t.name, &t.login};
    mem_token *made = store_block(sizeof t, texts, SX_COUNT_OF(texts));
    if (!made)
        return false;
    memcpy(t.hash, hash.data, STORE_HASH_BYTES);
    t.used_ms = t.saved_ms;
    *made = t;
    return store_put(&into->tokens, store_key(made->hash), made);
}

static sx_status load_into(auth_store *s, loaded *into, sx_arena *arena, sx_error *err)
{
    static const struct {
        const char *sql;
        bool (*take)(loaded *into, const sx_sqlite_result *r, size_t row);
    } TABLES[] = {
        {"SELECT login, name, role, password, disabled FROM users", take_user},
        {"SELECT s.hash, login, created_ms, seen_ms, expires_ms, address, agent,"
         " coalesce(renewed_ms, 0) FROM sessions s"
         " LEFT JOIN grants g ON g.hash = s.hash AND g.refresh <> '' ORDER BY seen_ms DESC",
         take_session},
        {"SELECT id, hash, name, login, role, created_ms, expires_ms, used_ms FROM tokens",
         take_token},
    };
    sx_sqlite_result r;
    for (size_t i = 0; i < SX_COUNT_OF(TABLES); i++) {
        sx_arena_reset(arena);
        sx_status status = store_run(s, TABLES[i].sql, NULL, 0, arena, &r, err);
        if (status != SX_OK)
            return status;
        for (size_t row = 0; row < r.row_count; row++)
            if (!TABLES[i].take(into, &r, row))
                return sx_fail_memory(err, "the users");
    }
    return SX_OK;
}

static sx_status read_generation(auth_store *s, sx_arena *arena, int64_t *out, sx_error *err)
{
    sx_sqlite_result r = {0};
    sx_status status =
        store_run(s, "SELECT value FROM meta WHERE key = 'generation'", NULL, 0, arena, &r, err);
    if (status == SX_OK)
        *out = r.row_count ? sx_sqlite_at(&r, 0, 0)->i64 : 0;
    return status;
}

/* The generation is read first: a change between the two is read once more, none is missed. */
sx_status store_load(auth_store *s, sx_error *err)
{
    loaded fresh;
    sx_arena arena;
    int64_t generation = 0;
    sx_map_init(&fresh.users, NULL);
    sx_map_init(&fresh.sessions, NULL);
    sx_map_init(&fresh.tokens, NULL);
    sx_arena_init(&arena, 0, 0);
    sx_status status = read_generation(s, &arena, &generation, err);
    if (status == SX_OK)
        status = load_into(s, &fresh, &arena, err);
    sx_arena_done(&arena);
    if (status == SX_OK) {
        pthread_rwlock_wrlock(&s->lock);
        loaded old = {s->users, s->sessions, s->tokens};
        s->users = fresh.users;
        s->sessions = fresh.sessions;
        s->tokens = fresh.tokens;
        pthread_rwlock_unlock(&s->lock);
        fresh = old;
        s->generation = generation;
    }
    store_map_done(&fresh.users);
    store_map_done(&fresh.sessions);
    store_map_done(&fresh.tokens);
    return status;
}

/* ---- what is only noted ---- */

void auth_store_note(auth_store *s, const auth_entry *entry)
{
    queued q = {.entry = *entry};
    q.entry.what = sx_str_first(q.entry.what, STORE_TEXT_MAX);
    q.entry.login = sx_str_first(q.entry.login, AUTH_LOGIN_MAX);
    sx_str *texts[] = {&q.entry.login, &q.entry.address, &q.entry.action, &q.entry.what};
    queued *made = store_block(sizeof q, texts, SX_COUNT_OF(texts));
    if (made)
        *made = q;
    pthread_mutex_lock(&s->queue_lock);
    if (made && s->queue_len < QUEUE_MAX) {
        *s->last = made;
        s->last = &made->next;
        s->queue_len++;
        made = NULL;
    } else {
        s->dropped++;
    }
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->queue_lock);
    sx_free(made);
}

static sx_status write_entries(sx_sqlite_tx *tx, void *arg, sx_error *err)
{
    sx_status status = SX_OK;
    for (const queued *q = arg; q && status == SX_OK; q = q->next) {
        const auth_entry *e = &q->entry;
        sx_sqlite_value params[] = {sx_sqlite_i64(e->at_ms),    sx_sqlite_text(e->login),
                                    sx_sqlite_text(e->address), sx_sqlite_text(e->action),
                                    sx_sqlite_text(e->what),    sx_sqlite_i64(e->ok)};
        const sx_sqlite_query query = {
            .sql = SX_STR("INSERT INTO audit(at_ms, login, address, action, what, ok)"
                          " VALUES(?, ?, ?, ?, ?, ?)"),
            .params = params,
            .param_count = SX_COUNT_OF(params)};
        status = sx_sqlite_tx_run(tx, &query, NULL, NULL, err);
    }
    return status;
}

sx_status store_write_queue(auth_store *s, sx_error *err)
{
    pthread_mutex_lock(&s->queue_lock);
    queued *list = s->first;
    s->first = NULL;
    s->last = &s->first;
    s->queue_len = 0;
    pthread_mutex_unlock(&s->queue_lock);
    if (!list)
        return SX_OK;
    sx_status status = sx_sqlite_transact(s->db, 0, write_entries, list, err);
    sx_sqlite_value most = sx_sqlite_i64((int64_t)atomic_load(&s->audit_max));
    if (status == SX_OK)
        status = store_run(s, "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?",
                           &most, 1, NULL, NULL, err);
    while (list) {
        queued *next = list->next;
        sx_free(list);
        list = next;
    }
    return status;
}

typedef struct use {
    uint8_t hash[STORE_HASH_BYTES];
    int64_t at_ms;
    bool token;
} use;

typedef struct uses {
    use items[SAVE_BATCH];
    size_t count;
} uses;

/* Whose last use is so much later than what the file says that it is worth writing. */
static void gather_uses(auth_store *s, uses *out)
{
    size_t cursor = 0;
    out->count = 0;
    pthread_rwlock_wrlock(&s->lock); /* saved_ms is written */
    for (sx_map_entry *e; out->count < SAVE_BATCH && (e = sx_map_next(&s->sessions, &cursor));) {
        mem_session *n = e->ptr;
        int64_t seen = atomic_load(&n->seen_ms);
        if (seen < n->saved_ms + SAVE_AFTER_MS)
            continue;
        n->saved_ms = seen;
        out->items[out->count] = (use){.at_ms = seen};
        memcpy(out->items[out->count++].hash, n->hash, STORE_HASH_BYTES);
    }
    cursor = 0;
    for (sx_map_entry *e; out->count < SAVE_BATCH && (e = sx_map_next(&s->tokens, &cursor));) {
        mem_token *t = e->ptr;
        int64_t used = atomic_load(&t->used_ms);
        if (used < t->saved_ms + SAVE_AFTER_MS)
            continue;
        t->saved_ms = used;
        out->items[out->count] = (use){.at_ms = used, .token = true};
        memcpy(out->items[out->count++].hash, t->hash, STORE_HASH_BYTES);
    }
    pthread_rwlock_unlock(&s->lock);
}

static sx_status write_uses(sx_sqlite_tx *tx, void *arg, sx_error *err)
{
    const uses *all = arg;
    sx_status status = SX_OK;
    for (size_t i = 0; i < all->count && status == SX_OK; i++) {
        const use *u = &all->items[i];
        sx_sqlite_value params[] = {sx_sqlite_i64(u->at_ms), sx_sqlite_blob(store_key(u->hash))};
        const sx_sqlite_query query = {
            .sql = u->token ? SX_STR("UPDATE tokens SET used_ms = ? WHERE hash = ?")
                            : SX_STR("UPDATE sessions SET seen_ms = ? WHERE hash = ?"),
            .params = params,
            .param_count = SX_COUNT_OF(params)};
        status = sx_sqlite_tx_run(tx, &query, NULL, NULL, err);
    }
    return status;
}

static sx_status save_uses(auth_store *s, sx_error *err)
{
    uses *all = sx_alloc(sizeof *all);
    if (!all)
        return sx_fail_memory(err, "the last uses");
    gather_uses(s, all);
    sx_status status = all->count ? sx_sqlite_transact(s->db, 0, write_uses, all, err) : SX_OK;
    sx_free(all);
    return status;
}

sx_status auth_store_refresh(auth_store *s, sx_error *err)
{
    sx_arena arena;
    int64_t generation = 0;
    sx_arena_init(&arena, 0, 0);
    sx_status status = read_generation(s, &arena, &generation, err);
    sx_arena_done(&arena);
    if (status != SX_OK)
        return status;
    pthread_mutex_lock(&s->writing);
    if (generation != s->generation)
        status = store_load(s, err);
    pthread_mutex_unlock(&s->writing);
    return status;
}

sx_status auth_store_flush(auth_store *s, sx_error *err)
{
    sx_status status = store_write_queue(s, err);
    if (status == SX_OK)
        status = save_uses(s, err);
    return status == SX_OK ? auth_store_refresh(s, err) : status;
}

void *store_tick(void *arg)
{
    auth_store *s = arg;
    for (bool stopping = false; !stopping;) {
        /* What a condition waits by (CLOCK_MONOTONIC) cannot be a test's clock. */
        int64_t until_ns = sx_clock_mono_ns(sx_clock_system()) + (int64_t)s->tick_ms * 1000000;
        struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
        pthread_mutex_lock(&s->queue_lock);
        int waited = 0;
        while (!s->stopping && s->queue_len < QUEUE_MAX / 4 && waited == 0)
            waited = pthread_cond_timedwait(&s->wake, &s->queue_lock, &until);
        stopping = s->stopping;
        pthread_mutex_unlock(&s->queue_lock);
        (void)auth_store_flush(s, NULL); /* a disk that fails now is tried again at the next tick */
    }
    return NULL;
}

/* ---- life ---- */

static sx_status make_folder(const char *path, sx_error *err)
{
    const char *slash = strrchr(path, '/');
    char folder[4096];
    if (!slash || slash == path)
        return SX_OK;
    if ((size_t)(slash - path) >= sizeof folder)
        return sx_fail(err, SX_ELIMIT, "the path of the users' database is too long");
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    return sx_folder_make(folder, err);
}

static sx_status start_thread(auth_store *s, sx_error *err)
{
    int failed = pthread_create(&s->thread, NULL, store_tick, s);
    s->has_thread = failed == 0;
    return failed ? sx_fail(err, SX_EIO, "no thread for the users' database can be had") : SX_OK;
}

sx_status auth_store_open(const auth_store_options *options, auth_store **out, sx_error *err)
{
    pthread_condattr_t monotonic;
    auth_store *s = sx_calloc(1, sizeof *s);
    if (!s)
        return sx_fail_memory(err, "the users");
    s->clock = options->clock ? options->clock : sx_clock_system();
    s->aside = options->aside;
    s->tick_ms = options->tick_ms ? options->tick_ms : TICK_MS;
    atomic_store(&s->audit_max, options->audit_max ? options->audit_max : AUDIT_MAX);
    s->last = &s->first;
    pthread_mutex_init(&s->writing, NULL);
    pthread_mutex_init(&s->queue_lock, NULL);
    pthread_rwlock_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    sx_map_init(&s->users, NULL);
    sx_map_init(&s->sessions, NULL);
    sx_map_init(&s->tokens, NULL);
    sx_status status = make_folder(options->path, err);
    const sx_sqlite_options sqlite = {
        .path = options->path, .schema = SCHEMA, .sync_full = true, .client = {.name = "users"}};
    if (status == SX_OK)
        status = sx_sqlite_open(options->kit, &sqlite, &s->db, err);
    if (status == SX_OK)
        status = store_load(s, err);
    if (status == SX_OK && !s->aside)
        status = start_thread(s, err);
    if (status != SX_OK) {
        auth_store_close(s);
        return sx_error_prefix(err, status, "the users' database %s", options->path);
    }
    *out = s;
    return SX_OK;
}

void auth_store_close(auth_store *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->queue_lock);
    s->stopping = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->queue_lock);
    if (s->has_thread)
        pthread_join(s->thread, NULL);
    else if (s->db)
        (void)store_write_queue(s, NULL);
    sx_sqlite_close(s->db);
    store_map_done(&s->users);
    store_map_done(&s->sessions);
    store_map_done(&s->tokens);
    while (s->first) {
        queued *next = s->first->next;
        sx_free(s->first);
        s->first = next;
    }
    pthread_cond_destroy(&s->wake);
    pthread_rwlock_destroy(&s->lock);
    pthread_mutex_destroy(&s->queue_lock);
    pthread_mutex_destroy(&s->writing);
    sx_free(s);
}

void auth_store_audit_max(auth_store *s, uint32_t entries)
{
    atomic_store(&s->audit_max, entries);
}
