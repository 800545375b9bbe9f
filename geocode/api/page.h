/* page.h - the pages that the binary carries; the table is made from web/dist by the build. */
#ifndef SEXTANT_GEOCODE_API_PAGE_H
#define SEXTANT_GEOCODE_API_PAGE_H

#include <sextant/static.h>

extern const sx_assets GEO_PAGES;
extern const sx_str GEO_PAGES_BROTLI[];

#endif
