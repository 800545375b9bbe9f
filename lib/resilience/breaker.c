/* breaker.c - what a call asks a breaker, and tells it.
 *
 * HOT: 20 ns for allow and done together. While a breaker is closed a call reads one cache line
 * that hardly ever changes, and no clock unless slow_ms or failure_rate want the time.
 * breaker_state.h has the word that all turns on. Called by the clients, the gateway and any
 * program. */
#include <sextant/breaker.h>

#include "resilience/breaker_state.h"

enum {
    PASS_TRIAL = 1,      /* the call is a trial; slot and serial follow */
    PASS_TIMED = 2,      /* start_ns is set */
    PASS_EXACT = 4,      /* ... by the exact clock */
    PASS_SLOT_SHIFT = 3, /* 5 bits */
    PASS_SERIAL_SHIFT = 8,
    SERIAL_MASK = (1 << 24) - 1
};

static const bool MAY_BECOME[SX_BREAKER_STATES][SX_BREAKER_STATES] = {
    [SX_BREAKER_CLOSED] = {[SX_BREAKER_OPEN] = true, [SX_BREAKER_CLOSED] = true /* a reset */},
    [SX_BREAKER_OPEN] = {[SX_BREAKER_HALF_OPEN] = true,
                         [SX_BREAKER_CLOSED] = true, /* a reset */
                         [SX_BREAKER_OPEN] = true /* held by an operator */},
    [SX_BREAKER_HALF_OPEN] = {[SX_BREAKER_CLOSED] = true, [SX_BREAKER_OPEN] = true},
};

static inline void count(sx_breaker *b, breaker_outcome outcome)
{
    if (b->outcome[outcome])
        sx_counter_add(b->outcome[outcome], 1);
}

/* Milliseconds do: open_ms and the window are long. */
static inline int64_t now_of(const sx_breaker *b)
{
    return sx_clock_mono_ns(b->all->clock);
}

/* ---- changes of state; b->lock is held ---- */

static void announce(sx_breaker *b, sx_breaker_state from, sx_breaker_state to, bool by_operator)
{
    sx_breakers *all = b->all;
    if (b->state_gauge) {
        sx_gauge_set(b->state_gauge, to);
        sx_counter_add(b->transitions[to], 1);
    }
    if (!all->logger)
        return;
    sx_level level = to == SX_BREAKER_OPEN ? SX_LEVEL_WARN : SX_LEVEL_INFO;
    SX_LOG(all->logger, level, NULL, "circuit breaker changed", sx_field_str("breaker", b->name),
           sx_field_z("from", sx_breaker_state_name(from)),
           sx_field_z("to", sx_breaker_state_name(to)), sx_field_bool("by_operator", by_operator));
}

bool breaker_become(sx_breaker *b, uint32_t generation, sx_breaker_state next, bool by_operator,
                    int64_t now_ns)
{
    uint64_t word = load_acquire(&b->word), changed;
    if (word_generation(word) != generation)
        return false; /* somebody else was first */
    sx_assert(MAY_BECOME[word_state(word)][next]);

    /* What readers of the new word look at is written before it. */
    for (size_t i = 0; i < TRIALS_MOST; i++)
        b->trials[i].due_ns = 0;
    store(&b->full_until_ns, 0);
    int64_t open_ns = (int64_t)b->options.open_ms * 1000000;
    store(&b->open_until_ns, next == SX_BREAKER_OPEN ? now_ns + open_ns : 0);
    if (next == SX_BREAKER_CLOSED)
        breaker_window_clear(b);
    store(&b->since_wall_ms, sx_clock_ms(b->all->clock));
    changed = (uint64_t)(generation + 1) << GEN_SHIFT | (uint64_t)next << STATE_SHIFT |
              (by_operator && next == SX_BREAKER_OPEN ? FORCED_BIT : 0);
    while (!exchange_if(&b->word, &word, changed)) /* only counts change without the lock */
        ;
    announce(b, word_state(word), next, by_operator);
    return true;
}

