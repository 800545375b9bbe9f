/* build_points.c - all points in the order of a Hilbert curve, and the tree of boxes over them.
 *
 * The curve keeps neighbours on Earth near each other in the file, so 64 points in a row have a
 * small box, 64 such boxes a small one again, up to one root: nearest-neighbour and box queries
 * read a few of each. A place on the curve tells the point, so the external sort carries nothing
 * else but whose point it is. */
#include <sextant/mem.h>

#include "geocode/index/build_impl.h"

enum { TELL_EVERY = 1 << 18, SHIFT = 1800000000 }; /* units of 1e-7 degree that make all positive */

/* The curve of order 32 is walked four levels at a time. Walking it bit by bit, each level names a
 * quadrant (3 * right ^ up) and turns the square: below, the coordinates change places, and on the
 * right of that they are also mirrored. So there are four ways to look at a square (bit 0: changed,
 * bit 1: mirrored), and what four levels do is a table for each. */
typedef struct curve_table {
    uint16_t along[4][256]; /* way, 4 bits of x and 4 of y -> 8 bits along the curve | way << 8 */
    uint16_t back[4][256];  /* way, 8 bits along the curve -> 4 bits of x and 4 of y | way << 8 */
} curve_table;

static void fill_table(curve_table *t)
{
    for (unsigned way = 0; way < 4; way++) {
        for (unsigned xy = 0; xy < 256; xy++) {
            unsigned now = way, along = 0;
            for (unsigned bit = 4; bit-- > 0;) {
                unsigned x = (xy >> (4 + bit) & 1) ^ (now >> 1);
                unsigned y = (xy >> bit & 1) ^ (now >> 1);
                unsigned right = now & 1 ? y : x, up = now & 1 ? x : y;
                along = along << 2 | ((3 * right) ^ up);
                if (!up)
                    now ^= 1 | right << 1;
            }
            t->along[way][xy] = (uint16_t)(along | now << 8);
            t->back[way][along] = (uint16_t)(xy | now << 8);
        }
    }
}

/* HOT. Distance along the curve of the point (x, y). */
static uint64_t hilbert(const curve_table *t, uint32_t x, uint32_t y)
{
    uint64_t along = 0;
    unsigned way = 0;
    for (unsigned shift = 32; shift > 0;) {
        shift -= 4;
        unsigned step = t->along[way][(x >> shift & 15) << 4 | (y >> shift & 15)];
        along = along << 8 | (step & 255);
        way = step >> 8;
    }
    return along;
}

/* HOT. The point at a distance along the curve. */
static void hilbert_back(const curve_table *t, uint64_t along, uint32_t *x, uint32_t *y)
{
    unsigned way = 0;
    *x = *y = 0;
    for (unsigned shift = 64; shift > 0;) {
        shift -= 8;
        unsigned step = t->back[way][along >> shift & 255];
        *x = *x << 4 | (step >> 4 & 15);
        *y = *y << 4 | (step & 15);
        way = step >> 8;
    }
}

static void widen(geo_disk_box *box, const geo_disk_box *by)
{
    if (by->lon_min < box->lon_min)
        box->lon_min = by->lon_min;
    if (by->lat_min < box->lat_min)
        box->lat_min = by->lat_min;
    if (by->lon_max > box->lon_max)
        box->lon_max = by->lon_max;
    if (by->lat_max > box->lat_max)
        box->lat_max = by->lat_max;
}

static const geo_disk_box NOWHERE = {INT32_MAX, INT32_MAX, INT32_MIN, INT32_MIN};

static sx_status add_point(const curve_table *t, geo_sorter *s, int32_t lon_e7, int32_t lat_e7,
                           uint32_t doc, uint32_t number, sx_error *err)
{
    uint64_t along = hilbert(t, (uint32_t)lon_e7 + SHIFT, (uint32_t)lat_e7 + SHIFT);
    return geo_sorter_add(s, along, (uint64_t)doc << 32 | number, err);
}

