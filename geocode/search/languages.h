/* languages.h - which languages an index is searched in. Used by languages.c and its tests. */
#ifndef GEOCODE_SEARCH_LANGUAGES_H
#define GEOCODE_SEARCH_LANGUAGES_H

#include "geocode/index/index.h"
#include "geocode/text/rules.h"

/* The languages of the index's sources, each once, in the sources' order. Returns how many there are:
 * at least 1, since an index without a source is read in GEO_LANGUAGE_NONE. */
size_t geo_index_languages(const geo_index *ix, unsigned out[GEO_LANGUAGES]);

#endif
