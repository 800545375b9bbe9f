/* scrape_append.c - what a target answered becomes samples.
 *
 * HOT, 150 ns a sample with parsing: a line that is where it was last time costs a comparison, the
 * reading of its number and the append by reference. Only a series that the cache does not know has
 * its labels read, merged with the target's, relabelled and looked up in the store.
 * Which refusals fail a scrape and which are only counted is Prometheus's: samples out of order,
 * duplicate or out of bounds are dropped and counted; a limit fails the scrape, but all of the body is
 * read so that the counts are right. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "observe/scrape/scrape_internal.h"

typedef struct append_run {
    scrape_target *t;
    scrape_loop *loop;
    const prom_scrape_config *job;
    tsdb_appender *app;
    scrape_cache *cache;
    scrape_counts *counts;
    int64_t time_ms, time_max_ms;
    uint64_t appended; /* of which sample_limit is about */
    uint64_t refused[TSDB_REFUSALS];
    bool over_samples, over_buckets;
    const scrape_meta *meta; /* of the family under way */
    const scrape_meta *told; /* the store knows it for names longer than the family's by bits of */
    uint32_t told_suffixes;
} append_run;

/* --- Series. */

/* The labels as stored. *keep false: relabelling drops it. */
static sx_status stored_labels(append_run *r, const prom_entry *e, tsdb_labels *out, bool *keep,
                               sx_error *err)
{
    tsdb_labels own;
    sx_arena *scratch = &r->loop->scratch;
    sx_arena_reset(scratch);
    sx_status st = prom_exposition_labels(r->loop->reader, e, scratch, &own, err);
    if (st == SX_OK)
        st = target_series_labels(own, r->t->shown, r->job, &r->loop->builder, scratch, out, keep,
                                  err);
    if (st != SX_OK || !*keep)
        return st;
    st = target_series_check(*out, r->job, err);
    if (st == SX_ELIMIT)
        scrape_metrics_add(&r->t->manager->metrics, SCRAPE_LABEL_LIMITS, 1);
    return st;
}

static bool at_sample_limit(append_run *r)
{
    if (r->job->limits.samples == 0 || r->appended < r->job->limits.samples)
        return false;
    r->over_samples = true;
    return true;
}

/* *out is NULL if the series was not taken, which has been counted. */
static sx_status add_series(append_run *r, const prom_entry *e, cache_entry **out, sx_error *err)
{
    tsdb_labels l;
    tsdb_ref ref = 0;
    tsdb_refusal why = TSDB_TAKEN;
    bool keep;
    *out = NULL;
    sx_status st = stored_labels(r, e, &l, &keep, err);
    if (st != SX_OK)
        return st;
    if (keep && at_sample_limit(r)) {
        r->counts->after_relabel++;
        return SX_OK;
    }
    if (keep)
        st = r->app->ops->series(r->app, l, tsdb_labels_hash(l), &ref, &why, err);
    if (st != SX_OK)
        return st;
    if (why != TSDB_TAKEN) {
        r->refused[why]++;
        r->counts->after_relabel++;
        return SX_OK;
    }
    *out = scrape_cache_add(r->cache, e->series, ref);
    return *out ? SX_OK : sx_fail_memory(err, "the series of a target");
}

/* The series has left the store: the reference is asked for again. */
static SX_COLD sx_status renew(append_run *r, const prom_entry *e, cache_entry *c, sx_error *err)
{
    tsdb_labels l;
    tsdb_refusal why;
    bool keep;
    sx_status st = stored_labels(r, e, &l, &keep, err);
    if (st == SX_OK)
        st = r->app->ops->series(r->app, l, tsdb_labels_hash(l), &c->ref, &why, err);
    if (st == SX_OK && why != TSDB_TAKEN)
        st = sx_fail(err, SX_ELIMIT, "%s", tsdb_refusal_words(why));
    return st;
}

/* --- Histograms. */

static uint32_t bucket_count(const tsdb_histogram *h)
{
    return h->positive_count + h->negative_count;
}

/* Brings a histogram within native_histogram_min_bucket_factor and native_histogram_bucket_limit by
 * making its buckets wider. *fits is false if that is not possible. */
