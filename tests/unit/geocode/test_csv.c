/* test_csv.c - how tables are guessed, decoded, taken apart and written; one batch from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include <sextant/mem.h>

#include "base/fault.h"
#include "fixture.h"
#include "geocode/api/csv_form.h"
#include "geocode/api/csv_job.h"
#include "geocode/api/csv_sniff.h"

static void expect_str(sx_str got, const char *want)
{
    if (!sx_str_eq(got, sx_str_z(want)))
        fail_msg("got '%.*s', wanted '%s'", SX_ARG(got), want);
}

/* ---- the guess. What Python 3.11's csv.Sniffer answered to these texts. */

static const struct {
    const char *text;
    uint32_t delimiter, quote; /* 0: none was found */
    bool skip_space;
} GUESSES[] = {
    {"a,b\r\nc,d\r\n", ',', '"', false},
    {"a;b,c\r\nd;e,f\r\n", ',', '"', false},
    {"a;b c\r\nd;e f\r\n", ';', '"', false},
    {"a:b c\r\nd:e f\r\n", ' ', '"', false},
    {"a, b\r\nc, d\r\n", ',', '"', true},
    {"axb\r\ncxd\r\n", 'x', '"', false},
    {"a\r\nb\r\nc\r\n", '\r', '"', false},
    {"a,b\r\nc,d\r\ne,f,g\r\n", '\r', '"', false},
    {"ab\r\ncd", 0, 0, false},
    {"a-b\r\nc-d", '-', '"', false},
    {"nom,adresse\r\na,\"b,c\"\r\n", 'a', '"', false},
    {"nom,adresse\r\na,\"b,c\",d\r\n", ',', '"', false},
    {"nom,adresse\r\n\"a,b\",c\r\n", ',', '"', false},
    {"x,y,z\r\na,'b,c',d\r\n", ',', '\'', false},
    {"\"a\"|\"b\"\r\n\"c\"|\"d\"\r\n", '|', '"', false},
    {"x, y, z\r\nlyon, \"a, b\", c\r\n", ',', '"', true},
    {"", 0, 0, false},
};

static void test_guesses_are_pythons(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(GUESSES); i++) {
        geo_csv_guess guess;
        geo_csv_sniff(sx_str_z(GUESSES[i].text), &guess);
        assert_int_equal(guess.found, GUESSES[i].delimiter != 0);
        if (!guess.found)
            continue;
        assert_int_equal(guess.delimiter, GUESSES[i].delimiter);
        assert_int_equal(guess.quote, GUESSES[i].quote);
        assert_int_equal(guess.skip_space, GUESSES[i].skip_space);
    }
}

/* Texts made to have much to look for: the time must not grow with the square of the length. */
static void test_guessing_takes_linear_time(void **state)
{
    static const char *const PATTERNS[] = {",\"",  "\"",   "\n\"", ",\"a\"x", "a\n",
                                           ", \"", ";'\n", "'\"",  "\"\n,",   ",'\"|"};
    (void)state;
    char *text = malloc(GEO_CSV_SAMPLE_BYTES);
    for (size_t i = 0; i < SX_COUNT_OF(PATTERNS); i++) {
        geo_csv_guess guess;
        size_t len = strlen(PATTERNS[i]);
        for (size_t at = 0; at < GEO_CSV_SAMPLE_BYTES; at++)
            text[at] = PATTERNS[i][at % len];
        geo_csv_sniff(sx_str_of(text, GEO_CSV_SAMPLE_BYTES), &guess);
    }
    free(text);
}

static void test_letters_and_line_ends_are_no_delimiters(void **state)
{
    (void)state;
    geo_csv_dialect d;
    assert_int_equal(geo_csv_dialect_of(SX_STR("axb\ncxd\n"), &d), SX_OK);
    assert_int_equal(d.delimiter.bytes[0], ';');
    assert_int_equal(geo_csv_dialect_of(SX_STR("a\nb\nc\n"), &d), SX_OK);
    assert_int_equal(d.delimiter.bytes[0], ';');
    assert_int_equal(geo_csv_dialect_of(SX_STR("ab\ncd"), &d), SX_OK);
    assert_int_equal(d.delimiter.bytes[0], ',');
    assert_true(d.quote_all && d.lf);
}

/* ---- charsets */

