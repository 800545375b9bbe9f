/* jaeger.c - Jaeger's HTTP API v1: traces, searches, names, dependencies. See jaeger.h. */
#include "observe/api/jaeger.h"

#include <stdlib.h>

#include <sextant/json.h>
#include <sextant/mem.h>

#include "observe/jaeger/archive.h"
#include "observe/spans/otlp.h"
#include "observe/traceql/traceql.h"

static const sx_str NOT_FOUND = SX_STR_INIT("trace not found");
#define MS_NS UINT64_C(1000000)

/* ---- answers ---- */

void jaeger_fail(api_call *c, int status, sx_str message)
{
    jaeger_fault fault = {.code = status, .msg = message};
    if (c->pushed) {
        c->broken = true;
        return;
    }
    c->status = status;
    c->content_type = SX_STR("text/plain; charset=utf-8");
    sx_buf_clear(&c->out);
    sx_buf_str(&c->out, SX_STR("{\"data\":null,\"total\":0,\"limit\":0,\"offset\":0,\"errors\":"));
    jaeger_ui_faults(&c->out, &fault, 1);
    sx_buf_str(&c->out, SX_STR("}\n"));
}

void jaeger_fail_store(api_call *c, const sx_error *err)
{
    int status = err->status == SX_EINVAL      ? 400
                 : err->status == SX_ENOTFOUND ? 404
                 : err->status == SX_ECANCELED ? 499
                 : err->status == SX_ETIMEOUT  ? 504
                                               : 500;
    jaeger_fail(c, status, sx_str_z(err->message));
}

static bool push(void *ctx, sx_str piece)
{
    return api_call_push(ctx, piece);
}

void jaeger_answer(api_call *c, const jaeger_ask *ask, jaeger_ui *ui)
{
    c->status = 200;
    c->content_type = SX_STR("application/json");
    jaeger_ui_init(ui, ask->pretty, push, c);
}

bool jaeger_ask_begin(api_call *c, jaeger_ask *ask)
{
    size_t count = 0;
    const api_form *f = &c->form;
    c->refuse = jaeger_fail;
    *ask = (jaeger_ask){.now_ns = (uint64_t)sx_clock_ns(c->api->clock)};
    jaeger_param *items = sx_arena_calloc(&c->arena, f->count + 1, sizeof *items);
    if (!items) {
        jaeger_fail(c, 500, SX_STR("out of memory"));
        return false;
    }
    if (!c->api->traces) {
        jaeger_fail(c, 501, SX_STR("there is no store of traces: --traces.store is false"));
        return false;
    }
    for (size_t i = 0; i < f->count; i++)
        if (f->items[i].in_address)
            items[count++] = (jaeger_param){f->items[i].name, f->items[i].value};
    ask->params = (jaeger_params){items, count};
    ask->pretty = jaeger_v1_pretty(&ask->params);
    ask->limits =
        (tr_limits){.canceled = &c->canceled,
                    .deadline_ms = (int64_t)(ask->now_ns / MS_NS) + c->api->flags->query_timeout_ms,
                    .bytes_max = api_question_bytes(c->api)};
    return true;
}

/* ---- traces ---- */

/* The times say where to look: a trace that has a span there is given whole. */
sx_status jaeger_read_trace(api_call *c, const jaeger_ask *ask, const jaeger_v1_get *get,
                            span_batch *out, const jaeger_notes **notes, bool *partial,
                            sx_error *err)
{
    const jaeger_archive archive = {c->api->archive, c->api->archive_ctx};
    const jaeger_which which = {.trace_id = get->trace_id};
    *notes = NULL;
    sx_status status =
        jaeger_read(c->api->traces, &archive, &which, &ask->limits, out, partial, err);
    if (status == SX_OK && !span_batch_touches(out, get->min_ns, get->max_ns))
        return sx_fail(err, SX_ENOTFOUND, "%.*s", SX_ARG(NOT_FOUND));
    if (status == SX_OK && !get->raw)
        status = jaeger_adjust(out, get->skew_ns, notes, err);
    return status;
}

static const jaeger_fault PARTIAL = {
    .msg = SX_STR_INIT("the answer is not complete: a limit of time or size ended it")};

