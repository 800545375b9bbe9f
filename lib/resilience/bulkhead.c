/* bulkhead.c - a fixed number of calls at once, and a bounded queue before it.
 *
 * One word counts both, so that the usual case is one compare and exchange:
 *
 *     63          32 31           0
 *     [ waiting     ][ running     ]
 *
 * While nobody waits, entering and leaving take no lock. The queue, and any change of `waiting`,
 * is under one. As long as somebody waits nobody else can enter, so a place that comes free goes
 * to who has waited longest. */
#include <sextant/bulkhead.h>

#include <pthread.h>

#include "resilience/atomic.h"
#include "resilience/bulkhead_wait.h"
#include "resilience/metric_list.h"

typedef enum bulkhead_outcome { ENTERED, WAITED, REFUSED, TIMED_OUT, OUTCOMES } bulkhead_outcome;

struct sx_bulkhead {
    uint64_t word;
    uint32_t calls_max, waiting_max; /* atomic */
    uint32_t wait_ms;
    const sx_clock *clock;
    sx_counter *outcome[OUTCOMES]; /* NULL without metrics */
    sx_gauge *running, *waiting;
    sx_histogram *waited;
    pthread_mutex_t lock;
    sx_list queue; /* of sx_bulkhead_wait, who came first at its head; under the lock */
    void *block;
};

enum { NS_PER_MS = 1000000 };
#define ONE_WAITING ((uint64_t)1 << 32)

static inline uint32_t running_of(uint64_t word)
{
    return (uint32_t)word;
}

