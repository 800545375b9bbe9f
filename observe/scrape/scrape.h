/* scrape.h - the scrape manager: targets of all jobs, each scraped in its turn.
 *
 * Targets are spread over the manager's loops (threads of their own, beside the API's) and over their
 * interval by the hash of their labels, as Prometheus spreads them. A scrape asks, parses while
 * looking series up in the target's cache, appends and commits in one go, and adds the synthetic
 * series (up, scrape_*). Series that vanish, targets that fail or go get staleness markers.
 *
 * Called by cmd (observe) to start, by the API for its pages. */
#ifndef OBSERVE_SCRAPE_SCRAPE_H
#define OBSERVE_SCRAPE_SCRAPE_H

#include <sextant/kit.h>
#include <sextant/loop.h>

#include "observe/config/config.h"
#include "observe/tsdb/storage.h"

typedef struct prom_scraper prom_scraper;

typedef struct prom_scraper_options {
    const sx_kit *kit;     /* logs, metrics (prometheus_target_*, prometheus_sd_*) */
    const sx_clock *clock; /* NULL: the system's */
    unsigned threads;      /* 0: one for every two cores */
    tsdb_appendable *store;
    /* Feature flags: labels __type__ and __unit__; start times as samples of 0 (which takes _created
     * lines of OpenMetrics for start times); start times given to the store. */
    bool type_unit_labels, created_as_zero, start_times;
} prom_scraper_options;

sx_status prom_scraper_new(const prom_scraper_options *options, prom_scraper **out, sx_error *err);

/* Ends all scrapes and writes staleness markers for no target (a restart shall not break series). */
void prom_scraper_free(prom_scraper *s);

/* Whether the scrape jobs of a configuration could be made. Any thread. */
sx_status prom_scraper_check(prom_config *config, sx_error *err);

/* Takes a new configuration (a reference is kept): jobs that are unchanged go on undisturbed. Any
 * thread; done when it returns. */
sx_status prom_scraper_apply(prom_scraper *s, prom_config *config, sx_error *err);

/* --- For the API: a copy of what is there, in the arena. */
typedef enum prom_health { PROM_HEALTH_UNKNOWN, PROM_HEALTH_UP, PROM_HEALTH_DOWN } prom_health;

typedef struct prom_target_info {
    tsdb_labels labels, discovered;
    sx_str pool, scrape_url, global_url, last_error;
    int64_t last_scrape_ms; /* 0: never */
    double last_duration_s;
    prom_health health;
    int64_t interval_ms, timeout_ms;
} prom_target_info;

typedef struct prom_dropped_info {
    tsdb_labels discovered;
    sx_str pool;
} prom_dropped_info;

typedef struct prom_targets {
    prom_target_info *active;
    size_t active_count;
    prom_dropped_info *dropped;
    size_t dropped_count;
    struct prom_dropped_total {
        sx_str pool;
        uint64_t count;
    } *dropped_totals;
    size_t pool_count;
} prom_targets;
sx_status prom_scraper_targets(prom_scraper *s, sx_str pool, sx_arena *arena, prom_targets *out,
                               sx_error *err);

/* Metadata that targets gave: of `metric` (empty: all). */
typedef struct prom_target_metadata {
    tsdb_labels target;
    sx_str metric;
    tsdb_metadata metadata;
} prom_target_metadata;
sx_status prom_scraper_metadata(prom_scraper *s, sx_str metric, sx_arena *arena,
                                prom_target_metadata **out, size_t *count, sx_error *err);

#endif
