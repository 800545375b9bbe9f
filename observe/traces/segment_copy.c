/* segment_copy.c - groups that a merge takes over without unpacking them.
 *
 * Segments of memtables that followed one another hold different traces, mostly: then what a merge has
 * to do for a group is to give its texts the numbers of the new dictionary. These stand at the head of
 * each chunk of texts; indexes into that head, planes and filter stay as they are. A group is taken
 * apart if one of its traces may be in another input, which the hash indexes tell by what they keep of
 * the hashes. The tables beside the rows are summed; what traces whose parts come together change in
 * them, segment_side.c knows. */
#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/traces/segment_impl.h"

/* --- Traces that may be in several inputs. */

enum { SLICE_BUCKETS_LOG = 8, EDGES_MAX = 1 << 18 };

typedef struct print { /* what the index of an input has of a trace's hash */
    uint64_t bits;     /* the first of the hash, the others 0 */
    uint32_t input, group;
} print;

typedef struct prints { /* of one slice of the hashes: open addressing */
    print *slots;
    size_t cap, mask, count;
} prints;

/* Among the slots of equal hashes each input's stay, as one of them is as good as the other. */
static void meet(prints *p, unsigned shift, print one, uint8_t *const *marks)
{
    size_t at = (one.bits << shift >> 20) & p->mask;
    for (; p->slots[at].input; at = (at + 1) & p->mask) {
        const print *other = &p->slots[at];
        if (other->bits == one.bits && other->input != one.input) {
            marks[other->input - 1][other->group] = 1;
            marks[one.input - 1][one.group] = 1;
        }
    }
    p->slots[at] = one;
    p->count++;
}

/* The first bucket of a slice, or the end of that before. */
static size_t bucket_at(const tr_segment *s, uint64_t slice, unsigned slice_bits, bool end)
{
    if (s->bucket_bits >= slice_bits)
        return (slice + end) << (s->bucket_bits - slice_bits);
    return (slice >> (slice_bits - s->bucket_bits)) + end;
}

static bool make_room(prints *p, tr_segment *const *inputs, size_t count, uint64_t slice,
                      unsigned slice_bits)
{
    size_t most = 0, size = 64;
    for (size_t i = 0; i < count; i++)
        if (inputs[i]->info.traces)
            most += inputs[i]->bucket_starts[bucket_at(inputs[i], slice, slice_bits, true)] -
                    inputs[i]->bucket_starts[bucket_at(inputs[i], slice, slice_bits, false)];
    while (size < 2 * most + 2)
        size *= 2;
    if (!sx_grow(&p->slots, &p->cap, size, sizeof *p->slots))
        return false;
    memset(p->slots, 0, size * sizeof *p->slots);
    p->mask = size - 1;
    p->count = 0;
    return true;
}

/* Bits of the hash that all inputs have. */
static unsigned common_bits(tr_segment *const *inputs, size_t count)
{
    unsigned bits = 64;
    for (size_t i = 0; i < count; i++)
        if (inputs[i]->info.traces && inputs[i]->bucket_bits + inputs[i]->print_bits < bits)
            bits = inputs[i]->bucket_bits + inputs[i]->print_bits;
    return bits;
}

static sx_status meet_slice(prints *p, tr_segment *const *inputs, size_t count, uint64_t slice,
                            unsigned slice_bits, uint8_t *const *marks, sx_error *err)
{
    unsigned bits = common_bits(inputs, count);
    if (!make_room(p, inputs, count, slice, slice_bits))
        return sx_fail_memory(err, "a merge of segments");
    for (size_t i = 0; i < count; i++) {
        const tr_segment *s = inputs[i];
        if (s->info.traces == 0)
            continue;
        size_t end = bucket_at(s, slice, slice_bits, true);
        for (size_t b = bucket_at(s, slice, slice_bits, false); b < end; b++)
            for (uint32_t k = s->bucket_starts[b]; k < s->bucket_starts[b + 1]; k++) {
                uint32_t group = s->trace_entries[k] & ((UINT32_C(1) << s->group_bits) - 1);
                uint64_t hash = (uint64_t)(s->trace_entries[k] >> s->group_bits)
                                    << (64 - s->print_bits) >>
                                s->bucket_bits;
                if (s->bucket_bits)
                    hash |= (uint64_t)b << (64 - s->bucket_bits);
                if (group >= s->info.groups)
                    return tr_segment_damaged(s, err, "trace index, group", group);
                if (slice_bits && hash >> (64 - slice_bits) != slice)
                    continue;
                meet(p, slice_bits,
                     (print){hash >> (64 - bits) << (64 - bits), (uint32_t)i + 1, group}, marks);
            }
    }
    return SX_OK;
}

