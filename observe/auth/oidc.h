/* oidc.h - sign-in by a provider of OpenID Connect: authorization code with PKCE.
 *
 *     GET /login/oidc            -> the provider's page, with state, nonce and a challenge
 *     GET /login/oidc/callback   <- a code, which is exchanged for an identity token
 *
 * What must be remembered in between is in a cookie that only we can have made and read (seal.h), so that
 * nothing is kept for those who never come back, and a callback works only in the browser that began. The
 * provider's addresses and keys are fetched when they are first needed and kept for an hour; a token
 * of a key that is not known has the keys fetched once more, but not within ten seconds. Each loop has its
 * own client and its own copy. Claims that the identity token lacks are asked of the userinfo endpoint.
 *
 * With `recheck` a session's refresh token is used that often while the session is; one that the provider
 * refuses ends it. With `end_session` signing out here leads to the provider's page for that.
 *
 * Source: OpenID Connect Core 1.0, Discovery 1.0 and RP-Initiated Logout 1.0; RFC 6749, 7636, 9207. */
#ifndef OBSERVE_AUTH_OIDC_H
#define OBSERVE_AUTH_OIDC_H

#include <sextant/http_client.h>

#include "observe/auth/config.h"

typedef struct oidc oidc;

/* Errors: SX_ENOMEM, SX_EIO. */
sx_status oidc_new(auth *a, oidc **out, sx_error *err);
/* NULL is allowed. After the last loop's end. */
void oidc_free(oidc *o);
/* Begins a loop's part of it: the first loop sees to the re-checks. On the loop. */
void oidc_loop_begin(oidc *o, sx_loop *loop);
/* A loop's client goes, and with it what is under way. No loop runs any more. */
void oidc_loop_end(oidc *o, sx_loop *loop);

sx_handler auth_oidc_begin, auth_oidc_back;

/* Finds out where the provider has people sign out, and hands `c` on to `then` with that address: empty if
 * it has none or does not answer. On the loop. */
void oidc_find_end(auth_call *c, void (*then)(auth_call *c, sx_str page));
/* `page` with what it is to know: whose session (id_token_hint; may be empty) and where to come back. In the
 * arena; empty if there is no memory. Source: RP-Initiated Logout 1.0, section 2. */
sx_str oidc_end_url(const auth *a, const auth_config *config, sx_str page, sx_str id_token,
                    sx_arena *arena);

#endif
