/* Which tags make a place, under which kind, with which names and address; ranks; countries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "geocode/places/around.h"
#include "geocode/places/countries.h"
#include "geocode/places/places.h"
#include "geocode/places/ranks.h"
#include "geocode/places/style.h"

enum { TAGS_MAX = 32 };

/* Reads "key=value" strings, NULL at the end. */
static plc_reading read_tags(sx_arena *arena, osm_kind kind, const char *const *tags)
{
    static osm_tag items[TAGS_MAX];
    osm_object o = {.kind = kind, .id = 1, .tags = items};
    for (; tags[o.tag_count]; o.tag_count++) {
        sx_str tag = sx_str_z(tags[o.tag_count]);
        assert_true(sx_str_cut(tag, '=', &items[o.tag_count].key, &items[o.tag_count].value));
    }
    plc_reading r;
    sx_error err = {0};
    assert_int_equal(plc_style_read(&o, arena, &r, &err), SX_OK);
    return r;
}

#define READ(arena, kind, ...) read_tags(arena, kind, (const char *const[]){__VA_ARGS__, NULL})

static void assert_kind(const plc_reading *r, uint32_t at, const char *class_name, const char *type)
{
    assert_true(at < r->kind_count);
    assert_true(sx_str_eq(r->kinds[at].class_name, sx_str_z(class_name)));
    assert_true(sx_str_eq(r->kinds[at].type, sx_str_z(type)));
}

static void assert_pair(const plc_pairs *p, const char *key, const char *value)
{
    assert_true(sx_str_eq(plc_pairs_get(p, sx_str_z(key)), sx_str_z(value)));
}

static void test_what_is_no_place(void **state)
{
    sx_arena arena;
    (void)state;
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(READ(&arena, OSM_WAY, "building=yes").kind_count, 0);
    assert_int_equal(READ(&arena, OSM_NODE, "name=Nothing").kind_count, 0);
    assert_int_equal(READ(&arena, OSM_NODE, "addr:city=Vaduz").kind_count, 0);
    assert_int_equal(READ(&arena, OSM_WAY, "highway=path").kind_count, 0);
    assert_int_equal(READ(&arena, OSM_NODE, "amenity=parking_space", "name=x").kind_count, 0);
    assert_int_equal(
        READ(&arena, OSM_WAY, "highway=footway", "footway=sidewalk", "name=x").kind_count, 0);
    assert_int_equal(READ(&arena, OSM_NODE, "man_made=mast", "name=x").kind_count, 0);
    assert_int_equal(READ(&arena, OSM_WAY, "natural=coastline", "name=x").kind_count, 0);
    sx_arena_done(&arena);
}

static void test_an_object_may_be_several_places(void **state)
{
    sx_arena arena;
    (void)state;
    sx_arena_init(&arena, 0, 0);
    plc_reading r = READ(&arena, OSM_WAY, "tourism=hotel", "amenity=restaurant", "building=yes",
                         "name=Löwen", "note=x", "wikidata=Q1", "name:etymology=lion");
    assert_int_equal(r.kind_count, 2);
    assert_kind(&r, 0, "tourism", "hotel");
    assert_kind(&r, 1, "amenity", "restaurant");
    assert_pair(&r.kinds[0].names, "name", "Löwen");
    assert_int_equal(r.kinds[0].names.count, 1);
    assert_pair(&r.kinds[0].extratags, "amenity", "restaurant");
    assert_pair(&r.kinds[0].extratags, "building", "yes");
    assert_pair(&r.kinds[0].extratags, "wikidata", "Q1");
    assert_pair(&r.kinds[0].extratags, "name:etymology", "lion");
    assert_pair(&r.kinds[0].extratags, "note", "");
    assert_int_equal(r.kinds[0].extratags.count, 4);
    sx_arena_done(&arena);
}

static void test_fallbacks_need_a_name_or_number(void **state)
{
    sx_arena arena;
    (void)state;
    sx_arena_init(&arena, 0, 0);
    plc_reading r =
        READ(&arena, OSM_WAY, "building=yes", "addr:housenumber=7", "addr:street=Gasse");
    assert_int_equal(r.kind_count, 1);
    assert_kind(&r, 0, "building", "yes");
    assert_pair(&r.address, "housenumber", "7");
    assert_pair(&r.address, "street", "Gasse");

    r = READ(&arena, OSM_NODE, "addr:housenumber=7", "name=ignored", "addr:housename=Heim");
    assert_kind(&r, 0, "place", "house");
    assert_int_equal(r.kinds[0].names.count, 1);
    assert_pair(&r.kinds[0].names, "addr:housename", "Heim");

    r = READ(&arena, OSM_WAY, "building=yes", "historic=castle", "name=Schloss");
    assert_kind(&r, 0, "historic", "castle");
    assert_int_equal(r.kind_count, 1);

    r = READ(&arena, OSM_NODE, "addr:postcode=9490");
    assert_int_equal(r.kind_count, 0);
    assert_true(r.is_postcode_point);
    sx_arena_done(&arena);
}

