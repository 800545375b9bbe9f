/* search.c - which traces match, newest first; all spans of a trace; all spans that match.
 *
 * Every memtable and every segment is a source that gives matching rows in steps and says how new
 * what it has left can be. Rows found wait in a heap, the newest on top; the top is given out once it
 * is newer than all that any source may still bring, so most searches look at a few groups of the
 * newest sources and stop. A search that finds little must look at all: after the first steps the
 * sources that are due are stepped by several threads at once.
 *
 * A trace is given once, by its newest matching span. Pages: a search `after` a hit begins at its
 * time; a trace found there is passed over if it has a matching span that is newer (it was on an
 * earlier page), which is looked up by its id: so a page costs the same however far back it is. */
#include <pthread.h>
#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "base/mem_account.h"
#include "observe/traces/store_impl.h"

enum { STEP_ROWS = 8192, ALONE_STEPS = 4, TOGETHER_STEPS = 4, THREADS_MAX = 16, READ_ROWS = 1024 };

typedef struct source {
    tr_memtable *table; /* one of the two */
    tr_piece *piece;
    uint64_t newest; /* of what is left; 0: nothing */
    /* of a memtable */
    tr_match *match;
    uint32_t left; /* rows not looked at yet, from the front */
    tr_snapshot now;
    sx_arena arena;
    /* of a segment */
    tr_scan *scan;
    uint64_t *rows;
    /* found in this step */
    tr_hit *found;
    size_t found_count, found_cap;
    uint64_t looked;
    sx_status status;
    sx_error err;
} source;

typedef struct search {
    tr_store *s;
    const tr_search *q;
    uint64_t min_ns, max_ns;
    tr_view *view;
    source *sources;
    size_t count;
    tr_hit *heap;
    size_t heap_count, heap_cap;
    tr_hit *seen; /* open addressing by trace id; newest_ns 0: free, as UINT64_MAX marks others */
    size_t seen_count, seen_mask;
    uint64_t looked;
} search;

/* --- Sources. */

static void source_begin(const search *g, source *x)
{
    if (x->table) {
        sx_arena_init(&x->arena, 64 << 10, 0);
        x->now = tr_memtable_now(x->table);
        x->left = x->now.rows;
        if (x->left == 0 || x->now.min_ns > g->max_ns || x->now.max_ns < g->min_ns)
            x->left = 0;
        x->newest = tr_memtable_newest(x->table, x->left);
    } else if (x->piece->min_ns <= g->max_ns && x->piece->max_ns >= g->min_ns) {
        x->newest = x->piece->max_ns;
    }
    if (x->newest > g->max_ns)
        x->newest = g->max_ns;
    if (x->newest < g->min_ns)
        x->newest = 0;
    else if (x->newest == 0 && g->min_ns == 0 && (x->piece || x->left))
        x->newest = 1; /* spans of the first nanosecond of 1970 */
}

static void source_end(source *x)
{
    tr_scan_free(x->scan);
    sx_arena_done(&x->arena);
    sx_free(x->rows);
    sx_free(x->found);
}

static bool find(source *x, const uint8_t trace_id[16], uint64_t start_ns)
{
    if (!sx_grow(&x->found, &x->found_cap, x->found_count + 1, sizeof *x->found)) {
        x->status = sx_fail_memory(&x->err, "search");
        return false;
    }
    tr_hit *h = &x->found[x->found_count++];
    memcpy(h->trace_id, trace_id, 16);
    h->newest_ns = start_ns;
    return true;
}

/* A block of rows, the newest first. */
static void step_table(const search *g, source *x)
{
    if (!x->match) {
        x->match = tr_match_new(x->table, g->q->filter, x->now, &x->arena);
        if (!x->match) {
            x->status = sx_fail_memory(&x->err, "search");
            return;
        }
        if (tr_match_is_empty(x->match))
            x->left = 0;
    }
    uint32_t first = x->left ? (x->left - 1) / TR_BLOCK_ROWS * TR_BLOCK_ROWS : 0;
    const tr_row *rows = x->table->rows.rows;
    for (uint32_t i = x->left; i-- > first;)
        if (rows[i].start_ns >= g->min_ns && rows[i].start_ns <= g->max_ns &&
            tr_match_row(x->match, i) && !find(x, rows[i].trace_id, rows[i].start_ns))
            return;
    x->looked += x->left - first;
    x->left = first;
    x->newest = first ? tr_memtable_newest(x->table, first) | 1 : 0;
}

