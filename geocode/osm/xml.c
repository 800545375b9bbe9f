/* xml.c - OSM XML: .osm and the change files .osc.
 *
 *     <osm>                                  <osmChange>
 *       <node id lat lon version ...>          <create> node, way, relation ... </create>
 *         <tag k v/>                           <modify> ... </modify>
 *       </node>                                <delete> ... </delete>
 *       <way id ...> <nd ref/> <tag/>        </osmChange>
 *       <relation id ...> <member type ref role/> <tag/>
 *     </osm>
 *
 * Attributes and children come in any order (Overpass has its own), and what editors and Overpass add
 * is read where it says something: action="delete", visible="false", the places of a way's nodes.
 * Sources: wiki.openstreetmap.org, "OSM XML", "OsmChange", "Overpass API/Overpass QL". */
#include <inttypes.h>
#include <stdio.h>

#include <sextant/mem.h>
#include <sextant/number.h>

#include "codec/xml.h"
#include "geocode/osm/impl.h"

enum { RATIO_FROM_BYTES = 64 << 20 };

typedef struct reader {
    osm_run *run;
    codec_xml xml;
    osm_builder builder;
    bool in_object, deleting, fits;
    uint64_t unpacked, chunks;
} reader;

/* ---- Input ---- */

static sx_status more(void *ctx, sx_str *chunk, sx_error *err)
{
    reader *r = ctx;
    osm_run *run = r->run;
    if (run->first.len) {
        *chunk = run->first;
        run->first = sx_str_of(NULL, 0);
        r->unpacked += chunk->len;
        return SX_OK;
    }
    sx_status status = osm_run_progress(run, err);
    if (status == SX_OK)
        status = sx_packed_file_read(run->file, chunk, err);
    if (status != SX_OK)
        return status;
    r->unpacked += chunk->len;
    uint64_t taken = sx_packed_file_taken(run->file);
    if (r->unpacked > RATIO_FROM_BYTES && r->unpacked / run->limits.ratio_max > taken)
        return sx_fail(err, SX_ELIMIT,
                       "%" PRIu64 " bytes unpack to more than %" PRIu64
                       ", over %u for one: not what maps are like",
                       taken, r->unpacked, run->limits.ratio_max);
    return SX_OK;
}

/* ---- Attributes ---- */

static sx_status read_id(const reader *r, sx_str value, int64_t *out, sx_error *err)
{
    if (sx_str_to_i64(value, out))
        return SX_OK;
    return sx_fail(err, SX_EFORMAT, "byte %" PRIu64 ": <%.*s>: \"%.*s\" is no id", r->xml.at,
                   SX_ARG(r->xml.name), SX_ARG(sx_str_first(value, 40)));
}

/* Degrees to 1e-7 of them; false if it is no number, or none in +-1000. */
static bool read_degrees(sx_str s, int64_t *e7)
{
    double value;
    uint64_t digits = 0;
    size_t i = 0, point = 0;
    bool negative = s.len && s.data[0] == '-', pointed = false;
    for (i = negative; i < s.len && i < 18; i++) {
        if (s.data[i] == '.' && !pointed)
            pointed = true;
        else if (s.data[i] >= '0' && s.data[i] <= '9')
            digits = digits * 10 + (uint64_t)(s.data[i] - '0'), point += pointed;
        else
            break;
    }
    if (i == s.len && i > negative && point <= 7 && digits < UINT64_C(100000000000)) {
        for (; point < 7; point++)
            digits *= 10;
        *e7 = digits > UINT64_C(10000000000) ? INT64_MAX : (int64_t)digits;
        if (negative)
            *e7 = -*e7;
        return true;
    }
    if (!sx_double_parse(s, &value) || !(value > -1000 && value < 1000))
        return false;
    *e7 = (int64_t)(value * 1e7 + (value < 0 ? -0.5 : 0.5));
    return true;
}

/* Days since 1970 of a date of the Gregorian calendar: years are counted from March, so that the leap
 * day is the last. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* "2021-01-06T15:53:42Z", perhaps with a fraction. */
