/* host_disk.c - block devices and file systems. */
#include <stdio.h>
#include <sys/statvfs.h>

#include <sextant/mem.h>

#include "observe/collect/collect_internal.h"

enum { MOUNTS_MAX = 512, PATH_BYTES = 1024, SECTOR_BYTES = 512 };

/* --- /proc/diskstats */

static bool all_digits(sx_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
    }
    return s.len > 0;
}

/* Partitions, RAM disks, loops and floppies are left out, as node_exporter does. */
static bool is_ignored_disk(sx_str name)
{
    static const char *const WHOLE[] = {"ram", "loop", "fd"};
    static const char *const LETTERED[] = {"hd", "sd", "vd", "xvd"};
    for (size_t i = 0; i < SX_COUNT_OF(WHOLE); i++) {
        sx_str p = sx_str_z(WHOLE[i]);
        if (sx_str_starts(name, p) && all_digits(sx_str_from(name, p.len)))
            return true;
    }
    for (size_t i = 0; i < SX_COUNT_OF(LETTERED); i++) {
        sx_str p = sx_str_z(LETTERED[i]);
        if (sx_str_starts(name, p) && name.len > p.len + 1 &&
            all_digits(sx_str_from(name, p.len + 1)))
            return true;
    }
    size_t part = sx_str_find_byte(name, 'p');
    return sx_str_starts(name, SX_STR("nvme")) && part < name.len &&
           all_digits(sx_str_from(name, part + 1));
}

static const struct {
    const char *name, *type, *help;
    size_t field;
    double scale;
} DISK_COLUMNS[] = {
    {"reads_completed_total", "counter", "Reads that were completed.", 3, 1},
    {"reads_merged_total", "counter", "Reads that were merged.", 4, 1},
    {"read_bytes_total", "counter", "Bytes read.", 5, SECTOR_BYTES},
    {"read_time_seconds_total", "counter", "Seconds that reads took.", 6, .001},
    {"writes_completed_total", "counter", "Writes that were completed.", 7, 1},
    {"writes_merged_total", "counter", "Writes that were merged.", 8, 1},
    {"written_bytes_total", "counter", "Bytes written.", 9, SECTOR_BYTES},
    {"write_time_seconds_total", "counter", "Seconds that writes took.", 10, .001},
    {"io_now", "gauge", "Requests under way.", 11, 1},
    {"io_time_seconds_total", "counter", "Seconds with requests under way.", 12, .001},
    {"io_time_weighted_seconds_total", "counter", "The same, times their number.", 13, .001},
    {"discards_completed_total", "counter", "Discards that were completed.", 14, 1},
    {"discards_merged_total", "counter", "Discards that were merged.", 15, 1},
    {"discarded_sectors_total", "counter", "Sectors discarded.", 16, 1},
    {"discard_time_seconds_total", "counter", "Seconds that discards took.", 17, .001},
    {"flush_requests_total", "counter", "Flushes that were completed.", 18, 1},
    {"flush_requests_time_seconds_total", "counter", "Seconds that flushes took.", 19, .001},
};

bool collect_diskstats(collector *c)
{
    sx_str text, line, w[COLLECT_FIELDS_MAX];
    if (!collect_read(c, c->proc, "diskstats", &text))
        return false;
    for (size_t i = 0; i < SX_COUNT_OF(DISK_COLUMNS); i++) {
        char name[96];
        snprintf(name, sizeof name, "node_disk_%s", DISK_COLUMNS[i].name);
        collect_family(c, name, DISK_COLUMNS[i].type, DISK_COLUMNS[i].help);
        for (sx_str rest = text; collect_line(&rest, &line);) {
            if (collect_words(line, w) > DISK_COLUMNS[i].field && !is_ignored_disk(w[2]))
                collect_sample(c, name, &(collect_label){"device", w[2]}, 1,
                               collect_number(w[DISK_COLUMNS[i].field]) * DISK_COLUMNS[i].scale);
        }
    }
    collect_family(c, "node_disk_info", "gauge", "What devices are.");
    for (sx_str rest = text; collect_line(&rest, &line);) {
        if (collect_words(line, w) < 4 || is_ignored_disk(w[2]))
            continue;
        const collect_label labels[] = {{"device", w[2]}, {"major", w[0]}, {"minor", w[1]},
                                        {"model", {0}},   {"path", {0}},   {"revision", {0}},
                                        {"serial", {0}},  {"wwn", {0}}};
        collect_sample(c, "node_disk_info", labels, SX_COUNT_OF(labels), 1);
    }
    return true;
}

/* --- File systems. */

static const char *const IGNORED_TYPES[] = {
    "autofs",     "binfmt_misc", "bpf",       "cgroup",   "cgroup2",   "configfs",
    "debugfs",    "devpts",      "devtmpfs",  "fusectl",  "hugetlbfs", "iso9660",
    "mqueue",     "nsfs",        "overlay",   "proc",     "procfs",    "pstore",
    "rpc_pipefs", "securityfs",  "selinuxfs", "squashfs", "sysfs",     "tracefs"};
