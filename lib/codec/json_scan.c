/* json_scan.c - the first pass over JSON text without special instructions, the choice of the pass
 * that this machine runs fastest, and the search for the byte at fault. */
#include "codec/json_scan.h"

#include <sextant/utf8.h>

#define CARRY (UTF8_TOO_SHORT | UTF8_TOO_LONG | UTF8_TWO_CONTINUATIONS)
#define LARGE (CARRY | UTF8_TOO_LARGE | UTF8_FOUR_80)
#define AFTER (UTF8_TOO_LONG | UTF8_OVERLONG_2 | UTF8_TWO_CONTINUATIONS)

const uint8_t JSON_UTF8_HIGH[16] = {
    [0x0] = UTF8_TOO_LONG,
    [0x1] = UTF8_TOO_LONG,
    [0x2] = UTF8_TOO_LONG,
    [0x3] = UTF8_TOO_LONG,
    [0x4] = UTF8_TOO_LONG,
    [0x5] = UTF8_TOO_LONG,
    [0x6] = UTF8_TOO_LONG,
    [0x7] = UTF8_TOO_LONG,
    [0x8] = UTF8_TWO_CONTINUATIONS,
    [0x9] = UTF8_TWO_CONTINUATIONS,
    [0xa] = UTF8_TWO_CONTINUATIONS,
    [0xb] = UTF8_TWO_CONTINUATIONS,
    [0xc] = UTF8_TOO_SHORT | UTF8_OVERLONG_2,
    [0xd] = UTF8_TOO_SHORT,
    [0xe] = UTF8_TOO_SHORT | UTF8_OVERLONG_3 | UTF8_SURROGATE,
    [0xf] = UTF8_TOO_SHORT | UTF8_TOO_LARGE | UTF8_FOUR_80,
};

const uint8_t JSON_UTF8_LOW[16] = {
    [0x0] = CARRY | UTF8_OVERLONG_2 | UTF8_OVERLONG_3 | UTF8_FOUR_80,
    [0x1] = CARRY | UTF8_OVERLONG_2,
    [0x2] = CARRY,
    [0x3] = CARRY,
    [0x4] = CARRY | UTF8_TOO_LARGE,
    [0x5] = LARGE,
    [0x6] = LARGE,
    [0x7] = LARGE,
    [0x8] = LARGE,
    [0x9] = LARGE,
    [0xa] = LARGE,
    [0xb] = LARGE,
    [0xc] = LARGE,
    [0xd] = LARGE | UTF8_SURROGATE,
    [0xe] = LARGE,
    [0xf] = LARGE,
};

const uint8_t JSON_UTF8_NEXT[16] = {
    [0x0] = UTF8_TOO_SHORT,
    [0x1] = UTF8_TOO_SHORT,
    [0x2] = UTF8_TOO_SHORT,
    [0x3] = UTF8_TOO_SHORT,
    [0x4] = UTF8_TOO_SHORT,
    [0x5] = UTF8_TOO_SHORT,
    [0x6] = UTF8_TOO_SHORT,
    [0x7] = UTF8_TOO_SHORT,
    [0x8] = AFTER | UTF8_OVERLONG_3 | UTF8_FOUR_80,
    [0x9] = AFTER | UTF8_OVERLONG_3 | UTF8_TOO_LARGE,
    [0xa] = AFTER | UTF8_SURROGATE | UTF8_TOO_LARGE,
    [0xb] = AFTER | UTF8_SURROGATE | UTF8_TOO_LARGE,
    [0xc] = UTF8_TOO_SHORT,
    [0xd] = UTF8_TOO_SHORT,
    [0xe] = UTF8_TOO_SHORT,
    [0xf] = UTF8_TOO_SHORT,
};

/* Classes of a byte, for the scalar scan: bit n set means it belongs to the n-th bitmap below. */
enum { QUOTE = 1, SLASH = 2, OPEN = 4, CLOSE = 8, COMMA = 16, SPACE = 32, CONTROL = 64 };

static const uint8_t CLASSES[256] = {
    [0x00 ... 0x08] = CONTROL,
    [0x0b ... 0x0c] = CONTROL,
    [0x0e ... 0x1f] = CONTROL,
    ['\t'] = SPACE | CONTROL,
    ['\n'] = SPACE | CONTROL,
    ['\r'] = SPACE | CONTROL,
    [' '] = SPACE,
    ['"'] = QUOTE,
    ['\\'] = SLASH,
    ['{'] = OPEN,
    ['['] = OPEN,
    ['}'] = CLOSE,
    [']'] = CLOSE,
    [','] = COMMA,
    [':'] = COMMA,
};

/* Bit `which` of each of the eight bytes in `w`, the first byte's lowest: the factor moves bit 8i to
 * bit 56 + i. */
static inline uint64_t gather(uint64_t w, int which)
{
    return ((w >> which & 0x0101010101010101u) * 0x0102040810204080u) >> 56;
}

