/* span_feed.c - load for a trace server: OTLP requests of about 500 spans over HTTP or gRPC.
 *
 *   span_feed http|grpc HOST:PORT SPANS [RATE [CONNECTIONS]]
 *       sends SPANS spans (0: until killed), RATE a second (0: as fast as they are answered), and
 *       prints spans, seconds, refused requests and some of the trace ids sent.
 *
 * Requests (span_load.h) are made before they are timed and sent again and again, each time with new
 * trace ids and times; no two runs send the same ids: the generator's own work is small beside the server's. One request at a time a
 * connection. Plain sockets, and as much of HTTP/2 as gRPC needs; a peer measures itself by its own CPU
 * time. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sextant/mem.h>
#include <sextant/number.h>

#include "bench/observe/span_load.h"

enum { BODIES = 200, TRACES = 42, CONNECTIONS_MAX = 16, IN_BYTES = 1 << 16, TELL = 50 };

typedef struct body {
    sx_buf bytes;
    uint32_t *ids, *times; /* where trace ids and times lie */
    size_t id_count, time_count, ids_cap, times_cap;
    uint64_t spans;
} body;

typedef struct connection {
    int fd;
    unsigned number;
    body bodies[BODIES];
    uint8_t in[IN_BYTES];
    size_t in_len, in_at;
    uint32_t stream;          /* HTTP/2: the last one used */
    int64_t window, per_call; /* what may be sent: on the connection, at first on a stream */
    int64_t call_window;
    uint64_t refused;
} connection;

static struct sockaddr_in address;
static bool grpc;
static uint64_t wanted, rate;
static _Atomic uint64_t sent;
static double began;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- Requests. */

static void put_mark(uint32_t **list, size_t *cap, size_t *count, size_t at)
{
    if (!sx_grow(list, cap, *count + 1, sizeof **list))
        die("marks");
    (*list)[(*count)++] = (uint32_t)at;
}

static uint64_t varint(const uint8_t *p, size_t *at)
{
    uint64_t v = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t b = p[(*at)++];
        v |= (uint64_t)(b & 127) << shift;
        if (b < 128)
            return v;
    }
}

/* Walks ResourceSpans (1), ScopeSpans (2), Span (2) of a request that was just made. */
static void find_marks(body *b, size_t at, size_t end, unsigned depth)
{
    const uint8_t *p = (const uint8_t *)b->bytes.data;
    while (at < end) {
        uint64_t tag = varint(p, &at);
        unsigned field = (unsigned)(tag >> 3);
        if ((tag & 7) == 0) {
            varint(p, &at);
        } else if ((tag & 7) == 1) {
            if (depth == 3 && (field == 7 || field == 8))
                put_mark(&b->times, &b->times_cap, &b->time_count, at);
            at += 8;
        } else {
            uint64_t len = varint(p, &at);
            if (depth == 3 && field == 1)
                put_mark(&b->ids, &b->ids_cap, &b->id_count, at);
            else if ((depth == 0 && field == 1) || ((depth == 1 || depth == 2) && field == 2))
                find_marks(b, at, at + len, depth + 1);
            at += len;
        }
    }
}

static void make_bodies(connection *c)
{
    span_load load = {
        .state = c->number * UINT64_C(7919) + now_ns(), .time_ns = now_ns(), .step_ns = 20000};
    for (size_t i = 0; i < BODIES; i++) {
        body *b = &c->bodies[i];
        sx_buf_init(&b->bytes, 0);
        uint64_t before = load.spans;
        load_request(&load, &b->bytes, TRACES);
        b->spans = load.spans - before;
        find_marks(b, 0, b->bytes.len, 0);
    }
}

/* Other ids than the last time, and times of now. */
static void freshen(body *b, uint64_t round)
{
    uint64_t latest = 0, n;
    for (size_t i = 0; i < b->id_count; i++) {
        memcpy(&n, b->bytes.data + b->ids[i], 8);
        n ^= round * 0x9e3779b97f4a7c15u ^ (round - 1) * 0x9e3779b97f4a7c15u;
        memcpy(b->bytes.data + b->ids[i], &n, 8);
    }
    for (size_t i = 0; i < b->time_count; i++) {
        memcpy(&n, b->bytes.data + b->times[i], 8);
        latest = n > latest ? n : latest;
    }
    uint64_t by = now_ns() - latest;
    for (size_t i = 0; i < b->time_count; i++) {
        memcpy(&n, b->bytes.data + b->times[i], 8);
        n += by;
        memcpy(b->bytes.data + b->times[i], &n, 8);
    }
}

/* --- Bytes. */

