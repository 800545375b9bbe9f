/* test_head.c - the head of a dashboard in each of its forms, and what is given out again. */
#include "tests/unit/base/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include <sextant/mem.h>

#include "lib/base/fault.h"
#include "observe/dashboards/head.h"

static sx_arena arena;

static int open_arena(void **state)
{
    (void)state;
    sx_arena_init(&arena, 0, 0);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    sx_arena_done(&arena);
    return 0;
}

static dash_head read_head(const char *text)
{
    dash_head h;
    sx_error err = {0};
    if (dash_head_read(sx_str_z(text), &arena, &h, &err) != SX_OK)
        fail_msg("%s: %s", text, err.message);
    return h;
}

#define assert_text(view, text)                                                                    \
    do {                                                                                           \
        sx_str got_ = (view);                                                                      \
        assert_int_equal(got_.len, strlen(text));                                                  \
        assert_memory_equal(got_.data, text, got_.len);                                            \
    } while (0)

static void test_a_classic_dashboard(void **state)
{
    (void)state;
    dash_head h =
        read_head("{\"id\": 7, \"uid\":\"a-b\",\"title\":\"CPU \\u0026 \\\"more\\\"\","
                  "\"tags\":[\"x\",3,\"y\"],\"version\":12,\"panels\":[{\"title\":\"no\"}],"
                  "\"description\":\"d\"}");
    assert_text(h.uid, "a-b");
    assert_text(h.title, "CPU & \"more\"");
    assert_text(h.description, "d");
    assert_int_equal(h.tag_count, 2);
    assert_text(h.tags[1], "y");
    assert_int_equal(h.id, 7);
    assert_int_equal(h.version, 12);
    assert_false(h.is_resource);
}

static void test_an_answer_of_the_api_is_its_dashboard(void **state)
{
    (void)state;
    dash_head h =
        read_head("{\"meta\":{\"title\":\"m\"},\"dashboard\":{\"title\":\"in\",\"uid\":\"u\"}}");
    assert_text(h.title, "in");
    assert_text(h.json, "{\"title\":\"in\",\"uid\":\"u\"}");
}

static void test_a_resource_says_it_in_its_own_places(void **state)
{
    (void)state;
    dash_head h = read_head(
        "{\"apiVersion\":\"dashboard.grafana.app/v2\",\"kind\":\"Dashboard\",\"metadata\":{\"name\":"
        "\"res\",\"annotations\":{\"grafana.app/folder\":\"f\"}},\"spec\":{\"title\":\"R\",\"tags\":"
        "[\"t\"],\"elements\":{}}}");
    assert_true(h.is_resource);
    assert_text(h.uid, "res");
    assert_text(h.title, "R");
    assert_text(h.folder_uid, "f");
    assert_int_equal(h.tag_count, 1);
}

static void test_wrong_types_count_as_absent(void **state)
{
    (void)state;
    dash_head h =
        read_head("{\"id\":\"7\",\"uid\":5,\"title\":[\"x\"],\"tags\":\"x\",\"version\":1.5}");
    assert_int_equal(h.uid.len + h.title.len + h.tag_count, 0);
    assert_int_equal(h.id, 0);
    assert_int_equal(h.version, 0);
}

static void test_what_is_no_object_is_refused_with_its_place(void **state)
{
    static const char *const TEXTS[] = {
        "", "[]", "3", "{\"a\":}", "{\"a\":1}}", "{\"a\":\"\xff\"}", "nul"};
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(TEXTS); i++) {
        dash_head h;
        sx_error err = {0};
        assert_int_equal(dash_head_read(sx_str_z(TEXTS[i]), &arena, &h, &err), SX_EFORMAT);
        assert_non_null(strstr(err.message, "line 1"));
    }
}

static void test_depth_and_tags_are_bounded(void **state)
{
    (void)state;
    sx_buf text;
    dash_head h;
    sx_error err = {0};
    sx_buf_init(&text, 0);
    sx_buf_str(&text, SX_STR("{\"a\":"));
    for (int i = 0; i < DASH_DEPTH_MAX + 1; i++)
        sx_buf_byte(&text, '[');
    assert_int_equal(dash_head_read(sx_buf_view(&text), &arena, &h, &err), SX_ELIMIT);
    sx_buf_clear(&text);
    sx_buf_str(&text, SX_STR("{\"tags\":[\"t\""));
    for (int i = 0; i < DASH_TAGS_MAX; i++)
        sx_buf_str(&text, SX_STR(",\"t\""));
    sx_buf_str(&text, SX_STR("]}"));
    assert_int_equal(dash_head_read(sx_buf_view(&text), &arena, &h, &err), SX_ELIMIT);
    sx_buf_clear(&text);
    for (int i = 0; i < 2 * DASH_WRAPS_MAX; i++)
        sx_buf_str(&text, SX_STR("{\"dashboard\":"));
    sx_buf_str(&text, SX_STR("{\"title\":\"t\"}"));
    for (int i = 0; i < 2 * DASH_WRAPS_MAX; i++)
        sx_buf_byte(&text, '}');
    assert_int_equal(dash_head_read(sx_buf_view(&text), &arena, &h, &err), SX_ELIMIT);
    sx_buf_done(&text);
}

