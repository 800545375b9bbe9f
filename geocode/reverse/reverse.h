/* reverse.h - what is at a point, and what is inside a rectangle.
 *
 * Both walk the tree of boxes over all points (documents and house numbers, in the order of a
 * Hilbert curve): a box farther away than the worst result kept is never entered. */
#ifndef GEOCODE_REVERSE_REVERSE_H
#define GEOCODE_REVERSE_REVERSE_H

#include "geocode/search/search.h"

/* As Addok has it: documents with a point in the geohash cell of seven letters around the query's, or
 * in one of the eight cells beside it (if there are none, of the sixteen around those), wherever
 * their nearest house number is. */
#define GEO_REVERSE_CELLS (-1.0)

/* The nearest, however far away it is. */
#define GEO_REVERSE_ANY 0.0

typedef struct geo_reverse_query {
    double lat, lon;
    uint32_t limit;            /* 1 to GEO_RESULTS_MAX; 0: 1 */
    double within_m;           /* nothing farther away; 0: any distance; GEO_REVERSE_CELLS */
    const geo_filter *filters; /* as in geo_query */
    size_t filter_count;
} geo_reverse_query;

/* The nearest documents, nearest first, each once: at its nearest house number if it has any (and
 * the filter on type admits house numbers), else at its own point. Scores are Addok's:
 * 1 at the point, falling with the square of the distance (e to the -(d/50 km)^2).
 *   errors  SX_EINVAL: the point is not on Earth; SX_ELIMIT: too many filters; SX_ECORRUPT.
 * Takes no memory. Any thread. */
sx_status geo_reverse(const geo_index *ix, const geo_reverse_query *q, geo_results *out,
                      sx_error *err);

/* A rectangle in degrees; lon_min > lon_max crosses the date line. */
typedef struct geo_degree_box {
    double lon_min, lat_min, lon_max, lat_max;
} geo_degree_box;

/* One point inside it. */
typedef struct geo_box_point {
    uint32_t doc, number; /* number: GEO_NO_NUMBER for the document's own point */
    int32_t lon_e7, lat_e7;
} geo_box_point;

/* Called for each point; false stops. */
typedef bool (*geo_box_visit)(void *context, const geo_box_point *point);

/* What geo_points_in_box() shall leave out. */
typedef enum geo_box_kinds {
    GEO_BOX_DOCUMENTS = 1,
    GEO_BOX_NUMBERS = 2,
    GEO_BOX_ALL = 3,
} geo_box_kinds;

/* Visits the points inside `box`, in the order of the curve, at most `limit`. *total (may be NULL)
 * gets how many were visited. Errors: SX_EINVAL for a box that is none; SX_ECORRUPT. Any thread. */
sx_status geo_points_in_box(const geo_index *ix, const geo_degree_box *box, geo_box_kinds kinds,
                            uint32_t limit, geo_box_visit visit, void *context, uint32_t *total,
                            sx_error *err);

#endif
