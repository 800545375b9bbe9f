/* builtin.c - what every service answers of itself: /metrics, /health/live, /health/ready, and the
 * form of its errors. */
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

/* The loop's own buffer, empty: what was sent from it was copied. */
static sx_buf *loop_text(const sx_request *r)
{
    sx_service *s = sx_request_service(r);
    sx_buf *text = &s->loops[sx_loop_index(r->loop)].text;
    sx_buf_clear(text);
    return text;
}

static void answer_metrics(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_service *s = sx_request_service(r);
    sx_buf *text = loop_text(r);
    sx_error err = {0};
    sx_metrics_encoding encoding = sx_metrics_negotiate(sx_request_header(r, SX_STR("accept")));
    if (sx_metrics_encode(s->metrics, encoding, text, &err)) {
        sx_reply_error(r, 503, err.message);
        return;
    }
    sx_reply(r, 200, sx_metrics_content_type(encoding), sx_buf_view(text));
}

static void answer_live(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply_static(r, 200, JSON_TYPE, SX_STR("{\"status\":\"alive\"}"));
}

/* Writes one check as "name":"ok" or "name":"why not"; whether it was well. */
static bool write_check(sx_json_writer *w, const char *name, sx_status status, const char *why)
{
    sx_json_key(w, sx_str_z(name));
    sx_json_str(w, status == SX_OK ? SX_STR("ok") : sx_str_z(why));
    return status == SX_OK;
}

static void answer_ready(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_service *s = sx_request_service(r);
    const sx_service_def *def = s->def;
    sx_buf checks;
    sx_json_writer w;
    sx_buf_init(&checks, 0);
    sx_json_writer_init(&w, &checks, NULL);
    sx_json_begin_object(&w);
    bool ready = true;
    if (__atomic_load_n(&s->draining, __ATOMIC_ACQUIRE))
        ready = write_check(&w, "shutdown", SX_ECLOSED, "the service is stopping");
    for (size_t i = 0; i < def->check_count; i++) {
        sx_error err = {0};
        sx_status status = def->checks[i].ask(def->checks[i].ctx, &err);
        ready &= write_check(&w, def->checks[i].name, status,
                             err.message[0] ? err.message : sx_status_name(status));
    }
    sx_json_end_object(&w);
    sx_buf *text = loop_text(r);
    sx_buf_printf(text, "{\"status\":\"%s\",\"checks\":", ready ? "ready" : "not_ready");
    sx_status written = sx_json_writer_finish(&w, NULL);
    sx_buf_str(text, sx_buf_view(&checks));
    sx_buf_byte(text, '}');
    sx_buf_done(&checks);
    if (written || text->failed)
        sx_reply_error(r, 503, NULL);
    else
        sx_reply(r, ready ? 200 : 503, JSON_TYPE, sx_buf_view(text));
}

const sx_route SX_BUILTIN_ROUTES[] = {
    {SX_GET, "/metrics", answer_metrics},
    {SX_GET, "/health/live", answer_live},
    {SX_GET, "/health/ready", answer_ready},
};
const size_t SX_BUILTIN_ROUTE_COUNT = SX_COUNT_OF(SX_BUILTIN_ROUTES);
