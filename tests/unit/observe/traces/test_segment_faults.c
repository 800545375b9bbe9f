/* test_segment_faults.c - odd spans, files cut and changed, memory and disks that fail. */
#include <errno.h>

#include "base/fault.h"
#include "tests/unit/observe/traces/segment_help.h"

/* --- Odd spans. */

static span *odd_span(span_batch *b, uint8_t trace, uint64_t id)
{
    static const span_resource RESOURCE;
    static const span_scope SCOPE;
    span *s = span_batch_add(b);
    assert_non_null(s);
    memset(s->trace_id, trace, 16);
    memcpy(s->id, &id, 8);
    s->resource = &RESOURCE;
    s->scope = &SCOPE;
    return s;
}

static void odd_spans_come_back(void **state)
{
    (void)state;
    segment_place p;
    place_make(&p);
    span_batch *b = span_batch_new(0);
    char *big = calloc(1, 1 << 20);
    span *s = odd_span(b, 1, 1);
    s->start_ns = 0, s->end_ns = 0; /* 1970, no length */
    s = odd_span(b, 2, 2);
    s->start_ns = 7258118400000000000u, s->end_ns = UINT64_MAX; /* 2200, and the end of time */
    s = odd_span(b, 1, 3);
    s->start_ns = UINT64_MAX, s->end_ns = 0;
    memcpy(s->parent, s->id, 8); /* its own parent */
    s->flags = UINT32_MAX, s->dropped_events = UINT32_MAX;
    s = odd_span(b, 3, 4);
    span_attr *many = sx_arena_calloc(&b->arena, 16384, sizeof *many);
    for (unsigned i = 0; i < 16384; i++) {
        sx_str key = make_text(b, "key-%llu", i % 15000); /* some twice */
        many[i] = make_int(key.data, (int64_t)(make_random(&(make_spans){.seed = i})));
        many[i].key_len = (uint32_t)key.len;
    }
    s->attrs = (span_attrs){many, 16384, 3};
    for (unsigned i = 0; i < 1 << 20; i++)
        big[i] = (char)(i * 2654435761u >> 13);
    for (unsigned i = 0; i < 40; i++) {
        s = odd_span(b, 4, 5 + i);
        span_attr value = make_str("big", sx_str_of(big + i, (1 << 20) - i));
        s->attrs = make_attrs(b, &value, 1);
        s->name = sx_str_of(big, 9000);
    }
    tr_segment *seg = segment_of(p.path, b);
    sx_error err = {0};
    if (tr_segment_verify(seg, NULL, &err) != SX_OK)
        fail_msg("%s", err.message);
    span_batch *out = segment_rows(seg);
    assert_same_spans(b, out);
    assert_true(tr_segment_about(seg)->groups > 1); /* cut by size */
    tr_segment_unref(seg);
    span_batch_unref(out);
    span_batch_unref(b);
    free(big);
    place_remove(&p);
}

static void a_trace_may_cross_many_groups(void **state)
{
    (void)state;
    enum { SPANS = 100000 };
    segment_place p;
    sx_error err = {0};
    uint64_t first, count;
    place_make(&p);
    span_batch *b = span_batch_new(0);
    for (uint64_t i = 0; i < SPANS; i++) {
        span *s = odd_span(b, i % 1000 == 999 ? 9 : 7, i + 1);
        s->start_ns = 1700000000000000000 + (i * 7919) % SPANS;
        s->end_ns = s->start_ns + 10;
        uint64_t parent = i ? i / 2 + 1 : 0;
        memcpy(s->parent, &parent, 8);
    }
    tr_segment *seg = segment_of(p.path, b);
    uint8_t id[16];
    memset(id, 7, sizeof id);
    assert_int_equal(tr_segment_about(seg)->traces, 2);
    assert_int_equal(tr_segment_find(seg, id, &first, &count, &err), SX_OK);
    assert_int_equal(count, SPANS - 100);
    assert_int_equal(tr_segment_verify(seg, NULL, &err), SX_OK);
    tr_segment *inputs[] = {seg, seg};
    assert_int_equal(tr_segment_merge(p.other, inputs, 2, NULL, NULL, &err), SX_OK);
    tr_segment *twice;
    assert_int_equal(tr_segment_open(p.other, &twice, &err), SX_OK);
    assert_int_equal(tr_segment_find(twice, id, &first, &count, &err), SX_OK);
    assert_int_equal(count, 2 * (SPANS - 100)); /* equal spans stay two */
    if (tr_segment_verify(twice, NULL, &err) != SX_OK)
        fail_msg("%s", err.message);
    tr_segment_unref(twice);
    span_batch *out = segment_rows(seg);
    assert_same_spans(b, out);
    tr_segment_unref(seg);
    span_batch_unref(out);
    span_batch_unref(b);
    place_remove(&p);
}

/* --- Damage. */

static size_t file_read(const char *path, char **out)
{
    sx_buf b;
    sx_error err = {0};
    sx_buf_init(&b, 0);
    assert_int_equal(sx_file_read(path, 0, &b, &err), SX_OK);
    *out = b.data;
    return b.len;
}

static void file_write(const char *path, const char *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    fclose(f);
}

/* Whatever it is: told as such, and nothing of it used. */
static void assert_refused(const char *path)
{
    sx_error err = {0};
    tr_segment *s;
    sx_status status = tr_segment_open(path, &s, &err);
    if (status == SX_OK) {
        status = tr_segment_verify(s, NULL, &err);
        tr_segment_unref(s);
    }
    if (status != SX_ECORRUPT && status != SX_EUNSUPPORTED)
        fail_msg("status %d: %s", status, err.message);
}

