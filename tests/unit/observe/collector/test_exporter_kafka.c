/* test_exporter_kafka.c - spans through Kafka and back, by librdkafka's own mock of a cluster: real
 * sockets, real consumer groups. */
#include "observe/collector/kafka_lib.h"

#include <librdkafka/rdkafka_mock.h>
#include <sched.h>

#include "observe/collector/kafka.h"
#include "tests/unit/observe/collector/export_fixture.h"

enum { WAIT_MS = 30000 };

typedef struct cluster {
    rd_kafka_t *client;
    rd_kafka_mock_cluster_t *mock;
    sx_str broker;
} cluster;

static void cluster_open(cluster *c, int partitions)
{
    char why[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, NULL);
    c->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    assert_non_null(c->client);
    c->mock = rd_kafka_mock_cluster_new(c->client, 1);
    assert_non_null(c->mock);
    assert_int_equal(rd_kafka_mock_topic_create(c->mock, "otlp_spans", partitions, 1), 0);
    c->broker = sx_str_z(rd_kafka_mock_cluster_bootstraps(c->mock));
}

static void cluster_close(cluster *c)
{
    rd_kafka_mock_cluster_destroy(c->mock);
    rd_kafka_destroy(c->client);
}

/* What came out of the topic. */
typedef struct collected {
    pthread_mutex_t lock;
    uint64_t spans, batches;
    unsigned refusals; /* so many times the sink is full first */
    uint8_t first_id[16];
} collected;

static sx_status collect(void *ctx, span_batch *b, sx_error *err)
{
    collected *c = ctx;
    pthread_mutex_lock(&c->lock);
    bool full = c->refusals > 0;
    if (full) {
        c->refusals--;
    } else {
        if (!c->batches)
            memcpy(c->first_id, b->spans[0]->trace_id, 16);
        c->spans += b->count;
        c->batches++;
    }
    pthread_mutex_unlock(&c->lock);
    return full ? sx_fail(err, SX_ELIMIT, "full") : SX_OK;
}

static void wait_for_spans(collected *c, uint64_t spans)
{
    int64_t until_ms = sx_clock_mono_ms(sx_clock_system()) + WAIT_MS;
    for (;;) {
        pthread_mutex_lock(&c->lock);
        uint64_t now = c->spans;
        pthread_mutex_unlock(&c->lock);
        if (now >= spans)
            return;
        if (sx_clock_mono_ms(sx_clock_system()) > until_ms)
            fail_msg("%llu of %llu spans came", (unsigned long long)now, (unsigned long long)spans);
        sched_yield();
    }
}

typedef struct kafka_fixture {
    fixture f;
    cluster cluster;
    collected got;
    kafka_receiver_settings receive;
    component_id id;
    span_kafka *consumer;
} kafka_fixture;

static void open_all(kafka_fixture *k, int partitions, const char *encoding)
{
    memset(k, 0, sizeof(*k));
    fixture_init(&k->f);
    cluster_open(&k->cluster, partitions);
    pthread_mutex_init(&k->got.lock, NULL);
    k->id = (component_id){SX_STR("kafka"), SX_STR("kafka/in"), 3};
    k->f.settings.kind = EXPORT_KAFKA;
    k->f.settings.endpoints = &k->cluster.broker;
    k->f.settings.endpoint_count = 1;
    k->f.settings.topic = SX_STR("otlp_spans");
    k->f.settings.encoding = sx_str_z(encoding);
    k->f.settings.retry.initial_ms = 50;
    k->f.settings.queue.size = 1000;
    k->receive = (kafka_receiver_settings){.brokers = &k->cluster.broker,
                                           .broker_count = 1,
                                           .topic = SX_STR("otlp_spans"),
                                           .encoding = sx_str_z(encoding),
                                           .group_id = SX_STR("g"),
                                           .initial_offset = SX_STR("earliest")};
}

static void start_exporter(kafka_fixture *k)
{
    if (span_exporter_new(&k->f.settings, &(span_exporter_host){.kit = &k->f.kit}, &k->f.e,
                          &k->f.err) != SX_OK)
        fail_msg("%s", k->f.err.message);
}

static void start_consumer(kafka_fixture *k)
{
    const span_kafka_host host = {&k->f.kit, {collect, &k->got, false}, NULL};
    if (span_kafka_new(&k->receive, &k->id, &host, &k->consumer, &k->f.err) != SX_OK)
        fail_msg("%s", k->f.err.message);
}

static void close_all(kafka_fixture *k)
{
    span_kafka_free(k->consumer);
    cluster_close(&k->cluster);
    sx_metrics_free(k->f.metrics);
    pthread_mutex_destroy(&k->got.lock);
}

static void round_trip(const char *encoding, bool by_trace)
{
    kafka_fixture k;
    open_all(&k, 3, encoding);
    k.f.settings.partition_by_trace = by_trace;
    k.f.settings.compression = SX_STR("gzip");
    start_exporter(&k);
    for (int i = 0; i < 20; i++)
        assert_int_equal(give(&k.f, 3), SX_OK);
    span_exporter_free(k.f.e, WAIT_MS);
    assert_true(metric_of(&k.f, "otelcol_exporter_sent_spans{exporter=\"otlp/test\"} ") == 60);
    start_consumer(&k);
    wait_for_spans(&k.got, 60);
    assert_int_equal(k.got.spans, 60);
    assert_memory_equal(k.got.first_id, SAMPLE_SPANS[0].trace_id, 16);
    close_all(&k);
}

