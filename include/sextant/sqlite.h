/* sqlite.h - SQLite beside a loop: one writer, several readers, each in a thread of its own.
 *
 *     sx_sqlite *db;
 *     sx_sqlite_open(kit, &(sx_sqlite_options){.path = "shop.db", .schema = "CREATE TABLE IF NOT EXISTS …"},
 *                    &db, &err);
 *     sx_sqlite_value id = sx_sqlite_i64(7);
 *     sx_sqlite_start(db, loop, &(sx_sqlite_query){.sql = SX_STR("SELECT name FROM item WHERE id = ?"),
 *                     .params = &id, .param_count = 1}, on_rows, ctx, NULL, &err);
 *
 * The file is in WAL mode, so readers see the last commit and are never blocked by the writer.
 * Statements are prepared once a connection and kept. A query runs in a thread of a bounded pool and
 * reports to the loop that sent it; sx_sqlite_run does the same in the calling thread, without any loop.
 * What takes longer than its time is interrupted. As all clients (client.h) it is traced
 * (db.query.text without values), measured (sqlite_client_queries_total{target,operation,outcome},
 * sqlite_client_query_duration_seconds{target,operation}), broken and health-checked.
 *
 * The file must be on a local disk: WAL needs shared memory, which network file systems have not. */
#ifndef SEXTANT_SQLITE_H
#define SEXTANT_SQLITE_H

#include <sextant/arena.h>
#include <sextant/client.h>
#include <sextant/loop.h>

SX_BEGIN_DECLS

typedef struct sx_sqlite sx_sqlite;
typedef struct sx_sqlite_call sx_sqlite_call;

typedef struct sx_sqlite_options { /* 0 or NULL takes the default */
    const char
        *path; /* made if it is not there (its folder is not); ":memory:": gone at the close */
    const char *schema; /* statements run once when it is opened, in one transaction; NULL: none */
    uint32_t readers;   /* 2 connections and threads; of ":memory:" none: all goes to the writer */
    uint32_t queue_max; /* 1024 queries waiting for the writer, and as many for the readers */
    uint32_t query_ms_max;   /* 5000: waiting, running and waiting for another process's lock */
    uint32_t statements_max; /* 64 prepared ones kept a connection; the least recently used goes */
    uint64_t result_bytes_max; /* 64 MiB of one result; above it SX_ELIMIT */
    bool read_only;            /* opened so: nothing is made or changed */
    bool sync_full; /* a commit waits for the disk: survives power cuts; else only crashes */
    sx_client_options client; /* name: "sqlite" */
} sx_sqlite_options;

/* Opens (or makes) the file. `kit` may be NULL. Errors: SX_ENOTFOUND, SX_EACCESS, SX_EIO (the file);
 * SX_ECORRUPT (no database, or damaged); SX_EINVAL (the schema); SX_ENOMEM. */
sx_status sx_sqlite_open(const sx_kit *kit, const sx_sqlite_options *options, sx_sqlite **out,
                         sx_error *err);

/* Stops what runs, and closes the file; queries under way end with SX_ECANCELED, on their loops, later.
 * Not from a thread of its own (a transaction's function). NULL is allowed. */
void sx_sqlite_close(sx_sqlite *db);

typedef enum sx_sqlite_kind {
    SX_SQLITE_NULL,
    SX_SQLITE_INTEGER,
    SX_SQLITE_REAL,
    SX_SQLITE_TEXT,
    SX_SQLITE_BLOB
} sx_sqlite_kind;

typedef struct sx_sqlite_value {
    sx_sqlite_kind kind;
    int64_t i64; /* INTEGER */
    double real; /* REAL */
    sx_str str;  /* TEXT (UTF-8), BLOB */
} sx_sqlite_value;

/* Parameters. */
static inline sx_sqlite_value sx_sqlite_i64(int64_t value)
{
    sx_sqlite_value v = {SX_SQLITE_INTEGER, 0, 0, {NULL, 0}};
    v.i64 = value;
    return v;
}

/* A floating-point number; NaN is stored as NULL. */
static inline sx_sqlite_value sx_sqlite_real(double value)
{
    sx_sqlite_value v = {SX_SQLITE_REAL, 0, 0, {NULL, 0}};
    v.real = value;
    return v;
}

/* A text, trusted to be UTF-8. */
static inline sx_sqlite_value sx_sqlite_text(sx_str value)
{
    sx_sqlite_value v = {SX_SQLITE_TEXT, 0, 0, {NULL, 0}};
    v.str = value;
    return v;
}

/* Any bytes. */
static inline sx_sqlite_value sx_sqlite_blob(sx_str value)
{
    sx_sqlite_value v = {SX_SQLITE_BLOB, 0, 0, {NULL, 0}};
    v.str = value;
    return v;
}

