/* pg_call.c - a statement's life: copied, begun, its rows taken, told (pg_internal.h). */
#include "client/pg_internal.h"

#include <sextant/mem.h>

#include "telemetry/semconv.h"

/* ---- rows ---- */

static bool copy_columns(sx_pg_call *c, const PGresult *result, int count)
{
    const pg_lib *lib = c->pg->lib;
    sx_str *names = sx_arena_calloc(&c->arena, (size_t)count + 1, sizeof(*names));
    for (int i = 0; names && i < count; i++) {
        names[i] = sx_arena_copy(&c->arena, sx_str_z(lib->PQfname(result, i)));
        if (!names[i].data)
            names = NULL;
    }
    c->result.columns = names;
    c->result.column_count = names ? (size_t)count : 0;
    return names != NULL;
}

static void fail_memory(sx_pg_call *c)
{
    sx_error err;
    sx_fail_memory(&err, "a row of a result");
    pg_call_fail(c, CLIENT_CANCELED, SX_ENOMEM, &err);
}

static bool take_row(sx_pg_call *c, const PGresult *result, int row, int columns)
{
    const pg_lib *lib = c->pg->lib;
    sx_arena *arena = c->statement.row ? &c->row_arena : &c->arena;
    sx_str *values = (sx_str *)c->result.values;
    size_t need = c->value_count + (size_t)columns;
    sx_error err;
    if (!sx_arena_grow(arena, &values, &c->value_cap, need, sizeof(*values)))
        return false;
    c->result.values = values;
    for (int i = 0; i < columns; i++) {
        sx_str *v = &values[c->value_count + (size_t)i];
        *v = sx_str_of(NULL, 0);
        if (lib->PQgetisnull(result, row, i))
            continue;
        size_t len = (size_t)lib->PQgetlength(result, row, i);
        if (len > c->bytes_left) {
            sx_fail(
                &err, SX_ELIMIT,
                "the result is larger than it may be: ask for fewer rows (LIMIT), take them one "
                "by one, or raise result_bytes_max");
            pg_call_fail(c, CLIENT_ERROR, SX_ELIMIT, &err);
            return true;
        }
        c->bytes_left -= len;
        *v = sx_arena_copy(arena, sx_str_of(lib->PQgetvalue(result, row, i), len));
        if (!v->data)
            return false;
    }
    size_t overhead = (size_t)columns * sizeof(sx_str);
    c->bytes_left -= overhead < c->bytes_left ? overhead : c->bytes_left;
    c->value_count = need;
    c->result.row_count++;
    return true;
}

/* Gives a streamed row out and forgets it. */
static void give_row(sx_pg_call *c)
{
    const sx_context *outer = client_call_enter(&c->call);
    c->statement.row(c->ctx, &c->result);
    client_call_leave(outer);
    sx_arena_reset(&c->row_arena);
    c->result.values = NULL;
    c->result.row_count = 0;
    c->value_cap = c->value_count = 0;
    c->bytes_left = c->pg->options.result_bytes_max;
}

void pg_call_take(sx_pg_call *c, PGresult *result)
{
    const pg_lib *lib = c->pg->lib;
    uint64_t affected;
    int rows = lib->PQntuples(result), columns = lib->PQnfields(result);
    if (c->status != SX_OK)
        return;
    if (columns && !c->result.columns && !copy_columns(c, result, columns)) {
        fail_memory(c);
        return;
    }
    for (int i = 0; i < rows && c->status == SX_OK && !c->told; i++) {
        if (!take_row(c, result, i, columns))
            fail_memory(c);
        else if (c->statement.row && c->status == SX_OK)
            give_row(c);
    }
    if (c->told || lib->PQresultStatus(result) == PGRES_SINGLE_TUPLE)
        return;
    if (sx_str_to_u64(sx_str_z(lib->PQcmdTuples(result)), &affected) && affected <= INT64_MAX)
        c->result.affected = (int64_t)affected;
    c->result.command = sx_arena_copy(&c->arena, sx_str_z(lib->PQcmdStatus(result)));
}

