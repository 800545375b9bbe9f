/* query.c - `sextant query`: PromQL asked of a server over HTTP, or of a data directory read directly. */
#include "cmd/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sextant/clock.h>
#include <sextant/url.h>

#include "cmd/command.h"
#include "cmd/fetch.h"
#include "cmd/terminal.h"
#include "observe/api/params.h"
#include "observe/tsdb/db.h"

enum { POINTS = 250 };

/* --- What is asked. */

typedef struct query_call {
    const char *url;
    sx_buf form;
    sx_str expression;
    int64_t time_ms;
    bool time_given;
    query_view view;
    sx_arena arena;
} query_call;

static void add_parameter(query_call *q, const char *name, sx_str value)
{
    sx_buf_printf(&q->form, "%s%s=", q->form.len ? "&" : "", name);
    sx_url_encode(value, &q->form);
}

static void add_time(query_call *q, const char *name, int64_t ms)
{
    char text[64];
    snprintf(text, sizeof text, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
    add_parameter(q, name, sx_str_z(text));
}

static sx_status read_time(const char *flag, const char *typed, int64_t *ms, sx_error *err)
{
    api_time t;
    if (api_time_read(sx_str_z(typed), &t, err) != SX_OK)
        return sx_fail(err, SX_EINVAL,
                       "--%s %s is neither unix seconds nor as 2026-11-21T18:00:00Z", flag, typed);
    *ms = api_time_ms(t);
    return SX_OK;
}

static sx_status read_duration(const char *flag, const char *typed, int64_t *ms, sx_error *err)
{
    sx_status st = promql_parse_duration(sx_str_z(typed), true, ms, err);
    if (st == SX_OK && *ms > 0)
        return SX_OK;
    return sx_fail(err, SX_EINVAL, "--%s %s is no duration, as 1h30m or 90 is one", flag, typed);
}

static sx_status read_format(const char *typed, query_format *out, sx_error *err)
{
    static const char *const NAMES[] = {"table", "json", "csv"};
    for (size_t i = 0; i < SX_COUNT_OF(NAMES); i++) {
        if (sx_str_eq(sx_str_z(typed), sx_str_z(NAMES[i]))) {
            *out = (query_format)i;
            return SX_OK;
        }
    }
    return sx_fail(err, SX_EINVAL, "no format '%s'; there is table, json and csv", typed);
}

/* Prometheus's own page takes about as many steps for a graph. */
static int64_t step_for(int64_t range_ms)
{
    int64_t step = range_ms / POINTS / 1000 * 1000;
    return step > 1000 ? step : 1000;
}

static sx_status read_query(const cmd_args *args, query_call *q, sx_error *err)
{
    const char *time = cmd_value(args, "time"), *range = cmd_value(args, "range");
    const char *step = cmd_value(args, "step");
    int64_t range_ms = 0;
    q->expression = sx_str_z(args->rest[0]);
    q->time_ms = sx_clock_ms(sx_clock_system());
    q->time_given = time != NULL;
    sx_status st = read_format(cmd_value(args, "format"), &q->view.format, err);
    if (st == SX_OK && time)
        st = read_time("time", time, &q->time_ms, err);
    if (st == SX_OK && range)
        st = read_duration("range", range, &range_ms, err);
    if (st == SX_OK && range)
        q->view.step_ms = step_for(range_ms);
    if (st == SX_OK && step && !range)
        st = sx_fail(err, SX_EINVAL, "--step goes with --range");
    else if (st == SX_OK && step)
        st = read_duration("step", step, &q->view.step_ms, err);
    q->view.end_ms = q->time_ms;
    q->view.start_ms = q->time_ms - range_ms;
    q->view.terminal = isatty(STDOUT_FILENO);
    q->view.colour = terminal_has_colour(STDOUT_FILENO);
    terminal_size(STDOUT_FILENO, &q->view.columns, &q->view.rows);
    q->view.columns = q->view.columns ? q->view.columns : 80;
    q->view.rows = q->view.rows ? q->view.rows : 24;
    return st;
}

/* --- Asking. */

/* Anything but the API's envelope (a proxy's page, another program) is told by its status. */
static sx_status not_ours(int status, const query_call *q, sx_error *err)
{
    return sx_fail(err, SX_EPROTOCOL,
                   "%s answers with status %d and no JSON: is it a Prometheus or an observatory?",
                   q->url, status);
}

/* What is read lives in `arena`. */
static sx_status ask_server(query_call *q, sx_arena *arena, answer *out, sx_error *err)
{
    sx_buf body;
    int status = 0;
    sx_buf_init(&body, CMD_ANSWER_BYTES_MAX);
    add_parameter(q, "query", q->expression);
    if (q->view.step_ms) {
        char step[32];
        add_time(q, "start", q->view.start_ms);
        add_time(q, "end", q->view.end_ms);
        snprintf(step, sizeof step, "%.3f", (double)q->view.step_ms / 1000);
        add_parameter(q, "step", sx_str_z(step));
    } else if (q->time_given) {
        add_time(q, "time", q->time_ms);
    }
    sx_status st = cmd_fetch(
        cmd_endpoint(q->url, q->view.step_ms ? "/api/v1/query_range" : "/api/v1/query", &q->arena),
        sx_buf_view(&q->form), &body, &status, err);
    if (st == SX_OK) {
        sx_str text = sx_arena_copy(arena, sx_buf_view(&body));
        st = text.data ? answer_read(text, arena, out, err) : sx_fail_memory(err, "the answer");
        if (st == SX_EFORMAT)
            st = not_ours(status, q, err);
    }
    sx_buf_done(&body);
    return st;
}

/* The directory as it is, nothing written, no lock taken: a server may be running on it. */
static sx_status ask_directory(query_call *q, const char *dir, unsigned features, answer *out,
                               sx_error *err)
{
    tsdb *db = NULL;
    promql_engine *engine = NULL;
    promql_request request = {.text = q->expression,
                              .start_ms = q->view.start_ms,
                              .end_ms = q->view.end_ms,
                              .step_ms = q->view.step_ms};
    sx_status st = tsdb_open(dir, &(tsdb_options){.read_only = true}, &db, err);
    if (st == SX_OK)
        st = promql_engine_new(&(promql_engine_options){.features = features}, &engine, err);
    if (st == SX_OK) {
        promql_result result;
        st = promql_query(engine, tsdb_queryable_of(db), &request, &result, err);
        if (st == SX_OK)
            st = answer_take(&result, &q->arena, out, err);
        else if (result.error_kind == PROMQL_ERROR_BAD_DATA ||
                 result.error_kind == PROMQL_ERROR_EXECUTION) {
            *out = (answer){.error = sx_arena_copy(&q->arena, sx_str_z(err->message))};
            st = SX_OK;
        }
        promql_result_done(&result);
    }
    promql_engine_free(engine);
    if (db)
        tsdb_close(db);
    return st;
}

static int show(const query_call *q, const answer *a)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    if (a->error.len) {
        query_print_error(q->expression, a->error, terminal_has_colour(STDERR_FILENO), &out);
        fwrite(out.data, 1, out.len, stderr);
        sx_buf_done(&out);
        return 1;
    }
    for (size_t i = 0; i < a->note_count; i++)
        fprintf(stderr, "note: %.*s\n", SX_ARG(a->notes[i]));
    query_print(a, &q->view, &out);
    bool whole = !out.failed && fwrite(out.data, 1, out.len, stdout) == out.len && !fflush(stdout);
    sx_buf_done(&out);
    if (!whole)
        fprintf(stderr, "sextant: the answer could not be written\n");
    return whole ? 0 : 1;
}

