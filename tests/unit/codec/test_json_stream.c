/* test_json_stream.c - JSON that arrives in pieces: one text in chunks, and lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sextant/mem.h>

#include "base/fault.h"
#include "tests/unit/codec/json_support.h"

/* ---- One text in pieces */

/* Reads `text` in pieces of `step` bytes as a caller would, each time from memory of its own, and
 * appends what json_print_tokens() prints for the whole. */
static void print_in_pieces(sx_str text, size_t step, sx_buf *out)
{
    sx_json r;
    size_t given = step < text.len ? step : text.len;
    char *piece = sx_alloc(given);
    memcpy(piece, text.data, given);
    sx_json_init(&r, sx_str_of(piece, given), &(sx_json_options){.partial = true});
    while (json_print_tokens(&r, out) == SX_JSON_MORE) {
        sx_str unread = sx_json_unread(&r);
        size_t fresh = step < text.len - given ? step : text.len - given;
        char *next = sx_alloc(unread.len + fresh);
        memcpy(next, unread.data, unread.len);
        memcpy(next + unread.len, text.data + given, fresh);
        given += fresh;
        sx_json_more(&r, sx_str_of(next, unread.len + fresh),
                     given == text.len ? SX_JSON_LAST_PIECE : SX_JSON_PIECE);
        sx_free(piece);
        piece = next;
    }
    sx_free(piece);
}

#define TEXT(literal) SX_STR_INIT(literal)

static const sx_str TEXTS[] = {
    TEXT("{\"a\":[1,-2.5e3,\"x\\u00e9\\\"y\",true,false,null,{}],\n \"caf\xc3\xa9\" : \"\xf0\x9f"
         "\x98\x80\"}\n"),
    TEXT("12345"),
    TEXT("true"),
    TEXT(" \"abc\" "),
    TEXT(""),
    TEXT("   "),
    TEXT("[1,2"),
    TEXT("[1,2]]"),
    TEXT("[1,\n2,\n\xc3\xa9]"),
    TEXT("[1,\n\"\xc3\xa9\",01]"),
    TEXT("[1.]"),
    TEXT("[tru]"),
    TEXT("nulll"),
    TEXT("{\"a\":1,}"),
    TEXT("{\"a\" \"b\"}"),
    TEXT("[\"a\nb\"]"),
    TEXT("[\"\xff\"]"),
    TEXT("[\"\xf0\x9f\x98\"]"),
    TEXT("[\"\\ud83d\\u0041\"]"),
    TEXT("[\"abc"),
};

static void test_a_text_in_pieces_reads_as_the_whole(void **state)
{
    (void)state;
    sx_buf whole, pieces;
    sx_buf_init(&whole, 0);
    sx_buf_init(&pieces, 0);
    for (size_t i = 0; i < SX_COUNT_OF(TEXTS); i++) {
        for (size_t step = 1; step <= TEXTS[i].len + 1; step++) {
            sx_json r;
            sx_json_init(&r, TEXTS[i], NULL);
            sx_buf_clear(&whole);
            sx_buf_clear(&pieces);
            json_print_tokens(&r, &whole);
            print_in_pieces(TEXTS[i], step, &pieces);
            sx_buf_byte(&whole, '\0');
            sx_buf_byte(&pieces, '\0');
            assert_string_equal(pieces.data, whole.data);
        }
    }
    sx_buf_done(&whole);
    sx_buf_done(&pieces);
}

static void test_a_large_text_in_pieces_reads_as_the_whole(void **state)
{
    (void)state;
    sx_buf text, whole, pieces;
    sx_json r;
    sx_buf_init(&text, 0);
    sx_buf_init(&whole, 0);
    sx_buf_init(&pieces, 0);
    sx_buf_byte(&text, '[');
    for (int i = 0; i < 300; i++)
        sx_buf_printf(&text, "{\"n\\u0061me\":\"caf\xc3\xa9 %d\",\n\"x\":%d.25,\"t\":[true,%d]},",
                      i, i, i);
    sx_buf_bytes(&text, "0]", 2);
    sx_json_init(&r, sx_buf_view(&text), NULL);
    json_print_tokens(&r, &whole);
    for (size_t step = 1; step < 5000; step = step * 3 + 1) {
        sx_buf_clear(&pieces);
        print_in_pieces(sx_buf_view(&text), step, &pieces);
        assert_true(sx_str_eq(sx_buf_view(&whole), sx_buf_view(&pieces)));
    }
    sx_buf_done(&text);
    sx_buf_done(&whole);
    sx_buf_done(&pieces);
}

