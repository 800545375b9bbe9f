/* emit.c - step 6 of the build: places get their numbers, sections are written.
 *
 * Numbers rise with the search rank; what hangs on a street or place (rank 28 and more) lies together
 * by its parent, whose number is smaller. Within that the order is that of Nominatim's rows, which
 * decides between equals: bld_row(). */
#include <stdlib.h>

#include <sextant/map.h>
#include <sextant/mem.h>

#include "geocode/places/build_impl.h"

static const char ATTRIBUTION[] = "Data \302\251 OpenStreetMap contributors, ODbL 1.0. "
                                  "http://osm.org/copyright";
static const char LICENCE[] = "ODbL 1.0";

static const bld_place *place_of(const bld *b, uint32_t at)
{
    return at == PLC_NONE ? NULL : &b->places.items[at];
}

uint32_t bld_number_of(const bld *b, uint32_t at)
{
    const bld_place *p = place_of(b, at);
    return p ? p->number : PLC_NONE;
}

/* By what the numbers of places rise: those of rank 28 and more within their parent. */
typedef struct order_key {
    uint64_t row;
    uint32_t rank, at;
} order_key;

static int by_order(const void *a, const void *b)
{
    const order_key *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static order_key key_of(const bld *b, size_t at, uint32_t rank)
{
    return (order_key){b->places.items[at].row, rank, (uint32_t)at};
}

/* Sorts keys of one parent: nearly always few. */
static void sort_children(order_key *keys, size_t count)
{
    enum { FEW = 24 };
    if (count > FEW) {
        qsort(keys, count, sizeof *keys, by_order);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        order_key key = keys[i];
        size_t k = i;
        for (; k > 0 && by_order(&keys[k - 1], &key) > 0; k--)
            keys[k] = keys[k - 1];
        keys[k] = key;
    }
}

/* Numbers the places of rank 28 and more, of which there are most: counted by their parent first. */
static sx_status number_children(bld *b, size_t low, order_key *keys, sx_error *err)
{
    size_t count = b->places.count;
    /* Parents by number; the last slot: those without one, and those whose parent is a child itself. */
    size_t *from = sx_calloc(low + 2, sizeof *from);
    if (!from)
        return sx_fail_memory(err, "the numbers of places");
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < count; i++) {
            const bld_place *p = &b->places.items[i];
            if (p->rank_search < BLD_RANK_CHILD)
                continue;
            uint32_t parent = bld_number_of(b, p->parent);
            size_t slot = parent < low ? parent : low;
            if (round == 0)
                from[slot + 1]++;
            else
                keys[from[slot]++] = key_of(b, i, parent);
        }
        for (size_t i = 0; i <= low && round == 0; i++)
            from[i + 1] += from[i];
    }
    for (size_t i = 0, at = 0; i <= low; at = from[i], i++) /* from[i]: now where it ends */
        sort_children(keys + at, from[i] - at);
    sx_free(from);
    return SX_OK;
}

/* Numbers all places; b->order lists them. Of those with a street, the rank is not told apart: it
 * would tear what lies together. */
static sx_status number_places(bld *b, sx_error *err)
{
    size_t count = b->places.count, low = 0, n = 0;
    for (size_t i = 0; i < count; i++)
        low += b->places.items[i].rank_search < BLD_RANK_CHILD;
    size_t most = low > count - low ? low : count - low;
    order_key *keys = sx_calloc(most + 1, sizeof *keys);
    b->order = sx_calloc(count + 1, sizeof *b->order);
    if (!keys || !b->order) {
        sx_free(keys);
        return sx_fail_memory(err, "the numbers of places");
    }
    for (size_t i = 0; i < count; i++) {
        const bld_place *p = &b->places.items[i];
        if (p->rank_search < BLD_RANK_CHILD)
            keys[n++] = key_of(b, i, p->rank_search);
    }
    qsort(keys, low, sizeof *keys, by_order);
    for (size_t i = 0; i < low; i++) {
        b->order[i] = keys[i].at;
        b->places.items[keys[i].at].number = (uint32_t)i;
    }
    sx_status status = number_children(b, low, keys, err);
    for (size_t i = low; i < count && status == SX_OK; i++) {
        b->order[i] = keys[i - low].at;
        b->places.items[b->order[i]].number = (uint32_t)i;
    }
    sx_free(keys);
    return status;
}

