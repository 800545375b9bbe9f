/* file.c - reading, mapping, locking files; folders. file_write.c writes them. */
#include <sextant/file.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "base/file_sys.h"

enum { READ_BYTES_LEAST = 4096, FOLDER_MODE = 0700, FILE_MODE = 0600 };

static char *copy_path(const char *path)
{
    size_t bytes = strlen(path) + 1;
    char *copy = sx_alloc(bytes);
    return copy ? memcpy(copy, path, bytes) : NULL;
}

static int open_retrying(const char *path, int flags)
{
    int fd;
    do {
        fd = sx_file_sys_now()->open(path, flags, FILE_MODE);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static ssize_t read_retrying(int fd, void *out, size_t len)
{
    ssize_t got;
    do {
        got = sx_file_sys_now()->read(fd, out, len);
    } while (got < 0 && errno == EINTR);
    return got;
}

static sx_status read_all(int fd, const char *path, size_t bytes_max, sx_buf *out, sx_error *err)
{
    struct stat info;
    if (sx_file_sys_now()->fstat(fd, &info) != 0)
        return sx_fail_os(err, errno, "cannot stat %s", path);
    if (S_ISDIR(info.st_mode))
        return sx_fail(err, SX_EINVAL, "%s is a folder, not a file", path);
    size_t start = out->len;
    /* One byte more than the size it claims, so that the end shows without growing; files in /proc
     * claim 0. */
    size_t room = (size_t)info.st_size + 1;
    for (;;) {
        if (room < READ_BYTES_LEAST)
            room = READ_BYTES_LEAST;
        if (bytes_max && room > bytes_max + 1)
            room = bytes_max + 1;
        char *at = sx_buf_reserve(out, room);
        if (!at)
            return sx_buf_status(out, path, err);
        ssize_t got = read_retrying(fd, at, room);
        if (got < 0)
            return sx_fail_os(err, errno, "cannot read %s", path);
        if (got == 0)
            return SX_OK;
        out->len += (size_t)got;
        if (bytes_max && out->len - start > bytes_max)
            return sx_fail(err, SX_ELIMIT, "%s is larger than the limit of %zu bytes", path,
                           bytes_max);
        room = room > (size_t)got ? room - (size_t)got : 0;
    }
}

sx_status sx_file_read(const char *path, size_t bytes_max, sx_buf *out, sx_error *err)
{
    int fd = open_retrying(path, O_RDONLY);
    if (fd < 0)
        return sx_fail_os(err, errno, "cannot open %s", path);
    size_t start = out->len;
    sx_status status = read_all(fd, path, bytes_max, out, err);
    if (status != SX_OK)
        out->len = start;
    sx_file_sys_now()->close(fd); /* nothing was written: closing cannot lose anything */
    return status;
}

static sx_status map_open(sx_mapping *m, int fd, const char *path, sx_mapping_use use,
                          sx_error *err)
{
    struct stat info;
    if (sx_file_sys_now()->fstat(fd, &info) != 0)
        return sx_fail_os(err, errno, "cannot stat %s", path);
    if (!S_ISREG(info.st_mode))
        return sx_fail(err, SX_EINVAL, "%s is not a regular file", path);
    *m = (sx_mapping){0};
    if (info.st_size == 0)
        return SX_OK;
    void *data = sx_file_sys_now()->mmap((size_t)info.st_size, fd);
    if (data == MAP_FAILED)
        return sx_fail_os(err, errno, "cannot map %s", path);
    /* Only advice: if the kernel does not take it, nothing is wrong. */
    (void)madvise(data, (size_t)info.st_size, use == SX_MAP_RANDOM ? MADV_RANDOM : MADV_SEQUENTIAL);
    m->data = data;
    m->len = (size_t)info.st_size;
    return SX_OK;
}

sx_status sx_mapping_open(sx_mapping *m, const char *path, sx_mapping_use use, sx_error *err)
{
    int fd = open_retrying(path, O_RDONLY);
    if (fd < 0)
        return sx_fail_os(err, errno, "cannot open %s", path);
    sx_status status = map_open(m, fd, path, use, err);
    sx_file_sys_now()->close(fd); /* the mapping keeps the file */
    return status;
}

void sx_mapping_close(sx_mapping *m)
{
    if (m->data)
        sx_assert(munmap((void *)(uintptr_t)m->data, m->len) == 0);
    *m = (sx_mapping){0};
}

sx_status sx_reader_open(sx_reader *r, const char *path, sx_error *err)
{
    bool is_stdin = path[0] == '-' && path[1] == '\0';
    r->fd = -1;
    r->path = copy_path(is_stdin ? "the standard input" : path);
    if (!r->path)
        return sx_fail_memory(err, path);
    r->fd = is_stdin ? STDIN_FILENO : open_retrying(path, O_RDONLY);
    if (r->fd >= 0)
        return SX_OK;
    sx_status status = sx_fail_os(err, errno, "cannot open %s", path);
    sx_reader_close(r);
    return status;
}

sx_status sx_reader_read(sx_reader *r, void *out, size_t cap, size_t *got, sx_error *err)
{
    *got = 0;
    while (*got < cap) {
        ssize_t n = read_retrying(r->fd, (char *)out + *got, cap - *got);
        if (n < 0)
            return sx_fail_os(err, errno, "cannot read %s", r->path);
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return *got == 0 && cap > 0 ? SX_END : SX_OK;
}

sx_status sx_reader_at(const sx_reader *r, uint64_t offset, void *out, size_t len, sx_error *err)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n =
            sx_file_sys_now()->pread(r->fd, (char *)out + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sx_fail_os(err, errno, "cannot read %s", r->path);
        if (n == 0)
            return sx_fail(err, SX_ECORRUPT, "%s ends at byte %zu; %zu bytes at %zu are missing",
                           r->path, (size_t)offset + done, len - done, (size_t)offset);
        done += (size_t)n;
    }
    return SX_OK;
}

void sx_reader_close(sx_reader *r)
{
    if (r->fd > STDERR_FILENO)
        sx_file_sys_now()->close(r->fd); /* nothing was written: closing cannot lose anything */
    sx_free(r->path);
    *r = (sx_reader){.fd = -1};
}

/* The process id that the holder wrote, for the message; "unknown" if it is not to be read. */
static void read_holder(int fd, char *out, size_t cap)
{
    char text[24];
    ssize_t got = pread(fd, text, sizeof(text), 0);
    sx_str id = sx_str_trim_all(sx_str_of(text, got > 0 ? (size_t)got : 0));
    uint64_t pid;
    if (sx_str_to_u64(id, &pid))
        snprintf(out, cap, "%llu", (unsigned long long)pid);
    else
        snprintf(out, cap, "unknown");
}

static sx_status write_holder(int fd, const char *path, sx_error *err)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (sx_file_sys_now()->ftruncate(fd, 0) != 0 ||
        sx_file_sys_now()->write(fd, text, (size_t)len) != len)
        return sx_fail_os(err, errno, "cannot write our process id into %s", path);
    return SX_OK;
}

sx_status sx_file_lock_open(sx_file_lock *lock, const char *path, sx_error *err)
{
    lock->fd = -1;
    int fd = open_retrying(path, O_RDWR | O_CREAT);
    if (fd < 0)
        return sx_fail_os(err, errno, "cannot open the lock file %s", path);
    sx_status status;
    if (sx_file_sys_now()->flock(fd, LOCK_EX | LOCK_NB) == 0) {
        status = write_holder(fd, path, err);
    } else if (errno == EWOULDBLOCK) {
        char holder[24];
        read_holder(fd, holder, sizeof(holder));
        status = sx_fail(err, SX_REFUSED,
                         "%s is held by another process (id %s); stop it, or use another folder",
                         path, holder);
    } else {
        status = sx_fail_os(err, errno, "cannot lock %s", path);
    }
    if (status == SX_OK)
        lock->fd = fd;
    else
        sx_file_sys_now()->close(fd);
    return status;
}

void sx_file_lock_close(sx_file_lock *lock)
{
    if (lock->fd >= 0)
        sx_file_sys_now()->close(lock->fd);
    lock->fd = -1;
}

sx_status sx_folder_sync(const char *path, sx_error *err)
{
    int fd = open_retrying(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return sx_fail_os(err, errno, "cannot open the folder %s", path);
    sx_status status = SX_OK;
    if (sx_file_sys_now()->fsync(fd) != 0)
        status = sx_fail_os(err, errno, "cannot sync the folder %s", path);
    sx_file_sys_now()->close(fd);
    return status;
}

/* Makes one folder whose parent is there: `path` is cut at `end` for the call. */
static sx_status make_one(char *path, char *end, sx_error *err)
{
    char after = *end;
    *end = '\0';
    sx_status status = SX_OK;
    struct stat info;
    if (sx_file_sys_now()->mkdir(path, FOLDER_MODE) == 0) {
        char *slash = strrchr(path, '/');
        char parent_end = slash ? slash[slash == path] : '\0';
        if (slash)
            slash[slash == path] = '\0';
        status = sx_folder_sync(slash ? path : ".", err);
        if (slash)
            slash[slash == path] = parent_end;
    } else if (errno != EEXIST) {
        status = sx_fail_os(err, errno, "cannot make the folder %s", path);
    } else if (sx_file_sys_now()->stat(path, &info) != 0) {
        status = sx_fail_os(err, errno, "cannot stat %s", path);
    } else if (!S_ISDIR(info.st_mode)) {
        status = sx_fail(err, SX_EEXIST, "%s is there but is not a folder", path);
    }
    *end = after;
    return status;
}

sx_status sx_folder_make(const char *path, sx_error *err)
{
    char *copy = copy_path(path);
    if (!copy)
        return sx_fail_memory(err, path);
    sx_status status = SX_OK;
    char *at = copy;
    while (status == SX_OK && *at != '\0') {
        at += strspn(at, "/");
        char *end = at + strcspn(at, "/");
        if (end > at)
            status = make_one(copy, end, err);
        at = end;
    }
    sx_free(copy);
    return status;
}

static int by_bytes(const void *a, const void *b)
{
    return sx_str_cmp(*(const sx_str *)a, *(const sx_str *)b);
}

static sx_status list_names(DIR *dir, const char *path, size_t names_max, sx_arena *arena,
                            sx_str **names, size_t *count, sx_error *err)
{
    size_t cap = 0;
    *names = NULL;
    *count = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry)
            break;
        sx_str name = sx_str_z(entry->d_name);
        if (sx_str_eq(name, SX_STR(".")) || sx_str_eq(name, SX_STR("..")))
            continue;
        if (names_max && *count == names_max)
            return sx_fail(err, SX_ELIMIT, "the folder %s holds more than %zu names", path,
                           names_max);
        name = sx_arena_copy(arena, name);
        if (!name.data || !sx_arena_grow(arena, names, &cap, *count + 1, sizeof(**names)))
            return sx_fail_memory(err, path);
        (*names)[(*count)++] = name;
    }
    if (errno != 0)
        return sx_fail_os(err, errno, "cannot read the folder %s", path);
    if (*count > 1)
        qsort(*names, *count, sizeof(**names), by_bytes);
    return SX_OK;
}

