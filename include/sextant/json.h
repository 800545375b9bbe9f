/* json.h - reading and writing JSON (RFC 8259) straight from and into the caller's own structures.
 *
 * The reader builds no tree and takes no memory: it walks a text that the caller holds and hands
 * out one value after the other. It is strict: what RFC 8259 does not allow is refused, with line
 * and column. Errors stick, so that a decoder reads top to bottom and asks once, at its end:
 *
 *     sx_json r;
 *     sx_str key;
 *     sx_json_init(&r, text, &(sx_json_options){.arena = &arena});
 *     sx_json_enter_object(&r);
 *     while (sx_json_next_key(&r, &key)) {
 *         if (sx_str_eq(key, SX_STR("name")))
 *             sx_json_read_str(&r, &place->name);
 *         else if (sx_str_eq(key, SX_STR("lat")))
 *             sx_json_read_double(&r, &place->lat);
 *         else if (sx_str_eq(key, SX_STR("tags")))
 *             for (sx_json_enter_array(&r); sx_json_next_item(&r);)
 *                 add_tag(&r, place);
 *     }                                   // a value nobody read is skipped
 *     return sx_json_finish(&r, err);     // SX_OK: all of the text was one well-formed value
 *
 * And the other way:
 *
 *     sx_json_writer w;
 *     sx_json_writer_init(&w, &buf, NULL);
 *     sx_json_begin_object(&w);
 *     sx_json_key(&w, SX_STR("lat"));
 *     sx_json_double(&w, 48.8687);
 *     sx_json_end_object(&w);
 *     return sx_json_writer_finish(&w, err);
 *
 * Below: the reader by structure, the reader by tokens (also for a text that arrives in pieces),
 * lines (NDJSON), the writer. Every object here is used by one thread at a time. */
#ifndef SEXTANT_JSON_H
#define SEXTANT_JSON_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>
#include <sextant/number.h>
#include <sextant/str.h>

SX_BEGIN_DECLS

enum {
    SX_JSON_DEPTH_DEFAULT = 64,
    SX_JSON_DEPTH_MOST = 1024,  /* what depth_max may be set to, and how deep a writer may go */
    SX_JSON_WINDOW_BLOCKS = 16, /* blocks of 64 bytes that are classified at a time */
    SX_JSON_AHEAD = 4           /* marks that the reader looks at together */
};

/* What a value or token is. Structure readers use it through sx_json_peek(). */
typedef enum sx_json_token {
    SX_JSON_ERROR, /* the text was refused; sx_json_status() says why. Every later call fails too */
    SX_JSON_DONE,  /* the value is complete and nothing but white space follows it */
    SX_JSON_MORE,  /* only with options.partial: give more text by sx_json_more() */
    SX_JSON_OBJECT,
    SX_JSON_OBJECT_END,
    SX_JSON_ARRAY,
    SX_JSON_ARRAY_END,
    SX_JSON_KEY, /* of an object, with its colon */
    SX_JSON_STRING,
    SX_JSON_NUMBER,
    SX_JSON_TRUE,
    SX_JSON_FALSE,
    SX_JSON_NULL
} sx_json_token;

typedef struct sx_json_options {
    uint32_t depth_max;      /* open arrays and objects; 0: 64. At most SX_JSON_DEPTH_MOST */
    size_t string_bytes_max; /* bytes between the quotes of one string or key; 0: 16 MiB */
    sx_arena *arena;         /* where strings that contain escapes are decoded to, or ... */
    char *space;             /* ... if there is no arena, memory of the caller, filled from its */
    size_t space_bytes;      /* start; when it is full the text is refused with SX_ELIMIT */
    bool partial;            /* the text is a beginning: see sx_json_more() */
} sx_json_options;

/* Private: the state between two blocks of the scan, and its result for one window of text. Bit i
 * of opens[b] and closes[b] tells about byte 64 * b + i of the window. */
typedef struct sx_json_carry {
    uint64_t in_string; /* all ones inside a string */
    uint64_t escaped;   /* 1 if the next byte follows a backslash that counts */
    uint64_t scalar;    /* 1 if the last byte was part of a number or a word */
    uint32_t tail;      /* the last four bytes, for UTF-8; the latest is the highest */
} sx_json_carry;

