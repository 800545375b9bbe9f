/* test_proto.c - Jaeger's protobuf messages: spans written and read back, requests whole, broken and cut
 * short, traces as OTLP, summaries, filters. */
#include "tests/unit/observe/jaeger/batch_of.h"

#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "base/fault.h"
#include "codec/go_text.h"
#include "observe/jaeger/proto.h"
#include "observe/jaeger/proto_words.h"
#include "observe/spans/jaeger.h"

static const char SPANS[] =
    BATCH("{'resource':{'attributes':[" TEXT_ATTR("service.name", "shop") "," INT_ATTR(
        "cpus",
        "4") "]},"
             "'scopeSpans':[{'scope':{'name':'lib','version':'2'},'spans':["
             "{" TRACE ",'spanId':'00000000000000a1','name':'GET /','kind':2,"
             "'startTimeUnixNano':'1000000001','endTimeUnixNano':'3000000005',"
             "'traceState':'v=o','status':{'code':2,'message':'boom'},"
             "'attributes':[" INT_ATTR("n", "-7") "," TEXT_ATTR(
                 "t",
                 "x") ",{'key':'d','value':{'doubleValue':72.5}},"
                      "{'key':'yes','value':{'boolValue':true}},"
                      "{'key':'no','value':{'boolValue':false}},"
                      "{'key':'raw','value':{'bytesValue':'AP9/'}}],"
                      "'events':[{'name':'retry','timeUnixNano':'2000000000',"
                      "'attributes':[" TEXT_ATTR(
                          "reason",
                          "slow") "]}],"
                                  "'links':[{'traceId':"
                                  "'11111111111111111111111111111111',"
                                  "'spanId':'2222222222222222'}]},"
                                  "{" TRACE ",'spanId':'00000000000000a2',"
                                  "'parentSpanId':'00000000000000a1','name':'b',"
                                  "'startTimeUnixNano':'1500000000',"
                                  "'endTimeUnixNano':'1600000000'}]}]},"
                                  "{'resource':{'attributes':[" TEXT_ATTR(
                                      "service.name",
                                      "bank") "]},'scopeSpans':[{'spans':[{" TRACE
                                              ",'spanId':'00000000000000a3','parentSpanId':'00000000000000ff','name':'c',"
                                              "'startTimeUnixNano':'1400000000','endTimeUnixNano':'1700000000',"
                                              "'status':{'code':2}}]}]}");

/* ---- spans ---- */

static void a_span_comes_back_as_it_was(void **state)
{
    (void)state;
    sx_error err = {0};
    span_refused refused = {0};
    sx_buf out;
    span_batch *b = batch_of(SPANS), *back = span_batch_new(0);
    sx_buf_init(&out, 0);
    size_t batch = sx_pb_begin(&out, 1); /* of a PostSpansRequest */
    for (size_t i = 0; i < b->count; i++)
        jaeger_put_span(&out, 1, b->spans[i], NULL);
    sx_pb_end(&out, batch);
    assert_int_equal(span_read_jaeger_proto(sx_buf_view(&out), NULL, back, &refused, &err), SX_OK);
    assert_int_equal(refused.spans, 0);
    assert_int_equal(back->count, b->count);
    for (size_t i = 0; i < b->count; i++) {
        const span *was = b->spans[i], *is = back->spans[i];
        assert_memory_equal(is->trace_id, was->trace_id, 16);
        assert_memory_equal(is->id, was->id, 8);
        assert_memory_equal(is->parent, was->parent, 8);
        assert_true(sx_str_eq(is->name, was->name));
        assert_int_equal(is->start_ns, was->start_ns);
        assert_int_equal(is->end_ns, was->end_ns);
        assert_int_equal(is->kind, was->kind);
        assert_int_equal(is->status, was->status);
        assert_true(sx_str_eq(is->status_message, was->status_message));
        assert_true(sx_str_eq(is->trace_state, was->trace_state));
        assert_true(sx_str_eq(is->resource->service, was->resource->service));
        assert_true(sx_str_eq(is->scope->name, was->scope->name));
        assert_int_equal(is->attrs.count, was->attrs.count);
        for (uint32_t k = 0; k < was->attrs.count; k++) {
            const span_value *v = span_attrs_find(is->attrs, span_attr_key(&was->attrs.items[k]));
            assert_non_null(v);
            assert_true(span_value_eq(v, &was->attrs.items[k].value));
        }
        assert_int_equal(is->event_count, was->event_count);
        assert_int_equal(is->link_count, was->link_count);
    }
    assert_true(sx_str_eq(back->spans[0]->events[0].name, SX_STR("retry")));
    assert_int_equal(back->spans[0]->links[0].trace_id[0], 0x11);
    sx_buf_done(&out);
    span_batch_unref(b);
    span_batch_unref(back);
}

