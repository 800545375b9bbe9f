/* otlp_pipe.c - one signal's way: queue, batch, attempt, pause. otlp_internal.h draws its states. */
#include "telemetry/otlp_internal.h"

#include <stdio.h>

#include <sextant/protobuf.h>

#include "telemetry/exposition_otlp.h"

static const bool MAY_BECOME[3][3] = {
    [SX_OTLP_IDLE] = {[SX_OTLP_SENDING] = true},
    [SX_OTLP_SENDING] = {[SX_OTLP_IDLE] = true, [SX_OTLP_WAITING] = true},
    [SX_OTLP_WAITING] = {[SX_OTLP_IDLE] = true, [SX_OTLP_SENDING] = true},
};

bool sx_otlp_pipe_check(const sx_otlp_pipe *p)
{
    bool busy = p->state != SX_OTLP_IDLE;
    sx_assert(busy == (p->batch_count > 0) && busy == (p->batch.len > 0));
    sx_assert(sx_timer_running(&p->pause) == (p->state == SX_OTLP_WAITING));
    sx_assert(p->due <= p->queue.count && p->queue.count <= p->queue.count_max);
    return true;
}

static int64_t now_ms(const sx_otlp_pipe *p)
{
    return sx_loop_now_ms(p->otlp->loop);
}

static void become(sx_otlp_pipe *p, sx_otlp_state next)
{
    sx_assert(MAY_BECOME[p->state][next]);
    p->state = next;
    if (next != SX_OTLP_WAITING)
        sx_timer_stop(sx_loop_timers(p->otlp->loop), &p->pause);
    if (next == SX_OTLP_IDLE) {
        p->batch_count = 0;
        p->attempts = 0;
        sx_buf_clear(&p->batch);
    }
    SX_DEBUG_CHECK(sx_otlp_pipe_check(p));
}

/* ---- counts ---- */

static void bump(sx_otlp_pipe *p, sx_otlp_count which, uint64_t n)
{
    if (p->counters[which] && n)
        sx_counter_add(p->counters[which], n);
}

void sx_otlp_pipe_count(sx_otlp_pipe *p, sx_otlp_count which, uint64_t n)
{
    __atomic_fetch_add(&p->counts[which], n, __ATOMIC_RELAXED);
    bump(p, which, n);
}

static void show_queued(sx_otlp_pipe *p)
{
    uint64_t queued = p->queue.count + p->batch_count;
    if (queued == __atomic_load_n(&p->queued, __ATOMIC_RELAXED))
        return;
    __atomic_store_n(&p->queued, queued, __ATOMIC_RELAXED);
    if (p->queued_gauge)
        sx_gauge_set(p->queued_gauge, (double)queued);
}

/* ---- a batch ---- */

static size_t varint_bytes(uint64_t n)
{
    size_t bytes = 1;
    while (n >>= 7)
        bytes++;
    return bytes;
}

/* Field 1 of ResourceSpans and of ScopeSpans alike (and of their sisters): who, and what follows in
 * field 2. Lengths come before what they measure, so they are reckoned first: the records are copied
 * once. */
static sx_status wrap(sx_otlp_pipe *p, sx_str records, sx_error *err)
{
    sx_str resource = sx_buf_view(&p->otlp->resource), scope = sx_buf_view(&p->otlp->scope);
    size_t inner = 1 + varint_bytes(scope.len) + scope.len + records.len;
    size_t outer = 1 + varint_bytes(resource.len) + resource.len + 1 + varint_bytes(inner) + inner;
    sx_buf *b = &p->batch;
    sx_buf_clear(b);
    sx_pb_add_varint(b, SX_PB_TAG(1, SX_PB_BYTES)); /* resource_spans */
    sx_pb_add_varint(b, outer);
    sx_pb_put_str(b, 1, resource);
    sx_pb_add_varint(b, SX_PB_TAG(2, SX_PB_BYTES)); /* scope_spans */
    sx_pb_add_varint(b, inner);
    sx_pb_put_str(b, 1, scope);
    sx_buf_str(b, records);
    sx_status st = sx_buf_status(b, "an OTLP request", err);
    if (st != SX_OK)
        sx_buf_clear(b);
    return st;
}

/* ---- answers ---- */

static void tell(sx_otlp_pipe *p, uint64_t lost, const sx_otlp_answer *answer)
{
    char text[512];
    if (!answer->text[0])
        return;
    snprintf(text, sizeof(text), "%.*s: %s", SX_ARG(p->sender->shown), answer->text);
    sx_otlp_complain(p->otlp, p->signal, lost, text);
}

