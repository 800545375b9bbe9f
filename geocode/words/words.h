/* words.h - names, house numbers and postcodes as Nominatim's ICU tokenizer takes them apart.
 *
 * A text is brought into a normal form (small letters, no signs, Unicode), and from that into its search
 * form (a-z, 0-9 and single spaces). A place's names, cleaned and seen in its country's languages,
 * give "full words" (a whole name with all its abbreviated variants) and "partial words" (the single
 * words of all those). What is asked goes through the same forms, so both meet.
 *
 * Nothing here knows places or files; texts in, texts out. Facts (letters, abbreviations, countries) are
 * tables made by tables.py out of what the Python package nominatim-db 5.3.3 configures. */
#ifndef GEOCODE_WORDS_WORDS_H
#define GEOCODE_WORDS_WORDS_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

/* --- Forms. Output is appended to `out`, whose failure sticks; input may be any bytes: what is no UTF-8
 * counts as a sign. About 3 ns a letter; Chinese, Korean, Japanese and some scripts of India ask ICU
 * where it is installed, and stay as they are where not (so import and search on machines of a
 * kind). Any thread. */

/* The normal form. Of a name: all signs are spaces. Of a query: '-' and ':' stay, since they part
 * words less than a space does. Not trimmed. */
void wrd_normal_name(sx_str in, sx_buf *out);
void wrd_normal_query(sx_str in, sx_buf *out);

/* The search form of a text in its normal form. Not trimmed. */
void wrd_ascii(sx_str normal, sx_buf *out);

/* Both at once for a name, trimmed: what addr:street is looked up by. */
void wrd_search_form(sx_str name, sx_buf *out);

/* Length of the UTF-8 character that begins `s` (not empty), and its code; a byte that begins none is
 * a character of its own with the code 0xFFFD. */
size_t wrd_letter(sx_str s, uint32_t *code);

/* --- Names. */

enum {
    WRD_NAME_BYTES_MAX = 4096, /* of one value; the rest is cut off */
    WRD_VARIANTS_MAX = 512,    /* of one full word */
    WRD_FULLS_MAX = 4096,      /* of one place */
};

/* A variant of a full word. */
typedef struct wrd_variant {
    sx_str ascii;  /* what is searched for: "bahnhofstr" */
    sx_str normal; /* what it stands for: "bahnhofstr" with its umlauts */
} wrd_variant;

/* A whole name as it is known to searches. */
typedef struct wrd_full {
    sx_str
        id; /* normal form, and "@de" behind it if seen in a language: the same id, the same word */
    const wrd_variant *variants;
    uint32_t count;
} wrd_full;

/* All words of a place's names, or of one address tag. Everything is in the analyzer's arena and good
 * until its next use; ids and partial words are there once each. */
typedef struct wrd_words {
    const wrd_full *fulls;
    uint32_t full_count;
    const sx_str *partials;
    uint32_t partial_count;
} wrd_words;

/* Keeps the rules of the languages and scratch memory. One thread at a time. */
typedef struct wrd_analyzer wrd_analyzer;
wrd_analyzer *wrd_analyzer_new(sx_error *err);
void wrd_analyzer_free(wrd_analyzer *a);

/* The words of a place: begin, one call a name tag in the tags' order ("name:de", "Wien"), end.
 *   country   two small letters, or empty
 *   errors    SX_ENOMEM, at the end */
void wrd_names_begin(wrd_analyzer *a, sx_str country);
void wrd_names_add(wrd_analyzer *a, sx_str key, sx_str value);
sx_status wrd_names_end(wrd_analyzer *a, wrd_words *out, sx_error *err);

/* The words of a value of an address tag (addr:place, addr:city, ...): one full word without a language,
 * and its parts. A place has that name if its own words hold all of these. */
sx_status wrd_address_words(wrd_analyzer *a, sx_str value, wrd_words *out, sx_error *err);

/* Whether one of the full words has a variant that is searched for as `search_form`: so addr:street
 * finds its street. */
bool wrd_has_variant(const wrd_words *words, sx_str search_form);

/* --- House numbers. */

enum { WRD_NUMBERS_MAX = 64 };

/* The single numbers that an address tag holds.
 *   value           of addr:housenumber, addr:conscriptionnumber or addr:streetnumber
 *   interpolation   the value of addr:interpolation on the same object; empty if there is none
 *   out             in `arena`
 *   *is_name        the value is no number but the name of a house: then there are none
 * Returns how many, at most WRD_NUMBERS_MAX; 0 also without memory. */
uint32_t wrd_housenumbers(sx_str value, sx_str interpolation, sx_arena *arena, sx_str *out,
                          bool *is_name);

/* One number's id: its search form, with WRD_OPTIONAL where a space may stand between digits and
 * letters ("2" WRD_OPTIONAL "a"). Variants are the id with each of them read as a space or as nothing;
 * the first (all spaces) is how the number is kept: "2 a". */
#define WRD_OPTIONAL '_'
void wrd_housenumber_id(sx_str number, sx_buf *out);

/* Calls `each` for all variants, the kept form first. */
void wrd_housenumber_variants(sx_str id, void (*each)(void *ctx, sx_str variant), void *ctx);

/* --- Postcodes. */

/* How a country writes the postcode `text`: "SW1A 1AA" of "sw1a1aa". False: it is none there. */
bool wrd_postcode(sx_str country, sx_str text, sx_buf *out);

/* Postcodes in a query: at most WRD_POSTCODES_MAX of the words from the one at the text's start on.
 *   text     words in capitals, each followed by how it ends (one of " -,:`>")
 *   whole    the pattern must match all of the text
 *   out      for each: how many endings it covers and the postcode, as its countries write it, in `arena`
 * Returns how many. */
enum { WRD_POSTCODES_MAX = 32 };
typedef struct wrd_postcode_found {
    uint32_t breaks;
    sx_str text;
} wrd_postcode_found;
uint32_t wrd_postcodes_in(sx_str text, bool whole, sx_arena *arena,
                          wrd_postcode_found out[WRD_POSTCODES_MAX]);

/* The box of a postcode without an area reaches so far from its middle, in metres. */
uint32_t wrd_postcode_extent(sx_str country);

/* Languages of a country that have rules here, by spaces ("de", "nl fr de"); empty if none. */
sx_str wrd_country_languages(sx_str country);

#endif
