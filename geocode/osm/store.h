/* store.h - bytes written by many threads, read back at random, partly in a temporary file.
 *
 * A writer fills a chunk of its own and hands it in whole; the store keeps it in memory, or writes
 * it to its unnamed file once the memory given is used up. A chunk's number is taken before it is
 * filled, so that what lies in it can be addressed at once. When the last one is in, the file is
 * mapped and every chunk is memory. Used by locations.c and dataset.c. */
#ifndef GEOCODE_OSM_STORE_H
#define GEOCODE_OSM_STORE_H

#include <pthread.h>

#include <sextant/buf.h>

#include "geocode/index/spool.h"

/* Where something is: chunk number << 32 | offset in it. */
typedef uint64_t osm_address;

typedef struct osm_chunk {
    char *data;      /* heap, or in the mapping; NULL: in the file, not yet mapped */
    uint64_t offset; /* in the file, if there */
    uint32_t len;
    bool in_file;
} osm_chunk;

typedef struct osm_store {
    pthread_mutex_t lock; /* of everything below while chunks are added */
    geo_temp *temp;       /* folder NULL: memory only */
    geo_temp_file file;
    osm_chunk *chunks;
    size_t count, cap;
    size_t memory, memory_max; /* bytes of chunks on the heap */
    char *map;                 /* of the file as it was at osm_store_map() */
    size_t map_bytes;
} osm_store;

/* A chunk that one thread fills: append to `buf`. */
typedef struct osm_chunk_writer {
    sx_buf buf;
    uint32_t number;
    bool open;
} osm_chunk_writer;

enum { OSM_CHUNK_BYTES = 1 << 20 };

void osm_store_init(osm_store *s, geo_temp *temp, size_t memory_max);
void osm_store_done(osm_store *s);

/* Makes the writer ready to append: takes a number if it has none. SX_ENOMEM. */
sx_status osm_store_begin(osm_store *s, osm_chunk_writer *w, sx_error *err);

/* Hands the chunk in if it has OSM_CHUNK_BYTES or more, or `last`. Errors: of the buffer, the disk. */
sx_status osm_store_end(osm_store *s, osm_chunk_writer *w, bool last, sx_error *err);

void osm_chunk_writer_done(osm_chunk_writer *w);

/* After the last chunk: makes all of them memory. */
sx_status osm_store_map(osm_store *s, sx_error *err);

/* Frees a chunk of the heap that is not needed any more; one of the file stays there. */
void osm_store_drop(osm_store *s, uint32_t number);

/* Bytes in memory and in the file. */
uint64_t osm_store_bytes(const osm_store *s);

static inline const char *osm_store_at(const osm_store *s, osm_address a)
{
    return s->chunks[a >> 32].data + (uint32_t)a;
}

/* The address of what the writer appends next. */
static inline osm_address osm_chunk_here(const osm_chunk_writer *w)
{
    return (uint64_t)w->number << 32 | (uint32_t)w->buf.len;
}

#endif
