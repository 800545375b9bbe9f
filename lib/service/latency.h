/* latency.h - how long requests took in the last minutes: mean and quantiles for /health/detailed.
 *
 * Two windows of a minute, each a table of cells that grow by a quarter of a power of two: a value is
 * found by its leading bits, so counting is one increment, and a quantile is right within a ninth. One
 * thread writes, any reads: the cells are relaxed atomics, a reader may see a request more or less. */
#ifndef SEXTANT_SERVICE_LATENCY_H
#define SEXTANT_SERVICE_LATENCY_H

#include <sextant/base.h>

enum { SX_LATENCY_CELLS = 64 * 4, SX_LATENCY_WINDOW_MS = 60000 };

typedef struct sx_latency_window {
    int64_t number; /* of its minute since the clock began; the cells of another are stale */
    uint64_t count, sum_ns;
    uint32_t cells[SX_LATENCY_CELLS];
} sx_latency_window;

typedef struct sx_latency {
    sx_latency_window windows[2];
} sx_latency;

/* Counts one. HOT: 2 ns. The owner's thread. */
void sx_latency_add(sx_latency *l, int64_t now_ms, int64_t duration_ns);

/* What several of them hold together. */
typedef struct sx_latency_sum {
    uint64_t count, sum_ns;
    uint64_t cells[SX_LATENCY_CELLS];
} sx_latency_sum;

/* Adds the present and the last minute of `l`. Any thread. */
void sx_latency_gather(const sx_latency *l, int64_t now_ms, sx_latency_sum *into);

/* The value below which the share `q` (0 to 1) lies, in ns; 0 if there is none. */
int64_t sx_latency_quantile(const sx_latency_sum *sum, double q);

#endif
