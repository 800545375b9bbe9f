/* params.c - see params.h. */
#include "geocode/nominatim/params.h"

#include <math.h>

#include <sextant/utf8.h>

#include "geocode/nominatim/search_text.h"
#include "geocode/text/form.h"

enum { LOOKUP_MAX = 50, SEARCH_LIMIT = 10, SEARCH_LIMIT_MAX = 50, ZOOM = 18 };

static const int64_t NO_ID = 0;

/* --- Format, debug, outlines: what several endpoints begin with. */

typedef struct format_name {
    sx_str name;
    nom_format format;
} format_name;

static const format_name PLACES[] = {
    {SX_STR_INIT("xml"), NOM_FORMAT_XML},
    {SX_STR_INIT("geojson"), NOM_FORMAT_GEOJSON},
    {SX_STR_INIT("geocodejson"), NOM_FORMAT_GEOCODEJSON},
    {SX_STR_INIT("json"), NOM_FORMAT_JSON},
    {SX_STR_INIT("jsonv2"), NOM_FORMAT_JSONV2},
};

static bool read_format(const nom_request *q, nom_format otherwise, nom_format *out,
                        nom_refusal *refusal)
{
    const sx_str name = q->values[NOM_P_FORMAT];
    *out = otherwise;
    *refusal = (nom_refusal){.form = NOM_ERROR_TEXT};
    bool known = !name.data;
    for (size_t i = 0; !known && i < SX_COUNT_OF(PLACES); i++) {
        known = sx_str_eq(name, PLACES[i].name);
        if (known)
            *out = PLACES[i].format;
    }
    if (!known)
        return nom_refuse(
            refusal, 400,
            "Parameter 'format' must be one of: xml, geojson, geocodejson, json, jsonv2");
    refusal->form = *out == NOM_FORMAT_XML ? NOM_ERROR_XML : NOM_ERROR_JSON;
    return true;
}

/* Endpoints that have JSON alone. */
static bool read_json(const nom_request *q, nom_refusal *refusal)
{
    *refusal = (nom_refusal){.form = NOM_ERROR_TEXT};
    if (nom_request_has(q, NOM_P_FORMAT) && !sx_str_eq(q->values[NOM_P_FORMAT], SX_STR("json")))
        return nom_refuse(refusal, 400, "Parameter 'format' must be one of: json");
    refusal->form = NOM_ERROR_JSON;
    return true;
}

/* Nominatim's page of how it reads a query tells its own insides: ours are told by explain=1. */
static bool read_debug(const nom_request *q, nom_refusal *refusal)
{
    return !nom_request_bool(q, NOM_P_DEBUG, false) ||
           nom_refuse(refusal, 400, "Debug output is not enabled on this server.");
}

/* One outline at most is given; GeoJSON's kinds have room for GeoJSON alone. */
static bool read_outlines(const nom_request *q, nom_output *out, nom_refusal *refusal)
{
    static const struct {
        nom_param param;
        unsigned polygon;
    } OUTLINES[] = {
        {NOM_P_POLYGON_GEOJSON, NOM_POLYGON_GEOJSON},
        {NOM_P_POLYGON_TEXT, NOM_POLYGON_TEXT},
        {NOM_P_POLYGON_KML, NOM_POLYGON_KML},
        {NOM_P_POLYGON_SVG, NOM_POLYGON_SVG},
    };
    static const double WHOLE = 0;
    bool features = out->format == NOM_FORMAT_GEOJSON || out->format == NOM_FORMAT_GEOCODEJSON;
    unsigned count = 0;
    for (size_t i = 0; i < (features ? 1 : SX_COUNT_OF(OUTLINES)); i++) {
        if (nom_request_bool(q, OUTLINES[i].param, false)) {
            out->polygons |= OUTLINES[i].polygon;
            count++;
        }
    }
    if (count > 1)
        return nom_refuse(refusal, 400, "Too many polygon output options selected.");
    return nom_request_float(q, NOM_P_POLYGON_THRESHOLD, &WHOLE, &out->threshold, refusal);
}

