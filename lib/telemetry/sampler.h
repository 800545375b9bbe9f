/* sampler.h - which traces are kept: an immutable set of rules that a tracer asks.
 *
 * Made from an sx_sampling, with its texts copied; a tracer swaps a new one in while spans are
 * started and keeps the old ones until it is freed (tracer.c). The only thing in it that changes is
 * when each rate limit is ready again, an atomic number. */
#ifndef SEXTANT_TELEMETRY_SAMPLER_H
#define SEXTANT_TELEMETRY_SAMPLER_H

#include <sextant/trace.h>

typedef struct sx_sampler sx_sampler;

/* Checks and copies. Errors: SX_EINVAL (a ratio that is none, a negative rate, too many rules),
 * SX_ENOMEM. */
sx_status sx_sampler_new(const sx_sampling *sampling, sx_sampler **out, sx_error *err);
void sx_sampler_free(sx_sampler *s);

/* Whether both would decide the same. */
bool sx_sampler_equal(const sx_sampler *a, const sx_sampler *b);

/* What is known when a span starts. */
typedef struct sx_sampler_question {
    const uint8_t *trace_id;       /* the new span's */
    const sx_span_context *parent; /* NULL: none */
    const sx_span_options *span;
    const sx_clock *clock;
} sx_sampler_question;

/* Whether it is kept. Any thread. Allocates nothing. HOT. */
bool sx_sampler_decide(sx_sampler *s, const sx_sampler_question *q);

/* The chain of those that a tracer has used, owned by the tracer. */
sx_sampler **sx_sampler_older(sx_sampler *s);

/* Whether `text` fits `pattern`, in which '*' stands for any run of bytes. */
bool sx_glob_fits(sx_str pattern, sx_str text);

#endif
