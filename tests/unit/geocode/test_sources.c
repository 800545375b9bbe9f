/* test_sources.c - inputs beside NDJSON: the BAN's CSV, GeoNames' tables, JSON arrays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sextant/compress.h>
#include <sextant/file.h>

#include "base/fault.h"
#include "fixture.h"
#include "geocode/import/import.h"

static int clean(void **state)
{
    (void)state;
    fixture_clean();
    return 0;
}

#define HEADER                                                                                     \
    "id;id_fantoir;numero;rep;nom_voie;code_postal;code_insee;nom_commune;"                        \
    "code_insee_ancienne_commune;nom_ancienne_commune;x;y;lon;lat;type_position;alias;nom_ld;"     \
    "libelle_acheminement;nom_afnor;source_position;source_nom_voie;certification_commune;"        \
    "cad_parcelles\n"
#define TAIL ";PARIS;;commune;commune;1;\n"
/* Two streets whose rows are mixed, a place without numbers, and a commune with its old name. */
static const char *const ROWS[] = {
    "75101_0630_00001;;1;;Rue Baillet;75001;75101;Paris 1er Arrondissement;;;651794.52;6862384.33;"
    "2.342968;48.859689;parcelle;;" TAIL,
    "01001_a1_00003_bis;;3;bis;\"Rue \"\"du\"\" Lac\";01400;01001;L'Abergement;01999;Vieux;1;1;"
    "4.92;46.15;entrée;Chemin du Lac|;" TAIL,
    "75101_0630_00002;;2;;Rue Baillet;75001;75101;Paris 1er Arrondissement;;;651792.61;6862393.02;"
    "2.342941;48.859767;parcelle;;" TAIL,
    "01001_b2_99999;;99999;;Les Granges;01400;01001;L'Abergement;;;2;2;4.93;46.16;;;" TAIL,
    "75101_0630_00003;;3;;Rue Baillet;75001;75101;Paris 1er Arrondissement;;;651778.34;6862388.35;"
    "2.342747;48.859724;parcelle;;" TAIL,
};

static sx_str csv_of(const int *order, char *room, size_t cap)
{
    size_t len = (size_t)snprintf(room, cap, "%s", HEADER);
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++)
        len += (size_t)snprintf(room + len, cap - len, "%s", ROWS[order ? order[i] : (int)i]);
    return sx_str_of(room, len);
}

static sx_status import_with(const geo_import_options *more, const char *name, sx_str text,
                             geo_import_progress *p, sx_error *err)
{
    char out[256];
    (void)snprintf(out, sizeof(out), "%s", fixture_path(name));
    geo_import_input input = {.path = fixture_write("input.csv", text)};
    geo_import_options o = *more;
    o.inputs = &input;
    o.input_count = 1;
    o.output = out;
    return geo_import(&o, p, err);
}

static uint32_t doc_of(const geo_index *ix, sx_str id)
{
    geo_stat stat;
    geo_value v, item;
    geo_index_stat(ix, &stat);
    for (uint32_t i = 0; i < stat.documents; i++) {
        if (geo_doc_property(ix, i, SX_STR("id"), &v) &&
            sx_str_eq(geo_value_first(ix, &v, &item), id))
            return i;
    }
    fail_msg("no document %.*s", SX_ARG(id));
    return 0;
}

/* The values of a property, a comma between two. */
static void check_property(const geo_index *ix, sx_str id, const char *key, const char *want)
{
    char got[512];
    size_t len = 0;
    geo_value v, item;
    if (geo_doc_property(ix, doc_of(ix, id), sx_str_z(key), &v)) {
        for (uint32_t i = 0; geo_value_item(ix, &v, i, &item); i++)
            len += (size_t)snprintf(got + len, sizeof(got) - len, "%s%.*s", i ? "|" : "",
                                    SX_ARG(item.text));
    }
    if (!sx_str_eq(sx_str_of(got, len), sx_str_z(want)))
        fail_msg("%s of %.*s is '%.*s', not '%s'", key, SX_ARG(id), (int)len, got, want);
}

static geo_index *open_text(const char *name, sx_str text)
{
    return fixture_open(name, text);
}

