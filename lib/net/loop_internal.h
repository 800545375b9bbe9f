/* loop_internal.h - the inside of an sx_loop, for the files of lib/net that open handles on it.
 *
 * The buffers are the reason why an idle connection costs nothing: a loop works on one socket at a
 * time, so all its streams share one buffer to read into, one to gather output in and, once there
 * is TLS, one each for plaintext and ciphertext. */
#ifndef SEXTANT_NET_LOOP_INTERNAL_H
#define SEXTANT_NET_LOOP_INTERNAL_H

#include <uv.h>

#include <sextant/list.h>
#include <sextant/loop.h>
#include <sextant/timer.h>

enum {
    LOOP_BUFFER_BYTES = 65536,
    LOOP_SLACK_BYTES = 64, /* readable behind each buffer, for wide loads */
    LOOP_HOOKS_MAX = 8
};

typedef struct loop_hook {
    sx_loop_fn *fn;
    void *arg;
} loop_hook;

typedef struct loop_post loop_post;
struct sx_stream;

struct sx_loop {
    uv_loop_t uv;
    uv_prepare_t prepare; /* before waiting: arms `alarm` */
    uv_check_t check;     /* after waiting: timers, hooks */
    uv_timer_t alarm;     /* wakes the loop for the nearest of `timers` */
    uv_async_t wake;      /* posted calls, stop */
    sx_timers timers;
    const sx_clock *clock;
    unsigned index;
    int64_t now_ms;    /* of this turn */
    int64_t polled_ms; /* when it began to look at its sockets: what had come by then was read */
    int64_t wall_ns;
    int64_t alarm_due_ms; /* what `alarm` is set to; INT64_MAX: not set */
    bool is_fresh;        /* the clock was read since the loop last waited */

    loop_hook hooks[LOOP_HOOKS_MAX];
    unsigned hook_count;

    uv_mutex_t post_lock; /* guards the two below; any thread */
    loop_post *post_first, *post_last;
    bool stop; /* atomic; set by any thread */

    /* lib/net/stream.c's. */
    char *read_buffer; /* LOOP_BUFFER_BYTES + slack */
    char *scratch;     /* output of the corked stream */
    char *plain;       /* TLS, made with the first TLS stream */
    char *cipher;
    size_t scratch_len, cipher_len;
    struct sx_stream *scratch_owner, *cipher_owner;
    sx_list streams; /* all that live on this loop */
    sx_list pending; /* streams that owe an event which no socket will bring */
    bool freeing;
};

/* The uv loop under a loop: for handles that are not streams (DNS sockets, UDP, child processes). Its
 * owner closes them before sx_loop_free, which waits for their close callbacks. */
static inline uv_loop_t *sx_loop_uv(sx_loop *loop)
{
    return &loop->uv;
}

/* Reads the clock once a turn: every callback that libuv makes from its poll phase calls the second
 * first. (There is no hook between waiting and the first callback.) */
void sx_loop_refresh(sx_loop *loop);

static inline void sx_loop_touch(sx_loop *loop)
{
    if (sx_unlikely(!loop->is_fresh))
        sx_loop_refresh(loop);
}

/* sx_loop_post in two halves, so that a job that must report back has its memory beforehand. The
 * loop frees the post after the call; to unsend one that was not sent, sx_free it. */
loop_post *sx_loop_post_new(sx_loop_fn *fn, void *arg);
void sx_loop_post_send(sx_loop *loop, loop_post *post);

/* Makes the next turn come at once, on the loop's own thread: something is due without a socket. */
void sx_loop_nudge(sx_loop *loop);

#endif
