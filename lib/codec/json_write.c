/* json_write.c - the JSON writer: structure, numbers and the escaping of strings.
 *
 * A string is copied a vector at a time while nothing in it needs attention; the byte that does is
 * handled alone and the copying goes on. */
#include <sextant/json.h>

#include <math.h>

#include <sextant/utf8.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* ---- Strings */

/* Bytes that the copying loop stops at, by charset. */
static inline bool is_special(unsigned char c, sx_json_charset charset)
{
    return c < 0x20 || c == '"' || c == '\\' || c >= (charset == SX_JSON_ASCII ? 0x7f : 0x80);
}

#if defined(__SSE2__)
/* Bit i is set if byte i of `v` needs attention. As signed bytes, those of 0x80 and above are below
 * 0x20 too. */
static inline unsigned specials(__m128i v, sx_json_charset charset)
{
    __m128i bad = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)),
                               _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
                                            _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))));
    if (charset == SX_JSON_ASCII)
        bad = _mm_or_si128(bad, _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
    return (unsigned)_mm_movemask_epi8(bad);
}

static inline __m128i load8(const char *at)
{
    return _mm_loadl_epi64((const __m128i *)(const void *)at);
}
#endif

/* How many of the first bytes of [at, end) need no attention; copies them to `to`, which has room
 * for as many as there are. HOT: 16 bytes in 1 ns. */
static inline size_t copy_plain(const char *at, const char *end, char *to, sx_json_charset charset)
{
    const char *start = at;
#if defined(__SSE2__)
    unsigned mask;
    for (; end - at >= 16; at += 16, to += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
        _mm_storeu_si128((__m128i *)(void *)to, v);
        mask = specials(v, charset);
        if (mask)
            return (size_t)(at - start) + (size_t)__builtin_ctz(mask);
    }
    if (end - at >= 8) {
        __m128i v = load8(at);
        _mm_storel_epi64((__m128i *)(void *)to, v);
        mask = specials(v, charset) & 0xff;
        if (mask)
            return (size_t)(at - start) + (size_t)__builtin_ctz(mask);
        at += 8;
        to += 8;
    }
    if (end - start >= 8 && at < end) { /* the last few once more with those before them */
        size_t again = 8 - (size_t)(end - at);
        __m128i v = load8(at - again);
        _mm_storel_epi64((__m128i *)(void *)(to - again), v);
        mask = specials(v, charset) & 0xff;
        return (size_t)(at - again - start) + (mask ? (size_t)__builtin_ctz(mask) : 8);
    }
#endif
    while (at < end && !is_special((unsigned char)*at, charset))
        *to++ = *at++;
    return (size_t)(at - start);
}

