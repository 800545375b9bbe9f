/* discovery_file.c - targets from JSON and YAML files, read when they change.
 *
 * The folders of the patterns are watched by inotify; a change has all files read again a moment
 * later, when whoever writes is likely to be done. Once in refresh_interval they are read anyway: not
 * every file system tells. A file that cannot be read keeps its last groups. */
#include "observe/scrape/discovery_internal.h"

#include <errno.h>
#include <glob.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <sextant/file.h>
#include <sextant/watch.h>

enum { SETTLE_MS = 20, FILES_MAX = 10000, FILE_BYTES_MAX = 64 << 20 };

/* A file that was read well at least once. */
typedef struct known_file {
    sx_str path; /* in its arena */
    sx_arena arena;
    discovery_groups groups;
    bool seen; /* by the present reading */
} known_file;

typedef struct file_state {
    prom_discoverer *d;
    known_file *files;
    size_t count, cap;
    sx_timer refresh;
    int inotify; /* -1: none */
    sx_watch *watch;
    sx_counter *read_errors, *watch_errors;
    sx_metric *mtime;
} file_state;

static known_file *find(file_state *s, sx_str path)
{
    for (size_t i = 0; i < s->count; i++) {
        if (sx_str_eq(s->files[i].path, path))
            return &s->files[i];
    }
    return NULL;
}

static sx_status read_into(known_file *f, sx_str path, sx_error *err)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_status st = sx_file_read(path.data, FILE_BYTES_MAX, &text, err);
    sx_arena_init(&f->arena, 0, 0);
    f->groups = (discovery_groups){.arena = &f->arena};
    f->path = sx_arena_copy(&f->arena, path);
    if (st == SX_OK && !f->path.data)
        st = sx_fail_memory(err, "a file's groups");
    if (st == SX_OK) {
        bool is_json = sx_str_ends(path, SX_STR(".json")) || sx_str_ends(path, SX_STR(".JSON"));
        st = (is_json ? discovery_read_json : discovery_read_yaml)(
            &f->arena, sx_buf_view(&text), SX_STR("__meta_filepath"), f->path, &f->groups, err);
    }
    sx_buf_done(&text);
    if (st != SX_OK)
        sx_arena_done(&f->arena);
    return st;
}

/* The arena lies in the vector: what moves must be told. */
static void place(known_file *to, known_file from)
{
    *to = from;
    to->groups.arena = &to->arena;
}

static sx_status read_file(file_state *s, sx_str path)
{
    sx_error err;
    known_file *old = find(s, path), fresh = {.seen = true};
    sx_file_info info;
    if (old)
        old->seen = true; /* also if it cannot be read now */
    sx_status st = read_into(&fresh, path, &err);
    if (st == SX_OK && !old) {
        if (s->count >= FILES_MAX) {
            st = sx_fail(&err, SX_ELIMIT, "more than %d files", FILES_MAX);
        } else if (!sx_grow(&s->files, &s->cap, s->count + 1, sizeof(fresh))) {
            st = sx_fail_memory(&err, "a file's groups");
        }
        if (st == SX_OK) {
            for (size_t i = 0; i < s->count; i++)
                s->files[i].groups.arena = &s->files[i].arena;
            place(&s->files[s->count++], fresh);
        } else {
            sx_arena_done(&fresh.arena);
        }
    } else if (st == SX_OK) {
        sx_arena_done(&old->arena);
        place(old, fresh);
    }
    if (st != SX_OK) {
        sx_error_prefix(&err, st, "%.*s", SX_ARG(path));
        discovery_count(s->read_errors);
        discovery_failed(s->d, "Error reading file", &err);
        return st;
    }
    if (s->mtime && sx_file_stat(path.data, &info, NULL) == SX_OK)
        sx_gauge_set(sx_metric_gauge(s->mtime, &path, 1), (double)(info.changed_ns / 1000000000));
    return SX_OK;
}

/* Files that no pattern finds any more take their groups with them. */
static void drop_unseen(file_state *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (!s->files[i].seen)
            sx_arena_done(&s->files[i].arena);
        else
            place(&s->files[kept++], s->files[i]);
    }
    s->count = kept;
}

/* A folder of a pattern. Adding one that is watched already changes nothing. */
static void watch_folder(file_state *s, sx_str pattern)
{
    sx_arena arena;
    size_t slash = pattern.len;
    while (slash && pattern.data[slash - 1] != '/')
        slash--;
    sx_arena_init(&arena, 0, 0);
    sx_str folder = sx_arena_copy(&arena, slash ? sx_str_first(pattern, slash) : SX_STR("."));
    enum {
        EVENTS = IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE |
                 IN_DELETE_SELF | IN_MOVE_SELF
    };
    if (folder.data && s->inotify >= 0 && inotify_add_watch(s->inotify, folder.data, EVENTS) < 0 &&
        errno != ENOENT) {
        sx_error err;
        sx_fail_os(&err, errno, "watching '%.*s'", SX_ARG(folder));
        discovery_count(s->watch_errors);
        if (s->d->log)
            SX_LOG_WARN(s->d->log, NULL, "Error adding file watch", sx_field_error(&err));
    }
    sx_arena_done(&arena);
}

