/* sqlite.c - opening, closing, the line for connections, queries in the calling thread
 * (sqlite_internal.h). */
#include <sextant/sqlite.h>

#include <time.h>

#include <sextant/mem.h>

#include "client/sqlite_internal.h"
#include "telemetry/semconv.h"

static const client_kind KIND = {
    .name = "sqlite",
    .system = SX_DB_SYSTEM_SQLITE,
    .total_name = "sqlite_client_queries_total",
    .total_help = "Queries and transactions of SQLite databases that have ended.",
    .seconds_name = "sqlite_client_query_duration_seconds",
    .seconds_help = "Time of SQLite queries and transactions, waiting counted in.",
    .operation_label = "operation"};

client_outcome sqlite_outcome(sx_status st)
{
    switch (st) {
    case SX_OK:
        return CLIENT_OK;
    case SX_EIO:
    case SX_ECORRUPT:
    case SX_ENOTFOUND:
        return CLIENT_UNAVAILABLE;
    case SX_ETIMEOUT:
        return CLIENT_TIMEOUT;
    case SX_REFUSED:
        return CLIENT_REFUSED;
    case SX_ECANCELED:
    case SX_ENOMEM:
        return CLIENT_CANCELED;
    default:
        return CLIENT_ERROR;
    }
}

/* ---- the line for connections ---- */

sqlite_side_index sqlite_side_of(const sx_sqlite *db, const sx_sqlite_query *query)
{
    static const char *const READS[] = {"SELECT", "VALUES", "EXPLAIN"};
    char operation[16];
    if (db->sides[SQLITE_READERS].count == 0 || query->side == SX_SQLITE_WRITE)
        return SQLITE_WRITER;
    if (query->side == SX_SQLITE_READ)
        return SQLITE_READERS;
    sql_operation(query->sql, operation);
    for (size_t i = 0; i < SX_COUNT_OF(READS); i++) {
        if (strcmp(operation, READS[i]) == 0)
            return SQLITE_READERS;
    }
    return SQLITE_WRITER;
}

sqlite_conn *sqlite_take(sqlite_side *side, uint32_t ms)
{
    /* What a condition waits by (CLOCK_MONOTONIC) cannot be a test's clock. */
    int64_t until_ns = sx_clock_mono_ns(sx_clock_system()) + (int64_t)ms * 1000000;
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    pthread_mutex_lock(&side->lock);
    side->waiting++;
    int rc = 0;
    while (sx_list_empty(&side->idle) && rc == 0)
        rc = pthread_cond_timedwait(&side->freed, &side->lock, &until);
    side->waiting--;
    sx_list *link = sx_list_pop_front(&side->idle);
    side->idle_count -= link != NULL;
    pthread_mutex_unlock(&side->lock);
    return link ? SX_CONTAINER_OF(link, sqlite_conn, link) : NULL;
}

void sqlite_give(sqlite_side *side, sqlite_conn *conn)
{
    pthread_mutex_lock(&side->lock);
    sx_list_push_front(&side->idle, &conn->link); /* the last used: its pages are the warm ones */
    side->idle_count++;
    pthread_cond_signal(&side->freed);
    pthread_mutex_unlock(&side->lock);
}

/* ---- in the calling thread ---- */

static sx_status no_connection(const sx_sqlite *db, uint32_t ms, sx_error *err)
{
    return sx_fail(err, SX_ETIMEOUT, "all connections to '%s' were busy for %u ms",
                   db->scope.target, ms);
}

static sx_status begin(sx_sqlite *db, client_call *call, const client_what *what, uint32_t *ms,
                       sx_error *err)
{
    if (__atomic_load_n(&db->closing, __ATOMIC_ACQUIRE))
        return sx_fail(err, SX_REFUSED, "the database '%s' is being closed", db->scope.target);
    sx_status st = client_call_begin(call, &db->scope, what, ms, err);
    if (st != SX_OK)
        client_call_done(call);
    return st;
}

static sx_status end(client_call *call, sx_status st, const sx_error *err)
{
    client_call_end(call, sqlite_outcome(st), st == SX_OK ? NULL : err, NULL);
    client_call_done(call);
    return st;
}

