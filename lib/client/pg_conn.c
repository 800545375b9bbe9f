/* pg_conn.c - one connection at work: steps of a statement, results, what errors mean (pg_internal.h).
 *
 *   FORGET (DEALLOCATE what made room) -> PREPARE -> RUN -> told
 *
 * each a round trip, the first two only for a text that is new to the connection. Rows come one by one
 * (libpq's single-row mode) and are copied into the call's arena, so that a result's memory is bounded
 * while it comes, not after. */
#include "client/pg_internal.h"

#include <stdio.h>

#include <sextant/mem.h>

enum { CANCELS_MAX = 16 };

static const bool MAY_BECOME[PG_STATES][PG_STATES] = {
    [PG_CONNECTING] = {[PG_IDLE] = true, [PG_DEAD] = true},
    [PG_IDLE] = {[PG_BUSY] = true, [PG_DEAD] = true},
    [PG_LEASED] = {[PG_BUSY] = true, [PG_IDLE] = true, [PG_DEAD] = true},
    [PG_BUSY] = {[PG_IDLE] = true, [PG_LEASED] = true, [PG_DRAINING] = true, [PG_DEAD] = true},
    [PG_DRAINING] = {[PG_IDLE] = true, [PG_LEASED] = true, [PG_DEAD] = true},
};

void pg_become(pg_conn *c, pg_state next)
{
    sx_assert(MAY_BECOME[c->state][next]);
    c->state = next;
}

pg_meaning pg_sqlstate_meaning(const char *sqlstate)
{
    static const struct {
        const char *prefix; /* the first that fits counts */
        pg_meaning meaning;
    } ROWS[] = {
        {"23505", {SX_EEXIST, CLIENT_ERROR, false}},       /* unique_violation */
        {"28", {SX_EACCESS, CLIENT_ERROR, false}},         /* invalid authorization */
        {"42501", {SX_EACCESS, CLIENT_ERROR, false}},      /* insufficient_privilege */
        {"40", {SX_AGAIN, CLIENT_ERROR, false}},           /* serialization, deadlock */
        {"57014", {SX_ETIMEOUT, CLIENT_TIMEOUT, false}},   /* query_canceled: statement_timeout */
        {"25P03", {SX_ETIMEOUT, CLIENT_TIMEOUT, true}},    /* idle in transaction for too long */
        {"55P03", {SX_ETIMEOUT, CLIENT_ERROR, false}},     /* lock_not_available */
        {"57P", {SX_ECLOSED, CLIENT_UNAVAILABLE, true}},   /* shutdown, crash, starting */
        {"08", {SX_ECLOSED, CLIENT_UNAVAILABLE, true}},    /* connection exceptions */
        {"25006", {SX_ECLOSED, CLIENT_UNAVAILABLE, true}}, /* read-only: a master no more */
        {"53", {SX_ECLOSED, CLIENT_UNAVAILABLE, false}},   /* disk, memory, connections */
        {"58", {SX_ECLOSED, CLIENT_UNAVAILABLE, false}},   /* the system under it */
        {"XX", {SX_ECLOSED, CLIENT_UNAVAILABLE, false}},   /* internal, corrupt data */
    };
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        if (strncmp(sqlstate, ROWS[i].prefix, strlen(ROWS[i].prefix)) == 0)
            return ROWS[i].meaning;
    }
    return (pg_meaning){SX_EINVAL, CLIENT_ERROR, false};
}

void pg_conn_error(const pg_conn *c, sx_error *err)
{
    const char *said = c->pg->lib->PQerrorMessage(c->handle);
    size_t len = strlen(said);
    while (len && (said[len - 1] == '\n' || said[len - 1] == ' '))
        len--;
    sx_fail(err, SX_ECLOSED, "%.*s", (int)(len < 400 ? len : 400),
            len ? said : "it gives no reason");
}

/* ---- prepared statements ---- */

static void forget(pg_conn *c, pg_prepared *p)
{
    sx_map_remove(&c->statements, sx_str_of(p->sql, p->sql_len));
    sx_list_remove(&p->link);
    sx_free(p);
}

