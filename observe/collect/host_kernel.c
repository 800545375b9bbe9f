/* host_kernel.c - processors, memory and the kernel's counters. */
#include <stdio.h>
#include <unistd.h>

#include "observe/collect/collect_internal.h"

/* What the kernel counts in clock ticks, whatever its own rate (proc(5)). */
static double ticks(sx_str text)
{
    return collect_number(text) / (double)sysconf(_SC_CLK_TCK);
}

/* "cpu0" gives "0"; the sum over all, "cpu", and other lines give nothing. */
static bool is_cpu(sx_str word, sx_str *number)
{
    *number = sx_str_from(word, 3);
    return sx_str_starts(word, SX_STR("cpu")) && number->len && number->data[0] >= '0' &&
           number->data[0] <= '9';
}

static void put_cpus(collector *c, sx_str text)
{
    static const char *const MODES[] = {"user",   "nice", "system",  "idle",
                                        "iowait", "irq",  "softirq", "steal"};
    static const char *const GUEST[] = {"user", "nice"};
    sx_str words[COLLECT_FIELDS_MAX], line, cpu;
    collect_family(c, "node_cpu_guest_seconds_total", "counter", "Seconds spent in guests.");
    for (sx_str rest = text; collect_line(&rest, &line);) {
        size_t count = collect_words(line, words);
        for (size_t i = 0; count > 10 && is_cpu(words[0], &cpu) && i < SX_COUNT_OF(GUEST); i++)
            collect_sample(c, "node_cpu_guest_seconds_total",
                           (collect_label[]){{"cpu", cpu}, {"mode", sx_str_z(GUEST[i])}}, 2,
                           ticks(words[9 + i]));
    }
    collect_family(c, "node_cpu_seconds_total", "counter", "Seconds spent in each mode.");
    for (sx_str rest = text; collect_line(&rest, &line);) {
        size_t count = collect_words(line, words);
        for (size_t i = 0; count > 8 && is_cpu(words[0], &cpu) && i < SX_COUNT_OF(MODES); i++)
            collect_sample(c, "node_cpu_seconds_total",
                           (collect_label[]){{"cpu", cpu}, {"mode", sx_str_z(MODES[i])}}, 2,
                           ticks(words[1 + i]));
    }
}

bool collect_stat(collector *c)
{
    static const struct {
        const char *word, *name, *type, *help;
    } LINES[] = {
        {"intr", "node_intr_total", "counter", "Interrupts served."},
        {"ctxt", "node_context_switches_total", "counter", "Context switches."},
        {"processes", "node_forks_total", "counter", "Processes made."},
        {"btime", "node_boot_time_seconds", "gauge", "When the machine was started, unix time."},
        {"procs_running", "node_procs_running", "gauge", "Processes that can run."},
        {"procs_blocked", "node_procs_blocked", "gauge", "Processes that wait for a device."},
    };
    sx_str text, line, word, value;
    if (!collect_read(c, c->proc, "stat", &text))
        return false;
    put_cpus(c, text);
    for (sx_str rest = text; collect_line(&rest, &line);) {
        if (!collect_word(&line, &word) || !collect_word(&line, &value))
            continue;
        for (size_t i = 0; i < SX_COUNT_OF(LINES); i++) {
            if (sx_str_eq(word, sx_str_z(LINES[i].word)))
                collect_one(c, LINES[i].name, LINES[i].type, LINES[i].help, collect_number(value));
        }
    }
    return true;
}

bool collect_loadavg(collector *c)
{
    static const char *const NAMES[] = {"node_load1", "node_load5", "node_load15"};
    sx_str text, word;
    if (!collect_read(c, c->proc, "loadavg", &text))
        return false;
    for (size_t i = 0; i < SX_COUNT_OF(NAMES) && collect_word(&text, &word); i++)
        collect_one(c, NAMES[i], "gauge", "Load average over as many minutes.",
                    collect_number(word));
    return true;
}

