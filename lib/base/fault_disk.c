/* fault_disk.c - the record of a folder, and disks as a power cut might leave them.
 *
 * Every change that the file layer makes under the root is an entry of one log; files and folders
 * are nodes, named by folder node and name, so that a rename does not lose a file's history. A cut
 * reads the log up to a point and decides, by a seeded generator, what of the changes that no fsync
 * covers has reached the disk; fault.h has the rules. Everything lives in one arena until the stop.
 * It serves tests of small folders: look-ups walk lists. */
#include "base/fault_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/random.h>

#include "base/fault.h"
#include "base/file_sys.h"

enum { FDS_MAX = 1024, SECTOR = 512, NO_NODE = -1, ROOT = 0, DEPTH_MAX = 16 };

typedef enum change_kind { WROTE, CUT_TO, SYNCED, LINKED, UNLINKED, RENAMED } change_kind;

typedef struct change {
    change_kind kind;
    int node;       /* the file written, cut, synced, linked, unlinked, renamed */
    size_t offset;  /* WROTE; CUT_TO: the new length */
    sx_str data;    /* WROTE */
    int folder, to; /* LINKED, UNLINKED: folder; RENAMED: from and to */
    sx_str name, to_name;
} change;

typedef struct name {
    int folder;
    sx_str text;
    int node;
} name;

typedef struct names {
    name *items;
    size_t count, cap;
} names;

/* One record at a time, of one test: see fault.h. */
static struct {
    bool on;
    bool failed; /* something could not be recorded: the record is worth nothing */
    sx_arena arena;
    sx_str root;
    bool *is_folder; /* by node */
    size_t nodes, nodes_cap;
    names live; /* as the running program sees the folder */
    change *log;
    size_t count, cap;
    size_t base;      /* entries that describe what was there at the start */
    int fds[FDS_MAX]; /* node of an open descriptor */
} disk;

static name *name_find(const names *n, int folder, sx_str text)
{
    for (size_t i = 0; i < n->count; i++) {
        if (n->items[i].folder == folder && sx_str_eq(n->items[i].text, text))
            return &n->items[i];
    }
    return NULL;
}

static void name_drop(names *n, int folder, sx_str text)
{
    name *found = name_find(n, folder, text);
    if (found) {
        sx_assert(n->items && n->count);
        *found = n->items[--n->count];
    }
}

static void name_set(names *n, int folder, sx_str text, int node)
{
    name *found = name_find(n, folder, text);
    if (!found) {
        if (!sx_arena_grow(&disk.arena, &n->items, &n->cap, n->count + 1, sizeof(*n->items))) {
            disk.failed = true;
            return;
        }
        found = &n->items[n->count++];
    }
    *found = (name){folder, text, node};
}

static void record(change c)
{
    c.data = sx_arena_copy(&disk.arena, c.data);
    c.name = sx_arena_copy(&disk.arena, c.name);
    c.to_name = sx_arena_copy(&disk.arena, c.to_name);
    if (!c.data.data || !c.name.data || !c.to_name.data ||
        !sx_arena_grow(&disk.arena, &disk.log, &disk.cap, disk.count + 1, sizeof(c))) {
        disk.failed = true;
        return;
    }
    disk.log[disk.count++] = c;
}

static int new_node(bool is_folder)
{
    if (!sx_arena_grow(&disk.arena, &disk.is_folder, &disk.nodes_cap, disk.nodes + 1,
                       sizeof(*disk.is_folder))) {
        disk.failed = true;
        return NO_NODE;
    }
    disk.is_folder[disk.nodes] = is_folder;
    return (int)disk.nodes++;
}

/* The folder node and last name of a path under the root; false if it lies elsewhere. The root
 * itself has folder NO_NODE. */
static bool locate(const char *path, int *folder, sx_str *last)
{
    sx_str rest = sx_str_z(path);
    if (!disk.on || !sx_str_starts(rest, disk.root))
        return false;
    rest = sx_str_from(rest, disk.root.len);
    if (rest.len && rest.data[0] != '/')
        return false;
    *folder = NO_NODE;
    *last = SX_STR("");
    int at = ROOT;
    while (rest.len) {
        sx_str part;
        rest = sx_str_from(rest, 1);
        size_t end = sx_str_find_byte(rest, '/');
        part = sx_str_first(rest, end);
        rest = sx_str_from(rest, end);
        if (part.len == 0)
            continue;
        if (at == NO_NODE)
            return false;
        *folder = at;
        *last = part;
        const name *found = name_find(&disk.live, at, part);
        at = found ? found->node : NO_NODE;
    }
    return true;
}

