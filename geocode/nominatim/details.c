/* details.c - see details.h. */
#include "geocode/nominatim/details.h"

#include <math.h>
#include <stdlib.h>

#include <sextant/json.h>

#include "geocode/geometry/measure.h"
#include "geocode/nominatim/json.h"
#include "geocode/nominatim/keywords.h"

/* Outlines of more points are simplified, by so many degrees: they are for looking at. */
enum { OUTLINE_POINTS_MAX = 5000 };
static const double OUTLINE_THRESHOLD = 0.0001;

static const char KIND_LETTERS[] = "NWR";

typedef struct details {
    const nom_index *ix;
    const nom_answer *answer;
    const nom_details_params *params;
    const nom_locale *locale;
    sx_arena *arena;
    uint32_t hierarchy_max;
    sx_json_writer w;
} details;

static void put_tag(sx_json_writer *w, sx_str key, sx_str value)
{
    sx_json_key(w, key);
    sx_json_str(w, value);
}

static void put_some(sx_json_writer *w, const char *key, sx_str value)
{
    if (value.len > 0)
        key_str(w, key, value);
}

static void put_osm_type(sx_json_writer *w, unsigned kind)
{
    key_str(w, "osm_type", sx_str_of(&KIND_LETTERS[kind], 1));
}

/* --- One line of an address, a list of linked places, or a hierarchy. */

typedef struct line {
    sx_str name, class_name, type;
    uint64_t place_id; /* 0: none */
    unsigned osm_kind; /* NOM_OSM_NONE */
    int64_t osm_id;
    int admin_level; /* below 0: none */
    unsigned rank_address;
    double distance;
    bool is_address;
} line;

static void put_line(sx_json_writer *w, const line *l)
{
    sx_json_begin_object(w);
    key_str(w, "localname", l->name);
    if (l->place_id)
        key_i64(w, "place_id", (int64_t)l->place_id);
    if (l->osm_kind != NOM_OSM_NONE) {
        key_i64(w, "osm_id", l->osm_id);
        put_osm_type(w, l->osm_kind);
    }
    key_str(w, "class", l->class_name);
    key_str(w, "type", l->type);
    if (l->admin_level >= 0)
        key_i64(w, "admin_level", l->admin_level);
    key_i64(w, "rank_address", l->rank_address);
    key_double(w, "distance", l->distance);
    key_bool(w, "isaddress", l->is_address);
    sx_json_end_object(w);
}

static line line_of_row(const details *d, const nom_row *row, bool first)
{
    const plc_disk_place *p = row->place == PLC_NONE ? NULL : plc_place(d->ix->places, row->place);
    const nom_object *o = &d->answer->object;
    line l = {.name = row->name,
              .class_name = row->class_name,
              .type = row->type,
              .osm_kind = NOM_OSM_NONE,
              .admin_level = -1,
              .rank_address = row->rank_address,
              .distance = (double)row->distance,
              .is_address = row->is_address};
    if (p) {
        l.place_id = nom_place_id(&(nom_hit){.source = NOM_PLACE, .id = row->place});
        l.osm_kind = p->osm_kind;
        l.osm_id = p->osm_id;
        l.admin_level = row->admin_level;
    } else if (first && o->source == NOM_POSTCODE) {
        l.place_id = nom_object_place_id(o);
        l.osm_kind = o->osm_kind;
        l.osm_id = o->osm_id;
        l.admin_level = o->admin_level;
    }
    return l;
}

static void put_address(details *d)
{
    const nom_address *a = &d->answer->address;
    sx_json_key(&d->w, SX_STR("address"));
    sx_json_begin_array(&d->w);
    for (uint32_t i = 0; i < a->count; i++) {
        line l = line_of_row(d, &a->rows[i], i == 0);
        put_line(&d->w, &l);
    }
    sx_json_end_array(&d->w);
}

/* --- Distances in metres on the globe. */

/* By Vincenty's inverse formula (T. Vincenty, Survey Review 23, 1975) on WGS 84; where it does not settle
 * (points on opposite sides of the globe, which no place and its parts are) the last step counts. */
