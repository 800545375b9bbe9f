/* stream_out.c - the output of sx_stream: corks, the queue, writing.
 *
 * The usual reply is built in the loop's scratch buffer while its stream is corked and leaves in one
 * send(2); nothing is allocated. Only what a socket does not take is copied to the heap. One stream
 * has the scratch buffer at a time; another that is corked meanwhile (a proxy writes to its second
 * connection) gathers in its own queue. */
#include "net/stream_internal.h"

#include <errno.h>

#include <sextant/mem.h>

#include "base/sock.h"

enum {
    SEGMENT_BYTES = 4096,    /* least room of a copy in the queue */
    FIXED_BYTES_MIN = 16384, /* shorter fixed pieces are copied: cheaper than another iovec */
    PARTS_MOST = 16
};

/* ---- the queue ---- */

stream_segment *stream_segment_new(sx_str bytes)
{
    size_t cap = bytes.len > SEGMENT_BYTES ? bytes.len : SEGMENT_BYTES;
    stream_segment *seg = sx_alloc(sizeof(*seg) + cap + SX_STREAM_SLACK);
    if (!seg)
        return NULL;
    *seg = (stream_segment){.data = seg->own, .len = bytes.len, .cap = cap};
    memcpy(seg->own, bytes.data, bytes.len);
    return seg;
}

void stream_drop_queue(sx_stream *s)
{
    while (s->first) {
        stream_segment *next = s->first->next;
        sx_free(s->first);
        s->first = next;
    }
    s->last = NULL;
    s->queued = 0;
}

/* Puts bytes behind the queue. A stream that cannot keep what it owes is broken: it dies. */
static void enqueue(sx_stream *s, sx_str bytes, bool is_fixed)
{
    if (bytes.len == 0)
        return;
    stream_segment *last = s->last;
    if (last && last->cap && !is_fixed) { /* fill up the last copy first */
        size_t used = (size_t)(last->data - last->own) + last->len;
        size_t fits = last->cap - used < bytes.len ? last->cap - used : bytes.len;
        memcpy(last->own + used, bytes.data, fits);
        last->len += fits;
        s->queued += fits;
        bytes = sx_str_from(bytes, fits);
        if (bytes.len == 0)
            return;
    }
    stream_segment *seg;
    if (is_fixed) {
        seg = sx_alloc(sizeof(*seg));
        if (seg)
            *seg = (stream_segment){.data = bytes.data, .len = bytes.len};
    } else {
        seg = stream_segment_new(bytes);
    }
    if (!seg) {
        stream_die(s, SX_ENOMEM, 0, "no memory to queue output");
        return;
    }
    if (last)
        last->next = seg;
    else
        s->first = seg;
    s->last = seg;
    s->queued += bytes.len;
}

static void start_write_timer(sx_stream *s)
{
    if (s->phase != STREAM_OPEN || sx_timer_running(&s->timer))
        return;
    s->progress_ms = s->loop->now_ms;
    stream_wait(s, s->options.write_ms_max);
}

/* sent_total counts cleartext. Behind TLS the two do not map, so it follows when all is out. */
static void count_sent(sx_stream *s, size_t bytes)
{
    s->sent_due = true;
    if (!s->tls)
        s->sent_total += bytes;
    else if (!s->queued)
        s->sent_total = s->written_total;
}

/* What the socket takes of the parts; 0 when it is full; -1 when the stream has died. */
static ssize_t send_parts(sx_stream *s, const struct iovec *parts, int count)
{
    ssize_t n = count == 1 ? sx_sock_write(s->fd, parts->iov_base, parts->iov_len)
                           : sx_sock_writev(s->fd, parts, count);
    if (sx_likely(n >= 0)) {
        if (n > 0)
            s->progress_ms = s->loop->now_ms;
        return n;
    }
    if (errno == EAGAIN || errno == ENOBUFS)
        return 0;
    bool is_closed = errno == EPIPE || errno == ECONNRESET;
    stream_die(s, is_closed ? SX_ECLOSED : SX_EIO, errno, "writing to the connection");
    return -1;
}

