/* bench_trace_segment.c - segments of realistic spans: bytes and time a span, lookups, searches.
 *
 *   bench_trace_segment [SPANS [FOLDER]]    default 1,000,000 spans under /tmp
 *
 * Twelve services, traces of 8 spans, 8 attributes a span, of which a request id and a URL with ids
 * are of high cardinality; flushed in segments of 64 Ki spans, then merged into one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sextant/file.h>

#include "observe/traces/segment.h"
#include "tests/unit/observe/traces/make_spans.h"

enum { PER_SEGMENT = 1 << 16, PER_TRACE = 8, SEGMENTS_MAX = 512 };

static void must(sx_status status, const sx_error *err)
{
    if (status == SX_OK)
        return;
    fprintf(stderr, "bench_trace_segment: %s\n", err->message);
    exit(1);
}

/* Of the processor: other programs of the machine do not count. */
static int64_t now_ns(void)
{
    return (int64_t)clock() * (1000000000 / CLOCKS_PER_SEC);
}

/* The user's id becomes a URL with ids, as real ones are. */
static void add_urls(make_spans *m, span_batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        span_attr *attrs = (span_attr *)(void *)b->spans[i]->attrs.items;
        char text[128];
        int n = snprintf(text, sizeof text, "https://shop.example.com/v1/users/%llu/orders/%llu",
                         (unsigned long long)(make_random(m) % 100000),
                         (unsigned long long)(make_random(m) % 10000000));
        sx_str url = sx_arena_copy(&b->arena, sx_str_of(text, (size_t)n));
        attrs[4] = make_str("url.full", url);
    }
}

typedef struct bench {
    make_spans maker;
    const char *folder;
    tr_segment *parts[SEGMENTS_MAX];
    size_t part_count;
    char path[300];
    uint8_t some_trace[16];
    char some_id[32];
} bench;

static void flush(bench *b, uint64_t spans)
{
    sx_error err = {0};
    int64_t rows_ns = 0, write_ns = 0;
    uint64_t bytes = 0, done = 0;
    tr_rows rows;
    must(tr_rows_init(&rows, &err), &err);
    while (done < spans && b->part_count < SEGMENTS_MAX) {
        tr_segment_info info;
        tr_rows_clear(&rows);
        while (rows.count < PER_SEGMENT) {
            span_batch *batch = make_batch(&b->maker, 64);
            add_urls(&b->maker, batch);
            int64_t t = now_ns();
            must(tr_rows_add(&rows, batch, &err), &err);
            rows_ns += now_ns() - t;
            memcpy(b->some_trace, batch->spans[5]->trace_id, 16);
            snprintf(b->some_id, sizeof b->some_id, "%.*s",
                     (int)batch->spans[5]->attrs.items[5].value.len,
                     batch->spans[5]->attrs.items[5].value.data);
            span_batch_unref(batch);
        }
        snprintf(b->path, sizeof b->path, "%s/%zu.seg", b->folder, b->part_count);
        int64_t t = now_ns();
        must(tr_segment_write(b->path, &rows, NULL, &info, &err), &err);
        write_ns += now_ns() - t;
        must(tr_segment_open(b->path, &b->parts[b->part_count++], &err), &err);
        done += info.rows;
        bytes += info.bytes;
    }
    tr_rows_done(&rows);
    printf("rows_add %.0f ns/span\n", (double)rows_ns / (double)done);
    printf("flush %.0f ns/span\n", (double)write_ns / (double)done);
    printf("flushed_bytes %.2f B/span\n", (double)bytes / (double)done);
}

static void lookups(bench *b, tr_segment *s)
{
    sx_error err = {0};
    uint64_t first, count, rows = tr_segment_about(s)->rows;
    span_batch *out = span_batch_new(0);
    must(tr_segment_find(s, b->some_trace, &first, &count, &err), &err);
    int64_t t = now_ns();
    for (int i = 0; i < 10000; i++)
        must(tr_segment_find(s, b->some_trace, &first, &count, &err), &err);
    printf("find %.2f us\n", (double)(now_ns() - t) / 1e7);
    t = now_ns();
    for (int i = 0; i < 200; i++) {
        span_batch_unref(out);
        out = span_batch_new(0);
        must(tr_segment_read(s, make_random(&b->maker) % (rows - 8), 8, TR_WANT_ALL, out, &err),
             &err);
    }
    printf("read_8_spans %.0f us\n", (double)(now_ns() - t) / 2e5);
    span_batch_unref(out);
    out = span_batch_new(0);
    uint64_t n = rows < 200000 ? rows : 200000;
    t = now_ns();
    must(tr_segment_read(s, 0, n, TR_WANT_ALL, out, &err), &err);
    printf("read %.0f ns/span\n", (double)(now_ns() - t) / (double)n);
    span_batch_unref(out);
}