static double metres_between(geo_pt a, geo_pt b)
{
    const double A = 6378137.0, F = 1 / 298.257223563, B = A * (1 - F), RAD = M_PI / 180;
    double u1 = atan((1 - F) * tan(a.lat * RAD)), u2 = atan((1 - F) * tan(b.lat * RAD));
    double l = (b.lon - a.lon) * RAD, lambda = l, sigma = 0, sin_sigma = 0, cos_sigma = 1;
    double cos2_alpha = 0, cos_2m = 0;
    for (int i = 0; i < 100; i++) {
        double x = cos(u2) * sin(lambda);
        double y = cos(u1) * sin(u2) - sin(u1) * cos(u2) * cos(lambda);
        sin_sigma = hypot(x, y);
        if (sin_sigma == 0)
            return 0;
        cos_sigma = sin(u1) * sin(u2) + cos(u1) * cos(u2) * cos(lambda);
        sigma = atan2(sin_sigma, cos_sigma);
        double sin_alpha = cos(u1) * cos(u2) * sin(lambda) / sin_sigma;
        cos2_alpha = 1 - sin_alpha * sin_alpha;
        cos_2m = cos2_alpha > 0 ? cos_sigma - 2 * sin(u1) * sin(u2) / cos2_alpha : 0;
        double c = F / 16 * cos2_alpha * (4 + F * (4 - 3 * cos2_alpha)), before = lambda;
        lambda =
            l + (1 - c) * F * sin_alpha *
                    (sigma + c * sin_sigma * (cos_2m + c * cos_sigma * (2 * cos_2m * cos_2m - 1)));
        if (fabs(lambda - before) < 1e-13)
            break;
    }
    double u = cos2_alpha * (A * A - B * B) / (B * B);
    double p = 1 + u / 16384 * (4096 + u * (-768 + u * (320 - 175 * u)));
    double q = u / 1024 * (256 + u * (-128 + u * (74 - 47 * u)));
    double delta = q * sin_sigma *
                   (cos_2m + q / 4 *
                                 (cos_sigma * (2 * cos_2m * cos_2m - 1) -
                                  q / 6 * cos_2m * (4 * sin_sigma * sin_sigma - 3) *
                                      (4 * cos_2m * cos_2m - 3)));
    return B * p * (sigma - delta);
}

/* --- Other places: those taken over, and those that have their address from here. */

static line line_of_place(const details *d, uint32_t id)
{
    const plc_index *ix = d->ix->places;
    const plc_disk_place *p = plc_place(ix, id);
    geo_pt at = geo_pt_of(d->answer->object.at),
           nearest = geo_pt_of((geo_at){p->lon_e7, p->lat_e7});
    if (p->flags & PLC_HAS_SHAPE)
        (void)geo_bytes_distance(plc_shape(ix, p->shape), at, INFINITY, &nearest);
    sx_str name = nom_locale_name(d->locale, ix, p->tags);
    return (line){.name = name.len ? name : plc_string(ix, p->housenumber),
                  .class_name = plc_string(ix, p->class_name),
                  .type = plc_string(ix, p->type),
                  .place_id = nom_place_id(&(nom_hit){.source = NOM_PLACE, .id = id}),
                  .osm_kind = p->osm_kind,
                  .osm_id = p->osm_id,
                  .admin_level = p->admin_level,
                  .rank_address = p->rank_address,
                  .distance = metres_between(at, nearest),
                  .is_address = true};
}

static void put_linked(details *d)
{
    uint32_t count = 0;
    const nom_object *o = &d->answer->object;
    const plc_disk_linked *linked =
        o->source == NOM_PLACE ? plc_linked(d->ix->places, o->place, &count) : NULL;
    if (count == 0)
        return;
    sx_json_key(&d->w, SX_STR("linked_places"));
    sx_json_begin_array(&d->w);
    for (uint32_t i = 0; i < count; i++) {
        if (!plc_place(d->ix->places, linked[i].node))
            continue;
        line l = line_of_place(d, linked[i].node);
        put_line(&d->w, &l);
    }
    sx_json_end_array(&d->w);
}

/* The places of rank 30 that belong to this one. */
static uint32_t children_of(const details *d, uint32_t *first)
{
    const nom_object *o = &d->answer->object;
    uint32_t count = 0;
    *first = 0;
    if (o->source == NOM_PLACE)
        count = plc_children(d->ix->places, o->place, first);
    return count < d->hierarchy_max ? count : d->hierarchy_max;
}

static bool is_child(const details *d, uint32_t id)
{
    const plc_disk_place *p = plc_place(d->ix->places, id);
    return p && p->rank_search == 30;
}

static void put_hierarchy(details *d)
{
    uint32_t first, count = children_of(d, &first);
    sx_json_key(&d->w, SX_STR("hierarchy"));
    sx_json_begin_array(&d->w);
    for (uint32_t i = 0; i < count; i++) {
        if (!is_child(d, first + i))
            continue;
        line l = line_of_place(d, first + i);
        put_line(&d->w, &l);
    }
    sx_json_end_array(&d->w);
}

/* A child as it is printed, to be sorted by that. */
typedef struct child {
    sx_str type, text;
    uint32_t type_order; /* of the first child of this type */
} child;

static int by_type_and_text(const void *a, const void *b)
{
    const child *x = a, *y = b;
    if (x->type_order != y->type_order)
        return x->type_order < y->type_order ? -1 : 1;
    return sx_str_cmp(x->text, y->text);
}

