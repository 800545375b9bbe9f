/* loop.c - sx_loop over libuv.
 *
 * One iteration of libuv is one turn of ours: prepare (dead streams, arms the alarm) -> poll (sockets,
 * posted calls) -> check (timers, hooks). All timeouts of the loop hang on one sx_timers wheel, and
 * libuv sees a single timer for the nearest of them, so that restarting an idle timeout costs no heap
 * operation.
 *
 * A timer runs only after a poll that began when it was due. Else a loop that stood still for longer
 * than a timeout (a stopped process, a machine under load) would give up peers whose bytes have long
 * come and only wait to be read. */
#include "net/loop_internal.h"

#include <limits.h>
#include <stdio.h>

#include <sextant/mem.h>

#include "net/stream_internal.h"

struct loop_post {
    loop_post *next;
    sx_loop_fn *fn;
    void *arg;
};

static void read_clock(sx_loop *loop)
{
    loop->wall_ns = sx_clock_ns(loop->clock);
    sx_timers_update(&loop->timers);
    loop->now_ms = sx_timers_now_ms(&loop->timers);
}

static void run_hooks(sx_loop *loop)
{
    for (unsigned i = 0; i < loop->hook_count; i++)
        loop->hooks[i].fn(loop, loop->hooks[i].arg);
}

/* Only ends the wait: the timers run after the next poll, which the alarm makes a short one. */
static void on_alarm(uv_timer_t *alarm)
{
    sx_loop *loop = alarm->data;
    loop->alarm_due_ms = INT64_MAX;
}

/* An alarm that comes too early only finds nothing to do, so one that is set for an earlier moment
 * stays: deadlines that are pushed back with every request would else move it each turn. */
static void arm_alarm(sx_loop *loop)
{
    int64_t wait_ms = sx_timers_next_ms(&loop->timers);
    if (wait_ms < 0)
        return;
    int64_t due_ms = loop->now_ms + wait_ms;
    if (due_ms >= loop->alarm_due_ms)
        return;
    loop->alarm_due_ms = due_ms;
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->alarm, on_alarm, (uint64_t)wait_ms, 0);
}

static void on_prepare(uv_prepare_t *prepare)
{
    sx_loop *loop = prepare->data;
    sx_streams_run_pending(loop);
    arm_alarm(loop);
    loop->polled_ms = sx_clock_mono_ms(loop->clock);
}

static void on_check(uv_check_t *check)
{
    sx_loop *loop = check->data;
    read_clock(loop);
    sx_timers_run_until(&loop->timers, loop->polled_ms);
    sx_streams_run_pending(loop);
    run_hooks(loop);
    loop->is_fresh = false;
}

void sx_loop_refresh(sx_loop *loop)
{
    read_clock(loop);
    loop->is_fresh = true;
}

/* ---- posted calls ---- */

static void run_posted(sx_loop *loop)
{
    uv_mutex_lock(&loop->post_lock);
    loop_post *first = loop->post_first;
    loop->post_first = loop->post_last = NULL;
    uv_mutex_unlock(&loop->post_lock);
    while (first) {
        loop_post *next = first->next;
        first->fn(loop, first->arg);
        sx_free(first);
        first = next;
    }
}

static void on_wake(uv_async_t *wake)
{
    sx_loop *loop = wake->data;
    sx_loop_touch(loop);
    run_posted(loop);
    if (__atomic_load_n(&loop->stop, __ATOMIC_ACQUIRE))
        uv_stop(&loop->uv);
}

loop_post *sx_loop_post_new(sx_loop_fn *fn, void *arg)
{
    loop_post *post = sx_alloc(sizeof(*post));
    if (post)
        *post = (loop_post){.fn = fn, .arg = arg};
    return post;
}

void sx_loop_post_send(sx_loop *loop, loop_post *post)
{
    uv_mutex_lock(&loop->post_lock);
    if (loop->post_last)
        loop->post_last->next = post;
    else
        loop->post_first = post;
    loop->post_last = post;
    /* Inside the lock: sx_loop_free takes it before it closes `wake`. */
    uv_async_send(&loop->wake);
    uv_mutex_unlock(&loop->post_lock);
}

sx_status sx_loop_post(sx_loop *loop, sx_loop_fn *fn, void *arg, sx_error *err)
{
    loop_post *post = sx_loop_post_new(fn, arg);
    if (!post)
        return sx_fail_memory(err, "a call posted to a loop");
    sx_loop_post_send(loop, post);
    return SX_OK;
}

void sx_loop_nudge(sx_loop *loop)
{
    uv_async_send(&loop->wake);
}

/* ---- life ---- */

