/* writer.h - makes the container of places, section by section, in bounded memory.
 *
 * Sections are spools (geocode/index/spool.h): encoders append to spool->tail and settle it between
 * records. plc_writer_seal() moves the finished ones into the container, which is a file without a name
 * (in memory if no folder is given), and rewrites its header. What is sealed can be looked at through
 * a plc_index while further sections are made: so the search for words is built from the places as
 * everybody else reads them. One thread. */
#ifndef GEOCODE_PLACES_WRITER_H
#define GEOCODE_PLACES_WRITER_H

#include "geocode/index/spool.h"
#include "geocode/index/strings.h"
#include "geocode/places/places.h"

typedef struct plc_writer plc_writer;

/* `temp_dir` (NUL-terminated, copied): for the container and the spools; NULL: all stays in memory.
 * `buffer_bytes`: what a spool keeps in memory; 0: 1 MiB. NULL if it fails. */
plc_writer *plc_writer_new(const char *temp_dir, size_t buffer_bytes, sx_error *err);

/* Frees it and gives the container's space back, unless it was taken. NULL is allowed. */
void plc_writer_free(plc_writer *w);

/* The spool of section `id`, empty at first. A section that was sealed cannot be asked for again. */
geo_spool *plc_writer_section(plc_writer *w, unsigned id);

/* Stores a string once; reference 0 is the empty one. Errors: SX_ENOMEM, SX_ELIMIT, the disk's. */
sx_status plc_writer_string(plc_writer *w, sx_str text, uint32_t *ref, sx_error *err);

/* Appends to the section of the search's own an id (32 to 63) with its record size; before the seal. */
void plc_writer_record(plc_writer *w, unsigned id, uint32_t record_bytes);

/* Moves every section that has bytes into the container. STRINGS is sealed with the first seal: no
 * string can be put after it. Errors: the disk's; SX_EINVAL if a section is no whole number of records. */
sx_status plc_writer_seal(plc_writer *w, sx_error *err);

/* Opens what is sealed. The view is good until the next seal, take or free. */
sx_status plc_writer_view(plc_writer *w, plc_index *out, sx_error *err);

/* Moves the container into `out`, an empty spool: geo_builder_places(). The writer keeps nothing. */
sx_status plc_writer_take(plc_writer *w, geo_spool *out, sx_error *err);

#endif
