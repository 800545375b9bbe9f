/* discover.c - prints what the discoveries of a configuration find: for tests.
 *
 *     discover prometheus.yml [--seconds N] [--name-servers 127.0.0.1:5353] [--service-account FOLDER]
 *
 * Each time something has changed a line of JSON: {"job": ..., "trouble": ..., "groups":
 * [{"source": ..., "targets": [...], "labels": {...}}]}. With --seconds it ends by itself; with
 * --metrics it prints its metrics at the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/json.h>
#include <sextant/kit.h>

#include "observe/scrape/discovery_internal.h"

enum { DISCOVERIES_MAX = 64 };

typedef struct found {
    sx_str job;
    prom_discoverer *d;
} found;

static void print_groups(void *ctx, const prom_target_group *groups, size_t count)
{
    const found *f = ctx;
    sx_buf out;
    sx_json_writer w;
    sx_buf_init(&out, 0);
    sx_json_writer_init(&w, &out, NULL);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("job"));
    sx_json_str(&w, f->job);
    sx_json_key(&w, SX_STR("trouble"));
    sx_json_str(&w, f->d ? prom_discoverer_trouble(f->d) : SX_STR(""));
    sx_json_key(&w, SX_STR("groups"));
    sx_json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        sx_json_begin_object(&w);
        sx_json_key(&w, SX_STR("source"));
        sx_json_str(&w, groups[i].source);
        sx_json_key(&w, SX_STR("targets"));
        sx_json_begin_array(&w);
        for (uint32_t k = 0; k < groups[i].target_count; k++)
            sx_json_str(&w, groups[i].targets[k]);
        sx_json_end_array(&w);
        sx_json_key(&w, SX_STR("labels"));
        sx_json_begin_object(&w);
        for (uint32_t k = 0; k < groups[i].labels.count; k++) {
            sx_json_key(&w, groups[i].labels.items[k].name);
            sx_json_str(&w, groups[i].labels.items[k].value);
        }
        sx_json_end_object(&w);
        sx_json_end_object(&w);
    }
    sx_json_end_array(&w);
    sx_json_end_object(&w);
    if (sx_json_writer_finish(&w, NULL) == SX_OK)
        printf("%.*s\n", SX_ARG(sx_buf_view(&out)));
    fflush(stdout);
    sx_buf_done(&out);
}

static void on_time(sx_timer *timer, void *arg)
{
    (void)timer;
    sx_loop_stop(arg);
}

static void print_metrics(sx_metrics *m)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    if (sx_metrics_write(m, SX_METRICS_TEXT_004, &text, NULL) == SX_OK)
        printf("%.*s", SX_ARG(sx_buf_view(&text)));
    sx_buf_done(&text);
}

typedef struct options {
    const char *path;
    int64_t seconds;
    bool metrics;
    discovery_overrides overrides;
} options;

static bool read_options(int argc, char **argv, options *o)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--metrics") == 0)
            o->metrics = true;
        else if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0)
            o->seconds = strtol(argv[++i], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "--name-servers") == 0)
            o->overrides.name_servers = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--service-account") == 0)
            o->overrides.service_account = argv[++i];
        else if (argv[i][0] != '-' && !o->path)
            o->path = argv[i];
        else
            return false;
    }
    return o->path != NULL;
}

static int run(sx_loop *loop, const sx_kit *kit, prom_config *config, const options *o)
{
    static found all[DISCOVERIES_MAX];
    size_t count = 0;
    sx_error err;
    for (uint32_t i = 0; i < config->scrape_count; i++) {
        const prom_scrape_config *job = &config->scrapes[i];
        for (uint32_t k = 0; k < job->discovery_count && count < DISCOVERIES_MAX; k++) {
            found *f = &all[count++];
            f->job = job->job_name;
            if (discovery_open(loop, kit, config, &job->discoveries[k], f->job, &o->overrides,
                               print_groups, f, &f->d, &err) != SX_OK) {
                fprintf(stderr, "%s\n", err.message);
                return 1;
            }
        }
    }
    sx_timer end = {.fn = on_time, .arg = loop};
    if (o->seconds)
        sx_timer_start(sx_loop_timers(loop), &end, o->seconds * 1000);
    sx_loop_run(loop);
    sx_timer_stop(sx_loop_timers(loop), &end);
    for (size_t i = 0; i < count; i++)
        prom_discoverer_free(all[i].d);
    if (o->metrics)
        print_metrics(kit->metrics);
    return 0;
}

int main(int argc, char **argv)
{
    options o = {0};
    sx_error err;
    sx_loop *loop = NULL;
    prom_config *config = NULL;
    sx_kit kit = {0};
    sx_buf problems;
    int rc = 1;
    if (!read_options(argc, argv, &o)) {
        fprintf(stderr, "usage: discover prometheus.yml [--seconds N] [--name-servers HOST:PORT] "
                        "[--service-account FOLDER] [--metrics]\n");
        return 2;
    }
    sx_buf_init(&problems, 0);
    if (prom_config_load(o.path, &(prom_config_options){0}, &config, &problems, &err) != SX_OK)
        fprintf(stderr, "%.*s%s\n", SX_ARG(sx_buf_view(&problems)), err.message);
    else if (sx_loop_new(NULL, 0, &loop, &err) != SX_OK ||
             sx_metrics_new(NULL, &kit.metrics, &err) != SX_OK ||
             sx_log_new(&(sx_log_options){.service = "discover", .repeats_max = SX_LOG_REPEATS_ALL},
                        &kit.log, &err) != SX_OK)
        fprintf(stderr, "%s\n", err.message);
    else
        rc = run(loop, &kit, config, &o);
    if (config)
        prom_config_unref(config);
    if (loop)
        sx_loop_free(loop);
    sx_log_free(kit.log);
    if (kit.metrics)
        sx_metrics_free(kit.metrics);
    sx_buf_done(&problems);
    return rc;
}
