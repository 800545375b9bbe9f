/* redis_internal.h - the inside of sx_redis, shared by its files.
 *
 *   redis.c          the public calls; a command's life
 *   redis_link.c     the connection: made, greeted, lost, made again
 *   redis_reply.c    bytes into replies, by hiredis's reader
 *   redis_command.c  words into bytes; commands that are refused; what errors mean
 *   redis_url.c      the URL
 *
 *   command  waiting -> unanswered -> told (exactly once) -> freed
 *                          \-> told (time-out, cancel), stays as a ghost until its answer has come
 *
 *   link     OFF (pause runs) -> DIALING -> GREETING -> READY -> DIALING …; any -> OFF on failure
 *
 * The transport is our own stream and not hiredis's: TLS, names resolved without blocking, and no abort
 * without memory. Every event enters by redis_enter and leaves by redis_leave; the outermost leave frees
 * what ended meanwhile, so that a callback may cancel anything and free the client. */
#ifndef SEXTANT_CLIENT_REDIS_INTERNAL_H
#define SEXTANT_CLIENT_REDIS_INTERNAL_H

#include <hiredis/read.h>

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/random.h>
#include <sextant/redis.h>

#include "client/dial.h"
#include "client/instrument.h"

enum {
    REDIS_SHA1_BYTES = 40,
    REDIS_GREETING_STEPS = 4 /* AUTH, SELECT, ROLE, PING */
};

typedef struct redis_address {
    sx_str host;   /* or the path of a Unix socket */
    uint16_t port; /* 0: a Unix socket */
    bool tls;
    bool has_password;
    sx_str user, password;
    uint32_t db;
} redis_address;

/* Reads a URL; texts go to `arena`. Errors: SX_EFORMAT with what is wrong; SX_ENOMEM. The message never
 * shows the password. */
sx_status redis_url_parse(sx_str text, sx_arena *arena, redis_address *out, sx_error *err);

/* ---- redis_reply.c ---- */

typedef struct redis_reader {
    redisReader *reader;
    sx_arena arena; /* of the reply under way */
    size_t bytes_max;
    uint32_t items_max;
    uint32_t items; /* so far */
    sx_status why;  /* a limit or want of memory: set before the reader is told to fail */
} redis_reader;

sx_status redis_reader_init(redis_reader *r, size_t bytes_max, uint32_t items_max, sx_error *err);
void redis_reader_done(redis_reader *r);

/* Gives it bytes. Errors: SX_ENOMEM, SX_ELIMIT. */
sx_status redis_reader_feed(redis_reader *r, sx_str bytes, sx_error *err);

/* SX_OK: *out is the next reply, good until the next call. SX_AGAIN: more bytes are needed. Errors:
 * SX_EPROTOCOL, SX_ELIMIT, SX_ENOMEM; the connection is then of no more use. */
sx_status redis_reader_next(redis_reader *r, const sx_redis_reply **out, sx_error *err);

/* ---- redis_command.c ---- */

/* Bytes that the words take on the wire; SIZE_MAX if that overflows. */
size_t redis_wire_bytes(const sx_str *words, size_t count);

/* Writes them; `out` has redis_wire_bytes. */
void redis_wire_write(const sx_str *words, size_t count, char *out);

/* Why this command cannot go over a connection for all; NULL: it can. Static. */
const char *redis_command_refused(sx_str name);

/* The command's name as label and span show it: upper case, "?" if it is no word. */
sx_str redis_command_name(sx_str name, char out[32]);

/* What an error reply means to the caller and to the breaker. */
typedef struct redis_meaning {
    sx_status status;
    client_outcome outcome;
    bool is_readonly; /* we talk to a replica */
} redis_meaning;
redis_meaning redis_error_meaning(sx_str error);

/* ---- the client ---- */

typedef enum redis_state {
    REDIS_OFF,
    REDIS_DIALING,
    REDIS_GREETING,
    REDIS_READY,
    REDIS_STATES
} redis_state;

