/* words_format.h - the bytes of the search for words: sections 32 and up of the container of places.
 *
 * A term is a text in its search form ("bahnhof str"): whole names, single words, house numbers, countries,
 * special phrases. Its entries say what it may stand for. Words of names and house numbers are tokens,
 * each with the places that carry it in their names; a place's row lists its tokens the other way
 * round. A place without a row is not found by words. docs/formats/geocode-places.md tells more. */
#ifndef GEOCODE_NOMINATIM_WORDS_FORMAT_H
#define GEOCODE_NOMINATIM_WORDS_FORMAT_H

#include "geocode/places/format.h"

enum { NOM_WORDS_VERSION = 2 };

typedef enum nom_section {
    NOM_S_META = PLC_S_WORDS, /* one nom_disk_meta */
    NOM_S_TERMS,              /* nom_disk_term, by text */
    NOM_S_TERM_SLOTS,         /* uint32: a hash table of terms + 1; a power of two */
    NOM_S_ENTRIES,            /* nom_disk_entry, a term's together */
    NOM_S_TOKENS,             /* nom_disk_token */
    NOM_S_POSTINGS,           /* varints: the first place, then differences */
    NOM_S_ROW_AT,             /* uint32 a place: its row + 1 in ROWS; 0: none */
    NOM_S_ROWS,       /* varints: count and tokens of its names, count and tokens of what only
                               * its own address tags say; the first of each, then differences */
    NOM_S_NUMBER_AT,  /* uint32 a place: its house numbers + 1 in TEXTS; 0: none */
    NOM_S_TEXTS,      /* a length (varint) and its bytes; terms and lookups are bytes alone */
    NOM_S_CATEGORIES, /* nom_disk_category: what special phrases stand for */
    NOM_S_SPELLINGS,  /* uint32: the entries that stand for tokens, by token, then by entry */
    NOM_S_END
} nom_section;

typedef struct nom_disk_meta {
    uint32_t version;
    uint32_t row_count; /* places that are found by words */
    uint32_t reserved[14];
} nom_disk_meta;

typedef struct nom_disk_term {
    uint32_t text; /* in TEXTS */
    uint16_t len, entry_count;
    uint32_t entries; /* the first of its */
} nom_disk_term;

typedef enum nom_entry_kind {
    NOM_E_FULL,    /* a whole name */
    NOM_E_PARTIAL, /* a word of names */
    NOM_E_NUMBER,  /* a house number */
    NOM_E_COUNTRY, /* `country` */
    NOM_E_PHRASE,  /* `token` is a category */
    NOM_E_KINDS
} nom_entry_kind;

typedef enum nom_operator { NOM_OP_NONE, NOM_OP_IN, NOM_OP_NEAR } nom_operator;

typedef struct nom_disk_entry {
    uint32_t token;
    uint32_t lookup; /* in TEXTS: the normal form that it stands for */
    uint16_t lookup_len;
    uint16_t country;
    uint8_t kind, op;
    uint8_t reserved[2];
} nom_disk_entry;

typedef struct nom_disk_token {
    uint64_t postings;
    uint32_t count;         /* rows that have it in their names: as many places are in POSTINGS */
    uint32_t address_count; /* rows that have it in their addresses */
} nom_disk_token;

typedef struct nom_disk_category {
    uint32_t class_name, type; /* in TEXTS */
    uint16_t class_len, type_len;
} nom_disk_category;

_Static_assert(sizeof(nom_disk_meta) == 64, "META");
_Static_assert(sizeof(nom_disk_term) == 12, "TERMS");
_Static_assert(sizeof(nom_disk_entry) == 16, "ENTRIES");
_Static_assert(sizeof(nom_disk_token) == 16, "TOKENS");
_Static_assert(sizeof(nom_disk_category) == 12, "CATEGORIES");

#endif
