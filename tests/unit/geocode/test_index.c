/* test_index.c - what goes into an index comes out, and a damaged file is an error, never a fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sextant/file.h>
#include <sextant/hash.h>
#include <sextant/mem.h>

#include "fixture.h"
#include "geocode/index/build.h"
#include "geocode/index/reader.h"
#include "geocode/reverse/reverse.h"
#include <sextant/random.h>

/* Seeded by each test, so that a failure comes again. */
static sx_random dice;

static int roll(void)
{
    return (int)(sx_random_u64(&dice) >> 33);
}

static geo_index *tiny;

static int open_tiny(void **state)
{
    (void)state;
    tiny = fixture_open("tiny.geo", sx_str_z(TINY));
    return 0;
}

static int close_tiny(void **state)
{
    (void)state;
    geo_index_close(tiny);
    fixture_clean();
    return 0;
}

/* The document with this id. */
static uint32_t doc_of(sx_str id)
{
    for (uint32_t d = 0; geo_doc(tiny, d); d++) {
        if (sx_str_eq(geo_index_string(tiny, geo_doc(tiny, d)->id), id))
            return d;
    }
    fail_msg("no document %.*s", SX_ARG(id));
    return 0;
}

static void check_property(sx_str id, const char *key, geo_value_kind kind, const char *text)
{
    geo_value v;
    assert_true(geo_doc_property(tiny, doc_of(id), sx_str_z(key), &v));
    assert_int_equal(v.kind, kind);
    if (!sx_str_eq(v.text, sx_str_z(text)))
        fail_msg("%s is '%.*s', not '%s'", key, SX_ARG(v.text), text);
}

static void test_counts_are_right(void **state)
{
    (void)state;
    geo_stat s;
    geo_index_stat(tiny, &s);
    assert_int_equal(s.documents, 6);
    assert_int_equal(s.numbers, 5);
    assert_int_equal(s.sources, 1);
    geo_source source;
    assert_true(geo_index_source(tiny, 0, &source));
    assert_true(sx_str_eq(source.attribution, SX_STR("BAN")));
    assert_true(sx_str_eq(source.licence, SX_STR("ETALAB-2.0")));
    assert_int_equal(source.documents, 6);
    assert_false(geo_index_source(tiny, 1, &source));
    assert_true(sx_str_eq(geo_index_filter_key(tiny, 1), SX_STR("postcode")));
    assert_int_equal(geo_index_filter_key(tiny, 3).len, 0);
    sx_error err = {0};
    if (geo_index_verify(tiny, &err) != SX_OK)
        fail_msg("%s", err.message);
}

static void test_documents_lie_by_falling_importance(void **state)
{
    (void)state;
    for (uint32_t d = 1; geo_doc(tiny, d); d++)
        assert_true(geo_doc(tiny, d - 1)->importance >= geo_doc(tiny, d)->importance);
    assert_int_equal(doc_of(SX_STR("75056")), 0);
    assert_int_equal(geo_doc(tiny, doc_of(SX_STR("75102_6998")))->key, 1); /* "k5", after "jR" */
    assert_null(geo_doc(tiny, 6));
}

static void test_properties_print_as_they_came(void **state)
{
    (void)state;
    check_property(SX_STR("75056"), "population", GEO_NUMBER, "2133111");
    check_property(SX_STR("75102_6998"), "x", GEO_NUMBER, "651000.0");
    check_property(SX_STR("75102_6998"), "y", GEO_NUMBER, "6863000.25");
    check_property(SX_STR("75102_6998"), "importance", GEO_NUMBER, "0.6");
    check_property(SX_STR("s2"), "name", GEO_STRING, "Rue Élysée");
    check_property(SX_STR("s2"), "odd", GEO_JSON, "{\"a\":[1,2]}");
    check_property(SX_STR("s2"), "big", GEO_NUMBER, "1e300");
    check_property(SX_STR("s2"), "neg", GEO_NUMBER, "-0.050");
    check_property(SX_STR("s2"), "yes", GEO_TRUE, "");
    check_property(SX_STR("s2"), "no", GEO_FALSE, "");
    check_property(SX_STR("s2"), "none", GEO_NULL, "");
    check_property(SX_STR("7"), "id", GEO_NUMBER, "7");
}

