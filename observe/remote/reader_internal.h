/* reader_internal.h - what reading from remote ends is made of.
 *
 *   reader.c          entries of a configuration, their HTTP clients, a thread that speaks to them
 *   reader_querier.c  a querier that asks the local store and the remote ends, and merges
 *   reader_answer.c   requests written, answers read; without a network, for tests and fuzzing */
#ifndef OBSERVE_REMOTE_READER_INTERNAL_H
#define OBSERVE_REMOTE_READER_INTERNAL_H

#include <pthread.h>

#include <sextant/buf.h>
#include <sextant/loop.h>
#include <sextant/metrics.h>

#include "observe/remote/remote.h"
#include "observe/scrape/http_target.h"

/* --- reader_answer.c */

/* What is asked of one end. */
typedef struct read_question {
    int64_t min_t, max_t;
    const tsdb_matcher *matchers;
    size_t matcher_count;
    tsdb_labels external; /* asked for besides, and taken off the answer's series */
    bool no_samples;      /* only labels are wanted */
} read_question;

/* Appends the request, compressed. */
sx_status read_question_write(const read_question *q, sx_buf *out, sx_error *err);

/* A series of an answer; views into the answer's bytes. */
typedef struct read_series {
    tsdb_labels labels; /* in the arena */
    sx_str message;     /* TimeSeries or ChunkedSeries */
    bool is_chunks;
    int64_t min_t, max_t; /* what was asked for: samples outside do not count */
} read_series;

typedef struct read_answer {
    sx_buf body;  /* as received */
    sx_buf plain; /* of SAMPLES, decompressed */
    read_series *items;
    size_t count, cap;
} read_answer;

typedef struct read_limits {
    uint64_t frame_bytes_max; /* of a stream */
    uint64_t plain_bytes_max; /* of SAMPLES */
} read_limits;

/* Finds the series of a->body. The labels and the list are in `arena`.
 *   errors  SX_EFORMAT, SX_ELIMIT, SX_ENOMEM */
sx_status read_answer_parse(read_answer *a, const read_question *q, bool streamed,
                            const read_limits *limits, sx_arena *arena, sx_error *err);

/* Appends the samples of a series from min_t to max_t, sorted if they are in the answer. Any thread. */
sx_status read_series_samples(const read_series *s, int64_t min_t, int64_t max_t, tsdb_columns *out,
                              sx_error *err);

/* --- reader.c */

typedef enum read_kind { READ_SAMPLED, READ_CHUNKED, READ_UNSUPPORTED, READ_KINDS } read_kind;

/* One entry of remote_read. */
typedef struct read_end {
    const prom_remote_read *entry;
    prom_http *http; /* the loop's */
    sx_str name;     /* of its metrics; in name_text if it has none */
    char name_text[16];
} read_end;

/* The entries of one configuration. It lives as long as queriers use it. */
typedef struct read_set {
    uint32_t refs; /* under the reader's lock */
    remote_reader *reader;
    prom_config *config;
    read_end *ends;
    uint32_t count;
} read_set;

/* One request under way. Made by a query's thread, which waits; `call` is the loop's. */
typedef struct read_fetch {
    struct read_fetch *next;
    read_set *set;
    const read_end *end;
    read_question question;
    sx_buf request;
    read_answer answer;
    const _Atomic bool *canceled; /* may be NULL */
    int64_t deadline_ns;          /* 0: none */
    prom_http_call *call;
    sx_timer look; /* the loop's: at these two */
    bool done;     /* under the reader's lock, as what follows */
    bool streamed;
    sx_status status;
    sx_error err;
} read_fetch;

struct remote_reader {
    tsdb_queryable base; /* first: the queryable is the reader */
    remote_reader_options options;
    sx_kit kit;
    sx_loop *loop; /* NULL until there is an entry */
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a fetch is done, a configuration has been taken up */
    read_set *set;          /* NULL: no entries */
    sx_metric *queries_total, *queries, *seconds;
};

/* The present set with a reference, or NULL. */
read_set *read_set_take(remote_reader *r);
void read_set_drop(read_set *set);

/* Begins a request on the loop; the caller waits for it with read_fetch_wait() in any case. */
void read_fetch_start(read_fetch *f);
/* Until it is done: an answer, a failure, or f->canceled was seen. */
void read_fetch_wait(read_fetch *f);

/* --- reader_querier.c */
sx_status read_querier_make(tsdb_queryable *self, int64_t min_t, int64_t max_t, tsdb_querier **out,
                            sx_error *err);

#endif
