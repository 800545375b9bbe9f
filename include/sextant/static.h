/* static.h - files and built-in assets over HTTP: conditions, ranges, precompressed siblings.
 *
 * A folder is served from disk; every read runs on an sx_pool, never on a loop. Nothing outside the
 * folder can be reached: paths are cleaned (sx_path_clean) and opened by openat2(RESOLVE_BENEATH),
 * so neither ".." nor a symbolic link that leads out works. Assets are compiled into the binary.
 *
 * Both answer GET and HEAD (405 else), If-Match, If-None-Match, If-Modified-Since,
 * If-Unmodified-Since, Range with one range, If-Range, and Accept-Encoding. Source: RFC 9110,
 * sections 8.8, 12.5.3, 13 and 14. */
#ifndef SEXTANT_STATIC_H
#define SEXTANT_STATIC_H

#include <sextant/http.h>

SX_BEGIN_DECLS

/* ---- folders ---- */

typedef struct sx_static sx_static;

typedef struct sx_static_options {
    const char *root;  /* the folder */
    sx_pool *pool;     /* for reads; outlives the sx_static and its requests */
    const char *index; /* served for a path that ends in '/'; NULL: "index.html", "": none */
    const char *cache_control; /* NULL: "no-cache" (ask again each time, cheaply by ETag) */
    uint64_t file_bytes_max;   /* 0: 1 GiB; larger files are not found */
    bool precompressed;        /* look for FILE.br and FILE.gz beside FILE */
} sx_static_options;

/* Opens the folder. May be used from all loops. Errors: SX_ENOTFOUND, SX_EACCESS, SX_EIO with the
 * path; SX_ENOMEM. */
sx_status sx_static_open(const sx_static_options *options, sx_static **out, sx_error *err);

/* Requests under way finish first; the memory goes with the last. */
void sx_static_close(sx_static *s);

/* Answers `r` with the file at `path`: percent-encoded, beginning with '/', relative to the root (the
 * request's path, or what is left of it behind a route's prefix). The reply may come later. */
void sx_static_serve(sx_static *s, sx_request *r, sx_str path);

/* ---- assets in the binary ---- */

typedef struct sx_asset {
    const char *path; /* "/app.js"; the table is sorted by it, byte by byte */
    const char *type; /* content type; NULL: by the path's extension */
    const char *etag; /* in its quotes, made from the content by the build */
    const void *bytes;
    size_t len;
    const void *gzip; /* the same compressed, or NULL */
    size_t gzip_len;
} sx_asset;

typedef struct sx_assets {
    const sx_asset *items;
    size_t count;
    const char *cache_control; /* NULL: "no-cache" */
} sx_assets;

/* Answers `r` with the asset at `path` (as above; "/x/" finds "/x/index.html"); false, with nothing
 * answered, if there is none. Sent from where it stands. */
bool sx_assets_serve(const sx_assets *assets, sx_request *r, sx_str path);

/* The same with a third form to choose from: brotli[i] is items[i] compressed by brotli, or empty.
 * Browsers take it from https and from localhost alone, so that gzip is of use beside it. */
bool sx_assets_serve_brotli(const sx_assets *assets, const sx_str *brotli, sx_request *r,
                            sx_str path);

/* The content type that a path's extension stands for; "application/octet-stream" if unknown. */
sx_str sx_content_type_of(sx_str path);

SX_END_DECLS

#endif