sx_status sx_sqlite_run(sx_sqlite *db, const sx_sqlite_query *query, sx_arena *arena,
                        sx_sqlite_result *result, sx_error *err)
{
    sql_summary summary;
    client_call call;
    sx_error own;
    uint32_t ms;
    err = err ? err : &own;
    sql_summarize(query->sql, &summary);
    client_what what = {.operation = sx_str_z(summary.operation),
                        .collection = sx_str_z(summary.table),
                        .text = sx_str_of(summary.text, summary.text_len),
                        .timeout_ms = query->ms_max ? query->ms_max : db->options.query_ms_max};
    sx_status st = begin(db, &call, &what, &ms, err);
    if (st != SX_OK)
        return st;
    sqlite_side *side = &db->sides[sqlite_side_of(db, query)];
    sqlite_conn *conn = sqlite_take(side, ms);
    if (!conn)
        return end(&call, no_connection(db, ms, err), err);
    sqlite_conn_limit(conn, ms, &db->closing);
    st = sqlite_conn_run(conn, query, arena, result, err);
    sqlite_give(side, conn);
    return end(&call, st, err);
}

sx_status sx_sqlite_transact(sx_sqlite *db, uint32_t ms_max, sx_sqlite_work *work, void *arg,
                             sx_error *err)
{
    client_call call;
    sx_error own = {0};
    uint32_t ms;
    err = err ? err : &own;
    client_what what = {.operation = SX_STR("TRANSACTION"),
                        .timeout_ms = ms_max ? ms_max : db->options.query_ms_max};
    sx_status st = begin(db, &call, &what, &ms, err);
    if (st != SX_OK)
        return st;
    sqlite_side *side = &db->sides[SQLITE_WRITER];
    sqlite_conn *conn = sqlite_take(side, ms);
    if (!conn)
        return end(&call, no_connection(db, ms, err), err);
    sqlite_conn_limit(conn, ms, &db->closing);
    st = sqlite_conn_transact(conn, work, arg, err);
    sqlite_give(side, conn);
    return end(&call, st, err);
}

sx_sqlite_counts sx_sqlite_counts_of(sx_sqlite *db)
{
    sx_sqlite_counts counts = {0};
    for (size_t i = 0; i < SQLITE_SIDES; i++) {
        sqlite_side *side = &db->sides[i];
        pthread_mutex_lock(&side->lock);
        counts.running += side->count - side->idle_count;
        counts.waiting += side->waiting;
        for (uint32_t k = 0; k < side->count; k++) {
            counts.prepared += __atomic_load_n(&side->conns[k].prepared, __ATOMIC_RELAXED);
            counts.reused += __atomic_load_n(&side->conns[k].reused, __ATOMIC_RELAXED);
        }
        pthread_mutex_unlock(&side->lock);
    }
    return counts;
}

/* ---- life ---- */

static void fill_defaults(sx_sqlite_options *o)
{
    const struct {
        uint32_t *field, otherwise;
    } rows[] = {{&o->readers, 2},
                {&o->queue_max, 1024},
                {&o->query_ms_max, 5000},
                {&o->statements_max, 64}};
    for (size_t i = 0; i < SX_COUNT_OF(rows); i++) {
        if (*rows[i].field == 0)
            *rows[i].field = rows[i].otherwise;
    }
    if (o->readers > SQLITE_READERS_MAX)
        o->readers = SQLITE_READERS_MAX;
    if (o->result_bytes_max == 0)
        o->result_bytes_max = 64 << 20;
    if (!o->path)
        o->path = ":memory:";
}

static void side_init(sqlite_side *side)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes); /* none of these fails on Linux */
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&side->lock, NULL);
    pthread_cond_init(&side->freed, &attributes);
    pthread_condattr_destroy(&attributes);
    sx_list_init(&side->idle);
}

static sx_status side_open(sx_sqlite *db, sqlite_side_index which, uint32_t count, sx_error *err)
{
    sqlite_side *side = &db->sides[which];
    side->conns = sx_calloc(count, sizeof(*side->conns));
    if (!side->conns)
        return sx_fail_memory(err, "a database's connections");
    while (side->count < count) {
        sqlite_conn *conn = &side->conns[side->count];
        sx_status st = sqlite_conn_open(conn, db, which == SQLITE_WRITER, err);
        side->count++;
        if (st != SX_OK)
            return st;
        sqlite_give(side, conn);
    }
    return SX_OK;
}

