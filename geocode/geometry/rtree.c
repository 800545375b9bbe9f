/* rtree.c - see rtree.h. */
#include "geocode/geometry/rtree.h"

#include <math.h>
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/geometry/exact.h"
#include "geocode/geometry/measure.h"

enum {
    HEAD_BYTES = 16,
    WIDE = GEO_RTREE_WIDE,
};

/* The loops over a node's boxes are compiled a second time for wider vectors where the compiler and
 * the system can choose at the start; sanitizers cannot follow that choice. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__OPTIMIZE__) && !defined(__clang__) &&   \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WIDER __attribute__((target_clones("avx2", "default")))
#else
#define WIDER
#endif

/* A node as it lies in the bytes; ids only on the lowest level. */
typedef struct node {
    int32_t lon_min[WIDE], lat_min[WIDE], lon_max[WIDE], lat_max[WIDE];
} node;

typedef struct leaf {
    node boxes;
    uint32_t id[WIDE];
} leaf;

static size_t node_bytes(uint32_t level)
{
    return level == 0 ? sizeof(leaf) : sizeof(node);
}

static const node *node_at(const geo_rtree *t, uint32_t level, uint32_t number)
{
    return (const node *)(const void *)(t->level[level] + (size_t)number * node_bytes(level));
}

/* The number of nodes of each level; returns that of levels. */
static uint32_t shape_of(uint32_t count, uint32_t nodes[GEO_RTREE_LEVELS_MAX])
{
    uint32_t levels = 0;
    for (uint32_t n = count; n > 1 || (levels == 0 && n > 0);) {
        n = n / WIDE + (n % WIDE ? 1 : 0);
        nodes[levels++] = n;
    }
    return levels;
}

uint64_t geo_rtree_bytes(uint32_t count)
{
    uint32_t nodes[GEO_RTREE_LEVELS_MAX];
    uint64_t bytes = HEAD_BYTES;
    uint32_t levels = shape_of(count, nodes);
    for (uint32_t i = 0; i < levels; i++)
        bytes += (uint64_t)nodes[i] * node_bytes(i);
    return bytes;
}

/* Building. */

uint64_t geo_rtree_order(geo_box box)
{
    /* The middle of the box on a grid of 2^32 by 2^32, then Hilbert's curve from the top bit down. */
    uint32_t x = (uint32_t)(((int64_t)box.lon_min + box.lon_max) / 2 + GEO_LON_E7_MAX);
    uint32_t y = (uint32_t)(((int64_t)box.lat_min + box.lat_max) / 2 + GEO_LON_E7_MAX);
    uint64_t order = 0;
    for (uint32_t bit = 1U << 31; bit; bit >>= 1) {
        bool right = x & bit, up = y & bit;
        order = order << 2 | (uint64_t)((right ? 3 : 0) ^ (up ? 1 : 0));
        if (up)
            continue;
        if (right) {
            x = ~x;
            y = ~y;
        }
        uint32_t swap = x;
        x = y;
        y = swap;
    }
    return order;
}

typedef struct keyed {
    uint64_t order;
    geo_rtree_item item;
} keyed;

static int by_order(const void *x, const void *y)
{
    const keyed *a = x, *b = y;
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return (a->item.id > b->item.id) - (a->item.id < b->item.id);
}

sx_status geo_rtree_sort(geo_rtree_item *items, uint32_t count, sx_error *err)
{
    keyed *k = sx_alloc(((size_t)count + 1) * sizeof *k);
    if (!k)
        return sx_fail_memory(err, "the order of boxes");
    for (uint32_t i = 0; i < count; i++)
        k[i] = (keyed){geo_rtree_order(items[i].box), items[i]};
    qsort(k, count, sizeof *k, by_order);
    for (uint32_t i = 0; i < count; i++)
        items[i] = k[i].item;
    sx_free(k);
    return SX_OK;
}

static void put_box(node *n, uint32_t i, geo_box box)
{
    n->lon_min[i] = box.lon_min;
    n->lat_min[i] = box.lat_min;
    n->lon_max[i] = box.lon_max;
    n->lat_max[i] = box.lat_max;
}

