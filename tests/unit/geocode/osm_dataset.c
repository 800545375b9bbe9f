/* osm_dataset.c - node places against a plain model, the merged set out of several files, and our PBF. */
#include "osm_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sextant/file.h>
#include <sextant/map.h>
#include <sextant/mem.h>

#include "base/fault.h"
#include "geocode/osm/locations.h"

/* ---- Places of nodes ---- */

typedef struct model_node {
    int64_t id;
    int32_t lon, lat;
    uint32_t version;
} model_node;

static uint64_t chance(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

enum { BATCH = 500, BATCHES = 40, ID_MAX = 12000 };

/* The same batches into a set and a table; `spread` 0: ids rise throughout. */
static void check_against_model(uint64_t seed, unsigned spread, size_t memory_max)
{
    sx_error err = {0};
    sx_map64 model;
    const osm_locations_options options = {.folder = memory_max ? "/tmp" : NULL,
                                           .memory_max = memory_max,
                                           .versions = true,
                                           .threads = 3};
    osm_locations *l = osm_locations_new(&options, &err);
    static model_node nodes[BATCH * BATCHES];
    static int64_t ids[BATCH];
    static int32_t lons[BATCH], lats[BATCH];
    static uint32_t versions[BATCH];
    size_t n = 0;
    int64_t id = -50;
    assert_non_null(l);
    sx_map64_init(&model, NULL);
    for (uint64_t batch = 0; batch < BATCHES; batch++) {
        for (size_t i = 0; i < BATCH; i++, n++) {
            id = spread ? (int64_t)(chance(&seed) % spread) - 50
                        : id + 1 + (int64_t)(chance(&seed) % 3);
            bool gone = spread && chance(&seed) % 10 == 0;
            nodes[n] = (model_node){
                id, gone ? OSM_GONE : (int32_t)(chance(&seed) % 3600000001u - OSM_LON_E7_MAX),
                (int32_t)(chance(&seed) % 1800000001u) - OSM_LAT_E7_MAX,
                1 + (uint32_t)(chance(&seed) % 5)};
            ids[i] = id;
            lons[i] = nodes[n].lon;
            lats[i] = nodes[n].lat;
            versions[i] = nodes[n].version;
            bool added;
            sx_map64_entry *e = sx_map64_put(&model, (uint64_t)id, &added);
            assert_non_null(e);
            const model_node *old = e->ptr;
            if (added || !old->version || !nodes[n].version || nodes[n].version >= old->version)
                e->ptr = &nodes[n];
        }
        const osm_places places = {ids, lons, lats, versions, BATCH};
        assert_int_equal(osm_locations_add(l, (uint32_t)(batch % 3), batch, &places, &err), SX_OK);
    }
    assert_int_equal(osm_locations_freeze(l, NULL, &err), SX_OK);
    uint64_t there = 0;
    for (int64_t k = -60; k < 60000; k++) {
        int32_t lon = 0, lat = 0, lons_all[1], lats_all[1];
        const model_node *m = sx_map64_get(&model, (uint64_t)k);
        bool is_there = m && m->lon != OSM_GONE;
        assert_int_equal(osm_locations_find(l, k, &lon, &lat), is_there);
        if (is_there) {
            assert_int_equal(lon, m->lon);
            assert_int_equal(lat, m->lat);
            there++;
        }
        assert_int_equal(osm_locations_find_all(l, &k, 1, lons_all, lats_all), is_there);
    }
    assert_int_equal(osm_locations_count(l), there);
    osm_locations_cursor c;
    int64_t before = INT64_MIN;
    osm_locations_start(&c, l);
    for (; osm_locations_next(&c); there--) {
        assert_true(c.id > before);
        before = c.id;
        const model_node *m = sx_map64_get(&model, (uint64_t)c.id);
        assert_int_equal(c.lat_e7, m->lat);
        assert_int_equal(c.version, m->version);
    }
    assert_int_equal(there, 0);
    osm_locations_free(l);
    sx_map64_done(&model);
}

static void test_places_agree_with_a_plain_table(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++)
        for (int spill = 0; spill < 2; spill++) {
            check_against_model(seed, 0, spill);
            check_against_model(seed, 1000, spill);
            check_against_model(seed, 50000, spill);
        }
}

