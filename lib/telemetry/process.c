/* process.c - what every program shows of itself, by the names that every Prometheus client uses.
 *
 * Read from /proc/self at each scrape; nothing is kept open. What cannot be read is left out. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <sextant/metrics.h>

#include "base/build.h"

/* The fields of /proc/self/stat after the program's name, from field 3 (proc(5)). */
enum {
    FIELD_UTIME = 14,
    FIELD_STIME = 15,
    FIELD_THREADS = 20,
    FIELD_START = 22,
    FIELD_VSIZE = 23,
    FIELD_RSS = 24
};

/* Reads a small file into `text`; false if it cannot be read. */
static bool read_small(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, size - 1);
    close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    return true;
}

/* One numeric field of /proc/self/stat. The name in field 2 may hold spaces and parentheses: the
 * last ')' ends it. */
static bool stat_field(int field, double *out)
{
    char text[1024];
    if (!read_small("/proc/self/stat", text, sizeof(text)))
        return false;
    char *at = strrchr(text, ')');
    for (int i = 2; at && i < field; i++)
        at = strchr(at + 1, ' ');
    if (!at)
        return false;
    *out = strtod(at + 1, NULL);
    return true;
}

static void collect_cpu(sx_collect *into, void *ctx)
{
    (void)ctx;
    double user, system;
    if (stat_field(FIELD_UTIME, &user) && stat_field(FIELD_STIME, &system))
        sx_collect_value(into, NULL, 0, (user + system) / (double)sysconf(_SC_CLK_TCK));
}

static void collect_resident(sx_collect *into, void *ctx)
{
    (void)ctx;
    double pages;
    if (stat_field(FIELD_RSS, &pages))
        sx_collect_value(into, NULL, 0, pages * (double)sysconf(_SC_PAGESIZE));
}

static void collect_virtual(sx_collect *into, void *ctx)
{
    (void)ctx;
    double bytes;
    if (stat_field(FIELD_VSIZE, &bytes))
        sx_collect_value(into, NULL, 0, bytes);
}

static void collect_threads(sx_collect *into, void *ctx)
{
    (void)ctx;
    double threads;
    if (stat_field(FIELD_THREADS, &threads))
        sx_collect_value(into, NULL, 0, threads);
}

/* Seconds since 1970 at which the machine booted; /proc/stat is long, its btime line is wanted. */
static bool boot_time(double *out)
{
    FILE *f = fopen("/proc/stat", "re");
    if (!f)
        return false;
    char line[256];
    bool found = false;
    while (!found && fgets(line, sizeof(line), f)) {
        found = strncmp(line, "btime ", 6) == 0;
        if (found)
            *out = strtod(line + 6, NULL);
    }
    fclose(f);
    return found;
}

static void collect_start(sx_collect *into, void *ctx)
{
    (void)ctx;
    double boot, ticks;
    if (boot_time(&boot) && stat_field(FIELD_START, &ticks))
        sx_collect_value(into, NULL, 0, boot + ticks / (double)sysconf(_SC_CLK_TCK));
}

static void collect_open_fds(sx_collect *into, void *ctx)
{
    (void)ctx;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return;
    size_t count = 0;
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        count += entry->d_name[0] != '.';
    closedir(dir);
    sx_collect_value(into, NULL, 0, (double)(count - 1)); /* without the folder's own */
}

static void collect_max_fds(sx_collect *into, void *ctx)
{
    (void)ctx;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        sx_collect_value(into, NULL, 0, (double)limit.rlim_cur);
}

/* RLIM_INFINITY is shown as it is, 2^64 - 1, as other clients do. */
static void collect_virtual_max(sx_collect *into, void *ctx)
{
    (void)ctx;
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0)
        sx_collect_value(into, NULL, 0, (double)limit.rlim_cur);
}

/* A field of the IpExt lines of /proc/self/net/netstat, which has the names on one line and their
 * values on the next. */
