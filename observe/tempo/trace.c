/* trace.c - one trace by its id: protobuf's JSON (ids in base64, enums by name) or protobuf. */
#include <sextant/protobuf.h>

#include "observe/spans/otlp.h"
#include "observe/tempo/tempo_internal.h"

static void put_id(sx_json_writer *w, const char *key, const uint8_t *id, size_t len)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[28];
    size_t n = 0;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t v = (uint32_t)id[i] << 16;
        v |= i + 1 < len ? (uint32_t)id[i + 1] << 8 : 0;
        v |= i + 2 < len ? id[i + 2] : 0;
        text[n++] = DIGITS[v >> 18];
        text[n++] = DIGITS[(v >> 12) & 63];
        text[n++] = i + 1 < len ? DIGITS[(v >> 6) & 63] : '=';
        text[n++] = i + 2 < len ? DIGITS[v & 63] : '=';
    }
    sx_json_key(w, sx_str_z(key));
    sx_json_str(w, sx_str_of(text, n));
}

static void put_count(sx_json_writer *w, const char *key, uint32_t n)
{
    if (n) {
        sx_json_key(w, sx_str_z(key));
        sx_json_u64(w, n);
    }
}

static void put_events(sx_json_writer *w, const span *s)
{
    if (!s->event_count)
        return;
    sx_json_key(w, SX_STR("events"));
    sx_json_begin_array(w);
    for (uint32_t i = 0; i < s->event_count; i++) {
        sx_json_begin_object(w);
        tempo_put_u64(w, "timeUnixNano", s->events[i].time_ns);
        tempo_put_str(w, "name", s->events[i].name);
        tempo_put_attrs(w, "attributes", s->events[i].attrs);
        sx_json_end_object(w);
    }
    sx_json_end_array(w);
}

static void put_links(sx_json_writer *w, const span *s)
{
    if (!s->link_count)
        return;
    sx_json_key(w, SX_STR("links"));
    sx_json_begin_array(w);
    for (uint32_t i = 0; i < s->link_count; i++) {
        const span_link *l = &s->links[i];
        sx_json_begin_object(w);
        put_id(w, "traceId", l->trace_id, 16);
        put_id(w, "spanId", l->span_id, 8);
        tempo_put_str(w, "traceState", l->trace_state);
        tempo_put_attrs(w, "attributes", l->attrs);
        put_count(w, "flags", l->flags);
        sx_json_end_object(w);
    }
    sx_json_end_array(w);
}

static void put_status(sx_json_writer *w, const span *s)
{
    sx_json_key(w, SX_STR("status"));
    sx_json_begin_object(w);
    tempo_put_str(w, "message", s->status_message);
    if (s->status != SPAN_UNSET)
        tempo_put_str(w, "code",
                      s->status == SPAN_OK ? SX_STR("STATUS_CODE_OK")
                                           : SX_STR("STATUS_CODE_ERROR"));
    sx_json_end_object(w);
}

static void put_span(sx_json_writer *w, const span *s)
{
    static const char *const KINDS[] = {"",
                                        "SPAN_KIND_INTERNAL",
                                        "SPAN_KIND_SERVER",
                                        "SPAN_KIND_CLIENT",
                                        "SPAN_KIND_PRODUCER",
                                        "SPAN_KIND_CONSUMER"};
    static const uint8_t ROOT[8];
    sx_json_begin_object(w);
    put_id(w, "traceId", s->trace_id, 16);
    put_id(w, "spanId", s->id, 8);
    tempo_put_str(w, "traceState", s->trace_state);
    if (memcmp(s->parent, ROOT, 8))
        put_id(w, "parentSpanId", s->parent, 8);
    tempo_put_str(w, "name", s->name);
    if (s->kind <= SPAN_CONSUMER)
        tempo_put_str(w, "kind", sx_str_z(KINDS[s->kind]));
    tempo_put_u64(w, "startTimeUnixNano", s->start_ns);
    tempo_put_u64(w, "endTimeUnixNano", s->end_ns);
    tempo_put_attrs(w, "attributes", s->attrs);
    put_events(w, s);
    put_count(w, "droppedEventsCount", s->dropped_events);
    put_links(w, s);
    put_count(w, "droppedLinksCount", s->dropped_links);
    put_status(w, s);
    put_count(w, "flags", s->flags);
    sx_json_end_object(w);
}

/* Spans from `i` on that share a scope; the first that does not. */
static size_t put_scope(sx_json_writer *w, const span_batch *b, size_t i, size_t end)
{
    const span_scope *scope = b->spans[i]->scope;
    sx_json_begin_object(w);
    sx_json_key(w, SX_STR("scope"));
    sx_json_begin_object(w);
    tempo_put_str(w, "name", scope->name);
    tempo_put_str(w, "version", scope->version);
    tempo_put_attrs(w, "attributes", scope->attrs);
    sx_json_end_object(w);
    sx_json_key(w, SX_STR("spans"));
    sx_json_begin_array(w);
    for (; i < end && b->spans[i]->scope == scope; i++)
        put_span(w, b->spans[i]);
    sx_json_end_array(w);
    tempo_put_str(w, "schemaUrl", scope->schema_url);
    sx_json_end_object(w);
    return i;
}

