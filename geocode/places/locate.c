/* locate.c - places by where they are: the trees of the build, and the country of a point. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/places/build_impl.h"
#include "geocode/places/countries.h"

sx_status bld_tree_build(bld *b, bld_tree *t, bld_box_of *box_of, sx_error *err)
{
    size_t count = 0, n = 0;
    geo_box box;
    for (size_t i = 0; i < b->places.count; i++)
        count += box_of(&b->places.items[i], &box);
    geo_rtree_item *items = sx_calloc(count + 1, sizeof *items);
    if (!items)
        return sx_fail_memory(err, "a tree of places");
    for (size_t i = 0; i < b->places.count; i++) {
        if (box_of(&b->places.items[i], &box))
            items[n++] = (geo_rtree_item){box, (uint32_t)i};
    }
    sx_buf_clear(&t->bytes);
    sx_status status = geo_rtree_sort(items, (uint32_t)count, err);
    if (status == SX_OK)
        status = geo_rtree_build(items, (uint32_t)count, &t->bytes, err);
    if (status == SX_OK)
        status = sx_buf_status(&t->bytes, "a tree of places", err);
    if (status == SX_OK)
        status = geo_rtree_open(sx_buf_view(&t->bytes), &t->tree, err);
    sx_free(items);
    return status;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* There are few of them nearly always, for which a call of qsort() takes longer than the sorting. */
static void sort_numbers(uint32_t *ids, uint32_t count)
{
    enum { FEW = 32 };
    if (count > FEW) {
        qsort(ids, count, sizeof *ids, by_number);
        return;
    }
    for (uint32_t i = 1; i < count; i++) {
        uint32_t id = ids[i], k = i;
        for (; k > 0 && ids[k - 1] > id; k--)
            ids[k] = ids[k - 1];
        ids[k] = id;
    }
}

sx_status bld_find(bld_worker *w, const bld_tree *t, geo_box box, uint32_t **ids, uint32_t *count,
                   sx_error *err)
{
    enum { USUAL = 64 };
    uint32_t room = USUAL;
    for (;;) {
        *ids = sx_arena_alloc(&w->scratch, room * sizeof **ids);
        if (!*ids)
            return sx_fail_memory(err, "the places nearby");
        *count = geo_rtree_find(&t->tree, box, *ids, room);
        if (*count <= room)
            break;
        room = *count;
    }
    sort_numbers(*ids, *count);
    return SX_OK;
}

sx_status bld_decode(const bld_place *p, sx_arena *arena, geo_shape *out, sx_error *err)
{
    if (p->shape.kind == GEO_SHAPE_POINT) {
        geo_ring *ring = sx_arena_alloc(arena, sizeof *ring);
        geo_at *at = sx_arena_alloc(arena, sizeof *at);
        if (!ring || !at)
            return sx_fail_memory(err, "the place of a node");
        *at = p->center;
        *out = geo_shape_point(at, ring);
        return SX_OK;
    }
    sx_str bytes = bld_shape_bytes(&p->shape);
    geo_cursor c = geo_cursor_at((const uint8_t *)bytes.data, bytes.len, 0);
    return geo_shape_decode(&c, arena, (geo_shape_limits){0}, out, err);
}

bool bld_area_holds(const bld_place *area, geo_at at)
{
    if (!geo_box_meets(area->box, geo_box_at(at)))
        return false;
    geo_pt p = geo_pt_of(at);
    geo_side side = area->area ? geo_area_side(area->area, p)
                               : geo_bytes_side(bld_shape_bytes(&area->shape), p);
    return side == GEO_SIDE_IN || side == GEO_SIDE_EDGE;
}

size_t bld_find_object(const bld *b, osm_kind kind, int64_t id, size_t *first)
{
    size_t low = 0, high = b->places.count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        const bld_place *p = &b->places.items[mid];
        if (p->kind < kind || (p->kind == kind && p->osm_id < id))
            low = mid + 1;
        else
            high = mid;
    }
    *first = low;
    while (high < b->places.count && b->places.items[high].kind == kind &&
           b->places.items[high].osm_id == id)
        high++;
    return high - low;
}

uint16_t bld_country_of(const bld *b, geo_at at, uint16_t built_in)
{
    uint16_t best = 0;
    for (size_t i = 0; i < b->country_count; i++) {
        const bld_place *area = &b->places.items[b->countries[i]];
        if (!bld_area_holds(area, at))
            continue;
        if (best == 0) {
            best = area->country;
            continue;
        }
        /* Claimed by two: what the built-in borders say, if it is one of them; else the first by the
         * number of its part of the world, then by its letters. */
        if (area->country == built_in)
            return built_in;
        unsigned mine = plc_country_partition(area->country), other = plc_country_partition(best);
        if (best != built_in && (mine < other || (mine == other && area->country < best)))
            best = area->country;
    }
    return best ? best : built_in;
}
