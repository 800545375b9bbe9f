/* run.c - a loop for one page (run.h). */
#include "observe/collect/run.h"

static void on_limit(sx_timer *timer, void *arg)
{
    (void)timer;
    collect_run *r = arg;
    r->late = true;
    sx_loop_stop(r->loop);
}

sx_status collect_run_begin(collect_run *r, const collect_site *s, int64_t ms_max, sx_error *err)
{
    int64_t ms = s->options->ms_max > 0 ? s->options->ms_max : COLLECT_MS_DEFAULT;
    if (ms_max > 0 && ms_max < ms)
        ms = ms_max;
    if (ms > COLLECT_MS_MAX)
        ms = COLLECT_MS_MAX;
    *r = (collect_run){.ms_max = (uint32_t)ms,
                       .start_ns = sx_clock_mono_ns(sx_clock_system()),
                       .limit = {.fn = on_limit, .arg = r}};
    return sx_loop_new(NULL, 0, &r->loop, err);
}

void collect_run_wait(collect_run *r)
{
    sx_timer_start(sx_loop_timers(r->loop), &r->limit, r->ms_max);
    sx_loop_run(r->loop);
    sx_timer_stop(sx_loop_timers(r->loop), &r->limit);
}

double collect_run_seconds(const collect_run *r)
{
    return (double)(sx_clock_mono_ns(sx_clock_system()) - r->start_ns) / 1e9;
}

void collect_run_done(collect_run *r)
{
    if (r->loop)
        sx_loop_free(r->loop);
    r->loop = NULL;
}
