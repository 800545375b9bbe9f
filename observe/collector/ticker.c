/* ticker.c - a thread, a lock, a condition. */
#include "observe/collector/ticker.h"

#include <pthread.h>
#include <time.h>

#include <sextant/clock.h>
#include <sextant/mem.h>

enum { LOOK_NS = 500000000 };

struct ticker {
    void (*fn)(void *ctx);
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* by lock */
};

static void *run(void *arg)
{
    ticker *t = arg;
    pthread_mutex_lock(&t->lock);
    while (!t->stopping) {
        int64_t end_ns = sx_clock_mono_ns(sx_clock_system()) + LOOK_NS; /* CLOCK_MONOTONIC */
        const struct timespec until = {end_ns / 1000000000, end_ns % 1000000000};
        pthread_cond_timedwait(&t->wake, &t->lock, &until);
        if (t->stopping)
            break;
        pthread_mutex_unlock(&t->lock);
        t->fn(t->ctx);
        pthread_mutex_lock(&t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static void release(ticker *t)
{
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    sx_free(t);
}

sx_status ticker_start(void (*fn)(void *ctx), void *ctx, ticker **out, sx_error *err)
{
    pthread_condattr_t attr;
    ticker *t = sx_calloc(1, sizeof(*t));
    *out = NULL;
    if (!t)
        return sx_fail_memory(err, "a thread");
    t->fn = fn;
    t->ctx = ctx;
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&t->thread, NULL, run, t) != 0) {
        release(t);
        return sx_fail(err, SX_ELIMIT, "no further thread can be made");
    }
    *out = t;
    return SX_OK;
}

void ticker_stop(ticker *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stopping = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    release(t);
}
