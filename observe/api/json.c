/* json.c - texts, numbers, times, histograms, results. */
#include "observe/api/json.h"

#include <math.h>

#include <sextant/mem.h>
#include <sextant/number.h>
#include <sextant/utf8.h>

enum { NOTES_MAX = 10, NUMBER_BYTES = SX_DOUBLE_FIXED_BYTES + 8 };

/* ---- texts ---- */

static void escaped(sx_buf *out, unsigned char c)
{
    static const char HEX[] = "0123456789abcdef";
    char six[6] = {'\\', 'u', '0', '0', HEX[c >> 4], HEX[c & 15]};
    switch (c) {
    case '"':
    case '\\':
        six[1] = (char)c;
        break;
    case '\n':
        six[1] = 'n';
        break;
    case '\r':
        six[1] = 'r';
        break;
    case '\t':
        six[1] = 't';
        break;
    default:
        sx_buf_bytes(out, six, 6);
        return;
    }
    sx_buf_bytes(out, six, 2);
}

void api_json_label(sx_buf *out, sx_str text)
{
    size_t from = 0;
    sx_buf_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (sx_likely(c >= 0x20 && c != '"' && c != '\\'))
            continue;
        sx_buf_bytes(out, text.data + from, i - from);
        escaped(out, c);
        from = i + 1;
    }
    sx_buf_bytes(out, text.data ? text.data + from : NULL, text.len - from);
    sx_buf_byte(out, '"');
}

/* A character of several bytes, or a broken one; returns its bytes. */
static size_t text_wide(sx_buf *out, sx_str rest)
{
    uint32_t code;
    size_t len = sx_utf8_decode(rest, &code);
    if (len == 0) {
        sx_buf_str(out, SX_STR("\\ufffd"));
        return 1;
    }
    if (code == 0x2028 || code == 0x2029)
        sx_buf_str(out, code == 0x2028 ? SX_STR("\\u2028") : SX_STR("\\u2029"));
    else
        sx_buf_bytes(out, rest.data, len);
    return len;
}

void api_json_text(sx_buf *out, sx_str text)
{
    sx_buf_byte(out, '"');
    for (size_t i = 0; i < text.len;) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x80) {
            i += text_wide(out, sx_str_from(text, i));
            continue;
        }
        if (c == '<' || c == '>' || c == '&')
            sx_buf_str(out, c == '<'   ? SX_STR("\\u003c")
                            : c == '>' ? SX_STR("\\u003e")
                                       : SX_STR("\\u0026"));
        else if (c < 0x20 || c == '"' || c == '\\')
            escaped(out, c);
        else
            sx_buf_byte(out, (char)c);
        i++;
    }
    sx_buf_byte(out, '"');
}

void api_json_labels(sx_buf *out, tsdb_labels labels)
{
    sx_buf_byte(out, '{');
    for (uint32_t i = 0; i < labels.count; i++) {
        if (i)
            sx_buf_byte(out, ',');
        api_json_label(out, labels.items[i].name);
        sx_buf_byte(out, ':');
        api_json_label(out, labels.items[i].value);
    }
    sx_buf_byte(out, '}');
}

/* ---- numbers and times ---- */