void api_jaeger_trace(api_call *c)
{
    sx_error err = {0};
    jaeger_ask ask;
    jaeger_v1_get get;
    jaeger_ui ui;
    bool partial = false;
    const jaeger_notes *notes;
    if (!jaeger_ask_begin(c, &ask))
        return;
    if (jaeger_v1_get_read(sx_request_param(c->r, "id"), &ask.params, &get, &err) != SX_OK) {
        jaeger_fail_store(c, &err);
        return;
    }
    span_batch *trace = span_batch_new(0);
    if (!trace) {
        jaeger_fail(c, 500, SX_STR("out of memory"));
        return;
    }
    sx_status status = jaeger_read_trace(c, &ask, &get, trace, &notes, &partial, &err);
    jaeger_answer(c, &ask, &ui);
    if (status == SX_OK) {
        jaeger_ui_begin(&ui);
        status = jaeger_ui_trace(&ui, trace, notes, &err);
    }
    if (status == SX_OK)
        status = jaeger_ui_end(
            &ui, &(jaeger_ui_tail){.faults = &PARTIAL, .fault_count = partial ? 1 : 0}, &err);
    if (status != SX_OK)
        jaeger_fail_store(c, &err);
    jaeger_ui_done(&ui);
    span_batch_unref(trace);
}

typedef struct searching {
    jaeger_ui ui;
    jaeger_v1_search q;
    sx_status status;
    sx_error err;
} searching;

static bool show(void *ctx, const uint8_t trace_id[16], span_batch *trace)
{
    searching *s = ctx;
    const jaeger_notes *notes = NULL;
    (void)trace_id;
    if (!s->q.raw)
        s->status = jaeger_adjust(trace, s->q.skew_ns, &notes, &s->err);
    if (s->status == SX_OK)
        s->status = jaeger_ui_trace(&s->ui, trace, notes, &s->err);
    return s->status == SX_OK;
}

/* traceID=...: those that are not there are told. */
static sx_status show_ids(api_call *c, const jaeger_ask *ask, searching *s, jaeger_ui_tail *tail,
                          bool *partial, sx_error *err)
{
    jaeger_fault *faults = sx_arena_calloc(&c->arena, s->q.trace_id_count + 2, sizeof *faults);
    span_batch *trace = span_batch_new(0);
    sx_status status = faults && trace ? SX_OK : sx_fail_memory(err, "traces");
    for (size_t i = 0; i < s->q.trace_id_count && status == SX_OK; i++) {
        jaeger_v1_get get = {.raw = s->q.raw, .skew_ns = s->q.skew_ns};
        const jaeger_notes *notes;
        bool cut = false;
        memcpy(get.trace_id, s->q.trace_ids[i], 16);
        if (s->q.bounded) {
            get.min_ns = s->q.search.min_ns;
            get.max_ns = s->q.search.max_ns;
        }
        span_batch_reset(trace);
        status = jaeger_read_trace(c, ask, &get, trace, &notes, &cut, err);
        *partial |= cut;
        if (status == SX_ENOTFOUND) {
            faults[tail->fault_count++] =
                (jaeger_fault){.msg = NOT_FOUND, .trace_id = s->q.trace_ids[i]};
            status = SX_OK;
        } else if (status == SX_OK) {
            status = jaeger_ui_trace(&s->ui, trace, notes, err);
        }
    }
    if (*partial && faults)
        faults[tail->fault_count++] = PARTIAL;
    tail->faults = faults;
    span_batch_unref(trace);
    return status;
}

