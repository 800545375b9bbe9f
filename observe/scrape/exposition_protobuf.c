/* exposition_protobuf.c - delimited io.prometheus.client.MetricFamily messages.
 *
 * A family's head is read first, then its metrics one by one: each is taken apart into arrays that are
 * used again for the next, and the entries that it stands for (a counter one, a summary its count, sum
 * and quantiles, a histogram its native form, its classic series or both) are given out in the order
 * in which Prometheus gives them. Source: io/prometheus/client/metrics.proto. */
#include <math.h>

#include <sextant/mem.h>
#include <sextant/number.h>
#include <sextant/utf8.h>

#include "observe/scrape/exposition_protobuf.h"

/* --- Entries. */

/* What identifies the series: its name with suffix, its labels as they came, the bound. */
static sx_status make_key(struct expo_protobuf *p, const char *suffix, const char *bound_name,
                          double bound, prom_entry *out, sx_error *err)
{
    p->suffix = sx_str_z(suffix);
    p->bound_name = bound_name;
    p->bound_len = 0;
    if (bound_name) {
        char text[SX_DOUBLE_BYTES];
        size_t len = sx_double_format(bound, SX_DOUBLE_GO, text);
        p->bound_len = expo_normal_float(sx_str_of(text, len), p->bound_text);
    }
    sx_buf_clear(&p->key);
    sx_buf_str(&p->key, p->name);
    sx_buf_str(&p->key, p->suffix);
    for (size_t i = 0; i < p->labels.count; i++) {
        sx_buf_byte(&p->key, '\xff');
        sx_buf_str(&p->key, p->labels.items[i].name);
        sx_buf_byte(&p->key, '\xff');
        sx_buf_str(&p->key, p->labels.items[i].value);
    }
    if (bound_name) {
        sx_buf_byte(&p->key, '\xff');
        sx_buf_bytes(&p->key, p->bound_text, p->bound_len);
    }
    out->series = sx_buf_view(&p->key);
    out->has_t = p->t != 0; /* the format cannot tell "none" from 1970 */
    out->t = p->t;
    out->start_t = p->start_t;
    return sx_buf_status(&p->key, "a series", err);
}

static sx_status add_exemplar(prom_exposition *x, sx_str message, prom_entry *out, sx_error *err)
{
    struct expo_protobuf *p = x->protobuf;
    p->exemplars.count = 0;
    if (message.len == 0)
        return SX_OK;
    sx_status st = expo_message_exemplar(p, message, &x->scratch, err);
    out->exemplars = p->exemplars.items;
    out->exemplar_count = (uint32_t)p->exemplars.count;
    return st;
}

static sx_status give_value(prom_exposition *x, prom_entry *out, sx_error *err)
{
    struct expo_protobuf *p = x->protobuf;
    p->phase = PHASE_METRIC;
    out->value = p->value;
    sx_status st = make_key(p, "", NULL, 0, out, err);
    return st == SX_OK ? add_exemplar(x, p->exemplar, out, err) : st;
}

/* Step 0 is the count, 1 the sum, then quantiles or buckets; a histogram ends with +Inf even if the
 * target left it out. */
static sx_status give_classic(prom_exposition *x, prom_entry *out, sx_error *err)
{
    struct expo_protobuf *p = x->protobuf;
    size_t step = p->step++, i = step - 2;
    const quantile *q = step >= 2 && i < p->quantiles.count ? &p->quantiles.items[i] : NULL;
    bool last = step >= 1 && p->step - 2 >= p->quantiles.count;
    if (expo_is_histogram(p))
        last = step >= 2 && (!q || q->bound == INFINITY);
    if (last) {
        bool native = expo_is_native(p) && x->options.native_histograms;
        p->phase = x->options.classic_to_nhcb && expo_is_histogram(p) && !native ? PHASE_NHCB
                                                                                 : PHASE_METRIC;
    }
    if (step < 2) {
        out->value = step == 0 ? p->count : p->sum;
        return make_key(p, step == 0 ? "_count" : "_sum", NULL, 0, out, err);
    }
    out->value = q ? q->value : p->count;
    bool summary = p->type == EXPO_SUMMARY;
    sx_status st = make_key(p, summary ? "" : "_bucket", summary ? "quantile" : "le",
                            q ? q->bound : INFINITY, out, err);
    return st == SX_OK && q ? add_exemplar(x, q->exemplar, out, err) : st;
}

static sx_status check_spans(const struct expo_protobuf *p, int side, size_t have, sx_error *err)
{
    uint64_t want = 0;
    for (size_t i = 0; i < p->spans[side].count; i++)
        want += p->spans[side].items[i].length;
    if (want == have)
        return SX_OK;
    return sx_fail(err, SX_EFORMAT,
                   "histogram \"%.*s\": %s side: spans require %llu buckets, have %zu",
                   SX_ARG(sx_str_first(p->name, 100)), side ? "positive" : "negative",
                   (unsigned long long)want, have);
}

