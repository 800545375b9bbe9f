/* http2_mem.h - what the HTTP/2 server and client share: nghttp2 on our allocator, and its words.
 *
 * nghttp2 takes its memory through this table, so that tests can make its n-th allocation fail and
 * counts of the heap include it. */
#ifndef SEXTANT_NET_HTTP2_MEM_H
#define SEXTANT_NET_HTTP2_MEM_H

#include <nghttp2/nghttp2.h>

#include <sextant/str.h>

/* The table for nghttp2_session_*_new3(); static. nghttp2 takes it as non-const but never writes. */
nghttp2_mem *sx_http2_mem(void);

/* The memory of one server connection's session: what nghttp2 gives back is kept in lists by size and
 * given to the next request, so that a connection which is warm allocates nothing for one. At most
 * SX_HTTP2_POOL_BYTES_MAX are kept. Pass &pool->table to nghttp2. */
enum { SX_HTTP2_POOL_CLASSES = 32, SX_HTTP2_POOL_BYTES_MAX = 64 * 1024 };
typedef struct sx_http2_pool {
    nghttp2_mem table;
    size_t kept_bytes;
    struct http2_block *kept[SX_HTTP2_POOL_CLASSES];
} sx_http2_pool;

void sx_http2_pool_init(sx_http2_pool *pool);

/* Frees what is kept; the session is gone by then. */
void sx_http2_pool_done(sx_http2_pool *pool);

/* One field for nghttp2_submit_*: both views are only read during that call. */
nghttp2_nv sx_http2_field(sx_str name, sx_str value);

#endif