static bool holds(const sx_buf *b, const char *text)
{
    return memmem(b->data, b->len, text, strlen(text)) != NULL;
}

static void warnings_have_their_own_field(void **state)
{
    (void)state;
    sx_error err = {0};
    const sx_str NOTES[] = {SX_STR_INIT("clock skew")};
    const jaeger_notes notes[3] = {{NOTES, 1}, {NULL, 0}, {NULL, 0}};
    sx_buf out;
    span_batch *b = batch_of(SPANS);
    sx_buf_init(&out, 0);
    jaeger_put_span(&out, 1, b->spans[0], &notes[0]);
    assert_true(holds(&out, "clock skew"));
    sx_buf_clear(&out);
    assert_int_equal(jaeger_group(b, notes, &err), SX_OK);
    const span_value *kept = span_attrs_find(b->spans[0]->attrs, SX_STR("@jaeger@warnings"));
    assert_non_null(kept);
    assert_int_equal(kept->type, SPAN_LIST);
    assert_int_equal(kept->len, 1);
    jaeger_put_span(&out, 1, b->spans[0], NULL); /* back in the field, not among the tags */
    assert_true(holds(&out, "clock skew"));
    assert_false(holds(&out, "@jaeger@warnings"));
    sx_buf_done(&out);
    span_batch_unref(b);
}

/* ---- requests ---- */

static void put_moment(sx_buf *out, uint32_t field, int64_t seconds, uint64_t nanos)
{
    size_t mark = sx_pb_begin(out, field);
    sx_pb_put_i64(out, 1, seconds);
    sx_pb_put_u64(out, 2, nanos);
    sx_pb_end(out, mark);
}

static void put_query(sx_buf *out, jaeger_dialect dialect)
{
    size_t query = sx_pb_begin(out, 1);
    sx_pb_put_str(out, 1, SX_STR("shop"));
    sx_pb_put_str(out, 2, SX_STR("GET /"));
    size_t tag = sx_pb_begin(out, 3);
    sx_pb_put_str(out, 1, SX_STR("n"));
    if (dialect == JAEGER_STORAGE) {
        size_t any = sx_pb_begin(out, 2);
        sx_pb_put_i64(out, 3, -7);
        sx_pb_end(out, any);
    } else {
        sx_pb_put_str(out, 2, SX_STR("-7"));
    }
    sx_pb_end(out, tag);
    put_moment(out, 4, 10, 5);
    put_moment(out, 5, 20, 0);
    put_moment(out, 6, 0, 1000);
    put_moment(out, 7, 2, 0);
    sx_pb_put_u64(out, 8, 25);
    if (dialect != JAEGER_STORAGE)
        sx_pb_put_u64(out, 9, 1);
    sx_pb_end(out, query);
}

static void searches_are_read_in_all_dialects(void **state)
{
    (void)state;
    for (jaeger_dialect d = JAEGER_V2; d <= JAEGER_STORAGE; d++) {
        sx_error err = {0};
        sx_arena arena;
        sx_buf out;
        jaeger_question q;
        sx_arena_init(&arena, 0, 0);
        sx_buf_init(&out, 0);
        put_query(&out, d);
        assert_int_equal(jaeger_read_question(sx_buf_view(&out), d, &arena, &q, &err), SX_OK);
        assert_true(q.asked && q.min.set && q.max.set);
        assert_true(sx_str_eq(q.search.service, SX_STR("shop")));
        assert_true(sx_str_eq(q.search.operation, SX_STR("GET /")));
        assert_int_equal(q.search.tag_count, 1);
        assert_true(sx_str_eq(q.search.tags[0].key, SX_STR("n")));
        assert_true(sx_str_eq(q.search.tags[0].value, SX_STR("-7")));
        assert_int_equal(q.search.min_ns, 10000000005u);
        assert_int_equal(q.search.max_ns, 20000000000u);
        assert_int_equal(q.search.min_duration_ns, 1000);
        assert_int_equal(q.search.max_duration_ns, 2000000000);
        assert_int_equal(q.search.limit, 25);
        assert_int_equal(q.raw, d != JAEGER_STORAGE);
        for (size_t cut = 1; cut < out.len; cut++) { /* none of them crashes; most are refused */
            sx_arena_reset(&arena);
            jaeger_read_question(sx_str_of(out.data, cut), d, &arena, &q, &err);
        }
        sx_buf_done(&out);
        sx_arena_done(&arena);
    }
}

