/* tokens.h - a folded text cut into the words that the index knows, and its house number.
 *
 * The steps are those of Addok with its French plug-ins, as its answers show them: cut at spaces and
 * around each five digits; join a number to the letter or "bis" behind it where a street word or
 * nothing follows (of several numbers in a row only the last stays); shorten "19bis" to "19b"; mark
 * the house number; expand abbreviations ("xix" becomes two tokens); write each as it sounds. The
 * importer makes a document's terms with it, the search the query's. Nothing here allocates. */
#ifndef GEOCODE_TEXT_TOKENS_H
#define GEOCODE_TEXT_TOKENS_H

#include "geocode/text/rules.h"

enum {
    GEO_TOKEN_BYTES_MAX = 48, /* a longer word is cut, the same way on both sides */
    GEO_NUMBER_DIGITS_MAX = 4,
    GEO_NUMBER_SUFFIX_MAX = 4
};

typedef struct geo_token {
    sx_str text;    /* as it sounds; points into `own` */
    uint32_t place; /* 0, 1, 2 ... in the text; words of one abbreviation share it */
    bool is_number; /* the house number; `written` is then what it was before it was spelled out */
    sx_str written; /* of a house number: "14b", in `number` */
    char own[GEO_TOKEN_BYTES_MAX];
    char number[GEO_NUMBER_DIGITS_MAX + GEO_NUMBER_SUFFIX_MAX];
} geo_token;

/* A house number taken apart: 19 and "b". */
typedef struct geo_number {
    uint32_t number;
    sx_str suffix; /* folded: lower case, no space; points into the text given */
} geo_number;

/* Cuts `folded` (geo_fold's result; more than one space between words does no harm) into at most
 * `max` tokens. Returns how many; words beyond are ignored. The tokens borrow from themselves: they
 * must not be moved. */
size_t geo_tokens(const geo_rules *r, sx_str folded, geo_token *out, size_t max);

/* How words sound, kept from one text to the next: the same words come again and again. All zero is
 * empty; one thread's own. */
enum { GEO_SOUNDS_KEPT = 256, GEO_SOUND_BYTES_MAX = 24 };
typedef struct geo_sounds {
    struct {
        const geo_rules *rules; /* NULL: nothing is kept here */
        uint8_t len, sound_len;
        char word[GEO_SOUND_BYTES_MAX], sound[GEO_SOUND_BYTES_MAX];
    } rows[GEO_SOUNDS_KEPT];
} geo_sounds;

/* geo_tokens() with what is kept of earlier texts. */
size_t geo_tokens_kept(const geo_rules *r, sx_str folded, geo_token *out, size_t max,
                       geo_sounds *sounds);

/* Takes apart a folded house number: 1 to GEO_NUMBER_DIGITS_MAX digits, then nothing, or a letter
 * and digits up to GEO_NUMBER_SUFFIX_MAX bytes ("19", "19b", "147p48"). Zeros before a bare number
 * are dropped. Returns false for anything else. */
bool geo_number_parse(sx_str folded, geo_number *out);

#endif
