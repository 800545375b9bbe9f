/* eval_pick.c - aggregations that pick among their series, topk, bottomk, limitk and limit_ratio, and
 * count_values, which makes series of values. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/hash.h>
#include <sextant/number.h>
#include <sextant/utf8.h>

#include "observe/promql/eval.h"

enum { RUNS = 8, ENTRIES_MAX = 1 << 20 };

/* --- Parameters. */

/* The k of each step as a count; *most their greatest. False: the query has failed. */
static bool counts_of(eval_run *run, const eval_node *param, size_t series, uint32_t **out,
                      uint32_t *most)
{
    size_t steps = param->times->steps;
    uint32_t *k = eval_alloc(run, steps, sizeof *k);
    double high = -INFINITY;
    *most = 0;
    for (size_t i = 0; i < steps; i++)
        high = param->scalar[i] > high ? param->scalar[i] : high;
    for (size_t i = 0; k && i < steps; i++) {
        double v = param->scalar[i];
        char text[SX_DOUBLE_BYTES];
        if (isnan(v))
            return eval_fail(run, PROMQL_ERROR_EXECUTION, "Parameter value is NaN") != NULL;
        sx_double_format(v, SX_DOUBLE_GO, text);
        if (high >= 1 && v <= -9223372036854775808.0)
            return eval_fail(run, PROMQL_ERROR_EXECUTION, "Scalar value %s underflows int64",
                             text) != NULL;
        if (v >= 9223372036854775808.0)
            return eval_fail(run, PROMQL_ERROR_EXECUTION, "Scalar value %s overflows int64",
                             text) != NULL;
        k[i] = v<1 ? 0 : v>(double) series ? (uint32_t)series : (uint32_t)v;
        if (k[i] > *most)
            *most = k[i];
    }
    *out = k;
    return k != NULL;
}

/* --- topk and bottomk. */

typedef struct entry {
    double v;
    uint32_t series;
} entry;

typedef struct picking {
    eval_run *run;
    const promql_expr *expr;
    const eval_node *from;
    eval_groups groups;
    size_t steps;
    uint32_t room;     /* entries of a heap */
    const uint32_t *k; /* of each step */
    bool top;
    unsigned runs;
    entry *entries; /* [run][group][step][room], a heap with the worst at its root */
    uint32_t *used; /* [run][group][step] */
} picking;

/* Whether a comes before b in the result. NaN is last; of equal values the earlier series is first. */
static bool better(bool top, entry a, entry b)
{
    bool an = isnan(a.v), bn = isnan(b.v);
    if (an != bn)
        return bn;
    if (!an && a.v != b.v)
        return top ? a.v > b.v : a.v < b.v;
    return a.series < b.series;
}

static void sink(bool top, entry *heap, uint32_t used, uint32_t at)
{
    for (;;) {
        uint32_t worst = at, left = 2 * at + 1, right = left + 1;
        if (left < used && better(top, heap[worst], heap[left]))
            worst = left;
        if (right < used && better(top, heap[worst], heap[right]))
            worst = right;
        if (worst == at)
            return;
        entry e = heap[at];
        heap[at] = heap[worst];
        heap[worst] = e;
        at = worst;
    }
}

static void offer(bool top, entry *heap, uint32_t *used, uint32_t k, entry e)
{
    if (*used == k) { /* HOT: nearly all of many series are no better than the worst */
        if (k > 0 && better(top, e, heap[0])) {
            heap[0] = e;
            sink(top, heap, k, 0);
        }
        return;
    }
    uint32_t at = (*used)++;
    heap[at] = e;
    while (at > 0 && better(top, heap[(at - 1) / 2], heap[at])) {
        uint32_t up = (at - 1) / 2;
        e = heap[at];
        heap[at] = heap[up];
        heap[up] = e;
        at = up;
    }
}

static void pick_series(void *ctx, eval_worker *w, unsigned part, size_t i, unsigned have,
                        const double *v, const tsdb_histogram *const *h)
{
    picking *p = ctx;
    size_t row = ((p->runs > 1 ? (size_t)part * p->groups.count : 0) + p->groups.of[i]) * p->steps;
    for (size_t k = 0; (have & EVAL_FLOATS) && k < p->steps; k++) {
        if (!eval_is_absent(v[k]))
            offer(p->top, p->entries + (row + k) * p->room, &p->used[row + k], p->k[k],
                  (entry){v[k], (uint32_t)i});
    }
    for (size_t k = 0; (have & EVAL_HISTOGRAMS) && k < p->steps; k++) {
        if (h[k])
            eval_note_add(w, p->from, p->expr, EVAL_NOTE_IGNORED_AGGREGATE,
                          sx_str_z(promql_op_name(p->expr->aggregate.op)), (sx_str){0});
    }
}

