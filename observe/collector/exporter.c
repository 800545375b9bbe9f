/* exporter.c - an exporter's queue and retries: everything but how a request is made and sent.
 *
 * Retries wait as the Collector's do: exponential back-off with jitter, no shorter than the receiver
 * asked, until max_elapsed has passed since the first try. */
#include <stdio.h>
#include <string.h>

#include <sextant/mem.h>

#include "observe/collector/exporter_internal.h"

enum {
    CONSUMERS_DEFAULT = 10,
    QUEUE_SIZE_DEFAULT = 1000,
    SPAN_WIRE_BYTES = 400, /* a guess for batches that did not come as OTLP */
    DRAIN_LOOK_MS = 5
};
#define QUEUE_BYTES_DEFAULT ((uint64_t)64 << 20)

static const export_driver *const DRIVERS[EXPORT_KINDS] = {[EXPORT_OTLP] = &export_otlp_driver,
                                                           [EXPORT_OTLPHTTP] = &export_otlp_driver,
                                                           [EXPORT_ELASTICSEARCH] =
                                                               &export_elastic_driver,
                                                           [EXPORT_FILE] = &export_file_driver,
                                                           [EXPORT_KAFKA] = &export_kafka_driver,
                                                           [EXPORT_DEBUG] = &export_debug_driver,
                                                           [EXPORT_NOP] = &export_nop_driver};

static void pump(span_exporter *e);

