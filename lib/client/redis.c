/* redis.c - the client's public calls, and a command's life (redis_internal.h, redis.h). */
#include <sextant/redis.h>

#include <stdio.h>

#include <openssl/evp.h>

#include <sextant/mem.h>

#include "client/redis_internal.h"
#include "telemetry/semconv.h"

enum { RENEW_MS_MIN = 1000, WORDS_MAX = 1 << 20 };

static const client_kind KIND = {
    .name = "redis",
    .system = SX_DB_SYSTEM_REDIS,
    .total_name = "redis_client_commands_total",
    .total_help = "Commands of Redis clients that have ended.",
    .seconds_name = "redis_client_command_duration_seconds",
    .seconds_help = "Time of Redis commands from the call to the answer, waiting counted in.",
    .operation_label = "command"};

/* ---- brackets ---- */

static void destroy(sx_redis *r)
{
    client_scope_done(&r->scope);
    sx_dns_free(r->dns);
    if (r->tls)
        sx_tls_unref(r->tls);
    sx_arena_done(&r->arena);
    sx_free(r);
}

void redis_enter(sx_redis *r)
{
    r->depth++;
}

void redis_leave(sx_redis *r)
{
    if (r->depth == 1) {
        sx_list *link;
        while ((link = sx_list_pop_front(&r->dead)))
            sx_free(SX_CONTAINER_OF(link, sx_redis_call, link));
        if (r->lined_up && r->told_waiting != r->waiting_count) {
            sx_gauge_add(r->lined_up, (double)r->waiting_count - (double)r->told_waiting);
            r->told_waiting = r->waiting_count;
        }
    }
    if (--r->depth == 0 && r->closing)
        destroy(r);
}

/* ---- a command's end ---- */

void redis_call_drop(sx_redis_call *c)
{
    sx_redis *r = c->redis;
    if (c->is_sent)
        r->unanswered_count--;
    else
        r->waiting_count--;
    r->bytes -= c->wire_bytes;
    sx_list_remove(&c->link);
    sx_list_push_back(&r->dead, &c->link);
}

void redis_call_end(sx_redis_call *c, client_outcome outcome, sx_status st,
                    const sx_redis_reply *reply, const sx_error *err)
{
    static const sx_error NO_ERROR;
    char type[32];
    if (c->told)
        return;
    c->told = true;
    sx_timer_stop(sx_loop_timers(c->redis->loop), &c->timer);
    redis_enter(c->redis);
    if (!c->is_sent)
        redis_call_drop(c);
    bool has_word = reply && reply->kind == SX_REDIS_ERROR;
    if (has_word) {
        sx_str word = sx_str_first(reply->str, sx_str_find_byte(reply->str, ' '));
        snprintf(type, sizeof(type), "%.*s", SX_ARG(word));
        SX_SPAN_SET(&c->call.span, sx_field_z(SX_ATTR_DB_RESPONSE_STATUS_CODE, type));
    }
    client_call_end(&c->call, outcome, err, has_word ? type : NULL);
    if (c->fn) {
        const sx_context *outer = client_call_enter(&c->call);
        c->fn(c->ctx, st, reply, err ? err : &NO_ERROR);
        client_call_leave(outer);
    }
    client_call_done(&c->call);
    redis_leave(c->redis);
}

static void on_call_late(sx_timer *timer, void *arg)
{
    sx_redis_call *c = arg;
    sx_error err;
    (void)timer;
    sx_fail(&err, SX_ETIMEOUT, "Redis '%s' did not answer within %u ms%s", c->redis->scope.target,
            c->ms_max, c->is_sent ? "" : ": there is no connection yet");
    redis_call_end(c, CLIENT_TIMEOUT, SX_ETIMEOUT, NULL, &err);
}

