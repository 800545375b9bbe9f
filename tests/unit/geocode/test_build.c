/* test_build.c - the index builder: the same bytes in any memory, and whatever fails while it works,
 * the old index stays and no file is left behind. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <sextant/file.h>
#include <sextant/hash.h>
#include <sextant/mem.h>
#include <sextant/random.h>

#include "base/fault.h"
#include "fixture.h"
#include "geocode/index/build.h"
#include "geocode/index/sorter.h"
#include "geocode/index/strings.h"

enum { LEAST_MEMORY = 1, STREETS = 700, NUMBERS = 5 };

static int clean(void **state)
{
    (void)state;
    sx_fault_alloc_set((sx_fault_alloc){0});
    sx_fault_file_set((sx_fault_file){0});
    fixture_clean();
    return 0;
}

/* --- The parts. */

static int by_record(const void *left, const void *right)
{
    const geo_sort_record *a = left, *b = right;
    if (a->high != b->high)
        return a->high < b->high ? -1 : 1;
    return (a->low > b->low) - (a->low < b->low);
}

/* Sorts `count` records whose numbers have so many bits, and compares with qsort(). */
static void check_sort(size_t count, unsigned high_bits, unsigned low_bits, size_t memory)
{
    sx_random dice;
    geo_temp temp;
    geo_sorter s;
    sx_error err = {0};
    geo_sort_record *all = sx_calloc(count + 1, sizeof(*all)), got;
    sx_random_seed(&dice, count + high_bits);
    assert_non_null(all);
    assert_true(geo_temp_init(&temp, fixture_folder(), 4096));
    geo_sorter_init(&s, &temp, memory, "numbers");
    for (size_t i = 0; i < count; i++) {
        all[i].high = high_bits ? sx_random_u64(&dice) >> (64 - high_bits) : 7;
        all[i].low = low_bits ? sx_random_u64(&dice) >> (64 - low_bits) : 7;
        assert_int_equal(geo_sorter_add(&s, all[i].high, all[i].low, &err), SX_OK);
    }
    assert_int_equal(geo_sorter_finish(&s, &err), SX_OK);
    qsort(all, count, sizeof(*all), by_record);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(geo_sorter_next(&s, &got, &err), SX_OK);
        assert_true(got.high == all[i].high && got.low == all[i].low);
    }
    assert_int_equal(geo_sorter_next(&s, &got, &err), SX_END);
    geo_sorter_done(&s);
    assert_int_equal(temp.disk_bytes, 0);
    geo_temp_done(&temp);
    sx_free(all);
}

static void test_records_are_sorted_in_any_memory(void **state)
{
    (void)state;
    static const size_t COUNTS[] = {0, 1, 2, 47, 49, 64, 65, 1000, 20000};
    static const size_t MEMORIES[] = {0, 1600, 40000, 1 << 20};
    for (size_t c = 0; c < SX_COUNT_OF(COUNTS); c++) {
        for (size_t m = 0; m < SX_COUNT_OF(MEMORIES); m++) {
            if (MEMORIES[m] < 2000 && COUNTS[c] > 4096)
                continue; /* more runs than the next test wants */
            check_sort(COUNTS[c], 64, 64, MEMORIES[m]);
            check_sort(COUNTS[c], 3, 2, MEMORIES[m]);
            check_sort(COUNTS[c], 0, 40, MEMORIES[m]);
        }
    }
}

static void test_too_many_runs_are_refused_with_the_remedy(void **state)
{
    (void)state;
    geo_temp temp;
    geo_sorter s;
    sx_error err = {0};
    assert_true(geo_temp_init(&temp, fixture_folder(), 4096));
    geo_sorter_init(&s, &temp, 0, "numbers");
    for (uint64_t i = 0; i < 100000; i++)
        assert_int_equal(geo_sorter_add(&s, i, i, &err), SX_OK);
    assert_int_equal(geo_sorter_finish(&s, &err), SX_ELIMIT);
    assert_non_null(strstr(err.message, "--memory"));
    geo_sorter_done(&s);
    geo_temp_done(&temp);
}