/* Groups until something is found, or as many as one step may look into. */
static void step_piece(const search *g, source *x)
{
    size_t count = 0;
    const tr_scan_trace *traces;
    if (!x->scan)
        x->status =
            tr_scan_new(x->piece->segment, g->q->filter, g->min_ns, g->max_ns, &x->scan, &x->err);
    if (x->status == SX_OK)
        x->status = tr_scan_traces(x->scan, &traces, &count, &x->err);
    for (size_t i = 0; i < count && x->status == SX_OK; i++)
        if (!find(x, traces[i].trace_id, traces[i].newest_ns))
            return;
    if (tr_piece_is_damaged(g->s, x->piece, x->status, &x->err)) {
        x->status = SX_OK;
        x->newest = 0;
        return;
    }
    if (x->status != SX_OK)
        return;
    x->looked += TR_GROUP_ROWS;
    x->newest = tr_scan_newest(x->scan);
}

static void step(const search *g, source *x)
{
    if (x->table)
        step_table(g, x);
    else
        step_piece(g, x);
    if (x->newest < g->min_ns)
        x->newest = 0;
    if (x->newest == 0) { /* it has some megabytes; there may be many segments */
        tr_scan_free(x->scan);
        x->scan = NULL;
    }
}

/* --- The heap: newest on top, of equal times the smaller trace id. */

static bool above(const tr_hit *a, const tr_hit *b)
{
    return a->newest_ns != b->newest_ns ? a->newest_ns > b->newest_ns
                                        : memcmp(a->trace_id, b->trace_id, 16) < 0;
}

static bool heap_put(search *g, const tr_hit *h)
{
    if (!sx_grow(&g->heap, &g->heap_cap, g->heap_count + 1, sizeof *g->heap))
        return false;
    size_t at = g->heap_count++;
    for (; at && above(h, &g->heap[(at - 1) / 2]); at = (at - 1) / 2)
        g->heap[at] = g->heap[(at - 1) / 2];
    g->heap[at] = *h;
    return true;
}

static tr_hit heap_take(search *g)
{
    tr_hit top = g->heap[0], last = g->heap[--g->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= g->heap_count)
            break;
        if (child + 1 < g->heap_count && above(&g->heap[child + 1], &g->heap[child]))
            child++;
        if (!above(&g->heap[child], &last))
            break;
        g->heap[at] = g->heap[child];
        at = child;
    }
    g->heap[at] = last;
    return top;
}

/* --- Traces given. False in *added: it was there. */
static bool see(search *g, const tr_hit *h, bool *added)
{
    if (g->seen_count * 2 >= g->seen_mask) {
        size_t cap = g->seen_mask ? (g->seen_mask + 1) * 2 : 256;
        tr_hit *grown = sx_calloc(cap, sizeof *grown);
        if (!grown)
            return false;
        for (size_t i = 0; g->seen && i <= g->seen_mask; i++) {
            if (g->seen[i].newest_ns == 0)
                continue;
            size_t at = tr_trace_hash(g->seen[i].trace_id) & (cap - 1);
            while (grown[at].newest_ns)
                at = (at + 1) & (cap - 1);
            grown[at] = g->seen[i];
        }
        sx_free(g->seen);
        g->seen = grown;
        g->seen_mask = cap - 1;
    }
    size_t at = tr_trace_hash(h->trace_id) & g->seen_mask;
    for (; g->seen[at].newest_ns; at = (at + 1) & g->seen_mask)
        if (memcmp(g->seen[at].trace_id, h->trace_id, 16) == 0) {
            *added = false;
            return true;
        }
    memcpy(g->seen[at].trace_id, h->trace_id, 16);
    g->seen[at].newest_ns = 1; /* taken */
    g->seen_count++;
    *added = true;
    return true;
}

/* --- Traces. */

typedef struct trace_read {
    uint64_t min_ns, max_ns, bytes_max;
    bool partial, damaged;
    unsigned want;
    tr_store *store;
    const tr_limits *limits; /* looked at between lots of rows; may be NULL */
} trace_read;

static bool is_read_over(const trace_read *t, sx_status *status, sx_error *err)
{
    return t->limits && tr_limits_over(t->store, t->limits, status, err);
}

