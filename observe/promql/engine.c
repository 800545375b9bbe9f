/* engine.c - queries from their text to their answer: the gate, limits, ends, the list of those that
 * run. What happens between is eval_*.c's. */
#include "observe/promql/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "observe/promql/eval.h"
#include "observe/promql/eval_result.h"

enum {
    CHUNK_BYTES = 64 << 10,
    THREADS_MAX = 8,
    GATE_LOOK_MS = 20, /* a waiting query looks up so often whether it is still wanted */
};

struct promql_engine {
    pthread_mutex_t lock; /* all below */
    pthread_cond_t free_place;
    promql_engine_options options;
    eval_run *running;
    uint32_t active;
    uint64_t last_id;
};

/* --- The engine. */

static uint32_t cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (uint32_t)n;
}

static promql_engine_options with_defaults(const promql_engine_options *given)
{
    promql_engine_options o = given ? *given : (promql_engine_options){0};
    o.lookback_ms = o.lookback_ms > 0 ? o.lookback_ms : 300000;
    o.timeout_ms = o.timeout_ms > 0 ? o.timeout_ms : 120000;
    o.samples_max = o.samples_max ? o.samples_max : 50000000;
    o.memory_max = o.memory_max ? o.memory_max : UINT64_C(1) << 30;
    o.concurrency_max = o.concurrency_max ? o.concurrency_max : 20;
    o.threads = o.threads ? o.threads : cores();
    o.default_step_ms = o.default_step_ms > 0 ? o.default_step_ms : 60000;
    o.clock = o.clock ? o.clock : sx_clock_system();
    return o;
}

sx_status promql_engine_new(const promql_engine_options *options, promql_engine **out,
                            sx_error *err)
{
    promql_engine *e = sx_calloc(1, sizeof *e);
    if (!e)
        return sx_fail_memory(err, "the query engine");
    e->options = with_defaults(options);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->free_place, NULL);
    *out = e;
    return SX_OK;
}

void promql_engine_free(promql_engine *e)
{
    if (!e)
        return;
    sx_assert(e->active == 0 && !e->running);
    pthread_cond_destroy(&e->free_place);
    pthread_mutex_destroy(&e->lock);
    sx_free(e);
}

void promql_engine_update(promql_engine *e, const promql_engine_options *options)
{
    promql_engine_options next = with_defaults(options);
    pthread_mutex_lock(&e->lock);
    next.clock = e->options.clock;
    e->options = next;
    pthread_cond_broadcast(&e->free_place);
    pthread_mutex_unlock(&e->lock);
}

/* --- Failing. */

void *eval_fail_with(eval_run *run, promql_error_kind kind, const sx_error *err)
{
    pthread_mutex_lock(&run->lock);
    if (!atomic_load_explicit(&run->failed, memory_order_relaxed)) {
        run->error = *err;
        run->error_kind = kind;
        atomic_store_explicit(&run->failed, true, memory_order_release);
    }
    pthread_mutex_unlock(&run->lock);
    return NULL;
}

/* What a caller of promql_query() gets as a status. */
static sx_status status_of(promql_error_kind kind)
{
    switch (kind) {
    case PROMQL_ERROR_BAD_DATA:
        return SX_EFORMAT;
    case PROMQL_ERROR_CANCELED:
        return SX_ECANCELED;
    case PROMQL_ERROR_TIMEOUT:
        return SX_ETIMEOUT;
    case PROMQL_ERROR_INTERNAL:
        return SX_EIO;
    default:
        return SX_EINVAL;
    }
}