/* A document's own point and those of its house numbers. */
static sx_status add_doc(geo_builder *b, const curve_table *t, geo_sorter *s,
                         geo_spool_reader *docs, geo_spool_reader *positions, uint32_t i,
                         sx_error *err)
{
    geo_disk_doc doc;
    geo_build_position at;
    const void *bytes = geo_spool_next(docs, sizeof(doc), err);
    if (!bytes)
        return err->status;
    memcpy(&doc, bytes, sizeof(doc));
    sx_status status = add_point(t, s, doc.lon_e7, doc.lat_e7, b->rank[i], GEO_NO_NUMBER, err);
    for (uint32_t n = 0; status == SX_OK && n < doc.number_count; n++) {
        bytes = geo_spool_next(positions, sizeof(at), err);
        if (!bytes)
            return err->status;
        memcpy(&at, bytes, sizeof(at));
        status = add_point(t, s, at.lon_e7, at.lat_e7, b->rank[i], n, err);
    }
    return status;
}

static sx_status add_all(geo_builder *b, const curve_table *t, geo_sorter *s, sx_error *err)
{
    geo_spool_reader docs, positions;
    geo_spool_reader_init(&docs, &b->docs);
    geo_spool_reader_init(&positions, &b->positions);
    sx_status status = SX_OK;
    for (uint32_t i = 0; status == SX_OK && i < b->doc_count; i++) {
        status = add_doc(b, t, s, &docs, &positions, i, err);
        if (status == SX_OK && i % (TELL_EVERY / 16) == 0)
            status = geo_build_told(b, GEO_BUILD_POINTS, i, b->doc_count, err);
    }
    geo_spool_reader_done(&docs);
    geo_spool_reader_done(&positions);
    if (status != SX_OK)
        return status;
    geo_spool_done(&b->docs);
    geo_spool_done(&b->positions);
    return geo_sorter_finish(s, err);
}

/* The points as they come, and a box for each 64 of them. */
static sx_status put_points(geo_builder *b, const curve_table *t, geo_sorter *s,
                            geo_build_sections *o, sx_error *err)
{
    geo_disk_box box = NOWHERE;
    for (uint64_t i = 0; i < s->total; i++) {
        geo_sort_record r = {0};
        sx_status status = geo_sorter_next(s, &r, err);
        if (status == SX_OK && i % TELL_EVERY == 0)
            status = geo_build_told(b, GEO_BUILD_POINTS_OUT, i, s->total, err);
        if (status == SX_OK)
            status = geo_spool_settle(&o->points, "the index's points", err);
        if (status != SX_OK)
            return status;
        uint32_t x, y;
        hilbert_back(t, r.high, &x, &y);
        geo_disk_point p = {(int32_t)(x - SHIFT), (int32_t)(y - SHIFT), (uint32_t)(r.low >> 32),
                            (uint32_t)r.low};
        sx_buf_bytes(&o->points.tail, &p, sizeof(p));
        widen(&box, &(geo_disk_box){p.lon_e7, p.lat_e7, p.lon_e7, p.lat_e7});
        if (i % GEO_POINT_BLOCK == GEO_POINT_BLOCK - 1 || i + 1 == s->total) {
            sx_buf_bytes(&o->tree.tail, &box, sizeof(box));
            box = NOWHERE;
        }
    }
    return geo_spool_settle(&o->points, "the index's points", err);
}

/* The boxes over `count` boxes that begin at box `first`; returns how many were made. */
static size_t put_level(sx_buf *tree, size_t first, size_t count)
{
    size_t made = 0;
    for (size_t from = 0; from < count && !tree->failed; from += GEO_POINT_BLOCK, made++) {
        geo_disk_box box = NOWHERE;
        for (size_t i = from; i < count && i < from + GEO_POINT_BLOCK; i++) {
            geo_disk_box below;
            memcpy(&below, tree->data + (first + i) * sizeof(below), sizeof(below));
            widen(&box, &below);
        }
        sx_buf_bytes(tree, &box, sizeof(box));
    }
    return made;
}

static sx_status put_tree(sx_buf *tree, sx_error *err)
{
    size_t first = 0, count = tree->len / sizeof(geo_disk_box);
    while (count > 1 && !tree->failed) {
        size_t made = put_level(tree, first, count);
        first += count;
        count = made;
    }
    return sx_buf_status(tree, "the index's boxes", err);
}

sx_status geo_build_points(geo_builder *b, geo_build_sections *out, sx_error *err)
{
    geo_sorter s;
    curve_table t;
    fill_table(&t);
    geo_sorter_init(&s, &b->temp, b->sort_bytes, "points");
    sx_status status = add_all(b, &t, &s, err);
    if (status == SX_OK)
        status = put_points(b, &t, &s, out, err);
    geo_sorter_done(&s);
    return status == SX_OK ? put_tree(&out->tree.tail, err) : status;
}