/* "Active(anon):  1234 kB" is node_memory_Active_anon_bytes. */
bool collect_meminfo(collector *c)
{
    sx_str text, line, words[COLLECT_FIELDS_MAX];
    if (!collect_read(c, c->proc, "meminfo", &text))
        return false;
    while (collect_line(&text, &line)) {
        char name[128];
        size_t at = 0, count = collect_words(line, words);
        if (count < 2 || words[0].len > 80)
            continue;
        at += (size_t)snprintf(name, sizeof name, "node_memory_");
        for (size_t i = 0; i < words[0].len; i++) {
            char b = words[0].data[i];
            if (b == '(')
                name[at++] = '_';
            else if ((b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') ||
                     b == '_')
                name[at++] = b;
        }
        snprintf(name + at, sizeof name - at, "%s", count > 2 ? "_bytes" : "");
        collect_one(c, name, "gauge", "As /proc/meminfo says.",
                    collect_number(words[1]) * (count > 2 ? 1024 : 1));
    }
    return true;
}

bool collect_vmstat(collector *c)
{
    sx_str text, line, word, value;
    if (!collect_read(c, c->proc, "vmstat", &text))
        return false;
    while (collect_line(&text, &line)) {
        char name[128];
        if (!collect_word(&line, &word) || !collect_word(&line, &value) || word.len > 80)
            continue;
        bool fault =
            sx_str_starts(word, SX_STR("pg")) && sx_str_find(word, SX_STR("fault")) < word.len;
        if (!fault && !sx_str_starts(word, SX_STR("oom_kill")) &&
            !sx_str_starts(word, SX_STR("pgpg")) && !sx_str_starts(word, SX_STR("pswp")))
            continue;
        snprintf(name, sizeof name, "node_vmstat_%.*s", SX_ARG(word));
        collect_name(name);
        collect_one(c, name, "untyped", "As /proc/vmstat says.", collect_number(value));
    }
    return true;
}

bool collect_filefd(collector *c)
{
    sx_str text, words[COLLECT_FIELDS_MAX];
    if (!collect_read_value(c, c->proc, "sys/fs/file-nr", &text) || collect_words(text, words) < 3)
        return false;
    collect_one(c, "node_filefd_allocated", "gauge", "File descriptors in use.",
                collect_number(words[0]));
    collect_one(c, "node_filefd_maximum", "gauge", "File descriptors that there may be.",
                collect_number(words[2]));
    return true;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234": microseconds. */
static bool put_pressure(collector *c, const char *path, const char *some, const char *full)
{
    sx_str text, line;
    if (!collect_read(c, c->proc, path, &text))
        return false;
    while (collect_line(&text, &line)) {
        const char *name = sx_str_starts(line, SX_STR("some "))   ? some
                           : sx_str_starts(line, SX_STR("full ")) ? full
                                                                  : NULL;
        size_t at = sx_str_find(line, SX_STR("total="));
        if (name && at < line.len)
            collect_one(c, name, "counter", "Seconds in which processes waited for this resource.",
                        collect_number(sx_str_trim(sx_str_from(line, at + 6))) / 1e6);
    }
    return true;
}

bool collect_pressure(collector *c)
{
    bool good = put_pressure(c, "pressure/cpu", "node_pressure_cpu_waiting_seconds_total", NULL);
    good |= put_pressure(c, "pressure/io", "node_pressure_io_waiting_seconds_total",
                         "node_pressure_io_stalled_seconds_total");
    good |= put_pressure(c, "pressure/memory", "node_pressure_memory_waiting_seconds_total",
                         "node_pressure_memory_stalled_seconds_total");
    return good;
}

bool collect_entropy(collector *c)
{
    sx_str text;
    if (!collect_read_value(c, c->proc, "sys/kernel/random/entropy_avail", &text))
        return false;
    collect_one(c, "node_entropy_available_bits", "gauge", "Bits of entropy there are.",
                collect_number(text));
    if (collect_read_value(c, c->proc, "sys/kernel/random/poolsize", &text))
        collect_one(c, "node_entropy_pool_size_bits", "gauge", "Bits of entropy there may be.",
                    collect_number(text));
    return true;
}

bool collect_schedstat(collector *c)
{
    static const struct {
        const char *name, *help;
        size_t field;
        double scale;
    } COLUMNS[] = {
        {"node_schedstat_running_seconds_total", "Seconds that tasks ran.", 7, 1e9},
        {"node_schedstat_waiting_seconds_total", "Seconds that tasks waited to run.", 8, 1e9},
        {"node_schedstat_timeslices_total", "Slices of time that were given.", 9, 1},
    };
    sx_str text, line, cpu, words[COLLECT_FIELDS_MAX];
    if (!collect_read(c, c->proc, "schedstat", &text))
        return false;
    for (size_t i = 0; i < SX_COUNT_OF(COLUMNS); i++) {
        collect_family(c, COLUMNS[i].name, "counter", COLUMNS[i].help);
        for (sx_str rest = text; collect_line(&rest, &line);) {
            if (collect_words(line, words) > 9 && is_cpu(words[0], &cpu))
                collect_sample(c, COLUMNS[i].name, &(collect_label){"cpu", cpu}, 1,
                               collect_number(words[COLUMNS[i].field]) / COLUMNS[i].scale);
        }
    }
    return true;
}

/* A line a processor, hexadecimal; later kernels have more columns. */
bool collect_softnet(collector *c)
{
    static const struct {
        const char *name, *type, *help;
        size_t column;
    } COLUMNS[] = {
        {"node_softnet_processed_total", "counter", "Packets processed.", 0},
        {"node_softnet_dropped_total", "counter", "Packets dropped: the backlog was full.", 1},
        {"node_softnet_times_squeezed_total", "counter", "Times that time ran out.", 2},
        {"node_softnet_cpu_collision_total", "counter", "Collisions when sending.", 8},
        {"node_softnet_received_rps_total", "counter", "Wakings by another processor.", 9},
        {"node_softnet_flow_limit_count_total", "counter", "Times that a flow met its limit.", 10},
        {"node_softnet_backlog_len", "gauge", "Packets in the backlog.", 11},
    };
    sx_str text, line, words[COLLECT_FIELDS_MAX];
    if (!collect_read(c, c->proc, "net/softnet_stat", &text))
        return false;
    for (size_t i = 0; i < SX_COUNT_OF(COLUMNS); i++) {
        unsigned row = 0;
        collect_family(c, COLUMNS[i].name, COLUMNS[i].type, COLUMNS[i].help);
        for (sx_str rest = text; collect_line(&rest, &line); row++) {
            char cpu[16];
            size_t count = collect_words(line, words);
            if (count <= COLUMNS[i].column)
                continue;
            int len = snprintf(cpu, sizeof cpu, "%llu",
                               (unsigned long long)(count > 12 ? collect_hex(words[12]) : row));
            collect_sample(c, COLUMNS[i].name, &(collect_label){"cpu", sx_str_of(cpu, (size_t)len)},
                           1, (double)collect_hex(words[COLUMNS[i].column]));
        }
    }
    return true;
}
