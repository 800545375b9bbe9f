/* v1_values.h - single parameters of the HTTP API v1. Internal to observe/jaeger.
 *
 * Each tells what is wrong as Jaeger does: unable to parse param 'NAME': and Go's words. */
#ifndef OBSERVE_JAEGER_V1_VALUES_H
#define OBSERVE_JAEGER_V1_VALUES_H

#include "observe/jaeger/v1.h"

/* Puts the name of the parameter before what `err` says. */
sx_status v1_fail_param(const char *name, sx_error *err);

/* As Go's ParseInt of so many bits, without a name before the error. */
sx_status v1_int(sx_str text, int bits, int64_t *out, sx_error *err);

/* Go's ParseBool; none: false. */
sx_status v1_bool(const jaeger_params *p, const char *name, bool *out, sx_error *err);

/* A whole number of `unit` nanoseconds since 1970; *given false: there is none, *ns stays. Times before
 * 1970 are its beginning, those too far are the end of all. */
sx_status v1_time(const jaeger_params *p, const char *name, uint64_t unit, uint64_t *ns,
                  bool *given, sx_error *err);

/* A whole number of milliseconds. */
sx_status v1_ms(const jaeger_params *p, const char *name, int64_t fallback, int64_t *out,
                sx_error *err);

/* A duration with its unit, in nanoseconds; none: 0. */
sx_status v1_duration(const jaeger_params *p, const char *name, int64_t *ns, sx_error *err);

#endif
