/* profile_tasks.c - see profile_tasks.h. The kernel's text is trusted in form, not in size. */
#include "telemetry/profile_tasks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

sx_status sx_tasks_each(void (*each)(void *ctx, pid_t tid), void *ctx, sx_error *err)
{
    DIR *folder = opendir("/proc/self/task");
    if (!folder)
        return sx_fail_os(err, errno, "/proc/self/task");
    for (const struct dirent *entry; (entry = readdir(folder));) {
        long tid = strtol(entry->d_name, NULL, 10); /* "." and ".." are 0 */
        if (tid > 0)
            each(ctx, (pid_t)tid);
    }
    closedir(folder);
    return SX_OK;
}

/* The value of a line "Key:\tvalue" of a status file; NULL: none. */
static const char *value_of(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at ? at + strlen(key) + strspn(at + strlen(key), " \t") : NULL;
}

/* Reads /proc/self/task/TID/`file` into `text`; false if it cannot be read. */
static bool read_small(pid_t tid, const char *file, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/%s", (int)tid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, size - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

bool sx_task_read(pid_t tid, sx_task *out)
{
    char text[4096];
    *out = (sx_task){0};
    if (!read_small(tid, "status", text, sizeof(text)))
        return false;
    /* The name is the first line, with its own line feeds escaped: no other key can be in it. */
    const char *name = value_of(text, "Name:"), *state = value_of(text, "\nState:");
    const char *blocked = value_of(text, "\nSigBlk:");
    size_t len = name ? strcspn(name, "\n") : 0;
    len = len < sizeof(out->name) ? len : sizeof(out->name) - 1;
    if (name)
        memcpy(out->name, name, len);
    out->state = state ? *state : '?';
    out->blocks_sigprof = blocked && strtoull(blocked, NULL, 16) >> (SIGPROF - 1) & 1;
    return true;
}

clockid_t sx_task_clock(pid_t tid)
{
    enum {
        OF_A_THREAD = 4,
        SCHEDULER_TIME = 2
    }; /* the kernel's CPUCLOCK_PERTHREAD, CPUCLOCK_SCHED */
    return (clockid_t)(~(unsigned)tid << 3 | OF_A_THREAD | SCHEDULER_TIME);
}

int64_t sx_task_cpu_ns(pid_t tid)
{
    char text[128]; /* nanoseconds run, nanoseconds waited, turns */
    if (!read_small(tid, "schedstat", text, sizeof(text)))
        return -1;
    return strtoll(text, NULL, 10);
}
