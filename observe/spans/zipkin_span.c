/* zipkin_span.c - Zipkin's model as OTLP's: tags that are fields, endpoints, annotations.
 *
 * A tag of the resource's namespaces (host.name, k8s.pod.name ...) describes the resource, as
 * OpenTelemetry's Zipkin exporters wrote it; the rest is the span's. Spans with other such tags get
 * resources of their own. */
#include "observe/spans/zipkin_span.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>

#include <sextant/json.h>

#include "telemetry/trace_hex.h"

void zipkin_intake_init(zipkin_intake *in, const span_limits *limits, span_batch *out,
                        span_refused *refused)
{
    *in = (zipkin_intake){0};
    span_intake_init(&in->k, limits, out, refused);
    in->k.changed = true;
}

sx_status zipkin_status(zipkin_intake *in, sx_status status, const char *what, sx_error *err)
{
    if (in->k.no_memory)
        status = span_intake_status(&in->k, what, err);
    span_intake_done(&in->k);
    in->k.batch->otlp = sx_str_of(NULL, 0);
    return status;
}

void zipkin_begin_span(zipkin_intake *in, zipkin_span *z)
{
    *z = (zipkin_span){.tags = in->k.attrs.count, .annotations = in->k.events.count};
}

bool zipkin_hex_id(sx_str text, uint8_t *id, size_t len)
{
    char padded[32];
    size_t digits = 2 * len;
    if (text.len == 0 || text.len > digits)
        return false;
    memset(padded, '0', sizeof(padded));
    memcpy(padded + digits - text.len, text.data, text.len);
    return sx_hex_read(sx_hex_any, padded, id, len);
}

sx_str zipkin_address(zipkin_intake *in, const void *bytes, size_t len)
{
    char text[INET6_ADDRSTRLEN];
    if ((len != 4 && len != 16) ||
        !inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text)))
        return sx_str_of(NULL, 0);
    sx_str copy = sx_arena_copy(&in->k.batch->arena, sx_str_z(text));
    in->k.no_memory |= copy.data == NULL;
    return copy;
}

/* --- Onto the stacks. */

void zipkin_tag(zipkin_intake *in, zipkin_span *z, sx_str key, span_value value)
{
    if (in->k.attrs.count - z->tags >= in->k.limits.attributes_max) {
        z->dropped_tags++;
        return;
    }
    span_attr *tag = span_gather_add(&in->k, &in->k.attrs);
    if (!tag)
        return;
    tag->key = key.data;
    tag->key_len = (uint32_t)key.len;
    tag->value = value;
}

void zipkin_annotation(zipkin_intake *in, zipkin_span *z, uint64_t time_us, sx_str value)
{
    if (in->k.events.count - z->annotations >= in->k.limits.events_max) {
        z->dropped_annotations++;
        return;
    }
    span_event *event = span_gather_add(&in->k, &in->k.events);
    if (!event)
        return;
    event->time_ns = time_us * 1000;
    event->name = value;
}

static void learn_host(zipkin_span *z, const zipkin_endpoint *host)
{
    if (z->local.service.len == 0 && host->service.len)
        z->local = *host;
}

void zipkin_v1_annotation(zipkin_intake *in, zipkin_span *z, uint64_t time_us, sx_str value,
                          const zipkin_endpoint *host)
{
    static const struct {
        sx_str value;
        uint8_t kind;
        size_t time; /* offset of the field that keeps it */
    } CORE[] = {
        {SX_STR_INIT("cs"), SPAN_CLIENT, offsetof(zipkin_span, client_send_us)},
        {SX_STR_INIT("cr"), SPAN_CLIENT, offsetof(zipkin_span, client_receive_us)},
        {SX_STR_INIT("sr"), SPAN_SERVER, offsetof(zipkin_span, server_receive_us)},
        {SX_STR_INIT("ss"), SPAN_SERVER, offsetof(zipkin_span, server_send_us)},
        {SX_STR_INIT("ms"), SPAN_PRODUCER, offsetof(zipkin_span, client_send_us)},
        {SX_STR_INIT("mr"), SPAN_CONSUMER, offsetof(zipkin_span, server_receive_us)},
    };
    learn_host(z, host);
    for (size_t i = 0; i < sizeof(CORE) / sizeof(*CORE); i++)
        if (sx_str_eq(value, CORE[i].value)) {
            z->kind = CORE[i].kind;
            memcpy((char *)z + CORE[i].time, &time_us, sizeof(time_us));
            return;
        }
    zipkin_annotation(in, z, time_us, value);
}