static sx_status read_table(tr_memtable *m, const uint8_t id[16], trace_read *t, span_batch *out,
                            sx_error *err)
{
    uint32_t *rows = NULL;
    size_t cap = 0, count = 0;
    sx_status status = tr_memtable_find(m, id, &rows, &cap, &count, err);
    for (size_t i = 0; i < count && status == SX_OK && !t->partial; i++) {
        uint64_t start = m->rows.rows[rows[i]].start_ns;
        if (start < t->min_ns || start > t->max_ns)
            continue;
        if (i % 64 == 0 && is_read_over(t, &status, err))
            break;
        status = tr_rows_read(&m->rows, &rows[i], 1, t->want, out, err);
        t->partial = out->arena.used_bytes > t->bytes_max;
    }
    sx_free(rows);
    return status;
}

static sx_status read_piece(const tr_piece *p, const uint8_t id[16], trace_read *t, span_batch *out,
                            sx_error *err)
{
    uint64_t first, count = 0;
    if (p->min_ns > t->max_ns || p->max_ns < t->min_ns)
        return SX_OK;
    sx_status status = tr_segment_find(p->segment, id, &first, &count, err);
    for (uint64_t n; count && status == SX_OK && !t->partial; first += n, count -= n) {
        if (is_read_over(t, &status, err))
            break;
        n = count < READ_ROWS ? count : READ_ROWS;
        size_t before = out->count, kept = before;
        status = tr_segment_read(p->segment, first, n, t->want, out, err);
        for (size_t i = before; status == SX_OK && i < out->count; i++)
            if (out->spans[i]->start_ns >= t->min_ns && out->spans[i]->start_ns <= t->max_ns)
                out->spans[kept++] = out->spans[i];
        if (status == SX_OK)
            out->count = kept;
        t->partial = out->arena.used_bytes > t->bytes_max;
    }
    return status;
}

/* A damaged segment is left out: what it gave of its rows before stays. */
static sx_status read_piece_or_tell(tr_piece *p, const uint8_t id[16], trace_read *t,
                                    span_batch *out, sx_error *err)
{
    size_t before = out->count;
    sx_status status = read_piece(p, id, t, out, err);
    if (!tr_piece_is_damaged(t->store, p, status, err))
        return status;
    out->count = before;
    t->damaged = true;
    return SX_OK;
}

static sx_status read_trace(const tr_view *v, const uint8_t id[16], trace_read *t, span_batch *out,
                            sx_error *err)
{
    sx_status status = SX_OK;
    for (size_t i = 0; i < v->table_count && status == SX_OK && !t->partial; i++)
        status = read_table(v->tables[i], id, t, out, err);
    for (size_t i = 0; i < v->piece_count && status == SX_OK && !t->partial; i++)
        status = read_piece_or_tell(v->pieces[i], id, t, out, err);
    return status;
}

static int by_start(const void *a, const void *b)
{
    const span *x = *(const span *const *)a, *y = *(const span *const *)b;
    if (x->start_ns != y->start_ns)
        return x->start_ns < y->start_ns ? -1 : 1;
    return memcmp(x->id, y->id, sizeof x->id);
}

/* Segments keep a trace's spans in order of start: what comes of one alone is so already. */
static bool is_by_start(const span **spans, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (by_start(&spans[i - 1], &spans[i]) > 0)
            return false;
    return true;
}

/* Among spans that begin together, parents before their children. Runs are short; one too long for a
 * square of steps stays in the order of ids. */
static void parents_first(const span **spans, size_t count)
{
    enum { RUN_MAX = 512 };
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && spans[end]->start_ns == spans[i]->start_ns; end++)
            ;
        if (end - i < 2 || end - i > RUN_MAX)
            continue;
        for (size_t at = i; at < end; at++) {
            /* The first of the rest whose parent is not in the rest; in a cycle, the first. */
            size_t pick = at;
            for (size_t k = at; k < end; k++) {
                bool waits = false;
                for (size_t j = at; j < end && !waits; j++)
                    waits = j != k && memcmp(spans[j]->id, spans[k]->parent, 8) == 0;
                if (!waits) {
                    pick = k;
                    break;
                }
            }
            const span *s = spans[pick];
            memmove(spans + at + 1, spans + at, (pick - at) * sizeof *spans);
            spans[at] = s;
        }
    }
}

