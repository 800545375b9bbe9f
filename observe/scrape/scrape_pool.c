/* scrape_pool.c - a job on the control loop: what discovery says becomes the job's targets.
 *
 * Groups are kept as each discovery last told them. A sync makes all targets anew, which is cheap, and
 * compares them by hash with those that run: new ones start, missing ones end, the others are left
 * alone. After a reload every target is replaced by one of the new configuration, which takes over
 * what is known of the series if it would see the same series. */
#include <sextant/mem.h>

#include "observe/promql/parse.h"
#include "observe/scrape/scrape_internal.h"

enum {
    SYNC_SOON_MS = 20,    /* discoveries of one job mostly speak together */
    SYNC_LATER_MS = 1000, /* between syncs, where discovery speaks without end */
};

/* --- Sources. */

static void free_source(scrape_source *s)
{
    if (!s)
        return;
    if (s->discoverer)
        prom_discoverer_free(s->discoverer);
    sx_buf_done(&s->fingerprint);
    sx_arena_done(&s->arena);
    prom_config_unref(s->config);
    sx_free(s);
}

static sx_status copy_group(sx_arena *arena, const prom_target_group *from, prom_target_group *to,
                            sx_error *err)
{
    sx_str *targets = sx_arena_calloc(arena, from->target_count + 1, sizeof *targets);
    if (!targets)
        return sx_fail_memory(err, "discovered targets");
    for (uint32_t i = 0; i < from->target_count; i++) {
        targets[i] = sx_arena_copy(arena, from->targets[i]);
        if (!targets[i].data)
            return sx_fail_memory(err, "discovered targets");
    }
    to->targets = targets;
    to->target_count = from->target_count;
    to->source = sx_arena_copy(arena, from->source);
    return tsdb_labels_copy(from->labels, arena, &to->labels, err);
}

/* Without memory the groups stay as they were. */
static sx_status take_groups(scrape_source *s, const prom_target_group *groups, size_t count,
                             sx_error *err)
{
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    prom_target_group *copy = sx_arena_calloc(&arena, count + 1, sizeof *copy);
    sx_status st = copy ? SX_OK : sx_fail_memory(err, "discovered targets");
    for (size_t i = 0; i < count && st == SX_OK; i++)
        st = copy_group(&arena, &groups[i], &copy[i], err);
    if (st != SX_OK) {
        sx_arena_done(&arena);
        return st;
    }
    sx_arena_done(&s->arena);
    s->arena = arena;
    s->groups = copy;
    s->count = count;
    return SX_OK;
}

static void sync_soon(scrape_pool *p)
{
    sx_timers *timers = sx_loop_timers(p->manager->control.loop);
    int64_t since = sx_clock_mono_ms(p->manager->clock) - p->synced_ms;
    if (!sx_timer_running(&p->sync_timer))
        sx_timer_start(timers, &p->sync_timer,
                       since > SYNC_LATER_MS ? SYNC_SOON_MS : SYNC_LATER_MS - since);
}

static void log_problem(const scrape_pool *p, const char *what, const sx_error *err)
{
    if (p->manager->log)
        SX_LOG_ERROR(p->manager->log, NULL, what, sx_field_str("scrape_pool", p->job->c->job_name),
                     sx_field_error(err));
}

static void on_discovered(void *ctx, const prom_target_group *groups, size_t count)
{
    scrape_source *s = ctx;
    sx_error err;
    if (take_groups(s, groups, count, &err) == SX_OK)
        sync_soon(s->pool);
    else
        log_problem(s->pool, "cannot take discovered targets", &err);
}

static sx_status new_source(scrape_pool *p, scrape_job *job, const prom_discovery *d,
                            scrape_source **out, sx_error *err)
{
    scrape_source *s = sx_calloc(1, sizeof *s);
    if (!s)
        return sx_fail_memory(err, "a discovery");
    s->pool = p;
    s->what = d;
    s->config = prom_config_ref(job->config);
    sx_arena_init(&s->arena, 0, 0);
    sx_buf_init(&s->fingerprint, 0);
    scrape_job_print_source(d, &s->fingerprint);
    sx_status st = sx_buf_status(&s->fingerprint, "a discovery", err);
    if (st == SX_OK && d->kind == PROM_SD_STATIC)
        st = take_groups(s, d->group, 1, err);
    else if (st == SX_OK)
        st = prom_discoverer_new(p->manager->control.loop, p->manager->options.kit, job->config, d,
                                 job->c->job_name, on_discovered, s, &s->discoverer, err);
    if (st != SX_OK) {
        free_source(s);
        return st;
    }
    *out = s;
    return SX_OK;
}

/* A source of the pool with that configuration, not yet taken over. */
static size_t find_source(const scrape_pool *p, const prom_discovery *d)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    scrape_job_print_source(d, &text);
    size_t i = 0;
    while (i < p->source_count &&
           (!p->sources[i] || text.failed ||
            !sx_str_eq(sx_buf_view(&p->sources[i]->fingerprint), sx_buf_view(&text))))
        i++;
    sx_buf_done(&text);
    return i;
}