static void test_nodes_a_planet_apart_are_held_exactly(void **state)
{
    (void)state;
    static const int64_t ids[] = {INT64_MIN, -1, 0, 1, INT64_C(1) << 40, INT64_MAX};
    static const int32_t lons[] = {-1800000000, 1800000000, 0, 1, -1, 1800000000};
    static const int32_t lats[] = {900000000, -900000000, 0, -1, 1, 900000000};
    sx_error err = {0};
    osm_locations *l = osm_locations_new(&(osm_locations_options){.threads = 1}, &err);
    const osm_places places = {ids, lons, lats, NULL, SX_COUNT_OF(ids)};
    assert_non_null(l);
    assert_int_equal(osm_locations_add(l, 0, 0, &places, &err), SX_OK);
    assert_int_equal(osm_locations_freeze(l, NULL, &err), SX_OK);
    for (size_t i = 0; i < SX_COUNT_OF(ids); i++) {
        int32_t lon = 7, lat = 7;
        assert_true(osm_locations_find(l, ids[i], &lon, &lat));
        assert_int_equal(lon, lons[i]);
        assert_int_equal(lat, lats[i]);
    }
    int32_t lon, lat;
    assert_false(osm_locations_find(l, 2, &lon, &lat));
    assert_false(osm_locations_find(l, INT64_MAX - 1, &lon, &lat));
    osm_locations_free(l);
}

/* ---- Sets ---- */

typedef struct listing {
    char text[2000];
    uint64_t hash;
    size_t count;
} listing;

static sx_status list_one(void *ctx, const osm_object *o)
{
    listing *l = ctx;
    size_t len = strlen(l->text);
    l->hash += osm_test_hash(o);
    l->count++;
    if (len + 100 < sizeof(l->text)) {
        osm_test_describe(o, l->text + len, sizeof(l->text) - len - 2);
        memcpy(l->text + strlen(l->text), "; ", 3);
    }
    return SX_OK;
}

static void list_set(osm_dataset *d, listing *l)
{
    *l = (listing){0};
    for (unsigned kind = 0; kind < OSM_KINDS; kind++)
        assert_int_equal(osm_dataset_each(d, (osm_kind)kind, list_one, l, NULL), SX_OK);
}

static void list_files(const osm_dataset_options *options, const char *const *paths, size_t count,
                       listing *l)
{
    osm_dataset *d;
    sx_error err = {0};
    if (osm_dataset_open(options, paths, count, &d, &err) != SX_OK)
        fail_msg("%s", err.message);
    list_set(d, l);
    osm_dataset_close(d);
}

static const char BASE[] =
    "<osm><node id='1' lat='1' lon='1' version='1'/>"
    "<node id='2' lat='2' lon='2' version='1'><tag k='a' v='b'/></node>"
    "<node id='3' lat='3' lon='3' version='2'><tag k='c' v='d'/></node>"
    "<way id='7' version='3'><nd ref='1'/><nd ref='2'/><tag k='w' v='old'/></way>"
    "<way id='5' version='1'><nd ref='1'/><nd ref='3'/></way>"
    "<relation id='9' version='1'><member type='way' ref='7' role='outer'/></relation></osm>";

