/* bench_log.c - what a line costs the thread that logs it. Budget: 300 ns for an access line. */
#include <stdio.h>

#include <sextant/log.h>
#include <sextant/metrics.h>

enum { BATCH = 1000, BATCHES = 300 };

static int64_t now_ns(void)
{
    return sx_clock_mono_ns(sx_clock_system());
}

int main(void)
{
    sx_log *log;
    sx_error err = {0};
    sx_log_options options = {
        .service = "bench", .path = "/tmp/sx-bench.log", .repeats_max = SX_LOG_REPEATS_ALL};
    sx_assert(sx_log_new(&options, &log, &err) == SX_OK);
    sx_telemetry_thread_join();
    sx_access a = {.context = {.request_id = SX_STR("01890a5d-ac96-774b-bcce-b302099a8057")},
                   .wall_ns = 1705314600999000000,
                   .method = SX_STR("GET"),
                   .path = SX_STR("/api/v1/query_range"),
                   .route = SX_STR("/api/v1/query_range"),
                   .client = SX_STR("127.0.0.1"),
                   .user_agent = SX_STR("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox"),
                   .status = 200,
                   .duration_ns = 1234567,
                   .sent_bytes = 1234};
    int64_t access_ns = 0, record_ns = 0;
    sx_logger *logger = sx_log_logger(log, "bench");
    for (int i = 0; i < BATCHES; i++) {
        int64_t start = now_ns();
        for (int k = 0; k < BATCH; k++)
            sx_log_access(log, &a);
        access_ns += now_ns() - start;
        sx_log_flush(log, 1000);
        start = now_ns();
        for (int k = 0; k < BATCH; k++)
            SX_LOG_INFO(logger, NULL, "an event", sx_field_i64("count", k),
                        sx_field_str("what", SX_STR("something of a usual length")));
        record_ns += now_ns() - start;
        sx_log_flush(log, 1000);
    }
    printf("access_line %.1f ns\n", (double)access_ns / BATCH / BATCHES);
    printf("record_two_fields %.1f ns\n", (double)record_ns / BATCH / BATCHES);
    printf("dropped %llu lines\n", (unsigned long long)sx_log_counts_of(log).dropped);
    sx_log_free(log);
    remove("/tmp/sx-bench.log");
    return 0;
}
