/* pbf_block.c - one unpacked block of a PBF: its strings, nodes, ways and relations.
 *
 * HOT: dense nodes are nine objects of ten; five to seven varints each, and for most nothing else. The
 * lists of a message run side by side, each with its own end, which is checked at every number: the
 * branch costs nothing beside the varint itself. Source: osmformat.proto as the wiki has it. */
#include <inttypes.h>

#include <sextant/mem.h>
#include <sextant/protobuf.h>
#include <sextant/utf8.h>

#include "geocode/osm/impl.h"

enum { GRANULARITY = 100, DATE_GRANULARITY = 1000, GRANULARITY_MAX = 1000000000 };

/* A packed list that is being read. `bad`: it ended inside a number, or before it should. */
typedef struct stream {
    const uint8_t *at, *end;
    bool bad;
} stream;

static uint64_t next_slow(stream *s)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && s->at < s->end; shift += 7) {
        uint8_t byte = *s->at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
    s->bad = true;
    s->at = s->end;
    return 0;
}

static inline uint64_t next(stream *s)
{
    const uint8_t *p = s->at;
    if (sx_likely(s->end - p >= 4)) {
        if (p[0] < 0x80) {
            s->at = p + 1;
            return p[0];
        }
        uint32_t v = (p[0] & 0x7fu) | (uint32_t)(p[1] & 0x7f) << 7;
        if (p[1] < 0x80) {
            s->at = p + 2;
            return v;
        }
        v |= (uint32_t)(p[2] & 0x7f) << 14;
        if (p[2] < 0x80) {
            s->at = p + 3;
            return v;
        }
        v |= (uint32_t)(p[3] & 0x7f) << 21;
        if (p[3] < 0x80) {
            s->at = p + 4;
            return v;
        }
    }
    return next_slow(s);
}

static inline int64_t zigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Deltas may wrap in a damaged file: that is no undefined behaviour in unsigned numbers. */
static inline int64_t add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static inline int64_t next_delta(stream *s, int64_t before)
{
    return add(before, zigzag(next(s)));
}

static inline bool more(const stream *s)
{
    return s->at < s->end;
}

/* Notes where a packed field lies. A second one of the same number is not what any writer makes. */
static void note(sx_pb_reader *r, stream *s, bool *twice)
{
    sx_str bytes = sx_pb_bytes(r);
    if (s->at && bytes.len)
        *twice = true;
    s->at = (const uint8_t *)bytes.data;
    s->end = s->at + bytes.len;
}

static sx_status fault(osm_block *block, const char *what, sx_error *err)
{
    return sx_fail(err, SX_EFORMAT, "%s: %s", block->what, what);
}

/* ---- Strings and places ---- */

/* The text of the table's entry, checked when it is first used. */
static sx_status text_of(osm_block *block, osm_builder *b, uint64_t at, sx_str *out, sx_error *err)
{
    if (sx_unlikely(at >= block->string_count))
        return sx_fail(err, SX_EFORMAT, "%s: string %" PRIu64 " of a table of %zu", block->what, at,
                       block->string_count);
    osm_string *s = &block->strings[at];
    if (sx_unlikely(!s->checked)) {
        s->text = osm_builder_text(b, s->text);
        if (!s->text.data)
            return sx_fail_memory(err, "a repaired text");
        s->checked = true;
    }
    *out = s->text;
    return SX_OK;
}

/* From the block's units to degrees times 10^7; beyond any world if it does not fit. */
static inline int64_t to_e7(const osm_block *block, int64_t units, int64_t offset)
{
    if (sx_likely(block->granularity == GRANULARITY && offset == 0))
        return units;
    int64_t nano;
    if (__builtin_mul_overflow(units, block->granularity, &nano) ||
        __builtin_add_overflow(nano, offset, &nano))
        return INT64_MAX;
    return nano >= 0 ? (nano / 10 + 5) / 10 : -((-(nano / 10) + 5) / 10);
}

static inline bool set_place(const osm_block *block, osm_object *o, int64_t lon, int64_t lat)
{
    int64_t lon_e7 = to_e7(block, lon, block->lon_offset);
    int64_t lat_e7 = to_e7(block, lat, block->lat_offset);
    if (sx_unlikely(!osm_in_world(lon_e7, lat_e7)))
        return false;
    o->lon_e7 = (int32_t)lon_e7;
    o->lat_e7 = (int32_t)lat_e7;
    return true;
}

