/* trace.h - spans: what a request did, where its time went, and who asked for it.
 *
 *     sx_span span;
 *     sx_span_start(&span, tracer, &(sx_span_options){.name = SX_STR("charge card"),
 *         .parent = sx_context_span(), .kind = SX_SPAN_CLIENT});
 *     sx_span_set(&span, &(sx_field){...}, 1);    or SX_SPAN_SET(&span, sx_field_z("card", "visa"));
 *     ...
 *     sx_span_end(&span);
 *
 * How it is cheap. The caller owns the small sx_span (on its stack, in its request's arena); only a
 * span that is sampled takes a record from its thread's pool. Attributes are encoded as OTLP protobuf
 * when they are set, the rest when the span ends, straight into the lane of the thread that ends it
 * (telemetry/otlp_sink.h): the exporter's thread only strings the pieces together. Nothing is
 * allocated for a span in the steady state, and one that is not sampled costs its ids.
 *
 * A span is one thread's at a time; it may be started on one and ended on another.
 *
 * The context of the work in hand (context.h) carries the ids from the request to the calls that it
 * makes. Sources: W3C Trace Context (level 2), W3C Baggage, B3 propagation (openzipkin), Jaeger client
 * libraries' uber-trace-id, OpenTelemetry specification 1.x (trace API and SDK). */
#ifndef SEXTANT_TRACE_H
#define SEXTANT_TRACE_H

#include <sextant/arena.h>
#include <sextant/clock.h>
#include <sextant/error.h>
#include <sextant/log.h>
#include <sextant/metrics.h>

SX_BEGIN_DECLS

typedef struct sx_tracer sx_tracer;
typedef struct sx_otlp sx_otlp; /* otlp.h: where ended spans go */

enum {
    SX_TRACE_ID_BYTES = 16,
    SX_SPAN_ID_BYTES = 8,
    SX_TRACEPARENT_BYTES = 56,  /* 55 characters and a NUL */
    SX_TRACESTATE_MAX = 512,    /* characters kept; W3C: at least 512 */
    SX_TRACESTATE_MEMBERS = 32, /* W3C: at most 32 */
    SX_BAGGAGE_MAX = 8192,      /* W3C: at least 8192 bytes */
    SX_BAGGAGE_MEMBERS = 64     /* W3C: at least 64 */
};

/* What crosses process borders. All ids zero: none. */
typedef struct sx_span_context {
    uint8_t trace_id[SX_TRACE_ID_BYTES];
    uint8_t span_id[SX_SPAN_ID_BYTES];
    uint8_t flags;     /* SX_TRACE_...; what W3C knows of them is flags & SX_TRACE_W3C */
    bool remote;       /* came from outside */
    sx_str tracestate; /* borrowed; empty: none */
} sx_span_context;

/* Of sx_span_context.flags. The first two are W3C's and travel as they are; the others are what B3
 * and Jaeger say besides, and never leave the process as numbers. */
enum {
    SX_TRACE_SAMPLED = 1,
    SX_TRACE_RANDOM = 2, /* the last 7 bytes of the trace id are random (level 2) */
    SX_TRACE_W3C = 3,
    SX_TRACE_DEFERRED = 32, /* ids without a decision (B3): the sampler is asked */
    SX_TRACE_DEBUG = 64,    /* sampled because somebody is looking for a fault (B3, Jaeger) */
    SX_TRACE_DECIDED = 128  /* a decision without ids (B3): for the trace that begins here */
};

/* Whether both ids are set. */
bool sx_span_context_valid(const sx_span_context *c); /* NULL is not */

/* Lower-case hex with a NUL: 32 and 16 digits. */
void sx_trace_id_hex(const sx_span_context *c, char out[33]);
void sx_span_id_hex(const sx_span_context *c, char out[17]);

/* ---- propagation ---- */

/* One bit each; a set of them says what is read and what is sent. */
typedef enum sx_propagator {
    SX_PROPAGATE_W3C = 1, /* traceparent, tracestate */
    SX_PROPAGATE_BAGGAGE = 2,
    SX_PROPAGATE_B3 = 4,       /* b3: one field */
    SX_PROPAGATE_B3_MULTI = 8, /* x-b3-traceid and so on */
    SX_PROPAGATE_JAEGER = 16,  /* uber-trace-id */
    SX_PROPAGATE_NONE = 32     /* alone: nothing is read or sent; 0 is the default set */
} sx_propagator;

/* How a carrier is asked for a field by lower-case name: data NULL if it has none, and the values of
 * several fields of that name joined with ',' where the protocol allows it (tracestate, baggage). */
typedef sx_str sx_carrier_get(const void *carrier, sx_str name);

/* Reads the caller's context: the first of W3C, B3, B3 multi, Jaeger in `propagators` that is there
 * and right (what is wrong counts as not there, as the specifications ask). *out is zero if there is
 * none, except that a B3 decision without ids sets SX_TRACE_DECIDED. Views point into the carrier.
 * HOT: with sx_traceparent_write and the making of an id 200 ns. */
