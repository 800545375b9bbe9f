/* test_protobuf.c - the wire format: values by the specification's examples, damage, depth, writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <float.h>

#include <sextant/protobuf.h>

#include "base/fault.h"

static void test_the_specifications_examples(void **state)
{
    (void)state;
    /* Encoding guide: a = 150; b = "testing"; c = {a: 150}; f packed {3, 270, 86942}. */
    static const char BYTES[] = "\x08\x96\x01"
                                "\x12\x07testing"
                                "\x1a\x03\x08\x96\x01"
                                "\x32\x06\x03\x8e\x02\x9e\xa7\x05";
    sx_pb_reader r;
    sx_pb_init(&r, sx_str_of(BYTES, sizeof(BYTES) - 1));
    assert_true(sx_pb_next(&r));
    assert_int_equal(r.tag, SX_PB_TAG(1, SX_PB_VARINT));
    assert_int_equal(sx_pb_field(&r), 1);
    assert_int_equal(sx_pb_varint(&r), 150);
    assert_true(sx_pb_next(&r));
    assert_true(sx_str_eq(sx_pb_bytes(&r), SX_STR("testing")));
    assert_true(sx_pb_next(&r));
    assert_int_equal(r.tag, SX_PB_TAG(3, SX_PB_BYTES));
    sx_pb_outer outer = sx_pb_enter(&r);
    assert_true(sx_pb_next(&r));
    assert_int_equal(sx_pb_varint(&r), 150);
    assert_false(sx_pb_next(&r));
    sx_pb_leave(&r, outer);
    assert_true(sx_pb_next(&r));
    assert_int_equal(sx_pb_field(&r), 6);
    static const uint64_t ITEMS[] = {3, 270, 86942};
    outer = sx_pb_enter(&r);
    for (size_t i = 0; i < SX_COUNT_OF(ITEMS); i++) {
        assert_true(sx_pb_more(&r));
        assert_int_equal(sx_pb_varint(&r), ITEMS[i]);
    }
    assert_false(sx_pb_more(&r));
    sx_pb_leave(&r, outer);
    assert_false(sx_pb_next(&r));
    assert_int_equal(sx_pb_status(&r, "example", NULL), SX_OK);
}

static void test_numbers_come_back_equal(void **state)
{
    (void)state;
    static const uint64_t VALUES[] = {0,          1,         127,        128,        16383,
                                      16384,      2097151,   2097152,    UINT32_MAX, 1ull << 35,
                                      1ull << 63, INT64_MAX, UINT64_MAX, 300};
    for (size_t i = 0; i < SX_COUNT_OF(VALUES); i++) {
        uint64_t v = VALUES[i];
        sx_buf b;
        sx_buf_init(&b, 0);
        sx_pb_put_u64(&b, 1, v);
        sx_pb_put_zigzag(&b, 2, (int64_t)v);
        sx_pb_put_fixed64(&b, 3, v);
        sx_pb_put_fixed32(&b, 4, (uint32_t)v);
        sx_pb_put_i64(&b, 536870911, (int64_t)v);
        sx_pb_put_double(&b, 6, (double)v);
        sx_pb_put_float(&b, 7, (float)v);
        sx_pb_reader r;
        sx_pb_init(&r, sx_buf_view(&b));
        assert_true(sx_pb_next(&r) && sx_pb_varint(&r) == v);
        assert_true(sx_pb_next(&r) && sx_pb_zigzag(&r) == (int64_t)v);
        assert_true(sx_pb_next(&r) && sx_pb_fixed64(&r) == v);
        assert_true(sx_pb_next(&r) && sx_pb_fixed32(&r) == (uint32_t)v);
        assert_true(sx_pb_next(&r) && sx_pb_i64(&r) == (int64_t)v);
        assert_int_equal(sx_pb_field(&r), 536870911);
        assert_true(sx_pb_next(&r) && sx_pb_double(&r) == (double)v);
        assert_true(sx_pb_next(&r) && sx_pb_float(&r) == (float)v);
        assert_false(sx_pb_next(&r));
        assert_int_equal(sx_pb_status(&r, "numbers", NULL), SX_OK);
        sx_buf_done(&b);
    }
    assert_int_equal(sx_pb_zigzag_of(-1), 1);
    assert_int_equal(sx_pb_zigzag_of(1), 2);
    assert_int_equal(sx_pb_zigzag_of(INT64_MIN), UINT64_MAX);
}

