/* spool.c - see spool.h. */
#include "geocode/index/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "base/file_sys.h"

enum { TEMP_MODE = 0600, WINDOW_BYTES = 1 << 18, NAME_TRIES_MAX = 100 };

bool geo_temp_init(geo_temp *t, const char *folder, size_t buffer_bytes)
{
    *t = (geo_temp){.buffer_bytes = buffer_bytes};
    if (!folder)
        return true;
    size_t len = strlen(folder) + 1;
    t->folder = sx_alloc(len);
    if (t->folder)
        memcpy(t->folder, folder, len);
    return t->folder != NULL;
}

void geo_temp_done(geo_temp *t)
{
    sx_free(t->folder);
    *t = (geo_temp){0};
}

/* Some file systems (overlays, NFS) know no O_TMPFILE: there a name is taken for a moment. */
static int open_named(const char *folder)
{
    const sx_file_sys *sys = sx_file_sys_now();
    char path[4096];
    for (unsigned i = 0; i < NAME_TRIES_MAX; i++) {
        int len = snprintf(path, sizeof(path), "%s/.sextant-%ld-%u.tmp", folder, (long)getpid(), i);
        if (len < 0 || (size_t)len >= sizeof(path)) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = sys->open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, TEMP_MODE);
        if (fd >= 0) {
            if (sys->unlink(path) == 0)
                return fd;
            int why = errno;
            sys->close(fd);
            errno = why;
            return -1;
        }
        if (errno != EEXIST && errno != EINTR)
            return -1;
    }
    return -1;
}

static int open_temp(const char *folder)
{
    int fd;
    do {
        fd = sx_file_sys_now()->open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, TEMP_MODE);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
        return open_named(folder);
    return fd;
}

static sx_status cannot_write(const geo_temp_file *f, size_t len, sx_error *err)
{
    int why = errno;
    const geo_temp *t = f->temp;
    if (why != ENOSPC && why != EDQUOT && why != EFBIG)
        return sx_fail_os(err, why, "cannot write temporary data in folder %s", t->folder);
    return sx_fail_os(
        err, why,
        "no room for another %.1f MB of temporary data in folder %s, where this build "
        "has %.1f MB; make as much room there as the unpacked input has, name another "
        "folder (--temp), or let more stay in memory (--memory)",
        (double)len / 1e6, t->folder, (double)t->disk_bytes / 1e6);
}

sx_status geo_temp_write(geo_temp_file *f, const void *data, size_t len, sx_error *err)
{
    if (f->fd < 0) {
        f->fd = open_temp(f->temp->folder);
        if (f->fd < 0)
            return sx_fail_os(err, errno, "cannot make a temporary file in folder %s",
                              f->temp->folder);
    }
    const char *at = data;
    while (len > 0) {
        ssize_t n = sx_file_sys_now()->write(f->fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0)
            return cannot_write(f, len, err);
        at += n;
        len -= (size_t)n;
        f->bytes += (uint64_t)n;
        f->temp->disk_bytes += (uint64_t)n;
    }
    return SX_OK;
}

sx_status geo_temp_read(const geo_temp_file *f, uint64_t offset, void *out, size_t len,
                        sx_error *err)
{
    char *to = out;
    sx_assert(offset + len <= f->bytes);
    while (len > 0) {
        ssize_t n = sx_file_sys_now()->pread(f->fd, to, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return sx_fail_os(err, n < 0 ? errno : EIO,
                              "cannot read temporary data back from folder %s", f->temp->folder);
        to += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return SX_OK;
}

void geo_temp_close(geo_temp_file *f)
{
    if (f->fd < 0)
        return;
    (void)sx_file_sys_now()->close(f->fd); /* nothing in it is wanted any more */
    f->temp->disk_bytes -= f->bytes;
    f->fd = -1;
    f->bytes = 0;
}

void geo_spool_init(geo_spool *s, geo_temp *temp)
{
    *s = (geo_spool){.file = {.temp = temp, .fd = -1}};
    sx_buf_init(&s->tail, 0);
}

void geo_spool_done(geo_spool *s)
{
    sx_buf_done(&s->tail);
    geo_temp_close(&s->file);
}

sx_status geo_spool_settle(geo_spool *s, const char *what, sx_error *err)
{
    if (sx_unlikely(s->tail.failed))
        return sx_buf_status(&s->tail, what, err);
    const geo_temp *t = s->file.temp;
    if (sx_likely(s->tail.len <= t->buffer_bytes) || !t->folder)
        return SX_OK;
    s->crc32c = sx_crc32c(s->crc32c, s->tail.data, s->tail.len);
    sx_status status = geo_temp_write(&s->file, s->tail.data, s->tail.len, err);
    if (status != SX_OK)
        return sx_error_prefix(err, status, "%s", what);
    sx_buf_clear(&s->tail);
    return SX_OK;
}

uint32_t geo_spool_crc32c(const geo_spool *s)
{
    return sx_crc32c(s->crc32c, s->tail.data, s->tail.len);
}

void geo_spool_pad(geo_spool *s, size_t to)
{
    while (geo_spool_bytes(s) % to != 0 && !s->tail.failed)
        sx_buf_byte(&s->tail, 0);
}

void geo_spool_reader_init(geo_spool_reader *r, const geo_spool *s)
{
    *r = (geo_spool_reader){.spool = s};
    sx_buf_init(&r->window, 0);
}

void geo_spool_reader_done(geo_spool_reader *r)
{
    sx_buf_done(&r->window);
}

/* Makes the window begin at `at` and have `need` bytes: more, where the stream has them. What lies in
 * the tail is copied too, so that a record that is half in the file is whole. */
static bool fill(geo_spool_reader *r, size_t need, sx_error *err)
{
    const geo_spool *s = r->spool;
    uint64_t left = geo_spool_bytes(s) - r->at;
    size_t want = need > WINDOW_BYTES ? need : WINDOW_BYTES;
    if (want > left)
        want = (size_t)left;
    sx_buf_clear(&r->window);
    char *to = sx_buf_reserve(&r->window, want);
    if (!to) {
        sx_fail_memory(err, "reading temporary data back");
        return false;
    }
    size_t from_file = 0;
    if (r->at < s->file.bytes) {
        from_file = s->file.bytes - r->at < want ? (size_t)(s->file.bytes - r->at) : want;
        if (geo_temp_read(&s->file, r->at, to, from_file, err) != SX_OK)
            return false;
    }
    if (want > from_file)
        memcpy(to + from_file, s->tail.data + (r->at + from_file - s->file.bytes),
               want - from_file);
    r->window.len = want;
    r->from = r->at;
    return true;
}

const void *geo_spool_next(geo_spool_reader *r, size_t len, sx_error *err)
{
    const geo_spool *s = r->spool;
    sx_assert(len <= geo_spool_bytes(s) - r->at);
    if (r->at >= s->file.bytes && s->tail.data) { /* in memory: no copy */
        const void *data = s->tail.data + (r->at - s->file.bytes);
        r->at += len;
        return data;
    }
    if (len == 0)
        return "";
    if (sx_unlikely(r->at < r->from || r->at + len > r->from + r->window.len) && !fill(r, len, err))
        return NULL;
    const void *data = r->window.data + (r->at - r->from);
    r->at += len;
    return data;
}

const void *geo_spool_chunk(geo_spool_reader *r, size_t *len, sx_error *err)
{
    uint64_t left = geo_spool_bytes(r->spool) - r->at;
    *len = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
    return geo_spool_next(r, *len, err);
}
