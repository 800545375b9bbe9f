/* map.c - /map: what the page draws of a rectangle.
 *
 *   {"places":[{"name":"Rue de la Paix","type":"street","points":[[2.33,48.86],…],"numbers":["1",…]},
 *              {"name":"Lyon","type":"municipality","points":[[4.835,45.758]]}],
 *    "grid":{"zoom":12,"x":2048,"y":1408,"columns":200,"rows":180,"cells":"0012…"},"truncated":false}
 *
 * The smaller the rectangle, the more is told, so that no answer grows with the index:
 *
 *   all points fit        every house number, grouped by document in their order; no grid
 *   all documents fit     each street by a few of its house numbers in a line; no "numbers", no grid.
 *                         Where there are many, streets are only "lines":[[233338,4886866,12,-35],…],
 *                         a longitude and a latitude in 1e-5 degrees and then steps of both
 *   neither               a grid of how much there is, and the most important places by name
 *                         (documents are numbered by importance); "truncated" is true
 *
 * The grid lies on the Web Mercator square, which has 2^zoom cells a side counted from the north-west;
 * a cell is a digit to the base of 36: 0 for nothing, else 1 + log2 of its points. */
#include <math.h>
#include <stdlib.h>

#include <sextant/json.h>

#include "geocode/api/refusal.h"
#include "geocode/api/scratch.h"
#include "geocode/reverse/reverse.h"

enum {
    POINTS_MAX = 6000,     /* of a small rectangle */
    STREETS_MAX = 9000,    /* documents of a middling one */
    NAMED_MAX = 2500,      /* of them with their names */
    STREET_POINTS_MAX = 5, /* that stand for one of its streets */
    LINE_POINTS_MAX = 3,   /* for one without a name */
    PLACES_MAX = 400,      /* named in a large one */
    EXAMINED_MAX = 200000, /* documents looked at for it: bounds the time on a big index */
    GRID_SIDE_MAX = 256,   /* cells */
    GRID_ZOOM_MAX = 22,
    MICRO_E7 = 10,   /* 1e-6 degrees, 0.1 m: as exact as a house number needs */
    STREET_E7 = 100, /* 1e-5 degrees, 1 m */
};

static const double LAT_MERCATOR_MAX = 85.05; /* where the square ends */

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

/* Degrees, rounded to `unit_e7` ten-millionths: fewer digits to send. */
static double rounded(int32_t e7, int32_t unit_e7)
{
    return round((double)e7 / unit_e7) / (1e7 / unit_e7);
}

static void write_point(sx_json_writer *w, int32_t lon_e7, int32_t lat_e7, int32_t unit_e7)
{
    sx_json_begin_array(w);
    sx_json_double(w, rounded(lon_e7, unit_e7));
    sx_json_double(w, rounded(lat_e7, unit_e7));
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
            write_point(w, points->items[i].lon_e7, points->items[i].lat_e7, MICRO_E7);
        sx_json_end_array(w);
        if (numbers)
            write_numbers(w, index, points->items + from, numbers);
        sx_json_end_object(w);
    }
}

typedef struct line {
    struct {
        int32_t lon_e5, lat_e5;
    } points[STREET_POINTS_MAX];
    uint32_t count;
} line;

/* A street by evenly chosen house numbers, all of one side where there is a choice: a line through
 * both sides in turn would be a zigzag. */
static void find_line(const geo_index *index, uint32_t doc, uint32_t numbers, uint32_t points_max,
                      line *out)
{
    uint32_t steps = (numbers < points_max ? numbers : points_max) - 1, side = 0;
    out->count = 0;
    for (uint32_t i = 0; i <= steps; i++) {
        uint32_t at = steps ? (uint32_t)((uint64_t)i * (numbers - 1) / steps) : 0;
        geo_housenumber number, next;
        if (!geo_number_at(index, doc, at, &number))
            continue;
        if (i == 0)
            side = number.number & 1;
        else if ((number.number & 1) != side && i < steps &&
                 geo_number_at(index, doc, at + 1, &next) && (next.number & 1) == side)
            number = next;
        out->points[out->count].lon_e5 = number.lon_e7 / STREET_E7;
        out->points[out->count].lat_e5 = number.lat_e7 / STREET_E7;
        out->count++;
    }
}

static void write_place(sx_json_writer *w, const geo_index *index, const geo_box_point *point,
                        uint32_t numbers)
{
    line l = {0};
    if (numbers)
        find_line(index, point->doc, numbers, STREET_POINTS_MAX, &l);
    begin_place(w, index, point->doc);
    for (uint32_t i = 0; i < l.count; i++)
        write_point(w, l.points[i].lon_e5 * STREET_E7, l.points[i].lat_e5 * STREET_E7, STREET_E7);
    if (!l.count)
        write_point(w, point->lon_e7, point->lat_e7, STREET_E7);
    sx_json_end_array(w);
    sx_json_end_object(w);
}

