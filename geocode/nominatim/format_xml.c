/* format_xml.c - answers as XML: <searchresults> of <place>s, or one <result> of <reversegeocode>. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sextant/number.h>
#include <sextant/utf8.h>

#include "geocode/nominatim/answer.h"
#include "geocode/nominatim/xml.h"

static void put_coordinate(sx_buf *out, const char *name, int32_t e7)
{
    char text[NOM_COORDINATE_BYTES];
    nom_xml_attribute(out, name, nom_coordinate(e7, text));
}

static void put_number(sx_buf *out, const char *name, int64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%lld", (long long)value);
    nom_xml_attribute(out, name, sx_str_of(text, (size_t)len));
}

static void put_element(sx_buf *out, sx_str name, sx_str text)
{
    sx_buf_byte(out, '<');
    sx_buf_str(out, name);
    sx_buf_byte(out, '>');
    nom_xml_text(out, text);
    sx_buf_str(out, SX_STR("</"));
    sx_buf_str(out, name);
    sx_buf_byte(out, '>');
}

/* An object's ref, or, as clients have always been given, its name. */
static sx_str ref_of(const nom_index *ix, const nom_answer *a)
{
    nom_names it;
    sx_str key, value;
    nom_names_begin(ix, &a->object, &it);
    while (nom_names_next(&it, &key, &value)) {
        if (sx_str_eq(key, SX_STR("ref")))
            return value;
    }
    return a->name;
}

static void put_base(sx_buf *out, const nom_index *ix, const nom_answer *a)
{
    const nom_object *o = &a->object;
    if (o->source != NOM_COUNTRY)
        put_number(out, "place_id", (int64_t)nom_object_place_id(o));
    if (o->osm_kind != NOM_OSM_NONE) {
        nom_xml_attribute(out, "osm_type", sx_str_z(nom_osm_kind_name(o->osm_kind)));
        put_number(out, "osm_id", o->osm_id);
    }
    sx_str ref = ref_of(ix, a);
    if (ref.len > 0)
        nom_xml_attribute(out, "ref", ref);
    put_coordinate(out, "lat", o->at.lat_e7);
    put_coordinate(out, "lon", o->at.lon_e7);
    geo_box box = nom_object_box(o);
    const int32_t EDGES[] = {box.lat_min, box.lat_max, box.lon_min, box.lon_max};
    sx_buf_str(out, SX_STR(" boundingbox=\""));
    for (size_t i = 0; i < SX_COUNT_OF(EDGES); i++) {
        char text[NOM_COORDINATE_BYTES];
        if (i > 0)
            sx_buf_byte(out, ',');
        sx_buf_str(out, nom_coordinate(EDGES[i], text));
    }
    sx_buf_byte(out, '"');
    put_number(out, "place_rank", o->rank_search);
    put_number(out, "address_rank", o->rank_address);
}

/* Outlines that are attributes; KML is an element. */
static sx_status put_outlines(sx_buf *out, const nom_answer *a, const nom_print *options,
                              sx_arena *arena, sx_error *err)
{
    static const struct {
        unsigned polygon;
        const char *name;
    } OUTLINES[] = {
        {NOM_POLYGON_TEXT, "geotext"},
        {NOM_POLYGON_SVG, "geosvg"},
        {NOM_POLYGON_GEOJSON, "geojson"},
    };
    sx_status status = SX_OK;
    for (size_t i = 0; status == SX_OK && i < SX_COUNT_OF(OUTLINES); i++) {
        if (!(options->polygons & OUTLINES[i].polygon))
            continue;
        sx_buf text;
        sx_buf_init(&text, 0);
        status = nom_outline(a, OUTLINES[i].polygon, options, arena, &text, err);
        if (status == SX_OK)
            nom_xml_attribute(out, OUTLINES[i].name, sx_buf_view(&text));
        sx_buf_done(&text);
    }
    return status;
}

static sx_status put_kml(sx_buf *out, const nom_answer *a, const nom_print *options,
                         sx_arena *arena, sx_error *err)
{
    sx_buf_str(out, SX_STR("<geokml>"));
    sx_status status = nom_outline(a, NOM_POLYGON_KML, options, arena, out, err);
    sx_buf_str(out, SX_STR("</geokml>"));
    return status;
}

static sx_status put_parts(sx_buf *out, const nom_index *ix, const nom_answer *a, sx_arena *arena,
                           sx_error *err)
{
    nom_part *parts;
    uint32_t count;
    sx_status status = nom_address_parts(ix, a, arena, &parts, &count, err);
    for (uint32_t i = 0; status == SX_OK && i < count; i++)
        put_element(out, nom_xml_name(parts[i].label, arena), parts[i].value);
    return status;
}

static void put_tag(sx_buf *out, sx_str key, sx_str value)
{
    sx_buf_str(out, SX_STR("<tag"));
    nom_xml_attribute(out, "key", key);
    nom_xml_attribute(out, "value", value);
    sx_buf_str(out, SX_STR(" />"));
}

static void put_extratags(sx_buf *out, const nom_index *ix, const nom_object *o)
{
    nom_extratags it;
    sx_str key, value;
    sx_buf_str(out, SX_STR("<extratags>"));
    for (nom_extratags_begin(ix, o, &it); nom_extratags_next(&it, &key, &value);)
        put_tag(out, key, value);
    sx_buf_str(out, SX_STR("</extratags>"));
}

