/* evaluate.c - one rule evaluated: queried, worked out, appended, its vanished series marked stale. */
#include <math.h>

#include <sextant/mem.h>

#include "observe/rules/rules_internal.h"

static sx_status query(rule_group *g, rule *r, const rule_outside *o, int64_t t,
                       promql_result *result, sx_error *err)
{
    promql_request request = {
        .text = r->query, .start_ms = t, .end_ms = t, .canceled = &g->canceled, .who = "rule"};
    sx_status st =
        promql_query_parsed(o->engine, o->queryable, &r->def->expr, &request, result, err);
    if (st == SX_OK && result->type != PROMQL_VECTOR && result->type != PROMQL_SCALAR)
        return sx_fail(err, SX_EINVAL, "rule result is not a vector or scalar");
    return st;
}

/* --- Recording rules. */

static sx_status record_one(rule *r, tsdb_labels_builder *b, tsdb_labels from, double value,
                            const tsdb_histogram *h, sx_map64 *seen, rule_samples *out,
                            sx_error *err)
{
    tsdb_labels labels;
    bool added;
    sx_status st = tsdb_labels_builder_reset(b, from, err);
    if (st == SX_OK)
        st = tsdb_labels_builder_set(b, TSDB_METRIC_NAME, r->def->name, err);
    for (uint32_t i = 0; st == SX_OK && i < r->def->labels.count; i++)
        st = tsdb_labels_builder_set(b, r->def->labels.items[i].name, r->def->labels.items[i].value,
                                     err);
    if (st == SX_OK)
        st = tsdb_labels_copy(tsdb_labels_builder_take(b), out->arena, &labels, err);
    if (st == SX_OK)
        st = rule_samples_add(out, labels, value, h, err);
    if (st != SX_OK)
        return st;
    if (!sx_map64_put(seen, tsdb_labels_hash(labels), &added))
        return sx_fail_memory(err, "the samples of a rule");
    if (!added)
        return sx_fail(err, SX_EINVAL,
                       "vector contains metrics with the same labelset after applying rule "
                       "labels");
    return SX_OK;
}

static sx_status record(rule_group *g, rule *r, const promql_result *result, rule_samples *out,
                        sx_error *err)
{
    tsdb_labels_builder b;
    sx_map64 seen;
    sx_status st = SX_OK;
    tsdb_labels_builder_init(&b);
    sx_map64_init(&seen, out->arena);
    if (result->type == PROMQL_SCALAR)
        st = record_one(r, &b, (tsdb_labels){0}, result->scalar, NULL, &seen, out, err);
    for (size_t i = 0; st == SX_OK && result->type == PROMQL_VECTOR && i < result->series_count;
         i++) {
        const promql_series *s = &result->series[i];
        const tsdb_histogram *h = s->h ? s->h[0] : NULL;
        st = record_one(r, &b, s->labels, h ? 0 : s->v[0], h, &seen, out, err);
    }
    uint32_t limit = g->def->limit;
    if (st == SX_OK && limit && out->count > limit)
        st = sx_fail(err, SX_EINVAL, "exceeded limit of %u with %zu series", limit, out->count);
    sx_map64_done(&seen);
    tsdb_labels_builder_done(&b);
    return st;
}

/* --- Appending. */

typedef struct writing {
    rule_group *g;
    rule *r;
    const rule_outside *o;
    tsdb_appender *appender;
    int64_t t;
    uint64_t turn;        /* that of this evaluation in rule_labels.seen */
    tsdb_refusal refused; /* the last reason for which a sample was not taken */
    size_t refusals;
} writing;

static sx_status append(tsdb_appender *a, tsdb_labels labels, uint64_t hash, int64_t t,
                        const rule_sample *s, tsdb_refusal *why, sx_error *err)
{
    tsdb_ref ref;
    *why = TSDB_TAKEN;
    sx_status st = a->ops->series(a, labels, hash, &ref, why, err);
    if (st != SX_OK || *why != TSDB_TAKEN)
        return st;
    if (s && s->histogram)
        return a->ops->histogram(a, ref, t, s->histogram, why, err);
    return a->ops->sample(a, ref, t, s ? s->value : tsdb_stale(), why, err);
}

