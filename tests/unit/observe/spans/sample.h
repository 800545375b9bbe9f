/* sample.h - a batch with every kind of thing a span can hold, for the tests of all formats. */
#ifndef TESTS_SPANS_SAMPLE_H
#define TESTS_SPANS_SAMPLE_H

#include "observe/spans/span.h"

#define SAMPLE_STR(s)          {{.data = (s)}, sizeof(s) - 1, SPAN_STR}
#define SAMPLE_ATTR(name, ...) {(name), sizeof(name) - 1, __VA_ARGS__}

static const span_value SAMPLE_ITEMS[] = {SAMPLE_STR("a"), {{.i = -7}, 0, SPAN_INT}};
static const span_attr SAMPLE_MEMBERS[] = {
    SAMPLE_ATTR("inner", {{.items = SAMPLE_ITEMS}, 2, SPAN_LIST}),
    SAMPLE_ATTR("none", {{.data = NULL}, 0, SPAN_EMPTY})};
static const span_attr SAMPLE_ATTRS[] = {
    SAMPLE_ATTR("http.route", SAMPLE_STR("/search")),
    SAMPLE_ATTR("caf\xc3\xa9", SAMPLE_STR("cr\xc3\xa8me")),
    SAMPLE_ATTR("http.status_code", {{.i = 200}, 0, SPAN_INT}),
    SAMPLE_ATTR("cache.hit", {{.i = 1}, 0, SPAN_BOOL}),
    SAMPLE_ATTR("ratio", {{.d = 72.5}, 0, SPAN_DOUBLE}),
    SAMPLE_ATTR("raw", {{.data = "\x00\xff\x7f"}, 3, SPAN_BYTES}),
    SAMPLE_ATTR("map", {{.members = SAMPLE_MEMBERS}, 2, SPAN_MAP}),
    SAMPLE_ATTR("empty", SAMPLE_STR("")),
};
static const span_attr SAMPLE_RESOURCE_ATTRS[] = {
    SAMPLE_ATTR("service.name", SAMPLE_STR("geocoder")),
    SAMPLE_ATTR("host.name", SAMPLE_STR("box-1"))};
static const span_resource SAMPLE_RESOURCE = {
    .attrs = {SAMPLE_RESOURCE_ATTRS, 2, 1},
    .schema_url = SX_STR_INIT("https://opentelemetry.io/schemas/1.26.0"),
    .service = SX_STR_INIT("geocoder")};
static const span_scope SAMPLE_SCOPE = {
    .name = SX_STR_INIT("lib"), .version = SX_STR_INIT("1.2"), .attrs = {&SAMPLE_ATTRS[3], 1, 2}};
static const span_scope SAMPLE_NO_SCOPE = {.name = SX_STR_INIT("")};
static const span_event SAMPLE_EVENTS[] = {
    {1700000000000000500u, SX_STR_INIT("exception"), {SAMPLE_ATTRS, 3, 4}}};
static const span_link SAMPLE_LINKS[] = {
    {.trace_id = {9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9},
     .span_id = {8, 8, 8, 8, 8, 8, 8, 8},
     .trace_state = SX_STR_INIT("k=v"),
     .flags = 257,
     .attrs = {&SAMPLE_ATTRS[2], 1, 0}}};
static const span SAMPLE_SPANS[] = {
    {.trace_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
     .id = {1, 1, 1, 1, 1, 1, 1, 1},
     .start_ns = 1700000000000000000u,
     .end_ns = 1700000000000001000u,
     .name = SX_STR_INIT("GET /search"),
     .trace_state = SX_STR_INIT("vendor=1"),
     .status_message = SX_STR_INIT("went wrong"),
     .attrs = {SAMPLE_ATTRS, 8, 3},
     .events = SAMPLE_EVENTS,
     .links = SAMPLE_LINKS,
     .event_count = 1,
     .link_count = 1,
     .dropped_events = 5,
     .dropped_links = 6,
     .flags = 0x301,
     .kind = SPAN_SERVER,
     .status = SPAN_ERROR,
     .resource = &SAMPLE_RESOURCE,
     .scope = &SAMPLE_SCOPE},
    {.trace_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
     .id = {2, 2, 2, 2, 2, 2, 2, 2},
     .parent = {1, 1, 1, 1, 1, 1, 1, 1},
     .start_ns = 1700000000000000100u,
     .end_ns = 1700000000000000050u, /* before its start: kept as it is */
     .name = SX_STR_INIT("lookup"),
     .kind = SPAN_INTERNAL,
     .resource = &SAMPLE_RESOURCE,
     .scope = &SAMPLE_NO_SCOPE},
};

#endif
