/* tracer.c - makes tracers, ids, and the records of spans under way; tracer.h has the picture. */
#include "telemetry/tracer.h"

#include <sextant/mem.h>

#include "telemetry/otlp_sink.h"
#include "telemetry/thread.h"
#include "telemetry/trace_hex.h"

enum {
    RECORD_BYTES = 1024,      /* of data that a new record has room for: a usual span fits */
    RECORD_KEPT_BYTES = 8192, /* one that has grown beyond this is not kept */
    FREE_MAX = 64,            /* records that a thread keeps for its next spans */
    FREE_MOVED = 32,          /* of those, moved to or from the shared shard at once */
    FREE_SHARED_MAX = 1024,
    ATTRIBUTES_FIRST = 16,
    SPAN_BYTES_LEAST = 8192 /* so that name, status and ids fit beside attributes (span.c) */
};

/* Rises in the child of a fork, so that parent and child, which start with the same random state, do
 * not make the same ids. Process-wide because fork is. Atomic, relaxed. */
static uint32_t generation = 1;

static void after_fork(void)
{
    __atomic_add_fetch(&generation, 1, __ATOMIC_RELAXED);
}

static void watch_forks(void)
{
    /* Fails without memory only; then ids after a fork may repeat, as they would without this. */
    (void)pthread_atfork(NULL, NULL, after_fork);
}

/* ---- records ---- */

static void free_record(sx_span_record *r)
{
    sx_buf_done(&r->data);
    sx_free(r->attributes);
    sx_free(r);
}

static void free_records(sx_span_record *list)
{
    while (list) {
        sx_span_record *next = list->next;
        free_record(list);
        list = next;
    }
}

static sx_span_record *new_record(const sx_tracer *tracer)
{
    sx_span_record *r = sx_calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    sx_buf_init(&r->data, tracer->span_bytes_max);
    size_t first =
        tracer->attributes_max < ATTRIBUTES_FIRST ? tracer->attributes_max : ATTRIBUTES_FIRST;
    if (!sx_buf_reserve(&r->data, RECORD_BYTES) ||
        !sx_grow(&r->attributes, &r->attribute_cap, first, sizeof(r->attributes[0]))) {
        free_record(r);
        return NULL;
    }
    return r;
}

/* Moves up to `count` records from one shard to another; the lock is held. */
static void move_free(sx_tracer_shard *from, sx_tracer_shard *to, uint32_t count)
{
    for (; count > 0 && from->free; count--) {
        sx_span_record *r = from->free;
        from->free = r->next;
        from->free_count--;
        r->next = to->free;
        to->free = r;
        to->free_count++;
    }
}

static sx_span_record *pop(sx_tracer_shard *shard)
{
    sx_span_record *r = shard->free;
    if (r) {
        shard->free = r->next;
        shard->free_count--;
    }
    return r;
}

/* The thread has none left, or no shard. */
static sx_span_record *take_shared(sx_tracer *tracer, sx_tracer_shard *own)
{
    pthread_mutex_lock(&tracer->lock);
    if (own != tracer->shards)
        move_free(tracer->shards, own, FREE_MOVED);
    sx_span_record *r = pop(own);
    pthread_mutex_unlock(&tracer->lock);
    return r ? r : new_record(tracer);
}

sx_span_record *sx_tracer_take(sx_tracer *tracer)
{
    sx_tracer_shard *own = &tracer->shards[sx_thread_shard];
    sx_span_record *r = sx_likely(sx_thread_shard) ? pop(own) : NULL;
    if (sx_unlikely(!r))
        r = take_shared(tracer, own);
    if (sx_unlikely(!r))
        return NULL;
    sx_buf_clear(&r->data);
    r->name = r->status = (sx_span_part){0, 0};
    r->attribute_count = 0;
    r->attributes_dropped = r->events = r->events_dropped = r->links = r->links_dropped = 0;
    return r;
}

