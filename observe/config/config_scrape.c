/* config_scrape.c - `global` and `scrape_configs`.
 *
 * A job is read as it is written, then completed from the globals and checked as Prometheus checks
 * it, in its words. Source: Prometheus, docs/configuration, <scrape_config>. */
#include <sextant/utf8.h>

#include "observe/config/config_internal.h"

#define G(member) offsetof(config_global, member)
#define S(member) offsetof(config_scrape, member)
#define C(member) offsetof(config_scrape, c.member)

/* --- Words. */

static const bind_choice NAME_SCHEMES[] = {
    {"", 0}, {"utf8", 1 + PROM_NAMES_UTF8}, {"legacy", 1 + PROM_NAMES_LEGACY}, {NULL, 0}};
static const bind_choice ESCAPINGS[] = {{"", 0},
                                        {"allow-utf-8", 1 + PROM_ESCAPE_ALLOW_UTF8},
                                        {"underscores", 1 + PROM_ESCAPE_UNDERSCORES},
                                        {"dots", 1 + PROM_ESCAPE_DOTS},
                                        {"values", 1 + PROM_ESCAPE_VALUES},
                                        {NULL, 0}};
static const bind_choice PROTOCOLS[] = {{"PrometheusProto", PROM_PROTOCOL_PROTOBUF},
                                        {"OpenMetricsText0.0.1", PROM_PROTOCOL_OPENMETRICS_0_0_1},
                                        {"OpenMetricsText1.0.0", PROM_PROTOCOL_OPENMETRICS_1_0_0},
                                        {"PrometheusText0.0.4", PROM_PROTOCOL_TEXT_0_0_4},
                                        {"PrometheusText1.0.0", PROM_PROTOCOL_TEXT_1_0_0},
                                        {NULL, 0}};

static const char *protocol_word(prom_scrape_protocol p)
{
    for (const bind_choice *c = PROTOCOLS; c->word; c++) {
        if (c->value == (int)p)
            return c->word;
    }
    return "";
}

/* --- Limits: the same keys in both. */

#define LIMITS(base)                                                                               \
    {.key = "body_size_limit",                                                                     \
     .kind = BIND_BYTES,                                                                           \
     .at = (base) + offsetof(prom_scrape_limits, body_bytes)},                                     \
        {.key = "sample_limit",                                                                    \
         .kind = BIND_U32,                                                                         \
         .at = (base) + offsetof(prom_scrape_limits, samples)},                                    \
        {.key = "target_limit",                                                                    \
         .kind = BIND_U32,                                                                         \
         .at = (base) + offsetof(prom_scrape_limits, targets)},                                    \
        {.key = "label_limit",                                                                     \
         .kind = BIND_U32,                                                                         \
         .at = (base) + offsetof(prom_scrape_limits, labels)},                                     \
        {.key = "label_name_length_limit",                                                         \
         .kind = BIND_U32,                                                                         \
         .at = (base) + offsetof(prom_scrape_limits, label_name_bytes)},                           \
        {.key = "label_value_length_limit",                                                        \
         .kind = BIND_U32,                                                                         \
         .at = (base) + offsetof(prom_scrape_limits, label_value_bytes)},                          \
    {                                                                                              \
        .key = "keep_dropped_targets", .kind = BIND_U32,                                           \
        .at = (base) + offsetof(prom_scrape_limits, keep_dropped_targets)                          \
    }

/* --- global */

/* Prometheus expands external labels whatever the flags say; an unset variable is empty. */
static sx_status read_external_labels(bind *b, const sx_yaml_node *value, void *target,
                                      const bind_field *f)
{
    bool expand = b->expand;
    bind_field labels = {.key = f->key, .kind = BIND_LABELS, .at = f->at};
    b->expand = false;
    sx_status st = bind_read_field(b, &labels, value, target);
    b->expand = expand;
    if (st != SX_OK)
        return st;
    tsdb_labels *l = &((config_global *)target)->external_labels;
    for (uint32_t i = 0; i < l->count; i++) {
        tsdb_label *label = (tsdb_label *)&l->items[i]; /* in the arena, ours until now */
        st = bind_expand(b, label->value, &label->value, NULL);
        if (st != SX_OK)
            return st;
        if (!sx_utf8_valid(label->name) || label->name.len == 0)
            return bind_fault(b, value, "\"%.*s\" is not a valid label name", SX_ARG(label->name));
        if (!sx_utf8_valid(label->value))
            return bind_fault(b, value, "\"%.*s\" is not a valid label value",
                              SX_ARG(label->value));
    }
    sx_error err; /* empty values are no labels; the names were told apart before */
    tsdb_labels_sort((tsdb_label *)l->items, l->count, l, &err);
    return SX_OK;
}

