/* origin.h - whether the page that a browser shows when it asks is one of ours.
 *
 * A browser sends cookies and addresses of its own network along with whatever page makes it ask; what
 * it says of that page (Fetch Metadata's Sec-Fetch-Site, RFC 6454's Origin) a page cannot forge. */
#ifndef OBSERVE_AUTH_ORIGIN_H
#define OBSERVE_AUTH_ORIGIN_H

#include <sextant/service.h>

/* True if the request comes from a page of another origin than ours: the request's own authority, what
 * a proxy says it was (X-Forwarded-Host), or the host of external_url (empty: none; with or without a
 * path). *told (may be NULL) is whether the client said anything: curl and its like say nothing, and
 * are not foreign. Any thread. */
bool origin_is_foreign(const sx_request *r, sx_str external_url, bool *told);

#endif
