/* json_value.c - what JSON values become: decoded strings, integers, doubles. */
#include "codec/json_number.h"

#include <math.h>

#include <sextant/utf8.h>

/* ---- Strings */

static bool hex4(const char *at, uint32_t *out)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)at[i];
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (c | 0x20u) - 'a' + 10;
        else
            return false;
        value = value << 4 | digit;
    }
    *out = value;
    return true;
}

/* Reads \uXXXX, or two of them that are a surrogate pair, at `at`; returns its length or 0. */
static size_t unicode_escape(sx_json *r, const char *at, const char *end, uint32_t *code)
{
    size_t offset = (size_t)(at - r->text);
    uint32_t high, low;
    if (end - at < 6 || !hex4(at + 2, &high)) {
        json_refuse(r, SX_EFORMAT, offset, "\\u must be followed by four hexadecimal digits");
        return 0;
    }
    if (high < 0xd800 || high > 0xdfff) {
        *code = high;
        return 6;
    }
    if (high > 0xdbff || end - at < 12 || at[6] != '\\' || at[7] != 'u' || !hex4(at + 8, &low) ||
        low < 0xdc00 || low > 0xdfff) {
        json_refuse(r, SX_EFORMAT, offset,
                    "\\u%04x is half of a surrogate pair without the other half", high);
        return 0;
    }
    *code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return 12;
}

/* Reads the escape at `at`; returns its length, or 0 when it is refused. */
static size_t read_escape(sx_json *r, const char *at, const char *end, uint32_t *code)
{
    static const char MEANS[256] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                    ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
    sx_assert(end - at >= 2); /* the closing quote is not escaped */
    unsigned char c = (unsigned char)at[1];
    if (c == 'u')
        return unicode_escape(r, at, end, code);
    if (sx_likely(MEANS[c])) {
        *code = (unsigned char)MEANS[c];
        return 2;
    }
    if (c > 0x20 && c < 0x7f)
        json_refuse(r, SX_EFORMAT, (size_t)(at - r->text),
                    "'\\%c' is no escape; allowed are \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX",
                    c);
    else
        json_refuse(r, SX_EFORMAT, (size_t)(at - r->text),
                    "a backslash and byte 0x%02x are no escape; write \\\\ for a backslash", c);
    return 0;
}

