/* file_sys.c - the system's table and the pointer to the one in force. */
#include "base/file_sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

static int real_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags | O_CLOEXEC, mode);
}

static int real_stat(const char *path, struct stat *out)
{
    return stat(path, out);
}

static int real_fstat(int fd, struct stat *out)
{
    return fstat(fd, out);
}

static void *real_mmap(size_t len, int fd)
{
    return mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
}

const sx_file_sys sx_file_sys_real = {
    .open = real_open,
    .close = close,
    .read = read,
    .pread = pread,
    .write = write,
    .fsync = fsync,
    .ftruncate = ftruncate,
    .fstat = real_fstat,
    .stat = real_stat,
    .rename = rename,
    .unlink = unlink,
    .mkdir = mkdir,
    .flock = flock,
    .mmap = real_mmap,
};

/* Changed only by tests, before they start threads. */
static const sx_file_sys *now = &sx_file_sys_real;

const sx_file_sys *sx_file_sys_now(void)
{
    return now;
}

void sx_file_sys_set(const sx_file_sys *sys)
{
    now = sys;
}