static sx_status limit_histogram(append_run *r, const tsdb_histogram **h, tsdb_histogram *narrow,
                                 bool *fits, sx_error *err)
{
    uint32_t limit = r->job->limits.native_histogram_buckets;
    bool custom = (*h)->schema == TSDB_SCHEMA_CUSTOM;
    int32_t schema = (*h)->schema;
    *fits = true;
    if (!custom && schema > r->t->job->schema_max)
        schema = r->t->job->schema_max;
    for (;;) {
        if (schema != (*h)->schema) {
            sx_status st =
                tsdb_histogram_reduce(*h, schema, &r->loop->histogram_arena, narrow, err);
            if (st != SX_OK)
                return st;
            *h = narrow;
        }
        if (limit == 0 || bucket_count(*h) <= limit)
            return SX_OK;
        if (custom || schema <= TSDB_SCHEMA_MIN) {
            *fits = false;
            return SX_OK;
        }
        schema--;
    }
}

static sx_status append_histogram(append_run *r, const prom_entry *e, tsdb_ref ref, int64_t t,
                                  tsdb_refusal *why, sx_error *err)
{
    const tsdb_histogram *h = e->histogram;
    tsdb_histogram narrow;
    bool fits;
    sx_arena_reset(&r->loop->histogram_arena);
    sx_status st = limit_histogram(r, &h, &narrow, &fits, err);
    if (st != SX_OK)
        return st;
    if (!fits) {
        r->over_buckets = true;
        *why = TSDB_REFUSALS; /* neither taken nor refused by the store */
        return SX_OK;
    }
    st = r->app->ops->histogram(r->app, ref, t, h, why, err);
    if (st == SX_OK && *why == TSDB_BAD_HISTOGRAM) {
        st = tsdb_histogram_check(h, err);
        if (st == SX_OK)
            st = sx_fail(err, SX_EINVAL, "invalid histogram");
    }
    return st;
}

/* --- Start times. */

/* A zero at the moment when a counter began, once for each beginning. What the store refuses is not
 * counted: mostly it knows the series from before. */
static sx_status append_zero(append_run *r, const prom_entry *e, tsdb_ref ref, int64_t t,
                             sx_error *err)
{
    tsdb_refusal why;
    scrape_target *target = r->t;
    if (e->start_t >= t)
        return SX_OK;
    sx_map64_entry *known = sx_map64_put(&target->starts, ref, NULL);
    if (!known)
        return sx_fail_memory(err, "start times of a target");
    if (known->u64 == (uint64_t)e->start_t)
        return SX_OK;
    known->u64 = (uint64_t)e->start_t;
    r->app->in_order_only = true;
    sx_status st;
    if (e->kind == PROM_ENTRY_HISTOGRAM) {
        tsdb_histogram zero = {.schema = e->histogram->schema,
                               .reset = TSDB_RESET_YES,
                               .integer = e->histogram->integer,
                               .zero_threshold = e->histogram->zero_threshold,
                               .bounds = e->histogram->bounds,
                               .bound_count = e->histogram->bound_count};
        st = r->app->ops->histogram(r->app, ref, e->start_t, &zero, &why, err);
    } else {
        st = r->app->ops->sample(r->app, ref, e->start_t, 0, &why, err);
    }
    r->app->in_order_only = false;
    return st;
}

static sx_status append_start(append_run *r, const prom_entry *e, tsdb_ref ref, int64_t t,
                              sx_error *err)
{
    tsdb_refusal why;
    const prom_scraper_options *o = &r->t->manager->options;
    sx_status st = o->created_as_zero ? append_zero(r, e, ref, t, err) : SX_OK;
    if (st == SX_OK && o->start_times)
        st = r->app->ops->start(r->app, ref, t, e->start_t, &why, err);
    return st;
}

/* --- Exemplars. */

static int by_time(const void *a, const void *b)
{
    const tsdb_exemplar *x = a, *y = b;
    if (x->t != y->t)
        return x->t < y->t ? -1 : 1;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return tsdb_labels_compare(x->labels, y->labels);
}

/* Those of a native histogram need a time of their own, or each scrape would store them again. */
static sx_status append_exemplars(append_run *r, const prom_entry *e, tsdb_ref ref, int64_t t,
                                  sx_error *err)
{
    scrape_loop *loop = r->loop;
    size_t count = 0, refused = 0;
    if (!sx_grow(&loop->exemplars, &loop->exemplar_cap, e->exemplar_count, sizeof *loop->exemplars))
        return sx_fail_memory(err, "exemplars");
    for (uint32_t i = 0; i < e->exemplar_count; i++) {
        tsdb_exemplar x = e->exemplars[i];
        if (!x.has_t && e->kind == PROM_ENTRY_HISTOGRAM)
            continue;
        x.t = x.has_t ? x.t : t;
        x.has_t = true;
        loop->exemplars[count++] = x;
    }
    if (count > 1)
        qsort(loop->exemplars, count, sizeof *loop->exemplars, by_time);
    for (size_t i = 0; i < count; i++) {
        tsdb_refusal why;
        sx_status st = r->app->ops->exemplar(r->app, ref, &loop->exemplars[i], &why, err);
        if (st != SX_OK)
            return st;
        refused += why != TSDB_TAKEN;
    }
    if (count && refused == count) /* else it was a partial update of those known */
        r->refused[TSDB_EXEMPLAR_REFUSED] += refused;
    return SX_OK;
}

