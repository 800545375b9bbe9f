/* pg_internal.h - the inside of sx_pg, shared by its files.
 *
 *   postgres.c    the public calls; a pool's life
 *   pg_pool.c     who gets which connection; when connections are made, and given up
 *   pg_connect.c  one connection is made: names, libpq's steps, the session's settings
 *   pg_conn.c     one connection at work: steps of a statement, results, what its errors mean
 *   pg_call.c     a statement's life
 *   pg_tx.c       transactions
 *   pg_lib.c      libpq, loaded when needed
 *
 *   connection  CONNECTING -> IDLE <-> BUSY -> DRAINING -> IDLE     any -> dead
 *                             IDLE <-> LEASED <-> BUSY
 *   call        in line (of the pool, or of its transaction) -> on a connection -> told -> freed
 *
 * A call that is given up leaves its connection at once: that is DRAINING until the server has ended it.
 * Every event enters by pg_enter and leaves by pg_leave; the outermost leave frees what ended meanwhile,
 * so that a callback may cancel anything and free the pool. */
#ifndef SEXTANT_CLIENT_PG_INTERNAL_H
#define SEXTANT_CLIENT_PG_INTERNAL_H

#include <sextant/arena.h>
#include <sextant/list.h>
#include <sextant/map.h>
#include <sextant/postgres.h>
#include <sextant/random.h>
#include <sextant/watch.h>

#include "client/instrument.h"
#include "client/pg_lib.h"
#include "client/sql.h"
#include "net/dns.h"

enum { PG_HOSTS_MAX = 8, PG_PARAMS_MAX = 65535, PG_NAME_BYTES = 24 };

typedef enum pg_state {
    PG_CONNECTING,
    PG_IDLE,
    PG_LEASED, /* a transaction's, between its statements */
    PG_BUSY,
    PG_DRAINING, /* what runs was given up: its end is waited for */
    PG_DEAD,
    PG_STATES
} pg_state;

/* What the server is doing for the statement under way, in this order. */
typedef enum pg_step {
    PG_STEP_SET, /* the session's settings, once */
    PG_STEP_FORGET,
    PG_STEP_PREPARE,
    PG_STEP_RUN
} pg_step;

typedef struct pg_prepared {
    sx_list link; /* conn->recent, the least recently used first */
    char name[PG_NAME_BYTES];
    size_t sql_len;
    char sql[];
} pg_prepared;

typedef struct pg_conn pg_conn;

/* A host of the conninfo whose name is being looked up. */
typedef struct pg_host {
    pg_conn *conn;
    sx_str host, port;
    sx_str address; /* hostaddr, given or found; empty: host is a path, or to be found */
    sx_dns_lookup *lookup;
    sx_addresses addresses;
} pg_host;

struct pg_conn {
    sx_list link; /* pg->conns, or pg->dead_conns */
    sx_list idle; /* pg->idle */
    sx_pg *pg;
    pg_state state;
    PGconn *handle; /* NULL while names are looked up */
    sx_watch *watch;
    sx_timer timer; /* CONNECTING: connect_ms_max; DRAINING: cancel_ms_max */
    int64_t made_ms, used_ms;

    /* CONNECTING. */
    sx_arena arena; /* of the conninfo; reset when connected */
    pg_host *hosts; /* PG_HOSTS_MAX of them, in the arena */
    uint32_t host_count, lookups;
    bool is_direct; /* nothing to look up */

    /* At work. */
    sx_pg_call *call; /* NULL: its own doing, or given up */
    sx_pg_tx *tx;     /* LEASED, and BUSY for it */
    pg_step step;
    bool step_failed;
    bool is_doomed; /* to be dropped when it is free */
    bool is_stuck;  /* in a COPY: of no more use */
    bool
        is_broken; /* found while a caller was starting something: dealt with in a turn of its own */
    sx_map statements; /* text to pg_prepared */
    sx_list recent;
    uint32_t names; /* given so far */
    pg_prepared *preparing;
    char forget[PG_NAME_BYTES + 16]; /* "DEALLOCATE …" of the statement that made room */
};

/* Told instead of a sx_pg_fn; one of the two. */
struct sx_pg_call {
    sx_list link; /* pg->waiting, tx->calls, or pg->dead_calls */
    sx_pg *pg;
    pg_conn *conn; /* that runs it; NULL in line */
    sx_pg_tx *tx;  /* that it is part of; NULL: none */
    client_call call;
    sx_pg_fn *fn;
    sx_pg_begin_fn *begin_fn; /* of a BEGIN, which has `tx` */
    void *ctx;
    sx_timer timer;
    uint32_t ms;
    sx_pg_statement statement; /* in the arena */
    const char *const *params; /* NUL-terminated, in the arena */
    bool told;
    bool is_own;    /* probes: no span, no breaker */
    bool ends_tx;   /* COMMIT, ROLLBACK */
    bool was_again; /* prepared again, or sent again: once is enough */
    bool wants_again;
    bool in_pool_line;
    sx_arena arena;
    sx_arena row_arena; /* of a streamed row */
    sx_pg_result result;
    size_t value_cap, value_count;
    uint64_t bytes_left;
    sx_status status; /* of the first error; SX_OK so far */
    client_outcome outcome;
    sx_error error;
};

