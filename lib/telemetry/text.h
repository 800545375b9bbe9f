/* text.h - decimals written fast, for metrics and logs. */
#ifndef SEXTANT_TELEMETRY_TEXT_H
#define SEXTANT_TELEMETRY_TEXT_H

#include <sextant/base.h>

enum { SX_TEXT_U64_BYTES = 20 };

/* Writes `value` in decimal at `out`; returns the end. No NUL. */
char *sx_text_u64(char *out, uint64_t value);

/* Writes exactly `digits` digits of `value`, zeros in front; what does not fit is cut above. */
char *sx_text_padded(char *out, uint64_t value, unsigned digits);

#endif