static void print_external_labels(sx_buf *out, int indent, const void *target, const bind_field *f)
{
    const tsdb_labels *l = (const void *)((const char *)target + f->at);
    if (l->count == 0)
        return;
    sx_buf_printf(out, "%*s%s:\n", indent, "", f->key);
    for (uint32_t i = 0; i < l->count; i++) {
        sx_buf_printf(out, "%*s", indent + 2, "");
        bind_print_text(l->items[i].name, out);
        sx_buf_str(out, SX_STR(": "));
        bind_print_text(l->items[i].value, out);
        sx_buf_byte(out, '\n');
    }
}

static void default_global(void *target)
{
    config_global *g = target;
    g->scrape_interval_ms = g->evaluation_interval_ms = 60 * 1000;
    g->name_scheme = 1 + PROM_NAMES_UTF8;
}

static sx_status check_global(bind *b, const sx_yaml_node *map, void *target)
{
    config_global *g = target;
    if (g->scrape_interval_ms == 0)
        g->scrape_interval_ms = 60 * 1000;
    if (g->evaluation_interval_ms == 0)
        g->evaluation_interval_ms = 60 * 1000;
    if (g->scrape_timeout_ms > g->scrape_interval_ms)
        return bind_fault(b, map, "global scrape timeout greater than scrape interval");
    if (g->scrape_timeout_ms == 0)
        g->scrape_timeout_ms = g->scrape_interval_ms < 10000 ? g->scrape_interval_ms : 10000;
    return SX_OK;
}

static const bind_field GLOBAL_FIELDS[] = {
    {.key = "scrape_interval", .kind = BIND_MS, .at = G(scrape_interval_ms)},
    {.key = "scrape_timeout", .kind = BIND_MS, .at = G(scrape_timeout_ms)},
    {.key = "scrape_protocols",
     .kind = BIND_STRS,
     .at = G(protocols),
     .count_at = G(protocol_count)},
    {.key = "evaluation_interval", .kind = BIND_MS, .at = G(evaluation_interval_ms)},
    {.key = "rule_query_offset", .kind = BIND_MS, .at = G(rule_query_offset_ms)},
    {.key = "query_log_file", .kind = BIND_PATH, .at = G(query_log_file)},
    {.key = "scrape_failure_log_file", .kind = BIND_PATH, .at = G(failure_log_file)},
    {.key = "external_labels",
     .kind = BIND_CUSTOM,
     .at = G(external_labels),
     .read = read_external_labels,
     .print = print_external_labels},
    LIMITS(G(limits)),
    {.key = "metric_name_validation_scheme",
     .kind = BIND_CHOICE,
     .at = G(name_scheme),
     .choices = NAME_SCHEMES},
    {.key = "metric_name_escaping_scheme",
     .kind = BIND_CHOICE,
     .at = G(escaping),
     .choices = ESCAPINGS},
    {.key = "scrape_native_histograms", .kind = BIND_TRI, .at = G(native)},
    {.key = "convert_classic_histograms_to_nhcb", .kind = BIND_TRI, .at = G(nhcb)},
    {.key = "always_scrape_classic_histograms", .kind = BIND_TRI, .at = G(classic)},
    {.key = "extra_scrape_metrics", .kind = BIND_TRI, .at = G(extra)},
    {0}};

const bind_table CONFIG_GLOBAL = {.fields = GLOBAL_FIELDS,
                                  .size = sizeof(config_global),
                                  .defaults = default_global,
                                  .check = check_global};

/* --- scrape_configs */

