/* words_build_impl.h - what the files that build the search for words share: see words_build.c. */
#ifndef GEOCODE_NOMINATIM_WORDS_BUILD_IMPL_H
#define GEOCODE_NOMINATIM_WORDS_BUILD_IMPL_H

#include <sextant/arena.h>
#include <sextant/map.h>

#include "geocode/nominatim/words_build.h"
#include "geocode/words/words.h"

/* A growing list of numbers. */
typedef struct nom_list {
    uint32_t *items;
    size_t count, cap;
} nom_list;

/* An entry before terms are sorted. */
typedef struct nom_new_entry {
    uint32_t term;
    nom_disk_entry entry;
} nom_new_entry;

typedef struct nom_builder {
    const plc_index *ix;
    plc_writer *out;
    sx_error *err;
    sx_arena arena; /* texts of terms, keys of maps */
    wrd_analyzer *analyzer;
    sx_map terms;  /* text: its number */
    sx_map tokens; /* kind and id: token + 1 */
    sx_map texts;  /* where a text lies in TEXTS, + 1 */
    sx_buf key;    /* scratch */
    sx_str *term_texts;
    size_t term_count, term_cap;
    nom_new_entry *entries;
    size_t entry_count, entry_cap;
    nom_disk_token *token_rows;
    size_t token_count, token_cap;
    nom_list rows;    /* of all rows, one behind the other: as ROWS, but 32 bits each */
    nom_list scratch; /* tokens of one place */
    uint32_t *row_at; /* a place: where its row begins in `rows`, + 1 */
    uint32_t *number_at;
    uint32_t row_count;
    bool failed; /* no memory */
} nom_builder;

/* --- words_build.c */

void nom_list_put(nom_builder *b, nom_list *list, uint32_t value);

/* Sorts from `from` on and drops what is there twice. */
void nom_list_unique(nom_list *list, size_t from);

/* The token of a text of a kind ('F' full, 'w' partial, 'H' number); *added: it is new. */
uint32_t nom_token_of(nom_builder *b, char kind, sx_str id, bool *added);

/* An entry of the term `ascii`. */
void nom_entry_put(nom_builder *b, sx_str ascii, sx_str lookup, nom_disk_entry entry);

/* Where `text` lies in TEXTS: `prefixed`, with its length before it. */
uint32_t nom_text_put(nom_builder *b, sx_str text, bool prefixed);

/* Tokens of words, which are made known; appended to `list`. */
void nom_words_put(nom_builder *b, const wrd_words *words, nom_list *list);

/* --- words_rows.c: the tokens of every place, and how many rows have each in their addresses. */
sx_status nom_rows_build(nom_builder *b);
void nom_rows_count(nom_builder *b);

/* --- words_write.c: the sections. */
sx_status nom_words_write(nom_builder *b);

#endif
