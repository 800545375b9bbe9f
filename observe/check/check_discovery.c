/* check_discovery.c - `check service-discovery`: the targets that a job finds now, with their labels.
 *
 * Every discovery of the job runs on a loop of its own until each has told of targets, or the time is
 * over; then the targets are made as the scraper makes them. The JSON is promtool's. */
#include <sextant/json.h>
#include <sextant/timer.h>

#include "observe/check/check.h"
#include "observe/scrape/discovery.h"
#include "observe/scrape/target.h"

enum { DISCOVERIES_MAX = 64 };

typedef struct finder {
    sx_loop *loop;
    const prom_scrape_config *job;
    prom_discoverer *discoverers[DISCOVERIES_MAX];
    struct found {
        struct finder *of;
        sx_buf targets; /* JSON of this discovery's, commas between */
        bool told;
    } found[DISCOVERIES_MAX];
    size_t count;
    sx_status status;
} finder;

static void put_labels(sx_json_writer *w, const char *key, tsdb_labels labels)
{
    sx_json_key(w, sx_str_z(key));
    sx_json_begin_object(w);
    for (uint32_t i = 0; i < labels.count; i++) {
        sx_json_key(w, labels.items[i].name);
        sx_json_str(w, labels.items[i].value);
    }
    sx_json_end_object(w);
}

static void put_target(struct found *f, sx_str address, tsdb_labels group)
{
    target_scratch scratch;
    target_made made = {0};
    sx_json_writer w;
    sx_arena arena;
    sx_error err;
    target_scratch_init(&scratch);
    sx_arena_init(&arena, 0, 0);
    sx_status st = target_make(f->of->job, address, group, &scratch, &arena, &made, &err);
    if (f->targets.len)
        sx_buf_byte(&f->targets, ',');
    sx_json_writer_init(&w, &f->targets, NULL);
    sx_json_begin_object(&w);
    put_labels(&w, "discoveredLabels", made.discovered);
    put_labels(&w, "labels", made.dropped || st != SX_OK ? (tsdb_labels){0} : made.labels);
    if (st != SX_OK) {
        sx_json_key(&w, SX_STR("error"));
        sx_json_str(&w, sx_str_z(err.message));
    }
    sx_json_end_object(&w);
    if (sx_json_writer_finish(&w, &err) != SX_OK)
        f->of->status = err.status;
    sx_arena_done(&arena);
    target_scratch_done(&scratch);
}

static void on_told(void *ctx, const prom_target_group *groups, size_t count)
{
    struct found *f = ctx;
    bool all = true;
    sx_buf_clear(&f->targets);
    for (size_t g = 0; g < count; g++) {
        for (uint32_t i = 0; i < groups[g].target_count; i++)
            put_target(f, groups[g].targets[i], groups[g].labels);
    }
    f->told = f->told || count > 0;
    for (size_t i = 0; i < f->of->count; i++)
        all = all && f->of->found[i].told;
    if (all)
        sx_loop_stop(f->of->loop);
}

static void on_timeout(sx_timer *timer, void *ctx)
{
    (void)timer;
    sx_loop_stop(((finder *)ctx)->loop);
}

/* All of them until told; what is known then is written, and what went wrong is said. */
static sx_status find(finder *f, prom_config *config, int64_t timeout_ms, const check_options *o,
                      sx_buf *out, sx_error *err)
{
    static const sx_kit NO_KIT = {0};
    sx_timer timer = {.fn = on_timeout, .arg = f};
    sx_status st = SX_OK;
    for (uint32_t i = 0; st == SX_OK && i < f->job->discovery_count && i < DISCOVERIES_MAX; i++) {
        f->found[i].of = f;
        sx_buf_init(&f->found[i].targets, 0);
        f->count = i + 1;
        st = prom_discoverer_new(f->loop, &NO_KIT, config, &f->job->discoveries[i],
                                 f->job->job_name, on_told, &f->found[i], &f->discoverers[i], err);
    }
    if (st == SX_OK && f->count) {
        sx_timer_start(sx_loop_timers(f->loop), &timer, timeout_ms);
        sx_loop_run(f->loop);
        sx_timer_stop(sx_loop_timers(f->loop), &timer);
    }
    sx_buf_byte(out, '[');
    for (size_t i = 0; i < f->count; i++) {
        sx_str trouble =
            f->discoverers[i] ? prom_discoverer_trouble(f->discoverers[i]) : SX_STR("");
        if (trouble.len)
            o->say(o->ctx, CHECK_WARNING, trouble);
        if (out->len > 1 && f->found[i].targets.len)
            sx_buf_byte(out, ',');
        sx_buf_str(out, sx_buf_view(&f->found[i].targets));
        prom_discoverer_free(f->discoverers[i]);
        sx_buf_done(&f->found[i].targets);
    }
    sx_buf_str(out, SX_STR("]\n"));
    return st == SX_OK ? f->status : st;
}

sx_status check_discovery(const char *path, sx_str job, int64_t timeout_ms,
                          const check_options *options, sx_buf *out, sx_error *err)
{
    finder f = {.status = SX_OK};
    prom_config *config = NULL;
    prom_config_options read = {.expand_environment = options->expand_environment,
                                .environment = options->environment};
    sx_status st = prom_config_load(path, &read, &config, NULL, err);
    for (uint32_t i = 0; st == SX_OK && i < config->scrape_count; i++) {
        if (sx_str_eq(config->scrapes[i].job_name, job))
            f.job = &config->scrapes[i];
    }
    if (st == SX_OK && !f.job)
        st = sx_fail(err, SX_ENOTFOUND, "%s has no job \"%.*s\"", path, SX_ARG(job));
    if (st == SX_OK)
        st = sx_loop_new(NULL, 0, &f.loop, err);
    if (st == SX_OK)
        st = find(&f, config, timeout_ms, options, out, err);
    sx_loop_free(f.loop);
    prom_config_unref(config);
    return st;
}
