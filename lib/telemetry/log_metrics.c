/* log_metrics.c - what a log has done, as metrics.
 *
 * A line costs nothing for being measured: its lane counts it anyway, and the writer brings counters up
 * to date with what has come since. */
#include <sextant/mem.h>

#include "telemetry/log_lane.h"

typedef struct meter {
    sx_counter *counter;
    uint64_t seen;
} meter;

typedef struct sx_log_meters {
    meter levels[SX_LEVEL_OFF]; /* by level; [0] is not used */
    meter dropped, repeats, written_bytes, write_errors, rotations;
} sx_log_meters;

static void bring_up(meter *m, uint64_t now)
{
    if (now > m->seen)
        sx_counter_add(m->counter, now - m->seen);
    m->seen = now > m->seen ? now : m->seen;
}

void sx_log_metrics_update(sx_log *log)
{
    pthread_mutex_lock(&log->logger_lock);
    sx_log_meters *m = log->meters;
    if (m) {
        sx_log_counts c = sx_log_counts_of(log);
        for (int level = SX_LEVEL_TRACE; level < SX_LEVEL_OFF; level++)
            bring_up(&m->levels[level], c.levels[level]);
        bring_up(&m->dropped, c.dropped);
        bring_up(&m->repeats, c.repeats);
        bring_up(&m->written_bytes, c.written_bytes);
        bring_up(&m->write_errors, c.write_errors);
        bring_up(&m->rotations, c.rotations);
    }
    pthread_mutex_unlock(&log->logger_lock);
}

static sx_status add_lines(const sx_log *log, sx_metrics *metrics, sx_log_meters *m, sx_error *err)
{
    static const char *const LABELS[] = {"log", "level"};
    sx_metric *metric;
    sx_status status = sx_metric_new(
        metrics,
        &(sx_metric_options){.kind = SX_METRIC_COUNTER,
                             .name = "log_lines_total",
                             .help = "Lines given to a log, the dropped ones included.",
                             .labels = LABELS,
                             .label_count = 2},
        &metric, err);
    for (int level = SX_LEVEL_TRACE; status == SX_OK && level < SX_LEVEL_OFF; level++) {
        sx_str values[] = {sx_str_z(log->name), sx_str_z(sx_level_name((sx_level)level))};
        m->levels[level].counter = sx_metric_counter(metric, values, 2);
    }
    return status;
}

static sx_status add_all(const sx_log *log, sx_metrics *metrics, sx_log_meters *m, sx_error *err)
{
    static const char *const LABELS[] = {"log"};
    const struct {
        meter *meter;
        const char *name, *help;
    } ROWS[] = {
        {&m->dropped, "log_lines_dropped_total",
         "Lines lost because a lane was full, a record too big or the output failed."},
        {&m->repeats, "log_lines_repeated_total", "Records held back because they were repeats."},
        {&m->written_bytes, "log_written_bytes_total", "Bytes written to a log's output."},
        {&m->write_errors, "log_write_errors_total", "Failed writes to a log's output."},
        {&m->rotations, "log_rotations_total",
         "Files that a log has begun because of size or age."},
    };
    sx_status status = add_lines(log, metrics, m, err);
    sx_str name = sx_str_z(log->name);
    for (size_t i = 0; status == SX_OK && i < SX_COUNT_OF(ROWS); i++) {
        sx_metric *metric;
        status = sx_metric_new(metrics,
                               &(sx_metric_options){.kind = SX_METRIC_COUNTER,
                                                    .name = ROWS[i].name,
                                                    .help = ROWS[i].help,
                                                    .labels = LABELS,
                                                    .label_count = 1},
                               &metric, err);
        if (status == SX_OK)
            ROWS[i].meter->counter = sx_metric_counter(metric, &name, 1);
    }
    return status;
}

sx_status sx_log_metrics(sx_log *log, sx_metrics *metrics, sx_error *err)
{
    sx_log_meters *fresh = NULL;
    if (metrics) {
        fresh = (sx_log_meters *)sx_calloc(1, sizeof(*fresh));
        if (!fresh)
            return sx_fail_memory(err, "a log's metrics");
        sx_status status = add_all(log, metrics, fresh, err);
        if (status) {
            sx_free(fresh);
            return status;
        }
    }
    pthread_mutex_lock(&log->logger_lock);
    sx_log_meters *old = log->meters;
    log->meters = fresh;
    pthread_mutex_unlock(&log->logger_lock);
    sx_free(old);
    return SX_OK;
}
