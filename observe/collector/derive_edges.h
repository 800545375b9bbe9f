/* derive_edges.h - the dependency graph of a time range from the metric store.
 *
 * Beside tr_store_edges(): that one counts parents and children of the spans that are stored, as Jaeger
 * does, exactly and only as far back as traces are kept. This one sums what the service graph counted:
 * it knows databases, queues and users as nodes, failures and times, lasts as long as metrics do and
 * counts what sampling or retention has taken away since; but it begins with the process and is as fine
 * as the flush interval. /api/dependencies is to use the first (a peer's numbers), the service map and
 * ranges beyond the traces' retention the second. */
#ifndef OBSERVE_COLLECTOR_DERIVE_EDGES_H
#define OBSERVE_COLLECTOR_DERIVE_EDGES_H

#include "observe/tsdb/storage.h"

typedef struct derive_edge {
    sx_str client, server, connection_type;
    double calls, failed;
    double server_seconds, client_seconds; /* summed; over `calls`: the mean */
} derive_edge;

/* Edges on which something was counted in [min_ms, max_ms], the busiest first, in the arena.
 * Resets are seen through, as by increase() without its extrapolation.
 *   errors  of the querier; SX_ENOMEM */
sx_status derive_edges(tsdb_queryable *from, int64_t min_ms, int64_t max_ms, sx_arena *arena,
                       derive_edge **out, size_t *count, const _Atomic bool *canceled,
                       sx_error *err);

#endif
