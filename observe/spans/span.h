/* span.h - spans on their way: an intake request decoded once, shared by the store and all pipelines.
 *
 * Every wire format (OTLP, Jaeger's Thrift and protobuf, Zipkin) is read into one batch: spans whose
 * text and values are views into the request's body or the batch's arena. A batch is immutable once
 * it is finished and counted by references, so pipelines fan out without copying spans; a processor
 * that changes some makes a new batch, which holds the old one and shares what it did not change.
 * The model is OTLP's (opentelemetry/proto/trace/v1/trace.proto); what Jaeger and Zipkin have besides
 * is kept in attributes under the names that Jaeger 2 gives it.
 *
 * Made by observe/spans' readers, read by observe/traces (store), collector, jaeger and tempo. */
#ifndef OBSERVE_SPANS_SPAN_H
#define OBSERVE_SPANS_SPAN_H

#include <stdatomic.h>

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

typedef enum span_type {
    SPAN_EMPTY, /* an AnyValue with nothing set */
    SPAN_STR,
    SPAN_BOOL,
    SPAN_INT,
    SPAN_DOUBLE,
    SPAN_BYTES,
    SPAN_LIST, /* members without keys */
    SPAN_MAP
} span_type;

struct span_attr;

typedef struct span_value {
    union {
        const char *data; /* STR, BYTES */
        int64_t i;        /* INT; BOOL: 0 or 1 */
        double d;
        const struct span_value *items;  /* LIST */
        const struct span_attr *members; /* MAP */
    };
    uint32_t len;  /* bytes, items or members */
    uint32_t type; /* span_type */
} span_value;

typedef struct span_attr {
    const char *key;
    uint32_t key_len;
    span_value value;
} span_attr;

typedef struct span_attrs {
    const span_attr *items;
    uint32_t count;
    uint32_t dropped; /* as the client said */
} span_attrs;

typedef struct span_resource {
    span_attrs attrs;
    sx_str schema_url;
    sx_str service; /* service.name as text; empty if there is none */
} span_resource;

typedef struct span_scope {
    sx_str name, version, schema_url;
    span_attrs attrs;
} span_scope;

typedef struct span_event {
    uint64_t time_ns;
    sx_str name;
    span_attrs attrs;
} span_event;

typedef struct span_link {
    uint8_t trace_id[16], span_id[8];
    sx_str trace_state;
    uint32_t flags;
    span_attrs attrs;
} span_link;

/* OTLP's numbers. */
typedef enum span_kind {
    SPAN_UNSPECIFIED,
    SPAN_INTERNAL,
    SPAN_SERVER,
    SPAN_CLIENT,
    SPAN_PRODUCER,
    SPAN_CONSUMER
} span_kind;
typedef enum span_status { SPAN_UNSET, SPAN_OK, SPAN_ERROR } span_status;

typedef struct span {
    uint8_t trace_id[16]; /* all zero is refused by readers */
    uint8_t id[8];
    uint8_t parent[8];         /* all zero: a root */
    uint64_t start_ns, end_ns; /* as sent: an end before the start stays one */
    sx_str name, trace_state, status_message;
    span_attrs attrs;
    const span_event *events;
    const span_link *links;
    uint32_t event_count, link_count, dropped_events, dropped_links;
    uint32_t flags;
    uint8_t kind;   /* span_kind; a number from the wire that is none of them becomes UNSPECIFIED */
    uint8_t status; /* span_status; the same: UNSET */
    const span_resource *resource; /* never NULL */
    const span_scope *scope;       /* never NULL */
} span;

typedef struct span_batch {
    const span **spans; /* those of one resource and scope stand together */
    size_t count, cap;
    /* --- span.c's own from here on, and the readers' while they fill it. */
    atomic_uint refs;
    sx_arena arena; /* spans, attributes, unescaped text */
    sx_buf body;    /* the request, if the batch was given it to keep */
    sx_str otlp;    /* the whole batch as an OTLP ExportTraceServiceRequest in protobuf, if it
                                   came as one and nothing was refused: the log takes it as it is */
    struct span_batch **held;
    size_t held_count, held_cap;
} span_batch;

/* An empty batch with one reference. `memory_max` bounds its arena (0: 256 MiB). NULL without memory. */
span_batch *span_batch_new(size_t memory_max);

/* Takes over `body` (left empty): views into it are good as long as the batch. */
void span_batch_keep(span_batch *b, sx_buf *body);

/* One more reference; one less, and the last frees. Any thread. */
span_batch *span_batch_ref(span_batch *b);
void span_batch_unref(span_batch *b);

/* Whether one of its spans began within the bounds in Unix nanoseconds; a `max_ns` of 0 is none. */
bool span_batch_touches(const span_batch *b, uint64_t min_ns, uint64_t max_ns);

/* Empties a batch that nobody else refers to; keeps its memory for the next round. */
void span_batch_reset(span_batch *b);

/* `b` holds `other` from now on (once, however often it is called): its spans may be put in b. */
sx_status span_batch_hold(span_batch *b, span_batch *other, sx_error *err);

/* Puts a span at the end; a new zeroed one in the arena (NULL without memory). */
sx_status span_batch_put(span_batch *b, const span *s, sx_error *err);
span *span_batch_add(span_batch *b);

/* A copy of one span of a held batch, to be changed: attributes, events and links are still shared.
 * NULL without memory. */
span *span_batch_copy(span_batch *b, const span *s);

/* Sets `service` from the attributes: the text of service.name. False without memory. */
bool span_resource_name(sx_arena *arena, span_resource *r);

/* The attribute called `key`, the first if there are several; NULL: none. */
const span_value *span_attrs_find(span_attrs attrs, sx_str key);

static inline sx_str span_attr_key(const span_attr *a)
{
    return sx_str_of(a->key, a->key_len);
}

/* The text of a STR (or BYTES); empty for others. */
static inline sx_str span_value_str(const span_value *v)
{
    return v->type == SPAN_STR || v->type == SPAN_BYTES ? sx_str_of(v->data, v->len)
                                                        : sx_str_of(NULL, 0);
}

/* Appends a value as Jaeger writes it as text: numbers in Go's shortest form, true, false, lists and
 * maps as JSON, bytes in base64. A failed buffer tells of memory. */
void span_value_text(const span_value *v, sx_buf *out);

/* Same type and value; NaN equals NaN; members of maps in any order. */
bool span_value_eq(const span_value *a, const span_value *b);

/* The same keys and values in the same order; what was dropped does not count. */
bool span_attrs_eq(span_attrs a, span_attrs b);

/* A value with all it points to, copied into an arena. False without memory. */
bool span_value_copy(sx_arena *arena, const span_value *v, span_value *out);

#endif