typedef struct sx_json_window {
    uint32_t count;   /* marks that there are, some of them of the window before; at the end of the
                       * text with those that stand for its end */
    uint32_t escapes; /* bit b: block b has a backslash */
    uint64_t opens[SX_JSON_WINDOW_BLOCKS];  /* brackets and braces outside strings */
    uint64_t closes[SX_JSON_WINDOW_BLOCKS]; /* the same, closing */
    uint16_t first[SX_JSON_WINDOW_BLOCKS];  /* the first mark of each block */
    /* Offsets in the text where tokens begin and strings end; room for those left over of the
     * window before, for the marks of the text's end, and for writing more than there are. */
    uint32_t marks[64 * SX_JSON_WINDOW_BLOCKS + 2 * SX_JSON_AHEAD + 64];
} sx_json_window;

/* A reader. All fields are private; it holds no memory, so there is no _done. About 6 KiB,
 * of which sx_json_init() touches 200 bytes. */
typedef struct sx_json {
    const char *text;
    size_t len;
    uint32_t next;     /* the first of the window's marks that is not taken yet */
    uint32_t blocks;   /* blocks that the window holds */
    uint8_t state;     /* what may come next: json_cursor.h */
    uint8_t after;     /* what it will be after a value here */
    bool escaped;      /* the last string or key has escapes */
    bool partial;      /* the text may go on */
    uint8_t stop;      /* why there are no marks beyond the window: json_cursor.h */
    uint32_t depth;    /* open containers */
    uint32_t at;       /* offset of the last token */
    uint32_t tok_end;  /* offset after it, of a string or key that of its closing quote */
    uint32_t end;      /* offset after all that belongs to it, as a key's colon */
    size_t plain_from; /* strings that begin from here on have no escapes, in this window */
    size_t window_at;  /* offset of the window in text */
    size_t scanned;    /* offset up to which the text has been scanned */
    size_t stop_at;    /* offset of the byte that is refused, if `stop` says there is one */
    uint64_t past;     /* bytes, newlines and characters of the last line in texts ... */
    uint64_t past_lines;
    uint64_t past_column; /* ... that sx_json_more() has replaced */
    uint32_t depth_max;
    size_t string_bytes_max;
    sx_arena *arena;
    char *space;
    size_t space_left;
    unsigned (*scan)(const unsigned char *at, uint32_t offset, uint32_t blocks, uint32_t first,
                     sx_json_window *w, sx_json_carry *carry);
    sx_json_carry carry;
    sx_json_window window;
    uint64_t kinds[SX_JSON_DEPTH_MOST / 64]; /* bit d: the container at depth d is an object */
    sx_error err;                            /* filled when the text is refused */
} sx_json;

/* Starts to read `text`, which is borrowed until the last call on `r` and the last use of a view
 * that `r` gave. Any bytes may stand there; nothing after text.len is read, so it may end where a
 * mapping ends. Above 2 GiB it is refused: then give it in pieces. `options` may be NULL and is not kept. Reads nothing yet. */
void sx_json_init(sx_json *r, sx_str text, const sx_json_options *options);

/* SX_OK while nothing was refused, else the status and (err may be NULL) the message, which begins
 * "line L, column C (byte B): ". Columns count characters, lines and columns from 1, bytes from 0.
 *   SX_EFORMAT  not JSON, not UTF-8, or not of the type asked for
 *   SX_ELIMIT   too deep, a string too long, an integer that does not fit, options.space full
 *   SX_ENOMEM   the arena has no memory for a decoded string */
sx_status sx_json_status(const sx_json *r, sx_error *err);

/* Reads, strictly, what is left of the value, sees that only white space follows it, and returns
 * sx_json_status(). A second value after the first is refused. Not with options.partial. */
sx_status sx_json_finish(sx_json *r, sx_error *err);

/* For what the caller itself finds wrong with the last value read: refuses the text from here on
 * with `status` and the position of that value before the formatted message. Keeps an earlier
 * refusal. Returns false, so that a decoder can `return sx_json_fail(...)`. */
bool sx_json_fail(sx_json *r, sx_status status, const char *fmt, ...) SX_PRINTF(3, 4) SX_COLD;

/* ---- By structure. Each returns false, its result untouched, once the text is refused. */

/* What the next value is, without reading it: SX_JSON_OBJECT, _ARRAY, _STRING, _NUMBER, _TRUE,
 * _FALSE, _NULL (told by its first byte, so it may yet be refused), or SX_JSON_ERROR. */
sx_json_token sx_json_peek(sx_json *r);

/* The next value must be an object or array, whose members the next two functions give. */
bool sx_json_enter_object(sx_json *r);
bool sx_json_enter_array(sx_json *r);

/* True with the next key of the object entered last; the value follows. False after its closing
 * brace, which is then read. A value that was not read is skipped. Keys come in the order and as
 * often as they stand in the text: what a repeated key means is up to the caller. The key is a view
 * of the text or, if it has escapes, lies in the arena. Needs options.arena or .space. */
