/* exemplar.h - one observation of a counter or bucket, with the trace in which it happened.
 *
 * A series gets its slots with its first exemplar: one for a counter, one for each bucket of a
 * classic histogram, SX_EXEMPLARS_NATIVE for one that is native alone. The newest stays. Writers
 * neither wait nor lock: of two that meet in one slot, one is left out, which nobody can tell from
 * its having been replaced. */
#ifndef SEXTANT_TELEMETRY_EXEMPLAR_H
#define SEXTANT_TELEMETRY_EXEMPLAR_H

#include "telemetry/store.h"

enum { SX_EXEMPLARS_NATIVE = 8 };

typedef struct sx_exemplar {
    uint8_t trace_id[16], span_id[8];
    double value;
    int64_t wall_ns;
} sx_exemplar;

/* Keeps an exemplar in that slot; without memory, or of a trace that is all zero, it is left out. Any
 * thread. */
void sx_exemplar_put(sx_series *s, size_t number, double value, const uint8_t trace_id[16],
                     const uint8_t span_id[8]);

/* How many slots there are: 0 before the first exemplar. */
size_t sx_exemplar_count(const sx_series *s);

/* Copies what is in that slot; false if it is empty. Any thread. */
bool sx_exemplar_get(const sx_series *s, size_t number, sx_exemplar *out);

enum { SX_EXEMPLAR_HEX_BYTES = 32 };

/* Writes `len` bytes as lower-case hex at `out`; returns the end. */
char *sx_exemplar_hex(char *out, const uint8_t *bytes, size_t len);

#endif
