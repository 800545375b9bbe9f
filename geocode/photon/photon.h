/* photon.h - Photon's API over the places of an index: questions in, one GeoJSON document out.
 *
 *     photon_params_read -> photon_find (search.c, list.c or reverse.c) -> photon_write
 *
 * Searching is Nominatim's (geocode/nominatim/search.h), asked to forgive typing errors and to take the
 * last word for unfinished; what Photon adds is filters, the bias to a place, and its own reverse: the
 * nearest middles of places of every kind. Any thread, with a searcher of its own. */
#ifndef GEOCODE_PHOTON_PHOTON_H
#define GEOCODE_PHOTON_PHOTON_H

#include <sextant/buf.h>

#include "geocode/nominatim/answer.h"
#include "geocode/nominatim/search.h"
#include "geocode/photon/params.h"
#include "geocode/search/search.h"

/* What is asked of, and for whom. */
typedef struct photon_asked {
    const nom_index *index;
    const nom_words *words; /* NULL: the index has none; nothing is found by words */
    nom_searcher *searcher;
    geo_searcher *addresses; /* of the index's other sources; NULL: there are none */
    geo_results *results;    /* theirs, scribbled on */
    const photon_query *query;
    const nom_locale *locale;
    sx_arena *arena;
} photon_asked;

/* Hits in the arena, best first: more than the limit, since some may turn out to be the same street.
 *   errors  SX_ELIMIT: the text is too long; SX_ECORRUPT; SX_ENOMEM */
sx_status photon_find(const photon_asked *asked, nom_hits *out, sx_error *err);

/* Appends the FeatureCollection of the first hits, without repeated streets if the query dedupes.
 * Errors: SX_ECORRUPT, SX_ENOMEM, SX_EUNSUPPORTED. */
sx_status photon_write(const photon_asked *asked, const nom_hits *hits, sx_buf *out, sx_error *err);

/* {"message": "..."}, as Photon refuses. */
void photon_write_refusal(sx_str message, sx_buf *out);

/* The document of /status. `data_ms`: how new the data is; 0: unknown. */
void photon_write_status(int64_t data_ms, sx_str version, sx_buf *out);

#endif
