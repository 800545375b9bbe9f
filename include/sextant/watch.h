/* watch.h - readiness of a descriptor that is not ours, on a loop: how libraries with sockets of their
 * own (libpq, for one) are driven without blocking.
 *
 * All calls and events are on the loop's thread. */
#ifndef SEXTANT_WATCH_H
#define SEXTANT_WATCH_H

#include <sextant/loop.h>

SX_BEGIN_DECLS

typedef struct sx_watch sx_watch;

typedef enum sx_watch_event { SX_WATCH_READ = 1, SX_WATCH_WRITE = 2 } sx_watch_event;

/* What is ready, of what was asked for; a descriptor that failed is ready for all of it: the next read
 * or write says why. May update and stop its own watch. */
typedef void sx_watch_fn(sx_watch *watch, void *ctx, unsigned events);

/* Watches `fd`, which stays the caller's and must not be closed before the watch is stopped; one watch a
 * descriptor. `events` 0: nothing for now. Errors: SX_ENOMEM; SX_EIO (no socket, pipe or the like). */
sx_status sx_watch_start(sx_loop *loop, int fd, unsigned events, sx_watch_fn *fn, void *ctx,
                         sx_watch **out, sx_error *err);

/* Asks for other events from now on. */
void sx_watch_update(sx_watch *watch, unsigned events);

/* Ends it; no event follows, and the descriptor may be closed. NULL is allowed. */
void sx_watch_stop(sx_watch *watch);

SX_END_DECLS

#endif
