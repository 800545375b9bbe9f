/* collect_internal.h - what the collectors share: bounded files, fields, and the text format. */
#ifndef OBSERVE_COLLECT_COLLECT_INTERNAL_H
#define OBSERVE_COLLECT_COLLECT_INTERNAL_H

#include "observe/collect/collect.h"

enum { COLLECT_FILE_BYTES_MAX = 4 << 20, COLLECT_NAMES_MAX = 4096, COLLECT_FIELDS_MAX = 32 };

typedef struct collector {
    const char *proc, *sys, *root;
    sx_buf *out;
    sx_buf file; /* the one read last */
} collector;

/* Reads ROOT/PATH into c->file and gives it; the view is good until the next. False: not there. */
bool collect_read(collector *c, const char *root, const char *path, sx_str *text);

/* The same trimmed, for files of one value. */
bool collect_read_value(collector *c, const char *root, const char *path, sx_str *text);

/* Cuts the next line, or the next word between spaces and tabs, from *rest. False at the end. */
bool collect_line(sx_str *rest, sx_str *line);
bool collect_word(sx_str *rest, sx_str *word);

/* The names in ROOT/PATH that begin with `prefix`, in their order; those longer than 63 bytes and those
 * beyond the 256th are left out. */
typedef struct collect_list {
    char names[256][64];
    size_t count;
} collect_list;
void collect_folder(const char *root, const char *path, const char *prefix, collect_list *out);

/* The words of a line. Returns how many there are, at most COLLECT_FIELDS_MAX. */
size_t collect_words(sx_str line, sx_str words[COLLECT_FIELDS_MAX]);

/* A decimal number, with a fraction or not; hexadecimal digits. 0 if it is none. */
double collect_number(sx_str text);
uint64_t collect_hex(sx_str text);

/* Turns what may not stand in the name of a metric into underscores: parts of names come from files. */
void collect_name(char *name);

/* # HELP and # TYPE. */
void collect_family(collector *c, const char *name, const char *type, const char *help);

typedef struct collect_label {
    const char *name;
    sx_str value;
} collect_label;

/* NAME{labels} value. Values of labels are escaped. */
void collect_sample(collector *c, const char *name, const collect_label *labels, size_t count,
                    double value);

/* A family of one sample without labels. */
void collect_one(collector *c, const char *name, const char *type, const char *help, double value);

/* A collector: false if it found nothing to read. */
typedef bool collect_fn(collector *c);
collect_fn collect_stat, collect_loadavg, collect_meminfo, collect_vmstat, collect_filefd,
    collect_pressure, collect_entropy, collect_schedstat, collect_softnet; /* host_kernel.c */
collect_fn collect_netdev, collect_netstat, collect_sockstat, collect_udp_queues, collect_arp,
    collect_conntrack, collect_netclass;                           /* host_net.c */
collect_fn collect_diskstats, collect_filesystem;                  /* host_disk.c */
collect_fn collect_time, collect_timex, collect_uname, collect_os; /* host_os.c */
collect_fn collect_processes, collect_tcpstat, collect_interrupts; /* host_tasks.c */
collect_fn collect_cpufreq, collect_hwmon, collect_thermal,
    collect_power_supply; /* host_hardware.c */
collect_fn collect_self;  /* host_self.c */

#endif
