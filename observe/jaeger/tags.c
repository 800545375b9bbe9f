/* tags.c - a span's tags as Jaeger shows them. See search.h.
 *
 * The order is that of the translation that Jaeger 2 uses: the scope, the attributes, then what is
 * made of kind, status and trace state. */
#include "observe/jaeger/search.h"

sx_str jaeger_service_name(const span_resource *r)
{
    if (r->service.len)
        return r->service;
    return span_attrs_find(r->attrs, SX_STR("service.name")) ? JAEGER_EMPTY_SERVICE
                                                             : JAEGER_NO_SERVICE;
}

sx_str jaeger_operation_name(const span *s)
{
    return s->name.len ? s->name : JAEGER_EMPTY_OPERATION;
}

static bool text_tag(jaeger_tag_fn *fn, void *ctx, sx_str key, sx_str text)
{
    span_value v = {.data = text.data, .len = (uint32_t)text.len, .type = SPAN_STR};
    return text.len == 0 || fn(ctx, key, &v);
}

static bool status_tags(const span *s, jaeger_tag_fn *fn, void *ctx)
{
    static const span_value YES = {.i = 1, .type = SPAN_BOOL};
    if (s->status == SPAN_OK)
        return text_tag(fn, ctx, SX_STR("otel.status_code"), SX_STR("OK"));
    if (s->status == SPAN_ERROR)
        return text_tag(fn, ctx, SX_STR("otel.status_code"), SX_STR("ERROR")) &&
               fn(ctx, SX_STR("error"), &YES);
    return true;
}

bool jaeger_span_tags(const span *s, jaeger_tag_fn *fn, void *ctx)
{
    if (!text_tag(fn, ctx, SX_STR("otel.scope.name"), s->scope->name) ||
        !text_tag(fn, ctx, SX_STR("otel.scope.version"), s->scope->version))
        return false;
    for (uint32_t i = 0; i < s->attrs.count; i++)
        if (!fn(ctx, span_attr_key(&s->attrs.items[i]), &s->attrs.items[i].value))
            return false;
    return text_tag(fn, ctx, SX_STR("span.kind"), jaeger_kind_name(s->kind)) &&
           status_tags(s, fn, ctx) &&
           text_tag(fn, ctx, SX_STR("otel.status_description"), s->status_message) &&
           text_tag(fn, ctx, SX_STR("w3c.tracestate"), s->trace_state);
}
