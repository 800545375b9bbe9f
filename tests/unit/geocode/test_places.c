/* The container of places: written, sealed in stages, read back, damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sextant/mem.h>

#include "base/fault.h"
#include "geocode/places/writer.h"

/* Two places, the second a house on the first: both named, the street with a line to itself. */
static sx_status fill(plc_writer *w, sx_error *err)
{
    sx_buf *tags = &plc_writer_section(w, PLC_S_TAGS)->tail;
    uint32_t refs[6] = {0};
    static const char *const TEXTS[6] = {"name",        "Hauptstrasse", "highway",
                                         "residential", "name:de",      "Hauptstraße"};
    for (size_t i = 0; i < 6; i++) {
        sx_status status = plc_writer_string(w, sx_str_z(TEXTS[i]), &refs[i], err);
        if (status != SX_OK)
            return status;
    }
    geo_put_varint(tags, 2);
    geo_put_varint(tags, refs[0]);
    geo_put_varint(tags, refs[1]);
    geo_put_varint(tags, refs[4]);
    geo_put_varint(tags, refs[5]);
    geo_put_varint(tags, 0);
    geo_put_varint(tags, 1);
    geo_put_varint(tags, refs[2]);
    geo_put_varint(tags, refs[3]);
    plc_disk_meta meta = {.data_ms = 1600000000000};
    sx_buf_bytes(&plc_writer_section(w, PLC_S_META)->tail, &meta, sizeof(meta));
    plc_disk_place p[2] = {
        {.osm_id = 7,
         .class_name = refs[2],
         .type = refs[3],
         .parent = PLC_NONE,
         .linked = PLC_NONE,
         .first_child = 1,
         .child_count = 1,
         .line_count = 1,
         .osm_kind = 1,
         .rank_search = 26,
         .rank_address = 26,
         .flags = PLC_OWN_LINES},
        {.osm_id = 8,
         .class_name = refs[2],
         .type = refs[3],
         .parent = 0,
         .linked = PLC_NONE,
         .osm_kind = 0,
         .rank_search = 30,
         .rank_address = 30},
    };
    sx_buf_bytes(&plc_writer_section(w, PLC_S_PLACES)->tail, p, sizeof(p));
    plc_disk_line line = {.place = 0, .rank_address = 16, .is_address = 1};
    sx_buf_bytes(&plc_writer_section(w, PLC_S_ADDRESS_LINES)->tail, &line, sizeof(line));
    plc_disk_osm_id ids[2] = {{.object = plc_osm_object(0, 8), .place = 1},
                              {.object = plc_osm_object(1, 7), .place = 0}};
    sx_buf_bytes(&plc_writer_section(w, PLC_S_OSM_IDS)->tail, ids, sizeof(ids));
    uint32_t category_places[2] = {0, 1};
    plc_disk_category category = {refs[2], refs[3], 0, 2};
    sx_buf_bytes(&plc_writer_section(w, PLC_S_CATEGORIES)->tail, &category, sizeof(category));
    sx_buf_bytes(&plc_writer_section(w, PLC_S_CATEGORY_PLACES)->tail, category_places, 8);
    return plc_writer_seal(w, err);
}

static void check(const plc_index *ix)
{
    assert_int_equal(ix->place_count, 2);
    const plc_disk_place *p = plc_place(ix, 0);
    assert_true(sx_str_eq(plc_string(ix, p->type), SX_STR("residential")));
    assert_true(
        sx_str_eq(plc_tag(ix, p->tags, PLC_NAMES, SX_STR("name:de")), SX_STR("Hauptstraße")));
    assert_int_equal(plc_tag(ix, p->tags, PLC_ADDRESS, SX_STR("name:de")).len, 0);
    assert_true(
        sx_str_eq(plc_tag(ix, p->tags, PLC_EXTRATAGS, SX_STR("highway")), SX_STR("residential")));
    uint32_t count = 0, first = 0;
    const plc_disk_line *lines = plc_lines(ix, 1, &count); /* its parent's */
    assert_int_equal(count, 1);
    assert_int_equal(lines->rank_address, 16);
    assert_int_equal(plc_children(ix, 0, &first), 1);
    assert_int_equal(first, 1);
    assert_int_equal(plc_find_osm(ix, 1, 7, &count)->place, 0);
    assert_null(plc_find_osm(ix, 2, 7, &count));
    assert_null(plc_find_osm(ix, 1, -7, &count));
    assert_int_equal(plc_category(ix, SX_STR("highway"), SX_STR("residential"), &count)[1], 1);
    assert_int_equal(count, 2);
    assert_null(plc_category(ix, SX_STR("highway"), SX_STR("primary"), &count));
    assert_null(plc_place(ix, 2));
    assert_int_equal(plc_verify(ix, NULL), SX_OK);
}

