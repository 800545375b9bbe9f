/* test_template.c - Go's text/template: what a run of Go printed, ours prints. */
#include "tests/unit/base/cmocka_all.h"

#include <stdio.h>

#include <string.h>

#include <sextant/mem.h>

#include "base/fault.h"
#include "codec/template.h"
#include "tests/unit/codec/template_cases.h"

/* --- The data of the cases. */

typedef struct item {
    const char *key;
    sx_tvalue value;
} item;

typedef struct items {
    const item *items;
    int64_t count;
} items;

static int64_t items_count(const void *object)
{
    return ((const items *)object)->count;
}

static sx_status items_at(const void *object, int64_t i, sx_arena *arena, sx_tvalue *key,
                          sx_tvalue *value, sx_error *err)
{
    (void)arena, (void)err;
    const item *it = &((const items *)object)->items[i];
    *key = it->key ? (sx_tvalue){.kind = SX_TVALUE_STRING, .string = sx_str_z(it->key)}
                   : (sx_tvalue){.kind = SX_TVALUE_INT, .integer = i};
    *value = it->value;
    return SX_OK;
}

static sx_status items_get(const void *object, sx_str name, sx_arena *arena, sx_tvalue *out,
                           sx_error *err)
{
    (void)arena;
    const items *all = object;
    for (int64_t i = 0; i < all->count; i++) {
        if (sx_str_eq(sx_str_z(all->items[i].key), name)) {
            *out = all->items[i].value;
            return SX_OK;
        }
    }
    return sx_fail(err, SX_ENOTFOUND, "no key");
}

static const sx_tobject_ops MAP_OPS = {.count = items_count, .at = items_at, .get = items_get};
static const sx_tobject_ops LIST_OPS = {.count = items_count, .at = items_at};

#define TEXT(t)    {.kind = SX_TVALUE_STRING, .string = SX_STR_INIT(t)}
#define MAP_OF(m)  {.kind = SX_TVALUE_MAP, .object = &(m), .ops = &MAP_OPS}
#define LIST_OF(l) {.kind = SX_TVALUE_LIST, .object = &(l), .ops = &LIST_OPS}

static const item LIST_ITEMS[] = {{NULL, TEXT("a")}, {NULL, TEXT("b")}, {NULL, TEXT("c")}};
static const items LIST = {LIST_ITEMS, 3}, NONE = {LIST_ITEMS, 0};
static const item M_ITEMS[] = {{"x", TEXT("1")}, {"y", TEXT("2")}};
static const items M = {M_ITEMS, 2};
static const item IN_ITEMS[] = {{"side", TEXT("found")}};
static const items IN = {IN_ITEMS, 1};
static const item DEEP_ITEMS[] = {{"in", MAP_OF(IN)}};
static const items DEEP = {DEEP_ITEMS, 1};
static const item DATA_ITEMS[] = {
    {"s", TEXT("text")},
    {"n", {.kind = SX_TVALUE_INT, .integer = 42}},
    {"f", {.kind = SX_TVALUE_FLOAT, .number = 1.5}},
    {"t", {.kind = SX_TVALUE_BOOL, .boolean = true}},
    {"e", TEXT("")},
    {"list", LIST_OF(LIST)},
    {"none", LIST_OF(NONE)},
    {"m", MAP_OF(M)},
    {"deep", MAP_OF(DEEP)},
    {"big", {.kind = SX_TVALUE_FLOAT, .number = 1234567}},
};
static const items DATA = {DATA_ITEMS, SX_COUNT_OF(DATA_ITEMS)};
static const sx_tvalue DOT = MAP_OF(DATA);

/* Parses and runs; the error of parsing, with "!" before it, of running, with "?", or the output. */
static void run(sx_str text, const sx_template_options *options, sx_buf *out)
{
    sx_template *t;
    sx_arena arena;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    if (sx_template_new(SX_STR("c"), text, options, &t, &err) != SX_OK) {
        sx_buf_clear(out);
        sx_buf_printf(out, "!%s", err.message);
    } else {
        if (sx_template_run(t, (sx_str){0}, &DOT, NULL, &arena, out, &err) != SX_OK) {
            sx_buf_clear(out);
            sx_buf_printf(out, "?%s", err.message);
        }
        sx_template_free(t);
    }
    sx_arena_done(&arena);
}

static void test_go_prints_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(TEMPLATE_CASES); i++) {
        sx_buf out;
        sx_buf_init(&out, 0);
        run(sx_str_z(TEMPLATE_CASES[i].text), NULL, &out);
        sx_buf_byte(&out, 0);
        if (strcmp(out.data, TEMPLATE_CASES[i].want) != 0)
            fail_msg("%s\n  got  %s\n  want %s", TEMPLATE_CASES[i].text, out.data,
                     TEMPLATE_CASES[i].want);
        sx_buf_done(&out);
    }
}

static void test_truncated_templates_end_in_a_word(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(TEMPLATE_CASES); i++) {
        size_t whole = strlen(TEMPLATE_CASES[i].text);
        for (size_t len = 0; len < whole; len++) {
            char *part = test_malloc(len ? len : 1);
            memcpy(part, TEMPLATE_CASES[i].text, len);
            sx_buf out;
            sx_buf_init(&out, 0);
            run(sx_str_of(part, len), NULL, &out);
            assert_false(out.failed);
            sx_buf_done(&out);
            test_free(part);
        }
    }
}

