/* exporter_elastic.c - spans into Elasticsearch or OpenSearch, as Jaeger keeps them there.
 *
 * A slot's request is one bulk request; its items are known one by one, so that only those which the
 * server put off are sent again. Before its first documents a server is asked for the index templates,
 * and given those that it lacks:
 *
 *     GET /  ->  GET template of spans -> PUT  ->  GET template of services -> PUT  ->  POST /_bulk
 *
 * A server that refuses templates (no right to them, or they are managed elsewhere) gets the documents
 * all the same. Several endpoints take turns; one that fails is left for the next. */
#include <stdio.h>
#include <string.h>

#include <sextant/compress.h>
#include <sextant/mem.h>

#include "codec/base64.h"
#include "observe/collector/exporter_elastic.h"

enum {
    FLUSH_BYTES = 5000000,
    FLUSH_MS = 10000,
    DOCUMENT_TO_OTLP = 3, /* about: a span's document against its OTLP */
    URL_BYTES = 2300
};

typedef struct elastic_state {
    sx_http_client *client;
    elastic_options options;
    elastic_services written, seen;
    sx_codec codec;
    sx_str authorization;
    size_t turn; /* the endpoint that is used */
    bool has_templates, is_legacy;
    char service_index[ELASTIC_INDEX_BYTES_MAX];
} elastic_state;

typedef enum elastic_step {
    STEP_VERSION,
    STEP_ASK_SPANS,
    STEP_PUT_SPANS,
    STEP_ASK_SERVICES,
    STEP_PUT_SERVICES,
    STEP_BULK
} elastic_step;

typedef struct elastic_slot {
    export_call call;
    elastic_step step;
    sx_buf lines; /* of the items */
    elastic_items items;
    /* While an answer is read: those to be sent again are moved to the front. */
    size_t told, left;
    uint64_t arrived, refused;
    char why[EXPORT_WHY_BYTES];  /* the first refusal */
    char wait[EXPORT_WHY_BYTES]; /* the first item put off */
} elastic_slot;

/* --- The settings. */

static sx_status check_endpoints(span_exporter *e, bool *is_tls, sx_error *err)
{
    exporter_settings *s = &e->settings;
    *is_tls = false;
    if (!s->endpoint_count && s->endpoint.len) {
        s->endpoints = &s->endpoint;
        s->endpoint_count = 1;
    }
    if (!s->endpoint_count)
        return export_bad(e, err, "endpoints: at least one URL is needed");
    for (size_t i = 0; i < s->endpoint_count; i++) {
        sx_url parts;
        sx_error why;
        sx_str url = s->endpoints[i];
        bool https = sx_str_starts(url, SX_STR("https://"));
        *is_tls = *is_tls || https;
        if (!https && !sx_str_starts(url, SX_STR("http://")))
            return export_bad(e, err, "endpoints: '%.*s' does not begin with http:// or https://",
                              SX_ARG(url));
        if (url.len > URL_BYTES - ELASTIC_INDEX_BYTES_MAX - 40)
            return export_bad(e, err, "endpoints: a URL of %zu bytes is too long", url.len);
        if (sx_url_parse(url, &parts, &why) != SX_OK)
            return export_bad(e, err, "endpoints: '%.*s': %s", SX_ARG(url), why.message);
    }
    return SX_OK;
}

/* Source: Elasticsearch, "Index API": names are lower-case and lack these characters. */
static sx_status check_index(span_exporter *e, sx_error *err)
{
    elastic_state *s = e->state;
    sx_str index = e->settings.index.len ? e->settings.index : SX_STR("jaeger-span");
    static const char NOT_IN[] = "\\/*?\"<>| ,#:%";
    for (size_t i = 0; i < index.len; i++)
        if ((index.data[i] >= 'A' && index.data[i] <= 'Z') || (uint8_t)index.data[i] < 0x20 ||
            strchr(NOT_IN, index.data[i]))
            return export_bad(e, err, "index '%.*s': names are lower-case and without %s",
                              SX_ARG(index), NOT_IN);
    s->options.span_index = index;
    s->options.service_index = elastic_service_index(index, s->service_index);
    if (index.len + 32 > ELASTIC_INDEX_BYTES_MAX || !s->options.service_index.len)
        return export_bad(e, err, "index: a name of %zu bytes is too long", index.len);
    return SX_OK;
}