static void put_pairs(bld *b, sx_buf *out, const plc_pairs *pairs, sx_status *status, sx_error *err)
{
    geo_put_varint(out, pairs->count);
    for (uint32_t i = 0; i < pairs->count && *status == SX_OK; i++) {
        uint32_t key = 0, value = 0;
        *status = plc_writer_string(b->writer, pairs->items[i].key, &key, err);
        if (*status == SX_OK)
            *status = plc_writer_string(b->writer, pairs->items[i].value, &value, err);
        geo_put_varint(out, key);
        geo_put_varint(out, value);
    }
}

sx_status bld_put_tags(bld *b, const plc_pairs *names, const plc_pairs *address,
                       const plc_pairs *extratags, uint64_t *at, sx_error *err)
{
    static const plc_pairs NONE = {0};
    geo_spool *s = plc_writer_section(b->writer, PLC_S_TAGS);
    sx_status status = SX_OK;
    *at = geo_spool_bytes(s);
    put_pairs(b, &s->tail, names ? names : &NONE, &status, err);
    put_pairs(b, &s->tail, address ? address : &NONE, &status, err);
    put_pairs(b, &s->tail, extratags ? extratags : &NONE, &status, err);
    return status == SX_OK ? geo_spool_settle(s, "tags of places", err) : status;
}

sx_status bld_put_shape(bld *b, const bld_shape *shape, uint64_t *at, sx_error *err)
{
    geo_spool *s = plc_writer_section(b->writer, PLC_S_SHAPES);
    *at = geo_spool_bytes(s);
    geo_put_varint(&s->tail, shape->bytes);
    sx_buf_str(&s->tail, bld_shape_bytes(shape));
    return geo_spool_settle(s, "shapes of places", err);
}

static sx_status put_record(bld *b, plc_section section, const void *record, size_t bytes,
                            sx_error *err)
{
    geo_spool *s = plc_writer_section(b->writer, section);
    sx_buf_bytes(&s->tail, record, bytes);
    return geo_spool_settle(s, plc_section_name(section), err);
}

static void count_place(plc_report *r, const bld_place *p)
{
    r->places++;
    r->houses += p->housenumber.len > 0;
    r->streets += p->rank_search == 26 || p->rank_search == 27;
    r->areas += p->is_area;
    r->linked += p->linked != PLC_NONE;
}

static uint8_t flags_of(const bld_place *p)
{
    bool is_found = p->names.count > 0 || p->housenumber.len > 0;
    return (uint8_t)((p->is_area ? PLC_AREA : 0) | (p->linked != PLC_NONE ? PLC_LINKED : 0) |
                     (p->shape.kind != GEO_SHAPE_POINT ? PLC_HAS_SHAPE : 0) |
                     (p->line_count > 0 ? PLC_OWN_LINES : 0) | (is_found ? 0 : PLC_LONELY));
}

static sx_status put_place(bld *b, const bld_place *p, plc_disk_place *d, sx_error *err)
{
    sx_status status = bld_put_tags(b, &p->names, &p->address, &p->extratags, &d->tags, err);
    if (status == SX_OK && p->shape.kind != GEO_SHAPE_POINT)
        status = bld_put_shape(b, &p->shape, &d->shape, err);
    if (status == SX_OK)
        status = plc_writer_string(b->writer, p->class_name, &d->class_name, err);
    if (status == SX_OK)
        status = plc_writer_string(b->writer, p->type, &d->type, err);
    if (status == SX_OK)
        status = plc_writer_string(b->writer, p->postcode, &d->postcode, err);
    if (status == SX_OK)
        status = plc_writer_string(b->writer, p->housenumber, &d->housenumber, err);
    return status;
}

