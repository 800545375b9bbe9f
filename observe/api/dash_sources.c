/* dash_sources.c - data sources: our own three, as Grafana's tools ask for them. They are part of the
 * server, so that nothing about them can be changed. */
#include "observe/api/dash.h"

typedef struct source {
    int64_t id;
    const char *uid, *name, *type, *path, *json;
    const char *healthy; /* what its health says */
} source;

static const source SOURCES[] = {
    {1, "prometheus", "Prometheus", "prometheus", "",
     "{\"httpMethod\":\"POST\",\"prometheusType\":\"Prometheus\"}",
     "Successfully queried the Prometheus API."},
    {2, "tempo", "Tempo", "tempo", "/tempo", "{}", "Data source is working"},
    {3, "jaeger", "Jaeger", "jaeger", "", "{}", "Data source is working"},
};

/* The one that the path names; NULL: none, and the answer is written. */
static const source *find(api_call *c)
{
    static const char *const PARAMS[] = {"uid", "name", "id"};
    sx_str asked = {0};
    int64_t id = dash_path_i64(c, "id");
    size_t by = 0;
    for (; by < SX_COUNT_OF(PARAMS) && !asked.data; by++)
        asked = sx_request_param(c->r, PARAMS[by]);
    for (size_t i = 0; i < SX_COUNT_OF(SOURCES); i++) {
        const char *known = by == 1 ? SOURCES[i].uid : SOURCES[i].name;
        if (by == 3 ? SOURCES[i].id == id : sx_str_eq(asked, sx_str_z(known)))
            return &SOURCES[i];
    }
    dash_message(c, 404, SX_STR("Data source not found"));
    return NULL;
}

static void put_source(sx_json_writer *w, api_call *c, const source *s, bool whole)
{
    sx_str url = sx_arena_printf(&c->arena, "%.*s%s", SX_ARG(c->api->external_url), s->path);
    sx_str logo = sx_arena_printf(&c->arena, "public/app/plugins/datasource/%s/img/%s_logo.svg",
                                  s->type, s->type);
    key_i64(w, "id", s->id);
    key_str(w, "uid", sx_str_z(s->uid));
    key_i64(w, "orgId", 1);
    key_str(w, "name", sx_str_z(s->name));
    key_str(w, "type", sx_str_z(s->type));
    if (!whole)
        key_str(w, "typeName", sx_str_z(s->name));
    key_str(w, "typeLogoUrl", whole ? SX_STR("") : logo);
    key_str(w, "access", SX_STR("proxy"));
    key_str(w, "url", url);
    key_str(w, "user", SX_STR(""));
    key_str(w, "database", SX_STR(""));
    key_bool(w, "basicAuth", false);
    if (whole) {
        key_str(w, "basicAuthUser", SX_STR(""));
        key_bool(w, "withCredentials", false);
    }
    key_bool(w, "isDefault", s->id == 1);
    sx_json_key(w, SX_STR("jsonData"));
    sx_json_raw_value(w, sx_str_z(s->json));
    if (whole) {
        sx_json_key(w, SX_STR("secureJsonFields"));
        sx_json_raw_value(w, SX_STR("{}"));
        key_i64(w, "version", 1);
    }
    key_bool(w, "readOnly", true);
}

void dash_http_sources(api_call *c)
{
    sx_json_writer w;
    dash_answer(c, &w);
    sx_json_begin_array(&w);
    for (size_t i = 0; i < SX_COUNT_OF(SOURCES); i++) {
        sx_json_begin_object(&w);
        put_source(&w, c, &SOURCES[i], false);
        sx_json_end_object(&w);
    }
    sx_json_end_array(&w);
}

/* The source that is asked for, its answer's object begun; NULL: there is none, and that is answered. */
static const source *begin(api_call *c, sx_json_writer *w)
{
    const source *s = find(c);
    if (!s)
        return NULL;
    dash_answer(c, w);
    sx_json_begin_object(w);
    return s;
}

void dash_http_source(api_call *c)
{
    sx_json_writer w;
    const source *s = begin(c, &w);
    if (!s)
        return;
    put_source(&w, c, s, true);
    sx_json_end_object(&w);
}

