/* test_attributes.c - attributes, resource and memory_limiter: what they change, and what they leave. */
#include "tests/unit/observe/collector/spans.h"

static void send_one(pipe_fixture *f, const char *service, const char *name)
{
    span_batch *b = span_batch_new(0);
    assert_non_null(b);
    span *s = add_span(b, service, name, 1);
    add_attr(b, s, "user", text_value("ann"));
    add_attr(b, s, "status", int_value(404));
    add_attr(b, s, "url", text_value("http://h/p/42?q=1"));
    pipe_send(f, b);
}

/* Each: actions as a YAML flow list, and the attributes that come out. */
static const struct {
    const char *actions, *expected;
} ACTIONS[] = {
    {"{key: user, action: insert, value: bob}", "user=ann status=404 url=http://h/p/42?q=1"},
    {"{key: new, action: insert, value: 7}", "user=ann status=404 url=http://h/p/42?q=1 new=7"},
    {"{key: none, action: update, value: 7}", "user=ann status=404 url=http://h/p/42?q=1"},
    {"{key: user, action: UPDATE, value: bob}", "user=bob status=404 url=http://h/p/42?q=1"},
    {"{key: user, action: upsert, from_attribute: status}",
     "user=404 status=404 url=http://h/p/42?q=1"},
    {"{key: user, action: upsert, from_attribute: none}",
     "user=ann status=404 url=http://h/p/42?q=1"},
    {"{key: url, action: delete}", "user=ann status=404"},
    {"{pattern: '^u', action: delete}", "status=404"},
    {"{key: user, action: hash}, {key: url, action: delete}, {key: status, action: delete}",
     "user=49915e0d7d4b402e3017d010bc1c0e83cac6c797d6c16e66340fe3268693a6a1"},
    {"{key: url, action: extract, pattern: '^(?P<scheme>[a-z]+)://(?P<host>[^/]+)'}, "
     "{key: url, action: delete}",
     "user=ann status=404 scheme=http host=h"},
    {"{key: status, action: convert, converted_type: string}, {key: status, action: convert, "
     "converted_type: double}, {key: user, action: convert, converted_type: int}",
     "user=ann status=404 url=http://h/p/42?q=1"},
    {"{key: list, action: insert, value: [1, a, true]}",
     "user=ann status=404 url=http://h/p/42?q=1 list=[1,\"a\",true]"},
};

static void test_actions_on_attributes(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ACTIONS); i++) {
        pipe_fixture f;
        char text[1024];
        snprintf(text, sizeof(text), "  attributes: {actions: [%s]}", ACTIONS[i].actions);
        pipe_open(&f, text, "[attributes]");
        send_one(&f, "shop", "GET /");
        const char *got = attrs_text(recorded(0)->attrs);
        if (strcmp(got, ACTIONS[i].expected) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", ACTIONS[i].actions, got, ACTIONS[i].expected);
        pipe_close(&f);
    }
}

/* Each: include or exclude, and whether the span of service shop, GET /, is changed. */
static const struct {
    const char *match;
    bool changed;
} MATCHES[] = {
    {"include: {match_type: strict, services: [shop]}", true},
    {"include: {match_type: strict, services: [sho]}", false},
    {"include: {match_type: regexp, services: [sho]}", true},
    {"include: {match_type: regexp, services: ['^ho']}", false},
    {"exclude: {match_type: strict, span_names: ['GET /', x]}", false},
    {"include: {match_type: strict, services: [shop], span_names: [x]}", false},
    {"include: {match_type: strict, attributes: [{key: status, value: 404}]}", true},
    {"include: {match_type: strict, attributes: [{key: status, value: '404'}]}", false},
    {"include: {match_type: regexp, attributes: [{key: status, value: '^4'}]}", true},
    {"include: {match_type: strict, attributes: [{key: status}, {key: none}]}", false},
    {"include: {match_type: strict, resources: [{key: service.name, value: shop}]}", true},
    {"include: {match_type: strict, span_kinds: [SPAN_KIND_SERVER]}", true},
    {"include: {match_type: strict, span_kinds: [SPAN_KIND_CLIENT]}", false},
    {"include: {match_type: strict, libraries: [{name: scope}]}", true},
    {"include: {match_type: strict, libraries: [{name: scope, version: '2'}]}", false},
    {"include: {match_type: strict, services: [shop]}, "
     "exclude: {match_type: strict, span_names: ['GET /']}",
     false},
};

static void test_include_and_exclude(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(MATCHES); i++) {
        pipe_fixture f;
        char text[1024];
        snprintf(text, sizeof(text),
                 "  attributes: {%s, actions: [{key: x, action: insert, value: 1}]}",
                 MATCHES[i].match);
        pipe_open(&f, text, "[attributes]");
        send_one(&f, "shop", "GET /");
        bool changed = span_attrs_find(recorded(0)->attrs, SX_STR("x")) != NULL;
        if (changed != MATCHES[i].changed)
            fail_msg("%s: changed %d", MATCHES[i].match, changed);
        pipe_close(&f);
    }
}