/* What hangs on a place. */
typedef struct brood {
    uint32_t first, count;
} brood;

/* Children of rank 28 and more follow their parents in the numbers: b->order tells how many. */
static void count_children(const bld *b, brood *broods)
{
    for (size_t i = 0; i < b->places.count; i++) {
        const bld_place *p = &b->places.items[b->order[i]];
        uint32_t parent = p->rank_search >= BLD_RANK_CHILD ? bld_number_of(b, p->parent) : PLC_NONE;
        if (parent != PLC_NONE && broods[parent].count++ == 0)
            broods[parent].first = (uint32_t)i;
    }
}

static sx_status put_lines(bld *b, const bld_place *p, uint32_t *first, sx_error *err)
{
    geo_spool *s = plc_writer_section(b->writer, PLC_S_ADDRESS_LINES);
    uint64_t at = geo_spool_bytes(s) / sizeof(plc_disk_line);
    if (at + p->line_count > UINT32_MAX)
        return sx_fail(err, SX_ELIMIT, "the addresses of all places have too many lines");
    *first = p->line_count ? (uint32_t)at : 0;
    b->report->address_lines += p->line_count;
    for (uint32_t i = 0; i < p->line_count; i++) {
        const bld_line *line = &p->lines[i];
        plc_disk_line d = {.place = b->places.items[line->place].number,
                           .distance = (float)line->distance,
                           .rank_address = line->rank_address,
                           .is_address = line->is_address,
                           .from_area = line->from_area};
        sx_buf_bytes(&s->tail, &d, sizeof d);
    }
    return geo_spool_settle(s, "ADDRESS_LINES", err);
}

static sx_status emit_places(bld *b, sx_error *err)
{
    sx_status status = SX_OK;
    brood *broods = sx_calloc(b->places.count + 1, sizeof *broods);
    if (!broods)
        return sx_fail_memory(err, "the records of places");
    count_children(b, broods);
    for (size_t i = 0; i < b->places.count && status == SX_OK; i++) {
        const bld_place *p = &b->places.items[b->order[i]];
        plc_disk_place d = {.child_count = broods[i].count, .first_child = broods[i].first};
        d.osm_id = p->osm_id;
        d.parent = bld_number_of(b, p->parent);
        d.linked = bld_number_of(b, p->linked);
        d.lon_e7 = p->center.lon_e7;
        d.lat_e7 = p->center.lat_e7;
        d.lon_min = p->box.lon_min;
        d.lat_min = p->box.lat_min;
        d.lon_max = p->box.lon_max;
        d.lat_max = p->box.lat_max;
        d.importance = p->importance;
        d.line_count = (uint16_t)p->line_count;
        d.country = p->country;
        d.osm_kind = p->kind;
        d.rank_search = p->rank_search;
        d.rank_address = p->rank_address;
        d.admin_level = p->admin_level;
        d.flags = flags_of(p);
        count_place(b->report, p);
        status = put_place(b, p, &d, err);
        if (status == SX_OK)
            status = put_lines(b, p, &d.lines, err);
        if (status == SX_OK)
            status = put_record(b, PLC_S_PLACES, &d, sizeof d, err);
    }
    sx_free(broods);
    return status;
}

static bool is_after(const plc_disk_osm_id *x, const plc_disk_osm_id *y)
{
    return x->object != y->object ? x->object > y->object : x->place > y->place;
}

static int by_object(const void *a, const void *b)
{
    return is_after(a, b) ? 1 : is_after(b, a) ? -1 : 0;
}

/* Places lie by object already, but for the numbers of one object's and for negative ids. */
static void sort_objects(plc_disk_osm_id *rows, size_t count)
{
    enum { STEPS_MAX = 8 };
    size_t steps = 0;
    for (size_t i = 1; i < count; i++) {
        plc_disk_osm_id row = rows[i];
        size_t k = i;
        for (; k > 0 && is_after(&rows[k - 1], &row); k--, steps++)
            rows[k] = rows[k - 1];
        rows[k] = row;
        if (steps > STEPS_MAX * count) {
            qsort(rows, count, sizeof *rows, by_object);
            return;
        }
    }
}

