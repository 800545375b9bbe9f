/* sampling_adaptive.c - a probability for each operation, from how often it was sampled.
 *
 * Time is cut into intervals. Each operation has a ring of what was seen in them: how many root spans
 * were sampled by probability, and by which probabilities. At the end of an interval the newest that is
 * older than the delay is looked at: where the probability in force was among them, the clients follow,
 * and the next one is set by the ratio of the target to the rate seen; it may double at most, so that a
 * rarely sampled operation does not flood us, but fall at once.
 * Source: Jaeger 2, "Adaptive sampling"; the constants are its defaults. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/hash.h>
#include <sextant/mem.h>
#include <sextant/number.h>

#include "observe/collector/sampling_impl.h"

enum { RING = 32, PROBABILITIES_MAX = 10, NAME_BYTES_MAX = 1024 };

/* What was seen of an operation in one interval. */
typedef struct seen {
    uint64_t count;
    uint32_t probabilities[PROBABILITIES_MAX]; /* in millionths */
    uint8_t probability_count;
    bool any;
} seen;

typedef struct operation {
    sx_str service, name;   /* behind it, in one block */
    struct operation *next; /* of the service */
    double probability;
    bool calculated; /* it has been given one; else the initial one is in force */
    bool was_adaptive;
    double was_probability; /* at the calculation before; below 0: there was none */
    seen ring[RING];        /* by number of the interval */
} operation;

struct adaptive {
    sampling_options o;
    pthread_mutex_t lock;
    sx_map operations; /* by "service\0name" */
    sx_map services;   /* the first operation of each */
    uint64_t interval; /* the number of the one that is open */
    int64_t began_ms;
    int64_t lengths_ms[RING];
    uint32_t delay; /* in intervals */
};

static bool equal(double a, double b)
{
    return fabs(a - b) < 1e-10;
}

static uint32_t millionths(double probability)
{
    return probability >= 0 && probability <= 4000 ? (uint32_t)llround(probability * 1e6) : 0;
}

sx_status adaptive_new(const sampling_options *o, adaptive **out, sx_error *err)
{
    adaptive *a = sx_calloc(1, sizeof(*a));
    *out = NULL;
    if (!a)
        return sx_fail_memory(err, "adaptive sampling");
    a->o = *o;
    a->delay = (uint32_t)((o->delay_ms > 0 ? o->delay_ms : 0) / o->interval_ms);
    if (a->o.aggregation_buckets + a->delay + 2 > RING) {
        sx_free(a);
        return sx_fail(
            err, SX_EINVAL,
            "the delay and the intervals of adaptive sampling are %u together; at most %d",
            o->aggregation_buckets + (uint32_t)(o->delay_ms / o->interval_ms), RING - 2);
    }
    pthread_mutex_init(&a->lock, NULL);
    sx_map_init(&a->operations, NULL);
    sx_map_init(&a->services, NULL);
    a->began_ms = sx_clock_mono_ms(o->clock);
    *out = a;
    return SX_OK;
}

void adaptive_free(adaptive *a)
{
    size_t cursor = 0;
    sx_map_entry *e;
    if (!a)
        return;
    while ((e = sx_map_next(&a->operations, &cursor)))
        sx_free(e->ptr);
    sx_map_done(&a->operations);
    sx_map_done(&a->services);
    pthread_mutex_destroy(&a->lock);
    sx_free(a);
}

/* --- Root spans. */

static operation *make_operation(adaptive *a, sx_str service, sx_str name, sx_str key)
{
    if (sx_map_count(&a->operations) >= a->o.operations_max)
        return NULL;
    operation *op = sx_calloc(1, sizeof(*op) + key.len);
    if (!op)
        return NULL;
    char *text = (char *)(op + 1);
    memcpy(text, key.data, key.len);
    op->service = sx_str_of(text, service.len);
    op->name = sx_str_of(text + service.len + 1, name.len);
    op->was_probability = -1;
    sx_map_entry *of = sx_map_put(&a->services, op->service, NULL);
    sx_map_entry *e = of ? sx_map_put(&a->operations, sx_str_of(text, key.len), NULL) : NULL;
    if (!e) {
        if (of && !of->ptr)
            sx_map_remove(&a->services, op->service);
        sx_free(op);
        return NULL;
    }
    e->ptr = op;
    op->next = of->ptr;
    of->ptr = op;
    return op;
}

