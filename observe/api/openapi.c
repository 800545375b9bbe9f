/* openapi.c - /openapi.yaml: the description of the API, with this server's address and version. */
#include <stdio.h>

#include <sextant/static.h>

#include "observe/api/api.h"

extern const sx_assets OBSERVE_OPENAPI; /* openapi.yaml, by scripts/embed.py */

void api_openapi(sx_request *r, void *ctx)
{
    static const sx_str LATER = SX_STR_INIT("  # Since OpenAPI 3.2.\n");
    const observe_api *a = ctx;
    sx_str asked = sx_request_query(r, "openapi_version");
    bool later = sx_str_eq(asked, SX_STR("3.2")) || sx_str_eq(asked, SX_STR("3.2.0"));
    sx_str text = sx_str_of(OBSERVE_OPENAPI.items[0].bytes, OBSERVE_OPENAPI.items[0].len);
    sx_str shown = later ? text : sx_str_first(text, sx_str_find(text, LATER));
    sx_buf out;
    sx_buf_init(&out, 0);
    sx_buf_printf(
        &out,
        "openapi: %s\n"
        "info: {title: Sextant's metrics and traces, version: \"%s\", description: The HTTP APIs of "
        "Prometheus, Jaeger and Tempo}\n"
        "servers:\n"
        "  - url: ",
        later ? "3.2.0" : "3.1.0", a->version);
    sx_str url = a->external_url;
    api_json_text(&out, url); /* JSON's texts are YAML's, too */
    if (!out.failed)
        out.len--;
    sx_buf_str(&out, SX_STR("/api/v1\"\n"));
    sx_buf_str(&out, shown);
    api_add_cors(a, r);
    (void)sx_reply_header(r, SX_STR("Cache-Control"),
                          SX_STR("no-cache, no-store, must-revalidate"));
    if (out.failed)
        sx_reply_error(r, 500, "out of memory for the answer");
    else
        sx_reply(r, 200, SX_STR("application/yaml; charset=utf-8"), sx_buf_view(&out));
    sx_buf_done(&out);
}
