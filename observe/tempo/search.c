/* search.c - /api/search: traces that a query, or the older tags, find. */
#include <stdlib.h>

#include "observe/tempo/tempo_internal.h"

enum { SPANS_DEFAULT = 3, STATS_MAX = 200, ANSWER_BYTES_MAX = 256 << 20 };

typedef struct found {
    uint64_t start_ns;
    size_t from, to; /* of the buffer */
} found;

typedef struct searcher {
    tempo_call *c;
    const tq_field **fields;
    size_t field_count;
    uint64_t spans_max; /* of a spanset; 0: all */
    bool exact;         /* ours: the trace's duration in nanoseconds, too */
    sx_buf json;        /* of one trace after the other */
    found *items;
    size_t count, cap;
    sx_status status;
} searcher;

/* Fields that an answer has by other names. */
static bool is_shown_anyway(tq_source s)
{
    return s == TQ_SPAN_NAME || s == TQ_SPAN_DURATION || s == TQ_TRACE_DURATION ||
           s == TQ_TRACE_ROOT_NAME || s == TQ_TRACE_ROOT_SERVICE || s == TQ_TRACE_ID ||
           s == TQ_SPAN_ID;
}

static void put_fields(searcher *s, sx_json_writer *w, const tq_trace *t, uint32_t i)
{
    bool open = false;
    for (size_t k = 0; k < s->field_count; k++) {
        const tq_field *f = s->fields[k];
        char hex[33];
        tq_value v =
            is_shown_anyway(f->source) ? (tq_value){.type = TQ_NIL} : tq_first(t, i, f, hex);
        if (v.type == TQ_NIL || v.type == TQ_ANY)
            continue;
        if (!open) {
            sx_json_key(w, SX_STR("attributes"));
            sx_json_begin_array(w);
            open = true;
        }
        sx_buf name;
        sx_buf_init(&name, 0);
        if (!tq_is_attribute(f->source))
            tq_print_field(f, &name);
        tempo_put_value(w, tq_is_attribute(f->source) ? f->key : sx_buf_view(&name), &v);
        sx_buf_done(&name);
    }
    if (open)
        sx_json_end_array(w);
}

static void put_span(searcher *s, sx_json_writer *w, const tq_trace *t, uint32_t i)
{
    const span *x = t->spans[i];
    char hex[17];
    static const char DIGITS[] = "0123456789abcdef";
    for (size_t k = 0; k < 8; k++) {
        hex[2 * k] = DIGITS[x->id[k] >> 4];
        hex[2 * k + 1] = DIGITS[x->id[k] & 15];
    }
    sx_json_begin_object(w);
    tempo_put_str(w, "spanID", sx_str_of(hex, 16));
    tempo_put_str(w, "name", x->name);
    tempo_put_u64(w, "startTimeUnixNano", x->start_ns);
    tempo_put_u64(w, "durationNanos", x->end_ns > x->start_ns ? x->end_ns - x->start_ns : 0);
    put_fields(s, w, t, i);
    sx_json_end_object(w);
}

static void put_set(searcher *s, sx_json_writer *w, const tq_trace *t, const tq_spanset *set)
{
    sx_json_begin_object(w);
    sx_json_key(w, SX_STR("spans"));
    sx_json_begin_array(w);
    for (uint32_t i = 0; i < set->count && (!s->spans_max || i < s->spans_max); i++)
        put_span(s, w, t, set->spans[i]);
    sx_json_end_array(w);
    sx_json_key(w, SX_STR("matched"));
    sx_json_u64(w, set->count);
    if (set->note_count) {
        sx_json_key(w, SX_STR("attributes"));
        sx_json_begin_array(w);
        for (uint32_t i = 0; i < set->note_count; i++)
            tempo_put_value(w, set->notes[i].name, &set->notes[i].value);
        sx_json_end_array(w);
    }
    sx_json_end_object(w);
}

typedef struct service {
    sx_str name;
    uint32_t spans, errors;
} service;

