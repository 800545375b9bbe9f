/* derive_write.c - labels, samples, exemplars and metadata of rows. */
#include "observe/collector/derive_write.h"

#include <math.h>
#include <stdio.h>

#include <sextant/number.h>

#include "observe/tsdb/histogram.h"

enum { LABELS_MAX = DERIVE_VALUES_MAX + DERIVE_TAG_LABELS_MAX + 3 };

/* One row being written. */
typedef struct row_run {
    derive_writer *w;
    const derive_row *row;
    tsdb_appender *to;
    int64_t t_ms, start_ms;
    bool stale;
    tsdb_label labels[LABELS_MAX]; /* of the row, unsorted; two more are put behind them */
    size_t label_count;
    uint32_t at; /* the series' number among those of the row */
} row_run;

uint32_t derive_writer_refs(const derive_writer *w)
{
    uint32_t refs = 0;
    for (uint32_t i = 0; i < w->metric_count; i++)
        refs += !w->metrics[i].histogram || w->shape->expo_size ? 1 : w->shape->bound_count + 3;
    return refs;
}

static void row_labels(row_run *r)
{
    const derive_writer *w = r->w;
    r->label_count = 0;
    if (r->row->overflow) {
        r->labels[r->label_count++] = (tsdb_label){SX_STR("otel_metric_overflow"), SX_STR("true")};
        return;
    }
    for (uint32_t i = 0; i < w->shape->value_count; i++)
        if (r->row->values[i].len)
            r->labels[r->label_count++] = (tsdb_label){w->label_names[i], r->row->values[i]};
    if (w->tag_labels)
        r->label_count += w->tag_labels(w->tag_ctx, r->row->tag, r->labels + r->label_count);
}

static sx_status find_series(row_run *r, sx_str name, sx_str le, tsdb_ref *ref, sx_error *err)
{
    tsdb_label all[LABELS_MAX + 2];
    tsdb_labels labels;
    tsdb_refusal why = TSDB_TAKEN;
    size_t count = r->label_count;
    memcpy(all, r->labels, count * sizeof(*all));
    all[count++] = (tsdb_label){TSDB_METRIC_NAME, name};
    if (le.len)
        all[count++] = (tsdb_label){SX_STR("le"), le};
    sx_status st = tsdb_labels_sort(all, count, &labels, err);
    if (st == SX_OK)
        st = r->to->ops->series(r->to, labels, tsdb_labels_hash(labels), ref, &why, err);
    if (why != TSDB_TAKEN)
        r->w->refused++;
    return st;
}

/* Appends one value; `h` instead if not NULL. */
static sx_status append(row_run *r, tsdb_ref ref, int64_t t_ms, double v, const tsdb_histogram *h,
                        sx_error *err)
{
    tsdb_refusal why = TSDB_TAKEN;
    sx_status st = h ? r->to->ops->histogram(r->to, ref, t_ms, h, &why, err)
                     : r->to->ops->sample(r->to, ref, t_ms, v, &why, err);
    if (st == SX_OK && why == TSDB_TAKEN)
        r->w->samples++;
    else if (st == SX_OK)
        r->w->refused++;
    return st;
}

static sx_status append_zero(row_run *r, tsdb_ref ref, const tsdb_histogram *h, sx_error *err)
{
    tsdb_histogram none = {0};
    if (h)
        none = (tsdb_histogram){
            .schema = h->schema, .integer = true, .zero_threshold = h->zero_threshold};
    return append(r, ref, r->start_ms, 0, h ? &none : NULL, err);
}