static sx_status make_authorization(span_exporter *e, sx_error *err)
{
    elastic_state *s = e->state;
    const exporter_settings *set = &e->settings;
    sx_buf pair, text;
    if (!set->user.len && !set->api_key.len)
        return SX_OK;
    if (set->user.len && set->api_key.len)
        return export_bad(e, err, "user and api_key exclude each other");
    sx_buf_init(&pair, 0);
    sx_buf_init(&text, 0);
    sx_buf_str(&text, set->api_key.len ? SX_STR("ApiKey ") : SX_STR("Basic "));
    if (set->api_key.len) {
        sx_buf_str(&text, set->api_key);
    } else {
        sx_buf_str(&pair, set->user);
        sx_buf_byte(&pair, ':');
        sx_buf_str(&pair, set->password);
        sx_base64_encode(sx_buf_view(&pair), &text);
    }
    sx_status status = sx_buf_status(&pair, "credentials", err);
    if (status == SX_OK)
        status = sx_buf_status(&text, "credentials", err);
    if (status == SX_OK) {
        s->authorization = sx_arena_copy(&e->arena, sx_buf_view(&text));
        if (!s->authorization.data)
            status = sx_fail_memory(err, "credentials");
    }
    sx_buf_done(&pair);
    sx_buf_done(&text);
    return status;
}

static sx_status open_elastic(span_exporter *e, sx_error *err)
{
    elastic_state *s = e->state;
    bool is_tls;
    sx_status status = check_endpoints(e, &is_tls, err);
    if (status == SX_OK)
        status = check_index(e, err);
    if (status == SX_OK)
        status = make_authorization(e, err);
    if (status == SX_OK)
        status = export_codec(e, SX_STR("gzip"), &s->codec, err);
    if (status != SX_OK)
        return status;
    if (s->codec != SX_CODEC_GZIP && s->codec != SX_CODEC_IDENTITY)
        return export_bad(e, err, "Elasticsearch takes compression gzip or none, not '%.*s'",
                          SX_ARG(e->settings.compression));
    e->join_bytes = (size_t)(e->settings.flush_bytes > 0 ? e->settings.flush_bytes : FLUSH_BYTES) /
                    DOCUMENT_TO_OTLP;
    e->linger_ms = e->settings.flush_ms > 0 ? e->settings.flush_ms : FLUSH_MS;
    return export_http_open(e, false, is_tls, &s->client, err);
}

static void done_elastic(span_exporter *e)
{
    elastic_state *s = e->state;
    if (s->client)
        sx_http_client_free(s->client);
}

/* --- A request's steps. */

static sx_status step(export_request *r, sx_error *err);

static void go_on(export_request *r, elastic_step next)
{
    elastic_slot *s = r->state;
    sx_error err;
    s->step = next;
    if (step(r, &err) != SX_OK)
        export_over(r, &(export_end){EXPORT_AGAIN, 0, sx_str_z(err.message)});
}

static void tell_template(export_request *r, const char *why)
{
    if (r->e->log)
        SX_LOG_WARN(r->e->log, NULL, "an index template was not created, documents go on",
                    sx_field_str("exporter", r->e->settings.id.name), sx_field_z("why", why));
}

/* An answer to one of the steps before the documents. */
static void on_template(export_request *r, const export_end *end)
{
    elastic_state *e = r->e->state;
    elastic_slot *s = r->state;
    elastic_step next = STEP_BULK;
    bool ok = end->kind == EXPORT_DONE, missing = s->call.status == 404;
    switch (s->step) {
    case STEP_VERSION:
        e->is_legacy = !ok || elastic_is_legacy(sx_buf_view(&s->call.body));
        next = ok ? STEP_ASK_SPANS : STEP_BULK;
        break;
    case STEP_ASK_SPANS:
        next = missing ? STEP_PUT_SPANS : STEP_ASK_SERVICES;
        ok = ok || missing;
        break;
    case STEP_PUT_SPANS:
        next = STEP_ASK_SERVICES;
        break;
    case STEP_ASK_SERVICES:
        next = missing ? STEP_PUT_SERVICES : STEP_BULK;
        ok = ok || missing;
        break;
    default:
        break;
    }
    if (!ok)
        tell_template(r, end->why.data);
    e->has_templates = e->has_templates || next == STEP_BULK;
    go_on(r, next);
}