static operation *find_operation(adaptive *a, sx_str service, sx_str name)
{
    char space[2 * NAME_BYTES_MAX + 1];
    if (service.len > NAME_BYTES_MAX || name.len > NAME_BYTES_MAX)
        return NULL;
    memcpy(space, service.data, service.len);
    space[service.len] = '\0';
    memcpy(space + service.len + 1, name.data, name.len);
    sx_str key = sx_str_of(space, service.len + 1 + name.len);
    operation *op = sx_map_get(&a->operations, key);
    return op ? op : make_operation(a, service, name, key);
}

static bool number_of(const span_value *v, double *out)
{
    switch (v->type) {
    case SPAN_DOUBLE:
        *out = v->d;
        return true;
    case SPAN_INT:
        *out = (double)v->i;
        return true;
    case SPAN_STR:
        return sx_double_parse(span_value_str(v), out);
    default:
        return false;
    }
}

static void take_root(adaptive *a, const span *s)
{
    static const sx_str TYPES[] = {SX_STR_INIT("probabilistic"), SX_STR_INIT("lowerbound"),
                                   SX_STR_INIT("ratelimiting"), SX_STR_INIT("const")};
    const span_value *type = span_attrs_find(s->attrs, SX_STR("sampler.type")),
                     *param = span_attrs_find(s->attrs, SX_STR("sampler.param"));
    double probability;
    size_t kind = 0;
    if (!type || !param || !number_of(param, &probability))
        return;
    while (kind < SX_COUNT_OF(TYPES) && !sx_str_eq(TYPES[kind], span_value_str(type)))
        kind++;
    if (kind == SX_COUNT_OF(TYPES))
        return;
    operation *op = find_operation(a, s->resource->service, s->name);
    if (!op)
        return;
    seen *now = &op->ring[a->interval % RING];
    uint32_t value = millionths(probability), i = 0;
    now->any = true;
    now->count += kind == 0; /* of others it is only known that the operation is there */
    while (i < now->probability_count && now->probabilities[i] != value)
        i++;
    if (i == now->probability_count && i < PROBABILITIES_MAX)
        now->probabilities[now->probability_count++] = value;
}

void adaptive_take(adaptive *a, const span_batch *b)
{
    static const uint8_t NO_PARENT[8] = {0};
    bool locked = false;
    for (size_t i = 0; i < b->count; i++) {
        const span *s = b->spans[i];
        if (memcmp(s->parent, NO_PARENT, sizeof(NO_PARENT)) != 0 || !s->resource->service.len ||
            !s->name.len)
            continue;
        if (!locked)
            pthread_mutex_lock(&a->lock);
        locked = true;
        take_root(a, s);
    }
    if (locked)
        pthread_mutex_unlock(&a->lock);
}

/* --- The end of an interval. By the lock. */

/* Of the newest intervals in which it was seen, the newer the more: weights are fourth powers. */
static double weighted_rate(const adaptive *a, const operation *op, uint64_t newest)
{
    double rates[RING], sum = 0, weights = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->o.aggregation_buckets && count < a->o.calculation_buckets; i++) {
        if (i > newest)
            break;
        const seen *one = &op->ring[(newest - i) % RING];
        int64_t ms = a->lengths_ms[(newest - i) % RING];
        if (one->any && ms > 0)
            rates[count++] = (double)one->count * 1000 / (double)ms;
    }
    for (uint32_t i = 0; i < count; i++) {
        double weight = pow(count - i, 4);
        sum += rates[i] * weight;
        weights += weight;
    }
    return count ? sum / weights : 0;
}

static bool seen_lately(const adaptive *a, const operation *op, uint64_t newest)
{
    for (uint32_t i = 0; i < a->o.aggregation_buckets && i <= newest; i++)
        if (op->ring[(newest - i) % RING].any)
            return true;
    return false;
}

/* Whether clients sample by the probability in force. */
static bool is_followed(const adaptive *a, const operation *op, double probability, uint64_t newest)
{
    const seen *now = &op->ring[newest % RING];
    if (equal(probability, a->o.initial_probability))
        return true; /* a new one is taken to be */
    if (now->any) {
        for (uint32_t i = 0; i < now->probability_count; i++)
            if (now->probabilities[i] == millionths(probability))
                return true;
        return false;
    }
    return op->was_probability >= 0 && op->was_adaptive &&
           !equal(op->was_probability, a->o.initial_probability);
}