void redis_fail_all(sx_redis *r, bool waiting, sx_status st, const sx_error *err)
{
    sx_error copy = *err;
    client_outcome outcome = st == SX_ECANCELED  ? CLIENT_CANCELED
                             : st == SX_ETIMEOUT ? CLIENT_TIMEOUT
                                                 : CLIENT_UNAVAILABLE;
    sx_list *const lists[] = {&r->unanswered, &r->waiting};
    redis_enter(r);
    for (int i = 0; i < (waiting ? 2 : 1); i++) {
        /* Only what is there now: who is told may send anew. */
        for (size_t n = sx_list_count(lists[i]); n > 0 && !sx_list_empty(lists[i]); n--) {
            sx_redis_call *c = SX_CONTAINER_OF(lists[i]->next, sx_redis_call, link);
            if (c->is_sent) {
                redis_call_drop(c);
                redis_call_end(c, outcome, st, NULL, &copy);
            } else {
                redis_call_end(c, outcome, st, NULL, &copy);
            }
        }
    }
    redis_leave(r);
}

void redis_call_again(sx_redis_call *c)
{
    sx_redis *r = c->redis;
    c->is_sent = false;
    c->was_resent = true;
    r->unanswered_count--;
    r->waiting_count++;
    sx_list_remove(&c->link);
    sx_list_push_front(&r->waiting, &c->link);
}

/* ---- answers ---- */

/* The script is not known to the server: loads it and sends the command behind it. */
static bool load_script(sx_redis_call *c)
{
    const sx_str words[] = {SX_STR("SCRIPT"), SX_STR("LOAD"), c->script->text};
    redis_call_again(c);
    sx_redis_call *load = redis_call_own(c->redis, words, 3);
    if (!load)
        return false;
    sx_list_remove(&load->link);
    sx_list_push_front(&c->redis->waiting, &load->link);
    redis_link_flush(c->redis);
    return true;
}

static void answered_error(sx_redis_call *c, const sx_redis_reply *reply)
{
    sx_redis *r = c->redis;
    sx_error err;
    redis_meaning m = redis_error_meaning(reply->str);
    bool may_renew = m.is_readonly && sx_loop_now_ms(r->loop) - r->ready_ms >= RENEW_MS_MIN;
    if (c->script && !c->was_resent && sx_str_starts(reply->str, SX_STR("NOSCRIPT")) &&
        load_script(c))
        return;
    if (may_renew) {
        /* The master became a replica. What is still unanswered is waited for; then the name is
         * resolved anew. */
        r->leaving = true;
        if (!c->was_resent) {
            redis_call_again(c);
            return;
        }
    }
    sx_fail(&err, m.status, "Redis '%s' answered '%.*s'%s", r->scope.target,
            SX_ARG(sx_str_first(reply->str, 200)),
            m.status == SX_EUNSUPPORTED ? "; Redis Cluster is not supported: name one master" : "");
    if (c->is_sent)
        redis_call_drop(c);
    redis_call_end(c, m.outcome, m.status, reply, &err);
}

void redis_answered(sx_redis *r, const sx_redis_reply *reply)
{
    sx_error err;
    if (sx_list_empty(&r->unanswered)) {
        sx_fail(&err, SX_EPROTOCOL, "the server sent an answer to nothing");
        redis_link_lost(r, SX_EPROTOCOL, &err);
        return;
    }
    sx_redis_call *c = SX_CONTAINER_OF(r->unanswered.next, sx_redis_call, link);
    if (c->told) {
        redis_call_drop(c);
    } else if (reply->kind == SX_REDIS_ERROR) {
        answered_error(c, reply);
    } else {
        redis_call_drop(c);
        redis_call_end(c, CLIENT_OK, SX_OK, reply, NULL);
    }
    if (r->leaving && sx_list_empty(&r->unanswered) && !r->closing)
        redis_link_renew(r);
}

/* ---- starting ---- */

/* A command on no list yet. NULL without memory. */
static sx_redis_call *call_new(sx_redis *r, const sx_str *words, size_t count, size_t bytes)
{
    sx_redis_call *c = bytes == SIZE_MAX ? NULL : sx_calloc(1, sizeof(*c) + bytes);
    if (!c)
        return NULL;
    c->redis = r;
    c->wire_bytes = bytes;
    redis_wire_write(words, count, c->wire);
    c->timer = (sx_timer){.fn = on_call_late, .arg = c};
    c->ms_max = r->options.command_ms_max;
    sx_list_init(&c->link);
    return c;
}

