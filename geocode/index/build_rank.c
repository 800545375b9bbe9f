/* build_rank.c - the order of documents: by falling importance, then by falling key.
 *
 * Addok names a document by the hashids code of its number in the order of import and lets ties fall
 * by that name, so the same answers need the same names. They are made here (hashids.org: the
 * default alphabet, no salt, one number) and sorted; the index keeps only each document's place. */
#include <sextant/mem.h>

#include "geocode/index/build_impl.h"

enum { ALPHABET = 44, DIGITS_MAX = 6 }; /* 44^6 is more than 2^32 */

/* The default alphabet less its separators and guards, which a single number never shows. */
static const char LETTERS[] = "gjklmnopqrvwxyzABDEGJKLMNOPQRVWXYZ1234567890";

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

/* The code's letters as a number that compares as the code does: the first in the highest byte,
 * zeros behind the last. */
static uint64_t encode(const alphabets *a, uint32_t number)
{
    char digits[DIGITS_MAX];
    unsigned first = number % 100 % ALPHABET, count = 0, shift = 56;
    const char *letters = a->by_first[first];
    do {
        digits[count++] = letters[number % ALPHABET];
        number /= ALPHABET;
    } while (number);
    uint64_t code = (uint64_t)(unsigned char)LETTERS[first] << shift;
    while (count) {
        shift -= 8;
        code |= (uint64_t)(unsigned char)digits[--count] << shift;
    }
    return code;
}

static sx_status rank_keys(geo_builder *b, geo_sorter *s, sx_error *err)
{
    alphabets a;
    for (unsigned i = 0; i < ALPHABET; i++)
        shuffle(LETTERS[i], a.by_first[i]);
    sx_status status = SX_OK;
    for (uint32_t doc = 0; status == SX_OK && doc < b->doc_count; doc++)
        status = geo_sorter_add(s, encode(&a, doc + 1), doc, err);
    if (status == SX_OK)
        status = geo_sorter_finish(s, err);
    geo_sort_record r;
    for (uint32_t place = 0; status == SX_OK && place < b->doc_count; place++) {
        status = geo_sorter_next(s, &r, err);
        if (status == SX_OK)
            b->key[r.low] = place;
    }
    return status;
}

/* Falling importance as a rising number. Both zeros are one. */
static uint64_t importance_key(double importance)
{
    double value = importance + 0.0;
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return ~(bits >> 63 ? ~bits : bits | UINT64_C(1) << 63);
}

static double importance_of(uint64_t key)
{
    uint64_t bits = ~key;
    bits = bits >> 63 ? bits & ~(UINT64_C(1) << 63) : ~bits;
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static sx_status add_importances(geo_builder *b, geo_sorter *s, geo_spool_reader *docs,
                                 sx_error *err)
{
    for (uint32_t i = 0; i < b->doc_count; i++) {
        const geo_disk_doc *doc = geo_spool_next(docs, sizeof(*doc), err);
        if (!doc)
            return err->status;
        double importance;
        memcpy(&importance, (const char *)doc + offsetof(geo_disk_doc, importance),
               sizeof(importance));
        sx_status status =
            geo_sorter_add(s, importance_key(importance), (uint64_t)~b->key[i] << 32 | i, err);
        if (status != SX_OK)
            return status;
    }
    return geo_sorter_finish(s, err);
}

static sx_status rank_docs(geo_builder *b, geo_sorter *s, sx_error *err)
{
    geo_spool_reader docs;
    geo_spool_reader_init(&docs, &b->docs);
    sx_status status = add_importances(b, s, &docs, err);
    geo_spool_reader_done(&docs);
    geo_sort_record r;
    for (uint32_t rank = 0; status == SX_OK && rank < b->doc_count; rank++) {
        status = geo_sorter_next(s, &r, err);
        if (status != SX_OK)
            return status;
        b->rank[(uint32_t)r.low] = rank;
        b->importance[rank] = importance_of(r.high);
    }
    return status;
}

sx_status geo_build_rank(geo_builder *b, sx_error *err)
{
    geo_sorter s;
    b->key = sx_calloc(b->doc_count + 1u, sizeof(*b->key));
    b->rank = sx_calloc(b->doc_count + 1u, sizeof(*b->rank));
    b->importance = sx_calloc(b->doc_count + 1u, sizeof(*b->importance));
    if (!b->key || !b->rank || !b->importance)
        return sx_fail_memory(err, "the index's order of documents");
    geo_sorter_init(&s, &b->temp, b->sort_bytes, "keys of documents");
    sx_status status = rank_keys(b, &s, err);
    geo_sorter_done(&s);
    if (status == SX_OK)
        status = geo_build_told(b, GEO_BUILD_RANK, 1, 2, err);
    if (status != SX_OK)
        return status;
    geo_sorter_init(&s, &b->temp, b->sort_bytes, "documents by importance");
    status = rank_docs(b, &s, err);
    geo_sorter_done(&s);
    return status;
}
