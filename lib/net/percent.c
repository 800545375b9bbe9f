/* percent.c - percent-decoding and the walk over `a=1&b=2`, both declared in http.h.
 *
 * Every request's path and query pass here, most of them without a single escape: those cost one
 * scan and no memory. */
#include <sextant/http.h>

#include "net/percent.h"

/* The value of a hexadecimal digit, -1 for any other byte. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

int sx_percent_value(sx_str at)
{
    if (at.len < 3 || at.data[0] != '%')
        return -1;
    int high = hex_value(at.data[1]), low = hex_value(at.data[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Offset of the first byte that decoding changes; in.len if it changes none. */
static size_t first_coded(sx_str in, sx_percent kind)
{
    size_t percent = sx_str_find_byte(in, '%');
    if (kind != SX_PERCENT_FORM)
        return percent;
    return sx_str_find_byte(sx_str_first(in, percent), '+');
}

sx_status sx_percent_decode(sx_arena *arena, sx_str in, sx_percent kind, sx_str *out, sx_error *err)
{
    size_t at = first_coded(in, kind);
    if (at == in.len) {
        *out = in;
        return SX_OK;
    }
    char *text = sx_arena_alloc(arena, in.len);
    if (!text)
        return sx_fail_memory(err, "a percent-decoded text");
    memcpy(text, in.data, at);

    size_t len = at;
    while (at < in.len) {
        char c = in.data[at];
        if (c == '%') {
            int value = sx_percent_value(sx_str_from(in, at));
            if (value < 0)
                return sx_fail(err, SX_EFORMAT,
                               "broken escape at offset %zu; '%%' must be followed by two "
                               "hexadecimal digits (write a percent sign as %%25)",
                               at);
            text[len++] = (char)value;
            at += 3;
        } else {
            text[len++] = c == '+' && kind == SX_PERCENT_FORM ? ' ' : c;
            at++;
        }
    }
    *out = sx_str_of(text, len);
    return SX_OK;
}

bool sx_query_next(sx_str *rest, sx_str *name, sx_str *value)
{
    sx_str piece = {0};
    while (rest->len && piece.len == 0)
        sx_str_cut(*rest, '&', &piece, rest);
    if (piece.len == 0)
        return false;
    sx_str_cut(piece, '=', name, value);
    return true;
}
