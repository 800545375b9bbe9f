/* test_store.c - the trace store against a plain list: what goes in is found, whatever was flushed,
 * merged, reopened meanwhile; limits, retention, a full disk, failing memory, many threads. */
#include "tests/unit/base/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sextant/clock.h>
#include <sextant/file.h>
#include <sextant/mem.h>

#include "base/fault.h"
#include "observe/spans/otlp.h"
#include "observe/traces/memtable.h"
#include "observe/traces/store.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/observe/traces/random_filter.h"

#define START UINT64_C(1700000000000000000)
enum { BATCHES_MAX = 400 };

#if defined(__SANITIZE_THREAD__)
#define TSAN 1
#elif defined(__has_feature)
#define TSAN __has_feature(thread_sanitizer)
#else
#define TSAN 0
#endif

typedef struct world {
    temp_folder folder;
    sx_fake_clock clock;
    tr_store_options options;
    tr_store *store;
    make_spans make;
    span_batch *batches[BATCHES_MAX];
    size_t count;
} world;

static void open_store(world *w)
{
    sx_error err = {0};
    if (tr_store_open(&w->options, &w->store, &err) != SX_OK)
        fail_msg("%s", err.message);
}

static void begin(world *w)
{
    *w = (world){0};
    assert_int_equal(temp_folder_make(&w->folder), 0);
    sx_fake_clock_init(&w->clock, (int64_t)(START / 1000000) + 3600000);
    w->options = (tr_store_options){.dir = w->folder.path,
                                    .clock = &w->clock.clock,
                                    .shards = 2,
                                    .search_threads = 2,
                                    .fsync = TR_FSYNC_NONE,
                                    .disk_free_min = 1};
    w->make = (make_spans){
        .seed = 11, .start_ns = START, .step_ns = 3000000, .per_trace = 7, .rich = true};
    open_store(w);
}

static void end(world *w)
{
    tr_store_close(w->store);
    for (size_t i = 0; i < w->count; i++)
        span_batch_unref(w->batches[i]);
    folder_remove(w->folder.path);
}

static void append(world *w, unsigned traces)
{
    sx_error err = {0};
    span_batch *b = make_batch(&w->make, traces);
    if (tr_store_append(w->store, b, &err) != SX_OK)
        fail_msg("%s", err.message);
    assert_true(w->count < BATCHES_MAX);
    w->batches[w->count++] = b;
}

/* --- The plain list. */

typedef struct hits {
    tr_hit items[20000];
    size_t count, stop_at;
} hits;

static bool take(void *ctx, const tr_hit *h)
{
    hits *all = ctx;
    assert_true(all->count < SX_COUNT_OF(all->items));
    all->items[all->count++] = *h;
    return all->count < all->stop_at;
}

static int by_hit(const void *a, const void *b)
{
    const tr_hit *x = a, *y = b;
    if (x->newest_ns != y->newest_ns)
        return x->newest_ns > y->newest_ns ? -1 : 1;
    return memcmp(x->trace_id, y->trace_id, 16);
}

static int by_trace(const void *a, const void *b)
{
    const tr_hit *x = a, *y = b;
    int c = memcmp(x->trace_id, y->trace_id, 16);
    return c ? c : by_hit(a, b);
}

static void expected(const world *w, const tr_search *q, hits *out)
{
    size_t n = 0;
    out->count = 0;
    for (size_t b = 0; b < w->count; b++)
        for (size_t i = 0; i < w->batches[b]->count; i++) {
            const span *s = w->batches[b]->spans[i];
            if (s->start_ns < q->min_ns || (q->max_ns && s->start_ns > q->max_ns) ||
                !span_filter_match(q->filter, s))
                continue;
            assert_true(n < SX_COUNT_OF(out->items));
            memcpy(out->items[n].trace_id, s->trace_id, 16);
            out->items[n++].newest_ns = s->start_ns;
        }
    if (n)
        qsort(out->items, n, sizeof *out->items, by_trace);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || memcmp(out->items[i].trace_id, out->items[i - 1].trace_id, 16) != 0)
            out->items[out->count++] = out->items[i];
        else
            out->items[i] = out->items[out->count - 1];
    if (out->count)
        qsort(out->items, out->count, sizeof *out->items, by_hit);
}

