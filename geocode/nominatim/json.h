/* json.h - what the formats of JSON and /details share. */
#ifndef GEOCODE_NOMINATIM_JSON_H
#define GEOCODE_NOMINATIM_JSON_H

#include <sextant/json.h>

#include "codec/json_member.h"
#include "geocode/nominatim/answer.h"

/* The member "entrances": a list, or null without any. */
void nom_json_entrances(sx_json_writer *w, const nom_index *ix, const nom_object *o);

#endif
