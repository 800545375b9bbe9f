/* test_search.c - a search goes over the store once: every candidate is looked at one time, the newest
 * first, however much lies in segments and memtables and whatever arrives meanwhile. */
#include "tests/unit/base/cmocka_all.h"

#include <sextant/clock.h>

#include "observe/traceql/search.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/observe/traces/make_spans.h"

#define START UINT64_C(1700000000000000000)
enum { TRACES = 600, PER_TRACE = 6, STEP_NS = 10000000 };

typedef struct world {
    temp_folder folder;
    sx_fake_clock clock;
    tr_store *store;
    make_spans m;
} world;

static void add_traces(world *w, unsigned count)
{
    sx_error err = {0};
    span_batch *b = make_batch(&w->m, count);
    if (tr_store_append(w->store, b, &err) != SX_OK)
        fail_msg("%s", err.message);
    span_batch_unref(b);
}

static int begin(void **state)
{
    static world w;
    sx_error err = {0};
    assert_int_equal(temp_folder_make(&w.folder), 0);
    sx_fake_clock_init(&w.clock, (int64_t)(START / 1000000) + 60000);
    tr_store_options options = {.dir = w.folder.path,
                                .clock = &w.clock.clock,
                                .shards = 2,
                                .search_threads = 2,
                                .fsync = TR_FSYNC_NONE,
                                .disk_free_min = 1};
    assert_int_equal(tr_store_open(&options, &w.store, &err), SX_OK);
    w.m = (make_spans){.seed = 1, .start_ns = START, .step_ns = STEP_NS, .per_trace = PER_TRACE};
    for (unsigned i = 0; i < TRACES; i += 100) {
        add_traces(&w, 100);
        if (i < TRACES / 2) /* the rest stays in memory */
            assert_int_equal(tr_store_flush(w.store, &err), SX_OK);
    }
    *state = &w;
    return 0;
}

static int end(void **state)
{
    world *w = *state;
    tr_store_close(w->store);
    folder_remove(w->folder.path);
    return 0;
}

typedef struct taken {
    world *w;
    uint64_t last_ns; /* newest start of the trace before */
    size_t count;
    bool add; /* spans come in while the search is open */
} taken;

static bool take(void *ctx, const traceql_match *m)
{
    taken *t = ctx;
    uint64_t newest = 0;
    for (uint32_t i = 0; i < m->trace->count; i++)
        newest = m->trace->spans[i]->start_ns > newest ? m->trace->spans[i]->start_ns : newest;
    assert_int_equal(m->trace->count, PER_TRACE);
    for (uint32_t i = 0; i < PER_TRACE; i++) /* whole, whatever the query asks about */
        assert_true(m->trace->spans[i]->attrs.count >= 4);
    assert_true(newest < t->last_ns);
    t->last_ns = newest;
    if (t->add && t->count % 50 == 0)
        add_traces(t->w, 1);
    t->count++;
    return true;
}

static traceql_search_stats run(world *w, const char *text, uint32_t limit, taken *t,
                                const tr_limits *limits, sx_status want)
{
    sx_error err = {0};
    traceql_query *q = NULL;
    traceql_search_stats stats;
    traceql_search_options options = {.limit = limit};
    if (limits)
        options.limits = *limits;
    *t = (taken){.w = w, .last_ns = UINT64_MAX, .add = t->add};
    assert_int_equal(traceql_parse(sx_str_z(text), &q, &err), SX_OK);
    sx_status status = traceql_search(w->store, q, &options, take, t, &stats, &err);
    if (status != want)
        fail_msg("%s: %s", text, err.message);
    traceql_free(q);
    return stats;
}

static void test_each_trace_is_looked_at_once_newest_first(void **state)
{
    taken t = {0};
    traceql_search_stats stats = run(*state, "{} >> {}", 10000, &t, NULL, SX_OK);
    assert_int_equal(t.count, TRACES);
    assert_int_equal(stats.traces, TRACES);
    assert_int_equal(stats.spans, TRACES * PER_TRACE);
    assert_false(stats.partial);
    /* Those that do not hold are not looked at again, either. */
    stats = run(*state, "{} | count() > 100", 10, &t, NULL, SX_OK);
    assert_int_equal(t.count, 0);
    assert_int_equal(stats.traces, TRACES);
}