/* All runs into the first; the order of series decides among equals, so runs may come in any. */
static void join_picks(picking *p)
{
    size_t cells = (size_t)p->groups.count * p->steps;
    for (unsigned r = 1; r < p->runs; r++) {
        for (size_t c = 0; c < cells; c++) {
            const entry *from = p->entries + (r * cells + c) * p->room;
            for (uint32_t j = 0; j < p->used[r * cells + c]; j++)
                offer(p->top, p->entries + c * p->room, &p->used[c], p->k[c % p->steps], from[j]);
        }
    }
}

/* Best first: the worst is taken from the root again and again. */
static void sort_heap(bool top, entry *heap, uint32_t used)
{
    while (used > 1) {
        entry worst = heap[0];
        heap[0] = heap[--used];
        sink(top, heap, used, 0);
        heap[used] = worst;
    }
}

static eval_node *picked(picking *p, const eval_times *times)
{
    eval_run *run = p->run;
    size_t cells = (size_t)p->groups.count * p->steps, total = 0;
    uint32_t *row_of = eval_alloc(run, p->from->count, sizeof *row_of);
    for (size_t c = 0; c < cells; c++)
        total += p->used[c];
    size_t rows = total < p->from->count ? total : p->from->count;
    eval_stored *s = row_of ? eval_stored_new(run, p->expr, times, rows) : NULL;
    uint8_t *drop = p->from->drop ? eval_zero(run, rows, 1) : NULL;
    if (!s || (p->from->drop && !drop))
        return NULL;
    memset(row_of, 0xff, p->from->count * sizeof *row_of);
    size_t count = 0;
    for (size_t c = 0; c < cells; c++) {
        entry *heap = p->entries + c * p->room;
        sort_heap(p->top, heap, p->used[c]);
        for (uint32_t j = 0; j < p->used[c]; j++) {
            uint32_t i = heap[j].series, row = row_of[i];
            if (row == UINT32_MAX) {
                row = row_of[i] = (uint32_t)count++;
                ((tsdb_labels *)s->node.labels)[row] = p->from->labels[i];
                if (drop)
                    drop[row] = p->from->drop[i];
                if (!(s->v[row] = eval_absent_row(run, p->steps)))
                    return NULL;
            }
            s->v[row][c % p->steps] = heap[j].v;
        }
    }
    s->node.count = count;
    s->node.drop = drop;
    s->node.one_name = p->from->one_name;
    s->node.distinct = p->from->distinct;
    return eval_hold_samples(run, (int64_t)total) ? &s->node : NULL;
}

static eval_node *pick_extremes(eval_run *run, const promql_expr *e, eval_node *from,
                                eval_groups groups, const uint32_t *k, uint32_t most,
                                const eval_times *times)
{
    picking p = {.run = run,
                 .expr = e,
                 .from = from,
                 .groups = groups,
                 .steps = times->steps,
                 .room = most,
                 .k = k,
                 .top = e->aggregate.op == PROMQL_AGG_TOPK,
                 .runs = 1};
    size_t cells = (size_t)groups.count * times->steps;
    /* A group never has more than its series. */
    size_t largest = 0;
    for (uint32_t g = 0; g < groups.count; g++) {
        size_t size = groups.from[g + 1] - groups.from[g];
        largest = size > largest ? size : largest;
    }
    if (p.room > largest)
        p.room = (uint32_t)largest;
    if (cells * p.room * RUNS <= ENTRIES_MAX && from->count >= RUNS * 64)
        p.runs = RUNS;
    p.entries = eval_alloc(run, cells * p.room * p.runs, sizeof *p.entries);
    p.used = p.entries ? eval_zero(run, cells * p.runs, sizeof *p.used) : NULL;
    if (!p.used || !eval_each(run, from, p.runs, pick_series, &p))
        return NULL;
    join_picks(&p);
    return picked(&p, times);
}

/* --- limitk: the first so many. */

