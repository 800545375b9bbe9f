/* segment_build.c - gathers the rows of one group, whatever they come from.
 *
 * Attributes go straight into their columns: a list of attributes is looked up among the shapes of
 * its place (the lists of keys and types that occur, few even in millions of spans), and the shape
 * says which columns the values belong to. HOT: some 100 ns a span. */
#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/traces/segment_impl.h"

/* Attributes that name what a client calls, the more telling first. */
static const struct peer_key {
    sx_str key;
    uint8_t kind;
} PEER_KEYS[] = {
    {SX_STR_INIT("db.system.name"), TR_EDGE_DATABASE},
    {SX_STR_INIT("db.system"), TR_EDGE_DATABASE},
    {SX_STR_INIT("messaging.system"), TR_EDGE_MESSAGING},
    {SX_STR_INIT("peer.service"), TR_EDGE_SERVICE},
};
enum { PEER_KEY_COUNT = sizeof PEER_KEYS / sizeof PEER_KEYS[0] };

/* --- Texts. */

sx_str tr_builder_text_of(const tr_builder *b, uint32_t code)
{
    return code < b->globals ? b->global_texts[code] : b->texts[code - b->globals];
}

static bool widen_texts(tr_builder *b)
{
    size_t count = b->text_mask ? 2 * (b->text_mask + 1) : 1024;
    uint32_t *slots = sx_calloc(count, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < b->text_count; i++) {
        size_t at = tr_text_hash(b->texts[i]) & (count - 1);
        while (slots[at])
            at = (at + 1) & (count - 1);
        slots[at] = i + 1;
    }
    sx_free(b->text_slots);
    b->text_slots = slots;
    b->text_mask = count - 1;
    return true;
}

uint32_t tr_builder_text(tr_builder *b, sx_str text)
{
    sx_assert(!b->texts_fixed);
    if (2 * b->text_count >= b->text_mask && !widen_texts(b))
        return TR_UNMAPPED;
    size_t at = tr_text_hash(text) & b->text_mask;
    for (; b->text_slots[at]; at = (at + 1) & b->text_mask)
        if (sx_str_eq(b->texts[b->text_slots[at] - 1], text))
            return b->globals + b->text_slots[at] - 1;
    if (!sx_grow(&b->texts, &b->texts_cap, b->text_count + 1, sizeof *b->texts))
        return TR_UNMAPPED;
    sx_str copy = sx_arena_copy(&b->text_arena, text);
    if (!copy.data)
        return TR_UNMAPPED;
    b->texts[b->text_count] = copy;
    b->text_slots[at] = (uint32_t)++b->text_count;
    b->text_bytes += text.len;
    return b->globals + (uint32_t)b->text_count - 1;
}

/* --- Shapes and columns. */

static uint64_t column_hash(uint32_t place, uint32_t key, uint32_t type)
{
    return sx_hash_u64((uint64_t)key << 8 | type << 4 | place, 0);
}

static bool widen_columns(tr_builder *b)
{
    size_t count = b->column_mask ? 2 * (b->column_mask + 1) : 256;
    uint32_t *slots = sx_calloc(count, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < b->column_count; i++) {
        const tr_column *c = &b->columns[i];
        size_t at = column_hash(c->place, c->key, c->type) & (count - 1);
        while (slots[at])
            at = (at + 1) & (count - 1);
        slots[at] = i + 1;
    }
    sx_free(b->column_slots);
    b->column_slots = slots;
    b->column_mask = count - 1;
    return true;
}