void zipkin_v1_binary(zipkin_intake *in, zipkin_span *z, sx_str key, span_value value,
                      const zipkin_endpoint *host)
{
    bool address = sx_str_eq(key, SX_STR("sa")) || sx_str_eq(key, SX_STR("ca")) ||
                   sx_str_eq(key, SX_STR("ma"));
    if (address) { /* the other side, as an endpoint */
        z->remote = *host;
        if (z->kind == SPAN_UNSPECIFIED && sx_str_eq(key, SX_STR("sa")))
            z->kind = SPAN_CLIENT;
        else if (z->kind == SPAN_UNSPECIFIED && sx_str_eq(key, SX_STR("ca")))
            z->kind = SPAN_SERVER;
        return;
    }
    learn_host(z, host);
    if (sx_str_eq(key, SX_STR("lc")) && value.len == 0)
        return; /* names the local component, says nothing else */
    zipkin_tag(in, z, key, value);
}

void zipkin_v1_end(zipkin_span *z)
{
    uint64_t from = z->client_send_us ? z->client_send_us : z->server_receive_us;
    uint64_t to = z->client_receive_us ? z->client_receive_us : z->server_send_us;
    if (z->timestamp_us == 0)
        z->timestamp_us = from;
    if (z->duration_us == 0 && from && to > from)
        z->duration_us = to - from;
}

/* --- Tags that are something else. */

/* Also the place after the last; NULL while there was none at all. */
static span_attr *tag_at(zipkin_intake *in, size_t i)
{
    return i == 0 ? (span_attr *)(void *)in->k.attrs.items
                  : (span_attr *)(void *)(in->k.attrs.items + i * sizeof(span_attr));
}

/* Removes a text tag and gives its value; whether it was there. */
static bool take_tag(zipkin_intake *in, const zipkin_span *z, sx_str key, sx_str *value)
{
    for (size_t i = z->tags; i < in->k.attrs.count; i++) {
        span_attr *tag = tag_at(in, i);
        if (tag->value.type != SPAN_STR || !sx_str_eq(span_attr_key(tag), key))
            continue;
        *value = span_value_str(&tag->value);
        memmove(tag, tag + 1, (--in->k.attrs.count - i) * sizeof(*tag));
        return true;
    }
    return false;
}

static span_value text_value(sx_str s)
{
    span_value v = {0};
    span_value_set(&v, s, SPAN_STR);
    return v;
}

/* "...|{JSON object}|7", as OpenTelemetry's exporters put attributes into a text: the object's members
 * go on the stack. False: it is not that, and nothing has changed. */
static bool read_members(zipkin_intake *in, sx_str text, span_attrs *out)
{
    const char *bar = text.len ? memrchr(text.data, '|', text.len) : NULL;
    size_t base = in->k.attrs.count;
    uint32_t dropped = 0;
    sx_json r;
    sx_str key;
    if (!bar)
        return false;
    for (const char *p = bar + 1; p < text.data + text.len; p++) {
        if (*p < '0' || *p > '9' || dropped > 100000000)
            return false;
        dropped = dropped * 10 + (uint32_t)(*p - '0');
    }
    sx_json_init(&r, sx_str_first(text, (size_t)(bar - text.data)),
                 &(sx_json_options){.arena = &in->k.batch->arena});
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key)) {
        sx_json_token kind = sx_json_peek(&r);
        span_value v = {0};
        sx_str s;
        bool truth;
        if (kind == SX_JSON_STRING && sx_json_read_str(&r, &s))
            v = text_value(s);
        else if ((kind == SX_JSON_TRUE || kind == SX_JSON_FALSE) && sx_json_read_bool(&r, &truth))
            v = (span_value){.i = truth, .type = SPAN_BOOL};
        else if (kind == SX_JSON_NUMBER && sx_json_read_double(&r, &v.d))
            v.type = SPAN_DOUBLE;
        else
            continue; /* skipped by the next key */
        if (v.type == SPAN_DOUBLE && v.d >= -9e15 && v.d <= 9e15 && v.d == (double)(int64_t)v.d)
            v = (span_value){.i = (int64_t)v.d, .type = SPAN_INT};
        span_attr *member = span_gather_add(&in->k, &in->k.attrs);
        if (!member)
            break;
        member->key = key.data;
        member->key_len = (uint32_t)key.len;
        member->value = v;
    }
    if (sx_json_finish(&r, NULL) != SX_OK) {
        in->k.attrs.count = base;
        return false;
    }
    out->items = span_gather_take(&in->k, &in->k.attrs, base, &out->count);
    out->dropped = dropped;
    return true;
}