int cmd_query(const cmd_args *args)
{
    query_call q = {.url = cmd_value(args, "url")};
    const char *dir = cmd_value(args, "storage.tsdb.path");
    sx_error err;
    answer a = {0};
    int code = 0;
    sx_arena_init(&q.arena, 0, 0);
    sx_buf_init(&q.form, 0);
    sx_status st = read_query(args, &q, &err);
    if (st == SX_OK && dir)
        st = ask_directory(&q, dir, cmd_promql_features(cmd_value(args, "enable-feature")), &a,
                           &err);
    else if (st == SX_OK)
        st = ask_server(&q, &q.arena, &a, &err);
    code = st == SX_OK ? show(&q, &a) : cmd_failed(&err);
    sx_buf_done(&q.form);
    sx_arena_done(&q.arena);
    return code;
}

/* --- Names. */

static sx_status add_bounds(const cmd_args *args, query_call *q, sx_error *err)
{
    static const char *const NAMES[] = {"start", "end"};
    sx_status st = SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(NAMES) && st == SX_OK; i++) {
        const char *typed = cmd_value(args, NAMES[i]);
        int64_t ms = 0;
        if (typed && (st = read_time(NAMES[i], typed, &ms, err)) == SX_OK)
            add_time(q, NAMES[i], ms);
    }
    return st;
}

