/* settings.c - reads an OpenTelemetry Collector's configuration: its sections, and its pipelines.
 *
 * The tree is parsed, variables are put in, each section's components are read by the table of their
 * kind, then `service` joins them to pipelines. All faults of a file are gathered.
 * Sources: OpenTelemetry Collector 0.140, docs "Configuration"; otelcol/config.go for what is checked. */
#include "observe/collector/settings_impl.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <sextant/file.h>
#include <sextant/mem.h>
#include <sextant/number.h>

#include "observe/collector/connector.h"
#include "observe/collector/processor.h"

enum { FILE_BYTES_MAX = 16 << 20, COMPONENTS_MAX = 1000 };

sx_status settings_no_memory(bind *b)
{
    b->no_memory = true;
    return SX_ENOMEM;
}

/* --- Values. */

bool settings_go_duration(sx_str text, int64_t *ns)
{
    static const struct {
        const char *unit;
        double ns;
    } UNITS[] = {{"ns", 1},   {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"\xce\xbcs", 1e3},
                 {"ms", 1e6}, {"s", 1e9},  {"m", 60e9},        {"h", 3600e9}};
    bool negative = text.len && text.data[0] == '-';
    double sum = 0;
    if (text.len && (text.data[0] == '-' || text.data[0] == '+'))
        text = sx_str_from(text, 1);
    if (sx_str_eq(text, SX_STR("0"))) {
        *ns = 0;
        return true;
    }
    if (text.len == 0)
        return false;
    while (text.len) {
        size_t digits = 0, unit = 0, k;
        double number;
        while (digits < text.len &&
               ((text.data[digits] >= '0' && text.data[digits] <= '9') || text.data[digits] == '.'))
            digits++;
        sx_str amount = sx_str_first(text, digits);
        text = sx_str_from(text, digits);
        while (unit < text.len && text.data[unit] != '.' &&
               !(text.data[unit] >= '0' && text.data[unit] <= '9'))
            unit++;
        if (!sx_double_parse(amount, &number))
            return false;
        for (k = 0; k < SX_COUNT_OF(UNITS); k++)
            if (sx_str_eq(sx_str_first(text, unit), sx_str_z(UNITS[k].unit)))
                break;
        if (k == SX_COUNT_OF(UNITS))
            return false;
        sum += number * UNITS[k].ns;
        text = sx_str_from(text, unit);
    }
    if (sum > 9.2e18)
        return false;
    *ns = negative ? -(int64_t)sum : (int64_t)sum;
    return true;
}

sx_status settings_ms(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    sx_str text;
    int64_t ns;
    sx_status st = bind_text(b, value, &text);
    if (st != SX_OK)
        return st;
    if (!sx_str_to_i64(text, &ns) && !settings_go_duration(text, &ns))
        return bind_fault(b, value, "\"%.*s\" is no duration; write it as 200ms, 5s, 1m30s",
                          SX_ARG(sx_str_first(text, 60)));
    if (ns < 0)
        return bind_fault(b, value, "must not be negative");
    *(int64_t *)(void *)((char *)target + f->at) = ns / 1000000 + (ns % 1000000 != 0);
    return SX_OK;
}

sx_status settings_i64(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    sx_error err;
    if (sx_yaml_i64(value, INT64_MIN, INT64_MAX, (int64_t *)(void *)((char *)target + f->at),
                    &err) != SX_OK)
        return bind_fault(b, value, "expected a whole number");
    return SX_OK;
}

sx_status settings_regex(bind *b, const sx_yaml_node *node, sx_str pattern, unsigned flags,
                         const sx_regex **out)
{
    collector_settings *s = ((settings_reader *)b->user)->settings;
    sx_regex_options options = {.flags = flags | SX_REGEX_DOT_NO_LINE};
    sx_regex *re;
    sx_error err;
    if (!sx_arena_grow(b->arena, &s->regexes, &s->regex_cap, s->regex_count + 1,
                       sizeof(*s->regexes)))
        return settings_no_memory(b);
    sx_status st = sx_regex_new(&re, pattern, &options, &err);
    if (st == SX_ENOMEM)
        return settings_no_memory(b);
    if (st != SX_OK)
        return bind_fault(b, node, "%s", err.message);
    *out = s->regexes[s->regex_count++] = re;
    return SX_OK;
}

