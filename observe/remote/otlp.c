/* otlp.c - OTLP metrics over HTTP and gRPC: ExportMetricsServiceRequest into the store.
 *
 * JSON becomes protobuf first, so that there is one reader. A message is gone through twice where what
 * comes later in it is needed before: a resource's attributes, a metric's temporality.
 * Unlike Prometheus, which forgets a whole request for one bad metric, what is valid is stored, and the
 * rest is told as OTLP's partial success.
 * Source: opentelemetry-proto, collector/metrics/v1, metrics/v1; the OTLP specification. */
#include "observe/remote/otlp.h"

#include <stdio.h>

#include <sextant/json.h>

#include "telemetry/otlp_json.h"

enum { METADATA_FAMILIES_MAX = 1 << 20, TARGET_SAMPLES_MAX = 2000 };

void otlp_state_free(otlp_state *s)
{
    if (!s)
        return;
    otlp_point_done(&s->point);
    sx_free(s->resource.items);
    sx_free(s->sorted);
    tsdb_labels_builder_done(&s->builder);
    sx_map64_done(&s->families);
    sx_arena_done(&s->names);
    for (unsigned i = 0; i < 2; i++) {
        sx_free(s->cells[i].items);
        sx_free(s->spans[i]);
    }
    sx_free(s);
}

void otlp_reject(remote_writer *w, uint64_t points, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    w->otlp->out->rejected += points;
    remote_complain(w, "%s", text);
}

/* --- Metrics. */

/* Passes over a metric's data for its temporality, and counts its points. */
static size_t read_data_head(otlp_state *s, sx_pb_reader r)
{
    size_t points = 0;
    uint64_t temporality = 0;
    s->monotonic = false;
    sx_pb_enter(&r);
    while (sx_pb_next(&r)) {
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            points++;
            sx_pb_skip(&r);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            temporality = sx_pb_varint(&r);
            break;
        case SX_PB_TAG(3, SX_PB_VARINT):
            s->monotonic = sx_pb_bool(&r);
            break;
        default:
            sx_pb_skip(&r);
        }
    }
    s->temporality =
        temporality <= OTLP_CUMULATIVE ? (otlp_temporality)temporality : OTLP_UNSPECIFIED;
    return points;
}

sx_str otlp_type(const otlp_state *s)
{
    if (s->kind == OTLP_GAUGE)
        return SX_STR("gauge");
    if (s->kind == OTLP_SUMMARY)
        return SX_STR("summary");
    if (s->temporality == OTLP_DELTA)
        return SX_STR("unknown");
    if (s->kind == OTLP_SUM)
        return s->monotonic ? SX_STR("counter") : SX_STR("gauge");
    return SX_STR("histogram");
}

/* Appends the family's metadata to the series last found, if it is not what was appended before. */
static sx_status put_metadata(remote_writer *w, sx_error *err)
{
    otlp_state *s = w->otlp;
    uint64_t told = sx_hash(s->description, sx_hash(s->unit, s->kind * 8 + s->monotonic * 4 +
                                                                 (unsigned)s->temporality)) |
                    1;
    if (w->series.ref == 0 || !s->known || s->known->told == told)
        return SX_OK;
    s->known->told = told;
    tsdb_metadata m = {otlp_type(s), s->description, otlp_unit_name(&w->arena, s->unit)};
    if (!m.unit.data)
        return sx_fail_memory(err, "a unit");
    sx_status status = w->app->ops->metadata(w->app, w->series.ref, &m, err);
    return status == SX_ENOTFOUND ? SX_OK : status;
}

/* Keeps the translated name, so that it is worked out once. */
static sx_status remember_family(otlp_state *s, sx_error *err)
{
    bool added;
    if (sx_map64_count(&s->families) >= METADATA_FAMILIES_MAX)
        return SX_OK;
    otlp_family *f = sx_arena_alloc(&s->names, sizeof *f);
    sx_str name = sx_arena_copy(&s->names, s->family);
    sx_map64_entry *e = f && name.data ? sx_map64_put(&s->families, s->metric_hash, &added) : NULL;
    if (!e)
        return sx_fail_memory(err, "names of metrics");
    *f = (otlp_family){name, 0};
    e->ptr = f;
    s->known = f;
    return SX_OK;
}

