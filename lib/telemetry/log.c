/* log.c - logs and loggers: opening, levels, one record. log_lane.h says how lines travel. */
#include "telemetry/log_lane.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sextant/mem.h>

/* ---- levels ---- */

static const sx_str LEVEL_NAMES[] = {
#define X(name, value) [value] = SX_STR_INIT(#name),
    SX_LEVEL_LIST(X)
#undef X
        [SX_LEVEL_OFF] = SX_STR_INIT("OFF"),
};

const char *sx_level_name(sx_level level)
{
    return level >= SX_LEVEL_TRACE && level <= SX_LEVEL_OFF ? LEVEL_NAMES[level].data : "UNKNOWN";
}

bool sx_level_parse(sx_str text, sx_level *out)
{
    for (int i = SX_LEVEL_TRACE; i <= SX_LEVEL_OFF; i++)
        if (sx_str_ieq(text, LEVEL_NAMES[i])) {
            *out = (sx_level)i;
            return true;
        }
    return false;
}

/* ---- opening ---- */

int sx_log_open_file(const char *path, sx_error *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        sx_fail_os(err, errno, "log file %s cannot be opened", path);
    return fd;
}

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

static sx_status open_output(sx_log *log, const sx_log_options *o, sx_error *err)
{
    log->fd = o->path ? sx_log_open_file(o->path, err) : o->fd ? o->fd : STDERR_FILENO;
    if (log->fd < 0)
        return err ? err->status : SX_EIO;
    struct stat about;
    log->is_file = fstat(log->fd, &about) == 0 && S_ISREG(about.st_mode);
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
    while (log->loggers) {
        sx_logger *next = log->loggers->next;
        sx_free(log->loggers);
        log->loggers = next;
    }
    if (log->path && log->fd >= 0)
        close(log->fd);
    if (log->wake_fd >= 0)
        close(log->wake_fd);
    pthread_mutex_destroy(&log->shared_lock);
    pthread_mutex_destroy(&log->logger_lock);
    pthread_mutex_destroy(&log->flush_lock);
    pthread_cond_destroy(&log->flush_cond);
    sx_free(log->path);
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
    log->clock = options->clock ? options->clock : sx_clock_system();
    log->level = options->level ? options->level : SX_LEVEL_INFO;
    log->root = (sx_logger){.log = log, .level = log->level};
    uint32_t bytes = options->lane_bytes_max ? options->lane_bytes_max : 4u << 20;
    log->chunks_max = bytes / SX_LOG_CHUNK_BYTES > 2 ? bytes / SX_LOG_CHUNK_BYTES : 2;
    char *service, *layer = NULL;
    bool copied = copy_text(options->service, &service) && copy_text(options->layer, &layer) &&
                  copy_text(options->path, &log->path);
    log->service = sx_str_z(service);
    log->layer = sx_str_z(layer);
    sx_status status = copied ? open_output(log, options, err) : sx_fail_memory(err, "a log");
    if (status == SX_OK)
        status = start_writer(log, err);
    if (status) {
        free_parts(log);
        return status;
    }
    *out = log;
    return SX_OK;
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
    free_parts(log);
}

/* ---- loggers ---- */

static sx_logger *find_logger(sx_log *log, sx_str name)
{
    if (name.len == 0)
        return &log->root;
    sx_logger *l = log->loggers;
    while (l && !sx_str_eq(l->name, name))
        l = l->next;
    return l;
}

sx_logger *sx_log_logger(sx_log *log, const char *name)
{
    sx_str wanted = sx_str_z(name);
    pthread_mutex_lock(&log->logger_lock);
    sx_logger *l = find_logger(log, wanted);
    if (!l) {
        l = (sx_logger *)sx_alloc(sizeof(*l) + wanted.len + 1);
        if (l) {
            char *copy = (char *)(l + 1);
            memcpy(copy, name, wanted.len + 1);
            *l = (sx_logger){.log = log,
                             .level = log->level,
                             .name = sx_str_of(copy, wanted.len),
                             .next = log->loggers};
            log->loggers = l;
        }
    }
    pthread_mutex_unlock(&log->logger_lock);
    return l ? l : &log->root;
}

