/* notify_targets.c - which Alertmanagers there are: discovered, relabelled, taken over by reloads. */
#include <sextant/mem.h>

#include "observe/rules/notify_internal.h"

static void find_metrics(notify_receiver *r)
{
    const notify_metrics *m = &r->set->n->metrics;
    if (!m->sent)
        return;
    r->sent = sx_metric_counter(m->sent, &r->url, 1);
    r->errors = sx_metric_counter(m->errors, &r->url, 1);
    r->dropped = sx_metric_counter(m->dropped, &r->url, 1);
    r->length = sx_metric_gauge(m->length, &r->url, 1);
    r->seconds = sx_metric_histogram(m->seconds, &r->url, 1);
    r->latency = sx_metric_summary(m->latency, &r->url, 1);
}

void notify_count(sx_counter *c, uint64_t by)
{
    if (c && by)
        sx_counter_add(c, by);
}

void notify_show_length(const notify_receiver *r)
{
    if (r->length)
        sx_gauge_set(r->length, (double)r->queue.count);
}

void notify_drop_queue(notify_receiver *r, notify_queue *q)
{
    notify_count(r->dropped, q->count);
    notify_queue_done(q);
}

/* --- Alertmanagers come and go: the loop's thread. */

static notify_receiver *find_receiver(const notify_set *s, sx_str url)
{
    for (notify_receiver *r = s->receivers; r; r = r->next) {
        if (sx_str_eq(r->url, url))
            return r;
    }
    return NULL;
}

static sx_status add_receiver(notify_set *s, sx_str url, sx_error *err)
{
    notify_receiver *r = sx_calloc(1, sizeof *r);
    if (r)
        r->url_text = sx_alloc(url.len + 1);
    if (!r || !r->url_text) {
        sx_free(r);
        return sx_fail_memory(err, "an Alertmanager");
    }
    memcpy(r->url_text, url.data, url.len);
    r->url = sx_str_of(r->url_text, url.len);
    r->set = s;
    r->seen = true;
    find_metrics(r);
    pthread_mutex_lock(&s->n->lock);
    r->next = s->receivers;
    s->receivers = r;
    pthread_mutex_unlock(&s->n->lock);
    return SX_OK;
}

/* Not on any list any more. What it had queued is dropped, unless it was moved away. */
static void free_receiver(notify_receiver *r)
{
    if (r->call)
        prom_http_cancel(r->call);
    notify_drop_queue(r, &r->flying);
    notify_drop_queue(r, &r->queue);
    notify_show_length(r);
    sx_free(r->url_text);
    sx_free(r);
}

static void show_discovered(rule_notifier *n)
{
    size_t all = 0;
    for (uint32_t i = 0; i < n->set_count; i++) {
        for (const notify_receiver *r = n->sets[i].receivers; r; r = r->next)
            all++;
    }
    if (n->metrics.discovered)
        sx_gauge_set(n->metrics.discovered, (double)all);
}

/* Brings the receivers in line with what all discoveries of the set have told. */
static void sync_set(notify_set *s)
{
    sx_error err;
    for (notify_receiver *r = s->receivers; r; r = r->next)
        r->seen = false;
    for (uint32_t i = 0; i < s->source_count; i++) {
        for (size_t k = 0; k < s->sources[i].url_count; k++) {
            notify_receiver *r = find_receiver(s, s->sources[i].urls[k]);
            if (r)
                r->seen = true;
            else if (add_receiver(s, s->sources[i].urls[k], &err) != SX_OK && s->n->log)
                SX_LOG_ERROR(s->n->log, NULL, "An Alertmanager was left out", sx_field_error(&err));
        }
    }
    for (notify_receiver **at = &s->receivers; *at;) {
        notify_receiver *r = *at;
        if (r->seen) {
            at = &r->next;
            continue;
        }
        pthread_mutex_lock(&s->n->lock);
        *at = r->next;
        pthread_mutex_unlock(&s->n->lock);
        free_receiver(r);
    }
    show_discovered(s->n);
}

