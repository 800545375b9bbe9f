/* test_rules.c - `sextant test rules`: promtool's unit tests of rules, its words, its exit status. */
#include <stdio.h>

#include "cmd/command.h"
#include "observe/rules/unit_test.h"

int cmd_test_rules(const cmd_args *args)
{
    sx_str run[CMD_MARKS_MAX];
    sx_buf report;
    rule_unit_test_options options = {
        .features = cmd_promql_features(cmd_value(args, "enable-feature")),
        .ignore_unknown_fields = cmd_switch(args, "ignore-unknown-fields"),
        .run = run,
        .run_count = (size_t)args->mark_count};
    for (int i = 0; i < args->mark_count; i++)
        run[i] = sx_str_z(args->marks[i].value);
    sx_buf_init(&report, 0);
    int status = rule_unit_test_run((const char *const *)args->rest, (size_t)args->rest_count,
                                    &options, &report);
    fwrite(report.data, 1, report.len, status ? stderr : stdout);
    sx_buf_done(&report);
    return status;
}