sx_status settings_warn(bind *b, const sx_yaml_node *node, const char *fmt, ...)
{
    settings_reader *r = b->user;
    char words[360];
    sx_error err;
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof(words), fmt, args);
    va_end(args);
    sx_yaml_fail(node, SX_EFORMAT, &err, "%s", words);
    if (r->warning_count >= BIND_FAULTS_MAX)
        return SX_OK;
    if (!sx_arena_grow(b->arena, &r->warnings, &r->warning_cap, r->warning_count + 1,
                       sizeof(*r->warnings)))
        return settings_no_memory(b);
    sx_str text = sx_arena_copy(b->arena, sx_str_z(err.message));
    if (!text.data)
        return settings_no_memory(b);
    r->warnings[r->warning_count++] = text;
    return SX_OK;
}

/* What is taken and changes nothing is told, so that nobody believes that it works. */
static sx_status warn_ignored(bind *b, const sx_yaml_node *value)
{
    return settings_warn(b, value, "has no effect here");
}

/* --- Components. */

sx_status settings_id(bind *b, const sx_yaml_node *key, sx_str text, component_id *out)
{
    sx_str rest;
    *out = (component_id){.name = text, .line = key->line};
    bool named = sx_str_cut(text, '/', &out->kind, &rest);
    if (out->kind.len == 0 || (named && rest.len == 0))
        return bind_fault(b, key, "\"%.*s\" is no name of a component: write kind or kind/name",
                          SX_ARG(sx_str_first(text, 60)));
    return SX_OK;
}

/* One section: an array of `size` for its pairs, ids filled in, each read by `read`. */
typedef sx_status read_component(bind *b, const sx_yaml_node *key, const sx_yaml_node *value,
                                 void *target);

static sx_status read_section(bind *b, const sx_yaml_node *top, const char *name, size_t size,
                              read_component *read, const void **out, uint32_t *count)
{
    sx_error err;
    const sx_yaml_node *section = sx_yaml_get(top, sx_str_z(name));
    if (sx_yaml_is_null(section))
        return SX_OK;
    if (sx_yaml_expect(section, SX_YAML_MAPPING, &err) != SX_OK || section->count > COMPONENTS_MAX)
        return bind_fault(b, section, "expected a mapping of at most %d components",
                          COMPONENTS_MAX);
    char *items = sx_arena_calloc(b->arena, section->count ? section->count : 1, size);
    if (!items)
        return settings_no_memory(b);
    for (uint32_t i = 0; i < section->count; i++) {
        const sx_yaml_pair *pair = &section->pairs[i];
        component_id *id =
            (component_id *)(void *)(items + i * size); /* the first member of each */
        sx_status st = settings_id(b, pair->key, pair->key->scalar, id);
        if (st == SX_OK)
            st = read(b, pair->key, pair->value, id);
        if (st == SX_ENOMEM)
            return st;
    }
    *out = items;
    *count = section->count;
    return SX_OK;
}

static sx_status read_receiver(bind *b, const sx_yaml_node *key, const sx_yaml_node *value,
                               void *target)
{
    return settings_receiver(b, key, value, target);
}

/* What a kind's table reads, in the arena. */
static sx_status read_own(bind *b, const bind_table *table, const sx_yaml_node *value,
                          const void **out)
{
    static const bind_field NO_FIELDS[] = {{0}};
    static const bind_table NONE = {.fields = NO_FIELDS, .size = 1};
    const bind_table *t = table ? table : &NONE;
    void *own = sx_arena_calloc(b->arena, 1, t->size);
    if (!own)
        return settings_no_memory(b);
    *out = own;
    return bind_read(b, t, value, own);
}

static void list_kind(sx_buf *words, const char *name)
{
    sx_buf_printf(words, "%s%s", words->len ? ", " : "", name);
}

static sx_status unknown_kind(bind *b, const sx_yaml_node *key, const char *what, sx_str kind,
                              sx_buf *words)
{
    sx_status st = bind_fault(b, key, "there is no %s \"%.*s\" here; there are: %.*s", what,
                              SX_ARG(sx_str_first(kind, 60)), SX_ARG(sx_buf_view(words)));
    sx_buf_done(words);
    return st;
}

