/* pool.c - a bounded pool of threads for blocking work.
 *
 * A ring of jobs under one lock and one condition. The memory of the report back is taken when a job
 * is submitted, so that work once done is always reported. */
#include <sextant/loop.h>

#include <pthread.h>
#include <stdio.h>

#include <sextant/mem.h>

#include "net/loop_internal.h"

typedef struct pool_job {
    sx_pool_fn *work;
    void *arg;
    sx_loop *loop;
    loop_post *report;
} pool_job;

struct sx_pool {
    pthread_mutex_t lock; /* guards the ring and `closing` */
    pthread_cond_t ready;
    pool_job *ring;
    uint32_t ring_cap, first, count;
    bool closing;
    unsigned thread_count; /* running; written by new and free alone */
    pthread_t *threads;
    char name[16]; /* as the system shows it: 15 bytes */
};

enum { QUEUE_DEFAULT = 1024, THREADS_MOST = 256 };

static void *run_thread(void *arg)
{
    sx_pool *pool = arg;
    pthread_setname_np(pthread_self(), pool->name);
    for (;;) {
        pthread_mutex_lock(&pool->lock);
        while (pool->count == 0 && !pool->closing)
            pthread_cond_wait(&pool->ready, &pool->lock);
        if (pool->count == 0) {
            pthread_mutex_unlock(&pool->lock);
            return NULL;
        }
        pool_job job = pool->ring[pool->first];
        pool->first = (pool->first + 1) % pool->ring_cap;
        pool->count--;
        pthread_mutex_unlock(&pool->lock);

        job.work(job.arg);
        sx_loop_post_send(job.loop, job.report);
    }
}

void sx_pool_free(sx_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->ready);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->ready);
    pthread_mutex_destroy(&pool->lock);
    sx_free(pool->threads);
    sx_free(pool->ring);
    sx_free(pool);
}

sx_status sx_pool_new(const sx_pool_options *options, sx_pool **out, sx_error *err)
{
    unsigned threads = options->threads ? options->threads : sx_cores();
    if (threads > THREADS_MOST)
        return sx_fail(err, SX_EINVAL, "pool '%s' wants %u threads, the most is %d", options->name,
                       threads, THREADS_MOST);
    sx_pool *pool = sx_calloc(1, sizeof(*pool));
    if (!pool)
        return sx_fail_memory(err, "a thread pool");
    snprintf(pool->name, sizeof(pool->name), "%s", options->name ? options->name : "pool");
    pthread_mutex_init(&pool->lock, NULL); /* neither fails on Linux with default attributes */
    pthread_cond_init(&pool->ready, NULL);
    pool->ring_cap = options->queue_max ? options->queue_max : QUEUE_DEFAULT;
    pool->ring = sx_calloc(pool->ring_cap, sizeof(*pool->ring));
    pool->threads = sx_calloc(threads, sizeof(*pool->threads));
    if (!pool->ring || !pool->threads) {
        sx_pool_free(pool);
        return sx_fail_memory(err, "the queue of a thread pool");
    }
    while (pool->thread_count < threads) {
        int rc = pthread_create(&pool->threads[pool->thread_count], NULL, run_thread, pool);
        if (rc != 0) {
            sx_fail_os(err, rc, "cannot start thread %u of %u of pool '%s'", pool->thread_count + 1,
                       threads, pool->name);
            sx_pool_free(pool);
            return SX_EIO;
        }
        pool->thread_count++;
    }
    *out = pool;
    return SX_OK;
}

sx_status sx_pool_submit(sx_pool *pool, sx_loop *loop, sx_pool_fn *work, sx_loop_fn *done,
                         void *arg, sx_error *err)
{
    loop_post *report = sx_loop_post_new(done, arg);
    if (!report)
        return sx_fail_memory(err, "a job of a thread pool");
    pthread_mutex_lock(&pool->lock);
    bool is_full = pool->count == pool->ring_cap;
    if (!is_full) {
        uint32_t at = (uint32_t)(((uint64_t)pool->first + pool->count) % pool->ring_cap);
        pool->ring[at] = (pool_job){work, arg, loop, report};
        pool->count++;
        pthread_cond_signal(&pool->ready);
    }
    pthread_mutex_unlock(&pool->lock);
    if (is_full) {
        sx_free(report);
        return sx_fail(err, SX_REFUSED, "pool '%s' has %u jobs waiting, which is its limit",
                       pool->name, pool->ring_cap);
    }
    return SX_OK;
}