/* Whether the metric may be taken at all; if not, its points will be counted as rejected. */
static sx_status judge_metric(remote_writer *w, sx_error *err)
{
    otlp_state *s = w->otlp;
    bool has_temporality = s->kind != OTLP_GAUGE && s->kind != OTLP_SUMMARY;
    sx_error bad;
    s->bad_metric = false;
    s->adds_up = has_temporality && s->temporality == OTLP_DELTA && w->limits.deltas;
    if (s->adds_up)
        s->temporality = OTLP_CUMULATIVE;
    if (has_temporality && s->temporality != OTLP_CUMULATIVE &&
        !(s->temporality == OTLP_DELTA && w->limits.otlp_native_delta)) {
        s->bad_metric = true;
        otlp_reject(w, 0, "invalid temporality and type combination for metric \"%.*s\"",
                    SX_ARG(s->name));
        return SX_OK;
    }
    s->known = sx_map64_get(&s->families, s->metric_hash);
    if (sx_likely(s->known != NULL)) {
        s->family = s->known->name;
        return SX_OK;
    }
    sx_status status = otlp_metric_name(s->config, &w->arena, s->name, s->unit, s->kind,
                                        s->monotonic, &s->family, &bad);
    if (status == SX_EINVAL) {
        s->bad_metric = true;
        otlp_reject(w, 0, "%s", bad.message);
        return SX_OK;
    }
    return status == SX_OK ? remember_family(s, err) : sx_fail(err, status, "%s", bad.message);
}

/* The data of a metric: field 5, 7, 9, 10 or 11, which r is at. */
static sx_status read_data(remote_writer *w, sx_pb_reader *r, sx_error *err)
{
    otlp_state *s = w->otlp;
    size_t points = read_data_head(s, *r);
    uint64_t parts[4] = {sx_hash(s->name, w->seed), sx_hash(s->unit, w->seed),
                         (uint64_t)s->kind * 2 + s->monotonic, s->config_hash};
    s->metric_hash = sx_hash_bytes(parts, sizeof parts, w->seed);
    if (points == 0) {
        s->out->warnings++;
        sx_pb_skip(r);
        return SX_OK;
    }
    sx_status status = judge_metric(w, err);
    w->series.ref = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (status == SX_OK && sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(1, SX_PB_BYTES))
            status = otlp_read_point(w, r, err);
        else
            sx_pb_skip(r);
    }
    sx_pb_leave(r, outer);
    if (status == SX_OK && !s->bad_metric)
        status = put_metadata(w, err);
    return status;
}

static void read_metric_head(otlp_state *s, sx_pb_reader r)
{
    s->name = s->unit = s->description = SX_STR("");
    while (sx_pb_next(&r)) {
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            s->name = sx_pb_bytes(&r);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            s->description = sx_pb_bytes(&r);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            s->unit = sx_pb_bytes(&r);
            break;
        default:
            sx_pb_skip(&r);
        }
    }
}

static sx_status read_metric(remote_writer *w, sx_pb_reader *r, sx_error *err)
{
    static const uint8_t KINDS[] = {[5] = OTLP_GAUGE + 1,
                                    [7] = OTLP_SUM + 1,
                                    [9] = OTLP_HISTOGRAM + 1,
                                    [10] = OTLP_EXPONENTIAL + 1,
                                    [11] = OTLP_SUMMARY + 1};
    sx_status status = SX_OK;
    bool any = false;
    sx_pb_outer outer = sx_pb_enter(r);
    read_metric_head(w->otlp, *r);
    while (status == SX_OK && sx_pb_next(r)) {
        uint32_t field = sx_pb_field(r);
        if (field < sizeof KINDS && KINDS[field] && sx_pb_wire_of(r) == SX_PB_BYTES) {
            w->otlp->kind = (otlp_kind)(KINDS[field] - 1);
            any = true;
            status = read_data(w, r, err);
        } else {
            sx_pb_skip(r);
        }
    }
    if (status == SX_OK && !any && !r->fault)
        otlp_reject(w, 0,
                    "could not get aggregation temporality for %.*s as it has unsupported metric "
                    "type Empty",
                    SX_ARG(w->otlp->name));
    sx_pb_leave(r, outer);
    return status;
}

/* --- Scopes and resources. */

