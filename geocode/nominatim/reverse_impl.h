/* reverse_impl.h - what reverse.c and reverse_area.c share. */
#ifndef GEOCODE_NOMINATIM_REVERSE_IMPL_H
#define GEOCODE_NOMINATIM_REVERSE_IMPL_H

#include "geocode/geometry/rtree.h"
#include "geocode/nominatim/reverse.h"

#define NOM_LAYERS_FEATURES (NOM_LAYER_RAILWAY | NOM_LAYER_NATURAL | NOM_LAYER_MANMADE)

/* A question under way. */
typedef struct nom_reverse {
    const plc_index *ix;
    sx_arena *arena;
    geo_pt at;
    uint8_t rank_max;
    uint32_t layers; /* never 0 */
} nom_reverse;

/* Opens a tree of the index; one that is not there is empty. */
sx_status nom_reverse_tree(const plc_index *ix, plc_section section, geo_rtree *out, sx_error *err);

/* Whether a place that is no part of addresses belongs to the layers asked for. */
bool nom_reverse_layer(const nom_reverse *r, const plc_disk_place *p);

/* Degrees from the point to the place's shape; above `most` any number above it; below 0: damaged. */
double nom_reverse_distance(const nom_reverse *r, const plc_disk_place *p, double most,
                            geo_pt *nearest);

/* Makes place `id`, which is there, the hit. */
void nom_reverse_hit(const nom_reverse *r, uint32_t id, double distance, nom_hit *out);

/* reverse_area.c: the smallest area around the point or a place in it; other features; the country. */
sx_status nom_reverse_area(nom_reverse *r, nom_hit *out, bool *found, sx_error *err);
sx_status nom_reverse_country(nom_reverse *r, nom_hit *out, bool *found, sx_error *err);

#endif
