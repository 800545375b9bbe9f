/* class.h - what kind of request a route is for, so that roles are given to kinds and not to addresses.
 *
 * One table of patterns (class.c), read from its top; a route that none of them fits is for admins
 * alone, so that a new one is closed until somebody has thought of it (a unit test fails then). */
#ifndef OBSERVE_AUTH_CLASS_H
#define OBSERVE_AUTH_CLASS_H

#include <sextant/http.h>

typedef enum auth_class {
    AUTH_CLASS_UNKNOWN,
    AUTH_CLASS_OPEN,    /* pages without data, health, signing in */
    AUTH_CLASS_SELF,    /* one's own account; the handler asks who it is */
    AUTH_CLASS_METRICS, /* what is scraped: /metrics, /collect/... */
    AUTH_CLASS_READ,    /* queries, states, traces, dashboards */
    AUTH_CLASS_STAR,    /* what is one's own: a viewer's, too */
    AUTH_CLASS_INTAKE,  /* what is stored: remote write, OTLP, spans */
    AUTH_CLASS_EDIT,    /* dashboards, folders, annotations */
    AUTH_CLASS_ADMIN,   /* users, deletions, reloads, the end */
    AUTH_CLASSES
} auth_class;

/* Of a request of `method` to `route`, the pattern without --web.external-url's prefix; `path` is what
 * was asked for, for the patterns that stand for a whole gRPC server. */
auth_class auth_class_of(sx_method method, sx_str route, sx_str path);

#endif
