/* ui.h - traces as the JSON of Jaeger's HTTP API v1, which its UI, Grafana and scripts read.
 *
 *     jaeger_ui ui;
 *     jaeger_ui_init(&ui, pretty, push, ctx);
 *     jaeger_ui_begin(&ui);                              {"data":[
 *     while (more)
 *         jaeger_ui_trace(&ui, trace, notes, &err);      {"traceID":...,"spans":[...],"processes":{...}}
 *     jaeger_ui_end(&ui, &(jaeger_ui_tail){0});          ],"total":0,...}
 *     jaeger_ui_done(&ui);
 *
 * The answer goes out in pieces while it is made, so the largest trace needs no more memory than its
 * spans. Source: Jaeger's uimodel, as answers of 1.76 and 2.20 show it. */
#ifndef OBSERVE_JAEGER_UI_H
#define OBSERVE_JAEGER_UI_H

#include "observe/jaeger/search.h"

typedef struct jaeger_ui {
    sx_buf out; /* compact */
    bool (*push)(void *ctx,
                 sx_str piece); /* false: the client has gone. NULL: all stays in `out` */
    void *ctx;
    bool pretty, gone;
    size_t traces;
    sx_arena arena; /* of one trace */
    /* --- of the indented form */
    sx_buf shown;
    unsigned depth;
    bool in_string, escaped, opened;
} jaeger_ui;

void jaeger_ui_init(jaeger_ui *ui, bool pretty, bool (*push)(void *ctx, sx_str piece), void *ctx);
void jaeger_ui_done(jaeger_ui *ui);

void jaeger_ui_begin(jaeger_ui *ui);
/* One trace; spans of other traces in the batch are written as they are. `notes` may be NULL.
 * Errors: SX_ECANCELED (nobody takes it any more), SX_ENOMEM. */
sx_status jaeger_ui_trace(jaeger_ui *ui, const span_batch *trace, const jaeger_notes *notes,
                          sx_error *err);

/* What `errors` says. */
typedef struct jaeger_fault {
    int code; /* 0: left out */
    sx_str msg;
    const uint8_t *trace_id; /* NULL: left out */
} jaeger_fault;
/* A list of errors as JSON: null without any. */
void jaeger_ui_faults(sx_buf *out, const jaeger_fault *faults, size_t count);

typedef struct jaeger_ui_tail {
    size_t total;
    const jaeger_fault *faults;
    size_t fault_count;
    const tr_hit *next; /* where the next page begins; NULL: nextPage is left out */
} jaeger_ui_tail;
sx_status jaeger_ui_end(jaeger_ui *ui, const jaeger_ui_tail *tail, sx_error *err);

/* For answers that are no traces: hands out what was put into ui->out so far. */
sx_status jaeger_ui_flush(jaeger_ui *ui, sx_error *err);

/* A cursor as text, and back. False: it is none. */
void jaeger_cursor_write(sx_buf *out, const tr_hit *hit);
bool jaeger_cursor_read(sx_str text, tr_hit *hit);

void jaeger_put_hex(sx_buf *out, const uint8_t *id, size_t len);

#endif
