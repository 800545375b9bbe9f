/* test_filter.c - what a filter means, corner by corner. */
#include "tests/unit/base/cmocka_all.h"

#include <math.h>

#include "observe/traces/filter.h"
#include "tests/unit/observe/traces/make_spans.h"

static const span_attr SPAN_ATTRS[] = {
    {"http.method", 11, {.data = "GET", .len = 3, .type = SPAN_STR}},
    {"size", 4, {.i = 72, .type = SPAN_INT}},
    {"ratio", 5, {.d = 72.5, .type = SPAN_DOUBLE}},
    {"ok", 2, {.i = 1, .type = SPAN_BOOL}},
    {"nothing", 7, {.type = SPAN_EMPTY}},
    {"nan", 3, {.d = NAN, .type = SPAN_DOUBLE}},
    {"region", 6, {.data = "span", .len = 4, .type = SPAN_STR}},
    {"twice", 5, {.data = "a", .len = 1, .type = SPAN_STR}},
    {"twice", 5, {.data = "b", .len = 1, .type = SPAN_STR}},
    {"big", 3, {.i = (INT64_C(1) << 53) + 1, .type = SPAN_INT}},
};
static const span_attr RESOURCE_ATTRS[] = {
    {"region", 6, {.data = "resource", .len = 8, .type = SPAN_STR}},
    {"zone", 4, {.data = "b", .len = 1, .type = SPAN_STR}},
};
static const span_attr EVENT_ATTRS[] = {{"code", 4, {.i = 7, .type = SPAN_INT}}};
static const span_event EVENTS[] = {
    {1500, {"start", 5}, {0}},
    {900, {"early", 5}, {EVENT_ATTRS, 1, 0}},
};
static const span_link LINKS[] = {{.trace_id = {0xab}, .span_id = {1, 2}}};
static const span_resource RESOURCE = {{RESOURCE_ATTRS, 2, 0}, {0}, {"shop", 4}};
static const span_scope SCOPE = {.name = {"lib", 3}, .version = {"2", 1}};
static const span SPAN = {
    .trace_id = {0, 1, 2, 0xff},
    .id = {1},
    .start_ns = 1000,
    .end_ns = 3000,
    .name = {"pay", 3},
    .attrs = {SPAN_ATTRS, 10, 0},
    .events = EVENTS,
    .event_count = 2,
    .links = LINKS,
    .link_count = 1,
    .kind = SPAN_SERVER,
    .status = SPAN_ERROR,
    .resource = &RESOURCE,
    .scope = &SCOPE,
};

static span_value text(const char *z)
{
    return (span_value){.data = z, .len = (uint32_t)strlen(z), .type = SPAN_STR};
}

static span_value number(int64_t i)
{
    return (span_value){.i = i, .type = SPAN_INT};
}

static span_value real(double d)
{
    return (span_value){.d = d, .type = SPAN_DOUBLE};
}

static bool attribute(unsigned place, const char *key, filter_op op, span_value v)
{
    span_filter f = {
        .field = FILTER_ATTRIBUTE, .place = place, .key = sx_str_z(key), .op = op, .value = v};
    return span_filter_match(&f, &SPAN);
}

static bool field(filter_field which, filter_op op, span_value v)
{
    span_filter f = {.field = which, .op = op, .value = v};
    return span_filter_match(&f, &SPAN);
}

