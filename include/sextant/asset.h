/* asset.h - files that are compiled into the binary: a service's pages.
 *
 * scripts/embed.py turns files into a table of these at build time, with their gzip form and an ETag
 * made from their bytes. */
#ifndef SEXTANT_ASSET_H
#define SEXTANT_ASSET_H

#include <sextant/http.h>

SX_BEGIN_DECLS

typedef struct sx_asset {
    sx_str path; /* "/"; empty after the last of a table */
    sx_str type; /* content type */
    sx_str etag; /* with its quotes */
    sx_str plain, gzip;
} sx_asset;

/* Answers a GET or HEAD with the asset: 304 if If-None-Match names it, gzip where the client takes it
 * and it is smaller. Sends Vary and Cache-Control: no-cache (a changed binary shows at once).
 * Source: RFC 9110, sections 8.8.3, 12.5.3 and 13.1.2. */
void sx_asset_reply(sx_request *r, const sx_asset *asset);

/* The asset of a table (its last row has an empty path) that has this path; NULL if none. */
const sx_asset *sx_asset_find(const sx_asset *table, sx_str path);

SX_END_DECLS

#endif
