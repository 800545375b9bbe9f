/* target.c - labels and URL of a target, and what becomes of its series' labels. */
#include "observe/scrape/target.h"

#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/utf8.h>

#include "observe/promql/parse.h"

void target_scratch_init(target_scratch *s)
{
    tsdb_labels_builder_init(&s->builder);
    sx_buf_init(&s->url, 0);
}

void target_scratch_done(target_scratch *s)
{
    tsdb_labels_builder_done(&s->builder);
    sx_buf_done(&s->url);
}

/* --- Labels before relabelling. */

static const struct {
    sx_str name, desc;
    size_t at; /* of the job's bool */
    size_t to; /* of target_made's */
} SWITCHES[] = {
    {SX_STR_INIT("__convert_classic_histograms_to_nhcb__"),
     SX_STR_INIT("convert classic histograms to nhcb"),
     offsetof(prom_scrape_config, classic_to_nhcb), offsetof(target_made, classic_to_nhcb)},
    {SX_STR_INIT("__always_scrape_classic_histograms__"),
     SX_STR_INIT("always scrape classic histograms"),
     offsetof(prom_scrape_config, classic_histograms_always),
     offsetof(target_made, classic_always)},
    {SX_STR_INIT("__scrape_native_histograms__"), SX_STR_INIT("scrape native histograms"),
     offsetof(prom_scrape_config, native_histograms), offsetof(target_made, native_histograms)},
};

static bool job_switch(const prom_scrape_config *job, size_t i)
{
    return *(const bool *)((const char *)job + SWITCHES[i].at);
}

static sx_status set_if_absent(tsdb_labels_builder *b, sx_str name, sx_str value, sx_error *err)
{
    return tsdb_labels_builder_get(b, name).len ? SX_OK
                                                : tsdb_labels_builder_set(b, name, value, err);
}

static sx_str duration_text(sx_arena *arena, int64_t ms)
{
    char text[64];
    promql_print_duration(ms, text);
    return sx_arena_copy(arena, sx_str_z(text));
}

static sx_status set_job_labels(const prom_scrape_config *job, tsdb_labels_builder *b,
                                sx_arena *arena, sx_error *err)
{
    const tsdb_label labels[] = {
        {SX_STR("job"), job->job_name},
        {SX_STR("__scrape_interval__"), duration_text(arena, job->interval_ms)},
        {SX_STR("__scrape_timeout__"), duration_text(arena, job->timeout_ms)},
        {SX_STR("__metrics_path__"), job->metrics_path},
        {SX_STR("__scheme__"), job->scheme},
    };
    sx_status st = SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(labels) && st == SX_OK; i++) {
        st = labels[i].value.data ? set_if_absent(b, labels[i].name, labels[i].value, err)
                                  : sx_fail_memory(err, "labels of a target");
    }
    for (size_t i = 0; i < SX_COUNT_OF(SWITCHES) && st == SX_OK; i++)
        st = set_if_absent(b, SWITCHES[i].name,
                           job_switch(job, i) ? SX_STR("true") : SX_STR("false"), err);
    for (uint32_t i = 0; i < job->param_count && st == SX_OK; i++) {
        sx_str name = sx_arena_printf(arena, "__param_%.*s", SX_ARG(job->params[i].name));
        st = name.data ? set_if_absent(b, name, job->params[i].value, err)
                       : sx_fail_memory(err, "labels of a target");
    }
    return st;
}

static sx_status set_discovered(const prom_scrape_config *job, sx_str address, tsdb_labels group,
                                tsdb_labels_builder *b, sx_arena *arena, sx_error *err)
{
    sx_status st = tsdb_labels_builder_reset(b, group, err);
    if (st == SX_OK && address.len)
        st = tsdb_labels_builder_set(b, SX_STR("__address__"), address, err);
    return st == SX_OK ? set_job_labels(job, b, arena, err) : st;
}

/* --- Checks after relabelling. */

/* As Go's strconv.ParseBool. */
static bool parse_bool(sx_str text, bool *out)
{
    static const char *const WORDS[2][6] = {{"0", "f", "F", "FALSE", "false", "False"},
                                            {"1", "t", "T", "TRUE", "true", "True"}};
    for (size_t i = 0; i < 12; i++) {
        if (sx_str_eq(text, sx_str_z(WORDS[i / 6][i % 6]))) {
            *out = i >= 6;
            return true;
        }
    }
    return false;
}

static sx_status check_address(sx_str address, sx_error *err)
{
    if (address.len == 0)
        return sx_fail(err, SX_EINVAL, "no address");
    if (sx_str_find_byte(address, '/') < address.len)
        return sx_fail(err, SX_EINVAL, "\"%.*s\" is not a valid hostname", SX_ARG(address));
    return SX_OK;
}

