/* bulkhead_wait.h - what bulkhead_loop.c asks of bulkhead.c beyond the public functions. */
#ifndef SEXTANT_RESILIENCE_BULKHEAD_WAIT_H
#define SEXTANT_RESILIENCE_BULKHEAD_WAIT_H

#include <sextant/bulkhead.h>

/* As sx_bulkhead_abandon, and counts it as timed out. */
bool bulkhead_time_out(sx_bulkhead_wait *w);

#endif
