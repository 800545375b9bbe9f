/* scrape_target.c - one target's life on its loop: the timer, the request, the append, the report.
 *
 *   RUNNING --end--> ENDING --two intervals and a bit--> ENDED, freed
 *
 * A scrape begins when the wall clock passes offset + n * interval, the offset being the hash of
 * labels and URL: targets are spread evenly, and keep their moment over a restart. Its samples get
 * that moment as their time if it is missed by 2 ms at most, so that intervals are even and pack well.
 * A target that ends waits for two intervals before it writes its staleness markers, since it may only
 * be made anew; markers that would come after a newer sample are refused by the store. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <sextant/http.h>
#include <sextant/mem.h>

#include "observe/promql/parse.h"
#include "observe/scrape/scrape_internal.h"

enum {
    TARGET_CHUNK_BYTES = 1024,
    CONNECTIONS_MAX = 4096, /* an origin: a prober answers for thousands of targets */
};

/* --- Making and freeing. */

static void on_timer(sx_timer *timer, void *arg);

static sx_status set_texts(scrape_target *t, const target_made *made, sx_error *err)
{
    tsdb_label *shown = sx_arena_calloc(&t->arena, made->labels.count + 1, sizeof *shown);
    sx_str socket = tsdb_labels_get(made->labels, SX_STR("__unix_socket__"));
    sx_status st = shown ? tsdb_labels_copy(made->labels, &t->arena, &t->labels, err)
                         : sx_fail_memory(err, "a target");
    if (st != SX_OK)
        return st;
    t->shown = target_public_labels(t->labels, shown);
    t->url = sx_arena_copy(&t->arena, made->url);
    t->ask_url = t->url;
    if (socket.len) {
        sx_str rest = sx_str_from(t->url, sx_str_find(t->url, SX_STR("://")) + 3);
        t->ask_url = sx_arena_printf(&t->arena, "unix:%.*s:%.*s", SX_ARG(socket),
                                     SX_ARG(sx_str_from(rest, sx_str_find_byte(rest, '/'))));
    }
    if (!t->url.data || !t->ask_url.data)
        return sx_fail_memory(err, "a target");
    snprintf(t->timeout_text, sizeof t->timeout_text, "%g", (double)made->timeout_ms / 1000);
    promql_print_duration(made->interval_ms, t->interval_text);
    return scrape_target_set_discovered(t, made->discovered, err);
}

sx_status scrape_target_new(prom_scraper *s, scrape_job *job, const target_made *made,
                            scrape_target **out, sx_error *err)
{
    scrape_target *t = sx_calloc(1, sizeof *t);
    if (!t)
        return sx_fail_memory(err, "a target");
    sx_list_init(&t->link);
    t->manager = s;
    t->job = scrape_job_ref(job);
    t->hash = made->hash;
    t->loop = &s->loops[made->hash % s->loop_count];
    t->interval_ms = made->interval_ms;
    t->timeout_ms = made->timeout_ms;
    t->native_histograms = made->native_histograms;
    t->classic_always = made->classic_always;
    t->classic_to_nhcb = made->classic_to_nhcb;
    t->timer = (sx_timer){.fn = on_timer, .arg = t};
    sx_arena_init(&t->arena, TARGET_CHUNK_BYTES, 0);
    sx_arena_init(&t->discovered_arena, TARGET_CHUNK_BYTES, 0);
    scrape_cache_init(&t->cache);
    sx_map64_init(&t->starts, NULL);
    sx_map_init(&t->meta_by_name, NULL);
    sx_buf_init(&t->last_error, 0);
    pthread_mutex_init(&t->lock, NULL);
    sx_status st = set_texts(t, made, err);
    if (st != SX_OK) {
        scrape_target_free(t);
        return st;
    }
    *out = t;
    return SX_OK;
}

sx_status scrape_target_set_discovered(scrape_target *t, tsdb_labels discovered, sx_error *err)
{
    sx_arena arena;
    tsdb_labels copy;
    if (tsdb_labels_equal(discovered, t->discovered)) /* only this thread writes them */
        return SX_OK;
    sx_arena_init(&arena, TARGET_CHUNK_BYTES, 0);
    sx_status st = tsdb_labels_copy(discovered, &arena, &copy, err);
    if (st != SX_OK) {
        sx_arena_done(&arena);
        return st;
    }
    pthread_mutex_lock(&t->lock);
    sx_arena_done(&t->discovered_arena);
    t->discovered_arena = arena;
    t->discovered = copy;
    pthread_mutex_unlock(&t->lock);
    return SX_OK;
}

