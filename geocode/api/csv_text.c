/* csv_text.c - decoding and encoding. UTF-8 is copied by runs; the rest goes character by character. */
#include "geocode/api/csv_text.h"

#include <sextant/utf8.h>

#include "geocode/api/csv_charsets.h"

/* ---- names ---- */

enum { NAME_BYTES_MAX = 32 };

/* Letters and digits alone, small: "ISO_8859-15" and "iso8859-15" are the same. */
static size_t squash(sx_str name, char out[NAME_BYTES_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (c >= 'A' && c <= 'Z')
            c |= 0x20;
        if (c == '-' || c == '_' || c == ' ' || c == '.' || c == ':')
            continue;
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            return 0; /* the name is repeated in a header field */
        if (len == NAME_BYTES_MAX)
            return 0;
        out[len++] = c;
    }
    return len;
}

/* Other names, squashed, in pairs: the name, and what it stands for. */
static const char *const ALIASES[][2] = {
    {"utf", "utf8"},          {"u8", "utf8"},
    {"cp65001", "utf8"},      {"u16", "utf16"},
    {"usascii", "ascii"},     {"us", "ascii"},
    {"646", "ascii"},         {"cp367", "ascii"},
    {"latin", "latin1"},      {"l1", "latin1"},
    {"8859", "latin1"},       {"iso8859", "latin1"},
    {"iso88591", "latin1"},   {"cp819", "latin1"},
    {"latin2", "iso88592"},   {"l2", "iso88592"},
    {"latin3", "iso88593"},   {"l3", "iso88593"},
    {"latin4", "iso88594"},   {"l4", "iso88594"},
    {"cyrillic", "iso88595"}, {"arabic", "iso88596"},
    {"greek", "iso88597"},    {"hebrew", "iso88598"},
    {"latin5", "iso88599"},   {"l5", "iso88599"},
    {"latin6", "iso885910"},  {"l6", "iso885910"},
    {"thai", "iso885911"},    {"latin7", "iso885913"},
    {"l7", "iso885913"},      {"latin8", "iso885914"},
    {"l8", "iso885914"},      {"latin9", "iso885915"},
    {"l9", "iso885915"},      {"latin10", "iso885916"},
    {"l10", "iso885916"},     {"macintosh", "macroman"},
};

/* "1252", "windows1252" and "ibm850" are cp1252 and cp850. */
static sx_str code_page(sx_str name, char out[NAME_BYTES_MAX + 2])
{
    static const sx_str PREFIXES[] = {SX_STR_INIT("windows"), SX_STR_INIT("ibm"), SX_STR_INIT("")};
    for (size_t i = 0; i < SX_COUNT_OF(PREFIXES); i++) {
        sx_str digits = sx_str_from(name, PREFIXES[i].len);
        if (!sx_str_starts(name, PREFIXES[i]) || !digits.len || digits.data[0] > '9')
            continue;
        memcpy(out, "cp", 2);
        memcpy(out + 2, digits.data, digits.len);
        return sx_str_of(out, digits.len + 2);
    }
    return name;
}

bool geo_csv_charset_find(sx_str name, geo_csv_charset *out)
{
    static const struct {
        const char *name;
        geo_csv_charset charset;
    } WIDE[] = {
        {"utf8", {GEO_CSV_UTF8, false, NULL, "utf-8"}},
        {"utf8sig", {GEO_CSV_UTF8, true, NULL, "utf-8"}},
        {"utf16", {GEO_CSV_UTF16_LE, true, NULL, "utf-16-le"}},
        {"utf16le", {GEO_CSV_UTF16_LE, false, NULL, "utf-16-le"}},
        {"utf16be", {GEO_CSV_UTF16_BE, false, NULL, "utf-16-be"}},
        {"ascii", {GEO_CSV_ONE_BYTE, false, NULL, "ascii"}},
        {"latin1", {GEO_CSV_ONE_BYTE, false, LATIN_1, "latin-1"}},
    };
    char plain[NAME_BYTES_MAX], paged[NAME_BYTES_MAX + 2], known[NAME_BYTES_MAX];
    sx_str text = sx_str_of(plain, squash(name, plain));
    for (size_t i = 0; i < SX_COUNT_OF(ALIASES); i++) {
        if (sx_str_eq(text, sx_str_z(ALIASES[i][0]))) {
            text = sx_str_z(ALIASES[i][1]);
            break;
        }
    }
    for (size_t i = 0; i < SX_COUNT_OF(WIDE); i++) {
        if (sx_str_eq(text, sx_str_z(WIDE[i].name))) {
            *out = WIDE[i].charset;
            return true;
        }
    }
    text = code_page(text, paged);
    for (size_t i = 0; i < SX_COUNT_OF(CHARSET_NAMES) && text.len; i++) {
        if (sx_str_eq(text, sx_str_of(known, squash(sx_str_z(CHARSET_NAMES[i]), known)))) {
            *out = (geo_csv_charset){GEO_CSV_ONE_BYTE, false, CHARSETS[i], "charmap"};
            return true;
        }
    }
    return false;
}

