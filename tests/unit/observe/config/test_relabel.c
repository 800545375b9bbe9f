/* Relabelling. */
#include "tests/unit/base/cmocka_all.h"

#include "base/fault.h"
#include "observe/config/relabel.h"

#define L(n, v) {SX_STR_INIT(n), SX_STR_INIT(v)}

enum { RULES_MAX = 4, SOURCES_MAX = 3 };

/* One case: rules over a set of labels, and what must come out of it. `want` NULL: dropped. */
typedef struct relabel_case {
    prom_relabel rules[RULES_MAX];
    const char *sources[RULES_MAX][SOURCES_MAX];
    const char *want;
} relabel_case;

static const tsdb_label GIVEN[] = {L("__meta_a", "one"), L("__meta_b", "Two \u00c9"),
                                   L("addr", "host:90"), L("empty_not", "x")};

#define RULE(what, re, repl, to)                                                                   \
    {.action = PROM_RELABEL_##what,                                                                \
     .separator = SX_STR_INIT(";"),                                                                \
     .regex_text = SX_STR_INIT(re),                                                                \
     .replacement = SX_STR_INIT(repl),                                                             \
     .target = SX_STR_INIT(to)}

static relabel_case CASES[] = {
    {{RULE(REPLACE, "(.*)", "$1", "x")},
     {{"addr"}},
     "{__meta_a=\"one\", __meta_b=\"Two \u00c9\", addr=\"host:90\", empty_not=\"x\", x=\"host:90\"}"},
    {{RULE(REPLACE, "([^:]+):(\\d+);(.*)", "${1}-$3:${2}0", "addr")},
     {{"addr", "__meta_a"}},
     "{__meta_a=\"one\", __meta_b=\"Two \u00c9\", addr=\"host-one:900\", empty_not=\"x\"}"},
    {{RULE(REPLACE, "(.*)", "", "addr")},
     {{NULL}},
     "{__meta_a=\"one\", __meta_b=\"Two \u00c9\", empty_not=\"x\"}"},
    {{RULE(REPLACE, "nothing", "y", "addr")},
     {{"addr"}},
     "{__meta_a=\"one\", __meta_b=\"Two \u00c9\", addr=\"host:90\", empty_not=\"x\"}"},
    {{RULE(REPLACE, "(o)ne", "v", "to_${1}")},
     {{"__meta_a"}},
     "{__meta_a=\"one\", __meta_b=\"Two \u00c9\", addr=\"host:90\", empty_not=\"x\", to_o=\"v\"}"},
    {{RULE(KEEP, "on.", "$1", "")},
     {{"__meta_a"}},
     "{__meta_a=\"one\", __meta_b=\"Two \u00c9\", addr=\"host:90\", empty_not=\"x\"}"},
    {{RULE(KEEP, "on", "$1", "")}, {{"__meta_a"}}, NULL},
    {{RULE(DROP, "on.", "$1", "")}, {{"__meta_a"}}, NULL},
    {{RULE(DROP, "", "$1", "")}, {{"missing"}}, NULL},
    {{RULE(KEEPEQUAL, "(.*)", "$1", "addr")}, {{"__meta_a"}}, NULL},
    {{RULE(DROPEQUAL, "(.*)", "$1", "none")}, {{"missing"}}, NULL},
    {{RULE(LABELMAP, "__meta_(.+)", "$1", "")},
     {{NULL}},
     "{__meta_a=\"one\", __meta_b=\"Two \u00c9\", a=\"one\", addr=\"host:90\", b=\"Two \u00c9\", "
     "empty_not=\"x\"}"},
    {{RULE(LABELDROP, "__meta_.*|addr", "$1", "")}, {{NULL}}, "{empty_not=\"x\"}"},
    {{RULE(LABELKEEP, "addr", "$1", "")}, {{NULL}}, "{addr=\"host:90\"}"},
    {{RULE(LOWERCASE, "(.*)", "$1", "__meta_b"), RULE(UPPERCASE, "(.*)", "$1", "addr")},
     {{"__meta_b"}, {"__meta_b"}},
     "{__meta_a=\"one\", __meta_b=\"two \u00e9\", addr=\"TWO \u00c9\", empty_not=\"x\"}"},
    /* The value replaced stands in another rule's source. */
    {{RULE(REPLACE, "(.*)", "$1", "t"), RULE(KEEP, "one;Two.*", "$1", "")},
     {{"__meta_a", "__meta_b"}, {"t"}},
     "{__meta_a=\"one\", __meta_b=\"Two \u00c9\", addr=\"host:90\", empty_not=\"x\", "
     "t=\"one;Two \u00c9\"}"},
};

static sx_status run(relabel_case *c, sx_arena *arena, sx_buf *out, bool *keep)
{
    sx_str sources[RULES_MAX][SOURCES_MAX];
    size_t count = 0;
    sx_status st = SX_OK;
    prom_relabel rules[RULES_MAX];
    for (; st == SX_OK && count < RULES_MAX && c->rules[count].regex_text.data; count++) {
        rules[count] = c->rules[count];
        uint32_t n = 0;
        for (; n < SOURCES_MAX && c->sources[count][n]; n++)
            sources[count][n] = sx_str_z(c->sources[count][n]);
        rules[count].source = sources[count];
        rules[count].source_count = n;
        st = prom_relabel_init(&rules[count], NULL);
    }
    tsdb_labels_builder b;
    tsdb_labels_builder_init(&b);
    if (st == SX_OK)
        st = tsdb_labels_builder_reset(&b, (tsdb_labels){GIVEN, SX_COUNT_OF(GIVEN)}, NULL);
    if (st == SX_OK)
        st = prom_relabel_apply(rules, count, &b, arena, keep, NULL);
    if (st == SX_OK)
        st = tsdb_labels_print(tsdb_labels_builder_take(&b), out, NULL);
    tsdb_labels_builder_done(&b);
    for (size_t i = 0; i < count; i++)
        prom_relabel_done(&rules[i]);
    return st;
}

