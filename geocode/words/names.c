/* names.c - the words of names: cleaning, languages, variants; see words.h.
 *
 * A value with ';' is several names, and a name with a bracket at its end one without it, too. Each gives a
 * full word as it stands; tags of the kind "...name..." give one more a language: their suffix, or all
 * languages of the country. Those in languages hold only what the abbreviations add. */
#include "geocode/words/rules.h"
#include "geocode/words/words.h"

#include <sextant/map.h>
#include <sextant/mem.h>

enum {
    NAMES_MAX = 2048,   /* of a place, cleaned */
    PARTIALS_MAX = 128, /* beginnings of a name's variants; with more there are none but itself */
    ARENA_BYTES = 64 * 1024,
    UMLAUTS = 3,
};

typedef struct cleaned {
    sx_str value;
    sx_str suffix;
    bool is_name; /* its tag's kind holds "name" */
} cleaned;

struct wrd_analyzer {
    sx_arena rules_arena;
    wrd_rules rules[WRD_LANGUAGES_MAX];
    bool made[WRD_LANGUAGES_MAX];
    sx_arena arena; /* of one place */
    sx_buf normal, text;
    sx_map ids, partials, seen;
    sx_str country_languages;
    cleaned *names;
    size_t name_count, name_cap;
    wrd_full *fulls;
    size_t full_count, full_cap;
    sx_str *parts;
    size_t part_count, part_cap;
    bool failed;
};

wrd_analyzer *wrd_analyzer_new(sx_error *err)
{
    wrd_analyzer *a = sx_calloc(1, sizeof(*a));
    if (!a) {
        (void)sx_fail_memory(err, "the analyzer of names");
        return NULL;
    }
    sx_arena_init(&a->rules_arena, ARENA_BYTES, 0);
    sx_arena_init(&a->arena, ARENA_BYTES, 0);
    sx_buf_init(&a->normal, 0);
    sx_buf_init(&a->text, 0);
    sx_map_init(&a->ids, NULL);
    sx_map_init(&a->partials, NULL);
    sx_map_init(&a->seen, NULL);
    return a;
}

void wrd_analyzer_free(wrd_analyzer *a)
{
    if (!a)
        return;
    sx_map_done(&a->seen);
    sx_map_done(&a->partials);
    sx_map_done(&a->ids);
    sx_buf_done(&a->text);
    sx_buf_done(&a->normal);
    sx_arena_done(&a->arena);
    sx_arena_done(&a->rules_arena);
    sx_free(a);
}

static const wrd_rules *rules_of(wrd_analyzer *a, sx_str language)
{
    int index = wrd_language(language);
    if (index < 0)
        return NULL;
    if (!a->made[index]) {
        if (!wrd_rules_make((unsigned)index, &a->rules_arena, &a->rules[index])) {
            a->failed = true;
            return NULL;
        }
        a->made[index] = true;
    }
    return &a->rules[index];
}

static sx_str keep(wrd_analyzer *a, sx_str text)
{
    sx_str copy = sx_arena_copy(&a->arena, text);
    a->failed |= !copy.data;
    return copy;
}

/* --- Variants. */

typedef struct texts {
    sx_str *items;
    size_t count, cap;
} texts;

static void put_text(wrd_analyzer *a, texts *t, sx_str text)
{
    if (a->failed || !sx_arena_grow(&a->arena, &t->items, &t->cap, t->count + 1, sizeof(sx_str)))
        a->failed = true;
    else
        t->items[t->count++] = text;
}

static sx_str concat(wrd_analyzer *a, sx_str x, sx_str y, sx_str z)
{
    char *made = sx_arena_alloc(&a->arena, x.len + y.len + z.len + 1);
    if (!made) {
        a->failed = true;
        return sx_str_of("", 0);
    }
    memcpy(made, x.data, x.len);
    if (y.len)
        memcpy(made + x.len, y.data, y.len);
    if (z.len)
        memcpy(made + x.len + y.len, z.data, z.len);
    return sx_str_of(made, x.len + y.len + z.len);
}

/* All beginnings so far, each with what stood between and every short form. After a replacement that
 * ended with a word's space, only what begins with one may follow. */
static texts extend(wrd_analyzer *a, texts have, sx_str between, const wrd_rule *rule, bool spaced)
{
    texts next = {0};
    for (size_t i = 0; i < have.count && next.count <= PARTIALS_MAX; i++)
        for (uint32_t k = 0; k < rule->count && next.count <= PARTIALS_MAX; k++)
            if (!spaced || (rule->shorts[k].len && rule->shorts[k].data[0] == ' '))
                put_text(a, &next, concat(a, have.items[i], between, rule->shorts[k]));
    return next;
}

