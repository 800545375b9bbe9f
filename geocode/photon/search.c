/* search.c - Photon's search: Nominatim's, filtered, and biased to a place. */
#include <math.h>
#include <stdlib.h>

#include "geocode/photon/find.h"

enum {
    FOUND_MAX = 50,        /* what one search gives at most */
    FOUND_LEAST = 6,       /* some more than are wanted: the order may change */
    BIAS_FROM_ZOOM = 5,    /* farther out nothing is near */
    BIAS_REACH_KM_MIN = 8, /* where the bias has fallen to a half, beyond its radius */
};

/* --- Bias: of a map's zoom, a radius within which all is about equally near. */

double photon_bias(const photon_query *q, geo_at at, double importance)
{
    if (!q->has_point || q->zoom < BIAS_FROM_ZOOM)
        return importance;
    double radius = pow(2.2, 18 - q->zoom) * 0.1;
    double half = fmax(BIAS_REACH_KM_MIN, radius * (q->zoom - 3));
    double km = photon_km(q->at, geo_pt_of(at));
    double near = km < radius ? 1 - 0.1 * km / radius : 0.9 * exp2((radius - km) / half);
    return q->bias * importance + (1 - q->bias) * near;
}

/* --- Filters. */

bool photon_record_wanted(const plc_index *ix, const photon_wanted *w, const plc_disk_place *p)
{
    if (p->flags & (PLC_LINKED | PLC_LONELY))
        return false;
    photon_layer layer = photon_layer_of(p->rank_address);
    if (!photon_place_wanted(w, layer, p->country, (geo_at){p->lon_e7, p->lat_e7}))
        return false;
    return (w->tag_count == 0 && w->category_count == 0) ||
           photon_tag_wanted(w, plc_string(ix, p->class_name), plc_string(ix, p->type));
}

nom_hit photon_place_hit(uint32_t id, const plc_disk_place *p)
{
    double importance =
        p->importance > 0 ? (double)p->importance : nom_rank_importance(p->rank_search);
    return (nom_hit){.source = NOM_PLACE,
                     .id = id,
                     .at = {p->lon_e7, p->lat_e7},
                     .box = {p->lon_min, p->lat_min, p->lon_max, p->lat_max},
                     .importance = importance};
}

bool photon_is_filtered(const photon_wanted *w)
{
    return w->tag_count || w->category_count || w->layers || w->country_count || w->has_box;
}

/* Keeps the wanted ones of what has been found. */
static sx_status filter(const photon_asked *a, nom_hits *hits, sx_error *err)
{
    const photon_wanted *w = &a->query->wanted;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < hits->count && photon_is_filtered(w); i++) {
        nom_object o;
        sx_status status = nom_object_of(a->index, &hits->items[i], &o, err);
        if (status != SX_OK)
            return status;
        if (photon_tag_wanted(w, o.class_name, o.type) &&
            photon_place_wanted(w, photon_layer_of(o.rank_address), o.country, o.at))
            hits->items[kept++] = hits->items[i];
    }
    if (photon_is_filtered(w))
        hits->count = kept;
    return SX_OK;
}

/* --- The search. */

static void fill(const photon_query *q, sx_arena *arena, nom_search_query *out)
{
    const photon_wanted *w = &q->wanted;
    const photon_parts *p = &q->parts;
    uint32_t more = ((q->limit > FOUND_LEAST ? q->limit : FOUND_LEAST) * 3 + 1) / 2;
    *out = (nom_search_query){.text = q->q,
                              .countries = w->countries,
                              .country_count = w->country_count,
                              .has_viewbox = w->has_box,
                              .bounded = w->has_box,
                              .viewbox = w->box,
                              .limit = photon_is_filtered(w) || more > FOUND_MAX ? FOUND_MAX : more,
                              .dedupe = q->dedupe,
                              .fuzzy = q->fuzzy,
                              .autocomplete = q->endpoint == PHOTON_API,
                              .has_near = q->has_point && q->zoom >= BIAS_FROM_ZOOM,
                              .near = geo_at_of(q->at),
                              .near_scale = 1 - q->bias};
    (void)photon_layer_ranks(w->layers, &out->rank_min, &out->rank_max);
    if (w->tag_count == 1 && w->tags[0].kind == PHOTON_TAG_WANTED) {
        out->class_name = w->tags[0].key;
        out->type = w->tags[0].value;
    }
    if (q->endpoint != PHOTON_STRUCTURED)
        return;
    out->street =
        p->housenumber.len && p->street.len
            ? sx_arena_printf(arena, "%.*s %.*s", SX_ARG(p->housenumber), SX_ARG(p->street))
            : p->street;
    out->city = p->city.len ? p->city : p->district;
    out->county = p->county;
    out->state = p->state;
    out->postalcode = p->postcode;
}

static sx_status find_words(const photon_asked *a, nom_hits *out, sx_error *err)
{
    nom_search_query query;
    *out = (nom_hits){0};
    fill(a->query, a->arena, &query);
    sx_status status =
        nom_search(a->index, a->words, a->searcher, &query, a->locale, a->arena, out, err);
    if (status == SX_EINVAL) { /* nothing but signs: nothing is called that */
        *out = (nom_hits){0};
        return SX_OK;
    }
    return status == SX_OK ? filter(a, out, err) : status;
}

sx_status photon_find(const photon_asked *a, nom_hits *out, sx_error *err)
{
    if (a->query->endpoint == PHOTON_REVERSE)
        return photon_reverse(a, out, err);
    if (a->query->endpoint == PHOTON_API && a->query->q.len == 0)
        return photon_list(a, out, err);
    *out = (nom_hits){0};
    sx_status status = a->words ? find_words(a, out, err) : SX_OK;
    return status == SX_OK ? photon_documents_search(a, out, err) : status;
}
