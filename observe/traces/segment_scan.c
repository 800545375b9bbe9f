/* segment_scan.c - a search in one segment: groups newest first, rows that match. */
#include <stdio.h>
#include <stdlib.h>

#include <sextant/mem.h>

#include "observe/traces/segment_scan.h"

enum { VISITS = 16 }; /* groups looked into by one call of tr_scan_traces */

struct tr_scan {
    tr_segment *segment;
    uint64_t min_ns, max_ns;
    uint64_t group; /* the next is the one before it */
    uint64_t
        *newest;     /* of each group and all before it, as far as the time bounds have any of it */
    scan_node *root; /* NULL: all match */
    sx_arena nodes, arena;
    tr_unpacker unpacker;
    tr_decoded ids;
    uint64_t visited; /* groups that were looked into */
    uint64_t *rows;   /* that matched in the group under way */
    size_t row_count, row_at, rows_cap;
    bool wants_traces;     /* else rows */
    tr_scan_trace *traces; /* that have rows that matched, in the group under way */
    size_t trace_count, traces_cap;
};

/* What a leaf costs, about: the cheap ones of a conjunction come first. */
static uint32_t leaf_cost(const span_filter *f)
{
    static const uint8_t FIELD[FILTER_FIELDS] = {
        [FILTER_STATUS] = 1,     [FILTER_KIND] = 1,          [FILTER_SERVICE] = 2,
        [FILTER_SCOPE_NAME] = 2, [FILTER_SCOPE_VERSION] = 2, [FILTER_NAME] = 3,
        [FILTER_DURATION] = 4,   [FILTER_START] = 4,         [FILTER_TRACE_ID] = 40,
        [FILTER_SPAN_ID] = 40,   [FILTER_PARENT_ID] = 40,
    };
    uint32_t cost = f->field < FILTER_FIELDS && FIELD[f->field] ? FIELD[f->field] : 8;
    return f->op == FILTER_MATCH || f->op == FILTER_NOT_MATCH ? 4 * cost : cost;
}

typedef struct key_types {
    sx_str key;
    uint32_t types;
    size_t listed;
} key_types;

static bool add_types(void *ctx, unsigned place, sx_str key, unsigned type)
{
    key_types *k = ctx;
    (void)place;
    k->listed++;
    if (sx_str_eq(key, k->key))
        k->types |= 1u << type;
    return true;
}

/* Which types an attribute has anywhere in the segment; all if the list is cut or cannot be read. */
static uint32_t types_of(const tr_segment *s, sx_str key)
{
    key_types k = {.key = key};
    if (tr_segment_keys(s, add_types, &k, NULL) != SX_OK || k.listed >= TR_KEYS_LISTED)
        return UINT32_MAX;
    return k.types;
}

static void ready_leaf(const tr_segment *s, scan_node *n)
{
    const span_filter *f = n->filter;
    n->cost = leaf_cost(f);
    n->key_hash = tr_text_hash(f->key);
    n->types = f->field == FILTER_ATTRIBUTE ? types_of(s, f->key) : 0;
    sx_str text = span_value_str(&f->value);
    if ((f->op == FILTER_EQ && f->value.type == SPAN_STR) || f->op == FILTER_TEXT) {
        n->wants_code = true;
        n->has_code = tr_segment_find_text(s, text, &n->code);
    }
    if (f->op == FILTER_TEXT && sx_str_to_i64(text, &n->number)) {
        char again[24]; /* "007" is no integer's text */
        int len = snprintf(again, sizeof again, "%lld", (long long)n->number);
        n->wants_int = sx_str_eq(sx_str_of(again, (size_t)len), text);
    }
}

static int by_cost(const void *a, const void *b)
{
    const scan_node *x = *(const scan_node *const *)a, *y = *(const scan_node *const *)b;
    return x->cost < y->cost ? -1 : x->cost > y->cost;
}

