/* box.c - the points inside a rectangle, for the page's little map. See reverse.h. */
#include <math.h>

#include "geocode/index/reader.h"
#include "geocode/reverse/reverse.h"

/* One walk. A box that crosses the date line is two walks. */
typedef struct walk {
    const geo_index *ix;
    geo_disk_box box;
    geo_box_kinds kinds;
    uint32_t left; /* points that may still be visited */
    geo_box_visit visit;
    void *context;
    bool stopped, corrupt;
} walk;

static bool overlaps(const geo_disk_box *a, const geo_disk_box *b)
{
    return a->lon_min <= b->lon_max && b->lon_min <= a->lon_max && a->lat_min <= b->lat_max &&
           b->lat_min <= a->lat_max;
}

static void visit_points(walk *w, uint64_t leaf)
{
    const geo_disk_point *points =
        (const geo_disk_point *)(const void *)w->ix->s[GEO_S_POINTS].data;
    uint64_t from = leaf * GEO_POINT_BLOCK, to = from + GEO_POINT_BLOCK;
    if (to > w->ix->s[GEO_S_POINTS].count)
        to = w->ix->s[GEO_S_POINTS].count;
    for (uint64_t i = from; i < to && !w->stopped; i++) {
        const geo_disk_point *p = &points[i];
        geo_disk_box here = {p->lon_e7, p->lat_e7, p->lon_e7, p->lat_e7};
        geo_box_kinds kind = p->number == GEO_NO_NUMBER ? GEO_BOX_DOCUMENTS : GEO_BOX_NUMBERS;
        if (!(w->kinds & kind) || !overlaps(&here, &w->box))
            continue;
        if (p->doc >= w->ix->doc_count) {
            w->corrupt = w->stopped = true;
            return;
        }
        if (w->left == 0) {
            w->stopped = true;
            return;
        }
        w->left--;
        geo_box_point out = {p->doc, p->number, p->lon_e7, p->lat_e7};
        w->stopped = !w->visit(w->context, &out);
    }
}

/* Recursion is as deep as the tree, six levels at most. */
static void descend(walk *w, uint32_t level, uint64_t index)
{
    const geo_disk_box *boxes = (const geo_disk_box *)(const void *)w->ix->s[GEO_S_POINT_TREE].data;
    if (w->stopped || !overlaps(&boxes[w->ix->level_first[level] + index], &w->box))
        return;
    if (level == 0) {
        visit_points(w, index);
        return;
    }
    uint64_t from = index * GEO_POINT_BLOCK, to = from + GEO_POINT_BLOCK;
    if (to > w->ix->level_size[level - 1])
        to = w->ix->level_size[level - 1];
    for (uint64_t i = from; i < to && !w->stopped; i++)
        descend(w, level - 1, i);
}

/* Degrees to 1e-7, held inside the globe. */
static int32_t clamp_e7(double degrees, double most)
{
    return (int32_t)llround(fmax(-most, fmin(most, degrees)) * 1e7);
}

sx_status geo_points_in_box(const geo_index *ix, const geo_degree_box *box, geo_box_kinds kinds,
                            uint32_t limit, geo_box_visit visit, void *context, uint32_t *total,
                            sx_error *err)
{
    if (total)
        *total = 0;
    if (!isfinite(box->lon_min) || !isfinite(box->lon_max) || !isfinite(box->lat_min) ||
        !isfinite(box->lat_max) || box->lat_min > box->lat_max)
        return sx_fail(err, SX_EINVAL, "lon %g to %g, lat %g to %g is no rectangle", box->lon_min,
                       box->lon_max, box->lat_min, box->lat_max);
    walk w = {.ix = ix,
              .box = {clamp_e7(box->lon_min, 180), clamp_e7(box->lat_min, 90),
                      clamp_e7(box->lon_max, 180), clamp_e7(box->lat_max, 90)},
              .kinds = kinds,
              .left = limit,
              .visit = visit,
              .context = context};
    if (ix->level_count == 0)
        return SX_OK;
    uint32_t root = ix->level_count - 1;
    if (box->lon_min > box->lon_max) {
        int32_t east = w.box.lon_max;
        w.box.lon_max = 1800000000;
        descend(&w, root, 0);
        w.box.lon_min = -1800000000;
        w.box.lon_max = east;
    }
    descend(&w, root, 0);
    if (total)
        *total = limit - w.left;
    return w.corrupt ? sx_fail(err, SX_ECORRUPT, "the index names a document that it does not have")
                     : SX_OK;
}