static int node_of(int folder, sx_str last)
{
    if (folder == NO_NODE)
        return ROOT;
    const name *found = name_find(&disk.live, folder, last);
    return found ? found->node : NO_NODE;
}

static int link_new(int folder, sx_str last, bool is_folder)
{
    int node = new_node(is_folder);
    if (node == NO_NODE)
        return node;
    record((change){.kind = LINKED, .node = node, .folder = folder, .name = last});
    if (!disk.failed)
        name_set(&disk.live, folder, disk.log[disk.count - 1].name, node);
    return node;
}

void sx_fault_disk_opened(int fd, const char *path, bool is_new, bool emptied)
{
    int folder;
    sx_str last;
    if (fd >= FDS_MAX || !locate(path, &folder, &last))
        return;
    int node = node_of(folder, last);
    if (node == NO_NODE && is_new)
        node = link_new(folder, last, false);
    else if (node != NO_NODE && emptied)
        record((change){.kind = CUT_TO, .node = node});
    disk.fds[fd] = node;
}

static int node_of_fd(int fd)
{
    return disk.on && fd >= 0 && fd < FDS_MAX ? disk.fds[fd] : NO_NODE;
}

void sx_fault_disk_closed(int fd)
{
    if (node_of_fd(fd) != NO_NODE)
        disk.fds[fd] = NO_NODE;
}

void sx_fault_disk_wrote(int fd, const void *data, size_t len)
{
    int node = node_of_fd(fd);
    off_t end = node == NO_NODE ? -1 : lseek(fd, 0, SEEK_CUR);
    if (end < 0)
        return;
    record((change){
        .kind = WROTE, .node = node, .offset = (size_t)end - len, .data = sx_str_of(data, len)});
}

void sx_fault_disk_truncated(int fd, size_t len)
{
    if (node_of_fd(fd) != NO_NODE)
        record((change){.kind = CUT_TO, .node = node_of_fd(fd), .offset = len});
}

void sx_fault_disk_synced(int fd)
{
    if (node_of_fd(fd) != NO_NODE)
        record((change){.kind = SYNCED, .node = node_of_fd(fd)});
}

void sx_fault_disk_renamed(const char *from, const char *to)
{
    change c = {.kind = RENAMED};
    if (!locate(from, &c.folder, &c.name) || !locate(to, &c.to, &c.to_name))
        return;
    c.node = node_of(c.folder, c.name);
    if (c.node == NO_NODE)
        return;
    record(c);
    if (disk.failed)
        return;
    c = disk.log[disk.count - 1];
    name_drop(&disk.live, c.folder, c.name);
    name_set(&disk.live, c.to, c.to_name, c.node);
}

void sx_fault_disk_removed(const char *path)
{
    change c = {.kind = UNLINKED};
    if (!locate(path, &c.folder, &c.name))
        return;
    c.node = node_of(c.folder, c.name);
    if (c.node == NO_NODE)
        return;
    record(c);
    name_drop(&disk.live, c.folder, c.name);
}

void sx_fault_disk_made_folder(const char *path)
{
    int folder;
    sx_str last;
    if (locate(path, &folder, &last) && folder != NO_NODE)
        link_new(folder, last, true);
}

static sx_status read_file_into(int node, const char *path, sx_error *err)
{
    sx_buf contents;
    sx_buf_init(&contents, 0);
    int fd = sx_file_sys_real.open(path, O_RDONLY, 0);
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0) {
        char *at = sx_buf_reserve(&contents, 65536);
        got = at ? sx_file_sys_real.read(fd, at, 65536) : -1;
        contents.len += got > 0 ? (size_t)got : 0;
    }
    sx_status status = got < 0 ? sx_fail_os(err, errno, "cannot record %s", path) : SX_OK;
    if (status == SX_OK && contents.len)
        record((change){.kind = WROTE, .node = node, .data = sx_buf_view(&contents)});
    if (fd >= 0)
        sx_file_sys_real.close(fd);
    sx_buf_done(&contents);
    return status;
}

