/* auth.c - who asks (auth.h): life, reload, audit, and the table of addresses. */
#include "observe/auth/auth.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include <sextant/mem.h>
#include <sextant/random.h>

#include "observe/auth/auth_impl.h"

enum {
    PASSWORD_THREADS = 2, /* each takes 19 MiB while it hashes */
    PASSWORD_QUEUE = 64,
    WORK_THREADS = 2,
    WORK_QUEUE = 512,
    LIMIT_KEYS = 20000,
};

const auth_route AUTH_ROUTES[] = {
    {SX_GET, "/api/user", auth_answer_user},
    {SX_POST, "/api/login", auth_post_login},
    {SX_POST, "/api/logout", auth_post_logout},
    {SX_GET, "/login/oidc", auth_oidc_begin},
    {SX_GET, "/login/oidc/callback", auth_oidc_back},
    {SX_PUT, "/api/user/password", auth_run, auth_set_password, .hashes = true},
    {SX_GET, "/api/user/sessions", auth_run, auth_list_sessions},
    {SX_DELETE, "/api/user/sessions/:id", auth_run, auth_end_session},
    {SX_GET, "/api/user/tokens", auth_run, auth_list_tokens},
    {SX_POST, "/api/user/tokens", auth_run, auth_make_token},
    {SX_DELETE, "/api/user/tokens/:id", auth_run, auth_end_token},
    {SX_GET, "/api/admin/users", auth_run, auth_list_users, .everybodys = true},
    {SX_POST, "/api/admin/users", auth_run, auth_add_user, .hashes = true, .everybodys = true},
    {SX_PUT, "/api/admin/users/:id", auth_run, auth_set_user, .hashes = true, .everybodys = true},
    {SX_DELETE, "/api/admin/users/:id", auth_run, auth_remove_user, .everybodys = true},
    {SX_GET, "/api/admin/sessions", auth_run, auth_list_sessions, .everybodys = true},
    {SX_DELETE, "/api/admin/sessions/:id", auth_run, auth_end_session, .everybodys = true},
    {SX_GET, "/api/admin/tokens", auth_run, auth_list_tokens, .everybodys = true},
    {SX_DELETE, "/api/admin/tokens/:id", auth_run, auth_end_token, .everybodys = true},
    {SX_GET, "/api/admin/audit", auth_run, auth_list_audit, .everybodys = true},
};
const size_t AUTH_ROUTE_COUNT = SX_COUNT_OF(AUTH_ROUTES);

/* ---- roles ---- */

static const sx_str ROLES[AUTH_ROLES] = {
    [AUTH_NONE] = SX_STR_INIT("none"),
    [AUTH_VIEWER] = SX_STR_INIT("viewer"),
    [AUTH_EDITOR] = SX_STR_INIT("editor"),
    [AUTH_ADMIN] = SX_STR_INIT("admin"),
};

sx_str auth_role_name(auth_role role)
{
    return ROLES[role];
}

bool auth_role_parse(sx_str text, auth_role *out)
{
    for (auth_role role = AUTH_VIEWER; role < AUTH_ROLES; role++) {
        if (sx_str_eq(text, ROLES[role])) {
            *out = role;
            return true;
        }
    }
    return false;
}

const auth_who *auth_of(const sx_request *r)
{
    static const auth_who EVERYBODY = {
        .login = SX_STR_INIT(""), .name = SX_STR_INIT(""), .role = AUTH_ADMIN};
    const auth_identity *id = auth_identity_of(r);
    return id ? &id->who : &EVERYBODY;
}

/* ---- audit ---- */

static void log_entry(sx_logger *log, const sx_request *r, const auth_entry *e)
{
    const sx_log_context context = r ? sx_request_log_context(r) : (sx_log_context){0};
    SX_LOG(log, e->ok ? SX_LEVEL_INFO : SX_LEVEL_WARN, r ? &context : NULL, "audit",
           sx_field_str("action", e->action), sx_field_str("login", e->login),
           sx_field_str("address", e->address), sx_field_str("what", e->what),
           sx_field_bool("ok", e->ok));
}

void auth_note(auth *a, const sx_request *r, sx_str login, const char *action, sx_str what, bool ok)
{
    const auth_entry e = {.at_ms = sx_clock_ms(a->clock),
                          .login = login,
                          .address = r ? sx_str_z(r->peer->address) : SX_STR(""),
                          .action = sx_str_z(action),
                          .what = what,
                          .ok = ok};
    log_entry(a->log, r, &e);
    auth_store_note(a->store, &e);
}