/* The column of a key; UINT32_MAX without memory. */
static uint32_t column_of(tr_builder *b, unsigned place, uint32_t key, uint32_t type)
{
    if (2 * b->column_count >= b->column_mask && !widen_columns(b))
        return UINT32_MAX;
    size_t at = column_hash(place, key, type) & b->column_mask;
    for (; b->column_slots[at]; at = (at + 1) & b->column_mask) {
        const tr_column *c = &b->columns[b->column_slots[at] - 1];
        if (c->key == key && c->type == type && c->place == place)
            return b->column_slots[at] - 1;
    }
    if (!sx_grow(&b->columns, &b->columns_cap, b->column_count + 1, sizeof *b->columns))
        return UINT32_MAX;
    tr_column *c = &b->columns[b->column_count];
    if (b->column_count == b->columns_made) {
        *c = (tr_column){0};
        b->columns_made++;
    }
    c->key = key, c->place = place, c->type = type;
    c->count = 0;
    b->column_slots[at] = (uint32_t)++b->column_count;
    if (!tr_side_key(b->side, place, tr_builder_text_of(b, key), type))
        return UINT32_MAX;
    return (uint32_t)b->column_count - 1;
}

static bool widen_shapes(tr_lists *l)
{
    size_t count = l->slot_mask ? 2 * (l->slot_mask + 1) : 64;
    uint32_t *slots = sx_calloc(count, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < l->shape_count; i++) {
        size_t at = l->shapes[i].hash & (count - 1);
        while (slots[at])
            at = (at + 1) & (count - 1);
        slots[at] = i + 1;
    }
    sx_free(l->slots);
    l->slots = slots;
    l->slot_mask = count - 1;
    return true;
}

static void find_peer(const tr_builder *b, tr_shape *shape, const tr_cell *cells)
{
    uint32_t best = PEER_KEY_COUNT;
    for (uint32_t i = 0; i < shape->count; i++)
        for (uint32_t k = 0; k < best; k++)
            if (cells[i].type == SPAN_STR &&
                sx_str_eq(tr_builder_text_of(b, cells[i].key), PEER_KEYS[k].key)) {
                best = k;
                shape->peer = i + 1;
                shape->peer_kind = PEER_KEYS[k].kind;
            }
}

static bool add_shape(tr_builder *b, unsigned place, const tr_cell *cells, uint32_t count,
                      uint64_t hash, size_t at)
{
    tr_lists *l = &b->lists[place];
    size_t first = b->shape_cell_count;
    if (!sx_grow(&l->shapes, &l->shapes_cap, l->shape_count + 1, sizeof *l->shapes) ||
        !sx_grow(&b->shape_cells, &b->shape_cells_cap, first + count + 1, sizeof *b->shape_cells) ||
        !sx_grow(&b->shape_columns, &b->shape_columns_cap, first + count + 1,
                 sizeof *b->shape_columns))
        return false;
    tr_shape *shape = &l->shapes[l->shape_count];
    *shape = (tr_shape){.hash = hash, .first = (uint32_t)first, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column = column_of(b, place, cells[i].key, cells[i].type);
        if (column == UINT32_MAX)
            return false;
        b->shape_cells[first + i] = (uint64_t)cells[i].key << 8 | cells[i].type;
        b->shape_columns[first + i] = column;
    }
    if (place == TR_AT_SPAN)
        find_peer(b, shape, cells);
    b->shape_cell_count += count;
    l->slots[at] = (uint32_t)++l->shape_count;
    return true;
}

static bool same_shape(const tr_builder *b, const tr_shape *shape, const tr_cell *cells)
{
    const uint64_t *mine = b->shape_cells + shape->first;
    for (uint32_t i = 0; i < shape->count; i++)
        if (mine[i] != ((uint64_t)cells[i].key << 8 | cells[i].type))
            return false;
    return true;
}

/* The shape of a list of attributes; UINT32_MAX without memory. */
static uint32_t shape_of(tr_builder *b, unsigned place, const tr_cell *cells, uint32_t count)
{
    tr_lists *l = &b->lists[place];
    uint64_t hash = count;
    for (uint32_t i = 0; i < count; i++)
        hash = (hash ^ ((uint64_t)cells[i].key << 8 | cells[i].type)) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
    if (2 * l->shape_count >= l->slot_mask && !widen_shapes(l))
        return UINT32_MAX;
    size_t at = hash & l->slot_mask;
    for (; l->slots[at]; at = (at + 1) & l->slot_mask) {
        const tr_shape *s = &l->shapes[l->slots[at] - 1];
        if (s->hash == hash && s->count == count && same_shape(b, s, cells))
            return l->slots[at] - 1;
    }
    if (!add_shape(b, place, cells, count, hash, at))
        return UINT32_MAX;
    return (uint32_t)l->shape_count - 1;
}

