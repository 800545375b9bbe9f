/* test_csv.c - the CSV reader and writer: dialects, flaws, limits, chunk borders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <sextant/csv.h>

#include "base/fault.h"

/* Reads all of `text` in chunks of `step` bytes and writes what came, one record a line: fields in
 * brackets, then "!flaws" if any, then "@line". An error ends it with "ERR message". */
static sx_status dump(sx_str text, const sx_csv_options *options, size_t step, sx_buf *out)
{
    sx_error err = {0};
    sx_csv_record rec;
    sx_csv_reader *r = sx_csv_reader_new(options, &err);
    if (!r)
        return err.status;
    sx_status status = SX_AGAIN;
    bool finished = false;
    while (status == SX_AGAIN) {
        /* A copy of its own for each chunk shows a sanitizer any view kept too long. */
        sx_str piece = sx_str_first(text, step);
        char *copy = malloc(piece.len + 1);
        assert_non_null(copy);
        if (piece.len)
            memcpy(copy, piece.data, piece.len);
        text = sx_str_from(text, step);
        if (piece.len) {
            sx_csv_feed(r, sx_str_of(copy, piece.len));
        } else {
            assert_false(finished);
            finished = true;
            sx_csv_finish(r);
        }
        while ((status = sx_csv_next(r, &rec, &err)) == SX_OK) {
            assert_true(rec.count >= 1);
            for (size_t i = 0; i < rec.count; i++)
                sx_buf_printf(out, "[%.*s]", SX_ARG(rec.fields[i]));
            if (rec.flaws)
                sx_buf_printf(out, "!%u", rec.flaws);
            sx_buf_printf(out, "@%d\n", (int)rec.line);
        }
        free(copy);
    }
    if (status != SX_END)
        sx_buf_printf(out, "ERR %s\n", err.message);
    sx_csv_reader_free(r);
    return status == SX_END ? SX_OK : status;
}

static void check(sx_str text, const sx_csv_options *options, const char *want)
{
    static const size_t STEPS[] = {SIZE_MAX, 1, 2, 3, 7};
    for (size_t i = 0; i < SX_COUNT_OF(STEPS); i++) {
        sx_buf out;
        sx_buf_init(&out, 0);
        dump(text, options, STEPS[i], &out);
        if (!sx_str_eq(sx_buf_view(&out), sx_str_z(want)))
            fail_msg("chunks of %zu gave\n%.*swanted\n%s", STEPS[i], SX_ARG(sx_buf_view(&out)),
                     want);
        sx_buf_done(&out);
    }
}

static void test_plain_records_and_line_ends(void **state)
{
    (void)state;
    check(SX_STR(""), NULL, "");
    check(SX_STR("a"), NULL, "[a]@1\n");
    check(SX_STR("a,b\nc,d\n"), NULL, "[a][b]@1\n[c][d]@2\n");
    check(SX_STR("a,b\r\nc,d\r\n"), NULL, "[a][b]@1\n[c][d]@2\n");
    check(SX_STR("a,b\rc,d\r"), NULL, "[a][b]@1\n[c][d]@2\n");
    check(SX_STR("a\r\n\n\r\r\nb"), NULL, "[a]@1\n[b]@5\n");
    check(SX_STR(",\n,,\n"), NULL, "[][]@1\n[][][]@2\n");
    check(SX_STR("a,"), NULL, "[a][]@1\n");
    check(SX_STR(" a , b "), NULL, "[ a ][ b ]@1\n");
}

static void test_blank_lines_on_request(void **state)
{
    (void)state;
    sx_csv_options keep = {.keep_blank_lines = true};
    check(SX_STR("a\r\n\r\nb\n\n"), &keep, "[a]@1\n[]@2\n[b]@3\n[]@4\n");
}

