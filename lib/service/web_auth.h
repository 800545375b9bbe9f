/* web_auth.h - who asks: basic authentication against bcrypt hashes, and bearer tokens.
 *
 * A hash takes a tenth of a second to check, on purpose, so it is checked on a pool of threads while
 * the request waits, and what came out is kept: a bounded table from a keyed digest of (user, hash,
 * password) to yes or no, so that a client pays once. A user that does not exist costs as much as a
 * wrong password. A new configuration is published by pointer; a request keeps to the one it met. */
#ifndef SEXTANT_SERVICE_WEB_AUTH_H
#define SEXTANT_SERVICE_WEB_AUTH_H

#include <sextant/http.h>
#include <sextant/log.h>
#include <sextant/metrics.h>
#include <sextant/web_config.h>

typedef struct sx_web_auth sx_web_auth;
struct sx_request_state;

/* Errors: SX_ENOMEM, SX_EIO (no thread). */
sx_status sx_web_auth_new(sx_metrics *metrics, sx_web_auth **out, sx_error *err);
void sx_web_auth_free(sx_web_auth *w);

/* Ends the checks under way; their loops must have stopped and not be freed yet. */
void sx_web_auth_stop(sx_web_auth *w);

/* Takes the users, tokens and rate of `config`, which on SX_OK is the auth's from here on. Main thread.
 * Errors: SX_ENOMEM. */
sx_status sx_web_auth_apply(sx_web_auth *w, sx_web_config *config, sx_error *err);

/* The configuration in force; NULL before the first apply. Any thread; it lives as long as `w`. */
const sx_web_config *sx_web_auth_config(const sx_web_auth *w);

/* Lets a request in (sx_chain_admitted), answers 429, or answers 401: at once, or after a thread of the pool has
 * checked the password. 503 if too many wait for that. */
void sx_web_auth_ask(sx_web_auth *w, sx_request *r, struct sx_request_state *state);

/* Whether `hash` (bcrypt, $2a$, $2b$ or $2y$) is of `password`. Takes its time. */
bool sx_bcrypt_matches(sx_str hash, sx_str password);

#endif