static void close_base(sx_loop *loop)
{
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    uv_mutex_lock(&loop->post_lock);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_mutex_unlock(&loop->post_lock);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static void free_memory(sx_loop *loop)
{
    sx_free(loop->read_buffer);
    sx_free(loop->scratch);
    sx_free(loop->plain);
    sx_free(loop->cipher);
    sx_free(loop);
}

/* The handles never fail to start once they are initialised (libuv's documentation), so only the
 * loop's own epoll and eventfd can. */
static int open_handles(sx_loop *loop)
{
    int rc = uv_loop_init(&loop->uv);
    if (rc != 0)
        return rc;
    rc = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (rc != 0) {
        uv_loop_close(&loop->uv);
        return rc;
    }
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    uv_timer_init(&loop->uv, &loop->alarm);
    loop->wake.data = loop->prepare.data = loop->check.data = loop->alarm.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    uv_unref((uv_handle_t *)&loop->prepare);
    uv_unref((uv_handle_t *)&loop->check);
    uv_unref((uv_handle_t *)&loop->alarm);
    return 0;
}

sx_status sx_loop_new(const sx_clock *clock, unsigned index, sx_loop **out, sx_error *err)
{
    sx_loop *loop = sx_calloc(1, sizeof(*loop));
    if (!loop)
        return sx_fail_memory(err, "an event loop");
    loop->read_buffer = sx_calloc(1, LOOP_BUFFER_BYTES + LOOP_SLACK_BYTES);
    loop->scratch = sx_calloc(1, LOOP_BUFFER_BYTES + LOOP_SLACK_BYTES);
    if (!loop->read_buffer || !loop->scratch) {
        free_memory(loop);
        return sx_fail_memory(err, "the buffers of an event loop");
    }
    loop->clock = clock ? clock : sx_clock_system();
    loop->index = index;
    loop->alarm_due_ms = INT64_MAX;
    sx_list_init(&loop->streams);
    sx_list_init(&loop->pending);
    sx_timers_init(&loop->timers, loop->clock);
    read_clock(loop);
    if (uv_mutex_init(&loop->post_lock) != 0) {
        free_memory(loop);
        return sx_fail_memory(err, "the lock of an event loop");
    }
    int rc = open_handles(loop);
    if (rc != 0) {
        uv_mutex_destroy(&loop->post_lock);
        free_memory(loop);
        return sx_fail_os(err, -rc,
                          "cannot open an event loop (is the limit of open files "
                          "reached? see ulimit -n)");
    }
    *out = loop;
    return SX_OK;
}

void sx_loop_free(sx_loop *loop)
{
    if (!loop)
        return;
    loop->freeing = true;
    run_posted(loop);
    sx_streams_cancel_all(loop);
    run_posted(loop); /* what the cancelled ones posted */
    close_base(loop);
    int rc = uv_loop_close(&loop->uv);
    sx_assert(rc ==
              0); /* else somebody's handle is open: its owner was not freed before the loop */
    uv_mutex_destroy(&loop->post_lock);
    free_memory(loop);
}

void sx_loop_run(sx_loop *loop)
{
    sx_loop_touch(loop);
    while (!__atomic_load_n(&loop->stop, __ATOMIC_ACQUIRE))
        uv_run(&loop->uv, UV_RUN_DEFAULT); /* returns by uv_stop alone: `wake` keeps it alive */
    __atomic_store_n(&loop->stop, false, __ATOMIC_RELEASE);
}

bool sx_loop_turn(sx_loop *loop)
{
    sx_loop_touch(loop);
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    uv_unref((uv_handle_t *)&loop->wake);
    bool is_alive =
        uv_loop_alive(&loop->uv) || loop->timers.count > 0 || !sx_list_empty(&loop->pending);
    uv_ref((uv_handle_t *)&loop->wake);
    return is_alive;
}

int sx_loop_fd(const sx_loop *loop)
{
    return uv_backend_fd(&loop->uv);
}

/* libuv's own timeout is 0 while a socket waits to be added to its descriptor, which only a turn does;
 * a timer that was started since the last turn is not on libuv's alarm yet. */
int sx_loop_wait_ms(sx_loop *loop)
{
    if (!sx_list_empty(&loop->pending))
        return 0;
    int64_t wait_ms = uv_backend_timeout(&loop->uv);
    int64_t timer_ms = sx_timers_next_ms(&loop->timers);
    if (timer_ms >= 0 && (wait_ms < 0 || timer_ms < wait_ms))
        wait_ms = timer_ms;
    return wait_ms < INT_MAX ? (int)wait_ms : INT_MAX;
}

void sx_loop_stop(sx_loop *loop)
{
    __atomic_store_n(&loop->stop, true, __ATOMIC_RELEASE);
    uv_async_send(&loop->wake);
}

sx_status sx_loop_on_turn_end(sx_loop *loop, sx_loop_fn *fn, void *arg, sx_error *err)
{
    if (loop->hook_count == LOOP_HOOKS_MAX)
        return sx_fail(err, SX_ELIMIT, "a loop takes %d turn-end calls and has them all",
                       LOOP_HOOKS_MAX);
    loop->hooks[loop->hook_count++] = (loop_hook){fn, arg};
    return SX_OK;
}

sx_timers *sx_loop_timers(sx_loop *loop)
{
    return &loop->timers;
}

const sx_clock *sx_loop_clock(const sx_loop *loop)
{
    return loop->clock;
}

unsigned sx_loop_index(const sx_loop *loop)
{
    return loop->index;
}

int64_t sx_loop_now_ms(const sx_loop *loop)
{
    return loop->now_ms;
}

int64_t sx_loop_wall_ns(const sx_loop *loop)
{
    return loop->wall_ns;
}
