/* log.h - structured logs that never hold a loop up.
 *
 *     sx_log *log;
 *     sx_log_new(&(sx_log_options){.service = "shop"}, &log, &err);
 *     sx_logger *orders = sx_log_logger(log, "orders");
 *     SX_LOG_INFO(orders, NULL, "order taken", sx_field_str("id", id), sx_field_i64("items", n));
 *
 * writes one line, a JSON object (or, on a terminal, words in colour):
 *
 *     {"timestamp":"2024-01-15T10:30:00.123Z","level":"INFO","service":"shop","logger":"orders",
 *      "message":"order taken","id":"A1","items":3}
 *
 * How. A thread that has joined (metrics.h) formats its lines into chunks of its own; one writer
 * thread a log takes them up every few milliseconds and writes them with few system calls. Nobody
 * waits for the disk: when a thread is lane_bytes_max ahead of the writer its lines are dropped and
 * counted, and the log says so as soon as it can. Nothing is allocated for a record.
 *
 * A line belongs to the work in hand (context.h) without being told: trace_id, span_id and request_id
 * are those of the thread's current context unless the call names others. What is said too often is
 * held back and counted (repeats_max). A file is rotated by size and age by its writer, or by others
 * who then call sx_log_reopen (a service does on SIGUSR1). With an exporter (sx_log_otlp) each record
 * also leaves as an OTLP LogRecord.
 *
 * Whatever bytes a value has, the line is valid JSON and UTF-8: what is no UTF-8 becomes U+FFFD. */
#ifndef SEXTANT_LOG_H
#define SEXTANT_LOG_H

#include <sextant/buf.h>
#include <sextant/clock.h>
#include <sextant/compress.h>
#include <sextant/error.h>
#include <sextant/metrics.h>
#include <sextant/str.h>

SX_BEGIN_DECLS

typedef struct sx_otlp sx_otlp;     /* otlp.h */
typedef struct sx_log sx_log;       /* one output and its writer thread */
typedef struct sx_logger sx_logger; /* one part of a program, with a level of its own */

/* One list for the enum and the names; numbers rise with severity. */
#define SX_LEVEL_LIST(X) X(TRACE, 1) X(DEBUG, 2) X(INFO, 3) X(WARN, 4) X(ERROR, 5) X(FATAL, 6)

typedef enum sx_level {
#define X(name, value) SX_LEVEL_##name = value,
    SX_LEVEL_LIST(X)
#undef X
        SX_LEVEL_OFF = 7 /* above all: a logger at this level says nothing */
} sx_level;

/* "INFO" and so on; static. Reads the same, in any case, and OFF; false if it is none. */
const char *sx_level_name(sx_level level);
bool sx_level_parse(sx_str text, sx_level *out);

typedef enum sx_log_form {
    SX_LOG_AUTO, /* console if the output is a terminal, else JSON */
    SX_LOG_JSON,
    SX_LOG_CONSOLE /* in colour only on a terminal, and only if NO_COLOR is not set */
} sx_log_form;

typedef struct sx_log_options { /* 0 or NULL takes the default */
    const char *service;        /* field "service"; copied, as the others */
    const char *layer;          /* field "layer" after it; NULL: not written */
    const char *path;           /* a file, appended to; NULL: the descriptor */
    int fd;                     /* 0: 2, stderr. Not closed */
    sx_log_form form;
    sx_level level;          /* INFO: of loggers that are made */
    uint32_t lane_bytes_max; /* 4 MiB: how far a thread may be ahead of the writer */
    const sx_clock *clock;   /* the system's */
    const char *name;        /* "events": label "log" of its metrics */

    /* Repeats. Of one thread's records with the same logger, level and message (and, below WARN, the
     * same fields: "order taken" with another id is no repeat) so many are written in a period; then
     * one line more, "… (repeated)", says in `repeats` how many were held back. FATAL and the access
     * log are never held back. */
    uint32_t repeats_max;       /* 10; SX_LOG_REPEATS_ALL: all are written */
    uint32_t repeats_period_ms; /* 5000 */

    /* Rotation, with `path` only. The old file gets a time at its end: orders.log.20240115-103000.123 */
    uint64_t rotate_bytes; /* a file that would grow above this; 0: any size */
    uint32_t rotate_s;     /* a file older than this; 0: any age */
    uint32_t rotate_keep;  /* 5 old files, the latest; the rest is removed */
    sx_codec rotate_codec; /* SX_CODEC_GZIP or SX_CODEC_ZSTD: old files are compressed, by a thread
                             * of its own; SX_CODEC_IDENTITY: they stay as they are */

    /* OTLP: what sx_log_otlp exports. */
    sx_level otlp_level;       /* least level exported, whatever is written; 0: what is written */
    bool otlp_access;          /* lines of the access log, too */
    uint32_t recent_bytes_max; /* of the last lines, kept for sx_log_recent(); 0: none are */
    void *reserved[4];
} sx_log_options;