static void test_a_spool_gives_back_what_was_put_in(void **state)
{
    (void)state;
    geo_temp temp;
    geo_spool s;
    geo_spool_reader r;
    sx_error err = {0};
    sx_buf plain;
    sx_random dice;
    sx_random_seed(&dice, 3);
    sx_buf_init(&plain, 0);
    assert_true(geo_temp_init(&temp, fixture_folder(), 1000));
    geo_spool_init(&s, &temp);
    for (uint32_t i = 0; i < 200000; i++) {
        uint32_t word = (uint32_t)sx_random_u64(&dice);
        sx_buf_bytes(&s.tail, &word, 1 + i % 4);
        sx_buf_bytes(&plain, &word, 1 + i % 4);
        assert_int_equal(geo_spool_settle(&s, "words", &err), SX_OK);
    }
    assert_int_equal(geo_spool_bytes(&s), plain.len);
    assert_true(s.tail.len <= 1004 && s.tail.len > 0);
    assert_int_equal(geo_spool_crc32c(&s), sx_crc32c(0, plain.data, plain.len));
    geo_spool_reader_init(&r, &s);
    for (size_t at = 0, len; at < plain.len; at += len) {
        len = (size_t)(sx_random_u64(&dice) % 3000);
        len = len < plain.len - at ? len : plain.len - at;
        const void *bytes = geo_spool_next(&r, len, &err);
        assert_non_null(bytes);
        assert_memory_equal(bytes, plain.data + at, len);
    }
    geo_spool_reader_done(&r);
    geo_spool_done(&s);
    geo_temp_done(&temp);
    sx_buf_done(&plain);
}

static void test_strings_are_stored_once_while_they_are_remembered(void **state)
{
    (void)state;
    geo_temp temp;
    geo_strings s;
    sx_error err = {0};
    uint32_t first, again, other;
    char text[16];
    assert_true(geo_temp_init(&temp, NULL, 0));
    geo_strings_init(&s, &temp, 10, 1000);
    assert_int_equal(geo_strings_put(&s, SX_STR("Paris"), &first, &err), SX_OK);
    for (int i = 0; i < 100; i++) {
        int len = snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(geo_strings_put(&s, sx_str_of(text, (size_t)len), &other, &err), SX_OK);
        if (i % 9 == 0) { /* often enough to stay */
            assert_int_equal(geo_strings_put(&s, SX_STR("Paris"), &again, &err), SX_OK);
            assert_int_equal(again, first);
        }
    }
    assert_int_equal(geo_strings_put(&s, SX_STR("0"), &again, &err), SX_OK);
    assert_int_not_equal(again, first + 6); /* forgotten, and stored again */
    assert_int_equal(geo_spool_bytes(&s.out), 6 + 10 * 2 + 90 * 3 + 2);
    geo_strings_done(&s);
    geo_temp_done(&temp);
}

/* --- The whole. */

/* Streets enough to spill everything in the least memory. */
static const char *write_input(void)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    for (int i = 0; i < STREETS; i++) {
        sx_buf_printf(&b,
                      "{\"id\":\"s%d\",\"type\":\"street\",\"name\":\"Rue %d du Moulin\","
                      "\"city\":\"Ville %d\",\"postcode\":\"%05d\",\"lon\":2.%03d,\"lat\":48.5,"
                      "\"importance\":0.%d,\"housenumbers\":{",
                      i, i % 97, i % 31, 75000 + i % 31, i, i % 10);
        for (int n = 1; n <= NUMBERS; n++)
            sx_buf_printf(&b, "%s\"%d\":{\"id\":\"s%d_%05d\",\"lon\":2.%03d%d,\"lat\":48.5}",
                          n > 1 ? "," : "", n, i, n, i, n);
        sx_buf_str(&b, SX_STR("}}\n"));
    }
    const char *path = fixture_write("streets.ndjson", sx_buf_view(&b));
    sx_buf_done(&b);
    return path;
}

