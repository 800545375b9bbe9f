/* reverse.c - see reverse.h. */
#include "geocode/reverse/reverse.h"

#include <math.h>

#include "geocode/index/reader.h"

static const double RADIANS = M_PI / 180, RADIUS_M = 6367000, SCORE_SCALE_M = 50000;

/* The filters as terms: groups of alternatives, laid one behind the other. */
typedef struct filters {
    uint32_t terms[GEO_QUERY_FILTERS_MAX];
    uint32_t ends[GEO_QUERY_FILTERS_MAX]; /* where each group ends in `terms` */
    uint32_t group_count, term_count;
    bool nothing_passes;
    bool type_filtered, takes_housenumber;
} filters;

/* One nearest-neighbour walk. */
typedef struct hunt {
    const geo_index *ix;
    const geo_reverse_query *q;
    const filters *f;
    geo_results *out;
    uint32_t limit;
    double worst_m; /* a point farther away than this is no use */
    bool corrupt;
} hunt;

static const geo_disk_box *box_at(const geo_index *ix, uint32_t level, uint64_t i)
{
    const geo_disk_box *boxes = (const geo_disk_box *)(const void *)ix->s[GEO_S_POINT_TREE].data;
    return boxes + ix->level_first[level] + i;
}

/* No point of the box is nearer than this. The nearer of: the way to its band of latitudes, and the
 * way to the great circle of its nearer edge; both are true lower bounds, the larger is taken. */
static double bound_m(const geo_disk_box *box, double lat, double lon)
{
    double north = 0, east = 0;
    if (lat < box->lat_min / 1e7)
        north = box->lat_min / 1e7 - lat;
    else if (lat > box->lat_max / 1e7)
        north = lat - box->lat_max / 1e7;
    double west_gap = box->lon_min / 1e7 - lon, east_gap = lon - box->lon_max / 1e7;
    if (west_gap > 0 || east_gap > 0) {
        /* Degrees of longitude to either edge, the short way round. */
        double a = fabs(remainder(box->lon_min / 1e7 - lon, 360));
        double b = fabs(remainder(box->lon_max / 1e7 - lon, 360));
        east = fmin(a, b);
    }
    double along = north * RADIANS * RADIUS_M;
    double across = east >= 90 ? 0 : asin(sin(east * RADIANS) * cos(lat * RADIANS)) * RADIUS_M;
    return fmax(along, across);
}

static bool has_term(const uint32_t *terms, uint32_t count, uint32_t term)
{
    for (uint32_t i = 0; i < count && terms[i] <= term; i++) {
        if (terms[i] == term)
            return true;
    }
    return false;
}

static bool passes(const hunt *h, uint32_t doc)
{
    uint32_t terms[GEO_DOC_TERMS_MAX];
    const filters *f = h->f;
    if (f->group_count == 0)
        return true;
    uint32_t count = geo_doc_terms(h->ix, doc, terms), at = 0;
    for (uint32_t g = 0; g < f->group_count; g++) {
        bool any = false;
        for (; at < f->ends[g]; at++)
            any = any || has_term(terms, count, f->terms[at]);
        if (!any)
            return false;
    }
    return true;
}

/* Puts a point in its place among the results, its document's earlier and farther one replaced. */
static void insert(hunt *h, const geo_disk_point *p, double distance_m)
{
    geo_results *out = h->out;
    uint32_t gap = 0;
    while (gap < out->count && out->items[gap].doc != p->doc)
        gap++;
    if (gap < out->count && out->items[gap].distance_m <= distance_m)
        return;
    if (gap == out->count) {
        if (out->count < h->limit)
            out->count++;
        gap = out->count - 1;
    }
    /* Nearer ones stay; what lies between the place and the gap moves into the gap. */
    while (gap > 0 && out->items[gap - 1].distance_m > distance_m) {
        out->items[gap] = out->items[gap - 1];
        gap--;
    }
    double far = distance_m / SCORE_SCALE_M;
    out->items[gap] = (geo_result){.doc = p->doc,
                                   .number = p->number,
                                   .lon_e7 = p->lon_e7,
                                   .lat_e7 = p->lat_e7,
                                   .score = exp(-far * far),
                                   .distance_m = distance_m};
    if (out->count == h->limit && out->items[out->count - 1].distance_m < h->worst_m)
        h->worst_m = out->items[out->count - 1].distance_m;
}

/* A document is represented by its house numbers if it has any that may be answered. */
static bool is_representative(const hunt *h, const geo_disk_point *p)
{
    bool numbers =
        h->ix->docs[p->doc].number_count > 0 && (!h->f->type_filtered || h->f->takes_housenumber);
    return (p->number != GEO_NO_NUMBER) == numbers;
}

static void look_at_points(hunt *h, uint64_t leaf)
{
    const geo_disk_point *points =
        (const geo_disk_point *)(const void *)h->ix->s[GEO_S_POINTS].data;
    uint64_t from = leaf * GEO_POINT_BLOCK, to = from + GEO_POINT_BLOCK;
    if (to > h->ix->s[GEO_S_POINTS].count)
        to = h->ix->s[GEO_S_POINTS].count;
    for (uint64_t i = from; i < to; i++) {
        const geo_disk_point *p = &points[i];
        if (p->doc >= h->ix->doc_count) {
            h->corrupt = true;
            return;
        }
        if (!is_representative(h, p))
            continue;
        double d = geo_distance_m(h->q->lat, h->q->lon, p->lat_e7 / 1e7, p->lon_e7 / 1e7);
        bool farther = h->out->count == h->limit ? d >= h->worst_m : d > h->worst_m;
        if (!farther && passes(h, p->doc))
            insert(h, p, d);
    }
}

