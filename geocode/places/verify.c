/* verify.c - follows every reference between the sections of a container of places. See places.h. */
#include "geocode/places/places.h"

static sx_status damaged(plc_section id, uint64_t record, const char *what, sx_error *err)
{
    return sx_fail(err, SX_ECORRUPT, "section %s of the places, record %llu: %s",
                   plc_section_name(id), (unsigned long long)record, what);
}

static bool string_holds(const plc_index *ix, uint32_t ref)
{
    const plc_bytes *s = &ix->s[PLC_S_STRINGS];
    geo_cursor c = geo_cursor_at(s->data, s->bytes, ref);
    (void)geo_cursor_bytes(&c, geo_cursor_varint(&c));
    return !c.bad;
}

/* A record's three lists, and the strings that they name. */
static bool tags_hold(const plc_index *ix, uint64_t tags)
{
    const plc_bytes *s = &ix->s[PLC_S_TAGS];
    geo_cursor c = geo_cursor_at(s->data, s->bytes, tags);
    for (int list = 0; list < PLC_TAG_LISTS; list++) {
        for (uint32_t left = geo_cursor_u32(&c); left > 0 && !c.bad; left--) {
            uint32_t key = geo_cursor_u32(&c), value = geo_cursor_u32(&c);
            if (!string_holds(ix, key) || !string_holds(ix, value))
                return false;
        }
    }
    return !c.bad;
}

static bool shape_holds(const plc_index *ix, uint64_t shape)
{
    const plc_bytes *s = &ix->s[PLC_S_SHAPES];
    geo_cursor c = geo_cursor_at(s->data, s->bytes, shape);
    (void)geo_cursor_bytes(&c, geo_cursor_varint(&c));
    return !c.bad;
}

static bool place_or_none(const plc_index *ix, uint32_t place)
{
    return place == PLC_NONE || place < ix->place_count;
}

static bool point_holds(int32_t lon_e7, int32_t lat_e7)
{
    return lon_e7 >= -1800000000 && lon_e7 <= 1800000000 && lat_e7 >= -900000000 &&
           lat_e7 <= 900000000;
}

static const char *flaw_of_place(const plc_index *ix, const plc_disk_place *p)
{
    if (!string_holds(ix, p->class_name) || !string_holds(ix, p->type) ||
        !string_holds(ix, p->postcode) || !string_holds(ix, p->housenumber))
        return "a string lies outside STRINGS";
    if (!tags_hold(ix, p->tags))
        return "its tags lie outside TAGS";
    if ((p->flags & PLC_HAS_SHAPE) && !shape_holds(ix, p->shape))
        return "its shape lies outside SHAPES";
    if (!place_or_none(ix, p->parent) || !place_or_none(ix, p->linked))
        return "it hangs on a place that is not there";
    if ((uint64_t)p->lines + p->line_count > ix->s[PLC_S_ADDRESS_LINES].count)
        return "its address lies outside ADDRESS_LINES";
    if ((uint64_t)p->first_child + p->child_count > ix->place_count)
        return "it has children that are not there";
    return point_holds(p->lon_e7, p->lat_e7) ? NULL : "its centroid is not on Earth";
}

static sx_status verify_places(const plc_index *ix, sx_error *err)
{
    for (uint32_t i = 0; i < ix->place_count; i++) {
        const char *flaw = flaw_of_place(ix, &ix->places[i]);
        if (flaw)
            return damaged(PLC_S_PLACES, i, flaw, err);
    }
    const plc_bytes *lines = &ix->s[PLC_S_ADDRESS_LINES];
    for (uint64_t i = 0; i < lines->count; i++) {
        const plc_disk_line *line = (const plc_disk_line *)(const void *)lines->data + i;
        if (line->place >= ix->place_count)
            return damaged(PLC_S_ADDRESS_LINES, i, "it names a place that is not there", err);
    }
    return SX_OK;
}

static sx_status verify_postcodes(const plc_index *ix, sx_error *err)
{
    uint32_t count = 0;
    const plc_disk_postcode *rows = plc_postcodes(ix, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (!string_holds(ix, rows[i].postcode))
            return damaged(PLC_S_POSTCODES, i, "its text lies outside STRINGS", err);
        if (!place_or_none(ix, rows[i].parent) || !place_or_none(ix, rows[i].place))
            return damaged(PLC_S_POSTCODES, i, "it names a place that is not there", err);
    }
    return SX_OK;
}

