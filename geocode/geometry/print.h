/* print.h - shapes as GeoJSON, WKT, KML and SVG, character by character as PostGIS 3.3 writes them.
 *
 * Coordinates have up to seven decimals without trailing zeros. Output goes to the buffer as it is
 * made; the buffer's len_max bounds it (the caller asks sx_buf_status() at the end). */
#ifndef GEOCODE_GEOMETRY_PRINT_H
#define GEOCODE_GEOMETRY_PRINT_H

#include "geocode/geometry/shape.h"

/* ST_AsGeoJSON(shape, 7): {"type":"Point","coordinates":[9.5,47.1]} */
void geo_print_geojson(const geo_shape *shape, sx_buf *out);

/* ST_AsText: POINT(9.5 47.1) */
void geo_print_wkt(const geo_shape *shape, sx_buf *out);

/* ST_AsKML(shape, 7): <Point><coordinates>9.5,47.1</coordinates></Point> */
void geo_print_kml(const geo_shape *shape, sx_buf *out);

/* ST_AsSVG(shape, 0, 7): cx="9.5" cy="-47.1", or path data with absolute moves. */
void geo_print_svg(const geo_shape *shape, sx_buf *out);

/* One coordinate in degrees, up to seven decimals, no trailing zeros. */
void geo_print_e7(int32_t e7, sx_buf *out);

#endif
