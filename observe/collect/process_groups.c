/* process_groups.c - processes by group: what is added up now, and counters that outlive processes.
 *
 * Each page looks at every process. What it has counted more since the last page goes to its group, so
 * that the group's counters never fall when a process ends. A process that is there at the first page
 * begins at nothing: what it did before was not seen. With `threads` the same is done for each thread,
 * in groups by its process's group and its name. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sextant/buf.h>
#include <sextant/map.h>
#include <sextant/mem.h>

#include "observe/collect/process.h"

enum {
    PROCESSES_MAX = 65536,
    THREADS_MAX = 262144,
    GROUPS_MAX = 4096, /* beyond it a process is in the group "other" */
    THREAD_GROUPS_MAX = 16384,
    PARENTS_MAX = 64,
    NO_GROUP = -1
};

/* A process or thread as the last page saw it. */
typedef struct task {
    uint32_t id, parent;
    int32_t own, group; /* by its rules; by its rules or its parents' */
    uint64_t start;
    bool gone; /* it has ended since it was listed */
    double counts[COUNTS];
} task;

typedef struct tasks { /* sorted by id */
    task *items;
    size_t count, cap;
} tasks;

typedef struct group {
    sx_str name, thread; /* thread: of a group of threads, else empty */
    double total[COUNTS];
    /* As of this page. */
    double processes, threads, resident, virtual, swapped, pss, pss_swapped, files, worst, oldest;
    double states[STATES];
} group;

typedef struct groups {
    group *items;
    size_t count, cap, max;
    sx_map places; /* of a thread's name, a NUL and the group's -> place in items */
} groups;

struct process_state {
    pthread_mutex_t lock;
    sx_arena names;
    groups processes, threads;
    tasks seen, seen_threads;
    uint64_t settings; /* number of those of the last page */
    bool began;
    double errors, unreadable, partial;
};

/* One page being made. */
typedef struct round {
    process_state *p;
    collector *c;
    const collect_settings *settings;
    double boot;
    bool first;
    tasks now, now_threads;
    process_facts *facts; /* of now.items */
    sx_buf key;           /* of groups.places, scratch */
    bool no_memory;
} round_of;

sx_status process_state_new(process_state **out, sx_error *err)
{
    process_state *p = sx_calloc(1, sizeof *p);
    if (!p)
        return sx_fail_memory(err, "the process collector");
    pthread_mutex_init(&p->lock, NULL);
    sx_arena_init(&p->names, 0, 0);
    p->processes.max = GROUPS_MAX;
    p->threads.max = THREAD_GROUPS_MAX;
    sx_map_init(&p->processes.places, NULL);
    sx_map_init(&p->threads.places, NULL);
    *out = p;
    return SX_OK;
}

void process_state_free(process_state *p)
{
    if (!p)
        return;
    sx_map_done(&p->processes.places);
    sx_map_done(&p->threads.places);
    sx_free(p->processes.items);
    sx_free(p->threads.items);
    sx_free(p->seen.items);
    sx_free(p->seen_threads.items);
    sx_arena_done(&p->names);
    pthread_mutex_destroy(&p->lock);
    sx_free(p);
}

static task *add_task(round_of *r, tasks *t, uint32_t id)
{
    if (!sx_grow(&t->items, &t->cap, t->count + 1, sizeof *t->items)) {
        r->no_memory = true;
        return NULL;
    }
    t->items[t->count] = (task){.id = id, .own = NO_GROUP, .group = NO_GROUP};
    return &t->items[t->count++];
}

static int by_id(const void *a, const void *b)
{
    uint32_t x = ((const task *)a)->id, y = ((const task *)b)->id;
    return x < y ? -1 : x > y;
}

static task *find_task(const tasks *t, uint32_t id)
{
    const task key = {.id = id};
    return t->count ? bsearch(&key, t->items, t->count, sizeof key, by_id) : NULL;
}

