/* auth.h - who asks, and what they may do: sign-in of the observatory.
 *
 * Without --auth.config everybody is an admin without a name, as in Prometheus, and nothing is asked.
 * With it each request passes auth_admit() before its handler runs: a session's cookie, a token, a
 * password, or a header of a proxy that is trusted says who it is, and the class of the route
 * (class.h) says which role it takes. Handlers ask auth_of(). docs/howto/sign-in.md is the manual. */
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

/* Notes that somebody did something of weight: a line of the log and, with sign-in, an entry of the audit
 * log. `action` is a word with a dot, "dashboard.save"; `what` says on what. Any thread, without waiting,
 * while the request is held. */
void auth_audit(const sx_request *r, const char *action, sx_str what);

/* The same for what auth.c records by its address, once it is answered with `status`; `what` may be empty:
 * the path. */
void auth_audit_answer(const sx_request *r, int status, sx_str what);

/* ---- for the server ---- */

typedef struct auth_options {
    sx_str config_file;  /* empty: no sign-in */
    sx_str storage;      /* the data directory, for the users' database */
    sx_str external_url; /* without a slash at its end */
    sx_str prefix;       /* of all paths: "" or "/x" */
    const sx_clock *clock;
} auth_options;

/* Reads the file and opens the database. From the service's set-up; `problems` may be NULL. Errors: the
 * file's, the database's. */
sx_status auth_new(const auth_options *options, sx_service *service, auth **out, sx_buf *problems,
                   sx_error *err);
void auth_free(auth *a);
/* The pools of the first loop, and each loop's client of the provider. */
sx_status auth_loop_set_up(auth *a, sx_loop *loop, sx_error *err);
void auth_loop_tear_down(auth *a, sx_loop *loop);

/* Whether the file, as it is now, could be taken up; and takes it up. NULL is allowed. */
sx_status auth_check(const auth *a, sx_error *err);
sx_status auth_reload(auth *a, sx_error *err);

/* Whether intake without credentials is let in: what comes by UDP has none. */
bool auth_intake_is_open(const auth *a);

/* Of a route's flags: its path begins with the server's prefix, which is no part of what classes are told by.
 * Other listeners have paths of their peers', which a prefix may happen to begin. */
enum { AUTH_ROUTE_PREFIXED = 1 << 16 };

/* The service's `admit`. */
sx_admission auth_admit(auth *a, sx_request *r, const sx_route *route);

/* The addresses of sign-in. `ctx` of each handler is an `auth **`, which may hold NULL: it is answered
 * that there is no sign-in. */
typedef struct auth_call auth_call;
typedef struct auth_route {
    int method;
    const char *path;
    sx_handler *handler;
    /* Of those whose handler is auth_run(): what a thread does, whether it hashes a password, and whether
     * it is about everybody's things or those of who asks. */
    sx_status (*work)(auth_call *c, sx_error *err);
    bool hashes, everybodys;
} auth_route;
extern const auth_route AUTH_ROUTES[];
extern const size_t AUTH_ROUTE_COUNT;
enum { AUTH_BODY_MAX = 64 << 10 };

#endif
