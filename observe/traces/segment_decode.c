/* segment_decode.c - a group's chunks, and its rows in the form of rows.h.
 *
 * Nothing in a file is trusted: each number that is an index or a count is checked before it is used,
 * and what says the same twice must agree. Memory is bounded by TR_GROUP_ROWS, TR_GROUP_CELLS_MAX and
 * TR_CHUNK_BYTES_MAX. */
#include <stdio.h>

#include <sextant/mem.h>

#include "observe/traces/segment_impl.h"

static void *take(const tr_group *g, size_t count, size_t size, sx_error *err)
{
    void *p = sx_arena_alloc(g->arena, count * size);
    if (!p)
        sx_fail_memory(err, "a group of spans");
    return p;
}

sx_status tr_group_fail(const tr_group *g, const tr_cursor *c, unsigned chunk, sx_error *err)
{
    char what[48];
    if (c->fault == TR_NO_MEMORY)
        return sx_fail_memory(err, "a group of spans");
    snprintf(what, sizeof what, "chunk %u of group", chunk);
    return tr_segment_damaged(g->segment, err, what, g->index);
}

/* The lengths of the chunks must fill the group exactly. */
static sx_status open_chunks(tr_group *g, const uint8_t *bytes, sx_error *err)
{
    size_t chunks = (size_t)TR_CHUNKS + g->head.column_count, at = 0;
    size_t data_at = sizeof g->head + 4 * chunks;
    if (data_at > g->sum->len)
        return tr_segment_damaged(g->segment, err, "chunk table of group", g->index);
    uint32_t *offsets = take(g, chunks + 1, sizeof *offsets, err);
    if (!offsets)
        return SX_ENOMEM;
    for (size_t i = 0; i < chunks; i++) {
        uint32_t len;
        memcpy(&len, bytes + sizeof g->head + 4 * i, sizeof len);
        offsets[i] = (uint32_t)at;
        at += len;
        if (at > g->sum->len - data_at)
            return tr_segment_damaged(g->segment, err, "chunk table of group", g->index);
    }
    offsets[chunks] = (uint32_t)at;
    if (at != g->sum->len - data_at)
        return tr_segment_damaged(g->segment, err, "chunk table of group", g->index);
    g->offsets = offsets;
    g->data = bytes + data_at;
    return SX_OK;
}

static sx_status check_runs(const tr_group *g, sx_error *err)
{
    tr_cursor c = tr_group_chunk(g, TR_C_RUNS);
    size_t ids = g->offsets[TR_C_TRACE_IDS + 1] - g->offsets[TR_C_TRACE_IDS];
    uint32_t sum = 0;
    if (ids != 16 * (size_t)g->head.traces || c.end - c.at != 2 * (ptrdiff_t)g->head.traces)
        return tr_segment_damaged(g->segment, err, "traces of group", g->index);
    for (uint32_t t = 0; t < g->head.traces; t++) {
        uint16_t run;
        memcpy(&run, c.at + 2 * (size_t)t, sizeof run);
        sum += run;
        if (run == 0)
            sum = TR_GROUP_ROWS + 1;
    }
    return sum == g->head.rows ? SX_OK
                               : tr_segment_damaged(g->segment, err, "traces of group", g->index);
}

sx_status tr_group_open(tr_group *g, const tr_segment *s, uint64_t index, sx_arena *arena,
                        tr_unpacker *unpacker, sx_error *err)
{
    const uint8_t *bytes;
    *g = (tr_group){.segment = s, .index = index, .arena = arena, .unpacker = unpacker};
    sx_status status = tr_segment_group(s, index, &bytes, err);
    if (status != SX_OK)
        return status;
    g->sum = &s->groups[index];
    if (g->sum->len < sizeof g->head)
        return tr_segment_damaged(s, err, "group", index);
    memcpy(&g->head, bytes, sizeof g->head);
    const tr_group_head *h = &g->head;
    bool fine = h->rows == g->sum->rows && h->traces == g->sum->traces && h->traces <= h->rows &&
                h->traces > 0 && h->lists[TR_AT_SPAN] == h->rows &&
                h->column_count <= TR_GROUP_CELLS_MAX;
    for (unsigned p = TR_AT_RESOURCE; p < TR_PLACES; p++)
        fine = fine && h->lists[p] <= (p <= TR_AT_SCOPE ? h->rows : TR_GROUP_CELLS_MAX) &&
               (p > TR_AT_SCOPE || h->lists[p] > 0);
    if (!fine)
        return tr_segment_damaged(s, err, "head of group", index);
    status = open_chunks(g, bytes, err);
    return status == SX_OK ? check_runs(g, err) : status;
}

