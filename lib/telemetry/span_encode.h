/* span_encode.h - attributes and texts as OTLP protobuf, for spans and for log records.
 *
 * Whatever bytes a program gives, what is written is valid: protobuf strings are UTF-8, and a receiver
 * throws a whole batch away for one string that is not. */
#ifndef SEXTANT_TELEMETRY_SPAN_ENCODE_H
#define SEXTANT_TELEMETRY_SPAN_ENCODE_H

#include <sextant/buf.h>
#include <sextant/log.h>

/* Appends a string field: `text` cut to `bytes_max` between code points, each byte that begins no
 * character replaced by U+FFFD (which may be cut, too). */
void sx_otlp_put_text(sx_buf *b, uint32_t field, sx_str text, size_t bytes_max);

/* Appends a KeyValue as that field (of common.proto: key 1, value 2). Texts are cut as above, those
 * inside arrays and objects each. An unsigned number that int64 cannot hold becomes text; JSON that is
 * not right, or deeper than 16, is kept as text. An empty key is the caller's to refuse. HOT. */
void sx_otlp_put_attribute(sx_buf *b, uint32_t field, const sx_field *f, size_t bytes_max);

/* The same of a list of texts: an ArrayValue. */
void sx_otlp_put_texts(sx_buf *b, uint32_t field, sx_str key, const sx_str *values, size_t count,
                       size_t bytes_max);

#endif
