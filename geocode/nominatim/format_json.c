/* format_json.c - answers as json, jsonv2, geojson and geocodejson: the members that Nominatim's clients
 * read, in its order. */
#include <stdio.h>
#include <string.h>

#include <sextant/json.h>

#include "geocode/nominatim/json.h"

static void put_ids(sx_json_writer *w, const nom_answer *a)
{
    const nom_object *o = &a->object;
    if (o->source != NOM_COUNTRY)
        key_i64(w, "place_id", (int64_t)nom_object_place_id(o));
}

static void put_osm(sx_json_writer *w, const nom_object *o)
{
    if (o->osm_kind == NOM_OSM_NONE)
        return;
    key_str(w, "osm_type", sx_str_z(nom_osm_kind_name(o->osm_kind)));
    key_i64(w, "osm_id", o->osm_id);
}

static void put_coordinate(sx_json_writer *w, const char *key, int32_t e7)
{
    char text[NOM_COORDINATE_BYTES];
    key_str(w, key, nom_coordinate(e7, text));
}

static void put_degrees(sx_json_writer *w, int32_t e7)
{
    char text[NOM_COORDINATE_BYTES];
    sx_json_raw_value(w, nom_coordinate(e7, text));
}

static void put_importance(sx_json_writer *w, const nom_object *o)
{
    sx_json_key(w, SX_STR("importance"));
    sx_json_double(w, o->importance);
}

static sx_status put_parts(sx_json_writer *w, const nom_index *ix, const nom_answer *a,
                           sx_arena *arena, sx_error *err)
{
    nom_part *parts;
    uint32_t count;
    sx_status status = nom_address_parts(ix, a, arena, &parts, &count, err);
    if (status != SX_OK)
        return status;
    sx_json_key(w, SX_STR("address"));
    sx_json_begin_object(w);
    for (uint32_t i = 0; i < count; i++) {
        sx_json_key(w, parts[i].label);
        sx_json_str(w, parts[i].value);
    }
    sx_json_end_object(w);
    return SX_OK;
}

/* An object of tags, or null where there is none. */
static void put_extratags(sx_json_writer *w, const char *member, const nom_index *ix,
                          const nom_object *o)
{
    nom_extratags it;
    sx_str key, value;
    nom_extratags_begin(ix, o, &it);
    bool any = nom_extratags_next(&it, &key, &value);
    sx_json_key(w, sx_str_z(member));
    if (!any) {
        sx_json_null(w);
        return;
    }
    sx_json_begin_object(w);
    for (; any; any = nom_extratags_next(&it, &key, &value)) {
        sx_json_key(w, key);
        sx_json_str(w, value);
    }
    sx_json_end_object(w);
}

static void put_names(sx_json_writer *w, const nom_index *ix, const nom_object *o)
{
    nom_names it;
    sx_str key, value;
    nom_names_begin(ix, o, &it);
    bool any = nom_names_next(&it, &key, &value);
    sx_json_key(w, SX_STR("namedetails"));
    if (!any) {
        sx_json_null(w);
        return;
    }
    sx_json_begin_object(w);
    for (; any; any = nom_names_next(&it, &key, &value)) {
        sx_json_key(w, key);
        sx_json_str(w, value);
    }
    sx_json_end_object(w);
}

void nom_json_entrances(sx_json_writer *w, const nom_index *ix, const nom_object *o)
{
    uint32_t count = 0;
    const plc_disk_entrance *e =
        o->source == NOM_PLACE ? plc_entrances(ix->places, o->place, &count) : NULL;
    sx_json_key(w, SX_STR("entrances"));
    if (count == 0) {
        sx_json_null(w);
        return;
    }
    sx_json_begin_array(w);
    for (uint32_t i = 0; i < count; i++) {
        sx_json_begin_object(w);
        key_i64(w, "osm_id", e[i].osm_id);
        key_str(w, "type", plc_string(ix->places, e[i].type));
        put_coordinate(w, "lat", e[i].lat_e7);
        put_coordinate(w, "lon", e[i].lon_e7);
        plc_tags it;
        sx_str key, value;
        plc_tags_begin(ix->places, e[i].tags, PLC_EXTRATAGS, &it);
        if (plc_tags_next(&it, &key, &value)) {
            sx_json_key(w, SX_STR("extratags"));
            sx_json_begin_object(w);
            do {
                sx_json_key(w, key);
                sx_json_str(w, value);
            } while (plc_tags_next(&it, &key, &value));
            sx_json_end_object(w);
        }
        sx_json_end_object(w);
    }
    sx_json_end_array(w);
}

