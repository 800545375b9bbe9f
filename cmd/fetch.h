/* fetch.h - what commands ask of a server over HTTP. */
#ifndef SEXTANT_CMD_FETCH_H
#define SEXTANT_CMD_FETCH_H

#include "cmd/answer.h"

enum { CMD_ANSWER_BYTES_MAX = 1 << 30 };

/* Posts a form (or, where it has no data, gets) and appends the body, whatever the *status. Errors:
 * the address's, the network's; SX_ELIMIT for a body of more than CMD_ANSWER_BYTES_MAX. */
sx_status cmd_fetch(sx_str url, sx_str form, sx_buf *out, int *status, sx_error *err);

/* Posts `body` of a media type and appends the answer, as cmd_fetch. */
sx_status cmd_post(sx_str url, sx_str type, sx_str body, sx_buf *out, int *status, sx_error *err);

/* `path` below the server at `url`; in the arena. */
sx_str cmd_endpoint(const char *url, const char *path, sx_arena *arena);

/* What the server at `url` answers to an instant query (query.c); out->error: why it refuses. */
sx_status cmd_ask_at(const char *url, sx_str expression, int64_t time_ms, sx_arena *arena,
                     answer *out, sx_error *err);

#endif