static const struct {
    const char *name;
    sx_str bytes;
    const char *text, *error; /* error NULL: it decodes */
} TEXTS[] = {
    {"utf-8", SX_STR_INIT("\xef\xbb\xbfh\xc3\xa9"), "\xef\xbb\xbfh\xc3\xa9", NULL},
    {"UTF_8_SIG", SX_STR_INIT("\xef\xbb\xbfh\xc3\xa9"), "h\xc3\xa9", NULL},
    {"utf-8-sig", SX_STR_INIT("\xef\xbb"), "\xef\xbf\xbd",
     "'utf-8' codec can't decode bytes in position 0-1: unexpected end of data"},
    {"utf8", SX_STR_INIT("saint-\xe9tienne"), "saint-\xef\xbf\xbdtienne",
     "'utf-8' codec can't decode byte 0xe9 in position 6: invalid continuation byte"},
    {"utf8", SX_STR_INIT("a\xff"), "a\xef\xbf\xbd",
     "'utf-8' codec can't decode byte 0xff in position 1: invalid start byte"},
    {"latin-1", SX_STR_INIT("\xe9\x80"), "\xc3\xa9\xc2\x80", NULL},
    {"ISO-8859-15", SX_STR_INIT("\xa4"), "\xe2\x82\xac", NULL},
    {"cp1252", SX_STR_INIT("\x80 l\x92"), "\xe2\x82\xac l\xe2\x80\x99", NULL},
    {"windows-1252", SX_STR_INIT("a\x81"), "a\xef\xbf\xbd",
     "'charmap' codec can't decode byte 0x81 in position 1: character maps to <undefined>"},
    {"ascii", SX_STR_INIT("a\xc3"), "a\xef\xbf\xbd",
     "'ascii' codec can't decode byte 0xc3 in position 1: ordinal not in range(128)"},
    {"utf-16", SX_STR_INIT("\xff\xfe\x61\0\x3d\xd8\x00\xde"), "a\xf0\x9f\x98\x80", NULL},
    {"utf-16", SX_STR_INIT("\xfe\xff\0a"), "a", NULL},
    {"utf-16", SX_STR_INIT("\xff\xfe\n\0\n"), "\n\xef\xbf\xbd",
     "'utf-16-le' codec can't decode byte 0x0a in position 4: truncated data"},
    {"utf-16-be", SX_STR_INIT("\xdc\0\0a"), "\xef\xbf\xbd\x61",
     "'utf-16-be' codec can't decode bytes in position 0-1: illegal encoding"},
};

static void decode_in_steps(size_t i, size_t step, bool lenient)
{
    geo_csv_decoder d = {.lenient = lenient};
    sx_buf out;
    sx_error err = {0};
    sx_status status = SX_OK;
    sx_buf_init(&out, 0);
    assert_true(geo_csv_charset_find(sx_str_z(TEXTS[i].name), &d.charset));
    for (sx_str rest = TEXTS[i].bytes; rest.len && status == SX_OK; rest = sx_str_from(rest, step))
        status = geo_csv_decode(&d, sx_str_first(rest, step), GEO_CSV_PIECE, &out, &err);
    if (status == SX_OK)
        status = geo_csv_decode(&d, sx_str_of("", 0), GEO_CSV_LAST, &out, &err);
    if (!lenient && TEXTS[i].error) {
        assert_int_equal(status, SX_EFORMAT);
        assert_string_equal(err.message, TEXTS[i].error);
    } else {
        assert_int_equal(status, SX_OK);
        expect_str(sx_buf_view(&out), TEXTS[i].text);
    }
    sx_buf_done(&out);
}

static void test_texts_decode_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(TEXTS); i++) {
        for (size_t step = 1; step <= TEXTS[i].bytes.len; step++) {
            decode_in_steps(i, step, false);
            decode_in_steps(i, step, true);
        }
    }
}

static void test_names_that_are_no_charsets(void **state)
{
    static const char *const NAMES[] = {"klingon", "", "base64", "utf-8\r\nX: y", "cp", "\xc3\xa9"};
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(NAMES); i++) {
        geo_csv_charset charset;
        assert_false(geo_csv_charset_find(sx_str_z(NAMES[i]), &charset));
    }
}

static void test_what_a_charset_lacks_is_a_question_mark(void **state)
{
    (void)state;
    geo_csv_charset charset;
    sx_buf out;
    sx_buf_init(&out, 0);
    assert_true(geo_csv_charset_find(SX_STR("cp1252"), &charset));
    geo_csv_encode(&charset, SX_STR("a\xe2\x82\xac\xd7\x90"), &out);
    expect_str(sx_buf_view(&out), "a\x80?");
    sx_buf_done(&out);
}

