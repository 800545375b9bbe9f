/* arena.c - chunks of an sx_arena.
 *
 * Chunks form a list, newest first; only the newest is bumped. A request bigger than a quarter of a
 * usual chunk gets a chunk of its own, put second in the list, so that the rest of the newest one is
 * not wasted. */
#include <sextant/arena.h>

#include <stdarg.h>
#include <stdio.h>

#include <sextant/mem.h>

struct sx_arena_chunk {
    sx_arena_chunk *next;
    size_t bytes; /* of data[] */
    char data[] __attribute__((aligned(8)));
};

enum { CHUNK_BYTES_DEFAULT = 4096 };

void sx_arena_init(sx_arena *a, size_t chunk_bytes, size_t max_bytes)
{
    *a = (sx_arena){
        .chunk_bytes = chunk_bytes ? chunk_bytes : CHUNK_BYTES_DEFAULT,
        .max_bytes = max_bytes,
    };
}

void sx_arena_done(sx_arena *a)
{
    for (sx_arena_chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        sx_free(c);
    }
    sx_arena_init(a, a->chunk_bytes, a->max_bytes);
}

void sx_arena_reset(sx_arena *a)
{
    sx_arena_chunk *keep = NULL;
    for (sx_arena_chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        if (!keep && c->bytes == a->chunk_bytes)
            keep = c;
        else
            sx_free(c);
    }
    sx_arena_init(a, a->chunk_bytes, a->max_bytes);
    if (keep) {
        keep->next = NULL;
        a->chunks = keep;
        a->at = keep->data;
        a->end = keep->data + keep->bytes;
        a->used_bytes = keep->bytes;
    }
}

static sx_arena_chunk *new_chunk(sx_arena *a, size_t bytes)
{
    size_t used;
    if (__builtin_add_overflow(a->used_bytes, bytes, &used) ||
        (a->max_bytes && used > a->max_bytes) || bytes > SIZE_MAX - sizeof(sx_arena_chunk))
        return NULL;
    sx_arena_chunk *c = sx_alloc(sizeof(*c) + bytes);
    if (!c)
        return NULL;
    c->bytes = bytes;
    a->used_bytes = used;
    return c;
}

void *sx_arena_alloc_slow(sx_arena *a, size_t bytes)
{
    if (bytes > a->chunk_bytes / 4 && a->chunks) {
        sx_arena_chunk *own = new_chunk(a, bytes ? bytes : 8);
        if (!own)
            return NULL;
        own->next = a->chunks->next;
        a->chunks->next = own;
        return own->data;
    }
    size_t usual = a->chunk_bytes;
    if (a->max_bytes && usual > a->max_bytes - a->used_bytes)
        usual = a->max_bytes - a->used_bytes; /* the last chunk is what the limit still allows */
    sx_arena_chunk *c = new_chunk(a, bytes > usual ? bytes : usual);
    if (!c)
        return NULL;
    c->next = a->chunks;
    a->chunks = c;
    a->at = c->data + bytes;
    a->end = c->data + c->bytes;
    return c->data;
}

void *sx_arena_calloc(sx_arena *a, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    void *p = sx_arena_alloc(a, bytes);
    return p ? memset(p, 0, bytes) : NULL;
}

bool sx_arena_grow(sx_arena *a, void *items, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return true;
    size_t want = *cap < 8 ? 8 : *cap;
    while (want < need) {
        if (__builtin_mul_overflow(want, 2u, &want))
            return false;
    }
    size_t bytes;
    if (__builtin_mul_overflow(want, size, &bytes))
        return false;
    void *moved = sx_arena_alloc(a, bytes);
    if (!moved)
        return false;
    void *old;
    memcpy(&old, items, sizeof(old));
    if (*cap)
        memcpy(moved, old, *cap * size);
    memcpy(items, &moved, sizeof(moved));
    *cap = want;
    return true;
}

sx_str sx_arena_copy(sx_arena *a, sx_str s)
{
    char *p = s.len < SIZE_MAX ? sx_arena_alloc(a, s.len + 1) : NULL;
    if (!p)
        return sx_str_of(NULL, 0);
    if (s.len)
        memcpy(p, s.data, s.len);
    p[s.len] = '\0';
    return sx_str_of(p, s.len);
}

sx_str sx_arena_printf(sx_arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *p = len < 0 ? NULL : sx_arena_alloc(a, (size_t)len + 1);
    if (p)
        vsnprintf(p, (size_t)len + 1, fmt, again);
    va_end(again);
    return p ? sx_str_of(p, (size_t)len) : sx_str_of(NULL, 0);
}