/* The keys of discoveries and rules are read when the job is completed. */
static const bind_field SCRAPE_FIELDS[] = {
    {.key = "job_name", .kind = BIND_STR, .at = C(job_name)},
    {.key = "honor_labels", .kind = BIND_BOOL, .at = C(honor_labels)},
    {.key = "honor_timestamps", .kind = BIND_BOOL, .flags = BIND_ALWAYS, .at = C(honor_timestamps)},
    {.key = "track_timestamps_staleness",
     .kind = BIND_BOOL,
     .flags = BIND_ALWAYS,
     .at = C(track_timestamps_staleness)},
    {.key = "params", .kind = BIND_MULTIMAP, .at = C(params), .count_at = C(param_count)},
    {.key = "scrape_interval", .kind = BIND_MS, .at = C(interval_ms)},
    {.key = "scrape_timeout", .kind = BIND_MS, .at = C(timeout_ms)},
    {.key = "scrape_protocols",
     .kind = BIND_STRS,
     .at = S(protocols),
     .count_at = S(protocol_count)},
    {.key = "fallback_scrape_protocol",
     .kind = BIND_CHOICE,
     .at = S(fallback),
     .choices = PROTOCOLS},
    {.key = "scrape_native_histograms", .kind = BIND_TRI, .at = S(native)},
    {.key = "always_scrape_classic_histograms", .kind = BIND_TRI, .at = S(classic)},
    {.key = "convert_classic_histograms_to_nhcb", .kind = BIND_TRI, .at = S(nhcb)},
    {.key = "scrape_failure_log_file", .kind = BIND_PATH, .at = C(failure_log_file)},
    {.key = "metrics_path", .kind = BIND_STR, .at = C(metrics_path)},
    {.key = "scheme", .kind = BIND_STR, .at = C(scheme)},
    {.key = "enable_compression", .kind = BIND_BOOL, .flags = BIND_ALWAYS, .at = C(compression)},
    LIMITS(C(limits)),
    {.key = "native_histogram_bucket_limit",
     .kind = BIND_U32,
     .at = C(limits.native_histogram_buckets)},
    {.key = "native_histogram_min_bucket_factor",
     .kind = BIND_DOUBLE,
     .at = C(limits.native_histogram_min_factor)},
    {.key = "metric_name_validation_scheme",
     .kind = BIND_CHOICE,
     .at = S(name_scheme),
     .choices = NAME_SCHEMES},
    {.key = "metric_name_escaping_scheme",
     .kind = BIND_CHOICE,
     .at = S(escaping),
     .choices = ESCAPINGS},
    {.key = "extra_scrape_metrics", .kind = BIND_TRI, .at = S(extra)},
    {.key = "", .kind = BIND_INLINE, .at = C(http), .table = &CONFIG_HTTP},
    {.key = "relabel_configs", .kind = BIND_NOTHING},
    {.key = "metric_relabel_configs", .kind = BIND_NOTHING},
    CONFIG_DISCOVERY_ROWS,
    {0}};

static void default_scrape(void *target)
{
    config_scrape *s = target;
    s->c.honor_timestamps = s->c.compression = true;
    s->c.metrics_path = SX_STR("/metrics");
    s->c.scheme = SX_STR("http");
}

/* --- Completing a job from the globals. */

static void take_u32(uint32_t *value, uint32_t otherwise)
{
    if (*value == 0)
        *value = otherwise;
}

static void take_limits(prom_scrape_limits *l, const prom_scrape_limits *g)
{
    if (l->body_bytes == 0)
        l->body_bytes = g->body_bytes;
    take_u32(&l->samples, g->samples);
    take_u32(&l->labels, g->labels);
    take_u32(&l->label_name_bytes, g->label_name_bytes);
    take_u32(&l->label_value_bytes, g->label_value_bytes);
    take_u32(&l->targets, g->targets);
    take_u32(&l->keep_dropped_targets, g->keep_dropped_targets);
}

static bool is_true(uint8_t own, uint8_t global)
{
    return (own ? own : global) == BIND_TRUE;
}

/* In order of preference; protobuf comes first only where native histograms are wanted. */
static const prom_scrape_protocol USUAL[] = {PROM_PROTOCOL_OPENMETRICS_1_0_0,
                                             PROM_PROTOCOL_OPENMETRICS_0_0_1,
                                             PROM_PROTOCOL_TEXT_1_0_0, PROM_PROTOCOL_TEXT_0_0_4};
static const prom_scrape_protocol PROTOBUF_FIRST[] = {
    PROM_PROTOCOL_PROTOBUF, PROM_PROTOCOL_OPENMETRICS_1_0_0, PROM_PROTOCOL_OPENMETRICS_0_0_1,
    PROM_PROTOCOL_TEXT_1_0_0, PROM_PROTOCOL_TEXT_0_0_4};