static void test_arrays_give_their_items(void **state)
{
    (void)state;
    geo_value v, item;
    assert_true(geo_doc_property(tiny, 0, SX_STR("postcode"), &v));
    assert_int_equal(v.kind, GEO_ARRAY);
    assert_int_equal(v.count, 2);
    assert_true(geo_value_item(tiny, &v, 1, &item));
    assert_true(sx_str_eq(item.text, SX_STR("75002")));
    assert_false(geo_value_item(tiny, &v, 2, &item));
    assert_true(sx_str_eq(geo_value_first(tiny, &v, &item), SX_STR("75001")));
    assert_true(geo_doc_property(tiny, doc_of(SX_STR("s2")), SX_STR("postcode"), &v));
    assert_int_equal(v.count, 0);
    assert_int_equal(geo_value_first(tiny, &v, &item).len, 0);
    assert_false(geo_doc_property(tiny, 0, SX_STR("absent"), &v));
}

static void check_number(uint32_t number, const char *suffix, const char *text, const char *id,
                         const char *x)
{
    geo_housenumber n;
    char out[GEO_NUMBER_TEXT_MAX + 16], id_text[128];
    geo_value v;
    uint32_t doc = doc_of(SX_STR("75102_6998"));
    assert_true(geo_number_find(tiny, doc, number, sx_str_z(suffix), &n));
    assert_true(sx_str_eq(sx_str_of(out, geo_number_text(&n, out)), sx_str_z(text)));
    assert_true(sx_str_eq(geo_number_id(tiny, doc, &n, id_text, sizeof(id_text)), sx_str_z(id)));
    assert_true(geo_number_property(tiny, &n, SX_STR("x"), &v));
    assert_true(sx_str_eq(v.text, sx_str_z(x)));
    assert_int_equal(geo_number_id(tiny, doc, &n, id_text, 3).len, 0);
}

static void test_house_numbers_are_found(void **state)
{
    (void)state;
    geo_housenumber n;
    uint32_t doc = doc_of(SX_STR("75102_6998"));
    check_number(1, "", "1", "75102_6998_00001", "650910.5");
    check_number(3, "", "3", "75102_6998_00003", "650920.75");
    check_number(3, "b", "3b", "75102_6998_00003_b", "650921.0");
    check_number(12, "t", "12T", "odd one", "1.5");
    assert_false(geo_number_find(tiny, doc, 2, SX_STR(""), &n));
    assert_false(geo_number_find(tiny, doc, 1, SX_STR("b"), &n));
    assert_false(geo_number_find(tiny, doc, 99, SX_STR(""), &n));
    assert_false(geo_number_find(tiny, 0, 1, SX_STR(""), &n));
    assert_true(geo_number_at(tiny, doc, 1, &n));
    assert_int_equal(n.lon_e7, 23304520);
    assert_false(geo_number_at(tiny, doc, 4, &n));
}

static void test_terms_are_found_by_word_and_prefix(void **state)
{
    (void)state;
    char text[64];
    uint32_t first, end, term = geo_term_find(tiny, SX_STR("paix"));
    assert_true(term != GEO_NO_TERM);
    assert_true(sx_str_eq(geo_term_text(tiny, term, text, sizeof(text)), SX_STR("paix")));
    assert_int_equal(geo_term_find(tiny, SX_STR("pai")), GEO_NO_TERM);
    assert_int_equal(geo_term_find(tiny, SX_STR("")), GEO_NO_TERM);
    assert_int_equal(geo_term_find(tiny, SX_STR("zzzz")), GEO_NO_TERM);
    geo_term_range(tiny, SX_STR("pa"), &first, &end);
    assert_int_equal(end - first, 2); /* paix, pari */
    assert_int_equal(geo_word_find(tiny, SX_STR("paix")), term);
    assert_int_equal(geo_word_find(tiny, SX_STR("pai")), GEO_NO_TERM);
    assert_int_equal(geo_word_find(tiny, SX_STR("")), GEO_NO_TERM);
    assert_true(geo_terms_meet(tiny, term, geo_word_find(tiny, SX_STR("ru"))));
    assert_false(geo_terms_meet(tiny, term, geo_word_find(tiny, SX_STR("brest"))));
    geo_term_range(tiny, SX_STR("tav"), &first, &end);
    assert_int_equal(end - first, 1);
    geo_term_range(tiny, SX_STR("zz"), &first, &end);
    assert_int_equal(end, first);
    geo_term_range(tiny, SX_STR(""), &first, &end);
    assert_int_equal(end, first);
}