static void written_and_read(void **state)
{
    (void)state;
    static const char *const FOLDERS[] = {NULL, "/tmp"};
    for (size_t i = 0; i < SX_COUNT_OF(FOLDERS); i++) {
        plc_writer *w = plc_writer_new(FOLDERS[i], 64, NULL);
        assert_non_null(w);
        assert_int_equal(fill(w, NULL), SX_OK);
        plc_index ix;
        sx_error err = {0};
        assert_int_equal(plc_writer_view(w, &ix, &err), SX_OK);
        check(&ix);
        /* A second stage: a section of the search's own. */
        plc_writer_record(w, PLC_S_WORDS, 4);
        sx_buf_bytes(&plc_writer_section(w, PLC_S_WORDS)->tail, "abcd", 4);
        assert_int_equal(plc_writer_seal(w, NULL), SX_OK);
        assert_int_equal(plc_writer_view(w, &ix, NULL), SX_OK);
        check(&ix);
        assert_int_equal(ix.s[PLC_S_WORDS].count, 1);
        geo_temp temp;
        assert_true(geo_temp_init(&temp, FOLDERS[i], 64));
        geo_spool out;
        geo_spool_init(&out, &temp);
        assert_int_equal(plc_writer_take(w, &out, NULL), SX_OK);
        assert_true(geo_spool_bytes(&out) > PLC_TABLE_BYTES);
        plc_writer_free(w);
        geo_spool_done(&out);
        assert_int_equal(temp.disk_bytes, 0);
        geo_temp_done(&temp);
    }
}

static void a_torn_record_is_refused(void **state)
{
    (void)state;
    plc_writer *w = plc_writer_new(NULL, 0, NULL);
    sx_buf_bytes(&plc_writer_section(w, PLC_S_PLACES)->tail, "abc", 3);
    sx_error err = {0};
    assert_int_equal(plc_writer_seal(w, &err), SX_EINVAL);
    assert_non_null(strstr(err.message, "PLACES of the places has 3 bytes in records of 104"));
    plc_writer_free(w);
}

/* Whatever bytes are damaged: opening refuses it, or reading it stays within the bytes. */
static void damage_never_faults(void **state)
{
    (void)state;
    plc_writer *w = plc_writer_new(NULL, 0, NULL);
    assert_int_equal(fill(w, NULL), SX_OK);
    plc_index whole;
    assert_int_equal(plc_writer_view(w, &whole, NULL), SX_OK);
    uint8_t *copy = malloc(whole.bytes);
    for (uint64_t len = 0; len < whole.bytes; len++) {
        plc_index ix;
        memcpy(copy, whole.data, len);
        assert_int_equal(plc_open(&ix, copy, len, NULL), SX_ECORRUPT);
    }
    for (uint64_t at = 0; at < whole.bytes; at++) {
        plc_index ix;
        memcpy(copy, whole.data, whole.bytes);
        copy[at] ^= 0xFF;
        if (plc_open(&ix, copy, whole.bytes, NULL) != SX_OK)
            continue;
        (void)plc_verify(&ix, NULL);
        uint32_t count = 0, first = 0;
        for (uint32_t i = 0; i < 2 && i < ix.place_count; i++) {
            (void)plc_tag(&ix, ix.places[i].tags, PLC_EXTRATAGS, SX_STR("x"));
            (void)plc_lines(&ix, i, &count);
            (void)plc_children(&ix, i, &first);
        }
        (void)plc_find_osm(&ix, 0, 8, &count);
        (void)plc_category(&ix, SX_STR("highway"), SX_STR("residential"), &count);
    }
    free(copy);
    plc_writer_free(w);
}

static void memory_runs_out(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        sx_error err = {0};
        plc_index ix;
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        plc_writer *w = plc_writer_new(NULL, 0, &err);
        sx_status status = w ? fill(w, &err) : err.status;
        if (status == SX_OK)
            status = plc_writer_view(w, &ix, &err);
        bool failed = sx_fault_alloc_calls() >= nth;
        if (status == SX_OK)
            check(&ix);
        plc_writer_free(w);
        int64_t held = sx_fault_alloc_held();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
        assert_int_equal(status, failed ? SX_ENOMEM : SX_OK);
        if (!failed)
            return;
    }
}

static void countries_are_two_letters(void **state)
{
    (void)state;
    char text[3];
    plc_country_text(plc_country_of(SX_STR("LI")), text);
    assert_string_equal(text, "li");
    plc_country_text(0, text);
    assert_string_equal(text, "");
    assert_int_equal(plc_country_of(SX_STR("l1")), 0);
    assert_int_equal(plc_country_of(SX_STR("lie")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_and_read),          cmocka_unit_test(a_torn_record_is_refused),
        cmocka_unit_test(damage_never_faults),       cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(countries_are_two_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
