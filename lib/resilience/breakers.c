/* breakers.c - all breakers of a process by name: made, listed, set and overruled.
 *
 * None of this is on a call's path: clients look their breaker up once. Breakers are never removed,
 * so a pointer to one stays good as long as the registry. */
#include "resilience/breaker_state.h"

#include <math.h>
#include <stdio.h>

enum { MS = 1000000 };

/* ---- settings ---- */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

static sx_breaker_options with_defaults(const sx_breaker_options *o)
{
    static const sx_breaker_options NONE = {0};
    if (!o)
        o = &NONE;
    sx_breaker_options out = {
        .failures_max = or_default(o->failures_max, 5),
        .failure_rate = isfinite(o->failure_rate) && o->failure_rate > 0 ? o->failure_rate : 0,
        .window_ms = or_default(o->window_ms, 10000),
        .calls_min = or_default(o->calls_min, 20),
        .open_ms = or_default(o->open_ms, 60000),
        .successes_min = or_default(o->successes_min, 2),
        .trials_max = or_default(o->trials_max, 1),
        .slow_ms = o->slow_ms,
    };
    if (out.failures_max > COUNT_MASK)
        out.failures_max = (uint32_t)COUNT_MASK;
    if (out.successes_min > COUNT_MASK)
        out.successes_min = (uint32_t)COUNT_MASK;
    if (out.trials_max > TRIALS_MOST)
        out.trials_max = TRIALS_MOST;
    if (out.failure_rate > 1)
        out.failure_rate = 1;
    return out;
}

/* Puts settings in force. Calls under way read old and new ones mixed: each of them is right. */
static void set_options(sx_breaker *b, const sx_breaker_options *options)
{
    sx_breaker_options o = with_defaults(options);
    pthread_mutex_lock(&b->lock);
    if (o.window_ms != b->options.window_ms)
        breaker_window_clear(b);
    b->options = o;
    store(&b->failures_max, o.failures_max);
    store(&b->calls_min, o.calls_min);
    store_double(&b->failure_rate, o.failure_rate);
    store(&b->slow_ns, (int64_t)o.slow_ms * MS);
    int64_t slot_ns = (int64_t)o.window_ms * MS / WINDOW_SLOTS;
    store(&b->slot_ns, o.failure_rate > 0 ? slot_ns : 0);
    store(&b->full_until_ns, 0); /* there may be more trials now */
    pthread_mutex_unlock(&b->lock);
}

/* ---- the registry ---- */

static sx_status make_metrics(sx_breakers *all, sx_metrics *metrics, sx_error *err)
{
    static const char *const NAME[] = {"name"}, *const NAME_TO[] = {"name", "to"},
                             *const NAME_OUTCOME[] = {"name", "outcome"};
    uint32_t names = all->breakers_max + 1;
    const sx_metric_options state = {
        .kind = SX_METRIC_GAUGE,
        .name = "circuit_breaker_state",
        .help = "State of the breaker: 0 closed, 1 open, 2 half-open.",
        .labels = NAME,
        .label_count = 1,
        .series_max = names,
    };
    const sx_metric_options calls = {
        .kind = SX_METRIC_COUNTER,
        .name = "circuit_breaker_calls_total",
        .help = "Calls by how they ended: success, failure, refused (not let through) or canceled.",
        .labels = NAME_OUTCOME,
        .label_count = 2,
        .series_max = names * OUTCOMES,
    };
    const sx_metric_options transitions = {
        .kind = SX_METRIC_COUNTER,
        .name = "circuit_breaker_transitions_total",
        .help = "Changes of state, by the state it became.",
        .labels = NAME_TO,
        .label_count = 2,
        .series_max = names * SX_BREAKER_STATES,
    };
    sx_status status = sx_metric_new(metrics, &state, &all->state, err);
    if (status == SX_OK)
        status = sx_metric_new(metrics, &calls, &all->calls, err);
    if (status == SX_OK)
        status = sx_metric_new(metrics, &transitions, &all->transitions, err);
    return status;
}

