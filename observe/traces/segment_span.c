/* segment_span.c - rows of a segment as spans in a batch.
 *
 * Everything is copied into the batch's arena, as the segment may go away meanwhile; a text that
 * comes again soon, a key above all, is copied once: a small cache by its number sees to that.
 *
 * Columns are unpacked whole, so a group costs about the same for one row as for all: who reads rows
 * scattered over a group uses a tr_reader, which unpacks each group once. */
#include <sextant/mem.h>

#include "observe/spans/otlp.h"
#include "observe/traces/row_span.h"
#include "observe/traces/segment_impl.h"

enum { COPIES = 512 };

typedef struct reading {
    tr_row_source source; /* first */
    const tr_segment *segment;
    const tr_decoded *rows;
    span_batch *out;
    const span_resource **resources; /* made as they are met */
    const span_scope **scopes;
    struct {
        uint32_t code_plus_1;
        sx_str text;
    } copies[COPIES];
} reading;

static sx_str text_of(const reading *g, uint32_t code)
{
    return code < g->segment->dict_count ? tr_segment_text(g->segment, code)
                                         : g->rows->texts[code - g->segment->dict_count];
}

static sx_status get_text(tr_row_source *s, uint32_t code, sx_str *out)
{
    reading *g = (reading *)s;
    unsigned at = (code * 2654435761u) >> 23;
    if (g->copies[at].code_plus_1 == code + 1) {
        *out = g->copies[at].text;
        return SX_OK;
    }
    *out = sx_arena_copy(s->arena, text_of(g, code));
    if (!out->data)
        return tr_row_no_memory(s);
    g->copies[at].code_plus_1 = code + 1;
    g->copies[at].text = *out;
    return SX_OK;
}

static sx_status get_value(tr_row_source *s, const tr_cell *cell, span_value *out)
{
    const reading *g = (const reading *)s;
    sx_str text;
    span_value v;
    sx_status status;
    *out = (span_value){.type = cell->type};
    switch ((span_type)cell->type) {
    case SPAN_STR:
    case SPAN_BYTES:
        status = get_text(s, (uint32_t)cell->bits, &text);
        out->data = text.data;
        out->len = (uint32_t)text.len;
        return status;
    case SPAN_LIST:
    case SPAN_MAP:
        status = span_read_any(text_of(g, (uint32_t)cell->bits), s->arena, &v, s->err);
        if (status == SX_EFORMAT || status == SX_ELIMIT ||
            (status == SX_OK && v.type != cell->type))
            return tr_segment_damaged(g->segment, s->err, "a list in rows from", g->rows->first);
        return status != SX_OK || span_value_copy(s->arena, &v, out) ? status : tr_row_no_memory(s);
    case SPAN_EMPTY:
        return SX_OK;
    case SPAN_BOOL:
        out->i = cell->bits != 0;
        return SX_OK;
    default:
        memcpy(&out->i, &cell->bits, sizeof out->i);
        return SX_OK;
    }
}

static const span_resource **resource_place(tr_row_source *s, uint32_t i)
{
    return &((reading *)s)->resources[i];
}

static const span_scope **scope_place(tr_row_source *s, uint32_t i)
{
    return &((reading *)s)->scopes[i];
}

/* From now on rows of this segment go to `out`. */
static void begin_segment(reading *g, const tr_segment *s, span_batch *out, sx_error *err)
{
    g->segment = s;
    g->out = out;
    g->source = (tr_row_source){.arena = &out->arena,
                                .what = "spans read from a segment",
                                .err = err,
                                .text = get_text,
                                .value = get_value,
                                .resource = resource_place,
                                .scope = scope_place};
}

/* What is read next is of these rows; nothing of it is in the batch yet. */
static sx_status begin_group(reading *g, const tr_decoded *rows, sx_arena *scratch)
{
    size_t held = (size_t)rows->resource_count + rows->scope_count + 1;
    g->rows = rows;
    g->source.cells = rows->cells;
    g->source.events = rows->events;
    g->source.links = rows->links;
    g->source.resources = rows->resources;
    g->source.scopes = rows->scopes;
    memset(g->copies, 0, sizeof g->copies);
    g->resources = sx_arena_calloc(scratch, held, sizeof(void *));
    if (!g->resources)
        return tr_row_no_memory(&g->source);
    g->scopes = (const span_scope **)(g->resources + rows->resource_count);
    return SX_OK;
}

static sx_status add_span(reading *g, const tr_row *row, unsigned want)
{
    span *s = span_batch_add(g->out);
    return s ? tr_row_span(&g->source, row, want, s) : tr_row_no_memory(&g->source);
}

