/* query.h - the two halves of `sextant query`: asking (query.c) and showing (query_print.c). */
#ifndef SEXTANT_CMD_QUERY_H
#define SEXTANT_CMD_QUERY_H

#include "cmd/answer.h"

typedef enum query_format { QUERY_TABLE, QUERY_JSON, QUERY_CSV } query_format;

typedef struct query_view {
    query_format format;
    bool terminal, colour; /* of the standard output */
    int columns, rows;
    int64_t start_ms, end_ms, step_ms; /* of a range; step 0: an instant */
} query_view;

/* Appends the answer as it is to be seen: a chart on a terminal, else a table, CSV or JSON. */
void query_print(const answer *a, const query_view *view, sx_buf *out);

/* Appends the words of a refusal, with the expression and a mark under the place if they name one. */
void query_print_error(sx_str expression, sx_str words, bool colour, sx_buf *out);

#endif