void auth_audit(const sx_request *r, const char *action, sx_str what)
{
    const auth_identity *id = auth_identity_of(r);
    if (id) {
        auth_note(id->auth, r, id->who.login, action, what, true);
        return;
    }
    const auth_entry e = {.login = sx_request_user(r),
                          .address = sx_str_z(r->peer->address),
                          .action = sx_str_z(action),
                          .what = what,
                          .ok = true};
    if (e.login.len)
        log_entry(sx_service_logger(sx_request_service(r)), r, &e);
}

/* What is on record by its address; the rooms' own calls of auth_audit() say more. */
static const struct {
    const char *path, *action;
} RECORDED[] = {
    {"/-/reload", "reload"},
    {"/-/quit", "quit"},
    {"/api/v1/admin/queries/:id/kill", "query.kill"},
    {"/api/v1/admin/tsdb/delete_series", "admin.delete_series"},
    {"/api/v1/admin/tsdb/clean_tombstones", "admin.clean_tombstones"},
    {"/api/v1/admin/tsdb/snapshot", "admin.snapshot"},
    {"/api/dashboards/db", "dashboard.save"},
    {"/api/dashboards/import", "dashboard.save"},
    {"/api/dashboards/uid/:uid", "dashboard.delete"},
    {"/api/dashboards/uid/:uid/restore", "dashboard.restore"},
    {"/api/folders", "folder.save"},
    {"/api/folders/:uid", "folder.change"},
    {"/api/folders/:uid/move", "folder.change"},
    {"/api/datasources", "datasource.add"},
    {"/api/datasources/:id", "datasource.change"},
    {"/api/datasources/uid/:uid", "datasource.change"},
    {"/api/datasources/name/:name", "datasource.change"},
    {"/api/admin/provisioning/dashboards/reload", "dashboards.reload"},
};

void auth_audit_answer(const sx_request *r, int status, sx_str what)
{
    const auth_identity *id = auth_identity_of(r);
    if (!id || !r->route || r->method == SX_GET || r->method == SX_HEAD || r->method == SX_OPTIONS)
        return;
    sx_str route = sx_str_from(sx_str_z(r->route), id->auth->prefix.len);
    for (size_t i = 0; i < SX_COUNT_OF(RECORDED); i++)
        if (sx_str_eq(route, sx_str_z(RECORDED[i].path)))
            auth_note(id->auth, r, id->who.login, RECORDED[i].action, what.len ? what : r->path,
                      status < 400);
}

/* ---- life ---- */

static sx_status make_limiter(auth *a, const char *name, const char *rates, sx_limiter **out,
                              sx_error *err)
{
    sx_limiter_options options = {.name = name, .keys_max = LIMIT_KEYS, .clock = a->clock};
    sx_status status = sx_rates_parse(sx_str_z(rates), options.rates, &options.rate_count, err);
    return status == SX_OK ? sx_limiter_new(&options, out, err) : status;
}

static sx_status make_counters(auth *a, sx_error *err)
{
    static const char *const LABELS[] = {"outcome"};
    static const sx_str OUTCOMES[] = {SX_STR_INIT("signed_in"), SX_STR_INIT("refused")};
    const sx_metric_options options = {.name = "sextant_sign_ins_total",
                                       .help = "Tries to sign in, by how they ended.",
                                       .labels = LABELS,
                                       .label_count = 1};
    sx_metric *metric;
    sx_status status = sx_metric_new(sx_service_metrics(a->service), &options, &metric, err);
    for (size_t i = 0; i < SX_COUNT_OF(OUTCOMES) && status == SX_OK; i++)
        a->outcomes[i] = sx_metric_counter(metric, &OUTCOMES[i], 1);
    return status;
}

static sx_status open_store(auth *a, sx_str storage, sx_error *err)
{
    sx_str path = a->config->users.database;
    int len = path.len ? snprintf(a->database, sizeof a->database, "%.*s", SX_ARG(path))
                       : snprintf(a->database, sizeof a->database, "%.*s/sextant/users.db",
                                  SX_ARG(storage));
    if (len < 0 || (size_t)len >= sizeof a->database)
        return sx_fail(err, SX_ELIMIT, "the path of the users' database is too long");
    const auth_store_options options = {.path = a->database,
                                        .kit = sx_service_kit(a->service),
                                        .clock = a->clock,
                                        .audit_max = a->config->audit.entries_max};
    return auth_store_open(&options, &a->store, err);
}

