/* derive_spans.c - calls, durations and events by service, operation, kind and status.
 *
 * Settings become groups: one table of keys each, with the metrics that share them. Without dimensions
 * of their own, calls and durations are one group, so a span costs one look-up. A thread takes the
 * first lane that is free for a whole batch; lanes are added up at each flush (derive_table.h). */
#include <stdio.h>

#include <sextant/hash.h>
#include <sextant/utf8.h>

#include "observe/collector/derive_spans.h"

/* --- HOT: a span. */

/* What a run of spans of one resource shares. */
typedef struct resource_key {
    const span_resource *resource;
    uint64_t hash;
    sx_str service, job, instance;
    char job_space[DERIVE_VALUE_BYTES_MAX];
} resource_key;

static sx_str cut(sx_str s)
{
    return sx_likely(s.len <= DERIVE_VALUE_BYTES_MAX) ? s
                                                      : sx_utf8_first(s, DERIVE_VALUE_BYTES_MAX);
}

/* No NULL: a text that is there and empty is not the same as none. */
static sx_str present(sx_str s)
{
    return s.data ? cut(s) : SX_STR("");
}

static sx_str text_of(const span_attrs *attrs, sx_str key)
{
    const span_value *v = span_attrs_find(*attrs, key);
    return v ? span_value_str(v) : (sx_str){0};
}

static void enter_resource(const spanmetrics *m, resource_key *k, const span_resource *r)
{
    k->resource = r;
    k->service = m->no_service ? (sx_str){0} : cut(r->service);
    k->job = k->instance = (sx_str){0};
    k->hash = sx_hash(k->service, m->seed);
    if (!m->settings->resource_attributes)
        return;
    sx_str space = text_of(&r->attrs, SX_STR("service.namespace"));
    k->job = cut(r->service);
    if (space.len) {
        int len = snprintf(k->job_space, sizeof(k->job_space), "%.*s/%.*s", SX_ARG(space),
                           SX_ARG(r->service));
        k->job = sx_utf8_first(sx_str_z(k->job_space), len < 0 ? 0 : (size_t)len);
    }
    k->instance = cut(text_of(&r->attrs, SX_STR("service.instance.id")));
    k->hash = sx_hash(k->instance, sx_hash(k->job, k->hash));
}

static const span_value *find_dimension(const derive_dimension *d, const span *s,
                                        const span_event *event)
{
    const span_value *v = span_attrs_find(s->attrs, d->name);
    if (!v && event)
        v = span_attrs_find(event->attrs, d->name);
    return v ? v : span_attrs_find(s->resource->attrs, d->name);
}

/* Values that are no text are written into the lane's scratch, whose place is known only at the end. */
static void put_dimensions(spans_lane *l, const spans_group *g, const span *s,
                           const span_event *event, sx_str *values)
{
    uint64_t made = 0;
    sx_buf_clear(&l->scratch);
    for (uint32_t i = 0; i < g->dimension_count; i++) {
        const derive_dimension *d = &g->dimensions[i];
        const span_value *v = find_dimension(d, s, i >= g->event_from ? event : NULL);
        if (!v) {
            values[i] = d->has_fallback ? present(d->fallback) : (sx_str){0};
        } else if (v->type == SPAN_STR) {
            values[i] = present(span_value_str(v));
        } else {
            size_t from = l->scratch.len;
            span_value_text(v, &l->scratch);
            made |= UINT64_C(1) << i;
            values[i].len = l->scratch.len - from;
        }
    }
    const char *at = l->scratch.data;
    for (uint32_t i = 0; made && i < g->dimension_count; i++)
        if (made >> i & 1) {
            size_t len = values[i].len;
            values[i] = l->scratch.failed ? SX_STR("") : cut(sx_str_of(at, len));
            at += len;
        }
}

static void put_scope(const spanmetrics *m, const span *s, sx_str *values)
{
    for (uint32_t i = 0; i < m->settings->scopes.count; i++)
        if (sx_str_eq(m->settings->scopes.items[i], s->scope->name)) {
            values[VALUE_SCOPE] = present(s->scope->name);
            values[VALUE_VERSION] = present(s->scope->version);
        }
}

static derive_row *row_of(spanmetrics *m, spans_lane *l, uint32_t which, const resource_key *k,
                          const span *s, const span_event *event)
{
    const spans_group *g = &m->groups[which];
    sx_str values[DERIVE_VALUES_MAX];
    uint32_t kind = m->no_kind ? SPANS_KIND_NONE : s->kind,
             status = m->no_status ? SPANS_KIND_NONE : s->status;
    derive_key key = {.tag = kind << 4 | status, .values = values};
    values[VALUE_SERVICE] = k->service;
    values[VALUE_NAME] = m->no_name ? (sx_str){0} : cut(s->name);
    key.hash = sx_hash(values[VALUE_NAME], k->hash + key.tag);
    if (g->shape.value_count > VALUE_JOB) {
        values[VALUE_JOB] = k->job;
        values[VALUE_INSTANCE] = k->instance;
        values[VALUE_SCOPE] = values[VALUE_VERSION] = (sx_str){0};
        if (m->settings->scopes.count)
            put_scope(m, s, values);
        put_dimensions(l, g, s, event, values + VALUES);
        for (uint32_t i = VALUE_SCOPE; i < g->shape.value_count; i++)
            if (values[i].data)
                key.hash = sx_hash(values[i], key.hash + i);
    }
    return derive_table_row(&l->tables[which], &key);
}