static sx_status give_native(prom_exposition *x, prom_entry *out, sx_error *err)
{
    struct expo_protobuf *p = x->protobuf;
    const double *counts[2];
    if (p->schema < TSDB_SCHEMA_MIN || p->schema > TSDB_SCHEMA_MAX)
        return sx_fail(err, SX_EFORMAT,
                       "histogram \"%.*s\": invalid schema %d, which must be between %d and %d",
                       SX_ARG(sx_str_first(p->name, 100)), p->schema, TSDB_SCHEMA_MIN,
                       TSDB_SCHEMA_MAX);
    for (int side = 0; side < 2; side++) {
        bool floats = p->is_float;
        counts[side] = floats ? p->float_counts[side].items : p->counts[side].items;
        sx_status st =
            check_spans(p, side, floats ? p->float_counts[side].count : p->counts[side].count, err);
        if (st != SX_OK)
            return st;
    }
    size_t sizes[2];
    for (int side = 0; side < 2; side++)
        sizes[side] = p->is_float ? p->float_counts[side].count : p->counts[side].count;
    p->histogram = (tsdb_histogram){.schema = p->schema,
                                    .reset = p->type == EXPO_GAUGEHISTOGRAM ? TSDB_RESET_GAUGE
                                                                            : TSDB_RESET_UNKNOWN,
                                    .integer = !p->is_float,
                                    .zero_threshold = p->zero_threshold,
                                    .zero_count = p->zero_count,
                                    .count = p->count,
                                    .sum = p->sum,
                                    .negative_spans = p->spans[0].items,
                                    .negative_span_count = (uint32_t)p->spans[0].count,
                                    .negative = counts[0],
                                    .negative_count = (uint32_t)sizes[0],
                                    .positive_spans = p->spans[1].items,
                                    .positive_span_count = (uint32_t)p->spans[1].count,
                                    .positive = counts[1],
                                    .positive_count = (uint32_t)sizes[1]};
    p->phase = x->options.classic_always && p->quantiles.count ? PHASE_CLASSIC : PHASE_METRIC;
    out->kind = PROM_ENTRY_HISTOGRAM;
    out->histogram = &p->histogram;
    sx_status st = make_key(p, "", NULL, 0, out, err);
    p->exemplars.count = 0;
    for (size_t i = 0; i < p->exemplar_messages.count && st == SX_OK; i++)
        st = expo_message_exemplar(p, p->exemplar_messages.items[i], &x->scratch, err);
    for (size_t i = 0; !p->exemplar_messages.count && i < p->quantiles.count && st == SX_OK; i++) {
        if (p->quantiles.items[i].exemplar.len) /* older libraries have them at the buckets */
            st = expo_message_exemplar(p, p->quantiles.items[i].exemplar, &x->scratch, err);
    }
    out->exemplars = p->exemplars.items;
    out->exemplar_count = (uint32_t)p->exemplars.count;
    return st;
}

static sx_status give_nhcb(prom_exposition *x, prom_entry *out, sx_error *err)
{
    struct expo_protobuf *p = x->protobuf;
    nhcb_clear(&p->classic);
    p->classic.sum = p->sum;
    sx_status st = nhcb_count_set(&p->classic, p->count, err);
    for (size_t i = 0; i < p->quantiles.count && st == SX_OK; i++)
        st = nhcb_bucket_add(&p->classic, p->quantiles.items[i].bound, p->quantiles.items[i].value,
                             err);
    if (st == SX_OK)
        st = nhcb_convert(&p->classic, p->type == EXPO_GAUGEHISTOGRAM, &x->scratch, &p->histogram,
                          err);
    p->phase = PHASE_METRIC;
    out->kind = PROM_ENTRY_HISTOGRAM;
    out->histogram = &p->histogram;
    return st == SX_OK ? make_key(p, "", NULL, 0, out, err) : st;
}

/* What a metric gives first. */
static expo_phase first_phase(const prom_exposition *x)
{
    const struct expo_protobuf *p = x->protobuf;
    if (!expo_is_histogram(p))
        return PHASE_CLASSIC;
    if (x->options.native_histograms && expo_is_native(p))
        return PHASE_NATIVE;
    return x->options.classic_to_nhcb && !x->options.classic_always ? PHASE_NHCB : PHASE_CLASSIC;
}

static sx_status give_metadata(struct expo_protobuf *p, prom_entry_kind kind, sx_str text,
                               expo_phase next, prom_entry *out)
{
    out->kind = kind;
    out->metric = p->name;
    out->text = text;
    p->phase = next;
    return SX_OK;
}

