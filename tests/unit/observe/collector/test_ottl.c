/* test_ottl.c - conditions and statements of OTTL, through the processors filter and transform. */
#include "tests/unit/observe/collector/spans.h"

/* YAML's single quotes double within themselves; conditions have none. */
static void send_span(pipe_fixture *f)
{
    static const span_event EVENTS[] = {{.time_ns = 5, .name = SX_STR_INIT("retry")},
                                        {.time_ns = 6, .name = SX_STR_INIT("done")}};
    span_batch *b = span_batch_new(0);
    assert_non_null(b);
    span *s = add_span(b, "shop", "GET /cart/42", 1);
    add_attr(b, s, "user", text_value("Ann Lee"));
    add_attr(b, s, "status", int_value(404));
    add_attr(b, s, "url", text_value("http://h/p?token=secret"));
    s->status = SPAN_ERROR;
    s->status_message = SX_STR("not found");
    s->events = EVENTS;
    s->event_count = 2;
    pipe_send(f, b);
}

/* Each with whether it holds for the span above. */
static const struct {
    const char *condition;
    bool holds;
} CONDITIONS[] = {
    {"name == \"GET /cart/42\"", true},
    {"span.name != \"GET /cart/42\"", false},
    {"attributes[\"status\"] == 404", true},
    {"attributes[\"status\"] >= 404.0", true},
    {"attributes[\"status\"] == \"404\"", false},
    {"attributes[\"status\"] > 400 and attributes[\"status\"] < 500", true},
    {"attributes[\"none\"] == nil", true},
    {"attributes[\"none\"] != nil or not IsRootSpan()", false},
    {"not (attributes[\"none\"] == nil)", false},
    {"resource.attributes[\"service.name\"] == \"shop\"", true},
    {"instrumentation_scope.name == \"scope\"", true},
    {"kind == SPAN_KIND_SERVER and kind.string == \"Server\"", true},
    {"status.code == STATUS_CODE_ERROR and status.message == \"not found\"", true},
    {"IsMatch(name, \"^GET /cart/\\\\d+$\")", true},
    {"IsMatch(attributes[\"status\"], \"^4\")", true},
    {"IsMatch(attributes[\"none\"], \".*\")", false},
    {"IsString(attributes[\"user\"]) and IsInt(attributes[\"status\"])", true},
    {"HasPrefix(name, \"GET\") and HasSuffix(name, \"42\")", true},
    {"Concat([name, attributes[\"status\"], nil], \"-\") == \"GET /cart/42-404-<nil>\"", true},
    {"Split(attributes[\"user\"], \" \")[1] == \"Lee\"", true},
    {"ConvertCase(attributes[\"user\"], \"lower\") == \"ann lee\"", true},
    {"ConvertCase(\"userName\", \"snake\") == \"user_name\"", true},
    {"ConvertCase(\"user_name\", \"camel\") == \"UserName\"", true},
    {"Len(attributes) == 3 and Len(name) == 12", true},
    {"Int(\"42\") + 1 == 43", true},
    {"Int(\"x\") == nil", true},
    {"Double(\"1.5\") * 2 == 3", true},
    {"(end_time_unix_nano - start_time_unix_nano) > 9000000", true},
    {"end_time - start_time == Duration(\"10ms\")", true},
    {"Milliseconds(end_time - start_time) == 10", true},
    {"Substring(name, 0, 3) == \"GET\"", true},
    {"trace_id == TraceID(0x01000000000000000000000000000025)", true},
    {"span_id.string == \"0000000000000001\"", true},
    {"parent_span_id == SpanID(0x0000000000000000)", true},
    {"String(404) == \"404\" and true", true},
    {"2 + 3 * 4 == 14 and (2 + 3) * 4 == 20 and 7 / 2 == 3", true},
    {"-1 < 0", true},
};

static void test_conditions(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CONDITIONS); i++) {
        pipe_fixture f;
        char text[1024];
        snprintf(text, sizeof(text), "  filter: {traces: {span: ['%s']}}", CONDITIONS[i].condition);
        pipe_open(&f, text, "[filter]");
        send_span(&f);
        if ((recorded_spans() == 0) != CONDITIONS[i].holds)
            fail_msg("%s: %d", CONDITIONS[i].condition, !CONDITIONS[i].holds);
        pipe_close(&f);
    }
}

/* Each with the attributes it leaves. */
static const struct {
    const char *statement, *expected;
} STATEMENTS[] = {
    {"set(attributes[\"env\"], \"prod\")",
     "user=Ann Lee status=404 url=http://h/p?token=secret env=prod"},
    {"set(attributes[\"env\"], nil)", "user=Ann Lee status=404 url=http://h/p?token=secret"},
    {"set(attributes[\"user\"], \"x\") where attributes[\"status\"] == 200",
     "user=Ann Lee status=404 url=http://h/p?token=secret"},
    {"set(attributes[\"user\"], resource.attributes[\"service.name\"]) where name != \"\"",
     "user=shop status=404 url=http://h/p?token=secret"},
    {"delete_key(attributes, \"url\")", "user=Ann Lee status=404"},
    {"delete_matching_keys(attributes, \"^u\")", "status=404"},
    {"keep_keys(attributes, [\"user\", \"none\"])", "user=Ann Lee"},
    {"keep_matching_keys(attributes, \"^s\")", "status=404"},
    {"replace_pattern(attributes[\"url\"], \"token=(\\\\w)\\\\w*\", \"token=$${1}*\")",
     "user=Ann Lee status=404 url=http://h/p?token=s*"},
    {"replace_all_patterns(attributes, \"value\", \"[A-Z]\", \"_\")",
     "user=_nn _ee status=404 url=http://h/p?token=secret"},
    {"replace_all_patterns(attributes, \"key\", \"^u\", \"U\")",
     "User=Ann Lee status=404 Url=http://h/p?token=secret"},
    {"replace_match(attributes[\"user\"], \"Ann*\", \"someone\")",
     "user=someone status=404 url=http://h/p?token=secret"},
    {"replace_all_matches(attributes, \"*e*\", \"?\")", "user=? status=404 url=?"},
    {"truncate_all(attributes, 4)", "user=Ann  status=404 url=http"},
    {"limit(attributes, 2, [\"url\"])", "user=Ann Lee url=http://h/p?token=secret"},
    {"limit(attributes, 1, [])", "user=Ann Lee"},
    {"merge_maps(attributes, resource.attributes, \"insert\")",
     "user=Ann Lee status=404 url=http://h/p?token=secret service.name=shop"},
    {"set(attributes, resource.attributes)", "service.name=shop"},
};