static void test_nested_messages_of_any_length(void **state)
{
    (void)state;
    static const size_t LENGTHS[] = {0, 1, 100, 120, 127, 128, 16383, 16384, 3000000};
    for (size_t i = 0; i < SX_COUNT_OF(LENGTHS); i++) {
        sx_buf b, text;
        sx_buf_init(&b, 0);
        sx_buf_init(&text, 0);
        for (size_t n = 0; n < LENGTHS[i]; n++)
            sx_buf_byte(&text, (char)('a' + n % 26));
        size_t outer_mark = sx_pb_begin(&b, 1);
        size_t inner_mark = sx_pb_begin(&b, 1000);
        sx_pb_put_str(&b, 2, sx_buf_view(&text));
        sx_pb_end(&b, inner_mark);
        sx_pb_put_u64(&b, 3, 7);
        sx_pb_end(&b, outer_mark);
        sx_pb_put_u64(&b, 4, 8);

        sx_pb_reader r;
        sx_pb_init(&r, sx_buf_view(&b));
        assert_true(sx_pb_next(&r) && r.tag == SX_PB_TAG(1, SX_PB_BYTES));
        sx_pb_outer outer = sx_pb_enter(&r);
        assert_true(sx_pb_next(&r) && r.tag == SX_PB_TAG(1000, SX_PB_BYTES));
        sx_pb_outer inner = sx_pb_enter(&r);
        assert_true(sx_pb_next(&r) && sx_str_eq(sx_pb_bytes(&r), sx_buf_view(&text)));
        sx_pb_leave(&r, inner);
        assert_true(sx_pb_next(&r) && sx_pb_varint(&r) == 7);
        sx_pb_leave(&r, outer);
        assert_true(sx_pb_next(&r) && sx_pb_varint(&r) == 8);
        assert_int_equal(sx_pb_status(&r, "nest", NULL), SX_OK);
        sx_buf_done(&b);
        sx_buf_done(&text);
    }
}

static void test_a_message_may_be_left_early(void **state)
{
    (void)state;
    sx_pb_reader r;
    sx_pb_init(&r, SX_STR("\x0a\x04\x08\x01\x10\x02\x18\x03"));
    assert_true(sx_pb_next(&r));
    sx_pb_outer outer = sx_pb_enter(&r);
    assert_true(sx_pb_next(&r) && sx_pb_varint(&r) == 1);
    sx_pb_leave(&r, outer);
    assert_true(sx_pb_next(&r) && r.tag == SX_PB_TAG(3, SX_PB_VARINT));
}

static void test_unknown_fields_and_groups_are_skipped(void **state)
{
    (void)state;
    /* varint, fixed64, bytes, fixed32, a group with a group, then field 1. */
    static const char BYTES[] = "\x50\xff\x01"
                                "\x51"
                                "12345678"
                                "\x52\x03"
                                "abc"
                                "\x55"
                                "1234"
                                "\x53\x08\x05\x5b\x12\x01x\x5c\x54"
                                "\x08\x2a";
    sx_pb_reader r;
    sx_pb_init(&r, sx_str_of(BYTES, sizeof(BYTES) - 1));
    int skipped = 0;
    uint64_t value = 0;
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(1, SX_PB_VARINT)) {
            value = sx_pb_varint(&r);
        } else {
            sx_pb_skip(&r);
            skipped++;
        }
    }
    assert_int_equal(sx_pb_status(&r, "message", NULL), SX_OK);
    assert_int_equal(skipped, 5);
    assert_int_equal(value, 42);
}

/* Walks everything that could be a message, as deep as it goes. */
static void walk(sx_pb_reader *r, int depth)
{
    while (sx_pb_next(r)) {
        if (sx_pb_wire_of(r) != SX_PB_BYTES || depth == 0) {
            sx_pb_skip(r);
            continue;
        }
        sx_pb_outer outer = sx_pb_enter(r);
        walk(r, depth - 1);
        sx_pb_leave(r, outer);
    }
}