static void compare(const world *w, const tr_search *q)
{
    static hits want, got;
    sx_error err = {0};
    bool partial;
    expected(w, q, &want);
    got = (hits){.stop_at = SIZE_MAX};
    if (tr_store_search(w->store, q, take, &got, &partial, &err) != SX_OK)
        fail_msg("%s", err.message);
    assert_false(partial);
    assert_int_equal(got.count, want.count);
    for (size_t i = 0; i < got.count; i++) {
        assert_int_equal(got.items[i].newest_ns, want.items[i].newest_ns);
        assert_memory_equal(got.items[i].trace_id, want.items[i].trace_id, 16);
    }
}

/* The same by pages. */
static void compare_pages(const world *w, tr_search q, size_t page)
{
    static hits want, got;
    sx_error err = {0};
    bool partial;
    tr_hit last;
    expected(w, &q, &want);
    size_t at = 0;
    for (int n = 0; n < 12; n++) {
        got = (hits){.stop_at = page};
        assert_int_equal(tr_store_search(w->store, &q, take, &got, &partial, &err), SX_OK);
        for (size_t i = 0; i < got.count; i++, at++) {
            assert_true(at < want.count);
            assert_int_equal(got.items[i].newest_ns, want.items[at].newest_ns);
            assert_memory_equal(got.items[i].trace_id, want.items[at].trace_id, 16);
        }
        if (got.count < page) {
            assert_int_equal(at, want.count);
            return;
        }
        last = got.items[got.count - 1];
        q.after = &last;
    }
}

