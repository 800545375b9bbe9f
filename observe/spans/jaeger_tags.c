/* jaeger_tags.c - what in Jaeger's model is a tag or a reference and in OTLP a field.
 *
 * The same rules hold for Thrift and protobuf, with one exception that Jaeger 2 makes: the scope.
 * Source: OpenTelemetry specification, trace/sdk_exporters/jaeger.md, read backwards. */
#include "observe/spans/jaeger_tags.h"

#include <sextant/mem.h>

#include "observe/spans/jaeger.h"

#define NO_SERVICE SX_STR("OTLPResourceNoServiceName")

void jaeger_intake_init(jaeger_intake *in, const span_limits *limits, span_batch *out,
                        span_refused *refused)
{
    *in = (jaeger_intake){.refs = {.size = sizeof(jaeger_ref)}};
    span_intake_init(&in->k, limits, out, refused);
}

void jaeger_intake_done(jaeger_intake *in)
{
    sx_free(in->refs.items);
    span_intake_done(&in->k);
}

void jaeger_put_id(uint8_t *out, int64_t number)
{
    uint64_t big = __builtin_bswap64((uint64_t)number);
    memcpy(out, &big, sizeof(big));
}

void jaeger_add_value(jaeger_intake *in, sx_str key, span_value value, size_t base,
                      uint32_t *dropped)
{
    if (in->k.attrs.count - base >= in->k.limits.attributes_max) {
        ++*dropped;
        return;
    }
    span_attr *place = span_gather_add(&in->k, &in->k.attrs);
    if (place)
        *place = (span_attr){key.data, (uint32_t)key.len, value};
}

void jaeger_add_tag(jaeger_intake *in, const jaeger_tag *tag, size_t base, uint32_t *dropped)
{
    span_value value = {.type = tag->type};
    switch (tag->type) {
    case SPAN_BOOL:
        value.i = tag->truth;
        break;
    case SPAN_INT:
        value.i = tag->number;
        break;
    case SPAN_DOUBLE:
        value.d = tag->real;
        break;
    default:
        span_value_set(&value, tag->type == SPAN_BYTES ? tag->bytes : tag->text, tag->type);
    }
    jaeger_add_value(in, tag->key, value, base, dropped);
}

void jaeger_add_ref(jaeger_intake *in, jaeger_ref ref)
{
    jaeger_ref *place = span_gather_add(&in->k, &in->refs);
    if (place)
        *place = ref;
}

/* --- Tags on the stack, looked up and taken away by name. */

static span_attr *tag_at(jaeger_intake *in, size_t i)
{
    return (span_attr *)(void *)(in->k.attrs.items + i * sizeof(span_attr));
}

static span_attr *find_tag(jaeger_intake *in, size_t base, sx_str key)
{
    for (size_t i = base; i < in->k.attrs.count; i++)
        if (sx_str_eq(span_attr_key(tag_at(in, i)), key))
            return tag_at(in, i);
    return NULL;
}

static void drop_tag(jaeger_intake *in, span_attr *tag)
{
    span_attr *end = tag_at(in, --in->k.attrs.count);
    memmove(tag, tag + 1, (size_t)((char *)end - (char *)tag));
}

/* The text of a tag, which is taken away; whether it was there. */
static bool take_tag(jaeger_intake *in, size_t base, sx_str key, sx_str *text)
{
    span_attr *tag = find_tag(in, base, key);
    if (!tag)
        return false;
    *text = tag->value.type == SPAN_STR ? sx_str_of(tag->value.data, tag->value.len)
                                        : sx_str_of(NULL, 0);
    drop_tag(in, tag);
    return true;
}

/* Its name is its field "event". */
void jaeger_add_event(jaeger_intake *in, span *s, size_t base, span_event event, size_t fields)
{
    take_tag(in, fields, SX_STR("event"), &event.name);
    event.attrs.items = span_gather_take(&in->k, &in->k.attrs, fields, &event.attrs.count);
    if (in->k.events.count - base >= in->k.limits.events_max) {
        s->dropped_events++;
        return;
    }
    span_event *place = span_gather_add(&in->k, &in->k.events);
    if (place)
        *place = event;
}

static void rename_tag(span_attr *tag, sx_str key)
{
    tag->key = key.data;
    tag->key_len = (uint32_t)key.len;
}

