/* map.c - /map: what the page draws of a rectangle.
 *
 *   {"places":[{"name":"Rue de la Paix","type":"street","points":[[2.33,48.86],…],"numbers":["1",…]},
 *              {"name":"Lyon","type":"municipality","points":[[4.835,45.758]]}],"truncated":false}
 *
 * A small rectangle gets every point in it, grouped by document in the order of house numbers. In a
 * large one the points would be too many to draw: it gets places without house numbers, the most
 * important first (documents are numbered by importance), and says that it was cut. */
#include <stdlib.h>

#include <sextant/json.h>

#include "geocode/api/refusal.h"
#include "geocode/api/scratch.h"
#include "geocode/reverse/reverse.h"

enum {
    POINTS_MAX = 6000,     /* of a small rectangle */
    PLACES_MAX = 1200,     /* of a large one */
    EXAMINED_MAX = 200000, /* documents looked at for it: bounds the time on a big index */
};

typedef struct map_points {
    geo_box_point *items;
    uint32_t count;
} map_points;

static bool keep_point(void *context, const geo_box_point *point)
{
    map_points *points = context;
    points->items[points->count++] = *point;
    return true;
}

static int by_document(const void *a, const void *b)
{
    const geo_box_point *x = a, *y = b;
    if (x->doc != y->doc)
        return x->doc < y->doc ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static void write_point(sx_json_writer *w, int32_t lon_e7, int32_t lat_e7)
{
    sx_json_begin_array(w);
    sx_json_double(w, lon_e7 / 1e7);
    sx_json_double(w, lat_e7 / 1e7);
    sx_json_end_array(w);
}

static void write_text_property(sx_json_writer *w, const geo_index *index, uint32_t doc, sx_str key)
{
    geo_value value, item;
    sx_json_key(w, key);
    if (geo_doc_property(index, doc, key, &value))
        sx_json_str(w, geo_value_first(index, &value, &item));
    else
        sx_json_str(w, SX_STR(""));
}

static void begin_place(sx_json_writer *w, const geo_index *index, uint32_t doc)
{
    sx_json_begin_object(w);
    write_text_property(w, index, doc, SX_STR("name"));
    write_text_property(w, index, doc, SX_STR("type"));
    sx_json_key(w, SX_STR("points"));
    sx_json_begin_array(w);
}

static void write_numbers(sx_json_writer *w, const geo_index *index, const geo_box_point *points,
                          size_t count)
{
    sx_json_key(w, SX_STR("numbers"));
    sx_json_begin_array(w);
    for (size_t i = 0; i < count; i++) {
        geo_housenumber number;
        char text[GEO_NUMBER_TEXT_MAX + 16];
        size_t len = geo_number_at(index, points[i].doc, points[i].number, &number)
                         ? geo_number_text(&number, text)
                         : 0;
        sx_json_str(w, sx_str_of(text, len));
    }
    sx_json_end_array(w);
}

/* Points sorted by document. The own point of a street whose numbers are there too is left out: it
 * lies among them. */
static void write_small(sx_json_writer *w, const geo_index *index, const map_points *points)
{
    for (size_t from = 0, to; from < points->count; from = to) {
        for (to = from; to < points->count && points->items[to].doc == points->items[from].doc;)
            to++;
        size_t numbers = to - from;
        bool own = points->items[to - 1].number == GEO_NO_NUMBER; /* sorts last */
        if (own)
            numbers--;
        size_t drawn = numbers ? numbers : 1;
        begin_place(w, index, points->items[from].doc);
        for (size_t i = from; i < from + drawn; i++)
            write_point(w, points->items[i].lon_e7, points->items[i].lat_e7);
        sx_json_end_array(w);
        if (numbers)
            write_numbers(w, index, points->items + from, numbers);
        sx_json_end_object(w);
    }
}

static bool inside(const geo_disk_doc *doc, const geo_box *box)
{
    double lon = doc->lon_e7 / 1e7, lat = doc->lat_e7 / 1e7;
    return lon >= box->lon_min && lon <= box->lon_max && lat >= box->lat_min && lat <= box->lat_max;
}

static void write_large(sx_json_writer *w, const geo_index *index, const geo_box *box)
{
    geo_stat stat;
    geo_index_stat(index, &stat);
    uint32_t written = 0;
    for (uint32_t i = 0; i < stat.documents && i < EXAMINED_MAX && written < PLACES_MAX; i++) {
        const geo_disk_doc *doc = geo_doc(index, i);
        if (!doc || doc->number_count || !inside(doc, box))
            continue;
        begin_place(w, index, i);
        write_point(w, doc->lon_e7, doc->lat_e7);
        sx_json_end_array(w);
        sx_json_end_object(w);
        written++;
    }
}

/* "W,S,E,N" in degrees, west no farther east than east, south no farther north than north. */
static bool read_box(sx_str text, geo_box *out)
{
    double sides[4];
    for (size_t i = 0; i < 4; i++) {
        sx_str side;
        bool more = sx_str_cut(text, ',', &side, &text);
        if (more != (i < 3) || !sx_double_parse(side, &sides[i]))
            return false;
    }
    *out = (geo_box){sides[0], sides[1], sides[2], sides[3]};
    return sides[0] >= -180 && sides[2] <= 180 && sides[0] <= sides[2] && sides[1] >= -90 &&
           sides[3] <= 90 && sides[1] <= sides[3];
}

static bool find_box(sx_request *r, geo_box *out)
{
    sx_str rest = r->query, name, value;
    while (sx_query_next(&rest, &name, &value)) {
        if (sx_str_eq(name, SX_STR("bbox")))
            return read_box(geo_decode_lenient(&r->arena, value), out);
    }
    return false;
}

void geo_api_map(sx_request *r, void *ctx)
{
    geo_api *api = ctx;
    geo_box box;
    if (geo_api_other_method(r))
        return;
    if (!find_box(r, &box)) {
        geo_refusal refusal = {
            400, SX_STR("Invalid parameter"),
            SX_STR("The \"bbox\" parameter must be west,south,east,north in degrees.")};
        geo_refuse(r, &refusal);
        return;
    }
    map_points points = {sx_arena_alloc(&r->arena, (POINTS_MAX + 1) * sizeof(geo_box_point)), 0};
    sx_error err = {0};
    if (!points.items || geo_points_in_box(api->index, &box, GEO_BOX_ALL, POINTS_MAX + 1,
                                           keep_point, &points, NULL, &err) != SX_OK) {
        geo_refuse_status(r, 500);
        return;
    }
    geo_scratch *s = geo_api_scratch(r);
    sx_json_writer w;
    bool small = points.count <= POINTS_MAX;
    sx_json_writer_init(&w, &s->body, NULL);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("places"));
    sx_json_begin_array(&w);
    if (small) {
        qsort(points.items, points.count, sizeof(*points.items), by_document);
        write_small(&w, api->index, &points);
    } else {
        write_large(&w, api->index, &box);
    }
    sx_json_end_array(&w);
    sx_json_key(&w, SX_STR("truncated"));
    sx_json_bool(&w, !small);
    sx_json_end_object(&w);
    geo_api_send(r, &s->body);
}
