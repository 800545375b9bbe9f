/* test_v1.c - parameters of the HTTP API v1, its JSON, paths through traces; without memory, too. */
#include "tests/unit/observe/jaeger/batch_of.h"

#include <sextant/json.h>

#include "base/fault.h"
#include "observe/jaeger/path.h"
#include "observe/jaeger/ui.h"
#include "observe/jaeger/v1.h"

#define NOW_NS (UINT64_C(1795299328) * 1000000000)

typedef struct pair {
    const char *name, *value;
} pair;

static jaeger_params params_of(const pair *pairs, size_t count, jaeger_param *space)
{
    for (size_t i = 0; i < count; i++)
        space[i] = (jaeger_param){sx_str_z(pairs[i].name), sx_str_z(pairs[i].value)};
    return (jaeger_params){space, count};
}

static sx_status search_of(const pair *pairs, size_t count, jaeger_v1_search *out, sx_arena *arena,
                           sx_error *err)
{
    jaeger_param *space = sx_arena_alloc(arena, (count + 1) * sizeof *space);
    assert_non_null(space);
    jaeger_params p = params_of(pairs, count, space);
    return jaeger_v1_search_read(&p, NOW_NS, arena, out, err);
}

static void a_search_is_read(void **state)
{
    (void)state;
    static const pair PAIRS[] = {
        {"service", "a"},
        {"service", "b"},
        {"operation", "op"},
        {"start", "1000"},
        {"end", "2000"},
        {"limit", "7"},
        {"tag", "k:v:w"},
        {"tag", "twice:1"},
        {"tags", "{\"twice\":\"2\",\"n\\u0061me\":\"x\"}"},
        {"minDuration", "1ms"},
        {"maxDuration", "1.5s"},
        {"traceID", "ABC"},
        {"raw", "T"},
        {"maxClockSkew", "2s"},
        {"page", "0000000000000010-0000000000000000000000000000000a"},
    };
    sx_arena arena;
    sx_error err = {0};
    jaeger_v1_search q;
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(search_of(PAIRS, SX_COUNT_OF(PAIRS), &q, &arena, &err), SX_OK);
    assert_int_equal(q.search.service_count, 2);
    assert_true(sx_str_eq(q.search.operation, SX_STR("op")));
    assert_int_equal(q.search.min_ns, 1000000);
    assert_int_equal(q.search.max_ns, 2000999); /* the whole microsecond */
    assert_int_equal(q.search.limit, 7);
    assert_int_equal(q.search.tag_count, 3);
    assert_true(sx_str_eq(q.search.tags[0].value, SX_STR("v:w")));
    assert_true(sx_str_eq(q.search.tags[1].value, SX_STR("2")));
    assert_true(sx_str_eq(q.search.tags[2].key, SX_STR("name")));
    assert_int_equal(q.search.min_duration_ns, 1000000);
    assert_int_equal(q.search.max_duration_ns, 1500000000);
    assert_int_equal(q.trace_id_count, 1);
    assert_int_equal(q.trace_ids[0][14] << 8 | q.trace_ids[0][15], 0xabc);
    assert_true(q.raw && q.bounded);
    assert_int_equal(q.skew_ns, 2000000000);
    assert_non_null(q.search.after);
    assert_int_equal(q.after.newest_ns, 16);
    assert_int_equal(q.after.trace_id[15], 10);
    sx_arena_done(&arena);
}

static void times_that_are_left_out(void **state)
{
    (void)state;
    static const struct {
        pair lookback;
        uint64_t hours;
    } CASES[] = {
        {{"other", ""}, 48},          {{"lookback", "1h"}, 1},   {{"lookback", "2d"}, 48},
        {{"lookback", "custom"}, 48}, {{"lookback", "-1h"}, 48}, {{"lookback", "7d"}, 168},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_arena arena;
        sx_error err = {0};
        jaeger_v1_search q;
        sx_arena_init(&arena, 0, 0);
        assert_int_equal(search_of(&CASES[i].lookback, 1, &q, &arena, &err), SX_OK);
        assert_int_equal(q.search.max_ns, NOW_NS);
        assert_int_equal(q.search.min_ns, NOW_NS - CASES[i].hours * 3600 * 1000000000);
        assert_false(q.bounded);
        sx_arena_done(&arena);
    }
}

