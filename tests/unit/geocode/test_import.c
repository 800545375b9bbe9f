/* test_import.c - good and bad files, limits, interruptions: the old index always survives. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <sextant/compress.h>
#include <sextant/file.h>

#include "base/fault.h"
#include "fixture.h"

static int clean(void **state)
{
    (void)state;
    fixture_clean();
    return 0;
}

static void check_refused(sx_str text, sx_status status, const char *words)
{
    sx_error err = {0};
    sx_status got = fixture_import("bad.geo", text, &err);
    if (got != status || !strstr(err.message, words) || !strstr(err.message, "input.ndjson"))
        fail_msg("'%.*s' gives %s: %s", SX_ARG(sx_str_first(text, 80)), sx_status_name(got),
                 err.message);
}

static void test_malformed_lines_are_named(void **state)
{
    (void)state;
    check_refused(SX_STR("{\"name\":\"a\",\"lon\":1,\"lat\":1}\n{\"name\":"), SX_EFORMAT, ":2");
    check_refused(SX_STR("{\"name\":\"a\",\"lon\":1}"), SX_EFORMAT, "no lat");
    check_refused(SX_STR("{\"name\":\"a\",\"lat\":1}"), SX_EFORMAT, "no lon");
    check_refused(SX_STR("{\"lon\":1,\"lat\":1}"), SX_EFORMAT, "no name");
    check_refused(SX_STR("{\"name\":\"a\",\"lon\":\"x\",\"lat\":1}"), SX_EFORMAT, "lon");
    check_refused(SX_STR("{\"name\":\"a\",\"lon\":181,\"lat\":1}"), SX_EINVAL, "not on Earth");
    check_refused(SX_STR("{\"name\":\"a\",\"lon\":1,\"lat\":1} x"), SX_EFORMAT, ":1");
    check_refused(SX_STR("{\"name\":\"\xff\",\"lon\":1,\"lat\":1}"), SX_EFORMAT, ":1");
    check_refused(SX_STR("{}\n"), SX_EFORMAT, ":1");
    check_refused(
        SX_STR("{\"name\":\"a\",\"lon\":1,\"lat\":1,\"housenumbers\":{\"1\":{\"lon\":2}}}"),
        SX_EFORMAT, "house number '1'");
    check_refused(SX_STR("{\"name\":\"a\",\"lon\":1,\"lat\":1,\"housenumbers\":[1]}"), SX_EFORMAT,
                  ":1");
    check_refused(SX_STR("{\"name\":\"a\",\"lon\":1,\"lat\":1,\"housenumbers\":{\"1\":{\"lon\":2,"
                         "\"lat\":91}}}"),
                  SX_EINVAL, "not on Earth");
}

static void test_other_formats_are_named(void **state)
{
    (void)state;
    check_refused(SX_STR("id;numero;rep\n1;2;3\n"), SX_EUNSUPPORTED, "no NDJSON");
    check_refused(SX_STR("<html>"), SX_EUNSUPPORTED, "no NDJSON");
}

static void test_every_cut_line_is_refused(void **state)
{
    (void)state;
    sx_str whole = fixture_first_line();
    sx_error err;
    for (size_t len = 1; len < whole.len - 1; len++)
        assert_int_equal(fixture_import("cut.geo", sx_str_first(whole, len), &err), SX_EFORMAT);
    assert_int_equal(fixture_import("cut.geo", whole, &err), SX_OK);
}

static void test_a_byte_order_mark_is_allowed(void **state)
{
    (void)state;
    sx_error err;
    assert_int_equal(
        fixture_import("bom.geo", SX_STR("\xEF\xBB\xBF{\"name\":\"a\",\"lon\":1,\"lat\":1}"), &err),
        SX_OK);
}

static void test_gzip_is_told_by_content_and_its_cuts_are_refused(void **state)
{
    (void)state;
    sx_buf packed;
    sx_error err = {0};
    sx_buf_init(&packed, 0);
    assert_int_equal(sx_compress(SX_CODEC_GZIP, sx_str_z(TINY), 6, &packed, &err), SX_OK);
    assert_int_equal(fixture_import("gz.geo", sx_buf_view(&packed), &err), SX_OK);
    for (size_t len = 3; len < packed.len; len += 5)
        assert_int_not_equal(
            fixture_import("gz.geo", sx_str_first(sx_buf_view(&packed), len), &err), SX_OK);
    geo_index *ix = NULL;
    assert_int_equal(geo_index_open(fixture_path("gz.geo"), &ix, &err), SX_OK);
    geo_index_close(ix);
    sx_buf_done(&packed);
}

static sx_status import_with(const geo_import_limits *limits, sx_str text, sx_error *err)
{
    char out[256];
    (void)snprintf(out, sizeof(out), "%s", fixture_path("limits.geo"));
    geo_import_input input = {.path = fixture_write("input.ndjson", text)};
    return geo_import(
        &(geo_import_options){.inputs = &input, .input_count = 1, .output = out, .limits = *limits},
        NULL, err);
}

static void test_limits_hold(void **state)
{
    (void)state;
    static const geo_import_limits LIMITS[] = {
        {.line_bytes_max = 100},      {.names_max = 1}, {.properties_max = 5}, {.numbers_max = 3},
        {.number_properties_max = 2},
    };
    sx_error err;
    for (size_t i = 0; i < SX_COUNT_OF(LIMITS); i++)
        assert_int_equal(import_with(&LIMITS[i], sx_str_z(TINY), &err), SX_ELIMIT);
    assert_int_equal(import_with(&(geo_import_limits){0}, sx_str_z(TINY), &err), SX_OK);
}

static bool stop_at_once(void *context, const geo_import_progress *p)
{
    geo_import_stage stage = *(geo_import_stage *)context;
    return p->stage != stage;
}

static void test_a_stopped_import_leaves_the_old_index(void **state)
{
    (void)state;
    sx_error err;
    assert_int_equal(fixture_import("old.geo", fixture_first_line(), &err), SX_OK);
    geo_import_input input = {.path = fixture_write("input.ndjson", sx_str_z(TINY))};
    static const geo_import_stage STAGES[] = {GEO_IMPORT_READING, GEO_IMPORT_WRITING};
    for (size_t i = 0; i < SX_COUNT_OF(STAGES); i++) {
        geo_import_stage stage = STAGES[i];
        geo_import_options o = {.inputs = &input,
                                .input_count = 1,
                                .output = fixture_path("old.geo"),
                                .report = stop_at_once,
                                .context = &stage};
        assert_int_equal(geo_import(&o, NULL, &err), SX_ECANCELED);
        geo_index *ix;
        geo_stat stat;
        assert_int_equal(geo_index_open(fixture_path("old.geo"), &ix, &err), SX_OK);
        geo_index_stat(ix, &stat);
        assert_int_equal(stat.documents, 1);
        geo_index_close(ix);
    }
}

static void test_progress_is_reported(void **state)
{
    (void)state;
    geo_import_progress p;
    sx_error err;
    geo_import_input input = {.path = fixture_write("input.ndjson", sx_str_z(TINY))};
    geo_import_options o = {
        .inputs = &input, .input_count = 1, .output = fixture_path("progress.geo")};
    assert_int_equal(geo_import(&o, &p, &err), SX_OK);
    assert_int_equal(p.stage, GEO_IMPORT_DONE);
    assert_int_equal(p.documents, 6);
    assert_int_equal(p.numbers, 5);
    assert_int_equal(p.bytes_done, strlen(TINY));
    assert_int_equal(p.bytes_total, strlen(TINY));
}

static void test_two_sources_keep_their_attributions(void **state)
{
    (void)state;
    sx_error err;
    geo_import_input inputs[] = {
        {.path = fixture_write("one.ndjson", sx_str_z(TINY))},
        {.path = fixture_write("two.ndjson", SX_STR("{\"name\":\"Calle Mayor\",\"lon\":-3.7,"
                                                    "\"lat\":40.4,\"importance\":0.9}")),
         .attribution = SX_STR("Madrid"),
         .licence = SX_STR("CC BY 4.0"),
         .language = GEO_LANGUAGE_SPANISH},
    };
    geo_import_options o = {.inputs = inputs, .input_count = 2, .output = fixture_path("two.geo")};
    assert_int_equal(geo_import(&o, NULL, &err), SX_OK);
    geo_index *ix;
    geo_source source;
    assert_int_equal(geo_index_open(fixture_path("two.geo"), &ix, &err), SX_OK);
    assert_true(geo_index_source(ix, geo_doc(ix, 0)->source, &source));
    assert_true(sx_str_eq(source.licence, SX_STR("CC BY 4.0")));
    assert_int_equal(source.language, GEO_LANGUAGE_SPANISH);
    geo_index_close(ix);
}

/* Fails every allocation in turn: each gives SX_ENOMEM and leaks nothing. */
static void test_every_failing_allocation_is_survived(void **state)
{
    (void)state;
    sx_error err;
    assert_int_equal(fixture_import("memory.geo", sx_str_z(TINY), &err), SX_OK);
    for (int64_t nth = 1;; nth++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth, .and_after = true});
        sx_status status = fixture_import("memory.geo", sx_str_z(TINY), &err);
        int64_t held = sx_fault_alloc_held();
        bool reached = sx_fault_alloc_calls() >= nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
        if (!reached) {
            assert_int_equal(status, SX_OK);
            break;
        }
        assert_int_equal(status, SX_ENOMEM);
    }
    geo_index *ix;
    assert_int_equal(geo_index_open(fixture_path("memory.geo"), &ix, &err), SX_OK);
    geo_index_close(ix);
}