static void test_names_of_bridges_and_locks(void **state)
{
    sx_arena arena;
    (void)state;
    sx_arena_init(&arena, 0, 0);
    plc_reading r = READ(&arena, OSM_WAY, "highway=primary", "name=Strasse", "bridge=yes",
                         "bridge:name=Brücke", "bridge:name:en=Bridge");
    assert_int_equal(r.kind_count, 2);
    assert_kind(&r, 1, "bridge", "yes");
    assert_pair(&r.kinds[1].names, "name", "Brücke");
    assert_pair(&r.kinds[1].names, "name:en", "Bridge");
    assert_int_equal(r.kinds[1].names.count, 2);
    r = READ(&arena, OSM_WAY, "waterway=canal", "lock=yes", "lock_name=Schleuse", "lock_ref=3");
    assert_int_equal(r.kind_count, 1);
    assert_kind(&r, 0, "lock", "yes");
    assert_pair(&r.kinds[0].names, "ref", "3");
    sx_arena_done(&arena);
}

static void test_boundaries_and_water(void **state)
{
    sx_arena arena;
    (void)state;
    sx_arena_init(&arena, 0, 0);
    plc_reading r = READ(&arena, OSM_RELATION, "type=boundary", "boundary=administrative",
                         "admin_level=8", "place=village", "name=Dorf", "ISO3166-1=LI");
    assert_int_equal(r.kind_count, 1);
    assert_kind(&r, 0, "boundary", "administrative");
    assert_int_equal(r.admin_level, 8);
    assert_pair(&r.kinds[0].extratags, "place", "village");
    assert_pair(&r.kinds[0].extratags, "type", "");
    assert_pair(&r.address, "country", "LI");
    assert_int_equal(READ(&arena, OSM_NODE, "place=city", "admin_level=x8").admin_level, 15);
    assert_int_equal(READ(&arena, OSM_NODE, "place=city", "admin_level=4.0").admin_level, 4);
    assert_int_equal(READ(&arena, OSM_NODE, "place=city", "admin_level=99999999999").admin_level,
                     15);

    r = READ(&arena, OSM_RELATION, "type=boundary", "boundary=postal_code", "postal_code=9490");
    assert_int_equal(r.kind_count, 0);
    assert_true(r.is_postcode_area);
    assert_false(r.is_postcode_point);

    r = READ(&arena, OSM_WAY, "natural=water", "water=lake", "name=See");
    assert_int_equal(r.kind_count, 1);
    assert_kind(&r, 0, "water", "lake");
    r = READ(&arena, OSM_WAY, "natural=water", "water=yes", "name=See");
    assert_kind(&r, 0, "natural", "water");
    sx_arena_done(&arena);
}

static void test_address_tags_by_trust(void **state)
{
    sx_arena arena;
    (void)state;
    sx_arena_init(&arena, 0, 0);
    plc_reading r =
        READ(&arena, OSM_NODE, "shop=yes", "is_in:city=A", "postal_code=1", "addr:city=B",
             "addr:postcode=2", "addr:country=Schweiz", "addr:street:de=left", "is_in:postcode=3");
    assert_pair(&r.address, "city", "B");
    assert_pair(&r.address, "postcode", "2");
    assert_pair(&r.address, "country", "");
    assert_int_equal(r.address.count, 2);
    assert_pair(&r.kinds[0].extratags, "addr:street:de", "left");
    r = READ(&arena, OSM_WAY, "addr:interpolation=odd", "addr:street=Gasse");
    assert_true(r.is_interpolation);
    assert_int_equal(r.kind_count, 0);
    r = READ(&arena, OSM_NODE, "entrance=main", "level=0", "source=x");
    assert_true(r.is_entrance && sx_str_eq(r.entrance, SX_STR("main")));
    assert_int_equal(r.entrance_tags.count, 1);
    sx_arena_done(&arena);
}

static plc_ranks rank(const char *class_name, const char *type, plc_extent extent,
                      const char *country, unsigned level)
{
    plc_rank_query q = {.class_name = sx_str_z(class_name),
                        .type = sx_str_z(type),
                        .extent = extent,
                        .country = plc_country_of(sx_str_z(country)),
                        .admin_level = (uint8_t)level};
    return plc_rank_of(&q);
}

static void assert_ranks(plc_ranks r, unsigned search, unsigned address)
{
    assert_int_equal(r.search, search);
    assert_int_equal(r.address, address);
}

