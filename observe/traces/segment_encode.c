/* segment_encode.c - the group that was gathered, as bytes. */
#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/traces/segment_impl.h"

typedef struct encoder {
    tr_builder *b;
    sx_buf *out;
    size_t lengths_at, data_at; /* where the chunk lengths lie; where the current chunk begins */
    tr_texts texts;
    unsigned chunk; /* the next: they are written in their order */
    bool failed;
} encoder;

static void end_chunk(encoder *e, unsigned chunk)
{
    uint32_t len = (uint32_t)(e->out->len - e->data_at);
    sx_assert(chunk == e->chunk || e->failed);
    e->chunk = chunk + 1;
    if (!e->out->failed)
        memcpy(e->out->data + e->lengths_at + 4 * (size_t)chunk, &len, sizeof len);
    e->data_at = e->out->len;
}

/* The three scratches: numbers of a column, texts of one, raw bytes. */
static uint64_t *numbers(encoder *e, size_t count)
{
    if (!sx_grow(&e->b->numbers, &e->b->numbers_cap, count, sizeof(uint64_t)))
        e->failed = true;
    return e->failed ? NULL : e->b->numbers;
}

static uint32_t *codes(encoder *e, size_t count)
{
    if (!sx_grow(&e->b->codes, &e->b->codes_cap, count, sizeof(uint32_t)))
        e->failed = true;
    return e->failed ? NULL : e->b->codes;
}

static void put_numbers(encoder *e, unsigned chunk, const uint64_t *values, size_t count)
{
    tr_put_ints(&e->b->packer, e->out, values, count);
    end_chunk(e, chunk);
}

static bool add_item(encoder *e, uint64_t item)
{
    if (!tr_items_add(&e->b->items, item))
        e->failed = true;
    return !e->failed;
}

/* A chunk of texts; `item` is what their values are of in the filter, 0: not in it. */
static void put_texts(encoder *e, unsigned chunk, const uint32_t *values, size_t count,
                      unsigned item)
{
    tr_packer *p = &e->b->packer;
    if (count) /* an empty place has empty chunks */
        tr_put_texts(p, e->out, values, count, &e->texts);
    for (uint32_t i = 0; count && item && i < p->distinct_count; i++)
        if (!add_item(e, tr_item_text(item, tr_builder_text_of(e->b, p->distinct[i]))))
            break;
    end_chunk(e, chunk);
}

/* One number of each row, or child, as a chunk: `expr` of element `it`. */
#define PUT_NUMBERS(e, chunk, type, items, count, expr)                                            \
    do {                                                                                           \
        uint64_t *to_ = numbers((e), (count));                                                     \
        for (size_t i_ = 0; to_ && i_ < (count); i_++) {                                           \
            const type *it = &(items)[i_];                                                         \
            to_[i_] = (uint64_t)(expr);                                                            \
        }                                                                                          \
        if (to_)                                                                                   \
            put_numbers((e), (chunk), to_, (count));                                               \
    } while (0)
#define PUT_TEXTS(e, chunk, type, items, count, field, item)                                       \
    do {                                                                                           \
        uint32_t *to_ = codes((e), (count));                                                       \
        for (size_t i_ = 0; to_ && i_ < (count); i_++)                                             \
            to_[i_] = ((const type *)(items))[i_].field;                                           \
        if (to_)                                                                                   \
            put_texts((e), (chunk), to_, (count), (item));                                         \
    } while (0)

/* Rows of the trace that begins at `first`. */
static size_t run_of(const tr_builder *b, size_t first)
{
    size_t i = first + 1;
    while (i < b->row_count && memcmp(b->rows[i].trace_id, b->rows[first].trace_id, 16) == 0)
        i++;
    return i - first;
}

static void put_traces(encoder *e, uint32_t *traces)
{
    const tr_builder *b = e->b;
    uint64_t *starts = numbers(e, b->row_count);
    uint32_t *runs = codes(e, b->row_count);
    if (e->failed)
        return;
    uint64_t before = 0;
    *traces = 0;
    for (size_t i = 0; i < b->row_count; i += runs[*traces - 1]) {
        runs[*traces] = (uint32_t)run_of(b, i);
        starts[(*traces)++] = b->rows[i].start_ns - before;
        before = b->rows[i].start_ns;
        sx_buf_bytes(e->out, b->rows[i].trace_id, 16);
    }
    end_chunk(e, TR_C_TRACE_IDS);
    for (uint32_t t = 0; t < *traces; t++) {
        uint16_t run = (uint16_t)runs[t];
        sx_buf_bytes(e->out, &run, sizeof run);
    }
    end_chunk(e, TR_C_RUNS);
    put_numbers(e, TR_C_TRACE_STARTS, starts, *traces);
}