/* The batch's story is over. */
static void settle(sx_otlp_pipe *p, const sx_otlp_answer *answer)
{
    uint64_t lost = p->batch_count;
    if (answer->verdict == SX_OTLP_TAKEN) {
        lost = answer->rejected < p->batch_count ? answer->rejected : p->batch_count;
        sx_otlp_pipe_count(p, SX_OTLP_EXPORTED, p->batch_count - lost);
        sx_otlp_pipe_count(p, SX_OTLP_REJECTED, lost);
        sx_otlp_pipe_count(p, SX_OTLP_SUCCEEDED, 1);
    } else {
        sx_otlp_pipe_count(p, SX_OTLP_DROPPED, lost);
        p->flush_failed = p->flushing;
    }
    tell(p, lost, answer);
    become(p, SX_OTLP_IDLE);
    show_queued(p);
}

/* Doubling pauses, each between half and one and a half of its time so that many exporters do not come
 * back at once; or what the receiver asked for, and up to a tenth more. Never beyond the batch's time. */
static int64_t pause_ms(sx_otlp_pipe *p, const sx_otlp_answer *answer, int64_t left_ms)
{
    int64_t base = SX_OTLP_PAUSE_MS_FIRST;
    for (uint32_t i = 1; i < p->attempts && base < SX_OTLP_PAUSE_MS_MOST; i++)
        base *= 2;
    if (base > SX_OTLP_PAUSE_MS_MOST)
        base = SX_OTLP_PAUSE_MS_MOST;
    sx_random *random = &p->otlp->random;
    int64_t wait = base / 2 + (int64_t)sx_random_below(random, (uint64_t)base + 1);
    if (answer->wait_ms > 0)
        wait =
            answer->wait_ms + (int64_t)sx_random_below(random, (uint64_t)answer->wait_ms / 10 + 1);
    return wait < left_ms ? wait : left_ms;
}

static void later(sx_otlp_pipe *p, const sx_otlp_answer *answer)
{
    int64_t left_ms = p->batch_since_ms + p->retry_ms_max - now_ms(p);
    if (left_ms <= 0) {
        sx_otlp_pipe_count(p, SX_OTLP_FAILED, 1);
        settle(p, answer);
        return;
    }
    sx_otlp_pipe_count(p, SX_OTLP_RETRIED, 1);
    tell(p, 0, answer);
    p->throttled = answer->wait_ms > 0;
    if (p->flushing && !p->throttled) /* whoever flushes does not wait for one that is not there */
        p->flush_failed = true;
    p->state = SX_OTLP_WAITING;
    sx_timer_start(sx_loop_timers(p->otlp->loop), &p->pause, pause_ms(p, answer, left_ms));
    SX_DEBUG_CHECK(sx_otlp_pipe_check(p));
}

static void on_answer(void *ctx, const sx_otlp_answer *answer)
{
    sx_otlp_pipe *p = ctx;
    sx_assert(p->state == SX_OTLP_SENDING);
    if (answer->verdict == SX_OTLP_LATER) {
        later(p, answer);
    } else {
        if (answer->verdict == SX_OTLP_REFUSED)
            sx_otlp_pipe_count(p, SX_OTLP_FAILED, 1);
        settle(p, answer);
    }
    sx_otlp_pipe_advance(p);
}

/* ---- attempts ---- */

static void attempt(sx_otlp_pipe *p)
{
    sx_error err = {0};
    become(p, SX_OTLP_SENDING);
    p->attempts++;
    sx_status st = p->sender->send(p->sender, sx_buf_view(&p->batch), on_answer, p, &err);
    if (st == SX_OK)
        return;
    /* No memory, or a full line: later. Else (a header that HTTP does not allow) it never goes, and is
     * given up, but by the timer: from here a long queue would go down by recursion. */
    sx_otlp_answer answer = {.verdict = SX_OTLP_LATER};
    snprintf(answer.text, sizeof(answer.text), "%.200s", err.message);
    if (st == SX_ENOMEM || st == SX_REFUSED) {
        later(p, &answer);
        return;
    }
    tell(p, 0, &answer);
    p->batch_since_ms = now_ms(p) - p->retry_ms_max;
    p->state = SX_OTLP_WAITING;
    sx_timer_start(sx_loop_timers(p->otlp->loop), &p->pause, 0);
}