static bool begin_output(const nom_request *q, nom_format otherwise, nom_output *out,
                         nom_refusal *refusal)
{
    *out = (nom_output){0};
    if (!read_format(q, otherwise, &out->format, refusal) || !read_debug(q, refusal))
        return false;
    out->extratags = nom_request_bool(q, NOM_P_EXTRATAGS, false);
    out->names = nom_request_bool(q, NOM_P_NAMEDETAILS, false);
    out->entrances = nom_request_bool(q, NOM_P_ENTRANCES, false);
    return true;
}

/* --- Layers. */

static bool read_layers(const nom_request *q, uint32_t *out, nom_refusal *refusal)
{
    static const struct {
        sx_str name;
        uint32_t layer;
    } LAYERS[] = {
        {SX_STR_INIT("address"), NOM_LAYER_ADDRESS}, {SX_STR_INIT("poi"), NOM_LAYER_POI},
        {SX_STR_INIT("railway"), NOM_LAYER_RAILWAY}, {SX_STR_INIT("natural"), NOM_LAYER_NATURAL},
        {SX_STR_INIT("manmade"), NOM_LAYER_MANMADE},
    };
    sx_str rest = q->values[NOM_P_LAYER], name;
    *out = NOM_LAYERS_ANY;
    for (bool more = rest.len > 0; more;) {
        more = sx_str_cut(rest, ',', &name, &rest);
        name = sx_str_trim_all(name);
        uint32_t layer = 0;
        for (size_t i = 0; i < SX_COUNT_OF(LAYERS); i++)
            layer |= sx_str_ieq(name, LAYERS[i].name) ? LAYERS[i].layer : 0;
        if (layer == 0 && name.len > 0)
            return nom_refuse(refusal, 400,
                              "Parameter 'layer' must be a comma-separated list of: address, poi, "
                              "railway, natural, manmade");
        *out |= layer;
    }
    return true;
}

/* --- Reverse. */

/* False if there is no such place on the globe. */
static bool globe_point(double lon, double lat, geo_pt *out)
{
    *out = (geo_pt){lon, lat};
    return fabs(lon) <= 180 && fabs(lat) <= 90;
}

bool nom_reverse_read(const nom_request *q, nom_reverse_params *out, nom_refusal *refusal)
{
    static const int64_t NEAREST = ZOOM;
    int64_t zoom;
    *out = (nom_reverse_params){0};
    if (!begin_output(q, NOM_FORMAT_XML, &out->output, refusal) ||
        !nom_request_float(q, NOM_P_LON, NULL, &out->lon, refusal) ||
        !nom_request_float(q, NOM_P_LAT, NULL, &out->lat, refusal) ||
        !read_outlines(q, &out->output, refusal) ||
        !nom_request_int(q, NOM_P_ZOOM, &NEAREST, &zoom, refusal) ||
        !read_layers(q, &out->query.layers, refusal))
        return false;
    out->on_globe = globe_point(out->lon, out->lat, &out->query.at);
    out->query.rank_max = nom_zoom_rank(zoom);
    out->output.address = nom_request_bool(q, NOM_P_ADDRESSDETAILS, true);
    return true;
}

/* --- Lookup. */

static bool read_digits(sx_str text, int64_t *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return text.len > 0 && geo_python_int(text, out);
}

/* "W123": what is written otherwise is none. */
static bool read_ref(sx_str text, nom_ref *out)
{
    static const char KINDS[] = "nwr";
    *out = (nom_ref){0};
    if (text.len < 2)
        return false;
    while (out->osm_kind < 3 && KINDS[out->osm_kind] != (text.data[0] | 0x20))
        out->osm_kind++;
    return out->osm_kind < 3 && read_digits(sx_str_from(text, 1), &out->id);
}