sx_status auth_new(const auth_options *options, sx_service *service, auth **out, sx_buf *problems,
                   sx_error *err)
{
    *out = NULL;
    if (!options->config_file.len)
        return SX_OK;
    auth *a = sx_calloc(1, sizeof *a);
    if (!a)
        return sx_fail_memory(err, "sign-in");
    *a = (auth){.service = service,
                .clock = options->clock,
                .log = sx_service_logger(service),
                .external_url = options->external_url,
                .prefix = options->prefix,
                .config_file = options->config_file};
    pthread_mutex_init(&a->reload_lock, NULL);
    pthread_mutex_init(&a->known_lock, NULL);
    sx_status status = sx_random_bytes(a->key, sizeof a->key, err);
    if (status == SX_OK)
        status = auth_config_load(options->config_file, &a->config, problems, err);
    if (status == SX_OK)
        status = make_limiter(a, "sign-in by address", "30/minute burst 20", &a->by_address, err);
    if (status == SX_OK)
        status = make_limiter(a, "sign-in by login", "10/minute burst 10", &a->by_login, err);
    if (status == SX_OK)
        status = make_limiter(a, "sign-in floods told", "1/minute", &a->told, err);
    if (status == SX_OK)
        status = make_counters(a, err);
    if (status == SX_OK)
        status = oidc_new(a, &a->oidc, err);
    if (status == SX_OK)
        status = open_store(a, options->storage, err);
    if (status != SX_OK) {
        auth_free(a);
        return status;
    }
    if (auth_store_user_count(a->store) == 0 && !a->config->oidc.on && !a->config->trusted.on)
        SX_LOG_WARN(
            a->log, NULL,
            "nobody can sign in yet; add an admin: sextant observe users add NAME --role admin",
            sx_field_z("database", a->database));
    *out = a;
    return SX_OK;
}

void auth_free(auth *a)
{
    if (!a)
        return;
    auth_store_close(a->store);
    oidc_free(a->oidc);
    sx_limiter_free(a->by_address);
    sx_limiter_free(a->by_login);
    sx_limiter_free(a->told);
    while (a->config) {
        auth_config *next = a->config->next;
        auth_config_free(a->config);
        a->config = next;
    }
    pthread_mutex_destroy(&a->known_lock);
    pthread_mutex_destroy(&a->reload_lock);
    OPENSSL_cleanse(a->key, sizeof a->key);
    sx_free(a);
}

sx_status auth_loop_set_up(auth *a, sx_loop *loop, sx_error *err)
{
    const sx_pool_options passwords = {"sign-in", PASSWORD_THREADS, PASSWORD_QUEUE};
    const sx_pool_options work = {"users", WORK_THREADS, WORK_QUEUE};
    if (!a || sx_loop_index(loop) != 0)
        return SX_OK;
    sx_status status = sx_pool_new(&passwords, &a->passwords, err);
    if (status == SX_OK)
        status = sx_pool_new(&work, &a->work, err);
    if (status == SX_OK)
        oidc_loop_begin(a->oidc, loop);
    return status;
}

/* No loop runs any more; what the pools have done comes back to loops that exist still. */
void auth_loop_tear_down(auth *a, sx_loop *loop)
{
    if (!a)
        return;
    sx_pool **pools[] = {&a->passwords, &a->work};
    for (size_t i = 0; i < SX_COUNT_OF(pools); i++) {
        if (*pools[i])
            sx_pool_free(*pools[i]);
        *pools[i] = NULL;
    }
    oidc_loop_end(a->oidc, loop);
}

/* ---- reload ---- */

static sx_status load(const auth *a, auth_config **out, sx_error *err)
{
    auth_config *fresh;
    sx_status status = auth_config_load(a->config_file, &fresh, NULL, err);
    if (status != SX_OK)
        return status;
    if (!sx_str_eq(fresh->users.database, auth_config_of(a)->users.database)) {
        auth_config_free(fresh);
        return sx_fail(err, SX_EINVAL, "%.*s: another users.database takes a restart, not a reload",
                       SX_ARG(a->config_file));
    }
    *out = fresh;
    return SX_OK;
}

sx_status auth_check(const auth *a, sx_error *err)
{
    auth_config *fresh = NULL;
    sx_status status = a ? load(a, &fresh, err) : SX_OK;
    auth_config_free(fresh);
    return status;
}

sx_status auth_reload(auth *a, sx_error *err)
{
    auth_config *fresh = NULL;
    if (!a)
        return SX_OK;
    pthread_mutex_lock(&a->reload_lock);
    sx_status status = load(a, &fresh, err);
    if (status == SX_OK) {
        fresh->next = a->config;
        __atomic_store_n(&a->config, fresh, __ATOMIC_RELEASE);
        auth_store_audit_max(a->store, fresh->audit.entries_max);
        (void)auth_store_sweep(a->store, fresh->session.idle_ms, NULL);
    }
    pthread_mutex_unlock(&a->reload_lock);
    return status;
}

bool auth_intake_is_open(const auth *a)
{
    return !a ||
           auth_config_of(a)->need[AUTH_CLASS_INTAKE] <= (auth_role)auth_config_of(a)->anonymous;
}
