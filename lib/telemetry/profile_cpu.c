/* profile_cpu.c - a CPU profile from its start to its bytes.
 *
 * The caller's thread is the collector: each 100 ms it gives timers to threads that are new, takes those
 * of threads that have gone, and empties the ring (profile_ticks.c) into a table of stacks. */
#include <sextant/profile.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#include <sextant/clock.h>
#include <sextant/map.h>

#include "telemetry/profile_proto.h"
#include "telemetry/profile_tasks.h"
#include "telemetry/profile_ticks.h"

enum { STEP_MS = 100, THREADS_MOST = 4096, BYTES_MAX = 64 << 20 };

typedef struct thread {
    pid_t tid;
    bool timed;  /* `timer` is set */
    bool seen;   /* in this round's listing */
    bool blocks; /* SIGPROF, as last seen */
    timer_t timer;
    const sx_str *name; /* in the arena; NULL: no memory for it */
} thread;

/* The key of a stack in the table, as bytes. */
typedef struct stack {
    uintptr_t name; /* of the thread: the address of its sx_str, one for each name; 0: not known */
    uintptr_t pcs[];
} stack;

typedef struct collector {
    const sx_profile_cpu_options *options;
    sx_arena arena;
    sx_map names;  /* of threads */
    sx_map stacks; /* stack to its ticks */
    thread *threads;
    size_t thread_count, thread_cap;
    uint32_t hz;
    uint64_t unkept; /* ticks beyond bytes_max */
    size_t blocked, untimed;
    bool starved;
} collector;

/* ---- threads ---- */

static bool start_timer(collector *c, thread *t)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF};
    event.sigev_value.sival_int = sx_ticks_mark();
    event._sigev_un._tid = t->tid;
    if (timer_create(sx_task_clock(t->tid), &event, &t->timer) != 0)
        return false;
    struct timespec period = {.tv_sec = c->hz == 1 ? 1 : 0,
                              .tv_nsec = c->hz == 1 ? 0 : 1000000000L / c->hz};
    struct itimerspec each = {period, period};
    t->timed = timer_settime(t->timer, 0, &each, NULL) == 0;
    if (!t->timed)
        timer_delete(t->timer);
    return t->timed;
}

static thread *find_thread(collector *c, pid_t tid)
{
    for (size_t i = 0; i < c->thread_count; i++)
        if (c->threads[i].tid == tid)
            return &c->threads[i];
    return NULL;
}

/* The one copy of a name; NULL without memory. */
static const sx_str *name_of(collector *c, const char *z)
{
    sx_map_entry *entry = sx_map_find(&c->names, sx_str_z(z));
    if (entry)
        return (const sx_str *)entry->ptr;
    sx_str *name = (sx_str *)sx_arena_alloc(&c->arena, sizeof(*name));
    if (name)
        *name = sx_arena_copy(&c->arena, sx_str_z(z));
    entry = name && name->data ? sx_map_put(&c->names, *name, NULL) : NULL;
    c->starved |= entry == NULL;
    if (entry)
        entry->ptr = name;
    return entry ? name : NULL;
}

static void watch_thread(collector *c, thread *t, const sx_task *task)
{
    t->seen = true;
    t->blocks = task->blocks_sigprof; /* the signal would wait in it for ever */
    if (!t->blocks && !start_timer(c, t) && errno != ESRCH && errno != EINVAL)
        c->untimed++;
}

static void add_thread(collector *c, pid_t tid, const sx_task *task)
{
    if (c->thread_count == THREADS_MOST || !sx_arena_grow(&c->arena, &c->threads, &c->thread_cap,
                                                          c->thread_count + 1, sizeof(thread))) {
        c->untimed++;
        return;
    }
    thread *t = &c->threads[c->thread_count++];
    *t = (thread){.tid = tid, .name = name_of(c, task->name)};
    watch_thread(c, t, task);
}

/* A thread that blocks the signal is asked again each time: every thread does so while it starts. */
static void see_thread(void *ctx, pid_t tid)
{
    collector *c = (collector *)ctx;
    sx_task task;
    thread *t = find_thread(c, tid);
    if (!t && sx_task_read(tid, &task)) /* else it has gone meanwhile */
        add_thread(c, tid, &task);
    else if (t && t->blocks && sx_task_read(tid, &task))
        watch_thread(c, t, &task);
    if (t)
        t->seen = true;
}

/* Takes the timers of threads that were not seen, or of all. */
static void drop_threads(collector *c, bool (*leaves)(const thread *t))
{
    size_t kept = 0;
    for (size_t i = 0; i < c->thread_count; i++) {
        if (!leaves(&c->threads[i]))
            c->threads[kept++] = c->threads[i];
        else if (c->threads[i].timed)
            timer_delete(c->threads[i].timer);
    }
    c->thread_count = kept;
}

static bool has_gone(const thread *t)
{
    return !t->seen;
}

static bool any(const thread *t)
{
    (void)t;
    return true;
}

/* ---- ticks ---- */

static void keep_tick(collector *c, const sx_tick *tick, const sx_str *name)
{
    size_t len = sizeof(stack) + tick->depth * sizeof(uintptr_t);
    uintptr_t key[1 + SX_TICK_FRAMES]; /* laid out as a stack is */
    key[0] = (uintptr_t)name;
    memcpy(key + 1, tick->pcs, tick->depth * sizeof(uintptr_t));
    sx_map_entry *entry = sx_map_find(&c->stacks, sx_str_of(key, len));
    if (entry) {
        entry->u64 += tick->weight;
        return;
    }
    sx_str kept = sx_arena_copy(&c->arena, sx_str_of(key, len));
    entry = kept.data ? sx_map_put(&c->stacks, kept, NULL) : NULL;
    if (entry)
        entry->u64 = tick->weight;
    else
        c->unkept += tick->weight;
}