static void test_a_search_ends_at_its_limit(void **state)
{
    taken t = {0};
    traceql_search_stats stats = run(*state, "{} >> {}", 150, &t, NULL, SX_OK);
    assert_int_equal(t.count, 150);
    assert_int_equal(stats.traces, 150);
    stats = run(*state, "{}", 7, &t, NULL, SX_OK);
    assert_int_equal(t.count, 7);
    assert_int_equal(stats.traces, 7);
}

static void test_canceled_or_late_it_ends_with_an_error(void **state)
{
    world *w = *state;
    _Atomic bool canceled = true;
    taken t = {0};
    run(w, "{} >> {}", 10, &t, &(tr_limits){.canceled = &canceled}, SX_ECANCELED);
    run(w, "{} >> {}", 10, &t, &(tr_limits){.deadline_ms = 1}, SX_ETIMEOUT);
}

/* The same traces, whether all of a span is read at first or only what the query asks about. */
static void test_what_is_read_changes_nothing(void **state)
{
    static const char *const PAIRS[][2] = {
        {"{ name =~ \".*op-1.*\" } >> { kind = server }",
         "{ name =~ \".*op-1.*\" && !(.nobody = 1) } >> { kind = server }"},
        {"{ resource.service.name = \"cart\" } ~ { duration > 15ms }",
         "{ resource.service.name = \"cart\" } ~ { duration > 15ms && !(.nobody = 1) }"},
        {"{ resource.host.name = \"node-3\" } | count() > 2 | select(.user.id)",
         "{ resource.host.name = \"node-3\" && !(.nobody = 1) } | count() > 2"},
        {"{ trace:rootService = \"frontend\" && span:childCount > 3 }",
         "{ trace:rootService = \"frontend\" && span:childCount > 3 && !(.nobody = 1) }"},
    };
    for (size_t i = 0; i < SX_COUNT_OF(PAIRS); i++) {
        taken part = {0}, all = {0};
        run(*state, PAIRS[i][0], 10000, &part, NULL, SX_OK);
        run(*state, PAIRS[i][1], 10000, &all, NULL, SX_OK);
        assert_true(part.count > 0);
        assert_int_equal(part.count, all.count);
        assert_int_equal(part.last_ns, all.last_ns);
    }
}

/* Candidates that lack the other side are passed over once that is known, and none is lost. */
static void test_the_other_side_of_a_relation(void **state)
{
    taken few = {0}, all = {0};
    traceql_search_stats stats =
        run(*state, "{ kind = server } >> { name =~ \"nothing\" }", 10000, &few, NULL, SX_OK);
    assert_int_equal(few.count, 0);
    assert_true(stats.traces <= 512);
    run(*state, "{ kind = server } >> { .user.id =~ \"user-1.*\" && duration > 18ms }", 10000, &few,
        NULL, SX_OK);
    run(*state,
        "{ kind = server } >> ({ .user.id =~ \"user-1.*\" && duration > 18ms } || { .no = 1 })",
        10000, &all, NULL, SX_OK);
    assert_true(few.count > 0);
    assert_int_equal(few.count, all.count);
}

/* Last, as it adds traces. */
static void test_what_arrives_meanwhile_is_not_seen(void **state)
{
    taken t = {.add = true};
    run(*state, "{} >> {}", 10000, &t, NULL, SX_OK);
    assert_int_equal(t.count, TRACES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_trace_is_looked_at_once_newest_first),
        cmocka_unit_test(test_a_search_ends_at_its_limit),
        cmocka_unit_test(test_canceled_or_late_it_ends_with_an_error),
        cmocka_unit_test(test_what_is_read_changes_nothing),
        cmocka_unit_test(test_the_other_side_of_a_relation),
        cmocka_unit_test(test_what_arrives_meanwhile_is_not_seen),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