/* Depth is bounded: links are not followed and a data folder is flat. */
static sx_status read_folder(int node, const char *path, int depth, sx_error *err)
{
    DIR *dir = opendir(path);
    if (!dir)
        return sx_fail_os(err, errno, "cannot record the folder %s", path);
    sx_status status = SX_OK;
    for (const struct dirent *entry; status == SX_OK && (entry = readdir(dir)) != NULL;) {
        sx_str text = sx_str_z(entry->d_name);
        if (sx_str_eq(text, SX_STR(".")) || sx_str_eq(text, SX_STR("..")))
            continue;
        char below[PATH_MAX];
        struct stat info;
        int len = snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
        if (len >= PATH_MAX || depth == DEPTH_MAX)
            status = sx_fail(err, SX_ELIMIT, "the folder %s is too deep to record", path);
        else if (lstat(below, &info) != 0)
            status = sx_fail_os(err, errno, "cannot stat %s", below);
        if (status != SX_OK)
            break;
        int child = link_new(node, text, S_ISDIR(info.st_mode));
        if (child == NO_NODE)
            status = sx_fail_memory(err, "the record of a disk");
        else if (S_ISDIR(info.st_mode))
            status = read_folder(child, below, depth + 1, err);
        else if (S_ISREG(info.st_mode))
            status = read_file_into(child, below, err);
        record((change){.kind = SYNCED, .node = child});
    }
    closedir(dir);
    return status;
}

sx_status sx_fault_disk_start(const char *root, sx_error *err)
{
    sx_fault_disk_stop(NULL);
    sx_arena_init(&disk.arena, 65536, 0);
    disk.root = sx_arena_copy(&disk.arena, sx_str_z(root));
    for (int fd = 0; fd < FDS_MAX; fd++)
        disk.fds[fd] = NO_NODE;
    disk.on = true;
    sx_status status = disk.root.data && new_node(true) == ROOT
                           ? read_folder(ROOT, root, 0, err)
                           : sx_fail_memory(err, "the record of a disk");
    record((change){.kind = SYNCED, .node = ROOT});
    disk.base = disk.count;
    if (status != SX_OK) {
        sx_fault_disk_stop(NULL);
        return status;
    }
    sx_fault_disk_switch(true);
    return SX_OK;
}

size_t sx_fault_disk_ops(void)
{
    return disk.count - disk.base;
}

sx_status sx_fault_disk_stop(sx_error *err)
{
    bool failed = disk.failed;
    sx_fault_disk_switch(false);
    if (disk.on)
        sx_arena_done(&disk.arena);
    memset(&disk, 0, sizeof(disk));
    return failed ? sx_fail_memory(err, "the record of a disk") : SX_OK;
}

typedef struct cut {
    size_t end; /* entries of the log that happened */
    uint64_t seed;
    sx_random random;
} cut;

static size_t last_sync(const cut *c, int node)
{
    size_t last = 0;
    for (size_t i = 0; i < c->end; i++) {
        if (disk.log[i].kind == SYNCED && disk.log[i].node == node)
            last = i;
    }
    return last;
}

/* How many of `count` ordered changes reached the disk. */
static size_t draw_prefix(cut *c, size_t count)
{
    if (c->seed <= 1)
        return c->seed == 0 ? count : 0;
    return (size_t)sx_random_below(&c->random, count + 1);
}

static void put_at(sx_buf *file, size_t offset, sx_str data)
{
    size_t end = offset + data.len;
    if (end > file->len) {
        char *at = sx_buf_reserve(file, end - file->len);
        if (!at)
            return;
        memset(at, 0, end - file->len);
        file->len = end;
    }
    memcpy(file->data + offset, data.data, data.len);
}

static void apply(sx_buf *file, const change *c)
{
    if (c->kind == WROTE && c->data.len)
        put_at(file, c->offset, c->data);
    else if (c->kind == CUT_TO && c->offset <= file->len)
        file->len = c->offset;
    else if (c->kind == CUT_TO)
        put_at(file, c->offset - 1, SX_STR("\0"));
}

/* Applies some sectors of a write: with in_order those up to a point, else any. */
static void apply_torn(cut *c, sx_buf *file, const change *w, bool in_order)
{
    if (w->kind != WROTE)
        return;
    size_t at = w->offset, end = w->offset + w->data.len;
    while (at < end) {
        size_t next = (at / SECTOR + 1) * SECTOR;
        next = next < end ? next : end;
        bool keep = sx_random_below(&c->random, 2) == 0;
        if (keep)
            put_at(file, at, sx_str_of(w->data.data + (at - w->offset), next - at));
        else if (in_order)
            return;
        at = next;
    }
}

/* What the disk has of a file: all up to the last fsync, then a subset. */
static void contents_of(cut *c, int node, sx_buf *file)
{
    size_t synced = last_sync(c, node), unsafe = 0;
    for (size_t i = 0; i < c->end; i++) {
        const change *at = &disk.log[i];
        bool ours = at->node == node && (at->kind == WROTE || at->kind == CUT_TO);
        if (ours && i < synced)
            apply(file, at);
        unsafe += ours && i > synced;
    }
    bool in_order = c->seed <= 1 || sx_random_below(&c->random, 2) == 0;
    size_t keep = draw_prefix(c, unsafe), seen = 0;
    for (size_t i = synced + 1; i < c->end; i++) {
        const change *at = &disk.log[i];
        if (at->node != node || (at->kind != WROTE && at->kind != CUT_TO))
            continue;
        bool whole = in_order ? seen < keep : sx_random_below(&c->random, 2) == 0;
        if (whole)
            apply(file, at);
        else if (c->seed > 1 && (!in_order || seen == keep))
            apply_torn(c, file, at, in_order);
        seen++;
    }
}

