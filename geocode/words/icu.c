/* icu.c - see icu.h.
 *
 * ICU's functions carry its version in their names (utrans_openU_72), so the library's own number is
 * tried from the newest known downwards. */
#include "geocode/words/icu.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#include <sextant/mem.h>
#include <sextant/utf8.h>

#include "geocode/words/known_texts.h"
#include "geocode/words/words.h"

enum {
    NEWEST = 80,
    OLDEST = 57,
    GROWTH = 8, /* a Chinese character becomes at most "zhuang" and a space */
    UNITS_MAX = 1 << 16,
};

/* As ICU's C API declares them (unicode/utrans.h): a UChar is 16 bits, an error code and a direction
 * are ints; codes above 0 are failures. */
typedef void *open_function(const uint16_t *id, int32_t id_len, int direction,
                            const uint16_t *rules, int32_t rules_len, void *parse_error,
                            int *status);
typedef void transform_function(const void *t, uint16_t *text, int32_t *len, int32_t cap,
                                int32_t start, int32_t *limit, int *status);

static const char *const IDS[WRD_ICU_KINDS] = {
    [WRD_ICU_HANT] = "Hans-Hant",
    [WRD_ICU_LATIN] = "Any-Latin",
};

/* Process-wide, since the library is: made once, never freed. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static transform_function *transform;
static void *transliterators[WRD_ICU_KINDS];

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
    int version = NEWEST + 1;
    while (!library && --version >= OLDEST) {
        (void)snprintf(name, sizeof(name), "libicui18n.so.%d", version);
        library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    if (!library)
        return;
    open_function *open = (open_function *)find(library, "utrans_openU", version);
    transform = (transform_function *)find(library, "utrans_transUChars", version);
    for (int kind = 0; open && transform && kind < WRD_ICU_KINDS; kind++) {
        uint16_t id[32];
        int32_t len = 0;
        int status = 0;
        for (; IDS[kind][len]; len++)
            id[len] = (uint16_t)IDS[kind][len];
        void *made = open(id, len, 0, NULL, -1, NULL, &status);
        transliterators[kind] = status > 0 ? NULL : made;
    }
}

static int32_t to_units(sx_str in, uint16_t *units)
{
    int32_t count = 0;
    uint32_t code;
    for (size_t i = 0; i < in.len;) {
        i += wrd_letter(sx_str_from(in, i), &code);
        if (code > 0xFFFF) {
            units[count++] = (uint16_t)(0xD7C0 + (code >> 10));
            code = 0xDC00 | (code & 0x3FF);
        }
        units[count++] = (uint16_t)code;
    }
    return count;
}

static void put_units(const uint16_t *units, int32_t count, sx_buf *out)
{
    for (int32_t i = 0; i < count; i++) {
        uint32_t c = units[i];
        if ((c & 0xFC00) == 0xD800 && i + 1 < count)
            c = 0x10000 + ((c & 0x3FF) << 10) + (units[++i] & 0x3FFu);
        char bytes[4];
        size_t len = sx_utf8_encode(c, bytes);
        sx_buf_bytes(out, bytes, len);
    }
}

/* Names of countries, which every import goes through, are known without asking. */
static bool put_known(wrd_icu_kind kind, sx_str in, sx_buf *out)
{
    const known_text *table = kind == WRD_ICU_HANT ? KNOWN_HANT : KNOWN_LATIN;
    size_t low = 0, high = kind == WRD_ICU_HANT ? sizeof(KNOWN_HANT) / sizeof(KNOWN_HANT[0])
                                                : sizeof(KNOWN_LATIN) / sizeof(KNOWN_LATIN[0]);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = sx_str_cmp(in, table[middle].in);
        if (order == 0) {
            sx_buf_str(out, table[middle].out.len ? table[middle].out : in);
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

bool wrd_icu(wrd_icu_kind kind, sx_str in, sx_buf *out)
{
    if (put_known(kind, in, out))
        return true;
    (void)pthread_once(&once, load);
    if (!transliterators[kind] || in.len == 0 || in.len > UNITS_MAX)
        return false;
    size_t cap = in.len * GROWTH + 16;
    uint16_t *units = sx_alloc(cap * sizeof(*units));
    if (!units) {
        out->failed = true;
        return false;
    }
    int32_t len = to_units(in, units), limit = len;
    int status = 0;
    (void)pthread_mutex_lock(&lock);
    transform(transliterators[kind], units, &len, (int32_t)cap, 0, &limit, &status);
    (void)pthread_mutex_unlock(&lock);
    bool good = status <= 0 && limit >= 0 && (size_t)limit <= cap;
    if (good)
        put_units(units, limit, out);
    sx_free(units);
    return good;
}