static void damage_is_told(void **state)
{
    (void)state;
    segment_place p;
    char *data;
    place_make(&p);
    make_spans m = {
        .seed = 5, .start_ns = 1700000000000000000, .step_ns = 1000, .per_trace = 3, .rich = true};
    span_batch *b = make_batch(&m, 4);
    tr_segment_unref(segment_of(p.path, b));
    size_t len = file_read(p.path, &data);
    for (size_t cut = 0; cut < len; cut++) {
        file_write(p.other, data, cut);
        assert_refused(p.other);
    }
    unsigned padding = 0;
    for (size_t at = 0; at < len; at++) {
        sx_error err = {0};
        tr_segment *s;
        data[at] ^= 0x41;
        file_write(p.other, data, len);
        data[at] ^= 0x41;
        sx_status status = tr_segment_open(p.other, &s, &err);
        if (status == SX_OK) {
            status = tr_segment_verify(s, NULL, &err);
            tr_segment_unref(s);
        }
        padding += status == SX_OK; /* between sections; the header's version */
    }
    assert_true(padding < 8 * 16);
    free(data);
    span_batch_unref(b);
    place_remove(&p);
}

/* --- Failing memory and disks. */

typedef struct work {
    const char *path, *other;
    const tr_rows *rows;
} work;

/* Everything once: write, open, find, read, search, list, merge, verify. */
static sx_status do_all(const work *w, sx_error *err)
{
    tr_segment *s = NULL;
    tr_scan *scan = NULL;
    uint64_t first, count, found[64];
    size_t n;
    static const span_filter LEAF = {.kind = FILTER_LEAF,
                                     .field = FILTER_ATTRIBUTE,
                                     .key = SX_STR_INIT("list"),
                                     .op = FILTER_TEXT,
                                     .value = {.data = "[1,\"two\"]", .len = 9, .type = SPAN_STR}};
    sx_status status = tr_segment_write(w->path, w->rows, NULL, NULL, err);
    if (status == SX_OK)
        status = tr_segment_open(w->path, &s, err);
    if (status == SX_OK)
        status = tr_segment_find(s, w->rows->rows[0].trace_id, &first, &count, err);
    span_batch *out = status == SX_OK ? span_batch_new(0) : NULL;
    if (status == SX_OK && !out)
        status = sx_fail_memory(err, "a batch");
    if (status == SX_OK)
        status = tr_segment_read(s, first, count, TR_WANT_ALL, out, err);
    if (status == SX_OK)
        status = tr_scan_new(s, &LEAF, 0, UINT64_MAX, &scan, err);
    if (status == SX_OK)
        status = tr_scan_next(scan, found, 64, &n, err);
    tr_reader *reader = status == SX_OK ? tr_reader_new(TR_WANT_ALL) : NULL;
    if (status == SX_OK && !reader)
        status = sx_fail_memory(err, "a reader");
    if (status == SX_OK)
        status = tr_reader_read(reader, s, (uint64_t[]){0, 20}, 2, 2, out, err);
    if (status == SX_OK) {
        tr_segment *inputs[] = {s, s};
        status = tr_segment_merge(w->other, inputs, 2, NULL, NULL, err);
    }
    if (status == SX_OK)
        status = tr_segment_verify(s, NULL, err);
    tr_scan_free(scan);
    tr_reader_free(reader);
    if (out)
        span_batch_unref(out);
    tr_segment_unref(s);
    return status;
}

static void make_rows(tr_rows *rows)
{
    sx_error err = {0};
    make_spans m = {
        .seed = 5, .start_ns = 1700000000000000000, .step_ns = 1000, .per_trace = 3, .rich = true};
    span_batch *b = make_batch(&m, 12);
    assert_int_equal(tr_rows_init(rows, &err), SX_OK);
    assert_int_equal(tr_rows_add(rows, b, &err), SX_OK);
    span_batch_unref(b);
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    segment_place p;
    tr_rows rows;
    place_make(&p);
    make_rows(&rows);
    work w = {p.path, p.other, &rows};
    sx_status status = SX_ENOMEM;
    for (int64_t n = 1; status != SX_OK; n++) {
        sx_error err = {0};
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        status = do_all(&w, &err);
        int64_t held = sx_fault_alloc_held();
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(held, 0);
        if (status != SX_OK && status != SX_ENOMEM)
            fail_msg("call %d: status %d: %s", (int)n, status, err.message);
        assert_true(n < 5000);
    }
    tr_rows_done(&rows);
    place_remove(&p);
}

static void a_full_disk_leaves_nothing(void **state)
{
    (void)state;
    segment_place p;
    tr_rows rows;
    place_make(&p);
    make_rows(&rows);
    sx_status status = SX_EIO;
    unsigned calls =
        SX_FAULT_OPEN | SX_FAULT_WRITE | SX_FAULT_SYNC | SX_FAULT_RENAME | SX_FAULT_CLOSE;
    for (int64_t n = 1; status != SX_OK; n++) {
        sx_error err = {0};
        sx_fault_file_set(
            (sx_fault_file){.nth = n, .calls = calls, .os_errno = ENOSPC, .torn_bytes = 100});
        status = tr_segment_write(p.path, &rows, &(tr_write_options){.sync = true}, NULL, &err);
        sx_fault_file_set((sx_fault_file){0});
        if (status != SX_OK) {
            char making[128];
            snprintf(making, sizeof making, "%s.tmp", p.path);
            assert_int_equal(err.os_errno, ENOSPC);
            assert_int_equal(access(making, F_OK), -1);
        }
        assert_true(n < 100);
    }
    tr_rows_done(&rows);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_spans_come_back),
        cmocka_unit_test(a_trace_may_cross_many_groups),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(memory_may_fail_anywhere),
        cmocka_unit_test(a_full_disk_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
