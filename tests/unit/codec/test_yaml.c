/* test_yaml.c - YAML trees: places, aliases, merges, limits, typed reads, messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <stdio.h>

#include <sextant/yaml.h>

#include "base/fault.h"

typedef struct fixture {
    sx_arena arena;
    sx_yaml_file file;
    sx_error err;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    sx_arena_init(&f->arena, 0, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    sx_arena_done(&f->arena);
    free(f);
    return 0;
}

static sx_status parse(fixture *f, const char *text)
{
    return sx_yaml_parse(sx_str_z(text), SX_STR("f.yml"), NULL, &f->arena, &f->file, &f->err);
}

/* The first document, which must parse. */
static sx_yaml_node *top(fixture *f, const char *text)
{
    if (parse(f, text) != SX_OK)
        fail_msg("%s", f->err.message);
    assert_true(f->file.count >= 1);
    return f->file.documents[0];
}

static void assert_fails(fixture *f, const char *text, const char *message)
{
    assert_int_equal(parse(f, text), SX_EFORMAT);
    assert_string_equal(f->err.message, message);
}

static void assert_text(const sx_yaml_node *node, const char *want)
{
    assert_non_null(node);
    assert_int_equal(node->kind, SX_YAML_SCALAR);
    if (!sx_str_eq(node->scalar, sx_str_z(want)))
        fail_msg("'%.*s' is not '%s'", SX_ARG(node->scalar), want);
}

static void test_every_node_knows_its_place(void **state)
{
    sx_yaml_node *doc = top(*state, "a: 1\nb:\n  - x\n  - y: [p, \"q\"]\n");
    assert_int_equal(doc->kind, SX_YAML_MAPPING);
    assert_int_equal(doc->count, 2);
    assert_text(doc->pairs[0].key, "a");
    const sx_yaml_node *b = sx_yaml_get(doc, SX_STR("b"));
    assert_int_equal(b->kind, SX_YAML_SEQUENCE);
    assert_int_equal(b->line, 3);
    assert_int_equal(b->column, 3);
    const sx_yaml_node *q = sx_yaml_get(b->items[1], SX_STR("y"))->items[1];
    assert_text(q, "q");
    assert_int_equal(q->line, 4);
    assert_int_equal(q->column, 12);
    assert_int_equal(q->style, SX_YAML_DOUBLE_QUOTED);
    sx_buf path;
    sx_buf_init(&path, 0);
    sx_yaml_path(q, &path);
    assert_true(sx_str_eq(sx_buf_view(&path), SX_STR("b[1].y[1]")));
    sx_buf_done(&path);
    assert_null(sx_yaml_get(doc, SX_STR("c")));
    assert_null(sx_yaml_get(b, SX_STR("a")));
    assert_null(sx_yaml_get(NULL, SX_STR("a")));
}

static void test_documents(void **state)
{
    fixture *f = *state;
    assert_int_equal(parse(f, ""), SX_OK);
    assert_int_equal(f->file.count, 0);
    assert_int_equal(parse(f, "# only a comment\n"), SX_OK);
    assert_int_equal(f->file.count, 0);
    assert_int_equal(parse(f, "--- a\n---\n---\nb: c\n...\n"), SX_OK);
    assert_int_equal(f->file.count, 3);
    assert_text(f->file.documents[0], "a");
    assert_true(sx_yaml_is_null(f->file.documents[1]));
    assert_text(sx_yaml_get(f->file.documents[2], SX_STR("b")), "c");
}

static void test_styles_and_tags(void **state)
{
    sx_yaml_node *doc = top(*state, "- plain\n- 'it''s'\n- |\n  lit\n- >\n  fol\n  ded\n"
                                    "- !!str 12\n- !secret x\n");
    assert_int_equal(doc->items[0]->style, SX_YAML_PLAIN);
    assert_int_equal(doc->items[1]->style, SX_YAML_SINGLE_QUOTED);
    assert_text(doc->items[1], "it's");
    assert_int_equal(doc->items[2]->style, SX_YAML_LITERAL);
    assert_text(doc->items[2], "lit\n");
    assert_int_equal(doc->items[3]->style, SX_YAML_FOLDED);
    assert_text(doc->items[3], "fol ded\n");
    assert_true(sx_str_eq(doc->items[4]->tag, SX_STR("tag:yaml.org,2002:str")));
    assert_int_equal(sx_yaml_type_of(doc->items[4]), SX_YAML_TYPE_STRING);
    assert_true(sx_str_eq(doc->items[5]->tag, SX_STR("!secret")));
}

