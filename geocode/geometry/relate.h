/* relate.h - how a shape lies in an area: the tests by which a place gets its address areas.
 *
 * An area that is asked more than once is prepared: its edges go into bands of latitude, so that a
 * question looks at the edges of its own height only. Predicates are those of OGC's nine
 * intersections (ST_Covers, ST_Intersects, ST_Relate 'T********'); whether edges meet is decided
 * exactly, on integers. Pieces between two crossings that are shorter than about a millimetre count
 * for nothing. */
#ifndef GEOCODE_GEOMETRY_RELATE_H
#define GEOCODE_GEOMETRY_RELATE_H

#include "geocode/geometry/measure.h"

/* A prepared shape; heap, about 28 bytes a point. Read-only once made: any number of threads may
 * ask at once. Lines and points can be prepared too (they have no inside). */
typedef struct geo_area geo_area;

/* Prepares `shape`, of which points and parts are borrowed and outlive the result. SX_ENOMEM. */
sx_status geo_area_new(const geo_shape *shape, geo_area **out, sx_error *err);
void geo_area_free(geo_area *area);

/* Its box, and its shape. */
geo_box geo_area_box(const geo_area *area);
const geo_shape *geo_area_shape(const geo_area *area);

/* HOT, about 0.1 us. As geo_shape_side(). */
geo_side geo_area_side(const geo_area *area, geo_pt p);

/* How a shape lies, as bits. */
typedef enum geo_lies {
    GEO_LIES_IN = 1,       /* some of it (more than points on the edge) is inside */
    GEO_LIES_EDGE = 2,     /* some stretch of its lines runs along the edge */
    GEO_LIES_OUT = 4,      /* some of it is outside */
    GEO_LIES_TOUCH = 8,    /* a point of it is on the edge */
    GEO_LIES_TOUCHES = 16, /* two or more different points of it are on the edge */
} geo_lies;

/* How the points and lines of `shape` lie in `area`: of areas their rings only.
 *   errors  SX_ENOMEM */
sx_status geo_area_lies(const geo_area *area, const geo_shape *shape, unsigned *lies,
                        sx_error *err);

/* ST_Intersects. */
sx_status geo_area_meets(const geo_area *area, const geo_area *other, bool *yes, sx_error *err);

/* ST_Covers(area, other); ST_CoveredBy(other, area). */
sx_status geo_area_covers(const geo_area *area, const geo_area *other, bool *yes, sx_error *err);

/* ST_Relate(area, other, 'T********'): the insides have something in common. */
sx_status geo_area_overlaps(const geo_area *area, const geo_area *other, bool *yes, sx_error *err);

/* Whether `shape` belongs to `area` as Nominatim takes it: a point inside or on the edge, an area
 * that overlaps it, a line that has more than one point in common. */
sx_status geo_area_takes(const geo_area *area, const geo_area *shape, bool *yes, sx_error *err);

#endif
