/* run.h - a conversation with a server from a thread that waits: a loop of its own, until it is over or
 * the time is up. Internal to the room.
 *
 * A collector's clients live on that loop for one page: nothing is left connected, and a server that
 * hangs holds one thread of a bounded pool no longer than the page's time. */
#ifndef OBSERVE_COLLECT_RUN_H
#define OBSERVE_COLLECT_RUN_H

#include <sextant/loop.h>

#include "observe/collect/collect_internal.h"
#include "observe/collect/site.h"

enum { COLLECT_MS_DEFAULT = 5000, COLLECT_MS_MAX = 600000 };

typedef struct collect_run {
    sx_loop *loop;
    sx_timer limit;
    uint32_t ms_max;
    int64_t start_ns;
    bool late; /* the time was up */
} collect_run;

/* `ms_max` 0: the site's. Errors: SX_ENOMEM, SX_EIO; collect_run_done() is to be called anyway. */
sx_status collect_run_begin(collect_run *r, const collect_site *s, int64_t ms_max, sx_error *err);

/* Runs the loop until sx_loop_stop() or the end of the time. */
void collect_run_wait(collect_run *r);

/* Seconds since it began. */
double collect_run_seconds(const collect_run *r);

/* After all clients on the loop were freed. */
void collect_run_done(collect_run *r);

#endif
