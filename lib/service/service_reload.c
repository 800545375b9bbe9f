/* service_reload.c - SIGHUP: the settings are read again, checked as a whole, and applied or refused.
 *
 * What can change while running is changed; a key that needs a restart is named in the log. The new
 * structures are kept until the service ends, because a loop may go on reading the old ones. */
#include <sextant/mem.h>

#include "service/service_internal.h"

typedef struct sx_reloaded {
    struct sx_reloaded *next;
    sx_config *config;
    void *fresh; /* the definition's structure */
    sx_service_settings settings;
} sx_reloaded;

static void tell_change(void *ctx, const sx_key *key)
{
    sx_service *s = (sx_service *)ctx;
    if (key->flags & SX_KEY_RESTART)
        SX_LOG_WARN(sx_service_logger(s), NULL, "a changed setting needs a restart",
                    sx_field_z("key", key->key));
    else
        SX_LOG_INFO(sx_service_logger(s), NULL, "setting changed", sx_field_z("key", key->key));
}

static void apply(sx_service *s, const sx_reloaded *new)
{
    s->settings.shutdown_ms_max = new->settings.shutdown_ms_max;
    s->settings.shutdown_delay_ms = new->settings.shutdown_delay_ms;
    if (s->settings.log_level != new->settings.log_level) {
        s->settings.log_level = new->settings.log_level;
        (void)sx_log_level_set(s->log, NULL, (sx_level)(new->settings.log_level + SX_LEVEL_TRACE),
                               NULL); /* all loggers: cannot fail */
    }
}

/* Certificates are read again whatever the settings say: their files have the same names. */
static void reload_certificates(sx_service *s)
{
    for (size_t i = 0; i < s->endpoint_count; i++) {
        sx_error err = {0};
        if (s->endpoints[i].tls && (sx_service_check_files(&s->settings, &err) ||
                                    sx_tls_reload(s->endpoints[i].tls, &err)))
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
        .trees = def->trees,
        .tree_count = def->tree_count,
        .environment = s->options.environment,
        .flags = s->options.flags,
        .flag_count = s->options.flag_count,
    };
    sx_status status = sx_config_load(&options, &new->config, problems);
    if (status)
        return sx_fail(err, status, "the settings are not right");
    return def->reload ? def->reload(s, def->ctx, new->fresh, err) : SX_OK;
}

static void free_reloaded(sx_reloaded *r)
{
    sx_config_free(r->config);
    sx_free(r->fresh);
    sx_free(r);
}

void sx_service_reload(sx_service *s)
{
    sx_error err = {0};
    sx_buf problems;
    sx_buf_init(&problems, 1 << 20);
    sx_reloaded *new = (sx_reloaded *)sx_calloc(1, sizeof(*new));
    sx_status status =
        new ? load_again(s, new, &problems, &err) : sx_fail_memory(&err, "the new settings");
    if (status) {
        tell_problems(s, problems.len ? sx_buf_view(&problems) : sx_str_z(err.message));
        if (new)
            free_reloaded(new);
    } else {
        const sx_reloaded *last = s->reloaded;
        sx_config_changes(last ? last->config : s->config, new->config, tell_change, s);
        apply(s, new);
        new->next = s->reloaded;
        s->reloaded = new;
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
