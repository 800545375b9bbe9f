/* cores.c - how many cores this process may use.
 *
 * In a container the machine's cores say little: the scheduler gives what the affinity mask and the
 * cgroup's quota allow. More loops than that only take turns. */
#include "net/cores.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sextant/loop.h>

enum { PATH_BYTES = 1024 };

/* Reads the first line of a small file. False if it cannot be read. */
static bool read_line(const char *path, char *line, size_t bytes)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool is_read = fgets(line, (int)bytes, f) != NULL;
    fclose(f);
    return is_read;
}

static unsigned cores_of_quota(long long quota_us, long long period_us)
{
    if (quota_us <= 0 || period_us <= 0)
        return 0;
    long long cores = (quota_us + period_us - 1) / period_us;
    return cores > 4096 ? 4096 : (unsigned)cores;
}

/* The quota of one group; 0 if none is set. */
static unsigned quota_at(const char *sys_root, const char *controller, const char *group)
{
    char path[PATH_BYTES], line[64];
    long long quota_us = 0, period_us = 0;
    if (controller[0] == '\0') {
        snprintf(path, sizeof(path), "%s%s/cpu.max", sys_root, group);
        /* "max 100000" when unlimited: sscanf then reads no number. */
        if (!read_line(path, line, sizeof(line)) ||
            sscanf(line, "%lld %lld", &quota_us, &period_us) != 2)
            return 0;
        return cores_of_quota(quota_us, period_us);
    }
    snprintf(path, sizeof(path), "%s/%s%s/cpu.cfs_quota_us", sys_root, controller, group);
    if (!read_line(path, line, sizeof(line)) || sscanf(line, "%lld", &quota_us) != 1)
        return 0;
    snprintf(path, sizeof(path), "%s/%s%s/cpu.cfs_period_us", sys_root, controller, group);
    if (!read_line(path, line, sizeof(line)) || sscanf(line, "%lld", &period_us) != 1)
        return 0;
    return cores_of_quota(quota_us, period_us);
}

/* From the group up to the root, cutting `group` at its last slash each time. */
static unsigned tightest_of(const char *sys_root, const char *controller, char *group)
{
    unsigned least = 0;
    for (;;) {
        unsigned cores = quota_at(sys_root, controller, group);
        if (cores && (!least || cores < least))
            least = cores;
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

/* Whether the comma-separated `list` has "cpu" in it. */
static bool names_cpu(const char *list)
{
    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, "cpu", 3) == 0 && (at[3] == ',' || at[3] == '\0'))
            return true;
    }
    return false;
}

unsigned sx_cores_of_cgroup(const char *proc_cgroup, const char *sys_root)
{
    FILE *f = fopen(proc_cgroup, "re");
    if (!f)
        return 0;
    unsigned least = 0;
    char line[PATH_BYTES];
    /* Lines are "ID:CONTROLLERS:GROUP"; version 2 has no controllers. See cgroups(7). */
    while (fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *controllers++ = '\0';
        *group++ = '\0';
        if (controllers[0] != '\0' && !names_cpu(controllers))
            continue;
        if (strcmp(group, "/") == 0)
            group[0] = '\0';
        unsigned cores = tightest_of(sys_root, controllers[0] ? "cpu" : "", group);
        if (cores && (!least || cores < least))
            least = cores;
    }
    fclose(f);
    return least;
}

unsigned sx_cores(void)
{
    cpu_set_t set;
    long cores;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        cores = CPU_COUNT(&set);
    else
        cores = sysconf(_SC_NPROCESSORS_ONLN); /* more than 1024 CPUs: the mask does not fit */
    unsigned quota = sx_cores_of_cgroup("/proc/self/cgroup", "/sys/fs/cgroup");
    if (quota && quota < cores)
        cores = quota;
    return cores < 1 ? 1 : (unsigned)cores;
}
