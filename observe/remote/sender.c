/* sender.c - the sender: its loop, and one queue an entry of remote_write.
 *
 * Queues live on the loop's thread; a configuration is handed over to it and waited for. An entry that
 * is what it was keeps its queue, and the queue keeps the configuration that its entry lies in. */
#include <stdio.h>
#include <string.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/remote/sender_internal.h"

enum { FLUSH_MS = 60 * 1000, STOP_LOOK_MS = 5 };

/* --- One queue: the loop's thread. */

static void queue_free(send_queue *q)
{
    if (q->tails[0].dir && q->tails[1].dir)
        send_read_save(q);
    sx_timer_stop(sx_loop_timers(q->s->loop), &q->reshard);
    send_shards_free(q);
    send_read_close(q);
    if (q->http)
        prom_http_free(q->http);
    tsdb_labels_builder_done(&q->builder);
    sx_arena_done(&q->scratch);
    sx_map_done(&q->families);
    sx_arena_done(&q->family_arena);
    prom_config_unref(q->config);
    sx_free(q);
}

/* Prometheus's label remote_name: the entry's name, or six digits made from what it is. */
static sx_status add_metrics(send_queue *q, sx_error *err)
{
    char made[24];
    const prom_remote_write *e = q->entry;
    snprintf(made, sizeof made, "%06llx", (unsigned long long)(q->id & 0xffffff));
    sx_status status = send_metrics_init(&q->metrics, q->s->kit.metrics,
                                         e->name.len ? e->name : sx_str_z(made), e->url, err);
    if (status != SX_OK)
        return status;
    send_show(&q->metrics, SEND_SHARD_CAPACITY, e->queue.capacity);
    send_show(&q->metrics, SEND_SHARDS_MAX, e->queue.max_shards);
    send_show(&q->metrics, SEND_SHARDS_MIN, e->queue.min_shards);
    send_show(&q->metrics, SEND_BATCH_MAX, e->queue.max_samples_per_send);
    return SX_OK;
}

/* Entries with the same URL and no name are told apart by their order. */
static uint64_t id_of(const prom_config *config, uint32_t number)
{
    const prom_remote_write *e = &config->remote_writes[number];
    sx_str key = e->name.len ? e->name : e->url;
    uint64_t same = 0;
    for (uint32_t i = 0; i < number; i++) {
        const prom_remote_write *o = &config->remote_writes[i];
        same += sx_str_eq(o->name.len ? o->name : o->url, key);
    }
    return sx_hash(key, same);
}

static sx_status queue_new(remote_sender *s, prom_config *config, uint32_t number, send_queue **out,
                           sx_error *err)
{
    send_queue *q = sx_calloc(1, sizeof *q);
    if (!q)
        return sx_fail_memory(err, "a queue of remote write");
    q->s = s;
    q->config = prom_config_ref(config);
    q->entry = &config->remote_writes[number];
    q->id = id_of(config, number);
    sx_map64_init(&q->series, NULL);
    sx_map_init(&q->families, NULL);
    sx_arena_init(&q->scratch, 0, 0);
    sx_arena_init(&q->family_arena, 0, 0);
    tsdb_labels_builder_init(&q->builder);
    q->reshard = (sx_timer){.fn = send_reshard, .arg = q};
    const prom_http_limits limits = {.connections_max = q->entry->queue.max_shards + 1,
                                     .spread_addresses = q->entry->round_robin_dns};
    sx_status status = prom_http_new(s->loop, &s->kit, &q->entry->http, &limits, &q->http, err);
    if (status == SX_OK)
        status = add_metrics(q, err);
    if (status == SX_OK)
        status = send_shards_make(q, q->entry->queue.min_shards, err);
    if (status != SX_OK) {
        queue_free(q);
        return status;
    }
    *out = q;
    return SX_OK;
}

/* It begins to read; not before the queue that it follows has written down where it was. */
static sx_status queue_start(send_queue *q, sx_error *err)
{
    sx_status status = send_read_open(q, err);
    if (status == SX_OK)
        send_reshard(&q->reshard, q);
    return status;
}

/* --- A configuration. */

typedef struct applying {
    remote_sender *s;
    prom_config *config;
    sx_error err;
    sx_status status;
    bool done;
} applying;

/* Takes the queue of an equal entry out of the list. */
static send_queue *take_unchanged(send_queue **list, const prom_config *config, uint32_t number)
{
    for (send_queue **at = list; *at; at = &(*at)->next) {
        send_queue *q = *at;
        if (q->id != id_of(config, number) ||
            !send_entries_equal(q->entry, &config->remote_writes[number]) ||
            !tsdb_labels_equal(q->config->external_labels, config->external_labels))
            continue;
        *at = q->next;
        return q;
    }
    return NULL;
}

static void free_list(send_queue *list)
{
    while (list) {
        send_queue *q = list;
        list = q->next;
        queue_free(q);
    }
}

