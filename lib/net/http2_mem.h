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

/* One field for nghttp2_submit_*: both views are only read during that call. */
nghttp2_nv sx_http2_field(sx_str name, sx_str value);

#endif
