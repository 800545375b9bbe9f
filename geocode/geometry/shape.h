/* shape.h - points, lines and areas in ten-millionths of a degree, and how they are stored.
 *
 * A shape in memory is a list of parts: one point, the parts of a line, or the rings of areas. A ring
 * is closed (its last point equals its first) and has at least four points; inner rings follow the
 * outer one they cut. Outer rings run counter-clockwise, inner ones clockwise, each from its
 * westernmost (then southernmost) point: what rings.h makes, and what nothing here relies on.
 *
 * Stored, a shape is bytes without alignment, about 4 a point:
 *
 *     varint   kind + 8 * number of parts
 *     a part:  varint   2 * number of stored points + inner   (a ring's last point is not stored)
 *              zigzag   lon and lat of its first point, less those of the part before (or 0, 0)
 *              steps    (zigzag lon, zigzag lat) to each further point
 *
 * and where there are more than GEO_BLOCK_STEPS steps they come in blocks of that many, each with a
 * head, so that a query steps over what is far from its point:
 *
 *     u16      bytes of the block's steps
 *     i32      lon, lat of its last point
 *     i32      its box, the last point before it included: lon_min, lat_min, lon_max, lat_max
 *
 * All little-endian; varints are of base 128. Reading never trusts them: bytes that do not hold
 * together give SX_ECORRUPT, never a fault. Used by all rooms of geocode/ that
 * know places. */
#ifndef GEOCODE_GEOMETRY_SHAPE_H
#define GEOCODE_GEOMETRY_SHAPE_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

#include "geocode/index/cursor.h"

enum {
    GEO_E7 = 10000000,
    GEO_LON_E7_MAX = 1800000000,
    GEO_LAT_E7_MAX = 900000000,
    GEO_BLOCK_STEPS = 64,
};

/* A stored point, exact: ten-millionths of a degree. */
typedef struct geo_at {
    int32_t lon_e7, lat_e7;
} geo_at;

/* A computed or asked point, in degrees. */
typedef struct geo_pt {
    double lon, lat;
} geo_pt;

typedef enum geo_shape_kind {
    GEO_SHAPE_POINT,
    GEO_SHAPE_LINE,
    GEO_SHAPE_POLYGON,
    GEO_SHAPE_MULTI_LINE,
    GEO_SHAPE_MULTI_POLYGON,
} geo_shape_kind;

/* A part of a line (two points or more), a ring, or the one point of a point. */
typedef struct geo_ring {
    const geo_at *at;
    uint32_t count;
    bool inner;
} geo_ring;

typedef struct geo_shape {
    geo_shape_kind kind;
    const geo_ring *rings; /* an arena's or the caller's, as are the points */
    uint32_t ring_count;
} geo_shape;

/* Both ends belong to the box. */
typedef struct geo_box {
    int32_t lon_min, lat_min, lon_max, lat_max;
} geo_box;

/* What a decoder may build; 0 means the default (16 M points, 1 M parts). */
typedef struct geo_shape_limits {
    uint32_t points_max, rings_max;
} geo_shape_limits;

static inline geo_pt geo_pt_of(geo_at at)
{
    return (geo_pt){at.lon_e7 / (double)GEO_E7, at.lat_e7 / (double)GEO_E7};
}

static inline bool geo_at_equal(geo_at a, geo_at b)
{
    return a.lon_e7 == b.lon_e7 && a.lat_e7 == b.lat_e7;
}

/* The nearest stored point; halves go up, as a precision model of 1e-7 does. Values beyond the globe
 * are cut to its edge; a NaN becomes 0. */
geo_at geo_at_of(geo_pt p);

static inline bool geo_shape_is_area(geo_shape_kind kind)
{
    return kind == GEO_SHAPE_POLYGON || kind == GEO_SHAPE_MULTI_POLYGON;
}

static inline bool geo_shape_is_line(geo_shape_kind kind)
{
    return kind == GEO_SHAPE_LINE || kind == GEO_SHAPE_MULTI_LINE;
}