/* Traces by service, tags, times; or all, as the peer cannot. A page at a time. */
static sx_status search(api_call *c, const jaeger_ask *ask, searching *s, sx_error *err)
{
    static const uint8_t NONE[16];
    jaeger_ui_tail tail = {0};
    jaeger_fault faults[1] = {PARTIAL};
    tr_hit last = {0};
    bool partial = false;
    sx_status status = SX_OK;
    jaeger_ui_begin(&s->ui);
    if (s->q.trace_id_count) {
        status = show_ids(c, ask, s, &tail, &partial, err);
    } else if (!s->q.nothing && s->q.search.max_ns >= s->q.search.min_ns) {
        status =
            jaeger_find(c->api->traces, &s->q.search, &ask->limits, show, s, &last, &partial, err);
        if (s->status != SX_OK) {
            *err = s->err;
            status = s->status;
        }
        if (memcmp(last.trace_id, NONE, sizeof NONE) != 0)
            tail.next = &last;
    }
    if (partial && tail.fault_count == 0) {
        tail.faults = faults;
        tail.fault_count = 1;
    }
    return status == SX_OK ? jaeger_ui_end(&s->ui, &tail, err) : status;
}

/* filter={...}: one span set in TraceQL's words, that each span found must match besides. `out` is to be
 * freed after the search. */
static sx_status read_filter(const jaeger_ask *ask, jaeger_search *q, traceql_query **out,
                             sx_error *err)
{
    bool exact = false;
    sx_error inner = {0};
    sx_str text = jaeger_param_get(&ask->params, "filter");
    *out = NULL;
    if (text.len == 0)
        return SX_OK;
    if (traceql_parse(text, out, &inner) != SX_OK)
        return sx_fail(err, SX_EINVAL, "unable to parse param 'filter': %s", inner.message);
    q->also = traceql_push(*out, &exact);
    if (exact && !traceql_is_metrics(*out))
        return SX_OK;
    return sx_fail(err, SX_EINVAL,
                   "unable to parse param 'filter': it takes one span set, as { .a = 1 }; "
                   "/tempo/api/search takes all of TraceQL");
}

void api_jaeger_search(api_call *c)
{
    sx_error err = {0};
    jaeger_ask ask;
    if (!jaeger_ask_begin(c, &ask))
        return;
    searching *s = sx_arena_calloc(&c->arena, 1, sizeof *s);
    if (!s) {
        jaeger_fail(c, 500, SX_STR("out of memory"));
        return;
    }
    traceql_query *filter = NULL;
    sx_status status = jaeger_v1_search_read(&ask.params, ask.now_ns, &c->arena, &s->q, &err);
    if (status == SX_OK)
        status = read_filter(&ask, &s->q.search, &filter, &err);
    jaeger_answer(c, &ask, &s->ui);
    if (status == SX_OK)
        status = search(c, &ask, s, &err);
    if (status != SX_OK)
        jaeger_fail_store(c, &err);
    jaeger_ui_done(&s->ui);
    traceql_free(filter);
}

/* ---- names ---- */

static sx_status end_names(jaeger_ui *ui, size_t count, sx_error *err)
{
    return jaeger_ui_end(ui, &(jaeger_ui_tail){.total = count}, err);
}

static bool seen(void *ctx, const tr_hit *hit)
{
    (void)hit;
    *(bool *)ctx = true;
    return false;
}

static sx_status services(api_call *c, const jaeger_ask *ask, jaeger_ui *ui, sx_error *err)
{
    const sx_str NAMELESS = JAEGER_NO_SERVICE;
    tr_names names;
    size_t total = 0;
    bool nameless = false;
    jaeger_search q = {.service = JAEGER_NO_SERVICE, .max_ns = UINT64_MAX, .limit = 1};
    sx_status status = tr_store_services(c->api->traces, 0, UINT64_MAX, &c->arena, &names, err);
    if (status == SX_OK)
        status =
            jaeger_find_ids(c->api->traces, &q, &ask->limits, seen, &nameless, NULL, NULL, err);
    if (status != SX_OK)
        return status;
    jaeger_ui_begin(ui);
    for (size_t i = 0; i < names.count || nameless; total++) {
        bool now = nameless && (i == names.count || sx_str_cmp(names.items[i], NAMELESS) > 0);
        if (total)
            sx_buf_byte(&ui->out, ',');
        sx_json_quote(&ui->out, now ? NAMELESS : names.items[i++], SX_JSON_UTF8);
        nameless &= !now;
    }
    return end_names(ui, total, err);
}

