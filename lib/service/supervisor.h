/* supervisor.h - one parent that keeps a few child processes running: what `sextant up` is.
 *
 * Each child runs in a process group of its own, so that Ctrl-C reaches the parent alone and the
 * children are stopped in order; a child whose parent was killed gets SIGTERM from the kernel. A
 * child that ends is started again after a delay that doubles from restart_ms_least to
 * restart_ms_most and falls back once it has run for a minute. What a child writes to stderr
 * arrives line by line. */
#ifndef SEXTANT_SERVICE_SUPERVISOR_H
#define SEXTANT_SERVICE_SUPERVISOR_H

#include <sextant/clock.h>
#include <sextant/error.h>
#include <sextant/str.h>

enum { SX_CHILDREN_MAX = 16 };

typedef struct sx_child_def {
    const char *name;
    char *const *argv; /* argv[0] is the program's path; ends with NULL; borrowed */
} sx_child_def;

typedef struct sx_supervisor_options {
    const sx_child_def *children; /* at most SX_CHILDREN_MAX */
    size_t child_count;
    const sx_clock *clock;     /* NULL: the system's */
    uint32_t restart_ms_least; /* 0: 250 */
    uint32_t restart_ms_most;  /* 0: 30000 */
    uint32_t stop_ms_max; /* 0: 15000; a child that has not ended by then after SIGTERM is killed */
    uint32_t failures_max; /* starts in a row that never became ready before giving up; 0: 5 */
    /* A line that a child wrote to stderr, without its newline. */
    void (*line)(void *ctx, const sx_child_def *child, sx_str line);
    /* A child has printed its `ready` line; `addresses` is what follows the name. */
    void (*ready)(void *ctx, const sx_child_def *child, sx_str addresses);
    /* A child ended and will be started again in `wait_ms`; `why` says how it ended. */
    void (*restarting)(void *ctx, const sx_child_def *child, const char *why, int64_t wait_ms);
    void *ctx;
} sx_supervisor_options;

/* Starts the children and stays until SIGTERM or SIGINT, or until one child cannot be kept running.
 * Forwards SIGHUP and SIGUSR1. Blocks; uses the process's signals, so one call at a time, from the
 * main thread. Returns SX_OK after a signal and a clean stop. Errors: SX_EIO (cannot start), SX_ELIMIT
 * (a child failed failures_max times in a row, or with status 2, before it was ready: the message has
 * its last line). */
sx_status sx_supervise(const sx_supervisor_options *options, sx_error *err);

/* The delay before restart number `failures` (from 1): least doubled each time, at most `most`. */
int64_t sx_restart_wait_ms(uint32_t failures, uint32_t least, uint32_t most);

#endif
