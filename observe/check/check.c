/* check.c - recognises a file and hands it to the check of its kind; rules and web configurations. */
#include "observe/check/check.h"

#include <stdarg.h>

#include <sextant/file.h>
#include <sextant/web_config.h>

#include "observe/auth/config.h"
#include "observe/check/check_internal.h"
#include "observe/rules/rule_file.h"

static const char *const KIND_NAMES[CHECK_KINDS] = {
    [CHECK_ANY] = "file of no known kind",
    [CHECK_CONFIG] = "Prometheus configuration",
    [CHECK_RULES] = "rules",
    [CHECK_RULE_TESTS] = "tests of rules",
    [CHECK_WEB] = "web configuration",
    [CHECK_TARGETS] = "target groups",
    [CHECK_METRICS] = "metrics",
    [CHECK_COLLECTOR] = "OpenTelemetry Collector configuration",
    [CHECK_SAMPLING] = "sampling strategies",
    [CHECK_AUTH] = "sign-in",
};

const char *check_kind_name(check_kind k)
{
    return KIND_NAMES[k];
}

/* --- Recognising. */

/* Keys at the top of a file that only one kind has. */
static const struct {
    const char *key;
    check_kind kind;
} SIGNS[] = {
    {"groups", CHECK_RULES},
    {"tests", CHECK_RULE_TESTS},
    {"group_eval_order", CHECK_RULE_TESTS},
    {"fuzzy_compare", CHECK_RULE_TESTS},
    {"tls_server_config", CHECK_WEB},
    {"http_server_config", CHECK_WEB},
    {"basic_auth_users", CHECK_WEB},
    {"bearer_tokens", CHECK_WEB},
    {"global", CHECK_CONFIG},
    {"runtime", CHECK_CONFIG},
    {"alerting", CHECK_CONFIG},
    {"rule_files", CHECK_CONFIG},
    {"scrape_configs", CHECK_CONFIG},
    {"scrape_config_files", CHECK_CONFIG},
    {"storage", CHECK_CONFIG},
    {"tracing", CHECK_CONFIG},
    {"remote_write", CHECK_CONFIG},
    {"remote_read", CHECK_CONFIG},
    {"otlp", CHECK_CONFIG},
    {"receivers", CHECK_COLLECTOR},
    {"processors", CHECK_COLLECTOR},
    {"exporters", CHECK_COLLECTOR},
    {"connectors", CHECK_COLLECTOR},
    {"extensions", CHECK_COLLECTOR},
    {"service", CHECK_COLLECTOR},
    {"default_strategy", CHECK_SAMPLING},
    {"service_strategies", CHECK_SAMPLING},
    {"users", CHECK_AUTH},
    {"session", CHECK_AUTH},
    {"anonymous", CHECK_AUTH},
    {"trusted_header", CHECK_AUTH},
    {"oidc", CHECK_AUTH},
    {"machines", CHECK_AUTH},
    {"audit", CHECK_AUTH},
};

static bool is_name_byte(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           (!first && c >= '0' && c <= '9');
}

/* `up 1`, `up{job="x"} 1`, `{"up"} 1`: no line of YAML that a file of ours begins with. */
static bool is_sample(sx_str line)
{
    size_t n = 0;
    while (n < line.len && is_name_byte(line.data[n], n == 0))
        n++;
    sx_str rest = sx_str_from(line, n);
    if (rest.len && rest.data[0] == '{')
        return sx_str_find(rest, SX_STR("} ")) < rest.len ||
               sx_str_find(rest, SX_STR("=\"")) < rest.len;
    if (n == 0 || rest.len < 2 || (rest.data[0] != ' ' && rest.data[0] != '\t'))
        return false;
    rest = sx_str_trim(rest);
    return rest.len && (rest.data[0] == '-' || rest.data[0] == '+' || rest.data[0] == '.' ||
                        (rest.data[0] >= '0' && rest.data[0] <= '9') ||
                        sx_str_eq(rest, SX_STR("NaN")) || sx_str_eq(rest, SX_STR("Inf")));
}

static bool is_metric_comment(sx_str line)
{
    static const sx_str WORDS[] = {SX_STR_INIT("# HELP "), SX_STR_INIT("# TYPE "),
                                   SX_STR_INIT("# UNIT "), SX_STR_INIT("# EOF")};
    for (size_t i = 0; i < SX_COUNT_OF(WORDS); i++) {
        if (sx_str_starts(line, WORDS[i]))
            return true;
    }
    return false;
}