static void set_date(const osm_block *block, osm_builder *b, int64_t units)
{
    int64_t ms;
    if (units == 0)
        return;
    if (__builtin_mul_overflow(units, block->date_granularity, &ms))
        ms = INT64_MAX;
    osm_builder_date(b, ms);
}

/* ---- Dense nodes ---- */

typedef struct dense {
    stream ids, lats, lons, versions, dates, visible, texts;
} dense;

static sx_status read_dense_lists(osm_block *block, sx_str bytes, dense *d, sx_error *err)
{
    sx_pb_reader r;
    bool twice = false;
    sx_pb_init(&r, bytes);
    while (sx_pb_next(&r))
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            note(&r, &d->ids, &twice);
            break;
        case SX_PB_TAG(5, SX_PB_BYTES): {
            sx_pb_outer outer = sx_pb_enter(&r);
            while (sx_pb_next(&r))
                switch (r.tag) {
                case SX_PB_TAG(1, SX_PB_BYTES):
                    note(&r, &d->versions, &twice);
                    break;
                case SX_PB_TAG(2, SX_PB_BYTES):
                    note(&r, &d->dates, &twice);
                    break;
                case SX_PB_TAG(6, SX_PB_BYTES):
                    note(&r, &d->visible, &twice);
                    break;
                default:
                    sx_pb_skip(&r);
                }
            sx_pb_leave(&r, outer);
            break;
        }
        case SX_PB_TAG(8, SX_PB_BYTES):
            note(&r, &d->lats, &twice);
            break;
        case SX_PB_TAG(9, SX_PB_BYTES):
            note(&r, &d->lons, &twice);
            break;
        case SX_PB_TAG(10, SX_PB_BYTES):
            note(&r, &d->texts, &twice);
            break;
        default:
            sx_pb_skip(&r);
        }
    if (twice)
        return fault(block, "a list comes twice", err);
    return sx_pb_status(&r, block->what, err);
}

/* The key and value pairs of a node, up to the 0 behind them. */
static sx_status read_dense_tags(osm_block *block, osm_builder *b, stream *texts, sx_error *err)
{
    while (more(texts)) {
        uint64_t key = next(texts);
        if (key == 0)
            break;
        sx_str k, v;
        if (sx_unlikely(!more(texts)))
            return fault(block, "a key without a value", err);
        uint64_t value = next(texts);
        sx_status status = text_of(block, b, key, &k, err);
        if (status == SX_OK)
            status = text_of(block, b, value, &v, err);
        if (status != SX_OK)
            return status;
        if (sx_unlikely(!osm_builder_tag(b, k, v)))
            return sx_fail_memory(err, "tags");
    }
    return texts->bad ? fault(block, "keys_vals end inside a number", err) : SX_OK;
}

/* A node that has to become an object: it has tags, or is gone, or all are wanted. */
static sx_status full_node(osm_block *block, osm_builder *b, const osm_object *node, bool fits,
                           int64_t date, stream *texts, sx_error *err)
{
    osm_builder_start(b, OSM_NODE, node->id);
    b->now.deleted = node->deleted;
    b->now.version = node->version;
    b->now.lon_e7 = node->lon_e7;
    b->now.lat_e7 = node->lat_e7;
    set_date(block, b, date);
    if (!fits && !node->deleted) {
        osm_builder_flaw(b, OSM_FLAW_COORDINATE, "beyond 180 or 90 degrees");
        b->leave_out = true;
    }
    if (texts) {
        sx_status status = read_dense_tags(block, b, texts, err);
        if (status != SX_OK)
            return status;
    }
    return osm_builder_end(b, err);
}

static bool dense_bad(const dense *d)
{
    return d->ids.bad || d->lats.bad || d->lons.bad || d->versions.bad || d->dates.bad ||
           d->visible.bad;
}

