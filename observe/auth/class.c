/* class.c - the table of class.h. */
#include "observe/auth/class.h"

enum { GET = 1 << SX_GET | 1 << SX_HEAD, POST = 1 << SX_POST, ANY = ~0, CHANGE = ANY & ~GET };

/* The first row that fits decides. A path that ends in '*' stands for all that begin so. */
static const struct {
    const char *path;
    int methods;
    auth_class class;
} ROWS[] = {
    /* A browser's question before the real one never has credentials. */
    {"*", 1 << SX_OPTIONS, AUTH_CLASS_OPEN},

    {"/-/healthy", GET, AUTH_CLASS_OPEN},
    {"/-/ready", GET, AUTH_CLASS_OPEN},
    {"/health/live", GET, AUTH_CLASS_OPEN},
    {"/health/ready", GET, AUTH_CLASS_OPEN},
    {"/health/detailed", GET, AUTH_CLASS_METRICS},
    {"/tempo/ready", GET, AUTH_CLASS_OPEN},
    {"/ready", GET, AUTH_CLASS_OPEN},
    {"/api/health", GET, AUTH_CLASS_OPEN},
    {"/-/*", ANY, AUTH_CLASS_ADMIN},

    /* Signing in, and one's own account. */
    {"/login*", ANY, AUTH_CLASS_OPEN},
    {"/api/login*", ANY, AUTH_CLASS_OPEN},
    {"/api/logout", ANY, AUTH_CLASS_OPEN},
    {"/api/user/stars*", ANY, AUTH_CLASS_STAR},
    {"/api/user", ANY, AUTH_CLASS_OPEN},
    {"/api/user/*", ANY, AUTH_CLASS_SELF},
    {"/api/admin/*", ANY, AUTH_CLASS_ADMIN},

    /* What is scraped. */
    {"/metrics", GET, AUTH_CLASS_METRICS},
    {"/collect/*", GET, AUTH_CLASS_METRICS},

    /* What is stored. On the receivers' own listeners their peers' paths. */
    {"/api/v1/write", POST, AUTH_CLASS_INTAKE},
    {"/api/v1/otlp/*", POST, AUTH_CLASS_INTAKE},
    {"/v1/traces", POST, AUTH_CLASS_INTAKE},
    {"/v1/metrics", POST, AUTH_CLASS_INTAKE},
    {"/v1/logs", POST, AUTH_CLASS_INTAKE},
    {"/v1development/profiles", POST, AUTH_CLASS_INTAKE},
    {"/api/v1/spans", POST, AUTH_CLASS_INTAKE},
    {"/api/v2/spans", POST, AUTH_CLASS_INTAKE},
    {"/api/traces", POST, AUTH_CLASS_INTAKE},
    {"/opentelemetry.proto.collector.*", POST, AUTH_CLASS_INTAKE},
    {"/jaeger.api_v2.CollectorService/*", POST, AUTH_CLASS_INTAKE},
    {"/jaeger.api_v2.SamplingManager/*", POST, AUTH_CLASS_INTAKE},
    {"/sampling", GET, AUTH_CLASS_INTAKE},
    {"/api/sampling", GET, AUTH_CLASS_INTAKE},
    {"/baggageRestrictions", GET, AUTH_CLASS_INTAKE},
    {"/jaeger.api_v2.QueryService/ArchiveTrace", POST, AUTH_CLASS_EDIT},
    {"/jaeger.api_v2.QueryService/*", POST, AUTH_CLASS_READ},
    {"/jaeger.api_v3.QueryService/*", POST, AUTH_CLASS_READ},
    {"/jaeger.api_v2.metrics.*", POST, AUTH_CLASS_READ},
    {"/jaeger.storage.*", POST, AUTH_CLASS_READ},
    {"/grpc.health.v1.Health/*", POST, AUTH_CLASS_OPEN},
    {"/grpc.reflection.*", POST, AUTH_CLASS_READ},

    /* What changes or ends something for everybody. */
    {"/api/v1/admin/*", ANY, AUTH_CLASS_ADMIN},
    {"/api/v1/status/logs", GET, AUTH_CLASS_ADMIN}, /* lines name users and addresses */
    {"/api/archive/*", POST, AUTH_CLASS_EDIT},

    /* Dashboards, folders, annotations and rules of one's own: reading, searching and asking by POST, changing. */
    {"/api/ds/query", POST, AUTH_CLASS_READ},
    {"/api/transform", POST, AUTH_CLASS_READ},
    {"/api/dashboards*", CHANGE, AUTH_CLASS_EDIT},
    {"/api/folders*", CHANGE, AUTH_CLASS_EDIT},
    {"/api/annotations*", CHANGE, AUTH_CLASS_EDIT},
    {"/api/snapshots*", CHANGE, AUTH_CLASS_EDIT},
    {"/api/library-elements*", CHANGE, AUTH_CLASS_EDIT},
    {"/api/playlists*", CHANGE, AUTH_CLASS_EDIT},
    {"/api/datasources/proxy/*", GET | POST, AUTH_CLASS_READ},
    {"/api/datasources*", CHANGE, AUTH_CLASS_ADMIN},
    {"/api/v1/silences*", CHANGE, AUTH_CLASS_EDIT},
    {"/api/v2/silence*", CHANGE, AUTH_CLASS_EDIT},
    {"/api/v2/alerts", POST, AUTH_CLASS_INTAKE},

    /* PromQL's readers take forms, too; remote read is a question. */
    {"/api/v1/query*", GET | POST, AUTH_CLASS_READ},
    {"/api/v1/format_query", GET | POST, AUTH_CLASS_READ},
    {"/api/v1/parse_query", GET | POST, AUTH_CLASS_READ},
    {"/api/v1/labels", GET | POST, AUTH_CLASS_READ},
    {"/api/v1/series", GET | POST, AUTH_CLASS_READ},
    {"/api/v1/search/*", GET | POST, AUTH_CLASS_READ},
    {"/api/v1/read", POST, AUTH_CLASS_READ},
    {"/api/v3/traces*", GET | POST, AUTH_CLASS_READ},
    {"/api/v3/trace-summaries", GET | POST, AUTH_CLASS_READ},

    /* Whatever else is only read. */
    {"/api/*", GET, AUTH_CLASS_READ},
    {"/tempo/*", GET, AUTH_CLASS_READ},
    {"/federate", GET, AUTH_CLASS_READ},
    {"/version", GET, AUTH_CLASS_OPEN},
};