static inline uint32_t waiting_of(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static inline void note(sx_bulkhead *b, bulkhead_outcome outcome, int running, int waiting)
{
    if (!b->running)
        return;
    if (outcome < OUTCOMES)
        sx_counter_add(b->outcome[outcome], 1);
    if (running)
        sx_gauge_add(b->running, running);
    if (waiting)
        sx_gauge_add(b->waiting, waiting);
}

/* ---- entering ---- */

/* Takes a place if there is one and nobody waits for it. */
static inline bool enter_free(sx_bulkhead *b)
{
    uint64_t word = load(&b->word);
    while (waiting_of(word) == 0 && running_of(word) < load(&b->calls_max))
        if (exchange_if(&b->word, &word, word + 1))
            return true;
    return false;
}

static SX_COLD sx_status enter_queue(sx_bulkhead *b, sx_bulkhead_wait *w)
{
    int64_t now_ns = sx_clock_mono_ns(b->clock);
    sx_status status = SX_REFUSED;
    pthread_mutex_lock(&b->lock);
    uint64_t word = load(&b->word);
    for (;;) {
        bool is_free = waiting_of(word) == 0 && running_of(word) < load(&b->calls_max);
        bool may_wait = waiting_of(word) < load(&b->waiting_max);
        if (!is_free && !may_wait)
            break;
        if (!exchange_if(&b->word, &word, word + (is_free ? 1 : ONE_WAITING)))
            continue;
        status = is_free ? SX_OK : SX_AGAIN;
        break;
    }
    if (status == SX_AGAIN) {
        w->bulkhead = b;
        w->since_ns = now_ns;
        w->due_ns = now_ns + (int64_t)(w->wait_ms ? w->wait_ms : b->wait_ms) * NS_PER_MS;
        w->waiting = true;
        sx_list_push_back(&b->queue, &w->link);
    }
    pthread_mutex_unlock(&b->lock);
    return status;
}

sx_status sx_bulkhead_enter(sx_bulkhead *b, sx_bulkhead_wait *w)
{
    sx_status status = SX_OK;
    if (sx_unlikely(!enter_free(b)))
        status = w ? enter_queue(b, w) : SX_REFUSED;
    if (sx_likely(status == SX_OK))
        note(b, ENTERED, 1, 0);
    else if (status == SX_AGAIN)
        note(b, OUTCOMES, 0, 1);
    else
        note(b, REFUSED, 0, 0);
    return status;
}

/* ---- leaving and waking ---- */

/* Takes `w` off the queue onto `woken`, with what it will be told; the lock is held. */
static void take_off(sx_bulkhead *b, sx_bulkhead_wait *w, sx_list *woken)
{
    sx_assert(w->waiting);
    w->waiting = false;
    sx_list_remove(&w->link);
    if (woken)
        sx_list_push_back(woken, &w->link);
    __atomic_sub_fetch(&b->word, ONE_WAITING, __ATOMIC_ACQ_REL);
}

/* Moves all whose time is over to `late`; ms until the next, or -1. The lock is held. */
static int64_t take_late(sx_bulkhead *b, int64_t now_ns, sx_list *late)
{
    int64_t next_ns = INT64_MAX;
    for (sx_list *it = b->queue.next, *next; it != &b->queue; it = next) {
        sx_bulkhead_wait *w = SX_CONTAINER_OF(it, sx_bulkhead_wait, link);
        next = it->next;
        if (w->due_ns <= now_ns)
            take_off(b, w, late);
        else if (w->due_ns < next_ns)
            next_ns = w->due_ns;
    }
    return next_ns == INT64_MAX ? -1 : (next_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
}

/* Gives free places to who has waited longest, passing by those whose time is over; the lock is
 * held. */
static void hand_out(sx_bulkhead *b, int64_t now_ns, sx_list *late, sx_list *woken)
{
    while (!sx_list_empty(&b->queue)) {
        sx_bulkhead_wait *w = SX_CONTAINER_OF(b->queue.next, sx_bulkhead_wait, link);
        if (w->due_ns <= now_ns) {
            take_off(b, w, late);
            continue;
        }
        uint64_t word = load(&b->word);
        do {
            if (running_of(word) >= load(&b->calls_max))
                return;
        } while (!exchange_if(&b->word, &word, word + 1));
        take_off(b, w, woken);
    }
}

static void wake(sx_bulkhead *b, sx_list *woken, sx_status status)
{
    int64_t now_ns = sx_list_empty(woken) ? 0 : sx_clock_mono_ns(b->clock);
    sx_list *link;
    while ((link = sx_list_pop_front(woken)) != NULL) {
        sx_bulkhead_wait *w = SX_CONTAINER_OF(link, sx_bulkhead_wait, link);
        note(b, status == SX_OK ? WAITED : TIMED_OUT, status == SX_OK, -1);
        if (b->waited)
            sx_histogram_observe(b->waited, (double)(now_ns - w->since_ns) / 1e9);
        w->woken(w, status);
    }
}

static SX_COLD void serve_queue(sx_bulkhead *b)
{
    sx_list late, woken;
    sx_list_init(&late);
    sx_list_init(&woken);
    int64_t now_ns = sx_clock_mono_ns(b->clock);
    pthread_mutex_lock(&b->lock);
    hand_out(b, now_ns, &late, &woken);
    pthread_mutex_unlock(&b->lock);
    wake(b, &late, SX_ETIMEOUT);
    wake(b, &woken, SX_OK);
}

void sx_bulkhead_leave(sx_bulkhead *b)
{
    note(b, OUTCOMES, -1, 0);
    uint64_t word = __atomic_sub_fetch(&b->word, 1, __ATOMIC_ACQ_REL);
    sx_assert(running_of(word) != UINT32_MAX);
    if (sx_unlikely(waiting_of(word) > 0))
        serve_queue(b);
}

int64_t sx_bulkhead_expire(sx_bulkhead *b)
{
    sx_list late, woken;
    if (waiting_of(load(&b->word)) == 0)
        return -1;
    sx_list_init(&late);
    sx_list_init(&woken);
    int64_t now_ns = sx_clock_mono_ns(b->clock);
    pthread_mutex_lock(&b->lock);
    hand_out(b, now_ns, &late, &woken);
    int64_t next_ms = take_late(b, now_ns, &late);
    pthread_mutex_unlock(&b->lock);
    wake(b, &late, SX_ETIMEOUT);
    wake(b, &woken, SX_OK);
    return next_ms;
}

static bool stop_waiting(sx_bulkhead_wait *w, bulkhead_outcome outcome)
{
    sx_bulkhead *b = w->bulkhead;
    pthread_mutex_lock(&b->lock);
    bool waited = w->waiting;
    if (waited)
        take_off(b, w, NULL);
    pthread_mutex_unlock(&b->lock);
    if (waited)
        note(b, outcome, 0, -1);
    return waited;
}

bool sx_bulkhead_abandon(sx_bulkhead_wait *w)
{
    return stop_waiting(w, OUTCOMES);
}

bool bulkhead_time_out(sx_bulkhead_wait *w)
{
    return stop_waiting(w, TIMED_OUT);
}

void sx_bulkhead_set(sx_bulkhead *b, uint32_t calls_max, uint32_t waiting_max)
{
    if (calls_max > 0)
        store(&b->calls_max, calls_max);
    store(&b->waiting_max, waiting_max);
    sx_bulkhead_expire(b);
}

void sx_bulkhead_info_of(const sx_bulkhead *b, sx_bulkhead_info *out)
{
    uint64_t word = load(&b->word);
    *out = (sx_bulkhead_info){running_of(word), waiting_of(word), load(&b->calls_max),
                              load(&b->waiting_max)};
}

/* ---- life ---- */

static sx_status make_metrics(sx_bulkhead *b, sx_metrics *metrics, sx_str name, sx_error *err)
{
    static const char *const NAME[] = {"name"}, *const NAME_OUTCOME[] = {"name", "outcome"};
    static const char *const NAMES[OUTCOMES] = {[ENTERED] = "entered",
                                                [WAITED] = "waited",
                                                [REFUSED] = "refused",
                                                [TIMED_OUT] = "timed_out"};
    static const sx_metric_options OPTIONS[] = {
        {.kind = SX_METRIC_COUNTER,
         .name = "bulkhead_calls_total",
         .help = "Calls: entered (at once), waited (then entered), refused, timed_out (waiting).",
         .labels = NAME_OUTCOME,
         .label_count = 2},
        {.kind = SX_METRIC_GAUGE,
         .name = "bulkhead_running",
         .help = "Calls that are in.",
         .labels = NAME,
         .label_count = 1},
        {.kind = SX_METRIC_GAUGE,
         .name = "bulkhead_waiting",
         .help = "Calls that wait for a place.",
         .labels = NAME,
         .label_count = 1},
        {.kind = SX_METRIC_HISTOGRAM,
         .name = "bulkhead_wait_seconds",
         .help = "How long those waited that had to.",
         .labels = NAME,
         .label_count = 1},
    };
    sx_metric *made[SX_COUNT_OF(OPTIONS)];
    sx_status status = sx_metric_list(metrics, OPTIONS, SX_COUNT_OF(OPTIONS), made, err);
    if (status != SX_OK)
        return status;
    for (size_t i = 0; i < OUTCOMES; i++)
        b->outcome[i] = sx_metric_counter(made[0], (const sx_str[]){name, sx_str_z(NAMES[i])}, 2);
    b->running = sx_metric_gauge(made[1], &name, 1);
    b->waiting = sx_metric_gauge(made[2], &name, 1);
    b->waited = sx_metric_histogram(made[3], &name, 1);
    return SX_OK;
}

sx_status sx_bulkhead_new(const sx_bulkhead_options *options, sx_bulkhead **out, sx_error *err)
{
    static const sx_bulkhead_options NONE = {0};
    const sx_bulkhead_options *o = options ? options : &NONE;
    void *block;
    sx_bulkhead *b = line_alloc(sizeof(*b), &block);
    if (!b)
        return sx_fail_memory(err, "a bulkhead");
    b->block = block;
    b->calls_max = o->calls_max ? o->calls_max : 10;
    b->waiting_max = o->waiting_max;
    b->wait_ms = o->wait_ms ? o->wait_ms : 1000;
    b->clock = o->clock ? o->clock : sx_clock_system();
    pthread_mutex_init(&b->lock, NULL);
    sx_list_init(&b->queue);
    sx_str name = sx_str_z(o->name ? o->name : "default");
    sx_status status = o->metrics ? make_metrics(b, o->metrics, name, err) : SX_OK;
    if (status != SX_OK) {
        sx_bulkhead_free(b);
        return status;
    }
    *out = b;
    return SX_OK;
}

void sx_bulkhead_free(sx_bulkhead *b)
{
    if (!b)
        return;
    sx_assert(sx_list_empty(&b->queue));
    pthread_mutex_destroy(&b->lock);
    sx_free(b->block);
}
