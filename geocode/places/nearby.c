/* nearby.c - see nearby.h. Edges are looked at one by one, blocks that are too far away are stepped
 * over. */
#include "geocode/places/nearby.h"

#include <math.h>

/* As fmin() and fmax() of numbers, without a call. */
static inline double lesser(double a, double b)
{
    return a < b ? a : b;
}

static inline double greater(double a, double b)
{
    return a > b ? a : b;
}

static double to_segment2(geo_pt p, geo_pt a, geo_pt b)
{
    double dx = b.lon - a.lon, dy = b.lat - a.lat, square = dx * dx + dy * dy, t = 0;
    if (square > 0)
        t = lesser(1, greater(0, ((p.lon - a.lon) * dx + (p.lat - a.lat) * dy) / square));
    double x = a.lon + t * dx - p.lon, y = a.lat + t * dy - p.lat;
    return x * x + y * y;
}

static double turn(geo_pt a, geo_pt b, geo_pt p)
{
    return (b.lon - a.lon) * (p.lat - a.lat) - (b.lat - a.lat) * (p.lon - a.lon);
}

static bool cross(geo_pt a, geo_pt b, geo_pt c, geo_pt d)
{
    double abc = turn(a, b, c), abd = turn(a, b, d), cda = turn(c, d, a), cdb = turn(c, d, b);
    return ((abc > 0) != (abd > 0)) && ((cda > 0) != (cdb > 0)) && abc != 0 && abd != 0 &&
           cda != 0 && cdb != 0;
}

static double between2(geo_pt a, geo_pt b, geo_pt c, geo_pt d)
{
    if (cross(a, b, c, d))
        return 0;
    return lesser(lesser(to_segment2(a, c, d), to_segment2(b, c, d)),
                  lesser(to_segment2(c, a, b), to_segment2(d, a, b)));
}

static double between_boxes(geo_box a, geo_box b)
{
    double dx = greater(0, greater((double)a.lon_min - b.lon_max, (double)b.lon_min - a.lon_max));
    double dy = greater(0, greater((double)a.lat_min - b.lat_max, (double)b.lat_min - a.lat_max));
    return sqrt(dx * dx + dy * dy) / GEO_E7;
}

/* Degrees: by less, distances of boxes and of what is in them may be wrong. */
static const double ROUNDING = 1e-9;

/* The least distance of any edge to the closed or open chain of points. */
static double chain_nearness(sx_str bytes, const geo_pt *chain, uint32_t count, geo_box box,
                             double most)
{
    geo_scan s;
    double best2 = INFINITY;
    for (bool part = geo_scan_open(&s, bytes); part; part = geo_scan_part(&s)) {
        while (geo_scan_block(&s)) {
            double limit = fmin(most, sqrt(best2));
            if (between_boxes(s.block, box) > limit) {
                geo_scan_skip(&s);
                continue;
            }
            for (geo_at a = s.at; geo_scan_step(&s); a = s.at) {
                geo_box edge = geo_box_at(a);
                geo_box_add(&edge, s.at);
                if (between_boxes(edge, box) > lesser(most, sqrt(best2)) + ROUNDING)
                    continue;
                geo_pt p = geo_pt_of(a), q = geo_pt_of(s.at);
                for (uint32_t i = 0; i + 1 < count; i++)
                    best2 = lesser(best2, between2(p, q, chain[i], chain[i + 1]));
            }
        }
    }
    return s.c.bad ? -1 : sqrt(best2);
}

double plc_box_nearness(sx_str bytes, geo_box box, double most)
{
    geo_pt low = geo_pt_of((geo_at){box.lon_min, box.lat_min});
    geo_pt high = geo_pt_of((geo_at){box.lon_max, box.lat_max});
    geo_scan s;
    if (box.lon_min == box.lon_max && box.lat_min == box.lat_max)
        return geo_bytes_distance(bytes, low, most, NULL);
    if (!geo_scan_open(&s, bytes))
        return -1;
    /* Inside of the box, or the box inside of the area: no edges are near. */
    if (geo_box_holds(box, geo_box_at(s.part_first)) ||
        (geo_shape_is_area(s.kind) && geo_bytes_side(bytes, low) == GEO_SIDE_IN))
        return 0;
    geo_pt chain[5] = {low, {high.lon, low.lat}, high, {low.lon, high.lat}, low};
    return chain_nearness(bytes, chain, 5, box, most);
}

double plc_line_nearness(sx_str bytes, const geo_ring *line, double most)
{
    double best = INFINITY;
    for (uint32_t i = 0; i + 1 < line->count; i++) {
        geo_pt chain[2] = {geo_pt_of(line->at[i]), geo_pt_of(line->at[i + 1])};
        geo_box box = geo_box_at(line->at[i]);
        geo_box_add(&box, line->at[i + 1]);
        double distance = chain_nearness(bytes, chain, 2, box, fmin(most, best));
        if (distance < 0)
            return -1;
        best = fmin(best, distance);
    }
    return best;
}
