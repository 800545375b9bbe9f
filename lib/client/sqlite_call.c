/* sqlite_call.c - queries in the background (sqlite_internal.h).
 *
 *   start (loop) -> queued -> runs (a thread of the side's pool) -> reports (loop) -> freed
 *
 * A time-out or a cancel tells the caller at once and sets `stop`; the thread sees it at its next look,
 * and the report, which always comes, frees. What `fn` is told is decided on the loop alone. */
#include "client/sqlite_internal.h"

#include <sextant/mem.h>

struct sx_sqlite_call {
    sx_sqlite *db;
    sx_loop *loop;
    client_call call;
    sqlite_side *side;
    sx_sqlite_query query; /* in the arena */
    sx_sqlite_work *work;  /* a transaction; else NULL */
    void *work_arg;
    sx_sqlite_fn *fn;
    void *ctx;
    uint32_t ms;
    int64_t deadline_ns;
    sx_timer timer; /* the loop's */
    bool told;      /* the loop's */
    bool stop;      /* atomic */
    sx_arena arena; /* the thread's while it runs */
    sx_sqlite_result result;
    sx_status status;
    sx_error error;
};

static void tell(sx_sqlite_call *c, sx_status st, const sx_error *err)
{
    static const sx_error NO_ERROR;
    if (c->told)
        return;
    c->told = true;
    sx_timer_stop(sx_loop_timers(c->loop), &c->timer);
    client_call_end(&c->call, sqlite_outcome(st), err, NULL);
    if (c->fn) {
        const sx_context *outer = client_call_enter(&c->call);
        bool has_rows = st == SX_OK && !c->work;
        c->fn(c->ctx, st, has_rows ? &c->result : NULL, err ? err : &NO_ERROR);
        client_call_leave(outer);
    }
}

/* In a thread of the pool. */
static void run(void *arg)
{
    sx_sqlite_call *c = arg;
    const sx_clock *clock = c->db->scope.clock;
    int64_t left_ms = (c->deadline_ns - sx_clock_mono_ns(clock)) / 1000000;
    bool is_closing = __atomic_load_n(&c->db->closing, __ATOMIC_ACQUIRE);
    if (is_closing || __atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
        c->status = sx_fail(&c->error, SX_ECANCELED,
                            is_closing ? "the database was closed" : "it was canceled");
        return;
    }
    sqlite_conn *conn = left_ms > 0 ? sqlite_take(c->side, (uint32_t)left_ms) : NULL;
    if (!conn) {
        c->status = sx_fail(&c->error, SX_ETIMEOUT, "no connection to '%s' came free in %u ms",
                            c->db->scope.target, c->ms);
        return;
    }
    left_ms = (c->deadline_ns - sx_clock_mono_ns(clock)) / 1000000;
    sqlite_conn_limit(conn, left_ms > 0 ? (uint32_t)left_ms : 1, &c->stop);
    const sx_context *outer =
        client_call_enter(&c->call); /* what `work` logs belongs to the caller */
    c->status = c->work ? sqlite_conn_transact(conn, c->work, c->work_arg, &c->error)
                        : sqlite_conn_run(conn, &c->query, &c->arena, &c->result, &c->error);
    client_call_leave(outer);
    sqlite_give(c->side, conn);
}

static void call_free(sx_sqlite_call *c)
{
    client_call_done(&c->call);
    sx_arena_done(&c->arena);
    sqlite_unref(c->db);
    sx_free(c);
}

/* On the loop, always, once. */
static void reported(sx_loop *loop, void *arg)
{
    sx_sqlite_call *c = arg;
    (void)loop;
    tell(c, c->status, c->status == SX_OK ? NULL : &c->error);
    call_free(c);
}

static void on_late(sx_timer *timer, void *arg)
{
    sx_sqlite_call *c = arg;
    sx_error err;
    (void)timer;
    __atomic_store_n(&c->stop, true, __ATOMIC_RELAXED);
    if (c->work) /* its argument is in use until it returns */
        return;
    sx_fail(&err, SX_ETIMEOUT, "the query to '%s' was not done within %u ms", c->db->scope.target,
            c->ms);
    tell(c, SX_ETIMEOUT, &err);
}

void sx_sqlite_cancel(sx_sqlite_call *c)
{
    sx_error err;
    __atomic_store_n(&c->stop, true, __ATOMIC_RELAXED);
    if (c->work)
        return;
    sx_fail(&err, SX_ECANCELED, "the query was canceled");
    tell(c, SX_ECANCELED, &err);
}

