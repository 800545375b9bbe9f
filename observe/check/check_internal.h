/* check_internal.h - what the checks of the kinds share. */
#ifndef OBSERVE_CHECK_CHECK_INTERNAL_H
#define OBSERVE_CHECK_CHECK_INTERNAL_H

#include "observe/check/check.h"

typedef struct checker {
    const check_options *options;
    check_counts *counts;
    const char *path;
} checker;

void check_say(checker *c, check_level level, const char *fmt, ...) SX_PRINTF(3, 4);

/* What a reader noted: all its lines, or its first fault where it noted none. */
void check_say_faults(checker *c, const sx_buf *problems, const sx_error *err);

sx_status check_config(checker *c, sx_str text, sx_error *err);
sx_status check_rules(checker *c, sx_str text, sx_error *err);
sx_status check_targets(checker *c, sx_str text, sx_error *err);
sx_status check_metrics(checker *c, sx_str text, sx_error *err);
sx_status check_collector(checker *c, sx_str text, sx_error *err);
sx_status check_sampling(checker *c, sx_str text, sx_error *err);

/* Every target of the groups, as its job makes it: what promtool finds wrong with an address. The
 * first fault is told at `line` of the configuration. False if there was one. */
bool check_job_targets(checker *c, const prom_scrape_config *job, const prom_target_group *groups,
                       uint32_t count, uint32_t line);
bool check_alertmanager_targets(checker *c, const prom_alertmanager_config *am,
                                const prom_target_group *groups, uint32_t count, uint32_t line);

#endif
