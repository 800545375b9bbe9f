/* instrument.h - what every client of lib/client does around a call: span, metrics, breaker, health,
 * context.
 *
 *   client_scope   one target of one client: its breaker, its check, its series; lives as long as
 *                  the client
 *   client_call    one call: lies in the client's own structure for it
 *
 *     client_call_begin(&c, scope, &what, &err)   refused: the call is over, nothing more to do
 *     ... the call ...
 *     client_call_end(&c, outcome, st, &err)      span, metrics, breaker and check are told
 *     const sx_context *outer = client_call_enter(&c);
 *     ... the caller's function ...
 *     client_call_leave(outer);
 *     client_call_done(&c);
 *
 * A scope may be used by several threads, a call by one at a time. */
#ifndef SEXTANT_CLIENT_INSTRUMENT_H
#define SEXTANT_CLIENT_INSTRUMENT_H

#include <pthread.h>

#include <sextant/client.h>
#include <sextant/map.h>

/* How a call ended, as label "outcome" says it. */
typedef enum client_outcome {
    CLIENT_OK,
    CLIENT_ERROR, /* the other side answered with an error: it is there */
    CLIENT_TIMEOUT,
    CLIENT_UNAVAILABLE, /* no connection, or it broke, or the other side said that it cannot serve */
    CLIENT_REFUSED,     /* by us: the breaker, a full queue */
    CLIENT_CANCELED, /* given up by the caller, or failed on our side: says nothing about the other */
    CLIENT_OUTCOMES
} client_outcome;

/* A kind of client. Static. */
typedef struct client_kind {
    const char *name;                        /* default of sx_client_options.name */
    const char *system;                      /* db.system.name; NULL: no database */
    const char *total_name, *total_help;     /* counter{target,<operation>,outcome} */
    const char *seconds_name, *seconds_help; /* histogram{target,<operation>} */
    const char *operation_label;
} client_kind;

enum { CLIENT_OPERATIONS_MAX = 256 };

typedef struct client_operation {
    sx_counter *total[CLIENT_OUTCOMES]; /* resolved when first counted */
    sx_histogram *seconds;
    size_t name_len;
    char name[];
} client_operation;

typedef struct client_scope {
    sx_kit kit; /* zero members are off */
    const sx_clock *clock;
    const client_kind *kind;
    char *target;
    sx_breaker *breaker;    /* NULL: off */
    sx_health_check *check; /* NULL: off */
    int64_t told_ms;        /* atomic, relaxed; monotonic: when the check was last told */
    sx_metric *total, *seconds;
    pthread_mutex_t lock; /* of `operations` */
    sx_map operations;    /* name to client_operation */
    char server[256];     /* server.address and port of spans; "" and 0: unknown */
    uint16_t port;
} client_scope;

/* `kit` may be NULL. Errors: SX_ENOMEM, as sx_metric_new. */
sx_status client_scope_init(client_scope *s, const sx_kit *kit, const client_kind *kind,
                            const sx_client_options *options, sx_error *err);
void client_scope_done(client_scope *s);

/* Where the target is, for spans; empty: unknown. */
void client_scope_server_set(client_scope *s, sx_str host, uint16_t port);

/* Tells the check of something that was no call (a connection lost, a probe's answer). */
void client_scope_report(client_scope *s, sx_status st, const sx_error *err, int64_t latency_ns);

/* Whether the check has not been told anything for `ms`. */
bool client_scope_is_quiet(const client_scope *s, uint32_t ms);

typedef struct client_call {
    client_scope *scope;
    client_operation *operation; /* NULL: not measured */
    sx_context context;          /* of the caller, kept */
    char *room;                  /* its texts */
    sx_span span;
    sx_breaker_pass pass;
    int64_t start_ns;
    bool passed; /* the breaker waits for a result */
    bool cut;    /* the time-out is the caller's deadline, not ours */
    bool open;   /* between begin and end */
} client_call;

typedef struct client_what {
    sx_str operation;  /* "GET", "SELECT": label and db.operation.name */
    sx_str collection; /* table; may be empty */
    sx_str text;       /* db.query.text; empty: none */
    uint32_t timeout_ms;
    bool unbreakable; /* goes whatever the breaker says: the end of something begun */
} client_what;

/* Starts a call: keeps the context, asks the breaker, starts the span. *timeout_ms (0: none) is
 * what->timeout_ms cut to the deadline. Errors: SX_REFUSED (the breaker, by name), SX_ETIMEOUT (the
 * deadline has passed), SX_ENOMEM; the call is over then. */
sx_status client_call_begin(client_call *c, client_scope *s, const client_what *what,
                            uint32_t *timeout_ms, sx_error *err);

/* Ends it: `err` may be NULL. `error_type` names the failure for error.type; NULL: by outcome. A call
 * that is not open: does nothing. */
void client_call_end(client_call *c, client_outcome outcome, const sx_error *err,
                     const char *error_type);

/* Around the caller's functions. */
const sx_context *client_call_enter(const client_call *c);
void client_call_leave(const sx_context *outer);

/* Frees what it holds. After begin, also a failed one, exactly once. */
void client_call_done(client_call *c);

/* "ok", "error" ... Static. */
const char *client_outcome_name(client_outcome outcome);

/* The outcome that a failure on the way means. */
client_outcome client_outcome_of(sx_status st);

#endif