sx_str geo_csv_mark(const geo_csv_charset *charset)
{
    if (!charset->marked)
        return sx_str_of("", 0);
    return charset->form == GEO_CSV_UTF8 ? SX_STR("\xef\xbb\xbf") : SX_STR("\xff\xfe");
}

/* ---- reading ---- */

static void put_code(sx_buf *out, uint32_t code)
{
    char utf8[4];
    sx_buf_bytes(out, utf8, sx_utf8_encode(code, utf8));
}

/* Bytes that are no character: U+FFFD, or the error in Python's words. */
static sx_status broken(const geo_csv_decoder *d, sx_str in, size_t count, const char *why,
                        sx_buf *out, sx_error *err)
{
    if (d->lenient) {
        put_code(out, 0xfffd);
        return SX_OK;
    }
    if (count == 1)
        return sx_fail(err, SX_EFORMAT, "'%s' codec can't decode byte 0x%02x in position %llu: %s",
                       d->charset.codec, (unsigned char)in.data[0], (unsigned long long)d->position,
                       why);
    return sx_fail(err, SX_EFORMAT, "'%s' codec can't decode bytes in position %llu-%llu: %s",
                   d->charset.codec, (unsigned long long)d->position,
                   (unsigned long long)(d->position + count - 1), why);
}

/* How many bytes of a broken sequence belong together (the longest beginning of a character), and
 * whether only more bytes are missing. */
static size_t broken_len(sx_str in, bool *cut)
{
    static const char *const ENDINGS[] = {"\x80\x80\x80", "\xbf\xbf\xbf"};
    for (size_t had = in.len < 3 ? in.len : 3; had > 0; had--) {
        for (size_t k = 0; k < SX_COUNT_OF(ENDINGS); k++) {
            for (size_t more = 1; had + more <= 4; more++) {
                char whole[4];
                uint32_t code;
                memcpy(whole, in.data, had);
                memcpy(whole + had, ENDINGS[k], more);
                if (sx_utf8_decode(sx_str_of(whole, had + more), &code) == had + more) {
                    *cut = had == in.len;
                    return had;
                }
            }
        }
    }
    *cut = false;
    return 0;
}

static sx_status decode_utf8(geo_csv_decoder *d, sx_str *in, geo_csv_piece piece, sx_buf *out,
                             sx_error *err)
{
    while (in->len) {
        size_t good = sx_utf8_valid_len(*in);
        bool cut = false;
        sx_buf_bytes(out, in->data, good);
        d->position += good;
        *in = sx_str_from(*in, good);
        if (!in->len)
            break;
        size_t had = broken_len(*in, &cut);
        if (cut && piece == GEO_CSV_PIECE)
            break;
        const char *why = cut   ? "unexpected end of data"
                          : had ? "invalid continuation byte"
                                : "invalid start byte";
        sx_status status = broken(d, *in, had ? had : 1, why, out, err);
        if (status != SX_OK)
            return status;
        d->position += had ? had : 1;
        *in = sx_str_from(*in, had ? had : 1);
    }
    return SX_OK;
}

static uint32_t unit_at(const geo_csv_decoder *d, sx_str in, size_t at)
{
    uint32_t first = (unsigned char)in.data[at], second = (unsigned char)in.data[at + 1];
    return d->charset.form == GEO_CSV_UTF16_LE ? first | second << 8 : first << 8 | second;
}

static sx_status decode_utf16(geo_csv_decoder *d, sx_str *in, geo_csv_piece piece, sx_buf *out,
                              sx_error *err)
{
    while (in->len) {
        uint32_t code = in->len >= 2 ? unit_at(d, *in, 0) : 0;
        size_t take = 2;
        const char *why = NULL;
        if (in->len < 2) {
            why = "truncated data";
            take = 1;
        } else if (code >= 0xdc00 && code < 0xe000) {
            why = "illegal encoding";
        } else if (code >= 0xd800 && code < 0xdc00) {
            if (in->len < 4) {
                why = "unexpected end of data";
                take = in->len;
            } else if ((unit_at(d, *in, 2) & 0xfc00) != 0xdc00) {
                why = "illegal UTF-16 surrogate";
            } else {
                code = 0x10000 + ((code & 0x3ff) << 10) + (unit_at(d, *in, 2) & 0x3ff);
                take = 4;
            }
        }
        if (why && piece == GEO_CSV_PIECE && in->len < 4 && take == in->len)
            break; /* more may come */
        if (!why)
            put_code(out, code);
        else if (broken(d, *in, take, why, out, err) != SX_OK)
            return SX_EFORMAT;
        d->position += take;
        *in = sx_str_from(*in, take);
    }
    return SX_OK;
}

static sx_status decode_one_byte(geo_csv_decoder *d, sx_str *in, sx_buf *out, sx_error *err)
{
    while (in->len) {
        size_t plain = 0;
        while (plain < in->len && (unsigned char)in->data[plain] < 0x80)
            plain++;
        sx_buf_bytes(out, in->data, plain);
        d->position += plain;
        *in = sx_str_from(*in, plain);
        if (!in->len)
            break;
        uint32_t code = d->charset.high ? d->charset.high[(unsigned char)in->data[0] - 0x80] : 0;
        if (code) {
            put_code(out, code);
        } else {
            const char *why =
                d->charset.high ? "character maps to <undefined>" : "ordinal not in range(128)";
            sx_status status = broken(d, *in, 1, why, out, err);
            if (status != SX_OK)
                return status;
        }
        d->position++;
        *in = sx_str_from(*in, 1);
    }
    return SX_OK;
}