tr_cursor tr_group_chunk(const tr_group *g, unsigned chunk)
{
    return tr_cursor_of(g->data + g->offsets[chunk], g->offsets[chunk + 1] - g->offsets[chunk]);
}

sx_status tr_group_ints(const tr_group *g, unsigned chunk, size_t count, uint64_t **out,
                        sx_error *err)
{
    tr_cursor c = tr_group_chunk(g, chunk);
    *out = take(g, count, sizeof **out, err);
    if (!*out)
        return SX_ENOMEM;
    return tr_take_ints(g->unpacker, &c, *out, count) ? SX_OK : tr_group_fail(g, &c, chunk, err);
}

sx_status tr_group_codes(const tr_group *g, unsigned chunk, size_t count, uint64_t limit,
                         uint32_t **out, sx_error *err)
{
    tr_cursor c = tr_group_chunk(g, chunk);
    *out = take(g, count, sizeof **out, err);
    if (!*out)
        return SX_ENOMEM;
    return tr_take_codes(g->unpacker, &c, *out, count, limit) ? SX_OK
                                                              : tr_group_fail(g, &c, chunk, err);
}

sx_status tr_group_texts(const tr_group *g, unsigned chunk, size_t count, bool want_codes,
                         tr_text_column *out, sx_error *err)
{
    tr_cursor c = tr_group_chunk(g, chunk);
    *out = (tr_text_column){0};
    if (count == 0)
        return SX_OK;
    if (!tr_take_texts(g->unpacker, &c, count, g->segment->dict_count, g->arena, out) ||
        (want_codes && !tr_take_text_codes(g->unpacker, &c, count, g->arena, out)))
        return tr_group_fail(g, &c, chunk, err);
    return SX_OK;
}

sx_status tr_group_columns(tr_group *g, sx_error *err)
{
    uint32_t n = g->head.column_count;
    if (g->column_counts)
        return SX_OK;
    tr_cursor c = tr_group_chunk(g, TR_C_COLUMNS);
    if (c.end - c.at != 2 * (ptrdiff_t)n)
        return tr_group_fail(g, &c, TR_C_COLUMNS, err);
    for (uint32_t i = 0; i < n; i++)
        if (c.at[2 * (size_t)i] >= TR_PLACES || c.at[2 * (size_t)i + 1] > SPAN_MAP)
            return tr_group_fail(g, &c, TR_C_COLUMNS, err);
    g->column_marks = c.at;
    sx_status status = tr_group_texts(g, TR_C_KEYS, n, true, &g->keys, err);
    if (status != SX_OK)
        return status;
    g->column_counts = sx_arena_calloc(g->arena, (size_t)n + 1, sizeof *g->column_counts);
    return g->column_counts ? SX_OK : sx_fail_memory(err, "a group of spans");
}