static void test_every_failing_allocation_is_an_error(void **state)
{
    (void)state;
    sx_str text = SX_STR("{{define \"t\"}}{{printf \"%s %v\" .s .m | html}}{{end}}"
                         "{{range $i, $v := .list}}{{template \"t\" $}}{{index $.list 1}}{{end}}");
    for (int64_t n = 1;; n++) {
        sx_template *t = NULL;
        sx_arena arena;
        sx_buf out;
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_arena_init(&arena, 0, 0);
        sx_buf_init(&out, 0);
        sx_status st = sx_template_new(SX_STR("c"), text, NULL, &t, NULL);
        if (st == SX_OK)
            st = sx_template_run(t, (sx_str){0}, &DOT, NULL, &arena, &out, NULL);
        bool through = sx_fault_alloc_calls() < n;
        sx_template_free(t);
        sx_buf_done(&out);
        sx_arena_done(&arena);
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(st == SX_OK || st == SX_ENOMEM || st == SX_EINVAL);
        if (through) {
            assert_int_equal(st, SX_OK);
            break;
        }
    }
}

static void expect(const char *text, const sx_template_options *options, const char *want)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    run(sx_str_z(text), options, &out);
    sx_buf_byte(&out, 0);
    assert_string_equal(out.data, want);
    sx_buf_done(&out);
}

static void test_endless_templates_are_ended(void **state)
{
    (void)state;
    expect("{{define \"t\"}}{{template \"t\"}}{{end}}{{template \"t\"}}",
           &(sx_template_options){.depth_max = 20},
           "?template: c:1:25: executing \"t\" at <{{template \"t\"}}>: exceeded maximum template "
           "depth (20)");
    expect("{{range 1000000}}{{range 1000000}}{{end}}{{end}}",
           &(sx_template_options){.steps_max = 1000},
           "?template: c:1:19: executing \"c\" at <range>: more than 1000 steps");
    expect("{{range 100}}aaaaaaaaaa{{end}}", &(sx_template_options){.output_bytes_max = 15},
           "?template: c:1:13: executing \"c\" at <aaaaaaaaaa>: output of more than 15 bytes");
    expect("0123456789", &(sx_template_options){.text_bytes_max = 9},
           "!template: c: text of more than 9 bytes");
    char deep[4096];
    size_t len = 0;
    for (int i = 0; i < 300; i++)
        len += (size_t)snprintf(deep + len, sizeof deep - len, "{{if 1}}");
    expect(deep, NULL, "!template: c:1: nested too deeply");
}

static void test_missing_keys_do_as_told(void **state)
{
    (void)state;
    expect("[{{.gone}}]", &(sx_template_options){.missing_key_zero = true}, "[]");
    expect("{{.gone}}", &(sx_template_options){.missing_key_error = true},
           "?template: c:1:2: executing \"c\" at <.gone>: map has no entry for key \"gone\"");
}

static sx_status call_upper(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                            sx_tvalue *out, sx_error *err)
{
    (void)ctx, (void)count;
    if (args[0].kind != SX_TVALUE_STRING)
        return sx_fail(err, SX_EINVAL, "no text");
    char *text = sx_arena_alloc(arena, args[0].string.len);
    for (size_t i = 0; i < args[0].string.len; i++)
        text[i] = (char)(args[0].string.data[i] & ~0x20);
    *out = (sx_tvalue){.kind = SX_TVALUE_STRING, .string = sx_str_of(text, args[0].string.len)};
    return SX_OK;
}

static void test_callers_have_functions_and_delimiters_of_their_own(void **state)
{
    (void)state;
    static const sx_tfunc FUNCS[] = {{"upper", 1, 1, call_upper}};
    sx_template_options o = {.funcs = FUNCS, .func_count = 1, .left = "<%", .right = "%>"};
    expect("<% .s | upper %> {{.s}}", &o, "TEXT {{.s}}");
    expect("<% upper 1 %>", &o,
           "?template: c:1:3: executing \"c\" at <upper 1>: error calling upper: no text");
}

static void test_texts_add_definitions_to_a_set(void **state)
{
    (void)state;
    sx_template *t;
    sx_arena arena;
    sx_buf out;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&out, 0);
    assert_int_equal(sx_template_new(SX_STR("a"),
                                     SX_STR("{{define \"x\"}}1{{end}}{{template \"x\"}}"), NULL, &t,
                                     NULL),
                     SX_OK);
    assert_int_equal(sx_template_add(t, SX_STR("b"), SX_STR("{{define \"x\"}}2{{end}}"), NULL),
                     SX_OK);
    assert_int_equal(sx_template_run(t, SX_STR("a"), NULL, NULL, &arena, &out, NULL), SX_OK);
    assert_true(sx_str_eq(sx_buf_view(&out), SX_STR("2")));
    assert_int_equal(sx_template_count(t), 3);
    assert_true(sx_str_eq(sx_template_name(t, 0), SX_STR("x")));
    assert_int_equal(sx_template_run(t, SX_STR("zz"), NULL, NULL, &arena, &out, NULL), SX_EINVAL);
    sx_template_free(t);
    sx_buf_done(&out);
    sx_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_go_prints_the_same),
        cmocka_unit_test(test_truncated_templates_end_in_a_word),
        cmocka_unit_test(test_every_failing_allocation_is_an_error),
        cmocka_unit_test(test_endless_templates_are_ended),
        cmocka_unit_test(test_missing_keys_do_as_told),
        cmocka_unit_test(test_callers_have_functions_and_delimiters_of_their_own),
        cmocka_unit_test(test_texts_add_definitions_to_a_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
