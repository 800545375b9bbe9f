/* build_impl.h - the builder's insides, shared by build.c (adding), build_values.c (encoding),
 * build_terms.c, build_points.c and build_write.c (writing). */
#ifndef GEOCODE_INDEX_BUILD_IMPL_H
#define GEOCODE_INDEX_BUILD_IMPL_H

#include "geocode/index/build.h"
#include "geocode/index/pool.h"
#include "geocode/index/reader.h"
#include "geocode/text/tokens.h"

enum {
    GEO_BUILD_FILTERS_MAX = 16,
    GEO_BUILD_SOURCES_MAX = 255,
    GEO_BUILD_KEYS_MAX = 65535,
    GEO_BUILD_FIELD_BYTES_MAX = 4096, /* of one name, city or context; a longer one is refused */
    GEO_BUILD_TOKENS_MAX = 128,       /* of one field */
};

/* A point with its place on the Hilbert curve; `doc` is in the order of import until sorted. */
typedef struct geo_build_point {
    uint64_t curve;
    geo_disk_point point;
} geo_build_point;

struct geo_builder {
    geo_pool strings, keys, terms;
    sx_str filters[GEO_BUILD_FILTERS_MAX]; /* into filter_text */
    uint32_t filter_count;
    sx_buf filter_text;

    geo_disk_source *sources;
    size_t source_count, source_cap;
    const geo_rules *rules; /* of the newest source */

    geo_disk_doc *docs; /* in the order of import */
    size_t doc_count, doc_cap;
    uint64_t number_count;
    sx_buf properties, labels, numbers; /* streams, as they go to the file */

    /* Terms of documents: those of document i are [term_first[i], term_first[i + 1]). */
    uint32_t *term_ids;
    uint8_t *term_weights;
    size_t tuple_count, id_cap, weight_cap;
    uint64_t *term_first;
    size_t first_cap;

    geo_disk_weight weights[256];
    uint32_t weight_count;

    geo_build_point *points;
    size_t point_count, point_cap;

    /* The document being added. */
    uint32_t own_terms[GEO_DOC_TERMS_MAX];
    uint8_t own_weights[GEO_DOC_TERMS_MAX];
    uint32_t own_count;
    double own_importance;
    char folded[GEO_BUILD_FIELD_BYTES_MAX * 4 + 1];
    geo_token tokens[GEO_BUILD_TOKENS_MAX];

    /* While writing. */
    uint32_t *rank;    /* document in the order of import -> its id */
    uint32_t *by_rank; /* and back */
    uint32_t *term_rank, *by_term_rank;
};

/* The property named `key`, or NULL. */
const geo_in_property *geo_in_find(const geo_in_property *p, uint32_t count, sx_str key);

/* build_keys.c: numbers the documents (in the order of import) by their keys. False: no memory. */
bool geo_build_keys(geo_disk_doc *docs, size_t count);

/* build_values.c */

/* Appends a document's properties; *offset is where they begin. */
sx_status geo_build_properties(geo_builder *b, const geo_in_doc *doc, uint64_t *offset,
                               sx_error *err);

/* Appends a document's house numbers, sorted, and their points (doc id doc_count). */
sx_status geo_build_numbers(geo_builder *b, const geo_in_doc *doc, geo_disk_doc *out,
                            sx_error *err);

/* Degrees as units of 1e-7. */
int32_t geo_e7(double degrees);

/* Adds a point of the document now being added. */
sx_status geo_build_point_add(geo_builder *b, int32_t lon_e7, int32_t lat_e7, uint32_t number,
                              sx_error *err);

/* The sections that are made at the end; each is appended to `out`. */
typedef struct geo_build_terms_out {
    sx_buf blocks, heap, terms, postings, doc_terms, heavy, heavy_docs, pairs, trie;
} geo_build_terms_out;
/* One posting while lists are laid out. */
typedef struct geo_build_posting {
    uint32_t doc;
    uint8_t weight;
} geo_build_posting;

/* build_heavy.c. The list of the term of rank t is [first[t], first[t + 1]) of `all`. */
sx_status geo_build_heavy(geo_builder *b, const uint64_t *first, const geo_build_posting *all,
                          geo_build_terms_out *o, sx_error *err);

/* build_trie.c */
sx_status geo_build_trie(geo_builder *b, sx_buf *out, sx_error *err);

sx_status geo_build_terms(geo_builder *b, geo_build_terms_out *out, sx_error *err);
sx_status geo_build_points(geo_builder *b, sx_buf *points, sx_buf *tree, sx_error *err);

#endif
