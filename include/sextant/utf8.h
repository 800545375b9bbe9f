/* utf8.h - Unicode's byte form: checking, reading and writing it.
 *
 * Valid means well-formed by the Unicode Standard, table 3-7: no overlong form, no surrogate,
 * nothing above U+10FFFF. */
#ifndef SEXTANT_UTF8_H
#define SEXTANT_UTF8_H

#include <sextant/str.h>

SX_BEGIN_DECLS

/* Length of the longest beginning of `s` that is valid and ends at a character: s.len if all is,
 * else the offset of the first byte that begins no valid character. */
size_t sx_utf8_valid_len(sx_str s);

/* Whether all of `s` is valid. HOT for text from outside: ASCII goes 32 bytes at a time. */
static inline bool sx_utf8_valid(sx_str s)
{
    return sx_utf8_valid_len(s) == s.len;
}

/* Reads the character that `s` begins with into *code and returns its length, 1 to 4; 0, *code
 * untouched, if s is empty or begins with none. */
size_t sx_utf8_decode(sx_str s, uint32_t *code);

/* Writes a character and returns its length, 1 to 4; 0, nothing written, for a surrogate or a
 * number above U+10FFFF. */
size_t sx_utf8_encode(uint32_t code, char out[4]);

/* Number of characters of a valid `s`; of anything else, of bytes that do not continue one. */
size_t sx_utf8_count(sx_str s);

/* The first bytes of `s`, at most `bytes_max`, without cutting a character of a valid `s`. */
sx_str sx_utf8_first(sx_str s, size_t bytes_max);

SX_END_DECLS

#endif