static SX_COLD void change(sx_breaker *b, uint32_t generation, sx_breaker_state next,
                           int64_t now_ns)
{
    pthread_mutex_lock(&b->lock);
    breaker_become(b, generation, next, false, now_ns);
    pthread_mutex_unlock(&b->lock);
}

/* ---- the window of the failure rate ---- */

static inline uint64_t slot_tag(uint64_t slot)
{
    return (slot / WINDOW_SLOTS & 0xffff) << 48;
}

/* The number of the slot that `now_ns` is in; divides only when it has moved on. */
static inline uint64_t slot_of(sx_breaker *b, int64_t now_ns, int64_t slot_ns)
{
    uint64_t slot = load(&b->slot);
    if (sx_likely((uint64_t)now_ns - slot * (uint64_t)slot_ns < (uint64_t)slot_ns))
        return slot;
    slot = (uint64_t)now_ns / (uint64_t)slot_ns;
    store(&b->slot, slot);
    return slot;
}

static void window_add(sx_breaker *b, uint64_t slot, bool ok)
{
    enum { CALLS_SHIFT = 24, FULL = (1 << 24) - 1 };
    uint64_t *at = &b->window[slot % WINDOW_SLOTS], tag = slot_tag(slot), next;
    uint64_t seen = load(at);
    do {
        uint64_t calls = seen >> CALLS_SHIFT & FULL, failures = seen & FULL;
        if ((seen & ~(uint64_t)0 << 48) != tag)
            calls = failures = 0;
        if (sx_unlikely(calls == FULL)) { /* the rate stays what it was */
            calls /= 2;
            failures /= 2;
        }
        next = tag | (calls + 1) << CALLS_SHIFT | (failures + !ok);
    } while (!exchange_if(at, &seen, next));
}

static void window_sum(const sx_breaker *b, uint64_t slot, uint64_t *calls, uint64_t *failures)
{
    uint64_t tag = slot_tag(slot), tag_before = slot_tag(slot - WINDOW_SLOTS);
    uint64_t sum_calls = 0, sum_failures = 0, place = slot % WINDOW_SLOTS;
    for (uint64_t i = 0; i < WINDOW_SLOTS; i++) {
        uint64_t seen = load(&b->window[i]);
        if ((seen & ~(uint64_t)0 << 48) == (i <= place ? tag : tag_before)) {
            sum_calls += seen >> 24 & 0xffffff;
            sum_failures += seen & 0xffffff;
        }
    }
    *calls = sum_calls;
    *failures = sum_failures;
}

void breaker_window_sum(const sx_breaker *b, int64_t now_ns, uint64_t *calls, uint64_t *failures)
{
    int64_t slot_ns = load(&b->slot_ns);
    *calls = *failures = 0;
    if (slot_ns > 0)
        window_sum(b, (uint64_t)now_ns / (uint64_t)slot_ns, calls, failures);
}

void breaker_window_clear(sx_breaker *b)
{
    for (size_t i = 0; i < WINDOW_SLOTS; i++)
        store(&b->window[i], 0);
}

/* Counts a call in the window; whether it is bad enough to open. Only a failure can say so. */
static bool window_is_bad(sx_breaker *b, int64_t now_ns, int64_t slot_ns, bool ok)
{
    uint64_t slot = slot_of(b, now_ns, slot_ns), calls, failures;
    window_add(b, slot, ok);
    if (ok)
        return false;
    window_sum(b, slot, &calls, &failures);
    return calls >= load(&b->calls_min) &&
           (double)failures >= load_double(&b->failure_rate) * (double)calls;
}

/* ---- trials ---- */

/* A free trial while half-open; the lock is held. When none is left the next refusals need not come
 * here until one is done or overdue. */
