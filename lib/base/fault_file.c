/* fault_file.c - the file layer's call table that fails as a test has planned it, and that tells the
 * disk record (fault_disk.c) what has succeeded. It is put in only while one of the two is on. */
#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "base/fault_disk.h"
#include "base/file_sys.h"

/* Written by tests before any thread starts; the count is shared. */
static struct {
    sx_fault_file plan;
    _Atomic int64_t calls;
    bool plan_on, disk_on;
} fault;

/* Whether this call is one to fail; sets errno. */
static bool must_fail(sx_fault_call call)
{
    if (!fault.plan_on || !(fault.plan.calls & call))
        return false;
    int64_t n = ++fault.calls;
    if (n != fault.plan.nth && !(fault.plan.and_after && fault.plan.nth > 0 && n > fault.plan.nth))
        return false;
    errno = fault.plan.os_errno;
    return true;
}

static size_t shortened(size_t len)
{
    return fault.plan_on && fault.plan.short_bytes && len > fault.plan.short_bytes
               ? fault.plan.short_bytes
               : len;
}

static int fault_open(const char *path, int flags, mode_t mode)
{
    if (must_fail(SX_FAULT_OPEN))
        return -1;
    bool was_there = false;
    if (fault.disk_on) {
        struct stat info;
        was_there = sx_file_sys_real.stat(path, &info) == 0;
    }
    int fd = sx_file_sys_real.open(path, flags, mode);
    if (fault.disk_on && fd >= 0)
        sx_fault_disk_opened(fd, path, !was_there, (flags & O_TRUNC) != 0);
    return fd;
}

static int fault_close(int fd)
{
    if (fault.disk_on)
        sx_fault_disk_closed(fd);
    int result = sx_file_sys_real.close(fd);
    return must_fail(SX_FAULT_CLOSE) ? -1 : result;
}

static ssize_t fault_read(int fd, void *out, size_t len)
{
    return must_fail(SX_FAULT_READ) ? -1 : sx_file_sys_real.read(fd, out, shortened(len));
}

static ssize_t fault_pread(int fd, void *out, size_t len, off_t offset)
{
    return must_fail(SX_FAULT_READ) ? -1 : sx_file_sys_real.pread(fd, out, shortened(len), offset);
}

static ssize_t write_recorded(int fd, const void *data, size_t len)
{
    ssize_t written = sx_file_sys_real.write(fd, data, len);
    if (fault.disk_on && written > 0)
        sx_fault_disk_wrote(fd, data, (size_t)written);
    return written;
}

static ssize_t fault_write(int fd, const void *data, size_t len)
{
    if (must_fail(SX_FAULT_WRITE)) {
        size_t torn = fault.plan.torn_bytes < len ? fault.plan.torn_bytes : len;
        if (torn)
            write_recorded(fd, data, torn);
        errno = fault.plan.os_errno;
        return -1;
    }
    return write_recorded(fd, data, shortened(len));
}

static int fault_fsync(int fd)
{
    if (must_fail(SX_FAULT_SYNC))
        return -1;
    int result = sx_file_sys_real.fsync(fd);
    if (fault.disk_on && result == 0)
        sx_fault_disk_synced(fd);
    return result;
}

static int fault_ftruncate(int fd, off_t len)
{
    if (must_fail(SX_FAULT_TRUNCATE))
        return -1;
    int result = sx_file_sys_real.ftruncate(fd, len);
    if (fault.disk_on && result == 0)
        sx_fault_disk_truncated(fd, (size_t)len);
    return result;
}

static int fault_fstat(int fd, struct stat *out)
{
    return must_fail(SX_FAULT_STAT) ? -1 : sx_file_sys_real.fstat(fd, out);
}

static int fault_stat(const char *path, struct stat *out)
{
    return must_fail(SX_FAULT_STAT) ? -1 : sx_file_sys_real.stat(path, out);
}

static int fault_rename(const char *from, const char *to)
{
    if (must_fail(SX_FAULT_RENAME))
        return -1;
    int result = sx_file_sys_real.rename(from, to);
    if (fault.disk_on && result == 0)
        sx_fault_disk_renamed(from, to);
    return result;
}

static int fault_unlink(const char *path)
{
    if (must_fail(SX_FAULT_REMOVE))
        return -1;
    int result = sx_file_sys_real.unlink(path);
    if (fault.disk_on && result == 0)
        sx_fault_disk_removed(path);
    return result;
}

static int fault_mkdir(const char *path, mode_t mode)
{
    if (must_fail(SX_FAULT_MKDIR))
        return -1;
    int result = sx_file_sys_real.mkdir(path, mode);
    if (fault.disk_on && result == 0)
        sx_fault_disk_made_folder(path);
    return result;
}

static int fault_flock(int fd, int operation)
{
    return must_fail(SX_FAULT_LOCK) ? -1 : sx_file_sys_real.flock(fd, operation);
}

static void *fault_mmap(size_t len, int fd)
{
    return must_fail(SX_FAULT_MAP) ? MAP_FAILED : sx_file_sys_real.mmap(len, fd);
}

static const sx_file_sys FAULTY = {
    .open = fault_open,
    .close = fault_close,
    .read = fault_read,
    .pread = fault_pread,
    .write = fault_write,
    .fsync = fault_fsync,
    .ftruncate = fault_ftruncate,
    .fstat = fault_fstat,
    .stat = fault_stat,
    .rename = fault_rename,
    .unlink = fault_unlink,
    .mkdir = fault_mkdir,
    .flock = fault_flock,
    .mmap = fault_mmap,
};

static void choose_table(void)
{
    sx_file_sys_set(fault.plan_on || fault.disk_on ? &FAULTY : &sx_file_sys_real);
}

void sx_fault_file_set(sx_fault_file plan)
{
    fault.plan = plan;
    fault.plan_on = plan.nth > 0 || plan.calls || plan.short_bytes;
    fault.calls = 0;
    choose_table();
}

int64_t sx_fault_file_calls(void)
{
    return fault.calls;
}

void sx_fault_disk_switch(bool on)
{
    fault.disk_on = on;
    choose_table();
}
