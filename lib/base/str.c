/* str.c - the parts of str.h that are not worth inlining. */
#include <sextant/str.h>

int sx_str_cmp(sx_str a, sx_str b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least ? memcmp(a.data, b.data, least) : 0;
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

static unsigned char fold(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte | 0x20) : byte;
}

/* The same for eight bytes at once: each that lies between 'A' and 'Z' gets the bit 0x20. */
static uint64_t fold8(const char *from)
{
    const uint64_t ones = 0x0101010101010101u, tops = ones * 0x80;
    uint64_t word;
    memcpy(&word, from, 8);
    uint64_t low = word & ~tops; /* so that no sum carries into the next byte */
    uint64_t from_a = low + ones * (0x80 - 'A'), beyond_z = low + ones * (0x80 - 'Z' - 1);
    return word | ((from_a & ~beyond_z & ~word & tops) >> 2);
}

bool sx_str_ieq(sx_str a, sx_str b)
{
    if (a.len != b.len)
        return false;
    if (a.len < 8) {
        for (size_t i = 0; i < a.len; i++)
            if (fold(a.data[i]) != fold(b.data[i]))
                return false;
        return true;
    }
    for (size_t i = 0; i + 8 < a.len; i += 8)
        if (fold8(a.data + i) != fold8(b.data + i))
            return false;
    return fold8(a.data + a.len - 8) == fold8(b.data + b.len - 8);
}

size_t sx_str_find_byte(sx_str s, char byte)
{
    const char *at = s.len ? memchr(s.data, byte, s.len) : NULL;
    return at ? (size_t)(at - s.data) : s.len;
}

size_t sx_str_find(sx_str s, sx_str part)
{
    if (part.len == 0)
        return 0;
    const char *at = s.len ? memmem(s.data, s.len, part.data, part.len) : NULL;
    return at ? (size_t)(at - s.data) : s.len;
}

bool sx_str_cut(sx_str s, char byte, sx_str *before, sx_str *after)
{
    size_t at = sx_str_find_byte(s, byte);
    *before = sx_str_first(s, at);
    *after = sx_str_from(s, at < s.len ? at + 1 : at);
    return at < s.len;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static sx_str trim(sx_str s, bool (*drop)(char))
{
    while (s.len && drop(s.data[0]))
        s = sx_str_from(s, 1);
    while (s.len && drop(s.data[s.len - 1]))
        s.len--;
    return s;
}

sx_str sx_str_trim(sx_str s)
{
    return trim(s, is_blank);
}

sx_str sx_str_trim_all(sx_str s)
{
    return trim(s, is_space);
}

bool sx_str_to_u64(sx_str s, uint64_t *out)
{
    uint64_t value = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned char)s.data[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return true;
}

bool sx_str_to_i64(sx_str s, int64_t *out)
{
    bool negative = s.len && s.data[0] == '-';
    uint64_t size;
    if (!sx_str_to_u64(negative ? sx_str_from(s, 1) : s, &size))
        return false;
    if (size > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *out = negative ? (int64_t)(0 - size) : (int64_t)size;
    return true;
}