/* The next series of the row: its name, its `le`, its sample. */
static sx_status put(row_run *r, sx_str name, sx_str le, double v, const tsdb_histogram *h,
                     tsdb_ref *ref, sx_error *err)
{
    uint64_t *kept = &r->row->refs[r->at++];
    tsdb_refusal why;
    *ref = *kept;
    if (r->stale && !*ref)
        return SX_OK;
    for (int attempt = 0; attempt < 2; attempt++) {
        sx_status st = *ref ? SX_OK : find_series(r, name, le, ref, err);
        if (st != SX_OK || !*ref) /* refused: the store is full; the next flush asks again */
            return st;
        if (r->stale) {
            st = append(r, *ref, r->t_ms, tsdb_stale(), NULL, err);
            return st == SX_ENOTFOUND ? SX_OK : st;
        }
        if (!r->row->written && r->start_ms < r->t_ms)
            st = append_zero(r, *ref, h, err);
        if (st == SX_OK)
            st = append(r, *ref, r->t_ms, v, h, err);
        if (st == SX_OK && !r->row->written)
            st = r->to->ops->start(r->to, *ref, r->t_ms, r->start_ms, &why, err);
        if (st != SX_ENOTFOUND) {
            *kept = *ref;
            return st;
        }
        *ref = 0; /* the series has left the head meanwhile */
    }
    *kept = 0;
    return SX_OK;
}

static sx_status put_exemplar(row_run *r, tsdb_ref ref, const derive_exemplar *e, sx_error *err)
{
    static const char HEX[] = "0123456789abcdef";
    char trace[32], span[16];
    tsdb_refusal why = TSDB_TAKEN;
    if (!ref)
        return SX_OK;
    for (int i = 0; i < 16; i++) {
        trace[i * 2] = HEX[e->trace_id[i] >> 4];
        trace[i * 2 + 1] = HEX[e->trace_id[i] & 15];
    }
    for (int i = 0; i < 8; i++) {
        span[i * 2] = HEX[e->span_id[i] >> 4];
        span[i * 2 + 1] = HEX[e->span_id[i] & 15];
    }
    const tsdb_label labels[] = {{SX_STR("span_id"), sx_str_of(span, sizeof(span))},
                                 {SX_STR("trace_id"), sx_str_of(trace, sizeof(trace))}};
    tsdb_exemplar x = {.labels = {labels, 2},
                       .value = (double)e->ns / r->w->ns_per_unit,
                       .t = r->t_ms,
                       .has_t = true};
    return r->to->ops->exemplar(r->to, ref, &x, &why, err);
}

/* The exemplar of a bucket (UINT32_MAX: any), if the row has one. */
static const derive_exemplar *exemplar_of(const derive_row *row, uint32_t histogram,
                                          uint32_t bucket)
{
    for (uint32_t i = 0; i < row->exemplar_count; i++)
        if (row->exemplars[i].histogram == histogram &&
            (bucket == UINT32_MAX || row->exemplars[i].bucket == bucket))
            return &row->exemplars[i];
    return NULL;
}

static sx_status tell(row_run *r, tsdb_ref ref, const derive_metric *m, const char *type,
                      sx_error *err)
{
    if (!ref || r->w->told || r->stale)
        return SX_OK;
    tsdb_metadata text = {.type = sx_str_z(type),
                          .help = sx_str_z(m->help),
                          .unit = !m->histogram              ? SX_STR("")
                                  : r->w->ns_per_unit == 1e9 ? SX_STR("seconds")
                                                             : SX_STR("milliseconds")};
    return r->to->ops->metadata(r->to, ref, &text, err);
}

static sx_status write_counter(row_run *r, const derive_metric *m, sx_error *err)
{
    const derive_row *row = r->row;
    tsdb_ref ref;
    if (!row->counters[m->which]) { /* it has never counted: no series of it */
        r->at++;
        return SX_OK;
    }
    sx_status st = put(r, m->name, (sx_str){0}, (double)row->counters[m->which], NULL, &ref, err);
    const derive_exemplar *e = exemplar_of(row, 0, UINT32_MAX);
    if (st == SX_OK && e && !r->stale)
        st = put_exemplar(r, ref, e, err);
    return st == SX_OK ? tell(r, ref, m, "counter", err) : st;
}

static sx_str with(char *space, size_t size, sx_str name, const char *suffix)
{
    int len = snprintf(space, size, "%.*s%s", SX_ARG(name), suffix);
    return sx_str_of(space, len < 0 ? 0 : (size_t)len < size ? (size_t)len : size - 1);
}

