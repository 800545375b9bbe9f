/* chart.c - draws series into a grid of braille cells, two dots wide and four high each.
 *
 * A cell belongs to the series that was drawn there last, and has its colour. Neighbouring samples are
 * joined where no step lies between them, so that a gap in the data is a gap in the chart. */
#include "cmd/chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sextant/mem.h>

enum { MARGIN = 10, COLUMNS_MIN = 30, ROWS_MIN = 4, ROWS_MAX = 20, TICKS = 4 };

/* Colours that differ also for most who see them differently. */
static const int PALETTE[] = {39, 208, 42, 199, 220, 141, 51, 203, 118, 75, 180, 245};

typedef struct grid {
    const chart_options *options;
    int wide, high; /* cells */
    uint8_t *dots;  /* of a cell: its braille bits */
    uint8_t *owner; /* series whose colour it has, from 1; 0: none */
    double least, most;
} grid;

size_t chart_number(double v, char out[32])
{
    static const struct {
        double of;
        const char *suffix;
    } SCALES[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
    double size = fabs(v);
    for (size_t i = 0; i < SX_COUNT_OF(SCALES) && size < 1e15; i++) {
        if (size >= SCALES[i].of)
            return (size_t)snprintf(out, 32, "%.4g%s", v / SCALES[i].of, SCALES[i].suffix);
    }
    return (size_t)snprintf(out, 32, "%.4g", v);
}

/* The range of values, with some room where all are the same. */
static bool find_range(const answer *a, grid *g)
{
    g->least = INFINITY, g->most = -INFINITY;
    for (size_t s = 0; s < a->series_count && s < CHART_SERIES_MAX; s++) {
        for (size_t i = 0; i < a->series[s].count; i++) {
            double v = a->series[s].samples[i].v;
            if (a->series[s].samples[i].histogram.len || !isfinite(v))
                continue;
            g->least = fmin(g->least, v);
            g->most = fmax(g->most, v);
        }
    }
    if (g->least > g->most)
        return false;
    if (g->most - g->least < fabs(g->most) * 1e-12 || g->most == g->least) {
        double room = g->most != 0 ? fabs(g->most) / 10 : 1;
        g->least -= room;
        g->most += room;
    }
    return true;
}

static void dot(grid *g, int x, int y, uint8_t series)
{
    static const uint8_t BITS[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    if (x < 0 || y < 0 || x >= g->wide * 2 || y >= g->high * 4)
        return;
    size_t cell = (size_t)(y / 4) * (size_t)g->wide + (size_t)(x / 2);
    g->dots[cell] |= BITS[y % 4][x % 2];
    g->owner[cell] = series;
}

static void line(grid *g, int x0, int y0, int x1, int y1, uint8_t series)
{
    int steps = abs(x1 - x0) > abs(y1 - y0) ? abs(x1 - x0) : abs(y1 - y0);
    for (int i = 0; i <= steps; i++)
        dot(g, x0 + (steps ? (x1 - x0) * i / steps : 0), y0 + (steps ? (y1 - y0) * i / steps : 0),
            series);
}

static void draw_series(grid *g, const answer_series *s, uint8_t number)
{
    double span = (double)(g->options->end_ms - g->options->start_ms);
    int x0 = 0, y0 = 0;
    int64_t t0 = INT64_MIN;
    for (size_t i = 0; i < s->count; i++) {
        const answer_sample *p = &s->samples[i];
        if (p->histogram.len || !isfinite(p->v))
            continue;
        double at = span > 0 ? (double)(p->t - g->options->start_ms) / span : 0;
        if (at < 0 || at > 1)
            continue;
        int x = (int)lround(at * (g->wide * 2 - 1));
        int y = (int)lround((g->most - p->v) / (g->most - g->least) * (g->high * 4 - 1));
        bool joined = t0 != INT64_MIN && p->t - t0 <= g->options->step_ms;
        line(g, joined ? x0 : x, joined ? y0 : y, x, y, number);
        x0 = x, y0 = y, t0 = p->t;
    }
}

static void put_colour(const grid *g, int series, sx_buf *out)
{
    if (g->options->colour && series)
        sx_buf_printf(out, "\033[38;5;%dm", PALETTE[(size_t)(series - 1) % SX_COUNT_OF(PALETTE)]);
    else if (g->options->colour)
        sx_buf_str(out, SX_STR("\033[0m"));
}

/* U+2800 and the bits, in UTF-8. */
static void put_cell(uint8_t bits, sx_buf *out)
{
    if (!bits) {
        sx_buf_byte(out, ' ');
        return;
    }
    sx_buf_byte(out, (char)0xe2);
    sx_buf_byte(out, (char)(0xa0 + (bits >> 6)));
    sx_buf_byte(out, (char)(0x80 + (bits & 0x3f)));
}

static void put_rows(const grid *g, sx_buf *out)
{
    for (int row = 0; row < g->high; row++) {
        char label[32];
        int every = (g->high - 1) / TICKS > 0 ? (g->high - 1) / TICKS : 1;
        bool tick = row % every == 0 || row == g->high - 1;
        chart_number(g->most - (g->most - g->least) * row / (g->high - 1), label);
        sx_buf_printf(out, "%*s %s", MARGIN - 2, tick ? label : "", tick ? "┤" : "│");
        int before = 0;
        for (int x = 0; x < g->wide; x++) {
            size_t cell = (size_t)row * (size_t)g->wide + (size_t)x;
            if (g->owner[cell] != before)
                put_colour(g, g->owner[cell], out);
            before = g->owner[cell];
            put_cell(g->dots[cell], out);
        }
        if (before)
            put_colour(g, 0, out);
        sx_buf_byte(out, '\n');
    }
}

/* Times in UTC; with the day where the chart has more than one. */
static void put_time(int64_t ms, bool day, char out[32])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm = {0};
    gmtime_r(&seconds, &tm);
    strftime(out, 32, day ? "%m-%d %H:%M" : "%H:%M:%S", &tm);
}

static void put_axis(const grid *g, sx_buf *out)
{
    int64_t span = g->options->end_ms - g->options->start_ms;
    bool day = span >= 24 * 3600 * 1000;
    int wanted = g->wide / (day ? 18 : 15), marks = wanted > 1 ? wanted : 1, at = 0;
    sx_buf_printf(out, "%*s└", MARGIN - 1, "");
    for (int x = 0; x < g->wide; x++)
        sx_buf_str(out, SX_STR("─"));
    sx_buf_printf(out, "\n%*s", MARGIN, "");
    for (int i = 0; i <= marks; i++) {
        char text[32];
        put_time(g->options->start_ms + span * i / marks, day, text);
        int width = (int)sx_str_z(text).len;
        int x = i == marks ? g->wide - width : i ? g->wide * i / marks - width / 2 : 0;
        if (x < at)
            continue;
        sx_buf_printf(out, "%*s%s", x - at, "", text);
        at = x + width;
    }
    sx_buf_str(out, SX_STR("\n"));
}

static void put_legend(const answer *a, const grid *g, sx_buf *out)
{
    for (size_t s = 0; s < a->series_count && s < CHART_SERIES_MAX; s++) {
        double least = INFINITY, most = -INFINITY, last = NAN;
        char texts[3][32];
        for (size_t i = 0; i < a->series[s].count; i++) {
            double v = a->series[s].samples[i].v;
            if (a->series[s].samples[i].histogram.len)
                continue;
            least = fmin(least, v), most = fmax(most, v), last = v;
        }
        chart_number(least, texts[0]), chart_number(most, texts[1]), chart_number(last, texts[2]);
        put_colour(g, (int)s + 1, out);
        sx_buf_str(out, SX_STR("━━ "));
        put_colour(g, 0, out);
        tsdb_labels_print_series(a->series[s].labels, out, NULL);
        sx_buf_printf(out, "  min %s  max %s  last %s\n", texts[0], texts[1], texts[2]);
    }
    if (a->series_count > CHART_SERIES_MAX)
        sx_buf_printf(out, "and %zu more series, not drawn; topk(%d, ...) chooses among them\n",
                      a->series_count - CHART_SERIES_MAX, CHART_SERIES_MAX);
}

void chart_draw(const answer *a, const chart_options *options, sx_buf *out)
{
    grid g = {.options = options};
    size_t shown = a->series_count < CHART_SERIES_MAX ? a->series_count : CHART_SERIES_MAX;
    g.wide = (options->columns > COLUMNS_MIN ? options->columns : COLUMNS_MIN) - MARGIN - 1;
    int left = options->rows - (int)shown - 5;
    g.high = left > ROWS_MAX ? ROWS_MAX : left < ROWS_MIN ? ROWS_MIN : left;
    if (!find_range(a, &g)) {
        sx_buf_str(out, SX_STR("no numbers to draw\n"));
        return;
    }
    size_t cells = (size_t)g.wide * (size_t)g.high;
    g.dots = sx_calloc(cells, 1);
    g.owner = sx_calloc(cells, 1);
    if (!g.dots || !g.owner) {
        out->failed = true;
    } else {
        for (size_t s = 0; s < shown; s++)
            draw_series(&g, &a->series[s], (uint8_t)(s + 1));
        put_rows(&g, out);
        put_axis(&g, out);
        put_legend(a, &g, out);
    }
    sx_free(g.dots);
    sx_free(g.owner);
}