static geo_box get_box(const node *n, uint32_t i)
{
    return (geo_box){n->lon_min[i], n->lat_min[i], n->lon_max[i], n->lat_max[i]};
}

static const geo_box NOTHING = {INT32_MAX, INT32_MAX, INT32_MIN, INT32_MIN};

/* The box around a node's boxes. */
static geo_box node_box(const node *n)
{
    geo_box all = NOTHING;
    for (uint32_t i = 0; i < WIDE; i++) {
        geo_box b = get_box(n, i);
        if (b.lon_min > b.lon_max)
            break;
        geo_box_add(&all, (geo_at){b.lon_min, b.lat_min});
        geo_box_add(&all, (geo_at){b.lon_max, b.lat_max});
    }
    return all;
}

static void fill_leaf(leaf *to, const geo_rtree_item *items, uint32_t count)
{
    for (uint32_t i = 0; i < WIDE; i++) {
        put_box(&to->boxes, i, i < count ? items[i].box : NOTHING);
        to->id[i] = i < count ? items[i].id : 0;
    }
}

sx_status geo_rtree_build(const geo_rtree_item *items, uint32_t count, sx_buf *out, sx_error *err)
{
    uint64_t bytes = geo_rtree_bytes(count);
    sx_assert(out->len % 4 == 0);
    uint8_t *base = (uint8_t *)sx_buf_reserve(out, (size_t)bytes);
    if (!base)
        return sx_buf_status(out, "a tree of boxes", err);
    uint32_t head[4] = {count, 0, 0, 0};
    memcpy(base, head, sizeof head);
    geo_rtree t = {.count = count};
    t.levels = shape_of(count, t.nodes);
    uint8_t *at = base + HEAD_BYTES;
    for (uint32_t i = t.levels; i-- > 0; at += (size_t)t.nodes[i] * node_bytes(i))
        t.level[i] = at;
    for (uint32_t i = 0; i < t.levels; i++)
        for (uint32_t k = 0; k < t.nodes[i]; k++) {
            uint8_t *to = base + (t.level[i] - base) + (size_t)k * node_bytes(i);
            uint32_t first = k * WIDE;
            if (i == 0) {
                uint32_t left = count - first;
                fill_leaf((leaf *)(void *)to, items + first, left < WIDE ? left : WIDE);
                continue;
            }
            for (uint32_t c = 0; c < WIDE; c++)
                put_box((node *)(void *)to, c,
                        first + c < t.nodes[i - 1] ? node_box(node_at(&t, i - 1, first + c))
                                                   : NOTHING);
        }
    out->len += (size_t)bytes;
    return SX_OK;
}

sx_status geo_rtree_open(sx_str bytes, geo_rtree *out, sx_error *err)
{
    uint32_t count = 0;
    if (bytes.len >= HEAD_BYTES)
        memcpy(&count, bytes.data, sizeof count);
    if (bytes.len < HEAD_BYTES || (uintptr_t)bytes.data % 4 || geo_rtree_bytes(count) != bytes.len)
        return sx_fail(err, SX_ECORRUPT,
                       "a tree of boxes says %u items and has %zu bytes; import the data again",
                       count, bytes.len);
    *out = (geo_rtree){.count = count};
    out->levels = shape_of(count, out->nodes);
    const uint8_t *at = (const uint8_t *)bytes.data + HEAD_BYTES;
    for (uint32_t i = out->levels; i-- > 0; at += (size_t)out->nodes[i] * node_bytes(i))
        out->level[i] = at;
    return SX_OK;
}

/* Boxes that meet a box. */

/* Bit i: box i of the node meets `box`. */
WIDER
static uint32_t meeting(const node *n, geo_box box)
{
    uint8_t hit[WIDE];
    uint32_t mask = 0;
    for (unsigned i = 0; i < WIDE; i++)
        hit[i] = (uint8_t)((n->lon_min[i] <= box.lon_max) & (n->lon_max[i] >= box.lon_min) &
                           (n->lat_min[i] <= box.lat_max) & (n->lat_max[i] >= box.lat_min));
    for (unsigned i = 0; i < WIDE; i++)
        mask |= (uint32_t)hit[i] << i;
    return mask;
}