bool json_check_escapes(sx_json *r, sx_str raw)
{
    const char *at = raw.data, *end = raw.data + raw.len;
    while ((at = memchr(at, '\\', (size_t)(end - at))) != NULL) {
        uint32_t code;
        size_t len = read_escape(r, at, end, &code);
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}

/* Memory for `bytes` decoded bytes; what is used of it is taken by space_took(). */
static char *space_for(sx_json *r, size_t bytes)
{
    if (r->arena) {
        char *at = (char *)sx_arena_alloc(r->arena, bytes);
        if (!at)
            json_refuse(r, SX_ENOMEM, r->at, "out of memory for a string of %zu bytes", bytes);
        return at;
    }
    sx_assert(r->space != NULL);
    if (bytes > r->space_left) {
        json_refuse(r, SX_ELIMIT, r->at,
                    "the strings with escapes are longer than the space for them");
        return NULL;
    }
    return r->space;
}

static void space_took(sx_json *r, size_t bytes)
{
    if (r->arena)
        return;
    r->space += bytes;
    r->space_left -= bytes;
}

bool json_decode(sx_json *r, sx_str *out)
{
    sx_str raw = sx_json_token_raw(r);
    char *start = space_for(r, raw.len); /* decoding never makes it longer */
    if (!start)
        return false;
    char *to = start;
    const char *at = raw.data, *end = raw.data + raw.len;
    while (at < end) {
        const char *slash = (const char *)memchr(at, '\\', (size_t)(end - at));
        size_t run = (size_t)((slash ? slash : end) - at);
        memcpy(to, at, run);
        to += run;
        at += run;
        if (!slash)
            break;
        uint32_t code;
        size_t len = read_escape(r, at, end, &code);
        if (len == 0)
            return false;
        to += sx_utf8_encode(code, to);
        at += len;
    }
    *out = sx_str_of(start, (size_t)(to - start));
    space_took(r, out->len);
    return true;
}

bool sx_json_read_str(sx_json *r, sx_str *out)
{
    const uint32_t *m = json_begin_value(r);
    if (!m)
        return false;
    sx_assert(r->arena || r->space);
    if (sx_unlikely(m[0] == JSON_NO_MARK || r->text[m[0]] != '"')) {
        json_unexpected(r, m[0], "a string");
        return false;
    }
    if (json_is_plain(r, m))
        r->escaped = false;
    else if (json_odd_string(r, m) != SX_JSON_STRING)
        return false;
    json_done(r, m[0], m[1], (size_t)m[1] + 1, m + 2, r->after);
    if (sx_unlikely(r->escaped))
        return json_decode(r, out);
    *out = sx_str_of(r->text + m[0] + 1, (size_t)m[1] - m[0] - 1);
    return true;
}

bool sx_json_token_str(sx_json *r, sx_str *out)
{
    if (r->state == JSON_REFUSED)
        return false;
    sx_assert(r->at < r->len && r->text[r->at] == '"');
    if (r->escaped)
        return json_decode(r, out);
    *out = sx_json_token_raw(r);
    return true;
}

/* ---- Numbers */

static size_t skip_digits(const sx_json *r, size_t at)
{
    while (at < r->len && r->text[at] >= '0' && r->text[at] <= '9')
        at++;
    return at;
}

/* RFC 8259 section 6: -?(0|[1-9]d*)(.d+)?([eE][+-]?d+)?, and nothing that could continue it. */
size_t json_number_end(const sx_json *r, size_t start)
{
    size_t at = start;
    if (r->text[at] == '-')
        at++;
    size_t digits = at;
    at = skip_digits(r, at);
    if (at == digits || (at - digits > 1 && r->text[digits] == '0'))
        return start;
    if (at < r->len && r->text[at] == '.') {
        digits = ++at;
        at = skip_digits(r, at);
        if (at == digits)
            return start;
    }
    if (at < r->len && (r->text[at] | 0x20) == 'e') {
        at++;
        if (at < r->len && (r->text[at] == '+' || r->text[at] == '-'))
            at++;
        digits = at;
        at = skip_digits(r, at);
        if (at == digits)
            return start;
    }
    return at < r->len && json_is_scalar((unsigned char)r->text[at]) ? start : at;
}

/* What begin_number() met: a number in `n`, another one, or a fault. */
typedef enum number_form { NUMBER_SHORT, NUMBER_LONG, NUMBER_REFUSED } number_form;

/* Takes the mark of a number, checks the number and goes behind it. */
static inline number_form begin_number(sx_json *r, json_short *n)
{
    const uint32_t *m = json_begin_value(r);
    if (!m)
        return NUMBER_REFUSED;
    size_t at = m[0], end;
    number_form form = NUMBER_SHORT;
    if (sx_unlikely(at == JSON_NO_MARK || !json_begins_number(r->text[at]))) {
        json_unexpected(r, at, "a number");
        return NUMBER_REFUSED;
    }
    if (sx_likely(json_short_number(r, at, m[1], n))) {
        end = n->at + n->len;
    } else {
        form = NUMBER_LONG;
        end = json_number_end(r, at);
        if (sx_unlikely(end == at)) {
            json_bad_scalar(r, at);
            return NUMBER_REFUSED;
        }
    }
    json_done(r, m[0], end, end, m + 1, r->after);
    return form;
}

bool sx_json_read_number(sx_json *r, sx_str *out)
{
    json_short n;
    if (begin_number(r, &n) == NUMBER_REFUSED)
        return false;
    *out = sx_json_token_raw(r);
    return true;
}

/* Converts the last token by the general way. */
static bool long_double(sx_json *r, double *out)
{
    sx_str raw = sx_json_token_raw(r);
    double value;
    bool is_number = sx_double_parse(raw, &value);
    sx_assert(is_number);
    if (sx_unlikely(isinf(value))) {
        json_refuse(r, SX_ELIMIT, r->at, "%.*s is too large for a double",
                    SX_ARG(sx_str_first(raw, 40)));
        return false;
    }
    *out = value;
    return true;
}

/* HOT: 5 ns for the usual coordinate. At most 15 digits with a point or 16 without: an integer
 * that is exact up to 2^53, divided by a power of ten that is exact, is rounded once. */
static inline bool short_double(const sx_json *r, const json_short *n, double *out)
{
    static const uint64_t WHOLE[] = {1,
                                     10,
                                     100,
                                     1000,
                                     10000,
                                     100000,
                                     1000000,
                                     10000000,
                                     100000000,
                                     1000000000,
                                     10000000000,
                                     100000000000,
                                     1000000000000,
                                     10000000000000,
                                     100000000000000,
                                     1000000000000000};
    static const double POWER[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *at = r->text + n->at;
    uint64_t digits = json_digits16(at, n->dot);
    unsigned places = 0;
    if (n->dot < n->len) {
        places = n->len - n->dot - 1;
        digits = digits * WHOLE[places] + json_digits16(at + n->dot + 1, places);
    }
    if (sx_unlikely(digits > (uint64_t)1 << 53))
        return false;
    double value = (double)digits / POWER[places];
    *out = n->negative ? -value : value;
    return true;
}

bool sx_json_read_double(sx_json *r, double *out)
{
    json_short n;
    number_form form = begin_number(r, &n);
    if (sx_likely(form == NUMBER_SHORT) && sx_likely(short_double(r, &n, out)))
        return true;
    return form != NUMBER_REFUSED && long_double(r, out);
}

/* Converts the last token to an integer without its sign, at most `most`. */
static bool long_integer(sx_json *r, uint64_t most, uint64_t *out)
{
    sx_str raw = sx_json_token_raw(r);
    uint64_t value = 0;
    for (size_t i = raw.data[0] == '-'; i < raw.len; i++) {
        char c = raw.data[i];
        if (c < '0' || c > '9') {
            json_refuse(r, SX_EFORMAT, r->at, "expected an integer, found %.*s",
                        SX_ARG(sx_str_first(raw, 40)));
            return false;
        }
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(c - '0'), &value) || value > most) {
            json_refuse(r, SX_ELIMIT, r->at, "%.*s does not fit an integer of 64 bits",
                        SX_ARG(sx_str_first(raw, 40)));
            return false;
        }
    }
    *out = value;
    return true;
}