/* Decimal digits of `n` at `to`, which has room for 20; returns how many. */
static size_t put_digits(char *to, uint64_t n)
{
    static const char PAIRS[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char text[20];
    size_t at = sizeof text;
    while (n >= 100) {
        const char *pair = PAIRS + 2 * (n % 100);
        n /= 100;
        text[--at] = pair[1];
        text[--at] = pair[0];
    }
    if (n >= 10) {
        text[--at] = PAIRS[2 * n + 1];
        text[--at] = PAIRS[2 * n];
    } else {
        text[--at] = (char)('0' + n);
    }
    memcpy(to, text + at, sizeof text - at);
    return sizeof text - at;
}

/* HOT. At `to`, which has room for NUMBER_BYTES. */
static size_t put_float(char *to, double value)
{
    double size = fabs(value);
    if (sx_likely(size < 9007199254740992.0 && value == (double)(int64_t)value)) {
        bool minus = signbit(value);
        to[0] = '-';
        return minus + put_digits(to + minus, (uint64_t)size);
    }
    if (isfinite(value) && size >= 1e-6 && size < 1e21)
        return sx_double_plain(value, to);
    return sx_double_format(value, SX_DOUBLE_GO, to);
}

void api_json_float(sx_buf *out, double value)
{
    char *to = sx_buf_reserve(out, NUMBER_BYTES);
    if (!to)
        return;
    to[0] = '"';
    size_t len = put_float(to + 1, value);
    to[len + 1] = '"';
    out->len += len + 2;
}

void api_json_number(sx_buf *out, double value)
{
    char text[SX_DOUBLE_BYTES];
    size_t len = sx_double_format(isfinite(value) ? value : 0, SX_DOUBLE_JS, text);
    sx_buf_bytes(out, text, len);
}

static size_t put_time(char *to, int64_t ms)
{
    size_t len = 0;
    uint64_t size = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    if (ms < 0)
        to[len++] = '-';
    len += put_digits(to + len, size / 1000);
    unsigned rest = (unsigned)(size % 1000);
    if (rest) {
        to[len++] = '.';
        to[len++] = (char)('0' + rest / 100);
        to[len++] = (char)('0' + rest / 10 % 10);
        to[len++] = (char)('0' + rest % 10);
    }
    return len;
}

void api_json_time(sx_buf *out, int64_t ms)
{
    char *to = sx_buf_reserve(out, 32);
    if (to)
        out->len += put_time(to, ms);
}

void api_json_date_ns(sx_buf *out, int64_t ns)
{
    char text[SX_TIME_RFC3339_BYTES];
    if (ns == 0) {
        sx_buf_str(out, SX_STR("\"0001-01-01T00:00:00Z\""));
        return;
    }
    size_t len = sx_time_rfc3339(ns, 9, text);
    size_t end = len - 1; /* before the Z; Go leaves zeros at the end out */
    while (end > 0 && text[end - 1] == '0')
        end--;
    if (text[end - 1] == '.')
        end--;
    sx_buf_byte(out, '"');
    sx_buf_bytes(out, text, end);
    sx_buf_str(out, SX_STR("Z\""));
}

void api_json_date(sx_buf *out, int64_t ms)
{
    api_json_date_ns(out, ms * 1000000);
}

/* ---- histograms ---- */

static void write_bucket(sx_buf *out, const tsdb_bucket *b)
{
    int rule = b->lower_inclusive ? (b->upper_inclusive ? 3 : 1) : (b->upper_inclusive ? 0 : 2);
    sx_buf_byte(out, '[');
    sx_buf_byte(out, (char)('0' + rule));
    const double numbers[] = {b->lower, b->upper, b->count};
    for (size_t i = 0; i < 3; i++) {
        sx_buf_byte(out, ',');
        api_json_float(out, numbers[i]);
    }
    sx_buf_byte(out, ']');
}

void api_json_histogram(sx_buf *out, const tsdb_histogram *h)
{
    sx_buf_str(out, SX_STR("{\"count\":"));
    api_json_float(out, h->count);
    sx_buf_str(out, SX_STR(",\"sum\":"));
    api_json_float(out, h->sum);
    uint32_t most = tsdb_histogram_bucket_count(h);
    tsdb_bucket *buckets = most ? sx_alloc(most * sizeof *buckets) : NULL;
    if (most && !buckets) {
        out->failed = true;
        return;
    }
    uint32_t count = most ? tsdb_histogram_buckets(h, buckets) : 0;
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        if (buckets[i].count == 0)
            continue;
        sx_buf_str(out, any ? SX_STR(",") : SX_STR(",\"buckets\":["));
        any = true;
        write_bucket(out, &buckets[i]);
    }
    sx_free(buckets);
    sx_buf_str(out, any ? SX_STR("]}") : SX_STR("}"));
}

/* ---- results ---- */

static void write_point(sx_buf *out, int64_t t, double v, const tsdb_histogram *h)
{
    if (h) {
        sx_buf_byte(out, '[');
        api_json_time(out, t);
        sx_buf_byte(out, ',');
        api_json_histogram(out, h);
        sx_buf_byte(out, ']');
        return;
    }
    char *to = sx_buf_reserve(out, NUMBER_BYTES + 40);
    if (!to)
        return;
    char *at = to;
    *at++ = '[';
    at += put_time(at, t);
    *at++ = ',';
    *at++ = '"';
    at += put_float(at, v);
    *at++ = '"';
    *at++ = ']';
    out->len += (size_t)(at - to);
}

static void write_vector_sample(sx_buf *out, const promql_series *s)
{
    const tsdb_histogram *h = s->h ? s->h[0] : NULL;
    sx_buf_str(out, SX_STR("{\"metric\":"));
    api_json_labels(out, s->labels);
    sx_buf_str(out, h ? SX_STR(",\"histogram\":") : SX_STR(",\"value\":"));
    write_point(out, s->t[0], s->v ? s->v[0] : 0, h);
    sx_buf_byte(out, '}');
}

/* Samples of one kind, until `full` bytes are there; true once they are through. */
static bool write_samples(api_result_writer *w, const promql_series *s, bool histograms,
                          size_t full, sx_buf *out)
{
    for (; w->sample < s->count; w->sample++) {
        const tsdb_histogram *h = s->h ? s->h[w->sample] : NULL;
        if ((h != NULL) != histograms)
            continue;
        if (out->len >= full || out->failed)
            return false;
        sx_buf_str(out, w->open      ? SX_STR(",")
                        : histograms ? SX_STR(",\"histograms\":[")
                                     : SX_STR(",\"values\":["));
        w->open = true;
        write_point(out, s->t[w->sample], s->v ? s->v[w->sample] : 0, h);
    }
    if (w->open)
        sx_buf_byte(out, ']');
    w->open = false;
    w->sample = 0;
    return true;
}

