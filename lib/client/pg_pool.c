/* pg_pool.c - who gets which connection; when connections are made, and given up (pg_internal.h). */
#include "client/pg_internal.h"

static void log_change(sx_pg *pg, sx_level level, const char *message, const sx_error *err)
{
    if (!pg->scope.kit.log)
        return;
    sx_logger *logger = sx_log_logger(pg->scope.kit.log, "postgresql");
    const sx_field fields[] = {sx_field_z("target", pg->scope.target),
                               sx_field_z("error", err ? err->message : "")};
    sx_log_write(logger, level, NULL, sx_str_z(message), fields,
                 SX_COUNT_OF(fields) - (err ? 0 : 1));
}

static uint32_t pause_ms(sx_pg *pg)
{
    uint64_t ms = pg->options.retry_ms_min;
    for (uint32_t i = 1; i < pg->failures && ms < pg->options.retry_ms_max; i++)
        ms *= 2;
    if (ms > pg->options.retry_ms_max)
        ms = pg->options.retry_ms_max;
    return (uint32_t)(ms / 2 + sx_random_below(&pg->random, ms / 2 + 1));
}

/* Connections that are made. */
static uint32_t live(const sx_pg *pg)
{
    return pg->conn_count - pg->connecting_count;
}

sx_status pg_pool_check(sx_pg *pg, sx_error *err)
{
    if (pg->closing)
        return sx_fail(err, SX_REFUSED, "the PostgreSQL pool is being closed");
    if (pg->waiting_count >= pg->options.waiting_max)
        return sx_fail(err, SX_REFUSED,
                       "%u queries wait for PostgreSQL '%s' already, its limit: raise "
                       "connections_max, or ask less",
                       pg->waiting_count, pg->scope.target);
    if (live(pg) == 0 && sx_timer_running(&pg->retry_timer)) {
        *err = pg->last_error;
        return pg->last_status;
    }
    return SX_OK;
}

/* ---- lists ---- */

static sx_pg_call *next_waiting(sx_pg *pg)
{
    sx_list *link = sx_list_pop_front(&pg->waiting);
    if (!link)
        return NULL;
    sx_pg_call *call = SX_CONTAINER_OF(link, sx_pg_call, link);
    pg->waiting_count--;
    call->in_pool_line = false;
    return call;
}

static pg_conn *next_idle(sx_pg *pg)
{
    sx_list *link = sx_list_pop_front(&pg->idle);
    if (!link)
        return NULL;
    pg->idle_count--;
    return SX_CONTAINER_OF(link, pg_conn, idle);
}

void pg_pool_drop(pg_conn *c)
{
    sx_pg *pg = c->pg;
    if (c->state == PG_DEAD)
        return;
    if (c->state == PG_CONNECTING)
        pg->connecting_count--;
    if (c->state == PG_IDLE && !sx_list_empty(&c->idle))
        pg->idle_count--;
    sx_list_remove(&c->idle);
    pg_become(c, PG_DEAD);
    pg->conn_count--;
    pg_conn_close(c);
    sx_list_remove(&c->link);
    sx_list_push_back(&pg->dead_conns, &c->link);
}

/* ---- connections ---- */

static void note_failure(sx_pg *pg, sx_status st, const sx_error *err)
{
    pg->last_error = *err;
    pg->last_status = st == SX_EACCESS || st == SX_ENOMEM ? st : SX_ECLOSED;
    pg->last_error.status = pg->last_status;
    sx_error_prefix(&pg->last_error, pg->last_status, "no connection to PostgreSQL '%s'",
                    pg->scope.target);
    pg->counts.connect_failures++;
    client_scope_report(&pg->scope, pg->last_status, &pg->last_error, -1);
    if (sx_timer_running(&pg->retry_timer))
        return; /* several tries at once failed: one pause */
    pg->failures++;
    if (pg->failures == 1)
        log_change(pg, SX_LEVEL_WARN, "PostgreSQL cannot be reached; trying again",
                   &pg->last_error);
    sx_timer_start(pg_timers(pg), &pg->retry_timer, pause_ms(pg));
}

/* Nobody is left who could serve those in line. */
static void fail_waiting(sx_pg *pg)
{
    sx_error err = pg->last_error;
    sx_status st = pg->last_status;
    sx_pg_call *call;
    for (uint32_t n = pg->waiting_count; n > 0 && (call = next_waiting(pg)); n--)
        pg_call_end(call, CLIENT_UNAVAILABLE, st, &err);
}

void pg_pool_connect_failed(pg_conn *c, sx_status st, const sx_error *err)
{
    sx_pg *pg = c->pg;
    sx_error copy = *err;
    pg_enter(pg);
    pg_pool_drop(c);
    note_failure(pg, st, &copy);
    if (live(pg) == 0 && pg->connecting_count == 0)
        fail_waiting(pg);
    pg_leave(pg);
}

