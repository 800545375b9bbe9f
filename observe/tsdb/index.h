/* index.h - a block's index: which series there are and where their chunks lie.
 *
 * Sections behind each other: symbols (all strings, sorted), series (sorted by labels, each with its
 * chunks), postings (the series of each label pair), the table of these, and a table of contents.
 * The reader maps the file and keeps one offset in memory for every 16th symbol and label pair; these
 * are gathered at the first use, so that opening a block costs next to nothing. Every section's
 * checksum is verified when it is read, and nothing is read beyond the mapping whatever offsets
 * claim. The writer streams; it needs memory for some of the postings at a time.
 * Source: prometheus, tsdb/docs/format/index.md. Read: versions 1 (Prometheus 2.0) and 2. */
#ifndef OBSERVE_TSDB_INDEX_H
#define OBSERVE_TSDB_INDEX_H

#include <pthread.h>
#include <stdatomic.h>

#include <sextant/file.h>

#include "observe/tsdb/storage.h"

/* A chunk of a series: where it is and its first and last sample. */
typedef struct tsdb_chunk_meta {
    uint64_t ref; /* segment number from 0 in the upper 32 bits, offset in the lower */
    int64_t min_t, max_t;
} tsdb_chunk_meta;

/* The lowest `bytes` bytes of a number, big-endian, as blocks and chunks_head/ have them. */
void tsdb_put_be(sx_buf *b, uint64_t value, unsigned bytes);

/* --- A cursor over bytes from outside: what is missing reads as zero and sets `bad`. */
typedef struct tsdb_cursor {
    const uint8_t *at, *end;
    bool bad;
} tsdb_cursor;

uint64_t tsdb_cursor_uvarint(tsdb_cursor *c);
uint64_t tsdb_cursor_be(tsdb_cursor *c, unsigned bytes);
sx_str tsdb_cursor_text(tsdb_cursor *c); /* length as uvarint, then bytes */
static inline int64_t tsdb_cursor_varint(tsdb_cursor *c)
{
    uint64_t u = tsdb_cursor_uvarint(c);
    return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}

/* --- Reading. */

/* A label name and its values' entries in the table of postings. */
typedef struct tsdb_index_name {
    sx_str name;
    uint32_t values;
    uint32_t first; /* of index->entries */
} tsdb_index_name;

typedef struct tsdb_index {
    sx_mapping map;
    unsigned version;
    uint64_t symbols, series, series_end, postings_table; /* offsets of sections */
    pthread_mutex_t lock;
    atomic_bool loaded;
    /* Written once, before `loaded`. */
    uint64_t symbols_end, table_end;
    uint32_t symbol_count;
    uint32_t *symbol_at; /* offset of every STRIDE-th, from the section's start */
    tsdb_index_name *names;
    uint32_t name_count;
    uint32_t *entries; /* offsets from the table's start: every STRIDE-th of each name; v1: all */
} tsdb_index;

/* Maps the file and checks its frame. SX_ECORRUPT and its kin. */
sx_status tsdb_index_open(tsdb_index *x, const char *path, sx_error *err);
void tsdb_index_close(tsdb_index *x);

/* What the other calls need; at their first use. Any thread. */
sx_status tsdb_index_load(tsdb_index *x, sx_error *err);

/* The symbols alone: of a file that is still being written. */
sx_status tsdb_index_load_symbols(tsdb_index *x, sx_error *err);

/* The string a reference means; false if there is none. */
bool tsdb_index_symbol(const tsdb_index *x, uint32_t ref, sx_str *out);

/* Walks all symbols in order. */
typedef struct tsdb_symbols {
    tsdb_cursor at;
    uint32_t left;
} tsdb_symbols;
void tsdb_symbols_start(const tsdb_index *x, tsdb_symbols *s);
bool tsdb_symbols_next(tsdb_symbols *s, sx_str *out);

/* A series by its id: label pairs as symbol references, then its chunks. Both arrays belong to
 * `room`, and are good until its next use. */
typedef struct tsdb_series_room {
    uint32_t *pairs; /* name, value, name ... */
    tsdb_chunk_meta *chunks;
    size_t pair_count, chunk_count, pairs_cap, chunks_cap;
    uint64_t end; /* file offset behind it */
} tsdb_series_room;
void tsdb_series_room_done(tsdb_series_room *room);
/* Chunks are read unless told not to. SX_ECORRUPT. */
sx_status tsdb_index_series(const tsdb_index *x, uint64_t id, bool chunks, tsdb_series_room *room,
                            sx_error *err);
/* Symbols found last: names and most values of the next series are among them. Zeroed: empty. */
enum { TSDB_SYMBOL_SLOTS = 256 };
typedef struct tsdb_symbol_memory {
    uint32_t refs[TSDB_SYMBOL_SLOTS]; /* one more than the reference */
    sx_str texts[TSDB_SYMBOL_SLOTS];
} tsdb_symbol_memory;

/* The labels of such pairs: views into the mapping. */
sx_status tsdb_index_labels(const tsdb_index *x, const tsdb_series_room *room,
                            tsdb_symbol_memory *memory, sx_arena *arena, tsdb_labels *out,
                            sx_error *err);

/* NULL if no series has the label. */
const tsdb_index_name *tsdb_index_find(const tsdb_index *x, sx_str name);

/* Walks the values of a name in order (bytes), from the first that is not below `from`. */
typedef struct tsdb_values {
    const tsdb_index *index;
    const tsdb_index_name *name;
    uint32_t next;
    tsdb_cursor at;
} tsdb_values;
void tsdb_values_start(const tsdb_index *x, const tsdb_index_name *name, sx_str from,
                       tsdb_values *v);
/* False at the end; *offset is what tsdb_index_postings takes. */
bool tsdb_values_next(tsdb_values *v, sx_str *value, uint64_t *offset);

/* Ids of series, rising, as big-endian 32-bit numbers. */
typedef struct tsdb_id_list {
    const uint8_t *ids;
    uint32_t count;
} tsdb_id_list;
sx_status tsdb_index_postings(const tsdb_index *x, uint64_t offset, tsdb_id_list *out,
                              sx_error *err);

static inline uint32_t tsdb_id_at(const tsdb_id_list *l, size_t i)
{
    uint32_t id;
    memcpy(&id, l->ids + i * 4, 4);
    return __builtin_bswap32(id);
}

/* --- Writing, in this order: symbols, series, end. */
typedef struct tsdb_index_writer {
    sx_writer file;
    const char *path;
    uint32_t crc; /* of the section being written */
    uint64_t series_start, symbols_bytes;
    uint32_t symbol_count, symbols_left;
    uint64_t series;
    sx_buf buffer;
} tsdb_index_writer;

/* `count` symbols of `bytes` bytes in all are to come. `path` is borrowed until the end. */
sx_status tsdb_index_writer_open(tsdb_index_writer *w, const char *path, uint32_t count,
                                 uint64_t bytes, sx_error *err);
sx_status tsdb_index_writer_symbol(tsdb_index_writer *w, sx_str symbol, sx_error *err);
/* Series sorted by their pairs of symbol numbers. `id` (may be NULL) is what it is called. */
sx_status tsdb_index_writer_series(tsdb_index_writer *w, const uint32_t *pairs, size_t pair_count,
                                   const tsdb_chunk_meta *chunks, size_t chunk_count, uint64_t *id,
                                   sx_error *err);
/* Postings, tables, and all of it durable; closes. */
sx_status tsdb_index_writer_end(tsdb_index_writer *w, sx_error *err);
/* Closes without finishing; nothing if it was ended. */
void tsdb_index_writer_abandon(tsdb_index_writer *w);

#endif
