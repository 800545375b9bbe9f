/* build_keys.c - the order of documents that score alike.
 *
 * Addok names a document by the hashids code of its number in the order of import and lets ties fall
 * by that name, so the same answers need the same names. They are made here (hashids.org: the
 * default alphabet, no salt, one number) and sorted; the index keeps only each document's place. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/index/build_impl.h"

enum { ALPHABET = 44, CODE_MAX = 12 };

/* The default alphabet less its separators and guards, which a single number never shows. */
static const char LETTERS[] = "gjklmnopqrvwxyzABDEGJKLMNOPQRVWXYZ1234567890";

typedef struct named {
    char code[CODE_MAX]; /* zero-padded: compares as a string does */
    uint32_t doc;
} named;

/* The alphabets by first letter: hashids shuffles the letters by (first letter, letters). */
typedef struct alphabets {
    char by_first[ALPHABET][ALPHABET];
} alphabets;

static void shuffle(char first, char out[ALPHABET])
{
    char salt[ALPHABET];
    salt[0] = first;
    memcpy(salt + 1, LETTERS, ALPHABET - 1);
    memcpy(out, LETTERS, ALPHABET);
    unsigned sum = 0, at = 0;
    for (unsigned i = ALPHABET - 1; i > 0; i--, at++) {
        unsigned letter = (unsigned char)salt[at % ALPHABET];
        sum += letter;
        unsigned other = (letter + at % ALPHABET + sum) % i;
        char swap = out[i];
        out[i] = out[other];
        out[other] = swap;
    }
}

static void encode(const alphabets *a, uint32_t number, char code[CODE_MAX])
{
    char digits[CODE_MAX];
    unsigned first = number % 100 % ALPHABET, count = 0, at = 0;
    const char *letters = a->by_first[first];
    do {
        digits[count++] = letters[number % ALPHABET];
        number /= ALPHABET;
    } while (number);
    memset(code, 0, CODE_MAX);
    code[at++] = LETTERS[first];
    while (count)
        code[at++] = digits[--count];
}

static int by_code(const void *left, const void *right)
{
    return memcmp(((const named *)left)->code, ((const named *)right)->code, CODE_MAX);
}

bool geo_build_keys(geo_disk_doc *docs, size_t count)
{
    alphabets a;
    for (unsigned i = 0; i < ALPHABET; i++)
        shuffle(LETTERS[i], a.by_first[i]);
    named *all = sx_calloc(count + 1, sizeof(*all));
    if (!all)
        return false;
    for (size_t i = 0; i < count; i++) {
        encode(&a, (uint32_t)i + 1, all[i].code);
        all[i].doc = (uint32_t)i;
    }
    qsort(all, count, sizeof(*all), by_code);
    for (size_t i = 0; i < count; i++)
        docs[all[i].doc].key = (uint32_t)i;
    sx_free(all);
    return true;
}