static void end_annotations(zipkin_intake *in, const zipkin_span *z, span *s)
{
    for (size_t i = z->annotations; i < in->k.events.count; i++) {
        span_event *e = (span_event *)(void *)(in->k.events.items + i * sizeof(*e));
        const char *bar = e->name.len ? memchr(e->name.data, '|', e->name.len) : NULL;
        size_t at = bar ? (size_t)(bar - e->name.data) : 0;
        if (bar && read_members(in, sx_str_from(e->name, at + 1), &e->attrs))
            e->name = sx_str_first(e->name, at);
    }
    s->events = span_gather_take(&in->k, &in->k.events, z->annotations, &s->event_count);
    s->dropped_events = z->dropped_annotations;
}

/* "trace id|span id|trace state|{attributes}|dropped" */
static bool read_link(zipkin_intake *in, sx_str text, span_link *link)
{
    sx_str parts[3];
    for (int i = 0; i < 3; i++) {
        const char *bar = text.len ? memchr(text.data, '|', text.len) : NULL;
        if (!bar)
            return false;
        parts[i] = sx_str_first(text, (size_t)(bar - text.data));
        text = sx_str_from(text, parts[i].len + 1);
    }
    link->trace_state = parts[2];
    return zipkin_hex_id(parts[0], link->trace_id, 16) &&
           zipkin_hex_id(parts[1], link->span_id, 8) && read_members(in, text, &link->attrs);
}

static void take_links(zipkin_intake *in, const zipkin_span *z, span *s)
{
    enum { LINKS_MAX = 128 };
    size_t base = in->k.links.count;
    for (int i = 0; i < LINKS_MAX; i++) {
        char key[32];
        sx_str text;
        span_link link = {0};
        snprintf(key, sizeof(key), "otlp.link.%d", i);
        if (!take_tag(in, z, sx_str_z(key), &text))
            break;
        if (!read_link(in, text, &link))
            continue;
        span_link *place = span_gather_add(&in->k, &in->k.links);
        if (place)
            *place = link;
    }
    s->links = span_gather_take(&in->k, &in->k.links, base, &s->link_count);
}

static void take_status(zipkin_intake *in, const zipkin_span *z, span *s)
{
    sx_str text;
    if (take_tag(in, z, SX_STR("otel.status_code"), &text)) {
        if (sx_str_ieq(text, SX_STR("STATUS_CODE_OK")) || sx_str_ieq(text, SX_STR("OK")))
            s->status = SPAN_OK;
        else if (sx_str_ieq(text, SX_STR("STATUS_CODE_ERROR")) || sx_str_ieq(text, SX_STR("ERROR")))
            s->status = SPAN_ERROR;
        take_tag(in, z, SX_STR("otel.status_description"), &s->status_message);
    }
    if (!take_tag(in, z, SX_STR("error"), &text))
        return;
    s->status = SPAN_ERROR;
    if (!sx_str_eq(text, SX_STR("true"))) /* the text says what went wrong: kept */
        zipkin_tag(in, &(zipkin_span){.tags = z->tags}, SX_STR("error"), text_value(text));
}

/* --- The resource. */

static bool of_resource(sx_str key)
{
    static const sx_str SPACES[] = {
        SX_STR_INIT("cloud."),
        SX_STR_INIT("container."),
        SX_STR_INIT("deployment."),
        SX_STR_INIT("device."),
        SX_STR_INIT("host."),
        SX_STR_INIT("k8s."),
        SX_STR_INIT("os."),
        SX_STR_INIT("process."),
        SX_STR_INIT("service."),
        SX_STR_INIT("telemetry."),
        SX_STR_INIT("webengine."),
        SX_STR_INIT("aws.ecs."),
        SX_STR_INIT("aws.eks."),
        SX_STR_INIT("aws.log."),
        SX_STR_INIT("faas.name"),
        SX_STR_INIT("faas.id"),
        SX_STR_INIT("faas.version"),
        SX_STR_INIT("faas.instance"),
        SX_STR_INIT("faas.max_memory"),
        SX_STR_INIT("opencensus."),
    };
    for (size_t i = 0; i < sizeof(SPACES) / sizeof(*SPACES); i++)
        if (sx_str_starts(key, SPACES[i]))
            return true;
    return false;
}

