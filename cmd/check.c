/* check.c - `sextant check`: are these files right? Verdicts, words and exit statuses are promtool's.
 *
 * `sextant check FILE...` finds out what each file is; `check config`, `check rules` and the others
 * take it for what they are named after. What is good goes to the standard output, faults to the
 * standard error. Exit status: 0 all good, 1 a fault, 3 bad manners that were asked to fail. */
#include "observe/check/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/terminal.h"
#include "observe/promql/parse.h"
#include "observe/rules/unit_test.h"

enum { EXIT_LINT = 3 };

typedef struct output {
    bool colour[2]; /* of stdout, stderr */
} output;

static const struct {
    bool fault; /* to stderr */
    const char *word, *colour;
} LEVELS[CHECK_LEVELS] = {
    [CHECK_GOOD] = {false, "  SUCCESS: ", "\033[32m"},
    [CHECK_WARNING] = {false, "  WARNING: ", "\033[33m"},
    [CHECK_LINT] = {true, "  FAILED: ", "\033[35m"},
    [CHECK_FAULT] = {true, "  FAILED: ", "\033[1;31m"},
    [CHECK_TEXT] = {false, "", ""},
};

static void say(void *ctx, check_level level, sx_str text)
{
    const output *o = (const output *)ctx;
    FILE *to = LEVELS[level].fault ? stderr : stdout;
    bool colour = o->colour[LEVELS[level].fault] && LEVELS[level].colour[0];
    fflush(stdout); /* so that the two streams stay in order on a terminal */
    fprintf(to, "%s%s%s%.*s\n", colour ? LEVELS[level].colour : "", LEVELS[level].word,
            colour ? "\033[0m" : "", SX_ARG(text));
}

/* Where the standard output is for JSON. */
static void say_aside(void *ctx, check_level level, sx_str text)
{
    const output *o = (const output *)ctx;
    bool colour = o->colour[1];
    fprintf(stderr, "%s%s%s%.*s\n", colour ? LEVELS[level].colour : "", LEVELS[level].word,
            colour ? "\033[0m" : "", SX_ARG(text));
}

/* --- Options. */

enum { LINT_RULES = 1, LINT_INTERVALS = 2, LINT_METRICS = 4 };

static const struct {
    const char *name;
    unsigned bits;
} LINTS[] = {
    {"all", LINT_RULES | LINT_INTERVALS | LINT_METRICS},
    {"duplicate-rules", LINT_RULES},
    {"too-long-scrape-interval", LINT_INTERVALS},
    {"metric-names", LINT_METRICS},
    {"none", 0},
};

/* "none" beats what stands beside it, and what nobody knows is warned of, as in promtool. */
static unsigned read_lints(const char *typed)
{
    unsigned bits = 0;
    for (sx_str one, rest = sx_str_z(typed); rest.len;) {
        size_t i = 0;
        sx_str_cut(rest, ',', &one, &rest);
        while (i < SX_COUNT_OF(LINTS) && !sx_str_eq(one, sx_str_z(LINTS[i].name)))
            i++;
        if (i == SX_COUNT_OF(LINTS))
            printf("WARNING: unknown lint option: \"%.*s\"\n", SX_ARG(one));
        else if (LINTS[i].bits == 0)
            return 0;
        else
            bits |= LINTS[i].bits;
    }
    return bits;
}

static const struct {
    const char *name;
    unsigned bit;
} FEATURES[] = {
    {"promql-experimental-functions", PROMQL_EXPERIMENTAL_FUNCTIONS},
    {"promql-extended-range-selectors", PROMQL_EXTENDED_RANGE},
    {"promql-binop-fill-modifiers", PROMQL_BINOP_FILL},
    {"promql-delayed-name-removal", PROMQL_DELAYED_NAME_REMOVAL},
    {"use-start-timestamps", PROMQL_START_TIMESTAMPS},
    {"promql-duration-expr", 0},
};

unsigned cmd_promql_features(const char *typed)
{
    unsigned bits = 0;
    for (sx_str one, rest = sx_str_z(typed); rest.len;) {
        size_t i = 0;
        sx_str_cut(rest, ',', &one, &rest);
        while (i < SX_COUNT_OF(FEATURES) && !sx_str_eq(one, sx_str_z(FEATURES[i].name)))
            i++;
        if (i < SX_COUNT_OF(FEATURES))
            bits |= FEATURES[i].bit;
        else
            printf("  WARNING: Unknown feature passed to --enable-feature: %.*s\n", SX_ARG(one));
    }
    return bits;
}

