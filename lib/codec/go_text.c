/* go_text.c - strconv's ParseFloat and Quote.
 *
 * A decimal is brought into the stricter notation that sx_double_parse() reads exactly; only the
 * rare hexadecimal one goes to the C library, its grammar checked before. */
#include "codec/go_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/number.h>
#include <sextant/utf8.h>

/* --- Numbers. */

enum { NUMBER_BYTES_MAX = 4000 };

static const char SYNTAX[] = "invalid syntax", RANGE[] = "value out of range";

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex_digit(char c)
{
    return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

/* Copies without the underscores, which may stand between digits, or between 0x and a digit. */
static bool drop_underscores(sx_str s, bool hex, char *copy, size_t *len)
{
    bool after_digit = false;
    *len = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i], next = i + 1 < s.len ? s.data[i + 1] : '_';
        if (c == '_') {
            if (!after_digit || !(hex ? is_hex_digit(next) : is_digit(next)))
                return false;
            after_digit = false;
            continue;
        }
        after_digit = (hex ? is_hex_digit(c) : is_digit(c)) || (hex && i == 1);
        copy[(*len)++] = c;
    }
    copy[*len] = '\0';
    return true;
}

/* 0x1.8p3: the exponent is not optional. */
static bool is_hexadecimal(const char *s)
{
    size_t digits = 0, points = 0;
    for (s += 2; is_hex_digit(*s) || *s == '.'; s++) {
        digits += *s != '.';
        points += *s == '.';
    }
    if (!digits || points > 1 || (*s | 32) != 'p')
        return false;
    s++;
    s += *s == '+' || *s == '-';
    if (!is_digit(*s))
        return false;
    while (is_digit(*s))
        s++;
    return *s == '\0';
}

/* Into JSON's notation, in place, `text` having a byte to spare in front: 0.5 for .5, 1 for 1., 8
 * for 08. */
static bool read_decimal(char *text, size_t len, double *out)
{
    while (len > 1 && text[0] == '0' && is_digit(text[1])) {
        text++;
        len--;
    }
    size_t point = 0;
    while (point < len && is_digit(text[point]))
        point++;
    bool digits = point > 0;
    if (point < len && text[point] == '.') {
        if (point + 1 < len && is_digit(text[point + 1])) {
            if (!digits) {
                *--text = '0';
                len++;
            }
            digits = true;
        } else {
            memmove(text + point, text + point + 1, --len - point);
        }
    }
    return digits && sx_double_parse(sx_str_of(text, len), out);
}

const char *go_float_read(sx_str text, double *out)
{
    char room[NUMBER_BYTES_MAX + 2], *copy = room + 1;
    bool negative = text.len && text.data[0] == '-';
    sx_str rest = sx_str_from(text, negative || (text.len && text.data[0] == '+'));
    bool hex = rest.len > 2 && rest.data[0] == '0' && (rest.data[1] | 32) == 'x';
    double value;
    size_t len;
    if (sx_str_ieq(rest, SX_STR("inf")) || sx_str_ieq(rest, SX_STR("infinity"))) {
        *out = negative ? -INFINITY : INFINITY;
        return NULL;
    }
    if (sx_str_ieq(text, SX_STR("nan"))) {
        uint64_t bits = 0x7ff8000000000001;
        memcpy(out, &bits, sizeof *out);
        return NULL;
    }
    if (rest.len > NUMBER_BYTES_MAX || !drop_underscores(rest, hex, copy, &len))
        return SYNTAX;
    if (hex) {
        if (!is_hexadecimal(copy))
            return SYNTAX;
        value = strtod(copy, NULL); /* the programs never leave the C locale */
    } else if (!read_decimal(copy, len, &value)) {
        return SYNTAX;
    }
    if (isinf(value))
        return RANGE;
    *out = negative ? -value : value;
    return NULL;
}

/* --- Quotes. */

/* What Go's strconv.IsPrint refuses, but for planes that nobody uses: controls, spaces other than
 * U+0020, format characters, surrogates, private use, non-characters. Sorted. */
static const uint32_t UNPRINTABLE[][2] = {
    {0x00, 0x1f},     {0x7f, 0xa0},       {0xad, 0xad},        {0x61c, 0x61c},   {0x6dd, 0x6dd},
    {0x70f, 0x70f},   {0x1680, 0x1680},   {0x180e, 0x180e},    {0x2000, 0x200f}, {0x2028, 0x202f},
    {0x205f, 0x206f}, {0x3000, 0x3000},   {0xd800, 0xf8ff},    {0xfeff, 0xfeff}, {0xfff0, 0xfffb},
    {0xfffe, 0xffff}, {0xe0000, 0xe00ff}, {0xe01f0, 0x10ffff},
};

static bool printable(uint32_t code)
{
    for (size_t i = 0; i < SX_COUNT_OF(UNPRINTABLE); i++) {
        if (code <= UNPRINTABLE[i][1])
            return code < UNPRINTABLE[i][0];
    }
    return true;
}

static const char ESCAPES[128] = {
    ['\a'] = 'a', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
    ['\t'] = 't', ['\v'] = 'v', ['"'] = '"',  ['\\'] = '\\'};

static void quote(sx_str text, bool ascii, sx_buf *out)
{
    sx_buf_byte(out, '"');
    while (text.len) {
        uint32_t code;
        size_t len = sx_utf8_decode(text, &code);
        if (len == 0) { /* no UTF-8 */
            sx_buf_printf(out, "\\x%02x", (unsigned char)text.data[0]);
            len = 1;
        } else if (code < 128 && ESCAPES[code]) {
            sx_buf_byte(out, '\\');
            sx_buf_byte(out, ESCAPES[code]);
        } else if (ascii ? code >= 0x20 && code < 0x7f : printable(code)) {
            sx_buf_bytes(out, text.data, len);
        } else {
            const char *form = code < 128 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x";
            sx_buf_printf(out, form, code);
        }
        text = sx_str_from(text, len);
    }
    sx_buf_byte(out, '"');
}

void go_quote(sx_str text, sx_buf *out)
{
    quote(text, false, out);
}

void go_quote_ascii(sx_str text, sx_buf *out)
{
    quote(text, true, out);
}