/* A full disk at any write, sync or rename leaves the old index. */
static void test_a_full_disk_leaves_the_old_index(void **state)
{
    (void)state;
    sx_error err;
    assert_int_equal(fixture_import("disk.geo", fixture_first_line(), &err), SX_OK);
    geo_import_input input = {.path = fixture_write("input.ndjson", sx_str_z(TINY))};
    geo_import_options o = {.inputs = &input, .input_count = 1, .output = fixture_path("disk.geo")};
    int failed = 0;
    for (int64_t nth = 1; nth < 100; nth++) {
        sx_fault_file_set((sx_fault_file){.nth = nth,
                                          .calls = SX_FAULT_WRITE | SX_FAULT_SYNC | SX_FAULT_RENAME,
                                          .os_errno = ENOSPC,
                                          .torn_bytes = 10});
        sx_status status = geo_import(&o, NULL, &err);
        sx_fault_file_set((sx_fault_file){0});
        if (status == SX_OK)
            break;
        failed++;
        geo_index *ix;
        assert_int_equal(geo_index_open(fixture_path("disk.geo"), &ix, &err), SX_OK);
        geo_index_close(ix);
    }
    assert_true(failed >= 3);
}

static uint32_t documents_at(const char *path)
{
    geo_index *ix = NULL;
    geo_stat stat;
    sx_error err = {0};
    if (geo_index_open(path, &ix, &err) != SX_OK)
        fail_msg("%s", err.message);
    geo_index_stat(ix, &stat);
    geo_index_close(ix);
    return stat.documents;
}