static sx_status emit_osm_ids(bld *b, sx_error *err)
{
    size_t count = b->places.count;
    plc_disk_osm_id *rows = sx_calloc(count + 1, sizeof *rows);
    if (!rows)
        return sx_fail_memory(err, "the ids of objects");
    for (size_t i = 0; i < count; i++) {
        const bld_place *p = &b->places.items[i];
        rows[i] = (plc_disk_osm_id){plc_osm_object(p->kind, p->osm_id), p->number, 0};
    }
    sort_objects(rows, count);
    sx_status status = put_record(b, PLC_S_OSM_IDS, rows, count * sizeof *rows, err);
    sx_free(rows);
    return status;
}

/* A class with a type, and its places. */
typedef struct category {
    sx_str class_name, type;
    uint32_t count;
    uint32_t next; /* where its next place is put */
} category;

typedef struct categories {
    sx_map known; /* class, NUL, type: index into items */
    BLD_LIST(category) items;
    uint32_t *of; /* by number: index into items; PLC_NONE: in none */
    uint32_t *sorted;
    uint32_t *places; /* by category, then number */
    sx_arena keys;
} categories;

static sx_status find_category(categories *c, sx_buf *key, const bld_place *p, uint32_t *out,
                               sx_error *err)
{
    bool added;
    sx_buf_clear(key);
    sx_buf_str(key, p->class_name);
    sx_buf_byte(key, '\0');
    sx_buf_str(key, p->type);
    sx_status status = sx_buf_status(key, "the categories of places", err);
    if (status != SX_OK)
        return status;
    const sx_map_entry *known = sx_map_find(&c->known, sx_buf_view(key));
    if (known) {
        *out = (uint32_t)known->u64;
        return SX_OK;
    }
    sx_str own = sx_arena_copy(&c->keys, sx_buf_view(key));
    sx_map_entry *e = own.data ? sx_map_put(&c->known, own, &added) : NULL;
    if (!e || !sx_grow(&c->items.items, &c->items.cap, c->items.count + 1, sizeof(category)))
        return sx_fail_memory(err, "the categories of places");
    e->u64 = *out = (uint32_t)c->items.count;
    c->items.items[c->items.count++] = (category){.class_name = p->class_name, .type = p->type};
    return SX_OK;
}

/* Which of the categories each place has, and how many places each has. */
static sx_status tell_categories(const bld *b, categories *c, sx_error *err)
{
    sx_buf key;
    sx_status status = SX_OK;
    sx_buf_init(&key, 0);
    for (size_t i = 0; i < b->places.count && status == SX_OK; i++) {
        const bld_place *p = &b->places.items[b->order[i]];
        c->of[i] = PLC_NONE;
        if (p->linked != PLC_NONE || p->is_postcode)
            continue;
        status = find_category(c, &key, p, &c->of[i], err);
        if (status == SX_OK)
            c->items.items[c->of[i]].count++;
    }
    sx_buf_done(&key);
    return status;
}

static int by_category(const void *a, const void *b, void *items)
{
    const category *x = (const category *)items + *(const uint32_t *)a;
    const category *y = (const category *)items + *(const uint32_t *)b;
    int order = sx_str_cmp(x->class_name, y->class_name);
    return order ? order : sx_str_cmp(x->type, y->type);
}

static sx_status put_categories(bld *b, categories *c, sx_error *err)
{
    sx_status status = SX_OK;
    uint32_t at = 0;
    for (size_t i = 0; i < c->items.count; i++)
        c->sorted[i] = (uint32_t)i;
    qsort_r(c->sorted, c->items.count, sizeof *c->sorted, by_category, c->items.items);
    for (size_t i = 0; i < c->items.count && status == SX_OK; i++) {
        category *item = &c->items.items[c->sorted[i]];
        plc_disk_category row = {.first = at, .count = item->count};
        item->next = at;
        at += item->count;
        status = plc_writer_string(b->writer, item->class_name, &row.class_name, err);
        if (status == SX_OK)
            status = plc_writer_string(b->writer, item->type, &row.type, err);
        if (status == SX_OK)
            status = put_record(b, PLC_S_CATEGORIES, &row, sizeof row, err);
    }
    for (size_t i = 0; i < b->places.count && status == SX_OK; i++)
        if (c->of[i] != PLC_NONE)
            c->places[c->items.items[c->of[i]].next++] = (uint32_t)i;
    return status == SX_OK ? put_record(b, PLC_S_CATEGORY_PLACES, c->places,
                                        (size_t)at * sizeof *c->places, err)
                           : status;
}