static void put_resources(sx_json_writer *w, const span_batch *b)
{
    sx_json_begin_array(w);
    for (size_t i = 0, end; i < b->count; i = end) {
        const span_resource *r = b->spans[i]->resource;
        for (end = i + 1; end < b->count && b->spans[end]->resource == r;)
            end++;
        sx_json_begin_object(w);
        sx_json_key(w, SX_STR("resource"));
        sx_json_begin_object(w);
        tempo_put_attrs(w, "attributes", r->attrs);
        sx_json_end_object(w);
        sx_json_key(w, SX_STR("scopeSpans"));
        sx_json_begin_array(w);
        while (i < end)
            i = put_scope(w, b, i, end);
        sx_json_end_array(w);
        tempo_put_str(w, "schemaUrl", r->schema_url);
        sx_json_end_object(w);
    }
    sx_json_end_array(w);
}

/* 1 to 32 hex digits. */
static bool read_id(tempo_call *c, uint8_t id[16])
{
    size_t len = c->name.len;
    if (!len) {
        tempo_fail(c, 400, "please provide a traceID");
        return false;
    }
    for (size_t i = 0; i < len; i++)
        if (!memchr("0123456789abcdefABCDEF", c->name.data[i], 22)) {
            unsigned char bad = (unsigned char)c->name.data[i];
            tempo_fail(c, 400,
                       "trace IDs can only contain hex characters: invalid character '%c' at "
                       "position %zu",
                       bad >= ' ' && bad < 127 ? bad : '?', i + 1);
            return false;
        }
    if (len > 32) {
        tempo_fail(c, 400, "trace IDs can't be larger than 128 bits");
        return false;
    }
    memset(id, 0, 16);
    for (size_t i = 0; i < len; i++) {
        char d = c->name.data[len - 1 - i];
        unsigned v = d <= '9' ? (unsigned)(d - '0') : (unsigned)((d | 32) - 'a' + 10);
        id[15 - i / 2] |= (uint8_t)(v << (i & 1 ? 4 : 0));
    }
    return true;
}

/* A new batch with the trace, or NULL: the call has failed. The times say where to look: a trace that
 * has a span there is given whole. */
static span_batch *read_trace(tempo_call *c, bool *partial)
{
    uint8_t id[16];
    uint64_t min_ns, max_ns;
    sx_error err = {0};
    if (!read_id(c, id) || !tempo_seconds_range(c, &min_ns, &max_ns))
        return NULL;
    span_batch *b = span_batch_new(0);
    sx_status status = b ? tr_store_trace(c->store, id, 0, 0, &c->limits, b, partial, &err)
                         : sx_fail_memory(&err, "a trace");
    if (status == SX_OK && max_ns && !span_batch_touches(b, min_ns, max_ns))
        span_batch_reset(b);
    if (status == SX_OK)
        return b;
    if (b)
        span_batch_unref(b);
    tempo_fail_error(c, "", &err);
    return NULL;
}

static void begin_protobuf(tempo_call *c)
{
    c->status = 200;
    c->content_type = SX_STR("application/protobuf");
}

void tempo_trace(tempo_call *c)
{
    bool partial = false;
    c->limits.bytes_max = 0; /* this answer has no place to say that it is partial */
    span_batch *b = read_trace(c, &partial);
    if (!b)
        return;
    if (!b->count) {
        tempo_fail(c, 404, "%s", "");
    } else if (c->protobuf) {
        begin_protobuf(c);
        span_write_otlp(b, c->out);
    } else {
        sx_json_writer w;
        tempo_begin_json(c, &w);
        sx_json_key(&w, SX_STR("batches"));
        put_resources(&w, b);
        tempo_end_json(c, &w);
    }
    span_batch_unref(b);
}

void tempo_trace_v2(tempo_call *c)
{
    static const char PARTIAL[] =
        "the trace is longer than one answer may be: not all spans are here";
    bool partial = false;
    span_batch *b = read_trace(c, &partial);
    if (!b)
        return;
    if (c->protobuf) { /* TraceByIDResponse */
        begin_protobuf(c);
        size_t mark = sx_pb_begin(c->out, 1);
        span_write_otlp(b, c->out);
        sx_pb_end(c->out, mark);
        if (partial) {
            sx_pb_put_u64(c->out, 3, 1);
            sx_pb_put_str(c->out, 4, sx_str_z(PARTIAL));
        }
    } else {
        sx_json_writer w;
        tempo_begin_json(c, &w);
        sx_json_key(&w, SX_STR("trace"));
        sx_json_begin_object(&w);
        if (b->count) {
            sx_json_key(&w, SX_STR("resourceSpans"));
            put_resources(&w, b);
        }
        sx_json_end_object(&w);
        sx_json_key(&w, SX_STR("metrics"));
        sx_json_begin_object(&w);
        sx_json_end_object(&w);
        if (partial) {
            tempo_put_str(&w, "status", SX_STR("PARTIAL"));
            tempo_put_str(&w, "message", sx_str_z(PARTIAL));
        }
        tempo_end_json(c, &w);
    }
    span_batch_unref(b);
}