static sx_status read_duration(sx_str text, const char *what, int64_t *ms, sx_error *err)
{
    sx_status st = promql_parse_duration(text, false, ms, err);
    if (st != SX_OK)
        return sx_error_prefix(err, st, "error parsing scrape %s", what);
    return *ms == 0 ? sx_fail(err, SX_EINVAL, "scrape %s cannot be 0", what) : SX_OK;
}

static sx_status check_times(const tsdb_labels_builder *b, target_made *out, sx_error *err)
{
    sx_str interval = tsdb_labels_builder_get(b, SX_STR("__scrape_interval__"));
    sx_str timeout = tsdb_labels_builder_get(b, SX_STR("__scrape_timeout__"));
    sx_status st = read_duration(interval, "interval", &out->interval_ms, err);
    if (st == SX_OK)
        st = read_duration(timeout, "timeout", &out->timeout_ms, err);
    if (st == SX_OK && out->timeout_ms > out->interval_ms)
        return sx_fail(err, SX_EINVAL,
                       "scrape timeout cannot be greater than scrape interval (\"%.*s\" > "
                       "\"%.*s\")",
                       SX_ARG(timeout), SX_ARG(interval));
    return st;
}

static sx_status check_switches(const prom_scrape_config *job, const tsdb_labels_builder *b,
                                target_made *out, sx_error *err)
{
    for (size_t i = 0; i < SX_COUNT_OF(SWITCHES); i++) {
        bool *to = (bool *)((char *)out + SWITCHES[i].to);
        sx_str text = tsdb_labels_builder_get(b, SWITCHES[i].name);
        *to = job_switch(job, i);
        if (text.len && !parse_bool(text, to))
            return sx_fail(err, SX_EINVAL,
                           "error parsing %s: strconv.ParseBool: parsing \"%.*s\": invalid syntax",
                           SWITCHES[i].desc.data, SX_ARG(text));
    }
    return SX_OK;
}

static sx_status check_values(tsdb_labels l, sx_error *err)
{
    for (uint32_t i = 0; i < l.count; i++) {
        if (!sx_utf8_valid(l.items[i].value))
            return sx_fail(err, SX_EINVAL, "invalid label value for \"%.*s\"",
                           SX_ARG(sx_str_first(l.items[i].name, 100)));
    }
    return SX_OK;
}

/* --- The URL. */

static bool is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-_.~", c));
}

/* A path keeps what may stand in one. */
static void put_path(sx_buf *out, sx_str path)
{
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.data[i];
        if (is_plain(c) || (c && strchr("$&+,/:;=@", c)))
            sx_buf_byte(out, (char)c);
        else
            sx_buf_printf(out, "%%%02X", c);
    }
}

static void put_query(sx_buf *out, sx_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == ' ')
            sx_buf_byte(out, '+');
        else if (is_plain(c))
            sx_buf_byte(out, (char)c);
        else
            sx_buf_printf(out, "%%%02X", c);
    }
}

static int by_name(const void *a, const void *b)
{
    const tsdb_label *x = *(const tsdb_label *const *)a, *y = *(const tsdb_label *const *)b;
    int c = sx_str_cmp(x->name, y->name);
    return c ? c : (x > y) - (x < y); /* several of one name stay in their order */
}

/* The job's parameters, the first of each name replaced by the label __param_NAME, and those that are
 * labels only; sorted by name. */
static sx_status put_params(const prom_scrape_config *job, tsdb_labels labels, sx_arena *arena,
                            sx_buf *out, sx_error *err)
{
    size_t most = (size_t)job->param_count + labels.count, count = 0;
    tsdb_label *params = sx_arena_calloc(arena, most + 1, sizeof *params);
    const tsdb_label **sorted = sx_arena_calloc(arena, most + 1, sizeof *sorted);
    if (!params || !sorted)
        return sx_fail_memory(err, "a target's URL");
    for (uint32_t i = 0; i < job->param_count; i++)
        params[count++] = job->params[i];
    for (uint32_t i = 0; i < labels.count; i++) {
        if (!sx_str_starts(labels.items[i].name, SX_STR("__param_")))
            continue;
        sx_str name = sx_str_from(labels.items[i].name, sizeof "__param_" - 1);
        size_t at = 0;
        while (at < count && !sx_str_eq(params[at].name, name))
            at++;
        count += at == count;
        params[at] = (tsdb_label){name, labels.items[i].value};
    }
    for (size_t i = 0; i < count; i++)
        sorted[i] = &params[i];
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 0; i < count; i++) {
        sx_buf_byte(out, i ? '&' : '?');
        put_query(out, sorted[i]->name);
        sx_buf_byte(out, '=');
        put_query(out, sorted[i]->value);
    }
    return SX_OK;
}

