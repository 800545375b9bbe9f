/* eval_notes.c - annotations: what a query's answer says about itself, in Prometheus's words.
 *
 * The same words are kept once, with the first place in the query they are about. Source: Prometheus,
 * util/annotations (the texts, which users and dashboards know). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/mem.h>
#include <sextant/number.h>
#include <sextant/utf8.h>

#include "observe/promql/eval.h"

enum { NOTES_MAX = 1000 /* different ones of a query; there may be one for every metric name */ };

static const struct note_row {
    bool warning;
    const char *format; /* %1 and %2: a and b; %q: a as Go quotes; %n: " for metric name" if any */
} ROWS[EVAL_NOTES] = {
    [EVAL_NOTE_QUANTILE] = {true, "quantile value should be between 0 and 1, got %1"},
    [EVAL_NOTE_RATIO] = {true, "ratio value should be between -1 and 1, got %1, capping to %2"},
    [EVAL_NOTE_BUCKET_LABEL] = {true, "bucket label \"le\" is missing or has a malformed value of "
                                      "%Q%n"},
    [EVAL_NOTE_MIXED] = {true, "encountered a mix of histograms and floats for metric name %q"},
    [EVAL_NOTE_MIXED_AGGREGATE] = {true,
                                   "encountered a mix of histograms and floats for aggregation"},
    [EVAL_NOTE_MIXED_CLASSIC] = {true, "vector contains a mix of classic and native histograms%n"},
    [EVAL_NOTE_NOT_COUNTER] = {true, "this native histogram metric is not a counter: %q"},
    [EVAL_NOTE_NOT_GAUGE] = {true, "this native histogram metric is not a gauge: %q"},
    [EVAL_NOTE_MIXED_SCHEMAS] = {true, "vector contains a mix of histograms with exponential and "
                                       "custom buckets schemas for metric name %q"},
    [EVAL_NOTE_LAYOUT] = {true, "incompatible bucket layout encountered for binary operator %1"},
    [EVAL_NOTE_SORT] = {true, "sort is ineffective for range queries since results are always "
                              "ordered by labels"},
    [EVAL_NOTE_MAYBE_NO_COUNTER] = {false, "metric might not be a counter, name does not end in "
                                           "_total/_sum/_count/_bucket: %q"},
    [EVAL_NOTE_TYPES] = {false, "incompatible sample types encountered for binary operator %1"},
    [EVAL_NOTE_IGNORED_AGGREGATE] = {false, "ignored histogram in %1 aggregation"},
    [EVAL_NOTE_IGNORED_RANGE] = {false, "ignored histograms in a range containing both floats and "
                                        "histograms for metric name %q"},
    [EVAL_NOTE_QUANTILE_NAN] = {false, "input to histogram_quantile has NaN observations, result "
                                       "is NaN%n"},
    [EVAL_NOTE_QUANTILE_SKEW] = {false, "input to histogram_quantile has NaN observations, result "
                                        "is skewed higher%n"},
    [EVAL_NOTE_FRACTION_NAN] = {false, "input to histogram_fraction has NaN observations, which "
                                       "are excluded from all fractions%n"},
    [EVAL_NOTE_COLLISION] = {true, "conflicting counter resets during histogram %1"},
    [EVAL_NOTE_RECONCILED] = {false, "mismatched custom buckets were reconciled during %1"},
    [EVAL_NOTE_START_OVERLAP] = {true, "sample has start time that overlaps with previous sample "
                                       "timestamp for metric %q"},
};

static void write_words(sx_buf *out, const struct note_row *row, sx_str a, sx_str b)
{
    sx_buf_str(out, row->warning ? SX_STR("PromQL warning: ") : SX_STR("PromQL info: "));
    for (const char *f = row->format; *f; f++) {
        if (*f != '%') {
            sx_buf_byte(out, *f);
            continue;
        }
        switch (*++f) {
        case '1':
            sx_buf_str(out, a);
            break;
        case '2':
            sx_buf_str(out, b);
            break;
        case 'q':
            tsdb_quote(a, out);
            break;
        case 'Q':
            tsdb_quote(b, out);
            break;
        default:
            if (a.len > 0) {
                sx_buf_str(out, SX_STR(" for metric name "));
                tsdb_quote(a, out);
            }
        }
    }
}

