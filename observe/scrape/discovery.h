/* discovery.h - where targets come from: fixed lists, files, HTTP, DNS, Kubernetes.
 *
 * Each discovery of a job runs on the scrape manager's loop, keeps the groups it last saw, and tells
 * the manager when they have changed. A discovery that fails keeps its last targets, is logged,
 * counted (prometheus_sd_*) and tried again. Used for scraping and for Alertmanagers. */
#ifndef OBSERVE_SCRAPE_DISCOVERY_H
#define OBSERVE_SCRAPE_DISCOVERY_H

#include <sextant/kit.h>
#include <sextant/loop.h>

#include "observe/config/config.h"

typedef struct prom_discoverer prom_discoverer;

/* Called on the loop with all groups now known, whenever they have changed and once at the start
 * (with none, if nothing is known yet). Views are good for the call. */
typedef void prom_discovered(void *ctx, const prom_target_group *groups, size_t count);

/* Starts one discovery of a job. `config` outlives the discoverer (it holds a reference).
 * Errors: SX_ENOMEM; a service that does not answer is not an error here. */
sx_status prom_discoverer_new(sx_loop *loop, const sx_kit *kit, prom_config *config,
                              const prom_discovery *what, sx_str job, prom_discovered *told,
                              void *ctx, prom_discoverer **out, sx_error *err);

/* Stops it; `told` is not called any more. */
void prom_discoverer_free(prom_discoverer *d);

/* What went wrong last, empty if all is well: for the pages and for `check service-discovery`. */
sx_str prom_discoverer_trouble(const prom_discoverer *d);

#endif
