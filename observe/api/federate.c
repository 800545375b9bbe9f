/* federate.c - /federate: the latest sample of each series that match[] selects, as an exposition.
 *
 * Written as text; a native histogram has no form there and is left out, as Prometheus leaves it out.
 * Source: Prometheus, docs/federation.md; "Exposition formats". */
#include <stdlib.h>

#include <sextant/mem.h>
#include <sextant/number.h>

#include "observe/api/api.h"

typedef struct sample {
    tsdb_labels labels;
    sx_str name;
    int64_t t;
    double v;
} sample;

typedef struct federation {
    api_matchers matchers;
    tsdb_querier *querier;
    prom_config *config;
    sample *samples;
    size_t count, cap, next;
    bool utf8;
    sx_str last_name;
} federation;

static void federation_done(api_call *c)
{
    federation *f = c->state;
    if (f->querier)
        f->querier->ops->free(f->querier);
    api_matchers_done(&f->matchers);
    prom_config_unref(f->config);
}

/* ---- gathering ---- */

static sx_status take_latest(api_call *c, federation *f, const tsdb_series *s,
                             tsdb_columns *columns, int64_t from, int64_t to, sx_error *err)
{
    columns->count = 0;
    sx_status status = f->querier->ops->read(f->querier, s, from, to, columns, err);
    if (status != SX_OK || columns->count == 0)
        return status;
    size_t last = columns->count - 1;
    sx_str name = tsdb_labels_get(s->labels, TSDB_METRIC_NAME);
    if ((columns->h && columns->h[last]) || tsdb_is_stale(columns->v[last]) || name.len == 0)
        return SX_OK;
    if (!sx_arena_grow(&c->arena, &f->samples, &f->cap, f->count + 1, sizeof *f->samples))
        return sx_fail_memory(err, "federation");
    f->samples[f->count++] = (sample){s->labels, name, columns->t[last], columns->v[last]};
    return SX_OK;
}

static sx_status gather_set(api_call *c, federation *f, size_t set, int64_t from, int64_t to,
                            sx_error *err)
{
    size_t count;
    tsdb_selection found;
    const tsdb_matcher *matchers = api_matchers_set(&f->matchers, set, &count);
    tsdb_hints hints = {.min_t = from, .max_t = to};
    sx_status status = f->querier->ops->select(f->querier, &hints, matchers, count, &c->arena,
                                               &found, &c->canceled, err);
    if (status != SX_OK)
        return status;
    tsdb_columns columns;
    sx_arena scratch;
    sx_arena_init(&scratch, 0, 0);
    tsdb_columns_init(&columns, &scratch);
    for (size_t i = 0; i < found.count && status == SX_OK; i++) {
        if (atomic_load_explicit(&c->canceled, memory_order_relaxed))
            status = sx_fail(err, SX_ECLOSED, "the client has gone");
        else
            status = take_latest(c, f, &found.items[i], &columns, from, to, err);
        sx_arena_reset(&scratch);
    }
    tsdb_columns_done(&columns);
    sx_arena_done(&scratch);
    return status;
}

static int by_name_and_labels(const void *a, const void *b)
{
    const sample *x = a, *y = b;
    int order = sx_str_cmp(x->name, y->name);
    return order ? order : tsdb_labels_compare(x->labels, y->labels);
}

/* ---- writing ---- */

/* A name that is not plain: as it is in quotes where the reader knows that form, else with _. */
static void write_name(sx_buf *out, sx_str name, bool utf8, bool label)
{
    bool plain = label ? tsdb_label_name_is_legacy(name) : tsdb_metric_name_is_legacy(name);
    if (plain) {
        sx_buf_str(out, name);
        return;
    }
    if (utf8) {
        tsdb_quote(name, out);
        return;
    }
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (c >= 0x80 && c < 0xc0)
            continue; /* the rest of a character: one _ stands for all of it */
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                    (c == ':' && !label) || (i && c >= '0' && c <= '9');
        sx_buf_byte(out, good ? (char)c : '_');
    }
}

static void write_value(sx_buf *out, sx_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.data[i];
        if (c == '\n')
            sx_buf_str(out, SX_STR("\\n"));
        else if (c == '"' || c == '\\')
            sx_buf_bytes(out, (char[]){'\\', c}, 2);
        else
            sx_buf_byte(out, c);
    }
}

static void write_label(sx_buf *out, sx_str name, sx_str value, bool utf8, bool *any)
{
    sx_buf_str(out, *any ? SX_STR(",") : SX_STR("{"));
    *any = true;
    write_name(out, name, utf8, true);
    sx_buf_str(out, SX_STR("=\""));
    write_value(out, value);
    sx_buf_byte(out, '"');
}

/* The labels of the sample, then those of the server that it lacks; `instance` is among these, empty
 * if the configuration has none, so that the reader does not put its own there. */
