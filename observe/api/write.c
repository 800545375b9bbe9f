/* write.c - samples that come in by HTTP: remote write 1.0 and 2.0, OTLP; and remote read.
 *
 * Bodies are decoded by threads of a pool of their own, each with a writer (its series cache and
 * buffers) taken from a list and given back. Sources: Prometheus, "Remote-Write 1.0" and "2.0". */
#include <stdio.h>

#include <sextant/mem.h>

#include <sextant/compress.h>
#include <sextant/json.h>
#include <sextant/protobuf.h>

#include "observe/api/api.h"
#include "observe/api/receive.h"
#include "observe/remote/remote.h"

enum { WRITERS_MAX = 64, MESSAGES_BYTES = 64 << 10, DISK_RETRY_SECONDS = 5 };

struct api_writers {
    pthread_mutex_t lock; /* below */
    remote_writer *idle[WRITERS_MAX];
    size_t count;
    tsdb_appendable *store;
    remote_limits limits;
};

sx_status api_writers_new(tsdb_appendable *store, const observe_flags *flags,
                          struct api_writers **out, sx_error *err)
{
    *out = sx_calloc(1, sizeof **out);
    if (!*out)
        return sx_fail_memory(err, "writers");
    pthread_mutex_init(&(*out)->lock, NULL);
    (*out)->store = store;
    (*out)->limits.lookback_ms = flags->lookback_ms;
    (*out)->limits.otlp_native_delta = flags->feature_bits & OBSERVE_FEATURE_OTLP_DELTA;
    (*out)->limits.otlp_type_unit_labels = flags->feature_bits & OBSERVE_FEATURE_TYPE_UNIT_LABELS;
    if (flags->feature_bits & OBSERVE_FEATURE_OTLP_ADD_UP)
        return remote_deltas_new(NULL, &(*out)->limits.deltas, err);
    return SX_OK;
}

void api_writers_free(struct api_writers *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->count; i++)
        remote_writer_free(w->idle[i]);
    remote_deltas_free(w->limits.deltas);
    pthread_mutex_destroy(&w->lock);
    sx_free(w);
}

/* The one given back last has the warmest cache. */
static sx_status take(struct api_writers *w, remote_writer **out, sx_error *err)
{
    *out = NULL;
    pthread_mutex_lock(&w->lock);
    if (w->count)
        *out = w->idle[--w->count];
    pthread_mutex_unlock(&w->lock);
    return *out ? SX_OK : remote_writer_new(w->store, &w->limits, out, err);
}

static void give(struct api_writers *w, remote_writer *writer)
{
    pthread_mutex_lock(&w->lock);
    bool room = w->count < WRITERS_MAX;
    if (room)
        w->idle[w->count++] = writer;
    pthread_mutex_unlock(&w->lock);
    if (!room)
        remote_writer_free(writer);
}

static void refuse(api_call *c, int status, sx_str words)
{
    api_text(c, status, words);
    sx_buf_byte(&c->out, '\n');
}

/* By number of the protocol's version. */
static const sx_str MESSAGES[] = {[1] = SX_STR_INIT("prometheus.WriteRequest"),
                                  [2] = SX_STR_INIT("io.prometheus.write.v2.Request")};

/* Which message the Content-Type names: 1, 2, or 0 for none of ours. */
static int message_of(sx_str type)
{
    sx_str rest, one, name, value;
    sx_str_cut(type, ';', &one, &rest);
    if (!sx_str_ieq(sx_str_trim(one), SX_STR("application/x-protobuf")))
        return 0;
    while (rest.len) {
        sx_str_cut(rest, ';', &one, &rest);
        if (!sx_str_cut(one, '=', &name, &value) || !sx_str_ieq(sx_str_trim(name), SX_STR("proto")))
            continue;
        value = sx_str_trim(value);
        return sx_str_eq(value, MESSAGES[2]) ? 2 : sx_str_eq(value, MESSAGES[1]) ? 1 : 0;
    }
    return 1;
}

/* Whether --web.remote-write-receiver.accepted-protobuf-messages has it. */
static bool is_taken(const observe_flags *f, int message)
{
    sx_str rest = f->write_messages, one;
    while (rest.len) {
        sx_str_cut(rest, ',', &one, &rest);
        if (sx_str_eq(one, MESSAGES[message]))
            return true;
    }
    return false;
}

static int status_of(const sx_error *err)
{
    switch (err->status) {
    case SX_EFORMAT:
    case SX_EINVAL:
        return 400;
    case SX_ELIMIT:
        return 413;
    case SX_REFUSED:
        return 503;
    default:
        return 500;
    }
}

