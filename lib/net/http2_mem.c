/* http2_mem.c - nghttp2's allocator table (http2_mem.h). */
#include "net/http2_mem.h"

#include <sextant/mem.h>

static void *mem_alloc(size_t bytes, void *ctx)
{
    (void)ctx;
    return sx_alloc(bytes);
}

static void mem_free(void *ptr, void *ctx)
{
    (void)ctx;
    sx_free(ptr);
}

static void *mem_calloc(size_t count, size_t size, void *ctx)
{
    (void)ctx;
    return sx_calloc(count, size);
}

static void *mem_realloc(void *ptr, size_t bytes, void *ctx)
{
    (void)ctx;
    return sx_realloc(ptr, bytes);
}

nghttp2_mem *sx_http2_mem(void)
{
    /* Not const only because nghttp2's parameter is not; nothing writes to it. */
    static nghttp2_mem table = {NULL, mem_alloc, mem_free, mem_calloc, mem_realloc};
    return &table;
}

nghttp2_nv sx_http2_field(sx_str name, sx_str value)
{
    /* nghttp2 reads through pointers to non-const; it copies both (no NO_COPY flag is set). */
    union {
        const char *from;
        uint8_t *to;
    } n = {.from = name.data}, v = {.from = value.data};
    return (nghttp2_nv){n.to, v.to, name.len, value.len, NGHTTP2_NV_FLAG_NONE};
}