static sx_status answer_trace(const uint8_t trace_id[16], trace_read *t, span_batch *out,
                              bool *partial, sx_error *err)
{
    sx_status status;
    t->bytes_max = (t->limits && t->limits->bytes_max ? t->limits->bytes_max : 256 << 20) +
                   out->arena.used_bytes;
    if (is_read_over(t, &status, err))
        return status;
    if (t->store->meters.queries)
        sx_counter_add(t->store->meters.queries, 1);
    tr_view *v = tr_view_take(t->store);
    size_t before = out->count;
    status = read_trace(v, trace_id, t, out, err);
    tr_view_unref(v);
    if (status == SX_OK && out->count > before) {
        if (!is_by_start(out->spans + before, out->count - before))
            qsort(out->spans + before, out->count - before, sizeof *out->spans, by_start);
        parents_first(out->spans + before, out->count - before);
    }
    if (partial)
        *partial = t->partial || t->damaged;
    return status;
}

sx_status tr_store_trace(tr_store *s, const uint8_t trace_id[16], uint64_t min_ns, uint64_t max_ns,
                         const tr_limits *limits, span_batch *out, bool *partial, sx_error *err)
{
    trace_read t = {.min_ns = min_ns,
                    .max_ns = max_ns ? max_ns : UINT64_MAX,
                    .want = TR_WANT_ALL,
                    .store = s,
                    .limits = limits};
    return answer_trace(trace_id, &t, out, partial, err);
}

sx_status tr_store_trace_part(tr_store *s, const uint8_t trace_id[16], unsigned want,
                              const tr_limits *limits, span_batch *out, bool *partial,
                              sx_error *err)
{
    trace_read t = {.max_ns = UINT64_MAX, .want = want, .store = s, .limits = limits};
    return answer_trace(trace_id, &t, out, partial, err);
}

/* --- The search. */

/* Whether a trace has a matching span that came on an earlier page. */
static sx_status was_before(search *g, const tr_hit *h, bool *was, sx_error *err)
{
    const tr_hit *after = g->q->after;
    uint64_t most = g->q->max_ns ? g->q->max_ns : UINT64_MAX;
    trace_read t = {after->newest_ns, most, 256 << 20,    false, false,
                    TR_WANT_ALL,      g->s, &g->q->limits};
    span_batch *b = span_batch_new(0);
    *was = false;
    if (!b)
        return sx_fail_memory(err, "search");
    sx_status status = read_trace(g->view, h->trace_id, &t, b, err);
    for (size_t i = 0; status == SX_OK && i < b->count && !*was; i++)
        *was = (b->spans[i]->start_ns > after->newest_ns ||
                memcmp(h->trace_id, after->trace_id, 16) <= 0) &&
               span_filter_match(g->q->filter, b->spans[i]);
    span_batch_unref(b);
    return status;
}

static void end_search(search *g)
{
    for (size_t i = 0; i < g->count; i++)
        source_end(&g->sources[i]);
    sx_free(g->sources);
    sx_free(g->heap);
    sx_free(g->seen);
    tr_view_unref(g->view);
}

static sx_status begin_search(search *g, tr_store *s, const tr_search *q, sx_error *err)
{
    *g = (search){.s = s, .q = q, .min_ns = q->min_ns, .max_ns = q->max_ns};
    if (g->max_ns == 0)
        g->max_ns = UINT64_MAX;
    if (q->after && q->after->newest_ns < g->max_ns)
        g->max_ns = q->after->newest_ns;
    if (s->meters.queries)
        sx_counter_add(s->meters.queries, 1);
    g->view = tr_view_take(s);
    size_t n = g->view->table_count + g->view->piece_count;
    g->sources = sx_calloc(n + 1, sizeof *g->sources);
    if (!g->sources)
        return sx_fail_memory(err, "search");
    g->count = n;
    for (size_t i = 0; i < n; i++) {
        source *x = &g->sources[i];
        if (i < g->view->table_count)
            x->table = g->view->tables[i];
        else
            x->piece = g->view->pieces[i - g->view->table_count];
        source_begin(g, x);
    }
    return SX_OK;
}

/* What one step found goes into the heap. */
static sx_status collect(search *g, source *x, sx_error *err)
{
    if (x->status != SX_OK) {
        if (err)
            *err = x->err;
        return x->status;
    }
    /* Of a trace found again and again in a step only the newest span counts; those behind each
     * other are most of them. */
    for (size_t i = 0; i < x->found_count; i++) {
        tr_hit h = x->found[i];
        while (i + 1 < x->found_count && memcmp(x->found[i + 1].trace_id, h.trace_id, 16) == 0) {
            i++;
            if (x->found[i].newest_ns > h.newest_ns)
                h.newest_ns = x->found[i].newest_ns;
        }
        if (!heap_put(g, &h))
            return sx_fail_memory(err, "search");
    }
    x->found_count = 0;
    g->looked += x->looked;
    x->looked = 0;
    return SX_OK;
}