static void put_services(sx_json_writer *w, const tq_trace *t)
{
    service list[STATS_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        sx_str name = t->spans[i]->resource->service;
        size_t k = 0;
        while (k < count && !sx_str_eq(list[k].name, name))
            k++;
        if (k == STATS_MAX)
            continue;
        if (k == count)
            list[count++] = (service){.name = name};
        list[k].spans++;
        list[k].errors += t->spans[i]->status == SPAN_ERROR;
    }
    sx_json_key(w, SX_STR("serviceStats"));
    sx_json_begin_object(w);
    for (size_t k = 0; k < count; k++) {
        sx_json_key(w, list[k].name);
        sx_json_begin_object(w);
        sx_json_key(w, SX_STR("spanCount"));
        sx_json_u64(w, list[k].spans);
        if (list[k].errors) {
            sx_json_key(w, SX_STR("errorCount"));
            sx_json_u64(w, list[k].errors);
        }
        sx_json_end_object(w);
    }
    sx_json_end_object(w);
}

static bool take_match(void *ctx, const traceql_match *m)
{
    searcher *s = ctx;
    const tq_trace *t = m->trace;
    sx_json_writer w;
    found f = {.start_ns = t->start_ns, .from = s->json.len};
    sx_json_writer_init(&w, &s->json, NULL);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("traceID"));
    tempo_put_trace_id(&w, t->spans[0]->trace_id);
    tempo_put_str(&w, "rootServiceName",
                  t->root ? t->root->resource->service : SX_STR("<root span not yet received>"));
    if (t->root)
        tempo_put_str(&w, "rootTraceName", t->root->name);
    tempo_put_u64(&w, "startTimeUnixNano", t->start_ns);
    uint64_t ms = (t->end_ns - t->start_ns) / 1000000;
    if (ms) {
        sx_json_key(&w, SX_STR("durationMs"));
        sx_json_u64(&w, ms < UINT32_MAX ? ms : UINT32_MAX);
    }
    if (s->exact)
        tempo_put_u64(&w, "durationNanos", t->end_ns - t->start_ns);
    sx_json_key(&w, SX_STR("spanSet"));
    put_set(s, &w, t, &m->sets->items[0]);
    sx_json_key(&w, SX_STR("spanSets"));
    sx_json_begin_array(&w);
    for (size_t i = 0; i < m->sets->count; i++)
        put_set(s, &w, t, &m->sets->items[i]);
    sx_json_end_array(&w);
    put_services(&w, t);
    sx_json_end_object(&w);
    sx_json_writer_finish(&w, NULL);
    f.to = s->json.len;
    if (s->json.failed || !sx_arena_grow(s->c->arena, &s->items, &s->cap, s->count + 1, sizeof f)) {
        s->status = SX_ENOMEM;
        return false;
    }
    s->items[s->count++] = f;
    return true;
}

/* --- Tags in logfmt, as a query. */

/* How many digits it begins with. */
static size_t digits_of(sx_str s)
{
    size_t n = 0;
    while (n < s.len && s.data[n] >= '0' && s.data[n] <= '9')
        n++;
    return n;
}

/* What TraceQL reads as a number or a truth: any other word (-inf, 0x1f, an id of twenty digits) is
 * a text alone. */
static bool is_literal(sx_str v)
{
    int64_t i;
    if (sx_str_eq(v, SX_STR("true")) || sx_str_eq(v, SX_STR("false")) ||
        (sx_str_to_i64(v, &i) && i != INT64_MIN)) /* its digits alone are no int64 */
        return true;
    sx_str rest = sx_str_from(v, v.len && v.data[0] == '-');
    size_t whole = digits_of(rest);
    rest = sx_str_from(rest, whole);
    size_t fraction = rest.len && rest.data[0] == '.' ? digits_of(sx_str_from(rest, 1)) : 0;
    if (!fraction && (!whole || !rest.len))
        return false;
    rest = sx_str_from(rest, fraction ? fraction + 1 : 0);
    if (!rest.len)
        return true;
    if (rest.data[0] != 'e' && rest.data[0] != 'E')
        return false;
    rest = sx_str_from(rest, 1);
    rest = sx_str_from(rest, rest.len && (rest.data[0] == '-' || rest.data[0] == '+'));
    return rest.len && digits_of(rest) == rest.len;
}

static void put_quoted(sx_buf *out, sx_str s)
{
    sx_buf_byte(out, '"');
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] == '"' || s.data[i] == '\\')
            sx_buf_printf(out, "\\%c", s.data[i]);
        else if (s.data[i] == '\n')
            sx_buf_str(out, SX_STR("\\n"));
        else
            sx_buf_byte(out, s.data[i]);
    sx_buf_byte(out, '"');
}

