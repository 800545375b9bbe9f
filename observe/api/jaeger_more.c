/* jaeger_more.c - of Jaeger's HTTP API what looks into traces: archive, critical path, comparison, paths
 * between services, quality. The last two are samples of made-up data in the peer. */
#include "observe/api/jaeger.h"

#include <sextant/hash.h>
#include <sextant/json.h>

#include "observe/jaeger/archive.h"
#include "observe/jaeger/path.h"

enum { SAMPLE_TRACES = 100, PATHS_MAX = 1000, EXAMPLES_MAX = 5 };

/* ---- what they share ---- */

static void put(sx_buf *out, const char *text)
{
    sx_buf_bytes(out, text, strlen(text));
}

static void put_field(sx_buf *out, const char *name, sx_str text)
{
    sx_buf_printf(out, "\"%s\":", name);
    sx_json_quote(out, text, SX_JSON_UTF8);
}

/* A trace that a parameter or the path names. False: the answer is an error. */
static bool read_one(api_call *c, const jaeger_ask *ask, sx_str id, bool raw, span_batch **out)
{
    sx_error err = {0};
    jaeger_v1_get get = {.raw = raw};
    const jaeger_notes *notes;
    bool partial = false;
    *out = span_batch_new(0);
    sx_status status =
        *out ? jaeger_trace_id(id, get.trace_id, &err) : sx_fail_memory(&err, "a trace");
    if (status == SX_OK)
        status = jaeger_read_trace(c, ask, &get, *out, &notes, &partial, &err);
    if (status == SX_OK)
        return true;
    jaeger_fail_store(c, &err);
    span_batch_unref(*out);
    *out = NULL;
    return false;
}

static void finish(api_call *c, jaeger_ui *ui)
{
    sx_error err = {0};
    put(&ui->out, ",\"errors\":null}");
    if (jaeger_ui_flush(ui, &err) != SX_OK)
        jaeger_fail_store(c, &err);
    jaeger_ui_done(ui);
}

/* ---- archive ---- */

void api_jaeger_archive(api_call *c)
{
    sx_error err = {0};
    jaeger_ask ask;
    span_batch *trace;
    if (!jaeger_ask_begin(c, &ask) ||
        !read_one(c, &ask, sx_request_param(c->r, "id"), true, &trace))
        return;
    const jaeger_archive archive = {c->api->archive, c->api->archive_ctx};
    if (jaeger_keep(&archive, trace, &ask.limits, &err) == SX_OK) {
        c->status = 200;
        c->content_type = SX_STR("application/json");
        put(&c->out, "{\"data\":[],\"total\":0,\"limit\":0,\"offset\":0,\"errors\":[]}");
    } else {
        jaeger_fail_store(c, &err);
    }
    span_batch_unref(trace);
}

/* ---- critical path ---- */

static void put_section(sx_buf *out, const jaeger_section *x)
{
    put(out, "{\"spanID\":\"");
    jaeger_put_hex(out, x->s->id, 8);
    put(out, "\",");
    put_field(out, "serviceName", jaeger_service_name(x->s->resource));
    sx_buf_byte(out, ',');
    put_field(out, "operationName", jaeger_operation_name(x->s));
    sx_buf_printf(out, ",\"sectionStart\":%llu,\"sectionEnd\":%llu,\"durationNanos\":%llu}",
                  (unsigned long long)(x->start_ns / 1000), (unsigned long long)(x->end_ns / 1000),
                  (unsigned long long)(x->end_ns - x->start_ns));
}

void api_jaeger_critical_path(api_call *c)
{
    sx_error err = {0};
    jaeger_ask ask;
    jaeger_ui ui;
    span_batch *trace;
    jaeger_section *items;
    size_t count;
    if (!jaeger_ask_begin(c, &ask) ||
        !read_one(c, &ask, sx_request_param(c->r, "id"), false, &trace))
        return;
    if (jaeger_critical_path(trace, &c->arena, &items, &count, &err) != SX_OK) {
        jaeger_fail_store(c, &err);
        span_batch_unref(trace);
        return;
    }
    jaeger_answer(c, &ask, &ui);
    put(&ui.out, "{\"data\":{\"traceID\":\"");
    jaeger_put_hex(&ui.out, trace->spans[0]->trace_id, 16);
    put(&ui.out, "\",\"sections\":[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            sx_buf_byte(&ui.out, ',');
        put_section(&ui.out, &items[i]);
    }
    put(&ui.out, "]}");
    finish(c, &ui);
    span_batch_unref(trace);
}

