/* postgres.c - a pool's life and its public calls (pg_internal.h, postgres.h). */
#include <sextant/postgres.h>

#include <sextant/mem.h>

#include "client/pg_internal.h"
#include "telemetry/semconv.h"

static const client_kind KIND = {
    .name = "postgresql",
    .system = SX_DB_SYSTEM_POSTGRESQL,
    .total_name = "postgres_client_queries_total",
    .total_help = "Statements of PostgreSQL pools that have ended.",
    .seconds_name = "postgres_client_query_duration_seconds",
    .seconds_help = "Time of PostgreSQL statements, waiting for a connection counted in.",
    .operation_label = "operation"};

enum { GAUGE_IDLE, GAUGE_BUSY, GAUGE_CONNECTING, GAUGE_WAITING };

/* ---- brackets ---- */

sx_timers *pg_timers(const sx_pg *pg)
{
    return sx_loop_timers(pg->loop);
}

static uint32_t busy_count(const sx_pg *pg)
{
    return pg->conn_count - pg->connecting_count - pg->idle_count;
}

static void tell_gauges(sx_pg *pg)
{
    const uint32_t now[] = {[GAUGE_IDLE] = pg->idle_count,
                            [GAUGE_BUSY] = busy_count(pg),
                            [GAUGE_CONNECTING] = pg->connecting_count,
                            [GAUGE_WAITING] = pg->waiting_count};
    for (size_t i = 0; pg->gauges[0] && i < SX_COUNT_OF(now); i++) {
        if (now[i] != pg->told[i])
            sx_gauge_add(pg->gauges[i], (double)now[i] - (double)pg->told[i]);
        pg->told[i] = now[i];
    }
}

static void destroy(sx_pg *pg)
{
    client_scope_done(&pg->scope);
    sx_dns_free(pg->dns);
    sx_free(pg->conninfo);
    sx_free(pg);
}

void pg_enter(sx_pg *pg)
{
    pg->depth++;
}

void pg_leave(sx_pg *pg)
{
    if (pg->depth == 1) {
        sx_list *link;
        while ((link = sx_list_pop_front(&pg->dead_calls)))
            pg_call_free(SX_CONTAINER_OF(link, sx_pg_call, link));
        while ((link = sx_list_pop_front(&pg->dead_txs)))
            sx_free(SX_CONTAINER_OF(link, sx_pg_tx, link));
        while ((link = sx_list_pop_front(&pg->dead_conns)))
            pg_conn_free(SX_CONTAINER_OF(link, pg_conn, link));
        tell_gauges(pg);
    }
    if (--pg->depth == 0 && pg->closing)
        destroy(pg);
}

/* ---- queries ---- */

sx_status sx_pg_query(sx_pg *pg, const sx_pg_statement *statement, sx_pg_fn *fn, void *ctx,
                      sx_pg_call **out, sx_error *err)
{
    sx_pg_call *call;
    pg_call_options options = {.statement = statement, .fn = fn, .ctx = ctx};
    sx_status st = pg_call_new(pg, &options, &call, err);
    if (st != SX_OK)
        return st;
    if (out)
        *out = call;
    pg_enter(pg);
    pg_call_line_up(call);
    pg_dispatch(pg);
    pg_leave(pg);
    return SX_OK;
}

sx_pg_counts sx_pg_counts_of(const sx_pg *pg)
{
    sx_pg_counts counts = pg->counts;
    counts.idle = pg->idle_count;
    counts.busy = busy_count(pg);
    counts.connecting = pg->connecting_count;
    counts.waiting = pg->waiting_count;
    return counts;
}

sx_loop *sx_pg_loop(const sx_pg *pg)
{
    return pg->loop;
}

/* ---- life ---- */

static void fill_defaults(sx_pg_options *o)
{
    const struct {
        uint32_t *field, otherwise;
    } rows[] = {{&o->connections_min, 1},    {&o->connections_max, 10}, {&o->waiting_max, 1024},
                {&o->connect_ms_max, 5000},  {&o->query_ms_max, 30000}, {&o->tx_ms_max, 60000},
                {&o->cancel_ms_max, 1000},   {&o->idle_ms_max, 600000}, {&o->life_ms_max, 3600000},
                {&o->retry_ms_min, 100},     {&o->retry_ms_max, 5000},  {&o->statements_max, 128},
                {&o->client.probe_ms, 10000}};
    for (size_t i = 0; i < SX_COUNT_OF(rows); i++) {
        if (*rows[i].field == 0)
            *rows[i].field = rows[i].otherwise;
    }
    if (o->connections_min > o->connections_max)
        o->connections_min = o->connections_max;
    if (o->result_bytes_max == 0)
        o->result_bytes_max = 64 << 20;
}

