/* log_lane.h - a log's inside: its lanes, one a thread (lane.h says how lines travel), and its writer.
 *
 * Lane 0 belongs to all threads that have not joined; they share it by a lock. */
#ifndef SEXTANT_TELEMETRY_LOG_LANE_H
#define SEXTANT_TELEMETRY_LOG_LANE_H

#include <pthread.h>

#include <sextant/log.h>

#include "telemetry/lane.h"
#include "telemetry/log_recent.h"
#include "telemetry/log_repeats.h"
#include "telemetry/thread.h"

enum {
    SX_LOG_CHUNK_BYTES = SX_LANE_CHUNK_BYTES, /* the longest line */
    SX_LOG_SECOND_BYTES = 19                  /* 2024-01-15T10:30:00 */
};

/* What a thread that logs owns; its records are whole lines. */
typedef struct sx_log_lane {
    sx_lane lane;
    int64_t second; /* that second_text shows */
    char second_text[SX_LOG_SECOND_BYTES];
    bool pending;                  /* lines since the writer was last thought of */
    uint64_t levels[SX_LEVEL_OFF]; /* atomic counts of lines */
    sx_log_repeats repeats;
} sx_log_lane;

struct sx_logger {
    sx_log *log;
    int level; /* atomic, relaxed: of lines */
    int gate;  /* atomic, relaxed: of lines and what is exported; the macros ask it */
    sx_str name;
    struct sx_logger *next;
};

struct sx_log {
    sx_str service, layer;
    char *path; /* heap; NULL: fd was given */
    bool console, colour;
    const sx_clock *clock;
    uint32_t chunks_max;
    sx_log_lane *lanes[SX_THREAD_SHARDS_MAX + 1]; /* atomic; each made by its thread, NULL before */
    pthread_mutex_t shared_lock;                  /* of lanes[0] */

    pthread_mutex_t logger_lock;
    sx_logger *loggers;       /* a list; only grows */
    sx_logger root;           /* name "" */
    int level;                /* of loggers that no rule names; under logger_lock, as the rules */
    sx_log_level_rule *rules; /* heap, with the text that their names point into */
    size_t rule_count;

    sx_log_repeat_limits repeats;
    sx_otlp *otlp;  /* atomic; NULL: not exported */
    int otlp_level; /* 0: what is written */
    bool otlp_access;

    /* The writer. */
    pthread_t thread;
    int fd;             /* atomic: the crash handler reads it */
    bool is_file;       /* a regular file: never waited for */
    int wake_fd;        /* eventfd */
    int idle;           /* atomic: it sleeps without looking; whoever logs must wake it */
    int stopping;       /* atomic */
    int64_t stop_by_ms; /* monotonic; set before stopping */
    int reopening;      /* atomic */
    bool torn;          /* the last write ended inside a line */
    uint64_t lost;      /* atomic: lines that could not be written */
    uint64_t own_lines[SX_LEVEL_OFF];     /* atomic: the writer's own, by level */
    uint64_t written_bytes, write_errors; /* atomic */
    uint64_t reported;                    /* drops that were told */
    int64_t report_ms, complain_ms;       /* when something was last told; monotonic */

    pthread_mutex_t flush_lock;
    pthread_cond_t flush_cond;
    uint64_t flush_asked, flush_done; /* under flush_lock */
    int crash_asked, crash_done;      /* atomic: sx_log_crash_flush */

    /* The file and its rotation (log_file.c): the writer's own. */
    uint64_t rotate_bytes;
    int64_t rotate_ns;
    uint64_t file_bytes;
    int64_t born_ns;         /* wall */
    int64_t stamp_ms;        /* of the last old file's name */
    int64_t rotate_after_ms; /* monotonic: after a failure */
    uint64_t rotations;      /* atomic */

    /* Old files (log_pack.c). */
    uint32_t rotate_keep;
    sx_codec rotate_codec;
    pthread_t pack_thread;
    pthread_mutex_t pack_lock;
    pthread_cond_t pack_cond;
    bool pack_wanted; /* under pack_lock */
    bool pack_running, pack_complained;
    int pack_stopping; /* atomic */

    sx_recent_lines *recent;      /* the last lines; NULL: none are kept */
    struct sx_log_meters *meters; /* under logger_lock; NULL: not measured */
    char *name;                   /* heap; of the log, in its metrics */
};

