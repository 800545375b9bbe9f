/* promql_tool.c - our PromQL parser for tests that compare it with Prometheus's.
 *
 *   promql_tool print|format|json|selector|series [FEATURES]
 *
 * Reads expressions from stdin, each ended by a NUL byte, and answers each on stdout, ended by a NUL
 * byte too: '+' and the result, or '-' and the error. FEATURES are the bits of parse.h. */
#include <stdio.h>
#include <stdlib.h>

#include <sextant/mem.h>
#include <sextant/number.h>

#include "observe/promql/parse.h"
#include "observe/tsdb/histogram.h"

static sx_status answer_series(sx_str text, sx_arena *arena, sx_buf *out, sx_error *err)
{
    tsdb_labels labels;
    promql_test_value *values;
    size_t count;
    sx_status status = promql_parse_series(text, arena, &labels, &values, &count, err);
    if (status != SX_OK)
        return status;
    status = tsdb_labels_print(labels, out, err);
    for (size_t i = 0; i < count; i++) {
        char number[SX_DOUBLE_BYTES];
        sx_double_format(values[i].value, SX_DOUBLE_GO, number);
        if (values[i].omitted)
            sx_buf_str(out, SX_STR(" _"));
        else if (values[i].is_histogram)
            sx_buf_printf(out, " {%g %g}", values[i].histogram->count, values[i].histogram->sum);
        else
            sx_buf_printf(out, " %s", tsdb_is_stale(values[i].value) ? "stale" : number);
    }
    return status;
}

static sx_status answer(const char *mode, unsigned features, sx_str text, sx_arena *arena,
                        sx_buf *out, sx_error *err)
{
    if (strcmp(mode, "series") == 0)
        return answer_series(text, arena, out, err);
    promql_parsed parsed;
    sx_status status;
    if (strcmp(mode, "selector") == 0)
        status = promql_parse_selector(text, arena, &parsed, err);
    else
        status =
            promql_parse(text, &(promql_parse_options){.features = features}, arena, &parsed, err);
    if (status != SX_OK)
        return status;
    if (strcmp(mode, "format") == 0)
        status = promql_format(parsed.expr, out, err);
    else if (strcmp(mode, "json") == 0)
        status = promql_json(parsed.expr, out, err);
    else
        status = promql_print(parsed.expr, out, err);
    promql_parsed_done(&parsed);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3)
        return fprintf(stderr, "usage: promql_tool print|format|json|selector|series [FEATURES]\n"),
               2;
    unsigned features = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    sx_buf out;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&out, 0);
    while ((len = getdelim(&line, &room, 0, stdin)) > 0) {
        sx_error err = {0};
        sx_buf_clear(&out);
        sx_str text = sx_str_of(line, (size_t)len - (line[len - 1] == 0));
        sx_status status = answer(argv[1], features, text, &arena, &out, &err);
        if (status == SX_OK)
            printf("+%.*s", SX_ARG(sx_buf_view(&out)));
        else
            printf("-%s", err.message);
        putchar(0);
        sx_arena_reset(&arena);
    }
    free(line);
    sx_buf_done(&out);
    sx_arena_done(&arena);
    return 0;
}
