/* otlp_core.c - the exporter on a loop: pipes, their polling, the metrics' interval, complaints. */
#include "telemetry/otlp_internal.h"

#include <stdio.h>

#include <sextant/mem.h>

static const struct {
    const char *name;
    uint32_t delay_ms;
} SIGNALS[SX_OTLP_SIGNALS] = {
    [SX_OTLP_SPANS] = {"spans", 5000},
    [SX_OTLP_LOGS] = {"logs", 1000},
    [SX_OTLP_METRICS] = {"metrics", 60000},
};

const char *sx_otlp_signal_name(sx_otlp_signal signal)
{
    return SIGNALS[signal].name;
}

void sx_otlp_complain(sx_otlp *otlp, sx_otlp_signal signal, uint64_t count, const char *what)
{
    int64_t now = sx_loop_now_ms(otlp->loop);
    sx_otlp_pipe *p = &otlp->pipes[signal];
    p->lost_untold += count;
    if (now < p->complain_ms)
        return;
    uint64_t lost = p->lost_untold;
    p->lost_untold = 0;
    p->complain_ms = now + SX_OTLP_COMPLAIN_MS;
    if (!otlp->log) {
        fprintf(stderr, "sextant: OTLP export of %s: %s (%llu records lost)\n",
                SIGNALS[signal].name, what, (unsigned long long)lost);
        return;
    }
    sx_field fields[] = {sx_field_z("signal", SIGNALS[signal].name), sx_field_z("error", what),
                         sx_field_u64("lost", lost)};
    sx_log_write(sx_log_logger(otlp->log, "otlp"), SX_LEVEL_WARN, NULL,
                 SX_STR("OTLP export has trouble"), fields, SX_COUNT_OF(fields));
}

/* The complaints above come once a minute, and a service may end sooner: the sum is told once, of all
 * signals. Pipes that were closed have counted what was never sent. */
static void tell_losses(const sx_otlp *otlp)
{
    uint64_t lost[SX_OTLP_SIGNALS], sum = 0;
    for (int i = 0; i < SX_OTLP_SIGNALS; i++) {
        sx_otlp_counts c = sx_otlp_counts_of(otlp, (sx_otlp_signal)i);
        lost[i] = otlp->pipes[i].sender ? c.dropped + c.rejected : 0;
        sum += lost[i];
    }
    if (sum == 0)
        return;
    if (!otlp->log) {
        fprintf(stderr, "sextant: OTLP export ended; lost: %llu spans, %llu logs, %llu metrics\n",
                (unsigned long long)lost[SX_OTLP_SPANS], (unsigned long long)lost[SX_OTLP_LOGS],
                (unsigned long long)lost[SX_OTLP_METRICS]);
        return;
    }
    sx_field fields[] = {sx_field_u64("spans", lost[SX_OTLP_SPANS]),
                         sx_field_u64("logs", lost[SX_OTLP_LOGS]),
                         sx_field_u64("metrics", lost[SX_OTLP_METRICS])};
    sx_log_write(sx_log_logger(otlp->log, "otlp"), SX_LEVEL_WARN, NULL,
                 SX_STR("OTLP export ended with losses"), fields, SX_COUNT_OF(fields));
}

/* ---- timers ---- */

static void on_poll(sx_timer *timer, void *arg)
{
    sx_otlp *otlp = arg;
    bool any = false;
    for (int i = 0; i < SX_OTLP_SIGNALS; i++)
        if (otlp->pipes[i].sender && sx_otlp_pipe_poll(&otlp->pipes[i]))
            any = true;
    otlp->poll_ms = any ? SX_OTLP_POLL_MS_LEAST : otlp->poll_ms * 2;
    if (otlp->poll_ms > SX_OTLP_POLL_MS_MOST)
        otlp->poll_ms = SX_OTLP_POLL_MS_MOST;
    sx_timer_start(sx_loop_timers(otlp->loop), timer, otlp->poll_ms);
}

static void on_interval(sx_timer *timer, void *arg)
{
    sx_otlp *otlp = arg;
    sx_timer_start(sx_loop_timers(otlp->loop), timer, otlp->pipes[SX_OTLP_METRICS].delay_ms);
    sx_otlp_pipe_send_metrics(&otlp->pipes[SX_OTLP_METRICS]);
}

/* ---- flush ---- */

void sx_otlp_core_flush(sx_otlp *otlp)
{
    /* All are flushing before the first can be done, so that none ends the whole too early. */
    for (int i = 0; i < SX_OTLP_SIGNALS; i++)
        otlp->pipes[i].flushing = otlp->pipes[i].sender != NULL;
    for (int i = 0; i < SX_OTLP_SIGNALS; i++) {
        sx_otlp_pipe *p = &otlp->pipes[i];
        if (!p->sender)
            continue;
        sx_otlp_pipe_poll(p);
        if (i == SX_OTLP_METRICS)
            sx_otlp_pipe_send_metrics(p);
        sx_otlp_pipe_flush(p);
    }
    sx_otlp_flush_progress(otlp); /* nothing may be exported at all */
}

bool sx_otlp_core_flushing(const sx_otlp *otlp, bool *whole)
{
    bool flushing = false;
    *whole = true;
    for (int i = 0; i < SX_OTLP_SIGNALS; i++) {
        flushing = flushing || otlp->pipes[i].flushing;
        *whole = *whole && !otlp->pipes[i].flush_failed;
    }
    return flushing;
}

