/* answer.h - hits made ready for printing, and the formats that print them.
 *
 * An answer is one hit with all that is said of it; a reply is what stands around a list of them. */
#ifndef GEOCODE_NOMINATIM_ANSWER_H
#define GEOCODE_NOMINATIM_ANSWER_H

#include <sextant/buf.h>

#include "geocode/nominatim/address.h"

typedef enum nom_format {
    NOM_FORMAT_XML,
    NOM_FORMAT_JSON,
    NOM_FORMAT_JSONV2,
    NOM_FORMAT_GEOJSON,
    NOM_FORMAT_GEOCODEJSON,
    NOM_FORMATS,
} nom_format;

/* Outlines that are wanted, a bit each. */
enum {
    NOM_POLYGON_GEOJSON = 1,
    NOM_POLYGON_TEXT = 2,
    NOM_POLYGON_KML = 4,
    NOM_POLYGON_SVG = 8,
};

typedef struct nom_print {
    nom_format format;
    bool single; /* reverse: one object, or its absence as an error */
    bool address, extratags, names, entrances;
    unsigned polygons; /* NOM_POLYGON_* */
    double threshold;  /* of simplification, degrees; 0: none */
    size_t
        polygon_bytes_max; /* of one outline as text; a larger one is simplified until it fits; 0: 4 MiB */
    /* What the head of XML and GeocodeJSON repeats; empty: left out (GeocodeJSON's query: data NULL). */
    sx_str query, more_url, excluded, viewbox;
    int64_t now_ms; /* XML's timestamp */
} nom_print;

typedef struct nom_answer {
    nom_object object;
    nom_address address;
    sx_str name, display_name;
    sx_str attribution; /* empty: OpenStreetMap's */
    double distance;    /* as the hit's */
    bool has_distance;
} nom_answer;

#define NOM_ATTRIBUTION "Data © OpenStreetMap contributors, ODbL 1.0. http://osm.org/copyright"

/* Makes a hit ready. `out` is not to be copied; its texts are in the index and the arena.
 * Errors: SX_CORRUPT, SX_ENOMEM. */
sx_status nom_answer_of(const nom_index *ix, const nom_hit *hit, const nom_locale *locale,
                        sx_arena *arena, nom_answer *out, sx_error *err);

/* Appends the whole reply. The arena is for outlines. Errors: SX_ENOMEM, SX_ECORRUPT, SX_EUNSUPPORTED
 * (simplification without its library). */
sx_status nom_print_answers(const nom_index *ix, const nom_answer *const *answers, uint32_t count,
                            const nom_print *options, sx_arena *arena, sx_buf *out, sx_error *err);

/* --- Shared by the formats. */

sx_status nom_print_json(const nom_index *ix, const nom_answer *const *answers, uint32_t count,
                         const nom_print *options, sx_arena *arena, sx_buf *out, sx_error *err);
sx_status nom_print_xml(const nom_index *ix, const nom_answer *const *answers, uint32_t count,
                        const nom_print *options, sx_arena *arena, sx_buf *out, sx_error *err);

enum { NOM_LABEL_BYTES_MAX = 256, NOM_COORDINATE_BYTES = 16 };

/* The parts of an address as they are printed: ("road", "Städtle") and so on; the first of a label
 * counts. Kept in the arena. */
typedef struct nom_part {
    sx_str label, value;
} nom_part;
sx_status nom_address_parts(const nom_index *ix, const nom_answer *answer, sx_arena *arena,
                            nom_part **parts, uint32_t *count, sx_error *err);

/* "addresstype". In `out`. */
sx_str nom_answer_label(const nom_index *ix, const nom_answer *answer,
                        char out[NOM_LABEL_BYTES_MAX]);

/* "47.1395000": a coordinate with all its digits. */
sx_str nom_coordinate(int32_t e7, char out[NOM_COORDINATE_BYTES]);

/* Whether it has other tags to show; walks them, a boundary's admin_level behind them. */
typedef struct nom_extratags {
    const nom_object *object;
    plc_tags tags;
    uint32_t at;
    char digits[16];
} nom_extratags;
void nom_extratags_begin(const nom_index *ix, const nom_object *object, nom_extratags *it);
bool nom_extratags_next(nom_extratags *it, sx_str *key, sx_str *value);

static inline const char *nom_osm_kind_name(unsigned kind)
{
    return kind == 0 ? "node" : kind == 1 ? "way" : "relation";
}

/* One outline of an answer in one notation (a single NOM_POLYGON_ bit), simplified as asked. */
sx_status nom_outline(const nom_answer *answer, unsigned polygon, const nom_print *options,
                      sx_arena *arena, sx_buf *out, sx_error *err);

#endif
