/* parse.h - PromQL text into a tree, and back.
 *
 * A hand-written lexer and a precedence-climbing parser. Errors are Prometheus's, words and
 * positions ("1:5: parse error: unexpected ..."), since users and dashboards know them. Depth, length
 * and label counts have limits. Used by the engine, rules, the API, `sextant check` and `query`. */
#ifndef OBSERVE_PROMQL_PARSE_H
#define OBSERVE_PROMQL_PARSE_H

#include <sextant/buf.h>
#include <sextant/error.h>

#include "observe/promql/ast.h"
#include "observe/promql/functions.h"

/* Features behind Prometheus's flags; bits. */
enum {
    PROMQL_EXPERIMENTAL_FUNCTIONS = 1, /* promql-experimental-functions: also limitk, limit_ratio */
    PROMQL_EXTENDED_RANGE = 2,         /* promql-extended-range-selectors: anchored, smoothed */
    PROMQL_BINOP_FILL = 4,             /* promql-binop-fill-modifiers */
    PROMQL_DELAYED_NAME_REMOVAL = 8,   /* promql-delayed-name-removal (the engine's) */
    PROMQL_START_TIMESTAMPS = 16,      /* start_timestamp() */
};

typedef struct promql_parse_options {
    unsigned features;
    uint32_t text_bytes_max; /* 0: 1 MiB */
    uint32_t depth_max;      /* height of the tree; 0: 1000 */
    bool many_errors;        /* err's message has all errors of types, a line each; an error of
                                syntax is always alone */
} promql_parse_options;

/* Parses and checks an expression. The tree, its strings and its compiled matchers live in `arena`
 * and `out`: call promql_parsed_done() before resetting the arena.
 *   errors  SX_EFORMAT with "LINE:COL: parse error: ..."; SX_ELIMIT; SX_ENOMEM */
typedef struct promql_parsed {
    promql_expr *expr;
    sx_str text;            /* a copy in the arena: positions point into it */
    tsdb_matcher **regexes; /* those to be freed */
    size_t regex_count;
    promql_pos error_pos; /* on SX_EFORMAT: of the first error */
} promql_parsed;
sx_status promql_parse(sx_str text, const promql_parse_options *options, sx_arena *arena,
                       promql_parsed *out, sx_error *err);
void promql_parsed_done(promql_parsed *p);

/* A metric selector alone, as match[] and federation have it: `up{job="x"}`. That one of its matchers
 * refuses the empty value, and so some series, is for the caller to see to. */
sx_status promql_parse_selector(sx_str text, sx_arena *arena, promql_parsed *out, sx_error *err);

/* A series with or without values, as promtool's unit tests write it: `a{b="c"} 0+1x10 _ stale`
 * (histogram notation {{schema:0 ...}} included). */
typedef struct promql_test_value {
    bool omitted; /* _ */
    bool is_histogram;
    bool reset_hint_given; /* the histogram's counter_reset_hint was written, not left out */
    double value;
    const struct tsdb_histogram *histogram;
} promql_test_value;
sx_status promql_parse_series(sx_str text, sx_arena *arena, tsdb_labels *labels,
                              promql_test_value **values, size_t *count, sx_error *err);

/* A duration: "1h30m", "5m"; or float seconds, also below 0, where `seconds` allows it, as the API's
 * parameters are read. Milliseconds. SX_EFORMAT in Prometheus's words. */
sx_status promql_parse_duration(sx_str text, bool seconds, int64_t *ms, sx_error *err);

/* Prints a duration as Prometheus does: "1h30m", "0s". */
void promql_print_duration(int64_t ms, char out[64]);

/* Prints the tree on one line (as errors and rules show it), or over several as format_query. */
sx_status promql_print(const promql_expr *e, sx_buf *out, sx_error *err);
sx_status promql_format(const promql_expr *e, sx_buf *out, sx_error *err);

/* The tree as the API's parse_query gives it. */
sx_status promql_json(const promql_expr *e, sx_buf *out, sx_error *err);

#endif
