/* notify.c - the notifier: sets of Alertmanagers, their queues, and the loop that empties them.
 *
 * One Alertmanager has at most one batch under way. When it is done the next one goes; a sender that
 * finds the loop asleep posts it a word. */
#include "observe/rules/notify.h"

#include <stdio.h>

#include <sextant/mem.h>

#include "observe/rules/notify_internal.h"

enum { QUEUE_DEFAULT = 10000, BATCH_DEFAULT = 256, NAMES_MAX = 10000 };

/* --- Metrics. */

static sx_status add_metric(sx_metrics *registry, sx_metric_kind kind, const char *name,
                            const char *help, sx_metric **out, sx_error *err)
{
    static const char *const LABELS[] = {"alertmanager"};
    static const double BOUNDS[] = {.01, .1, 1, 10};
    bool histogram = kind == SX_METRIC_HISTOGRAM;
    const sx_metric_options o = {.kind = kind,
                                 .name = name,
                                 .help = help,
                                 .labels = LABELS,
                                 .label_count = 1,
                                 .bounds = histogram ? BOUNDS : NULL,
                                 .bound_count = histogram ? SX_COUNT_OF(BOUNDS) : 0,
                                 .native = histogram,
                                 .native_buckets_max = histogram ? 100 : 0,
                                 .series_max = NAMES_MAX};
    return sx_metric_new(registry, &o, out, err);
}

static sx_status add_gauge(sx_metrics *registry, const char *name, const char *help, sx_gauge **out,
                           sx_error *err)
{
    sx_metric *metric;
    const sx_metric_options o = {.kind = SX_METRIC_GAUGE, .name = name, .help = help};
    sx_status st = sx_metric_new(registry, &o, &metric, err);
    if (st == SX_OK)
        *out = sx_metric_gauge(metric, NULL, 0);
    return st;
}

static sx_status add_metrics(rule_notifier *n, sx_error *err)
{
    sx_metrics *registry = n->options.kit ? n->options.kit->metrics : NULL;
    notify_metrics *m = &n->metrics;
    sx_gauge *capacity = NULL;
    if (!registry)
        return SX_OK;
    sx_status st = add_metric(registry, SX_METRIC_COUNTER, "prometheus_notifications_sent_total",
                              "Total number of alerts sent.", &m->sent, err);
    if (st == SX_OK)
        st = add_metric(registry, SX_METRIC_COUNTER, "prometheus_notifications_errors_total",
                        "Total number of sent alerts affected by errors.", &m->errors, err);
    if (st == SX_OK)
        st = add_metric(registry, SX_METRIC_COUNTER, "prometheus_notifications_dropped_total",
                        "Total number of alerts dropped due to errors when sending to "
                        "Alertmanager.",
                        &m->dropped, err);
    if (st == SX_OK)
        st = add_metric(registry, SX_METRIC_GAUGE, "prometheus_notifications_queue_length",
                        "The number of alert notifications in the queue.", &m->length, err);
    if (st == SX_OK)
        st = add_metric(registry, SX_METRIC_HISTOGRAM,
                        "prometheus_notifications_latency_histogram_seconds",
                        "Latency histogram for sending alert notifications.", &m->seconds, err);
    if (st == SX_OK)
        st = add_metric(registry, SX_METRIC_SUMMARY, "prometheus_notifications_latency_seconds",
                        "Latency quantiles for sending alert notifications.", &m->latency, err);
    if (st == SX_OK)
        st = add_gauge(registry, "prometheus_notifications_alertmanagers_discovered",
                       "The number of alertmanagers discovered and active.", &m->discovered, err);
    if (st == SX_OK)
        st = add_gauge(registry, "prometheus_notifications_queue_capacity",
                       "The capacity of the alert notifications queue.", &capacity, err);
    if (st == SX_OK)
        sx_gauge_set(capacity, n->options.queue_max);
    return st;
}

/* --- Sending: the loop's thread. */

static void send_next(notify_receiver *r);

