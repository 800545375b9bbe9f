/* service_telemetry.c - traces and their export: from the settings, and from OTEL_* where these say
 * nothing.
 *
 *     built-in defaults  <  OTEL_* of the environment  <  otlp.* and tracing.* of the settings
 *
 * Without an endpoint there is no exporter: spans are ids that are taken over and passed on. */
#include <sextant/mem.h>
#include <sextant/number.h>

#include "service/service_internal.h"

/* ---- sampling ---- */

static sx_status read_number(const sx_yaml_node *node, double most, double *out, sx_error *err)
{
    sx_str text;
    sx_status status = sx_yaml_str(node, &text, err);
    if (status)
        return status;
    if (!sx_double_parse(text, out) || !(*out >= 0 && *out <= most))
        return sx_yaml_fail(node, SX_EFORMAT, err, "expected a number from 0 to %g", most);
    return SX_OK;
}

static sx_status read_kind(const sx_yaml_node *node, int *out, sx_error *err)
{
    static const sx_str KINDS[] = {
        [SX_SPAN_INTERNAL] = SX_STR_INIT("internal"), [SX_SPAN_SERVER] = SX_STR_INIT("server"),
        [SX_SPAN_CLIENT] = SX_STR_INIT("client"),     [SX_SPAN_PRODUCER] = SX_STR_INIT("producer"),
        [SX_SPAN_CONSUMER] = SX_STR_INIT("consumer"),
    };
    sx_str text;
    sx_status status = sx_yaml_str(node, &text, err);
    for (size_t i = SX_SPAN_INTERNAL; i < SX_COUNT_OF(KINDS) && status == SX_OK; i++) {
        if (sx_str_ieq(text, KINDS[i])) {
            *out = (int)i;
            return SX_OK;
        }
    }
    return status ? status
                  : sx_yaml_fail(node, SX_EFORMAT, err,
                                 "expected internal, server, client, producer or consumer");
}

/* A text of the file, kept. */
static sx_status read_text(const sx_yaml_node *node, sx_arena *arena, sx_str *out, sx_error *err)
{
    sx_status status = node ? sx_yaml_str(node, out, err) : SX_OK;
    if (status || !node)
        return status;
    *out = sx_arena_copy(arena, *out);
    return out->data ? SX_OK : sx_fail_memory(err, "a rule of sampling");
}

static sx_status read_rule(const sx_yaml_node *node, sx_arena *arena, sx_sampling_rule *rule,
                           sx_error *err)
{
    static const sx_str KEYS[] = {SX_STR_INIT("name"),  SX_STR_INIT("kind"),
                                  SX_STR_INIT("key"),   SX_STR_INIT("value"),
                                  SX_STR_INIT("ratio"), SX_STR_INIT("per_second_max")};
    const sx_yaml_node *kind = sx_yaml_get(node, KEYS[1]), *ratio = sx_yaml_get(node, KEYS[4]),
                       *most = sx_yaml_get(node, KEYS[5]);
    sx_status status = sx_yaml_expect(node, SX_YAML_MAPPING, err);
    if (status == SX_OK)
        status = sx_yaml_check_keys(node, KEYS, SX_COUNT_OF(KEYS), err);
    rule->ratio = 1;
    if (status == SX_OK)
        status = read_text(sx_yaml_get(node, KEYS[0]), arena, &rule->name, err);
    if (status == SX_OK && kind)
        status = read_kind(kind, &rule->kind, err);
    if (status == SX_OK)
        status = read_text(sx_yaml_get(node, KEYS[2]), arena, &rule->key, err);
    if (status == SX_OK)
        status = read_text(sx_yaml_get(node, KEYS[3]), arena, &rule->value, err);
    if (status == SX_OK && ratio)
        status = read_number(ratio, 1, &rule->ratio, err);
    if (status == SX_OK && most)
        status = read_number(most, 1e9, &rule->per_second_max, err);
    return status;
}

