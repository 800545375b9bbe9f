/* segment_write.c - a memtable as a segment: which texts go into the dictionary, in which order the
 * rows stand. */
#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/traces/segment_impl.h"

enum { GLOBAL_USES = 4 }; /* of a text in the memtable, for a place in the dictionary */

typedef struct trace_place {
    uint64_t start_ns; /* the earliest of its spans */
    uint32_t row;      /* one of them */
    uint32_t count;
} trace_place;

typedef struct row_place {
    uint64_t start_ns;
    uint32_t row;
} row_place;

typedef struct writing {
    const tr_rows *rows;
    uint32_t *uses;  /* of each text */
    uint32_t *map;   /* text to code */
    uint32_t *order; /* texts of the dictionary, sorted */
    sx_str *globals;
    sx_str *texts;       /* all of the memtable */
    trace_place *traces; /* in the order of the file */
    uint32_t *trace_of;  /* of each row: number in `traces` before they were sorted */
    uint32_t *slots;
    row_place *places; /* rows in the order of the file */
    uint32_t *firsts;
    uint32_t trace_count, global_count;
    uint64_t text_bytes; /* of all texts */
} writing;

static void writing_done(writing *w)
{
    void *blocks[] = {w->uses,   w->map,      w->order, w->globals, w->texts,
                      w->traces, w->trace_of, w->slots, w->places,  w->firsts};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        sx_free(blocks[i]);
}

/* --- Texts. */

static void count_cells(writing *w, tr_cells run)
{
    for (uint32_t i = 0; i < run.count; i++) {
        const tr_cell *c = &w->rows->cells[run.first + i];
        w->uses[c->key]++;
        if (tr_type_is_text(c->type))
            w->uses[c->bits]++;
    }
}

static void count_uses(writing *w)
{
    const tr_rows *r = w->rows;
    for (uint32_t i = 0; i < r->cell_count; i++) {
        w->uses[r->cells[i].key]++;
        if (tr_type_is_text(r->cells[i].type))
            w->uses[r->cells[i].bits]++;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        w->uses[r->rows[i].name]++;
        w->uses[r->rows[i].trace_state]++;
        w->uses[r->rows[i].status_message]++;
    }
    for (uint32_t i = 0; i < r->event_count; i++)
        w->uses[r->events[i].name]++;
    /* What stands in a resource is used by each of its rows, in spirit. */
    for (uint32_t i = 0; i < r->resource_count; i++) {
        w->uses[r->resources[i].service] += GLOBAL_USES;
        w->uses[r->resources[i].schema_url] += GLOBAL_USES;
        count_cells(w, r->resources[i].cells);
    }
    for (uint32_t i = 0; i < r->scope_count; i++) {
        w->uses[r->scopes[i].name] += GLOBAL_USES;
        w->uses[r->scopes[i].version] += GLOBAL_USES;
        count_cells(w, r->scopes[i].cells);
    }
}

static int by_text(const void *a, const void *b, void *ctx)
{
    const sx_str *texts = ctx;
    return sx_str_cmp(texts[*(const uint32_t *)a], texts[*(const uint32_t *)b]);
}

/* Texts that are used again and again go into the dictionary, where searches know them by number; the
 * others stay with their group, so that no table of a merge grows with ids and addresses. */
static void choose_globals(writing *w)
{
    const tr_dict *d = &w->rows->dict;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        w->texts[i] = tr_dict_get(d, i);
        w->text_bytes += w->texts[i].len;
        if (w->uses[i] < GLOBAL_USES || w->texts[i].len > TR_DICT_TEXT_MAX ||
            bytes + w->texts[i].len > TR_DICT_BYTES_MAX || w->global_count == TR_DICT_COUNT_MAX)
            continue;
        bytes += w->texts[i].len;
        w->order[w->global_count++] = i;
    }
    if (w->global_count)
        qsort_r(w->order, w->global_count, sizeof *w->order, by_text, w->texts);
    for (uint32_t i = 0; i < d->count; i++)
        w->map[i] = w->global_count + i;
    for (uint32_t i = 0; i < w->global_count; i++) {
        w->globals[i] = w->texts[w->order[i]];
        w->map[w->order[i]] = i;
    }
}

/* --- Rows. */

static void find_traces(writing *w, size_t mask)
{
    const tr_rows *r = w->rows;
    for (uint32_t i = 0; i < r->count; i++) {
        const tr_row *row = &r->rows[i];
        size_t at = sx_hash_bytes(row->trace_id, 16, 0) & mask;
        while (w->slots[at] &&
               memcmp(r->rows[w->traces[w->slots[at] - 1].row].trace_id, row->trace_id, 16) != 0)
            at = (at + 1) & mask;
        if (!w->slots[at]) {
            w->traces[w->trace_count] = (trace_place){row->start_ns, i, 0};
            w->slots[at] = ++w->trace_count;
        }
        trace_place *t = &w->traces[w->slots[at] - 1];
        t->start_ns = row->start_ns < t->start_ns ? row->start_ns : t->start_ns;
        t->count++;
        w->trace_of[i] = w->slots[at] - 1;
    }
}

