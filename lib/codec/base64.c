/* base64.c - see base64.h. */
#include "codec/base64.h"

void sx_base64_encode(sx_str in, sx_buf *out)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)in.data;
    for (size_t i = 0; i < in.len; i += 3) {
        size_t n = in.len - i < 3 ? in.len - i : 3;
        uint32_t group = (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                         (n > 2 ? (uint32_t)p[i + 2] : 0);
        char text[4] = {DIGITS[group >> 18], DIGITS[group >> 12 & 63],
                        n > 1 ? DIGITS[group >> 6 & 63] : '=', n > 2 ? DIGITS[group & 63] : '='};
        sx_buf_bytes(out, text, sizeof(text));
    }
}

/* 0 to 63; -1: no digit. */
static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

bool sx_base64_decode_into(sx_str text, char *out, size_t *len)
{
    char *to = out;
    for (int i = 0; i < 2 && text.len > 0 && text.data[text.len - 1] == '='; i++)
        text.len--;
    if (text.len % 4 == 1)
        return false;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(text.data[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *to++ = (char)(bits >> held & 0xff);
        }
    }
    *len = (size_t)(to - out);
    return (bits & ((1u << held) - 1)) == 0; /* what is left over stands for nothing */
}

bool sx_base64_decode(sx_str text, sx_buf *out)
{
    char *at = sx_buf_reserve(out, sx_base64_bytes(text.len));
    size_t len;
    if (!at)
        return true; /* the buffer says itself that it has failed */
    if (!sx_base64_decode_into(text, at, &len))
        return false;
    out->len += len;
    return true;
}