static bool write_matrix_series(api_result_writer *w, const promql_series *s, size_t full,
                                sx_buf *out)
{
    if (!w->named) {
        if (w->series)
            sx_buf_byte(out, ',');
        sx_buf_str(out, SX_STR("{\"metric\":"));
        api_json_labels(out, s->labels);
        w->named = true;
    }
    if (!w->histograms) {
        if (!write_samples(w, s, false, full, out))
            return false;
        w->histograms = true;
    }
    if (s->h && !write_samples(w, s, true, full, out))
        return false;
    w->histograms = w->named = false;
    sx_buf_byte(out, '}');
    return true;
}

/* A scalar or string: unlike samples its time is a number like any other, its value never has an
 * exponent. */
static void write_single(const promql_result *r, sx_buf *out)
{
    char digits[SX_DOUBLE_FIXED_BYTES];
    sx_buf_byte(out, '[');
    api_json_number(out, (double)r->scalar_t / 1000);
    sx_buf_byte(out, ',');
    if (r->type == PROMQL_STRING) {
        api_json_text(out, r->string);
    } else if (isfinite(r->scalar)) {
        sx_buf_byte(out, '"');
        sx_buf_bytes(out, digits, sx_double_plain(r->scalar, digits));
        sx_buf_byte(out, '"');
    } else {
        api_json_float(out, r->scalar);
    }
    sx_buf_byte(out, ']');
}

bool api_result_write(api_result_writer *w, size_t bytes, sx_buf *out)
{
    const promql_result *r = w->result;
    size_t full = out->len + bytes;
    bool single = r->type == PROMQL_SCALAR || r->type == PROMQL_STRING;
    if (w->ended)
        return true;
    if (!w->begun) {
        sx_buf_printf(out, "{\"resultType\":\"%s\",\"result\":", promql_type_name(r->type));
        if (single)
            write_single(r, out);
        else
            sx_buf_byte(out, '[');
        w->begun = true;
    }
    for (; !single && w->series < w->series_count; w->series++) {
        if (out->failed || out->len >= full)
            return out->failed;
        const promql_series *s = &r->series[w->series];
        if (r->type == PROMQL_MATRIX) {
            if (!write_matrix_series(w, s, full, out))
                return out->failed;
            continue;
        }
        if (w->series)
            sx_buf_byte(out, ',');
        write_vector_sample(out, s);
    }
    if (!single)
        sx_buf_byte(out, ']');
    w->ended = true;
    return true;
}

/* ---- statistics and notes ---- */

void api_stats_write(const promql_stats *s, bool steps, int64_t start_ms, int64_t step_ms,
                     sx_buf *out)
{
    const struct {
        const char *name;
        int64_t ns;
    } times[] = {{"evalTotalTime", s->prepare_ns + s->select_ns + s->eval_ns},
                 {"resultSortTime", 0},
                 {"queryPreparationTime", s->prepare_ns + s->select_ns},
                 {"innerEvalTime", s->eval_ns},
                 {"execQueueTime", s->queued_ns},
                 {"execTotalTime", s->total_ns}};
    sx_buf_str(out, SX_STR(",\"stats\":{\"timings\":"));
    for (size_t i = 0; i < SX_COUNT_OF(times); i++) {
        sx_buf_printf(out, "%c\"%s\":", i ? ',' : '{', times[i].name);
        api_json_number(out, (double)times[i].ns / 1e9);
    }
    sx_buf_str(out, SX_STR("},\"samples\":{"));
    for (size_t i = 0; steps && s->samples_per_step && i < s->steps; i++) {
        sx_buf_str(out, i ? SX_STR(",[") : SX_STR("\"totalQueryableSamplesPerStep\":[["));
        api_json_number(out, (double)(start_ms + (int64_t)i * step_ms) / 1000);
        sx_buf_printf(out, ",%llu]", (unsigned long long)s->samples_per_step[i]);
    }
    if (steps && s->samples_per_step && s->steps)
        sx_buf_str(out, SX_STR("],"));
    sx_buf_printf(out, "\"totalQueryableSamples\":%llu,\"peakSamples\":%llu}}",
                  (unsigned long long)s->samples_total, (unsigned long long)s->samples_peak);
}

static void write_notes(const char *key, const char *kind, const sx_str *items, size_t count,
                        sx_buf *out)
{
    if (count == 0)
        return;
    sx_buf_printf(out, ",\"%s\":[", key);
    for (size_t i = 0; i < count && i < NOTES_MAX; i++) {
        if (i)
            sx_buf_byte(out, ',');
        api_json_text(out, items[i]);
    }
    if (count > NOTES_MAX)
        sx_buf_printf(out, ",\"%zu more %s annotations omitted\"", count - NOTES_MAX, kind);
    sx_buf_byte(out, ']');
}

void api_notes_write(const sx_str *warnings, size_t warning_count, const sx_str *infos,
                     size_t info_count, sx_buf *out)
{
    write_notes("warnings", "warning", warnings, warning_count, out);
    write_notes("infos", "info", infos, info_count, out);
}
