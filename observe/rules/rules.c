/* rules.c - the rule manager: threads and reloads.
 *
 * Each group has its next moment; a worker takes the group whose moment comes first, waits for it,
 * evaluates it without the manager's lock, and gives it back with the moment after. A group that takes
 * longer than its interval misses turns, which are counted; it never runs twice at a time, and holds up
 * no other group while there are workers. Waits end after a second at the latest, so that a jump of the
 * wall clock is noticed.
 *
 * Lock order: apply_lock, lock, a group's lock. */
#include "observe/rules/rules.h"

#include <glob.h>
#include <time.h>

#include <sextant/mem.h>

#include "observe/rules/rules_internal.h"

enum { FILES_MAX = 10000, WAIT_MS = 1000, WAIT_FAKE_MS = 5 };

/* --- One turn of a group. */

/* The next independent rule of a batch; UINT32_MAX: none is left. Under the lock. */
static uint32_t take_rule(rule_batch *b)
{
    while (b->at < b->group->rule_count) {
        uint32_t i = b->at++;
        if (b->group->rules[i].independent && !atomic_load(&b->group->stopping))
            return i;
    }
    return UINT32_MAX;
}

/* Takes part in a batch until nothing of it is left to take. Called and returns with the lock. */
static void work_on(rule_manager *m, rule_batch *b)
{
    for (uint32_t i; (i = take_rule(b)) != UINT32_MAX;) {
        b->pending++;
        pthread_mutex_unlock(&m->lock);
        rule_evaluate(b->group, &b->group->rules[i], &m->outside, b->ts);
        pthread_mutex_lock(&m->lock);
        b->pending--;
        pthread_cond_broadcast(&m->done);
    }
}

static void run_side_by_side(rule_manager *m, rule_group *g, int64_t ts)
{
    rule_batch b = {.group = g, .ts = ts};
    pthread_mutex_lock(&m->lock);
    b.next = m->batches;
    m->batches = &b;
    pthread_cond_broadcast(&m->wake);
    work_on(m, &b);
    for (rule_batch **at = &m->batches; *at; at = &(*at)->next) {
        if (*at == &b) { /* nobody finds it from here on */
            *at = b.next;
            break;
        }
    }
    while (b.pending)
        pthread_cond_wait(&m->done, &m->lock);
    pthread_mutex_unlock(&m->lock);
}

static uint32_t independent_rules(const rule_group *g)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < g->rule_count; i++)
        count += g->rules[i].independent;
    return count;
}

static void mark_stale(rule_manager *m, rule_group *g, int64_t ts)
{
    if (!g->stale_count ||
        !rule_group_mark_stale(&m->outside, g->stale, g->stale_count, ts - g->offset_ms))
        return;
    for (size_t i = 0; i < g->stale_count; i++)
        sx_free(g->stale[i]);
    g->stale_count = 0;
}

static void evaluate_group(rule_manager *m, rule_group *g, int64_t ts)
{
    const sx_clock *clock = m->outside.clock;
    int64_t began = sx_clock_mono_ns(clock), began_ms = sx_clock_ms(clock), rules_ns = 0;
    bool shared = !m->options.serial && m->thread_count && independent_rules(g) > 1;
    atomic_store(&g->samples, 0);
    if (shared)
        run_side_by_side(m, g, ts);
    for (uint32_t i = 0; i < g->rule_count; i++) {
        if (atomic_load(&g->stopping))
            return;
        if (!shared || !g->rules[i].independent)
            rule_evaluate(g, &g->rules[i], &m->outside, ts);
    }
    mark_stale(m, g, ts);
    for (uint32_t i = 0; i < g->rule_count; i++)
        rules_ns += g->rules[i].evaluation_ns;
    int64_t took = sx_clock_mono_ns(clock) - began;
    pthread_mutex_lock(&g->lock);
    g->evaluation_ns = took;
    g->last_evaluation_ms = began_ms;
    pthread_mutex_unlock(&g->lock);
    rule_metrics_group_done(m->outside.metrics, g->metrics, began_ms, took, rules_ns,
                            (double)atomic_load(&g->samples));
    /* The first evaluation may still miss data: state is restored after the second. */
    g->turns++;
    if (g->should_restore && g->turns >= 2)
        rule_group_restore(g, &m->outside, sx_clock_ms(clock));
}

