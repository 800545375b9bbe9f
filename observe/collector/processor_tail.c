/* processor_tail.c - tail_sampling: a trace is kept or not once all of it should have come.
 *
 * Spans of a trace are held by reference from its first one on; decision_wait later its policies decide.
 * Kept ones go on in one batch, spans that come late follow the decision while it is remembered: for the
 * num_traces newest traces, and beyond them for as many as decision_cache says.
 * Source: opentelemetry-collector-contrib, processor/tailsamplingprocessor/README.md. */
#include <sextant/map.h>
#include <sextant/mem.h>

#include "observe/collector/processor.h"
#include "observe/collector/tail.h"

typedef struct tail_settings {
    int64_t wait_ms;
    uint32_t traces_max;
    uint32_t cache_max[2]; /* not sampled, sampled */
    bool first_match;      /* sample_on_first_match: decided as soon as a policy matches */
    bool drop_at_end;      /* drop_pending_traces_on_shutdown */
    const tail_policy *policies;
    uint32_t policy_count, states;
} tail_settings;

typedef struct trace {
    uint8_t id[16];
    int64_t due_ms;
    span_batch *spans; /* NULL once decided */
    bool sampled;
    struct trace *next; /* of its queue */
} trace;

typedef struct queue {
    trace *first, *last;
    uint64_t count;
} queue;

typedef struct tail_state {
    sx_map traces; /* by id */
    queue all, cached[2];
    trace *undecided; /* the oldest of `all` that may be; NULL: none */
    tail_rate *rates;
    sx_counter *sampled, *not_sampled, *early, *late;
} tail_state;

#define S(member) offsetof(tail_settings, member)

/* --- Settings. */

static void set_defaults(void *target)
{
    *(tail_settings *)target = (tail_settings){.wait_ms = 30 * 1000, .traces_max = 50000};
}

static sx_status check(bind *b, const sx_yaml_node *map, void *target)
{
    const tail_settings *s = target;
    if (s->policy_count == 0)
        return bind_fault(b, map, "requires at least one of policies");
    if (s->wait_ms == 0 || s->traces_max == 0)
        return bind_fault(b, map, "decision_wait and num_traces must be greater than zero");
    return SX_OK;
}

static sx_status read_policies(bind *b, const sx_yaml_node *value, void *target,
                               const bind_field *f)
{
    tail_settings *s = target;
    (void)f;
    return tail_read_policies(b, value, &s->policies, &s->policy_count, &s->states);
}

static const bind_field CACHE_FIELDS[] = {
    {.key = "sampled_cache_size", .kind = BIND_U32, .at = S(cache_max[1])},
    {.key = "non_sampled_cache_size", .kind = BIND_U32, .at = S(cache_max[0])},
    {0}};
static const bind_table CACHE = {.fields = CACHE_FIELDS};
static const bind_field FIELDS[] = {
    {.key = "decision_wait", .kind = BIND_CUSTOM, .read = settings_ms, .at = S(wait_ms)},
    {.key = "num_traces", .kind = BIND_U32, .at = S(traces_max)},
    {.key = "expected_new_traces_per_sec", .kind = BIND_NOTHING},
    {.key = "decision_cache", .kind = BIND_STRUCT, .table = &CACHE},
    {.key = "sample_on_first_match", .kind = BIND_BOOL, .at = S(first_match)},
    {.key = "drop_pending_traces_on_shutdown", .kind = BIND_BOOL, .at = S(drop_at_end)},
    {.key = "policies", .kind = BIND_CUSTOM, .read = read_policies},
    {.key = "block_on_overflow", .kind = BIND_REFUSED, .note = "give num_traces room"},
    {0}};
static const bind_table SETTINGS = {
    .fields = FIELDS, .size = sizeof(tail_settings), .defaults = set_defaults, .check = check};

/* --- Queues of traces, oldest first. */

static void push(queue *q, trace *t)
{
    t->next = NULL;
    if (q->last)
        q->last->next = t;
    else
        q->first = t;
    q->last = t;
    q->count++;
}

static trace *pop(queue *q)
{
    trace *t = q->first;
    q->first = t->next;
    if (!q->first)
        q->last = NULL;
    q->count--;
    return t;
}

static void forget(tail_state *s, trace *t)
{
    sx_map_remove(&s->traces, sx_str_of(t->id, 16));
    span_batch_unref(t->spans);
    sx_free(t);
}

/* The oldest trace makes room; a decision may be remembered longer. */
static void evict(processor *p)
{
    const tail_settings *c = p->settings;
    tail_state *s = p->state;
    trace *t = s->all.first;
    if (s->undecided == t)
        s->undecided = t->next;
    pop(&s->all);
    if (t->spans)
        processor_count(s->early, 1);
    if (t->spans || c->cache_max[t->sampled] == 0) {
        forget(s, t);
        return;
    }
    queue *cached = &s->cached[t->sampled];
    push(cached, t);
    if (cached->count > c->cache_max[t->sampled])
        forget(s, pop(cached));
}

/* --- Decisions. */