static texts abbreviate(wrd_analyzer *a, const wrd_rules *rules, sx_str name)
{
    texts have = {0};
    sx_str base = concat(a, SX_STR("^ "), name, SX_STR(" ^"));
    size_t start = 0, at = 0;
    bool spaced = false;
    put_text(a, &have, sx_str_of("", 0));
    while (at < base.len && !a->failed) {
        const wrd_rule *rule = wrd_rules_find(rules, sx_str_from(base, at));
        if (!rule) {
            at++;
            spaced = false;
            continue;
        }
        have = extend(a, have, sx_str_of(base.data + start, at - start), rule, spaced);
        if (have.count > PARTIALS_MAX) {
            start = 0;
            break;
        }
        at += rule->source.len;
        if (base.data[at - 1] == ' ') {
            at--;
            spaced = true;
        }
        start = at;
    }
    texts out = {0};
    if (start == 0) {
        put_text(a, &out, name);
        return out;
    }
    for (size_t i = 0; i < have.count && !a->failed; i++) {
        sx_str whole = have.items[i];
        if (start < base.len)
            whole = concat(a, whole, sx_str_from(base, start), sx_str_of("", 0));
        if (whole.len >= 2) /* without the "^" at both ends */
            put_text(a, &out, sx_str_of(whole.data + 1, whole.len - 2));
    }
    return out;
}

/* Every `letter` as itself or as `pair`. */
static texts mutate(wrd_analyzer *a, texts in, sx_str letter, sx_str pair)
{
    texts out = {0};
    for (size_t i = 0; i < in.count; i++) {
        sx_str name = in.items[i];
        texts heads = {0};
        put_text(a, &heads, sx_str_of("", 0));
        size_t from = 0;
        for (;;) {
            size_t at = from + sx_str_find(sx_str_from(name, from), letter);
            sx_str piece = sx_str_of(name.data + from, at - from);
            texts next = {0};
            for (size_t k = 0; k < heads.count; k++) {
                if (at == name.len) {
                    put_text(a, &next, concat(a, heads.items[k], piece, sx_str_of("", 0)));
                } else if (next.count + 2 <= WRD_VARIANTS_MAX) {
                    put_text(a, &next, concat(a, heads.items[k], piece, letter));
                    put_text(a, &next, concat(a, heads.items[k], piece, pair));
                }
            }
            heads = next;
            if (at == name.len || a->failed)
                break;
            from = at + letter.len;
        }
        for (size_t k = 0; k < heads.count && out.count < WRD_VARIANTS_MAX; k++)
            put_text(a, &out, heads.items[k]);
    }
    return out;
}

static bool is_new(wrd_analyzer *a, sx_map *map, sx_str text)
{
    bool added = false;
    if (!sx_map_put(map, text, &added))
        a->failed = true;
    return added;
}

static void put_parts(wrd_analyzer *a, sx_str ascii)
{
    sx_str word;
    while (ascii.len) {
        (void)sx_str_cut(ascii, ' ', &word, &ascii);
        if (word.len == 0 || !is_new(a, &a->partials, word))
            continue;
        if (!sx_arena_grow(&a->arena, &a->parts, &a->part_cap, a->part_count + 1, sizeof(sx_str)))
            a->failed = true;
        else
            a->parts[a->part_count++] = word;
    }
}

static void put_full(wrd_analyzer *a, sx_str id, const texts *variants)
{
    wrd_variant *made = sx_arena_calloc(&a->arena, variants->count + 1, sizeof(*made));
    uint32_t count = 0;
    if (!made || a->full_count == WRD_FULLS_MAX) {
        a->failed |= !made;
        return;
    }
    for (size_t i = 0; i < variants->count; i++) {
        sx_buf_clear(&a->text);
        wrd_ascii(variants->items[i], &a->text);
        a->failed |= a->text.failed;
        sx_str ascii = sx_str_trim(sx_buf_view(&a->text));
        if (ascii.len == 0 || a->failed)
            continue;
        made[count++] = (wrd_variant){keep(a, ascii), variants->items[i]};
        put_parts(a, made[count - 1].ascii);
    }
    if (count == 0)
        return;
    if (!sx_arena_grow(&a->arena, &a->fulls, &a->full_cap, a->full_count + 1, sizeof(wrd_full)))
        a->failed = true;
    else
        a->fulls[a->full_count++] = (wrd_full){id, made, count};
}

/* The full word of a name in its normal form: as it is, or with what a language adds. */
static void add_word(wrd_analyzer *a, sx_str normal, sx_str language)
{
    const wrd_rules *rules = language.len ? rules_of(a, language) : NULL;
    sx_str id = normal;
    if (language.len)
        id = concat(a, normal, SX_STR("@"), language);
    if (a->failed || !is_new(a, &a->ids, id))
        return;
    texts variants = {0};
    if (rules) {
        static const char *const LETTERS[UMLAUTS] = {"ä", "ö", "ü"};
        static const char *const PAIRS[UMLAUTS] = {"ae", "oe", "ue"};
        variants = abbreviate(a, rules, normal);
        for (int i = 0; rules->umlauts && i < UMLAUTS; i++)
            variants = mutate(a, variants, sx_str_z(LETTERS[i]), sx_str_z(PAIRS[i]));
    } else {
        put_text(a, &variants, normal);
    }
    texts out = {0};
    sx_map_clear(&a->seen);
    for (size_t i = 0; i < variants.count && !a->failed; i++) {
        sx_str one = sx_str_trim(variants.items[i]);
        if (is_new(a, &a->seen, one) && !(rules && sx_str_eq(one, normal)))
            put_text(a, &out, one);
    }
    put_full(a, id, &out);
}

