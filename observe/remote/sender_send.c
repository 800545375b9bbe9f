/* sender_send.c - shards: batches that are filled, sent one at a time each, and sent again.
 *
 * A series stays in its shard, so that its samples arrive in order. The number of shards follows
 * Prometheus's formula; it changes only between batches, when all shards are empty. */
#include <math.h>
#include <stdio.h>

#include <sextant/compress.h>
#include <sextant/http_client.h>
#include <sextant/mem.h>

#include "observe/remote/sender_internal.h"

enum {
    RESHARD_MS = 10000,
    RETRY_AFTER_S_MAX = 3600,
    TOLERANCE_PERCENT = 30,
    BEHIND_S_MAX = 10,
    FAILED_SERIES_MAX = 10
};

static sx_timers *timers(const send_queue *q)
{
    return sx_loop_timers(q->s->loop);
}

static void kick(send_shard *sh);

/* --- Batches. */

void send_batch_free(send_batch *b)
{
    if (!b)
        return;
    for (size_t i = 0; !b->is_metadata && i < b->count; i++)
        send_series_unref(b->items[i].series);
    sx_free(b->items);
    sx_arena_done(&b->arena);
    sx_buf_done(&b->metadata);
    sx_free(b);
}

static send_batch *batch_new(void)
{
    send_batch *b = sx_calloc(1, sizeof *b);
    if (!b)
        return NULL;
    sx_arena_init(&b->arena, 0, 0);
    sx_buf_init(&b->metadata, 0);
    return b;
}

static void push_ready(send_shard *sh, send_batch *b)
{
    b->next = NULL;
    if (sh->last)
        sh->last->next = b;
    else
        sh->first = b;
    sh->last = b;
}

static void push_front(send_shard *sh, send_batch *b)
{
    b->next = sh->first;
    sh->first = b;
    if (!sh->last)
        sh->last = b;
}

static void filled(send_shard *sh)
{
    sx_timer_stop(timers(sh->q), &sh->deadline);
    if (sh->filling)
        push_ready(sh, sh->filling);
    sh->filling = NULL;
    kick(sh);
}

static void on_deadline(sx_timer *timer, void *arg)
{
    (void)timer;
    filled(arg);
}

send_batch *send_shard_room(send_shard *sh)
{
    if (!sh->filling)
        sh->filling = batch_new();
    send_batch *b = sh->filling;
    return b && sx_grow(&b->items, &b->cap, b->count + 1, sizeof *b->items) ? b : NULL;
}

void send_shard_added(send_shard *sh)
{
    send_queue *q = sh->q;
    const send_item *item = &sh->filling->items[sh->filling->count++];
    sh->pending++;
    q->pending[item->kind]++;
    if (sh->filling->count >= q->entry->queue.max_samples_per_send)
        filled(sh);
    else if (sh->filling->count == 1)
        sx_timer_start(timers(q), &sh->deadline, q->entry->queue.batch_send_deadline_ms);
}

static void show_pending(const send_queue *q)
{
    send_show(&q->metrics, SEND_SAMPLES_PENDING, (double)q->pending[SEND_SAMPLE]);
    send_show(&q->metrics, SEND_EXEMPLARS_PENDING, (double)q->pending[SEND_EXEMPLAR]);
    send_show(&q->metrics, SEND_HISTOGRAMS_PENDING, (double)q->pending[SEND_HISTOGRAM]);
}

static void item_left(send_shard *sh, const send_item *item)
{
    sh->pending--;
    sh->q->pending[item->kind]--;
}

/* Samples that have grown too old while they waited. */
static void drop_old(send_shard *sh, send_batch *b)
{
    send_queue *q = sh->q;
    int64_t limit = q->entry->queue.sample_age_limit_ms;
    size_t kept = 0;
    if (limit <= 0 || b->is_metadata)
        return;
    int64_t oldest = sx_clock_ms(q->s->clock) - limit;
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].t >= oldest) {
            b->items[kept++] = b->items[i];
            continue;
        }
        send_count(q->metrics.dropped[b->items[i].kind][SEND_TOO_OLD], 1);
        q->dropped.events++;
        item_left(sh, &b->items[i]);
        send_series_unref(b->items[i].series);
    }
    b->count = kept;
}