/* ---- comparison ---- */

static void put_side(sx_buf *out, const char *name, const span_batch *trace)
{
    sx_buf_printf(out, "\"%s\":{\"traceID\":\"", name);
    jaeger_put_hex(out, trace->spans[0]->trace_id, 16);
    sx_buf_printf(out, "\",\"spans\":%zu}", trace->count);
}

static void put_place(sx_buf *out, const jaeger_place *p)
{
    static const char NAMES[] = "ab";
    sx_buf_printf(out, "{\"parent\":%lld,\"depth\":%u,",
                  p->parent == UINT32_MAX ? -1LL : (long long)p->parent, p->depth);
    put_field(out, "serviceName", p->service);
    sx_buf_byte(out, ',');
    put_field(out, "operationName", p->operation);
    for (int i = 0; i < 2; i++)
        sx_buf_printf(out, ",\"%c\":{\"spans\":%llu,\"errors\":%llu,\"durationNanos\":%llu}",
                      NAMES[i], (unsigned long long)p->count[i], (unsigned long long)p->errors[i],
                      (unsigned long long)p->duration_ns[i]);
    sx_buf_byte(out, '}');
}

static void compare(api_call *c, const jaeger_ask *ask, const span_batch *a, const span_batch *b)
{
    sx_error err = {0};
    jaeger_ui ui;
    jaeger_place *places;
    size_t count;
    if (jaeger_compare(a, b, &c->arena, &places, &count, &err) != SX_OK) {
        jaeger_fail_store(c, &err);
        return;
    }
    jaeger_answer(c, ask, &ui);
    put(&ui.out, "{\"data\":{");
    put_side(&ui.out, "a", a);
    sx_buf_byte(&ui.out, ',');
    put_side(&ui.out, "b", b);
    put(&ui.out, ",\"nodes\":[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            sx_buf_byte(&ui.out, ',');
        put_place(&ui.out, &places[i]);
    }
    put(&ui.out, "]}");
    finish(c, &ui);
}

void api_jaeger_compare(api_call *c)
{
    jaeger_ask ask;
    span_batch *a, *b;
    if (!jaeger_ask_begin(c, &ask) ||
        !read_one(c, &ask, jaeger_param_get(&ask.params, "a"), false, &a))
        return;
    if (read_one(c, &ask, jaeger_param_get(&ask.params, "b"), false, &b))
        compare(c, &ask, a, b);
    span_batch_unref(a);
    span_batch_unref(b);
}

/* ---- a sample of the newest traces of a service ---- */

typedef struct sample {
    api_call *c;
    jaeger_ui ui;
    sx_str service;
    uint64_t *seen; /* hashes of the paths told */
    size_t seen_count;
    struct {
        uint64_t pass, fail;
        uint8_t examples[2][EXAMPLES_MAX][16];
    } checks[4];
    sx_status status;
    sx_error err;
} sample;

static sx_status look(sample *s, const jaeger_ask *ask, jaeger_trace_fn *fn)
{
    int64_t hours = 48;
    uint64_t from_hours;
    const uint64_t hour_ns = UINT64_C(3600) * 1000000000;
    if (sx_str_to_u64(jaeger_param_get(&ask->params, "hours"), &from_hours) && from_hours < 100000)
        hours = (int64_t)from_hours;
    jaeger_search q = {.service = s->service, .max_ns = ask->now_ns, .limit = SAMPLE_TRACES};
    q.min_ns =
        ask->now_ns > (uint64_t)hours * hour_ns ? ask->now_ns - (uint64_t)hours * hour_ns : 0;
    sx_status status = jaeger_find(s->c->api->traces, &q, &ask->limits, fn, s, NULL, NULL, &s->err);
    return status == SX_OK ? s->status : status;
}

/* The services on the way from the root to a place, each with the operation by which it was entered;
 * of a very long way its end. */
