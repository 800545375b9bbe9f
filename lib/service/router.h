/* router.h - from method and path to a row of the route table.
 *
 * Compiled once: paths without parameters go into a hash table (one look-up, the usual case), all of
 * them into a radix tree whose nodes branch on text, then on a parameter, then on the rest. A node
 * where patterns end has one row for each method, so that the search that fails on the method alone
 * knows what to say in Allow. Read-only once made: all loops share it. */
#ifndef SEXTANT_SERVICE_ROUTER_H
#define SEXTANT_SERVICE_ROUTER_H

#include <sextant/service.h>

typedef struct sx_router sx_router;

/* Compiles a table, which must outlive the router. Errors: SX_EINVAL (a pattern, with what is wrong),
 * SX_EEXIST (two rows that fit the same requests), SX_ENOMEM. */
sx_status sx_router_new(const sx_route *routes, size_t count, sx_slash slash, sx_router **out,
                        sx_error *err);
void sx_router_free(sx_router *router);

typedef enum sx_route_result {
    SX_ROUTE_FOUND,
    SX_ROUTE_NONE,       /* 404 */
    SX_ROUTE_METHOD,     /* 405: other methods would do: `allow` */
    SX_ROUTE_REDIRECT,   /* 308 to `location` */
    SX_ROUTE_BAD_ESCAPE, /* 400: a broken escape, or %00 */
    SX_ROUTE_NO_MEMORY
} sx_route_result;

typedef struct sx_route_match {
    size_t index; /* of the row */
    size_t param_count;
    sx_str params[SX_ROUTE_PARAMS_MAX]; /* views of the path; %2F and %25 still escaped in them */
    unsigned allow;                     /* bit m: method m would do */
    bool escaped;                       /* the path had escapes: parameters need a last decoding */
    sx_str location;                    /* the path with or without its last slash */
} sx_route_match;

/* HOT, 50 ns for a path without parameters. `path` is as sent, still encoded; what has to be copied
 * goes to the arena. */
sx_route_result sx_router_find(const sx_router *router, int method, sx_str path, sx_arena *arena,
                               sx_route_match *m);

/* The name of parameter `i` of row `index` ("*" for a rest without a name). */
sx_str sx_router_param_name(const sx_router *router, size_t index, size_t i);

/* Asserts every invariant. Returns true. */
bool sx_router_check(const sx_router *router);

#endif
