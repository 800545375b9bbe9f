/* redis.h - Redis from a loop: one pipelined connection that comes back, and says how it is.
 *
 *     sx_redis *redis;
 *     sx_redis_new(loop, kit, &(sx_redis_options){.url = "redis://cache:6379/0"}, &redis, &err);
 *     sx_redis_get(redis, SX_STR("greeting"), on_value, ctx, NULL, &err);
 *     ...
 *     static void on_value(void *ctx, sx_status status, const sx_redis_reply *reply, const sx_error *err)
 *     {
 *         if (status == SX_OK && reply->kind == SX_REDIS_STRING)
 *             use(reply->str);
 *     }
 *
 * A client belongs to one loop and keeps one connection: what is sent in one turn of the loop goes out
 * in one write, answers come back in order. It connects when it is made, and again by itself: at once
 * when a connection breaks, then with growing pauses. While the first try after a break runs commands
 * wait in line (bounded); when it fails, and during the pauses, they fail at once with the reason.
 * A command that was sent and not answered is not sent again: nobody knows whether it was done. The one
 * exception is READONLY, said by a master that became a replica: the name is resolved anew, and the
 * command goes to the new master once.
 *
 * As all clients (client.h) it is traced, measured (redis_client_commands_total{target,command,outcome},
 * redis_client_command_duration_seconds{target,command}, redis_client_connected{target},
 * redis_client_commands_waiting{target}), broken and health-checked.
 *
 * Not here, as one connection serves all: SUBSCRIBE and MONITOR, MULTI (write a script: EVAL), SELECT
 * and AUTH (they are in the URL): refused by name. A blocking command (BLPOP) holds up all that come
 * after it: give it a client of its own. Redis Cluster's MOVED and ASK are reported as not supported. */
#ifndef SEXTANT_REDIS_H
#define SEXTANT_REDIS_H

#include <sextant/client.h>
#include <sextant/limiter.h>
#include <sextant/loop.h>
#include <sextant/tls.h>

SX_BEGIN_DECLS

typedef struct sx_redis sx_redis;
typedef struct sx_redis_call sx_redis_call;

typedef struct sx_redis_options { /* 0 or NULL takes the default */
    /* redis://[user][:password]@host[:port][/db], rediss:// (TLS), unix:///path[?db=n]. User and
     * password percent-encoded. "redis://127.0.0.1:6379" */
    const char *url;
    sx_tls *tls;              /* of rediss://; NULL: the system's roots, verified */
    uint32_t connect_ms_max;  /* 2000: name, TCP, TLS and greeting */
    uint32_t command_ms_max;  /* 1000: of a command, waiting counted in */
    uint32_t retry_ms_min;    /* 50: first pause between tries to connect; doubles, with jitter … */
    uint32_t retry_ms_max;    /* 5000: … up to this */
    uint32_t commands_max;    /* 10000 waiting and unanswered; above it SX_REFUSED */
    size_t bytes_max;         /* 64 MiB of such commands; above it SX_REFUSED */
    size_t reply_bytes_max;   /* 64 MiB of one reply; above it the connection is given up */
    uint32_t reply_items_max; /* 1000000 of one reply, all depths together; the same */
    bool master_only;         /* ask for the role after connecting, and refuse a replica */
    sx_client_options client; /* name: "redis" */
} sx_redis_options;

/* A client on `loop`; it starts to connect, and a server that is not there is no error. `kit` and
 * `options` may be NULL; copied. Errors: SX_EFORMAT (the URL), SX_EINVAL (TLS), SX_ENOMEM. */
sx_status sx_redis_new(sx_loop *loop, const sx_kit *kit, const sx_redis_options *options,
                       sx_redis **out, sx_error *err);

/* Cancels what is under way (SX_ECANCELED) and frees. From a callback, too. NULL is allowed. */
void sx_redis_free(sx_redis *redis);

typedef enum sx_redis_kind {
    SX_REDIS_NIL,
    SX_REDIS_STRING,
    SX_REDIS_STATUS, /* "OK" */
    SX_REDIS_INTEGER,
    SX_REDIS_ARRAY,
    SX_REDIS_ERROR
} sx_redis_kind;

typedef struct sx_redis_reply {
    sx_redis_kind kind;
    sx_str str;                         /* string, status, error; any bytes */
    int64_t integer;                    /* integer */
    const struct sx_redis_reply *items; /* array */
    size_t count;
} sx_redis_reply;

/* How a command ended; comes exactly once, never before the call that started it returns (but from
 * within sx_redis_cancel and sx_redis_free). `reply` is NULL unless there is one, and good for the call,
 * as is `err`. What status says:
 *   SX_OK          `reply` is no error
 *   SX_EINVAL      the server answered with an error (reply->kind SX_REDIS_ERROR)
 *   SX_EACCESS     the same: NOAUTH, NOPERM, WRONGPASS
 *   SX_EUNSUPPORTED the same: MOVED, ASK, CROSSSLOT …: a cluster
 *   SX_ECLOSED     no connection, or it broke, or the server cannot serve now (LOADING, MASTERDOWN …)
 *   SX_ETIMEOUT, SX_ECANCELED, SX_EPROTOCOL, SX_ELIMIT (the reply), SX_ENOMEM */
