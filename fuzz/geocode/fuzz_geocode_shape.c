/* fuzz_geocode_shape.c - stored shapes and trees of boxes out of any bytes.
 *
 * What decodes encodes to something that decodes to the same, passes geo_shape_check(), and answers
 * the same from its bytes as from memory; what does not decode has a message. */
#include <math.h>
#include <string.h>

#include "geocode/geometry/measure.h"
#include "geocode/geometry/rtree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_shape(const geo_shape *shape, sx_arena *arena)
{
    sx_error err = {0};
    sx_buf out;
    geo_shape again;
    sx_assert(geo_shape_check(shape, &err) == SX_OK);
    sx_buf_init(&out, 0);
    geo_shape_encode(shape, &out);
    geo_cursor c = geo_cursor_at((const uint8_t *)out.data, out.len, 0);
    sx_assert(geo_shape_decode(&c, arena, (geo_shape_limits){0}, &again, &err) == SX_OK);
    sx_assert(c.at == c.end && again.kind == shape->kind && again.ring_count == shape->ring_count);
    for (uint32_t i = 0; i < shape->ring_count; i++)
        sx_assert(again.rings[i].count == shape->rings[i].count &&
                  memcmp(again.rings[i].at, shape->rings[i].at,
                         again.rings[i].count * sizeof(geo_at)) == 0);
    geo_pt p = geo_pt_of(shape->rings[0].at[0]);
    geo_pt q = {p.lon + 1e-6, p.lat - 3e-6};
    sx_assert(geo_bytes_side(sx_buf_view(&out), q) == geo_shape_side(shape, q));
    sx_assert(geo_bytes_distance(sx_buf_view(&out), q, INFINITY, NULL) ==
              geo_shape_distance(shape, q, NULL));
    sx_buf_done(&out);
}

static bool look(void *context, uint32_t id, geo_box box)
{
    (void)id;
    (void)box;
    return ++*(uint32_t *)context < 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_arena arena;
    sx_error err = {0};
    geo_shape shape;
    sx_str bytes = sx_str_of((const char *)data, size);
    sx_arena_init(&arena, 0, 64 << 20);
    geo_cursor c = geo_cursor_at(data, size, 0);
    if (geo_shape_decode(&c, &arena, (geo_shape_limits){.points_max = 100000}, &shape, &err) ==
        SX_OK)
        check_shape(&shape, &arena);
    else
        sx_assert(err.message[0] != '\0');
    (void)geo_bytes_side(bytes, (geo_pt){9.5, 47});
    (void)geo_bytes_distance(bytes, (geo_pt){9.5, 47}, 0.1, NULL);
    geo_rtree tree;
    uint32_t seen = 0;
    if (geo_rtree_open(bytes, &tree, &err) == SX_OK) {
        geo_rtree_hit hit;
        (void)geo_rtree_query(&tree, (geo_box){-1000000, -1000000, 1000000, 1000000}, look, &seen);
        (void)geo_rtree_nearest(&tree, (geo_pt){0, 0}, 400, NULL, NULL, &hit);
    }
    sx_arena_done(&arena);
    return 0;
}
