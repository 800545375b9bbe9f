/* bench_log.c - what a line costs the thread that logs it. Budget: 300 ns for an access line. */
#include <stdio.h>
#include <string.h>

#include <sextant/context.h>
#include <sextant/log.h>
#include <sextant/metrics.h>

enum { BATCH = 1000, BATCHES = 300 };

static int64_t now_ns(void)
{
    return sx_clock_mono_ns(sx_clock_system());
}

/* Each record has a number of its own: below WARN none is a repeat, from there on nearly all are. */
static void measure(const char *name, sx_log *log, sx_logger *logger, sx_level level)
{
    int64_t spent = 0;
    for (int i = 0; i < BATCHES; i++) {
        int64_t start = now_ns();
        for (int k = 0; k < BATCH; k++)
            SX_LOG(logger, level, NULL, "an event", sx_field_i64("count", k),
                   sx_field_str("what", SX_STR("something of a usual length")));
        spent += now_ns() - start;
        sx_log_flush(log, 1000);
    }
    printf("%s %.1f ns\n", name, (double)spent / BATCH / BATCHES);
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
    sx_logger *logger = sx_log_logger(log, "bench");
    int64_t access_ns = 0;
    for (int i = 0; i < BATCHES; i++) {
        int64_t start = now_ns();
        for (int k = 0; k < BATCH; k++)
            sx_log_access(log, &a);
        access_ns += now_ns() - start;
        sx_log_flush(log, 1000);
    }
    printf("access_line %.1f ns\n", (double)access_ns / BATCH / BATCHES);
    measure("record_two_fields", log, logger, SX_LEVEL_INFO);
    sx_context c = {.request_id = SX_STR("01890a5d-ac96-774b-bcce-b302099a8057")};
    memset(c.span.trace_id, 0x4b, sizeof(c.span.trace_id));
    memset(c.span.span_id, 0x7f, sizeof(c.span.span_id));
    const sx_context *outer = sx_context_enter(&c);
    measure("record_in_a_request", log, logger, SX_LEVEL_INFO);
    sx_context_leave(outer);
    measure("record_below_the_level", log, logger, SX_LEVEL_DEBUG);
    printf("dropped %llu lines\n", (unsigned long long)sx_log_counts_of(log).dropped);
    sx_log_free(log);

    options.repeats_max = 0;
    sx_assert(sx_log_new(&options, &log, &err) == SX_OK);
    logger = sx_log_logger(log, "bench");
    measure("record_looked_up_for_repeats", log, logger, SX_LEVEL_INFO);
    measure("record_held_back", log, logger, SX_LEVEL_WARN);
    sx_log_free(log);
    remove(options.path);
    return 0;
}
