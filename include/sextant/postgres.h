/* postgres.h - PostgreSQL from a loop: a pool of connections that comes back, statements prepared once.
 *
 *     sx_pg *pg;
 *     sx_pg_new(loop, kit, &(sx_pg_options){.conninfo = "postgresql://shop@db/shop"}, &pg, &err);
 *     sx_str id = SX_STR("7");
 *     sx_pg_query(pg, &(sx_pg_statement){.sql = SX_STR("SELECT name FROM item WHERE id = $1"),
 *                 .params = &id, .param_count = 1}, on_rows, ctx, NULL, &err);
 *     ...
 *     static void on_rows(void *ctx, sx_status status, const sx_pg_result *r, const sx_error *err)
 *     {
 *         for (size_t i = 0; status == SX_OK && i < r->row_count; i++)
 *             use(sx_pg_value(r, i, 0));
 *     }
 *
 * libpq does the talking, without blocking; it is loaded when the first pool is made, so that programs
 * without one neither need nor load it. A pool belongs to one loop. A statement is prepared the first
 * time that a connection meets its text, and again when the server has forgotten it. A connection that
 * breaks is replaced: at once, then with growing pauses; meanwhile queries wait in line (bounded), and
 * fail at once with the reason where there is no connection at all. With several hosts and
 * target_session_attrs in the conninfo a new master is found by the next connection; one that has
 * turned read-only is given up. A query that was sent and not answered is not sent again, unless it is
 * marked `repeatable`.
 *
 * As all clients (client.h) it is traced (db.query.text without values), measured
 * (postgres_client_queries_total{target,operation,outcome},
 * postgres_client_query_duration_seconds{target,operation},
 * postgres_client_connections{target,state}, postgres_client_queries_waiting{target}), broken and
 * health-checked.
 *
 * Source: PostgreSQL 15 documentation, chapter 34 (libpq), appendix A (SQLSTATE). */
#ifndef SEXTANT_POSTGRES_H
#define SEXTANT_POSTGRES_H

#include <sextant/client.h>
#include <sextant/loop.h>

SX_BEGIN_DECLS

typedef struct sx_pg sx_pg;
typedef struct sx_pg_call sx_pg_call;
typedef struct sx_pg_tx sx_pg_tx;

typedef struct sx_pg_options { /* 0 or NULL takes the default */
    const char
        *conninfo; /* a URI or key=value words, as libpq takes them; NULL: PGHOST and so on */
    uint32_t connections_min; /* 1 is kept open */
    uint32_t connections_max; /* 10 */
    uint32_t waiting_max;     /* 1024 queries and transactions in line; above it SX_REFUSED */
    uint32_t connect_ms_max;  /* 5000: names, TCP, TLS, sign-in, of all hosts together */
    uint32_t query_ms_max; /* 30000: of a query, waiting counted in; the server's statement_timeout,
                                  too */
    uint32_t tx_ms_max;    /* 60000: a transaction that takes longer loses its connection */
    uint32_t
        cancel_ms_max;     /* 1000: a query that was given up must have ended on the server by then,
                                  or the connection is closed */
    uint32_t idle_ms_max;  /* 600000: connections above the minimum are closed after this */
    uint32_t life_ms_max;  /* 3600000: any connection is replaced after this, when it is idle */
    uint32_t retry_ms_min; /* 100: first pause between tries to connect; doubles, with jitter … */
    uint32_t retry_ms_max; /* 5000: … up to this */
    uint32_t statements_max;   /* 128 prepared a connection; the least recently used goes */
    uint64_t result_bytes_max; /* 64 MiB of one result; above it SX_ELIMIT */
    bool sessions_shared;     /* behind PgBouncer in transaction mode: nothing is prepared or set */
    sx_client_options client; /* name: "postgresql" */
} sx_pg_options;

/* A pool on `loop`; it starts to connect, and a server that is not there is no error. `kit` and
 * `options` may be NULL; copied. Errors: SX_EUNSUPPORTED (libpq is not installed), SX_EFORMAT (the
 * conninfo), SX_ENOMEM. */
sx_status sx_pg_new(sx_loop *loop, const sx_kit *kit, const sx_pg_options *options, sx_pg **out,
                    sx_error *err);

/* Cancels what is under way (SX_ECANCELED) and frees. From a callback, too. Transactions that are open
 * are rolled back by the server; their handles are gone. NULL is allowed. */
void sx_pg_free(sx_pg *pg);

typedef struct sx_pg_result {
    const sx_str *columns; /* names */
    size_t column_count;
    const sx_str *values; /* row after row, as text; data NULL is NULL */
    size_t row_count;
    int64_t affected; /* rows that were inserted, changed, deleted or selected; -1: says nothing */
    sx_str command;   /* "INSERT 0 1" */
    char sqlstate[6]; /* of an error; "" without one */
} sx_pg_result;

