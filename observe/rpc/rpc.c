/* rpc.c - a gRPC call's way from its loop to a thread and back.
 *
 *     message ── submit ─▶ work (thread) ── rpc_send ─▶ send_out (loop) ── SX_AGAIN: writable ─▶ sent
 *                            └─ worked (loop): status, end
 *
 * The loop owns the gRPC call; the thread sees only the rpc_call. It is freed by the loop once both the
 * thread is through and the call is over. */
#include "observe/rpc/rpc.h"

#include <pthread.h>
#include <time.h>

#include <sextant/clock.h>
#include <sextant/mem.h>
#include <sextant/protobuf.h>
#include <sextant/service.h>

#include "codec/base64.h"

enum { ARENA_BYTES = 16 << 10, STOP_LOOK_NS = 200000000 };

typedef struct rpc_state {
    rpc_call call;
    const rpc_server *server;
    rpc_work *work;
    bool is_counted;
    sx_mem_account account;
    sx_grpc_call *grpc; /* the loop's; NULL once it is over */
    sx_loop *loop;
    sx_buf request;
    bool working;
    sx_grpc_status status; /* written by the thread, read by the loop once it is through */
    sx_error err;
    uint32_t retry_after; /* seconds; 0: not said */

    pthread_mutex_t lock;
    pthread_cond_t sent;
    sx_buf out;   /* the message on its way: the thread's, or while `sending` the loop's */
    bool sending; /* by lock */
} rpc_state;

static void state_free(rpc_state *s)
{
    pthread_cond_destroy(&s->sent);
    pthread_mutex_destroy(&s->lock);
    sx_arena_done(&s->call.arena);
    sx_buf_done(&s->request);
    sx_buf_done(&s->out);
    sx_mem_account_done(&s->account);
    sx_free(s);
}

static void set_sending(rpc_state *s, bool sending)
{
    pthread_mutex_lock(&s->lock);
    s->sending = sending;
    if (!sending)
        pthread_cond_signal(&s->sent);
    pthread_mutex_unlock(&s->lock);
}

/* ---- the thread's half ---- */

static void send_out(sx_loop *loop, void *arg)
{
    rpc_state *s = arg;
    (void)loop;
    sx_status status = s->grpc ? sx_grpc_send(s->grpc, sx_buf_view(&s->out)) : SX_ECLOSED;
    if (status != SX_OK && status != SX_AGAIN)
        atomic_store(&s->call.canceled, true);
    if (status != SX_AGAIN)
        set_sending(s, false); /* else on_writable or on_done says so */
}

static bool is_stopping(const rpc_state *s)
{
    return s->server->stopping && atomic_load(s->server->stopping);
}

bool rpc_send(rpc_call *c, sx_str message)
{
    rpc_state *s = c->state;
    if (atomic_load(&c->canceled) || is_stopping(s))
        return false;
    sx_buf_clear(&s->out);
    sx_buf_str(&s->out, message);
    set_sending(s, true);
    if (s->out.failed || sx_loop_post(s->loop, send_out, s, NULL) != SX_OK) {
        set_sending(s, false);
        return false;
    }
    pthread_mutex_lock(&s->lock);
    while (s->sending && !is_stopping(s)) {
        int64_t until_ns =
            sx_clock_ns(sx_clock_system()) + STOP_LOOK_NS; /* the condition's clock */
        struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
        (void)pthread_cond_timedwait(&s->sent, &s->lock, &until);
    }
    if (s->sending) /* the loops have stopped: what was posted finds the call canceled */
        atomic_store(&c->canceled, true);
    pthread_mutex_unlock(&s->lock);
    return !atomic_load(&c->canceled);
}

void rpc_retry_after(rpc_call *c, uint32_t seconds)
{
    c->state->retry_after = seconds;
}

/* A call that is on an account of its own; one that failed for want of memory says which limit it was. */
static sx_grpc_status work_counted(rpc_state *s)
{
    const rpc_server *server = s->server;
    sx_mem_account_init(&s->account, server->memory_max, server->memory, server->memory_words);
    sx_mem_account *before = sx_mem_account_enter(&s->account);
    sx_grpc_status status = s->work(&s->call, &s->err);
    sx_mem_account_enter(before);
    sx_mem_over over = sx_mem_account_over(&s->account);
    if (over != SX_MEM_WITHIN && server->memory_words) { /* what was sent may not be all, too */
        sx_fail(&s->err, SX_ELIMIT, "%s", server->memory_words[over]);
        status = SX_GRPC_RESOURCE_EXHAUSTED;
    }
    sx_mem_account_settle(&s->account);
    return status;
}

static void work(void *arg)
{
    rpc_state *s = arg;
    s->status = SX_GRPC_CANCELLED;
    if (atomic_load(&s->call.canceled) || is_stopping(s))
        return;
    s->status = s->is_counted ? work_counted(s) : s->work(&s->call, &s->err);
}

/* ---- the loop's half ---- */