static int by_span(const void *a, const void *b)
{
    const span *x = *(const span *const *)a, *y = *(const span *const *)b;
    int c = memcmp(x->id, y->id, 8);
    return c ? c : (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

static void compare_trace(const world *w, const uint8_t id[16])
{
    sx_error err = {0};
    bool partial;
    const span *want[256];
    size_t n = 0;
    span_batch *got = span_batch_new(0);
    for (size_t b = 0; b < w->count; b++)
        for (size_t i = 0; i < w->batches[b]->count; i++)
            if (memcmp(w->batches[b]->spans[i]->trace_id, id, 16) == 0)
                want[n++] = w->batches[b]->spans[i];
    if (tr_store_trace(w->store, id, 0, 0, NULL, got, &partial, &err) != SX_OK)
        fail_msg("%s", err.message);
    assert_int_equal(got->count, n);
    for (size_t i = 1; i < n; i++)
        assert_true(got->spans[i - 1]->start_ns <= got->spans[i]->start_ns);
    if (n) {
        qsort(want, n, sizeof *want, by_span);
        qsort(got->spans, n, sizeof *want, by_span);
    }
    for (size_t i = 0; i < n; i++)
        assert_true(make_same(got->spans[i], want[i]));
    span_batch_unref(got);
}

static void check_all(world *w, unsigned searches)
{
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    for (unsigned i = 0; i < searches; i++) {
        uint64_t dice = make_random(&w->make);
        tr_search q = {.filter = dice % 7 ? random_filter(&w->make, &arena, 2) : NULL};
        if (dice % 3 == 0) {
            q.min_ns = START + (dice >> 8) % (w->make.start_ns - START + 1);
            q.max_ns = q.min_ns + (dice >> 32) % 3000000000u;
        }
        compare(w, &q);
        if (dice % 4 == 0)
            compare_pages(w, q, 5 + (dice >> 16) % 30);
        sx_arena_reset(&arena);
    }
    for (unsigned i = 0; i < 20 && w->count; i++) {
        const span_batch *b = w->batches[make_random(&w->make) % w->count];
        compare_trace(w, b->spans[make_random(&w->make) % b->count]->trace_id);
    }
    compare_trace(w, (const uint8_t *)"no trace of this");
    sx_arena_done(&arena);
}

/* --- Tests. */

static void spans_are_seen_at_once(void **state)
{
    (void)state;
    world w;
    begin(&w);
    check_all(&w, 3);
    for (int i = 0; i < 10; i++) {
        append(&w, 10);
        check_all(&w, 10);
    }
    end(&w);
}

static void whatever_happens_meanwhile(void **state)
{
    (void)state;
    world w;
    sx_error err = {0};
    begin(&w);
    for (int i = 0; i < 60; i++) {
        append(&w, 1 + (unsigned)(make_random(&w.make) % 20));
        if (i % 9 == 5) { /* late spans of traces long flushed */
            uint64_t trace = w.make.trace;
            w.make.trace = make_random(&w.make) % trace;
            append(&w, 3);
            w.make.trace = trace;
        }
        switch (make_random(&w.make) % 4) {
        case 0:
        case 1:
            assert_int_equal(tr_store_flush(w.store, &err), SX_OK);
            break;
        case 2:
            if (tr_store_compact(w.store, &err) != SX_OK)
                fail_msg("%s", err.message);
            break;
        default:
            if (i % 3 == 0) {
                tr_store_close(w.store);
                open_store(&w);
            }
        }
        check_all(&w, 6);
    }
    tr_store_stats about;
    tr_store_about(w.store, &about);
    size_t spans = 0;
    for (size_t i = 0; i < w.count; i++)
        spans += w.batches[i]->count;
    assert_int_equal(about.spans, spans);
    assert_int_equal(tr_store_verify(w.folder.path, NULL, NULL, NULL, &err), SX_OK);
    end(&w);
}

static bool count_spans(void *ctx, const span_batch *b)
{
    *(size_t *)ctx += b->count;
    return true;
}

static void names_and_scans(void **state)
{
    (void)state;
    world w;
    sx_error err = {0};
    sx_arena arena;
    begin(&w);
    sx_arena_init(&arena, 0, 0);
    size_t spans = 0;
    for (int i = 0; i < 6; i++) {
        append(&w, 40);
        spans += w.batches[w.count - 1]->count;
        if (i % 2)
            assert_int_equal(tr_store_flush(w.store, &err), SX_OK);
        tr_names names;
        assert_int_equal(tr_store_services(w.store, 0, 0, &arena, &names, &err), SX_OK);
        assert_int_equal(names.count, MAKE_SERVICES);
        assert_true(sx_str_eq(names.items[0], SX_STR("accounting")));
        tr_operation *operations;
        size_t count;
        assert_int_equal(tr_store_operations(w.store, SX_STR("cart"), -1, 0, 0, &arena, &operations,
                                             &count, &err),
                         SX_OK);
        assert_in_range(count, 8, 40);
        assert_int_equal(tr_store_keys(w.store, FILTER_RESOURCE, 0, 0, 0, &arena, &names, &err),
                         SX_OK);
        assert_int_equal(names.count, 4);
        assert_int_equal(tr_store_keys(w.store, FILTER_ANY, 0, 0, 3, &arena, &names, &err), SX_OK);
        assert_int_equal(names.count, 3);
        assert_true(names.cut);
        tr_values values;
        assert_int_equal(tr_store_values(w.store, FILTER_ATTRIBUTE, FILTER_SPAN,
                                         SX_STR("http.request.method"), 0, 0, 0, &arena, &values,
                                         &err),
                         SX_OK);
        assert_int_equal(values.count, 4);
        assert_true(sx_str_eq(span_value_str(&values.items[0]), SX_STR("DELETE")));
        size_t seen = 0;
        bool partial;
        tr_search all = {0};
        assert_int_equal(
            tr_store_scan(w.store, &all, TR_WANT_IDS, count_spans, &seen, &partial, &err), SX_OK);
        assert_int_equal(seen, spans);
    }
    sx_arena_done(&arena);
    end(&w);
}

/* Calls between services by the plain list: each span with its parent, wherever either lies. */
static void edges_are_those_of_the_list(void **state)
{
    (void)state;
    world w;
    sx_error err = {0};
    sx_arena arena;
    begin(&w);
    w.make.rich = false;
    sx_arena_init(&arena, 0, 0);
    for (int i = 0; i < 8; i++) {
        span_batch *b = make_batch(&w.make, 30);
        span_batch *half[2] = {span_batch_new(0), span_batch_new(0)};
        for (int h = 0; h < 2; h++)
            assert_int_equal(span_batch_hold(half[h], b, &err), SX_OK);
        for (size_t k = 0; k < b->count; k++)
            assert_int_equal(span_batch_put(half[i % 3 == 0 ? k % 2 : 0], b->spans[k], &err),
                             SX_OK);
        for (int h = 0; h < 2; h++) {
            assert_int_equal(tr_store_append(w.store, half[h], &err), SX_OK);
            if (h == 0 && i % 2)
                assert_int_equal(tr_store_flush(w.store, &err), SX_OK);
            w.batches[w.count++] = half[h];
        }
        span_batch_unref(b);
    }
    uint64_t want = 0, got = 0;
    for (size_t b = 0; b < w.count; b++)
        for (size_t i = 0; i < w.batches[b]->count; i++)
            want += memcmp(w.batches[b]->spans[i]->parent, "\0\0\0\0\0\0\0\0", 8) != 0;
    tr_edge *edges;
    size_t count;
    assert_int_equal(tr_store_edges(w.store, 0, 0, NULL, &arena, &edges, &count, &err), SX_OK);
    for (size_t i = 0; i < count; i++)
        got += edges[i].calls;
    assert_int_equal(got, want);
    assert_in_range(count, 100, MAKE_SERVICES * MAKE_SERVICES);
    sx_arena_done(&arena);
    end(&w);
}

static void old_spans_are_retired(void **state)
{
    (void)state;
    world w;
    sx_error err = {0};
    begin(&w);
    tr_store_close(w.store);
    w.options.retention_ms = 2 * 3600000;
    w.options.retention_error_ms = 5 * 3600000;
    open_store(&w);
    append(&w, 100);
    assert_int_equal(tr_store_flush(w.store, &err), SX_OK);
    assert_int_equal(tr_store_compact(w.store, &err), SX_OK);
    check_all(&w, 1);
    sx_fake_clock_advance(&w.clock, 2 * 3600000);
    if (tr_store_compact(w.store, &err) != SX_OK)
        fail_msg("%s", err.message);
    /* Traces with an error are left, whole. */
    static hits all;
    bool partial;
    all = (hits){.stop_at = SIZE_MAX};
    tr_search q = {0};
    assert_int_equal(tr_store_search(w.store, &q, take, &all, &partial, &err), SX_OK);
    assert_in_range(all.count, 2, 40);
    for (size_t i = 0; i < all.count; i++)
        compare_trace(&w, all.items[i].trace_id);
    sx_fake_clock_advance(&w.clock, 4 * 3600000);
    assert_int_equal(tr_store_compact(w.store, &err), SX_OK);
    tr_store_stats about;
    tr_store_about(w.store, &about);
    assert_int_equal(about.spans, 0);
    assert_int_equal(about.segments, 0);
    end(&w);
}

#if !TSAN
static void a_full_disk_refuses_and_recovers(void **state)
{
    (void)state;
    world w;
    sx_error err = {0};
    begin(&w);
    append(&w, 20);
    sx_fault_file_set((sx_fault_file){.nth = 1,
                                      .and_after = true,
                                      .calls = SX_FAULT_WRITE,
                                      .os_errno = ENOSPC,
                                      .torn_bytes = 100});
    span_batch *b = make_batch(&w.make, 20);
    assert_int_equal(tr_store_append(w.store, b, &err), SX_REFUSED);
    assert_int_not_equal(tr_store_flush(w.store, &err), SX_OK);
    check_all(&w, 2);
    sx_fault_file_set((sx_fault_file){0});
    sx_status status = SX_REFUSED;
    for (int i = 0; i < 500 && status == SX_REFUSED;
         i++) { /* a flush under way may still say full */
        assert_int_equal(tr_store_flush(w.store, &err), SX_OK); /* looks at the disk */
        status = tr_store_append(w.store, b, &err);
    }
    assert_int_equal(status, SX_OK);
    w.batches[w.count++] = b;
    check_all(&w, 4);
    assert_int_equal(tr_store_flush(w.store, &err), SX_OK);
    tr_store_close(w.store);
    open_store(&w);
    check_all(&w, 4);
    end(&w);
}

/* What a start after kill -9 at this moment would find: a second store, reading the same folder while
 * the first one's threads can neither rename nor remove anything. */
static void check_after_kill(world *w)
{
    world next = *w;
    sx_error err = {0};
    size_t spans = 0;
    uint64_t found = UINT64_MAX;
    for (size_t i = 0; i < w->count; i++)
        spans += w->batches[i]->count;
    next.options.read_only = true;
    sx_fault_file_set((sx_fault_file){
        .nth = 1, .and_after = true, .calls = SX_FAULT_RENAME | SX_FAULT_REMOVE, .os_errno = EIO});
    /* A rename or removal that was under way ends while the folder is read, which takes far longer. */
    for (int i = 0; i < 20 && found != spans; i++) {
        if (tr_store_open(&next.options, &next.store, &err) != SX_OK)
            continue;
        tr_store_stats about;
        tr_store_about(next.store, &about);
        found = about.spans;
        tr_store_close(next.store);
    }
    sx_fault_file_set((sx_fault_file){0});
    if (found != spans)
        fail_msg("%llu of %zu spans: %s", (unsigned long long)found, spans, err.message);
}

/* A flush or merge that fails wherever it may, the n-th call of memory or of a file, loses nothing. */
static void failing_commits_lose_nothing(void **state)
{
    (void)state;
    static const unsigned FILES[] = {0, SX_FAULT_RENAME, SX_FAULT_SYNC, SX_FAULT_WRITE};
    world w;
    begin(&w);
    w.make.rich = false;
    for (size_t kind = 0; kind < SX_COUNT_OF(FILES); kind++) {
        int failed = 0, done = 0;
        w.options.fsync = TR_FSYNC_ALWAYS;
        tr_store_close(w.store);
        open_store(&w);
        for (int64_t n = 1; n < 3000 && done < 3; n += 1 + n / 8) {
            sx_error err = {0};
            append(&w, 2);
            if (kind == 0)
                sx_fault_alloc_set((sx_fault_alloc){.nth = n, .and_after = n % 2 == 0});
            else
                sx_fault_file_set((sx_fault_file){
                    .nth = n, .and_after = n % 2 == 0, .calls = FILES[kind], .os_errno = EIO});
            sx_status status = tr_store_flush(w.store, &err);
            if (status == SX_OK)
                status = tr_store_compact(w.store, &err);
            sx_fault_alloc_set((sx_fault_alloc){0});
            sx_fault_file_set((sx_fault_file){0});
            failed += status != SX_OK;
            done = status == SX_OK ? done + 1 : 0;
            check_after_kill(&w);
        }
        assert_true(failed > 1);
        check_all(&w, 1);
    }
    end(&w);
}

#endif

static void all_or_nothing_without_memory(void **state)
{
    (void)state;
    world w;
    sx_error err = {0};
    begin(&w);
    w.make.rich = false;
    append(&w, 3);
    int refused = 0;
    span_batch *b = make_batch(&w.make, 300);
    for (int64_t n = 1; n < 4000; n++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status status = tr_store_append(w.store, b, &err);
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (status == SX_OK)
            break;
        assert_int_equal(status, SX_ENOMEM);
        refused++;
        compare_trace(&w, b->spans[0]->trace_id);
    }
    assert_true(refused > 3);
    w.batches[w.count++] = b;
    check_all(&w, 3);
    end(&w);
}

static void one_process_at_a_time(void **state)
{
    (void)state;
    world w;
    tr_store *other;
    sx_error err = {0};
    begin(&w);
    assert_int_equal(tr_store_open(&w.options, &other, &err), SX_EEXIST);
    append(&w, 5);
    w.options.read_only = true;
    assert_int_equal(tr_store_open(&w.options, &other, &err), SX_OK);
    tr_store_stats about;
    tr_store_about(other, &about);
    assert_int_equal(about.spans, w.batches[0]->count);
    tr_store_close(other);
    end(&w);
}

static void a_snapshot_is_a_store(void **state)
{
    (void)state;
    world w;
    sx_error err = {0};
    char dir[128];
    begin(&w);
    append(&w, 50);
    snprintf(dir, sizeof dir, "%s/copy", w.folder.path);
    assert_int_equal(tr_store_snapshot(w.store, dir, &err), SX_OK);
    tr_store *mine = w.store;
    w.options.dir = dir;
    open_store(&w);
    check_all(&w, 5);
    tr_store_close(w.store);
    w.store = mine;
    end(&w);
}

static void a_damaged_segment_is_set_aside(void **state)
{
    (void)state;
    world w;
    sx_error err = {0};
    begin(&w);
    append(&w, 50);
    assert_int_equal(tr_store_flush(w.store, &err), SX_OK);
    tr_store_close(w.store);
    struct stat st;
    const char *path = in_folder(&w.folder, "000000000001.seg");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size / 2), 0);
    assert_int_equal(tr_store_verify(w.folder.path, NULL, NULL, NULL, &err), SX_ECORRUPT);
    open_store(&w);
    assert_int_equal(stat(in_folder(&w.folder, "000000000001.seg.corrupt"), &st), 0);
    append(&w, 5);
    end(&w);
}

