/* proto_words.h - numbers and times as Go writes them, refused in Go's words.
 * Source: Go's packages strconv and time. Internal to observe/jaeger. */
#ifndef OBSERVE_JAEGER_PROTO_WORDS_H
#define OBSERVE_JAEGER_PROTO_WORDS_H

#include <sextant/error.h>
#include <sextant/str.h>

/* A whole number in decimal with an optional sign; false: it is none, or too big. */
bool jaeger_int(sx_str text, int64_t *out);

/* time.Parse(time.RFC3339Nano): nanoseconds since 1970, held at the bounds of int64. SX_EINVAL. */
sx_status jaeger_time_read(sx_str text, int64_t *ns, sx_error *err);

#endif
