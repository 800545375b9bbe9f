/* rings.h - areas and lines out of ways.
 *
 * An area is decided as osm2pgsql decides it (and thus what Nominatim shows), from the segments of
 * all its ways and not from roles or the order of members:
 *
 *  1. A segment that occurs twice is cancelled, with its twin: areas that share an edge merge.
 *  2. Two segments that meet anywhere but at a common end point: no area.
 *  3. A point at which an odd number of segments ends: a ring that is not closed, no area.
 *  4. More than 100 points at which four or more segments end: no area.
 *  5. Otherwise rings run along what has area on one side. Of rings that touch in a point each is
 *     one of its own. A ring inside an odd number of others is an inner one.
 *
 * Outer rings run counter-clockwise, inner ones clockwise, each from its westernmost point, or from
 * the westernmost at which it touches another; outer rings that touch others come first, then by
 * where they begin, each followed by its inner ones from west to east. A point is its
 * coordinates: two nodes at one place are one point. Used by geocode/places. */
#ifndef GEOCODE_GEOMETRY_RINGS_H
#define GEOCODE_GEOMETRY_RINGS_H

#include "geocode/geometry/shape.h"

/* A way of known positions; nodes without one are left out before. */
typedef struct geo_way {
    int64_t id;
    const geo_at *at;
    const int64_t *nodes; /* ids beside `at`, for reports; may be NULL */
    uint32_t count;
} geo_way;

/* Why ways make no area. */
typedef enum geo_ring_cause {
    GEO_RINGS_SOUND,
    GEO_RINGS_OPEN,     /* a ring is not closed */
    GEO_RINGS_CROSSING, /* segments cross, touch or overlap */
    GEO_RINGS_TANGLED,  /* too many points at which rings touch */
    GEO_RINGS_EMPTY,    /* nothing is left: too few points, or all segments cancelled */
} geo_ring_cause;

/* One place to look at. GEO_RINGS_OPEN: `at` and `to` are two open ends (the nearest free one; equal
 * if there is none), GEO_RINGS_CROSSING: both are about where the segments meet. */
typedef struct geo_ring_fault {
    geo_ring_cause cause;
    geo_at at, to;
    int64_t node_at, node_to; /* 0 where ids were not given */
    int64_t way_at, way_to;
    double gap;  /* degrees between at and to */
    bool closed; /* the gap was narrow and has been closed: the area is there all the same */
} geo_ring_fault;

enum { GEO_RING_FAULTS_MAX = 8 };

/* What was found; the first few faults are kept, all are counted. */
typedef struct geo_ring_report {
    geo_ring_cause cause; /* GEO_RINGS_SOUND if there is an area */
    uint32_t fault_count;
    uint32_t open_ends, crossings, touching, twins;
    geo_ring_fault faults[GEO_RING_FAULTS_MAX];
} geo_ring_report;

typedef struct geo_ring_options {
    double
        close_gap; /* degrees: a narrower gap between open ends is closed; 0 (as osm2pgsql): none */
    uint32_t segments_max; /* of all ways; 0: 16 M */
    uint64_t checks_max;   /* pairs of segments looked at for crossings; 0: 300 M */
} geo_ring_options;

/* Makes an area of `count` ways.
 *   out      polygon, or multipolygon of two or more outer rings; parts and points in `arena`
 *   report   always filled
 *   returns  SX_OK; SX_ENOTFOUND if there is no area (report->cause says why; err names the place);
 *            SX_ELIMIT, SX_ENOMEM */
sx_status geo_rings_area(const geo_way *ways, uint32_t count, const geo_ring_options *options,
                         sx_arena *arena, geo_shape *out, geo_ring_report *report, sx_error *err);

/* The shape of one way: a polygon if it is closed, has four points or more and makes an area (of
 * which the first outer ring counts, without inner ones); otherwise a line of its points without
 * repetitions. SX_ENOTFOUND if fewer than two are left. `report` may be NULL. */
sx_status geo_way_shape(const geo_way *way, sx_arena *arena, geo_shape *out,
                        geo_ring_report *report, sx_error *err);

/* The line of one way, closed or not. SX_ENOTFOUND if fewer than two different points are left. */
sx_status geo_way_line(const geo_way *way, sx_arena *arena, geo_shape *out, sx_error *err);

/* The line of a relation of ways: one way is a line; of more, those that share end points are joined
 * (where three or more meet, the first two; open ends are starts, in the order of members), the
 * result is a multi-line even of one part. SX_ENOTFOUND if no way has two different points. */
sx_status geo_ways_line(const geo_way *ways, uint32_t count, sx_arena *arena, geo_shape *out,
                        sx_error *err);

/* "ring not closed: from node 1 (47.1, 9.5) of way 2 to ...": one fault as a sentence, for reports. */
void geo_ring_fault_text(const geo_ring_fault *fault, sx_buf *out);

#endif
