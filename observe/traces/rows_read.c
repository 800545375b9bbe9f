/* rows_read.c - rows given back as spans; see rows.h. Reads only what does not move: any thread that
 * has seen the rows' count under the shard's lock. */
#include "observe/traces/rows.h"

#include "observe/spans/otlp.h"
#include "observe/traces/segment.h"

/* What has been decoded for the row before, shared with this one. */
typedef struct reading {
    const tr_rows *rows;
    sx_arena *arena;
    sx_error *err;
    uint32_t resource_id, scope_id;
    const span_resource *resource;
    const span_scope *scope;
} reading;

static const span_resource NO_RESOURCE;
static const span_scope NO_SCOPE;

static sx_status no_memory(reading *g)
{
    return sx_fail_memory(g->err, "spans read from the memtable");
}

static sx_status get_text(reading *g, uint32_t id, sx_str *out)
{
    if (id == TR_NONE) {
        *out = sx_str_of("", 0);
        return SX_OK;
    }
    *out = sx_arena_copy(g->arena, tr_dict_get(&g->rows->dict, id));
    return out->data ? SX_OK : no_memory(g);
}

sx_status tr_rows_value(const tr_rows *r, const tr_cell *cell, sx_arena *arena, span_value *out,
                        sx_error *err)
{
    *out = (span_value){.type = cell->type};
    switch ((span_type)cell->type) {
    case SPAN_STR:
    case SPAN_BYTES: {
        sx_str s = tr_dict_get(&r->dict, (uint32_t)cell->bits);
        out->data = s.data;
        out->len = (uint32_t)s.len;
        return SX_OK;
    }
    case SPAN_LIST:
    case SPAN_MAP:
        return span_read_any(tr_dict_get(&r->dict, (uint32_t)cell->bits), arena, out, err);
    case SPAN_EMPTY:
        return SX_OK;
    default:
        memcpy(&out->i, &cell->bits, sizeof out->i);
        return SX_OK;
    }
}

static sx_status get_attrs(reading *g, tr_cells c, span_attrs *out)
{
    *out = (span_attrs){.count = c.count, .dropped = c.dropped};
    if (c.count == 0)
        return SX_OK;
    span_attr *items = sx_arena_alloc(g->arena, c.count * sizeof *items);
    if (!items)
        return no_memory(g);
    out->items = items;
    for (uint32_t i = 0; i < c.count; i++) {
        const tr_cell *cell = &g->rows->cells[c.first + i];
        sx_str text;
        span_value v;
        sx_status status = get_text(g, cell->key, &text);
        if (status == SX_OK)
            status = tr_rows_value(g->rows, cell, g->arena, &v, g->err);
        /* Lists and maps point into the dictionary's bytes as well. */
        if (status == SX_OK && !span_value_copy(g->arena, &v, &items[i].value))
            status = no_memory(g);
        if (status != SX_OK)
            return status;
        items[i].key = text.data;
        items[i].key_len = (uint32_t)text.len;
    }
    return SX_OK;
}

static sx_status get_resource(reading *g, uint32_t id, const span_resource **out)
{
    if (g->resource && g->resource_id == id) {
        *out = g->resource;
        return SX_OK;
    }
    const tr_resource *in = &g->rows->resources[id];
    span_resource *x = sx_arena_calloc(g->arena, 1, sizeof *x);
    sx_status status = x ? get_attrs(g, in->cells, &x->attrs) : no_memory(g);
    if (status == SX_OK)
        status = get_text(g, in->schema_url, &x->schema_url);
    if (status == SX_OK)
        status = get_text(g, in->service, &x->service);
    if (status == SX_OK) {
        g->resource_id = id;
        *out = g->resource = x;
    }
    return status;
}

static sx_status get_scope(reading *g, uint32_t id, const span_scope **out)
{
    if (g->scope && g->scope_id == id) {
        *out = g->scope;
        return SX_OK;
    }
    const tr_scope *in = &g->rows->scopes[id];
    span_scope *x = sx_arena_calloc(g->arena, 1, sizeof *x);
    sx_status status = x ? get_attrs(g, in->cells, &x->attrs) : no_memory(g);
    if (status == SX_OK)
        status = get_text(g, in->name, &x->name);
    if (status == SX_OK)
        status = get_text(g, in->version, &x->version);
    if (status == SX_OK)
        status = get_text(g, in->schema_url, &x->schema_url);
    if (status == SX_OK) {
        g->scope_id = id;
        *out = g->scope = x;
    }
    return status;
}

