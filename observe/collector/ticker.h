/* ticker.h - a thread that calls a function now and then, until it is stopped.
 *
 * What is due is the function's to know, by the clock it was given; the thread itself sleeps by the
 * system's. Used by derive_own.c and sampling.c. */
#ifndef OBSERVE_COLLECTOR_TICKER_H
#define OBSERVE_COLLECTOR_TICKER_H

#include <sextant/error.h>

typedef struct ticker ticker;

/* Calls `fn` twice a second. Errors: SX_ELIMIT (no thread), SX_ENOMEM. */
sx_status ticker_start(void (*fn)(void *ctx), void *ctx, ticker **out, sx_error *err);
/* Waits for a call under way; no other follows. NULL is allowed. */
void ticker_stop(ticker *t);

#endif
