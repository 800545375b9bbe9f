/* log_recent.c - the last lines of a log, kept in memory for pages that show them.
 *
 * A ring of bytes: the writer puts in what it has written, and each line that is in the way goes out
 * whole. The writer and who reads share a lock; those who log never see it. */
#include "telemetry/log_recent.h"

#include <pthread.h>

#include <sextant/mem.h>

struct sx_recent_lines {
    pthread_mutex_t lock; /* of all below but max */
    size_t max, first, len;
    char bytes[]; /* a ring of `max` */
};

sx_status sx_log_recent_new(size_t bytes_max, sx_recent_lines **out, sx_error *err)
{
    *out = NULL;
    if (!bytes_max)
        return SX_OK;
    sx_recent_lines *r = (sx_recent_lines *)sx_alloc(sizeof(*r) + bytes_max);
    if (!r)
        return sx_fail_memory(err, "the last lines of a log");
    pthread_mutex_init(&r->lock, NULL);
    r->max = bytes_max;
    r->first = r->len = 0;
    *out = r;
    return SX_OK;
}

void sx_log_recent_free(sx_recent_lines *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(&r->lock);
    sx_free(r);
}

static void put(sx_recent_lines *r, sx_str s)
{
    size_t at = (r->first + r->len) % r->max;
    size_t head = s.len < r->max - at ? s.len : r->max - at;
    memcpy(r->bytes + at, s.data, head);
    memcpy(r->bytes, s.data + head, s.len - head);
    r->len += s.len;
}

/* Takes out the oldest line. */
static void drop_line(sx_recent_lines *r)
{
    while (r->len) {
        char byte = r->bytes[r->first];
        r->first = (r->first + 1) % r->max;
        r->len--;
        if (byte == '\n')
            return;
    }
}

void sx_log_recent_put(sx_recent_lines *r, sx_str lines)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    while (lines.len) {
        size_t end = sx_str_find_byte(lines, '\n');
        sx_str line = sx_str_first(lines, end < lines.len ? end + 1 : end);
        lines = sx_str_from(lines, line.len);
        if (line.len > r->max)
            continue;
        while (r->len + line.len > r->max)
            drop_line(r);
        put(r, line);
    }
    pthread_mutex_unlock(&r->lock);
}

void sx_log_recent_read(sx_recent_lines *r, sx_buf *out)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    size_t head = r->len < r->max - r->first ? r->len : r->max - r->first;
    sx_buf_bytes(out, r->bytes + r->first, head);
    sx_buf_bytes(out, r->bytes, r->len - head);
    pthread_mutex_unlock(&r->lock);
}
