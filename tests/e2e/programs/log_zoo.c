/* log_zoo.c - a program that logs what it is told to, for test_logs.py.
 *
 *     log_zoo FILE [rotate_bytes=N] [keep=N] [codec=gzip|zstd] [repeats=N]
 *
 * reads commands from stdin and answers each with a line: `say LEVEL LOGGER MESSAGE`, `spam N` (lines by
 * two threads that have joined), `levels SETTING`, `request` (an event as a collector of shipments logs
 * it, inside a request), `flush`, `crash` (inside a request). SIGUSR1 reopens the file. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <sextant/context.h>
#include <sextant/crash.h>
#include <sextant/log.h>
#include <sextant/metrics.h>

static sx_log *the_log; /* of the signal handler, too */
static volatile uintptr_t nowhere = 8;

static void on_usr1(int number)
{
    (void)number;
    sx_log_reopen(the_log);
}

static const sx_context *enter_request(sx_context *c)
{
    *c = (sx_context){.request_id = SX_STR("req-42")};
    memset(c->span.trace_id, 0x4b, sizeof(c->span.trace_id));
    memset(c->span.span_id, 0x7f, sizeof(c->span.span_id));
    return sx_context_enter(c);
}

static void log_request(void)
{
    sx_context c;
    const sx_context *outer = enter_request(&c);
    SX_LOG_INFO(sx_log_logger(the_log, ""), NULL, "Event processed successfully",
                sx_field_z("event_id", "evt-12345"), sx_field_i64("processing_time_ms", 125),
                sx_field_json("metadata", SX_STR("{\"tracking_id\":\"ABC123456789\","
                                                 "\"carrier\":\"fedex\"}")));
    sx_context_leave(outer);
}

static __attribute__((noinline)) void charge_the_card(void)
{
    *(volatile int *)nowhere = 1;
}

static void crash(void)
{
    sx_context c;
    enter_request(&c);
    SX_LOG_WARN(sx_log_logger(the_log, ""), NULL, "just before");
    charge_the_card();
}

static void *spam(void *arg)
{
    const int64_t *count = (const int64_t *)arg;
    sx_telemetry_thread_join();
    sx_logger *l = sx_log_logger(the_log, "spam");
    for (int64_t i = 0; i < *count; i++) {
        SX_LOG_INFO(l, NULL, "spam", sx_field_i64("number", i));
        if (i % 256 == 255)
            sx_log_flush(the_log, 5000); /* at the disk's pace: nothing may be dropped */
    }
    sx_telemetry_thread_leave();
    return NULL;
}

static void spam_by_two(int64_t count)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, spam, &count);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static void say(sx_str rest)
{
    sx_str level_name, name, message;
    sx_level level = SX_LEVEL_INFO;
    char logger[64];
    sx_str_cut(rest, ' ', &level_name, &rest);
    sx_str_cut(rest, ' ', &name, &message);
    sx_level_parse(level_name, &level);
    snprintf(logger, sizeof(logger), "%.*s", SX_ARG(name));
    sx_logger *l = sx_log_logger(the_log, logger);
    if (sx_logger_enabled(l, level))
        sx_log_write(l, level, NULL, message, NULL, 0);
}

static const char *obey(sx_str line, sx_error *err)
{
    sx_str command, rest;
    int64_t count;
    sx_str_cut(line, ' ', &command, &rest);
    if (sx_str_eq(command, SX_STR("say")))
        say(rest);
    else if (sx_str_eq(command, SX_STR("spam")) && sx_str_to_i64(rest, &count))
        spam_by_two(count);
    else if (sx_str_eq(command, SX_STR("levels")) && sx_log_levels_apply(the_log, rest, err))
        return err->message;
    else if (sx_str_eq(command, SX_STR("request")))
        log_request();
    else if (sx_str_eq(command, SX_STR("crash")))
        crash();
    return sx_log_flush(the_log, 10000) ? "ok" : "late";
}

static void read_option(sx_log_options *o, sx_str option)
{
    sx_str key, value;
    uint64_t number = 0;
    sx_str_cut(option, '=', &key, &value);
    (void)sx_str_to_u64(value, &number);
    if (sx_str_eq(key, SX_STR("rotate_bytes")))
        o->rotate_bytes = number;
    else if (sx_str_eq(key, SX_STR("keep")))
        o->rotate_keep = (uint32_t)number;
    else if (sx_str_eq(key, SX_STR("repeats")))
        o->repeats_max = (uint32_t)number;
    else if (sx_str_eq(key, SX_STR("codec")))
        o->rotate_codec = sx_str_eq(value, SX_STR("zstd")) ? SX_CODEC_ZSTD : SX_CODEC_GZIP;
}

int main(int argc, char **argv)
{
    sx_error err = {0};
    sx_log_options o = {
        .service = "shipping-collector", .layer = "collection", .path = argc > 1 ? argv[1] : NULL};
    for (int i = 2; i < argc; i++)
        read_option(&o, sx_str_z(argv[i]));
    sx_status status = sx_log_new(&o, &the_log, &err);
    if (status == SX_OK)
        status = sx_crash_install(
            &(sx_crash_options){.service = "shipping-collector", .version = "1.4", .log = the_log},
            &err);
    if (status) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    struct sigaction reopen = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &reopen, NULL);
    char line[4096];
    while (fgets(line, sizeof(line), stdin)) {
        printf("%s\n", obey(sx_str_first(sx_str_z(line), strcspn(line, "\n")), &err));
        fflush(stdout);
    }
    sx_log_counts counts = sx_log_counts_of(the_log);
    sx_crash_uninstall();
    sx_log_free(the_log);
    printf("dropped %" PRIu64 "\n", counts.dropped);
    return 0;
}
