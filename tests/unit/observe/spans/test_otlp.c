/* test_otlp.c - OTLP spans read and written: nothing lost either way, what is refused and what is cut,
 * broken bytes, failing memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "base/fault.h"
#include "observe/spans/otlp.h"
#include "tests/unit/observe/spans/sample.h"

static span_batch *sample(void)
{
    sx_error err;
    span_batch *b = span_batch_new(0);
    assert_non_null(b);
    for (size_t i = 0; i < sizeof(SAMPLE_SPANS) / sizeof(*SAMPLE_SPANS); i++)
        assert_int_equal(span_batch_put(b, &SAMPLE_SPANS[i], &err), SX_OK);
    return b;
}

static void assert_str(sx_str a, sx_str b)
{
    assert_true(sx_str_eq(a, b));
}

static void assert_attrs(span_attrs a, span_attrs b)
{
    assert_int_equal(a.count, b.count);
    assert_int_equal(a.dropped, b.dropped);
    for (uint32_t i = 0; i < a.count; i++) {
        assert_str(span_attr_key(&a.items[i]), span_attr_key(&b.items[i]));
        assert_true(span_value_eq(&a.items[i].value, &b.items[i].value));
    }
}

static void assert_span(const span *a, const span *b)
{
    assert_memory_equal(a->trace_id, b->trace_id, 16);
    assert_memory_equal(a->id, b->id, 8);
    assert_memory_equal(a->parent, b->parent, 8);
    assert_int_equal(a->start_ns, b->start_ns);
    assert_int_equal(a->end_ns, b->end_ns);
    assert_str(a->name, b->name);
    assert_str(a->trace_state, b->trace_state);
    assert_str(a->status_message, b->status_message);
    assert_attrs(a->attrs, b->attrs);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->event_count, b->event_count);
    assert_int_equal(a->dropped_events, b->dropped_events);
    for (uint32_t i = 0; i < a->event_count; i++) {
        assert_int_equal(a->events[i].time_ns, b->events[i].time_ns);
        assert_str(a->events[i].name, b->events[i].name);
        assert_attrs(a->events[i].attrs, b->events[i].attrs);
    }
    assert_int_equal(a->link_count, b->link_count);
    assert_int_equal(a->dropped_links, b->dropped_links);
    for (uint32_t i = 0; i < a->link_count; i++) {
        assert_memory_equal(a->links[i].trace_id, b->links[i].trace_id, 16);
        assert_memory_equal(a->links[i].span_id, b->links[i].span_id, 8);
        assert_str(a->links[i].trace_state, b->links[i].trace_state);
        assert_int_equal(a->links[i].flags, b->links[i].flags);
        assert_attrs(a->links[i].attrs, b->links[i].attrs);
    }
    assert_str(a->resource->service, b->resource->service);
    assert_str(a->resource->schema_url, b->resource->schema_url);
    assert_attrs(a->resource->attrs, b->resource->attrs);
    assert_str(a->scope->name, b->scope->name);
    assert_str(a->scope->version, b->scope->version);
    assert_attrs(a->scope->attrs, b->scope->attrs);
}

static void written_and_read_back(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        sx_error err;
        sx_buf bytes;
        sx_buf_init(&bytes, 0);
        span_batch *b = sample(), *back = span_batch_new(0);
        span_refused refused = {0};
        (json ? span_write_otlp_json : span_write_otlp)(b, &bytes);
        assert_false(bytes.failed);
        assert_int_equal((json ? span_read_otlp_json : span_read_otlp)(sx_buf_view(&bytes), NULL,
                                                                       back, &refused, &err),
                         SX_OK);
        assert_int_equal(refused.spans, 0);
        assert_int_equal(back->count, b->count);
        for (size_t i = 0; i < b->count; i++)
            assert_span(back->spans[i], b->spans[i]);
        assert_true(back->otlp.len > 0);
        span_batch_unref(b);
        span_batch_unref(back);
        sx_buf_done(&bytes);
    }
}

static void cut_at_every_byte_is_an_error_or_fewer_spans(void **state)
{
    (void)state;
    sx_error err;
    sx_buf bytes;
    sx_buf_init(&bytes, 0);
    span_batch *b = sample();
    span_write_otlp(b, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        char *exact = sx_alloc(len ? len : 1); /* so that a sanitizer sees a step too far */
        memcpy(exact, bytes.data, len);
        span_batch *back = span_batch_new(0);
        sx_status status = span_read_otlp(sx_str_of(exact, len), NULL, back, NULL, &err);
        assert_true(status == SX_EFORMAT || (status == SX_OK && back->count == 0));
        span_batch_unref(back);
        sx_free(exact);
    }
    span_batch_unref(b);
    sx_buf_done(&bytes);
}

