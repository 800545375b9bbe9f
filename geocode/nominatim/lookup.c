/* lookup.c - see lookup.h. */
#include "geocode/nominatim/lookup.h"

#include <math.h>

#include "geocode/geometry/measure.h"
#include "geocode/nominatim/document.h"

static void hit_place(const plc_index *ix, uint32_t id, nom_hit *out)
{
    const plc_disk_place *p = plc_place(ix, id);
    *out = (nom_hit){.source = NOM_PLACE,
                     .id = id,
                     .at = {p->lon_e7, p->lat_e7},
                     .box = {p->lon_min, p->lat_min, p->lon_max, p->lat_max}};
}

static void hit_postcode(const plc_disk_postcode *p, uint32_t id, nom_hit *out)
{
    *out = (nom_hit){.source = NOM_POSTCODE,
                     .id = id,
                     .at = {p->lon_e7, p->lat_e7},
                     .box = {p->lon_min, p->lat_min, p->lon_max, p->lat_max}};
}

static sx_status hit_interpolation(const plc_index *ix, uint32_t id, sx_arena *arena, nom_hit *out,
                                   sx_error *err)
{
    const plc_disk_interpolation *rows = (const void *)ix->s[PLC_S_INTERPOLATIONS].data;
    sx_str bytes = plc_shape(ix, rows[id].shape);
    geo_cursor c = geo_cursor_at((const uint8_t *)bytes.data, bytes.len, 0);
    geo_shape shape;
    sx_status status = geo_shape_decode(&c, arena, (geo_shape_limits){0}, &shape, err);
    if (status != SX_OK)
        return status;
    *out = (nom_hit){.source = NOM_INTERPOLATION,
                     .id = id,
                     .number = NOM_WHOLE_INTERPOLATION,
                     .at = geo_at_of(geo_shape_centroid(&shape))};
    return SX_OK;
}

/* Postcodes that have an area are asked for as such, not as a place. */
static bool find_postcode_of(const plc_index *ix, uint32_t place, nom_hit *out)
{
    uint32_t count;
    const plc_disk_postcode *rows = plc_postcodes(ix, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].place == place) {
            hit_postcode(&rows[i], i, out);
            return true;
        }
    }
    return false;
}

static bool is_postcode_area(const plc_index *ix, const plc_disk_place *p)
{
    return sx_str_eq(plc_string(ix, p->type), SX_STR("postal_code")) &&
           sx_str_eq(plc_string(ix, p->class_name), SX_STR("boundary"));
}

static bool find_object(const plc_index *ix, const nom_ref *ref, nom_hit *out)
{
    uint32_t count, best = PLC_NONE;
    sx_str best_class = {0};
    const plc_disk_osm_id *rows = plc_find_osm(ix, ref->osm_kind, ref->id, &count);
    for (uint32_t i = 0; i < count; i++) {
        const plc_disk_place *p = plc_place(ix, rows[i].place);
        sx_str class_name = p ? plc_string(ix, p->class_name) : sx_str_of("", 0);
        if (!p || (ref->class_name.len > 0 && !sx_str_eq(ref->class_name, class_name)))
            continue;
        if (best == PLC_NONE || sx_str_cmp(class_name, best_class) < 0) {
            best = rows[i].place;
            best_class = class_name;
        }
    }
    if (best == PLC_NONE)
        return false;
    if (!is_postcode_area(ix, plc_place(ix, best)) || !find_postcode_of(ix, best, out))
        hit_place(ix, best, out);
    return true;
}

/* A way of house numbers may have been cut into pieces; a number in the class's stead tells which. */
static uint32_t find_piece(const plc_index *ix, const nom_ref *ref)
{
    const plc_disk_interpolation *rows = (const void *)ix->s[PLC_S_INTERPOLATIONS].data;
    uint32_t best = PLC_NONE;
    double best_gap = INFINITY;
    int64_t number = 0;
    bool numbered = ref->class_name.len > 0;
    for (size_t i = 0; numbered && i < ref->class_name.len; i++) {
        char c = ref->class_name.data[i];
        numbered = c >= '0' && c <= '9' && i < 9;
        number = number * 10 + (c - '0');
    }
    for (uint32_t i = 0; i < ix->s[PLC_S_INTERPOLATIONS].count; i++) {
        if (rows[i].osm_id != ref->id)
            continue;
        double gap =
            numbered ? fmax(0, fmax((double)number - rows[i].last, rows[i].first - (double)number))
                     : 0;
        if (gap < best_gap) {
            best_gap = gap;
            best = i;
        }
    }
    return best;
}

static sx_status find_by_place_id(const nom_index *ix, int64_t place_id, sx_arena *arena,
                                  nom_hit *out, bool *found, sx_error *err)
{
    uint64_t id = (uint64_t)place_id >> 3;
    const plc_disk_postcode *postcodes;
    uint32_t count = 0;
    if (place_id < 8 || id > UINT32_MAX)
        return SX_OK;
    id--;
    switch ((unsigned)place_id & 7) {
    case NOM_PLACE:
        *found = ix->places && plc_place(ix->places, (uint32_t)id);
        if (*found)
            hit_place(ix->places, (uint32_t)id, out);
        return SX_OK;
    case NOM_POSTCODE:
        postcodes = ix->places ? plc_postcodes(ix->places, &count) : NULL;
        *found = id < count;
        if (*found)
            hit_postcode(&postcodes[id], (uint32_t)id, out);
        return SX_OK;
    case NOM_INTERPOLATION:
        *found = ix->places && id < ix->places->s[PLC_S_INTERPOLATIONS].count;
        return *found ? hit_interpolation(ix->places, (uint32_t)id, arena, out, err) : SX_OK;
    case NOM_DOCUMENT:
        *found = ix->documents && nom_document_hit(ix->documents, (uint32_t)id, GEO_NO_NUMBER, out);
        return SX_OK;
    default:
        return SX_OK;
    }
}

sx_status nom_lookup(const nom_index *ix, const nom_ref *ref, sx_arena *arena, nom_hit *out,
                     bool *found, sx_error *err)
{
    *found = false;
    if (ref->by_place_id)
        return find_by_place_id(ix, ref->id, arena, out, found, err);
    if (!ix->places)
        return SX_OK;
    *found = find_object(ix->places, ref, out);
    if (*found || ref->osm_kind != 1)
        return SX_OK;
    uint32_t piece = find_piece(ix->places, ref);
    *found = piece != PLC_NONE;
    return *found ? hit_interpolation(ix->places, piece, arena, out, err) : SX_OK;
}
