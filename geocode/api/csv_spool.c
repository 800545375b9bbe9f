/* csv_spool.c - memory first, then a nameless file, written and read by the crew's threads. */
#include "geocode/api/csv_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WRITE_BYTES = 256 << 10, READ_BYTES = 256 << 10 };

void geo_csv_spool_init(geo_csv_spool *s, geo_csv_crew *crew, sx_loop *loop, const char *folder,
                        const geo_csv_spool_events *events, void *ctx)
{
    memset(s, 0, sizeof(*s));
    s->crew = crew;
    s->loop = loop;
    s->folder = folder;
    s->events = events;
    s->ctx = ctx;
    s->fd = -1;
    sx_buf_init(&s->tail, 0);
    sx_buf_init(&s->busy, 0);
}

/* ---- by a thread of the crew ---- */

/* A file without a name. Not every file system has O_TMPFILE. */
static sx_status open_file(geo_csv_spool *s)
{
    char path[512];
    s->fd = open(s->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd >= 0)
        return SX_OK;
    int len = snprintf(path, sizeof(path), "%s/sextant-csv.XXXXXX", s->folder);
    if (len > 0 && (size_t)len < sizeof(path))
        s->fd = mkostemp(path, O_CLOEXEC);
    if (s->fd < 0)
        return sx_fail_os(&s->err, errno, "cannot keep an upload in '%s' (setting csv.folder)",
                          s->folder);
    (void)unlink(path); /* if it stays, it is only a name */
    return SX_OK;
}

static void write_busy(void *arg)
{
    geo_csv_spool *s = arg;
    s->status = s->fd < 0 ? open_file(s) : SX_OK;
    for (size_t at = 0; s->status == SX_OK && at < s->busy.len;) {
        ssize_t n = pwrite(s->fd, s->busy.data + at, s->busy.len - at, (off_t)(s->written + at));
        if (n > 0)
            at += (size_t)n;
        else if (n == 0 || errno != EINTR)
            s->status = sx_fail_os(&s->err, n == 0 ? ENOSPC : errno,
                                   "cannot keep an upload in '%s' (setting csv.folder)", s->folder);
    }
}

static void read_busy(void *arg)
{
    geo_csv_spool *s = arg;
    sx_buf_clear(&s->busy);
    char *room = sx_buf_reserve(&s->busy, READ_BYTES);
    ssize_t n = -1;
    if (!room) {
        s->status = sx_fail_memory(&s->err, "a piece of an upload");
        return;
    }
    uint64_t left = s->written - s->read_at;
    do
        n = pread(s->fd, room, left < READ_BYTES ? (size_t)left : READ_BYTES, (off_t)s->read_at);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        s->status = sx_fail_os(&s->err, n ? errno : EIO, "cannot read a kept upload");
    else
        s->busy.len = (size_t)n;
}

/* ---- by the loop ---- */

static void finish_close(geo_csv_spool *s)
{
    void (*gone)(void *) = s->events->gone;
    if (s->fd >= 0)
        (void)close(s->fd); /* it has no name: nothing is lost */
    sx_buf_done(&s->tail);
    sx_buf_done(&s->busy);
    gone(s->ctx);
}

/* True if the work that has just ended is to be followed up. */
static bool work_ended(geo_csv_spool *s)
{
    s->working = false;
    if (s->closed) {
        finish_close(s);
        return false;
    }
    if (s->status == SX_OK)
        return true;
    s->events->failed(s->ctx, &s->err); /* the spool may be gone */
    return false;
}

static void busy_written(sx_loop *loop, void *arg);

static sx_status start_write(geo_csv_spool *s, sx_error *err)
{
    sx_buf swap = s->busy;
    s->busy = s->tail;
    s->tail = swap;
    sx_buf_clear(&s->tail);
    sx_status status = geo_csv_crew_run(s->crew, s->loop, write_busy, busy_written, s, err);
    s->working = status == SX_OK;
    return status;
}

static void busy_written(sx_loop *loop, void *arg)
{
    geo_csv_spool *s = arg;
    (void)loop;
    if (!work_ended(s))
        return;
    s->written += s->busy.len;
    sx_buf_clear(&s->busy);
    if (s->draining)
        geo_csv_spool_next(s);
    else if (s->waiting) {
        s->waiting = false;
        s->events->room(s->ctx);
    }
}

sx_status geo_csv_spool_add(geo_csv_spool *s, sx_str bytes, sx_error *err)
{
    sx_buf_str(&s->tail, bytes);
    if (s->tail.failed)
        return sx_fail_memory(err, "an upload");
    size_t most = s->written == 0 && !s->working ? GEO_SPOOL_MEMORY_BYTES : WRITE_BYTES;
    if (s->tail.len <= most)
        return SX_OK;
    if (!s->working)
        return start_write(s, err);
    s->waiting = s->tail.len > GEO_SPOOL_MEMORY_BYTES;
    return s->waiting ? SX_AGAIN : SX_OK;
}

static void busy_read(sx_loop *loop, void *arg)
{
    geo_csv_spool *s = arg;
    (void)loop;
    if (!work_ended(s))
        return;
    s->read_at += s->busy.len;
    s->events->piece(s->ctx, sx_buf_view(&s->busy), SX_OK);
}

void geo_csv_spool_next(geo_csv_spool *s)
{
    s->draining = true;
    if (s->working || s->closed)
        return; /* the writing goes on with this */
    if (s->read_at < s->written) {
        sx_status status = geo_csv_crew_run(s->crew, s->loop, read_busy, busy_read, s, &s->err);
        s->working = status == SX_OK;
        if (status != SX_OK)
            s->events->failed(s->ctx, &s->err);
        return;
    }
    if (!s->ended) {
        s->ended = true;
        if (s->tail.len) {
            s->events->piece(s->ctx, sx_buf_view(&s->tail), SX_OK);
            return;
        }
    }
    s->events->piece(s->ctx, sx_str_of("", 0), SX_END);
}

void geo_csv_spool_close(geo_csv_spool *s)
{
    s->closed = true;
    if (!s->working)
        finish_close(s);
}
