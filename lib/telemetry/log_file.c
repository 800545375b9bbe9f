/* log_file.c - the log's file: opened, opened again, rotated. Only the writer thread comes here once the
 * log is open.
 *
 * An old file is called PATH.YYYYMMDD-HHMMSS.mmm after the moment of its rotation, so that names sort by
 * age, nothing is ever renamed twice and the thread that compresses and removes old ones (log_pack.c)
 * needs no word with the writer. Lines are whole in either file: the cut is between two lines. */
#include "telemetry/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_sys.h"
#include "telemetry/text.h"

enum { RETRY_MS = 10000, NAME_TRIES = 1000 };

/* What a log may be written to, else why not. A FIFO would hold the writer up until somebody reads. */
static sx_status check_kind(const char *path, mode_t mode, sx_error *err)
{
    if (S_ISFIFO(mode))
        return sx_fail(err, SX_EINVAL,
                       "log file %s is a FIFO; log to standard output and pipe from there", path);
    if (S_ISDIR(mode))
        return sx_fail(err, SX_EINVAL, "log file %s is a folder; name a file in it", path);
    if (S_ISREG(mode) || S_ISCHR(mode))
        return SX_OK;
    return sx_fail(err, SX_EINVAL, "log file %s is no file that can be written to", path);
}

int sx_log_open_file(const char *path, sx_error *err)
{
    const sx_file_sys *sys = sx_file_sys_now();
    struct stat about;
    if (sys->stat(path, &about) == 0 && check_kind(path, about.st_mode, err))
        return -1;
    /* NONBLOCK, and asked again below: it may have become a FIFO meanwhile. */
    int fd =
        sys->open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd < 0) {
        sx_fail_os(err, errno, "log file %s cannot be opened", path);
        return -1;
    }
    if (sys->fstat(fd, &about) != 0) {
        sx_fail_os(err, errno, "log file %s cannot be examined", path);
        close(fd);
        return -1;
    }
    if (check_kind(path, about.st_mode, err)) {
        close(fd);
        return -1;
    }
    (void)fcntl(fd, F_SETFL, O_WRONLY | O_APPEND);
    return fd;
}

/* Nanoseconds since 1970 when the open file was made; now if the file system does not tell. */
static int64_t born_ns(int fd, int64_t now_ns)
{
    struct statx about;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &about) != 0 || !(about.stx_mask & STATX_BTIME))
        return now_ns;
    int64_t born = about.stx_btime.tv_sec * 1000000000 + about.stx_btime.tv_nsec;
    return born < now_ns ? born : now_ns;
}

void sx_log_file_opened(sx_log *log)
{
    struct stat about;
    log->is_file = fstat(log->fd, &about) == 0 && S_ISREG(about.st_mode);
    log->file_bytes = log->is_file ? (uint64_t)about.st_size : 0;
    log->born_ns = born_ns(log->fd, sx_clock_ns(log->clock));
    log->torn = false;
}

/* The descriptor is read by the crash handler, too. */
static void take_file(sx_log *log, int fd)
{
    int old = log->fd;
    __atomic_store_n(&log->fd, fd, __ATOMIC_RELEASE);
    close(old);
    sx_log_file_opened(log);
}

void sx_log_file_reopen(sx_log *log)
{
    if (!log->path)
        return;
    sx_error err = {0};
    int fd = sx_log_open_file(log->path, &err);
    if (fd < 0)
        fprintf(stderr, "%s; the old file stays in use\n", err.message);
    else
        take_file(log, fd);
}

/* ---- rotation ---- */

/* Writes PATH.YYYYMMDD-HHMMSS.mmm; false if that is too long. */
static bool name_old(const sx_log *log, int64_t ms, char *out, size_t size)
{
    char t[SX_TIME_RFC3339_BYTES]; /* 2024-01-15T10:30:00.123Z */
    sx_time_rfc3339(ms * 1000000, 3, t);
    int len = snprintf(out, size, "%s.%.4s%.2s%.2s-%.2s%.2s%.2s.%.3s", log->path, t, t + 5, t + 8,
                       t + 11, t + 14, t + 17, t + 20);
    return len > 0 && (size_t)len < size;
}

/* Gives the file its old name, one that is free. */
static bool move_away(sx_log *log, char *old, size_t size)
{
    int64_t ms = sx_clock_ms(log->clock);
    if (ms <= log->stamp_ms)
        ms = log->stamp_ms + 1; /* names sort by age even if the clock was set back */
    for (int i = 0; i < NAME_TRIES; i++, ms++) {
        if (!name_old(log, ms, old, size)) {
            errno = ENAMETOOLONG;
            return false;
        }
        struct stat about;
        if (sx_file_sys_now()->stat(old, &about) == 0)
            continue;
        log->stamp_ms = ms;
        return sx_file_sys_now()->rename(log->path, old) == 0;
    }
    return false;
}

/* Whether the path still leads to the open file: somebody else may have moved it. */
static bool is_ours(const sx_log *log)
{
    struct stat open_file, named;
    return fstat(log->fd, &open_file) == 0 && stat(log->path, &named) == 0 &&
           open_file.st_ino == named.st_ino && open_file.st_dev == named.st_dev;
}

bool sx_log_file_rotate(sx_log *log)
{
    int64_t now = sx_clock_mono_ms(sx_clock_system());
    if (now < log->rotate_after_ms)
        return false;
    log->rotate_after_ms = now + RETRY_MS; /* unless it goes well */
    char old[4096];
    sx_error err = {0};
    bool ours = is_ours(log);
    if (ours && !move_away(log, old, sizeof(old))) {
        fprintf(stderr, "log file %s cannot be rotated (errno %d); it goes on\n", log->path, errno);
        return false;
    }
    int fd = sx_log_open_file(log->path, &err);
    if (fd < 0) {
        if (ours)
            (void)sx_file_sys_now()->rename(old, log->path);
        fprintf(stderr, "%s; the old file goes on\n", err.message);
        return false;
    }
    take_file(log, fd);
    log->rotate_after_ms = 0;
    __atomic_fetch_add(&log->rotations, 1, __ATOMIC_RELAXED);
    sx_log_pack_wake(log);
    return true;
}

void sx_log_file_age(sx_log *log)
{
    if (!log->rotate_ns || !log->is_file || log->file_bytes == 0)
        return;
    int64_t now_ns = sx_clock_ns(log->clock);
    if (now_ns < log->born_ns)
        log->born_ns =
            now_ns; /* the clock was set back: else the file would stay till it is there again */
    else if (now_ns - log->born_ns >= log->rotate_ns)
        (void)sx_log_file_rotate(log);
}