typedef struct query {
    const geo_rtree *t;
    geo_box box;
    geo_rtree_each each;
    void *context;
} query;

static bool query_node(const query *q, uint32_t level, uint32_t number)
{
    const node *n = node_at(q->t, level, number);
    uint32_t below = level ? q->t->nodes[level - 1] : 0;
    for (uint32_t mask = meeting(n, q->box); mask; mask &= mask - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(mask);
        if (level == 0) {
            const leaf *l = (const leaf *)(const void *)n;
            if (!q->each(q->context, l->id[i], get_box(n, i)))
                return false;
        } else if (number * WIDE + i < below && /* else damaged */
                   !query_node(q, level - 1, number * WIDE + i)) {
            return false;
        }
    }
    return true;
}

bool geo_rtree_query(const geo_rtree *t, geo_box box, geo_rtree_each each, void *context)
{
    query q = {t, box, each, context};
    return t->levels == 0 || query_node(&q, t->levels - 1, 0);
}

typedef struct finding {
    uint32_t *ids, most, count;
} finding;

static bool find_one(void *context, uint32_t id, geo_box box)
{
    finding *f = context;
    (void)box;
    if (f->count < f->most)
        f->ids[f->count] = id;
    f->count++;
    return true;
}

uint32_t geo_rtree_find(const geo_rtree *t, geo_box box, uint32_t *ids, uint32_t most)
{
    finding f = {ids, most, 0};
    (void)geo_rtree_query(t, box, find_one, &f);
    return f.count;
}

/* The nearest. Distances are squared, in stored units. */

WIDER
static void distances(const node *n, geo_pt p, double out[WIDE])
{
    for (unsigned i = 0; i < WIDE; i++) {
        double west = n->lon_min[i] - p.lon, east = p.lon - n->lon_max[i];
        double south = n->lat_min[i] - p.lat, north = p.lat - n->lat_max[i];
        double x = west > east ? west : east, y = south > north ? south : north;
        x = x > 0 ? x : 0;
        y = y > 0 ? y : 0;
        out[i] = x * x + y * y;
    }
}

typedef struct search {
    const geo_rtree *t;
    geo_pt p;
    double least2; /* the nearest so far, or the radius */
    geo_rtree_exact exact;
    void *context;
    geo_rtree_hit *out;
    bool found;
} search;

static bool present(const node *n, uint32_t i)
{
    return n->lon_min[i] <= n->lon_max[i];
}

static void search_leaf(search *s, const node *n, const double d[WIDE])
{
    const leaf *l = (const leaf *)(const void *)n;
    for (uint32_t i = 0; i < WIDE; i++) {
        if (d[i] > s->least2 || (s->found && d[i] == s->least2) || !present(n, i))
            continue;
        double exact =
            s->exact ? s->exact(s->context, l->id[i], get_box(n, i)) : sqrt(d[i]) / GEO_E7;
        double units = exact * GEO_E7;
        if (!(s->found ? exact < s->out->distance : units * units <= s->least2))
            continue;
        s->found = true;
        s->least2 = units * units;
        *s->out = (geo_rtree_hit){l->id[i], exact};
    }
}

/* Children nearest first; at most WIDE a level, so a chosen one is crossed out rather than sorted. */
static void search_node(search *s, uint32_t level, uint32_t number)
{
    double d[WIDE];
    const node *n = node_at(s->t, level, number);
    distances(n, s->p, d);
    if (level == 0) {
        search_leaf(s, n, d);
        return;
    }
    uint32_t left = 0;
    for (uint32_t i = 0; i < WIDE; i++)
        if (d[i] <= s->least2 && present(n, i) && number * WIDE + i < s->t->nodes[level - 1])
            left |= 1U << i;
    while (left) {
        uint32_t best = (uint32_t)__builtin_ctz(left);
        for (uint32_t mask = left & (left - 1); mask; mask &= mask - 1) {
            uint32_t i = (uint32_t)__builtin_ctz(mask);
            if (d[i] < d[best])
                best = i;
        }
        if (d[best] > s->least2)
            return;
        left &= ~(1U << best);
        search_node(s, level - 1, number * WIDE + best);
    }
}