/* A point as a shape: `ring` is the caller's and lives as long as the shape, as does `*at`. */
static inline geo_shape geo_shape_point(const geo_at *at, geo_ring *ring)
{
    *ring = (geo_ring){at, 1, false};
    return (geo_shape){GEO_SHAPE_POINT, ring, 1};
}

/* Points of all parts. */
uint64_t geo_shape_points(const geo_shape *shape);

/* SX_OK if `shape` is what this file says: counts, closed rings, an outer ring first, coordinates on
 * the globe. It does not look for crossings. SX_EINVAL with the part's number otherwise. */
sx_status geo_shape_check(const geo_shape *shape, sx_error *err);

/* Appends the stored form. The shape passes geo_shape_check(). Failures stick in `out`. */
void geo_shape_encode(const geo_shape *shape, sx_buf *out);

/* Reads one stored shape and leaves `c` behind it.
 *   out     parts and points are taken from `arena`
 *   errors  SX_ECORRUPT, SX_ELIMIT, SX_ENOMEM */
sx_status geo_shape_decode(geo_cursor *c, sx_arena *arena, geo_shape_limits limits, geo_shape *out,
                           sx_error *err);

/* Reading a stored shape in place, without memory: parts, in them blocks, in them points.
 *
 *     geo_scan s;
 *     for (bool part = geo_scan_open(&s, bytes); part; part = geo_scan_part(&s))
 *         while (geo_scan_block(&s)) {
 *             if (far(s.block))
 *                 geo_scan_skip(&s);
 *             else
 *                 for (geo_at a = s.at; geo_scan_step(&s); a = s.at)
 *                     use_edge(a, s.at);
 *         }
 *     if (s.c.bad) damaged
 *
 * The edge that closes a ring comes as a block of its own; a point's one block has no step. */
typedef struct geo_scan {
    geo_cursor c;
    geo_shape_kind kind;
    uint32_t parts_left;     /* after this one */
    uint32_t steps_left;     /* stored steps of the part after this block */
    uint32_t block_steps;    /* steps still to come in this block */
    geo_at part_first, at;   /* the part's first point; where we are */
    geo_at block_end;        /* where the block's head says that it ends */
    const uint8_t *head_end; /* end of the block's bytes as its head says; NULL without a head */
    geo_box block;           /* the block's box; the globe where it has no head */
    bool inner;              /* the part is an inner ring */
    bool blocked;            /* the part's blocks have heads */
    bool close_left;         /* the edge that closes the ring is still to come */
    bool closes;             /* the block is that edge */
    bool begun;              /* a block of this part was given */
} geo_scan;

/* Opens stored bytes and the first part; false if there is none (damaged: s->c.bad). */
bool geo_scan_open(geo_scan *s, sx_str bytes);

/* Goes to the next part; what was left of the one before is stepped over. */
bool geo_scan_part(geo_scan *s);

/* Goes to the part's next block; s->at is its start. */
bool geo_scan_block(geo_scan *s);

/* Steps over the rest of the block. */
void geo_scan_skip(geo_scan *s);

/* The rare halves of geo_scan_step: the closing edge or the end of a block; damage. */
bool geo_scan_turn(geo_scan *s);
bool geo_scan_damaged(geo_scan *s);

/* HOT. The next point of the block is s->at; false at its end. */
static inline bool geo_scan_step(geo_scan *s)
{
    if (sx_unlikely(s->block_steps == 0 || s->closes))
        return geo_scan_turn(s);
    s->block_steps--;
    uint64_t lon = (uint64_t)geo_cursor_zigzag(&s->c) + (uint64_t)(int64_t)s->at.lon_e7;
    uint64_t lat = (uint64_t)geo_cursor_zigzag(&s->c) + (uint64_t)(int64_t)s->at.lat_e7;
    /* One comparison a coordinate: what is below the least wraps round to a large number. */
    if (sx_unlikely(lon + GEO_LON_E7_MAX > 2 * (uint64_t)GEO_LON_E7_MAX ||
                    lat + GEO_LAT_E7_MAX > 2 * (uint64_t)GEO_LAT_E7_MAX))
        return geo_scan_damaged(s);
    s->at = (geo_at){(int32_t)(int64_t)lon, (int32_t)(int64_t)lat};
    return true;
}

#endif
