/* log_file.h - the writer's file (log_file.c) and what becomes of old ones (log_pack.c). */
#ifndef SEXTANT_TELEMETRY_LOG_FILE_H
#define SEXTANT_TELEMETRY_LOG_FILE_H

#include "telemetry/log_lane.h"

/* What is to be known about log->fd after it was opened. */
void sx_log_file_opened(sx_log *log);

/* Opens the path again; when it cannot be, the old file stays and stderr says why. */
void sx_log_file_reopen(sx_log *log);

/* Whether `more` bytes would make the file too big, and it is not empty. */
static inline bool sx_log_file_would_burst(const sx_log *log, uint64_t more)
{
    return log->rotate_bytes && log->file_bytes > 0 && log->file_bytes + more > log->rotate_bytes;
}

/* Begins a new file; false: the old one goes on (stderr says why, and it is tried again later). */
bool sx_log_file_rotate(sx_log *log);

/* Begins a new file if the present one is too old. */
void sx_log_file_age(sx_log *log);

/* ---- old files ---- */

/* What a name in the log's folder is. */
typedef enum sx_log_old { SX_LOG_NOT_OLD, SX_LOG_OLD_PLAIN, SX_LOG_OLD_PACKED } sx_log_old;
sx_log_old sx_log_old_of(sx_str name, sx_str base);

/* Starts the thread that compresses and removes old files, if the log rotates; ends it (a file that it
 * is compressing is left as it is). Errors: SX_EIO. */
sx_status sx_log_pack_start(sx_log *log, sx_error *err);
void sx_log_pack_stop(sx_log *log);

/* Tells it that there is a new old file. */
void sx_log_pack_wake(sx_log *log);

#endif