/* Series, label names and label values of a server, sorted by it, a line each. */
static int list(const cmd_args *args, const char *path, const char *const *matches, size_t count)
{
    query_call q = {.url = cmd_value(args, "url")};
    sx_buf body;
    sx_error err;
    sx_str *lines = NULL, error = {0};
    size_t line_count = 0;
    int status = 0, code = 0;
    sx_arena_init(&q.arena, 0, 0);
    sx_buf_init(&q.form, 0);
    sx_buf_init(&body, CMD_ANSWER_BYTES_MAX);
    for (size_t i = 0; i < count; i++)
        add_parameter(&q, "match[]", sx_str_z(matches[i]));
    sx_status st = add_bounds(args, &q, &err);
    sx_str url = cmd_endpoint(q.url, path, &q.arena);
    if (q.form.len)
        url = sx_arena_printf(&q.arena, "%.*s?%.*s", SX_ARG(url), SX_ARG(sx_buf_view(&q.form)));
    if (st == SX_OK)
        st = cmd_fetch(url, (sx_str){0}, &body, &status, &err);
    if (st == SX_OK)
        st = answer_read_list(sx_buf_view(&body), &q.arena, &lines, &line_count, &error, &err);
    if (st == SX_EFORMAT && body.len == 0)
        st = not_ours(status, &q, &err);
    if (st == SX_OK && error.len)
        st = sx_fail(&err, SX_EFORMAT, "%.*s", SX_ARG(error));
    for (size_t i = 0; st == SX_OK && i < line_count; i++)
        printf("%.*s\n", SX_ARG(lines[i]));
    code = st == SX_OK ? 0 : cmd_failed(&err);
    sx_buf_done(&body);
    sx_buf_done(&q.form);
    sx_arena_done(&q.arena);
    return code;
}

int cmd_query_series(const cmd_args *args)
{
    return list(args, "/api/v1/series", (const char *const *)args->rest, (size_t)args->rest_count);
}

int cmd_query_labels(const cmd_args *args)
{
    return list(args, "/api/v1/labels", (const char *const *)args->rest, (size_t)args->rest_count);
}

sx_status cmd_ask_at(const char *url, sx_str expression, int64_t time_ms, sx_arena *arena,
                     answer *out, sx_error *err)
{
    query_call q = {.url = url, .expression = expression, .time_ms = time_ms, .time_given = true};
    sx_arena_init(&q.arena, 0, 0);
    sx_buf_init(&q.form, 0);
    sx_status st = ask_server(&q, arena, out, err);
    sx_buf_done(&q.form);
    sx_arena_done(&q.arena);
    return st;
}

int cmd_query_exemplars(const cmd_args *args)
{
    query_call q = {.url = cmd_value(args, "url")};
    sx_buf body;
    sx_error err;
    int status = 0;
    sx_arena_init(&q.arena, 0, 0);
    sx_buf_init(&q.form, 0);
    sx_buf_init(&body, CMD_ANSWER_BYTES_MAX);
    add_parameter(&q, "query", sx_str_z(args->rest[0]));
    sx_status st = add_bounds(args, &q, &err);
    if (st == SX_OK)
        st = cmd_fetch(cmd_endpoint(q.url, "/api/v1/query_exemplars", &q.arena),
                       sx_buf_view(&q.form), &body, &status, &err);
    sx_buf_clear(&q.form); /* from here on the lines */
    if (st == SX_OK && status != 204)
        st = answer_print_exemplars(sx_buf_view(&body), &q.arena, &q.form, &err);
    if (st == SX_EFORMAT && body.len == 0)
        st = not_ours(status, &q, &err);
    if (st == SX_OK)
        fwrite(q.form.data, 1, q.form.len, stdout);
    int code = st == SX_OK ? 0 : cmd_failed(&err);
    sx_buf_done(&body);
    sx_buf_done(&q.form);
    sx_arena_done(&q.arena);
    return code;
}

int cmd_query_label_values(const cmd_args *args)
{
    char path[1024];
    sx_buf name;
    sx_buf_init(&name, 0);
    sx_url_encode(sx_str_z(args->rest[0]), &name);
    int len = snprintf(path, sizeof path, "/api/v1/label/%.*s/values", SX_ARG(sx_buf_view(&name)));
    sx_buf_done(&name);
    if (len < 0 || len >= (int)sizeof path) {
        fprintf(stderr, "sextant: the label's name is too long\n");
        return 1;
    }
    return list(args, path, (const char *const *)args->rest + 1, (size_t)args->rest_count - 1);
}