static bool read_date(sx_str s, int64_t *ms)
{
    static const char FORM[] = "dddd-dd-ddTdd:dd:dd";
    int64_t parts[6] = {0};
    size_t part = 0;
    if (s.len < sizeof(FORM) - 1)
        return false;
    for (size_t i = 0; i < sizeof(FORM) - 1; i++) {
        char c = s.data[i];
        if (FORM[i] != 'd') {
            if (c != FORM[i])
                return false;
            part++;
        } else if (c < '0' || c > '9') {
            return false;
        } else {
            parts[part] = parts[part] * 10 + (c - '0');
        }
    }
    if (parts[1] < 1 || parts[1] > 12 || parts[2] < 1 || parts[2] > 31 || parts[3] > 23 ||
        parts[4] > 59 || parts[5] > 60)
        return false;
    int64_t seconds =
        days_of(parts[0], parts[1], parts[2]) * 86400 + parts[3] * 3600 + parts[4] * 60 + parts[5];
    *ms = seconds * 1000;
    return true;
}

/* ---- Objects ---- */

static const sx_str KINDS[OSM_KINDS] = {SX_STR_INIT("node"), SX_STR_INIT("way"),
                                        SX_STR_INIT("relation")};

static bool kind_of(sx_str name, osm_kind *kind)
{
    for (unsigned i = 0; i < OSM_KINDS; i++)
        if (sx_str_eq(name, KINDS[i])) {
            *kind = (osm_kind)i;
            return true;
        }
    return false;
}

/* A copy of a repaired text that lives as long as the batch. */
static bool keep_text(reader *r, sx_str in, sx_str *out)
{
    sx_arena *arena = &r->builder.texts;
    sx_str text = osm_builder_text(&r->builder, in);
    if (!text.data)
        return false;
    *out = sx_arena_copy(arena, text);
    return out->data != NULL;
}

static void read_place(reader *r, const int64_t *lon, const int64_t *lat, bool both)
{
    osm_object *o = &r->builder.now;
    r->fits = both && osm_in_world(*lon, *lat);
    if (r->fits) {
        o->lon_e7 = (int32_t)*lon;
        o->lat_e7 = (int32_t)*lat;
    }
}

static sx_status start_object(reader *r, osm_kind kind, sx_error *err)
{
    const codec_xml *x = &r->xml;
    osm_builder *b = &r->builder;
    int64_t id = 0, lon = 0, lat = 0, version, date;
    bool has_lon = false, has_lat = false;
    sx_str value;
    if (!codec_xml_attribute_get(x, SX_STR("id"), &value))
        return sx_fail(err, SX_EFORMAT, "byte %" PRIu64 ": a %s without an id", x->at,
                       osm_kind_name(kind));
    sx_status status = read_id(r, value, &id, err);
    if (status != SX_OK)
        return status;
    if (!b->count) /* all that was handed over is gone */
        sx_arena_reset(&b->texts);
    osm_builder_start(b, kind, id);
    b->now.deleted = r->deleting;
    for (size_t i = 0; i < x->attribute_count; i++) {
        const codec_xml_attribute *a = &x->attributes[i];
        if (sx_str_eq(a->name, SX_STR("lat")))
            has_lat = read_degrees(a->value, &lat);
        else if (sx_str_eq(a->name, SX_STR("lon")))
            has_lon = read_degrees(a->value, &lon);
        else if (sx_str_eq(a->name, SX_STR("version")))
            b->now.version =
                sx_str_to_i64(a->value, &version) && version > 0 && version <= INT32_MAX
                    ? (uint32_t)version
                    : 0;
        else if (sx_str_eq(a->name, SX_STR("timestamp"))) {
            if (read_date(a->value, &date))
                osm_builder_date(b, date);
            else
                osm_builder_flaw(b, OSM_FLAW_DATE, "a date that is none");
        } else if (sx_str_eq(a->name, SX_STR("visible")))
            b->now.deleted |= sx_str_eq(a->value, SX_STR("false"));
        else if (sx_str_eq(a->name, SX_STR("action")))
            b->now.deleted |= sx_str_eq(a->value, SX_STR("delete"));
    }
    read_place(r, &lon, &lat, has_lon && has_lat);
    r->in_object = true;
    return SX_OK;
}

static sx_status end_object(reader *r, sx_error *err)
{
    osm_builder *b = &r->builder;
    r->in_object = false;
    if (b->now.kind == OSM_NODE && !b->now.deleted && !r->fits) {
        osm_builder_flaw(b, OSM_FLAW_COORDINATE, "no place, or one beyond 180 or 90 degrees");
        b->leave_out = true;
    }
    if (!(r->run->kinds & 1u << b->now.kind)) {
        b->tag_count = b->tags_from;
        b->ref_count = b->refs_from;
        b->member_count = b->members_from;
        return SX_OK;
    }
    return osm_builder_end(b, err);
}

