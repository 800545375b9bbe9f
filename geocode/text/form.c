/* form.c - see form.h. */
#include "geocode/text/form.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/utf8.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Replaces each byte outside well-formed sequences by U+FFFD. `out` has room for 3 bytes each. */
static size_t mend_utf8(sx_str in, char *out)
{
    size_t written = 0;
    while (in.len) {
        size_t good = sx_utf8_valid_len(in);
        memcpy(out + written, in.data, good);
        written += good;
        in = sx_str_from(in, good);
        if (!in.len)
            break;
        memcpy(out + written, "\xef\xbf\xbd", 3);
        written += 3;
        in = sx_str_from(in, 1);
    }
    return written;
}

sx_str geo_decode_lenient(sx_arena *arena, sx_str in)
{
    char *bytes = sx_arena_alloc(arena, in.len + 1);
    char *out = in.len < SIZE_MAX / 4 ? sx_arena_alloc(arena, in.len * 3 + 1) : NULL;
    if (!bytes || !out)
        return sx_str_of(NULL, 0);
    size_t len = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.data[i] == '+' ? ' ' : in.data[i];
        if (c == '%' && i + 2 < in.len) {
            int high = hex_digit(in.data[i + 1]), low = hex_digit(in.data[i + 2]);
            if (high >= 0 && low >= 0) {
                c = (char)(high << 4 | low);
                i += 2;
            }
        }
        bytes[len++] = c;
    }
    return sx_str_of(out, mend_utf8(sx_str_of(bytes, len), out));
}

/* Takes digits with single underscores between them, as Python's numbers may have; appends the bare
 * digits to *out. Returns false if there is none or an underscore stands elsewhere. */
static bool take_digits(sx_str *in, char **out)
{
    bool digit_before = false;
    while (in->len) {
        char c = in->data[0];
        if (c >= '0' && c <= '9') {
            *(*out)++ = c;
            digit_before = true;
        } else if (c == '_' && digit_before && in->len > 1 && in->data[1] >= '0' &&
                   in->data[1] <= '9') {
            digit_before = false;
        } else {
            break;
        }
        *in = sx_str_from(*in, 1);
    }
    return digit_before;
}

static void take_sign(sx_str *in, char **out)
{
    if (in->len && (in->data[0] == '+' || in->data[0] == '-')) {
        *(*out)++ = in->data[0];
        *in = sx_str_from(*in, 1);
    }
}

enum { NUMBER_BYTES_MAX = 512 };

bool geo_python_int(sx_str text, int64_t *out)
{
    char digits[NUMBER_BYTES_MAX + 1], *at = digits;
    text = sx_str_trim_all(text);
    if (text.len > NUMBER_BYTES_MAX)
        return false;
    take_sign(&text, &at);
    if (!take_digits(&text, &at) || text.len)
        return false;
    *at = '\0';
    *out = strtoll(digits, NULL, 10);
    return true;
}

bool geo_python_float(sx_str text, double *out)
{
    char digits[NUMBER_BYTES_MAX + 1], *at = digits;
    text = sx_str_trim_all(text);
    if (text.len > NUMBER_BYTES_MAX)
        return false;
    take_sign(&text, &at);
    if (sx_str_ieq(text, SX_STR("nan"))) {
        *out = NAN;
        return true;
    }
    if (sx_str_ieq(text, SX_STR("inf")) || sx_str_ieq(text, SX_STR("infinity"))) {
        *out = INFINITY;
        return true;
    }
    bool whole = take_digits(&text, &at), fraction = false;
    if (text.len && text.data[0] == '.') {
        *at++ = '.';
        text = sx_str_from(text, 1);
        fraction = take_digits(&text, &at);
    }
    if (!whole && !fraction)
        return false;
    if (text.len && (text.data[0] | 0x20) == 'e') {
        *at++ = 'e';
        text = sx_str_from(text, 1);
        take_sign(&text, &at);
        if (!take_digits(&text, &at))
            return false;
    }
    if (text.len)
        return false;
    *at = '\0';
    *out = strtod(digits, NULL);
    return true;
}
