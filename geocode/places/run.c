/* run.c - the threads of the build: items are shared out in pieces, so that the pieces of a worker that
 * meets the large objects are done by the others. */
#include <pthread.h>
#include <stdatomic.h>

#include <sextant/mem.h>

#include "geocode/places/build_impl.h"

typedef struct run {
    bld *b;
    bld_job *job;
    void *ctx;
    size_t count, piece;
    _Atomic size_t next;  /* first item of the next piece */
    _Atomic bool stop;    /* a piece has failed */
    pthread_mutex_t lock; /* of what follows */
    size_t failed_at;
    sx_status status;
    sx_error err;
} run;

typedef struct run_thread {
    run *run;
    bld_worker *worker;
    pthread_t thread;
    bool started;
} run_thread;

static void *work(void *arg)
{
    run_thread *t = arg;
    run *r = t->run;
    while (!atomic_load(&r->stop)) {
        size_t from = atomic_fetch_add(&r->next, r->piece);
        if (from >= r->count)
            break;
        size_t to = r->count - from < r->piece ? r->count : from + r->piece;
        sx_error err = {0};
        sx_status status = bld_room_for(r->b, t->worker, &err);
        if (status == SX_OK)
            status = r->job(r->b, t->worker, from, to, r->ctx, &err);
        if (status == SX_OK)
            continue;
        pthread_mutex_lock(&r->lock);
        if (r->status == SX_OK || from < r->failed_at) {
            r->status = status;
            r->err = err;
            r->failed_at = from;
        }
        pthread_mutex_unlock(&r->lock);
        atomic_store(&r->stop, true);
    }
    return NULL;
}

sx_status bld_run(bld *b, size_t count, size_t piece, bld_job *job, void *ctx, sx_error *err)
{
    run r = {.b = b, .job = job, .ctx = ctx, .count = count, .piece = piece};
    size_t pieces = (count + piece - 1) / piece;
    uint32_t threads = pieces < b->worker_count ? (uint32_t)pieces : b->worker_count;
    run_thread *all = sx_calloc(b->worker_count, sizeof *all);
    if (!all)
        return sx_fail_memory(err, "the threads of the import");
    pthread_mutex_init(&r.lock, NULL);
    for (uint32_t i = 0; i < b->worker_count; i++)
        all[i] = (run_thread){.run = &r, .worker = &b->workers[i]};
    for (uint32_t i = 1; i < threads; i++) /* one that cannot be started is done without */
        all[i].started = pthread_create(&all[i].thread, NULL, work, &all[i]) == 0;
    work(&all[0]);
    for (uint32_t i = 1; i < threads; i++) {
        if (all[i].started)
            pthread_join(all[i].thread, NULL);
    }
    pthread_mutex_destroy(&r.lock);
    sx_free(all);
    if (r.status != SX_OK && err)
        *err = r.err;
    return r.status;
}