static void line_up(sx_redis_call *c)
{
    sx_redis *r = c->redis;
    sx_list_push_back(&r->waiting, &c->link);
    r->waiting_count++;
    r->bytes += c->wire_bytes;
}

sx_redis_call *redis_call_own(sx_redis *r, const sx_str *words, size_t count)
{
    sx_redis_call *c = call_new(r, words, count, redis_wire_bytes(words, count));
    if (c)
        line_up(c);
    return c;
}

static sx_status check_room(const sx_redis *r, size_t bytes, sx_error *err)
{
    uint32_t count = r->waiting_count + r->unanswered_count;
    if (count >= r->options.commands_max)
        return sx_fail(err, SX_REFUSED, "%u commands wait for Redis '%s' already, its limit", count,
                       r->scope.target);
    if (bytes > r->options.bytes_max || r->bytes > r->options.bytes_max - bytes)
        return sx_fail(
            err, SX_REFUSED,
            "%zu bytes wait for Redis '%s', with this command more than its limit of %zu", r->bytes,
            r->scope.target, r->options.bytes_max);
    return SX_OK;
}

/* Why a command cannot be taken now, after its span has begun. */
static sx_status check_now(sx_redis *r, size_t bytes, sx_error *err)
{
    if (r->state == REDIS_OFF && r->failures) {
        if (err)
            *err = r->last_error;
        return r->last_status;
    }
    return check_room(r, bytes, err);
}

static sx_status check_words(const sx_redis *r, const sx_redis_command *command, sx_error *err)
{
    if (r->closing)
        return sx_fail(err, SX_REFUSED, "the Redis client is being closed");
    if (command->count == 0 || command->count > WORDS_MAX || command->words[0].len == 0)
        return sx_fail(err, SX_EINVAL, "a Redis command has 1 to %d words, the first not empty",
                       WORDS_MAX);
    const char *why = redis_command_refused(command->words[0]);
    if (why)
        return sx_fail(err, SX_EUNSUPPORTED, "%.*s is not for this client: %s",
                       SX_ARG(command->words[0]), why);
    return SX_OK;
}

static sx_status send_words(sx_redis *r, const sx_redis_command *command,
                            const sx_redis_script *script, sx_redis_fn *fn, void *ctx,
                            sx_redis_call **out, sx_error *err)
{
    char name[32];
    sx_error own;
    err = err ? err : &own;
    sx_status st = check_words(r, command, err);
    if (st != SX_OK)
        return st;
    size_t bytes = redis_wire_bytes(command->words, command->count);
    if (bytes > r->options.bytes_max)
        return check_room(r, bytes, err);
    sx_redis_call *c = call_new(r, command->words, command->count, bytes);
    if (!c)
        return sx_fail_memory(err, "a Redis command");
    client_what what = {.operation = redis_command_name(command->words[0], name),
                        .timeout_ms =
                            command->ms_max ? command->ms_max : r->options.command_ms_max};
    st = client_call_begin(&c->call, &r->scope, &what, &c->ms_max, err);
    if (st == SX_OK) {
        st = check_now(r, bytes, err);
        if (st != SX_OK)
            client_call_end(&c->call, client_outcome_of(st), err, NULL);
    }
    if (st != SX_OK) {
        client_call_done(&c->call);
        sx_free(c);
        return st;
    }
    c->fn = fn;
    c->ctx = ctx;
    c->script = script;
    line_up(c);
    sx_timer_start(sx_loop_timers(r->loop), &c->timer, c->ms_max);
    if (out)
        *out = c;
    redis_enter(r);
    if (sx_list_empty(&r->unanswered))
        redis_link_flush(r);
    else if (!sx_timer_running(&r->flush_timer)) /* those of this turn go together */
        sx_timer_start(sx_loop_timers(r->loop), &r->flush_timer, 0);
    redis_leave(r);
    return SX_OK;
}

sx_status sx_redis_send(sx_redis *r, const sx_redis_command *command, sx_redis_fn *fn, void *ctx,
                        sx_redis_call **out, sx_error *err)
{
    return send_words(r, command, NULL, fn, ctx, out, err);
}

