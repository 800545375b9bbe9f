/* service_reload.c - SIGHUP: the settings are read again, checked as a whole, and applied or refused.
 *
 *     read file, environment, flags -> read the web configuration -> try all that may be wrong: rates,
 *     headers, origins, sampling, log levels, certificates -> the definition's own reload
 *         -> from here on nothing is refused any more: all is published
 *
 * What can change while running is changed; a key that needs a restart is named in the log. The new
 * structures are kept until the service ends, because a loop may go on reading the old ones. */
#include <sextant/mem.h>

#include "service/config_internal.h"
#include "service/service_internal.h"

typedef struct sx_reloaded {
    struct sx_reloaded *next;
    sx_config *config;
    void *fresh; /* the definition's structure */
    sx_service_settings settings;
    sx_arena arena; /* texts of `sampling`, and the list of trees */
    sx_sampling sampling;
    sx_web_config *web; /* until it is applied */
} sx_reloaded;

typedef struct two_loads {
    sx_service *s;
    const sx_config *before, *after;
} two_loads;

static void tell_change(void *ctx, const sx_key *key)
{
    const two_loads *loads = (const two_loads *)ctx;
    sx_buf from, to;
    sx_buf_init(&from, 0);
    sx_buf_init(&to, 0);
    sx_config_show(loads->before, key, &from);
    sx_config_show(loads->after, key, &to);
    bool waits = (key->flags & SX_KEY_RESTART) != 0;
    SX_LOG(sx_service_logger(loads->s), waits ? SX_LEVEL_WARN : SX_LEVEL_INFO, NULL,
           waits ? "a changed setting needs a restart" : "setting changed",
           sx_field_z("key", key->key), sx_field_str("from", sx_buf_view(&from)),
           sx_field_str("to", sx_buf_view(&to)));
    sx_buf_done(&from);
    sx_buf_done(&to);
}

/* Whether all of it would be taken; changes nothing. */
static sx_status try_settings(sx_service *s, sx_reloaded *new, sx_error *err)
{
    sx_log_level_rule rules[SX_LOG_LEVEL_RULES_MAX];
    sx_policy policy;
    size_t count;
    sx_status status = sx_service_check_files(&new->settings, err);
    if (status == SX_OK && s->web)
        status = sx_web_config_load(s->settings.web_config_file.data, &new->web, err);
    if (status == SX_OK && new->web &&new->web->tls != (s->web_tls != NULL))
        status = sx_fail(err, SX_EINVAL,
                         "%s: TLS is switched %s, which needs a restart: the listener is open",
                         s->settings.web_config_file.data, new->web->tls ? "on" : "off");
    if (status == SX_OK)
        status = sx_guard_check(&new->settings.guard, err);
    if (status == SX_OK)
        status = sx_policy_init(&policy, &new->settings.policy, NULL, 0, err);
    if (status == SX_OK)
        sx_policy_done(&policy);
    if (status == SX_OK)
        status = sx_log_levels_parse(new->settings.log_levels, rules, &count, err);
    if (status == SX_OK)
        status =
            sx_service_sampling(s, &new->settings, new->config, &new->arena, &new->sampling, err);
    if (status == SX_OK && new->web &&new->web->tls) {
        sx_tls *trial;
        status = sx_tls_server_new(&new->web->tls_options, &trial, err);
        if (status == SX_OK)
            sx_tls_unref(trial);
    }
    return status;
}

/* What was tried can now fail for want of memory only: that part then stays as it was, and is told. */
static void tell_failed(sx_service *s, const char *part, sx_status status, const sx_error *err)
{
    if (status)
        SX_LOG_ERROR(sx_service_logger(s), NULL, "not reloaded; the old one stays",
                     sx_field_z("part", part), sx_field_error(err));
}