static sx_status take_groups(notify_source *from, const prom_target_group *groups,
                             size_t group_count, sx_error *err)
{
    size_t targets = 0;
    for (size_t g = 0; g < group_count; g++)
        targets += groups[g].target_count;
    from->urls = sx_arena_calloc(&from->arena, targets + 1, sizeof(sx_str));
    from->dropped = sx_arena_calloc(&from->arena, targets + 1, sizeof(sx_str));
    if (!from->urls || !from->dropped)
        return sx_fail_memory(err, "Alertmanagers");
    for (size_t g = 0; g < group_count; g++) {
        for (uint32_t i = 0; i < groups[g].target_count; i++) {
            sx_str url;
            bool keep;
            sx_status st = notify_target(from->set->config, &groups[g], groups[g].targets[i],
                                         &from->arena, &url, &keep, err);
            if (st == SX_ENOMEM)
                return st;
            if (st != SX_OK && from->set->n->log)
                SX_LOG_ERROR(from->set->n->log, NULL, "Creating discovered Alertmanagers failed",
                             sx_field_error(err));
            else if (st == SX_OK && keep)
                from->urls[from->url_count++] = url;
            else if (st == SX_OK)
                from->dropped[from->dropped_count++] = url;
        }
    }
    return SX_OK;
}

static void told(void *ctx, const prom_target_group *groups, size_t group_count)
{
    notify_source *from = ctx;
    rule_notifier *n = from->set->n;
    sx_error err;
    bool first = !from->has_told;
    from->has_told = true;
    if (first && group_count == 0)
        return;                   /* it does not know yet: what was known before a reload goes on */
    pthread_mutex_lock(&n->lock); /* the pages read what was dropped */
    sx_arena_reset(&from->arena);
    from->url_count = from->dropped_count = 0;
    sx_status st = take_groups(from, groups, group_count, &err);
    pthread_mutex_unlock(&n->lock);
    if (st != SX_OK && n->log)
        SX_LOG_ERROR(n->log, NULL, "Alertmanagers were left out", sx_field_error(&err));
    sync_set(from->set);
}

/* --- A configuration: the loop's thread. */

static void close_set(notify_set *s)
{
    for (uint32_t i = 0; i < s->source_count; i++) {
        if (s->sources[i].discoverer)
            prom_discoverer_free(s->sources[i].discoverer);
        sx_arena_done(&s->sources[i].arena);
    }
    sx_free(s->sources);
    while (s->receivers) {
        notify_receiver *r = s->receivers;
        s->receivers = r->next;
        free_receiver(r);
    }
    if (s->http)
        prom_http_free(s->http);
}

void notify_close_sets(notify_set *sets, uint32_t set_count)
{
    for (uint32_t i = 0; i < set_count; i++)
        close_set(&sets[i]);
    sx_free(sets);
}

static sx_status open_set(rule_notifier *n, notify_set *s, const prom_alertmanager_config *config,
                          sx_error *err)
{
    s->n = n;
    s->config = config;
    sx_status st = prom_http_new(n->loop, n->options.kit, &config->http, NULL, &s->http, err);
    if (st != SX_OK)
        return st;
    s->sources = sx_calloc((size_t)config->discovery_count + 1, sizeof *s->sources);
    if (!s->sources)
        return sx_fail_memory(err, "Alertmanagers");
    for (uint32_t i = 0; i < config->discovery_count; i++) {
        s->sources[i].set = s;
        sx_arena_init(&s->sources[i].arena, 0, 0);
        s->source_count = i + 1;
    }
    return SX_OK;
}

static sx_status open_sets(rule_notifier *n, const prom_config *config, notify_set **out,
                           sx_error *err)
{
    notify_set *sets = sx_calloc((size_t)config->alertmanager_count + 1, sizeof *sets);
    if (!sets)
        return sx_fail_memory(err, "Alertmanagers");
    for (uint32_t i = 0; i < config->alertmanager_count; i++) {
        sx_status st = open_set(n, &sets[i], &config->alertmanagers[i], err);
        if (st != SX_OK) {
            notify_close_sets(sets, i + 1);
            return st;
        }
    }
    *out = sets;
    return SX_OK;
}

/* Fixed targets are known at once; the others come when their discovery tells. */
static sx_status start_source(notify_source *from, prom_config *config, const prom_discovery *what,
                              sx_error *err)
{
    if (what->kind == PROM_SD_STATIC) {
        told(from, what->group, 1);
        return SX_OK;
    }
    return prom_discoverer_new(from->set->n->loop, from->set->n->options.kit, config, what,
                               SX_STR("alertmanager"), told, from, &from->discoverer, err);
}

/* The batch under way and the queue of a receiver that is to be freed go to the one of its URL that
 * comes after it. What was under way may arrive twice, which Alertmanager does not mind. */
