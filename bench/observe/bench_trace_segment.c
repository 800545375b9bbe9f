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
    lookups(&b, b.parts[b.part_count - 1]);
    for (size_t i = 0; i < b.part_count; i++) {
        tr_segment_drop(b.parts[i]);
        tr_segment_unref(b.parts[i]);
    }
    return rmdir(folder) != 0;
}