/* The kind that a key at the beginning of a line is a sign of; a key in a JSON object counts too. */
static check_kind sign_of(sx_str line)
{
    sx_str key, rest;
    if (!sx_str_cut(line, ':', &key, &rest))
        return CHECK_ANY;
    key = sx_str_trim(key);
    while (key.len && (key.data[0] == '{' || key.data[0] == '"' || key.data[0] == ' '))
        key = sx_str_from(key, 1);
    while (key.len && key.data[key.len - 1] == '"')
        key = sx_str_first(key, key.len - 1);
    for (size_t i = 0; i < SX_COUNT_OF(SIGNS); i++) {
        if (sx_str_eq(key, sx_str_z(SIGNS[i].key)))
            return SIGNS[i].kind;
    }
    return CHECK_ANY;
}

/* Lines rather than a tree: a file that is broken is to be recognised, too. The first key of a JSON
 * object counts however far it stands to the right. */
check_kind check_recognise(sx_str text, sx_str path)
{
    check_kind found = CHECK_ANY;
    bool first = true, opened = false;
    for (sx_str line, rest = text; rest.len;) {
        sx_str_cut(rest, '\n', &line, &rest);
        if (line.len && line.data[line.len - 1] == '\r')
            line = sx_str_first(line, line.len - 1);
        if (is_metric_comment(line))
            return CHECK_METRICS;
        sx_str words = sx_str_trim(line);
        if (words.len == 0 || words.data[0] == '#' || sx_str_eq(words, SX_STR("---")))
            continue;
        if (first && is_sample(line))
            return CHECK_METRICS;
        if (first && (words.data[0] == '[' || sx_str_starts(line, SX_STR("- "))))
            return CHECK_TARGETS;
        if (sx_str_starts(line, SX_STR("route:"))) /* an Alertmanager's, which has receivers, too */
            return CHECK_ANY;
        bool json = opened || (first && words.data[0] == '{');
        check_kind sign = line.data[0] == ' ' && !json ? CHECK_ANY : sign_of(line);
        opened = json && sx_str_eq(words, SX_STR("{"));
        if (sign == CHECK_RULE_TESTS) /* which have rule_files, too */
            return sign;
        found = found == CHECK_ANY ? sign : found;
        first = false;
    }
    if (found == CHECK_ANY &&
        (sx_str_ends(path, SX_STR(".prom")) || sx_str_ends(path, SX_STR(".om"))))
        return CHECK_METRICS;
    return first ? CHECK_CONFIG : found; /* Prometheus starts with a file of nothing but comments */
}

/* --- Telling. */

void check_say(checker *c, check_level level, const char *fmt, ...)
{
    sx_buf text;
    va_list args;
    sx_buf_init(&text, 0);
    va_start(args, fmt);
    sx_buf_vprintf(&text, fmt, args);
    va_end(args);
    c->counts->levels[level]++;
    c->options->say(c->options->ctx, level, sx_buf_view(&text));
    sx_buf_done(&text);
}

void check_say_faults(checker *c, const sx_buf *problems, const sx_error *err)
{
    sx_str rest = sx_buf_view(problems), line;
    if (!rest.len)
        check_say(c, CHECK_FAULT, "%s", err->message);
    while (rest.len) {
        sx_str_cut(rest, '\n', &line, &rest);
        check_say(c, CHECK_FAULT, "%.*s", SX_ARG(line));
    }
}

/* --- Rules and web configurations. */