static void test_a_tab_is_called_a_tab(void **state)
{
    fixture *f = *state;
    assert_fails(f, "a:\n\tb: 1\n",
                 "f.yml:2:1: a tab where a value or a key begins; indent with spaces, not tabs");
}

static void test_aliases_share_their_node(void **state)
{
    fixture *f = *state;
    sx_yaml_node *doc = top(f, "a: &x [1, 2]\nb: *x\nc: &x 3\nd: *x\n*x : e\n");
    assert_ptr_equal(sx_yaml_get(doc, SX_STR("a")), sx_yaml_get(doc, SX_STR("b")));
    assert_text(sx_yaml_get(doc, SX_STR("d")), "3");
    assert_text(sx_yaml_get(doc, SX_STR("3")), "e");
    assert_fails(f, "a: *nowhere\n", "f.yml:1:4: alias \"*nowhere\" names no anchor before it");
    assert_fails(f, "a: &x\n  b: *x\n",
                 "f.yml:2:6: alias \"*x\" stands inside what it names (line 1)");
    assert_fails(f, "a: &x 1\n--- *x\n", "f.yml:2:5: alias \"*x\" names no anchor before it");
}

static void test_merge_keys(void **state)
{
    fixture *f = *state;
    sx_yaml_node *doc = top(f, "base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\n"
                               "one:\n  <<: *b\n  y: own\n"
                               "two:\n  a: 0\n  <<: [*b, *m]\n"
                               "quoted:\n  \"<<\": 5\n");
    const sx_yaml_node *one = sx_yaml_get(doc, SX_STR("one"));
    assert_int_equal(one->count, 2);
    assert_text(one->pairs[0].key, "y");
    assert_text(sx_yaml_get(one, SX_STR("y")), "own");
    assert_text(sx_yaml_get(one, SX_STR("x")), "1");
    const sx_yaml_node *two = sx_yaml_get(doc, SX_STR("two"));
    assert_int_equal(two->count, 4);
    assert_text(sx_yaml_get(two, SX_STR("y")), "2");
    assert_text(sx_yaml_get(two, SX_STR("z")), "4");
    assert_text(sx_yaml_get(sx_yaml_get(doc, SX_STR("quoted")), SX_STR("<<")), "5");
    assert_fails(f, "a:\n  <<: 1\n", "f.yml:2:3: \"<<\" merges a mapping or a list of mappings");
    assert_fails(f, "a:\n  <<: [{b: 1}, 2]\n",
                 "f.yml:2:3: \"<<\" merges a mapping or a list of mappings");
}

static void test_a_key_given_twice_is_an_error(void **state)
{
    fixture *f = *state;
    assert_fails(f, "a: 1\nb: 2\nc: 3\nb: 4\n",
                 "f.yml:4:1: key \"b\" is given twice in one mapping, first on line 2");
    assert_fails(f, "b: 1\n\"b\": 2\nb: 3\n",
                 "f.yml:2:1: key \"b\" is given twice in one mapping, first on line 1");
    assert_fails(f, "? [a]\n: 1\n", "f.yml:1:3: a key must be a single value, not a list");
    assert_fails(f, "? {a: b}\n: 1\n", "f.yml:1:3: a key must be a single value, not a mapping");
}

static void test_large_mappings_are_searched_by_halving(void **state)
{
    fixture *f = *state;
    sx_buf text;
    sx_buf_init(&text, 0);
    for (int i = 0; i < 500; i++)
        sx_buf_printf(&text, "key%d: %d\n", i * 7919 % 500, i);
    sx_buf_str(&text, SX_STR("<<: {key3: merged, other: merged}\n"));
    sx_yaml_node *doc;
    sx_buf_byte(&text, '\0');
    doc = top(f, text.data);
    assert_int_equal(doc->count, 501);
    assert_non_null(doc->sorted);
    for (int i = 0; i < 500; i++) {
        char key[16], value[16];
        snprintf(key, sizeof(key), "key%d", i * 7919 % 500);
        snprintf(value, sizeof(value), "%d", i);
        assert_text(sx_yaml_get(doc, sx_str_z(key)), value);
    }
    assert_text(sx_yaml_get(doc, SX_STR("other")), "merged");
    assert_null(sx_yaml_get(doc, SX_STR("key500")));
    sx_buf_done(&text);
}