static bool ip_field(const char *field, double *out)
{
    char names[8192], values[8192]; /* the TCP lines before are 3 KB long */
    FILE *f = fopen("/proc/self/net/netstat", "re");
    if (!f)
        return false;
    bool found = false;
    while (!found && fgets(names, sizeof(names), f) && fgets(values, sizeof(values), f)) {
        if (strncmp(names, "IpExt:", 6) != 0)
            continue;
        sx_str names_left = sx_str_z(names), values_left = sx_str_z(values), name, value;
        while (!found && names_left.len > 0 && values_left.len > 0) {
            sx_str_cut(names_left, ' ', &name, &names_left);
            sx_str_cut(values_left, ' ', &value, &values_left);
            found = sx_str_eq(name, sx_str_z(field));
        }
        if (found)
            *out = strtod(value.data, NULL); /* ends at the blank or the line's end behind it */
    }
    fclose(f);
    return found;
}

static void collect_ip(sx_collect *into, const char *field)
{
    double bytes;
    if (ip_field(field, &bytes))
        sx_collect_value(into, NULL, 0, bytes);
}

static void collect_received(sx_collect *into, void *ctx)
{
    (void)ctx;
    collect_ip(into, "InOctets");
}

static void collect_sent(sx_collect *into, void *ctx)
{
    (void)ctx;
    collect_ip(into, "OutOctets");
}

sx_status sx_metrics_add_process(sx_metrics *m, sx_error *err)
{
    static const sx_metric_options METRICS[] = {
        {.kind = SX_METRIC_COUNTER,
         .name = "process_cpu_seconds_total",
         .help = "Total user and system CPU time spent in seconds.",
         .collect = collect_cpu,
         .unit = "seconds"},
        {.kind = SX_METRIC_GAUGE,
         .name = "process_resident_memory_bytes",
         .help = "Resident memory size in bytes.",
         .collect = collect_resident,
         .unit = "bytes"},
        {.kind = SX_METRIC_GAUGE,
         .name = "process_virtual_memory_bytes",
         .help = "Virtual memory size in bytes.",
         .collect = collect_virtual,
         .unit = "bytes"},
        {.kind = SX_METRIC_GAUGE,
         .name = "process_virtual_memory_max_bytes",
         .help = "Maximum amount of virtual memory available in bytes.",
         .collect = collect_virtual_max,
         .unit = "bytes"},
        {.kind = SX_METRIC_COUNTER,
         .name = "process_network_receive_bytes_total",
         .help = "Number of bytes received by the process over the network.",
         .collect = collect_received,
         .unit = "bytes"},
        {.kind = SX_METRIC_COUNTER,
         .name = "process_network_transmit_bytes_total",
         .help = "Number of bytes sent by the process over the network.",
         .collect = collect_sent,
         .unit = "bytes"},
        {.kind = SX_METRIC_GAUGE,
         .name = "process_open_fds",
         .help = "Number of open file descriptors.",
         .collect = collect_open_fds},
        {.kind = SX_METRIC_GAUGE,
         .name = "process_max_fds",
         .help = "Maximum number of open file descriptors.",
         .collect = collect_max_fds},
        {.kind = SX_METRIC_GAUGE,
         .name = "process_start_time_seconds",
         .help = "Start time of the process since unix epoch in seconds.",
         .collect = collect_start,
         .unit = "seconds"},
        {.kind = SX_METRIC_GAUGE,
         .name = "process_threads",
         .help = "Number of threads of the process.",
         .collect = collect_threads},
    };
    for (size_t i = 0; i < SX_COUNT_OF(METRICS); i++) {
        sx_metric *metric;
        sx_status status = sx_metric_new(m, &METRICS[i], &metric, err);
        if (status)
            return status;
    }
    return SX_OK;
}

sx_status sx_metrics_add_build_info(sx_metrics *m, sx_str service, sx_str version, sx_error *err)
{
    static const char *const LABELS[] = {"service", "version", "compiler", "kit_version"};
    sx_metric *metric;
    sx_status status = sx_metric_new(m,
                                     &(sx_metric_options){.kind = SX_METRIC_INFO,
                                                          .name = "sextant_build_info",
                                                          .help = "What was built.",
                                                          .labels = LABELS,
                                                          .label_count = SX_COUNT_OF(LABELS)},
                                     &metric, err);
    if (status)
        return status;
    sx_str values[] = {service, version, SX_STR(SX_COMPILER), SX_STR(SX_VERSION)};
    sx_metric_info(metric, values, SX_COUNT_OF(values));
    return SX_OK;
}
