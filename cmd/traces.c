/* traces.c - `sextant traces`: what a trace store holds, counted, checked and written out.
 *
 * These commands read a directory that no server uses: they hold its lock meanwhile. Nothing is
 * written there. A running server is asked by its API instead. */
#include "cmd/traces.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sextant/clock.h>
#include <sextant/mem.h>

#include "observe/api/params.h"
#include "observe/spans/otlp.h"
#include "observe/spans/zipkin_span.h"

enum { PAGE_TRACES = 1024, HEX_TRACE_BYTES = 33 };

/* --- The folder. */

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

sx_status traces_folder_find(traces_folder *f, const char *dir, sx_error *err)
{
    char wal[TRACES_PATH_BYTES + 16], manifest[TRACES_PATH_BYTES + 16];
    struct stat st;
    f->lock.fd = -1;
    for (size_t i = 0; i < 2; i++) {
        int len = i == 0 ? snprintf(f->path, sizeof f->path, "%s/sextant/traces", dir)
                         : snprintf(f->path, sizeof f->path, "%s", dir);
        if (len < 0 || (size_t)len >= sizeof f->path)
            return sx_fail(err, SX_ELIMIT, "path too long: %s", dir);
        snprintf(wal, sizeof wal, "%s/wal", f->path);
        snprintf(manifest, sizeof manifest, "%s/MANIFEST", f->path);
        if (is_folder(wal) || stat(manifest, &st) == 0)
            return SX_OK;
    }
    return sx_fail(err, SX_ENOTFOUND,
                   "%s holds no traces: name a data directory of `sextant observe` with --dir",
                   dir);
}

sx_status traces_folder_open(traces_folder *f, const char *dir, sx_error *err)
{
    char path[TRACES_PATH_BYTES + 16];
    sx_error why;
    sx_status status = traces_folder_find(f, dir, err);
    if (status != SX_OK)
        return status;
    snprintf(path, sizeof path, "%s/LOCK", f->path);
    if (sx_file_lock_open(&f->lock, path, &why) != SX_REFUSED)
        return SX_OK;
    return sx_fail(err, SX_EEXIST, "%s is in use: stop the server, or ask it with --url (%s)",
                   f->path, why.message);
}

void traces_folder_close(traces_folder *f)
{
    if (f->lock.fd >= 0)
        sx_file_lock_close(&f->lock);
    f->lock.fd = -1;
}

static sx_status open_store(const cmd_args *args, traces_folder *f, tr_store **out, sx_error *err)
{
    sx_status status = traces_folder_open(f, cmd_value(args, "dir"), err);
    tr_store_options options = {
        .dir = f->path, .clock = sx_clock_system(), .read_only = true, .memory_max = SIZE_MAX / 2};
    return status == SX_OK ? tr_store_open(&options, out, err) : status;
}

/* --- export */

typedef struct export
{
    tr_store *store;
    span_filter filter; /* of --service */
    tr_search search;
    bool one; /* --trace */
    uint8_t trace_id[16];
    tr_hit page[PAGE_TRACES];
    size_t count;
    span_batch *batch;
    sx_buf out;
    uint64_t traces, spans;
}
export;

static sx_status read_moment(const cmd_args *args, const char *flag, uint64_t *ns, sx_error *err)
{
    const char *typed = cmd_value(args, flag);
    api_time t;
    if (!typed)
        return SX_OK;
    if (api_time_read(sx_str_z(typed), &t, err) != SX_OK || t.s < 0)
        return sx_fail(err, SX_EINVAL,
                       "--%s %s is neither unix seconds nor as 2026-11-21T18:00:00Z", flag, typed);
    *ns = (uint64_t)t.s * 1000000000u + (uint64_t)t.ns;
    return SX_OK;
}

static sx_status read_export(const cmd_args *args, export *x, sx_error *err)
{
    const char *service = cmd_value(args, "service"), *id = cmd_value(args, "trace");
    x->search.max_ns = UINT64_MAX;
    x->search.limits.bytes_max = SIZE_MAX / 4;
    if (service) {
        sx_str name = sx_str_z(service);
        x->filter = (span_filter){.field = FILTER_SERVICE, .op = FILTER_EQ};
        x->filter.value =
            (span_value){.data = name.data, .len = (uint32_t)name.len, .type = SPAN_STR};
        x->search.filter = &x->filter;
    }
    x->one = id != NULL;
    if (id && !zipkin_hex_id(sx_str_z(id), x->trace_id, sizeof x->trace_id))
        return sx_fail(err, SX_EINVAL, "--trace %s is no id of 1 to 32 hexadecimal digits", id);
    sx_status status = read_moment(args, "start", &x->search.min_ns, err);
    if (status == SX_OK)
        status = read_moment(args, "end", &x->search.max_ns, err);
    return status;
}

