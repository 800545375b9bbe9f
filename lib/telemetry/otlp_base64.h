/* otlp_base64.h - base64 for OTLP: bytes in its JSON, and gRPC's binary metadata. RFC 4648, section 4. */
#ifndef SEXTANT_TELEMETRY_OTLP_BASE64_H
#define SEXTANT_TELEMETRY_OTLP_BASE64_H

#include <sextant/buf.h>

/* Appends `in` with its padding. */
void sx_otlp_base64(sx_str in, sx_buf *out);

/* Appends what `text` stands for; the padding may be missing, as in gRPC. False: it is no base64 (of the
 * usual alphabet or the one for URLs, which protobuf's JSON allows, too). */
bool sx_otlp_base64_decode(sx_str text, sx_buf *out);

#endif