static sx_status read_processor(bind *b, const sx_yaml_node *key, const sx_yaml_node *value,
                                void *target)
{
    processor_settings *p = target;
    for (const processor_kind *const *k = PROCESSORS; *k; k++) {
        if (!sx_str_eq(p->id.kind, sx_str_z((*k)->name)))
            continue;
        p->kind = *k;
        return read_own(b, (*k)->settings, value, &p->settings);
    }
    sx_buf words;
    sx_buf_init(&words, 300);
    for (const processor_kind *const *k = PROCESSORS; *k; k++)
        list_kind(&words, (*k)->name);
    return unknown_kind(b, key, "processor", p->id.kind, &words);
}

static sx_status read_connector(bind *b, const sx_yaml_node *key, const sx_yaml_node *value,
                                void *target)
{
    connector_settings *c = target;
    for (const span_connector_kind *const *k = SPAN_CONNECTORS; *k; k++) {
        if (!sx_str_eq(c->id.kind, sx_str_z((*k)->name)))
            continue;
        c->kind = *k;
        return read_own(b, (*k)->settings, value, &c->settings);
    }
    sx_buf words;
    sx_buf_init(&words, 300);
    for (const span_connector_kind *const *k = SPAN_CONNECTORS; *k; k++)
        list_kind(&words, (*k)->name);
    return unknown_kind(b, key, "connector", c->id.kind, &words);
}

static const struct {
    const char *name;
    exporter_kind kind;
} EXPORTERS[] = {{"otlp", EXPORT_OTLP},
                 {"otlp_grpc", EXPORT_OTLP},
                 {"otlphttp", EXPORT_OTLPHTTP},
                 {"otlp_http", EXPORT_OTLPHTTP},
                 {"elasticsearch", EXPORT_ELASTICSEARCH},
                 {"kafka", EXPORT_KAFKA},
                 {"file", EXPORT_FILE},
                 {"debug", EXPORT_DEBUG},
                 {"logging", EXPORT_DEBUG},
                 {"nop", EXPORT_NOP}};

static sx_status read_exporter(bind *b, const sx_yaml_node *key, const sx_yaml_node *value,
                               void *target)
{
    exporter_settings *e = target;
    for (size_t i = 0; i < SX_COUNT_OF(EXPORTERS); i++) {
        if (!sx_str_eq(e->id.kind, sx_str_z(EXPORTERS[i].name)))
            continue;
        component_id id = e->id; /* the table zeroes the whole */
        sx_status st = bind_read(b, SETTINGS_EXPORTERS[EXPORTERS[i].kind], value, e);
        e->id = id;
        e->kind = EXPORTERS[i].kind;
        return st;
    }
    sx_buf words;
    sx_buf_init(&words, 300);
    for (size_t i = 0; i < SX_COUNT_OF(EXPORTERS); i++)
        list_kind(&words, EXPORTERS[i].name);
    return unknown_kind(b, key, "exporter", e->id.kind, &words);
}

/* --- service */

/* Finds `name` among components whose first member is their id; `count` if there is none. */
static uint32_t find_component(const void *items, size_t size, uint32_t count, sx_str name)
{
    for (uint32_t i = 0; i < count; i++)
        if (sx_str_eq(((const component_id *)(const void *)((const char *)items + i * size))->name,
                      name))
            return i;
    return count;
}

typedef struct reference_list {
    const char *key, *what;
    const void *items;
    size_t size;
    uint32_t count;
} reference_list;

/* The names in a list of a pipeline, as indices. Names of connectors (where `connectors` is not NULL)
 * go there. */
