/* cells.c - the documents around a point, as geohash cells have it. See reader.h.
 *
 * Addok keeps the documents of every cell of seven letters (some 150 m by 100 m) and takes the cell
 * of the point and the eight around it, or two rings of cells. A cell is a whole number of steps in longitude and latitude,
 * so the points of the tree of boxes tell it without being kept by cell. */
#include <math.h>

#include "geocode/index/reader.h"

enum { CELL_LON_BITS = 18, CELL_LAT_BITS = 17 };

typedef struct gather {
    const geo_index *ix;
    int64_t east, north; /* the point's cell */
    int64_t rings;
    geo_disk_box around;
    uint32_t *out;
    uint32_t count, cap;
} gather;

static int64_t cell_lon(double lon)
{
    return (int64_t)floor((lon + 180) / 360 * (1 << CELL_LON_BITS));
}

static int64_t cell_lat(double lat)
{
    return (int64_t)floor((lat + 90) / 180 * (1 << CELL_LAT_BITS));
}

static bool overlaps(const geo_disk_box *a, const geo_disk_box *b)
{
    return a->lon_min <= b->lon_max && b->lon_min <= a->lon_max && a->lat_min <= b->lat_max &&
           b->lat_min <= a->lat_max;
}

/* Keeps the documents in rising order, each once. */
static void add(gather *g, uint32_t doc)
{
    uint32_t low = 0, high = g->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (g->out[middle] < doc)
            low = middle + 1;
        else
            high = middle;
    }
    if (g->count == g->cap || (low < g->count && g->out[low] == doc))
        return;
    memmove(&g->out[low + 1], &g->out[low], (g->count - low) * sizeof(*g->out));
    g->out[low] = doc;
    g->count++;
}

static void add_points(gather *g, uint64_t leaf)
{
    const geo_bytes *s = &g->ix->s[GEO_S_POINTS];
    const geo_disk_point *points = (const geo_disk_point *)(const void *)s->data;
    uint64_t from = leaf * GEO_POINT_BLOCK, to = from + GEO_POINT_BLOCK;
    for (uint64_t i = from; i < to && i < s->count; i++) {
        int64_t east = cell_lon(points[i].lon_e7 / 1e7) - g->east;
        int64_t north = cell_lat(points[i].lat_e7 / 1e7) - g->north;
        if (east >= -g->rings && east <= g->rings && north >= -g->rings && north <= g->rings &&
            points[i].doc < g->ix->doc_count)
            add(g, points[i].doc);
    }
}

/* Recursion is as deep as the tree, six levels at most. */
static void descend(gather *g, uint32_t level, uint64_t index)
{
    const geo_index *ix = g->ix;
    const geo_disk_box *boxes = (const geo_disk_box *)(const void *)ix->s[GEO_S_POINT_TREE].data;
    if (!overlaps(&boxes[ix->level_first[level] + index], &g->around))
        return;
    if (level == 0) {
        add_points(g, index);
        return;
    }
    uint64_t from = index * GEO_POINT_BLOCK, to = from + GEO_POINT_BLOCK;
    if (to > ix->level_size[level - 1])
        to = ix->level_size[level - 1];
    for (uint64_t i = from; i < to; i++)
        descend(g, level - 1, i);
}

uint32_t geo_cell_docs(const geo_index *ix, double lat, double lon, unsigned rings, uint32_t *out,
                       uint32_t cap)
{
    double width = (rings + 1) * 360.0 / (1 << CELL_LON_BITS);
    double height = (rings + 1) * 180.0 / (1 << CELL_LAT_BITS);
    gather g = {.ix = ix,
                .east = cell_lon(lon),
                .north = cell_lat(lat),
                .rings = rings,
                .out = out,
                .cap = cap};
    g.around = (geo_disk_box){(int32_t)lround(fmax(lon - width, -180) * 1e7),
                              (int32_t)lround(fmax(lat - height, -90) * 1e7),
                              (int32_t)lround(fmin(lon + width, 180) * 1e7),
                              (int32_t)lround(fmin(lat + height, 90) * 1e7)};
    if (ix->level_count)
        descend(&g, ix->level_count - 1, 0);
    return g.count;
}
