/* batch_of.h - traces written as OTLP JSON, short: quotes are ', ids are their last digits. */
#ifndef TESTS_UNIT_OBSERVE_JAEGER_BATCH_OF_H
#define TESTS_UNIT_OBSERVE_JAEGER_BATCH_OF_H

#include "tests/unit/base/cmocka_all.h"

#include "observe/jaeger/search.h"
#include "observe/spans/otlp.h"

/* A batch of what stands in `json`, with ' for ". */
static inline span_batch *batch_of(const char *json)
{
    sx_error err = {0};
    sx_buf text;
    span_batch *b = span_batch_new(0);
    assert_non_null(b);
    sx_buf_init(&text, 0);
    for (const char *c = json; *c; c++)
        sx_buf_byte(&text, *c == '\'' ? '"' : *c);
    span_batch_keep(b, &text);
    if (span_read_otlp_json(sx_buf_view(&b->body), NULL, b, NULL, &err) != SX_OK)
        fail_msg("%s", err.message);
    return b;
}

#define TRACE "'traceId':'0af7651916cd43dd8448eb211c80319c'"
#define RESOURCE(attributes, spans)                                                                \
    "{'resource':{'attributes':[" attributes "]},'scopeSpans':[{'spans':[" spans "]}]}"
#define BATCH(resources)      "{'resourceSpans':[" resources "]}"
#define TEXT_ATTR(key, value) "{'key':'" key "','value':{'stringValue':'" value "'}}"
#define INT_ATTR(key, value)  "{'key':'" key "','value':{'intValue':'" value "'}}"
/* A span with times in nanoseconds; `more` begins with a comma or is empty. */
#define SPAN_OF(id, parent, start, end, more)                                                      \
    "{" TRACE ",'spanId':'00000000000000" id "','parentSpanId':'" parent "','name':'n" id          \
    "','startTimeUnixNano':'" start "','endTimeUnixNano':'" end "'" more "}"
#define PARENT(id) "00000000000000" id

#endif