static bool touches(const change *c, int folder)
{
    return ((c->kind == LINKED || c->kind == UNLINKED || c->kind == RENAMED) &&
            c->folder == folder) ||
           (c->kind == RENAMED && c->to == folder);
}

/* For each folder the first entry of the log whose change of names it has lost. */
static bool draw_folders(cut *c, size_t **lost_from)
{
    *lost_from = sx_arena_calloc(&disk.arena, disk.nodes, sizeof(**lost_from));
    if (!*lost_from)
        return false;
    for (int folder = 0; folder < (int)disk.nodes; folder++) {
        size_t synced = last_sync(c, folder), unsafe = 0;
        for (size_t i = synced + 1; i < c->end; i++)
            unsafe += touches(&disk.log[i], folder);
        size_t keep = draw_prefix(c, unsafe), i = synced;
        while (i < c->end && (i <= synced || !touches(&disk.log[i], folder) || keep-- > 0))
            i++;
        (*lost_from)[folder] = i;
    }
    return true;
}

static void names_at(const cut *c, const size_t *lost_from, names *out)
{
    for (size_t i = 0; i < c->end; i++) {
        const change *at = &disk.log[i];
        if (at->kind == LINKED && i < lost_from[at->folder]) {
            name_set(out, at->folder, at->name, at->node);
        } else if (at->kind == UNLINKED && i < lost_from[at->folder]) {
            name_drop(out, at->folder, at->name);
        } else if (at->kind == RENAMED && (i < lost_from[at->folder] || i < lost_from[at->to])) {
            name_drop(out, at->folder, at->name);
            name_set(out, at->to, at->to_name, at->node);
        }
    }
}

static sx_status write_file(cut *c, int node, const char *path, sx_error *err)
{
    sx_buf file;
    sx_buf_init(&file, 0);
    contents_of(c, node, &file);
    sx_status status = sx_buf_status(&file, path, err);
    int fd = status == SX_OK ? sx_file_sys_real.open(path, O_WRONLY | O_CREAT | O_EXCL, 0600) : -1;
    if (status == SX_OK &&
        (fd < 0 ||
         (file.len && sx_file_sys_real.write(fd, file.data, file.len) != (ssize_t)file.len)))
        status = sx_fail_os(err, errno, "cannot build %s", path);
    if (fd >= 0)
        sx_file_sys_real.close(fd);
    sx_buf_done(&file);
    return status;
}

static sx_status write_folder(cut *c, const names *all, int node, const char *path, int depth,
                              sx_error *err)
{
    if (depth > DEPTH_MAX + 1)
        return sx_fail(err, SX_ELIMIT, "the folder %s is too deep to build", path);
    if (sx_file_sys_real.mkdir(path, 0700) != 0)
        return sx_fail_os(err, errno, "cannot make %s", path);
    sx_status status = SX_OK;
    for (size_t i = 0; i < all->count && status == SX_OK; i++) {
        const name *n = &all->items[i];
        if (n->folder != node)
            continue;
        char below[PATH_MAX];
        if (snprintf(below, sizeof(below), "%s/%.*s", path, SX_ARG(n->text)) >= PATH_MAX)
            status = sx_fail(err, SX_ELIMIT, "the path %s is too long to build under", path);
        else if (disk.is_folder[n->node])
            status = write_folder(c, all, n->node, below, depth + 1, err);
        else
            status = write_file(c, n->node, below, err);
    }
    return status;
}

sx_status sx_fault_disk_cut(size_t ops, uint64_t seed, const char *into, sx_error *err)
{
    sx_assert(disk.on && ops <= sx_fault_disk_ops());
    cut c = {.end = disk.base + ops, .seed = seed};
    sx_random_seed(&c.random, seed);
    names all = {0};
    size_t *lost_from;
    if (disk.failed || !draw_folders(&c, &lost_from))
        return sx_fail_memory(err, "the record of a disk");
    names_at(&c, lost_from, &all);
    if (disk.failed)
        return sx_fail_memory(err, "the record of a disk");
    return write_folder(&c, &all, ROOT, into, 0, err);
}