static sx_status read_dense(osm_block *block, osm_builder *b, sx_str bytes, sx_error *err)
{
    block->what = "dense nodes";
    dense d = {0};
    sx_status status = read_dense_lists(block, bytes, &d, err);
    if (status != SX_OK)
        return status;
    const bool all = osm_all_nodes(b->run), places = b->run->options->places;
    const bool has_versions = more(&d.versions), has_dates = more(&d.dates);
    const bool has_visible = more(&d.visible), has_texts = more(&d.texts);
    int64_t lat = 0, lon = 0, date = 0, newest = 0;
    osm_object node = {0};
    while (more(&d.ids)) {
        node.id = next_delta(&d.ids, node.id);
        if (sx_unlikely(!more(&d.lats) || !more(&d.lons)))
            return fault(block, "fewer places than ids", err);
        lat = next_delta(&d.lats, lat);
        lon = next_delta(&d.lons, lon);
        if (has_versions)
            node.version = (uint32_t)next(&d.versions);
        if (has_dates)
            date = next_delta(&d.dates, date);
        if (has_visible)
            node.deleted = more(&d.visible) && next(&d.visible) == 0;
        bool fits = set_place(block, &node, lon, lat);
        bool plain = !has_texts || !more(&d.texts) || *d.texts.at == 0;
        if (sx_unlikely(dense_bad(&d)))
            return fault(block, "a list ends inside a number", err);
        if (sx_unlikely(!plain || all || !fits || node.deleted)) {
            status = full_node(block, b, &node, fits, date, has_texts ? &d.texts : NULL, err);
            if (status != SX_OK)
                return status;
            continue;
        }
        if (has_texts && more(&d.texts))
            d.texts.at++;
        if (date > newest)
            newest = date;
        b->report.objects[OSM_NODE]++;
        if (places && osm_builder_place(b, node.id, node.lon_e7, node.lat_e7, node.version)) {
            status = osm_builder_flush(b, err);
            if (status != SX_OK)
                return status;
        }
    }
    b->now = (osm_object){.kind = OSM_NODE, .id = node.id};
    set_date(block, b, newest);
    if (sx_unlikely(more(&d.lats) || more(&d.lons) || more(&d.texts)))
        return fault(block, "more places or tags than ids", err);
    return SX_OK;
}

/* ---- Nodes, ways and relations one by one ---- */

typedef struct fields {
    int64_t id, lat, lon, date;
    uint32_t version;
    bool deleted, has_id, has_place;
    stream keys, values, refs, lats, lons, roles, kinds;
} fields;

static void read_info(sx_pb_reader *r, fields *f)
{
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r))
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            f->version = (uint32_t)sx_pb_varint(r);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            f->date = sx_pb_i64(r);
            break;
        case SX_PB_TAG(6, SX_PB_VARINT):
            f->deleted = !sx_pb_bool(r);
            break;
        default:
            sx_pb_skip(r);
        }
    sx_pb_leave(r, outer);
}

/* Fields 8 to 10 have a meaning of their own in each kind. */
static void read_own_field(sx_pb_reader *r, osm_kind kind, fields *f, bool *twice)
{
    static const uint32_t NODE_PLACES[] = {SX_PB_TAG(8, SX_PB_VARINT), SX_PB_TAG(9, SX_PB_VARINT)};
    if (kind == OSM_NODE && r->tag == NODE_PLACES[0]) {
        f->lat = sx_pb_zigzag(r);
        f->has_place = true;
    } else if (kind == OSM_NODE && r->tag == NODE_PLACES[1]) {
        f->lon = sx_pb_zigzag(r);
    } else if (kind != OSM_NODE && sx_pb_wire_of(r) == SX_PB_BYTES && sx_pb_field(r) >= 8 &&
               sx_pb_field(r) <= 10) {
        stream *const way[] = {&f->refs, &f->lats, &f->lons};
        stream *const relation[] = {&f->roles, &f->refs, &f->kinds};
        note(r, (kind == OSM_WAY ? way : relation)[sx_pb_field(r) - 8], twice);
    } else {
        sx_pb_skip(r);
    }
}

static sx_status read_fields(osm_block *block, osm_kind kind, sx_str bytes, fields *f,
                             sx_error *err)
{
    sx_pb_reader r;
    bool twice = false;
    sx_pb_init(&r, bytes);
    while (sx_pb_next(&r))
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            f->id = kind == OSM_NODE ? sx_pb_zigzag(&r) : sx_pb_i64(&r);
            f->has_id = true;
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            note(&r, &f->keys, &twice);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            note(&r, &f->values, &twice);
            break;
        case SX_PB_TAG(4, SX_PB_BYTES):
            read_info(&r, f);
            break;
        default:
            read_own_field(&r, kind, f, &twice);
        }
    sx_status status = sx_pb_status(&r, block->what, err);
    if (status != SX_OK)
        return status;
    if (twice)
        return fault(block, "a list comes twice", err);
    return f->has_id ? SX_OK : fault(block, "no id", err);
}

