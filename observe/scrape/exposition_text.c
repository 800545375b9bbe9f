/* exposition_text.c - Prometheus's text format and OpenMetrics, a line at a time.
 *
 * Both are read by one reader, since they differ in little: OpenMetrics takes single spaces where the
 * older format takes any blanks, has units, exemplars and float seconds as times, and ends with # EOF.
 * A series is taken apart only if it is not the one that was expected (prom_exposition_expect): in the
 * steady state of a scrape a line costs a comparison and the reading of its number.
 * The words of errors are Prometheus's, which users find on its targets page. */
#include <math.h>

#include <sextant/mem.h>
#include <sextant/number.h>
#include <sextant/utf8.h>

#include "observe/scrape/exposition_text.h"

enum { NAME_START = 1, NAME = 2 }; /* and EXPO_COLON */

/* Bytes that names are made of. */
static const uint8_t NAME_BYTES[256] = {
    ['a' ... 'z'] = NAME_START | NAME,
    ['A' ... 'Z'] = NAME_START | NAME,
    ['_'] = NAME_START | NAME,
    ['0' ... '9'] = NAME,
    [':'] = EXPO_COLON,
};

unsigned expo_line_of(const prom_exposition *x, uint32_t at)
{
    unsigned line = 1;
    for (uint32_t i = 0; i < at && i < x->body.len; i++)
        line += x->body.data[i] == '\n';
    return line;
}

/* --- Errors. */

/* `text` as Go's %q, cut: a message has room for no more. */
static sx_str quoted(sx_str text, sx_buf *out)
{
    size_t begin = out->len;
    tsdb_quote(sx_str_first(text, EXPO_QUOTED_BYTES), out);
    return sx_str_from(sx_buf_view(out), begin);
}

/* Fails with `words` about the entry so far, "... while parsing: "a{b"", and its line. */
static SX_COLD sx_status fail_entry(prom_exposition *x, sx_error *err, const char *words)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_str entry = quoted(expo_between(x, x->entry, x->at), &text);
    sx_status st = sx_fail(err, SX_EFORMAT, "%s while parsing: %.*s (line %u)", words,
                           SX_ARG(entry), expo_line_of(x, x->entry));
    sx_buf_done(&text);
    return st;
}

/* What stands at the current position, named as Prometheus's lexer names its tokens. */
static const char *token_here(const prom_exposition *x)
{
    switch (expo_peek(x)) {
    case -1:
    case 0:
        return "EOF";
    case '{':
        return "BOPEN";
    case '}':
        return "BCLOSE";
    case ',':
        return "COMMA";
    case '=':
        return "EQUAL";
    default:
        return "INVALID";
    }
}

/* "expected label name, got "x" ("INVALID") while parsing: "a{x" (line 3)". */
SX_COLD sx_status expo_fail_token(prom_exposition *x, sx_error *err, const char *expected)
{
    uint32_t after = x->at + (x->at < x->body.len);
    sx_buf text;
    sx_buf_init(&text, 0);
    quoted(expo_between(x, x->at, after), &text);
    size_t got = text.len;
    quoted(expo_between(x, x->entry, after), &text);
    sx_status st = sx_fail(err, SX_EFORMAT, "%s, got %.*s (\"%s\") while parsing: %.*s (line %u)",
                           expected, (int)got, text.data, token_here(x), (int)(text.len - got),
                           text.data + got, expo_line_of(x, x->entry));
    sx_buf_done(&text);
    return st;
}

/* --- Names, strings, labels. */

bool expo_read_name(prom_exposition *x, unsigned colon)
{
    const uint8_t *p = (const uint8_t *)x->body.data;
    if (x->at >= x->body.len || !(NAME_BYTES[p[x->at]] & (NAME_START | colon)))
        return false;
    while (x->at < x->body.len && (NAME_BYTES[p[x->at]] & (NAME | colon)))
        x->at++;
    return true;
}

/* A quoted string; the position is then behind it. A newline ends it in OpenMetrics' values. */
bool expo_read_string(prom_exposition *x, bool newlines)
{
    const char *p = x->body.data;
    uint32_t i = x->at + 1;
    while (i < x->body.len && p[i] != '"') {
        if (p[i] == '\\')
            i++;
        else if (p[i] == '\n' && !newlines)
            return false;
        i++;
    }
    if (i >= x->body.len)
        return false;
    x->at = i + 1;
    return true;
}