static sx_status read_references(bind *b, const sx_yaml_node *pipeline, reference_list of,
                                 const uint32_t **out, uint32_t *count, const uint32_t **connectors,
                                 uint32_t *connector_count)
{
    const collector_settings *s = ((settings_reader *)b->user)->settings;
    const sx_yaml_node *list = sx_yaml_get(pipeline, sx_str_z(of.key));
    sx_error err;
    if (sx_yaml_is_null(list))
        return SX_OK;
    if (sx_yaml_expect(list, SX_YAML_SEQUENCE, &err) != SX_OK)
        return bind_fault(b, list, "expected a list of names");
    uint32_t *found = sx_arena_calloc(b->arena, list->count + 1, sizeof(*found));
    uint32_t *joined = sx_arena_calloc(b->arena, list->count + 1, sizeof(*joined));
    if (!found || !joined)
        return settings_no_memory(b);
    *out = found;
    if (connectors)
        *connectors = joined;
    for (uint32_t i = 0; i < list->count; i++) {
        sx_str name;
        sx_status st = bind_text(b, list->items[i], &name);
        if (st == SX_ENOMEM)
            return st;
        if (st != SX_OK)
            continue;
        uint32_t at = find_component(of.items, of.size, of.count, name);
        uint32_t as =
            find_component(s->connectors, sizeof(*s->connectors), s->connector_count, name);
        bool twice = false;
        for (uint32_t k = 0; at < of.count && k < *count; k++)
            twice |= found[k] == at;
        if (twice)
            bind_fault(b, list->items[i], "references %s \"%.*s\" multiple times", of.what,
                       SX_ARG(sx_str_first(name, 60)));
        else if (at < of.count)
            found[(*count)++] = at;
        else if (connectors && as < s->connector_count)
            joined[(*connector_count)++] = as;
        else
            bind_fault(b, list->items[i], "references %s \"%.*s\" which is not configured", of.what,
                       SX_ARG(sx_str_first(name, 60)));
    }
    return SX_OK;
}

static sx_status read_traces(bind *b, const sx_yaml_pair *pair, pipeline_settings *p)
{
    const collector_settings *s = ((settings_reader *)b->user)->settings;
    const sx_yaml_node *map = pair->value;
    reference_list receivers = {"receivers", "receiver", s->receivers, sizeof(*s->receivers),
                                s->receiver_count};
    reference_list processors = {"processors", "processor", s->processors, sizeof(*s->processors),
                                 s->processor_count};
    reference_list exporters = {"exporters", "exporter", s->exporters, sizeof(*s->exporters),
                                s->exporter_count};
    uint32_t faults = b->faults;
    sx_status st =
        read_references(b, map, receivers, &p->receivers, &p->receiver_count, NULL, NULL);
    if (st != SX_ENOMEM)
        st = read_references(b, map, processors, &p->processors, &p->processor_count, NULL, NULL);
    if (st != SX_ENOMEM)
        st = read_references(b, map, exporters, &p->exporters, &p->exporter_count, &p->connectors,
                             &p->connector_count);
    if (st == SX_ENOMEM)
        return st;
    if (b->faults != faults)
        return SX_EFORMAT;
    if (p->receiver_count == 0)
        return bind_fault(b, pair->key, "must have at least one receiver");
    if (p->exporter_count + p->connector_count == 0)
        return bind_fault(b, pair->key, "must have at least one exporter");
    for (uint32_t i = 0; i < p->receiver_count; i++)
        ((receiver_settings *)(uintptr_t)&s->receivers[p->receivers[i]])->used = true;
    return SX_OK;
}

/* Metrics that clients send, and those of connectors, enter our own metric store: what can be named is
 * otlp and connectors, batch and memory_limiter, which need nothing to do there, and exporters that
 * send nothing. */
static sx_status check_metrics(bind *b, const sx_yaml_node *top, const sx_yaml_pair *pair)
{
    static const struct {
        const char *list;
        const char *kinds[4];
        const char *note;
    } ALLOWED[] = {
        {"receivers",
         {"otlp", "spanmetrics", "servicegraph", NULL},
         "a pipeline of metrics takes otlp, spanmetrics and servicegraph"},
        {"processors",
         {"batch", "memory_limiter", NULL, NULL},
         "processors of metrics are not supported; relabel in --config.file"},
        {"exporters",
         {"debug", "nop", NULL, NULL},
         "metrics are kept in this server's own store: name nop here, and remote_write in "
         "--config.file to send them on"},
    };
    for (size_t a = 0; a < SX_COUNT_OF(ALLOWED); a++) {
        const sx_yaml_node *list = sx_yaml_get(pair->value, sx_str_z(ALLOWED[a].list));
        const sx_yaml_node *section = sx_yaml_get(top, sx_str_z(ALLOWED[a].list));
        const sx_yaml_node *connectors = sx_yaml_get(top, SX_STR("connectors"));
        for (uint32_t i = 0; list && list->kind == SX_YAML_SEQUENCE && i < list->count; i++) {
            sx_str name, kind, rest;
            bool allowed = false;
            if (bind_text(b, list->items[i], &name) != SX_OK)
                continue;
            sx_str_cut(name, '/', &kind, &rest);
            for (size_t k = 0; ALLOWED[a].kinds[k]; k++)
                allowed |= sx_str_eq(kind, sx_str_z(ALLOWED[a].kinds[k]));
            if (!allowed)
                bind_fault(b, list->items[i], "\"%.*s\": %s", SX_ARG(sx_str_first(name, 60)),
                           ALLOWED[a].note);
            else if (!sx_yaml_get(section, name) && !sx_yaml_get(connectors, name))
                bind_fault(b, list->items[i], "references %.*s \"%.*s\" which is not configured",
                           (int)strlen(ALLOWED[a].list) - 1, ALLOWED[a].list,
                           SX_ARG(sx_str_first(name, 60)));
        }
    }
    return SX_OK;
}