static sx_status read_tags(osm_block *block, osm_builder *b, fields *f, sx_error *err)
{
    while (more(&f->keys)) {
        sx_str k, v;
        if (!more(&f->values))
            return fault(block, "fewer values than keys", err);
        uint64_t key = next(&f->keys), value = next(&f->values);
        sx_status status = text_of(block, b, key, &k, err);
        if (status == SX_OK)
            status = text_of(block, b, value, &v, err);
        if (status != SX_OK)
            return status;
        if (!osm_builder_tag(b, k, v))
            return sx_fail_memory(err, "tags");
    }
    if (f->keys.bad || f->values.bad)
        return fault(block, "a list ends inside a number", err);
    return more(&f->values) ? fault(block, "more values than keys", err) : SX_OK;
}

/* A node's place that stands in its way. The way that is being built stays where it is: only places are
 * handed over when there is no room for more. */
static sx_status place_of_way(osm_builder *b, int64_t id, const osm_object *node, sx_error *err)
{
    if (!osm_builder_place(b, id, node->lon_e7, node->lat_e7, 0))
        return SX_OK;
    return osm_builder_flush_places(b, err);
}

/* A way's nodes; and their places, in files that have them there (LocationsOnWays). */
static sx_status read_refs(osm_block *block, osm_builder *b, fields *f, sx_error *err)
{
    const bool places = b->run->options->places && more(&f->lats) && !f->deleted;
    int64_t ref = 0, lat = 0, lon = 0;
    sx_status status = SX_OK;
    while (more(&f->refs)) {
        ref = next_delta(&f->refs, ref);
        if (!osm_builder_ref(b, ref))
            return sx_fail_memory(err, "a way's nodes");
        if (!places)
            continue;
        if (!more(&f->lats) || !more(&f->lons))
            return fault(block, "fewer places than nodes", err);
        lat = next_delta(&f->lats, lat);
        lon = next_delta(&f->lons, lon);
        osm_object node = {0};
        if (!set_place(block, &node, lon, lat))
            osm_builder_flaw(b, OSM_FLAW_COORDINATE, "a node beyond 180 or 90 degrees");
        else
            status = place_of_way(b, ref, &node, err);
        if (status != SX_OK)
            return status;
    }
    return f->refs.bad || f->lats.bad || f->lons.bad
               ? fault(block, "a list ends inside a number", err)
               : SX_OK;
}

static sx_status read_members(osm_block *block, osm_builder *b, fields *f, sx_error *err)
{
    int64_t ref = 0;
    while (more(&f->refs)) {
        sx_str role;
        if (!more(&f->roles) || !more(&f->kinds))
            return fault(block, "fewer roles or types than members", err);
        ref = next_delta(&f->refs, ref);
        uint64_t kind = next(&f->kinds);
        if (kind >= OSM_KINDS)
            return fault(block, "a member that is no node, way or relation", err);
        sx_status status = text_of(block, b, next(&f->roles), &role, err);
        if (status != SX_OK)
            return status;
        if (!osm_builder_member(b, (osm_kind)kind, ref, role))
            return sx_fail_memory(err, "a relation's members");
    }
    return f->refs.bad || f->roles.bad || f->kinds.bad
               ? fault(block, "a list ends inside a number", err)
               : SX_OK;
}

static sx_status read_object(osm_block *block, osm_builder *b, osm_kind kind, sx_str bytes,
                             sx_error *err)
{
    block->what = osm_kind_name(kind);
    fields f = {0};
    sx_status status = read_fields(block, kind, bytes, &f, err);
    if (status != SX_OK)
        return status;
    osm_builder_start(b, kind, f.id);
    b->now.version = f.version;
    b->now.deleted = f.deleted;
    set_date(block, b, f.date);
    if (kind == OSM_NODE && !f.deleted &&
        (!f.has_place || !set_place(block, &b->now, f.lon, f.lat))) {
        osm_builder_flaw(b, OSM_FLAW_COORDINATE, "no place, or one beyond 180 or 90 degrees");
        b->leave_out = true;
    }
    status = read_tags(block, b, &f, err);
    if (status == SX_OK && kind == OSM_WAY)
        status = read_refs(block, b, &f, err);
    if (status == SX_OK && kind == OSM_RELATION)
        status = read_members(block, b, &f, err);
    return status == SX_OK ? osm_builder_end(b, err) : status;
}