static sx_status import(const char *in, const char *out, size_t memory, const char *temp,
                        sx_error *err)
{
    geo_import_input input = {.path = in};
    return geo_import(&(geo_import_options){.inputs = &input,
                                            .input_count = 1,
                                            .output = out,
                                            .memory_max = memory,
                                            .temp_dir = temp},
                      NULL, err);
}

static void check_same_files(const char *left, const char *right)
{
    sx_mapping a, b;
    sx_error err = {0};
    assert_int_equal(sx_mapping_open(&a, left, SX_MAP_SEQUENTIAL, &err), SX_OK);
    assert_int_equal(sx_mapping_open(&b, right, SX_MAP_SEQUENTIAL, &err), SX_OK);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    sx_mapping_close(&a);
    sx_mapping_close(&b);
}

static void test_the_file_does_not_depend_on_the_memory(void **state)
{
    (void)state;
    char in[512], small[256], large[256];
    const char *root = getenv("SX_SOURCE_ROOT");
    sx_error err = {0};
    (void)snprintf(in, sizeof(in), "%s/data/france.ndjson.gz", root ? root : ".");
    (void)snprintf(small, sizeof(small), "%s", fixture_path("small.geo"));
    (void)snprintf(large, sizeof(large), "%s", fixture_path("large.geo"));
    assert_int_equal(import(in, large, 0, NULL, &err), SX_OK);
    static const size_t MEMORIES[] = {1 << 20, 10 << 20};
    for (size_t i = 0; i < SX_COUNT_OF(MEMORIES); i++) {
        if (import(in, small, MEMORIES[i], NULL, &err) != SX_OK)
            fail_msg("%s", err.message);
        check_same_files(small, large);
    }
}

static bool is_allowed(const char *name, const char *const *allowed)
{
    for (; *allowed; allowed++) {
        if (strcmp(name, *allowed) == 0)
            return true;
    }
    return false;
}

/* Fails if the folder holds another file. */
static void check_folder(const char *const *allowed)
{
    DIR *d = opendir(fixture_folder());
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.' && (!e->d_name[1] || (e->d_name[1] == '.' && !e->d_name[2])))
            continue;
        if (!is_allowed(e->d_name, allowed))
            fail_msg("%s was left behind", e->d_name);
    }
    assert_int_equal(closedir(d), 0);
}

static const char *const WHOLE[] = {"streets.ndjson", "input.ndjson", "x.geo", "good.geo", NULL};

static void check_documents(const char *path, uint32_t documents)
{
    geo_index *ix;
    geo_stat stat;
    sx_error err = {0};
    if (geo_index_open(path, &ix, &err) != SX_OK || geo_index_verify(ix, &err) != SX_OK)
        fail_msg("%s", err.message);
    geo_index_stat(ix, &stat);
    assert_int_equal(stat.documents, documents);
    geo_index_close(ix);
}

/* Imports a first, small index, which every failure must leave, and the one that is to come. */
static void prepare(char in[256], char out[256], char good[256])
{
    sx_error err = {0};
    (void)snprintf(in, 256, "%s", write_input());
    assert_int_equal(fixture_import("x.geo", fixture_first_line(), &err), SX_OK);
    (void)snprintf(out, 256, "%s", fixture_path("x.geo"));
    (void)snprintf(good, 256, "%s", fixture_path("good.geo"));
    assert_int_equal(import(in, good, 0, NULL, &err), SX_OK);
}