static sx_status write_out(sx_buf *out, sx_error *err)
{
    sx_status status = sx_buf_status(out, "a trace", err);
    if (status == SX_OK && fwrite(out->data, 1, out->len, stdout) != out->len)
        status = sx_fail(err, SX_EIO, "the standard output cannot be written to");
    sx_buf_clear(out);
    return status;
}

/* A trace is one line; all of its spans, whenever they began. */
static sx_status export_trace(export *x, const uint8_t id[16], sx_error *err)
{
    span_batch_reset(x->batch);
    sx_status status = tr_store_trace(x->store, id, 0, 0, &x->search.limits, x->batch, NULL, err);
    if (status != SX_OK || !x->batch->count)
        return status;
    x->traces++;
    x->spans += x->batch->count;
    span_write_otlp_json(x->batch, &x->out);
    sx_buf_byte(&x->out, '\n');
    return write_out(&x->out, err);
}

static bool on_hit(void *ctx, const tr_hit *hit)
{
    export *x = ctx;
    x->page[x->count++] = *hit;
    return x->count < PAGE_TRACES;
}

/* Traces in pages, the newest first, so that no number of them takes memory. */
static sx_status export_all(export *x, sx_error *err)
{
    tr_hit after;
    sx_status status;
    do {
        x->count = 0;
        status = tr_store_search(x->store, &x->search, on_hit, x, NULL, err);
        for (size_t i = 0; status == SX_OK && i < x->count; i++)
            status = export_trace(x, x->page[i].trace_id, err);
        if (x->count)
            after = x->page[x->count - 1];
        x->search.after = &after;
    } while (status == SX_OK && x->count == PAGE_TRACES);
    return status;
}

int cmd_traces_export(const cmd_args *args)
{
    traces_folder folder = {.lock = {-1}};
    sx_error err;
    export *x = sx_calloc(1, sizeof *x);
    if (!x) {
        sx_fail_memory(&err, "the export");
        return cmd_failed(&err);
    }
    sx_buf_init(&x->out, 0);
    x->batch = span_batch_new(SIZE_MAX / 4);
    sx_status status = x->batch ? SX_OK : sx_fail_memory(&err, "the export");
    if (status == SX_OK)
        status = read_export(args, x, &err);
    if (status == SX_OK)
        status = open_store(args, &folder, &x->store, &err);
    if (status == SX_OK)
        status = x->one ? export_trace(x, x->trace_id, &err) : export_all(x, &err);
    if (status == SX_OK && x->one && !x->traces)
        status = sx_fail(&err, SX_ENOTFOUND, "there is no trace %s", cmd_value(args, "trace"));
    if (status == SX_OK && fflush(stdout) != 0)
        status = sx_fail(&err, SX_EIO, "the standard output cannot be written to");
    if (status == SX_OK)
        fprintf(stderr, "%" PRIu64 " spans of %" PRIu64 " traces\n", x->spans, x->traces);
    tr_store_close(x->store);
    traces_folder_close(&folder);
    if (x->batch)
        span_batch_unref(x->batch);
    sx_buf_done(&x->out);
    sx_free(x);
    return status == SX_OK ? 0 : cmd_failed(&err);
}

/* --- verify */

static void print_fault(void *ctx, const char *line)
{
    (void)ctx;
    fprintf(stderr, "%s\n", line);
}

int cmd_traces_verify(const cmd_args *args)
{
    traces_folder folder = {.lock = {-1}};
    tr_store *store = NULL;
    tr_store_stats about = {0};
    sx_error err;
    sx_status status = traces_folder_open(&folder, cmd_value(args, "dir"), &err);
    if (status == SX_OK)
        status = tr_store_verify(folder.path, print_fault, NULL, NULL, &err);
    tr_store_options options = {.dir = folder.path,
                                .clock = sx_clock_system(),
                                .read_only = true,
                                .memory_max = SIZE_MAX / 2};
    if (status == SX_OK)
        status = tr_store_open(&options, &store, &err);
    if (status == SX_OK) {
        tr_store_about(store, &about);
        printf("%s: %" PRIu64 " spans in %" PRIu64 " segments and the log can be read\n",
               folder.path, about.spans, about.segments);
    }
    tr_store_close(store);
    traces_folder_close(&folder);
    return status == SX_OK ? 0 : cmd_failed(&err);
}

/* --- stats */

typedef struct service_count {
    sx_str name;
    uint64_t spans, errors, newest_ns;
} service_count;