static void test_quotes(void **state)
{
    (void)state;
    check(SX_STR("\"a\",\"b,c\"\n"), NULL, "[a][b,c]@1\n");
    check(SX_STR("\"a\"\"b\",\"\"\"\"\n\"\",x\n"), NULL, "[a\"b][\"]@1\n[][x]@2\n");
    check(SX_STR("\"a\r\nb\nc\rd\",e\r\nf"), NULL, "[a\r\nb\nc\rd][e]@1\n[f]@5\n");
    check(SX_STR("\"a\""), NULL, "[a]@1\n");
    check(SX_STR("x,\"a\"\"\""), NULL, "[x][a\"]@1\n");
}

static void test_a_byte_order_mark_is_dropped_and_its_beginning_is_not(void **state)
{
    (void)state;
    check(SX_STR("\xef\xbb\xbf\"a\",b\n"), NULL, "[a][b]@1\n");
    check(SX_STR("\xef\xbb\xbf"), NULL, "");
    check(SX_STR("\xef\xbb"), NULL, "[\xef\xbb]@1\n");
    check(SX_STR("\xef\xbb\n\xef\xbb\xbf,\n"), NULL, "[\xef\xbb]@1\n[\xef\xbb\xbf][]@2\n");
    check(SX_STR("\xef,b\n"), NULL, "[\xef][b]@1\n");
}

static void test_dialects(void **state)
{
    (void)state;
    sx_csv_options semicolon = {.delimiter = ';', .quote = '\''};
    sx_csv_options tabs = {.delimiter = '\t', .no_quotes = true};
    check(SX_STR("'a;''b';c,d;\"e\"\n"), &semicolon, "[a;'b][c,d][\"e\"]@1\n");
    check(SX_STR("\"a\tb\"\t\t\"\n\tx\n"), &tabs, "[\"a][b\"][][\"]@1\n[][x]@2\n");
    sx_error err = {0};
    assert_null(sx_csv_reader_new(&(sx_csv_options){.delimiter = '"'}, &err));
    assert_int_equal(err.status, SX_EINVAL);
    assert_null(sx_csv_reader_new(&(sx_csv_options){.quote = '\n'}, &err));
}

static void test_lenient_reading_flags_and_goes_on(void **state)
{
    (void)state;
    check(SX_STR("a\"b,c\nd\n"), NULL, "[a\"b][c]!1@1\n[d]@2\n");
    check(SX_STR("\"a\"b\"c\",d\n\"x\" ,y\n"), NULL, "[ab\"c\"][d]!1@1\n[x ][y]!1@2\n");
    check(SX_STR("\"a\"\"\"z,\"q\n"), NULL, "[a\"z][q\n]!3@1\n");
    check(SX_STR("a,\"b\nc"), NULL, "[a][b\nc]!2@1\n");
    check(SX_STR("a,\""), NULL, "[a][]!2@1\n");
}

static void test_strict_reading_names_line_and_column(void **state)
{
    (void)state;
    sx_csv_options strict = {.strict = true};
    check(SX_STR("a,b\nc,d\"e\n"), &strict,
          "[a][b]@1\nERR line 2, column 4: a stray quote; quote the whole field and double the "
          "quotes inside it\n");
    check(SX_STR("\"x\ny\"z\n"), &strict,
          "ERR line 2, column 3: a stray quote; quote the whole field and double the quotes inside "
          "it\n");
    check(SX_STR("a\n\"b"), &strict,
          "[a]@1\nERR line 2, column 1: the input ends inside a quoted field\n");
    check(SX_STR("\"a\"\"\",b\n"), &strict, "[a\"][b]@1\n");
}

