/* Edges between services, over a real metric store and a clock moved by hand. */
#include "derive_fixture.h"

#include <pthread.h>

#include "base/fault.h"
#include "observe/collector/derive_edges.h"

static servicegraph *open_graph(fixture *f, const servicegraph_settings *s)
{
    sx_error err = {0};
    servicegraph *g;
    assert_int_equal(servicegraph_new(s, &f->host, &g, &err), SX_OK);
    return g;
}

/* Lets all pairs expire and writes. */
static void settle(fixture *f, servicegraph *g)
{
    sx_error err = {0};
    sx_fake_clock_advance(&f->clock, 60000);
    assert_int_equal(servicegraph_tick(g, &err), SX_OK);
}

static double edge(fixture *f, const char *metric, const char *labels)
{
    char text[256];
    snprintf(text, sizeof(text), "traces_service_graph_%s{%s}", metric, labels);
    return last_of(f, text);
}

static void test_a_request_has_two_ends_in_any_order(void **state)
{
    fixture f;
    made a, b;
    servicegraph_settings s;
    (void)state;
    fixture_open(&f);
    made_init(&a, "front");
    made_init(&b, "back");
    add_span(&a, "call", SPAN_CLIENT, 30, 1, 2, 1);
    add_span(&b, "serve", SPAN_SERVER, 20, 1, 3, 2);
    span *failed = add_span(&b, "serve", SPAN_SERVER, 20, 2, 3, 2);
    failed->status = SPAN_ERROR;
    add_span(&a, "inside", SPAN_INTERNAL, 30, 2, 9, 1);
    servicegraph_defaults(&s);
    servicegraph *g = open_graph(&f, &s);
    servicegraph_take(g, a.batch);
    servicegraph_take(g, b.batch);
    span_batch_reset(a.batch);
    add_span(&a, "call", SPAN_CLIENT, 30, 2, 2, 1);
    servicegraph_take(g, a.batch);
    settle(&f, g);
    const char *good = "client=\"front\", failed=\"false\", server=\"back\"",
               *bad = "client=\"front\", failed=\"true\", server=\"back\"";
    assert_true(edge(&f, "request_total", good) == 1);
    assert_true(edge(&f, "request_total", bad) == 1);
    assert_true(edge(&f, "request_failed_total", bad) == 1);
    assert_true(edge(&f, "request_failed_total", good) == -1);
    assert_true(edge(&f, "request_client_seconds_sum", good) == 0.03);
    assert_true(edge(&f, "request_server_seconds_sum", good) == 0.02);
    assert_true(edge(&f, "request_server_seconds_count", good) == 1);
    assert_true(edge(&f, "request_server_seconds_bucket",
                     "client=\"front\", failed=\"false\", le=\"0.01\", server=\"back\"") == 0);
    assert_true(edge(&f, "request_server_seconds_bucket",
                     "client=\"front\", failed=\"false\", le=\"0.05\", server=\"back\"") == 1);
    span_batch_unref(a.batch);
    span_batch_unref(b.batch);
    servicegraph_free(g);
    fixture_close(&f);
}