static void test_rows_of_the_ban_become_its_documents(void **state)
{
    (void)state;
    char room[4096], id[64];
    geo_housenumber n;
    geo_index *ix = open_text("ban.geo", csv_of(NULL, room, sizeof(room)));
    sx_str street = SX_STR("75101_0630"), lake = SX_STR("01001_a1"), farm = SX_STR("01001_b2");
    static const struct {
        const char *key, *want;
    } STREET[] = {
        {"type", "street"},
        {"name", "Rue Baillet"},
        {"postcode", "75001"},
        {"citycode", "75101|75056"},
        {"city", "Paris|Paris 1er Arrondissement"},
        {"district", "Paris 1er Arrondissement"},
        {"context", "75, Paris, Île-de-France"},
        {"lon", "2.342941"},
        {"x", "651792.61"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(STREET); i++)
        check_property(ix, street, STREET[i].key, STREET[i].want);
    assert_int_equal(geo_doc(ix, doc_of(ix, street))->number_count, 3);
    check_property(ix, lake, "name", "Rue \"du\" Lac|Chemin du Lac");
    check_property(ix, lake, "oldcity", "Vieux");
    check_property(ix, lake, "context", "01, Ain, Auvergne-Rhône-Alpes");
    assert_true(geo_number_find(ix, doc_of(ix, lake), 3, SX_STR("b"), &n));
    assert_true(sx_str_eq(geo_number_id(ix, doc_of(ix, lake), &n, id, sizeof(id)),
                          SX_STR("01001_a1_00003_bis")));
    check_property(ix, farm, "type", "locality");
    assert_int_equal(geo_doc(ix, doc_of(ix, farm))->number_count, 0);
    check_property(ix, SX_STR("75056"), "name", "Paris");
    check_property(ix, SX_STR("75101"), "city", "Paris 1er Arrondissement|Paris");
    check_property(ix, SX_STR("01001"), "type", "municipality");
    geo_index_close(ix);
}

static void read_index(const char *name, sx_buf *out)
{
    sx_error err = {0};
    sx_buf_clear(out);
    if (sx_file_read(fixture_path(name), (size_t)1 << 28, out, &err) != SX_OK)
        fail_msg("%s", err.message);
}

/* The index is a function of the rows, not of their order or of the memory. */
static void test_order_and_memory_change_nothing(void **state)
{
    (void)state;
    static const int ORDERS[][5] = {{4, 3, 2, 1, 0}, {1, 3, 4, 0, 2}, {2, 0, 1, 4, 3}};
    char room[4096];
    sx_buf one, other;
    sx_error err = {0};
    sx_buf_init(&one, 0);
    sx_buf_init(&other, 0);
    geo_import_options o = {.output = NULL};
    assert_int_equal(import_with(&o, "o.geo", csv_of(NULL, room, sizeof(room)), NULL, &err), SX_OK);
    read_index("o.geo", &one);
    for (size_t i = 0; i < SX_COUNT_OF(ORDERS); i++) {
        for (size_t memory = 0; memory < 900; memory += 300) {
            o.limits.rows_bytes_max = memory;
            sx_status status =
                import_with(&o, "o.geo", csv_of(ORDERS[i], room, sizeof(room)), NULL, &err);
            if (status != SX_OK)
                fail_msg("%s", err.message);
            read_index("o.geo", &other);
            assert_true(sx_str_eq(sx_buf_view(&one), sx_buf_view(&other)));
        }
    }
    sx_buf_done(&one);
    sx_buf_done(&other);
}

/* A cut file is refused by name, unless what is left is rows that are whole but for the last column,
 * which nothing tells. */
static void test_every_cut_csv_is_refused(void **state)
{
    (void)state;
    char room[4096];
    sx_str whole = csv_of(NULL, room, sizeof(room));
    size_t semicolons = 0;
    for (size_t len = 1; len < whole.len; len++) {
        sx_error err = {0};
        semicolons = whole.data[len - 1] == '\n' ? 0 : semicolons + (whole.data[len - 1] == ';');
        sx_status status = fixture_import("cut.geo", sx_str_first(whole, len), &err);
        bool may_pass = len > strlen(HEADER) && (semicolons == 0 || semicolons == 22);
        if ((status == SX_OK && !may_pass) || (status != SX_OK && !strstr(err.message, "input")))
            fail_msg("cut at %zu: %s %s", len, sx_status_name(status), err.message);
    }
}

static void check_refused(sx_str text, sx_status status, const char *words)
{
    sx_error err = {0};
    sx_status got = fixture_import("bad.geo", text, &err);
    if (got != status || !strstr(err.message, words) || !strstr(err.message, "input."))
        fail_msg("'%.*s' gives %s: %s", SX_ARG(sx_str_first(text, 90)), sx_status_name(got),
                 err.message);
}

#define SHORT "id;nom_voie;lon;lat\n"

static void test_bad_rows_are_named(void **state)
{
    (void)state;
    check_refused(SX_STR(SHORT "a_b_1;Rue;x;1\n"), SX_EFORMAT, ":2: byte 11: lon is no longitude");
    check_refused(SX_STR(SHORT "a_b_1;Rue;1;91\n"), SX_EFORMAT, ":2: byte 13: lat");
    check_refused(SX_STR(SHORT "a_b_1;;1;1\n"), SX_EFORMAT, "nom_voie is empty");
    check_refused(SX_STR(SHORT "a_b_1;R\xff;1;1\n"), SX_EFORMAT, "no UTF-8");
    check_refused(SX_STR(SHORT "a_b_1;Rue;1;1\na;b\n"), SX_EFORMAT, ":3: the row has 2 columns");
    check_refused(SX_STR(SHORT "a_b_1;\"Rue;1;1\n"), SX_EFORMAT, "line 2");
    check_refused(SX_STR("id;lon;lat\n1;2;3\n"), SX_EUNSUPPORTED, "no CSV of the BAN");
    check_refused(SX_STR("1\tMadrid\n"), SX_EUNSUPPORTED, "GeoNames");
}

static void test_bad_rows_are_passed_over_if_that_is_wanted(void **state)
{
    (void)state;
    sx_str text = SX_STR(SHORT "a_b_1;Rue;1;1\na_b_2;Rue;x;1\na_c_1;Allee;2;2\nshort\n");
    geo_import_options o = {.skip_max = 2};
    geo_import_progress p;
    sx_error err = {0};
    assert_int_equal(import_with(&o, "skip.geo", text, &p, &err), SX_OK);
    assert_int_equal(p.skipped, 2);
    assert_non_null(strstr(p.first_skipped, ":3: byte 11"));
    assert_int_equal(p.documents, 2);
    o.skip_max = 1;
    assert_int_equal(import_with(&o, "skip.geo", text, &p, &err), SX_EFORMAT);
    assert_non_null(strstr(err.message, ":5"));
}

static void test_the_file_of_named_places_is_read(void **state)
{
    (void)state;
    geo_index *ix = open_text(
        "places.geo",
        SX_STR("id;nom_lieu_dit;code_postal;code_insee;nom_commune;code_insee_ancienne_commune;"
               "nom_ancienne_commune;x;y;lon;lat;source_position;source_nom_voie\n"
               "01001_b1;Le Moulin;01400;01001;L'Abergement;;;1;2;4.9;46.1;commune;commune\n"));
    geo_stat stat;
    geo_index_stat(ix, &stat);
    assert_int_equal(stat.documents, 1);
    check_property(ix, SX_STR("01001_b1"), "type", "locality");
    check_property(ix, SX_STR("01001_b1"), "name", "Le Moulin");
    geo_index_close(ix);
}

#define MADRID                                                                                       \
    "3117735\tMadrid\tMadrid\tMadri,Madrid,Madrit,Мадрид\t40.4165\t-3.70256\tP\tPPLC\tES\t\t29\tM\t" \
    "28079\t\t3255944\t\t665\tEurope/Madrid\t2024-01-01\n"
#define GRANVIA                                                                                    \
    "7\tGran Via\tGran Via\t\t40.42\t-3.7\tR\tST\tES\t\t29\t\t\t\t0\t\t\tEurope/Madrid\t2024-01-01\n"
#define AIRPORT                                                                                    \
    "8\tBarajas\tBarajas\t\t40.42\t-3.7\tS\tAIRP\tES\t\t29\t\t\t\t0\t\t\tEurope/Madrid\t2024-01-01\n"

static void test_places_of_geonames(void **state)
{
    (void)state;
    sx_error err = {0};
    geo_index *ix;
    geo_import_progress p;
    geo_import_input inputs[] = {
        {.path =
             fixture_write("input.codes", SX_STR("ES.29\tComunidad de Madrid\tMadrid\t3117732\n"))},
        {.path = fixture_write(
             "input.lands", SX_STR("#ISO\tISO3\nES\tESP\t724\tSP\tSpain\tMadrid\t1\t2\tEU\t.es\tEUR"
                                   "\tEuro\t34\t#####\t^x$\tes\t1\tAD\t\n"))},
        {.path = fixture_write("input.tsv", SX_STR(MADRID GRANVIA AIRPORT))}};
    char out[256];
    (void)snprintf(out, sizeof(out), "%s", fixture_path("places.geo"));
    geo_import_options o = {.inputs = inputs, .input_count = 3, .output = out};
    if (geo_import(&o, &p, &err) != SX_OK)
        fail_msg("%s", err.message);
    assert_int_equal(p.left_out, 1);
    assert_int_equal(geo_index_open(out, &ix, &err), SX_OK);
    sx_str id = SX_STR("3117735");
    check_property(ix, id, "type", "municipality");
    check_property(ix, id, "name", "Madrid|Madri|Madrit");
    check_property(ix, id, "context", "Comunidad de Madrid, Spain");
    check_property(ix, id, "population", "3255944");
    check_property(ix, id, "importance", "0.69487");
    check_property(ix, SX_STR("7"), "type", "street");
    geo_stat stat;
    geo_source source;
    geo_index_stat(ix, &stat);
    assert_int_equal(stat.sources, 1);
    assert_true(geo_index_source(ix, 0, &source));
    assert_true(sx_str_eq(source.attribution, SX_STR("GeoNames")));
    geo_index_close(ix);
    geo_import_input turned[] = {inputs[2], inputs[0]};
    o.inputs = turned;
    o.input_count = 2;
    assert_int_equal(geo_import(&o, NULL, &err), SX_EINVAL);
    assert_non_null(strstr(err.message, "put this file first"));
}

static void test_every_cut_table_is_refused(void **state)
{
    (void)state;
    sx_str whole = SX_STR(MADRID GRANVIA);
    size_t tabs = 0;
    for (size_t len = 1; len < whole.len; len++) {
        sx_error err = {0};
        tabs = whole.data[len - 1] == '\n' ? 0 : tabs + (whole.data[len - 1] == '\t');
        sx_status status = fixture_import("cut.geo", sx_str_first(whole, len), &err);
        bool may_pass = tabs == 18 || (tabs == 0 && whole.data[len - 1] == '\n');
        if ((status == SX_OK) != may_pass || (status != SX_OK && !strstr(err.message, "input")))
            fail_msg("cut at %zu: %s %s", len, sx_status_name(status), err.message);
    }
    check_refused(SX_STR(GRANVIA "9\tX\tX\t\tup\t1\tP\tPPL\tES\t\t\t\t\t\t0\t\t\t\t\n"), SX_EFORMAT,
                  ":2: byte 8: column 5 is no latitude");
}

static void test_postcodes_of_one_place_come_together(void **state)
{
    (void)state;
    geo_index *ix = open_text(
        "postal.geo",
        SX_STR("ES\t28013\tMadrid\tMadrid\tMD\tMadrid\tM\tMadrid\t28079\t40.4\t-3.7\t4\n"
               "ES\t28903\tGetafe\tMadrid\tMD\tMadrid\tM\tGetafe\t28065\t40.3\t-3.73\t4\n"
               "ES\t28014\tMadrid\tMadrid\tMD\tMadrid\tM\tMadrid\t28079\t40.6\t-3.7\t4\n"));
    geo_stat stat;
    geo_index_stat(ix, &stat);
    assert_int_equal(stat.documents, 2);
    sx_str id = SX_STR("ES-MD-M-28079-Madrid");
    check_property(ix, id, "postcode", "28013|28014");
    check_property(ix, id, "lat", "40.5");
    check_property(ix, id, "context", "Madrid, Madrid, ES");
    geo_index_close(ix);
}

static void test_documents_of_an_array(void **state)
{
    (void)state;
    sx_str text = SX_STR(" [ {\"id\":\"1\",\"name\":\"a]}\\\"[\",\"lon\":1,\"lat\":1},\n"
                         "{\"id\":\"2\",\"name\":[\"b\",\"c\"],\"lon\":2,\n \"lat\":2} ] \n");
    geo_index *ix = open_text("array.geo", text);
    geo_stat stat;
    geo_index_stat(ix, &stat);
    assert_int_equal(stat.documents, 2);
    check_property(ix, SX_STR("1"), "name", "a]}\"[");
    check_property(ix, SX_STR("2"), "name", "b|c");
    geo_index_close(ix);
    sx_error err;
    for (size_t len = 2; len < text.len - 2; len++)
        assert_int_equal(fixture_import("cut.geo", sx_str_first(text, len), &err), SX_EFORMAT);
    check_refused(SX_STR("[{\"name\":\"a\",\"lon\":1,\"lat\":1}\n x]"), SX_EFORMAT, ":2: byte 32");
    check_refused(SX_STR("[{\"name\":\"a\",\"lon\":1}]"), SX_EFORMAT, "no lat");
    check_refused(SX_STR("[]"), SX_EINVAL, "no document");
}

static void test_packed_csv(void **state)
{
    (void)state;
    static const sx_codec CODECS[] = {SX_CODEC_GZIP, SX_CODEC_ZSTD};
    char room[4096];
    sx_str text = csv_of(NULL, room, sizeof(room));
    for (size_t i = 0; i < SX_COUNT_OF(CODECS); i++) {
        sx_buf packed;
        sx_error err = {0};
        sx_buf_init(&packed, 0);
        assert_int_equal(sx_compress(CODECS[i], text, 3, &packed, &err), SX_OK);
        assert_int_equal(fixture_import("packed.geo", sx_buf_view(&packed), &err), SX_OK);
        sx_buf_done(&packed);
    }
}

static void test_every_failing_allocation_is_survived(void **state)
{
    (void)state;
    static const char POSTAL[] = "ES\t28013\tMadrid\tM\tM\tM\tM\tM\t28079\t40.4\t-3.7\t4\n";
    char room[4096];
    const sx_str texts[] = {csv_of(NULL, room, sizeof(room)), SX_STR(MADRID), sx_str_z(POSTAL),
                            SX_STR("[{\"name\":\"a\",\"lon\":1,\"lat\":1}]")};
    for (size_t i = 0; i < SX_COUNT_OF(texts); i++) {
        sx_error err;
        assert_int_equal(fixture_import("memory.geo", texts[i], &err), SX_OK);
        for (int64_t nth = 1;; nth++) {
            sx_fault_alloc_set((sx_fault_alloc){.nth = nth, .and_after = true});
            sx_status status = fixture_import("memory.geo", texts[i], &err);
            int64_t held = sx_fault_alloc_held();
            bool reached = sx_fault_alloc_calls() >= nth;
            sx_fault_alloc_set((sx_fault_alloc){.nth = 0});
            assert_int_equal(held, 0);
            if (!reached) {
                assert_int_equal(status, SX_OK);
                break;
            }
            assert_int_equal(status, SX_ENOMEM);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_of_the_ban_become_its_documents),
        cmocka_unit_test(test_order_and_memory_change_nothing),
        cmocka_unit_test(test_every_cut_csv_is_refused),
        cmocka_unit_test(test_bad_rows_are_named),
        cmocka_unit_test(test_bad_rows_are_passed_over_if_that_is_wanted),
        cmocka_unit_test(test_the_file_of_named_places_is_read),
        cmocka_unit_test(test_places_of_geonames),
        cmocka_unit_test(test_every_cut_table_is_refused),
        cmocka_unit_test(test_postcodes_of_one_place_come_together),
        cmocka_unit_test(test_documents_of_an_array),
        cmocka_unit_test(test_packed_csv),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
