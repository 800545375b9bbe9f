/* documents.c - addresses of other sources than OpenStreetMap (the Base Adresse Nationale, Spain's street
 * directory) among Photon's answers. */
#include <string.h>

#include "geocode/nominatim/document.h"
#include "geocode/photon/find.h"

/* Addok's scores: of what is written as an address is, and the least that is offered. */
#define SCORE_SURE  0.85
#define SCORE_LEAST 0.5

enum { FOUND = 20, NEAREST = 30 };

/* The words of a search, those of its parts in the order of an address. */
static sx_str words_of(const photon_query *q, sx_arena *arena)
{
    const photon_parts *p = &q->parts;
    const sx_str parts[] = {q->q, p->housenumber, p->street, p->postcode, p->city};
    sx_str words = SX_STR("");
    for (size_t i = 0; i < SX_COUNT_OF(parts) && words.data; i++) {
        if (parts[i].len)
            words = sx_arena_printf(arena, "%.*s%s%.*s", SX_ARG(words), words.len ? " " : "",
                                    SX_ARG(parts[i]));
    }
    return words;
}

/* Whether it is one of ours, and wanted. */
static sx_status make_hit(const photon_asked *a, const geo_result *r, nom_hit *hit, bool *wanted,
                          sx_error *err)
{
    const photon_wanted *w = &a->query->wanted;
    nom_answer answer;
    *wanted = nom_document_hit(a->index->documents, r->doc, r->number, hit);
    if (!*wanted || !photon_is_filtered(w))
        return SX_OK;
    sx_status status = nom_answer_of(a->index, hit, a->locale, a->arena, &answer, err);
    const nom_object *o = &answer.object;
    *wanted =
        status == SX_OK && photon_tag_wanted(w, o->class_name, o->type) &&
        photon_place_wanted(w, photon_layer_of(o->rank_address), answer.address.country, o->at);
    return status;
}

/* What is called just so stands before what is less important; the rest behind all. */
static void insert(nom_hits *hits, const nom_hit *hit, bool sure)
{
    uint32_t at = 0;
    while (at < hits->count && !(sure && hits->items[at].importance < hit->importance))
        at++;
    memmove(hits->items + at + 1, hits->items + at, (hits->count - at) * sizeof(*hit));
    hits->items[at] = *hit;
    hits->count++;
}

sx_status photon_documents_search(const photon_asked *a, nom_hits *hits, sx_error *err)
{
    const photon_query *q = a->query;
    sx_str words = words_of(q, a->arena);
    if (!words.data)
        return sx_fail_memory(err, "the words of a search");
    if (!a->addresses || words.len == 0)
        return SX_OK;
    const geo_query query = {.text = words,
                             .limit = FOUND,
                             .autocomplete = q->endpoint == PHOTON_API,
                             .has_point = q->has_point,
                             .lat = q->at.lat,
                             .lon = q->at.lon};
    sx_status status = geo_search(a->index->documents, a->addresses, &query, a->results, err);
    if (status == SX_ELIMIT)
        return SX_OK; /* no address is so long */
    if (status != SX_OK)
        return status;
    nom_hits all = {sx_arena_calloc(a->arena, hits->count + FOUND, sizeof(*all.items)), hits->count,
                    hits->count + FOUND};
    if (!all.items)
        return sx_fail_memory(err, "the places found");
    if (hits->count)
        memcpy(all.items, hits->items, hits->count * sizeof(*all.items));
    for (uint32_t i = 0; i < a->results->count && all.count < all.cap; i++) {
        const geo_result *r = &a->results->items[i];
        nom_hit hit;
        bool wanted;
        if (r->score < SCORE_LEAST)
            continue;
        status = make_hit(a, r, &hit, &wanted, err);
        if (status != SX_OK)
            return status;
        if (wanted)
            insert(&all, &hit, r->score >= SCORE_SURE);
    }
    *hits = all;
    return SX_OK;
}

sx_status photon_documents_reverse(const photon_asked *a, photon_best *best, sx_error *err)
{
    const photon_query *q = a->query;
    if (!a->addresses)
        return SX_OK;
    const geo_reverse_query query = {
        .lat = q->at.lat, .lon = q->at.lon, .limit = NEAREST, .within_m = q->radius_km * 1000};
    sx_status status = geo_reverse(a->index->documents, &query, a->results, err);
    for (uint32_t i = 0; i < a->results->count && status == SX_OK; i++) {
        nom_hit hit;
        bool wanted;
        status = make_hit(a, &a->results->items[i], &hit, &wanted, err);
        if (status == SX_OK && wanted)
            photon_reverse_offer(q, best, &hit);
    }
    return status;
}
