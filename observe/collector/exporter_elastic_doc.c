/* exporter_elastic_doc.c - spans as Jaeger's documents, and its index templates.
 *
 * A span's id is made from what it says, as is a service's, so that a request which is sent again
 * after half of it had arrived writes nothing twice. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <sextant/hash.h>
#include <sextant/json.h>
#include <sextant/map.h>
#include <sextant/mem.h>

#include "observe/collector/exporter_elastic.h"

enum { DAY_BYTES = 12, HASH_DIGITS = 16 };

#define NO_SERVICE "OTLPResourceNoServiceName"

/* --- Small parts. */

static void put_hex(sx_json_writer *w, const uint8_t *id, size_t len)
{
    char text[32];
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = "0123456789abcdef"[id[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[id[i] & 15];
    }
    sx_json_str(w, sx_str_of(text, 2 * len));
}

static bool is_zero(const uint8_t *id, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= id[i];
    return any == 0;
}

static void put_field(sx_json_writer *w, const char *key, sx_str value)
{
    sx_json_key(w, sx_str_z(key));
    sx_json_str(w, value);
}

/* A value that is written as text: bytes in hex, lists and maps as JSON. */
static void put_as_text(sx_json_writer *w, const span_value *v, sx_buf *scratch)
{
    sx_buf_clear(scratch);
    for (uint32_t i = 0; v->type == SPAN_BYTES && i < v->len; i++) {
        uint8_t byte = (uint8_t)v->data[i];
        sx_buf_byte(scratch, "0123456789abcdef"[byte >> 4]);
        sx_buf_byte(scratch, "0123456789abcdef"[byte & 15]);
    }
    if (v->type != SPAN_BYTES)
        span_value_text(v, scratch);
    sx_json_str(w, sx_buf_view(scratch));
    w->buf->failed |= scratch->failed;
}

static void put_value(sx_json_writer *w, const span_value *v, sx_buf *scratch)
{
    switch ((span_type)v->type) {
    case SPAN_STR:
        sx_json_str(w, sx_str_of(v->data, v->len));
        break;
    case SPAN_BOOL:
        sx_json_bool(w, v->i != 0);
        break;
    case SPAN_INT:
        sx_json_i64(w, v->i);
        break;
    case SPAN_DOUBLE:
        if (isfinite(v->d))
            sx_json_double(w, v->d);
        else /* JSON has no such number; Jaeger's reader takes the word */
            sx_json_str(w, isnan(v->d) ? SX_STR("NaN")
                           : v->d > 0  ? SX_STR("+Inf")
                                       : SX_STR("-Inf"));
        break;
    default:
        put_as_text(w, v, scratch);
    }
}

static sx_str type_name(const span_value *v)
{
    switch ((span_type)v->type) {
    case SPAN_BOOL:
        return SX_STR("bool");
    case SPAN_INT:
        return SX_STR("int64");
    case SPAN_DOUBLE:
        return SX_STR("float64");
    case SPAN_BYTES:
        return SX_STR("binary");
    default:
        return SX_STR("string");
    }
}

/* --- Tags. */

typedef struct doc_writer {
    const elastic_options *o;
    sx_json_writer w;
    sx_buf scratch, name;
    bool fields;      /* this pass writes members of "tag", else the list "tags" */
    sx_map64 members; /* hashes of those written in this pass: a name may not stand there twice */
    bool no_memory;
} doc_writer;

static bool is_field(const elastic_options *o, sx_str key, const span_value *v)
{
    if (v->type == SPAN_BYTES)
        return false;
    bool found = o->all_tags_as_fields;
    for (size_t i = 0; i < o->tag_field_count && !found; i++)
        found = sx_str_eq(o->tag_fields[i], key);
    return found;
}

/* False: the member is there already; the first one stays. */
static bool put_member_name(doc_writer *d, sx_str key)
{
    sx_str dot = d->o->dot.len ? d->o->dot : SX_STR("@");
    sx_buf_clear(&d->name);
    for (size_t i = 0; i < key.len; i++)
        sx_buf_str(&d->name, key.data[i] == '.' ? dot : sx_str_of(key.data + i, 1));
    bool added = true;
    d->no_memory |=
        !sx_map64_put(&d->members, sx_hash(sx_buf_view(&d->name), 0), &added) || d->name.failed;
    if (!added)
        return false;
    sx_json_key(&d->w, sx_buf_view(&d->name));
    return true;
}

static void put_tag(doc_writer *d, sx_str key, const span_value *v)
{
    sx_json_writer *w = &d->w;
    if (is_field(d->o, key, v) != d->fields)
        return;
    if (d->fields) {
        if (put_member_name(d, key))
            put_value(w, v, &d->scratch);
        return;
    }
    sx_json_begin_object(w);
    put_field(w, "key", key);
    put_field(w, "type", type_name(v));
    sx_json_key(w, SX_STR("value"));
    put_value(w, v, &d->scratch);
    sx_json_end_object(w);
}

static void put_text_tag(doc_writer *d, sx_str key, sx_str text)
{
    if (text.len)
        put_tag(d, key,
                &(span_value){.data = text.data, .len = (uint32_t)text.len, .type = SPAN_STR});
}

static void put_attrs(doc_writer *d, span_attrs attrs, sx_str but)
{
    for (uint32_t i = 0; i < attrs.count; i++)
        if (!but.len || !sx_str_eq(span_attr_key(&attrs.items[i]), but))
            put_tag(d, span_attr_key(&attrs.items[i]), &attrs.items[i].value);
}

/* A span's own, with those that Jaeger makes from OTLP's fields, in its order. */
static void put_span_tags(doc_writer *d, const span *s)
{
    static const sx_str KINDS[] = {[SPAN_INTERNAL] = SX_STR_INIT("internal"),
                                   [SPAN_SERVER] = SX_STR_INIT("server"),
                                   [SPAN_CLIENT] = SX_STR_INIT("client"),
                                   [SPAN_PRODUCER] = SX_STR_INIT("producer"),
                                   [SPAN_CONSUMER] = SX_STR_INIT("consumer")};
    put_text_tag(d, SX_STR("otel.scope.name"), s->scope->name);
    put_text_tag(d, SX_STR("otel.scope.version"), s->scope->version);
    put_attrs(d, s->attrs, SX_STR(""));
    if (s->kind < SX_COUNT_OF(KINDS))
        put_text_tag(d, SX_STR("span.kind"), KINDS[s->kind]);
    if (s->status == SPAN_OK)
        put_text_tag(d, SX_STR("otel.status_code"), SX_STR("OK"));
    else if (s->status == SPAN_ERROR)
        put_tag(d, SX_STR("error"), &(span_value){.i = 1, .type = SPAN_BOOL});
    put_text_tag(d, SX_STR("otel.status_description"), s->status_message);
    put_text_tag(d, SX_STR("w3c.tracestate"), s->trace_state);
}

static void put_tags(doc_writer *d, const span *s, bool of_process)
{
    bool split = d->o->all_tags_as_fields || d->o->tag_field_count;
    for (unsigned pass = 0; pass < (split ? 2u : 1u); pass++) {
        d->fields = pass == 1;
        sx_map64_clear(&d->members);
        sx_json_key(&d->w, d->fields ? SX_STR("tag") : SX_STR("tags"));
        if (d->fields)
            sx_json_begin_object(&d->w);
        else
            sx_json_begin_array(&d->w);
        if (of_process)
            put_attrs(d, s->resource->attrs, SX_STR("service.name"));
        else
            put_span_tags(d, s);
        if (d->fields)
            sx_json_end_object(&d->w);
        else
            sx_json_end_array(&d->w);
    }
    d->fields = false;
}

/* --- The document. */

static void put_reference(sx_json_writer *w, bool child_of, const uint8_t *trace, const uint8_t *id)
{
    sx_json_begin_object(w);
    put_field(w, "refType", child_of ? SX_STR("CHILD_OF") : SX_STR("FOLLOWS_FROM"));
    sx_json_key(w, SX_STR("traceID"));
    put_hex(w, trace, 16);
    sx_json_key(w, SX_STR("spanID"));
    put_hex(w, id, 8);
    sx_json_end_object(w);
}

static bool link_is_child_of(const span_link *l)
{
    const span_value *v = span_attrs_find(l->attrs, SX_STR("opentracing.ref_type"));
    return v && sx_str_eq(span_value_str(v), SX_STR("child_of"));
}

/* The parent first; a link to the parent says only what kind of reference it is. */
static void put_references(sx_json_writer *w, const span *s)
{
    bool has_parent = !is_zero(s->parent, 8), child_of = true;
    sx_json_key(w, SX_STR("references"));
    sx_json_begin_array(w);
    for (uint32_t i = 0; has_parent && i < s->link_count; i++)
        if (!memcmp(s->links[i].trace_id, s->trace_id, 16) &&
            !memcmp(s->links[i].span_id, s->parent, 8))
            child_of = link_is_child_of(&s->links[i]);
    if (has_parent)
        put_reference(w, child_of, s->trace_id, s->parent);
    for (uint32_t i = 0; i < s->link_count; i++) {
        const span_link *l = &s->links[i];
        if (!has_parent || memcmp(l->trace_id, s->trace_id, 16) || memcmp(l->span_id, s->parent, 8))
            put_reference(w, link_is_child_of(l), l->trace_id, l->span_id);
    }
    sx_json_end_array(w);
}

/* An event is a log with its name as the field "event". Logs are never split into members. */
static void put_logs(doc_writer *d, const span *s)
{
    static const elastic_options PLAIN = {0};
    const elastic_options *own = d->o;
    sx_json_writer *w = &d->w;
    d->o = &PLAIN;
    sx_json_key(w, SX_STR("logs"));
    sx_json_begin_array(w);
    for (uint32_t i = 0; i < s->event_count; i++) {
        const span_event *e = &s->events[i];
        sx_json_begin_object(w);
        sx_json_key(w, SX_STR("timestamp"));
        sx_json_u64(w, e->time_ns / 1000);
        sx_json_key(w, SX_STR("fields"));
        sx_json_begin_array(w);
        if (!span_attrs_find(e->attrs, SX_STR("event")))
            put_text_tag(d, SX_STR("event"), e->name);
        put_attrs(d, e->attrs, SX_STR(""));
        sx_json_end_array(w);
        sx_json_end_object(w);
    }
    sx_json_end_array(w);
    d->o = own;
}

static sx_str service_of(const span *s)
{
    return s->resource->attrs.count ? s->resource->service : SX_STR(NO_SERVICE);
}

static void put_document(doc_writer *d, const span *s)
{
    sx_json_writer *w = &d->w;
    sx_json_begin_object(w);
    sx_json_key(w, SX_STR("traceID"));
    put_hex(w, s->trace_id, 16);
    sx_json_key(w, SX_STR("spanID"));
    put_hex(w, s->id, 8);
    if (!is_zero(s->parent, 8)) {
        sx_json_key(w, SX_STR("parentSpanID"));
        put_hex(w, s->parent, 8);
    }
    if (s->flags) {
        /* The trace's own flags: the rest of OTLP's word does not fit the mapping's integer. */
        sx_json_key(w, SX_STR("flags"));
        sx_json_u64(w, s->flags & 0x7fffffff);
    }
    put_field(w, "operationName", s->name);
    put_references(w, s);
    sx_json_key(w, SX_STR("startTime"));
    sx_json_u64(w, s->start_ns / 1000);
    sx_json_key(w, SX_STR("startTimeMillis"));
    sx_json_u64(w, s->start_ns / 1000000);
    sx_json_key(w, SX_STR("duration")); /* an end before the start would not fit the mapping */
    sx_json_u64(w, s->end_ns > s->start_ns ? (s->end_ns - s->start_ns) / 1000 : 0);
    put_tags(d, s, false);
    put_logs(d, s);
    sx_json_key(w, SX_STR("process"));
    sx_json_begin_object(w);
    put_field(w, "serviceName", service_of(s));
    put_tags(d, s, true);
    sx_json_end_object(w);
    if (d->o->data_stream) {
        char time[SX_TIME_RFC3339_BYTES];
        size_t len = sx_time_rfc3339((int64_t)(s->start_ns & INT64_MAX), 9, time);
        put_field(w, "@timestamp", sx_str_of(time, len));
    }
    sx_json_end_object(w);
}

/* --- Bulk lines. */

/* "-2024-01-15" of a time, UTC. */
static sx_str day_of(uint64_t ns, char out[SX_TIME_RFC3339_BYTES + 1])
{
    out[0] = '-';
    sx_time_rfc3339((int64_t)(ns & INT64_MAX), 0, out + 1);
    return sx_str_of(out, DAY_BYTES - 1);
}

static void put_action(sx_buf *out, const char *op, sx_str index, sx_str day, sx_str id)
{
    sx_json_writer w;
    char name[ELASTIC_INDEX_BYTES_MAX + DAY_BYTES];
    int len = snprintf(name, sizeof(name), "%.*s%.*s", SX_ARG(index), SX_ARG(day));
    sx_json_writer_init(&w, out, NULL);
    sx_json_begin_object(&w);
    sx_json_key(&w, sx_str_z(op));
    sx_json_begin_object(&w);
    put_field(&w, "_index", sx_str_of(name, (size_t)len));
    put_field(&w, "_id", id);
    sx_json_end_object(&w);
    sx_json_end_object(&w);
    sx_buf_byte(out, '\n');
}

static bool add_item(elastic_items *items, size_t at, size_t end, uint64_t key)
{
    if (!items)
        return true;
    if (items->count == items->cap &&
        !sx_grow(&items->items, &items->cap, items->count + 1, sizeof(*items->items)))
        return false;
    items->items[items->count++] = (elastic_item){at, end - at, key};
    return true;
}

/* Jaeger's id of the pair: FNV-1a over both names. */
static uint64_t fnv1a(uint64_t hash, sx_str s)
{
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (uint8_t)s.data[i]) * 0x100000001b3u;
    return hash;
}