static void go_zero_times_are_none(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_buf out;
    jaeger_moment min, max;
    sx_buf_init(&out, 0);
    put_moment(&out, 1, -62135596800ll, 0);
    put_moment(&out, 2, -5, 0);
    assert_int_equal(jaeger_read_span_of_time(sx_buf_view(&out), &min, &max, &err), SX_OK);
    assert_false(min.set);
    assert_true(max.set && max.ns == 0);
    sx_buf_clear(&out);
    put_moment(&out, 1, INT64_MAX, 0);
    assert_int_equal(jaeger_read_span_of_time(sx_buf_view(&out), &min, &max, &err), SX_OK);
    assert_true(min.set && min.ns == UINT64_MAX);
    assert_false(max.set);
    sx_buf_done(&out);
}

static void ids_are_read_and_refused(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_buf out;
    jaeger_wanted w;
    sx_buf_init(&out, 0);
    sx_pb_put_str(&out, 1, SX_STR("\1\2\3\4\5\6\7\10"));
    sx_pb_put_u64(&out, 4, 1);
    assert_int_equal(jaeger_read_wanted(sx_buf_view(&out), JAEGER_V2, &w, &err), SX_OK);
    assert_int_equal(w.trace_id[7], 0);
    assert_int_equal(w.trace_id[8], 1);
    assert_true(w.raw);
    sx_buf_clear(&out);
    sx_pb_put_str(&out, 1, SX_STR("ABC"));
    assert_int_equal(jaeger_read_wanted(sx_buf_view(&out), JAEGER_V3, &w, &err), SX_OK);
    assert_int_equal(w.trace_id[15], 0xbc);
    assert_int_equal(jaeger_read_wanted(sx_buf_view(&out), JAEGER_STORAGE, &w, &err), SX_EINVAL);
    assert_int_equal(jaeger_read_wanted(SX_STR("\x0a\x05"
                                               "ab"),
                                        JAEGER_V2, &w, &err),
                     SX_EFORMAT);
    sx_buf_done(&out);
}

/* ---- OTLP ---- */

typedef struct counted {
    size_t messages, spans, resources;
} counted;

static bool count_message(void *ctx, sx_str message)
{
    counted *c = ctx;
    sx_error err = {0};
    span_batch *b = span_batch_new(0);
    span_refused refused = {0};
    assert_int_equal(span_read_otlp(message, NULL, b, &refused, &err), SX_OK);
    c->messages++;
    c->spans += b->count;
    for (size_t i = 0; i < b->count; i++)
        c->resources += i == 0 || b->spans[i]->resource != b->spans[i - 1]->resource;
    span_batch_unref(b);
    return true;
}

static counted write_all(const span_batch *b, size_t bytes_max)
{
    counted c = {0};
    sx_error err = {0};
    sx_buf space;
    sx_buf_init(&space, 0);
    assert_int_equal(jaeger_write_otlp(b, bytes_max, &space, count_message, &c, &err), SX_OK);
    sx_buf_done(&space);
    return c;
}

