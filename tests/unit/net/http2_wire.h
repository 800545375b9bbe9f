/* http2_wire.h - a client that writes HTTP/2 frames by hand, for the tests of the server. */
#ifndef TESTS_NET_HTTP2_WIRE_H
#define TESTS_NET_HTTP2_WIRE_H

#include "tests/unit/base/cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>

#include "lib/base/fault.h"
#include "tests/unit/net/http_fixture.h"

enum {
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { NO_ERROR = 0, PROTOCOL_ERROR = 1, FLOW_CONTROL_ERROR = 3, CANCEL = 8, CALM = 11 };

/* One client's connection. */
typedef struct wire {
    http_fixture f;
    int fd;
    sx_buf out; /* frames being built */
    sx_buf in;  /* what has come, from `at` on not yet looked at */
    size_t at;
    int closed; /* 1 FIN, 2 RST */
    nghttp2_hd_inflater *inflater;
    struct {
        size_t at;
        char status[8];
    } heads[512]; /* of HEADERS frames, decoded once and in order */
    size_t head_count;
} wire;

typedef struct frame {
    int type, flags;
    uint32_t stream;
    sx_str payload;
    char status[8]; /* :status of HEADERS */
} frame;

static inline void put32(sx_buf *b, uint32_t v)
{
    char bytes[4] = {(char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v};
    sx_buf_bytes(b, bytes, 4);
}

static inline void add_frame(wire *w, int type, int flags, uint32_t stream, sx_str payload)
{
    char head[5] = {(char)(payload.len >> 16), (char)(payload.len >> 8), (char)payload.len,
                    (char)type, (char)flags};
    sx_buf_bytes(&w->out, head, 5);
    put32(&w->out, stream);
    sx_buf_str(&w->out, payload);
}

/* A literal field without indexing, no Huffman: RFC 7541, section 6.2.2. */
static inline void add_field(sx_buf *b, const char *name, const char *value)
{
    size_t lengths[2] = {strlen(name), strlen(value)};
    const char *texts[2] = {name, value};
    sx_buf_byte(b, 0);
    for (int i = 0; i < 2; i++) {
        size_t n = lengths[i];
        if (n < 127) {
            sx_buf_byte(b, (char)n);
        } else {
            sx_buf_byte(b, 127);
            for (n -= 127; n >= 128; n /= 128)
                sx_buf_byte(b, (char)(128 | n % 128));
            sx_buf_byte(b, (char)n);
        }
        sx_buf_bytes(b, texts[i], lengths[i]);
    }
}

static inline void request_block(sx_buf *b, const char *method, const char *path)
{
    add_field(b, ":method", method);
    add_field(b, ":scheme", "http");
    add_field(b, ":authority", "a.test");
    add_field(b, ":path", path);
}

static inline void add_request(wire *w, uint32_t stream, const char *method, const char *path,
                               int flags, const char *name, const char *value)
{
    sx_buf block;
    sx_buf_init(&block, 0);
    request_block(&block, method, path);
    if (name)
        add_field(&block, name, value);
    add_frame(w, HEADERS, flags, stream, sx_buf_view(&block));
    sx_buf_done(&block);
}

static inline void receive(wire *w)
{
    char bytes[65536];
    for (int idle = 0; idle < 20 && !w->closed;) {
        sx_loop_turn(w->f.loop);
        ssize_t n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0)
            sx_buf_bytes(&w->in, bytes, (size_t)n);
        else if (n == 0)
            w->closed = 1;
        else if (errno == ECONNRESET)
            w->closed = 2;
        else
            idle++;
    }
}

static inline void flush(wire *w)
{
    http_fixture_send(&w->f, w->fd, w->out.data, w->out.len);
    sx_buf_clear(&w->out);
    receive(w);
}

static inline void open_wire(wire *w, const sx_http_limits *limits)
{
    memset(w, 0, sizeof(*w));
    http_fixture_open(&w->f, limits);
    w->fd = http_fixture_connect(&w->f);
    sx_buf_str(&w->out, SX_STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    add_frame(w, SETTINGS, 0, 0, SX_STR(""));
    add_frame(w, SETTINGS, ACK, 0, SX_STR("")); /* of the server's, which comes first in effect */
    assert_int_equal(nghttp2_hd_inflate_new(&w->inflater), 0);
}

static inline void close_wire(wire *w)
{
    nghttp2_hd_inflate_del(w->inflater);
    close(w->fd);
    sx_buf_done(&w->out);
    sx_buf_done(&w->in);
    http_fixture_close(&w->f);
}

/* The :status of the HEADERS frame at `at`: decoded when first seen, remembered when seen again. */
static const char *status_at(wire *w, size_t at, sx_str block)
{
    for (size_t i = 0; i < w->head_count; i++) {
        if (w->heads[i].at == at)
            return w->heads[i].status;
    }
    assert_true(w->head_count < SX_COUNT_OF(w->heads));
    char *status = w->heads[w->head_count].status;
    w->heads[w->head_count++].at = at;
    const uint8_t *p = (const uint8_t *)block.data;
    for (size_t left = block.len; left;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(w->inflater, &field, &flags, p, left, 1);
        assert_true(n >= 0);
        p += n;
        left -= (size_t)n;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) && field.namelen == 7 && field.valuelen == 3)
            memcpy(status, field.value, 3);
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    nghttp2_hd_inflate_end_headers(w->inflater);
    return status;
}

/* The next frame that has come; false if there is none. */
static inline bool next_frame(wire *w, frame *out)
{
    const uint8_t *p = (const uint8_t *)w->in.data + w->at;
    size_t left = w->in.len - w->at;
    if (left < 9)
        return false;
    size_t len = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
    assert_true(left >= 9 + len);
    *out = (frame){p[3], p[4], (uint32_t)p[5] << 24 | (uint32_t)p[6] << 16 | p[7] << 8 | p[8],
                   sx_str_of(p + 9, len), ""};
    if (out->type == HEADERS)
        memcpy(out->status, status_at(w, w->at, out->payload), sizeof(out->status));
    w->at += 9 + len;
    return true;
}

/* The next frame of that type and stream (others are skipped). */
static inline bool find_frame(wire *w, int type, uint32_t stream, frame *out)
{
    while (next_frame(w, out)) {
        if (out->type == type && out->stream == stream)
            return true;
    }
    return false;
}

static uint32_t get32(sx_str s, size_t at)
{
    const uint8_t *p = (const uint8_t *)s.data + at;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void expect_rst(wire *w, uint32_t stream, uint32_t code)
{
    frame fr;
    assert_true(find_frame(w, RST_STREAM, stream, &fr));
    assert_int_equal(get32(fr.payload, 0), code);
}

static inline void expect_goaway(wire *w, uint32_t code)
{
    frame fr;
    assert_true(find_frame(w, GOAWAY, 0, &fr));
    assert_int_equal(get32(fr.payload, 4), code);
}

static inline void expect_status(wire *w, uint32_t stream, const char *status)
{
    frame fr;
    assert_true(find_frame(w, HEADERS, stream, &fr));
    assert_string_equal(fr.status, status);
}

#endif
