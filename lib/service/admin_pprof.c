/* admin_pprof.c - profiles of the running service at the paths of Go's net/http/pprof, so that
 * `go tool pprof http://ADMIN/debug/pprof/profile` and everything that scrapes such paths works.
 *
 * On the admin listener alone, with its other pages (admin.c). A profile takes time or reads files, so
 * each runs on a thread of its own that lives as long as its request, at most JOBS_MOST at a time; the
 * loop answers when the thread has posted its result, or, if the client goes first, cancels it and waits
 * for its end, which comes at once. The loop is never freed under such a thread: requests are aborted
 * before. */
#include <sextant/profile.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "service/service_internal.h"

enum { JOBS_MOST = 4, CMDLINE_BYTES_MAX = 1 << 17, POST_RETRY_MS = 10 };

static const sx_str TEXT_TYPE = SX_STR_INIT("text/plain; charset=utf-8");

typedef struct job {
    sx_request *r; /* the loop's; NULL: the client has gone, or was answered */
    sx_loop *loop;
    int *running; /* the service's count of jobs; atomic */
    pthread_t thread;
    int cancel_fd;          /* eventfd */
    bool posted;            /* finish() will be called; by the thread, read once it was joined */
    const char *attachment; /* name of the file that a browser saves; NULL: it is text */
    sx_status (*work)(struct job *j);
    /* What the work is told and what it gives. */
    uint32_t duration_ms;
    sx_profile_heap_form form;
    sx_str symbols; /* in the request's arena: the request outlives the thread */
    sx_buf out;
    sx_status status;
    sx_error err;
} job;

/* ---- a job's life ---- */

static void free_job(job *j)
{
    __atomic_sub_fetch(j->running, 1, __ATOMIC_RELAXED);
    close(j->cancel_fd);
    sx_buf_done(&j->out);
    sx_free(j);
}

static void answer(job *j, sx_request *r)
{
    if (j->status) {
        int code = j->status == SX_REFUSED ? 409
                   : j->status == SX_EFORMAT || j->status == SX_EINVAL || j->status == SX_ELIMIT
                       ? 400
                       : 503;
        sx_reply_error(r, code, j->err.message);
        return;
    }
    if (j->attachment) {
        char value[64];
        int len = snprintf(value, sizeof(value), "attachment; filename=\"%s\"", j->attachment);
        (void)sx_reply_header(r, SX_STR("content-disposition"), sx_str_of(value, (size_t)len));
    }
    sx_reply(r, 200, j->attachment ? SX_STR("application/octet-stream") : TEXT_TYPE,
             sx_buf_view(&j->out));
}

/* On the loop, posted by the thread as its last act. */
static void finish(sx_loop *loop, void *arg)
{
    (void)loop;
    job *j = (job *)arg;
    if (j->r) { /* else joined already */
        sx_request *r = j->r;
        pthread_join(j->thread, NULL);
        sx_request_events_set(r, NULL, NULL);
        answer(j, r);
    }
    free_job(j);
}

static void on_aborted(sx_request *r, void *ctx)
{
    (void)r;
    job *j = (job *)ctx;
    uint64_t one = 1;
    ssize_t done = write(j->cancel_fd, &one, sizeof(one));
    (void)done; /* an eventfd that was 0 takes it */
    pthread_join(j->thread, NULL);
    j->r = NULL;
    if (!j->posted)
        free_job(j);
}

static void *run_job(void *arg)
{
    job *j = (job *)arg;
    struct pollfd cancel = {.fd = j->cancel_fd, .events = POLLIN};
    j->status = j->work(j);
    /* `posted` is written before: the loop may have freed the job when post returns. */
    j->posted = true;
    while (sx_loop_post(j->loop, finish, j, NULL)) { /* no memory for it: later, perhaps */
        j->posted = false;
        if (poll(&cancel, 1, POST_RETRY_MS) > 0)
            break;
        j->posted = true;
    }
    return NULL;
}

/* A job for `r`, not yet running; NULL: answered with what is wrong. */
static job *new_job(sx_request *r, sx_status (*work)(job *j), const char *attachment)
{
    sx_service *s = sx_request_service(r);
    if (__atomic_add_fetch(&s->profile_jobs, 1, __ATOMIC_RELAXED) > JOBS_MOST) {
        __atomic_sub_fetch(&s->profile_jobs, 1, __ATOMIC_RELAXED);
        sx_reply_error(r, 503, "too many profiles are being made; try again when one is over");
        return NULL;
    }
    job *j = (job *)sx_calloc(1, sizeof(*j));
    int cancel_fd = j ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    if (cancel_fd < 0) {
        sx_free(j);
        __atomic_sub_fetch(&s->profile_jobs, 1, __ATOMIC_RELAXED);
        sx_reply_error(r, 503, NULL);
        return NULL;
    }
    j->r = r;
    j->loop = r->loop;
    j->running = &s->profile_jobs;
    j->cancel_fd = cancel_fd;
    j->work = work;
    j->attachment = attachment;
    sx_buf_init(&j->out, 0);
    return j;
}

