/* alert.c - the alerts of a rule: how they come to be, fire, are kept, resolve, and when they are sent.
 *
 *                 in the result                 `for` is over
 *      (none) ------------------> pending ----------------------> firing
 *                                    |  ^------ `for` grew --------- |
 *                 not in the result  |                               | not in the result, and
 *                                    v                               v keep_firing_for is over
 *                                  (none) <------------------- inactive (resolved)
 *                                           after 15 minutes
 *
 * A resolved alert is kept for a quarter of an hour so that its end is told again and again, in case
 * an Alertmanager was away. Source: Prometheus, docs/configuration/alerting_rules.md. */
#include <sextant/mem.h>

#include "observe/rules/rules_internal.h"

static const int64_t RESOLVED_KEPT_MS = 15 * 60 * 1000;

rule_labels *rule_labels_new(tsdb_labels set)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < set.count; i++)
        bytes += set.items[i].name.len + set.items[i].value.len;
    size_t items = set.count * sizeof(tsdb_label);
    rule_labels *l = sx_alloc(sizeof *l + items + bytes);
    if (!l)
        return NULL;
    tsdb_label *copy = (tsdb_label *)(void *)(l + 1);
    char *at = (char *)copy + items;
    for (uint32_t i = 0; i < set.count; i++) {
        const sx_str parts[2] = {set.items[i].name, set.items[i].value};
        sx_str *to[2] = {&copy[i].name, &copy[i].value};
        for (int k = 0; k < 2; k++) {
            if (parts[k].len)
                memcpy(at, parts[k].data, parts[k].len);
            *to[k] = sx_str_of(at, parts[k].len);
            at += parts[k].len;
        }
    }
    l->set = (tsdb_labels){copy, set.count};
    l->hash = tsdb_labels_hash(set);
    l->seen = 0;
    return l;
}

void rule_alert_free(alert *a)
{
    if (!a)
        return;
    sx_free(a->labels);
    sx_free(a->annotations);
    sx_free(a);
}

static bool has_action(sx_str text)
{
    return sx_str_find(text, SX_STR("{{")) < text.len;
}

