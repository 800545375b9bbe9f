/* row_span.h - a row as a span, for memtables and segments: both have rows in the structs of rows.h and
 * differ in where texts lie and what of a span is copied once for many. Internal to observe/traces. */
#ifndef OBSERVE_TRACES_ROW_SPAN_H
#define OBSERVE_TRACES_ROW_SPAN_H

#include "observe/traces/rows.h"

typedef struct tr_row_source tr_row_source;

struct tr_row_source {
    const tr_cell *cells;
    const tr_event *events;
    const tr_link *links;
    const tr_resource *resources;
    const tr_scope *scopes;
    sx_arena *arena;  /* of the spans that are made */
    const char *what; /* memory was wanted for */
    sx_error *err;

    /* A text and a value in the arena. */
    sx_status (*text)(tr_row_source *s, uint32_t code, sx_str *out);
    sx_status (*value)(tr_row_source *s, const tr_cell *cell, span_value *out);
    /* Where what was made of a resource or scope is kept for the rows to come; NULL lies there until it
     * is made. */
    const span_resource **(*resource)(tr_row_source *s, uint32_t i);
    const span_scope **(*scope)(tr_row_source *s, uint32_t i);
};

/* Fills a zeroed span with what is wanted of the row (tr_want). */
sx_status tr_row_span(tr_row_source *s, const tr_row *row, unsigned want, span *out);

sx_status tr_row_no_memory(const tr_row_source *s);

#endif
