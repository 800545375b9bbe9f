/* test_search.c - a Jaeger search as a filter; names and ids as Jaeger reads them. */
#include "tests/unit/observe/jaeger/batch_of.h"

#include <stdio.h>

#include <sextant/mem.h>

#include "base/fault.h"

static const char SPANS[] =
    BATCH("{'resource':{'attributes':[" TEXT_ATTR("service.name", "shop") "," TEXT_ATTR(
        "zone",
        "b") "]},"
             "'scopeSpans':[{'scope':{'name':'lib','version':'2'},'spans':["
             "{" TRACE ",'spanId':'00000000000000a1','name':'GET /','kind':2,'traceState':'v=o',"
             "'startTimeUnixNano':'1000','endTimeUnixNano':'3000',"
             "'status':{'code':2,'message':'boom'},"
             "'attributes':[{'key':'n','value':{'intValue':'7'}},{'key':'d','value':{'doubleValue':72.5}},"
             "{'key':'yes','value':{'boolValue':true}}],"
             "'events':[{'name':'retry','attributes':[" TEXT_ATTR(
                 "reason",
                 "slow") "]}],"
                         "'links':[{'traceId':'11111111111111111111111111111111','spanId':'2222222222222222',"
                         "'attributes':[" TEXT_ATTR("why", "batch") "]}]}]}]}," RESOURCE(
                             "", "{" TRACE ",'spanId':'00000000000000a2','name':'',"
                                 "'startTimeUnixNano':'1000','endTimeUnixNano':'1000'}"));

/* Which of the two spans a search finds: bit 0 and bit 1. */
static unsigned found(const jaeger_search *q)
{
    sx_error err = {0};
    const span_filter *f;
    sx_arena arena;
    unsigned bits = 0;
    span_batch *b = batch_of(SPANS);
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(b->count, 2);
    assert_int_equal(jaeger_filter(q, &arena, &f, &err), SX_OK);
    for (unsigned i = 0; i < 2; i++)
        bits |= (unsigned)span_filter_match(f, b->spans[i]) << i;
    sx_arena_done(&arena);
    span_batch_unref(b);
    return bits;
}

static unsigned by_tag(const char *key, const char *value)
{
    jaeger_tag tag = {sx_str_z(key), sx_str_z(value)};
    return found(&(jaeger_search){.tags = &tag, .tag_count = 1});
}

static void tags_are_found_wherever_they_stand(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        unsigned found;
    } CASES[] = {
        {"n", "7", 1},
        {"n", "8", 0},
        {"d", "72.5", 1},
        {"yes", "true", 1},
        {"yes", "True", 0},
        {"zone", "b", 1},
        {"resource.zone", "b", 1},
        {"resource.n", "7", 0},
        {"reason", "slow", 1},
        {"why", "batch", 1},
        {"service.name", "shop", 1},
        {"absent", "", 0},
        /* what Jaeger makes up */
        {"error", "true", 1},
        {"error", "false", 2},
        {"error", "maybe", 0},
        {"span.kind", "server", 1},
        {"span.kind", "SERVER", 1},
        {"span.kind", "unspecified", 2},
        {"span.kind", "nonsense", 0},
        {"span.status", "ERROR", 1},
        {"otel.status_code", "ERROR", 1},
        {"otel.status_code", "OK", 0},
        {"otel.status_description", "boom", 1},
        {"otel.status_description", "", 0},
        {"otel.scope.name", "lib", 1},
        {"otel.scope.version", "2", 1},
        {"otel.library.name", "lib", 1},
        {"scope.name", "lib", 1},
        {"scope.version", "3", 0},
        {"w3c.tracestate", "v=o", 1},
        {"event", "retry", 1},
        {"resource.", "b", 0},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++)
        if (by_tag(CASES[i].key, CASES[i].value) != CASES[i].found)
            fail_msg("%s=%s", CASES[i].key, CASES[i].value);
}

static void an_attribute_of_a_made_up_name_is_found_too(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_arena arena;
    const span_filter *f;
    sx_arena_init(&arena, 0, 0);
    span_batch *b = batch_of(BATCH(RESOURCE(
        "", SPAN_OF("a1", "", "1", "2", ",'attributes':[" TEXT_ATTR("error", "timed out") "]"))));
    jaeger_tag tag = {SX_STR("error"), SX_STR("timed out")};
    jaeger_search q = {.tags = &tag, .tag_count = 1};
    assert_int_equal(jaeger_filter(&q, &arena, &f, &err), SX_OK);
    assert_true(span_filter_match(f, b->spans[0]));
    sx_arena_done(&arena);
    span_batch_unref(b);
}