static void test_limits(void **state)
{
    fixture *f = *state;
    /* A billion laughs, and merges that double. */
    static const char LAUGHS[] =
        "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
        "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c]\n"
        "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e]\n"
        "g: [*f,*f]\n";
    assert_int_equal(parse(f, LAUGHS), SX_ELIMIT);
    assert_non_null(strstr(f->err.message, "f.yml:7:"));
    assert_non_null(strstr(f->err.message, "nodes_max"));

    sx_yaml_options small = {.bytes_max = 30, .nodes_max = 6, .depth_max = 2, .anchors_max = 1};
    static const struct {
        const char *text, *words; /* words NULL: fits */
    } CASES[] = {
        {"[1, 2, 3, 4, 5]", NULL},
        {"[1, 2, 3, 4, 5, 6]", "f.yml:1:17: more than 6 values"},
        {"[[1]]", NULL},
        {"[[[1]]]", "f.yml:1:3: nested deeper than 2 levels (depth_max)"},
        {"[&a 1, *a]", NULL},
        {"[&a 1, &b 1]", "f.yml:1:8: more than 1 anchors (anchors_max)"},
        {"0123456789012345678901234567890", "f.yml: 31 bytes are more than the limit of 30"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_status status = sx_yaml_parse(sx_str_z(CASES[i].text), SX_STR("f.yml"), &small,
                                         &f->arena, &f->file, &f->err);
        assert_int_equal(status, CASES[i].words ? SX_ELIMIT : SX_OK);
        if (CASES[i].words && !strstr(f->err.message, CASES[i].words))
            fail_msg("%s", f->err.message);
    }
}

static void test_merges_in_a_chain_count_once_each(void **state)
{
    fixture *f = *state;
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_buf_str(&text, SX_STR("m0: &m0 {a: 1, b: 2, c: 3}\n"));
    for (int i = 1; i < 60; i++)
        sx_buf_printf(&text, "m%d: &m%d {<<: *m%d, k%d: 0}\n", i, i, i - 1, i);
    sx_buf_byte(&text, '\0');
    sx_yaml_node *doc = top(f, text.data);
    assert_int_equal(sx_yaml_get(doc, SX_STR("m59"))->count, 62);
    sx_buf_done(&text);
}

static void test_what_plain_scalars_are(void **state)
{
    static const struct {
        const char *text;
        sx_yaml_type type;
    } CASES[] = {
        {"~", SX_YAML_TYPE_NULL},        {"null", SX_YAML_TYPE_NULL},
        {"true", SX_YAML_TYPE_BOOL},     {"FALSE", SX_YAML_TYPE_BOOL},
        {"yes", SX_YAML_TYPE_STRING},    {"12", SX_YAML_TYPE_INT},
        {"-12", SX_YAML_TYPE_INT},       {"0x1F", SX_YAML_TYPE_INT},
        {"0o17", SX_YAML_TYPE_INT},      {"0x", SX_YAML_TYPE_STRING},
        {"-", SX_YAML_TYPE_STRING},      {"1.5", SX_YAML_TYPE_FLOAT},
        {".5", SX_YAML_TYPE_FLOAT},      {"1.", SX_YAML_TYPE_FLOAT},
        {"1e3", SX_YAML_TYPE_FLOAT},     {"-1.5E-3", SX_YAML_TYPE_FLOAT},
        {".", SX_YAML_TYPE_STRING},      {"1e", SX_YAML_TYPE_STRING},
        {".inf", SX_YAML_TYPE_FLOAT},    {"-.INF", SX_YAML_TYPE_FLOAT},
        {".nan", SX_YAML_TYPE_FLOAT},    {"5m", SX_YAML_TYPE_STRING},
        {"'12'", SX_YAML_TYPE_STRING},   {"\"\"", SX_YAML_TYPE_STRING},
        {"!!int '3'", SX_YAML_TYPE_INT}, {"[]", SX_YAML_TYPE_NONE},
        {"1.2.3", SX_YAML_TYPE_STRING},  {"!x true", SX_YAML_TYPE_STRING},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        const sx_yaml_node *doc = top(*state, CASES[i].text);
        /* "-" alone would be a list */
        if (CASES[i].text[0] == '-' && CASES[i].text[1] == '\0')
            continue;
        if (sx_yaml_type_of(doc) != CASES[i].type)
            fail_msg("'%s' is of type %d", CASES[i].text, sx_yaml_type_of(doc));
    }
}

static void test_typed_reads(void **state)
{
    fixture *f = *state;
    static const char *const TRUE[] = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "ON"};
    static const char *const FALSE[] = {"false", "False", "no", "NO", "off", "Off"};
    bool b;
    for (size_t i = 0; i < SX_COUNT_OF(TRUE); i++)
        assert_true(sx_yaml_bool(top(f, TRUE[i]), &b, &f->err) == SX_OK && b);
    for (size_t i = 0; i < SX_COUNT_OF(FALSE); i++)
        assert_true(sx_yaml_bool(top(f, FALSE[i]), &b, &f->err) == SX_OK && !b);
    sx_yaml_node *doc = top(f, "a:\n  b: [y, \"true\"]\n  n: 99999999999999999999\n  m: 70000\n"
                               "  t: null\n  h: -0x10\n  u: 1_000\n  e: 07\n");
    const sx_yaml_node *a = sx_yaml_get(doc, SX_STR("a"));
    const sx_yaml_node *list = sx_yaml_get(a, SX_STR("b"));
    assert_int_equal(sx_yaml_bool(list->items[0], &b, &f->err), SX_EFORMAT);
    assert_string_equal(f->err.message,
                        "f.yml:2:7: key \"a.b[0]\": expected true or false, found \"y\"");
    assert_int_equal(sx_yaml_bool(list->items[1], &b, &f->err), SX_EFORMAT);
    assert_string_equal(
        f->err.message,
        "f.yml:2:10: key \"a.b[1]\": expected true or false, found the text \"true\"");
    assert_int_equal(sx_yaml_bool(list, &b, &f->err), SX_EFORMAT);
    assert_string_equal(f->err.message,
                        "f.yml:2:6: key \"a.b\": expected a single value, found a list");
    int64_t n = 5;
    assert_int_equal(sx_yaml_i64(sx_yaml_get(a, SX_STR("n")), 0, 9, &n, &f->err), SX_EFORMAT);
    assert_int_equal(sx_yaml_i64(sx_yaml_get(a, SX_STR("m")), 1, 65535, &n, &f->err), SX_EINVAL);
    assert_string_equal(f->err.message, "f.yml:4:6: key \"a.m\": 70000 is not from 1 to 65535");
    assert_int_equal(n, 5);
    assert_int_equal(sx_yaml_i64(sx_yaml_get(a, SX_STR("h")), -99, 99, &n, &f->err), SX_OK);
    assert_int_equal(n, -16);
    assert_int_equal(sx_yaml_i64(sx_yaml_get(a, SX_STR("u")), 0, 9999, &n, &f->err), SX_OK);
    assert_int_equal(n, 1000);
    sx_str s;
    assert_int_equal(sx_yaml_str(sx_yaml_get(a, SX_STR("t")), &s, &f->err), SX_OK);
    assert_int_equal(s.len, 0);
    assert_int_equal(sx_yaml_str(sx_yaml_get(a, SX_STR("e")), &s, &f->err), SX_OK);
    assert_true(sx_str_eq(s, SX_STR("07")));
    assert_int_equal(sx_yaml_expect(a, SX_YAML_SEQUENCE, &f->err), SX_EFORMAT);
    assert_string_equal(f->err.message, "f.yml:2:3: key \"a\": expected a list, found a mapping");
    assert_int_equal(sx_yaml_fail(doc, SX_EINVAL, &f->err, "no %s", "rules"), SX_EINVAL);
    assert_string_equal(f->err.message, "f.yml:1:1: no rules");
}

