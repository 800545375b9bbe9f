/* kit.h - what instrumented parts need to report to, in one small structure.
 *
 * A service fills one (sx_service_kit); a program without one fills its own. Every member may be NULL:
 * then that part is left out. What it points to outlives whoever was given it. */
#ifndef SEXTANT_KIT_H
#define SEXTANT_KIT_H

#include <sextant/breaker.h>
#include <sextant/context.h>
#include <sextant/health.h>
#include <sextant/log.h>
#include <sextant/metrics.h>
#include <sextant/trace.h>

SX_BEGIN_DECLS

typedef struct sx_kit {
    const sx_clock *clock; /* NULL: the system's */
    sx_metrics *metrics;
    sx_tracer *tracer;
    sx_log *log;
    sx_breakers *breakers;
    sx_health *health;
    void *reserved[4];
} sx_kit;

SX_END_DECLS

#endif
