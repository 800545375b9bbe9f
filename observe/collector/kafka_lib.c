/* kafka_lib.c - see kafka_lib.h. Names of settings: librdkafka, CONFIGURATION.md. */
#include "observe/collector/kafka_lib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <sextant/buf.h>

enum { SYSLOG_ERROR = 3, SYSLOG_WARNING = 4 };

/* Filled once, by whoever comes first, and never unloaded: read-only from then on. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static kafka_lib table;
static bool is_loaded;
static char reason[200];

static void load(void)
{
    static const char *const NAMES[] = {
#define X(name) #name,
        KAFKA_FUNCTIONS(X)
#undef X
    };
    void *handle = dlopen("librdkafka.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(reason, sizeof(reason), "%s", dlerror());
        return;
    }
    for (size_t i = 0; i < SX_COUNT_OF(NAMES); i++) {
        void *found = dlsym(handle, NAMES[i]);
        if (!found) {
            snprintf(reason, sizeof(reason), "it has no %s: it is too old", NAMES[i]);
            return;
        }
        /* POSIX has it that a function's address is held by a void pointer; C alone does not. */
        memcpy((char *)&table + i * sizeof(found), &found, sizeof(found));
    }
    is_loaded = true;
}

const kafka_lib *kafka_lib_load(sx_error *err)
{
    pthread_once(&once, load);
    if (is_loaded)
        return &table;
    sx_fail(err, SX_EUNSUPPORTED,
            "Kafka's client library cannot be loaded (install librdkafka1): %s", reason);
    return NULL;
}

void kafka_set(kafka_conf *c, const char *name, sx_str value)
{
    char why[200];
    sx_buf text;
    if (c->status != SX_OK || !value.len)
        return;
    sx_buf_init(&text, 0);
    sx_buf_str(&text, value);
    sx_buf_byte(&text, '\0');
    c->status = sx_buf_status(&text, "a setting of Kafka", c->err);
    if (c->status == SX_OK &&
        c->lib->rd_kafka_conf_set(c->conf, name, text.data, why, sizeof(why)) != RD_KAFKA_CONF_OK)
        c->status = sx_fail(c->err, SX_EINVAL, "Kafka's %s: %s", name, why);
    sx_buf_done(&text);
}

void kafka_set_number(kafka_conf *c, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    kafka_set(c, name, sx_str_z(text));
}

void kafka_set_brokers(kafka_conf *c, const sx_str *brokers, size_t count)
{
    sx_buf list;
    sx_buf_init(&list, 0);
    for (size_t i = 0; i < count; i++) {
        if (i)
            sx_buf_byte(&list, ',');
        sx_buf_str(&list, brokers[i]);
    }
    if (c->status == SX_OK)
        c->status = sx_buf_status(&list, "Kafka's brokers", c->err);
    kafka_set(c, "bootstrap.servers", sx_buf_view(&list));
    sx_buf_done(&list);
}

void kafka_set_security(kafka_conf *c, const tls_settings *tls, sx_str mechanism, sx_str user,
                        sx_str password)
{
    static const tls_settings NONE = {0};
    bool is_tls = tls && !tls->insecure;
    tls = tls ? tls : &NONE;
    if (is_tls || mechanism.len)
        kafka_set(c, "security.protocol",
                  mechanism.len ? is_tls ? SX_STR("sasl_ssl") : SX_STR("sasl_plaintext")
                                : SX_STR("ssl"));
    kafka_set(c, "ssl.ca.location", tls->ca_file);
    kafka_set(c, "ssl.certificate.location", tls->cert_file);
    kafka_set(c, "ssl.key.location", tls->key_file);
    if (tls->insecure_skip_verify)
        kafka_set(c, "enable.ssl.certificate.verification", SX_STR("false"));
    kafka_set(c, "sasl.mechanism", mechanism);
    kafka_set(c, "sasl.username", user);
    kafka_set(c, "sasl.password", password);
}

static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    const kafka_opaque *o = table.rd_kafka_opaque(client);
    if (!o || !o->log)
        return;
    SX_LOG(o->log,
           level <= SYSLOG_ERROR     ? SX_LEVEL_ERROR
           : level == SYSLOG_WARNING ? SX_LEVEL_WARN
                                     : SX_LEVEL_INFO,
           NULL, "kafka", sx_field_z("facility", facility), sx_field_z("text", text));
}

void kafka_set_log(kafka_conf *c, kafka_opaque *opaque)
{
    c->lib->rd_kafka_conf_set_opaque(c->conf, opaque);
    c->lib->rd_kafka_conf_set_log_cb(c->conf, on_log);
}
