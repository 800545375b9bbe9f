/* json.h - what the formats of JSON and /details share. */
#ifndef GEOCODE_NOMINATIM_JSON_H
#define GEOCODE_NOMINATIM_JSON_H

#include <sextant/json.h>

#include "geocode/nominatim/answer.h"

static inline void nom_json_text(sx_json_writer *w, const char *key, sx_str value)
{
    sx_json_key(w, sx_str_z(key));
    sx_json_str(w, value);
}

static inline void nom_json_number(sx_json_writer *w, const char *key, int64_t value)
{
    sx_json_key(w, sx_str_z(key));
    sx_json_i64(w, value);
}

/* The member "entrances": a list, or null without any. */
void nom_json_entrances(sx_json_writer *w, const nom_index *ix, const nom_object *o);

#endif