static eval_node *pick_first(eval_run *run, const promql_expr *e, eval_node *from,
                             eval_groups groups, const uint32_t *k, const eval_times *times)
{
    eval_stored *held = eval_stored_all(run, from);
    eval_stored *s = held ? eval_stored_new(run, e, times, from->count) : NULL;
    if (!s)
        return NULL;
    for (uint32_t g = 0; g < groups.count; g++) {
        for (size_t step = 0; step < times->steps; step++) {
            uint32_t left = k[step];
            for (size_t j = groups.from[g]; left > 0 && j < groups.from[g + 1]; j++) {
                size_t i = groups.order[j];
                if (!eval_has(held, i, step))
                    continue;
                left--;
                const tsdb_histogram *h = eval_h(held, i, step);
                if (h && !s->h[i] && !(s->h[i] = eval_zero(run, times->steps, sizeof **s->h)))
                    return NULL;
                if (h) {
                    s->h[i][step] = h;
                    continue;
                }
                if (!s->v[i] && !(s->v[i] = eval_absent_row(run, times->steps)))
                    return NULL;
                s->v[i][step] = held->v[i][step];
            }
        }
    }
    s->node.labels = from->labels;
    s->node.drop = from->drop;
    s->node.one_name = from->one_name;
    s->node.distinct = from->distinct;
    return &s->node;
}

/* --- limit_ratio: those whose labels' hash is in the share. */

typedef struct ratio_node {
    eval_node node;
    eval_node *from;
    const double *ratio;
    const double *place; /* of each series, 0 to 1 */
} ratio_node;

/* --- Prometheus's hash of a label set, XXH64 over names and values with their lengths, so that the
 * same series are picked. Source: the xxHash specification, XXH64. */

static const uint64_t PRIME[] = {0,
                                 0x9e3779b185ebca87u,
                                 0xc2b2ae3d27d4eb4fu,
                                 0x165667b19e3779f9u,
                                 0x85ebca77c2b2ae63u,
                                 0x27d4eb2f165667c5u};

static uint64_t turn(uint64_t v, int bits)
{
    return (v << bits) | (v >> (64 - bits));
}