static void take_span(spanmetrics *m, spans_lane *l, const resource_key *k, const span *s)
{
    uint64_t ns = s->end_ns > s->start_ns ? s->end_ns - s->start_ns : 0;
    for (uint32_t i = 0; i < m->group_count; i++) {
        const spans_group *g = &m->groups[i];
        uint32_t times = g->events ? s->event_count : 1;
        for (uint32_t e = 0; e < times; e++) {
            derive_row *row = row_of(m, l, i, k, s, g->events ? &s->events[e] : NULL);
            row->dirty = true;
            row->counters[0]++;
            uint32_t bucket = g->durations ? derive_row_observe(&g->shape, row, 0, ns) : 0;
            if (g->shape.exemplars_max && !(row->histograms[0].has >> (bucket & 63) & 1) &&
                row->exemplar_count < g->shape.exemplars_max) {
                derive_exemplar x = {.ns = ns};
                memcpy(x.trace_id, s->trace_id, sizeof(x.trace_id));
                memcpy(x.span_id, s->id, sizeof(x.span_id));
                derive_row_exemplar(&g->shape, row, 0, bucket, &x);
            }
        }
    }
}

/* The first lane that nobody has, beginning with one that other threads are not likely to begin with. */
static spans_lane *enter_lane(spanmetrics *m)
{
    uint32_t first = (uint32_t)(sx_hash_u64((uint64_t)pthread_self(), 0) % m->lane_count);
    for (uint32_t i = 0; i < m->lane_count; i++) {
        spans_lane *l = &m->lanes[(first + i) % m->lane_count];
        if (pthread_mutex_trylock(&l->lock) == 0)
            return l;
    }
    pthread_mutex_lock(&m->lanes[first].lock);
    return &m->lanes[first];
}

void spanmetrics_take(spanmetrics *m, const span_batch *b)
{
    resource_key k = {0};
    spans_lane *l = enter_lane(m);
    for (size_t i = 0; i < b->count; i++) {
        const span *s = b->spans[i];
        if (s->resource != k.resource)
            enter_resource(m, &k, s->resource);
        if (s->resource->service.len) /* without one there is nothing to name the series by */
            take_span(m, l, &k, s);
    }
    pthread_mutex_unlock(&l->lock);
}

/* --- Flushing. */

static void gather(spanmetrics *m, int64_t now_ms)
{
    for (uint32_t i = 0; i < m->lane_count; i++) {
        spans_lane *l = &m->lanes[i];
        pthread_mutex_lock(&l->lock);
        for (uint32_t g = 0; g < m->group_count; g++)
            derive_table_merge(&m->groups[g].sheet.whole, &l->tables[g], now_ms);
        pthread_mutex_unlock(&l->lock);
    }
}

static void expire(spanmetrics *m, int64_t t_ms, int64_t now_ms)
{
    const spanmetrics_settings *s = m->settings;
    int64_t after = s->series_expiration_ms ? s->series_expiration_ms : s->expiration_ms;
    if (!after || now_ms <= after)
        return;
    derive_expire(m->sheets, m->group_count, m->host.store, now_ms - after, t_ms);
    for (uint32_t i = 0; i < m->lane_count; i++) {
        pthread_mutex_lock(&m->lanes[i].lock);
        for (uint32_t g = 0; g < m->group_count; g++)
            derive_table_expire(&m->lanes[i].tables[g], now_ms - after, NULL, NULL);
        pthread_mutex_unlock(&m->lanes[i].lock);
    }
}

sx_status spanmetrics_flush(spanmetrics *m, sx_error *err)
{
    int64_t t_ms = sx_clock_ms(m->host.clock), now_ms = sx_clock_mono_ms(m->host.clock);
    uint64_t rows = 0, overflowed = 0;
    gather(m, now_ms);
    expire(m, t_ms, now_ms);
    sx_status st = derive_flush(m->sheets, m->group_count, m->host.store, t_ms, m->flushed_ms, err);
    for (uint32_t i = 0; i < m->group_count; i++) {
        derive_table *t = &m->sheets[i]->whole;
        rows += t->count;
        overflowed += t->overflowed;
        t->overflowed = 0;
    }
    if (st == SX_OK)
        m->flushed_ms = t_ms;
    m->flushed_mono_ms = now_ms;
    if (m->series) {
        sx_gauge_set(m->series, (double)rows);
        sx_counter_add(m->overflowed, overflowed);
        sx_counter_add(m->failures, st != SX_OK);
    }
    return st;
}

sx_status spanmetrics_tick(spanmetrics *m, sx_error *err)
{
    if (sx_clock_mono_ms(m->host.clock) - m->flushed_mono_ms < m->settings->flush_ms)
        return SX_OK;
    return spanmetrics_flush(m, err);
}
