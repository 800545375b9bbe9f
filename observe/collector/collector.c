/* collector.c - builds pipelines from settings, runs them, swaps them at a reload.
 *
 * A graph is everything made from one file: exporters, connectors, pipelines. The collector points at
 * one; receivers hold `gate` for reading while they hand over a batch, a reload holds it for writing
 * while it swaps the pointer. */
#include "observe/collector/collector.h"

#include <pthread.h>
#include <stdio.h>

#include <sextant/log.h>
#include <sextant/mem.h>

enum { QUEUE_BYTES_MAX = 64 << 20, DRAIN_MS = 5000, TICK_MS_MAX = 1000 };

typedef struct graph graph;

/* Where a processor's output goes: the next one, or the end. */
typedef struct stage {
    struct pipeline *of;
    uint32_t index; /* of the processor that takes; processor_count: the end */
} stage;

typedef struct pipeline {
    graph *graph;
    const pipeline_settings *settings;
    processor **processors;
    stage *stages; /* processor_count + 1 */
    /* --- By lock. */
    pthread_mutex_t lock;
    pthread_cond_t work;
    span_batch **queue; /* ring */
    size_t head, count, cap;
    uint64_t bytes;
    bool stop;
    /* --- The thread's own. */
    pthread_t thread;
    bool running;
    sx_counter *dropped;
} pipeline;

typedef struct connector {
    const connector_settings *settings;
    void *self;
    pthread_mutex_t lock; /* pipelines share it */
} connector;

typedef struct exporter {
    void *self;
    span_sink sink;
    sx_counter *refused;
} exporter;

struct graph {
    collector *of;
    collector_settings *settings;
    processor_host host;
    exporter *exporters;
    connector *connectors;
    pipeline *pipelines;
    uint32_t exporter_count, connector_count, pipeline_count; /* made so far */
    bool whole;                                               /* all of it is made */
};

typedef struct port {
    collector *of;
    sx_str name; /* of the receiver; behind the struct */
    sx_counter *accepted, *refused;
    struct port *next;
} port;

struct collector {
    collector_host host;
    pthread_rwlock_t gate;
    graph *graph;   /* by gate */
    port *ports;    /* written before receivers start */
    sx_logger *log; /* NULL: none */
};

static sx_counter *counter_of(const collector *c, const char *name, const char *help,
                              const char *const *labels, const sx_str *values, size_t count)
{
    sx_metric_options options = {.kind = SX_METRIC_COUNTER,
                                 .name = name,
                                 .help = help,
                                 .labels = labels,
                                 .label_count = count};
    sx_metric *m;
    if (!c->host.kit || !c->host.kit->metrics ||
        sx_metric_new(c->host.kit->metrics, &options, &m, NULL) != SX_OK)
        return NULL;
    return sx_metric_counter(m, values, count);
}

/* --- A batch on its way. */

static void deliver(pipeline *p, span_batch *b)
{
    graph *g = p->graph;
    for (uint32_t i = 0; i < p->settings->exporter_count; i++) {
        exporter *e = &g->exporters[p->settings->exporters[i]];
        sx_error err = {0};
        if (e->sink.take(e->sink.ctx, b, &err) != SX_OK)
            processor_count(e->refused, b->count);
    }
    for (uint32_t i = 0; i < p->settings->connector_count; i++) {
        connector *n = &g->connectors[p->settings->connectors[i]];
        pthread_mutex_lock(&n->lock);
        n->settings->kind->take(n->self, b);
        pthread_mutex_unlock(&n->lock);
    }
}

/* Called by a processor in the midst of another's take: depth is the number of processors. */
static void pass_on(void *ctx, span_batch *b)
{
    stage *at = ctx;
    pipeline *p = at->of;
    if (at->index == p->settings->processor_count) {
        deliver(p, b);
        return;
    }
    processor *next = p->processors[at->index];
    sx_error err = {0};
    processor_count(next->incoming, b->count);
    if (next->kind->take(next, b, &err) == SX_OK)
        return;
    processor_count(next->dropped, b->count);
    if (p->graph->of->log)
        SX_LOG_WARN(p->graph->of->log, NULL, "spans are dropped",
                    sx_field_str("processor", next->id->name), sx_field_error(&err));
}

static uint64_t bytes_of(const span_batch *b)
{
    return b->body.len + b->arena.used_bytes + b->count * sizeof(void *) + 64;
}