static void write_middling(sx_json_writer *w, const geo_index *index, const map_points *points)
{
    for (size_t i = 0; i < points->count; i++) {
        const geo_disk_doc *doc = geo_doc(index, points->items[i].doc);
        if (doc && (points->count <= NAMED_MAX || doc->type != GEO_TYPE_STREET))
            write_place(w, index, &points->items[i], doc->number_count);
    }
}

/* Streets without their names: with so many of them there is no room for names on the picture, and
 * steps are less than half as long as positions. */
static void write_lines(sx_json_writer *w, const geo_index *index, const map_points *points)
{
    for (size_t i = 0; i < points->count; i++) {
        const geo_disk_doc *doc = geo_doc(index, points->items[i].doc);
        if (!doc || doc->type != GEO_TYPE_STREET || doc->number_count < 2)
            continue;
        line l;
        find_line(index, points->items[i].doc, doc->number_count, LINE_POINTS_MAX, &l);
        sx_json_begin_array(w);
        for (uint32_t k = 0; k < l.count; k++) {
            sx_json_i64(w, l.points[k].lon_e5 - (k ? l.points[k - 1].lon_e5 : 0));
            sx_json_i64(w, l.points[k].lat_e5 - (k ? l.points[k - 1].lat_e5 : 0));
        }
        sx_json_end_array(w);
    }
}

static bool inside(const geo_disk_doc *doc, const geo_degree_box *box)
{
    double lon = doc->lon_e7 / 1e7, lat = doc->lat_e7 / 1e7;
    return lon >= box->lon_min && lon <= box->lon_max && lat >= box->lat_min && lat <= box->lat_max;
}

static void write_large(sx_json_writer *w, const geo_index *index, const geo_degree_box *box)
{
    geo_stat stat;
    geo_index_stat(index, &stat);
    uint32_t written = 0;
    for (uint32_t i = 0; i < stat.documents && i < EXAMINED_MAX && written < PLACES_MAX; i++) {
        const geo_disk_doc *doc = geo_doc(index, i);
        if (!doc || doc->number_count || !inside(doc, box))
            continue;
        begin_place(w, index, i);
        write_point(w, doc->lon_e7, doc->lat_e7, STREET_E7);
        sx_json_end_array(w);
        sx_json_end_object(w);
        written++;
    }
}

/* ---- the grid of a large rectangle ---- */

typedef struct grid {
    uint32_t zoom, x, y, columns, rows;
    double
        south[GRID_SIDE_MAX + 1]; /* of each row: a latitude is found in it without a logarithm */
    uint32_t counts[];            /* row by row */
} grid;

static double mercator_y(double lat)
{
    double sine = sin(fmax(-LAT_MERCATOR_MAX, fmin(LAT_MERCATOR_MAX, lat)) * M_PI / 180);
    return 0.5 - log((1 + sine) / (1 - sine)) / (4 * M_PI);
}

static double mercator_lat(double y)
{
    return atan(sinh(M_PI * (1 - 2 * y))) * 180 / M_PI;
}

/* The finest power of two with which the box has at most GRID_SIDE_MAX cells each way. Cells have
 * fixed places on Earth, so that the picture does not shimmer while it is moved. NULL: no memory. */
static grid *grid_new(sx_arena *arena, const geo_degree_box *box)
{
    double west = (box->lon_min + 180) / 360, east = (box->lon_max + 180) / 360;
    double north = mercator_y(box->lat_max), south = mercator_y(box->lat_min);
    uint32_t zoom = GRID_ZOOM_MAX;
    double side;
    do {
        side = ldexp(1, (int)zoom);
    } while ((floor(east * side) - floor(west * side) >= GRID_SIDE_MAX ||
              floor(south * side) - floor(north * side) >= GRID_SIDE_MAX) &&
             zoom-- > 0);
    uint32_t x = (uint32_t)(west * side), y = (uint32_t)(north * side);
    uint32_t columns = (uint32_t)(east * side) - x + 1, rows = (uint32_t)(south * side) - y + 1;
    size_t cells = (size_t)columns * rows;
    grid *g = sx_arena_alloc(arena, sizeof(*g) + cells * sizeof(g->counts[0]));
    if (!g)
        return NULL;
    g->zoom = zoom;
    g->x = x;
    g->y = y;
    g->columns = columns;
    g->rows = rows;
    memset(g->counts, 0, cells * sizeof(g->counts[0]));
    for (uint32_t row = 0; row < rows; row++)
        g->south[row] = mercator_lat((y + row + 1) / side);
    return g;
}