/* The lists of columns. Each column named must be of the place. */
static sx_status read_shapes(tr_group *g, unsigned place, sx_error *err)
{
    struct tr_group_shapes *s = &g->shapes[place];
    tr_cursor c = tr_group_chunk(g, TR_C_SHAPES + place);
    size_t bytes = (size_t)(c.end - c.at);
    uint64_t count = tr_take_varint(&c);
    if (c.fault || count > g->head.lists[place] || count > bytes)
        return tr_group_fail(g, &c, TR_C_SHAPES + place, err);
    s->count = (uint32_t)count;
    s->first = take(g, count + 1, sizeof *s->first, err);
    s->columns = take(g, bytes, sizeof *s->columns, err); /* each takes a byte at least */
    if (!s->first || !s->columns)
        return SX_ENOMEM;
    uint32_t at = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t len = tr_take_varint(&c);
        s->first[i] = at;
        if (len > (size_t)(c.end - c.at))
            tr_set_fault(&c, TR_DAMAGED);
        for (uint64_t k = 0; k < len && !c.fault; k++) {
            uint64_t column = tr_take_varint(&c);
            if (column >= g->head.column_count || tr_column_place(g, (uint32_t)column) != place)
                tr_set_fault(&c, TR_DAMAGED);
            else
                s->columns[at++] = (uint32_t)column;
        }
        if (c.fault)
            return tr_group_fail(g, &c, TR_C_SHAPES + place, err);
    }
    s->first[s->count] = at;
    return SX_OK;
}

sx_status tr_group_shapes_of(tr_group *g, unsigned place, sx_error *err)
{
    struct tr_group_shapes *s = &g->shapes[place];
    if (s->read)
        return SX_OK;
    sx_status status = tr_group_columns(g, err);
    if (status == SX_OK)
        status = read_shapes(g, place, err);
    if (status == SX_OK)
        status = tr_group_codes(g, TR_C_SHAPE + place, g->head.lists[place], s->count, &s->shape_of,
                                err);
    if (status != SX_OK)
        return status;
    uint32_t *uses = sx_arena_calloc(g->arena, (size_t)s->count + 1, sizeof *uses);
    if (!uses)
        return sx_fail_memory(err, "a group of spans");
    for (uint32_t i = 0; i < g->head.lists[place]; i++)
        uses[s->shape_of[i]]++;
    uint64_t all = 0;
    for (uint32_t i = 0; i < s->count; i++)
        for (uint32_t k = s->first[i]; k < s->first[i + 1]; k++) {
            g->column_counts[s->columns[k]] += uses[i];
            all += uses[i];
            if (all > TR_GROUP_CELLS_MAX)
                return tr_segment_damaged(g->segment, err, "attributes of group", g->index);
        }
    s->read = true;
    return SX_OK;
}

sx_status tr_group_starts(const tr_group *g, uint64_t **out, sx_error *err)
{
    uint64_t *firsts, at = 0;
    sx_status status = tr_group_ints(g, TR_C_TRACE_STARTS, g->head.traces, &firsts, err);
    if (status == SX_OK)
        status = tr_group_ints(g, TR_C_STARTS, g->head.rows, out, err);
    const uint8_t *runs = g->data + g->offsets[TR_C_RUNS];
    uint64_t *starts = *out;
    for (uint32_t t = 0, i = 0; status == SX_OK && t < g->head.traces; t++) {
        uint16_t run;
        memcpy(&run, runs + 2 * (size_t)t, sizeof run);
        at += firsts[t];
        uint64_t start = at;
        for (uint32_t end = i + run; i < end; i++) {
            start += starts[i];
            starts[i] = start;
        }
    }
    return status;
}

/* --- Rows. */

typedef struct decoding {
    tr_group g;
    tr_decoded *out;
    size_t texts_cap;
    uint64_t *at;          /* of each column: its next value */
    struct column_values { /* of each column that is needed */
        uint64_t *numbers;
        tr_text_column texts;
        uint32_t base, key; /* of its texts; its key's code */
        bool read;
    } *columns;
    tr_text_column keys;
    uint32_t keys_base;
} decoding;

/* The group's own texts of a column become known by number. */
static sx_status number_texts(decoding *d, const tr_text_column *t, uint32_t *base, sx_error *err)
{
    tr_decoded *out = d->out;
    if (!sx_arena_grow(&out->arena, &out->texts, &d->texts_cap, out->text_count + t->local_count,
                       sizeof *out->texts))
        return sx_fail_memory(err, "a group of spans");
    *base = d->g.segment->dict_count + (uint32_t)out->text_count;
    if (t->local_count)
        memcpy(out->texts + out->text_count, t->locals, t->local_count * sizeof *t->locals);
    out->text_count += t->local_count;
    return SX_OK;
}