static scan_node *make_node(tr_scan *scan, const span_filter *f)
{
    scan_node *n = sx_arena_calloc(&scan->nodes, 1, sizeof *n);
    if (!n)
        return NULL;
    n->filter = f;
    if (f->kind == FILTER_LEAF) {
        ready_leaf(scan->segment, n);
        return n;
    }
    n->children = sx_arena_calloc(&scan->nodes, (size_t)f->child_count + 1, sizeof(void *));
    if (!n->children)
        return NULL;
    n->child_count = f->child_count;
    for (uint32_t i = 0; i < f->child_count; i++) {
        n->children[i] = make_node(scan, f->children[i]);
        if (!n->children[i])
            return NULL;
        n->cost += n->children[i]->cost;
    }
    if (n->child_count)
        qsort(n->children, n->child_count, sizeof *n->children, by_cost);
    return n;
}

static void free_verdicts(scan_node *n)
{
    if (!n)
        return;
    sx_free(n->verdicts);
    for (uint32_t i = 0; i < n->child_count; i++)
        free_verdicts(n->children[i]);
}

static bool overlaps(const tr_scan *scan, const tr_summary *sum)
{
    return sum->min_ns <= scan->max_ns && sum->max_ns >= scan->min_ns;
}

sx_status tr_scan_new(const tr_segment *s, const span_filter *filter, uint64_t min_ns,
                      uint64_t max_ns, tr_scan **out, sx_error *err)
{
    tr_scan *scan = sx_calloc(1, sizeof *scan);
    *out = NULL;
    if (!scan)
        return sx_fail_memory(err, "a search");
    scan->segment = tr_segment_ref((tr_segment *)(uintptr_t)s); /* counted, else untouched */
    scan->min_ns = min_ns;
    scan->max_ns = max_ns;
    scan->group = s->info.groups;
    sx_arena_init(&scan->nodes, 0, 0);
    sx_arena_init(&scan->arena, TR_ARENA_CHUNK, 0);
    sx_arena_init(&scan->ids.arena, 1 << 18, 0);
    scan->newest = sx_alloc((s->info.groups + 1) * sizeof *scan->newest);
    scan->root = filter ? make_node(scan, filter) : NULL;
    if (!scan->newest || (filter && !scan->root)) {
        tr_scan_free(scan);
        return sx_fail_memory(err, "a search");
    }
    uint64_t newest = 0;
    for (uint64_t g = 0; g < s->info.groups; g++) {
        scan->newest[g] = newest; /* of those before it: it has been visited then */
        if (overlaps(scan, &s->groups[g]) && s->groups[g].max_ns > newest)
            newest = s->groups[g].max_ns;
    }
    scan->newest[s->info.groups] = newest;
    *out = scan;
    return SX_OK;
}

void tr_scan_free(tr_scan *scan)
{
    if (!scan)
        return;
    free_verdicts(scan->root);
    sx_arena_done(&scan->nodes);
    sx_arena_done(&scan->arena);
    sx_arena_done(&scan->ids.arena);
    tr_unpacker_done(&scan->unpacker);
    sx_free(scan->rows);
    sx_free(scan->traces);
    sx_free(scan->newest);
    tr_segment_unref(scan->segment);
    sx_free(scan);
}

uint64_t tr_scan_newest(const tr_scan *scan)
{
    uint64_t newest = scan->newest[scan->group];
    return newest < scan->max_ns ? newest : scan->max_ns;
}

/* Takes away rows that begin outside the time asked for. */
static sx_status in_time(const tr_scan *scan, scan_group *sg, uint8_t *hits)
{
    if (sg->g.sum->min_ns >= scan->min_ns && sg->g.sum->max_ns <= scan->max_ns)
        return SX_OK;
    sx_status status = tr_group_starts(&sg->g, &sg->starts, sg->err);
    for (uint32_t i = 0; status == SX_OK && i < sg->g.head.rows; i++)
        hits[i] = sg->starts[i] >= scan->min_ns && sg->starts[i] <= scan->max_ns;
    return status;
}

/* Each trace with a row that matched, by the latest start of those. Starts are unpacked only if there
 * is one; ids lie open in the file. */
