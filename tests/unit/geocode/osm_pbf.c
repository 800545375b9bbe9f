/* osm_pbf.c - the PBF reader: what it reads, and what it says of files that are not as they should be. */
#include "osm_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "base/fault.h"

static const char *const STRINGS[] = {"name", "Main Street", NULL};
static const int64_t REFS[] = {1, 2, 3};

/* Header, nodes 1 to 3 and way 7. */
static void small_file(sx_buf *out, uint32_t field)
{
    sx_buf group;
    sx_buf_init(&group, 0);
    sx_buf_init(out, 0);
    osm_test_header(out, NULL);
    osm_test_nodes(&group, 1, 1, 3);
    osm_test_block(out, STRINGS, &group, field);
    osm_test_way(&group, 7, 1, 2, REFS, 3);
    osm_test_block(out, STRINGS, &group, field);
    sx_buf_done(&group);
}

static void read_block(osm_seen *seen, sx_str plain)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    osm_test_header(&b, NULL);
    osm_test_blob(&b, "OSMData", plain, 3);
    (void)osm_test_read(seen, osm_test_file(0, sx_buf_view(&b)), (osm_read_options){.threads = 1});
    sx_buf_done(&b);
}

static void read_group(osm_seen *seen, const char *const *strings, sx_buf *group)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    osm_test_header(&b, NULL);
    osm_test_block(&b, strings, group, 3);
    (void)osm_test_read(seen, osm_test_file(0, sx_buf_view(&b)), (osm_read_options){.threads = 1});
    sx_buf_done(&b);
    sx_buf_done(group);
}

static void test_raw_zlib_and_zstd_give_the_same(void **state)
{
    static const uint32_t FIELDS[] = {1, 3, 7};
    (void)state;
    uint64_t hash = 0;
    for (size_t i = 0; i < SX_COUNT_OF(FIELDS); i++) {
        sx_buf b;
        osm_seen seen;
        small_file(&b, FIELDS[i]);
        assert_int_equal(osm_test_read(&seen, osm_test_file(0, sx_buf_view(&b)),
                                       (osm_read_options){.threads = 1}),
                         SX_OK);
        assert_int_equal(seen.objects, 4);
        assert_string_equal(seen.text, "way 7 v0 1 2 3 name=Main Street");
        assert_string_equal(seen.header.program, "a test");
        assert_true(i == 0 || seen.hash == hash);
        hash = seen.hash;
        sx_buf_done(&b);
    }
}

static void test_what_we_have_not_is_named(void **state)
{
    (void)state;
    osm_seen seen;
    sx_buf b;
    sx_buf_init(&b, 0);
    osm_test_header(&b, "WarpDrive");
    assert_int_equal(
        osm_test_read(&seen, osm_test_file(0, sx_buf_view(&b)), (osm_read_options){.threads = 1}),
        SX_EUNSUPPORTED);
    assert_non_null(strstr(seen.err.message, "requires \"WarpDrive\""));
    sx_buf_clear(&b);
    osm_test_header(&b, NULL);
    osm_test_blob(&b, "OSMData", SX_STR("xyz"), 6);
    assert_int_equal(
        osm_test_read(&seen, osm_test_file(0, sx_buf_view(&b)), (osm_read_options){.threads = 1}),
        SX_EUNSUPPORTED);
    assert_non_null(strstr(seen.err.message, "packed with LZ4"));
    assert_non_null(strstr(seen.err.message, "block 1 at byte"));
    assert_int_equal(osm_test_read(&seen, osm_test_file(0, SX_STR("PK\3\4 a zip")),
                                   (osm_read_options){.threads = 1}),
                     SX_EUNSUPPORTED);
    assert_int_equal(osm_test_read(&seen, osm_test_file(0, SX_STR("")), (osm_read_options){0}),
                     SX_EFORMAT);
    assert_int_equal(osm_test_read(&seen, "/no/such.pbf", (osm_read_options){0}), SX_ENOTFOUND);
    sx_buf_done(&b);
}

