/* outline.c - an answer's shape in one of the four notations, simplified as asked. See answer.h. */
#include "geocode/geometry/print.h"
#include "geocode/geometry/simplify.h"
#include "geocode/nominatim/answer.h"

enum { OUTLINE_BYTES_MAX = 4 << 20 };

/* Where an outline is too long, it is simplified by this much at first, then by four times as much. */
static const double COARSE = 1e-5;

static void print_shape(const geo_shape *shape, unsigned polygon, sx_buf *out)
{
    if (polygon == NOM_POLYGON_GEOJSON)
        geo_print_geojson(shape, out);
    else if (polygon == NOM_POLYGON_TEXT)
        geo_print_wkt(shape, out);
    else if (polygon == NOM_POLYGON_KML)
        geo_print_kml(shape, out);
    else
        geo_print_svg(shape, out);
}

/* Prints into a buffer of its own, so that one that is too long leaves nothing in `out`. */
static sx_status print_within(const geo_shape *shape, unsigned polygon, size_t bytes_max,
                              sx_buf *out, sx_error *err)
{
    sx_buf text;
    sx_buf_init(&text, bytes_max);
    print_shape(shape, polygon, &text);
    sx_status status = sx_buf_status(&text, "an outline", err);
    if (status == SX_OK)
        sx_buf_str(out, sx_buf_view(&text));
    sx_buf_done(&text);
    return status;
}

sx_status nom_outline(const nom_answer *answer, unsigned polygon, const nom_print *options,
                      sx_arena *arena, sx_buf *out, sx_error *err)
{
    const nom_object *o = &answer->object;
    size_t bytes_max = options->polygon_bytes_max ? options->polygon_bytes_max : OUTLINE_BYTES_MAX;
    geo_ring ring;
    geo_shape whole = geo_shape_point(&o->at, &ring), shape;
    sx_status status = SX_OK;
    if (o->shape.len > 0) {
        geo_cursor c = geo_cursor_at((const uint8_t *)o->shape.data, o->shape.len, 0);
        status = geo_shape_decode(&c, arena, (geo_shape_limits){0}, &whole, err);
    }
    shape = whole;
    double threshold = options->threshold;
    if (status == SX_OK && threshold > 0 && whole.kind != GEO_SHAPE_POINT)
        status = geo_shape_simplify(&whole, threshold, arena, &shape, err);
    if (status == SX_OK)
        status = print_within(&shape, polygon, bytes_max, out, err);
    for (double coarse = threshold > COARSE ? 4 * threshold : COARSE;
         status == SX_ELIMIT && coarse < 1; coarse *= 4) {
        status = geo_shape_simplify(&whole, coarse, arena, &shape, err);
        if (status == SX_OK)
            status = print_within(&shape, polygon, bytes_max, out, err);
    }
    return status;
}