/* Spans of two resources by turns, each made anew: the store's answer from several segments. */
static void equal_resources_become_one(void **state)
{
    (void)state;
    sx_error err = {0};
    span_batch *all = span_batch_new(0), *parts[4];
    for (size_t i = 0; i < 4; i++) {
        parts[i] = batch_of(SPANS);
        assert_int_equal(span_batch_hold(all, parts[i], &err), SX_OK);
        for (size_t k = 0; k < parts[i]->count; k++)
            assert_int_equal(span_batch_put(all, parts[i]->spans[k], &err), SX_OK);
        span_batch_unref(parts[i]);
    }
    assert_int_equal(write_all(all, 1 << 20).resources, 8);
    assert_int_equal(jaeger_group(all, NULL, &err), SX_OK);
    counted whole = write_all(all, 1 << 20), small = write_all(all, 1);
    assert_int_equal(whole.messages, 1);
    assert_int_equal(whole.spans, 12);
    assert_int_equal(whole.resources, 2);
    assert_int_equal(small.messages, 12);
    assert_int_equal(small.spans, 12);
    span_batch_unref(all);
}

static void a_trace_is_summed_up(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_buf out;
    span_batch *b = batch_of(SPANS);
    sx_buf_init(&out, 0);
    assert_int_equal(jaeger_put_summary(&out, 1, JAEGER_V3, b, &b->arena, &err), SX_OK);
    sx_pb_reader r;
    uint64_t numbers[9] = {0};
    size_t services = 0;
    sx_pb_init(&r, sx_buf_view(&out));
    assert_true(sx_pb_next(&r));
    sx_pb_enter(&r);
    while (sx_pb_next(&r)) {
        uint32_t field = sx_pb_field(&r);
        if (field == 1)
            assert_true(sx_str_eq(sx_pb_bytes(&r), SX_STR("0af7651916cd43dd8448eb211c80319c")));
        else if (field == 2)
            assert_true(sx_str_eq(sx_pb_bytes(&r), SX_STR("shop")));
        else if (field == 3)
            assert_true(sx_str_eq(sx_pb_bytes(&r), SX_STR("GET /")));
        else if (field == 4 || field == 5)
            numbers[field] = sx_pb_fixed64(&r);
        else if (field < 9)
            numbers[field] = sx_pb_varint(&r);
        else
            services++, sx_pb_skip(&r);
    }
    assert_int_equal(numbers[4], 1000000001);
    assert_int_equal(numbers[5], 3000000005);
    assert_int_equal(numbers[6], 3);
    assert_int_equal(numbers[7], 2);
    assert_int_equal(numbers[8], 1);
    assert_int_equal(services, 2);
    sx_buf_done(&out);
    span_batch_unref(b);
}

/* ---- filters ---- */

/* Which spans of SPANS a filter in JSON (with ' for ") finds, as bits; -1: refused. */
static int by_filter(const char *json, sx_error *err)
{
    sx_arena arena;
    sx_buf text, message;
    jaeger_regexes regexes = {0};
    const span_filter *f;
    int bits = -1;
    span_batch *b = batch_of(SPANS);
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&text, 0);
    sx_buf_init(&message, 0);
    for (const char *c = json; *c; c++)
        sx_buf_byte(&text, *c == '\'' ? '"' : *c);
    sx_status status = jaeger_filter_from_json(sx_buf_view(&text), &arena, &message, err);
    if (status == SX_OK)
        status = jaeger_filter_read(sx_buf_view(&message), &arena, &regexes, &f, err);
    if (status == SX_OK)
        bits = 0;
    for (size_t i = 0; status == SX_OK && i < b->count; i++)
        bits |= span_filter_match(f, b->spans[i]) << i;
    for (size_t cut = 0; status == SX_OK && cut < message.len; cut++) {
        sx_error ignored = {0};
        jaeger_filter_read(sx_str_of(message.data, cut), &arena, &regexes, &f, &ignored);
    }
    jaeger_regexes_done(&regexes);
    sx_buf_done(&message);
    sx_buf_done(&text);
    sx_arena_done(&arena);
    span_batch_unref(b);
    return bits;
}

#define FIELD(level, name) "{'field':{'level':'" level "','name':'" name "'}}"
#define ATTR(key)          "{'attr':{'key':'" key "'}}"
#define SCALAR(value)      "{'scalar':{'value':'" value "'}}"
#define TYPED(value, type) "{'scalar':{'value':'" value "','type':'" type "'}}"
#define CALL(op, args)     "{'op':'" op "','args':[" args "]}"
#define ARG(call)          "{'call':" call "}"