/* Damage that only a question finds: the answer is without the segment, and says so. */
static void a_segment_that_is_damaged_inside_is_left_out(void **state)
{
    (void)state;
    world w;
    sx_error err = {0};
    static hits all;
    bool partial = false;
    begin(&w);
    append(&w, 50);
    assert_int_equal(tr_store_flush(w.store, &err), SX_OK);
    tr_store_close(w.store);
    int fd = open(in_folder(&w.folder, "000000000001.seg"), O_WRONLY);
    assert_int_equal(pwrite(fd, "XXXX", 4, 600), 4); /* in its first group */
    close(fd);
    open_store(&w);
    append(&w, 5);
    all = (hits){.stop_at = SIZE_MAX};
    tr_search q = {0};
    assert_int_equal(tr_store_search(w.store, &q, take, &all, &partial, &err), SX_OK);
    assert_true(partial);
    assert_true(all.count > 0); /* of the memtable and the other shards */
    for (size_t i = 0; i < all.count; i++) {
        span_batch *b = span_batch_new(0);
        assert_int_equal(
            tr_store_trace(w.store, all.items[i].trace_id, 0, 0, NULL, b, &partial, &err), SX_OK);
        assert_true(b->count > 0);
        span_batch_unref(b);
    }
    sx_arena arena;
    tr_names names;
    tr_edge *edges;
    size_t count;
    sx_arena_init(&arena, 0, 0);
    assert_int_equal(tr_store_services(w.store, 0, UINT64_MAX, &arena, &names, &err), SX_OK);
    assert_int_equal(tr_store_keys(w.store, 0, 0, UINT64_MAX, 0, &arena, &names, &err), SX_OK);
    assert_int_equal(
        tr_store_edges(w.store, 0, UINT64_MAX, &(tr_limits){0}, &arena, &edges, &count, &err),
        SX_OK);
    sx_arena_done(&arena);
    end(&w);
}

