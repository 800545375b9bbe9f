/* watch.c - readiness of a foreign descriptor, by uv_poll (watch.h). */
#include <sextant/watch.h>

#include <sextant/mem.h>

#include "net/loop_internal.h"

struct sx_watch {
    uv_poll_t
        poll; /* first: the handle is the watch. It outlives the stop by the turn that closes it */
    sx_watch_fn *fn;
    void *ctx;
    sx_loop *loop;
    unsigned events; /* asked for */
};

static void on_ready(uv_poll_t *poll, int status, int events)
{
    sx_watch *w = (sx_watch *)(void *)poll;
    unsigned ready = status < 0 ? w->events
                                : (events & UV_READABLE ? SX_WATCH_READ : 0u) |
                                      (events & UV_WRITABLE ? SX_WATCH_WRITE : 0u);
    sx_loop_touch(w->loop);
    if (ready & w->events)
        w->fn(w, w->ctx, ready & w->events);
}

static void on_closed(uv_handle_t *handle)
{
    sx_free(handle->data);
}

void sx_watch_update(sx_watch *w, unsigned events)
{
    w->events = events;
    if (events == 0)
        uv_poll_stop(&w->poll);
    else
        uv_poll_start(&w->poll,
                      (events & SX_WATCH_READ ? UV_READABLE : 0) |
                          (events & SX_WATCH_WRITE ? UV_WRITABLE : 0),
                      on_ready); /* fails for a handle that is being closed alone */
}

sx_status sx_watch_start(sx_loop *loop, int fd, unsigned events, sx_watch_fn *fn, void *ctx,
                         sx_watch **out, sx_error *err)
{
    sx_watch *w = sx_calloc(1, sizeof(*w));
    if (!w)
        return sx_fail_memory(err, "a watch");
    int rc = uv_poll_init(sx_loop_uv(loop), &w->poll, fd);
    if (rc != 0) {
        sx_free(w);
        return sx_fail_os(err, -rc, "descriptor %d cannot be watched", fd);
    }
    w->poll.data = w;
    w->loop = loop;
    w->fn = fn;
    w->ctx = ctx;
    sx_watch_update(w, events);
    *out = w;
    return SX_OK;
}

void sx_watch_stop(sx_watch *w)
{
    if (!w)
        return;
    w->events = 0;
    uv_poll_stop(&w->poll);
    uv_close((uv_handle_t *)&w->poll, on_closed);
}