void sx_trace_extract(unsigned propagators, sx_carrier_get *get, const void *carrier,
                      sx_span_context *out);

/* The caller's baggage if SX_PROPAGATE_BAGGAGE is in `propagators` and it is right, else empty. Points
 * into the carrier. */
sx_str sx_baggage_extract(unsigned propagators, sx_carrier_get *get, const void *carrier);

/* The parsers by themselves: false, *out untouched, if the text is not right. Any bytes.
 * W3C Trace Context section 3.2 (versions above 00 by its rules); B3's single form, where "0", "1" and
 * "d" alone give only a decision (SX_TRACE_DECIDED, no ids) and ids alone only SX_TRACE_DEFERRED;
 * Jaeger's four parts, their colons also percent-encoded. Ids of B3 and Jaeger that are shorter than
 * ours get zeros in front. */
bool sx_traceparent_parse(sx_str text, sx_span_context *out);
bool sx_b3_parse(sx_str text, sx_span_context *out);
bool sx_uber_trace_id_parse(sx_str text, sx_span_context *out);

/* Writes traceparent with its NUL. */
void sx_traceparent_write(const sx_span_context *c, char out[SX_TRACEPARENT_BYTES]);

/* tracestate as it may be passed on: `text` itself if it follows the grammar of level 2, section 3.3
 * (at most SX_TRACESTATE_MEMBERS, SX_TRACESTATE_MAX characters), else empty. A key that is there twice
 * is passed on as it came, which the W3C leaves open. */
sx_str sx_tracestate_check(sx_str text);

/* baggage: `text` itself if it follows the grammar and the limits, else empty. Empty members are
 * allowed, as joined header fields make them (RFC 9110, section 5.6.1). W3C Baggage, section 3.3. */
sx_str sx_baggage_check(sx_str text);

/* Walks checked baggage: the next member's key and value, still percent-encoded, without its
 * properties. False at the end. */
bool sx_baggage_next(sx_str *rest, sx_str *key, sx_str *value);

/* One field for a call: its name and text. */
typedef struct sx_inject_field {
    sx_str name, value;
} sx_inject_field;
enum { SX_INJECT_FIELDS = 8, SX_INJECT_BYTES = 256 };
/* What a call to another service should carry: at most SX_INJECT_FIELDS fields are written into
 * `fields`, their texts into `room` (SX_INJECT_BYTES); tracestate and baggage are borrowed from the
 * arguments. `c` may be NULL or invalid (then there is only baggage, and a B3 decision if that is what
 * it has), `baggage` empty. Names are lower-case. Returns how many. HOT. */
size_t sx_trace_inject(unsigned propagators, const sx_span_context *c, sx_str baggage,
                       sx_inject_field fields[SX_INJECT_FIELDS], char room[SX_INJECT_BYTES]);

/* ---- the tracer ---- */

typedef enum sx_span_kind { /* OTLP's numbers */
                            SX_SPAN_INTERNAL = 1,
                            SX_SPAN_SERVER = 2,
                            SX_SPAN_CLIENT = 3,
                            SX_SPAN_PRODUCER = 4,
                            SX_SPAN_CONSUMER = 5
} sx_span_kind;

typedef enum sx_span_outcome {
    SX_SPAN_UNSET = 0,
    SX_SPAN_OK = 1,
    SX_SPAN_ERROR = 2
} sx_span_outcome;

/* A rule of sampling: the first whose given parts all fit decides. */
typedef struct sx_sampling_rule {
    sx_str name;           /* of the span, with '*' for any run; empty: any */
    int kind;              /* sx_span_kind; 0: any */
    sx_str key;            /* of an attribute given at the start; empty: none is asked for */
    sx_str value;          /* its text (42, true), with '*'; empty: any */
    double ratio;          /* share of its traces that is kept: 0 to 1 */
    double per_second_max; /* and at most so many a second; 0: any number. What was not used is
                              saved up, to at most a second's worth and at least one */
} sx_sampling_rule;

typedef struct sx_sampling {       /* zero: the parent's decision, else all */
    bool ignore_parent;            /* decide anew for each span: not "parentbased_" */
    const sx_sampling_rule *rules; /* asked in order; copied */
    size_t rule_count;
    bool ratio_set;        /* else `ratio` counts as 1 */
    double ratio;          /* of what no rule fits, by trace id as OpenTelemetry's traceidratio */
    double per_second_max; /* of the same; 0: any number */
} sx_sampling;

/* Reads OTEL_TRACES_SAMPLER (always_on, always_off, traceidratio, parentbased_always_on,
 * parentbased_always_off, parentbased_traceidratio; also rate_limited and parentbased_rate_limited,
 * whose argument is spans a second) and its argument. Errors: SX_EINVAL with the words it knows. */
sx_status sx_sampling_parse(sx_str sampler, sx_str argument, sx_sampling *out, sx_error *err);

