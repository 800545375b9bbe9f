/* redis_link.c - the connection: made, greeted, lost, made again (redis_internal.h).
 *
 *   OFF -> DIALING -> GREETING -> READY
 *    ^        |           |         | broke: at once again, unless it was up for less than UP_MS_MIN
 *    +--------+-----------+---------+ after a pause that doubles
 *
 * A server that is silent while answers are due is taken for dead after command_ms_max (or what the
 * oldest command may take): without that a stalled host would hold every command for TCP's minutes. */
#include "client/redis_internal.h"

#include <stdio.h>

enum { UP_MS_MIN = 1000 };

typedef enum step { STEP_AUTH, STEP_SELECT, STEP_ROLE, STEP_PING } step;

static const bool MAY_BECOME[REDIS_STATES][REDIS_STATES] = {
    [REDIS_OFF] = {[REDIS_DIALING] = true, [REDIS_OFF] = true},
    [REDIS_DIALING] = {[REDIS_GREETING] = true, [REDIS_OFF] = true},
    [REDIS_GREETING] = {[REDIS_READY] = true, [REDIS_OFF] = true},
    [REDIS_READY] = {[REDIS_DIALING] = true, [REDIS_OFF] = true},
};

static void become(sx_redis *r, redis_state next)
{
    sx_assert(MAY_BECOME[r->state][next]);
    r->state = next;
}

static sx_timers *timers(sx_redis *r)
{
    return sx_loop_timers(r->loop);
}

static void log_change(sx_redis *r, sx_level level, const char *message, const sx_error *err)
{
    if (!r->scope.kit.log)
        return;
    sx_logger *logger = sx_log_logger(r->scope.kit.log, "redis");
    const sx_field fields[] = {
        sx_field_z("target", r->scope.target), sx_field_str("server", r->address.host),
        sx_field_i64("port", r->address.port), sx_field_z("error", err ? err->message : "")};
    sx_log_write(logger, level, NULL, sx_str_z(message), fields,
                 SX_COUNT_OF(fields) - (err ? 0 : 1));
}

/* Closes what there is of a connection; the state is the caller's. */
static void take_down(sx_redis *r)
{
    sx_timer_stop(timers(r), &r->greeting_timer);
    sx_timer_stop(timers(r), &r->stall_timer);
    sx_timer_stop(timers(r), &r->flush_timer);
    sx_timer_stop(timers(r), &r->probe_timer);
    client_dial_cancel(r->dial);
    r->dial = NULL;
    if (r->stream)
        sx_stream_reset(r->stream);
    r->stream = NULL;
    r->is_probing = r->blocked = r->leaving = false;
    redis_reader_done(&r->reader);
}

static uint32_t pause_ms(sx_redis *r)
{
    uint64_t ms = r->options.retry_ms_min;
    for (uint32_t i = 1; i < r->failures && ms < r->options.retry_ms_max; i++)
        ms *= 2;
    if (ms > r->options.retry_ms_max)
        ms = r->options.retry_ms_max;
    return (uint32_t)(ms / 2 +
                      sx_random_below(&r->random, ms / 2 + 1)); /* many clients lost it at once */
}

/* No connection: those who wait are told, and it is tried again after a pause. */
static void failed(sx_redis *r, sx_status st, const sx_error *err)
{
    redis_state before = r->state;
    r->last_error = *err;
    if (r->address.port)
        sx_error_prefix(&r->last_error, st, "no Redis at %.*s port %u", SX_ARG(r->address.host),
                        r->address.port);
    else
        sx_error_prefix(&r->last_error, st, "no Redis at %.*s", SX_ARG(r->address.host));
    r->last_status = st == SX_EACCESS || st == SX_ENOMEM ? st : SX_ECLOSED;
    r->last_error.status = r->last_status;
    r->failures++;
    r->counts.connect_failures += before != REDIS_READY;
    take_down(r);
    become(r, REDIS_OFF);
    if (r->failures == 1)
        log_change(r, SX_LEVEL_WARN, "Redis cannot be reached; trying again", &r->last_error);
    client_scope_report(&r->scope, r->last_status, &r->last_error, -1);
    sx_timer_start(timers(r), &r->retry_timer, pause_ms(r));
    redis_fail_all(r, true, r->last_status, &r->last_error);
}

