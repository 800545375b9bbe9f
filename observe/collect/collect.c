/* collect.c - the page of the host: its collectors in order, each with its success and duration. */
#include "observe/collect/collect.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/clock.h>
#include <sextant/file.h>
#include <sextant/number.h>
#include <sextant/utf8.h>

#include "observe/collect/collect_internal.h"

static const struct {
    const char *name;
    collect_fn *run;
} COLLECTORS[] = {
    {"arp", collect_arp},
    {"conntrack", collect_conntrack},
    {"cpu", collect_stat}, /* and what /proc/stat says besides */
    {"cpufreq", collect_cpufreq},
    {"diskstats", collect_diskstats},
    {"entropy", collect_entropy},
    {"filefd", collect_filefd},
    {"filesystem", collect_filesystem},
    {"hwmon", collect_hwmon},
    {"interrupts", collect_interrupts},
    {"loadavg", collect_loadavg},
    {"meminfo", collect_meminfo},
    {"netclass", collect_netclass},
    {"netdev", collect_netdev},
    {"netstat", collect_netstat},
    {"os", collect_os},
    {"powersupplyclass", collect_power_supply},
    {"pressure", collect_pressure},
    {"processes", collect_processes},
    {"schedstat", collect_schedstat},
    {"self", collect_self}, /* the process that collects, where an exporter tells of itself */
    {"sockstat", collect_sockstat},
    {"softnet", collect_softnet},
    {"tcpstat", collect_tcpstat},
    {"thermal_zone", collect_thermal},
    {"time", collect_time},
    {"timex", collect_timex},
    {"udp_queues", collect_udp_queues},
    {"uname", collect_uname},
    {"vmstat", collect_vmstat},
};

bool collect_read(collector *c, const char *root, const char *path, sx_str *text)
{
    char whole[512];
    sx_error ignored;
    int len = snprintf(whole, sizeof whole, "%s/%s", root, path);
    sx_buf_clear(&c->file);
    if (len < 0 || len >= (int)sizeof whole ||
        sx_file_read(whole, COLLECT_FILE_BYTES_MAX, &c->file, &ignored) != SX_OK)
        return false;
    *text = sx_buf_view(&c->file);
    return true;
}

bool collect_read_value(collector *c, const char *root, const char *path, sx_str *text)
{
    if (!collect_read(c, root, path, text))
        return false;
    *text = sx_str_trim_all(*text);
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

void collect_folder(const char *root, const char *path, const char *prefix, collect_list *out)
{
    char whole[512];
    struct dirent *e;
    out->count = 0;
    int len = snprintf(whole, sizeof whole, "%s/%s", root, path);
    DIR *folder = len > 0 && len < (int)sizeof whole ? opendir(whole) : NULL;
    while (folder && out->count < SX_COUNT_OF(out->names) && (e = readdir(folder))) {
        sx_str name = sx_str_z(e->d_name);
        if (name.data[0] != '.' && name.len < sizeof out->names[0] &&
            sx_str_starts(name, sx_str_z(prefix)))
            memcpy(out->names[out->count++], e->d_name, name.len + 1);
    }
    if (folder)
        closedir(folder);
    qsort(out->names, out->count, sizeof out->names[0], by_name);
}

bool collect_line(sx_str *rest, sx_str *line)
{
    if (!rest->len)
        return false;
    sx_str_cut(*rest, '\n', line, rest);
    return true;
}

bool collect_word(sx_str *rest, sx_str *word)
{
    size_t from = 0, to;
    while (from < rest->len && (rest->data[from] == ' ' || rest->data[from] == '\t'))
        from++;
    for (to = from; to < rest->len && rest->data[to] != ' ' && rest->data[to] != '\t';)
        to++;
    *word = sx_str_of(rest->data + from, to - from);
    *rest = sx_str_from(*rest, to);
    return word->len > 0;
}

size_t collect_words(sx_str line, sx_str words[COLLECT_FIELDS_MAX])
{
    size_t count = 0;
    while (count < COLLECT_FIELDS_MAX && collect_word(&line, &words[count]))
        count++;
    return count;
}

double collect_number(sx_str text)
{
    double value;
    if (sx_double_parse(text, &value))
        return isfinite(value) ? value : 0;
    uint64_t whole; /* with zeros in front, which JSON's numbers do not have */
    return sx_str_to_u64(text, &whole) ? (double)whole : 0;
}

uint64_t collect_hex(sx_str text)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.len && i < 16; i++) {
        char c = text.data[i];
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            value = value << 4 | (uint64_t)((c | 32) - 'a' + 10);
        else
            break;
    }
    return value;
}

