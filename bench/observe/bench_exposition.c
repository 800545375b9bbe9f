/* bench_exposition.c - how fast the text format is read: series taken apart, and series expected. */
#include <stdio.h>
#include <stdlib.h>

#include <sextant/buf.h>
#include <sextant/clock.h>
#include <sextant/mem.h>

#include "observe/scrape/exposition.h"

enum { SERIES = 20000, ROUNDS = 30 };

static void make_body(sx_buf *out)
{
    for (int i = 0; i < SERIES; i++)
        sx_buf_printf(
            out,
            "http_request_duration_seconds_bucket{code=\"200\",handler=\"/api/v1/query\","
            "instance_zone=\"eu-west-%d\",method=\"GET\",pod=\"api-7d9f-%05d\",le=\"%d\"} "
            "%d\n",
            i % 3, i / 10, i % 10, i * 7919 % 1000003);
}

/* One pass; with `known`, each series is expected to be the one it was. Returns the samples' sum. */
static double pass(prom_exposition *x, const prom_exposition_options *o, sx_str body, sx_str *known,
                   bool learn)
{
    prom_entry e;
    double sum = 0;
    size_t i = 0;
    prom_exposition_reset(x, o, body);
    for (;;) {
        if (known && !learn)
            prom_exposition_expect(x, known[i]);
        if (prom_exposition_next(x, &e, NULL) != SX_OK)
            break;
        if (learn)
            known[i] = e.series;
        sum += e.value;
        i++;
    }
    return sum;
}

int main(void)
{
    const sx_clock *clock = sx_clock_system();
    prom_exposition_options o = {.protocol = PROM_PROTOCOL_TEXT_0_0_4};
    prom_exposition *x;
    sx_buf body;
    sx_str *known = sx_calloc(SERIES + 1, sizeof *known);
    sx_buf_init(&body, 0);
    make_body(&body);
    if (!known || prom_exposition_new(&o, &x, NULL) != SX_OK)
        return 1;
    double sum = pass(x, &o, sx_buf_view(&body), known, true);
    for (int expected = 0; expected < 2; expected++) {
        int64_t before = sx_clock_mono_ns(clock);
        for (int r = 0; r < ROUNDS; r++)
            sum += pass(x, &o, sx_buf_view(&body), expected ? known : NULL, false);
        double ns = (double)(sx_clock_mono_ns(clock) - before);
        printf("exposition_text_%s %.1f ns/sample\n", expected ? "expected" : "unknown",
               ns / ROUNDS / SERIES);
        printf("exposition_text_%s %.2f GB/s\n", expected ? "expected" : "unknown",
               (double)body.len * ROUNDS / ns);
    }
    fprintf(stderr, "sum %g\n", sum);
    prom_exposition_free(x);
    sx_free(known);
    sx_buf_done(&body);
    return 0;
}