static void put_way(sample *s, const jaeger_place *places, uint32_t leaf,
                    const uint8_t trace_id[16])
{
    enum { DEPTH_MAX = 256, CLIMB_MAX = 4096 };
    uint32_t way[DEPTH_MAX];
    size_t depth = 0;
    uint64_t hash = 0;
    bool focal = false;
    if (s->seen_count == PATHS_MAX)
        return;
    unsigned climbed = 0;
    for (uint32_t at = leaf; at != UINT32_MAX && depth < DEPTH_MAX && climbed++ < CLIMB_MAX;
         at = places[at].parent) {
        uint32_t above = places[at].parent;
        if (above != UINT32_MAX && sx_str_eq(places[above].service, places[at].service))
            continue;
        way[depth++] = at;
        focal |= sx_str_eq(places[at].service, s->service);
        hash = sx_hash(places[at].operation, sx_hash(places[at].service, hash));
    }
    if (!focal)
        return;
    for (size_t i = 0; i < s->seen_count; i++)
        if (s->seen[i] == hash)
            return;
    sx_buf *out = &s->ui.out;
    put(out, s->seen_count ? ",{\"path\":[" : "{\"path\":[");
    s->seen[s->seen_count++] = hash;
    for (size_t i = depth; i-- > 0;) {
        sx_buf_byte(out, '{');
        put_field(out, "service", places[way[i]].service);
        sx_buf_byte(out, ',');
        put_field(out, "operation", places[way[i]].operation);
        put(out, i ? "}," : "}");
    }
    put(out, "],\"attributes\":[{\"key\":\"exemplar_trace_id\",\"value\":\"");
    jaeger_put_hex(out, trace_id, 16);
    put(out, "\"}]}");
}

static bool put_ways(void *ctx, const uint8_t trace_id[16], span_batch *trace)
{
    sample *s = ctx;
    sx_arena arena;
    jaeger_place *places;
    size_t count;
    span_batch *none = span_batch_new(0);
    sx_arena_init(&arena, 0, 0);
    s->status = none ? jaeger_compare(trace, none, &arena, &places, &count, &s->err)
                     : sx_fail_memory(&s->err, "paths");
    bool *inner = s->status == SX_OK ? sx_arena_calloc(&arena, count + 1, sizeof *inner) : NULL;
    for (size_t i = 0; inner && i < count; i++)
        if (places[i].parent != UINT32_MAX)
            inner[places[i].parent] = true;
    for (uint32_t i = 0; inner && i < count; i++)
        if (!inner[i])
            put_way(s, places, i, trace_id);
    if (s->status == SX_OK && !inner)
        s->status = sx_fail_memory(&s->err, "paths");
    sx_arena_done(&arena);
    span_batch_unref(none);
    return s->status == SX_OK;
}

void api_jaeger_deep_dependencies(api_call *c)
{
    jaeger_ask ask;
    if (!jaeger_ask_begin(c, &ask))
        return;
    sample *s = sx_arena_calloc(&c->arena, 1, sizeof *s);
    uint64_t *seen = sx_arena_calloc(&c->arena, PATHS_MAX, sizeof *seen);
    if (!s || !seen) {
        jaeger_fail(c, 500, SX_STR("out of memory"));
        return;
    }
    *s = (sample){.c = c, .seen = seen, .service = jaeger_param_get(&ask.params, "service")};
    if (s->service.len == 0) {
        jaeger_fail(c, 400, SX_STR("parameter 'service' is required"));
        return;
    }
    jaeger_answer(c, &ask, &s->ui);
    put(&s->ui.out, "{\"dependencies\":[");
    sx_status status = look(s, &ask, put_ways);
    put(&s->ui.out, "]}");
    if (status == SX_OK)
        status = jaeger_ui_flush(&s->ui, &s->err);
    if (status != SX_OK)
        jaeger_fail_store(c, &s->err);
    jaeger_ui_done(&s->ui);
}

/* ---- quality: what the adjuster had to warn of ---- */

static const struct {
    const char *name, *category, *description;
    sx_str warning; /* of spans that fail; empty: those without a service */
} CHECKS[] = {
    {"Parents present", "completeness", "The parent of every span has arrived.",
     SX_STR_INIT("parent span ID=")},
    {"Unique span ids", "correctness", "No two different spans of a trace have one id.",
     SX_STR_INIT("duplicate span IDs")},
    {"Clocks agree", "correctness", "Children lie within the time of their parents.",
     SX_STR_INIT("clock skew adjustment disabled")},
    {"Services named", "completeness", "Every span says of which service it is.", {NULL, 0}},
};