static const char *const IGNORED_PLACES[] = {"/dev", "/proc", "/sys"};
static const char *const IGNORED_BELOW[] = {"/run/credentials/", "/var/lib/docker/",
                                            "/var/lib/containers/storage/"};

static bool is_ignored_mount(sx_str place, sx_str type)
{
    for (size_t i = 0; i < SX_COUNT_OF(IGNORED_TYPES); i++) {
        if (sx_str_eq(type, sx_str_z(IGNORED_TYPES[i])))
            return true;
    }
    for (size_t i = 0; i < SX_COUNT_OF(IGNORED_PLACES); i++) {
        sx_str p = sx_str_z(IGNORED_PLACES[i]);
        if (sx_str_starts(place, p) && (place.len == p.len || place.data[p.len] == '/'))
            return true;
    }
    for (size_t i = 0; i < SX_COUNT_OF(IGNORED_BELOW); i++) {
        sx_str p = sx_str_z(IGNORED_BELOW[i]);
        if (sx_str_starts(place, p) && place.len > p.len)
            return true;
    }
    return false;
}

typedef struct mount {
    char device[PATH_BYTES], place[PATH_BYTES], type[64];
    bool failed, read_only;
    struct statvfs st;
} mount;

/* \040 and its like stand for bytes that would end a word (fstab(5)). */
static void unescape(sx_str from, char *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < from.len && n + 1 < cap; i++) {
        const char *d = from.data + i;
        bool octal = d[0] == '\\' && i + 3 < from.len && d[1] >= '0' && d[1] <= '3' &&
                     d[2] >= '0' && d[2] <= '7' && d[3] >= '0' && d[3] <= '7';
        out[n++] = octal ? (char)((d[1] - '0') << 6 | (d[2] - '0') << 3 | (d[3] - '0')) : d[0];
        i += octal ? 3 : 0;
    }
    out[n] = '\0';
}

static bool is_read_only(sx_str options)
{
    for (sx_str one; options.len;) {
        sx_str_cut(options, ',', &one, &options);
        if (sx_str_eq(one, SX_STR("ro")))
            return true;
    }
    return false;
}

static size_t read_mounts(collector *c, sx_str text, mount *mounts)
{
    sx_str line, w[COLLECT_FIELDS_MAX];
    size_t count = 0;
    while (count < MOUNTS_MAX && collect_line(&text, &line)) {
        char path[2 * PATH_BYTES];
        mount *m = &mounts[count];
        if (collect_words(line, w) < 4)
            continue;
        unescape(w[0], m->device, sizeof m->device);
        unescape(w[1], m->place, sizeof m->place);
        unescape(w[2], m->type, sizeof m->type);
        if (is_ignored_mount(sx_str_z(m->place), sx_str_z(m->type)))
            continue;
        m->read_only = is_read_only(w[3]);
        snprintf(path, sizeof path, "%s%s", c->root, m->place);
        m->failed = statvfs(path, &m->st) != 0;
        count++;
    }
    return count;
}

static double mount_value(const mount *m, size_t which)
{
    double block = (double)m->st.f_frsize;
    switch (which) {
    case 0:
        return (double)m->st.f_blocks * block;
    case 1:
        return (double)m->st.f_bfree * block;
    case 2:
        return (double)m->st.f_bavail * block;
    case 3:
        return (double)m->st.f_files;
    case 4:
        return (double)m->st.f_ffree;
    case 5:
        return m->read_only;
    default:
        return m->failed;
    }
}

bool collect_filesystem(collector *c)
{
    static const char *const NAMES[] = {"size_bytes", "free_bytes", "avail_bytes", "files",
                                        "files_free", "readonly",   "device_error"};
    sx_str text;
    if (!collect_read(c, c->proc, "1/mounts", &text) &&
        !collect_read(c, c->proc, "self/mounts", &text))
        return false;
    mount *mounts = sx_calloc(MOUNTS_MAX, sizeof *mounts);
    if (!mounts) {
        c->out->failed = true;
        return false;
    }
    size_t count = read_mounts(c, text, mounts);
    for (size_t n = 0; n < SX_COUNT_OF(NAMES); n++) {
        char name[64];
        snprintf(name, sizeof name, "node_filesystem_%s", NAMES[n]);
        collect_family(c, name, "gauge", "Of file systems that are mounted.");
        for (size_t i = 0; i < count; i++) {
            const mount *m = &mounts[i];
            const collect_label labels[] = {{"device", sx_str_z(m->device)},
                                            {"fstype", sx_str_z(m->type)},
                                            {"mountpoint", sx_str_z(m->place)}};
            if (!m->failed || n == SX_COUNT_OF(NAMES) - 1)
                collect_sample(c, name, labels, SX_COUNT_OF(labels), mount_value(m, n));
        }
    }
    sx_free(mounts);
    return true;
}
