/* bench_spans.c - reading and writing OTLP spans: nanoseconds a span. */
#include <time.h>

#include "bench/observe/span_load.h"
#include "observe/spans/otlp.h"

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(void)
{
    enum { REQUESTS = 64, ROUNDS = 40, TRACES = 42 };
    static sx_buf requests[REQUESTS];
    span_load load = {.state = 1, .time_ns = 1700000000000000000u, .step_ns = 1000000};
    sx_error err;
    sx_buf out;
    double best_read = 1e18, best_write = 1e18;
    uint64_t bytes = 0;
    for (int i = 0; i < REQUESTS; i++) {
        load_request(&load, &requests[i], TRACES);
        bytes += requests[i].len;
    }
    sx_buf_init(&out, 0);
    span_batch *b = span_batch_new(0);
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns();
        for (int i = 0; i < REQUESTS; i++) {
            span_batch_reset(b);
            if (span_read_otlp(sx_buf_view(&requests[i]), NULL, b, NULL, &err) != SX_OK)
                return 1;
        }
        double ns = (now_ns() - start) / (double)load.spans;
        best_read = ns < best_read ? ns : best_read;
        start = now_ns();
        sx_buf_clear(&out);
        span_write_otlp(b, &out);
        ns = (now_ns() - start) / (double)b->count;
        best_write = ns < best_write ? ns : best_write;
    }
    printf("otlp_bytes %.0f B/span\n", (double)bytes / (double)load.spans);
    printf("otlp_read %.0f ns/span\n", best_read);
    printf("otlp_write %.0f ns/span\n", best_write);
    return 0;
}
