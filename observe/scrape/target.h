/* target.h - from a discovered address to something that can be scraped.
 *
 * Labels of the address and its group, the job's own as labels, relabelling, checks: what comes out is
 * the target's label set, its URL and how it is scraped. Called by the scrape manager for every group
 * that discovery gives, by the API's relabel_steps and by `check service-discovery`.
 * Source: Prometheus, docs/configuration/configuration.md, <relabel_config> and <scrape_config>. */
#ifndef OBSERVE_SCRAPE_TARGET_H
#define OBSERVE_SCRAPE_TARGET_H

#include <sextant/arena.h>
#include <sextant/buf.h>

#include "observe/config/config.h"

/* What is used again from target to target. */
typedef struct target_scratch {
    tsdb_labels_builder builder;
    sx_buf url;
} target_scratch;

void target_scratch_init(target_scratch *s);
void target_scratch_done(target_scratch *s);

typedef struct target_made {
    bool dropped;           /* by relabelling: only `discovered` is filled */
    tsdb_labels discovered; /* before relabelling */
    tsdb_labels labels;     /* after it, without __meta_ ones */
    sx_str url;
    uint64_t hash; /* of labels and URL: tells targets apart */
    int64_t interval_ms, timeout_ms;
    bool native_histograms, classic_always, classic_to_nhcb;
} target_made;

/* Makes a target of a job; texts are in `arena` or borrowed from job, address and group.
 *   errors  SX_EINVAL in Prometheus's words ("no address", "scrape interval cannot be 0", ...);
 *           SX_ENOMEM */
sx_status target_make(const prom_scrape_config *job, sx_str address, tsdb_labels group,
                      target_scratch *s, sx_arena *arena, target_made *out, sx_error *err);

/* Labels that do not begin with "__": those that its series get. `out` has room for all. */
tsdb_labels target_public_labels(tsdb_labels labels, tsdb_label *out);

/* The labels of a series as it is stored: the target's are added, the series' own that collide are
 * kept (honor_labels) or renamed exported_..., then the job's metric_relabel_configs apply.
 * *keep is false if they drop it. The result is good until `b` changes. */
sx_status target_series_labels(tsdb_labels series, tsdb_labels target,
                               const prom_scrape_config *job, tsdb_labels_builder *b,
                               sx_arena *arena, tsdb_labels *out, bool *keep, sx_error *err);

/* Checks what a series' labels must be: a name, valid names by the job's scheme, label limits.
 * SX_EINVAL and SX_ELIMIT in Prometheus's words. */
sx_status target_series_check(tsdb_labels labels, const prom_scrape_config *job, sx_error *err);

#endif