typedef struct stepping {
    const search *g;
    source *x;
    unsigned times;
    sx_mem_account *account; /* of the thread that asks */
} stepping;

/* Several steps, as a thread costs as much as one of them. */
static void *step_run(void *arg)
{
    stepping *p = arg;
    sx_mem_account_enter(p->account);
    for (unsigned i = 0; i < p->times && p->x->newest && p->x->status == SX_OK; i++)
        step(p->g, p->x);
    return NULL;
}

static int newest_source(const void *a, const void *b)
{
    const source *x = *(source *const *)a, *y = *(source *const *)b;
    return x->newest > y->newest ? -1 : x->newest < y->newest;
}

/* Steps the sources that may have what is newer than the heap's top: one, or several at once. */
static sx_status advance(search *g, unsigned width, unsigned times, uint64_t top, sx_error *err)
{
    source *due[THREADS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < g->count; i++) {
        source *x = &g->sources[i];
        if (x->newest == 0 || x->newest < top)
            continue;
        if (n < width) {
            due[n++] = x;
        } else {
            qsort(due, n, sizeof *due, newest_source);
            if (x->newest > due[n - 1]->newest)
                due[n - 1] = x;
        }
    }
    stepping work[THREADS_MAX];
    sx_mem_account *account = sx_mem_account_current();
    pthread_t threads[THREADS_MAX];
    size_t started = 1;
    for (; started < n; started++) {
        work[started] = (stepping){g, due[started], times, account};
        if (pthread_create(&threads[started], NULL, step_run, &work[started]) != 0)
            break;
    }
    for (size_t i = started; i < n; i++) /* without a thread it is done here */
        step(g, due[i]);
    if (n)
        step_run(&(stepping){g, due[0], times, account});
    for (size_t i = 1; i < started; i++)
        pthread_join(threads[i], NULL);
    sx_status status = SX_OK;
    for (size_t i = 0; i < n && status == SX_OK; i++)
        status = collect(g, due[i], err);
    return status;
}

static sx_status give(search *g, const tr_hit *h, tr_hit_fn *fn, void *ctx, bool *more,
                      sx_error *err)
{
    bool fresh, was = false;
    const tr_hit *after = g->q->after;
    if (after && !above(after, h))
        return SX_OK; /* on the edge of the page, or before it */
    if (!see(g, h, &fresh))
        return sx_fail_memory(err, "search");
    sx_status status = SX_OK;
    if (fresh && after)
        status = was_before(g, h, &was, err);
    if (status == SX_OK && fresh && !was)
        *more = fn(ctx, h);
    return status;
}

/* Whether one of the segments could not be read. */
static bool is_any_damaged(const search *g)
{
    bool damaged = false;
    for (size_t i = 0; i < g->count; i++)
        damaged |= g->sources[i].piece && atomic_load(&g->sources[i].piece->damaged);
    return damaged;
}

sx_status tr_store_search(tr_store *s, const tr_search *q, tr_hit_fn *fn, void *ctx, bool *partial,
                          sx_error *err)
{
    search g;
    bool more = true, cut = false;
    sx_status status = begin_search(&g, s, q, err);
    unsigned steps = 0,
             width = s->o.search_threads < THREADS_MAX ? s->o.search_threads : THREADS_MAX;
    while (status == SX_OK && more) {
        uint64_t bound = 0;
        for (size_t i = 0; i < g.count; i++)
            bound = g.sources[i].newest > bound ? g.sources[i].newest : bound;
        if (g.heap_count && (bound == 0 || g.heap[0].newest_ns > bound)) {
            tr_hit top = heap_take(&g);
            status = give(&g, &top, fn, ctx, &more, err);
            continue;
        }
        if (bound == 0)
            break;
        if (tr_limits_over(s, &q->limits, &status, err))
            break;
        if (q->limits.rows_max && g.looked > q->limits.rows_max) {
            cut = true; /* what is in the heap may not be the newest: but it matches */
            for (size_t i = 0; i < g.count; i++)
                g.sources[i].newest = 0;
            continue;
        }
        bool alone = steps++ < ALONE_STEPS;
        status = advance(&g, alone ? 1 : width, alone ? 1 : TOGETHER_STEPS,
                         g.heap_count ? g.heap[0].newest_ns : 0, err);
    }
    cut |= is_any_damaged(&g);
    end_search(&g);
    if (partial)
        *partial = cut;
    return status;
}

