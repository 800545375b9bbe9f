/* sqlite_internal.h - the inside of sx_sqlite, shared by its files.
 *
 *   sqlite.c       opening, closing, the line for connections, synchronous queries
 *   sqlite_conn.c  one connection: its statements, its rows, what its errors mean
 *   sqlite_call.c  queries in the background
 *
 * A connection is one thread's from sqlite_take to sqlite_give. Deadlines are kept by SQLite's progress
 * handler and busy handler, which run in that thread: no other has to interrupt it. */
#ifndef SEXTANT_CLIENT_SQLITE_INTERNAL_H
#define SEXTANT_CLIENT_SQLITE_INTERNAL_H

#include <sqlite3.h>

#include <sextant/list.h>
#include <sextant/map.h>
#include <sextant/sqlite.h>

#include "client/instrument.h"
#include "client/sql.h"

enum { SQLITE_READERS_MAX = 64, SQLITE_STEPS = 1000 /* of the virtual machine between looks */ };

typedef struct sqlite_conn {
    sx_sqlite *db;
    sx_list link; /* the side's idle ones */
    sqlite3 *handle;
    sx_map statements; /* SQL text to sqlite_statement */
    sx_list recent;    /* the least recently used first */
    const sx_clock *clock;
    int64_t deadline_ns;       /* monotonic; 0: none */
    const bool *stop;          /* atomic; another thread wants it to end; NULL: none */
    bool is_late, is_stopped;  /* why it was interrupted */
    uint64_t prepared, reused; /* under the side's lock when it is idle */
    uint32_t statements_max;
} sqlite_conn;

/* The connections for one kind of work. */
typedef struct sqlite_side {
    pthread_mutex_t lock; /* guards the three below */
    pthread_cond_t freed;
    sx_list idle;
    uint32_t idle_count, waiting;
    sqlite_conn *conns;
    uint32_t count;
    sx_pool *pool; /* NULL until the first query in the background */
} sqlite_side;

typedef enum sqlite_side_index { SQLITE_WRITER, SQLITE_READERS, SQLITE_SIDES } sqlite_side_index;

struct sx_sqlite {
    sx_sqlite_options options; /* defaults filled in; path copied */
    client_scope scope;
    sqlite_side sides[SQLITE_SIDES];
    char *path;
    bool is_memory;
    bool closing;              /* atomic */
    uint32_t refs;             /* atomic: the owner, and each call that has not reported */
    pthread_mutex_t pool_lock; /* of making the pools */
};

struct sx_sqlite_tx {
    sqlite_conn *conn;
};

/* ---- sqlite_conn.c ---- */

sx_status sqlite_conn_open(sqlite_conn *c, sx_sqlite *db, bool writes, sx_error *err);
void sqlite_conn_close(sqlite_conn *c);

/* Says until when, and at whose word, the next statements may run. */
void sqlite_conn_limit(sqlite_conn *c, uint32_t ms, const bool *stop);

/* Runs one statement; `arena` and `result` may be NULL. */
sx_status sqlite_conn_run(sqlite_conn *c, const sx_sqlite_query *query, sx_arena *arena,
                          sx_sqlite_result *result, sx_error *err);

/* Runs a transaction. */
sx_status sqlite_conn_transact(sqlite_conn *c, sx_sqlite_work *work, void *arg, sx_error *err);

/* Runs a script of statements without parameters and rows. */
sx_status sqlite_conn_script(sqlite_conn *c, const char *sql, sx_error *err);

/* ---- sqlite.c ---- */

/* The side that a query is for. */
sqlite_side_index sqlite_side_of(const sx_sqlite *db, const sx_sqlite_query *query);

/* Takes a connection; waits for one at most `ms`. NULL: none came free. */
sqlite_conn *sqlite_take(sqlite_side *side, uint32_t ms);
void sqlite_give(sqlite_side *side, sqlite_conn *conn);

void sqlite_ref(sx_sqlite *db);
void sqlite_unref(sx_sqlite *db);

/* What a status means to breaker and metrics. */
client_outcome sqlite_outcome(sx_status st);

#endif