void pg_call_fail(sx_pg_call *c, client_outcome outcome, sx_status st, const sx_error *err)
{
    if (c->status != SX_OK)
        return;
    c->status = st;
    c->outcome = outcome;
    c->error = *err;
}

/* ---- the end ---- */

/* A COMMIT that found the transaction failed says ROLLBACK, and no error. */
static void check_commit(sx_pg_call *c, client_outcome *outcome, sx_status *st)
{
    if (c->ends_tx && *st == SX_OK && sx_str_eq(c->statement.sql, SX_STR("COMMIT")) &&
        sx_str_eq(c->result.command, SX_STR("ROLLBACK"))) {
        *outcome = CLIENT_ERROR;
        *st = sx_fail(&c->error, SX_EINVAL,
                      "the transaction was rolled back, as a statement of it had failed");
    }
}

static void tell(sx_pg_call *c, sx_status st, const sx_error *err)
{
    bool has_result = st == SX_OK || c->result.sqlstate[0];
    if (st != SX_OK) { /* what came before the error is not the answer */
        c->result.row_count = c->result.column_count = 0;
        c->result.affected = -1;
    }
    const sx_context *outer = client_call_enter(&c->call);
    if (c->begin_fn)
        c->begin_fn(c->ctx, st, st == SX_OK ? c->tx : NULL, err);
    else if (c->fn)
        c->fn(c->ctx, st, has_result ? &c->result : NULL, err);
    client_call_leave(outer);
}

void pg_call_end(sx_pg_call *c, client_outcome outcome, sx_status st, const sx_error *err)
{
    static const sx_error NO_ERROR;
    sx_pg *pg = c->pg;
    if (c->told)
        return;
    sx_assert(!c->conn);
    c->told = true;
    pg_enter(pg);
    sx_timer_stop(pg_timers(pg), &c->timer);
    sx_list_remove(&c->link);
    sx_list_push_back(&pg->dead_calls, &c->link);
    check_commit(c, &outcome, &st);
    err = st == SX_OK ? &NO_ERROR : err ? err : &c->error;
    if (c->result.sqlstate[0])
        SX_SPAN_SET(&c->call.span, sx_field_z(SX_ATTR_DB_RESPONSE_STATUS_CODE, c->result.sqlstate));
    client_call_end(&c->call, outcome, err, c->result.sqlstate[0] ? c->result.sqlstate : NULL);
    if (c->is_own && !c->tx && st != SX_ECANCELED)
        client_scope_report(&pg->scope, st, err, -1);
    if (c->ends_tx || (c->begin_fn && st != SX_OK))
        pg_tx_end(c->tx);
    else if (c->begin_fn)
        pg_tx_begun(c->tx);
    tell(c, st, err);
    pg_leave(pg);
}

static void leave_line(sx_pg_call *c)
{
    if (c->conn)
        pg_conn_abandon(c->conn);
    c->pg->waiting_count -= c->in_pool_line;
    c->in_pool_line = false;
}

static void on_late(sx_timer *timer, void *arg)
{
    sx_pg_call *c = arg;
    sx_pg *pg = c->pg;
    sx_error err;
    (void)timer;
    pg_enter(pg);
    bool is_sent = c->conn != NULL;
    sx_fail(&err, SX_ETIMEOUT, "PostgreSQL '%s' did not answer within %u ms%s", pg->scope.target,
            c->ms, is_sent ? "" : ": no connection came free");
    leave_line(c);
    pg_call_end(c, CLIENT_TIMEOUT, SX_ETIMEOUT, &err);
    pg_leave(pg);
}

void sx_pg_cancel(sx_pg_call *c)
{
    sx_pg *pg = c->pg;
    sx_error err;
    if (c->told)
        return;
    pg_enter(pg);
    sx_fail(&err, SX_ECANCELED, "the query was canceled");
    leave_line(c);
    pg_call_end(c, CLIENT_CANCELED, SX_ECANCELED, &err);
    pg_leave(pg);
}

/* ---- the beginning ---- */