static sx_status add_part(prom_exposition *x, expo_parts *parts, expo_part part, sx_error *err)
{
    uint32_t most = x->options.labels_max ? x->options.labels_max : EXPO_LABELS_MAX;
    uint32_t bytes = x->options.label_bytes_max ? x->options.label_bytes_max : EXPO_LABEL_BYTES_MAX;
    if (parts->count >= most)
        return sx_fail(err, SX_ELIMIT, "line %u: a series with more than %u labels",
                       expo_line_of(x, x->entry), most);
    if (part.name_len > bytes || part.value_len > bytes)
        return sx_fail(err, SX_ELIMIT, "line %u: a label of more than %u bytes",
                       expo_line_of(x, x->entry), bytes);
    if (!sx_grow(&parts->items, &parts->cap, parts->count + 1, sizeof *parts->items))
        return sx_fail_memory(err, "labels of a series");
    parts->items[parts->count++] = part;
    return SX_OK;
}

/* The value after a label's name; the position is at or before the equals sign. */
static sx_status read_label_value(prom_exposition *x, expo_part *part, sx_error *err)
{
    expo_skip_inner_blanks(x);
    if (expo_peek(x) != '=')
        return expo_fail_token(x, err, "expected equal");
    x->at++;
    expo_skip_inner_blanks(x);
    uint32_t begin = x->at;
    if (expo_peek(x) != '"' || !expo_read_string(x, !x->open_metrics))
        return expo_fail_token(x, err, "expected label value");
    part->value = begin + 1;
    part->value_len = x->at - begin - 2;
    sx_str value = expo_between(x, begin, x->at);
    if (sx_likely(sx_utf8_valid(value)))
        return SX_OK;
    sx_buf text;
    sx_buf_init(&text, 0);
    quoted(value, &text);
    sx_status st = sx_fail(err, SX_EFORMAT, "invalid UTF-8 label value: %.*s (line %u)",
                           (int)text.len, text.data, expo_line_of(x, x->entry));
    sx_buf_done(&text);
    return st;
}

/* After a label: a comma and perhaps more, or the closing brace, at which it stops. */
static sx_status read_separator(prom_exposition *x, sx_error *err)
{
    expo_skip_inner_blanks(x);
    if (expo_peek(x) == ',') {
        x->at++;
        expo_skip_inner_blanks(x);
    } else if (x->open_metrics && expo_peek(x) != '}') {
        return expo_fail_token(x, err, "expected comma or brace close");
    }
    return SX_OK;
}

/* One entry inside braces: a label, or a quoted string alone, which is the metric's name. */
static sx_status read_label(prom_exposition *x, expo_parts *parts, bool exemplar, sx_error *err)
{
    expo_part part = {.name = x->at};
    bool string = expo_peek(x) == '"';
    if (string ? !expo_read_string(x, true) : !expo_read_name(x, 0))
        return expo_fail_token(x, err, "expected label name");
    part.name += string;
    part.name_len = x->at - part.name - string;
    if (string) {
        expo_skip_inner_blanks(x);
        int next = expo_peek(x);
        if (next == ',' || next == '}') {
            if (exemplar)
                return expo_fail_token(x, err, "expected label name");
            if (parts->has_metric)
                return fail_entry(x, err, "metric name already set");
            parts->has_metric = true;
            parts->metric = part.name;
            parts->metric_len = part.name_len;
            return read_separator(x, err);
        }
    }
    sx_status st = read_label_value(x, &part, err);
    if (st == SX_OK)
        st = add_part(x, parts, part, err);
    return st == SX_OK ? read_separator(x, err) : st;
}

/* From behind the opening brace to behind the closing one. */
static sx_status read_labels(prom_exposition *x, expo_parts *parts, bool exemplar, sx_error *err)
{
    expo_skip_inner_blanks(x);
    while (expo_peek(x) != '}') {
        sx_status st = read_label(x, parts, exemplar, err);
        if (st != SX_OK)
            return st;
    }
    x->at++;
    return SX_OK;
}

static void clear_parts(expo_parts *parts)
{
    parts->count = 0;
    parts->has_metric = false;
    parts->metric = parts->metric_len = 0;
}

/* From its first byte to behind it. */
sx_status expo_read_series(prom_exposition *x, sx_error *err)
{
    x->series = x->at;
    clear_parts(&x->parts);
    x->split = true;
    if (expo_read_name(x, EXPO_COLON)) {
        x->parts.has_metric = true;
        x->parts.metric = x->series;
        x->parts.metric_len = x->at - x->series;
    } else if (expo_peek(x) != '{') {
        return expo_fail_token(x, err, "expected a valid start token");
    }
    x->series_end = x->at;
    expo_skip_inner_blanks(x);
    if (expo_peek(x) != '{')
        return SX_OK;
    x->at++;
    sx_status st = read_labels(x, &x->parts, false, err);
    x->series_end = x->at;
    if (st == SX_OK && !x->parts.has_metric)
        return fail_entry(x, err, "metric name not set");
    return st;
}