static sx_status make_url(const prom_scrape_config *job, tsdb_labels labels, target_scratch *s,
                          sx_arena *arena, sx_str *out, sx_error *err)
{
    sx_str host = tsdb_labels_get(labels, SX_STR("__address__"));
    sx_str path = tsdb_labels_get(labels, SX_STR("__metrics_path__"));
    sx_buf_clear(&s->url);
    sx_buf_str(&s->url, tsdb_labels_get(labels, SX_STR("__scheme__")));
    sx_buf_str(&s->url, SX_STR("://"));
    sx_buf_str(&s->url, host.len ? host : SX_STR("localhost"));
    if (path.len && path.data[0] != '/')
        sx_buf_byte(&s->url, '/');
    put_path(&s->url, path);
    sx_status st = put_params(job, labels, arena, &s->url, err);
    if (st == SX_OK)
        st = sx_buf_status(&s->url, "a target's URL", err);
    if (st != SX_OK)
        return st;
    *out = sx_arena_copy(arena, sx_buf_view(&s->url));
    return out->data ? SX_OK : sx_fail_memory(err, "a target's URL");
}

/* --- */

/* Without __meta_ labels, and with an instance. */
static sx_status finish_labels(target_scratch *s, sx_str address, sx_arena *arena, tsdb_labels *out,
                               sx_error *err)
{
    sx_status st = set_if_absent(&s->builder, SX_STR("instance"), address, err);
    if (st != SX_OK)
        return st;
    tsdb_labels all = tsdb_labels_builder_take(&s->builder);
    tsdb_label *items = sx_arena_calloc(arena, all.count + 1, sizeof *items);
    if (!items)
        return sx_fail_memory(err, "labels of a target");
    out->items = items;
    out->count = 0;
    for (uint32_t i = 0; i < all.count; i++) {
        if (!sx_str_starts(all.items[i].name, SX_STR("__meta_")))
            items[out->count++] = all.items[i];
    }
    return check_values(*out, err);
}

static sx_status take_discovered(target_scratch *s, sx_arena *arena, tsdb_labels *out,
                                 sx_error *err)
{
    tsdb_labels all = tsdb_labels_builder_take(&s->builder);
    tsdb_label *items = sx_arena_calloc(arena, all.count + 1, sizeof *items);
    if (!items)
        return sx_fail_memory(err, "labels of a target");
    memcpy(items, all.items, all.count * sizeof *items);
    *out = (tsdb_labels){items, all.count};
    return SX_OK;
}

static bool has_public(tsdb_labels l)
{
    for (uint32_t i = 0; i < l.count; i++) {
        if (!sx_str_starts(l.items[i].name, SX_STR("__")))
            return true;
    }
    return false;
}

sx_status target_make(const prom_scrape_config *job, sx_str address, tsdb_labels group,
                      target_scratch *s, sx_arena *arena, target_made *out, sx_error *err)
{
    bool keep;
    *out = (target_made){0};
    sx_status st = set_discovered(job, address, group, &s->builder, arena, err);
    if (st == SX_OK)
        st = take_discovered(s, arena, &out->discovered, err);
    if (st == SX_OK)
        st = prom_relabel_apply(job->relabel, job->relabel_count, &s->builder, arena, &keep, err);
    if (st != SX_OK)
        return st;
    out->dropped = !keep;
    if (!keep)
        return SX_OK;
    address = tsdb_labels_builder_get(&s->builder, SX_STR("__address__"));
    st = check_address(address, err);
    if (st == SX_OK)
        st = check_times(&s->builder, out, err);
    if (st == SX_OK)
        st = check_switches(job, &s->builder, out, err);
    if (st == SX_OK)
        st = finish_labels(s, address, arena, &out->labels, err);
    if (st == SX_OK)
        st = make_url(job, out->labels, s, arena, &out->url, err);
    out->dropped = st == SX_OK && !has_public(out->labels);
    out->hash = st == SX_OK ? sx_hash(out->url, tsdb_labels_hash(out->labels)) : 0;
    return st;
}

tsdb_labels target_public_labels(tsdb_labels labels, tsdb_label *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < labels.count; i++) {
        if (!sx_str_starts(labels.items[i].name, SX_STR("__")))
            out[count++] = labels.items[i];
    }
    return (tsdb_labels){out, count};
}

/* --- Series. */

/* The series' own value of a label that the target has gets the first free name among exported_NAME,
 * exported_exported_NAME, ... */
static sx_status export_label(tsdb_labels_builder *b, sx_str name, sx_str value, sx_arena *arena,
                              sx_error *err)
{
    do {
        name = sx_arena_printf(arena, "exported_%.*s", SX_ARG(name));
        if (!name.data)
            return sx_fail_memory(err, "labels of a series");
    } while (tsdb_labels_builder_get(b, name).len);
    return tsdb_labels_builder_set(b, name, value, err);
}

