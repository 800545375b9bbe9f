/* exporter_kafka.c - spans into a topic of Kafka, by librdkafka.
 *
 * A batch is one message, or one for each of its traces, keyed by the trace's id in hex, so that a
 * trace's spans come to one partition. librdkafka has threads of its own; here a timer asks for the
 * delivery reports while some are outstanding. A request has arrived when all its messages have.
 * Delivery is at least once: what is tried again is sent whole.
 * Sources: librdkafka, rdkafka.h and CONFIGURATION.md; the Collector's kafka exporter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/mem.h>

#include "observe/collector/kafka_lib.h"

#include "observe/collector/exporter_internal.h"

enum {
    POLL_MS = 5,
    QUEUE_KBYTES = 64 << 10,
    MESSAGE_MS_DEFAULT = 5000,
    MESSAGE_BYTES_MAX = 100000000 /* what brokers take is theirs to say */
};

typedef struct kafka_state {
    kafka_opaque opaque;
    const kafka_lib *lib;
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    sx_timer poll;
    uint64_t outstanding;
    bool is_json, is_over;
} kafka_state;

typedef struct kafka_slot {
    export_request *r;
    uint64_t outstanding;
    rd_kafka_resp_err_t failed; /* the first that did, NO_ERROR: none */
    bool is_sending;            /* more messages are to come */
} kafka_slot;

static kafka_state *state_of(span_exporter *e)
{
    return e->state;
}

/* --- How a request ends. */

static export_kind kind_of(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return EXPORT_DONE;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return EXPORT_TOO_LARGE;
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE:
        return EXPORT_REFUSED;
    default:
        return EXPORT_AGAIN;
    }
}

static void end_if_told(kafka_slot *s)
{
    const kafka_state *k = state_of(s->r->e);
    if (s->is_sending || s->outstanding)
        return;
    export_over(s->r, &(export_end){.kind = kind_of(s->failed),
                                    .why = sx_str_z(k->lib->rd_kafka_err2str(s->failed))});
}

/* Within rd_kafka_poll, so on the loop's thread. */
static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *m, void *opaque)
{
    kafka_state *k = opaque;
    kafka_slot *s = m->_private;
    (void)client;
    if (k->is_over)
        return; /* the slots are gone */
    k->outstanding--;
    s->outstanding--;
    if (m->err && !s->failed)
        s->failed = m->err;
    end_if_told(s);
}

static void on_poll(sx_timer *timer, void *arg)
{
    span_exporter *e = arg;
    kafka_state *k = state_of(e);
    k->lib->rd_kafka_poll(k->client, 0);
    if (k->outstanding)
        sx_timer_start(sx_loop_timers(e->loop), timer, POLL_MS);
}

/* --- Messages. */

static bool put_message(kafka_slot *s, const span_batch *b, sx_str key)
{
    kafka_state *k = state_of(s->r->e);
    sx_buf body;
    sx_buf_init(&body, 0);
    if (k->is_json)
        span_write_otlp_json(b, &body);
    else
        export_batch_otlp(b, &body);
    bool ok = !body.failed &&
              k->lib->rd_kafka_produce(k->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                                       body.data, body.len, key.data, key.len, s) == 0;
    if (ok) {
        s->outstanding++;
        k->outstanding++;
    } else if (!s->failed) {
        s->failed = body.failed ? RD_KAFKA_RESP_ERR__QUEUE_FULL : k->lib->rd_kafka_last_error();
    }
    sx_buf_done(&body);
    return ok;
}

static int by_trace(const void *a, const void *b)
{
    const span *x = *(const span *const *)a, *y = *(const span *const *)b;
    int order = memcmp(x->trace_id, y->trace_id, sizeof(x->trace_id));
    /* Spans of one resource and scope stay together within a trace. */
    if (!order && x->resource != y->resource)
        order = x->resource < y->resource ? -1 : 1;
    if (!order && x->scope != y->scope)
        order = x->scope < y->scope ? -1 : 1;
    return order;
}

/* A message for each trace; all of them share the batch's spans. */
static bool put_traces(kafka_slot *s, const span_batch *b)
{
    const span **sorted = sx_alloc(b->count * sizeof(const span *));
    char key[33];
    bool ok = sorted != NULL;
    if (!ok) {
        s->failed = RD_KAFKA_RESP_ERR__QUEUE_FULL; /* memory: it is tried again */
        return false;
    }
    memcpy(sorted, b->spans, b->count * sizeof(const span *));
    qsort(sorted, b->count, sizeof(const span *), by_trace);
    for (size_t i = 0, end; i < b->count && ok; i = end) {
        for (end = i + 1; end < b->count; end++)
            if (memcmp(sorted[i]->trace_id, sorted[end]->trace_id, 16))
                break;
        for (unsigned d = 0; d < 16; d++)
            snprintf(key + 2 * (size_t)d, 3, "%02x", sorted[i]->trace_id[d]);
        const span_batch one = {.spans = sorted + i, .count = end - i};
        ok = put_message(s, &one, sx_str_of(key, 32));
    }
    sx_free(sorted);
    return ok;
}

