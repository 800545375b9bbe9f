/* profile_ticks.h - the signal's half of a CPU profile: from the tick of a thread's timer to a record in
 * a ring, in a signal handler.
 *
 * One ring a process at a time. Handlers of any threads put records in, the thread that makes the
 * profile takes them out; nobody waits for anybody. */
#ifndef SEXTANT_TELEMETRY_PROFILE_TICKS_H
#define SEXTANT_TELEMETRY_PROFILE_TICKS_H

#include <sys/types.h>

#include <sextant/error.h>

enum { SX_TICK_FRAMES = 64, SX_TICKS = 4096 };

typedef struct sx_tick {
    uint32_t turn; /* atomic: the ring's own, see profile_ticks.c */
    pid_t tid;
    uint32_t weight; /* ticks that it stands for: the timer may have run out more than once */
    uint32_t depth;
    uintptr_t
        pcs[SX_TICK_FRAMES]; /* [0] is where the thread was, the others where calls return to */
} sx_tick;

/* Makes the ring and lets handlers fill it. Errors: SX_REFUSED (there is one, or SIGPROF has a handler
 * that is not ours), SX_ENOMEM. */
sx_status sx_ticks_open(sx_error *err);

/* Waits for handlers that are at it and frees the ring. */
void sx_ticks_close(void);

/* What timers must carry (sigev_value.sival_int) to be believed: a late one of an earlier profile does
 * not. */
int sx_ticks_mark(void);

/* The oldest record, for a look; NULL: none. Then _drop() to go on. */
const sx_tick *sx_ticks_peek(void);
void sx_ticks_drop(void);

/* Ticks that found the ring full; and whether stacks cannot be read, so that there is only pcs[0]. */
uint64_t sx_ticks_lost(void);
bool sx_ticks_flat(void);

#endif