static uint32_t text_code(const tr_text_column *t, uint32_t base, uint32_t i)
{
    uint32_t code = t->codes[i];
    return code < t->global_count ? t->globals[code] : base + code - t->global_count;
}

/* A column of texts into one member of each row, event, ... that is wanted. */
static sx_status texts_into(decoding *d, unsigned chunk, size_t all, size_t first, size_t count,
                            uint32_t *to, size_t stride, sx_error *err)
{
    tr_text_column t;
    uint32_t base;
    sx_status status = tr_group_texts(&d->g, chunk, all, true, &t, err);
    if (status == SX_OK)
        status = number_texts(d, &t, &base, err);
    for (size_t i = 0; status == SX_OK && i < count; i++)
        *(uint32_t *)(void *)((char *)to + i * stride) = text_code(&t, base, (uint32_t)(first + i));
    return status;
}

static sx_status codes_into(decoding *d, unsigned chunk, size_t all, size_t first, size_t count,
                            uint64_t limit, uint32_t *to, size_t stride, sx_error *err)
{
    uint32_t *codes;
    sx_status status = tr_group_codes(&d->g, chunk, all, limit, &codes, err);
    for (size_t i = 0; status == SX_OK && i < count; i++)
        *(uint32_t *)(void *)((char *)to + i * stride) = codes[first + i];
    return status;
}

static const uint64_t ANY_U32 = (uint64_t)UINT32_MAX + 1;

static sx_status read_column(decoding *d, uint32_t i, sx_error *err)
{
    struct column_values *c = &d->columns[i];
    tr_group *g = &d->g;
    if (c->read)
        return SX_OK;
    c->read = true;
    c->key = text_code(&d->keys, d->keys_base, i);
    if (!tr_type_is_text(tr_column_type(g, i)))
        return tr_group_ints(g, TR_CHUNKS + i, g->column_counts[i], &c->numbers, err);
    sx_status status = tr_group_texts(g, TR_CHUNKS + i, g->column_counts[i], true, &c->texts, err);
    return status == SX_OK ? number_texts(d, &c->texts, &c->base, err) : status;
}

/* Passes over the values of lists before `first`, reads the columns that the next `count` need. */
static sx_status ready_columns(decoding *d, unsigned place, size_t first, size_t count,
                               size_t *cells, sx_error *err)
{
    tr_group *g = &d->g;
    sx_status status = tr_group_shapes_of(g, place, err);
    if (status != SX_OK)
        return status;
    const struct tr_group_shapes *s = &g->shapes[place];
    uint32_t *before = sx_arena_calloc(g->arena, 2 * ((size_t)s->count + 1), sizeof *before);
    if (!before)
        return sx_fail_memory(err, "a group of spans");
    uint32_t *wanted = before + s->count + 1;
    for (size_t i = 0; i < first; i++)
        before[s->shape_of[i]]++;
    for (size_t i = first; i < first + count; i++)
        wanted[s->shape_of[i]]++;
    *cells = 0;
    for (uint32_t i = 0; i < s->count; i++)
        for (uint32_t k = s->first[i]; k < s->first[i + 1] && status == SX_OK; k++) {
            d->at[s->columns[k]] += before[i];
            if (wanted[i])
                status = read_column(d, s->columns[k], err);
            *cells += wanted[i];
        }
    return status;
}

