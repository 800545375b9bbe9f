/* processor.h - what happens to spans between a receiver and an exporter.
 *
 * A kind is a row: its name, the table of its settings, and its functions. A pipeline has a thread of
 * its own and runs its processors one after another in it, so a processor needs no lock. Batches are
 * immutable: one that changes spans makes a new batch that holds the old one (span_batch_hold) and
 * shares what it did not change. What a processor has to say goes to processor_emit, at once or later
 * from `tick`.
 * Called by collector.c; the kinds are in processor_*.c. */
#ifndef OBSERVE_COLLECTOR_PROCESSOR_H
#define OBSERVE_COLLECTOR_PROCESSOR_H

#include <sextant/clock.h>
#include <sextant/kit.h>

#include "observe/collector/settings.h"
#include "observe/spans/span.h"

typedef struct processor processor;

typedef struct processor_kind {
    const char *name;                                 /* "batch" */
    const bind_table *settings;                       /* NULL: it has none */
    size_t size;                                      /* of its state, zeroed before `create` */
    sx_status (*create)(processor *p, sx_error *err); /* NULL: nothing to do */
    /* Takes a batch, which stays the caller's. Errors: the batch is dropped and counted. */
    sx_status (*take)(processor *p, span_batch *b, sx_error *err);
    /* Does what is due; returns the monotonic millisecond at which it wants to be called again at the
     * latest, INT64_MAX: never. `all`: the pipeline ends, everything is due. NULL: nothing waits. */
    int64_t (*tick)(processor *p, int64_t mono_ms, bool all);
    void (*destroy)(processor *p);
    /* Whether intake should be refused at the moment (memory_limiter). Any thread. */
    bool (*refuses)(processor *p);
} processor_kind;

typedef struct processor_host {
    const sx_kit *kit;
    const sx_clock *clock;
    /* Resident bytes of this process, and what the machine has: for memory_limiter. NULL: the system's. */
    uint64_t (*memory_bytes)(void);
    uint64_t (*memory_total)(void);
    uint64_t hash_seed; /* of sampling without a seed of its own */
} processor_host;

struct processor {
    const processor_kind *kind;
    const component_id *id;
    const void *settings;
    const processor_host *host;
    void *state;
    void (*emit)(void *ctx, span_batch *b);
    void *emit_ctx;
    sx_counter *incoming, *outgoing, *dropped;
};

/* Hands a batch on; it stays the caller's. Empty ones go nowhere. */
void processor_emit(processor *p, span_batch *b);

/* Adds to a counter that may be NULL. */
void processor_count(sx_counter *c, uint64_t n);

/* A counter of this processor: NAME{processor="id"}; NULL without a registry. */
sx_counter *processor_counter(const processor *p, const char *name, const char *help);

sx_status processor_new(const processor_settings *settings, const processor_host *host,
                        void (*emit)(void *ctx, span_batch *b), void *ctx, processor **out,
                        sx_error *err);
void processor_free(processor *p);

/* The kinds there are; NULL after the last. */
extern const processor_kind *const PROCESSORS[];
extern const processor_kind PROCESSOR_ATTRIBUTES, PROCESSOR_BATCH, PROCESSOR_FILTER,
    PROCESSOR_MEMORY_LIMITER, PROCESSOR_RESOURCE, PROCESSOR_SAMPLER, PROCESSOR_TAIL,
    PROCESSOR_TRANSFORM;

#endif