sx_status sx_redis_get(sx_redis *r, sx_str key, sx_redis_fn *fn, void *ctx, sx_redis_call **out,
                       sx_error *err)
{
    const sx_str words[] = {SX_STR("GET"), key};
    return send_words(r, &(sx_redis_command){words, 2, 0}, NULL, fn, ctx, out, err);
}

sx_status sx_redis_set(sx_redis *r, sx_str key, sx_str value, uint64_t ttl_ms, sx_redis_fn *fn,
                       void *ctx, sx_redis_call **out, sx_error *err)
{
    char ms[24];
    snprintf(ms, sizeof(ms), "%llu", (unsigned long long)ttl_ms);
    const sx_str words[] = {SX_STR("SET"), key, value, SX_STR("PX"), sx_str_z(ms)};
    return send_words(r, &(sx_redis_command){words, ttl_ms ? 5 : 3, 0}, NULL, fn, ctx, out, err);
}

sx_status sx_redis_delete(sx_redis *r, sx_str key, sx_redis_fn *fn, void *ctx, sx_redis_call **out,
                          sx_error *err)
{
    const sx_str words[] = {SX_STR("DEL"), key};
    return send_words(r, &(sx_redis_command){words, 2, 0}, NULL, fn, ctx, out, err);
}

void sx_redis_script_init(sx_redis_script *script, sx_str text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    script->text = text;
    script->sha1[0] = '\0';
    if (EVP_Digest(text.data, text.len, digest, &len, EVP_sha1(), NULL) != 1)
        return; /* without SHA-1 the server knows no such script, and is given it each time */
    for (unsigned i = 0; i < len && i < REDIS_SHA1_BYTES / 2; i++)
        snprintf(script->sha1 + 2 * i, 3, "%02x", digest[i]);
}

sx_status sx_redis_eval(sx_redis *r, const sx_redis_script *script, const sx_str *words,
                        size_t count, size_t key_count, sx_redis_fn *fn, void *ctx,
                        sx_redis_call **out, sx_error *err)
{
    return redis_eval(r, script, words, count, key_count, 0, fn, ctx, out, err);
}

sx_status redis_eval(sx_redis *r, const sx_redis_script *script, const sx_str *words, size_t count,
                     size_t key_count, uint32_t ms_max, sx_redis_fn *fn, void *ctx,
                     sx_redis_call **out, sx_error *err)
{
    char keys[24];
    bool has_sha1 = script->sha1[0] != '\0';
    if (key_count > count || count > WORDS_MAX - 3)
        return sx_fail(err, SX_EINVAL, "%zu keys of %zu words make no script's call", key_count,
                       count);
    sx_str *all = sx_calloc(count + 3, sizeof(*all));
    if (!all)
        return sx_fail_memory(err, "a script's arguments");
    snprintf(keys, sizeof(keys), "%zu", key_count);
    all[0] = has_sha1 ? SX_STR("EVALSHA") : SX_STR("EVAL");
    all[1] = has_sha1 ? sx_str_z(script->sha1) : script->text;
    all[2] = sx_str_z(keys);
    for (size_t i = 0; i < count; i++)
        all[3 + i] = words[i];
    sx_status st = send_words(r, &(sx_redis_command){all, count + 3, ms_max},
                              has_sha1 ? script : NULL, fn, ctx, out, err);
    sx_free(all);
    return st;
}

void sx_redis_cancel(sx_redis_call *c)
{
    sx_error err;
    sx_fail(&err, SX_ECANCELED, "the command was canceled");
    redis_call_end(c, CLIENT_CANCELED, SX_ECANCELED, NULL, &err);
}

/* ---- facts ---- */

bool sx_redis_is_connected(const sx_redis *r)
{
    return r->state == REDIS_READY;
}

sx_redis_counts sx_redis_counts_of(const sx_redis *r)
{
    sx_redis_counts counts = r->counts;
    counts.waiting = r->waiting_count;
    counts.unanswered = r->unanswered_count;
    counts.held_bytes = r->bytes;
    return counts;
}

sx_loop *sx_redis_loop(const sx_redis *r)
{
    return r->loop;
}

/* ---- life ---- */