/* The calling thread's lane, locked if it is the shared one; NULL without memory. */
sx_log_lane *sx_log_lane_enter(sx_log *log);
void sx_log_lane_leave(sx_log *log, sx_log_lane *lane);

/* Room for `bytes` (at most SX_LOG_CHUNK_BYTES) in one piece, or NULL: the lane is full. */
static inline char *sx_log_lane_room(sx_log_lane *lane, size_t bytes, size_t *room)
{
    return sx_lane_room(&lane->lane, bytes, room);
}

/* Publishes the line that was written at the start of the room; counts it. */
static inline void sx_log_lane_commit(sx_log_lane *lane, sx_level level, size_t bytes)
{
    sx_lane_commit(&lane->lane, bytes);
    sx_lane_count(&lane->levels[level]);
    lane->pending = true;
}

/* Counts a line that could not be taken. */
static inline void sx_log_lane_drop(sx_log_lane *lane, sx_level level)
{
    sx_lane_drop(&lane->lane);
    sx_lane_count(&lane->levels[level]);
}

/* Wakes the writer if it sleeps. */
void sx_log_wake(sx_log *log);

/* The writer thread's body; its argument is the log. */
void *sx_log_writer(void *arg);

/* Frees a lane and its chunks; producer and writer have gone. */
void sx_log_lane_free(sx_log_lane *lane);

/* For the crash handler; async-signal-safe. Has the writer write what the lanes hold, waiting for `ms`
 * at most; whether all was written. The descriptor that it writes to; -1: none. */
bool sx_log_crash_flush(sx_log *log, uint32_t ms);
int sx_log_crash_fd(const sx_log *log);

/* The program's logger, and freeing all of them (log_levels.c). */
void sx_log_loggers_init(sx_log *log);
void sx_log_loggers_free(sx_log *log);

/* Brings the metrics up to date; the writer's (log_metrics.c). */
void sx_log_metrics_update(sx_log *log);

/* Opens a log's path for appending; -1 and err if it cannot. */
int sx_log_open_file(const char *path, sx_error *err);

/* ---- formatting (log_format.c) ---- */

/* Writes the 24 characters of the timestamp; the lane remembers the second. */
char *sx_log_timestamp(sx_log_lane *lane, char *out, int64_t wall_ns);

/* Writes `s` as the inside of a JSON string; needs room for 6 bytes for each of its bytes and 8. */
char *sx_log_escape(char *out, sx_str s);

typedef struct sx_log_record {
    const sx_log *log;
    const sx_logger *logger; /* NULL: the log itself */
    sx_level level;
    int64_t wall_ns;
    const sx_log_context *context;
    sx_str message;
    const sx_field *fields;
    size_t count;
    size_t value_bytes_max; /* longer values are cut */
    uint8_t trace_flags;    /* of the trace, for OTLP */
} sx_log_record;

/* What the record says of a repeat: its message and its one field, in `text` and `field`. */
enum { SX_LOG_TOLD_BYTES = SX_LOG_REPEAT_TEXT + 16 };
void sx_log_told_record(const sx_log_told *told, int64_t wall_ns, char text[SX_LOG_TOLD_BYTES],
                        sx_field *field, sx_log_record *out);

/* Hands the record to the exporter as an OTLP LogRecord (log_otlp.c). Any thread. */
void sx_log_export(sx_otlp *otlp, const sx_log_record *r);

/* Where a record of a logger goes, by its level. */
typedef struct sx_log_ways {
    bool line;
    sx_otlp *otlp; /* NULL: not there */
} sx_log_ways;
static inline sx_log_ways sx_log_ways_of(const sx_logger *logger, sx_level level)
{
    const sx_log *log = logger->log;
    int written = __atomic_load_n(&logger->level, __ATOMIC_RELAXED);
    int exported = log->otlp_level && written < SX_LEVEL_OFF ? log->otlp_level : written;
    sx_log_ways ways = {(int)level >= written, NULL};
    if ((int)level >= exported)
        ways.otlp = __atomic_load_n(&log->otlp, __ATOMIC_ACQUIRE);
    return ways;
}

/* Puts the record into the thread's lane, whatever its level and however often it was said. */
void sx_log_put(sx_log *log, sx_log_record *r);

/* Formats a record with its newline into out[room]; returns its length, 0 if it does not fit. */
size_t sx_log_format(sx_log_lane *lane, const sx_log_record *r, char *out, size_t room);

#endif
