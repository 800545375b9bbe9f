/* log.c - logs: opening, one record, closing. log_lane.h says how lines travel. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <sextant/context.h>
#include <sextant/mem.h>

#include "telemetry/log_file.h"

/* ---- opening ---- */

/* A heap copy with a NUL; NULL for NULL. False without memory. */
static bool copy_text(const char *z, char **out)
{
    *out = NULL;
    if (!z)
        return true;
    size_t len = strlen(z);
    *out = (char *)sx_alloc(len + 1);
    if (*out)
        memcpy(*out, z, len + 1);
    return *out != NULL;
}

/* /dev/stdout and /dev/stderr are our descriptors: opened by name, a redirected file would be written
 * to at an offset of its own and a socket could not be opened at all. */
static sx_log_options without_device_paths(const sx_log_options *options)
{
    sx_log_options o = *options;
    bool out = o.path && strcmp(o.path, "/dev/stdout") == 0;
    if (out || (o.path && strcmp(o.path, "/dev/stderr") == 0)) {
        o.path = NULL;
        o.fd = out ? STDOUT_FILENO : STDERR_FILENO;
    }
    return o;
}

static sx_status take_options(sx_log *log, const sx_log_options *o, sx_error *err)
{
    log->clock = o->clock ? o->clock : sx_clock_system();
    log->level = o->level ? o->level : SX_LEVEL_INFO;
    uint32_t bytes = o->lane_bytes_max ? o->lane_bytes_max : 4u << 20;
    log->chunks_max = bytes / SX_LOG_CHUNK_BYTES > 2 ? bytes / SX_LOG_CHUNK_BYTES : 2;
    log->repeats.records_max = o->repeats_max ? o->repeats_max : 10;
    log->repeats.period_ns =
        (o->repeats_period_ms ? o->repeats_period_ms : 5000) * INT64_C(1000000);
    log->otlp_level = o->otlp_level;
    log->otlp_access = o->otlp_access;
    log->rotate_bytes = o->path ? o->rotate_bytes : 0;
    log->rotate_ns = o->path ? o->rotate_s * INT64_C(1000000000) : 0;
    log->rotate_keep = o->rotate_keep ? o->rotate_keep : 5;
    log->rotate_codec = o->rotate_codec;
    if (o->rotate_codec != SX_CODEC_IDENTITY && o->rotate_codec != SX_CODEC_GZIP &&
        o->rotate_codec != SX_CODEC_ZSTD)
        return sx_fail(err, SX_EINVAL,
                       "old log files cannot be compressed with %s; use gzip or zstd",
                       sx_codec_name(o->rotate_codec));
    char *service = NULL, *layer = NULL;
    bool copied = copy_text(o->service, &service) && copy_text(o->layer, &layer) &&
                  copy_text(o->path, &log->path) &&
                  copy_text(o->name ? o->name : "events", &log->name);
    log->service = sx_str_z(service);
    log->layer = sx_str_z(layer);
    return copied ? SX_OK : sx_fail_memory(err, "a log");
}

static sx_status open_output(sx_log *log, const sx_log_options *o, sx_error *err)
{
    log->fd = log->path ? sx_log_open_file(log->path, err) : o->fd ? o->fd : STDERR_FILENO;
    if (log->fd < 0)
        return err->status;
    sx_log_file_opened(log);
    bool terminal = isatty(log->fd);
    const char *no_colour = getenv("NO_COLOR");
    log->console = o->form == SX_LOG_CONSOLE || (o->form == SX_LOG_AUTO && terminal);
    log->colour = log->console && terminal && !(no_colour && *no_colour);
    log->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (log->wake_fd < 0)
        return sx_fail_os(err, errno, "no eventfd for the log's writer");
    return SX_OK;
}

/* The writer takes no signals: they are the main thread's. */
static sx_status start_writer(sx_log *log, sx_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGPROF); /* a CPU profile sees it, too */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&log->thread, NULL, sx_log_writer, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? sx_fail_os(err, failed, "no thread for the log's writer") : SX_OK;
}

