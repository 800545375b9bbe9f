/* head_chunks.h - full chunks of the head, in the files of chunks_head/.
 *
 * A full chunk leaves memory: it is appended to the newest file (Prometheus's format, so that the
 * folder can be given back) and read again through a mapping. The bytes are not what makes samples
 * safe (the log is), so they are buffered and never waited for: a chunk whose bytes are still in the
 * buffer is read from there, and when the disk is full the buffer grows until there is room.
 * Source: prometheus, tsdb/docs/format/head_chunks.md. Any thread. */
#ifndef OBSERVE_TSDB_HEAD_CHUNKS_H
#define OBSERVE_TSDB_HEAD_CHUNKS_H

#include <sextant/error.h>
#include <sextant/str.h>

#include "observe/tsdb/chunk.h"

enum { TSDB_HEAD_CHUNKS_FILE_BYTES = 128 << 20, TSDB_HEAD_CHUNK_LATE = 0x80 };

typedef struct tsdb_head_chunks tsdb_head_chunks;

/* A file of the folder, as a snapshot of the head remembers it. */
typedef struct tsdb_head_chunk_file {
    uint64_t segment, bytes;
    int64_t max_t;
} tsdb_head_chunk_file;

/* Opens the folder, made if need be. Its old files are looked at by tsdb_head_chunks_adopt().
 * Nothing is written before the first chunk. `dir` NULL: nothing is ever written. */
sx_status tsdb_head_chunks_open(const char *dir, tsdb_head_chunks **out, sx_error *err);
void tsdb_head_chunks_close(tsdb_head_chunks *c);

/* Called once before the first chunk: the files of the list are gone on with, cut to the bytes that it
 * says, and whatever else is there is removed: what it holds is in the log too. SX_ECORRUPT if one is
 * missing or too short; nothing has been changed then. */
sx_status tsdb_head_chunks_adopt(tsdb_head_chunks *c, const tsdb_head_chunk_file *files,
                                 size_t count, sx_error *err);

/* Writes the buffer and waits until the disk has all files; lists them (heap, the caller's). Appending
 * goes on meanwhile; nobody may drop files. */
sx_status tsdb_head_chunks_settle(tsdb_head_chunks *c, tsdb_head_chunk_file **files, size_t *count,
                                  sx_error *err);

/* Appends a chunk; SX_ENOMEM only. `encoding` may carry TSDB_HEAD_CHUNK_LATE. */
sx_status tsdb_head_chunks_put(tsdb_head_chunks *c, uint64_t ref, int64_t min_t, int64_t max_t,
                               uint8_t encoding, sx_str bytes, uint16_t *segment, uint32_t *offset,
                               sx_error *err);

/* The bytes of a chunk, good until its file is dropped. Those that this process wrote are checked for
 * length only, those that it found for their sum. A chunk still in the buffer is copied into `scratch`. */
sx_status tsdb_head_chunks_get(tsdb_head_chunks *c, uint16_t segment, uint32_t offset,
                               sx_buf *scratch, sx_str *bytes, sx_error *err);

/* Writes the buffer out; SX_EIO if it cannot (it is kept). */
sx_status tsdb_head_chunks_flush(tsdb_head_chunks *c, sx_error *err);

/* Removes files whose chunks all end before `t`, except the newest: nobody may read from them. */
void tsdb_head_chunks_drop(tsdb_head_chunks *c, int64_t t);

uint64_t tsdb_head_chunks_bytes(tsdb_head_chunks *c);

#endif