static const char HEX[16] = {'0', '1', '2', '3', '4', '5', '6', '7',
                             '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};

/* \uXXXX for one UTF-16 unit. */
static char *put_unit(char *to, uint32_t unit)
{
    *to++ = '\\';
    *to++ = 'u';
    *to++ = HEX[unit >> 12 & 15];
    *to++ = HEX[unit >> 8 & 15];
    *to++ = HEX[unit >> 4 & 15];
    *to++ = HEX[unit & 15];
    return to;
}

static char *put_escape(char *to, uint32_t code)
{
    static const char SHORT[128] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                    ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
    if (code < 128 && SHORT[code]) {
        *to++ = '\\';
        *to++ = SHORT[code];
        return to;
    }
    if (code < 0x10000)
        return put_unit(to, code);
    code -= 0x10000;
    return put_unit(put_unit(to, 0xd800 | code >> 10), 0xdc00 | (code & 0x3ff));
}

/* Length of the longest beginning of `s` (which begins no character) that could begin one, at
 * least 1: what Unicode 3.9 replaces by a single U+FFFD. */
static size_t broken_len(sx_str s)
{
    unsigned char lead = (unsigned char)s.data[0];
    size_t want = lead >= 0xf0 && lead <= 0xf4 ? 4 : lead >= 0xe0 && lead < 0xf0 ? 3 : 1;
    /* Bounds of the second byte, which exclude overlong forms, surrogates and what is too large. */
    unsigned char least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    size_t len = 1;
    while (len < want && len < s.len) {
        unsigned char c = (unsigned char)s.data[len];
        if (c < least || c > most)
            break;
        least = 0x80;
        most = 0xbf;
        len++;
    }
    return len;
}

/* The most that put_special() writes. */
enum { SPECIAL_BYTES = 12 };

/* Writes the character at `at` that copy_plain() stopped at; *at goes behind it. */
static char *put_special(char *to, const char **at, const char *end, sx_json_charset charset)
{
    sx_str left = sx_str_of(*at, (size_t)(end - *at));
    uint32_t code = (unsigned char)**at;
    size_t len = 1;
    if (code >= 0x80) {
        len = sx_utf8_decode(left, &code);
        if (len == 0) {
            len = broken_len(left);
            code = 0xfffd;
        }
    }
    *at += len;
    if (code >= 0x80 && charset == SX_JSON_UTF8)
        return to + sx_utf8_encode(code, to);
    return put_escape(to, code);
}

/* When the buffer's limit leaves no room for what could be written at most: tries a piece on the
 * stack and appends what it came to. */
static SX_COLD void quote_tight(sx_buf *buf, const char *at, const char *end,
                                sx_json_charset charset)
{
    char piece[256 + SPECIAL_BYTES + 16];
    while (at < end && !buf->failed) {
        const char *stop = end - at > 256 ? at + 256 : end;
        size_t plain = copy_plain(at, stop, piece, charset);
        char *to = piece + plain;
        at += plain;
        if (at < stop)
            to = put_special(to, &at, end, charset);
        sx_buf_bytes(buf, piece, (size_t)(to - piece));
    }
}

/* The string between its quotes. The buffer gets room for all that is left plus a margin; special
 * characters eat from the margin, and only when it is eaten does the buffer grow again. */
static void quote(sx_buf *buf, sx_str value, sx_json_charset charset)
{
    const char *at = value.data, *end = value.data + value.len;
    while (at < end) {
        size_t left = (size_t)(end - at);
        size_t room = left + left / 8 + 4 * SPECIAL_BYTES + 16;
        if (buf->len_max && (room > buf->len_max || buf->len > buf->len_max - room)) {
            quote_tight(buf, at, end, charset);
            return;
        }
        char *start = sx_buf_reserve(buf, room);
        if (!start)
            return;
        const char *limit = start + room;
        char *to = start;
        do {
            size_t plain = copy_plain(at, end, to, charset);
            to += plain;
            at += plain;
            if (at == end)
                break;
            to = put_special(to, &at, end, charset);
        } while (limit - to >= end - at + SPECIAL_BYTES + 16);
        buf->len += (size_t)(to - start);
    }
}

/* Room for a string, its quotes and what stands around them, if the buffer has it without growing
 * even when each byte becomes \uXXXX; else NULL. */
static inline char *room_for(const sx_buf *buf, size_t bytes)
{
    size_t room = buf->cap - buf->len;
    if (sx_unlikely(buf->failed || bytes > room / 8 || room - bytes * 6 < 32))
        return NULL;
    return buf->data + buf->len;
}

/* The string and its quotes, where there is room. */
static inline char *put_quoted(char *to, sx_str value, sx_json_charset charset)
{
    const char *at = value.data, *end = value.data + value.len;
    *to++ = '"';
    while (at < end) {
        size_t plain = copy_plain(at, end, to, charset);
        to += plain;
        at += plain;
        if (sx_likely(at == end))
            break;
        to = put_special(to, &at, end, charset);
    }
    *to++ = '"';
    return to;
}

void sx_json_quote(sx_buf *buf, sx_str value, sx_json_charset charset)
{
    char *to = value.len ? room_for(buf, value.len) : NULL;
    if (sx_likely(to != NULL)) {
        to = put_quoted(to, value, charset);
        buf->len = (size_t)(to - buf->data);
        return;
    }
    sx_buf_byte(buf, '"');
    if (value.len > 0)
        quote(buf, value, charset);
    sx_buf_byte(buf, '"');
}

/* ---- Structure */

void sx_json_writer_init(sx_json_writer *w, sx_buf *buf, const sx_json_style *style)
{
    *w = (sx_json_writer){.buf = buf};
    if (style)
        w->style = *style;
}

sx_status sx_json_writer_finish(sx_json_writer *w, sx_error *err)
{
    sx_assert(w->depth == 0 && !w->keyed);
    if (w->refused)
        return sx_fail(err, SX_EINVAL, "JSON has no way to write NaN or an infinity");
    return sx_buf_status(w->buf, "JSON text", err);
}

static inline void put_comma(sx_json_writer *w)
{
    if (w->comma) {
        if (w->style.spacing == SX_JSON_COMPACT)
            sx_buf_byte(w->buf, ',');
        else
            sx_buf_bytes(w->buf, ", ", 2);
    }
    w->comma = true;
}

/* Before each value: its comma in an array, nothing after a key. */
static inline void before_value(sx_json_writer *w)
{
    if (w->in_object) {
        sx_assert(w->keyed);
        w->keyed = false;
    } else if (w->depth > 0) {
        put_comma(w);
    }
}

static void begin(sx_json_writer *w, bool object)
{
    sx_assert(w->depth < SX_JSON_DEPTH_MOST);
    before_value(w);
    uint64_t bit = (uint64_t)1 << (w->depth % 64);
    uint64_t *word = &w->kinds[w->depth / 64];
    *word = w->in_object ? *word | bit : *word & ~bit;
    w->depth++;
    w->in_object = object;
    w->comma = false;
    sx_buf_byte(w->buf, object ? '{' : '[');
}

static void end(sx_json_writer *w, bool object)
{
    sx_assert(w->depth > 0 && w->in_object == object && !w->keyed);
    w->depth--;
    w->in_object = w->kinds[w->depth / 64] >> (w->depth % 64) & 1;
    w->comma = true; /* the container itself stands before what follows */
    sx_buf_byte(w->buf, object ? '}' : ']');
}

void sx_json_begin_object(sx_json_writer *w)
{
    begin(w, true);
}

void sx_json_end_object(sx_json_writer *w)
{
    end(w, true);
}

void sx_json_begin_array(sx_json_writer *w)
{
    begin(w, false);
}

void sx_json_end_array(sx_json_writer *w)
{
    end(w, false);
}

/* A key where it fits easily: comma, quotes and colon are written with one look at the room. */
static inline bool put_key(sx_json_writer *w, sx_str key)
{
    char *to = key.len ? room_for(w->buf, key.len) : NULL;
    bool compact = w->style.spacing == SX_JSON_COMPACT;
    if (!to)
        return false;
    if (w->comma) {
        *to++ = ',';
        *to = ' ';
        to += !compact;
    }
    to = put_quoted(to, key, w->style.charset);
    *to++ = ':';
    *to = ' ';
    to += !compact;
    w->buf->len = (size_t)(to - w->buf->data);
    w->comma = true;
    return true;
}

void sx_json_key(sx_json_writer *w, sx_str key)
{
    sx_assert(w->in_object && !w->keyed);
    w->keyed = true;
    if (sx_likely(put_key(w, key)))
        return;
    put_comma(w);
    sx_json_quote(w->buf, key, w->style.charset);
    if (w->style.spacing == SX_JSON_COMPACT)
        sx_buf_byte(w->buf, ':');
    else
        sx_buf_bytes(w->buf, ": ", 2);
}

void sx_json_str(sx_json_writer *w, sx_str value)
{
    before_value(w);
    sx_json_quote(w->buf, value, w->style.charset);
}

/* ---- Numbers and words */

/* HOT: 4 ns. Two digits at a time from the end. */
static void put_integer(sx_buf *buf, uint64_t value, bool negative)
{
    static const char PAIRS[] = "0001020304050607080910111213141516171819"
                                "2021222324252627282930313233343536373839"
                                "4041424344454647484950515253545556575859"
                                "6061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    char text[21];
    size_t at = sizeof(text);
    while (value >= 100) {
        at -= 2;
        memcpy(text + at, PAIRS + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(text + at, PAIRS + value * 2, 2);
    } else {
        text[--at] = (char)('0' + value);
    }
    if (negative)
        text[--at] = '-';
    sx_buf_bytes(buf, text + at, sizeof(text) - at);
}

void sx_json_i64(sx_json_writer *w, int64_t value)
{
    before_value(w);
    put_integer(w->buf, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

void sx_json_u64(sx_json_writer *w, uint64_t value)
{
    before_value(w);
    put_integer(w->buf, value, false);
}

void sx_json_double(sx_json_writer *w, double value)
{
    if (sx_unlikely(!isfinite(value))) {
        if (w->style.nonfinite == SX_JSON_NONFINITE_ERROR)
            w->refused = true;
        sx_json_null(w);
        return;
    }
    before_value(w);
    if (sx_unlikely(value == 0 && signbit(value))) {
        sx_buf_str(w->buf, w->style.doubles == SX_DOUBLE_PYTHON ? SX_STR("-0.0") : SX_STR("-0"));
        return;
    }
    char text[SX_DOUBLE_BYTES];
    char *to = room_for(w->buf, SX_DOUBLE_BYTES);
    if (sx_likely(to != NULL))
        w->buf->len += sx_double_format(value, w->style.doubles, to);
    else
        sx_buf_bytes(w->buf, text, sx_double_format(value, w->style.doubles, text));
}

void sx_json_bool(sx_json_writer *w, bool value)
{
    before_value(w);
    sx_buf_str(w->buf, value ? SX_STR("true") : SX_STR("false"));
}

void sx_json_null(sx_json_writer *w)
{
    before_value(w);
    sx_buf_bytes(w->buf, "null", 4);
}

void sx_json_raw_value(sx_json_writer *w, sx_str json)
{
    before_value(w);
    sx_buf_str(w->buf, json);
}