static sx_status copy_query(sx_sqlite_call *c, const sx_sqlite_query *query, sx_error *err)
{
    sx_sqlite_value *params = sx_arena_calloc(&c->arena, query->param_count + 1, sizeof(*params));
    c->query = *query;
    c->query.sql = sx_arena_copy(&c->arena, query->sql);
    bool ok = params && c->query.sql.data;
    for (size_t i = 0; ok && i < query->param_count; i++) {
        params[i] = query->params[i];
        if (params[i].str.len) {
            params[i].str = sx_arena_copy(&c->arena, params[i].str);
            ok = params[i].str.data != NULL;
        }
    }
    c->query.params = params;
    return ok ? SX_OK : sx_fail_memory(err, "a query");
}

/* The side's pool, made by the first who needs it. */
static sx_pool *pool_of(sx_sqlite *db, sqlite_side *side, sx_error *err)
{
    pthread_mutex_lock(&db->pool_lock);
    if (!side->pool)
        sx_pool_new(&(sx_pool_options){.name = side == db->sides ? "sqlite-write" : "sqlite-read",
                                       .threads = side->count,
                                       .queue_max = db->options.queue_max},
                    &side->pool, err);
    sx_pool *pool = side->pool;
    pthread_mutex_unlock(&db->pool_lock);
    return pool;
}

static sx_status submit(sx_sqlite_call *c, const client_what *what, sx_error *err)
{
    sx_status st = client_call_begin(&c->call, &c->db->scope, what, &c->ms, err);
    if (st != SX_OK)
        return st;
    c->deadline_ns = c->call.start_ns + (int64_t)c->ms * 1000000;
    sx_pool *pool = pool_of(c->db, c->side, err);
    st = pool ? sx_pool_submit(pool, c->loop, run, reported, c, err) : err->status;
    if (st != SX_OK)
        client_call_end(&c->call, client_outcome_of(st), err, NULL);
    else
        sx_timer_start(sx_loop_timers(c->loop), &c->timer, c->ms);
    return st;
}

static sx_sqlite_call *call_new(sx_sqlite *db, sx_loop *loop, sx_sqlite_fn *fn, void *ctx)
{
    sx_sqlite_call *c = sx_calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    sqlite_ref(db);
    c->db = db;
    c->loop = loop;
    c->fn = fn;
    c->ctx = ctx;
    c->timer = (sx_timer){.fn = on_late, .arg = c};
    sx_arena_init(&c->arena, 1024, 0);
    return c;
}

static sx_status start(sx_sqlite_call *c, const client_what *what, sx_sqlite_call **out,
                       sx_error *err)
{
    sx_status st = submit(c, what, err);
    if (st != SX_OK)
        call_free(c);
    else if (out)
        *out = c;
    return st;
}

static sx_status check_open(sx_sqlite *db, sx_error *err)
{
    if (__atomic_load_n(&db->closing, __ATOMIC_ACQUIRE))
        return sx_fail(err, SX_REFUSED, "the database '%s' is being closed", db->scope.target);
    return SX_OK;
}

sx_status sx_sqlite_start(sx_sqlite *db, sx_loop *loop, const sx_sqlite_query *query,
                          sx_sqlite_fn *fn, void *ctx, sx_sqlite_call **out, sx_error *err)
{
    sql_summary summary;
    sx_error own;
    err = err ? err : &own;
    sx_status st = check_open(db, err);
    if (st != SX_OK)
        return st;
    sx_sqlite_call *c = call_new(db, loop, fn, ctx);
    if (!c)
        return sx_fail_memory(err, "a query");
    st = copy_query(c, query, err);
    if (st != SX_OK) {
        call_free(c);
        return st;
    }
    c->side = &db->sides[sqlite_side_of(db, query)];
    sql_summarize(query->sql, &summary);
    client_what what = {.operation = sx_str_z(summary.operation),
                        .collection = sx_str_z(summary.table),
                        .text = sx_str_of(summary.text, summary.text_len),
                        .timeout_ms = query->ms_max ? query->ms_max : db->options.query_ms_max};
    return start(c, &what, out, err);
}

sx_status sx_sqlite_transact_start(sx_sqlite *db, sx_loop *loop, uint32_t ms_max,
                                   sx_sqlite_work *work, void *arg, sx_sqlite_fn *fn, void *ctx,
                                   sx_sqlite_call **out, sx_error *err)
{
    sx_error own;
    err = err ? err : &own;
    sx_status st = check_open(db, err);
    if (st != SX_OK)
        return st;
    sx_sqlite_call *c = call_new(db, loop, fn, ctx);
    if (!c)
        return sx_fail_memory(err, "a transaction");
    c->work = work;
    c->work_arg = arg;
    c->side = &db->sides[SQLITE_WRITER];
    client_what what = {.operation = SX_STR("TRANSACTION"),
                        .timeout_ms = ms_max ? ms_max : db->options.query_ms_max};
    return start(c, &what, out, err);
}
