/* words.h - the search for words of an index, opened: terms, tokens, rows; see words_format.h.
 *
 * Bytes are not trusted: what is damaged is not found. Used by the search, by details' keywords. Any
 * number of threads. */
#ifndef GEOCODE_NOMINATIM_WORDS_H
#define GEOCODE_NOMINATIM_WORDS_H

#include <sextant/arena.h>

#include "geocode/nominatim/search.h"
#include "geocode/nominatim/words_format.h"

struct nom_words {
    const plc_index *ix;
    uint64_t
        generation; /* never the same twice in a process: what is remembered of it carries this */
    const nom_disk_term *terms;
    const uint32_t *slots;
    const nom_disk_entry *entries;
    const nom_disk_token *tokens;
    const uint32_t *row_at, *number_at;
    const nom_disk_category *categories;
    const uint32_t *spellings;
    uint32_t term_count, slot_mask, entry_count, token_count, category_count, spelling_count;
};

/* The hash of a term can be made letter by letter: start, one call a byte, then the slot's hash. */
#define NOM_HASH_START 0xCBF29CE484222325u

static inline uint64_t nom_hash_byte(uint64_t hash, char byte)
{
    return (hash ^ (uint8_t)byte) * 0x100000001B3u;
}

static inline uint64_t nom_hash_end(uint64_t hash)
{
    hash ^= hash >> 32;
    hash *= 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

static inline uint64_t nom_term_hash(sx_str text)
{
    uint64_t hash = NOM_HASH_START;
    for (size_t i = 0; i < text.len; i++)
        hash = nom_hash_byte(hash, text.data[i]);
    return nom_hash_end(hash);
}

/* The term with this text and its nom_term_hash(); NULL if there is none. */
const nom_disk_term *nom_term_find(const nom_words *w, sx_str text, uint64_t hash);

/* The text of a term; its number is its place in the order of texts. */
sx_str nom_term_text(const nom_words *w, const nom_disk_term *term);

/* The first term that is not below `text`; term_count if all are. */
uint32_t nom_term_from(const nom_words *w, sx_str text);

/* A term's entries; *count 0 if damaged. */
const nom_disk_entry *nom_term_entries(const nom_words *w, const nom_disk_term *term,
                                       uint32_t *count);

sx_str nom_entry_lookup(const nom_words *w, const nom_disk_entry *entry);

/* NULL: no such token. */
static inline const nom_disk_token *nom_token(const nom_words *w, uint32_t token)
{
    return token < w->token_count ? w->tokens + token : NULL;
}

/* The places with a token in their names, rising, in the arena. False without memory; what is damaged
 * ends the list early. */
bool nom_postings_read(const nom_words *w, uint32_t token, sx_arena *arena, const uint32_t **places,
                       uint32_t *count);

/* Goes through the places with a token without reading them all. */
typedef struct nom_postings {
    geo_cursor c;
    uint32_t left, place;
} nom_postings;
void nom_postings_begin(const nom_words *w, uint32_t token, nom_postings *it);
static inline bool nom_postings_next(nom_postings *it)
{
    if (it->left == 0)
        return false;
    it->left--;
    it->place += geo_cursor_u32(&it->c);
    return !it->c.bad;
}

/* Whether a place has a token in its names, or among what only its own address tags say. */
bool nom_row_has(const nom_words *w, uint32_t place, uint32_t token);
bool nom_row_has_extra(const nom_words *w, uint32_t place, uint32_t token);

/* Goes through the tokens of a place's names, or of what only its own address tags say, rising. */
typedef struct nom_row_tokens {
    geo_cursor c;
    uint32_t left, token;
} nom_row_tokens;
void nom_row_tokens_begin(const nom_words *w, uint32_t place, bool extra, nom_row_tokens *it);
bool nom_row_tokens_next(nom_row_tokens *it);

/* The numbers of the entries that stand for a token, in nom_entry_text()'s order of texts; NULL if none do. */
const uint32_t *nom_spellings(const nom_words *w, uint32_t token, uint32_t *count);

/* The text of the term that has entry `entry`; empty if none has. */
sx_str nom_entry_text(const nom_words *w, uint32_t entry);

/* A place that is found by words. */
static inline bool nom_has_row(const nom_words *w, uint32_t place)
{
    return place < w->ix->place_count && w->row_at[place] != 0;
}

/* "2 a;4": the house numbers of a place in the form that is compared; empty if it has none. */
sx_str nom_numbers_of(const nom_words *w, uint32_t place);

/* Class and type that a special phrase stands for; false if damaged. */
bool nom_category_of(const nom_words *w, uint32_t category, sx_str *class_name, sx_str *type);

#endif
