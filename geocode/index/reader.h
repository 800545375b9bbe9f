/* reader.h - inside an open index: for the files of geocode/index, search and reverse alone.
 *
 * Sections as pointers and counts, the term dictionary, and posting lists. */
#ifndef GEOCODE_INDEX_READER_H
#define GEOCODE_INDEX_READER_H

#include <sextant/file.h>

#include "geocode/index/cursor.h"
#include "geocode/index/index.h"
#include "geocode/index/sign.h"
#include "geocode/index/spell.h"

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
    const double *importances; /* by document: eight of them in a line of the processor's cache */
    const geo_disk_term *terms;
    uint32_t term_count;
    const geo_disk_weight *weights; /* 256 */
    /* What a weight code weighs, nearly: base + importance * slope, without a division. */
    double weight_base[256], weight_slope[256];
    /* Bitmaps of the documents that have a word that weighs more than a level's cap, and what a word
     * of any other document weighs at most: base + importance * slope. 0: not kept. */
    uint32_t cap_levels, cap_words; /* words: of a bitmap */
    const uint64_t *caps;
    double cap_base[GEO_CAP_LEVELS], cap_slope[GEO_CAP_LEVELS];
    const geo_disk_node *trie;
    uint32_t node_count;
    const uint64_t *word_bits; /* 2^word_bits_log2 of them, see spell.h */
    unsigned word_bits_log2;
    const geo_disk_heavy *heavy;
    uint32_t heavy_count;
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

/* --- Posting lists. */

/* A list opened for walking and for probing in rising order of document. */
typedef struct geo_postings {
    uint32_t count;
    uint8_t kind; /* an array or a bitmap: a single document is an array of one */
    bool bad;
    const uint8_t *weights;
    const uint32_t *docs; /* array */
    /* bitmap */
    const uint64_t *words;
    const uint32_t *ranks;
    const uint8_t *tops;       /* by rank entry: the code that weighs most among its documents */
    const uint8_t *class_tops; /* by class: the code of most boost a token among its documents */
    uint32_t word_count;
    /* where the walk stands */
    uint32_t at;    /* next of an array, or where the document asked for last is or would be */
    uint32_t place; /* the searcher's: of an array's document that has been found */
    uint32_t given; /* of a bitmap; `at` is the word under way then */
    uint64_t word;  /* bits of the current word not yet given */
} geo_postings;

/* Opens term `term`'s list. A damaged one is empty and `bad`. */
void geo_postings_open(const geo_index *ix, uint32_t term, geo_postings *p);

#define GEO_NO_DOC UINT32_MAX

/* The next document in rising order, GEO_NO_DOC at the end; *weight its code. */
uint32_t geo_postings_next(geo_postings *p, uint8_t *weight);

/* Whether `doc` is in the list, and its weight code (NULL: not wanted). Documents asked for must rise for
 * speed, not for correctness. May be mixed with next() only on different geo_postings. */
bool geo_postings_has(geo_postings *p, uint32_t doc, uint8_t *weight);

/* HOT. Whether documents of a list exist: else it is damaged. */
static inline bool geo_docs_exist(const geo_index *ix, const uint32_t *docs, uint32_t n)
{
    uint32_t beyond = 0;
    for (uint32_t i = 0; i < n; i++)
        beyond += docs[i] >= ix->doc_count;
    return beyond == 0;
}

/* HOT. The same for up to GEO_POSTINGS_CHUNK rising documents at a time, all of which
 * exist: what is read of one does not wait for what the one before it came to.
 *
 * Which of `docs` are in all of `count` bitmaps: their numbers into `out`; returns how many. */
enum { GEO_POSTINGS_CHUNK = 64 };
uint32_t geo_postings_sieve_bits(const uint64_t *const *bits, uint32_t count, const uint32_t *docs,
                                 uint32_t n, uint8_t out[GEO_POSTINGS_CHUNK]);

/* Which of the `n` documents docs[which[..]] are in an array, of which there are about `near` where they
 * are. `which` keeps their numbers, and `at` gets their places in it; returns how many. */
uint32_t geo_postings_sieve(geo_postings *p, const uint32_t *docs, uint8_t *which, uint32_t n,
                            uint32_t near, uint32_t at[GEO_POSTINGS_CHUNK]);

/* How many documents of a list lie beside a chunk of another's, about. */
static inline uint32_t geo_postings_near(const geo_postings *p, const geo_postings *first)
{
    return first->count <= GEO_POSTINGS_CHUNK
               ? p->count
               : (uint32_t)((uint64_t)p->count * GEO_POSTINGS_CHUNK / first->count);
}

/* Whether a look at a list's bitmap tells that `doc` is not in it: the cheapest question there is. */
static inline bool geo_postings_lacks(const geo_postings *p, uint32_t doc)
{
    return p->kind == GEO_POSTINGS_BITMAP &&
           (doc / 64 >= p->word_count || !(p->words[doc / 64] >> (doc % 64) & 1));
}