static sx_status read_scope(remote_writer *w, sx_pb_reader *r, sx_error *err)
{
    sx_str scope = SX_STR(""), schema_url = SX_STR("");
    sx_error bad = {0};
    sx_pb_outer outer = sx_pb_enter(r);
    for (sx_pb_reader head = *r; sx_pb_next(&head);) {
        if (head.tag == SX_PB_TAG(1, SX_PB_BYTES))
            scope = sx_pb_bytes(&head);
        else if (head.tag == SX_PB_TAG(3, SX_PB_BYTES))
            schema_url = sx_pb_bytes(&head);
        else
            sx_pb_skip(&head);
    }
    w->otlp->scope_id = sx_hash(scope, w->seed);
    sx_status status = otlp_scope_labels(w, scope, schema_url, &bad);
    if (status == SX_EINVAL) {
        otlp_reject(w, 1, "%s", bad.message);
        sx_pb_leave(r, outer);
        return SX_OK;
    }
    if (status != SX_OK)
        sx_fail(err, status, "%s", bad.message);
    while (status == SX_OK && sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(2, SX_PB_BYTES))
            status = read_metric(w, r, err);
        else
            sx_pb_skip(r);
    }
    sx_pb_leave(r, outer);
    return status;
}

/* target_info says what else is known of a resource. It needs a label that identifies, and something
 * to say. */
static bool wants_target_info(const otlp_state *s, remote_writer *w)
{
    size_t others = 0;
    if (s->job.len == 0 && s->instance.len == 0)
        return false;
    for (size_t i = 0; i < s->resource.count; i++) {
        tsdb_label l;
        if (otlp_read_pair(&w->arena, s->resource.items[i], &l, NULL) != SX_OK)
            return false;
        others += !sx_str_eq(l.name, SX_STR("service.name")) &&
                  !sx_str_eq(l.name, SX_STR("service.namespace")) &&
                  !sx_str_eq(l.name, SX_STR("service.instance.id"));
    }
    return others > 0;
}

/* A sample at the time of the resource's first point, then so often that a query finds one, and at the
 * last point's time. A request that spans more than some days begins later. */
static sx_status put_target_info(remote_writer *w, sx_error *err)
{
    otlp_state *s = w->otlp;
    bool known;
    if (s->earliest_ns > s->latest_ns || !wants_target_info(s, w))
        return SX_OK;
    sx_status status = otlp_find_series(w, OTLP_PART_TARGET, 0, &known, err);
    if (status != SX_OK || !known)
        return status;
    uint64_t step = (uint64_t)w->limits.lookback_ms * 1000000 / 2, at = s->earliest_ns;
    if (step == 0)
        step = 1000000;
    if ((s->latest_ns - at) / step > TARGET_SAMPLES_MAX)
        at = s->latest_ns - TARGET_SAMPLES_MAX * step;
    uint64_t accepted = w->out->samples;
    for (; at < s->latest_ns && status == SX_OK; at += step)
        status = remote_sample(w, (int64_t)(at / 1000000), 0, 1, err);
    if (status == SX_OK)
        status = remote_sample(w, (int64_t)(s->latest_ns / 1000000), 0, 1, err);
    w->out->samples = accepted; /* what we add is nothing that was sent */
    return status;
}

static sx_status read_resource_head(otlp_state *s, sx_pb_reader r, uint64_t seed, sx_error *err)
{
    s->resource.count = 0;
    s->resource_hash = seed;
    while (sx_pb_next(&r)) {
        if (r.tag != SX_PB_TAG(1, SX_PB_BYTES)) {
            sx_pb_skip(&r);
            continue;
        }
        sx_pb_outer outer = sx_pb_enter(&r);
        while (sx_pb_next(&r)) {
            if (r.tag != SX_PB_TAG(1, SX_PB_BYTES)) {
                sx_pb_skip(&r);
                continue;
            }
            otlp_list *l = &s->resource;
            if (!sx_grow(&l->items, &l->cap, l->count + 1, sizeof *l->items))
                return sx_fail_memory(err, "a resource's attributes");
            l->items[l->count] = sx_pb_bytes(&r);
            s->resource_hash = sx_hash(l->items[l->count++], s->resource_hash);
        }
        sx_pb_leave(&r, outer);
    }
    return SX_OK;
}