/* Rows from..from+count of what is unpacked. */
static sx_status read_group(reading *g, const tr_decoded *rows, uint32_t from, uint32_t count,
                            unsigned want, sx_arena *scratch)
{
    sx_status status = begin_group(g, rows, scratch);
    for (uint32_t i = from; i < from + count && status == SX_OK; i++)
        status = add_span(g, &rows->rows[i], want);
    return status;
}

sx_status tr_segment_read(const tr_segment *s, uint64_t first, uint64_t count, unsigned want,
                          span_batch *out, sx_error *err)
{
    tr_unpacker unpacker = {0};
    tr_decoded rows = {0};
    if (first > s->info.rows || count > s->info.rows - first)
        return sx_fail(err, SX_EINVAL, "%s has no rows %llu to %llu", s->path,
                       (unsigned long long)first, (unsigned long long)(first + count));
    if (count == 0)
        return SX_OK;
    reading *g = sx_alloc(sizeof *g);
    if (!g)
        return sx_fail_memory(err, "spans read from a segment");
    begin_segment(g, s, out, err);
    sx_arena_init(&rows.arena, TR_ARENA_CHUNK, 0);
    sx_status status = SX_OK;
    for (uint64_t group = tr_segment_group_of(s, first); count && status == SX_OK; group++) {
        const tr_summary *sum = &s->groups[group];
        uint32_t from = (uint32_t)(first - sum->first_row);
        uint32_t n = count < sum->rows - from ? (uint32_t)count : sum->rows - from;
        tr_hot_group *hot = tr_hot_take(s->hot, s, group);
        if (hot) {
            sx_arena_reset(&rows.arena);
            status = read_group(g, tr_hot_rows(hot), from, n, want, &rows.arena);
            tr_hot_release(s->hot, hot);
        } else {
            status = tr_group_decode(s, group, from, n, want, &unpacker, &rows, err);
            if (status == SX_OK)
                status = read_group(g, &rows, 0, n, want, &rows.arena);
        }
        first += n;
        count -= n;
    }
    sx_arena_done(&rows.arena);
    tr_unpacker_done(&unpacker);
    sx_free(g);
    return status;
}

/* --- Rows here and there. */

struct tr_reader {
    reading reading;
    unsigned want;
    tr_unpacker unpacker;
    tr_decoded rows;
    const tr_segment *segment; /* of what is unpacked; NULL: nothing is */
    uint64_t group;
};

tr_reader *tr_reader_new(unsigned want)
{
    tr_reader *r = sx_calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->want = want;
    sx_arena_init(&r->rows.arena, TR_ARENA_CHUNK, 0);
    return r;
}

void tr_reader_free(tr_reader *r)
{
    if (!r)
        return;
    sx_arena_done(&r->rows.arena);
    tr_unpacker_done(&r->unpacker);
    sx_free(r);
}

/* Rows first..last of the group are unpacked; those that were are not unpacked again. */
static sx_status reader_hold(tr_reader *r, const tr_segment *s, uint64_t group, uint32_t first,
                             uint32_t last, sx_error *err)
{
    if (r->segment == s && r->group == group && first >= r->rows.first &&
        last < r->rows.first + r->rows.count)
        return SX_OK;
    r->segment = NULL;
    sx_status status =
        tr_group_decode(s, group, first, last - first + 1, r->want, &r->unpacker, &r->rows, err);
    if (status == SX_OK) {
        r->segment = s;
        r->group = group;
    }
    return status;
}

sx_status tr_reader_read(tr_reader *r, const tr_segment *s, const uint64_t *rows, size_t count,
                         size_t most, span_batch *out, sx_error *err)
{
    size_t wanted = count < most ? count : most;
    if (count && (rows[count - 1] >= s->info.rows || rows[0] > rows[count - 1]))
        return sx_fail(err, SX_EINVAL, "%s has no rows %llu to %llu", s->path,
                       (unsigned long long)rows[0], (unsigned long long)rows[count - 1]);
    begin_segment(&r->reading, s, out, err);
    sx_status status = SX_OK;
    for (size_t i = 0, end; i < wanted && status == SX_OK;) {
        uint64_t group = tr_segment_group_of(s, rows[i]);
        const tr_summary *sum = &s->groups[group];
        for (end = i + 1; end < count && rows[end] - sum->first_row < sum->rows; end++)
            ;
        status = reader_hold(r, s, group, (uint32_t)(rows[i] - sum->first_row),
                             (uint32_t)(rows[end - 1] - sum->first_row), err);
        if (status == SX_OK)
            status = begin_group(&r->reading, &r->rows, &r->rows.arena);
        uint64_t held = sum->first_row + r->rows.first;
        for (; i < end && i < wanted && status == SX_OK; i++)
            status = add_span(&r->reading, &r->rows.rows[rows[i] - held], r->want);
    }
    return status;
}
