/* timer.c - the timing wheel.
 *
 * A due time is read as 11 digits of 6 bits. A timer hangs on the level of the highest digit in
 * which its due time differs from wheel_ms, in the slot that this digit names:
 *
 *   wheel_ms        ... 0 0 5 12      (digits, base 64)
 *   due             ... 0 0 7  3      differs first in the second digit: level 1, slot 7
 *
 * So all timers of a level lie within the block that wheel_ms is in, every slot at or below the
 * current digit is empty (on level 0: below), and everything on a lower level is due before
 * anything on a higher one: the next slot is found by counting trailing zeros of one word. When the
 * wheel reaches the start of a slot on a higher level, its timers are hung again, lower down; each
 * timer moves at most ten times, usually once or twice. */
#include <sextant/timer.h>

enum {
    DIGIT_BITS = 6,
    DIGIT_MASK = 63,
    PLACE_DUE = 0xffff,  /* on t->due, called by the run on the stack */
    EXACT_SCAN_MAX = 16, /* timers that sx_timers_next_ms looks at */
};

/* Half of an int64_t, so that now + delay cannot overflow: longer than any machine runs. */
static const int64_t DELAY_MS_MAX = INT64_MAX / 2;

static unsigned level_of(int64_t wheel_ms, int64_t due_ms)
{
    uint64_t differ = ((uint64_t)wheel_ms ^ (uint64_t)due_ms) | DIGIT_MASK;
    return (unsigned)(63 - __builtin_clzll(differ)) / DIGIT_BITS;
}

static unsigned digit_of(int64_t ms, unsigned level)
{
    return (unsigned)((uint64_t)ms >> (level * DIGIT_BITS)) & DIGIT_MASK;
}

/* Where slot `slot` of `level` begins, in the block that wheel_ms is in. */
static int64_t slot_start(int64_t wheel_ms, unsigned level, unsigned slot)
{
    unsigned shift = level * DIGIT_BITS;
    uint64_t above = shift + DIGIT_BITS >= 64 ? 0 : ~(uint64_t)0 << (shift + DIGIT_BITS);
    return (int64_t)(((uint64_t)wheel_ms & above) | (uint64_t)slot << shift);
}

void sx_timers_init(sx_timers *t, const sx_clock *clock)
{
    t->clock = clock;
    t->now_ms = sx_clock_mono_ms(clock);
    t->wheel_ms = t->now_ms;
    t->count = 0;
    t->is_running = false;
    sx_list_init(&t->due);
    for (unsigned level = 0; level < SX_TIMER_LEVELS; level++) {
        t->occupied[level] = 0;
        for (unsigned slot = 0; slot < SX_TIMER_SLOTS; slot++)
            sx_list_init(&t->slots[level][slot]);
    }
}

static void hang(sx_timers *t, sx_timer *timer)
{
    unsigned level = level_of(t->wheel_ms, timer->due_ms);
    unsigned slot = digit_of(timer->due_ms, level);
    sx_list_push_back(&t->slots[level][slot], &timer->link);
    t->occupied[level] |= (uint64_t)1 << slot;
    timer->place = (uint16_t)(level * SX_TIMER_SLOTS + slot + 1);
}

static void unhang(sx_timers *t, sx_timer *timer)
{
    sx_list_remove(&timer->link);
    if (timer->place != PLACE_DUE) {
        unsigned level = (timer->place - 1u) / SX_TIMER_SLOTS;
        unsigned slot = (timer->place - 1u) % SX_TIMER_SLOTS;
        if (sx_list_empty(&t->slots[level][slot]))
            t->occupied[level] &= ~((uint64_t)1 << slot);
    }
    timer->place = 0;
}

/* HOT: each request restarts one or two. */
void sx_timer_start(sx_timers *t, sx_timer *timer, int64_t delay_ms)
{
    sx_assert(timer->fn != NULL);
    if (timer->place)
        unhang(t, timer);
    else
        t->count++;
    if (delay_ms < 0)
        delay_ms = 0;
    if (delay_ms > DELAY_MS_MAX)
        delay_ms = DELAY_MS_MAX;
    timer->due_ms = t->now_ms + delay_ms;
    hang(t, timer);
    SX_DEBUG_CHECK(sx_timers_check(t));
}

void sx_timer_stop(sx_timers *t, sx_timer *timer)
{
    if (!timer->place)
        return;
    unhang(t, timer);
    t->count--;
    SX_DEBUG_CHECK(sx_timers_check(t));
}

void sx_timers_update(sx_timers *t)
{
    int64_t now_ms = sx_clock_mono_ms(t->clock);
    if (now_ms > t->now_ms)
        t->now_ms = now_ms;
}