static void on_pause(sx_timer *timer, void *arg)
{
    sx_otlp_pipe *p = arg;
    (void)timer;
    if (now_ms(p) - p->batch_since_ms < p->retry_ms_max) {
        attempt(p);
        return;
    }
    sx_otlp_answer answer = {.verdict = SX_OTLP_REFUSED};
    snprintf(answer.text, sizeof(answer.text), "given up after %u attempts in %lld s", p->attempts,
             (long long)(now_ms(p) - p->batch_since_ms) / 1000);
    sx_otlp_pipe_count(p, SX_OTLP_FAILED, 1);
    settle(p, &answer);
    sx_otlp_pipe_advance(p);
}

/* Takes the next batch off the queue and sends it; its answer comes back to sx_otlp_pipe_advance.
 * Without memory it stays queued. */
static void send_next(sx_otlp_pipe *p)
{
    uint64_t count;
    sx_str records = sx_otlp_queue_first(&p->queue, p->batch_max, SX_OTLP_BATCH_BYTES_MAX, &count);
    if (wrap(p, records, NULL) != SX_OK)
        return;
    sx_otlp_queue_remove(&p->queue, records, count);
    p->due -= count < p->due ? count : p->due;
    p->batch_count = count;
    p->batch_since_ms = now_ms(p);
    attempt(p);
}

void sx_otlp_pipe_advance(sx_otlp_pipe *p)
{
    sx_timers *timers = sx_loop_timers(p->otlp->loop);
    if (p->state == SX_OTLP_IDLE && p->queue.count > 0 &&
        (p->due > 0 || p->queue.count >= p->batch_max)) {
        sx_timer_stop(timers, &p->delay);
        send_next(p);
    }
    if (p->state == SX_OTLP_IDLE && p->queue.count > 0 && !sx_timer_running(&p->delay))
        sx_timer_start(timers, &p->delay, p->delay_ms);
    if (p->flushing && (p->flush_failed || (p->state == SX_OTLP_IDLE && p->queue.count == 0))) {
        p->flushing = false;
        sx_otlp_flush_progress(p->otlp);
    }
    show_queued(p);
}

static void on_delay(sx_timer *timer, void *arg)
{
    sx_otlp_pipe *p = arg;
    (void)timer;
    p->due = p->queue.count;
    sx_otlp_pipe_advance(p);
}

bool sx_otlp_pipe_poll(sx_otlp_pipe *p)
{
    sx_otlp_moved moved = sx_otlp_lanes_take(p, &p->queue);
    uint64_t lanes_dropped = sx_otlp_lanes_counts(p).dropped;
    uint64_t dropped = moved.dropped + lanes_dropped - p->lanes_dropped;
    sx_otlp_pipe_count(p, SX_OTLP_DROPPED, moved.dropped);
    bump(p, SX_OTLP_DROPPED, lanes_dropped - p->lanes_dropped); /* counted where they fell */
    p->lanes_dropped = lanes_dropped;
    if (dropped)
        sx_otlp_complain(p->otlp, p->signal, dropped,
                         moved.dropped ? "the export queue is full" : "a thread's lane is full");
    if (moved.taken)
        sx_otlp_pipe_advance(p);
    return moved.taken + dropped > 0;
}

void sx_otlp_pipe_flush(sx_otlp_pipe *p)
{
    p->flushing = true;
    p->flush_failed = false;
    p->due = p->queue.count;
    if (p->state == SX_OTLP_WAITING && !p->throttled)
        attempt(p);
    sx_otlp_pipe_advance(p);
}

/* ---- metrics ---- */

static uint64_t count_records(sx_str records)
{
    sx_pb_reader r;
    uint64_t count = 0;
    sx_pb_init(&r, records);
    while (sx_pb_next(&r)) {
        count += r.tag == SX_PB_TAG(SX_OTLP_RECORD_FIELD, SX_PB_BYTES);
        sx_pb_skip(&r);
    }
    return count;
}

void sx_otlp_pipe_send_metrics(sx_otlp_pipe *p)
{
    if (p->state == SX_OTLP_SENDING)
        return;
    sx_buf records;
    sx_error err = {0};
    sx_buf_init(&records, 64 << 20);
    pthread_mutex_lock(&p->otlp->scrape_lock);
    bool over = p->otlp->metrics_over;
    sx_status st = over ? SX_OK
                        : sx_metrics_otlp(p->otlp->metrics, p->otlp->started_wall_ns,
                                          sx_loop_wall_ns(p->otlp->loop), &records, &err);
    pthread_mutex_unlock(&p->otlp->scrape_lock);
    if (over)
        return;
    uint64_t count = count_records(sx_buf_view(&records));
    if (st == SX_OK && p->state == SX_OTLP_WAITING) {
        /* The totals that could not be sent are in those of now. */
        sx_otlp_pipe_count(p, SX_OTLP_DROPPED, p->batch_count);
        become(p, SX_OTLP_IDLE);
    }
    if (st == SX_OK && count > 0)
        st = wrap(p, sx_buf_view(&records), &err);
    sx_buf_done(&records);
    if (st != SX_OK)
        sx_otlp_complain(p->otlp, p->signal, 0, err.message);
    if (st == SX_OK && count > 0) {
        p->batch_count = count;
        p->batch_since_ms = now_ms(p);
        attempt(p);
    }
}