static sx_status read_pipelines(bind *b, const sx_yaml_node *top, const sx_yaml_node *map)
{
    static const sx_str KEYS[] = {SX_STR_INIT("receivers"), SX_STR_INIT("processors"),
                                  SX_STR_INIT("exporters")};
    collector_settings *s = ((settings_reader *)b->user)->settings;
    pipeline_settings *items = sx_arena_calloc(b->arena, map->count + 1, sizeof(*items));
    if (!items)
        return settings_no_memory(b);
    s->pipelines = items;
    for (uint32_t i = 0; i < map->count; i++) {
        const sx_yaml_pair *pair = &map->pairs[i];
        sx_error err;
        component_id id;
        size_t at = 0;
        if (settings_id(b, pair->key, pair->key->scalar, &id) != SX_OK)
            continue;
        if (sx_yaml_expect(pair->value, SX_YAML_MAPPING, &err) != SX_OK) {
            bind_fault(b, pair->value, "expected receivers, processors and exporters");
            continue;
        }
        const sx_yaml_node *unknown;
        while ((unknown = sx_yaml_unknown_key(pair->value, KEYS, SX_COUNT_OF(KEYS), &at)))
            bind_fault(b, unknown, "unknown field");
        sx_status st = SX_OK;
        if (sx_str_eq(id.kind, SX_STR("traces"))) {
            items[s->pipeline_count].id = id;
            st = read_traces(b, pair, &items[s->pipeline_count++]);
        } else if (sx_str_eq(id.kind, SX_STR("metrics"))) {
            st = check_metrics(b, top, pair);
        } else {
            bind_fault(b, pair->key,
                       "pipelines of \"%.*s\" are not supported; there are traces and metrics",
                       SX_ARG(sx_str_first(id.kind, 60)));
        }
        if (st == SX_ENOMEM)
            return st;
    }
    return SX_OK;
}

static const bind_field LOGS_FIELDS[] = {
    {.key = "level", .kind = BIND_STR, .at = offsetof(collector_settings, log_level)},
    {.key = "development", .kind = BIND_NOTHING},
    {.key = "encoding", .kind = BIND_NOTHING},
    {.key = "disable_caller", .kind = BIND_NOTHING},
    {.key = "disable_stacktrace", .kind = BIND_NOTHING},
    {.key = "sampling", .kind = BIND_NOTHING},
    {.key = "output_paths", .kind = BIND_REFUSED, .note = "logs go to the standard error"},
    {.key = "error_output_paths", .kind = BIND_NOTHING},
    {.key = "initial_fields", .kind = BIND_NOTHING},
    {.key = "processors", .kind = BIND_REFUSED, .note = "see --log.* for where logs go"},
    {0}};
static const bind_table LOGS = {.fields = LOGS_FIELDS};
static const bind_field METRICS_FIELDS[] = {
    {.key = "level", .kind = BIND_NOTHING},
    {.key = "address", .kind = BIND_NOTHING}, /* they are at /metrics of the main port */
    {.key = "readers", .kind = BIND_NOTHING},
    {.key = "views", .kind = BIND_NOTHING},
    {0}};
static const bind_table METRICS = {.fields = METRICS_FIELDS};
static const bind_field TELEMETRY_FIELDS[] = {
    {.key = "logs", .kind = BIND_STRUCT, .table = &LOGS},
    {.key = "metrics", .kind = BIND_STRUCT, .table = &METRICS},
    {.key = "traces", .kind = BIND_NOTHING},
    {.key = "resource", .kind = BIND_NOTHING},
    {0}};
static const bind_table TELEMETRY = {.fields = TELEMETRY_FIELDS};