/* Lists of attributes: `runs` is the member of the first row, event, ... */
static sx_status lists_into(decoding *d, unsigned place, size_t first, size_t count, tr_cells *runs,
                            size_t stride, size_t *cells_at, sx_error *err)
{
    tr_group *g = &d->g;
    uint32_t *dropped;
    sx_status status =
        tr_group_codes(g, TR_C_DROPPED + place, g->head.lists[place], ANY_U32, &dropped, err);
    if (status != SX_OK)
        return status;
    const struct tr_group_shapes *s = &g->shapes[place];
    for (size_t i = 0; i < count; i++) {
        tr_cells *run = (tr_cells *)(void *)((char *)runs + i * stride);
        uint32_t shape = s->shape_of[first + i];
        const uint32_t *columns = s->columns + s->first[shape];
        *run = (tr_cells){(uint32_t)*cells_at, s->first[shape + 1] - s->first[shape],
                          dropped[first + i]};
        for (uint32_t k = 0; k < run->count; k++) {
            const struct column_values *c = &d->columns[columns[k]];
            uint64_t at = d->at[columns[k]]++;
            unsigned type = tr_column_type(g, columns[k]);
            uint64_t bits = tr_type_is_text(type) ? text_code(&c->texts, c->base, (uint32_t)at)
                                                  : c->numbers[at];
            d->out->cells[(*cells_at)++] = (tr_cell){c->key, type, bits};
        }
    }
    return SX_OK;
}

static sx_status decode_ids(decoding *d, sx_error *err)
{
    tr_group *g = &d->g;
    tr_decoded *out = d->out;
    uint64_t *starts, *durations, *parents;
    sx_str ids;
    tr_cursor c = tr_group_chunk(g, TR_C_IDS), raw = tr_group_chunk(g, TR_C_PARENTS_RAW);
    sx_status status = tr_group_starts(g, &starts, err);
    if (status == SX_OK)
        status = tr_group_ints(g, TR_C_DURATIONS, g->head.rows, &durations, err);
    if (status == SX_OK)
        status = tr_group_ints(g, TR_C_PARENTS, g->head.rows, &parents, err);
    if (status != SX_OK)
        return status;
    if (!tr_take_blob(g->unpacker, &c, g->arena, &ids) || ids.len != 8 * (size_t)g->head.rows)
        return tr_group_fail(g, &c, TR_C_IDS, err);
    for (uint32_t i = 0; i < out->first; i++)
        if (parents[i] == 1)
            tr_take_bytes(&raw, 8);
    const uint8_t *traces = g->data + g->offsets[TR_C_TRACE_IDS];
    uint32_t trace = 0;
    for (uint32_t i = 0; i < out->count; i++) {
        tr_row *r = &out->rows[i];
        uint32_t at = out->first + i;
        while (out->trace_rows[trace + 1] <= at)
            trace++;
        memcpy(r->trace_id, traces + 16 * (size_t)trace, 16);
        memcpy(r->id, ids.data + 8 * (size_t)at, 8);
        r->start_ns = starts[at];
        r->end_ns = starts[at] + durations[at];
        const void *parent = NULL;
        if (parents[at] == 1) {
            parent = tr_take_bytes(&raw, 8);
        } else if (parents[at] > 1) {
            uint64_t v = parents[at] - 2;
            uint64_t row = at + (v >> 1 ^ -(v & 1));
            parent = row < g->head.rows ? ids.data + 8 * row : NULL;
        }
        if (parent)
            memcpy(r->parent, parent, 8);
        else if (parents[at])
            return tr_group_fail(g, &raw, TR_C_PARENTS, err);
    }
    return SX_OK;
}

#define ROW_FIELD(field) &d->out->rows->field, sizeof(tr_row)

static sx_status decode_basics(decoding *d, sx_error *err)
{
    tr_group *g = &d->g;
    tr_decoded *out = d->out;
    size_t all = g->head.rows, first = out->first, n = out->count;
    uint64_t *marks;
    sx_status status = texts_into(d, TR_C_NAMES, all, first, n, ROW_FIELD(name), err);
    if (status == SX_OK)
        status = codes_into(d, TR_C_RESOURCES, all, first, n, g->head.lists[TR_AT_RESOURCE],
                            ROW_FIELD(resource), err);
    if (status == SX_OK)
        status = codes_into(d, TR_C_SCOPES, all, first, n, g->head.lists[TR_AT_SCOPE],
                            ROW_FIELD(scope), err);
    if (status == SX_OK)
        status = tr_group_ints(g, TR_C_MARKS, all, &marks, err);
    for (size_t i = 0; status == SX_OK && i < n; i++) {
        out->rows[i].kind = marks[first + i] & 7;
        out->rows[i].status = marks[first + i] >> 3 & 7;
        if (marks[first + i] > 63 || out->rows[i].kind > SPAN_CONSUMER ||
            out->rows[i].status > SPAN_ERROR)
            status = tr_segment_damaged(g->segment, err, "kinds of group", g->index);
    }
    return status;
}