/* Cut at every byte: an error that names the place, but where a blob ends. */
static void test_a_file_cut_short_says_where(void **state)
{
    (void)state;
    sx_buf b;
    unsigned whole = 0;
    small_file(&b, 3);
    for (size_t len = 20; len < b.len; len++) {
        osm_seen seen;
        sx_status status = osm_test_read(&seen, osm_test_file(0, sx_str_of(b.data, len)),
                                         (osm_read_options){.threads = 1});
        whole += status == SX_OK;
        if (status != SX_OK) {
            assert_int_equal(status, SX_EFORMAT);
            assert_non_null(strstr(seen.err.message, "byte"));
            assert_non_null(strstr(seen.err.message, "/proc/self/fd/"));
        }
    }
    assert_int_equal(whole, 2); /* behind the header, and behind the nodes */
    sx_buf_done(&b);
}

/* Each byte set to each of some values: no crash, and a refusal has words. */
static void test_damaged_bytes_are_survived(void **state)
{
    static const uint8_t VALUES[] = {0, 1, 0x7f, 0x80, 0xff};
    (void)state;
    sx_buf b;
    small_file(&b, 1);
    for (size_t i = 0; i < b.len; i++)
        for (size_t k = 0; k < SX_COUNT_OF(VALUES); k++) {
            osm_seen seen;
            char old = b.data[i];
            b.data[i] = (char)VALUES[k];
            if (osm_test_read(&seen, osm_test_file(0, sx_buf_view(&b)),
                              (osm_read_options){.threads = 1, .places = true}) != SX_OK)
                assert_true(seen.err.message[0]);
            b.data[i] = old;
        }
    sx_buf_done(&b);
}

static void test_sizes_that_lie_are_refused(void **state)
{
    (void)state;
    osm_seen seen;
    sx_buf b, blob, head, packed, zeros;
    const osm_read_options one = {.threads = 1};
    sx_buf_init(&b, 0);
    osm_test_header(&b, NULL);
    size_t header = b.len;
    sx_buf_bytes(&b, "\0\1\0\1", 4); /* a header of 65537 bytes */
    assert_int_equal(osm_test_read(&seen, osm_test_file(0, sx_buf_view(&b)), one), SX_ELIMIT);
    b.len = header;
    sx_buf_bytes(&b, "\0\0\0\0", 4);
    assert_int_equal(osm_test_read(&seen, osm_test_file(0, sx_buf_view(&b)), one), SX_ELIMIT);
    b.len = header; /* a blob of 33 MiB that is not there */
    sx_buf_init(&head, 0);
    sx_pb_put_str(&head, 1, SX_STR("OSMData"));
    sx_pb_put_u64(&head, 3, 33 << 20);
    sx_buf_bytes(&b, "\0\0\0", 3);
    sx_buf_byte(&b, (char)head.len);
    sx_buf_str(&b, sx_buf_view(&head));
    assert_int_equal(osm_test_read(&seen, osm_test_file(0, sx_buf_view(&b)), one), SX_ELIMIT);
    assert_non_null(strstr(seen.err.message, "a blob of 34603008 bytes"));

    /* A bomb: 40 MiB of zeros that claim to be fewer, and that say what they are. */
    sx_buf_init(&zeros, 0);
    sx_buf_init(&packed, 0);
    sx_buf_init(&blob, 0);
    char *at = sx_buf_reserve(&zeros, 40 << 20);
    assert_non_null(at);
    memset(at, 0, 40 << 20);
    zeros.len = 40 << 20;
    b.len = header;
    osm_test_blob(&b, "OSMData", sx_buf_view(&zeros), 3);
    assert_int_equal(osm_test_read(&seen, osm_test_file(0, sx_buf_view(&b)), one), SX_ELIMIT);
    zeros.len = 1000;
    assert_int_equal(sx_buf_status(&zeros, "", NULL), SX_OK);
    b.len = header;
    osm_test_blob(&b, "OSMData", sx_buf_view(&zeros), 3);
    for (size_t i = header; i + 2 < b.len; i++) /* raw_size 1000 becomes 1001 */
        if ((uint8_t)b.data[i] == 0x10 && (uint8_t)b.data[i + 1] == 0xE8) {
            b.data[i + 1] = (char)0xE9;
            break;
        }
    assert_int_equal(osm_test_read(&seen, osm_test_file(0, sx_buf_view(&b)), one), SX_EFORMAT);
    assert_non_null(strstr(seen.err.message, "claims 1001 bytes unpacks to 1000"));
    sx_buf_done(&b);
    sx_buf_done(&blob);
    sx_buf_done(&head);
    sx_buf_done(&packed);
    sx_buf_done(&zeros);
}