/* The job's sources: those that are unchanged go on with what they know. */
static sx_status replace_sources(scrape_pool *p, scrape_job *job, sx_error *err)
{
    uint32_t count = job->c->discovery_count;
    scrape_source **sources = sx_calloc(count + 1, sizeof *sources);
    size_t *from = sx_calloc(count + 1, sizeof *from);
    sx_status st = sources && from ? SX_OK : sx_fail_memory(err, "discoveries");
    for (uint32_t i = 0; i < count && st == SX_OK; i++) {
        from[i] = find_source(p, &job->c->discoveries[i]);
        if (from[i] < p->source_count) {
            sources[i] = p->sources[from[i]];
            p->sources[from[i]] = NULL;
        } else {
            st = new_source(p, job, &job->c->discoveries[i], &sources[i], err);
        }
    }
    if (st != SX_OK) { /* back as it was */
        for (uint32_t i = 0; sources && from && i < count; i++) {
            if (sources[i] && from[i] < p->source_count)
                p->sources[from[i]] = sources[i];
            else
                free_source(sources[i]);
        }
        sx_free(sources);
        sx_free(from);
        return st;
    }
    for (size_t i = 0; i < p->source_count; i++)
        free_source(p->sources[i]);
    sx_free(p->sources);
    sx_free(from);
    p->sources = sources;
    p->source_count = count;
    return SX_OK;
}

/* --- Sync. */

/* Starts a new target, or replaces the one in `e`. */
static sx_status start_target(scrape_pool *p, const target_made *made, sx_map64_entry *e,
                              sx_error *err)
{
    scrape_target *t;
    sx_status st = scrape_target_new(p->manager, p->job, made, &t, err);
    if (st != SX_OK)
        return st;
    t->before = e->ptr;
    t->generation = p->generation;
    st = sx_loop_post(t->loop->loop, scrape_target_start, t, err);
    if (st != SX_OK) {
        t->before = NULL;
        scrape_target_free(t);
        return st;
    }
    e->ptr = t;
    return SX_OK;
}

static sx_status drop_target(scrape_pool *p, tsdb_labels discovered, sx_arena *arena, size_t *cap,
                             sx_error *err)
{
    uint32_t most = p->job->c->limits.keep_dropped_targets;
    p->dropped_total++;
    if (most && p->dropped_count >= most)
        return SX_OK;
    if (!sx_grow(&p->dropped, cap, p->dropped_count + 1, sizeof *p->dropped))
        return sx_fail_memory(err, "dropped targets");
    prom_dropped_info *d = &p->dropped[p->dropped_count];
    sx_status st = tsdb_labels_copy(discovered, arena, &d->discovered, err);
    p->dropped_count += st == SX_OK;
    return st;
}

/* One target of a group. Under the manager's lock. */
static sx_status sync_target(scrape_pool *p, sx_str address, tsdb_labels group, sx_arena *scratch,
                             size_t *dropped_cap, sx_error *err)
{
    target_made made;
    sx_arena_reset(scratch);
    sx_status st =
        target_make(p->job->c, address, group, &p->manager->target_scratch, scratch, &made, err);
    if (st != SX_OK)
        return st;
    if (made.dropped)
        return drop_target(p, made.discovered, &p->dropped_arena, dropped_cap, err);
    sx_map64_entry *e = sx_map64_put(&p->targets, made.hash, NULL);
    if (!e)
        return sx_fail_memory(err, "a target");
    scrape_target *t = e->ptr;
    if (t && t->job == p->job) { /* it runs, or the same one was told twice */
        t->generation = p->generation;
        return scrape_target_set_discovered(t, made.discovered, err);
    }
    st = start_target(p, &made, e, err);
    if (st == SX_OK)
        return SX_OK;
    if (t)
        t->generation = p->generation; /* the old one goes on */
    else
        sx_map64_remove(&p->targets, made.hash);
    return st;
}

static void end_missing(scrape_pool *p)
{
    size_t cursor = 0;
    for (sx_map64_entry *e; (e = sx_map64_next(&p->targets, &cursor));) {
        scrape_target *t = e->ptr;
        sx_error err;
        if (t->generation == p->generation)
            continue;
        if (sx_loop_post(t->loop->loop, scrape_target_end, t, &err) == SX_OK)
            sx_map64_remove(&p->targets, e->key);
        else /* it goes on until the next sync */
            log_problem(p, "cannot end a target", &err);
    }
}

static void judge_target_limit(scrape_pool *p)
{
    uint32_t limit = p->job->c->limits.targets;
    size_t count = sx_map64_count(&p->targets);
    bool over = limit && count > limit;
    if (over)
        scrape_metrics_add(&p->manager->metrics, SCRAPE_TARGET_LIMIT, 1);
    atomic_store_explicit(&p->job->over, over ? (uint32_t)count : 0, memory_order_relaxed);
}