static void move_queue(notify_receiver *from, notify_receiver *to)
{
    rule_notifier *n = to->set->n;
    uint64_t dropped = 0;
    sx_error err;
    if (from->call)
        prom_http_cancel(from->call);
    notify_queue *queues[2] = {&from->flying, &from->queue};
    pthread_mutex_lock(&n->lock);
    for (int i = 0; i < 2; i++) {
        for (notify_alert *a; (a = notify_queue_pop(queues[i]));) {
            if (notify_queue_add(&to->queue, a, n->options.queue_max, &dropped, &err) != SX_OK)
                dropped++;
            notify_alert_unref(a);
        }
    }
    notify_count(to->dropped, dropped);
    pthread_mutex_unlock(&n->lock);
}

static void move_queues(notify_set *from, uint32_t from_count, notify_set *to, uint32_t to_count)
{
    for (uint32_t i = 0; i < from_count; i++) {
        for (notify_receiver *r = from[i].receivers; r; r = r->next) {
            for (uint32_t k = 0; k < to_count; k++) {
                notify_receiver *next = find_receiver(&to[k], r->url);
                if (!next)
                    continue;
                move_queue(r, next);
                break;
            }
        }
    }
}

/* Until a discovery tells, its Alertmanagers are those that the same discovery had found before the
 * reload: a reload that changes something else loses no alert. */
static void inherit(const notify_set *from, notify_set *to)
{
    sx_error err;
    for (uint32_t i = 0; i < to->source_count && i < from->source_count; i++) {
        const notify_source *old = &from->sources[i];
        notify_source *next = &to->sources[i];
        if (to->config->discoveries[i].kind != from->config->discoveries[i].kind ||
            to->config->discoveries[i].kind == PROM_SD_STATIC)
            continue;
        next->urls = sx_arena_calloc(&next->arena, old->url_count + 1, sizeof(sx_str));
        for (size_t k = 0; next->urls && k < old->url_count; k++) {
            sx_str url = sx_arena_copy(&next->arena, old->urls[k]);
            if (url.data && add_receiver(to, url, &err) == SX_OK)
                next->urls[next->url_count++] = url;
        }
    }
}

typedef struct applying {
    rule_notifier *n;
    prom_config *config;
    sx_error *err;
    sx_status st;
    bool done;
} applying;

/* The new sets know their fixed targets before alerts come to them. */
static void apply_config(rule_notifier *n, prom_config *config, notify_set *sets, sx_error *err)
{
    notify_set *old = n->sets; /* only this thread changes them */
    prom_config *old_config = n->config;
    uint32_t old_count = n->set_count, count = config->alertmanager_count;
    for (uint32_t i = 0; i < count; i++) {
        if (i < old_count)
            inherit(&old[i], &sets[i]);
        for (uint32_t k = 0; k < sets[i].source_count; k++) {
            sx_status st =
                start_source(&sets[i].sources[k], config, &sets[i].config->discoveries[k], err);
            if (st != SX_OK && n->log) /* the others are worth having */
                SX_LOG_ERROR(n->log, NULL, "A discovery of Alertmanagers did not start",
                             sx_field_error(err));
        }
    }
    pthread_mutex_lock(&n->lock);
    n->sets = sets;
    n->set_count = count;
    n->config = prom_config_ref(config);
    pthread_mutex_unlock(&n->lock);
    move_queues(old, old_count, sets, count);
    notify_close_sets(old, old_count);
    if (old_config)
        prom_config_unref(old_config);
    show_discovered(n);
    notify_wake(n->loop, n);
}

static void apply_on_loop(sx_loop *loop, void *arg)
{
    applying *a = arg;
    notify_set *sets = NULL;
    sx_error err;
    (void)loop;
    sx_status st = open_sets(a->n, a->config, &sets, &err);
    if (st == SX_OK)
        apply_config(a->n, a->config, sets, &err);
    pthread_mutex_lock(&a->n->lock);
    a->st = st;
    if (st != SX_OK && a->err)
        *a->err = err;
    a->done = true;
    pthread_cond_broadcast(&a->n->applied);
    pthread_mutex_unlock(&a->n->lock);
}

sx_status rule_notifier_apply(rule_notifier *n, prom_config *config, sx_error *err)
{
    applying a = {.n = n, .config = config, .err = err};
    sx_status st = sx_loop_post(n->loop, apply_on_loop, &a, err);
    if (st != SX_OK)
        return st;
    pthread_mutex_lock(&n->lock);
    while (!a.done)
        pthread_cond_wait(&n->applied, &n->lock);
    pthread_mutex_unlock(&n->lock);
    return a.st;
}