/* --- Values and times. */

/* The end of what is no blank and no line end. */
static uint32_t word_end(const prom_exposition *x)
{
    uint32_t i = x->at;
    const char *p = x->body.data;
    while (i < x->body.len && p[i] != ' ' && p[i] != '\n' && (x->open_metrics || p[i] != '\t'))
        i++;
    return i;
}

/* OpenMetrics: exactly one space before each part of a line. */
static bool skip_between(prom_exposition *x)
{
    if (!x->open_metrics) {
        expo_skip_blanks(x);
        return true;
    }
    if (expo_peek(x) != ' ')
        return false;
    x->at++;
    return true;
}

static sx_status number_failed(prom_exposition *x, sx_error *err)
{
    sx_error why = *err;
    return fail_entry(x, err, why.message);
}

static sx_status read_number(prom_exposition *x, const char *expected, double *out, sx_error *err)
{
    sx_error why;
    uint32_t begin = x->at, end;
    if (!skip_between(x) || (end = word_end(x)) == x->at || expo_peek(x) == '{') {
        x->at = x->open_metrics ? begin : x->at;
        return expo_fail_token(x, err, expected);
    }
    sx_str word = expo_between(x, x->at, end);
    x->at = end;
    if (sx_likely(expo_float(word, out, &why) == SX_OK))
        return SX_OK;
    sx_error *to = err ? err : &why;
    *to = why;
    return number_failed(x, to);
}

/* Float seconds of OpenMetrics, as milliseconds. */
static sx_status read_seconds(prom_exposition *x, const char *what, int64_t *out, sx_error *err)
{
    double seconds;
    sx_status st = read_number(x, "expected timestamp", &seconds, err);
    if (st != SX_OK)
        return st;
    if (!isfinite(seconds))
        return sx_fail(err, SX_EFORMAT, "invalid %s %f (line %u)", what, seconds,
                       expo_line_of(x, x->entry));
    double ms = seconds * 1000;
    if (ms >= 9.2e18 || ms <= -9.2e18)
        return sx_fail(err, SX_EFORMAT, "%s %g is out of range (line %u)", what, seconds,
                       expo_line_of(x, x->entry));
    *out = (int64_t)ms;
    return SX_OK;
}

static sx_status end_line(prom_exposition *x, const char *expected, sx_error *err)
{
    if (expo_peek(x) == '\n') {
        x->at++;
        return SX_OK;
    }
    if (x->at >= x->body.len) { /* the older format may do without its last newline */
        if (!x->open_metrics)
            return SX_OK;
        return sx_fail(err, SX_EFORMAT, "data does not end with # EOF");
    }
    return expo_fail_token(x, err, expected);
}

/* The older format's time: whole milliseconds. */
static sx_status read_ms(prom_exposition *x, prom_entry *out, sx_error *err)
{
    expo_skip_blanks(x);
    int next = expo_peek(x);
    if (next == '\n' || next < 0)
        return end_line(x, "", err);
    uint32_t begin = x->at;
    while (x->at < x->body.len && x->body.data[x->at] >= '0' && x->body.data[x->at] <= '9')
        x->at++;
    if (x->at == begin)
        return expo_fail_token(x, err, "expected timestamp or new record");
    if (!sx_str_to_i64(expo_between(x, begin, x->at), &out->t))
        return fail_entry(x, err, "timestamp: value out of range");
    out->has_t = true;
    expo_skip_blanks(x);
    return end_line(x, "expected next entry after timestamp", err);
}

/* Undoes \\, \" and \n; `text` itself where there is none. NULL data: no memory. */
sx_str expo_unescape(sx_str text, bool quotes, sx_arena *arena)
{
    size_t first = sx_str_find_byte(text, '\\');
    if (first == text.len)
        return text;
    char *out = sx_arena_alloc(arena, text.len);
    if (!out)
        return (sx_str){0};
    memcpy(out, text.data, first);
    size_t len = first;
    for (size_t i = first; i < text.len; i++) {
        char c = text.data[i], next = i + 1 < text.len ? text.data[i + 1] : 0;
        if (c == '\\' && (next == '\\' || next == 'n' || (next == '"' && quotes))) {
            c = next == 'n' ? '\n' : next;
            i++;
        }
        out[len++] = c;
    }
    return sx_str_of(out, len);
}