static void limits_hold(void **state)
{
    (void)state;
    world w;
    sx_error err = {0};
    _Atomic bool canceled = true;
    static hits all;
    bool partial;
    begin(&w);
    append(&w, 200);
    tr_search q = {.limits = {.canceled = &canceled}};
    all = (hits){.stop_at = SIZE_MAX};
    assert_int_equal(tr_store_search(w.store, &q, take, &all, &partial, &err), SX_ECANCELED);
    q.limits = (tr_limits){.deadline_ms = 1};
    assert_int_equal(tr_store_search(w.store, &q, take, &all, &partial, &err), SX_ETIMEOUT);
    q.limits = (tr_limits){.rows_max = 1};
    assert_int_equal(tr_store_search(w.store, &q, take, &all, &partial, &err), SX_OK);
    tr_store_close(w.store);
    w.options.memory_max = 1 << 20;
    open_store(&w);
    w.options.memory_max = 0;
    sx_status status = SX_OK;
    for (int i = 0; i < 40 && status == SX_OK; i++) {
        span_batch *b = make_batch(&w.make, 400);
        status = tr_store_append(w.store, b, &err);
        span_batch_unref(b);
    }
    assert_int_equal(status, SX_ELIMIT);
    end(&w);
}

/* --- Many threads. */