static sx_status write_explicit(row_run *r, const derive_metric *m, sx_error *err)
{
    const derive_histogram *h = &r->row->histograms[m->which];
    char space[512];
    tsdb_ref ref;
    sx_status st = SX_OK;
    uint64_t sum = 0;
    sx_str name = with(space, sizeof(space), m->name, "_bucket");
    for (uint32_t i = 0; i <= r->w->shape->bound_count && st == SX_OK; i++) {
        bool last = i == r->w->shape->bound_count;
        sum += h->buckets[i];
        st = put(r, name, last ? SX_STR("+Inf") : r->w->bounds[i], (double)sum, NULL, &ref, err);
        const derive_exemplar *e = h->has >> i & 1 ? exemplar_of(r->row, m->which, i) : NULL;
        if (st == SX_OK && e && !r->stale)
            st = put_exemplar(r, ref, e, err);
    }
    if (st == SX_OK)
        st = tell(r, ref, m, "histogram", err);
    if (st == SX_OK)
        st = put(r, with(space, sizeof(space), m->name, "_sum"), (sx_str){0},
                 h->sum_ns / r->w->ns_per_unit, NULL, &ref, err);
    if (st == SX_OK)
        st = tell(r, ref, m, "histogram", err);
    if (st == SX_OK)
        st = put(r, with(space, sizeof(space), m->name, "_count"), (sx_str){0}, (double)h->count,
                 NULL, &ref, err);
    return st == SX_OK ? tell(r, ref, m, "histogram", err) : st;
}

static sx_status write_exponential(row_run *r, const derive_metric *m, sx_error *err)
{
    const derive_histogram *h = &r->row->histograms[m->which];
    double counts[1024];
    tsdb_ref ref;
    tsdb_span span = {.offset = h->first, .length = h->used};
    sx_assert(h->used <= SX_COUNT_OF(counts));
    for (uint32_t i = 0; i < h->used; i++)
        counts[i] = (double)h->buckets[i];
    tsdb_histogram sample = {.schema = h->scale,
                             .integer = true,
                             .zero_threshold = 1e-128,
                             .zero_count = (double)h->zero,
                             .count = (double)h->count,
                             .sum = h->sum_ns / r->w->ns_per_unit,
                             .positive_spans = &span,
                             .positive_span_count = h->used > 0,
                             .positive = counts,
                             .positive_count = h->used};
    sx_status st = put(r, m->name, (sx_str){0}, 0, &sample, &ref, err);
    for (uint32_t i = 0; i < r->row->exemplar_count && st == SX_OK && !r->stale; i++)
        if (r->row->exemplars[i].histogram == m->which)
            st = put_exemplar(r, ref, &r->row->exemplars[i], err);
    return st == SX_OK ? tell(r, ref, m, "histogram", err) : st;
}

static sx_status write_row(row_run *r, sx_error *err)
{
    sx_status st = SX_OK;
    row_labels(r);
    r->at = 0;
    for (uint32_t i = 0; i < r->w->metric_count && st == SX_OK; i++) {
        const derive_metric *m = &r->w->metrics[i];
        st = !m->histogram            ? write_counter(r, m, err)
             : r->w->shape->expo_size ? write_exponential(r, m, err)
                                      : write_explicit(r, m, err);
    }
    return st;
}

/* Puts all rows into the appender. */
static sx_status write_sheet(derive_writer *w, derive_table *t, tsdb_appender *to, int64_t t_ms,
                             int64_t start_ms, sx_error *err)
{
    row_run r = {.w = w, .to = to, .t_ms = t_ms, .start_ms = start_ms};
    sx_status st = SX_OK;
    for (size_t i = 0; i < t->count && st == SX_OK; i++) {
        r.row = t->rows[i];
        st = write_row(&r, err);
    }
    r.row = t->overflow;
    if (st == SX_OK && (t->overflow->dirty || t->overflow->written))
        st = write_row(&r, err);
    return st;
}

/* After the commit: the rows are in the store. */
static void note_written(derive_sheet *sheet)
{
    derive_table *t = &sheet->whole;
    for (size_t i = 0; i < t->count; i++) {
        t->rows[i]->written = true;
        t->rows[i]->dirty = false;
    }
    t->overflow->written = t->overflow->written || t->overflow->dirty;
    t->overflow->dirty = false;
    sheet->writer.told = sheet->writer.told || t->count || t->overflow->written;
}

