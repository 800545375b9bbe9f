/* rows_read.c - rows given back as spans; see rows.h. Reads only what does not move: any thread that
 * has seen the rows' count under the shard's lock. */
#include "observe/traces/rows.h"

#include "observe/spans/otlp.h"
#include "observe/traces/row_span.h"
#include "observe/traces/segment.h"

/* What has been decoded for the row before, shared with this one. */
typedef struct reading {
    tr_row_source source; /* first */
    const tr_rows *rows;
    uint32_t resource_id, scope_id;
    const span_resource *resource;
    const span_scope *scope;
} reading;

static sx_status get_text(tr_row_source *s, uint32_t id, sx_str *out)
{
    if (id == TR_NONE) {
        *out = sx_str_of("", 0);
        return SX_OK;
    }
    *out = sx_arena_copy(s->arena, tr_dict_get(&((reading *)s)->rows->dict, id));
    return out->data ? SX_OK : tr_row_no_memory(s);
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

/* Lists and maps point into the dictionary's bytes as well: all is copied. */
static sx_status get_value(tr_row_source *s, const tr_cell *cell, span_value *out)
{
    span_value v;
    sx_status status = tr_rows_value(((reading *)s)->rows, cell, s->arena, &v, s->err);
    return status != SX_OK || span_value_copy(s->arena, &v, out) ? status : tr_row_no_memory(s);
}

static const span_resource **resource_place(tr_row_source *s, uint32_t i)
{
    reading *g = (reading *)s;
    if (g->resource_id != i)
        g->resource = NULL;
    g->resource_id = i;
    return &g->resource;
}

static const span_scope **scope_place(tr_row_source *s, uint32_t i)
{
    reading *g = (reading *)s;
    if (g->scope_id != i)
        g->scope = NULL;
    g->scope_id = i;
    return &g->scope;
}

static reading reading_of(const tr_rows *r, sx_arena *arena, sx_error *err)
{
    return (reading){.rows = r,
                     .source = {.cells = r->cells,
                                .events = r->events,
                                .links = r->links,
                                .resources = r->resources,
                                .scopes = r->scopes,
                                .arena = arena,
                                .what = "spans read from the memtable",
                                .err = err,
                                .text = get_text,
                                .value = get_value,
                                .resource = resource_place,
                                .scope = scope_place}};
}

sx_status tr_rows_span(const tr_rows *r, uint32_t i, sx_arena *arena, const span **out,
                       sx_error *err)
{
    reading g = reading_of(r, arena, err);
    span *s = sx_arena_calloc(arena, 1, sizeof *s);
    *out = s;
    return s ? tr_row_span(&g.source, &r->rows[i], TR_WANT_ALL, s) : tr_row_no_memory(&g.source);
}

sx_status tr_rows_read(const tr_rows *r, const uint32_t *ids, size_t count, unsigned want,
                       span_batch *out, sx_error *err)
{
    reading g = reading_of(r, &out->arena, err);
    for (size_t i = 0; i < count; i++) {
        span *s = span_batch_add(out);
        sx_status status =
            s ? tr_row_span(&g.source, &r->rows[ids[i]], want, s) : tr_row_no_memory(&g.source);
        if (status != SX_OK)
            return status;
    }
    return SX_OK;
}