void api_jaeger_services(api_call *c)
{
    sx_error err = {0};
    jaeger_ask ask;
    jaeger_ui ui;
    if (!jaeger_ask_begin(c, &ask))
        return;
    jaeger_answer(c, &ask, &ui);
    if (services(c, &ask, &ui, &err) != SX_OK)
        jaeger_fail_store(c, &err);
    jaeger_ui_done(&ui);
}

/* Operations of a service, sorted by name; nothing for a kind that is none. */
static sx_status read_operations(api_call *c, sx_str service, sx_str kind_name, tr_operation **out,
                                 size_t *count, sx_error *err)
{
    int kind = kind_name.len ? jaeger_kind(kind_name) : -1;
    *count = 0;
    if (kind_name.len && kind < 0)
        return SX_OK;
    if (sx_str_eq(service, JAEGER_NO_SERVICE) || sx_str_eq(service, JAEGER_EMPTY_SERVICE))
        service = SX_STR("");
    return tr_store_operations(c->api->traces, service, kind, 0, UINT64_MAX, &c->arena, out, count,
                               err);
}

static void put_operation(sx_buf *out, const tr_operation *o)
{
    sx_str name = o->name.len ? o->name : JAEGER_EMPTY_OPERATION;
    sx_buf_str(out, SX_STR("{\"name\":"));
    sx_json_quote(out, name, SX_JSON_UTF8);
    sx_buf_str(out, SX_STR(",\"spanKind\":"));
    sx_json_quote(out, jaeger_kind_name(o->kind), SX_JSON_UTF8);
    sx_buf_byte(out, '}');
}

void api_jaeger_operations(api_call *c)
{
    sx_error err = {0};
    jaeger_ask ask;
    jaeger_ui ui;
    tr_operation *items;
    size_t count;
    if (!jaeger_ask_begin(c, &ask))
        return;
    sx_str service = jaeger_param_get(&ask.params, "service");
    if (service.len == 0) {
        jaeger_fail(c, 400, SX_STR("parameter 'service' is required"));
        return;
    }
    if (read_operations(c, service, jaeger_param_get(&ask.params, "spanKind"), &items, &count,
                        &err) != SX_OK) {
        jaeger_fail_store(c, &err);
        return;
    }
    jaeger_answer(c, &ask, &ui);
    jaeger_ui_begin(&ui);
    for (size_t i = 0; i < count; i++) {
        if (i)
            sx_buf_byte(&ui.out, ',');
        put_operation(&ui.out, &items[i]);
    }
    if (end_names(&ui, count, &err) != SX_OK)
        jaeger_fail_store(c, &err);
    jaeger_ui_done(&ui);
}

/* Names alone, each once. Of a service that nobody knows: null. */
void api_jaeger_service_operations(api_call *c)
{
    sx_error err = {0};
    jaeger_ask ask;
    jaeger_ui ui;
    tr_operation *items;
    size_t count, total = 0;
    if (!jaeger_ask_begin(c, &ask))
        return;
    if (read_operations(c, sx_request_param(c->r, "service"), SX_STR(""), &items, &count, &err) !=
        SX_OK) {
        jaeger_fail_store(c, &err);
        return;
    }
    jaeger_answer(c, &ask, &ui);
    sx_buf_str(&ui.out, count ? SX_STR("{\"data\":[") : SX_STR("{\"data\":null"));
    for (size_t i = 0; i < count; i++) {
        if (i && sx_str_eq(items[i].name, items[i - 1].name))
            continue;
        if (total++)
            sx_buf_byte(&ui.out, ',');
        sx_json_quote(&ui.out, items[i].name.len ? items[i].name : JAEGER_EMPTY_OPERATION,
                      SX_JSON_UTF8);
    }
    sx_buf_printf(&ui.out, "%s,\"total\":%zu,\"limit\":0,\"offset\":0,\"errors\":null}",
                  count ? "]" : "", total);
    if (jaeger_ui_flush(&ui, &err) != SX_OK)
        jaeger_fail_store(c, &err);
    jaeger_ui_done(&ui);
}

/* ---- dependencies ---- */

static sx_str name_of(sx_str service)
{
    return service.len ? service : JAEGER_NO_SERVICE;
}

