/* file_write.c - the buffered writer, and replacing a file at once.
 *
 * A replacement is: write PATH.tmp, fsync it, rename it to PATH, fsync the folder. Leave out the
 * first fsync and a power cut may leave an empty file under the good name; leave out the second and
 * the old file may come back after we have said that the new one is there. */
#include <sextant/file.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include <sextant/mem.h>

#include "base/file_sys.h"

enum { BUFFER_BYTES_DEFAULT = 65536, FILE_MODE = 0600 };

static const char TEMP_SUFFIX[] = ".tmp";

/* Keeps the failure that is in w->failure and gives it to the caller. */
static sx_status report(const sx_writer *w, sx_error *err)
{
    if (err && err != &w->failure)
        *err = w->failure;
    return w->failure.status;
}

/* Takes an open descriptor; on failure the caller still owns it. */
static sx_status writer_init(sx_writer *w, int fd, const char *path, size_t buffer_bytes,
                             sx_error *err)
{
    *w = (sx_writer){.fd = -1, .cap = buffer_bytes ? buffer_bytes : BUFFER_BYTES_DEFAULT};
    size_t path_bytes = strlen(path) + 1;
    w->path = sx_alloc(path_bytes);
    w->buffer = sx_alloc(w->cap);
    if (!w->path || !w->buffer) {
        sx_writer_abandon(w);
        return sx_fail_memory(err, path);
    }
    memcpy(w->path, path, path_bytes);
    w->fd = fd;
    return SX_OK;
}

static sx_status find_end(sx_writer *w, sx_error *err)
{
    struct stat info;
    if (sx_file_sys_now()->fstat(w->fd, &info) != 0)
        return sx_fail_os(err, errno, "cannot stat %s", w->path);
    w->offset = (uint64_t)info.st_size;
    return SX_OK;
}

sx_status sx_writer_open(sx_writer *w, const char *path, sx_writer_mode mode, size_t buffer_bytes,
                         sx_error *err)
{
    static const int FLAGS[] = {
        [SX_WRITER_NEW] = O_EXCL,
        [SX_WRITER_EMPTY] = O_TRUNC,
        [SX_WRITER_APPEND] = O_APPEND,
    };
    *w = (sx_writer){.fd = -1};
    int fd;
    do {
        fd = sx_file_sys_now()->open(path, O_WRONLY | O_CREAT | FLAGS[mode], FILE_MODE);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return sx_fail_os(err, errno, "cannot open %s for writing", path);
    sx_status status = writer_init(w, fd, path, buffer_bytes, err);
    if (status != SX_OK) {
        sx_file_sys_now()->close(fd);
        return status;
    }
    if (mode == SX_WRITER_APPEND)
        status = find_end(w, err);
    if (status != SX_OK)
        sx_writer_abandon(w);
    return status;
}

/* Writes all of it, or sets the failure. A short write is gone on with: the next one tells why. */
static sx_status write_all(sx_writer *w, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = sx_file_sys_now()->write(w->fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) /* 0 is not among a disk's answers; taken as a full one rather than a loop */
            return sx_fail_os(&w->failure, n < 0 ? errno : ENOSPC, "cannot write %s", w->path);
        data += n;
        len -= (size_t)n;
    }
    return SX_OK;
}

sx_status sx_writer_flush(sx_writer *w, sx_error *err)
{
    sx_assert(w->fd >= 0);
    if (w->failure.status != SX_OK)
        return report(w, err);
    size_t len = w->len;
    w->len = 0;
    return write_all(w, w->buffer, len) == SX_OK ? SX_OK : report(w, err);
}

sx_status sx_writer_bytes(sx_writer *w, const void *data, size_t len, sx_error *err)
{
    sx_assert(w->fd >= 0);
    if (sx_unlikely(w->failure.status != SX_OK))
        return report(w, err);
    w->offset += len;
    if (sx_likely(len <= w->cap - w->len)) {
        if (len)
            memcpy(w->buffer + w->len, data, len);
        w->len += len;
        return SX_OK;
    }
    if (sx_writer_flush(w, err) != SX_OK)
        return w->failure.status;
    if (len < w->cap) {
        memcpy(w->buffer, data, len);
        w->len = len;
        return SX_OK;
    }
    return write_all(w, data, len) == SX_OK ? SX_OK : report(w, err);
}

sx_status sx_writer_sync(sx_writer *w, sx_error *err)
{
    if (sx_writer_flush(w, err) != SX_OK)
        return w->failure.status;
    if (sx_file_sys_now()->fsync(w->fd) == 0)
        return SX_OK;
    sx_fail_os(&w->failure, errno, "cannot sync %s", w->path);
    return report(w, err);
}

/* Frees the memory and leaves a closed writer. */
static void writer_done(sx_writer *w)
{
    sx_free(w->path);
    sx_free(w->buffer);
    *w = (sx_writer){.fd = -1};
}

sx_status sx_writer_close(sx_writer *w, sx_error *err)
{
    if (!w->path)
        return SX_OK;
    sx_status status = sx_writer_flush(w, err);
    if (sx_file_sys_now()->close(w->fd) != 0 && status == SX_OK)
        status = sx_fail_os(err, errno, "cannot close %s", w->path);
    writer_done(w);
    return status;
}

