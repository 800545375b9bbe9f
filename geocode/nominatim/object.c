/* object.c - see object.h. */
#include "geocode/nominatim/object.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "geocode/places/countries.h"

/* The stored importance is a float; where it is only the rank's, it is told with all its digits. */
static double importance_of(const plc_disk_place *p)
{
    double by_rank = nom_rank_importance(p->rank_search);
    return p->importance > 0 && p->importance != (float)by_rank ? (double)p->importance : by_rank;
}

static void of_place(const plc_index *ix, const plc_disk_place *p, uint32_t place, nom_object *out)
{
    *out = (nom_object){
        .source = NOM_PLACE,
        .place = place,
        .parent = p->parent,
        .linked = p->linked,
        .osm_kind = p->osm_kind,
        .osm_id = p->osm_id,
        .class_name = plc_string(ix, p->class_name),
        .type = plc_string(ix, p->type),
        .tags = p->tags,
        .housenumber = plc_string(ix, p->housenumber),
        .postcode = plc_string(ix, p->postcode),
        .rank_search = p->rank_search,
        .rank_address = p->rank_address,
        .admin_level = p->admin_level,
        .country = p->country,
        .area = p->flags & PLC_AREA,
        .has_box = p->osm_kind != 0,
        .box = {p->lon_min, p->lat_min, p->lon_max, p->lat_max},
        .shape = p->flags & PLC_HAS_SHAPE ? plc_shape(ix, p->shape) : sx_str_of("", 0),
        .importance = importance_of(p),
    };
}

static bool of_postcode(const plc_index *ix, uint32_t id, nom_object *out)
{
    uint32_t count = 0;
    const plc_disk_postcode *p = plc_postcodes(ix, &count);
    if (id >= count)
        return false;
    p += id;
    const plc_disk_place *area = plc_place(ix, p->place);
    *out = (nom_object){
        .source = NOM_POSTCODE,
        .place = PLC_NONE,
        .parent = p->parent,
        .linked = PLC_NONE,
        .osm_kind = area ? area->osm_kind : NOM_OSM_NONE,
        .osm_id = area ? area->osm_id : 0,
        .class_name = area ? SX_STR("boundary") : SX_STR("place"),
        .type = area ? SX_STR("postal_code") : SX_STR("postcode"),
        .tags = NOM_NO_TAGS,
        .only_name = plc_string(ix, p->postcode),
        .rank_search = p->rank_search,
        .rank_address = 5,
        .admin_level = 15,
        .country = p->country,
        .importance = nom_rank_importance(p->rank_search),
        .has_box = true,
        .box = {p->lon_min, p->lat_min, p->lon_max, p->lat_max},
        .shape =
            area && (area->flags & PLC_HAS_SHAPE) ? plc_shape(ix, area->shape) : sx_str_of("", 0),
    };
    return true;
}

static bool of_interpolation(const plc_index *ix, uint32_t id, uint32_t number, nom_object *out)
{
    const plc_bytes *s = &ix->s[PLC_S_INTERPOLATIONS];
    if (id >= s->count)
        return false;
    const plc_disk_interpolation *p = (const plc_disk_interpolation *)(const void *)s->data + id;
    *out = (nom_object){
        .source = NOM_INTERPOLATION,
        .place = PLC_NONE,
        .parent = p->parent,
        .linked = PLC_NONE,
        .osm_kind = 1,
        .osm_id = p->osm_id,
        .class_name = SX_STR("place"),
        .type = SX_STR("house"),
        .tags = p->tags,
        .postcode = plc_string(ix, p->postcode),
        .rank_search = 30,
        .rank_address = 30,
        .admin_level = 15,
        .country = p->country,
        .importance = nom_rank_importance(30),
    };
    if (number == NOM_WHOLE_INTERPOLATION) {
        out->type = SX_STR("houses");
        out->interpolation = p;
        out->shape = plc_shape(ix, p->shape);
        return true;
    }
    int len = snprintf(out->digits, sizeof(out->digits), "%u", number);
    out->housenumber = sx_str_of(out->digits, (size_t)len);
    return true;
}

