/* span_load.h - spans as a shop of twelve services sends them, for benchmarks: the same for the same
 * seed. About eight attributes a span, two of them unlike any other's, twelve spans a trace, 500 a
 * request. */
#ifndef BENCH_SPAN_LOAD_H
#define BENCH_SPAN_LOAD_H

#include <stdio.h>

#include <sextant/buf.h>
#include <sextant/protobuf.h>

typedef struct span_load {
    uint64_t state;   /* of the random numbers */
    uint64_t time_ns; /* when the next trace begins */
    uint64_t step_ns; /* between traces */
    uint64_t spans;   /* made so far */
} span_load;

enum { LOAD_SERVICES = 12, LOAD_TRACE_SPANS = 12 };

static inline uint64_t load_random(span_load *l)
{
    uint64_t z = (l->state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline void load_text(sx_buf *out, const char *key, const char *text)
{
    size_t attr = sx_pb_begin(out, 9);
    sx_pb_put_str(out, 1, sx_str_z(key));
    size_t value = sx_pb_begin(out, 2);
    sx_pb_put_str(out, 1, sx_str_z(text));
    sx_pb_end(out, value);
    sx_pb_end(out, attr);
}

static inline void load_int(sx_buf *out, const char *key, int64_t n)
{
    size_t attr = sx_pb_begin(out, 9);
    sx_pb_put_str(out, 1, sx_str_z(key));
    size_t value = sx_pb_begin(out, 2);
    sx_pb_put_i64(out, 3, n);
    sx_pb_end(out, value);
    sx_pb_end(out, attr);
}

typedef struct load_span {
    uint64_t trace[2], id, parent, start_ns, end_ns;
    unsigned service, route;
    bool failed;
} load_span;

static inline void load_put_span(span_load *l, sx_buf *out, const load_span *s)
{
    static const char *const ROUTES[] = {
        "/api/users/{id}", "/api/orders", "/api/orders/{id}/items", "/api/cart", "/health",
        "/api/search",     "/api/pay",    "/api/stock/{sku}"};
    static const char *const METHODS[] = {"GET", "POST", "PUT", "DELETE"};
    static const char *const SYSTEMS[] = {"postgresql", "redis", "kafka", "mongodb"};
    char text[96];
    unsigned kind = s->parent == 0 ? 2 : 1 + (unsigned)(load_random(l) % 5);
    size_t mark = sx_pb_begin(out, 2);
    sx_pb_put_str(out, 1, sx_str_of(s->trace, 16));
    sx_pb_put_str(out, 2, sx_str_of(&s->id, 8));
    if (s->parent)
        sx_pb_put_str(out, 4, sx_str_of(&s->parent, 8));
    snprintf(text, sizeof(text), "%s %s", METHODS[s->route % 4], ROUTES[s->route % 8]);
    sx_pb_put_str(out, 5, sx_str_z(text));
    sx_pb_put_u64(out, 6, kind);
    sx_pb_put_fixed64(out, 7, s->start_ns);
    sx_pb_put_fixed64(out, 8, s->end_ns);
    load_text(out, "http.request.method", METHODS[s->route % 4]);
    load_text(out, "http.route", ROUTES[s->route % 8]);
    load_int(out, "http.response.status_code", s->failed ? 500 : 200);
    snprintf(text, sizeof(text), "/api/orders/%llu/items?page=%u",
             (unsigned long long)(load_random(l) % 1000000), (unsigned)(load_random(l) % 20));
    load_text(out, "url.path", text);
    load_text(out, "db.system", SYSTEMS[s->route % 4]);
    load_text(out, "server.address", "orders.svc.cluster.local");
    load_int(out, "server.port", 8080);
    snprintf(text, sizeof(text), "user-%llu", (unsigned long long)(load_random(l) % 100000));
    load_text(out, "enduser.id", text);
    if (s->failed) {
        size_t event = sx_pb_begin(out, 11);
        sx_pb_put_fixed64(out, 1, s->end_ns);
        sx_pb_put_str(out, 2, SX_STR("exception"));
        sx_pb_end(out, event);
    }
    size_t status = sx_pb_begin(out, 15);
    if (s->failed)
        sx_pb_put_u64(out, 3, 2);
    sx_pb_end(out, status);
    sx_pb_end(out, mark);
    l->spans++;
}

/* Appends one ExportTraceServiceRequest of `traces` whole traces, cut by service as collectors do. */
static inline void load_request(span_load *l, sx_buf *out, unsigned traces)
{
    enum { TRACES_MAX = 64 };
    static load_span spans[TRACES_MAX * LOAD_TRACE_SPANS];
    unsigned count = 0;
    for (unsigned t = 0; t < traces && t < TRACES_MAX; t++) {
        uint64_t trace[2] = {load_random(l), load_random(l)}, start = l->time_ns;
        for (unsigned i = 0; i < LOAD_TRACE_SPANS; i++) {
            load_span *s = &spans[count++];
            uint64_t begin = start + i * (load_random(l) % 300000);
            *s = (load_span){.trace = {trace[0], trace[1]},
                             .id = load_random(l) | 1,
                             .parent = i ? spans[count - 1 - 1 - load_random(l) % i].id : 0,
                             .start_ns = begin,
                             .end_ns = begin + 50000 + load_random(l) % 20000000,
                             .service = (unsigned)(load_random(l) % LOAD_SERVICES),
                             .route = (unsigned)(load_random(l) % 32),
                             .failed = load_random(l) % 100 == 0};
        }
        l->time_ns += l->step_ns;
    }
    for (unsigned service = 0; service < LOAD_SERVICES; service++) {
        char name[32];
        size_t rs = sx_pb_begin(out, 1), resource = sx_pb_begin(out, 1);
        static const char *const KEYS[] = {"service.name", "service.version", "host.name",
                                           "telemetry.sdk.language"};
        for (unsigned k = 0; k < 4; k++) {
            snprintf(name, sizeof(name),
                     k == 0   ? "service-%u"
                     : k == 1 ? "1.%u.0"
                              : "node-%u",
                     service);
            size_t attr = sx_pb_begin(out, 1);
            sx_pb_put_str(out, 1, sx_str_z(KEYS[k]));
            size_t value = sx_pb_begin(out, 2);
            sx_pb_put_str(out, 1, k == 3 ? SX_STR("go") : sx_str_z(name));
            sx_pb_end(out, value);
            sx_pb_end(out, attr);
        }
        sx_pb_end(out, resource);
        size_t ss = sx_pb_begin(out, 2), scope = sx_pb_begin(out, 1);
        sx_pb_put_str(out, 1, SX_STR("net/http"));
        sx_pb_end(out, scope);
        for (unsigned i = 0; i < count; i++)
            if (spans[i].service == service)
                load_put_span(l, out, &spans[i]);
        sx_pb_end(out, ss);
        sx_pb_end(out, rs);
    }
}

#endif
