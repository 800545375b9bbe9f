/* sampling_impl.h - strategies between their providers and their forms. */
#ifndef OBSERVE_COLLECTOR_SAMPLING_IMPL_H
#define OBSERVE_COLLECTOR_SAMPLING_IMPL_H

#include <pthread.h>

#include <sextant/arena.h>
#include <sextant/map.h>

#include "observe/collector/sampling.h"

typedef struct sampling_operation {
    sx_str name;
    double rate;
} sampling_operation;

typedef struct sampling_strategy {
    bool limiting; /* `per_second` is what counts, else `rate` */
    bool plain;    /* probabilisticSampling or rateLimitingSampling is there */
    double rate;
    int32_t per_second;
    bool by_operation; /* operationSampling is there */
    double default_rate, lower_bound;
    const sampling_operation *operations;
    size_t operation_count;
} sampling_strategy;

/* --- sampling_file.c: a file's strategies, immutable once read. */
typedef struct sampling_file {
    sx_arena arena;
    sampling_strategy fallback;
    sx_map services; /* of sampling_strategy */
} sampling_file;

/* `warnings` gathers lines about what is left out; may be NULL. Errors: SX_EFORMAT with the place. */
sx_status sampling_file_parse(sx_str text, double default_probability, sampling_file **out,
                              sx_buf *warnings, sx_error *err);
void sampling_file_free(sampling_file *f);
const sampling_strategy *sampling_file_find(const sampling_file *f, sx_str service);

/* --- sampling_adaptive.c. */
typedef struct adaptive adaptive;
sx_status adaptive_new(const sampling_options *o, adaptive **out, sx_error *err);
void adaptive_free(adaptive *a);
void adaptive_take(adaptive *a, const span_batch *b);
void adaptive_tick(adaptive *a, int64_t mono_ms);
/* The strategy of a service, in the arena; operations by name. False without memory. */
bool adaptive_find(adaptive *a, sx_str service, sx_arena *arena, sampling_strategy *out);

#endif
