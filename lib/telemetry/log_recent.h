/* log_recent.h - the last lines of a log, in memory (log_recent.c). */
#ifndef SX_TELEMETRY_LOG_RECENT_H
#define SX_TELEMETRY_LOG_RECENT_H

#include <sextant/buf.h>

typedef struct sx_recent_lines sx_recent_lines;

/* *out is NULL where `bytes_max` is 0: nothing is kept, which is right for all below. Errors: SX_ENOMEM. */
sx_status sx_log_recent_new(size_t bytes_max, sx_recent_lines **out, sx_error *err);
void sx_log_recent_free(sx_recent_lines *r);

/* Whole lines, each with its end; the oldest give way, and one that is too long is not kept. One thread,
 * the log's writer. */
void sx_log_recent_put(sx_recent_lines *r, sx_str lines);

/* Appends what is kept, the oldest line first; a failure sticks to `out`. Any thread. */
void sx_log_recent_read(sx_recent_lines *r, sx_buf *out);

#endif