void pg_pool_connected(pg_conn *c)
{
    sx_pg *pg = c->pg;
    sx_timer_stop(pg_timers(pg), &c->timer);
    sx_timer_stop(pg_timers(pg), &pg->retry_timer);
    if (pg->failures || pg->counts.connects == 0)
        log_change(pg, SX_LEVEL_INFO, "connected to PostgreSQL", NULL);
    pg->failures = 0;
    pg->counts.connects++;
    pg->connecting_count--;
    c->made_ms = sx_loop_now_ms(pg->loop);
    c->hosts = NULL;
    c->host_count = 0;
    sx_arena_done(&c->arena);
    client_scope_report(&pg->scope, SX_OK, NULL, -1);
    pg_become(c, PG_IDLE);
    pg_pool_release(c);
}

void pg_pool_release(pg_conn *c)
{
    sx_pg *pg = c->pg;
    int64_t now_ms = sx_loop_now_ms(pg->loop);
    if (c->state != PG_IDLE)
        pg_become(c, PG_IDLE);
    if (c->is_doomed || now_ms - c->made_ms >= pg->options.life_ms_max) {
        pg->counts.disconnects += c->is_doomed;
        pg_pool_drop(c);
    } else {
        c->used_ms = now_ms;
        sx_list_push_front(&pg->idle, &c->idle);
        pg->idle_count++;
    }
    pg_dispatch(pg);
}

static void connect_more(sx_pg *pg)
{
    sx_error err;
    while (pg->conn_count < pg->options.connections_max && !sx_timer_running(&pg->retry_timer) &&
           (pg->connecting_count < pg->waiting_count ||
            pg->conn_count < pg->options.connections_min)) {
        sx_status st = pg_connect_start(pg, &err);
        if (st != SX_OK) {
            note_failure(pg, st, &err);
            if (live(pg) == 0 && pg->connecting_count == 0)
                fail_waiting(pg);
            return;
        }
    }
}

void pg_dispatch(sx_pg *pg)
{
    if (pg->closing)
        return;
    pg_enter(pg);
    while (pg->waiting_count && pg->idle_count) {
        pg_conn *c = next_idle(pg);
        pg_conn_run(c, next_waiting(pg));
    }
    connect_more(pg);
    pg_leave(pg);
}

/* ---- timers ---- */

static void on_retry(sx_timer *timer, void *arg)
{
    (void)timer;
    pg_enter(arg);
    pg_dispatch(arg);
    pg_leave(arg);
}

/* Closes what has been idle for long, the least recently used first. */
static void close_idle(sx_pg *pg)
{
    sx_list *link, *before;
    int64_t now_ms = sx_loop_now_ms(pg->loop);
    for (link = pg->idle.prev; link != &pg->idle; link = before) {
        pg_conn *c = SX_CONTAINER_OF(link, pg_conn, idle);
        before = link->prev;
        bool is_old = now_ms - c->made_ms >= pg->options.life_ms_max;
        bool is_spare = pg->conn_count > pg->options.connections_min &&
                        now_ms - c->used_ms >= pg->options.idle_ms_max;
        if (is_old || is_spare)
            pg_pool_drop(c);
    }
}

static void probe(sx_pg *pg)
{
    sx_pg_call *call;
    sx_pg_statement ping = {.sql = SX_STR("SELECT 1"), .unprepared = true, .ms_max = 5000};
    pg_call_options options = {.statement = &ping, .is_own = true};
    if (!client_scope_is_quiet(&pg->scope, pg->options.client.probe_ms) || pg->idle_count == 0 ||
        pg_call_new(pg, &options, &call, NULL) != SX_OK)
        return;
    pg_conn_run(next_idle(pg), call);
}

static void on_tick(sx_timer *timer, void *arg)
{
    sx_pg *pg = arg;
    sx_timer_start(pg_timers(pg), timer, pg->options.client.probe_ms);
    pg_enter(pg);
    close_idle(pg);
    probe(pg);
    pg_dispatch(pg);
    pg_leave(pg);
}

/* ---- life ---- */

void pg_pool_init(sx_pg *pg)
{
    pg->retry_timer = (sx_timer){.fn = on_retry, .arg = pg};
    pg->tick_timer = (sx_timer){.fn = on_tick, .arg = pg};
}

void pg_pool_stop(sx_pg *pg)
{
    sx_timer_stop(pg_timers(pg), &pg->retry_timer);
    sx_timer_stop(pg_timers(pg), &pg->tick_timer);
    while (!sx_list_empty(&pg->conns))
        pg_pool_drop(SX_CONTAINER_OF(pg->conns.next, pg_conn, link));
}
