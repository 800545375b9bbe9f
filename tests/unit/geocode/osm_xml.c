/* osm_xml.c - the pull reader of XML, and OSM XML and change files read through it. */
#include "osm_fixture.h"

#include <inttypes.h>
#include <stdio.h>

#include <sextant/compress.h>

#include "base/fault.h"
#include "codec/xml.h"

/* ---- The pull reader ---- */

typedef struct pieces {
    sx_str rest;
    size_t step;
} pieces;

static sx_status next_piece(void *ctx, sx_str *chunk, sx_error *err)
{
    pieces *p = ctx;
    (void)err;
    if (!p->rest.len)
        return SX_END;
    *chunk = sx_str_first(p->rest, p->step);
    p->rest = sx_str_from(p->rest, p->step);
    return SX_OK;
}

/* The tags of `text` as "+a b=c" and "-a", read in pieces of `step` bytes; or "!" and what is wrong. */
static void read_all(const char *text, size_t step, char *out, size_t cap)
{
    pieces p = {sx_str_z(text), step};
    codec_xml x;
    sx_error err = {0};
    sx_buf b;
    sx_status status;
    sx_buf_init(&b, 0);
    codec_xml_init(&x, &(codec_xml_options){
                           .more = next_piece, .ctx = &p, .depth_max = 5, .token_bytes_max = 400});
    while ((status = codec_xml_next(&x, &err)) == SX_OK) {
        sx_buf_printf(&b, "%s%c%.*s", b.len ? " " : "", x.event == CODEC_XML_START ? '+' : '-',
                      SX_ARG(x.name));
        for (size_t i = 0; i < x.attribute_count; i++)
            sx_buf_printf(&b, " %.*s=%.*s", SX_ARG(x.attributes[i].name),
                          SX_ARG(x.attributes[i].value));
    }
    if (status != SX_END)
        sx_buf_printf(&b, "%s!%s", b.len ? " " : "", err.message);
    (void)snprintf(out, cap, "%.*s", (int)b.len, b.data);
    sx_buf_done(&b);
    codec_xml_done(&x);
}