static void attributes_compare_by_type(void **state)
{
    (void)state;
    assert_true(attribute(FILTER_SPAN, "http.method", FILTER_EQ, text("GET")));
    assert_false(attribute(FILTER_SPAN, "http.method", FILTER_NE, text("GET")));
    assert_true(attribute(FILTER_SPAN, "http.method", FILTER_NE, text("PUT")));
    assert_false(attribute(FILTER_SPAN, "http.method", FILTER_NE, number(1)));
    assert_false(attribute(FILTER_SPAN, "absent", FILTER_NE, text("GET")));
    assert_true(attribute(FILTER_SPAN, "http.method", FILTER_LT, text("GETS")));
    assert_true(attribute(FILTER_SPAN, "size", FILTER_EQ, real(72.0)));
    assert_true(attribute(FILTER_SPAN, "size", FILTER_LT, real(72.5)));
    assert_true(attribute(FILTER_SPAN, "ratio", FILTER_GT, number(72)));
    assert_false(attribute(FILTER_SPAN, "ratio", FILTER_EQ, number(72)));
    assert_false(attribute(FILTER_SPAN, "size", FILTER_EQ, text("72")));
    assert_true(attribute(FILTER_SPAN, "ok", FILTER_EQ, (span_value){.i = 1, .type = SPAN_BOOL}));
    assert_false(attribute(FILTER_SPAN, "ok", FILTER_EQ, number(1)));
    assert_false(attribute(FILTER_SPAN, "big", FILTER_EQ, real(0x1p53)));
    assert_true(attribute(FILTER_SPAN, "big", FILTER_GT, real(0x1p53)));
    assert_true(attribute(FILTER_SPAN, "big", FILTER_LT, real(INFINITY)));
    assert_true(attribute(FILTER_SPAN, "big", FILTER_GT, real(-INFINITY)));
}

static void nothing_and_nan(void **state)
{
    (void)state;
    assert_true(attribute(FILTER_SPAN, "nothing", FILTER_EXISTS, number(0)));
    assert_false(attribute(FILTER_SPAN, "nothing", FILTER_NE, text("")));
    assert_true(attribute(FILTER_SPAN, "nothing", FILTER_TEXT, text("")));
    assert_false(attribute(FILTER_SPAN, "nan", FILTER_EQ, real(NAN)));
    assert_true(attribute(FILTER_SPAN, "nan", FILTER_NE, real(NAN)));
    assert_false(attribute(FILTER_SPAN, "nan", FILTER_LE, real(1)));
}

static void one_of_several_is_enough(void **state)
{
    (void)state;
    assert_true(attribute(FILTER_SPAN, "twice", FILTER_EQ, text("b")));
    assert_true(attribute(FILTER_SPAN, "twice", FILTER_NE, text("a")));
    assert_true(field(FILTER_EVENT_NAME, FILTER_EQ, text("early")));
    assert_true(field(FILTER_EVENT_NAME, FILTER_NE, text("early")));
    assert_false(field(FILTER_EVENT_NAME, FILTER_EQ, text("late")));
    assert_true(field(FILTER_EVENT_SINCE_START, FILTER_EQ, number(-100)));
    assert_true(attribute(FILTER_EVENT, "code", FILTER_GE, number(7)));
}

static void places(void **state)
{
    (void)state;
    assert_true(attribute(FILTER_SPAN_OR_RESOURCE, "region", FILTER_EQ, text("span")));
    assert_false(attribute(FILTER_SPAN_OR_RESOURCE, "region", FILTER_EQ, text("resource")));
    assert_true(attribute(FILTER_SPAN_OR_RESOURCE, "zone", FILTER_EQ, text("b")));
    assert_true(attribute(FILTER_ANY, "region", FILTER_EQ, text("resource")));
    assert_true(attribute(FILTER_RESOURCE, "region", FILTER_EQ, text("resource")));
    assert_false(attribute(FILTER_SCOPE, "region", FILTER_EXISTS, number(0)));
    assert_true(attribute(FILTER_SPAN | FILTER_RESOURCE | FILTER_SCOPE, "region", FILTER_EQ,
                          text("resource")));
    assert_true(attribute(FILTER_ANY, "code", FILTER_TEXT, text("7")));
}

static void jaeger_compares_text(void **state)
{
    (void)state;
    assert_true(attribute(FILTER_ANY, "ratio", FILTER_TEXT, text("72.5")));
    assert_true(attribute(FILTER_ANY, "size", FILTER_TEXT, text("72")));
    assert_true(attribute(FILTER_ANY, "ok", FILTER_TEXT, text("true")));
    assert_false(attribute(FILTER_ANY, "size", FILTER_TEXT, text("72.0")));
    assert_true(attribute(FILTER_ANY, "http.method", FILTER_TEXT, text("GET")));
}

