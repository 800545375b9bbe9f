/* fold.c - folding by table; ASCII goes straight through, see fold.h. */
#include "geocode/text/fold.h"

#include "geocode/text/fold_table.h"
#include "geocode/text/transliterate.h"

/* What ASCII folds to: itself in lower case, or a space. */
static char fold_ascii(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c | 0x20);
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')
        return (char)c;
    return ' ';
}

/* The length a lead byte announces, 0 if it is none; *bits gets its own payload. */
static size_t lead(unsigned char c, unsigned *bits)
{
    if (c >= 0xC2 && c <= 0xDF) {
        *bits = c & 0x1Fu;
        return 2;
    }
    if ((c & 0xF0) == 0xE0) {
        *bits = c & 0x0Fu;
        return 3;
    }
    if (c >= 0xF0 && c <= 0xF4) {
        *bits = c & 0x07u;
        return 4;
    }
    return 0;
}

/* Reads one character beyond ASCII at s.data. Returns its length and fills *code; 1 and code 0 for
 * a byte that starts no valid character. RFC 3629, section 4: no overlong forms, no surrogates. */
static size_t read_char(sx_str s, unsigned *code)
{
    static const unsigned LEAST[5] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned value = 0;
    size_t len = lead((unsigned char)s.data[0], &value);
    *code = 0;
    if (len == 0 || len > s.len)
        return 1;
    for (size_t i = 1; i < len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if ((c & 0xC0) != 0x80)
            return 1;
        value = value << 6 | (c & 0x3Fu);
    }
    if (value < LEAST[len] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 1;
    *code = value;
    return len;
}

/* Marks that modify the letter before them, which has been folded already. */
static bool is_combining(unsigned code)
{
    return (code >= 0x0300 && code <= 0x036F) || (code >= 0xFE00 && code <= 0xFE0F) ||
           (code >= 0x20D0 && code <= 0x20FF) || code == 0xFEFF;
}

/* Symbols and punctuation of scripts that have no table; everything else there is a letter. */
static bool is_symbol(unsigned code)
{
    return (code >= 0x20A0 && code <= 0x2BFF) || (code >= 0x3000 && code <= 0x3004) ||
           (code >= 0x3008 && code <= 0x3020) || (code >= 0xFF5F && code <= 0xFF65) ||
           (code >= 0xE000 && code <= 0xF8FF) || (code >= 0xFFF0 && code <= 0xFFFF) ||
           (code >= 0x1F000 && code <= 0x1FBFF) || code >= 0xE0000 || code == 0x060C ||
           code == 0x061B || code == 0x061F || (code >= 0x0080 && code < 0x00A0);
}

/* The table's word on `code`; NULL when it has none. */
static const char *from_table(unsigned code)
{
    for (size_t i = 0; i < SX_COUNT_OF(FOLD_RANGES); i++) {
        if (code >= FOLD_RANGES[i].first && code <= FOLD_RANGES[i].last)
            return FOLD_RANGES[i].text[code - FOLD_RANGES[i].first];
    }
    return NULL;
}

/* Where folded bytes go; a space is remembered and written before the next letter only. */
typedef struct sink {
    char *out;
    size_t len, cap;
    bool space;
} sink;

static void put(sink *to, const char *bytes, size_t len)
{
    size_t gap = to->space && to->len ? 1 : 0;
    if (to->cap - to->len < len + gap) {
        to->cap = to->len; /* full: later, shorter letters must not follow a gap */
        return;
    }
    if (gap)
        to->out[to->len++] = ' ';
    memcpy(to->out + to->len, bytes, len);
    to->len += len;
    to->space = false;
}

static void put_text(sink *to, const char *text)
{
    for (; *text; text++) {
        if (*text == ' ')
            to->space = true;
        else if (*text != '\1')
            put(to, text, 1);
    }
}

/* A letter of a script that the table does not have, in Latin ones; false if none stand for it. */
static bool put_latin(sink *to, unsigned code)
{
    char latin[GEO_LATIN_BYTES];
    size_t len;
    geo_latin kind = geo_transliterate(code, latin, &len);
    if (kind == GEO_LATIN_UNKNOWN)
        return false;
    if (len == 0)
        return true;
    to->space = to->space || kind == GEO_LATIN_WORD;
    put(to, latin, len);
    to->space = kind == GEO_LATIN_WORD;
    return true;
}

static void put_beyond_ascii(sink *to, const char *bytes, size_t len, unsigned code)
{
    if (code == 0) {
        to->space = true;
        return;
    }
    if (is_combining(code))
        return;
    const char *text = from_table(code);
    if (text && text[0] != '\2')
        put_text(to, text);
    else if (!text && is_symbol(code))
        to->space = true;
    else if (!put_latin(to, code))
        put(to, bytes, len);
}

sx_str geo_fold(sx_str in, char *out, size_t cap)
{
    sink to = {.out = out, .cap = cap};
    for (size_t at = 0; at < in.len;) {
        unsigned char c = (unsigned char)in.data[at];
        if (sx_likely(c < 0x80)) {
            char folded = fold_ascii(c);
            if (folded == ' ')
                to.space = true;
            else
                put(&to, &folded, 1);
            at++;
            continue;
        }
        unsigned code;
        size_t len = read_char(sx_str_from(in, at), &code);
        put_beyond_ascii(&to, in.data + at, len, code);
        at += len;
    }
    return sx_str_of(out, to.len);
}

size_t geo_char_count(sx_str in)
{
    size_t count = 0;
    for (size_t at = 0; at < in.len; count++) {
        unsigned code;
        at += (unsigned char)in.data[at] < 0x80 ? 1 : read_char(sx_str_from(in, at), &code);
    }
    return count;
}