void redis_link_lost(sx_redis *r, sx_status st, const sx_error *err)
{
    sx_error copy = *err;
    bool was_ready = r->state == REDIS_READY;
    if (was_ready) {
        r->counts.disconnects++;
        if (r->connected)
            sx_gauge_add(r->connected, -1);
    }
    if (r->closing)
        return;
    if (!was_ready || sx_loop_now_ms(r->loop) - r->ready_ms < UP_MS_MIN) {
        failed(r, st, &copy);
        return;
    }
    r->failures = 0;
    log_change(r, SX_LEVEL_WARN, "the connection to Redis broke; connecting again", &copy);
    take_down(r);
    redis_link_start(r);
    sx_error_prefix(&copy, st, "the connection to Redis broke before the answer came");
    copy.status = st == SX_ETIMEOUT || st == SX_EPROTOCOL || st == SX_ELIMIT ? st : SX_ECLOSED;
    redis_fail_all(r, false, copy.status, &copy);
}

/* ---- greeting ---- */

static void add_step(sx_redis *r, sx_buf *out, step which, const sx_str *words, size_t count)
{
    size_t bytes = redis_wire_bytes(words, count);
    char *at = sx_buf_reserve(out, bytes);
    if (!at)
        return;
    redis_wire_write(words, count, at);
    out->len += bytes;
    r->greeting[r->greeting_count++] = (uint8_t)which;
}

static void ready(sx_redis *r)
{
    become(r, REDIS_READY);
    sx_timer_stop(timers(r), &r->greeting_timer);
    r->ready_ms = sx_loop_now_ms(r->loop);
    r->counts.connects++;
    if (r->connected)
        sx_gauge_add(r->connected, 1);
    log_change(r, SX_LEVEL_INFO, "connected to Redis", NULL);
    client_scope_report(&r->scope, SX_OK, NULL, -1);
    sx_timer_start(timers(r), &r->probe_timer, r->options.client.probe_ms);
    redis_link_flush(r);
}

/* The answer to a step. False: the link has failed. */
static bool greeted(sx_redis *r, step which, const sx_redis_reply *reply)
{
    sx_error err;
    bool is_error = reply->kind == SX_REDIS_ERROR;
    redis_meaning m = redis_error_meaning(is_error ? reply->str : SX_STR(""));
    if (which == STEP_PING && sx_str_starts(reply->str, SX_STR("NOPERM")))
        return true; /* may not ping, but is let in */
    if (is_error) {
        static const char *const WHAT[] = {"AUTH", "SELECT", "ROLE", "PING"};
        sx_fail(&err, m.status, "it answers %s with '%.*s'", WHAT[which],
                SX_ARG(sx_str_first(reply->str, 200)));
        failed(r, m.status, &err);
        return false;
    }
    if (which == STEP_ROLE && (reply->kind != SX_REDIS_ARRAY || reply->count == 0 ||
                               !sx_str_eq(reply->items[0].str, SX_STR("master")))) {
        sx_fail(&err, SX_ECLOSED, "it is a replica, and a master is wanted");
        failed(r, SX_ECLOSED, &err);
        return false;
    }
    return true;
}

static void start_greeting(sx_redis *r)
{
    char db[12];
    sx_buf out;
    sx_buf_init(&out, 0);
    r->greeting_count = r->greeting_at = 0;
    const redis_address *a = &r->address;
    if (a->has_password && a->user.len)
        add_step(r, &out, STEP_AUTH, (sx_str[]){SX_STR("AUTH"), a->user, a->password}, 3);
    else if (a->has_password)
        add_step(r, &out, STEP_AUTH, (sx_str[]){SX_STR("AUTH"), a->password}, 2);
    if (a->db) {
        snprintf(db, sizeof(db), "%u", a->db);
        add_step(r, &out, STEP_SELECT, (sx_str[]){SX_STR("SELECT"), sx_str_z(db)}, 2);
    }
    if (r->options.master_only)
        add_step(r, &out, STEP_ROLE, &SX_STR("ROLE"), 1);
    add_step(r, &out, STEP_PING, &SX_STR("PING"), 1);
    sx_error err;
    if (out.failed) {
        sx_fail_memory(&err, "a greeting");
        failed(r, SX_ENOMEM, &err);
    } else {
        sx_timer_start(timers(r), &r->greeting_timer, r->options.connect_ms_max);
        sx_stream_write(r->stream, sx_buf_view(&out)); /* refused: `closed` comes */
    }
    sx_buf_done(&out);
}