/* --- Metadata. */

static sx_status tell_metadata(append_run *r, const prom_entry *e, tsdb_ref ref, sx_error *err)
{
    tsdb_labels own;
    const scrape_meta *m = r->meta;
    sx_status st = prom_exposition_labels(r->loop->reader, e, &r->loop->histogram_arena, &own, err);
    if (st != SX_OK)
        return st;
    sx_str name = tsdb_labels_get(own, TSDB_METRIC_NAME);
    if (!scrape_meta_covers(m, name))
        return SX_OK;
    uint32_t suffix = UINT32_C(1) << (name.len - m->name.len); /* _bucket is the longest */
    if (r->told != m)
        r->told_suffixes = 0;
    r->told = m;
    if (r->told_suffixes & suffix)
        return SX_OK;
    r->told_suffixes |= suffix;
    tsdb_metadata text = {.type = m->type,
                          .help = sx_str_of(m->help, m->help_len),
                          .unit = sx_str_of(m->unit, m->unit_len)};
    return r->app->ops->metadata(r->app, ref, &text, err);
}

/* --- Samples. */

static inline sx_status append_value(append_run *r, const prom_entry *e, tsdb_ref ref, int64_t t,
                                     tsdb_refusal *why, sx_error *err)
{
    if (sx_unlikely(e->start_t != 0)) {
        sx_status st = append_start(r, e, ref, t, err);
        if (st != SX_OK)
            return st;
    }
    return sx_likely(e->kind == PROM_ENTRY_SERIES)
               ? r->app->ops->sample(r->app, ref, t, e->value, why, err)
               : append_histogram(r, e, ref, t, why, err);
}

/* What follows the sample of a series that is new or carries more than a value. */
static sx_status append_rest(append_run *r, const prom_entry *e, tsdb_ref ref, int64_t t,
                             bool added, sx_error *err)
{
    sx_status st = e->exemplar_count ? append_exemplars(r, e, ref, t, err) : SX_OK;
    if (st == SX_OK && r->meta && (added || r->meta->changed == r->t->meta_scrape))
        st = tell_metadata(r, e, ref, err);
    return st;
}

/* HOT. */
static sx_status take_sample(append_run *r, const prom_entry *e, sx_error *err)
{
    bool own_time = e->has_t && r->job->honor_timestamps, memory = true;
    int64_t t = own_time ? e->t : r->time_ms;
    sx_status st;
    r->counts->total++;
    cache_entry *c =
        e->expected ? scrape_cache_take(r->cache) : scrape_cache_find(r->cache, e->series);
    bool added = !c;
    if (sx_unlikely(added)) {
        st = add_series(r, e, &c, err);
        if (st != SX_OK || !c)
            return st;
    }
    bool first = scrape_cache_note(r->cache, c, &memory);
    if (sx_unlikely(!memory))
        return sx_fail_memory(err, "the series of a target");
    if (c->ref == 0)
        return SX_OK;
    r->counts->after_relabel++;
    tsdb_refusal why = TSDB_TAKEN;
    if (sx_unlikely(!first && !own_time)) {
        why = TSDB_DUPLICATE;
    } else if (sx_unlikely(t > r->time_max_ms)) {
        why = TSDB_OUT_OF_BOUNDS;
    } else {
        if (sx_unlikely(at_sample_limit(r)))
            return SX_OK;
        r->appended++;
        st = append_value(r, e, c->ref, t, &why, err);
        if (sx_unlikely(st == SX_ENOTFOUND)) {
            st = renew(r, e, c, err);
            if (st == SX_OK)
                st = append_value(r, e, c->ref, t, &why, err);
        }
        if (sx_unlikely(st != SX_OK))
            return st;
    }
    if (sx_unlikely(why != TSDB_TAKEN)) {
        if (why < TSDB_REFUSALS)
            r->refused[why]++;
        return SX_OK;
    }
    r->counts->added += added;
    if (!own_time || r->job->track_timestamps_staleness)
        scrape_cache_track(r->cache, c);
    if (sx_likely(!added && e->exemplar_count == 0 &&
                  (!r->meta || r->meta->changed != r->t->meta_scrape)))
        return SX_OK;
    return append_rest(r, e, c->ref, t, added, err);
}