/* What tags called for before there was TraceQL. */
static bool put_special(sx_buf *out, sx_str key, sx_str value)
{
    static const struct {
        const char *tag, *field;
    } NAMES[] = {{"name", "name"},
                 {"root.name", "rootName"},
                 {"root.service.name", "rootServiceName"},
                 {"status.code", "status"}};
    if (sx_str_eq(key, SX_STR("error")) && sx_str_eq(value, SX_STR("true"))) {
        sx_buf_str(out, SX_STR("(status = error || .error = true)"));
        return true;
    }
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (!sx_str_eq(key, sx_str_z(NAMES[i].tag)))
            continue;
        if (i == 3 && !sx_str_eq(value, SX_STR("ok")) && !sx_str_eq(value, SX_STR("error")) &&
            !sx_str_eq(value, SX_STR("unset")))
            return false;
        sx_buf_printf(out, "%s = ", NAMES[i].field);
        if (i == 3)
            sx_buf_str(out, value);
        else
            put_quoted(out, value);
        return true;
    }
    return false;
}

static void put_tag(sx_buf *out, sx_str key, sx_str value, bool first)
{
    if (!first)
        sx_buf_str(out, SX_STR(" && "));
    if (put_special(out, key, value))
        return;
    sx_buf_str(out, SX_STR("(."));
    put_quoted(out, key);
    sx_buf_str(out, SX_STR(" = "));
    put_quoted(out, value);
    if (is_literal(value)) {
        sx_buf_str(out, SX_STR(" || ."));
        put_quoted(out, key);
        sx_buf_printf(out, " = %.*s", SX_ARG(value));
    }
    sx_buf_byte(out, ')');
}

static bool is_blank(char c)
{
    return (unsigned char)c <= ' ';
}

/* One key=value; text is cut. False: the call has failed, or nothing is left (key empty). */
static bool next_tag(tempo_call *c, sx_str all, sx_str *text, sx_str *key, sx_str *value)
{
    *key = *value = sx_str_of("", 0);
    *text = sx_str_trim_all(*text);
    size_t n = 0;
    while (n < text->len && text->data[n] != '=' && !is_blank(text->data[n]))
        n++;
    *key = sx_str_first(*text, n);
    if (text->len && !n) {
        tempo_fail(c, 400, "invalid tags: unexpected '=' at pos %zu", all.len - text->len + 1);
        return false;
    }
    *text = sx_str_from(*text, n);
    if (!text->len || text->data[0] != '=')
        return key->len > 0;
    *text = sx_str_from(*text, 1);
    if (text->len && text->data[0] == '"') {
        char *plain = sx_arena_alloc(c->arena, text->len);
        size_t len = 0, i = 1;
        for (; plain && i < text->len && text->data[i] != '"'; i++) {
            if (text->data[i] == '\\' && i + 1 < text->len)
                i++;
            plain[len++] = text->data[i];
        }
        if (!plain || i >= text->len) {
            tempo_fail(c, 400, "invalid tags: unterminated quoted value at pos %zu", all.len + 1);
            return false;
        }
        *value = sx_str_of(plain, len);
        *text = sx_str_from(*text, i + 1);
        return true;
    }
    for (n = 0; n < text->len && !is_blank(text->data[n]) && text->data[n] != '"';)
        n++;
    *value = sx_str_first(*text, n);
    *text = sx_str_from(*text, n);
    return true;
}

/* The query's text into `out`. False: the call has failed. */
static bool make_query(tempo_call *c, sx_buf *out)
{
    sx_str q = tempo_get(c, "q"), tags = tempo_get(c, "tags"), key, value;
    if (q.len && tags.len) {
        tempo_fail(c, 400, "invalid request: can't specify tags and q in the same query");
        return false;
    }
    if (q.len) {
        sx_buf_str(out, q);
        return true;
    }
    sx_buf_str(out, SX_STR("{ "));
    bool first = true;
    for (sx_str rest = tags; rest.len; first = false) {
        if (!next_tag(c, tags, &rest, &key, &value)) {
            if (c->status)
                return false;
            break;
        }
        put_tag(out, key, value, first);
    }
    sx_buf_str(out, SX_STR(" }"));
    return true;
}

