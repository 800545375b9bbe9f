/* csv_read.h - rows of CSV as Addok takes them apart, and fields as it writes them.
 *
 * The kit's reader (sextant/csv.h) follows RFC 4180; this one follows what uploads to Addok show,
 * because its answers repeat what it read: a CR is dropped wherever it stands and a line feed inside
 * quotes becomes CR LF; text after a closing quote goes on without the quote; a quote inside an
 * unquoted field is a quote; vertical tab, form feed, U+001C to U+001E, U+0085, U+2028 and U+2029 end
 * a row too, but stay in its last field. A delimiter or quote may be any character. */
#ifndef SEXTANT_GEOCODE_API_CSV_READ_H
#define SEXTANT_GEOCODE_API_CSV_READ_H

#include <sextant/buf.h>
#include <sextant/error.h>

typedef struct geo_csv_char {
    char bytes[4]; /* UTF-8 */
    uint8_t len;
} geo_csv_char;

typedef struct geo_csv_dialect {
    geo_csv_char delimiter, quote;
    bool skip_space; /* blanks after a delimiter are not part of the field */
    bool quote_all;  /* written fields are all quoted; else those that need it */
    bool lf;         /* written rows end with LF; else with CR LF */
} geo_csv_dialect;

/* Rows that have been read, one after the other. */
typedef struct geo_csv_row {
    size_t first, count; /* among the fields */
    uint64_t number;     /* among the file's rows that are not blank, from 0 (the header) */
    bool is_cut;         /* longer than row_bytes_max: what was beyond is lost */
} geo_csv_row;

enum { GEO_CSV_ROWS = 64 };

typedef struct geo_csv_rows {
    sx_buf text;
    size_t *ends; /* of each field in text; it begins where the one before ends */
    size_t field_count, field_cap;
    geo_csv_row rows[GEO_CSV_ROWS];
    size_t count;
} geo_csv_rows;

/* Frees it; of a zeroed one: does nothing. Forgets the rows. */
void geo_csv_rows_done(geo_csv_rows *rows);
void geo_csv_rows_clear(geo_csv_rows *rows);

/* Field `i` of all fields. */
static inline sx_str geo_csv_field(const geo_csv_rows *rows, size_t i)
{
    size_t from = i ? rows->ends[i - 1] : 0;
    return sx_str_from(sx_str_first(sx_buf_view(&rows->text), rows->ends[i]), from);
}

typedef struct geo_csv_reader {
    geo_csv_dialect dialect;
    size_t row_bytes_max;
    uint64_t number; /* of the next row */
    uint8_t state;
    bool is_cut, is_blank_wanted;
    bool is_quote_open; /* the text ended inside quotes: told by geo_csv_read_end */
    bool special[256];  /* bytes that may mean something */
} geo_csv_reader;

/* A reader at the start of a text. The first row is given even if it is blank (then it has no
 * fields): it is the header. */
void geo_csv_reader_init(geo_csv_reader *r, const geo_csv_dialect *dialect, size_t row_bytes_max);

/* Reads from *in, which is valid UTF-8 cut between characters, until `rows` is full (GEO_CSV_ROWS, or
 * `text_most` bytes), or *in is used up. A row may be left half read: it is in `rows` without
 * being counted, and the next call, with the same `rows`, goes on with it. SX_OK; SX_ENOMEM. */
sx_status geo_csv_read(geo_csv_reader *r, sx_str *in, size_t text_most, geo_csv_rows *rows);

/* Whether nothing of a row has been read since the last one that was counted. */
bool geo_csv_between_rows(const geo_csv_reader *r);

/* Ends the last row if there is one. */
sx_status geo_csv_read_end(geo_csv_reader *r, geo_csv_rows *rows);

/* ---- writing ---- */

/* Appends a field, after a delimiter unless it is the row's first; ends the row. */
typedef enum geo_csv_place { GEO_CSV_FIRST, GEO_CSV_LATER } geo_csv_place;
void geo_csv_put(const geo_csv_dialect *d, sx_buf *out, geo_csv_place place, sx_str field);
void geo_csv_end(const geo_csv_dialect *d, sx_buf *out);

#endif