void collect_name(char *name)
{
    for (char *b = name; *b; b++) {
        bool letter = (*b >= 'a' && *b <= 'z') || (*b >= 'A' && *b <= 'Z');
        if (!letter && !(*b >= '0' && *b <= '9'))
            *b = '_';
    }
}

void collect_family(collector *c, const char *name, const char *type, const char *help)
{
    sx_buf_printf(c->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A page of metrics is UTF-8; what a device or folder is called need not be. */
static void put_label(sx_buf *out, const collect_label *l)
{
    bool plain = sx_utf8_valid(l->value);
    sx_buf_printf(out, "%s=\"", l->name);
    for (size_t i = 0; i < l->value.len; i++) {
        char byte = l->value.data[i];
        if (byte == '\0' || (!plain && (unsigned char)byte >= 0x80))
            byte = '?';
        if (byte == '\n') {
            sx_buf_str(out, SX_STR("\\n"));
            continue;
        }
        if (byte == '"' || byte == '\\')
            sx_buf_byte(out, '\\');
        sx_buf_byte(out, byte);
    }
    sx_buf_byte(out, '"');
}

void collect_sample(collector *c, const char *name, const collect_label *labels, size_t count,
                    double value)
{
    char text[SX_DOUBLE_BYTES];
    sx_buf_str(c->out, sx_str_z(name));
    for (size_t i = 0; i < count; i++) {
        sx_buf_byte(c->out, i ? ',' : '{');
        put_label(c->out, &labels[i]);
    }
    sx_buf_str(c->out, count ? SX_STR("} ") : SX_STR(" "));
    sx_buf_bytes(c->out, text, sx_double_format(value, SX_DOUBLE_JS, text));
    sx_buf_byte(c->out, '\n');
}

void collect_one(collector *c, const char *name, const char *type, const char *help, double value)
{
    collect_family(c, name, type, help);
    collect_sample(c, name, NULL, 0, value);
}

sx_status collect_host(const collect_options *options, sx_buf *out, sx_error *err)
{
    static const collect_options NONE = {0};
    const collect_options *o = options ? options : &NONE;
    collector c = {.proc = o->proc ? o->proc : "/proc",
                   .sys = o->sys ? o->sys : "/sys",
                   .root = o->root ? o->root : "",
                   .out = out};
    bool good[SX_COUNT_OF(COLLECTORS)];
    double seconds[SX_COUNT_OF(COLLECTORS)];
    sx_buf_init(&c.file, COLLECT_FILE_BYTES_MAX + 1);
    for (size_t i = 0; i < SX_COUNT_OF(COLLECTORS); i++) {
        int64_t start = sx_clock_mono_ns(sx_clock_system());
        good[i] = COLLECTORS[i].run(&c);
        seconds[i] = (double)(sx_clock_mono_ns(sx_clock_system()) - start) / 1e9;
    }
    collect_family(&c, "node_scrape_collector_duration_seconds", "gauge",
                   "How long a collector took.");
    for (size_t i = 0; i < SX_COUNT_OF(COLLECTORS); i++)
        collect_sample(&c, "node_scrape_collector_duration_seconds",
                       &(collect_label){"collector", sx_str_z(COLLECTORS[i].name)}, 1, seconds[i]);
    collect_family(&c, "node_scrape_collector_success", "gauge",
                   "Whether a collector found what it reads.");
    for (size_t i = 0; i < SX_COUNT_OF(COLLECTORS); i++)
        collect_sample(&c, "node_scrape_collector_success",
                       &(collect_label){"collector", sx_str_z(COLLECTORS[i].name)}, 1, good[i]);
    sx_buf_done(&c.file);
    return sx_buf_status(out, "the host's metrics", err);
}
