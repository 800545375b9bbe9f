/* rules_tool.c - rule files as the observatory reads them, for tests that stand beside promtool.
 *
 *   rules_tool check FILE    faults and lints, a line each; exit status 0, 1 (faults), 3 (lints)
 *   rules_tool test FILE...  runs unit tests of rules; promtool's exit status
 *   rules_tool notify CONFIG COUNT [AGAIN]
 *       sends COUNT alerts to the Alertmanagers of a prometheus.yml (AGAIN: reads it again and sends
 *       as many more), stops, and prints its metrics */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/rules/notify.h"
#include "observe/rules/rule_file.h"
#include "observe/rules/unit_test.h"

static int check(const char *path)
{
    rule_file *file;
    sx_buf problems;
    sx_error err;
    int verdict = 0;
    sx_buf_init(&problems, 0);
    if (rule_file_load(path, NULL, &file, &problems, &err) != SX_OK)
        verdict = 1;
    else if (rule_file_lint(file, &problems))
        verdict = 3;
    if (verdict != 1)
        printf("%u rules found\n", file->rule_count);
    printf("%.*s", SX_ARG(sx_buf_view(&problems)));
    rule_file_free(file);
    sx_buf_done(&problems);
    return verdict;
}

static int test(const char *const *paths, size_t count)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    int verdict = rule_unit_test_run(paths, count, NULL, &out);
    printf("%.*s", SX_ARG(sx_buf_view(&out)));
    sx_buf_done(&out);
    return verdict;
}

static void send_alerts(rule_notifier *n, int from, int count)
{
    rule_sink sink = rule_notifier_sink(n);
    for (int i = from; i < from + count; i++) {
        char number[16];
        int len = snprintf(number, sizeof number, "%d", i);
        const tsdb_label labels[] = {{SX_STR("alertname"), SX_STR("Demo")},
                                     {SX_STR("number"), sx_str_of(number, (size_t)len)}};
        const tsdb_label notes[] = {{SX_STR("summary"), SX_STR("\"quoted\" \xc3\xa9\n")}};
        const rule_alert alert = {.labels = {labels, 2},
                                  .annotations = {notes, 1},
                                  .starts_ms = 1700000000123,
                                  .ends_ms = 1700000240000,
                                  .generator_url = SX_STR("http://p/graph?g0.expr=up&g0.tab=1")};
        sink.send(sink.ctx, &alert, 1);
    }
}

/* Discoveries tell a little later: waits until there is an Alertmanager, five seconds at most. */
static void wait_for_one(rule_notifier *n)
{
    int64_t deadline = sx_clock_mono_ms(sx_clock_system()) + 5000;
    for (size_t count = 0; count == 0 && sx_clock_mono_ms(sx_clock_system()) < deadline;) {
        sx_str *active, *dropped;
        size_t dropped_count;
        sx_arena arena;
        sx_error err;
        sx_arena_init(&arena, 0, 0);
        if (rule_notifier_read(n, &arena, &active, &count, &dropped, &dropped_count, &err) != SX_OK)
            count = 0;
        sx_arena_done(&arena);
        if (count == 0)
            poll(NULL, 0, 5);
    }
}

static void print_urls(rule_notifier *n)
{
    sx_arena arena;
    sx_str *active, *dropped;
    size_t active_count, dropped_count;
    sx_error err;
    sx_arena_init(&arena, 0, 0);
    if (rule_notifier_read(n, &arena, &active, &active_count, &dropped, &dropped_count, &err) ==
        SX_OK) {
        for (size_t i = 0; i < active_count; i++)
            printf("active %.*s\n", SX_ARG(active[i]));
        for (size_t i = 0; i < dropped_count; i++)
            printf("dropped %.*s\n", SX_ARG(dropped[i]));
    }
    sx_arena_done(&arena);
}

static sx_status notify(const char *path, int count, bool again, sx_error *err)
{
    sx_metrics *metrics = NULL;
    rule_notifier *n = NULL;
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_status st = sx_metrics_new(NULL, &metrics, err);
    const sx_kit kit = {.metrics = metrics};
    if (st == SX_OK)
        st = rule_notifier_new(&(rule_notifier_options){.kit = &kit, .queue_max = 1000}, &n, err);
    for (int i = 0; st == SX_OK && i < 1 + again; i++) {
        prom_config *config;
        st = prom_config_load(path, NULL, &config, NULL, err);
        if (st != SX_OK)
            break;
        st = rule_notifier_apply(n, config, err);
        prom_config_unref(config);
        if (st == SX_OK && i == 0)
            wait_for_one(n);
        if (st == SX_OK)
            send_alerts(n, i * count, count);
    }
    if (n)
        print_urls(n);
    rule_notifier_free(n);
    if (st == SX_OK)
        st = sx_metrics_write(metrics, SX_METRICS_TEXT_004, &text, err);
    printf("%.*s", SX_ARG(sx_buf_view(&text)));
    sx_buf_done(&text);
    sx_metrics_free(metrics);
    return st;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "check") == 0)
        return check(argv[2]);
    if (argc > 2 && strcmp(argv[1], "test") == 0)
        return test((const char *const *)argv + 2, (size_t)argc - 2);
    if (argc >= 4 && strcmp(argv[1], "notify") == 0) {
        sx_error err;
        if (notify(argv[2], (int)strtol(argv[3], NULL, 10), argc > 4, &err) == SX_OK)
            return 0;
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    fprintf(stderr, "usage: rules_tool check FILE | rules_tool test FILE... | rules_tool notify "
                    "CONFIG COUNT [AGAIN]\n");
    return 2;
}
