/* otlp_sink.h - how encoded records reach the exporter: one lane a thread and signal.
 *
 * A producer asks for room, writes one OTLP message there (a Span of trace.proto, a LogRecord of
 * logs.proto; without tag and length) and commits it. The exporter's thread takes the lanes up. Nobody
 * waits and nothing is allocated in the steady state; when a lane is full the record is dropped and
 * counted (sextant_otlp_records_total and sx_otlp_counts). */
#ifndef SEXTANT_TELEMETRY_OTLP_SINK_H
#define SEXTANT_TELEMETRY_OTLP_SINK_H

#include <sextant/otlp.h>

/* Room for one message of at most `bytes` (to SX_OTLP_RECORD_MAX), in the calling thread's lane of
 * that signal; NULL: it was counted as dropped, do not commit. Between room and commit the thread asks
 * for no other room of the signal. */
enum { SX_OTLP_RECORD_MAX = 65536 - 64 };
char *sx_otlp_room(sx_otlp *otlp, sx_otlp_signal signal, size_t bytes);

/* Publishes the `bytes` that were written at the start of that room. 0: nothing. The same thread. */
void sx_otlp_commit(sx_otlp *otlp, sx_otlp_signal signal, size_t bytes);

/* Whether that signal is exported at all. */
bool sx_otlp_wants(const sx_otlp *otlp, sx_otlp_signal signal);

#endif