/* --- Answers. */

static void count_batch(const send_batch *b, sx_counter *const counters[4])
{
    uint64_t n[4] = {0};
    if (b->is_metadata)
        n[SEND_METADATA] = b->count;
    for (size_t i = 0; !b->is_metadata && i < b->count; i++)
        n[b->items[i].kind]++;
    for (unsigned k = 0; k < 4; k++)
        send_count(counters[k], n[k]);
}

/* The batch has been seen to, in whatever way. */
static void batch_over(send_shard *sh)
{
    send_queue *q = sh->q;
    send_batch *b = sh->flying;
    sh->flying = NULL;
    sh->backoff_ms = 0;
    for (size_t i = 0; !b->is_metadata && i < b->count; i++)
        item_left(sh, &b->items[i]);
    send_batch_free(b);
    show_pending(q);
    if (q->full_told || q->wanted != q->shard_count)
        sx_timer_start(timers(q), &q->read, 0);
}

static void sent(send_shard *sh)
{
    send_queue *q = sh->q;
    const send_batch *b = sh->flying;
    count_batch(b, q->metrics.total);
    q->last_sent_ms = sx_clock_mono_ms(q->s->clock);
    for (size_t i = 0; !b->is_metadata && i < b->count; i++)
        if (b->items[i].t > q->highest_sent)
            q->highest_sent = b->items[i].t;
    send_show(&q->metrics, SEND_QUEUE_HIGHEST_SENT, (double)q->highest_sent / 1000);
    q->out.events += b->is_metadata ? 0 : b->count;
    batch_over(sh);
}

/* Prometheus's receiver of 1.0 takes nothing of a request in which one sample is older than what it
 * has. After a restart a batch may hold some that had arrived and some that had not: the first half
 * and the second are tried by themselves. */
static bool split(send_shard *sh)
{
    send_batch *b = sh->flying;
    size_t half = b->count / 2;
    if (!b->resent || b->is_metadata || half == 0)
        return false;
    send_batch *rest = batch_new();
    if (!rest || !sx_grow(&rest->items, &rest->cap, b->count - half, sizeof *rest->items)) {
        send_batch_free(rest);
        return false;
    }
    for (size_t i = half; i < b->count; i++) {
        send_item *to = &rest->items[i - half];
        *to = b->items[i];
        sx_error err;
        tsdb_histogram *h = to->h ? sx_arena_alloc(&rest->arena, sizeof *h) : NULL;
        if ((to->h && (!h || tsdb_histogram_copy(to->h, &rest->arena, h, &err) != SX_OK)) ||
            tsdb_labels_copy(to->exemplar, &rest->arena, &to->exemplar, &err) != SX_OK) {
            rest->count = 0; /* its references are still the other's */
            send_batch_free(rest);
            return false;
        }
        to->h = h;
    }
    rest->count = b->count - half;
    rest->from = b->from;
    rest->resent = true;
    b->count = half;
    b->attempts = 0;
    sh->flying = NULL;
    push_front(sh, rest);
    push_front(sh, b);
    return true;
}

/* For failed_request_logging: a line for each of the first series of a 2.0 message that failed. */
static void log_failed(const send_shard *sh)
{
    const send_queue *q = sh->q;
    const send_batch *b = sh->flying;
    const send_series *before = NULL;
    unsigned told = 0;
    if (!q->entry->log_failed || !q->entry->v2 || !q->s->log || b->is_metadata)
        return;
    for (size_t i = 0; i < b->count && told < FAILED_SERIES_MAX; i++) {
        const send_item *item = &b->items[i];
        sx_buf text;
        sx_error err;
        if (item->series == before)
            continue;
        before = item->series;
        told++;
        sx_buf_init(&text, 0);
        if (tsdb_labels_print(item->series->labels, &text, &err) != SX_OK)
            sx_buf_clear(&text);
        SX_LOG_DEBUG(q->s->log, NULL, "a remote write that failed holds",
                     sx_field_str("url", q->entry->url), sx_field_str("series", sx_buf_view(&text)),
                     sx_field_i64("time_ms", item->t), sx_field_double("value", item->v));
        sx_buf_done(&text);
    }
}