/* ---- The block ---- */

static sx_status read_strings(osm_block *block, const osm_builder *b, sx_pb_reader *r,
                              sx_error *err)
{
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag != SX_PB_TAG(1, SX_PB_BYTES)) {
            sx_pb_skip(r);
            continue;
        }
        if (block->string_count >= b->run->limits.strings_max)
            return sx_fail(err, SX_ELIMIT, "more than %u strings (limits.strings_max)",
                           b->run->limits.strings_max);
        if (block->string_count == block->string_cap &&
            !sx_grow(&block->strings, &block->string_cap, block->string_count + 1,
                     sizeof(*block->strings)))
            return sx_fail_memory(err, "a block's strings");
        block->strings[block->string_count++] = (osm_string){.text = sx_pb_bytes(r)};
    }
    sx_pb_leave(r, outer);
    return SX_OK;
}

static sx_status read_group(osm_block *block, osm_builder *b, sx_str bytes, sx_error *err)
{
    /* Fields 1 to 4 of a group, and of which kind what is in them is. */
    static const osm_kind KIND_OF[] = {0, OSM_NODE, OSM_NODE, OSM_WAY, OSM_RELATION};
    sx_pb_reader r;
    sx_status status = SX_OK;
    sx_pb_init(&r, bytes);
    while (status == SX_OK && sx_pb_next(&r)) {
        uint32_t field = sx_pb_field(&r);
        if (sx_pb_wire_of(&r) != SX_PB_BYTES || field >= SX_COUNT_OF(KIND_OF) ||
            !(b->run->kinds & 1u << KIND_OF[field]))
            sx_pb_skip(&r);
        else if (field == 2)
            status = read_dense(block, b, sx_pb_bytes(&r), err);
        else
            status = read_object(block, b, KIND_OF[field], sx_pb_bytes(&r), err);
    }
    return status == SX_OK ? sx_pb_status(&r, "group of objects", err) : status;
}

/* Strings and scales, which may stand behind the groups that need them. */
static sx_status read_scales(osm_block *block, osm_builder *b, sx_str bytes, sx_error *err)
{
    sx_pb_reader r;
    sx_status status = SX_OK;
    *block = (osm_block){.strings = block->strings,
                         .string_cap = block->string_cap,
                         .granularity = GRANULARITY,
                         .date_granularity = DATE_GRANULARITY,
                         .what = "block"};
    sx_pb_init(&r, bytes);
    while (status == SX_OK && sx_pb_next(&r))
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            status = read_strings(block, b, &r, err);
            break;
        case SX_PB_TAG(17, SX_PB_VARINT):
            block->granularity = sx_pb_i64(&r);
            break;
        case SX_PB_TAG(18, SX_PB_VARINT):
            block->date_granularity = sx_pb_i64(&r);
            break;
        case SX_PB_TAG(19, SX_PB_VARINT):
            block->lat_offset = sx_pb_i64(&r);
            break;
        case SX_PB_TAG(20, SX_PB_VARINT):
            block->lon_offset = sx_pb_i64(&r);
            break;
        default:
            sx_pb_skip(&r);
        }
    if (status == SX_OK)
        status = sx_pb_status(&r, "block", err);
    if (status != SX_OK)
        return status;
    if (block->granularity < 1 || block->granularity > GRANULARITY_MAX ||
        block->date_granularity < 1 || block->date_granularity > GRANULARITY_MAX)
        return sx_fail(err, SX_EFORMAT,
                       "granularity %" PRId64 " or date granularity %" PRId64
                       ", which no file of sense has",
                       block->granularity, block->date_granularity);
    return SX_OK;
}

sx_status osm_block_read(osm_block *block, osm_builder *b, sx_str bytes, sx_error *err)
{
    sx_arena_reset(&b->texts);
    b->now = (osm_object){0};
    sx_status status = read_scales(block, b, bytes, err);
    sx_pb_reader r;
    sx_pb_init(&r, bytes);
    while (status == SX_OK && sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(2, SX_PB_BYTES))
            status = read_group(block, b, sx_pb_bytes(&r), err);
        else
            sx_pb_skip(&r);
    }
    return status == SX_OK ? osm_builder_flush(b, err) : status;
}
