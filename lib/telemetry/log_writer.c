/* log_writer.c - the thread that writes what the lanes hold.
 *
 * Awake it looks at all lanes every PACE_MS, so that under load a thousand lines share one system
 * call; after QUIET_ROUNDS rounds without a line it says so (`idle`) and sleeps until woken. A
 * regular file is written in big pieces. A pipe or terminal is written in pieces of at most PIPE_BUF
 * bytes once poll(2) says there is room, so that a reader that has stopped reading can delay the
 * writer but never hang the program's end. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/file_sys.h"
#include "telemetry/log_file.h"

enum { PACE_MS = 4, QUIET_ROUNDS = 3, IDLE_MS = 1000, REPORT_MS = 1000 };

static int64_t now_ms(void)
{
    /* The system's clock, not the log's: this is about the disk and the scheduler, which a test's
     * clock does not move. */
    return sx_clock_mono_ms(sx_clock_system());
}

static bool is_stopping(const sx_log *log)
{
    return __atomic_load_n(&log->stopping, __ATOMIC_ACQUIRE) != 0;
}

/* ---- writing ---- */

static void count_lost(sx_log *log, struct iovec *v, size_t count)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < count; i++)
        for (const char *p = (const char *)v[i].iov_base, *end = p + v[i].iov_len; p < end; p++)
            lines += *p == '\n';
    __atomic_fetch_add(&log->lost, lines, __ATOMIC_RELAXED);
}

/* Says once a minute on stderr why lines are lost, unless stderr is what fails. */
static void complain(sx_log *log, int os_errno, const char *what)
{
    int64_t now = now_ms();
    if (log->fd == STDERR_FILENO || (log->complain_ms && now - log->complain_ms < 60000))
        return;
    log->complain_ms = now;
    sx_error err = {0};
    sx_fail_os(&err, os_errno, "log %s: %s", log->path ? log->path : "output", what);
    fprintf(stderr, "%s\n", err.message);
}

/* Waits until a pipe or terminal takes PIPE_BUF bytes; false when the log is stopping and late. */
static bool wait_for_room(sx_log *log)
{
    for (;;) {
        struct pollfd p = {.fd = log->fd, .events = POLLOUT};
        if (poll(&p, 1, 50) > 0)
            return true; /* also on an error: write(2) will name it */
        if (is_stopping(log) && now_ms() >= log->stop_by_ms)
            return false;
    }
}

/* One system call; what it returns. */
static ssize_t write_some(sx_log *log, const struct iovec *v, size_t count)
{
    const sx_file_sys *sys = sx_file_sys_now();
    if (log->is_file && sys == &sx_file_sys_real)
        return writev(log->fd, v, (int)count);
    if (log->is_file) /* a test makes the disk fail */
        return sys->write(log->fd, v->iov_base, v->iov_len);
    if (!wait_for_room(log)) {
        errno = ETIMEDOUT;
        return -1;
    }
    return write(log->fd, v->iov_base, v->iov_len < PIPE_BUF ? v->iov_len : PIPE_BUF);
}

/* A write that failed may have left a part of itself. */
static void look_for_torn_line(sx_log *log)
{
    struct stat about;
    if (!log->is_file || fstat(log->fd, &about) != 0 || (uint64_t)about.st_size == log->file_bytes)
        return;
    log->torn = (uint64_t)about.st_size > log->file_bytes; /* else somebody has emptied it */
    log->file_bytes = (uint64_t)about.st_size;
}

