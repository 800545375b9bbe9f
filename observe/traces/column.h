/* column.h - how the columns of a segment's group are coded: numbers, texts, bytes.
 *
 * Numbers become differences to the least of them, split into planes by significance (all lowest
 * bytes, then all second bytes, ...), each plane by zstd where that saves a tenth: the low bytes of
 * times are noise and stay as they are, the high ones and the indexes of dictionaries nearly vanish.
 * Byte planes decode by plain loops that the compiler vectorises; bit packing was left out because
 * zstd's entropy coder gets below it on exactly the columns where it would help.
 *
 * Texts are a dictionary of the chunk (numbers of the segment's dictionary first, then texts of its
 * own in the order of their first use) and an index a value. docs/formats/trace-segment.md has the
 * bytes. Used by segment_encode.c, segment_decode.c, segment_scan.c. */
#ifndef OBSERVE_TRACES_COLUMN_H
#define OBSERVE_TRACES_COLUMN_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

enum { TR_CHUNK_BYTES_MAX = 1 << 28 }; /* of one chunk, unpacked */

typedef struct ZSTD_CCtx_s tr_zstd_encoder;
typedef struct ZSTD_DCtx_s tr_zstd_decoder;

/* --- Writing. */
typedef struct tr_packer {
    tr_zstd_encoder *zstd;
    uint8_t *plane, *packed; /* scratch */
    size_t plane_cap, packed_cap;
    uint64_t *numbers; /* scratch of the text columns */
    size_t numbers_cap;
    uint64_t *stamps; /* by text: (round << 32 | place among the distinct ones) */
    size_t stamps_cap;
    uint32_t round;
    uint32_t
        *distinct; /* of the last text column: codes, those of the segment's dictionary first */
    size_t distinct_cap;
    uint32_t distinct_count;
    bool failed; /* no memory; sticky */
} tr_packer;

bool tr_packer_init(tr_packer *p, int zstd_level);
void tr_packer_done(tr_packer *p);

/* Appends values as signed numbers; the reader knows how many. */
void tr_put_ints(tr_packer *p, sx_buf *out, const uint64_t *values, size_t count);
void tr_put_blob(tr_packer *p, sx_buf *out, const void *data, size_t len);

/* A text by its code: below `globals` one of the segment's dictionary, else texts[code - globals]. */
typedef struct tr_texts {
    const sx_str *items;
    uint32_t globals, count;
} tr_texts;

/* Appends a column of texts; p->distinct holds its distinct codes until the next call. */
void tr_put_texts(tr_packer *p, sx_buf *out, const uint32_t *codes, size_t count,
                  const tr_texts *texts);

void tr_put_varint(sx_buf *out, uint64_t value);

/* --- Reading: from a cursor whose first fault sticks, as nothing in a file is trusted. */
typedef enum tr_fault { TR_FINE, TR_DAMAGED, TR_NO_MEMORY } tr_fault;

typedef struct tr_cursor {
    const uint8_t *at, *end;
    tr_fault fault;
} tr_cursor;

typedef struct tr_unpacker {
    tr_zstd_decoder *zstd; /* made at the first need */
    uint8_t *plane;
    size_t plane_cap;
} tr_unpacker;

void tr_unpacker_done(tr_unpacker *u);

static inline tr_cursor tr_cursor_of(const void *data, size_t len)
{
    return (tr_cursor){data, (const uint8_t *)data + len, TR_FINE};
}

static inline void tr_set_fault(tr_cursor *c, tr_fault fault)
{
    c->fault = c->fault ? c->fault : fault;
    c->at = c->end;
}

uint64_t tr_take_varint(tr_cursor *c);
/* The next `len` bytes, NULL (and a fault) if there are not so many. */
const uint8_t *tr_take_bytes(tr_cursor *c, size_t len);
uint32_t tr_take_u32(tr_cursor *c);

/* The next column of numbers. False after a fault, `out` then holds anything. */
bool tr_take_ints(tr_unpacker *u, tr_cursor *c, uint64_t *out, size_t count);
/* The same, numbers that must be below `limit`. */
bool tr_take_codes(tr_unpacker *u, tr_cursor *c, uint32_t *out, size_t count, uint64_t limit);
/* Least and greatest of such a column, without unpacking it. */
bool tr_peek_range(tr_cursor c, int64_t *least, int64_t *greatest);
/* A blob: into the arena, or a view of the input if it is not packed. */
bool tr_take_blob(tr_unpacker *u, tr_cursor *c, sx_arena *arena, sx_str *out);

/* A column of texts. */
typedef struct tr_text_column {
    uint32_t global_count, local_count;
    uint32_t *globals; /* ascending */
    sx_str *locals;
    uint32_t *codes; /* one a value: below global_count, then locals; NULL: not taken */
} tr_text_column;

/* Its dictionary; `dict_count` bounds the globals. Everything is in the arena; views point into arena
 * or input. Then the codes of its values, which may be left where they are. */
bool tr_take_texts(tr_unpacker *u, tr_cursor *c, size_t count, uint32_t dict_count, sx_arena *arena,
                   tr_text_column *out);
bool tr_take_text_codes(tr_unpacker *u, tr_cursor *c, size_t count, sx_arena *arena,
                        tr_text_column *t);

#endif