static sx_status get_events(reading *g, const tr_row *row, span *s)
{
    s->dropped_events = row->dropped_events;
    if (row->event_count == 0)
        return SX_OK;
    span_event *out = sx_arena_calloc(g->arena, row->event_count, sizeof *out);
    sx_status status = out ? SX_OK : no_memory(g);
    for (uint32_t i = 0; status == SX_OK && i < row->event_count; i++) {
        const tr_event *e = &g->rows->events[row->first_event + i];
        out[i].time_ns = e->time_ns;
        status = get_text(g, e->name, &out[i].name);
        if (status == SX_OK)
            status = get_attrs(g, e->cells, &out[i].attrs);
    }
    s->events = out;
    s->event_count = row->event_count;
    return status;
}

static sx_status get_links(reading *g, const tr_row *row, span *s)
{
    s->dropped_links = row->dropped_links;
    if (row->link_count == 0)
        return SX_OK;
    span_link *out = sx_arena_calloc(g->arena, row->link_count, sizeof *out);
    sx_status status = out ? SX_OK : no_memory(g);
    for (uint32_t i = 0; status == SX_OK && i < row->link_count; i++) {
        const tr_link *l = &g->rows->links[row->first_link + i];
        memcpy(out[i].trace_id, l->trace_id, sizeof l->trace_id);
        memcpy(out[i].span_id, l->span_id, sizeof l->span_id);
        out[i].flags = l->flags;
        status = get_text(g, l->trace_state, &out[i].trace_state);
        if (status == SX_OK)
            status = get_attrs(g, l->cells, &out[i].attrs);
    }
    s->links = out;
    s->link_count = row->link_count;
    return status;
}

static sx_status get_span(reading *g, uint32_t i, unsigned want, span *s)
{
    const tr_row *row = &g->rows->rows[i];
    memcpy(s->trace_id, row->trace_id, sizeof s->trace_id);
    memcpy(s->id, row->id, sizeof s->id);
    memcpy(s->parent, row->parent, sizeof s->parent);
    s->start_ns = row->start_ns;
    s->end_ns = row->end_ns;
    s->resource = &NO_RESOURCE;
    s->scope = &NO_SCOPE;
    sx_status status = SX_OK;
    if (want & TR_WANT_BASICS) {
        s->kind = row->kind;
        s->status = row->status;
        status = get_text(g, row->name, &s->name);
        if (status == SX_OK)
            status = get_resource(g, row->resource, &s->resource);
        if (status == SX_OK)
            status = get_scope(g, row->scope, &s->scope);
    }
    if (status != SX_OK || (want & TR_WANT_ALL) != TR_WANT_ALL)
        return status;
    s->flags = row->flags;
    status = get_text(g, row->trace_state, &s->trace_state);
    if (status == SX_OK)
        status = get_text(g, row->status_message, &s->status_message);
    if (status == SX_OK)
        status = get_attrs(g, row->cells, &s->attrs);
    if (status == SX_OK)
        status = get_events(g, row, s);
    if (status == SX_OK)
        status = get_links(g, row, s);
    return status;
}

sx_status tr_rows_span(const tr_rows *r, uint32_t i, sx_arena *arena, const span **out,
                       sx_error *err)
{
    reading g = {.rows = r, .arena = arena, .err = err};
    span *s = sx_arena_calloc(arena, 1, sizeof *s);
    *out = s;
    return s ? get_span(&g, i, TR_WANT_ALL, s) : no_memory(&g);
}

sx_status tr_rows_read(const tr_rows *r, const uint32_t *ids, size_t count, unsigned want,
                       span_batch *out, sx_error *err)
{
    reading g = {.rows = r, .arena = &out->arena, .err = err};
    for (size_t i = 0; i < count; i++) {
        span *s = span_batch_add(out);
        sx_status status = s ? get_span(&g, ids[i], want, s) : no_memory(&g);
        if (status != SX_OK)
            return status;
    }
    return SX_OK;
}