static void test_ranks(void **state)
{
    (void)state;
    assert_ranks(rank("place", "city", PLC_NODE, "li", 15), 16, 16);
    assert_ranks(rank("place", "nonsense", PLC_NODE, "li", 15), 22, 0);
    assert_ranks(rank("boundary", "administrative", PLC_ANY_AREA, "li", 8), 16, 16);
    assert_ranks(rank("boundary", "administrative", PLC_ANY_AREA, "jp", 7), 16, 16);
    assert_ranks(rank("boundary", "administrative", PLC_ANY_AREA, "nl", 7), 13, 0);
    assert_ranks(rank("boundary", "administrative", PLC_ANY_AREA, "", 15), 25, 0);
    assert_ranks(rank("highway", "residential", PLC_WAY, "li", 15), 26, 26);
    assert_ranks(rank("highway", "residential", PLC_NODE, "li", 15), 30, 30);
    assert_ranks(rank("landuse", "residential", PLC_WAY, "li", 15), 30, 30);
    assert_ranks(rank("landuse", "residential", PLC_ANY_AREA, "li", 15), 24, 24);
    assert_ranks(rank("waterway", "river", PLC_RELATION, "li", 15), 18, 0);
    assert_ranks(rank("amenity", "pub", PLC_NODE, "li", 15), 30, 30);

    uint8_t from, to;
    double extent;
    assert_true(plc_rank_of_part(SX_STR("city"), 0, &from, &to, &extent));
    assert_int_equal(from, 13);
    assert_int_equal(to, 16);
    assert_true(extent == 0.16);
    assert_false(plc_rank_of_part(SX_STR("state"), 0, &from, &to, &extent));
    assert_false(plc_rank_of_part(SX_STR("unheard-of"), 0, &from, &to, &extent));
    assert_int_equal(plc_rank_of_size(0.02, 0), 13);
    assert_int_equal(plc_rank_of_size(0.02, plc_country_of(SX_STR("mt"))), 9);
}

static void test_countries(void **state)
{
    uint32_t count;
    uint16_t li = plc_country_of(SX_STR("li"));
    (void)state;
    const plc_country_name *names = plc_country_names(li, &count);
    assert_true(count > 40);
    assert_true(sx_str_eq(names[0].key, SX_STR("name")));
    assert_true(sx_str_eq(names[0].value, SX_STR("Liechtenstein")));
    for (uint32_t i = 1; i < count; i++)
        assert_true(names[i].key.len >= names[i - 1].key.len);
    assert_ptr_equal(plc_country_names(li, &count), names);
    assert_null(plc_country_names(plc_country_of(SX_STR("zz")), &count));
    assert_int_equal(count, 0);
    assert_true(sx_str_eq(plc_country_language(li), SX_STR("de")));
    assert_true(sx_str_eq(plc_country_language(plc_country_of(SX_STR("ch"))), SX_STR("")));
    assert_true(sx_str_eq(plc_country_code(plc_country_of(SX_STR("no"))), SX_STR("no")));
    assert_int_equal(plc_country_postcode_extent_m(li), 4000);
    assert_int_equal(plc_country_at(95215000, 471393000), li); /* Vaduz */
    assert_int_equal(plc_country_at(95000000, 470500000), plc_country_of(SX_STR("ch")));
    assert_int_equal(plc_country_at(15211800, 425063000), plc_country_of(SX_STR("ad")));
    assert_int_equal(plc_country_at(23522000, 488566000), plc_country_of(SX_STR("fr")));
    assert_int_equal(plc_country_at(124533700, 419032200), plc_country_of(SX_STR("va")));
    assert_int_equal(plc_country_at(-300000000, 400000000), 0); /* the Atlantic */
    assert_int_equal(plc_country_at(1800000000, 900000000), 0);
    assert_int_equal(plc_country_at(-1800000000, -900000000), plc_country_at(0, -900000000));
    plc_country_extent e = plc_country_extent_of(li);
    assert_true(e.lon_min < e.lon_e7 && e.lon_e7 < e.lon_max);
    for (uint32_t i = 0; plc_country_at_index(i); i++)
        (void)plc_country_names(plc_country_at_index(i), &count);
}

/* Values of PostGIS 3.3: ST_Envelope(ST_Buffer(point::geography, metres, 1)::geometry). */
static void test_the_box_around_a_point(void **state)
{
    (void)state;
    plc_around a = plc_box_around((geo_pt){9.5, 47.1}, 4000, NULL);
    assert_true(a.lon_min > 9.4472893921 && a.lon_min < 9.4472893922);
    assert_true(a.lat_min > 47.0640068337 && a.lat_min < 47.0640068338);
    assert_true(a.lon_max > 9.5527099569 && a.lon_max < 9.5527099570);
    assert_true(a.lat_max > 47.1359929371 && a.lat_max < 47.1359929373);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_place),
        cmocka_unit_test(test_an_object_may_be_several_places),
        cmocka_unit_test(test_fallbacks_need_a_name_or_number),
        cmocka_unit_test(test_names_of_bridges_and_locks),
        cmocka_unit_test(test_boundaries_and_water),
        cmocka_unit_test(test_address_tags_by_trust),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_countries),
        cmocka_unit_test(test_the_box_around_a_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
