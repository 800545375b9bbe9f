/* call.c - a request's way from its loop to a thread and back.
 *
 *     start ── submit ─▶ work (thread) ─▶ worked (loop) ── whole: reply, end
 *                ▲                            │ more: begin, write
 *                └── drained ◀── SX_AGAIN ────┘
 *
 * The call owns a hold on its request until it ends. */
#include <stdio.h>
#include <time.h>

#include <sextant/mem.h>

#include "observe/api/api.h"
#include "observe/auth/auth.h"

enum { ARENA_BYTES = 16 << 10, STOP_LOOK_NS = 200000000 };

static void submit(api_call *c);

/* ---- answers ---- */

void api_success(api_call *c)
{
    c->status = 200;
    c->content_type = SX_STR("application/json");
    sx_buf_clear(&c->out);
    sx_buf_str(&c->out, SX_STR("{\"status\":\"success\""));
}

void api_fail(api_call *c, api_fault fault, sx_str message)
{
    static const struct {
        int status;
        const char *name;
    } KINDS[] = {
        [API_TIMEOUT] = {503, "timeout"},     [API_CANCELED] = {499, "canceled"},
        [API_EXECUTION] = {422, "execution"}, [API_BAD_DATA] = {400, "bad_data"},
        [API_INTERNAL] = {500, "internal"},   [API_UNAVAILABLE] = {500, "unavailable"},
        [API_NOT_FOUND] = {404, "not_found"},
    };
    c->status = KINDS[fault].status;
    c->content_type = SX_STR("application/json");
    c->more = false;
    sx_buf_clear(&c->out);
    sx_buf_printf(&c->out,
                  "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":", KINDS[fault].name);
    api_json_text(&c->out, message);
    sx_buf_byte(&c->out, '}');
}

void api_fail_param(api_call *c, const char *name, const sx_error *err)
{
    sx_str text = sx_arena_printf(&c->arena, "invalid parameter \"%s\": %s", name, err->message);
    api_fail(c, err->status == SX_ENOMEM ? API_INTERNAL : API_BAD_DATA,
             text.data ? text : SX_STR("out of memory"));
}

void api_fail_store(api_call *c, const sx_error *err)
{
    api_fault fault = atomic_load(&c->canceled)  ? API_CANCELED
                      : err->status == SX_ENOMEM ? API_INTERNAL
                                                 : API_EXECUTION;
    api_fail(c, fault, sx_str_z(err->message));
}

void api_no_content(api_call *c)
{
    c->status = 204;
    c->content_type = SX_STR("");
    sx_buf_clear(&c->out);
}

void api_text(api_call *c, int status, sx_str text)
{
    c->status = status;
    c->content_type = SX_STR("text/plain; charset=utf-8");
    sx_buf_clear(&c->out);
    sx_buf_str(&c->out, text);
}

/* ---- the loop's half ---- */

static void finish(api_call *c)
{
    pthread_cond_destroy(&c->sent);
    pthread_mutex_destroy(&c->lock);
    if (c->done)
        c->done(c);
    sx_request_release(c->r);
    sx_buf_done(&c->out);
    sx_arena_done(&c->arena);
    sx_mem_account_done(&c->account);
    sx_free(c);
}

/* `.*` lets everybody in. */
void api_add_cors(const observe_api *a, sx_request *r)
{
    sx_str origin = sx_request_header(r, SX_STR("origin"));
    (void)sx_reply_header(r, SX_STR("Vary"), SX_STR("Origin"));
    if (!origin.len || !a->cors || !sx_regex_match(a->cors, origin))
        return;
    (void)sx_reply_header(r, SX_STR("Access-Control-Allow-Origin"), origin);
    (void)sx_reply_header(r, SX_STR("Access-Control-Allow-Headers"),
                          SX_STR("Accept, Authorization, Content-Type, Origin"));
    (void)sx_reply_header(r, SX_STR("Access-Control-Allow-Methods"), SX_STR("GET, POST, OPTIONS"));
    (void)sx_reply_header(r, SX_STR("Access-Control-Expose-Headers"), SX_STR("Date"));
}

/* Without memory for an answer: before it begins it can still be told. */
static void give_up(api_call *c)
{
    if (c->begun)
        sx_reply_abort(c->r);
    else
        sx_reply(c->r, 500, SX_STR("application/json"),
                 SX_STR("{\"status\":\"error\",\"errorType\":\"internal\",\"error\":\"out of "
                        "memory for the answer\"}"));
    finish(c);
}

/* What stands before the first byte. */
static void add_fields(const api_call *c)
{
    sx_request *r = c->r;
    api_add_cors(c->api, r);
    for (size_t i = 0; i < c->header_count; i++)
        (void)sx_reply_header(r, c->headers[i].name, c->headers[i].value);
    api_metrics_request(c->api, c->status, r->route ? r->route : "");
    if (c->api->auth)
        auth_audit_answer(r, c->status, c->about);
}

static void send_piece(api_call *c)
{
    sx_request *r = c->r;
    if (c->out.failed || (c->broken && c->begun)) {
        give_up(c);
        return;
    }
    if (!c->begun)
        add_fields(c);
    if (!c->begun && !c->more) {
        sx_reply(r, c->status, c->content_type, sx_buf_view(&c->out));
        finish(c);
        return;
    }
    sx_status status = SX_OK;
    if (!c->begun)
        status = sx_reply_begin(r, c->status, c->content_type, SX_LENGTH_UNKNOWN);
    c->begun = true;
    if (status == SX_OK)
        status = sx_reply_write(r, sx_buf_view(&c->out));
    sx_buf_clear(&c->out);
    if (c->gone || (status != SX_OK && status != SX_AGAIN)) {
        if (!c->gone)
            sx_reply_abort(r);
        finish(c);
    } else if (!c->more) {
        sx_reply_end(r);
        finish(c);
    } else if (status == SX_OK) {
        submit(c);
    } /* else `drained` goes on */
}

/* ---- pieces from a thread that goes on ---- */

static void set_pushing(api_call *c, bool pushing)
{
    pthread_mutex_lock(&c->lock);
    c->pushing = pushing;
    if (!pushing)
        pthread_cond_signal(&c->sent);
    pthread_mutex_unlock(&c->lock);
}

static void send_pushed(sx_loop *loop, void *arg)
{
    (void)loop;
    api_call *c = arg;
    if (c->gone || atomic_load(&c->canceled)) {
        set_pushing(c, false);
        return;
    }
    sx_status status = SX_OK;
    if (!c->begun) {
        add_fields(c);
        status = sx_reply_begin(c->r, c->status, c->content_type, SX_LENGTH_UNKNOWN);
    }
    c->begun = true;
    if (status == SX_OK)
        status = sx_reply_write(c->r, sx_buf_view(&c->out));
    sx_buf_clear(&c->out);
    if (status != SX_OK && status != SX_AGAIN)
        atomic_store(&c->canceled, true);
    if (status != SX_AGAIN)
        set_pushing(c, false); /* else `drained` or `aborted` says so */
}

bool api_call_push(api_call *c, sx_str piece)
{
    sx_buf_str(&c->out, piece);
    if (c->out.failed)
        return false;
    if (c->out.len < API_PIECE_BYTES)
        return !atomic_load(&c->canceled);
    c->pushed = true;
    set_pushing(c, true);
    if (sx_loop_post(c->loop, send_pushed, c, NULL) != SX_OK) {
        set_pushing(c, false);
        return false;
    }
    pthread_mutex_lock(&c->lock);
    while (c->pushing && !atomic_load(&c->api->stopping)) {
        int64_t until_ns =
            sx_clock_ns(sx_clock_system()) + STOP_LOOK_NS; /* the condition's clock */
        struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
        (void)pthread_cond_timedwait(&c->sent, &c->lock, &until);
    }
    if (c->pushing) /* the loops have stopped: what was posted finds the call canceled */
        atomic_store(&c->canceled, true);
    pthread_mutex_unlock(&c->lock);
    return !atomic_load(&c->canceled);
}

static void worked(sx_loop *loop, void *arg)
{
    (void)loop;
    api_call *c = arg;
    c->working = false;
    if (c->gone)
        finish(c);
    else
        send_piece(c);
}

/* ---- questions about traces: what they hold is bounded ---- */

const char *const api_question_words[SX_MEM_OVER_SHARE + 1] = {
    [SX_MEM_OVER_OWN] =
        "the question needs more than --traces.query-max-memory: ask for less time, "
        "fewer traces, or a narrower filter",
    [SX_MEM_OVER_SHARE] = "questions about traces hold --traces.query-max-memory-all together: ask "
                          "again later",
};

uint64_t api_question_bytes(const observe_api *a)
{
    return a->flags->traces_query_memory_max / 2;
}

/* An answer that failed for want of memory says which limit it was. */
static void tell_over(api_call *c)
{
    sx_mem_over over = sx_mem_account_over(&c->account);
    if (over == SX_MEM_WITHIN || (c->status < 400 && !c->out.failed))
        return;
    if (c->pushed) {
        c->broken = true;
        return;
    }
    sx_buf_done(&c->out);
    sx_buf_init(&c->out, 0);
    (c->refuse ? c->refuse : api_text)(c, over == SX_MEM_OVER_OWN ? 422 : 503,
                                       sx_str_z(api_question_words[over]));
    if (over == SX_MEM_OVER_SHARE && c->header_count < API_HEADERS_MAX)
        c->headers[c->header_count++] = (sx_header){SX_STR("Retry-After"), SX_STR("1")};
}

static void work_counted(api_call *c)
{
    if (!c->account.words)
        sx_mem_account_init(&c->account, c->api->flags->traces_query_memory_max, &c->api->questions,
                            api_question_words);
    sx_mem_account *before = sx_mem_account_enter(&c->account);
    c->work(c);
    sx_mem_account_enter(before);
    tell_over(c);
    sx_mem_account_settle(&c->account);
}

static void work(void *arg)
{
    api_call *c = arg;
    if (atomic_load(&c->canceled) || atomic_load(&c->api->stopping))
        return;
    if (c->pool == c->api->tracing)
        work_counted(c);
    else
        c->work(c);
}

void api_calls_cancel(observe_api *a)
{
    sx_arena arena;
    promql_running *items;
    size_t count = 0;
    sx_arena_init(&arena, 0, 0);
    if (promql_engine_running(a->engine, &arena, &items, &count, NULL) == SX_OK)
        for (size_t i = 0; i < count; i++)
            (void)promql_engine_kill(a->engine, items[i].id);
    sx_arena_done(&arena);
}

static void on_drained(sx_request *r, void *ctx)
{
    (void)r;
    api_call *c = ctx;
    if (c->working)
        set_pushing(c, false);
    else if (!c->gone)
        submit(c);
}

static void on_aborted(sx_request *r, void *ctx)
{
    (void)r;
    api_call *c = ctx;
    c->gone = true;
    atomic_store(&c->canceled, true);
    set_pushing(c, false);
    if (!c->working)
        finish(c);
}

static void submit(api_call *c)
{
    c->working = true;
    if (sx_pool_submit(c->pool, c->loop, work, worked, c, NULL) == SX_OK)
        return;
    c->working = false;
    if (c->begun) {
        sx_reply_abort(c->r);
    } else {
        api_add_cors(c->api, c->r);
        (void)sx_reply_header(c->r, SX_STR("Retry-After"), SX_STR("1"));
        sx_reply(c->r, 503, SX_STR("application/json"),
                 SX_STR("{\"status\":\"error\",\"errorType\":\"unavailable\",\"error\":\"too many "
                        "requests wait already\"}"));
    }
    finish(c);
}

void api_call_start(observe_api *a, sx_request *r, sx_pool *pool, api_work *first)
{
    api_call_start_for(a, r, pool, first, NULL);
}

void api_call_start_for(observe_api *a, sx_request *r, sx_pool *pool, api_work *first, void *ctx)
{
    static const sx_request_events EVENTS = {.drained = on_drained, .aborted = on_aborted};
    sx_error err = {0};
    api_call *c = sx_calloc(1, sizeof *c);
    if (!c) {
        sx_reply_error(r, 503, "out of memory");
        return;
    }
    c->api = a;
    c->r = r;
    c->loop = r->loop;
    c->pool = pool ? pool : a->others;
    c->work = first;
    c->ctx = ctx;
    c->status = 200;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->sent, NULL);
    sx_arena_init(&c->arena, ARENA_BYTES, 0);
    sx_buf_init(&c->out, 0);
    if (r->peer)
        snprintf(c->who, sizeof c->who, "%s", r->peer->address);
    sx_request_hold(r);
    sx_status status = api_form_read(r, &c->arena, &c->form, &err);
    if (status != SX_OK) {
        api_fail(c, API_BAD_DATA, sx_str_z(err.message));
        send_piece(c);
        return;
    }
    sx_request_events_set(r, &EVENTS, c);
    sx_request_needs_client(r);
    submit(c);
}