static void fields(void **state)
{
    (void)state;
    assert_true(field(FILTER_NAME, FILTER_EQ, text("pay")));
    assert_true(field(FILTER_DURATION, FILTER_EQ, number(2000)));
    assert_true(field(FILTER_START, FILTER_LE, number(1000)));
    assert_true(field(FILTER_STATUS, FILTER_EQ, number(SPAN_ERROR)));
    assert_true(field(FILTER_KIND, FILTER_EQ, number(SPAN_SERVER)));
    assert_true(field(FILTER_SERVICE, FILTER_EQ, text("shop")));
    assert_true(field(FILTER_STATUS_MESSAGE, FILTER_EQ, text("")));
    assert_true(field(FILTER_TRACE_ID, FILTER_EQ, text("000102ff000000000000000000000000")));
    assert_true(field(FILTER_SPAN_ID, FILTER_EQ, text("0100000000000000")));
    assert_true(field(FILTER_PARENT_ID, FILTER_EQ, text("")));
    assert_true(field(FILTER_SCOPE_NAME, FILTER_EQ, text("lib")));
    assert_true(field(FILTER_SCOPE_VERSION, FILTER_EQ, text("2")));
    assert_true(field(FILTER_TRACE_STATE, FILTER_EXISTS, text("")));
    assert_true(field(FILTER_LINK_TRACE_ID, FILTER_EQ, text("ab000000000000000000000000000000")));
    assert_true(field(FILTER_LINK_SPAN_ID, FILTER_EQ, text("0102000000000000")));
    span backwards = SPAN;
    backwards.end_ns = 1;
    span_filter f = {.field = FILTER_DURATION, .op = FILTER_EQ, .value = number(0)};
    assert_true(span_filter_match(&f, &backwards));
}

static void trees(void **state)
{
    (void)state;
    span_filter yes = {.field = FILTER_NAME, .op = FILTER_EXISTS};
    span_filter no = {.field = FILTER_NAME, .op = FILTER_EQ, .value = text("x")};
    const span_filter *both[] = {&yes, &no};
    span_filter f = {.kind = FILTER_AND};
    assert_true(span_filter_match(NULL, &SPAN));
    assert_true(span_filter_match(&f, &SPAN));
    f.kind = FILTER_OR;
    assert_false(span_filter_match(&f, &SPAN));
    f = (span_filter){.kind = FILTER_AND, .children = both, .child_count = 2};
    assert_false(span_filter_match(&f, &SPAN));
    f.kind = FILTER_OR;
    assert_true(span_filter_match(&f, &SPAN));
    f = (span_filter){.kind = FILTER_NOT, .children = both + 1, .child_count = 1};
    assert_true(span_filter_match(&f, &SPAN));
}

static void patterns(void **state)
{
    (void)state;
    sx_regex *re;
    sx_error err;
    assert_int_equal(sx_regex_new(&re, SX_STR("p[aeiou]y"), NULL, &err), SX_OK);
    span_filter f = {.field = FILTER_NAME, .op = FILTER_MATCH, .regex = re};
    assert_true(span_filter_match(&f, &SPAN));
    f.op = FILTER_NOT_MATCH;
    assert_false(span_filter_match(&f, &SPAN));
    f = (span_filter){.field = FILTER_ATTRIBUTE,
                      .place = FILTER_SPAN,
                      .key = SX_STR("size"),
                      .op = FILTER_NOT_MATCH,
                      .regex = re};
    assert_false(span_filter_match(&f, &SPAN)); /* a number is no text */
    sx_regex_free(re);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_compare_by_type),
        cmocka_unit_test(nothing_and_nan),
        cmocka_unit_test(one_of_several_is_enough),
        cmocka_unit_test(places),
        cmocka_unit_test(jaeger_compares_text),
        cmocka_unit_test(fields),
        cmocka_unit_test(trees),
        cmocka_unit_test(patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
