/* up.c - `sextant up`: everything on one machine, on real data.
 *
 * DIR holds what it makes: geocode/addresses.idx, observe/ (prometheus.yml, which is written once and may
 * then be edited, the targets that it names, and the samples), log/, and while it runs a lock and the
 * addresses it serves on, so that a second `sextant up` can print them. Children inherit the environment: OTEL_*
 * (where spans, logs and metrics go) and GEOCODE_* (settings) hold for them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sextant/file.h>

#include "cmd/command.h"
#include "cmd/geocode.h"
#include "cmd/up_ports.h"
#include "observe/collect/collect.h"
#include "service/supervisor.h"

enum {
    PATH_BYTES = 4096, /* PATH_MAX, as realpath(3) wants */
    ADDRESSES_BYTES_MAX = 65536,
    ADDRESS_BYTES = 2048,
    CHILDREN = 3,
    SPAN_FLAGS = 5
};

typedef struct up {
    char dir[PATH_BYTES], data[PATH_BYTES], index[PATH_BYTES], log[PATH_BYTES];
    char addresses[PATH_BYTES];         /* file in which a running `up` keeps what it serves on */
    char observe[PATH_BYTES];           /* folder of the metrics server */
    char listen[SX_ADDRESS_TEXT_BYTES]; /* of the geocoder */
    const char *admin, *metrics;
    bool visited;                      /* a visitor asks the geocoder */
    char spans[SX_ADDRESS_TEXT_BYTES]; /* where the metrics server takes spans; "": nowhere */
    const char *redis, *postgres;      /* databases to watch */
    sx_file_lock lock;
    char ready[CHILDREN]
              [ADDRESS_BYTES]; /* what the children's ready lines say; "": not ready yet */
} up;

#define SPANS_DEFAULT "127.0.0.1:4318" /* as the table of flags has it */

/* The children, in the order in which they are started and shown. */
static const char *const NAMES[CHILDREN] = {"geocode", "observe", "visitor"};

static bool is_started(const up *u, int child)
{
    return child == 0 || (u->metrics[0] && (child == 1 || u->visited));
}

static sx_status join(char out[PATH_BYTES], const char *folder, const char *name, sx_error *err)
{
    int len = snprintf(out, PATH_BYTES, "%s/%s", folder, name);
    if (len < 0 || len >= PATH_BYTES)
        return sx_fail(err, SX_ELIMIT, "path too long: %s/%s", folder, name);
    return SX_OK;
}

