/* test_api_live.c - one index takes the place of another while it is being used. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sextant/file.h>

#include "base/fault.h"
#include "fixture.h"
#include "geocode/api/live.h"

typedef struct fixture {
    char path[256];
    geo_live *live;
    sx_metrics *metrics;
} fixture;

/* Puts an index with the first `count` documents of TINY at the path, by rename. */
static void import(const fixture *f, int count)
{
    char fresh[256];
    sx_error err = {0};
    sx_str all = sx_str_z(TINY);
    size_t len = 0;
    for (int i = 0; i < count; i++) {
        while (all.data[len] == '\n') /* between documents */
            len++;
        len += sx_str_find_byte(sx_str_from(all, len), '\n') + 1;
    }
    (void)snprintf(fresh, sizeof(fresh), "%s", fixture_path("fresh.geo"));
    assert_int_equal(fixture_import("fresh.geo", sx_str_first(all, len), &err), SX_OK);
    assert_int_equal(rename(fresh, f->path), 0);
}

static int set_up(void **state)
{
    static fixture f;
    sx_error err = {0};
    (void)snprintf(f.path, sizeof(f.path), "%s", fixture_path("live.geo"));
    import(&f, 1);
    assert_int_equal(sx_metrics_new(NULL, &f.metrics, &err), SX_OK);
    assert_int_equal(geo_live_new(f.path, &f.live, &err), SX_OK);
    assert_int_equal(geo_live_report(f.live, f.metrics, NULL, &err), SX_OK);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    geo_live_free(f->live);
    sx_metrics_free(f->metrics);
    fixture_clean();
    return 0;
}

static uint32_t documents(const geo_snapshot *s)
{
    geo_stat stat;
    geo_index_stat(s->index, &stat);
    return stat.documents;
}

static uint32_t serving(fixture *f)
{
    geo_snapshot *s = geo_live_follow(f->live, NULL);
    uint32_t count = documents(s);
    geo_snapshot_unref(s);
    return count;
}

static bool shows(fixture *f, const char *line)
{
    sx_buf text;
    sx_error err = {0};
    sx_buf_init(&text, 0);
    assert_int_equal(sx_metrics_write(f->metrics, SX_METRICS_TEXT_004, &text, &err), SX_OK);
    bool found = sx_str_find(sx_buf_view(&text), sx_str_z(line)) < text.len;
    sx_buf_done(&text);
    return found;
}

static sx_status look(fixture *f, geo_look how, sx_error *err)
{
    *err = (sx_error){0};
    return geo_live_look(f->live, how, err);
}

static void test_a_new_file_serves_once_it_has_settled(void **state)
{
    fixture *f = *state;
    sx_error err;
    import(f, 2);
    assert_int_equal(look(f, GEO_LOOK_SETTLED, &err), SX_OK);
    assert_int_equal(serving(f), 1); /* it may be on its way still */
    assert_int_equal(look(f, GEO_LOOK_SETTLED, &err), SX_OK);
    assert_int_equal(serving(f), 2);
    assert_true(shows(f, "geocode_index_reloads_total{outcome=\"loaded\"} 1\n"));
    assert_true(shows(f, "geocode_index_documents 2\n"));
    assert_int_equal(look(f, GEO_LOOK_SETTLED, &err), SX_OK);
    assert_true(shows(f, "geocode_index_reloads_total{outcome=\"loaded\"} 1\n"));
}

static void test_a_new_file_serves_at_once_if_asked_for(void **state)
{
    fixture *f = *state;
    sx_error err;
    import(f, 3);
    assert_int_equal(look(f, GEO_LOOK_NOW, &err), SX_OK);
    assert_int_equal(serving(f), 3);
}

static void test_who_has_the_old_one_finishes_on_it(void **state)
{
    fixture *f = *state;
    sx_error err;
    geo_snapshot *mine = geo_live_follow(f->live, NULL);
    geo_snapshot *parked = geo_snapshot_ref(mine);
    uint64_t before = mine->generation;
    import(f, 2);
    assert_int_equal(look(f, GEO_LOOK_NOW, &err), SX_OK);
    assert_int_equal(documents(mine), 1);
    mine = geo_live_follow(f->live, mine);
    assert_int_equal(documents(mine), 2);
    assert_true(mine->generation != before);
    assert_int_equal(documents(parked), 1);
    assert_true(geo_live_has_retired(f->live));
    geo_live_sweep(f->live);
    assert_int_equal(documents(parked), 1); /* mapped as long as it is held */
    geo_snapshot_unref(parked);
    geo_live_sweep(f->live);
    assert_false(geo_live_has_retired(f->live));
    assert_ptr_equal(geo_live_follow(f->live, mine), mine);
    geo_snapshot_unref(mine);
}

/* Writes `bytes` as the file, by rename. */
static void put(const fixture *f, sx_str bytes)
{
    const char *fresh = fixture_write("fresh.geo", bytes);
    assert_int_equal(rename(fresh, f->path), 0);
}

