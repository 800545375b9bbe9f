/* tempo_internal.h - what the files of this room share. */
#ifndef OBSERVE_TEMPO_INTERNAL_H
#define OBSERVE_TEMPO_INTERNAL_H

#include <sextant/json.h>

#include "observe/tempo/tempo.h"

/* The first value of a parameter; empty if there is none. */
sx_str tempo_get(const tempo_call *c, const char *name);

/* The whole answer: words of an error, as plain text. */
void tempo_fail(tempo_call *c, int status, const char *fmt, ...) SX_PRINTF(3, 4);
/* The same by an error's status; `prefix` stands before its message. */
void tempo_fail_error(tempo_call *c, const char *prefix, const sx_error *err);

/* start and end in whole seconds, as search takes them: 0, 0 if neither is there; *max inclusive.
 * False: the call has failed. */
bool tempo_seconds_range(tempo_call *c, uint64_t *min_ns, uint64_t *max_ns);
/* A whole number; `out` stays if there is none. False: the call has failed. */
bool tempo_number(tempo_call *c, const char *name, uint64_t max, uint64_t *out);
/* A duration as Go's ParseDuration. False: the call has failed. */
bool tempo_duration(tempo_call *c, const char *name, uint64_t *ns);
/* Go's duration text (1h30m, 1.5s), no sign; false: it is none. */
bool tempo_duration_read(sx_str text, uint64_t *ns);

void tempo_begin_json(tempo_call *c, sx_json_writer *w);
void tempo_end_json(tempo_call *c, sx_json_writer *w);
/* "key":"123" as protobuf's JSON has 64 bits; nothing for 0. */
void tempo_put_u64(sx_json_writer *w, const char *key, uint64_t v);
void tempo_put_str(sx_json_writer *w, const char *key, sx_str v); /* nothing for "" */
/* {"key":k,"value":{"stringValue":...}} */
void tempo_put_value(sx_json_writer *w, sx_str key, const tq_value *v);
void tempo_put_attrs(sx_json_writer *w, const char *key, span_attrs attrs);
/* A trace's id without its leading zeros. */
void tempo_put_trace_id(sx_json_writer *w, const uint8_t id[16]);

#endif
