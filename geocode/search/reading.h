/* reading.h - a query or a label as a list of words, and how well two such lists agree.
 *
 * Addok compares letters, two by two, and knows no words: a word out of place, a postcode with one
 * digit wrong or two errors in a long word all cost the same. Where that has led to nothing good,
 * better.c compares words instead:
 *
 *     agreement = shared / (all of the query + all of the label - shared)
 *
 * where each word counts as long as it is (articles and kinds of street less), and two words share
 * what they have in common: all of it if they are equal or sound alike, less for each error, some of
 * it for two postcodes. Parts of the label that the query does not name (city, postcode) do not
 * count. Used by better.c and explain.c; nothing allocates. */
#ifndef GEOCODE_SEARCH_READING_H
#define GEOCODE_SEARCH_READING_H

#include "geocode/index/reader.h"
#include "geocode/search/search.h"
#include "geocode/text/tokens.h"

enum {
    GEO_READING_WORDS_MAX = 24, /* of a text; the rest is not looked at */
    GEO_READING_NAMES_MAX = 8,  /* names and cities of a document that are compared */
    GEO_TYPO_LETTERS_MIN = 4,   /* a shorter word is not misspelt */
    GEO_TYPOS_TWO_FROM = 8,     /* letters of a word that may have two errors */
};

typedef enum geo_read_kind {
    GEO_READ_WORD,
    GEO_READ_NUMBER,   /* up to four digits, perhaps a letter: could be a house's */
    GEO_READ_POSTCODE, /* five digits */
} geo_read_kind;

typedef struct geo_read_word {
    sx_str raw;              /* as it was written: "bd"; points into the text read */
    sx_str text;             /* in full: "boulevard" */
    sx_str sound;            /* as it sounds; points into `own` */
    double worth;            /* how much it counts */
    uint32_t letters, heard; /* of `text` and `sound`, a bit each: these differ little in a slip */
    geo_read_kind kind;
    bool filler; /* an article or the like */
    char own[GEO_TOKEN_BYTES_MAX];
} geo_read_word;

typedef struct geo_reading {
    uint32_t count;
    geo_read_word words[GEO_READING_WORDS_MAX];
} geo_reading;

/* Words that were read before: labels share most of theirs ("rue", "de", "paris"), and how a word
 * sounds takes longer to find out than to remember. To be zeroed. */
enum { GEO_MEMO_SLOTS = 512, GEO_MEMO_BYTES = 24 };
typedef struct geo_read_memo {
    struct {
        const geo_rules *rules;
        size_t len;
        char raw[GEO_MEMO_BYTES];
        geo_read_word word;
    } slots[GEO_MEMO_SLOTS];
} geo_read_memo;

/* Reads a folded text, which must outlive `out`. `apart`: numbers stuck to words are cut off. `memo` may
 * be NULL. */
void geo_read(const geo_rules *rules, geo_read_memo *memo, sx_str folded, bool apart,
              geo_reading *out);

/* Takes the house number, as the tokens had it ("14b" for "14 bis"), out of a reading. */
void geo_read_drop_number(geo_reading *r, sx_str number);

/* How a word of the query has met the document. */
typedef enum geo_fit_kind {
    GEO_FIT_NONE,
    GEO_FIT_EXACT,
    GEO_FIT_SYNONYM,  /* written otherwise, the same in full: "bd" */
    GEO_FIT_SOUND,    /* spelt otherwise, sounds the same */
    GEO_FIT_PREFIX,   /* the last word, unfinished */
    GEO_FIT_TYPO,     /* `edits` letters are wrong */
    GEO_FIT_JOINED,   /* one word of the query is several of the document's */
    GEO_FIT_SPLIT,    /* several words of the query are one of the document's */
    GEO_FIT_POSTCODE, /* another postcode, whose first `edits` digits are the same */
    GEO_FIT_NUMBER,   /* the house number */
    GEO_FIT_BETWEEN,  /* a house number that is not there, but both its neighbours are */
    GEO_FIT_CONTEXT,  /* the department or region */
    GEO_FIT_KINDS
} geo_fit_kind;

typedef struct geo_fit_word {
    geo_fit_kind kind;
    uint32_t edits;
    double share; /* 0 to 1: of its worth that it shares */
    sx_str met;   /* the document's word or words: in the index or static */
} geo_fit_word;

typedef struct geo_fit {
    double agreement;
    double shared, query, label; /* what it is made of */
    int name, city;              /* of the label parts; city -1: not named */
    bool has_postcode;
    geo_fit_word words[GEO_READING_WORDS_MAX]; /* by word of the query's reading */
    geo_fit_word number;                       /* the house number, if the tokens had one */
    int number_word;                           /* the word taken for the house number; -1 */
    uint32_t at_number;
    int32_t lon_e7, lat_e7; /* of the house number if it fits */
    char made[GEO_MADE_NUMBER_MAX];
    uint8_t made_len;
} geo_fit;

/* What is compared with every document. */
typedef struct geo_asked {
    const geo_rules *rules;
    const geo_reading *reading; /* without the house number */
    geo_read_memo *memo;        /* for labels; NULL: none */
    uint32_t better;            /* geo_better */
    bool unfinished;            /* the last word may be */
    bool takes_numbers;         /* the filter on type lets house numbers through */
    sx_str number_text;         /* empty: the tokens had none */
    geo_number number;
} geo_asked;

/* Compares a document, whose label parts are in `parts`, with what is asked. `label` is room to work
 * in. */
void geo_fit_doc(const geo_index *ix, const geo_asked *asked, uint32_t doc,
                 const geo_label_parts *parts, geo_reading *label, geo_fit *out);

/* Letters to be changed, put in, left out or swapped with their neighbour to make one word of the
 * other; `most` + 1 if there are more than `most`. */
uint32_t geo_edits(sx_str a, sx_str b, uint32_t most);

/* typos.c: the dictionary's words at most `most` (1 or 2) edits from `word`, nearest first. Returns
 * how many. */
enum { GEO_TYPOS_MAX = 96 };
typedef struct geo_typo {
    uint32_t term, edits;
} geo_typo;
uint32_t geo_typos(const geo_index *ix, sx_str word, uint32_t most, geo_typo out[GEO_TYPOS_MAX]);

/* interpolate.c: the place of a house number that the document has not got, between the nearest ones
 * below and above it, on its side of the street where both are known there. False if there are none,
 * or if they are a kilometre apart. */
bool geo_number_between(const geo_index *ix, uint32_t doc, const geo_number *number,
                        int32_t *lon_e7, int32_t *lat_e7);

#endif