static bool no_memory(nom_refusal *refusal)
{
    return nom_refuse(refusal, 500, "Out of memory.");
}

static bool read_refs(sx_str text, uint32_t most, sx_arena *arena, nom_lookup_params *out,
                      nom_refusal *refusal)
{
    out->refs = sx_arena_calloc(arena, most, sizeof(*out->refs));
    if (!out->refs)
        return no_memory(refusal);
    for (bool more = true; more;) {
        sx_str part;
        nom_ref ref;
        more = sx_str_cut(text, ',', &part, &text);
        if (!read_ref(sx_str_trim_all(part), &ref))
            continue;
        if (out->count == most)
            return nom_refuse(refusal, 400, "Too many object IDs.");
        out->refs[out->count++] = ref;
    }
    return true;
}

bool nom_lookup_read(const nom_request *q, const nom_limits *limits, sx_arena *arena,
                     nom_lookup_params *out, nom_refusal *refusal)
{
    uint32_t most = limits && limits->lookup_max ? limits->lookup_max : LOOKUP_MAX;
    *out = (nom_lookup_params){0};
    if (!begin_output(q, NOM_FORMAT_XML, &out->output, refusal) ||
        !read_outlines(q, &out->output, refusal))
        return false;
    out->output.address = nom_request_bool(q, NOM_P_ADDRESSDETAILS, true);
    return read_refs(q->values[NOM_P_OSM_IDS], most, arena, out, refusal);
}

/* --- Details, status, polygons. */

static bool read_object(const nom_request *q, nom_ref *out, nom_refusal *refusal)
{
    const sx_str kind = q->values[NOM_P_OSMTYPE];
    if (!nom_request_int(q, NOM_P_PLACE_ID, &NO_ID, &out->id, refusal))
        return false;
    out->by_place_id = out->id != 0;
    if (out->by_place_id)
        return true;
    if (!kind.data)
        return nom_refuse(refusal, 400, "Missing ID parameter 'place_id' or 'osmtype'.");
    if (!nom_request_int(q, NOM_P_OSMID, NULL, &out->id, refusal))
        return false;
    static const char KINDS[] = "NWR";
    while (out->osm_kind < 3 && (kind.len != 1 || KINDS[out->osm_kind] != kind.data[0]))
        out->osm_kind++;
    out->class_name = q->values[NOM_P_CLASS];
    return out->osm_kind < 3 ||
           nom_refuse(refusal, 400, "Parameter 'osmtype' must be one of: N, W, R");
}

bool nom_details_read(const nom_request *q, nom_details_params *out, nom_refusal *refusal)
{
    *out = (nom_details_params){0};
    if (!read_json(q, refusal) || !read_object(q, &out->ref, refusal) || !read_debug(q, refusal))
        return false;
    out->address = nom_request_bool(q, NOM_P_ADDRESSDETAILS, false);
    out->linked = nom_request_bool(q, NOM_P_LINKEDPLACES, true);
    out->hierarchy = nom_request_bool(q, NOM_P_HIERARCHY, false);
    out->group_hierarchy = nom_request_bool(q, NOM_P_GROUP_HIERARCHY, false);
    out->keywords = nom_request_bool(q, NOM_P_KEYWORDS, false);
    out->geojson = nom_request_bool(q, NOM_P_POLYGON_GEOJSON, false);
    out->entrances = nom_request_bool(q, NOM_P_ENTRANCES, false);
    return true;
}

bool nom_status_read(const nom_request *q, bool *json, nom_refusal *refusal)
{
    sx_str format = q->values[NOM_P_FORMAT];
    *refusal = (nom_refusal){.form = NOM_ERROR_TEXT};
    *json = sx_str_eq(format, SX_STR("json"));
    return *json || !format.data || sx_str_eq(format, SX_STR("text")) ||
           nom_refuse(refusal, 400, "Parameter 'format' must be one of: text, json");
}