static void test_databases_queues_and_users_are_nodes(void **state)
{
    static const span_attr DATABASE[] = {TEXT_ATTR("db.name", "orders"),
                                         TEXT_ATTR("db.system", "postgresql")},
                           PEER[] = {TEXT_ATTR("peer.service", "mail")};
    fixture f;
    made a, b;
    servicegraph_settings s;
    (void)state;
    fixture_open(&f);
    made_init(&a, "front");
    made_init(&b, "worker");
    add_span(&a, "serve", SPAN_SERVER, 20, 1, 1, 0);
    add_span(&a, "select", SPAN_CLIENT, 10, 1, 2, 1)->attrs = ATTRS(DATABASE);
    add_span(&a, "send", SPAN_CLIENT, 10, 1, 3, 1)->attrs = ATTRS(PEER);
    add_span(&a, "who knows", SPAN_CLIENT, 10, 1, 4, 1);
    add_span(&a, "publish", SPAN_PRODUCER, 10, 1, 5, 1);
    add_span(&b, "consume", SPAN_CONSUMER, 10, 1, 6, 5);
    add_span(&b, "orphan", SPAN_SERVER, 10, 7, 8, 9);
    servicegraph_defaults(&s);
    s.virtual_node_label = true;
    servicegraph *g = open_graph(&f, &s);
    servicegraph_take(g, a.batch);
    servicegraph_take(g, b.batch);
    settle(&f, g);
    assert_true(edge(&f, "request_total",
                     "client=\"user\", connection_type=\"virtual_node\", failed=\"false\", "
                     "server=\"front\", virtual_node=\"client\"") == 1);
    assert_true(edge(&f, "request_total",
                     "client=\"front\", connection_type=\"database\", failed=\"false\", "
                     "server=\"orders\"") == 1);
    assert_true(edge(&f, "request_total",
                     "client=\"front\", connection_type=\"virtual_node\", failed=\"false\", "
                     "server=\"mail\", virtual_node=\"server\"") == 1);
    assert_true(edge(&f, "request_total",
                     "client=\"front\", connection_type=\"virtual_node\", failed=\"false\", "
                     "server=\"unknown\", virtual_node=\"server\"") == 1);
    assert_true(edge(&f, "request_total",
                     "client=\"front\", connection_type=\"messaging_system\", "
                     "failed=\"false\", server=\"worker\"") == 1);
    assert_true(edge(&f, "unpaired_spans_total", "client=\"front\"") == 2);
    assert_true(edge(&f, "unpaired_spans_total", "server=\"worker\"") == 1);
    span_batch_unref(a.batch);
    span_batch_unref(b.batch);
    servicegraph_free(g);
    fixture_close(&f);
}

static void test_dimensions_have_the_side_in_front(void **state)
{
    static const span_attr OF_CLIENT[] = {TEXT_ATTR("region", "eu")},
                           OF_SERVER[] = {INT_ATTR("region", 7)};
    static const sx_str DIMENSIONS[] = {SX_STR_INIT("region")};
    fixture f;
    made a, b;
    servicegraph_settings s;
    (void)state;
    fixture_open(&f);
    made_init(&a, "front");
    made_init(&b, "back");
    add_span(&a, "call", SPAN_CLIENT, 30, 1, 2, 1)->attrs = ATTRS(OF_CLIENT);
    add_span(&b, "serve", SPAN_SERVER, 20, 1, 3, 2)->attrs = ATTRS(OF_SERVER);
    servicegraph_defaults(&s);
    s.dimensions = (derive_names){DIMENSIONS, 1};
    s.exponential_size = 160;
    servicegraph *g = open_graph(&f, &s);
    servicegraph_take(g, a.batch);
    servicegraph_take(g, b.batch);
    settle(&f, g);
    assert_true(edge(&f, "request_total",
                     "client=\"front\", client_region=\"eu\", failed=\"false\", "
                     "server=\"back\", server_region=\"7\"") == 1);
    span_batch_unref(a.batch);
    span_batch_unref(b.batch);
    servicegraph_free(g);
    fixture_close(&f);
}

static void test_the_store_of_pairs_is_bounded(void **state)
{
    fixture f;
    made a;
    servicegraph_settings s;
    (void)state;
    fixture_open(&f);
    made_init(&a, "front");
    for (uint8_t i = 1; i <= 100; i++)
        add_span(&a, "call", SPAN_CLIENT, 30, i, 2, 1);
    servicegraph_defaults(&s);
    s.items_max = 10;
    servicegraph *g = open_graph(&f, &s);
    servicegraph_take(g, a.batch);
    servicegraph_take(g, a.batch); /* the ten are known: they are no new pairs */
    settle(&f, g);
    assert_true(edge(&f, "dropped_spans_total", "client=\"front\"") == 180);
    assert_true(edge(&f, "unpaired_spans_total", "client=\"front\"") == 10);
    servicegraph_take(g, a.batch);
    settle(&f, g);
    assert_true(edge(&f, "dropped_spans_total", "client=\"front\"") == 270);
    span_batch_unref(a.batch);
    servicegraph_free(g);
    fixture_close(&f);
}

