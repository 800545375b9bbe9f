/* json.h - JSON as Prometheus's API writes it, byte for byte.
 *
 * Its numbers of samples are texts, its times seconds with up to three digits, and strings are
 * escaped in two ways: labels as JSON wants, everything else so that it may also stand in a page.
 * HOT: a range query's answer is mostly api_json_float() and api_json_time(). Failure sticks to the
 * buffer. Used by observe/api alone. */
#ifndef OBSERVE_API_JSON_H
#define OBSERVE_API_JSON_H

#include <sextant/buf.h>

#include "observe/promql/engine.h"

/* A label's name or value: escaped are quotes, backslashes and control characters. */
void api_json_label(sx_buf *out, sx_str text);
/* Any other text: also <, >, &, U+2028 and U+2029; what is not UTF-8 becomes U+FFFD. */
void api_json_text(sx_buf *out, sx_str text);
/* {"a":"1","b":"2"} */
void api_json_labels(sx_buf *out, tsdb_labels labels);

/* "1.5": quoted; shortest digits, with an exponent below 1e-6 and from 1e21 on. */
void api_json_float(sx_buf *out, double value);
/* The same without quotes, for numbers that are numbers; NaN and infinities, which JSON lacks, as 0. */
void api_json_number(sx_buf *out, double value);
/* Milliseconds as seconds: 1.5 is 1.500, 2 is 2. */
void api_json_time(sx_buf *out, int64_t ms);
/* "2026-11-21T18:56:46.877Z" as Go prints times; 0 is Go's zero time, year 1. */
void api_json_date(sx_buf *out, int64_t ms);
void api_json_date_ns(sx_buf *out, int64_t ns);

/* {"count":"3","sum":"1.5","buckets":[[0,"0.5","1","2"],...]}; empty buckets are left out. */
void api_json_histogram(sx_buf *out, const tsdb_histogram *h);

/* --- A result, which may be large, piece by piece. */
typedef struct api_result_writer {
    const promql_result *result;
    size_t series_count;   /* of them: `limit` may cut the rest off */
    size_t series, sample; /* where it stands */
    bool named;            /* the series' labels are written */
    bool histograms;       /* of this series the floats are written */
    bool open;             /* inside a list of samples */
    bool begun, ended;
} api_result_writer;

/* Writes some more, until `out` has at least `bytes` more than at the call, or all is written:
 * {"resultType":"matrix","result":[...] without the closing brace. Returns whether all is. */
bool api_result_write(api_result_writer *w, size_t bytes, sx_buf *out);

/* Prometheus's ,"stats":{...}; `steps` with the samples of each step. */
void api_stats_write(const promql_stats *stats, bool steps, int64_t start_ms, int64_t step_ms,
                     sx_buf *out);

/* ,"warnings":[...],"infos":[...] where there are any: at most ten of each, then how many more. */
void api_notes_write(const sx_str *warnings, size_t warning_count, const sx_str *infos,
                     size_t info_count, sx_buf *out);

#endif