static void test_faults_are_named_with_their_byte(void **state)
{
    (void)state;
    static const struct {
        sx_str bytes;
        const char *words;
    } CASES[] = {
        {SX_STR_INIT("\x08"), "ends inside a field, at byte 1"},
        {SX_STR_INIT("\x08\x80"), "ends inside a field, at byte 1"},
        {SX_STR_INIT("\x80"), "ends inside a field, at byte 0"},
        {SX_STR_INIT("\x0d\x01\x02\x03"), "ends inside a field"},
        {SX_STR_INIT("\x09\x01\x02\x03\x04\x05\x06\x07"), "ends inside a field"},
        {SX_STR_INIT("\x12\x03\x30\x31"), "ends inside a field"},
        {SX_STR_INIT("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "ends inside a field"},
        {SX_STR_INIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), "more than 64 bits"},
        {SX_STR_INIT("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), "more than 64 bits"},
        {SX_STR_INIT("\x00\x01"), "field number or wire type"},
        {SX_STR_INIT("\x07\x01"), "field number or wire type"},
        {SX_STR_INIT("\x0e\x01"), "field number or wire type"},
        {SX_STR_INIT("\x0c"), "field number or wire type"},
        {SX_STR_INIT("\xf8\xff\xff\xff\x1f\x01"), "field number or wire type"},
        {SX_STR_INIT("\x0b\x14"), "field number or wire type"},
        {SX_STR_INIT("\x0b\x08\x01"), "ends inside a field"},
        {SX_STR_INIT("\x0b\x00\x0c"), "field number or wire type"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_pb_reader r;
        sx_error err = {0};
        sx_pb_init(&r, CASES[i].bytes);
        walk(&r, 0);
        if (sx_pb_status(&r, "thing", &err) != SX_EFORMAT || !strstr(err.message, CASES[i].words))
            fail_msg("case %zu: %s", i, err.message);
        assert_false(sx_pb_next(&r));
        assert_int_equal(sx_pb_varint(&r), 0);
        assert_int_equal(sx_pb_fixed64(&r), 0);
        assert_int_equal(sx_pb_bytes(&r).len, 0);
    }
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    sx_buf b;
    size_t marks[150];
    sx_buf_init(&b, 0);
    for (int i = 0; i < 150; i++)
        marks[i] = sx_pb_begin(&b, 1);
    for (int i = 149; i >= 0; i--)
        sx_pb_end(&b, marks[i]);
    sx_pb_reader r;
    sx_error err = {0};
    sx_pb_init(&r, sx_buf_view(&b));
    walk(&r, 200);
    assert_int_equal(sx_pb_status(&r, "thing", &err), SX_ELIMIT);
    assert_int_equal(r.depth_left, SX_PB_DEPTH_MAX);
    sx_pb_init(&r, sx_buf_view(&b));
    walk(&r, 99);
    assert_int_equal(sx_pb_status(&r, "thing", &err), SX_OK);

    sx_buf_clear(&b);
    for (int i = 0; i < 101; i++)
        sx_buf_byte(&b, 0x0b);
    for (int i = 0; i < 101; i++)
        sx_buf_byte(&b, 0x0c);
    sx_pb_init(&r, sx_buf_view(&b));
    walk(&r, 0);
    assert_int_equal(sx_pb_status(&r, "thing", &err), SX_ELIMIT);
    sx_pb_init(&r, sx_str_of(b.data + 1, b.len - 2));
    walk(&r, 0);
    assert_int_equal(sx_pb_status(&r, "thing", &err), SX_OK);
    sx_buf_done(&b);
}

static void write_all(sx_buf *b)
{
    size_t outer = sx_pb_begin(b, 1);
    for (uint64_t i = 0; i < 40; i++) {
        size_t label = sx_pb_begin(b, 1);
        sx_pb_put_str(b, 1, SX_STR("__name__"));
        sx_pb_put_str(b, 2, SX_STR("http_requests_total"));
        sx_pb_put_double(b, 3, (double)i);
        sx_pb_put_fixed32(b, 4, 9);
        sx_pb_end(b, label);
        size_t list = sx_pb_begin(b, 2);
        sx_pb_add_varint(b, i << 20);
        sx_pb_add_fixed64(b, i);
        sx_pb_end(b, list);
    }
    sx_pb_end(b, outer);
}

static void test_cut_anywhere_is_an_error_or_a_shorter_message(void **state)
{
    (void)state;
    sx_buf b;
    sx_buf_init(&b, 0);
    write_all(&b);
    for (size_t len = 1; len < b.len; len++) {
        /* The outer message is one field, so no cut of it is whole. A copy shows any read beyond. */
        char *copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, b.data, len);
        sx_pb_reader r;
        sx_pb_init(&r, sx_str_of(copy, len));
        walk(&r, 2);
        assert_int_equal(sx_pb_status(&r, "thing", NULL), SX_EFORMAT);
        free(copy);
    }
    sx_buf_done(&b);
}

static void test_writing_without_memory_or_room_fails_the_buffer(void **state)
{
    (void)state;
    sx_buf b;
    for (int64_t n = 1;; n++) {
        sx_buf_init(&b, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = n, .and_after = n % 2});
        write_all(&b);
        int64_t calls = sx_fault_alloc_calls();
        bool failed = b.failed;
        sx_buf_done(&b);
        int64_t held = sx_fault_alloc_held();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
        assert_int_equal(failed, calls >= n);
        if (calls < n)
            break;
    }
    sx_buf_init(&b, 0);
    write_all(&b);
    size_t whole = b.len;
    sx_buf_done(&b);
    for (size_t most = 1; most < whole; most += 7) {
        sx_buf_init(&b, most);
        write_all(&b);
        assert_true(b.failed);
        assert_true(b.len <= most);
        sx_buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_specifications_examples),
        cmocka_unit_test(test_numbers_come_back_equal),
        cmocka_unit_test(test_nested_messages_of_any_length),
        cmocka_unit_test(test_a_message_may_be_left_early),
        cmocka_unit_test(test_unknown_fields_and_groups_are_skipped),
        cmocka_unit_test(test_faults_are_named_with_their_byte),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_cut_anywhere_is_an_error_or_a_shorter_message),
        cmocka_unit_test(test_writing_without_memory_or_room_fails_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