struct sx_redis_call {
    sx_list link; /* redis->waiting, redis->unanswered or redis->dead */
    sx_redis *redis;
    client_call call;
    sx_redis_fn *fn;
    void *ctx;
    sx_timer timer;
    const sx_redis_script *script; /* NULL: none; else it is loaded if it is not known */
    bool told;                     /* fn was called: a ghost that waits for its answer */
    bool is_sent;
    bool was_resent; /* once is enough */
    uint32_t ms_max;
    size_t wire_bytes;
    char wire[];
};

struct sx_redis {
    sx_loop *loop;
    sx_redis_options options; /* defaults filled in */
    client_scope scope;
    sx_arena arena; /* the address's texts */
    redis_address address;
    sx_tls *tls;
    sx_dns *dns;

    redis_state state;
    client_dial *dial;
    sx_stream *stream;
    redis_reader reader;
    uint8_t greeting[REDIS_GREETING_STEPS]; /* steps whose answers are due, in order */
    uint8_t greeting_count, greeting_at;
    sx_random random;  /* of the pauses' jitter */
    uint32_t failures; /* to connect, in a row */
    sx_status last_status;
    sx_error last_error; /* of the last failure to connect, or of the break */
    sx_timer retry_timer, greeting_timer, stall_timer, flush_timer, probe_timer;
    int64_t probe_sent_ns, ready_ms;
    bool is_probing;
    bool blocked; /* the stream wants a pause */
    bool leaving; /* a replica by now: nothing is sent any more */

    sx_list waiting;    /* not sent */
    sx_list unanswered; /* sent, in order, ghosts included */
    sx_list dead;
    uint32_t waiting_count, unanswered_count;
    size_t bytes; /* of the wires of both */
    sx_redis_counts counts;
    sx_gauge *connected, *lined_up;
    uint32_t told_waiting; /* to the gauge, which gets changes only: loops share it */
    uint32_t depth;
    bool closing;
};

void redis_enter(sx_redis *r);
void redis_leave(sx_redis *r); /* the client may be gone after */

/* Ends a command: tells it once. One that is sent stays as a ghost. */
void redis_call_end(sx_redis_call *c, client_outcome outcome, sx_status st,
                    const sx_redis_reply *reply, const sx_error *err);

/* Takes a command off its list and counts; it is freed by the outermost leave. */
void redis_call_drop(sx_redis_call *c);

/* Puts a command that was sent back at the head of the line. */
void redis_call_again(sx_redis_call *c);

/* Ends every command that is unanswered, and with `waiting` those that wait, with a failure. */
void redis_fail_all(sx_redis *r, bool waiting, sx_status st, const sx_error *err);

/* A reply has come for the first unanswered command. */
void redis_answered(sx_redis *r, const sx_redis_reply *reply);

/* Puts a command of our own in the line, without span and breaker: PING, SCRIPT LOAD. NULL without
 * memory. */
sx_redis_call *redis_call_own(sx_redis *r, const sx_str *words, size_t count);

/* sx_redis_eval with a time of its own; 0: command_ms_max. */
sx_status redis_eval(sx_redis *r, const sx_redis_script *script, const sx_str *words, size_t count,
                     size_t key_count, uint32_t ms_max, sx_redis_fn *fn, void *ctx,
                     sx_redis_call **out, sx_error *err);

/* ---- redis_link.c ---- */

void redis_link_init(sx_redis *r);
void redis_link_start(sx_redis *r);
void redis_link_stop(sx_redis *r);

/* From a link that is READY to a new one, with the name resolved anew. */
void redis_link_renew(sx_redis *r);

/* Sends what waits, if the link is ready. */
void redis_link_flush(sx_redis *r);

/* The connection is of no more use: what is unanswered fails, and a new one is made at once. */
void redis_link_lost(sx_redis *r, sx_status st, const sx_error *err);

#endif
