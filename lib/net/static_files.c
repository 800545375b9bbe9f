/* static_files.c - a folder on disk (static.h).
 *
 *   loop: method, path -> pool: open, stat, read the first piece -> loop: conditions, reply's head and
 *   first piece -> while more: pool: read -> loop: write, wait for `drained` if told to -> close
 *
 * A transfer lives in its request's arena and holds the request; the pool touches it only while a job
 * is under way, the loop only while none is. */
#include <sextant/static.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sextant/compress.h>
#include <sextant/mem.h>
#include <sextant/url.h>

#include "net/exchange.h"
#include "net/static_rules.h"

enum { PIECE_BYTES = 65536 };

struct sx_static {
    uint32_t users; /* atomic: 1 for the owner, 1 a transfer, on any loop */
    int root_fd;
    sx_pool *pool;
    char *index, *cache_control;
    uint64_t file_bytes_max;
    bool precompressed;
};

typedef struct transfer {
    sx_static *s;
    sx_request *request;
    char *path; /* relative, NUL-terminated; room behind it for ".gz" */
    size_t path_len;
    sx_codec codecs[2]; /* acceptable siblings, best first */
    size_t codec_count;
    bool aborted; /* the client has gone: only the loop's thread looks */
    bool blocked; /* waits for `drained` */

    /* Written by the pool while a job runs. */
    int fd; /* -1: none */
    int open_errno;
    struct stat st;
    sx_codec codec;
    char *piece; /* PIECE_BYTES of heap */
    size_t piece_len;
    bool read_failed;

    uint64_t at, left; /* of the file, to read */
} transfer;

/* ---- in the pool ---- */

static int open_beneath(int root, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* For kernels and sandboxes without openat2: component by component, no symbolic link at all. */
static int open_walking(int root, const char *path)
{
    int folder = root;
    char name[256];
    for (;;) {
        size_t len = strcspn(path, "/");
        bool is_last = path[len] == '\0';
        if (len == 0 || len >= sizeof(name)) {
            errno = ENAMETOOLONG;
            len = 0;
        } else {
            memcpy(name, path, len);
            name[len] = '\0';
        }
        int next = len == 0 ? -1
                            : openat(folder, name,
                                     O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
                                         (is_last ? 0 : O_DIRECTORY));
        int why = errno;
        if (folder != root)
            close(folder);
        errno = why;
        if (next < 0 || is_last)
            return next;
        folder = next;
        path += len + 1;
    }
}

static int open_file(int root, const char *path, struct stat *st)
{
    int fd = open_beneath(root, path);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = open_walking(root, path);
    if (fd < 0)
        return -1;
    if (fstat(fd, st) != 0 || !S_ISREG(st->st_mode)) { /* folders, pipes, devices */
        close(fd);
        errno = ENOENT;
        return -1;
    }
    return fd;
}

static void read_piece(transfer *t)
{
    size_t want = t->left < PIECE_BYTES ? (size_t)t->left : PIECE_BYTES;
    t->piece_len = 0;
    while (t->piece_len < want) {
        ssize_t n = pread(t->fd, t->piece + t->piece_len, want - t->piece_len,
                          (off_t)(t->at + t->piece_len));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            t->read_failed = true; /* an error, or the file became shorter under us */
            break;
        }
        t->piece_len += (size_t)n;
    }
    t->at += t->piece_len;
    t->left -= t->piece_len;
}

static void job_open(void *arg)
{
    transfer *t = arg;
    struct stat plain;
    int fd = open_file(t->s->root_fd, t->path, &plain);
    t->codec = SX_CODEC_IDENTITY;
    for (size_t i = 0; fd >= 0 && i < t->codec_count; i++) {
        bool is_gzip = t->codecs[i] == SX_CODEC_GZIP;
        memcpy(t->path + t->path_len, is_gzip ? ".gz" : ".br", 4);
        int sibling = open_file(t->s->root_fd, t->path, &t->st);
        t->path[t->path_len] = '\0';
        if (sibling >= 0) {
            close(fd);
            t->fd = sibling;
            t->codec = t->codecs[i];
            return;
        }
    }
    t->fd = fd;
    t->open_errno = fd < 0 ? errno : 0;
    t->st = plain;
}

static void job_read(void *arg)
{
    read_piece(arg);
}

/* ---- on the loop ---- */