static bool is_put_off(int status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

/* One item of the answer, in the order of the request's. */
static void on_item(void *ctx, size_t number, int status, sx_str type, sx_str reason)
{
    export_request *r = ctx;
    elastic_slot *s = r->state;
    elastic_state *e = r->e->state;
    if (number >= s->items.count)
        return; /* more items than were sent: the count tells */
    const elastic_item item = s->items.items[number];
    bool arrived = status / 100 == 2 || status == 409; /* 409: a "create" that was there before */
    char *words = arrived ? NULL : is_put_off(status) ? s->wait : s->why;
    s->told = number + 1;
    if (words && !words[0])
        snprintf(words, EXPORT_WHY_BYTES, "item status %d: %.*s: %.*s", status,
                 (int)(type.len < 60 ? type.len : 60), type.data ? type.data : "",
                 (int)(reason.len < 120 ? reason.len : 120), reason.data ? reason.data : "");
    if (arrived && item.service_key)
        elastic_services_put(&e->written, item.service_key);
    else if (arrived)
        s->arrived++;
    else if (is_put_off(status))
        s->items.items[s->left++] = item;
    else if (!item.service_key)
        s->refused++;
}

static void all_arrived(export_request *r)
{
    elastic_slot *s = r->state;
    elastic_state *e = r->e->state;
    for (size_t i = 0; i < s->items.count; i++)
        if (s->items.items[i].service_key)
            elastic_services_put(&e->written, s->items.items[i].service_key);
}

/* Moves the lines of the items that are left to the front. */
static void keep_left(elastic_slot *s)
{
    size_t at = 0;
    for (size_t i = 0; i < s->left; i++) {
        elastic_item *item = &s->items.items[i];
        memmove(s->lines.data + at, s->lines.data + item->at, item->len);
        item->at = at;
        at += item->len;
    }
    s->lines.len = at;
    s->items.count = s->left;
}

static void on_bulk(export_request *r)
{
    elastic_slot *s = r->state;
    sx_error err;
    bool errors;
    size_t count;
    s->told = s->left = 0;
    s->arrived = s->refused = 0;
    s->why[0] = s->wait[0] = '\0';
    sx_status status =
        elastic_read_bulk(sx_buf_view(&s->call.body), &errors, &count, on_item, r, &err);
    if (status == SX_OK && !errors) {
        all_arrived(r);
        export_over(r, &(export_end){.kind = EXPORT_DONE});
        return;
    }
    /* What the answer does not tell of is sent again: an id that is there is merely written over. */
    for (size_t i = s->told; i < s->items.count; i++)
        s->items.items[s->left++] = s->items.items[i];
    if (!s->wait[0])
        snprintf(s->wait, sizeof(s->wait), "%.200s",
                 status == SX_OK ? "the answer does not tell of all items" : err.message);
    export_sent(r, s->arrived);
    export_dropped(r, s->refused, EXPORT_PERMANENT, sx_str_z(s->why));
    keep_left(s);
    export_over(r, s->left ? &(export_end){EXPORT_AGAIN, 0, sx_str_z(s->wait)}
                           : &(export_end){.kind = EXPORT_DONE});
}

static void over(export_call *c, sx_status status, const sx_error *err)
{
    char text[EXPORT_WHY_BYTES];
    export_request *r = c->r;
    elastic_slot *s = r->state;
    elastic_state *e = r->e->state;
    export_end end = export_http_end(c, status, err, text);
    if (end.kind == EXPORT_AGAIN && (status != SX_OK || c->status != 429))
        e->turn++; /* the next endpoint, if there is one */
    if (s->step != STEP_BULK && end.kind != EXPORT_AGAIN) {
        on_template(r, &end);
        return;
    }
    if (end.kind == EXPORT_DONE)
        on_bulk(r);
    else
        export_over(r, &end);
}

static sx_status make_lines(export_request *r, sx_error *err)
{
    elastic_state *e = r->e->state;
    elastic_slot *s = r->state;
    memset(&e->seen, 0, sizeof(e->seen));
    s->items.count = 0;
    sx_buf_clear(&s->lines);
    bool ok = true;
    for (const export_entry *n = r->entries; n && ok; n = n->next)
        ok = elastic_write(&e->options, n->batch, &e->written, &e->seen, &s->items, &s->lines);
    if (!ok)
        return sx_fail_memory(err, "documents for Elasticsearch");
    r->is_made = sx_buf_status(&s->lines, "documents for Elasticsearch", err) == SX_OK;
    return r->is_made ? SX_OK : SX_ENOMEM;
}

/* METHOD PATH of the present endpoint, with a body of that type. */
static sx_status call(export_request *r, const char *method, const char *path, const char *type,
                      sx_codec codec, sx_str body, sx_error *err)
{
    elastic_state *e = r->e->state;
    elastic_slot *s = r->state;
    const exporter_settings *set = &r->e->settings;
    sx_str base = set->endpoints[e->turn % set->endpoint_count];
    char url[URL_BYTES];
    sx_header headers[4];
    size_t n = 0;
    while (base.len && base.data[base.len - 1] == '/')
        base.len--;
    int len = snprintf(url, sizeof(url), "%.*s%s", SX_ARG(base), path);
    if (type)
        headers[n++] = (sx_header){.name = SX_STR("Content-Type"), .value = sx_str_z(type)};
    if (codec == SX_CODEC_GZIP)
        headers[n++] = (sx_header){.name = SX_STR("Content-Encoding"), .value = SX_STR("gzip")};
    if (e->authorization.len)
        headers[n++] = (sx_header){.name = SX_STR("Authorization"), .value = e->authorization};
    s->call.r = r;
    s->call.over = over;
    return export_call_start(&s->call, e->client, sx_str_z(method), sx_str_of(url, (size_t)len),
                             headers, n, body, err);
}

static sx_status call_template(export_request *r, bool put, bool of_spans, sx_error *err)
{
    elastic_state *e = r->e->state;
    char path[ELASTIC_INDEX_BYTES_MAX + 40];
    sx_buf body;
    bool legacy = e->is_legacy && !e->options.data_stream;
    sx_str index = of_spans ? e->options.span_index : e->options.service_index;
    snprintf(path, sizeof(path), "/%s/%.*s", legacy ? "_template" : "_index_template",
             SX_ARG(index));
    if (!put)
        return call(r, "GET", path, NULL, SX_CODEC_IDENTITY, SX_STR(""), err);
    sx_buf_init(&body, 0);
    elastic_template(&e->options, of_spans, legacy, &body);
    sx_status status = sx_buf_status(&body, "an index template", err);
    if (status == SX_OK)
        status =
            call(r, "PUT", path, "application/json", SX_CODEC_IDENTITY, sx_buf_view(&body), err);
    sx_buf_done(&body);
    return status;
}

static sx_status call_bulk(export_request *r, sx_error *err)
{
    elastic_state *e = r->e->state;
    elastic_slot *s = r->state;
    sx_buf packed;
    sx_status status = r->is_made ? SX_OK : make_lines(r, err);
    sx_str body = sx_buf_view(&s->lines);
    sx_buf_init(&packed, 0);
    if (status == SX_OK && e->codec == SX_CODEC_GZIP) {
        status = sx_compress(SX_CODEC_GZIP, body, 1, &packed, err);
        body = sx_buf_view(&packed);
    }
    if (status == SX_OK)
        status = call(r, "POST", "/_bulk", "application/x-ndjson", e->codec, body, err);
    sx_buf_done(&packed);
    return status;
}

static sx_status step(export_request *r, sx_error *err)
{
    elastic_slot *s = r->state;
    switch (s->step) {
    case STEP_VERSION:
        return call(r, "GET", "/", NULL, SX_CODEC_IDENTITY, SX_STR(""), err);
    case STEP_ASK_SPANS:
    case STEP_PUT_SPANS:
        return call_template(r, s->step == STEP_PUT_SPANS, true, err);
    case STEP_ASK_SERVICES:
    case STEP_PUT_SERVICES:
        return call_template(r, s->step == STEP_PUT_SERVICES, false, err);
    default:
        return call_bulk(r, err);
    }
}

static sx_status send_elastic(export_request *r, sx_error *err)
{
    elastic_state *e = r->e->state;
    elastic_slot *s = r->state;
    s->step = e->has_templates ? STEP_BULK : STEP_VERSION;
    return step(r, err);
}

static void cancel_elastic(export_request *r)
{
    elastic_slot *s = r->state;
    export_call_cancel(&s->call);
}

static void forget_elastic(export_request *r)
{
    elastic_slot *s = r->state;
    sx_buf_done(&s->lines);
    s->items.count = 0;
}

static void slot_done_elastic(export_request *r)
{
    elastic_slot *s = r->state;
    export_call_cancel(&s->call);
    export_call_done(&s->call);
    sx_buf_done(&s->lines);
    sx_free(s->items.items);
}

const export_driver export_elastic_driver = {.name = "elasticsearch",
                                             .slot_bytes = sizeof(elastic_slot),
                                             .state_bytes = sizeof(elastic_state),
                                             .open = open_elastic,
                                             .send = send_elastic,
                                             .cancel = cancel_elastic,
                                             .forget = forget_elastic,
                                             .slot_done = slot_done_elastic,
                                             .done = done_elastic};