/* While stopping: once nobody has anything left, the loop may end. */
static void end_if_empty(rule_notifier *n)
{
    bool empty = true;
    pthread_mutex_lock(&n->lock);
    for (uint32_t i = 0; i < n->set_count && n->stopping; i++) {
        for (const notify_receiver *r = n->sets[i].receivers; r; r = r->next)
            empty = empty && !r->call && r->queue.count == 0;
    }
    bool end = n->stopping && empty;
    pthread_mutex_unlock(&n->lock);
    if (end)
        sx_loop_stop(n->loop);
}

static void failed(notify_receiver *r, const char *why)
{
    rule_notifier *n = r->set->n;
    if (n->log)
        SX_LOG_ERROR(n->log, NULL, "Error sending alerts", sx_field_str("alertmanager", r->url),
                     sx_field_u64("count", r->flying.count), sx_field_z("error", why));
    notify_count(r->errors, r->flying.count);
    pthread_mutex_lock(&n->lock);
    notify_drop_queue(r, &r->flying);
    if (n->stopping) /* one that is down would keep us for a timeout a batch */
        notify_drop_queue(r, &r->queue);
    pthread_mutex_unlock(&n->lock);
}

static void batch_done(void *ctx, const prom_http_answer *answer)
{
    notify_receiver *r = ctx;
    rule_notifier *n = r->set->n;
    r->call = NULL;
    if (answer->result == SX_ECANCELED)
        return; /* by those who free the receiver: they see to the batch */
    if (answer->result != SX_OK) {
        failed(r, answer->error->message);
    } else if (answer->status / 100 != 2) {
        char why[64];
        snprintf(why, sizeof why, "bad response status %d", answer->status);
        failed(r, why);
    } else {
        if (r->seconds) {
            sx_histogram_observe(r->seconds, (double)answer->elapsed_ns / 1e9);
            sx_summary_observe(r->latency, (double)answer->elapsed_ns / 1e9);
        }
        notify_count(r->sent, r->flying.count);
        pthread_mutex_lock(&n->lock);
        notify_queue_done(&r->flying);
        pthread_mutex_unlock(&n->lock);
    }
    send_next(r);
    end_if_empty(n);
}

/* Takes a batch off the queue and writes it down. */
static void take_batch(notify_receiver *r, sx_buf *body)
{
    rule_notifier *n = r->set->n;
    sx_error err;
    uint64_t dropped = 0;
    pthread_mutex_lock(&n->lock);
    while (r->flying.count < n->options.batch_max && r->queue.count) {
        notify_alert *a = notify_queue_pop(&r->queue);
        sx_buf_byte(body, r->flying.count ? ',' : '[');
        sx_buf_bytes(body, a->json, a->len);
        if (notify_queue_add(&r->flying, a, SIZE_MAX, &dropped, &err) != SX_OK)
            notify_count(r->dropped, 1); /* it is sent, and not counted as sent */
        notify_alert_unref(a);
    }
    notify_show_length(r);
    pthread_mutex_unlock(&n->lock);
    sx_buf_byte(body, ']');
}

static void send_next(notify_receiver *r)
{
    static const tsdb_label JSON[] = {
        {SX_STR_INIT("Content-Type"), SX_STR_INIT("application/json")}};
    sx_buf body;
    sx_error err;
    if (r->call)
        return;
    sx_buf_init(&body, 0);
    take_batch(r, &body);
    if (r->flying.count) {
        prom_http_request request = {.method = SX_STR("POST"),
                                     .url = r->url,
                                     .headers = JSON,
                                     .header_count = 1,
                                     .body = sx_buf_view(&body),
                                     .timeout_ms = r->set->config->timeout_ms};
        sx_status st = sx_buf_status(&body, "a batch of alerts", &err);
        if (st == SX_OK)
            st = prom_http_send(r->set->http, &request, batch_done, r, &r->call, &err);
        if (st != SX_OK) {
            r->call = NULL;
            failed(r, err.message);
        }
    }
    sx_buf_done(&body);
}

/* A word from a sender: something was queued. */
void notify_wake(sx_loop *loop, void *arg)
{
    rule_notifier *n = arg;
    (void)loop;
    pthread_mutex_lock(&n->lock);
    n->posted = false;
    pthread_mutex_unlock(&n->lock);
    for (uint32_t i = 0; i < n->set_count; i++) { /* only this thread changes the lists */
        for (notify_receiver *r = n->sets[i].receivers; r; r = r->next)
            send_next(r);
    }
    end_if_empty(n);
}

