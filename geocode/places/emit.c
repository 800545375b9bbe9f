/* emit.c - step 6 of the build: places get their numbers, sections are written.
 *
 * Numbers rise with the search rank; what hangs on a street or place (rank 28 and more) lies together
 * by its parent, whose number is smaller. Within that the order is that of Nominatim's rows, which
 * decides between equals: bld_row(). */
#include <stdlib.h>

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

/* By what the numbers of places rise. */
typedef struct order_key {
    uint32_t rank, parent;
    uint64_t row;
    uint32_t at;
} order_key;

static int by_order(const void *a, const void *b)
{
    const order_key *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Numbers all places; b->order lists them. Of those with a street, the rank is not told apart: it
 * would tear what lies together. */
static sx_status number_places(bld *b, sx_error *err)
{
    size_t count = b->places.count, low = 0;
    order_key *keys = sx_calloc(count + 1, sizeof *keys);
    b->order = sx_calloc(count + 1, sizeof *b->order);
    if (!keys || !b->order) {
        sx_free(keys);
        return sx_fail_memory(err, "the numbers of places");
    }
    for (size_t i = 0; i < count; i++) {
        const bld_place *p = &b->places.items[i];
        if (p->rank_search < BLD_RANK_CHILD)
            low++;
        keys[i] = (order_key){p->rank_search < BLD_RANK_CHILD ? p->rank_search : BLD_RANK_CHILD, 0,
                              p->row, (uint32_t)i};
    }
    qsort(keys, count, sizeof *keys, by_order);
    for (size_t i = 0; i < low; i++)
        b->places.items[keys[i].at].number = (uint32_t)i;
    for (size_t i = low; i < count; i++)
        keys[i].parent = bld_number_of(b, b->places.items[keys[i].at].parent);
    qsort(keys + low, count - low, sizeof *keys, by_order);
    for (size_t i = 0; i < count; i++) {
        b->order[i] = keys[i].at;
        b->places.items[keys[i].at].number = (uint32_t)i;
    }
    sx_free(keys);
    return SX_OK;
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
    sx_buf_str(&s->tail, bld_shape_bytes(b, shape));
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

/* Children of rank 28 and more follow their parents in the numbers: b->order tells how many. */
static void count_children(bld *b, plc_disk_place *disk)
{
    for (size_t i = 0; i < b->places.count; i++) {
        const bld_place *p = &b->places.items[b->order[i]];
        uint32_t parent = p->rank_search >= BLD_RANK_CHILD ? bld_number_of(b, p->parent) : PLC_NONE;
        if (parent == PLC_NONE)
            continue;
        if (disk[parent].child_count++ == 0)
            disk[parent].first_child = (uint32_t)i;
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
    plc_disk_place *disk = sx_calloc(b->places.count + 1, sizeof *disk);
    if (!disk)
        return sx_fail_memory(err, "the records of places");
    count_children(b, disk);
    for (size_t i = 0; i < b->places.count && status == SX_OK; i++) {
        const bld_place *p = &b->places.items[b->order[i]];
        plc_disk_place *d = &disk[i];
        d->osm_id = p->osm_id;
        d->parent = bld_number_of(b, p->parent);
        d->linked = bld_number_of(b, p->linked);
        d->lon_e7 = p->center.lon_e7;
        d->lat_e7 = p->center.lat_e7;
        d->lon_min = p->box.lon_min;
        d->lat_min = p->box.lat_min;
        d->lon_max = p->box.lon_max;
        d->lat_max = p->box.lat_max;
        d->importance = p->importance;
        d->line_count = (uint16_t)p->line_count;
        d->country = p->country;
        d->osm_kind = p->kind;
        d->rank_search = p->rank_search;
        d->rank_address = p->rank_address;
        d->admin_level = p->admin_level;
        d->flags = flags_of(p);
        count_place(b->report, p);
        status = put_place(b, p, d, err);
        if (status == SX_OK)
            status = put_lines(b, p, &d->lines, err);
        if (status == SX_OK)
            status = put_record(b, PLC_S_PLACES, d, sizeof *d, err);
    }
    sx_free(disk);
    return status;
}

static int by_object(const void *a, const void *b)
{
    const plc_disk_osm_id *x = a, *y = b;
    if (x->object != y->object)
        return x->object < y->object ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
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
    qsort(rows, count, sizeof *rows, by_object);
    sx_status status = put_record(b, PLC_S_OSM_IDS, rows, count * sizeof *rows, err);
    sx_free(rows);
    return status;
}

/* A place and its category, to be sorted. */
typedef struct category_key {
    sx_str class_name, type;
    uint32_t place;
} category_key;

static int by_category(const void *a, const void *b)
{
    const category_key *x = a, *y = b;
    int order = sx_str_cmp(x->class_name, y->class_name);
    if (order == 0)
        order = sx_str_cmp(x->type, y->type);
    return order ? order : x->place < y->place ? -1 : x->place > y->place;
}

static sx_status emit_categories(bld *b, sx_error *err)
{
    size_t count = 0;
    sx_status status = SX_OK;
    category_key *keys = sx_calloc(b->places.count + 1, sizeof *keys);
    if (!keys)
        return sx_fail_memory(err, "the categories of places");
    for (size_t i = 0; i < b->places.count; i++) {
        const bld_place *p = &b->places.items[i];
        if (p->linked == PLC_NONE && !p->is_postcode)
            keys[count++] = (category_key){p->class_name, p->type, p->number};
    }
    qsort(keys, count, sizeof *keys, by_category);
    for (size_t i = 0; i < count && status == SX_OK;) {
        plc_disk_category row = {.first = (uint32_t)i};
        for (; i < count && sx_str_eq(keys[i].class_name, keys[row.first].class_name) &&
               sx_str_eq(keys[i].type, keys[row.first].type) && status == SX_OK;
             i++, row.count++)
            status = put_record(b, PLC_S_CATEGORY_PLACES, &keys[i].place, 4, err);
        if (status == SX_OK)
            status = plc_writer_string(b->writer, keys[row.first].class_name, &row.class_name, err);
        if (status == SX_OK)
            status = plc_writer_string(b->writer, keys[row.first].type, &row.type, err);
        if (status == SX_OK)
            status = put_record(b, PLC_S_CATEGORIES, &row, sizeof row, err);
    }
    sx_free(keys);
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
