/* block.h - an immutable folder of samples of one range of time, as Prometheus has them.
 *
 *   ULID/ ── meta.json     what it is, what it was made of
 *         ├─ index         series, label pairs, where the chunks are (index.h)
 *         ├─ chunks/       000001 ...: chunks behind each other, up to 512 MiB a file
 *         └─ tombstones    ranges of series that were deleted
 *
 * A block is a source of the querier. It is counted: one that was replaced or deleted goes on serving
 * those who hold it, from its mappings; its names on disk are gone by then. Only its tombstones ever
 * change. The writer makes the folder under another name and renames it when all of it is durable.
 * Source: prometheus, tsdb/docs/format/README.md, chunks.md, tombstones.md. */
#ifndef OBSERVE_TSDB_BLOCK_H
#define OBSERVE_TSDB_BLOCK_H

#include <pthread.h>
#include <stdatomic.h>

#include "observe/tsdb/chunk.h"
#include "observe/tsdb/index.h"
#include "observe/tsdb/source.h"

enum {
    TSDB_ULID_BYTES = 27, /* 26 characters and a NUL */
    TSDB_CHUNK_FILE_BYTES = 512 << 20,
    TSDB_CHUNK_FILE_HEADER = 8,
};

#define TSDB_BLOCK_MAKING  ".tmp-for-creation"
#define TSDB_BLOCK_LEAVING ".tmp-for-deletion"

/* A name that sorts by `ms`, the rest random. Any thread. */
sx_status tsdb_ulid_make(int64_t ms, char out[TSDB_ULID_BYTES], sx_error *err);
bool tsdb_ulid_is(sx_str text);

/* --- meta.json. */
typedef struct tsdb_block_parent {
    char ulid[TSDB_ULID_BYTES];
    int64_t min_t, max_t;
} tsdb_block_parent;

typedef struct tsdb_block_meta {
    char ulid[TSDB_ULID_BYTES];
    int64_t min_t, max_t; /* max_t is exclusive */
    uint64_t samples, float_samples, histogram_samples, series, chunks, tombstones;
    uint32_t level;
    char (*sources)[TSDB_ULID_BYTES]; /* heap; head blocks that it descends from */
    tsdb_block_parent *parents;       /* heap */
    size_t source_count, sources_cap, parent_count, parents_cap;
    bool deletable, failed, out_of_order;
} tsdb_block_meta;

sx_status tsdb_block_meta_read(tsdb_block_meta *m, sx_str text, sx_error *err);
sx_status tsdb_block_meta_print(const tsdb_block_meta *m, sx_buf *out, sx_error *err);
sx_status tsdb_block_meta_source(tsdb_block_meta *m, const char *ulid, sx_error *err);
sx_status tsdb_block_meta_parent(tsdb_block_meta *m, const tsdb_block_meta *of, sx_error *err);
void tsdb_block_meta_done(tsdb_block_meta *m);

/* --- Tombstones. */
typedef struct tsdb_stone {
    uint64_t id; /* of the series in the index */
    int64_t min_t, max_t;
} tsdb_stone;

typedef struct tsdb_stones {
    tsdb_stone *items; /* heap; sorted by id */
    size_t count, cap;
} tsdb_stones;

sx_status tsdb_stones_read(tsdb_stones *s, sx_str file, sx_error *err);
sx_status tsdb_stones_print(const tsdb_stones *s, sx_buf *out, sx_error *err);
void tsdb_stones_sort(tsdb_stones *s);
/* Those of one series. */
const tsdb_stone *tsdb_stones_of(const tsdb_stones *s, uint64_t id, size_t *count);

/* --- A block being read. */
typedef struct tsdb_block {
    tsdb_source source; /* first: the block is found from it */
    _Atomic uint32_t refs;
    char *dir; /* heap */
    tsdb_block_meta meta;
    tsdb_index index;
    sx_mapping *segments;
    size_t segment_count;
    uint64_t bytes;
    pthread_rwlock_t stones_lock;
    tsdb_stones stones;   /* under its lock */
    uint32_t ages_passed; /* of retentions by matcher; the maintenance's own */
    _Atomic bool corrupt; /* a read found damage: it is to be set aside */
} tsdb_block;