/* google.rpc.Status with a RetryInfo{Duration} among its details. */
static void add_retry(const rpc_state *s)
{
    static const char TYPE[] = "type.googleapis.com/google.rpc.RetryInfo";
    sx_buf status, text;
    sx_buf_init(&status, 0);
    sx_buf_init(&text, 0);
    sx_pb_put_u64(&status, 1, s->status);
    sx_pb_put_str(&status, 2, sx_str_z(s->err.message));
    size_t detail = sx_pb_begin(&status, 3);
    sx_pb_put_str(&status, 1, sx_str_z(TYPE));
    size_t info = sx_pb_begin(&status, 2), delay = sx_pb_begin(&status, 1);
    sx_pb_put_u64(&status, 1, s->retry_after);
    sx_pb_end(&status, delay);
    sx_pb_end(&status, info);
    sx_pb_end(&status, detail);
    sx_base64_encode(sx_buf_view(&status), &text);
    if (!status.failed && !text.failed)
        (void)sx_grpc_trailer(s->grpc, SX_STR("grpc-status-details-bin"), sx_buf_view(&text));
    sx_buf_done(&status);
    sx_buf_done(&text);
}

static void worked(sx_loop *loop, void *arg)
{
    rpc_state *s = arg;
    (void)loop;
    s->working = false;
    if (s->grpc) {
        sx_grpc_call *grpc = s->grpc;
        if (s->retry_after && s->status != SX_GRPC_OK)
            add_retry(s);
        s->grpc = NULL;
        sx_grpc_finish(grpc, s->status,
                       s->status == SX_GRPC_OK ? SX_STR("") : sx_str_z(s->err.message));
    }
    state_free(s);
}

static void on_message(sx_grpc_call *grpc, void *ctx, sx_str message)
{
    rpc_state *s = ctx;
    (void)message;
    sx_grpc_take(grpc, &s->request);
    s->call.request = sx_buf_view(&s->request);
    s->working = true;
    if (s->server->pool && *s->server->pool &&
        sx_pool_submit(*s->server->pool, s->loop, work, worked, s, NULL) == SX_OK)
        return;
    s->working = false;
    s->grpc = NULL;
    sx_grpc_finish(grpc, SX_GRPC_UNAVAILABLE, SX_STR("too many requests wait already"));
    state_free(s);
}

static void on_writable(sx_grpc_call *grpc, void *ctx)
{
    (void)grpc;
    set_sending(ctx, false);
}

/* The client has gone, or its deadline has passed: the thread is told, and what it has made is let go
 * when it is through. */
static void on_done(sx_grpc_call *grpc, void *ctx, sx_grpc_status status, sx_str text)
{
    rpc_state *s = ctx;
    (void)grpc, (void)status, (void)text;
    s->grpc = NULL;
    atomic_store(&s->call.canceled, true);
    set_sending(s, false);
    if (!s->working)
        state_free(s);
}

static sx_grpc_status health(rpc_call *c, sx_error *err)
{
    static const char SERVING[] = "\x08\x01"; /* HealthCheckResponse{status: SERVING} */
    (void)err;
    rpc_send(c, sx_str_of(SERVING, sizeof(SERVING) - 1));
    return SX_GRPC_OK;
}

static const rpc_method *find(const rpc_server *server, sx_str path)
{
    static const rpc_method HEALTH = {"/grpc.health.v1.Health/Check", health, true};
    for (size_t i = 0; i < server->method_count; i++)
        if (sx_str_eq(path, sx_str_z(server->methods[i].path)))
            return &server->methods[i];
    return sx_str_eq(path, sx_str_z(HEALTH.path)) ? &HEALTH : NULL;
}

void rpc_serve(sx_request *r, const rpc_server *server)
{
    static const sx_grpc_events EVENTS = {
        .message = on_message, .writable = on_writable, .done = on_done};
    const rpc_method *method = find(server, r->path);
    if (!method && sx_grpc_is_call(r)) {
        sx_grpc_unimplemented(r);
        return;
    }
    rpc_state *s = sx_calloc(1, sizeof(*s));
    if (!s) {
        sx_reply_error(r, 503, "out of memory");
        return;
    }
    s->server = server;
    s->work = method ? method->work : NULL;
    s->is_counted = method && server->memory && !method->is_intake;
    s->loop = r->loop;
    s->call.ctx = server->ctx;
    s->call.state = s;
    s->call.peer = "";
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->sent, NULL);
    sx_arena_init(&s->call.arena, ARENA_BYTES, 0);
    sx_buf_init(&s->request, 0);
    sx_buf_init(&s->out, 0);
    if (r->peer) {
        sx_str peer = sx_arena_copy(&s->call.arena, sx_str_z(r->peer->address));
        s->call.peer = peer.data ? peer.data : "";
    }
    sx_grpc_options options = {.message_bytes_max = server->message_bytes_max, .unary = true};
    s->grpc = sx_grpc_accept(r, &options, &EVENTS, s);
    if (!s->grpc) /* answered already */
        state_free(s);
}
