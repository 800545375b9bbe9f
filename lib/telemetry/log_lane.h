/* log_lane.h - how lines travel from the threads that log to the thread that writes.
 *
 *     thread ──▶ filling chunk ──next──▶ …      lane: one producer, one consumer, no lock
 *                   ▲ draining (writer)
 *
 * The producer appends lines to its newest chunk and publishes their end (`committed`); when a chunk
 * is full it links a new one behind. The writer follows: it writes what is committed and, once a
 * chunk has a next one, gives it back through a stack that the producer empties in one exchange.
 * So few chunks are touched as long as the writer keeps up, and their number bounds the lane.
 *
 * Lane 0 belongs to all threads that have not joined; they share it by a lock. */
#ifndef SEXTANT_TELEMETRY_LOG_LANE_H
#define SEXTANT_TELEMETRY_LOG_LANE_H

#include <pthread.h>

#include <sextant/log.h>

#include "telemetry/thread.h"

enum {
    SX_LOG_CHUNK_BYTES = 65536 - 32, /* of text: with its head and malloc's, 64 KiB */
    SX_LOG_SECOND_BYTES = 19         /* 2024-01-15T10:30:00 */
};

typedef struct sx_log_chunk {
    struct sx_log_chunk *next; /* atomic: set once by the producer; then the stack's */
    uint32_t committed;        /* atomic: the producer's, to the end of a line */
    uint32_t written;          /* the writer's */
    char text[SX_LOG_CHUNK_BYTES];
} sx_log_chunk;

typedef struct sx_log_lane {
    /* The producer's own. */
    sx_log_chunk *filling;
    sx_log_chunk *spare; /* taken back from `returned` */
    uint32_t chunks, chunks_max;
    int64_t second; /* that second_text shows */
    char second_text[SX_LOG_SECOND_BYTES];
    bool pending; /* lines since the writer was last thought of */
    /* Atomic counts: written by the producer, read by anybody. */
    uint64_t lines, dropped;
    /* Atomic: a stack that the writer pushes on and the producer takes whole. */
    sx_log_chunk *returned __attribute__((aligned(64)));
    /* The writer's own. */
    sx_log_chunk *draining;
} sx_log_lane;

struct sx_logger {
    sx_log *log;
    int level; /* atomic, relaxed */
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
    sx_logger *loggers; /* a list; only grows */
    sx_logger root;     /* name "" */
    int level;          /* of new loggers; under logger_lock */

    /* The writer. */
    pthread_t thread;
    int fd;
    bool is_file;       /* a regular file: never waited for */
    int wake_fd;        /* eventfd */
    int idle;           /* atomic: it sleeps without looking; whoever logs must wake it */
    int stopping;       /* atomic */
    int64_t stop_by_ms; /* monotonic; set before stopping */
    int reopening;      /* atomic */
    bool torn;          /* the last write ended inside a line */
    uint64_t lost;      /* atomic: lines that could not be written */
    uint64_t written_bytes, write_errors; /* atomic */
    uint64_t reported;                    /* drops that were told */
    int64_t report_ms, complain_ms;       /* when something was last told; monotonic */

    pthread_mutex_t flush_lock;
    pthread_cond_t flush_cond;
    uint64_t flush_asked, flush_done; /* under flush_lock */
};

/* The calling thread's lane, locked if it is the shared one; NULL without memory. */
sx_log_lane *sx_log_lane_enter(sx_log *log);
void sx_log_lane_leave(sx_log *log, sx_log_lane *lane);

/* Room for `bytes` (at most SX_LOG_CHUNK_BYTES) in one piece, or NULL: the lane is full. */
char *sx_log_lane_room(sx_log_lane *lane, size_t bytes, size_t *room);

/* Publishes the line that was written at the start of the room; counts it. */
void sx_log_lane_commit(sx_log_lane *lane, size_t bytes);

/* Counts a line that could not be taken. */
void sx_log_lane_drop(sx_log_lane *lane);

/* Wakes the writer if it sleeps. */
void sx_log_wake(sx_log *log);

/* The writer thread's body; its argument is the log. */
void *sx_log_writer(void *arg);

/* Frees a lane and its chunks; producer and writer have gone. */
void sx_log_lane_free(sx_log_lane *lane);

/* Opens the log's path for appending; -1 and err if it cannot. */
int sx_log_open_file(const char *path, sx_error *err);

/* ---- formatting (log_format.c) ---- */

/* Writes the 24 characters of the timestamp; the lane remembers the second. */
char *sx_log_timestamp(sx_log_lane *lane, char *out, int64_t wall_ns);

/* Writes `s` as the inside of a JSON string; needs room for 6 bytes for each of its bytes and 8. */
char *sx_log_escape(char *out, sx_str s);

typedef struct sx_log_record {
    const sx_log *log;
    sx_str logger;
    sx_level level;
    int64_t wall_ns;
    const sx_log_context *context;
    sx_str message;
    const sx_field *fields;
    size_t count;
    size_t value_bytes_max; /* longer values are cut */
} sx_log_record;

/* Formats a record with its newline into out[room]; returns its length, 0 if it does not fit. */
size_t sx_log_format(sx_log_lane *lane, const sx_log_record *r, char *out, size_t room);

#endif
