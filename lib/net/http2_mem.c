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

/* ---- the memory of a connection ---- */

/* In front of each block; `next` is used while the block is kept. */
typedef struct http2_block {
    union {
        struct http2_block *next;
        size_t kind; /* class + 1; 0: larger than any class */
    };
    size_t bytes; /* there is room for */
} http2_block;

_Static_assert(sizeof(http2_block) % 16 == 0, "what follows is aligned as malloc's");

enum { CLASS_BYTES = 32 };

static void *pool_alloc(size_t bytes, void *ctx)
{
    sx_http2_pool *pool = ctx;
    size_t kind = (bytes + CLASS_BYTES - 1) / CLASS_BYTES;
    kind = kind ? kind : 1;
    if (kind > SX_HTTP2_POOL_CLASSES)
        kind = 0;
    size_t room = kind ? kind * CLASS_BYTES : bytes;
    http2_block *block = kind ? pool->kept[kind - 1] : NULL;
    if (block) {
        pool->kept[kind - 1] = block->next;
        pool->kept_bytes -= room;
    } else {
        if (room > SIZE_MAX - sizeof(*block))
            return NULL;
        block = sx_alloc(sizeof(*block) + room);
        if (!block)
            return NULL;
        block->bytes = room;
    }
    block->kind = kind;
    return block + 1;
}

static void pool_free(void *ptr, void *ctx)
{
    sx_http2_pool *pool = ctx;
    if (!ptr)
        return;
    http2_block *block = (http2_block *)ptr - 1;
    size_t kind = block->kind;
    if (kind == 0 || pool->kept_bytes + block->bytes > SX_HTTP2_POOL_BYTES_MAX) {
        sx_free(block);
        return;
    }
    block->next = pool->kept[kind - 1];
    pool->kept[kind - 1] = block;
    pool->kept_bytes += block->bytes;
}

static void *pool_calloc(size_t count, size_t size, void *ctx)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    void *ptr = pool_alloc(bytes, ctx);
    return ptr ? memset(ptr, 0, bytes) : NULL;
}

static void *pool_realloc(void *ptr, size_t bytes, void *ctx)
{
    const http2_block *block = ptr ? (http2_block *)ptr - 1 : NULL;
    if (block && bytes <= block->bytes)
        return ptr;
    void *fresh = pool_alloc(bytes, ctx);
    if (fresh && block) {
        memcpy(fresh, ptr, block->bytes);
        pool_free(ptr, ctx);
    }
    return fresh;
}

void sx_http2_pool_init(sx_http2_pool *pool)
{
    *pool = (sx_http2_pool){.table = {pool, pool_alloc, pool_free, pool_calloc, pool_realloc}};
}

void sx_http2_pool_done(sx_http2_pool *pool)
{
    for (size_t i = 0; i < SX_HTTP2_POOL_CLASSES; i++) {
        while (pool->kept[i]) {
            http2_block *next = pool->kept[i]->next;
            sx_free(pool->kept[i]);
            pool->kept[i] = next;
        }
    }
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
