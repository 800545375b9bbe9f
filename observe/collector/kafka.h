/* kafka.h - spans out of a topic of Kafka: the receiver "kafka" of a Collector's configuration.
 *
 * A consumer of a group, on a thread of its own. A message's offset is committed only after the sink
 * has taken its spans, so each is delivered at least once; while the sink is full the consumer waits
 * with the message in hand. A message that cannot be read is counted, logged and skipped. Metrics:
 * otelcol_receiver_accepted_spans{receiver,transport}, otelcol_receiver_refused_spans{...},
 * otelcol_kafka_receiver_messages{receiver}, otelcol_kafka_receiver_unmarshal_failed{receiver}. */
#ifndef OBSERVE_COLLECTOR_KAFKA_H
#define OBSERVE_COLLECTOR_KAFKA_H

#include <sextant/kit.h>

#include "observe/collector/settings.h"
#include "observe/spans/otlp.h"
#include "observe/spans/sink.h"

typedef struct span_kafka span_kafka;

typedef struct span_kafka_host {
    const sx_kit *kit; /* metrics and log */
    span_sink sink;
    const span_limits *limits; /* NULL: the readers' defaults */
} span_kafka_host;

/* Begins to consume; brokers that cannot be reached are tried for ever. `settings` outlives it.
 *   errors  SX_EINVAL with the receiver's name and line; a library that is not there (librdkafka) */
sx_status span_kafka_new(const kafka_receiver_settings *settings, const component_id *id,
                         const span_kafka_host *host, span_kafka **out, sx_error *err);

/* Commits what was taken, leaves the group and frees. NULL is allowed. */
void span_kafka_free(span_kafka *k);

/* A message's spans by the encoding's name, as the receiver reads them: for tests.
 *   errors  SX_EUNSUPPORTED: no such encoding; SX_EFORMAT, SX_ELIMIT, SX_ENOMEM */
sx_status span_kafka_read(sx_str encoding, sx_str message, const span_limits *limits,
                          span_batch *out, span_refused *refused, sx_error *err);

#endif