static sx_status read_telemetry(bind *b, const sx_yaml_node *node, collector_settings *s)
{
    static const char *const LEVELS[] = {"", "debug", "info", "warn", "error"};
    sx_status st = bind_read(b, &TELEMETRY, node, s); /* of size 0 */
    if (st != SX_OK)
        return st;
    for (size_t i = 0; i < SX_COUNT_OF(LEVELS); i++)
        if (sx_str_ieq(s->log_level, sx_str_z(LEVELS[i]))) {
            const sx_yaml_node *level =
                sx_yaml_get(sx_yaml_get(node, SX_STR("logs")), SX_STR("level"));
            return level ? settings_warn(b, level, "has no effect here; there is --log.level")
                         : SX_OK;
        }
    return bind_fault(b, sx_yaml_get(sx_yaml_get(node, SX_STR("logs")), SX_STR("level")),
                      "\"%.*s\" is none of: debug, info, warn, error",
                      SX_ARG(sx_str_first(s->log_level, 60)));
}

static sx_status read_service(bind *b, const sx_yaml_node *top)
{
    static const sx_str KEYS[] = {SX_STR_INIT("pipelines"), SX_STR_INIT("extensions"),
                                  SX_STR_INIT("telemetry")};
    collector_settings *s = ((settings_reader *)b->user)->settings;
    const sx_yaml_node *service = sx_yaml_get(top, SX_STR("service")), *unknown;
    sx_error err;
    size_t at = 0;
    if (!service || sx_yaml_expect(service, SX_YAML_MAPPING, &err) != SX_OK)
        return bind_fault(b, service ? service : top,
                          "service must have at least one pipeline: service: {pipelines: …}");
    while ((unknown = sx_yaml_unknown_key(service, KEYS, SX_COUNT_OF(KEYS), &at)))
        bind_fault(b, unknown, "unknown field");
    const sx_yaml_node *pipelines = sx_yaml_get(service, SX_STR("pipelines"));
    if (!pipelines || sx_yaml_expect(pipelines, SX_YAML_MAPPING, &err) != SX_OK ||
        pipelines->count == 0)
        return bind_fault(b, pipelines ? pipelines : service,
                          "service must have at least one pipeline");
    sx_status st = read_pipelines(b, top, pipelines);
    const sx_yaml_node *telemetry = sx_yaml_get(service, SX_STR("telemetry"));
    if (st != SX_ENOMEM && telemetry)
        st = read_telemetry(b, telemetry, s);
    const sx_yaml_node *list = sx_yaml_get(service, SX_STR("extensions"));
    if (sx_yaml_is_null(list) || st == SX_ENOMEM)
        return st;
    if (sx_yaml_expect(list, SX_YAML_SEQUENCE, &err) != SX_OK)
        return bind_fault(b, list, "expected a list of names");
    for (uint32_t i = 0; i < list->count && st != SX_ENOMEM; i++) {
        sx_str name;
        st = bind_text(b, list->items[i], &name);
        if (st == SX_OK)
            st = settings_extension(b, top, list->items[i], name);
    }
    return st;
}

/* --- The file. */

static sx_status read_top(bind *b, sx_yaml_node *top)
{
    static const sx_str KEYS[] = {SX_STR_INIT("receivers"),  SX_STR_INIT("processors"),
                                  SX_STR_INIT("exporters"),  SX_STR_INIT("connectors"),
                                  SX_STR_INIT("extensions"), SX_STR_INIT("service")};
    collector_settings *s = ((settings_reader *)b->user)->settings;
    const sx_yaml_node *unknown;
    sx_error err;
    size_t at = 0;
    if (sx_yaml_expect(top, SX_YAML_MAPPING, &err) != SX_OK)
        return bind_fault(b, top, "expected receivers, processors, exporters and service");
    while ((unknown = sx_yaml_unknown_key(top, KEYS, SX_COUNT_OF(KEYS), &at)))
        bind_fault(b, unknown,
                   "unknown section; there are receivers, processors, exporters, "
                   "connectors, extensions and service");
    sx_status st = settings_expand(b, top);
    if (st != SX_ENOMEM)
        st = read_section(b, top, "receivers", sizeof(*s->receivers), read_receiver,
                          (const void **)&s->receivers, &s->receiver_count);
    if (st != SX_ENOMEM)
        st = read_section(b, top, "processors", sizeof(*s->processors), read_processor,
                          (const void **)&s->processors, &s->processor_count);
    if (st != SX_ENOMEM)
        st = read_section(b, top, "connectors", sizeof(*s->connectors), read_connector,
                          (const void **)&s->connectors, &s->connector_count);
    if (st != SX_ENOMEM)
        st = read_section(b, top, "exporters", sizeof(*s->exporters), read_exporter,
                          (const void **)&s->exporters, &s->exporter_count);
    if (st != SX_ENOMEM)
        st = settings_extensions(b, top);
    return st == SX_ENOMEM ? st : read_service(b, top);
}

