/* fixture.h - small and real indexes for the geocoder's tests. */
#ifndef TESTS_UNIT_GEOCODE_FIXTURE_H
#define TESTS_UNIT_GEOCODE_FIXTURE_H

#include <sextant/buf.h>

#include "geocode/import/import.h"
#include "geocode/index/index.h"
#include "geocode/search/search.h"

/* Six documents: streets with house numbers, municipalities, arrays, odd values. */
extern const char TINY[];

/* The first of them, with its newline. */
sx_str fixture_first_line(void);

/* A folder of this process alone, made on first call; fixture_clean() empties and removes it. */
const char *fixture_folder(void);
void fixture_clean(void);

/* PATH of `name` in that folder, in one of a few static buffers. */
const char *fixture_path(const char *name);

/* Writes a file there; returns its path. */
const char *fixture_write(const char *name, sx_str bytes);

/* Imports NDJSON text (or the file data/france.ndjson.gz, once) to `name`. */
sx_status fixture_import(const char *name, sx_str text, sx_error *err);
const char *fixture_france(void);

/* Imports the text and opens it; fails the test if that does not work. */
geo_index *fixture_open(const char *name, sx_str text);

#endif