static const char WHOLE[] =
    "{\"title\":\"T\",\"id\":null,\"panels\":[{\"x\":\"\\u00e9\\n\"}],\"tags\":[\"a\"],"
    "\"uid\":\"q\"}";

static void test_cut_at_every_byte_it_is_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof WHOLE - 1; len++) {
        dash_head h;
        sx_error err = {0};
        char *copy = sx_alloc(len + 1); /* so that a sanitizer sees a byte too far */
        memcpy(copy, WHOLE, len);
        assert_int_equal(dash_head_read(sx_str_of(copy, len), &arena, &h, &err), SX_EFORMAT);
        assert_int_not_equal(err.message[0], '\0');
        sx_free(copy);
    }
}

static void stamp(const char *json, const char *wanted)
{
    sx_buf out;
    sx_error err = {0};
    dash_stamp s = {.id = 5, .version = 2, .uid = SX_STR("u\"1")};
    sx_buf_init(&out, 0);
    assert_int_equal(dash_stamp_write(sx_str_z(json), &s, &out, &err), SX_OK);
    assert_text(sx_buf_view(&out), wanted);
    sx_buf_done(&out);
}

static void test_what_is_given_out_has_its_numbers(void **state)
{
    (void)state;
    stamp("{ \"title\" : \"T\", \"version\": 9, \"x\": [1, 2.50], \"id\": null }",
          "{\"title\":\"T\",\"version\":2,\"x\":[1, 2.50],\"id\":5,\"uid\":\"u\\\"1\"}");
    stamp("{}", "{\"id\":5,\"uid\":\"u\\\"1\",\"version\":2}");
    stamp("{\"id\":1,\"i\\u0064\":2}", "{\"id\":5,\"uid\":\"u\\\"1\",\"version\":2}");
    stamp("{\"apiVersion\":\"dashboard.grafana.app/v1\",\"spec\":{\"title\":\"R\"}}",
          "{\"apiVersion\":\"dashboard.grafana.app/v1\",\"spec\":{\"title\":\"R\"}}");
}

static void test_slugs_and_uids(void **state)
{
    static const char *const SLUGS[][2] = {{"CPU / Node", "cpu-node"},
                                           {"  Über  K\xc3\xb6ln!", "uber-koln"},
                                           {"a_b--c", "a_b-c"},
                                           {"\xe6\x97\xa5\xe6\x9c\xac", "the-uid"},
                                           {"", "the-uid"},
                                           {"\xc3", "the-uid"}};
    char made[DASH_UID_MADE + 1], again[DASH_UID_MADE + 1];
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(SLUGS); i++)
        assert_text(dash_slug(sx_str_z(SLUGS[i][0]), SX_STR("the-uid"), &arena), SLUGS[i][1]);
    assert_true(dash_uid_is_valid(SX_STR("aZ0-_")));
    assert_false(dash_uid_is_valid(SX_STR("a/b")));
    assert_false(dash_uid_is_valid(SX_STR("a b")));
    assert_int_equal(dash_uid_make(made, NULL), SX_OK);
    assert_true(dash_uid_is_valid(sx_str_z(made)) && strlen(made) == DASH_UID_MADE);
    dash_uid_of(SX_STR("x"), made);
    dash_uid_of(SX_STR("x"), again);
    assert_string_equal(made, again);
    assert_int_equal(dash_chars(SX_STR("\xc3\xa9x")), 2);
}

static void test_without_memory_it_says_so(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        sx_arena own;
        sx_buf out;
        dash_head h;
        sx_error err = {0};
        dash_stamp s = {.id = 1, .version = 1, .uid = SX_STR("u")};
        sx_arena_init(&own, 64, 0);
        sx_buf_init(&out, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = dash_head_read(sx_str_z(WHOLE), &own, &h, &err);
        if (status == SX_OK)
            status = dash_stamp_write(sx_str_z(WHOLE), &s, &out, &err);
        bool is_last = sx_fault_alloc_calls() < nth;
        sx_buf_done(&out);
        sx_arena_done(&own);
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(status, is_last ? SX_OK : SX_ENOMEM);
        if (is_last)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_classic_dashboard),
        cmocka_unit_test(test_an_answer_of_the_api_is_its_dashboard),
        cmocka_unit_test(test_a_resource_says_it_in_its_own_places),
        cmocka_unit_test(test_wrong_types_count_as_absent),
        cmocka_unit_test(test_what_is_no_object_is_refused_with_its_place),
        cmocka_unit_test(test_depth_and_tags_are_bounded),
        cmocka_unit_test(test_cut_at_every_byte_it_is_refused),
        cmocka_unit_test(test_what_is_given_out_has_its_numbers),
        cmocka_unit_test(test_slugs_and_uids),
        cmocka_unit_test(test_without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