sx_status export_bad(const span_exporter *e, sx_error *err, const char *fmt, ...)
{
    char why[EXPORT_WHY_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    return sx_fail(err, SX_EINVAL, "exporters::%.*s (line %u): %s", SX_ARG(e->settings.id.name),
                   e->settings.id.line, why);
}

/* --- Batches and entries. */

/* What a batch keeps in memory; what several batches hold is counted for each. */
static size_t memory_of(const span_batch *b)
{
    size_t bytes = sizeof(*b) + b->body.cap + b->arena.used_bytes + b->cap * sizeof(*b->spans);
    for (size_t i = 0; i < b->held_count; i++)
        bytes += memory_of(b->held[i]);
    return bytes;
}

static export_entry *entry_new(span_exporter *e, span_batch *b)
{
    export_entry *n = sx_calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->batch = span_batch_ref(b);
    n->bytes = sizeof(*n) + memory_of(b);
    n->wire = b->otlp.len ? b->otlp.len : b->count * SPAN_WIRE_BYTES;
    n->since_ms = sx_clock_mono_ms(e->clock);
    return n;
}

static void entry_free(export_entry *n)
{
    span_batch_unref(n->batch);
    sx_free(n);
}

static uint64_t units_of(const span_exporter *e, const export_entry *n)
{
    if (sx_str_eq(e->settings.queue.sizer, SX_STR("items")))
        return n->batch->count;
    return sx_str_eq(e->settings.queue.sizer, SX_STR("bytes")) ? n->wire : 1;
}

static void show_size(span_exporter *e)
{
    if (e->metrics.queue_size)
        sx_gauge_set(e->metrics.queue_size, (double)e->held_units);
}

/* With the lock. */
static void hold(span_exporter *e, const export_entry *n)
{
    e->held_bytes += n->bytes;
    e->held_units += units_of(e, n);
}

static void unhold(span_exporter *e, const export_entry *n)
{
    e->held_bytes -= n->bytes;
    e->held_units -= units_of(e, n);
}

static export_entry *pop(span_exporter *e)
{
    export_entry *n = e->first;
    e->first = n->next;
    if (!e->first)
        e->last = NULL;
    e->waiting_bytes -= n->bytes;
    e->waiting_wire -= n->wire;
    n->next = NULL;
    return n;
}

static void push_back(span_exporter *e, export_entry *n)
{
    *(e->last ? &e->last->next : &e->first) = n;
    e->last = n;
    e->waiting_bytes += n->bytes;
    e->waiting_wire += n->wire;
}

static void push_front(span_exporter *e, export_entry *n)
{
    n->next = e->first;
    e->first = n;
    if (!e->last)
        e->last = n;
    e->waiting_bytes += n->bytes;
    e->waiting_wire += n->wire;
}

static bool fits(const span_exporter *e, const export_entry *n)
{
    const queue_settings *q = &e->settings.queue;
    return e->held_bytes + n->bytes <= q->bytes_max &&
           e->held_units + units_of(e, n) <= (uint64_t)q->size;
}

/* --- Any thread. */

static void on_wake(sx_loop *loop, void *arg)
{
    span_exporter *e = arg;
    (void)loop;
    pthread_mutex_lock(&e->lock);
    e->is_woken = false;
    pthread_mutex_unlock(&e->lock);
    pump(e);
}

/* Makes room by dropping what has waited longest; what is under way stays. With the lock. */
static uint64_t make_room(span_exporter *e, const export_entry *n, export_entry **out)
{
    uint64_t spans = 0;
    const queue_settings *q = &e->settings.queue;
    if (n->bytes > q->bytes_max || units_of(e, n) > (uint64_t)q->size)
        return 0; /* it would not fit into an empty queue */
    while (!fits(e, n) && e->first) {
        export_entry *old = pop(e);
        unhold(e, old);
        spans += old->batch->count;
        old->next = *out;
        *out = old;
    }
    return spans;
}

static sx_status take(void *ctx, span_batch *b, sx_error *err)
{
    span_exporter *e = ctx;
    export_entry *dropped = NULL;
    if (!b->count)
        return SX_OK;
    export_entry *n = entry_new(e, b);
    if (!n)
        return sx_fail_memory(err, "a batch of spans to be exported");
    pthread_mutex_lock(&e->lock);
    uint64_t lost = make_room(e, n, &dropped);
    bool kept = fits(e, n);
    bool wake = kept && !e->is_woken;
    if (kept) {
        hold(e, n);
        push_back(e, n);
        e->is_woken = true;
    }
    show_size(e);
    pthread_mutex_unlock(&e->lock);
    if (!kept) {
        lost += b->count;
        entry_free(n);
    }
    if (lost)
        export_tell_drop(e, lost, EXPORT_QUEUE_FULL,
                         SX_STR("the queue is full; the oldest go first"));
    while (dropped) {
        export_entry *old = dropped;
        dropped = old->next;
        entry_free(old);
    }
    sx_error unposted;
    if (wake && sx_loop_post(e->loop, on_wake, e, &unposted) != SX_OK) {
        pthread_mutex_lock(&e->lock);
        e->is_woken = false; /* the next batch tries again to wake the loop */
        pthread_mutex_unlock(&e->lock);
    }
    return SX_OK;
}

span_sink span_exporter_sink(span_exporter *e)
{
    return (span_sink){.take = take, .ctx = e, .keeps = true};
}

/* --- Requests: the loop's thread. */

void export_sent(export_request *r, uint64_t spans)
{
    spans = spans < r->spans ? spans : r->spans;
    r->spans -= spans;
    export_count(r->e->metrics.sent, spans);
}

void export_dropped(export_request *r, uint64_t spans, export_reason reason, sx_str why)
{
    spans = spans < r->spans ? spans : r->spans;
    r->spans -= spans;
    export_tell_drop(r->e, spans, reason, why);
}

static void slot_free(export_request *r)
{
    span_exporter *e = r->e;
    if (e->driver->forget)
        e->driver->forget(r);
    sx_timer_stop(sx_loop_timers(e->loop), &r->retry);
    pthread_mutex_lock(&e->lock);
    for (const export_entry *n = r->entries; n; n = n->next)
        unhold(e, n);
    show_size(e);
    pthread_mutex_unlock(&e->lock);
    while (r->entries) {
        export_entry *n = r->entries;
        r->entries = n->next;
        entry_free(n);
    }
    r->entry_count = 0;
    r->is_made = r->is_under_way = false;
    e->busy--;
}

/* Half of the spans of `b`, sharing them. NULL without memory. */
static span_batch *half_of(span_batch *b, size_t from, size_t to)
{
    sx_error err;
    span_batch *half = span_batch_new(0);
    if (!half)
        return NULL;
    sx_status status = span_batch_hold(half, b, &err);
    for (size_t i = from; i < to && status == SX_OK; i++)
        status = span_batch_put(half, b->spans[i], &err);
    if (status == SX_OK)
        return half;
    span_batch_unref(half);
    return NULL;
}

/* Puts the two halves of the request's only batch at the head of the queue. */
static bool put_halves(export_request *r)
{
    span_exporter *e = r->e;
    span_batch *b = r->entries->batch;
    export_entry *parts[2] = {NULL, NULL};
    size_t middle = b->count / 2;
    if (b->count < 2)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        span_batch *half = half_of(b, i ? middle : 0, i ? b->count : middle);
        parts[i] = half ? entry_new(e, half) : NULL;
        span_batch_unref(half);
    }
    if (!parts[0] || !parts[1]) {
        for (unsigned i = 0; i < 2; i++)
            if (parts[i])
                entry_free(parts[i]);
        return false;
    }
    pthread_mutex_lock(&e->lock);
    for (unsigned i = 2; i-- > 0;) {
        parts[i]->alone = true;
        hold(e, parts[i]);
        push_front(e, parts[i]);
    }
    pthread_mutex_unlock(&e->lock);
    return true;
}

