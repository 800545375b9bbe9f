/* rtree.h - finds the boxes that meet a box, and the nearest ones, among millions.
 *
 * Built once from items in the order of a Hilbert curve, packed full, and read in place as a section
 * of the index file. Nodes hold GEO_RTREE_WIDE boxes as four arrays, so that one is compared with all
 * in a few vector instructions. Bytes, little-endian, aligned to 4:
 *
 *     u32 number of items, u32 0, u32 0, u32 0
 *     levels from the root down to the lowest; of each its nodes, filled up from the left:
 *         i32 lon_min[16], lat_min[16], lon_max[16], lat_max[16]; on the lowest level u32 id[16] too
 *
 * Child k of node j is node 16 j + k of the next level, so that nothing in the bytes points anywhere:
 * the number of items gives every offset, and damage costs a wrong answer (the section's checksum
 * finds it), never a fault. Places without an item hold an inverted box, which meets nothing. */
#ifndef GEOCODE_GEOMETRY_RTREE_H
#define GEOCODE_GEOMETRY_RTREE_H

#include "geocode/geometry/shape.h"

enum { GEO_RTREE_WIDE = 16, GEO_RTREE_LEVELS_MAX = 8 };

typedef struct geo_rtree_item {
    geo_box box;
    uint32_t id; /* the caller's */
} geo_rtree_item;

/* Where a box comes in the tree: the place of its middle on the curve. For sorters outside. */
uint64_t geo_rtree_order(geo_box box);

/* Sorts items in memory by geo_rtree_order, then id. */
sx_status geo_rtree_sort(geo_rtree_item *items, uint32_t count, sx_error *err);

/* Bytes that a tree of `count` items takes. */
uint64_t geo_rtree_bytes(uint32_t count);

/* Appends the tree of sorted items; out->len is a multiple of 4 before. Any order gives right
 * answers; another order gives slow ones. */
sx_status geo_rtree_build(const geo_rtree_item *items, uint32_t count, sx_buf *out, sx_error *err);

/* An opened tree; it borrows the bytes. Any number of threads may ask at once. */
typedef struct geo_rtree {
    const uint8_t *level[GEO_RTREE_LEVELS_MAX]; /* [0]: the lowest */
    uint32_t nodes[GEO_RTREE_LEVELS_MAX];
    uint32_t levels; /* 0: no item */
    uint32_t count;
} geo_rtree;

/* SX_ECORRUPT if the number of items and that of the bytes do not agree. */
sx_status geo_rtree_open(sx_str bytes, geo_rtree *out, sx_error *err);

/* Called for each item found; false ends the query. */
typedef bool (*geo_rtree_each)(void *context, uint32_t id, geo_box box);

/* HOT. Items whose boxes meet `box`, in the order of the tree. False if `each` ended it. */
bool geo_rtree_query(const geo_rtree *t, geo_box box, geo_rtree_each each, void *context);

/* The same into an array: returns how many were found, of which the first `most` are written. */
uint32_t geo_rtree_find(const geo_rtree *t, geo_box box, uint32_t *ids, uint32_t most);

/* The exact distance of an item in degrees; INFINITY to leave it out. It is asked only where the
 * item's box is nearer than the nearest so far. */
typedef double (*geo_rtree_exact)(void *context, uint32_t id, geo_box box);

typedef struct geo_rtree_hit {
    uint32_t id;
    double distance; /* degrees */
} geo_rtree_hit;

/* HOT, about 1 us among a million. The nearest item within `radius` degrees (at most that far); of
 * equally near ones the one found first. `exact` may be NULL: the distance to the box. False: none. */
bool geo_rtree_nearest(const geo_rtree *t, geo_pt p, double radius, geo_rtree_exact exact,
                       void *context, geo_rtree_hit *out);

/* Nearest first, by the distance to the box:
 *
 *     geo_near near;
 *     geo_near_start(&near, tree, p, radius);
 *     while (best_so_far > ... && geo_near_next(&near, &hit)) look(hit);
 *     geo_near_done(&near);
 *
 * hit.distance never falls, so that the caller stops once it is above the best exact distance. */
typedef struct geo_near_entry {
    double distance2;
    uint32_t number; /* of a node of level - 1, or an item's id */
    uint32_t level;  /* 0: an item */
} geo_near_entry;

typedef struct geo_near {
    const geo_rtree *tree;
    geo_pt p;
    double most2;
    geo_near_entry *heap; /* owned; `small` until it is full */
    size_t count, cap;
    bool failed; /* no memory: the answer is not complete */
    geo_near_entry small[128];
} geo_near;

void geo_near_start(geo_near *n, const geo_rtree *tree, geo_pt p, double radius);
bool geo_near_next(geo_near *n, geo_rtree_hit *out);
void geo_near_done(geo_near *n);

#endif