/* The row in which `lat`, inside the box, lies: the first whose south is not north of it. */
static uint32_t grid_row(const grid *g, double lat)
{
    uint32_t low = 0, high = g->rows - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (g->south[middle] <= lat)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void grid_count(grid *g, const geo_index *index, const geo_degree_box *box)
{
    geo_stat stat;
    geo_index_stat(index, &stat);
    double side = ldexp(1, (int)g->zoom);
    for (uint32_t i = 0; i < stat.documents && i < EXAMINED_MAX; i++) {
        const geo_disk_doc *doc = geo_doc(index, i);
        if (!doc || !inside(doc, box))
            continue;
        uint32_t column = (uint32_t)((doc->lon_e7 / 1e7 + 180) / 360 * side) - g->x;
        if (column < g->columns)
            g->counts[grid_row(g, doc->lat_e7 / 1e7) * g->columns + column] +=
                1 + doc->number_count;
    }
}

static void write_grid(sx_json_writer *w, const grid *g, sx_arena *arena)
{
    size_t cells = (size_t)g->columns * g->rows;
    char *digits = sx_arena_alloc(arena, cells);
    if (!digits)
        return; /* the names alone are still a map */
    for (size_t i = 0; i < cells; i++) {
        uint32_t count = g->counts[i];
        digits[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[count ? 32 - __builtin_clz(count) : 0];
    }
    sx_json_key(w, SX_STR("grid"));
    sx_json_begin_object(w);
    sx_json_key(w, SX_STR("zoom"));
    sx_json_u64(w, g->zoom);
    sx_json_key(w, SX_STR("x"));
    sx_json_u64(w, g->x);
    sx_json_key(w, SX_STR("y"));
    sx_json_u64(w, g->y);
    sx_json_key(w, SX_STR("columns"));
    sx_json_u64(w, g->columns);
    sx_json_key(w, SX_STR("rows"));
    sx_json_u64(w, g->rows);
    sx_json_key(w, SX_STR("cells"));
    sx_json_str(w, sx_str_of(digits, cells));
    sx_json_end_object(w);
}

/* "W,S,E,N" in degrees, west no farther east than east, south no farther north than north. */
static bool read_box(sx_str text, geo_degree_box *out)
{
    double sides[4];
    for (size_t i = 0; i < 4; i++) {
        sx_str side;
        bool more = sx_str_cut(text, ',', &side, &text);
        if (more != (i < 3) || !sx_double_parse(side, &sides[i]))
            return false;
    }
    *out = (geo_degree_box){sides[0], sides[1], sides[2], sides[3]};
    return sides[0] >= -180 && sides[2] <= 180 && sides[0] <= sides[2] && sides[1] >= -90 &&
           sides[3] <= 90 && sides[1] <= sides[3];
}

static bool find_box(sx_request *r, geo_degree_box *out)
{
    sx_str rest = r->query, name, value;
    while (sx_query_next(&rest, &name, &value)) {
        if (sx_str_eq(name, SX_STR("bbox")))
            return read_box(geo_decode_lenient(&r->arena, value), out);
    }
    return false;
}

typedef enum detail { SMALL, MIDDLING, LARGE } detail;

/* Fills `points` with what fits of the box and tells how much that is. False: a damaged index. */
static bool gather(const geo_index *index, const geo_degree_box *box, map_points *points,
                   detail *level)
{
    sx_error err = {0};
    if (geo_points_in_box(index, box, GEO_BOX_ALL, POINTS_MAX + 1, keep_point, points, NULL,
                          &err) != SX_OK)
        return false;
    *level = SMALL;
    if (points->count > POINTS_MAX) {
        points->count = 0;
        *level = MIDDLING;
        if (geo_points_in_box(index, box, GEO_BOX_DOCUMENTS, STREETS_MAX + 1, keep_point, points,
                              NULL, &err) != SX_OK)
            return false;
    }
    if (points->count > STREETS_MAX)
        *level = LARGE;
    else
        qsort(points->items, points->count, sizeof(*points->items), by_document);
    return true;
}

void geo_api_map(sx_request *r, void *ctx)
{
    (void)ctx;
    geo_scratch *s = geo_api_scratch(r, GEO_ENDPOINT_map);
    const geo_index *index = s->now->index;
    geo_degree_box box;
    if (geo_api_other_method(r))
        return;
    if (!find_box(r, &box)) {
        geo_refusal refusal = {
            400, SX_STR("Invalid parameter"),
            SX_STR("The \"bbox\" parameter must be west,south,east,north in degrees.")};
        geo_refuse(r, &refusal);
        return;
    }
    map_points points = {sx_arena_alloc(&r->arena, (STREETS_MAX + 1) * sizeof(geo_box_point)), 0};
    detail level = SMALL;
    if (!points.items || !gather(index, &box, &points, &level)) {
        geo_refuse_status(r, 500);
        return;
    }
    sx_json_writer w;
    sx_json_writer_init(&w, &s->body, NULL);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("places"));
    sx_json_begin_array(&w);
    if (level == SMALL)
        write_small(&w, index, &points);
    else if (level == MIDDLING)
        write_middling(&w, index, &points);
    else
        write_large(&w, index, &box);
    sx_json_end_array(&w);
    if (level == MIDDLING && points.count > NAMED_MAX) {
        sx_json_key(&w, SX_STR("lines"));
        sx_json_begin_array(&w);
        write_lines(&w, index, &points);
        sx_json_end_array(&w);
    }
    if (level == LARGE) {
        grid *g = grid_new(&r->arena, &box);
        if (g) {
            grid_count(g, index, &box);
            write_grid(&w, g, &r->arena);
        }
    }
    sx_json_key(&w, SX_STR("truncated"));
    sx_json_bool(&w, level == LARGE);
    sx_json_end_object(&w);
    geo_api_send_body(r, s);
}
