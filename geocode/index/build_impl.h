/* build_impl.h - the builder's insides, shared by build.c (adding), build_values.c and
 * build_numbers.c (encoding), and build_rank.c, build_terms.c, build_heavy.c, build_trie.c,
 * build_points.c and build_write.c (writing). */
#ifndef GEOCODE_INDEX_BUILD_IMPL_H
#define GEOCODE_INDEX_BUILD_IMPL_H

#include "geocode/index/build.h"
#include "geocode/index/reader.h"
#include "geocode/index/sorter.h"
#include "geocode/index/strings.h"
#include "geocode/text/tokens.h"

enum {
    GEO_BUILD_FILTERS_MAX = 16,
    GEO_BUILD_SOURCES_MAX = 255,
    GEO_BUILD_KEYS_MAX = 65535,
    GEO_BUILD_FIELD_BYTES_MAX = 4096, /* of one name, city or context; a longer one is refused */
    GEO_BUILD_TOKENS_MAX = 128,       /* of one field */
};

/* Where the time of writing goes, in thousandths: measured on two million streets. */
typedef enum geo_build_stage {
    GEO_BUILD_RANK,
    GEO_BUILD_DOCS,
    GEO_BUILD_LISTS,
    GEO_BUILD_POINTS,
    GEO_BUILD_POINTS_OUT,
    GEO_BUILD_FILE,
    GEO_BUILD_STAGES
} geo_build_stage;

/* How far the write is, and whom to tell. */
typedef struct geo_build_progress {
    geo_build_step step; /* may be NULL */
    void *context;
    geo_build_stage stage;
    uint32_t told; /* thousandths */
} geo_build_progress;

/* Where a house number is. */
typedef struct geo_build_position {
    int32_t lon_e7, lat_e7;
} geo_build_position;

/* A word's or filter's documents so far. */
typedef struct geo_build_term {
    uint32_t docs;
    uint32_t rank; /* its place by bytes, once all are known */
} geo_build_term;

struct geo_builder {
    geo_temp temp;
    size_t sort_bytes; /* for the one sort that is under way */

    geo_strings strings;
    geo_pool keys, terms;
    sx_str filters[GEO_BUILD_FILTERS_MAX]; /* into filter_text */
    uint32_t filter_count;
    sx_buf filter_text;

    geo_disk_source *sources;
    size_t source_count, source_cap;
    const geo_rules *rules; /* of the newest source */

    /* In the order of import: records; the terms of each (u32 count, ids, weight codes); the
     * positions of its house numbers (i32 lon, lat each). */
    geo_spool docs, tuples, positions;
    uint32_t doc_count;
    uint64_t tuple_count, number_count;
    geo_spool properties, labels, numbers; /* sections, as they go to the file */
    geo_spool places;                      /* made by geocode/places */
    geo_spool recipe;                      /* made by geocode/import */

    geo_build_term *term; /* by id in `terms` */
    size_t term_cap;

    geo_disk_weight weights[256];
    uint32_t weight_count;

    /* The document being added. */
    uint32_t own_terms[GEO_DOC_TERMS_MAX];
    uint8_t own_weights[GEO_DOC_TERMS_MAX];
    uint32_t own_count;
    double own_importance;
    geo_sign own_sign;   /* the pairs of its labels' letters */
    size_t own_shortest; /* bytes of its shortest name */
    char folded[GEO_BUILD_FIELD_BYTES_MAX * 4 + 1];
    geo_token tokens[GEO_BUILD_TOKENS_MAX];

    /* While writing. */
    geo_build_progress progress;
    uint32_t *key;          /* document in the order of import -> its key's place */
    uint32_t *rank;         /* document in the order of import -> its id */
    double *importance;     /* by id */
    uint32_t *by_term_rank; /* term by its place -> its id in `terms` */
    uint64_t *caps;         /* the bitmaps of CAPS, one behind the other */
    size_t cap_words;       /* of each */
};

/* The property named `key`, or NULL. */
const geo_in_property *geo_in_find(const geo_in_property *p, uint32_t count, sx_str key);

/* Tells how far a stage is. SX_ECANCELED if the caller wants to stop. */
sx_status geo_build_told(geo_builder *b, geo_build_stage stage, uint64_t done, uint64_t of,
                         sx_error *err);

/* build_rank.c: the order of documents. Fills key, rank and importance. */
sx_status geo_build_rank(geo_builder *b, sx_error *err);

/* build_values.c */

/* Appends a document's properties; *offset is where they begin. */
sx_status geo_build_properties(geo_builder *b, const geo_in_doc *doc, uint64_t *offset,
                               sx_error *err);

/* Appends one value. */
sx_status geo_build_value(geo_builder *b, sx_buf *out, const geo_in_value *v, sx_error *err);

/* The id of a property's name. */
sx_status geo_build_key(geo_builder *b, sx_str key, uint32_t *id, sx_error *err);

/* Takes apart "-651729.67" into -65172967 and 2. False for exponents, a minus zero, and anything too
 * long: those are kept as text. */
bool geo_build_decimal(sx_str text, int64_t *mantissa, unsigned *scale);

/* Degrees as units of 1e-7. */
int32_t geo_e7(double degrees);

/* build_numbers.c: appends a document's house numbers, sorted, and their positions. */
sx_status geo_build_numbers(geo_builder *b, const geo_in_doc *doc, geo_disk_doc *out,
                            sx_error *err);

/* Sections that are made at the end. */
typedef struct geo_build_sections {
    geo_spool sources, keys, docs, filter_keys, weights, points, tree;
    geo_spool blocks, heap, terms, postings, doc_terms, heavy, heavy_docs, pairs, trie, importances;
    geo_spool word_bits, caps;
} geo_build_sections;

/* One posting while lists are laid out. */
typedef struct geo_build_posting {
    uint32_t doc;
    uint8_t weight;
} geo_build_posting;

/* build_heavy.c */

/* The words of which more is kept, and which of them meet. */
typedef struct geo_build_heavies {
    uint32_t *terms;  /* by place among the heavy: rank of the term, rising */
    uint32_t *places; /* by id in `terms`: 1 + place; 0: not heavy */
    uint32_t count;
    uint32_t next; /* the first whose list has not come yet */
    size_t row;    /* words of `bits` a heavy term */
    uint64_t *bits;
} geo_build_heavies;

/* Chooses them: terms are ranked and counted. */
sx_status geo_build_heavy_begin(geo_builder *b, geo_build_heavies *h, sx_error *err);

/* Notes a document's terms (ids in `terms`). */
void geo_build_heavy_doc(geo_build_heavies *h, const uint32_t *terms, uint32_t count);

/* Takes the list of the term of rank `term`; called for every term in order. */
void geo_build_heavy_list(const geo_builder *b, geo_build_heavies *h, uint32_t term,
                          const geo_build_posting *list, uint32_t count, geo_build_sections *out);

/* After the last list. */
void geo_build_heavy_end(const geo_build_heavies *h, geo_build_sections *out);
void geo_build_heavy_free(geo_build_heavies *h);

/* build_trie.c */
sx_status geo_build_trie(geo_builder *b, sx_buf *out, sx_error *err);
sx_status geo_build_word_bits(geo_builder *b, sx_buf *out, sx_error *err);

/* build_terms.c: the dictionary, the lists, each document's terms; also the documents, whose records
 * hold where their terms are. */
sx_status geo_build_terms(geo_builder *b, geo_build_sections *out, sx_error *err);

/* build_points.c */
sx_status geo_build_points(geo_builder *b, geo_build_sections *out, sx_error *err);

#endif
