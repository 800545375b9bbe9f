/* Places out of small maps: addresses, links, houses, numbers between houses; broken maps; no memory. */
#include "osm_fixture.h"

#include <stdlib.h>
#include <string.h>

#include <sextant/mem.h>

#include "base/fault.h"
#include "geocode/places/build.h"

/* A town as a boundary (a square of 0.1 degrees at 10, 50) with its node, a suburb's node, a street along
 * latitude 50.05 and what the tests add. */
static const char TOWN[] =
    "<node id='1' lat='50.00' lon='10.00'/><node id='2' lat='50.00' lon='10.10'/>"
    "<node id='3' lat='50.10' lon='10.10'/><node id='4' lat='50.10' lon='10.00'/>"
    "<way id='1'><nd ref='1'/><nd ref='2'/><nd ref='3'/><nd ref='4'/><nd ref='1'/></way>"
    "<relation id='1'><member type='way' ref='1' role='outer'/>"
    "<tag k='type' v='boundary'/><tag k='boundary' v='administrative'/>"
    "<tag k='admin_level' v='8'/><tag k='name' v='Musterstadt'/></relation>"
    "<node id='5' lat='50.05' lon='10.05'><tag k='place' v='town'/>"
    "<tag k='name' v='Musterstadt'/><tag k='name:en' v='Sample Town'/></node>"
    "<node id='6' lat='50.051' lon='10.031'><tag k='place' v='suburb'/>"
    "<tag k='name' v='Vorort'/></node>"
    "<node id='11' lat='50.05' lon='10.02'/><node id='12' lat='50.05' lon='10.04'/>"
    "<way id='11'><nd ref='11'/><nd ref='12'/><tag k='highway' v='residential'/>"
    "<tag k='name' v='Lange Straße'/></way>"
    "<node id='13' lat='50.052' lon='10.02'/><node id='14' lat='50.052' lon='10.04'/>"
    "<way id='12'><nd ref='13'/><nd ref='14'/><tag k='highway' v='residential'/>"
    "<tag k='name' v='Kurze Gasse'/></way>";

/* A built map. */
typedef struct map {
    osm_dataset *data;
    plc_writer *writer;
    plc_report report;
    plc_index ix;
    sx_error err;
} map;

static void close_map(map *m)
{
    plc_report_done(&m->report);
    plc_writer_free(m->writer);
    osm_dataset_close(m->data);
}

static sx_status try_map(map *m, const char *more, uint32_t threads)
{
    sx_buf xml;
    *m = (map){0};
    plc_report_init(&m->report);
    sx_buf_init(&xml, 0);
    sx_buf_printf(&xml, "<osm version='0.6'>%s%s</osm>", TOWN, more);
    const char *path = osm_test_file(0, sx_buf_view(&xml));
    sx_buf_done(&xml);
    osm_dataset_options options = {.threads = 1};
    plc_build_options build = {.threads = threads};
    sx_status status = osm_dataset_open(&options, &path, 1, &m->data, &m->err);
    if (status != SX_OK)
        return status;
    m->writer = plc_writer_new(NULL, 0, &m->err);
    if (!m->writer)
        return m->err.status;
    status = plc_build(m->data, &build, m->writer, &m->report, &m->err);
    return status == SX_OK ? plc_writer_view(m->writer, &m->ix, &m->err) : status;
}

static void open_map(map *m, const char *more)
{
    sx_status status = try_map(m, more, 1);
    if (status != SX_OK)
        fail_msg("%s", m->err.message);
    assert_int_equal(plc_verify(&m->ix, &m->err), SX_OK);
}

/* The first place of an object; PLC_NONE if it is none. */
static uint32_t find(const map *m, osm_kind kind, int64_t id)
{
    uint32_t count;
    const plc_disk_osm_id *row = plc_find_osm(&m->ix, kind, id, &count);
    return count ? row->place : PLC_NONE;
}

static const plc_disk_place *get(const map *m, osm_kind kind, int64_t id)
{
    const plc_disk_place *p = plc_place(&m->ix, find(m, kind, id));
    assert_non_null(p);
    return p;
}

static bool is_text(const map *m, uint32_t ref, const char *text)
{
    return sx_str_eq(plc_string(&m->ix, ref), sx_str_z(text));
}