/* More names than are kept at a time: they are forgotten once no pair needs them. */
static void test_names_are_forgotten(void **state)
{
    fixture f;
    servicegraph_settings s;
    static const sx_str PEERS[] = {SX_STR_INIT("peer.service")};
    (void)state;
    fixture_open(&f);
    servicegraph_defaults(&s);
    s.peer_attributes = (derive_names){PEERS, 1};
    s.items_max = 100000;
    s.series_max = 10;
    servicegraph *g = open_graph(&f, &s);
    for (int round = 0; round < 4; round++) {
        made a;
        made_init(&a, "front");
        for (uint32_t i = 0; i < 20000; i++) {
            char *text = sx_arena_alloc(&a.batch->arena, 32);
            span_attr *attr = sx_arena_calloc(&a.batch->arena, 1, sizeof(*attr));
            int len = snprintf(text, 32, "peer-%d-%u", round, i);
            *attr = (span_attr){"peer.service", 12, {{.data = text}, (uint32_t)len, SPAN_STR}};
            span *one = add_span(&a, "call", SPAN_CLIENT, 30, 1, 2, 1);
            memcpy(one->trace_id, &i, sizeof(i));
            one->attrs = (span_attrs){attr, 1, 0};
        }
        servicegraph_take(g, a.batch);
        span_batch_unref(a.batch);
        settle(&f, g);
    }
    assert_true(edge(&f, "unpaired_spans_total", "client=\"front\"") == 80000);
    assert_true(edge(&f, "request_total", "otel_metric_overflow=\"true\"") == 80000 - 10);
    servicegraph_free(g);
    fixture_close(&f);
}

static void test_edges_of_a_range_see_through_a_restart(void **state)
{
    static const span_attr DATABASE[] = {TEXT_ATTR("db.name", "orders")};
    fixture f;
    made a;
    sx_arena arena;
    sx_error err = {0};
    servicegraph_settings s;
    derive_edge *edges;
    size_t count;
    (void)state;
    fixture_open(&f);
    sx_arena_init(&arena, 0, 0);
    made_init(&a, "front");
    for (uint8_t i = 1; i <= 5; i++)
        add_span(&a, "select", SPAN_CLIENT, 30, i, 2, 1)->attrs = ATTRS(DATABASE);
    add_span(&a, "serve", SPAN_SERVER, 500, 1, 1, 0)->status = SPAN_ERROR;
    servicegraph_defaults(&s);
    int64_t begin = sx_clock_ms(&f.clock.clock), middle = 0;
    for (int run = 0; run < 2; run++) {
        servicegraph *g = open_graph(&f, &s);
        for (int i = 0; i < 3; i++) {
            servicegraph_take(g, a.batch);
            settle(&f, g);
        }
        sx_fake_clock_advance(&f.clock, 1000);
        servicegraph_free(g);
        sx_fake_clock_advance(&f.clock, 1000);
        middle = run ? middle : sx_clock_ms(&f.clock.clock);
    }
    tsdb_queryable *from = tsdb_queryable_of(f.db);
    int64_t end = sx_clock_ms(&f.clock.clock);
    assert_int_equal(derive_edges(from, begin, end, &arena, &edges, &count, NULL, &err), SX_OK);
    assert_int_equal(count, 2);
    assert_true(edges[0].calls == 30 && edges[0].failed == 0);
    assert_true(sx_str_eq(edges[0].client, SX_STR("front")) &&
                sx_str_eq(edges[0].server, SX_STR("orders")) &&
                sx_str_eq(edges[0].connection_type, SX_STR("database")));
    assert_true(edges[1].calls == 6 && edges[1].failed == 6);
    assert_true(edges[1].server_seconds > 2.999 && edges[1].server_seconds < 3.001);
    assert_int_equal(derive_edges(from, middle, end, &arena, &edges, &count, NULL, &err), SX_OK);
    assert_true(count == 2 && edges[0].calls == 15);
    assert_int_equal(derive_edges(from, end + 1, end + 2, &arena, &edges, &count, NULL, &err),
                     SX_OK);
    assert_int_equal(count, 0);
    span_batch_unref(a.batch);
    sx_arena_done(&arena);
    fixture_close(&f);
}