sx_status sx_folder_list(const char *path, size_t names_max, sx_arena *arena, sx_str **names,
                         size_t *count, sx_error *err)
{
    int fd = open_retrying(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return sx_fail_os(err, errno, "cannot open the folder %s", path);
    DIR *dir = fdopendir(fd);
    if (!dir) {
        sx_status failed = sx_fail_os(err, errno, "cannot open the folder %s", path);
        sx_file_sys_now()->close(fd);
        return failed;
    }
    sx_status status = list_names(dir, path, names_max, arena, names, count, err);
    closedir(dir);
    return status;
}

sx_status sx_file_remove(const char *path, sx_error *err)
{
    if (sx_file_sys_now()->unlink(path) != 0)
        return sx_fail_os(err, errno, "cannot remove %s", path);
    return SX_OK;
}

sx_status sx_file_rename(const char *from, const char *to, sx_error *err)
{
    if (sx_file_sys_now()->rename(from, to) != 0)
        return sx_fail_os(err, errno, "cannot rename %s to %s", from, to);
    return SX_OK;
}

sx_status sx_file_truncate(const char *path, uint64_t len, sx_error *err)
{
    int fd = open_retrying(path, O_WRONLY);
    if (fd < 0)
        return sx_fail_os(err, errno, "cannot open %s", path);
    sx_status status = SX_OK;
    if (sx_file_sys_now()->ftruncate(fd, (off_t)len) != 0)
        status = sx_fail_os(err, errno, "cannot cut %s to %zu bytes", path, (size_t)len);
    else if (sx_file_sys_now()->fsync(fd) != 0)
        status = sx_fail_os(err, errno, "cannot sync %s", path);
    if (sx_file_sys_now()->close(fd) != 0 && status == SX_OK)
        status = sx_fail_os(err, errno, "cannot close %s", path);
    return status;
}

sx_status sx_file_stat(const char *path, sx_file_info *out, sx_error *err)
{
    struct stat info;
    if (sx_file_sys_now()->stat(path, &info) != 0)
        return sx_fail_os(err, errno, "cannot stat %s", path);
    *out = (sx_file_info){
        .bytes = (uint64_t)info.st_size,
        .changed_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec,
        .inode = info.st_ino,
        .is_folder = S_ISDIR(info.st_mode),
    };
    return SX_OK;
}
