/* icu.h - two of ICU's transliterators, loaded when a text first needs them.
 *
 * Used by normal.c for scripts whose letters cannot be written one by one. */
#ifndef GEOCODE_WORDS_ICU_H
#define GEOCODE_WORDS_ICU_H

#include <sextant/buf.h>

typedef enum wrd_icu_kind {
    WRD_ICU_HANT,  /* Chinese characters in their traditional forms */
    WRD_ICU_LATIN, /* any script in Latin letters, with accents */
    WRD_ICU_KINDS
} wrd_icu_kind;

/* Appends `in` transliterated. False: ICU is not there or gave up; nothing is appended. Any thread;
 * one at a time works, since ICU's transliterators are not to be shared. */
bool wrd_icu(wrd_icu_kind kind, sx_str in, sx_buf *out);

#endif