static sx_status compile(sx_str alert_name, tsdb_labels texts, sx_arena *arena, sx_template ***out,
                         sx_error *err)
{
    *out = sx_arena_calloc(arena, (size_t)texts.count + 1, sizeof **out);
    if (!*out)
        return sx_fail_memory(err, "the templates of a rule");
    for (uint32_t i = 0; i < texts.count; i++) {
        if (!has_action(texts.items[i].value))
            continue;
        sx_status st = rule_template_new(alert_name, texts.items[i].value, &(*out)[i], err);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}

sx_status rule_alerts_init(rule *r, sx_arena *arena, sx_error *err)
{
    sx_map64_init(&r->alerts_by_hash, NULL);
    if (!r->def->alert)
        return SX_OK;
    sx_status st = compile(r->def->name, r->def->labels, arena, &r->label_templates, err);
    if (st == SX_OK)
        st = compile(r->def->name, r->def->annotations, arena, &r->annotation_templates, err);
    return st;
}

static void forget_all(rule *r)
{
    for (size_t i = 0; i < r->alert_count; i++)
        rule_alert_free(r->alerts[i]);
    r->alert_count = 0;
    sx_map64_clear(&r->alerts_by_hash);
}

void rule_alerts_done(rule *r)
{
    forget_all(r);
    sx_free(r->alerts);
    sx_map64_done(&r->alerts_by_hash);
    for (uint32_t i = 0; r->label_templates && i < r->def->labels.count; i++)
        sx_template_free(r->label_templates[i]);
    for (uint32_t i = 0; r->annotation_templates && i < r->def->annotations.count; i++)
        sx_template_free(r->annotation_templates[i]);
}

alert *rule_alert_find(const rule *r, uint64_t hash)
{
    return sx_map64_get(&r->alerts_by_hash, hash);
}

rule_state rule_alerts_state(const rule *r)
{
    rule_state most = RULE_INACTIVE;
    if (r->last_evaluation_ms == RULE_NEVER)
        return RULE_STATE_UNKNOWN;
    for (size_t i = 0; i < r->alert_count; i++) {
        if (r->alerts[i]->state > most)
            most = r->alerts[i]->state;
    }
    return most;
}

sx_status rule_samples_add(rule_samples *s, tsdb_labels labels, double value,
                           const tsdb_histogram *h, sx_error *err)
{
    if (!sx_arena_grow(s->arena, &s->items, &s->cap, s->count + 1, sizeof *s->items))
        return sx_fail_memory(err, "the samples of a rule");
    s->items[s->count++] = (rule_sample){.labels = labels, .value = value, .histogram = h};
    return SX_OK;
}

/* --- What the result says. */

/* One evaluation's candidates. Everything in `arena`. */
typedef struct update {
    rule_group *g;
    rule *r;
    const rule_outside *o;
    int64_t ts;
    sx_arena *arena;
    sx_arena scratch; /* of one template */
    tsdb_labels_builder builder;
    sx_buf text;
    alert **fresh; /* one for each series of the result */
    size_t fresh_count;
    sx_map64 by_hash;
} update;

static sx_status expand(update *u, const rule_template_data *data, const sx_template *t,
                        sx_str plain, sx_str *out, sx_error *err)
{
    rule_template_env env = {.engine = u->o->engine,
                             .queryable = u->o->queryable,
                             .now_ms = u->ts,
                             .external_url = u->o->external_url,
                             .canceled = &u->g->canceled};
    sx_error trouble;
    *out = plain;
    rule_metrics_expansion(u->o->metrics, false);
    if (!t)
        return SX_OK;
    sx_buf_clear(&u->text);
    sx_status st = rule_template_expand(t, data, &env, &u->scratch, &u->text, &trouble, err);
    sx_arena_reset(&u->scratch);
    if (st != SX_OK)
        return st;
    if (trouble.message[0]) {
        rule_metrics_expansion(u->o->metrics, true);
        RULE_LOG(u->o, WARN, "Expanding alert template failed",
                 sx_field_str("alert", u->r->def->name), sx_field_error(&trouble));
    }
    *out = sx_arena_copy(u->arena, sx_buf_view(&u->text));
    return out->data ? SX_OK : sx_fail_memory(err, "an alert");
}

static sx_status expand_annotations(update *u, const rule_template_data *data, alert *a,
                                    sx_error *err)
{
    tsdb_labels from = u->r->def->annotations;
    tsdb_label *items = sx_arena_calloc(u->arena, (size_t)from.count + 1, sizeof *items);
    if (!items)
        return sx_fail_memory(err, "an alert");
    for (uint32_t i = 0; i < from.count; i++) {
        items[i].name = from.items[i].name;
        sx_status st = expand(u, data, u->r->annotation_templates[i], from.items[i].value,
                              &items[i].value, err);
        if (st != SX_OK)
            return st;
    }
    a->annotations = rule_labels_new((tsdb_labels){items, from.count});
    return a->annotations ? SX_OK : sx_fail_memory(err, "an alert");
}

static sx_status expand_labels(update *u, const rule_template_data *data, alert *a, sx_error *err)
{
    tsdb_labels own = u->r->def->labels;
    sx_status st = tsdb_labels_builder_reset(&u->builder, data->labels, err);
    if (st == SX_OK)
        st = tsdb_labels_builder_set(&u->builder, TSDB_METRIC_NAME, (sx_str){0}, err);
    for (uint32_t i = 0; st == SX_OK && i < own.count; i++) {
        sx_str value;
        st = expand(u, data, u->r->label_templates[i], own.items[i].value, &value, err);
        if (st == SX_OK)
            st = tsdb_labels_builder_set(&u->builder, own.items[i].name, value, err);
    }
    if (st == SX_OK)
        st = tsdb_labels_builder_set(&u->builder, SX_STR("alertname"), u->r->def->name, err);
    if (st != SX_OK)
        return st;
    a->labels = rule_labels_new(tsdb_labels_builder_take(&u->builder));
    return a->labels ? SX_OK : sx_fail_memory(err, "an alert");
}

static sx_status add_candidate(update *u, tsdb_labels labels, double value, const tsdb_histogram *h,
                               sx_error *err)
{
    rule_template_data data = {.labels = labels,
                               .external_labels = u->g->external_labels,
                               .external_url = u->o->external_url,
                               .value = value,
                               .histogram = h};
    alert *a = sx_calloc(1, sizeof *a);
    if (!a)
        return sx_fail_memory(err, "an alert");
    u->fresh[u->fresh_count++] = a; /* from here on freed with the others */
    a->state = RULE_PENDING;
    a->value = h ? 0 : value;
    a->active_ms = u->ts;
    a->fired_ms = a->resolved_ms = a->sent_ms = a->valid_until_ms = a->keep_since_ms = RULE_NEVER;
    sx_status st = expand_labels(u, &data, a, err);
    if (st == SX_OK)
        st = expand_annotations(u, &data, a, err);
    if (st != SX_OK)
        return st;
    bool added;
    sx_map64_entry *e = sx_map64_put(&u->by_hash, a->labels->hash, &added);
    if (!e)
        return sx_fail_memory(err, "an alert");
    if (!added)
        return sx_fail(err, SX_EINVAL,
                       "vector contains metrics with the same labelset after applying alert "
                       "labels");
    e->ptr = a;
    return SX_OK;
}

static sx_status add_candidates(update *u, const promql_result *result, sx_error *err)
{
    size_t count = result->type == PROMQL_SCALAR ? 1 : result->series_count;
    u->fresh = sx_arena_calloc(u->arena, count + 1, sizeof(alert *));
    if (!u->fresh)
        return sx_fail_memory(err, "alerts");
    if (result->type == PROMQL_SCALAR)
        return add_candidate(u, (tsdb_labels){0}, result->scalar, NULL, err);
    for (size_t i = 0; i < count; i++) {
        const promql_series *s = &result->series[i];
        const tsdb_histogram *h = s->h ? s->h[0] : NULL;
        sx_status st = add_candidate(u, s->labels, h ? 0 : s->v[0], h, err);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}

/* --- What becomes of the alerts: under the group's lock. */

/* Room first, so that from here on nothing can fail half-way. */
static sx_status make_room(update *u, sx_error *err)
{
    rule *r = u->r;
    if (!sx_grow(&r->alerts, &r->alert_cap, r->alert_count + u->fresh_count + 1,
                 sizeof *r->alerts) ||
        !sx_map64_reserve(&r->alerts_by_hash, r->alert_count + u->fresh_count + 1))
        return sx_fail_memory(err, "alerts");
    return SX_OK;
}

/* A candidate becomes an alert, or brings one that there is up to date. */
static void take_candidate(update *u, size_t i)
{
    rule *r = u->r;
    alert *a = u->fresh[i], *there = rule_alert_find(r, a->labels->hash);
    if (there && there->state != RULE_INACTIVE) {
        rule_labels *annotations = there->annotations;
        there->value = a->value;
        there->annotations = a->annotations;
        a->annotations = annotations; /* freed with the candidate */
        there->seen = r->turn;
        return;
    }
    u->fresh[i] = NULL;
    a->seen = r->turn;
    if (there) { /* it was resolved: a new alert in its place */
        for (size_t k = 0; k < r->alert_count; k++) {
            if (r->alerts[k] == there)
                r->alerts[k] = a;
        }
        rule_alert_free(there);
    } else {
        r->alerts[r->alert_count++] = a;
    }
    sx_map64_entry *e = sx_map64_put(&r->alerts_by_hash, a->labels->hash, NULL);
    if (e) /* there was room made */
        e->ptr = a;
}

/* The alert is not in the result. Whether it stays active; *forget: it is to be removed. */
static bool lives_on(const rule *r, alert *a, int64_t ts, bool *forget)
{
    bool keep = false;
    if (a->state == RULE_FIRING && r->def->keep_firing_for_ms > 0) {
        if (a->keep_since_ms == RULE_NEVER)
            a->keep_since_ms = ts;
        keep = ts - a->keep_since_ms < r->def->keep_firing_for_ms;
    }
    *forget = a->state == RULE_PENDING ||
              (a->resolved_ms != RULE_NEVER && ts - a->resolved_ms > RESOLVED_KEPT_MS);
    if (a->state != RULE_INACTIVE && !keep) {
        a->state = RULE_INACTIVE;
        a->resolved_ms = ts;
    }
    return keep;
}

static void move_on(const rule *r, alert *a, int64_t ts)
{
    bool held = ts - a->active_ms >= r->def->for_ms;
    if (a->state == RULE_PENDING && held) {
        a->state = RULE_FIRING;
        a->fired_ms = ts;
    }
    if (a->state == RULE_FIRING && !held) { /* a reload made `for` longer */
        a->state = RULE_PENDING;
        a->fired_ms = a->sent_ms = a->keep_since_ms = RULE_NEVER;
    }
}

/* The series that tell of an alert. The rule's own labels stand below the alert's, as they are
 * written: so Prometheus does it. */
static sx_status add_series(update *u, const alert *a, rule_samples *out, sx_error *err)
{
    const sx_str NAMES[2] = {SX_STR("ALERTS"), SX_STR("ALERTS_FOR_STATE")};
    int64_t seconds = a->active_ms / 1000 - (a->active_ms % 1000 < 0);
    for (int k = 0; k < 2; k++) {
        sx_status st = tsdb_labels_builder_reset(&u->builder, (tsdb_labels){0}, err);
        for (uint32_t i = 0; st == SX_OK && i < u->r->def->labels.count; i++)
            st = tsdb_labels_builder_set(&u->builder, u->r->def->labels.items[i].name,
                                         u->r->def->labels.items[i].value, err);
        for (uint32_t i = 0; st == SX_OK && i < a->labels->set.count; i++)
            st = tsdb_labels_builder_set(&u->builder, a->labels->set.items[i].name,
                                         a->labels->set.items[i].value, err);
        if (st == SX_OK)
            st = tsdb_labels_builder_set(&u->builder, TSDB_METRIC_NAME, NAMES[k], err);
        if (st == SX_OK && k == 0)
            st = tsdb_labels_builder_set(&u->builder, SX_STR("alertstate"),
                                         sx_str_z(rule_state_name(a->state)), err);
        tsdb_labels labels = {0};
        if (st == SX_OK)
            st = tsdb_labels_copy(tsdb_labels_builder_take(&u->builder), u->arena, &labels, err);
        if (st == SX_OK)
            st = rule_samples_add(out, labels, k == 0 ? 1 : (double)seconds, NULL, err);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}

static sx_status walk(update *u, rule_samples *out, sx_error *err)
{
    rule *r = u->r;
    size_t kept = 0, active = 0;
    sx_status st = SX_OK;
    for (size_t i = 0; i < r->alert_count; i++) {
        alert *a = r->alerts[i];
        bool forget = false, alive = true;
        if (a->seen == r->turn)
            a->keep_since_ms = RULE_NEVER;
        else
            alive = lives_on(r, a, u->ts, &forget);
        if (alive) {
            active++;
            move_on(r, a, u->ts);
            if (r->restored && st == SX_OK)
                st = add_series(u, a, out, err);
        }
        if (forget) {
            sx_map64_remove(&r->alerts_by_hash, a->labels->hash);
            rule_alert_free(a);
        } else {
            r->alerts[kept++] = a;
        }
    }
    r->alert_count = kept;
    uint32_t limit = u->g->def->limit;
    if (st == SX_OK && limit && active > limit) {
        forget_all(r);
        return sx_fail(err, SX_EINVAL, "exceeded limit of %u with %zu alerts", limit, active);
    }
    return st;
}

sx_status rule_alerts_update(rule_group *g, rule *r, const rule_outside *o,
                             const promql_result *result, int64_t ts, rule_samples *out,
                             sx_error *err)
{
    update u = {.g = g, .r = r, .o = o, .ts = ts, .arena = out->arena};
    sx_arena_init(&u.scratch, 0, 64 << 20);
    sx_buf_init(&u.text, 0);
    sx_map64_init(&u.by_hash, NULL);
    tsdb_labels_builder_init(&u.builder);
    sx_status st = add_candidates(&u, result, err);
    if (st == SX_OK) {
        pthread_mutex_lock(&g->lock);
        st = make_room(&u, err);
        if (st == SX_OK) {
            r->turn++;
            for (size_t i = 0; i < u.fresh_count; i++)
                take_candidate(&u, i);
            st = walk(&u, out, err);
        }
        pthread_mutex_unlock(&g->lock);
    }
    for (size_t i = 0; i < u.fresh_count; i++)
        rule_alert_free(u.fresh[i]);
    tsdb_labels_builder_done(&u.builder);
    sx_map64_done(&u.by_hash);
    sx_buf_done(&u.text);
    sx_arena_done(&u.scratch);
    return st;
}

/* --- Sending. */

static bool needs_sending(const alert *a, int64_t ts, int64_t resend_ms)
{
    if (a->state == RULE_PENDING)
        return false;
    if (a->sent_ms == RULE_NEVER)
        return true;
    if (a->resolved_ms != RULE_NEVER && a->resolved_ms > a->sent_ms)
        return true; /* it has ended since */
    return a->sent_ms + resend_ms < ts;
}

static sx_status copy_alert(const alert *a, sx_str url, sx_arena *arena, rule_alert *out,
                            sx_error *err)
{
    out->starts_ms = a->fired_ms;
    out->ends_ms = a->resolved_ms != RULE_NEVER ? a->resolved_ms : a->valid_until_ms;
    out->generator_url = url;
    sx_status st = tsdb_labels_copy(a->labels->set, arena, &out->labels, err);
    return st == SX_OK ? tsdb_labels_copy(a->annotations->set, arena, &out->annotations, err) : st;
}

sx_status rule_alerts_send(rule_group *g, rule *r, const rule_outside *o, int64_t ts, sx_error *err)
{
    sx_arena arena;
    sx_buf url;
    size_t count = 0;
    sx_status st = SX_OK;
    if (!o->sink.send)
        return SX_OK;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&url, 0);
    sx_buf_str(&url, o->external_url);
    rule_link(r->query, true, &url);
    int64_t delta = g->interval_ms > o->resend_ms ? g->interval_ms : o->resend_ms;
    pthread_mutex_lock(&g->lock);
    rule_alert *out = sx_arena_calloc(&arena, r->alert_count + 1, sizeof *out);
    if (!out || url.failed)
        st = sx_fail_memory(err, "alerts to be sent");
    for (size_t i = 0; st == SX_OK && i < r->alert_count; i++) {
        alert *a = r->alerts[i];
        if (!needs_sending(a, ts, o->resend_ms))
            continue;
        /* Two evaluations or two sendings may fail before Alertmanager takes it for resolved. */
        int64_t until = a->valid_until_ms;
        a->valid_until_ms = ts + 4 * delta;
        st = copy_alert(a, sx_buf_view(&url), &arena, &out[count], err);
        if (st == SX_OK) {
            a->sent_ms = ts;
            count++;
        } else {
            a->valid_until_ms = until;
        }
    }
    pthread_mutex_unlock(&g->lock);
    if (count) /* also the first ones, if memory ended before the last */
        o->sink.send(o->sink.ctx, out, count);
    sx_buf_done(&url);
    sx_arena_done(&arena);
    return st;
}