static sx_status write_all(derive_sheet *const *sheets, size_t count, tsdb_appendable *store,
                           int64_t t_ms, int64_t start_ms, sx_error *err)
{
    tsdb_appender *a;
    bool any = false;
    for (size_t i = 0; i < count; i++)
        any = any || sheets[i]->whole.count || sheets[i]->whole.overflow->dirty;
    if (!any)
        return SX_OK; /* an appender waits for a store that is not ready yet */
    sx_status st = store->appender(store, &a, err);
    if (st != SX_OK)
        return st;
    for (size_t i = 0; i < count && st == SX_OK; i++)
        st = write_sheet(&sheets[i]->writer, &sheets[i]->whole, a, t_ms, start_ms, err);
    if (st == SX_OK)
        st = a->ops->commit(a, err);
    else
        a->ops->rollback(a);
    a->ops->free(a);
    return st;
}

sx_status derive_flush(derive_sheet *const *sheets, size_t count, tsdb_appendable *store,
                       int64_t t_ms, int64_t start_ms, sx_error *err)
{
    sx_status st = write_all(sheets, count, store, t_ms, start_ms, err);
    for (size_t i = 0; i < count; i++) {
        if (st == SX_OK)
            note_written(sheets[i]);
        derive_table_forget_exemplars(&sheets[i]->whole);
    }
    return st;
}

/* --- Rows that leave. */

typedef struct leaving {
    derive_writer *writer;
    tsdb_appender *to;
    int64_t t_ms;
} leaving;

static void tell_stale(void *ctx, const derive_row *row)
{
    leaving *l = ctx;
    row_run r = {.w = l->writer, .row = row, .to = l->to, .t_ms = l->t_ms, .stale = true};
    if (l->to)
        (void)write_row(&r, NULL);
}

void derive_expire(derive_sheet *const *sheets, size_t count, tsdb_appendable *store,
                   int64_t before_mono_ms, int64_t t_ms)
{
    leaving out = {.t_ms = t_ms};
    if (store->appender(store, &out.to, NULL) != SX_OK)
        out.to = NULL;
    for (size_t i = 0; i < count; i++) {
        out.writer = &sheets[i]->writer;
        derive_table_expire(&sheets[i]->whole, before_mono_ms, tell_stale, &out);
    }
    if (out.to) {
        (void)out.to->ops->commit(out.to, NULL);
        out.to->ops->free(out.to);
    }
}

/* --- Names. */

sx_str derive_label_name(sx_arena *arena, sx_str text)
{
    bool digit = text.len && text.data[0] >= '0' && text.data[0] <= '9';
    sx_str out = sx_arena_printf(arena, "%s%.*s", digit ? "key_" : "", SX_ARG(text));
    for (size_t i = 0; i < out.len && out.data; i++) {
        char *c = (char *)out.data + i;
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9'))
            *c = '_';
    }
    return out;
}

sx_str derive_metric_name(sx_arena *arena, sx_str text)
{
    sx_str out = derive_label_name(arena, text);
    size_t len = 0;
    for (size_t i = 0; i < out.len && out.data; i++) /* runs of what is no letter are one _ */
        if (out.data[i] != '_' || (len && out.data[len - 1] != '_'))
            ((char *)out.data)[len++] = out.data[i];
    while (len && out.data[len - 1] == '_')
        len--;
    out.len = len;
    return out;
}

sx_str derive_bound_text(sx_arena *arena, uint64_t ns, double ns_per_unit)
{
    char text[SX_DOUBLE_BYTES];
    double bound = (double)ns / ns_per_unit;
    if (bound == floor(bound) && bound < 1e6) /* as Prometheus 3 has it, whoever wrote "2" */
        return sx_arena_printf(arena, "%.1f", bound);
    size_t len = sx_double_format(bound, SX_DOUBLE_JS, text);
    return sx_arena_copy(arena, sx_str_of(text, len));
}
