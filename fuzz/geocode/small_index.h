/* small_index.h - one index in memory for the fuzz targets, built from a few documents. */
#ifndef FUZZ_GEOCODE_SMALL_INDEX_H
#define FUZZ_GEOCODE_SMALL_INDEX_H

#include <sextant/buf.h>

/* The bytes of an index file, built on first call; 8-aligned, static. */
const sx_buf *small_index_bytes(void);

#endif