static sx_status decode_resources(decoding *d, sx_error *err)
{
    tr_group *g = &d->g;
    tr_decoded *out = d->out;
    size_t n = g->head.lists[TR_AT_RESOURCE], size = sizeof(tr_resource);
    out->resources = sx_arena_calloc(&out->arena, n, size);
    out->resource_count = (uint32_t)n;
    if (!out->resources)
        return sx_fail_memory(err, "a group of spans");
    sx_status status =
        texts_into(d, TR_C_RESOURCE_SERVICES, n, 0, n, &out->resources->service, size, err);
    if (status == SX_OK)
        status =
            texts_into(d, TR_C_RESOURCE_SCHEMAS, n, 0, n, &out->resources->schema_url, size, err);
    size_t m = g->head.lists[TR_AT_SCOPE];
    size = sizeof(tr_scope);
    out->scopes = sx_arena_calloc(&out->arena, m, size);
    out->scope_count = (uint32_t)m;
    if (!out->scopes)
        return sx_fail_memory(err, "a group of spans");
    if (status == SX_OK)
        status = texts_into(d, TR_C_SCOPE_NAMES, m, 0, m, &out->scopes->name, size, err);
    if (status == SX_OK)
        status = texts_into(d, TR_C_SCOPE_VERSIONS, m, 0, m, &out->scopes->version, size, err);
    if (status == SX_OK)
        status = texts_into(d, TR_C_SCOPE_SCHEMAS, m, 0, m, &out->scopes->schema_url, size, err);
    return status;
}

/* Where the children of the wanted rows lie, by the counts of all rows; sets the rows' members. */
static sx_status decode_counts(decoding *d, unsigned chunk, unsigned place, size_t *first,
                               size_t *count, sx_error *err)
{
    tr_group *g = &d->g;
    uint32_t *counts;
    uint64_t sum = 0;
    uint64_t limit = (uint64_t)g->head.lists[place] + 1; /* as searches read them */
    sx_status status = tr_group_codes(g, chunk, g->head.rows, limit, &counts, err);
    if (status != SX_OK)
        return status;
    *first = *count = 0;
    for (uint32_t i = 0; i < g->head.rows; i++) {
        if (i == d->out->first)
            *first = sum;
        if (i >= d->out->first && i < d->out->first + d->out->count) {
            tr_row *r = &d->out->rows[i - d->out->first];
            uint32_t at = (uint32_t)(sum - *first);
            if (place == TR_AT_EVENT)
                r->first_event = at, r->event_count = counts[i];
            else
                r->first_link = at, r->link_count = counts[i];
            *count += counts[i];
        }
        sum += counts[i];
        if (sum > g->head.lists[place])
            break;
    }
    return sum == g->head.lists[place]
               ? SX_OK
               : tr_segment_damaged(g->segment, err, "events of group", g->index);
}

static sx_status decode_events(decoding *d, size_t first, size_t count, sx_error *err)
{
    tr_group *g = &d->g;
    tr_decoded *out = d->out;
    size_t all = g->head.lists[TR_AT_EVENT];
    uint64_t *times;
    out->events = sx_arena_calloc(&out->arena, count + 1, sizeof *out->events);
    if (!out->events)
        return sx_fail_memory(err, "a group of spans");
    if (all == 0)
        return SX_OK;
    sx_status status = tr_group_ints(g, TR_C_EVENT_TIMES, all, &times, err);
    for (uint32_t i = 0; status == SX_OK && i < out->count; i++) {
        const tr_row *r = &out->rows[i];
        for (uint32_t k = r->first_event; k < r->first_event + r->event_count; k++)
            out->events[k].time_ns = r->start_ns + times[first + k];
    }
    if (status == SX_OK)
        status = texts_into(d, TR_C_EVENT_NAMES, all, first, count, &out->events->name,
                            sizeof *out->events, err);
    return status;
}