static json_bits classify(const unsigned char *at)
{
    json_bits b = {0};
    for (unsigned i = 0; i < 64; i += 8) {
        uint64_t w = 0;
        for (unsigned j = 0; j < 8; j++)
            w |= (uint64_t)CLASSES[at[i + j]] << (8 * j);
        b.quote |= gather(w, 0) << i;
        b.slash |= gather(w, 1) << i;
        b.open |= gather(w, 2) << i;
        b.close |= gather(w, 3) << i;
        b.comma |= gather(w, 4) << i;
        b.space |= gather(w, 5) << i;
        b.control |= gather(w, 6) << i;
    }
    return b;
}

/* Bit i of the result is the parity of bits 0 to i. */
static uint64_t prefix_xor(uint64_t bits)
{
    for (unsigned shift = 1; shift < 64; shift *= 2)
        bits ^= bits << shift;
    return bits;
}

static bool is_ascii(const unsigned char *at)
{
    uint64_t w[8];
    memcpy(w, at, sizeof(w));
    uint64_t any = w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7];
    return (any & 0x8080808080808080u) == 0;
}

/* Whether the 64 bytes at `at`, after those of *tail, break UTF-8. */
static bool breaks_utf8(const unsigned char *at, uint32_t *tail)
{
    unsigned bad = 0;
    uint32_t t = *tail;
    if ((t & 0x80808080u) == 0 && is_ascii(at)) {
        *tail = 0; /* any ASCII will do */
        return false;
    }
    for (size_t i = 0; i < 64; i++) {
        unsigned prev = t >> 24;
        unsigned pair =
            JSON_UTF8_HIGH[prev >> 4] & JSON_UTF8_LOW[prev & 15] & JSON_UTF8_NEXT[at[i] >> 4];
        bool must_continue = (t >> 16 & 0xff) >= 0xe0 || (t >> 8 & 0xff) >= 0xf0;
        bad |= pair ^ (must_continue ? UTF8_TWO_CONTINUATIONS : 0u);
        t = t >> 8 | (uint32_t)at[i] << 24;
    }
    *tail = t;
    return bad != 0;
}

static unsigned scan_scalar(const unsigned char *at, uint32_t offset, uint32_t blocks,
                            uint32_t first, sx_json_window *w, sx_json_carry *carry)
{
    unsigned bad = 0;
    for (uint32_t i = first; i < first + blocks; i++, at += 64, offset += 64) {
        json_bits b = classify(at);
        uint64_t quotes = json_real_quotes(&b, carry);
        uint64_t inside = prefix_xor(quotes) ^ carry->in_string;
        uint64_t marks = json_put_block(&b, quotes, inside, carry, w, i);
        json_put_offsets(marks, (unsigned)__builtin_popcountll(marks), offset, w);
        if (b.control & inside)
            bad |= JSON_BAD_CONTROL;
        if (breaks_utf8(at, &carry->tail))
            bad |= JSON_BAD_UTF8;
    }
    return bad;
}

json_scan_fn json_scan_at(json_scan_level level)
{
#if defined(__x86_64__)
    bool has = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("popcnt");
    switch (level) {
    case JSON_SCAN_AVX512:
        has = has && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
              __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("bmi");
        return has ? json_scan_avx512 : NULL;
    case JSON_SCAN_AVX2:
        has = has && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
        return has ? json_scan_avx2 : NULL;
    case JSON_SCAN_SSE:
        return has && __builtin_cpu_supports("sse4.2") ? json_scan_sse : NULL;
    default:
        break;
    }
#endif
    return level == JSON_SCAN_SCALAR ? scan_scalar : NULL;
}

json_scan_fn json_scan_best(void)
{
    json_scan_fn best = NULL;
    for (int level = JSON_SCAN_LEVELS - 1; !best; level--)
        best = json_scan_at((json_scan_level)level);
    return best;
}

/* Offset of the first control character inside a string, `to` if there is none. Follows quotes and
 * backslashes as the scans do: a backslash escapes the next byte wherever it stands. */
static size_t first_control(sx_str text, size_t from, size_t to, const sx_json_carry *carry)
{
    bool in_string = carry->in_string != 0;
    bool escaped = carry->escaped != 0;
    for (size_t at = from; at < to; at++) {
        unsigned char c = (unsigned char)text.data[at];
        if (in_string && c < 0x20)
            return at;
        if (escaped)
            escaped = false;
        else if (c == '\\')
            escaped = true;
        else if (c == '"')
            in_string = !in_string;
    }
    return to;
}

json_fault json_scan_locate(sx_str text, size_t from, size_t to, sx_json_carry carry)
{
    size_t control = first_control(text, from, to, &carry);
    /* What lies before was found valid but for a character that the end of it may have cut: its
     * first byte is the nearest one that is no continuation. */
    size_t start = from;
    for (size_t back = 1; back <= 3 && back <= from; back++) {
        unsigned char c = (unsigned char)text.data[from - back];
        if (c >= 0xc0)
            start = from - back;
        if ((c & 0xc0) != 0x80)
            break;
    }
    size_t valid = start + sx_utf8_valid_len(sx_str_of(text.data + start, to - start));
    if (control <= valid && control < to)
        return (json_fault){.kind = JSON_BAD_CONTROL, .at = control};
    return (json_fault){.kind = JSON_BAD_UTF8, .at = valid};
}
