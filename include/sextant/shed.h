/* shed.h - load shedding: when there is more than can be done in time, do the important part
 * well.
 *
 *     if (!sx_shed_allow(shed, context->priority))
 *         reply 503 with Retry-After
 *     ... the work ...
 *     sx_shed_done(shed);
 *
 * Four signals say how loaded the program is, each as a share of its target: how long requests
 * waited before their work began (the least of the interval, as CoDel: a burst that is worked
 * off is no overload, a queue that stands is), how late the event loops are, the processor's
 * use, and how many requests are under way. The worst one drives `pressure`, from 0 to 300:
 *
 *     0 to 100     that many percent of the sheddable are refused
 *     100 to 200   all of them, and of the normal ones the part above 100
 *     200 to 290   all of these, and of the critical ones the part above 200: never all
 *
 * It rises each interval that a signal is above its target and does not fall yet, the faster the
 * further above; it falls, more slowly, only when all are below 0.7 of theirs: so it does not
 * swing. What is refused is spread evenly. Above in_flight_max requests are refused at once,
 * without waiting for an interval.
 *
 * Any thread, no event loop of its own. Deciding takes a load while there is no pressure: 20 ns. */
#ifndef SEXTANT_SHED_H
#define SEXTANT_SHED_H

#include <sextant/clock.h>
#include <sextant/context.h>
#include <sextant/error.h>
#include <sextant/metrics.h>

SX_BEGIN_DECLS

typedef struct sx_shed sx_shed;

typedef struct sx_shed_options { /* 0 or NULL takes the default */
    const char *name;            /* of its metrics; "default" */
    uint32_t queue_ms;           /* 50: the least wait in an interval that is overload */
    uint32_t loop_ms;            /* 100: a loop that is so late is overloaded */
    double cpu;                  /* 0.95 of what the process may use */
    uint32_t in_flight_max;      /* 0: not limited. Sheddable ones get 80 %, critical 110 % of it */
    uint32_t interval_ms;        /* 100 */
    const sx_clock *clock;
    /* load_shed_requests_total{name,priority,outcome}, load_shed_pressure_ratio{name} (0 to 3),
     * load_shed_in_flight{name} */
    sx_metrics *metrics;
} sx_shed_options;

/* Errors: SX_ENOMEM, as sx_metric_new. */
sx_status sx_shed_new(const sx_shed_options *options, sx_shed **out, sx_error *err);
void sx_shed_free(sx_shed *s);

/* Whether a request of that priority is worked on; if so sx_shed_done must follow. HOT: 20 ns. */
bool sx_shed_allow(sx_shed *s, sx_priority priority);

/* The end of one that was allowed. HOT. */
void sx_shed_done(sx_shed *s);

/* Signals, by whoever can measure them; one that is never told is not looked at. HOT, all three.
 * queue: how long a request waited before its work began. loop: how much later than due a timer
 * ran. cpu: the part of the processors it may use that the process used lately, 0 to 1; counts
 * until the next is told, at most 20 intervals. */
void sx_shed_queue_delay(sx_shed *s, int64_t ns);
void sx_shed_loop_delay(sx_shed *s, int64_t ns);
void sx_shed_cpu(sx_shed *s, double used);

typedef struct sx_shed_info {
    double pressure;                    /* 0 to 300 */
    double queue, loop, cpu, in_flight; /* shares of their targets, of the last interval */
    uint32_t running;                   /* allowed and not done */
    uint64_t refused[SX_PRIORITIES];
} sx_shed_info;

/* How it stands. Any thread. */
void sx_shed_info_of(const sx_shed *s, sx_shed_info *out);

/* "normal", "critical", "sheddable": static. And back, in any case; false if it is none. */
const char *sx_priority_name(sx_priority priority);
bool sx_priority_parse(sx_str text, sx_priority *out);

SX_END_DECLS

#endif
