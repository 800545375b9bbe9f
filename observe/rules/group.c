/* group.c - a group of rules: made from its definition, compared, given the state of the one before. */
#include <sextant/mem.h>

#include "observe/rules/rules_internal.h"

/* --- Which rules have to do with which. */

/* What a walk over one rule's expression looks for. */
typedef struct links {
    rule_group *g;
    uint32_t at;   /* the rule whose expression it is */
    bool unknown;  /* a selector without a name: it may read anything */
    bool *related; /* one each rule */
} links;

static void see_selector(links *l, const promql_expr *e)
{
    const tsdb_matcher *name = NULL, *alertname = NULL;
    for (uint32_t i = 0; i < e->selector.matcher_count; i++) {
        const tsdb_matcher *m = &e->selector.matchers[i];
        if (!name && sx_str_eq(m->name, TSDB_METRIC_NAME))
            name = m;
        if (!alertname && sx_str_eq(m->name, SX_STR("alertname")))
            alertname = m;
    }
    if (!name) {
        l->unknown = true;
        return;
    }
    bool alerts = tsdb_matcher_matches(name, SX_STR("ALERTS")) ||
                  tsdb_matcher_matches(name, SX_STR("ALERTS_FOR_STATE"));
    for (uint32_t i = 0; i < l->at; i++) { /* later rules' results are the last turn's anyway */
        const rule_def *other = l->g->rules[i].def;
        bool reads = tsdb_matcher_matches(name, other->name) ||
                     (alerts && other->alert &&
                      (!alertname || tsdb_matcher_matches(alertname, other->name)));
        if (reads)
            l->related[i] = l->related[l->at] = true;
    }
}

/* Depth is the parser's to bound. */
static void walk(links *l, const promql_expr *e)
{
    if (!e)
        return;
    switch (e->kind) {
    case PROMQL_SELECTOR:
        see_selector(l, e);
        break;
    case PROMQL_RANGE:
        walk(l, e->range.selector);
        break;
    case PROMQL_SUBQUERY:
        walk(l, e->subquery.expr);
        break;
    case PROMQL_CALL:
        for (uint32_t i = 0; i < e->call.arg_count; i++)
            walk(l, e->call.args[i]);
        break;
    case PROMQL_AGGREGATE:
        walk(l, e->aggregate.expr);
        walk(l, e->aggregate.param);
        break;
    case PROMQL_BINARY:
        walk(l, e->binary.left);
        walk(l, e->binary.right);
        break;
    case PROMQL_UNARY:
        walk(l, e->unary.expr);
        break;
    case PROMQL_PAREN:
        walk(l, e->inner);
        break;
    default:
        break;
    }
}

static sx_status find_independent(rule_group *g, sx_error *err)
{
    links l = {.g = g, .related = sx_arena_calloc(&g->arena, (size_t)g->rule_count + 1, 1)};
    if (!l.related)
        return sx_fail_memory(err, "a group of rules");
    for (l.at = 0; l.at < g->rule_count; l.at++)
        walk(&l, g->rules[l.at].def->expr.expr);
    for (uint32_t i = 0; i < g->rule_count && !l.unknown; i++)
        g->rules[i].independent = !l.related[i];
    return SX_OK;
}

/* --- Life. */

static sx_status init_rule(rule_group *g, rule *r, const rule_def *def, bool restored,
                           sx_error *err)
{
    sx_buf text;
    r->def = def;
    r->restored = restored;
    r->last_evaluation_ms = RULE_NEVER;
    sx_buf_init(&r->last_error, 4096);
    sx_map64_init(&r->previous, NULL);
    sx_buf_init(&text, 0);
    sx_status st = promql_print(def->expr.expr, &text, err);
    if (st == SX_OK) {
        r->query = sx_arena_copy(&g->arena, sx_buf_view(&text));
        if (!r->query.data)
            st = sx_fail_memory(err, "a rule");
    }
    sx_buf_done(&text);
    sx_status templates = rule_alerts_init(r, &g->arena, err);
    return st == SX_OK ? templates : st;
}

sx_status rule_group_new(const rule_group_def *def, rule_source *source, const prom_config *config,
                         bool restore, rule_group **out, sx_error *err)
{
    rule_group *g = sx_calloc(1, sizeof *g);
    if (!g)
        return sx_fail_memory(err, "a group of rules");
    g->def = def;
    g->source = source;
    g->should_restore = restore;
    g->interval_ms = def->interval_ms ? def->interval_ms : config->evaluation_interval_ms;
    if (g->interval_ms <= 0)
        g->interval_ms = 60 * 1000;
    g->offset_ms = def->query_offset_ms >= 0 ? def->query_offset_ms : config->rule_query_offset_ms;
    g->last_evaluation_ms = RULE_NEVER;
    pthread_mutex_init(&g->lock, NULL);
    sx_arena_init(&g->arena, 0, 0);
    g->key = sx_arena_printf(&g->arena, "%.*s;%.*s", SX_ARG(def->file), SX_ARG(def->name));
    const tsdb_label names[] = {{SX_STR("file"), def->file}, {SX_STR("name"), def->name}};
    g->hash = tsdb_labels_hash((tsdb_labels){names, 2});
    g->rules = sx_arena_calloc(&g->arena, (size_t)def->rule_count + 1, sizeof *g->rules);
    sx_status st = g->rules && g->key.data ? SX_OK : sx_fail_memory(err, "a group of rules");
    if (st == SX_OK)
        st = tsdb_labels_copy(config->external_labels, &g->arena, &g->external_labels, err);
    for (uint32_t i = 0; st == SX_OK && i < def->rule_count; i++) {
        g->rule_count = i + 1;
        st = init_rule(g, &g->rules[i], &def->rules[i], !restore, err);
    }
    if (st == SX_OK)
        st = find_independent(g, err);
    if (st != SX_OK) {
        rule_group_free(g);
        return st;
    }
    *out = g;
    return SX_OK;
}