bool tr_builder_list(tr_builder *b, unsigned place, const tr_cell *cells, uint32_t count,
                     uint32_t dropped)
{
    tr_lists *l = &b->lists[place];
    uint32_t shape = shape_of(b, place, cells, count);
    if (shape == UINT32_MAX ||
        !sx_grow(&l->shape_of, &l->shape_of_cap, l->count + 1, sizeof *l->shape_of) ||
        !sx_grow(&l->dropped, &l->dropped_cap, l->count + 1, sizeof *l->dropped))
        return false;
    const uint32_t *columns = count ? b->shape_columns + l->shapes[shape].first : NULL;
    for (uint32_t i = 0; i < count; i++) {
        tr_column *c = &b->columns[columns[i]];
        if (c->count == c->cap && !sx_grow(&c->values, &c->cap, c->count + 1, sizeof *c->values))
            return false;
        c->values[c->count++] = cells[i].bits;
    }
    l->shape_of[l->count] = shape;
    l->dropped[l->count++] = dropped;
    b->cell_count += count;
    return true;
}

/* --- The builder. */

sx_status tr_builder_init(tr_builder *b, int zstd_level, tr_side *side, sx_error *err)
{
    *b = (tr_builder){.side = side, .round = 1};
    sx_arena_init(&b->text_arena, 1 << 18, 0);
    return tr_packer_init(&b->packer, zstd_level) ? SX_OK : sx_fail_memory(err, "zstd's state");
}

void tr_builder_done(tr_builder *b)
{
    tr_packer_done(&b->packer);
    if (!b->texts_fixed)
        sx_free(b->texts);
    sx_arena_done(&b->text_arena);
    for (unsigned p = 0; p < TR_PLACES; p++) {
        sx_free(b->lists[p].shape_of);
        sx_free(b->lists[p].dropped);
        sx_free(b->lists[p].shapes);
        sx_free(b->lists[p].slots);
    }
    for (size_t i = 0; i < b->columns_made; i++)
        sx_free(b->columns[i].values);
    void *blocks[] = {b->text_slots,    b->rows,    b->events,       b->links,
                      b->resources,     b->scopes,  b->kept,         b->resource_hashes,
                      b->scope_hashes,  b->columns, b->column_slots, b->shape_cells,
                      b->shape_columns, b->numbers, b->codes,        b->raw,
                      b->resource_names};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        sx_free(blocks[i]);
    tr_items_done(&b->items);
    *b = (tr_builder){0};
}

bool tr_builder_full(const tr_builder *b)
{
    return b->row_count >= TR_GROUP_ROWS || b->cell_count >= TR_GROUP_CELLS ||
           b->text_bytes >= TR_GROUP_TEXT;
}

void tr_builder_clear(tr_builder *b)
{
    for (unsigned p = 0; p < TR_PLACES; p++) {
        tr_lists *l = &b->lists[p];
        l->count = l->shape_count = 0;
        if (l->slots)
            memset(l->slots, 0, (l->slot_mask + 1) * sizeof *l->slots);
    }
    if (b->column_slots)
        memset(b->column_slots, 0, (b->column_mask + 1) * sizeof *b->column_slots);
    if (!b->texts_fixed) {
        if (b->text_slots)
            memset(b->text_slots, 0, (b->text_mask + 1) * sizeof *b->text_slots);
        b->text_count = 0;
        sx_arena_reset(&b->text_arena);
    }
    b->column_count = b->shape_cell_count = b->kept_count = 0;
    b->row_count = b->event_count = b->link_count = b->resource_count = b->scope_count = 0;
    b->cell_count = b->text_bytes = 0;
    b->items.count = 0;
    b->round++;
}