/* --- Cleaning. */

void wrd_names_begin(wrd_analyzer *a, sx_str country)
{
    sx_map_clear(&a->ids);
    sx_map_clear(&a->partials);
    sx_arena_reset(&a->arena);
    a->country_languages = wrd_country_languages(country);
    a->names = NULL;
    a->fulls = NULL;
    a->parts = NULL;
    a->name_count = a->name_cap = a->full_count = a->full_cap = a->part_count = a->part_cap = 0;
    a->failed = false;
}

static void put_name(wrd_analyzer *a, cleaned name)
{
    if (a->name_count == NAMES_MAX)
        return;
    if (!sx_arena_grow(&a->arena, &a->names, &a->name_cap, a->name_count + 1, sizeof(cleaned)))
        a->failed = true;
    else
        a->names[a->name_count++] = name;
}

void wrd_names_add(wrd_analyzer *a, sx_str key, sx_str value)
{
    sx_str kind, suffix, piece, rest = sx_str_trim_all(sx_str_first(value, WRD_NAME_BYTES_MAX));
    (void)sx_str_cut(key, ':', &kind, &suffix);
    cleaned name = {.suffix = sx_str_trim_all(suffix),
                    .is_name = sx_str_find(kind, SX_STR("name")) < kind.len};
    bool list = sx_str_find_byte(rest, ';') < rest.len;
    rest = keep(a, rest);
    name.suffix = keep(a, name.suffix);
    while (!a->failed) {
        bool more = sx_str_cut(rest, ';', &piece, &rest);
        name.value = list ? sx_str_trim_all(piece) : piece;
        if (name.value.len)
            put_name(a, name);
        if (!more)
            break;
    }
}

/* "Halle (Saale)" is "Halle", too. */
static void add_without_brackets(wrd_analyzer *a)
{
    size_t count = a->name_count;
    for (size_t i = 0; i < count; i++) {
        cleaned name = a->names[i];
        size_t open = sx_str_find_byte(name.value, '(');
        if (open == name.value.len || (sx_str_find_byte(name.value, ')') < name.value.len &&
                                       !sx_str_ends(name.value, SX_STR(")"))))
            continue;
        name.value = sx_str_trim_all(sx_str_first(name.value, open));
        if (name.value.len)
            put_name(a, name);
    }
}

/* Japanese has a rule of its own only when tags are read: its words are as they stand. */
static bool is_language(sx_str suffix)
{
    return wrd_language(suffix) >= 0 || sx_str_eq(suffix, SX_STR("ja"));
}

static void add_languages(wrd_analyzer *a, const cleaned *name, sx_str normal)
{
    sx_str language, rest = a->country_languages;
    if (name->suffix.len) {
        if (is_language(name->suffix))
            add_word(a, normal, name->suffix);
        return;
    }
    while (rest.len) {
        (void)sx_str_cut(rest, ' ', &language, &rest);
        add_word(a, normal, language);
    }
}

static sx_str normal_of(wrd_analyzer *a, sx_str value)
{
    sx_buf_clear(&a->normal);
    wrd_normal_name(value, &a->normal);
    a->failed |= a->normal.failed;
    return keep(a, sx_str_trim(sx_buf_view(&a->normal)));
}

static sx_status give(wrd_analyzer *a, wrd_words *out, sx_error *err)
{
    if (a->failed)
        return sx_fail_memory(err, "the words of a name");
    *out = (wrd_words){a->fulls, (uint32_t)a->full_count, a->parts, (uint32_t)a->part_count};
    return SX_OK;
}

sx_status wrd_names_end(wrd_analyzer *a, wrd_words *out, sx_error *err)
{
    add_without_brackets(a);
    for (size_t i = 0; i < a->name_count && !a->failed; i++) {
        sx_str normal = normal_of(a, a->names[i].value);
        if (normal.len == 0 || a->failed)
            continue;
        add_word(a, normal, sx_str_of("", 0));
        if (a->names[i].is_name)
            add_languages(a, &a->names[i], normal);
    }
    return give(a, out, err);
}

sx_status wrd_address_words(wrd_analyzer *a, sx_str value, wrd_words *out, sx_error *err)
{
    wrd_names_begin(a, sx_str_of("", 0));
    sx_str normal = normal_of(a, sx_str_trim_all(sx_str_first(value, WRD_NAME_BYTES_MAX)));
    if (normal.len && !a->failed)
        add_word(a, normal, sx_str_of("", 0));
    return give(a, out, err);
}

bool wrd_has_variant(const wrd_words *words, sx_str search_form)
{
    for (uint32_t i = 0; i < words->full_count; i++)
        for (uint32_t k = 0; k < words->fulls[i].count; k++)
            if (sx_str_eq(words->fulls[i].variants[k].ascii, search_form))
                return true;
    return false;
}