static void test_a_boundary_takes_over_its_node(void **state)
{
    map m;
    (void)state;
    open_map(&m, "");
    const plc_disk_place *town = get(&m, OSM_RELATION, 1), *node = get(&m, OSM_NODE, 5);
    assert_int_equal(town->rank_address, 16);
    assert_true(node->flags & PLC_LINKED);
    assert_int_equal(node->linked, find(&m, OSM_RELATION, 1));
    assert_int_equal(town->lon_e7, 100500000);
    assert_int_equal(town->lat_e7, 500500000);
    assert_true(sx_str_eq(plc_tag(&m.ix, town->tags, PLC_NAMES, SX_STR("_place_name:en")),
                          SX_STR("Sample Town")));
    assert_true(sx_str_eq(plc_tag(&m.ix, town->tags, PLC_EXTRATAGS, SX_STR("linked_place")),
                          SX_STR("town")));
    assert_true((town->flags & PLC_AREA) && (town->flags & PLC_HAS_SHAPE));

    uint32_t count;
    const plc_disk_line *lines = plc_lines(&m.ix, find(&m, OSM_WAY, 11), &count);
    assert_int_equal(count, 2);
    assert_int_equal(lines[0].place, find(&m, OSM_RELATION, 1));
    assert_true(lines[0].is_address && lines[0].from_area);
    assert_int_equal(lines[1].place, find(&m, OSM_NODE, 6));
    assert_true(lines[1].is_address && !lines[1].from_area);
    assert_int_equal(get(&m, OSM_WAY, 11)->parent, find(&m, OSM_NODE, 6));
    close_map(&m);
}

static void test_houses_find_their_street(void **state)
{
    map m;
    (void)state;
    open_map(&m, "<node id='20' lat='50.0519' lon='10.03'><tag k='addr:housenumber' v='7a;9'/>"
                 "<tag k='addr:street' v='lange str.'/><tag k='addr:postcode' v='12345'/></node>"
                 "<node id='21' lat='50.0519' lon='10.03'><tag k='amenity' v='pub'/></node>"
                 "<node id='12' lat='50.05' lon='10.04'><tag k='highway' v='bus_stop'/></node>"
                 "<node id='22' lat='50.0511' lon='10.03'><tag k='addr:housenumber' v='1'/>"
                 "<tag k='addr:place' v='Vorort'/></node>"
                 "<node id='23' lat='50.0511' lon='10.03'><tag k='addr:housenumber' v='2'/>"
                 "<tag k='addr:place' v='Nirgendwo'/></node>");
    const plc_disk_place *house = get(&m, OSM_NODE, 20);
    assert_int_equal(house->parent, find(&m, OSM_WAY, 11)); /* by name, not the nearest */
    assert_true(is_text(&m, house->housenumber, "7 a;9"));
    assert_true(is_text(&m, house->postcode, "12345"));
    assert_int_equal(get(&m, OSM_NODE, 21)->parent, find(&m, OSM_WAY, 12)); /* the nearest */
    assert_int_equal(get(&m, OSM_NODE, 12)->parent, find(&m, OSM_WAY, 11)); /* part of it */
    assert_int_equal(get(&m, OSM_NODE, 22)->parent, find(&m, OSM_NODE, 6));
    const plc_disk_place *nowhere = get(&m, OSM_NODE, 23);
    assert_int_equal(nowhere->parent, find(&m, OSM_RELATION, 1));
    assert_true(sx_str_eq(plc_tag(&m.ix, nowhere->tags, PLC_ADDRESS, SX_STR("_unlisted_place")),
                          SX_STR("Nirgendwo")));

    uint32_t first, count = plc_children(&m.ix, find(&m, OSM_WAY, 11), &first);
    assert_int_equal(count, 2);
    assert_int_equal(first, find(&m, OSM_NODE, 12));
    uint32_t codes;
    const plc_disk_postcode *code = plc_postcodes(&m.ix, &codes);
    assert_int_equal(codes, 1);
    assert_int_equal(code->lon_e7, 100300000);
    assert_int_equal(code->parent, find(&m, OSM_RELATION, 1));
    assert_true(is_text(&m, get(&m, OSM_NODE, 21)->postcode, "12345")); /* within reach of it */
    close_map(&m);
}

static void test_relations_of_streets_win(void **state)
{
    map m;
    (void)state;
    open_map(&m, "<node id='20' lat='50.0519' lon='10.03'><tag k='addr:housenumber' v='7'/>"
                 "<tag k='addr:street' v='Kurze Gasse'/></node>"
                 "<relation id='5'><member type='way' ref='11' role='street'/>"
                 "<member type='node' ref='20' role='house'/>"
                 "<member type='relation' ref='5' role='street'/>"
                 "<tag k='type' v='associatedStreet'/></relation>"
                 "<relation id='6'><member type='relation' ref='5' role='street'/>"
                 "<member type='node' ref='20' role='house'/>"
                 "<tag k='type' v='associatedStreet'/></relation>");
    assert_int_equal(get(&m, OSM_NODE, 20)->parent, find(&m, OSM_WAY, 11));
    close_map(&m);
}

