/* answer.c - reads the query API's JSON, and writes it for results of our own engine. */
#include "cmd/answer.h"

#include <sextant/json.h>

#include "observe/api/json.h"
#include "observe/api/params.h"

enum { LABELS_MAX = 1000 };

typedef struct answer_reader {
    sx_json json;
    sx_arena *arena;
    bool no_memory;
} answer_reader;

/* --- Samples. */

/* [1700000000.123, "1.5"] or [1700000000.123, {"count":...}] */
static void read_sample(answer_reader *r, answer_sample *out)
{
    double seconds = 0;
    sx_str text;
    *out = (answer_sample){0};
    if (!sx_json_enter_array(&r->json))
        return;
    if (sx_json_next_item(&r->json))
        sx_json_read_double(&r->json, &seconds);
    out->t = (int64_t)(seconds * 1000 + (seconds < 0 ? -0.5 : 0.5));
    if (sx_json_next_item(&r->json)) {
        if (sx_json_peek(&r->json) == SX_JSON_OBJECT)
            sx_json_raw(&r->json, &out->histogram);
        else if (sx_json_read_str(&r->json, &text) && !api_float_read(text, &out->v))
            out->v = __builtin_nan("");
    }
    while (sx_json_next_item(&r->json)) {
    }
}

static void read_labels(answer_reader *r, tsdb_labels *out)
{
    tsdb_label own[LABELS_MAX];
    uint32_t count = 0;
    sx_str key, value;
    if (!sx_json_enter_object(&r->json))
        return;
    while (sx_json_next_key(&r->json, &key)) {
        if (sx_json_read_str(&r->json, &value) && count < LABELS_MAX)
            own[count++] = (tsdb_label){sx_arena_copy(r->arena, key), value};
    }
    tsdb_labels sorted;
    sx_error ignored;
    if (tsdb_labels_sort(own, count, &sorted, &ignored) == SX_OK &&
        tsdb_labels_copy(sorted, r->arena, out, &ignored) != SX_OK)
        r->no_memory = true;
}

/* One [t, v], or a list of them, behind what the series has. */
static void read_samples(answer_reader *r, bool many, answer_series *s)
{
    size_t cap = s->count;
    if (many && !sx_json_enter_array(&r->json))
        return;
    while (!many || sx_json_next_item(&r->json)) {
        if (!sx_arena_grow(r->arena, &s->samples, &cap, s->count + 1, sizeof(answer_sample))) {
            r->no_memory = true;
            return;
        }
        read_sample(r, &s->samples[s->count++]);
        if (!many || sx_json_status(&r->json, NULL) != SX_OK)
            return;
    }
}

static void read_series(answer_reader *r, answer_series *s)
{
    sx_str key;
    *s = (answer_series){0};
    if (!sx_json_enter_object(&r->json))
        return;
    while (sx_json_next_key(&r->json, &key)) {
        if (sx_str_eq(key, SX_STR("metric")))
            read_labels(r, &s->labels);
        else if (sx_str_eq(key, SX_STR("value")) || sx_str_eq(key, SX_STR("histogram")))
            read_samples(r, false, s);
        else if (sx_str_eq(key, SX_STR("values")) || sx_str_eq(key, SX_STR("histograms")))
            read_samples(r, true, s);
    }
}

static void read_result(answer_reader *r, answer *out)
{
    size_t cap = 0;
    double t;
    if (out->kind == ANSWER_STRING) {
        if (sx_json_enter_array(&r->json) && sx_json_next_item(&r->json))
            sx_json_read_double(&r->json, &t);
        if (sx_json_next_item(&r->json))
            sx_json_read_str(&r->json, &out->string);
        return;
    }
    if (out->kind == ANSWER_SCALAR) {
        out->series = sx_arena_calloc(r->arena, 1, sizeof(answer_series));
        r->no_memory |= !out->series;
        out->series_count = out->series ? 1 : 0;
        if (out->series)
            read_samples(r, false, out->series);
        return;
    }
    for (sx_json_enter_array(&r->json); sx_json_next_item(&r->json);) {
        if (!sx_arena_grow(r->arena, &out->series, &cap, out->series_count + 1,
                           sizeof(answer_series))) {
            r->no_memory = true;
            return;
        }
        read_series(r, &out->series[out->series_count++]);
    }
}

/* --- The envelope. */

static void read_notes(answer_reader *r, answer *out)
{
    size_t cap = out->note_count;
    for (sx_json_enter_array(&r->json); sx_json_next_item(&r->json);) {
        if (!sx_arena_grow(r->arena, &out->notes, &cap, out->note_count + 1, sizeof(sx_str))) {
            r->no_memory = true;
            return;
        }
        sx_json_read_str(&r->json, &out->notes[out->note_count++]);
    }
}