static void free_previous(rule *r)
{
    size_t cursor = 0;
    for (sx_map64_entry *e; (e = sx_map64_next(&r->previous, &cursor));)
        sx_free(e->ptr);
    sx_map64_done(&r->previous);
}

void rule_group_free(rule_group *g)
{
    if (!g)
        return;
    for (uint32_t i = 0; i < g->rule_count; i++) {
        rule_alerts_done(&g->rules[i]);
        free_previous(&g->rules[i]);
        sx_buf_done(&g->rules[i].last_error);
    }
    for (size_t i = 0; i < g->stale_count; i++)
        sx_free(g->stale[i]);
    sx_free(g->stale);
    pthread_mutex_destroy(&g->lock);
    sx_arena_done(&g->arena);
    sx_free(g);
}

/* --- Reloads. */

static bool same_rule(const rule *a, const rule *b)
{
    return sx_str_eq(a->def->name, b->def->name) &&
           tsdb_labels_equal(a->def->labels, b->def->labels);
}

bool rule_group_equal(const rule_group *a, const rule_group *b)
{
    bool same = sx_str_eq(a->key, b->key) && a->interval_ms == b->interval_ms &&
                a->offset_ms == b->offset_ms && a->def->limit == b->def->limit &&
                a->rule_count == b->rule_count &&
                tsdb_labels_equal(a->external_labels, b->external_labels);
    for (uint32_t i = 0; same && i < a->rule_count; i++) {
        const rule *x = &a->rules[i], *y = &b->rules[i];
        same = x->def->alert == y->def->alert && same_rule(x, y) && sx_str_eq(x->query, y->query) &&
               x->def->for_ms == y->def->for_ms &&
               x->def->keep_firing_for_ms == y->def->keep_firing_for_ms &&
               tsdb_labels_equal(x->def->annotations, y->def->annotations);
    }
    return same;
}

static sx_status add_stale(rule_group *g, rule_labels *l, sx_error *err)
{
    if (!sx_grow(&g->stale, &g->stale_cap, g->stale_count + 1, sizeof(rule_labels *)))
        return sx_fail_memory(err, "the series of a rule");
    g->stale[g->stale_count++] = l;
    return SX_OK;
}

/* Moves a rule's series to the list of those to be marked stale. */
static sx_status drop_series(rule_group *to, rule *from, sx_error *err)
{
    size_t cursor = 0;
    for (sx_map64_entry *e; (e = sx_map64_next(&from->previous, &cursor));) {
        sx_status st = add_stale(to, e->ptr, err);
        if (st != SX_OK)
            return st;
        sx_map64_remove(&from->previous, e->key);
    }
    return SX_OK;
}

/* The two rules are one before and after a reload. */
static void move_rule(rule *to, rule *from)
{
    sx_map64 previous = to->previous, by_hash = to->alerts_by_hash;
    to->previous = from->previous;
    from->previous = previous;
    to->writes = from->writes;
    if (!to->def->alert || !from->def->alert)
        return;
    to->alerts_by_hash = from->alerts_by_hash;
    from->alerts_by_hash = by_hash;
    to->alerts = from->alerts;
    to->alert_count = from->alert_count;
    to->alert_cap = from->alert_cap;
    to->turn = from->turn;
    from->alerts = NULL;
    from->alert_count = from->alert_cap = 0;
}

sx_status rule_group_take_state(rule_group *to, rule_group *from, sx_error *err)
{
    bool *taken = sx_calloc((size_t)from->rule_count + 1, sizeof *taken);
    if (!taken)
        return sx_fail_memory(err, "the state of a group");
    to->evaluation_ns = from->evaluation_ns;
    to->last_evaluation_ms = from->last_evaluation_ms;
    for (uint32_t i = 0; i < to->rule_count; i++) {
        for (uint32_t k = 0; k < from->rule_count; k++) {
            if (taken[k] || !same_rule(&to->rules[i], &from->rules[k]))
                continue;
            taken[k] = true;
            move_rule(&to->rules[i], &from->rules[k]);
            break;
        }
    }
    sx_status st = SX_OK;
    while (st == SX_OK && from->stale_count) {
        st = add_stale(to, from->stale[from->stale_count - 1], err);
        from->stale_count -= st == SX_OK;
    }
    for (uint32_t k = 0; st == SX_OK && k < from->rule_count; k++) {
        if (!taken[k])
            st = drop_series(to, &from->rules[k], err);
    }
    sx_free(taken);
    return st;
}

sx_status rule_group_take_series(rule_group *g, rule_labels ***out, size_t *count, sx_error *err)
{
    sx_status st = SX_OK;
    for (uint32_t i = 0; st == SX_OK && i < g->rule_count; i++)
        st = drop_series(g, &g->rules[i], err);
    *out = g->stale;
    *count = g->stale_count;
    g->stale = NULL;
    g->stale_count = g->stale_cap = 0;
    return st;
}

int64_t rule_group_slot(const rule_group *g, int64_t now)
{
    int64_t interval = g->interval_ms, offset = (int64_t)(g->hash % (uint64_t)interval);
    int64_t phase = (now - offset) % interval;
    return now - (phase < 0 ? phase + interval : phase);
}