static void a_lookback_beyond_all_time(void **state)
{
    (void)state;
    sx_arena arena;
    sx_error err = {0};
    jaeger_v1_search q;
    const pair lookback = {"lookback", "213505d"}; /* a little more than 2^64 nanoseconds */
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(search_of(&lookback, 1, &q, &arena, &err), SX_OK);
    assert_int_equal(q.search.min_ns, 1);
    sx_arena_done(&arena);
}

static void broken_parameters_are_told(void **state)
{
    (void)state;
    static const struct {
        pair pair;
        const char *error;
    } CASES[] = {
        {{"start", "x"},
         "unable to parse param 'start': strconv.ParseInt: parsing \"x\": invalid syntax"},
        {{"end", "9223372036854775808"},
         "unable to parse param 'end': strconv.ParseInt: parsing \"9223372036854775808\": value out "
         "of range"},
        {{"limit", "2147483648"}, "strconv.ParseInt: parsing \"2147483648\": value out of range"},
        {{"limit", "0"}, "search depth must be greater than 0"},
        {{"tag", "a"}, "malformed 'tag' parameter, expecting key:value, received: a"},
        {{"tags", "{\"a\":\"b\""},
         "malformed 'tags' parameter, cannot unmarshal JSON: unexpected end of JSON input"},
        {{"tags", "[1]"},
         "malformed 'tags' parameter, cannot unmarshal JSON: json: cannot unmarshal array into Go "
         "value of type map[string]string"},
        {{"minDuration", "5"},
         "unable to parse param 'minDuration': time: missing unit in duration \"5\""},
        {{"maxDuration", "5y"},
         "unable to parse param 'maxDuration': time: unknown unit \"y\" in duration \"5y\""},
        {{"traceID", "zz"},
         "cannot parse traceID param: strconv.ParseUint: parsing \"zz\": invalid syntax"},
        {{"raw", "x"},
         "unable to parse param 'raw': strconv.ParseBool: parsing \"x\": invalid syntax"},
        {{"page", "0000000000000010_0000000000000000000000000000000a"},
         "unable to parse param 'page': it is no cursor; give nextPage of the answer before"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_arena arena;
        sx_error err = {0};
        jaeger_v1_search q;
        sx_arena_init(&arena, 0, 0);
        assert_int_equal(search_of(&CASES[i].pair, 1, &q, &arena, &err), SX_EINVAL);
        assert_string_equal(err.message, CASES[i].error);
        sx_arena_done(&arena);
    }
}

/* tags=... cut at every byte, and garbage in every place: an error or a search, nothing else. */
static void tags_cut_and_spoiled(void **state)
{
    (void)state;
    static const char TAGS[] = "{\"a\\n\":\"b\\u00e9\",\"c\":null, \"d\" : \"e:f\"}";
    char text[sizeof TAGS];
    for (size_t len = 0; len < sizeof TAGS; len++)
        for (int spoil = -1; spoil < 4; spoil++) {
            sx_arena arena;
            sx_error err = {0};
            jaeger_v1_search q;
            memcpy(text, TAGS, sizeof TAGS);
            if (spoil < 0)
                text[len] = 0;
            else if (text[len])
                text[len] = "\xff{:\x01"[spoil];
            pair p = {"tags", text};
            sx_arena_init(&arena, 0, 0);
            sx_status status = search_of(&p, 1, &q, &arena, &err);
            assert_true(status == SX_OK || status == SX_EINVAL);
            assert_true(status == SX_OK || err.message[0]);
            sx_arena_done(&arena);
        }
}

static void metrics_as_promql(void **state)
{
    (void)state;
    static const pair PAIRS[] = {{"service", "a.b"},          {"service", "c\"d"},
                                 {"quantile", "0.95"},        {"spanKind", "client"},
                                 {"spanKind", "SERVER"},      {"ratePer", "60000"},
                                 {"groupByOperation", "true"}};
    sx_arena arena;
    sx_error err = {0};
    jaeger_param space[SX_COUNT_OF(PAIRS)];
    jaeger_params p = params_of(PAIRS, SX_COUNT_OF(PAIRS), space);
    jaeger_v1_metrics m;
    sx_buf query, name, help;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&query, 0);
    sx_buf_init(&name, 0);
    sx_buf_init(&help, 0);
    assert_int_equal(jaeger_v1_metrics_read(&p, JAEGER_CALLS, NOW_NS, &arena, &m, &err), SX_OK);
    jaeger_v1_metrics_query(&m, &query);
    assert_true(sx_str_eq(
        sx_buf_view(&query),
        SX_STR("sum(rate(traces_span_metrics_calls_total{service_name=~\"a\\\\.b|c\\\"d\","
               "span_kind=~\"SPAN_KIND_SERVER|SPAN_KIND_CLIENT\"}[60000ms])) by "
               "(service_name,span_name)")));
    jaeger_v1_metrics_name(&m, &name, &help);
    assert_true(sx_str_eq(sx_buf_view(&name), SX_STR("service_operation_call_rate")));
    assert_true(sx_str_eq(sx_buf_view(&help), SX_STR("calls/sec, grouped by service & operation")));
    sx_buf_done(&query);
    sx_buf_done(&name);
    sx_buf_done(&help);
    sx_arena_done(&arena);
}

