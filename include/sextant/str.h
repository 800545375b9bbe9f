/* str.h - string views: a pointer and a length, borrowed, with no closing NUL.
 *
 * A view is passed by value (two registers). It owns nothing: whoever keeps one past the call
 * copies it into an arena or a buffer of its own. Bytes are UTF-8 unless said otherwise; case
 * folding here is ASCII's, as protocols want it (lib/base/utf8.h has Unicode). */
#ifndef SEXTANT_STR_H
#define SEXTANT_STR_H

#include <string.h>

#include <sextant/base.h>

SX_BEGIN_DECLS

typedef struct sx_str {
    const char *data; /* may be NULL only if len is 0 */
    size_t len;       /* bytes */
} sx_str;

/* A view of a string literal, in expressions and (SX_STR_INIT) in static tables. */
#ifdef __cplusplus
#define SX_STR(literal) (sx_str{"" literal, sizeof(literal) - 1})
#else
#define SX_STR(literal) ((sx_str){"" literal, sizeof(literal) - 1})
#endif
#define SX_STR_INIT(literal) {"" literal, sizeof(literal) - 1}

/* The two arguments of "%.*s". A view longer than INT_MAX is shown cut. */
#define SX_ARG(s) (int)((s).len > 0x7fffffff ? 0x7fffffff : (s).len), (s).data

/* `len` bytes at `data`. */
static inline sx_str sx_str_of(const void *data, size_t len)
{
    sx_str s = {(const char *)data, len};
    return s;
}

/* A NUL-terminated string that we trust to be one (argv, literals in tables). NULL is empty. */
static inline sx_str sx_str_z(const char *z)
{
    return sx_str_of(z, z ? strlen(z) : 0);
}

/* Same bytes. */
static inline bool sx_str_eq(sx_str a, sx_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* `s` without its first `n` bytes; n beyond the end gives an empty view at the end. */
static inline sx_str sx_str_from(sx_str s, size_t n)
{
    size_t cut = n < s.len ? n : s.len;
    return sx_str_of(cut ? s.data + cut : s.data, s.len - cut); /* NULL + 0 is undefined in C */
}

/* The first `n` bytes of `s`, or all of it. */
static inline sx_str sx_str_first(sx_str s, size_t n)
{
    return sx_str_of(s.data, n < s.len ? n : s.len);
}

/* `s` begins (ends) with `part`. */
static inline bool sx_str_starts(sx_str s, sx_str part)
{
    return s.len >= part.len && (part.len == 0 || memcmp(s.data, part.data, part.len) == 0);
}

static inline bool sx_str_ends(sx_str s, sx_str part)
{
    return s.len >= part.len &&
           (part.len == 0 || memcmp(s.data + s.len - part.len, part.data, part.len) == 0);
}

/* Byte order as memcmp, the shorter first when one begins the other: <0, 0, >0. */
int sx_str_cmp(sx_str a, sx_str b);

/* Same bytes but for the case of A-Z. */
bool sx_str_ieq(sx_str a, sx_str b);

/* Offset of the first `byte` (of the first `part`) in `s`; s.len if there is none. */
size_t sx_str_find_byte(sx_str s, char byte);
size_t sx_str_find(sx_str s, sx_str part);

/* Splits at the first `byte`: *before and *after point into `s`. Without one returns false, with
 * *before all of `s` and *after empty. `before` and `after` may point at the argument's variable. */
bool sx_str_cut(sx_str s, char byte, sx_str *before, sx_str *after);

/* `s` without spaces and tabs (ASCII whitespace for _trim_all) at both ends. */
sx_str sx_str_trim(sx_str s);
sx_str sx_str_trim_all(sx_str s);

/* Decimal integer that is all of `s`: digits, for i64 one '-' before them; no '+', no space.
 * Returns false, *out untouched, if it is anything else or does not fit. */
bool sx_str_to_u64(sx_str s, uint64_t *out);
bool sx_str_to_i64(sx_str s, int64_t *out);

SX_END_DECLS

#endif
