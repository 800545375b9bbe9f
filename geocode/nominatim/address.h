/* address.h - the names of a hit and of everything it lies in, in the reader's languages. */
#ifndef GEOCODE_NOMINATIM_ADDRESS_H
#define GEOCODE_NOMINATIM_ADDRESS_H

#include "geocode/nominatim/object.h"

/* The order in which the keys of names are tried. Made once a request out of `accept-language` (RFC 9110
 * §12.5.4, with the parameter's plain lists too); the last entries are the neutral ones. */
enum { NOM_LOCALE_KEYS_MAX = 128, NOM_LOCALE_BYTES_MAX = 2048 };
typedef struct nom_locale {
    sx_str keys[NOM_LOCALE_KEYS_MAX]; /* "name:de", "name", "brand", ... into `text` or static */
    uint32_t key_count;
    char text[NOM_LOCALE_BYTES_MAX];
} nom_locale;

/* `languages`: the parameter's or the header's value; empty: none. What does not fit is left out. */
void nom_locale_init(nom_locale *l, sx_str languages);

/* How early a key of names is wished: the less the better; UINT32_MAX: not at all. */
uint32_t nom_locale_rank(const nom_locale *l, sx_str key);

/* The first of the locale's keys among an object's names; else the first name; empty if there is none. */
sx_str nom_locale_name(const nom_locale *l, const plc_index *ix, uint64_t tags);

/* A country's name by the same rules; empty of an unknown one. Static. */
sx_str nom_country_name(const nom_locale *l, uint16_t country);

/* One row of an address, by falling rank_address as it is printed. */
typedef struct nom_row {
    uint32_t place; /* PLC_NONE: a row without an object (postcode, country, country_code) */
    sx_str class_name, type; /* of the object: "boundary", "administrative" */
    sx_str extra_place;      /* its extratags' place or linked_place; empty */
    uint64_t tags;           /* its names; UINT64_MAX: `name` is all there is */
    sx_str name;             /* localised; empty: a row without a name */
    uint8_t rank_address, admin_level;
    bool from_area, is_address;
    float distance;
} nom_row;

typedef struct nom_address {
    nom_row *rows; /* in the arena */
    uint32_t count;
    uint16_t country; /* plc_country_of(); 0: unknown */
} nom_address;

/* All rows of an object, in the order in which /details shows them; what is printed has is_address. Rows
 * are in the arena, their names there or in the index, as long as `object`. Errors: SX_ENOMEM. */
sx_status nom_address_rows(const nom_index *ix, const nom_object *object, const nom_locale *locale,
                           sx_arena *arena, nom_address *out, sx_error *err);

/* "34, Landstrasse, Vaduz, Oberland, 9490, Liechtenstein". In the arena. */
sx_status nom_display_name(const nom_address *address, sx_arena *arena, sx_str *out, sx_error *err);

#endif