static void read_data(answer_reader *r, answer *out, sx_error *err)
{
    static const char *const KINDS[] = {"vector", "matrix", "scalar", "string"};
    answer_reader inner = {.arena = r->arena};
    sx_str key, kind = {0}, result = {0};
    sx_json_init(&inner.json, out->json, &(sx_json_options){.arena = r->arena});
    if (!sx_json_enter_object(&inner.json))
        return;
    while (sx_json_next_key(&inner.json, &key)) {
        if (sx_str_eq(key, SX_STR("resultType")))
            sx_json_read_str(&inner.json, &kind);
        else if (sx_str_eq(key, SX_STR("result")))
            sx_json_raw(&inner.json, &result);
    }
    for (size_t i = 0; i < SX_COUNT_OF(KINDS); i++) {
        if (sx_str_eq(kind, sx_str_z(KINDS[i])))
            out->kind = (answer_kind)i;
    }
    sx_json_init(&inner.json, result, &(sx_json_options){.arena = r->arena});
    read_result(&inner, out);
    sx_json_status(&inner.json, err);
    r->no_memory |= inner.no_memory;
}

static sx_status finish(answer_reader *r, sx_error *err)
{
    sx_status st = sx_json_finish(&r->json, err);
    if (r->no_memory)
        return sx_fail_memory(err, "an answer");
    return st == SX_OK ? st
                       : sx_error_prefix(err, st,
                                         "the server's answer is no JSON of the "
                                         "query API");
}

sx_status answer_read(sx_str text, sx_arena *arena, answer *out, sx_error *err)
{
    answer_reader r = {.arena = arena};
    sx_str key;
    *out = (answer){0};
    sx_json_init(&r.json, text, &(sx_json_options){.arena = arena, .string_bytes_max = 1 << 30});
    sx_json_enter_object(&r.json);
    while (sx_json_next_key(&r.json, &key)) {
        if (sx_str_eq(key, SX_STR("data")))
            sx_json_raw(&r.json, &out->json);
        else if (sx_str_eq(key, SX_STR("error")))
            sx_json_read_str(&r.json, &out->error);
        else if (sx_str_eq(key, SX_STR("warnings")) || sx_str_eq(key, SX_STR("infos")))
            read_notes(&r, out);
    }
    sx_status st = finish(&r, err);
    if (st == SX_OK && !out->error.len)
        read_data(&r, out, err);
    return st == SX_OK && r.no_memory ? sx_fail_memory(err, "an answer") : st;
}

sx_status answer_read_list(sx_str text, sx_arena *arena, sx_str **lines, size_t *count,
                           sx_str *error, sx_error *err)
{
    answer_reader r = {.arena = arena};
    sx_str key;
    size_t cap = 0;
    *lines = NULL, *count = 0, *error = (sx_str){0};
    sx_json_init(&r.json, text, &(sx_json_options){.arena = arena});
    sx_json_enter_object(&r.json);
    while (sx_json_next_key(&r.json, &key)) {
        if (sx_str_eq(key, SX_STR("error")))
            sx_json_read_str(&r.json, error);
        if (!sx_str_eq(key, SX_STR("data")))
            continue;
        for (sx_json_enter_array(&r.json); sx_json_next_item(&r.json);) {
            sx_str line = {0};
            if (sx_json_peek(&r.json) == SX_JSON_OBJECT) {
                tsdb_labels labels = {0};
                sx_buf printed;
                sx_buf_init(&printed, 0);
                read_labels(&r, &labels);
                tsdb_labels_print_series(labels, &printed, NULL);
                line = sx_arena_copy(arena, sx_buf_view(&printed));
                sx_buf_done(&printed);
            } else {
                sx_json_read_str(&r.json, &line);
            }
            if (!sx_arena_grow(arena, lines, &cap, *count + 1, sizeof(sx_str)))
                return sx_fail_memory(err, "an answer");
            (*lines)[(*count)++] = line;
        }
    }
    return finish(&r, err);
}

/* {"labels":{...},"value":"1","timestamp":1.5}, behind `series`. */
static void read_exemplar(answer_reader *r, sx_str series, sx_buf *out)
{
    tsdb_labels labels = {0};
    sx_str key, value = {0}, when = {0};
    sx_json_enter_object(&r->json);
    while (sx_json_next_key(&r->json, &key)) {
        if (sx_str_eq(key, SX_STR("labels")))
            read_labels(r, &labels);
        else if (sx_str_eq(key, SX_STR("value")))
            sx_json_read_str(&r->json, &value);
        else if (sx_str_eq(key, SX_STR("timestamp")))
            sx_json_raw(&r->json, &when);
    }
    sx_buf_str(out, series);
    sx_buf_str(out, SX_STR(" # "));
    tsdb_labels_print(labels, out, NULL);
    sx_buf_printf(out, " %.*s %.*s\n", SX_ARG(value), SX_ARG(when));
}