static sx_status read_rules(const sx_config *config, sx_arena *arena, sx_sampling *out,
                            sx_error *err)
{
    enum { RULES_MAX = 1000 };
    const sx_yaml_node *list = sx_config_tree(config, SX_STR("tracing.rules"));
    if (!list || sx_yaml_is_null(list))
        return SX_OK;
    sx_status status = sx_yaml_expect(list, SX_YAML_SEQUENCE, err);
    if (status)
        return status;
    if (list->count > RULES_MAX)
        return sx_yaml_fail(list, SX_ELIMIT, err, "more than %d rules", RULES_MAX);
    sx_sampling_rule *rules =
        (sx_sampling_rule *)sx_arena_calloc(arena, list->count + 1, sizeof(*rules));
    if (!rules)
        return sx_fail_memory(err, "the rules of sampling");
    for (uint32_t i = 0; i < list->count && status == SX_OK; i++)
        status = read_rule(list->items[i], arena, &rules[i], err);
    out->rules = rules;
    out->rule_count = list->count;
    return status;
}

sx_status sx_service_sampling(const sx_service *s, const sx_service_settings *set,
                              const sx_config *config, sx_arena *arena, sx_sampling *out,
                              sx_error *err)
{
    sx_tracer_options from = {0};
    sx_status status = sx_tracer_environment(s->options.environment, arena, &from, NULL, err);
    *out = from.sampling;
    if (status == SX_OK && set->sampler.len > 0) {
        status = sx_sampling_parse(set->sampler, set->sampler_argument, out, err);
        if (status)
            return sx_error_prefix(err, status, "tracing.sampler");
    }
    return status ? status : read_rules(config, arena, out, err);
}

static sx_status read_propagators(sx_texts names, unsigned *out, sx_error *err)
{
    static const struct {
        sx_str name;
        unsigned bits;
    } KNOWN[] = {
        {SX_STR_INIT("tracecontext"), SX_PROPAGATE_W3C},
        {SX_STR_INIT("w3c"), SX_PROPAGATE_W3C},
        {SX_STR_INIT("baggage"), SX_PROPAGATE_BAGGAGE},
        {SX_STR_INIT("b3"), SX_PROPAGATE_B3},
        {SX_STR_INIT("b3multi"), SX_PROPAGATE_B3_MULTI},
        {SX_STR_INIT("jaeger"), SX_PROPAGATE_JAEGER},
    };
    unsigned bits = 0;
    for (size_t i = 0; i < names.count; i++) {
        unsigned before = bits;
        for (size_t k = 0; k < SX_COUNT_OF(KNOWN); k++)
            if (sx_str_ieq(names.items[i], KNOWN[k].name))
                bits |= KNOWN[k].bits;
        if (bits == before)
            return sx_fail(err, SX_EINVAL,
                           "tracing.propagators: \"%.*s\" is none of tracecontext, baggage, b3, "
                           "b3multi, jaeger, or is there twice",
                           SX_ARG(names.items[i]));
    }
    if (bits)
        *out = bits;
    return SX_OK;
}

/* ---- export ---- */

static bool names_signal(sx_texts signals, sx_str name)
{
    for (size_t i = 0; i < signals.count; i++)
        if (sx_str_ieq(signals.items[i], name))
            return true;
    return false;
}

/* The whole URL of a signal: HTTP's is the endpoint and a path, as the specification says. */
static sx_str target_url(sx_arena *arena, sx_str endpoint, sx_otlp_protocol protocol, sx_str path)
{
    while (sx_str_ends(endpoint, SX_STR("/")))
        endpoint.len--;
    return protocol == SX_OTLP_GRPC
               ? endpoint
               : sx_arena_printf(arena, "%.*s%.*s", SX_ARG(endpoint), SX_ARG(path));
}

