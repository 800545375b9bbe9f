/* collector.h - pipelines: receivers -> processors -> exporters and connectors.
 *
 * A batch that a receiver took goes into our own store first, synchronously: its error is the client's
 * answer. Then every pipeline of that receiver gets it by reference into a queue bounded in bytes; a
 * full one drops the batch and counts it. A pipeline has one thread, which runs its processors and
 * hands what comes out to exporters and connectors, none of which may wait. So nothing behind the
 * store ever holds up a receiver.
 * Names of metrics are the Collector's. Used by observe/traces_server.c and by tests. */
#ifndef OBSERVE_COLLECTOR_COLLECTOR_H
#define OBSERVE_COLLECTOR_COLLECTOR_H

#include "observe/collector/connector.h"
#include "observe/collector/exporter.h"
#include "observe/collector/processor.h"
#include "observe/collector/settings.h"
#include "observe/spans/sink.h"

typedef struct collector collector;

/* How exporters are made: span_exporter_new and its like, or a test's own. */
typedef struct collector_exporters {
    sx_status (*open)(const exporter_settings *settings, const span_exporter_host *host, void **out,
                      sx_error *err);
    span_sink (*sink)(void *exporter);
    void (*close)(void *exporter, int64_t drain_ms);
} collector_exporters;

/* 0 in a field is the default. */
typedef struct collector_host {
    const sx_kit *kit;
    const sx_clock *clock;
    span_sink store; /* take NULL: --traces.store=off */
    struct tsdb *db; /* what connectors write to */
    const collector_exporters *exporters;
    uint64_t queue_bytes_max; /* of each pipeline: 64 MiB */
    int64_t drain_ms;         /* what exporters may take to send the rest: 5 s */
    bool no_threads;          /* tests: the pipelines run in collector_run alone */
    uint64_t (*memory_bytes)(void), (*memory_total)(void);
} collector_host;

/* Starts all pipelines; takes a reference of the settings. `host` is copied.
 *   errors  of an exporter or a processor, with the place in the file; SX_ENOMEM */
sx_status collector_new(collector_settings *settings, const collector_host *host, collector **out,
                        sx_error *err);

/* The same with other settings, while receivers go on: new pipelines are started, then the old ones
 * end, with what they hold. On an error all stays as it was. One at a time. */
sx_status collector_reload(collector *c, collector_settings *settings, sx_error *err);

/* What the receiver called `name` ("otlp/2") gives its spans to; lives as long as the collector. A name
 * that no pipeline has: the store alone. SX_ENOMEM. */
sx_status collector_sink(collector *c, sx_str name, const char *transport, span_sink *out,
                         sx_error *err);

/* The settings that are in force, with a reference. */
collector_settings *collector_settings_now(collector *c);

/* What waits in queues goes through, and what is due by the clock: with no_threads. */
void collector_run(collector *c);

/* Ends the pipelines with what they hold, at most drain_ms for the exporters. NULL is allowed. */
void collector_free(collector *c);

#endif