/* Puts the request's batches back, each to go alone. The request's spans are nobody's then. */
static void put_singly(export_request *r)
{
    span_exporter *e = r->e;
    export_entry *reversed = NULL;
    pthread_mutex_lock(&e->lock);
    while (r->entries) {
        export_entry *n = r->entries;
        r->entries = n->next;
        n->next = reversed;
        reversed = n;
    }
    while (reversed) {
        export_entry *n = reversed;
        reversed = n->next;
        n->alone = true;
        push_front(e, n);
    }
    pthread_mutex_unlock(&e->lock);
}

/* The wait before the next try, as cenkalti/backoff's; negative: it is over. */
static int64_t next_wait_ms(export_request *r, int64_t asked_ms)
{
    span_exporter *e = r->e;
    const retry_settings *s = &e->settings.retry;
    int64_t now_ms = sx_clock_mono_ms(e->clock);
    if (!s->enabled)
        return -1;
    if (!r->interval_ms)
        r->interval_ms = (double)s->initial_ms;
    double spread = s->randomization * r->interval_ms;
    int64_t wait_ms =
        (int64_t)(r->interval_ms - spread + sx_random_double(&e->random) * 2 * spread);
    r->interval_ms *= s->multiplier < 1 ? 1 : s->multiplier;
    if (r->interval_ms > (double)s->max_interval_ms)
        r->interval_ms = (double)s->max_interval_ms;
    if (wait_ms < asked_ms)
        wait_ms = asked_ms;
    if (wait_ms < 1)
        wait_ms = 1;
    if (s->max_elapsed_ms && now_ms + wait_ms - r->began_ms > s->max_elapsed_ms)
        return -1;
    return e->is_draining && now_ms + wait_ms >= e->drain_by_ms ? -1 : wait_ms;
}

static void tell_failing(span_exporter *e, sx_str why, int64_t wait_ms)
{
    if (!e->is_failing && e->log)
        SX_LOG_WARN(e->log, NULL, "exporting failed, it will be tried again",
                    sx_field_str("exporter", e->settings.id.name), sx_field_str("why", why),
                    sx_field_i64("wait_ms", wait_ms));
    e->is_failing = true;
}

static void tell_well(span_exporter *e)
{
    if (e->is_failing && e->log)
        SX_LOG_INFO(e->log, NULL, "exporting works again",
                    sx_field_str("exporter", e->settings.id.name));
    e->is_failing = false;
}

