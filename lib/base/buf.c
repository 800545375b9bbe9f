/* buf.c - growing and number formatting of sx_buf. */
#include <sextant/buf.h>

#include <stdio.h>

#include <sextant/mem.h>

void sx_buf_init(sx_buf *b, size_t len_max)
{
    *b = (sx_buf){.len_max = len_max};
}

void sx_buf_done(sx_buf *b)
{
    sx_free(b->data);
    sx_buf_init(b, b->len_max);
}

void sx_buf_clear(sx_buf *b)
{
    b->len = 0;
    b->failed = false;
    b->hit_limit = false;
}

char *sx_buf_reserve(sx_buf *b, size_t more)
{
    if (b->failed)
        return NULL;
    if (more <= b->cap - b->len && b->data)
        return b->data + b->len;

    size_t need;
    if (__builtin_add_overflow(b->len, more, &need) || (b->len_max && need > b->len_max)) {
        b->failed = true;
        b->hit_limit = b->len_max != 0;
        return NULL;
    }
    size_t cap = b->cap < 64 ? 64 : b->cap;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    if (b->len_max && cap > b->len_max)
        cap = b->len_max;
    char *moved = sx_realloc(b->data, cap);
    if (!moved) {
        b->failed = true;
        return NULL;
    }
    b->data = moved;
    b->cap = cap;
    return b->data + b->len;
}

void sx_buf_append_slow(sx_buf *b, const void *data, size_t len)
{
    char *at = len ? sx_buf_reserve(b, len) : NULL;
    if (!at)
        return;
    memcpy(at, data, len);
    b->len += len;
}

void sx_buf_vprintf(sx_buf *b, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    char *at = len < 0 ? NULL : sx_buf_reserve(b, (size_t)len + 1);
    if (at) {
        vsnprintf(at, (size_t)len + 1, fmt, again);
        b->len += (size_t)len;
    }
    va_end(again);
}

void sx_buf_printf(sx_buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    sx_buf_vprintf(b, fmt, args);
    va_end(args);
}

void sx_buf_u64(sx_buf *b, uint64_t value)
{
    char text[20];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    sx_buf_bytes(b, text + at, sizeof(text) - at);
}

void sx_buf_i64(sx_buf *b, int64_t value)
{
    if (value < 0)
        sx_buf_byte(b, '-');
    sx_buf_u64(b, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void sx_buf_consume(sx_buf *b, size_t n)
{
    sx_assert(n <= b->len);
    b->len -= n;
    if (b->len && n)
        memmove(b->data, b->data + n, b->len);
}

sx_status sx_buf_status(const sx_buf *b, const char *what, sx_error *err)
{
    if (!b->failed)
        return SX_OK;
    if (b->hit_limit)
        return sx_fail(err, SX_ELIMIT, "%s is larger than the limit of %zu bytes", what,
                       b->len_max);
    return sx_fail_memory(err, what);
}