static void test_changes_are_applied_in_order(void **state)
{
    (void)state;
    listing l;
    const char *paths[3] = {osm_test_file(0, sx_str_z(BASE))};
    list_files(NULL, paths, 1, &l);
    assert_string_equal(l.text, "node 2 v1 at 20000000,20000000 a=b; "
                                "node 3 v2 at 30000000,30000000 c=d; "
                                "way 5 v1 1 3; way 7 v3 1 2 w=old; relation 9 v1 w7(outer); ");
    paths[1] = osm_test_file(
        1, SX_STR("<osmChange>"
                  "<modify><node id='2' lat='2.5' lon='2' version='2'/>" /* its tags are gone */
                  "<node id='3' lat='9' lon='9' version='1'><tag k='stale' v='1'/></node>"
                  "<way id='7' version='4'><nd ref='2'/><nd ref='1'/><tag k='w' v='new'/></way>"
                  "</modify>"
                  "<delete><way id='5' version='2'/><node id='1' version='2'/></delete>"
                  "<create><node id='4' lat='4' lon='4' version='1'><tag k='e' v='f'/></node>"
                  "</create></osmChange>"));
    osm_dataset *d;
    assert_int_equal(osm_dataset_open(NULL, paths, 2, &d, NULL), SX_OK);
    list_set(d, &l);
    assert_string_equal(l.text, "node 3 v2 at 30000000,30000000 c=d; "
                                "node 4 v1 at 40000000,40000000 e=f; "
                                "way 7 v4 2 1 w=new; relation 9 v1 w7(outer); ");
    int32_t lon, lat;
    const int64_t *refs;
    uint32_t count;
    assert_false(osm_dataset_location(d, 1, &lon, &lat));
    assert_true(osm_dataset_location(d, 2, &lon, &lat));
    assert_int_equal(lat, 25000000);
    assert_true(osm_dataset_location(d, 3, &lon, &lat));
    assert_int_equal(lat, 30000000);
    assert_true(osm_dataset_way(d, 7, &refs, &count));
    assert_int_equal(count, 2);
    assert_int_equal(refs[0], 2);
    assert_false(osm_dataset_way(d, 5, &refs, &count));
    assert_int_equal(osm_dataset_node_count(d), 3);
    sx_arena arena;
    const osm_member *members;
    osm_object o;
    sx_arena_init(&arena, 0, 0);
    assert_true(osm_dataset_relation(d, 9, &arena, &members, &count));
    assert_true(count == 1 && members[0].ref == 7 && sx_str_eq(members[0].role, SX_STR("outer")));
    assert_int_equal(osm_dataset_find(d, OSM_NODE, 4, &arena, &o, NULL), SX_OK);
    assert_int_equal(osm_dataset_find(d, OSM_NODE, 2, &arena, &o, NULL), SX_ENOTFOUND);
    sx_arena_done(&arena);
    osm_dataset_close(d);
    /* A later file without versions wins; what it deletes and makes again is there. */
    paths[2] = osm_test_file(2, SX_STR("<osmChange><delete><way id='7'/></delete><create>"
                                       "<way id='7'><nd ref='4'/><nd ref='3'/></way></create>"
                                       "<delete><relation id='9'/></delete></osmChange>"));
    list_files(NULL, paths, 3, &l);
    assert_non_null(strstr(l.text, "way 7 v0 4 3; "));
    assert_null(strstr(l.text, "relation"));
}

static void test_an_extract_that_is_newer_takes_tags_away(void **state)
{
    (void)state;
    listing l;
    const char *paths[2] = {
        osm_test_file(0, sx_str_z(BASE)),
        osm_test_file(1, SX_STR("<osm><node id='2' lat='5' lon='5' version='7'/>"
                                "<node id='3' lat='5' lon='5' version='1'/></osm>"))};
    const char *turned[2] = {paths[1], paths[0]};
    list_files(NULL, paths, 2, &l);
    assert_string_equal(l.text, "node 3 v2 at 30000000,30000000 c=d; way 5 v1 1 3; "
                                "way 7 v3 1 2 w=old; relation 9 v1 w7(outer); ");
    uint64_t hash = l.hash;
    list_files(NULL, turned, 2, &l);
    assert_true(l.hash == hash);
}

