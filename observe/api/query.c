/* query.c - /query, /query_range, /query_exemplars, /format_query, /parse_query. */
#include <stdio.h>

#include <sextant/mem.h>

#include "observe/api/api.h"

enum { POINTS_MAX = 11000, WARNINGS_MAX = 4096 };

/* A query under way or being written out. */
typedef struct query_state {
    promql_request request;
    promql_result result;
    api_result_writer writer;
    int64_t limit;
    sx_str stats; /* parameter */
    bool instant, ran, finished;
} query_state;

/* ---- parameters ---- */

static bool has_stats(const api_call *c)
{
    return api_form_get(&c->form, "stats").len > 0;
}

static bool refuse(api_call *c, const char *param, const char *words)
{
    sx_error err = {0};
    sx_fail(&err, SX_EINVAL, "%s", words);
    api_fail_param(c, param, &err);
    return false;
}

/* timeout, lookback_delta, stats: after the times, as Prometheus looks at them. */
static bool read_options(api_call *c, query_state *s)
{
    sx_error err = {0};
    int64_t ns;
    bool late = false;
    sx_str text = api_form_get(&c->form, "timeout");
    if (text.len) {
        if (api_duration_read(text, &ns, &err) != SX_OK) {
            api_fail_param(c, "timeout", &err);
            return false;
        }
        s->request.timeout_ms = ns > 1000000 ? ns / 1000000 : 1;
        late = ns <= 0;
    }
    text = api_form_get(&c->form, "lookback_delta");
    if (text.len) {
        if (api_duration_read(text, &ns, &err) != SX_OK) {
            (void)sx_error_prefix(&err, SX_EFORMAT, "error parsing lookback delta duration");
            api_fail(c, API_BAD_DATA, sx_str_z(err.message));
            return false;
        }
        s->request.lookback_ms = ns > 0 ? ns / 1000000 : 0;
    }
    if (late)
        return refuse(c, "query", "context deadline exceeded");
    s->stats = api_form_get(&c->form, "stats");
    s->request.sample_stats = sx_str_eq(s->stats, SX_STR("all")) &&
                              (c->api->flags->feature_bits & OBSERVE_FEATURE_PER_STEP_STATS);
    s->request.explain = sx_str_eq(api_form_get(&c->form, "explain"), SX_STR("1"));
    s->request.text = api_form_get(&c->form, "query");
    s->request.canceled = &c->canceled;
    s->request.who = c->who;
    return true;
}

static bool read_limit(api_call *c, query_state *s)
{
    sx_error err = {0};
    if (api_form_limit(&c->form, &s->limit, &err) == SX_OK)
        return true;
    api_fail_param(c, "limit", &err);
    return false;
}

static bool read_instant(api_call *c, query_state *s)
{
    sx_error err = {0};
    if (!read_limit(c, s))
        return false;
    if (api_form_time(&c->form, "time", sx_clock_ms(c->api->clock), &s->request.start_ms, &err)) {
        api_fail_param(c, "time", &err);
        return false;
    }
    s->request.end_ms = s->request.start_ms;
    s->instant = true;
    return read_options(c, s);
}

static bool read_step(api_call *c, query_state *s, api_time start, api_time end)
{
    sx_error err = {0};
    int64_t step;
    if (api_duration_read(api_form_get(&c->form, "step"), &step, &err) != SX_OK) {
        api_fail_param(c, "step", &err);
        return false;
    }
    if (step <= 0)
        return refuse(c, "step",
                      "zero or negative query resolution step widths are not accepted. Try a "
                      "positive integer");
    if (api_time_minus(end, start) / step > POINTS_MAX) {
        api_fail(c, API_BAD_DATA,
                 SX_STR("exceeded maximum resolution of 11,000 points per timeseries. Try "
                        "decreasing the query resolution (?step=XX)"));
        return false;
    }
    s->request.step_ms = step >= 1000000 ? step / 1000000 : 1;
    return true;
}