/* Writes all pieces; what cannot be written is counted as lost. */
static void write_all(sx_log *log, struct iovec *v, size_t count)
{
    static char newline[] = "\n";
    struct iovec mend = {newline, 1};
    if (log->torn)
        look_for_torn_line(log); /* it may have been emptied since, to make room */
    if (log->torn && write_some(log, &mend, 1) == 1)
        log->torn = false; /* what follows starts on a line of its own */
    while (count > 0) {
        ssize_t done = write_some(log, v, count);
        if (done < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (done < 0) {
            __atomic_fetch_add(&log->write_errors, 1, __ATOMIC_RELAXED);
            complain(log, errno, "lines are lost");
            look_for_torn_line(log);
            count_lost(log, v, count);
            return;
        }
        __atomic_fetch_add(&log->written_bytes, (uint64_t)done, __ATOMIC_RELAXED);
        log->file_bytes += (uint64_t)done;
        while (count > 0 && (size_t)done >= v->iov_len) {
            log->torn = false;
            done -= (ssize_t)v->iov_len;
            v++;
            count--;
        }
        if (count > 0 && done > 0) {
            v->iov_base = (char *)v->iov_base + done;
            v->iov_len -= (size_t)done;
            log->torn = ((const char *)v->iov_base)[-1] != '\n';
        }
    }
}

/* Of the lines at the start of `s`: as many as the file has room for, at least one. */
static size_t lines_that_fit(const sx_log *log, sx_str s)
{
    uint64_t room = log->rotate_bytes > log->file_bytes ? log->rotate_bytes - log->file_bytes : 0;
    if (s.len <= room)
        return s.len;
    const char *last = (const char *)memrchr(s.data, '\n', (size_t)room);
    return last ? (size_t)(last - s.data) + 1 : sx_str_find_byte(s, '\n') + 1;
}

/* Writes whole lines to files that stay below their limit. */
static void write_rotating(sx_log *log, sx_str s)
{
    while (s.len > 0) {
        size_t len = lines_that_fit(log, s);
        if (sx_log_file_would_burst(log, len)) {
            if (sx_log_file_rotate(log))
                continue;
            len = s.len; /* it cannot be: the old file takes them all */
        }
        struct iovec v = {(char *)s.data, len};
        write_all(log, &v, 1);
        s = sx_str_from(s, len);
    }
}

/* ---- draining ---- */

/* Writes what the lane holds now, at most SX_LANE_PIECES chunks of it; whether there was anything. */
static bool drain_lane(sx_log *log, sx_lane *lane)
{
    sx_lane_take take;
    bool any = sx_lane_take_up(lane, &take);
    for (size_t i = 0; log->rotate_bytes && i < take.count; i++)
        write_rotating(log, take.pieces[i]);
    if (any && !log->rotate_bytes) {
        struct iovec pieces[SX_LANE_PIECES];
        for (size_t i = 0; i < take.count; i++)
            pieces[i] = (struct iovec){(char *)take.pieces[i].data, take.pieces[i].len};
        write_all(log, pieces, take.count);
    }
    for (size_t i = 0; i < take.count; i++)
        sx_log_recent_put(log->recent, take.pieces[i]);
    sx_lane_release(lane, &take);
    return any;
}

static bool drain_all(sx_log *log)
{
    bool any = false;
    for (unsigned i = 0; i < SX_COUNT_OF(log->lanes); i++) {
        sx_log_lane *lane = __atomic_load_n(&log->lanes[i], __ATOMIC_ACQUIRE);
        if (lane &&
            drain_lane(log, &lane->lane)) /* once: a busy lane does not hold up the others */
            any = true;
    }
    return any;
}

/* ---- what the writer itself has to say ---- */

static void report_drops(sx_log *log, bool at_end)
{
    uint64_t dropped = sx_log_counts_of(log).dropped;
    int64_t now = now_ms();
    if (dropped == log->reported || (!at_end && log->report_ms && now - log->report_ms < REPORT_MS))
        return;
    sx_field fields[] = {sx_field_u64("dropped", dropped - log->reported),
                         sx_field_u64("dropped_total", dropped)};
    sx_log_record r = {.log = log,
                       .level = SX_LEVEL_WARN,
                       .wall_ns = sx_clock_ns(log->clock),
                       .message = SX_STR("log lines dropped"),
                       .fields = fields,
                       .count = SX_COUNT_OF(fields),
                       .value_bytes_max = 1024};
    sx_log_lane lane = {.second = INT64_MIN}; /* only for the timestamp */
    char text[2048];
    struct iovec line = {text, sx_log_format(&lane, &r, text, sizeof(text))};
    log->reported = dropped;
    log->report_ms = now;
    uint64_t lost = __atomic_load_n(&log->lost, __ATOMIC_RELAXED);
    if (line.iov_len > 0) {
        sx_log_recent_put(log->recent, sx_str_of(text, line.iov_len));
        write_all(log, &line, 1);
    }
    /* If the report itself was lost, do not report that. */
    log->reported += __atomic_load_n(&log->lost, __ATOMIC_RELAXED) - lost;
}

/* Says what was held back as a repeat and whose period is over. */
static void report_repeats(sx_log *log, int64_t now_ns)
{
    for (size_t i = 0; i < SX_COUNT_OF(log->lanes); i++) {
        sx_log_lane *lane = __atomic_load_n(&log->lanes[i], __ATOMIC_ACQUIRE);
        sx_log_told told;
        while (lane && sx_log_repeats_due(&lane->repeats, now_ns, &told)) {
            char words[SX_LOG_TOLD_BYTES], text[4096];
            sx_field field;
            sx_log_record r;
            sx_log_lane stamp = {.second = INT64_MIN};
            sx_log_told_record(&told, sx_clock_ns(log->clock), words, &field, &r);
            sx_log_ways ways = sx_log_ways_of(told.logger, told.level);
            struct iovec line = {text, sx_log_format(&stamp, &r, text, sizeof(text))};
            if (ways.line && line.iov_len > 0) {
                __atomic_fetch_add(&log->own_lines[told.level], 1, __ATOMIC_RELAXED);
                write_all(log, &line, 1);
            }
            if (ways.otlp)
                sx_log_export(ways.otlp, &r);
        }
    }
}

/* What was asked for before the drain that has just ended is done. */
static uint64_t flush_asked(sx_log *log)
{
    pthread_mutex_lock(&log->flush_lock);
    uint64_t asked = log->flush_asked;
    pthread_mutex_unlock(&log->flush_lock);
    return asked;
}

static void flush_done(sx_log *log, uint64_t asked)
{
    pthread_mutex_lock(&log->flush_lock);
    if (asked != log->flush_done) {
        log->flush_done = asked;
        pthread_cond_broadcast(&log->flush_cond);
    }
    pthread_mutex_unlock(&log->flush_lock);
}

static void nap(sx_log *log, int ms)
{
    struct pollfd p = {.fd = log->wake_fd, .events = POLLIN};
    if (poll(&p, 1, ms) > 0) {
        uint64_t count;
        ssize_t got = read(log->wake_fd, &count, sizeof(count));
        (void)got; /* only to make it quiet again */
    }
}

static bool round_of_work(sx_log *log)
{
    uint64_t asked = flush_asked(log);
    bool dying = __atomic_load_n(&log->crash_asked, __ATOMIC_ACQUIRE) != 0;
    if (__atomic_exchange_n(&log->reopening, 0, __ATOMIC_ACQUIRE))
        sx_log_file_reopen(log);
    sx_log_file_age(log);
    bool any = drain_all(log);
    report_repeats(log, dying ? INT64_MAX : sx_clock_ns(log->clock));
    report_drops(log, false);
    sx_log_metrics_update(log);
    flush_done(log, asked);
    if (dying && !any)
        __atomic_store_n(&log->crash_done, 1, __ATOMIC_RELEASE);
    return any;
}

void *sx_log_writer(void *arg)
{
    sx_log *log = (sx_log *)arg;
    int quiet = 0;
    while (!is_stopping(log)) {
        quiet = round_of_work(log) ? 0 : quiet + 1;
        if (quiet < QUIET_ROUNDS) {
            nap(log, PACE_MS);
            continue;
        }
        __atomic_store_n(&log->idle, 1, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with sx_log_wake */
        if (!round_of_work(log) && !is_stopping(log))
            nap(log, IDLE_MS);
        __atomic_store_n(&log->idle, 0, __ATOMIC_RELAXED);
        quiet = 0;
    }
    while (round_of_work(log) && now_ms() < log->stop_by_ms)
        ;
    report_repeats(log, INT64_MAX);
    report_drops(log, true);
    sx_log_metrics_update(log);
    return NULL;
}

bool sx_log_crash_flush(sx_log *log, uint32_t ms)
{
    int64_t until = now_ms() + ms;
    if (pthread_equal(pthread_self(), log->thread))
        return false; /* the writer itself has crashed */
    __atomic_store_n(&log->crash_asked, 1, __ATOMIC_RELEASE);
    uint64_t one = 1;
    ssize_t sent = write(log->wake_fd, &one, sizeof(one));
    (void)sent; /* EAGAIN: the writer is awake */
    while (!__atomic_load_n(&log->crash_done, __ATOMIC_ACQUIRE)) {
        if (now_ms() >= until)
            return false;
        (void)poll(NULL, 0, 1);
    }
    return true;
}

int sx_log_crash_fd(const sx_log *log)
{
    return __atomic_load_n(&log->fd, __ATOMIC_ACQUIRE);
}

void sx_log_reopen(sx_log *log)
{
    __atomic_store_n(&log->reopening, 1, __ATOMIC_RELEASE);
    uint64_t one = 1;
    ssize_t done = write(log->wake_fd, &one, sizeof(one));
    (void)done; /* EAGAIN: the writer is awake */
}

bool sx_log_flush(sx_log *log, uint32_t ms)
{
    /* What pthread_cond_timedwait compares with is the system's monotonic clock, whatever clock the
     * log was given. */
    int64_t until_ns = sx_clock_mono_ns(sx_clock_system()) + (int64_t)ms * 1000000;
    struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
    pthread_mutex_lock(&log->flush_lock);
    uint64_t mine = ++log->flush_asked;
    uint64_t one = 1;
    ssize_t sent = write(log->wake_fd, &one, sizeof(one));
    (void)sent; /* EAGAIN: the writer is awake */
    int failed = 0;
    while (log->flush_done < mine && !failed)
        failed = pthread_cond_timedwait(&log->flush_cond, &log->flush_lock, &until);
    bool done = log->flush_done >= mine;
    pthread_mutex_unlock(&log->flush_lock);
    return done;
}
