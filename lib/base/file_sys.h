/* file_sys.h - the one table through which the file layer calls the operating system.
 *
 * file.c and file_write.c change files through nothing else, so that fault.h can put its own table in: one that
 * fails the n-th call, tears writes, and records what was not yet durable. Each member behaves as
 * the system call of its name and sets errno. */
#ifndef SEXTANT_BASE_FILE_SYS_H
#define SEXTANT_BASE_FILE_SYS_H

#include <sys/stat.h>
#include <sys/types.h>

#include <sextant/base.h>

typedef struct sx_file_sys {
    int (*open)(const char *path, int flags, mode_t mode);
    int (*close)(int fd);
    ssize_t (*read)(int fd, void *out, size_t len);
    ssize_t (*pread)(int fd, void *out, size_t len, off_t offset);
    ssize_t (*write)(int fd, const void *data, size_t len);
    int (*fsync)(int fd);
    int (*ftruncate)(int fd, off_t len);
    int (*fstat)(int fd, struct stat *out);
    int (*stat)(const char *path, struct stat *out);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
    int (*mkdir)(const char *path, mode_t mode);
    int (*flock)(int fd, int operation);
    void *(*mmap)(size_t len, int fd); /* all of the file, read-only; MAP_FAILED */
} sx_file_sys;

/* The system's own. */
extern const sx_file_sys sx_file_sys_real;

/* The table in force: the system's, unless a test has put in another. */
const sx_file_sys *sx_file_sys_now(void);
void sx_file_sys_set(const sx_file_sys *sys);

#endif