/* --- Resources. */

span_resource *jaeger_resource(jaeger_intake *in, sx_str service, size_t base)
{
    sx_arena *arena = &in->k.batch->arena;
    span_resource *r = sx_arena_calloc(arena, 1, sizeof(*r));
    if (!r) {
        in->k.no_memory = true;
        return NULL;
    }
    if (service.len && !sx_str_eq(service, NO_SERVICE)) {
        span_attr *again = find_tag(in, base, SX_STR("service.name"));
        if (again) /* OpenTelemetry's exporter says it a second time */
            drop_tag(in, again);
        span_attr *name = span_gather_add(&in->k, &in->k.attrs);
        if (name) { /* first of all */
            memmove(tag_at(in, base + 1), tag_at(in, base),
                    (in->k.attrs.count - 1 - base) * sizeof(span_attr));
            name = tag_at(in, base);
            *name = (span_attr){0};
            rename_tag(name, SX_STR("service.name"));
            span_value_set(&name->value, service, SPAN_STR);
        }
        r->service = service;
    }
    span_attr *host = find_tag(in, base, SX_STR("hostname"));
    if (host && !find_tag(in, base, SX_STR("host.name")))
        rename_tag(host, SX_STR("host.name"));
    span_attr *version = find_tag(in, base, SX_STR("jaeger.version"));
    if (version && !find_tag(in, base, SX_STR("opencensus.exporterversion"))) {
        sx_str text =
            sx_arena_printf(arena, "Jaeger-%.*s", SX_ARG(span_value_str(&version->value)));
        rename_tag(version, SX_STR("opencensus.exporterversion"));
        span_value_set(&version->value, text, SPAN_STR);
        in->k.no_memory |= text.data == NULL;
    }
    r->attrs.items = span_gather_take(&in->k, &in->k.attrs, base, &r->attrs.count);
    return r;
}

/* --- Spans. */

static const struct {
    sx_str text;
    span_kind kind;
} KINDS[] = {
    {SX_STR_INIT("client"), SPAN_CLIENT},     {SX_STR_INIT("server"), SPAN_SERVER},
    {SX_STR_INIT("producer"), SPAN_PRODUCER}, {SX_STR_INIT("consumer"), SPAN_CONSUMER},
    {SX_STR_INIT("internal"), SPAN_INTERNAL},
};

static void take_kind(jaeger_intake *in, span *s, size_t base)
{
    sx_str text;
    if (!take_tag(in, base, SX_STR("span.kind"), &text))
        return;
    for (size_t i = 0; i < sizeof(KINDS) / sizeof(*KINDS); i++)
        if (sx_str_eq(text, KINDS[i].text))
            s->kind = (uint8_t)KINDS[i].kind;
}

/* The status that an HTTP code stands for; -1: no number at all. */
static int status_of_http(const span_value *v, uint8_t kind)
{
    int64_t code = 0;
    if (v->type == SPAN_INT) {
        code = v->i;
    } else if (v->type == SPAN_STR && v->len > 0 && v->len < 10) {
        for (uint32_t i = 0; i < v->len; i++) {
            if (v->data[i] < '0' || v->data[i] > '9')
                return -1;
            code = code * 10 + (v->data[i] - '0');
        }
    } else {
        return -1;
    }
    if (code >= 400 && code < 500 && kind == SPAN_SERVER)
        return SPAN_UNSET; /* the client's mistake, not the server's */
    return code >= 100 && code < 400 ? SPAN_UNSET : SPAN_ERROR;
}

/* The tag "error" decides; else otel.status_code; else the HTTP status. */
static void take_status(jaeger_intake *in, span *s, size_t base)
{
    sx_str code;
    span_attr *error = find_tag(in, base, SX_STR("error"));
    bool decided = error && error->value.type == SPAN_BOOL && error->value.i;
    const span_attr *message;
    if (decided) {
        s->status = SPAN_ERROR;
        drop_tag(in, error);
        if (!take_tag(in, base, SX_STR("otel.status_description"), &s->status_message) &&
            (message = find_tag(in, base, SX_STR("http.status_message"))))
            s->status_message = span_value_str(&message->value);
    }
    if (take_tag(in, base, SX_STR("otel.status_code"), &code)) {
        if (decided)
            return;
        s->status = sx_str_ieq(code, SX_STR("ok"))      ? SPAN_OK
                    : sx_str_ieq(code, SX_STR("error")) ? SPAN_ERROR
                                                        : SPAN_UNSET;
        take_tag(in, base, SX_STR("otel.status_description"), &s->status_message);
        return;
    }
    const span_attr *http = find_tag(in, base, SX_STR("http.status_code"));
    if (decided || !http)
        return;
    int status = status_of_http(&http->value, s->kind);
    if (status <= SPAN_UNSET)
        return;
    s->status = (uint8_t)status;
    if ((message = find_tag(in, base, SX_STR("http.status_message"))))
        s->status_message = span_value_str(&message->value);
}

