/* kafka.c - see kafka.h.
 *
 * librdkafka commits in the background what this thread stores: an offset is stored when the sink has
 * taken the message and all before it of its partition, which come in order. */
#include "observe/collector/kafka_lib.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "observe/collector/kafka.h"
#include "observe/spans/jaeger.h"
#include "observe/spans/zipkin.h"

enum {
    POLL_MS = 100,
    FULL_WAIT_MS_FIRST = 50, /* doubled up to the most */
    FULL_WAIT_MS_MOST = 2000,
    SESSION_MS = 10000,          /* the Collector's: after that a consumer that is gone is missed */
    FETCH_KBYTES_MAX = 16 << 10, /* what is fetched ahead */
    POLL_INTERVAL_MS_MAX =
        86400000 /* librdkafka's most: a full sink must not cost the membership */
};

struct span_kafka {
    kafka_opaque opaque;
    const kafka_lib *lib;
    const kafka_receiver_settings *settings;
    span_kafka_host host;
    sx_logger *log;
    rd_kafka_t *client;
    pthread_t thread;
    bool has_thread;
    sx_counter *accepted, *refused, *messages, *unreadable;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stop; /* with the lock */
};

/* --- Encodings. */

/* A jaeger.api_v2.Span with its process, as one span of a batch of a PostSpansRequest. */
static sx_status read_jaeger(sx_str message, const span_limits *limits, span_batch *out,
                             span_refused *refused, sx_error *err)
{
    sx_buf request;
    sx_buf_init(&request, 0);
    size_t batch = sx_pb_begin(&request, 1);
    sx_pb_put_str(&request, 1, message);
    sx_pb_end(&request, batch);
    sx_status status = sx_buf_status(&request, "a message of Kafka", err);
    if (status == SX_OK) {
        span_batch_keep(out, &request);
        status = span_read_jaeger_proto(sx_buf_view(&out->body), limits, out, refused, err);
    }
    sx_buf_done(&request);
    return status;
}

typedef sx_status read_fn(sx_str body, const span_limits *limits, span_batch *out,
                          span_refused *refused, sx_error *err);

/* zipkin_json is version 2, as to the Collector. */
static const struct {
    sx_str name;
    read_fn *read;
} ENCODINGS[] = {{SX_STR_INIT("otlp_proto"), span_read_otlp},
                 {SX_STR_INIT("otlp_json"), span_read_otlp_json},
                 {SX_STR_INIT("jaeger_proto"), read_jaeger},
                 {SX_STR_INIT("zipkin_proto"), span_read_zipkin_proto},
                 {SX_STR_INIT("zipkin_json"), span_read_zipkin_json},
                 {SX_STR_INIT("zipkin_thrift"), span_read_zipkin_thrift}};

static read_fn *reader_of(sx_str encoding)
{
    for (size_t i = 0; i < SX_COUNT_OF(ENCODINGS); i++)
        if (sx_str_eq(encoding, ENCODINGS[i].name))
            return ENCODINGS[i].read;
    return NULL;
}

sx_status span_kafka_read(sx_str encoding, sx_str message, const span_limits *limits,
                          span_batch *out, span_refused *refused, sx_error *err)
{
    sx_buf body;
    read_fn *read = reader_of(encoding);
    if (!read)
        return sx_fail(err, SX_EUNSUPPORTED, "encoding '%.*s' is not read", SX_ARG(encoding));
    if (read == read_jaeger || read == span_read_otlp_json)
        return read(message, limits, out, refused, err); /* these make bytes of their own */
    sx_buf_init(&body, 0);
    sx_buf_str(&body, message);
    sx_status status = sx_buf_status(&body, "a message of Kafka", err);
    if (status == SX_OK) {
        span_batch_keep(out, &body);
        status = read(sx_buf_view(&out->body), limits, out, refused, err);
    }
    sx_buf_done(&body);
    return status;
}

/* --- The consumer's thread. */

static bool is_stopping(span_kafka *k)
{
    pthread_mutex_lock(&k->lock);
    bool stop = k->stop;
    pthread_mutex_unlock(&k->lock);
    return stop;
}

/* Waits; false when it is time to stop. */
static bool wait_ms(span_kafka *k, int64_t ms)
{
    struct timespec until;
    int64_t ns = sx_clock_mono_ns(sx_clock_system()) + ms * 1000000;
    until.tv_sec = ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_mutex_lock(&k->lock);
    int error = 0;
    while (!k->stop && !error)
        error = pthread_cond_timedwait(&k->stopped, &k->lock, &until);
    bool stop = k->stop;
    pthread_mutex_unlock(&k->lock);
    return !stop;
}

static void count(sx_counter *c, uint64_t n)
{
    if (c && n)
        sx_counter_add(c, n);
}

/* A sink that is full, or whose disk is, gets the batch again and again; others will not have it.
 * False: it is time to stop, and nobody has it. */