/* The interface's page and files, which hold no data: one page for all of its addresses. */
static bool is_page(sx_str route)
{
    static const char *const PAGES[] = {
        "/",
        "",
        "/assets/:name",
        "/alerts",
        "/rules",
        "/targets",
        "/status",
        "/flags",
        "/config",
        "/explore",
        "/tsdb-status",
        "/service-discovery",
        "/dashboards",
        "/d/:uid",
        "/d/:uid/:slug",
        "/alertmanager-discovery",
        "/traces",
        "/query",
        "/trace/:id",
        "/search",
        "/graph",
        "/account",
        "/admin",
        "/d-solo/:uid/:slug",
        "/d-solo/:uid",
        "/d/:uid/:slug/edit",
        "/dashboards/*",
        "/history",
        "/dashboard/*",
        "/metrics-browser",
        "/map",
        "/silences",
    };
    for (size_t i = 0; i < SX_COUNT_OF(PAGES); i++)
        if (sx_str_eq(route, sx_str_z(PAGES[i])))
            return true;
    return false;
}

auth_class auth_class_of(sx_method method, sx_str route, sx_str path)
{
    sx_str asked = sx_str_eq(route, SX_STR("/*")) ? path : route;
    if ((method == SX_GET || method == SX_HEAD) && is_page(asked))
        return AUTH_CLASS_OPEN;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_str row = sx_str_z(ROWS[i].path);
        if (!(ROWS[i].methods & 1 << method))
            continue;
        bool begins = row.data[row.len - 1] == '*';
        if (begins ? sx_str_starts(asked, sx_str_first(row, row.len - 1)) : sx_str_eq(asked, row))
            return ROWS[i].class;
    }
    return AUTH_CLASS_UNKNOWN;
}