/* The series is remembered, so that it can be marked stale when it is gone. */
static sx_status remember(writing *w, tsdb_labels labels, uint64_t hash, sx_error *err)
{
    bool added;
    sx_map64_entry *e = sx_map64_put(&w->r->previous, hash, &added);
    if (!e)
        return sx_fail_memory(err, "the series of a rule");
    if (added) {
        e->ptr = rule_labels_new(labels);
        if (!e->ptr) {
            sx_map64_remove(&w->r->previous, hash);
            return sx_fail_memory(err, "the series of a rule");
        }
    }
    ((rule_labels *)e->ptr)->seen = w->turn;
    return SX_OK;
}

static sx_status append_all(writing *w, const rule_samples *samples, sx_error *err)
{
    for (size_t i = 0; i < samples->count; i++) {
        const rule_sample *s = &samples->items[i];
        uint64_t hash = tsdb_labels_hash(s->labels);
        tsdb_refusal why;
        sx_status st = append(w->appender, s->labels, hash, w->t, s, &why, err);
        if (st == SX_OK && why == TSDB_TAKEN)
            st = remember(w, s->labels, hash, err);
        if (st != SX_OK)
            return st;
        if (why != TSDB_TAKEN) {
            w->refused = why;
            w->refusals++;
        }
    }
    size_t cursor = 0;
    for (sx_map64_entry *e; (e = sx_map64_next(&w->r->previous, &cursor));) {
        const rule_labels *l = e->ptr;
        tsdb_refusal why; /* refused is expected where another rule writes the series now */
        if (l->seen == w->turn)
            continue;
        sx_status st = append(w->appender, l->set, l->hash, w->t, NULL, &why, err);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}

/* What was marked stale is forgotten once that is written. */
static void forget_vanished(writing *w)
{
    size_t cursor = 0;
    for (sx_map64_entry *e; (e = sx_map64_next(&w->r->previous, &cursor));) {
        rule_labels *l = e->ptr;
        if (l->seen == w->turn)
            continue;
        sx_map64_remove(&w->r->previous, l->hash);
        sx_free(l);
    }
}

static sx_status write_samples(writing *w, const rule_samples *samples, sx_error *err)
{
    sx_status st = w->o->appendable->appender(w->o->appendable, &w->appender, err);
    if (st != SX_OK)
        return st;
    st = append_all(w, samples, err);
    if (st == SX_OK)
        st = w->appender->ops->commit(w->appender, err);
    else
        w->appender->ops->rollback(w->appender);
    w->appender->ops->free(w->appender);
    if (st == SX_OK)
        forget_vanished(w);
    return st;
}

/* --- The rule. */

static void set_health(rule_group *g, rule *r, const char *trouble)
{
    pthread_mutex_lock(&g->lock);
    r->health = trouble ? RULE_ERR : RULE_OK;
    sx_buf_clear(&r->last_error);
    if (trouble)
        sx_buf_str(&r->last_error, sx_str_z(trouble));
    pthread_mutex_unlock(&g->lock);
}

static sx_status work_out(rule_group *g, rule *r, const rule_outside *o, int64_t ts,
                          rule_samples *samples, sx_error *err)
{
    promql_result result;
    sx_status st = query(g, r, o, ts - g->offset_ms, &result, err);
    if (st == SX_OK && r->def->alert)
        st = rule_alerts_update(g, r, o, &result, ts, samples, err);
    else if (st == SX_OK)
        st = record(g, r, &result, samples, err);
    /* Histograms of the result are still to be appended: they are copied before it goes. */
    for (size_t i = 0; st == SX_OK && i < samples->count; i++) {
        if (!samples->items[i].histogram)
            continue;
        tsdb_histogram *h = sx_arena_calloc(samples->arena, 1, sizeof *h);
        st = h ? tsdb_histogram_copy(samples->items[i].histogram, samples->arena, h, err)
               : sx_fail_memory(err, "a histogram");
        samples->items[i].histogram = h;
    }
    promql_result_done(&result);
    return st;
}

static void log_failure(const rule_group *g, const rule *r, const rule_outside *o, const char *what,
                        const char *error)
{
    if (atomic_load_explicit(&g->canceled, memory_order_relaxed))
        return; /* it was ended on purpose */
    RULE_LOG(o, WARN, what, sx_field_str("file", g->def->file), sx_field_str("group", g->def->name),
             sx_field_str("name", r->def->name), sx_field_z("error", error));
}

/* Writes the result and says what went wrong. */
static void write_result(rule_group *g, rule *r, const rule_outside *o, int64_t ts,
                         const rule_samples *samples)
{
    sx_error err;
    writing w = {.g = g, .r = r, .o = o, .t = ts - g->offset_ms, .turn = ++r->writes};
    sx_status st = write_samples(&w, samples, &err);
    if (st != SX_OK) {
        set_health(g, r, err.message);
        rule_metrics_failed(g->metrics);
        log_failure(g, r, o, "Rule sample appending failed", err.message);
    } else if (w.refusals) {
        set_health(g, r, tsdb_refusal_words(w.refused));
        RULE_LOG(o, WARN, "Results of a rule were not taken", sx_field_str("group", g->def->name),
                 sx_field_str("name", r->def->name), sx_field_u64("num_dropped", w.refusals),
                 sx_field_z("error", tsdb_refusal_words(w.refused)));
    }
}

void rule_evaluate(rule_group *g, rule *r, const rule_outside *o, int64_t ts)
{
    sx_arena arena;
    sx_error err = {0};
    int64_t began = sx_clock_mono_ns(o->clock), began_ms = sx_clock_ms(o->clock);
    sx_arena_init(&arena, 0, 0);
    rule_samples samples = {.arena = &arena};
    sx_status st = work_out(g, r, o, ts, &samples, &err);
    if (st == SX_OK) {
        set_health(g, r, NULL);
        if (r->def->alert)
            st = rule_alerts_send(g, r, o, ts, &err);
        if (st != SX_OK)
            log_failure(g, r, o, "Alerts could not be sent", err.message);
        write_result(g, r, o, ts, &samples);
        st = SX_OK;
    } else {
        set_health(g, r, err.message);
        log_failure(g, r, o, "Evaluating rule failed", err.message);
    }
    int64_t took = sx_clock_mono_ns(o->clock) - began;
    pthread_mutex_lock(&g->lock);
    r->evaluation_ns = took;
    r->last_evaluation_ms = began_ms;
    pthread_mutex_unlock(&g->lock);
    rule_metrics_rule_done(o->metrics, g->metrics, took, st != SX_OK);
    g->samples += samples.count;
    sx_arena_done(&arena);
}

bool rule_group_mark_stale(const rule_outside *o, rule_labels **items, size_t count, int64_t t)
{
    tsdb_appender *a;
    tsdb_refusal why;
    sx_error err;
    sx_status st = o->appendable->appender(o->appendable, &a, &err);
    if (st == SX_OK) {
        for (size_t i = 0; st == SX_OK && i < count; i++)
            st = append(a, items[i]->set, items[i]->hash, t, NULL, &why, &err);
        if (st == SX_OK)
            st = a->ops->commit(a, &err);
        else
            a->ops->rollback(a);
        a->ops->free(a);
    }
    if (st != SX_OK)
        RULE_LOG(o, WARN, "Stale sample appending for previous configuration failed",
                 sx_field_error(&err));
    return st == SX_OK;
}

/* --- The state of `for`. */

/* The series of ALERTS_FOR_STATE that may be this rule's. Labels that are templates are left to the
 * comparison with each alert. */
static sx_status select_states(rule *r, tsdb_querier *q, int64_t from, int64_t to, sx_arena *arena,
                               tsdb_selection *out, sx_error *err)
{
    tsdb_matcher *m = sx_arena_calloc(arena, (size_t)r->def->labels.count + 2, sizeof *m);
    size_t count = 0;
    if (!m)
        return sx_fail_memory(err, "the state of alerts");
    sx_status st = tsdb_matcher_init(&m[count++], TSDB_MATCH_EQUAL, TSDB_METRIC_NAME,
                                     SX_STR("ALERTS_FOR_STATE"), err);
    if (st == SX_OK)
        st = tsdb_matcher_init(&m[count++], TSDB_MATCH_EQUAL, SX_STR("alertname"), r->def->name,
                               err);
    for (uint32_t i = 0; st == SX_OK && i < r->def->labels.count; i++) {
        const tsdb_label *l = &r->def->labels.items[i];
        bool given = sx_str_eq(l->name, SX_STR("alertname")) || l->value.len == 0;
        if (!given && sx_str_find(l->value, SX_STR("{{")) == l->value.len)
            st = tsdb_matcher_init(&m[count++], TSDB_MATCH_EQUAL, l->name, l->value, err);
    }
    tsdb_hints hints = {.min_t = from, .max_t = to};
    if (st == SX_OK)
        st = q->ops->select(q, &hints, m, count, arena, out, NULL, err);
    for (size_t i = 0; i < count; i++)
        tsdb_matcher_done(&m[i]);
    return st;
}

/* When the alert is to have begun, by what was known when we went down. */
static int64_t restored_start(const rule *r, const rule_outside *o, int64_t now, int64_t down,
                              double since)
{
    int64_t active = (int64_t)since * 1000, hold = r->def->for_ms;
    int64_t remaining = hold - (down - active);
    if (remaining <= 0)
        return active; /* it was firing, and will be at the next evaluation */
    if (remaining < o->grace_ms)
        return now + o->grace_ms - hold; /* it fires when the grace period is over */
    return active + (now - down);        /* as if the time while we were down had not been */
}

/* The alert whose labels, but for the metric's name, these are. */
static alert *alert_of(const rule *r, tsdb_labels labels, tsdb_labels_builder *b, sx_error *err)
{
    if (tsdb_labels_builder_reset(b, labels, err) != SX_OK ||
        tsdb_labels_builder_set(b, TSDB_METRIC_NAME, (sx_str){0}, err) != SX_OK)
        return NULL;
    tsdb_labels bare = tsdb_labels_builder_take(b);
    alert *a = rule_alert_find(r, tsdb_labels_hash(bare));
    return a && tsdb_labels_equal(a->labels->set, bare) ? a : NULL;
}

static sx_status restore_rule(rule_group *g, rule *r, const rule_outside *o, tsdb_querier *q,
                              int64_t now, sx_arena *arena, sx_error *err)
{
    tsdb_selection found = {0};
    tsdb_columns columns;
    tsdb_labels_builder b;
    int64_t from = now - o->outage_tolerance_ms;
    sx_status st = select_states(r, q, from, now, arena, &found, err);
    tsdb_columns_init(&columns, arena);
    tsdb_labels_builder_init(&b);
    for (size_t i = 0; st == SX_OK && i < found.count; i++) {
        columns.count = 0;
        st = q->ops->read(q, &found.items[i], from, now, &columns, err);
        if (st != SX_OK || columns.count == 0)
            continue;
        size_t last = columns.count - 1;
        double since = columns.v[last];
        if ((columns.h && columns.h[last]) || tsdb_is_stale(since) || !isfinite(since) ||
            fabs(since) > 9e15 / 1000)
            continue; /* it was not active, or is no such series */
        pthread_mutex_lock(&g->lock);
        alert *a = alert_of(r, found.items[i].labels, &b, err);
        if (a)
            a->active_ms = restored_start(r, o, now, columns.t[last], since);
        pthread_mutex_unlock(&g->lock);
    }
    tsdb_labels_builder_done(&b);
    tsdb_columns_done(&columns);
    return st;
}

void rule_group_restore(rule_group *g, const rule_outside *o, int64_t now)
{
    tsdb_querier *q = NULL;
    sx_arena arena;
    sx_error err;
    int64_t began = sx_clock_mono_ns(o->clock);
    sx_arena_init(&arena, 0, 0);
    sx_status st = o->queryable->querier(o->queryable, now - o->outage_tolerance_ms, now, &q, &err);
    if (st != SX_OK)
        RULE_LOG(o, ERROR, "Failed to get Querier", sx_field_error(&err));
    for (uint32_t i = 0; i < g->rule_count; i++) {
        rule *r = &g->rules[i];
        if (!r->def->alert)
            continue;
        /* One whose `for` is shorter than the grace period waits for it again. */
        if (q && r->def->for_ms >= o->grace_ms) {
            st = restore_rule(g, r, o, q, now, &arena, &err);
            if (st != SX_OK)
                RULE_LOG(o, ERROR, "Failed to restore 'for' state",
                         sx_field_str("alertname", r->def->name), sx_field_error(&err));
        }
        r->restored = true;
    }
    if (q)
        q->ops->free(q);
    sx_arena_done(&arena);
    g->should_restore = false;
    rule_metrics_restored(g->metrics, sx_clock_mono_ns(o->clock) - began);
}