static sx_status take_body(append_run *r, sx_error *err)
{
    prom_exposition *x = r->loop->reader;
    void (*soon)(const tsdb_appender *, tsdb_ref) = r->app->ops->soon;
    for (;;) {
        prom_entry e;
        if (soon)
            soon(r->app, scrape_cache_ahead(r->cache));
        prom_exposition_expect(x, scrape_cache_expected(r->cache));
        sx_status st = prom_exposition_next(x, &e, err);
        if (st != SX_OK)
            return st == SX_END ? SX_OK : st;
        if (e.kind == PROM_ENTRY_SERIES || e.kind == PROM_ENTRY_HISTOGRAM)
            st = take_sample(r, &e, err);
        else
            r->meta = scrape_meta_take(r->t, &e);
        if (sx_unlikely(st != SX_OK))
            return st;
    }
}

/* --- Staleness. */

typedef struct stale_run {
    tsdb_appender *app;
    int64_t time_ms;
} stale_run;

/* A series that has left the store, or that someone else goes on with, needs no marker. */
static sx_status append_stale(void *ctx, tsdb_ref ref, sx_error *err)
{
    const stale_run *r = ctx;
    tsdb_refusal why;
    sx_status st = r->app->ops->sample(r->app, ref, r->time_ms, tsdb_stale(), &why, err);
    return st == SX_ENOTFOUND ? SX_OK : st;
}

static sx_status append_markers(scrape_target *t, bool all, int64_t time_ms, sx_error *err)
{
    stale_run r = {t->loop->appender, time_ms};
    r.app->in_order_only = true;
    sx_status st = scrape_cache_each_stale(&t->cache, all, append_stale, &r, err);
    r.app->in_order_only = false;
    return st;
}

/* --- What was refused. */

static const struct {
    tsdb_refusal why;
    scrape_counter counter;
    const char *words;
} REFUSALS[] = {
    {TSDB_OUT_OF_ORDER, SCRAPE_OUT_OF_ORDER, "Error on ingesting out-of-order samples"},
    {TSDB_DUPLICATE, SCRAPE_DUPLICATE,
     "Error on ingesting samples with different value but same timestamp"},
    {TSDB_OUT_OF_BOUNDS, SCRAPE_OUT_OF_BOUNDS,
     "Error on ingesting samples that are too old or are too far into the future"},
    {TSDB_EXEMPLAR_REFUSED, SCRAPE_EXEMPLAR_OUT_OF_ORDER,
     "Error on ingesting out-of-order exemplars"},
    {TSDB_SERIES_LIMIT, SCRAPE_SERIES_REFUSED,
     "New series are refused: the head is at its memory budget or series limit"},
};

static void report_refusals(append_run *r)
{
    prom_scraper *s = r->t->manager;
    r->refused[TSDB_OUT_OF_BOUNDS] += r->refused[TSDB_TOO_OLD];
    for (size_t i = 0; i < SX_COUNT_OF(REFUSALS); i++) {
        uint64_t n = r->refused[REFUSALS[i].why];
        if (n == 0)
            continue;
        scrape_metrics_add(&s->metrics, REFUSALS[i].counter, n);
        if (s->log)
            SX_LOG_WARN(s->log, NULL, REFUSALS[i].words,
                        sx_field_str("scrape_pool", r->job->job_name),
                        sx_field_str("target", r->t->url), sx_field_u64("num_dropped", n));
    }
}

static sx_status limits_kept(const append_run *r, sx_error *err)
{
    scrape_metrics *m = &r->t->manager->metrics;
    if (r->over_samples)
        scrape_metrics_add(m, SCRAPE_SAMPLE_LIMIT, 1);
    if (r->over_buckets)
        scrape_metrics_add(m, SCRAPE_BUCKET_LIMIT, 1);
    if (r->over_samples)
        return sx_fail(err, SX_ELIMIT, "sample limit exceeded");
    return r->over_buckets ? sx_fail(err, SX_ELIMIT, "histogram bucket limit exceeded") : SX_OK;
}

/* --- */

static sx_status begin_body(scrape_target *t, sx_str body, sx_str content_type, sx_error *err)
{
    scrape_loop *loop = t->loop;
    const prom_scraper_options *s = &t->manager->options;
    prom_exposition_options o = {.native_histograms = t->native_histograms,
                                 .classic_always = t->classic_always,
                                 .classic_to_nhcb = t->classic_to_nhcb,
                                 .type_unit_labels = s->type_unit_labels,
                                 .skip_created = s->created_as_zero || s->start_times};
    sx_status st =
        prom_exposition_protocol(content_type, t->job->c->fallback_protocol, &o.protocol, err);
    if (st == SX_OK && !loop->reader)
        st = prom_exposition_new(&o, &loop->reader, err);
    if (st == SX_OK)
        prom_exposition_reset(loop->reader, &o, body);
    return st;
}

