/* check_config.c - a configuration in prometheus.yml's form, and the files that it names.
 *
 * What promtool fails a configuration for, fails it here: faults of its own, rule files, credentials
 * and certificates that are not there, target groups that are wrong, addresses that are none. Other
 * files that are missing (passwords, authorities) are warnings: they may come before they are wanted. */
#include <glob.h>
#include <stdarg.h>

#include <sextant/file.h>

#include "observe/check/check_internal.h"
#include "observe/promql/parse.h"
#include "observe/rules/rule_file.h"

enum { FILES_MAX = 100000 };

typedef struct config_check {
    checker *c;
    const prom_config *config;
    sx_arena *arena;
    glob_t rules; /* files that were found */
    bool bad;
    sx_status status; /* SX_ENOMEM ends it */
} config_check;

static void fault(config_check *k, uint32_t line, const char *fmt, ...) SX_PRINTF(3, 4);
static void fault(config_check *k, uint32_t line, const char *fmt, ...)
{
    sx_buf text;
    va_list args;
    sx_buf_init(&text, 0);
    va_start(args, fmt);
    sx_buf_vprintf(&text, fmt, args);
    va_end(args);
    k->bad = true;
    if (line)
        check_say(k->c, CHECK_FAULT, "%s:%u: %.*s", k->c->path, line, SX_ARG(sx_buf_view(&text)));
    else
        check_say(k->c, CHECK_FAULT, "%s: %.*s", k->c->path, SX_ARG(sx_buf_view(&text)));
    sx_buf_done(&text);
}

/* A path with its NUL; NULL when there is no memory. */
static const char *path_z(config_check *k, sx_str path)
{
    sx_str copy = sx_arena_copy(k->arena, path);
    if (!copy.data)
        k->status = SX_ENOMEM;
    return copy.data;
}

/* The first line of the configuration that has the text: rule files are known without their place. */
static uint32_t line_of(const prom_config *config, sx_str text)
{
    size_t slash = text.len;
    while (slash > 0 && text.data[slash - 1] != '/')
        slash--;
    sx_str name = sx_str_from(text, slash);
    uint32_t line = 1;
    for (sx_str rest = config->text, one; rest.len; line++) {
        sx_str_cut(rest, '\n', &one, &rest);
        if (name.len && sx_str_find(one, name) < one.len)
            return line;
    }
    return 0;
}

static bool is_there(config_check *k, sx_str path, sx_error *err)
{
    sx_file_info info;
    const char *z = path_z(k, path);
    return !z || sx_file_stat(z, &info, err) == SX_OK;
}

static void need(config_check *k, uint32_t line, const char *what, sx_str path)
{
    sx_error err;
    if (path.len && !is_there(k, path, &err))
        fault(k, line, "error checking %s file \"%.*s\": %s", what, SX_ARG(path), err.message);
}

static void want(config_check *k, uint32_t line, const char *what, sx_str path)
{
    sx_error err;
    if (path.len && !is_there(k, path, &err))
        check_say(k->c, CHECK_WARNING, "%s:%u: %s file: %s", k->c->path, line, what, err.message);
}

static void check_rule_files(config_check *k)
{
    for (uint32_t i = 0; i < k->config->rule_file_count && k->status == SX_OK; i++) {
        sx_str pattern = k->config->rule_files[i];
        const char *z = path_z(k, pattern);
        size_t before = k->rules.gl_pathc;
        if (!z)
            return;
        int rc = glob(z, before ? GLOB_APPEND : 0, NULL, &k->rules);
        if (rc == GLOB_NOSPACE)
            k->status = SX_ENOMEM;
        else if (k->rules.gl_pathc == before && sx_str_find_byte(pattern, '*') == pattern.len)
            fault(k, line_of(k->config, pattern), "\"%.*s\" does not point to an existing file",
                  SX_ARG(pattern));
    }
}

static void check_tls(config_check *k, const prom_tls_config *tls, uint32_t line)
{
    need(k, line, "client cert", tls->cert_file);
    need(k, line, "client key", tls->key.file);
    want(k, line, "certificate authority", tls->ca_file);
}

static void check_http(config_check *k, const prom_http_config *http, uint32_t line)
{
    need(k, line, "authorization credentials or bearer token",
         http->authorization.credentials.file);
    want(k, line, "password", http->basic_auth.password.file);
    want(k, line, "user name", http->basic_auth.username_file);
    want(k, line, "client secret", http->oauth2.client_secret.file);
    check_tls(k, &http->tls, line);
}

/* The groups of one file of file discovery. `job` or `am` is whose they are. */
static void check_target_file(config_check *k, const char *path, const prom_discovery *d,
                              const prom_scrape_config *job, const prom_alertmanager_config *am)
{
    const prom_target_group *groups = NULL;
    uint32_t count = 0;
    sx_buf text, problems;
    sx_error err;
    sx_buf_init(&text, 0);
    sx_buf_init(&problems, 0);
    sx_status st = sx_file_read(path, CHECK_FILE_BYTES_MAX, &text, &err);
    if (st == SX_OK)
        st = check_read_targets(sx_buf_view(&text), path, k->arena, &groups, &count, &problems,
                                &err);
    if (st == SX_ENOMEM)
        k->status = st;
    else if (st != SX_OK)
        fault(k, d->line, "checking SD file \"%s\": %s", path, err.message);
    else if (!(job ? check_job_targets(k->c, job, groups, count, d->line)
                   : check_alertmanager_targets(k->c, am, groups, count, d->line)))
        k->bad = true;
    sx_buf_done(&text);
    sx_buf_done(&problems);
}