static void write_labels(sx_buf *out, const federation *f, const sample *s, bool *any)
{
    bool instance = false;
    for (uint32_t i = 0; i < s->labels.count; i++)
        if (!sx_str_eq(s->labels.items[i].name, TSDB_METRIC_NAME))
            write_label(out, s->labels.items[i].name, s->labels.items[i].value, f->utf8, any);
    tsdb_labels external = f->config->external_labels;
    sx_str own = SX_STR("instance");
    for (uint32_t i = 0; i <= external.count; i++) {
        bool after = i == external.count || sx_str_cmp(external.items[i].name, own) >= 0;
        if (after && !instance) { /* its place among the sorted */
            instance = true;
            bool has = i < external.count && sx_str_eq(external.items[i].name, own);
            if (!has && !tsdb_labels_get(s->labels, own).len)
                write_label(out, own, SX_STR(""), f->utf8, any);
        }
        if (i < external.count && !tsdb_labels_get(s->labels, external.items[i].name).len)
            write_label(out, external.items[i].name, external.items[i].value, f->utf8, any);
    }
}

static void write_sample(sx_buf *out, federation *f, const sample *s)
{
    char number[SX_DOUBLE_BYTES];
    bool any = false, quoted = f->utf8 && !tsdb_metric_name_is_legacy(s->name);
    if (!sx_str_eq(s->name, f->last_name)) {
        sx_buf_str(out, SX_STR("# TYPE "));
        write_name(out, s->name, f->utf8, false);
        sx_buf_str(out, SX_STR(" untyped\n"));
        f->last_name = s->name;
    }
    if (quoted) {
        sx_buf_byte(out, '{');
        any = true;
    }
    write_name(out, s->name, f->utf8, false);
    write_labels(out, f, s, &any);
    if (any)
        sx_buf_byte(out, '}');
    sx_buf_byte(out, ' ');
    double value = s->v == 0 ? 0 : s->v; /* the text format's writers drop the sign of -0 */
    sx_buf_bytes(out, number, sx_double_format(value, SX_DOUBLE_GO, number));
    sx_buf_byte(out, ' ');
    sx_buf_i64(out, s->t);
    sx_buf_byte(out, '\n');
}

static void write_more(api_call *c)
{
    federation *f = c->state;
    size_t full = c->out.len + API_PIECE_BYTES;
    for (; f->next < f->count && c->out.len < full && !c->out.failed; f->next++)
        if (f->next == 0 || by_name_and_labels(&f->samples[f->next - 1], &f->samples[f->next]))
            write_sample(&c->out, f, &f->samples[f->next]);
    c->more = f->next < f->count && !c->out.failed;
}

/* ---- the endpoint ---- */

static void fail(api_call *c, int status, sx_str words)
{
    api_text(c, status, words);
    sx_buf_byte(&c->out, '\n');
}

void api_federate(api_call *c)
{
    sx_error err = {0};
    federation *f = sx_arena_calloc(&c->arena, 1, sizeof *f);
    if (!f) {
        fail(c, 500, SX_STR("out of memory"));
        return;
    }
    c->state = f;
    c->done = federation_done;
    f->config = observe_api_config(c->api);
    if (c->form.fault.len) {
        fail(c, 400,
             sx_arena_printf(&c->arena, "error parsing form values: %.*s", SX_ARG(c->form.fault)));
        return;
    }
    if (api_matchers_read(&c->form, true, &c->arena, &f->matchers, &err) != SX_OK) {
        fail(c, 400, sx_str_z(err.message));
        return;
    }
    int64_t to = sx_clock_ms(c->api->clock), from = to - c->api->flags->lookback_ms;
    tsdb_queryable *local = tsdb_queryable_of(c->api->db); /* no remote ends, as in Prometheus */
    sx_status status = local->querier(local, from, to, &f->querier, &err);
    for (size_t i = 0; i < f->matchers.count && status == SX_OK; i++)
        status = gather_set(c, f, i, from, to, &err);
    if (status != SX_OK) {
        fail(c, 500, sx_str_z(err.message));
        return;
    }
    if (f->count)
        qsort(f->samples, f->count, sizeof *f->samples, by_name_and_labels);
    sx_metrics_encoding encoding = sx_metrics_negotiate(sx_request_header(c->r, SX_STR("accept")));
    f->utf8 = encoding.escaping == SX_METRICS_ALLOW_UTF8;
    encoding.format = f->utf8 ? SX_METRICS_TEXT_100 : SX_METRICS_TEXT_004;
    encoding.escaping = f->utf8 ? SX_METRICS_ALLOW_UTF8 : SX_METRICS_UNDERSCORES;
    c->content_type = f->utf8 ? sx_metrics_content_type(encoding)
                              : SX_STR("text/plain; version=0.0.4; charset=utf-8; "
                                       "escaping=underscores");
    c->work = write_more;
    write_more(c);
}