/* Drops the mark. False: wait for more bytes, they may be one. */
static bool pass_mark(geo_csv_decoder *d, sx_str *in, geo_csv_piece piece)
{
    if (!d->charset.marked || d->began)
        return true;
    sx_str mark = geo_csv_mark(&d->charset);
    if (in->len < mark.len && piece == GEO_CSV_PIECE)
        return false;
    d->began = true;
    if (sx_str_starts(*in, mark)) {
        *in = sx_str_from(*in, mark.len);
        if (d->charset.form != GEO_CSV_UTF8)
            d->position += mark.len; /* Python counts it there, and not in UTF-8 */
    } else if (d->charset.form == GEO_CSV_UTF16_LE && sx_str_starts(*in, SX_STR("\xfe\xff"))) {
        d->charset.form = GEO_CSV_UTF16_BE;
        d->charset.codec = "utf-16-be";
        d->position += 2;
        *in = sx_str_from(*in, 2);
    }
    return true;
}

static sx_status decode(geo_csv_decoder *d, sx_str *in, geo_csv_piece piece, sx_buf *out,
                        sx_error *err)
{
    if (!pass_mark(d, in, piece))
        return SX_OK;
    switch (d->charset.form) {
    case GEO_CSV_UTF8:
        return decode_utf8(d, in, piece, out, err);
    case GEO_CSV_UTF16_LE:
    case GEO_CSV_UTF16_BE:
        return decode_utf16(d, in, piece, out, err);
    default:
        return decode_one_byte(d, in, out, err);
    }
}

sx_status geo_csv_decode(geo_csv_decoder *d, sx_str in, geo_csv_piece piece, sx_buf *out,
                         sx_error *err)
{
    /* A cut character is joined with just enough of what follows, then the rest goes by itself. */
    while (d->kept_len && in.len) {
        char joined[sizeof(d->kept) + 1];
        size_t had = d->kept_len;
        memcpy(joined, d->kept, had);
        joined[had] = in.data[0];
        in = sx_str_from(in, 1);
        sx_str rest = sx_str_of(joined, had + 1);
        geo_csv_piece which = in.len ? GEO_CSV_PIECE : piece;
        sx_status status = decode(d, &rest, which, out, err);
        if (status != SX_OK)
            return status;
        sx_assert(rest.len <= sizeof(d->kept));
        memcpy(d->kept, rest.data, rest.len);
        d->kept_len = (uint8_t)rest.len;
    }
    if (d->kept_len) {
        if (piece == GEO_CSV_PIECE)
            return SX_OK;
        in = sx_str_of(d->kept, d->kept_len);
        d->kept_len = 0;
        return decode(d, &in, piece, out, err);
    }
    sx_status status = decode(d, &in, piece, out, err);
    if (status != SX_OK)
        return status;
    sx_assert(in.len < sizeof(d->kept));
    if (in.len)
        memcpy(d->kept, in.data, in.len);
    d->kept_len = (uint8_t)in.len;
    return SX_OK;
}

/* ---- writing ---- */

static void put_unit(sx_buf *out, geo_csv_width form, uint32_t unit)
{
    char bytes[2] = {(char)(unit & 0xff), (char)(unit >> 8)};
    if (form == GEO_CSV_UTF16_BE) {
        char low = bytes[0];
        bytes[0] = bytes[1];
        bytes[1] = low;
    }
    sx_buf_bytes(out, bytes, 2);
}

static void put_utf16(sx_buf *out, geo_csv_width form, uint32_t code)
{
    if (code >= 0x10000) {
        put_unit(out, form, 0xd800 + ((code - 0x10000) >> 10));
        code = 0xdc00 + ((code - 0x10000) & 0x3ff);
    }
    put_unit(out, form, code);
}

static void put_one_byte(sx_buf *out, const uint16_t *high, uint32_t code)
{
    for (size_t i = 0; i < 128 && high; i++) {
        if (high[i] == code) {
            sx_buf_byte(out, (char)(0x80 + i));
            return;
        }
    }
    sx_buf_byte(out, '?');
}

void geo_csv_encode(const geo_csv_charset *charset, sx_str in, sx_buf *out)
{
    if (charset->form == GEO_CSV_UTF8) {
        sx_buf_str(out, in);
        return;
    }
    while (in.len) {
        uint32_t code = 0xfffd;
        size_t len = sx_utf8_decode(in, &code);
        in = sx_str_from(in, len ? len : 1);
        if (charset->form != GEO_CSV_ONE_BYTE)
            put_utf16(out, charset->form, code);
        else if (code < 0x80)
            sx_buf_byte(out, (char)code);
        else
            put_one_byte(out, charset->high, code);
    }
}