static sx_status run_schema(sx_sqlite *db, const char *schema, sx_error *err)
{
    sqlite_conn *conn = &db->sides[SQLITE_WRITER].conns[0];
    sqlite_conn_limit(conn, 0, NULL);
    sx_status st = sqlite_conn_script(conn, "BEGIN IMMEDIATE", err);
    if (st == SX_OK)
        st = sqlite_conn_script(conn, schema, err);
    if (st == SX_OK)
        st = sqlite_conn_script(conn, "COMMIT", err);
    if (st != SX_OK) {
        sx_error_prefix(err, st, "the schema of %s", db->path);
        if (!sqlite3_get_autocommit(conn->handle))
            sqlite3_exec(conn->handle, "ROLLBACK", NULL, NULL, NULL);
    }
    return st;
}

static void destroy(sx_sqlite *db)
{
    for (size_t i = 0; i < SQLITE_SIDES; i++) {
        sqlite_side *side = &db->sides[i];
        for (uint32_t k = side->count; k > 0; k--)
            sqlite_conn_close(&side->conns[k - 1]);
        sx_free(side->conns);
        pthread_mutex_destroy(&side->lock);
        pthread_cond_destroy(&side->freed);
    }
    pthread_mutex_destroy(&db->pool_lock);
    client_scope_done(&db->scope);
    sx_free(db->path);
    sx_free(db);
}

void sqlite_ref(sx_sqlite *db)
{
    __atomic_add_fetch(&db->refs, 1, __ATOMIC_RELAXED);
}

void sqlite_unref(sx_sqlite *db)
{
    if (__atomic_sub_fetch(&db->refs, 1, __ATOMIC_ACQ_REL) == 0)
        destroy(db);
}

static sx_status set_up(sx_sqlite *db, const sx_kit *kit, const char *schema, sx_error *err)
{
    size_t bytes = strlen(db->options.path) + 1;
    db->path = sx_alloc(bytes);
    if (!db->path)
        return sx_fail_memory(err, "a database's path");
    memcpy(db->path, db->options.path, bytes);
    db->options.path = db->path;
    db->options.schema = NULL;
    db->is_memory = strcmp(db->path, ":memory:") == 0;
    sx_status st = client_scope_init(&db->scope, kit, &KIND, &db->options.client, err);
    if (st == SX_OK)
        st = side_open(db, SQLITE_WRITER, 1, err);
    if (st == SX_OK && schema)
        st = run_schema(db, schema, err);
    if (st == SX_OK && !db->is_memory)
        st = side_open(db, SQLITE_READERS, db->options.readers, err);
    return st;
}

sx_status sx_sqlite_open(const sx_kit *kit, const sx_sqlite_options *options, sx_sqlite **out,
                         sx_error *err)
{
    sx_sqlite *db = sx_calloc(1, sizeof(*db));
    sx_error own;
    if (!db)
        return sx_fail_memory(err, "a database");
    if (options)
        db->options = *options;
    fill_defaults(&db->options);
    db->refs = 1;
    pthread_mutex_init(&db->pool_lock, NULL);
    for (size_t i = 0; i < SQLITE_SIDES; i++)
        side_init(&db->sides[i]);
    sx_status st = set_up(db, kit, db->options.schema, err ? err : &own);
    if (st != SX_OK) {
        sqlite_unref(db);
        return st;
    }
    client_scope_report(&db->scope, SX_OK, NULL, -1);
    *out = db;
    return SX_OK;
}

void sx_sqlite_close(sx_sqlite *db)
{
    if (!db)
        return;
    __atomic_store_n(&db->closing, true, __ATOMIC_RELEASE);
    for (size_t i = 0; i < SQLITE_SIDES; i++)
        sx_pool_free(db->sides[i].pool); /* what is queued ends at once: `closing` stops it */
    sqlite_unref(db);
}