static void static_unuse(sx_static *s)
{
    if (__atomic_sub_fetch(&s->users, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (s->root_fd >= 0)
        close(s->root_fd);
    sx_free(s->index);
    sx_free(s->cache_control);
    sx_free(s);
}

/* The transfer is over; nothing of it may be touched after. */
static void finish(transfer *t)
{
    sx_request *r = t->request;
    if (t->fd >= 0)
        close(t->fd);
    sx_free(t->piece);
    static_unuse(t->s);
    sx_request_events_set(r, NULL, NULL);
    sx_request_release(r);
}

static void fail(transfer *t, int status, sx_str text)
{
    sx_reply(t->request, status, SX_STR("text/plain"), text);
    finish(t);
}

static void read_next(transfer *t);

/* A piece was read: out with it, and on. */
static void on_read(sx_loop *loop, void *arg)
{
    transfer *t = arg;
    (void)loop;
    if (t->aborted) {
        finish(t);
        return;
    }
    sx_status st = sx_reply_write(t->request, sx_str_of(t->piece, t->piece_len));
    if (t->read_failed || (st != SX_OK && st != SX_AGAIN)) {
        sx_reply_abort(t->request); /* fewer bytes than promised: the client has to notice */
        finish(t);
    } else if (t->left == 0) {
        sx_reply_end(t->request);
        finish(t);
    } else if (st == SX_AGAIN) {
        t->blocked = true;
    } else {
        read_next(t);
    }
}

static void read_next(transfer *t)
{
    if (sx_pool_submit(t->s->pool, t->request->loop, job_read, on_read, t, NULL) == SX_OK)
        return;
    sx_reply_abort(t->request);
    finish(t);
}

static void on_drained(sx_request *r, void *ctx)
{
    transfer *t = ctx;
    (void)r;
    if (!t->blocked)
        return;
    t->blocked = false;
    read_next(t);
}

/* Without a job under way nobody else would end the transfer. */
static void on_aborted(sx_request *r, void *ctx)
{
    transfer *t = ctx;
    (void)r;
    t->aborted = true;
    if (t->blocked)
        finish(t);
}

static const sx_request_events EVENTS = {.drained = on_drained, .aborted = on_aborted};

/* Strong: any write changes size or time (in nanoseconds), and each coding is a file of its own. */
static sx_str make_etag(transfer *t)
{
    return sx_arena_printf(
        &t->request->arena, "\"%llx-%llx%09lx%s\"", (unsigned long long)t->st.st_size,
        (unsigned long long)t->st.st_mtim.tv_sec, (unsigned long)t->st.st_mtim.tv_nsec,
        t->codec == SX_CODEC_GZIP     ? "-gz"
        : t->codec == SX_CODEC_BROTLI ? "-br"
                                      : "");
}

static void on_opened(sx_loop *loop, void *arg)
{
    transfer *t = arg;
    sx_request *r = t->request;
    (void)loop;
    if (t->aborted) {
        finish(t);
        return;
    }
    if (t->fd < 0 || (uint64_t)t->st.st_size > t->s->file_bytes_max) {
        bool is_forbidden = t->fd < 0 && t->open_errno == EACCES;
        fail(t, is_forbidden ? 403 : 404,
             is_forbidden ? SX_STR("not allowed\n") : SX_STR("not found\n"));
        return;
    }
    static_content content = {.etag = make_etag(t),
                              .modified_s = t->st.st_mtim.tv_sec,
                              .bytes = (uint64_t)t->st.st_size,
                              .type = sx_content_type_of(sx_str_of(t->path, t->path_len)),
                              .coding = t->codec == SX_CODEC_IDENTITY ? SX_STR("")
                                                                      : sx_codec_coding(t->codec),
                              .varies = t->s->precompressed,
                              .cache_control = sx_str_z(t->s->cache_control)};
    static_plan plan = static_plan_of(r, &content);
    bool has_body = plan.status < 300 && plan.count > 0;
    static_reply_fields(r, &content, &plan);
    if (!has_body || r->method == SX_HEAD) {
        sx_str type = plan.status < 300 ? content.type : SX_STR("");
        if (has_body) { /* HEAD: the length is told, nothing is read */
            if (sx_reply_begin(r, plan.status, type, (int64_t)plan.count) == SX_OK)
                sx_reply_end(r);
        } else {
            sx_reply(r, plan.status, type, SX_STR(""));
        }
        finish(t);
        return;
    }
    t->at = plan.first;
    t->left = plan.count;
    t->piece = sx_alloc(t->left < PIECE_BYTES ? (size_t)t->left : PIECE_BYTES);
    if (!t->piece) {
        sx_reply_abort(r);
        finish(t);
        return;
    }
    if (sx_reply_begin(r, plan.status, content.type, (int64_t)plan.count) == SX_OK)
        read_next(t);
    else
        finish(t);
}

/* Which siblings the client would take. Not for ranges: they are of the plain file. */
static void choose_codecs(transfer *t)
{
    static const sx_codec OFFERED[] = {SX_CODEC_BROTLI, SX_CODEC_GZIP};
    sx_str accept = sx_request_header(t->request, SX_STR("accept-encoding"));
    if (!t->s->precompressed || sx_request_header(t->request, SX_STR("range")).data)
        return;
    for (size_t i = 0; i < SX_COUNT_OF(OFFERED); i++) {
        sx_codec chosen;
        if (sx_codec_negotiate(accept, &OFFERED[i], 1, &chosen) == SX_OK && chosen == OFFERED[i])
            t->codecs[t->codec_count++] = chosen;
    }
}

/* A transfer for the cleaned path. NULL without memory. */
static transfer *transfer_new(sx_static *s, sx_request *r, sx_str clean)
{
    bool is_folder = sx_str_ends(clean, SX_STR("/"));
    sx_str file = sx_arena_printf(&r->arena, "%.*s%s%c%c%c", SX_ARG(sx_str_from(clean, 1)),
                                  is_folder ? s->index : "", '\0', '\0', '\0');
    transfer *t = sx_arena_calloc(&r->arena, 1, sizeof(*t));
    if (!t || !file.data)
        return NULL;
    t->s = s;
    t->request = r;
    t->path = (char *)(uintptr_t)file.data;
    t->path_len = strlen(t->path);
    t->fd = -1;
    return t;
}

void sx_static_serve(sx_static *s, sx_request *r, sx_str path)
{
    sx_str clean;
    if (!static_method_ok(r))
        return;
    sx_status st = sx_path_clean(&r->arena, path, &clean, NULL);
    bool has_no_index = st == SX_OK && sx_str_ends(clean, SX_STR("/")) && !s->index[0];
    if (st != SX_OK || has_no_index) {
        bool is_bad = st == SX_EFORMAT;
        sx_reply(r,
                 is_bad            ? 400
                 : st == SX_ENOMEM ? 503
                                   : 404,
                 SX_STR("text/plain"), is_bad ? SX_STR("bad path\n") : SX_STR("not found\n"));
        return;
    }
    transfer *t = transfer_new(s, r, clean);
    if (!t) {
        sx_reply(r, 503, SX_STR("text/plain"), SX_STR("out of memory\n"));
        return;
    }
    choose_codecs(t);
    __atomic_add_fetch(&s->users, 1, __ATOMIC_RELAXED);
    sx_request_hold(r);
    sx_request_events_set(r, &EVENTS, t);
    sx_exchange_of(r)->is_answered_soon = true; /* a file is for half-closed clients, too */
    if (sx_pool_submit(s->pool, r->loop, job_open, on_opened, t, NULL) != SX_OK)
        fail(t, 503, SX_STR("too many files are being read\n"));
}

/* ---- life ---- */

static char *copy_z(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = sx_alloc(bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

sx_status sx_static_open(const sx_static_options *options, sx_static **out, sx_error *err)
{
    sx_static *s = sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "a static folder");
    s->users = 1;
    s->pool = options->pool;
    s->precompressed = options->precompressed;
    s->file_bytes_max = options->file_bytes_max ? options->file_bytes_max : (uint64_t)1 << 30;
    s->index = copy_z(options->index ? options->index : "index.html");
    s->cache_control = copy_z(options->cache_control ? options->cache_control : "no-cache");
    s->root_fd = open(options->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    sx_status st = SX_OK;
    if (s->root_fd < 0)
        st = sx_fail_os(err, errno, "the static folder '%s' cannot be opened", options->root);
    else if (!s->index || !s->cache_control)
        st = sx_fail_memory(err, "a static folder");
    if (st != SX_OK) {
        static_unuse(s);
        return st;
    }
    *out = s;
    return SX_OK;
}

void sx_static_close(sx_static *s)
{
    if (s)
        static_unuse(s);
}
