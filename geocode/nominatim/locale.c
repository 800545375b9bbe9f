/* locale.c - which of an object's names is shown: by the reader's languages. See address.h. */
#include <stdlib.h>
#include <string.h>

#include "geocode/nominatim/address.h"

enum { LANGUAGES_MAX = 24, LANGUAGE_BYTES_MAX = 32 };

typedef struct wish {
    sx_str language;
    double weight;
    uint32_t order;
} wish;

static bool is_language(sx_str s)
{
    if (s.len == 0 || s.len > LANGUAGE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i] | 0x20;
        if (!(c >= 'a' && c <= 'z') && s.data[i] != '-' && s.data[i] != '_')
            return false;
    }
    return true;
}

/* "0", "1", "0.8": one digit, and a fraction if there is a point. */
static bool read_weight(sx_str s, double *out)
{
    if (s.len == 0 || (s.data[0] != '0' && s.data[0] != '1') || s.len == 2)
        return false;
    if (s.len > 2 && s.data[1] != '.')
        return false;
    double value = s.data[0] - '0', unit = 0.1;
    for (size_t i = 2; i < s.len; i++, unit /= 10) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        value += (s.data[i] - '0') * unit;
    }
    *out = value;
    return true;
}

/* "de-CH;q=0.8". What is written otherwise is passed over. */
static bool read_wish(sx_str text, wish *out)
{
    sx_str language, rest, name, weight;
    out->weight = 1;
    if (sx_str_cut(text, ';', &language, &rest)) {
        if (!sx_str_cut(rest, '=', &name, &weight))
            return false;
        name = sx_str_trim_all(name);
        if (!sx_str_ieq(name, SX_STR("q")) || !read_weight(sx_str_trim_all(weight), &out->weight))
            return false;
    }
    out->language = sx_str_trim_all(language);
    return is_language(out->language);
}

static int by_weight(const void *a, const void *b)
{
    const wish *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static bool is_wished(const wish *wishes, uint32_t count, sx_str language)
{
    for (uint32_t i = 0; i < count; i++) {
        if (sx_str_eq(wishes[i].language, language))
            return true;
    }
    return false;
}

/* The languages by falling weight; behind a regional one the plain one, unless it is wished itself. */
static uint32_t read_languages(sx_str text, sx_str out[2 * LANGUAGES_MAX])
{
    wish wishes[LANGUAGES_MAX];
    uint32_t count = 0, languages = 0;
    for (bool more = text.len > 0; more && count < LANGUAGES_MAX;) {
        sx_str part;
        more = sx_str_cut(text, ',', &part, &text);
        wishes[count].order = count;
        count += read_wish(part, &wishes[count]);
    }
    if (count > 1)
        qsort(wishes, count, sizeof(*wishes), by_weight);
    for (uint32_t i = 0; i < count; i++) {
        sx_str plain, region;
        out[languages++] = wishes[i].language;
        if (sx_str_cut(wishes[i].language, '-', &plain, &region) &&
            !is_wished(wishes, count, plain))
            out[languages++] = plain;
    }
    return languages;
}

static void add_key(nom_locale *l, size_t *used, sx_str key, sx_str language)
{
    size_t len = key.len + (language.len ? 1 + language.len : 0);
    if (l->key_count == NOM_LOCALE_KEYS_MAX || len > sizeof(l->text) - *used)
        return;
    char *at = l->text + *used;
    memcpy(at, key.data, key.len);
    if (language.len) {
        at[key.len] = ':';
        memcpy(at + key.len + 1, language.data, language.len);
    }
    l->keys[l->key_count++] = sx_str_of(at, len);
    *used += len;
}

void nom_locale_init(nom_locale *l, sx_str languages)
{
    /* The order of keys that Nominatim has by default. */
    static const struct {
        sx_str key;
        bool by_language;
    } KEYS[] = {
        {SX_STR_INIT("name"), true},        {SX_STR_INIT("name"), false},
        {SX_STR_INIT("brand"), false},      {SX_STR_INIT("official_name"), true},
        {SX_STR_INIT("short_name"), true},  {SX_STR_INIT("official_name"), false},
        {SX_STR_INIT("short_name"), false}, {SX_STR_INIT("ref"), false},
    };
    sx_str list[2 * LANGUAGES_MAX];
    uint32_t count = read_languages(languages, list);
    size_t used = 0;
    l->key_count = 0;
    for (size_t k = 0; k < SX_COUNT_OF(KEYS); k++) {
        for (uint32_t i = 0; KEYS[k].by_language && i < count; i++)
            add_key(l, &used, KEYS[k].key, list[i]);
        if (!KEYS[k].by_language)
            add_key(l, &used, KEYS[k].key, sx_str_of("", 0));
    }
}

/* What a boundary has of the place that it took over stands under keys of this prefix. */
#define TAKEN_OVER "_place_"

uint32_t nom_locale_rank(const nom_locale *l, sx_str key)
{
    bool taken_over = sx_str_starts(key, SX_STR(TAKEN_OVER));
    if (taken_over)
        key = sx_str_of(key.data + sizeof(TAKEN_OVER) - 1, key.len - sizeof(TAKEN_OVER) + 1);
    for (uint32_t i = 0; i < l->key_count; i++) {
        if (sx_str_eq(l->keys[i], key))
            return 2 * i + taken_over;
    }
    return UINT32_MAX;
}

/* Names that no key is wished of go by the length of their keys, then by their bytes: so stood they in
 * the peer's database, and its readers see the first. */
static bool key_before(sx_str a, sx_str b)
{
    return a.len != b.len ? a.len < b.len : sx_str_cmp(a, b) < 0;
}

sx_str nom_locale_name(const nom_locale *l, const plc_index *ix, uint64_t tags)
{
    plc_tags it;
    sx_str key, value, first_key = {0}, first = {0}, best = {0};
    uint32_t best_rank = UINT32_MAX;
    for (plc_tags_begin(ix, tags, PLC_NAMES, &it); plc_tags_next(&it, &key, &value);) {
        uint32_t rank = nom_locale_rank(l, key);
        if (rank < best_rank) {
            best_rank = rank;
            best = value;
        }
        if (first_key.len == 0 || key_before(key, first_key)) {
            first_key = key;
            first = value;
        }
    }
    return best_rank != UINT32_MAX ? best : first;
}
