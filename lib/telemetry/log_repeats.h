/* log_repeats.h - holds back what a thread says again and again.
 *
 * A small table a lane, four places for a key: a key is (logger, level, message) and, below WARN, the
 * fields. A record whose key has been seen repeats_max times in its period is held back and counted;
 * the count is told once the period is over: by the next record with that key, by one that needs its
 * place, or by the writer (sx_log_repeats_due), which alone comes from another thread. Whoever changes
 * the table holds `busy`; nobody waits for it: a producer that finds it taken writes its record. */
#ifndef SEXTANT_TELEMETRY_LOG_REPEATS_H
#define SEXTANT_TELEMETRY_LOG_REPEATS_H

#include <sextant/log.h>

enum { SX_LOG_REPEAT_SETS = 16, SX_LOG_REPEAT_WAYS = 4, SX_LOG_REPEAT_TEXT = 120 };

/* What was held back: a record to be written. */
typedef struct sx_log_told {
    uint64_t count; /* 0: nothing */
    const sx_logger *logger;
    sx_level level;
    uint32_t text_len;
    char text[SX_LOG_REPEAT_TEXT]; /* of the message, its beginning */
} sx_log_told;

typedef struct sx_log_repeat {
    uint64_t key;     /* 0: free */
    int64_t until_ns; /* end of the period, by the wall clock of the records */
    uint32_t count;   /* of records in it */
    sx_log_told held;
} sx_log_repeat;

typedef struct sx_log_repeats {
    int busy;       /* atomic */
    int64_t due_ns; /* atomic: when the first period that holds something ends */
    uint64_t total; /* atomic: held back so far */
    sx_log_repeat places[SX_LOG_REPEAT_SETS][SX_LOG_REPEAT_WAYS];
} sx_log_repeats;

typedef struct sx_log_repeat_limits {
    uint32_t records_max; /* in a period; SX_LOG_REPEATS_ALL: any number */
    int64_t period_ns;
} sx_log_repeat_limits;

/* An empty table in zeroed memory. */
void sx_log_repeats_init(sx_log_repeats *t);

/* What identifies a record; never 0. */
uint64_t sx_log_repeat_key(const sx_logger *logger, sx_level level, sx_str message,
                           const sx_field *fields, size_t count);

/* Whether a record with that key is to be written now. told->count above 0: that one before it. */
bool sx_log_repeats_admit(sx_log_repeats *t, const sx_log_repeat_limits *limits, uint64_t key,
                          const sx_logger *logger, sx_level level, sx_str message, int64_t now_ns,
                          sx_log_told *told);

/* The writer's: the next record held back whose period is over; false if there is none. INT64_MAX as
 * `now_ns` takes all. */
bool sx_log_repeats_due(sx_log_repeats *t, int64_t now_ns, sx_log_told *told);

#endif
