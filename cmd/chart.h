/* chart.h - range results drawn in a terminal: lines of braille dots, axes, a legend. */
#ifndef SEXTANT_CMD_CHART_H
#define SEXTANT_CMD_CHART_H

#include "cmd/answer.h"

enum { CHART_SERIES_MAX = 12 }; /* drawn; the legend tells how many there are besides */

typedef struct chart_options {
    int columns, rows; /* of the terminal */
    bool colour;
    int64_t start_ms, end_ms, step_ms; /* what was asked for: samples further apart are no line */
} chart_options;

/* Appends the chart of a matrix. Histograms are left out. A failure sticks to the buffer. */
void chart_draw(const answer *a, const chart_options *options, sx_buf *out);

/* A number in at most eight characters: 12.3k, 1.5e-07, 250. */
size_t chart_number(double v, char out[32]);

#endif