static sx_status take_protocols(bind *b, const sx_yaml_node *at, prom_scrape_config *c,
                                const sx_str *words, uint32_t count)
{
    if (!words) {
        c->protocols = c->native_histograms ? PROTOBUF_FIRST : USUAL;
        c->protocol_count = c->native_histograms ? SX_COUNT_OF(PROTOBUF_FIRST) : SX_COUNT_OF(USUAL);
        return SX_OK;
    }
    prom_scrape_protocol *list = sx_arena_calloc(b->arena, count ? count : 1, sizeof *list);
    unsigned seen = 0;
    if (!list) {
        b->no_memory = true;
        return SX_ENOMEM;
    }
    if (count == 0)
        return bind_fault(b, at,
                          "scrape_protocols cannot be empty for scrape config with job name "
                          "\"%.*s\"",
                          SX_ARG(c->job_name));
    for (uint32_t i = 0; i < count; i++) {
        const bind_choice *w = PROTOCOLS;
        while (w->word && !sx_str_eq(sx_str_z(w->word), words[i]))
            w++;
        if (!w->word)
            return bind_fault(b, at,
                              "scrape_protocols: unknown scrape protocol %.*s, supported: "
                              "[OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusProto "
                              "PrometheusText0.0.4 PrometheusText1.0.0]",
                              SX_ARG(words[i]));
        if (seen & 1u << w->value)
            return bind_fault(b, at, "duplicated protocol in scrape_protocols, got %s", w->word);
        seen |= 1u << w->value;
        list[i] = (prom_scrape_protocol)w->value;
    }
    c->protocols = list;
    c->protocol_count = count;
    return SX_OK;
}

static sx_status take_names(bind *b, const sx_yaml_node *map, config_scrape *s,
                            const config_global *g)
{
    int scheme = s->name_scheme ? s->name_scheme : g->name_scheme;
    s->c.name_scheme = scheme == 1 + PROM_NAMES_LEGACY ? PROM_NAMES_LEGACY : PROM_NAMES_UTF8;
    bool legacy = s->c.name_scheme == PROM_NAMES_LEGACY;
    int escaping = s->escaping ? s->escaping : g->escaping;
    if (escaping == 1 + PROM_ESCAPE_ALLOW_UTF8 && legacy && s->escaping)
        return bind_fault(b, map,
                          "utf8 metric names requested but validation scheme is not set to UTF8");
    if (escaping == 0 || (legacy && escaping == 1 + PROM_ESCAPE_ALLOW_UTF8))
        s->c.escaping = legacy ? PROM_ESCAPE_UNDERSCORES : PROM_ESCAPE_ALLOW_UTF8;
    else
        s->c.escaping = (prom_escaping)(escaping - 1);
    return SX_OK;
}

/* Targets that no rule will change must be hosts already. */
static sx_status check_targets(bind *b, const sx_yaml_node *map, const prom_scrape_config *c)
{
    for (uint32_t i = 0; c->relabel_count == 0 && i < c->discovery_count; i++) {
        const prom_discovery *d = &c->discoveries[i];
        for (uint32_t k = 0; d->kind == PROM_SD_STATIC && k < d->group->target_count; k++) {
            sx_str target = d->group->targets[k];
            if (sx_str_find_byte(target, '/') < target.len)
                return bind_fault(b, map, "\"%.*s\" is not a valid hostname", SX_ARG(target));
        }
    }
    return SX_OK;
}

static sx_status complete(bind *b, const sx_yaml_node *map, void *target)
{
    config_scrape *s = target;
    prom_scrape_config *c = &s->c;
    const config_global *g = ((config_reader *)b->user)->global;
    c->line = map->line;
    if (c->job_name.len == 0)
        return bind_fault(b, map, "job_name is empty");
    if (c->interval_ms == 0)
        c->interval_ms = g->scrape_interval_ms;
    if (c->timeout_ms > c->interval_ms)
        return bind_fault(
            b, map,
            "scrape timeout greater than scrape interval for scrape config with job name "
            "\"%.*s\"",
            SX_ARG(c->job_name));
    if (c->timeout_ms == 0)
        c->timeout_ms =
            g->scrape_timeout_ms > c->interval_ms ? c->interval_ms : g->scrape_timeout_ms;
    take_limits(&c->limits, &g->limits);
    if (c->failure_log_file.len == 0)
        c->failure_log_file = g->failure_log_file;
    c->native_histograms = is_true(s->native, g->native);
    c->classic_histograms_always = is_true(s->classic, g->classic);
    c->classic_to_nhcb = is_true(s->nhcb, g->nhcb);
    c->extra_metrics = is_true(s->extra, g->extra);
    c->fallback_protocol = (prom_scrape_protocol)s->fallback;
    sx_status st = take_names(b, map, s, g);
    if (st == SX_OK)
        st = take_protocols(b, map, c, s->protocols ? s->protocols : g->protocols,
                            s->protocols ? s->protocol_count : g->protocol_count);
    bool legacy = c->name_scheme == PROM_NAMES_LEGACY;
    if (st == SX_OK)
        st = config_rules(b, sx_yaml_get(map, SX_STR("relabel_configs")),
                          "empty or null target relabeling rule in scrape config", legacy,
                          &c->relabel, &c->relabel_count);
    if (st == SX_OK)
        st = config_rules(b, sx_yaml_get(map, SX_STR("metric_relabel_configs")),
                          "empty or null metric relabeling rule in scrape config", legacy,
                          &c->metric_relabel, &c->metric_relabel_count);
    if (st == SX_OK)
        st = config_discoveries(b, map, &c->discoveries, &c->discovery_count);
    return st == SX_OK ? check_targets(b, map, c) : st;
}

