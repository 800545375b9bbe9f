/* Which name is shown to whom, and how text gets into XML. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "geocode/nominatim/address.h"
#include "geocode/nominatim/xml.h"

static void check_keys(const char *languages, const char *const *expected, size_t count)
{
    nom_locale l;
    nom_locale_init(&l, sx_str_z(languages));
    for (size_t i = 0; i < count; i++) {
        if (!sx_str_eq(l.keys[i], sx_str_z(expected[i])))
            fail_msg("'%s': key %zu is %.*s, not %s", languages, i, (int)l.keys[i].len,
                     l.keys[i].data, expected[i]);
    }
}

static void languages_go_by_weight(void **state)
{
    (void)state;
    check_keys("", (const char *[]){"name", "brand", "official_name", "short_name", "ref"}, 5);
    check_keys("de", (const char *[]){"name:de", "name", "brand", "official_name:de"}, 4);
    check_keys("pt-BR,pt;q=0.8,en;q=0.5",
               (const char *[]){"name:pt-BR", "name:pt", "name:en", "name"}, 4);
    check_keys("en;q=0.1, fr-CH ;q=0.9",
               (const char *[]){"name:fr-CH", "name:fr", "name:en", "name"}, 4);
    check_keys("fr;q=x,*,de;q=1.0;level=1, ,es", (const char *[]){"name:es", "name"}, 2);
}

static void languages_are_bounded(void **state)
{
    (void)state;
    char many[8000];
    nom_locale l;
    for (size_t i = 0; i < sizeof(many) - 4; i += 4) {
        many[i] = (char)('a' + i / 4 % 26);
        many[i + 1] = '-';
        many[i + 2] = (char)('a' + i / 104 % 26);
        many[i + 3] = ',';
    }
    nom_locale_init(&l, sx_str_of(many, sizeof(many) - 4));
    assert_true(l.key_count > 8 && l.key_count <= NOM_LOCALE_KEYS_MAX);
    assert_true(nom_locale_rank(&l, SX_STR("name")) < UINT32_MAX);
    assert_int_equal(nom_locale_rank(&l, SX_STR("wikidata")), UINT32_MAX);
}

static void names_taken_over_come_behind_own_ones(void **state)
{
    (void)state;
    nom_locale l;
    nom_locale_init(&l, SX_STR("de"));
    assert_true(nom_locale_rank(&l, SX_STR("name:de")) <
                nom_locale_rank(&l, SX_STR("_place_name:de")));
    assert_true(nom_locale_rank(&l, SX_STR("_place_name:de")) <
                nom_locale_rank(&l, SX_STR("name")));
}

static void check_xml(sx_str text, const char *as_text, const char *as_attribute)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    nom_xml_text(&out, text);
    if (!sx_str_eq(sx_buf_view(&out), sx_str_z(as_text)))
        fail_msg("text is %.*s", (int)out.len, out.data);
    sx_buf_clear(&out);
    nom_xml_attribute(&out, "a", text);
    if (!sx_str_eq(sx_buf_view(&out), sx_str_z(as_attribute)))
        fail_msg("attribute is %.*s", (int)out.len, out.data);
    sx_buf_done(&out);
}

static void xml_is_escaped(void **state)
{
    (void)state;
    check_xml(SX_STR("Müller & \"Söhne\" <b>"), "Müller &amp; \"Söhne\" &lt;b&gt;",
              " a=\"Müller &amp; &quot;Söhne&quot; &lt;b&gt;\"");
    check_xml(SX_STR("a\x01\n\tb"), "a\n\tb", " a=\"a&#10;&#09;b\"");
    check_xml(SX_STR("\xFFx\xC3"), "\xEF\xBF\xBDx\xEF\xBF\xBD", " a=\"\xEF\xBF\xBDx\xEF\xBF\xBD\"");
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    assert_true(
        sx_str_eq(nom_xml_name(SX_STR("ISO3166-2-lvl8"), &arena), SX_STR("ISO3166-2-lvl8")));
    assert_true(sx_str_eq(nom_xml_name(SX_STR("2nd<floor>"), &arena), SX_STR("_nd_floor_")));
    assert_true(sx_str_eq(nom_xml_name(SX_STR(""), &arena), SX_STR("_")));
    sx_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(languages_go_by_weight),
        cmocka_unit_test(languages_are_bounded),
        cmocka_unit_test(names_taken_over_come_behind_own_ones),
        cmocka_unit_test(xml_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
