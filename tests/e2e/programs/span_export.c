/* span_export.c - one exporter of a Collector's configuration, given spans: for test_traces_export.py.
 *
 *     span_export CONFIG.yml EXPORTER BATCHES [SPANS_A_BATCH [DRAIN_MS]] < OTLP messages as JSON lines
 *
 * With BATCHES 0 the batches are the lines of standard input, else they are made up. Prints
 * `ready span_export`, sends, drains, and prints its metrics. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/kit.h>

#include "bench/observe/span_load.h"
#include "observe/collector/exporter.h"
#include "observe/spans/otlp.h"

enum { LINE_BYTES = 64 << 20 };

static void die(const char *what, const sx_error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(1);
}

static void give(span_sink sink, sx_buf *body, bool is_json)
{
    sx_error err;
    span_refused refused = {0};
    span_batch *b = span_batch_new(0);
    sx_status status;
    if (is_json) {
        status = span_read_otlp_json(sx_buf_view(body), NULL, b, &refused, &err);
    } else {
        span_batch_keep(b, body);
        status = span_read_otlp(sx_buf_view(&b->body), NULL, b, &refused, &err);
    }
    if (status == SX_OK)
        status = sink.take(sink.ctx, b, &err);
    if (status != SX_OK)
        fprintf(stderr, "a batch was not taken: %s\n", err.message);
    span_batch_unref(b);
}

static void give_lines(span_sink sink)
{
    static char line[LINE_BYTES];
    while (fgets(line, sizeof(line), stdin)) {
        sx_buf body;
        sx_buf_init(&body, 0);
        sx_buf_str(&body, sx_str_z(line));
        give(sink, &body, true);
        sx_buf_done(&body);
    }
}

static void give_load(span_sink sink, unsigned batches, unsigned spans)
{
    span_load load = {.state = 42, .time_ns = 1700000000000000000u, .step_ns = 1000000};
    for (unsigned i = 0; i < batches; i++) {
        sx_buf body;
        sx_buf_init(&body, 0);
        load_request(&load, &body, spans / LOAD_TRACE_SPANS + !!(spans % LOAD_TRACE_SPANS));
        give(sink, &body, false);
        sx_buf_done(&body);
    }
}

int main(int argc, char **argv)
{
    sx_error err;
    sx_kit kit = {0};
    sx_buf text;
    span_exporter *e;
    collector_settings *config;
    const exporter_settings *found = NULL;
    if (argc < 4)
        return 2;
    sx_buf_init(&text, 0);
    if (sx_log_new(&(sx_log_options){.service = "span_export"}, &kit.log, &err) != SX_OK ||
        sx_metrics_new(NULL, &kit.metrics, &err) != SX_OK)
        die("kit", &err);
    if (collector_settings_load(argv[1], NULL, &config, &text, &err) != SX_OK)
        die("configuration", &err); /* `text` has all faults, the message the first */
    for (uint32_t i = 0; i < config->exporter_count; i++)
        if (sx_str_eq(config->exporters[i].id.name, sx_str_z(argv[2])))
            found = &config->exporters[i];
    if (!found)
        return 2;
    if (span_exporter_new(found, &(span_exporter_host){.kit = &kit}, &e, &err) != SX_OK)
        die("exporter", &err);
    span_sink sink = span_exporter_sink(e);
    printf("ready span_export\n");
    fflush(stdout);
    if (strtoul(argv[3], NULL, 10) == 0)
        give_lines(sink);
    else
        give_load(sink, (unsigned)strtoul(argv[3], NULL, 10),
                  argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 500);
    span_exporter_free(e, argc > 5 ? strtol(argv[5], NULL, 10) : 20000);
    sx_buf_clear(&text);
    if (sx_metrics_write(kit.metrics, SX_METRICS_TEXT_004, &text, &err) != SX_OK)
        die("metrics", &err);
    fwrite(text.data, 1, text.len, stdout);
    sx_buf_done(&text);
    collector_settings_unref(config);
    sx_metrics_free(kit.metrics);
    sx_log_free(kit.log);
    return 0;
}