static void refused(send_shard *sh, const char *why)
{
    send_queue *q = sh->q;
    if (split(sh))
        return;
    if (q->s->log)
        SX_LOG_ERROR(q->s->log, NULL, "non-recoverable error", sx_field_str("url", q->entry->url),
                     sx_field_u64("count", sh->flying->count), sx_field_z("error", why));
    log_failed(sh);
    count_batch(sh->flying, q->metrics.failed);
    batch_over(sh);
}

static void try_again(send_shard *sh, const char *why, int64_t wait_ms)
{
    send_queue *q = sh->q;
    sh->backoff_ms = sh->backoff_ms == 0 ? q->entry->queue.min_backoff_ms : sh->backoff_ms * 2;
    if (sh->backoff_ms > q->entry->queue.max_backoff_ms)
        sh->backoff_ms = q->entry->queue.max_backoff_ms;
    if (sh->backoff_ms < 1)
        sh->backoff_ms = 1;
    if (q->s->log && sh->flying->attempts == 1)
        SX_LOG_WARN(q->s->log, NULL, "Failed to send batch, retrying",
                    sx_field_str("url", q->entry->url), sx_field_z("error", why));
    log_failed(sh);
    count_batch(sh->flying, q->metrics.retried);
    sx_timer_start(timers(q), &sh->retry, wait_ms > 0 ? wait_ms : sh->backoff_ms);
}

static int64_t retry_after_ms(const prom_http_answer *answer)
{
    uint64_t seconds;
    sx_str value = sx_response_header(answer->response, SX_STR("Retry-After"));
    if (!sx_str_to_u64(value, &seconds))
        return 0;
    return (int64_t)(seconds < RETRY_AFTER_S_MAX ? seconds : RETRY_AFTER_S_MAX) * 1000;
}

/* A receiver of 1.0 answers 2.0 with 2xx and has read nothing of it: it does not say what it wrote. */
static bool not_written(const send_shard *sh, const prom_http_answer *answer)
{
    return sh->q->entry->v2 && !sh->flying->is_metadata &&
           !sx_response_header(answer->response,
                               SX_STR("X-Prometheus-Remote-Write-Samples-Written"))
                .len;
}

static void on_answer(void *ctx, const prom_http_answer *answer)
{
    send_shard *sh = ctx;
    send_queue *q = sh->q;
    char why[256];
    sh->call = NULL;
    if (answer->result == SX_ECANCELED)
        return; /* by those who free the shard: they see to the batch */
    int64_t took_ns = sx_clock_mono_ns(q->s->clock) - sh->began_ns;
    if (q->metrics.seconds)
        sx_histogram_observe(q->metrics.seconds, (double)took_ns / 1e9);
    q->out_seconds.events += sh->flying->is_metadata ? 0 : (uint64_t)took_ns;
    if (answer->result != SX_OK) {
        try_again(sh, answer->error->message, 0);
        return;
    }
    snprintf(why, sizeof why, "server returned HTTP status %d: %.*s", answer->status,
             (int)(answer->body.len < 200 ? answer->body.len : 200), answer->body.data);
    if (answer->status / 100 == 2 && not_written(sh, answer))
        refused(sh, "the receiver did not say what it wrote of a 2.0 message; does it know 2.0?");
    else if (answer->status / 100 == 2)
        sent(sh);
    else if (answer->status / 100 == 5 || (answer->status == 429 && q->entry->queue.retry_on_429)) {
        try_again(sh, why, retry_after_ms(answer));
        return;
    } else
        refused(sh, why);
    kick(sh);
}

/* --- Sending. */