/* What a component that no pipeline names is: configured, but not there. As in the Collector. */
static sx_status warn_unused(bind *b, const sx_yaml_node *top)
{
    const collector_settings *s = ((settings_reader *)b->user)->settings;
    const sx_yaml_node *section = sx_yaml_get(top, SX_STR("receivers"));
    for (uint32_t i = 0; i < s->receiver_count; i++)
        if (!s->receivers[i].used &&
            settings_warn(b, section->pairs[i].key, "is in no pipeline: not opened") != SX_OK)
            return SX_ENOMEM;
    return SX_OK;
}

sx_status collector_settings_parse(sx_str text, sx_str path,
                                   const collector_settings_options *options,
                                   collector_settings **out, sx_buf *problems, sx_error *err)
{
    collector_settings *s = sx_calloc(1, sizeof(*s));
    sx_yaml_file file;
    sx_error own;
    if (!s)
        return sx_fail_memory(err, "a configuration");
    err = err ? err : &own;
    sx_arena_init(&s->arena, 0, 0);
    atomic_init(&s->refs, 1);
    s->path = sx_arena_copy(&s->arena, path);
    settings_reader reader = {.settings = s, .options = options};
    size_t slash = path.len;
    while (slash > 0 && path.data[slash - 1] != '/')
        slash--;
    bind b = {.arena = &s->arena,
              .folder = sx_arena_copy(&s->arena, sx_str_first(path, slash)),
              .problems = problems,
              .ignored = warn_ignored,
              .user = &reader};
    sx_status st = s->path.data && b.folder.data ? SX_OK : SX_ENOMEM;
    if (st == SX_OK) {
        st = sx_yaml_parse(text, path, NULL, &s->arena, &file, err);
        if (st != SX_OK && problems)
            sx_buf_printf(problems, "%s\n", err->message);
        if (st == SX_OK && file.count != 1) {
            st = sx_fail(err, SX_EFORMAT, "%.*s:1:1: expected one YAML document, there are %zu",
                         SX_ARG(path), file.count);
            if (problems)
                sx_buf_printf(problems, "%s\n", err->message);
        }
        if (st == SX_OK) {
            st = read_top(&b, file.documents[0]);
            if (st == SX_OK && b.faults == 0)
                st = warn_unused(&b, file.documents[0]);
        }
    }
    if (b.no_memory || st == SX_ENOMEM)
        st = sx_fail_memory(err, "a configuration");
    else if (b.faults) {
        *err = b.first;
        st = SX_EFORMAT;
    }
    if (st != SX_OK) {
        collector_settings_unref(s);
        return st;
    }
    s->warnings = reader.warnings;
    s->warning_count = (uint32_t)reader.warning_count;
    *out = s;
    return SX_OK;
}

sx_status collector_settings_load(const char *path, const collector_settings_options *options,
                                  collector_settings **out, sx_buf *problems, sx_error *err)
{
    size_t most = options && options->bytes_max ? options->bytes_max : FILE_BYTES_MAX;
    sx_error own;
    sx_buf text;
    err = err ? err : &own;
    sx_buf_init(&text, most);
    sx_status st = sx_file_read(path, most, &text, err);
    if (st == SX_OK)
        st = collector_settings_parse(sx_buf_view(&text), sx_str_z(path), options, out, problems,
                                      err);
    else if (problems)
        sx_buf_printf(problems, "%s\n", err->message);
    sx_buf_done(&text);
    return st;
}

collector_settings *collector_settings_ref(collector_settings *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void collector_settings_unref(collector_settings *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < s->regex_count; i++)
        sx_regex_free(s->regexes[i]);
    sx_arena_done(&s->arena);
    sx_free(s);
}
