/* sink.h - where spans go: the one interface between receivers, pipelines and the store. */
#ifndef OBSERVE_SPANS_SINK_H
#define OBSERVE_SPANS_SINK_H

#include "observe/spans/span.h"

typedef struct span_sink {
    /* Takes all spans of a batch, or none. The batch is the caller's: who keeps it takes a reference.
     * Any thread, several at a time; may wait for the disk.
     *   errors  SX_ELIMIT: full at the moment, the client should come again (429, RESOURCE_EXHAUSTED);
     *           SX_REFUSED: the disk is full (503, UNAVAILABLE); others 500, INTERNAL */
    sx_status (*take)(void *ctx, span_batch *b, sx_error *err);
    void *ctx;
    bool keeps; /* may hold the batch after `take` has returned: its bytes must then be its own */
} span_sink;

#endif