sx_status stream_send(sx_stream *s, sx_str a, sx_str b, bool b_is_fixed)
{
    size_t sent = 0, total = a.len + b.len;
    if (!s->queued && total) {
        struct iovec parts[2] = {{(void *)(uintptr_t)a.data, a.len},
                                 {(void *)(uintptr_t)b.data, b.len}};
        int skip = a.len == 0;
        ssize_t n = send_parts(s, parts + skip, 2 - skip - (b.len == 0));
        if (n < 0)
            return SX_ECLOSED;
        sent = (size_t)n;
    }
    if (sx_unlikely(sent < total)) {
        size_t of_a = sent < a.len ? sent : a.len;
        enqueue(s, sx_str_from(a, of_a), false);
        enqueue(s, sx_str_from(b, sent - of_a), b_is_fixed && b.len >= FIXED_BYTES_MIN);
        if (s->phase >= STREAM_DEAD)
            return SX_ECLOSED;
        start_write_timer(s);
        stream_set_interest(s);
    }
    count_sent(s, sent);
    return SX_OK;
}

/* Takes `n` sent bytes off the queue. */
static void dequeue(sx_stream *s, size_t n)
{
    s->queued -= n;
    while (n) {
        stream_segment *seg = s->first;
        sx_assert(seg != NULL); /* as many bytes are queued as the segments have */
        size_t part = seg->len < n ? seg->len : n;
        seg->data += part;
        seg->len -= part;
        n -= part;
        if (seg->len)
            return;
        s->first = seg->next;
        if (!s->first)
            s->last = NULL;
        sx_free(seg);
    }
}

/* Sends what the socket takes of the queue; no event. */
static void send_queue(sx_stream *s)
{
    while (s->first) {
        struct iovec parts[PARTS_MOST];
        int count = 0;
        size_t total = 0;
        for (stream_segment *seg = s->first; seg && count < PARTS_MOST; seg = seg->next) {
            parts[count++] = (struct iovec){(void *)(uintptr_t)seg->data, seg->len};
            total += seg->len;
        }
        ssize_t n = send_parts(s, parts, count);
        if (n < 0)
            return;
        dequeue(s, (size_t)n);
        count_sent(s, (size_t)n);
        if ((size_t)n < total)
            break;
    }
    if (s->queued)
        start_write_timer(s);
    stream_set_interest(s);
}

void stream_flush_queue(sx_stream *s)
{
    send_queue(s);
    stream_after_flush(s);
}

void stream_after_flush(sx_stream *s)
{
    if (s->phase >= STREAM_DEAD)
        return;
    if (!s->queued) {
        if (s->phase == STREAM_OPEN)
            sx_timer_stop(&s->loop->timers, &s->timer);
        if (s->fin_wanted && !s->fin_sent) {
            s->fin_sent = true;
            shutdown(s->fd, SHUT_WR); /* an error here is the peer's reset, seen by the next read */
        }
        if (s->phase == STREAM_FLUSHING) {
            if (!s->lingers || s->ended) {
                stream_destroy(s);
                return;
            }
            stream_become(s, STREAM_LINGERING);
        }
    }
    stream_set_interest(s);
    if (s->phase != STREAM_OPEN)
        return;
    s->sent_due = false;
    if (s->events->sent)
        s->events->sent(s, s->ctx);
    if (s->phase == STREAM_OPEN && s->wants_drained && s->queued <= s->options.low_bytes) {
        s->wants_drained = false;
        if (s->events->drained) {
            sx_stream_cork(s);
            s->events->drained(s, s->ctx);
            sx_stream_uncork(s);
        }
    }
}

/* ---- corks ---- */

/* Sends what has gathered in the scratch buffer and `more` behind it. */
void stream_flush_scratch(sx_stream *s, sx_str more, bool more_is_fixed)
{
    sx_loop *loop = s->loop;
    sx_str gathered = sx_str_of(loop->scratch, loop->scratch_len);
    loop->scratch_len = 0;
    if (s->tls) {
        if (gathered.len && stream_tls_write(s, gathered) != SX_OK)
            return;
        if (more.len)
            stream_tls_write(s, more);
    } else {
        stream_send(s, gathered, more, more_is_fixed);
    }
}

void sx_stream_cork(sx_stream *s)
{
    sx_assert(s->corks < UINT8_MAX);
    if (s->corks++ == 0 && !s->loop->scratch_owner)
        s->loop->scratch_owner = s;
}

void sx_stream_uncork(sx_stream *s)
{
    if (s->phase == STREAM_GONE) /* closed while corked; its memory is still there */
        return;
    sx_assert(s->corks > 0);
    if (--s->corks > 0)
        return;
    sx_loop *loop = s->loop;
    if (loop->scratch_owner == s) {
        if (loop->scratch_len > 0 && s->phase <= STREAM_OPEN)
            stream_flush_scratch(s, sx_str_of(NULL, 0), false);
        loop->scratch_len = 0;
        loop->scratch_owner = NULL;
    } else {
        sx_stream_flush(s);
    }
    /* Also with nothing to send: the owner may wait to hear that its last reply is out. */
    if (s->phase == STREAM_OPEN && (s->sent_due || s->fin_wanted))
        stream_after_flush(s);
}