static bool put_service(const elastic_options *o, const span *s, sx_str day,
                        const elastic_services *written, elastic_services *seen,
                        elastic_items *items, sx_buf *out)
{
    char id[24];
    sx_json_writer w;
    size_t at = out->len;
    sx_str service = service_of(s);
    uint64_t hash = fnv1a(fnv1a(0xcbf29ce484222325u, service), s->name);
    uint64_t key = sx_hash(day, hash) | 1; /* each day has an index of its own */
    if ((written && written->keys[key % ELASTIC_SERVICES] == key) ||
        seen->keys[key % ELASTIC_SERVICES] == key)
        return true;
    elastic_services_put(seen, key);
    snprintf(id, sizeof(id), "%llx", (unsigned long long)hash);
    put_action(out, "index", o->service_index, day, sx_str_z(id));
    sx_json_writer_init(&w, out, NULL);
    sx_json_begin_object(&w);
    put_field(&w, "serviceName", service);
    put_field(&w, "operationName", s->name);
    sx_json_end_object(&w);
    sx_buf_byte(out, '\n');
    return add_item(items, at, out->len, key);
}

/* The id's last part is a hash of the document, which is known only behind it: it is filled in. */
static void put_span(doc_writer *d, const span *s, sx_str day, sx_buf *out)
{
    char id[80], digits[HASH_DIGITS + 1];
    static const char ZEROS[] = "0000000000000000";
    for (unsigned i = 0; i < 24; i++) {
        uint8_t byte = i < 16 ? s->trace_id[i] : s->id[i - 16];
        snprintf(id + 2 * i + (i >= 16), 3, "%02x", byte);
    }
    id[32] = '_';
    snprintf(id + 49, sizeof(id) - 49, "_%s", ZEROS);
    put_action(out, d->o->data_stream ? "create" : "index", d->o->span_index, day, sx_str_z(id));
    size_t tail = sizeof("\"}}\n") - 1, body = out->len;
    put_document(d, s);
    if (!out->failed) {
        uint64_t hash = sx_hash_bytes(out->data + body, out->len - body, 0);
        snprintf(digits, sizeof(digits), "%016llx", (unsigned long long)hash);
        memcpy(out->data + body - tail - HASH_DIGITS, digits, HASH_DIGITS);
    }
    sx_buf_byte(out, '\n');
}