static bool give(span_kafka *k, span_batch *b)
{
    int64_t ms = FULL_WAIT_MS_FIRST;
    for (;;) {
        sx_error err;
        sx_status status = k->host.sink.take(k->host.sink.ctx, b, &err);
        if (status == SX_OK) {
            count(k->accepted, b->count);
            return true;
        }
        if (status != SX_ELIMIT && status != SX_REFUSED && status != SX_ENOMEM) {
            count(k->refused, b->count);
            if (k->log)
                SX_LOG_WARN(k->log, NULL, "spans of a message were refused", sx_field_error(&err));
            return true;
        }
        if (!wait_ms(k, ms))
            return false;
        ms = ms * 2 < FULL_WAIT_MS_MOST ? ms * 2 : FULL_WAIT_MS_MOST;
    }
}

/* Reads a message, again and again while there is no memory: the offset of the next one would commit
 * it. NULL: it is time to stop. */
static span_batch *read_message(span_kafka *k, const rd_kafka_message_t *m, span_refused *refused,
                                sx_status *status, sx_error *err)
{
    do {
        *refused = (span_refused){0};
        span_batch *b = span_batch_new(0);
        *status = b ? span_kafka_read(k->settings->encoding, sx_str_of(m->payload, m->len),
                                      k->host.limits, b, refused, err)
                    : sx_fail_memory(err, "a message of Kafka");
        if (*status != SX_ENOMEM)
            return b;
        span_batch_unref(b);
    } while (wait_ms(k, FULL_WAIT_MS_MOST));
    return NULL;
}

static bool take_message(span_kafka *k, const rd_kafka_message_t *m)
{
    sx_error err;
    span_refused refused;
    sx_status status;
    span_batch *b = read_message(k, m, &refused, &status, &err);
    bool taken = true;
    if (!b)
        return false;
    count(k->messages, 1);
    count(k->refused, refused.spans);
    if (status == SX_OK && b->count) {
        taken = give(k, b);
    } else if (status != SX_OK) {
        count(k->unreadable, 1);
        if (k->log)
            SX_LOG_WARN(k->log, NULL, "a message of Kafka was skipped",
                        sx_field_i64("partition", m->partition), sx_field_i64("offset", m->offset),
                        sx_field_error(&err));
    }
    span_batch_unref(b);
    return taken;
}

static void on_message(span_kafka *k, rd_kafka_message_t *m)
{
    if (m->err) {
        if (m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF && k->log)
            SX_LOG_WARN(k->log, NULL, "kafka",
                        sx_field_z("text", k->lib->rd_kafka_err2str(m->err)));
    } else if (take_message(k, m)) {
        k->lib->rd_kafka_offset_store(m->rkt, m->partition, m->offset);
    }
    k->lib->rd_kafka_message_destroy(m);
}

static void *consume(void *arg)
{
    span_kafka *k = arg;
    sx_telemetry_thread_join();
    while (!is_stopping(k)) {
        rd_kafka_message_t *m = k->lib->rd_kafka_consumer_poll(k->client, POLL_MS);
        if (m)
            on_message(k, m);
    }
    k->lib->rd_kafka_consumer_close(k->client); /* commits what was stored */
    sx_telemetry_thread_leave();
    return NULL;
}

/* --- Life. */

static sx_counter *counter(span_kafka *k, const char *name, const char *help, sx_str receiver,
                           bool by_transport, sx_status *status, sx_error *err)
{
    static const char *const LABELS[] = {"receiver", "transport"};
    const sx_str values[] = {receiver, SX_STR("kafka")};
    sx_metric *metric = NULL;
    size_t labels = by_transport ? 2 : 1;
    if (*status == SX_OK && k->host.kit && k->host.kit->metrics)
        *status = sx_metric_new(k->host.kit->metrics,
                                &(sx_metric_options){.kind = SX_METRIC_COUNTER,
                                                     .name = name,
                                                     .help = help,
                                                     .labels = LABELS,
                                                     .label_count = labels},
                                &metric, err);
    return metric ? sx_metric_counter(metric, values, labels) : NULL;
}

static sx_status add_metrics(span_kafka *k, sx_str name, sx_error *err)
{
    sx_status status = SX_OK;
    k->accepted = counter(k, "otelcol_receiver_accepted_spans", "Spans that were taken.", name,
                          true, &status, err);
    k->refused = counter(k, "otelcol_receiver_refused_spans", "Spans that were not taken.", name,
                         true, &status, err);
    k->messages = counter(k, "otelcol_kafka_receiver_messages", "Messages that came.", name, false,
                          &status, err);
    k->unreadable =
        counter(k, "otelcol_kafka_receiver_unmarshal_failed",
                "Messages that could not be read and were skipped.", name, false, &status, err);
    return status;
}