/* Under the lock. */
static void post_wake(rule_notifier *n)
{
    sx_error err;
    if (!n->posted)
        n->posted = sx_loop_post(n->loop, notify_wake, n, &err) == SX_OK;
}

/* --- Taking alerts: any thread. */

/* Under the lock. */
static sx_status queue_for_set(notify_set *s, notify_alert *const *alerts, size_t n, sx_error *err)
{
    for (notify_receiver *r = s->receivers; r; r = r->next) {
        uint64_t dropped = 0;
        for (size_t i = 0; i < n; i++) {
            sx_status st =
                notify_queue_add(&r->queue, alerts[i], s->n->options.queue_max, &dropped, err);
            if (st != SX_OK)
                return st;
        }
        notify_count(r->dropped, dropped);
        notify_show_length(r);
        if (dropped && s->n->log)
            SX_LOG_WARN(s->n->log, NULL, "Alert notification queue full, dropping alerts",
                        sx_field_str("alertmanager", r->url), sx_field_u64("count", dropped));
    }
    return SX_OK;
}

static sx_status encode_all(const rule_alert *alerts, size_t n, sx_arena *arena,
                            notify_alert ***out, sx_error *err)
{
    *out = sx_arena_calloc(arena, n + 1, sizeof(notify_alert *));
    if (!*out)
        return sx_fail_memory(err, "alerts to be sent");
    for (size_t i = 0; i < n; i++) {
        sx_status st = notify_encode(&alerts[i], &(*out)[i], err);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}

static void unref_all(notify_alert **alerts, size_t n)
{
    for (size_t i = 0; alerts && i < n; i++)
        notify_alert_unref(alerts[i]);
}

/* A set with rules of its own gets alerts of its own. */
static sx_status send_relabelled(notify_set *s, const rule_alert *alerts, size_t n, sx_arena *arena,
                                 sx_error *err)
{
    rule_alert *own;
    size_t own_count;
    notify_alert **encoded = NULL;
    sx_status st = notify_relabel(alerts, n, (tsdb_labels){0}, s->config->alert_relabel,
                                  s->config->alert_relabel_count, arena, &own, &own_count, err);
    if (st == SX_OK)
        st = encode_all(own, own_count, arena, &encoded, err);
    if (st == SX_OK)
        st = queue_for_set(s, encoded, own_count, err);
    unref_all(encoded, own_count);
    return st;
}

/* Under the lock: the configuration is read. */
static sx_status take_alerts(rule_notifier *n, const rule_alert *alerts, size_t alert_count,
                             sx_arena *arena, sx_error *err)
{
    rule_alert *kept;
    size_t kept_count;
    notify_alert **encoded = NULL;
    sx_status st =
        notify_relabel(alerts, alert_count, n->config->external_labels, n->config->alert_relabel,
                       n->config->alert_relabel_count, arena, &kept, &kept_count, err);
    if (st == SX_OK)
        st = encode_all(kept, kept_count, arena, &encoded, err);
    for (uint32_t i = 0; st == SX_OK && i < n->set_count; i++) {
        notify_set *s = &n->sets[i];
        st = s->config->alert_relabel_count ? send_relabelled(s, kept, kept_count, arena, err)
                                            : queue_for_set(s, encoded, kept_count, err);
    }
    if (encoded)
        unref_all(encoded, kept_count);
    return st;
}

static void sink_send(void *ctx, const rule_alert *alerts, size_t alert_count)
{
    rule_notifier *n = ctx;
    sx_arena arena;
    sx_error err;
    sx_arena_init(&arena, 0, 0);
    pthread_mutex_lock(&n->lock);
    if (n->config && !n->stopping) {
        if (take_alerts(n, alerts, alert_count, &arena, &err) != SX_OK && n->log)
            SX_LOG_ERROR(n->log, NULL, "Alerts could not be queued", sx_field_error(&err));
        post_wake(n);
    }
    pthread_mutex_unlock(&n->lock);
    sx_arena_done(&arena);
}

rule_sink rule_notifier_sink(rule_notifier *n)
{
    return (rule_sink){sink_send, n};
}

/* --- Life. */

static void *run_loop(void *arg)
{
    rule_notifier *n = arg;
    sx_telemetry_thread_join();
    sx_loop_run(n->loop);
    sx_telemetry_thread_leave();
    return NULL;
}

sx_status rule_notifier_new(const rule_notifier_options *options, rule_notifier **out,
                            sx_error *err)
{
    rule_notifier *n = sx_calloc(1, sizeof *n);
    if (!n)
        return sx_fail_memory(err, "a notifier");
    n->options = *options;
    n->options.queue_max = options->queue_max ? options->queue_max : QUEUE_DEFAULT;
    n->options.batch_max = options->batch_max ? options->batch_max : BATCH_DEFAULT;
    if (options->kit && options->kit->log)
        n->log = sx_log_logger(options->kit->log, "notify");
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->applied, NULL);
    sx_status st = add_metrics(n, err);
    if (st == SX_OK)
        st = sx_loop_new(options->clock, 0, &n->loop, err);
    if (st == SX_OK) {
        int error = pthread_create(&n->thread, NULL, run_loop, n);
        n->running = error == 0;
        if (error)
            st = sx_fail_os(err, error, "the notifier's thread");
    }
    if (st != SX_OK) {
        rule_notifier_free(n);
        return st;
    }
    *out = n;
    return SX_OK;
}

