/* fuzz_span.c - whatever is set on a span, in whatever order, its bytes are a well-formed message
 * within its limit whose texts are UTF-8, with one name, one status and each key once, and everything
 * that was given is in it or counted as dropped. */
#include <sextant/protobuf.h>
#include <sextant/utf8.h>

#include "telemetry/tracer.h"

enum { SPAN_BYTES = 8192, KEYS = 8 };

static char lane[65536];
static size_t lane_len;

static char *lane_room(void *to, size_t bytes)
{
    (void)to;
    sx_assert(bytes <= SPAN_BYTES);
    return lane;
}

static void lane_commit(void *to, size_t bytes)
{
    (void)to;
    lane_len = bytes;
}

/* The input as a program: a byte says what to do, the next how long its text is. */
typedef struct program {
    sx_str rest;
    size_t sets, events;
    bool renamed, failed;
} program;

static sx_str take_text(program *p, size_t times)
{
    static char long_text[4096];
    unsigned len = p->rest.len > 0 ? (unsigned char)p->rest.data[0] : 0;
    p->rest = sx_str_from(p->rest, 1);
    sx_str text = sx_str_first(p->rest, len);
    p->rest = sx_str_from(p->rest, len);
    if (times < 2 || text.len * times > sizeof(long_text))
        return text;
    for (size_t i = 0; i < times; i++)
        memcpy(long_text + i * text.len, text.data, text.len);
    return sx_str_of(long_text, text.len * times);
}

static void step(program *p, sx_span *span)
{
    static const char *const NAMES[KEYS] = {"a", "b", "key.c", "d", "\xff", "f", "g", "long.key.h"};
    unsigned what = (unsigned char)p->rest.data[0];
    const char *key = NAMES[what % KEYS];
    p->rest = sx_str_from(p->rest, 1);
    switch (what / KEYS % 8) {
    case 0:
        SX_SPAN_SET(span, sx_field_str(key, take_text(p, 1 + what / 64 * 5)));
        p->sets++;
        break;
    case 1:
        SX_SPAN_SET(span, sx_field_json(key, take_text(p, 1)));
        p->sets++;
        break;
    case 2:
        SX_SPAN_SET(span, sx_field_u64(key, what * UINT64_C(0x123456789abcdef)));
        p->sets++;
        break;
    case 3:
        sx_span_rename(span, take_text(p, 9));
        p->renamed = true;
        break;
    case 4:
        sx_span_event(span, take_text(p, 1), &(sx_field){key, SX_FIELD_I64, .i64 = -1}, 1);
        p->events++;
        break;
    case 5:
        sx_span_error(span, SX_STR("type"), take_text(p, 9));
        p->failed = true;
        p->events++;
        break;
    case 6: {
        sx_str texts[2] = {take_text(p, 1), take_text(p, 3)};
        sx_span_set_texts(span, key, texts, 2);
        p->sets++;
        break;
    }
    default:
        SX_SPAN_SET(span, sx_field_double(key, what), sx_field_bool(key, what & 1));
        p->sets += 2;
    }
}

/* Walks every text that is under a field whose contents are known to be messages. */
static void check_key(sx_pb_reader *r, sx_str seen[KEYS], size_t *count)
{
    sx_pb_outer outer = sx_pb_enter(r);
    sx_assert(sx_pb_next(r) && r->tag == SX_PB_TAG(1, SX_PB_BYTES));
    sx_str key = sx_pb_bytes(r);
    sx_assert(sx_utf8_valid(key) && *count < KEYS);
    for (size_t i = 0; i < *count; i++)
        sx_assert(!sx_str_eq(seen[i], key));
    seen[(*count)++] = key;
    while (sx_pb_next(r))
        sx_pb_skip(r);
    sx_pb_leave(r, outer);
}

static void check_span(const program *p)
{
    sx_pb_reader r;
    sx_str seen[KEYS];
    size_t keys = 0, names = 0, statuses = 0, events = 0, attributes_dropped = 0;
    sx_pb_init(&r, sx_str_of(lane, lane_len));
    while (sx_pb_next(&r))
        switch (r.tag) {
        case SX_PB_TAG(5, SX_PB_BYTES):
            names++;
            sx_assert(sx_utf8_valid(sx_pb_bytes(&r)));
            break;
        case SX_PB_TAG(9, SX_PB_BYTES):
            check_key(&r, seen, &keys);
            break;
        case SX_PB_TAG(10, SX_PB_VARINT):
            attributes_dropped = sx_pb_varint(&r);
            break;
        case SX_PB_TAG(11, SX_PB_BYTES):
            events++;
            sx_pb_skip(&r);
            break;
        case SX_PB_TAG(12, SX_PB_VARINT):
            events += sx_pb_varint(&r);
            break;
        case SX_PB_TAG(15, SX_PB_BYTES):
            statuses++;
            sx_pb_skip(&r);
            break;
        default:
            sx_pb_skip(&r);
        }
    sx_assert(sx_pb_status(&r, "span", NULL) == SX_OK);
    sx_assert(names == 1 && statuses == p->failed && events == p->events);
    sx_assert(keys + attributes_dropped <= p->sets && (p->sets == 0 || keys + attributes_dropped));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const sx_span_sink SINK = {lane_room, lane_commit};
    program p = {.rest = sx_str_of(data, size)};
    sx_tracer *t;
    sx_tracer_options options = {.span_bytes_max = SPAN_BYTES, .value_bytes_max = 2000};
    sx_assert(sx_tracer_new_to(&options, &SINK, NULL, &t, NULL) == SX_OK);
    sx_span span;
    sx_span_start(&span, t, &(sx_span_options){.name = SX_STR("start")});
    sx_assert(sx_span_recording(&span));
    while (p.rest.len > 0)
        step(&p, &span);
    sx_span_end(&span);
    check_span(&p);
    sx_tracer_free(t);
    return 0;
}