static void test_spans_go_through_a_topic(void **state)
{
    (void)state;
    round_trip("otlp_proto", false);
    round_trip("otlp_json", true);
}

/* What was taken is committed: the next of the group begins behind it. A full sink is waited for. */
static void test_offsets_follow_the_sink(void **state)
{
    kafka_fixture k;
    (void)state;
    open_all(&k, 1, "otlp_proto");
    start_exporter(&k);
    for (int i = 0; i < 5; i++)
        give(&k.f, 2);
    span_exporter_free(k.f.e, WAIT_MS);
    k.got.refusals = 3;
    start_consumer(&k);
    wait_for_spans(&k.got, 10);
    span_kafka_free(k.consumer);
    start_exporter(&k);
    give(&k.f, 1);
    span_exporter_free(k.f.e, WAIT_MS);
    start_consumer(&k);
    wait_for_spans(&k.got, 11);
    assert_int_equal(k.got.spans, 11);
    close_all(&k);
}

static void test_poison_is_counted_and_skipped(void **state)
{
    kafka_fixture k;
    (void)state;
    open_all(&k, 1, "otlp_proto");
    char why[200], poison[] = "\xff\xff\xff";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", k.cluster.broker.data, why, sizeof(why));
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, "otlp_spans", NULL);
    assert_int_equal(rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, poison, 3, NULL, 0, NULL), 0);
    assert_int_equal(rd_kafka_flush(producer, WAIT_MS), 0);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(producer);
    start_exporter(&k);
    give(&k.f, 4);
    span_exporter_free(k.f.e, WAIT_MS);
    start_consumer(&k);
    wait_for_spans(&k.got, 4);
    assert_true(
        metric_of(&k.f, "otelcol_kafka_receiver_unmarshal_failed{receiver=\"kafka/in\"} ") == 1);
    close_all(&k);
}

/* A broker that answers with errors for a while gets the spans in the end. */
static void test_a_broker_in_trouble_is_tried_again(void **state)
{
    kafka_fixture k;
    (void)state;
    open_all(&k, 1, "otlp_proto");
    rd_kafka_mock_push_request_errors(k.cluster.mock, 0 /* Produce */, 3, RD_KAFKA_RESP_ERR_UNKNOWN,
                                      RD_KAFKA_RESP_ERR_UNKNOWN, RD_KAFKA_RESP_ERR_UNKNOWN);
    start_exporter(&k);
    give(&k.f, 4);
    span_exporter_free(k.f.e, WAIT_MS);
    assert_true(metric_of(&k.f, "otelcol_exporter_sent_spans{exporter=\"otlp/test\"} ") == 4);
    close_all(&k);
}

static void test_no_broker_holds_nobody_up(void **state)
{
    kafka_fixture k;
    sx_str nowhere = SX_STR("127.0.0.1:1");
    (void)state;
    open_all(&k, 1, "otlp_proto");
    k.f.settings.endpoints = &nowhere;
    k.receive.brokers = &nowhere;
    start_exporter(&k);
    start_consumer(&k);
    give(&k.f, 4);
    int64_t began_ms = sx_clock_mono_ms(sx_clock_system());
    span_exporter_free(k.f.e, 200);
    assert_true(sx_clock_mono_ms(sx_clock_system()) - began_ms < 10000);
    assert_true(metric_of(&k.f, "otelcol_exporter_dropped_spans{exporter=\"otlp/test\",reason="
                                "\"shutdown\"} ") == 4);
    close_all(&k);
}

static void test_settings_without_sense_are_named(void **state)
{
    kafka_fixture k;
    (void)state;
    open_all(&k, 1, "jaeger_json");
    const span_kafka_host host = {&k.f.kit, {collect, &k.got, false}, NULL};
    assert_int_equal(span_kafka_new(&k.receive, &k.id, &host, &k.consumer, &k.f.err), SX_EINVAL);
    assert_non_null(
        strstr(k.f.err.message, "receivers::kafka/in (line 3): encoding 'jaeger_json'"));
    assert_int_equal(span_exporter_new(&k.f.settings, NULL, &k.f.e, &k.f.err), SX_EINVAL);
    assert_non_null(strstr(k.f.err.message, "jaeger_json"));
    k.f.settings.encoding = SX_STR("otlp_proto");
    k.f.settings.compression = SX_STR("lzma");
    assert_int_equal(span_exporter_new(&k.f.settings, NULL, &k.f.e, &k.f.err), SX_EINVAL);
    assert_non_null(strstr(k.f.err.message, "compression.type"));
    close_all(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans_go_through_a_topic),
        cmocka_unit_test(test_offsets_follow_the_sink),
        cmocka_unit_test(test_poison_is_counted_and_skipped),
        cmocka_unit_test(test_a_broker_in_trouble_is_tried_again),
        cmocka_unit_test(test_no_broker_holds_nobody_up),
        cmocka_unit_test(test_settings_without_sense_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