/* A cell; both must be in range. */
static inline sx_str sx_pg_value(const sx_pg_result *result, size_t row, size_t column)
{
    return result->values[row * result->column_count + column];
}

/* How it ended; once, never before the call that started it returns (but from within sx_pg_cancel and
 * sx_pg_free). `result` and `err` are good for the call; after an error that the server sent `result` is
 * there for its sqlstate alone, else NULL. Statuses:
 *   SX_EINVAL      the statement, its parameters, or a constraint
 *   SX_EEXIST      unique_violation
 *   SX_EACCESS     sign-in, or no privilege
 *   SX_AGAIN       serialization_failure, deadlock_detected: run the transaction again
 *   SX_ETIMEOUT    here or on the server
 *   SX_ECLOSED     no connection, or it broke, or the server cannot serve (shutting down, starting, out
 *                  of connections, disk or memory; read-only)
 *   SX_ELIMIT      the result
 *   SX_ECANCELED, SX_ENOMEM */
typedef void sx_pg_fn(void *ctx, sx_status status, const sx_pg_result *result, const sx_error *err);

typedef struct sx_pg_statement {
    sx_str sql;           /* one statement, with $1 … for its parameters */
    const sx_str *params; /* as text; data NULL is NULL. Copied */
    size_t param_count;   /* at most 65535 */
    uint32_t ms_max;      /* 0: query_ms_max; cut to the context's deadline */
    bool unprepared;      /* not worth keeping: run once */
    bool repeatable; /* may be run twice: sent again if the connection breaks before the answer */
    /* Not NULL: is given each row as it comes (row_count 1), and `fn` none: for results without bound. */
    void (*row)(void *ctx, const sx_pg_result *row);
} sx_pg_statement;

/* Runs a statement on any connection. `out` (may be NULL) is good until `fn` is called. Errors, and then
 * `fn` is not called: SX_REFUSED (breaker, full line), SX_ECLOSED (no connection, with the last failure),
 * SX_EACCESS (the same: sign-in), SX_EINVAL (NUL in the text), SX_ETIMEOUT (the deadline has passed),
 * SX_ENOMEM. */
sx_status sx_pg_query(sx_pg *pg, const sx_pg_statement *statement, sx_pg_fn *fn, void *ctx,
                      sx_pg_call **out, sx_error *err);

/* Gives it up: `fn` is called with SX_ECANCELED before this returns; the server is told to stop. */
void sx_pg_cancel(sx_pg_call *call);

/* ---- transactions: a connection leased from BEGIN to COMMIT ---- */

/* With SX_OK `tx` is the caller's until sx_pg_tx_commit or sx_pg_tx_rollback. */
typedef void sx_pg_begin_fn(void *ctx, sx_status status, sx_pg_tx *tx, const sx_error *err);

/* `modes`: what follows BEGIN, such as "ISOLATION LEVEL SERIALIZABLE READ ONLY"; static; NULL: nothing.
 * Errors: as sx_pg_query. */
sx_status sx_pg_begin(sx_pg *pg, const char *modes, sx_pg_begin_fn *fn, void *ctx, sx_error *err);

/* A statement of it; several may be started, they run in order. Errors: as sx_pg_query; SX_ECLOSED: its
 * connection is gone, roll back. */
sx_status sx_pg_tx_query(sx_pg_tx *tx, const sx_pg_statement *statement, sx_pg_fn *fn, void *ctx,
                         sx_pg_call **out, sx_error *err);

/* Ends it behind what was started; `tx` is gone when this returns, whatever it returns. `fn` may be NULL.
 * A commit of a transaction in which a statement failed is a rollback: `fn` gets SX_EINVAL. SX_ECLOSED
 * after the commit was sent: nobody knows. Errors, and then `fn` is not called and the transaction is
 * rolled back: SX_ECLOSED, SX_ENOMEM. */
sx_status sx_pg_tx_commit(sx_pg_tx *tx, sx_pg_fn *fn, void *ctx, sx_error *err);
void sx_pg_tx_rollback(sx_pg_tx *tx);

typedef struct sx_pg_counts {
    uint64_t connects, connect_failures, disconnects, prepared, reused; /* since it was made */
    uint64_t idle, busy, connecting, waiting;                           /* now */
} sx_pg_counts;
/* Its numbers so far. */
sx_pg_counts sx_pg_counts_of(const sx_pg *pg);

/* The loop it belongs to. */
sx_loop *sx_pg_loop(const sx_pg *pg);

SX_END_DECLS

#endif