static void give_up(export_request *r, export_reason reason, sx_str why)
{
    export_dropped(r, r->spans, reason, why);
    slot_free(r);
}

void export_over(export_request *r, const export_end *end)
{
    span_exporter *e = r->e;
    r->is_under_way = false;
    r->attempts++;
    int64_t wait_ms = 0;
    switch (end->kind) {
    case EXPORT_DONE:
        tell_well(e);
        export_sent(r, r->spans);
        slot_free(r);
        break;
    case EXPORT_AGAIN:
        wait_ms = next_wait_ms(r, end->after_ms);
        if (wait_ms < 0) {
            give_up(r, e->is_draining ? EXPORT_SHUTDOWN : EXPORT_TIRED, end->why);
            break;
        }
        tell_failing(e, end->why, wait_ms);
        sx_timer_start(sx_loop_timers(e->loop), &r->retry, wait_ms);
        return;
    case EXPORT_SPLIT:
    case EXPORT_TOO_LARGE:
        if (r->entry_count > 1)
            put_singly(r);
        else if (end->kind != EXPORT_TOO_LARGE || !put_halves(r))
            export_dropped(r, r->spans, EXPORT_PERMANENT, end->why);
        slot_free(r);
        break;
    case EXPORT_REFUSED:
        give_up(r, EXPORT_PERMANENT, end->why);
        break;
    }
    pump(e);
}

static void send(export_request *r)
{
    span_exporter *e = r->e;
    sx_error err;
    r->is_under_way = true;
    sx_status status = e->driver->send(r, &err);
    if (status != SX_OK) /* memory, connections in line, a certificate that cannot be read now */
        export_over(r, &(export_end){EXPORT_AGAIN, 0, sx_str_z(err.message)});
}

static void on_retry(sx_timer *timer, void *arg)
{
    (void)timer;
    send(arg);
}

/* Moves waiting batches to a free slot, up to join_bytes. With the lock. */
static void fill(span_exporter *e, export_request *r)
{
    size_t wire = 0;
    export_entry **at = &r->entries;
    do {
        export_entry *n = pop(e);
        *at = n;
        at = &n->next;
        wire += n->wire;
        r->entry_count++;
        r->spans += n->batch->count;
        if (n->alone)
            break;
    } while (e->first && !e->first->alone && wire + e->first->wire <= e->join_bytes);
}

/* Whether a request is due; else *wait_ms is how long it may take until one is. With the lock. */
static bool is_due(const span_exporter *e, int64_t *wait_ms)
{
    if (!e->first)
        return false;
    if (!e->linger_ms || e->is_draining || e->waiting_wire >= e->join_bytes || e->first->alone)
        return true;
    *wait_ms = e->first->since_ms + e->linger_ms - sx_clock_mono_ms(e->clock);
    return *wait_ms <= 0;
}

static void pump(span_exporter *e)
{
    if (e->is_pumping || e->is_over)
        return; /* a driver that is done at once: the loop below goes on */
    e->is_pumping = true;
    for (uint32_t i = 0; i < e->slot_count && e->busy < e->slot_count; i++) {
        export_request *r = &e->slots[i];
        int64_t wait_ms = 0;
        if (r->entries)
            continue;
        r->spans = 0;
        r->attempts = 0;
        r->interval_ms = 0;
        pthread_mutex_lock(&e->lock);
        bool due = is_due(e, &wait_ms);
        if (due)
            fill(e, r);
        pthread_mutex_unlock(&e->lock);
        if (!due) {
            if (wait_ms > 0)
                sx_timer_start(sx_loop_timers(e->loop), &e->linger, wait_ms);
            break;
        }
        e->busy++;
        r->began_ms = sx_clock_mono_ms(e->clock);
        send(r);
        i = r->entries ? i : i - 1; /* done already: the slot is used again */
    }
    e->is_pumping = false;
}

static void on_linger(sx_timer *timer, void *arg)
{
    (void)timer;
    pump(arg);
}