/* What can fail for reasons in the configuration is done before anything that runs is touched. */
static sx_status apply(remote_sender *s, prom_config *config, sx_error *err)
{
    send_queue *fresh = NULL, *kept = NULL;
    sx_status status = SX_OK;
    for (uint32_t i = 0; i < config->remote_write_count && status == SX_OK; i++) {
        send_queue *q = take_unchanged(&s->queues, config, i);
        if (q) {
            q->next = kept;
            kept = q;
            continue;
        }
        status = queue_new(s, config, i, &q, err);
        if (status != SX_OK)
            break;
        q->next = fresh;
        fresh = q;
    }
    send_queue *old = s->queues;
    if (status != SX_OK) {
        free_list(fresh);
        for (send_queue **at = &s->queues;; at = &(*at)->next) {
            if (*at)
                continue;
            *at = kept;
            return status;
        }
    }
    free_list(old);
    s->queues = kept;
    while (fresh) {
        send_queue *q = fresh;
        fresh = q->next;
        q->next = s->queues;
        s->queues = q;
        sx_status started = queue_start(q, err);
        status = status == SX_OK ? started : status;
    }
    return status;
}

static void apply_on_loop(sx_loop *loop, void *arg)
{
    applying *a = arg;
    (void)loop;
    sx_status status = apply(a->s, a->config, &a->err);
    pthread_mutex_lock(&a->s->lock);
    a->status = status;
    a->done = true;
    pthread_cond_broadcast(&a->s->applied);
    pthread_mutex_unlock(&a->s->lock);
}

sx_status remote_sender_apply(remote_sender *s, prom_config *config, sx_error *err)
{
    applying a = {.s = s, .config = config};
    sx_status status = sx_loop_post(s->loop, apply_on_loop, &a, err);
    if (status != SX_OK)
        return status;
    pthread_mutex_lock(&s->lock);
    while (!a.done)
        pthread_cond_wait(&s->applied, &s->lock);
    pthread_mutex_unlock(&s->lock);
    if (a.status != SX_OK && err)
        *err = a.err;
    return a.status;
}

/* --- Life. */

static void *run_loop(void *arg)
{
    remote_sender *s = arg;
    sx_telemetry_thread_join();
    sx_loop_run(s->loop);
    sx_telemetry_thread_leave();
    return NULL;
}

sx_status remote_sender_new(const remote_sender_options *options, remote_sender **out,
                            sx_error *err)
{
    remote_sender *s = sx_calloc(1, sizeof *s);
    size_t len = strlen(options->dir);
    if (s)
        s->dir = sx_alloc(len + 1);
    if (!s || !s->dir) {
        sx_free(s);
        return sx_fail_memory(err, "a remote write sender");
    }
    memcpy(s->dir, options->dir, len + 1);
    if (options->kit)
        s->kit = *options->kit;
    s->flush_ms = options->flush_ms ? options->flush_ms : FLUSH_MS;
    s->clock = options->clock ? options->clock : sx_clock_system();
    s->log = s->kit.log ? sx_log_logger(s->kit.log, "remote") : NULL;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->applied, NULL);
    sx_status status = len + 64 < 4096 ? SX_OK : sx_fail(err, SX_ELIMIT, "path too long");
    if (status == SX_OK)
        status = sx_loop_new(options->clock, 0, &s->loop, err);
    if (status == SX_OK) {
        int error = pthread_create(&s->thread, NULL, run_loop, s);
        s->running = error == 0;
        if (error)
            status = sx_fail_os(err, error, "the remote write sender's thread");
    }
    if (status != SX_OK) {
        remote_sender_free(s);
        return status;
    }
    *out = s;
    return SX_OK;
}

/* Ends the loop once all that is in the logs has arrived, an end that takes nothing is not waited for,
 * or the time is up. */
static void on_stop(sx_timer *timer, void *arg)
{
    remote_sender *s = arg;
    bool done = true;
    for (send_queue *q = s->queues; q; q = q->next)
        done = send_shards_flush(q) && (q->at_end || q->full_told) && done;
    if (done || sx_clock_mono_ms(s->clock) >= s->stop_by_ms)
        sx_loop_stop(s->loop);
    else
        sx_timer_start(sx_loop_timers(s->loop), timer, STOP_LOOK_MS);
}

/* Reads the logs once more first, up to what was written before the end. */
static void stop_on_loop(sx_loop *loop, void *arg)
{
    remote_sender *s = arg;
    for (send_queue *q = s->queues; q; q = q->next) {
        q->at_end = false;
        if (sx_timer_running(&q->read))
            sx_timer_start(sx_loop_timers(loop), &q->read, 0);
    }
    s->stop = (sx_timer){.fn = on_stop, .arg = s};
    s->stop_by_ms = sx_clock_mono_ms(s->clock) + s->flush_ms;
    sx_timer_start(sx_loop_timers(loop), &s->stop, 0);
}

void remote_sender_free(remote_sender *s)
{
    sx_error err;
    if (!s)
        return;
    if (s->running) {
        if (sx_loop_post(s->loop, stop_on_loop, s, &err) != SX_OK)
            sx_loop_stop(s->loop);
        pthread_join(s->thread, NULL);
    }
    free_list(s->queues); /* the loop has ended: its things are ours */
    if (s->loop)
        sx_loop_free(s->loop);
    pthread_cond_destroy(&s->applied);
    pthread_mutex_destroy(&s->lock);
    sx_free(s->dir);
    sx_free(s);
}