static uint64_t read_le(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static uint64_t mix_lane(uint64_t lane, uint64_t input)
{
    return turn(lane + input * PRIME[2], 31) * PRIME[1];
}

static uint64_t xxh64(const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len;
    uint64_t h = PRIME[5];
    if (len >= 32) {
        uint64_t lane[4] = {PRIME[1] + PRIME[2], PRIME[2], 0, 0 - PRIME[1]};
        for (; end - p >= 32; p += 32) {
            for (int i = 0; i < 4; i++)
                lane[i] = mix_lane(lane[i], read_le(p + 8 * i, 8));
        }
        h = turn(lane[0], 1) + turn(lane[1], 7) + turn(lane[2], 12) + turn(lane[3], 18);
        for (int i = 0; i < 4; i++)
            h = (h ^ mix_lane(0, lane[i])) * PRIME[1] + PRIME[4];
    }
    h += len;
    for (; end - p >= 8; p += 8)
        h = turn(h ^ mix_lane(0, read_le(p, 8)), 27) * PRIME[1] + PRIME[4];
    if (end - p >= 4) {
        h = turn(h ^ read_le(p, 4) * PRIME[1], 23) * PRIME[2] + PRIME[3];
        p += 4;
    }
    for (; p < end; p++)
        h = turn(h ^ *p * PRIME[5], 11) * PRIME[1];
    h = (h ^ h >> 33) * PRIME[2];
    h = (h ^ h >> 29) * PRIME[3];
    return h ^ h >> 32;
}

static void put_sized(sx_buf *out, sx_str s)
{
    if (s.len < 255) {
        sx_buf_byte(out, (char)s.len);
    } else {
        sx_buf_byte(out, (char)255);
        for (int i = 0; i < 24; i += 8)
            sx_buf_byte(out, (char)(s.len >> i));
    }
    sx_buf_str(out, s);
}

static const double *places(eval_run *run, const eval_node *n)
{
    double *place = eval_alloc(run, n->count, sizeof *place);
    sx_buf text;
    sx_buf_init(&text, 0);
    for (size_t i = 0; place && i < n->count; i++) {
        sx_buf_clear(&text);
        for (uint32_t k = 0; k < n->labels[i].count; k++) {
            put_sized(&text, n->labels[i].items[k].name);
            put_sized(&text, n->labels[i].items[k].value);
        }
        if (text.failed)
            place = eval_no_memory(run);
        else
            place[i] = (double)xxh64((const uint8_t *)text.data, text.len) / 18446744073709551616.0;
    }
    sx_buf_done(&text);
    return place;
}

static unsigned ratio_fill(const eval_node *node, eval_worker *w, size_t i, double *v,
                           const tsdb_histogram **h)
{
    const ratio_node *n = (const ratio_node *)(const void *)node;
    double place = n->place[i];
    unsigned have = n->from->fill(n->from, w, i, v, h);
    for (size_t k = 0; have && k < node->times->steps; k++) {
        double r = n->ratio[k] > 1 ? 1 : n->ratio[k] < -1 ? -1 : n->ratio[k];
        if ((r >= 0 && place < r) || (r < 0 && place >= 1 + r))
            continue;
        if (have & EVAL_FLOATS)
            v[k] = eval_absent();
        if (have & EVAL_HISTOGRAMS)
            h[k] = NULL;
    }
    return have;
}

static eval_node *pick_ratio(eval_run *run, const promql_expr *e, eval_node *from,
                             const eval_node *param, const eval_times *times)
{
    double least = 0, most = 0;
    for (size_t k = 0; k < times->steps; k++) {
        if (isnan(param->scalar[k]))
            return eval_fail(run, PROMQL_ERROR_EXECUTION, "Ratio value is NaN");
        least = fmin(least, param->scalar[k]);
        most = fmax(most, param->scalar[k]);
    }
    const promql_expr *where = eval_bare(e->aggregate.param);
    if (most > 1)
        eval_note_numbers(eval_main(run), where, EVAL_NOTE_RATIO, most, 1);
    if (least < -1)
        eval_note_numbers(eval_main(run), where, EVAL_NOTE_RATIO, least, -1);
    ratio_node *n = eval_node_new(run, sizeof *n, e, times);
    if (!n)
        return NULL;
    n->from = from;
    n->ratio = param->scalar;
    if (!(n->place = places(run, from)))
        return NULL;
    n->node.count = from->count;
    n->node.labels = from->labels;
    n->node.drop = from->drop;
    n->node.one_name = from->one_name;
    n->node.distinct = from->distinct;
    n->node.fill = ratio_fill;
    return &n->node;
}

static void pick_nothing(void *ctx, eval_worker *w, unsigned part, size_t i, unsigned have,
                         const double *v, const tsdb_histogram *const *h)
{
    (void)ctx;
    (void)w;
    (void)part;
    (void)i;
    (void)have;
    (void)v;
    (void)h;
}

eval_node *eval_pick(eval_run *run, const promql_expr *e, const eval_times *times)
{
    int64_t before = atomic_load_explicit(&run->samples, memory_order_relaxed);
    const eval_node *param = eval_scalar(run, e->aggregate.param, times);
    eval_node *from = param ? eval_build(run, e->aggregate.expr, times) : NULL, *n = NULL;
    eval_groups groups;
    uint32_t *k = NULL, most = 0;
    if (!from || !eval_group(run, e, from, &groups))
        return NULL;
    if (e->aggregate.op == PROMQL_AGG_LIMIT_RATIO)
        return pick_ratio(run, e, from, param, times);
    if (!counts_of(run, param, from->count, &k, &most))
        return NULL;
    if (most == 0) { /* nothing is picked, but there may be notes */
        eval_stored *none = eval_stored_new(run, e, times, 0);
        return none && eval_each(run, from, 1, pick_nothing, NULL) ? &none->node : NULL;
    }
    if (e->aggregate.op == PROMQL_AGG_LIMITK)
        n = pick_first(run, e, from, groups, k, times);
    else
        n = pick_extremes(run, e, from, groups, k, most, times);
    eval_hold_samples(run, before - atomic_load_explicit(&run->samples, memory_order_relaxed));
    return n;
}

/* --- count_values. */

typedef struct counting {
    eval_run *run;
    const promql_expr *expr;
    eval_groups groups;
    sx_str label;
    bool add_label;
    size_t steps;
    sx_map64 by_value;  /* group and bits of the value: output series */
    sx_map64 by_labels; /* the same by the labels it has */
    tsdb_labels *labels;
    size_t labels_cap, count;
    double **rows;
    size_t rows_cap;
    bool failed;
} counting;

static double *count_row(counting *c, uint32_t group, sx_str text)
{
    sx_str copy = sx_arena_copy(&c->run->arena, text);
    tsdb_labels l = c->groups.labels[group];
    if (!copy.data)
        return eval_no_memory(c->run);
    if (c->add_label)
        l = eval_labels_with(c->run, l, c->label, copy);
    bool added;
    sx_map64_entry *e = sx_map64_put(&c->by_labels, tsdb_labels_hash(l), &added);
    if (!e || eval_failed(c->run))
        return eval_no_memory(c->run);
    if (!added)
        return c->rows[e->u64];
    e->u64 = c->count;
    sx_arena *arena = &c->run->arena;
    if (!sx_arena_grow(arena, &c->labels, &c->labels_cap, c->count + 1, sizeof *c->labels) ||
        !sx_arena_grow(arena, &c->rows, &c->rows_cap, c->count + 1, sizeof *c->rows))
        return eval_no_memory(c->run);
    double *row = eval_absent_row(c->run, c->steps);
    if (!row)
        return NULL;
    c->labels[c->count] = l;
    c->rows[c->count++] = row;
    return row;
}

static void count_one(counting *c, uint32_t group, size_t step, double v, const tsdb_histogram *h)
{
    uint64_t bits;
    double *row = NULL;
    sx_map64_entry *e = NULL;
    if (!h) {
        memcpy(&bits, &v, sizeof bits);
        bool added;
        /* The group is mixed first: a small number would meet the low bits of near values. */
        uint64_t key = sx_hash_u64(bits, sx_hash_u64(group, 0));
        e = sx_map64_put(&c->by_value, key, &added);
        if (!e) {
            eval_no_memory(c->run);
            return;
        }
        row = added ? NULL : e->ptr;
    }
    if (!row) {
        char text[SX_DOUBLE_FIXED_BYTES];
        sx_buf long_text;
        sx_buf_init(&long_text, 0);
        if (h) {
            tsdb_histogram_print(h, &long_text, NULL);
            row = long_text.failed ? eval_no_memory(c->run)
                                   : count_row(c, group, sx_buf_view(&long_text));
        } else {
            row = count_row(c, group, sx_str_of(text, sx_double_plain(v, text)));
            e->ptr = row;
        }
        sx_buf_done(&long_text);
    }
    if (row)
        row[step] = eval_is_absent(row[step]) ? 1 : row[step] + 1;
}

static void count_series(void *ctx, eval_worker *w, unsigned part, size_t i, unsigned have,
                         const double *v, const tsdb_histogram *const *h)
{
    (void)part;
    counting *c = ctx;
    uint32_t group = c->groups.of[i];
    for (size_t k = 0; k < c->steps && !eval_failed(w->run); k++) {
        if ((have & EVAL_HISTOGRAMS) && h[k])
            count_one(c, group, k, 0, h[k]);
        else if ((have & EVAL_FLOATS) && !eval_is_absent(v[k]))
            count_one(c, group, k, v[k], NULL);
    }
}

static void *fail_label(eval_run *run, sx_str name)
{
    sx_buf quoted;
    sx_buf_init(&quoted, 0);
    tsdb_quote(name, &quoted);
    eval_fail(run, PROMQL_ERROR_EXECUTION, "invalid label name %.*s", SX_ARG(sx_buf_view(&quoted)));
    sx_buf_done(&quoted);
    return NULL;
}

eval_node *eval_count_values(eval_run *run, const promql_expr *e, const eval_times *times)
{
    counting c = {.run = run, .expr = e, .steps = times->steps, .add_label = true};
    c.label = eval_bare(e->aggregate.param)->string;
    if (c.label.len == 0 || !sx_utf8_valid(c.label))
        return fail_label(run, c.label);
    for (uint32_t k = 0; e->aggregate.without && k < e->aggregate.label_count; k++)
        c.add_label &= !sx_str_eq(e->aggregate.labels[k], c.label);
    eval_node *from = eval_build(run, e->aggregate.expr, times);
    if (!from || !eval_group(run, e, from, &c.groups))
        return NULL;
    sx_map64_init(&c.by_value, NULL);
    sx_map64_init(&c.by_labels, NULL);
    bool ok = eval_each(run, from, 1, count_series, &c);
    sx_map64_done(&c.by_value);
    sx_map64_done(&c.by_labels);
    eval_stored *s = ok ? eval_stored_new(run, e, times, c.count) : NULL;
    if (!s)
        return NULL;
    for (size_t i = 0; i < c.count; i++) {
        s->v[i] = c.rows[i];
        ((tsdb_labels *)s->node.labels)[i] = c.labels[i];
    }
    s->node.distinct = true;
    return &s->node;
}
