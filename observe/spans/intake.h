/* intake.h - what all readers of spans share: limits, lists that grow, text that is mended and cut,
 * spans that are refused. Internal to observe/spans. */
#ifndef OBSERVE_SPANS_INTAKE_H
#define OBSERVE_SPANS_INTAKE_H

#include "observe/spans/otlp.h"

/* Members of lists whose end has not come: a stack; a list inside a list gathers above it. */
typedef struct span_gather {
    char *items;
    size_t count, cap, size;
} span_gather;

typedef struct span_intake {
    span_batch *batch;
    span_limits limits;
    span_refused *refused;
    span_gather attrs, values, events, links;
    const span_scope *scope; /* the one made last: nearly always the one that is wanted next */
    bool changed;            /* the batch is no longer what the bytes say */
    bool no_memory;
} span_intake;

/* Defaults filled in; nothing allocated. `refused` may be NULL. */
void span_intake_init(span_intake *in, const span_limits *limits, span_batch *out,
                      span_refused *refused);
void span_intake_done(span_intake *in);

/* SX_ENOMEM or SX_ELIMIT if memory ran out while reading `what`, else SX_OK. */
sx_status span_intake_status(const span_intake *in, const char *what, sx_error *err);

/* A zeroed member on top; NULL, and no_memory is set, without memory. */
void *span_gather_add(span_intake *in, span_gather *g);

/* What was gathered since `base`, in the batch's arena; the stack is back at base. NULL for none. */
const void *span_gather_take(span_intake *in, span_gather *g, size_t base, uint32_t *count);

/* A scope of this name and version, shared by the spans that follow each other. NULL, and no_memory is
 * set, without memory. */
const span_scope *span_intake_scope(span_intake *in, sx_str name, sx_str version);

/* An id of `len` bytes (16: a trace's, which may come as 8): zeros in front of a shorter one, zero for
 * a longer one. */
void span_intake_id(uint8_t *id, size_t len, sx_str bytes);

/* Text from outside: bytes that are no UTF-8 become U+FFFD one by one, too long ones are cut. */
sx_str span_intake_text(span_intake *in, sx_str s);
/* Bytes: cut. */
sx_str span_intake_bytes(span_intake *in, sx_str s);

/* Takes the span added last out of the batch again and says why. */
void span_intake_refuse(span_intake *in, const span *s, const char *why) SX_COLD;

/* Refuses the span added last if an id is all zero or there are too many of them. */
void span_intake_check(span_intake *in, const span *s);

static inline void span_value_set(span_value *v, sx_str s, span_type type)
{
    v->data = s.data;
    v->len = (uint32_t)s.len;
    v->type = type;
}

#endif