#define SX_LOG_REPEATS_ALL UINT32_MAX

/* Opens a log and starts its writer. /dev/stdout and /dev/stderr as path mean the descriptors 1 and 2;
 * a FIFO or a folder is refused. Errors: SX_EINVAL (the path is of the wrong kind, a codec that is no
 * choice), SX_EIO, SX_ENOTFOUND or SX_EACCESS (the file, with its path), SX_ENOMEM. */
sx_status sx_log_new(const sx_log_options *options, sx_log **out, sx_error *err);

/* Writes what is there (for at most 2 s if the output is stuck), stops the writer, frees. No thread
 * may use the log or its loggers any more. NULL is allowed. */
void sx_log_free(sx_log *log);

/* Waits until all that was logged before is written; false when `ms` pass. Any thread. */
bool sx_log_flush(sx_log *log, uint32_t ms);

/* Closes the file and opens its path again, after a rotation. The writer does it soon; when it fails
 * the old file stays and stderr says why. Any thread, also a signal handler. */
void sx_log_reopen(sx_log *log);

/* Appends the last lines as they were written, the oldest first, within recent_bytes_max; a line that
 * was logged a moment ago may not be there yet. Any thread. Errors: those of `out`. */
sx_status sx_log_recent(const sx_log *log, sx_buf *out, sx_error *err);

typedef struct sx_log_counts {
    uint64_t lines;         /* given to the log */
    uint64_t dropped;       /* of these: a lane was full, a record too big, the output failed */
    uint64_t written_bytes; /* by the writer */
    uint64_t write_errors;
    uint64_t repeats; /* records held back because they were repeats; not among `lines` */
    uint64_t rotations;
    uint64_t levels[SX_LEVEL_OFF]; /* of the lines, by level; [0] is not used */
} sx_log_counts;
/* What the log has done so far. Any thread. */
sx_log_counts sx_log_counts_of(const sx_log *log);

/* Counts in `metrics` from now on: log_lines_total{log,level}, log_lines_dropped_total{log},
 * log_lines_repeated_total{log}, log_written_bytes_total{log}, log_write_errors_total{log},
 * log_rotations_total{log}. Several logs may share a registry: their names tell them apart. The writer
 * brings the metrics up to date, a second late at most. NULL: no more, before the registry is freed.
 * Errors: as sx_metric_new. */
sx_status sx_log_metrics(sx_log *log, sx_metrics *metrics, sx_error *err);

/* Exports records by `otlp` from now on (see otlp_level); NULL: no more. Before sx_otlp_free it is
 * taken away, and no thread may be logging at that moment. */
void sx_log_otlp(sx_log *log, sx_otlp *otlp);

/* ---- loggers ---- */

/* The logger of that name ("" for the program itself), made at the first call; lives as long as its
 * log. Without memory: the one of the program. Any thread. */
sx_logger *sx_log_logger(sx_log *log, const char *name);

/* Changes levels while the program runs: of one logger by name ("": the program's own), of those whose
 * names begin alike ("net*"), or of all (NULL or "all"), also of those made later. SX_ENOTFOUND: no
 * such logger, with the names there are. Any thread. */
sx_status sx_log_level_set(sx_log *log, const char *name, sx_level level, sx_error *err);

/* One part of a setting of levels. */
enum { SX_LOG_LEVEL_RULES_MAX = 64 };
typedef struct sx_log_level_rule {
    sx_str name; /* empty: all others */
    sx_level level;
} sx_log_level_rule;

/* Levels by a setting: "info,net=debug,orders.*=trace". A level alone is that of all others; a name
 * stands for the logger and those below it ("net" also for net.http), with '*' at its end for all that
 * begin so; of several that fit the longest decides. Views point into `text`. Errors: SX_EINVAL (what
 * is no level, where), SX_ELIMIT. */
sx_status sx_log_levels_parse(sx_str text, sx_log_level_rule rules[SX_LOG_LEVEL_RULES_MAX],
                              size_t *count, sx_error *err);

/* Sets them: all loggers, also those made later; what no rule names keeps the level for all. Replaces
 * what was set before. Any thread. Errors: those of the parser and SX_ENOMEM; then nothing changes. */
sx_status sx_log_levels_apply(sx_log *log, sx_str text, sx_error *err);

/* Calls `fn` for every logger: for an admin page. */
void sx_log_loggers(sx_log *log, void (*fn)(void *ctx, const char *name, sx_level level),
                    void *ctx);

/* Whether a record of that level would be written. HOT: 1 ns. */
bool sx_logger_enabled(const sx_logger *logger, sx_level level);

/* ---- records ---- */

/* What a record belongs to; empty views are not written. NULL in its place: the thread's current
 * context (context.h). */
typedef struct sx_log_context {
    sx_str request_id;
    sx_str trace_id; /* 32 hex digits */
    sx_str span_id;  /* 16 hex digits */
} sx_log_context;

