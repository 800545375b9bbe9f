/* pg_tx.c - transactions: a connection leased from BEGIN to COMMIT (pg_internal.h).
 *
 * Statements of one transaction run in order, one at a time. However it ends, the connection goes back
 * to the pool only if libpq says that no transaction is open on it; else it is closed. */
#include "client/pg_internal.h"

#include <sextant/mem.h>

static void on_late(sx_timer *timer, void *arg)
{
    sx_pg_tx *tx = arg;
    sx_pg *pg = tx->pg;
    sx_error err;
    (void)timer;
    pg_enter(pg);
    sx_fail(&err, SX_ETIMEOUT, "the transaction was open for more than %u ms",
            pg->options.tx_ms_max);
    if (tx->conn)
        pg_conn_lost(tx->conn, SX_ETIMEOUT, &err);
    pg_leave(pg);
}

void pg_tx_begun(sx_pg_tx *tx)
{
    sx_timer_start(pg_timers(tx->pg), &tx->timer, tx->pg->options.tx_ms_max);
}

void pg_tx_end(sx_pg_tx *tx)
{
    sx_pg *pg = tx->pg;
    if (tx->is_over)
        return;
    tx->is_over = true;
    sx_timer_stop(pg_timers(pg), &tx->timer);
    if (tx->conn)
        tx->conn->tx = NULL;
    tx->conn = NULL;
    sx_list_remove(&tx->link);
    sx_list_push_back(&pg->dead_txs, &tx->link);
}

void pg_tx_next(sx_pg_tx *tx)
{
    sx_list *link;
    if (!tx->conn || tx->conn->state != PG_LEASED || !(link = sx_list_pop_front(&tx->calls)))
        return;
    pg_conn_run(tx->conn, SX_CONTAINER_OF(link, sx_pg_call, link));
}

void pg_tx_lost(sx_pg_tx *tx)
{
    sx_list *link;
    sx_error err;
    tx->is_lost = true;
    tx->conn = NULL;
    sx_fail(&err, SX_ECLOSED, "the connection of the transaction broke; it was rolled back");
    pg_enter(tx->pg);
    while ((link = sx_list_pop_front(&tx->calls)))
        pg_call_end(SX_CONTAINER_OF(link, sx_pg_call, link), CLIENT_UNAVAILABLE, SX_ECLOSED, &err);
    pg_leave(tx->pg);
}

sx_status sx_pg_begin(sx_pg *pg, const char *modes, sx_pg_begin_fn *fn, void *ctx, sx_error *err)
{
    char sql[200] = "BEGIN";
    sx_pg_call *call;
    size_t len = modes ? strlen(modes) : 0;
    if (len + 7 > sizeof(sql))
        return sx_fail(err, SX_EINVAL, "the modes of a transaction have more than %zu bytes",
                       sizeof(sql) - 7);
    if (len) {
        sql[5] = ' ';
        memcpy(sql + 6, modes, len + 1);
    }
    sx_pg_tx *tx = sx_calloc(1, sizeof(*tx));
    if (!tx)
        return sx_fail_memory(err, "a transaction");
    tx->pg = pg;
    tx->timer = (sx_timer){.fn = on_late, .arg = tx};
    sx_list_init(&tx->calls);
    sx_pg_statement begin = {.sql = sx_str_z(sql), .unprepared = true};
    pg_call_options options = {.statement = &begin, .begin_fn = fn, .ctx = ctx, .tx = tx};
    sx_status st = pg_call_new(pg, &options, &call, err);
    if (st != SX_OK) {
        sx_free(tx);
        return st;
    }
    sx_list_push_back(&pg->txs, &tx->link);
    pg_enter(pg);
    pg_call_line_up(call);
    pg_dispatch(pg);
    pg_leave(pg);
    return SX_OK;
}

static sx_status start(sx_pg_tx *tx, const pg_call_options *options, sx_pg_call **out,
                       sx_error *err)
{
    sx_pg_call *call;
    if (tx->is_lost)
        return sx_fail(err, SX_ECLOSED,
                       "the connection of the transaction broke; it was rolled back");
    sx_status st = pg_call_new(tx->pg, options, &call, err);
    if (st != SX_OK)
        return st;
    if (out)
        *out = call;
    sx_list_push_back(&tx->calls, &call->link);
    pg_enter(tx->pg);
    pg_tx_next(tx);
    pg_leave(tx->pg);
    return SX_OK;
}

sx_status sx_pg_tx_query(sx_pg_tx *tx, const sx_pg_statement *statement, sx_pg_fn *fn, void *ctx,
                         sx_pg_call **out, sx_error *err)
{
    pg_call_options options = {.statement = statement, .fn = fn, .ctx = ctx, .tx = tx};
    return start(tx, &options, out, err);
}

/* The last resort: without its connection the server rolls it back. */
static void give_up(sx_pg_tx *tx)
{
    sx_pg *pg = tx->pg;
    pg_conn *conn = tx->conn;
    sx_error err;
    pg_enter(pg);
    sx_fail(&err, SX_ECLOSED, "the transaction was given up");
    if (conn)
        pg_conn_lost(conn, SX_ECLOSED, &err);
    pg_tx_end(tx);
    pg_leave(pg);
}

sx_status sx_pg_tx_commit(sx_pg_tx *tx, sx_pg_fn *fn, void *ctx, sx_error *err)
{
    sx_pg_statement commit = {.sql = SX_STR("COMMIT"), .unprepared = true};
    pg_call_options options = {
        .statement = &commit, .fn = fn, .ctx = ctx, .tx = tx, .ends_tx = true};
    sx_status st = start(tx, &options, NULL, err);
    if (st != SX_OK)
        give_up(tx);
    return st;
}

void sx_pg_tx_rollback(sx_pg_tx *tx)
{
    sx_pg_statement rollback = {.sql = SX_STR("ROLLBACK"), .unprepared = true};
    pg_call_options options = {.statement = &rollback, .tx = tx, .is_own = true, .ends_tx = true};
    if (start(tx, &options, NULL, NULL) != SX_OK)
        give_up(tx);
}