static void test_statements(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(STATEMENTS); i++) {
        pipe_fixture f;
        char text[1024];
        snprintf(text, sizeof(text),
                 "  transform: {trace_statements: [{context: span, statements: ['%s']}]}",
                 STATEMENTS[i].statement);
        pipe_open(&f, text, "[transform]");
        send_span(&f);
        const char *got = attrs_text(recorded(0)->attrs);
        if (strcmp(got, STATEMENTS[i].expected) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", STATEMENTS[i].statement, got,
                     STATEMENTS[i].expected);
        pipe_close(&f);
    }
}

static void test_fields_events_scopes_and_resources_are_set(void **state)
{
    pipe_fixture f;
    (void)state;
    pipe_open(&f,
              "  transform:\n    trace_statements:\n"
              "      - set(span.name, \"x\")\n"
              "      - set(span.status.code, STATUS_CODE_OK)\n"
              "      - set(span.kind, SPAN_KIND_CLIENT)\n"
              "      - set(resource.attributes[\"env\"], \"prod\")\n"
              "      - set(scope.name, \"lib\")\n"
              "      - context: spanevent\n"
              "        conditions: ['name == \"retry\"']\n"
              "        statements: ['set(attributes[\"of\"], span.name)']\n",
              "[transform]");
    send_span(&f);
    const span *s = recorded(0);
    assert_true(sx_str_eq(s->name, SX_STR("x")));
    assert_int_equal(s->status, SPAN_OK);
    assert_int_equal(s->kind, SPAN_CLIENT);
    assert_string_equal(attrs_text(s->resource->attrs), "service.name=shop env=prod");
    assert_true(sx_str_eq(s->scope->name, SX_STR("lib")));
    assert_string_equal(attrs_text(s->events[0].attrs), "of=x");
    assert_int_equal(s->events[1].attrs.count, 0);
    pipe_close(&f);
}

static void test_filter_leaves_events_out(void **state)
{
    pipe_fixture f;
    (void)state;
    pipe_open(&f, "  filter: {traces: {spanevent: ['name == \"retry\"']}}", "[filter]");
    send_span(&f);
    assert_int_equal(recorded(0)->event_count, 1);
    assert_true(sx_str_eq(recorded(0)->events[0].name, SX_STR("done")));
    pipe_close(&f);
}

static void test_filter_takes_include_and_exclude(void **state)
{
    pipe_fixture f;
    (void)state;
    pipe_open(&f, "  filter: {spans: {exclude: {match_type: regexp, span_names: ['^GET']}}}",
              "[filter]");
    send_span(&f);
    assert_int_equal(recorded_spans(), 0);
    pipe_close(&f);
}

static void test_an_error_drops_the_batch_unless_it_is_to_be_ignored(void **state)
{
    pipe_fixture f;
    (void)state;
    pipe_open(&f, "  filter: {traces: {span: ['Substring(name, 0, 99) == \"x\"']}}", "[filter]");
    send_span(&f);
    assert_int_equal(recorded_spans(), 0);
    pipe_close(&f);
    pipe_open(&f,
              "  filter: {error_mode: ignore, traces: {span: ['Substring(name, 0, 99) == \"x\"']}}",
              "[filter]");
    send_span(&f);
    assert_int_equal(recorded_spans(), 1);
    pipe_close(&f);
}

static void test_bad_statements_are_refused_where_they_stand(void **state)
{
    static const refused_settings BAD[] = {
        {"Frobnicate(attributes)", "unknown function"},
        {"set(attributes[\"a\"], Frobnicate(1))", "unknown function"},
        {"set(colour, 1)", "there is no such path"},
        {"set(attributes[\"a\"], 1", "expected , or )"},
        {"set(attributes[\"a\"], \"x)", "no closing"},
        {"set(attributes[\"a\"])", "another number of arguments"},
        {"set(1, 2)", "changes a path"},
        {"delete_key(name, \"a\")", "changes attributes as a whole"},
        {"set(name, \"a\") where", "expected a value"},
        {"set(name, \"a\") garbage", "expected the end"},
        {"set(name, IsMatch(name, \"(\"))", "missing )"},
        {"set(name, IsMatch(name, name))", "must be a text"},
        {"set(name, set(name, \"a\"))", "an editor stands alone"},
        {"set(name, 0x123)", "even number"},
    };
    (void)state;
    assert_refused(BAD, SX_COUNT_OF(BAD), "\n  transform:\n    trace_statements:\n    - '", "'",
                   "c.yml:6:7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_fields_events_scopes_and_resources_are_set),
        cmocka_unit_test(test_filter_leaves_events_out),
        cmocka_unit_test(test_filter_takes_include_and_exclude),
        cmocka_unit_test(test_an_error_drops_the_batch_unless_it_is_to_be_ignored),
        cmocka_unit_test(test_bad_statements_are_refused_where_they_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