/* The thread inherits the loop's signals: none but the profiler's, and faults. */
static void start_job(job *j)
{
    static const sx_request_events EVENTS = {.aborted = on_aborted};
    sx_request *r = j->r;
    if (pthread_create(&j->thread, NULL, run_job, j)) {
        sx_reply_error(r, 503, "no thread for a profile");
        free_job(j);
        return;
    }
    /* No event and no post is delivered before this handler has returned to the loop. */
    sx_request_events_set(r, &EVENTS, j);
    sx_request_needs_client(r);
}

/* ---- what there is ---- */

static sx_status work_cpu(job *j)
{
    sx_profile_cpu_options options = {.duration_ms = j->duration_ms, .cancel_fd = j->cancel_fd};
    return sx_profile_cpu(&options, &j->out, &j->err);
}

/* As Go: without `seconds`, or with 0, it is 30. */
static void answer_profile(sx_request *r, void *ctx)
{
    (void)ctx;
    uint64_t seconds = 0, most = sx_request_service(r)->settings.profile_seconds_max;
    sx_str text = sx_request_query(r, "seconds");
    if (text.data && !sx_str_to_u64(text, &seconds)) {
        sx_reply_error(r, 400, "seconds is no whole number; ask for ?seconds=30");
        return;
    }
    if (seconds == 0)
        seconds = most < SX_PROFILE_SECONDS ? most : SX_PROFILE_SECONDS;
    if (seconds > most) {
        char message[96];
        snprintf(message, sizeof(message), "at most %llu seconds, says profile.seconds_max",
                 (unsigned long long)most);
        sx_reply_error(r, 400, message);
        return;
    }
    job *j = new_job(r, work_cpu, "profile");
    if (!j)
        return;
    j->duration_ms = (uint32_t)seconds * 1000;
    start_job(j);
}

static sx_status work_heap(job *j)
{
    return sx_profile_heap(j->form, &j->out, &j->err);
}

/* `ctx`: not NULL for all allocations, else what is in use. */
static void answer_heap(sx_request *r, void *ctx)
{
    bool allocs = ctx != NULL;
    sx_str debug = sx_request_query(r, "debug");
    bool text = debug.len > 0 && !sx_str_eq(debug, SX_STR("0"));
    if (sx_request_query(r, "seconds").data) {
        sx_reply_error(r, 400,
                       "differences over time are not made here; take two profiles and compare "
                       "them by go tool pprof -base");
        return;
    }
    job *j = new_job(r, work_heap, text ? NULL : allocs ? "allocs" : "heap");
    if (!j)
        return;
    j->form = text ? SX_PROFILE_HEAP_TEXT : allocs ? SX_PROFILE_HEAP_ALLOCS : SX_PROFILE_HEAP_INUSE;
    start_job(j);
}

static sx_status work_symbols(job *j)
{
    return sx_profile_symbols(j->symbols, &j->out, &j->err);
}

/* By GET in the query, by POST in the body. */
static void answer_symbol(sx_request *r, void *ctx)
{
    (void)ctx;
    job *j = new_job(r, work_symbols, NULL);
    if (!j)
        return;
    j->symbols = r->method == SX_POST ? r->body : r->query;
    start_job(j);
}

static void answer_threads(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_error err = {0};
    sx_buf *text = sx_loop_text(r);
    if (sx_profile_threads(text, &err))
        sx_reply_error(r, 503, err.message);
    else
        sx_reply(r, 200, TEXT_TYPE, sx_buf_view(text));
}

/* ---- the command line ---- */

static bool is_secret_in(const sx_key *keys, size_t count, sx_str name)
{
    for (size_t i = 0; i < count; i++)
        if ((keys[i].flags & SX_KEY_SECRET) && sx_str_eq(sx_str_z(keys[i].key), name))
            return true;
    return false;
}

/* Whether an argument is the flag of a setting that no page shows. */
static bool is_secret(const sx_service *s, sx_str argument)
{
    sx_str name, value;
    if (!sx_str_starts(argument, SX_STR("--")))
        return false;
    argument = sx_str_from(argument, 2);
    if (!sx_str_cut(argument, '=', &name, &value))
        name = argument;
    return is_secret_in(SX_SERVICE_KEYS, SX_SERVICE_KEY_COUNT, name) ||
           is_secret_in(s->def->keys, s->def->key_count, name);
}

/* Arguments with a NUL between them, as Go answers. What a secret flag was given is hidden: behind its
 * '=', or in the next argument. */