void export_batch_otlp(const span_batch *b, sx_buf *out)
{
    if (b->otlp.len)
        sx_buf_str(out, b->otlp);
    else
        span_write_otlp(b, out);
}

/* Messages of the same kind one after the other are one message with all their repeated fields. */
void export_join_otlp(const export_request *r, sx_buf *out)
{
    for (const export_entry *n = r->entries; n; n = n->next)
        export_batch_otlp(n->batch, out);
}

/* --- Life. */

static void *run(void *arg)
{
    span_exporter *e = arg;
    sx_telemetry_thread_join();
    sx_loop_run(e->loop);
    sx_telemetry_thread_leave();
    return NULL;
}

/* What the configuration leaves out, and what it may not say. */
static sx_status settle(span_exporter *e, sx_error *err)
{
    queue_settings *q = &e->settings.queue;
    retry_settings *r = &e->settings.retry;
    if (e->driver->is_local) { /* the Collector gives these neither queue nor retries to set */
        *q = (queue_settings){.enabled = true, .consumers = 1};
        *r = (retry_settings){true, 1000, 30000, 300000, 1.5, 0.5};
    }
    if (q->size < 0 || q->consumers < 0)
        return export_bad(e, err, "sending_queue: queue_size and num_consumers must be positive");
    if (q->sizer.len && !sx_str_eq(q->sizer, SX_STR("requests")) &&
        !sx_str_eq(q->sizer, SX_STR("items")) && !sx_str_eq(q->sizer, SX_STR("bytes")))
        return export_bad(e, err, "sending_queue: sizer is requests, items or bytes, not '%.*s'",
                          SX_ARG(q->sizer));
    if (r->randomization < 0 || r->randomization > 1 || r->initial_ms < 0 ||
        r->max_interval_ms < 0 || r->max_elapsed_ms < 0)
        return export_bad(e, err,
                          "retry_on_failure: times are not negative, randomization_factor is "
                          "between 0 and 1");
    q->consumers = q->consumers ? q->consumers : CONSUMERS_DEFAULT;
    q->consumers = q->consumers < EXPORT_SLOTS_MAX ? q->consumers : EXPORT_SLOTS_MAX;
    /* Without a queue there is room for what is under way, and for nothing to wait. */
    q->size = !q->enabled ? q->consumers : q->size ? q->size : QUEUE_SIZE_DEFAULT;
    if (!q->enabled)
        q->sizer = SX_STR("requests");
    q->bytes_max = q->bytes_max ? q->bytes_max : QUEUE_BYTES_DEFAULT;
    return SX_OK;
}

static sx_status slots_init(span_exporter *e, sx_error *err)
{
    size_t each = e->driver->slot_bytes ? e->driver->slot_bytes : 1;
    e->slot_count = (uint32_t)e->settings.queue.consumers;
    e->slots = sx_calloc(e->slot_count, sizeof(*e->slots));
    for (uint32_t i = 0; e->slots && i < e->slot_count; i++) {
        export_request *r = &e->slots[i];
        r->e = e;
        r->retry = (sx_timer){.fn = on_retry, .arg = r};
        r->state = sx_calloc(1, each);
        if (!r->state)
            return sx_fail_memory(err, "an exporter");
    }
    return e->slots ? SX_OK : sx_fail_memory(err, "an exporter");
}

/* The loop has ended, or never ran: all is this thread's. */
static void destroy(span_exporter *e)
{
    e->is_over = true; /* a wake that is still posted runs when the loop is freed */
    for (uint32_t i = 0; e->slots && i < e->slot_count; i++) {
        export_request *r = &e->slots[i];
        if (r->entries) {
            if (r->is_under_way && e->driver->cancel)
                e->driver->cancel(r);
            give_up(r, EXPORT_SHUTDOWN, SX_STR("the program ends"));
        }
        if (r->state && e->driver->slot_done)
            e->driver->slot_done(r);
        sx_free(r->state);
    }
    uint64_t lost = 0;
    while (e->first) {
        export_entry *n = pop(e);
        lost += n->batch->count;
        entry_free(n);
    }
    export_tell_drop(e, lost, EXPORT_SHUTDOWN, SX_STR("the program ends"));
    if (e->state && e->driver->done)
        e->driver->done(e);
    if (e->loop) {
        sx_timer_stop(sx_loop_timers(e->loop), &e->linger);
        sx_timer_stop(sx_loop_timers(e->loop), &e->drain);
        sx_loop_free(e->loop);
    }
    sx_free(e->state);
    sx_free(e->slots);
    sx_arena_done(&e->arena);
    pthread_mutex_destroy(&e->lock);
    sx_free(e);
}