static void refresh(file_state *s)
{
    prom_discoverer *d = s->d;
    bool is_well = true;
    int64_t before = sx_clock_mono_ns(sx_loop_clock(d->loop));
    for (size_t i = 0; i < s->count; i++)
        s->files[i].seen = false;
    for (uint32_t i = 0; i < d->what->file.file_count; i++) {
        glob_t found;
        watch_folder(s, d->what->file.files[i]);
        if (glob(d->what->file.files[i].data, 0, NULL, &found) != 0)
            continue; /* nothing there, or no memory: then the next time */
        for (size_t k = 0; k < found.gl_pathc; k++)
            is_well &= read_file(s, sx_str_z(found.gl_pathv[k])) == SX_OK;
        globfree(&found);
    }
    drop_unseen(s);
    if (is_well)
        discovery_well(d);
    if (d->metrics.refresh_seconds)
        sx_histogram_observe(d->metrics.refresh_seconds,
                             (double)(sx_clock_mono_ns(sx_loop_clock(d->loop)) - before) / 1e9);
    sx_timer_start(sx_loop_timers(d->loop), &s->refresh, d->what->file.refresh_ms);
    discovery_changed(d);
}

static void on_refresh(sx_timer *timer, void *arg)
{
    (void)timer;
    refresh(arg);
}

/* What has changed does not matter: all files are read. */
static void on_event(sx_watch *watch, void *ctx, unsigned events)
{
    file_state *s = ctx;
    _Alignas(struct inotify_event) char buffer[4096];
    (void)watch, (void)events;
    while (read(s->inotify, buffer, sizeof(buffer)) > 0)
        continue;
    sx_timer_start(sx_loop_timers(s->d->loop), &s->refresh, SETTLE_MS);
}

static void open_watch(file_state *s)
{
    sx_error err = {0};
    s->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (s->inotify < 0)
        sx_fail_os(&err, errno, "inotify");
    else if (sx_watch_start(s->d->loop, s->inotify, SX_WATCH_READ, on_event, s, &s->watch, &err) !=
             SX_OK) {
        close(s->inotify);
        s->inotify = -1;
    }
    if (s->inotify >= 0)
        return;
    discovery_count(s->watch_errors);
    if (s->d->log)
        SX_LOG_ERROR(s->d->log, NULL, "Error adding file watcher", sx_field_error(&err));
}

static sx_status start(prom_discoverer *d, sx_error *err)
{
    static const char *const LABELS[] = {"filename"};
    file_state *s = sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "file discovery");
    d->state = s;
    s->d = d;
    s->inotify = -1;
    s->refresh = (sx_timer){.fn = on_refresh, .arg = s};
    s->read_errors = discovery_counter(d, "prometheus_sd_file_read_errors_total",
                                       "The number of File-SD read errors.");
    s->watch_errors =
        discovery_counter(d, "prometheus_sd_file_watcher_errors_total",
                          "The number of File-SD errors caused by filesystem watch failures.");
    sx_metric_options mtime = {.kind = SX_METRIC_GAUGE,
                               .name = "prometheus_sd_file_mtime_seconds",
                               .help = "Timestamp (mtime) of files read by FileSD. Timestamp is "
                                       "set at read time.",
                               .labels = LABELS,
                               .label_count = 1};
    if (d->kit && d->kit->metrics)
        sx_metric_new(d->kit->metrics, &mtime, &s->mtime, NULL);
    open_watch(s);
    refresh(s);
    return SX_OK;
}

static void stop(prom_discoverer *d)
{
    file_state *s = d->state;
    if (!s)
        return;
    sx_timer_stop(sx_loop_timers(d->loop), &s->refresh);
    sx_watch_stop(s->watch);
    if (s->inotify >= 0)
        close(s->inotify);
    for (size_t i = 0; i < s->count; i++)
        sx_arena_done(&s->files[i].arena);
    sx_free(s->files);
    sx_free(s);
}

static void gather(prom_discoverer *d, discovery_groups *out)
{
    const file_state *s = d->state;
    for (size_t i = 0; i < s->count; i++) {
        for (size_t k = 0; k < s->files[i].groups.count; k++)
            discovery_groups_add(out, &s->files[i].groups.items[k]);
    }
}

const discovery_ops DISCOVERY_FILE = {"file", start, stop, gather};
