/* process.h - one process as /proc tells of it. Internal to the room. */
#ifndef OBSERVE_COLLECT_PROCESS_H
#define OBSERVE_COLLECT_PROCESS_H

#include "observe/collect/collect_internal.h"
#include "observe/collect/site.h"

/* What only grows. */
enum {
    COUNT_CPU_USER, /* seconds */
    COUNT_CPU_SYSTEM,
    COUNT_READ, /* bytes, from and to the disk */
    COUNT_WRITTEN,
    COUNT_MAJOR_FAULTS,
    COUNT_MINOR_FAULTS,
    COUNT_VOLUNTARY, /* switches */
    COUNT_INVOLUNTARY,
    COUNTS
};

enum { STATE_RUNNING, STATE_SLEEPING, STATE_WAITING, STATE_ZOMBIE, STATE_OTHER, STATES };

/* A process or one of its threads. */
typedef struct process_facts {
    char comm[64]; /* as in /proc/PID/stat; threads may have names of 15 bytes, kernel's of 63 */
    uint32_t parent, threads, state;
    uint64_t start; /* ticks since the machine began */
    double counts[COUNTS];
    double resident, virtual, swapped, pss, pss_swapped; /* bytes */
    int64_t files, files_max;                            /* -1: not ours to see */
    bool ended;                                          /* there is no such process any more */
    bool partial;                                        /* something was not ours to see */
} process_facts;

/* Reads FOLDER (below /proc: "123" or "123/task/124"). `whole`: memory and files, too; `smaps`: the
 * proportional share of memory. False: it has ended. */
bool process_read(collector *c, const char *folder, bool whole, bool smaps, process_facts *out);

/* When the machine was started, unix time; 0 if /proc/stat does not say. */
double process_boot_time(collector *c);

/* Appends the group's name of a process. False: it belongs to none. `pid` is a folder of /proc. */
bool process_name(collector *c, const collect_settings *s, const char *pid,
                  const process_facts *facts, sx_buf *out);

#endif