void scrape_client_unref(scrape_client *c)
{
    if (!c || --c->targets)
        return;
    sx_list_remove(&c->link);
    prom_http_free(c->http);
    scrape_job_unref(c->job);
    sx_free(c);
}

void scrape_target_free(scrape_target *t)
{
    sx_timer_stop(sx_loop_timers(t->loop->loop), &t->timer); /* it may wait still at the end */
    if (t->call)
        prom_http_cancel(t->call);
    scrape_client_unref(t->client);
    sx_list_remove(&t->link);
    scrape_meta_done(t);
    sx_map64_done(&t->starts);
    scrape_cache_done(&t->cache);
    sx_buf_done(&t->last_error);
    sx_arena_done(&t->discovered_arena);
    sx_arena_done(&t->arena);
    pthread_mutex_destroy(&t->lock);
    scrape_job_unref(t->job);
    sx_free(t);
}

/* The job's client on this loop; the first target of the job makes it. */
static sx_status take_client(scrape_target *t, sx_error *err)
{
    scrape_loop *loop = t->loop;
    sx_list *it;
    SX_LIST_EACH(it, &loop->clients)
    {
        scrape_client *c = (scrape_client *)(void *)((char *)it - offsetof(scrape_client, link));
        if (c->job == t->job) {
            c->targets++;
            t->client = c;
            return SX_OK;
        }
    }
    uint64_t most = t->job->c->limits.body_bytes;
    most = most && most < UINT32_MAX / 2 ? most : SCRAPE_BODY_MAX;
    prom_http_limits limits = {
        .body_bytes_max = most, .decoded_bytes_max = most, .connections_max = CONNECTIONS_MAX};
    scrape_client *c = sx_calloc(1, sizeof *c);
    if (!c)
        return sx_fail_memory(err, "an HTTP client");
    sx_status st = prom_http_new(loop->loop, t->manager->options.kit, &t->job->c->http, &limits,
                                 &c->http, err);
    if (st != SX_OK) {
        sx_free(c);
        return st;
    }
    c->job = scrape_job_ref(t->job);
    c->targets = 1;
    sx_list_push_front(&loop->clients, &c->link);
    t->client = c;
    return SX_OK;
}

/* --- When. */

static int64_t floor_mod(int64_t a, int64_t b)
{
    int64_t m = a % b;
    return m < 0 ? m + b : m;
}

/* Starts the timer for the first moment of the target's after `now_ms`. Wall time leads; a clock that
 * was set is followed at the next scrape. */
static void wait_for_turn(scrape_target *t, int64_t now_ms)
{
    uint64_t seed = atomic_load_explicit(&t->manager->offset_seed, memory_order_relaxed);
    int64_t offset = (int64_t)((t->hash ^ seed) % (uint64_t)t->interval_ms);
    int64_t left = t->interval_ms - floor_mod(now_ms - offset, t->interval_ms);
    t->due_ms = now_ms + left;
    sx_timer_start(sx_loop_timers(t->loop->loop), &t->timer, left);
}

/* --- The end of a scrape. */

static sx_status get_appender(scrape_loop *loop, sx_error *err)
{
    if (loop->appender)
        return SX_OK;
    tsdb_appendable *store = loop->manager->options.store;
    return store->appender(store, &loop->appender, err);
}

/* A line of JSON as Prometheus writes it. */
static void log_failure(const scrape_target *t, const char *words)
{
    if (t->job->failure_fd < 0)
        return;
    char now[SX_TIME_RFC3339_BYTES];
    const sx_str fields[][2] = {{SX_STR(",\"msg\":"), sx_str_z(words)},
                                {SX_STR(",\"job_name\":"), t->job->c->job_name},
                                {SX_STR(",\"target\":"), t->url}};
    sx_buf line;
    sx_buf_init(&line, 0);
    sx_time_rfc3339(sx_clock_ns(t->manager->clock), 9, now);
    sx_buf_printf(&line, "{\"time\":\"%s\",\"level\":\"ERROR\"", now);
    for (size_t i = 0; i < SX_COUNT_OF(fields); i++) {
        sx_buf_str(&line, fields[i][0]);
        tsdb_quote(fields[i][1], &line);
    }
    sx_buf_str(&line, SX_STR("}\n"));
    if (!line.failed && write(t->job->failure_fd, line.data, line.len) < 0 && t->manager->log)
        SX_LOG_WARN(t->manager->log, NULL, "cannot write scrape_failure_log_file",
                    sx_field_str("scrape_pool", t->job->c->job_name));
    sx_buf_done(&line);
}

