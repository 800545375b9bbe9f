/* jaeger_tags.h - what Jaeger's encodings have in common: references and tags that become fields.
 * Internal to observe/spans. */
#ifndef OBSERVE_SPANS_JAEGER_TAGS_H
#define OBSERVE_SPANS_JAEGER_TAGS_H

#include "observe/spans/intake.h"

typedef struct jaeger_ref {
    uint8_t trace_id[16], span_id[8];
    bool follows_from; /* else child-of */
} jaeger_ref;

/* A tag as it stands in the bytes: a member for each type, of which `type` says which counts. */
typedef struct jaeger_tag {
    sx_str key, text, bytes;
    int64_t number;
    double real;
    bool truth;
    span_type type;
} jaeger_tag;

typedef struct jaeger_intake {
    span_intake k;
    span_gather refs;
    span_resource *resource; /* of the batch's process */
} jaeger_intake;

void jaeger_intake_init(jaeger_intake *in, const span_limits *limits, span_batch *out,
                        span_refused *refused);
void jaeger_intake_done(jaeger_intake *in);

/* Gathers what was read, up to the limits: a tag of the list that began at `base`, or one more that was
 * dropped; an event of `s` since `base`, whose fields are gathered since `fields`; a reference. */
void jaeger_add_value(jaeger_intake *in, sx_str key, span_value value, size_t base,
                      uint32_t *dropped);
void jaeger_add_tag(jaeger_intake *in, const jaeger_tag *tag, size_t base, uint32_t *dropped);
void jaeger_add_event(jaeger_intake *in, span *s, size_t base, span_event event, size_t fields);
void jaeger_add_ref(jaeger_intake *in, jaeger_ref ref);

/* Makes the resource of a process whose tags are gathered since `base`, which go. NULL without memory. */
span_resource *jaeger_resource(jaeger_intake *in, sx_str service, size_t base);

/* Ends a span whose ids, times, name and events are set, whose tags are gathered since `tags` and whose
 * references since `refs`: fields out of tags, parent and links out of references. `scoped`: the tags
 * otel.scope.name and otel.scope.version become the scope (protobuf), or stay tags (Thrift). */
void jaeger_end_span(jaeger_intake *in, span *s, size_t tags, size_t refs, bool scoped);

/* An id of 8 bytes, and half of a trace id, from Thrift's signed number. */
void jaeger_put_id(uint8_t *out, int64_t number);

#endif