static sx_status read_tag(reader *r, sx_error *err)
{
    sx_str key, value;
    if (!codec_xml_attribute_get(&r->xml, SX_STR("k"), &key) ||
        !codec_xml_attribute_get(&r->xml, SX_STR("v"), &value))
        return sx_fail(err, SX_EFORMAT, "byte %" PRIu64 ": a tag without k or v", r->xml.at);
    if (!keep_text(r, key, &key) || !keep_text(r, value, &value) ||
        !osm_builder_tag(&r->builder, key, value))
        return sx_fail_memory(err, "tags");
    return SX_OK;
}

static sx_status read_nd(reader *r, sx_error *err)
{
    osm_builder *b = &r->builder;
    sx_str value;
    int64_t ref = 0, lon, lat;
    if (!codec_xml_attribute_get(&r->xml, SX_STR("ref"), &value))
        return sx_fail(err, SX_EFORMAT, "byte %" PRIu64 ": a <nd> without ref", r->xml.at);
    sx_status status = read_id(r, value, &ref, err);
    if (status != SX_OK)
        return status;
    if (!osm_builder_ref(b, ref))
        return sx_fail_memory(err, "a way's nodes");
    if (r->xml.attribute_count < 3 || !r->run->options->places || b->now.deleted ||
        !codec_xml_attribute_get(&r->xml, SX_STR("lon"), &value) || !read_degrees(value, &lon) ||
        !codec_xml_attribute_get(&r->xml, SX_STR("lat"), &value) || !read_degrees(value, &lat) ||
        !osm_in_world(lon, lat))
        return SX_OK;
    return osm_builder_place(b, ref, (int32_t)lon, (int32_t)lat, 0)
               ? osm_builder_flush_places(b, err)
               : SX_OK;
}

static sx_status read_member(reader *r, sx_error *err)
{
    sx_str type, value, role = SX_STR("");
    int64_t ref = 0;
    osm_kind kind;
    if (!codec_xml_attribute_get(&r->xml, SX_STR("type"), &type) || !kind_of(type, &kind) ||
        !codec_xml_attribute_get(&r->xml, SX_STR("ref"), &value))
        return sx_fail(err, SX_EFORMAT, "byte %" PRIu64 ": a member without a known type or a ref",
                       r->xml.at);
    sx_status status = read_id(r, value, &ref, err);
    if (status != SX_OK)
        return status;
    (void)codec_xml_attribute_get(&r->xml, SX_STR("role"), &role);
    if (!keep_text(r, role, &role) || !osm_builder_member(&r->builder, kind, ref, role))
        return sx_fail_memory(err, "a relation's members");
    return SX_OK;
}

/* ---- Around objects ---- */

static void read_bounds(reader *r)
{
    static const sx_str SIDES[] = {SX_STR_INIT("minlon"), SX_STR_INIT("minlat"),
                                   SX_STR_INIT("maxlon"), SX_STR_INIT("maxlat")};
    osm_header *h = &r->run->header;
    sx_str value;
    int64_t e7;
    bool all = true;
    for (size_t i = 0; i < SX_COUNT_OF(SIDES); i++) {
        if (codec_xml_attribute_get(&r->xml, SIDES[i], &value) && read_degrees(value, &e7) &&
            e7 >= -OSM_LON_E7_MAX && e7 <= OSM_LON_E7_MAX)
            h->box_e7[i] = (int32_t)e7;
        else
            all = false;
    }
    h->has_box = all;
}

static sx_status read_root(reader *r, sx_error *err)
{
    osm_header *h = &r->run->header;
    sx_str value;
    h->is_xml = true;
    h->is_change = sx_str_eq(r->xml.name, SX_STR("osmChange"));
    if (!h->is_change && !sx_str_eq(r->xml.name, SX_STR("osm")))
        return sx_fail(err, SX_EUNSUPPORTED, "XML of <%.*s>; <osm> or <osmChange> is expected",
                       SX_ARG(sx_str_first(r->xml.name, 64)));
    if (codec_xml_attribute_get(&r->xml, SX_STR("generator"), &value))
        (void)snprintf(h->program, sizeof(h->program), "%.*s", SX_ARG(value));
    if (codec_xml_attribute_get(&r->xml, SX_STR("timestamp"), &value))
        (void)read_date(value, &h->replication_ms);
    if (r->run->options->header)
        *r->run->options->header = *h;
    return SX_OK;
}