/* Runs everything that reads on a possibly damaged index. */
static void use(const geo_index *ix)
{
    sx_error err;
    geo_searcher *s = geo_searcher_new(&err);
    geo_results out;
    static const char *const QUERIES[] = {"1 rue de la paix paris", "rue", "r", "ar vil", "75002"};
    for (size_t i = 0; i < SX_COUNT_OF(QUERIES); i++) {
        geo_query q = {.text = sx_str_z(QUERIES[i]), .autocomplete = i % 2 == 0, .limit = 20};
        (void)geo_search(ix, s, &q, &out, &err);
        for (uint32_t r = 0; r < out.count; r++) {
            char text[GEO_LABEL_BYTES_MAX];
            (void)geo_result_text(ix, &out.items[r], SX_STR("distance"), text, sizeof(text));
        }
    }
    (void)geo_reverse(ix, &(geo_reverse_query){.lat = 48.86, .lon = 2.33, .limit = 10}, &out, &err);
    (void)geo_index_verify(ix, &err);
    geo_searcher_free(s);
}

static void read_tiny(sx_buf *bytes)
{
    sx_error err;
    sx_buf_init(bytes, 0);
    assert_int_equal(sx_file_read(fixture_path("tiny.geo"), 0, bytes, &err), SX_OK);
}

static void test_every_flipped_header_byte_is_noticed(void **state)
{
    (void)state;
    sx_buf b;
    read_tiny(&b);
    for (size_t at = 0; at < GEO_HEADER_BYTES; at++) {
        geo_index *ix = NULL;
        sx_error err = {0};
        b.data[at] ^= 0x20;
        sx_status status = geo_index_open_memory(b.data, b.len, &ix, &err);
        assert_true(status == SX_ECORRUPT || status == SX_EUNSUPPORTED);
        assert_true(err.message[0] != '\0');
        assert_null(ix);
        b.data[at] ^= 0x20;
    }
    sx_buf_done(&b);
}

static void test_a_cut_file_is_noticed_at_any_length(void **state)
{
    (void)state;
    sx_buf b;
    sx_error err;
    read_tiny(&b);
    for (size_t len = 0; len < b.len; len += len < 5000 ? 61 : 7) {
        geo_index *ix = NULL;
        assert_int_equal(geo_index_open_memory(b.data, len, &ix, &err), SX_ECORRUPT);
    }
    geo_index *ix = NULL;
    const char *path = fixture_write("cut.geo", sx_str_of(b.data, b.len - 1));
    assert_int_equal(geo_index_open(path, &ix, &err), SX_ECORRUPT);
    assert_non_null(strstr(err.message, "cut.geo"));
    assert_int_equal(geo_index_open(fixture_path("absent.geo"), &ix, &err), SX_ENOTFOUND);
    sx_buf_done(&b);
}

/* A damaged byte anywhere behind the header is found by verify, and harmless to everything else. */
static void test_every_damaged_byte_is_found_and_harmless(void **state)
{
    (void)state;
    sx_buf b;
    sx_error err;
    read_tiny(&b);
    const geo_disk_header *h = (const geo_disk_header *)(void *)b.data;
    for (uint32_t i = 0; i < h->section_count; i++) {
        for (uint64_t at = 0; at < h->sections[i].bytes; at++) {
            static const uint8_t FLIPS[] = {0x01, 0x80, 0xFF};
            char *byte = &b.data[h->sections[i].offset + at];
            char kept = *byte;
            *byte = (char)(*byte ^ FLIPS[at % SX_COUNT_OF(FLIPS)]);
            geo_index *ix = NULL;
            assert_int_equal(geo_index_open_memory(b.data, b.len, &ix, &err), SX_OK);
            assert_int_equal(geo_index_verify(ix, &err), SX_ECORRUPT);
            assert_non_null(strstr(err.message, geo_section_name(h->sections[i].id)));
            use(ix);
            geo_index_close(ix);
            *byte = kept;
        }
    }
    sx_buf_done(&b);
}