static const jaeger_ref *ref_at(const jaeger_intake *in, size_t i)
{
    return (const jaeger_ref *)(const void *)(in->refs.items + i * sizeof(jaeger_ref));
}

static bool is_zero(const uint8_t id[8])
{
    static const uint8_t zero[8] = {0};
    return memcmp(id, zero, sizeof(zero)) == 0;
}

/* A span that names no parent has as its parent what it is a child of in its own trace, or, failing
 * that, what it follows. */
static void find_parent(const jaeger_intake *in, span *s, size_t base)
{
    const jaeger_ref *follows = NULL;
    if (!is_zero(s->parent))
        return;
    for (size_t i = base; i < in->refs.count; i++) {
        const jaeger_ref *ref = ref_at(in, i);
        if (memcmp(ref->trace_id, s->trace_id, sizeof(ref->trace_id)) != 0)
            continue;
        if (!ref->follows_from) {
            memcpy(s->parent, ref->span_id, sizeof(s->parent));
            return;
        }
        if (!follows)
            follows = ref;
    }
    if (follows)
        memcpy(s->parent, follows->span_id, sizeof(s->parent));
}

static void take_links(jaeger_intake *in, span *s, size_t base)
{
#define REF_TYPE(text)                                                                             \
    {                                                                                              \
        "opentracing.ref_type", sizeof("opentracing.ref_type") - 1,                                \
        {                                                                                          \
            {.data = (text)}, sizeof(text) - 1, SPAN_STR                                           \
        }                                                                                          \
    }
    static const span_attr CHILD_OF = REF_TYPE("child_of"), FOLLOWS = REF_TYPE("follows_from");
    size_t links = in->k.links.count;
    for (size_t i = base; i < in->refs.count; i++) {
        const jaeger_ref *ref = ref_at(in, i);
        if (!ref->follows_from && memcmp(ref->span_id, s->parent, sizeof(s->parent)) == 0)
            continue; /* that is the parent */
        if (in->k.links.count - links >= in->k.limits.links_max) {
            s->dropped_links++;
            continue;
        }
        span_link *link = span_gather_add(&in->k, &in->k.links);
        if (!link)
            break;
        memcpy(link->trace_id, ref->trace_id, sizeof(link->trace_id));
        memcpy(link->span_id, ref->span_id, sizeof(link->span_id));
        link->attrs = (span_attrs){ref->follows_from ? &FOLLOWS : &CHILD_OF, 1, 0};
    }
    in->refs.count = base;
    s->links = span_gather_take(&in->k, &in->k.links, links, &s->link_count);
}

void jaeger_end_span(jaeger_intake *in, span *s, size_t tags, size_t refs, bool scoped)
{
    sx_str scope = sx_str_of(NULL, 0), version = sx_str_of(NULL, 0);
    if (scoped && take_tag(in, tags, SX_STR("otel.scope.name"), &scope))
        take_tag(in, tags, SX_STR("otel.scope.version"), &version);
    s->scope = span_intake_scope(&in->k, scope, version);
    take_kind(in, s, tags);
    take_status(in, s, tags);
    take_tag(in, tags, SX_STR("w3c.tracestate"), &s->trace_state);
    s->attrs.items = span_gather_take(&in->k, &in->k.attrs, tags, &s->attrs.count);
    find_parent(in, s, refs);
    take_links(in, s, refs);
    in->k.changed = true;
    if (!s->scope || !s->resource)
        in->k.batch->count--; /* memory ran out: the whole batch is refused */
    else
        span_intake_check(&in->k, s);
}