static void test_tags_are_read_in_pieces_of_any_size(void **state)
{
    static const struct {
        const char *text, *tags;
    } CASES[] = {
        {"<a/>", "+a -a"},
        {"\xEF\xBB\xBF<?xml version='1.0' encoding='UTF-8'?>\n<a><b c=\"d\"/>x</a >\n",
         "+a +b c=d -b -a"},
        {"<a b = 'c\"d'\n e=\"f'\"/>", "+a b=c\"d e=f' -a"},
        {"<a b='&lt;&gt;&amp;&quot;&apos;&#65;&#x20AC;'/>", "+a b=<>&\"'A\xE2\x82\xAC -a"},
        {"<a b='1\n2\t3'/>", "+a b=1 2 3 -a"},
        {"<!-- <x> --><a><![CDATA[<y>]]]]></a><!----><?p <q> ?>", "+a -a"},
        {"<a b=''></a>", "+a b= -a"},
        {"", "!byte 0: no element at all"},
        {"<a>", "+a !byte 3: the file ends inside <a>"},
        {"<a", "!byte 2: the file ends inside a tag, comment or instruction"},
        {"<a><b></a></b>", "+a +b !byte 6: </a> where </b> is due"},
        {"<a/><b/>", "+a -a !byte 4: a second root element"},
        {"</a>", "!byte 0: an end tag without a start tag"},
        {"<a b=c/>", "!byte 5: a value stands in quotes"},
        {"<a b='1' b='2'/>", "!byte 9: an attribute that is there twice"},
        {"<a b='<'/>", "!byte 6: a \"<\" in a value; is a quote missing before it?"},
        {"<a b='&nbsp;'/>", "!byte 6: \"&nbsp;\" is none of XML's own entities"},
        {"<a b='&#0;'/>", "!byte 6: \"&#0;\" is none of XML's own entities"},
        {"<a b='&#xD800;'/>", "!byte 6: \"&#xD800;\" is none of XML's own entities"},
        {"<a b='&amp'/>", "!byte 6: an \"&\" without its \";\""},
        {"<a><a><a><a><a><a>", "+a +a +a +a +a !byte 15: more than 5 elements in one another"},
        {"x<a/>", "!byte 0: text outside of the root element"},
        {"<!DOCTYPE a [<!ENTITY b 'cccc'><!ENTITY d '&b;&b;'>]><a>&d;</a>",
         "!byte 0: a DTD, which may declare entities: none is read; remove it"},
        {"<?xml encoding='latin1'?><a/>", "!byte 0: encoding \"latin1\"; convert it to UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++)
        for (size_t step = 1; step <= 64; step += step < 4 ? 1 : 20) {
            char out[512];
            read_all(CASES[i].text, step, out, sizeof(out));
            assert_string_equal(out, CASES[i].tags);
        }
}

static void test_a_tag_too_long_is_refused(void **state)
{
    (void)state;
    char text[1000], out[200];
    memset(text, ' ', sizeof(text));
    memcpy(text, "<a b='", 6);
    text[999] = 0;
    read_all(text, 50, out, sizeof(out));
    assert_string_equal(out, "!byte 0: a tag, comment or instruction of more than 400 bytes");
}

/* ---- OSM ---- */

static sx_status read_text(osm_seen *seen, const char *text)
{
    return osm_test_read(seen, osm_test_file(0, sx_str_z(text)),
                         (osm_read_options){.places = true});
}

static const char SMALL[] =
    "<?xml version='1.0' encoding='UTF-8'?>\n<osm version=\"0.6\" generator=\"a &amp; b\">\n"
    " <bounds minlat=\"47.0\" minlon=\"9.4\" maxlat=\"47.3\" maxlon=\"9.7\"/>\n"
    " <node id=\"1\" lat=\"47.1234567\" lon=\"-9.5\" version=\"2\" "
    "timestamp=\"2021-01-06T15:53:42Z\"/>\n"
    " <node lon='9.50000004' lat='47' id='2'><tag v='K&#246;nig' k='name'/></node>\n"
    " <way id=\"7\"><tag k=\"highway\" v=\"path\"/><nd ref=\"1\"/><nd ref=\"2\"/></way>\n"
    " <relation id=\"9\"><center lat='1' lon='2'/><member ref=\"7\" role=\"outer\" type=\"way\"/>"
    "<member type=\"node\" ref=\"1\"/></relation>\n</osm>\n";

static void test_objects_are_read_as_they_stand(void **state)
{
    (void)state;
    osm_seen seen;
    assert_int_equal(read_text(&seen, SMALL), SX_OK);
    assert_int_equal(seen.objects, 4);
    assert_int_equal(seen.places, 2);
    assert_true(seen.header.is_xml && seen.header.has_box && !seen.header.is_change);
    assert_int_equal(seen.header.box_e7[3], 473000000);
    assert_string_equal(seen.header.program, "a & b");
    assert_int_equal(seen.report.newest_ms, INT64_C(1609948422000));
    static const struct {
        const char *xml, *text;
    } CASES[] = {
        {"<node id='1' lat='47.1234567' lon='-9.5' version='2'/>",
         "node 1 v2 at -95000000,471234567"},
        {"<node lon='9.50000004' lat='4.7e1' id='2'/>", "node 2 v0 at 95000000,470000000"},
        {"<node lon='-.25' lat='47.00000006' id='-2'/>", "node -2 v0 at -2500000,470000001"},
        {"<way id='7'><tag k='a' v='b'/><nd ref='1'/><nd ref='-2'/></way>", "way 7 v0 1 -2 a=b"},
        {"<relation id='9'><member ref='7' role='outer' type='way'/></relation>",
         "relation 9 v0 w7(outer)"},
        {"<node id='3' version='4' visible='false'/>", "no node 3 v4"},
        {"<way id='3' action='delete'/>", "no way 3 v0"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        char text[300];
        (void)snprintf(text, sizeof(text), "<osm>%s</osm>", CASES[i].xml);
        assert_int_equal(osm_test_read(&seen, osm_test_file(0, sx_str_z(text)),
                                       (osm_read_options){.threads = 1}),
                         SX_OK);
        assert_string_equal(seen.text, CASES[i].text);
    }
}

static void test_packed_xml_is_unpacked(void **state)
{
    static const sx_codec CODECS[] = {SX_CODEC_GZIP, SX_CODEC_BZIP2, SX_CODEC_ZSTD};
    (void)state;
    osm_seen plain, packed;
    assert_int_equal(read_text(&plain, SMALL), SX_OK);
    for (size_t i = 0; i < SX_COUNT_OF(CODECS); i++) {
        sx_buf b;
        sx_buf_init(&b, 0);
        assert_int_equal(sx_compress(CODECS[i], sx_str_z(SMALL), 0, &b, NULL), SX_OK);
        assert_int_equal(osm_test_read(&packed, osm_test_file(0, sx_buf_view(&b)),
                                       (osm_read_options){.places = true}),
                         SX_OK);
        assert_true(packed.hash == plain.hash);
        b.len /= 2;
        assert_int_not_equal(osm_test_read(&packed, osm_test_file(0, sx_buf_view(&b)),
                                           (osm_read_options){.places = true}),
                             SX_OK);
        sx_buf_done(&b);
    }
}

static void test_xml_cut_at_every_byte_is_an_error(void **state)
{
    (void)state;
    for (size_t len = 1; len < sizeof(SMALL) - 2; len++) {
        osm_seen seen;
        assert_int_not_equal(
            osm_test_read(&seen, osm_test_file(0, sx_str_of(SMALL, len)), (osm_read_options){0}),
            SX_OK);
        assert_non_null(strstr(seen.err.message, "/proc/self/fd/"));
    }
}

static void test_wrong_objects_are_refused_or_left_out(void **state)
{
    static const struct {
        const char *xml;
        sx_status status;
        const char *message;
    } REFUSED[] = {
        {"<osm><node lat='1' lon='1'/></osm>", SX_EFORMAT, "a node without an id"},
        {"<osm><node id='x1' lat='1' lon='1'/></osm>", SX_EFORMAT, "\"x1\" is no id"},
        {"<osm><way id='1'><nd/></way></osm>", SX_EFORMAT, "a <nd> without ref"},
        {"<osm><way id='1'><tag k='a'/></way></osm>", SX_EFORMAT, "a tag without k or v"},
        {"<osm><relation id='1'><member type='area' ref='1'/></relation></osm>", SX_EFORMAT,
         "a member without a known type"},
        {"<osm><way id='1'><node id='2'/></way></osm>", SX_EFORMAT, "a node inside of a way"},
        {"<gpx/>", SX_EUNSUPPORTED, "XML of <gpx>"},
    };
    (void)state;
    osm_seen seen;
    for (size_t i = 0; i < SX_COUNT_OF(REFUSED); i++) {
        assert_int_equal(read_text(&seen, REFUSED[i].xml), REFUSED[i].status);
        assert_non_null(strstr(seen.err.message, REFUSED[i].message));
    }
    assert_int_equal(read_text(&seen, "<osm><node id='1' lat='90.1' lon='0'/><node id='2' lat='x' "
                                      "lon='0'/><node id='3'/><node id='4' lat='-90' lon='180' "
                                      "timestamp='yesterday'/><trkpt/></osm>"),
                     SX_OK);
    assert_int_equal(seen.objects, 1);
    assert_int_equal(seen.report.flaws[OSM_FLAW_COORDINATE], 3);
    assert_int_equal(seen.report.flaws[OSM_FLAW_DATE], 1);
    assert_int_equal(seen.report.flaws[OSM_FLAW_ELEMENT], 1);
}

static void test_a_bomb_of_spaces_is_refused(void **state)
{
    (void)state;
    osm_seen seen;
    sx_buf plain, packed;
    sx_buf_init(&plain, 0);
    sx_buf_init(&packed, 0);
    char *at = sx_buf_reserve(&plain, 100 << 20);
    assert_non_null(at);
    memset(at, ' ', 100 << 20);
    memcpy(at, "<osm>", 5);
    plain.len = 100 << 20;
    assert_int_equal(sx_compress(SX_CODEC_GZIP, sx_buf_view(&plain), 1, &packed, NULL), SX_OK);
    assert_int_equal(
        osm_test_read(&seen, osm_test_file(0, sx_buf_view(&packed)), (osm_read_options){0}),
        SX_EFORMAT); /* 228 to one: it is only cut short */
    const osm_read_options strict = {.limits = {.ratio_max = 100}};
    assert_int_equal(osm_test_read(&seen, osm_test_file(0, sx_buf_view(&packed)), strict),
                     SX_ELIMIT);
    sx_buf_done(&plain);
    sx_buf_done(&packed);
}

static void test_change_files_say_what_goes(void **state)
{
    (void)state;
    osm_seen seen;
    const char *path = osm_test_file(
        0, SX_STR("<osmChange version='0.6'><create><node id='1' lat='1' lon='2' version='1'/>"
                  "</create><delete><way id='7' version='3'><nd ref='1'/></way></delete>"
                  "<modify><node id='2' lat='1' lon='1'/></modify></osmChange>"));
    const osm_read_options options = {.nodes = OSM_NODES_TAGGED, .places = true};
    assert_int_equal(osm_test_read(&seen, path, options), SX_OK);
    assert_true(seen.header.is_change);
    assert_int_equal(seen.objects, 3); /* nodes without tags, too: they may have lost them */
    assert_int_equal(seen.places, 2);
    path = osm_test_file(0, SX_STR("<osmChange><delete><way id='7' version='3'/></delete>"
                                   "</osmChange>"));
    assert_int_equal(osm_test_read(&seen, path, (osm_read_options){.threads = 1}), SX_OK);
    assert_string_equal(seen.text, "no way 7 v3");
}

static void test_every_failing_allocation_is_handled(void **state)
{
    (void)state;
    const char *path = osm_test_file(0, sx_str_z(SMALL));
    for (int64_t nth = 1;; nth++) {
        osm_seen seen;
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
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tags_are_read_in_pieces_of_any_size),
        cmocka_unit_test(test_a_tag_too_long_is_refused),
        cmocka_unit_test(test_objects_are_read_as_they_stand),
        cmocka_unit_test(test_packed_xml_is_unpacked),
        cmocka_unit_test(test_xml_cut_at_every_byte_is_an_error),
        cmocka_unit_test(test_wrong_objects_are_refused_or_left_out),
        cmocka_unit_test(test_a_bomb_of_spaces_is_refused),
        cmocka_unit_test(test_change_files_say_what_goes),
        cmocka_unit_test(test_every_failing_allocation_is_handled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