static sx_status send_kafka(export_request *r, sx_error *err)
{
    kafka_state *k = state_of(r->e);
    kafka_slot *s = r->state;
    (void)err;
    *s = (kafka_slot){.r = r, .is_sending = true};
    bool ok = true;
    for (const export_entry *n = r->entries; n && ok; n = n->next)
        ok = r->e->settings.partition_by_trace ? put_traces(s, n->batch)
                                               : put_message(s, n->batch, SX_STR(""));
    s->is_sending = false;
    if (k->outstanding && !sx_timer_running(&k->poll))
        sx_timer_start(sx_loop_timers(r->e->loop), &k->poll, POLL_MS);
    end_if_told(s);
    return SX_OK;
}

static void cancel_kafka(export_request *r)
{
    state_of(r->e)->is_over = true;
}

/* --- Life. */

static sx_status make_client(span_exporter *e, kafka_conf *c)
{
    kafka_state *k = state_of(e);
    const exporter_settings *s = &e->settings;
    char why[200];
    if (c->status != SX_OK)
        return c->status;
    k->client = k->lib->rd_kafka_new(RD_KAFKA_PRODUCER, c->conf, why, sizeof(why));
    if (!k->client)
        return sx_fail(c->err, SX_EINVAL, "%s", why);
    c->conf = NULL; /* the client's now */
    sx_str topic = sx_arena_printf(&e->arena, "%.*s", SX_ARG(s->topic));
    if (topic.data)
        k->topic = k->lib->rd_kafka_topic_new(k->client, topic.data, NULL);
    return k->topic ? SX_OK
                    : sx_fail(c->err, SX_EINVAL, "topic '%.*s' cannot be", SX_ARG(s->topic));
}

static sx_status open_kafka(span_exporter *e, sx_error *err)
{
    kafka_state *k = state_of(e);
    const exporter_settings *s = &e->settings;
    sx_error why;
    k->is_json = sx_str_eq(s->encoding, SX_STR("otlp_json"));
    if (s->encoding.len && !k->is_json && !sx_str_eq(s->encoding, SX_STR("otlp_proto")))
        return export_bad(e, err,
                          "encoding '%.*s' is not written, only otlp_proto and otlp_json are",
                          SX_ARG(s->encoding));
    if (!s->endpoint_count || !s->topic.len)
        return export_bad(e, err, "brokers and topic are needed");
    k->lib = kafka_lib_load(&why);
    if (!k->lib)
        return export_bad(e, err, "%s", why.message);
    kafka_conf c = {.lib = k->lib, .conf = k->lib->rd_kafka_conf_new(), .err = &why};
    k->opaque = (kafka_opaque){k->lib, e->log};
    k->poll = (sx_timer){.fn = on_poll, .arg = e};
    kafka_set_log(&c, &k->opaque);
    k->lib->rd_kafka_conf_set_dr_msg_cb(c.conf, on_delivery);
    kafka_set_brokers(&c, s->endpoints, s->endpoint_count);
    kafka_set(&c, "client.id", s->client_id);
    kafka_set(&c, "acks", s->required_acks);
    kafka_set(&c, "compression.type", s->compression);
    kafka_set_number(&c, "queue.buffering.max.kbytes", QUEUE_KBYTES);
    kafka_set_number(&c, "message.max.bytes", MESSAGE_BYTES_MAX);
    kafka_set_number(&c, "message.timeout.ms",
                     s->timeout_ms > 0 ? s->timeout_ms : MESSAGE_MS_DEFAULT);
    kafka_set_security(&c, s->tls_set ? &s->tls : NULL, SX_STR(""), SX_STR(""), SX_STR(""));
    sx_status status = make_client(e, &c);
    if (c.conf)
        k->lib->rd_kafka_conf_destroy(c.conf);
    return status == SX_OK ? SX_OK : export_bad(e, err, "%s", why.message);
}

static void done_kafka(span_exporter *e)
{
    kafka_state *k = state_of(e);
    k->is_over = true;
    sx_timer_stop(sx_loop_timers(e->loop), &k->poll);
    if (k->client)
        k->lib->rd_kafka_purge(k->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    if (k->topic)
        k->lib->rd_kafka_topic_destroy(k->topic);
    if (k->client)
        k->lib->rd_kafka_destroy(k->client);
}

const export_driver export_kafka_driver = {.name = "kafka",
                                           .slot_bytes = sizeof(kafka_slot),
                                           .state_bytes = sizeof(kafka_state),
                                           .open = open_kafka,
                                           .send = send_kafka,
                                           .cancel = cancel_kafka,
                                           .done = done_kafka};