/* --- */

static int newest_first(const void *a, const void *b)
{
    const found *x = a, *y = b;
    if (x->start_ns != y->start_ns)
        return x->start_ns < y->start_ns ? 1 : -1;
    return (x->from > y->from) - (x->from < y->from);
}

static void put_answer(searcher *s, const traceql_search_stats *stats)
{
    sx_json_writer w;
    if (s->count)
        qsort(s->items, s->count, sizeof *s->items, newest_first);
    tempo_begin_json(s->c, &w);
    sx_json_key(&w, SX_STR("traces"));
    sx_json_begin_array(&w);
    for (size_t i = 0; i < s->count; i++)
        sx_json_raw_value(
            &w, sx_str_of(s->json.data + s->items[i].from, s->items[i].to - s->items[i].from));
    sx_json_end_array(&w);
    sx_json_key(&w, SX_STR("metrics"));
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("inspectedTraces"));
    sx_json_u64(&w, stats->traces);
    tempo_put_u64(&w, "inspectedSpans", stats->spans);
    sx_json_key(&w, SX_STR("completedJobs"));
    sx_json_u64(&w, 1);
    sx_json_key(&w, SX_STR("totalJobs"));
    sx_json_u64(&w, 1);
    sx_json_end_object(&w);
    if (stats->partial)
        tempo_put_str(&w, "status", SX_STR("PARTIAL"));
    tempo_end_json(s->c, &w);
}

static bool read_options(tempo_call *c, traceql_search_options *o, uint64_t *spans)
{
    uint64_t limit = TEMPO_LIMIT_DEFAULT;
    if (!tempo_seconds_range(c, &o->min_ns, &o->max_ns) ||
        !tempo_duration(c, "minDuration", &o->min_duration_ns) ||
        !tempo_duration(c, "maxDuration", &o->max_duration_ns) ||
        !tempo_number(c, "limit", UINT32_MAX, &limit) ||
        !tempo_number(c, "spss", UINT32_MAX, spans))
        return false;
    if (!limit)
        tempo_fail(c, 400, "invalid limit: must be a positive number");
    else if (limit > TEMPO_LIMIT_MAX)
        tempo_fail(c, 400, "limit %llu exceeds max limit %d", (unsigned long long)limit,
                   TEMPO_LIMIT_MAX);
    else if (o->max_duration_ns && o->max_duration_ns < o->min_duration_ns)
        tempo_fail(c, 400, "invalid maxDuration: must be greater than minDuration");
    else
        o->limit = (uint32_t)limit;
    o->limits = c->limits;
    return o->limit != 0;
}

void tempo_search(tempo_call *c)
{
    traceql_search_options options = {0};
    traceql_search_stats stats = {0};
    searcher s = {
        .c = c, .spans_max = SPANS_DEFAULT, .exact = sx_str_eq(tempo_get(c, "exact"), SX_STR("1"))};
    traceql_query *q = NULL;
    sx_error err = {0};
    sx_buf text;
    c->status = 0;
    sx_buf_init(&text, 1 << 20);
    sx_buf_init(&s.json, ANSWER_BYTES_MAX);
    if (!read_options(c, &options, &s.spans_max) || !make_query(c, &text))
        goto out;
    if (sx_buf_status(&text, "a query", &err) != SX_OK ||
        traceql_parse(sx_buf_view(&text), &q, &err) != SX_OK) {
        tempo_fail_error(c, "invalid TraceQL query: ", &err);
        goto out;
    }
    s.fields = traceql_fields(q, c->arena, &s.field_count);
    sx_status status = s.fields
                           ? traceql_search(c->store, q, &options, take_match, &s, &stats, &err)
                           : sx_fail_memory(&err, "a query");
    if (status == SX_OK && s.status != SX_OK)
        status = sx_buf_status(&s.json, "the traces found", &err) == SX_OK
                     ? sx_fail_memory(&err, "the traces found")
                     : err.status;
    if (status == SX_OK)
        put_answer(&s, &stats);
    else
        tempo_fail_error(c, "", &err);
out:
    traceql_free(q);
    sx_buf_done(&text);
    sx_buf_done(&s.json);
}