static sx_status add_gauges(sx_pg *pg, sx_error *err)
{
    static const char *const CONNECTION[] = {"target", "state"}, *const TARGET[] = {"target"};
    static const char *const STATES[] = {"idle", "busy", "connecting"};
    sx_metric *connections, *waiting;
    sx_metric_options options = {.kind = SX_METRIC_GAUGE,
                                 .name = "postgres_client_connections",
                                 .help = "Connections of PostgreSQL pools.",
                                 .labels = CONNECTION,
                                 .label_count = 2};
    sx_status st = sx_metric_new(pg->scope.kit.metrics, &options, &connections, err);
    if (st != SX_OK)
        return st;
    options = (sx_metric_options){.kind = SX_METRIC_GAUGE,
                                  .name = "postgres_client_queries_waiting",
                                  .help = "Statements that wait for a connection.",
                                  .labels = TARGET,
                                  .label_count = 1};
    st = sx_metric_new(pg->scope.kit.metrics, &options, &waiting, err);
    if (st != SX_OK)
        return st;
    for (size_t i = 0; i < SX_COUNT_OF(STATES); i++) {
        const sx_str labels[] = {sx_str_z(pg->scope.target), sx_str_z(STATES[i])};
        pg->gauges[i] = sx_metric_gauge(connections, labels, 2);
    }
    sx_str target = sx_str_z(pg->scope.target);
    pg->gauges[GAUGE_WAITING] = sx_metric_gauge(waiting, &target, 1);
    return SX_OK;
}

/* Where spans say that the database is: the first host as written, if it is in the conninfo. */
static void name_server(sx_pg *pg)
{
    PQconninfoOption *options = pg->lib->PQconninfoParse(pg->conninfo ? pg->conninfo : "", NULL);
    sx_str host = {0};
    uint64_t port = 0;
    for (const PQconninfoOption *o = options; o && o->keyword; o++) {
        sx_str first, rest;
        sx_str_cut(sx_str_z(o->val), ',', &first, &rest);
        if (strcmp(o->keyword, "host") == 0)
            host = first;
        else if (strcmp(o->keyword, "port") == 0 && !sx_str_to_u64(first, &port))
            port = 0;
    }
    client_scope_server_set(&pg->scope, host, (uint16_t)(port <= UINT16_MAX ? port : 0));
    if (options)
        pg->lib->PQconninfoFree(options);
}

static sx_status set_up(sx_pg *pg, const sx_kit *kit, sx_error *err)
{
    pg->lib = pg_lib_load(err);
    if (!pg->lib)
        return SX_EUNSUPPORTED;
    sx_status st = SX_OK;
    if (pg->options.conninfo) {
        size_t bytes = strlen(pg->options.conninfo) + 1;
        pg->conninfo = sx_alloc(bytes);
        if (!pg->conninfo)
            return sx_fail_memory(err, "a conninfo");
        memcpy(pg->conninfo, pg->options.conninfo, bytes);
        pg->options.conninfo = NULL;
        st = pg_conninfo_check(pg->lib, pg->conninfo, err);
    }
    if (st == SX_OK)
        st = client_scope_init(&pg->scope, kit, &KIND, &pg->options.client, err);
    if (st != SX_OK)
        return st;
    name_server(pg);
    return pg->scope.kit.metrics ? add_gauges(pg, err) : SX_OK;
}

sx_status sx_pg_new(sx_loop *loop, const sx_kit *kit, const sx_pg_options *options, sx_pg **out,
                    sx_error *err)
{
    sx_pg *pg = sx_calloc(1, sizeof(*pg));
    sx_error own;
    if (!pg)
        return sx_fail_memory(err, "a PostgreSQL pool");
    if (options)
        pg->options = *options;
    fill_defaults(&pg->options);
    pg->loop = loop;
    sx_list *const lists[] = {&pg->conns, &pg->idle,       &pg->dead_conns, &pg->waiting,
                              &pg->txs,   &pg->dead_calls, &pg->dead_txs};
    for (size_t i = 0; i < SX_COUNT_OF(lists); i++)
        sx_list_init(lists[i]);
    sx_random_init(&pg->random);
    pg_pool_init(pg);
    sx_status st = set_up(pg, kit, err ? err : &own);
    if (st != SX_OK) {
        destroy(pg);
        return st;
    }
    *out = pg;
    sx_timer_start(pg_timers(pg), &pg->tick_timer, pg->options.client.probe_ms);
    pg_dispatch(pg);
    return SX_OK;
}

static void cancel_call(sx_pg_call *call)
{
    sx_error err;
    sx_fail(&err, SX_ECANCELED, "the PostgreSQL pool was closed");
    call->conn = NULL;
    pg_call_end(call, CLIENT_CANCELED, SX_ECANCELED, &err);
}

void sx_pg_free(sx_pg *pg)
{
    sx_list *link;
    if (!pg || pg->closing)
        return;
    pg->closing = true;
    pg_enter(pg);
    while (!sx_list_empty(&pg->conns)) {
        pg_conn *conn = SX_CONTAINER_OF(pg->conns.next, pg_conn, link);
        sx_pg_call *call = conn->call;
        conn->call = NULL;
        pg_pool_drop(conn);
        if (call)
            cancel_call(call);
    }
    pg_pool_stop(pg);
    while ((link = sx_list_pop_front(&pg->waiting))) {
        pg->waiting_count--;
        cancel_call(SX_CONTAINER_OF(link, sx_pg_call, link));
    }
    while (!sx_list_empty(&pg->txs)) {
        sx_pg_tx *tx = SX_CONTAINER_OF(pg->txs.next, sx_pg_tx, link);
        tx->conn = NULL;
        tx->is_lost = true;
        while ((link = sx_list_pop_front(&tx->calls)))
            cancel_call(SX_CONTAINER_OF(link, sx_pg_call, link));
        pg_tx_end(tx);
    }
    pg_leave(pg);
}
