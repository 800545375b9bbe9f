/* span_capture.h - a tracer's sink for tests: keeps the last span and reads it back as text.
 *
 * The text has the span's fields in the order of their numbers' meaning, not of the bytes:
 *   NAME kind=K [status=CODE:MESSAGE] {attributes} [dropped=A/E/L] [event NAME {…}]… [link ID {…}]…
 * so that a test is one comparison. */
#ifndef SEXTANT_TESTS_SPAN_CAPTURE_H
#define SEXTANT_TESTS_SPAN_CAPTURE_H

#include <sextant/protobuf.h>
#include <sextant/utf8.h>

#include "telemetry/tracer.h"

typedef struct span_capture {
    char bytes[65536];
    size_t len, spans;
    bool refuse; /* as a full lane does */
    /* Filled by capture_read. */
    uint8_t trace_id[16], span_id[8], parent_id[8];
    uint64_t start_ns, end_ns;
    uint32_t flags;
    char state[600];
    uint64_t dropped[3]; /* attributes, events, links */
    size_t attributes, events, links;
    uint64_t event_ns; /* of the last event */
    sx_buf text;
} span_capture;

static inline char *capture_room(void *to, size_t bytes)
{
    span_capture *c = to;
    assert_true(bytes < sizeof(c->bytes));
    return c->refuse ? NULL : c->bytes;
}

static inline void capture_commit(void *to, size_t bytes)
{
    span_capture *c = to;
    assert_true(bytes < sizeof(c->bytes));
    c->len = bytes;
    c->spans++;
}

static const sx_span_sink CAPTURE = {capture_room, capture_commit};

static inline void read_any(sx_pb_reader *r, sx_buf *out);

static inline void read_pair(sx_pb_reader *r, sx_buf *out)
{
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(1, SX_PB_BYTES)) {
            sx_str key = sx_pb_bytes(r);
            assert_true(sx_utf8_valid(key) && key.len > 0);
            sx_buf_str(out, key);
            sx_buf_byte(out, '=');
        } else {
            assert_int_equal(r->tag, SX_PB_TAG(2, SX_PB_BYTES));
            read_any(r, out);
        }
    }
    sx_pb_leave(r, outer);
}

/* A list of values or pairs, all field 1. */
static inline void read_list(sx_pb_reader *r, sx_buf *out, bool pairs)
{
    sx_pb_outer outer = sx_pb_enter(r);
    for (size_t i = 0; sx_pb_next(r); i++) {
        if (i > 0)
            sx_buf_byte(out, ',');
        if (pairs)
            read_pair(r, out);
        else
            read_any(r, out);
    }
    sx_pb_leave(r, outer);
}

static inline void read_any(sx_pb_reader *r, sx_buf *out)
{
    sx_pb_outer outer = sx_pb_enter(r);
    if (!sx_pb_more(r))
        sx_buf_str(out, SX_STR("nothing"));
    while (sx_pb_next(r))
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES): {
            sx_str text = sx_pb_bytes(r);
            assert_true(sx_utf8_valid(text));
            sx_buf_printf(out, "'%.*s'", SX_ARG(text));
            break;
        }
        case SX_PB_TAG(2, SX_PB_VARINT):
            sx_buf_printf(out, "%s", sx_pb_bool(r) ? "true" : "false");
            break;
        case SX_PB_TAG(3, SX_PB_VARINT):
            sx_buf_i64(out, sx_pb_i64(r));
            break;
        case SX_PB_TAG(4, SX_PB_FIXED64):
            sx_buf_printf(out, "%gf", sx_pb_double(r));
            break;
        case SX_PB_TAG(5, SX_PB_BYTES):
            sx_buf_byte(out, '[');
            read_list(r, out, false);
            sx_buf_byte(out, ']');
            break;
        case SX_PB_TAG(6, SX_PB_BYTES):
            sx_buf_byte(out, '{');
            read_list(r, out, true);
            sx_buf_byte(out, '}');
            break;
        default:
            fail_msg("tag %u in a value", r->tag);
        }
    sx_pb_leave(r, outer);
}