sx_status tr_copy_find_shared(tr_segment *const *inputs, size_t count, uint8_t *const *marks,
                              sx_error *err)
{
    static const uint8_t ANY[16];
    sx_status status = SX_OK;
    unsigned most = 0;
    prints p = {0};
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        uint64_t first, rows;
        most = inputs[i]->bucket_bits > most ? inputs[i]->bucket_bits : most;
        status = tr_segment_find(inputs[i], ANY, &first, &rows, err); /* has the index checked */
    }
    unsigned slice_bits = most > SLICE_BUCKETS_LOG ? most - SLICE_BUCKETS_LOG : 0;
    for (uint64_t slice = 0; slice >> slice_bits == 0 && status == SX_OK; slice++)
        status = meet_slice(&p, inputs, count, slice, slice_bits, marks, err);
    sx_free(p.slots);
    return status;
}

/* --- One group. */

typedef struct copying {
    const tr_group *g;
    const uint32_t *map;
    tr_packer *packer;
    sx_buf *out;
    uint64_t *numbers;
    size_t numbers_cap;
    size_t lengths_at;
} copying;

/* A chunk of texts: its numbers of the dictionary, as differences; the rest stays. */
static bool renumber(copying *c, tr_cursor *in)
{
    const tr_segment *s = c->g->segment;
    if (in->at == in->end) /* an empty place's */
        return true;
    uint64_t globals = tr_take_varint(in), locals = tr_take_varint(in), code = 0, before = 0;
    if (globals > s->dict_count)
        tr_set_fault(in, TR_DAMAGED);
    if (in->fault)
        return false;
    if (!sx_grow(&c->numbers, &c->numbers_cap, globals + 1, sizeof *c->numbers)) {
        tr_set_fault(in, TR_NO_MEMORY);
        return false;
    }
    if (!tr_take_ints(c->g->unpacker, in, c->numbers, globals))
        return false;
    for (uint64_t i = 0; i < globals; i++) {
        code += c->numbers[i];
        if (code >= s->dict_count || (i && c->numbers[i] == 0)) {
            tr_set_fault(in, TR_DAMAGED);
            return false;
        }
        c->numbers[i] = c->map[code] - before;
        before = c->map[code];
    }
    tr_put_varint(c->out, globals);
    tr_put_varint(c->out, locals);
    tr_put_ints(c->packer, c->out, c->numbers, globals);
    sx_buf_bytes(c->out, in->at, (size_t)(in->end - in->at));
    return true;
}

static bool has_texts(const uint8_t *marks, unsigned chunk)
{
    switch (chunk) {
    case TR_C_NAMES:
    case TR_C_STATES:
    case TR_C_MESSAGES:
    case TR_C_RESOURCE_SERVICES:
    case TR_C_RESOURCE_SCHEMAS:
    case TR_C_SCOPE_NAMES:
    case TR_C_SCOPE_VERSIONS:
    case TR_C_SCOPE_SCHEMAS:
    case TR_C_EVENT_NAMES:
    case TR_C_LINK_STATES:
    case TR_C_KEYS:
        return true;
    default:
        return chunk >= TR_CHUNKS && tr_type_is_text(marks[2 * (size_t)(chunk - TR_CHUNKS) + 1]);
    }
}

static sx_status copy_chunks(copying *c, sx_error *err)
{
    const tr_group *g = c->g;
    unsigned chunks = TR_CHUNKS + g->head.column_count;
    tr_cursor columns = tr_group_chunk(g, TR_C_COLUMNS);
    const uint8_t *marks = tr_take_bytes(&columns, 2 * (size_t)g->head.column_count);
    if (!marks)
        return tr_group_fail(g, &columns, TR_C_COLUMNS, err);
    for (unsigned i = 0; i < chunks; i++) {
        tr_cursor in = tr_group_chunk(g, i);
        size_t at = c->out->len;
        if (!has_texts(marks, i))
            sx_buf_bytes(c->out, in.at, (size_t)(in.end - in.at));
        else if (!renumber(c, &in))
            return tr_group_fail(g, &in, i, err);
        uint32_t len = (uint32_t)(c->out->len - at);
        if (!c->out->failed)
            memcpy(c->out->data + c->lengths_at + 4 * (size_t)i, &len, sizeof len);
    }
    return c->packer->failed ? sx_fail_memory(err, "a group of spans")
                             : sx_buf_status(c->out, "a group of spans", err);
}