/* ---- rows. As Addok repeats what it has read. */

static const struct {
    const char *text, *rows; /* fields in [], rows end with '/' */
} ROWS[] = {
    {"a,b\nc,d\n", "[a][b]/[c][d]/"},
    {"a,b\r\n\r\n\nc,d", "[a][b]/[c][d]/"},
    {"\na,b\n", "/[a][b]/"},
    {"a,\"b\nc\"\n", "[a][b\r\nc]/"},
    {"a,\"b\rc\"\rd\n", "[a][bcd]/"},
    {"a \"q\" b,\"c\"d\n", "[a \"q\" b][cd]/"},
    {"\"e\" ,f\n\"open,g\nh\n", "[e ][f]/[open,g\r\nh\r\n]/"},
    {"\"a\"\"b\",\"\"\n", "[a\"b][]/"},
    {"x\va,b\fc\n", "[x\v]/[a][b\f]/[c]/"},
    {"a\xc2\x85,b\xe2\x80\xa8", "[a\xc2\x85]/[][b\xe2\x80\xa8]/"},
    {",\n", "[][]/"},
    {"a,", "[a][]/"},
};

static void describe(const geo_csv_rows *rows, sx_buf *out)
{
    for (size_t i = 0; i < rows->count; i++) {
        for (size_t k = 0; k < rows->rows[i].count; k++) {
            sx_buf_byte(out, '[');
            sx_buf_str(out, geo_csv_field(rows, rows->rows[i].first + k));
            sx_buf_byte(out, ']');
        }
        sx_buf_byte(out, '/');
    }
}

static void test_rows_are_the_same_however_the_text_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_str text = sx_str_z(ROWS[i].text);
        for (size_t cut = 0; cut <= text.len; cut++) {
            if (cut < text.len && ((unsigned char)text.data[cut] & 0xc0) == 0x80)
                continue; /* pieces are whole characters */
            geo_csv_reader r;
            geo_csv_rows rows = {0};
            sx_buf got;
            sx_str first = sx_str_first(text, cut), rest = sx_str_from(text, cut);
            sx_buf_init(&got, 0);
            geo_csv_reader_init(&r, &GEO_CSV_EXCEL, 1000);
            assert_int_equal(geo_csv_read(&r, &first, SIZE_MAX, &rows), SX_OK);
            assert_int_equal(geo_csv_read(&r, &rest, SIZE_MAX, &rows), SX_OK);
            assert_int_equal(geo_csv_read_end(&r, &rows), SX_OK);
            describe(&rows, &got);
            expect_str(sx_buf_view(&got), ROWS[i].rows);
            sx_buf_done(&got);
            geo_csv_rows_done(&rows);
        }
    }
}

static void test_long_rows_are_cut_and_say_so(void **state)
{
    (void)state;
    geo_csv_reader r;
    geo_csv_rows rows = {0};
    sx_str text = SX_STR("a,b\n0123456789,c\n,,,,,,,,,,,,,,,,\nd,e\n");
    geo_csv_reader_init(&r, &GEO_CSV_EXCEL, 8);
    assert_int_equal(geo_csv_read(&r, &text, SIZE_MAX, &rows), SX_OK);
    assert_int_equal(rows.count, 4);
    assert_false(rows.rows[0].is_cut || rows.rows[3].is_cut);
    assert_true(rows.rows[1].is_cut && rows.rows[2].is_cut);
    assert_int_equal(rows.rows[3].number, 3);
    geo_csv_rows_done(&rows);
}

static void test_fields_are_quoted_where_they_must_be(void **state)
{
    (void)state;
    sx_buf out;
    sx_buf_init(&out, 0);
    geo_csv_put(&GEO_CSV_EXCEL, &out, GEO_CSV_FIRST, SX_STR("a"));
    geo_csv_put(&GEO_CSV_EXCEL, &out, GEO_CSV_LATER, SX_STR("b,c"));
    geo_csv_put(&GEO_CSV_EXCEL, &out, GEO_CSV_LATER, SX_STR("\"q\""));
    geo_csv_put(&GEO_CSV_EXCEL, &out, GEO_CSV_LATER, SX_STR("l\r\n"));
    geo_csv_end(&GEO_CSV_EXCEL, &out);
    expect_str(sx_buf_view(&out), "a,\"b,c\",\"\"\"q\"\"\",\"l\r\n\"\r\n");
    sx_buf_done(&out);
}