/* --- Rows from elsewhere. */

void tr_feed_done(tr_feed *f)
{
    sx_free(f->local_map);
    sx_free(f->resource_map);
    sx_free(f->scope_map);
    sx_free(f->cell_scratch);
    *f = (tr_feed){0};
}

void tr_feed_reset(tr_feed *f)
{
    f->round = 0;
}

/* The first row that goes into a new group, or from a new set: nothing is mapped yet. */
static bool begin_round(tr_feed *f, const tr_builder *b)
{
    if (!sx_grow(&f->local_map, &f->local_cap, f->local_count, sizeof *f->local_map) ||
        !sx_grow(&f->resource_map, &f->resource_cap, f->resource_count, sizeof *f->resource_map) ||
        !sx_grow(&f->scope_map, &f->scope_cap, f->scope_count, sizeof *f->scope_map))
        return false;
    if (f->local_count)
        memset(f->local_map, 0, f->local_count * sizeof *f->local_map);
    memset(f->resource_map, 0, f->resource_count * sizeof *f->resource_map);
    memset(f->scope_map, 0, f->scope_count * sizeof *f->scope_map);
    f->round = b->round;
    return true;
}

/* Codes of this group for a source's; the group's failure is told by UNMAPPED. */
static uint32_t map_text(tr_feed *f, uint32_t code, tr_builder *b)
{
    if (code < f->map_count) {
        uint32_t to = f->map[code];
        return to != TR_UNMAPPED ? to : tr_builder_text(b, f->get(f->get_ctx, code));
    }
    uint32_t i = code - f->map_count;
    sx_assert(i < f->local_count);
    if (!f->local_map[i]) {
        uint32_t to = tr_builder_text(b, f->locals[i]);
        if (to == TR_UNMAPPED)
            return to;
        f->local_map[i] = to + 1;
    }
    return f->local_map[i] - 1;
}

/* Cells in codes of this group, in the scratch; NULL without memory. */
static const tr_cell *map_cells(tr_feed *f, tr_cells run, tr_builder *b)
{
    if (!sx_grow(&f->cell_scratch, &f->cell_scratch_cap, (size_t)run.count + 1,
                 sizeof *f->cell_scratch))
        return NULL;
    for (uint32_t i = 0; i < run.count; i++) {
        tr_cell c = f->cells[run.first + i];
        c.key = map_text(f, c.key, b);
        if (c.key == TR_UNMAPPED)
            return NULL;
        if (tr_type_is_text(c.type)) {
            uint32_t code = map_text(f, (uint32_t)c.bits, b);
            if (code == TR_UNMAPPED)
                return NULL;
            c.bits = code;
            if (b->texts_counted && code >= b->globals) /* else as they are interned */
                b->text_bytes += b->texts[code - b->globals].len;
        }
        f->cell_scratch[i] = c;
    }
    return f->cell_scratch;
}

static bool put_list(tr_feed *f, tr_builder *b, unsigned place, tr_cells run)
{
    const tr_cell *cells = map_cells(f, run, b);
    return cells && tr_builder_list(b, place, cells, run.count, run.dropped);
}

static uint64_t cells_hash(const tr_cell *cells, uint32_t count)
{
    uint64_t hash = count;
    for (uint32_t i = 0; i < count; i++)
        hash = sx_hash_u64(cells[i].bits, hash ^ ((uint64_t)cells[i].key << 8 | cells[i].type));
    return hash;
}

static bool same_cells(const tr_builder *b, tr_cells kept, const tr_cell *cells, tr_cells run)
{
    if (kept.count != run.count || kept.dropped != run.dropped)
        return false;
    for (uint32_t i = 0; i < run.count; i++) {
        const tr_cell *k = &b->kept[kept.first + i];
        if (k->key != cells[i].key || k->type != cells[i].type || k->bits != cells[i].bits)
            return false;
    }
    return true;
}

