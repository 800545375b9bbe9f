/* connector.h - where a pipeline of spans becomes something else: span metrics, service graphs.
 *
 * A kind is a row: its name, the table of its settings, and what it does with a batch. A pipeline
 * gives it every batch that reaches its end, by reference; what it makes goes into our own metric
 * store. A new kind is a `const span_connector_kind` in a file of its own and its row in connector.c.
 * Called by the pipelines (collector.c). */
#ifndef OBSERVE_COLLECTOR_CONNECTOR_H
#define OBSERVE_COLLECTOR_CONNECTOR_H

#include <sextant/clock.h>
#include <sextant/kit.h>

#include "observe/collector/settings.h"
#include "observe/spans/span.h"

struct tsdb;

typedef struct span_connector_host {
    const sx_kit *kit; /* metrics and log */
    const sx_clock *clock;
    struct tsdb *db; /* our own metric store; NULL: what is made goes nowhere */
} span_connector_host;

typedef struct span_connector_kind {
    const char *name;           /* "spanmetrics" */
    const bind_table *settings; /* its struct is given to `create`, and lives longer than it */
    sx_status (*create)(const void *settings, const component_id *id,
                        const span_connector_host *host, void **out, sx_error *err);
    /* One call at a time, from threads of pipelines. Keeps the batch only by a reference. */
    void (*take)(void *connector, span_batch *b);
    /* Beside `take`, one at a time, at least once a second: what is due by the clock. */
    void (*tick)(void *connector, int64_t mono_ms);
    /* Writes out what waits, then frees. */
    void (*destroy)(void *connector);
} span_connector_kind;

/* The kinds there are; NULL after the last. */
extern const span_connector_kind *const SPAN_CONNECTORS[];
extern const span_connector_kind SPAN_CONNECTOR_SPANMETRICS, SPAN_CONNECTOR_SERVICEGRAPH;

/* Whether pipelines lead into connectors that write series of the names that derive_own (derive.h) has:
 * those of span metrics, those of the service graph. */
void derive_claimed(const collector_settings *s, bool *spans, bool *graph);

#endif