static void test_limits(void **state)
{
    (void)state;
    sx_csv_options lenient = {.field_bytes_max = 3, .fields_max = 2, .record_bytes_max = 16};
    sx_csv_options strict = lenient;
    strict.strict = true;
    check(SX_STR("abc,d\nabcd,e\n"), &lenient, "[abc][d]@1\n[abc][e]!4@2\n");
    check(SX_STR("\"a\"\"bc\",x\n\"\"\"abc\"\n"), &lenient, "[a\"b][x]!4@1\n[\"ab]!4@2\n");
    check(SX_STR("a,b,c,d\ne\n"), &lenient, "[a][b]!8@1\n[e]@2\n");
    check(SX_STR("a,\"bcd\nefghijklmnopqrst,\nu\"v\nnext\n"), &lenient,
          "[a][bcd]!20@1\n[u\"v]!1@3\n[nex]!4@4\n");
    check(SX_STR("a,\"b\",\"c\"\"d\"\n"), &lenient, "[a][b]!8@1\n");
    check(SX_STR("0123456789abcde\n0123456789abcdef\nx\n"), &lenient,
          "[012]!4@1\n[012]!20@2\n[x]@3\n");
    check(SX_STR("a\nabcd\n"), &strict,
          "[a]@1\nERR line 2, column 1: a field is longer than the limit of 3 bytes "
          "(field_bytes_max)\n");
    check(SX_STR("a,b,c\n"), &strict,
          "ERR line 1, column 5: more fields than the limit of 2 (fields_max)\n");
    check(SX_STR("\"0123456789abcdefghijkl\n"), &strict,
          "ERR line 1, column 1: a record is longer than the limit of 16 bytes "
          "(record_bytes_max)\n");
}

/* Random text over the bytes that matter, in every chunk size: the whole is the model. */
static void test_chunk_borders_never_show(void **state)
{
    (void)state;
    static const char ALPHABET[] = "aab,,\"\"\"\r\n\n\xef\xbb\xbf";
    uint32_t seed = 12345;
    for (int round = 0; round < 3000; round++) {
        char text[60];
        size_t len = (size_t)round % sizeof(text);
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = ALPHABET[(seed >> 16) % (sizeof(ALPHABET) - 1)];
        }
        sx_csv_options options = {.record_bytes_max = round % 3 ? 0 : 20,
                                  .fields_max = round % 5 ? 0 : 4,
                                  .strict = round % 7 == 0,
                                  .keep_blank_lines = round % 2};
        sx_buf whole;
        sx_buf_init(&whole, 0);
        dump(sx_str_of(text, len), &options, SIZE_MAX, &whole);
        for (size_t step = 1; step <= len; step += 1 + step / 3) {
            sx_buf parts;
            sx_buf_init(&parts, 0);
            dump(sx_str_of(text, len), &options, step, &parts);
            if (!sx_str_eq(sx_buf_view(&whole), sx_buf_view(&parts)))
                fail_msg("round %d, chunks of %zu:\n%.*s---\n%.*s", round, step,
                         SX_ARG(sx_buf_view(&whole)), SX_ARG(sx_buf_view(&parts)));
            sx_buf_done(&parts);
        }
        sx_buf_done(&whole);
    }
}

static void test_long_fields_cross_blocks_and_slices(void **state)
{
    (void)state;
    for (size_t n = 50; n < 20000; n = n * 5 / 4 + 1) {
        sx_buf text, want, got;
        sx_buf_init(&text, 0);
        sx_buf_init(&want, 0);
        sx_buf_init(&got, 0);
        for (int row = 0; row < 3; row++) {
            for (size_t i = 0; i < n; i++)
                sx_buf_byte(&text, (char)('a' + (i + (size_t)row) % 26));
            sx_buf_str(&want, SX_STR("["));
            sx_buf_bytes(&want, text.data + text.len - n, n);
            sx_buf_printf(&text, ",\"%d\n\"\"\"\r\n", row);
            sx_buf_printf(&want, "][%d\n\"]@%d\n", row, row * 2 + 1);
        }
        static const size_t STEPS[] = {1, 61, 4096, 5000, SIZE_MAX};
        for (size_t i = 0; i < SX_COUNT_OF(STEPS); i++) {
            sx_buf_clear(&got);
            assert_int_equal(dump(sx_buf_view(&text), NULL, STEPS[i], &got), SX_OK);
            assert_true(sx_str_eq(sx_buf_view(&got), sx_buf_view(&want)));
        }
        sx_buf_done(&text);
        sx_buf_done(&want);
        sx_buf_done(&got);
    }
}

