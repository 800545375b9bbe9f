/* host_self.c - the process that collects: an exporter tells of itself, and dashboards of hosts have a
 * row for it. The page is the kit's, of a registry that lives as long as the call. */
#include <string.h>

#include <sextant/metrics.h>

#include "observe/collect/collect_internal.h"

bool collect_self(collector *c)
{
    sx_metrics *own;
    sx_error ignored; /* a failure sticks to the buffer, which the page's status is of */
    if (strcmp(c->proc, "/proc") != 0 || sx_metrics_new(NULL, &own, &ignored) != SX_OK)
        return false; /* another machine's files: this process is not there */
    bool good = sx_metrics_add_process(own, &ignored) == SX_OK &&
                sx_metrics_write(own, SX_METRICS_TEXT_004, c->out, &ignored) == SX_OK;
    sx_metrics_free(own);
    return good;
}
