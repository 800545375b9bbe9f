/* answer.h - what a query gave, from a server's JSON or from a data directory read directly.
 *
 * One form for the table, the chart, CSV and JSON of `sextant query`. All of it lives in `arena`. */
#ifndef SEXTANT_CMD_ANSWER_H
#define SEXTANT_CMD_ANSWER_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

#include "observe/promql/engine.h"

typedef enum answer_kind { ANSWER_VECTOR, ANSWER_MATRIX, ANSWER_SCALAR, ANSWER_STRING } answer_kind;

typedef struct answer_sample {
    int64_t t; /* ms */
    double v;
    sx_str histogram; /* as JSON, instead of v; empty: a float */
} answer_sample;

typedef struct answer_series {
    tsdb_labels labels;
    answer_sample *samples;
    size_t count;
} answer_series;

typedef struct answer {
    answer_kind kind;
    answer_series *series; /* a scalar is one series without labels */
    size_t series_count;
    sx_str string; /* ANSWER_STRING */
    sx_str *notes; /* warnings and infos */
    size_t note_count;
    sx_str json;  /* {"resultType":...,"result":...} */
    sx_str error; /* what the server or the engine refused the query with; empty: nothing */
} answer;

/* Reads the envelope {"status":...,"data":...}. SX_EFORMAT: that is none; SX_ENOMEM. */
sx_status answer_read(sx_str text, sx_arena *arena, answer *out, sx_error *err);

/* The names or label sets under "data" of series, labels and label values: a line each. */
sx_status answer_read_list(sx_str text, sx_arena *arena, sx_str **lines, size_t *count,
                           sx_str *error, sx_error *err);

/* Exemplars under "data", a line each as in OpenMetrics: up{job="x"} # {trace_id="y"} 1 1700000000.5 */
sx_status answer_print_exemplars(sx_str text, sx_arena *arena, sx_buf *out, sx_error *err);

/* Takes over an engine's result, which may be freed afterwards. */
sx_status answer_take(const promql_result *r, sx_arena *arena, answer *out, sx_error *err);

#endif