static void test_numbers_between_houses(void **state)
{
    map m;
    uint32_t count;
    (void)state;
    open_map(&m,
             "<node id='30' lat='50.0501' lon='10.022'><tag k='addr:housenumber' v='2'/>"
             "<tag k='addr:street' v='Lange Straße'/></node>"
             "<node id='31' lat='50.0501' lon='10.030'><tag k='addr:housenumber' v='10'/></node>"
             "<node id='32' lat='50.0501' lon='10.034'><tag k='addr:housenumber' v='12'/></node>"
             "<way id='30'><nd ref='30'/><nd ref='31'/><nd ref='32'/>"
             "<tag k='addr:interpolation' v='even'/></way>"
             "<way id='31'><nd ref='30'/><nd ref='31'/>"
             "<tag k='addr:interpolation' v='alphabetic'/></way>");
    const plc_disk_interpolation *row = plc_interpolations(&m.ix, find(&m, OSM_WAY, 11), &count);
    assert_int_equal(count, 1);
    assert_int_equal(row->first, 4);
    assert_int_equal(row->last, 8);
    assert_int_equal(row->step, 2);
    assert_int_equal(row->lon_min, 100240000);
    assert_int_equal(row->lon_max, 100280000);
    close_map(&m);
}

static void test_buildings_give_their_address_and_entrances(void **state)
{
    map m;
    uint32_t count;
    (void)state;
    open_map(
        &m, "<node id='40' lat='50.0503' lon='10.0300'/><node id='41' lat='50.0503' lon='10.0304'/>"
            "<node id='42' lat='50.0506' lon='10.0304'><tag k='entrance' v='main'/></node>"
            "<node id='43' lat='50.0506' lon='10.0300'/>"
            "<way id='40'><nd ref='40'/><nd ref='41'/><nd ref='42'/><nd ref='43'/><nd ref='40'/>"
            "<tag k='building' v='yes'/><tag k='addr:housenumber' v='5'/>"
            "<tag k='addr:street' v='Lange Straße'/></way>"
            "<node id='44' lat='50.0504' lon='10.0302'><tag k='shop' v='bakery'/></node>");
    const plc_disk_place *shop = get(&m, OSM_NODE, 44);
    assert_true(is_text(&m, shop->housenumber, "5"));
    assert_int_equal(shop->parent, find(&m, OSM_WAY, 11));
    const plc_disk_entrance *e = plc_entrances(&m.ix, find(&m, OSM_WAY, 40), &count);
    assert_int_equal(count, 1);
    assert_int_equal(e->osm_id, 42);
    const uint32_t *shops = plc_category(&m.ix, SX_STR("shop"), SX_STR("bakery"), &count);
    assert_int_equal(count, 1);
    assert_int_equal(shops[0], find(&m, OSM_NODE, 44));
    close_map(&m);
}

static void test_rivers_take_their_ways(void **state)
{
    map m;
    (void)state;
    open_map(&m, "<way id='50'><nd ref='11'/><nd ref='13'/><tag k='waterway' v='river'/>"
                 "<tag k='name' v='Fluss'/></way>"
                 "<relation id='50'><member type='way' ref='50' role='main_stream'/>"
                 "<member type='way' ref='999' role=''/>"
                 "<tag k='type' v='waterway'/><tag k='waterway' v='river'/>"
                 "<tag k='name' v='Fluss'/></relation>");
    assert_int_equal(get(&m, OSM_WAY, 50)->linked, find(&m, OSM_RELATION, 50));
    assert_int_equal(get(&m, OSM_RELATION, 50)->rank_search, 18);
    close_map(&m);
}

static void test_postcode_areas(void **state)
{
    map m;
    uint32_t count;
    (void)state;
    open_map(&m, "<relation id='60'><member type='way' ref='1' role='outer'/>"
                 "<tag k='type' v='boundary'/><tag k='boundary' v='postal_code'/>"
                 "<tag k='postal_code' v='54321'/></relation>"
                 "<node id='20' lat='50.0519' lon='10.03'><tag k='addr:housenumber' v='7'/>"
                 "<tag k='addr:postcode' v='12345'/></node>");
    const plc_disk_postcode *code = plc_postcodes(&m.ix, &count);
    assert_int_equal(count, 1); /* what lies in an area does not make another */
    assert_true(is_text(&m, code->postcode, "54321"));
    assert_int_equal(code->place, find(&m, OSM_RELATION, 60));
    assert_true(is_text(&m, get(&m, OSM_WAY, 11)->postcode, "54321"));
    assert_true(is_text(&m, get(&m, OSM_NODE, 20)->postcode, "12345"));
    close_map(&m);
}