/* ---- life ---- */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

/* The signal's own number, else the one for all, else the default. */
static void take_numbers(sx_otlp_pipe *p, const sx_otlp_options *o)
{
    const sx_otlp_target *t = &o->targets[p->signal];
    uint32_t delay_ms = p->signal == SX_OTLP_METRICS ? o->metrics_interval_ms : o->batch_delay_ms;
    uint32_t queue_max = or_default(or_default(t->queue_max, o->queue_max), 2048);
    sx_otlp_queue_init(&p->queue, queue_max, or_default(o->queue_bytes_max, 8u << 20));
    p->batch_max = or_default(or_default(t->batch_max, o->batch_max), 512);
    if (p->batch_max > queue_max)
        p->batch_max = queue_max;
    p->delay_ms = or_default(or_default(t->batch_delay_ms, delay_ms), SIGNALS[p->signal].delay_ms);
    p->retry_ms_max = or_default(or_default(t->retry_ms_max, o->retry_ms_max), 300000);
}

static void start_timers(sx_otlp *otlp)
{
    sx_timers *timers = sx_loop_timers(otlp->loop);
    otlp->poll_ms = SX_OTLP_POLL_MS_LEAST;
    if (otlp->pipes[SX_OTLP_SPANS].sender || otlp->pipes[SX_OTLP_LOGS].sender)
        sx_timer_start(timers, &otlp->poll, otlp->poll_ms);
    if (otlp->pipes[SX_OTLP_METRICS].sender)
        sx_timer_start(timers, &otlp->interval, otlp->pipes[SX_OTLP_METRICS].delay_ms);
}

sx_status sx_otlp_core_new(const sx_otlp_options *options, sx_loop *loop, sx_otlp **out,
                           sx_error *err)
{
    sx_otlp *otlp = (sx_otlp *)sx_calloc(1, sizeof(*otlp));
    if (!otlp)
        return sx_fail_memory(err, "an OTLP exporter");
    otlp->clock = sx_loop_clock(loop);
    otlp->loop = loop;
    otlp->metrics = options->metrics;
    otlp->log = options->log;
    otlp->started_wall_ns = sx_clock_ns(otlp->clock);
    otlp->poll = (sx_timer){.fn = on_poll, .arg = otlp};
    otlp->interval = (sx_timer){.fn = on_interval, .arg = otlp};
    sx_random_init(&otlp->random);
    pthread_mutex_init(&otlp->scrape_lock, NULL);
    for (int i = 0; i < SX_OTLP_SIGNALS; i++) {
        otlp->pipes[i].otlp = otlp;
        otlp->pipes[i].signal = (sx_otlp_signal)i;
        otlp->pipes[i].complain_ms = INT64_MIN;
        pthread_mutex_init(&otlp->pipes[i].shared_lock, NULL);
        take_numbers(&otlp->pipes[i], options);
    }
    sx_otlp_scope_write(&otlp->scope);
    sx_status st = sx_buf_status(&otlp->scope, "the OTLP scope", err);
    if (st == SX_OK)
        st = sx_otlp_resource_write(options, &otlp->resource, err);
    for (int i = 0; i < SX_OTLP_SIGNALS && st == SX_OK; i++)
        st = sx_otlp_pipe_init(&otlp->pipes[i], options, err);
    if (st != SX_OK) {
        sx_otlp_core_free(otlp);
        return st;
    }
    start_timers(otlp);
    *out = otlp;
    return SX_OK;
}

void sx_otlp_core_free(sx_otlp *otlp)
{
    sx_timers *timers = sx_loop_timers(otlp->loop);
    sx_timer_stop(timers, &otlp->poll);
    sx_timer_stop(timers, &otlp->interval);
    for (int i = 0; i < SX_OTLP_SIGNALS; i++)
        sx_otlp_pipe_close(&otlp->pipes[i]);
    tell_losses(otlp);
    for (int i = 0; i < SX_OTLP_SIGNALS; i++)
        sx_otlp_pipe_done(&otlp->pipes[i]);
    sx_buf_done(&otlp->resource);
    sx_buf_done(&otlp->scope);
    pthread_mutex_destroy(&otlp->scrape_lock);
    sx_free(otlp);
}

sx_otlp_counts sx_otlp_counts_of(const sx_otlp *otlp, sx_otlp_signal signal)
{
    const sx_otlp_pipe *p = &otlp->pipes[signal];
    uint64_t n[SX_OTLP_COUNTS];
    for (int i = 0; i < SX_OTLP_COUNTS; i++)
        n[i] = __atomic_load_n(&p->counts[i], __ATOMIC_RELAXED);
    sx_otlp_moved lanes = sx_otlp_lanes_counts(p);
    sx_otlp_counts c = {.taken = lanes.taken,
                        .exported = n[SX_OTLP_EXPORTED],
                        .dropped = n[SX_OTLP_DROPPED] + lanes.dropped,
                        .rejected = n[SX_OTLP_REJECTED],
                        .attempts = n[SX_OTLP_SUCCEEDED] + n[SX_OTLP_FAILED] + n[SX_OTLP_RETRIED],
                        .failures = n[SX_OTLP_FAILED] + n[SX_OTLP_RETRIED],
                        .queued = __atomic_load_n(&p->queued, __ATOMIC_RELAXED)};
    if (signal == SX_OTLP_METRICS) /* they have no lanes */
        c.taken = c.exported + c.dropped + c.rejected + c.queued;
    return c;
}