static bool take_trial(sx_breaker *b, int64_t now_ns, sx_breaker_pass *pass)
{
    uint32_t most = b->options.trials_max, found = most;
    int64_t first_due = INT64_MAX;
    for (uint32_t i = 0; i < most; i++) {
        breaker_trial *t = &b->trials[i];
        bool is_free = t->due_ns == 0 || t->due_ns <= now_ns;
        if (is_free && found == most)
            found = i;
        else if (is_free)
            first_due = 0;
        else if (t->due_ns < first_due)
            first_due = t->due_ns;
    }
    if (found == most) {
        store(&b->full_until_ns, first_due);
        return false;
    }
    breaker_trial *t = &b->trials[found];
    t->serial = ++b->trial_serial & SERIAL_MASK;
    t->due_ns = now_ns + (int64_t)b->options.open_ms * 1000000;
    store(&b->full_until_ns, first_due < t->due_ns ? first_due : t->due_ns);
    pass->flags =
        PASS_TRIAL | PASS_TIMED | found << PASS_SLOT_SHIFT | t->serial << PASS_SERIAL_SHIFT;
    return true;
}

/* Gives a trial back; false if its time was over and somebody else has it. The lock is held. */
static bool return_trial(sx_breaker *b, const sx_breaker_pass *pass)
{
    uint32_t slot = pass->flags >> PASS_SLOT_SHIFT & (TRIALS_MOST - 1);
    breaker_trial *t = &b->trials[slot];
    if (t->due_ns == 0 || t->serial != pass->flags >> PASS_SERIAL_SHIFT)
        return false;
    t->due_ns = 0;
    store(&b->full_until_ns, 0);
    return true;
}

/* The end of a trial: ok false opens, enough true ones close. */
static SX_COLD void trial_done(sx_breaker *b, const sx_breaker_pass *pass, bool ok)
{
    int64_t now_ns = now_of(b);
    pthread_mutex_lock(&b->lock);
    uint64_t word = load_acquire(&b->word);
    if (word_generation(word) == pass->generation && return_trial(b, pass)) {
        if (!ok)
            breaker_become(b, pass->generation, SX_BREAKER_OPEN, false, now_ns);
        else if (word_count(word) + 1 >= b->options.successes_min)
            breaker_become(b, pass->generation, SX_BREAKER_CLOSED, false, now_ns);
        else
            __atomic_add_fetch(&b->word, 1, __ATOMIC_ACQ_REL);
    }
    pthread_mutex_unlock(&b->lock);
}

/* ---- asking ---- */

static void start_timing(const sx_breaker *b, sx_breaker_pass *pass)
{
    bool exact = load(&b->slow_ns) < SLOW_EXACT_NS;
    pass->start_ns = sx_clock_mono_ns(exact ? b->all->exact : b->all->clock);
    pass->flags |= PASS_TIMED | (exact ? PASS_EXACT : 0);
}

static bool refuse(sx_breaker *b)
{
    count(b, OUTCOME_REFUSED);
    return false;
}

static SX_COLD bool allow_trial(sx_breaker *b, int64_t now_ns, sx_breaker_pass *pass)
{
    bool taken = false;
    pthread_mutex_lock(&b->lock);
    uint64_t word = load_acquire(&b->word);
    if (word_state(word) == SX_BREAKER_OPEN && !(word & FORCED_BIT) &&
        now_ns >= load(&b->open_until_ns)) {
        breaker_become(b, word_generation(word), SX_BREAKER_HALF_OPEN, false, now_ns);
        word = load_acquire(&b->word);
    }
    pass->generation = word_generation(word);
    if (word_state(word) == SX_BREAKER_HALF_OPEN)
        taken = take_trial(b, now_ns, pass);
    else
        taken = word_state(word) == SX_BREAKER_CLOSED; /* since the caller looked */
    pthread_mutex_unlock(&b->lock);
    if (!taken)
        return refuse(b);
    start_timing(b, pass);
    return true;
}

