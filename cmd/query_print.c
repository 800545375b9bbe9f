/* query_print.c - answers as tables, CSV, JSON, charts; errors with their place marked. */
#include "cmd/query.h"

#include <stdlib.h>

#include <sextant/clock.h>
#include <sextant/mem.h>
#include <sextant/utf8.h>

#include "cmd/chart.h"
#include "observe/api/json.h"

enum { NAMES_MAX = 200 };

static void put_value(const answer_sample *s, sx_buf *out)
{
    sx_buf quoted;
    if (s->histogram.len) {
        sx_buf_str(out, s->histogram);
        return;
    }
    sx_buf_init(&quoted, 0);
    api_json_float(&quoted, s->v);
    if (quoted.len >= 2) /* the API's numbers stand in quotes */
        sx_buf_bytes(out, quoted.data + 1, quoted.len - 2);
    sx_buf_done(&quoted);
}

static void put_date(int64_t ms, sx_buf *out)
{
    char text[SX_TIME_RFC3339_BYTES];
    sx_buf_bytes(out, text, sx_time_rfc3339(ms * 1000000, 3, text));
}

/* --- Tables. */

/* SERIES and VALUE, the values under each other. */
static void put_instant(const answer *a, sx_buf *out)
{
    size_t width = 6;
    sx_buf name;
    sx_buf_init(&name, 0);
    for (size_t i = 0; i < a->series_count; i++) {
        sx_buf_clear(&name);
        tsdb_labels_print_series(a->series[i].labels, &name, NULL);
        width = name.len > width ? name.len : width;
    }
    if (a->kind == ANSWER_VECTOR && a->series_count)
        sx_buf_printf(out, "%-*s  VALUE\n", (int)width, "SERIES");
    for (size_t i = 0; i < a->series_count; i++) {
        sx_buf_clear(&name);
        if (a->kind == ANSWER_VECTOR) {
            tsdb_labels_print_series(a->series[i].labels, &name, NULL);
            sx_buf_printf(out, "%-*.*s  ", (int)width, SX_ARG(sx_buf_view(&name)));
        }
        if (a->series[i].count)
            put_value(&a->series[i].samples[0], out);
        sx_buf_byte(out, '\n');
    }
    sx_buf_done(&name);
}

/* A line a sample: time, value, series. */
static void put_range(const answer *a, sx_buf *out)
{
    for (size_t i = 0; i < a->series_count; i++) {
        for (size_t k = 0; k < a->series[i].count; k++) {
            put_date(a->series[i].samples[k].t, out);
            sx_buf_str(out, SX_STR("  "));
            put_value(&a->series[i].samples[k], out);
            sx_buf_str(out, SX_STR("  "));
            tsdb_labels_print_series(a->series[i].labels, out, NULL);
            sx_buf_byte(out, '\n');
        }
    }
}

/* --- CSV (RFC 4180): a column for every label name, then time and value. */

static void put_field(sx_str text, sx_buf *out)
{
    bool plain =
        sx_str_find_byte(text, ',') == text.len && sx_str_find_byte(text, '"') == text.len &&
        sx_str_find_byte(text, '\n') == text.len && sx_str_find_byte(text, '\r') == text.len;
    if (plain) {
        sx_buf_str(out, text);
        return;
    }
    sx_buf_byte(out, '"');
    for (size_t i = 0; i < text.len; i++)
        sx_buf_bytes(out, text.data[i] == '"' ? "\"\"" : &text.data[i],
                     text.data[i] == '"' ? 2 : 1);
    sx_buf_byte(out, '"');
}

static int by_name(const void *a, const void *b)
{
    return sx_str_cmp(*(const sx_str *)a, *(const sx_str *)b);
}

static size_t all_names(const answer *a, sx_str names[NAMES_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < a->series_count; i++) {
        for (uint32_t k = 0; k < a->series[i].labels.count; k++) {
            sx_str name = a->series[i].labels.items[k].name;
            size_t n = 0;
            while (n < count && !sx_str_eq(names[n], name))
                n++;
            if (n == count && count < NAMES_MAX)
                names[count++] = name;
        }
    }
    if (count)
        qsort(names, count, sizeof(sx_str), by_name);
    return count;
}

static void put_csv(const answer *a, sx_buf *out)
{
    sx_str names[NAMES_MAX];
    size_t count = all_names(a, names);
    for (size_t n = 0; n < count; n++) {
        put_field(names[n], out);
        sx_buf_byte(out, ',');
    }
    sx_buf_str(out, SX_STR("time,value\r\n"));
    for (size_t i = 0; i < a->series_count; i++) {
        for (size_t k = 0; k < a->series[i].count; k++) {
            sx_buf value;
            sx_buf_init(&value, 0);
            for (size_t n = 0; n < count; n++) {
                put_field(tsdb_labels_get(a->series[i].labels, names[n]), out);
                sx_buf_byte(out, ',');
            }
            put_date(a->series[i].samples[k].t, out);
            sx_buf_byte(out, ',');
            put_value(&a->series[i].samples[k], &value);
            put_field(sx_buf_view(&value), out);
            sx_buf_str(out, SX_STR("\r\n"));
            sx_buf_done(&value);
        }
    }
}

void query_print(const answer *a, const query_view *view, sx_buf *out)
{
    if (view->format == QUERY_JSON) {
        sx_buf_str(out, a->json);
        sx_buf_byte(out, '\n');
    } else if (view->format == QUERY_CSV) {
        put_csv(a, out);
    } else if (a->kind == ANSWER_STRING) {
        sx_buf_str(out, a->string);
        sx_buf_byte(out, '\n');
    } else if (a->kind == ANSWER_MATRIX && view->step_ms && view->terminal && a->series_count) {
        chart_draw(a,
                   &(chart_options){.columns = view->columns,
                                    .rows = view->rows,
                                    .colour = view->colour,
                                    .start_ms = view->start_ms,
                                    .end_ms = view->end_ms,
                                    .step_ms = view->step_ms},
                   out);
    } else if (a->kind == ANSWER_MATRIX) {
        put_range(a, out);
    } else {
        put_instant(a, out);
    }
}

/* --- Errors. */

/* "LINE:COL: " somewhere in the words, before "parse error" or at their start. */
static bool find_place(sx_str words, uint64_t *line, uint64_t *column)
{
    for (size_t i = 0; i < words.len; i++) {
        sx_str first, second, rest;
        bool starts = i == 0 || words.data[i - 1] == ' ' || words.data[i - 1] == '"';
        if (starts && sx_str_cut(sx_str_from(words, i), ':', &first, &rest) &&
            sx_str_cut(rest, ':', &second, &rest) && sx_str_to_u64(first, line) &&
            sx_str_to_u64(second, column))
            return true;
    }
    return false;
}

void query_print_error(sx_str expression, sx_str words, bool colour, sx_buf *out)
{
    uint64_t line = 0, column = 0;
    sx_buf_printf(out, "sextant: %.*s\n", SX_ARG(words));
    if (!find_place(words, &line, &column) || line == 0 || column == 0)
        return;
    sx_str rest = expression, text = {0};
    for (uint64_t i = 0; i < line; i++)
        sx_str_cut(rest, '\n', &text, &rest);
    sx_buf_printf(out, "  %.*s\n  ", SX_ARG(text));
    for (uint64_t i = 1; i < column && i <= text.len;
         i++) /* tabs stay, so that the mark stands right */
        sx_buf_byte(out, text.data[i - 1] == '\t' ? '\t' : ' ');
    sx_buf_str(out, colour ? SX_STR("\033[1;31m^\033[0m\n") : SX_STR("^\n"));
}