static sx_status decode_links(decoding *d, size_t first, size_t count, sx_error *err)
{
    tr_group *g = &d->g;
    tr_decoded *out = d->out;
    size_t all = g->head.lists[TR_AT_LINK];
    tr_cursor traces = tr_group_chunk(g, TR_C_LINK_TRACES);
    tr_cursor spans = tr_group_chunk(g, TR_C_LINK_SPANS);
    out->links = sx_arena_calloc(&out->arena, count + 1, sizeof *out->links);
    if (!out->links)
        return sx_fail_memory(err, "a group of spans");
    if (all == 0)
        return SX_OK;
    const uint8_t *trace = tr_take_bytes(&traces, 16 * all), *id = tr_take_bytes(&spans, 8 * all);
    if (!trace || !id)
        return tr_group_fail(g, &traces, TR_C_LINK_TRACES, err);
    for (size_t i = 0; i < count; i++) {
        memcpy(out->links[i].trace_id, trace + 16 * (first + i), 16);
        memcpy(out->links[i].span_id, id + 8 * (first + i), 8);
    }
    sx_status status = texts_into(d, TR_C_LINK_STATES, all, first, count, &out->links->trace_state,
                                  sizeof *out->links, err);
    if (status == SX_OK)
        status = codes_into(d, TR_C_LINK_FLAGS, all, first, count, ANY_U32, &out->links->flags,
                            sizeof *out->links, err);
    return status;
}

static sx_status decode_rest(decoding *d, sx_error *err)
{
    static const struct {
        unsigned chunk;
        size_t at;
    } NUMBERS[] = {{TR_C_FLAGS, offsetof(tr_row, flags)},
                   {TR_C_DROPPED_EVENTS, offsetof(tr_row, dropped_events)},
                   {TR_C_DROPPED_LINKS, offsetof(tr_row, dropped_links)}};
    tr_decoded *out = d->out;
    size_t all = d->g.head.rows, first = out->first, n = out->count;
    sx_status status = texts_into(d, TR_C_STATES, all, first, n, ROW_FIELD(trace_state), err);
    if (status == SX_OK)
        status = texts_into(d, TR_C_MESSAGES, all, first, n, ROW_FIELD(status_message), err);
    for (unsigned i = 0; i < 3 && status == SX_OK; i++)
        status = codes_into(d, NUMBERS[i].chunk, all, first, n, ANY_U32,
                            (uint32_t *)(void *)((char *)out->rows + NUMBERS[i].at), sizeof(tr_row),
                            err);
    return status;
}

