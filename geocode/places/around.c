/* around.c - see around.h. The projection is the transverse Mercator of UTM on WGS 84, by Krueger's
 * series up to the fourth power of the third flattening (below a micrometre within a zone). Source:
 * C. F. F. Karney, "Transverse Mercator with an accuracy of a few nanometers", 2011, eq. 7-14, 35, 36. */
#include "geocode/places/around.h"

#include <math.h>

enum { TERMS = 4, ZONES = 60 };

static const double RADIUS = 6378137.0, FLATTENING = 1 / 298.257223563, SCALE = 0.9996;
static const double RADIANS = M_PI / 180;

/* Third flattening, the radius of the rectified meridian, the eccentricity and both series. */
typedef struct mercator {
    double meridian, rectified, eccentricity, forth[TERMS], back[TERMS];
} mercator;

static mercator mercator_of(double lon)
{
    double n = FLATTENING / (2 - FLATTENING), n2 = n * n, n3 = n2 * n, n4 = n2 * n2;
    double zone = floor((lon + 180) / 6);
    if (zone > ZONES - 1)
        zone = ZONES - 1;
    return (mercator){
        .meridian = zone * 6 - 177,
        .rectified = RADIUS / (1 + n) * (1 + n2 / 4 + n4 / 64) * SCALE,
        .eccentricity = sqrt(FLATTENING * (2 - FLATTENING)),
        .forth = {n / 2 - n2 * 2 / 3 + n3 * 5 / 16 + n4 * 41 / 180,
                  n2 * 13 / 48 - n3 * 3 / 5 + n4 * 557 / 1440, n3 * 61 / 240 - n4 * 103 / 140,
                  n4 * 49561 / 161280},
        .back = {n / 2 - n2 * 2 / 3 + n3 * 37 / 96 - n4 / 360, n2 / 48 + n3 / 15 - n4 * 437 / 1440,
                 n3 * 17 / 480 - n4 * 37 / 840, n4 * 4397 / 161280},
    };
}

/* The tangent of the conformal latitude. */
static double conformal(const mercator *m, double tau)
{
    double sigma = sinh(m->eccentricity * atanh(m->eccentricity * tau / sqrt(1 + tau * tau)));
    return tau * sqrt(1 + sigma * sigma) - sigma * sqrt(1 + tau * tau);
}

static void to_map(const mercator *m, geo_pt at, double *east, double *north)
{
    double lambda = (at.lon - m->meridian) * RADIANS;
    double tau = conformal(m, tan(at.lat * RADIANS));
    double xi = atan2(tau, cos(lambda)), eta = asinh(sin(lambda) / hypot(tau, cos(lambda)));
    *east = eta;
    *north = xi;
    for (int i = 0; i < TERMS; i++) {
        double k = 2 * (i + 1);
        *north += m->forth[i] * sin(k * xi) * cosh(k * eta);
        *east += m->forth[i] * cos(k * xi) * sinh(k * eta);
    }
    *east *= m->rectified;
    *north *= m->rectified;
}

static geo_pt from_map(const mercator *m, double east, double north)
{
    double xi = north / m->rectified, eta = east / m->rectified, xi1 = xi, eta1 = eta;
    for (int i = 0; i < TERMS; i++) {
        double k = 2 * (i + 1);
        xi1 -= m->back[i] * sin(k * xi) * cosh(k * eta);
        eta1 -= m->back[i] * cos(k * xi) * sinh(k * eta);
    }
    double want = sin(xi1) / hypot(sinh(eta1), cos(xi1)), tau = want;
    double e2 = m->eccentricity * m->eccentricity;
    for (int i = 0; i < 5; i++) { /* Newton; doubles its digits each time */
        double now = conformal(m, tau);
        tau += (want - now) / sqrt(1 + now * now) * (1 + (1 - e2) * tau * tau) /
               ((1 - e2) * sqrt(1 + tau * tau));
    }
    return (geo_pt){m->meridian + atan2(sinh(eta1), cos(xi1)) / RADIANS, atan(tau) / RADIANS};
}

plc_around plc_box_around(geo_pt at, double metres, geo_box *box)
{
    static const int STEPS[4][2] = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}};
    mercator m = mercator_of(at.lon);
    plc_around out = {at.lon, at.lat, at.lon, at.lat};
    double east, north;
    to_map(&m, at, &east, &north);
    for (int i = 0; i < 4; i++) {
        geo_pt p = from_map(&m, east + STEPS[i][0] * metres, north + STEPS[i][1] * metres);
        out.lon_min = fmin(out.lon_min, p.lon);
        out.lon_max = fmax(out.lon_max, p.lon);
        out.lat_min = fmin(out.lat_min, p.lat);
        out.lat_max = fmax(out.lat_max, p.lat);
    }
    if (box) {
        geo_at low = geo_at_of((geo_pt){out.lon_min, out.lat_min});
        geo_at high = geo_at_of((geo_pt){out.lon_max, out.lat_max});
        *box = (geo_box){low.lon_e7, low.lat_e7, high.lon_e7, high.lat_e7};
    }
    return out;
}
