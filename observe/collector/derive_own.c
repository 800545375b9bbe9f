/* derive_own.c - the metrics of what enters our own store: both connectors and the thread that flushes.
 *
 * On by default, so its settings differ from the Collector's where that costs little: exemplars are on,
 * pairs wait longer, databases and queues are nodes whichever semantic conventions name them. */
#include <stdatomic.h>

#include <sextant/mem.h>

#include "observe/collector/derive.h"
#include "observe/collector/ticker.h"

enum {
    FLUSH_MS = 15000,
    SERIES_MAX = 5000,
    EXPIRATION_MS = 60 * 60000,
    PAIR_TTL_MS = 10000,
    PAIRS_MAX = 50000,
    EDGE_EXEMPLARS = 2,
};

static const sx_str DATABASES[] = {SX_STR_INIT("db.name"), SX_STR_INIT("db.namespace"),
                                   SX_STR_INIT("db.system.name"), SX_STR_INIT("db.system")};
static const sx_str PEERS[] = {
    SX_STR_INIT("peer.service"),     SX_STR_INIT("messaging.destination.name"),
    SX_STR_INIT("messaging.system"), SX_STR_INIT("rpc.service"),
    SX_STR_INIT("server.address"),   SX_STR_INIT("net.peer.name")};

struct derive_own {
    spanmetrics_settings span_settings;
    servicegraph_settings graph_settings;
    spanmetrics *spans;
    servicegraph *graph;
    sx_log *log;
    ticker *ticker;
    atomic_bool no_spans, no_graph;
};

static void tell(derive_own *d, const char *what, const sx_error *err)
{
    if (d->log)
        SX_LOG_WARN(sx_log_logger(d->log, "derive"), NULL, what, sx_field_error(err));
}

static void tick(void *ctx)
{
    derive_own *d = ctx;
    sx_error err = {0};
    if (!d->no_spans && spanmetrics_tick(d->spans, &err) != SX_OK)
        tell(d, "span metrics could not be written", &err);
    if (!d->no_graph && servicegraph_tick(d->graph, &err) != SX_OK)
        tell(d, "the service graph could not be written", &err);
}

static void set_up(derive_own *d, int64_t flush_ms, int64_t series_max)
{
    spanmetrics_defaults(&d->span_settings);
    d->span_settings.exemplars = true;
    d->span_settings.expiration_ms = EXPIRATION_MS;
    d->span_settings.flush_ms = flush_ms ? flush_ms : FLUSH_MS;
    d->span_settings.series_max = series_max ? series_max : SERIES_MAX;
    servicegraph_defaults(&d->graph_settings);
    d->graph_settings.ttl_ms = PAIR_TTL_MS;
    d->graph_settings.items_max = PAIRS_MAX;
    d->graph_settings.flush_ms = d->span_settings.flush_ms;
    d->graph_settings.series_max = d->span_settings.series_max;
    d->graph_settings.exemplars_max = EDGE_EXEMPLARS;
    d->graph_settings.database_attributes = (derive_names){DATABASES, SX_COUNT_OF(DATABASES)};
    d->graph_settings.peer_attributes = (derive_names){PEERS, SX_COUNT_OF(PEERS)};
}

sx_status derive_own_new(const derive_host *host, int64_t flush_ms, int64_t series_max,
                         derive_own **out, sx_error *err)
{
    derive_own *d = sx_calloc(1, sizeof(*d));
    *out = NULL;
    if (!d)
        return sx_fail_memory(err, "metrics of spans");
    d->log = host->kit ? host->kit->log : NULL;
    set_up(d, flush_ms, series_max);
    sx_status st = spanmetrics_new(&d->span_settings, host, &d->spans, err);
    if (st == SX_OK)
        st = servicegraph_new(&d->graph_settings, host, &d->graph, err);
    if (st == SX_OK)
        st = ticker_start(tick, d, &d->ticker, err);
    if (st != SX_OK) {
        derive_own_free(d);
        return st;
    }
    *out = d;
    return SX_OK;
}

void derive_own_makes(derive_own *d, bool spans, bool graph)
{
    d->no_spans = !spans;
    d->no_graph = !graph;
}

void derive_own_take(derive_own *d, const span_batch *b)
{
    if (!d->no_spans)
        spanmetrics_take(d->spans, b);
    if (!d->no_graph)
        servicegraph_take(d->graph, b);
}

void derive_own_free(derive_own *d)
{
    if (!d)
        return;
    ticker_stop(d->ticker);
    spanmetrics_free(d->spans);
    servicegraph_free(d->graph);
    sx_free(d);
}
