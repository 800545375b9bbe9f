/* dial.c - see dial.h. */
#include "client/dial.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <sextant/mem.h>

struct client_dial {
    client_dial_options options;
    client_dial_fn *fn;
    void *ctx;
    sx_dns_lookup *lookup; /* NULL: none under way */
    sx_addresses addresses;
    size_t next;       /* address to try */
    sx_stream *stream; /* being connected */
    sx_timer timer;    /* of it all; a failure at once goes through it, too */
    sx_status status;  /* of the last failure */
    sx_error error;
};

static const sx_stream_events EVENTS;

void client_dial_cancel(client_dial *d)
{
    if (!d)
        return;
    sx_timer_stop(sx_loop_timers(d->options.loop), &d->timer);
    if (d->lookup)
        sx_dns_cancel(d->lookup);
    if (d->stream)
        sx_stream_reset(d->stream);
    sx_free(d);
}

static void finish(client_dial *d, sx_stream *stream, sx_status status, const sx_error *err)
{
    client_dial_fn *fn = d->fn;
    void *ctx = d->ctx;
    sx_error copy = *err;
    d->stream = NULL;
    client_dial_cancel(d);
    fn(ctx, stream, status, &copy);
}

static void on_timer(sx_timer *timer, void *arg)
{
    client_dial *d = arg;
    (void)timer;
    if (d->status == SX_OK)
        d->status = sx_fail(&d->error, SX_ETIMEOUT, "no connection within %u ms",
                            d->options.connect_ms_max);
    if (d->stream)
        sx_stream_reset(d->stream);
    finish(d, NULL, d->status, &d->error);
}

static sx_status connect_to(client_dial *d, const struct sockaddr *addr, socklen_t bytes)
{
    const client_dial_options *o = &d->options;
    d->status = sx_stream_connect(o->loop, addr, bytes, o->tls, o->port ? o->host : SX_STR(""),
                                  &o->stream, &EVENTS, d, &d->stream, &d->error);
    return d->status;
}

/* The next address that lets itself be tried; without one the failure is told in a turn of its own. */
static void try_next(client_dial *d)
{
    while (d->next < d->addresses.count) {
        sx_address *at = &d->addresses.items[d->next++];
        bool is_v6 = at->any.sa_family == AF_INET6;
        if (is_v6)
            at->v6.sin6_port = htons(d->options.port);
        else
            at->v4.sin_port = htons(d->options.port);
        if (connect_to(d, &at->any, is_v6 ? sizeof(at->v6) : sizeof(at->v4)) == SX_OK)
            return;
    }
    sx_timer_start(sx_loop_timers(d->options.loop), &d->timer, 0);
}

static void on_resolved(void *ctx, sx_status status, const sx_addresses *addresses,
                        const sx_error *err)
{
    client_dial *d = ctx;
    d->lookup = NULL;
    if (status != SX_OK) {
        finish(d, NULL, status, err);
        return;
    }
    d->addresses = *addresses;
    try_next(d);
}

static void on_opened(sx_stream *s, void *ctx)
{
    static const sx_error NO_ERROR;
    finish(ctx, s, SX_OK, &NO_ERROR);
}

static void on_data(sx_stream *s, void *ctx, sx_str piece)
{
    (void)s, (void)ctx, (void)piece; /* nothing comes before `opened` */
}

static void on_closed(sx_stream *s, void *ctx, sx_status why, const sx_error *err)
{
    client_dial *d = ctx;
    (void)s;
    d->stream = NULL;
    d->status = why;
    d->error = *err;
    try_next(d);
}

static void on_ended(sx_stream *s, void *ctx)
{
    client_dial *d = ctx;
    sx_stream_reset(s);
    d->stream = NULL;
    d->status = sx_fail(&d->error, SX_ECLOSED, "the other side closed the connection");
    try_next(d);
}

static const sx_stream_events EVENTS = {
    .opened = on_opened, .data = on_data, .ended = on_ended, .closed = on_closed};

static sx_status start_unix(client_dial *d, sx_error *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    sx_str path = d->options.host;
    if (path.len == 0 || path.len >= sizeof(addr.sun_path))
        return sx_fail(err, SX_EINVAL, "'%.*s' is no path of a Unix socket: 1 to %zu bytes",
                       SX_ARG(sx_str_first(path, 60)), sizeof(addr.sun_path) - 1);
    memcpy(addr.sun_path, path.data, path.len);
    if (connect_to(d, (struct sockaddr *)&addr, sizeof(addr)) != SX_OK)
        sx_timer_start(sx_loop_timers(d->options.loop), &d->timer, 0);
    return SX_OK;
}

sx_status client_dial_start(const client_dial_options *options, client_dial_fn *fn, void *ctx,
                            client_dial **out, sx_error *err)
{
    client_dial *d = sx_calloc(1, sizeof(*d));
    if (!d)
        return sx_fail_memory(err, "a connection");
    d->options = *options;
    d->options.stream.connect_ms_max = options->connect_ms_max;
    d->fn = fn;
    d->ctx = ctx;
    d->timer = (sx_timer){.fn = on_timer, .arg = d};
    sx_timer_start(sx_loop_timers(options->loop), &d->timer, options->connect_ms_max);
    sx_status st = options->port
                       ? sx_dns_start(options->dns, options->host, on_resolved, d, &d->lookup, err)
                       : start_unix(d, err);
    if (st != SX_OK) {
        client_dial_cancel(d);
        return st;
    }
    *out = d;
    return SX_OK;
}