static const char SMALL[] = BATCH(RESOURCE(
    TEXT_ATTR("service.name", "a"),
    SPAN_OF("a1", "", "1000000", "9000000",
            ",'kind':2,'events':[{'timeUnixNano':'2000000','name':'e'}],"
            "'links':[{'traceId':'11111111111111111111111111111111',"
            "'spanId':'2222222222222222'}],'attributes':[" INT_ATTR(
                "big",
                "9007199254740993") "]") "," SPAN_OF("a2", PARENT("a1"), "2000000", "8000000",
                                                     "")) "," RESOURCE(TEXT_ATTR("service.name",
                                                                                 "a"),
                                                                       SPAN_OF("a3", PARENT("a2"),
                                                                               "3000000", "4000000",
                                                                               "")));

static void json_of_a_trace(void **state)
{
    (void)state;
    sx_error err = {0};
    jaeger_ui ui;
    span_batch *b = batch_of(SMALL);
    jaeger_ui_init(&ui, false, NULL, NULL);
    jaeger_ui_begin(&ui);
    assert_int_equal(jaeger_ui_trace(&ui, b, NULL, &err), SX_OK);
    tr_hit next = {.newest_ns = 1};
    assert_int_equal(jaeger_ui_end(&ui, &(jaeger_ui_tail){.next = &next}, &err), SX_OK);
    static const char WANTED[] =
        "{\"data\":[{\"traceID\":\"0af7651916cd43dd8448eb211c80319c\",\"spans\":[{\"traceID\":"
        "\"0af7651916cd43dd8448eb211c80319c\",\"spanID\":\"00000000000000a1\",\"operationName\":"
        "\"na1\",\"references\":[{\"refType\":\"FOLLOWS_FROM\",\"traceID\":"
        "\"11111111111111111111111111111111\",\"spanID\":\"2222222222222222\"}],\"startTime\":1000,"
        "\"duration\":8000,\"tags\":[{\"key\":\"big\",\"type\":\"int64\",\"value\":"
        "\"9007199254740993\"},{\"key\":\"span.kind\",\"type\":\"string\",\"value\":\"server\"}],"
        "\"logs\":[{\"timestamp\":2000,\"fields\":[{\"key\":\"event\",\"type\":\"string\",\"value\":"
        "\"e\"}]}],\"processID\":\"p1\",\"warnings\":null},";
    assert_true(sx_str_starts(sx_buf_view(&ui.out), sx_str_z(WANTED)));
    static const char END[] =
        "\"processes\":{\"p1\":{\"serviceName\":\"a\",\"tags\":[]}},\"warnings\":null}],\"total\":0,"
        "\"limit\":0,\"offset\":0,\"errors\":null,\"nextPage\":"
        "\"0000000000000001-00000000000000000000000000000000\"}";
    assert_true(sx_str_ends(sx_buf_view(&ui.out), sx_str_z(END)));
    jaeger_ui_done(&ui);
    span_batch_unref(b);
}

