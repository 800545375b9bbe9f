/* otlp_env.h - reading OTEL_* variables: what the exporter's and the tracer's readers share. */
#ifndef SEXTANT_TELEMETRY_OTLP_ENV_H
#define SEXTANT_TELEMETRY_OTLP_ENV_H

#include <sextant/arena.h>
#include <sextant/buf.h>

typedef struct sx_otlp_env {
    const char *const *environment;
    sx_arena *arena;
    sx_buf *warnings; /* NULL: nobody reads them */
    bool failed;      /* the arena has no memory left */
} sx_otlp_env;

/* The variable of that name; empty if it is not set, which is the same to the specification. */
sx_str sx_otlp_env_get(const sx_otlp_env *e, const char *name);

/* Adds a line, once: the variable's name and what is wrong with it. */
void sx_otlp_env_warn(sx_otlp_env *e, const char *name, const char *fmt, ...) SX_PRINTF(3, 4);

/* Sets *out to a copy of the variable's text, if it is set; whether it is. */
bool sx_otlp_env_text(sx_otlp_env *e, const char *name, sx_str *out);

/* The same for a whole number from `least` to UINT32_MAX; anything else is warned of. */
bool sx_otlp_env_u32(sx_otlp_env *e, const char *name, uint32_t least, uint32_t *out);

/* "true" in any case is true, what is neither that nor "false" is warned of and false. */
bool sx_otlp_env_bool(sx_otlp_env *e, const char *name, bool *out);

/* The next of a list "a, b"; false at the end. */
bool sx_otlp_env_next(sx_str *rest, sx_str *word);

#endif