static void empty_ring(collector *c)
{
    for (const sx_tick *tick; (tick = sx_ticks_peek());) {
        const thread *t = find_thread(c, tick->tid);
        keep_tick(c, tick, t ? t->name : NULL);
        sx_ticks_drop();
    }
}

static sx_status collect(collector *c, int64_t duration_ns, sx_error *err)
{
    const sx_clock *clock = sx_clock_system(); /* what is measured runs on no other */
    struct pollfd cancel = {.fd = c->options->cancel_fd > 0 ? c->options->cancel_fd : -1,
                            .events = POLLIN};
    int64_t end_ns = sx_clock_mono_ns(clock) + duration_ns, left_ns;
    sx_status status = SX_OK;
    do {
        for (size_t i = 0; i < c->thread_count; i++)
            c->threads[i].seen = false;
        status = sx_tasks_each(see_thread, c, err);
        empty_ring(c); /* before the names of those that have gone are forgotten */
        drop_threads(c, has_gone);
        left_ns = end_ns - sx_clock_mono_ns(clock);
        int64_t wait_ms = (left_ns + 999999) / 1000000;
        if (left_ns > 0 && status == SX_OK &&
            poll(&cancel, 1, (int)(wait_ms < STEP_MS ? wait_ms : STEP_MS)) > 0)
            status = sx_fail(err, SX_ECANCELED, "the profile was canceled");
    } while (left_ns > 0 && status == SX_OK);
    for (size_t i = 0; i < c->thread_count; i++)
        c->blocked += c->threads[i].blocks;
    drop_threads(c, any);
    empty_ring(c);
    return status;
}

/* ---- the profile ---- */

static sx_str comment_of(collector *c)
{
    uint64_t lost = sx_ticks_lost() + c->unkept;
    sx_buf text;
    sx_buf_init(&text, 0);
    if (c->blocked)
        sx_buf_printf(&text, "%zu threads block SIGPROF and were not sampled. ", c->blocked);
    if (c->untimed)
        sx_buf_printf(&text, "%zu threads got no timer and were not sampled. ", c->untimed);
    if (lost)
        sx_buf_printf(&text, "%llu samples were lost: too many threads, or too many stacks. ",
                      (unsigned long long)lost);
    if (sx_ticks_flat())
        sx_buf_printf(&text, "Stacks could not be read here (process_vm_readv is refused). ");
    sx_str comment = sx_arena_copy(&c->arena, sx_buf_view(&text));
    sx_buf_done(&text);
    return comment;
}

static sx_status encode(collector *c, int64_t wall_ns, int64_t duration_ns, sx_buf *out,
                        sx_error *err)
{
    size_t count = sx_map_count(&c->stacks), cursor = 0, i = 0;
    sx_profile_sample *samples =
        (sx_profile_sample *)sx_arena_calloc(&c->arena, count + 1, sizeof(*samples));
    if (!samples || c->starved)
        return sx_fail_memory(err, "the profile");
    int64_t period_ns = 1000000000 / c->hz;
    for (sx_map_entry *e; (e = sx_map_next(&c->stacks, &cursor)); i++) {
        const stack *s = (const stack *)(const void *)e->key.data;
        samples[i] = (sx_profile_sample){
            .pcs = s->pcs,
            .depth = (e->key.len - sizeof(*s)) / sizeof(uintptr_t),
            .values = {(int64_t)e->u64, (int64_t)e->u64 * period_ns},
        };
        if (s->name)
            samples[i].thread = *(const sx_str *)s->name;
    }
    sx_profile profile = {
        .values = {{SX_STR("samples"), SX_STR("count")}, {SX_STR("cpu"), SX_STR("nanoseconds")}},
        .value_count = 2,
        .default_value = SX_STR("cpu"),
        .period_of = {SX_STR("cpu"), SX_STR("nanoseconds")},
        .period = period_ns,
        .wall_ns = wall_ns,
        .duration_ns = duration_ns,
        .first_exact = true,
        .comment = comment_of(c),
        .samples = samples,
        .sample_count = count,
    };
    return sx_profile_encode(&profile, out, err);
}

sx_status sx_profile_cpu(const sx_profile_cpu_options *options, sx_buf *out, sx_error *err)
{
    const sx_clock *clock = sx_clock_system();
    collector c = {.options = options, .hz = options->hz ? options->hz : SX_PROFILE_HZ};
    if (c.hz > SX_PROFILE_HZ_MAX)
        return sx_fail(err, SX_EINVAL, "%u samples a second are too many; at most %d", c.hz,
                       SX_PROFILE_HZ_MAX);
    sx_status status = sx_ticks_open(err);
    if (status)
        return status;
    sx_arena_init(&c.arena, 65536, options->bytes_max ? options->bytes_max : BYTES_MAX);
    sx_map_init(&c.names, NULL);
    sx_map_init(&c.stacks, NULL);
    int64_t wall_ns = sx_clock_ns(clock), start_ns = sx_clock_mono_ns(clock);
    uint32_t duration_ms = options->duration_ms ? options->duration_ms : SX_PROFILE_SECONDS * 1000;
    status = collect(&c, (int64_t)duration_ms * 1000000, err);
    c.arena.max_bytes = 0; /* what is needed to write it down is no stack */
    if (status == SX_OK)
        status = encode(&c, wall_ns, sx_clock_mono_ns(clock) - start_ns, out, err);
    sx_ticks_close();
    sx_map_done(&c.stacks);
    sx_map_done(&c.names);
    sx_arena_done(&c.arena);
    return status;
}