static bool read_range(api_call *c, query_state *s)
{
    static const char *const NAMES[] = {"start", "end"};
    sx_error err = {0};
    api_time times[2];
    if (!read_limit(c, s))
        return false;
    for (size_t i = 0; i < 2; i++) {
        if (api_time_read(api_form_get(&c->form, NAMES[i]), &times[i], &err) != SX_OK) {
            api_fail_param(c, NAMES[i], &err);
            return false;
        }
    }
    s->request.start_ms = api_time_ms(times[0]);
    s->request.end_ms = api_time_ms(times[1]);
    if (times[1].s < times[0].s || (times[1].s == times[0].s && times[1].ns < times[0].ns))
        return refuse(c, "end", "end timestamp must not be before start time");
    return read_step(c, s, times[0], times[1]) && read_options(c, s);
}

/* ---- answers ---- */

static void fail_query(api_call *c, const promql_result *result, const sx_error *err)
{
    static const api_fault FAULTS[] = {
        [PROMQL_ERROR_NONE] = API_EXECUTION,      [PROMQL_ERROR_BAD_DATA] = API_BAD_DATA,
        [PROMQL_ERROR_EXECUTION] = API_EXECUTION, [PROMQL_ERROR_CANCELED] = API_CANCELED,
        [PROMQL_ERROR_TIMEOUT] = API_TIMEOUT,     [PROMQL_ERROR_INTERNAL] = API_INTERNAL,
    };
    if (result->error_kind == PROMQL_ERROR_BAD_DATA)
        api_fail_param(c, "query", err);
    else
        api_fail(c, FAULTS[result->error_kind], sx_str_z(err->message));
}

/* What stands behind the result: statistics, explanation, notes. */
static void write_end(api_call *c, query_state *s)
{
    const promql_result *r = &s->result;
    sx_buf *out = &c->out;
    if (has_stats(c))
        api_stats_write(&r->stats, s->request.sample_stats, s->request.start_ms, s->request.step_ms,
                        out);
    if (s->request.explain) {
        sx_buf_str(out, SX_STR(",\"explain\":"));
        api_json_text(out, r->explain);
    }
    sx_buf_byte(out, '}');
    size_t count = 0;
    sx_str *warnings = sx_arena_alloc(&c->arena, (r->warning_count + 2) * sizeof *warnings);
    if (!warnings) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < r->warning_count && i < WARNINGS_MAX; i++)
        warnings[count++] = r->warnings[i];
    if (s->writer.series_count < r->series_count)
        warnings[count++] = SX_STR("results truncated due to limit");
    if (s->stats.len && !sx_str_eq(s->stats, SX_STR("true")) &&
        !sx_str_eq(s->stats, SX_STR("all"))) {
        sx_buf quoted;
        sx_buf_init(&quoted, 4096);
        tsdb_quote(s->stats, &quoted);
        warnings[count] = sx_arena_printf(
            &c->arena,
            "value %.*s for parameter \"stats\" is deprecated and will be rejected in the next "
            "major release, use \"true\" or \"all\"",
            SX_ARG(sx_buf_view(&quoted)));
        count += warnings[count].data != NULL;
        sx_buf_done(&quoted);
    }
    api_notes_write(warnings, count, r->infos, r->info_count, out);
    sx_buf_byte(out, '}');
}

static void write_some(api_call *c)
{
    query_state *s = c->state;
    if (api_result_write(&s->writer, API_PIECE_BYTES, &c->out)) {
        write_end(c, s);
        c->more = false;
    } else {
        c->more = true;
    }
}

static void query_done(api_call *c)
{
    query_state *s = c->state;
    if (s->ran)
        promql_result_done(&s->result);
    sx_free(s);
}

