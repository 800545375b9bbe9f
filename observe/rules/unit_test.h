/* unit_test.h - promtool's unit tests of rules: `sextant test rules FILE...`.
 *
 * A file names rule files and lists tests: input series in promtool's notation, the alerts that are to
 * fire at certain times, and expressions with the samples they are to give. Rules are evaluated over a
 * store in memory, interval by interval. Words and verdicts are promtool's.
 * Source: Prometheus, docs/configuration/unit_testing_rules.md. */
#ifndef OBSERVE_RULES_UNIT_TEST_H
#define OBSERVE_RULES_UNIT_TEST_H

#include <sextant/buf.h>
#include <sextant/error.h>

typedef struct rule_unit_test_options { /* 0 takes the default */
    unsigned features;                  /* of promql */
    bool ignore_unknown_fields;         /* in rule files */
    const sx_str *run;                  /* regular expressions: tests whose names one of them */
    size_t run_count;                   /* finds; none: all */
} rule_unit_test_options;

/* Runs the tests of the files; appends what promtool prints to `out`. Returns promtool's exit status:
 * 0, or 1 if a file cannot be read or a test fails. `options` may be NULL. */
int rule_unit_test_run(const char *const *paths, size_t count,
                       const rule_unit_test_options *options, sx_buf *out);

#endif