static void connect_to(connection *c)
{
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void put_bytes(const connection *c, const void *data, size_t len)
{
    for (const char *at = data; len > 0;) {
        ssize_t n = write(c->fd, at, len);
        if (n <= 0)
            die("write");
        at += n;
        len -= (size_t)n;
    }
}

/* At least `least` bytes at c->in + c->in_at. */
static void need(connection *c, size_t least)
{
    if (c->in_len - c->in_at >= least)
        return;
    memmove(c->in, c->in + c->in_at, c->in_len - c->in_at);
    c->in_len -= c->in_at;
    c->in_at = 0;
    while (c->in_len < least) {
        ssize_t n = read(c->fd, c->in + c->in_len, sizeof c->in - c->in_len);
        if (n <= 0)
            die("read");
        c->in_len += (size_t)n;
    }
}

/* --- HTTP. */

static bool http_call(connection *c, const body *b)
{
    char head[256];
    int len = snprintf(head, sizeof head,
                       "POST /v1/traces HTTP/1.1\r\nHost: feed\r\nContent-Type: "
                       "application/x-protobuf\r\nContent-Length: %zu\r\n\r\n",
                       b->bytes.len);
    put_bytes(c, head, (size_t)len);
    put_bytes(c, b->bytes.data, b->bytes.len);
    const char *end = NULL;
    for (size_t have = 1; !end; have++) {
        need(c, have);
        have = c->in_len - c->in_at;
        end = memmem(c->in + c->in_at, have, "\r\n\r\n", 4);
    }
    const char *start = (const char *)c->in + c->in_at, *line;
    size_t head_len = (size_t)(end + 4 - start);
    uint64_t body_len = 0;
    bool good = memcmp(start + 9, "200", 3) == 0;
    bool ends = false;
    for (line = start; line < end; line++) {
        if (strncasecmp(line, "\ncontent-length: ", 17) == 0)
            body_len = strtoull(line + 17, NULL, 10);
        ends = ends || strncasecmp(line, "\nconnection: close", 18) == 0;
    }
    need(c, head_len + body_len);
    c->in_at += head_len + body_len;
    if (ends) { /* as Jaeger does after each */
        close(c->fd);
        c->in_at = c->in_len = 0;
        connect_to(c);
    }
    return good;
}

/* --- gRPC. */

enum {
    DATA = 0,
    HEADERS = 1,
    SETTINGS = 4,
    PING = 6,
    GOAWAY = 7,
    WINDOW_UPDATE = 8,
    FRAME_MAX = 16384
};

static void put_frame(const connection *c, size_t len, unsigned type, unsigned flags,
                      uint32_t stream, const void *data)
{
    uint8_t out[9 + FRAME_MAX] = {
        (uint8_t)(len >> 16),    (uint8_t)(len >> 8),    (uint8_t)len,
        (uint8_t)type,           (uint8_t)flags,         (uint8_t)(stream >> 24),
        (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream};
    if (len)
        memcpy(out + 9, data, len);
    put_bytes(c, out, 9 + len);
}

static uint32_t u32_of(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* One frame from the server. `message`: it carried a part of the answer; true: the call has ended. */
static bool take_frame(connection *c, bool *message)
{
    need(c, 9);
    const uint8_t *p = c->in + c->in_at;
    size_t len = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
    need(c, 9 + len);
    p = c->in + c->in_at;
    unsigned type = p[3], flags = p[4];
    uint32_t stream = u32_of(p + 5);
    const uint8_t *data = p + 9;
    c->in_at += 9 + len;
    if (type == SETTINGS && !(flags & 1)) {
        for (size_t i = 0; i + 6 <= len; i += 6)
            if (data[i] == 0 && data[i + 1] == 4) {
                c->call_window += (int64_t)u32_of(data + i + 2) - c->per_call;
                c->per_call = u32_of(data + i + 2);
            }
        put_frame(c, 0, SETTINGS, 1, 0, NULL);
    } else if (type == PING && !(flags & 1)) {
        put_frame(c, len, PING, 1, 0, data);
    } else if (type == WINDOW_UPDATE && len == 4) {
        *(stream ? &c->call_window : &c->window) += u32_of(data);
    } else if (type == GOAWAY) {
        fprintf(stderr, "the server says goodbye: %u\n", len >= 8 ? u32_of(data + 4) : 0);
        exit(1);
    } else if (type == DATA && len) {
        uint8_t back[4] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                           (uint8_t)len};
        *message = true;
        put_frame(c, 4, WINDOW_UPDATE, 0, 0, back);
    }
    return (type == HEADERS || type == DATA) && stream == c->stream && (flags & 1);
}

static void grpc_begin(connection *c)
{
    static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    put_bytes(c, PREFACE, sizeof PREFACE - 1);
    put_frame(c, 0, SETTINGS, 0, 0, NULL);
    c->window = c->per_call = 65535;
    c->stream = UINT32_MAX;
}

static size_t put_header(uint8_t *out, const char *name, const char *value)
{
    size_t n = strlen(name), v = strlen(value);
    out[0] = 0; /* literal, not indexed, new name */
    out[1] = (uint8_t)n;
    memcpy(out + 2, name, n);
    out[2 + n] = (uint8_t)v;
    memcpy(out + 3 + n, value, v);
    return 3 + n + v;
}

static bool grpc_call(connection *c, const body *b)
{
    uint8_t head[512];
    size_t at = 0, left = b->bytes.len + 5;
    at += put_header(head + at, ":method", "POST");
    at += put_header(head + at, ":scheme", "http");
    at += put_header(head + at, ":path",
                     "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    at += put_header(head + at, ":authority", "feed");
    at += put_header(head + at, "content-type", "application/grpc");
    at += put_header(head + at, "te", "trailers");
    c->stream += 2; /* 1 at first */
    c->call_window = c->per_call;
    put_frame(c, at, HEADERS, 4, c->stream, head);
    uint8_t piece[FRAME_MAX] = {0, (uint8_t)(b->bytes.len >> 24), (uint8_t)(b->bytes.len >> 16),
                                (uint8_t)(b->bytes.len >> 8), (uint8_t)b->bytes.len};
    size_t used = 5, from = 0;
    bool ended = false, message = false;
    while (left > 0 && !ended) {
        int64_t may = c->window < c->call_window ? c->window : c->call_window;
        if (may <= 0) {
            ended = take_frame(c, &message);
            continue;
        }
        size_t n = left < FRAME_MAX ? left : FRAME_MAX;
        n = (int64_t)n < may ? n : (size_t)may;
        if (n < used)
            die("a window of less than five bytes");
        memcpy(piece + used, b->bytes.data + from, n - used);
        from += n - used;
        used = 0;
        left -= n;
        c->window -= (int64_t)n;
        c->call_window -= (int64_t)n;
        put_frame(c, n, DATA, left == 0, c->stream, piece);
    }
    while (!ended)
        ended = take_frame(c, &message);
    return message; /* an error has no message */
}

/* --- The work. */

static void *work(void *arg)
{
    connection *c = arg;
    connect_to(c);
    if (grpc)
        grpc_begin(c);
    for (uint64_t round = 1;; round++)
        for (size_t i = 0; i < BODIES; i++) {
            body *b = &c->bodies[i];
            uint64_t before = atomic_fetch_add(&sent, b->spans);
            if (wanted && before >= wanted) {
                atomic_fetch_sub(&sent, b->spans);
                return NULL;
            }
            double due = rate ? began + (double)before / (double)rate - now_s() : 0;
            if (due > 0)
                (void)poll(NULL, 0, (int)(due * 1e3));
            freshen(b, round);
            while (!(grpc ? grpc_call(c, b) : http_call(c, b))) { /* refused: once more */
                c->refused++;
                (void)poll(NULL, 0, 20);
            }
        }
}

static void print_ids(const connection *c)
{
    for (unsigned i = 0; i < TELL; i++) {
        const body *b = &c->bodies[i * (BODIES / TELL)];
        const uint8_t *id = (const uint8_t *)b->bytes.data + b->ids[i % b->id_count];
        printf("trace ");
        for (unsigned k = 0; k < 16; k++)
            printf("%02x", id[k]);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    uint64_t count = 2, port = 0;
    char *colon = argc > 2 ? strchr(argv[2], ':') : NULL;
    if (argc < 4 || !colon || !sx_str_to_u64(sx_str_z(colon + 1), &port) ||
        !sx_str_to_u64(sx_str_z(argv[3]), &wanted) ||
        (argc > 4 && !sx_str_to_u64(sx_str_z(argv[4]), &rate)) ||
        (argc > 5 && !sx_str_to_u64(sx_str_z(argv[5]), &count)) || count > CONNECTIONS_MAX) {
        fprintf(stderr, "usage: span_feed http|grpc HOST:PORT SPANS [RATE [CONNECTIONS]]\n");
        return 2;
    }
    grpc = strcmp(argv[1], "grpc") == 0;
    *colon = '\0';
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, argv[2], &address.sin_addr) != 1)
        die("address");
    connection *connections = calloc(count, sizeof *connections);
    pthread_t threads[CONNECTIONS_MAX];
    if (!connections)
        die("memory");
    for (unsigned i = 0; i < count; i++) {
        connections[i].number = i;
        make_bodies(&connections[i]);
    }
    began = now_s();
    for (unsigned i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, work, &connections[i]) != 0)
            die("thread");
    uint64_t refused = 0;
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        refused += connections[i].refused;
    }
    printf("spans %" PRIu64 "\nseconds %.3f\nrefused %" PRIu64 "\n", atomic_load(&sent),
           now_s() - began, refused);
    print_ids(&connections[0]);
    return 0;
}
