/* otlp_queue.h - encoded records that wait to be sent, bounded in number and bytes.
 *
 * A record stands in the queue as the field it will be in the request: tag, length, message. Field 2
 * is `spans` of ScopeSpans, `log_records` of ScopeLogs and `metrics` of ScopeMetrics alike, so a batch
 * is a slice of the queue. Used by the exporter's thread alone. */
#ifndef SEXTANT_TELEMETRY_OTLP_QUEUE_H
#define SEXTANT_TELEMETRY_OTLP_QUEUE_H

#include <sextant/buf.h>

enum { SX_OTLP_RECORD_FIELD = 2 };

typedef struct sx_otlp_queue {
    sx_buf bytes;
    size_t begin;   /* of the first record; what is before was taken */
    uint64_t count; /* records */
    uint32_t count_max;
    size_t bytes_max;
} sx_otlp_queue;

void sx_otlp_queue_init(sx_otlp_queue *q, uint32_t count_max, size_t bytes_max);
void sx_otlp_queue_done(sx_otlp_queue *q);

/* Adds a record; false: it is full, or there is no memory. */
bool sx_otlp_queue_put(sx_otlp_queue *q, sx_str record);

/* The first records, at most count_max and bytes_max but at least one; *count of them. The view is good
 * until the next call. */
sx_str sx_otlp_queue_first(const sx_otlp_queue *q, uint64_t count_max, size_t bytes_max,
                           uint64_t *count);

/* Removes what that gave. */
void sx_otlp_queue_remove(sx_otlp_queue *q, sx_str first, uint64_t count);

#endif