/* What json, jsonv2 and geojson put last among the properties. */
static sx_status put_details(sx_json_writer *w, const nom_index *ix, const nom_answer *a,
                             const nom_print *options, sx_arena *arena, sx_error *err)
{
    const nom_object *o = &a->object;
    sx_status status = SX_OK;
    if (options->address)
        status = put_parts(w, ix, a, arena, err);
    if (options->entrances)
        nom_json_entrances(w, ix, o);
    if (options->extratags)
        put_extratags(w, "extratags", ix, o);
    if (options->names)
        put_names(w, ix, o);
    return status;
}

static void put_what(sx_json_writer *w, const nom_index *ix, const nom_answer *a)
{
    char label[NOM_LABEL_BYTES_MAX];
    key_str(w, "addresstype", nom_answer_label(ix, a, label));
    key_str(w, "name", a->name);
    key_str(w, "display_name", a->display_name);
}

/* An outline, as JSON where it is, else as a string. */
static sx_status put_outline(sx_json_writer *w, const char *key, unsigned polygon,
                             const nom_answer *a, const nom_print *options, sx_arena *arena,
                             sx_error *err)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_status status = nom_outline(a, polygon, options, arena, &text, err);
    if (status == SX_OK) {
        sx_json_key(w, sx_str_z(key));
        if (polygon == NOM_POLYGON_GEOJSON)
            sx_json_raw_value(w, sx_buf_view(&text));
        else
            sx_json_str(w, sx_buf_view(&text));
    }
    sx_buf_done(&text);
    return status;
}

static void put_point(sx_json_writer *w, geo_at at)
{
    sx_json_begin_object(w);
    key_str(w, "type", SX_STR("Point"));
    sx_json_key(w, SX_STR("coordinates"));
    sx_json_begin_array(w);
    put_degrees(w, at.lon_e7);
    put_degrees(w, at.lat_e7);
    sx_json_end_array(w);
    sx_json_end_object(w);
}

/* A feature's geometry: the outline if it is wanted, else the point. */
static sx_status put_geometry(sx_json_writer *w, const nom_answer *a, const nom_print *options,
                              sx_arena *arena, sx_error *err)
{
    if (options->polygons & NOM_POLYGON_GEOJSON)
        return put_outline(w, "geometry", NOM_POLYGON_GEOJSON, a, options, arena, err);
    sx_json_key(w, SX_STR("geometry"));
    put_point(w, a->object.at);
    return SX_OK;
}

static sx_str attribution_of(const nom_answer *a)
{
    return a->attribution.len ? a->attribution : SX_STR(NOM_ATTRIBUTION);
}

/* --- json and jsonv2, which differ in the name of one member. */

static sx_status put_plain(sx_json_writer *w, const nom_index *ix, const nom_answer *a,
                           const nom_print *options, sx_arena *arena, sx_error *err)
{
    static const struct {
        unsigned polygon;
        const char *key;
    } OUTLINES[] = {
        {NOM_POLYGON_TEXT, "geotext"},
        {NOM_POLYGON_KML, "geokml"},
        {NOM_POLYGON_GEOJSON, "geojson"},
        {NOM_POLYGON_SVG, "svg"},
    };
    const nom_object *o = &a->object;
    sx_json_begin_object(w);
    put_ids(w, a);
    key_str(w, "licence", attribution_of(a));
    put_osm(w, o);
    put_coordinate(w, "lat", o->at.lat_e7);
    put_coordinate(w, "lon", o->at.lon_e7);
    key_str(w, options->format == NOM_FORMAT_JSON ? "class" : "category", o->class_name);
    key_str(w, "type", o->type);
    key_i64(w, "place_rank", o->rank_search);
    put_importance(w, o);
    put_what(w, ix, a);
    sx_status status = put_details(w, ix, a, options, arena, err);
    geo_box box = nom_object_box(o);
    sx_json_key(w, SX_STR("boundingbox"));
    sx_json_begin_array(w);
    const int32_t EDGES[] = {box.lat_min, box.lat_max, box.lon_min, box.lon_max};
    for (size_t i = 0; i < SX_COUNT_OF(EDGES); i++) {
        char text[NOM_COORDINATE_BYTES];
        sx_json_str(w, nom_coordinate(EDGES[i], text));
    }
    sx_json_end_array(w);
    for (size_t i = 0; status == SX_OK && i < SX_COUNT_OF(OUTLINES); i++) {
        if (options->polygons & OUTLINES[i].polygon)
            status = put_outline(w, OUTLINES[i].key, OUTLINES[i].polygon, a, options, arena, err);
    }
    sx_json_end_object(w);
    return status;
}