static void test_a_damaged_file_is_refused_once_and_the_old_one_serves(void **state)
{
    fixture *f = *state;
    sx_error err;
    sx_buf bytes;
    assert_int_equal(geo_live_check(f->live, &err), SX_OK);
    import(f, 6);
    sx_buf_init(&bytes, 0);
    assert_int_equal(sx_file_read(f->path, 0, &bytes, &err), SX_OK);
    bytes.data[GEO_HEADER_BYTES] ^= 1; /* the header is whole: only reading it through tells */
    put(f, sx_buf_view(&bytes));
    sx_buf_done(&bytes);
    assert_int_equal(look(f, GEO_LOOK_SETTLED, &err), SX_OK);
    assert_int_equal(look(f, GEO_LOOK_SETTLED, &err), SX_ECORRUPT);
    assert_non_null(strstr(err.message, f->path));
    assert_int_equal(look(f, GEO_LOOK_SETTLED, &err), SX_OK); /* told */
    assert_true(shows(f, "geocode_index_reloads_total{outcome=\"refused\"} 1\n"));
    assert_int_equal(geo_live_check(f->live, &err), SX_ECORRUPT);
    assert_int_equal(look(f, GEO_LOOK_NOW, &err), SX_ECORRUPT); /* asked: told again */
    assert_int_equal(serving(f), 1);
    import(f, 2);
    assert_int_equal(look(f, GEO_LOOK_NOW, &err), SX_OK);
    assert_int_equal(serving(f), 2);
    assert_int_equal(geo_live_check(f->live, &err), SX_OK);
}

static void test_a_file_that_is_cut_anywhere_is_refused(void **state)
{
    fixture *f = *state;
    sx_error err;
    sx_buf bytes;
    sx_buf_init(&bytes, 0);
    assert_int_equal(sx_file_read(f->path, 0, &bytes, &err), SX_OK);
    for (size_t len = 0; len < bytes.len; len += 1 + bytes.len / 200) {
        put(f, sx_str_first(sx_buf_view(&bytes), len));
        assert_int_equal(look(f, GEO_LOOK_NOW, &err), SX_ECORRUPT);
        assert_true(err.message[0] != '\0');
    }
    assert_int_equal(serving(f), 1);
    sx_buf_done(&bytes);
}

static void test_a_file_that_is_gone_is_told_once(void **state)
{
    fixture *f = *state;
    sx_error err;
    char away[260];
    (void)snprintf(away, sizeof(away), "%s.bak", f->path);
    assert_int_equal(rename(f->path, away), 0);
    assert_int_equal(look(f, GEO_LOOK_SETTLED, &err), SX_OK); /* it may be on its way */
    assert_int_equal(look(f, GEO_LOOK_SETTLED, &err), SX_ENOTFOUND);
    assert_int_equal(look(f, GEO_LOOK_SETTLED, &err), SX_OK);
    assert_int_equal(serving(f), 1);
    assert_int_equal(geo_live_check(f->live, &err), SX_ENOTFOUND);
    assert_int_equal(rename(away, f->path), 0);
    assert_int_equal(look(f, GEO_LOOK_SETTLED, &err), SX_OK);
    assert_int_equal(geo_live_check(f->live, &err), SX_OK);
    assert_true(shows(f, "geocode_index_reloads_total{outcome=\"refused\"} 1\n"));
    assert_true(shows(f, "geocode_index_reloads_total{outcome=\"loaded\"} 0\n"));
}

static void test_a_folder_is_no_index(void **state)
{
    fixture *f = *state;
    sx_error err;
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_int_not_equal(look(f, GEO_LOOK_NOW, &err), SX_OK);
    assert_int_equal(serving(f), 1);
    assert_int_equal(rmdir(f->path), 0);
}

static void test_every_allocation_may_fail(void **state)
{
    fixture *f = *state;
    sx_error err;
    import(f, 4);
    for (int64_t nth = 1;; nth++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = look(f, GEO_LOOK_NOW, &err);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(serving(f), status == SX_OK ? 4 : 1);
        if (status == SX_OK)
            break;
        assert_int_equal(status, SX_ENOMEM);
    }
}

/* ---- threads ---- */

enum { READERS = 3, RELOADS = 20 };

typedef struct reader {
    fixture *f;
    bool stop; /* atomic */
    uint64_t looked;
} reader;

static void *read_on(void *arg)
{
    reader *r = arg;
    geo_snapshot *s = geo_live_follow(r->f->live, NULL);
    while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
        s = geo_live_follow(r->f->live, s);
        uint32_t count = documents(s);
        sx_assert(count == 1 || count == 2);
        sx_assert(geo_doc(s->index, count - 1) && !geo_doc(s->index, count));
        r->looked++;
    }
    geo_snapshot_unref(s);
    return NULL;
}

static void test_readers_on_other_threads_see_one_or_the_other(void **state)
{
    fixture *f = *state;
    sx_error err;
    pthread_t threads[READERS];
    reader readers[READERS] = {0};
    for (int i = 0; i < READERS; i++) {
        readers[i].f = f;
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    for (int i = 0; i < RELOADS; i++) {
        import(f, 1 + i % 2);
        assert_int_equal(look(f, GEO_LOOK_NOW, &err), SX_OK);
    }
    for (int i = 0; i < READERS; i++) {
        __atomic_store_n(&readers[i].stop, true, __ATOMIC_RELEASE);
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(readers[i].looked > 0);
    }
    geo_live_sweep(f->live);
    assert_false(geo_live_has_retired(f->live));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_a_new_file_serves_once_it_has_settled),
        TEST(test_a_new_file_serves_at_once_if_asked_for),
        TEST(test_who_has_the_old_one_finishes_on_it),
        TEST(test_a_damaged_file_is_refused_once_and_the_old_one_serves),
        TEST(test_a_file_that_is_cut_anywhere_is_refused),
        TEST(test_a_file_that_is_gone_is_told_once),
        TEST(test_a_folder_is_no_index),
        TEST(test_every_allocation_may_fail),
        TEST(test_readers_on_other_threads_see_one_or_the_other),
#undef TEST
    };
    return cmocka_run_group_tests_name("geocode/api_live", tests, NULL, NULL);
}