const bind_table CONFIG_SCRAPE = {.fields = SCRAPE_FIELDS,
                                  .size = sizeof(config_scrape),
                                  .defaults = default_scrape,
                                  .check = complete};

sx_status config_scrapes(bind *b, const sx_yaml_node *list, const prom_scrape_config **out,
                         uint32_t *count)
{
    const void *items = NULL;
    uint32_t read = 0;
    if (!list || sx_yaml_is_null(list))
        return SX_OK;
    sx_status st = bind_read_structs(b, &CONFIG_SCRAPE, list, &items, &read,
                                     "empty or null scrape config section");
    if (st != SX_OK)
        return st;
    prom_scrape_config *jobs = sx_arena_calloc(b->arena, *count + read + 1, sizeof *jobs);
    if (!jobs) {
        b->no_memory = true;
        return SX_ENOMEM;
    }
    if (*count)
        memcpy(jobs, *out, *count * sizeof *jobs);
    for (uint32_t i = 0; i < read; i++) {
        jobs[*count] = ((const config_scrape *)items)[i].c;
        for (uint32_t k = 0; k < *count; k++) {
            if (sx_str_eq(jobs[k].job_name, jobs[*count].job_name) && jobs[k].job_name.len)
                bind_fault(b, list->items[i],
                           "found multiple scrape configs with job name \"%.*s\"",
                           SX_ARG(jobs[k].job_name));
        }
        ++*count;
    }
    *out = jobs;
    return SX_OK;
}

/* --- Printing: what was completed is written out. */

static void print_words(const char *key, const prom_scrape_config *c, int indent, sx_buf *out)
{
    sx_buf_printf(out, "%*s%s:\n", indent, "", key);
    for (uint32_t i = 0; i < c->protocol_count; i++)
        sx_buf_printf(out, "%*s- %s\n", indent, "", protocol_word(c->protocols[i]));
}

static void print_scrape(const prom_scrape_config *c, int indent, sx_buf *out)
{
    config_scrape s = {.c = *c, .fallback = (int)c->fallback_protocol};
    s.name_scheme = 1 + (int)c->name_scheme;
    s.escaping = 1 + (int)c->escaping;
    s.native = c->native_histograms ? BIND_TRUE : BIND_FALSE;
    s.classic = c->classic_histograms_always ? BIND_TRUE : BIND_FALSE;
    s.nhcb = c->classic_to_nhcb ? BIND_TRUE : BIND_FALSE;
    s.extra = c->extra_metrics ? BIND_TRUE : BIND_FALSE;
    bind_print(&CONFIG_SCRAPE, &s, indent, out);
    print_words("scrape_protocols", c, indent, out);
    config_print_rules("relabel_configs", c->relabel, c->relabel_count, indent, out);
    config_print_rules("metric_relabel_configs", c->metric_relabel, c->metric_relabel_count, indent,
                       out);
    config_print_discoveries(c->discoveries, c->discovery_count, indent, out);
}

void config_print_scrapes(const prom_scrape_config *jobs, uint32_t count, int indent, sx_buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t begin = out->len;
        print_scrape(&jobs[i], indent + 2, out);
        if (!out->failed)
            out->data[begin + (size_t)indent] = '-';
    }
}

void prom_scrape_print(const prom_scrape_config *job, sx_buf *out)
{
    print_scrape(job, 0, out);
}
