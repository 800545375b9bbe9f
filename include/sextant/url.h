/* url.h - URLs of http, https and Unix sockets taken apart, and paths made safe.
 *
 * The client, the gateway's upstreams, webhooks and probes all read URLs here, so that no two of
 * them disagree on where a host ends. The split is strict: what RFC 3986 does not allow is refused
 * with the offset of the byte, never guessed. Percent-decoding and query walking are in http.h. */
#ifndef SEXTANT_URL_H
#define SEXTANT_URL_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

SX_BEGIN_DECLS

typedef enum sx_url_scheme { SX_URL_HTTP, SX_URL_HTTPS, SX_URL_UNIX } sx_url_scheme;

/* All views point into the text that was parsed, still percent-encoded. */
typedef struct sx_url {
    sx_url_scheme scheme;
    sx_str userinfo;  /* before '@'; data NULL if there is none. Senders decide, none is implied */
    sx_str host;      /* name, IPv4 or IPv6 address without brackets; of a Unix socket: its path */
    sx_str authority; /* host and port as written, for Host; empty for a Unix socket */
    uint16_t port;    /* written, or the scheme's own; 0 for a Unix socket */
    bool is_ipv6;     /* the host was in brackets */
    sx_str path;      /* begins with '/', or is empty: a sender writes "/" */
    sx_str query;     /* after '?'; data NULL if there is none */
    sx_str fragment;  /* after '#'; data NULL if there is none; never sent */
} sx_url;

enum { SX_URL_BYTES_MAX = 65536 };

/* Splits `http://host[:port][/path][?query]`, https, or `unix:/socket/path[:/target]`. Any thread.
 *   text    borrowed; the result points into it
 *   errors  SX_EFORMAT, with the offset and what is wrong; SX_EUNSUPPORTED for another scheme;
 *           SX_ELIMIT above SX_URL_BYTES_MAX. *out is untouched then
 * A host may hold bytes above 127 (an internationalised name), which are passed on as they are. A
 * query may hold []{}|^`\ as browsers send them (`match[]=`).
 * Source: RFC 3986, sections 3 and appendix A; RFC 9110, section 4.2. */
sx_status sx_url_parse(sx_str text, sx_url *out, sx_error *err);

/* Appends the request target: path (at least "/") and "?query". RFC 9112, section 3.2.1. */
void sx_url_target(const sx_url *url, sx_buf *out);

/* Appends `in` with everything but RFC 3986's unreserved characters as %XX. */
void sx_url_encode(sx_str in, sx_buf *out);

/* Makes the path of a request safe to look up: decodes it, removes "." and "..", joins repeated
 * slashes. The result is in the arena, begins with '/', has no "." or ".." segment, no NUL, and
 * keeps a closing '/'. Errors: SX_EFORMAT (does not begin with '/', broken escape, NUL);
 * SX_EACCESS (".." above the root, an encoded slash or a backslash: on some system each of them
 * leads elsewhere than it seems); SX_ENOMEM. Source: RFC 3986, section 5.2.4. */
sx_status sx_path_clean(sx_arena *arena, sx_str path, sx_str *out, sx_error *err);

SX_END_DECLS

#endif
