/* trace_formats.h - what the propagation files share beyond the public parsers. */
#ifndef SEXTANT_TELEMETRY_TRACE_FORMATS_H
#define SEXTANT_TELEMETRY_TRACE_FORMATS_H

#include <sextant/trace.h>

/* The values of B3's several fields; empty: not there. */
typedef struct sx_b3_fields {
    sx_str trace_id, span_id, sampled, flags;
} sx_b3_fields;

/* Reads them as sx_b3_parse reads the one. x-b3-parentspanid is of no use to anybody here. */
bool sx_b3_fields_parse(const sx_b3_fields *f, sx_span_context *out);

#endif