static bool fails(size_t check, const span *s, const jaeger_notes *notes)
{
    if (CHECKS[check].warning.len == 0)
        return s->resource->service.len == 0;
    for (uint32_t i = 0; i < notes->count; i++)
        if (sx_str_starts(notes->items[i], CHECKS[check].warning))
            return true;
    return false;
}

static bool judge(void *ctx, const uint8_t trace_id[16], span_batch *trace)
{
    sample *s = ctx;
    const jaeger_notes *notes;
    s->status = jaeger_adjust(trace, 0, &notes, &s->err);
    for (size_t k = 0; s->status == SX_OK && k < SX_COUNT_OF(CHECKS); k++) {
        bool failed = false;
        for (size_t i = 0; i < trace->count && !failed; i++)
            failed = fails(k, trace->spans[i], &notes[i]);
        uint64_t *count = failed ? &s->checks[k].fail : &s->checks[k].pass;
        if (*count < EXAMPLES_MAX)
            memcpy(s->checks[k].examples[failed][*count], trace_id, 16);
        ++*count;
    }
    return s->status == SX_OK;
}

static void put_examples(sx_buf *out, const char *name, const uint8_t (*ids)[16], uint64_t count)
{
    sx_buf_printf(out, ",\"%s\":[", name);
    for (uint64_t i = 0; i < count && i < EXAMPLES_MAX; i++) {
        put(out, i ? ",{\"traceID\":\"" : "{\"traceID\":\"");
        jaeger_put_hex(out, ids[i], 16);
        put(out, "\"}");
    }
    sx_buf_byte(out, ']');
}

static void put_score(const sample *s, const char *category, sx_buf *out)
{
    uint64_t pass = 0, all = 0;
    for (size_t k = 0; k < SX_COUNT_OF(CHECKS); k++)
        if (strcmp(CHECKS[k].category, category) == 0) {
            pass += s->checks[k].pass;
            all += s->checks[k].pass + s->checks[k].fail;
        }
    sx_buf_printf(out, "{\"key\":\"%s\",\"label\":\"%s\",\"max\":100,\"value\":%llu}", category,
                  category, (unsigned long long)(all ? pass * 100 / all : 100));
}

void api_jaeger_quality(api_call *c)
{
    jaeger_ask ask;
    if (!jaeger_ask_begin(c, &ask))
        return;
    sample *s = sx_arena_calloc(&c->arena, 1, sizeof *s);
    if (!s) {
        jaeger_fail(c, 500, SX_STR("out of memory"));
        return;
    }
    s->c = c;
    s->service = jaeger_param_get(&ask.params, "service");
    if (look(s, &ask, judge) != SX_OK) {
        jaeger_fail_store(c, &s->err);
        return;
    }
    jaeger_answer(c, &ask, &s->ui);
    sx_buf *out = &s->ui.out;
    put(out, "{\"traceQualityDocumentationLink\":\"\",\"bannerText\":null,\"scores\":[");
    put_score(s, "completeness", out);
    sx_buf_byte(out, ',');
    put_score(s, "correctness", out);
    put(out, "],\"metrics\":[");
    for (size_t k = 0; k < SX_COUNT_OF(CHECKS); k++) {
        sx_buf_printf(out,
                      "%s{\"name\":\"%s\",\"category\":\"%s\",\"description\":\"%s\","
                      "\"metricDocumentationLink\":\"\",\"metricWeight\":1,\"passCount\":%llu,"
                      "\"failureCount\":%llu",
                      k ? "," : "", CHECKS[k].name, CHECKS[k].category, CHECKS[k].description,
                      (unsigned long long)s->checks[k].pass, (unsigned long long)s->checks[k].fail);
        put_examples(out, "passExamples", s->checks[k].examples[0], s->checks[k].pass);
        put_examples(out, "failureExamples", s->checks[k].examples[1], s->checks[k].fail);
        put(out, "}");
    }
    put(out, "],\"clients\":[]}");
    if (jaeger_ui_flush(&s->ui, &s->err) != SX_OK)
        jaeger_fail_store(c, &s->err);
    jaeger_ui_done(&s->ui);
}