static void test_unknown_keys_get_a_suggestion(void **state)
{
    fixture *f = *state;
    static const sx_str KNOWN[] = {SX_STR_INIT("scrape_interval"), SX_STR_INIT("job_name"),
                                   SX_STR_INIT("scrape_timeout"), SX_STR_INIT("tls")};
    sx_yaml_node *doc = top(f, "jobs:\n- job_name: a\n  scrap_interval: 5s\n  zebra: 1\n");
    const sx_yaml_node *job = sx_yaml_get(doc, SX_STR("jobs"))->items[0];
    assert_int_equal(sx_yaml_check_keys(job, KNOWN, SX_COUNT_OF(KNOWN), &f->err), SX_EFORMAT);
    assert_string_equal(f->err.message, "f.yml:3:3: unknown key \"scrap_interval\" in \"jobs[0]\"; "
                                        "did you mean \"scrape_interval\"?");
    size_t at = 0;
    assert_text(sx_yaml_unknown_key(job, KNOWN, SX_COUNT_OF(KNOWN), &at), "scrap_interval");
    assert_text(sx_yaml_unknown_key(job, KNOWN, SX_COUNT_OF(KNOWN), &at), "zebra");
    assert_null(sx_yaml_unknown_key(job, KNOWN, SX_COUNT_OF(KNOWN), &at));
    doc = top(f, "zebra: 1\n");
    assert_int_equal(sx_yaml_check_keys(doc, KNOWN, SX_COUNT_OF(KNOWN), &f->err), SX_EFORMAT);
    assert_string_equal(f->err.message, "f.yml:1:1: unknown key \"zebra\"");
    assert_int_equal(sx_yaml_check_keys(top(f, "tls: {}\n"), KNOWN, 4, &f->err), SX_OK);

    assert_ptr_equal(sx_nearest_word(SX_STR("jobname"), KNOWN, 4), &KNOWN[1]);
    assert_ptr_equal(sx_nearest_word(SX_STR("JOB_NAEM"), KNOWN, 4), &KNOWN[1]);
    assert_ptr_equal(sx_nearest_word(SX_STR("tsl"), KNOWN, 4), &KNOWN[3]);
    assert_null(sx_nearest_word(SX_STR("x"), KNOWN, 4));
    assert_null(sx_nearest_word(SX_STR(""), KNOWN, 4));
}

