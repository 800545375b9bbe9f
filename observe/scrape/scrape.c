/* scrape.c - the scrape manager: its threads, its configuration, what it tells the API. */
#include <unistd.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/scrape/scrape_internal.h"

/* --- Threads. */

static void *run_loop(void *arg)
{
    scrape_loop *l = arg;
    sx_telemetry_thread_join();
    sx_loop_run(l->loop);
    sx_telemetry_thread_leave();
    return NULL;
}

static sx_status init_loop(prom_scraper *s, scrape_loop *l, unsigned index, sx_error *err)
{
    l->manager = s;
    sx_list_init(&l->targets);
    sx_list_init(&l->clients);
    sx_arena_init(&l->scratch, 0, 0);
    sx_arena_init(&l->histogram_arena, 0, 0);
    tsdb_labels_builder_init(&l->builder);
    return sx_loop_new(s->clock, index, &l->loop, err);
}

static sx_status start_loop(scrape_loop *l, sx_error *err)
{
    int failed = pthread_create(&l->thread, NULL, run_loop, l);
    l->running = failed == 0;
    return failed ? sx_fail_os(err, failed, "a scraping thread") : SX_OK;
}

static void join_loop(scrape_loop *l)
{
    if (!l->running)
        return;
    sx_loop_stop(l->loop);
    pthread_join(l->thread, NULL);
    l->running = false;
}

static void free_loop(scrape_loop *l)
{
    if (!l->loop)
        return;
    sx_loop_turn(l->loop); /* what was posted: targets come on the list, none starts */
    for (sx_list *it; (it = l->targets.next) != &l->targets;)
        scrape_target_free((scrape_target *)(void *)((char *)it - offsetof(scrape_target, link)));
    if (l->appender)
        l->appender->ops->free(l->appender);
    prom_exposition_free(l->reader);
    tsdb_labels_builder_done(&l->builder);
    sx_free(l->exemplars);
    sx_arena_done(&l->scratch);
    sx_arena_done(&l->histogram_arena);
    sx_loop_free(l->loop);
}

/* --- The manager. */

sx_status prom_scraper_new(const prom_scraper_options *options, prom_scraper **out, sx_error *err)
{
    prom_scraper *s = sx_calloc(1, sizeof *s);
    if (!s)
        return sx_fail_memory(err, "the scrape manager");
    s->options = *options;
    s->clock = options->clock ? options->clock : sx_clock_system();
    if (options->kit && options->kit->log)
        s->log = sx_log_logger(options->kit->log, "scrape");
    pthread_mutex_init(&s->applying, NULL);
    pthread_mutex_init(&s->lock, NULL);
    sx_list_init(&s->pools);
    target_scratch_init(&s->target_scratch);
    unsigned threads = options->threads ? options->threads : (sx_cores() + 1) / 2;
    s->loop_count = threads < SCRAPE_LOOPS_MAX ? threads : SCRAPE_LOOPS_MAX;
    sx_status st =
        scrape_metrics_init(&s->metrics, options->kit ? options->kit->metrics : NULL, err);
    if (st == SX_OK)
        st = init_loop(s, &s->control, 0, err);
    for (unsigned i = 0; i < s->loop_count && st == SX_OK; i++)
        st = init_loop(s, &s->loops[i], i + 1, err);
    if (st == SX_OK)
        st = start_loop(&s->control, err);
    for (unsigned i = 0; i < s->loop_count && st == SX_OK; i++)
        st = start_loop(&s->loops[i], err);
    if (st != SX_OK) {
        prom_scraper_free(s);
        return st;
    }
    *out = s;
    return SX_OK;
}

void prom_scraper_free(prom_scraper *s)
{
    if (!s)
        return;
    join_loop(&s->control);
    for (unsigned i = 0; i < s->loop_count; i++)
        join_loop(&s->loops[i]);
    s->closing = true;
    if (s->control.loop)
        sx_loop_turn(s->control.loop);
    for (sx_list *it; (it = s->pools.next) != &s->pools;)
        scrape_pool_free((scrape_pool *)(void *)((char *)it - offsetof(scrape_pool, link)));
    for (unsigned i = 0; i < s->loop_count; i++)
        free_loop(&s->loops[i]);
    free_loop(&s->control);
    target_scratch_done(&s->target_scratch);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->applying);
    sx_free(s);
}

/* --- Calls across threads that are waited for. */

typedef struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned left;
    prom_scraper *manager;
    prom_config *config;
    sx_status status;
    sx_error *err;
} waiting;