static sx_status read_resource(remote_writer *w, sx_pb_reader *r, sx_error *err)
{
    otlp_state *s = w->otlp;
    sx_error bad = {0};
    s->earliest_ns = UINT64_MAX;
    s->latest_ns = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    sx_status status = read_resource_head(s, *r, w->seed, err);
    if (status == SX_OK) {
        status = otlp_resource_labels(w, &bad);
        if (status == SX_EINVAL) {
            otlp_reject(w, 1, "%s", bad.message);
            sx_pb_leave(r, outer);
            return SX_OK;
        }
        if (status != SX_OK)
            sx_fail(err, status, "%s", bad.message);
    }
    while (status == SX_OK && sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(2, SX_PB_BYTES))
            status = read_scope(w, r, err);
        else
            sx_pb_skip(r);
    }
    if (status == SX_OK && !r->fault)
        status = put_target_info(w, err);
    sx_pb_leave(r, outer);
    return status;
}

static sx_status read_request(remote_writer *w, sx_str body, sx_error *err)
{
    sx_pb_reader r;
    sx_status status = SX_OK;
    sx_pb_init(&r, body);
    while (status == SX_OK && sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            status = read_resource(w, &r, err);
        else
            sx_pb_skip(&r);
    }
    return status == SX_OK ? sx_pb_status(&r, "OTLP metrics request", err) : status;
}

/* --- The request. */

static sx_status of_json(remote_writer *w, sx_str body, sx_error *err)
{
    sx_json r;
    sx_buf_clear(&w->plain);
    sx_json_init(&r, body, &(sx_json_options){.arena = &w->arena});
    sx_status status = sx_otlp_json_read(&sx_otlp_metrics_data, &r, &w->plain, err);
    if (status == SX_OK)
        status = sx_json_finish(&r, err);
    return status;
}

static uint64_t hash_names(const sx_str *names, uint32_t count, uint64_t hash)
{
    for (uint32_t i = 0; i < count; i++)
        hash = sx_hash(names[i], hash + 1);
    return hash;
}

static uint64_t hash_config(const prom_otlp_config *c)
{
    const uint8_t flags[] = {c->promote_all,     (uint8_t)c->strategy, c->keep_identifying,
                             c->to_nhcb,         c->promote_scope,     c->name_sanitization,
                             c->keep_underscores};
    uint64_t hash = sx_hash_bytes(flags, sizeof flags, 0);
    return hash_names(c->ignore, c->ignore_count,
                      hash_names(c->promote, c->promote_count, hash) + 1);
}

static sx_status begin(remote_writer *w, const prom_otlp_config *config, remote_otlp_result *out,
                       sx_error *err)
{
    if (!w->otlp) {
        w->otlp = sx_calloc(1, sizeof *w->otlp);
        if (!w->otlp)
            return sx_fail_memory(err, "OTLP receiver");
        tsdb_labels_builder_init(&w->otlp->builder);
        sx_map64_init(&w->otlp->families, NULL);
        sx_arena_init(&w->otlp->names, 0, 0);
    }
    w->otlp->config = config;
    w->otlp->config_hash = hash_config(config);
    w->otlp->out = out;
    return SX_OK;
}

sx_status remote_otlp_metrics(remote_writer *w, const prom_otlp_config *config, sx_str body,
                              bool json, remote_otlp_result *out, sx_error *err)
{
    remote_written written = {.messages = out->message};
    *out = (remote_otlp_result){.message = out->message};
    if (body.len > w->limits.decoded_bytes_max)
        return sx_fail(err, SX_ELIMIT, "OTLP request of %zu bytes, more than the limit of %llu",
                       body.len, (unsigned long long)w->limits.decoded_bytes_max);
    sx_status status = begin(w, config, out, err);
    if (status == SX_OK)
        status = remote_begin(w, &written, err);
    if (status != SX_OK)
        return status;
    if (json) {
        status = of_json(w, body, err);
        body = sx_buf_view(&w->plain);
    }
    if (status == SX_OK)
        status = read_request(w, body, err);
    status = remote_end(w, status, err);
    out->accepted = written.samples + written.histograms;
    if (status != SX_OK)
        out->rejected = out->warnings = 0;
    return status;
}