static void resolve_metrics(sx_breaker *b)
{
    static const sx_str OUTCOME_NAMES[OUTCOMES] = {
        [OUTCOME_SUCCESS] = SX_STR_INIT("success"),
        [OUTCOME_FAILURE] = SX_STR_INIT("failure"),
        [OUTCOME_REFUSED] = SX_STR_INIT("refused"),
        [OUTCOME_CANCELED] = SX_STR_INIT("canceled"),
    };
    if (!b->all->state)
        return;
    b->state_gauge = sx_metric_gauge(b->all->state, &b->name, 1);
    for (size_t i = 0; i < OUTCOMES; i++)
        b->outcome[i] =
            sx_metric_counter(b->all->calls, (const sx_str[]){b->name, OUTCOME_NAMES[i]}, 2);
    for (size_t i = 0; i < SX_BREAKER_STATES; i++) {
        sx_str to = sx_str_z(sx_breaker_state_name((sx_breaker_state)i));
        b->transitions[i] =
            sx_metric_counter(b->all->transitions, (const sx_str[]){b->name, to}, 2);
    }
}

/* Index of `name` in the list, or of the first behind it. The lock is held. */
static size_t place_of(const sx_breakers *all, sx_str name, bool *found)
{
    size_t low = 0, high = all->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = sx_str_cmp(all->list[middle]->name, name);
        if (order == 0)
            *found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A new breaker at its place in the list; NULL without memory. The lock is held. */
static sx_breaker *add_breaker(sx_breakers *all, sx_str name, const sx_breaker_options *options,
                               size_t place)
{
    void *block;
    if (!sx_grow(&all->list, &all->cap, all->count + 1, sizeof(*all->list)))
        return NULL;
    sx_breaker *b = line_alloc(sizeof(*b) + name.len, &block);
    if (!b)
        return NULL;
    b->block = block;
    b->all = all;
    if (name.len > 0)
        memcpy(b + 1, name.data, name.len);
    b->name = sx_str_of(b + 1, name.len);
    pthread_mutex_init(&b->lock, NULL);
    b->since_wall_ms = sx_clock_ms(all->clock);
    set_options(b, options);
    memmove(all->list + place + 1, all->list + place, (all->count - place) * sizeof(sx_breaker *));
    all->list[place] = b;
    all->count++;
    return b;
}

sx_status sx_breakers_new(const sx_breakers_options *options, sx_breakers **out, sx_error *err)
{
    static const sx_breakers_options NONE = {0};
    const sx_breakers_options *o = options ? options : &NONE;
    sx_breakers *all = sx_calloc(1, sizeof(*all));
    if (!all)
        return sx_fail_memory(err, "the circuit breakers");
    pthread_mutex_init(&all->lock, NULL);
    all->exact = o->clock ? o->clock : sx_clock_system();
    all->clock = sx_clock_coarse(all->exact);
    all->logger = o->log ? sx_log_logger(o->log, "breaker") : NULL;
    all->breakers_max = or_default(o->breakers_max, 10000);
    sx_status status = o->metrics ? make_metrics(all, o->metrics, err) : SX_OK;
    if (status == SX_OK) {
        all->other = add_breaker(all, SX_STR("other"), NULL, 0);
        if (!all->other)
            status = sx_fail_memory(err, "the circuit breakers");
    }
    if (status != SX_OK) {
        sx_breakers_free(all);
        return status;
    }
    *out = all;
    return SX_OK;
}

void sx_breakers_free(sx_breakers *all)
{
    if (!all)
        return;
    for (size_t i = 0; i < all->count; i++) {
        pthread_mutex_destroy(&all->list[i]->lock);
        sx_free(all->list[i]->block);
    }
    pthread_mutex_destroy(&all->lock);
    sx_free(all->list);
    sx_free(all);
}

sx_breaker *sx_breakers_get(sx_breakers *all, sx_str name, const sx_breaker_options *options)
{
    bool found;
    pthread_mutex_lock(&all->lock);
    size_t place = place_of(all, name, &found);
    sx_breaker *b = found ? all->list[place] : NULL;
    bool is_new = !b && all->count <= all->breakers_max; /* "other" is one more */
    if (is_new)
        b = add_breaker(all, name, options, place);
    if (!b) {
        b = all->other; /* shared: not set by any one of its users */
        options = NULL;
    }
    if (!is_new && options)
        set_options(b, options);
    if (!b->is_used) {
        b->is_used = true;
        resolve_metrics(b);
    }
    pthread_mutex_unlock(&all->lock);
    return b;
}

/* ---- looking ---- */

void sx_breaker_info_of(const sx_breaker *b, sx_breaker_info *out)
{
    sx_breaker *mine = (sx_breaker *)b; /* its lock is taken, nothing else is changed */
    int64_t now_ns = sx_clock_mono_ns(b->all->clock);
    pthread_mutex_lock(&mine->lock);
    uint64_t word = load_acquire(&b->word);
    *out = (sx_breaker_info){
        .name = b->name,
        .state = word_state(word),
        .since_wall_ms = b->since_wall_ms,
        .options = b->options,
    };
    if (out->state == SX_BREAKER_CLOSED)
        out->consecutive_failures = word_count(word);
    else
        out->successes = word_count(word);
    for (size_t i = 0; i < TRIALS_MOST; i++)
        out->trials += b->trials[i].due_ns > now_ns;
    int64_t wait_ns = b->open_until_ns - now_ns;
    if (out->state == SX_BREAKER_OPEN && wait_ns > 0)
        out->retry_in_ms = (wait_ns + MS - 1) / MS;
    breaker_window_sum(b, now_ns, &out->window_calls, &out->window_failures);
    pthread_mutex_unlock(&mine->lock);
}

void sx_breakers_each(sx_breakers *all, void (*fn)(void *ctx, const sx_breaker_info *info),
                      void *ctx)
{
    /* By name, and without the lock while `fn` runs: it may call back, and others may be added. */
    sx_breaker *last = NULL;
    for (;;) {
        bool found = false;
        pthread_mutex_lock(&all->lock);
        size_t place = last ? place_of(all, last->name, &found) + 1 : 0;
        if (place < all->count && !all->list[place]->is_used)
            place++; /* the one that none is behind yet */
        sx_breaker *b = place < all->count ? all->list[place] : NULL;
        pthread_mutex_unlock(&all->lock);
        if (!b)
            return;
        sx_breaker_info info;
        sx_breaker_info_of(b, &info);
        fn(ctx, &info);
        last = b;
    }
}

/* ---- overruling ---- */

static sx_status unknown_name(sx_breakers *all, sx_str name, sx_error *err)
{
    char names[200];
    size_t used = 0;
    pthread_mutex_lock(&all->lock);
    for (size_t i = 0; i < all->count && used < sizeof(names); i++) {
        sx_str one = all->list[i]->name;
        if (!all->list[i]->is_used)
            continue;
        int n = snprintf(names + used, sizeof(names) - used, "%s%.*s", used > 0 ? ", " : "",
                         SX_ARG(one));
        used += n > 0 ? (size_t)n : 0;
    }
    pthread_mutex_unlock(&all->lock);
    if (used == 0)
        return sx_fail(err, SX_ENOTFOUND, "no circuit breaker is named '%.*s'; there are none yet",
                       SX_ARG(name));
    return sx_fail(err, SX_ENOTFOUND, "no circuit breaker is named '%.*s'; there are: %s%s",
                   SX_ARG(name), names, used >= sizeof(names) ? "..." : "");
}

static sx_breaker *find(sx_breakers *all, sx_str name)
{
    bool found;
    pthread_mutex_lock(&all->lock);
    size_t place = place_of(all, name, &found);
    sx_breaker *b = found && all->list[place]->is_used ? all->list[place] : NULL;
    pthread_mutex_unlock(&all->lock);
    return b;
}

sx_status sx_breakers_reset(sx_breakers *all, sx_str name, sx_error *err)
{
    sx_breaker *b = find(all, name);
    if (!b)
        return unknown_name(all, name, err);
    pthread_mutex_lock(&b->lock);
    uint64_t word = load_acquire(&b->word);
    breaker_become(b, word_generation(word), SX_BREAKER_CLOSED, true, sx_clock_mono_ns(all->clock));
    pthread_mutex_unlock(&b->lock);
    return SX_OK;
}

sx_status sx_breakers_force_open(sx_breakers *all, sx_str name, bool open, sx_error *err)
{
    sx_breaker *b = find(all, name);
    if (!b)
        return unknown_name(all, name, err);
    int64_t now_ns = sx_clock_mono_ns(all->clock);
    pthread_mutex_lock(&b->lock);
    uint64_t word = load_acquire(&b->word);
    bool is_forced = (word & FORCED_BIT) != 0;
    if (open && !is_forced)
        breaker_become(b, word_generation(word), SX_BREAKER_OPEN, true, now_ns);
    else if (!open && is_forced)
        breaker_become(b, word_generation(word), SX_BREAKER_HALF_OPEN, true, now_ns);
    pthread_mutex_unlock(&b->lock);
    return SX_OK;
}