/* The numbered entries of a folder of /proc. */
static void list_ids(round_of *r, const char *folder, size_t max, tasks *into)
{
    char path[512];
    uint64_t id;
    snprintf(path, sizeof path, "%s/%s", r->c->proc, folder);
    DIR *dir = opendir(path);
    if (!dir)
        return;
    for (const struct dirent *e; into->count < max && (e = readdir(dir));)
        if (sx_str_to_u64(sx_str_z(e->d_name), &id) && id <= UINT32_MAX &&
            !add_task(r, into, (uint32_t)id))
            break;
    closedir(dir);
}

/* Leaves the group's key in r->key. */
static int32_t known_group(round_of *r, const groups *g, sx_str name, sx_str thread)
{
    sx_buf_clear(&r->key);
    sx_buf_str(&r->key, thread);
    sx_buf_str(&r->key, SX_STR("\0"));
    sx_buf_str(&r->key, name);
    const sx_map_entry *e = r->key.failed ? NULL : sx_map_find(&g->places, sx_buf_view(&r->key));
    return e ? (int32_t)e->u64 : NO_GROUP;
}

static int32_t find_group(round_of *r, groups *g, sx_str name, sx_str thread)
{
    int32_t known = known_group(r, g, name, thread);
    if (known == NO_GROUP && g->count + 1 >= g->max) { /* the last is for all that do not fit */
        name = SX_STR("other");
        thread = thread.len ? name : thread;
        known = known_group(r, g, name, thread);
    }
    if (known != NO_GROUP || g->count == g->max)
        return known;
    sx_str key = r->key.failed ? (sx_str){0} : sx_arena_copy(&r->p->names, sx_buf_view(&r->key));
    sx_map_entry *e = NULL;
    if (key.data && sx_grow(&g->items, &g->cap, g->count + 1, sizeof *g->items))
        e = sx_map_put(&g->places, key, NULL);
    if (!e) {
        r->no_memory = true;
        return NO_GROUP;
    }
    e->u64 = g->count;
    g->items[g->count] =
        (group){.name = sx_str_from(key, thread.len + 1), .thread = sx_str_first(key, thread.len)};
    return (int32_t)g->count++;
}

/* What a task has done since the last page; `counts` become those of the next one's past. */
static void count_up(const round_of *r, const tasks *before, task *now, const double *counts,
                     group *into)
{
    const task *old = find_task(before, now->id);
    bool same = old && old->start == now->start;
    memcpy(now->counts, counts, sizeof now->counts);
    for (int i = 0; i < COUNTS; i++) {
        double more = same ? counts[i] - old->counts[i] : r->first ? 0 : counts[i];
        if (more > 0)
            into->total[i] += more;
    }
}

static void add_thread(round_of *r, int32_t of, const char *folder, task *t, double *switches)
{
    process_facts facts;
    if (!process_read(r->c, folder, false, false, &facts))
        return;
    group *process = &r->p->processes.items[of];
    t->start = facts.start;
    process->states[facts.state]++;
    switches[0] += facts.counts[COUNT_VOLUNTARY];
    switches[1] += facts.counts[COUNT_INVOLUNTARY];
    t->group = find_group(r, &r->p->threads, process->name, sx_str_z(facts.comm));
    if (t->group == NO_GROUP)
        return;
    group *g = &r->p->threads.items[t->group];
    g->threads++;
    count_up(r, &r->p->seen_threads, t, facts.counts, g);
}

static void add_threads(round_of *r, int32_t of, uint32_t pid, double *switches)
{
    char folder[64];
    size_t from = r->now_threads.count;
    snprintf(folder, sizeof folder, "%u/task", pid);
    list_ids(r, folder, THREADS_MAX, &r->now_threads);
    for (size_t i = from; i < r->now_threads.count; i++) {
        snprintf(folder, sizeof folder, "%u/task/%u", pid, r->now_threads.items[i].id);
        add_thread(r, of, folder, &r->now_threads.items[i], switches);
    }
}