static bool allow_not_closed(sx_breaker *b, uint64_t word, sx_breaker_pass *pass)
{
    if (word & FORCED_BIT)
        return refuse(b);
    int64_t now_ns = now_of(b);
    int64_t *until = word_state(word) == SX_BREAKER_OPEN ? &b->open_until_ns : &b->full_until_ns;
    if (now_ns < load(until))
        return refuse(b);
    return allow_trial(b, now_ns, pass);
}

bool sx_breaker_allow(sx_breaker *b, sx_breaker_pass *pass)
{
    uint64_t word = load_acquire(&b->word);
    pass->flags = 0;
    pass->start_ns = 0;
    if (sx_unlikely(word_state(word) != SX_BREAKER_CLOSED))
        return allow_not_closed(b, word, pass);
    pass->generation = word_generation(word);
    if (load(&b->slow_ns) > 0)
        start_timing(b, pass);
    return true;
}

/* ---- telling ---- */

static void forgive(sx_breaker *b, uint64_t word, uint32_t generation)
{
    while (word_generation(word) == generation && word_count(word) != 0)
        if (exchange_if(&b->word, &word, word & ~COUNT_MASK))
            return;
}

static SX_COLD void blame(sx_breaker *b, uint64_t word, uint32_t generation)
{
    uint32_t most = load(&b->failures_max);
    while (word_generation(word) == generation) {
        uint32_t failures = word_count(word) + 1;
        if (failures >= most) {
            change(b, generation, SX_BREAKER_OPEN, now_of(b));
            return;
        }
        if (exchange_if(&b->word, &word, word + 1))
            return;
    }
}

void sx_breaker_done(sx_breaker *b, const sx_breaker_pass *pass, bool ok)
{
    int64_t now_ns = 0, slow_ns = load(&b->slow_ns), slot_ns = load(&b->slot_ns);
    if (sx_unlikely(slow_ns > 0 && pass->flags & PASS_TIMED)) {
        const sx_clock *clock = pass->flags & PASS_EXACT ? b->all->exact : b->all->clock;
        now_ns = sx_clock_mono_ns(clock);
        ok = ok && now_ns - pass->start_ns <= slow_ns;
    }
    count(b, ok ? OUTCOME_SUCCESS : OUTCOME_FAILURE);
    uint64_t word = load_acquire(&b->word);
    if (sx_unlikely(word_generation(word) != pass->generation))
        return; /* about a time that is over */
    if (sx_unlikely(pass->flags & PASS_TRIAL)) {
        trial_done(b, pass, ok);
        return;
    }
    if (slot_ns > 0) {
        now_ns = now_ns ? now_ns : now_of(b);
        if (sx_unlikely(window_is_bad(b, now_ns, slot_ns, ok))) {
            change(b, pass->generation, SX_BREAKER_OPEN, now_ns);
            return;
        }
    }
    if (sx_unlikely(!ok))
        blame(b, word, pass->generation);
    else if (sx_unlikely(word_count(word) != 0))
        forgive(b, word, pass->generation);
}

void sx_breaker_cancel(sx_breaker *b, const sx_breaker_pass *pass)
{
    count(b, OUTCOME_CANCELED);
    if (!(pass->flags & PASS_TRIAL))
        return;
    pthread_mutex_lock(&b->lock);
    if (word_generation(load_acquire(&b->word)) == pass->generation)
        return_trial(b, pass);
    pthread_mutex_unlock(&b->lock);
}

const char *sx_breaker_state_name(sx_breaker_state state)
{
    static const char *const NAMES[SX_BREAKER_STATES] = {
        [SX_BREAKER_CLOSED] = "closed",
        [SX_BREAKER_OPEN] = "open",
        [SX_BREAKER_HALF_OPEN] = "half_open",
    };
    return (unsigned)state < SX_BREAKER_STATES ? NAMES[state] : "unknown";
}