/* HOT. __builtin_popcountll() is a call into libgcc for a machine of any age. */
static inline uint32_t geo_bits_in(uint64_t word)
{
    word -= word >> 1 & UINT64_C(0x5555555555555555);
    word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
    word = (word + (word >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    return (uint32_t)(word * UINT64_C(0x0101010101010101) >> 56);
}

/* The bits of a bitmap before word `word` of it, which must exist. */
static inline uint32_t geo_postings_rank(const geo_postings *p, uint32_t word)
{
    uint32_t rank = p->ranks[word / GEO_RANK_WORDS];
    for (uint32_t i = word / GEO_RANK_WORDS * GEO_RANK_WORDS; i < word; i++)
        rank += geo_bits_in(p->words[i]);
    return rank;
}

/* The place of a bitmap's document among its weights. */
static inline uint32_t geo_postings_place(const geo_postings *p, uint32_t doc)
{
    return geo_postings_rank(p, doc / 64) +
           geo_bits_in(p->words[doc / 64] & ((UINT64_C(1) << (doc % 64)) - 1));
}

/* The documents of a word of bitmaps that are in a class: 0 are those above the first cap, 1 those above
 * the second alone, and so on; the last are under all caps. */
static inline uint64_t geo_class_bits(const geo_index *ix, uint32_t word, uint32_t class)
{
    uint64_t bits = class < GEO_CAP_LEVELS ? ix->caps[(size_t)class * ix->cap_words + word] : ~0ULL;
    return class > 0 ? bits & ~ix->caps[(size_t)(class - 1) * ix->cap_words + word] : bits;
}

/* --- Around a point. */

/* The documents with a point (their own or a house number's) in the geohash cell of seven letters
 * that holds lat, lon, or in one of so many rings of cells around it, rising, into `out`; returns how
 * many, `cap` at most. */
uint32_t geo_cell_docs(const geo_index *ix, double lat, double lon, unsigned rings, uint32_t *out,
                       uint32_t cap);

/* --- What labels can be like. */

/* What a document's label parts begin with. */
typedef struct geo_label_head {
    geo_sign sign;  /* of its names */
    uint32_t place; /* string reference: its cities and postcodes */
} geo_label_head;

enum { GEO_LABEL_HEAD_BYTES = 36 }; /* on disk, not aligned */

/* HOT. The head of the document, which must exist. False if damaged. */
static inline bool geo_doc_label_head(const geo_index *ix, uint32_t doc, geo_label_head *out)
{
    const geo_bytes *s = &ix->s[GEO_S_LABELS];
    uint64_t at = ix->docs[doc].labels;
    if (sx_unlikely(at > s->bytes || s->bytes - at < GEO_LABEL_HEAD_BYTES))
        return false;
    memcpy(&out->sign, s->data + at, sizeof(out->sign));
    memcpy(&out->place, s->data + at + sizeof(out->sign), sizeof(out->place));
    return true;
}

/* The cities and postcodes that a place has; the names of `out` stay. False if damaged. */
bool geo_place_parts(const geo_index *ix, uint32_t place, geo_label_parts *out);

/* --- Terms of a document. */

enum { GEO_DOC_TERMS_MAX = 512 };

/* The document's terms, rising, into `out`; returns how many (0 if damaged). */
uint32_t geo_doc_terms(const geo_index *ix, uint32_t doc, uint32_t out[GEO_DOC_TERMS_MAX]);

/* What a word of weight code `weight` adds to document `doc`, which must exist. */
static inline double geo_weight(const geo_index *ix, uint8_t weight, uint32_t doc)
{
    const geo_disk_weight *w = &ix->weights[weight];
    return weight ? (w->boost + ix->importances[doc] * 0.1) / w->tokens : 0;
}

/* --- The tree of words. */

/* The children of `node`: how many, and the first of them. None if the node is damaged. */
uint32_t geo_trie_children(const geo_index *ix, uint32_t node, uint32_t *first);

/* The child of `node` by `byte`; 0 if there is none. */
uint32_t geo_trie_child(const geo_index *ix, uint32_t node, uint8_t byte);

/* The node of exactly these bytes from `node` on; 0 if there is none (or if `text` is empty at the
 * root). */
uint32_t geo_trie_walk(const geo_index *ix, uint32_t node, sx_str text);

/* The term of a word, by way of the tree; GEO_NO_TERM. */
uint32_t geo_word_find(const geo_index *ix, sx_str word);

/* HOT. Whether there may be a word of this number (spell.h). */
static inline bool geo_word_may_be(const geo_index *ix, uint64_t spelled)
{
    uint64_t bit = geo_spell_bit(spelled, ix->word_bits_log2);
    return ix->word_bits[bit / 64] >> (bit % 64) & 1;
}

/* --- Words that many documents have. */

#define GEO_NOT_HEAVY UINT32_MAX

/* The place of `term` among the heavy ones; GEO_NOT_HEAVY. */
uint32_t geo_heavy_find(const geo_index *ix, uint32_t term);

/* The best documents of heavy word `heavy`; none if damaged. */
const geo_disk_heavy_doc *geo_heavy_docs(const geo_index *ix, uint32_t heavy, uint32_t *count);

/* Whether some document has both of two heavy words, by their places. */
static inline bool geo_heavies_meet(const geo_index *ix, uint32_t a, uint32_t b)
{
    const uint64_t *bits = (const uint64_t *)(const void *)ix->s[GEO_S_PAIRS].data;
    size_t row = ((size_t)ix->heavy_count + 63) / 64;
    return bits[a * row + b / 64] >> (b % 64) & 1;
}

/* Whether some document has both of two words. */
bool geo_terms_meet(const geo_index *ix, uint32_t a, uint32_t b);

/* The documents that have all of `count` words (1 to GEO_MEET_TERMS_MAX; the rarest is the first),
 * into `out`; *found is how many. False if they are more than `cap`, or take long to find. */
enum { GEO_MEET_TERMS_MAX = 64, GEO_MEET_DOCS_MAX = 1024 };
bool geo_terms_docs(const geo_index *ix, const uint32_t *terms, uint32_t count, uint32_t *out,
                    uint32_t cap, uint32_t *found);

#endif