/* ---- the stream's events ---- */

/* Takes replies as long as the link that they came by is there. */
static void take_replies(sx_redis *r, const sx_stream *s)
{
    sx_error err;
    const sx_redis_reply *reply;
    while (r->stream == s) {
        sx_status st = redis_reader_next(&r->reader, &reply, &err);
        if (st == SX_AGAIN)
            return;
        if (st != SX_OK) {
            redis_link_lost(r, st, &err);
        } else if (r->state == REDIS_READY) {
            redis_answered(r, reply);
        } else {
            step which = (step)r->greeting[r->greeting_at++];
            if (greeted(r, which, reply) && r->greeting_at == r->greeting_count)
                ready(r);
        }
    }
}

static void arm_stall(sx_redis *r)
{
    uint32_t ms = r->options.command_ms_max;
    if (sx_list_empty(&r->unanswered)) {
        sx_timer_stop(timers(r), &r->stall_timer);
        return;
    }
    const sx_redis_call *first = SX_CONTAINER_OF(r->unanswered.next, sx_redis_call, link);
    if (first->ms_max > ms)
        ms = first->ms_max;
    sx_timer_start(timers(r), &r->stall_timer, (int64_t)ms + 1);
}

static void on_data(sx_stream *s, void *ctx, sx_str piece)
{
    sx_redis *r = ctx;
    sx_error err;
    redis_enter(r);
    sx_status st = redis_reader_feed(&r->reader, piece, &err);
    if (st != SX_OK)
        redis_link_lost(r, st, &err);
    else
        take_replies(r, s);
    if (r->stream == s && r->state == REDIS_READY)
        arm_stall(r);
    redis_leave(r);
}

static void on_ended(sx_stream *s, void *ctx)
{
    sx_redis *r = ctx;
    sx_error err;
    (void)s;
    redis_enter(r);
    sx_fail(&err, SX_ECLOSED, "the server closed the connection");
    redis_link_lost(r, SX_ECLOSED, &err);
    redis_leave(r);
}

static void on_closed(sx_stream *s, void *ctx, sx_status why, const sx_error *err)
{
    sx_redis *r = ctx;
    (void)s;
    redis_enter(r);
    r->stream = NULL;
    redis_link_lost(r, why, err);
    redis_leave(r);
}

static void on_drained(sx_stream *s, void *ctx)
{
    sx_redis *r = ctx;
    (void)s;
    redis_enter(r);
    r->blocked = false;
    redis_link_flush(r);
    redis_leave(r);
}

static const sx_stream_events EVENTS = {
    .data = on_data, .ended = on_ended, .closed = on_closed, .drained = on_drained};

static void on_dialed(void *ctx, sx_stream *stream, sx_status status, const sx_error *err)
{
    sx_redis *r = ctx;
    sx_error own;
    redis_enter(r);
    r->dial = NULL;
    r->stream = stream;
    if (stream)
        sx_stream_events_set(stream, &EVENTS, r);
    if (stream && redis_reader_init(&r->reader, r->options.reply_bytes_max,
                                    r->options.reply_items_max, &own) != SX_OK) {
        failed(r, SX_ENOMEM, &own);
    } else if (stream) {
        become(r, REDIS_GREETING);
        start_greeting(r);
    } else {
        failed(r, status, err);
    }
    redis_leave(r);
}

/* ---- sending ---- */

void redis_link_flush(sx_redis *r)
{
    sx_list *link;
    if (r->state != REDIS_READY || r->blocked || r->leaving || sx_list_empty(&r->waiting))
        return;
    bool was_idle = sx_list_empty(&r->unanswered);
    sx_stream_cork(r->stream);
    while (!r->blocked && (link = sx_list_pop_front(&r->waiting))) {
        sx_redis_call *c = SX_CONTAINER_OF(link, sx_redis_call, link);
        sx_status st = sx_stream_write(r->stream, sx_str_of(c->wire, c->wire_bytes));
        if (st != SX_OK && st != SX_AGAIN) { /* `closed` comes; then it goes to the next one */
            sx_list_push_front(&r->waiting, link);
            break;
        }
        r->blocked = st == SX_AGAIN;
        c->is_sent = true;
        r->waiting_count--;
        r->unanswered_count++;
        sx_list_push_back(&r->unanswered, link);
    }
    sx_stream_uncork(r->stream);
    if (was_idle)
        arm_stall(r);
}