static bool is_zero(const uint8_t id[8])
{
    uint64_t v;
    memcpy(&v, id, sizeof v);
    return v == 0;
}

/* The parent of each row of a trace as a distance; those that are not in it go behind each other into
 * b->raw. Of rows of one id the first counts. `slots` is a table of at least twice as many places as
 * rows. */
static void find_parents(const tr_builder *b, size_t first, size_t count, uint32_t *slots,
                         size_t mask, uint64_t *out, uint8_t *raw, size_t *raw_count)
{
    uint64_t seed = sx_hash_seed(); /* ids come from outside */
    for (size_t i = first; i < first + count; i++) {
        uint64_t id;
        memcpy(&id, b->rows[i].id, sizeof id);
        size_t at = sx_hash_u64(id, seed) & mask;
        while (slots[at] && memcmp(b->rows[slots[at] - 1].id, &id, sizeof id) != 0)
            at = (at + 1) & mask;
        if (!slots[at])
            slots[at] = (uint32_t)i + 1;
    }
    for (size_t i = first; i < first + count; i++) {
        const uint8_t *parent = b->rows[i].parent;
        uint64_t id;
        if (is_zero(parent)) {
            out[i] = 0;
            continue;
        }
        memcpy(&id, parent, sizeof id);
        size_t at = sx_hash_u64(id, seed) & mask;
        while (slots[at] && memcmp(b->rows[slots[at] - 1].id, parent, 8) != 0)
            at = (at + 1) & mask;
        if (slots[at]) {
            int64_t d = (int64_t)slots[at] - 1 - (int64_t)i;
            out[i] = 2 + ((uint64_t)d << 1 ^ (uint64_t)(d >> 63));
        } else {
            out[i] = 1;
            memcpy(raw + 8 * (*raw_count)++, parent, 8);
        }
    }
}