/* --- All spans that match. */

/* What is wanted of a scan, and the reader that is shared by its segments. */
typedef struct scanning {
    unsigned want;
    tr_reader *reader;
    span_batch *out;
    tr_spans_fn *fn;
    void *ctx;
    bool more;
} scanning;

static sx_status scan_table(search *g, source *x, scanning *c, sx_error *err)
{
    x->match = tr_match_new(x->table, g->q->filter, x->now, &x->arena);
    if (!x->match)
        return sx_fail_memory(err, "scan");
    sx_status status = SX_OK;
    uint32_t n = tr_match_is_empty(x->match) ? 0 : x->left, ids[READ_ROWS];
    size_t count = 0;
    const tr_row *rows = x->table->rows.rows;
    for (uint32_t i = 0; i <= n && status == SX_OK && c->more; i++) {
        if (i < n && rows[i].start_ns >= g->min_ns && rows[i].start_ns <= g->max_ns &&
            tr_match_row(x->match, i))
            ids[count++] = i;
        if (count == 0 || (count < READ_ROWS && i < n))
            continue;
        if (tr_limits_over(g->s, &g->q->limits, &status, err))
            break;
        span_batch_reset(c->out);
        status = tr_rows_read(&x->table->rows, ids, count, c->want, c->out, err);
        count = 0;
        if (status == SX_OK)
            c->more = c->fn(c->ctx, c->out);
    }
    g->looked += n;
    return status;
}

/* Rows that matched, of one group. */
static sx_status scan_rows(scanning *c, const source *x, size_t count, sx_error *err)
{
    sx_status status = SX_OK;
    for (size_t i = 0; i < count && status == SX_OK && c->more; i += READ_ROWS) {
        span_batch_reset(c->out);
        status = tr_reader_read(c->reader, x->piece->segment, x->rows + i, count - i, READ_ROWS,
                                c->out, err);
        if (status == SX_OK)
            c->more = c->fn(c->ctx, c->out);
    }
    return status;
}

static sx_status scan_piece(search *g, source *x, scanning *c, sx_error *err)
{
    x->rows = sx_alloc(STEP_ROWS * sizeof *x->rows);
    sx_status status =
        x->rows ? tr_scan_new(x->piece->segment, g->q->filter, g->min_ns, g->max_ns, &x->scan, err)
                : sx_fail_memory(err, "scan");
    for (size_t count = 1; count && status == SX_OK && c->more;) {
        if (tr_limits_over(g->s, &g->q->limits, &status, err))
            break;
        status = tr_scan_next(x->scan, x->rows, STEP_ROWS, &count, err);
        if (status == SX_OK && count)
            status = scan_rows(c, x, count, err);
        g->looked += count;
    }
    tr_scan_free(x->scan); /* it has some megabytes; there may be many segments */
    sx_free(x->rows);
    x->scan = NULL;
    x->rows = NULL;
    return status;
}

sx_status tr_store_scan(tr_store *s, const tr_search *q, unsigned want, tr_spans_fn *fn, void *ctx,
                        bool *partial, sx_error *err)
{
    search g;
    bool cut = false;
    sx_status status = begin_search(&g, s, q, err);
    scanning c = {.want = want | TR_WANT_IDS, .fn = fn, .ctx = ctx, .more = true};
    c.out = span_batch_new(0); /* one lot of rows at a time */
    c.reader = tr_reader_new(c.want);
    if ((!c.out || !c.reader) && status == SX_OK)
        status = sx_fail_memory(err, "scan");
    for (size_t i = 0; status == SX_OK && c.more && i < g.count; i++) {
        if (q->limits.rows_max && g.looked > q->limits.rows_max) {
            cut = true;
            break;
        }
        source *x = &g.sources[i];
        if (x->newest == 0)
            continue;
        status = x->table ? scan_table(&g, x, &c, err) : scan_piece(&g, x, &c, err);
        if (x->piece && tr_piece_is_damaged(s, x->piece, status, err))
            status = SX_OK;
    }
    tr_reader_free(c.reader);
    span_batch_unref(c.out);
    cut |= is_any_damaged(&g);
    end_search(&g);
    if (partial)
        *partial = cut;
    return status;
}