/* Which connection a query is for. */
typedef enum sx_sqlite_side {
    SX_SQLITE_AUTO, /* SELECT, VALUES and EXPLAIN read, all else writes */
    SX_SQLITE_READ, /* also WITH … SELECT */
    SX_SQLITE_WRITE
} sx_sqlite_side;

typedef struct sx_sqlite_query {
    sx_str sql; /* one statement, with ?1 or ? for its parameters */
    const sx_sqlite_value *params;
    size_t param_count;
    sx_sqlite_side side;
    uint32_t ms_max; /* 0: query_ms_max; cut to the context's deadline */
} sx_sqlite_query;

typedef struct sx_sqlite_result {
    const sx_str *columns; /* names */
    size_t column_count;
    const sx_sqlite_value *values; /* row after row */
    size_t row_count;
    int64_t changes;     /* rows that the statement inserted, changed or deleted */
    int64_t last_row_id; /* of the last insertion by this connection */
} sx_sqlite_result;

/* A cell; both must be in range. */
static inline const sx_sqlite_value *sx_sqlite_at(const sx_sqlite_result *result, size_t row,
                                                  size_t column)
{
    return &result->values[row * result->column_count + column];
}

/* How a query ended; once, on the loop, never before sx_sqlite_start returns (but from within
 * sx_sqlite_cancel). `result` is NULL but with SX_OK, and good for the call, as is `err`. Statuses:
 *   SX_EINVAL      the statement or its parameters are wrong
 *   SX_EEXIST      a UNIQUE or PRIMARY KEY constraint; other constraints: SX_EINVAL
 *   SX_ETIMEOUT    it took too long, or another process held its lock for so long
 *   SX_EIO         the disk: full, failing
 *   SX_ECORRUPT    the file is damaged; the message says what to do
 *   SX_EACCESS     a write to what is read-only
 *   SX_ELIMIT      the result, or a value
 *   SX_ECANCELED, SX_ENOMEM */
typedef void sx_sqlite_fn(void *ctx, sx_status status, const sx_sqlite_result *result,
                          const sx_error *err);

/* Runs a query in the background; everything is copied. `out` may be NULL. Errors, and then `fn` is not
 * called: SX_REFUSED (breaker, full line, closing), SX_ETIMEOUT (the deadline has passed), SX_ENOMEM. */
sx_status sx_sqlite_start(sx_sqlite *db, sx_loop *loop, const sx_sqlite_query *query,
                          sx_sqlite_fn *fn, void *ctx, sx_sqlite_call **out, sx_error *err);

/* Gives it up: `fn` is called with SX_ECANCELED before this returns. What has been written stays. */
void sx_sqlite_cancel(sx_sqlite_call *call);

/* Runs a query in the calling thread, any but one of a loop that has better things to do. The result
 * (NULL: not wanted) lies in `arena`. Errors: as above. */
sx_status sx_sqlite_run(sx_sqlite *db, const sx_sqlite_query *query, sx_arena *arena,
                        sx_sqlite_result *result, sx_error *err);

/* Several statements that take effect together or not at all. `work` runs on the writer, in a thread of
 * the pool or the calling one, between BEGIN IMMEDIATE and COMMIT, or ROLLBACK if it does not return
 * SX_OK. */
typedef struct sx_sqlite_tx sx_sqlite_tx;
typedef sx_status sx_sqlite_work(sx_sqlite_tx *tx, void *arg, sx_error *err);

/* One statement of it. */
sx_status sx_sqlite_tx_run(sx_sqlite_tx *tx, const sx_sqlite_query *query, sx_arena *arena,
                           sx_sqlite_result *result, sx_error *err);

/* In the calling thread. `ms_max` 0: query_ms_max. Errors: work's, as sx_sqlite_run. */
sx_status sx_sqlite_transact(sx_sqlite *db, uint32_t ms_max, sx_sqlite_work *work, void *arg,
                             sx_error *err);

/* In the background; `arg` must live until `fn` is called, which gets no result: an early end (a
 * time-out, sx_sqlite_cancel) is told only when `work` has returned. Errors: as sx_sqlite_start. */
sx_status sx_sqlite_transact_start(sx_sqlite *db, sx_loop *loop, uint32_t ms_max,
                                   sx_sqlite_work *work, void *arg, sx_sqlite_fn *fn, void *ctx,
                                   sx_sqlite_call **out, sx_error *err);

typedef struct sx_sqlite_counts {
    uint64_t prepared, reused; /* statements, since it was opened */
    uint64_t running, waiting; /* now */
} sx_sqlite_counts;
/* Its numbers so far. Any thread. */
sx_sqlite_counts sx_sqlite_counts_of(sx_sqlite *db);

SX_END_DECLS

#endif