typedef void sx_redis_fn(void *ctx, sx_status status, const sx_redis_reply *reply,
                         const sx_error *err);

typedef struct sx_redis_command {
    const sx_str *words; /* the command's name and arguments: any bytes; copied */
    size_t count;
    uint32_t ms_max; /* 0: command_ms_max; cut to the context's deadline */
} sx_redis_command;

/* Sends a command. `out` (may be NULL) is good until `fn` is called. Errors, and then `fn` is not
 * called: SX_REFUSED (breaker, full line), SX_ECLOSED (no connection, with the last failure),
 * SX_EUNSUPPORTED (a command that one connection for all cannot take), SX_EINVAL (no words),
 * SX_ETIMEOUT (the deadline has passed), SX_ENOMEM. */
sx_status sx_redis_send(sx_redis *redis, const sx_redis_command *command, sx_redis_fn *fn,
                        void *ctx, sx_redis_call **out, sx_error *err);

/* GET; SET with a time to live in ms (0: for ever); DEL. As sx_redis_send. */
sx_status sx_redis_get(sx_redis *redis, sx_str key, sx_redis_fn *fn, void *ctx, sx_redis_call **out,
                       sx_error *err);
sx_status sx_redis_set(sx_redis *redis, sx_str key, sx_str value, uint64_t ttl_ms, sx_redis_fn *fn,
                       void *ctx, sx_redis_call **out, sx_error *err);
sx_status sx_redis_delete(sx_redis *redis, sx_str key, sx_redis_fn *fn, void *ctx,
                          sx_redis_call **out, sx_error *err);

/* A Lua script, sent by its SHA-1 and loaded where it is not known yet. Static or outliving all
 * clients. */
typedef struct sx_redis_script {
    sx_str text;
    char sha1[41]; /* hex; "" before sx_redis_script_init */
} sx_redis_script;
void sx_redis_script_init(sx_redis_script *script, sx_str text);

/* EVALSHA: the first `key_count` of `words` are KEYS, the rest ARGV. As sx_redis_send. */
sx_status sx_redis_eval(sx_redis *redis, const sx_redis_script *script, const sx_str *words,
                        size_t count, size_t key_count, sx_redis_fn *fn, void *ctx,
                        sx_redis_call **out, sx_error *err);

/* Gives a command up: `fn` is called with SX_ECANCELED before this returns; it may have been done. */
void sx_redis_cancel(sx_redis_call *call);

/* Whether a connection is there and greeted. */
bool sx_redis_is_connected(const sx_redis *redis);

typedef struct sx_redis_counts {
    uint64_t connects, connect_failures, disconnects; /* since it was made */
    uint64_t waiting, unanswered;                     /* now */
    uint64_t held_bytes;                              /* of both */
} sx_redis_counts;
/* Its numbers so far. */
sx_redis_counts sx_redis_counts_of(const sx_redis *redis);

/* The loop it belongs to. */
sx_loop *sx_redis_loop(const sx_redis *redis);

/* ---- rate limits that several processes share (limiter.h) ----
 *
 * The store of an sx_limiter: one Lua script over one hash a key, on Redis's own clock, asked through the
 * client of the thread that asks. A service has one, which each loop joins with its client:
 *
 *     sx_redis_limiter_new(NULL, &shared, &err);
 *     sx_limiter_new(&(sx_limiter_options){.share = sx_redis_limiter_share(shared), …}, &limiter, &err);
 *     ... on each loop: sx_redis_limiter_join(shared, redis, &err);
 *
 * A thread that has not joined, and any while Redis is away or late, is decided by the local table. */
typedef struct sx_redis_limiter sx_redis_limiter;

/* `prefix` is put before each key; NULL: "sextant:limit:". Copied. Errors: SX_ENOMEM, SX_EINVAL (longer
 * than 100 bytes). */
sx_status sx_redis_limiter_new(const char *prefix, sx_redis_limiter **out, sx_error *err);

/* After all limiters that share it and all who joined have gone. NULL is allowed. */
void sx_redis_limiter_free(sx_redis_limiter *l);

/* What sx_limiter_options.share points to. Lives as long as `l`. */
const sx_limiter_share *sx_redis_limiter_share(sx_redis_limiter *l);

/* Questions of the calling thread, `redis`'s own, go to `redis` from now on; until _leave in the same
 * thread, which comes before sx_redis_free. Errors: SX_ELIMIT (more than SX_THREAD_SHARDS_MAX threads). */
sx_status sx_redis_limiter_join(sx_redis_limiter *l, sx_redis *redis, sx_error *err);
void sx_redis_limiter_leave(sx_redis_limiter *l);

SX_END_DECLS

#endif
