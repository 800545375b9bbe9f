/* regex_shim.h - RE2 for C. Only lib/base/regex.c and its tests call it. */
#ifndef SEXTANT_BASE_REGEX_SHIM_H
#define SEXTANT_BASE_REGEX_SHIM_H

#include <sextant/str.h>

SX_BEGIN_DECLS

typedef struct sx_re2 sx_re2;

/* What the C side asks for. */
typedef struct sx_re2_options {
    int64_t memory_max;
    bool caseless;
    bool dot_matches_line;
    bool captures;
} sx_re2_options;

typedef enum sx_re2_fault { SX_RE2_OK, SX_RE2_SYNTAX, SX_RE2_TOO_BIG, SX_RE2_MEMORY } sx_re2_fault;

/* Compiles; on a fault returns NULL with *fault set and what RE2 says of it in `message`. */
sx_re2 *sx_re2_new(sx_str pattern, const sx_re2_options *options, sx_re2_fault *fault,
                   char *message, size_t message_cap);
void sx_re2_free(sx_re2 *re);

/* Matches subject from byte `start`; `whole` wants it to reach from there to the end. Fills
 * groups[0..count) as sx_regex_capture. */
bool sx_re2_match(const sx_re2 *re, sx_str subject, size_t start, bool whole, sx_str *groups,
                  size_t count);

size_t sx_re2_group_count(const sx_re2 *re);

/* The group of that name, or -1. */
int sx_re2_group_index(const sx_re2 *re, sx_str name);

SX_END_DECLS

#endif