sx_status check_rules(checker *c, sx_str text, sx_error *err)
{
    rule_file_options options = {.features = c->options->features,
                                 .expand_environment = c->options->expand_environment,
                                 .environment = c->options->environment,
                                 .ignore_unknown_fields = c->options->ignore_unknown_fields};
    rule_file *file = NULL;
    sx_buf problems;
    sx_buf_init(&problems, 0);
    sx_status st = rule_file_parse(text, sx_str_z(c->path), &options, &file, &problems, err);
    if (st == SX_OK && c->options->lint_rules && rule_file_lint(file, &problems))
        check_say(c, CHECK_LINT, "lint error %.*s",
                  SX_ARG(sx_str_trim_all(sx_buf_view(&problems))));
    else if (st == SX_OK)
        check_say(c, CHECK_GOOD, "%u rules found", file->rule_count);
    else if (st != SX_ENOMEM)
        check_say_faults(c, &problems, err);
    if (st == SX_OK && file->documents > 1)
        check_say(c, CHECK_WARNING, "%s: only the first of its %u YAML documents counts", c->path,
                  file->documents);
    sx_buf_done(&problems);
    rule_file_free(file);
    return st == SX_ENOMEM ? st : SX_OK;
}

/* Certificates and keys are read, too: one that does not fit its key is found now, not at a restart. */
static sx_status check_web(checker *c, sx_str text, sx_error *err)
{
    sx_web_config *web = NULL;
    sx_tls *tls = NULL;
    sx_status st = sx_web_config_parse(text, c->path, &web, err);
    if (st == SX_OK && web->tls) {
        st = sx_tls_server_new(&web->tls_options, &tls, err);
        if (st != SX_OK)
            sx_error_prefix(err, st, "%s: tls_server_config", c->path);
    }
    if (st == SX_OK)
        check_say(c, CHECK_GOOD, "%s is a valid web configuration", c->path);
    else if (st != SX_ENOMEM)
        check_say(c, CHECK_FAULT, "%s", err->message);
    sx_tls_unref(tls);
    sx_web_config_free(web);
    return st == SX_ENOMEM ? st : SX_OK;
}

/* The secrets' files that it names are read, too. */
static sx_status check_auth(checker *c, sx_str text, sx_error *err)
{
    auth_config *config = NULL;
    sx_buf problems;
    sx_buf_init(&problems, 0);
    sx_status st = auth_config_parse(text, sx_str_z(c->path), &config, &problems, err);
    if (st == SX_OK)
        check_say(c, CHECK_GOOD, "%s is valid settings of sign-in", c->path);
    else if (st != SX_ENOMEM)
        check_say_faults(c, &problems, err);
    sx_buf_done(&problems);
    auth_config_free(config);
    return st == SX_ENOMEM ? st : SX_OK;
}

/* --- The two that callers know. */

sx_status check_text(sx_str text, const char *path, check_kind kind, const check_options *options,
                     check_counts *counts, sx_error *err)
{
    static sx_status (*const CHECKS[CHECK_KINDS])(checker *, sx_str, sx_error *) = {
        [CHECK_CONFIG] = check_config,     [CHECK_RULES] = check_rules,
        [CHECK_WEB] = check_web,           [CHECK_TARGETS] = check_targets,
        [CHECK_METRICS] = check_metrics,   [CHECK_COLLECTOR] = check_collector,
        [CHECK_SAMPLING] = check_sampling, [CHECK_AUTH] = check_auth,
    };
    checker c = {options, counts, path};
    if (CHECKS[kind])
        return CHECKS[kind](&c, text, err);
    if (kind == CHECK_ANY)
        check_say(
            &c, CHECK_FAULT,
            "%s is none of what is checked here: a Prometheus configuration, rules, tests of "
            "rules, a web configuration, target groups, metrics, an OpenTelemetry Collector's "
            "configuration, sampling strategies, sign-in. Say what it is meant to be, as in 'sextant "
            "check config FILE'",
            path);
    return SX_OK;
}

sx_status check_file(const char *path, check_kind kind, const check_options *options,
                     check_kind *found, check_counts *counts, sx_error *err)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    bool standard = path[0] == '-' && path[1] == '\0';
    sx_status st = sx_file_read(standard ? "/dev/stdin" : path, CHECK_FILE_BYTES_MAX, &text, err);
    path = standard ? "standard input" : path;
    if (st == SX_OK && kind == CHECK_ANY)
        kind = check_recognise(sx_buf_view(&text), sx_str_z(path));
    if (found)
        *found = kind;
    if (st == SX_OK) {
        st = check_text(sx_buf_view(&text), path, kind, options, counts, err);
    } else if (st != SX_ENOMEM) {
        checker c = {options, counts, path};
        check_say(&c, CHECK_FAULT, "%s", err->message);
        st = SX_OK;
    }
    sx_buf_done(&text);
    return st;
}