bool elastic_write(const elastic_options *o, const span_batch *b, const elastic_services *written,
                   elastic_services *seen, elastic_items *items, sx_buf *out)
{
    bool ok = true;
    char text[SX_TIME_RFC3339_BYTES + 1];
    doc_writer d = {.o = o};
    sx_buf_init(&d.scratch, 0);
    sx_buf_init(&d.name, 0);
    sx_map64_init(&d.members, NULL);
    sx_json_writer_init(&d.w, out, NULL);
    for (size_t i = 0; i < b->count && ok && !out->failed; i++) {
        const span *s = b->spans[i];
        sx_str day = day_of(s->start_ns, text);
        ok = put_service(o, s, day, written, seen, items, out);
        size_t at = out->len;
        put_span(&d, s, o->data_stream ? SX_STR("") : day, out);
        ok = ok && add_item(items, at, out->len, 0);
    }
    sx_buf_done(&d.scratch);
    sx_buf_done(&d.name);
    sx_map64_done(&d.members);
    return ok && !d.no_memory;
}

sx_str elastic_service_index(sx_str span_index, char out[ELASTIC_INDEX_BYTES_MAX])
{
    static const sx_str SPAN = SX_STR_INIT("jaeger-span");
    size_t at = sx_str_find(span_index, SPAN);
    int len = at < span_index.len
                  ? snprintf(out, ELASTIC_INDEX_BYTES_MAX, "%.*sjaeger-service%.*s",
                             SX_ARG(sx_str_first(span_index, at)),
                             SX_ARG(sx_str_from(span_index, at + SPAN.len)))
                  : snprintf(out, ELASTIC_INDEX_BYTES_MAX, "%.*s-service", SX_ARG(span_index));
    return sx_str_of(out, len < ELASTIC_INDEX_BYTES_MAX ? (size_t)len : 0);
}