/* One span whose id is `id`, with an attribute of `text`. */
static void put_one(sx_buf *out, sx_str trace_id, sx_str id, sx_str text)
{
    size_t rs = sx_pb_begin(out, 1), ss = sx_pb_begin(out, 2), s = sx_pb_begin(out, 2);
    sx_pb_put_str(out, 1, trace_id);
    sx_pb_put_str(out, 2, id);
    sx_pb_put_str(out, 5, SX_STR("n"));
    sx_pb_put_u64(out, 6, 77);
    size_t a = sx_pb_begin(out, 9);
    sx_pb_put_str(out, 1, SX_STR("k"));
    size_t v = sx_pb_begin(out, 2);
    sx_pb_put_str(out, 1, text);
    sx_pb_end(out, v);
    sx_pb_end(out, a);
    sx_pb_end(out, s);
    sx_pb_end(out, ss);
    sx_pb_end(out, rs);
}

#define TRACE SX_STR("0123456789abcdef")
#define ID    SX_STR("01234567")

static void bad_spans_are_refused_one_by_one(void **state)
{
    (void)state;
    static const char ZERO[16] = {0};
    static const struct {
        sx_str trace_id, id;
        const char *why;
    } BAD[] = {
        {{ZERO, 16}, SX_STR_INIT("01234567"), "the trace id is missing or all zero"},
        {{ZERO, 0}, SX_STR_INIT("01234567"), "the trace id is missing or all zero"},
        {SX_STR_INIT("0123456789abcdef"), {ZERO, 8}, "the span id is missing or all zero"},
        {SX_STR_INIT("0123456789abcde"), SX_STR_INIT("01234567"), "an id of the wrong length"},
        {SX_STR_INIT("0123456789abcdef"), SX_STR_INIT("012345678"), "an id of the wrong length"},
    };
    for (size_t i = 0; i < sizeof(BAD) / sizeof(*BAD); i++) {
        sx_error err;
        sx_buf bytes;
        span_refused refused = {0};
        sx_buf_init(&bytes, 0);
        put_one(&bytes, BAD[i].trace_id, BAD[i].id, SX_STR("x"));
        put_one(&bytes, TRACE, ID, SX_STR("good"));
        span_batch *b = span_batch_new(0);
        assert_int_equal(span_read_otlp(sx_buf_view(&bytes), NULL, b, &refused, &err), SX_OK);
        assert_int_equal(b->count, 1);
        assert_int_equal(refused.spans, 1);
        assert_non_null(strstr(refused.why, BAD[i].why));
        assert_int_equal(b->otlp.len, 0); /* the log must not get the refused one */
        assert_int_equal(b->spans[0]->kind, SPAN_UNSPECIFIED);
        span_batch_unref(b);
        sx_buf_done(&bytes);
    }
}

static void text_is_mended_and_cut(void **state)
{
    (void)state;
    static const struct {
        sx_str in, out;
    } TEXTS[] = {
        {SX_STR_INIT("plain"), SX_STR_INIT("plain")},
        {SX_STR_INIT("a\xff\xfe z"), SX_STR_INIT("a\xef\xbf\xbd\xef\xbf\xbd z")},
        {SX_STR_INIT("\xc3"), SX_STR_INIT("\xef\xbf\xbd")},
        {SX_STR_INIT("0123456789012345678\xc3\xa9"), SX_STR_INIT("0123456789012345678")},
        {SX_STR_INIT("012345678901234567890123456789"), SX_STR_INIT("01234567890123456789")},
    };
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(*TEXTS); i++) {
        sx_error err;
        sx_buf bytes;
        sx_buf_init(&bytes, 0);
        put_one(&bytes, TRACE, ID, TEXTS[i].in);
        span_batch *b = span_batch_new(0);
        assert_int_equal(span_read_otlp(sx_buf_view(&bytes), &(span_limits){.value_bytes_max = 20},
                                        b, NULL, &err),
                         SX_OK);
        assert_str(span_value_str(&b->spans[0]->attrs.items[0].value), TEXTS[i].out);
        span_batch_unref(b);
        sx_buf_done(&bytes);
    }
}