bool sx_json_next_key(sx_json *r, sx_str *key);

/* True if the array entered last has another item, which follows; false after its end. */
bool sx_json_next_item(sx_json *r);

/* Skips what is left of the object or array entered last, and its end. */
bool sx_json_leave(sx_json *r);

/* The next value must be a string: its decoded bytes, valid UTF-8 (U+0000 may be among them); a
 * view of the text, or of the arena if it had escapes. Needs options.arena or .space. */
bool sx_json_read_str(sx_json *r, sx_str *out);

/* The next value must be a number that is an integer as written: 1.0 and 1e3 are refused, as are
 * numbers that do not fit (SX_ELIMIT). -0 is 0. */
bool sx_json_read_i64(sx_json *r, int64_t *out);
bool sx_json_read_u64(sx_json *r, uint64_t *out);

/* The next value must be a number: the nearest double, ties to even. One too large for a double is
 * refused with SX_ELIMIT; one too small is zero. */
bool sx_json_read_double(sx_json *r, double *out);

/* The next value must be a number: its text, checked but not converted. */
bool sx_json_read_number(sx_json *r, sx_str *out);

/* The next value must be true or false. */
bool sx_json_read_bool(sx_json *r, bool *out);

/* True, and reads it, if the next value is null; else leaves the value to be read. */
bool sx_json_take_null(sx_json *r);

/* Skips the next value, checking its grammar in full. */
bool sx_json_skip(sx_json *r);

/* Skips the next value at the speed of the scan. Still refused: invalid UTF-8, control characters
 * in strings, a string or container that does not end. Not looked at: what stands between the
 * brackets, escapes, nesting beyond depth_max. For text that was checked before, or where a fault
 * in a part that nobody reads does not matter. */
bool sx_json_skip_fast(sx_json *r);

/* Skips the next value as sx_json_skip() does and gives its text, without space around it. */
bool sx_json_raw(sx_json *r, sx_str *out);

/* ---- By tokens. */

/* Reads the next token and checks all of it. Commas and colons are read along. */
sx_json_token sx_json_next(sx_json *r);

/* The last token of sx_json_next() as it stands in the text; a string or key without its quotes,
 * escapes undecoded. Valid for SX_JSON_KEY, _STRING and _NUMBER. */
static inline sx_str sx_json_token_raw(const sx_json *r)
{
    size_t from = r->at + (r->text[r->at] == '"');
    return sx_str_of(r->text + from, r->tok_end - from);
}

/* The last token, which was a key or string (else an assertion fails), decoded as by
 * sx_json_read_str(); or a number, converted as by sx_json_read_i64() and its sisters. */
bool sx_json_token_str(sx_json *r, sx_str *out);
bool sx_json_token_i64(sx_json *r, int64_t *out);
bool sx_json_token_u64(sx_json *r, uint64_t *out);
bool sx_json_token_double(sx_json *r, double *out);

/* Bytes from the start of the whole text to the last token, and to the end of it. */
uint64_t sx_json_offset(const sx_json *r);
uint64_t sx_json_end_offset(const sx_json *r);

/* A text in pieces: sx_json_init() with options.partial and the first piece, then sx_json_next()
 * alone. When it answers SX_JSON_MORE the caller puts sx_json_unread() in front of newly arrived
 * bytes (or, if nothing came, calls again with `last`) and passes both as the new `text`:
 *   text   begins with the bytes of sx_json_unread(); the earlier text may be freed afterwards
 *   last   nothing follows this piece
 * A token is given only when whole, so the caller must hold the longest string; how much it is
 * willing to hold is its own limit to check. Views given before point into the earlier text. */
typedef enum sx_json_piece { SX_JSON_PIECE, SX_JSON_LAST_PIECE } sx_json_piece;
void sx_json_more(sx_json *r, sx_str text, sx_json_piece piece);

/* The end of the text that belongs to tokens not handed out yet. */
sx_str sx_json_unread(const sx_json *r);

/* ---- Lines of a stream (NDJSON, JSON Lines): bytes come in chunks, whole lines go out. */

typedef struct sx_json_lines {
    sx_buf held;           /* the beginning of a line whose end has not come yet */
    sx_str chunk;          /* what is left of the caller's chunk */
    size_t line_bytes_max; /* a longer line is refused */
    uint64_t line;         /* number of the line given last, from 1; blank ones count */
    bool given;            /* `held` is the line given last: dropped at the next call */
    bool discarding;       /* inside a line that was refused, until its end */
    bool ended;            /* the empty chunk was fed */
} sx_json_lines;