bool nom_polygons_read(const nom_request *q, nom_refusal *refusal)
{
    int64_t days;
    return read_json(q, refusal) && nom_request_int(q, NOM_P_DAYS, &NO_ID, &days, refusal);
}

/* --- Search. */

/* Two letters each; what is longer or shorter is left out. */
static bool read_countries(const nom_request *q, sx_arena *arena, nom_search_params *out,
                           nom_refusal *refusal)
{
    sx_str text = q->values[NOM_P_COUNTRYCODES], code;
    size_t most = text.len / 2 + 1;
    uint16_t *codes = sx_arena_calloc(arena, most, sizeof(*codes));
    char *shown = sx_arena_alloc(arena, text.len + 2);
    if (!codes || !shown)
        return no_memory(refusal);
    out->countries = sx_str_of(shown, 0);
    for (bool more = text.len > 0; more;) {
        more = sx_str_cut(text, ',', &code, &text);
        if (code.len != 2)
            continue;
        char lower[2];
        for (size_t i = 0; i < 2; i++)
            lower[i] = code.data[i] >= 'A' && code.data[i] <= 'Z' ? (char)(code.data[i] | 0x20)
                                                                  : code.data[i];
        uint16_t country = plc_country_of(sx_str_of(lower, 2));
        /* One that does not exist must find nothing, not everything. */
        codes[out->query.country_count++] = country ? country : UINT16_MAX;
        if (out->countries.len)
            shown[out->countries.len++] = ',';
        shown[out->countries.len++] = lower[0];
        shown[out->countries.len++] = lower[1];
    }
    out->query.countries = codes;
    return true;
}

static bool read_excluded_one(sx_str text, nom_ref *out, nom_refusal *refusal)
{
    *out = (nom_ref){.by_place_id = true};
    return read_digits(text, &out->id) || read_ref(text, out) ||
           nom_refuse(refusal, 400, "Invalid exclude ID: %.*s", SX_ARG(text));
}

static bool read_excluded(const nom_request *q, sx_arena *arena, nom_search_params *out,
                          nom_refusal *refusal)
{
    sx_str text = q->values[NOM_P_EXCLUDE_PLACE_IDS], part;
    size_t most = text.len / 2 + 1; /* a digit and a comma each */
    nom_ref *refs = sx_arena_alloc(arena, most * sizeof(*refs));
    uint64_t *ids = sx_arena_alloc(arena, most * sizeof(*ids));
    uint64_t *objects = sx_arena_alloc(arena, most * sizeof(*objects));
    nom_search_query *query = &out->query;
    if (!refs || !ids || !objects)
        return no_memory(refusal);
    for (bool more = text.len > 0; more;) {
        nom_ref ref;
        more = sx_str_cut(text, ',', &part, &text);
        part = sx_str_trim_all(part);
        if (part.len == 0)
            continue;
        if (!read_excluded_one(part, &ref, refusal))
            return false;
        if (ref.id <= 0)
            continue;
        refs[out->excluded_count++] = ref;
        if (ref.by_place_id)
            ids[query->excluded_count++] = (uint64_t)ref.id;
        else
            objects[query->excluded_object_count++] = plc_osm_object(ref.osm_kind, ref.id);
    }
    out->excluded = refs;
    query->excluded = ids;
    query->excluded_objects = objects;
    return true;
}

static double between(double value, double least, double most)
{
    return value < least ? least : value > most ? most : value;
}

static int32_t e7_of(double degrees)
{
    return (int32_t)lrint(degrees * GEO_E7);
}