/* ---- timers ---- */

static void on_retry(sx_timer *timer, void *arg)
{
    sx_redis *r = arg;
    (void)timer;
    redis_enter(r);
    redis_link_start(r);
    redis_leave(r);
}

static void on_greeting_late(sx_timer *timer, void *arg)
{
    sx_redis *r = arg;
    sx_error err;
    (void)timer;
    redis_enter(r);
    sx_fail(&err, SX_ETIMEOUT, "it took the connection, but says nothing for %u ms",
            r->options.connect_ms_max);
    failed(r, SX_ETIMEOUT, &err);
    redis_leave(r);
}

static void on_stall(sx_timer *timer, void *arg)
{
    sx_redis *r = arg;
    sx_error err;
    (void)timer;
    redis_enter(r);
    sx_fail(&err, SX_ETIMEOUT, "the server has said nothing while %u answers are due",
            r->unanswered_count);
    redis_link_lost(r, SX_ETIMEOUT, &err);
    redis_leave(r);
}

static void on_flush(sx_timer *timer, void *arg)
{
    (void)timer;
    redis_enter(arg);
    redis_link_flush(arg);
    redis_leave(arg);
}

static void on_probed(void *ctx, sx_status status, const sx_redis_reply *reply, const sx_error *err)
{
    sx_redis *r = ctx;
    (void)reply;
    r->is_probing = false;
    if (status == SX_OK || status == SX_EACCESS)
        client_scope_report(&r->scope, SX_OK, NULL,
                            sx_clock_mono_ns(r->scope.clock) - r->probe_sent_ns);
    else if (status != SX_ECANCELED)
        client_scope_report(&r->scope, status, err, -1);
}

static void on_probe_due(sx_timer *timer, void *arg)
{
    sx_redis *r = arg;
    sx_timer_start(timers(r), timer, r->options.client.probe_ms);
    if (r->is_probing || !client_scope_is_quiet(&r->scope, r->options.client.probe_ms))
        return;
    redis_enter(r);
    sx_redis_call *c = redis_call_own(r, &SX_STR("PING"), 1);
    if (c) {
        c->fn = on_probed;
        c->ctx = r;
        r->is_probing = true;
        r->probe_sent_ns = sx_clock_mono_ns(r->scope.clock);
        sx_timer_start(timers(r), &c->timer, r->options.command_ms_max);
        redis_link_flush(r);
    }
    redis_leave(r);
}

/* ---- life ---- */

void redis_link_init(sx_redis *r)
{
    r->retry_timer = (sx_timer){.fn = on_retry, .arg = r};
    r->greeting_timer = (sx_timer){.fn = on_greeting_late, .arg = r};
    r->stall_timer = (sx_timer){.fn = on_stall, .arg = r};
    r->flush_timer = (sx_timer){.fn = on_flush, .arg = r};
    r->probe_timer = (sx_timer){.fn = on_probe_due, .arg = r};
}

void redis_link_start(sx_redis *r)
{
    sx_error err;
    client_dial_options dial = {.loop = r->loop,
                                .dns = r->dns,
                                .host = r->address.host,
                                .port = r->address.port,
                                .tls = r->tls,
                                .connect_ms_max = r->options.connect_ms_max};
    become(r, REDIS_DIALING);
    sx_status st = client_dial_start(&dial, on_dialed, r, &r->dial, &err);
    if (st != SX_OK)
        failed(r, st, &err);
}

void redis_link_renew(sx_redis *r)
{
    sx_dns *fresh;
    if (r->dns && sx_dns_new(r->loop, NULL, &fresh, NULL) == SX_OK) {
        sx_dns_free(r->dns); /* what the name meant is what has just proved wrong */
        r->dns = fresh;
    }
    r->counts.disconnects++;
    if (r->connected)
        sx_gauge_add(r->connected, -1);
    take_down(r);
    redis_link_start(r);
}

void redis_link_stop(sx_redis *r)
{
    if (r->state == REDIS_READY && r->connected)
        sx_gauge_add(r->connected, -1);
    sx_timer_stop(timers(r), &r->retry_timer);
    take_down(r);
    become(r, REDIS_OFF);
}
