/* format.h - the bytes of an index file, as docs/formats/geocode-index.md describes them.
 *
 * One place for every number that is on disk; the reader (index.c and its neighbours) and the
 * builder both include it. All integers are little-endian and lie at their natural alignment,
 * since every section starts on a multiple of 64, so fixed records are read in place. Variable
 * records are byte streams of varints (LEB128), read through cursor.h with a bound.
 *
 * Document ids are given by falling importance (ties: by order of import), so the front of every
 * posting list is the part that matters most. */
#ifndef GEOCODE_INDEX_FORMAT_H
#define GEOCODE_INDEX_FORMAT_H

#include <sextant/base.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "index files are mapped and read in place; a big-endian port must swap");

#define GEO_MAGIC "SXGEOIX\n"

enum {
    GEO_FORMAT_VERSION = 9,
    GEO_HEADER_BYTES = 4096,
    GEO_SECTION_ALIGN = 64,
    GEO_SECTIONS_MAX = 64,
    GEO_TERM_BLOCK = 16,    /* terms of one front-coded block */
    GEO_NUMBER_GROUP = 16,  /* house numbers between two index entries */
    GEO_POINT_BLOCK = 64,   /* points under a leaf box, and children of every inner box */
    GEO_RANK_WORDS = 2,     /* bitmap words between two rank entries */
    GEO_DENSE_LEAST = 4096, /* documents of a term that may have a bitmap with fewer than a 64th */
    GEO_DENSE_SHARE = 256,  /* of all documents, but more than such a share */
    GEO_HEAVY_LEAST = 512,  /* documents of a term that is kept among the heavy ones */
    GEO_HEAVY_DOCS = 512,   /* its best documents that are kept */
    GEO_HEAVY_MAX = 8192,   /* terms that can be heavy: the most frequent */
    GEO_POINT_LEVELS_MAX = 6,
    GEO_CAP_LEVELS = 3, /* see CAPS in docs/formats/geocode-index.md */
    GEO_CAP_CLASSES = GEO_CAP_LEVELS + 1,
};

/* The namespace of filter terms in the dictionary: "\1postcode\x1f75002". No folded word begins or
 * contains either byte. */
#define GEO_FILTER_LEAD  '\1'
#define GEO_FILTER_SPLIT '\x1f'

/* Section ids: X(id, name, bytes of one record; 1 for byte streams). A file of this version has
 * every one of them, an unknown id is skipped. */
#define GEO_SECTION_LIST(X)                                                                        \
    X(1, SOURCES, 32)                                                                              \
    X(2, STRINGS, 1)                                                                               \
    X(3, KEYS, 16)                                                                                 \
    X(4, DOCS, 64)                                                                                 \
    X(5, PROPERTIES, 1)                                                                            \
    X(6, LABELS, 1)                                                                                \
    X(7, NUMBERS, 1)                                                                               \
    X(8, TERM_BLOCKS, 4)                                                                           \
    X(9, TERM_HEAP, 1)                                                                             \
    X(10, TERMS, 16)                                                                               \
    X(11, POSTINGS, 1)                                                                             \
    X(12, WEIGHTS, 16)                                                                             \
    X(13, DOC_TERMS, 1)                                                                            \
    X(14, HEAVY, 16)                                                                               \
    X(15, HEAVY_DOCS, 8)                                                                           \
    X(16, FILTER_KEYS, 4)                                                                          \
    X(17, POINTS, 16)                                                                              \
    X(18, POINT_TREE, 16)                                                                          \
    X(19, PAIRS, 8)                                                                                \
    X(20, TRIE, 12)                                                                                \
    X(21, IMPORTANCES, 8)                                                                          \
    X(22, WORD_BITS, 8)                                                                            \
    X(23, CAPS, 8)                                                                                 \
    X(24, PLACES, 1)                                                                               \
    X(25, RECIPE, 1)

typedef enum geo_section {
#define X(id, name, record) GEO_S_##name = (id),
    GEO_SECTION_LIST(X)
#undef X
        GEO_S_END
} geo_section;

typedef struct geo_disk_section {
    uint32_t id;     /* geo_section */
    uint32_t crc32c; /* of `bytes` bytes at `offset` */
    uint64_t offset; /* from the start of the file, a multiple of GEO_SECTION_ALIGN */
    uint64_t bytes;
    uint64_t count; /* records; bytes for a stream */
} geo_disk_section;

typedef struct geo_disk_header {
    char magic[8];
    uint32_t version;
    uint32_t section_count;
    uint64_t file_bytes;
    uint64_t generation; /* XXH3 of the section table: equal contents, equal generation */
    uint64_t numbers;    /* house numbers of all documents */
    uint64_t reserved[3];
    geo_disk_section sections[GEO_SECTIONS_MAX];
    uint8_t zero[GEO_HEADER_BYTES - 64 - 32 * GEO_SECTIONS_MAX - 4];
    uint32_t crc32c; /* of all bytes before it */
} geo_disk_header;

typedef struct geo_disk_source {
    uint32_t name, attribution, licence, path; /* string references */
    uint32_t language;                         /* geo_language: its documents' rules */
    uint32_t documents;
    uint64_t reserved;
} geo_disk_source;

/* A property's name, and what kind of thing it holds: names in several languages are properties
 * whose keys have the role NAME and a language. */
typedef struct geo_disk_key {
    uint32_t name; /* string reference */
    uint16_t role; /* geo_role */
    uint16_t language;
    uint64_t reserved;
} geo_disk_key;

typedef enum geo_role {
    GEO_ROLE_OTHER = 0,
    GEO_ROLE_NAME = 1,
    GEO_ROLE_POSTCODE = 2,
    GEO_ROLE_CITY = 3,
} geo_role;