static void add_process(round_of *r, task *t, process_facts *f)
{
    double switches[2] = {0}, start = r->boot + (double)t->start / (double)sysconf(_SC_CLK_TCK);
    if (r->settings->threads) {
        add_threads(r, t->group, t->id, switches);
        f->counts[COUNT_VOLUNTARY] = switches[0];
        f->counts[COUNT_INVOLUNTARY] = switches[1];
    }
    group *g = &r->p->processes.items[t->group];
    if (!r->settings->threads)
        g->states[f->state]++;
    g->processes++;
    g->threads += f->threads;
    g->resident += f->resident;
    g->virtual += f->virtual;
    g->swapped += f->swapped;
    g->pss += f->pss;
    g->pss_swapped += f->pss_swapped;
    if (f->files > 0)
        g->files += (double)f->files;
    if (f->files_max > 0 && (double)f->files / (double)f->files_max > g->worst)
        g->worst = (double)f->files / (double)f->files_max;
    if (g->oldest == 0 || start < g->oldest)
        g->oldest = start;
    if (f->partial)
        r->p->partial++;
    count_up(r, &r->p->seen, t, f->counts, g);
}

/* Facts of all processes, and the groups of those that are new. */
static void look(round_of *r)
{
    sx_buf name;
    char folder[32];
    list_ids(r, "", PROCESSES_MAX, &r->now);
    if (r->now.count)
        qsort(r->now.items, r->now.count, sizeof *r->now.items, by_id);
    r->facts = sx_calloc(r->now.count + 1, sizeof *r->facts);
    if (!r->facts) {
        r->no_memory = true;
        return;
    }
    sx_buf_init(&name, 64 << 10);
    for (size_t i = 0; i < r->now.count; i++) {
        task *t = &r->now.items[i];
        const task *old = find_task(&r->p->seen, t->id);
        snprintf(folder, sizeof folder, "%u", t->id);
        if (!process_read(r->c, folder, true, r->settings->smaps, &r->facts[i])) {
            r->p->unreadable += !r->facts[i].ended;
            t->gone = true;
            continue;
        }
        t->start = r->facts[i].start;
        t->parent = r->facts[i].parent;
        sx_buf_clear(&name);
        if (old && old->start == t->start)
            t->own = old->own;
        else if (process_name(r->c, r->settings, folder, &r->facts[i], &name))
            t->own = find_group(r, &r->p->processes, sx_buf_view(&name), SX_STR(""));
        t->group = t->own;
    }
    sx_buf_done(&name);
}

/* One that no rule takes is in the group of the nearest parent that one takes. */
static void follow_parents(round_of *r)
{
    for (size_t i = 0; i < r->now.count; i++) {
        const task *up = &r->now.items[i];
        for (int depth = 0; up && up->own == NO_GROUP && up->parent && depth < PARENTS_MAX; depth++)
            up = find_task(&r->now, up->parent);
        if (up && r->now.items[i].group == NO_GROUP)
            r->now.items[i].group = up->own;
    }
}

static void begin_groups(groups *g)
{
    for (size_t i = 0; i < g->count; i++) {
        group *one = &g->items[i];
        group kept = {.name = one->name, .thread = one->thread};
        memcpy(kept.total, one->total, sizeof kept.total);
        *one = kept;
    }
}

static void keep(tasks *before, tasks *now)
{
    size_t kept = 0;
    for (size_t i = 0; i < now->count; i++)
        if (!now->items[i].gone)
            now->items[kept++] = now->items[i];
    now->count = kept;
    if (now->count)
        qsort(now->items, now->count, sizeof *now->items, by_id);
    sx_free(before->items);
    *before = *now;
    *now = (tasks){0};
}

static void make_round(round_of *r)
{
    process_state *p = r->p;
    begin_groups(&p->processes);
    begin_groups(&p->threads);
    r->first = !p->began || p->settings != r->settings->number;
    if (r->first)
        p->seen.count = p->seen_threads.count = 0; /* groups are found anew */
    p->began = true;
    p->settings = r->settings->number;
    r->boot = process_boot_time(r->c);
    look(r);
    if (!r->facts)
        return;
    if (r->settings->children)
        follow_parents(r);
    for (size_t i = 0; i < r->now.count; i++)
        if (!r->now.items[i].gone && r->now.items[i].group != NO_GROUP)
            add_process(r, &r->now.items[i], &r->facts[i]);
    if (!r->now.count)
        p->errors++;
    keep(&p->seen, &r->now);
    keep(&p->seen_threads, &r->now_threads);
}

