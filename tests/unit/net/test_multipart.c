/* test_multipart.c - forms, whole and in pieces, sound and broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sextant/multipart.h>

#include "base/fault.h"

static const char FORM[] =
    "preamble\r\n--bo-und\r\n"
    "Content-Disposition: form-data; name=\"columns\"\r\n\r\nrue\r\n"
    "--bo-und  \r\n"
    "content-disposition: form-data; name=data; filename=\"a\\\"b\\c.csv\"\r\n"
    "Content-Type: text/csv\r\n\r\n"
    "x,y\r\n--bo-undx\r\r\n--bo-un\r\n\r\n"
    "--bo-und\r\n"
    "Content-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n"
    "--bo-und\r\n"
    "Content-Disposition: form-data; name=e; filename*=UTF-8''na%C3%AFve\r\n\r\n"
    "z\r\n--bo-und--\r\nepilogue --bo-und";

/* "--bo-undx" above is no delimiter line: its tail is refused. This one has none of that. */
static const char WANTED[] = "[columns|rue]"
                             "[data,a\"b\\c.csv,text/csv|x,y\r\n--bo-unx\r\r\n--bo-un\r\n]"
                             "[empty|]"
                             "[e,na\xc3\xafve,|z]";

typedef struct heard {
    char text[1024];
    size_t len;
    unsigned open, begun;
} heard;

static void say(heard *h, sx_str s)
{
    assert_true(s.len < sizeof(h->text) - h->len);
    memcpy(h->text + h->len, s.data, s.len);
    h->len += s.len;
}

static sx_status begins(void *ctx, const sx_multipart_part *part, sx_error *err)
{
    heard *h = ctx;
    (void)err;
    assert_int_equal(h->open, 0);
    h->open++;
    h->begun++;
    say(h, SX_STR("["));
    say(h, part->name);
    if (part->is_file) {
        say(h, SX_STR(","));
        say(h, part->filename);
        say(h, SX_STR(","));
        say(h, part->content_type);
    }
    say(h, SX_STR("|"));
    return SX_OK;
}

static sx_status data(void *ctx, sx_str piece, sx_error *err)
{
    heard *h = ctx;
    (void)err;
    assert_int_equal(h->open, 1);
    assert_true(piece.len > 0);
    say(h, piece);
    return SX_OK;
}

static sx_status ends(void *ctx, sx_error *err)
{
    heard *h = ctx;
    (void)err;
    assert_int_equal(h->open, 1);
    h->open--;
    say(h, SX_STR("]"));
    return SX_OK;
}

static const sx_multipart_events EVENTS = {begins, data, ends};

/* Reads `form` in pieces of `step` bytes. */
static sx_status read_form(sx_str form, size_t step, const sx_multipart_limits *limits, heard *h)
{
    sx_multipart m;
    sx_error err;
    sx_status status =
        sx_multipart_init(&m, SX_STR("bo-und"), limits, &EVENTS, memset(h, 0, sizeof(*h)), &err);
    assert_int_equal(status, SX_OK);
    while (form.len && status == SX_OK) {
        status = sx_multipart_feed(&m, sx_str_first(form, step), &err);
        form = sx_str_from(form, step);
    }
    sx_status finish = sx_multipart_finish(&m, &err);
    sx_multipart_done(&m);
    return status == SX_OK ? finish : status;
}

/* FORM with its lure made harmless: "--bo-undx" becomes "--bo-unx". */
static sx_str sound_form(char out[sizeof(FORM)])
{
    sx_str form = sx_str_z(FORM);
    size_t at = sx_str_find(form, SX_STR("dx\r\r"));
    memcpy(out, form.data, at);
    memcpy(out + at, form.data + at + 1, form.len - at - 1);
    return sx_str_of(out, form.len - 1);
}

static void test_parts_are_the_same_however_the_form_is_cut(void **state)
{
    (void)state;
    char space[sizeof(FORM)];
    sx_str form = sound_form(space);
    for (size_t step = 1; step <= form.len; step++) {
        heard h;
        assert_int_equal(read_form(form, step, NULL, &h), SX_OK);
        assert_int_equal(h.len, sizeof(WANTED) - 1);
        assert_memory_equal(h.text, WANTED, h.len);
    }
}

