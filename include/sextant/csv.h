/* csv.h - a streaming CSV reader and a writer (RFC 4180 and its common dialects).
 *
 * The reader is fed chunks and gives records whose fields are views: straight into the chunk where
 * they lie whole in it, else into the reader. How the input is cut into chunks never shows. A line
 * ends with CRLF, LF or CR; a byte-order mark at the start is dropped; a field may be quoted, with
 * quotes doubled inside and line ends allowed. Nothing is trimmed or converted.
 *
 *     sx_csv_feed(r, chunk);
 *     while ((status = sx_csv_next(r, &record, &err)) == SX_OK)
 *         use record.fields[0 .. record.count)
 *     SX_AGAIN: feed the next chunk, or sx_csv_finish(r) after the last and go on until SX_END. */
#ifndef SEXTANT_CSV_H
#define SEXTANT_CSV_H

#include <sextant/buf.h>
#include <sextant/error.h>
#include <sextant/str.h>

SX_BEGIN_DECLS

typedef struct sx_csv_options {
    char delimiter; /* 0: ',' */
    char quote;     /* 0: '"' */
    bool no_quotes; /* the quote is a byte like any other (some TSV) */
    bool strict;    /* a flaw is an error; else it is a flag on its record, and reading goes on */
    bool keep_blank_lines;   /* as a record of one empty field; else they are passed over */
    size_t field_bytes_max;  /* 0: 1 MiB */
    size_t fields_max;       /* of a record; 0: 4096 */
    size_t record_bytes_max; /* raw, with quotes and line end; 0: 16 MiB. Bounds the memory, too */
} sx_csv_options;

/* What may be wrong with a record that a lenient reader still gives. */
typedef enum sx_csv_flaw {
    SX_CSV_STRAY_QUOTE = 1,     /* a quote inside an unquoted field, or text after a closing one:
                                 * both are kept as text */
    SX_CSV_UNTERMINATED = 2,    /* the input ended inside quotes */
    SX_CSV_FIELD_TOO_LONG = 4,  /* a field was cut to field_bytes_max */
    SX_CSV_TOO_MANY_FIELDS = 8, /* those after fields_max were dropped */
    SX_CSV_RECORD_TOO_LONG = 16 /* the record was cut to record_bytes_max; reading goes on after the
                                 * next line end */
} sx_csv_flaw;

typedef struct sx_csv_record {
    const sx_str *fields; /* valid, as the bytes they point at, until the next call on the reader */
    size_t count;         /* at least 1 */
    uint64_t line;        /* where it begins, from 1 */
    uint64_t number;      /* of the record, from 1 */
    unsigned flaws;       /* sx_csv_flaw bits; 0 in strict mode */
} sx_csv_record;

typedef struct sx_csv_reader sx_csv_reader;

/* A reader; `options` may be NULL. NULL on failure: SX_ENOMEM, or SX_EINVAL for a delimiter or quote
 * that cannot be told apart or is a line end. One thread at a time. */
sx_csv_reader *sx_csv_reader_new(const sx_csv_options *options, sx_error *err) SX_MUST_USE;

/* Frees it; NULL is allowed. */
void sx_csv_reader_free(sx_csv_reader *r);

/* Makes it ready for another file with the same options. */
void sx_csv_reader_reset(sx_csv_reader *r);

/* Gives the next chunk, which must stay as it is until sx_csv_next returns SX_AGAIN or an error.
 * Only after new, reset or SX_AGAIN. */
void sx_csv_feed(sx_csv_reader *r, sx_str chunk);

/* Says that no chunk will follow. */
void sx_csv_finish(sx_csv_reader *r);

/* The next record. SX_OK; SX_AGAIN: feed or finish; SX_END after the last; SX_EFORMAT and SX_ELIMIT in
 * strict mode, with "line L, column C: ..." (columns count bytes from 1); SX_ENOMEM. Errors are final. */
sx_status sx_csv_next(sx_csv_reader *r, sx_csv_record *record, sx_error *err);

/* ---- Writing ---- */

typedef struct sx_csv_writer {
    sx_buf *out;       /* borrowed; its status at the end says whether all was written */
    char delimiter;    /* ',' */
    char quote;        /* '"' */
    bool quote_all;    /* else only fields that need it */
    bool lf;           /* lines end with LF; else with the CRLF of RFC 4180 */
    size_t column;     /* fields written of this record */
    bool lone_empty;   /* the record so far is one empty field without quotes */
    bool special[256]; /* bytes that make a field need quotes */
} sx_csv_writer;

/* A writer onto `out` in the dialect of `options` (only delimiter and quote are looked at; NULL: comma
 * and double quote). Set quote_all and lf afterwards if wanted. */
void sx_csv_writer_init(sx_csv_writer *w, sx_buf *out, const sx_csv_options *options);

/* Appends a field; ends the record. What is written reads back equal, record by record. */
void sx_csv_put(sx_csv_writer *w, sx_str field);
void sx_csv_end(sx_csv_writer *w);

SX_END_DECLS

#endif