/* What cannot be is left out, and said. */
static void test_broken_maps(void **state)
{
    map m;
    (void)state;
    open_map(
        &m,
        "<way id='70'><nd ref='11'/><tag k='highway' v='primary'/><tag k='name' v='Punkt'/></way>"
        "<way id='71'><nd ref='998'/><nd ref='999'/><tag k='highway' v='primary'/></way>"
        "<relation id='70'><member type='relation' ref='70' role='outer'/>"
        "<tag k='type' v='multipolygon'/><tag k='leisure' v='park'/></relation>"
        "<way id='72'><nd ref='1'/><nd ref='2'/></way>"
        "<relation id='71'><member type='way' ref='72' role='outer'/>"
        "<tag k='type' v='boundary'/><tag k='boundary' v='administrative'/>"
        "<tag k='admin_level' v='9'/><tag k='name' v='Offen'/></relation>"
        "<way id='73'><nd ref='1'/><nd ref='3'/><nd ref='2'/><nd ref='4'/><nd ref='1'/></way>"
        "<relation id='72'><member type='way' ref='73' role='outer'/>"
        "<tag k='type' v='multipolygon'/><tag k='place' v='suburb'/><tag k='name' v='Acht'/>"
        "</relation>"
        "<way id='74'><nd ref='1'/><nd ref='2'/><nd ref='3'/><tag k='boundary' v='administrative'/>"
        "<tag k='name' v='Linie'/></way>");
    assert_int_equal(find(&m, OSM_WAY, 70), PLC_NONE);
    assert_int_equal(find(&m, OSM_RELATION, 71), PLC_NONE);
    assert_int_equal(find(&m, OSM_RELATION, 72), PLC_NONE);
    assert_int_equal(find(&m, OSM_WAY, 74), PLC_NONE);
    assert_int_equal(m.report.broken_count, 2);
    assert_int_equal(m.report.broken[0].id, 71);
    assert_string_equal(m.report.broken[0].name, "Offen");
    assert_non_null(strstr(m.report.broken[0].text, "not closed"));
    assert_int_equal(m.report.without_points, 3);
    close_map(&m);
}

static void test_threads_do_not_change_the_bytes(void **state)
{
    map one, four;
    (void)state;
    sx_buf more;
    sx_buf_init(&more, 0);
    for (int i = 0; i < 3000; i++)
        sx_buf_printf(&more,
                      "<node id='%d' lat='%.7f' lon='%.7f'><tag k='addr:housenumber' v='%d'/>"
                      "<tag k='addr:street' v='%s'/><tag k='addr:city' v='Musterstadt'/></node>",
                      1000 + i, 50.05 + i % 50 * 0.0001, 10.02 + i / 50 * 0.0003, i,
                      i % 3 ? "Lange Straße" : "Unbekannt");
    sx_buf_byte(&more, '\0');
    assert_int_equal(try_map(&one, more.data, 1), SX_OK);
    assert_int_equal(try_map(&four, more.data, 4), SX_OK);
    assert_int_equal(one.ix.bytes, four.ix.bytes);
    assert_memory_equal(one.ix.data, four.ix.data, one.ix.bytes);
    sx_buf_done(&more);
    close_map(&one);
    close_map(&four);
}

static void test_no_memory(void **state)
{
    static const char MORE[] =
        "<node id='20' lat='50.0519' lon='10.03'><tag k='addr:housenumber' v='7a;9'/>"
        "<tag k='addr:street' v='Lange Straße'/><tag k='addr:postcode' v='12345'/></node>"
        "<node id='30' lat='50.0501' lon='10.022'><tag k='addr:housenumber' v='2'/></node>"
        "<node id='31' lat='50.0501' lon='10.030'><tag k='addr:housenumber' v='10'/></node>"
        "<way id='30'><nd ref='30'/><nd ref='31'/><tag k='addr:interpolation' v='even'/></way>"
        "<way id='72'><nd ref='1'/><nd ref='2'/></way>"
        "<relation id='71'><member type='way' ref='72' role='outer'/><tag k='type' v='boundary'/>"
        "<tag k='boundary' v='administrative'/><tag k='name' v='Offen'/></relation>";
    map m;
    (void)state;
    open_map(&m, MORE); /* the names of countries are read once and kept */
    close_map(&m);
    for (int64_t nth = 1;; nth++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = try_map(&m, MORE, 1);
        bool reached = sx_fault_alloc_calls() >= nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        close_map(&m);
        if (!reached) {
            assert_int_equal(status, SX_OK);
            break;
        }
        if (status != SX_OK)
            assert_true(m.err.message[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_boundary_takes_over_its_node),
        cmocka_unit_test(test_houses_find_their_street),
        cmocka_unit_test(test_relations_of_streets_win),
        cmocka_unit_test(test_numbers_between_houses),
        cmocka_unit_test(test_buildings_give_their_address_and_entrances),
        cmocka_unit_test(test_rivers_take_their_ways),
        cmocka_unit_test(test_postcode_areas),
        cmocka_unit_test(test_broken_maps),
        cmocka_unit_test(test_threads_do_not_change_the_bytes),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