static void set_status(scrape_target *t, bool up, double duration_s, const char *words)
{
    pthread_mutex_lock(&t->lock);
    t->health = up ? PROM_HEALTH_UP : PROM_HEALTH_DOWN;
    t->last_scrape_ms = t->t;
    t->last_duration_s = duration_s;
    sx_buf_clear(&t->last_error);
    sx_buf_str(&t->last_error, sx_str_z(words));
    pthread_mutex_unlock(&t->lock);
}

static double seconds_since(const scrape_target *t)
{
    return (double)(sx_clock_mono_ns(t->manager->clock) - t->begun_ns) / 1e9;
}

/* Puts nothing but the markers and a report that says down into a new batch. */
static sx_status write_down(scrape_target *t, const scrape_counts *counts, sx_error *err)
{
    tsdb_appender *app = t->loop->appender;
    app->ops->rollback(app);
    sx_status st = scrape_append_nothing(t, t->t, err);
    if (st == SX_OK)
        st = scrape_append_report(t, t->t, false, seconds_since(t), counts, false, err);
    return st == SX_OK ? app->ops->commit(app, err) : st;
}

void scrape_target_finish(scrape_target *t, sx_status result, sx_str body, sx_str content_type,
                          sx_error *err)
{
    scrape_counts counts = {.body_bytes = (int64_t)body.len};
    sx_error again;
    sx_status store = get_appender(t->loop, &again);
    if (store != SX_OK && result == SX_OK)
        *err = again;
    sx_status st = store != SX_OK ? store : result;
    if (result == SX_ELIMIT)
        counts.body_bytes = -1;
    else if (result != SX_OK)
        counts.body_bytes = 0;
    if (st == SX_OK)
        st = scrape_append(t, body, content_type, &counts, err);
    if (st == SX_OK) {
        tsdb_appender *app = t->loop->appender;
        st = scrape_append_report(t, t->t, true, seconds_since(t), &counts, false, err);
        if (st == SX_OK)
            st = app->ops->commit(app, err);
    }
    if (st != SX_OK && store == SX_OK) {
        sx_status down = write_down(t, &counts, &again);
        if (down != SX_OK && t->manager->log)
            SX_LOG_ERROR(t->manager->log, NULL, "Scrape commit failed",
                         sx_field_str("scrape_pool", t->job->c->job_name),
                         sx_field_str("target", t->url), sx_field_error(&again));
    }
    if (st != SX_OK)
        log_failure(t, err->message);
    if (st != SX_OK && t->manager->log)
        SX_LOG_DEBUG(t->manager->log, NULL, "Scrape failed",
                     sx_field_str("scrape_pool", t->job->c->job_name),
                     sx_field_str("target", t->url), sx_field_error(err));
    set_status(t, st == SX_OK, seconds_since(t), st == SX_OK ? "" : err->message);
    if (t->job->c->extra_metrics)
        scrape_metrics_duration(&t->manager->metrics, seconds_since(t));
}

/* --- The request. */

/* What went wrong, as Prometheus's targets page says it. */
static sx_status request_failed(const scrape_target *t, const prom_http_answer *a, sx_error *err)
{
    sx_str url = sx_str_first(t->url, 250);
    sx_str words = sx_str_z(a->error ? a->error->message : sx_status_name(a->result));
    if (a->result == SX_ELIMIT && sx_str_starts(words, SX_STR("body size limit exceeded"))) {
        scrape_metrics_add(&t->manager->metrics, SCRAPE_BODY_LIMIT, 1);
        return sx_fail(err, SX_ELIMIT, "body size limit exceeded");
    }
    if (a->result == SX_ETIMEOUT && a->response)
        return sx_fail(err, SX_ETIMEOUT, "context deadline exceeded");
    if (a->result == SX_ETIMEOUT)
        return sx_fail(err, SX_ETIMEOUT, "Get \"%.*s\": context deadline exceeded", SX_ARG(url));
    /* SX_ELIMIT is for the body alone: scrape_body_size_bytes is -1 then. */
    return sx_fail(err, a->result == SX_ELIMIT ? SX_EPROTOCOL : a->result, "Get \"%.*s\": %.*s",
                   SX_ARG(url), SX_ARG(words));
}