/* The note of these words, made if there is none. With the lock held. */
static eval_note *find_note(eval_run *run, bool warning, sx_str words, promql_pos pos)
{
    for (size_t i = 0; i < run->note_count; i++) {
        eval_note *n = &run->notes[i];
        if (n->warning == warning && sx_str_eq(n->text, words)) {
            if (pos.start < n->pos.start)
                n->pos = pos; /* threads come in any order: the first place of all */
            return n;
        }
    }
    if (run->note_count == NOTES_MAX ||
        !sx_grow(&run->notes, &run->note_cap, run->note_count + 1, sizeof *run->notes))
        return NULL;
    char *copy = sx_alloc(words.len);
    if (!copy)
        return NULL;
    memcpy(copy, words.data, words.len);
    eval_note *n = &run->notes[run->note_count++];
    *n = (eval_note){.warning = warning, .pos = pos, .text = sx_str_of(copy, words.len)};
    return n;
}

static void add_words(eval_worker *w, const promql_expr *where, eval_note_kind kind, sx_str a,
                      sx_str b)
{
    sx_buf words;
    sx_buf_init(&words, 0);
    write_words(&words, &ROWS[kind], a, b);
    pthread_mutex_lock(&w->run->lock);
    bool lost =
        words.failed || (!find_note(w->run, ROWS[kind].warning, sx_buf_view(&words), where->pos) &&
                         w->run->note_count < NOTES_MAX);
    pthread_mutex_unlock(&w->run->lock);
    sx_buf_done(&words);
    if (lost)
        eval_no_memory(w->run);
}

void eval_note_add(eval_worker *w, const eval_node *n, const promql_expr *where,
                   eval_note_kind kind, sx_str a, sx_str b)
{
    /* A series says the same at every step, and mostly its neighbours, too. */
    if (n && w->noted_node == n && w->noted_kind == (int)kind && w->noted_name == a.data &&
        b.len == 0)
        return;
    w->noted_node = n;
    w->noted_kind = (int)kind;
    w->noted_name = a.data;
    add_words(w, where, kind, a, b);
}

static sx_str number_text(double v, char out[SX_DOUBLE_BYTES])
{
    return sx_str_of(out, sx_double_format(v, SX_DOUBLE_GO, out));
}

void eval_note_numbers(eval_worker *w, const promql_expr *where, eval_note_kind kind, double a,
                       double b)
{
    char x[SX_DOUBLE_BYTES], y[SX_DOUBLE_BYTES];
    add_words(w, where, kind, number_text(a, x), number_text(b, y));
}

void eval_note_types(eval_worker *w, const promql_expr *where, bool left_histogram, promql_op op,
                     bool right_histogram)
{
    int code = 64 + (int)op * 4 + left_histogram * 2 + right_histogram;
    if (w->noted_node == NULL && w->noted_kind == code && w->noted_name == (const char *)where)
        return;
    w->noted_node = NULL;
    w->noted_kind = code;
    w->noted_name = (const char *)where;
    char text[96];
    const char *name = promql_op_name(op);
    int len = snprintf(text, sizeof text, "\"%s\": %s %s %s", name,
                       left_histogram ? "histogram" : "float", name,
                       right_histogram ? "histogram" : "float");
    add_words(w, where, EVAL_NOTE_TYPES, sx_str_of(text, (size_t)len), (sx_str){0});
}

void eval_note_arithmetic(eval_worker *w, const eval_node *n, const promql_expr *where,
                          unsigned notes, const char *operation, sx_str name)
{
    if (notes & TSDB_HISTOGRAM_INCOMPATIBLE)
        eval_note_add(w, n, where, EVAL_NOTE_MIXED_SCHEMAS, name, (sx_str){0});
    if (notes & TSDB_HISTOGRAM_RESETS_COLLIDE)
        eval_note_add(w, n, where, EVAL_NOTE_COLLISION, sx_str_z(operation), (sx_str){0});
    if (notes & TSDB_HISTOGRAM_BOUNDS_RECONCILED)
        eval_note_add(w, n, where, EVAL_NOTE_RECONCILED, sx_str_z(operation), (sx_str){0});
}

