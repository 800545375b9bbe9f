/* otlp.c - the exporter's thread, around the loop that does the work (otlp_core.c). */
#include <signal.h>

#include "telemetry/otlp_internal.h"

static void *run(void *arg)
{
    sx_loop_run((sx_loop *)arg);
    return NULL;
}

/* The thread takes no signals: they are the main thread's. */
static sx_status start_thread(sx_otlp *otlp, sx_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGPROF); /* a CPU profile sees it, too */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&otlp->thread, NULL, run, otlp->loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return sx_fail_os(err, failed, "no thread for the OTLP exporter");
    pthread_setname_np(otlp->thread, "sx-otlp");
    otlp->has_thread = true;
    return SX_OK;
}

static void init_flush(sx_otlp *otlp)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&otlp->flush_lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&otlp->flush_cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void free_all(sx_otlp *otlp)
{
    sx_loop *loop = otlp->loop;
    pthread_mutex_destroy(&otlp->flush_lock);
    pthread_cond_destroy(&otlp->flush_cond);
    sx_otlp_core_free(otlp);
    sx_loop_free(loop);
}

sx_status sx_otlp_new(const sx_otlp_options *options, sx_otlp **out, sx_error *err)
{
    sx_loop *loop;
    sx_otlp *otlp = NULL;
    sx_status st = sx_loop_new(options->clock, 0, &loop, err);
    if (st != SX_OK)
        return st;
    st = sx_otlp_core_new(options, loop, &otlp, err);
    if (st != SX_OK) {
        sx_loop_free(loop);
        return st;
    }
    init_flush(otlp);
    st = start_thread(otlp, err);
    if (st != SX_OK)
        free_all(otlp);
    else
        *out = otlp;
    return st;
}

/* ---- flush ---- */

void sx_otlp_flush_progress(sx_otlp *otlp)
{
    bool whole;
    if (!otlp->has_thread || sx_otlp_core_flushing(otlp, &whole))
        return;
    pthread_mutex_lock(&otlp->flush_lock);
    otlp->flush_ended = otlp->flush_begun;
    otlp->flush_whole = whole;
    pthread_cond_broadcast(&otlp->flush_cond);
    pthread_mutex_unlock(&otlp->flush_lock);
}

static void begin_flush(sx_loop *loop, void *arg)
{
    sx_otlp *otlp = arg;
    (void)loop;
    pthread_mutex_lock(&otlp->flush_lock);
    otlp->flush_begun = otlp->flush_asked;
    pthread_mutex_unlock(&otlp->flush_lock);
    sx_otlp_core_flush(otlp);
}

bool sx_otlp_flush(sx_otlp *otlp, uint32_t ms)
{
    /* The system's clock, whatever clock the exporter was given: it is what the wait below compares
     * with. */
    int64_t until_ns = sx_clock_mono_ns(sx_clock_system()) + (int64_t)ms * 1000000;
    struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
    pthread_mutex_lock(&otlp->flush_lock);
    uint64_t mine = ++otlp->flush_asked;
    int failed = sx_loop_post(otlp->loop, begin_flush, otlp, NULL) != SX_OK;
    while (otlp->flush_ended < mine && !failed)
        failed = pthread_cond_timedwait(&otlp->flush_cond, &otlp->flush_lock, &until);
    bool whole = otlp->flush_ended >= mine && otlp->flush_whole;
    pthread_mutex_unlock(&otlp->flush_lock);
    return whole;
}

void sx_otlp_end_metrics(sx_otlp *otlp, uint32_t ms)
{
    pthread_mutex_lock(&otlp->scrape_lock);
    bool over = otlp->metrics_over;
    pthread_mutex_unlock(&otlp->scrape_lock);
    if (over)
        return;
    sx_otlp_flush(otlp, ms);
    pthread_mutex_lock(&otlp->scrape_lock); /* waits for a reading that is under way */
    otlp->metrics_over = true;
    pthread_mutex_unlock(&otlp->scrape_lock);
}

void sx_otlp_free(sx_otlp *otlp, uint32_t flush_ms)
{
    if (!otlp)
        return;
    if (flush_ms > 0)
        sx_otlp_flush(otlp, flush_ms);
    sx_loop_stop(otlp->loop);
    pthread_join(otlp->thread, NULL);
    otlp->has_thread = false;
    free_all(otlp);
}
