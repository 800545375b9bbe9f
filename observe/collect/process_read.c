/* process_read.c - a process's numbers from /proc/PID. What is another user's to see (io, fd, smaps)
 * stays out and is told as partial. Source: proc(5). */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "observe/collect/process.h"

enum { STAT_FIELDS = 22, FILES_MAX = 1 << 20 };

static bool read_part(collector *c, const char *folder, const char *name, sx_str *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return collect_read(c, c->proc, path, text);
}

static uint32_t state_of(char letter)
{
    static const char LETTERS[] = "RSDZ"; /* in the order of STATE_... */
    const char *at = letter ? strchr(LETTERS, letter) : NULL;
    return at ? (uint32_t)(at - LETTERS) : STATE_OTHER;
}

/* "PID (NAME) S PPID ...": the name may hold anything, parentheses too. */
static bool read_stat(collector *c, const char *folder, process_facts *p)
{
    sx_str text, word, words[STAT_FIELDS];
    size_t count = 0;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    p->ended = !read_part(c, folder, "stat", &text);
    if (p->ended)
        return false;
    size_t from = sx_str_find_byte(text, '('), to = text.len;
    while (to > from && text.data[to - 1] != ')')
        to--;
    if (from >= text.len || to <= from + 1)
        return false;
    snprintf(p->comm, sizeof p->comm, "%.*s",
             SX_ARG(sx_str_of(text.data + from + 1, to - from - 2)));
    text = sx_str_from(text, to);
    while (count < STAT_FIELDS && collect_word(&text, &word))
        words[count++] = word;
    if (count < STAT_FIELDS)
        return false;
    p->state = state_of(words[0].data[0]);
    p->parent = (uint32_t)collect_number(words[1]);
    p->counts[COUNT_MINOR_FAULTS] = collect_number(words[7]);
    p->counts[COUNT_MAJOR_FAULTS] = collect_number(words[9]);
    p->counts[COUNT_CPU_USER] = collect_number(words[11]) / ticks;
    p->counts[COUNT_CPU_SYSTEM] = collect_number(words[12]) / ticks;
    p->threads = (uint32_t)collect_number(words[17]);
    p->start = (uint64_t)collect_number(words[19]);
    p->virtual = collect_number(words[20]);
    p->resident = collect_number(words[21]) * (double)sysconf(_SC_PAGESIZE);
    return true;
}

/* "KEY: 12 kB" lines, which are many; each wanted one is a row. */
typedef struct wanted {
    const char *key;
    double *to, scale;
} wanted;

static void take_lines(sx_str text, const wanted *rows, size_t count)
{
    sx_str line, key, value, number;
    while (collect_line(&text, &line)) {
        if (!sx_str_cut(line, ':', &key, &value) || !collect_word(&value, &number))
            continue;
        for (size_t i = 0; i < count; i++)
            if (sx_str_eq(key, sx_str_z(rows[i].key)))
                *rows[i].to = collect_number(number) * rows[i].scale;
    }
}

static void read_files(collector *c, const char *folder, process_facts *p)
{
    char path[512];
    sx_str text, line, word;
    snprintf(path, sizeof path, "%s/%s/fd", c->proc, folder);
    DIR *dir = opendir(path);
    p->files = p->files_max = -1;
    if (!dir) {
        p->partial = true;
        return;
    }
    p->files = 0;
    for (const struct dirent *e; p->files < FILES_MAX && (e = readdir(dir));)
        p->files += e->d_name[0] != '.';
    closedir(dir);
    if (!read_part(c, folder, "limits", &text))
        return;
    while (collect_line(&text, &line)) {
        if (!sx_str_starts(line, SX_STR("Max open files")))
            continue;
        line = sx_str_from(line, sizeof "Max open files" - 1);
        if (collect_word(&line, &word) && !sx_str_eq(word, SX_STR("unlimited")))
            p->files_max = (int64_t)collect_number(word);
    }
}

double process_boot_time(collector *c)
{
    sx_str text, line, word;
    if (collect_read(c, c->proc, "stat", &text))
        while (collect_line(&text, &line))
            if (collect_word(&line, &word) && sx_str_eq(word, SX_STR("btime")) &&
                collect_word(&line, &word))
                return collect_number(word);
    return 0;
}

bool process_read(collector *c, const char *folder, bool whole, bool smaps, process_facts *p)
{
    sx_str text;
    *p = (process_facts){.files = -1, .files_max = -1};
    if (!read_stat(c, folder, p))
        return false;
    const wanted STATUS[] = {
        {"voluntary_ctxt_switches", &p->counts[COUNT_VOLUNTARY], 1},
        {"nonvoluntary_ctxt_switches", &p->counts[COUNT_INVOLUNTARY], 1},
        {"VmSwap", &p->swapped, 1024},
    };
    const wanted IO[] = {{"read_bytes", &p->counts[COUNT_READ], 1},
                         {"write_bytes", &p->counts[COUNT_WRITTEN], 1}};
    const wanted SMAPS[] = {{"Pss", &p->pss, 1024}, {"SwapPss", &p->pss_swapped, 1024}};
    if (read_part(c, folder, "status", &text))
        take_lines(text, STATUS, SX_COUNT_OF(STATUS));
    if (read_part(c, folder, "io", &text))
        take_lines(text, IO, SX_COUNT_OF(IO));
    else
        p->partial = true;
    if (!whole)
        return true;
    read_files(c, folder, p);
    if (smaps && read_part(c, folder, "smaps_rollup", &text))
        take_lines(text, SMAPS, SX_COUNT_OF(SMAPS));
    else if (smaps)
        p->partial = true;
    return true;
}