static void apply(sx_service *s, sx_reloaded *new)
{
    sx_error err = {0};
    s->settings.shutdown_ms_max = new->settings.shutdown_ms_max;
    s->settings.shutdown_delay_ms = new->settings.shutdown_delay_ms;
    bool levels = s->settings.log_level != new->settings.log_level ||
                  !sx_str_eq(s->settings.log_levels, new->settings.log_levels);
    s->settings.log_level = new->settings.log_level;
    s->settings.log_levels = new->settings.log_levels;
    if (levels) /* what an operator has set by hand meanwhile stays if the settings did not change */
        tell_failed(s, "log.levels", sx_service_log_levels(s, &new->settings, &err), &err);
    tell_failed(s, "replies and limits", sx_service_apply(s, &new->settings, new->web, &err), &err);
    tell_failed(s, "tracing", sx_tracer_sampling_set(s->tracer, &new->sampling, &err), &err);
    if (!new->web)
        return;
    if (new->web->tls)
        tell_failed(s, "certificates",
                    sx_tls_server_change(s->web_tls, &new->web->tls_options, &err), &err);
    sx_status status = sx_web_auth_apply(s->web, new->web, &err);
    tell_failed(s, "users", status, &err);
    if (status == SX_OK)
        new->web = NULL; /* the auth's from here on */
}

/* Certificates of the settings are read again whatever these say: their files have the same names. */
static void reload_certificates(sx_service *s)
{
    for (size_t i = 0; i < s->endpoint_count; i++) {
        sx_error err = {0};
        sx_tls *tls = s->endpoints[i].tls;
        if (tls && tls != s->web_tls &&
            (sx_service_check_files(&s->settings, &err) || sx_tls_reload(tls, &err)))
            SX_LOG_ERROR(sx_service_logger(s), NULL, "certificates not reloaded; the old ones stay",
                         sx_field_error(&err));
    }
}

static void tell_problems(sx_service *s, sx_str problems)
{
    sx_str line;
    while (problems.len > 0) {
        sx_str_cut(problems, '\n', &line, &problems);
        SX_LOG_ERROR(sx_service_logger(s), NULL, "reload refused; the old settings stay",
                     sx_field_str("error", line));
    }
}

static sx_status load_again(sx_service *s, sx_reloaded *new, sx_buf *problems, sx_error *err)
{
    const sx_service_def *def = s->def;
    if (def->config_bytes > 0) {
        new->fresh = sx_calloc(1, def->config_bytes);
        if (!new->fresh)
            return sx_fail_memory(err, "the new settings");
    }
    sx_key_set sets[2];
    sx_config_options options = {
        .program = def->name,
        .sets = sets,
        .set_count = sx_service_sets(def, s->keys, &new->settings, new->fresh, sets),
        .environment = s->options.environment,
        .flags = s->options.flags,
        .flag_count = s->options.flag_count,
    };
    sx_status status = sx_service_trees(def, &new->arena, &options, err);
    if (status)
        return status;
    status = sx_config_load(&options, &new->config, problems);
    if (status)
        return sx_fail(err, status, "the settings are not right");
    status = try_settings(s, new, err);
    if (status)
        return status;
    return def->reload ? def->reload(s, def->ctx, new->fresh, err) : SX_OK;
}

static void free_reloaded(sx_reloaded *r)
{
    sx_web_config_free(r->web);
    sx_config_free(r->config);
    sx_arena_done(&r->arena);
    sx_free(r->fresh);
    sx_free(r);
}

void sx_service_reload(sx_service *s)
{
    sx_error err = {0};
    sx_buf problems;
    sx_buf_init(&problems, 1 << 20);
    sx_reloaded *new = (sx_reloaded *)sx_calloc(1, sizeof(*new));
    if (new)
        sx_arena_init(&new->arena, 0, 0);
    sx_status status =
        new ? load_again(s, new, &problems, &err) : sx_fail_memory(&err, "the new settings");
    if (status) {
        tell_problems(s, problems.len ? sx_buf_view(&problems) : sx_str_z(err.message));
        if (new)
            free_reloaded(new);
    } else {
        two_loads loads = {s, s->reloaded ? s->reloaded->config : s->config, new->config};
        sx_config_changes(loads.before, loads.after, tell_change, &loads);
        apply(s, new);
        new->next = s->reloaded;
        s->reloaded = new;
        __atomic_store_n(&s->newest, new->config, __ATOMIC_RELEASE);
        SX_LOG_INFO(sx_service_logger(s), NULL, "settings reloaded");
    }
    reload_certificates(s);
    sx_buf_done(&problems);
}

void sx_service_reloads_free(sx_service *s)
{
    while (s->reloaded) {
        sx_reloaded *next = s->reloaded->next;
        free_reloaded(s->reloaded);
        s->reloaded = next;
    }
}