/* Puts a record into the shared shard, after making room in the thread's own. */
static void give_shared(sx_tracer *tracer, sx_tracer_shard *own, sx_span_record *r)
{
    sx_tracer_shard *shared = tracer->shards;
    pthread_mutex_lock(&tracer->lock);
    if (shared->free_count < FREE_SHARED_MAX) {
        if (own != shared)
            move_free(own, shared, FREE_MOVED);
        r->next = shared->free;
        shared->free = r;
        shared->free_count++;
        r = NULL;
    }
    pthread_mutex_unlock(&tracer->lock);
    if (r)
        free_record(r);
}

void sx_tracer_give(sx_tracer *tracer, sx_span_record *r)
{
    sx_tracer_shard *own = &tracer->shards[sx_thread_shard];
    if (sx_unlikely(r->data.cap > RECORD_KEPT_BYTES)) {
        free_record(r);
    } else if (sx_likely(sx_thread_shard && own->free_count < FREE_MAX)) {
        r->next = own->free;
        own->free = r;
        own->free_count++;
    } else {
        give_shared(tracer, own, r);
    }
}

/* ---- ids ---- */

static uint64_t not_zero(sx_random *random)
{
    uint64_t bits;
    do
        bits = sx_random_u64(random);
    while (sx_unlikely(bits == 0));
    return bits;
}

static void make_ids(sx_tracer_shard *shard, uint8_t *trace_id, uint8_t *span_id)
{
    uint32_t now = __atomic_load_n(&generation, __ATOMIC_RELAXED);
    if (sx_unlikely(shard->seeded_for != now)) {
        sx_random_init(&shard->random);
        shard->seeded_for = now;
    }
    if (trace_id) {
        uint64_t halves[2] = {sx_random_u64(&shard->random), not_zero(&shard->random)};
        memcpy(trace_id, halves, sizeof(halves));
    }
    uint64_t id = not_zero(&shard->random);
    memcpy(span_id, &id, sizeof(id));
}

void sx_tracer_ids(sx_tracer *tracer, uint8_t *trace_id, uint8_t span_id[SX_SPAN_ID_BYTES])
{
    if (sx_likely(sx_thread_shard)) {
        make_ids(&tracer->shards[sx_thread_shard], trace_id, span_id);
        return;
    }
    pthread_mutex_lock(&tracer->lock);
    make_ids(tracer->shards, trace_id, span_id);
    pthread_mutex_unlock(&tracer->lock);
}

/* ---- the tracer ---- */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

static void set_limits(sx_tracer *t, const sx_tracer_options *o)
{
    t->clock = o->clock ? o->clock : sx_clock_system();
    t->coarse_clock = sx_clock_coarse(t->clock);
    t->propagators = o->propagators ? o->propagators : SX_PROPAGATE_W3C | SX_PROPAGATE_BAGGAGE;
    t->attributes_max = or_default(o->attributes_max, 128);
    t->events_max = or_default(o->events_max, 128);
    t->links_max = or_default(o->links_max, 128);
    t->event_attributes_max = or_default(o->event_attributes_max, 128);
    t->value_bytes_max = or_default(o->value_bytes_max, 4096);
    t->span_bytes_max = or_default(o->span_bytes_max, SX_OTLP_RECORD_MAX);
    if (t->span_bytes_max < SPAN_BYTES_LEAST)
        t->span_bytes_max = SPAN_BYTES_LEAST;
    if (t->span_bytes_max >= SX_OTLP_RECORD_MAX)
        t->span_bytes_max = SX_OTLP_RECORD_MAX - 1;
}

static sx_status add_metrics(sx_tracer *t, sx_metrics *metrics, sx_error *err)
{
    static const char *const LABELS[] = {"sampling"};
    sx_metric *started;
    sx_metric_options options = {
        .kind = SX_METRIC_COUNTER,
        .name = "sextant_spans_started_total",
        .help = "Spans that were started, by whether they are recorded (sampled) or not (dropped).",
        .labels = LABELS,
        .label_count = 1};
    if (!metrics)
        return SX_OK;
    sx_status status = sx_metric_new(metrics, &options, &started, err);
    if (status != SX_OK)
        return status;
    t->sampled = sx_metric_counter(started, &SX_STR("sampled"), 1);
    t->dropped = sx_metric_counter(started, &SX_STR("dropped"), 1);
    return SX_OK;
}

