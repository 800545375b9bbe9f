/* geocode_update.c - `sextant geocode update`: changes of the map, into the index. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd/command.h"
#include "cmd/geocode.h"
#include "geocode/import/update.h"
#include "service/config_values.h"

/* Set by SIGTERM and SIGINT; read between two steps. A signal handler can reach nothing else. */
static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
    (void)signal;
    stopped = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
}

static bool go_on(void *context, const geo_import_progress *p)
{
    (void)context;
    (void)p;
    return !stopped;
}

static void say(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "%s\n", line);
}

/* The signals are let in only while it waits, so that none falls between the look and the wait. */
static bool wait_for(void *context, int64_t ms)
{
    (void)context;
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &blocked, &before);
    struct timespec time = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    if (!stopped)
        (void)ppoll(NULL, 0, &time, &before);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return !stopped;
}

static const sx_key KEYS[] = {
    {.key = "memory",
     .kind = SX_BYTES,
     .offset = offsetof(geo_update_options, memory_max),
     .size = sizeof(size_t),
     .least = 16 << 20,
     .most = INT64_C(1) << 40},
    {.key = "every",
     .kind = SX_MS,
     .offset = offsetof(geo_update_options, poll_ms),
     .size = sizeof(int64_t),
     .least = 100,
     .most = INT64_C(86400000) * 7},
};

static int read_flags(const cmd_args *args, geo_update_options *o)
{
    sx_error err = {0};
    uint64_t threads;
    for (size_t i = 0; i < SX_COUNT_OF(KEYS); i++) {
        if (sx_key_read(&KEYS[i], sx_str_z(cmd_value(args, KEYS[i].key)), NULL, o, &err) == SX_OK)
            continue;
        fprintf(stderr, "sextant: --%s: %s\n", KEYS[i].key, err.message);
        return 2;
    }
    if (!sx_str_to_u64(sx_str_z(cmd_value(args, "sequence")), &o->sequence)) {
        fprintf(stderr, "sextant: --sequence is a number, not %s\n", cmd_value(args, "sequence"));
        return 2;
    }
    if (!sx_str_to_u64(sx_str_z(cmd_value(args, "threads")), &threads) ||
        threads > CMD_IMPORT_THREADS_MAX) {
        fprintf(stderr, "sextant: --threads is 0 to %d, not %s\n", CMD_IMPORT_THREADS_MAX,
                cmd_value(args, "threads"));
        return 2;
    }
    o->threads = (uint32_t)threads;
    if (!o->index) {
        fprintf(stderr, "sextant: geocode update needs --index; 'sextant help geocode update' "
                        "explains\n");
        return 2;
    }
    if (!o->follow == !o->change_count) {
        fprintf(stderr, "sextant: geocode update needs either change files or --follow DIR\n");
        return 2;
    }
    return 0;
}

int cmd_geocode_update(const cmd_args *args)
{
    sx_error err = {0};
    geo_import_progress summary = {0};
    bool quiet = cmd_switch(args, "quiet");
    geo_update_options o = {.index = cmd_value(args, "index"),
                            .base = cmd_value(args, "base"),
                            .changes = (const char *const *)args->rest,
                            .change_count = (size_t)args->rest_count,
                            .follow = cmd_value(args, "follow"),
                            .once = cmd_switch(args, "once"),
                            .temp_dir = cmd_value(args, "temp"),
                            .report_path = cmd_value(args, "report"),
                            .report = go_on,
                            .say = quiet ? NULL : say,
                            .wait = wait_for};
    int wrong = read_flags(args, &o);
    if (wrong)
        return wrong;
    catch_signals();
    sx_status status = geo_update(&o, &summary, &err);
    if (stopped && o.follow && (status == SX_OK || status == SX_ECANCELED))
        return 0;
    if (status != SX_OK)
        return cmd_failed(&err);
    if (!quiet && summary.documents)
        cmd_import_summary(&summary, o.index);
    return 0;
}