/* From a receiver's thread. Never waits for what is behind. */
static void enqueue(pipeline *p, span_batch *b)
{
    uint64_t bytes = bytes_of(b);
    pthread_mutex_lock(&p->lock);
    bool room = p->bytes + bytes <= p->graph->of->host.queue_bytes_max;
    if (room && p->count == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 64;
        span_batch **more = sx_calloc(cap, sizeof(*more));
        room = more != NULL;
        if (room) {
            for (size_t i = 0; i < p->count; i++)
                more[i] = p->queue[(p->head + i) % p->cap];
            sx_free(p->queue);
            p->queue = more;
            p->cap = cap;
            p->head = 0;
        }
    }
    if (room) {
        p->queue[(p->head + p->count++) % p->cap] = span_batch_ref(b);
        p->bytes += bytes;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    if (!room)
        processor_count(p->dropped, b->count);
}

static span_batch *dequeue(pipeline *p)
{
    if (p->count == 0)
        return NULL;
    span_batch *b = p->queue[p->head];
    p->head = (p->head + 1) % p->cap;
    p->count--;
    p->bytes -= bytes_of(b);
    return b;
}

/* What is due; returns when it wants to be called again. At the end each processor gives all that it
 * holds to the next before that one is asked. */
static int64_t tick(pipeline *p, bool all)
{
    int64_t now = sx_clock_mono_ms(p->graph->of->host.clock), next = INT64_MAX;
    for (uint32_t i = 0; i < p->settings->processor_count; i++) {
        processor *one = p->processors[i];
        int64_t due = one->kind->tick ? one->kind->tick(one, now, all) : INT64_MAX;
        next = due < next ? due : next;
    }
    for (uint32_t i = 0; i < p->settings->connector_count; i++) {
        connector *n = &p->graph->connectors[p->settings->connectors[i]];
        pthread_mutex_lock(&n->lock);
        n->settings->kind->tick(n->self, now);
        pthread_mutex_unlock(&n->lock);
    }
    return next;
}

static void wait_for_work(pipeline *p, int64_t next)
{
    int64_t now = sx_clock_mono_ms(p->graph->of->host.clock);
    int64_t ms = next <= now ? 0 : next - now;
    ms = ms < TICK_MS_MAX ? ms : TICK_MS_MAX;
    if (ms == 0)
        return;
    int64_t until = sx_clock_mono_ns(sx_clock_system()) + ms * 1000000;
    struct timespec at = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    pthread_cond_timedwait(&p->work, &p->lock, &at);
}

static void *run_pipeline(void *arg)
{
    pipeline *p = arg;
    int64_t next = INT64_MAX;
    sx_telemetry_thread_join();
    pthread_mutex_lock(&p->lock);
    for (;;) {
        span_batch *b = dequeue(p);
        if (!b && p->stop)
            break;
        if (!b)
            wait_for_work(p, next);
        pthread_mutex_unlock(&p->lock);
        if (b) {
            pass_on(&p->stages[0], b);
            span_batch_unref(b);
        }
        next = tick(p, false);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    tick(p, true);
    sx_telemetry_thread_leave();
    return NULL;
}

/* --- Building a graph. */

static sx_status open_exporters(graph *g, sx_error *err)
{
    static const char *const LABELS[] = {"exporter"};
    const collector_settings *s = g->settings;
    const collector *c = g->of;
    const span_exporter_host host = {
        .kit = c->host.kit, .clock = c->host.clock, .is_reload = c->graph != NULL};
    g->exporters = sx_calloc(s->exporter_count + 1, sizeof(*g->exporters));
    if (!g->exporters)
        return sx_fail_memory(err, "exporters");
    for (uint32_t i = 0; i < s->exporter_count; i++) {
        const component_id *id = &s->exporters[i].id;
        exporter *e = &g->exporters[i];
        sx_status st = c->host.exporters->open(&s->exporters[i], &host, &e->self, err);
        if (st != SX_OK)
            return sx_error_prefix(err, st, "%.*s:%u: exporter %.*s", SX_ARG(s->path), id->line,
                                   SX_ARG(id->name));
        e->sink = c->host.exporters->sink(e->self);
        e->refused =
            counter_of(c, "otelcol_exporter_enqueue_failed_spans",
                       "Spans that did not fit an exporter's queue.", LABELS, &id->name, 1);
        g->exporter_count++;
    }
    return SX_OK;
}

static sx_status open_connectors(graph *g, sx_error *err)
{
    const collector_settings *s = g->settings;
    const collector_host *h = &g->of->host;
    const span_connector_host host = {.kit = h->kit, .clock = h->clock, .db = h->db};
    g->connectors = sx_calloc(s->connector_count + 1, sizeof(*g->connectors));
    if (!g->connectors)
        return sx_fail_memory(err, "connectors");
    for (uint32_t i = 0; i < s->connector_count; i++) {
        const connector_settings *from = &s->connectors[i];
        connector *n = &g->connectors[i];
        sx_status st = from->kind->create(from->settings, &from->id, &host, &n->self, err);
        if (st != SX_OK)
            return sx_error_prefix(err, st, "%.*s:%u: connector %.*s", SX_ARG(s->path),
                                   from->id.line, SX_ARG(from->id.name));
        n->settings = from;
        pthread_mutex_init(&n->lock, NULL);
        g->connector_count++;
    }
    return SX_OK;
}

static sx_status open_pipeline(graph *g, pipeline *p, const pipeline_settings *from, sx_error *err)
{
    static const char *const LABELS[] = {"pipeline"};
    const collector_settings *s = g->settings;
    pthread_condattr_t monotonic;
    *p = (pipeline){.graph = g, .settings = from};
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    g->pipeline_count++;
    p->dropped =
        counter_of(g->of, "sextant_collector_pipeline_dropped_spans_total",
                   "Spans that did not fit a pipeline's queue.", LABELS, &from->id.name, 1);
    p->processors = sx_calloc(from->processor_count + 1, sizeof(*p->processors));
    p->stages = sx_calloc(from->processor_count + 1, sizeof(*p->stages));
    if (!p->processors || !p->stages)
        return sx_fail_memory(err, "a pipeline");
    for (uint32_t i = 0; i <= from->processor_count; i++)
        p->stages[i] = (stage){.of = p, .index = i};
    for (uint32_t i = 0; i < from->processor_count; i++) {
        const processor_settings *one = &s->processors[from->processors[i]];
        sx_status st =
            processor_new(one, &g->host, pass_on, &p->stages[i + 1], &p->processors[i], err);
        if (st != SX_OK)
            return sx_error_prefix(err, st, "%.*s:%u: processor %.*s", SX_ARG(s->path),
                                   one->id.line, SX_ARG(one->id.name));
    }
    return SX_OK;
}

static sx_status start_pipeline(pipeline *p, sx_error *err)
{
    if (p->graph->of->host.no_threads)
        return SX_OK;
    int failed = pthread_create(&p->thread, NULL, run_pipeline, p);
    if (failed)
        return sx_fail_os(err, failed, "a pipeline's thread");
    p->running = true;
    return SX_OK;
}

static void close_pipeline(pipeline *p)
{
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    if (p->running)
        pthread_join(p->thread, NULL);
    span_batch *left;
    while ((left = dequeue(p))) /* of one that never ran */
        span_batch_unref(left);
    for (uint32_t i = 0; p->processors && i < p->settings->processor_count; i++)
        processor_free(p->processors[i]);
    sx_free(p->processors);
    sx_free(p->stages);
    sx_free(p->queue);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
}

static void run_once(graph *g, bool all)
{
    for (uint32_t i = 0; i < g->pipeline_count; i++) {
        pipeline *p = &g->pipelines[i];
        span_batch *b;
        while ((b = dequeue(p))) {
            pass_on(&p->stages[0], b);
            span_batch_unref(b);
        }
        tick(p, all);
    }
}

static void close_graph(graph *g)
{
    if (!g)
        return;
    if (g->of->host.no_threads && g->whole)
        run_once(g, true);
    for (uint32_t i = 0; i < g->pipeline_count; i++)
        close_pipeline(&g->pipelines[i]);
    for (uint32_t i = 0; i < g->connector_count; i++) {
        g->connectors[i].settings->kind->destroy(g->connectors[i].self);
        pthread_mutex_destroy(&g->connectors[i].lock);
    }
    for (uint32_t i = 0; i < g->exporter_count; i++)
        g->of->host.exporters->close(g->exporters[i].self, g->of->host.drain_ms);
    sx_free(g->pipelines);
    sx_free(g->connectors);
    sx_free(g->exporters);
    collector_settings_unref(g->settings);
    sx_free(g);
}

static sx_status open_graph(collector *c, collector_settings *settings, graph **out, sx_error *err)
{
    graph *g = sx_calloc(1, sizeof(*g));
    if (!g)
        return sx_fail_memory(err, "pipelines");
    g->of = c;
    g->settings = collector_settings_ref(settings);
    g->host = (processor_host){.kit = c->host.kit,
                               .clock = c->host.clock,
                               .memory_bytes = c->host.memory_bytes,
                               .memory_total = c->host.memory_total};
    g->pipelines = sx_calloc(settings->pipeline_count + 1, sizeof(*g->pipelines));
    sx_status st = g->pipelines ? open_exporters(g, err) : sx_fail_memory(err, "pipelines");
    if (st == SX_OK)
        st = open_connectors(g, err);
    for (uint32_t i = 0; st == SX_OK && i < settings->pipeline_count; i++)
        st = open_pipeline(g, &g->pipelines[i], &settings->pipelines[i], err);
    for (uint32_t i = 0; st == SX_OK && i < settings->pipeline_count; i++)
        st = start_pipeline(&g->pipelines[i], err);
    if (st != SX_OK) {
        close_graph(g);
        return st;
    }
    g->whole = true;
    *out = g;
    return SX_OK;
}

/* --- The whole. */

sx_status collector_new(collector_settings *settings, const collector_host *host, collector **out,
                        sx_error *err)
{
    collector *c = sx_calloc(1, sizeof(*c));
    if (!c)
        return sx_fail_memory(err, "pipelines");
    c->host = *host;
    c->log = host->kit && host->kit->log ? sx_log_logger(host->kit->log, "collector") : NULL;
    c->host.clock = host->clock ? host->clock : sx_clock_system();
    c->host.queue_bytes_max = host->queue_bytes_max ? host->queue_bytes_max : QUEUE_BYTES_MAX;
    c->host.drain_ms = host->drain_ms ? host->drain_ms : DRAIN_MS;
    pthread_rwlock_init(&c->gate, NULL);
    sx_status st = open_graph(c, settings, &c->graph, err);
    if (st != SX_OK) {
        collector_free(c);
        return st;
    }
    *out = c;
    return SX_OK;
}

sx_status collector_reload(collector *c, collector_settings *settings, sx_error *err)
{
    graph *fresh = NULL;
    sx_status st = open_graph(c, settings, &fresh, err);
    if (st != SX_OK)
        return st;
    pthread_rwlock_wrlock(&c->gate);
    graph *old = c->graph;
    c->graph = fresh;
    pthread_rwlock_unlock(&c->gate);
    close_graph(old);
    return SX_OK;
}

collector_settings *collector_settings_now(collector *c)
{
    pthread_rwlock_rdlock(&c->gate);
    collector_settings *s = collector_settings_ref(c->graph->settings);
    pthread_rwlock_unlock(&c->gate);
    return s;
}

/* Whether a pipeline takes from the receiver called `name`. */
static bool takes_from(const pipeline *p, sx_str name)
{
    const collector_settings *s = p->graph->settings;
    for (uint32_t i = 0; i < p->settings->receiver_count; i++)
        if (sx_str_eq(s->receivers[p->settings->receivers[i]].id.name, name))
            return true;
    return false;
}

/* Without a store a client can be told to come again; with one its spans are safe already. */
static bool is_refused(const pipeline *p)
{
    for (uint32_t i = 0; i < p->settings->processor_count; i++) {
        processor *one = p->processors[i];
        if (one->kind->refuses && one->kind->refuses(one))
            return true;
    }
    return false;
}

static sx_status take(void *ctx, span_batch *b, sx_error *err)
{
    port *in = ctx;
    collector *c = in->of;
    sx_status st = SX_OK;
    if (c->host.store.take)
        st = c->host.store.take(c->host.store.ctx, b, err);
    pthread_rwlock_rdlock(&c->gate);
    graph *g = c->graph;
    for (uint32_t i = 0; st == SX_OK && !c->host.store.take && i < g->pipeline_count; i++)
        if (takes_from(&g->pipelines[i], in->name) && is_refused(&g->pipelines[i]))
            st = sx_fail(err, SX_ELIMIT, "memory is full (memory_limiter); send again later");
    for (uint32_t i = 0; st == SX_OK && i < g->pipeline_count; i++)
        if (takes_from(&g->pipelines[i], in->name))
            enqueue(&g->pipelines[i], b);
    pthread_rwlock_unlock(&c->gate);
    processor_count(st == SX_OK ? in->accepted : in->refused, b->count);
    return st;
}

sx_status collector_sink(collector *c, sx_str name, const char *transport, span_sink *out,
                         sx_error *err)
{
    static const char *const LABELS[] = {"receiver", "transport"};
    port *p = sx_calloc(1, sizeof(*p) + name.len + 1);
    if (!p)
        return sx_fail_memory(err, "a receiver");
    memcpy(p + 1, name.data, name.len);
    *p = (port){.of = c, .name = sx_str_of(p + 1, name.len), .next = c->ports};
    const sx_str values[] = {p->name, sx_str_z(transport)};
    p->accepted = counter_of(c, "otelcol_receiver_accepted_spans", "Spans taken from clients.",
                             LABELS, values, 2);
    p->refused = counter_of(c, "otelcol_receiver_refused_spans",
                            "Spans of clients that were not taken.", LABELS, values, 2);
    c->ports = p;
    *out = (span_sink){.take = take, .ctx = p, .keeps = true};
    return SX_OK;
}

void collector_run(collector *c)
{
    run_once(c->graph, false);
}

void collector_free(collector *c)
{
    if (!c)
        return;
    close_graph(c->graph);
    for (port *p = c->ports, *next; p; p = next) {
        next = p->next;
        sx_free(p);
    }
    pthread_rwlock_destroy(&c->gate);
    sx_free(c);
}