static void test_broken_files_name_the_place(void **state)
{
    fixture *f = *state;
    static const char *const BROKEN[] = {
        "a: [1, 2\nb: 3\n", "a: b: c\n",       "\tx: 1\n", "a: 'open\n",
        "- a\nb\n",         "{a: 1]\n",        "a: @x\n",  "%YAML 3.0\n---\na\n",
        "&x &y a\n",        "a: !<\n",         "\x01\n",   "a: \xff\n",
        "a: \"\\z\"\n",     "--- [a]\n%TAG\n", "*",        "&",
        "? a\n? b\n: [",
    };
    for (size_t i = 0; i < SX_COUNT_OF(BROKEN); i++) {
        f->err.message[0] = '\0';
        if (parse(f, BROKEN[i]) != SX_EFORMAT)
            fail_msg("'%s' was taken", BROKEN[i]);
        if (!sx_str_starts(sx_str_z(f->err.message), SX_STR("f.yml:")))
            fail_msg("%s", f->err.message);
    }
    parse(f, "a:\n  b: 'open\n");
    assert_non_null(strstr(f->err.message, "f.yml:3:1: "));
    assert_non_null(strstr(f->err.message, "begins on line 2"));
}

static const char WHOLE[] =
    "global: &g\n  scrape_interval: 15s # often\n  labels: {a: 'b', \"c\": d}\n"
    "jobs:\n- <<: *g\n  text: |\n    two\n    lines\n  more: >-\n    folded\n"
    "- !x [1, 2.5, ~, yes]\n---\nsecond: *g\n";

static void test_cut_anywhere_is_survived(void **state)
{
    fixture *f = *state;
    for (size_t len = 0; len < sizeof(WHOLE); len++) {
        char *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, WHOLE, len);
        f->err.message[0] = '\0';
        sx_status status =
            sx_yaml_parse(sx_str_of(copy, len), SX_STR("f"), NULL, &f->arena, &f->file, &f->err);
        assert_true(status == SX_OK || f->err.message[0]);
        sx_arena_reset(&f->arena);
        free(copy);
    }
}

static void test_every_failing_allocation_is_reported(void **state)
{
    fixture *f = *state;
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_buf_str(&text, SX_STR("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [[[[[[[[[1]]]]]]]]]\nd: {"));
    for (int i = 0; i < 300; i++)
        sx_buf_printf(&text, "key%d: !t 'a value that is longer', ", i);
    sx_buf_str(&text, SX_STR("<<: *a}\n"));
    for (int64_t n = 1;; n++) {
        sx_arena_done(&f->arena);
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status status =
            sx_yaml_parse(sx_buf_view(&text), SX_STR("f.yml"), NULL, &f->arena, &f->file, &f->err);
        int64_t calls = sx_fault_alloc_calls();
        sx_arena_done(&f->arena);
        int64_t held = sx_fault_alloc_held();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
        assert_int_equal(status, calls < n ? SX_OK : SX_ENOMEM);
        if (calls < n)
            break;
    }
    sx_buf_done(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_node_knows_its_place),
        TEST(test_documents),
        TEST(test_styles_and_tags),
        TEST(test_a_tab_is_called_a_tab),
        TEST(test_aliases_share_their_node),
        TEST(test_merge_keys),
        TEST(test_a_key_given_twice_is_an_error),
        TEST(test_large_mappings_are_searched_by_halving),
        TEST(test_limits),
        TEST(test_merges_in_a_chain_count_once_each),
        TEST(test_what_plain_scalars_are),
        TEST(test_typed_reads),
        TEST(test_unknown_keys_get_a_suggestion),
        TEST(test_broken_files_name_the_place),
        TEST(test_cut_anywhere_is_survived),
        TEST(test_every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
