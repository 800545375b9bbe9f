/* csv_text.h - the charsets that uploads come in, to UTF-8 and back.
 *
 * Names are those that Python knows, since Addok takes any of them: UTF-8 (with or without its mark),
 * UTF-16, ASCII, Latin-1 and the usual charsets of one byte a character. */
#ifndef SEXTANT_GEOCODE_API_CSV_TEXT_H
#define SEXTANT_GEOCODE_API_CSV_TEXT_H

#include <sextant/buf.h>
#include <sextant/error.h>

typedef enum geo_csv_width {
    GEO_CSV_UTF8,
    GEO_CSV_UTF16_LE,
    GEO_CSV_UTF16_BE,
    GEO_CSV_ONE_BYTE,
} geo_csv_width;

typedef struct geo_csv_charset {
    geo_csv_width form;
    bool marked;          /* a byte-order mark is dropped from what is read and put before what is
                           * written; of UTF-16, it also says the order of what is read */
    const uint16_t *high; /* one byte: characters of 0x80 to 0xff; NULL: ASCII alone */
    const char *codec;    /* as Python's errors call it */
} geo_csv_charset;

/* The charset called `name`, in any case and with any punctuation ("Latin-1", "utf8"). False if it is
 * unknown. */
bool geo_csv_charset_find(sx_str name, geo_csv_charset *out);

/* A text being decoded, piece by piece. */
typedef struct geo_csv_decoder {
    geo_csv_charset charset;
    bool lenient; /* broken bytes become U+FFFD; else they are an error */
    bool began;   /* past the place of a mark */
    uint64_t position;
    char kept[4]; /* the beginning of a character that a piece's end has cut */
    uint8_t kept_len;
} geo_csv_decoder;

/* Appends `in` as UTF-8 to `out`, whole characters only; `last` says that nothing follows.
 * SX_EFORMAT with the words of Python's UnicodeDecodeError, once and for all. A failed `out` is the
 * caller's to notice. */
typedef enum geo_csv_piece { GEO_CSV_PIECE, GEO_CSV_LAST } geo_csv_piece;
sx_status geo_csv_decode(geo_csv_decoder *d, sx_str in, geo_csv_piece piece, sx_buf *out,
                         sx_error *err);

/* Appends valid UTF-8 in another charset; what it has no character for becomes '?'. */
void geo_csv_encode(const geo_csv_charset *charset, sx_str in, sx_buf *out);

/* The mark to write first; empty if it has none. */
sx_str geo_csv_mark(const geo_csv_charset *charset);

#endif
