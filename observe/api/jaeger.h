/* jaeger.h - Jaeger's HTTP API v1 over our store: what its handlers share.
 *
 * The same handlers answer on the main port and on --jaeger.query. Errors are JSON under text/plain,
 * as the peer's are. Used by observe/api alone. */
#ifndef OBSERVE_API_JAEGER_H
#define OBSERVE_API_JAEGER_H

#include "observe/api/api.h"
#include "observe/jaeger/ui.h"
#include "observe/jaeger/v1.h"

/* What every handler begins with: the parameters of the address, and limits for the store. False: the
 * answer (an error) is written already. */
typedef struct jaeger_ask {
    jaeger_params params;
    tr_limits limits;
    uint64_t now_ns;
    bool pretty;
} jaeger_ask;
bool jaeger_ask_begin(api_call *c, jaeger_ask *ask);

/* The whole answer of an error; what was written is forgotten, or the answer is cut off if some of it
 * has gone out. */
void jaeger_fail(api_call *c, int status, sx_str message);
/* The same for an error of the store, whose status tells the kind. */
void jaeger_fail_store(api_call *c, const sx_error *err);

/* A JSON answer in `ui`: its pieces go to the call. To be given to jaeger_ui_done. */
void jaeger_answer(api_call *c, const jaeger_ask *ask, jaeger_ui *ui);

/* Reads a trace, from the archive if the store has lost it, and adjusts it unless it is wanted raw.
 * SX_ENOTFOUND: there is none between the times. */
sx_status jaeger_read_trace(api_call *c, const jaeger_ask *ask, const jaeger_v1_get *get,
                            span_batch *out, const jaeger_notes **notes, bool *partial,
                            sx_error *err);

#endif