static void of_country(uint32_t country, geo_box box, nom_object *out)
{
    *out = (nom_object){
        .source = NOM_COUNTRY,
        .place = PLC_NONE,
        .parent = PLC_NONE,
        .linked = PLC_NONE,
        .osm_kind = NOM_OSM_NONE,
        .class_name = SX_STR("place"),
        .type = SX_STR("country"),
        .tags = NOM_NO_TAGS,
        .rank_search = 4,
        .rank_address = 4,
        .admin_level = 15,
        .country = (uint16_t)country,
        .importance = nom_rank_importance(4),
        .has_box = box.lon_min < box.lon_max,
        .box = box,
    };
}

sx_status nom_object_of(const nom_index *ix, const nom_hit *hit, nom_object *out, sx_error *err)
{
    bool found = true;
    const plc_disk_place *p;
    switch (hit->source) {
    case NOM_PLACE:
        p = plc_place(ix->places, hit->id);
        found = p != NULL;
        if (found)
            of_place(ix->places, p, hit->id, out);
        break;
    case NOM_POSTCODE:
        found = of_postcode(ix->places, hit->id, out);
        break;
    case NOM_INTERPOLATION:
        found = of_interpolation(ix->places, hit->id, hit->number, out);
        break;
    case NOM_COUNTRY:
        of_country(hit->id, hit->box, out);
        break;
    case NOM_DOCUMENT:
        sx_assert(!"documents have a view of their own");
    }
    if (!found)
        return sx_fail(err, SX_ECORRUPT, "the index names a place %u that it has not got", hit->id);
    out->id = hit->id;
    out->at = hit->at;
    return SX_OK;
}

/* --- Boxes of points: half their side, in degrees. */

static const struct {
    sx_str class_name, type;
    double half;
} EXTENTS[] = {
#define E(class_name, type, half) {SX_STR_INIT(class_name), SX_STR_INIT(type), half}
    E("place", "continent", 25),      E("place", "country", 7),
    E("place", "state", 2.6),         E("place", "province", 2.6),
    E("place", "region", 1.0),        E("place", "county", 0.7),
    E("place", "island", 0.32),       E("place", "city", 0.16),
    E("place", "municipality", 0.16), E("place", "postcode", 0.16),
    E("place", "town", 0.04),         E("place", "village", 0.02),
    E("place", "hamlet", 0.02),       E("place", "district", 0.02),
    E("place", "borough", 0.02),      E("place", "suburb", 0.02),
    E("place", "airport", 0.015),     E("aeroway", "aerodrome", 0.015),
    E("place", "locality", 0.01),     E("place", "neighbourhood", 0.01),
    E("place", "quarter", 0.01),      E("place", "city_block", 0.01),
    E("place", "farm", 0.01),         E("landuse", "farm", 0.01),
    E("railway", "station", 0.005),
#undef E
};

static double half_extent(const nom_object *o)
{
    for (size_t i = 0; i < SX_COUNT_OF(EXTENTS); i++) {
        if (sx_str_eq(o->class_name, EXTENTS[i].class_name) && sx_str_eq(o->type, EXTENTS[i].type))
            return EXTENTS[i].half;
    }
    return 0.00005;
}

geo_box nom_object_box(const nom_object *object)
{
    if (object->has_box)
        return object->box;
    int32_t half = (int32_t)lrint(half_extent(object) * GEO_E7);
    return (geo_box){object->at.lon_e7 - half, object->at.lat_e7 - half, object->at.lon_e7 + half,
                     object->at.lat_e7 + half};
}

/* --- Names. */

#define TAKEN_OVER "_place_"

void nom_names_begin(const nom_index *ix, const nom_object *object, nom_names *it)
{
    *it = (nom_names){.ix = ix, .object = object};
    if (object->source == NOM_PLACE)
        plc_tags_begin(ix->places, object->tags, PLC_NAMES, &it->tags);
}

