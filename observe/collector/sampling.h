/* sampling.h - how clients are to sample: Jaeger's remote sampling.
 *
 * Two providers, one at a time. A file of strategies in Jaeger's form is read at the start and whenever
 * it changes; one that cannot be read is told and the old one stays. Without a file the answer adapts:
 * root spans tell by sampler.type and sampler.param how often an operation was sampled and with which
 * probability, and once an interval the probability of each is set such that about
 * `target_per_second` of its traces are sampled. Bounded by `operations_max`.
 * Source: jaeger-idl, proto/api_v2/sampling.proto; Jaeger 2, docs "Sampling" (file and adaptive).
 * Used by observe/api/sampling.c, fed by observe/traces_server.c. */
#ifndef OBSERVE_COLLECTOR_SAMPLING_H
#define OBSERVE_COLLECTOR_SAMPLING_H

#include <sextant/buf.h>
#include <sextant/clock.h>
#include <sextant/kit.h>

#include "observe/spans/span.h"

typedef struct sampling_options { /* 0 takes the default, which is Jaeger's */
    const char *file;             /* NULL: adaptive */
    double default_probability;   /* of the file's services without a strategy: 0.001 */
    double target_per_second;     /* of an operation's traces: 1 */
    double delta_tolerance;       /* 0.3: so far from the target nothing is changed */
    double initial_probability;   /* 0.001 */
    double min_probability;       /* 1e-5 */
    double min_per_second;        /* lower bound that clients keep: 1/60 */
    uint32_t calculation_buckets; /* intervals that count: 1 */
    uint32_t aggregation_buckets; /* intervals that an operation is remembered: 10 */
    int64_t interval_ms;          /* 1 min */
    int64_t delay_ms;             /* 2 min: what clients did since is not looked at yet. -1: 0 */
    uint32_t operations_max;      /* 10,000 */
    const sx_clock *clock;        /* NULL: the system's */
    sx_log *log;                  /* may be NULL */
} sampling_options;

typedef struct sampling sampling;

/* Errors: of the file, with its name and the place in it. */
sx_status sampling_new(const sampling_options *options, sampling **out, sx_error *err);
void sampling_free(sampling *s);

/* Counts root spans. Any thread. Nothing with a file. */
void sampling_take(sampling *s, const span_batch *b);

/* Calculates, or looks whether the file has changed, when it is time; one call at a time. A thread
 * calls it once sampling_start was called. */
void sampling_tick(sampling *s);
sx_status sampling_start(sampling *s, sx_error *err);

/* Whether a reload would take up the file. Any thread. */
sx_status sampling_check_file(const sampling *s, sx_error *err);
/* Reads the file again, changed or not. Any thread. */
sx_status sampling_reload(sampling *s, sx_error *err);

/* Reads what would be in the file, only to tell what is wrong with it. `warnings` (may be NULL) gets a
 * line about each part that would be left out.
 *   errors  SX_EFORMAT "line L, column C (byte B): …"; SX_ENOMEM */
sx_status sampling_check(sx_str text, sx_buf *warnings, sx_error *err);

/* --- Answers. Any thread. */
typedef enum sampling_form {
    SAMPLING_JSON,   /* /sampling: strategyType is a word */
    SAMPLING_LEGACY, /* /: strategyType is a number, as Thrift 0.9.2 has it */
    SAMPLING_PROTO,  /* SamplingStrategyResponse */
} sampling_form;

/* Appends the strategy of a service; a failed buffer tells of memory. */
void sampling_answer(sampling *s, sx_str service, sampling_form form, sx_buf *out);

#endif