typedef struct busy {
    tr_store *store;
    _Atomic bool stop;
    atomic_size_t spans;
    unsigned seed;
} busy;

static bool ignore(void *ctx, const tr_hit *h)
{
    (void)h;
    return ++*(size_t *)ctx < 50;
}

static void *busy_append(void *arg)
{
    busy *b = arg;
    make_spans m = {.seed = b->seed,
                    .trace = b->seed * 1000000ull,
                    .start_ns = START,
                    .step_ns = 100000,
                    .per_trace = 8,
                    .rich = true};
    for (int i = 0; i < 60; i++) {
        span_batch *batch = make_batch(&m, 20);
        if (tr_store_append(b->store, batch, NULL) == SX_OK)
            atomic_fetch_add(&b->spans, batch->count);
        span_batch_unref(batch);
    }
    return NULL;
}

static void *busy_ask(void *arg)
{
    busy *b = arg;
    make_spans m = {.seed = b->seed + 77};
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    while (!atomic_load(&b->stop)) {
        size_t n = 0, count;
        bool partial;
        tr_search q = {.filter = random_filter(&m, &arena, 2)};
        tr_edge *edges;
        tr_names names;
        if (tr_store_search(b->store, &q, ignore, &n, &partial, NULL) != SX_OK ||
            tr_store_edges(b->store, 0, 0, NULL, &arena, &edges, &count, NULL) != SX_OK ||
            tr_store_keys(b->store, FILTER_ANY, 0, 0, 100, &arena, &names, NULL) != SX_OK)
            abort();
        sx_arena_reset(&arena);
    }
    sx_arena_done(&arena);
    return NULL;
}