static sx_status judge_answer(scrape_target *t, const prom_http_answer *a, sx_error *err)
{
    if (a->result != SX_OK)
        return request_failed(t, a, err);
    if (a->status != 200)
        return sx_fail(err, SX_EPROTOCOL, "server returned HTTP status %d %s", a->status,
                       sx_http_reason(a->status));
    uint64_t most = t->job->c->limits.body_bytes;
    if (most && a->body.len >= most) {
        scrape_metrics_add(&t->manager->metrics, SCRAPE_BODY_LIMIT, 1);
        return sx_fail(err, SX_ELIMIT, "body size limit exceeded");
    }
    return SX_OK;
}

static void next_turn(scrape_target *t)
{
    if (t->state == SCRAPE_RUNNING)
        wait_for_turn(t, sx_clock_ms(t->manager->clock));
    else
        scrape_target_end(t->loop->loop, t);
}

static void on_answer(void *ctx, const prom_http_answer *a)
{
    scrape_target *t = ctx;
    sx_error err;
    t->call = NULL;
    if (a->result == SX_ECANCELED) /* the manager is being freed */
        return;
    sx_status st = judge_answer(t, a, &err);
    scrape_target_finish(t, st, st == SX_OK ? a->body : (sx_str){0}, a->content_type, &err);
    next_turn(t);
}

static sx_status send_request(scrape_target *t, sx_error *err)
{
    const prom_scrape_config *c = t->job->c;
    tsdb_label headers[] = {
        {SX_STR("Accept"), sx_buf_view(&t->job->accept)},
        {SX_STR("X-Prometheus-Scrape-Timeout-Seconds"), sx_str_z(t->timeout_text)},
        {SX_STR("Accept-Encoding"), SX_STR("identity")},
    };
    sx_status st = t->client ? SX_OK : take_client(t, err);
    if (st != SX_OK)
        return st;
    prom_http_request r = {.method = SX_STR("GET"),
                           .url = t->ask_url,
                           .headers = headers,
                           .header_count = SX_COUNT_OF(headers) - c->compression,
                           .timeout_ms = t->timeout_ms,
                           .body_bytes_max = c->limits.body_bytes,
                           .accept_gzip = c->compression};
    return prom_http_send(t->client->http, &r, on_answer, t, &t->call, err);
}

static void begin_scrape(scrape_target *t)
{
    sx_error err;
    int64_t now_ms = sx_clock_ms(t->manager->clock);
    int64_t tolerance = t->interval_ms / 100;
    if (tolerance > SCRAPE_TOLERANCE_MS)
        tolerance = SCRAPE_TOLERANCE_MS;
    bool punctual = now_ms >= t->due_ms && now_ms - t->due_ms <= tolerance;
    t->t = punctual ? t->due_ms : now_ms;
    t->begun_ns = sx_clock_mono_ns(t->manager->clock);
    if (t->last_begun_ns)
        scrape_metrics_observe(&t->manager->metrics, SCRAPE_INTERVAL_LENGTH,
                               sx_str_z(t->interval_text),
                               (double)(t->begun_ns - t->last_begun_ns) / 1e9);
    t->last_begun_ns = t->begun_ns;
    t->scraped = true;
    uint32_t over = atomic_load_explicit(&t->job->over, memory_order_relaxed);
    sx_status st =
        over ? sx_fail(&err, SX_EINVAL, "target_limit exceeded (number of targets: %u, limit: %u)",
                       over, t->job->c->limits.targets)
             : send_request(t, &err);
    if (st == SX_OK)
        return;
    scrape_target_finish(t, st == SX_ELIMIT ? SX_EINVAL : st, (sx_str){0}, (sx_str){0}, &err);
    next_turn(t);
}

/* --- The end of a target. */

