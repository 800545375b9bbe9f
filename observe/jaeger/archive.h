/* archive.h - traces that somebody asked to keep beyond the store's retention.
 *
 * They lie in a store of their own, which all of Jaeger's APIs look into where the first one has lost a
 * trace. Called by observe/api/jaeger.c, jaeger_more.c and the services in observe/jaeger. */
#ifndef OBSERVE_JAEGER_ARCHIVE_H
#define OBSERVE_JAEGER_ARCHIVE_H

#include "observe/traces/store.h"

/* `open` gives the store of archived traces, which stays its owner's and is made if `make` says so;
 * *out stays NULL if there is none. NULL: nothing is archived. Any thread. */
typedef struct jaeger_archive {
    sx_status (*open)(void *ctx, bool make, tr_store **out, sx_error *err);
    void *ctx;
} jaeger_archive;

/* A trace, and the bounds of its spans' starts in Unix nanoseconds; 0: none. */
typedef struct jaeger_which {
    const uint8_t *trace_id; /* 16 bytes */
    uint64_t min_ns, max_ns;
} jaeger_which;

/* Reads a trace into `out`, from the archive if the store has nothing of it; out->count 0: there is
 * none. *partial tells that a limit ended it. Errors are the stores'. */
sx_status jaeger_read(tr_store *store, const jaeger_archive *archive, const jaeger_which *which,
                      const tr_limits *limits, span_batch *out, bool *partial, sx_error *err);

/* Puts a trace, of one span at least, into the archive unless it is there already; the batch stays the
 * caller's. SX_EUNSUPPORTED: there is no archive; or the errors of tr_store_append. */
sx_status jaeger_keep(const jaeger_archive *archive, span_batch *trace, const tr_limits *limits,
                      sx_error *err);

#endif