static sx_status apply_settings(sx_service *s, sx_otlp_options *o, sx_error *err)
{
    static const sx_str NAMES[SX_OTLP_SIGNALS] = {[SX_OTLP_SPANS] = SX_STR_INIT("traces"),
                                                  [SX_OTLP_LOGS] = SX_STR_INIT("logs"),
                                                  [SX_OTLP_METRICS] = SX_STR_INIT("metrics")};
    static const sx_str PATHS[SX_OTLP_SIGNALS] = {[SX_OTLP_SPANS] = SX_STR_INIT("/v1/traces"),
                                                  [SX_OTLP_LOGS] = SX_STR_INIT("/v1/logs"),
                                                  [SX_OTLP_METRICS] = SX_STR_INIT("/v1/metrics")};
    const sx_service_settings *set = &s->settings;
    for (int i = 0; i < SX_OTLP_SIGNALS; i++) {
        sx_otlp_target *t = &o->targets[i];
        if (set->otlp.protocol)
            t->protocol = (sx_otlp_protocol)(set->otlp.protocol - 1);
        if (set->otlp.endpoint.len > 0 && names_signal(set->otlp.signals, NAMES[i])) {
            t->endpoint = target_url(&s->arena, set->otlp.endpoint, t->protocol, PATHS[i]);
            if (!t->endpoint.data)
                return sx_fail_memory(err, "the settings of export");
        }
        if (set->otlp.headers.len > 0)
            t->headers = set->otlp.headers;
        if (set->otlp.compression)
            t->gzip = set->otlp.compression == 2;
        if (set->otlp.timeout_ms)
            t->timeout_ms = set->otlp.timeout_ms;
        if (set->otlp.ca_file.len > 0)
            t->ca_file = set->otlp.ca_file;
        if (set->otlp.chain_file.len > 0)
            t->client_chain_file = set->otlp.chain_file;
        if (set->otlp.key_file.len > 0)
            t->client_key_file = set->otlp.key_file;
    }
    if (set->otlp.resource.len > 0)
        o->resource = o->resource.len ? sx_arena_printf(&s->arena, "%.*s,%.*s", SX_ARG(o->resource),
                                                        SX_ARG(set->otlp.resource))
                                      : set->otlp.resource;
    if (set->otlp.queue_max)
        o->queue_max = set->otlp.queue_max;
    if (set->otlp.batch_max)
        o->batch_max = set->otlp.batch_max;
    if (set->otlp.batch_delay_ms)
        o->batch_delay_ms = set->otlp.batch_delay_ms;
    if (set->otlp.metrics_interval_ms)
        o->metrics_interval_ms = set->otlp.metrics_interval_ms;
    return SX_OK;
}

static void tell_warnings(sx_service *s, sx_buf *warnings)
{
    sx_str rest = sx_buf_view(warnings), line;
    while (rest.len > 0) {
        sx_str_cut(rest, '\n', &line, &rest);
        SX_LOG_WARN(sx_service_logger(s), NULL, "ignored in the environment",
                    sx_field_str("why", line));
    }
}

static sx_status make_exporter(sx_service *s, sx_buf *warnings, sx_error *err)
{
    sx_otlp_options o = {.metrics = s->metrics, .log = s->log, .clock = s->clock};
    sx_status status = sx_otlp_environment(s->options.environment, &s->arena, &o, warnings, err);
    if (status == SX_OK)
        status = apply_settings(s, &o, err);
    if (status)
        return status;
    if (o.service.len == 0)
        o.service = sx_str_z(s->def->name);
    if (o.version.len == 0 && s->def->version)
        o.version = sx_str_z(s->def->version);
    for (int i = 0; i < SX_OTLP_SIGNALS; i++)
        if (o.targets[i].endpoint.len > 0)
            return sx_otlp_new(&o, &s->otlp, err);
    return SX_OK; /* nobody is told */
}

sx_status sx_service_telemetry(sx_service *s, sx_error *err)
{
    sx_buf warnings;
    sx_buf_init(&warnings, 1 << 16);
    sx_tracer_options o = {.clock = s->clock, .metrics = s->metrics};
    sx_status status = make_exporter(s, &warnings, err);
    if (status == SX_OK)
        status = sx_tracer_environment(s->options.environment, &s->arena, &o, &warnings, err);
    if (status == SX_OK)
        status = sx_service_sampling(s, &s->settings, s->config, &s->arena, &o.sampling, err);
    if (status == SX_OK)
        status = read_propagators(s->settings.propagators, &o.propagators, err);
    o.otlp = s->otlp;
    if (status == SX_OK)
        status = sx_tracer_new(&o, &s->tracer, err);
    tell_warnings(s, &warnings);
    sx_buf_done(&warnings);
    return status;
}
