/* rules_read.c - groups, rules and alerts as the API shows them: copies, taken under the locks. */
#include <stdlib.h>

#include "observe/rules/rules_internal.h"

const char *rule_state_name(rule_state s)
{
    static const char *const NAMES[] = {"inactive", "pending", "firing", "unknown"};
    return NAMES[s];
}

const char *rule_health_name(rule_health h)
{
    static const char *const NAMES[] = {"unknown", "ok", "err"};
    return NAMES[h];
}

static sx_status copy_text(sx_str from, sx_arena *arena, sx_str *out, sx_error *err)
{
    *out = sx_arena_copy(arena, from);
    return out->data ? SX_OK : sx_fail_memory(err, "a list of rules");
}

static sx_status read_alerts(const rule *r, sx_arena *arena, rule_info *out, sx_error *err)
{
    rule_alert_info *alerts = sx_arena_calloc(arena, r->alert_count + 1, sizeof *alerts);
    if (!alerts)
        return sx_fail_memory(err, "a list of alerts");
    out->alerts = alerts;
    for (size_t i = 0; i < r->alert_count; i++) {
        const alert *a = r->alerts[i];
        if (a->resolved_ms != RULE_NEVER)
            continue;
        rule_alert_info *to = &alerts[out->alert_count++];
        to->state = a->state;
        to->active_ms = a->active_ms;
        to->keep_firing_since_ms = a->keep_since_ms == RULE_NEVER ? 0 : a->keep_since_ms;
        to->value = a->value;
        sx_status st = tsdb_labels_copy(a->labels->set, arena, &to->labels, err);
        if (st == SX_OK)
            st = tsdb_labels_copy(a->annotations->set, arena, &to->annotations, err);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}

static sx_status read_rule(const rule *r, sx_arena *arena, rule_info *out, sx_error *err)
{
    out->alert = r->def->alert;
    out->state = rule_alerts_state(r);
    out->duration_s = (double)r->def->for_ms / 1000;
    out->keep_firing_for_s = (double)r->def->keep_firing_for_ms / 1000;
    out->health = r->health;
    out->evaluation_s = (double)r->evaluation_ns / 1e9;
    out->last_evaluation_ms = r->last_evaluation_ms == RULE_NEVER ? 0 : r->last_evaluation_ms;
    sx_status st = copy_text(r->def->name, arena, &out->name, err);
    if (st == SX_OK)
        st = copy_text(r->query, arena, &out->query, err);
    if (st == SX_OK)
        st = copy_text(sx_buf_view(&r->last_error), arena, &out->last_error, err);
    if (st == SX_OK)
        st = tsdb_labels_copy(r->def->labels, arena, &out->labels, err);
    if (st == SX_OK)
        st = tsdb_labels_copy(r->def->annotations, arena, &out->annotations, err);
    return st == SX_OK ? read_alerts(r, arena, out, err) : st;
}

static sx_status read_group(rule_group *g, sx_arena *arena, rule_group_info *out, sx_error *err)
{
    rule_info *rules = sx_arena_calloc(arena, (size_t)g->rule_count + 1, sizeof *rules);
    if (!rules)
        return sx_fail_memory(err, "a list of rules");
    out->interval_s = (double)g->interval_ms / 1000;
    out->limit = g->def->limit;
    out->rules = rules;
    out->rule_count = g->rule_count;
    sx_status st = copy_text(g->def->name, arena, &out->name, err);
    if (st == SX_OK)
        st = copy_text(g->def->file, arena, &out->file, err);
    pthread_mutex_lock(&g->lock);
    out->evaluation_s = (double)g->evaluation_ns / 1e9;
    out->last_evaluation_ms = g->last_evaluation_ms == RULE_NEVER ? 0 : g->last_evaluation_ms;
    for (uint32_t i = 0; st == SX_OK && i < g->rule_count; i++)
        st = read_rule(&g->rules[i], arena, &rules[i], err);
    pthread_mutex_unlock(&g->lock);
    return st;
}

static int compare_groups(const void *a, const void *b)
{
    const rule_group_info *x = a, *y = b;
    int by_file = sx_str_cmp(x->file, y->file);
    return by_file ? by_file : sx_str_cmp(x->name, y->name);
}

sx_status rule_manager_read(rule_manager *m, sx_arena *arena, rule_group_info **out, size_t *count,
                            sx_error *err)
{
    sx_status st = SX_OK;
    pthread_mutex_lock(&m->lock);
    rule_group_info *groups = sx_arena_calloc(arena, m->group_count + 1, sizeof *groups);
    if (!groups)
        st = sx_fail_memory(err, "a list of rules");
    for (size_t i = 0; st == SX_OK && i < m->group_count; i++)
        st = read_group(m->groups[i], arena, &groups[i], err);
    if (st == SX_OK) {
        qsort(groups, m->group_count, sizeof *groups, compare_groups);
        *out = groups;
        *count = m->group_count;
    }
    pthread_mutex_unlock(&m->lock);
    return st;
}