/* --- Templates. */

#define KEYWORD "{\"type\":\"keyword\",\"ignore_above\":256}"
#define TAGS                                                                                       \
    "{\"type\":\"nested\",\"dynamic\":false,\"properties\":{\"key\":" KEYWORD                      \
    ",\"value\":" KEYWORD ",\"type\":" KEYWORD "}}"
#define DYNAMIC(name, path) "{\"" name "\":{\"mapping\":" KEYWORD ",\"path_match\":\"" path "\"}}"

static const char SPAN_MAPPING[] =
    "{\"dynamic_templates\":[" DYNAMIC("span_tags_map", "tag.*") "," DYNAMIC("process_tags_map", "process.tag.*") "," DYNAMIC(
        "scope_tags_map",
        "scopeTag.*") "],\"properties\":{\"traceID\":" KEYWORD ",\"parentSpanID\":" KEYWORD
                      ",\"spanID\":" KEYWORD ",\"operationName\":" KEYWORD
                      ",\"startTime\":{\"type\":\"long\"}"
                      ",\"startTimeMillis\":{\"type\":\"date\",\"format\":\"epoch_millis\"}"
                      ",\"duration\":{\"type\":\"long\"},\"flags\":{\"type\":\"integer\"}"
                      ",\"logs\":{\"type\":\"nested\",\"dynamic\":false,\"properties\":{\"timestamp\":{\"type\":"
                      "\"long\"},\"fields\":" TAGS "}}"
                      ",\"process\":{\"properties\":{\"serviceName\":" KEYWORD
                      ",\"tag\":{\"type\":\"object\"},\"tags\":" TAGS "}}"
                      ",\"references\":{\"type\":\"nested\",\"dynamic\":false,\"properties\":{\"refType\":" KEYWORD
                      ",\"traceID\":" KEYWORD ",\"spanID\":" KEYWORD ",\"traceState\":" KEYWORD
                      ",\"flags\":{\"type\":\"integer\"},\"tags\":" TAGS "}}"
                      ",\"tag\":{\"type\":\"object\"},\"tags\":" TAGS
                      ",\"scopeTag\":{\"type\":\"object\"},\"scopeTags\":" TAGS "}}";