static sx_status import_path(const char *path, const char *output, sx_error *err)
{
    geo_import_input input = {.path = path};
    return geo_import(&(geo_import_options){.inputs = &input, .input_count = 1, .output = output},
                      NULL, err);
}

static void test_no_document_leaves_the_old_index(void **state)
{
    (void)state;
    sx_error err;
    sx_buf packed;
    sx_buf_init(&packed, 0);
    assert_int_equal(sx_compress(SX_CODEC_GZIP, SX_STR(""), 6, &packed, &err), SX_OK);
    assert_int_equal(fixture_import("kept.geo", fixture_first_line(), &err), SX_OK);
    check_refused(SX_STR(""), SX_EINVAL, "no document in ");
    const sx_str EMPTY[] = {SX_STR(""), SX_STR("\n\n"), SX_STR("\xEF\xBB\xBF"),
                            sx_buf_view(&packed)};
    for (size_t i = 0; i < SX_COUNT_OF(EMPTY); i++) {
        assert_int_equal(fixture_import("kept.geo", EMPTY[i], &err), SX_EINVAL);
        assert_int_equal(documents_at(fixture_path("kept.geo")), 1);
    }
    sx_buf_done(&packed);
    geo_import_input inputs[] = {{.path = fixture_write("none.ndjson", SX_STR(""))},
                                 {.path = fixture_write("input.ndjson", fixture_first_line())}};
    geo_import_options o = {.inputs = inputs, .input_count = 2, .output = fixture_path("kept.geo")};
    assert_int_equal(geo_import(&o, NULL, &err), SX_OK); /* one file of two has one */
}