static void put_arguments(const sx_service *s, sx_str raw, sx_buf *out)
{
    bool hide = false;
    for (bool first = true; raw.len > 0; first = false) {
        sx_str argument, name, value;
        if (!sx_str_cut(raw, '\0', &argument, &raw)) {
            argument = raw;
            raw = (sx_str){0};
        }
        bool secret = is_secret(s, argument);
        if (!first)
            sx_buf_byte(out, '\0');
        if (secret && sx_str_cut(argument, '=', &name, &value)) {
            sx_buf_str(out, name);
            sx_buf_str(out, SX_STR("=<redacted>"));
            secret = false;
        } else {
            sx_buf_str(out, hide ? SX_STR("<redacted>") : argument);
        }
        hide = secret;
    }
}

static void answer_cmdline(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_error err = {0};
    sx_buf raw, *text = sx_loop_text(r);
    sx_buf_init(&raw, 0);
    sx_status status = sx_file_read("/proc/self/cmdline", CMDLINE_BYTES_MAX, &raw, &err);
    if (status == SX_OK) {
        put_arguments(sx_request_service(r), sx_buf_view(&raw), text);
        status = sx_buf_status(text, "the command line", &err);
    }
    if (status)
        sx_reply_error(r, 503, err.message);
    else
        sx_reply(r, 200, TEXT_TYPE, sx_buf_view(text));
    sx_buf_done(&raw);
}

/* ---- the list ---- */

static void answer_pprof_index(sx_request *r, void *ctx);

enum { FILE_FLAGS = SX_ROUTE_UNLIMITED | SX_ROUTE_PLAIN }; /* they are compressed already */
#define TEXT .flags = SX_ROUTE_UNLIMITED
const sx_route SX_PPROF_ROUTES[] = {
    {SX_GET, "/debug/pprof", answer_pprof_index, TEXT},
    {SX_GET, "/debug/pprof/", answer_pprof_index, TEXT},
    {SX_GET, "/debug/pprof/allocs", answer_heap, (void *)"allocs", FILE_FLAGS},
    {SX_GET, "/debug/pprof/cmdline", answer_cmdline, TEXT},
    {SX_GET, "/debug/pprof/heap", answer_heap, NULL, FILE_FLAGS},
    {SX_GET, "/debug/pprof/profile", answer_profile, NULL, FILE_FLAGS},
    {SX_GET, "/debug/pprof/symbol", answer_symbol, TEXT},
    {SX_POST, "/debug/pprof/symbol", answer_symbol, TEXT},
    {SX_GET, "/debug/pprof/threads", answer_threads, TEXT},
};
#undef TEXT
const size_t SX_PPROF_ROUTE_COUNT = SX_COUNT_OF(SX_PPROF_ROUTES);

static const struct {
    const char *path, *what;
} PAGES[] = {
    {"allocs", "what was allocated since the heap is sampled, freed or not"},
    {"cmdline", "the command line"},
    {"heap", "what is in use; ?debug=1 as text"},
    {"profile", "processor time of the next 30 seconds, or ?seconds=N"},
    {"symbol", "names of functions, for pprof: ?0x1234+0x5678, or by POST"},
    {"threads", "threads with their state and processor time"},
};

/* For browsers a page with links, else lines. */
static void answer_pprof_index(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_buf *text = sx_loop_text(r);
    sx_str accept = sx_request_header(r, SX_STR("accept"));
    bool html = sx_str_find(accept, SX_STR("text/html")) < accept.len;
    uint64_t mean = sx_profile_heap_mean();
    (void)sx_reply_header(r, SX_STR("vary"), SX_STR("Accept"));
    if (html)
        sx_buf_printf(text, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                            "<title>profiles</title></head>\n<body><h1>Profiles</h1>\n<ul>\n");
    for (size_t i = 0; i < SX_COUNT_OF(PAGES); i++)
        if (html)
            sx_buf_printf(text, "<li><a href=\"/debug/pprof/%s\">%s</a>: %s</li>\n", PAGES[i].path,
                          PAGES[i].path, PAGES[i].what);
        else
            sx_buf_printf(text, "/debug/pprof/%-8s %s\n", PAGES[i].path, PAGES[i].what);
    if (html)
        sx_buf_printf(text, "</ul>\n<p>");
    if (mean)
        sx_buf_printf(text, "One byte of the heap in %llu is sampled.", (unsigned long long)mean);
    else
        sx_buf_printf(text, "The heap is not sampled; set profile.heap_bytes, such as 512KiB.");
    sx_buf_printf(text, html ? "</p>\n</body></html>\n" : "\n");
    if (text->failed)
        sx_reply_error(r, 503, NULL);
    else
        sx_reply(r, 200, html ? SX_STR("text/html; charset=utf-8") : TEXT_TYPE, sx_buf_view(text));
}