static void *busy_flush(void *arg)
{
    busy *b = arg;
    while (!atomic_load(&b->stop))
        if (tr_store_flush(b->store, NULL) != SX_OK || tr_store_compact(b->store, NULL) != SX_OK)
            abort();
    return NULL;
}

static void many_threads(void **state)
{
    (void)state;
    world w;
    begin(&w);
    tr_store_close(w.store);
    w.options.fsync = TR_FSYNC_INTERVAL;
    w.options.memtable_bytes = 2 << 20;
    w.options.append_wait_ms = 10000;
    open_store(&w);
    busy work[4] = {{.store = w.store, .seed = 1},
                    {.store = w.store, .seed = 2},
                    {.store = w.store},
                    {.store = w.store}};
    void *(*const RUN[4])(void *) = {busy_append, busy_append, busy_ask, busy_flush};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, RUN[i], &work[i]), 0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    atomic_store(&work[2].stop, true);
    atomic_store(&work[3].stop, true);
    pthread_join(threads[2], NULL);
    pthread_join(threads[3], NULL);
    tr_store_stats about;
    tr_store_about(w.store, &about);
    assert_int_equal(about.spans, atomic_load(&work[0].spans) + atomic_load(&work[1].spans));
    assert_int_equal(about.spans, 2 * 60 * 20 * 8);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_seen_at_once),
        cmocka_unit_test(whatever_happens_meanwhile),
        cmocka_unit_test(names_and_scans),
        cmocka_unit_test(edges_are_those_of_the_list),
        cmocka_unit_test(old_spans_are_retired),
#if !TSAN /* faults are switched while the store's threads run: the plan itself has no lock */
        cmocka_unit_test(a_full_disk_refuses_and_recovers),
        cmocka_unit_test(failing_commits_lose_nothing),
#endif
        cmocka_unit_test(all_or_nothing_without_memory),
        cmocka_unit_test(one_process_at_a_time),
        cmocka_unit_test(a_snapshot_is_a_store),
        cmocka_unit_test(a_damaged_segment_is_set_aside),
        cmocka_unit_test(a_segment_that_is_damaged_inside_is_left_out),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