void dash_http_source_id(api_call *c)
{
    sx_json_writer w;
    const source *s = begin(c, &w);
    if (!s)
        return;
    key_i64(&w, "id", s->id);
    sx_json_end_object(&w);
}

/* They are this server: what answers is well, but for traces that are switched off. */
void dash_http_source_health(api_call *c)
{
    sx_json_writer w;
    const source *s = begin(c, &w);
    if (!s)
        return;
    bool well = s->id == 1 || c->api->traces;
    c->status = well ? 200 : 400;
    key_str(&w, "message",
            well ? sx_str_z(s->healthy) : SX_STR("no traces are kept: --traces.store=false"));
    key_str(&w, "status", well ? SX_STR("OK") : SX_STR("ERROR"));
    sx_json_end_object(&w);
}

/* ---- what cannot be ---- */

void dash_http_source_add(api_call *c)
{
    sx_json r;
    sx_str key, name = {0};
    if (!dash_body(c, &r))
        return;
    while (sx_json_next_key(&r, &key))
        if (sx_str_eq(key, SX_STR("name")))
            dash_read_str(&r, &name);
    if (!dash_body_finish(c, &r))
        return;
    for (size_t i = 0; i < SX_COUNT_OF(SOURCES); i++)
        if (sx_str_eq(name, sx_str_z(SOURCES[i].name))) {
            dash_message(c, 409, SX_STR("data source with the same name already exists"));
            return;
        }
    dash_message(c, 405,
                 SX_STR("data sources are provisioned: this server's own metrics and traces are "
                        "prometheus, tempo and jaeger, and there are no others"));
}

void dash_http_source_change(api_call *c)
{
    if (find(c))
        dash_message(c, 403, SX_STR("Cannot update read-only data source"));
}

void dash_http_source_delete(api_call *c)
{
    if (find(c))
        dash_message(c, 403, SX_STR("Cannot delete read-only data source"));
}

/* ---- the server, as Grafana's tools ask for it ---- */

/* The version of Grafana's API that this one follows, which tools compare, and then ours. */
static sx_str version_of(api_call *c)
{
    return sx_arena_printf(&c->arena, "12.3.0+sextant.%s", c->api->version);
}

void dash_http_health(api_call *c)
{
    sx_json_writer w;
    dash_index *index;
    sx_error err = {0};
    bool well = dash_index_get(c->api->dashboards, &index, &err) == SX_OK;
    if (well)
        dash_index_unref(index);
    dash_answer(c, &w);
    c->status = well ? 200 : 503;
    sx_json_begin_object(&w);
    key_str(&w, "commit", SX_STR("sextant"));
    key_str(&w, "database", well ? SX_STR("ok") : SX_STR("failing"));
    key_str(&w, "version", version_of(c));
    sx_json_end_object(&w);
}

void dash_http_org(api_call *c)
{
    sx_json_writer w;
    dash_answer(c, &w);
    sx_json_begin_object(&w);
    key_i64(&w, "id", 1);
    key_str(&w, "name", SX_STR("Main Org."));
    sx_json_end_object(&w);
}

void dash_http_settings(api_call *c)
{
    sx_json_writer w;
    dash_answer(c, &w);
    sx_json_begin_object(&w);
    key_str(&w, "defaultDatasource", sx_str_z(SOURCES[0].name));
    sx_json_key(&w, SX_STR("datasources"));
    sx_json_begin_object(&w);
    for (size_t i = 0; i < SX_COUNT_OF(SOURCES); i++) {
        sx_json_key(&w, sx_str_z(SOURCES[i].name));
        sx_json_begin_object(&w);
        put_source(&w, c, &SOURCES[i], false);
        sx_json_end_object(&w);
    }
    sx_json_end_object(&w);
    sx_json_key(&w, SX_STR("buildInfo"));
    sx_json_begin_object(&w);
    key_str(&w, "version", version_of(c));
    key_str(&w, "commit", SX_STR("sextant"));
    key_str(&w, "edition", SX_STR("Open Source"));
    key_str(&w, "env", SX_STR("production"));
    sx_json_end_object(&w);
    key_str(&w, "appSubUrl", c->api->prefix);
    sx_json_end_object(&w);
}