/* Lists in lists, `depth` of them. */
static void put_nested(sx_buf *out, int depth)
{
    if (depth == 0) {
        sx_pb_put_str(out, 1, SX_STR("deep"));
        return;
    }
    size_t list = sx_pb_begin(out, 5), item = sx_pb_begin(out, 1);
    put_nested(out, depth - 1);
    sx_pb_end(out, item);
    sx_pb_end(out, list);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    for (int depth = 0; depth < 2000; depth = depth * 2 + 1) {
        sx_error err;
        sx_buf bytes;
        sx_arena arena;
        span_value v;
        sx_buf_init(&bytes, 0);
        sx_arena_init(&arena, 0, 0);
        put_nested(&bytes, depth);
        assert_int_equal(span_read_any(sx_buf_view(&bytes), &arena, &v, &err), SX_OK);
        int seen = 0;
        for (const span_value *at = &v; at->type == SPAN_LIST && at->len; at = at->items)
            seen++;
        assert_int_equal(seen, depth < 24 ? depth : 24);
        sx_arena_done(&arena);
        sx_buf_done(&bytes);
    }
}

static void limits_drop_and_count(void **state)
{
    (void)state;
    sx_error err;
    sx_buf bytes;
    sx_buf_init(&bytes, 0);
    span_batch *b = sample(), *back = span_batch_new(0);
    span_refused refused = {0};
    span_write_otlp(b, &bytes);
    span_limits limits = {.attributes_max = 2, .events_max = 1, .spans_max = 1};
    assert_int_equal(span_read_otlp(sx_buf_view(&bytes), &limits, back, &refused, &err), SX_OK);
    assert_int_equal(back->count, 1);
    assert_int_equal(refused.spans, 1);
    assert_int_equal(back->spans[0]->attrs.count, 2);
    assert_int_equal(back->spans[0]->attrs.dropped, 3 + 6);
    span_batch_unref(b);
    span_batch_unref(back);
    sx_buf_done(&bytes);
}

static void a_batch_may_share_another(void **state)
{
    (void)state;
    sx_error err;
    sx_buf bytes;
    sx_buf_init(&bytes, 0);
    span_batch *b = sample(), *first = span_batch_new(0), *second = span_batch_new(0);
    span_write_otlp(b, &bytes);
    assert_int_equal(span_read_otlp(sx_buf_view(&bytes), NULL, first, NULL, &err), SX_OK);
    span_batch_keep(first, &bytes);
    for (size_t i = 0; i < first->count; i++) {
        assert_int_equal(span_batch_hold(second, first, &err), SX_OK);
        span *s = span_batch_copy(second, first->spans[i]);
        s->name = SX_STR("renamed");
    }
    assert_int_equal(second->held_count, 1);
    span_batch_unref(first); /* second still holds it */
    assert_str(second->spans[0]->attrs.items ? span_attr_key(&second->spans[0]->attrs.items[0])
                                             : SX_STR(""),
               SX_STR("http.route"));
    span_batch_unref(second);
    span_batch_unref(b);
    sx_buf_done(&bytes);
}

static void values_as_text(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {"/search",
                                        "cr\xc3\xa8me",
                                        "200",
                                        "true",
                                        "72.5",
                                        "AP9/",
                                        "{\"inner\":[\"a\",-7],\"none\":null}",
                                        ""};
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(*TEXTS); i++) {
        sx_buf text;
        sx_buf_init(&text, 0);
        span_value_text(&SAMPLE_ATTRS[i].value, &text);
        assert_str(sx_buf_view(&text), sx_str_z(TEXTS[i]));
        sx_buf_done(&text);
    }
}

static void failing_memory_is_told(void **state)
{
    (void)state;
    sx_error err;
    sx_buf bytes;
    sx_buf_init(&bytes, 0);
    span_batch *b = sample();
    span_write_otlp_json(b, &bytes);
    sx_status status = SX_ENOMEM;
    for (int64_t n = 1; status != SX_OK; n++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        span_batch *back = span_batch_new(0);
        status = SX_ENOMEM;
        if (back) {
            status = span_read_otlp_json(sx_buf_view(&bytes), NULL, back, NULL, &err);
            assert_true(status == SX_OK || status == SX_ENOMEM);
        }
        span_batch_unref(back);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_true(n < 1000);
    }
    span_batch_unref(b);
    sx_buf_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_and_read_back),
        cmocka_unit_test(cut_at_every_byte_is_an_error_or_fewer_spans),
        cmocka_unit_test(bad_spans_are_refused_one_by_one),
        cmocka_unit_test(text_is_mended_and_cut),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(limits_drop_and_count),
        cmocka_unit_test(a_batch_may_share_another),
        cmocka_unit_test(values_as_text),
        cmocka_unit_test(failing_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