static void test_every_failing_allocation_leaves_the_old_index(void **state)
{
    (void)state;
    char in[256], out[256], good[256];
    prepare(in, out, good);
    sx_status status = SX_ENOMEM;
    int64_t nth = 1;
    for (; status == SX_ENOMEM; nth += 1 + nth / 50) {
        sx_error err = {0};
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        status = import(in, out, LEAST_MEMORY, NULL, &err);
        int64_t held = sx_fault_alloc_held();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
        check_folder(WHOLE);
        if (status == SX_OK)
            break;
        assert_int_equal(status, SX_ENOMEM);
        assert_true(err.message[0] != '\0');
        check_documents(out, 1);
    }
    assert_true(nth > 50);
    check_same_files(out, good);
}

static void test_every_failing_disk_operation_leaves_the_old_index(void **state)
{
    (void)state;
    char in[256], out[256], good[256];
    bool told_room = false;
    prepare(in, out, good);
    int64_t nth = 1;
    for (;; nth += 1 + nth / 50) {
        sx_error err = {0};
        /* A failing close does not matter: the file was synced, or is wanted no more. */
        sx_fault_file_set((sx_fault_file){.nth = nth,
                                          .calls = SX_FAULT_ANY & ~(unsigned)SX_FAULT_CLOSE,
                                          .os_errno = ENOSPC,
                                          .torn_bytes = 5});
        sx_status status = import(in, out, LEAST_MEMORY, NULL, &err);
        bool reached = sx_fault_file_calls() >= nth;
        sx_fault_file_set((sx_fault_file){0});
        check_folder(WHOLE);
        if (!reached) {
            assert_int_equal(status, SX_OK);
            break;
        }
        if (status == SX_OK)
            continue; /* one that only tidies */
        assert_true(err.message[0] != '\0');
        told_room = told_room || (strstr(err.message, fixture_folder()) &&
                                  strstr(err.message, "--temp") && strstr(err.message, " MB"));
        if (!strstr(err.message, "power cut") && !strstr(err.message, "sync") &&
            !strstr(err.message,
                    "cannot open the folder")) /* to sync it, once the file is in place */
            check_documents(out, 1);
    }
    assert_true(nth > 50 && told_room);
    check_same_files(out, good);
}

static void test_short_writes_and_reads_are_gone_on_with(void **state)
{
    (void)state;
    char in[256], out[256], good[256];
    sx_error err = {0};
    prepare(in, out, good);
    sx_fault_file_set((sx_fault_file){.nth = INT64_MAX, .calls = SX_FAULT_ANY, .short_bytes = 777});
    sx_status status = import(in, out, LEAST_MEMORY, NULL, &err);
    sx_fault_file_set((sx_fault_file){0});
    assert_int_equal(status, SX_OK);
    check_same_files(out, good);
}

static void test_a_folder_for_temporary_files_that_is_not_there_is_named(void **state)
{
    (void)state;
    char in[256], out[256], good[256];
    sx_error err = {0};
    prepare(in, out, good);
    assert_int_equal(import(in, out, LEAST_MEMORY, "/nowhere/at/all", &err), SX_ENOTFOUND);
    assert_non_null(strstr(err.message, "/nowhere/at/all"));
    check_documents(out, 1);
}

/* One import in a process of its own, ended by a signal that it does not catch after so many
 * microseconds of its time. True if it was. */
static bool kill_import(const char *in, const char *out, unsigned after_us)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        sx_error err;
        struct itimerval when = {.it_value = {.tv_usec = after_us + 1}};
        (void)setitimer(ITIMER_PROF, &when, NULL);
        _exit(import(in, out, LEAST_MEMORY, NULL, &err) == SX_OK ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status);
}