/* --- Workers. */

static void retire_now(rule_manager *m, rule_retired *r)
{
    rule_group_mark_stale(&m->outside, r->series, r->count, r->t);
}

static void free_retired(rule_retired *r)
{
    for (size_t i = 0; i < r->count; i++)
        sx_free(r->series[i]);
    sx_free(r->series);
    sx_free(r);
}

/* Takes out one whose time has come. Under the lock. */
static rule_retired *take_retired(rule_manager *m, int64_t now)
{
    for (rule_retired **at = &m->retired; *at; at = &(*at)->next) {
        rule_retired *r = *at;
        if (r->due_ms <= now) {
            *at = r->next;
            return r;
        }
    }
    return NULL;
}

/* The idle group with the next moment. A moment too far ahead was made before the clock was set back. */
static rule_group *next_group(rule_manager *m, int64_t now)
{
    rule_group *best = NULL;
    for (size_t i = 0; i < m->group_count; i++) {
        rule_group *g = m->groups[i];
        if (g->busy || atomic_load(&g->stopping))
            continue;
        if (g->next_ms - now > g->interval_ms)
            g->next_ms = rule_group_slot(g, now) + g->interval_ms;
        if (!best || g->next_ms < best->next_ms)
            best = g;
    }
    return best;
}

static void wait_for(rule_manager *m, int64_t ms)
{
    bool real = m->outside.clock == sx_clock_system();
    int64_t most = real ? WAIT_MS : WAIT_FAKE_MS;
    ms = ms < 1 ? 1 : ms > most ? most : ms;
    /* The condition compares with the system's monotonic clock, whatever clock we were given. */
    int64_t ns = sx_clock_mono_ns(sx_clock_system()) + ms * 1000000;
    struct timespec until = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = ns % 1000000000};
    pthread_cond_timedwait(&m->wake, &m->lock, &until);
}

/* Called and returns with the lock. */
static void run_group(rule_manager *m, rule_group *g, int64_t now)
{
    int64_t missed = (now - g->next_ms) / g->interval_ms;
    int64_t slot = g->next_ms + missed * g->interval_ms;
    g->busy = true;
    pthread_mutex_unlock(&m->lock);
    rule_metrics_turn(g->metrics, missed);
    evaluate_group(m, g, slot);
    pthread_mutex_lock(&m->lock);
    g->busy = false;
    g->next_ms = slot + g->interval_ms;
    pthread_cond_broadcast(&m->done);
}

static void *work(void *arg)
{
    rule_manager *m = arg;
    sx_telemetry_thread_join();
    pthread_mutex_lock(&m->lock);
    while (!m->stopping) {
        int64_t now = sx_clock_ms(m->outside.clock);
        rule_retired *old = take_retired(m, now);
        if (old) {
            pthread_mutex_unlock(&m->lock);
            retire_now(m, old);
            free_retired(old);
            pthread_mutex_lock(&m->lock);
            continue;
        }
        rule_group *g = next_group(m, now);
        if (g && g->next_ms <= now)
            run_group(m, g, now);
        else
            wait_for(m, g ? g->next_ms - now : WAIT_MS);
    }
    pthread_mutex_unlock(&m->lock);
    sx_telemetry_thread_leave();
    return NULL;
}

/* A helper takes rules of batches; it is there only where rules may run side by side. */
static void *help(void *arg)
{
    rule_manager *m = arg;
    sx_telemetry_thread_join();
    pthread_mutex_lock(&m->lock);
    while (!m->stopping) {
        rule_batch *b = m->batches;
        while (b && b->at >= b->group->rule_count)
            b = b->next;
        if (b)
            work_on(m, b);
        else
            pthread_cond_wait(&m->wake, &m->lock);
    }
    pthread_mutex_unlock(&m->lock);
    sx_telemetry_thread_leave();
    return NULL;
}