static inline void read_bytes(sx_pb_reader *r, void *out, size_t len)
{
    sx_str bytes = sx_pb_bytes(r);
    assert_int_equal(bytes.len, len);
    memcpy(out, bytes.data, len);
}

static inline void add_pair(sx_pb_reader *r, sx_buf *to)
{
    if (to->len > 0)
        sx_buf_byte(to, ' ');
    read_pair(r, to);
}

static inline void read_event(span_capture *c, sx_pb_reader *r, sx_buf *out)
{
    sx_buf pairs;
    sx_buf_init(&pairs, 0);
    sx_buf_str(out, SX_STR(" event "));
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r))
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_FIXED64):
            c->event_ns = sx_pb_fixed64(r);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            sx_buf_str(out, sx_pb_bytes(r));
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            add_pair(r, &pairs);
            break;
        case SX_PB_TAG(4, SX_PB_VARINT):
            sx_buf_printf(&pairs, " dropped=%d", (int)sx_pb_varint(r));
            break;
        default:
            fail_msg("tag %u in an event", r->tag);
        }
    sx_pb_leave(r, outer);
    sx_buf_printf(out, " {%.*s}", SX_ARG(sx_buf_view(&pairs)));
    sx_buf_done(&pairs);
}

static inline void read_link(sx_pb_reader *r, sx_buf *out)
{
    uint8_t id[16] = {0}, span[8] = {0};
    sx_buf pairs;
    sx_buf_init(&pairs, 0);
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r))
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            read_bytes(r, id, 16);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            read_bytes(r, span, 8);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES): {
            sx_str state = sx_pb_bytes(r);
            sx_buf_printf(&pairs, "(%.*s)", SX_ARG(state));
            break;
        }
        case SX_PB_TAG(4, SX_PB_BYTES):
            add_pair(r, &pairs);
            break;
        case SX_PB_TAG(5, SX_PB_VARINT):
            sx_buf_printf(&pairs, " dropped=%d", (int)sx_pb_varint(r));
            break;
        case SX_PB_TAG(6, SX_PB_FIXED32):
            sx_buf_printf(&pairs, " flags=%x", sx_pb_fixed32(r));
            break;
        default:
            fail_msg("tag %u in a link", r->tag);
        }
    sx_pb_leave(r, outer);
    sx_buf_printf(out, " link %02x/%02x {%.*s}", id[15], span[7], SX_ARG(sx_buf_view(&pairs)));
    sx_buf_done(&pairs);
}

static inline void read_status(sx_pb_reader *r, sx_buf *out)
{
    sx_str message = SX_STR("");
    int code = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r))
        switch (r->tag) {
        case SX_PB_TAG(2, SX_PB_BYTES):
            message = sx_pb_bytes(r);
            assert_true(sx_utf8_valid(message));
            break;
        case SX_PB_TAG(3, SX_PB_VARINT):
            code = (int)sx_pb_varint(r);
            break;
        default:
            fail_msg("tag %u in a status", r->tag);
        }
    sx_pb_leave(r, outer);
    sx_buf_printf(out, " status=%d:%.*s", code, SX_ARG(message));
}