static void names_and_durations(void **state)
{
    (void)state;
    const sx_str services[] = {SX_STR("nobody"), SX_STR("shop")};
    assert_int_equal(found(&(jaeger_search){0}), 3);
    assert_int_equal(found(&(jaeger_search){.service = SX_STR("shop")}), 1);
    assert_int_equal(found(&(jaeger_search){.service = SX_STR("nobody")}), 0);
    assert_int_equal(found(&(jaeger_search){.services = services, .service_count = 2}), 1);
    assert_int_equal(found(&(jaeger_search){
                         .service = JAEGER_NO_SERVICE, .services = services, .service_count = 2}),
                     3);
    assert_int_equal(found(&(jaeger_search){.operation = SX_STR("GET /")}), 1);
    assert_int_equal(found(&(jaeger_search){.operation = JAEGER_EMPTY_OPERATION}), 2);
    assert_int_equal(found(&(jaeger_search){.min_duration_ns = 2000}), 1);
    assert_int_equal(found(&(jaeger_search){.min_duration_ns = 2001}), 0);
    assert_int_equal(found(&(jaeger_search){.max_duration_ns = 1999}), 2);
    assert_int_equal(found(&(jaeger_search){.max_duration_ns = UINT64_MAX}), 3);
    assert_int_equal(found(&(jaeger_search){.service = SX_STR("shop"), .max_duration_ns = 1999}),
                     0);
}

static void trace_ids_as_jaeger_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex, *error;
    } CASES[] = {
        {"1", "00000000000000000000000000000001", NULL},
        {"aBc", "00000000000000000000000000000abc", NULL},
        {"0AF7651916CD43DD8448EB211C80319C", "0af7651916cd43dd8448eb211c80319c", NULL},
        {"10000000000000000", "00000000000000010000000000000000", NULL},
        {"", NULL, "strconv.ParseUint: parsing \"\": invalid syntax"},
        {"xyz", NULL, "strconv.ParseUint: parsing \"xyz\": invalid syntax"},
        {"ffffffffffffffffg", NULL,
         "strconv.ParseUint: parsing \"fffffffffffffffg\": invalid syntax"},
        {"gffffffffffffffff", NULL, "strconv.ParseUint: parsing \"g\": invalid syntax"},
        {"000000000000000000000000000000000", NULL,
         "TraceID cannot be longer than 32 hex characters: 000000000000000000000000000000000"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        uint8_t id[16];
        char hex[33];
        sx_error err = {0};
        sx_status status = jaeger_trace_id(sx_str_z(CASES[i].text), id, &err);
        if (CASES[i].error) {
            assert_int_equal(status, SX_EINVAL);
            assert_string_equal(err.message, CASES[i].error);
            continue;
        }
        assert_int_equal(status, SX_OK);
        for (size_t k = 0; k < 16; k++)
            snprintf(hex + 2 * k, 3, "%02x", id[k]);
        assert_string_equal(hex, CASES[i].hex);
    }
}

static void too_many_tags_are_refused(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_arena arena;
    const span_filter *f;
    sx_arena_init(&arena, 0, 0);
    jaeger_tag *tags = sx_calloc(5000, sizeof *tags);
    assert_non_null(tags);
    jaeger_search q = {.tags = tags, .tag_count = 5000};
    assert_int_equal(jaeger_filter(&q, &arena, &f, &err), SX_ELIMIT);
    sx_free(tags);
    sx_arena_done(&arena);
}

static void without_memory(void **state)
{
    (void)state;
    jaeger_tag tags[] = {{SX_STR("error"), SX_STR("true")}, {SX_STR("resource.a"), SX_STR("b")}};
    jaeger_search q = {.service = SX_STR("shop"),
                       .operation = SX_STR("x"),
                       .tags = tags,
                       .tag_count = 2,
                       .min_duration_ns = 1};
    sx_status status = SX_ENOMEM;
    for (int64_t n = 1; status != SX_OK; n++) {
        sx_error err = {0};
        sx_arena arena;
        const span_filter *f;
        sx_arena_init(&arena, 16, 0); /* a chunk for nearly every node */
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        status = jaeger_filter(&q, &arena, &f, &err);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(status == SX_OK || status == SX_ENOMEM);
        assert_true(n < 100);
        sx_arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_are_found_wherever_they_stand),
        cmocka_unit_test(an_attribute_of_a_made_up_name_is_found_too),
        cmocka_unit_test(names_and_durations),
        cmocka_unit_test(trace_ids_as_jaeger_reads_them),
        cmocka_unit_test(too_many_tags_are_refused),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