bool geo_rtree_nearest(const geo_rtree *t, geo_pt p, double radius, geo_rtree_exact exact,
                       void *context, geo_rtree_hit *out)
{
    /* A hair more than the radius, so that what is exactly that far is not lost to rounding. */
    double units = radius * GEO_E7;
    search s = {t, geo_units(p), units * units * (1 + 1e-12), exact, context, out, false};
    if (t->levels)
        search_node(&s, t->levels - 1, 0);
    return s.found;
}

/* Nearest first: a binary heap of nodes and items. */

static bool sooner(geo_near_entry a, geo_near_entry b)
{
    /* Of equals items come first, then by number: a fixed order. */
    if (a.distance2 != b.distance2)
        return a.distance2 < b.distance2;
    return a.level != b.level ? a.level < b.level : a.number < b.number;
}

static bool near_room(geo_near *n)
{
    if (n->count < n->cap)
        return true;
    if (n->heap != n->small)
        return sx_grow(&n->heap, &n->cap, n->count + 1, sizeof *n->heap);
    geo_near_entry *heap = sx_alloc(n->cap * 2 * sizeof *heap);
    if (!heap)
        return false;
    memcpy(heap, n->small, n->count * sizeof *heap);
    n->heap = heap;
    n->cap *= 2;
    return true;
}

static void near_push(geo_near *n, geo_near_entry e)
{
    if (!near_room(n)) {
        n->failed = true;
        return;
    }
    size_t i = n->count++;
    for (; i > 0 && sooner(e, n->heap[(i - 1) / 2]); i = (i - 1) / 2)
        n->heap[i] = n->heap[(i - 1) / 2];
    n->heap[i] = e;
}

static geo_near_entry near_pop(geo_near *n)
{
    geo_near_entry top = n->heap[0], last = n->heap[--n->count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < n->count; i = child) {
        if (child + 1 < n->count && sooner(n->heap[child + 1], n->heap[child]))
            child++;
        if (!sooner(n->heap[child], last))
            break;
        n->heap[i] = n->heap[child];
    }
    n->heap[i] = last;
    return top;
}

void geo_near_start(geo_near *n, const geo_rtree *tree, geo_pt p, double radius)
{
    double units = radius * GEO_E7;
    n->tree = tree;
    n->p = geo_units(p);
    n->most2 = units * units * (1 + 1e-12);
    n->heap = n->small;
    n->count = 0;
    n->cap = SX_COUNT_OF(n->small);
    n->failed = false;
    if (tree->levels)
        near_push(n, (geo_near_entry){0, 0, tree->levels});
}

bool geo_near_next(geo_near *n, geo_rtree_hit *out)
{
    while (n->count) {
        geo_near_entry e = near_pop(n);
        if (e.level == 0) {
            *out = (geo_rtree_hit){e.number, sqrt(e.distance2) / GEO_E7};
            return true;
        }
        double d[WIDE];
        const node *at = node_at(n->tree, e.level - 1, e.number);
        const leaf *l = (const leaf *)(const void *)at;
        distances(at, n->p, d);
        for (uint32_t i = 0; i < WIDE; i++) {
            uint32_t child = e.number * WIDE + i;
            if (d[i] > n->most2 || !present(at, i))
                continue;
            if (e.level == 1)
                near_push(n, (geo_near_entry){d[i], l->id[i], 0});
            else if (child < n->tree->nodes[e.level - 2])
                near_push(n, (geo_near_entry){d[i], child, e.level - 1});
        }
    }
    return false;
}

void geo_near_done(geo_near *n)
{
    if (n->heap != n->small)
        sx_free(n->heap);
    n->heap = n->small;
    n->count = 0;
}