static sx_status verify_interpolations(const plc_index *ix, sx_error *err)
{
    const plc_bytes *s = &ix->s[PLC_S_INTERPOLATIONS];
    const plc_disk_interpolation *rows = (const void *)s->data;
    for (uint64_t i = 0; i < s->count; i++) {
        if (!shape_holds(ix, rows[i].shape) || !tags_hold(ix, rows[i].tags) ||
            !string_holds(ix, rows[i].postcode) || !place_or_none(ix, rows[i].parent))
            return damaged(PLC_S_INTERPOLATIONS, i, "a reference leads nowhere", err);
        if (rows[i].step < 1 || (i > 0 && rows[i].parent < rows[i - 1].parent))
            return damaged(PLC_S_INTERPOLATIONS, i, "it is out of order, or has no step", err);
    }
    return SX_OK;
}

static sx_status verify_entrances(const plc_index *ix, sx_error *err)
{
    const plc_bytes *s = &ix->s[PLC_S_ENTRANCES];
    const plc_disk_entrance *rows = (const void *)s->data;
    for (uint64_t i = 0; i < s->count; i++) {
        if (!tags_hold(ix, rows[i].tags) || !string_holds(ix, rows[i].type) ||
            rows[i].place >= ix->place_count)
            return damaged(PLC_S_ENTRANCES, i, "a reference leads nowhere", err);
        if (i > 0 && rows[i].place < rows[i - 1].place)
            return damaged(PLC_S_ENTRANCES, i, "it is out of order", err);
    }
    return SX_OK;
}

static sx_status verify_objects(const plc_index *ix, sx_error *err)
{
    const plc_bytes *s = &ix->s[PLC_S_OSM_IDS];
    const plc_disk_osm_id *rows = (const void *)s->data;
    for (uint64_t i = 0; i < s->count; i++) {
        if (rows[i].place >= ix->place_count)
            return damaged(PLC_S_OSM_IDS, i, "it names a place that is not there", err);
        if (i > 0 && rows[i].object < rows[i - 1].object)
            return damaged(PLC_S_OSM_IDS, i, "it is out of order", err);
    }
    s = &ix->s[PLC_S_LINKED];
    const plc_disk_linked *linked = (const void *)s->data;
    for (uint64_t i = 0; i < s->count; i++) {
        if (linked[i].boundary >= ix->place_count || linked[i].node >= ix->place_count)
            return damaged(PLC_S_LINKED, i, "it names a place that is not there", err);
    }
    return SX_OK;
}

static sx_status verify_categories(const plc_index *ix, sx_error *err)
{
    const plc_bytes *s = &ix->s[PLC_S_CATEGORIES], *ids = &ix->s[PLC_S_CATEGORY_PLACES];
    const plc_disk_category *rows = (const void *)s->data;
    for (uint64_t i = 0; i < s->count; i++) {
        if (!string_holds(ix, rows[i].class_name) || !string_holds(ix, rows[i].type) ||
            (uint64_t)rows[i].first + rows[i].count > ids->count)
            return damaged(PLC_S_CATEGORIES, i, "a reference leads nowhere", err);
    }
    const uint32_t *places = (const void *)ids->data;
    for (uint64_t i = 0; i < ids->count; i++) {
        if (places[i] >= ix->place_count)
            return damaged(PLC_S_CATEGORY_PLACES, i, "it names a place that is not there", err);
    }
    return SX_OK;
}

sx_status plc_verify(const plc_index *ix, sx_error *err)
{
    static sx_status (*const CHECKS[])(const plc_index *, sx_error *) = {
        verify_places,    verify_postcodes, verify_interpolations,
        verify_entrances, verify_objects,   verify_categories,
    };
    sx_status status = SX_OK;
    for (size_t i = 0; status == SX_OK && i < SX_COUNT_OF(CHECKS); i++)
        status = CHECKS[i](ix, err);
    return status;
}