/* What a sender of 2.0 checks what it sent against. */
static void tell_written(api_call *c, const remote_written *w)
{
    const struct {
        const char *name;
        uint64_t count;
    } FIELDS[] = {{"X-Prometheus-Remote-Write-Samples-Written", w->samples},
                  {"X-Prometheus-Remote-Write-Histograms-Written", w->histograms},
                  {"X-Prometheus-Remote-Write-Exemplars-Written", w->exemplars}};
    for (size_t i = 0; i < SX_COUNT_OF(FIELDS); i++) {
        sx_str value = sx_arena_printf(&c->arena, "%llu", (unsigned long long)FIELDS[i].count);
        if (value.data)
            c->headers[c->header_count++] = (sx_header){sx_str_z(FIELDS[i].name), value};
    }
}

static void write_body(api_call *c, remote_writer *writer, int message)
{
    sx_error err = {0};
    sx_buf messages;
    sx_buf_init(&messages, MESSAGES_BYTES);
    remote_written written = {.messages = &messages};
    sx_status status = message == 2 ? remote_write_v2(writer, c->r->body, &written, &err)
                                    : remote_write_v1(writer, c->r->body, &written, &err);
    if (status != SX_OK) {
        refuse(c, status_of(&err), sx_str_z(err.message));
        if (c->status == 503)
            c->headers[c->header_count++] = (sx_header){SX_STR("Retry-After"), SX_STR("5")};
    } else if (written.bad) {
        api_text(c, 400, sx_buf_view(&messages));
    } else {
        api_no_content(c);
    }
    if (message == 2)
        tell_written(c, &written);
    sx_buf_done(&messages);
}

void api_write(api_call *c)
{
    sx_error err = {0};
    remote_writer *writer;
    sx_str coding = sx_request_header(c->r, SX_STR("content-encoding"));
    sx_str type = sx_request_header(c->r, SX_STR("content-type"));
    int message = type.len ? message_of(type) : 1;
    if (!c->api->flags->write_receiver)
        refuse(c, 404,
               SX_STR("remote write receiver needs to be enabled with "
                      "--web.enable-remote-write-receiver"));
    else if (message == 0 || !is_taken(c->api->flags, message))
        refuse(
            c, 415,
            message == 2 ? SX_STR("io.prometheus.write.v2.Request is not accepted here")
            : message == 1
                ? SX_STR("prometheus.WriteRequest is not accepted here")
                : SX_STR("Content-Type is not application/x-protobuf of prometheus.WriteRequest or "
                         "io.prometheus.write.v2.Request"));
    else if (coding.len && !sx_str_ieq(coding, SX_STR("snappy")))
        refuse(c, 415, SX_STR("Content-Encoding is not snappy"));
    else if (take(c->api->writers, &writer, &err) != SX_OK)
        refuse(c, 500, sx_str_z(err.message));
    else {
        write_body(c, writer, message);
        give(c->api->writers, writer);
    }
}

/* ---- OTLP ---- */

/* ExportMetricsServiceResponse, with its partial_success where points were refused. */
static void put_partial(sx_buf *out, const remote_otlp_result *result)
{
    if (!result->rejected)
        return;
    size_t mark = sx_pb_begin(out, 1);
    sx_pb_put_u64(out, 1, result->rejected);
    sx_pb_put_str(out, 2, sx_buf_view(result->message));
    sx_pb_end(out, mark);
}

static void answer_otlp(api_call *c, bool json, const remote_otlp_result *result)
{
    sx_str message = sx_buf_view(result->message);
    c->content_type = json ? SX_STR("application/json") : SX_STR("application/x-protobuf");
    if (json && !result->rejected) {
        sx_buf_str(&c->out, SX_STR("{}"));
    } else if (json) {
        sx_buf_printf(&c->out,
                      "{\"partialSuccess\":{\"rejectedDataPoints\":\"%llu\",\"errorMessage\":",
                      (unsigned long long)result->rejected);
        sx_json_quote(&c->out, message, SX_JSON_UTF8);
        sx_buf_str(&c->out, SX_STR("}}"));
    } else {
        put_partial(&c->out, result);
    }
}

static void write_otlp(api_call *c, remote_writer *writer, sx_str body, bool json)
{
    sx_error err = {0};
    sx_buf messages;
    sx_buf_init(&messages, MESSAGES_BYTES);
    remote_otlp_result result = {.message = &messages};
    prom_config *config = observe_api_config(c->api);
    sx_status status = remote_otlp_metrics(writer, &config->otlp, body, json, &result, &err);
    prom_config_unref(config);
    if (status != SX_OK)
        refuse(c, status_of(&err), sx_str_z(err.message));
    else
        answer_otlp(c, json, &result);
    sx_buf_done(&messages);
}

