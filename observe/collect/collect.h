/* collect.h - built-in collectors: what small sites otherwise need exporters for.
 *
 * collect_host() writes what Prometheus's node_exporter says of a Linux machine, names and labels the
 * same, so that its dashboards and alerts hold: one page in Prometheus's text format (0.0.4), a scrape
 * target of its own. All is read from /proc and /sys at the time of the call; files are bounded, and
 * one that is not there (another kernel, a container) leaves out its metrics and is told by
 * node_scrape_collector_success.
 * Blocks for some milliseconds: call it on a pool. Any thread.
 * Source: node_exporter 1.5 to 1.10, names of metrics; Linux, Documentation/filesystems/proc.rst. */
#ifndef OBSERVE_COLLECT_COLLECT_H
#define OBSERVE_COLLECT_COLLECT_H

#include <sextant/buf.h>
#include <sextant/error.h>

typedef struct collect_options {
    const char *proc, *sys, *root; /* NULL: /proc, /sys, / */
} collect_options;

/* Appends the page. Errors: those of the buffer. `options` may be NULL. */
sx_status collect_host(const collect_options *options, sx_buf *out, sx_error *err);

#endif