sx_status sx_tracer_new_to(const sx_tracer_options *options, const sx_span_sink *sink, void *to,
                           sx_tracer **out, sx_error *err)
{
    static const sx_tracer_options DEFAULTS = {.otlp = NULL};
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const sx_tracer_options *o = options ? options : &DEFAULTS;
    pthread_once(&once, watch_forks);
    sx_tracer *t = sx_calloc(1, sizeof(*t));
    if (!t)
        return sx_fail_memory(err, "a tracer");
    t->sink = sink;
    t->sink_to = to;
    pthread_mutex_init(&t->lock, NULL);
    set_limits(t, o);
    enum { ALIGNED = sizeof(sx_tracer_shard) * (SX_THREAD_SHARDS_MAX + 1), MORE = 64 };
    t->shards_block = sx_calloc(1, ALIGNED + MORE);
    sx_status status = t->shards_block ? SX_OK : sx_fail_memory(err, "a tracer");
    if (status == SX_OK) {
        t->shards = (void *)(((uintptr_t)t->shards_block + MORE - 1) / MORE * MORE);
        status = sx_sampler_new(&o->sampling, &t->sampler, err);
    }
    if (status == SX_OK)
        status = add_metrics(t, o->metrics, err);
    if (status != SX_OK) {
        sx_tracer_free(t);
        return status;
    }
    *out = t;
    return SX_OK;
}

void sx_tracer_free(sx_tracer *tracer)
{
    if (!tracer)
        return;
    for (size_t i = 0; tracer->shards && i <= SX_THREAD_SHARDS_MAX; i++)
        free_records(tracer->shards[i].free);
    sx_free(tracer->shards_block);
    for (sx_sampler *s = tracer->sampler, *older; s; s = older) {
        older = *sx_sampler_older(s);
        sx_sampler_free(s);
    }
    pthread_mutex_destroy(&tracer->lock);
    sx_free(tracer);
}

/* A thread may be in the middle of asking the sampler that is replaced, so it stays until the tracer
 * is freed. Settings that come again (a reload that changes nothing) reuse the one that is there, so
 * the chain is as long as there were different settings. */
sx_status sx_tracer_sampling_set(sx_tracer *tracer, const sx_sampling *sampling, sx_error *err)
{
    sx_sampler *made;
    sx_status status = sx_sampler_new(sampling, &made, err);
    if (status != SX_OK)
        return status;
    pthread_mutex_lock(&tracer->lock);
    sx_sampler **link, *first = tracer->sampler;
    if (sx_sampler_equal(first, made)) {
        pthread_mutex_unlock(&tracer->lock);
        sx_sampler_free(made);
        return SX_OK;
    }
    for (link = sx_sampler_older(first); *link; link = sx_sampler_older(*link))
        if (sx_sampler_equal(*link, made))
            break;
    if (*link) { /* take the old one out of the chain, to be put at its head */
        sx_sampler_free(made);
        made = *link;
        *link = *sx_sampler_older(made);
    }
    *sx_sampler_older(made) = first;
    __atomic_store_n(&tracer->sampler, made, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&tracer->lock);
    return SX_OK;
}

unsigned sx_tracer_propagators(const sx_tracer *tracer)
{
    return tracer->propagators;
}

/* ---- the exporter as a sink ---- */

static char *otlp_room(void *to, size_t bytes)
{
    return sx_otlp_room(to, SX_OTLP_SPANS, bytes);
}

static void otlp_commit(void *to, size_t bytes)
{
    sx_otlp_commit(to, SX_OTLP_SPANS, bytes);
}

sx_status sx_tracer_new(const sx_tracer_options *options, sx_tracer **out, sx_error *err)
{
    static const sx_span_sink OTLP = {otlp_room, otlp_commit};
    sx_otlp *otlp = options ? options->otlp : NULL;
    bool wanted = otlp && sx_otlp_wants(otlp, SX_OTLP_SPANS);
    return sx_tracer_new_to(options, wanted ? &OTLP : NULL, otlp, out, err);
}