/* A block with one plain node in units of its own. */
static void node_block(sx_buf *b, int64_t granularity, int64_t offset, int64_t lat, int64_t lon)
{
    sx_buf_init(b, 0);
    size_t table = sx_pb_begin(b, 1);
    sx_pb_put_str(b, 1, SX_STR(""));
    sx_pb_end(b, table);
    size_t group = sx_pb_begin(b, 2), node = sx_pb_begin(b, 1);
    sx_pb_put_zigzag(b, 1, -5);
    sx_pb_put_zigzag(b, 8, lat);
    sx_pb_put_zigzag(b, 9, lon);
    sx_pb_end(b, node);
    sx_pb_end(b, group);
    sx_pb_put_i64(b, 17, granularity);
    sx_pb_put_i64(b, 19, offset);
    sx_pb_put_i64(b, 20, -offset);
}

static void test_granularity_and_offsets_count(void **state)
{
    (void)state;
    osm_seen seen;
    sx_buf b;
    node_block(&b, 1000, 500000, 47123456, -9123456);
    read_block(&seen, sx_buf_view(&b));
    assert_string_equal(seen.text, "node -5 v0 at -91239560,471239560");
    sx_buf_done(&b);
    for (int64_t bad = -1; bad <= 0; bad++) {
        node_block(&b, bad, 0, 1, 1);
        read_block(&seen, sx_buf_view(&b));
        assert_int_equal(seen.err.status, SX_EFORMAT);
        assert_non_null(strstr(seen.err.message, "granularity"));
        sx_buf_done(&b);
    }
    node_block(&b, 1000000000, INT64_MAX, INT64_MAX, INT64_MIN + 1);
    read_block(&seen, sx_buf_view(&b));
    assert_int_equal(seen.objects, 0);
    assert_int_equal(seen.report.flaws[OSM_FLAW_COORDINATE], 1);
    assert_string_equal(seen.report.examples[OSM_FLAW_COORDINATE],
                        "node -5: no place, or one beyond 180 or 90 degrees");
    sx_buf_done(&b);
}

static void test_flaws_are_repaired_and_counted(void **state)
{
    (void)state;
    char longer[300];
    memset(longer, 'x', sizeof(longer));
    longer[299] = 0;
    const char *const strings[] = {"na\xFFme", "\xE2\x82", longer, NULL};
    const int64_t one[] = {1};
    osm_seen seen;
    sx_buf group;
    sx_buf_init(&group, 0);
    osm_test_way(&group, 7, 1, 2, one, 1);
    read_group(&seen, strings, &group);
    assert_string_equal(seen.text, "way 7 v0 1 na\xEF\xBF\xBDme=\xEF\xBF\xBD\xEF\xBF\xBD");
    assert_int_equal(seen.report.flaws[OSM_FLAW_UTF8], 2);
    assert_int_equal(seen.report.flaws[OSM_FLAW_SHORT_WAY], 1);
    sx_buf_init(&group, 0);
    osm_test_way(&group, 8, 3, 3, REFS, 3);
    read_group(&seen, strings, &group);
    assert_int_equal(seen.report.flaws[OSM_FLAW_LONG_TEXT], 1);
    assert_int_equal(seen.objects, 1);
    sx_buf_init(&group, 0); /* a string that is not in the table */
    osm_test_way(&group, 8, 3, 4, REFS, 3);
    read_group(&seen, strings, &group);
    assert_int_equal(seen.err.status, SX_EFORMAT);
    assert_non_null(strstr(seen.err.message, "way: string 4 of a table of 4"));
}