typedef struct stats {
    service_count *services; /* sorted by name */
    size_t count;
    uint64_t others; /* spans without a service */
} stats;

static int by_name(const void *a, const void *b)
{
    const service_count *x = a, *y = b;
    return sx_str_cmp(x->name, y->name);
}

static int by_spans(const void *a, const void *b)
{
    const service_count *x = a, *y = b;
    return x->spans == y->spans ? by_name(a, b) : x->spans < y->spans ? 1 : -1;
}

static bool count_spans(void *ctx, const span_batch *spans)
{
    stats *s = ctx;
    service_count *last = NULL;
    for (size_t i = 0; i < spans->count; i++) {
        const span *one = spans->spans[i];
        service_count key = {.name = one->resource->service};
        if (!last || !sx_str_eq(last->name, key.name))
            last = bsearch(&key, s->services, s->count, sizeof key, by_name);
        if (!last) {
            s->others++;
            continue;
        }
        last->spans++;
        last->errors += one->status == SPAN_ERROR;
        last->newest_ns = one->start_ns > last->newest_ns ? one->start_ns : last->newest_ns;
    }
    return true;
}

static void put_time(char out[SX_TIME_RFC3339_BYTES + 1], uint64_t ns)
{
    snprintf(out, SX_TIME_RFC3339_BYTES + 1, "-");
    if (ns && ns < INT64_MAX)
        out[sx_time_rfc3339((int64_t)ns, 3, out)] = '\0';
}

static void print_stats(stats *s, const tr_store_stats *about)
{
    char oldest[SX_TIME_RFC3339_BYTES + 1], newest[SX_TIME_RFC3339_BYTES + 1];
    uint64_t in_segments =
        about->spans > about->memtable_spans ? about->spans - about->memtable_spans : 0;
    put_time(oldest, about->oldest_ns);
    put_time(newest, about->newest_ns);
    printf("spans        %" PRIu64 "\n", about->spans);
    printf("oldest       %s\nnewest       %s\n", oldest, newest);
    printf("segments     %" PRIu64 " (%" PRIu64 " bytes", about->segments, about->segment_bytes);
    if (in_segments)
        printf(", %.1f a span", (double)about->segment_bytes / (double)in_segments);
    printf(")\nin the log   %" PRIu64 " spans\n", about->memtable_spans);
    int width = 7;
    for (size_t i = 0; i < s->count; i++)
        width = s->services[i].name.len > (size_t)width ? (int)s->services[i].name.len : width;
    qsort(s->services, s->count, sizeof *s->services, by_spans);
    printf("\n%-*s  %12s  %12s  NEWEST\n", width, "SERVICE", "SPANS", "ERRORS");
    for (size_t i = 0; i < s->count; i++) {
        put_time(newest, s->services[i].newest_ns);
        printf("%-*.*s  %12" PRIu64 "  %12" PRIu64 "  %s\n", width, SX_ARG(s->services[i].name),
               s->services[i].spans, s->services[i].errors, newest);
    }
    if (s->others)
        printf("%-*s  %12" PRIu64 "\n", width, "(none)", s->others);
}

static sx_status count_services(tr_store *store, sx_arena *arena, stats *s, sx_error *err)
{
    tr_names names;
    tr_search all = {.max_ns = UINT64_MAX};
    sx_status status = tr_store_services(store, 0, UINT64_MAX, arena, &names, err);
    if (status != SX_OK)
        return status;
    s->services = sx_arena_calloc(arena, names.count + 1, sizeof *s->services);
    if (!s->services)
        return sx_fail_memory(err, "the services");
    for (size_t i = 0; i < names.count; i++)
        s->services[s->count++].name = names.items[i];
    qsort(s->services, s->count, sizeof *s->services, by_name);
    return tr_store_scan(store, &all, TR_WANT_IDS | TR_WANT_BASICS, count_spans, s, NULL, err);
}

int cmd_traces_stats(const cmd_args *args)
{
    traces_folder folder = {.lock = {-1}};
    tr_store *store = NULL;
    tr_store_stats about = {0};
    stats s = {0};
    sx_arena arena;
    sx_error err;
    sx_arena_init(&arena, 0, 0);
    sx_status status = open_store(args, &folder, &store, &err);
    if (status == SX_OK)
        status = count_services(store, &arena, &s, &err);
    if (status == SX_OK) {
        tr_store_about(store, &about);
        print_stats(&s, &about);
    }
    tr_store_close(store);
    traces_folder_close(&folder);
    sx_arena_done(&arena);
    return status == SX_OK ? 0 : cmd_failed(&err);
}