typedef struct sx_tracer_options { /* 0 or NULL takes the default */
    sx_otlp *otlp; /* where spans go; NULL, or one that does not export spans: ids and sampling
                      decisions are made and passed on, nothing is recorded */
    sx_sampling sampling;
    unsigned propagators;    /* SX_PROPAGATE_W3C | SX_PROPAGATE_BAGGAGE */
    uint32_t attributes_max; /* 128 a span; further ones are counted as dropped, as all here */
    uint32_t events_max;     /* 128 */
    uint32_t links_max;      /* 128 */
    uint32_t event_attributes_max; /* 128 an event or link */
    uint32_t
        value_bytes_max; /* 4096 of an attribute's text; longer ones are cut between code points */
    uint32_t span_bytes_max; /* 65535 of an encoded span, which is also the most; least 8192 */
    const sx_clock *clock;   /* the system's */
    sx_metrics *metrics;     /* where it counts itself; NULL: nowhere */
} sx_tracer_options;

/* A tracer; `options` may be NULL. Errors: SX_ENOMEM, SX_EINVAL (the sampling). */
sx_status sx_tracer_new(const sx_tracer_options *options, sx_tracer **out, sx_error *err);

/* Frees it; no span of it may be under way. NULL is allowed. */
void sx_tracer_free(sx_tracer *tracer);

/* Changes the sampling while it runs. Any thread. Rates begin anew, unless the same settings were in
 * force before. Errors: SX_ENOMEM, SX_EINVAL. */
sx_status sx_tracer_sampling_set(sx_tracer *tracer, const sx_sampling *sampling, sx_error *err);

/* What it reads and sends. */
unsigned sx_tracer_propagators(const sx_tracer *tracer);

/* ---- spans ---- */

/* The caller's; its members are read by anybody and written by these functions alone. */
typedef struct sx_span {
    sx_span_context context; /* its own ids */
    uint8_t parent_id[SX_SPAN_ID_BYTES];
    struct sx_span_record *record; /* NULL: not recorded */
    sx_tracer *tracer;
    int64_t start_mono_ns;
    void *reserved[2];
} sx_span;

typedef struct sx_span_link {
    sx_span_context context;
    const sx_field *attributes;
    size_t attribute_count;
} sx_span_link;

typedef struct sx_span_options {
    sx_str name;
    sx_span_kind kind;             /* 0: internal */
    const sx_span_context *parent; /* NULL or invalid: a new trace */
    int64_t start_wall_ns;         /* 0: now */
    int64_t
        start_mono_ns; /* 0: now; the duration is counted from it, whatever the wall clock does */
    const sx_field *attributes; /* the sampler sees these */
    size_t attribute_count;
    const sx_span_link *links;
    size_t link_count;
} sx_span_options;

/* Starts a span. Never fails: without memory or sampling it is not recorded. `tracer` NULL: its ids
 * are the parent's. tracestate stays borrowed from the parent; a root has none. A span that is not
 * sampled costs its ids: no clock is read for it (start_mono_ns is 0). `parent` is not this very
 * span's own context. HOT: 60 ns unsampled. */
void sx_span_start(sx_span *span, sx_tracer *tracer, const sx_span_options *options);

/* Whether what is set will be exported: ask before costly attributes. */
static inline bool sx_span_recording(const sx_span *s)
{
    return s && s->record != NULL;
}

/* Sets attributes; one set before under the same key is replaced. Copied. An SX_FIELD_JSON is taken as
 * an attribute of its JSON: arrays and objects become OTLP's arrays and key-value lists. */
void sx_span_set(sx_span *span, const sx_field *fields, size_t count);

/* Sets an attribute that is a list of texts, such as the values of a header. Counts, limits and
 * replacing as above; value_bytes_max is for each text. */
void sx_span_set_texts(sx_span *span, const char *key, const sx_str *values, size_t count);

/* Replaces the name (a route found after the start). A name is cut at 1024 bytes. */
void sx_span_rename(sx_span *span, sx_str name);

/* An event now. sx_span_error records an event "exception" with `type` and `message` and sets the
 * status ERROR. */
void sx_span_event(sx_span *span, sx_str name, const sx_field *fields, size_t count);
void sx_span_error(sx_span *span, sx_str type, sx_str message);

/* A link to another span. */
void sx_span_link_add(sx_span *span, const sx_span_link *link);

/* The outcome; OK is final, ERROR beats UNSET. `message` counts for ERROR only. */
void sx_span_outcome_set(sx_span *span, sx_span_outcome outcome, sx_str message);

/* Ends it and hands it to the exporter. A second call does nothing. HOT: with the start and three
 * attributes 500 ns. */
void sx_span_end(sx_span *span);

/* Gives a recorded span up without exporting it. */
void sx_span_drop(sx_span *span);

/* Fields given in place, evaluated only if the span is recorded. */
#define SX_SPAN_SET(span, ...)                                                                     \
    do {                                                                                           \
        sx_span *sx_span_to = (span);                                                              \
        if (sx_span_recording(sx_span_to)) {                                                       \
            const sx_field sx_span_fields[] = {__VA_ARGS__};                                       \
            sx_span_set(sx_span_to, sx_span_fields, SX_COUNT_OF(sx_span_fields));                  \
        }                                                                                          \
    } while (0)

SX_END_DECLS

#endif