static sx_status copy_statement(sx_pg_call *c, const sx_pg_statement *s, sx_error *err)
{
    const char **params = sx_arena_calloc(&c->arena, s->param_count + 1, sizeof(*params));
    c->statement = *s;
    c->statement.sql = sx_arena_copy(&c->arena, s->sql);
    bool ok = params && c->statement.sql.data;
    if (s->sql.len && memchr(s->sql.data, '\0', s->sql.len))
        return sx_fail(err, SX_EINVAL, "the statement holds a NUL byte");
    for (size_t i = 0; ok && i < s->param_count; i++) {
        if (!s->params[i].data)
            continue;
        if (memchr(s->params[i].data, '\0', s->params[i].len))
            return sx_fail(
                err, SX_EINVAL,
                "parameter %zu holds a NUL byte, which PostgreSQL's text has not; encode "
                "it, as bytea in hex",
                i + 1);
        params[i] = sx_arena_copy(&c->arena, s->params[i]).data;
        ok = params[i] != NULL;
    }
    c->params = params;
    return ok ? SX_OK : sx_fail_memory(err, "a query");
}

static sx_status begin(sx_pg_call *c, const pg_call_options *o, sx_error *err)
{
    sql_summary summary;
    sx_pg *pg = c->pg;
    sx_status st;
    uint32_t ms = o->statement->ms_max ? o->statement->ms_max : pg->options.query_ms_max;
    if (o->is_own) {
        c->ms = ms;
        return SX_OK;
    }
    sql_summarize(o->statement->sql, &summary);
    client_what what = {.operation = sx_str_z(summary.operation),
                        .collection = sx_str_z(summary.table),
                        .text = sx_str_of(summary.text, summary.text_len),
                        .timeout_ms = ms,
                        .unbreakable = o->ends_tx};
    st = client_call_begin(&c->call, &pg->scope, &what, &c->ms, err);
    if (st != SX_OK)
        return st;
    if (!o->tx || o->begin_fn)
        st = pg_pool_check(pg, err);
    if (st != SX_OK)
        client_call_end(&c->call, client_outcome_of(st), err, NULL);
    return st;
}

sx_status pg_call_new(sx_pg *pg, const pg_call_options *o, sx_pg_call **out, sx_error *err)
{
    sx_error own;
    sx_pg_call *c;
    err = err ? err : &own;
    if (o->statement->param_count > PG_PARAMS_MAX)
        return sx_fail(err, SX_EINVAL, "a statement has at most %d parameters, not %zu",
                       PG_PARAMS_MAX, o->statement->param_count);
    c = sx_calloc(1, sizeof(*c));
    if (!c)
        return sx_fail_memory(err, "a query");
    c->pg = pg;
    c->fn = o->fn;
    c->begin_fn = o->begin_fn;
    c->ctx = o->ctx;
    c->tx = o->tx;
    c->is_own = o->is_own;
    c->ends_tx = o->ends_tx;
    c->timer = (sx_timer){.fn = on_late, .arg = c};
    c->bytes_left = pg->options.result_bytes_max;
    c->result.affected = -1;
    sx_list_init(&c->link);
    sx_arena_init(&c->arena, 1024, 0);
    sx_arena_init(&c->row_arena, 1024, 0);
    sx_status st = copy_statement(c, o->statement, err);
    if (st == SX_OK)
        st = begin(c, o, err);
    if (st != SX_OK) {
        pg_call_free(c);
        return st;
    }
    sx_timer_start(pg_timers(pg), &c->timer, c->ms);
    *out = c;
    return SX_OK;
}

void pg_call_free(sx_pg_call *c)
{
    client_call_done(&c->call);
    sx_arena_done(&c->arena);
    sx_arena_done(&c->row_arena);
    sx_free(c);
}

static void line_up_behind(sx_pg_call *c, sx_list *at)
{
    sx_list_insert_after(at, &c->link);
    c->pg->waiting_count++;
    c->in_pool_line = true;
}

void pg_call_line_up(sx_pg_call *c)
{
    line_up_behind(c, c->pg->waiting.prev);
}

void pg_call_line_up_again(sx_pg_call *c)
{
    c->was_again = true;
    c->status = SX_OK;
    c->result.sqlstate[0] = '\0';
    line_up_behind(c, &c->pg->waiting);
}