/* Labels out of parts, sorted; `metric` becomes __name__ unless empty. */
static sx_status labels_of(const prom_exposition *x, const expo_parts *parts, bool metric,
                           sx_arena *arena, tsdb_labels *out, sx_error *err)
{
    tsdb_label *items = sx_arena_calloc(arena, parts->count + 3, sizeof *items);
    size_t count = 0;
    if (!items)
        return sx_fail_memory(err, "labels of a series");
    if (metric) {
        sx_str name = expo_between(x, parts->metric, parts->metric + parts->metric_len);
        items[count++] = (tsdb_label){TSDB_METRIC_NAME, expo_unescape(name, true, arena)};
        if (x->options.type_unit_labels && x->type != EXPO_UNKNOWN)
            items[count++] = (tsdb_label){SX_STR("__type__"), EXPO_TYPE_NAMES[x->type]};
        if (x->options.type_unit_labels && x->unit.len)
            items[count++] = (tsdb_label){SX_STR("__unit__"), x->unit};
    }
    size_t given = count;
    for (size_t i = 0; i < parts->count; i++) {
        const expo_part *p = &parts->items[i];
        sx_str name = expo_unescape(expo_between(x, p->name, p->name + p->name_len), true, arena);
        sx_str value =
            expo_unescape(expo_between(x, p->value, p->value + p->value_len), true, arena);
        if (!name.data || !value.data)
            return sx_fail_memory(err, "labels of a series");
        bool ours = false; /* what the type and unit say wins over the target's own label */
        for (size_t k = metric; k < given; k++)
            ours |= sx_str_eq(items[k].name, name);
        bool bound = metric && ((x->type == EXPO_HISTOGRAM && sx_str_eq(name, SX_STR("le"))) ||
                                (x->type == EXPO_SUMMARY && sx_str_eq(name, SX_STR("quantile"))));
        char normal[EXPO_FLOAT_BYTES];
        size_t len = bound ? expo_normal_float(value, normal) : 0;
        if (len && !sx_str_eq(sx_str_of(normal, len), value)) {
            value = sx_arena_copy(arena, sx_str_of(normal, len));
            if (!value.data)
                return sx_fail_memory(err, "labels of a series");
        }
        if (!ours)
            items[count++] = (tsdb_label){name, value};
    }
    return expo_sort_labels(items, count, out, err);
}

/* " # {trace_id="x"} 1 1.5" from behind the number sign on. */
static sx_status read_exemplar(prom_exposition *x, prom_entry *out, sx_error *err)
{
    clear_parts(&x->exemplar_parts);
    x->exemplar = (tsdb_exemplar){0};
    sx_status st = read_labels(x, &x->exemplar_parts, true, err);
    if (st == SX_OK)
        st = read_number(x, "expected value after exemplar labels", &x->exemplar.value, err);
    if (st == SX_OK && expo_peek(x) == ' ') {
        st = read_seconds(x, "exemplar timestamp", &x->exemplar.t, err);
        x->exemplar.has_t = true;
    }
    if (st == SX_OK)
        st = end_line(x, "expected next entry after exemplar timestamp", err);
    if (st == SX_OK)
        st = labels_of(x, &x->exemplar_parts, false, &x->scratch, &x->exemplar.labels, err);
    out->exemplars = &x->exemplar;
    out->exemplar_count = 1;
    return st;
}

static bool at_exemplar(const prom_exposition *x)
{
    return sx_str_starts(sx_str_from(x->body, x->at), SX_STR(" # {"));
}

/* What follows the value in OpenMetrics. */
static sx_status read_om_tail(prom_exposition *x, prom_entry *out, sx_error *err)
{
    sx_status st = SX_OK;
    if (expo_peek(x) == ' ' && !at_exemplar(x)) {
        st = read_seconds(x, "timestamp", &out->t, err);
        out->has_t = true;
    }
    if (st != SX_OK)
        return st;
    if (!at_exemplar(x))
        return end_line(x, "expected next entry after timestamp", err);
    x->at += 4;
    if (!x->peeking)
        return read_exemplar(x, out, err);
    const char *newline = memchr(x->body.data + x->at, '\n', x->body.len - x->at);
    if (!newline)
        return sx_fail(err, SX_EFORMAT, "data does not end with # EOF");
    x->at = (uint32_t)(newline - x->body.data) + 1;
    return SX_OK;
}