static void filters_are_the_rfcs(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int found; /* bits; -1: refused */
    } CASES[] = {
        {CALL("eq", FIELD("resource", "service") "," SCALAR("shop")), 3},
        {CALL("ne", FIELD("resource", "service") "," SCALAR("shop")), 4},
        {CALL("eq", FIELD("span", "status") "," SCALAR("error")), 5},
        {CALL("eq", FIELD("span", "kind") "," SCALAR("server")), 1},
        {CALL("gt", FIELD("span", "duration") "," SCALAR("100ms")), 5},
        {CALL("gte", FIELD("span", "duration") "," SCALAR("100ms")), 7},
        {CALL("lt", SCALAR("1s") "," FIELD("span", "duration")), 1}, /* turned round */
        {CALL("regex", FIELD("span", "name") "," SCALAR("ET")), 1},
        {CALL("eq", ATTR("n") "," SCALAR("-7")), 1},
        {CALL("eq", ATTR("n") "," TYPED("-7", "int")), 1},
        {CALL("eq", ATTR("n") "," TYPED("-7", "string")), 0},
        {CALL("lt", ATTR("n") "," SCALAR("0")), 1},
        {CALL("eq", ATTR("cpus") "," SCALAR("4")), 3},
        {CALL("ne", ATTR("t") "," SCALAR("y")), 1},
        {CALL("not", ARG(CALL("eq", ATTR("t") "," SCALAR("y")))), 7},
        {CALL("exists", ATTR("d")), 1},
        {CALL("in", ATTR("d") ",{'list':{'values':['1','72.5'],'type':'double'}}"), 1},
        {CALL("not_in", FIELD("span", "name") ",{'list':{'values':['b','c']}}"), 1},
        {CALL("and", ARG(CALL("exists", ATTR("d"))) "," ARG(
                         CALL("eq", FIELD("span", "name") "," SCALAR("GET /")))),
         1},
        {CALL("or", ARG(CALL("exists", ATTR("d"))) "," ARG(
                        CALL("eq", FIELD("span", "name") "," SCALAR("c")))),
         5},
        {CALL("some", "{'nested':{'level':'event'}}," ARG(
                          CALL("eq", FIELD("event", "name") "," SCALAR("retry")))),
         1},
        {CALL("eq", FIELD("span", "name") "," FIELD("resource", "service")), -1},
        {CALL("eq", FIELD("span", "colour") "," SCALAR("x")), -1},
        {CALL("gt", FIELD("span", "duration") "," SCALAR("fast")), -1},
        {CALL("regex", FIELD("span", "name") "," SCALAR("(")), -1},
        {CALL("eq", SCALAR("x")), -1},
        {CALL("like", ATTR("x") "," SCALAR("x")), -1},
        {CALL("not", ATTR("x")), -1},
        {"{'op':'and','args':[{}]}", -1},
        {"[]", -1},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_error err = {0};
        int got = by_filter(CASES[i].json, &err);
        if (got != CASES[i].found)
            fail_msg("%s: %d, not %d (%s)", CASES[i].json, got, CASES[i].found, err.message);
        if (got < 0)
            assert_true(err.message[0] != '\0');
    }
}

static void deep_filters_are_refused(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_arena arena;
    sx_buf in, out;
    jaeger_regexes regexes = {0};
    const span_filter *f;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&in, 0);
    sx_buf_init(&out, 0);
    for (int i = 0; i < 90; i++) {
        sx_buf_clear(&out);
        sx_pb_put_str(&out, 1, SX_STR("not"));
        size_t arg = sx_pb_begin(&out, 2);
        sx_pb_put_str(&out, 6, sx_buf_view(&in));
        sx_pb_end(&out, arg);
        sx_buf_clear(&in);
        sx_buf_str(&in, sx_buf_view(&out));
    }
    assert_int_equal(jaeger_filter_read(sx_buf_view(&in), &arena, &regexes, &f, &err), SX_ELIMIT);
    jaeger_regexes_done(&regexes);
    sx_buf_done(&in);
    sx_buf_done(&out);
    sx_arena_done(&arena);
}

/* ---- words ---- */