/* --- geojson */

static sx_status put_feature(sx_json_writer *w, const nom_index *ix, const nom_answer *a,
                             const nom_print *options, sx_arena *arena, sx_error *err)
{
    const nom_object *o = &a->object;
    sx_json_begin_object(w);
    key_str(w, "type", SX_STR("Feature"));
    sx_json_key(w, SX_STR("properties"));
    sx_json_begin_object(w);
    put_ids(w, a);
    put_osm(w, o);
    key_i64(w, "place_rank", o->rank_search);
    key_str(w, "category", o->class_name);
    key_str(w, "type", o->type);
    put_importance(w, o);
    put_what(w, ix, a);
    sx_status status = put_details(w, ix, a, options, arena, err);
    sx_json_end_object(w);
    geo_box box = nom_object_box(o);
    sx_json_key(w, SX_STR("bbox"));
    sx_json_begin_array(w);
    put_degrees(w, box.lon_min);
    put_degrees(w, box.lat_min);
    put_degrees(w, box.lon_max);
    put_degrees(w, box.lat_max);
    sx_json_end_array(w);
    if (status == SX_OK)
        status = put_geometry(w, a, options, arena, err);
    sx_json_end_object(w);
    return status;
}

/* --- geocodejson (https://github.com/geocoders/geocodejson-spec), with Nominatim's words for ranks */

static const char *rank_word(unsigned rank)
{
    static const struct {
        unsigned most;
        const char *word;
    } WORDS[] = {
        {3, "locality"},  {4, "country"},   {9, "state"},   {12, "county"}, {16, "city"},
        {21, "district"}, {24, "locality"}, {27, "street"}, {255, "house"},
    };
    size_t i = 0;
    while (rank > WORDS[i].most)
        i++;
    return WORDS[i].word;
}

/* The parts of an address by these words: the first of each counts. */
static void put_geocoding_address(sx_json_writer *w, const nom_answer *a)
{
    const nom_address *rows = &a->address;
    const char *done[16];
    size_t done_count = 0;
    sx_str values[16];
    for (uint32_t i = 0; i < rows->count; i++) {
        const nom_row *r = &rows->rows[i];
        if (!r->is_address || r->name.len == 0)
            continue;
        if (sx_str_eq(r->type, SX_STR("postcode")) || sx_str_eq(r->type, SX_STR("postal_code"))) {
            key_str(w, "postcode", r->name);
        } else if (sx_str_eq(r->type, SX_STR("house_number"))) {
            key_str(w, "housenumber", r->name);
        } else if ((r->place == PLC_NONE || r->place != a->object.place) && r->rank_address >= 4 &&
                   r->rank_address < 28) {
            const char *word = rank_word(r->rank_address);
            size_t at = 0;
            while (at < done_count && strcmp(done[at], word) != 0)
                at++;
            if (at < done_count || done_count == SX_COUNT_OF(done))
                continue;
            done[done_count] = word;
            values[done_count++] = r->name;
        }
    }
    for (size_t i = 0; i < done_count; i++)
        key_str(w, done[i], values[i]);
    if (a->address.country) {
        char code[3];
        plc_country_text(a->address.country, code);
        key_str(w, "country_code", sx_str_z(code));
    }
    sx_json_key(w, SX_STR("admin"));
    sx_json_begin_object(w);
    for (uint32_t i = 0; i < rows->count; i++) {
        const nom_row *r = &rows->rows[i];
        char key[16] = "level";
        if (!r->is_address || r->name.len == 0 || r->admin_level == 0 || r->admin_level >= 15 ||
            !sx_str_eq(r->class_name, SX_STR("boundary")) ||
            !sx_str_eq(r->type, SX_STR("administrative")))
            continue;
        snprintf(key, sizeof(key), "level%u", r->admin_level);
        key_str(w, key, r->name);
    }
    sx_json_end_object(w);
}

