/* auth.h - who asks, and what they may do: sign-in of the observatory.
 *
 * Without --auth.config everybody is an admin without a name, as in Prometheus, and nothing is asked.
 * With it each request passes auth_admit() before its handler runs: a session's cookie, a token, a
 * password, or a header of a proxy that is trusted says who it is, and the class of the route
 * (auth_class.h) says which role it takes. Handlers ask auth_of(). docs/howto/sign-in.md is the manual. */
#ifndef OBSERVE_AUTH_AUTH_H
#define OBSERVE_AUTH_AUTH_H

#include <sextant/service.h>

typedef enum auth_role { AUTH_NONE, AUTH_VIEWER, AUTH_EDITOR, AUTH_ADMIN, AUTH_ROLES } auth_role;

/* Views live as long as the request. */
typedef struct auth_who {
    sx_str login; /* "": nobody in particular */
    sx_str name;  /* for people to read; the login where there is no other */
    auth_role role;
} auth_who;

typedef struct auth auth;

/* Who asks. Never NULL: without sign-in everybody is an admin whose login is "". Any thread, while the
 * request is held. */
const auth_who *auth_of(const sx_request *r);

/* "none", "viewer", "editor", "admin". */
sx_str auth_role_name(auth_role role);
/* False if `text` is no role that a user can have. */
bool auth_role_parse(sx_str text, auth_role *out);

/* Handler of GET /api/user: who one is, for the page. */
void auth_answer_user(sx_request *r, void *ctx);

#endif