static sx_status make_client(span_kafka *k, kafka_conf *c)
{
    const kafka_receiver_settings *s = k->settings;
    char why[200], topic[256];
    kafka_set_log(c, &k->opaque);
    kafka_set_brokers(c, s->brokers, s->broker_count);
    kafka_set(c, "client.id", s->client_id);
    kafka_set(c, "group.id", s->group_id);
    kafka_set(c, "auto.offset.reset", s->initial_offset);
    kafka_set(c, "enable.auto.offset.store", SX_STR("false"));
    kafka_set(c, "enable.auto.commit", SX_STR("true")); /* else a restart would take all again */
    kafka_set_number(c, "auto.commit.interval.ms",
                     s->auto_commit_ms > 0 ? s->auto_commit_ms : 1000);
    kafka_set_number(c, "queued.max.messages.kbytes", FETCH_KBYTES_MAX);
    kafka_set_number(c, "max.poll.interval.ms", POLL_INTERVAL_MS_MAX);
    kafka_set_number(c, "session.timeout.ms", SESSION_MS);
    kafka_set_security(c, s->tls_set ? &s->tls : NULL, s->sasl_mechanism, s->sasl_user,
                       s->sasl_password);
    if (c->status != SX_OK)
        return c->status;
    int len = snprintf(topic, sizeof(topic), "%.*s", SX_ARG(s->topic));
    if (len <= 0 || len >= (int)sizeof(topic))
        return sx_fail(c->err, SX_EINVAL, "topic: a name of 1 to 249 characters is needed");
    k->client = k->lib->rd_kafka_new(RD_KAFKA_CONSUMER, c->conf, why, sizeof(why));
    if (!k->client)
        return sx_fail(c->err, SX_EINVAL, "%s", why);
    c->conf = NULL; /* the client's now */
    k->lib->rd_kafka_poll_set_consumer(k->client);
    rd_kafka_topic_partition_list_t *topics = k->lib->rd_kafka_topic_partition_list_new(1);
    k->lib->rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = k->lib->rd_kafka_subscribe(k->client, topics);
    k->lib->rd_kafka_topic_partition_list_destroy(topics);
    return code ? sx_fail(c->err, SX_EINVAL, "topic: %s", k->lib->rd_kafka_err2str(code)) : SX_OK;
}

static sx_status start(span_kafka *k, sx_error *err)
{
    int error = pthread_create(&k->thread, NULL, consume, k);
    k->has_thread = error == 0;
    return error ? sx_fail_os(err, error, "the thread of a Kafka receiver") : SX_OK;
}

sx_status span_kafka_new(const kafka_receiver_settings *settings, const component_id *id,
                         const span_kafka_host *host, span_kafka **out, sx_error *err)
{
    sx_error why;
    span_kafka *k = sx_calloc(1, sizeof(*k));
    pthread_condattr_t monotonic;
    if (!k)
        return sx_fail_memory(err, "a Kafka receiver");
    k->settings = settings;
    k->host = *host;
    k->log = host->kit && host->kit->log ? sx_log_logger(host->kit->log, "kafka") : NULL;
    pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&k->stopped, &monotonic);
    pthread_condattr_destroy(&monotonic);
    sx_status status =
        reader_of(settings->encoding)
            ? SX_OK
            : sx_fail(&why, SX_EINVAL, "encoding '%.*s' is not read", SX_ARG(settings->encoding));
    if (status == SX_OK) {
        k->lib = kafka_lib_load(&why);
        status = k->lib ? add_metrics(k, id->name, &why) : SX_EUNSUPPORTED;
    }
    if (status == SX_OK) {
        k->opaque = (kafka_opaque){k->lib, k->log};
        kafka_conf c = {.lib = k->lib, .conf = k->lib->rd_kafka_conf_new(), .err = &why};
        status = make_client(k, &c);
        if (c.conf)
            k->lib->rd_kafka_conf_destroy(c.conf);
    }
    if (status == SX_OK)
        status = start(k, &why);
    if (status != SX_OK) {
        span_kafka_free(k);
        return sx_fail(err, status == SX_ENOMEM ? status : SX_EINVAL,
                       "receivers::%.*s (line %u): %.300s", SX_ARG(id->name), id->line,
                       why.message);
    }
    *out = k;
    return SX_OK;
}

void span_kafka_free(span_kafka *k)
{
    if (!k)
        return;
    if (k->has_thread) {
        pthread_mutex_lock(&k->lock);
        k->stop = true;
        pthread_cond_broadcast(&k->stopped);
        pthread_mutex_unlock(&k->lock);
        pthread_join(k->thread, NULL);
    }
    if (k->client)
        k->lib->rd_kafka_destroy(k->client);
    pthread_cond_destroy(&k->stopped);
    pthread_mutex_destroy(&k->lock);
    sx_free(k);
}