static bool keep_cells(tr_builder *b, const tr_cell *cells, tr_cells *run)
{
    if (!sx_grow(&b->kept, &b->kept_cap, b->kept_count + run->count + 1, sizeof *b->kept))
        return false;
    memcpy(b->kept + b->kept_count, cells, run->count * sizeof *cells);
    run->first = (uint32_t)b->kept_count;
    b->kept_count += run->count;
    return true;
}

static uint32_t map_resource(tr_feed *f, uint32_t from, tr_builder *b)
{
    sx_assert(from < f->resource_count);
    if (f->resource_map[from])
        return f->resource_map[from] - 1;
    tr_resource r = f->resources[from];
    const tr_cell *cells = map_cells(f, r.cells, b);
    r.schema_url = map_text(f, r.schema_url, b);
    r.service = map_text(f, r.service, b);
    if (!cells || r.schema_url == TR_UNMAPPED || r.service == TR_UNMAPPED)
        return TR_UNMAPPED;
    uint64_t hash =
        sx_hash_u64((uint64_t)r.service << 32 | r.schema_url, cells_hash(cells, r.cells.count));
    uint32_t i = 0;
    for (; i < b->resource_count; i++) {
        const tr_resource *o = &b->resources[i];
        if (b->resource_hashes[i] == hash && o->service == r.service &&
            o->schema_url == r.schema_url && same_cells(b, o->cells, cells, r.cells))
            break;
    }
    if (i == b->resource_count) {
        if (!sx_grow(&b->resources, &b->resources_cap, i + 1, sizeof *b->resources) ||
            !sx_grow(&b->resource_hashes, &b->resource_hashes_cap, i + 1, sizeof hash) ||
            !sx_grow(&b->resource_names, &b->resource_names_cap, i + 1, sizeof(uint32_t)) ||
            !keep_cells(b, cells, &r.cells) ||
            !tr_builder_list(b, TR_AT_RESOURCE, cells, r.cells.count, r.cells.dropped))
            return TR_UNMAPPED;
        b->resource_names[i] = tr_side_name(b->side, tr_builder_text_of(b, r.service));
        b->resource_hashes[i] = hash;
        b->resources[i] = r;
        b->resource_count++;
    }
    f->resource_map[from] = i + 1;
    return i;
}

static uint32_t map_scope(tr_feed *f, uint32_t from, tr_builder *b)
{
    sx_assert(from < f->scope_count);
    if (f->scope_map[from])
        return f->scope_map[from] - 1;
    tr_scope s = f->scopes[from];
    const tr_cell *cells = map_cells(f, s.cells, b);
    s.name = map_text(f, s.name, b);
    s.version = map_text(f, s.version, b);
    s.schema_url = map_text(f, s.schema_url, b);
    if (!cells || s.name == TR_UNMAPPED || s.version == TR_UNMAPPED || s.schema_url == TR_UNMAPPED)
        return TR_UNMAPPED;
    uint64_t hash = sx_hash_u64((uint64_t)s.name << 32 | s.version,
                                cells_hash(cells, s.cells.count) + s.schema_url);
    uint32_t i = 0;
    for (; i < b->scope_count; i++) {
        const tr_scope *o = &b->scopes[i];
        if (b->scope_hashes[i] == hash && o->name == s.name && o->version == s.version &&
            o->schema_url == s.schema_url && same_cells(b, o->cells, cells, s.cells))
            break;
    }
    if (i == b->scope_count) {
        if (!sx_grow(&b->scopes, &b->scopes_cap, i + 1, sizeof *b->scopes) ||
            !sx_grow(&b->scope_hashes, &b->scope_hashes_cap, i + 1, sizeof hash) ||
            !keep_cells(b, cells, &s.cells) ||
            !tr_builder_list(b, TR_AT_SCOPE, cells, s.cells.count, s.cells.dropped))
            return TR_UNMAPPED;
        b->scope_hashes[i] = hash;
        b->scopes[i] = s;
        b->scope_count++;
    }
    f->scope_map[from] = i + 1;
    return i;
}

