/* number_shim.h - the two conversions that the C++ library does exactly and fast.
 *
 * libstdc++'s std::from_chars and std::to_chars are correctly rounded and shortest; C's strtod and
 * printf are neither fast nor free of the locale. number.c handles the common short cases itself. */
#ifndef SEXTANT_BASE_NUMBER_SHIM_H
#define SEXTANT_BASE_NUMBER_SHIM_H

#include <sextant/base.h>

SX_BEGIN_DECLS

/* The double of text[0..len), which is a number by JSON's grammar. */
double sx_shim_double_of_text(const char *text, size_t len);

/* Shortest digits of a finite value, in scientific form as "-d.ddde-07"; returns the length. */
size_t sx_shim_shortest(double value, char *out, size_t cap);

/* Exactly `digits` after the point; returns the length, 0 if `cap` is too small. */
size_t sx_shim_fixed(double value, int digits, char *out, size_t cap);

SX_END_DECLS

#endif