static sx_status print_child(const details *d, uint32_t id, child *out, sx_error *err)
{
    sx_buf text;
    sx_json_writer w;
    static const sx_json_style STYLE = {.doubles = SX_DOUBLE_PYTHON};
    line l = line_of_place(d, id);
    sx_buf_init(&text, 0);
    sx_json_writer_init(&w, &text, &STYLE);
    put_line(&w, &l);
    sx_status status = sx_json_writer_finish(&w, err);
    out->type = l.type;
    out->text = sx_arena_copy(d->arena, sx_buf_view(&text));
    sx_buf_done(&text);
    return status == SX_OK && !out->text.data ? sx_fail_memory(err, "a hierarchy") : status;
}

/* Where a type was seen first: there are some dozens of them at most. */
static uint32_t first_of_type(const child *children, uint32_t count, sx_str type)
{
    for (uint32_t i = 0; i < count; i++) {
        if (children[i].type_order == i && sx_str_eq(children[i].type, type))
            return i;
    }
    return count;
}

static sx_status put_grouped_hierarchy(details *d, sx_error *err)
{
    uint32_t first, count = children_of(d, &first), used = 0;
    child *children = sx_arena_calloc(d->arena, (size_t)count + 1, sizeof(*children));
    sx_status status = children ? SX_OK : sx_fail_memory(err, "a hierarchy");
    for (uint32_t i = 0; status == SX_OK && i < count; i++) {
        if (!is_child(d, first + i))
            continue;
        status = print_child(d, first + i, &children[used], err);
        children[used].type_order = first_of_type(children, used, children[used].type);
        used++;
    }
    if (status != SX_OK)
        return status;
    if (used > 1)
        qsort(children, used, sizeof(*children), by_type_and_text);
    sx_json_key(&d->w, SX_STR("hierarchy"));
    sx_json_begin_object(&d->w);
    for (uint32_t i = 0; i < used; i++) {
        if (i == 0 || children[i].type_order != children[i - 1].type_order) {
            sx_json_key(&d->w, children[i].type);
            sx_json_begin_array(&d->w);
        }
        sx_json_raw_value(&d->w, children[i].text);
        if (i + 1 == used || children[i].type_order != children[i + 1].type_order)
            sx_json_end_array(&d->w);
    }
    sx_json_end_object(&d->w);
    return SX_OK;
}

/* --- The place itself. */

static void put_names(details *d)
{
    nom_names it;
    sx_str key, value;
    sx_json_key(&d->w, SX_STR("names"));
    sx_json_begin_object(&d->w);
    nom_names_begin(d->ix, &d->answer->object, &it);
    while (nom_names_next(&it, &key, &value))
        put_tag(&d->w, key, value);
    sx_json_end_object(&d->w);
}

static void put_address_tags(details *d)
{
    plc_tags it;
    sx_str key, value;
    const nom_object *o = &d->answer->object;
    sx_json_key(&d->w, SX_STR("addresstags"));
    sx_json_begin_object(&d->w);
    if (o->tags != NOM_NO_TAGS) {
        plc_tags_begin(d->ix->places, o->tags, PLC_ADDRESS, &it);
        while (plc_tags_next(&it, &key, &value))
            put_tag(&d->w, key, value);
    }
    sx_json_end_object(&d->w);
}

static void put_extratags(details *d)
{
    nom_extratags it;
    sx_str key, value;
    sx_json_key(&d->w, SX_STR("extratags"));
    sx_json_begin_object(&d->w);
    nom_extratags_begin(d->ix, &d->answer->object, &it);
    while (nom_extratags_next(&it, &key, &value))
        put_tag(&d->w, key, value);
    sx_json_end_object(&d->w);
}

static void put_country(details *d)
{
    char code[3];
    if (d->answer->address.country == 0)
        return;
    plc_country_text(d->answer->address.country, code);
    key_str(&d->w, "country_code", sx_str_z(code));
}

static uint64_t parent_place_id(const nom_object *o)
{
    return o->parent == PLC_NONE ? 0
                                 : nom_place_id(&(nom_hit){.source = NOM_PLACE, .id = o->parent});
}

static void put_head(details *d)
{
    const nom_object *o = &d->answer->object;
    sx_json_writer *w = &d->w;
    key_i64(w, "place_id", (int64_t)nom_object_place_id(o));
    if (parent_place_id(o))
        key_i64(w, "parent_place_id", (int64_t)parent_place_id(o));
    if (o->osm_kind != NOM_OSM_NONE) {
        put_osm_type(w, o->osm_kind);
        key_i64(w, "osm_id", o->osm_id);
    }
    key_str(w, "category", o->class_name);
    key_str(w, "type", o->type);
    key_i64(w, "admin_level", o->admin_level);
    key_str(w, "localname", d->answer->name);
    put_names(d);
    put_address_tags(d);
    put_some(w, "housenumber", o->housenumber);
    put_some(w, "calculated_postcode", o->postcode);
    put_country(d);
    if (o->source == NOM_PLACE)
        key_double(w, "importance", o->importance);
    key_double(w, "calculated_importance", o->importance);
    put_extratags(d);
    key_i64(w, "rank_address", o->rank_address);
    key_i64(w, "rank_search", o->rank_search);
}