/* ---- a batch */

typedef struct batch {
    sx_loop *loop;
    geo_csv_crew *crew;
    geo_index *index;
    sx_buf out;
    bool ended, gone;
    sx_status why;
    char words[256];
} batch;

static void on_output(void *ctx, sx_str bytes)
{
    sx_buf_str(&((batch *)ctx)->out, bytes);
}

static void on_room(void *ctx)
{
    (void)ctx;
}

static void on_ended(void *ctx, sx_status why, sx_str words)
{
    batch *b = ctx;
    b->ended = true;
    b->why = why;
    snprintf(b->words, sizeof(b->words), "%.*s", SX_ARG(words));
    sx_loop_stop(b->loop);
}

static void on_gone(void *ctx)
{
    ((batch *)ctx)->gone = true;
}

static const geo_csv_events EVENTS = {on_output, on_room, on_ended, on_gone};

static int set_up(void **state)
{
    sx_error err;
    batch *b = calloc(1, sizeof(*b));
    b->index = fixture_open("tiny.geo", sx_str_z(TINY));
    assert_int_equal(sx_loop_new(NULL, 0, &b->loop, &err), SX_OK);
    assert_int_equal(geo_csv_crew_new(2, &b->crew, &err), SX_OK);
    sx_buf_init(&b->out, 0);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    batch *b = *state;
    geo_csv_crew_stop(b->crew);
    sx_loop_free(b->loop);
    geo_csv_crew_free(b->crew);
    geo_index_close(b->index);
    sx_buf_done(&b->out);
    free(b);
    fixture_clean();
    return 0;
}

/* Answers `text`, fed in pieces of `step` bytes. */
static void run(batch *b, const geo_csv_options *options, sx_str text, size_t step)
{
    geo_csv_job *job;
    sx_error err;
    sx_buf_clear(&b->out);
    b->ended = b->gone = false;
    assert_int_equal(geo_csv_job_new(&(geo_csv_job_options){.crew = b->crew,
                                                            .loop = b->loop,
                                                            .index = b->index,
                                                            .options = options,
                                                            .events = &EVENTS,
                                                            .ctx = b},
                                     &job, &err),
                     SX_OK);
    for (; text.len; text = sx_str_from(text, step))
        assert_int_equal(geo_csv_job_feed(job, sx_str_first(text, step)), SX_OK);
    geo_csv_job_finish(job);
    if (!b->ended)
        sx_loop_run(b->loop);
    assert_true(b->ended);
    geo_csv_job_free(job);
    while (!b->gone)
        (void)sx_loop_turn(b->loop);
}

static void test_rows_come_back_in_order(void **state)
{
    batch *b = *state;
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_buf_str(&text, SX_STR("n,q\n"));
    for (int i = 0; i < 2000; i++)
        sx_buf_printf(&text, "%d,%s\n", i, i % 3 ? "nowhere at all" : "rue");
    sx_str column = SX_STR("q");
    geo_csv_options options = {.columns = &column, .column_count = 1, .delimiter = SX_STR(",")};
    run(b, &options, sx_buf_view(&text), 997);
    assert_int_equal(b->why, SX_OK);
    sx_str rest = sx_buf_view(&b->out), line;
    sx_str_cut(rest, '\n', &line, &rest);
    for (int i = 0; i < 2000; i++) {
        char begins[32];
        snprintf(begins, sizeof(begins), "%d,", i);
        sx_str_cut(rest, '\n', &line, &rest);
        assert_true(sx_str_starts(line, sx_str_z(begins)));
    }
    assert_int_equal(rest.len, 0);
    sx_buf_done(&text);
}

static void test_what_is_wrong_is_said_in_addoks_words(void **state)
{
    batch *b = *state;
    sx_str nada = SX_STR("na'da");
    geo_csv_options unknown = {.columns = &nada, .column_count = 1}, plain = {0},
                    two = {.delimiter = SX_STR(";;")};
    run(b, &unknown, SX_STR("x'y,z\t\na,b\n"), 3);
    assert_int_equal(b->why, SX_EINVAL);
    assert_string_equal(b->words, "Cannot found column 'na'da' in columns [\"x'y\", 'z\\t']");
    run(b, &plain, SX_STR(""), 1);
    assert_int_equal(b->why, SX_END);
    assert_string_equal(b->words, "Empty file");
    run(b, &two, SX_STR("a;;b\n"), 1);
    assert_int_equal(b->why, SX_EINVAL);
    run(b, &plain, SX_STR("a,b\nc\xff,d\n"), 1);
    assert_int_equal(b->why, SX_EFORMAT);
}

