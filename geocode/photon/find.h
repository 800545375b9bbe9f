/* find.h - what search.c, list.c and reverse.c share. */
#ifndef GEOCODE_PHOTON_FIND_H
#define GEOCODE_PHOTON_FIND_H

#include "geocode/photon/photon.h"

/* Kilometers between two points, on a sphere. */
double photon_km(geo_pt a, geo_pt b);

/* How much more wanted a place is for where it lies and how important it is, 0 to 1: Photon's bias. */
double photon_bias(const photon_query *q, geo_at at, double importance);

/* Whether a record is wanted, its tag included, and may be found at all. HOT. */
bool photon_record_wanted(const plc_index *ix, const photon_wanted *w, const plc_disk_place *p);

/* The hit of a place that is there. */
nom_hit photon_place_hit(uint32_t id, const plc_disk_place *p);

/* The best `cap` of any number of hits: a heap with the worst (the highest `ranking`) at the root. */
typedef struct photon_best {
    nom_hit *items;
    uint32_t count, cap;
} photon_best;
sx_status photon_best_init(photon_best *b, sx_arena *arena, uint32_t cap, sx_error *err);
void photon_best_offer(photon_best *b, const nom_hit *hit);
/* What a hit's ranking must be below to be taken; INFINITY while there is room. */
double photon_best_most(const photon_best *b);
/* Sorts them, best first, into `out`; the heap is then gone. */
void photon_best_take(photon_best *b, nom_hits *out);

/* Whether anything is left out. */
bool photon_is_filtered(const photon_wanted *w);

/* reverse.c: offers a hit, whose distance is measured first; one beyond the radius is none. */
void photon_reverse_offer(const photon_query *q, photon_best *best, nom_hit *hit);

/* documents.c: what other sources have is added to what OpenStreetMap has. */
sx_status photon_documents_search(const photon_asked *asked, nom_hits *hits, sx_error *err);
sx_status photon_documents_reverse(const photon_asked *asked, photon_best *best, sx_error *err);

/* list.c: places of the wanted categories, without words. */
sx_status photon_list(const photon_asked *asked, nom_hits *out, sx_error *err);

/* reverse.c */
sx_status photon_reverse(const photon_asked *asked, nom_hits *out, sx_error *err);

#endif