/* All rows of a search; what it costs when it finds nothing, little, much. */
static void search(tr_segment *s, const char *name, const span_filter *filter)
{
    sx_error err = {0};
    static uint64_t rows[4096];
    uint64_t hits = 0;
    int64_t t = now_ns();
    for (int i = 0; i < 5; i++) {
        tr_scan *scan;
        size_t count;
        hits = 0;
        must(tr_scan_new(s, filter, 0, UINT64_MAX, &scan, &err), &err);
        do {
            must(tr_scan_next(scan, rows, 4096, &count, &err), &err);
            hits += count;
        } while (count);
        tr_scan_free(scan);
    }
    printf("%s %.2f ms (%" PRIu64 " hits)\n", name, (double)(now_ns() - t) / 5e6, hits);
}

static span_filter text_leaf(filter_field field, const char *key, const char *value)
{
    sx_str v = sx_str_z(value);
    return (span_filter){.kind = FILTER_LEAF,
                         .field = field,
                         .key = sx_str_z(key),
                         .op = FILTER_TEXT,
                         .value = {.data = v.data, .len = (uint32_t)v.len, .type = SPAN_STR}};
}

static void searches(bench *b, tr_segment *s)
{
    span_filter service = text_leaf(FILTER_SERVICE, "", "payment");
    span_filter id = text_leaf(FILTER_ATTRIBUTE, "request.id", b->some_id);
    span_filter absent = text_leaf(FILTER_ATTRIBUTE, "request.id", "not there");
    span_filter code = text_leaf(FILTER_ATTRIBUTE, "http.response.status_code", "500");
    const span_filter *both[] = {&service, &code};
    span_filter all = {.kind = FILTER_AND, .children = both, .child_count = 2};
    search(s, "scan_absent", &absent);
    search(s, "scan_one_id", &id);
    search(s, "scan_code", &code);
    search(s, "scan_service_and_code", &all);
}

static bool count_edge(void *ctx, const tr_edge *e)
{
    *(uint64_t *)ctx += e->calls;
    return true;
}

static tr_segment *merge(bench *b)
{
    sx_error err = {0};
    tr_segment_info info;
    tr_segment *s;
    snprintf(b->path, sizeof b->path, "%s/merged.seg", b->folder);
    int64_t t = now_ns();
    must(tr_segment_merge(b->path, b->parts, b->part_count, &(tr_write_options){.level = 1}, &info,
                          &err),
         &err);
    printf("merge %.0f ns/span\n", (double)(now_ns() - t) / (double)info.rows);
    printf("merged_bytes %.2f B/span\n", (double)info.bytes / (double)info.rows);
    t = now_ns();
    must(tr_segment_open(b->path, &s, &err), &err);
    printf("open %.3f ms\n", (double)(now_ns() - t) / 1e6);
    uint64_t calls = 0;
    t = now_ns();
    must(tr_segment_edges(s, 0, UINT64_MAX, count_edge, &calls, &err), &err);
    printf("edges %.2f ms\n", (double)(now_ns() - t) / 1e6);
    return s;
}

int main(int argc, char **argv)
{
    static bench b;
    char folder[200];
    sx_error err = {0};
    uint64_t spans = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    snprintf(folder, sizeof folder, "%s/trace-segment-%d", argc > 2 ? argv[2] : "/tmp",
             (int)getpid());
    must(sx_folder_make(folder, &err), &err);
    b.folder = folder;
    b.maker = (make_spans){
        .seed = 1, .start_ns = 1700000000000000000, .step_ns = 160000, .per_trace = PER_TRACE};
    flush(&b, spans);
    tr_segment *merged = merge(&b);
    lookups(&b, merged);
    searches(&b, merged);
    tr_segment_drop(merged);
    tr_segment_unref(merged);
    for (size_t i = 0; i < b.part_count; i++) {
        tr_segment_drop(b.parts[i]);
        tr_segment_unref(b.parts[i]);
    }
    return rmdir(folder) != 0;
}