static sx_status emit_categories(bld *b, sx_error *err)
{
    categories c = {.of = sx_calloc(b->places.count + 1, sizeof(uint32_t)),
                    .places = sx_calloc(b->places.count + 1, sizeof(uint32_t))};
    sx_map_init(&c.known, NULL);
    sx_arena_init(&c.keys, 0, 0);
    sx_status status = c.of && c.places ? tell_categories(b, &c, err) : SX_ENOMEM;
    if (status == SX_OK)
        c.sorted = sx_calloc(c.items.count + 1, sizeof(uint32_t));
    if (status == SX_OK)
        status = c.sorted ? put_categories(b, &c, err) : SX_ENOMEM;
    if (status == SX_ENOMEM)
        status = sx_fail_memory(err, "the categories of places");
    sx_map_done(&c.known);
    sx_arena_done(&c.keys);
    sx_free(c.items.items);
    sx_free(c.of);
    sx_free(c.places);
    sx_free(c.sorted);
    return status;
}

static int by_boundary(const void *a, const void *b)
{
    const plc_disk_linked *x = a, *y = b;
    if (x->boundary != y->boundary)
        return x->boundary < y->boundary ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

static sx_status emit_linked(bld *b, sx_error *err)
{
    size_t count = 0;
    plc_disk_linked *rows = sx_calloc(b->places.count + 1, sizeof *rows);
    if (!rows)
        return sx_fail_memory(err, "the links of places");
    for (size_t i = 0; i < b->places.count; i++) {
        const bld_place *p = &b->places.items[i];
        if (p->linked != PLC_NONE)
            rows[count++] = (plc_disk_linked){bld_number_of(b, p->linked), p->number};
    }
    qsort(rows, count, sizeof *rows, by_boundary);
    sx_status status = put_record(b, PLC_S_LINKED, rows, count * sizeof *rows, err);
    sx_free(rows);
    return status;
}

static sx_status emit_meta(bld *b, sx_error *err)
{
    const osm_header *header = osm_dataset_header(b->data);
    const osm_report *report = osm_dataset_report(b->data);
    plc_disk_meta meta = {.data_ms =
                              header->replication_ms ? header->replication_ms : report->newest_ms,
                          .sequence = header->sequence > 0 ? (uint64_t)header->sequence : 0};
    sx_str attribution =
        b->options.attribution.len ? b->options.attribution : sx_str_z(ATTRIBUTION);
    sx_str licence = b->options.licence.len ? b->options.licence : sx_str_z(LICENCE);
    sx_status status = plc_writer_string(b->writer, attribution, &meta.attribution, err);
    if (status == SX_OK)
        status = plc_writer_string(b->writer, licence, &meta.licence, err);
    if (status == SX_OK)
        status = plc_writer_string(b->writer, sx_str_z(header->replication_url),
                                   &meta.replication_url, err);
    return status == SX_OK ? put_record(b, PLC_S_META, &meta, sizeof meta, err) : status;
}

sx_status bld_emit(bld *b, sx_error *err)
{
    static sx_status (*const PARTS[])(bld *, sx_error *) = {
        bld_add_postcode_places, number_places, emit_meta,     emit_places, emit_osm_ids,
        emit_categories,         emit_linked,   bld_emit_more,
    };
    sx_status status = SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(PARTS) && status == SX_OK; i++)
        status = PARTS[i](b, err);
    return status;
}