static void calculate(const adaptive *a, operation *op, uint64_t newest)
{
    double old = op->calculated ? op->probability : a->o.initial_probability;
    double rate = weighted_rate(a, op, newest), target = a->o.target_per_second, next = old;
    bool followed = is_followed(a, op, old, newest);
    op->was_adaptive = followed;
    op->was_probability = old;
    op->calculated = true;
    op->probability = old;
    if (!followed || fabs(rate - target) / target < a->o.delta_tolerance)
        return;
    if (equal(rate, 0)) {
        next = old * 2; /* until one is sampled at last */
    } else {
        next = old * target / rate;
        if (next > old * 2)
            next = old * 2;
    }
    op->probability = fmin(1, fmax(a->o.min_probability, next));
}

/* Operations of which nothing was seen in all intervals that count, nor since. */
static void forget(adaptive *a)
{
    size_t cursor = 0;
    sx_map_entry *e;
    while ((e = sx_map_next(&a->operations, &cursor))) {
        operation *op = e->ptr;
        bool any = false;
        for (uint32_t i = 0; i < RING; i++)
            any |= op->ring[i].any;
        if (any)
            continue;
        sx_map_entry *of = sx_map_find(&a->services, op->service);
        operation **link = (operation **)&of->ptr;
        while (*link != op)
            link = &(*link)->next;
        *link = op->next;
        if (of->ptr)
            of->key = ((operation *)of->ptr)->service; /* the same bytes, of one that stays */
        else
            sx_map_remove(&a->services, op->service);
        sx_map_remove(&a->operations, e->key);
        sx_free(op);
    }
}

static void end_interval(adaptive *a, int64_t mono_ms)
{
    size_t cursor = 0;
    sx_map_entry *e;
    a->lengths_ms[a->interval % RING] = mono_ms - a->began_ms;
    a->began_ms = mono_ms;
    uint64_t closed = a->interval++;
    while ((e = sx_map_next(&a->operations, &cursor))) {
        operation *op = e->ptr;
        if (closed >= a->delay && seen_lately(a, op, closed - a->delay))
            calculate(a, op, closed - a->delay);
        else
            op->calculated = false;
        /* The oldest leaves the window; the next one begins empty. */
        uint64_t keep = (uint64_t)a->o.aggregation_buckets + a->delay + 1;
        if (a->interval >= keep)
            op->ring[(a->interval - keep) % RING] = (seen){0};
        op->ring[a->interval % RING] = (seen){0};
    }
    forget(a);
}

void adaptive_tick(adaptive *a, int64_t mono_ms)
{
    pthread_mutex_lock(&a->lock);
    if (mono_ms - a->began_ms >= a->o.interval_ms)
        end_interval(a, mono_ms);
    pthread_mutex_unlock(&a->lock);
}

/* --- Answers. */

static int by_name(const void *left, const void *right)
{
    return sx_str_cmp(((const sampling_operation *)left)->name,
                      ((const sampling_operation *)right)->name);
}

bool adaptive_find(adaptive *a, sx_str service, sx_arena *arena, sampling_strategy *out)
{
    size_t count = 0;
    sampling_operation *all = NULL;
    bool ok = true;
    *out = (sampling_strategy){.by_operation = true,
                               .default_rate = a->o.initial_probability,
                               .lower_bound = a->o.min_per_second};
    pthread_mutex_lock(&a->lock);
    operation *first = sx_map_get(&a->services, service);
    for (operation *op = first; op; op = op->next)
        count += op->calculated;
    if (count)
        all = sx_arena_calloc(arena, count, sizeof(*all));
    ok = !count || all;
    count = 0;
    for (operation *op = first; op && ok; op = op->next) {
        if (!op->calculated)
            continue;
        all[count].name = sx_arena_copy(arena, op->name);
        all[count].rate = op->probability;
        ok = all[count++].name.data != NULL;
    }
    pthread_mutex_unlock(&a->lock);
    if (ok && count)
        qsort(all, count, sizeof(*all), by_name);
    out->operations = all;
    out->operation_count = count;
    return ok;
}