static bool next_of_place(nom_names *it, sx_str *key, sx_str *value)
{
    if (!plc_tags_next(&it->tags, key, value))
        return false;
    if (sx_str_starts(*key, SX_STR(TAKEN_OVER))) {
        sx_str plain =
            sx_str_of(key->data + sizeof(TAKEN_OVER) - 1, key->len - (sizeof(TAKEN_OVER) - 1));
        if (plc_tag(it->ix->places, it->object->tags, PLC_NAMES, plain).len == 0)
            *key = plain;
    }
    return true;
}

bool nom_names_next(nom_names *it, sx_str *key, sx_str *value)
{
    if (it->object->source == NOM_PLACE)
        return next_of_place(it, key, value);
    if (it->object->source == NOM_COUNTRY) {
        uint32_t count = 0;
        const plc_country_name *names = plc_country_names(it->object->country, &count);
        if (it->at >= count)
            return false;
        *key = names[it->at].key;
        *value = names[it->at++].value;
        return true;
    }
    if (it->at++ > 0 || it->object->only_name.len == 0)
        return false;
    *key = it->object->source == NOM_DOCUMENT ? SX_STR("name") : SX_STR("ref");
    *value = it->object->only_name;
    return true;
}

/* --- What things are called by their rank. */

static sx_str administrative_label(unsigned rank_address, uint16_t country)
{
    /* By rank / 2. */
    static const sx_str LABELS[] = {
        [1] = SX_STR_INIT("continent"),      [2] = SX_STR_INIT("country"),
        [3] = SX_STR_INIT("region"),         [4] = SX_STR_INIT("state"),
        [5] = SX_STR_INIT("state_district"), [6] = SX_STR_INIT("county"),
        [7] = SX_STR_INIT("municipality"),   [8] = SX_STR_INIT("city"),
        [9] = SX_STR_INIT("city_district"),  [10] = SX_STR_INIT("suburb"),
        [11] = SX_STR_INIT("neighbourhood"), [12] = SX_STR_INIT("city_block"),
    };
    unsigned level = rank_address / 2;
    /* Norway's and Sweden's counties are a level higher. */
    bool raised = country == ('n' << 8 | 'o') || country == ('s' << 8 | 'e');
    if (raised && (level == 3 || level == 4))
        return level == 3 ? SX_STR("state") : SX_STR("county");
    if (level < SX_COUNT_OF(LABELS) && LABELS[level].len > 0)
        return LABELS[level];
    return SX_STR("administrative");
}

sx_str nom_label(sx_str class_name, sx_str type, sx_str extra_place, unsigned rank_address,
                 uint16_t country, char *out, size_t cap)
{
    bool place = sx_str_eq(class_name, SX_STR("place"));
    bool boundary = sx_str_eq(class_name, SX_STR("boundary"));
    sx_str label = class_name;
    if ((place && sx_str_eq(type, SX_STR("postcode"))) ||
        (boundary && sx_str_eq(type, SX_STR("postal_code"))))
        label = SX_STR("postcode");
    else if (rank_address < 26 && extra_place.len > 0)
        label = extra_place;
    else if (boundary && sx_str_eq(type, SX_STR("administrative")))
        label = administrative_label(rank_address, country);
    else if (rank_address < 26)
        label = sx_str_eq(type, SX_STR("yes")) ? class_name : type;
    else if (rank_address < 28)
        label = SX_STR("road");
    else if (place &&
             (sx_str_eq(type, SX_STR("house_number")) || sx_str_eq(type, SX_STR("house_name")) ||
              sx_str_eq(type, SX_STR("country_code"))))
        label = type;
    size_t len = label.len < cap ? label.len : cap;
    for (size_t i = 0; i < len; i++) {
        char c = label.data[i];
        out[i] = c == ' ' ? '_' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    return sx_str_of(out, len);
}
