/* form.h - what arrives in a query string: form-encoded text, and numbers as Python reads them, which is
 * how Addok and Nominatim take them. */
#ifndef SEXTANT_GEOCODE_TEXT_FORM_H
#define SEXTANT_GEOCODE_TEXT_FORM_H

#include <sextant/arena.h>

/* Decodes a form-encoded component: '+' is a blank, %XX a byte, a broken escape stays, and every byte
 * that is not part of valid UTF-8 becomes U+FFFD. Data NULL without memory. */
sx_str geo_decode_lenient(sx_arena *arena, sx_str in);

/* Python's int(text): blanks around, one sign, digits with underscores. Too big: the nearest bound,
 * which every range check refuses just as well. False, *out untouched, if it is none. */
bool geo_python_int(sx_str text, int64_t *out);

/* Python's float(text), "inf" and "nan" included. False, *out untouched, if it is none. */
bool geo_python_float(sx_str text, double *out);

#endif