typedef struct taker {
    servicegraph *g;
    span_batch *b;
} taker;

static void *take_many(void *arg)
{
    taker *t = arg;
    for (int i = 0; i < 200; i++)
        servicegraph_take(t->g, t->b);
    return NULL;
}

static void test_threads_lose_no_edge(void **state)
{
    static const span_attr DATABASE[] = {TEXT_ATTR("db.name", "orders")};
    fixture f;
    made a;
    servicegraph_settings s;
    pthread_t threads[3];
    (void)state;
    fixture_open(&f);
    made_init(&a, "front");
    for (uint8_t i = 1; i <= 20; i++)
        add_span(&a, "select", SPAN_CLIENT, 30, i, 2, 1)->attrs = ATTRS(DATABASE);
    servicegraph_defaults(&s);
    s.exemplars_max = 2;
    servicegraph *g = open_graph(&f, &s);
    taker t = {g, a.batch};
    for (size_t i = 0; i < SX_COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &t), 0);
    for (int i = 0; i < 5; i++)
        settle(&f, g);
    for (size_t i = 0; i < SX_COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    settle(&f, g);
    assert_true(edge(&f, "request_total",
                     "client=\"front\", connection_type=\"database\", failed=\"false\", "
                     "server=\"orders\"") == 3 * 200 * 20);
    span_batch_unref(a.batch);
    servicegraph_free(g);
    fixture_close(&f);
}

static void test_memory_that_fails_breaks_nothing(void **state)
{
    static const span_attr DATABASE[] = {TEXT_ATTR("db.name", "orders")};
    static const sx_str DIMENSIONS[] = {SX_STR_INIT("db.name")};
    fixture f;
    made a;
    servicegraph_settings s;
    (void)state;
    fixture_open(&f);
    made_init(&a, "front");
    add_span(&a, "select", SPAN_CLIENT, 30, 1, 2, 1)->attrs = ATTRS(DATABASE);
    add_span(&a, "call", SPAN_CLIENT, 30, 1, 3, 1);
    add_span(&a, "serve", SPAN_SERVER, 30, 1, 1, 0);
    servicegraph_defaults(&s);
    s.dimensions = (derive_names){DIMENSIONS, 1};
    for (int64_t nth = 1;; nth++) {
        sx_error err = {0};
        servicegraph *g;
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = servicegraph_new(&s, &f.host, &g, &err);
        if (st == SX_OK) {
            servicegraph_take(g, a.batch);
            sx_fake_clock_advance(&f.clock, 60000);
            (void)servicegraph_tick(g, &err);
            servicegraph_free(g);
        } else {
            assert_int_equal(st, SX_ENOMEM);
        }
        bool reached = sx_fault_alloc_calls() >= nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (!reached)
            break;
    }
    span_batch_unref(a.batch);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_has_two_ends_in_any_order),
        cmocka_unit_test(test_databases_queues_and_users_are_nodes),
        cmocka_unit_test(test_dimensions_have_the_side_in_front),
        cmocka_unit_test(test_the_store_of_pairs_is_bounded),
        cmocka_unit_test(test_names_are_forgotten),
        cmocka_unit_test(test_edges_of_a_range_see_through_a_restart),
        cmocka_unit_test(test_threads_lose_no_edge),
        cmocka_unit_test(test_memory_that_fails_breaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
