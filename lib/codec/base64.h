/* base64.h - base64: credentials in HTTP, bytes in OTLP's JSON, gRPC's binary metadata.
 * Source: RFC 4648, sections 4 and 5. */
#ifndef SEXTANT_CODEC_BASE64_H
#define SEXTANT_CODEC_BASE64_H

#include <sextant/buf.h>

/* Appends `in` with its padding. */
void sx_base64_encode(sx_str in, sx_buf *out);

/* Appends what `text` stands for; the padding may be missing, as in gRPC. False: it is no base64 (of the
 * usual alphabet or the one for URLs, which protobuf's JSON allows, too). */
bool sx_base64_decode(sx_str text, sx_buf *out);

/* The same into `out`, where there is room for sx_base64_bytes(text.len); *len is what it took. */
bool sx_base64_decode_into(sx_str text, char *out, size_t *len);

/* The most that a text of `len` characters stands for. */
static inline size_t sx_base64_bytes(size_t len)
{
    return len / 4 * 3 + 3;
}

#endif