static void test_disorder_and_duplicates_are_reported(void **state)
{
    (void)state;
    sx_buf b, group;
    osm_dataset *d;
    sx_buf_init(&b, 0);
    sx_buf_init(&group, 0);
    osm_test_header(&b, NULL);
    osm_test_nodes(&group, 1000, -3, 300);
    osm_test_block(&b, (const char *const[]){"a", "b", NULL}, &group, 3);
    const int64_t refs[] = {1000, 997, 994};
    osm_test_way(&group, 9, 1, 2, refs, 3);
    osm_test_way(&group, 8, 1, 2, refs, 2);
    osm_test_way(&group, 9, 1, 1, refs, 2);
    osm_test_block(&b, (const char *const[]){"a", "b", NULL}, &group, 3);
    const char *path = osm_test_file(0, sx_buf_view(&b));
    assert_int_equal(osm_dataset_open(NULL, &path, 1, &d, NULL), SX_OK);
    listing l;
    list_set(d, &l);
    assert_string_equal(l.text, "way 8 v0 1000 997 a=b; way 9 v0 1000 997 a=a; ");
    int32_t lon, lat;
    assert_true(osm_dataset_location(d, 994, &lon, &lat));
    assert_int_equal(lat, 470000022);
    const osm_report *report = osm_dataset_report(d);
    assert_true(report->flaws[OSM_FLAW_UNSORTED] > 0);
    assert_int_equal(report->flaws[OSM_FLAW_DUPLICATE], 1);
    assert_string_equal(report->examples[OSM_FLAW_DUPLICATE], "way 9");
    osm_dataset_close(d);
    sx_buf_done(&b);
    sx_buf_done(&group);
}

/* The path of a shipped extract; false if this copy of the sources has none. */
static bool extract(const char *name, char *path, size_t cap)
{
    const char *root = getenv("SX_SOURCE_ROOT");
    (void)snprintf(path, cap, "%s/data/%s", root ? root : ".", name);
    return access(path, R_OK) == 0;
}

static void test_memory_and_threads_change_nothing(void **state)
{
    char first[300], second[300];
    (void)state;
    if (!extract("andorra.osm.pbf", first, sizeof(first)) ||
        !extract("monaco.osm.gz", second, sizeof(second)))
        skip();
    const char *paths[] = {first, second, first};
    listing plain, other;
    list_files(NULL, paths, 3, &plain);
    assert_int_equal(plain.count > 5000, true);
    for (uint32_t threads = 1; threads <= 3; threads++) {
        const osm_dataset_options options = {
            .folder = "/tmp", .memory_max = 1000, .threads = threads};
        list_files(&options, paths, 3, &other);
        assert_true(other.hash == plain.hash);
        assert_string_equal(other.text, plain.text);
    }
}

