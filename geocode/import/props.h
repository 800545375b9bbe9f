/* props.h - puts a document's properties together, for the readers whose rows are no JSON. Everything
 * is in the intake's arena. After a failure `failed` stays set and further calls do nothing. */
#ifndef GEOCODE_IMPORT_PROPS_H
#define GEOCODE_IMPORT_PROPS_H

#include <sextant/arena.h>

#include "geocode/index/build.h"

enum { GEO_PROPS_MAX = 24 };

typedef struct geo_props {
    sx_arena *arena;
    geo_in_property items[GEO_PROPS_MAX];
    uint32_t count;
    bool failed; /* no memory */
} geo_props;

/* Adds a property, unless its text is empty. Texts are borrowed as long as the document. */
void geo_props_text(geo_props *p, sx_str key, sx_str text);

/* One text, or an array of several; none adds nothing. */
void geo_props_texts(geo_props *p, sx_str key, const sx_str *texts, uint32_t count);

/* A number with at most `digits` digits behind the point, as JSON writes it: 2.0, 48.861299. */
void geo_props_number(geo_props *p, sx_str key, double value, int digits);
void geo_props_count(geo_props *p, sx_str key, uint64_t value);

/* `value` rounded to `digits` digits behind the point. */
double geo_round(double value, int digits);

/* Importance from 0 to 1 of so many inhabitants, in a third of whom it is counted (a street counts
 * each house number once): ln(1 + thirds) / 20, the rule behind the BAN's own. */
double geo_importance(double thirds);

#endif
