/* Forms of any text are valid, of the letters they promise, and do not change when made again. The first
 * byte picks a country; the rest is also a house number, a postcode and a list of special phrases. */
#include <sextant/error.h>
#include <sextant/utf8.h>

#include "geocode/nominatim/words_build.h"
#include "geocode/words/words.h"

static void check_variant(void *ctx, sx_str variant)
{
    (void)ctx;
    sx_assert(sx_str_find_byte(variant, WRD_OPTIONAL) == variant.len);
}

static void check_forms(sx_str in)
{
    sx_buf normal = {0}, again = {0}, ascii = {0};
    wrd_normal_name(in, &normal);
    wrd_normal_name(sx_buf_view(&normal), &again);
    wrd_ascii(sx_buf_view(&normal), &ascii);
    sx_assert(sx_utf8_valid(sx_buf_view(&normal)) && sx_utf8_valid(sx_buf_view(&ascii)));
    for (size_t i = 0; i < normal.len; i++)
        sx_assert(normal.data[i] != '-' && normal.data[i] != ':');
    for (size_t i = 1; i < ascii.len; i++)
        sx_assert(ascii.data[i] != ' ' || ascii.data[i - 1] != ' ');
    sx_buf_done(&ascii);
    sx_buf_done(&again);
    sx_buf_done(&normal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const COUNTRIES[] = {"li", "fr", "ru", "gr", "gb", "us", "es", "xx"};
    static wrd_analyzer *analyzer;
    if (!analyzer)
        analyzer = wrd_analyzer_new(NULL);
    if (size < 2 || size > 2000 || !analyzer)
        return 0;
    sx_str country = sx_str_z(COUNTRIES[data[0] & 7]), text = sx_str_of(data + 1, size - 1);
    check_forms(text);

    wrd_words words;
    wrd_names_begin(analyzer, country);
    wrd_names_add(analyzer, SX_STR("name"), text);
    sx_assert(wrd_names_end(analyzer, &words, NULL) == SX_OK);
    for (uint32_t i = 0; i < words.full_count; i++)
        sx_assert(words.fulls[i].count > 0 && words.fulls[i].count <= WRD_VARIANTS_MAX);

    sx_arena arena;
    sx_str numbers[WRD_NUMBERS_MAX];
    bool is_name;
    sx_arena_init(&arena, 0, 0);
    uint32_t count = wrd_housenumbers(text, sx_str_of("", 0), &arena, numbers, &is_name);
    sx_assert(!(is_name && count));
    sx_buf out = {0};
    for (uint32_t i = 0; i < count; i++) {
        sx_buf_clear(&out);
        wrd_housenumber_id(numbers[i], &out);
        wrd_housenumber_variants(sx_buf_view(&out), check_variant, NULL);
    }
    sx_buf_clear(&out);
    if (wrd_postcode(country, text, &out)) {
        sx_buf twice = {0};
        (void)wrd_postcode(country, sx_buf_view(&out), &twice);
        sx_buf_done(&twice);
    }
    wrd_postcode_found found[WRD_POSTCODES_MAX];
    (void)wrd_postcodes_in(text, data[0] & 8, &arena, found);
    sx_buf_done(&out);

    nom_phrases phrases;
    sx_error err = {0};
    if (nom_phrases_read(text, &arena, &phrases, &err) != SX_OK)
        sx_assert(err.message[0] != '\0');
    sx_arena_done(&arena);
    return 0;
}
