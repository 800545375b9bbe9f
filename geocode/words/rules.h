/* rules.h - a language's abbreviations, ready to be looked for in names.
 *
 * Made by rules.c out of the facts of abbreviations.h when a name in that language first comes. Private to
 * geocode/words. */
#ifndef GEOCODE_WORDS_RULES_H
#define GEOCODE_WORDS_RULES_H

#include <sextant/arena.h>
#include <sextant/str.h>

/* One text that is replaced, with all that may stand for it. */
typedef struct wrd_rule {
    sx_str source;
    const sx_str *shorts;
    uint32_t count;
} wrd_rule;

typedef struct wrd_rules {
    const char *language;
    const wrd_rule *rules; /* sorted by source */
    uint32_t count;
    uint32_t first[257]; /* of rules by their source's first byte */
    bool umlauts;        /* ä is also read as ae */
} wrd_rules;

enum { WRD_LANGUAGES_MAX = 32 };

/* Index of a language's rules; -1: it has none. */
int wrd_language(sx_str code);

/* Makes the rules of language `index` in `arena`. False without memory. */
bool wrd_rules_make(unsigned index, sx_arena *arena, wrd_rules *out);

/* The longest source that `text` begins with; NULL if none does. */
const wrd_rule *wrd_rules_find(const wrd_rules *r, sx_str text);

#endif
