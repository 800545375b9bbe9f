/* reader.h - inside an open index: for the files of geocode/index, search and reverse alone.
 *
 * Sections as pointers and counts, the term dictionary, and posting lists. */
#ifndef GEOCODE_INDEX_READER_H
#define GEOCODE_INDEX_READER_H

#include <sextant/file.h>

#include "geocode/index/cursor.h"
#include "geocode/index/index.h"

typedef struct geo_bytes {
    const uint8_t *data;
    uint64_t bytes, count;
} geo_bytes;

struct geo_index {
    const uint8_t *map;
    size_t map_bytes;
    sx_mapping mapping; /* zero: borrowed memory */
    const geo_disk_header *header;
    geo_bytes s[GEO_S_END]; /* by section id */
    const geo_disk_doc *docs;
    uint32_t doc_count;
    const geo_disk_term *terms;
    uint32_t term_count;
    const double *weights; /* 256 */
    /* The box tree: level 0 are the leaves' boxes. */
    uint32_t level_count;
    uint64_t level_first[GEO_POINT_LEVELS_MAX], level_size[GEO_POINT_LEVELS_MAX];
};

static inline geo_cursor geo_section_cursor(const geo_index *ix, geo_section id, uint64_t offset)
{
    return geo_cursor_at(ix->s[id].data, ix->s[id].bytes, offset);
}

/* Reads one encoded value at the cursor. False if damaged. */
bool geo_value_read(const geo_index *ix, geo_cursor *c, geo_value *out);

/* Makes `out` the number mantissa / 10^scale; scale < 20. */
void geo_value_set_decimal(geo_value *out, int64_t mantissa, unsigned scale);

/* --- The dictionary: terms have ids 0..term_count-1 in byte order. */

#define GEO_NO_TERM UINT32_MAX

/* The id of exactly `term`; GEO_NO_TERM. */
uint32_t geo_term_find(const geo_index *ix, sx_str term);

/* The range of terms that begin with `prefix`: [*first, *end). */
void geo_term_range(const geo_index *ix, sx_str prefix, uint32_t *first, uint32_t *end);

/* The text of a term into `out` (cap bytes); empty if it does not fit or is damaged. */
sx_str geo_term_text(const geo_index *ix, uint32_t term, char *out, size_t cap);

/* --- Filters: their values are terms in a namespace of the dictionary. */

enum { GEO_FILTER_BYTES_MAX = 256 }; /* key and value; a longer one matches nothing */

/* Whether the index was built with a filter `key`. */
bool geo_filter_known(const geo_index *ix, sx_str key);

/* The term of a filter's value, into `out`; empty if it is empty or too long. */
sx_str geo_filter_text(sx_str key, sx_str value, char out[GEO_FILTER_BYTES_MAX]);

/* Its id; GEO_NO_TERM if no document has it. */
uint32_t geo_filter_term(const geo_index *ix, sx_str key, sx_str value);

enum { GEO_NAME_BYTES_MAX = 128 }; /* longer names are not in the dictionary as a whole */

/* The term of a whole folded name, into `out`; empty if it is empty or too long. */
sx_str geo_name_text(sx_str folded, char out[GEO_NAME_BYTES_MAX]);

/* --- Posting lists. */

/* A list opened for walking and for probing in rising order of document. */
typedef struct geo_postings {
    uint32_t count;
    uint8_t kind;
    bool bad;
    uint8_t one_weight;
    uint32_t one_doc;
    /* bitmap */
    const uint64_t *words;
    const uint32_t *ranks;
    const uint8_t *weights;
    uint32_t word_count;
    /* blocks */
    const geo_disk_skip *skips;
    const uint8_t *data, *data_end;
    uint32_t block_count;
    /* where the walk stands */
    uint32_t block;    /* decoded block, or UINT32_MAX */
    uint32_t in_block; /* number decoded */
    uint32_t at;       /* next in the block; next word for a bitmap; 0/1 for one */
    uint64_t word;     /* bits of the current word not yet given */
    uint32_t docs[GEO_POSTING_BLOCK];
    const uint8_t *block_weights;
} geo_postings;

/* Opens term `term`'s list. A damaged one is empty and `bad`. */
void geo_postings_open(const geo_index *ix, uint32_t term, geo_postings *p);

#define GEO_NO_DOC UINT32_MAX

/* The next document in rising order, GEO_NO_DOC at the end; *weight its code. */
uint32_t geo_postings_next(geo_postings *p, uint8_t *weight);

/* Whether `doc` is in the list, and its weight code (NULL: not wanted). Documents asked for must rise for speed, not
 * for correctness. May be mixed with next() only on different geo_postings. */
bool geo_postings_has(geo_postings *p, uint32_t doc, uint8_t *weight);

/* --- Terms of a document. */

enum { GEO_DOC_TERMS_MAX = 512 };

/* The document's terms, rising, into `out`; returns how many (0 if damaged). */
uint32_t geo_doc_terms(const geo_index *ix, uint32_t doc, uint32_t out[GEO_DOC_TERMS_MAX]);

/* The precomputed best documents of a short prefix; false if it has none (few documents match). */
bool geo_prefix_docs(const geo_index *ix, sx_str prefix, const uint32_t **docs, uint32_t *count);

#endif