sx_status tr_copy_group(const tr_segment *s, uint64_t group, const uint32_t *map, tr_packer *packer,
                        tr_unpacker *unpacker, sx_buf *out, sx_error *err)
{
    tr_group g;
    sx_arena arena;
    copying c = {.g = &g, .map = map, .packer = packer, .out = out};
    sx_arena_init(&arena, 1 << 12, 0);
    sx_status status = tr_group_open(&g, s, group, &arena, unpacker, err);
    if (status == SX_OK && (tr_group_chunk(&g, TR_C_TRACE_IDS).end -
                            tr_group_chunk(&g, TR_C_TRACE_IDS).at) != 16 * (ptrdiff_t)g.sum->traces)
        status = tr_segment_damaged(s, err, "traces of group", group);
    if (status == SX_OK) {
        size_t lengths = sizeof(uint32_t) * (TR_CHUNKS + (size_t)g.head.column_count);
        sx_buf_bytes(out, &g.head, sizeof g.head);
        c.lengths_at = out->len;
        char *room = sx_buf_reserve(out, lengths); /* they are put in as chunks are */
        if (room)
            out->len += lengths;
        status = copy_chunks(&c, err);
    }
    sx_free(c.numbers);
    sx_arena_done(&arena);
    return status;
}

/* --- The tables. */

typedef struct summing {
    tr_side *side;
    tr_file *file;
    tr_segment *const *inputs;
    size_t count, at; /* which is read */
    uint8_t *const *marks;
    uint64_t edges;
    bool no_memory;
    sx_status status;
    sx_error *err;
} summing;

static bool note(summing *s, bool added)
{
    s->no_memory |= !added;
    return added;
}

static bool count_edge(void *ctx, const tr_edge *e)
{
    (void)e;
    return ++((summing *)ctx)->edges <= EDGES_MAX;
}

static bool sum_operation(void *ctx, sx_str service, sx_str name, unsigned kind, uint64_t count)
{
    summing *s = ctx;
    uint32_t of = tr_side_name(s->side, service);
    return note(s, of != UINT32_MAX && tr_side_operation(s->side, of, name, kind, count));
}

static bool sum_key(void *ctx, unsigned place, sx_str key, unsigned type)
{
    summing *s = ctx;
    return note(s, tr_side_key(s->side, (unsigned)__builtin_ctz(place), key, type));
}

static bool sum_edge(void *ctx, const tr_edge *e)
{
    summing *s = ctx;
    uint32_t parent = tr_side_name(s->side, e->parent), child = tr_side_name(s->side, e->child);
    return note(s, parent != UINT32_MAX && child != UINT32_MAX &&
                       tr_side_edge(s->side, parent, child, e));
}

/* Whether another input has the trace, too. */
static bool is_shared(summing *s, const uint8_t trace_id[16])
{
    uint64_t first, count;
    const tr_segment *own = s->inputs[s->at];
    s->status = tr_segment_find(own, trace_id, &first, &count, s->err);
    if (s->status != SX_OK || count == 0 || !s->marks[s->at][tr_segment_group_of(own, first)])
        return false;
    for (size_t i = 0; i < s->count; i++) {
        if (i == s->at)
            continue;
        s->status = tr_segment_find(s->inputs[i], trace_id, &first, &count, s->err);
        if (s->status != SX_OK || count)
            return s->status == SX_OK;
    }
    return false;
}

static bool sum_orphan(void *ctx, const tr_orphan *o)
{
    summing *s = ctx;
    tr_side_span one = {.start_ns = o->start_ns,
                        .duration_ns = o->duration_ns,
                        .service = tr_side_name(s->side, o->service),
                        .error = o->error};
    memcpy(one.parent, o->parent, sizeof one.parent);
    bool shared = is_shared(s, o->trace_id);
    if (s->status != SX_OK || shared)
        return s->status == SX_OK;
    if (!note(s, one.service != UINT32_MAX && tr_side_orphan(s->side, o->trace_id, &one)))
        return false;
    s->status = tr_file_sides(s->file, s->err);
    return s->status == SX_OK;
}

sx_status tr_copy_sides(tr_segment *const *inputs, size_t count, uint8_t *const *marks,
                        tr_file *file, bool *fits, sx_error *err)
{
    summing s = {.side = file->side,
                 .file = file,
                 .inputs = inputs,
                 .count = count,
                 .marks = marks,
                 .err = err};
    sx_status status = SX_OK;
    for (size_t i = 0; i < count && status == SX_OK; i++)
        status = tr_segment_edges(inputs[i], 0, UINT64_MAX, count_edge, &s, err);
    *fits = s.edges <= EDGES_MAX;
    if (status != SX_OK || !*fits)
        return status;
    tr_side_sum(file->side, true);
    for (s.at = 0; s.at < count && status == SX_OK; s.at++) {
        const tr_segment *in = inputs[s.at];
        status = tr_segment_operations(in, sum_operation, &s, err);
        if (status == SX_OK)
            status = tr_segment_keys(in, sum_key, &s, err);
        if (status == SX_OK)
            status = tr_segment_edges(in, 0, UINT64_MAX, sum_edge, &s, err);
        if (status == SX_OK)
            status = tr_segment_orphans(in, sum_orphan, &s, err);
        if (status == SX_OK)
            status = s.no_memory ? sx_fail_memory(err, "a segment's tables") : s.status;
    }
    return status;
}
