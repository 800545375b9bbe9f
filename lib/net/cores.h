/* cores.h - the halves of sx_cores() that a test can feed. */
#ifndef SEXTANT_NET_CORES_H
#define SEXTANT_NET_CORES_H

#include <sextant/base.h>

/* Cores that the cgroup quotas under `sys_root` ("/sys/fs/cgroup") allow to the groups named in the
 * file `proc_cgroup` ("/proc/self/cgroup"), rounded up; 0 if there is no quota. Version 2 (cpu.max)
 * and version 1 (cpu.cfs_quota_us); every ancestor counts, the tightest wins. */
unsigned sx_cores_of_cgroup(const char *proc_cgroup, const char *sys_root);

#endif
