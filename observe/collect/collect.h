/* collect.h - built-in collectors: what small sites otherwise need exporters for.
 *
 * Each writes one page in Prometheus's text format (0.0.4), a scrape target of its own, with the names
 * and labels of the exporter that it stands in for, so that dashboards and alerts hold:
 *
 *     collect_host       node_exporter       /collect/host
 *     collect_process    process-exporter    /collect/process
 *     collect_redis      redis_exporter      /collect/redis?target=NAME
 *     collect_postgres   postgres_exporter   /collect/postgres?target=NAME
 *
 * The host is read from /proc and /sys at the time of the call; files are bounded, and one that is not
 * there (another kernel, a container) leaves out its metrics and is told by
 * node_scrape_collector_success. The others belong to a collect_site, which knows from flags and a file
 * (docs/howto/collectors.md) what they may look at: a server is asked only if it is listed, so that
 * nobody can send this machine to addresses of his choice.
 * All block, the last two until their server has answered or the time is up: call them on a pool. Any
 * thread.
 * Sources: node_exporter 1.5 to 1.10, process-exporter 0.8, redis_exporter 1.7x and postgres_exporter
 * 0.1x: names of metrics; Linux, Documentation/filesystems/proc.rst; Redis, INFO; PostgreSQL 15,
 * chapters 28 and 54. */
#ifndef OBSERVE_COLLECT_COLLECT_H
#define OBSERVE_COLLECT_COLLECT_H

#include <sextant/buf.h>
#include <sextant/error.h>

typedef struct collect_options {
    const char *proc, *sys, *root; /* NULL: /proc, /sys, / */
} collect_options;

/* Appends the page. Errors: those of the buffer. `options` may be NULL. */
sx_status collect_host(const collect_options *options, sx_buf *out, sx_error *err);

/* ---- what has to be told what to look at ---- */

typedef struct collect_site collect_site;

typedef struct collect_site_options {
    sx_str file;      /* the YAML file; empty: none */
    sx_str redis;     /* [NAME=]ADDRESS, with commas between; no passwords */
    sx_str postgres;  /* NAME=CONNINFO, the same */
    int64_t ms_max;   /* of one answer of a server; 0: 5000 */
    const char *proc; /* NULL: /proc */
} collect_site_options;

/* Reads flags and file. `options` are borrowed for the site's life; `problems` (may be NULL) gets a line
 * for each fault. Errors: SX_EFORMAT and SX_EINVAL with the place, SX_ENOTFOUND, SX_EIO, SX_ENOMEM. */
sx_status collect_site_new(const collect_site_options *options, collect_site **out,
                           sx_buf *problems, sx_error *err);

/* When no thread collects any more. NULL is allowed. */
void collect_site_free(collect_site *s);

/* Whether a reload would take up the file. Errors: as of _new. Any thread. */
sx_status collect_site_check(const collect_site *s, sx_error *err);
/* Reads the file again; one that is broken leaves what was. Any thread. */
sx_status collect_site_reload(collect_site *s, sx_buf *problems, sx_error *err);

/* Processes by group. One call at a time (others wait); counters of a group begin with its first page
 * and outlive its processes. Errors: those of the buffer. */
sx_status collect_process(collect_site *s, sx_buf *out, sx_error *err);

/* A server by its name, or by its address as it was given; empty: the only one. A server that is down,
 * or not done within `ms_max` (0: the site's), gives redis_up 0 or pg_up 0 and what there is.
 * Errors: SX_ENOTFOUND (no such target; err lists them), SX_ENOMEM. */
sx_status collect_redis(collect_site *s, sx_str target, int64_t ms_max, sx_buf *out, sx_error *err);
sx_status collect_postgres(collect_site *s, sx_str target, int64_t ms_max, sx_buf *out,
                           sx_error *err);

#endif
