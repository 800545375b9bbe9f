/* bench_chain.c - what the kit does for one request besides sockets and parsing: id, route, reply,
 * metrics, access log. Budget: 1 us. Then all of it with a limit by client, a trace of which 1 % is
 * exported and a breaker asked by the handler, in CPU time of the whole process: the log's writer and
 * the exporter count, as their peers' do in bench/kit.
 *
 * Runs on a service's own loop, with an exchange whose protocol sends nothing. The access log goes
 * to a file; its writer is waited for between batches, so that no line is dropped. */
#include <stdio.h>
#include <time.h>

#include <sextant/breaker.h>

#include "net/exchange.h"
#include "service/service_internal.h"

enum { BATCH = 2000, BATCHES = 200 };

static sx_status begin_nothing(sx_exchange *x, int64_t body_bytes, sx_str body, bool last,
                               bool fixed)
{
    (void)x;
    (void)body_bytes;
    (void)body;
    (void)last;
    (void)fixed;
    return SX_OK;
}

static void free_nothing(sx_exchange *x)
{
    (void)x;
}

static const sx_exchange_ops OPS = {.begin = begin_nothing, .free = free_nothing};

static void hello(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply_static(r, 200, SX_STR("text/plain"), SX_STR("hello, world\n"));
}

static struct {
    sx_service *service;
    sx_breaker *breaker;
    bool whole;   /* all that a service may have is on */
    int finished; /* atomic */
} bench;

static void guarded_hello(sx_request *r, void *ctx)
{
    sx_breaker_pass pass;
    if (!sx_breaker_allow(bench.breaker, &pass))
        return;
    hello(r, ctx);
    sx_breaker_done(bench.breaker, &pass, true);
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static const sx_route ROUTES[] = {{SX_GET, "/api/v1/query", hello},
                                  {SX_GET, "/users/:id/posts/:post", hello},
                                  {SX_GET, "/guarded", guarded_hello}};

static void one_request(sx_exchange *x, const sx_peer *peer, sx_str path, const sx_header *headers,
                        size_t header_count)
{
    sx_exchange_reset(x);
    x->body_done = true;
    x->request.method = SX_GET;
    x->request.method_text = SX_STR("GET");
    x->request.target = x->request.path = path;
    x->request.peer = peer;
    x->request.version = 11;
    x->request.headers = headers;
    x->request.header_count = header_count;
    sx_exchange_start(x);
    sx_exchange_sent(x);
    sx_exchange_drop(x);
}

static void measure(const char *name, const char *path, const sx_header *headers, size_t count)
{
    static const sx_peer PEER = {.address = "127.0.0.1", .port = 1};
    const sx_clock *clock = sx_clock_system();
    sx_exchange x;
    int64_t spent = 0, cpu = cpu_ns();
    sx_exchange_init(&x, &OPS, bench.service->loops[0].servers[0].server, 0);
    for (int i = 0; i < BATCHES; i++) {
        int64_t start = sx_clock_mono_ns(clock);
        for (int k = 0; k < BATCH; k++)
            one_request(&x, &PEER, sx_str_z(path), headers, count);
        spent += sx_clock_mono_ns(clock) - start;
        sx_log_flush(bench.service->access_log, 1000);
    }
    if (bench.whole)
        spent = cpu_ns() - cpu;
    sx_exchange_fini(&x);
    printf("%s %.1f ns\n", name, (double)spent / BATCH / BATCHES);
}

static void on_loop(sx_loop *loop, void *arg)
{
    (void)loop;
    (void)arg;
    static const sx_header PLAIN[] = {{SX_STR_INIT("Host"), SX_STR_INIT("localhost")}};
    static const sx_header FULL[] = {
        {SX_STR_INIT("Host"), SX_STR_INIT("localhost")},
        {SX_STR_INIT("User-Agent"), SX_STR_INIT("Mozilla/5.0 (X11; Linux x86_64) Firefox")},
        {SX_STR_INIT("Accept"), SX_STR_INIT("text/html,application/xhtml+xml")},
        {SX_STR_INIT("Accept-Encoding"), SX_STR_INIT("gzip, deflate, br")},
        {SX_STR_INIT("X-Request-ID"), SX_STR_INIT("01890a5d-ac96-774b-bcce-b302099a8057")}};
    static const sx_header TRACED[] = {
        {SX_STR_INIT("Host"), SX_STR_INIT("localhost")},
        {SX_STR_INIT("User-Agent"), SX_STR_INIT("Mozilla/5.0 (X11; Linux x86_64) Firefox")},
        {SX_STR_INIT("Accept-Encoding"), SX_STR_INIT("gzip, deflate, br")},
        {SX_STR_INIT("traceparent"),
         SX_STR_INIT("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")},
        {SX_STR_INIT("tracestate"), SX_STR_INIT("vendor=value")}};
    if (bench.whole) {
        measure("chain_whole", "/guarded", PLAIN, 1);
        measure("chain_whole_in_a_trace", "/guarded", TRACED, 5);
    } else {
        measure("chain_new_id", "/api/v1/query", PLAIN, 1);
        measure("chain_given_id", "/api/v1/query", FULL, 5);
        measure("chain_params", "/users/12/posts/34", FULL, 5);
    }
    printf("dropped %llu lines\n",
           (unsigned long long)sx_log_counts_of(bench.service->access_log).dropped);
    __atomic_store_n(&bench.finished, 1, __ATOMIC_RELEASE);
}

static void run(const char *const *flags, size_t count)
{
    static const sx_service_def DEF = {
        .name = "bench", .routes = ROUTES, .route_count = SX_COUNT_OF(ROUTES)};
    sx_error err = {0};
    bench.finished = 0;
    sx_assert(sx_service_new(&DEF, &(sx_service_options){.flags = flags, .flag_count = count},
                             &bench.service, NULL, &err) == SX_OK);
    bench.breaker = sx_breakers_get(sx_service_kit(bench.service)->breakers, SX_STR("bench"), NULL);
    sx_assert(sx_service_start(bench.service, &err) == SX_OK);
    sx_assert(sx_loop_post(sx_service_loop(bench.service, 0), on_loop, NULL, &err) == SX_OK);
    sx_service_stop(bench.service); /* drains after what was posted */
    sx_assert(__atomic_load_n(&bench.finished, __ATOMIC_ACQUIRE));
    sx_service_free(bench.service);
    remove("/tmp/sx-bench-chain.log");
}

int main(void)
{
    /* The plain ones first: as many flags as every run has. */
    static const char *const FLAGS[] = {"--listen=127.0.0.1:0",
                                        "--loops=1",
                                        "--access_log=/tmp/sx-bench-chain.log",
                                        "--log.path=/dev/null",
                                        "--shutdown_ms_max=60s",
                                        "--limits.rate=100000000/second + 1000000000/minute",
                                        "--limits.in_flight_max=1000",
                                        "--tracing.sampler=traceidratio",
                                        "--tracing.sampler_argument=0.01",
                                        "--otlp.endpoint=http://127.0.0.1:9",
                                        "--otlp.signals=traces"};
    enum { PLAIN_FLAGS = 5 };
    run(FLAGS, PLAIN_FLAGS);
    bench.whole = true;
    run(FLAGS, SX_COUNT_OF(FLAGS));
    return 0;
}