/* Moves the resource's tags above the span's and makes a resource of them, or takes the last one. */
static const span_resource *take_resource(zipkin_intake *in, const zipkin_span *z)
{
    size_t end = in->k.attrs.count, kept = z->tags;
    sx_str source;
    sx_str service_key = SX_STR("service.name");
    if (take_tag(in, z, SX_STR("otlp.service.name.source"), &source)) {
        service_key = source;
        end--;
    }
    if (z->local.service.len) {
        zipkin_tag(in, &(zipkin_span){.tags = in->k.attrs.count}, service_key,
                   text_value(z->local.service));
    }
    for (size_t i = z->tags; i < end; i++) {
        span_attr tag = *tag_at(in, i);
        if (z->local.service.len && sx_str_eq(span_attr_key(&tag), service_key)) {
            continue; /* OpenTelemetry's exporter says it a second time */
        } else if (of_resource(span_attr_key(&tag))) {
            span_attr *place = span_gather_add(&in->k, &in->k.attrs);
            if (place)
                *place = tag;
        } else {
            *tag_at(in, kept++) = tag;
        }
    }
    size_t count = in->k.attrs.count - end;
    const span_resource *last = in->resource;
    const span_attrs tags = {.items = tag_at(in, end), .count = (uint32_t)count};
    if (last && span_attrs_eq(last->attrs, tags)) {
        in->k.attrs.count = kept;
        return last;
    }
    span_resource *r = sx_arena_calloc(&in->k.batch->arena, 1, sizeof(*r));
    if (!r) {
        in->k.no_memory = true;
        return NULL;
    }
    r->attrs.items = span_gather_take(&in->k, &in->k.attrs, end, &r->attrs.count);
    in->k.attrs.count = kept;
    in->k.no_memory |= !span_resource_name(&in->k.batch->arena, r);
    in->resource = r;
    return r;
}

static const span_scope *take_scope(zipkin_intake *in, const zipkin_span *z)
{
    sx_str name = sx_str_of(NULL, 0), version = name;
    if (take_tag(in, z, SX_STR("otel.scope.name"), &name) ||
        take_tag(in, z, SX_STR("otel.library.name"), &name))
        if (!take_tag(in, z, SX_STR("otel.scope.version"), &version))
            take_tag(in, z, SX_STR("otel.library.version"), &version);
    return span_intake_scope(&in->k, name, version);
}

static void put_endpoint(zipkin_intake *in, zipkin_span *z, const zipkin_endpoint *e,
                         sx_str address_key, sx_str port_key)
{
    sx_str address = e->ipv4.len ? e->ipv4 : e->ipv6;
    if (address.len)
        zipkin_tag(in, z, address_key, text_value(address));
    if (e->port > 0)
        zipkin_tag(in, z, port_key, (span_value){.i = e->port, .type = SPAN_INT});
}

void zipkin_end_span(zipkin_intake *in, zipkin_span *z)
{
    span *s = span_batch_add(in->k.batch);
    sx_str kind;
    if (!s) {
        in->k.no_memory = true;
        return;
    }
    memcpy(s->trace_id, z->trace_id, sizeof(s->trace_id));
    memcpy(s->id, z->id, sizeof(s->id));
    if (memcmp(z->parent, z->id, sizeof(z->id)) != 0)
        memcpy(s->parent, z->parent, sizeof(s->parent));
    s->name = z->name;
    s->kind = z->kind;
    s->start_ns = z->timestamp_us * 1000;
    s->end_ns = s->start_ns + z->duration_us * 1000;
    take_tag(in, z, SX_STR("w3c.tracestate"), &s->trace_state);
    if (s->kind == SPAN_UNSPECIFIED && take_tag(in, z, SX_STR("span.kind"), &kind) &&
        sx_str_eq(kind, SX_STR("internal")))
        s->kind = SPAN_INTERNAL;
    take_status(in, z, s);
    take_links(in, z, s);
    s->scope = take_scope(in, z);
    s->resource = take_resource(in, z);
    put_endpoint(in, z, &z->local, SX_STR("network.local.address"), SX_STR("net.host.port"));
    if (z->remote.service.len)
        zipkin_tag(in, z, SX_STR("service.peer.name"), text_value(z->remote.service));
    put_endpoint(in, z, &z->remote, SX_STR("network.peer.address"), SX_STR("net.peer.port"));
    if (z->timestamp_us == 0)
        zipkin_tag(in, z, SX_STR("otel.zipkin.absentField.startTime"),
                   (span_value){.i = 1, .type = SPAN_BOOL});
    s->attrs.items = span_gather_take(&in->k, &in->k.attrs, z->tags, &s->attrs.count);
    s->attrs.dropped = z->dropped_tags;
    end_annotations(in, z, s);
    if (!s->scope || !s->resource)
        in->k.batch->count--; /* memory ran out: the whole batch is refused */
    else
        span_intake_check(&in->k, s);
}