static sx_status add_target_labels(tsdb_labels series, tsdb_labels target, bool honor,
                                   tsdb_labels_builder *b, sx_arena *arena, sx_error *err)
{
    sx_status st = SX_OK;
    size_t longest = 0;
    for (uint32_t i = 0; i < target.count && st == SX_OK; i++) {
        bool collides = tsdb_labels_get(series, target.items[i].name).len > 0;
        if (!collides || !honor)
            st = tsdb_labels_builder_set(b, target.items[i].name, target.items[i].value, err);
        if (collides && !honor && target.items[i].name.len > longest)
            longest = target.items[i].name.len;
    }
    /* The shortest names first, so that exported_a is free for `a` if both collide. */
    for (size_t len = 1; len <= longest && st == SX_OK; len++) {
        for (uint32_t i = 0; i < target.count && st == SX_OK; i++) {
            sx_str name = target.items[i].name;
            sx_str own = name.len == len ? tsdb_labels_get(series, name) : (sx_str){0};
            if (own.len)
                st = export_label(b, name, own, arena, err);
        }
    }
    return st;
}

sx_status target_series_labels(tsdb_labels series, tsdb_labels target,
                               const prom_scrape_config *job, tsdb_labels_builder *b,
                               sx_arena *arena, tsdb_labels *out, bool *keep, sx_error *err)
{
    *keep = true;
    sx_status st = tsdb_labels_builder_reset(b, series, err);
    if (st == SX_OK)
        st = add_target_labels(series, target, job->honor_labels, b, arena, err);
    if (st == SX_OK && job->metric_relabel_count)
        st =
            prom_relabel_apply(job->metric_relabel, job->metric_relabel_count, b, arena, keep, err);
    if (st != SX_OK)
        return st;
    *out = tsdb_labels_builder_take(b);
    *keep &= out->count > 0;
    return SX_OK;
}

static SX_COLD sx_status bad_names(tsdb_labels labels, sx_error *err)
{
    sx_buf text;
    sx_buf_init(&text, 400);
    tsdb_labels_print_series(labels, &text, NULL);
    sx_status st = sx_fail(err, SX_EINVAL, "invalid metric name or label names: %.*s",
                           SX_ARG(sx_buf_view(&text)));
    sx_buf_done(&text);
    return st;
}

static bool names_are_valid(tsdb_labels l, prom_name_scheme scheme)
{
    for (uint32_t i = 0; i < l.count; i++) {
        bool metric = sx_str_eq(l.items[i].name, TSDB_METRIC_NAME);
        if (!sx_utf8_valid(l.items[i].value) || !sx_utf8_valid(l.items[i].name))
            return false;
        if (scheme == PROM_NAMES_LEGACY &&
            (!tsdb_label_name_is_legacy(l.items[i].name) ||
             (metric && !tsdb_metric_name_is_legacy(l.items[i].value))))
            return false;
    }
    return true;
}

static sx_status check_label_limits(tsdb_labels l, sx_str metric, const prom_scrape_limits *limits,
                                    sx_error *err)
{
    metric = sx_str_first(metric, 50);
    if (limits->labels && l.count > limits->labels)
        return sx_fail(err, SX_ELIMIT,
                       "label_limit exceeded (metric: %.*s, number of labels: %u, limit: %u)",
                       SX_ARG(metric), l.count, limits->labels);
    for (uint32_t i = 0; i < l.count; i++) {
        sx_str name = l.items[i].name, value = l.items[i].value;
        if (limits->label_name_bytes && name.len > limits->label_name_bytes)
            return sx_fail(err, SX_ELIMIT,
                           "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, "
                           "length: %zu, limit: %u)",
                           SX_ARG(metric), SX_ARG(sx_str_first(name, 50)), name.len,
                           limits->label_name_bytes);
        if (limits->label_value_bytes && value.len > limits->label_value_bytes)
            return sx_fail(err, SX_ELIMIT,
                           "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, "
                           "value: \"%.*s\", length: %zu, limit: %u)",
                           SX_ARG(metric), SX_ARG(sx_str_first(name, 50)),
                           SX_ARG(sx_str_first(value, 50)), value.len, limits->label_value_bytes);
    }
    return SX_OK;
}

sx_status target_series_check(tsdb_labels labels, const prom_scrape_config *job, sx_error *err)
{
    sx_str metric = tsdb_labels_get(labels, TSDB_METRIC_NAME);
    if (metric.len == 0)
        return sx_fail(err, SX_EINVAL, "missing metric name (__name__ label)");
    if (!names_are_valid(labels, job->name_scheme))
        return bad_names(labels, err);
    return check_label_limits(labels, metric, &job->limits, err);
}
