/* jaeger_v3.c - /api/v3 of Jaeger over HTTP: from a call to observe/jaeger and back. */
#include "observe/jaeger/v3.h"

#include "observe/api/api.h"

static sx_str get_param(void *ctx, const char *name)
{
    const api_call *c = ctx;
    return api_form_address(&c->form, name);
}

static bool put_piece(void *ctx, sx_str piece)
{
    return api_call_push(ctx, piece);
}

static void fail(api_call *c, int status, const sx_error *err)
{
    if (c->pushed) {
        c->broken = true;
        return;
    }
    api_text(c, status, SX_STR(""));
    c->headers[c->header_count++] =
        (sx_header){SX_STR("X-Content-Type-Options"), SX_STR("nosniff")};
    jaeger_v3_error(status, err, &c->out);
}

static void refuse(api_call *c, int status, sx_str message)
{
    sx_error err = {0};
    sx_fail(&err, SX_ELIMIT, "%.*s", SX_ARG(message));
    c->header_count = 0;
    fail(c, status, &err);
}

static int work_trace(jaeger_v3 *q, sx_error *err)
{
    const api_call *c = q->ctx;
    return jaeger_v3_trace(q, sx_request_param(c->r, "id"), err);
}

static void answer(api_call *c, jaeger_v3_work *work)
{
    sx_error err = {0};
    jaeger_v3 q = {
        .store = c->api->traces,
        .archive = {c->api->archive, c->api->archive_ctx},
        .limits = {.canceled = &c->canceled,
                   .deadline_ms = sx_clock_ms(c->api->clock) + c->api->flags->query_timeout_ms,
                   .bytes_max = c->api->flags->traces_query_memory_max},
        .arena = &c->arena,
        .param = get_param,
        .put = put_piece,
        .ctx = c};
    c->refuse = refuse;
    if (c->r->method == SX_POST)
        q.body = c->r->body;
    if (!q.store) {
        sx_fail(&err, SX_EUNSUPPORTED, "there is no store of traces: --traces.store=off");
        fail(c, 501, &err);
        return;
    }
    c->status = 200;
    c->content_type = SX_STR("application/json");
    int status = work(&q, &err);
    if (status != 200)
        fail(c, status, &err);
}

void api_jaeger_v3_services(api_call *c)
{
    answer(c, jaeger_v3_services);
}

void api_jaeger_v3_operations(api_call *c)
{
    answer(c, jaeger_v3_operations);
}

void api_jaeger_v3_dependencies(api_call *c)
{
    answer(c, jaeger_v3_dependencies);
}

void api_jaeger_v3_traces(api_call *c)
{
    answer(c, jaeger_v3_traces);
}

void api_jaeger_v3_trace(api_call *c)
{
    answer(c, work_trace);
}

void api_jaeger_v3_summaries(api_call *c)
{
    answer(c, jaeger_v3_summaries);
}