static void test_what_is_written_reads_back_equal(void **state)
{
    char first[300], folder[] = "/tmp/sextant-osm-XXXXXX", out[300];
    (void)state;
    if (!extract("andorra.osm.pbf", first, sizeof(first)))
        skip();
    assert_non_null(mkdtemp(folder));
    (void)snprintf(out, sizeof(out), "%s/x.pbf", folder);
    const char *paths[] = {first, osm_test_file(1, sx_str_z(BASE))};
    const char *written = out;
    osm_dataset *d, *back;
    sx_error err = {0};
    listing ours, theirs;
    sx_buf bytes[2];
    assert_int_equal(
        osm_dataset_open(&(osm_dataset_options){.for_writing = true}, paths, 2, &d, &err), SX_OK);
    list_set(d, &ours);
    for (int turn = 0; turn < 4; turn++) {
        const osm_write_options options = {
            .path = out, .zstd = turn > 1, .threads = turn % 2 ? 4 : 1};
        if (osm_dataset_write_pbf(d, &options, &err) != SX_OK)
            fail_msg("%s", err.message);
        sx_buf_init(&bytes[turn % 2], 0);
        assert_int_equal(sx_file_read(out, 0, &bytes[turn % 2], &err), SX_OK);
        if (turn % 2) {
            assert_true(sx_str_eq(sx_buf_view(&bytes[0]), sx_buf_view(&bytes[1])));
            sx_buf_done(&bytes[0]);
            sx_buf_done(&bytes[1]);
        }
        assert_int_equal(osm_dataset_open(NULL, &written, 1, &back, &err), SX_OK);
        list_set(back, &theirs);
        assert_true(theirs.hash == ours.hash);
        assert_int_equal(osm_dataset_node_count(back), osm_dataset_node_count(d));
        assert_int_equal(osm_dataset_report(back)->flaws[OSM_FLAW_UNSORTED], 0);
        assert_true(osm_dataset_header(back)->sorted);
        osm_dataset_close(back);
    }
    if (access("/usr/bin/osmium", X_OK) == 0) {
        char command[700];
        assert_int_equal(osm_dataset_write_pbf(d, &(osm_write_options){.path = out}, &err), SX_OK);
        (void)snprintf(command, sizeof(command),
                       "osmium cat --no-progress --overwrite -o %s/y.osm %s", folder, out);
        assert_int_equal(system(command), 0);
        (void)snprintf(out, sizeof(out), "%s/y.osm", folder);
        assert_int_equal(osm_dataset_open(NULL, &written, 1, &back, &err), SX_OK);
        list_set(back, &theirs);
        assert_true(theirs.hash == ours.hash);
        osm_dataset_close(back);
        assert_int_equal(unlink(out), 0);
        (void)snprintf(out, sizeof(out), "%s/x.pbf", folder);
    }
    osm_dataset_close(d);
    assert_int_equal(unlink(out), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void test_every_failing_allocation_is_handled(void **state)
{
    (void)state;
    const char *paths[] = {
        osm_test_file(0, sx_str_z(BASE)),
        osm_test_file(1, SX_STR("<osmChange><modify><node id='1' lat='5' lon='5' "
                                "version='9'/></modify></osmChange>"))};
    char folder[] = "/tmp/sextant-osm-XXXXXX", out[100];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(out, sizeof(out), "%s/x.pbf", folder);
    for (int64_t nth = 1;; nth++) {
        osm_dataset *d;
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status =
            osm_dataset_open(&(osm_dataset_options){.threads = 1}, paths, 2, &d, NULL);
        if (status == SX_OK) {
            const osm_write_options options = {.path = out, .threads = 1, .zstd = true};
            status = osm_dataset_write_pbf(d, &options, NULL);
            osm_dataset_close(d);
        }
        int64_t held = sx_fault_alloc_held(), calls = sx_fault_alloc_calls();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
        if (calls < nth) {
            assert_int_equal(status, SX_OK);
            break;
        }
        assert_true(status == SX_ENOMEM || status == SX_OK); /* a shorter block may stay as it is */
    }
    assert_int_equal(unlink(out), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void test_a_full_disk_is_an_error(void **state)
{
    (void)state;
    const char *path = osm_test_file(0, sx_str_z(BASE));
    const osm_dataset_options options = {.folder = "/tmp", .memory_max = 2, .threads = 1};
    for (int64_t nth = 1; nth <= 2; nth++) { /* the store's write, and the places' */
        osm_dataset *d;
        sx_error err = {0};
        sx_fault_file_set((sx_fault_file){.nth = nth, .calls = SX_FAULT_WRITE, .os_errno = 28});
        sx_status status = osm_dataset_open(&options, &path, 1, &d, &err);
        sx_fault_file_set((sx_fault_file){0});
        assert_int_equal(status, SX_EIO);
        assert_non_null(strstr(err.message, "/tmp"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places_agree_with_a_plain_table),
        cmocka_unit_test(test_nodes_a_planet_apart_are_held_exactly),
        cmocka_unit_test(test_changes_are_applied_in_order),
        cmocka_unit_test(test_an_extract_that_is_newer_takes_tags_away),
        cmocka_unit_test(test_disorder_and_duplicates_are_reported),
        cmocka_unit_test(test_memory_and_threads_change_nothing),
        cmocka_unit_test(test_what_is_written_reads_back_equal),
        cmocka_unit_test(test_every_failing_allocation_is_handled),
        cmocka_unit_test(test_a_full_disk_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