static void test_an_import_killed_at_any_moment_is_done_again(void **state)
{
    (void)state;
    static const char *const KILLED[] = {"streets.ndjson", "input.ndjson", "x.geo",
                                         "x.geo.tmp",      "good.geo",     NULL};
    char in[256], out[256], good[256];
    sx_error err = {0};
    unsigned killed = 0;
    sx_random dice;
    sx_random_seed(&dice, 5);
    prepare(in, out, good);
    for (int round = 0; round < 60; round++) {
        assert_int_equal(fixture_import("x.geo", fixture_first_line(), &err), SX_OK);
        bool was = kill_import(in, out, (unsigned)(sx_random_u64(&dice) % 60000));
        killed += was;
        check_folder(KILLED);
        geo_index *ix;
        geo_stat stat;
        assert_int_equal(geo_index_open(out, &ix, &err), SX_OK);
        geo_index_stat(ix, &stat);
        assert_true(stat.documents == STREETS || (was && stat.documents == 1));
        assert_int_equal(geo_index_verify(ix, &err), SX_OK);
        geo_index_close(ix);
    }
    assert_true(killed > 0);
    assert_int_equal(import(in, out, LEAST_MEMORY, NULL, &err), SX_OK);
    check_folder(WHOLE);
    check_same_files(out, good);
}

/* Progress as it was told. */
typedef struct told {
    uint32_t calls, last, stop_at;
    bool fell;
} told;

static bool hear(void *context, uint32_t step, uint32_t steps)
{
    told *t = context;
    assert_true(step <= steps);
    t->fell = t->fell || step <= t->last;
    t->last = step;
    return ++t->calls != t->stop_at;
}

static sx_status build_with(told *t, sx_error *err)
{
    geo_builder *b = geo_builder_new(
        &(geo_build_options){.temp_dir = fixture_folder(), .memory_max = LEAST_MEMORY}, err);
    assert_non_null(b);
    assert_int_equal(geo_builder_source(b, &(geo_source){.language = GEO_LANGUAGE_FRENCH}, err),
                     SX_OK);
    char name[32];
    for (int i = 0; i < 40000; i++) {
        int len = snprintf(name, sizeof(name), "Rue %d", i % 999);
        geo_in_property p = {
            SX_STR("name"), {.kind = GEO_STRING, .text = sx_str_of(name, (size_t)len), .count = 1}};
        geo_in_doc doc = {.id = SX_STR("a"),
                          .type = SX_STR("street"),
                          .lon = i / 1000.0,
                          .lat = 45,
                          .importance = i % 100 / 100.0,
                          .properties = &p,
                          .property_count = 1};
        assert_int_equal(geo_builder_add(b, &doc, err), SX_OK);
    }
    sx_status status = geo_builder_write(b, fixture_path("told.geo"), hear, t, err);
    geo_builder_free(b);
    return status;
}

static void test_the_write_tells_how_far_it_is_and_can_be_stopped(void **state)
{
    (void)state;
    told t = {0};
    sx_error err = {0};
    assert_int_equal(build_with(&t, &err), SX_OK);
    assert_false(t.fell);
    assert_true(t.calls >= 8 && t.last == 1000);
    uint32_t calls = t.calls;
    for (uint32_t at = 1; at < calls; at += 1 + calls / 6) {
        t = (told){.stop_at = at};
        assert_int_equal(build_with(&t, &err), SX_ECANCELED);
        assert_int_equal(t.calls, at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_are_sorted_in_any_memory),
        cmocka_unit_test(test_too_many_runs_are_refused_with_the_remedy),
        cmocka_unit_test(test_a_spool_gives_back_what_was_put_in),
        cmocka_unit_test(test_strings_are_stored_once_while_they_are_remembered),
        cmocka_unit_test_teardown(test_the_file_does_not_depend_on_the_memory, clean),
        cmocka_unit_test_teardown(test_every_failing_allocation_leaves_the_old_index, clean),
        cmocka_unit_test_teardown(test_every_failing_disk_operation_leaves_the_old_index, clean),
        cmocka_unit_test_teardown(test_short_writes_and_reads_are_gone_on_with, clean),
        cmocka_unit_test_teardown(test_a_folder_for_temporary_files_that_is_not_there_is_named,
                                  clean),
        cmocka_unit_test_teardown(test_an_import_killed_at_any_moment_is_done_again, clean),
        cmocka_unit_test_teardown(test_the_write_tells_how_far_it_is_and_can_be_stopped, clean),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