/* line_bytes_max 0: 16 MiB. Takes no memory until a line is cut by a chunk's end. */
void sx_json_lines_init(sx_json_lines *l, size_t line_bytes_max);
void sx_json_lines_done(sx_json_lines *l);

/* Lends the next chunk, until sx_json_lines_next() answers SX_AGAIN; before that it may not be
 * called again. A chunk without bytes says that the stream has ended, and is the last. */
void sx_json_lines_feed(sx_json_lines *l, sx_str chunk);

/* The next line that is not blank, without its newline; good until the next call on `l`.
 *   SX_OK      *line is filled
 *   SX_AGAIN   the chunk is used up: feed another
 *   SX_END     after the empty chunk and the last line, which needs no newline
 *   SX_ELIMIT  the line, which err names, is longer than the limit; the next call goes on after it
 *   SX_ENOMEM  no memory to hold a cut line, which is dropped; the next call goes on after it */
sx_status sx_json_lines_next(sx_json_lines *l, sx_str *line, sx_error *err);

/* ---- The writer. It keeps commas and colons; wrong use (a value where a key must stand, an end
 * that does not match) is a programmer's mistake and fails an assertion. Output goes to a sx_buf,
 * whose sticky failure makes it unnecessary to check in between. */

typedef enum sx_json_spacing {
    SX_JSON_COMPACT,       /* {"a":1,"b":[2,3]} */
    SX_JSON_PYTHON_SPACING /* {"a": 1, "b": [2, 3]}, as Python's json.dumps */
} sx_json_spacing;

typedef enum sx_json_charset {
    SX_JSON_UTF8, /* escaped is only what RFC 8259 section 7 says must be */
    SX_JSON_ASCII /* also all but U+0020 to U+007E, as Python's ensure_ascii does */
} sx_json_charset;

typedef enum sx_json_nonfinite {
    SX_JSON_NONFINITE_NULL, /* NaN and infinities, which JSON cannot say, are written null */
    SX_JSON_NONFINITE_ERROR /* null, and sx_json_writer_finish() answers SX_EINVAL */
} sx_json_nonfinite;

typedef struct sx_json_style {
    sx_json_spacing spacing;
    sx_json_charset charset;
    sx_double_style doubles; /* -0 is written -0 in each, -0.0 in Python's */
    sx_json_nonfinite nonfinite;
} sx_json_style;

/* Private fields. */
typedef struct sx_json_writer {
    sx_buf *buf;
    sx_json_style style;
    uint32_t depth;
    bool comma;     /* something stands before in this container */
    bool in_object; /* the innermost container is an object */
    bool keyed;     /* a key was written, its value is due */
    bool refused;   /* a number could not be written */
    uint64_t kinds[SX_JSON_DEPTH_MOST / 64];
} sx_json_writer;

/* Appends to `buf`, which must outlive `w`. style NULL: all zero, that is compact UTF-8. Takes no
 * memory of its own. Several values may be written one after the other; the caller puts newlines
 * between them by sx_buf_byte(). */
void sx_json_writer_init(sx_json_writer *w, sx_buf *buf, const sx_json_style *style);

/* Asserts that all is closed. SX_OK; SX_EINVAL (NaN or infinity, see style); or what
 * sx_buf_status() says. */
sx_status sx_json_writer_finish(sx_json_writer *w, sx_error *err);

/* An object or array, as a value; what is written until its end belongs to it. At most
 * SX_JSON_DEPTH_MOST may be open. */
void sx_json_begin_object(sx_json_writer *w);
void sx_json_end_object(sx_json_writer *w);
void sx_json_begin_array(sx_json_writer *w);
void sx_json_end_array(sx_json_writer *w);

/* A key, or a string value. Bytes that are not UTF-8 are replaced by U+FFFD, one for each maximal
 * part of a broken sequence (Unicode 3.9, as browsers and Python do). */
void sx_json_key(sx_json_writer *w, sx_str key);
void sx_json_str(sx_json_writer *w, sx_str value);

/* An integer, exactly. */
void sx_json_i64(sx_json_writer *w, int64_t value);
void sx_json_u64(sx_json_writer *w, uint64_t value);

/* The shortest decimal that reads back as `value`, laid out by style.doubles. */
void sx_json_double(sx_json_writer *w, double value);
/* true or false; null. */
void sx_json_bool(sx_json_writer *w, bool value);
void sx_json_null(sx_json_writer *w);

/* A value that is JSON already and is copied as it stands; the caller answers for it. */
void sx_json_raw_value(sx_json_writer *w, sx_str json);

/* A string with its quotes and nothing else, for callers that build JSON by hand. */
void sx_json_quote(sx_buf *buf, sx_str value, sx_json_charset charset);

SX_END_DECLS

#endif
