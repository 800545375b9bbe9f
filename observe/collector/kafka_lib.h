/* kafka_lib.h - librdkafka, loaded when a configuration first names Kafka.
 *
 * It brings Cyrus SASL and a thread a broker along; a server without Kafka needs neither it nor them.
 * One table of functions, filled once. Internal to observe/collector. */
#ifndef OBSERVE_COLLECTOR_KAFKA_LIB_H
#define OBSERVE_COLLECTOR_KAFKA_LIB_H

/* rdkafka.h reads <sys/socket.h>, whose function bind() would take the name of the type that all of
 * the configuration's tables use (observe/config/bind.h). Nobody here calls it. */
#define bind socket_bind
#include <librdkafka/rdkafka.h>
#undef bind

#include <sextant/arena.h>
#include <sextant/error.h>
#include <sextant/log.h>

#include "observe/collector/settings.h"

#define KAFKA_FUNCTIONS(X)                                                                         \
    X(rd_kafka_conf_new)                                                                           \
    X(rd_kafka_conf_destroy)                                                                       \
    X(rd_kafka_conf_set)                                                                           \
    X(rd_kafka_conf_set_opaque)                                                                    \
    X(rd_kafka_conf_set_log_cb)                                                                    \
    X(rd_kafka_conf_set_dr_msg_cb)                                                                 \
    X(rd_kafka_new)                                                                                \
    X(rd_kafka_opaque)                                                                             \
    X(rd_kafka_destroy)                                                                            \
    X(rd_kafka_poll)                                                                               \
    X(rd_kafka_purge)                                                                              \
    X(rd_kafka_last_error)                                                                         \
    X(rd_kafka_err2str)                                                                            \
    X(rd_kafka_topic_new)                                                                          \
    X(rd_kafka_topic_destroy)                                                                      \
    X(rd_kafka_produce)                                                                            \
    X(rd_kafka_poll_set_consumer)                                                                  \
    X(rd_kafka_topic_partition_list_new)                                                           \
    X(rd_kafka_topic_partition_list_add)                                                           \
    X(rd_kafka_topic_partition_list_destroy)                                                       \
    X(rd_kafka_subscribe)                                                                          \
    X(rd_kafka_consumer_poll)                                                                      \
    X(rd_kafka_consumer_close)                                                                     \
    X(rd_kafka_message_destroy)                                                                    \
    X(rd_kafka_offset_store)

typedef struct kafka_lib {
#define X(name) __typeof__(&name) name;
    KAFKA_FUNCTIONS(X)
#undef X
} kafka_lib;

/* The table, or NULL with SX_EUNSUPPORTED: no librdkafka.so.1, or too old a one. Any thread. */
const kafka_lib *kafka_lib_load(sx_error *err);

/* Settings under way: the first fault sticks. */
typedef struct kafka_conf {
    const kafka_lib *lib;
    rd_kafka_conf_t *conf; /* NULL once given away */
    sx_status status;
    sx_error *err;
} kafka_conf;

/* One setting by librdkafka's name; an empty value leaves its default. */
void kafka_set(kafka_conf *c, const char *name, sx_str value);
void kafka_set_number(kafka_conf *c, const char *name, int64_t value);

/* Brokers, TLS (NULL, or `insecure`: none) and SASL (mechanism empty: none). */
void kafka_set_brokers(kafka_conf *c, const sx_str *brokers, size_t count);
void kafka_set_security(kafka_conf *c, const tls_settings *tls, sx_str mechanism, sx_str user,
                        sx_str password);

/* What librdkafka has to say goes to our log; the client's opaque begins with this. */
typedef struct kafka_opaque {
    const kafka_lib *lib;
    sx_logger *log; /* NULL: nowhere */
} kafka_opaque;
void kafka_set_log(kafka_conf *c, kafka_opaque *opaque);

#endif