struct sx_pg_tx {
    sx_list link; /* pg->txs, then pg->dead_txs */
    sx_pg *pg;
    pg_conn *conn;  /* NULL: not yet, or lost */
    sx_list calls;  /* that wait for the one before */
    sx_timer timer; /* tx_ms_max */
    bool is_lost, is_over;
};

struct sx_pg {
    sx_loop *loop;
    const pg_lib *lib;
    sx_pg_options options; /* defaults filled in */
    client_scope scope;
    sx_arena arena;
    char *conninfo; /* NULL: the environment's */
    sx_dns *dns;
    sx_random random;

    sx_list conns, idle, dead_conns;
    sx_list waiting, txs, dead_calls, dead_txs;
    uint32_t conn_count, idle_count, connecting_count, waiting_count;
    uint32_t failures; /* to connect, in a row */
    sx_status last_status;
    sx_error last_error;
    sx_timer retry_timer, tick_timer;
    sx_pg_counts counts;
    sx_gauge *gauges[4]; /* idle, busy, connecting, waiting; NULL: not measured */
    uint32_t told[4];    /* to them, which get changes only: loops share them */
    uint32_t depth;
    bool closing;
};

void pg_enter(sx_pg *pg);
void pg_leave(sx_pg *pg); /* the pool may be gone after */
sx_timers *pg_timers(const sx_pg *pg);

/* ---- pg_pool.c ---- */

/* Gives what waits to idle connections, and starts connections for the rest. */
void pg_dispatch(sx_pg *pg);

/* A connection was made; could not be made; is idle again; is of no more use (its call, if any, has been
 * dealt with). */
void pg_pool_connected(pg_conn *conn);
void pg_pool_connect_failed(pg_conn *conn, sx_status st, const sx_error *err);
void pg_pool_release(pg_conn *conn);
void pg_pool_drop(pg_conn *conn);

void pg_pool_init(sx_pg *pg);
void pg_pool_stop(sx_pg *pg);

/* Why a call cannot be taken now. SX_OK: it can. */
sx_status pg_pool_check(sx_pg *pg, sx_error *err);

/* ---- pg_connect.c ---- */

/* Starts a connection; ends by pg_pool_connected or _connect_failed, never before it returns. */
sx_status pg_connect_start(sx_pg *pg, sx_error *err);

/* Checks a conninfo without using it. */
sx_status pg_conninfo_check(const pg_lib *lib, const char *conninfo, sx_error *err);

/* Forgets lookups, watch, timer and handle. */
void pg_conn_close(pg_conn *conn);
void pg_conn_free(pg_conn *conn);

/* ---- pg_conn.c ---- */

void pg_become(pg_conn *conn, pg_state next);

/* Sets the session up; then pg_pool_connected. */
void pg_conn_begin(pg_conn *conn);

/* Runs a call on an idle or leased connection. */
void pg_conn_run(pg_conn *conn, sx_pg_call *call);

/* What libpq says of the connection, as an SX_ECLOSED. */
void pg_conn_error(const pg_conn *conn, sx_error *err);

/* Watches a connection that is made, from now on. Errors: as sx_watch_start. */
sx_status pg_conn_watch(pg_conn *conn, sx_error *err);

/* The call that runs was given up. */
void pg_conn_abandon(pg_conn *conn);

/* The connection broke: its call fails, or is sent again; it is dropped. */
void pg_conn_lost(pg_conn *conn, sx_status st, const sx_error *err);

/* What an SQLSTATE means. */
typedef struct pg_meaning {
    sx_status status;
    client_outcome outcome;
    bool is_fatal; /* the connection is of no more use */
} pg_meaning;
pg_meaning pg_sqlstate_meaning(const char *sqlstate);

/* ---- pg_call.c ---- */

/* A call with its statement copied, begun (span, breaker) and timed, on no list. Errors: as sx_pg_query.
 * `own`: neither span nor breaker. */
typedef struct pg_call_options {
    const sx_pg_statement *statement;
    sx_pg_fn *fn;
    sx_pg_begin_fn *begin_fn;
    void *ctx;
    sx_pg_tx *tx;
    bool is_own;
    bool ends_tx;
} pg_call_options;
sx_status pg_call_new(sx_pg *pg, const pg_call_options *options, sx_pg_call **out, sx_error *err);

/* Puts it at the end of the pool's line; back at its head. */
void pg_call_line_up(sx_pg_call *call);
void pg_call_line_up_again(sx_pg_call *call);
void pg_call_free(sx_pg_call *call);

/* Ends it: tells once, and frees with the outermost leave. */
void pg_call_end(sx_pg_call *call, client_outcome outcome, sx_status st, const sx_error *err);

/* Takes a result of libpq's into the call's. */
void pg_call_take(sx_pg_call *call, PGresult *result);

/* Notes the first error. */
void pg_call_fail(sx_pg_call *call, client_outcome outcome, sx_status st, const sx_error *err);

/* ---- pg_tx.c ---- */

/* The connection of a transaction is free for its next statement. */
void pg_tx_next(sx_pg_tx *tx);

/* Its connection is gone: what waits in it fails. */
void pg_tx_lost(sx_pg_tx *tx);

/* It has begun: its time runs. */
void pg_tx_begun(sx_pg_tx *tx);

/* Takes it from its connection and the pool; the outermost leave frees it. Once. */
void pg_tx_end(sx_pg_tx *tx);

#endif