static void arrived(waiting *w)
{
    pthread_mutex_lock(&w->lock);
    w->left--;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void wait_for_all(waiting *w)
{
    pthread_mutex_lock(&w->lock);
    while (w->left)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

static void on_barrier(sx_loop *loop, void *arg)
{
    (void)loop;
    arrived(arg);
}

/* --- A new configuration. */

static scrape_pool *find_pool(prom_scraper *s, sx_str job_name)
{
    sx_list *it;
    SX_LIST_EACH(it, &s->pools)
    {
        scrape_pool *p = (scrape_pool *)(void *)((char *)it - offsetof(scrape_pool, link));
        if (sx_str_eq(p->job->c->job_name, job_name))
            return p;
    }
    return NULL;
}

/* Targets of several servers that scrape the same should not all be asked at one moment. */
static uint64_t seed_of(const prom_config *config)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    return sx_hash(sx_str_z(host), tsdb_labels_hash(config->external_labels));
}

static sx_status apply_job(prom_scraper *s, prom_config *config, const prom_scrape_config *c,
                           sx_error *err)
{
    scrape_job *job = NULL;
    scrape_pool *p = find_pool(s, c->job_name);
    sx_status st = scrape_job_new(config, c, &job, err);
    if (st == SX_OK && !p) {
        st = scrape_pool_new(s, job, &p, err);
    } else if (st == SX_OK) {
        /* The file may have been rotated: a job that has one is made anew. */
        bool same = job->failure_fd < 0 &&
                    sx_str_eq(sx_buf_view(&job->fingerprint), sx_buf_view(&p->job->fingerprint));
        st = same ? SX_OK : scrape_pool_reload(p, job, err);
    }
    scrape_job_unref(job);
    if (p)
        p->kept = true;
    return st;
}

static void on_apply(sx_loop *loop, void *arg)
{
    waiting *w = arg;
    prom_scraper *s = w->manager;
    sx_list *it, *after;
    (void)loop;
    atomic_store_explicit(&s->offset_seed, seed_of(w->config), memory_order_relaxed);
    SX_LIST_EACH(it, &s->pools)
    {
        ((scrape_pool *)(void *)((char *)it - offsetof(scrape_pool, link)))->kept = false;
    }
    for (uint32_t i = 0; i < w->config->scrape_count; i++) {
        sx_error err;
        sx_status st = apply_job(s, w->config, &w->config->scrapes[i], &err);
        if (st == SX_OK)
            continue;
        sx_str name = w->config->scrapes[i].job_name;
        if (s->log)
            SX_LOG_ERROR(s->log, NULL, "error applying a scrape configuration",
                         sx_field_str("scrape_pool", name), sx_field_error(&err));
        if (w->status == SX_OK) {
            w->status = sx_error_prefix(&err, st, "scrape pool %.*s", SX_ARG(name));
            if (w->err)
                *w->err = err;
        }
    }
    SX_LIST_EACH_SAFE(it, after, &s->pools)
    {
        scrape_pool *p = (scrape_pool *)(void *)((char *)it - offsetof(scrape_pool, link));
        if (!p->kept)
            scrape_pool_free(p);
    }
    arrived(w);
}

sx_status prom_scraper_check(prom_config *config, sx_error *err)
{
    for (uint32_t i = 0; i < config->scrape_count; i++) {
        scrape_job *job;
        sx_status st = scrape_job_new(config, &config->scrapes[i], &job, err);
        if (st != SX_OK)
            return sx_error_prefix(err, st, "scrape pool %.*s",
                                   SX_ARG(config->scrapes[i].job_name));
        scrape_job_unref(job);
    }
    return SX_OK;
}

sx_status prom_scraper_apply(prom_scraper *s, prom_config *config, sx_error *err)
{
    waiting w = {.lock = PTHREAD_MUTEX_INITIALIZER,
                 .changed = PTHREAD_COND_INITIALIZER,
                 .manager = s,
                 .config = config,
                 .left = 1,
                 .err = err};
    pthread_mutex_lock(&s->applying);
    sx_status st = sx_loop_post(s->control.loop, on_apply, &w, err);
    if (st == SX_OK) {
        wait_for_all(&w);
        st = w.status;
        /* Targets that were started are on their loops when this has gone through each. */
        for (unsigned i = 0; i < s->loop_count; i++) {
            w.left = 1;
            if (sx_loop_post(s->loops[i].loop, on_barrier, &w, NULL) == SX_OK)
                wait_for_all(&w);
        }
    }
    pthread_mutex_unlock(&s->applying);
    pthread_mutex_destroy(&w.lock);
    pthread_cond_destroy(&w.changed);
    return st;
}

/* --- For the API. */

/* Under the manager's lock. */
static sx_status copy_target(scrape_target *t, sx_arena *arena, prom_target_info *out,
                             sx_error *err)
{
    *out = (prom_target_info){.interval_ms = t->interval_ms, .timeout_ms = t->timeout_ms};
    out->pool = sx_arena_copy(arena, t->job->c->job_name);
    out->scrape_url = out->global_url = sx_arena_copy(arena, t->url);
    sx_status st = tsdb_labels_copy(t->shown, arena, &out->labels, err);
    pthread_mutex_lock(&t->lock);
    if (st == SX_OK)
        st = tsdb_labels_copy(t->discovered, arena, &out->discovered, err);
    out->health = t->health;
    out->last_scrape_ms = t->last_scrape_ms;
    out->last_duration_s = t->last_duration_s;
    out->last_error = sx_arena_copy(arena, sx_buf_view(&t->last_error));
    pthread_mutex_unlock(&t->lock);
    if (st == SX_OK && (!out->pool.data || !out->scrape_url.data || !out->last_error.data))
        st = sx_fail_memory(err, "the list of targets");
    return st;
}

static sx_status copy_pool(const scrape_pool *p, sx_arena *arena, prom_targets *out, size_t *cap,
                           size_t *dropped_cap, sx_error *err)
{
    size_t cursor = 0;
    sx_str name = sx_arena_copy(arena, p->job->c->job_name);
    if (!sx_arena_grow(arena, &out->active, cap, out->active_count + sx_map64_count(&p->targets),
                       sizeof *out->active) ||
        !sx_arena_grow(arena, &out->dropped, dropped_cap, out->dropped_count + p->dropped_count,
                       sizeof *out->dropped) ||
        !name.data)
        return sx_fail_memory(err, "the list of targets");
    for (const sx_map64_entry *e; (e = sx_map64_next(&p->targets, &cursor));) {
        sx_status st = copy_target(e->ptr, arena, &out->active[out->active_count], err);
        if (st != SX_OK)
            return st;
        out->active_count++;
    }
    for (size_t i = 0; i < p->dropped_count; i++) {
        prom_dropped_info *d = &out->dropped[out->dropped_count];
        sx_status st = tsdb_labels_copy(p->dropped[i].discovered, arena, &d->discovered, err);
        if (st != SX_OK)
            return st;
        d->pool = name;
        out->dropped_count++;
    }
    out->dropped_totals[out->pool_count++] = (struct prom_dropped_total){name, p->dropped_total};
    return SX_OK;
}

sx_status prom_scraper_targets(prom_scraper *s, sx_str pool, sx_arena *arena, prom_targets *out,
                               sx_error *err)
{
    size_t pools = 0, cap = 0, dropped_cap = 0;
    sx_status st = SX_OK;
    sx_list *it;
    *out = (prom_targets){0};
    pthread_mutex_lock(&s->lock);
    SX_LIST_EACH(it, &s->pools) pools++;
    out->dropped_totals = sx_arena_calloc(arena, pools + 1, sizeof *out->dropped_totals);
    if (!out->dropped_totals)
        st = sx_fail_memory(err, "the list of targets");
    SX_LIST_EACH(it, &s->pools)
    {
        const scrape_pool *p =
            (const scrape_pool *)(const void *)((const char *)it - offsetof(scrape_pool, link));
        if (st == SX_OK && (pool.len == 0 || sx_str_eq(pool, p->job->c->job_name)))
            st = copy_pool(p, arena, out, &cap, &dropped_cap, err);
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

typedef struct metadata_list {
    prom_target_metadata *items;
    size_t count, cap;
} metadata_list;

/* Under the manager's lock and the target's. */
static sx_status copy_metadata(const scrape_target *t, sx_str metric, sx_arena *arena,
                               metadata_list *out, sx_error *err)
{
    tsdb_labels labels = {0};
    for (size_t i = 0; i < t->meta_count; i++) {
        const scrape_meta *m = &t->metas[i];
        if (metric.len && !sx_str_eq(metric, m->name))
            continue;
        if (labels.count == 0) {
            sx_status st = tsdb_labels_copy(t->shown, arena, &labels, err);
            if (st != SX_OK)
                return st;
        }
        if (!sx_arena_grow(arena, &out->items, &out->cap, out->count + 1, sizeof *out->items))
            return sx_fail_memory(err, "metadata");
        prom_target_metadata *to = &out->items[out->count];
        *to = (prom_target_metadata){
            .target = labels,
            .metric = sx_arena_copy(arena, m->name),
            .metadata = {.type = m->type,
                         .help = sx_arena_copy(arena, sx_str_of(m->help, m->help_len)),
                         .unit = sx_arena_copy(arena, sx_str_of(m->unit, m->unit_len))}};
        if (!to->metric.data || !to->metadata.help.data || !to->metadata.unit.data)
            return sx_fail_memory(err, "metadata");
        out->count++;
    }
    return SX_OK;
}

sx_status prom_scraper_metadata(prom_scraper *s, sx_str metric, sx_arena *arena,
                                prom_target_metadata **out, size_t *count, sx_error *err)
{
    metadata_list list = {0};
    sx_status st = SX_OK;
    sx_list *it;
    pthread_mutex_lock(&s->lock);
    SX_LIST_EACH(it, &s->pools)
    {
        const scrape_pool *p =
            (const scrape_pool *)(const void *)((const char *)it - offsetof(scrape_pool, link));
        size_t cursor = 0;
        for (const sx_map64_entry *e; st == SX_OK && (e = sx_map64_next(&p->targets, &cursor));) {
            scrape_target *t = e->ptr;
            pthread_mutex_lock(&t->lock);
            st = copy_metadata(t, metric, arena, &list, err);
            pthread_mutex_unlock(&t->lock);
        }
    }
    pthread_mutex_unlock(&s->lock);
    *out = list.items;
    *count = list.count;
    return st;
}