static sx_status start_call(send_shard *sh, sx_str body, sx_error *err)
{
    const prom_remote_write *e = sh->q->entry;
    bool v2 = e->v2 && !sh->flying->is_metadata;
    char attempt[24];
    tsdb_label headers[64] = {
        {SX_STR("Content-Encoding"), SX_STR("snappy")},
        {SX_STR("Content-Type"),
         v2 ? SX_STR("application/x-protobuf;proto=io.prometheus.write.v2.Request")
            : SX_STR("application/x-protobuf")},
        {SX_STR("X-Prometheus-Remote-Write-Version"), v2 ? SX_STR("2.0.0") : SX_STR("0.1.0")}};
    size_t n = 3;
    for (uint32_t i = 0; i < e->header_count; i++) {
        if (n + 1 == SX_COUNT_OF(headers))
            return sx_fail(err, SX_ELIMIT, "remote_write: at most 60 headers are sent");
        headers[n++] = e->headers[i];
    }
    if (sh->flying->attempts) {
        snprintf(attempt, sizeof attempt, "%u", sh->flying->attempts);
        headers[n++] = (tsdb_label){SX_STR("Retry-Attempt"), sx_str_z(attempt)};
    }
    const prom_http_request request = {.method = SX_STR("POST"),
                                       .url = e->url,
                                       .headers = headers,
                                       .header_count = n,
                                       .body = body,
                                       .timeout_ms = e->timeout_ms};
    sh->began_ns = sx_clock_mono_ns(sh->q->s->clock);
    return prom_http_send(sh->q->http, &request, on_answer, sh, &sh->call, err);
}

static sx_status send_flying(send_shard *sh, sx_error *err)
{
    send_queue *q = sh->q;
    const send_batch *b = sh->flying;
    sx_buf plain, packed;
    sx_buf_init(&plain, 0);
    sx_buf_init(&packed, 0);
    sx_status status = SX_OK;
    if (!b->is_metadata)
        status = q->entry->v2 ? send_encode_v2(b, &plain, err) : send_encode_v1(b, &plain, err);
    sx_str body = b->is_metadata ? sx_buf_view(&b->metadata) : sx_buf_view(&plain);
    if (status == SX_OK)
        status = sx_compress(SX_CODEC_SNAPPY, body, SX_LEVEL_DEFAULT, &packed, err);
    if (status == SX_OK)
        status = start_call(sh, sx_buf_view(&packed), err);
    if (status == SX_OK)
        send_count(b->is_metadata ? q->metrics.metadata_bytes : q->metrics.bytes, packed.len);
    sx_buf_done(&plain);
    sx_buf_done(&packed);
    return status;
}

/* Sends what is ready if nothing is under way. */
static void kick(send_shard *sh)
{
    sx_error err;
    while (!sh->call && !sx_timer_running(&sh->retry) && (sh->flying || sh->first)) {
        if (!sh->flying) {
            sh->flying = sh->first;
            sh->first = sh->first->next;
            if (!sh->first)
                sh->last = NULL;
        }
        drop_old(sh, sh->flying);
        if (sh->flying->count == 0) {
            batch_over(sh);
            continue;
        }
        sx_status status = send_flying(sh, &err);
        sh->flying->attempts++;
        if (status != SX_OK) { /* no memory, a file with credentials that is not there */
            sh->call = NULL;
            try_again(sh, err.message, 0);
        }
    }
}

static void on_retry(sx_timer *timer, void *arg)
{
    (void)timer;
    kick(arg);
}

sx_status send_metadata(send_queue *q, sx_buf *body, size_t count, sx_error *err)
{
    send_batch *b = batch_new();
    if (!b)
        return sx_fail_memory(err, "metadata to be sent");
    b->is_metadata = true;
    b->count = count;
    sx_buf_str(&b->metadata, sx_buf_view(body));
    sx_status status = sx_buf_status(&b->metadata, "metadata to be sent", err);
    if (status != SX_OK) {
        send_batch_free(b);
        return status;
    }
    push_ready(&q->meta, b);
    kick(&q->meta);
    return SX_OK;
}

/* --- Shards. */

static void shard_init(send_queue *q, send_shard *sh)
{
    *sh = (send_shard){.q = q};
    sh->deadline = (sx_timer){.fn = on_deadline, .arg = sh};
    sh->retry = (sx_timer){.fn = on_retry, .arg = sh};
}

static void shard_done(send_shard *sh)
{
    if (sh->call)
        prom_http_cancel(sh->call);
    sx_timer_stop(timers(sh->q), &sh->deadline);
    sx_timer_stop(timers(sh->q), &sh->retry);
    send_batch_free(sh->flying);
    send_batch_free(sh->filling);
    while (sh->first) {
        send_batch *b = sh->first;
        sh->first = b->next;
        send_batch_free(b);
    }
}