static void test_a_way_of_more_than_a_million_nodes_is_left_out(void **state)
{
    (void)state;
    enum { MOST = 1000000 };
    int64_t *refs = sx_calloc(MOST + 1, sizeof(*refs));
    assert_non_null(refs);
    for (int64_t i = 0; i <= MOST; i++)
        refs[i] = i;
    for (size_t count = MOST; count <= MOST + 1; count++) {
        osm_seen seen;
        sx_buf group;
        sx_buf_init(&group, 0);
        osm_test_way(&group, 7, 1, 2, refs, count);
        read_group(&seen, STRINGS, &group);
        assert_int_equal(seen.err.status, SX_OK);
        assert_int_equal(seen.objects, count == MOST);
        assert_int_equal(seen.report.flaws[OSM_FLAW_OVER_LIMIT], count != MOST);
    }
    sx_free(refs);
}

/* A relation with a date `units` seconds after 1970 that has itself and node 1 as members. */
static void put_relation(sx_buf *g, int64_t id, int64_t date)
{
    size_t relation = sx_pb_begin(g, 4);
    sx_pb_put_i64(g, 1, id);
    size_t info = sx_pb_begin(g, 4);
    sx_pb_put_u64(g, 1, 3);
    sx_pb_put_i64(g, 2, date);
    sx_pb_end(g, info);
    size_t list = sx_pb_begin(g, 8);
    sx_pb_add_varint(g, 1);
    sx_pb_add_varint(g, 0);
    sx_pb_end(g, list);
    list = sx_pb_begin(g, 9);
    sx_pb_add_varint(g, sx_pb_zigzag_of(id));
    sx_pb_add_varint(g, sx_pb_zigzag_of(1 - id));
    sx_pb_end(g, list);
    list = sx_pb_begin(g, 10);
    sx_pb_add_varint(g, 2);
    sx_pb_add_varint(g, 0);
    sx_pb_end(g, list);
    sx_pb_end(g, relation);
}

static void test_relations_that_contain_themselves_and_the_future(void **state)
{
    (void)state;
    osm_seen seen;
    sx_buf group;
    sx_buf_init(&group, 0);
    put_relation(&group, 9, 1600000000);
    put_relation(&group, 10, INT64_C(99999999999));
    read_group(&seen, STRINGS, &group);
    assert_string_equal(seen.text, "relation 10 v3 n1()");
    assert_int_equal(seen.report.flaws[OSM_FLAW_SELF], 2);
    assert_int_equal(seen.report.flaws[OSM_FLAW_FUTURE], 1);
    assert_string_equal(seen.report.examples[OSM_FLAW_SELF], "relation 9: is its own member");
    assert_int_equal(seen.last.changed_ms, 0);
    assert_int_equal(seen.report.newest_ms, INT64_C(1600000000000));
}

/* Many blocks: every number of threads gives the same, and ordered batches come in order. */
static void test_threads_agree_and_order_is_kept(void **state)
{
    (void)state;
    sx_buf b, group;
    osm_seen one, many;
    sx_buf_init(&b, 0);
    sx_buf_init(&group, 0);
    osm_test_header(&b, NULL);
    for (int i = 0; i < 60; i++) {
        osm_test_nodes(&group, 1 + i * 20000, 1, i % 7 == 0 ? 10000 : 100);
        osm_test_block(&b, STRINGS, &group, 3);
        osm_test_way(&group, i + 1, 1, 2, REFS, 3);
        osm_test_block(&b, STRINGS, &group, 7);
    }
    const char *path = osm_test_file(0, sx_buf_view(&b));
    assert_int_equal(osm_test_read(&one, path, (osm_read_options){.threads = 1}), SX_OK);
    for (int ordered = 0; ordered < 2; ordered++) {
        const osm_read_options options = {.threads = 4, .ordered = ordered, .places = true};
        assert_int_equal(osm_test_read(&many, path, options), SX_OK);
        assert_true(many.hash == one.hash);
        assert_int_equal(many.objects, one.objects);
        assert_int_equal(many.places, one.report.objects[OSM_NODE]);
        assert_false(many.fell);
    }
    const osm_read_options ways = {.threads = 4, .kinds = 1 << OSM_WAY};
    assert_int_equal(osm_test_read(&many, path, ways), SX_OK);
    assert_int_equal(many.objects, 60);
    /* A fault in the middle ends all of them, ordered or not, with that fault. */
    b.data[b.len / 2] ^= 0x55;
    path = osm_test_file(0, sx_buf_view(&b));
    sx_status status = osm_test_read(&one, path, (osm_read_options){.threads = 1});
    for (int ordered = 0; ordered < 2 && status != SX_OK; ordered++) {
        const osm_read_options options = {.threads = 4, .ordered = ordered};
        assert_int_equal(osm_test_read(&many, path, options), status);
        assert_string_equal(many.err.message, one.err.message);
    }
    sx_buf_done(&b);
    sx_buf_done(&group);
}

