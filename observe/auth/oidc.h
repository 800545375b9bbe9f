/* oidc.h - sign-in by a provider of OpenID Connect: authorization code with PKCE.
 *
 *     GET /login/oidc            -> the provider's page, with state, nonce and a challenge
 *     GET /login/oidc/callback   <- a code, which is exchanged for an identity token
 *
 * What must be remembered in between is in a cookie that only we can have made (HMAC), so that nothing
 * is kept for those who never come back, and a callback works only in the browser that began. The
 * provider's addresses and keys are fetched when they are first needed and kept for an hour; a token
 * of a key that is not known has the keys fetched once more. Each loop has its own client and its own
 * copy. Source: OpenID Connect Core 1.0 and Discovery 1.0; RFC 6749, RFC 7636. */
#ifndef OBSERVE_AUTH_OIDC_H
#define OBSERVE_AUTH_OIDC_H

#include <sextant/http_client.h>

#include "observe/auth/auth.h"

typedef struct oidc oidc;

/* Errors: SX_ENOMEM, SX_EIO. */
sx_status oidc_new(auth *a, oidc **out, sx_error *err);
void oidc_free(oidc *o);
/* A loop's client goes, and with it what is under way. */
void oidc_loop_end(oidc *o, sx_loop *loop);

#endif