sx_status sx_log_level_set(sx_log *log, const char *name, sx_level level, sx_error *err)
{
    pthread_mutex_lock(&log->logger_lock);
    sx_logger *one = name ? find_logger(log, sx_str_z(name)) : NULL;
    if (one) {
        __atomic_store_n(&one->level, (int)level, __ATOMIC_RELAXED);
    } else if (!name) {
        log->level = (int)level;
        __atomic_store_n(&log->root.level, (int)level, __ATOMIC_RELAXED);
        for (sx_logger *l = log->loggers; l; l = l->next)
            __atomic_store_n(&l->level, (int)level, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&log->logger_lock);
    return one || !name ? SX_OK : sx_fail(err, SX_ENOTFOUND, "no logger is named '%s'", name);
}

void sx_log_loggers(sx_log *log, void (*fn)(void *ctx, const char *name, sx_level level), void *ctx)
{
    fn(ctx, "", (sx_level)__atomic_load_n(&log->root.level, __ATOMIC_RELAXED));
    pthread_mutex_lock(&log->logger_lock);
    for (const sx_logger *l = log->loggers; l; l = l->next)
        fn(ctx, l->name.data, (sx_level)__atomic_load_n(&l->level, __ATOMIC_RELAXED));
    pthread_mutex_unlock(&log->logger_lock);
}

bool sx_logger_enabled(const sx_logger *logger, sx_level level)
{
    return (int)level >= __atomic_load_n(&logger->level, __ATOMIC_RELAXED);
}

/* ---- records ---- */

/* Longest values at each try: a record that does not fit a chunk is tried again with less. */
static const size_t VALUE_BYTES[] = {8192, 1024, 64};

void sx_log_write(sx_logger *logger, sx_level level, const sx_log_context *context, sx_str message,
                  const sx_field *fields, size_t count)
{
    sx_assert(level >= SX_LEVEL_TRACE && level <= SX_LEVEL_FATAL);
    sx_log *log = logger->log;
    sx_log_record r = {.log = log,
                       .logger = logger->name,
                       .level = level,
                       .wall_ns = sx_clock_ns(log->clock),
                       .context = context,
                       .message = message,
                       .fields = fields,
                       .count = count};
    sx_log_lane *lane = sx_log_lane_enter(log);
    if (!lane) {
        __atomic_fetch_add(&log->lost, 1, __ATOMIC_RELAXED);
        return;
    }
    size_t len = 0;
    for (size_t i = 0; i < SX_COUNT_OF(VALUE_BYTES) && len == 0; i++) {
        size_t room;
        r.value_bytes_max = VALUE_BYTES[i];
        char *out = sx_log_lane_room(lane, 1024, &room);
        len = out ? sx_log_format(lane, &r, out, room) : 0;
        if (len > 0 || (out && room == SX_LOG_CHUNK_BYTES))
            continue;
        out = sx_log_lane_room(lane, SX_LOG_CHUNK_BYTES, &room); /* a fresh chunk */
        len = out ? sx_log_format(lane, &r, out, room) : 0;
        if (!out)
            break;
    }
    if (len > 0)
        sx_log_lane_commit(lane, len);
    else
        sx_log_lane_drop(lane);
    lane->pending = false;
    sx_log_lane_leave(log, lane);
    sx_log_wake(log);
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
    }
    c.dropped += __atomic_load_n(&log->lost, __ATOMIC_RELAXED);
    c.written_bytes = __atomic_load_n(&log->written_bytes, __ATOMIC_RELAXED);
    c.write_errors = __atomic_load_n(&log->write_errors, __ATOMIC_RELAXED);
    return c;
}