/* ---- the page ---- */

#define GROUP "namedprocess_namegroup_"

typedef struct counter_row {
    const char *name, *help, *label;
    struct {
        const char *value;
        int count;
    } parts[2];
} counter_row;

static const counter_row COUNTERS[] = {
    {GROUP "cpu_seconds_total",
     "Processor time.",
     "mode",
     {{"user", COUNT_CPU_USER}, {"system", COUNT_CPU_SYSTEM}}},
    {GROUP "read_bytes_total", "Bytes read from disks.", NULL, {{"", COUNT_READ}, {0}}},
    {GROUP "write_bytes_total", "Bytes written to disks.", NULL, {{"", COUNT_WRITTEN}, {0}}},
    {GROUP "major_page_faults_total",
     "Page faults that read from a disk.",
     NULL,
     {{"", COUNT_MAJOR_FAULTS}, {0}}},
    {GROUP "minor_page_faults_total",
     "Page faults that did not.",
     NULL,
     {{"", COUNT_MINOR_FAULTS}, {0}}},
    {GROUP "context_switches_total",
     "Context switches.",
     "ctxswitchtype",
     {{"voluntary", COUNT_VOLUNTARY}, {"nonvoluntary", COUNT_INVOLUNTARY}}},
};

static const counter_row THREAD_COUNTERS[] = {
    {GROUP "thread_cpu_seconds_total",
     "Processor time of threads of this name.",
     "mode",
     {{"user", COUNT_CPU_USER}, {"system", COUNT_CPU_SYSTEM}}},
    {GROUP "thread_io_bytes_total",
     "Bytes read and written by them.",
     "iomode",
     {{"read", COUNT_READ}, {"write", COUNT_WRITTEN}}},
    {GROUP "thread_major_page_faults_total",
     "Their page faults that read from a disk.",
     NULL,
     {{"", COUNT_MAJOR_FAULTS}, {0}}},
    {GROUP "thread_minor_page_faults_total",
     "Their page faults that did not.",
     NULL,
     {{"", COUNT_MINOR_FAULTS}, {0}}},
    {GROUP "thread_context_switches_total",
     "Their context switches.",
     "ctxswitchtype",
     {{"voluntary", COUNT_VOLUNTARY}, {"nonvoluntary", COUNT_INVOLUNTARY}}},
};

static const struct {
    const char *name, *help;
    size_t at;
} GAUGES[] =
    {
        {GROUP "num_procs", "Processes in the group.", offsetof(group, processes)},
        {GROUP "num_threads", "Their threads.", offsetof(group, threads)},
        {GROUP "open_filedesc", "Their open file descriptors.", offsetof(group, files)},
        {GROUP "worst_fd_ratio", "The most that one of them uses of its limit of descriptors.",
         offsetof(group, worst)},
        {GROUP "oldest_start_time_seconds", "When the oldest of them began, unix time.",
         offsetof(group, oldest)},
},
  MEMORY[] = {
      {"resident", NULL, offsetof(group, resident)},
      {"virtual", NULL, offsetof(group, virtual)},
      {"swapped", NULL, offsetof(group, swapped)},
      {"proportionalResident", NULL, offsetof(group, pss)},
      {"proportionalSwapped", NULL, offsetof(group, pss_swapped)},
};

static double value_at(const group *g, size_t at)
{
    return *(const double *)((const char *)g + at);
}

/* The group's labels, and a further one if `name`. */
static size_t labels_of(const group *g, const char *name, const char *value, collect_label *out)
{
    size_t count = 0;
    out[count++] = (collect_label){"groupname", g->name};
    if (g->thread.len)
        out[count++] = (collect_label){"threadname", g->thread};
    if (name)
        out[count++] = (collect_label){name, sx_str_z(value)};
    return count;
}