static bool stop_at_once(void *ctx, uint64_t done, uint64_t total)
{
    (void)ctx;
    (void)done;
    (void)total;
    return false;
}

static void test_the_caller_can_stop_it(void **state)
{
    (void)state;
    sx_buf b;
    osm_seen seen;
    small_file(&b, 3);
    const osm_read_options options = {.threads = 2, .progress = stop_at_once};
    assert_int_equal(osm_test_read(&seen, osm_test_file(0, sx_buf_view(&b)), options),
                     SX_ECANCELED);
    sx_buf_done(&b);
}

static void test_every_failing_allocation_is_handled(void **state)
{
    (void)state;
    sx_buf b;
    osm_seen seen;
    small_file(&b, 3);
    const char *path = osm_test_file(0, sx_buf_view(&b));
    for (int64_t nth = 1;; nth++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = osm_test_read(&seen, path, (osm_read_options){.threads = 1});
        int64_t held = sx_fault_alloc_held(), calls = sx_fault_alloc_calls();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
        if (calls < nth) {
            assert_int_equal(status, SX_OK);
            break;
        }
        assert_int_equal(status, SX_ENOMEM);
    }
    sx_buf_done(&b);
}

/* The extracts that we ship, as osmium counts them; and if osmium is here, its XML of them holds the
 * same objects. */
static void test_real_extracts_read_as_osmium_does(void **state)
{
    static const struct {
        const char *name;
        uint64_t counts[OSM_KINDS];
    } FILES[] = {{"liechtenstein.osm.pbf", {269508, 27851, 853}},
                 {"andorra.osm.pbf", {69644, 2725, 74}},
                 {"monaco.osm.gz", {13739, 1944, 77}}};
    const char *root = getenv("SX_SOURCE_ROOT");
    (void)state;
    bool osmium = access("/usr/bin/osmium", X_OK) == 0;
    char path[512], command[1200], folder[] = "/tmp/sextant-osm-XXXXXX";
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; root && i < SX_COUNT_OF(FILES); i++) {
        osm_seen seen, theirs;
        (void)snprintf(path, sizeof(path), "%s/data/%s", root, FILES[i].name);
        if (access(path, R_OK) != 0)
            continue;
        assert_int_equal(osm_test_read(&seen, path, (osm_read_options){0}), SX_OK);
        for (int kind = 0; kind < OSM_KINDS; kind++)
            assert_int_equal(seen.report.objects[kind], FILES[i].counts[kind]);
        if (!osmium)
            continue;
        (void)snprintf(command, sizeof(command),
                       "osmium cat --no-progress --overwrite -o %s/x.osm.bz2 %s", folder, path);
        assert_int_equal(system(command), 0);
        (void)snprintf(path, sizeof(path), "%s/x.osm.bz2", folder);
        assert_int_equal(osm_test_read(&theirs, path, (osm_read_options){0}), SX_OK);
        assert_true(theirs.hash == seen.hash);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw_zlib_and_zstd_give_the_same),
        cmocka_unit_test(test_what_we_have_not_is_named),
        cmocka_unit_test(test_a_file_cut_short_says_where),
        cmocka_unit_test(test_damaged_bytes_are_survived),
        cmocka_unit_test(test_sizes_that_lie_are_refused),
        cmocka_unit_test(test_granularity_and_offsets_count),
        cmocka_unit_test(test_flaws_are_repaired_and_counted),
        cmocka_unit_test(test_a_way_of_more_than_a_million_nodes_is_left_out),
        cmocka_unit_test(test_relations_that_contain_themselves_and_the_future),
        cmocka_unit_test(test_threads_agree_and_order_is_kept),
        cmocka_unit_test(test_the_caller_can_stop_it),
        cmocka_unit_test(test_every_failing_allocation_is_handled),
        cmocka_unit_test(test_real_extracts_read_as_osmium_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
