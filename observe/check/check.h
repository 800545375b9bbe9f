/* check.h - is this file right? For every kind of file that the observatory reads.
 *
 * A file is recognised by what stands in it: a configuration in prometheus.yml's form, rules, tests of
 * rules, a web configuration, target groups of file discovery, metrics in text form, an OpenTelemetry
 * Collector's configuration, Jaeger's sampling strategies. Verdicts and words are promtool's, so that scripts and habits hold; what we find beyond it is a warning and fails
 * nothing. Nothing is printed here: each finding is told to the caller's function.
 * Called by cmd/check.c. Source: promtool 3.15 (check config, rules, web-config, metrics). */
#ifndef OBSERVE_CHECK_CHECK_H
#define OBSERVE_CHECK_CHECK_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

#include "observe/config/config.h"

typedef enum check_kind {
    CHECK_ANY, /* to be recognised */
    CHECK_CONFIG,
    CHECK_RULES,
    CHECK_RULE_TESTS,
    CHECK_WEB,
    CHECK_TARGETS, /* of file_sd_configs */
    CHECK_METRICS,
    CHECK_COLLECTOR, /* of --collector-config */
    CHECK_SAMPLING,  /* of --jaeger.sampling-file */
    CHECK_AUTH,      /* of --auth.config */
    CHECK_KINDS
} check_kind;

/* "Prometheus configuration", "rules", ... */
const char *check_kind_name(check_kind k);

typedef enum check_level {
    CHECK_GOOD,    /* "SUCCESS: ..." */
    CHECK_WARNING, /* fails nothing */
    CHECK_LINT,    /* bad manners: fails if asked to */
    CHECK_FAULT,
    CHECK_TEXT, /* a line of a table */
    CHECK_LEVELS
} check_level;

typedef struct check_options {
    bool syntax_only; /* of a configuration: look at no other file */
    bool agent;
    bool lint_rules;          /* duplicate rules */
    bool lint_metrics;        /* names of metrics */
    int64_t lint_lookback_ms; /* scrape intervals as long as this are told; 0: not looked at */
    bool extended;            /* of metrics: a table of how many series each name has */
    bool ignore_unknown_fields;
    bool expand_environment;
    const char *const *environment;
    unsigned features; /* of PromQL */
    /* One finding; `text` may have several lines and is good for the call. */
    void (*say)(void *ctx, check_level level, sx_str text);
    void *ctx;
} check_options;

/* How many findings of each level there were. */
typedef struct check_counts {
    uint32_t levels[CHECK_LEVELS];
} check_counts;

enum { CHECK_FILE_BYTES_MAX = 256 << 20 };

/* The kind of a text; CHECK_ANY if it has no sign of any. `path` helps where the text leaves it open. */
check_kind check_recognise(sx_str text, sx_str path);

/* Checks a file ("-": the standard input) as `kind`; CHECK_ANY recognises it. *found (may be NULL) is
 * what it was taken for; of tests of rules nothing but that is done. Counts are added to `counts`.
 * Faults of the file are told, not returned. Errors: SX_ENOMEM. */
sx_status check_file(const char *path, check_kind kind, const check_options *options,
                     check_kind *found, check_counts *counts, sx_error *err);

/* The same of a text that was read. */
sx_status check_text(sx_str text, const char *path, check_kind kind, const check_options *options,
                     check_counts *counts, sx_error *err);

/* Appends the targets that a job of a configuration finds within the time, as promtool's JSON; what
 * goes wrong with a discovery is told as a warning. Errors: those of the configuration, SX_ENOTFOUND
 * (the job), SX_ENOMEM. */
sx_status check_discovery(const char *path, sx_str job, int64_t timeout_ms,
                          const check_options *options, sx_buf *out, sx_error *err);

/* A file of target groups, YAML or JSON by its ending. In the arena; faults in `problems`, a line each. */
sx_status check_read_targets(sx_str text, const char *path, sx_arena *arena,
                             const prom_target_group **groups, uint32_t *count, sx_buf *problems,
                             sx_error *err);

#endif
