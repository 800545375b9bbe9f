/* print.c - see print.h. The four formats differ in brackets and separators only, which is a table;
 * SVG is a path of its own. */
#include "geocode/geometry/print.h"

void geo_print_e7(int32_t e7, sx_buf *out)
{
    char text[16];
    size_t at = sizeof text;
    uint32_t value = e7 < 0 ? (uint32_t)-(int64_t)e7 : (uint32_t)e7;
    uint32_t whole = value / GEO_E7, part = value % GEO_E7;
    if (part) {
        unsigned digits = 7;
        for (; part % 10 == 0; part /= 10)
            digits--;
        for (; digits; digits--, part /= 10)
            text[--at] = (char)('0' + part % 10);
        text[--at] = '.';
    }
    do
        text[--at] = (char)('0' + whole % 10);
    while (whole /= 10);
    if (e7 < 0)
        text[--at] = '-';
    sx_buf_bytes(out, text + at, sizeof text - at);
}

static void put(sx_buf *out, const char *text)
{
    sx_buf_str(out, sx_str_of(text, strlen(text)));
}

/* How one kind of shape is written in one format. */
typedef struct words {
    const char *open, *close;             /* the whole */
    const char *part_open, *part_close;   /* a polygon, or a line of several */
    const char *part_next;                /* between two of those */
    const char *outer_open, *outer_close; /* a ring */
    const char *inner_open, *inner_close;
} words;

typedef struct format {
    const char *point_open, *point_close; /* around one coordinate pair */
    const char *between, *next;           /* lon and lat; two points */
    words kinds[5];
} format;

#define KML_RING_OPEN   "<LinearRing><coordinates>"
#define KML_RING_CLOSE  "</coordinates></LinearRing>"
#define KML_OUTER_OPEN  "<outerBoundaryIs>" KML_RING_OPEN
#define KML_OUTER_CLOSE KML_RING_CLOSE "</outerBoundaryIs>"
#define KML_INNER_OPEN  "<innerBoundaryIs>" KML_RING_OPEN
#define KML_INNER_CLOSE KML_RING_CLOSE "</innerBoundaryIs>"

static const format GEOJSON = {
    "[",
    "]",
    ",",
    ",",
    {
        [GEO_SHAPE_POINT] = {"{\"type\":\"Point\",\"coordinates\":", "}", "", "", "", "", "", "",
                             ""},
        [GEO_SHAPE_LINE] = {"{\"type\":\"LineString\",\"coordinates\":[", "]}", "", "", "", "", "",
                            "", ""},
        [GEO_SHAPE_POLYGON] = {"{\"type\":\"Polygon\",\"coordinates\":[", "]}", "", "", "", "[",
                               "]", ",[", "]"},
        [GEO_SHAPE_MULTI_LINE] = {"{\"type\":\"MultiLineString\",\"coordinates\":[", "]}", "[", "]",
                                  ",", "", "", "", ""},
        [GEO_SHAPE_MULTI_POLYGON] = {"{\"type\":\"MultiPolygon\",\"coordinates\":[", "]}", "[", "]",
                                     ",", "[", "]", ",[", "]"},
    }};

static const format WKT = {
    "",
    "",
    " ",
    ",",
    {
        [GEO_SHAPE_POINT] = {"POINT(", ")", "", "", "", "", "", "", ""},
        [GEO_SHAPE_LINE] = {"LINESTRING(", ")", "", "", "", "", "", "", ""},
        [GEO_SHAPE_POLYGON] = {"POLYGON(", ")", "", "", "", "(", ")", ",(", ")"},
        [GEO_SHAPE_MULTI_LINE] = {"MULTILINESTRING(", ")", "(", ")", ",", "", "", "", ""},
        [GEO_SHAPE_MULTI_POLYGON] = {"MULTIPOLYGON(", ")", "(", ")", ",", "(", ")", ",(", ")"},
    }};

static const format KML = {
    "",
    "",
    ",",
    " ",
    {
        [GEO_SHAPE_POINT] = {"<Point><coordinates>", "</coordinates></Point>", "", "", "", "", "",
                             "", ""},
        [GEO_SHAPE_LINE] = {"<LineString><coordinates>", "</coordinates></LineString>", "", "", "",
                            "", "", "", ""},
        [GEO_SHAPE_POLYGON] = {"<Polygon>", "</Polygon>", "", "", "", KML_OUTER_OPEN,
                               KML_OUTER_CLOSE, KML_INNER_OPEN, KML_INNER_CLOSE},
        [GEO_SHAPE_MULTI_LINE] = {"<MultiGeometry>", "</MultiGeometry>",
                                  "<LineString><coordinates>", "</coordinates></LineString>", "",
                                  "", "", "", ""},
        [GEO_SHAPE_MULTI_POLYGON] = {"<MultiGeometry>", "</MultiGeometry>", "<Polygon>",
                                     "</Polygon>", "", KML_OUTER_OPEN, KML_OUTER_CLOSE,
                                     KML_INNER_OPEN, KML_INNER_CLOSE},
    }};

static void print_points(const format *f, const geo_ring *r, sx_buf *out)
{
    for (uint32_t i = 0; i < r->count && !out->failed; i++) {
        if (i)
            put(out, f->next);
        put(out, f->point_open);
        geo_print_e7(r->at[i].lon_e7, out);
        put(out, f->between);
        geo_print_e7(r->at[i].lat_e7, out);
        put(out, f->point_close);
    }
}

static void print(const format *f, const geo_shape *shape, sx_buf *out)
{
    const words *w = &f->kinds[shape->kind];
    put(out, w->open);
    for (uint32_t i = 0; i < shape->ring_count; i++) {
        const geo_ring *r = &shape->rings[i];
        if (!r->inner) {
            if (i) {
                put(out, w->part_close);
                put(out, w->part_next);
            }
            put(out, w->part_open);
        }
        put(out, r->inner ? w->inner_open : w->outer_open);
        print_points(f, r, out);
        put(out, r->inner ? w->inner_close : w->outer_close);
    }
    put(out, w->part_close);
    put(out, w->close);
}

void geo_print_geojson(const geo_shape *shape, sx_buf *out)
{
    print(&GEOJSON, shape, out);
}

void geo_print_wkt(const geo_shape *shape, sx_buf *out)
{
    print(&WKT, shape, out);
}

void geo_print_kml(const geo_shape *shape, sx_buf *out)
{
    print(&KML, shape, out);
}

/* The y axis of SVG points down. */
static void print_svg_point(geo_at at, const char *between, sx_buf *out)
{
    geo_print_e7(at.lon_e7, out);
    put(out, between);
    geo_print_e7(-at.lat_e7, out);
}

void geo_print_svg(const geo_shape *shape, sx_buf *out)
{
    bool area = geo_shape_is_area(shape->kind);
    if (shape->kind == GEO_SHAPE_POINT) {
        put(out, "cx=\"");
        print_svg_point(shape->rings[0].at[0], "\" cy=\"", out);
        put(out, "\"");
        return;
    }
    for (uint32_t i = 0; i < shape->ring_count; i++) {
        const geo_ring *r = &shape->rings[i];
        put(out, i ? " M " : "M ");
        /* "Z" stands for the edge that closes a ring. */
        for (uint32_t k = 0; k + (area ? 1 : 0) < r->count && !out->failed; k++) {
            if (k)
                put(out, k == 1 ? " L " : " ");
            print_svg_point(r->at[k], " ", out);
        }
        if (area)
            put(out, " Z");
    }
}