/* Two corners, whichever: longitude, latitude, longitude, latitude. */
static bool read_viewbox(const nom_request *q, nom_search_params *out, nom_refusal *refusal)
{
    sx_str text = q->values[q->values[NOM_P_VIEWBOX].len ? NOM_P_VIEWBOX : NOM_P_VIEWBOXLBRT], part;
    double c[4] = {0};
    unsigned count = 0;
    bool numbers = true;
    if (text.len == 0)
        return true;
    for (bool more = true; more; count++) {
        double value = 0;
        more = sx_str_cut(text, ',', &part, &text);
        numbers = numbers && geo_python_float(part, &value) && isfinite(value);
        if (count < 4)
            c[count] = count % 2 ? between(value, -90, 90) : between(value, -180, 180);
    }
    if (count != 4)
        return nom_refuse(refusal, 400, "Bounding box parameter needs 4 coordinates.");
    if (!numbers)
        return nom_refuse(refusal, 400, "Bounding box parameter needs to be numbers.");
    if (c[0] == c[2] || c[1] == c[3])
        return nom_refuse(refusal, 400, "Bounding box with invalid parameters.");
    out->query.has_viewbox = true;
    out->query.viewbox = (geo_box){e7_of(fmin(c[0], c[2])), e7_of(fmin(c[1], c[3])),
                                   e7_of(fmax(c[0], c[2])), e7_of(fmax(c[1], c[3]))};
    return true;
}

static bool read_feature_type(const nom_request *q, nom_search_params *out, nom_refusal *refusal)
{
    static const struct {
        sx_str name;
        uint8_t least, most;
    } TYPES[] = {{SX_STR_INIT("country"), 4, 4},
                 {SX_STR_INIT("state"), 8, 8},
                 {SX_STR_INIT("city"), 14, 16},
                 {SX_STR_INIT("settlement"), 8, 20}};
    if (!nom_request_has(q, NOM_P_FEATURE_TYPE))
        return read_layers(q, &out->query.layers, refusal);
    out->query.layers = NOM_LAYER_ADDRESS;
    for (size_t i = 0; i < SX_COUNT_OF(TYPES); i++) {
        if (sx_str_eq(q->values[NOM_P_FEATURE_TYPE], TYPES[i].name)) {
            out->feature_type = TYPES[i].name;
            out->query.rank_min = TYPES[i].least;
            out->query.rank_max = TYPES[i].most;
        }
    }
    return true;
}

/* The fields of a structured search, as they are told in one line. */
static const nom_param FIELDS[] = {NOM_P_AMENITY, NOM_P_STREET,     NOM_P_CITY,   NOM_P_COUNTY,
                                   NOM_P_STATE,   NOM_P_POSTALCODE, NOM_P_COUNTRY};

static bool has_fields(const nom_request *q)
{
    bool any = false;
    for (size_t i = 0; i < SX_COUNT_OF(FIELDS); i++)
        any = any || q->values[FIELDS[i]].len > 0;
    return any;
}

static bool read_fields(const nom_request *q, sx_arena *arena, nom_search_params *out,
                        nom_refusal *refusal)
{
    out->query.amenity = q->values[NOM_P_AMENITY];
    out->query.street = q->values[NOM_P_STREET];
    out->query.city = q->values[NOM_P_CITY];
    out->query.county = q->values[NOM_P_COUNTY];
    out->query.state = q->values[NOM_P_STATE];
    out->query.country = q->values[NOM_P_COUNTRY];
    out->query.postalcode = q->values[NOM_P_POSTALCODE];
    out->shown = SX_STR("");
    for (size_t i = 0; i < SX_COUNT_OF(FIELDS); i++) {
        sx_str field = q->values[FIELDS[i]];
        if (field.len == 0)
            continue;
        out->shown = out->shown.len
                         ? sx_arena_printf(arena, "%.*s, %.*s", SX_ARG(out->shown), SX_ARG(field))
                         : field;
        if (!out->shown.data)
            return no_memory(refusal);
    }
    return has_fields(q) || nom_refuse(refusal, 400, "Nothing to search for.");
}

