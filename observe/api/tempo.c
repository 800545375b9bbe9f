/* tempo.c - Tempo's API: from a call to observe/tempo and back. */
#include "observe/api/api.h"
#include "observe/tempo/tempo.h"

/* A long answer goes out by pieces: while a slow client takes it, it is on the question's account. */
static void push_long(api_call *c)
{
    if (c->status != 200 || c->out.failed || c->out.len < 2 * API_PIECE_BYTES)
        return;
    sx_buf whole = c->out;
    sx_buf_init(&c->out, 0);
    sx_str rest = sx_buf_view(&whole);
    while (rest.len) {
        sx_str piece = sx_str_first(rest, API_PIECE_BYTES);
        rest = sx_str_of(rest.data + piece.len, rest.len - piece.len);
        if (!api_call_push(c, piece))
            break;
    }
    c->broken |= rest.len > 0;
    sx_buf_done(&whole);
}

static void answer(api_call *c, tempo_work *work)
{
    const api_form *f = &c->form;
    uint64_t now_ns = (uint64_t)sx_clock_ns(c->api->clock);
    tempo_param *params = sx_arena_calloc(&c->arena, f->count + 1, sizeof *params);
    if (!c->api->traces) {
        api_text(c, 501, SX_STR("there is no store of traces: --traces.store is off\n"));
        return;
    }
    if (!params) {
        api_text(c, 503, SX_STR("out of memory\n"));
        return;
    }
    for (size_t i = 0; i < f->count; i++)
        params[i] = (tempo_param){f->items[i].name, f->items[i].value};
    sx_str accept = sx_request_header(c->r, SX_STR("accept"));
    tempo_call call = {
        .store = c->api->traces,
        .arena = &c->arena,
        .params = params,
        .param_count = f->count,
        .name = sx_request_param(c->r, "id"),
        .protobuf = sx_str_find(accept, SX_STR("application/protobuf")) < accept.len,
        .now_ns = now_ns,
        .limits = {.canceled = &c->canceled,
                   .deadline_ms = (int64_t)(now_ns / 1000000) + c->api->flags->query_timeout_ms,
                   .bytes_max = api_question_bytes(c->api) / 2},
        .version = c->api->version,
        .out = &c->out,
    };
    work(&call);
    c->status = call.status;
    c->content_type = call.content_type;
    push_long(c);
}

void api_tempo_trace(api_call *c)
{
    answer(c, tempo_trace);
}

void api_tempo_trace_v2(api_call *c)
{
    answer(c, tempo_trace_v2);
}

void api_tempo_search(api_call *c)
{
    answer(c, tempo_search);
}

void api_tempo_tags(api_call *c)
{
    answer(c, tempo_tags);
}

void api_tempo_tags_v2(api_call *c)
{
    answer(c, tempo_tags_v2);
}

void api_tempo_tag_values(api_call *c)
{
    answer(c, tempo_tag_values);
}

void api_tempo_tag_values_v2(api_call *c)
{
    answer(c, tempo_tag_values_v2);
}

void api_tempo_query_range(api_call *c)
{
    answer(c, tempo_query_range);
}

void api_tempo_query(api_call *c)
{
    answer(c, tempo_query);
}

void api_tempo_echo(api_call *c)
{
    answer(c, tempo_echo);
}

void api_tempo_build_info(api_call *c)
{
    answer(c, tempo_build_info);
}

void api_tempo_ready(api_call *c)
{
    answer(c, tempo_ready);
}
