/* exporter.h - where pipelines send spans on: OTLP, Elasticsearch, Kafka, a file, the log.
 *
 * Each exporter has a queue bounded in bytes and a thread of its own, so a stuck or absent receiver
 * never holds up a pipeline: what does not fit is dropped and counted, oldest first. Batches are held
 * by reference, not copied. Retries follow the receiver's answer (Retry-After, RetryInfo) and the configuration's retry_on_failure.
 * Options, defaults and metric names (otelcol_exporter_sent_spans, _send_failed_spans,
 * _enqueue_failed_spans, _queue_size, _queue_capacity) are the OpenTelemetry Collector's.
 *
 * Made by the pipelines (collector.c) from their configuration. */
#ifndef OBSERVE_COLLECTOR_EXPORTER_H
#define OBSERVE_COLLECTOR_EXPORTER_H

#include <sextant/clock.h>
#include <sextant/kit.h>

#include "observe/collector/settings.h"
#include "observe/spans/sink.h"

typedef struct span_exporter span_exporter;

typedef struct span_exporter_host {
    const sx_kit *kit; /* metrics and log */
    const sx_clock *clock;
    bool is_reload; /* it takes the place of one that has worked: a file goes on */
} span_exporter_host;

/* Starts the exporter; an unreachable receiver is no error, it is logged and tried again. Errors: a
 * value that makes no sense, named with its line; a library that is not there (librdkafka). */
sx_status span_exporter_new(const exporter_settings *settings, const span_exporter_host *host,
                            span_exporter **out, sx_error *err);

/* Its sink keeps batches; take never waits and fails only when the settings say so. */
span_sink span_exporter_sink(span_exporter *e);

/* Sends what waits for at most `drain_ms`, then frees. */
void span_exporter_free(span_exporter *e, int64_t drain_ms);

#endif