static void put_ids(encoder *e)
{
    tr_builder *b = e->b;
    size_t n = b->row_count, raw_count = 0;
    uint64_t *parents = numbers(e, n);
    uint32_t *slots = codes(e, 4 * n);
    if (e->failed || !sx_grow(&b->raw, &b->raw_cap, 8 * n, 1)) {
        e->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        memcpy(b->raw + 8 * i, b->rows[i].id, 8);
    tr_put_blob(&b->packer, e->out, b->raw, 8 * n);
    end_chunk(e, TR_C_IDS);
    for (size_t i = 0, run; i < n; i += run) {
        size_t size = 4;
        run = run_of(b, i);
        while (size < 2 * run)
            size *= 2;
        memset(slots, 0, size * sizeof *slots);
        find_parents(b, i, run, slots, size - 1, parents, b->raw, &raw_count);
    }
    put_numbers(e, TR_C_PARENTS, parents, n);
    sx_buf_bytes(e->out, b->raw, 8 * raw_count);
    end_chunk(e, TR_C_PARENTS_RAW);
}

static void put_starts(encoder *e)
{
    const tr_builder *b = e->b;
    uint64_t *to = numbers(e, b->row_count);
    for (size_t i = 0; to && i < b->row_count; i++) {
        bool begins = i == 0 || memcmp(b->rows[i].trace_id, b->rows[i - 1].trace_id, 16) != 0;
        to[i] = begins ? 0 : b->rows[i].start_ns - b->rows[i - 1].start_ns;
    }
    if (to)
        put_numbers(e, TR_C_STARTS, to, b->row_count);
}

static void put_spans(encoder *e)
{
    const tr_builder *b = e->b;
    const tr_row *rows = b->rows;
    size_t n = b->row_count;
    put_ids(e);
    put_starts(e);
    PUT_NUMBERS(e, TR_C_DURATIONS, tr_row, rows, n, it->end_ns - it->start_ns);
    PUT_TEXTS(e, TR_C_NAMES, tr_row, rows, n, name, TR_ITEM_NAME);
    PUT_TEXTS(e, TR_C_STATES, tr_row, rows, n, trace_state, 0);
    PUT_TEXTS(e, TR_C_MESSAGES, tr_row, rows, n, status_message, TR_ITEM_MESSAGE);
    PUT_NUMBERS(e, TR_C_MARKS, tr_row, rows, n, it->kind | it->status << 3);
    PUT_NUMBERS(e, TR_C_FLAGS, tr_row, rows, n, it->flags);
    PUT_NUMBERS(e, TR_C_RESOURCES, tr_row, rows, n, it->resource);
    PUT_NUMBERS(e, TR_C_SCOPES, tr_row, rows, n, it->scope);
    PUT_NUMBERS(e, TR_C_DROPPED_EVENTS, tr_row, rows, n, it->dropped_events);
    PUT_NUMBERS(e, TR_C_DROPPED_LINKS, tr_row, rows, n, it->dropped_links);
    PUT_NUMBERS(e, TR_C_EVENT_COUNTS, tr_row, rows, n, it->event_count);
    PUT_NUMBERS(e, TR_C_LINK_COUNTS, tr_row, rows, n, it->link_count);
}

static void put_resources(encoder *e)
{
    const tr_builder *b = e->b;
    size_t n = b->resource_count;
    PUT_TEXTS(e, TR_C_RESOURCE_SERVICES, tr_resource, b->resources, n, service, TR_ITEM_SERVICE);
    PUT_TEXTS(e, TR_C_RESOURCE_SCHEMAS, tr_resource, b->resources, n, schema_url, 0);
    n = b->scope_count;
    PUT_TEXTS(e, TR_C_SCOPE_NAMES, tr_scope, b->scopes, n, name, TR_ITEM_SCOPE);
    PUT_TEXTS(e, TR_C_SCOPE_VERSIONS, tr_scope, b->scopes, n, version, 0);
    PUT_TEXTS(e, TR_C_SCOPE_SCHEMAS, tr_scope, b->scopes, n, schema_url, 0);
}

static void put_events(encoder *e)
{
    const tr_builder *b = e->b;
    uint64_t *to = numbers(e, b->event_count);
    for (size_t i = 0; to && i < b->row_count; i++)
        for (uint32_t k = 0; k < b->rows[i].event_count; k++) {
            size_t at = b->rows[i].first_event + k;
            to[at] = b->events[at].time_ns - b->rows[i].start_ns;
        }
    if (to)
        put_numbers(e, TR_C_EVENT_TIMES, to, b->event_count);
    PUT_TEXTS(e, TR_C_EVENT_NAMES, tr_event, b->events, b->event_count, name, TR_ITEM_EVENT);
    for (size_t i = 0; i < b->link_count; i++)
        sx_buf_bytes(e->out, b->links[i].trace_id, 16);
    end_chunk(e, TR_C_LINK_TRACES);
    for (size_t i = 0; i < b->link_count; i++)
        sx_buf_bytes(e->out, b->links[i].span_id, 8);
    end_chunk(e, TR_C_LINK_SPANS);
    PUT_TEXTS(e, TR_C_LINK_STATES, tr_link, b->links, b->link_count, trace_state, 0);
    PUT_NUMBERS(e, TR_C_LINK_FLAGS, tr_link, b->links, b->link_count, it->flags);
}

static void put_shapes(encoder *e, unsigned place)
{
    const tr_builder *b = e->b;
    const tr_lists *l = &b->lists[place];
    tr_put_varint(e->out, l->shape_count);
    for (size_t i = 0; i < l->shape_count; i++) {
        const tr_shape *s = &l->shapes[i];
        tr_put_varint(e->out, s->count);
        for (uint32_t k = 0; k < s->count; k++)
            tr_put_varint(e->out, b->shape_columns[s->first + k]);
    }
    end_chunk(e, TR_C_SHAPES + place);
}

static void put_column(encoder *e, uint32_t i)
{
    tr_builder *b = e->b;
    const tr_column *c = &b->columns[i];
    uint64_t key = tr_text_hash(tr_builder_text_of(b, c->key));
    if (!add_item(e, tr_item_type(key, c->type)))
        return;
    if (!tr_type_is_text(c->type)) {
        put_numbers(e, TR_CHUNKS + i, c->values, c->count);
        return;
    }
    uint32_t *to = codes(e, c->count);
    for (size_t k = 0; to && k < c->count; k++)
        to[k] = (uint32_t)c->values[k];
    if (!to)
        return;
    put_texts(e, TR_CHUNKS + i, to, c->count, 0);
    const tr_packer *p = &b->packer;
    for (uint32_t k = 0; c->type == SPAN_STR && k < p->distinct_count; k++)
        if (!add_item(e, tr_item_value(key, tr_builder_text_of(b, p->distinct[k]))))
            return;
}

static void put_columns(encoder *e)
{
    tr_builder *b = e->b;
    PUT_TEXTS(e, TR_C_KEYS, tr_column, b->columns, b->column_count, key, 0);
    for (size_t i = 0; i < b->column_count; i++) {
        sx_buf_byte(e->out, (char)b->columns[i].place);
        sx_buf_byte(e->out, (char)b->columns[i].type);
    }
    end_chunk(e, TR_C_COLUMNS);
    for (unsigned p = 0; p < TR_PLACES; p++)
        put_shapes(e, p);
    for (unsigned p = 0; p < TR_PLACES; p++)
        PUT_NUMBERS(e, TR_C_SHAPE + p, uint32_t, b->lists[p].shape_of, b->lists[p].count, *it);
    for (unsigned p = 0; p < TR_PLACES; p++)
        PUT_NUMBERS(e, TR_C_DROPPED + p, uint32_t, b->lists[p].dropped, b->lists[p].count, *it);
    for (uint32_t i = 0; i < b->column_count && !e->failed; i++)
        put_column(e, i);
}

static void summarize(const tr_builder *b, tr_summary *sum)
{
    sum->min_ns = sum->min_duration = UINT64_MAX;
    for (size_t i = 0; i < b->row_count; i++) {
        const tr_row *r = &b->rows[i];
        uint64_t d = r->end_ns > r->start_ns ? r->end_ns - r->start_ns : 0;
        sum->min_ns = r->start_ns < sum->min_ns ? r->start_ns : sum->min_ns;
        sum->max_ns = r->start_ns > sum->max_ns ? r->start_ns : sum->max_ns;
        sum->min_duration = d < sum->min_duration ? d : sum->min_duration;
        sum->max_duration = d > sum->max_duration ? d : sum->max_duration;
        sum->errors += r->status == SPAN_ERROR;
        sum->kinds |= (uint8_t)(1u << (r->kind & 7));
        sum->statuses |= (uint8_t)(1u << (r->status & 7));
    }
    sum->rows = (uint32_t)b->row_count;
}

sx_status tr_builder_encode(tr_builder *b, sx_buf *group, sx_buf *filter, tr_summary *sum,
                            sx_error *err)
{
    encoder e = {.b = b, .out = group};
    e.texts = (tr_texts){b->texts, b->globals, (uint32_t)b->text_count};
    tr_group_head head = {.rows = (uint32_t)b->row_count,
                          .column_count = (uint32_t)b->column_count};
    for (unsigned p = 0; p < TR_PLACES; p++)
        head.lists[p] = (uint32_t)b->lists[p].count;
    if (b->cell_count > TR_GROUP_CELLS_MAX || b->event_count > TR_GROUP_CELLS_MAX ||
        b->link_count > TR_GROUP_CELLS_MAX)
        return sx_fail(err, SX_ELIMIT,
                       "a span has %zu attributes, events and links; at most %d "
                       "fit in a group",
                       b->cell_count, TR_GROUP_CELLS_MAX);
    *sum = (tr_summary){0};
    summarize(b, sum);
    size_t lengths = sizeof(uint32_t) * (TR_CHUNKS + b->column_count);
    sx_buf_bytes(group, &head, sizeof head);
    e.lengths_at = group->len;
    char *at = sx_buf_reserve(group, lengths);
    if (at) {
        memset(at, 0, lengths);
        group->len += lengths;
    }
    e.data_at = group->len;
    put_traces(&e, &sum->traces);
    if (!group->failed)
        memcpy(group->data + offsetof(tr_group_head, traces), &sum->traces, sizeof sum->traces);
    put_spans(&e);
    put_resources(&e);
    put_events(&e);
    put_columns(&e);
    if (e.failed || b->packer.failed || group->failed || !tr_filter_build(&b->items, filter))
        return sx_fail_memory(err, "a group of spans");
    sum->len = (uint32_t)group->len;
    sum->filter_len = (uint32_t)filter->len;
    return SX_OK;
}