/* Opens a folder; the caller holds one reference. SX_ECORRUPT, SX_EUNSUPPORTED, SX_ENOTFOUND (a file
 * is missing), SX_ENOMEM and its kin. */
sx_status tsdb_block_open(const char *dir, tsdb_block **out, sx_error *err);
void tsdb_block_ref(tsdb_block *b);
void tsdb_block_unref(tsdb_block *b);

/* A chunk's encoding and bytes, views into the mapping, its checksum verified. */
sx_status tsdb_block_chunk(const tsdb_block *b, uint64_t ref, tsdb_encoding *e, sx_str *bytes,
                           sx_error *err);

/* Reads the chunks that overlap the range, without those deleted. */
sx_status tsdb_block_read_chunks(const tsdb_block *b, const tsdb_chunk_meta *chunks, size_t count,
                                 int64_t min_t, int64_t max_t, tsdb_columns *out, sx_error *err);

/* Takes out what lies in one of the ranges. */
void tsdb_drop_ranges(tsdb_columns *c, size_t from, const tsdb_stone *stones, size_t count);

/* Adds tombstones for matching series that have samples in the range, durably. */
sx_status tsdb_block_delete(tsdb_block *b, int64_t min_t, int64_t max_t,
                            const tsdb_matcher *matchers, size_t count, sx_error *err);

/* The same for series by their ids. */
sx_status tsdb_block_delete_ids(tsdb_block *b, int64_t min_t, int64_t max_t, const uint32_t *ids,
                                size_t count, sx_error *err);

/* Ids of the series that all matchers match, sorted; in `arena`. block_select.c. */
sx_status tsdb_block_match(tsdb_block *b, const tsdb_matcher *matchers, size_t count,
                           sx_arena *arena, uint32_t **ids, size_t *id_count,
                           const _Atomic bool *canceled, sx_error *err);
extern const tsdb_source_ops TSDB_BLOCK_OPS;

/* --- A block being written: symbols, then series in order, each after its chunks, then the end. */
typedef struct tsdb_block_writer {
    char *final, *making; /* heap: folder names */
    tsdb_block_meta meta; /* the caller fills in what descends from what, and the range */
    tsdb_index_writer index;
    char *index_path;
    sx_writer segment;
    uint32_t segments;       /* begun so far */
    tsdb_chunk_meta *chunks; /* of the series being written */
    size_t chunk_count, chunks_cap;
    int64_t min_t, max_t; /* of what was written, both inclusive */
} tsdb_block_writer;

/* Makes DIR/ULID.tmp-for-creation for `count` symbols of `bytes` bytes (each with its length). */
sx_status tsdb_block_writer_open(tsdb_block_writer *w, const char *dir, int64_t now_ms,
                                 uint32_t count, uint64_t bytes, sx_error *err);
sx_status tsdb_block_writer_symbol(tsdb_block_writer *w, sx_str symbol, sx_error *err);
sx_status tsdb_block_writer_chunk(tsdb_block_writer *w, tsdb_encoding e, sx_str bytes,
                                  int64_t min_t, int64_t max_t, sx_error *err);
/* The series whose chunks were given; nothing if there were none. */
sx_status tsdb_block_writer_series(tsdb_block_writer *w, const uint32_t *pairs, size_t pair_count,
                                   sx_error *err);
/* Makes all durable and gives it its name. If no series was written nothing stays, and *empty. */
sx_status tsdb_block_writer_end(tsdb_block_writer *w, bool *empty, sx_error *err);
/* Removes what there is, unless it was ended. Frees in any case. */
void tsdb_block_writer_done(tsdb_block_writer *w);

static inline size_t tsdb_symbol_bytes(sx_str s)
{
    size_t n = s.len + 1;
    for (size_t len = s.len; len >>= 7;)
        n++;
    return n;
}

/* Removes a folder and all that is in it, as deep as blocks are. */
sx_status tsdb_folder_remove(const char *path, sx_error *err);

#endif