/* The first slot that holds anything. Only called while something hangs on the wheel. */
static unsigned first_slot(const sx_timers *t, unsigned *level)
{
    unsigned at = 0;
    while (!t->occupied[at]) {
        at++;
        sx_assert(at < SX_TIMER_LEVELS);
    }
    *level = at;
    return (unsigned)__builtin_ctzll(t->occupied[at]);
}

static bool wheel_empty(const sx_timers *t)
{
    uint64_t any = 0;
    for (unsigned level = 0; level < SX_TIMER_LEVELS; level++)
        any |= t->occupied[level];
    return any == 0;
}

/* Takes everything due by until_ms off the wheel onto t->due, in order of time. */
static void turn(sx_timers *t, int64_t until_ms)
{
    while (!wheel_empty(t)) {
        unsigned level, slot = first_slot(t, &level);
        int64_t start_ms = slot_start(t->wheel_ms, level, slot);
        if (start_ms > until_ms)
            break;
        t->wheel_ms = start_ms;
        sx_list taken;
        sx_list_init(&taken);
        sx_list_splice_back(&taken, &t->slots[level][slot]);
        t->occupied[level] &= ~((uint64_t)1 << slot);
        for (sx_list *it; (it = sx_list_pop_front(&taken)) != NULL;) {
            sx_timer *timer = SX_CONTAINER_OF(it, sx_timer, link);
            if (level > 0) {
                hang(t, timer);
            } else {
                sx_list_push_back(&t->due, it);
                timer->place = PLACE_DUE;
            }
        }
    }
    t->wheel_ms = until_ms;
}

size_t sx_timers_run(sx_timers *t)
{
    sx_timers_update(t);
    return sx_timers_run_until(t, t->now_ms);
}

size_t sx_timers_run_until(sx_timers *t, int64_t until_ms)
{
    sx_assert(!t->is_running);
    sx_timers_update(t);
    if (until_ms > t->now_ms)
        until_ms = t->now_ms;
    if (until_ms < t->wheel_ms) /* a run went further: nothing that was due is left */
        return 0;
    if (t->count == 0) {
        t->wheel_ms = until_ms;
        return 0;
    }
    t->is_running = true;
    turn(t, until_ms);
    size_t called = 0;
    /* What a callback starts hangs on the wheel again and waits for the next run, so a timer that
     * restarts itself with no delay cannot hold the loop. */
    for (sx_list *it; (it = sx_list_pop_front(&t->due)) != NULL; called++) {
        sx_timer *timer = SX_CONTAINER_OF(it, sx_timer, link);
        timer->place = 0;
        t->count--;
        timer->fn(timer, timer->arg);
    }
    t->is_running = false;
    SX_DEBUG_CHECK(sx_timers_check(t));
    return called;
}

/* The earliest due time in a slot if that is quickly found, else the start of the slot. */
static int64_t earliest_in(const sx_timers *t, unsigned level, unsigned slot)
{
    int64_t least = INT64_MAX;
    int seen = 0;
    const sx_list *head = &t->slots[level][slot];
    for (const sx_list *it = head->next; it != head; it = it->next) {
        if (++seen > EXACT_SCAN_MAX)
            return slot_start(t->wheel_ms, level, slot);
        const sx_timer *timer = SX_CONTAINER_OF(it, const sx_timer, link);
        if (timer->due_ms < least)
            least = timer->due_ms;
    }
    return least;
}

int64_t sx_timers_next_ms(const sx_timers *t)
{
    if (t->count == 0)
        return -1;
    if (!sx_list_empty(&t->due)) /* asked from a callback, others are still to be called */
        return 0;
    unsigned level, slot = first_slot(t, &level);
    int64_t due_ms =
        level == 0 ? slot_start(t->wheel_ms, level, slot) : earliest_in(t, level, slot);
    int64_t wait_ms = due_ms - sx_clock_mono_ms(t->clock);
    return wait_ms > 0 ? wait_ms : 0;
}

bool sx_timers_check(const sx_timers *t)
{
    size_t found = sx_list_count(&t->due);
    sx_assert(t->wheel_ms <= t->now_ms);
    for (unsigned level = 0; level < SX_TIMER_LEVELS; level++) {
        for (unsigned slot = 0; slot < SX_TIMER_SLOTS; slot++) {
            const sx_list *head = &t->slots[level][slot];
            sx_assert(sx_list_empty(head) == !(t->occupied[level] >> slot & 1));
            for (const sx_list *it = head->next; it != head; it = it->next) {
                const sx_timer *timer = SX_CONTAINER_OF(it, const sx_timer, link);
                sx_assert(timer->due_ms >= t->wheel_ms);
                sx_assert(level_of(t->wheel_ms, timer->due_ms) == level);
                sx_assert(digit_of(timer->due_ms, level) == slot);
                sx_assert(timer->place == level * SX_TIMER_SLOTS + slot + 1);
                found++;
            }
        }
    }
    sx_assert(found == t->count);
    return true;
}
