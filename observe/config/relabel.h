/* relabel.h - relabelling: the rules that rename, keep and drop targets, samples and alerts.
 *
 * Regular expressions are RE2's, anchored; replacement templates ($1, ${name}) are taken apart once.
 * Applied to targets (relabel_configs), to every new series of a scrape (metric_relabel_configs), to
 * alerts and to remote writes. Source: Prometheus, docs/configuration/configuration.md,
 * <relabel_config>. */
#ifndef OBSERVE_CONFIG_RELABEL_H
#define OBSERVE_CONFIG_RELABEL_H

#include <sextant/regex.h>

#include "observe/tsdb/labels.h"

typedef enum prom_relabel_action {
    PROM_RELABEL_REPLACE,
    PROM_RELABEL_KEEP,
    PROM_RELABEL_DROP,
    PROM_RELABEL_KEEPEQUAL,
    PROM_RELABEL_DROPEQUAL,
    PROM_RELABEL_HASHMOD,
    PROM_RELABEL_LABELMAP,
    PROM_RELABEL_LABELDROP,
    PROM_RELABEL_LABELKEEP,
    PROM_RELABEL_LOWERCASE,
    PROM_RELABEL_UPPERCASE,
    PROM_RELABEL_ACTIONS
} prom_relabel_action;

/* "replace", "keep" ...; and back: PROM_RELABEL_ACTIONS if there is none of that name (any case). */
sx_str prom_relabel_action_name(prom_relabel_action a);
prom_relabel_action prom_relabel_action_find(sx_str name);

typedef struct prom_relabel {
    prom_relabel_action action;
    const sx_str *source; /* label names */
    uint32_t source_count;
    sx_str separator;  /* ";" */
    sx_str regex_text; /* "(.*)" */
    sx_regex *regex;   /* compiled with captures where the replacement has any; owned by the rule */
    uint64_t modulus;
    sx_str target;      /* may hold $1 */
    sx_str replacement; /* "$1" */
    bool plain;         /* neither target nor replacement has a `$` */
    bool legacy_names;  /* what the target may be: by the job's name validation scheme */
} prom_relabel;

/* Checks a rule and compiles its expression; views are borrowed from the configuration's arena.
 * SX_EINVAL in Prometheus's words ("relabel configuration for hashmod requires non-zero modulus",
 * "relabel configuration for replace action requires 'target_label' value", ...). */
sx_status prom_relabel_init(prom_relabel *r, sx_error *err);
void prom_relabel_done(prom_relabel *r);

/* Applies rules in order to the labels in `b`. New texts go into `arena`. *keep is false if a rule
 * dropped the set (`b` is then in between). Any thread, each with its own `b` and `arena`. */
sx_status prom_relabel_apply(const prom_relabel *rules, size_t count, tsdb_labels_builder *b,
                             sx_arena *arena, bool *keep, sx_error *err);

/* A character in capitals, or small: of ASCII and of the Latin, Greek and Cyrillic letters that have a
 * simple partner; Go maps all of Unicode, which no label value seen so far needed. */
uint32_t prom_change_case(uint32_t code, bool upper);

#endif