void eval_note_monotonic(eval_worker *w, const promql_expr *where, sx_str name, int64_t t,
                         double min_bucket, double max_bucket, double max_diff)
{
    static const struct note_row ROW = {
        false, "input to histogram_quantile needed to be fixed for monotonicity (see "
               "https://prometheus.io/docs/prometheus/latest/querying/functions/"
               "#histogram_quantile)%n"};
    sx_buf words;
    sx_buf_init(&words, 0);
    write_words(&words, &ROW, name, (sx_str){0});
    pthread_mutex_lock(&w->run->lock);
    eval_note *n = words.failed ? NULL : find_note(w->run, false, sx_buf_view(&words), where->pos);
    if (n) {
        bool first = !n->monotonic;
        n->monotonic = true;
        n->count++;
        n->min_t = first || t < n->min_t ? t : n->min_t;
        n->max_t = first || t > n->max_t ? t : n->max_t;
        n->min_bucket = first || min_bucket < n->min_bucket ? min_bucket : n->min_bucket;
        n->max_bucket = first || max_bucket > n->max_bucket ? max_bucket : n->max_bucket;
        n->max_diff = first || max_diff > n->max_diff ? max_diff : n->max_diff;
    }
    bool lost = !n && w->run->note_count < NOTES_MAX;
    pthread_mutex_unlock(&w->run->lock);
    sx_buf_done(&words);
    if (lost)
        eval_no_memory(w->run);
}

/* --- Out. */

/* "LINE:COL" of a byte offset. */
static void write_position(sx_buf *out, sx_str text, uint32_t at)
{
    unsigned line = 1, column = 1;
    for (size_t i = 0; i < text.len && i < at; i++) {
        if (text.data[i] == '\n') {
            line++;
            column = 1;
        } else {
            column++;
        }
    }
    sx_buf_printf(out, " (%u:%u)", line, column);
}

static void write_monotonic(sx_buf *out, const eval_note *n)
{
    char from[SX_TIME_RFC3339_BYTES], to[SX_TIME_RFC3339_BYTES];
    char low[SX_DOUBLE_BYTES], high[SX_DOUBLE_BYTES];
    sx_time_rfc3339(n->min_t / 1000 * 1000000000, 0, from);
    sx_time_rfc3339(n->max_t / 1000 * 1000000000, 0, to);
    sx_double_format(n->min_bucket, SX_DOUBLE_GO, low);
    sx_double_format(n->max_bucket, SX_DOUBLE_GO, high);
    sx_buf_printf(out,
                  ", from buckets %s to %s, with a max diff of %.2g, over %llu samples from %s to "
                  "%s",
                  low, high, n->max_diff, (unsigned long long)n->count, from, to);
}

static int by_text(const void *a, const void *b)
{
    return sx_str_cmp(((const eval_note *)a)->text, ((const eval_note *)b)->text);
}

bool eval_notes_write(eval_run *run, promql_result *out)
{
    size_t n = run->note_count, given = 0;
    const sx_str *storage = NULL; /* what storages say has no place in the expression */
    if (run->querier && run->querier->ops->warnings)
        storage = run->querier->ops->warnings(run->querier, &given);
    if (n + given == 0)
        return true;
    if (n)
        qsort(run->notes, n, sizeof *run->notes, by_text);
    out->warnings = eval_zero(run, n + given, sizeof *out->warnings);
    out->infos = eval_zero(run, n ? n : 1, sizeof *out->infos);
    sx_buf text;
    bool ok = out->warnings && out->infos;
    sx_buf_init(&text, 0);
    for (size_t i = 0; ok && i < given; i++) {
        sx_str copy = sx_arena_copy(&run->arena, storage[i]); /* the querier is freed first */
        ok = copy.data;
        out->warnings[out->warning_count++] = copy;
    }
    for (size_t i = 0; ok && i < n; i++) {
        const eval_note *note = &run->notes[i];
        sx_buf_clear(&text);
        sx_buf_str(&text, note->text);
        if (note->monotonic)
            write_monotonic(&text, note);
        write_position(&text, run->parsed.text, note->pos.start);
        sx_str copy = sx_arena_copy(&run->arena, sx_buf_view(&text));
        ok = !text.failed && copy.data;
        if (note->warning)
            out->warnings[out->warning_count++] = copy;
        else
            out->infos[out->info_count++] = copy;
    }
    sx_buf_done(&text);
    return ok || eval_no_memory(run);
}