/* An element outside of objects. */
static sx_status start_outside(reader *r, sx_error *err)
{
    static const sx_str PASSED[] = {SX_STR_INIT("note"), SX_STR_INIT("changeset"),
                                    SX_STR_INIT("remark"), SX_STR_INIT("user"),
                                    SX_STR_INIT("bound")};
    const sx_str name = r->xml.name;
    osm_kind kind;
    sx_str value;
    if (kind_of(name, &kind))
        return start_object(r, kind, err);
    if (sx_str_eq(name, SX_STR("delete")))
        r->deleting = true;
    else if (sx_str_eq(name, SX_STR("create")) || sx_str_eq(name, SX_STR("modify")))
        r->deleting = false;
    else if (sx_str_eq(name, SX_STR("bounds")))
        read_bounds(r);
    else if (sx_str_eq(name, SX_STR("meta"))) {
        if (codec_xml_attribute_get(&r->xml, SX_STR("osm_base"), &value))
            (void)read_date(value, &r->run->header.replication_ms);
    } else {
        for (size_t i = 0; i < SX_COUNT_OF(PASSED); i++)
            if (sx_str_eq(name, PASSED[i]))
                return SX_OK;
        osm_report_flaw(&r->builder.report, OSM_FLAW_ELEMENT, 0, "byte %" PRIu64 ": <%.*s>",
                        r->xml.at, SX_ARG(sx_str_first(name, 64)));
    }
    return SX_OK;
}

/* An element of an object. Only its direct children count; Overpass adds <center> and <bounds>. */
static sx_status start_inside(reader *r, sx_error *err)
{
    const sx_str name = r->xml.name;
    const osm_kind kind = r->builder.now.kind;
    if (sx_str_eq(name, SX_STR("tag")))
        return read_tag(r, err);
    if (sx_str_eq(name, SX_STR("nd")) && kind == OSM_WAY)
        return read_nd(r, err);
    if (sx_str_eq(name, SX_STR("member")) && kind == OSM_RELATION)
        return read_member(r, err);
    osm_kind inner;
    if (kind_of(name, &inner))
        return sx_fail(err, SX_EFORMAT, "byte %" PRIu64 ": a %s inside of a %s", r->xml.at,
                       osm_kind_name(inner), osm_kind_name(kind));
    return SX_OK;
}

static sx_status read_events(reader *r, sx_error *err)
{
    codec_xml *x = &r->xml;
    sx_status status;
    while ((status = codec_xml_next(x, err)) == SX_OK) {
        osm_kind kind;
        if (x->event == CODEC_XML_START) {
            if (x->depth == 1)
                status = read_root(r, err);
            else
                status = r->in_object ? start_inside(r, err) : start_outside(r, err);
        } else if (kind_of(x->name, &kind) && r->in_object) {
            status = end_object(r, err);
        } else if (!r->in_object && sx_str_eq(x->name, SX_STR("delete"))) {
            r->deleting = false;
        }
        if (status != SX_OK)
            return status;
    }
    if (status != SX_END)
        return status;
    if (r->run->options->header)
        *r->run->options->header = r->run->header;
    return osm_builder_flush(&r->builder, err);
}

sx_status osm_read_xml(osm_run *run, sx_error *err)
{
    reader r = {.run = run};
    const codec_xml_options options = {
        .more = more,
        .ctx = &r,
        .token_bytes_max = run->limits.token_bytes_max,
        .depth_max = run->limits.depth_max,
    };
    run->first = run->chunk;
    run->chunk = sx_str_of(NULL, 0);
    codec_xml_init(&r.xml, &options);
    sx_status status = osm_builder_init(&r.builder, run, 0, err);
    r.builder.my_turn = true;
    if (status == SX_OK)
        status = read_events(&r, err);
    osm_report_merge(&run->report, &r.builder.report);
    codec_xml_done(&r.xml);
    osm_builder_done(&r.builder);
    return status;
}