static sx_status read_options(const cmd_args *args, check_options *o, sx_error *err)
{
    extern char **environ;
    unsigned lints = read_lints(cmd_value(args, "lint"));
    *o = (check_options){.syntax_only = cmd_switch(args, "syntax-only"),
                         .agent = cmd_switch(args, "agent"),
                         .lint_rules = lints & LINT_RULES,
                         .lint_metrics = lints & LINT_METRICS,
                         .extended = cmd_switch(args, "extended"),
                         .ignore_unknown_fields = cmd_switch(args, "ignore-unknown-fields"),
                         .expand_environment = cmd_switch(args, "expand-environment"),
                         .environment = (const char *const *)environ,
                         .features = cmd_promql_features(cmd_value(args, "enable-feature")),
                         .say = say};
    const char *lookback = cmd_value(args, "query.lookback-delta");
    if (promql_parse_duration(sx_str_z(lookback), false, &o->lint_lookback_ms, err) != SX_OK)
        return sx_fail(err, SX_EINVAL, "--query.lookback-delta %s is no duration, as 5m is one",
                       lookback);
    if (!(lints & LINT_INTERVALS))
        o->lint_lookback_ms = 0;
    return SX_OK;
}

/* --- Files. */

/* Tests of rules are run: that is what shows whether they are right. */
static void run_tests(const char *path, const check_options *o, check_counts *counts)
{
    rule_unit_test_options options = {.features = o->features,
                                      .ignore_unknown_fields = o->ignore_unknown_fields};
    sx_buf report;
    sx_buf_init(&report, 0);
    if (rule_unit_test_run(&path, 1, &options, &report) != 0)
        counts->levels[CHECK_FAULT]++;
    fwrite(report.data, 1, report.len, stdout);
    sx_buf_done(&report);
}

static sx_status check_one(const char *path, check_kind kind, const check_options *o,
                           check_counts *counts, sx_error *err)
{
    check_kind found = kind;
    bool plain = kind == CHECK_METRICS; /* which promtool lists without a headline */
    if (!plain)
        printf("Checking %s\n", path);
    sx_status st = check_file(path, kind, o, &found, counts, err);
    if (st == SX_OK && found == CHECK_RULE_TESTS)
        run_tests(path, o, counts);
    if (!plain)
        putchar('\n');
    return st;
}

static int run(const cmd_args *args, check_kind kind)
{
    static char dash[] = "-";
    char *standard_input[] = {dash};
    output out = {{terminal_has_colour(STDOUT_FILENO), terminal_has_colour(STDERR_FILENO)}};
    check_counts counts = {0};
    check_options o;
    sx_error err;
    sx_status st = read_options(args, &o, &err);
    o.ctx = &out;
    if (st == SX_OK && kind == CHECK_METRICS && !o.extended && !o.lint_metrics)
        st = sx_fail(&err, SX_EINVAL,
                     "nothing to check: use --extended for a table of the series, or leave out "
                     "--lint=none");
    if (st != SX_OK)
        return cmd_failed(&err);
    char **files = args->rest_count ? args->rest : standard_input;
    int file_count = args->rest_count ? args->rest_count : 1;
    for (int i = 0; i < file_count && st == SX_OK; i++)
        st = check_one(files[i], kind, &o, &counts, &err);
    if (st != SX_OK)
        return cmd_failed(&err);
    if (counts.levels[CHECK_FAULT])
        return 1;
    bool lint_fails = kind == CHECK_METRICS || cmd_switch(args, "lint-fatal");
    return counts.levels[CHECK_LINT] && lint_fails ? EXIT_LINT : 0;
}

int cmd_check(const cmd_args *args)
{
    return run(args, CHECK_ANY);
}

int cmd_check_config(const cmd_args *args)
{
    return run(args, CHECK_CONFIG);
}

int cmd_check_rules(const cmd_args *args)
{
    return run(args, CHECK_RULES);
}

int cmd_check_web_config(const cmd_args *args)
{
    return run(args, CHECK_WEB);
}

int cmd_check_metrics(const cmd_args *args)
{
    return run(args, CHECK_METRICS);
}

int cmd_check_service_discovery(const cmd_args *args)
{
    extern char **environ;
    output out = {{false, terminal_has_colour(STDERR_FILENO)}};
    check_options o = {.environment = (const char *const *)environ, .say = say_aside, .ctx = &out};
    int64_t timeout_ms = 0;
    sx_buf text;
    sx_error err;
    sx_buf_init(&text, 0);
    sx_status st =
        promql_parse_duration(sx_str_z(cmd_value(args, "timeout")), false, &timeout_ms, &err);
    if (st == SX_OK)
        st = check_discovery(args->rest[0], sx_str_z(args->rest[1]), timeout_ms, &o, &text, &err);
    if (st == SX_OK)
        fwrite(text.data, 1, text.len, stdout);
    sx_buf_done(&text);
    return st == SX_OK ? 0 : cmd_failed(&err);
}