static sx_status start_threads(rule_manager *m, uint32_t count, void *(*run)(void *), sx_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        int failed = pthread_create(&m->threads[m->thread_count], NULL, run, m);
        if (failed)
            return sx_fail_os(err, failed, "a thread of the rule manager");
        m->thread_count++;
    }
    return SX_OK;
}

sx_status rule_manager_start(rule_manager *m, sx_error *err)
{
    pthread_mutex_lock(&m->lock);
    sx_assert(m->thread_count == 0);
    int64_t now = sx_clock_ms(m->outside.clock);
    for (size_t i = 0; i < m->group_count; i++)
        m->groups[i]->next_ms = rule_group_slot(m->groups[i], now) + m->groups[i]->interval_ms;
    sx_status st = start_threads(m, m->options.workers, work, err);
    if (st == SX_OK && !m->options.serial)
        st = start_threads(m, m->options.concurrency, help, err);
    pthread_mutex_unlock(&m->lock);
    return st; /* those that run are ended by rule_manager_free */
}

/* --- Life. */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    value = value ? value : otherwise;
    return value < RULE_WORKERS_MAX ? value : RULE_WORKERS_MAX;
}

static void set_outside(rule_manager *m)
{
    const rule_manager_options *o = &m->options;
    rule_outside *out = &m->outside;
    out->clock = o->clock ? o->clock : sx_clock_system();
    out->engine = o->engine;
    out->queryable = o->queryable;
    out->appendable = o->appendable;
    out->sink = o->sink;
    out->outage_tolerance_ms = o->outage_tolerance_ms ? o->outage_tolerance_ms : 3600000;
    out->grace_ms = o->grace_ms ? o->grace_ms : 600000;
    out->resend_ms = o->resend_ms ? o->resend_ms : 60000;
    if (o->kit && o->kit->log)
        out->log = sx_log_logger(o->kit->log, "rules");
}

sx_status rule_manager_new(const rule_manager_options *options, rule_manager **out, sx_error *err)
{
    pthread_condattr_t monotonic;
    rule_manager *m = sx_calloc(1, sizeof *m);
    if (!m)
        return sx_fail_memory(err, "a rule manager");
    m->options = *options;
    m->options.workers = or_default(options->workers, 8);
    m->options.concurrency = or_default(options->concurrency, 4);
    sx_arena_init(&m->arena, 0, 0);
    pthread_mutex_init(&m->apply_lock, NULL);
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&m->wake, &monotonic);
    pthread_cond_init(&m->done, NULL);
    pthread_condattr_destroy(&monotonic);
    set_outside(m);
    m->outside.external_url = sx_arena_copy(&m->arena, options->external_url);
    sx_status st = m->outside.external_url.data ? SX_OK : sx_fail_memory(err, "a rule manager");
    if (st == SX_OK)
        st =
            rule_metrics_new(options->kit ? options->kit->metrics : NULL, &m->outside.metrics, err);
    if (st != SX_OK) {
        rule_manager_free(m);
        return st;
    }
    *out = m;
    return SX_OK;
}

/* Under the lock, where others may hold on to it. */
static void drop_source(rule_source *s)
{
    if (!s || --s->refs > 0)
        return;
    rule_file_free(s->file);
    sx_free(s);
}

static void drop_group(rule_group *g)
{
    rule_source *s = g->source;
    rule_metrics_group_gone(g->metrics);
    rule_group_free(g);
    drop_source(s);
}

void rule_manager_free(rule_manager *m)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    m->stopping = true;
    for (size_t i = 0; i < m->group_count; i++) {
        atomic_store(&m->groups[i]->canceled, true);
        atomic_store(&m->groups[i]->stopping, true);
    }
    pthread_cond_broadcast(&m->wake);
    pthread_mutex_unlock(&m->lock);
    for (size_t i = 0; i < m->thread_count; i++)
        pthread_join(m->threads[i], NULL);
    for (size_t i = 0; i < m->group_count; i++)
        drop_group(m->groups[i]);
    sx_free(m->groups);
    for (rule_retired *r = m->retired, *next; r; r = next) {
        next = r->next;
        free_retired(r);
    }
    rule_metrics_free(m->outside.metrics);
    pthread_cond_destroy(&m->wake);
    pthread_cond_destroy(&m->done);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->apply_lock);
    sx_arena_done(&m->arena);
    sx_free(m);
}