static void shards_done(send_queue *q)
{
    for (uint32_t i = 0; i < q->shard_count; i++)
        shard_done(&q->shards[i]);
    sx_free(q->shards);
    q->shards = NULL;
    q->shard_count = 0;
}

void send_shards_free(send_queue *q)
{
    shards_done(q);
    if (q->meta.q)
        shard_done(&q->meta);
}

bool send_shards_flush(send_queue *q)
{
    bool done = true;
    for (uint32_t i = 0; i < q->shard_count; i++) {
        send_shard *sh = &q->shards[i];
        filled(sh);
        done = done && (sh->pending == 0 || sx_timer_running(&sh->retry));
    }
    return done;
}

sx_status send_shards_make(send_queue *q, uint32_t count, sx_error *err)
{
    send_shard *shards = sx_calloc(count, sizeof *shards);
    if (!shards)
        return sx_fail_memory(err, "shards of remote write");
    shards_done(q); /* they are empty */
    q->shards = shards;
    q->shard_count = q->wanted = count;
    for (uint32_t i = 0; i < count; i++)
        shard_init(q, &shards[i]);
    if (!q->meta.q)
        shard_init(q, &q->meta);
    send_show(&q->metrics, SEND_SHARDS, count);
    return SX_OK;
}

void send_shards_full(const send_queue *q, bool *full, bool *empty)
{
    *full = false;
    *empty = true;
    for (uint32_t i = 0; i < q->shard_count; i++) {
        *full = *full || q->shards[i].pending >= q->entry->queue.capacity;
        *empty = *empty && q->shards[i].pending == 0;
    }
}

/* --- Their number. */

/* Moving averages of events a second, a fifth of the weight on the last ten seconds. */
static void tick(send_rate *r)
{
    double now = (double)r->events / (RESHARD_MS / 1000.0);
    r->rate = r->begun ? r->rate + 0.2 * (now - r->rate) : now;
    r->begun = true;
    r->events = 0;
}

/* Source: Prometheus, "Remote write tuning"; its queue manager's rates. */
static uint32_t desired_shards(send_queue *q)
{
    tick(&q->in);
    tick(&q->out);
    tick(&q->dropped);
    tick(&q->out_seconds);
    if (q->out.rate <= 0)
        return q->shard_count;
    bool waits = !q->at_end || q->pending[SEND_SAMPLE] || q->pending[SEND_HISTOGRAM];
    double delay_s =
        waits && q->highest_sent ? (double)(sx_clock_ms(q->s->clock) - q->highest_sent) / 1000 : 0;
    double kept = q->out.rate / (q->dropped.rate + q->out.rate);
    double arriving = q->in.rate * kept;
    double backlog = delay_s > 0 ? delay_s * arriving : 0;
    double sample_s = q->out_seconds.rate / 1e9 / q->out.rate;
    double desired = sample_s * (arriving + 0.05 * backlog);
    send_show(&q->metrics, SEND_SHARDS_DESIRED, desired);
    desired = ceil(desired);
    if (fabs(desired - q->shard_count) <= q->shard_count * (TOLERANCE_PERCENT / 100.0) ||
        (desired < q->shard_count && delay_s > BEHIND_S_MAX))
        return q->shard_count;
    if (desired > q->entry->queue.max_shards)
        return q->entry->queue.max_shards;
    return desired < q->entry->queue.min_shards ? q->entry->queue.min_shards : (uint32_t)desired;
}

void send_reshard(sx_timer *timer, void *queue)
{
    send_queue *q = queue;
    uint32_t wanted = desired_shards(q);
    bool flows = q->last_sent_ms &&
                 sx_clock_mono_ms(q->s->clock) - q->last_sent_ms < 2 * (int64_t)RESHARD_MS;
    if (wanted != q->shard_count && q->wanted == q->shard_count && flows) {
        q->wanted = wanted;
        for (uint32_t i = 0; i < q->shard_count; i++)
            filled(&q->shards[i]);
        sx_timer_start(timers(q), &q->read, 0);
    }
    sx_timer_start(timers(q), timer, RESHARD_MS);
}
