/* reverse.c - the nearest places around a point as Photon has them: by the distance of their middles,
 * whatever their kind.
 *
 * The trees give boxes by their distance, which no middle is nearer than; so the search ends once the
 * next box is farther than the worst of those kept. Trees measure on the plane of degrees, where a degree of
 * longitude counts as much as one of latitude: a box at d degrees is at least d times the length of a
 * degree of longitude at the highest latitude within reach away. */
#include <math.h>

#include "geocode/geometry/rtree.h"
#include "geocode/nominatim/reverse_impl.h"
#include "geocode/photon/find.h"

#define KM_PER_DEGREE 111.19492664

enum { LOOKED_AT_MAX = 400000 }; /* boxes; in a radius that holds more, the farthest are not seen */

double photon_km(geo_pt a, geo_pt b)
{
    const double radian = M_PI / 180, diameter = 2 * 6371.0087714;
    double x = sin((a.lon - b.lon) * radian / 2), y = sin((a.lat - b.lat) * radian / 2);
    double h = y * y + cos(a.lat * radian) * cos(b.lat * radian) * x * x;
    return diameter * atan2(sqrt(h), sqrt(fmax(0, 1 - h)));
}

/* Least kilometers that a degree of the plane is, within `km` around a latitude. */
static double least_km(double lat, double km)
{
    double edge = fmin(fabs(lat) + km / KM_PER_DEGREE, 89.9);
    return KM_PER_DEGREE * cos(edge * M_PI / 180);
}

/* Where distance is not asked to count, importance does. */
void photon_reverse_offer(const photon_query *q, photon_best *best, nom_hit *hit)
{
    double km = photon_km(q->at, geo_pt_of(hit->at));
    if (km > q->radius_km)
        return;
    hit->distance = km * 1000;
    hit->ranking = q->by_distance ? km : -hit->importance;
    photon_best_offer(best, hit);
}

static sx_status search_tree(const photon_asked *a, plc_section section, photon_best *best,
                             uint32_t *looked, sx_error *err)
{
    const plc_index *ix = a->index->places;
    const photon_query *q = a->query;
    double scale = least_km(q->at.lat, q->radius_km);
    geo_rtree tree;
    geo_rtree_hit box;
    geo_near near;
    sx_status status = nom_reverse_tree(ix, section, &tree, err);
    if (status != SX_OK || tree.count == 0)
        return status;
    geo_near_start(&near, &tree, q->at, q->radius_km / scale);
    while (*looked < LOOKED_AT_MAX && geo_near_next(&near, &box)) {
        if (q->by_distance && box.distance * scale > photon_best_most(best))
            break;
        ++*looked;
        const plc_disk_place *p = plc_place(ix, box.id);
        if (!p || !photon_record_wanted(ix, &q->wanted, p))
            continue;
        nom_hit hit = photon_place_hit(box.id, p);
        photon_reverse_offer(q, best, &hit);
    }
    if (near.failed)
        status = sx_fail_memory(err, "the places around a point");
    geo_near_done(&near);
    return status;
}

sx_status photon_reverse(const photon_asked *a, nom_hits *out, sx_error *err)
{
    static const plc_section TREES[] = {PLC_S_POI_TREE, PLC_S_STREET_TREE, PLC_S_NODE_TREE,
                                        PLC_S_AREA_TREE};
    photon_best best;
    uint32_t looked = 0;
    /* Room for streets that are said once, and for those without the words asked for. */
    uint32_t cap = a->query->words.len ? 20 * PHOTON_LIMIT_MAX : 3 * a->query->limit;
    sx_status status = photon_best_init(&best, a->arena, cap, err);
    for (size_t i = 0; i < SX_COUNT_OF(TREES) && a->index->places && status == SX_OK; i++)
        status = search_tree(a, TREES[i], &best, &looked, err);
    if (status == SX_OK)
        status = photon_documents_reverse(a, &best, err);
    if (status == SX_OK)
        photon_best_take(&best, out);
    return status;
}