/* ---- life ---- */

static sx_status make_metrics(sx_otlp_pipe *p, sx_metrics *m, sx_error *err)
{
    static const char *const LABELS[] = {"signal", "outcome"};
    static const sx_str OUTCOMES[] = {
        [SX_OTLP_EXPORTED] = SX_STR_INIT("exported"), [SX_OTLP_DROPPED] = SX_STR_INIT("dropped"),
        [SX_OTLP_REJECTED] = SX_STR_INIT("rejected"), [SX_OTLP_SUCCEEDED] = SX_STR_INIT("success"),
        [SX_OTLP_FAILED] = SX_STR_INIT("failure"),    [SX_OTLP_RETRIED] = SX_STR_INIT("retry"),
    };
    const sx_metric_options records = {
        .kind = SX_METRIC_COUNTER,
        .name = "sextant_otlp_records_total",
        .help = "Records given to the OTLP exporter, by what became of them.",
        .labels = LABELS,
        .label_count = 2};
    const sx_metric_options requests = {.kind = SX_METRIC_COUNTER,
                                        .name = "sextant_otlp_requests_total",
                                        .help = "Attempts of the OTLP exporter to send a batch.",
                                        .labels = LABELS,
                                        .label_count = 2};
    const sx_metric_options queued = {.kind = SX_METRIC_GAUGE,
                                      .name = "sextant_otlp_queue_records",
                                      .help = "Records waiting in the OTLP exporter.",
                                      .labels = LABELS,
                                      .label_count = 1};
    sx_metric *of_records, *of_requests, *of_queue;
    sx_status st = sx_metric_new(m, &records, &of_records, err);
    if (st == SX_OK)
        st = sx_metric_new(m, &requests, &of_requests, err);
    if (st == SX_OK)
        st = sx_metric_new(m, &queued, &of_queue, err);
    if (st != SX_OK)
        return st;
    sx_str values[] = {sx_str_z(sx_otlp_signal_name(p->signal)), {0}};
    for (int i = 0; i < SX_OTLP_COUNTS; i++) {
        values[1] = OUTCOMES[i];
        p->counters[i] =
            sx_metric_counter(i < SX_OTLP_SUCCEEDED ? of_records : of_requests, values, 2);
    }
    p->queued_gauge = sx_metric_gauge(of_queue, values, 1);
    return SX_OK;
}

sx_status sx_otlp_pipe_init(sx_otlp_pipe *p, const sx_otlp_options *options, sx_error *err)
{
    const sx_otlp_target *target = &options->targets[p->signal];
    if (target->endpoint.len == 0 || (p->signal == SX_OTLP_METRICS && !options->metrics))
        return SX_OK;
    p->delay = (sx_timer){.fn = on_delay, .arg = p};
    p->pause = (sx_timer){.fn = on_pause, .arg = p};
    sx_status st = sx_otlp_sender_new(p->otlp->loop, target, p->signal, &p->sender, err);
    if (st != SX_OK)
        return sx_error_prefix(err, st, "OTLP %s", sx_otlp_signal_name(p->signal));
    return options->metrics ? make_metrics(p, options->metrics, err) : SX_OK;
}

void sx_otlp_pipe_close(sx_otlp_pipe *p)
{
    sx_timers *timers = sx_loop_timers(p->otlp->loop);
    sx_timer_stop(timers, &p->delay);
    sx_timer_stop(timers, &p->pause);
    if (!p->sender)
        return;
    sx_otlp_moved moved = sx_otlp_lanes_take(p, &p->queue);
    sx_otlp_pipe_count(p, SX_OTLP_DROPPED, moved.dropped + p->queue.count + p->batch_count);
}

void sx_otlp_pipe_done(sx_otlp_pipe *p)
{
    if (p->sender)
        p->sender->free(p->sender);
    sx_otlp_lanes_free(p);
    sx_otlp_queue_done(&p->queue);
    sx_buf_done(&p->batch);
    pthread_mutex_destroy(&p->shared_lock);
}
