/* transliterate.c - see transliterate.h.
 *
 * ICU's functions carry its version in their names (utrans_openU_72), so the library's own number is
 * tried from the newest known downwards. One transliterator serves all threads behind a lock; most
 * calls are answered by a table of characters met before, which is read without it. */
#include "geocode/text/transliterate.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include <sextant/mem.h>

enum {
    NEWEST = 80,
    OLDEST = 57,
    KNOWN_SLOTS = 4096, /* a power of two; a character that collides is asked for again */
    UNITS_MAX = 32,
};

/* As ICU's C API declares them (unicode/utrans.h, unicode/uchar.h): a UChar is 16 bits, an error code
 * and a direction are ints; codes above 0 are failures. */
typedef void *open_function(const uint16_t *id, int32_t id_len, int direction,
                            const uint16_t *rules, int32_t rules_len, void *parse_error,
                            int *status);
typedef void transform_function(const void *t, uint16_t *text, int32_t *len, int32_t cap,
                                int32_t start, int32_t *limit, int *status);

typedef int8_t kind_function(int32_t code);

/* One character and what stands for it. */
typedef struct known {
    uint32_t code;
    uint8_t len;
    uint8_t kind; /* geo_latin */
    char text[GEO_LATIN_BYTES];
} known;

/* Process-wide, since the library is: made once, never freed. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static transform_function *transform;
static kind_function *kind_of; /* NULL: marks are not told apart */
static void *transliterator;
static _Atomic(known *) table[KNOWN_SLOTS];

static const char *const RULES = "Any-Latin; Latin-ASCII; Lower";

static void *find(void *library, const char *name, int version)
{
    char full[64];
    (void)snprintf(full, sizeof(full), "%s_%d", name, version);
    return dlsym(library, full);
}

static void load(void)
{
    char name[64];
    void *library = NULL;
    int version = NEWEST + 1, status = 0;
    while (!library && --version >= OLDEST) {
        (void)snprintf(name, sizeof(name), "libicui18n.so.%d", version);
        library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    if (!library)
        return;
    uint16_t id[64];
    int32_t len = 0;
    for (; RULES[len]; len++)
        id[len] = (uint16_t)RULES[len];
    open_function *open = (open_function *)find(library, "utrans_openU", version);
    transform = (transform_function *)find(library, "utrans_transUChars", version);
    kind_of = (kind_function *)find(library, "u_charType", version);
    if (open && transform)
        transliterator = open(id, len, 0, NULL, -1, NULL, &status);
    if (status > 0)
        transliterator = NULL;
}

bool geo_transliterates(void)
{
    (void)pthread_once(&once, load);
    return transliterator != NULL;
}

/* Han: a word each, as Unidecode has them. Syllables of other scripts join. */
static bool is_word(uint32_t code)
{
    return (code >= 0x3400 && code <= 0x9FFF) || (code >= 0xF900 && code <= 0xFAFF) ||
           (code >= 0x20000 && code <= 0x3FFFF);
}

/* Marks above and below letters: u_charType()'s 6, 7 and 8 (unicode/uchar.h). */
static bool is_mark(uint32_t code)
{
    int8_t kind = kind_of ? kind_of((int32_t)code) : 0;
    return kind >= 6 && kind <= 8;
}

/* Letters and digits of what ICU wrote; anything else is dropped. A character of which nothing is
 * left was a sign that is not written, unless ICU gave it back as it was. */
static void keep(known *k, const uint16_t *units, int32_t count, uint16_t first)
{
    bool same = count > 0 && units[0] == first && !is_mark(k->code);
    k->kind = same ? GEO_LATIN_UNKNOWN : is_word(k->code) ? GEO_LATIN_WORD : GEO_LATIN_PART;
    for (int32_t i = 0; i < count && k->len < GEO_LATIN_BYTES; i++) {
        uint16_t c = units[i];
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            k->text[k->len++] = (char)c;
    }
}

static void ask(known *k)
{
    uint16_t units[UNITS_MAX];
    int32_t len = 1, limit;
    int status = 0;
    units[0] = (uint16_t)k->code;
    if (k->code > 0xFFFF) {
        units[0] = (uint16_t)(0xD7C0 + (k->code >> 10));
        units[1] = (uint16_t)(0xDC00 | (k->code & 0x3FF));
        len = 2;
    }
    limit = len;
    uint16_t first = units[0];
    (void)pthread_mutex_lock(&lock);
    transform(transliterator, units, &len, UNITS_MAX, 0, &limit, &status);
    (void)pthread_mutex_unlock(&lock);
    if (status <= 0)
        keep(k, units, limit < UNITS_MAX ? limit : UNITS_MAX, first);
}

geo_latin geo_transliterate(uint32_t code, char out[GEO_LATIN_BYTES], size_t *len)
{
    *len = 0;
    if (!geo_transliterates())
        return GEO_LATIN_UNKNOWN;
    _Atomic(known *) *slot = &table[code * 2654435761u >> 20 & (KNOWN_SLOTS - 1)];
    known *k = atomic_load_explicit(slot, memory_order_acquire), own;
    if (!k || k->code != code) {
        own = (known){.code = code};
        ask(&own);
        known *kept = k ? NULL : sx_alloc(sizeof(*kept)); /* the first to come keeps the slot */
        if (kept) {
            known *none = NULL;
            *kept = own;
            if (!atomic_compare_exchange_strong_explicit(slot, &none, kept, memory_order_release,
                                                         memory_order_relaxed))
                sx_free(kept);
        }
        k = &own;
    }
    memcpy(out, k->text, k->len);
    *len = k->len;
    return (geo_latin)k->kind;
}
