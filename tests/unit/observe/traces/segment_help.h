/* segment_help.h - segments made for a test: rows from batches, a file in a folder of its own. */
#ifndef TESTS_SEGMENT_HELP_H
#define TESTS_SEGMENT_HELP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/base/cmocka_all.h"

#include <sextant/file.h>

#include "observe/traces/segment.h"
#include "tests/unit/observe/traces/make_spans.h"

typedef struct segment_place {
    char folder[64], path[96], other[96];
} segment_place;

static inline void place_make(segment_place *p)
{
    snprintf(p->folder, sizeof p->folder, "/tmp/sx-segment-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->path, sizeof p->path, "%s/a.seg", p->folder);
    snprintf(p->other, sizeof p->other, "%s/b.seg", p->folder);
}

static inline void place_remove(const segment_place *p)
{
    unlink(p->path);
    unlink(p->other);
    assert_int_equal(rmdir(p->folder), 0); /* nothing else is left there */
}

/* Writes a batch as a segment and opens it. */
static inline tr_segment *segment_of(const char *path, const span_batch *batch)
{
    sx_error err = {0};
    tr_rows rows;
    tr_segment *s;
    tr_segment_info info;
    assert_int_equal(tr_rows_init(&rows, &err), SX_OK);
    assert_int_equal(tr_rows_add(&rows, batch, &err), SX_OK);
    tr_write_options options = {.sequence = 7};
    if (tr_segment_write(path, &rows, &options, &info, &err) != SX_OK)
        fail_msg("%s", err.message);
    tr_rows_done(&rows);
    if (tr_segment_open(path, &s, &err) != SX_OK)
        fail_msg("%s", err.message);
    assert_int_equal(info.rows, batch->count);
    assert_int_equal(tr_segment_about(s)->rows, batch->count);
    assert_int_equal(tr_segment_about(s)->bytes, info.bytes);
    return s;
}

/* All rows, read back. */
static inline span_batch *segment_rows(const tr_segment *s)
{
    sx_error err = {0};
    span_batch *out = span_batch_new(0);
    assert_non_null(out);
    if (tr_segment_read(s, 0, tr_segment_about(s)->rows, TR_WANT_ALL, out, &err) != SX_OK)
        fail_msg("%s", err.message);
    assert_int_equal(out->count, tr_segment_about(s)->rows);
    return out;
}

static inline int spans_by_id(const void *a, const void *b)
{
    const span *x = *(const span *const *)a, *y = *(const span *const *)b;
    int order = memcmp(x->trace_id, y->trace_id, 16);
    if (order == 0)
        order = memcmp(x->id, y->id, 8);
    return order ? order : (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

/* The same spans in any order (ids tell them apart). Both batches are sorted by it. */
static inline void assert_same_spans(span_batch *a, span_batch *b)
{
    assert_int_equal(a->count, b->count);
    qsort(a->spans, a->count, sizeof *a->spans, spans_by_id);
    qsort(b->spans, b->count, sizeof *b->spans, spans_by_id);
    for (size_t i = 0; i < a->count; i++)
        if (!make_same(a->spans[i], b->spans[i]))
            fail_msg("span %zu is another", i);
}

#endif