static bool put_children(tr_feed *f, const tr_row *row, tr_builder *b)
{
    if (!sx_grow(&b->events, &b->events_cap, b->event_count + row->event_count,
                 sizeof *b->events) ||
        !sx_grow(&b->links, &b->links_cap, b->link_count + row->link_count, sizeof *b->links))
        return false;
    for (uint32_t i = 0; i < row->event_count; i++) {
        tr_event e = f->events[row->first_event + i];
        e.name = map_text(f, e.name, b);
        if (e.name == TR_UNMAPPED || !put_list(f, b, TR_AT_EVENT, e.cells))
            return false;
        b->events[b->event_count++] = e;
    }
    for (uint32_t i = 0; i < row->link_count; i++) {
        tr_link l = f->links[row->first_link + i];
        l.trace_state = map_text(f, l.trace_state, b);
        if (l.trace_state == TR_UNMAPPED || !put_list(f, b, TR_AT_LINK, l.cells))
            return false;
        b->links[b->link_count++] = l;
    }
    return true;
}

/* The side tables' part of a row: calls of databases and queues are seen at the caller. */
static bool put_side(tr_builder *b, const tr_row *row)
{
    if (!tr_side_counts(b->side))
        return true;
    tr_lists *l = &b->lists[TR_AT_SPAN];
    const tr_shape *shape = &l->shapes[l->shape_of[l->count - 1]];
    tr_side_span s = {.start_ns = row->start_ns,
                      .duration_ns = row->end_ns > row->start_ns ? row->end_ns - row->start_ns : 0,
                      .service = b->resource_names[row->resource],
                      .error = row->status == SPAN_ERROR};
    memcpy(s.id, row->id, sizeof s.id);
    memcpy(s.parent, row->parent, sizeof s.parent);
    if (shape->peer && (row->kind == SPAN_CLIENT || row->kind == SPAN_PRODUCER)) {
        const tr_column *c = &b->columns[b->shape_columns[shape->first + shape->peer - 1]];
        s.peer = tr_side_name(b->side, tr_builder_text_of(b, (uint32_t)c->values[c->count - 1]));
        s.peer_kind = shape->peer_kind;
    }
    return s.service != UINT32_MAX && s.peer != UINT32_MAX &&
           (!tr_side_lists(b->side) ||
            tr_side_operation(b->side, s.service, tr_builder_text_of(b, row->name), row->kind,
                              1)) &&
           tr_side_put(b->side, &s);
}

bool tr_feed_row(tr_feed *f, uint32_t row, tr_builder *b)
{
    if (f->round != b->round && !begin_round(f, b))
        return false;
    if (!sx_grow(&b->rows, &b->rows_cap, b->row_count + 1, sizeof *b->rows))
        return false;
    tr_row *r = &b->rows[b->row_count];
    *r = f->rows[row];
    const tr_row *from = &f->rows[row];
    r->name = map_text(f, from->name, b);
    r->trace_state = map_text(f, from->trace_state, b);
    r->status_message = map_text(f, from->status_message, b);
    r->resource = map_resource(f, from->resource, b);
    r->scope = map_scope(f, from->scope, b);
    if (r->name == TR_UNMAPPED || r->trace_state == TR_UNMAPPED ||
        r->status_message == TR_UNMAPPED || r->resource == TR_UNMAPPED || r->scope == TR_UNMAPPED)
        return false;
    r->first_event = (uint32_t)b->event_count;
    r->first_link = (uint32_t)b->link_count;
    if (!put_list(f, b, TR_AT_SPAN, from->cells) || !put_children(f, from, b))
        return false;
    b->row_count++;
    return put_side(b, r);
}