/* Attributes of all places, and what has them. Resources' and scopes' come with the basics. */
static sx_status decode_attributes(decoding *d, unsigned want, sx_error *err)
{
    tr_group *g = &d->g;
    tr_decoded *out = d->out;
    size_t first[TR_PLACES] = {out->first}, count[TR_PLACES] = {out->count};
    size_t cells[TR_PLACES] = {0}, at = 0;
    bool all = want == TR_WANT_ALL;
    sx_status status = SX_OK;
    count[TR_AT_RESOURCE] = out->resource_count;
    count[TR_AT_SCOPE] = out->scope_count;
    if (all)
        status = decode_counts(d, TR_C_EVENT_COUNTS, TR_AT_EVENT, &first[TR_AT_EVENT],
                               &count[TR_AT_EVENT], err);
    if (all && status == SX_OK)
        status = decode_counts(d, TR_C_LINK_COUNTS, TR_AT_LINK, &first[TR_AT_LINK],
                               &count[TR_AT_LINK], err);
    if (all && status == SX_OK)
        status = decode_events(d, first[TR_AT_EVENT], count[TR_AT_EVENT], err);
    if (all && status == SX_OK)
        status = decode_links(d, first[TR_AT_LINK], count[TR_AT_LINK], err);
    if (status == SX_OK)
        status = tr_group_columns(g, err);
    if (status == SX_OK)
        status = number_texts(d, &g->keys, &d->keys_base, err);
    if (status != SX_OK)
        return status;
    d->keys = g->keys;
    d->at = sx_arena_calloc(g->arena, (size_t)g->head.column_count + 1, sizeof *d->at);
    d->columns = sx_arena_calloc(g->arena, (size_t)g->head.column_count + 1, sizeof *d->columns);
    if (!d->at || !d->columns)
        return sx_fail_memory(err, "a group of spans");
    for (unsigned p = 0; p < TR_PLACES && status == SX_OK; p++)
        if (all || p == TR_AT_RESOURCE || p == TR_AT_SCOPE)
            status = ready_columns(d, p, first[p], count[p], &cells[p], err);
    size_t sum = cells[0] + cells[1] + cells[2] + cells[3] + cells[4];
    out->cells = sx_arena_alloc(&out->arena, (sum + 1) * sizeof *out->cells);
    if (status == SX_OK && !out->cells)
        status = sx_fail_memory(err, "a group of spans");
    const struct {
        unsigned place;
        tr_cells *runs;
        size_t stride;
    } LISTS[] = {{TR_AT_RESOURCE, &out->resources->cells, sizeof(tr_resource)},
                 {TR_AT_SCOPE, &out->scopes->cells, sizeof(tr_scope)},
                 {TR_AT_SPAN, &out->rows->cells, sizeof(tr_row)},
                 {TR_AT_EVENT, all ? &out->events->cells : NULL, sizeof(tr_event)},
                 {TR_AT_LINK, all ? &out->links->cells : NULL, sizeof(tr_link)}};
    for (unsigned i = 0; i < (all ? 5 : 2) && status == SX_OK; i++)
        status = lists_into(d, LISTS[i].place, first[LISTS[i].place], count[LISTS[i].place],
                            LISTS[i].runs, LISTS[i].stride, &at, err);
    return status;
}

static sx_status decode_traces(decoding *d, sx_error *err)
{
    tr_decoded *out = d->out;
    uint32_t n = d->g.head.traces, at = 0;
    const uint8_t *runs = d->g.data + d->g.offsets[TR_C_RUNS];
    out->trace_rows = take(&d->g, (size_t)n + 1, sizeof *out->trace_rows, err);
    if (!out->trace_rows)
        return SX_ENOMEM;
    out->trace_count = n;
    for (uint32_t t = 0; t < n; t++) {
        uint16_t run;
        memcpy(&run, runs + 2 * (size_t)t, sizeof run);
        out->trace_rows[t] = at;
        at += run;
    }
    out->trace_rows[n] = at;
    return SX_OK;
}

sx_status tr_group_decode(const tr_segment *s, uint64_t group, uint32_t first, uint32_t count,
                          unsigned want, tr_unpacker *unpacker, tr_decoded *out, sx_error *err)
{
    decoding d = {.out = out};
    sx_arena arena = out->arena; /* the caller's, emptied: its memory serves again */
    *out = (tr_decoded){.arena = arena, .first = first, .count = count};
    sx_arena_reset(&out->arena);
    sx_status status = tr_group_open(&d.g, s, group, &out->arena, unpacker, err);
    if (status != SX_OK)
        return status;
    sx_assert(first + count <= d.g.head.rows);
    out->rows = sx_arena_calloc(&out->arena, (size_t)count + 1, sizeof *out->rows);
    if (!out->rows)
        return sx_fail_memory(err, "a group of spans");
    status = decode_traces(&d, err);
    if (status == SX_OK)
        status = decode_ids(&d, err);
    if (status == SX_OK && (want & TR_WANT_BASICS)) {
        status = decode_basics(&d, err);
        if (status == SX_OK)
            status = decode_resources(&d, err);
        if (status == SX_OK && want == TR_WANT_ALL)
            status = decode_rest(&d, err);
        if (status == SX_OK)
            status = decode_attributes(&d, want, err);
    }
    return status;
}
