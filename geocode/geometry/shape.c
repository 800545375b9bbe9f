/* shape.c - see shape.h. */
#include "geocode/geometry/shape.h"

#include <math.h>
#include <string.h>

#include "geocode/geometry/measure.h"

static const geo_box GLOBE = {-GEO_LON_E7_MAX, -GEO_LAT_E7_MAX, GEO_LON_E7_MAX, GEO_LAT_E7_MAX};

enum { POINTS_MAX = 16 << 20, RINGS_MAX = 1 << 20, HEAD_BYTES = 26 };

/* Heads are copied as they lie in memory. */
_Static_assert(sizeof(geo_at) == 8 && sizeof(geo_box) == 16, "two and four numbers");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "stored numbers are little-endian");

static int32_t rounded(double degrees, int32_t most)
{
    double units = floor(degrees * GEO_E7 + 0.5);
    if (units >= most)
        return most;
    if (units <= -most)
        return -most;
    return isnan(units) ? 0 : (int32_t)units;
}

geo_at geo_at_of(geo_pt p)
{
    return (geo_at){rounded(p.lon, GEO_LON_E7_MAX), rounded(p.lat, GEO_LAT_E7_MAX)};
}

uint64_t geo_shape_points(const geo_shape *shape)
{
    uint64_t points = 0;
    for (uint32_t i = 0; i < shape->ring_count; i++)
        points += shape->rings[i].count;
    return points;
}

static bool on_globe(geo_at at)
{
    return at.lon_e7 >= -GEO_LON_E7_MAX && at.lon_e7 <= GEO_LON_E7_MAX &&
           at.lat_e7 >= -GEO_LAT_E7_MAX && at.lat_e7 <= GEO_LAT_E7_MAX;
}

/* What is wrong with a part, or NULL. */
static const char *part_fault(const geo_shape *shape, uint32_t i)
{
    const geo_ring *r = &shape->rings[i];
    bool area = geo_shape_is_area(shape->kind);
    if (shape->kind == GEO_SHAPE_POINT && r->count != 1)
        return "a point has one coordinate";
    if (geo_shape_is_line(shape->kind) && r->count < 2)
        return "a line has two points or more";
    if (area && (r->count < 4 || !geo_at_equal(r->at[0], r->at[r->count - 1])))
        return "a ring has four points or more and its last equals its first";
    if (r->inner && (!area || i == 0))
        return "an inner ring follows the outer ring of its area";
    if (shape->kind == GEO_SHAPE_POLYGON && i > 0 && !r->inner)
        return "a polygon has one outer ring";
    for (uint32_t k = 0; k < r->count; k++)
        if (!on_globe(r->at[k]))
            return "a coordinate is not on the globe";
    return NULL;
}

sx_status geo_shape_check(const geo_shape *shape, sx_error *err)
{
    bool single = shape->kind == GEO_SHAPE_POINT || shape->kind == GEO_SHAPE_LINE;
    if (shape->kind > GEO_SHAPE_MULTI_POLYGON)
        return sx_fail(err, SX_EINVAL, "a shape has the unknown kind %d", (int)shape->kind);
    if (shape->ring_count == 0 || (single && shape->ring_count != 1))
        return sx_fail(err, SX_EINVAL, "a shape of kind %d has %u parts", (int)shape->kind,
                       shape->ring_count);
    for (uint32_t i = 0; i < shape->ring_count; i++) {
        const char *fault = part_fault(shape, i);
        if (fault)
            return sx_fail(err, SX_EINVAL, "part %u of a shape: %s", i, fault);
    }
    return SX_OK;
}

/* Writing. */

enum { VARINT_BYTES_MAX = 10 };

static size_t put_varint(uint8_t *to, uint64_t value)
{
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        to[n++] = (uint8_t)(value | 0x80);
    to[n++] = (uint8_t)value;
    return n;
}