sx_status scrape_append(scrape_target *t, sx_str body, sx_str content_type, scrape_counts *counts,
                        sx_error *err)
{
    append_run r = {.t = t,
                    .loop = t->loop,
                    .job = t->job->c,
                    .app = t->loop->appender,
                    .cache = &t->cache,
                    .counts = counts,
                    .time_ms = t->t,
                    .time_max_ms = sx_clock_ms(t->manager->clock) + SCRAPE_AHEAD_MS};
    if (body.len == 0) /* Prometheus takes an empty answer for a target that has nothing to say */
        return scrape_append_nothing(t, t->t, err);
    scrape_cache_begin(&t->cache);
    scrape_meta_begin(t);
    sx_status st = begin_body(t, body, content_type, err);
    if (st == SX_OK)
        st = take_body(&r, err);
    report_refusals(&r);
    if (st == SX_OK)
        st = limits_kept(&r, err);
    if (st == SX_OK)
        st = append_markers(t, false, t->t, err);
    sx_arena_reset(&t->loop->histogram_arena);
    if (st != SX_OK)
        return st; /* scrape_append_nothing ends the cache's scrape */
    scrape_cache_commit(&t->cache);
    scrape_meta_end(t);
    return SX_OK;
}

sx_status scrape_append_nothing(scrape_target *t, int64_t time_ms, sx_error *err)
{
    sx_status st = append_markers(t, true, time_ms, err);
    scrape_cache_fail(&t->cache);
    return st;
}

/* --- Synthetic series. */

static const sx_str REPORTS[SCRAPE_REPORTS] = {
    SX_STR_INIT("up"),
    SX_STR_INIT("scrape_duration_seconds"),
    SX_STR_INIT("scrape_samples_scraped"),
    SX_STR_INIT("scrape_samples_post_metric_relabeling"),
    SX_STR_INIT("scrape_series_added"),
    SX_STR_INIT("scrape_timeout_seconds"),
    SX_STR_INIT("scrape_sample_limit"),
    SX_STR_INIT("scrape_body_size_bytes"),
};
enum { REPORTS_USUAL = 5 }; /* the others only with extra_scrape_metrics */

static sx_status find_report(scrape_target *t, size_t i, sx_error *err)
{
    scrape_loop *loop = t->loop;
    tsdb_refusal why;
    sx_status st = tsdb_labels_builder_reset(&loop->builder, t->shown, err);
    if (st == SX_OK)
        st = tsdb_labels_builder_set(&loop->builder, TSDB_METRIC_NAME, REPORTS[i], err);
    if (st != SX_OK)
        return st;
    tsdb_labels l = tsdb_labels_builder_take(&loop->builder);
    st = loop->appender->ops->series(loop->appender, l, tsdb_labels_hash(l), &t->reports[i], &why,
                                     err);
    if (st == SX_OK && why != TSDB_TAKEN)
        t->reports[i] = 0; /* no room for new series: the scrape goes on without */
    return st;
}

static sx_status append_report(scrape_target *t, size_t i, int64_t time_ms, double v, sx_error *err)
{
    tsdb_appender *app = t->loop->appender;
    tsdb_refusal why;
    sx_status st =
        t->reports[i] ? app->ops->sample(app, t->reports[i], time_ms, v, &why, err) : SX_ENOTFOUND;
    if (st != SX_ENOTFOUND)
        return st;
    st = find_report(t, i, err);
    if (st == SX_OK && t->reports[i])
        st = app->ops->sample(app, t->reports[i], time_ms, v, &why, err);
    return st;
}

sx_status scrape_append_report(scrape_target *t, int64_t time_ms, bool up, double duration_s,
                               const scrape_counts *counts, bool stale, sx_error *err)
{
    const double values[SCRAPE_REPORTS] = {up,
                                           duration_s,
                                           (double)counts->total,
                                           (double)counts->after_relabel,
                                           (double)counts->added,
                                           (double)t->timeout_ms / 1000,
                                           t->job->c->limits.samples,
                                           (double)counts->body_bytes};
    size_t count = t->job->c->extra_metrics ? SCRAPE_REPORTS : REPORTS_USUAL;
    sx_status st = SX_OK;
    t->loop->appender->in_order_only = stale;
    for (size_t i = 0; i < count && st == SX_OK; i++)
        st = append_report(t, i, time_ms, stale ? tsdb_stale() : values[i], err);
    t->loop->appender->in_order_only = false;
    return st;
}
