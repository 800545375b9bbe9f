/* tracer.h - what a tracer is made of: where its spans go, its limits, and per thread the records
 * that spans under way are written into.
 *
 *     sx_tracer ── sampler (swapped while running; older ones kept)
 *         └──────── shards[thread] ── free records, random numbers
 *
 * A shard belongs to the thread of that number (telemetry/thread.h) and is used without a lock;
 * shard 0 is for all threads that have not joined, under the lock, and is also where records go and
 * come from when threads have too many or too few (spans started on one and ended on another).
 * Records are kept for the next span, so the steady state allocates nothing. */
#ifndef SEXTANT_TELEMETRY_TRACER_H
#define SEXTANT_TELEMETRY_TRACER_H

#include <pthread.h>

#include <sextant/buf.h>
#include <sextant/random.h>
#include <sextant/trace.h>

#include "telemetry/sampler.h"

/* Where the bytes of ended spans go: the exporter's lanes (otlp_sink.h), or a test's memory. */
typedef struct sx_span_sink {
    char *(*room)(void *to, size_t bytes);
    void (*commit)(void *to, size_t bytes);
} sx_span_sink;

/* As sx_tracer_new with that sink in place of options->otlp; NULL: nothing is recorded. */
sx_status sx_tracer_new_to(const sx_tracer_options *options, const sx_span_sink *sink, void *to,
                           sx_tracer **out, sx_error *err);

/* As sx_span_start, but never sampled, whatever the sampler says: for what would trace the tracing itself
 * (SX_ROUTE_UNTRACED). */
void sx_span_start_unsampled(sx_span *span, sx_tracer *tracer, const sx_span_options *options);

/* A field of the encoded span that may yet be replaced: its place in the record's data. */
typedef struct sx_span_part {
    uint32_t at, len; /* len 0: not there */
} sx_span_part;

typedef struct sx_span_attribute {
    sx_span_part part;
    uint32_t key_at, key_len; /* in the data, too */
    uint32_t hash;            /* of the key */
} sx_span_attribute;

/* A span under way. `data` holds what is encoded so far, in the order it came. */
typedef struct sx_span_record {
    struct sx_span_record *next; /* in a list of free ones */
    sx_buf data;
    sx_span_part name, status;
    sx_span_attribute *attributes;
    size_t attribute_count, attribute_cap;
    uint32_t attributes_dropped, events, events_dropped, links, links_dropped;
    int64_t start_wall_ns;
    uint8_t kind, outcome;
    uint32_t
        flags; /* OTLP's: W3C's flags, whether the parent is known to be remote, whether it is */
} sx_span_record;

typedef struct sx_tracer_shard {
    sx_span_record *free;
    uint32_t free_count;
    uint32_t
        seeded_for; /* the process generation (tracer.c) that `random` was seeded in; 0: none */
    sx_random random;
} __attribute__((aligned(64))) sx_tracer_shard;

struct sx_tracer {
    const sx_span_sink *sink; /* NULL: nothing is recorded */
    void *sink_to;
    const sx_clock *clock;
    const sx_clock *coarse_clock; /* for sampling by rate, which need not be exact */
    unsigned propagators;
    uint32_t attributes_max, events_max, links_max, event_attributes_max, value_bytes_max;
    uint32_t span_bytes_max;
    sx_counter *sampled, *dropped; /* NULL: not counted */
    sx_sampler *sampler;           /* atomic: read with acquire, written under the lock */
    pthread_mutex_t lock;          /* of shard 0 and of sampling changes */
    void *shards_block;            /* what `shards` lies in, aligned */
    sx_tracer_shard *shards;       /* SX_THREAD_SHARDS_MAX + 1 */
};

/* A new span id, and a new trace id if `trace_id` is not NULL; never zero. HOT. */
void sx_tracer_ids(sx_tracer *tracer, uint8_t *trace_id, uint8_t span_id[SX_SPAN_ID_BYTES]);

/* An empty record for the calling thread; NULL: no memory. And back, on any thread. HOT. */
sx_span_record *sx_tracer_take(sx_tracer *tracer);
void sx_tracer_give(sx_tracer *tracer, sx_span_record *record);

#endif