static void test_a_form_that_is_cut_short_is_refused(void **state)
{
    (void)state;
    char space[sizeof(FORM)];
    sx_str form = sound_form(space);
    size_t whole = sx_str_find(form, SX_STR("--bo-und--")) + 10;
    for (size_t len = 0; len < form.len; len++) {
        heard h;
        sx_status status = read_form(sx_str_first(form, len), 7, NULL, &h);
        assert_int_equal(status, len < whole ? SX_EFORMAT : SX_OK);
    }
}

static void test_a_boundary_with_a_tail_is_refused(void **state)
{
    (void)state;
    heard h;
    assert_int_equal(read_form(sx_str_z(FORM), 5, NULL, &h), SX_EFORMAT);
    assert_int_equal(read_form(SX_STR("--bo-und-x"), 1, NULL, &h), SX_EFORMAT);
}

static void test_limits_hold(void **state)
{
    (void)state;
    heard h;
    char space[sizeof(FORM)];
    sx_str form = sound_form(space);
    sx_multipart_limits few = {.parts_max = 3}, narrow = {.header_bytes_max = 60};
    assert_int_equal(read_form(form, 9, &few, &h), SX_ELIMIT);
    assert_int_equal(h.begun, 3);
    assert_int_equal(read_form(form, 9, &narrow, &h), SX_ELIMIT);
    assert_int_equal(h.begun, 1);
}

static void test_line_feeds_alone_end_header_lines(void **state)
{
    (void)state;
    heard h;
    sx_str form = SX_STR("--bo-und\nContent-Disposition: form-data; name=\"a\"\n\nb\r\n--bo-und--");
    assert_int_equal(read_form(form, 3, NULL, &h), SX_OK);
    assert_string_equal(h.text, "[a|b]");
    assert_int_equal(read_form(SX_STR("--bo-und\r\n\r\nx\r\n--bo-und--"), 3, NULL, &h), SX_OK);
    assert_string_equal(h.text, "[|x]");
}

static void test_boundaries_are_found(void **state)
{
    static const struct {
        const char *type, *boundary;
        sx_status status;
    } CASES[] = {
        {"multipart/form-data; boundary=abc", "abc", SX_OK},
        {"Multipart/Form-Data;charset=utf-8 ; BOUNDARY=\"a b;c\"; x=y", "a b;c", SX_OK},
        {"multipart/form-data; boundary=a ;b", "a", SX_OK},
        {"multipart/form-data", NULL, SX_EINVAL},
        {"multipart/form-data; boundary=", NULL, SX_EINVAL},
        {"multipart/form-data; boundary", NULL, SX_EINVAL},
        {"multipart/mixed; boundary=a", NULL, SX_EUNSUPPORTED},
        {"", NULL, SX_EUNSUPPORTED},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        sx_str boundary;
        sx_error err;
        assert_int_equal(sx_multipart_boundary(sx_str_z(CASES[i].type), &boundary, &err),
                         CASES[i].status);
        if (CASES[i].boundary)
            assert_true(sx_str_eq(boundary, sx_str_z(CASES[i].boundary)));
        else
            assert_true(err.message[0] != '\0');
    }
}

static void test_without_memory_a_form_is_refused(void **state)
{
    (void)state;
    heard h;
    char space[sizeof(FORM)];
    sx_str form = sound_form(space);
    sx_fault_alloc_set((sx_fault_alloc){.nth = INT64_MAX});
    assert_int_equal(read_form(form, 50, NULL, &h), SX_OK);
    int64_t calls = sx_fault_alloc_calls();
    assert_true(calls > 0);
    for (int64_t nth = 1; nth <= calls; nth++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        assert_int_equal(read_form(form, 50, NULL, &h), SX_ENOMEM);
        assert_int_equal(sx_fault_alloc_held(), 0);
    }
    sx_fault_alloc_set((sx_fault_alloc){0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_are_the_same_however_the_form_is_cut),
        cmocka_unit_test(test_a_form_that_is_cut_short_is_refused),
        cmocka_unit_test(test_a_boundary_with_a_tail_is_refused),
        cmocka_unit_test(test_limits_hold),
        cmocka_unit_test(test_line_feeds_alone_end_header_lines),
        cmocka_unit_test(test_boundaries_are_found),
        cmocka_unit_test(test_without_memory_a_form_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