/* ---- Lines */

/* What the splitter gives for `text` in chunks of `step` bytes: "number:line" each, or a status. */
static void split(sx_str text, size_t step, size_t limit, sx_buf *out)
{
    sx_json_lines l;
    sx_json_lines_init(&l, limit);
    char *chunk = NULL;
    for (;;) {
        sx_str line;
        sx_error err = {0};
        sx_status status = sx_json_lines_next(&l, &line, &err);
        if (status == SX_END)
            break;
        if (status == SX_OK) {
            sx_buf_printf(out, "%d:%.*s|", (int)l.line, SX_ARG(line));
            continue;
        }
        if (status != SX_AGAIN) {
            sx_buf_printf(out, "%s|", err.message);
            continue;
        }
        sx_str piece = sx_str_first(text, step);
        text = sx_str_from(text, step);
        sx_free(chunk);
        chunk = sx_alloc(piece.len);
        memcpy(chunk, piece.data, piece.len);
        sx_json_lines_feed(&l, sx_str_of(chunk, piece.len));
    }
    sx_free(chunk);
    sx_json_lines_done(&l);
}

static void assert_split(sx_str text, size_t limit, const char *want)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    for (size_t step = 1; step <= text.len + 1; step++) {
        sx_buf_clear(&out);
        split(text, step, limit, &out);
        sx_buf_byte(&out, '\0');
        assert_string_equal(out.data, want);
    }
    sx_buf_done(&out);
}

static void test_lines_come_whole_however_they_are_cut(void **state)
{
    (void)state;
    assert_split(SX_STR(""), 0, "");
    assert_split(SX_STR("\n\n"), 0, "");
    assert_split(SX_STR("{}"), 0, "1:{}|");
    assert_split(SX_STR("{\"a\":1}\n[2]\n"), 0, "1:{\"a\":1}|2:[2]|");
    assert_split(SX_STR("1\r\n \t\r\n\n22\n333"), 0, "1:1\r|4:22|5:333|");
}

static void test_a_line_over_the_limit_is_refused_and_the_next_is_read(void **state)
{
    (void)state;
    assert_split(SX_STR("1234\n12345\n1\n123456789\n12\n12345"), 4,
                 "1:1234|line 2 is longer than the limit of 4 bytes|3:1|"
                 "line 4 is longer than the limit of 4 bytes|5:12|"
                 "line 6 is longer than the limit of 4 bytes|");
}

static void test_lines_without_memory_are_said_and_passed(void **state)
{
    (void)state;
    for (int64_t nth = 1; nth <= 3; nth++) {
        sx_json_lines l;
        sx_str line;
        sx_error err = {0};
        sx_json_lines_init(&l, 0);
        sx_json_lines_feed(&l, SX_STR("[1,"));
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status cut = sx_json_lines_next(&l, &line, &err);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(cut, nth == 1 ? SX_ENOMEM : SX_AGAIN);
        if (cut == SX_ENOMEM) {
            assert_string_equal(err.message, "out of memory for line 1");
            assert_int_equal(sx_json_lines_next(&l, &line, &err), SX_AGAIN);
        }
        sx_json_lines_feed(&l, SX_STR("2]\n[3]\n"));
        if (nth > 1) {
            assert_int_equal(sx_json_lines_next(&l, &line, &err), SX_OK);
            assert_true(sx_str_eq(line, SX_STR("[1,2]")));
        }
        assert_int_equal(sx_json_lines_next(&l, &line, &err), SX_OK);
        assert_true(sx_str_eq(line, SX_STR("[3]")));
        assert_int_equal(l.line, 2);
        sx_json_lines_done(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_text_in_pieces_reads_as_the_whole),
        cmocka_unit_test(test_a_large_text_in_pieces_reads_as_the_whole),
        cmocka_unit_test(test_lines_come_whole_however_they_are_cut),
        cmocka_unit_test(test_a_line_over_the_limit_is_refused_and_the_next_is_read),
        cmocka_unit_test(test_lines_without_memory_are_said_and_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