static sx_status gather_traces(tr_scan *scan, scan_group *sg, const uint8_t *hits)
{
    const tr_group *g = &sg->g;
    const uint8_t *ids = g->data + g->offsets[TR_C_TRACE_IDS],
                  *runs = g->data + g->offsets[TR_C_RUNS];
    if (!memchr(hits, 1, g->head.rows))
        return SX_OK;
    sx_status status = sg->starts ? SX_OK : tr_group_starts(g, &sg->starts, sg->err);
    if (status == SX_OK &&
        !sx_grow(&scan->traces, &scan->traces_cap, g->head.traces, sizeof *scan->traces))
        status = sx_fail_memory(sg->err, "a search");
    for (uint32_t t = 0, at = 0; t < g->head.traces && status == SX_OK; t++) {
        uint16_t run;
        uint64_t newest = 0;
        bool any = false;
        memcpy(&run, runs + 2 * (size_t)t, sizeof run);
        for (uint32_t end = at + run; at < end; at++)
            if (hits[at]) {
                any = true;
                newest = sg->starts[at] > newest ? sg->starts[at] : newest;
            }
        if (!any)
            continue;
        tr_scan_trace *found = &scan->traces[scan->trace_count++];
        memcpy(found->trace_id, ids + 16 * (size_t)t, 16);
        found->newest_ns = newest;
    }
    return status;
}

static sx_status visit(tr_scan *scan, uint64_t group, sx_error *err)
{
    const tr_summary *sum = &scan->segment->groups[group];
    bool may = true;
    sx_status status = SX_OK;
    if (!overlaps(scan, sum))
        return SX_OK;
    if (scan->root)
        status = tr_scan_may(scan->segment, group, scan->root, &may, err);
    if (status != SX_OK || !may)
        return status;
    scan_group sg = {.arena = &scan->arena, .err = err, .ids = &scan->ids};
    sx_arena_reset(&scan->arena);
    scan->visited++;
    status = tr_group_open(&sg.g, scan->segment, group, &scan->arena, &scan->unpacker, err);
    if (status != SX_OK)
        return status;
    uint8_t *hits = sx_arena_alloc(&scan->arena, sum->rows);
    if (!hits || !sx_grow(&scan->rows, &scan->rows_cap, sum->rows, sizeof *scan->rows))
        return sx_fail_memory(err, "a search");
    memset(hits, 1, sum->rows);
    status = in_time(scan, &sg, hits);
    if (status == SX_OK && scan->root)
        status = tr_scan_eval(&sg, scan->root, hits);
    if (status == SX_OK && scan->wants_traces)
        return gather_traces(scan, &sg, hits);
    for (uint32_t i = 0; status == SX_OK && i < sum->rows; i++)
        if (hits[i])
            scan->rows[scan->row_count++] = sum->first_row + i;
    return status;
}

sx_status tr_scan_next(tr_scan *scan, uint64_t *rows, size_t cap, size_t *count, sx_error *err)
{
    *count = 0;
    while (scan->row_at == scan->row_count) {
        if (scan->group == 0)
            return SX_OK;
        scan->row_at = scan->row_count = 0;
        sx_status status = visit(scan, --scan->group, err);
        if (status != SX_OK) {
            scan->row_count = 0;
            return status;
        }
    }
    size_t left = scan->row_count - scan->row_at;
    *count = left < cap ? left : cap;
    memcpy(rows, scan->rows + scan->row_at, *count * sizeof *rows);
    scan->row_at += *count;
    return SX_OK;
}

sx_status tr_scan_traces(tr_scan *scan, const tr_scan_trace **out, size_t *count, sx_error *err)
{
    scan->wants_traces = true;
    scan->trace_count = 0;
    *count = 0;
    for (unsigned left = VISITS; left > 0 && scan->group > 0 && scan->trace_count == 0; left--) {
        uint64_t visited = scan->visited;
        sx_status status = visit(scan, --scan->group, err);
        if (status != SX_OK)
            return status;
        left += visited == scan->visited; /* passed over */
    }
    *out = scan->traces;
    *count = scan->trace_count;
    return SX_OK;
}