static bool token_i64(sx_json *r, int64_t *out)
{
    bool negative = r->text[r->at] == '-';
    uint64_t value;
    if (!long_integer(r, (uint64_t)INT64_MAX + negative, &value))
        return false;
    *out = (int64_t)(negative ? 0 - value : value);
    return true;
}

/* -5 is refused as too small; -0 is 0. */
static bool token_u64(sx_json *r, uint64_t *out)
{
    return long_integer(r, r->text[r->at] == '-' ? 0 : UINT64_MAX, out);
}

bool sx_json_read_i64(sx_json *r, int64_t *out)
{
    json_short n;
    number_form form = begin_number(r, &n);
    if (sx_likely(form == NUMBER_SHORT) && sx_likely(n.dot == n.len)) {
        int64_t value = (int64_t)json_digits16(r->text + n.at, n.len);
        *out = n.negative ? -value : value;
        return true;
    }
    return form != NUMBER_REFUSED && token_i64(r, out);
}

bool sx_json_read_u64(sx_json *r, uint64_t *out)
{
    json_short n;
    number_form form = begin_number(r, &n);
    if (sx_likely(form == NUMBER_SHORT) && sx_likely(n.dot == n.len && !n.negative)) {
        *out = json_digits16(r->text + n.at, n.len);
        return true;
    }
    return form != NUMBER_REFUSED && token_u64(r, out);
}

/* Asserts that the last token was a number; false if the text was refused. */
static bool have_number(const sx_json *r)
{
    if (r->state == JSON_REFUSED)
        return false;
    sx_assert(r->at < r->tok_end && json_begins_number(r->text[r->at]));
    return true;
}

bool sx_json_token_i64(sx_json *r, int64_t *out)
{
    return have_number(r) && token_i64(r, out);
}

bool sx_json_token_u64(sx_json *r, uint64_t *out)
{
    return have_number(r) && token_u64(r, out);
}

bool sx_json_token_double(sx_json *r, double *out)
{
    return have_number(r) && long_double(r, out);
}

/* ---- Words */

bool sx_json_read_bool(sx_json *r, bool *out)
{
    sx_json_token token = sx_json_peek(r);
    if (token == SX_JSON_ERROR)
        return false;
    if (token != SX_JSON_TRUE && token != SX_JSON_FALSE) {
        json_unexpected(r, json_marks(r)[0], "true or false");
        return false;
    }
    if (!sx_json_skip(r))
        return false;
    *out = token == SX_JSON_TRUE;
    return true;
}

bool sx_json_take_null(sx_json *r)
{
    return sx_json_peek(r) == SX_JSON_NULL && sx_json_skip(r);
}