static void stop_on_loop(sx_loop *loop, void *arg)
{
    rule_notifier *n = arg;
    if (n->options.no_drain_on_stop)
        sx_loop_stop(loop);
    else
        notify_wake(loop, n);
}

void rule_notifier_free(rule_notifier *n)
{
    sx_error err;
    if (!n)
        return;
    pthread_mutex_lock(&n->lock);
    n->stopping = true;
    pthread_mutex_unlock(&n->lock);
    if (n->running) {
        if (sx_loop_post(n->loop, stop_on_loop, n, &err) != SX_OK)
            sx_loop_stop(n->loop);
        pthread_join(n->thread, NULL);
    }
    notify_close_sets(n->sets, n->set_count);
    if (n->config)
        prom_config_unref(n->config);
    if (n->loop)
        sx_loop_free(n->loop);
    pthread_cond_destroy(&n->applied);
    pthread_mutex_destroy(&n->lock);
    sx_free(n);
}

/* --- For the API. */

static sx_status add_url(sx_str url, sx_arena *arena, sx_str **urls, size_t *n, size_t *cap,
                         sx_error *err)
{
    if (!sx_arena_grow(arena, urls, cap, *n + 1, sizeof(sx_str)))
        return sx_fail_memory(err, "a list of Alertmanagers");
    (*urls)[*n] = sx_arena_copy(arena, url);
    return (*urls)[(*n)++].data ? SX_OK : sx_fail_memory(err, "a list of Alertmanagers");
}

sx_status rule_notifier_read(rule_notifier *n, sx_arena *arena, sx_str **active,
                             size_t *active_count, sx_str **dropped, size_t *dropped_count,
                             sx_error *err)
{
    size_t active_cap = 0, dropped_cap = 0;
    sx_status st = SX_OK;
    *active = *dropped = NULL;
    *active_count = *dropped_count = 0;
    pthread_mutex_lock(&n->lock);
    for (uint32_t i = 0; i < n->set_count; i++) {
        const notify_set *s = &n->sets[i];
        for (const notify_receiver *r = s->receivers; st == SX_OK && r; r = r->next)
            st = add_url(r->url, arena, active, active_count, &active_cap, err);
        for (uint32_t k = 0; k < s->source_count; k++) {
            for (size_t d = 0; st == SX_OK && d < s->sources[k].dropped_count; d++)
                st = add_url(s->sources[k].dropped[d], arena, dropped, dropped_count, &dropped_cap,
                             err);
        }
    }
    pthread_mutex_unlock(&n->lock);
    return st;
}