/* The fields with one value. Returns whether it was one. */
static inline bool read_plain(span_capture *c, sx_pb_reader *r, sx_str *name, int *kind)
{
    switch (r->tag) {
    case SX_PB_TAG(1, SX_PB_BYTES):
        read_bytes(r, c->trace_id, 16);
        return true;
    case SX_PB_TAG(2, SX_PB_BYTES):
        read_bytes(r, c->span_id, 8);
        return true;
    case SX_PB_TAG(3, SX_PB_BYTES): {
        sx_str state = sx_pb_bytes(r);
        snprintf(c->state, sizeof(c->state), "%.*s", SX_ARG(state));
        return true;
    }
    case SX_PB_TAG(4, SX_PB_BYTES):
        read_bytes(r, c->parent_id, 8);
        return true;
    case SX_PB_TAG(5, SX_PB_BYTES):
        assert_null(name->data); /* a replaced one is not there twice */
        *name = sx_pb_bytes(r);
        assert_true(sx_utf8_valid(*name));
        return true;
    case SX_PB_TAG(6, SX_PB_VARINT):
        *kind = (int)sx_pb_varint(r);
        return true;
    case SX_PB_TAG(7, SX_PB_FIXED64):
        c->start_ns = sx_pb_fixed64(r);
        return true;
    case SX_PB_TAG(8, SX_PB_FIXED64):
        c->end_ns = sx_pb_fixed64(r);
        return true;
    case SX_PB_TAG(10, SX_PB_VARINT):
        c->dropped[0] = sx_pb_varint(r);
        return true;
    case SX_PB_TAG(12, SX_PB_VARINT):
        c->dropped[1] = sx_pb_varint(r);
        return true;
    case SX_PB_TAG(14, SX_PB_VARINT):
        c->dropped[2] = sx_pb_varint(r);
        return true;
    case SX_PB_TAG(16, SX_PB_FIXED32):
        c->flags = sx_pb_fixed32(r);
        return true;
    default:
        return false;
    }
}

/* How many attributes and events the last span has or says it dropped, without allocating. */
static inline size_t capture_count(const span_capture *c)
{
    sx_pb_reader r;
    size_t count = 0;
    sx_pb_init(&r, sx_str_of(c->bytes, c->len));
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(10, SX_PB_VARINT) || r.tag == SX_PB_TAG(12, SX_PB_VARINT)) {
            count += sx_pb_varint(&r);
            continue;
        }
        count += r.tag == SX_PB_TAG(9, SX_PB_BYTES) || r.tag == SX_PB_TAG(11, SX_PB_BYTES);
        sx_pb_skip(&r);
    }
    assert_int_equal(sx_pb_status(&r, "span", NULL), SX_OK);
    return count;
}

/* Reads the last span; its text lives until the next call. */
static inline const char *capture_read(span_capture *c)
{
    sx_pb_reader r;
    sx_str name = {NULL, 0};
    int kind = 0;
    sx_buf status, pairs, rest;
    sx_buf_init(&status, 0);
    sx_buf_init(&pairs, 0);
    sx_buf_init(&rest, 0);
    memset(c->parent_id, 0, sizeof(c->parent_id));
    memset(c->dropped, 0, sizeof(c->dropped));
    c->attributes = c->events = c->links = 0;
    c->state[0] = '\0';
    sx_pb_init(&r, sx_str_of(c->bytes, c->len));
    while (sx_pb_next(&r)) {
        if (read_plain(c, &r, &name, &kind))
            continue;
        switch (r.tag) {
        case SX_PB_TAG(9, SX_PB_BYTES):
            add_pair(&r, &pairs);
            c->attributes++;
            break;
        case SX_PB_TAG(11, SX_PB_BYTES):
            read_event(c, &r, &rest);
            c->events++;
            break;
        case SX_PB_TAG(13, SX_PB_BYTES):
            read_link(&r, &rest);
            c->links++;
            break;
        case SX_PB_TAG(15, SX_PB_BYTES):
            assert_int_equal(status.len, 0);
            read_status(&r, &status);
            break;
        default:
            fail_msg("tag %u in a span", r.tag);
        }
    }
    assert_int_equal(sx_pb_status(&r, "span", NULL), SX_OK);
    sx_buf_clear(&c->text);
    sx_buf_printf(&c->text, "%.*s kind=%d%.*s {%.*s}", SX_ARG(name), kind,
                  SX_ARG(sx_buf_view(&status)), SX_ARG(sx_buf_view(&pairs)));
    if (c->dropped[0] + c->dropped[1] + c->dropped[2] > 0)
        sx_buf_printf(&c->text, " dropped=%d/%d/%d", (int)c->dropped[0], (int)c->dropped[1],
                      (int)c->dropped[2]);
    sx_buf_str(&c->text, sx_buf_view(&rest));
    sx_buf_byte(&c->text, '\0');
    sx_buf_done(&status);
    sx_buf_done(&pairs);
    sx_buf_done(&rest);
    return c->text.data;
}

#endif