static void test_a_reader_serves_again_after_reset(void **state)
{
    (void)state;
    sx_error err = {0};
    sx_csv_record rec;
    sx_csv_reader *r = sx_csv_reader_new(&(sx_csv_options){.strict = true}, &err);
    sx_csv_feed(r, SX_STR("a\"\n"));
    assert_int_equal(sx_csv_next(r, &rec, &err), SX_EFORMAT);
    assert_int_equal(sx_csv_next(r, &rec, &err), SX_EFORMAT);
    sx_csv_reader_reset(r);
    sx_csv_feed(r, SX_STR("x,y"));
    assert_int_equal(sx_csv_next(r, &rec, &err), SX_AGAIN);
    sx_csv_finish(r);
    assert_int_equal(sx_csv_next(r, &rec, &err), SX_OK);
    assert_int_equal(rec.count, 2);
    assert_int_equal(rec.number, 1);
    assert_int_equal(sx_csv_next(r, &rec, &err), SX_END);
    assert_int_equal(sx_csv_next(r, &rec, &err), SX_END);
    sx_csv_reader_free(r);
}

static void test_written_fields(void **state)
{
    (void)state;
    sx_buf out;
    sx_csv_writer w;
    sx_buf_init(&out, 0);
    sx_csv_writer_init(&w, &out, NULL);
    sx_csv_put(&w, SX_STR("a"));
    sx_csv_put(&w, SX_STR("b,c"));
    sx_csv_put(&w, SX_STR("say \"hi\""));
    sx_csv_put(&w, SX_STR(""));
    sx_csv_end(&w);
    sx_csv_put(&w, SX_STR(""));
    sx_csv_end(&w);
    sx_csv_put(&w, SX_STR("x\ny"));
    sx_csv_end(&w);
    assert_true(sx_str_eq(sx_buf_view(&out),
                          SX_STR("a,\"b,c\",\"say \"\"hi\"\"\",\r\n\"\"\r\n\"x\ny\"\r\n")));
    sx_buf_clear(&out);
    sx_csv_writer_init(&w, &out, &(sx_csv_options){.delimiter = ';'});
    w.quote_all = w.lf = true;
    sx_csv_put(&w, SX_STR("a"));
    sx_csv_put(&w, SX_STR("1;2"));
    sx_csv_end(&w);
    assert_true(sx_str_eq(sx_buf_view(&out), SX_STR("\"a\";\"1;2\"\n")));
    sx_buf_done(&out);
}

static void test_every_failing_allocation_is_reported(void **state)
{
    (void)state;
    static const char TEXT[] =
        "a,b,c,d,e,f,g,h,i,j\n\"q\"\"1\",\"long\nfield that is carried\",x\n";
    for (int64_t n = 1;; n++) {
        sx_buf out = {0};
        char room[4096]; /* so that only the reader's own allocations are counted */
        out.data = room;
        out.cap = sizeof(room);
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status status = dump(sx_str_of(TEXT, sizeof(TEXT) - 1), NULL, 5, &out);
        int64_t calls = sx_fault_alloc_calls(), held = sx_fault_alloc_held();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
        assert_int_equal(status, calls < n ? SX_OK : SX_ENOMEM);
        if (calls < n)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_records_and_line_ends),
        cmocka_unit_test(test_blank_lines_on_request),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_a_byte_order_mark_is_dropped_and_its_beginning_is_not),
        cmocka_unit_test(test_dialects),
        cmocka_unit_test(test_lenient_reading_flags_and_goes_on),
        cmocka_unit_test(test_strict_reading_names_line_and_column),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_chunk_borders_never_show),
        cmocka_unit_test(test_long_fields_cross_blocks_and_slices),
        cmocka_unit_test(test_a_reader_serves_again_after_reset),
        cmocka_unit_test(test_written_fields),
        cmocka_unit_test(test_every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