/* --- Reloads. */

typedef struct loading {
    rule_manager *m;
    const prom_config *config;
    sx_buf *problems;
    rule_group **groups;
    size_t count, cap;
    size_t files;
    sx_status worst;
    sx_error *err; /* the first fault */
} loading;

static sx_status add_group(loading *l, const rule_group_def *def, rule_source *source,
                           sx_error *err)
{
    bool restore = !l->m->loaded && !l->m->options.no_restore;
    rule_group *g = NULL;
    if (!sx_grow(&l->groups, &l->cap, l->count + 1, sizeof(rule_group *)))
        return sx_fail_memory(err, "groups of rules");
    sx_status st = rule_group_new(def, source, l->config, restore, &g, err);
    if (st != SX_OK)
        return st;
    source->refs++;
    l->groups[l->count++] = g;
    return SX_OK;
}

/* Several patterns may name one file: it is read once. */
static bool is_loaded(const loading *l, const char *path)
{
    for (size_t i = 0; i < l->count; i++) {
        if (sx_str_eq(l->groups[i]->def->file, sx_str_z(path)))
            return true;
    }
    return false;
}

static sx_status load_file(loading *l, const char *path)
{
    rule_file *file;
    sx_error err;
    if (is_loaded(l, path))
        return SX_OK;
    sx_status st = rule_file_load(path, &l->m->options.files, &file, l->problems, &err);
    if (st != SX_OK) { /* the other files' faults are told, too */
        if (l->worst == SX_OK && l->err)
            *l->err = err;
        l->worst = l->worst == SX_OK ? st : l->worst;
        return st == SX_ENOMEM ? st : SX_OK;
    }
    rule_source *source = sx_calloc(1, sizeof *source);
    if (!source) {
        rule_file_free(file);
        return sx_fail_memory(l->err, "a rule file");
    }
    source->file = file;
    source->refs = 1;
    for (uint32_t i = 0; st == SX_OK && i < file->group_count; i++)
        st = add_group(l, &file->groups[i], source, l->err);
    drop_source(source); /* nobody else knows it yet: no lock is needed */
    return st;
}

static sx_status load_all(loading *l)
{
    for (uint32_t i = 0; i < l->config->rule_file_count; i++) {
        glob_t found = {0};
        sx_status st = SX_OK;
        sx_arena arena;
        sx_arena_init(&arena, 0, 0);
        sx_str pattern = sx_arena_copy(&arena, l->config->rule_files[i]); /* with a NUL */
        if (!pattern.data)
            st = sx_fail_memory(l->err, "a rule file's name");
        else if (glob(pattern.data, 0, NULL, &found) == 0) {
            for (size_t k = 0; st == SX_OK && k < found.gl_pathc; k++) {
                if (++l->files > FILES_MAX)
                    st = sx_fail(l->err, SX_ELIMIT, "there are more than %d rule files", FILES_MAX);
                else
                    st = load_file(l, found.gl_pathv[k]);
            }
        }
        globfree(&found);
        sx_arena_done(&arena);
        if (st != SX_OK)
            return st;
    }
    return l->worst;
}

/* Stops a group and waits until nobody evaluates it. Under the lock. */
static void stop_group(rule_manager *m, rule_group *g)
{
    atomic_store(&g->stopping, true);
    while (g->busy)
        pthread_cond_wait(&m->done, &m->lock);
}

/* The group is gone: its series are marked stale when renamed rules have had two turns to write them. */
static void retire(rule_manager *m, rule_group *g, int64_t now)
{
    sx_error err;
    rule_retired *r = sx_calloc(1, sizeof *r);
    if (r && rule_group_take_series(g, &r->series, &r->count, &err) == SX_OK) {
        r->due_ms = now + 2 * g->interval_ms;
        r->t = now - g->offset_ms;
        r->next = m->retired;
        m->retired = r;
    } else {
        RULE_LOG(&m->outside, WARN, "Series of a group that is gone cannot be marked stale",
                 sx_field_str("group", g->def->name));
        if (r)
            free_retired(r);
    }
    drop_group(g);
}