/* The bytes that were expected stand here, and a blank ends them. */
static bool is_expected(const prom_exposition *x)
{
    size_t len = x->expected.len;
    if (len == 0 || x->body.len - x->at <= len + 1)
        return false;
    const char *here = x->body.data + x->at;
    if ((here[len] != ' ' && here[len] != '\t') || memcmp(here, x->expected.data, len) != 0)
        return false;
    return here[len + 1] != '{' &&
           here[len + 1] != ' '; /* "a {b="c"} 1" is another series than a */
}

sx_status expo_read_sample(prom_exposition *x, prom_entry *out, sx_error *err)
{
    sx_status st = SX_OK;
    out->kind = PROM_ENTRY_SERIES;
    out->expected = is_expected(x);
    if (sx_likely(out->expected)) {
        x->series = x->at;
        x->series_end = x->at += (uint32_t)x->expected.len;
        x->split = false;
    } else {
        st = expo_read_series(x, err);
    }
    if (st == SX_OK)
        st = read_number(x, "expected value after metric", &out->value, err);
    if (st != SX_OK)
        return st;
    out->series = expo_between(x, x->series, x->series_end);
    return x->open_metrics ? read_om_tail(x, out, err) : read_ms(x, out, err);
}

/* HOT: nearly every line of a steady scrape: the series that was expected, one space, a plain number,
 * the end of the line. False: it is something else, and nothing has moved. */
static bool read_usual(prom_exposition *x, prom_entry *out)
{
    enum { DIGITS_MAX = 18, DIGITS_EXACT = 15 };
    if (!is_expected(x) || (x->options.skip_created && expo_has_start(x->type)))
        return false;
    const char *here = x->body.data + x->at, *end = x->body.data + x->body.len;
    const char *p = here + x->expected.len + 1;
    bool negative = *p == '-', point = false;
    uint64_t mantissa = 0;
    int digits = 0, scale = 0;
    for (p += negative; p < end; p++) {
        unsigned digit = (unsigned)(uint8_t)*p - '0';
        if (digit < 10) {
            mantissa = mantissa * 10 + digit;
            scale -= point;
            digits++;
        } else if (*p == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    if (p == end || *p != '\n' || digits == 0 || digits > DIGITS_MAX ||
        here[x->expected.len] != ' ')
        return false;
    double v = negative ? -(double)mantissa : (double)mantissa;
    if ((scale || digits > DIGITS_EXACT) && !sx_double_of_decimal(mantissa, scale, negative, &v))
        return false;
    x->entry = x->series = x->at;
    x->series_end = x->at + (uint32_t)x->expected.len;
    x->split = false;
    x->at = (uint32_t)(p - x->body.data) + 1;
    *out = (prom_entry){.kind = PROM_ENTRY_SERIES,
                        .series = sx_str_of(here, x->expected.len),
                        .value = v,
                        .expected = true};
    return true;
}

/* --- */

sx_status expo_text_next(prom_exposition *x, prom_entry *out, sx_error *err)
{
    if (sx_likely(read_usual(x, out)))
        return SX_OK;
    for (;;) {
        sx_arena_reset(&x->scratch);
        *out = (prom_entry){0};
        x->entry = x->at;
        expo_skip_inner_blanks(x);
        int first = expo_peek(x);
        if (first < 0)
            return x->open_metrics ? sx_fail(err, SX_EFORMAT, "data does not end with # EOF")
                                   : SX_END;
        if (first == '\n' && !x->open_metrics) {
            x->at++;
            continue;
        }
        if (first == '#') {
            sx_status st = expo_read_comment(x, out, err);
            if (st != SX_AGAIN)
                return st;
            continue;
        }
        sx_status st = expo_read_sample(x, out, err);
        if (st != SX_OK || !x->open_metrics || !x->options.skip_created || !expo_has_start(x->type))
            return st;
        st = expo_split_series(x, err);
        if (st != SX_OK)
            return st;
        if (!expo_is_created(x))
            return expo_find_start(x, out, err);
    }
}

sx_status expo_text_labels(prom_exposition *x, const prom_entry *e, sx_arena *arena,
                           tsdb_labels *out, sx_error *err)
{
    (void)e; /* the entry just read */
    sx_status st = expo_split_series(x, err);
    return st == SX_OK ? labels_of(x, &x->parts, true, arena, out, err) : st;
}

void expo_text_done(prom_exposition *x)
{
    sx_free(x->parts.items);
    sx_free(x->exemplar_parts.items);
    sx_arena_done(&x->scratch);
}