static void put_point(sx_json_writer *w, const char *key, geo_at at)
{
    char text[NOM_COORDINATE_BYTES];
    sx_json_key(w, sx_str_z(key));
    sx_json_begin_object(w);
    key_str(w, "type", SX_STR("Point"));
    sx_json_key(w, SX_STR("coordinates"));
    sx_json_begin_array(w);
    sx_json_raw_value(w, nom_coordinate(at.lon_e7, text));
    sx_json_raw_value(w, nom_coordinate(at.lat_e7, text));
    sx_json_end_array(w);
    sx_json_end_object(w);
}

static uint32_t count_points(const geo_shape *shape)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < shape->ring_count; i++)
        count += shape->rings[i].count;
    return count;
}

/* Whether an outline is so long that it is simplified. */
static sx_status is_long(const details *d, bool *out, sx_error *err)
{
    sx_str bytes = d->answer->object.shape;
    geo_shape shape;
    *out = false;
    if (bytes.len < OUTLINE_POINTS_MAX) /* a point takes two bytes at least */
        return SX_OK;
    geo_cursor c = geo_cursor_at((const uint8_t *)bytes.data, bytes.len, 0);
    sx_status status = geo_shape_decode(&c, d->arena, (geo_shape_limits){0}, &shape, err);
    if (status == SX_OK)
        *out = count_points(&shape) > OUTLINE_POINTS_MAX;
    return status;
}

static sx_status put_geometry(details *d, const nom_limits *limits, sx_error *err)
{
    const nom_object *o = &d->answer->object;
    bool coarse = false;
    key_bool(&d->w, "isarea", o->area);
    put_point(&d->w, "centroid", o->at);
    if (!d->params->geojson) {
        put_point(&d->w, "geometry", o->at);
        return SX_OK;
    }
    sx_status status = is_long(d, &coarse, err);
    if (status != SX_OK)
        return status;
    sx_buf text;
    const nom_print options = {.threshold = coarse ? OUTLINE_THRESHOLD : 0,
                               .polygon_bytes_max = limits ? limits->polygon_bytes_max : 0};
    sx_buf_init(&text, 0);
    status = nom_outline(d->answer, NOM_POLYGON_GEOJSON, &options, d->arena, &text, err);
    if (status == SX_OK) {
        sx_json_key(&d->w, SX_STR("geometry"));
        sx_json_raw_value(&d->w, sx_buf_view(&text));
    }
    sx_buf_done(&text);
    return status;
}

static sx_status put_lists(details *d, const nom_words *words, sx_error *err)
{
    const nom_details_params *p = d->params;
    if (p->address)
        put_address(d);
    if (p->linked)
        put_linked(d);
    if (p->keywords) {
        sx_status status = nom_json_keywords(&d->w, words, &d->answer->object, d->arena, err);
        if (status != SX_OK)
            return status;
    }
    if (!p->hierarchy)
        return SX_OK;
    if (p->group_hierarchy)
        return put_grouped_hierarchy(d, err);
    put_hierarchy(d);
    return SX_OK;
}

sx_status nom_print_details(const nom_index *ix, const nom_words *words, const nom_hit *hit,
                            const nom_details_params *params, const nom_limits *limits,
                            const nom_locale *locale, sx_arena *arena, sx_buf *out, sx_error *err)
{
    nom_answer answer;
    sx_status status = nom_answer_of(ix, hit, locale, arena, &answer, err);
    if (status != SX_OK)
        return status;
    static const sx_json_style STYLE = {.doubles = SX_DOUBLE_PYTHON};
    details d = {.ix = ix,
                 .answer = &answer,
                 .params = params,
                 .locale = locale,
                 .arena = arena,
                 .hierarchy_max = limits && limits->hierarchy_max ? (uint32_t)limits->hierarchy_max
                                                                  : NOM_HIERARCHY_MAX};
    sx_json_writer_init(&d.w, out, &STYLE);
    sx_json_begin_object(&d.w);
    put_head(&d);
    status = put_geometry(&d, limits, err);
    if (status == SX_OK)
        status = put_lists(&d, words, err);
    if (status != SX_OK)
        return status; /* what is half written goes nowhere */
    if (params->entrances)
        nom_json_entrances(&d.w, ix, &answer.object);
    sx_json_end_object(&d.w);
    return sx_json_writer_finish(&d.w, err);
}
