/* log_recent.h - the last lines of a log, in memory (log_recent.c). */
#ifndef SX_TELEMETRY_LOG_RECENT_H
#define SX_TELEMETRY_LOG_RECENT_H

#include <pthread.h>

#include <sextant/buf.h>

typedef struct sx_recent_lines {
    pthread_mutex_t lock;
    char *bytes; /* heap; a ring of `max`; NULL: nothing is kept */
    size_t max, first, len;
} sx_recent_lines;

/* `bytes_max` 0: nothing is kept. Errors: SX_ENOMEM; _done is right after it, too. */
sx_status sx_log_recent_init(sx_recent_lines *r, size_t bytes_max, sx_error *err);
void sx_log_recent_done(sx_recent_lines *r);

/* Whole lines, each with its end; the oldest give way, and one that is too long is not kept. */
void sx_log_recent_put(sx_recent_lines *r, sx_str lines);

/* Appends what is kept, the oldest line first. */
void sx_log_recent_read(sx_recent_lines *r, sx_buf *out);

#endif