static void check_target_files(config_check *k, const prom_discovery *d,
                               const prom_scrape_config *job, const prom_alertmanager_config *am)
{
    for (uint32_t i = 0; i < d->file.file_count && k->status == SX_OK; i++) {
        glob_t found = {0};
        const char *z = path_z(k, d->file.files[i]);
        int rc = z ? glob(z, 0, NULL, &found) : GLOB_NOSPACE;
        for (size_t f = 0; rc == 0 && f < found.gl_pathc && f < FILES_MAX; f++)
            check_target_file(k, found.gl_pathv[f], d, job, am);
        if (rc == GLOB_NOSPACE)
            k->status = SX_ENOMEM;
        else if (rc != 0 && job)
            check_say(k->c, CHECK_WARNING,
                      "file \"%s\" for file_sd in scrape job \"%.*s\" does not exist", z,
                      SX_ARG(job->job_name));
        else if (rc != 0)
            check_say(k->c, CHECK_WARNING,
                      "file \"%s\" for file_sd in alertmanager config does not exist", z);
        globfree(&found);
    }
}

static void check_discoveries(config_check *k, const prom_discovery *list, uint32_t count,
                              const prom_scrape_config *job, const prom_alertmanager_config *am)
{
    for (uint32_t i = 0; i < count && k->status == SX_OK; i++) {
        const prom_discovery *d = &list[i];
        bool syntax_only = k->c->options->syntax_only;
        if (d->kind == PROM_SD_STATIC &&
            !(job ? check_job_targets(k->c, job, d->group, 1, d->line)
                  : check_alertmanager_targets(k->c, am, d->group, 1, d->line)))
            k->bad = true;
        if (d->kind == PROM_SD_FILE && !syntax_only)
            check_target_files(k, d, job, am);
        if (d->kind == PROM_SD_KUBERNETES && job && !syntax_only) {
            check_tls(k, &d->kubernetes.http.tls, d->line);
            want(k, d->line, "kubeconfig", d->kubernetes.kubeconfig_file);
        }
        if (d->kind == PROM_SD_HTTP && !syntax_only)
            check_tls(k, &d->http.http.tls, d->line);
    }
}

static void lint_intervals(config_check *k)
{
    int64_t most = k->c->options->lint_lookback_ms;
    for (uint32_t i = 0; most > 0 && i < k->config->scrape_count; i++) {
        const prom_scrape_config *job = &k->config->scrapes[i];
        char interval[64];
        if (job->interval_ms < most)
            continue;
        promql_print_duration(job->interval_ms, interval);
        check_say(k->c, CHECK_LINT,
                  "too long scrape interval found, data point will be marked as stale - job: %.*s, "
                  "interval: %s",
                  SX_ARG(job->job_name), interval);
        return;
    }
}

/* Each rule file as if it had been named on the command line; how it is found is told first. */
static sx_status check_rules_of(config_check *k, sx_error *err)
{
    check_say(k->c, CHECK_GOOD, "%zu rule files found", k->rules.gl_pathc);
    sx_status st = SX_OK;
    for (size_t i = 0; i < k->rules.gl_pathc && st == SX_OK; i++) {
        check_say(k->c, CHECK_TEXT, "Checking %s", k->rules.gl_pathv[i]);
        st = check_file(k->rules.gl_pathv[i], CHECK_RULES, k->c->options, NULL, k->c->counts, err);
    }
    return st;
}

static sx_status check_loaded(config_check *k, sx_error *err)
{
    const prom_config *config = k->config;
    bool syntax_only = k->c->options->syntax_only;
    if (!syntax_only)
        check_rule_files(k);
    for (uint32_t i = 0; i < config->scrape_count && k->status == SX_OK; i++) {
        const prom_scrape_config *job = &config->scrapes[i];
        if (!syntax_only)
            check_http(k, &job->http, job->line);
        check_discoveries(k, job->discoveries, job->discovery_count, job, NULL);
    }
    for (uint32_t i = 0; i < config->alertmanager_count && k->status == SX_OK; i++) {
        const prom_alertmanager_config *am = &config->alertmanagers[i];
        check_discoveries(k, am->discoveries, am->discovery_count, NULL, am);
    }
    if (k->status != SX_OK)
        return sx_fail_memory(err, "the check of a configuration");
    if (k->bad)
        return SX_OK;
    check_say(k->c, CHECK_GOOD, "%s is valid prometheus config file syntax", k->c->path);
    if (syntax_only)
        return SX_OK;
    lint_intervals(k);
    return k->rules.gl_pathc ? check_rules_of(k, err) : SX_OK;
}

sx_status check_config(checker *c, sx_str text, sx_error *err)
{
    prom_config_options options = {.expand_environment = c->options->expand_environment,
                                   .environment = c->options->environment,
                                   .agent = c->options->agent,
                                   .bytes_max = CHECK_FILE_BYTES_MAX};
    prom_config *config = NULL;
    sx_buf problems;
    sx_arena arena;
    sx_buf_init(&problems, 0);
    sx_arena_init(&arena, 0, 0);
    sx_status st = prom_config_parse(text, sx_str_z(c->path), &options, &config, &problems, err);
    if (st == SX_OK) {
        config_check k = {.c = c, .config = config, .arena = &arena};
        st = check_loaded(&k, err);
        globfree(&k.rules);
    } else if (st != SX_ENOMEM) {
        check_say_faults(c, &problems, err);
        st = SX_OK;
    }
    prom_config_unref(config);
    sx_arena_done(&arena);
    sx_buf_done(&problems);
    return st;
}