static void write_end(scrape_target *t)
{
    sx_error err;
    scrape_counts counts = {0};
    sx_status st = get_appender(t->loop, &err);
    if (st == SX_OK) {
        tsdb_appender *app = t->loop->appender;
        st = scrape_append_nothing(t, t->t, &err);
        if (st == SX_OK)
            st = scrape_append_report(t, t->t, false, 0, &counts, true, &err);
        if (st == SX_OK)
            st = app->ops->commit(app, &err);
        else
            app->ops->rollback(app);
    }
    if (st != SX_OK && t->manager->log)
        SX_LOG_WARN(t->manager->log, NULL, "Stale commit failed",
                    sx_field_str("scrape_pool", t->job->c->job_name),
                    sx_field_str("target", t->url), sx_field_error(&err));
}

void scrape_target_end(sx_loop *sxloop, void *target)
{
    scrape_target *t = target;
    (void)sxloop;
    if (t->manager->closing) /* it is on its loop's list, and freed with that */
        return;
    bool first = t->state == SCRAPE_RUNNING;
    t->state = SCRAPE_ENDING;
    if (t->call && first)
        return; /* its answer is still taken, and comes back here */
    sx_timer_stop(sx_loop_timers(t->loop->loop), &t->timer);
    if (!t->scraped) {
        scrape_target_free(t);
        return;
    }
    /* The time of the markers: when the next scrape would have been. */
    wait_for_turn(t, sx_clock_ms(t->manager->clock));
    t->t = t->due_ms;
    int64_t left = t->due_ms - sx_clock_ms(t->manager->clock);
    sx_timer_start(sx_loop_timers(t->loop->loop), &t->timer,
                   left + t->interval_ms + t->interval_ms / 10);
}

static void on_timer(sx_timer *timer, void *arg)
{
    scrape_target *t = arg;
    (void)timer;
    if (t->manager->closing)
        return;
    if (t->state == SCRAPE_RUNNING) {
        begin_scrape(t);
        return;
    }
    write_end(t);
    scrape_target_free(t);
}

/* --- The start. */

/* The same series come of the same body: what is known of them goes on. */
static void take_over(scrape_target *t, scrape_target *before)
{
    scrape_cache empty = t->cache;
    t->cache = before->cache;
    before->cache = empty;
    sx_map64 starts = t->starts;
    t->starts = before->starts;
    before->starts = starts;
    memcpy(t->reports, before->reports, sizeof t->reports);
    before->scraped = false; /* so that it ends without markers */
    t->scraped = true;
}

/* What the API shows of it stays, but for the error, which may have been the configuration's. */
static void take_status(scrape_target *t, scrape_target *before)
{
    scrape_target was = {0};
    pthread_mutex_lock(&before->lock);
    was.health = before->health;
    was.last_scrape_ms = before->last_scrape_ms;
    was.last_duration_s = before->last_duration_s;
    was.metas = before->metas;
    was.meta_count = before->meta_count;
    was.meta_cap = before->meta_cap;
    was.meta_by_name = before->meta_by_name;
    before->metas = NULL;
    before->meta_count = before->meta_cap = 0;
    sx_map_init(&before->meta_by_name, NULL);
    pthread_mutex_unlock(&before->lock);
    pthread_mutex_lock(&t->lock);
    t->health = was.health;
    t->last_scrape_ms = was.last_scrape_ms;
    t->last_duration_s = was.last_duration_s;
    t->metas = was.metas;
    t->meta_count = was.meta_count;
    t->meta_cap = was.meta_cap;
    t->meta_by_name = was.meta_by_name;
    t->meta_scrape = before->meta_scrape;
    pthread_mutex_unlock(&t->lock);
}

void scrape_target_start(sx_loop *loop, void *target)
{
    scrape_target *t = target, *before = t->before;
    t->before = NULL;
    sx_list_push_back(&t->loop->targets, &t->link);
    if (before) {
        take_status(t, before);
        t->last_begun_ns = before->last_begun_ns;
        bool same =
            tsdb_labels_equal(before->shown, t->shown) &&
            sx_str_eq(sx_buf_view(&before->job->cache_key), sx_buf_view(&t->job->cache_key));
        if (same && !before->call)
            take_over(t, before);
        scrape_target_end(loop, before);
    }
    wait_for_turn(t, sx_clock_ms(t->manager->clock));
}
