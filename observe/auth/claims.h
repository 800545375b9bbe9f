/* claims.h - what a provider says of a person, and who that is here.
 *
 * A claim is looked for in the identity token first and then in what the userinfo endpoint answered: the
 * first that has it decides. All texts lie in the arena. Nothing here asks anybody or keeps anything.
 * Source: OpenID Connect Core 1.0, sections 5.1 and 5.3.2. */
#ifndef OBSERVE_AUTH_CLAIMS_H
#define OBSERVE_AUTH_CLAIMS_H

#include "observe/auth/config.h"
#include "observe/auth/store.h"

typedef struct claims {
    sx_str token, userinfo; /* JSON objects, borrowed; empty: there is none */
} claims;

/* Whether a claim is missing that this configuration judges or names people by. */
bool claims_lack(const claims *c, const auth_oidc *o, sx_arena *arena);

/* Whether userinfo is of whom the identity token is of; with no identity token, of `subject`. Anything else
 * may have been put in its place. */
bool claims_agree(const claims *c, sx_str subject, sx_arena *arena);

/* Who it is: login, name, role, source and subject of *out. *why gets a text for the log, of static storage,
 * if they may not come in.
 *   errors  SX_EACCESS (*why is set), SX_ENOMEM */
sx_status claims_user(const claims *c, const auth_oidc *o, sx_arena *arena, auth_user *out,
                      const char **why);

#endif
