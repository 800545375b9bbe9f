/* builtin.c - what every service answers of itself: /metrics, the rows of /health, and the form of its
 * errors. */
#include <sextant/json.h>

#include "service/service_internal.h"

static const sx_str JSON_TYPE = SX_STR_INIT("application/json");

void sx_reply_error(sx_request *r, int status, const char *message)
{
    sx_buf text;
    sx_json_writer w;
    sx_buf_init(&text, 0);
    sx_json_writer_init(&w, &text, NULL);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("error"));
    sx_json_str(&w, sx_str_z(message ? message : sx_http_reason(status)));
    sx_json_end_object(&w);
    if (sx_json_writer_finish(&w, NULL) == SX_OK)
        sx_reply(r, status, JSON_TYPE, sx_buf_view(&text));
    else
        sx_reply_static(r, status, SX_STR("text/plain"), sx_str_z(sx_http_reason(status)));
    sx_buf_done(&text);
}

sx_buf *sx_loop_text(const sx_request *r)
{
    sx_service *s = sx_request_service(r);
    sx_buf *text = &s->loops[sx_loop_index(r->loop)].text;
    sx_buf_clear(text);
    return text;
}

void sx_reply_json(sx_request *r, int status, sx_json_writer *w, sx_buf *text)
{
    if (sx_json_writer_finish(w, NULL) || text->failed)
        sx_reply_error(r, 503, NULL);
    else
        sx_reply(r, status, JSON_TYPE, sx_buf_view(text));
}

/* Checks are asked now, before the registry is locked: their metrics show what they say. */
static void answer_metrics(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_service *s = sx_request_service(r);
    sx_buf *text = sx_loop_text(r);
    sx_error err = {0};
    sx_metrics_encoding encoding = sx_metrics_negotiate(sx_request_header(r, SX_STR("accept")));
    (void)sx_health_each(s->health, NULL, NULL);
    if (sx_metrics_encode(s->metrics, encoding, text, &err)) {
        sx_reply_error(r, 503, err.message);
        return;
    }
    sx_reply(r, 200, sx_metrics_content_type(encoding), sx_buf_view(text));
}

const sx_route SX_BUILTIN_ROUTES[] = {
    {SX_GET, "/metrics", answer_metrics, .flags = SX_ROUTE_UNLIMITED},
    {SX_GET, "/health/live", sx_answer_live, .flags = SX_ROUTE_UNLIMITED},
    {SX_GET, "/health/ready", sx_answer_ready, .flags = SX_ROUTE_UNLIMITED},
    {SX_GET, "/health/detailed", sx_answer_detailed, .flags = SX_ROUTE_UNLIMITED},
};
const size_t SX_BUILTIN_ROUTE_COUNT = SX_COUNT_OF(SX_BUILTIN_ROUTES);
