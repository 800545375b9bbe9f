/* service_life.c - a service starts, drains and stops.
 *
 * All loops, servers and listeners are made in the caller's thread, one after the other, so that a
 * port in use is an error that start returns; each loop is then given to a thread of its own and
 * nobody else touches it until that thread has ended.
 *
 *     start: loops and servers made -> loop_setup -> threads
 *     stop:  draining set (not ready) -> delay -> each server drains on its loop -> the last of them
 *            writes drained_fd -> loops stop -> threads joined -> loop_teardown -> servers freed */
#include "service/service_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <sextant/crash.h>
#include <sextant/mem.h>

/* ---- start ---- */

static int64_t loop_wall(const sx_clock *clock)
{
    const sx_loop_state *on = SX_CONTAINER_OF(clock, const sx_loop_state, clock);
    return sx_loop_wall_ns(on->loop);
}

static int64_t loop_mono(const sx_clock *clock)
{
    const sx_loop_state *on = SX_CONTAINER_OF(clock, const sx_loop_state, clock);
    return sx_loop_now_ms(on->loop) * 1000000;
}

/* All loops accept from the one socket that the service manager opened, each by a descriptor of its
 * own: a socket of SO_REUSEPORT a loop would lose what waits in the manager's. */
static sx_status open_inherited(sx_server_state *at, sx_error *err)
{
    sx_endpoint_state *e = at->endpoint;
    int fd = fcntl(e->inherited_fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return sx_fail_os(err, errno, "no descriptor for the inherited socket of %s", e->proto);
    sx_listen_options listen = {
        .tls = e->tls, .proxy_protocol = e->proxy_protocol, .inherited_fd = fd};
    sx_bound bound = {0};
    sx_status status = sx_http_server_listen(at->server, &listen, &bound, err);
    if (status)
        close(fd);
    else
        e->bound = bound;
    return status;
}

static sx_status open_server(sx_loop_state *on, sx_endpoint_state *e, sx_error *err)
{
    sx_server_state *at = &on->servers[on->server_count];
    *at = (sx_server_state){.endpoint = e, .on = on};
    sx_map64_init(&at->named, NULL);
    at->cells =
        (sx_route_cells **)sx_calloc((e->route_count + 1) * SX_METHODS, sizeof(sx_route_cells *));
    if (!at->cells)
        return sx_fail_memory(err, "a server");
    on->server_count++; /* from here on close_loop cleans up after it */
    sx_http_server_options options = {.limits = e->service->settings.limits,
                                      .handler = sx_chain_handler,
                                      .done = sx_chain_done,
                                      .rejected = sx_chain_rejected,
                                      .ctx = at,
                                      .enter = sx_chain_enter,
                                      .leave = sx_chain_leave,
                                      .coder = &SX_REPLY_CODER};
    sx_status status = sx_http_server_new(on->loop, &options, &at->server, err);
    if (status)
        return status;
    if (e->inherited_fd >= 0)
        return open_inherited(at, err);
    /* The first loop finds out the port, the others open the same one. */
    sx_listen_options listen = {.address = sx_str_z(e->bound.text[0] ? e->bound.text : e->address),
                                .tls = e->tls,
                                .proxy_protocol = e->proxy_protocol,
                                .inherited_fd = -1};
    sx_bound bound = {0};
    status = sx_http_server_listen(at->server, &listen, &bound, err);
    if (status == SX_OK && !e->bound.text[0])
        e->bound = bound;
    if (status == SX_EEXIST && e->optional && !e->bound.text[0]) {
        SX_LOG_WARN(sx_service_logger(e->service), NULL, "a listener is left out",
                    sx_field_str("listener", sx_str_z(e->proto)), sx_field_error(err));
        e->address[0] = 0; /* nor do the other loops open it */
        status = SX_OK;
    }
    return status;
}

static bool is_opened(const sx_endpoint_state *e)
{
    return e->address[0] || e->inherited_fd >= 0;
}

/* The part of its processors that the process used since the last call: one loop tells for all. */
static void tell_cpu(sx_loop_state *on, sx_shed *shed)
{
    struct rusage used;
    int64_t now_ns = sx_clock_mono_ns(on->service->clock);
    if (getrusage(RUSAGE_SELF, &used))
        return;
    int64_t cpu_ns = ((int64_t)used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000 +
                     ((int64_t)used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000;
    int64_t passed_ns = now_ns - on->cpu_mono_ns;
    if (on->cpu_mono_ns && passed_ns > 0)
        sx_shed_cpu(shed, (double)(cpu_ns - on->cpu_ns) / ((double)passed_ns * on->service->cores));
    on->cpu_ns = cpu_ns;
    on->cpu_mono_ns = now_ns;
}

/* How often a loop shows that it lives; 0: nobody asks. */
static int64_t alive_period_ms(const sx_service *s)
{
    enum { SHED_PERIOD_MS = 100 };
    int64_t watched_ms = s->systemd.watchdog_ms ? s->systemd.watchdog_ms / 4 + 1 : 0;
    if (!sx_guard_shed(s->guard))
        return watched_ms;
    return watched_ms && watched_ms < SHED_PERIOD_MS ? watched_ms : SHED_PERIOD_MS;
}

/* The watchdog asks whether a loop has turned of late: an idle one has to turn, too. Shedding asks how
 * late it is. */
static void on_alive(sx_timer *timer, void *arg)
{
    sx_loop_state *on = (sx_loop_state *)arg;
    sx_shed *shed = sx_guard_shed(on->service->guard);
    int64_t now_ms = sx_loop_now_ms(on->loop), period_ms = alive_period_ms(on->service);
    __atomic_store_n(&on->alive_mono_ms, now_ms, __ATOMIC_RELAXED);
    if (shed && on->alive_due_ms)
        sx_shed_loop_delay(shed,
                           now_ms > on->alive_due_ms ? (now_ms - on->alive_due_ms) * 1000000 : 0);
    if (shed && sx_loop_index(on->loop) == 0)
        tell_cpu(on, shed);
    on->alive_due_ms = now_ms + period_ms;
    sx_timer_start(sx_loop_timers(on->loop), timer, period_ms);
}

static sx_status open_loop(sx_service *s, unsigned index, sx_error *err)
{
    sx_loop_state *on = &s->loops[index];
    on->service = s;
    on->clock = (sx_clock){.wall_ns = loop_wall, .mono_ns = loop_mono};
    sx_buf_init(&on->text, 0);
    sx_encoder_pool_init(&on->encoders);
    on->alive = (sx_timer){.fn = on_alive, .arg = on};
    on->alive_mono_ms = sx_clock_mono_ms(s->clock);
    s->loop_count = index + 1;
    sx_status status = sx_loop_new(s->clock, index, &on->loop, err);
    if (status)
        return status;
    sx_uuid_source_init(&on->uuids, &on->clock);
    on->servers = (sx_server_state *)sx_calloc(s->endpoint_count + 1, sizeof(sx_server_state));
    if (!on->servers)
        return sx_fail_memory(err, "a loop's servers");
    for (size_t i = 0; i < s->endpoint_count && status == SX_OK; i++)
        if (is_opened(&s->endpoints[i]))
            status = open_server(on, &s->endpoints[i], err);
    if (status == SX_OK)
        status = sx_loop_on_turn_end(on->loop, sx_chain_turn_end, on, err);
    if (status == SX_OK && s->def->loop_setup)
        status = s->def->loop_setup(s, on->loop, s->def->ctx, &on->context, err);
    on->context_made = status == SX_OK;
    if (status == SX_OK && alive_period_ms(s) > 0)
        sx_timer_start(sx_loop_timers(on->loop), &on->alive, 0);
    return status;
}

/* The loop's thread has ended or never began. */
static void close_loop(sx_loop_state *on)
{
    sx_service *s = on->service;
    for (size_t i = 0; i < on->server_count; i++) {
        if (on->servers[i].server)
            sx_http_server_free(on->servers[i].server);
        on->servers[i].server = NULL;
    }
    if (on->context_made && s->def->loop_teardown)
        s->def->loop_teardown(s, on->loop, s->def->ctx, on->context);
    on->context_made = false;
    if (on->loop) {
        sx_timer_stop(sx_loop_timers(on->loop), &on->alive);
        sx_loop_free(on->loop);
    }
    for (size_t i = 0; i < on->server_count; i++)
        sx_chain_cells_free(&on->servers[i]);
    sx_free(on->servers);
    sx_encoder_pool_done(&on->encoders);
    sx_buf_done(&on->text);
}

static void close_loops(sx_service *s)
{
    for (size_t i = 0; i < s->loop_count; i++)
        close_loop(&s->loops[i]);
    sx_free(s->loops);
    s->loops = NULL;
    s->loop_count = 0;
}

static void *run_loop(void *arg)
{
    sx_loop_state *on = (sx_loop_state *)arg;
    sx_telemetry_thread_join();
    sx_loop_run(on->loop);
    sx_telemetry_thread_leave();
    return NULL;
}

/* Loops take no signals: they are the main thread's. Except for those that a thread's own fault
 * raises: blocked, they would end the process without calling a handler (sigprocmask(2)).
 * And the profiler's (profile.h), which is sent to the thread that uses the time. */
static sx_status start_threads(sx_service *s, sx_error *err)
{
    static const int OWN[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGPROF};
    sigset_t all, before;
    sigfillset(&all);
    for (size_t i = 0; i < SX_COUNT_OF(OWN); i++)
        sigdelset(&all, OWN[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = 0;
    for (size_t i = 0; i < s->loop_count && !failed; i++) {
        failed = pthread_create(&s->loops[i].thread, NULL, run_loop, &s->loops[i]);
        s->loops[i].running = !failed;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? sx_fail_os(err, failed, "no thread for a loop") : SX_OK;
}

static bool has_listener(const sx_service *s)
{
    for (size_t i = 0; i < s->endpoint_count; i++)
        if (is_opened(&s->endpoints[i]))
            return true;
    return false;
}

/* Sockets that the service manager opened: to the endpoint of their name, the others in their order to
 * endpoints that have an address. */
static void take_inherited(sx_service *s)
{
    for (size_t i = 0; i < s->endpoint_count; i++) {
        sx_endpoint_state *e = &s->endpoints[i];
        e->inherited_fd = sx_systemd_take(&s->systemd, e->proto);
        if (e->inherited_fd < 0 && i == 0) /* it is called after its protocol, which TLS changes */
            e->inherited_fd = sx_systemd_take(&s->systemd, "http");
    }
    for (size_t i = 0; i < s->endpoint_count; i++) {
        sx_endpoint_state *e = &s->endpoints[i];
        if (e->inherited_fd < 0 && e->address[0])
            e->inherited_fd = sx_systemd_take(&s->systemd, NULL);
    }
}

sx_status sx_service_start(sx_service *s, sx_error *err)
{
    sx_assert(!s->started);
    take_inherited(s);
    if (!has_listener(s))
        return sx_fail(err, SX_EINVAL,
                       "nothing to serve: no listener has an address; set `listen`, such as "
                       "--listen=127.0.0.1:8080");
    s->cores = sx_cores();
    unsigned count = s->settings.loops ? s->settings.loops : s->cores;
    s->loops = (sx_loop_state *)sx_calloc(count, sizeof(*s->loops));
    if (!s->loops)
        return sx_fail_memory(err, "the loops");
    sx_status status = SX_OK;
    for (unsigned i = 0; i < count && status == SX_OK; i++)
        status = open_loop(s, i, err);
    if (status == SX_OK)
        status = start_threads(s, err);
    s->started = true;
    if (status) {
        sx_service_halt(s);
        return status;
    }
    for (size_t i = 0; i < s->endpoint_count; i++)
        if (s->endpoints[i].bound.text[0])
            SX_LOG_INFO(sx_service_logger(s), NULL, "listening",
                        sx_field_z("proto", s->endpoints[i].proto),
                        sx_field_z("address", s->endpoints[i].bound.text),
                        sx_field_u64("loops", s->loop_count));
    return SX_OK;
}

/* ---- stop ---- */

static void server_drained(sx_http_server *server, void *ctx)
{
    (void)server;
    sx_loop_state *on = (sx_loop_state *)ctx;
    if (--on->draining > 0)
        return;
    if (__atomic_sub_fetch(&on->service->loops_left, 1, __ATOMIC_ACQ_REL) == 0) {
        uint64_t one = 1;
        ssize_t done = write(on->service->drained_fd, &one, sizeof(one));
        (void)done; /* an eventfd that was 0 takes it */
    }
}

/* On the loop: drains its servers. One more than there are counts, so that servers which are done at
 * once do not end it early. */
static void drain_loop(sx_loop *loop, void *arg)
{
    (void)loop;
    sx_loop_state *on = (sx_loop_state *)arg;
    on->draining = on->server_count + 1;
    for (size_t i = 0; i < on->server_count; i++)
        sx_http_server_drain(on->servers[i].server, on->service->settings.shutdown_ms_max,
                             server_drained, on);
    server_drained(NULL, on);
}

void sx_service_drain(sx_service *s)
{
    __atomic_store_n(&s->loops_left, (int)s->loop_count, __ATOMIC_RELEASE);
    for (size_t i = 0; i < s->loop_count; i++) {
        sx_loop_state *on = &s->loops[i];
        /* Without memory for the message the loop is stopped without a drain. */
        if (sx_loop_post(on->loop, drain_loop, on, NULL)) {
            on->draining = 1;
            server_drained(NULL, on);
        }
    }
}

void sx_service_halt(sx_service *s)
{
    for (size_t i = 0; i < s->loop_count; i++)
        if (s->loops[i].running)
            sx_loop_stop(s->loops[i].loop);
    for (size_t i = 0; i < s->loop_count; i++)
        if (s->loops[i].running)
            pthread_join(s->loops[i].thread, NULL);
    sx_web_auth_stop(s->web); /* what it has checked comes back to loops that exist still */
    close_loops(s);
    for (size_t i = 0; i < s->endpoint_count; i++) {
        if (s->endpoints[i].inherited_fd >= 0)
            close(s->endpoints[i].inherited_fd);
        s->endpoints[i].inherited_fd = -1;
    }
    s->started = false;
}

/* Waits until `fd` is readable or `ms` pass; a signal on `signals` (-1: none) that ends the process
 * does so here. */
static void wait_for(int fd, int signals, int64_t ms)
{
    const sx_clock *clock = sx_clock_system(); /* poll(2) waits by it */
    int64_t until = sx_clock_mono_ms(clock) + ms;
    for (int64_t left = ms; left >= 0; left = until - sx_clock_mono_ms(clock)) {
        struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
        int got = poll(p, 2, left > 60000 ? 60000 : (int)left);
        if (got > 0 && p[0].revents)
            return;
        struct signalfd_siginfo info;
        if (got > 0 && p[1].revents && read(signals, &info, sizeof(info)) == sizeof(info) &&
            (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT))
            _exit(128 + (int)info.ssi_signo); /* asked twice: at once */
    }
}

/* Grace beyond the servers' own deadline, for the loops to come round to it. */
enum { HALT_GRACE_MS = 2000 };

static void stop(sx_service *s, int signals)
{
    sx_systemd_notify(&s->systemd, "STOPPING=1\nSTATUS=draining");
    SX_LOG_INFO(sx_service_logger(s), NULL, "stopping",
                sx_field_u64("shutdown_ms_max", s->settings.shutdown_ms_max));
    __atomic_store_n(&s->draining, 1, __ATOMIC_RELEASE);
    if (s->settings.shutdown_delay_ms)
        wait_for(-1, signals, s->settings.shutdown_delay_ms);
    sx_service_drain(s);
    wait_for(s->drained_fd, signals, (int64_t)s->settings.shutdown_ms_max + HALT_GRACE_MS);
    sx_service_halt(s);
    sx_service_end_metrics(s);
    s->stopped = true;
}

void sx_service_stop(sx_service *s)
{
    if (s->started)
        stop(s, -1);
}

/* ---- run ---- */

static void print_ready(const sx_service *s)
{
    char line[SX_ENDPOINTS_MAX * 180];
    size_t len = (size_t)snprintf(line, sizeof(line), "ready %s", s->def->name);
    for (size_t i = 0; i < s->endpoint_count && len < sizeof(line); i++)
        if (s->endpoints[i].bound.text[0])
            len += (size_t)snprintf(line + len, sizeof(line) - len, " %s=%s", s->endpoints[i].proto,
                                    s->endpoints[i].bound.text);
    fprintf(stderr, "%s\n", line);
}

/* Connections are descriptors: take as many as we are allowed. */
static void raise_fd_limit(const sx_service *s)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        SX_LOG_WARN(sx_service_logger(s), NULL, "the limit of open files could not be raised",
                    sx_field_i64("errno", errno));
}

void sx_service_signals(sigset_t *out)
{
    sigemptyset(out);
    sigaddset(out, SIGTERM);
    sigaddset(out, SIGINT);
    sigaddset(out, SIGHUP);
    sigaddset(out, SIGUSR1);
}

static int take_signals(sigset_t *before, sx_error *err)
{
    sigset_t ours;
    sx_service_signals(&ours);
    pthread_sigmask(SIG_BLOCK, &ours, before);
    signal(SIGPIPE, SIG_IGN); /* a client that went away is an error of write(2), not our end */
    int fd = signalfd(-1, &ours, SFD_CLOEXEC);
    if (fd < 0)
        sx_fail_os(err, errno, "no signalfd");
    return fd;
}

/* Tells the manager that we live, if every loop has turned within the time it gave us. */
static void feed_watchdog(sx_service *s)
{
    int64_t now_ms = sx_clock_mono_ms(s->clock);
    for (size_t i = 0; i < s->loop_count; i++)
        if (now_ms - __atomic_load_n(&s->loops[i].alive_mono_ms, __ATOMIC_RELAXED) >
            s->systemd.watchdog_ms)
            return; /* one is stuck: the manager will restart us */
    sx_systemd_notify(&s->systemd, "WATCHDOG=1");
}

static void reload(sx_service *s)
{
    char text[64];
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)(sx_clock_mono_ns(sx_clock_system()) / 1000));
    sx_systemd_notify(&s->systemd, text);
    sx_service_reload(s);
    sx_systemd_notify(&s->systemd, "READY=1");
}

/* Acts on one signal; whether it ends the service. */
static bool take_signal(sx_service *s, int signals)
{
    struct signalfd_siginfo info;
    ssize_t got = read(signals, &info, sizeof(info));
    if (got < 0 && errno == EINTR)
        return false;
    if (got != sizeof(info) || info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
        return true;
    if (info.ssi_signo == SIGHUP)
        reload(s);
    if (info.ssi_signo == SIGUSR1) {
        sx_log_reopen(s->log);
        if (s->access_log)
            sx_log_reopen(s->access_log);
    }
    return false;
}

static void serve_until_signal(sx_service *s, int signals)
{
    int64_t period_ms = s->systemd.watchdog_ms / 2;
    int wait_ms = period_ms == 0 ? -1 : period_ms > 60000 ? 60000 : (int)period_ms;
    for (;;) {
        struct pollfd p = {.fd = signals, .events = POLLIN};
        int got = poll(&p, 1, wait_ms);
        if (got > 0 && take_signal(s, signals))
            return;
        if (wait_ms >= 0)
            feed_watchdog(s);
    }
}

/* A service without it serves all the same. */
static void install_crash_handler(sx_service *s)
{
    sx_error err = {0};
    sx_crash_options options = {.service = s->def->name, .version = s->def->version, .log = s->log};
    if (sx_crash_install(&options, &err))
        SX_LOG_WARN(sx_service_logger(s), NULL, "crashes will not be reported",
                    sx_field_error(&err));
}

/* What asked the service for something after it had ended, or asks while the last records leave, would
 * end the process by the default action. One that waits already is dropped by this, too. */
static void ignore_requests(void)
{
    static const int ASKING[] = {SIGHUP, SIGUSR1};
    struct sigaction now;
    for (size_t i = 0; i < SX_COUNT_OF(ASKING); i++)
        if (sigaction(ASKING[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            signal(ASKING[i], SIG_IGN);
}

sx_status sx_service_run(sx_service *s, sx_error *err)
{
    sigset_t before;
    sx_error local = {0};
    err = err ? err : &local;
    int signals = take_signals(&before, err);
    if (signals < 0)
        return err->status;
    raise_fd_limit(s);
    install_crash_handler(s);
    sx_status status = sx_service_start(s, err);
    if (status == SX_OK) {
        print_ready(s);
        sx_systemd_notify(&s->systemd, "READY=1\nSTATUS=serving");
        serve_until_signal(s, signals);
        stop(s, signals);
    }
    sx_crash_uninstall();
    close(signals);
    ignore_requests();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}
