/* number.h - decimal text to double and back, exactly.
 *
 * Reading rounds correctly (to nearest, ties to even), writing gives the shortest digits that read
 * back as the same double; neither looks at the locale. Used by JSON, the exposition formats, the
 * geocoder's answers. */
#ifndef SEXTANT_NUMBER_H
#define SEXTANT_NUMBER_H

#include <sextant/str.h>

SX_BEGIN_DECLS

/* Reads the JSON number (RFC 8259, section 6) that `s` begins with: -?(0|[1-9]d*)(.d+)?([eE][+-]?d+)?
 * Returns how many bytes it takes, as many as the grammar allows; 0, *out untouched, if there is
 * none. A number too large for a double becomes an infinity, one too small a zero, both with its
 * sign. HOT: about 20 ns for the usual short number. */
size_t sx_double_scan(sx_str s, double *out);

/* The same if it is all of `s`; false, *out untouched, otherwise. */
static inline bool sx_double_parse(sx_str s, double *out)
{
    double value;
    size_t used = sx_double_scan(s, &value);
    if (used == 0 || used != s.len)
        return false;
    *out = value;
    return true;
}

/* The double nearest to mantissa * 10^exp10, for a reader that has already met the digits. Returns
 * false, *out untouched, where this short way is not exact; then sx_double_scan is. */
bool sx_double_of_decimal(uint64_t mantissa, int exp10, bool negative, double *out);

/* How the same shortest digits are laid out. */
typedef enum sx_double_style {
    SX_DOUBLE_JS,     /* as JavaScript's String(x), which is JSON: 3, 1e+21, 1e-7, 0.000001, NaN */
    SX_DOUBLE_PYTHON, /* as Python's repr(x): 3.0, 1e+16, 1e-05, 0.0001, nan, inf */
    SX_DOUBLE_GO,     /* as Go's strconv 'g', -1: 3, 1e+06, 1e-05, 0.0001, NaN, +Inf */
} sx_double_style;

enum { SX_DOUBLE_BYTES = 32, SX_DOUBLE_FIXED_BYTES = 448 };

/* Writes `value` in that style and a NUL; returns its length. NaN and the infinities are not JSON:
 * a JSON writer decides about them before. -0 is 0 in JavaScript's style. HOT: about 80 ns,
 * 30 for whole numbers and short decimals. */
size_t sx_double_format(double value, sx_double_style style, char out[SX_DOUBLE_BYTES]);

/* Writes `value` with exactly `digits` (0 to 100) after the point, rounded correctly, never with an
 * exponent, and a NUL; returns its length. NaN, +Inf, -Inf are written as Go does. */
size_t sx_double_fixed(double value, int digits, char out[SX_DOUBLE_FIXED_BYTES]);

/* The shortest digits without an exponent, as Go's strconv 'f', -1 (Prometheus's answers). */
size_t sx_double_plain(double value, char out[SX_DOUBLE_FIXED_BYTES]);

SX_END_DECLS

#endif