static void sync_pool(scrape_pool *p)
{
    prom_scraper *s = p->manager;
    int64_t begun = sx_clock_mono_ns(s->clock);
    uint64_t failures = 0;
    size_t dropped_cap = 0;
    sx_arena scratch;
    sx_error err;
    sx_arena_init(&scratch, 0, 0);
    sx_timer_stop(sx_loop_timers(s->control.loop), &p->sync_timer);
    pthread_mutex_lock(&s->lock);
    p->generation++;
    sx_free(p->dropped);
    p->dropped = NULL;
    p->dropped_count = 0;
    p->dropped_total = 0;
    sx_arena_reset(&p->dropped_arena);
    for (size_t i = 0; i < p->source_count; i++) {
        const scrape_source *source = p->sources[i];
        for (size_t g = 0; g < source->count; g++) {
            const prom_target_group *group = &source->groups[g];
            for (uint32_t k = 0; k < group->target_count; k++) {
                if (sync_target(p, group->targets[k], group->labels, &scratch, &dropped_cap,
                                &err) == SX_OK)
                    continue;
                failures++;
                log_problem(p, "Creating target failed", &err);
            }
        }
    }
    end_missing(p);
    judge_target_limit(p);
    pthread_mutex_unlock(&s->lock);
    sx_arena_done(&scratch);
    p->synced_ms = sx_clock_mono_ms(s->clock);
    scrape_metrics_synced(&s->metrics, p->job->c->job_name, failures);
    scrape_metrics_observe(&s->metrics, SCRAPE_SYNC_LENGTH, p->job->c->job_name,
                           (double)(sx_clock_mono_ns(s->clock) - begun) / 1e9);
}

static void on_sync_timer(sx_timer *timer, void *arg)
{
    (void)timer;
    sync_pool(arg);
}

/* --- */

sx_status scrape_pool_new(prom_scraper *s, scrape_job *job, scrape_pool **out, sx_error *err)
{
    scrape_metrics_add(&s->metrics, SCRAPE_POOLS, 1);
    scrape_pool *p = sx_calloc(1, sizeof *p);
    if (!p)
        return sx_fail_memory(err, "a scrape pool");
    sx_list_init(&p->link);
    p->manager = s;
    p->job = scrape_job_ref(job);
    p->synced_ms = INT64_MIN / 2;
    p->sync_timer = (sx_timer){.fn = on_sync_timer, .arg = p};
    sx_map64_init(&p->targets, NULL);
    sx_arena_init(&p->dropped_arena, 0, 0);
    sx_status st = replace_sources(p, job, err);
    if (st != SX_OK) {
        scrape_metrics_add(&s->metrics, SCRAPE_POOLS_FAILED, 1);
        scrape_pool_free(p);
        return st;
    }
    pthread_mutex_lock(&s->lock);
    sx_list_push_back(&s->pools, &p->link);
    pthread_mutex_unlock(&s->lock);
    sync_pool(p);
    *out = p;
    return SX_OK;
}

sx_status scrape_pool_reload(scrape_pool *p, scrape_job *job, sx_error *err)
{
    int64_t begun = sx_clock_mono_ns(p->manager->clock);
    char interval[64];
    scrape_metrics_add(&p->manager->metrics, SCRAPE_RELOADS, 1);
    sx_status st = replace_sources(p, job, err);
    if (st != SX_OK) {
        scrape_metrics_add(&p->manager->metrics, SCRAPE_RELOADS_FAILED, 1);
        return st;
    }
    pthread_mutex_lock(&p->manager->lock);
    scrape_job *before = p->job;
    p->job = scrape_job_ref(job);
    pthread_mutex_unlock(&p->manager->lock);
    scrape_job_unref(before);
    sync_pool(p);
    promql_print_duration(job->c->interval_ms, interval);
    scrape_metrics_observe(&p->manager->metrics, SCRAPE_RELOAD_LENGTH, sx_str_z(interval),
                           (double)(sx_clock_mono_ns(p->manager->clock) - begun) / 1e9);
    return SX_OK;
}

void scrape_pool_free(scrape_pool *p)
{
    prom_scraper *s = p->manager;
    sx_timer_stop(sx_loop_timers(s->control.loop), &p->sync_timer);
    pthread_mutex_lock(&s->lock);
    sx_list_remove(&p->link);
    pthread_mutex_unlock(&s->lock);
    p->generation++;
    end_missing(p);
    for (size_t i = 0; i < p->source_count; i++)
        free_source(p->sources[i]);
    sx_free(p->sources);
    sx_free(p->dropped);
    sx_arena_done(&p->dropped_arena);
    sx_map64_done(&p->targets);
    scrape_job_unref(p->job);
    sx_free(p);
}