/* "~" alone or before a slash is the home folder; the shell leaves it in --dir=~/x. */
static sx_status expand_home(const char *typed, char out[PATH_BYTES], sx_error *err)
{
    if (typed[0] == '\0')
        return sx_fail(err, SX_EINVAL, "the name of a folder is empty; see 'sextant help up'");
    if (typed[0] != '~' || (typed[1] != '/' && typed[1] != '\0')) {
        snprintf(out, PATH_BYTES, "%s", typed);
        return SX_OK;
    }
    const char *home = getenv("HOME");
    if (!home || !home[0])
        return sx_fail(err, SX_EINVAL, "HOME is not set; name a folder with --dir DIR");
    return join(out, home, typed[1] ? typed + 2 : "", err);
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The data lies beside the binary in a source tree (build/sextant, data/), or where it was installed
 * (bin/sextant, share/sextant/data). */
static sx_status find_data(const char *self, const char *typed, char out[PATH_BYTES], sx_error *err)
{
    static const char *const PLACES[] = {"../data", "../share/sextant/data", "data"};
    if (typed)
        return expand_home(typed, out, err);
    char folder[PATH_BYTES], file[PATH_BYTES];
    snprintf(folder, sizeof(folder), "%s", self);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    for (size_t i = 0; i < SX_COUNT_OF(PLACES); i++) {
        if (join(file, folder, PLACES[i], err) == SX_OK && realpath(file, out) &&
            join(file, out, "france.ndjson.gz", err) == SX_OK && is_file(file))
            return SX_OK;
    }
    return sx_fail(
        err, SX_ENOTFOUND,
        "the address data that ships with sextant is not beside %s; name its folder with "
        "--data DIR",
        self);
}

static void print_addresses(const char *headline, const char *text)
{
    printf("%s\n%s", headline, text);
    fflush(stdout);
}

/* It serves elsewhere than this command line asks: nothing was changed, and the user should know. */
static void say_if_elsewhere(const up *u, sx_str addresses)
{
    sx_str asked = sx_str_z(u->listen);
    bool any_port = sx_str_ends(asked, SX_STR(":0"));
    if (any_port || sx_str_find(addresses, asked) < addresses.len)
        return;
    printf("It does not listen on %s, as asked now: stop it first (Ctrl-C where it runs), or use "
           "another --dir.\n",
           u->listen);
}

/* Somebody holds DIR's lock: if it serves, say where. */
static int already_up(const up *u, const sx_error *busy)
{
    sx_buf text;
    sx_buf_init(&text, ADDRESSES_BYTES_MAX);
    sx_error err = {0};
    int status = 1;
    if (sx_file_read(u->addresses, ADDRESSES_BYTES_MAX, &text, &err) == SX_OK && text.len) {
        sx_buf_byte(&text, '\0');
        print_addresses("Sextant is up already:", text.data);
        say_if_elsewhere(u, sx_buf_view(&text));
        status = 0;
    } else {
        fprintf(stderr, "sextant: %s\n", busy->message);
    }
    sx_buf_done(&text);
    return status;
}

/* Of `addresses`, "http=127.0.0.1:7878 admin=127.0.0.1:4321", the one that is `proto`'s. */
static sx_str address_of(sx_str addresses, const char *proto)
{
    sx_str one, name, where;
    while (addresses.len) {
        sx_str_cut(addresses, ' ', &one, &addresses);
        if (sx_str_cut(one, '=', &name, &where) && sx_str_eq(name, sx_str_z(proto)))
            return where;
    }
    return sx_str_of(NULL, 0);
}

/* Our own targets, by the ports that the children got: the file that prometheus.yml names. */
static sx_status write_targets(const up *u, sx_error *err)
{
    char path[PATH_BYTES];
    sx_buf text;
    sx_status status = join(path, u->observe, "targets.json", err);
    if (status != SX_OK)
        return status;
    sx_buf_init(&text, ADDRESSES_BYTES_MAX);
    sx_buf_byte(&text, '[');
    for (int i = 0; i < CHILDREN; i++) {
        sx_str where = address_of(sx_str_z(u->ready[i]), "http");
        if (where.len)
            sx_buf_printf(&text, "%s{\"targets\": [\"%.*s\"], \"labels\": {\"service\": \"%s\"}}",
                          text.len > 1 ? ",\n " : "", SX_ARG(where), NAMES[i]);
    }
    sx_buf_str(&text, SX_STR("]\n"));
    status = sx_buf_status(&text, "targets", err);
    if (status == SX_OK)
        status = sx_file_replace(path, sx_buf_view(&text), err);
    sx_buf_done(&text);
    return status;
}

/* The databases that `flag` lists ("[NAME=]ADDRESS,..."), each a page of our own metrics server. */
static sx_status write_databases(const up *u, const char *flag, const char *file, sx_error *err)
{
    char path[PATH_BYTES];
    sx_buf text;
    sx_str one, rest = sx_str_z(flag), where = address_of(sx_str_z(u->ready[1]), "http");
    sx_status status = join(path, u->observe, file, err);
    if (status != SX_OK || !where.len)
        return status;
    sx_buf_init(&text, ADDRESSES_BYTES_MAX);
    sx_buf_byte(&text, '[');
    while (rest.len) {
        sx_str_cut(rest, ',', &one, &rest);
        sx_str name = sx_str_first(one, sx_str_find_byte(one, '='));
        if (name.len)
            sx_buf_printf(&text,
                          "%s{\"targets\": [\"%.*s\"], \"labels\": {\"__param_target\": "
                          "\"%.*s\", \"instance\": \"%.*s\"}}",
                          text.len > 1 ? ",\n " : "", SX_ARG(where), SX_ARG(name), SX_ARG(name));
    }
    sx_buf_str(&text, SX_STR("]\n"));
    status = sx_buf_status(&text, "targets", err);
    if (status == SX_OK)
        status = sx_file_replace(path, sx_buf_view(&text), err);
    sx_buf_done(&text);
    return status;
}

static sx_status write_all_targets(const up *u, sx_error *err)
{
    sx_status status = write_targets(u, err);
    if (status == SX_OK)
        status = write_databases(u, u->redis, "redis.json", err);
    return status == SX_OK ? write_databases(u, u->postgres, "postgres.json", err) : status;
}

static void print_pages(const up *u, sx_buf *text)
{
    static const struct {
        int child;
        const char *proto, *path, *what;
    } PAGES[] = {{0, "http", "/", "search page"},
                 {0, "http", "/search/?q=34+avenue+de+l+opera", "Addok's API"},
                 {0, "http", "/nominatim/search?q=St%C3%A4dtle+32+Vaduz", "Nominatim's API"},
                 {0, "http", "/photon/api?q=vadu", "Photon's API"},
                 {0, "http", "/metrics", "for Prometheus"},
                 {0, "http", "/health/ready", "for a load balancer"},
                 {0, "http", "/health/detailed", "what is well and what is not"},
                 {0, "admin", "/admin/breakers", "circuit breakers"},
                 {0, "admin", "/admin/limits", "rate limits"},
                 {0, "admin", "/admin/log-levels", "log levels"},
                 {0, "admin", "/admin/config", "the settings in force"},
                 {1, "http", "/", "services, dashboards, traces, alerts: begin here"},
                 {1, "http", "/api/v1/query?query=up", "metrics, by Prometheus's API"},
                 {1, "jaeger-query", "/api/services", "traces, by Jaeger's API"},
                 {1, "otlp-http", "/v1/traces", "where spans are sent to (OTLP)"}};
    for (size_t i = 0; i < SX_COUNT_OF(PAGES); i++) {
        sx_str where = address_of(sx_str_z(u->ready[PAGES[i].child]), PAGES[i].proto);
        char url[ADDRESS_BYTES];
        snprintf(url, sizeof(url), "http://%.*s%s", SX_ARG(where), PAGES[i].path);
        if (where.len)
            sx_buf_printf(text, "  %-62s  %s\n", url, PAGES[i].what);
    }
    if (is_started(u, 2))
        sx_buf_str(text,
                   SX_STR("A visitor asks a few questions every five seconds, so that there is "
                          "something to see (--no-visitor: none).\n"));
    sx_buf_printf(text, "Logs are in %s\n%c", u->log, '\0');
}

static void on_ready(void *ctx, const sx_child_def *child, sx_str addresses)
{
    up *u = ctx;
    sx_error err = {0};
    bool all = true;
    for (int i = 0; i < CHILDREN; i++) {
        if (strcmp(child->name, NAMES[i]) == 0)
            snprintf(u->ready[i], ADDRESS_BYTES, "%.*s", SX_ARG(addresses));
        all = all && (u->ready[i][0] || !is_started(u, i));
    }
    if (u->metrics[0] && write_all_targets(u, &err) != SX_OK)
        fprintf(stderr, "sextant: %s\n", err.message);
    if (!all)
        return;
    sx_buf text;
    sx_buf_init(&text, ADDRESSES_BYTES_MAX);
    print_pages(u, &text);
    if (text.failed) {
        sx_buf_done(&text);
        return;
    }
    print_addresses("\nSextant is up. Open:", text.data);
    puts("\nCtrl-C stops it.");
    fflush(stdout);
    if (sx_file_replace(u->addresses, sx_str_z(text.data), &err) != SX_OK)
        fprintf(stderr, "sextant: %s\n", err.message);
    sx_buf_done(&text);
}

static void on_line(void *ctx, const sx_child_def *child, sx_str line)
{
    (void)ctx;
    fprintf(stderr, "%s: %.*s\n", child->name, SX_ARG(line));
}

static void on_restart(void *ctx, const sx_child_def *child, const char *why, int64_t wait_ms)
{
    (void)ctx;
    fprintf(stderr, "sextant: %s ended (%s); starting it again in %lld ms\n", child->name, why,
            (long long)wait_ms);
}

/* The children's spans go to the metrics server: so many new traces a second, and those that a caller
 * wants kept. What the environment says of OpenTelemetry goes before. */
static bool sends_spans(const up *u)
{
    static const char *const ENVIRONMENT[] = {"OTEL_EXPORTER_OTLP_ENDPOINT",
                                              "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"};
    for (size_t i = 0; i < SX_COUNT_OF(ENVIRONMENT); i++) {
        const char *set = getenv(ENVIRONMENT[i]);
        if (set && set[0])
            return false;
    }
    return u->spans[0] && u->metrics[0];
}

typedef struct span_flags {
    char endpoint[SX_ADDRESS_TEXT_BYTES + 64];
    const char *flags[SPAN_FLAGS + 1]; /* the last is NULL */
} span_flags;

static void make_span_flags(const up *u, span_flags *out)
{
    size_t n = 0;
    memset(out, 0, sizeof *out);
    if (!sends_spans(u))
        return;
    snprintf(out->endpoint, sizeof out->endpoint, "--otlp.endpoint=http://%s", u->spans);
    out->flags[n++] = out->endpoint;
    out->flags[n++] = "--otlp.signals=traces";
    out->flags[n++] = "--otlp.batch_delay_ms=1000";
    if (getenv("OTEL_TRACES_SAMPLER"))
        return;
    out->flags[n++] = "--tracing.sampler=parentbased_rate_limited";
    out->flags[n++] = "--tracing.sampler_argument=20";
    sx_assert(n == SPAN_FLAGS);
}

static sx_status serve(up *u, const char *self, sx_error *err)
{
    span_flags spans;
    make_span_flags(u, &spans);
    char log_flag[PATH_BYTES + 64], access_flag[PATH_BYTES + 64], admin_flag[PATH_BYTES + 64];
    if (snprintf(admin_flag, sizeof(admin_flag), "--admin.listen=%s", u->admin) >=
        (int)sizeof(admin_flag))
        return sx_fail(err, SX_EINVAL, "--admin is no address: it is too long");
    snprintf(log_flag, sizeof(log_flag), "--log.path=%s/geocode.log", u->log);
    snprintf(access_flag, sizeof(access_flag), "--access_log=%s/geocode-access.log", u->log);
    const char *argv[] = {self,           "geocode",      "serve",        "--index",
                          u->index,       "--listen",     u->listen,      log_flag,
                          access_flag,    admin_flag,     spans.flags[0], spans.flags[1],
                          spans.flags[2], spans.flags[3], spans.flags[4], NULL};
    char config_flag[PATH_BYTES + 64], data_flag[PATH_BYTES + 64], listen_flag[PATH_BYTES + 64];
    char observe_log_flag[PATH_BYTES + 64];
    snprintf(config_flag, sizeof(config_flag), "--config.file=%s/prometheus.yml", u->observe);
    snprintf(data_flag, sizeof(data_flag), "--storage.tsdb.path=%s/data", u->observe);
    snprintf(observe_log_flag, sizeof(observe_log_flag), "--log.path=%s/observe.log", u->log);
    if (snprintf(listen_flag, sizeof(listen_flag), "--web.listen-address=%s", u->metrics) >=
        (int)sizeof(listen_flag))
        return sx_fail(err, SX_EINVAL, "--metrics is no address: it is too long");
    char redis_flag[PATH_BYTES], postgres_flag[PATH_BYTES], collect_flag[PATH_BYTES + 64];
    char collect_file[PATH_BYTES];
    snprintf(redis_flag, sizeof(redis_flag), "--collect.redis=%s", u->redis);
    snprintf(postgres_flag, sizeof(postgres_flag), "--collect.postgres=%s", u->postgres);
    sx_status status = join(collect_file, u->observe, "collect.yml", err);
    if (status != SX_OK)
        return status;
    snprintf(collect_flag, sizeof(collect_flag), "--collect.config=%s",
             is_file(collect_file) ? collect_file : "");
    char otlp_flag[SX_ADDRESS_TEXT_BYTES + 64];
    snprintf(otlp_flag, sizeof otlp_flag, "--otlp.http=%s", u->spans);
    const char *observe[] = {self,           "observe",
                             config_flag,    data_flag,
                             listen_flag,    observe_log_flag,
                             redis_flag,     postgres_flag,
                             collect_flag,   u->spans[0] ? otlp_flag : "--traces.store=off",
                             spans.flags[0], spans.flags[1],
                             spans.flags[2], spans.flags[3],
                             spans.flags[4], NULL};
    char visit_flag[SX_ADDRESS_TEXT_BYTES + 64], visit_log[PATH_BYTES + 64];
    snprintf(visit_flag, sizeof visit_flag, "--visit.geocoder=http://%s", u->listen);
    snprintf(visit_log, sizeof visit_log, "--log.path=%s/visitor.log", u->log);
    const char *visitor[] = {self,           "geocode",          "visit",        visit_flag,
                             visit_log,      "--access_log=off", spans.flags[0], spans.flags[1],
                             spans.flags[2], spans.flags[3],     spans.flags[4], NULL};
    sx_child_def children[CHILDREN] = {{NAMES[0], (char *const *)argv},
                                       {NAMES[1], (char *const *)observe},
                                       {NAMES[2], (char *const *)visitor}};
    size_t count = 1;
    while (count < CHILDREN && is_started(u, (int)count))
        count++;
    sx_supervisor_options options = {.children = children,
                                     .child_count = count,
                                     .line = on_line,
                                     .ready = on_ready,
                                     .restarting = on_restart,
                                     .ctx = u};
    return sx_supervise(&options, err);
}

/* Where spans go: the address asked for or, where it is the usual one and taken (a Jaeger, a collector),
 * another. */
static sx_status choose_spans(up *u, const char *typed, sx_error *err)
{
    sx_error taken;
    snprintf(u->spans, sizeof u->spans, "%s", typed);
    if (!typed[0] || !u->metrics[0])
        return SX_OK;
    bool usual = strcmp(typed, SPANS_DEFAULT) == 0;
    if (usual && cmd_address_bindable("traces", typed, &taken) != SX_OK)
        typed = "127.0.0.1:0";
    return cmd_address_choose("traces", typed, u->spans, err);
}

/* The visitor has to know the geocoder's port. */
static sx_status choose_listen(up *u, sx_error *err)
{
    bool any = sx_str_ends(sx_str_z(u->listen), SX_STR(":0"));
    return any && is_started(u, 2) ? cmd_address_choose("listen", u->listen, u->listen, err)
                                   : SX_OK;
}

static sx_status check_ports(const up *u, sx_error *err)
{
    sx_status status = cmd_address_free("listen", u->listen, err);
    if (status == SX_OK && u->admin[0])
        status = cmd_address_bindable("admin", u->admin, err);
    if (status == SX_OK && u->metrics[0])
        status = cmd_address_free("metrics", u->metrics, err);
    return status;
}

/* The configuration that watches us; one that is there already may have been edited and stays. */
static sx_status configure_if_needed(const up *u, sx_error *err)
{
    static const sx_str CONFIG =
        SX_STR_INIT("# Written once by `sextant up`; it is yours to edit.\n"
                    "global:\n"
                    "  scrape_interval: 15s\n"
                    "scrape_configs:\n"
                    "  - job_name: sextant\n"
                    "    file_sd_configs:\n"
                    "      - files: [targets.json]\n"
                    "        refresh_interval: 5s\n"
                    "    relabel_configs: # each is a service of its own\n"
                    "      - source_labels: [service]\n"
                    "        target_label: job\n"
                    "  - job_name: node # this machine, as node_exporter tells of it\n"
                    "    metrics_path: /collect/host\n"
                    "    file_sd_configs:\n"
                    "      - files: [targets.json]\n"
                    "        refresh_interval: 5s\n"
                    "    relabel_configs:\n"
                    "      - source_labels: [service]\n"
                    "        regex: observe\n"
                    "        action: keep\n"
                    "  - job_name: process # its processes, as process-exporter groups them\n"
                    "    metrics_path: /collect/process\n"
                    "    file_sd_configs:\n"
                    "      - files: [targets.json]\n"
                    "        refresh_interval: 5s\n"
                    "    relabel_configs:\n"
                    "      - source_labels: [service]\n"
                    "        regex: observe\n"
                    "        action: keep\n"
                    "  - job_name: redis # those of --redis\n"
                    "    metrics_path: /collect/redis\n"
                    "    file_sd_configs:\n"
                    "      - files: [redis.json]\n"
                    "        refresh_interval: 5s\n"
                    "  - job_name: postgres # those of --postgres\n"
                    "    metrics_path: /collect/postgres\n"
                    "    file_sd_configs:\n"
                    "      - files: [postgres.json]\n"
                    "        refresh_interval: 5s\n");
    char path[PATH_BYTES];
    if (!u->metrics[0])
        return SX_OK;
    sx_status status = sx_folder_make(u->observe, err);
    if (status == SX_OK)
        status = join(path, u->observe, "prometheus.yml", err);
    return status != SX_OK || is_file(path) ? status : sx_file_replace(path, CONFIG, err);
}

/* What the metrics server would refuse is told before anything is started. */
static sx_status check_databases(const up *u, sx_error *err)
{
    collect_site *site = NULL;
    const collect_site_options options = {.redis = sx_str_z(u->redis),
                                          .postgres = sx_str_z(u->postgres)};
    if (options.redis.len + options.postgres.len > PATH_BYTES / 2)
        return sx_fail(err, SX_ELIMIT, "--redis, --postgres: too long; list them in collect.yml");
    sx_status status = collect_site_new(&options, &site, NULL, err);
    collect_site_free(site);
    return status;
}

/* A visitor knows no Unix sockets. */
static bool is_socket(const char *listen)
{
    sx_listen_address address;
    sx_error ignored;
    return sx_listen_address_parse(sx_str_z(listen), &address, &ignored) == SX_OK &&
           address.storage.ss_family == AF_UNIX;
}

static sx_status prepare(up *u, const cmd_args *args, const char *self, sx_error *err)
{
    const char *listen = cmd_value(args, "listen");
    if (snprintf(u->listen, sizeof u->listen, "%s", listen) >= (int)sizeof u->listen)
        return sx_fail(err, SX_EINVAL, "--listen is no address: it is too long");
    u->visited = cmd_switch(args, "visitor") && !is_socket(listen);
    u->admin = cmd_value(args, "admin");
    u->metrics = cmd_value(args, "metrics");
    u->redis = cmd_value(args, "redis");
    u->postgres = cmd_value(args, "postgres");
    char folder[PATH_BYTES];
    /* Wrong ones are told before anything is made. */
    sx_status status = cmd_address_check("listen", u->listen, err);
    if (status == SX_OK && u->admin[0])
        status = cmd_address_check("admin", u->admin, err);
    if (status == SX_OK && u->metrics[0])
        status = cmd_address_check("metrics", u->metrics, err);
    if (status == SX_OK)
        status = check_databases(u, err);
    if (status == SX_OK)
        status = expand_home(cmd_value(args, "dir"), u->dir, err);
    if (status == SX_OK)
        status = find_data(self, cmd_value(args, "data"), u->data, err);
    if (status == SX_OK)
        status = join(folder, u->dir, "geocode", err);
    if (status == SX_OK)
        status = sx_folder_make(folder, err);
    if (status == SX_OK)
        status = join(u->index, folder, "addresses.idx", err);
    if (status == SX_OK)
        status = join(u->observe, u->dir, "observe", err);
    if (status == SX_OK)
        status = join(u->log, u->dir, "log", err);
    if (status == SX_OK)
        status = sx_folder_make(u->log, err);
    if (status == SX_OK)
        status = join(u->addresses, u->dir, "addresses", err);
    return status;
}

int cmd_up(const cmd_args *args)
{
    up u = {.lock = {-1}};
    sx_error err = {0};
    char self[PATH_BYTES], lock_path[PATH_BYTES];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[len > 0 ? len : 0] = '\0';
    if (prepare(&u, args, self, &err) != SX_OK || join(lock_path, u.dir, "lock", &err) != SX_OK)
        return cmd_failed(&err);
    if (sx_file_lock_open(&u.lock, lock_path, &err) != SX_OK)
        return err.status == SX_REFUSED ? already_up(&u, &err) : cmd_failed(&err);
    sx_error ignored;
    sx_file_remove(u.addresses, &ignored); /* a killed `up` may have left it */
    sx_status status = check_ports(&u, &err);
    if (status == SX_OK)
        status = choose_spans(&u, cmd_value(args, "traces"), &err);
    if (status == SX_OK)
        status = choose_listen(&u, &err);
    if (status == SX_OK)
        status = configure_if_needed(&u, &err);
    if (status == SX_OK)
        status = cmd_up_import(u.data, u.index, &err);
    if (status == SX_OK)
        status = serve(&u, self, &err);
    sx_file_remove(u.addresses, &ignored);
    sx_file_lock_close(&u.lock);
    if (status != SX_OK)
        return cmd_failed(&err);
    puts("Sextant has stopped.");
    return 0;
}
