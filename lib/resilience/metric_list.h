/* metric_list.h - registers the metrics of one part, a table of them at once. */
#ifndef SEXTANT_RESILIENCE_METRIC_LIST_H
#define SEXTANT_RESILIENCE_METRIC_LIST_H

#include <sextant/metrics.h>

/* made[i] is the metric of options[i]. Errors: as sx_metric_new, of the first that fails. */
static inline sx_status sx_metric_list(sx_metrics *metrics, const sx_metric_options *options,
                                       size_t count, sx_metric **made, sx_error *err)
{
    sx_status status = SX_OK;
    for (size_t i = 0; i < count && status == SX_OK; i++)
        status = sx_metric_new(metrics, &options[i], &made[i], err);
    return status;
}

#endif
