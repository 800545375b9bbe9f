/* percent.h - one escape of the form %XX, for everything in lib/net that reads them. */
#ifndef SEXTANT_NET_PERCENT_H
#define SEXTANT_NET_PERCENT_H

#include <sextant/str.h>

/* The byte that an escape at the start of `at` stands for (0 to 255); -1 if there is no whole and
 * correct one. RFC 3986, section 2.1. */
int sx_percent_value(sx_str at);

#endif