/* The statement of that text, moved to the recent end; NULL: none. */
static pg_prepared *prepared_of(pg_conn *c, sx_str sql)
{
    pg_prepared *p = sx_map_get(&c->statements, sql);
    if (p) {
        sx_list_remove(&p->link);
        sx_list_push_back(&c->recent, &p->link);
    }
    return p;
}

/* A statement to be prepared; NULL without memory: then it is run unprepared. */
static pg_prepared *new_prepared(pg_conn *c, sx_str sql)
{
    pg_prepared *p = sx_calloc(1, sizeof(*p) + sql.len + 1);
    if (!p)
        return NULL;
    sx_list_init(&p->link);
    snprintf(p->name, sizeof(p->name), "sx_%u", ++c->names);
    p->sql_len = sql.len;
    memcpy(p->sql, sql.data, sql.len);
    return p;
}

/* What was being prepared is now. */
static void keep_prepared(pg_conn *c)
{
    pg_prepared *p = c->preparing;
    sx_map_entry *e = sx_map_put(&c->statements, sx_str_of(p->sql, p->sql_len), NULL);
    c->preparing = NULL;
    c->pg->counts.prepared++;
    sx_list_push_back(&c->recent, &p->link);
    if (e)
        e->ptr = p;
    else
        forget(c, p); /* it stays on the server under a name nobody uses */
}

/* ---- sending ---- */

/* It broke under a caller's hands, who must not be told before his call returns. */
static void broken(pg_conn *c)
{
    c->is_broken = true;
    sx_timer_start(pg_timers(c->pg), &c->timer, 0);
}

static void flush(pg_conn *c)
{
    int rc = c->pg->lib->PQflush(c->handle);
    if (rc < 0) {
        broken(c);
    } else {
        sx_watch_update(c->watch, SX_WATCH_READ | (rc > 0 ? SX_WATCH_WRITE : 0u));
    }
}

