/* metrics.c - /api/metrics/query_range and /api/metrics/query: series from spans. */
#include <math.h>
#include <stdlib.h>

#include "observe/tempo/tempo_internal.h"

#define SERIES_BYTES_MAX ((size_t)1 << 30)

/* Up to ten digits are seconds, more are nanoseconds; seconds with a fraction; RFC 3339. */
static bool read_time(sx_str text, uint64_t *ns)
{
    char copy[64], *end;
    uint64_t whole;
    if (sx_str_to_u64(text, &whole)) {
        *ns = text.len <= 10 ? whole * 1000000000u : whole;
        return true;
    }
    if (!text.len || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    double d = strtod(copy, &end);
    if (!*end && d >= 0 && d < 1e10) {
        double seconds = floor(d);
        *ns = (uint64_t)seconds * 1000000000u + (uint64_t)round((d - seconds) * 1000) * 1000000u;
        return true;
    }
    return false;
}

static bool bad_time(tempo_call *c, const char *name, sx_str text)
{
    tempo_fail(c, 400,
               "could not parse '%s' parameter: strconv.ParseInt: parsing \"%.*s\": invalid "
               "syntax",
               name, (int)(text.len < 100 ? text.len : 100), text.data);
    return false;
}

/* start and end, or since and end; the last hour. */
static bool read_range(tempo_call *c, traceql_metrics_options *o)
{
    sx_str start = tempo_get(c, "start"), end = tempo_get(c, "end"), since = tempo_get(c, "since");
    uint64_t back = 3600000000000u;
    o->end_ns = c->now_ns;
    if (end.len && !read_time(end, &o->end_ns))
        return bad_time(c, "end", end);
    if (since.len && !tempo_duration_read(since, &back))
        return bad_time(c, "since", since);
    uint64_t from = o->end_ns < c->now_ns ? o->end_ns : c->now_ns;
    o->start_ns = from > back ? from - back : 0;
    if (start.len && !read_time(start, &o->start_ns))
        return bad_time(c, "start", start);
    if (o->end_ns <= o->start_ns) {
        tempo_fail(c, 400, "http parameter start must be before end. received start=%llu end=%llu",
                   (unsigned long long)(o->start_ns / 1000000000u),
                   (unsigned long long)(o->end_ns / 1000000000u));
        return false;
    }
    return true;
}

static bool read_step(tempo_call *c, traceql_metrics_options *o)
{
    sx_str text = tempo_get(c, "step");
    char copy[64], *end;
    if (!text.len)
        return true;
    if (text.len < sizeof copy) {
        memcpy(copy, text.data, text.len);
        copy[text.len] = '\0';
        double d = strtod(copy, &end);
        if (!*end && d > 0 && d < 9e9) {
            o->step_ns = (uint64_t)(d * 1e9);
            if (o->step_ns)
                return true;
        } else if (tempo_duration_read(text, &o->step_ns) && o->step_ns) {
            return true;
        }
    }
    tempo_fail(c, 400, "cannot parse \"%.*s\" to a valid duration",
               (int)(text.len < 100 ? text.len : 100), text.data);
    return false;
}

static void put_labels(sx_json_writer *w, const traceql_series *s)
{
    sx_json_key(w, SX_STR("labels"));
    sx_json_begin_array(w);
    for (uint32_t i = 0; i < s->label_count; i++)
        tempo_put_value(w, s->labels[i].name, &s->labels[i].value);
    sx_json_end_array(w);
}

static void put_number(sx_json_writer *w, double v)
{
    if (v == 0) /* as protobuf's JSON: a zero is left out */
        return;
    sx_json_key(w, SX_STR("value"));
    if (isfinite(v))
        sx_json_double(w, v);
    else
        sx_json_str(w, v > 0 ? SX_STR("Infinity") : SX_STR("-Infinity"));
}

static void put_series(sx_json_writer *w, const traceql_metrics *m, const traceql_series *s)
{
    bool any = false;
    for (uint32_t i = 0; i < m->steps; i++)
        any |= !isnan(s->values[i]);
    if (!any)
        return;
    sx_json_begin_object(w);
    put_labels(w, s);
    sx_json_key(w, SX_STR("samples"));
    sx_json_begin_array(w);
    for (uint32_t i = 0; i < m->steps; i++) {
        if (isnan(s->values[i]))
            continue;
        sx_json_begin_object(w);
        tempo_put_u64(w, "timestampMs", (m->start_ns + (i + 1) * m->step_ns) / 1000000);
        put_number(w, s->values[i]);
        sx_json_end_object(w);
    }
    sx_json_end_array(w);
    sx_json_end_object(w);
}

static void put_instant(sx_json_writer *w, const traceql_series *s)
{
    if (isnan(s->values[0]))
        return;
    sx_json_begin_object(w);
    put_labels(w, s);
    put_number(w, s->values[0]);
    sx_json_end_object(w);
}

/* Series are as many as groups times steps, which is for who asks to say: their memory is bounded. */
static sx_status run_query(tempo_call *c, const traceql_query *q,
                           const traceql_metrics_options *options, sx_arena *arena,
                           traceql_metrics *m, sx_error *err)
{
    sx_status status = traceql_metrics_run(c->store, q, options, arena, m, err);
    if (status == SX_ENOMEM && arena->used_bytes > arena->max_bytes / 2)
        status = sx_fail(err, SX_ELIMIT,
                         "the series of the query take more than %zu MiB: ask for a longer step, a "
                         "shorter range or fewer groups",
                         arena->max_bytes >> 20);
    return status;
}

static void put_answer(tempo_call *c, const traceql_metrics *m, bool instant)
{
    sx_json_writer w;
    tempo_begin_json(c, &w);
    sx_json_key(&w, SX_STR("series"));
    sx_json_begin_array(&w);
    for (size_t i = 0; i < m->count; i++)
        if (instant)
            put_instant(&w, &m->series[i]);
        else
            put_series(&w, m, &m->series[i]);
    sx_json_end_array(&w);
    sx_json_key(&w, SX_STR("metrics"));
    sx_json_begin_object(&w);
    tempo_put_u64(&w, "inspectedSpans", m->spans);
    sx_json_key(&w, SX_STR("completedJobs"));
    sx_json_u64(&w, 1);
    sx_json_key(&w, SX_STR("totalJobs"));
    sx_json_u64(&w, 1);
    sx_json_end_object(&w);
    if (m->partial)
        tempo_put_str(&w, "status", SX_STR("PARTIAL"));
    tempo_end_json(c, &w);
}

static void query(tempo_call *c, bool instant)
{
    traceql_metrics_options options = {.limits = c->limits, .instant = instant};
    traceql_metrics m;
    traceql_query *q = NULL;
    sx_error err = {0};
    sx_str text = tempo_get(c, "q");
    uint64_t series = 0;
    if (!text.len)
        text = tempo_get(c, "query");
    if (!read_range(c, &options) || !read_step(c, &options) ||
        !tempo_number(c, "maxSeries", 1000000, &series))
        return;
    options.series_max = (uint32_t)series;
    sx_arena arena;
    sx_arena_init(&arena, 64 << 10, SERIES_BYTES_MAX);
    if (traceql_parse(text, &q, &err) == SX_OK &&
        run_query(c, q, &options, &arena, &m, &err) == SX_OK)
        put_answer(c, &m, instant);
    else
        tempo_fail_error(c, "", &err);
    sx_arena_done(&arena);
    traceql_free(q);
}

void tempo_query_range(tempo_call *c)
{
    query(c, false);
}

void tempo_query(tempo_call *c)
{
    query(c, true);
}
