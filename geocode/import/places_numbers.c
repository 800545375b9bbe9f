/* places_numbers.c - the house numbers of a street: the houses that hang on its pieces, and what lies
 * between two of an interpolation. See places_parts.h. */
#include <stdlib.h>
#include <string.h>

#include <sextant/map.h>

#include "geocode/geometry/measure.h"
#include "geocode/import/places_parts.h"

enum { NUMBER_BYTES = 32 };

typedef struct numbers {
    geo_intake *in;
    const plc_index *ix;
    geo_in_number *items; /* the intake's arena */
    uint8_t *worth;       /* of each: a house before what is in it */
    size_t count, cap, worth_cap;
    sx_map seen; /* text -> 1 + place in items */
} numbers;

/* "12 b" is 12b; a text that is no number of a house at all stays as it is. */
static sx_str number_text(sx_arena *arena, sx_str text)
{
    text = sx_str_trim_all(text);
    sx_str out = sx_arena_copy(arena, text);
    size_t len = 0;
    bool begins = text.len && text.data[0] >= '0' && text.data[0] <= '9';
    for (size_t i = 0; out.data && i < text.len; i++) {
        if (!begins || text.data[i] != ' ')
            ((char *)(uintptr_t)out.data)[len++] = text.data[i];
    }
    out.len = len;
    return out;
}

/* Adds a number, or puts it in the place of the same of less worth. */
static sx_status put(numbers *n, sx_str text, sx_str id, geo_pt at, uint8_t worth, sx_error *err)
{
    sx_arena *arena = &n->in->arena;
    bool added = false;
    if (text.len == 0 || text.len > NUMBER_BYTES)
        return SX_OK;
    if (n->count == n->in->limits.numbers_max) {
        n->in->left_out++;
        return SX_OK;
    }
    sx_map_entry *e = sx_map_put(&n->seen, text, &added);
    geo_in_property *property = sx_arena_calloc(arena, 1, sizeof(*property));
    if (!e || !property || !id.data ||
        !sx_arena_grow(arena, &n->items, &n->cap, n->count + 1, sizeof(*n->items)) ||
        !sx_arena_grow(arena, &n->worth, &n->worth_cap, n->count + 1, sizeof(*n->worth)))
        return sx_fail_memory(err, "the house numbers of a street");
    size_t slot = added ? n->count++ : (size_t)(uintptr_t)e->ptr - 1;
    e->ptr = (void *)(uintptr_t)(slot + 1);
    if (!added && n->worth[slot] >= worth)
        return SX_OK;
    *property = (geo_in_property){SX_STR("id"), {.kind = GEO_STRING, .text = id, .count = 1}};
    n->items[slot] = (geo_in_number){text, at.lon, at.lat, property, 1};
    n->worth[slot] = worth;
    return SX_OK;
}

/* A house may have several: "2;4;12". */
static sx_status put_house(numbers *n, const plc_disk_place *p, sx_error *err)
{
    sx_arena *arena = &n->in->arena;
    sx_str rest = plc_string(n->ix, p->housenumber), one;
    sx_str kind = plc_string(n->ix, p->class_name);
    bool is_house = sx_str_eq(kind, SX_STR("building")) || sx_str_eq(kind, SX_STR("place"));
    geo_pt at = {p->lon_e7 / 1e7, p->lat_e7 / 1e7};
    sx_status status = SX_OK;
    while (status == SX_OK && rest.len) {
        size_t end = sx_str_find_byte(rest, ';'), comma = sx_str_find_byte(rest, ',');
        end = comma < end ? comma : end;
        one = number_text(arena, sx_str_first(rest, end));
        rest = sx_str_from(rest, end < rest.len ? end + 1 : end);
        status = one.data ? put(n, one, geo_places_id(arena, p->osm_kind, p->osm_id), at,
                                is_house ? 3 : 2, err)
                          : sx_fail_memory(err, "a house number");
    }
    return status;
}

static sx_status put_houses(numbers *n, uint32_t piece, sx_error *err)
{
    uint32_t first, count = plc_children(n->ix, piece, &first);
    sx_status status = SX_OK;
    for (uint32_t i = 0; status == SX_OK && i < count; i++) {
        const plc_disk_place *p = plc_place(n->ix, first + i);
        if (p && p->housenumber && !(p->flags & PLC_LINKED))
            status = put_house(n, p, err);
    }
    return status;
}

/* The numbers between two houses lie evenly along the way; real ones go before. */
static sx_status put_line(numbers *n, const plc_disk_interpolation *row, sx_error *err)
{
    sx_arena *arena = &n->in->arena;
    geo_shape shape;
    sx_str bytes = plc_shape(n->ix, row->shape);
    geo_cursor c = geo_cursor_at((const uint8_t *)bytes.data, bytes.len, 0);
    sx_status status = geo_shape_decode(&c, arena, (geo_shape_limits){0}, &shape, err);
    if (status == SX_ECORRUPT || status == SX_ELIMIT || row->step <= 0)
        return SX_OK;
    double span = (double)row->last - row->first;
    sx_str id = geo_places_id(arena, 1, row->osm_id);
    for (int64_t number = row->first; status == SX_OK && number <= row->last; number += row->step) {
        geo_pt at = geo_pt_of(shape.rings[0].at[0]);
        if (geo_shape_is_line(shape.kind))
            at = span > 0 ? geo_line_point(&shape.rings[0], (double)(number - row->first) / span)
                          : geo_shape_centroid(&shape);
        sx_str text = sx_arena_printf(arena, "%lld", (long long)number);
        if (n->count == n->in->limits.numbers_max)
            break;
        status = text.data ? put(n, text, id, geo_pt_of(geo_at_of(at)), 1, err)
                           : sx_fail_memory(err, "a house number");
    }
    return status;
}

sx_status geo_places_numbers(geo_intake *in, const plc_index *ix, const uint32_t *pieces,
                             size_t count, geo_in_doc *doc, sx_error *err)
{
    numbers n = {.in = in, .ix = ix};
    sx_status status = SX_OK;
    sx_map_init(&n.seen, &in->arena);
    for (size_t i = 0; status == SX_OK && i < count; i++)
        status = put_houses(&n, pieces[i], err);
    for (size_t i = 0; status == SX_OK && i < count; i++) {
        uint32_t lines;
        const plc_disk_interpolation *rows = plc_interpolations(ix, pieces[i], &lines);
        for (uint32_t k = 0; rows && status == SX_OK && k < lines; k++)
            status = put_line(&n, &rows[k], err);
    }
    sx_map_done(&n.seen);
    doc->numbers = n.items;
    doc->number_count = (uint32_t)n.count;
    return status;
}
