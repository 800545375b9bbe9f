/* grpc_call.h - what calls have in common on both sides (grpc_call.c): messages in, pausing, memory.
 *
 *   server   lives in its request's arena; a hold on the request keeps it until released
 *   client   heap; freed when `done` was told */
#ifndef SEXTANT_NET_GRPC_CALL_H
#define SEXTANT_NET_GRPC_CALL_H

#include <sextant/grpc.h>
#include <sextant/timer.h>

struct sx_grpc_call {
    const sx_grpc_events *events;
    void *ctx;
    sx_grpc_reader reader;
    sx_request *request; /* server; else NULL */
    sx_call *call;       /* client; else NULL */
    bool begun;          /* server: the reply's head was sent */
    bool over;           /* finished, done or canceled: nothing more is told */
    bool paused;
    bool pumping;      /* grpc_call_pump is on the stack */
    bool free_due;     /* client: `done` was told within; freed after the pump */
    bool remote_ended; /* no more bytes will come */
    bool end_told;
    sx_buf held; /* bytes that came while paused */

    /* Server. */
    bool unary;
    uint32_t message_count;
    sx_buf single; /* the message of a unary call */
    sx_timer deadline;
    sx_header *trailers; /* in the request's arena */
    size_t trailer_count, trailer_cap;

    /* Client. */
    sx_arena arena;
    int http_status;
    bool is_grpc; /* the response's content-type says so */
    int status;   /* grpc-status that came; -1: none */
    sx_str text;  /* grpc-message, decoded */
};

/* Takes bytes of the other side and gives out messages, unless paused. Errors: as the reader's; the
 * caller then ends the call. SX_OK also if the call ended within. */
sx_status grpc_call_pump(sx_grpc_call *c, sx_str piece, sx_error *err);

/* How the server ends a call whose messages make no sense. */
void grpc_server_fail(sx_grpc_call *c, sx_status status, const sx_error *err);

/* To be called after each pump of a client's call: true if the call is gone. */
bool grpc_client_after_pump(sx_grpc_call *c, sx_status status, const sx_error *err);

/* All that came has been given out and no more comes. */
void grpc_server_end(sx_grpc_call *c);

/* Releases what both sides have. */
void grpc_call_done(sx_grpc_call *c);

#endif
