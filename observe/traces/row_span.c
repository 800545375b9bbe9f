/* row_span.c - a row as a span. See row_span.h. */
#include "observe/traces/row_span.h"

#include "observe/traces/segment.h"

static const span_resource NO_RESOURCE;
static const span_scope NO_SCOPE;

sx_status tr_row_no_memory(const tr_row_source *s)
{
    return sx_fail_memory(s->err, s->what);
}

static sx_status get_attrs(tr_row_source *s, tr_cells run, span_attrs *out)
{
    *out = (span_attrs){.count = run.count, .dropped = run.dropped};
    if (run.count == 0)
        return SX_OK;
    span_attr *items = sx_arena_alloc(s->arena, run.count * sizeof *items);
    if (!items)
        return tr_row_no_memory(s);
    out->items = items;
    for (uint32_t i = 0; i < run.count; i++) {
        const tr_cell *cell = &s->cells[run.first + i];
        sx_str key;
        sx_status status = s->text(s, cell->key, &key);
        if (status == SX_OK)
            status = s->value(s, cell, &items[i].value);
        if (status != SX_OK)
            return status;
        items[i].key = key.data;
        items[i].key_len = (uint32_t)key.len;
    }
    return SX_OK;
}

static sx_status get_resource(tr_row_source *s, uint32_t i, const span_resource **out)
{
    const span_resource **kept = s->resource(s, i);
    if (!*kept) {
        const tr_resource *in = &s->resources[i];
        span_resource *made = sx_arena_calloc(s->arena, 1, sizeof *made);
        sx_status status = made ? get_attrs(s, in->cells, &made->attrs) : tr_row_no_memory(s);
        if (status == SX_OK)
            status = s->text(s, in->schema_url, &made->schema_url);
        if (status == SX_OK)
            status = s->text(s, in->service, &made->service);
        if (status != SX_OK)
            return status;
        *kept = made;
    }
    *out = *kept;
    return SX_OK;
}

static sx_status get_scope(tr_row_source *s, uint32_t i, const span_scope **out)
{
    const span_scope **kept = s->scope(s, i);
    if (!*kept) {
        const tr_scope *in = &s->scopes[i];
        span_scope *made = sx_arena_calloc(s->arena, 1, sizeof *made);
        sx_status status = made ? get_attrs(s, in->cells, &made->attrs) : tr_row_no_memory(s);
        if (status == SX_OK)
            status = s->text(s, in->name, &made->name);
        if (status == SX_OK)
            status = s->text(s, in->version, &made->version);
        if (status == SX_OK)
            status = s->text(s, in->schema_url, &made->schema_url);
        if (status != SX_OK)
            return status;
        *kept = made;
    }
    *out = *kept;
    return SX_OK;
}

static sx_status get_events(tr_row_source *s, const tr_row *row, span *out)
{
    span_event *to = sx_arena_calloc(s->arena, row->event_count, sizeof *to);
    sx_status status = to ? SX_OK : tr_row_no_memory(s);
    out->events = to;
    out->event_count = row->event_count;
    for (uint32_t i = 0; status == SX_OK && i < row->event_count; i++) {
        const tr_event *e = &s->events[row->first_event + i];
        to[i].time_ns = e->time_ns;
        status = s->text(s, e->name, &to[i].name);
        if (status == SX_OK)
            status = get_attrs(s, e->cells, &to[i].attrs);
    }
    return status;
}

static sx_status get_links(tr_row_source *s, const tr_row *row, span *out)
{
    span_link *to = sx_arena_calloc(s->arena, row->link_count, sizeof *to);
    sx_status status = to ? SX_OK : tr_row_no_memory(s);
    out->links = to;
    out->link_count = row->link_count;
    for (uint32_t i = 0; status == SX_OK && i < row->link_count; i++) {
        const tr_link *l = &s->links[row->first_link + i];
        memcpy(to[i].trace_id, l->trace_id, sizeof l->trace_id);
        memcpy(to[i].span_id, l->span_id, sizeof l->span_id);
        to[i].flags = l->flags;
        status = s->text(s, l->trace_state, &to[i].trace_state);
        if (status == SX_OK)
            status = get_attrs(s, l->cells, &to[i].attrs);
    }
    return status;
}

sx_status tr_row_span(tr_row_source *s, const tr_row *row, unsigned want, span *out)
{
    memcpy(out->trace_id, row->trace_id, sizeof out->trace_id);
    memcpy(out->id, row->id, sizeof out->id);
    memcpy(out->parent, row->parent, sizeof out->parent);
    out->start_ns = row->start_ns;
    out->end_ns = row->end_ns;
    out->resource = &NO_RESOURCE;
    out->scope = &NO_SCOPE;
    sx_status status = SX_OK;
    if (want & TR_WANT_BASICS) {
        out->kind = row->kind;
        out->status = row->status;
        status = s->text(s, row->name, &out->name);
        if (status == SX_OK)
            status = get_resource(s, row->resource, &out->resource);
        if (status == SX_OK)
            status = get_scope(s, row->scope, &out->scope);
    }
    if (status != SX_OK || (want & TR_WANT_ALL) != TR_WANT_ALL)
        return status;
    out->flags = row->flags;
    out->dropped_events = row->dropped_events;
    out->dropped_links = row->dropped_links;
    status = s->text(s, row->trace_state, &out->trace_state);
    if (status == SX_OK)
        status = s->text(s, row->status_message, &out->status_message);
    if (status == SX_OK)
        status = get_attrs(s, row->cells, &out->attrs);
    if (status == SX_OK && row->event_count)
        status = get_events(s, row, out);
    if (status == SX_OK && row->link_count)
        status = get_links(s, row, out);
    return status;
}