sx_status api_plain_body(const api_call *c, sx_buf *space, sx_str *out, sx_error *err)
{
    static const sx_codec CODECS[] = {SX_CODEC_GZIP, SX_CODEC_ZSTD, SX_CODEC_SNAPPY, SX_CODEC_ZLIB};
    sx_str coding = sx_request_header(c->r, SX_STR("content-encoding"));
    *out = c->r->body;
    if (!coding.len || sx_str_ieq(coding, SX_STR("identity")))
        return SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(CODECS); i++) {
        if (!sx_str_ieq(coding, sx_codec_coding(CODECS[i])))
            continue;
        sx_status status = sx_decompress(CODECS[i], c->r->body, API_WRITE_BYTES_MAX, space, err);
        *out = sx_buf_view(space);
        return status;
    }
    return sx_fail(err, SX_EFORMAT,
                   "Content-Encoding '%.*s' is none of gzip, zstd, snappy, deflate",
                   SX_ARG(coding));
}

void api_otlp(api_call *c)
{
    if (!c->api->flags->otlp_receiver)
        refuse(c, 404,
               SX_STR("otlp write receiver needs to be enabled with --web.enable-otlp-receiver"));
    else
        api_otlp_take(c);
}

void api_otlp_take(api_call *c)
{
    sx_error err = {0};
    remote_writer *writer;
    sx_buf space;
    sx_str body, type = sx_request_header(c->r, SX_STR("content-type")), rest;
    sx_str_cut(type, ';', &type, &rest);
    bool json = sx_str_ieq(sx_str_trim(type), SX_STR("application/json"));
    sx_buf_init(&space, 0);
    if (!json && !sx_str_ieq(sx_str_trim(type), SX_STR("application/x-protobuf")))
        refuse(c, 415,
               SX_STR("Content-Type is neither application/x-protobuf nor "
                      "application/json"));
    else if (api_plain_body(c, &space, &body, &err) != SX_OK)
        refuse(c, status_of(&err), sx_str_z(err.message));
    else if (take(c->api->writers, &writer, &err) != SX_OK)
        refuse(c, 500, sx_str_z(err.message));
    else {
        write_otlp(c, writer, body, json);
        give(c->api->writers, writer);
    }
    sx_buf_done(&space);
}

sx_grpc_status api_otlp_metrics_rpc(rpc_call *c, observe_api *a, sx_error *err)
{
    remote_writer *writer;
    sx_buf messages, answer;
    if (take(a->writers, &writer, err) != SX_OK)
        return SX_GRPC_INTERNAL;
    sx_buf_init(&messages, MESSAGES_BYTES);
    sx_buf_init(&answer, 0);
    remote_otlp_result result = {.message = &messages};
    prom_config *config = observe_api_config(a);
    sx_status status = remote_otlp_metrics(writer, &config->otlp, c->request, false, &result, err);
    prom_config_unref(config);
    give(a->writers, writer);
    if (status == SX_OK) {
        put_partial(&answer, &result);
        rpc_send(c, sx_buf_view(&answer));
    } else if (status == SX_REFUSED) {
        rpc_retry_after(c, DISK_RETRY_SECONDS);
    }
    sx_buf_done(&messages);
    sx_buf_done(&answer);
    return status == SX_OK                               ? SX_GRPC_OK
           : status == SX_REFUSED                        ? SX_GRPC_UNAVAILABLE
           : status == SX_ELIMIT                         ? SX_GRPC_RESOURCE_EXHAUSTED
           : status == SX_EFORMAT || status == SX_EINVAL ? SX_GRPC_INVALID_ARGUMENT
                                                         : SX_GRPC_INTERNAL;
}

/* ---- remote read ---- */

typedef struct read_target {
    api_call *c;
    const bool *streamed;
} read_target;

/* What kind of answer it is is known before its first piece. */
static void set_read_type(const read_target *to)
{
    api_call *c = to->c;
    if (*to->streamed || c->header_count)
        return;
    c->content_type = sx_str_z(REMOTE_READ_SAMPLES);
    c->headers[c->header_count++] = (sx_header){SX_STR("Content-Encoding"), SX_STR("snappy")};
}

static bool read_piece(void *ctx, sx_str piece)
{
    read_target *to = ctx;
    set_read_type(to);
    return api_call_push(to->c, piece);
}

void api_read(api_call *c)
{
    sx_error err = {0};
    prom_config *config = observe_api_config(c->api);
    const observe_flags *f = c->api->flags;
    remote_read_options options = {.samples_max = (uint64_t)f->read_samples_max,
                                   .frame_bytes_max = (uint64_t)f->read_frame_bytes,
                                   .external_labels = config->external_labels,
                                   .canceled = &c->canceled};
    c->content_type = sx_str_z(REMOTE_READ_STREAMED);
    bool streamed = false;
    read_target to = {c, &streamed};
    sx_status status =
        remote_read(c->api->store, &options, c->r->body, &streamed, read_piece, &to, &err);
    prom_config_unref(config);
    if (status == SX_OK)
        set_read_type(&to);
    else if (c->pushed)
        c->broken = true;
    else
        refuse(c, status == SX_EFORMAT || status == SX_EINVAL || status == SX_ELIMIT ? 400 : 500,
               sx_str_z(err.message));
}