static bool send_plain(pg_conn *c, const char *sql)
{
    return c->pg->lib->PQsendQueryParams(c->handle, sql, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

static bool send_run(pg_conn *c)
{
    const pg_lib *lib = c->pg->lib;
    const sx_pg_call *call = c->call;
    const sx_pg_statement *s = &call->statement;
    const pg_prepared *p = prepared_of(c, s->sql);
    int count = (int)s->param_count;
    bool ok = p ? lib->PQsendQueryPrepared(c->handle, p->name, count, call->params, NULL, NULL, 0)
                : lib->PQsendQueryParams(c->handle, s->sql.data, count, NULL, call->params, NULL,
                                         NULL, 0);
    return ok && lib->PQsetSingleRowMode(c->handle) == 1;
}

static void send_step(pg_conn *c, pg_step step)
{
    bool ok;
    c->step = step;
    c->step_failed = false;
    if (step == PG_STEP_FORGET)
        ok = send_plain(c, c->forget);
    else if (step == PG_STEP_PREPARE)
        ok = c->pg->lib->PQsendPrepare(c->handle, c->preparing->name, c->preparing->sql, 0, NULL);
    else
        ok = send_run(c);
    if (ok)
        flush(c);
    else
        broken(c);
}

/* The first step that the call's statement needs. */
static pg_step first_step(pg_conn *c)
{
    sx_pg *pg = c->pg;
    const sx_pg_statement *s = &c->call->statement;
    if (s->unprepared || pg->options.sessions_shared)
        return PG_STEP_RUN;
    if (prepared_of(c, s->sql)) {
        pg->counts.reused++;
        return PG_STEP_RUN;
    }
    sx_free(c->preparing);
    c->preparing = new_prepared(c, s->sql);
    if (!c->preparing)
        return PG_STEP_RUN;
    if (sx_map_count(&c->statements) < pg->options.statements_max)
        return PG_STEP_PREPARE;
    pg_prepared *oldest = SX_CONTAINER_OF(c->recent.next, pg_prepared, link);
    snprintf(c->forget, sizeof(c->forget), "DEALLOCATE %s", oldest->name);
    forget(c, oldest);
    return PG_STEP_FORGET;
}

void pg_conn_run(pg_conn *c, sx_pg_call *call)
{
    pg_become(c, PG_BUSY);
    c->call = call;
    call->conn = c;
    if (call->tx && !call->tx->conn) {
        call->tx->conn = c;
        c->tx = call->tx;
    }
    send_step(c, first_step(c));
}

/* ---- giving up ---- */

typedef struct cancel {
    const pg_lib *lib;
    PGcancel *what;
} cancel;

/* Threads that ask servers to stop: PQcancel blocks, for ever on a host that has stalled. */
static int cancels;

static void *run_cancel(void *arg)
{
    cancel *job = arg;
    char said[256];
    job->lib->PQcancel(job->what, said, sizeof(said)); /* if it fails the drain's timer closes */
    job->lib->PQfreeCancel(job->what);
    sx_free(job);
    __atomic_sub_fetch(&cancels, 1, __ATOMIC_RELAXED);
    return NULL;
}

/* Asks the server to stop what runs. Without a thread for it the connection is closed in the end. */
static void ask_to_stop(pg_conn *c)
{
    pthread_t thread;
    pthread_attr_t attributes;
    if (__atomic_add_fetch(&cancels, 1, __ATOMIC_RELAXED) <= CANCELS_MAX) {
        cancel *job = sx_alloc(sizeof(*job));
        if (job)
            *job = (cancel){c->pg->lib, c->pg->lib->PQgetCancel(c->handle)};
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        bool ok = job && job->what && pthread_create(&thread, &attributes, run_cancel, job) == 0;
        pthread_attr_destroy(&attributes);
        if (ok)
            return;
        if (job && job->what)
            job->lib->PQfreeCancel(job->what);
        sx_free(job);
    }
    __atomic_sub_fetch(&cancels, 1, __ATOMIC_RELAXED);
}

void pg_conn_abandon(pg_conn *c)
{
    sx_assert(c->call);
    c->call->conn = NULL;
    c->call = NULL;
    pg_become(c, PG_DRAINING);
    sx_timer_start(pg_timers(c->pg), &c->timer, c->pg->options.cancel_ms_max);
    ask_to_stop(c);
}

static bool may_repeat(const sx_pg_call *call)
{
    return call->statement.repeatable && !call->was_again && !call->tx;
}

void pg_conn_lost(pg_conn *c, sx_status st, const sx_error *err)
{
    sx_pg *pg = c->pg;
    sx_pg_call *call = c->call;
    sx_pg_tx *tx = c->tx;
    sx_error copy = *err;
    if (c->state == PG_DEAD)
        return;
    if (c->state == PG_CONNECTING) {
        pg_pool_connect_failed(c, st, &copy);
        return;
    }
    pg_enter(pg);
    c->call = NULL;
    c->tx = NULL;
    pg->counts.disconnects++;
    pg_pool_drop(c);
    if (call) {
        call->conn = NULL;
        if (may_repeat(call)) {
            pg_call_line_up_again(call);
            call = NULL;
        }
    }
    if (tx)
        tx->conn = NULL;
    if (call) {
        st = st == SX_ETIMEOUT ? st : SX_ECLOSED;
        sx_error_prefix(&copy, st, "the connection broke %s",
                        call->ends_tx ? "during the commit, which may have been done or not"
                                      : "before the answer came");
        copy.status = st;
        pg_call_end(call, st == SX_ETIMEOUT ? CLIENT_TIMEOUT : CLIENT_UNAVAILABLE, st, &copy);
    }
    if (tx)
        pg_tx_lost(tx);
    pg_dispatch(pg);
    pg_leave(pg);
}

/* ---- results ---- */

/* The end of a statement: the connection goes on, then the caller is told. */
static void finish(pg_conn *c)
{
    sx_pg *pg = c->pg;
    sx_pg_call *call = c->call;
    sx_timer_stop(pg_timers(pg), &c->timer);
    if (call && call->wants_again) {
        call->wants_again = false;
        call->was_again = true;
        call->status = SX_OK;
        call->result.sqlstate[0] = '\0';
        call->outcome = CLIENT_OK;
        send_step(c, first_step(c));
        return;
    }
    c->call = NULL;
    if (call)
        call->conn = NULL;
    bool keeps_lease = c->tx && !(call && (call->ends_tx || (call->begin_fn && call->status)));
    if (c->tx && !keeps_lease) {
        c->tx->conn = NULL;
        c->tx = NULL;
    }
    /* Outside of a lease nothing may be open on the session. */
    if (!keeps_lease && pg->lib->PQtransactionStatus(c->handle) != PQTRANS_IDLE)
        c->is_doomed = true;
    if (keeps_lease && c->is_doomed) {
        sx_error err;
        sx_fail(&err, SX_ECLOSED, "the server ended the session");
        if (call)
            pg_call_end(call, call->outcome, call->status, &call->error);
        pg_conn_lost(c, SX_ECLOSED, &err); /* does nothing if the pool is gone by now */
        return;
    }
    if (call && c->is_doomed && call->outcome == CLIENT_UNAVAILABLE && may_repeat(call)) {
        pg_call_line_up_again(call);
        call = NULL;
    }
    if (keeps_lease)
        pg_become(c, PG_LEASED);
    else
        pg_pool_release(c);
    if (call)
        pg_call_end(call, call->outcome, call->status, call->status ? &call->error : NULL);
    if (keeps_lease && c->state == PG_LEASED && c->tx)
        pg_tx_next(c->tx);
}

/* Whether an error means that the server does not know our statement any more, or not as it was. */
static bool is_stale(const char *sqlstate, const char *message)
{
    return strcmp(sqlstate, "26000") == 0 ||
           (strcmp(sqlstate, "0A000") == 0 && strstr(message, "cached plan"));
}

static void take_error(pg_conn *c, const PGresult *result)
{
    const pg_lib *lib = c->pg->lib;
    sx_pg_call *call = c->call;
    const char *state = lib->PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *said = lib->PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    sx_error err;
    c->step_failed = true;
    state = state ? state : "";
    said = said ? said : lib->PQresultErrorMessage(result);
    pg_meaning m =
        state[0] ? pg_sqlstate_meaning(state) : (pg_meaning){SX_ECLOSED, CLIENT_UNAVAILABLE, true};
    c->is_doomed |= m.is_fatal;
    if (!call || c->step == PG_STEP_FORGET)
        return;
    pg_prepared *p = prepared_of(c, call->statement.sql);
    if (c->step == PG_STEP_RUN && p && is_stale(state, said)) {
        forget(c, p);
        call->wants_again = !call->was_again && !call->tx;
    }
    snprintf(call->result.sqlstate, sizeof(call->result.sqlstate), "%s", state);
    sx_fail(&err, m.status, "%.300s%s%s%s", said, state[0] ? " (SQLSTATE " : "", state,
            state[0] ? ")" : "");
    pg_call_fail(call, m.outcome, m.status, &err);
}

static void take_result(pg_conn *c, PGresult *result)
{
    const pg_lib *lib = c->pg->lib;
    sx_error err;
    switch (lib->PQresultStatus(result)) {
    case PGRES_FATAL_ERROR:
    case PGRES_BAD_RESPONSE:
        take_error(c, result);
        break;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        sx_fail(&err, SX_EUNSUPPORTED, "COPY to and from the client is not supported");
        if (c->call)
            pg_call_fail(c->call, CLIENT_ERROR, SX_EUNSUPPORTED, &err);
        c->is_stuck = true;
        break;
    default:
        if (c->step == PG_STEP_RUN && c->call)
            pg_call_take(c->call, result);
        break;
    }
}

/* A step's last result has come. */
static void step_done(pg_conn *c)
{
    sx_error err;
    bool goes_on = c->state == PG_BUSY && c->call && c->call->status == SX_OK;
    if (c->step == PG_STEP_SET) {
        if (!c->step_failed) {
            pg_pool_connected(c);
            return;
        }
        pg_conn_error(c, &err);
        pg_conn_lost(c, SX_ECLOSED, &err);
    } else if (c->step == PG_STEP_FORGET && goes_on) {
        send_step(c, PG_STEP_PREPARE);
    } else if (c->step == PG_STEP_PREPARE && !c->step_failed && goes_on) {
        keep_prepared(c);
        send_step(c, PG_STEP_RUN);
    } else {
        if (c->step == PG_STEP_PREPARE && !c->step_failed)
            keep_prepared(c); /* it was given up meanwhile, but is there */
        finish(c);
    }
}

static bool is_working(const pg_conn *c)
{
    return c->state == PG_BUSY || c->state == PG_DRAINING || c->state == PG_CONNECTING;
}

static void process(pg_conn *c)
{
    const pg_lib *lib = c->pg->lib;
    sx_error err;
    while (is_working(c) && !lib->PQisBusy(c->handle)) {
        PGresult *result = lib->PQgetResult(c->handle);
        if (!result) {
            step_done(c);
            continue;
        }
        take_result(c, result);
        lib->PQclear(result);
        if (c->is_stuck) {
            sx_pg_call *call = c->call;
            sx_fail(&err, SX_EUNSUPPORTED, "a COPY had begun");
            c->call = NULL;
            if (call)
                call->conn = NULL;
            pg_conn_lost(c, SX_ECLOSED, &err);
            if (call)
                pg_call_end(call, call->outcome, call->status, &call->error);
        } else if (c->call && c->state == PG_BUSY &&
                   (c->call->status == SX_ELIMIT || c->call->status == SX_ENOMEM)) {
            sx_pg_call *call = c->call; /* the rest is not wanted */
            pg_conn_abandon(c);
            pg_call_end(call, call->outcome, call->status, &call->error);
        }
    }
    if (c->handle && lib->PQstatus(c->handle) == CONNECTION_BAD) {
        pg_conn_error(c, &err);
        pg_conn_lost(c, SX_ECLOSED, &err);
    }
}

static void on_ready(sx_watch *watch, void *ctx, unsigned events)
{
    pg_conn *c = ctx;
    sx_pg *pg = c->pg;
    sx_error err;
    (void)watch;
    pg_enter(pg);
    if (events & SX_WATCH_READ && !pg->lib->PQconsumeInput(c->handle)) {
        /* What the server said before it went may be there. */
        process(c);
        if (c->state != PG_DEAD) {
            pg_conn_error(c, &err);
            pg_conn_lost(c, SX_ECLOSED, &err);
        }
    } else {
        process(c);
        if (c->state != PG_DEAD)
            flush(c);
    }
    pg_leave(pg);
}

sx_status pg_conn_watch(pg_conn *c, sx_error *err)
{
    return sx_watch_start(c->pg->loop, c->pg->lib->PQsocket(c->handle), SX_WATCH_READ, on_ready, c,
                          &c->watch, err);
}

void pg_conn_begin(pg_conn *c)
{
    sx_pg *pg = c->pg;
    sx_error err;
    sx_status st = pg_conn_watch(c, &err);
    if (st == SX_OK && pg->lib->PQsetnonblocking(c->handle, 1) != 0) {
        pg_conn_error(c, &err);
        st = SX_ECLOSED;
    }
    if (st != SX_OK) {
        pg_pool_connect_failed(c, st, &err);
        return;
    }
    if (pg->options.sessions_shared) {
        pg_pool_connected(c);
        return;
    }
    char sql[64];
    snprintf(sql, sizeof(sql), "SET statement_timeout = %u", pg->options.query_ms_max);
    c->step = PG_STEP_SET;
    c->step_failed = false;
    if (send_plain(c, sql)) {
        flush(c);
    } else {
        pg_conn_error(c, &err);
        pg_pool_connect_failed(c, SX_ECLOSED, &err);
    }
}