static void test_a_batch_may_be_given_up_at_any_time(void **state)
{
    batch *b = *state;
    sx_str text = SX_STR("n,q\n1,rue\n2,rue\n");
    geo_csv_options options = {.delimiter = SX_STR(",")};
    for (size_t len = 0; len <= text.len; len++) {
        geo_csv_job *job;
        sx_error err;
        b->gone = false;
        assert_int_equal(geo_csv_job_new(&(geo_csv_job_options){.crew = b->crew,
                                                                .loop = b->loop,
                                                                .index = b->index,
                                                                .options = &options,
                                                                .events = &EVENTS,
                                                                .ctx = b},
                                         &job, &err),
                         SX_OK);
        (void)geo_csv_job_feed(job, sx_str_first(text, len));
        geo_csv_job_free(job);
        while (!b->gone)
            (void)sx_loop_turn(b->loop);
    }
}

/* ---- forms */

static void test_forms_are_read_with_the_query_string_behind_them(void **state)
{
    static const char *const FILTERS[] = {"type", "postcode", NULL};
    (void)state;
    sx_arena arena;
    geo_csv_form form = {0};
    geo_csv_options o = {0};
    geo_refusal refusal;
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(geo_csv_form_add(&form, &arena, SX_STR("columns"), SX_STR("a,b")), SX_OK);
    assert_int_equal(geo_csv_form_add(&form, &arena, SX_STR("min_score"), SX_STR("1e-1")), SX_OK);
    assert_int_equal(
        geo_csv_form_query(&form, &arena, SX_STR("columns=x&postcode=c+p&with_bom=yes&lat=%c3%a9")),
        SX_OK);
    assert_int_equal(geo_csv_form_read(&form, &arena, FILTERS, &o, &refusal), SX_OK);
    assert_int_equal(o.column_count, 1);
    expect_str(o.columns[0], "a,b");
    assert_int_equal(o.filter_count, 1);
    expect_str(o.filter_columns[0], "c p");
    expect_str(o.lat, "\xc3\xa9");
    assert_true(o.with_bom && o.has_min_score);
    assert_int_equal(geo_csv_form_add(&form, &arena, SX_STR("min_score"), SX_STR("x")), SX_OK);
    assert_int_equal(geo_csv_form_read(&form, &arena, FILTERS, &o, &refusal), SX_EINVAL);
    assert_int_equal(refusal.status, 400);
    sx_arena_done(&arena);
}

static void test_without_memory_nothing_breaks(void **state)
{
    (void)state;
    sx_str text = SX_STR("a,b\nc,\"d\"\"e\"\n");
    for (int64_t nth = 1; nth < 40; nth++) {
        geo_csv_dialect d;
        geo_csv_reader r;
        geo_csv_rows rows = {0};
        sx_str rest = text;
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status guessed = geo_csv_dialect_of(text, &d);
        assert_true(guessed == SX_OK || guessed == SX_ENOMEM);
        geo_csv_reader_init(&r, &GEO_CSV_EXCEL, 1000);
        sx_status read = geo_csv_read(&r, &rest, SIZE_MAX, &rows);
        assert_true(read == SX_OK || read == SX_ENOMEM);
        geo_csv_rows_done(&rows);
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guesses_are_pythons),
        cmocka_unit_test(test_guessing_takes_linear_time),
        cmocka_unit_test(test_letters_and_line_ends_are_no_delimiters),
        cmocka_unit_test(test_texts_decode_however_they_are_cut),
        cmocka_unit_test(test_names_that_are_no_charsets),
        cmocka_unit_test(test_what_a_charset_lacks_is_a_question_mark),
        cmocka_unit_test(test_rows_are_the_same_however_the_text_is_cut),
        cmocka_unit_test(test_long_rows_are_cut_and_say_so),
        cmocka_unit_test(test_fields_are_quoted_where_they_must_be),
        cmocka_unit_test_setup_teardown(test_rows_come_back_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_wrong_is_said_in_addoks_words, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_batch_may_be_given_up_at_any_time, set_up,
                                        tear_down),
        cmocka_unit_test(test_forms_are_read_with_the_query_string_behind_them),
        cmocka_unit_test(test_without_memory_nothing_breaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
