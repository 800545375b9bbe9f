/* test_trace_crash.c - kill -9 in a loop, during intake, flush and merge: every acknowledged span is
 * there afterwards, none twice. SX_KILLS sets how often (12). */
#include "tests/unit/base/cmocka_all.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "observe/traces/store.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/observe/traces/make_spans.h"

#define START UINT64_C(1700000000000000000)
enum { TRACES = 5, PER_TRACE = 6 };

static tr_store_options options_of(const char *dir)
{
    return (tr_store_options){.dir = dir,
                              .shards = 2,
                              .fsync = TR_FSYNC_NONE,
                              .retention_ms = INT64_C(86400000) * 36500,
                              .memtable_bytes = 1 << 20,
                              .append_wait_ms = 10000,
                              .disk_free_min = 1};
}

/* Batch n holds the traces TRACES * n and after. */
static span_batch *batch_of(uint32_t n)
{
    make_spans m = {.seed = n,
                    .trace = (uint64_t)n * TRACES,
                    .start_ns = START + n * UINT64_C(1000000),
                    .step_ns = 1000,
                    .per_trace = PER_TRACE,
                    .rich = true};
    return make_batch(&m, TRACES);
}

static void *churn(void *store)
{
    for (;;)
        if (tr_store_flush(store, NULL) != SX_OK || tr_store_compact(store, NULL) != SX_OK)
            _exit(3);
    return NULL;
}

static void run_child(const char *dir, uint32_t first, int to)
{
    tr_store *s;
    pthread_t thread;
    tr_store_options options = options_of(dir);
    if (tr_store_open(&options, &s, NULL) != SX_OK)
        _exit(2);
    if (first % 2 && pthread_create(&thread, NULL, churn, s) != 0)
        _exit(2);
    for (uint32_t n = first;; n++) {
        span_batch *b = batch_of(n);
        if (tr_store_append(s, b, NULL) != SX_OK || write(to, &n, sizeof n) != sizeof n)
            _exit(2);
        span_batch_unref(b);
    }
}

static bool count_span(void *ctx, const span_batch *b)
{
    *(size_t *)ctx += b->count;
    return true;
}

/* Each of the batches 0..count-1 whole and once; one more may be there or not. */
static void check(const char *dir, uint32_t count, bool last_whole_or_gone)
{
    tr_store *s;
    sx_error err = {0};
    bool partial;
    tr_store_options options = options_of(dir);
    if (tr_store_open(&options, &s, &err) != SX_OK)
        fail_msg("%s", err.message);
    size_t spans = 0;
    tr_search all = {0};
    assert_int_equal(tr_store_scan(s, &all, TR_WANT_IDS, count_span, &spans, &partial, &err),
                     SX_OK);
    size_t want = (size_t)count * TRACES * PER_TRACE;
    assert_true(spans == want || (last_whole_or_gone && spans == want - TRACES * PER_TRACE));
    for (uint32_t n = count > 40 ? count - 40 : 0; n + 1 < count; n++) {
        span_batch *b = batch_of(n), *got = span_batch_new(0);
        assert_int_equal(tr_store_trace(s, b->spans[0]->trace_id, 0, 0, NULL, got, &partial, &err),
                         SX_OK);
        assert_int_equal(got->count, PER_TRACE);
        span_batch_unref(b);
        span_batch_unref(got);
    }
    /* The batch whose fate is not known is made sure of. */
    if (spans < want) {
        span_batch *b = batch_of(count - 1);
        assert_int_equal(tr_store_append(s, b, &err), SX_OK);
        span_batch_unref(b);
    }
    tr_store_close(s);
}

static void killed_in_a_loop(void **state)
{
    (void)state;
    temp_folder f;
    char dir[128];
    assert_int_equal(temp_folder_make(&f), 0);
    snprintf(dir, sizeof dir, "%s/traces", f.path);
    const char *kills = getenv("SX_KILLS");
    uint64_t rounds = 12;
    if (kills)
        assert_true(sx_str_to_u64(sx_str_z(kills), &rounds));
    uint32_t next = 0;
    unsigned seed = 3;
    for (uint64_t round = 0; round < rounds; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            run_child(dir, next, ends[1]);
        close(ends[1]);
        uint32_t n, wanted = (uint32_t)(rand_r(&seed) % 300), got = 0;
        while (got < wanted && read(ends[0], &n, sizeof n) == sizeof n)
            got++;
        kill(child, SIGKILL);
        while (read(ends[0], &n, sizeof n) == sizeof n) /* acknowledged before it died */
            got++;
        close(ends[0]);
        int how;
        waitpid(child, &how, 0);
        assert_true(WIFSIGNALED(how));
        next += got + 1; /* one more may be in the log without having been told */
        check(dir, next, true);
    }
    check(dir, next, false);
    sx_error err = {0};
    if (tr_store_verify(dir, NULL, NULL, NULL, &err) != SX_OK)
        fail_msg("%s", err.message);
    folder_remove(f.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_in_a_loop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
