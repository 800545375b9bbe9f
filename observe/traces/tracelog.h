/* tracelog.h - the traces' write-ahead log: a batch a record, a file a generation of memtables.
 *
 * A record is written by write(2) before its batch is acknowledged, so a kill loses nothing; the
 * fsync policy is about power. When a write fails the file is cut back to what is known to be in it,
 * at once or before the next write. A generation's file is removed once its memtables are segments.
 * docs/formats/trace-log.md has the bytes: a header of 32 bytes, then records of a 32-byte header
 * with CRC-32C of itself and of the payload, and the payload, an ExportTraceServiceRequest.
 *
 * Used by store.c; any thread may append. */
#ifndef OBSERVE_TRACES_TRACELOG_H
#define OBSERVE_TRACES_TRACELOG_H

#include <sextant/buf.h>
#include <sextant/error.h>

#include "observe/traces/store.h"

enum { TR_LOG_HEAD = 32, TR_LOG_RECORD_MAX = 1 << 30 };

typedef struct tr_log tr_log;

/* A log in `dir` (made if need be) that writes file number `generation`, made with the first record. */
sx_status tr_log_open(const char *dir, uint32_t generation, tr_fsync fsync, tr_log **out,
                      sx_error *err);
/* Syncs unless the policy is none, and closes. NULL is allowed. */
void tr_log_close(tr_log *l);

/* Writes a batch; *sequence names it. Under TR_FSYNC_ALWAYS waits for the disk, together with whoever
 * else waits. On an error the batch is not in the log, or (a failed fsync) may be. Any thread. */
sx_status tr_log_append(tr_log *l, sx_str otlp, uint64_t *sequence, sx_error *err);

/* Says that a batch of this generation is not to be replayed: it was refused after all. */
sx_status tr_log_void(tr_log *l, uint64_t sequence, sx_error *err);

/* Waits for the disk, for all that was written before. */
sx_status tr_log_sync(tr_log *l, sx_error *err);

/* Ends the file (synced unless the policy is none); the next record begins `generation`. */
sx_status tr_log_turn(tr_log *l, uint32_t generation, sx_error *err);

/* Bytes of the file being written. */
uint64_t tr_log_bytes(tr_log *l);

/* --- Reading. */
typedef struct tr_log_record {
    uint64_t sequence;
    sx_str otlp; /* in the mapping */
} tr_log_record;

typedef struct tr_log_file {
    const char *data; /* mapped, or the caller's */
    tr_log_record *records;
    size_t count, cap;
    uint64_t good_bytes, torn_bytes; /* behind the last whole record */
    size_t len;
    bool mapped;
} tr_log_file;

/* The batches of a file, those made void left out. What is damaged ends the reading: the rest counts
 * as torn. An empty or headless file has none.
 *   errors  SX_EUNSUPPORTED: a newer version; files' */
sx_status tr_log_file_open(const char *path, tr_log_file *out, sx_error *err);
sx_status tr_log_file_parse(sx_str bytes, tr_log_file *out, sx_error *err);
void tr_log_file_close(tr_log_file *f);

/* "DIR/00000012.log" in `path` of 4096 bytes; a name read back. */
sx_status tr_log_path(const char *dir, uint32_t generation, char *path, sx_error *err);
bool tr_log_name(sx_str name, uint32_t *generation);

#endif