static void times_and_durations_are_gos(void **state)
{
    (void)state;
    sx_error err = {0};
    int64_t ns;
    assert_int_equal(jaeger_time_read(SX_STR("1970-01-01T00:00:01.5Z"), &ns, &err), SX_OK);
    assert_int_equal(ns, 1500000000);
    assert_int_equal(jaeger_time_read(SX_STR("2024-02-29T12:00:00.123456789+01:30"), &ns, &err),
                     SX_OK);
    assert_int_equal(ns, 1709202600123456789);
    assert_int_equal(jaeger_time_read(SX_STR("2023-02-29T12:00:00Z"), &ns, &err), SX_EINVAL);
    assert_string_equal(err.message, "parsing time \"2023-02-29T12:00:00Z\": day out of range");
    assert_int_equal(jaeger_time_read(SX_STR("2023-02-28 12:00:00Z"), &ns, &err), SX_EINVAL);
    assert_int_equal(jaeger_time_read(SX_STR("2023-02-28T12:00:00Zx"), &ns, &err), SX_EINVAL);
    assert_int_equal(jaeger_time_read(SX_STR("9999-01-01T00:00:00Z"), &ns, &err), SX_OK);
    assert_int_equal(ns, INT64_MAX);
    assert_int_equal(go_duration_read(SX_STR("1h2m3.5s"), &ns, &err), SX_OK);
    assert_int_equal(ns, 3723500000000);
    assert_int_equal(go_duration_read(SX_STR("-1.5ms"), &ns, &err), SX_OK);
    assert_int_equal(ns, -1500000);
    assert_int_equal(go_duration_read(SX_STR("10"), &ns, &err), SX_EINVAL);
    assert_string_equal(err.message, "time: missing unit in duration \"10\"");
    assert_int_equal(go_duration_read(SX_STR("s"), &ns, &err), SX_EINVAL);
    assert_int_equal(go_duration_read(SX_STR(""), &ns, &err), SX_EINVAL);
}

/* ---- memory ---- */

/* What the answers are made by, with the nth allocation failing from the reading on; `b` is consumed. */
static sx_status answer_with(int64_t nth, span_batch *b, const sx_buf *query)
{
    sx_error err = {0};
    sx_arena arena;
    sx_buf out;
    jaeger_question q;
    const jaeger_notes *notes;
    sx_arena_init(&arena, 256, 0);
    sx_buf_init(&out, 0);
    sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
    sx_status status = jaeger_read_question(sx_buf_view(query), JAEGER_STORAGE, &arena, &q, &err);
    if (status == SX_OK)
        status = jaeger_adjust(b, 0, &notes, &err);
    if (status == SX_OK)
        status = jaeger_group(b, notes, &err);
    if (status == SX_OK)
        status = jaeger_put_summary(&out, 1, JAEGER_V2, b, &arena, &err);
    for (size_t i = 0; status == SX_OK && i < b->count; i++)
        jaeger_put_span(&out, 1, b->spans[i], NULL);
    if (status == SX_OK)
        status = sx_buf_status(&out, "an answer", &err);
    sx_buf_done(&out);
    sx_arena_done(&arena);
    return status;
}

static void every_failed_allocation_is_told(void **state)
{
    (void)state;
    sx_buf query;
    sx_status status = SX_ENOMEM;
    sx_buf_init(&query, 0);
    put_query(&query, JAEGER_STORAGE);
    for (int64_t nth = 1; status != SX_OK && nth < 10000; nth++) {
        span_batch *b = batch_of(SPANS);
        status = answer_with(nth, b, &query);
        sx_fault_alloc_set((sx_fault_alloc){0});
        span_batch_unref(b);
        assert_true(status == SX_OK || status == SX_ENOMEM);
    }
    assert_int_equal(status, SX_OK);
    sx_buf_done(&query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_comes_back_as_it_was),
        cmocka_unit_test(warnings_have_their_own_field),
        cmocka_unit_test(searches_are_read_in_all_dialects),
        cmocka_unit_test(go_zero_times_are_none),
        cmocka_unit_test(ids_are_read_and_refused),
        cmocka_unit_test(equal_resources_become_one),
        cmocka_unit_test(a_trace_is_summed_up),
        cmocka_unit_test(filters_are_the_rfcs),
        cmocka_unit_test(deep_filters_are_refused),
        cmocka_unit_test(times_and_durations_are_gos),
        cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