sx_status export_make(const exporter_settings *settings, const span_exporter_host *host,
                      const export_driver *driver, bool threaded, span_exporter **out,
                      sx_error *err)
{
    span_exporter *e = sx_calloc(1, sizeof(*e));
    if (!e)
        return sx_fail_memory(err, "an exporter");
    e->settings = *settings;
    e->driver = driver ? driver : DRIVERS[settings->kind];
    if (host && host->kit)
        e->kit = *host->kit;
    e->is_reload = host && host->is_reload;
    e->clock = host && host->clock ? host->clock : sx_clock_system();
    e->log = e->kit.log ? sx_log_logger(e->kit.log, "exporter") : NULL;
    e->linger = (sx_timer){.fn = on_linger, .arg = e};
    sx_arena_init(&e->arena, 0, 0);
    sx_random_init(&e->random);
    pthread_mutex_init(&e->lock, NULL);
    e->state = sx_calloc(1, e->driver->state_bytes ? e->driver->state_bytes : 1);
    sx_status status = e->state ? settle(e, err) : sx_fail_memory(err, "an exporter");
    if (status == SX_OK)
        status = sx_loop_new(host ? host->clock : NULL, 0, &e->loop, err);
    if (status == SX_OK && e->driver->open)
        status = e->driver->open(e, err);
    if (status == SX_OK)
        status = slots_init(e, err);
    if (status == SX_OK)
        status = export_metrics_init(e, err);
    if (status == SX_OK && threaded) {
        int error = pthread_create(&e->thread, NULL, run, e);
        e->has_thread = error == 0;
        if (error)
            status =
                sx_fail_os(err, error, "the thread of exporter %.*s", SX_ARG(e->settings.id.name));
    }
    if (status != SX_OK) {
        destroy(e);
        return status;
    }
    *out = e;
    return SX_OK;
}

sx_status span_exporter_new(const exporter_settings *settings, const span_exporter_host *host,
                            span_exporter **out, sx_error *err)
{
    return export_make(settings, host, NULL, true, out, err);
}

static void on_drain(sx_timer *timer, void *arg)
{
    span_exporter *e = arg;
    pthread_mutex_lock(&e->lock);
    bool empty = !e->first;
    pthread_mutex_unlock(&e->lock);
    if ((empty && !e->busy) || sx_clock_mono_ms(e->clock) >= e->drain_by_ms)
        sx_loop_stop(e->loop);
    else
        sx_timer_start(sx_loop_timers(e->loop), timer, DRAIN_LOOK_MS);
}

static void drain_on_loop(sx_loop *loop, void *arg)
{
    span_exporter *e = arg;
    e->is_draining = true;
    e->drain_by_ms = sx_clock_mono_ms(e->clock) + e->drain_ms;
    e->drain = (sx_timer){.fn = on_drain, .arg = e};
    pump(e);
    sx_timer_start(sx_loop_timers(loop), &e->drain, 0);
}

void span_exporter_free(span_exporter *e, int64_t drain_ms)
{
    sx_error err;
    if (!e)
        return;
    e->drain_ms = drain_ms;
    if (e->has_thread) {
        if (sx_loop_post(e->loop, drain_on_loop, e, &err) != SX_OK)
            sx_loop_stop(e->loop);
        pthread_join(e->thread, NULL);
    }
    destroy(e);
}