static void fill_defaults(sx_redis_options *o)
{
    const struct {
        uint32_t *field, otherwise;
    } rows[] = {{&o->connect_ms_max, 2000},  {&o->command_ms_max, 1000},
                {&o->retry_ms_min, 50},      {&o->retry_ms_max, 5000},
                {&o->commands_max, 10000},   {&o->reply_items_max, 1000000},
                {&o->client.probe_ms, 10000}};
    for (size_t i = 0; i < SX_COUNT_OF(rows); i++) {
        if (*rows[i].field == 0)
            *rows[i].field = rows[i].otherwise;
    }
    if (o->bytes_max == 0)
        o->bytes_max = 64 << 20;
    if (o->reply_bytes_max == 0)
        o->reply_bytes_max = 64 << 20;
    if (!o->url)
        o->url = "redis://127.0.0.1:6379";
}

static sx_status add_gauges(sx_redis *r, sx_error *err)
{
    static const char *const LABELS[] = {"target"};
    sx_metric *connected, *waiting;
    sx_str target = sx_str_z(r->scope.target);
    sx_metric_options options = {.kind = SX_METRIC_GAUGE,
                                 .name = "redis_client_connected",
                                 .help = "Connections of Redis clients that are greeted.",
                                 .labels = LABELS,
                                 .label_count = 1};
    sx_status st = sx_metric_new(r->scope.kit.metrics, &options, &connected, err);
    options.name = "redis_client_commands_waiting";
    options.help = "Commands of Redis clients that are not sent yet.";
    if (st == SX_OK)
        st = sx_metric_new(r->scope.kit.metrics, &options, &waiting, err);
    if (st != SX_OK)
        return st;
    r->connected = sx_metric_gauge(connected, &target, 1);
    r->lined_up = sx_metric_gauge(waiting, &target, 1);
    return SX_OK;
}

static sx_status set_up(sx_redis *r, const sx_kit *kit, sx_error *err)
{
    sx_status st = redis_url_parse(sx_str_z(r->options.url), &r->arena, &r->address, err);
    r->options.url = NULL; /* the caller's text */
    if (st == SX_OK)
        st = client_scope_init(&r->scope, kit, &KIND, &r->options.client, err);
    if (st != SX_OK)
        return st;
    client_scope_server_set(&r->scope, r->address.host, r->address.port);
    if (r->scope.kit.metrics)
        st = add_gauges(r, err);
    if (st == SX_OK && r->options.tls)
        r->tls = sx_tls_ref(r->options.tls);
    if (st == SX_OK && r->address.tls && !r->tls)
        st = sx_tls_client_new(&(sx_tls_client_options){.verify = SX_TLS_VERIFY_REQUIRED}, &r->tls,
                               err);
    if (!r->address.tls && r->tls) { /* options serve several URLs: redis:// is cleartext */
        sx_tls_unref(r->tls);
        r->tls = NULL;
    }
    if (st == SX_OK && r->address.port)
        st = sx_dns_new(r->loop, NULL, &r->dns, err);
    return st;
}

sx_status sx_redis_new(sx_loop *loop, const sx_kit *kit, const sx_redis_options *options,
                       sx_redis **out, sx_error *err)
{
    sx_redis *r = sx_calloc(1, sizeof(*r));
    if (!r)
        return sx_fail_memory(err, "a Redis client");
    if (options)
        r->options = *options;
    fill_defaults(&r->options);
    r->loop = loop;
    sx_arena_init(&r->arena, 512, 0);
    sx_list_init(&r->waiting);
    sx_list_init(&r->unanswered);
    sx_list_init(&r->dead);
    sx_random_init(&r->random);
    redis_link_init(r);
    sx_status st = set_up(r, kit, err);
    if (st != SX_OK) {
        destroy(r);
        return st;
    }
    *out = r;
    redis_enter(r);
    redis_link_start(r);
    redis_leave(r);
    return SX_OK;
}

void sx_redis_free(sx_redis *r)
{
    sx_error err;
    if (!r || r->closing)
        return;
    r->closing = true;
    redis_enter(r);
    redis_link_stop(r);
    sx_fail(&err, SX_ECANCELED, "the Redis client was closed");
    redis_fail_all(r, true, SX_ECANCELED, &err);
    redis_leave(r);
}