typedef struct by_trace_ctx {
    const tr_row *rows;
    const trace_place *traces;
} by_trace_ctx;

static int by_trace(const void *a, const void *b, void *ctx)
{
    const by_trace_ctx *c = ctx;
    const trace_place *x = &c->traces[*(const uint32_t *)a], *y = &c->traces[*(const uint32_t *)b];
    if (x->start_ns != y->start_ns)
        return x->start_ns < y->start_ns ? -1 : 1;
    return memcmp(c->rows[x->row].trace_id, c->rows[y->row].trace_id, 16);
}

static int by_start(const void *a, const void *b)
{
    const row_place *x = a, *y = b;
    if (x->start_ns != y->start_ns)
        return x->start_ns < y->start_ns ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Few spans, nearly in order: what most traces are. */
static void sort_spans(row_place *p, uint32_t count)
{
    if (count > 24) {
        qsort(p, count, sizeof *p, by_start);
        return;
    }
    for (uint32_t i = 1; i < count; i++) {
        row_place x = p[i];
        uint32_t k = i;
        for (; k > 0 && by_start(&x, &p[k - 1]) < 0; k--)
            p[k] = p[k - 1];
        p[k] = x;
    }
}

static void order_rows(writing *w)
{
    uint32_t *sorted = w->slots; /* the table has done its duty, and is larger */
    by_trace_ctx ctx = {w->rows->rows, w->traces};
    for (uint32_t t = 0; t < w->trace_count; t++)
        sorted[t] = t;
    if (w->trace_count)
        qsort_r(sorted, w->trace_count, sizeof *sorted, by_trace, &ctx);
    uint32_t at = 0;
    for (uint32_t t = 0; t < w->trace_count; t++) {
        w->firsts[sorted[t]] = at;
        at += w->traces[sorted[t]].count;
    }
    for (uint32_t i = 0; i < w->rows->count; i++)
        w->places[w->firsts[w->trace_of[i]]++] = (row_place){w->rows->rows[i].start_ns, i};
    for (uint32_t t = 0; t < w->trace_count; t++) /* firsts have become ends */
        sort_spans(w->places + w->firsts[t] - w->traces[t].count, w->traces[t].count);
}

static sx_status prepare(writing *w, sx_error *err)
{
    const tr_rows *r = w->rows;
    size_t texts = (size_t)r->dict.count + 1, rows = (size_t)r->count + 1, slots = 16;
    while (slots < 2 * rows)
        slots *= 2;
    w->uses = sx_calloc(texts, sizeof *w->uses);
    w->map = sx_alloc(texts * sizeof *w->map);
    w->order = sx_alloc(texts * sizeof *w->order);
    w->globals = sx_alloc(texts * sizeof *w->globals);
    w->texts = sx_alloc(texts * sizeof *w->texts);
    w->traces = sx_alloc(rows * sizeof *w->traces);
    w->trace_of = sx_alloc(rows * sizeof *w->trace_of);
    w->slots = sx_calloc(slots, sizeof *w->slots);
    w->places = sx_alloc(rows * sizeof *w->places);
    w->firsts = sx_alloc(rows * sizeof *w->firsts);
    if (!w->uses || !w->map || !w->order || !w->globals || !w->texts || !w->traces ||
        !w->trace_of || !w->slots || !w->places || !w->firsts)
        return sx_fail_memory(err, "the order of a segment");
    count_uses(w);
    choose_globals(w);
    find_traces(w, slots - 1);
    order_rows(w);
    return SX_OK;
}

sx_status tr_segment_write(const char *path, const tr_rows *rows, const tr_write_options *options,
                           tr_segment_info *info, sx_error *err)
{
    static const tr_write_options PLAIN = {0};
    writing w = {.rows = rows};
    tr_file file;
    tr_feed feed = {.rows = rows->rows,
                    .cells = rows->cells,
                    .events = rows->events,
                    .links = rows->links,
                    .resources = rows->resources,
                    .scopes = rows->scopes,
                    .map_count = rows->dict.count,
                    .resource_count = rows->resource_count,
                    .scope_count = rows->scope_count};
    sx_status status = tr_file_open(&file, path, options ? options : &PLAIN, err);
    if (status == SX_OK)
        status = prepare(&w, err);
    if (status == SX_OK) {
        file.builder.texts = w.texts;
        file.builder.text_count = rows->dict.count;
        file.builder.texts_fixed = true;
        file.builder.texts_counted = w.text_bytes >= TR_GROUP_TEXT;
        feed.map = w.map;
        /* Groups of the same size, whole traces in each: so a merge can take them over. */
        uint32_t usual = file.rows_soft, groups = (rows->count + usual - 1) / usual;
        file.rows_soft = groups ? (rows->count + groups - 1) / groups : usual;
        status = tr_file_dict(&file, w.globals, w.global_count, err);
    }
    for (uint32_t i = 0; i < rows->count && status == SX_OK; i++)
        status = tr_file_row(&file, &feed, w.places[i].row, err);
    if (status == SX_OK)
        status = tr_file_commit(&file, info, err);
    tr_file_abandon(&file); /* of one that is there: only its memory */
    tr_feed_done(&feed);
    writing_done(&w);
    return status;
}