/* What all policies say together: a drop counts first, then what was inverted and found. */
static bool is_sampled(processor *p, const span_batch *spans, sx_arena *arena)
{
    const tail_settings *c = p->settings;
    tail_state *s = p->state;
    bool seen[TAIL_INVERT_YES + 1] = {0};
    int64_t second = sx_clock_ns(p->host->clock) / 1000000000;
    for (uint32_t i = 0; i < c->policy_count; i++) {
        tail_verdict v = tail_judge(&c->policies[i], spans, second, s->rates, arena);
        seen[v] = true;
        if (v == TAIL_DROPPED || (c->first_match && v == TAIL_YES))
            break;
    }
    if (seen[TAIL_DROPPED] || seen[TAIL_INVERT_NO])
        return false;
    return seen[TAIL_YES] || (seen[TAIL_INVERT_YES] && !seen[TAIL_NO]);
}

static void decide(processor *p, trace *t)
{
    tail_state *s = p->state;
    span_batch *spans = t->spans;
    t->sampled = is_sampled(p, spans, &spans->arena);
    t->spans = NULL;
    processor_count(t->sampled ? s->sampled : s->not_sampled, 1);
    if (t->sampled)
        processor_emit(p, spans);
    span_batch_unref(spans);
}

static sx_status create(processor *p, sx_error *err)
{
    const tail_settings *c = p->settings;
    tail_state *s = p->state;
    sx_map_init(&s->traces, NULL);
    s->rates = sx_calloc(c->states + 1, sizeof(*s->rates));
    s->sampled = processor_counter(p, "otelcol_processor_tail_sampling_traces_sampled",
                                   "Traces that were kept.");
    s->not_sampled = processor_counter(p, "otelcol_processor_tail_sampling_traces_not_sampled",
                                       "Traces that were left out.");
    s->early =
        processor_counter(p, "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early",
                          "Traces that had to make room before they were decided.");
    s->late = processor_counter(p, "otelcol_processor_tail_sampling_late_spans",
                                "Spans that came after the decision.");
    return s->rates ? SX_OK : sx_fail_memory(err, "policies");
}

/* The trace of a span, made if there is none. */
static trace *trace_of(processor *p, const span *of)
{
    const tail_settings *c = p->settings;
    tail_state *s = p->state;
    trace *t = sx_map_get(&s->traces, sx_str_of(of->trace_id, 16));
    if (t)
        return t;
    while (s->all.count >= c->traces_max)
        evict(p);
    t = sx_calloc(1, sizeof(*t));
    if (t)
        t->spans = span_batch_new(0);
    if (t && t->spans) {
        memcpy(t->id, of->trace_id, 16);
        sx_map_entry *e = sx_map_put(&s->traces, sx_str_of(t->id, 16), NULL);
        if (e) {
            e->ptr = t;
            t->due_ms = sx_clock_mono_ms(p->host->clock) + c->wait_ms;
            push(&s->all, t);
            if (!s->undecided)
                s->undecided = t;
            return t;
        }
    }
    if (t)
        span_batch_unref(t->spans);
    sx_free(t);
    return NULL;
}

static sx_status take(processor *p, span_batch *b, sx_error *err)
{
    tail_state *s = p->state;
    span_batch *late = NULL; /* of traces that were kept */
    sx_status st = SX_OK;
    for (size_t i = 0; st == SX_OK && i < b->count; i++) {
        const span *of = b->spans[i];
        trace *t = trace_of(p, of);
        if (!t) {
            st = sx_fail_memory(err, "a trace");
            continue;
        }
        span_batch *into = t->spans;
        if (!into) {
            processor_count(s->late, 1);
            if (!t->sampled)
                continue;
            if (!late)
                late = span_batch_new(0);
            into = late;
        }
        st = into ? span_batch_hold(into, b, err) : sx_fail_memory(err, "a batch of spans");
        if (st == SX_OK)
            st = span_batch_put(into, of, err);
    }
    if (late)
        processor_emit(p, late);
    span_batch_unref(late);
    return st;
}

static int64_t tick(processor *p, int64_t mono_ms, bool all)
{
    const tail_settings *c = p->settings;
    tail_state *s = p->state;
    while (s->undecided && (all || s->undecided->due_ms <= mono_ms)) {
        trace *t = s->undecided;
        s->undecided = t->next;
        if (!(all && c->drop_at_end))
            decide(p, t);
    }
    return s->undecided ? s->undecided->due_ms : INT64_MAX;
}

static void destroy(processor *p)
{
    tail_state *s = p->state;
    queue *queues[] = {&s->all, &s->cached[0], &s->cached[1]};
    for (size_t i = 0; i < SX_COUNT_OF(queues); i++)
        while (queues[i]->first)
            forget(s, pop(queues[i]));
    sx_map_done(&s->traces);
    sx_free(s->rates);
}

const processor_kind PROCESSOR_TAIL = {.name = "tail_sampling",
                                       .settings = &SETTINGS,
                                       .size = sizeof(tail_state),
                                       .create = create,
                                       .take = take,
                                       .tick = tick,
                                       .destroy = destroy};
