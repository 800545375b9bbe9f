/* eval_group.c - series into groups by their labels, once for all steps. */
#include <string.h>

#include <sextant/hash.h>

#include "observe/promql/eval.h"

enum { FEW_NAMES = 8 };

/* Grouping by a few labels meets the same values again and again, and a store that interns them gives
 * the same pointers: they are looked up by pointer first, by contents only when the pointers are new. */
typedef struct by_pointers {
    const sx_str *names;
    size_t count;
    uint32_t at[FEW_NAMES]; /* where the label was in the series before */
    sx_map64 groups;
} by_pointers;

static const tsdb_label *find_label(tsdb_labels l, sx_str name, uint32_t *at)
{
    if (*at < l.count) {
        sx_str here = l.items[*at].name;
        if (here.len == name.len && memcmp(here.data, name.data, name.len) == 0)
            return &l.items[*at];
    }
    for (uint32_t i = 0; i < l.count; i++) {
        if (sx_str_eq(l.items[i].name, name)) {
            *at = i;
            return &l.items[i];
        }
    }
    return NULL;
}

static uint64_t pointer_hash(by_pointers *p, tsdb_labels l)
{
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (size_t k = 0; k < p->count; k++) {
        const tsdb_label *found = find_label(l, p->names[k], &p->at[k]);
        h = sx_hash_u64(
            found ? (uint64_t)(uintptr_t)found->value.data + (found->value.len << 48) : 1, h);
    }
    return h;
}

typedef struct grouping {
    eval_run *run;
    const promql_expr *expr;
    const sx_str *names; /* sorted */
    size_t count;
    sx_map64 groups; /* by the hash of contents */
    tsdb_labels *labels;
    size_t cap;
    eval_groups *out;
} grouping;

static tsdb_labels group_labels(grouping *g, tsdb_labels l)
{
    if (!g->expr->aggregate.without)
        return eval_labels_by(g->run, l, g->names, g->count);
    sx_str name = TSDB_METRIC_NAME;
    l = eval_labels_without(g->run, l, g->names, g->count);
    return eval_labels_without(g->run, l, &name, 1);
}

/* The group of a series by the contents of its labels. False: out of memory. */
static bool group_by_contents(grouping *g, tsdb_labels l, uint32_t *group)
{
    uint64_t hash = g->expr->aggregate.without ? tsdb_labels_hash_without(l, g->names, g->count)
                                               : tsdb_labels_hash_by(l, g->names, g->count);
    bool added;
    sx_map64_entry *e = sx_map64_put(&g->groups, hash, &added);
    if (!e)
        return eval_no_memory(g->run) != NULL;
    if (added) {
        e->u64 = g->out->count;
        if (!sx_arena_grow(&g->run->arena, &g->labels, &g->cap, (size_t)g->out->count + 1,
                           sizeof *g->labels))
            return eval_no_memory(g->run) != NULL;
        g->labels[g->out->count++] = group_labels(g, l);
    }
    *group = (uint32_t)e->u64;
    return true;
}

static bool number_groups(grouping *g, const eval_node *n)
{
    by_pointers p = {.names = g->names, .count = g->count};
    bool quick = !g->expr->aggregate.without && g->count <= FEW_NAMES, ok = true;
    sx_map64_init(&p.groups, NULL);
    for (size_t i = 0; ok && i < n->count; i++) {
        if (!quick) {
            ok = group_by_contents(g, n->labels[i], &g->out->of[i]);
            continue;
        }
        bool added;
        sx_map64_entry *e = sx_map64_put(&p.groups, pointer_hash(&p, n->labels[i]), &added);
        if (!e) {
            ok = eval_no_memory(g->run) != NULL;
            break;
        }
        if (added) {
            uint32_t group = 0;
            ok = group_by_contents(g, n->labels[i], &group);
            e->u64 = group;
        }
        g->out->of[i] = (uint32_t)e->u64;
    }
    sx_map64_done(&p.groups);
    return ok;
}

static bool order_by_group(eval_run *run, const eval_node *n, eval_groups *out)
{
    out->from = eval_zero(run, (size_t)out->count + 2, sizeof *out->from);
    out->order = eval_alloc(run, n->count, sizeof *out->order);
    if (!out->from || !out->order)
        return false;
    for (size_t i = 0; i < n->count; i++)
        out->from[out->of[i] + 2]++;
    for (uint32_t g = 0; g < out->count; g++)
        out->from[g + 2] += out->from[g + 1];
    for (size_t i = 0; i < n->count; i++)
        out->order[out->from[out->of[i] + 1]++] = (uint32_t)i;
    return true;
}

bool eval_group(eval_run *run, const promql_expr *aggregate, const eval_node *n, eval_groups *out)
{
    *out = (eval_groups){0};
    grouping g = {.run = run, .expr = aggregate, .count = aggregate->aggregate.label_count};
    g.out = out;
    g.names = eval_sorted(run, aggregate->aggregate.labels, g.count);
    out->of = eval_zero(run, n->count, sizeof *out->of);
    if (!g.names || !out->of)
        return false;
    sx_map64_init(&g.groups, NULL);
    bool ok = number_groups(&g, n);
    sx_map64_done(&g.groups);
    out->labels = g.labels;
    if (!ok || eval_failed(run) || !order_by_group(run, n, out))
        return false;
    if (n->drop) {
        uint8_t *drop = eval_zero(run, out->count, 1);
        for (size_t i = 0; drop && i < n->count; i++)
            drop[out->of[i]] |= n->drop[i];
        out->drop = drop;
        return drop != NULL;
    }
    return true;
}