static void paths_and_differences(void **state)
{
    (void)state;
    sx_arena arena;
    sx_error err = {0};
    jaeger_section *sections;
    jaeger_place *places;
    size_t count;
    span_batch *b = batch_of(SMALL);
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(jaeger_critical_path(b, &arena, &sections, &count, &err), SX_OK);
    assert_int_equal(count, 5);
    uint64_t at = 1000000;
    for (size_t i = 0; i < count; i++) { /* without a gap */
        assert_int_equal(sections[i].start_ns, at);
        at = sections[i].end_ns;
    }
    assert_int_equal(at, 9000000);
    assert_int_equal(jaeger_compare(b, b, &arena, &places, &count, &err), SX_OK);
    assert_int_equal(count, 3);
    assert_int_equal(places[2].depth, 2);
    assert_int_equal(places[2].count[0], places[2].count[1]);
    span_batch_unref(b);
    b = batch_of(BATCH(RESOURCE("", SPAN_OF("c1", PARENT("c2"), "1000", "2000", "") "," SPAN_OF(
                                        "c2", PARENT("c1"), "1000", "3000",
                                        "") "," SPAN_OF("d1", PARENT("d1"), "1000", "1500", ""))));
    assert_int_equal(jaeger_critical_path(b, &arena, &sections, &count, &err), SX_OK);
    assert_true(count > 0);
    assert_int_equal(jaeger_compare(b, b, &arena, &places, &count, &err), SX_OK);
    assert_int_equal(count, 3); /* a cycle is cut, not walked for ever */
    span_batch_unref(b);
    b = span_batch_new(0);
    assert_int_equal(jaeger_critical_path(b, &arena, &sections, &count, &err), SX_OK);
    assert_int_equal(count, 0);
    span_batch_unref(b);
    sx_arena_done(&arena);
}

static void without_memory(void **state)
{
    (void)state;
    static const pair PAIRS[] = {
        {"service", "a"}, {"tags", "{\"\\u0061\":\"b\"}"}, {"traceID", "1"}};
    sx_status status = SX_ENOMEM;
    for (int64_t n = 1; status != SX_OK; n++) {
        sx_arena arena;
        sx_error err = {0};
        jaeger_ui ui;
        jaeger_v1_search q;
        jaeger_param space[SX_COUNT_OF(PAIRS)];
        jaeger_section *sections;
        jaeger_place *places;
        size_t count;
        jaeger_params p = params_of(PAIRS, SX_COUNT_OF(PAIRS), space);
        span_batch *b = batch_of(SMALL);
        sx_arena_init(&arena, 16, 0);
        jaeger_ui_init(&ui, true, NULL, NULL);
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        status = jaeger_v1_search_read(&p, NOW_NS, &arena, &q, &err);
        if (status == SX_OK)
            status = jaeger_critical_path(b, &arena, &sections, &count, &err);
        if (status == SX_OK)
            status = jaeger_compare(b, b, &arena, &places, &count, &err);
        if (status == SX_OK) {
            jaeger_ui_begin(&ui);
            status = jaeger_ui_trace(&ui, b, NULL, &err);
        }
        if (status == SX_OK)
            status = jaeger_ui_end(&ui, &(jaeger_ui_tail){0}, &err);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(status == SX_OK || status == SX_ENOMEM);
        assert_true(n < 1000);
        jaeger_ui_done(&ui);
        sx_arena_done(&arena);
        span_batch_unref(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_search_is_read),
        cmocka_unit_test(times_that_are_left_out),
        cmocka_unit_test(a_lookback_beyond_all_time),
        cmocka_unit_test(broken_parameters_are_told),
        cmocka_unit_test(tags_cut_and_spoiled),
        cmocka_unit_test(metrics_as_promql),
        cmocka_unit_test(json_of_a_trace),
        cmocka_unit_test(paths_and_differences),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
