/* notify_alert.c - alerts relabelled, as JSON, in queues; and where an Alertmanager is. */
#include <sextant/json.h>
#include <sextant/mem.h>

#include "observe/rules/notify_internal.h"

/* --- Queues. */

void notify_alert_unref(notify_alert *a)
{
    if (a && --a->refs == 0)
        sx_free(a);
}

static sx_status make_room(notify_queue *q, sx_error *err)
{
    if (q->count < q->cap)
        return SX_OK;
    size_t cap = q->cap ? q->cap * 2 : 16;
    notify_alert **items = sx_calloc(cap, sizeof(notify_alert *));
    if (!items)
        return sx_fail_memory(err, "an alert's notification");
    for (size_t i = 0; i < q->count; i++)
        items[i] = q->items[(q->begin + i) % q->cap];
    sx_free(q->items);
    *q = (notify_queue){items, 0, q->count, cap};
    return SX_OK;
}

sx_status notify_queue_add(notify_queue *q, notify_alert *a, size_t most, uint64_t *dropped,
                           sx_error *err)
{
    while (q->count && q->count >= most) {
        notify_alert_unref(notify_queue_pop(q));
        ++*dropped;
    }
    sx_status st = make_room(q, err);
    if (st != SX_OK)
        return st;
    a->refs++;
    q->items[(q->begin + q->count++) % q->cap] = a;
    return SX_OK;
}

notify_alert *notify_queue_pop(notify_queue *q)
{
    if (q->count == 0)
        return NULL;
    notify_alert *a = q->items[q->begin];
    q->begin = (q->begin + 1) % q->cap;
    q->count--;
    return a;
}

void notify_queue_done(notify_queue *q)
{
    for (notify_alert *a; (a = notify_queue_pop(q));)
        notify_alert_unref(a);
    sx_free(q->items);
    *q = (notify_queue){0};
}

/* --- Relabelling. */

/* The alert's own labels win over the external ones. */
static sx_status add_external(tsdb_labels_builder *b, tsdb_labels own, tsdb_labels external,
                              sx_error *err)
{
    sx_status st = tsdb_labels_builder_reset(b, own, err);
    for (uint32_t i = 0; st == SX_OK && i < external.count; i++) {
        if (tsdb_labels_get(own, external.items[i].name).len == 0)
            st = tsdb_labels_builder_set(b, external.items[i].name, external.items[i].value, err);
    }
    return st;
}

sx_status notify_relabel(const rule_alert *alerts, size_t count, tsdb_labels external,
                         const prom_relabel *rules, uint32_t rule_count, sx_arena *arena,
                         rule_alert **out, size_t *out_count, sx_error *err)
{
    tsdb_labels_builder b;
    sx_status st = SX_OK;
    *out = sx_arena_calloc(arena, count + 1, sizeof **out);
    *out_count = 0;
    if (!*out)
        return sx_fail_memory(err, "alerts to be sent");
    tsdb_labels_builder_init(&b);
    for (size_t i = 0; st == SX_OK && i < count; i++) {
        bool keep = true;
        st = add_external(&b, alerts[i].labels, external, err);
        if (st == SX_OK)
            st = prom_relabel_apply(rules, rule_count, &b, arena, &keep, err);
        if (st != SX_OK || !keep)
            continue;
        rule_alert *to = &(*out)[(*out_count)++];
        *to = alerts[i];
        st = tsdb_labels_copy(tsdb_labels_builder_take(&b), arena, &to->labels, err);
    }
    tsdb_labels_builder_done(&b);
    return st;
}

/* --- JSON. */

static void put_labels(sx_json_writer *w, const char *key, tsdb_labels labels)
{
    sx_json_key(w, sx_str_z(key));
    sx_json_begin_object(w);
    for (uint32_t i = 0; i < labels.count; i++) {
        sx_json_key(w, labels.items[i].name);
        sx_json_str(w, labels.items[i].value);
    }
    sx_json_end_object(w);
}

static void put_time(sx_json_writer *w, const char *key, int64_t ms)
{
    char text[SX_TIME_RFC3339_BYTES];
    sx_json_key(w, sx_str_z(key));
    sx_json_str(w, sx_str_of(text, sx_time_rfc3339(ms * 1000000, 3, text)));
}