/* {"seriesLabels":{...},"exemplars":[...]} */
static void read_exemplars(answer_reader *r, sx_buf *out)
{
    tsdb_labels labels = {0};
    sx_str key;
    sx_buf series;
    sx_buf_init(&series, 0);
    sx_json_enter_object(&r->json);
    while (sx_json_next_key(&r->json, &key)) {
        if (sx_str_eq(key, SX_STR("seriesLabels"))) {
            read_labels(r, &labels);
            tsdb_labels_print_series(labels, &series, NULL);
        } else if (sx_str_eq(key, SX_STR("exemplars"))) {
            for (sx_json_enter_array(&r->json); sx_json_next_item(&r->json);)
                read_exemplar(r, sx_buf_view(&series), out);
        }
    }
    r->no_memory |= series.failed;
    sx_buf_done(&series);
}

sx_status answer_print_exemplars(sx_str text, sx_arena *arena, sx_buf *out, sx_error *err)
{
    answer_reader r = {.arena = arena};
    sx_str key, error = {0};
    sx_json_init(&r.json, text, &(sx_json_options){.arena = arena});
    sx_json_enter_object(&r.json);
    while (sx_json_next_key(&r.json, &key)) {
        if (sx_str_eq(key, SX_STR("error")))
            sx_json_read_str(&r.json, &error);
        if (!sx_str_eq(key, SX_STR("data")))
            continue;
        for (sx_json_enter_array(&r.json); sx_json_next_item(&r.json);)
            read_exemplars(&r, out);
    }
    sx_status st = finish(&r, err);
    if (st == SX_OK && error.len)
        st = sx_fail(err, SX_EINVAL, "%.*s", SX_ARG(error));
    return st == SX_OK ? sx_buf_status(out, "exemplars", err) : st;
}

/* --- Of our own engine. */

static void write_sample(const promql_series *s, size_t i, sx_buf *out)
{
    sx_buf_byte(out, '[');
    api_json_time(out, s->t[i]);
    sx_buf_byte(out, ',');
    if (s->h && s->h[i])
        api_json_histogram(out, s->h[i]);
    else
        api_json_float(out, s->v[i]);
    sx_buf_byte(out, ']');
}

/* Floats, or histograms, of a series of a range: they stand in lists of their own. */
static void write_samples(const promql_series *s, bool histograms, sx_buf *out)
{
    size_t written = 0;
    for (size_t i = 0; i < s->count; i++) {
        if ((s->h && s->h[i]) != histograms)
            continue;
        sx_buf_str(out, written++    ? SX_STR(",")
                        : histograms ? SX_STR(",\"histograms\":[")
                                     : SX_STR(",\"values\":["));
        write_sample(s, i, out);
    }
    if (written)
        sx_buf_byte(out, ']');
}

static void write_one(const promql_result *r, const promql_series *s, sx_buf *out)
{
    sx_buf_str(out, SX_STR("{\"metric\":"));
    api_json_labels(out, s->labels);
    if (r->type == PROMQL_MATRIX) {
        write_samples(s, false, out);
        write_samples(s, true, out);
    } else if (s->count) {
        sx_buf_str(out, s->h && s->h[0] ? SX_STR(",\"histogram\":") : SX_STR(",\"value\":"));
        write_sample(s, 0, out);
    }
    sx_buf_byte(out, '}');
}

sx_status answer_take(const promql_result *r, sx_arena *arena, answer *out, sx_error *err)
{
    sx_buf json;
    sx_buf_init(&json, 0);
    if (r->type == PROMQL_SCALAR || r->type == PROMQL_STRING) {
        bool scalar = r->type == PROMQL_SCALAR;
        sx_buf_printf(&json, "{\"resultType\":\"%s\",\"result\":[", scalar ? "scalar" : "string");
        api_json_time(&json, r->scalar_t);
        sx_buf_byte(&json, ',');
        if (scalar)
            api_json_float(&json, r->scalar);
        else
            api_json_text(&json, r->string);
        sx_buf_str(&json, SX_STR("]}"));
    } else {
        sx_buf_printf(&json, "{\"resultType\":\"%s\",\"result\":[",
                      r->type == PROMQL_MATRIX ? "matrix" : "vector");
        for (size_t i = 0; i < r->series_count; i++) {
            sx_buf_str(&json, i ? SX_STR(",") : SX_STR(""));
            write_one(r, &r->series[i], &json);
        }
        sx_buf_str(&json, SX_STR("]}"));
    }
    *out = (answer){.json = sx_arena_copy(arena, sx_buf_view(&json))};
    sx_status st = sx_buf_status(&json, "an answer", err);
    sx_buf_done(&json);
    answer_reader reader = {.arena = arena};
    out->notes = sx_arena_calloc(arena, r->warning_count + r->info_count + 1, sizeof(sx_str));
    if (st == SX_OK && (!out->json.data || !out->notes))
        st = sx_fail_memory(err, "an answer");
    if (st != SX_OK)
        return st;
    for (size_t i = 0; i < r->warning_count + r->info_count; i++)
        out->notes[out->note_count++] = sx_arena_copy(
            arena, i < r->warning_count ? r->warnings[i] : r->infos[i - r->warning_count]);
    read_data(&reader, out, err);
    return reader.no_memory ? sx_fail_memory(err, "an answer") : SX_OK;
}