static void run(api_call *c, bool (*read)(api_call *c, query_state *s), const char *path)
{
    sx_error err = {0};
    query_state *s = sx_calloc(1, sizeof *s);
    if (!s) {
        api_fail(c, API_INTERNAL, SX_STR("out of memory"));
        return;
    }
    c->state = s;
    c->done = query_done;
    if (!read(c, s))
        return;
    sx_status status = promql_query(c->api->engine, c->api->store, &s->request, &s->result, &err);
    s->ran = true;
    api_metrics_query(c->api, &s->result.stats);
    if (status == SX_OK || s->result.error_kind != PROMQL_ERROR_BAD_DATA)
        api_query_log_write(c->api->query_log, c, sx_str_z(path), &s->request, &s->result,
                            status == SX_OK ? NULL : err.message);
    if (status != SX_OK) {
        fail_query(c, &s->result, &err);
        return;
    }
    size_t count = s->result.series_count;
    if (s->limit > 0 && (uint64_t)s->limit < count)
        count = (size_t)s->limit;
    s->writer = (api_result_writer){.result = &s->result, .series_count = count};
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":"));
    c->work = write_some;
    write_some(c);
}

void api_query(api_call *c)
{
    run(c, read_instant, "/api/v1/query");
}

void api_query_range(api_call *c)
{
    run(c, read_range, "/api/v1/query_range");
}

/* ---- texts ---- */

static sx_status parse(api_call *c, promql_parsed *out, sx_error *err)
{
    promql_parse_options options = {.features = c->api->flags->promql_features};
    return promql_parse(api_form_get(&c->form, "query"), &options, &c->arena, out, err);
}

void api_format_query(api_call *c)
{
    sx_error err = {0};
    promql_parsed parsed;
    sx_buf text;
    if (parse(c, &parsed, &err) != SX_OK) {
        api_fail_param(c, "query", &err);
        return;
    }
    sx_buf_init(&text, 64 << 20);
    sx_status status = promql_format(parsed.expr, &text, &err);
    if (status == SX_OK) {
        api_success(c);
        sx_buf_str(&c->out, SX_STR(",\"data\":"));
        api_json_text(&c->out, sx_buf_view(&text));
        sx_buf_byte(&c->out, '}');
    } else {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
    }
    sx_buf_done(&text);
    promql_parsed_done(&parsed);
}

/* A tree's JSON with its <, > and & escaped, as api_json_text() has them: they stand in texts only. */
static void write_tree(sx_buf *out, sx_str json)
{
    size_t from = 0;
    for (size_t i = 0; i < json.len; i++) {
        char c = json.data[i];
        if (c != '<' && c != '>' && c != '&')
            continue;
        sx_buf_str(out, sx_str_first(sx_str_from(json, from), i - from));
        sx_buf_str(out, c == '<'   ? SX_STR("\\u003c")
                        : c == '>' ? SX_STR("\\u003e")
                                   : SX_STR("\\u0026"));
        from = i + 1;
    }
    sx_buf_str(out, sx_str_from(json, from));
}

void api_parse_query(api_call *c)
{
    sx_error err = {0};
    promql_parsed parsed;
    sx_buf tree;
    if (parse(c, &parsed, &err) != SX_OK) {
        api_fail_param(c, "query", &err);
        return;
    }
    sx_buf_init(&tree, 256 << 20);
    if (promql_json(parsed.expr, &tree, &err) == SX_OK) {
        api_success(c);
        sx_buf_str(&c->out, SX_STR(",\"data\":"));
        write_tree(&c->out, sx_buf_view(&tree));
        sx_buf_byte(&c->out, '}');
    } else {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
    }
    sx_buf_done(&tree);
    promql_parsed_done(&parsed);
}

/* ---- exemplars ---- */

typedef struct selectors {
    const tsdb_matcher **sets;
    size_t *counts;
    size_t count, cap, count_cap;
    sx_arena *arena;
    bool failed;
} selectors;