static sx_status dependencies(api_call *c, const jaeger_ask *ask, jaeger_ui *ui, sx_error *err)
{
    uint64_t min_ns, max_ns;
    tr_edge *edges = NULL;
    size_t count = 0, shown = 0;
    sx_str service = jaeger_param_get(&ask->params, "service");
    sx_status status = jaeger_v1_range_read(&ask->params, ask->now_ns, &min_ns, &max_ns, err);
    if (status == SX_OK)
        status = tr_store_edges(c->api->traces, min_ns, max_ns, &ask->limits, &c->arena, &edges,
                                &count, err);
    if (status != SX_OK)
        return status;
    jaeger_ui_begin(ui);
    for (size_t i = 0; i < count; i++) {
        sx_str parent = name_of(edges[i].parent), child = name_of(edges[i].child);
        if (service.len && !sx_str_eq(service, parent) && !sx_str_eq(service, child))
            continue;
        sx_buf_str(&ui->out, shown++ ? SX_STR(",{\"parent\":") : SX_STR("{\"parent\":"));
        sx_json_quote(&ui->out, parent, SX_JSON_UTF8);
        sx_buf_str(&ui->out, SX_STR(",\"child\":"));
        sx_json_quote(&ui->out, child, SX_JSON_UTF8);
        sx_buf_printf(&ui->out, ",\"callCount\":%llu}", (unsigned long long)edges[i].calls);
    }
    return end_names(ui, 0, err);
}

void api_jaeger_dependencies(api_call *c)
{
    sx_error err = {0};
    jaeger_ask ask;
    jaeger_ui ui;
    if (!jaeger_ask_begin(c, &ask))
        return;
    jaeger_answer(c, &ask, &ui);
    if (dependencies(c, &ask, &ui, &err) != SX_OK)
        jaeger_fail_store(c, &err);
    jaeger_ui_done(&ui);
}

/* ---- OTLP JSON as the UI wants it, for files dropped into it ---- */

static int by_trace(const void *a, const void *b)
{
    const span *const *x = a, *const *y = b;
    return memcmp((*x)->trace_id, (*y)->trace_id, 16);
}

static sx_status transform(api_call *c, jaeger_ui *ui, span_batch *all, sx_error *err)
{
    sx_buf space;
    sx_str body;
    sx_buf_init(&space, 0);
    sx_status status = api_plain_body(c, &space, &body, err);
    if (status == SX_OK)
        status = span_read_otlp_json(body, NULL, all, NULL, err);
    if (status != SX_OK) {
        sx_error inner = *err;
        status = sx_fail(err, SX_EINVAL, "cannot unmarshal OTLP : %s", inner.message);
    }
    span_batch *one = status == SX_OK ? span_batch_new(0) : NULL;
    if (status == SX_OK && !one)
        status = sx_fail_memory(err, "a trace");
    if (status == SX_OK && all->count)
        qsort(all->spans, all->count, sizeof *all->spans, by_trace);
    jaeger_ui_begin(ui);
    for (size_t i = 0, k; i < all->count && status == SX_OK; i = k) {
        one->count = 0;
        for (k = i; k < all->count && by_trace(&all->spans[i], &all->spans[k]) == 0; k++)
            if (status == SX_OK)
                status = span_batch_put(one, all->spans[k], err);
        if (status == SX_OK)
            status = jaeger_ui_trace(ui, one, NULL, err);
    }
    if (status == SX_OK)
        status = jaeger_ui_end(ui, &(jaeger_ui_tail){0}, err);
    span_batch_unref(one);
    sx_buf_done(&space);
    return status;
}

void api_jaeger_transform(api_call *c)
{
    sx_error err = {0};
    jaeger_ask ask;
    jaeger_ui ui;
    if (!jaeger_ask_begin(c, &ask))
        return;
    span_batch *all = span_batch_new(0);
    jaeger_answer(c, &ask, &ui);
    if (!all)
        jaeger_fail(c, 500, SX_STR("out of memory"));
    else if (transform(c, &ui, all, &err) != SX_OK)
        jaeger_fail_store(c, &err);
    jaeger_ui_done(&ui);
    span_batch_unref(all);
}