static const char SERVICE_MAPPING[] =
    "{\"dynamic_templates\":[" DYNAMIC("span_tags_map", "tag.*") "," DYNAMIC(
        "process_tags_map", "process.tag.*") "],\"properties\":{\"serviceName\":" KEYWORD
                                             ",\"operationName\":" KEYWORD "}}";

static const char SETTINGS[] =
    "{\"index.number_of_shards\":5,\"index.number_of_replicas\":1,"
    "\"index.mapping.nested_fields.limit\":50,\"index.requests.cache.enable\":true}";

void elastic_template(const elastic_options *o, bool of_spans, bool legacy, sx_buf *out)
{
    sx_json_writer w;
    char pattern[ELASTIC_INDEX_BYTES_MAX + 8];
    bool stream = of_spans && o->data_stream;
    int len = snprintf(pattern, sizeof(pattern), "%s%.*s%s", legacy ? "*" : "",
                       SX_ARG(of_spans ? o->span_index : o->service_index), stream ? "" : "-*");
    sx_json_writer_init(&w, out, NULL);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("index_patterns"));
    sx_json_begin_array(&w);
    sx_json_str(&w, sx_str_of(pattern, (size_t)len));
    sx_json_end_array(&w);
    if (!legacy) {
        sx_json_key(&w, SX_STR("priority"));
        sx_json_u64(&w, of_spans ? 500 : 501);
        if (stream) {
            sx_json_key(&w, SX_STR("data_stream"));
            sx_json_raw_value(&w, SX_STR("{}"));
        }
        sx_json_key(&w, SX_STR("template"));
        sx_json_begin_object(&w);
    }
    sx_json_key(&w, SX_STR("settings"));
    sx_json_raw_value(&w, sx_str_z(SETTINGS));
    sx_json_key(&w, SX_STR("mappings"));
    sx_json_raw_value(&w, sx_str_z(of_spans ? SPAN_MAPPING : SERVICE_MAPPING));
    if (!legacy)
        sx_json_end_object(&w);
    sx_json_end_object(&w);
}