static void put_names(sx_buf *out, const nom_index *ix, const nom_object *o)
{
    nom_names it;
    sx_str key, value;
    sx_buf_str(out, SX_STR("<namedetails>"));
    for (nom_names_begin(ix, o, &it); nom_names_next(&it, &key, &value);) {
        sx_buf_str(out, SX_STR("<name"));
        nom_xml_attribute(out, "desc", key);
        sx_buf_byte(out, '>');
        nom_xml_text(out, value);
        sx_buf_str(out, SX_STR("</name>"));
    }
    sx_buf_str(out, SX_STR("</namedetails>"));
}

static void put_entrances(sx_buf *out, const nom_index *ix, const nom_object *o)
{
    uint32_t count = 0;
    const plc_disk_entrance *e =
        o->source == NOM_PLACE ? plc_entrances(ix->places, o->place, &count) : NULL;
    sx_buf_str(out, SX_STR("<entrances>"));
    for (uint32_t i = 0; i < count; i++) {
        plc_tags it;
        sx_str key, value;
        sx_buf_str(out, SX_STR("<entrance"));
        put_number(out, "osm_id", e[i].osm_id);
        nom_xml_attribute(out, "type", plc_string(ix->places, e[i].type));
        put_coordinate(out, "lat", e[i].lat_e7);
        put_coordinate(out, "lon", e[i].lon_e7);
        sx_buf_byte(out, '>');
        for (plc_tags_begin(ix->places, e[i].tags, PLC_EXTRATAGS, &it);
             plc_tags_next(&it, &key, &value);)
            put_tag(out, key, value);
        sx_buf_str(out, SX_STR("</entrance>"));
    }
    sx_buf_str(out, SX_STR("</entrances>"));
}

static sx_status put_details(sx_buf *out, const nom_index *ix, const nom_answer *a,
                             const nom_print *options, sx_arena *arena, sx_error *err)
{
    sx_status status = SX_OK;
    if (options->address && options->single)
        sx_buf_str(out, SX_STR("<addressparts>"));
    if (options->address)
        status = put_parts(out, ix, a, arena, err);
    if (options->address && options->single)
        sx_buf_str(out, SX_STR("</addressparts>"));
    if (options->extratags)
        put_extratags(out, ix, &a->object);
    if (options->names)
        put_names(out, ix, &a->object);
    if (options->entrances)
        put_entrances(out, ix, &a->object);
    return status;
}

static sx_status put_place(sx_buf *out, const nom_index *ix, const nom_answer *a,
                           const nom_print *options, sx_arena *arena, sx_error *err)
{
    char importance[SX_DOUBLE_BYTES];
    sx_buf_str(out, options->single ? SX_STR("<result") : SX_STR("<place"));
    put_base(out, ix, a);
    sx_status status = put_outlines(out, a, options, arena, err);
    if (options->single) {
        sx_buf_byte(out, '>');
        nom_xml_text(out, a->display_name);
        sx_buf_str(out, SX_STR("</result>"));
    } else {
        size_t len = sx_double_format(a->object.importance, SX_DOUBLE_PYTHON, importance);
        nom_xml_attribute(out, "display_name", a->display_name);
        nom_xml_attribute(out, "class", a->object.class_name);
        nom_xml_attribute(out, "type", a->object.type);
        nom_xml_attribute(out, "importance", sx_str_of(importance, len));
        sx_buf_byte(out, '>');
    }
    if (status == SX_OK && (options->polygons & NOM_POLYGON_KML))
        status = put_kml(out, a, options, arena, err);
    if (status == SX_OK)
        status = put_details(out, ix, a, options, arena, err);
    if (!options->single)
        sx_buf_str(out, SX_STR("</place>"));
    return status;
}

/* "Sat, 21 Nov 2026 09:22:41 +00:00" */
static sx_str timestamp(int64_t now_ms, char *out, size_t cap)
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm at;
    gmtime_r(&seconds, &at);
    return sx_str_of(out, strftime(out, cap, "%a, %d %b %Y %H:%M:%S +00:00", &at));
}

sx_status nom_print_xml(const nom_index *ix, const nom_answer *const *answers, uint32_t count,
                        const nom_print *options, sx_arena *arena, sx_buf *out, sx_error *err)
{
    const struct {
        const char *name;
        sx_str value;
    } EXTRA[] = {{"more_url", options->more_url},
                 {"exclude_place_ids", options->excluded},
                 {"viewbox", options->viewbox}};
    char stamp[64];
    sx_str root = options->single ? SX_STR("reversegeocode") : SX_STR("searchresults");
    sx_buf_str(out, SX_STR("<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<"));
    sx_buf_str(out, root);
    nom_xml_attribute(out, "timestamp", timestamp(options->now_ms, stamp, sizeof(stamp)));
    nom_xml_attribute(out, "attribution", SX_STR(NOM_ATTRIBUTION));
    nom_xml_attribute(out, "querystring", options->query);
    for (size_t i = 0; i < SX_COUNT_OF(EXTRA); i++) {
        if (EXTRA[i].value.len > 0)
            nom_xml_attribute(out, EXTRA[i].name, EXTRA[i].value);
    }
    sx_buf_byte(out, '>');
    if (options->single && count == 0)
        put_element(out, SX_STR("error"), SX_STR("Unable to geocode"));
    sx_status status = SX_OK;
    for (uint32_t i = 0; status == SX_OK && i < count; i++)
        status = put_place(out, ix, answers[i], options, arena, err);
    sx_buf_str(out, SX_STR("</"));
    sx_buf_str(out, root);
    sx_buf_byte(out, '>');
    return status;
}
