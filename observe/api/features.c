/* features.c - /features: what this server can do, and what of it is switched on, by Prometheus's names.
 * What is not named is not there. */
#include "observe/api/api.h"

typedef struct feature {
    const char *name;
    bool on;
} feature;

static void write_group(sx_buf *out, const char *name, const feature *items, size_t count)
{
    sx_buf_printf(out, ",\"%s\":{", name);
    for (size_t i = 0; i < count; i++)
        sx_buf_printf(out, "%s\"%s\":%s", i ? "," : "", items[i].name,
                      items[i].on ? "true" : "false");
    sx_buf_byte(out, '}');
}

/* Names that are always on. */
static void write_names(sx_buf *out, const char *name, const char *const *items, size_t count)
{
    sx_buf_printf(out, ",\"%s\":{", name);
    for (size_t i = 0; i < count; i++)
        sx_buf_printf(out, "%s\"%s\":true", i ? "," : "", items[i]);
    sx_buf_byte(out, '}');
}

static void write_functions(sx_buf *out, unsigned features)
{
    size_t count;
    const promql_function *rows = promql_functions(&count);
    sx_buf_str(out, SX_STR(",\"promql_functions\":{"));
    for (size_t i = 0; i < count; i++)
        sx_buf_printf(out, "%s\"%.*s\":%s", i ? "," : "", SX_ARG(rows[i].name),
                      rows[i].feature & ~features ? "false" : "true");
    sx_buf_byte(out, '}');
}

static void write_promql(sx_buf *out, const observe_flags *f)
{
    unsigned p = f->promql_features;
    bool fill = p & PROMQL_BINOP_FILL, extended = p & PROMQL_EXTENDED_RANGE;
    bool experimental = p & PROMQL_EXPERIMENTAL_FUNCTIONS;
    const feature LANGUAGE[] = {
        {"anchored", extended},
        {"at_modifier", true},
        {"bool", true},
        {"by", true},
        {"delayed_name_removal", p & PROMQL_DELAYED_NAME_REMOVAL},
        {"duration_expr", true},
        {"fill", fill},
        {"fill_left", fill},
        {"fill_right", fill},
        {"group_left", true},
        {"group_right", true},
        {"ignoring", true},
        {"negative_offset", true},
        {"offset", true},
        {"on", true},
        {"per_query_lookback_delta", true},
        {"per_step_stats", f->feature_bits & OBSERVE_FEATURE_PER_STEP_STATS},
        {"smoothed", extended},
        {"subqueries", true},
        {"type_and_unit_labels", f->feature_bits & OBSERVE_FEATURE_TYPE_UNIT_LABELS},
        {"without", true}};
    const feature OPERATORS[] = {{"!=", true},
                                 {"!~", true},
                                 {"%", true},
                                 {"*", true},
                                 {"+", true},
                                 {"-", true},
                                 {"/", true},
                                 {"<", true},
                                 {"</", true},
                                 {"<=", true},
                                 {"==", true},
                                 {"=~", true},
                                 {">", true},
                                 {">/", true},
                                 {">=", true},
                                 {"@", true},
                                 {"^", true},
                                 {"and", true},
                                 {"atan2", true},
                                 {"avg", true},
                                 {"bottomk", true},
                                 {"count", true},
                                 {"count_values", true},
                                 {"group", true},
                                 {"limit_ratio", experimental},
                                 {"limitk", experimental},
                                 {"max", true},
                                 {"min", true},
                                 {"or", true},
                                 {"quantile", true},
                                 {"stddev", true},
                                 {"stdvar", true},
                                 {"sum", true},
                                 {"topk", true},
                                 {"unless", true}};
    write_group(out, "promql", LANGUAGE, SX_COUNT_OF(LANGUAGE));
    write_functions(out, p);
    write_group(out, "promql_operators", OPERATORS, SX_COUNT_OF(OPERATORS));
}