static void test_section_tables_that_lie_are_refused(void **state)
{
    (void)state;
    sx_buf b;
    sx_error err;
    read_tiny(&b);
    geo_disk_header *h = (geo_disk_header *)(void *)b.data;
    for (uint32_t i = 0; i < h->section_count; i++) {
        geo_disk_section kept = h->sections[i];
        const geo_disk_section LIES[] = {
            {kept.id, kept.crc32c, kept.offset, UINT64_MAX, UINT64_MAX},
            {kept.id, kept.crc32c, UINT64_MAX - 63, kept.bytes, kept.count},
            {kept.id, kept.crc32c, kept.offset + 8, kept.bytes, kept.count},
            {kept.id, kept.crc32c, kept.offset, kept.bytes, kept.count + 1},
            {kept.id, kept.crc32c, 0, kept.bytes, kept.count},
            {h->sections[(i + 1) % h->section_count].id, 0, kept.offset, 0, 0},
            {0, 0, 0, 0, 0},
        };
        for (size_t k = 0; k < SX_COUNT_OF(LIES); k++) {
            geo_index *ix = NULL;
            h->sections[i] = LIES[k];
            h->crc32c = sx_crc32c(0, h, offsetof(geo_disk_header, crc32c));
            assert_int_equal(geo_index_open_memory(b.data, b.len, &ix, &err), SX_ECORRUPT);
        }
        h->sections[i] = kept;
    }
    sx_buf_done(&b);
}

static void test_random_damage_is_harmless(void **state)
{
    (void)state;
    sx_buf b, damaged;
    sx_error err;
    read_tiny(&b);
    sx_buf_init(&damaged, 0);
    sx_random_seed(&dice, 11);
    for (int round = 0; round < 3000; round++) {
        sx_buf_clear(&damaged);
        sx_buf_bytes(&damaged, b.data, b.len);
        for (int n = roll() % 30 + 1; n > 0; n--)
            damaged.data[GEO_HEADER_BYTES + (size_t)roll() % (b.len - GEO_HEADER_BYTES)] =
                (char)roll();
        geo_index *ix = NULL;
        if (geo_index_open_memory(damaged.data, damaged.len, &ix, &err) != SX_OK)
            continue;
        use(ix);
        geo_index_close(ix);
    }
    sx_buf_done(&b);
    sx_buf_done(&damaged);
}

static void test_equal_contents_have_equal_generations(void **state)
{
    (void)state;
    geo_stat a, b;
    geo_index *again = fixture_open("again.geo", sx_str_z(TINY));
    geo_index *other = fixture_open("other.geo", fixture_first_line());
    geo_index_stat(tiny, &a);
    geo_index_stat(again, &b);
    assert_int_equal(a.generation, b.generation);
    geo_index_stat(other, &b);
    assert_int_not_equal(a.generation, b.generation);
    geo_index_close(again);
    geo_index_close(other);
}

/* An import refuses to write one, but a file that says so is whole. */
static void test_a_builder_of_nothing_makes_an_empty_index(void **state)
{
    (void)state;
    geo_index *ix;
    sx_error err;
    const char *path = fixture_path("empty.geo");
    geo_builder *b = geo_builder_new(NULL, &err);
    assert_non_null(b);
    geo_source source = {.name = SX_STR("nothing"), .language = GEO_LANGUAGE_FRENCH};
    assert_int_equal(geo_builder_source(b, &source, &err), SX_OK);
    assert_int_equal(geo_builder_write(b, path, NULL, NULL, &err), SX_OK);
    geo_builder_free(b);
    assert_int_equal(geo_index_open(path, &ix, &err), SX_OK);
    assert_int_equal(geo_index_verify(ix, &err), SX_OK);
    use(ix);
    geo_index_close(ix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_are_right),
        cmocka_unit_test(test_documents_lie_by_falling_importance),
        cmocka_unit_test(test_properties_print_as_they_came),
        cmocka_unit_test(test_arrays_give_their_items),
        cmocka_unit_test(test_house_numbers_are_found),
        cmocka_unit_test(test_terms_are_found_by_word_and_prefix),
        cmocka_unit_test(test_every_flipped_header_byte_is_noticed),
        cmocka_unit_test(test_a_cut_file_is_noticed_at_any_length),
        cmocka_unit_test(test_every_damaged_byte_is_found_and_harmless),
        cmocka_unit_test(test_section_tables_that_lie_are_refused),
        cmocka_unit_test(test_random_damage_is_harmless),
        cmocka_unit_test(test_equal_contents_have_equal_generations),
        cmocka_unit_test(test_a_builder_of_nothing_makes_an_empty_index),
    };
    return cmocka_run_group_tests(tests, open_tiny, close_tiny);
}