/* A child box and how near it may come. */
typedef struct child {
    double bound_m;
    uint64_t index;
} child;

/* Enters the boxes below (`level`, `index`), nearest first. Recursion is as deep as the tree, six
 * levels at most. */
static void descend(hunt *h, uint32_t level, uint64_t index)
{
    if (level == 0) {
        look_at_points(h, index);
        return;
    }
    child children[GEO_POINT_BLOCK];
    uint32_t count = 0;
    uint64_t from = index * GEO_POINT_BLOCK, to = from + GEO_POINT_BLOCK;
    if (to > h->ix->level_size[level - 1])
        to = h->ix->level_size[level - 1];
    for (uint64_t i = from; i < to; i++) {
        double bound = bound_m(box_at(h->ix, level - 1, i), h->q->lat, h->q->lon);
        if (bound > h->worst_m)
            continue;
        uint32_t at = count++;
        for (; at > 0 && children[at - 1].bound_m > bound; at--)
            children[at] = children[at - 1];
        children[at] = (child){bound, i};
    }
    for (uint32_t i = 0; i < count && children[i].bound_m <= h->worst_m; i++)
        descend(h, level - 1, children[i].index);
}

static int32_t to_e7(double degrees)
{
    return (int32_t)llround(degrees * 1e7);
}

/* The nearest point that represents a document. */
static void look_at_doc(hunt *h, uint32_t doc)
{
    const geo_disk_doc *d = &h->ix->docs[doc];
    geo_disk_point nearest = {d->lon_e7, d->lat_e7, doc, GEO_NO_NUMBER};
    bool numbers = d->number_count > 0 && (!h->f->type_filtered || h->f->takes_housenumber);
    geo_housenumber n;
    if (numbers && geo_number_nearest(h->ix, doc, to_e7(h->q->lon), to_e7(h->q->lat), &n))
        nearest = (geo_disk_point){n.lon_e7, n.lat_e7, doc, n.index};
    double best_m =
        geo_distance_m(h->q->lat, h->q->lon, nearest.lat_e7 / 1e7, nearest.lon_e7 / 1e7);
    if (best_m < h->worst_m || h->out->count < h->limit)
        insert(h, &nearest, best_m);
}

enum { CELL_DOCS_MAX = 4096 };

/* Two rings of cells are looked at only if one has nothing. */
static void look_at_cells(hunt *h, unsigned rings)
{
    uint32_t docs[CELL_DOCS_MAX];
    uint32_t count = geo_cell_docs(h->ix, h->q->lat, h->q->lon, rings, docs, CELL_DOCS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (passes(h, docs[i]))
            look_at_doc(h, docs[i]);
    }
}

static bool met_before(const geo_reverse_query *q, size_t i)
{
    for (size_t before = 0; before < i; before++) {
        if (sx_str_eq(q->filters[before].key, q->filters[i].key))
            return true;
    }
    return false;
}

static void take_filters(const geo_index *ix, const geo_reverse_query *q, filters *f)
{
    *f = (filters){0};
    for (size_t i = 0; i < q->filter_count; i++) {
        if (met_before(q, i) || !geo_filter_known(ix, q->filters[i].key))
            continue;
        bool is_type = sx_str_eq(q->filters[i].key, SX_STR("type"));
        uint32_t first = f->term_count;
        uint32_t values = 0;
        for (size_t k = i; k < q->filter_count && values < GEO_QUERY_VALUES_MAX; k++) {
            if (!sx_str_eq(q->filters[k].key, q->filters[i].key))
                continue;
            values++;
            if (is_type && sx_str_eq(q->filters[k].value, SX_STR("housenumber")))
                f->takes_housenumber = true;
            uint32_t term = geo_filter_term(ix, q->filters[k].key, q->filters[k].value);
            if (term != GEO_NO_TERM)
                f->terms[f->term_count++] = term;
        }
        f->type_filtered = f->type_filtered || is_type;
        f->nothing_passes = f->nothing_passes || f->term_count == first;
        f->ends[f->group_count++] = f->term_count;
    }
}

sx_status geo_reverse(const geo_index *ix, const geo_reverse_query *q, geo_results *out,
                      sx_error *err)
{
    filters f;
    out->count = 0;
    if (!(fabs(q->lat) <= 90 && fabs(q->lon) <= 180))
        return sx_fail(err, SX_EINVAL, "lat %g, lon %g is not on Earth", q->lat, q->lon);
    if (q->filter_count > GEO_QUERY_FILTERS_MAX)
        return sx_fail(err, SX_ELIMIT, "%zu filter values; at most %d are possible",
                       q->filter_count, GEO_QUERY_FILTERS_MAX);
    take_filters(ix, q, &f);
    if (f.nothing_passes || ix->level_count == 0)
        return SX_OK;
    hunt h = {.ix = ix,
              .q = q,
              .f = &f,
              .out = out,
              .limit = q->limit == 0                ? 1
                       : q->limit < GEO_RESULTS_MAX ? q->limit
                                                    : GEO_RESULTS_MAX,
              .worst_m = q->within_m > 0 ? q->within_m : INFINITY};
    if (q->within_m == GEO_REVERSE_CELLS)
        look_at_cells(&h, 1);
    if (q->within_m == GEO_REVERSE_CELLS && out->count == 0)
        look_at_cells(&h, 2);
    if (q->within_m != GEO_REVERSE_CELLS)
        descend(&h, ix->level_count - 1, 0);
    return h.corrupt ? sx_fail(err, SX_ECORRUPT, "the index names a document that it does not have")
                     : SX_OK;
}
