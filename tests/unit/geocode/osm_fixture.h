/* osm_fixture.h - for the tests of geocode/osm: files with chosen bytes, PBFs put together by hand, and
 * a number over all objects that does not depend on their order. */
#ifndef TESTS_GEOCODE_OSM_FIXTURE_H
#define TESTS_GEOCODE_OSM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants these before it. */
#include <cmocka.h>

#include <stdatomic.h>

#include <sextant/buf.h>
#include <sextant/protobuf.h>

#include "geocode/osm/dataset.h"

/* A file of its own for each `slot` (0 to 9), in memory: the path is good until the slot's next use. */
const char *osm_test_file(unsigned slot, sx_str bytes);

/* "way 7 v2 1 2 a=b", for comparisons. */
void osm_test_describe(const osm_object *o, char *out, size_t cap);

/* What was read. */
typedef struct osm_seen {
    _Atomic uint64_t hash; /* sum over objects, without packed places */
    _Atomic uint64_t objects, places;
    uint64_t last_block; /* ordered reading: must not fall */
    bool fell;
    osm_object last; /* pointers are dead */
    char text[512];  /* of the last object: "way 7 v2 refs 1,2 tags a=b;" */
    osm_report report;
    osm_header header;
    sx_error err;
} osm_seen;

uint64_t osm_test_hash(const osm_object *o);
sx_status osm_test_batch(void *ctx, const osm_batch *batch, sx_error *err);

/* Reads with the options given; path, batch, ctx, report and header are set here. */
sx_status osm_test_read(osm_seen *seen, const char *path, osm_read_options options);

/* Appends to a PBF: a blob of the type whose contents are `plain`, packed as `field` says (1 raw,
 * 3 zlib, 7 zstd). */
void osm_test_blob(sx_buf *out, const char *type, sx_str plain, uint32_t field);

/* Appends the usual header; `feature` (may be NULL) is required, too. */
void osm_test_header(sx_buf *out, const char *feature);

/* Appends a block of these strings (closed by NULL; "" is put before them) and this group. */
void osm_test_block(sx_buf *out, const char *const *strings, sx_buf *group, uint32_t field);

/* Appends to a group: dense nodes with ids from `id` on, `step` apart. */
void osm_test_nodes(sx_buf *group, int64_t id, int64_t step, size_t count);

/* Appends to a group: a way with tags {key, value} and these nodes. */
void osm_test_way(sx_buf *group, int64_t id, uint32_t key, uint32_t value, const int64_t *refs,
                  size_t count);

#endif