void sx_writer_abandon(sx_writer *w)
{
    if (w->path && w->fd >= 0)
        sx_file_sys_now()->close(w->fd);
    writer_done(w);
}

static char *join(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    char *text = sx_alloc(a_len + b_len + 1);
    if (text) {
        memcpy(text, a, a_len);
        memcpy(text + a_len, b, b_len + 1);
    }
    return text;
}

/* Opens and locks the file at `temp`, whoever made it, and empties it: SX_AGAIN if it was given its
 * final name between the two steps, so that we would have emptied the published file. */
static sx_status claim_once(const char *temp, int *out, sx_error *err)
{
    const sx_file_sys *sys = sx_file_sys_now();
    int fd = sys->open(temp, O_WRONLY | O_CREAT, FILE_MODE);
    if (fd < 0)
        return errno == EINTR ? SX_AGAIN
                              : sx_fail_os(err, errno, "cannot open %s for writing", temp);
    struct stat ours, there;
    sx_status status = SX_OK;
    if (sys->flock(fd, LOCK_EX | LOCK_NB) != 0) {
        status = errno == EWOULDBLOCK
                     ? sx_fail(err, SX_REFUSED, "%s is being written by another; wait for it", temp)
                     : sx_fail_os(err, errno, "cannot lock %s", temp);
    } else if (sys->fstat(fd, &ours) != 0) {
        status = sx_fail_os(err, errno, "cannot stat %s", temp);
    } else if (sys->stat(temp, &there) != 0) {
        status = errno == ENOENT ? SX_AGAIN : sx_fail_os(err, errno, "cannot stat %s", temp);
    } else if (ours.st_ino != there.st_ino || ours.st_dev != there.st_dev) {
        status = SX_AGAIN;
    } else if (ours.st_size != 0 && sys->ftruncate(fd, 0) != 0) {
        status = sx_fail_os(err, errno, "cannot empty %s", temp);
    }
    if (status != SX_OK)
        sys->close(fd);
    *out = fd;
    return status;
}

enum { CLAIM_TRIES_MAX = 100 };

static sx_status claim(const char *temp, int *fd, sx_error *err)
{
    for (int i = 0; i < CLAIM_TRIES_MAX; i++) {
        sx_status status = claim_once(temp, fd, err);
        if (status != SX_AGAIN)
            return status;
    }
    return sx_fail(err, SX_REFUSED, "%s is being replaced by others all the time", temp);
}

sx_status sx_replace_open(sx_replace *r, const char *path, size_t buffer_bytes, sx_error *err)
{
    *r = (sx_replace){.writer.fd = -1};
    char *temp = join(path, TEMP_SUFFIX);
    r->path = join(path, "");
    int fd = -1;
    sx_status status = temp && r->path ? claim(temp, &fd, err) : sx_fail_memory(err, path);
    if (status == SX_OK) {
        status = writer_init(&r->writer, fd, temp, buffer_bytes, err);
        if (status != SX_OK) {
            sx_file_sys_now()->unlink(temp); /* while we still hold its lock */
            sx_file_sys_now()->close(fd);
        }
    }
    if (status != SX_OK) {
        sx_free(r->path);
        r->path = NULL;
    }
    sx_free(temp);
    return status;
}

static sx_status sync_parent(const char *path, sx_error *err)
{
    char *parent = join(path, "");
    if (!parent)
        return sx_fail_memory(err, path);
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = '\0';
    sx_status status = sx_folder_sync(slash ? parent : ".", err);
    sx_free(parent);
    return status;
}

sx_status sx_replace_commit(sx_replace *r, sx_error *err)
{
    sx_writer *w = &r->writer;
    sx_status status = sx_writer_sync(w, err);
    /* The descriptor stays open until the rename, for its lock; a close after an fsync has nothing
     * left to lose, so its answer does not matter. */
    if (status == SX_OK)
        status = sx_file_rename(w->path, r->path, err);
    if (status != SX_OK) {
        sx_replace_abandon(r);
        return status;
    }
    status = sync_parent(r->path, err);
    sx_writer_abandon(w);
    sx_free(r->path);
    r->path = NULL;
    return status;
}

void sx_replace_abandon(sx_replace *r)
{
    if (!r->path)
        return;
    /* If it cannot be removed it stays as a leftover, which the next replacement overwrites. */
    sx_file_sys_now()->unlink(r->writer.path);
    sx_writer_abandon(&r->writer);
    sx_free(r->path);
    r->path = NULL;
}

sx_status sx_file_replace(const char *path, sx_str contents, sx_error *err)
{
    sx_replace r;
    sx_status status = sx_replace_open(&r, path, 0, err);
    if (status != SX_OK)
        return status;
    status = sx_writer_bytes(&r.writer, contents.data, contents.len, err);
    if (status == SX_OK)
        return sx_replace_commit(&r, err);
    sx_replace_abandon(&r);
    return status;
}