/* Every selector of a tree. Its depth is the parser's to bound. */
static void gather_selectors(const promql_expr *e, selectors *s)
{
    if (!e || s->failed)
        return;
    switch (e->kind) {
    case PROMQL_SELECTOR:
        if (!sx_arena_grow(s->arena, &s->sets, &s->cap, s->count + 1, sizeof *s->sets) ||
            !sx_arena_grow(s->arena, &s->counts, &s->count_cap, s->count + 1, sizeof *s->counts)) {
            s->failed = true;
            return;
        }
        s->sets[s->count] = e->selector.matchers;
        s->counts[s->count++] = e->selector.matcher_count;
        break;
    case PROMQL_RANGE:
        gather_selectors(e->range.selector, s);
        break;
    case PROMQL_SUBQUERY:
        gather_selectors(e->subquery.expr, s);
        break;
    case PROMQL_CALL:
        for (uint32_t i = 0; i < e->call.arg_count; i++)
            gather_selectors(e->call.args[i], s);
        break;
    case PROMQL_AGGREGATE:
        gather_selectors(e->aggregate.expr, s);
        gather_selectors(e->aggregate.param, s);
        break;
    case PROMQL_BINARY:
        gather_selectors(e->binary.left, s);
        gather_selectors(e->binary.right, s);
        break;
    case PROMQL_UNARY:
        gather_selectors(e->unary.expr, s);
        break;
    case PROMQL_PAREN:
    case PROMQL_STEP_INVARIANT:
        gather_selectors(e->inner, s);
        break;
    case PROMQL_NUMBER:
    case PROMQL_STRING_LITERAL:
    case PROMQL_ARITHMETIC:
        break;
    }
}

static void write_exemplars(sx_buf *out, const tsdb_exemplars_of *items, size_t count)
{
    sx_buf_str(out, SX_STR(",\"data\":["));
    for (size_t i = 0; i < count; i++) {
        sx_buf_str(out, i ? SX_STR(",{\"seriesLabels\":") : SX_STR("{\"seriesLabels\":"));
        api_json_labels(out, items[i].labels);
        sx_buf_str(out, SX_STR(",\"exemplars\":["));
        for (size_t k = 0; k < items[i].count; k++) {
            const tsdb_exemplar *e = &items[i].items[k];
            sx_buf_str(out, k ? SX_STR(",{\"labels\":") : SX_STR("{\"labels\":"));
            api_json_labels(out, e->labels);
            sx_buf_str(out, SX_STR(",\"value\":"));
            api_json_float(out, e->value);
            sx_buf_str(out, SX_STR(",\"timestamp\":"));
            api_json_time(out, e->t);
            sx_buf_byte(out, '}');
        }
        sx_buf_str(out, SX_STR("]}"));
    }
    sx_buf_str(out, SX_STR("]}"));
}

static void find_exemplars(api_call *c, const promql_parsed *parsed, int64_t start, int64_t end)
{
    sx_error err = {0};
    selectors s = {.arena = &c->arena};
    tsdb_exemplars_of *items;
    size_t count;
    gather_selectors(parsed->expr, &s);
    if (s.failed)
        api_fail(c, API_INTERNAL, SX_STR("out of memory"));
    else if (s.count == 0)
        api_no_content(c);
    else if (tsdb_exemplars(c->api->db, start, end, s.sets, s.counts, s.count, &c->arena, &items,
                            &count, &err) != SX_OK)
        api_fail_store(c, &err);
    else {
        api_success(c);
        write_exemplars(&c->out, items, count);
    }
}

void api_query_exemplars(api_call *c)
{
    sx_error err = {0};
    int64_t start, end;
    promql_parsed parsed;
    if (api_form_time(&c->form, "start", API_TIME_MIN_MS, &start, &err) != SX_OK) {
        api_fail_param(c, "start", &err);
        return;
    }
    if (api_form_time(&c->form, "end", API_TIME_MAX_MS, &end, &err) != SX_OK) {
        api_fail_param(c, "end", &err);
        return;
    }
    if (end < start) {
        api_fail(c, API_BAD_DATA, SX_STR("end timestamp must not be before start timestamp"));
        return;
    }
    if (parse(c, &parsed, &err) != SX_OK) {
        api_fail(c, API_BAD_DATA, sx_str_z(err.message));
        return;
    }
    find_exemplars(c, &parsed, start, end);
    promql_parsed_done(&parsed);
}
