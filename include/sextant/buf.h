/* buf.h - a growable byte buffer with one owner, for building output.
 *
 * Appends never fail half-way: when memory or the limit runs out the buffer turns `failed`, keeps
 * what it had, and ignores every later append, so that a writer checks once, at its end. */
#ifndef SEXTANT_BUF_H
#define SEXTANT_BUF_H

#include <stdarg.h>

#include <sextant/error.h>
#include <sextant/str.h>

SX_BEGIN_DECLS

typedef struct sx_buf {
    char *data;     /* heap, owned; NULL while nothing was appended */
    size_t len;     /* bytes written */
    size_t cap;     /* bytes there is room for */
    size_t len_max; /* 0: no limit. An append that would pass it fails the buffer */
    bool failed;    /* sticky; sx_buf_clear() resets it */
    bool hit_limit; /* why it failed: len_max, not memory */
} sx_buf;

/* An empty buffer that may grow to `len_max` bytes (0: any). Allocates nothing yet. */
void sx_buf_init(sx_buf *b, size_t len_max);

/* Frees the bytes and leaves an empty buffer. */
void sx_buf_done(sx_buf *b);

/* Forgets the contents and a failure, keeps the memory. */
void sx_buf_clear(sx_buf *b);

/* Room for `more` bytes after len; returns where they go, or NULL (the buffer has failed).
 * The pointer is good until the next append. The caller adds what it wrote to len. */
char *sx_buf_reserve(sx_buf *b, size_t more);

/* Out-of-line halves of the inline appends below. */
void sx_buf_append_slow(sx_buf *b, const void *data, size_t len);

/* Appends bytes, a view, one byte. */
static inline void sx_buf_bytes(sx_buf *b, const void *data, size_t len)
{
    if (sx_likely(len <= b->cap - b->len && !b->failed)) {
        if (len) {
            if (!b->data) /* with room there are bytes: for the analyzer, which cannot know */
                __builtin_unreachable();
            memcpy(b->data + b->len, data, len);
        }
        b->len += len;
    } else {
        sx_buf_append_slow(b, data, len);
    }
}

static inline void sx_buf_str(sx_buf *b, sx_str s)
{
    sx_buf_bytes(b, s.data, s.len);
}

static inline void sx_buf_byte(sx_buf *b, char byte)
{
    sx_buf_bytes(b, &byte, 1);
}

/* Appends text as printf(3) makes it. Not for hot paths. */
void sx_buf_printf(sx_buf *b, const char *fmt, ...) SX_PRINTF(2, 3);
void sx_buf_vprintf(sx_buf *b, const char *fmt, va_list args);

/* Appends a decimal integer. */
void sx_buf_u64(sx_buf *b, uint64_t value);
void sx_buf_i64(sx_buf *b, int64_t value);

/* Removes the first `n` bytes (n <= len) by moving the rest down. */
void sx_buf_consume(sx_buf *b, size_t n);

/* What was written, as a view that is good until the next append. */
static inline sx_str sx_buf_view(const sx_buf *b)
{
    return sx_str_of(b->data, b->len);
}

/* SX_OK; or, if the buffer has failed, SX_ELIMIT (len_max) or SX_ENOMEM, with `what` named. */
sx_status sx_buf_status(const sx_buf *b, const char *what, sx_error *err);

SX_END_DECLS

#endif