/* What is checked whenever words are searched for, and not before. */
static bool read_filters(const nom_request *q, sx_arena *arena, nom_search_params *out,
                         nom_refusal *refusal)
{
    return read_countries(q, arena, out, refusal) && read_excluded(q, arena, out, refusal) &&
           read_viewbox(q, out, refusal);
}

/* Coordinates and categories are taken out by the search. Nothing but coordinates is a reverse, which has
 * no filters: wrong ones are not noticed. */
static bool read_text(const nom_request *q, sx_arena *arena, nom_search_params *out,
                      nom_refusal *refusal)
{
    geo_pt point;
    sx_str rest = q->values[NOM_P_Q], class_name, type;
    if (has_fields(q))
        return nom_refuse(refusal, 400,
                          "Structured query parameters(amenity, street, city, county, state, "
                          "postalcode, country) cannot be used together with 'q' parameter.");
    out->shown = out->query.text = rest;
    out->nothing = rest.len == 0;
    if (out->nothing)
        return true;
    if (nom_take_coordinates(&rest, arena, &point)) {
        out->nothing = fabs(point.lon) > 180 || fabs(point.lat) > 90;
        if (rest.len == 0)
            return true;
    }
    return read_filters(q, arena, out, refusal) &&
           (nom_take_category(&rest, arena, &class_name, &type) || sx_str_trim_all(rest).len > 0 ||
            nom_refuse(refusal, 400, "Nothing to search for."));
}

bool nom_search_read(const nom_request *q, sx_arena *arena, nom_search_params *out,
                     nom_refusal *refusal)
{
    static const int64_t USUAL = SEARCH_LIMIT;
    int64_t limit;
    *out = (nom_search_params){0};
    if (!begin_output(q, NOM_FORMAT_JSONV2, &out->output, refusal) ||
        !read_outlines(q, &out->output, refusal) ||
        !nom_request_int(q, NOM_P_LIMIT, &USUAL, &limit, refusal) ||
        !read_feature_type(q, out, refusal))
        return false;
    out->output.address = nom_request_bool(q, NOM_P_ADDRESSDETAILS, false);
    out->query.limit = (uint32_t)(limit < 1                  ? 1
                                  : limit > SEARCH_LIMIT_MAX ? SEARCH_LIMIT_MAX
                                                             : limit);
    out->query.bounded = nom_request_bool(q, NOM_P_BOUNDED, false);
    out->query.dedupe = nom_request_bool(q, NOM_P_DEDUPE, true);
    out->query.fuzzy = nom_request_bool(q, NOM_P_FUZZY, false);
    if (nom_request_has(q, NOM_P_Q))
        return read_text(q, arena, out, refusal);
    return read_filters(q, arena, out, refusal) && read_fields(q, arena, out, refusal);
}

/* --- JSONP. */

static bool is_identifier_char(uint32_t c, bool first)
{
    if (c < 0x80) {
        uint32_t letter = c | 0x20;
        return (letter >= 'a' && letter <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
    }
    /* Beyond ASCII letters are taken, and with them marks and digits of other scripts; not the signs and
     * blanks, of which some end a line in JavaScript. */
    return c >= 0xC0 && c != 0xD7 && c != 0xF7 && (c < 0x2000 || c >= 0x2C00) &&
           (c < 0x3000 || c >= 0x3005) && (c < 0xE000 || c >= 0xF900) &&
           (c < 0xFFF0 || c >= 0x10000);
}

static bool is_identifier(sx_str text)
{
    bool first = true;
    if (text.len == 0)
        return false;
    while (text.len > 0) {
        uint32_t c;
        size_t bytes = sx_utf8_decode(text, &c);
        if (bytes == 0 || !is_identifier_char(c, first))
            return false;
        first = false;
        text = sx_str_from(text, bytes);
    }
    return true;
}

bool nom_callback_valid(sx_str name)
{
    sx_str part;
    for (bool more = true; more;) {
        more = sx_str_cut(name, '.', &part, &name);
        if (!is_identifier(part))
            return false;
    }
    return true;
}