void *eval_fail(eval_run *run, promql_error_kind kind, const char *fmt, ...)
{
    char words[SX_ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    sx_error err = {0};
    sx_fail(&err, status_of(kind), "%s", words);
    return eval_fail_with(run, kind, &err);
}

void *eval_over_memory(eval_run *run)
{
    return eval_fail(run, PROMQL_ERROR_EXECUTION,
                     "query processing would use more than %llu bytes of memory in query execution",
                     (unsigned long long)run->options.memory_max);
}

void *eval_no_memory(eval_run *run)
{
    sx_error err = {0};
    if (atomic_load_explicit(&run->memory, memory_order_relaxed) >
            (int64_t)(run->options.memory_max / 2) ||
        run->arena.used_bytes > run->options.memory_max / 2)
        return eval_over_memory(run); /* an arena at its limit says no as the heap does */
    sx_fail_memory(&err, "a query's values");
    return eval_fail_with(run, PROMQL_ERROR_EXECUTION, &err);
}

/* --- Accounts. */

bool eval_hold_samples(eval_run *run, int64_t count)
{
    int64_t now = atomic_fetch_add_explicit(&run->samples, count, memory_order_relaxed) + count;
    int64_t peak = atomic_load_explicit(&run->samples_peak, memory_order_relaxed);
    while (now > peak && !atomic_compare_exchange_weak(&run->samples_peak, &peak, now))
        ;
    if (now > 0 && (uint64_t)now > run->options.samples_max)
        eval_fail(run, PROMQL_ERROR_EXECUTION,
                  "query processing would load too many samples into memory in query execution");
    return !eval_failed(run);
}

static size_t memory_of(const eval_worker *w)
{
    size_t bytes = w->scratch.used_bytes + w->keep.used_bytes + w->block_bytes;
    for (size_t i = 0; i < w->slot_count; i++) {
        const tsdb_columns *c = w->slots[i] ? &w->slots[i]->columns : NULL;
        if (c)
            bytes += tsdb_columns_bytes(c);
    }
    return w == &w->run->workers[0] ? bytes + w->run->arena.used_bytes : bytes;
}

bool eval_account(eval_worker *w)
{
    eval_run *run = w->run;
    size_t bytes = memory_of(w);
    int64_t more = (int64_t)bytes - (int64_t)w->memory_seen;
    w->memory_seen = bytes;
    int64_t now = atomic_fetch_add_explicit(&run->memory, more, memory_order_relaxed) + more;
    int64_t peak = atomic_load_explicit(&run->memory_peak, memory_order_relaxed);
    while (now > peak && !atomic_compare_exchange_weak(&run->memory_peak, &peak, now))
        ;
    if (now > 0 && (uint64_t)now > run->options.memory_max)
        eval_over_memory(run);
    if (w->held != 0) {
        eval_hold_samples(run, w->held);
        w->held = 0;
    }
    return eval_go_on(run);
}

bool eval_go_on(eval_run *run)
{
    if (eval_failed(run))
        return false;
    const promql_request *r = run->request;
    if (atomic_load_explicit(&run->killed, memory_order_relaxed) ||
        (r->canceled && atomic_load_explicit(r->canceled, memory_order_relaxed)))
        eval_fail(run, PROMQL_ERROR_CANCELED, "query was canceled in expression evaluation");
    else if (sx_clock_mono_ns(run->options.clock) > run->deadline_ns)
        eval_fail(run, PROMQL_ERROR_TIMEOUT, "query timed out in expression evaluation");
    return !eval_failed(run);
}

static void *taken(eval_run *run, void *p)
{
    if (sx_unlikely(!p))
        return eval_no_memory(run);
    if (sx_unlikely(run->arena.used_bytes > run->options.memory_max))
        return eval_over_memory(run);
    return p;
}

void *eval_alloc(eval_run *run, size_t count, size_t size)
{
    if (count > PTRDIFF_MAX / (size ? size : 1))
        return eval_over_memory(run);
    if (count * size > run->options.memory_max)
        return eval_over_memory(run);
    return taken(run, sx_arena_alloc(&run->arena, count * size));
}

void *eval_zero(eval_run *run, size_t count, size_t size)
{
    void *p = eval_alloc(run, count, size);
    if (p)
        memset(p, 0, count * size);
    return p;
}

/* --- The gate and the list. */

static bool may_wait(eval_run *run)
{
    const promql_request *r = run->request;
    if (atomic_load(&run->killed) || (r->canceled && atomic_load(r->canceled)))
        eval_fail(run, PROMQL_ERROR_CANCELED, "query was canceled in query queue");
    else if (sx_clock_mono_ns(run->options.clock) > run->deadline_ns)
        eval_fail(run, PROMQL_ERROR_TIMEOUT, "query timed out in query queue");
    return !eval_failed(run);
}

static bool enter(eval_run *run)
{
    promql_engine *e = run->engine;
    pthread_mutex_lock(&e->lock);
    run->id = ++e->last_id;
    run->next_running = e->running;
    e->running = run;
    while (e->active >= e->options.concurrency_max && may_wait(run)) {
        /* The condition's time is the system's, whatever clock the query has. */
        int64_t ns = sx_clock_ns(sx_clock_system()) + GATE_LOOK_MS * INT64_C(1000000);
        struct timespec until = {.tv_sec = (time_t)(ns / 1000000000),
                                 .tv_nsec = (long)(ns % 1000000000)};
        pthread_cond_timedwait(&e->free_place, &e->lock, &until);
    }
    bool ok = !eval_failed(run);
    e->active += ok;
    pthread_mutex_unlock(&e->lock);
    return ok;
}

static void leave(eval_run *run, bool entered)
{
    promql_engine *e = run->engine;
    pthread_mutex_lock(&e->lock);
    for (eval_run **at = &e->running; *at; at = &(*at)->next_running) {
        if (*at == run) {
            *at = run->next_running;
            break;
        }
    }
    e->active -= entered;
    pthread_cond_signal(&e->free_place);
    pthread_mutex_unlock(&e->lock);
}

sx_status promql_engine_running(promql_engine *e, sx_arena *arena, promql_running **out,
                                size_t *count, sx_error *err)
{
    sx_status status = SX_OK;
    size_t n = 0;
    *out = NULL;
    *count = 0;
    pthread_mutex_lock(&e->lock);
    for (const eval_run *r = e->running; r; r = r->next_running)
        n++;
    promql_running *list = n ? sx_arena_calloc(arena, n, sizeof *list) : NULL;
    if (n && !list)
        status = sx_fail_memory(err, "the list of running queries");
    for (const eval_run *r = e->running; list && r; r = r->next_running) {
        promql_running *to = &list[(*count)++];
        to->id = r->id;
        to->text = sx_arena_copy(arena, r->text);
        to->who = sx_arena_copy(arena, r->who);
        to->started_ms = r->started_ms;
        to->samples = atomic_load(&((eval_run *)r)->samples);
        to->memory = atomic_load(&((eval_run *)r)->memory);
        if (!to->text.data || !to->who.data)
            status = sx_fail_memory(err, "the list of running queries");
    }
    pthread_mutex_unlock(&e->lock);
    if (status == SX_OK)
        *out = list;
    else
        *count = 0;
    return status;
}

bool promql_engine_kill(promql_engine *e, uint64_t id)
{
    bool found = false;
    pthread_mutex_lock(&e->lock);
    for (eval_run *r = e->running; r; r = r->next_running) {
        if (r->id == id) {
            atomic_store(&r->killed, true);
            found = true;
        }
    }
    pthread_mutex_unlock(&e->lock);
    return found;
}

/* --- A query. */

/* Times so far out that adding durations to them could overflow are brought nearer. */
static int64_t sane_time(int64_t t)
{
    return t > EVAL_TIME_MAX ? EVAL_TIME_MAX : t < -EVAL_TIME_MAX ? -EVAL_TIME_MAX : t;
}

static eval_run *run_new(promql_engine *e, const promql_request *request)
{
    eval_run *run = sx_calloc(1, sizeof *run);
    if (!run)
        return NULL;
    run->engine = e;
    pthread_mutex_lock(&e->lock);
    run->options = e->options;
    pthread_mutex_unlock(&e->lock);
    const promql_engine_options *o = &run->options;
    run->request = request;
    run->instant = request->step_ms <= 0;
    int64_t start = sane_time(request->start_ms);
    run->end_ms = run->instant ? start : sane_time(request->end_ms);
    run->times =
        (eval_times){.start = start, .step = run->instant ? 1 : request->step_ms, .steps = 1};
    if (run->end_ms < start)
        run->times.steps = 0;
    else if (!run->instant)
        run->times.steps = (size_t)((run->end_ms - start) / request->step_ms) + 1;
    run->lookback_ms = request->lookback_ms > 0 ? request->lookback_ms : o->lookback_ms;
    run->default_step_ms = o->default_step_ms;
    run->delayed_names = o->features & PROMQL_DELAYED_NAME_REMOVAL;
    int64_t timeout = request->timeout_ms > 0 && request->timeout_ms < o->timeout_ms
                          ? request->timeout_ms
                          : o->timeout_ms;
    run->deadline_ns = sx_clock_mono_ns(o->clock) + timeout * 1000000;
    run->started_ms = sx_clock_ms(o->clock);
    run->who = sx_str_z(request->who);
    run->text = request->text;
    pthread_mutex_init(&run->lock, NULL);
    sx_arena_init(&run->arena, CHUNK_BYTES, o->memory_max + (1 << 20));
    return run;
}

static void workers_done(eval_run *run)
{
    for (uint32_t i = 0; run->workers && i < run->worker_count; i++) {
        eval_worker *w = &run->workers[i];
        for (size_t k = 0; k < w->slot_count; k++) {
            eval_slot *s = w->slots[k];
            if (!s)
                continue;
            if (s->columns_ready)
                tsdb_columns_done(&s->columns);
            for (size_t b = 0; b < SX_COUNT_OF(s->blocks); b++)
                sx_free(s->blocks[b]);
            sx_free(s);
        }
        sx_free(w->slots);
        sx_free(w->per_step);
        sx_arena_done(&w->scratch);
        w->slots = NULL;
        w->per_step = NULL;
        w->slot_count = 0;
    }
}

static bool workers_new(eval_run *run)
{
    run->workers = sx_calloc(run->options.threads, sizeof *run->workers);
    if (!run->workers)
        return eval_no_memory(run) != NULL;
    run->worker_count = run->options.threads;
    for (uint32_t i = 0; i < run->worker_count; i++) {
        eval_worker *w = &run->workers[i];
        w->run = run;
        sx_arena_init(&w->scratch, CHUNK_BYTES, run->options.memory_max);
        sx_arena_init(&w->keep, CHUNK_BYTES, run->options.memory_max);
        if (run->request->sample_stats) {
            w->per_step = sx_calloc(run->times.steps + 1, sizeof *w->per_step);
            if (!w->per_step)
                return eval_no_memory(run) != NULL;
        }
    }
    return true;
}

static void run_free(eval_run *run)
{
    workers_done(run);
    if (run->querier) /* only now: the answer's labels may be the store's */
        run->querier->ops->free(run->querier);
    for (uint32_t i = 0; run->workers && i < run->worker_count; i++)
        sx_arena_done(&run->workers[i].keep);
    sx_free(run->workers);
    for (size_t i = 0; i < run->note_count; i++)
        sx_free((char *)run->notes[i].text.data);
    sx_free(run->notes);
    sx_free(run->reports);
    if (run->parsed_own)
        promql_parsed_done(&run->parsed);
    sx_arena_done(&run->arena);
    pthread_mutex_destroy(&run->lock);
    sx_free(run);
}

/* A range query's steps have one value each: a range vector or a string has none. */
static bool check_type(eval_run *run)
{
    promql_type type = run->parsed.expr->type;
    if (run->instant || type == PROMQL_VECTOR || type == PROMQL_SCALAR)
        return true;
    eval_fail(run, PROMQL_ERROR_BAD_DATA,
              "invalid expression type \"%s\" for range query, must be Scalar or instant Vector",
              promql_type_words(type));
    return false;
}

static bool open_querier(eval_run *run, tsdb_queryable *store)
{
    int64_t start = run->times.start;
    int64_t last =
        run->times.steps ? eval_time(&run->times, run->times.steps - 1) : run->times.start;
    int64_t min_t = INT64_MAX, max_t = INT64_MIN;
    eval_reach(run, run->parsed.expr, start, last, &min_t, &max_t);
    if (min_t > max_t)
        min_t = max_t = start; /* it reads nothing */
    sx_error err = {0};
    if (eval_failed(run))
        return false;
    sx_status status = store->querier(store, min_t, max_t, &run->querier, &err);
    if (status != SX_OK)
        eval_fail_with(run, PROMQL_ERROR_INTERNAL, &err);
    return status == SX_OK;
}

static void gather_stats(eval_run *run, promql_result *out)
{
    promql_stats *s = &run->stats;
    uint64_t *per_step = NULL;
    if (run->request->sample_stats && !eval_failed(run))
        per_step = eval_zero(run, run->times.steps, sizeof *per_step);
    for (uint32_t i = 0; run->workers && i < run->worker_count; i++) {
        const eval_worker *w = &run->workers[i];
        s->samples_total += w->samples;
        for (size_t k = 0; per_step && w->per_step && k < run->times.steps; k++)
            per_step[k] += w->per_step[k];
    }
    s->samples_per_step = per_step;
    s->steps = run->times.steps;
    int64_t peak = atomic_load(&run->samples_peak);
    s->samples_peak = peak > 0 ? (uint64_t)peak : 0;
    s->memory_peak = (uint64_t)atomic_load(&run->memory_peak);
    out->stats = *s;
}

static void log_slow(const eval_run *run)
{
    const promql_engine_options *o = &run->options;
    if (!o->log || o->slow_ms <= 0 || run->stats.total_ns < o->slow_ms * 1000000)
        return;
    SX_LOG_WARN(o->log, NULL, "slow query", sx_field_str("query", run->text),
                sx_field_i64("ms", run->stats.total_ns / 1000000),
                sx_field_u64("samples", run->stats.samples_total),
                sx_field_u64("peak_samples", run->stats.samples_peak),
                sx_field_u64("peak_bytes", run->stats.memory_peak),
                sx_field_u64("series", run->stats.series_selected),
                sx_field_str("client", run->who));
}

static void evaluate(eval_run *run, tsdb_queryable *store, promql_result *out)
{
    const sx_clock *clock = run->options.clock;
    int64_t t0 = sx_clock_mono_ns(clock);
    bool ok = check_type(run) && workers_new(run) && open_querier(run, store);
    int64_t t1 = sx_clock_mono_ns(clock);
    run->stats.prepare_ns = t1 - t0;
    ok = ok && eval_result_make(run, out);
    if (ok)
        eval_notes_write(run, out);
    if (!eval_failed(run) && run->request->explain)
        eval_explain_write(run, out);
    run->stats.eval_ns = sx_clock_mono_ns(clock) - t1 - run->stats.select_ns;
}

static sx_status finish(eval_run *run, promql_result *out, int64_t began, sx_error *err)
{
    run->stats.total_ns = sx_clock_mono_ns(run->options.clock) - began;
    gather_stats(run, out);
    log_slow(run);
    workers_done(run);
    if (!eval_failed(run))
        return SX_OK;
    promql_result empty = {.error_kind = run->error_kind, .stats = out->stats, .run = run};
    *out = empty;
    if (err)
        *err = run->error;
    return run->error.status == SX_OK ? SX_EINVAL : run->error.status;
}

static sx_status run_query(eval_run *run, tsdb_queryable *store, promql_result *out, int64_t began,
                           sx_error *err)
{
    out->run = run;
    bool entered = !eval_failed(run) && enter(run);
    run->stats.queued_ns = sx_clock_mono_ns(run->options.clock) - began - run->stats.parse_ns;
    if (entered)
        evaluate(run, store, out);
    if (run->id)
        leave(run, entered);
    return finish(run, out, began, err);
}

static void parse(eval_run *run, const promql_request *request)
{
    promql_parse_options options = {.features = run->options.features};
    sx_error err = {0};
    sx_status status = promql_parse(request->text, &options, &run->arena, &run->parsed, &err);
    run->parsed_own = status == SX_OK;
    if (status == SX_OK)
        run->text = run->parsed.text;
    else
        eval_fail_with(run, status == SX_ENOMEM ? PROMQL_ERROR_EXECUTION : PROMQL_ERROR_BAD_DATA,
                       &err);
}

sx_status promql_query(promql_engine *e, tsdb_queryable *store, const promql_request *request,
                       promql_result *out, sx_error *err)
{
    *out = (promql_result){0};
    eval_run *run = run_new(e, request);
    if (!run) {
        out->error_kind = PROMQL_ERROR_EXECUTION;
        return sx_fail_memory(err, "a query");
    }
    int64_t began = sx_clock_mono_ns(run->options.clock);
    parse(run, request);
    run->stats.parse_ns = sx_clock_mono_ns(run->options.clock) - began;
    return run_query(run, store, out, began, err);
}

sx_status promql_query_parsed(promql_engine *e, tsdb_queryable *store, const promql_parsed *parsed,
                              const promql_request *request, promql_result *out, sx_error *err)
{
    *out = (promql_result){0};
    eval_run *run = run_new(e, request);
    if (!run) {
        out->error_kind = PROMQL_ERROR_EXECUTION;
        return sx_fail_memory(err, "a query");
    }
    run->parsed = *parsed;
    run->text = parsed->text;
    return run_query(run, store, out, sx_clock_mono_ns(run->options.clock), err);
}

void promql_result_done(promql_result *r)
{
    if (r->run)
        run_free(r->run);
    *r = (promql_result){0};
}