static void write_rooms(sx_buf *out, const observe_flags *f)
{
    static const char *const TEMPLATES[] = {"args",
                                            "externalURL",
                                            "first",
                                            "graphLink",
                                            "humanize",
                                            "humanize1024",
                                            "humanizeDuration",
                                            "humanizePercentage",
                                            "humanizeTimestamp",
                                            "label",
                                            "match",
                                            "now",
                                            "parseDuration",
                                            "pathPrefix",
                                            "query",
                                            "reReplaceAll",
                                            "safeHtml",
                                            "sortByLabel",
                                            "stripDomain",
                                            "stripPort",
                                            "strvalue",
                                            "tableLink",
                                            "title",
                                            "toDuration",
                                            "toLower",
                                            "toTime",
                                            "toUpper",
                                            "urlQueryEscape",
                                            "value"};
    const feature RULES[] = {
        {"concurrent_rule_eval", f->feature_bits & OBSERVE_FEATURE_CONCURRENT_RULES},
        {"keep_firing_for", true},
        {"query_offset", true}};
    const feature SCRAPE[] = {
        {"extra_scrape_metrics", true},
        {"openmetrics2", false},
        {"start_timestamp_zero_ingestion", f->feature_bits & OBSERVE_FEATURE_CREATED_ZERO},
        {"type_and_unit_labels", f->feature_bits & OBSERVE_FEATURE_TYPE_UNIT_LABELS}};
    const feature TSDB[] = {{"delayed_compaction", false},
                            {"exemplar_storage", true},
                            {"histograms_st_encoding", f->feature_bits & OBSERVE_FEATURE_XOR2},
                            {"isolation", true},
                            {"native_histograms", true},
                            {"st_storage", f->feature_bits & OBSERVE_FEATURE_XOR2},
                            {"use_uncached_io", false},
                            {"xor2_encoding", f->feature_bits & OBSERVE_FEATURE_XOR2}};
    static const feature UI[] = {{"ui_v2", false}, {"ui_v3", false}};
    write_group(out, "rules", RULES, SX_COUNT_OF(RULES));
    write_group(out, "scrape", SCRAPE, SX_COUNT_OF(SCRAPE));
    sx_buf_str(out, SX_STR(",\"service_discovery_providers\":{"));
    for (int kind = 0; kind < PROM_SD_KINDS; kind++)
        sx_buf_printf(out, "%s\"%.*s\":true", kind ? "," : "",
                      SX_ARG(prom_discovery_name((prom_discovery_kind)kind)));
    sx_buf_byte(out, '}');
    write_names(out, "templating_functions", TEMPLATES, SX_COUNT_OF(TEMPLATES));
    write_group(out, "tsdb", TSDB, SX_COUNT_OF(TSDB));
    write_group(out, "ui", UI, SX_COUNT_OF(UI));
}

void api_features(api_call *c)
{
    const observe_flags *f = c->api->flags;
    const feature API[] = {{"admin", f->admin_api},
                           {"exclude_alerts", true},
                           {"label_values_match", true},
                           {"lifecycle", f->lifecycle},
                           {"openapi_3.1", true},
                           {"openapi_3.2", true},
                           {"otlp_write_receiver", f->otlp_receiver},
                           {"query_stats", true},
                           {"query_warnings", true},
                           {"remote_write_receiver", f->write_receiver},
                           {"search", f->feature_bits & OBSERVE_FEATURE_SEARCH},
                           {"search_fuzz_alg_jarowinkler", true},
                           {"search_fuzz_alg_subsequence", true},
                           {"time_range_labels", true},
                           {"time_range_series", true}};
    const feature OTLP[] = {
        {"delta_conversion", f->feature_bits & OBSERVE_FEATURE_OTLP_ADD_UP},
        {"native_delta_ingestion", f->feature_bits & OBSERVE_FEATURE_OTLP_DELTA}};
    const feature SERVER[] = {
        {"agent_mode", false}, {"auto_reload_config", f->auto_reload}, {"server_mode", true}};
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":{\"sextant\":{\"explain\":true,\"kill_query\":true}"));
    write_group(&c->out, "api", API, SX_COUNT_OF(API));
    write_group(&c->out, "otlp_receiver", OTLP, SX_COUNT_OF(OTLP));
    write_group(&c->out, "prometheus", SERVER, SX_COUNT_OF(SERVER));
    write_promql(&c->out, f);
    write_rooms(&c->out, f);
    sx_buf_str(&c->out, SX_STR("}}"));
}