/* What a document is; it decides how its labels are made. */
typedef enum geo_type {
    GEO_TYPE_OTHER = 0,
    GEO_TYPE_HOUSENUMBER = 1,
    GEO_TYPE_STREET = 2,
    GEO_TYPE_LOCALITY = 3,
    GEO_TYPE_MUNICIPALITY = 4,
} geo_type;

/* Bits of geo_disk_doc.flags. */
enum {
    GEO_DOC_OF_PLACES =
        1, /* made out of the section PLACES: whoever answers from that leaves it out */
};

typedef struct geo_disk_doc {
    uint32_t key; /* place of the document's key (hashids of the order of import) among all */
    uint32_t id;  /* string reference */
    int32_t lon_e7, lat_e7;
    double importance; /* as in IMPORTANCES, which is read where nothing else of it is wanted */
    uint64_t properties, labels, numbers, terms; /* offsets in their sections */
    uint32_t number_count;                       /* house numbers; 0: `numbers` means nothing */
    uint8_t type;                                /* geo_type */
    uint8_t source;                              /* index in SOURCES */
    uint8_t rank;                                /* address rank, 0: unknown */
    uint8_t flags;                               /* GEO_DOC_... */
} geo_disk_doc;

typedef enum geo_posting_kind {
    GEO_POSTINGS_ONE = 0,    /* the only document is `at`, its weight `weight` */
    GEO_POSTINGS_ARRAY = 1,  /* the documents, then their weights: searched as they lie */
    GEO_POSTINGS_BITMAP = 2, /* a bit a document, rank entries, best weights, weights */
} geo_posting_kind;

typedef struct geo_disk_term {
    uint64_t at;    /* offset in POSTINGS; the document for GEO_POSTINGS_ONE */
    uint32_t count; /* documents */
    uint8_t kind;   /* geo_posting_kind */
    uint8_t weight; /* best weight code of the list */
    uint16_t reserved;
} geo_disk_term;

/* What a weight code stands for: in a document of importance i a word weighs
 * (boost + i / 10) / tokens. Code 0 weighs nothing. */
typedef struct geo_disk_weight {
    double boost, tokens;
} geo_disk_weight;

/* CAPS has a bitmap for each level, of the documents that have a word of more than so much boost a token. */
static const double GEO_CAPS[GEO_CAP_LEVELS] = {4.0 / 2, 4.0 / 3, 4.0 / 4};

/* A word that many documents have. */
typedef struct geo_disk_heavy {
    uint32_t term;         /* records are sorted by it */
    uint32_t first, count; /* in HEAVY_DOCS: its best documents, by falling weight */
    uint32_t reserved;
} geo_disk_heavy;

typedef struct geo_disk_heavy_doc {
    uint32_t doc;
    uint32_t weight; /* code */
} geo_disk_heavy_doc;

/* A node of the tree of words. Its children lie side by side, by rising byte; node 0 is the root. */
typedef struct geo_disk_node {
    uint32_t children; /* the first one */
    uint32_t term;     /* the word that ends here; UINT32_MAX */
    uint8_t byte;      /* that leads here */
    uint8_t child_count;
    uint16_t reserved;
} geo_disk_node;

#define GEO_NO_NUMBER UINT32_MAX

typedef struct geo_disk_point {
    int32_t lon_e7, lat_e7;
    uint32_t doc;
    uint32_t number; /* index of the house number, or GEO_NO_NUMBER for the document's own point */
} geo_disk_point;

typedef struct geo_disk_box {
    int32_t lon_min, lat_min, lon_max, lat_max;
} geo_disk_box;

_Static_assert(sizeof(geo_disk_header) == GEO_HEADER_BYTES, "header is one page");
_Static_assert(sizeof(geo_disk_source) == 32 && sizeof(geo_disk_key) == 16, "records as written");
_Static_assert(sizeof(geo_disk_doc) == 64 && sizeof(geo_disk_term) == 16, "records as written");
_Static_assert(sizeof(geo_disk_weight) == 16 && sizeof(geo_disk_heavy) == 16 &&
                   sizeof(geo_disk_heavy_doc) == 8 && sizeof(geo_disk_node) == 12,
               "records as written");
_Static_assert(sizeof(geo_disk_point) == 16, "records as written");

/* First byte of an encoded value (PROPERTIES and the free columns of NUMBERS). */
typedef enum geo_tag {
    GEO_TAG_NULL = 0,
    GEO_TAG_FALSE = 1,
    GEO_TAG_TRUE = 2,
    GEO_TAG_STRING = 3,  /* varint string reference */
    GEO_TAG_NUMBER = 4,  /* varint string reference to the JSON text of an unusual number */
    GEO_TAG_JSON = 5,    /* varint string reference to the JSON text of an object */
    GEO_TAG_ARRAY = 6,   /* varint count, then as many values */
    GEO_TAG_ABSENT = 7,  /* in a column of NUMBERS: this entry has no such property */
    GEO_TAG_DECIMAL = 8, /* 8..27: zigzag varint mantissa; tag - 8 digits after the point */
    GEO_TAG_DECIMAL_LAST = 27,
} geo_tag;

/* Kinds of a column of NUMBERS. */
typedef enum geo_column_kind {
    GEO_COLUMN_ID = 0,      /* a byte: 0 made by rule, 1 rest after the document's id, 2 whole */
    GEO_COLUMN_DECIMAL = 1, /* zigzag varint difference to the entry before; fixed scale */
    GEO_COLUMN_VALUE = 2,   /* an encoded value */
} geo_column_kind;

#endif
