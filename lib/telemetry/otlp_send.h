/* otlp_send.h - how one export request goes to a receiver, by any of the three protocols.
 *
 * A sender belongs to a pipe and the exporter's loop; one request is under way at most. Tests put
 * senders of their own in its place. */
#ifndef SEXTANT_TELEMETRY_OTLP_SEND_H
#define SEXTANT_TELEMETRY_OTLP_SEND_H

#include <sextant/loop.h>
#include <sextant/otlp.h>

#include "telemetry/otlp_answer.h"

/* Of 512 spans level 3 makes 26 %, level 6 makes 25 % in more than twice the time. */
enum { SX_OTLP_GZIP_LEVEL = 3 };

typedef struct sx_otlp_sender sx_otlp_sender;
typedef void sx_otlp_answered(void *ctx, const sx_otlp_answer *answer);

struct sx_otlp_sender {
    /* Sends an ExportTraceServiceRequest or its like, which is borrowed for the call. On SX_OK
     * done(ctx) comes later, once. */
    sx_status (*send)(sx_otlp_sender *s, sx_str request, sx_otlp_answered *done, void *ctx,
                      sx_error *err);
    /* What is under way is given up without `done`; then it is freed. */
    void (*free)(sx_otlp_sender *s);
    sx_str shown; /* where it sends to, without what may be secret: for messages */
};

/* The sender for a target whose endpoint is set. Errors: as sx_otlp_new. */
sx_status sx_otlp_sender_new(sx_loop *loop, const sx_otlp_target *target, sx_otlp_signal signal,
                             sx_otlp_sender **out, sx_error *err);

/* Whether an endpoint or a list of headers can be used; err says what is wrong with it, without showing
 * it. For sx_otlp_environment, too. */
sx_status sx_otlp_endpoint_check(sx_str endpoint, sx_error *err);

/* Walks key=value,key2=value2 (percent-encoded, as W3C baggage without properties): the next pair,
 * decoded into `arena` with a NUL after each. SX_END at the end; SX_EFORMAT, SX_ENOMEM. */
sx_status sx_otlp_pairs_next(sx_arena *arena, sx_str *rest, sx_str *key, sx_str *value,
                             sx_error *err);

/* The same for header fields: names in lower case, as HTTP/2 wants them. SX_EINVAL for what HTTP does not
 * allow in a name or value; the value is not shown. */
sx_status sx_otlp_headers_next(sx_arena *arena, sx_str *rest, sx_str *name, sx_str *value,
                               sx_error *err);

#endif