sx_status expo_protobuf_next(prom_exposition *x, prom_entry *out, sx_error *err)
{
    struct expo_protobuf *p = x->protobuf;
    *out = (prom_entry){0};
    sx_arena_reset(&x->scratch);
    for (;;) {
        sx_status st;
        switch (p->phase) {
        case PHASE_FAMILY:
            st = expo_message_family(p, err);
            if (st == SX_OK)
                st = expo_message_metric(p,
                                         err); /* an empty family says nothing, not even its help */
            else
                return st;
            if (st == SX_OK)
                p->phase = PHASE_HELP;
            else if (st != SX_END)
                return st;
            break;
        case PHASE_HELP:
            return give_metadata(p, PROM_ENTRY_HELP, p->help, p->unit.len ? PHASE_UNIT : PHASE_TYPE,
                                 out);
        case PHASE_UNIT:
            return give_metadata(p, PROM_ENTRY_UNIT, p->unit, PHASE_TYPE, out);
        case PHASE_TYPE:
            return give_metadata(p, PROM_ENTRY_TYPE, EXPO_TYPE_NAMES[p->type], first_phase(x), out);
        case PHASE_METRIC:
            st = expo_message_metric(p, err);
            if (st != SX_OK && st != SX_END)
                return st;
            p->phase = st == SX_END ? PHASE_FAMILY : first_phase(x);
            break;
        case PHASE_NATIVE:
            return give_native(x, out, err);
        case PHASE_CLASSIC:
            return expo_is_histogram(p) || p->type == EXPO_SUMMARY ? give_classic(x, out, err)
                                                                   : give_value(x, out, err);
        case PHASE_NHCB:
            return give_nhcb(x, out, err);
        }
    }
}

sx_status expo_protobuf_labels(prom_exposition *x, sx_arena *arena, tsdb_labels *out, sx_error *err)
{
    const struct expo_protobuf *p = x->protobuf;
    tsdb_label *items = sx_arena_calloc(arena, p->labels.count + 4, sizeof *items);
    sx_str name = sx_arena_printf(arena, "%.*s%.*s", SX_ARG(p->name), SX_ARG(p->suffix));
    sx_str bound = sx_arena_copy(arena, sx_str_of(p->bound_text, p->bound_len));
    size_t count = 0;
    if (!items || !name.data || !bound.data)
        return sx_fail_memory(err, "labels of a series");
    items[count++] = (tsdb_label){TSDB_METRIC_NAME, name};
    if (x->options.type_unit_labels && p->type != EXPO_UNKNOWN)
        items[count++] = (tsdb_label){SX_STR("__type__"), EXPO_TYPE_NAMES[p->type]};
    if (x->options.type_unit_labels && p->unit.len)
        items[count++] = (tsdb_label){SX_STR("__unit__"), p->unit};
    size_t ours = count;
    for (size_t i = 0; i < p->labels.count; i++) {
        const tsdb_label *l = &p->labels.items[i];
        bool taken = false;
        for (size_t k = 0; k < ours; k++)
            taken |= sx_str_eq(items[k].name, l->name);
        if (!sx_utf8_valid(l->name) || !sx_utf8_valid(l->value))
            return sx_fail(err, SX_EFORMAT, "metric \"%.*s\": a label that is no UTF-8",
                           SX_ARG(sx_str_first(p->name, 100)));
        if (!taken)
            items[count++] = *l;
    }
    if (p->bound_name)
        items[count++] = (tsdb_label){sx_str_z(p->bound_name), bound};
    return expo_sort_labels(items, count, out, err);
}

sx_status expo_protobuf_begin(prom_exposition *x, sx_error *err)
{
    if (!x->protobuf) {
        x->protobuf = sx_calloc(1, sizeof *x->protobuf);
        if (!x->protobuf)
            return sx_fail_memory(err, "an exposition reader");
        sx_buf_init(&x->protobuf->key, 0);
    }
    sx_pb_init(&x->protobuf->families, x->body);
    x->protobuf->phase = PHASE_FAMILY;
    x->protobuf->failed = false;
    return SX_OK;
}

void expo_protobuf_done(prom_exposition *x)
{
    struct expo_protobuf *p = x->protobuf;
    if (!p)
        return;
    void *vectors[] = {p->labels.items,         p->quantiles.items, p->exemplar_messages.items,
                       p->exemplars.items,      p->spans[0].items,  p->spans[1].items,
                       p->counts[0].items,      p->counts[1].items, p->float_counts[0].items,
                       p->float_counts[1].items};
    for (size_t i = 0; i < SX_COUNT_OF(vectors); i++)
        sx_free(vectors[i]);
    nhcb_done(&p->classic);
    sx_buf_done(&p->key);
    sx_free(p);
}