static void test_actions_do_what_prometheus_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_arena arena;
        sx_buf out;
        bool keep;
        sx_arena_init(&arena, 0, 0);
        sx_buf_init(&out, 0);
        assert_int_equal(run(&CASES[i], &arena, &out, &keep), SX_OK);
        assert_int_equal(keep, CASES[i].want != NULL);
        sx_buf_byte(&out, 0);
        if (CASES[i].want)
            assert_string_equal(out.data, CASES[i].want);
        sx_buf_done(&out);
        sx_arena_done(&arena);
    }
}

static void test_every_failing_allocation_is_an_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        for (int64_t n = 1;; n++) {
            sx_arena arena;
            sx_buf out;
            bool keep;
            sx_fault_alloc_set((sx_fault_alloc){.nth = n});
            sx_arena_init(&arena, 0, 0);
            sx_buf_init(&out, 0);
            sx_status st = run(&CASES[i], &arena, &out, &keep);
            sx_buf_done(&out);
            sx_arena_done(&arena);
            bool through = sx_fault_alloc_calls() < n;
            sx_fault_alloc_set((sx_fault_alloc){0});
            assert_true(st == SX_OK || st == SX_ENOMEM);
            if (through)
                break;
        }
    }
}

/* The number is Python's hashlib's. */
static void test_hashmod_is_the_end_of_the_md5(void **state)
{
    (void)state;
    relabel_case c = {{RULE(HASHMOD, "(.*)", "$1", "h")}, {{"addr"}}, ""};
    c.rules[0].modulus = 1000;
    sx_arena arena;
    sx_buf out;
    bool keep;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&out, 0);
    assert_int_equal(run(&c, &arena, &out, &keep), SX_OK);

    sx_buf_byte(&out, 0);
    assert_non_null(strstr(out.data, "h=\"835\""));
    sx_buf_done(&out);
    sx_arena_done(&arena);
}

static void test_rules_that_make_no_sense_are_refused_in_prometheus_words(void **state)
{
    (void)state;
    static const struct {
        prom_relabel rule;
        bool legacy;
        const char *words;
    } BAD[] = {
        {RULE(HASHMOD, "(.*)", "$1", "x"), false,
         "relabel configuration for hashmod requires non-zero modulus"},
        {RULE(REPLACE, "(.*)", "$1", ""), false,
         "relabel configuration for replace action requires 'target_label' value"},
        {RULE(REPLACE, "(.*)", "$1", "a-b"), true,
         "\"a-b\" is invalid 'target_label' for replace action"},
        {RULE(REPLACE, "(.*)", "$1", "a${"), true,
         "\"a${\" is invalid 'target_label' for replace action"},
        {RULE(LOWERCASE, "(.*)", "$2", "a"), false,
         "'replacement' can not be set for lowercase action"},
        {RULE(LABELMAP, "(.*)", "1$1", ""), true,
         "\"1$1\" is invalid 'replacement' for labelmap action"},
        {RULE(KEEPEQUAL, ".*", "$1", "a"), false,
         "keepequal action requires only 'source_labels' and `target_label`, and no other fields"},
        {RULE(LABELDROP, ".*", "$1", "a"), false,
         "labeldrop action requires only 'regex', and no other fields"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++) {
        prom_relabel r = BAD[i].rule;
        sx_error err;
        r.legacy_names = BAD[i].legacy;
        assert_int_equal(prom_relabel_init(&r, &err), SX_EINVAL);
        assert_string_equal(err.message, BAD[i].words);
        prom_relabel_done(&r);
    }
    prom_relabel good = RULE(REPLACE, "(.*)", "$1", "a${1}b$2");
    good.legacy_names = true;
    assert_int_equal(prom_relabel_init(&good, NULL), SX_OK);
    prom_relabel_done(&good);
    prom_relabel broken = RULE(KEEP, "(", "$1", "");
    assert_int_equal(prom_relabel_init(&broken, NULL), SX_EFORMAT);
}

static void test_actions_have_names(void **state)
{
    (void)state;
    assert_int_equal(prom_relabel_action_find(SX_STR("DropEqual")), PROM_RELABEL_DROPEQUAL);
    assert_int_equal(prom_relabel_action_find(SX_STR("nonsense")), PROM_RELABEL_ACTIONS);
    assert_true(sx_str_eq(prom_relabel_action_name(PROM_RELABEL_HASHMOD), SX_STR("hashmod")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions_do_what_prometheus_says),
        cmocka_unit_test(test_every_failing_allocation_is_an_error),
        cmocka_unit_test(test_hashmod_is_the_end_of_the_md5),
        cmocka_unit_test(test_rules_that_make_no_sense_are_refused_in_prometheus_words),
        cmocka_unit_test(test_actions_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