static sx_status put_geocoding(sx_json_writer *w, const nom_index *ix, const nom_answer *a,
                               const nom_print *options, sx_arena *arena, sx_error *err)
{
    const nom_object *o = &a->object;
    unsigned rank = o->rank_address < 3 ? 3 : o->rank_address;
    sx_json_begin_object(w);
    key_str(w, "type", SX_STR("Feature"));
    sx_json_key(w, SX_STR("properties"));
    sx_json_begin_object(w);
    sx_json_key(w, SX_STR("geocoding"));
    sx_json_begin_object(w);
    put_ids(w, a);
    put_osm(w, o);
    key_str(w, "osm_key", o->class_name);
    key_str(w, "osm_value", o->type);
    key_str(w, "type", sx_str_z(rank_word(rank)));
    if (options->single)
        key_i64(w, "accuracy", (int64_t)a->distance);
    key_str(w, "label", a->display_name);
    if (a->name.len > 0)
        key_str(w, "name", a->name);
    if (options->address)
        put_geocoding_address(w, a);
    if (options->entrances)
        nom_json_entrances(w, ix, o);
    if (options->extratags)
        put_extratags(w, "extra", ix, o);
    sx_json_end_object(w);
    sx_json_end_object(w);
    sx_status status = put_geometry(w, a, options, arena, err);
    sx_json_end_object(w);
    return status;
}

/* --- The reply. */

static void begin_collection(sx_json_writer *w, const nom_print *options)
{
    sx_json_begin_object(w);
    key_str(w, "type", SX_STR("FeatureCollection"));
    if (options->format == NOM_FORMAT_GEOJSON) {
        key_str(w, "licence", SX_STR(NOM_ATTRIBUTION));
    } else {
        sx_json_key(w, SX_STR("geocoding"));
        sx_json_begin_object(w);
        key_str(w, "version", SX_STR("0.1.0"));
        key_str(w, "attribution", SX_STR(NOM_ATTRIBUTION));
        key_str(w, "licence", SX_STR("ODbL"));
        if (options->query.data)
            key_str(w, "query", options->query);
        sx_json_end_object(w);
    }
    sx_json_key(w, SX_STR("features"));
    sx_json_begin_array(w);
}

sx_status nom_print_json(const nom_index *ix, const nom_answer *const *answers, uint32_t count,
                         const nom_print *options, sx_arena *arena, sx_buf *out, sx_error *err)
{
    typedef sx_status (*put_answer)(sx_json_writer *, const nom_index *, const nom_answer *,
                                    const nom_print *, sx_arena *, sx_error *);
    static const put_answer PUT[NOM_FORMATS] = {
        [NOM_FORMAT_JSON] = put_plain,
        [NOM_FORMAT_JSONV2] = put_plain,
        [NOM_FORMAT_GEOJSON] = put_feature,
        [NOM_FORMAT_GEOCODEJSON] = put_geocoding,
    };
    bool plain = PUT[options->format] == put_plain;
    sx_json_writer w;
    static const sx_json_style STYLE = {.doubles = SX_DOUBLE_PYTHON};
    sx_json_writer_init(&w, out, &STYLE);
    if (options->single && count == 0) {
        sx_json_begin_object(&w);
        key_str(&w, "error", SX_STR("Unable to geocode"));
        sx_json_end_object(&w);
        return sx_json_writer_finish(&w, err);
    }
    if (!plain)
        begin_collection(&w, options);
    else if (!options->single)
        sx_json_begin_array(&w);
    sx_status status = SX_OK;
    for (uint32_t i = 0; status == SX_OK && i < count; i++)
        status = PUT[options->format](&w, ix, answers[i], options, arena, err);
    if (status != SX_OK)
        return status; /* what is half written goes nowhere */
    if (!plain) {
        sx_json_end_array(&w);
        sx_json_end_object(&w);
    } else if (!options->single) {
        sx_json_end_array(&w);
    }
    return sx_json_writer_finish(&w, err);
}