static size_t find_group(rule_group *const *groups, size_t count, sx_str key)
{
    size_t i = 0;
    while (i < count && (!groups[i] || !sx_str_eq(groups[i]->key, key)))
        i++;
    return i;
}

/* Puts a new group in place of `old`, or keeps that one. */
static rule_group *replace(rule_manager *m, rule_group *old, rule_group *g)
{
    sx_error err;
    if (old && rule_group_equal(old, g)) {
        drop_group(g);
        return old;
    }
    if (!old)
        return g;
    stop_group(m, old);
    if (rule_group_take_state(g, old, &err) != SX_OK)
        RULE_LOG(&m->outside, WARN, "Not all state of a group was kept", sx_field_error(&err));
    drop_group(old);
    return g;
}

/* Cannot fail. */
static void take_over(rule_manager *m, loading *l)
{
    int64_t now = sx_clock_ms(m->outside.clock);
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < l->count; i++) {
        rule_group *g = l->groups[i];
        size_t at = find_group(m->groups, m->group_count, g->key);
        rule_group *old = at < m->group_count ? m->groups[at] : NULL;
        l->groups[i] = replace(m, old, g);
        if (old)
            m->groups[at] = m->groups[--m->group_count];
        if (l->groups[i] == g) {
            g->next_ms = rule_group_slot(g, now) + g->interval_ms;
            g->metrics = rule_metrics_group(m->outside.metrics, g);
        }
    }
    while (m->group_count) {
        rule_group *g = m->groups[m->group_count - 1];
        stop_group(m, g);
        m->group_count--;
        retire(m, g, now);
    }
    sx_free(m->groups);
    m->groups = l->groups;
    m->group_count = l->count;
    m->loaded = true;
    pthread_cond_broadcast(&m->wake);
    pthread_mutex_unlock(&m->lock);
}

static void drop_loaded(loading *l)
{
    for (size_t i = 0; i < l->count; i++)
        drop_group(l->groups[i]);
    sx_free(l->groups);
}

sx_status rule_manager_check(rule_manager *m, prom_config *config, sx_error *err)
{
    pthread_mutex_lock(&m->apply_lock);
    loading l = {.m = m, .config = config, .err = err};
    sx_status st = load_all(&l);
    drop_loaded(&l);
    pthread_mutex_unlock(&m->apply_lock);
    return st;
}

sx_status rule_manager_apply(rule_manager *m, prom_config *config, sx_buf *problems, sx_error *err)
{
    pthread_mutex_lock(&m->apply_lock);
    loading l = {.m = m, .config = config, .problems = problems, .err = err};
    sx_status st = load_all(&l);
    if (st == SX_OK)
        take_over(m, &l);
    else
        drop_loaded(&l);
    pthread_mutex_unlock(&m->apply_lock);
    return st;
}

/* --- Tests. */

static size_t place_of(const rule_manager *m, const rule_group *g)
{
    for (size_t i = 0; i < m->options.group_order_count; i++) {
        if (sx_str_eq(m->options.group_order[i], g->def->name))
            return i;
    }
    return 0;
}

sx_status rule_manager_run_once(rule_manager *m, int64_t now_ms, sx_error *err)
{
    sx_assert(m->thread_count == 0);
    rule_group **order = sx_calloc(m->group_count + 1, sizeof(rule_group *));
    if (!order)
        return sx_fail_memory(err, "groups of rules");
    for (size_t i = 0; i < m->group_count; i++) { /* by insertion: groups are few, order is kept */
        size_t k = i;
        for (; k > 0 && place_of(m, order[k - 1]) > place_of(m, m->groups[i]); k--)
            order[k] = order[k - 1];
        order[k] = m->groups[i];
    }
    for (size_t i = 0; i < m->group_count; i++) {
        rule_metrics_turn(order[i]->metrics, 0);
        evaluate_group(m, order[i], now_ms);
    }
    for (rule_retired *r; (r = take_retired(m, now_ms));) {
        retire_now(m, r);
        free_retired(r);
    }
    sx_free(order);
    return SX_OK;
}
