/* csv_job.h - one batch under way: text in, answered rows out, in their order, on all cores.
 *
 *     feed -> decoded text -> sample -> dialect, plan -> blocks of rows -> pool -> output in order
 *
 * A job belongs to a loop, whose thread calls everything here and gets every event; what takes time
 * (guessing the dialect, searching) is done by the threads of a crew that all jobs share, a block of
 * some rows at a time, so that neither the loop nor another batch waits long. What a job holds is
 * bounded: text that is not cut into rows yet, and a fixed number of blocks. */
#ifndef SEXTANT_GEOCODE_API_CSV_JOB_H
#define SEXTANT_GEOCODE_API_CSV_JOB_H

#include <sextant/loop.h>

#include "geocode/api/csv_rows.h"

/* Threads that answer rows, each with its searcher. They run with less weight than loops do. */
typedef struct geo_csv_crew geo_csv_crew;

/* threads 0: one a core. Errors: SX_ENOMEM, SX_EIO. */
sx_status geo_csv_crew_new(unsigned threads, geo_csv_crew **out, sx_error *err);

/* Ends the threads once they have done what is queued: after the loops have stopped, before they are
 * freed. Does nothing the second time. */
void geo_csv_crew_stop(geo_csv_crew *crew);

/* Frees it, stopped or not, after its jobs. NULL is allowed. */
void geo_csv_crew_free(geo_csv_crew *crew);

/* Has work(arg) done by a thread of the crew, then done(loop, arg) on the loop: for what belongs to a
 * job, as its file on the disk. Errors: as sx_pool_submit. */
sx_status geo_csv_crew_run(geo_csv_crew *crew, sx_loop *loop, sx_pool_fn *work, sx_loop_fn *done,
                           void *arg, sx_error *err);

typedef struct geo_csv_job geo_csv_job;

typedef struct geo_csv_events {
    /* More of the answer, in the wanted charset. geo_csv_job_hold() may be called in it. */
    void (*output)(void *ctx, sx_str bytes);
    /* There is room again, after geo_csv_job_feed said SX_AGAIN. */
    void (*room)(void *ctx);
    /* All rows are answered (why SX_OK), or the batch is given up: SX_EFORMAT (bytes that are not of
     * the charset), SX_EINVAL (a column, delimiter or quote), SX_ELIMIT (a query or row too long),
     * SX_END (there is no text at all), SX_ECORRUPT, SX_ENOMEM, SX_REFUSED. `err` has the words, in
     * Addok's form where it has any; `words` the same uncut. The last event; the job may be let go in
     * it. */
    void (*ended)(void *ctx, sx_status why, sx_str words);
    /* After geo_csv_job_free: nothing of the job runs any more, what was borrowed may go. */
    void (*gone)(void *ctx);
} geo_csv_events;

typedef struct geo_csv_job_options {
    geo_csv_crew *crew;
    sx_loop *loop;
    const geo_index *index;         /* all borrowed until `gone` */
    const geo_csv_options *options; /* its encoding must be known: geo_csv_charset_find */
    const geo_csv_events *events;
    void *ctx;
} geo_csv_job_options;

/* A job that waits to be fed. Errors: SX_ENOMEM; SX_EINVAL for an encoding that is unknown. */
sx_status geo_csv_job_new(const geo_csv_job_options *options, geo_csv_job **out, sx_error *err);

/* Takes more of the file. SX_OK; SX_AGAIN: taken, but wait for `room` before the next. Events may come
 * from within it. */
sx_status geo_csv_job_feed(geo_csv_job *job, sx_str bytes);

/* Says that the file has ended. */
void geo_csv_job_finish(geo_csv_job *job);

/* Stops and restarts output: who gets it cannot take more. */
void geo_csv_job_hold(geo_csv_job *job);
void geo_csv_job_go_on(geo_csv_job *job);

/* From the first byte of output on, bytes that are not of the charset become U+FFFD, queries that are
 * too long have no answer, and rows that are too long are cut: the answer is on its way and is not
 * given up for one row. */
void geo_csv_job_commit(geo_csv_job *job);

/* Rows answered so far, not counting the header. */
uint64_t geo_csv_job_rows(const geo_csv_job *job);

/* What a file lost though it was answered: rows that were cut (the first one's number), and a
 * quotation mark that was open at its end, which makes one row of all that follow it. */
typedef struct geo_csv_flaws {
    uint64_t cut, first_cut;
    bool is_quote_open;
} geo_csv_flaws;
geo_csv_flaws geo_csv_job_flaws(const geo_csv_job *job);

/* Lets go of it at once: no event but `gone` follows, which may come from within. */
void geo_csv_job_free(geo_csv_job *job);

#endif