void sx_stream_flush(sx_stream *s)
{
    if (s->phase != STREAM_OPEN)
        return;
    if (s->loop->scratch_owner != s) {
        if (s->queued && !(s->interest & UV_WRITABLE))
            send_queue(s); /* it gathered there: the scratch buffer is another's */
        return;
    }
    if (s->loop->scratch_len)
        stream_flush_scratch(s, sx_str_of(NULL, 0), false);
}

/* ---- writing ---- */

static sx_status mark_of(sx_stream *s)
{
    if (s->phase != STREAM_OPEN)
        return SX_ECLOSED;
    if (s->queued <= s->options.high_bytes)
        return SX_OK;
    s->wants_drained = true;
    return SX_AGAIN;
}

static sx_status write_bytes(sx_stream *s, sx_str bytes, bool is_fixed)
{
    if (sx_unlikely(s->phase != STREAM_OPEN || s->fin_wanted))
        return SX_ECLOSED;
    if (bytes.len == 0)
        return mark_of(s);
    sx_loop *loop = s->loop;
    s->written_total += bytes.len;
    if (loop->scratch_owner == s) {
        bool is_short = bytes.len <= LOOP_BUFFER_BYTES - loop->scratch_len;
        if (sx_likely(is_short && !(is_fixed && bytes.len >= FIXED_BYTES_MIN))) {
            memcpy(loop->scratch + loop->scratch_len, bytes.data, bytes.len);
            loop->scratch_len += bytes.len;
            return mark_of(s);
        }
        stream_flush_scratch(s, bytes, is_fixed);
        return mark_of(s);
    }
    if (s->tls)
        stream_tls_write(s, bytes);
    else if (s->corks)
        enqueue(s, bytes, is_fixed && bytes.len >= FIXED_BYTES_MIN);
    else
        stream_send(s, sx_str_of(NULL, 0), bytes, is_fixed);
    return mark_of(s);
}

sx_status sx_stream_write(sx_stream *s, sx_str bytes)
{
    return write_bytes(s, bytes, false);
}

sx_status sx_stream_write_fixed(sx_stream *s, sx_str bytes)
{
    return write_bytes(s, bytes, true);
}

char *sx_stream_reserve(sx_stream *s, size_t bytes)
{
    sx_loop *loop = s->loop;
    if (sx_unlikely(loop->scratch_owner != s || bytes > SX_STREAM_RESERVE_MAX ||
                    s->phase != STREAM_OPEN || s->fin_wanted))
        return NULL;
    if (sx_unlikely(bytes > LOOP_BUFFER_BYTES - loop->scratch_len)) {
        stream_flush_scratch(s, sx_str_of(NULL, 0), false);
        if (s->phase != STREAM_OPEN)
            return NULL;
    }
    return loop->scratch + loop->scratch_len;
}

sx_status sx_stream_commit(sx_stream *s, size_t bytes)
{
    sx_assert(s->loop->scratch_owner == s && bytes <= LOOP_BUFFER_BYTES - s->loop->scratch_len);
    s->loop->scratch_len += bytes;
    s->written_total += bytes;
    return mark_of(s);
}

void sx_stream_shutdown(sx_stream *s)
{
    if (s->phase != STREAM_OPEN || s->fin_wanted)
        return;
    if (s->loop->scratch_owner == s && s->loop->scratch_len)
        stream_flush_scratch(s, sx_str_of(NULL, 0), false);
    if (s->phase != STREAM_OPEN)
        return;
    if (s->tls)
        stream_tls_notify(s);
    s->fin_wanted = true;
    if (!s->queued && s->phase == STREAM_OPEN && !s->fin_sent) {
        s->fin_sent = true;
        shutdown(s->fd, SHUT_WR);
    }
}

size_t sx_stream_queued(const sx_stream *s)
{
    return s->queued + (s->loop->scratch_owner == s ? s->loop->scratch_len : 0);
}

uint64_t sx_stream_written_total(const sx_stream *s)
{
    return s->written_total;
}

uint64_t sx_stream_sent_total(const sx_stream *s)
{
    return s->sent_total;
}
