/* settings_extensions.c - extensions of a Collector's configuration: health_check, and those that are
 * taken although they have no meaning here.
 *
 * Source: OpenTelemetry Collector 0.140; contrib: healthcheckextension. */
#include "observe/collector/settings_impl.h"

static void default_health(void *target)
{
    *(health_settings *)target =
        (health_settings){.address = SX_STR("localhost:13133"), .path = SX_STR("/")};
}

static const bind_field HEALTH_FIELDS[] = {
    {.key = "endpoint",
     .kind = BIND_STR,
     .flags = BIND_NOT_EMPTY,
     .at = offsetof(health_settings, address)},
    {.key = "path", .kind = BIND_STR, .at = offsetof(health_settings, path)},
    {.key = "response_body", .kind = BIND_NOTHING},
    {.key = "check_collector_pipeline", .kind = BIND_NOTHING},
    {.key = "tls", .kind = BIND_REFUSED, .note = "ask /-/healthy of the main port"},
    {0}};
static const bind_table HEALTH = {
    .fields = HEALTH_FIELDS, .size = sizeof(health_settings), .defaults = default_health};

/* Those that only look into or tune a Go program: taken, with a warning. */
static const struct {
    const char *name, *instead;
} TUNING[] = {{"pprof", "/debug/pprof of the main port"},
              {"zpages", "/metrics and the traces themselves"},
              {"memory_ballast", "nothing, there is no garbage collector"}};

sx_status settings_extension(bind *b, const sx_yaml_node *top, const sx_yaml_node *item,
                             sx_str text)
{
    collector_settings *s = ((settings_reader *)b->user)->settings;
    component_id id;
    const sx_yaml_node *section = sx_yaml_get(top, SX_STR("extensions"));
    sx_status st = settings_id(b, item, text, &id);
    if (st != SX_OK)
        return st;
    if (!sx_yaml_get(section, text))
        return bind_fault(b, item, "references extension \"%.*s\" which is not configured",
                          SX_ARG(sx_str_first(text, 60)));
    if (sx_str_eq(id.kind, SX_STR("health_check"))) {
        st = bind_read(b, &HEALTH, sx_yaml_get(section, text), &s->health);
        s->health.on = true;
        return st;
    }
    return SX_OK;
}

sx_status settings_extensions(bind *b, const sx_yaml_node *top)
{
    sx_error err;
    const sx_yaml_node *section = sx_yaml_get(top, SX_STR("extensions"));
    if (sx_yaml_is_null(section))
        return SX_OK;
    if (sx_yaml_expect(section, SX_YAML_MAPPING, &err) != SX_OK)
        return bind_fault(b, section, "expected a mapping");
    for (uint32_t i = 0; i < section->count; i++) {
        const sx_yaml_node *key = section->pairs[i].key;
        component_id id;
        size_t k;
        if (settings_id(b, key, key->scalar, &id) != SX_OK ||
            sx_str_eq(id.kind, SX_STR("health_check")))
            continue;
        for (k = 0; k < SX_COUNT_OF(TUNING); k++)
            if (sx_str_eq(id.kind, sx_str_z(TUNING[k].name)))
                break;
        if (k == SX_COUNT_OF(TUNING))
            bind_fault(b, key,
                       "there is no extension \"%.*s\" here; there are: health_check, pprof, "
                       "zpages, memory_ballast",
                       SX_ARG(sx_str_first(id.kind, 60)));
        else if (settings_warn(b, key, "has no meaning here; there is %s", TUNING[k].instead) !=
                 SX_OK)
            return SX_ENOMEM;
    }
    return SX_OK;
}