sx_status notify_encode(const rule_alert *alert, notify_alert **out, sx_error *err)
{
    sx_json_writer w;
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_json_writer_init(&w, &text, NULL);
    sx_json_begin_object(&w);
    put_labels(&w, "labels", alert->labels);
    put_labels(&w, "annotations", alert->annotations);
    put_time(&w, "startsAt", alert->starts_ms);
    put_time(&w, "endsAt", alert->ends_ms);
    if (alert->generator_url.len) {
        sx_json_key(&w, SX_STR("generatorURL"));
        sx_json_str(&w, alert->generator_url);
    }
    sx_json_end_object(&w);
    sx_status st = sx_json_writer_finish(&w, err);
    notify_alert *a = st == SX_OK ? sx_alloc(sizeof *a + text.len) : NULL;
    if (a) {
        a->refs = 1;
        a->len = text.len;
        memcpy(a->json, text.data, text.len);
        *out = a;
    } else if (st == SX_OK) {
        st = sx_fail_memory(err, "an alert's notification");
    }
    sx_buf_done(&text);
    return st;
}

/* --- Alertmanagers. */

/* "/", the prefix and "/api/v2/alerts" with single slashes. */
static void put_path(sx_str prefix, sx_buf *out)
{
    while (prefix.len) {
        sx_str part;
        sx_str_cut(prefix, '/', &part, &prefix);
        if (part.len) {
            sx_buf_byte(out, '/');
            sx_buf_str(out, part);
        }
    }
    sx_buf_str(out, SX_STR("/api/v2/alerts"));
}

static sx_status set_labels(tsdb_labels_builder *b, const prom_alertmanager_config *config,
                            const prom_target_group *group, sx_str address, sx_str path,
                            sx_error *err)
{
    sx_status st = tsdb_labels_builder_reset(b, group->labels, err);
    if (st == SX_OK)
        st = tsdb_labels_builder_set(b, SX_STR("__address__"), address, err);
    /* A group may say otherwise by its own labels. */
    if (st == SX_OK && !tsdb_labels_get(group->labels, SX_STR("__scheme__")).len)
        st = tsdb_labels_builder_set(b, SX_STR("__scheme__"), config->scheme, err);
    if (st == SX_OK && !tsdb_labels_get(group->labels, SX_STR("__alerts_path__")).len)
        st = tsdb_labels_builder_set(b, SX_STR("__alerts_path__"), path, err);
    return st;
}

static sx_status put_url(const tsdb_labels_builder *b, sx_arena *arena, sx_str *url, sx_error *err)
{
    *url = sx_arena_printf(arena, "%.*s://%.*s%.*s",
                           SX_ARG(tsdb_labels_builder_get(b, SX_STR("__scheme__"))),
                           SX_ARG(tsdb_labels_builder_get(b, SX_STR("__address__"))),
                           SX_ARG(tsdb_labels_builder_get(b, SX_STR("__alerts_path__"))));
    return url->data ? SX_OK : sx_fail_memory(err, "an Alertmanager's URL");
}

sx_status notify_target(const prom_alertmanager_config *config, const prom_target_group *group,
                        sx_str address, sx_arena *arena, sx_str *url, bool *keep, sx_error *err)
{
    tsdb_labels_builder b;
    sx_buf path;
    *keep = true;
    sx_buf_init(&path, 0);
    put_path(config->path_prefix, &path);
    tsdb_labels_builder_init(&b);
    sx_status st = sx_buf_status(&path, "an Alertmanager's URL", err);
    if (st == SX_OK)
        st = set_labels(&b, config, group, address, sx_buf_view(&path), err);
    if (st == SX_OK)
        st = put_url(&b, arena, url, err);
    if (st == SX_OK && config->relabel_count) {
        st = prom_relabel_apply(config->relabel, config->relabel_count, &b, arena, keep, err);
        if (st == SX_OK && *keep)
            st = put_url(&b, arena, url, err);
    }
    sx_str final = tsdb_labels_builder_get(&b, SX_STR("__address__"));
    if (st == SX_OK && *keep && (!final.len || sx_str_find_byte(final, '/') < final.len))
        st = sx_fail(err, SX_EINVAL, "\"%.*s\" is not a valid hostname", SX_ARG(final));
    tsdb_labels_builder_done(&b);
    sx_buf_done(&path);
    return st;
}
