/* profile_tasks.h - the threads of this process as the kernel lists them in /proc/self/task. */
#ifndef SEXTANT_TELEMETRY_PROFILE_TASKS_H
#define SEXTANT_TELEMETRY_PROFILE_TASKS_H

#include <sys/types.h>
#include <time.h>

#include <sextant/error.h>

typedef struct sx_task {
    char name[32];       /* what the thread is called (comm) */
    char state;          /* 'R', 'S', 'D' …: proc(5) */
    bool blocks_sigprof; /* its mask keeps the profiler's signal out */
} sx_task;

/* Calls `each` for every thread. Errors: SX_EIO. */
sx_status sx_tasks_each(void (*each)(void *ctx, pid_t tid), void *ctx, sx_error *err);

/* Reads what is known of one; false if it has gone. */
bool sx_task_read(pid_t tid, sx_task *out);

/* The processor time that it has used, in nanoseconds; -1: it has gone, or the kernel does not count. */
int64_t sx_task_cpu_ns(pid_t tid);

/* Its CPU clock, for timers: the number is the kernel's making from the thread's, as
 * pthread_getcpuclockid(3) wants a pthread_t, which nobody has for foreign threads. */
clockid_t sx_task_clock(pid_t tid);

#endif