static void init_locks(sx_log *log)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&log->shared_lock, NULL);
    pthread_mutex_init(&log->logger_lock, NULL);
    pthread_mutex_init(&log->flush_lock, NULL);
    pthread_mutex_init(&log->pack_lock, NULL);
    pthread_cond_init(&log->pack_cond, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&log->flush_cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

/* Frees all but the writer thread, which has ended or never began. */
static void free_parts(sx_log *log)
{
    for (size_t i = 0; i < SX_COUNT_OF(log->lanes); i++)
        sx_log_lane_free(log->lanes[i]);
    sx_log_loggers_free(log);
    if (log->path && log->fd >= 0)
        close(log->fd);
    if (log->wake_fd >= 0)
        close(log->wake_fd);
    pthread_mutex_destroy(&log->shared_lock);
    pthread_mutex_destroy(&log->logger_lock);
    pthread_mutex_destroy(&log->flush_lock);
    pthread_cond_destroy(&log->flush_cond);
    pthread_mutex_destroy(&log->pack_lock);
    pthread_cond_destroy(&log->pack_cond);
    sx_log_recent_free(log->recent);
    sx_free(log->path);
    sx_free(log->name);
    sx_free(log->meters);
    sx_free((char *)log->service.data);
    sx_free((char *)log->layer.data);
    sx_free(log);
}

sx_status sx_log_new(const sx_log_options *options, sx_log **out, sx_error *err)
{
    sx_error local = {0};
    err = err ? err : &local;
    sx_log *log = (sx_log *)sx_calloc(1, sizeof(*log));
    if (!log)
        return sx_fail_memory(err, "a log");
    init_locks(log);
    log->fd = log->wake_fd = -1;
    sx_log_options o = without_device_paths(options);
    sx_status status = take_options(log, &o, err);
    sx_status kept = sx_log_recent_new(o.recent_bytes_max, &log->recent, err);
    status = status == SX_OK ? kept : status;
    sx_log_loggers_init(log);
    if (status == SX_OK)
        status = open_output(log, &o, err);
    if (status == SX_OK)
        status = sx_log_pack_start(log, err);
    if (status == SX_OK)
        status = start_writer(log, err);
    if (status) {
        sx_log_pack_stop(log);
        free_parts(log);
        return status;
    }
    *out = log;
    return SX_OK;
}

sx_status sx_log_recent(const sx_log *log, sx_buf *out, sx_error *err)
{
    sx_log_recent_read(log->recent, out);
    return sx_buf_status(out, "the last lines of the log", err);
}

void sx_log_free(sx_log *log)
{
    if (!log)
        return;
    log->stop_by_ms = sx_clock_mono_ms(sx_clock_system()) + 2000;
    __atomic_store_n(&log->stopping, 1, __ATOMIC_RELEASE);
    uint64_t one = 1;
    ssize_t done = write(log->wake_fd, &one, sizeof(one));
    (void)done; /* EAGAIN: the writer is awake */
    pthread_join(log->thread, NULL);
    sx_log_pack_stop(log);
    free_parts(log);
}

/* ---- records ---- */

/* Longest values at each try: a record that does not fit a chunk is tried again with less. */
static const size_t VALUE_BYTES[] = {8192, 1024, 64};

/* Formats the record into the lane, or counts it as dropped. */
static void put_line(sx_log_lane *lane, sx_log_record *r)
{
    size_t len = 0;
    for (size_t i = 0; i < SX_COUNT_OF(VALUE_BYTES) && len == 0; i++) {
        size_t room;
        r->value_bytes_max = VALUE_BYTES[i];
        char *out = sx_log_lane_room(lane, 1024, &room);
        len = out ? sx_log_format(lane, r, out, room) : 0;
        if (len > 0 || (out && room == SX_LOG_CHUNK_BYTES))
            continue;
        out = sx_log_lane_room(lane, SX_LOG_CHUNK_BYTES, &room); /* a fresh chunk */
        len = out ? sx_log_format(lane, r, out, room) : 0;
        if (!out)
            break;
    }
    if (len > 0)
        sx_log_lane_commit(lane, r->level, len);
    else
        sx_log_lane_drop(lane, r->level);
}

void sx_log_told_record(const sx_log_told *told, int64_t wall_ns, char text[SX_LOG_TOLD_BYTES],
                        sx_field *field, sx_log_record *out)
{
    static const char REPEATED[] = " (repeated)";
    memcpy(text, told->text, told->text_len);
    memcpy(text + told->text_len, REPEATED, sizeof(REPEATED) - 1);
    *field = sx_field_u64("repeats", told->count);
    *out = (sx_log_record){.log = told->logger->log,
                           .logger = told->logger,
                           .level = told->level,
                           .wall_ns = wall_ns,
                           .message = sx_str_of(text, told->text_len + sizeof(REPEATED) - 1),
                           .fields = field,
                           .count = 1,
                           .value_bytes_max = 1024};
}

static SX_COLD void put_told(sx_log_lane *lane, const sx_log_told *told, int64_t wall_ns)
{
    char text[SX_LOG_TOLD_BYTES];
    sx_field field;
    sx_log_record r;
    sx_log_told_record(told, wall_ns, text, &field, &r);
    sx_log_ways ways = sx_log_ways_of(told->logger, told->level);
    if (ways.line)
        put_line(lane, &r);
    if (ways.otlp)
        sx_log_export(ways.otlp, &r);
}

/* Whether the record is to be said now; if so, what was held back before it is said first. */
static bool admit(sx_log_lane *lane, const sx_log_record *r)
{
    const sx_log *log = r->log;
    if (r->level == SX_LEVEL_FATAL || log->repeats.records_max == SX_LOG_REPEATS_ALL)
        return true;
    sx_log_told told;
    uint64_t key = sx_log_repeat_key(r->logger, r->level, r->message, r->fields, r->count);
    bool admitted = sx_log_repeats_admit(&lane->repeats, &log->repeats, key, r->logger, r->level,
                                         r->message, r->wall_ns, &told);
    if (sx_unlikely(told.count > 0))
        put_told(lane, &told, r->wall_ns);
    return admitted;
}

/* The lane, or NULL: the record is counted as lost. */
static sx_log_lane *enter(sx_log *log)
{
    sx_log_lane *lane = sx_log_lane_enter(log);
    if (!lane)
        __atomic_fetch_add(&log->lost, 1, __ATOMIC_RELAXED);
    return lane;
}

static void leave(sx_log *log, sx_log_lane *lane)
{
    bool wake = lane->pending;
    lane->pending = false;
    sx_log_lane_leave(log, lane);
    if (wake)
        sx_log_wake(log);
}

void sx_log_put(sx_log *log, sx_log_record *r)
{
    sx_log_lane *lane = enter(log);
    if (!lane)
        return;
    put_line(lane, r);
    leave(log, lane);
}

void sx_log_write(sx_logger *logger, sx_level level, const sx_log_context *context, sx_str message,
                  const sx_field *fields, size_t count)
{
    sx_assert(level >= SX_LEVEL_TRACE && level <= SX_LEVEL_FATAL);
    sx_log *log = logger->log;
    sx_log_ways ways = sx_log_ways_of(logger, level);
    if (!ways.line && !ways.otlp)
        return;
    sx_log_record r = {.log = log,
                       .logger = logger,
                       .level = level,
                       .wall_ns = sx_clock_ns(log->clock),
                       .context = context,
                       .message = message,
                       .fields = fields,
                       .count = count};
    sx_context_ids ids;
    sx_log_context own;
    if (!context) {
        const sx_context *c = sx_context_current();
        own = sx_context_log(c, &ids);
        r.context = &own;
        r.trace_flags = c->span.flags & SX_TRACE_W3C;
    }
    sx_log_lane *lane = enter(log);
    if (!lane)
        return;
    bool said = admit(lane, &r);
    if (said && ways.line)
        put_line(lane, &r);
    leave(log, lane);
    if (said && ways.otlp)
        sx_log_export(ways.otlp, &r);
}

sx_log_counts sx_log_counts_of(const sx_log *log)
{
    sx_log_counts c = {0};
    for (size_t i = 0; i < SX_COUNT_OF(log->lanes); i++) {
        const sx_log_lane *lane = __atomic_load_n(&log->lanes[i], __ATOMIC_ACQUIRE);
        if (!lane)
            continue;
        c.lines += __atomic_load_n(&lane->lane.records, __ATOMIC_RELAXED);
        c.dropped += __atomic_load_n(&lane->lane.dropped, __ATOMIC_RELAXED);
        c.repeats += __atomic_load_n(&lane->repeats.total, __ATOMIC_RELAXED);
        for (int level = SX_LEVEL_TRACE; level < SX_LEVEL_OFF; level++)
            c.levels[level] += __atomic_load_n(&lane->levels[level], __ATOMIC_RELAXED);
    }
    for (int level = SX_LEVEL_TRACE; level < SX_LEVEL_OFF; level++) {
        uint64_t own = __atomic_load_n(&log->own_lines[level], __ATOMIC_RELAXED);
        c.lines += own;
        c.levels[level] += own;
    }
    c.rotations = __atomic_load_n(&log->rotations, __ATOMIC_RELAXED);
    c.dropped += __atomic_load_n(&log->lost, __ATOMIC_RELAXED);
    c.written_bytes = __atomic_load_n(&log->written_bytes, __ATOMIC_RELAXED);
    c.write_errors = __atomic_load_n(&log->write_errors, __ATOMIC_RELAXED);
    return c;
}
