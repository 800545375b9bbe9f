/* utf8.c - checking, reading and writing UTF-8.
 *
 * The check skips ASCII four words at a time and takes other characters one by one; each length has
 * its own test of the bytes as one little-endian word, without a loop. */
#include <sextant/utf8.h>

static const uint64_t HIGH_BITS = 0x8080808080808080u;

static bool continues(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Length of the character at `at` (at least one byte, the first of them not ASCII), or 0. The
 * second byte's bounds for E0, ED, F0 and F4 are what keeps out overlong forms, surrogates and
 * numbers above U+10FFFF. */
static size_t long_char(const unsigned char *at, size_t left)
{
    unsigned char lead = at[0];
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    if (lead < 0xe0)
        return left >= 2 && continues(at[1]) ? 2 : 0;
    if (lead < 0xf0) {
        if (left < 3 || !continues(at[1]) || !continues(at[2]))
            return 0;
        if ((lead == 0xe0 && at[1] < 0xa0) || (lead == 0xed && at[1] > 0x9f))
            return 0;
        return 3;
    }
    if (left < 4 || !continues(at[1]) || !continues(at[2]) || !continues(at[3]))
        return 0;
    if ((lead == 0xf0 && at[1] < 0x90) || (lead == 0xf4 && at[1] > 0x8f))
        return 0;
    return 4;
}

/* Skips ASCII, 32 then 8 bytes at a time; returns where it stopped, which may still be ASCII. */
static size_t skip_ascii(const unsigned char *data, size_t at, size_t len)
{
    uint64_t w[4];
    for (; len - at >= 32; at += 32) {
        memcpy(w, data + at, 32);
        if ((w[0] | w[1] | w[2] | w[3]) & HIGH_BITS)
            break;
    }
    for (; len - at >= 8; at += 8) {
        memcpy(w, data + at, 8);
        uint64_t high = w[0] & HIGH_BITS;
        if (high) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            at += (size_t)__builtin_ctzll(high) / 8;
#endif
            break;
        }
    }
    return at;
}

size_t sx_utf8_valid_len(sx_str s)
{
    const unsigned char *data = (const unsigned char *)s.data;
    size_t at = 0;
    while (at < s.len) {
        if (data[at] < 0x80) {
            at = skip_ascii(data, at, s.len);
            while (at < s.len && data[at] < 0x80 && s.len - at < 8)
                at++;
            continue;
        }
        size_t len = long_char(data + at, s.len - at);
        if (sx_unlikely(len == 0))
            return at;
        at += len;
    }
    return at;
}

size_t sx_utf8_decode(sx_str s, uint32_t *code)
{
    if (s.len == 0)
        return 0;
    const unsigned char *at = (const unsigned char *)s.data;
    if (at[0] < 0x80) {
        *code = at[0];
        return 1;
    }
    size_t len = long_char(at, s.len);
    switch (len) {
    case 2:
        *code = (uint32_t)(at[0] & 0x1f) << 6 | (at[1] & 0x3f);
        break;
    case 3:
        *code = (uint32_t)(at[0] & 0x0f) << 12 | (uint32_t)(at[1] & 0x3f) << 6 | (at[2] & 0x3f);
        break;
    case 4:
        *code = (uint32_t)(at[0] & 0x07) << 18 | (uint32_t)(at[1] & 0x3f) << 12 |
                (uint32_t)(at[2] & 0x3f) << 6 | (at[3] & 0x3f);
        break;
    default:
        break;
    }
    return len;
}

size_t sx_utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        if (code >= 0xd800 && code <= 0xdfff)
            return 0;
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    if (code > 0x10ffff)
        return 0;
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

size_t sx_utf8_count(sx_str s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++)
        count += !continues((unsigned char)s.data[i]);
    return count;
}

sx_str sx_utf8_first(sx_str s, size_t bytes_max)
{
    if (s.len <= bytes_max)
        return s;
    size_t end = bytes_max;
    while (end > 0 && bytes_max - end < 4 && continues((unsigned char)s.data[end]))
        end--;
    return sx_str_first(s, end);
}