typedef enum sx_field_kind {
    SX_FIELD_STR,
    SX_FIELD_I64,
    SX_FIELD_U64,
    SX_FIELD_DOUBLE,
    SX_FIELD_BOOL,
    SX_FIELD_JSON
} sx_field_kind;

typedef struct sx_field {
    const char *key; /* static text, written as it is: letters, digits, '_', '.' */
    sx_field_kind kind;
    union {
        sx_str str;
        int64_t i64;
        uint64_t u64;
        double number;
        bool truth;
    };
} sx_field;

/* Fields by the type of their value: text, a trusted NUL-terminated text, whole numbers. Key and text
 * are borrowed until the record is written. */
static inline sx_field sx_field_str(const char *key, sx_str value)
{
    sx_field f = {key, SX_FIELD_STR, {value}};
    return f;
}

/* A NUL-terminated text. */
static inline sx_field sx_field_z(const char *key, const char *value)
{
    return sx_field_str(key, sx_str_z(value));
}

/* A signed whole number. */
static inline sx_field sx_field_i64(const char *key, int64_t value)
{
    sx_field f = sx_field_z(key, "");
    f.kind = SX_FIELD_I64;
    f.i64 = value;
    return f;
}

/* An unsigned whole number. */
static inline sx_field sx_field_u64(const char *key, uint64_t value)
{
    sx_field f = sx_field_z(key, "");
    f.kind = SX_FIELD_U64;
    f.u64 = value;
    return f;
}

/* NaN and the infinities are written as null. */
static inline sx_field sx_field_double(const char *key, double value)
{
    sx_field f = sx_field_z(key, "");
    f.kind = SX_FIELD_DOUBLE;
    f.number = value;
    return f;
}

static inline sx_field sx_field_bool(const char *key, bool value)
{
    sx_field f = sx_field_z(key, "");
    f.kind = SX_FIELD_BOOL;
    f.truth = value;
    return f;
}

/* A value that is JSON already (an object made elsewhere), on one line; trusted to be valid. */
static inline sx_field sx_field_json(const char *key, sx_str json)
{
    sx_field f = sx_field_str(key, json);
    f.kind = SX_FIELD_JSON;
    return f;
}

/* The message of an error, as field "error". */
static inline sx_field sx_field_error(const sx_error *err)
{
    return sx_field_z("error", err->message);
}

/* Writes one record if the logger's level lets it; the macros below ask before they evaluate their
 * fields. Everything is copied. Any thread. A value too long for a line is cut. */
void sx_log_write(sx_logger *logger, sx_level level, const sx_log_context *context, sx_str message,
                  const sx_field *fields, size_t count);

/* SX_LOG_WARN(logger, context, "message", field…): fields are not evaluated below the level. */
#define SX_LOG(logger, level, context, message, ...)                                               \
    do {                                                                                           \
        sx_logger *sx_log_to = (logger);                                                           \
        if (sx_logger_enabled(sx_log_to, (level))) {                                               \
            const sx_field sx_log_fields[] = {sx_field_z("", ""), ##__VA_ARGS__};                  \
            sx_log_write(sx_log_to, (level), (context), sx_str_z(message), sx_log_fields + 1,      \
                         SX_COUNT_OF(sx_log_fields) - 1);                                          \
        }                                                                                          \
    } while (0)
#define SX_LOG_TRACE(logger, ...) SX_LOG(logger, SX_LEVEL_TRACE, __VA_ARGS__)
#define SX_LOG_DEBUG(logger, ...) SX_LOG(logger, SX_LEVEL_DEBUG, __VA_ARGS__)
#define SX_LOG_INFO(logger, ...)  SX_LOG(logger, SX_LEVEL_INFO, __VA_ARGS__)
#define SX_LOG_WARN(logger, ...)  SX_LOG(logger, SX_LEVEL_WARN, __VA_ARGS__)
#define SX_LOG_ERROR(logger, ...) SX_LOG(logger, SX_LEVEL_ERROR, __VA_ARGS__)
#define SX_LOG_FATAL(logger, ...) SX_LOG(logger, SX_LEVEL_FATAL, __VA_ARGS__)

/* ---- the access log ---- */

/* A request that has ended. Views are any bytes. */
typedef struct sx_access {
    int64_t wall_ns; /* when it ended; 0: now */
    sx_log_context context;
    sx_str method, path, route, client, user_agent;
    int status;
    bool cut_short; /* the client went away; written only if true */
    int64_t duration_ns;
    uint64_t received_bytes, sent_bytes; /* of the bodies */
    uint8_t trace_flags;                 /* of the context's trace, for OTLP */
} sx_access;

/* HOT, 300 ns. One line with message "request" and these fields. The writer is not woken: call
 * sx_log_turn_end() after a batch (a service does at the end of each turn of its loop). */
void sx_log_access(sx_log *log, const sx_access *access);

/* Wakes the writer if this thread has logged since and the writer sleeps. HOT when it has not. */
void sx_log_turn_end(sx_log *log);

SX_END_DECLS

#endif