static void print_gauges(collector *c, const groups *g, bool smaps)
{
    static const char *const NAMES[STATES] = {"Running", "Sleeping", "Waiting", "Zombie", "Other"};
    collect_label labels[3];
    for (size_t k = 0; k < SX_COUNT_OF(GAUGES); k++) {
        collect_family(c, GAUGES[k].name, "gauge", GAUGES[k].help);
        for (size_t i = 0; i < g->count; i++)
            collect_sample(c, GAUGES[k].name, labels, labels_of(&g->items[i], NULL, NULL, labels),
                           value_at(&g->items[i], GAUGES[k].at));
    }
    collect_family(c, GROUP "memory_bytes", "gauge", "Their memory.");
    for (size_t i = 0; i < g->count; i++)
        for (size_t k = 0; k < SX_COUNT_OF(MEMORY) - (smaps ? 0 : 2); k++)
            collect_sample(c, GROUP "memory_bytes", labels,
                           labels_of(&g->items[i], "memtype", MEMORY[k].name, labels),
                           value_at(&g->items[i], MEMORY[k].at));
    collect_family(c, GROUP "states", "gauge", "How many of them are in a state.");
    for (size_t i = 0; i < g->count; i++)
        for (size_t k = 0; k < STATES; k++)
            collect_sample(c, GROUP "states", labels,
                           labels_of(&g->items[i], "state", NAMES[k], labels),
                           g->items[i].states[k]);
}

static void print_counters(collector *c, const groups *g, const counter_row *rows, size_t count)
{
    collect_label labels[3];
    for (const counter_row *row = rows; row < rows + count; row++) {
        collect_family(c, row->name, "counter", row->help);
        for (size_t i = 0; i < g->count; i++)
            for (size_t n = 0; n < SX_COUNT_OF(row->parts) && row->parts[n].value; n++)
                collect_sample(c, row->name, labels,
                               labels_of(&g->items[i], row->label, row->parts[n].value, labels),
                               g->items[i].total[row->parts[n].count]);
    }
}

static void print_page(collector *c, const process_state *p, const collect_settings *s)
{
    collect_label labels[3];
    print_gauges(c, &p->processes, s->smaps);
    print_counters(c, &p->processes, COUNTERS, SX_COUNT_OF(COUNTERS));
    if (s->threads) {
        collect_family(c, GROUP "thread_count", "gauge", "Threads of this name.");
        for (size_t i = 0; i < p->threads.count; i++)
            collect_sample(c, GROUP "thread_count", labels,
                           labels_of(&p->threads.items[i], NULL, NULL, labels),
                           p->threads.items[i].threads);
        print_counters(c, &p->threads, THREAD_COUNTERS, SX_COUNT_OF(THREAD_COUNTERS));
    }
    collect_one(c, "namedprocess_scrape_errors", "counter", "Pages without a process.", p->errors);
    collect_one(c, "namedprocess_scrape_procread_errors", "counter",
                "Processes that could not be read.", p->unreadable);
    collect_one(
        c, "namedprocess_scrape_partial_errors", "counter",
        "Processes of which something was not ours to see (io, descriptors, memory shares).",
        p->partial);
}

sx_status collect_process(collect_site *site, sx_buf *out, sx_error *err)
{
    process_state *p = site->processes;
    collector c = {.proc = site->options->proc ? site->options->proc : "/proc",
                   .sys = "/sys",
                   .root = "",
                   .out = out};
    collect_settings *settings = collect_settings_get(site);
    round_of r = {.p = p, .c = &c, .settings = settings};
    sx_buf_init(&r.key, 0);
    sx_buf_init(&c.file, COLLECT_FILE_BYTES_MAX + 1);
    pthread_mutex_lock(&p->lock);
    make_round(&r);
    if (!r.no_memory)
        print_page(&c, p, settings);
    pthread_mutex_unlock(&p->lock);
    collect_settings_unref(settings);
    sx_buf_done(&c.file);
    sx_buf_done(&r.key);
    sx_free(r.facts);
    sx_free(r.now.items);
    sx_free(r.now_threads.items);
    return r.no_memory ? sx_fail_memory(err, "the processes' metrics")
                       : sx_buf_status(out, "the processes' metrics", err);
}