static size_t put_zigzag(uint8_t *to, int64_t value)
{
    return put_varint(to, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

static size_t put_move(uint8_t *to, geo_at from, geo_at at)
{
    size_t n = put_zigzag(to, (int64_t)at.lon_e7 - from.lon_e7);
    return n + put_zigzag(to + n, (int64_t)at.lat_e7 - from.lat_e7);
}

/* Steps from at[0] to at[1] ... at[steps], at most a block's. */
static void put_block(sx_buf *out, const geo_at *at, uint32_t steps, bool with_head)
{
    uint8_t body[GEO_BLOCK_STEPS * 2 * VARINT_BYTES_MAX];
    geo_box box = {at[0].lon_e7, at[0].lat_e7, at[0].lon_e7, at[0].lat_e7};
    size_t n = 0;
    for (uint32_t i = 1; i <= steps; i++) {
        n += put_move(body + n, at[i - 1], at[i]);
        geo_box_add(&box, at[i]);
    }
    if (with_head) {
        uint16_t bytes = (uint16_t)n; /* at most 1,280 */
        sx_buf_bytes(out, &bytes, sizeof bytes);
        sx_buf_bytes(out, &at[steps], sizeof at[steps]);
        sx_buf_bytes(out, &box, sizeof box);
    }
    sx_buf_bytes(out, body, n);
}

void geo_shape_encode(const geo_shape *shape, sx_buf *out)
{
    uint8_t head[3 * VARINT_BYTES_MAX];
    bool area = geo_shape_is_area(shape->kind);
    geo_at before = {0, 0};
    sx_buf_bytes(out, head,
                 put_varint(head, (uint64_t)shape->kind | (uint64_t)shape->ring_count << 3));
    for (uint32_t i = 0; i < shape->ring_count; i++) {
        const geo_ring *r = &shape->rings[i];
        uint32_t stored = r->count - (area ? 1 : 0), steps = stored - 1;
        size_t n = put_varint(head, (uint64_t)stored << 1 | (r->inner ? 1 : 0));
        sx_buf_bytes(out, head, n + put_move(head + n, before, r->at[0]));
        before = r->at[0];
        for (uint32_t done = 0; done < steps;) {
            uint32_t block = steps - done < GEO_BLOCK_STEPS ? steps - done : GEO_BLOCK_STEPS;
            put_block(out, r->at + done, block, steps > GEO_BLOCK_STEPS);
            done += block;
        }
    }
}

/* Reading in place. */

bool geo_scan_damaged(geo_scan *s)
{
    s->c.bad = true;
    s->block_steps = s->steps_left = s->parts_left = 0;
    s->close_left = s->closes = false;
    s->begun = true; /* no empty block either */
    return false;
}

/* Reads a move from `from` to *to; false if it leaves the globe or the bytes end. */
static bool take_move(geo_scan *s, geo_at from, geo_at *to)
{
    uint64_t lon = (uint64_t)geo_cursor_zigzag(&s->c) + (uint64_t)(int64_t)from.lon_e7;
    uint64_t lat = (uint64_t)geo_cursor_zigzag(&s->c) + (uint64_t)(int64_t)from.lat_e7;
    if (s->c.bad || lon + GEO_LON_E7_MAX > 2 * (uint64_t)GEO_LON_E7_MAX ||
        lat + GEO_LAT_E7_MAX > 2 * (uint64_t)GEO_LAT_E7_MAX)
        return false;
    *to = (geo_at){(int32_t)(int64_t)lon, (int32_t)(int64_t)lat};
    return true;
}

/* Reads the head of the next part, whose predecessor began at s->part_first. */
static bool part_head(geo_scan *s, bool first)
{
    uint64_t word = geo_cursor_varint(&s->c);
    uint64_t stored = word >> 1, least = s->kind == GEO_SHAPE_POINT ? 1 : 2;
    if (geo_shape_is_area(s->kind))
        least = 3;
    s->inner = word & 1;
    if (s->c.bad || stored < least || (least == 1 && stored != 1) ||
        !take_move(s, s->part_first, &s->part_first) || (s->inner && (least != 3 || first)) ||
        (s->kind == GEO_SHAPE_POLYGON && !first && !s->inner) ||
        (stored - 1) * 2 > (uint64_t)(s->c.end - s->c.at)) /* a step takes two bytes or more */
        return geo_scan_damaged(s);
    s->at = s->part_first;
    s->steps_left = (uint32_t)(stored - 1);
    s->blocked = s->steps_left > GEO_BLOCK_STEPS;
    s->close_left = least == 3;
    s->closes = s->begun = false;
    s->block_steps = 0;
    s->head_end = NULL;
    return true;
}

bool geo_scan_open(geo_scan *s, sx_str bytes)
{
    *s = (geo_scan){.c = geo_cursor_at((const uint8_t *)bytes.data, bytes.len, 0)};
    uint64_t word = geo_cursor_varint(&s->c), parts = word >> 3;
    s->kind = (geo_shape_kind)(word & 7);
    bool single = s->kind == GEO_SHAPE_POINT || s->kind == GEO_SHAPE_LINE;
    if (s->c.bad || s->kind > GEO_SHAPE_MULTI_POLYGON || parts == 0 || parts > UINT32_MAX ||
        (single && parts != 1))
        return geo_scan_damaged(s);
    s->parts_left = (uint32_t)parts - 1;
    return part_head(s, true);
}

bool geo_scan_part(geo_scan *s)
{
    for (;;) { /* what was not looked at */
        geo_scan_skip(s);
        if (s->steps_left == 0 || !geo_scan_block(s))
            break;
    }
    if (s->c.bad || s->parts_left == 0)
        return false;
    s->parts_left--;
    return part_head(s, false);
}

/* Reads a block's head. */
static bool block_head(geo_scan *s)
{
    uint16_t bytes;
    if (s->c.end - s->c.at < HEAD_BYTES)
        return geo_scan_damaged(s);
    memcpy(&bytes, s->c.at, sizeof bytes);
    memcpy(&s->block_end, s->c.at + 2, sizeof s->block_end);
    memcpy(&s->block, s->c.at + 10, sizeof s->block);
    s->c.at += HEAD_BYTES;
    if (bytes > s->c.end - s->c.at)
        return geo_scan_damaged(s);
    s->head_end = s->c.at + bytes;
    return true;
}

bool geo_scan_block(geo_scan *s)
{
    geo_scan_skip(s);
    if (s->steps_left > 0) {
        uint32_t take = s->steps_left < GEO_BLOCK_STEPS ? s->steps_left : GEO_BLOCK_STEPS;
        s->begun = true;
        s->block = GLOBE;
        s->head_end = NULL;
        if (s->blocked && !block_head(s))
            return false;
        s->block_steps = take;
        s->steps_left -= take;
        return true;
    }
    if (s->c.bad)
        return false;
    if (s->close_left) {
        s->close_left = false;
        s->closes = s->begun = true;
        s->block_steps = 1;
        s->block = (geo_box){s->at.lon_e7, s->at.lat_e7, s->at.lon_e7, s->at.lat_e7};
        geo_box_add(&s->block, s->part_first);
        return true;
    }
    bool point = !s->begun; /* a point: one block without a step */
    s->begun = true;
    return point;
}

bool geo_scan_turn(geo_scan *s)
{
    if (s->closes && s->block_steps) {
        s->block_steps = 0;
        s->at = s->part_first;
        return true;
    }
    s->closes = false;
    if (s->head_end) {
        bool sound = s->c.at == s->head_end && geo_at_equal(s->at, s->block_end);
        s->head_end = NULL;
        if (!sound)
            return geo_scan_damaged(s);
    }
    return s->c.bad ? geo_scan_damaged(s) : false;
}

void geo_scan_skip(geo_scan *s)
{
    if (s->head_end) {
        s->c.at = s->head_end;
        s->at = s->block_end;
        s->block_steps = 0;
        s->head_end = NULL;
        return;
    }
    while (geo_scan_step(s))
        ;
}

/* Reading into memory. */

typedef struct decoding {
    sx_arena *arena;
    geo_shape_limits limits;
    uint64_t points; /* so far */
} decoding;

static sx_status corrupt(sx_error *err)
{
    return sx_fail(err, SX_ECORRUPT, "a stored shape is damaged; import the data again");
}

/* The points of the part that `s` is at. */
static sx_status decode_part(decoding *d, geo_scan *s, geo_ring *out, sx_error *err)
{
    uint64_t count = (uint64_t)s->steps_left + 1 + (s->close_left ? 1 : 0);
    d->points += count;
    if (d->points > d->limits.points_max)
        return sx_fail(err, SX_ELIMIT, "a stored shape has more than %u points",
                       d->limits.points_max);
    geo_at *at = sx_arena_alloc(d->arena, count * sizeof *at);
    if (!at)
        return sx_fail_memory(err, "the points of a shape");
    uint32_t n = 0;
    at[n++] = s->at;
    while (geo_scan_block(s)) {
        geo_box box = s->block;
        while (geo_scan_step(s)) {
            if (s->at.lon_e7 < box.lon_min || s->at.lon_e7 > box.lon_max ||
                s->at.lat_e7 < box.lat_min || s->at.lat_e7 > box.lat_max)
                return corrupt(err);
            at[n++] = s->at;
        }
    }
    if (s->c.bad || n != count)
        return corrupt(err);
    *out = (geo_ring){at, n, s->inner};
    return SX_OK;
}

sx_status geo_shape_decode(geo_cursor *c, sx_arena *arena, geo_shape_limits limits, geo_shape *out,
                           sx_error *err)
{
    decoding d = {arena, limits, 0};
    if (!d.limits.points_max)
        d.limits.points_max = POINTS_MAX;
    if (!d.limits.rings_max)
        d.limits.rings_max = RINGS_MAX;
    geo_scan s;
    if (c->bad || !geo_scan_open(&s, sx_str_of(c->at, (size_t)(c->end - c->at))))
        return corrupt(err);
    uint32_t parts = s.parts_left + 1;
    /* A part takes three bytes or more: no large array for a few damaged bytes. */
    if (parts > d.limits.rings_max || s.parts_left > (uint64_t)(s.c.end - s.c.at) / 3)
        return sx_fail(err, parts > d.limits.rings_max ? SX_ELIMIT : SX_ECORRUPT,
                       "a stored shape says that it has %u parts", parts);
    geo_ring *rings = sx_arena_calloc(arena, parts, sizeof *rings);
    if (!rings)
        return sx_fail_memory(err, "the parts of a shape");
    uint32_t n = 0;
    do {
        sx_status st = decode_part(&d, &s, &rings[n], err);
        if (st != SX_OK)
            return st;
        n++;
    } while (geo_scan_part(&s));
    if (s.c.bad || n != parts)
        return corrupt(err);
    c->at = s.c.at;
    *out = (geo_shape){s.kind, rings, parts};
    return SX_OK;
}