static void test_a_source_is_never_the_output(void **state)
{
    (void)state;
    sx_error err;
    char source[256], other[256], growing[256];
    (void)snprintf(growing, sizeof(growing), "%s", fixture_write("grow.tmp", fixture_first_line()));
    (void)snprintf(source, sizeof(source), "%s", fixture_write("own.ndjson", fixture_first_line()));
    (void)snprintf(other, sizeof(other), "%s", fixture_path("other"));
    assert_int_equal(import_path(source, source, &err), SX_EINVAL);
    assert_non_null(strstr(err.message, "name another output"));
    assert_int_equal(symlink(source, other), 0);
    assert_int_equal(import_path(source, other, &err), SX_EINVAL);
    assert_int_equal(import_path(other, source, &err), SX_EINVAL);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(link(source, other), 0);
    assert_int_equal(import_path(source, other, &err), SX_EINVAL);
    assert_int_equal(import_path(growing, fixture_path("grow"), &err), SX_EINVAL);
    sx_buf text;
    sx_buf_init(&text, 0);
    assert_int_equal(sx_file_read(source, 0, &text, &err), SX_OK);
    assert_true(sx_str_eq(sx_buf_view(&text), fixture_first_line()));
    sx_buf_done(&text);
}

static void test_only_a_regular_file_is_replaced(void **state)
{
    (void)state;
    sx_error err;
    struct stat info;
    char source[256], at[256], target[256];
    (void)snprintf(source, sizeof(source), "%s", fixture_write("one.ndjson", fixture_first_line()));
    (void)snprintf(at, sizeof(at), "%s", fixture_path("special"));
    (void)snprintf(target, sizeof(target), "%s", fixture_path("target.geo"));
    assert_int_equal(import_path(source, "/dev/null", &err), SX_EINVAL);
    assert_int_equal(import_path(source, fixture_folder(), &err), SX_EINVAL);
    assert_non_null(strstr(err.message, "a folder"));
    assert_int_equal(mkfifo(at, 0600), 0);
    assert_int_equal(import_path(source, at, &err), SX_EINVAL);
    assert_int_equal(unlink(at), 0);

    assert_int_equal(symlink(target, at), 0);
    assert_int_equal(import_path(source, at, &err), SX_EINVAL);
    assert_non_null(strstr(err.message, "leads nowhere"));
    assert_int_equal(fixture_import("target.geo", sx_str_z(TINY), &err), SX_OK);
    assert_int_equal(import_path(source, at, &err), SX_OK);
    assert_int_equal(lstat(at, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(documents_at(target), 1);
}

static void test_a_fifo_is_read_once(void **state)
{
    (void)state;
    sx_error err = {0};
    char fifo[256];
    (void)snprintf(fifo, sizeof(fifo), "%s", fixture_path("fifo"));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    pid_t writer = fork();
    if (writer == 0) {
        FILE *to = fopen(fifo, "w");
        bool done = to && fputs(TINY, to) >= 0;
        _exit(to && fclose(to) == 0 && done ? 0 : 1);
    }
    alarm(60); /* a second open would wait for ever */
    assert_int_equal(import_path(fifo, fixture_path("fifo.geo"), &err), SX_OK);
    alarm(0);
    int status = -1;
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_int_equal(status, 0);
    assert_int_equal(documents_at(fixture_path("fifo.geo")), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed_lines_are_named),
        cmocka_unit_test(test_other_formats_are_named),
        cmocka_unit_test(test_every_cut_line_is_refused),
        cmocka_unit_test(test_a_byte_order_mark_is_allowed),
        cmocka_unit_test(test_gzip_is_told_by_content_and_its_cuts_are_refused),
        cmocka_unit_test(test_limits_hold),
        cmocka_unit_test(test_a_stopped_import_leaves_the_old_index),
        cmocka_unit_test(test_progress_is_reported),
        cmocka_unit_test(test_two_sources_keep_their_attributions),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
        cmocka_unit_test(test_a_full_disk_leaves_the_old_index),
        cmocka_unit_test(test_no_document_leaves_the_old_index),
        cmocka_unit_test(test_a_source_is_never_the_output),
        cmocka_unit_test(test_only_a_regular_file_is_replaced),
        cmocka_unit_test(test_a_fifo_is_read_once),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
