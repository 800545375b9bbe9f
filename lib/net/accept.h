/* accept.h - what a client accepts. RFC 9110, section 12.5.1. */
#ifndef SEXTANT_NET_ACCEPT_H
#define SEXTANT_NET_ACCEPT_H

#include <sextant/str.h>

/* The weight, in thousandths, that an Accept field gives to a media type ("text/html"): by its most
 * specific range that matches, 0 if none does. A field with data NULL (absent) accepts everything.
 * Members that break the grammar count as absent. */
int sx_accept_quality(sx_str accept, sx_str media_type);

#endif
