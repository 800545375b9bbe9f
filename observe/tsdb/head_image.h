/* head_image.h - snapshots of the head: one file that a start maps instead of reading the whole log.
 *
 * sextant/head-snapshot holds every shard's memory as it lay (region.h: nothing in it is a pointer),
 * each with the places in the two logs up to which it has all records and behind which it has none.
 * A start maps it, checks every section's sum, and replays the rest of the log; whatever does not
 * fit (another version, a damaged section, a log that has been shortened since) is named and the log
 * is read as if there were no snapshot. Prometheus never looks into sextant/.
 *
 * Shards are copied one after the other. Commits wait while one is copied to memory (a few
 * milliseconds for 20 MB); sums and the disk come after that. Written by the maintenance, read by the
 * replay. Format: docs/formats/head-snapshot.md. */
#ifndef OBSERVE_TSDB_HEAD_IMAGE_H
#define OBSERVE_TSDB_HEAD_IMAGE_H

#include "observe/tsdb/db_internal.h"

/* To be raised when what lies in a shard's memory means something else; another layout of the
 * structs, another hash or another size class is noticed without. */
enum { TSDB_IMAGE_VERSION = 1 };

/* Where a log was cut: all before it is in the image. */
typedef struct tsdb_image_place {
    uint64_t segment, offset;
} tsdb_image_place;

/* What the replay has to know of an image that was loaded. The side (exemplars and metadata) is
 * copied first: its places are where reading begins. */
typedef struct tsdb_image {
    tsdb_image_place side[2]; /* in wal/, wbl/ */
    tsdb_image_place shards[TSDB_HEAD_SHARDS_MAX][2];
    tsdb_image_place last[2]; /* of all these */
    bool ahead; /* a log ends before its last: what is in the head is not all in the log */
} tsdb_image;

/* Writes an image if one is due (by what the log has got since the last, and by time), or in any case
 * if anything has come since. Takes db->maintenance. A failure is noted, counted, and tried again
 * later. */
sx_status tsdb_image_due(tsdb *db, sx_error *err);
sx_status tsdb_image_write(tsdb *db, sx_error *err);

/* Removes it: what it has is no longer so. */
sx_status tsdb_image_drop(tsdb *db, sx_error *err);

/* Puts the image into the empty head and side. *loaded tells whether there was one that fits; one
 * that does not is named by tsdb_note. Errors: SX_ENOMEM and SX_ECANCELED alone. */
sx_status tsdb_image_load(tsdb *db, tsdb_image *out, bool *loaded, sx_error *err);

/* Most of the head is about to be written to: makes the mapped pages its own, by a few threads. */
void tsdb_image_own(tsdb *db);

/* --- Between head_image.c and head_image_read.c: the file. */
enum { TSDB_IMAGE_PAGE = 4096 };

typedef enum tsdb_image_kind {
    TSDB_IMAGE_MEMORY = 1,
    TSDB_IMAGE_TABLE,
    TSDB_IMAGE_INDEX,
    TSDB_IMAGE_PAIRS,
    TSDB_IMAGE_LIMBO,
    TSDB_IMAGE_SHARD,
    TSDB_IMAGE_SIDE,
    TSDB_IMAGE_CHUNKS,
    TSDB_IMAGE_HEAD,
    TSDB_IMAGE_KINDS,
} tsdb_image_kind;

typedef struct tsdb_image_section {
    uint32_t kind, shard;
    uint64_t offset, bytes;
    uint32_t crc, unused;
} tsdb_image_section;

typedef struct tsdb_image_header { /* at 0 */
    char magic[8];
    uint32_t version, layout;
    uint32_t crc, unused; /* of what is before it */
} tsdb_image_header;

typedef struct tsdb_image_trailer { /* the file's last bytes, the directory before it */
    uint64_t directory;
    uint32_t sections, crc; /* of the directory */
    char magic[8];
} tsdb_image_trailer;

typedef struct tsdb_image_shard {
    uint64_t used, live;
    tsdb_handle free[TSDB_REGION_CLASSES];
    uint32_t index_cap, pairs_cap, pairs_count, names, ids, free_ids, series, limbo_count;
    uint32_t unlogged, unused; /* series that are not in the log: made, not yet appended to */
    uint64_t full_chunks, samples, late;
    int64_t min_t, max_t;
    tsdb_image_place places[2];
} tsdb_image_shard;

typedef struct tsdb_image_head {
    uint32_t shards, cut_epoch;
    uint64_t generation;
    int64_t block_ms, floor_t;
    tsdb_image_place places[2]; /* of the side */
    uint32_t before[2], unused; /* CRC-32C of the 4 KiB of each log before these places */
    uint32_t chunk_files;
} tsdb_image_head;

extern const char TSDB_IMAGE_MAGIC[8], TSDB_IMAGE_END[8];

/* Of the structs that are written as they are, and of the hashes. */
uint32_t tsdb_image_layout(void);

/* The sum of the log's bytes before the place; false if they are not there. */
bool tsdb_image_before(const tsdb *db, const char *log, tsdb_image_place place, uint32_t *crc);

static inline uint64_t tsdb_image_round(uint64_t bytes)
{
    return (bytes + TSDB_IMAGE_PAGE - 1) / TSDB_IMAGE_PAGE * TSDB_IMAGE_PAGE;
}

#endif
