/* notify.h - alerts to Alertmanagers: relabelled, queued, batched, retried by their next sending.
 *
 * POST /api/v2/alerts with every alert to every Alertmanager discovered; a queue of each (10,000
 * alerts, batches of 256, the oldest dropped and counted), so that a slow one holds up nobody. A batch
 * that fails is dropped and counted: the rule manager sends what still holds again, and again.
 * Source: Prometheus, docs/configuration (alerting); Alertmanager's OpenAPI. */
#ifndef OBSERVE_RULES_NOTIFY_H
#define OBSERVE_RULES_NOTIFY_H

#include <sextant/kit.h>
#include <sextant/loop.h>

#include "observe/config/config.h"
#include "observe/rules/rules.h"

typedef struct rule_notifier rule_notifier;

typedef struct rule_notifier_options { /* 0 takes the default */
    const sx_kit *kit;
    const sx_clock *clock;
    uint32_t queue_max; /* notification-queue-capacity: 10,000 alerts, of each Alertmanager */
    uint32_t batch_max; /* 256 */
    bool no_drain_on_stop;
} rule_notifier_options;

/* Runs a thread with a loop of its own. */
sx_status rule_notifier_new(const rule_notifier_options *options, rule_notifier **out,
                            sx_error *err);

/* Stops. What is queued is sent first, each Alertmanager having its timeout; one that fails then loses
 * the rest of its queue. With no_drain_on_stop nothing more is sent. */
void rule_notifier_free(rule_notifier *n);

/* Takes over a configuration's `alerting` part and external labels. Queues of Alertmanagers that are in
 * both, by their URL, are kept. After an error all is as it was. Any thread but the notifier's.
 *   errors  of prom_http_new(); SX_ENOMEM */
sx_status rule_notifier_apply(rule_notifier *n, prom_config *config, sx_error *err);

/* Takes alerts: adds the external labels that they lack, relabels, queues. Any thread. */
rule_sink rule_notifier_sink(rule_notifier *n);

/* URLs of the Alertmanagers in use, and of those dropped by relabelling; in the arena. Any thread. */
sx_status rule_notifier_read(rule_notifier *n, sx_arena *arena, sx_str **active,
                             size_t *active_count, sx_str **dropped, size_t *dropped_count,
                             sx_error *err);

#endif