static void test_a_resource_is_changed_once_for_all(void **state)
{
    pipe_fixture f;
    (void)state;
    pipe_open(&f,
              "  resource: {attributes: [{key: env, action: upsert, value: prod}, "
              "{key: service.name, action: update, value: mart}]}",
              "[resource]");
    span_batch *b = span_batch_new(0);
    span *first = add_span(b, "shop", "a", 1);
    span *second = add_span(b, "shop", "b", 1);
    second->resource = first->resource;
    pipe_send(&f, b);
    assert_string_equal(attrs_text(recorded(0)->resource->attrs), "service.name=mart env=prod");
    assert_true(sx_str_eq(recorded(0)->resource->service, SX_STR("mart")));
    assert_ptr_equal(recorded(0)->resource, recorded(1)->resource);
    pipe_close(&f);
}

static uint64_t MEMORY;

static uint64_t memory(void)
{
    return MEMORY;
}

static void test_memory_limiter_refuses_while_memory_is_full(void **state)
{
    sx_error err = {0};
    sx_fake_clock clock;
    collector *c;
    span_sink sink;
    (void)state;
    sx_fake_clock_init(&clock, 1700000000000);
    collector_settings *s =
        settings_with("  memory_limiter: {check_interval: 1s, limit_mib: 100, spike_limit_mib: 20}",
                      "[memory_limiter]");
    collector_host host = {
        .exporters = &RECORDERS, .no_threads = true, .clock = &clock.clock, .memory_bytes = memory};
    assert_int_equal(collector_new(s, &host, &c, &err), SX_OK);
    assert_int_equal(collector_sink(c, SX_STR("otlp"), "grpc", &sink, &err), SX_OK);
    span_batch *b = span_batch_new(0);
    add_span(b, "shop", "a", 1);
    MEMORY = 80 << 20;
    assert_int_equal(sink.take(sink.ctx, b, &err), SX_OK);
    MEMORY = 81 << 20;
    assert_int_equal(sink.take(sink.ctx, b, &err), SX_OK); /* not looked at yet */
    collector_run(c);
    assert_int_equal(recorded_spans(), 2);
    sx_fake_clock_advance(&clock, 1000);
    assert_int_equal(sink.take(sink.ctx, b, &err), SX_ELIMIT);
    MEMORY = 10 << 20;
    sx_fake_clock_advance(&clock, 1000);
    assert_int_equal(sink.take(sink.ctx, b, &err), SX_OK);
    collector_run(c);
    assert_int_equal(recorded_spans(), 3);
    span_batch_unref(b);
    collector_free(c);
    collector_settings_unref(s);
    recorder_clear();
}

static void test_bad_settings_are_refused(void **state)
{
    static const refused_settings BAD[] = {
        {"attributes: {actions: [{action: insert, value: 1}]}", "missing required field \"key\""},
        {"attributes: {actions: [{key: a, action: insert}]}", "one of value and from_attribute"},
        {"attributes: {actions: [{key: a, action: blow}]}", "unsupported action \"blow\""},
        {"attributes: {actions: [{key: a, action: extract, pattern: 'a(b)'}]}", "named groups"},
        {"attributes: {actions: [{key: a, action: delete, pattern: '('}]}", "c.yml:3:"},
        {"attributes: {actions: [{key: a, action: convert, converted_type: bool}]}",
         "converted_type \"bool\""},
        {"attributes: {actions: [{key: a, action: insert, from_context: metadata.x}]}",
         "not kept with its spans"},
        {"attributes: {include: {match_type: fuzzy, services: [a]}, actions: [{key: a, action: "
         "delete}]}",
         "match_type \"fuzzy\""},
        {"attributes: {include: {match_type: strict}, actions: [{key: a, action: delete}]}",
         "at least one of services"},
        {"resource: {}", "missing required field \"attributes\""},
        {"memory_limiter: {limit_mib: 5}", "'check_interval'"},
        {"memory_limiter: {check_interval: 1s}", "'limit_mib'"},
        {"memory_limiter: {check_interval: 1s, limit_mib: 5, spike_limit_mib: 5}",
         "must be smaller"},
    };
    (void)state;
    assert_refused(BAD, SX_COUNT_OF(BAD), " {", "}", "c.yml:3:");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions_on_attributes),
        cmocka_unit_test(test_include_and_exclude),
        cmocka_unit_test(test_a_resource_is_changed_once_for_all),
        cmocka_unit_test(test_memory_limiter_refuses_while_memory_is_full),
        cmocka_unit_test(test_bad_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
