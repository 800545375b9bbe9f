/* test_sqlite.c - the SQLite client: rows, transactions, limits, damaged files, want of memory. */
#include "tests/unit/base/cmocka_all.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

#include <sextant/sqlite.h>

#include "lib/base/fault.h"
#include "tests/unit/client/kit_fixture.h"

typedef struct fixture {
    char folder[64], path[96];
    kit_fixture kit;
    sx_loop *loop;
    sx_sqlite *db;
    sx_arena arena;
    int told;
    sx_status result;
    size_t rows;
    sx_error err;
} fixture;

static const char SCHEMA[] = "CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b UNIQUE)";

static void open_fixture(fixture *f, const sx_sqlite_options *given)
{
    sx_error err;
    sx_sqlite_options options = given ? *given : (sx_sqlite_options){0};
    memset(f, 0, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/sx-sqlite-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/a.db", f->folder);
    kit_fixture_open(&f->kit, sx_clock_system());
    sx_arena_init(&f->arena, 0, 0);
    assert_int_equal(sx_loop_new(NULL, 0, &f->loop, &err), SX_OK);
    options.path = f->path;
    options.schema = SCHEMA;
    assert_int_equal(sx_sqlite_open(&f->kit.kit, &options, &f->db, &err), SX_OK);
}

static void close_fixture(fixture *f)
{
    static const char *const ENDS[] = {"", "-wal", "-shm"};
    char path[128];
    sx_sqlite_close(f->db);
    sx_loop_free(f->loop);
    sx_arena_done(&f->arena);
    kit_fixture_close(&f->kit);
    for (size_t i = 0; i < SX_COUNT_OF(ENDS); i++) {
        snprintf(path, sizeof(path), "%s%s", f->path, ENDS[i]);
        unlink(path);
    }
    rmdir(f->folder);
}

static void on_done(void *ctx, sx_status status, const sx_sqlite_result *result,
                    const sx_error *err)
{
    fixture *f = ctx;
    f->told++;
    f->result = status;
    f->rows = result ? result->row_count : 0;
    f->err = *err;
}

static void until_told(fixture *f, int times)
{
    for (int i = 0; i < 10000 && f->told < times; i++) {
        sx_loop_turn(f->loop);
        poll(NULL, 0, 1); /* another thread has to move */
    }
    assert_int_equal(f->told, times);
}

static sx_status run(fixture *f, const char *sql, sx_sqlite_result *result, sx_error *err)
{
    return sx_sqlite_run(f->db, &(sx_sqlite_query){.sql = sx_str_z(sql)}, &f->arena, result, err);
}

static void test_every_kind_of_value_goes_there_and_back(void **state)
{
    fixture f;
    sx_error err;
    sx_sqlite_result r;
    (void)state;
    open_fixture(&f, NULL);
    const sx_sqlite_value values[] = {sx_sqlite_i64(INT64_MIN),
                                      sx_sqlite_real(0.5),
                                      sx_sqlite_text(SX_STR("a\0b")),
                                      sx_sqlite_blob(SX_STR("\xff\0")),
                                      {0},
                                      sx_sqlite_text(SX_STR(""))};
    assert_int_equal(sx_sqlite_run(f.db,
                                   &(sx_sqlite_query){.sql = SX_STR("SELECT ?, ?, ?, ?, ?, ? AS z"),
                                                      .params = values,
                                                      .param_count = 6},
                                   &f.arena, &r, &err),
                     SX_OK);
    assert_int_equal(r.row_count, 1);
    assert_true(sx_str_eq(r.columns[5], SX_STR("z")));
    for (size_t i = 0; i < 6; i++) {
        const sx_sqlite_value *v = sx_sqlite_at(&r, 0, i);
        assert_int_equal(v->kind, values[i].kind);
        assert_true(v->i64 == values[i].i64 && v->real == values[i].real);
        assert_true(sx_str_eq(v->str, values[i].str));
    }
    assert_int_equal(run(&f, "INSERT INTO t (b) VALUES ('x')", &r, &err), SX_OK);
    assert_int_equal(r.changes, 1);
    assert_int_equal(r.last_row_id, 1);
    assert_non_null(strstr(capture_read(&f.kit.spans),
                           "INSERT t kind=3 {db.system.name='sqlite' db.operation.name='INSERT' "
                           "db.collection.name='t' db.query.text='INSERT INTO t (b) VALUES (?)'"));
    assert_int_equal(run(&f, "INSERT INTO t (b) VALUES ('x')", &r, &err), SX_EEXIST);
    assert_int_equal(run(&f, "SELECT 1; SELECT 2", &r, &err), SX_EINVAL);
    assert_int_equal(run(&f, "SELECT 1; -- that is all", &r, &err), SX_OK);
    assert_int_equal(run(&f, " ", &r, &err), SX_EINVAL);
    assert_int_equal(run(&f, "SELECT ?", &r, &err), SX_EINVAL);
    assert_int_equal(run(&f, "SELEC", &r, &err), SX_EINVAL);
    close_fixture(&f);
}

static sx_status two_inserts(sx_sqlite_tx *tx, void *arg, sx_error *err)
{
    const char *second = arg;
    sx_status st = sx_sqlite_tx_run(
        tx, &(sx_sqlite_query){.sql = SX_STR("INSERT INTO t (b) VALUES (1)")}, NULL, NULL, err);
    return st != SX_OK
               ? st
               : sx_sqlite_tx_run(tx, &(sx_sqlite_query){.sql = sx_str_z(second)}, NULL, NULL, err);
}

static void test_a_transaction_holds_or_vanishes(void **state)
{
    static char good[] = "INSERT INTO t (b) VALUES (2)", bad[] = "INSERT INTO t (b) VALUES (1)";
    fixture f;
    sx_error err;
    sx_sqlite_result r;
    (void)state;
    open_fixture(&f, NULL);
    assert_int_equal(sx_sqlite_transact(f.db, 0, two_inserts, bad, &err), SX_EEXIST);
    assert_int_equal(run(&f, "SELECT * FROM t", &r, &err), SX_OK);
    assert_int_equal(r.row_count, 0);
    assert_int_equal(
        sx_sqlite_transact_start(f.db, f.loop, 0, two_inserts, good, on_done, &f, NULL, &err),
        SX_OK);
    until_told(&f, 1);
    assert_int_equal(f.result, SX_OK);
    assert_int_equal(run(&f, "SELECT * FROM t", &r, &err), SX_OK);
    assert_int_equal(r.row_count, 2);
    close_fixture(&f);
}

static const char FOREVER[] =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";

static void test_what_takes_too_long_is_stopped(void **state)
{
    fixture f;
    sx_error err;
    sx_sqlite_call *call;
    sx_sqlite_result r;
    (void)state;
    open_fixture(&f, NULL);
    sx_sqlite_query query = {.sql = sx_str_z(FOREVER), .side = SX_SQLITE_READ, .ms_max = 50};
    assert_int_equal(sx_sqlite_run(f.db, &query, NULL, NULL, &err), SX_ETIMEOUT);
    assert_int_equal(sx_sqlite_start(f.db, f.loop, &query, on_done, &f, NULL, &err), SX_OK);
    until_told(&f, 1);
    assert_int_equal(f.result, SX_ETIMEOUT);
    query.ms_max = 0;
    assert_int_equal(sx_sqlite_start(f.db, f.loop, &query, on_done, &f, &call, &err), SX_OK);
    sx_sqlite_cancel(call);
    assert_int_equal(f.told, 2);
    assert_int_equal(f.result, SX_ECANCELED);
    for (int i = 0; i < 4; i++) /* more than there are readers: they run on, and are stopped */
        assert_int_equal(sx_sqlite_start(f.db, f.loop, &query, on_done, &f, NULL, &err), SX_OK);
    assert_int_equal(run(&f, "INSERT INTO t (b) VALUES (1)", &r, &err), SX_OK);
    int64_t begun_ms = sx_clock_mono_ms(sx_clock_system());
    close_fixture(&f);
    assert_true(sx_clock_mono_ms(sx_clock_system()) - begun_ms < 3000); /* it waits for none */
    assert_int_equal(f.told, 6);
    assert_int_equal(f.result, SX_ECANCELED);
}

static void test_lines_and_results_are_bounded(void **state)
{
    fixture f;
    sx_error err;
    sx_sqlite_result r;
    int refused = 0;
    (void)state;
    open_fixture(&f, &(sx_sqlite_options){.queue_max = 2, .readers = 1, .result_bytes_max = 10000});
    assert_int_equal(run(&f, "SELECT zeroblob(20000)", &r, &err), SX_ELIMIT);
    assert_int_equal(run(&f, "SELECT zeroblob(5000)", &r, &err), SX_OK);
    sx_sqlite_query query = {.sql = sx_str_z(FOREVER), .side = SX_SQLITE_READ, .ms_max = 200};
    int started = 0;
    for (int i = 0; i < 6; i++) {
        sx_status st = sx_sqlite_start(f.db, f.loop, &query, on_done, &f, NULL, &err);
        refused += st == SX_REFUSED;
        started += st == SX_OK;
    }
    assert_true(refused >= 3);
    until_told(&f, started);
    close_fixture(&f);
}

static void test_files_that_are_no_databases_say_so(void **state)
{
    fixture f;
    sx_error err;
    sx_sqlite *db;
    char path[128];
    (void)state;
    open_fixture(&f, NULL);
    assert_int_equal(sx_sqlite_open(NULL, &(sx_sqlite_options){.path = "/nowhere/a.db"}, &db, &err),
                     SX_ENOTFOUND);
    assert_non_null(strstr(err.message, "/nowhere/a.db"));
    snprintf(path, sizeof(path), "%s/text", f.folder);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database at all\n", file);
    fclose(file);
    assert_int_equal(sx_sqlite_open(NULL, &(sx_sqlite_options){.path = path}, &db, &err),
                     SX_ECORRUPT);
    assert_non_null(strstr(err.message, "no SQLite database"));
    unlink(path);
    assert_int_equal(sx_sqlite_open(NULL,
                                    &(sx_sqlite_options){.path = ":memory:", .schema = "CREATE x"},
                                    &db, &err),
                     SX_EINVAL);
    assert_int_equal(
        sx_sqlite_open(NULL, &(sx_sqlite_options){.path = f.path, .read_only = true}, &db, &err),
        SX_OK);
    assert_int_equal(
        sx_sqlite_run(db, &(sx_sqlite_query){.sql = SX_STR("INSERT INTO t (b) VALUES (1)")}, NULL,
                      NULL, &err),
        SX_EACCESS);
    sx_sqlite_close(db);
    close_fixture(&f);
}

/* The largest file that the process may write stands in for a full disk. */
static void test_a_full_disk_is_an_error_and_no_more(void **state)
{
    fixture f;
    sx_error err;
    sx_sqlite_result r;
    struct rlimit before, small;
    (void)state;
    open_fixture(&f, NULL);
    assert_int_equal(run(&f, "INSERT INTO t (b) VALUES (1)", &r, &err), SX_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 200000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    sx_status st = run(&f, "INSERT INTO t (b) VALUES (randomblob(1000000))", &r, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(st, SX_EIO);
    assert_non_null(strstr(err.message, f.path));
    assert_int_equal(kit_fixture_well(&f.kit, "sqlite"), 0);
    assert_int_equal(run(&f, "INSERT INTO t (b) VALUES (2)", &r, &err), SX_OK);
    assert_int_equal(run(&f, "SELECT * FROM t", &r, &err), SX_OK);
    assert_int_equal(r.row_count, 2);
    assert_int_equal(kit_fixture_well(&f.kit, "sqlite"), 1);
    close_fixture(&f);
}

static void test_statements_are_prepared_once(void **state)
{
    fixture f;
    sx_error err;
    sx_sqlite_result r;
    char sql[32];
    (void)state;
    open_fixture(&f, &(sx_sqlite_options){.readers = 1, .statements_max = 3});
    for (int i = 0; i < 10; i++)
        assert_int_equal(run(&f, "SELECT 7", &r, &err), SX_OK);
    sx_sqlite_counts counts = sx_sqlite_counts_of(f.db);
    assert_int_equal(counts.prepared, 1);
    assert_int_equal(counts.reused, 9);
    for (int i = 0; i < 10; i++) {
        snprintf(sql, sizeof(sql), "SELECT %d", i);
        assert_int_equal(run(&f, sql, &r, &err), SX_OK);
    }
    assert_int_equal(sx_sqlite_counts_of(f.db).running, 0);
    close_fixture(&f);
}

static void test_without_memory_nothing_is_lost(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        sx_error err;
        sx_sqlite *db;
        sx_arena arena;
        sx_sqlite_result r;
        sx_arena_init(&arena, 0, 0);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = sx_sqlite_open(NULL, &(sx_sqlite_options){.path = ":memory:"}, &db, &err);
        if (st == SX_OK) {
            st = sx_sqlite_run(db, &(sx_sqlite_query){.sql = SX_STR("SELECT 'x' AS y, 2")}, &arena,
                               &r, &err);
            sx_sqlite_close(db);
        }
        sx_arena_done(&arena);
        bool is_last = sx_fault_alloc_calls() < nth;
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(st, is_last ? SX_OK : SX_ENOMEM);
        if (is_last)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_value_goes_there_and_back),
        cmocka_unit_test(test_a_transaction_holds_or_vanishes),
        cmocka_unit_test(test_what_takes_too_long_is_stopped),
        cmocka_unit_test(test_lines_and_results_are_bounded),
        cmocka_unit_test(test_files_that_are_no_databases_say_so),
        cmocka_unit_test(test_a_full_disk_is_an_error_and_no_more),
        cmocka_unit_test(test_statements_are_prepared_once),
        cmocka_unit_test(test_without_memory_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
