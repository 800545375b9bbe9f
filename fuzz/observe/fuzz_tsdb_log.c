/* A segment of the log, any bytes: the reader comes to its end, every record that it gives is walked
 * through by the reader of its kind, and what a reader of samples accepts is written again and read
 * back the same. */
#include <sextant/file.h>

#include "observe/tsdb/record.h"
#include "observe/tsdb/wal.h"

static void rewrite_samples(sx_str record)
{
    tsdb_record_reader first, again;
    tsdb_record_writer w;
    sx_buf out;
    uint64_t ref, ref2;
    int64_t t, t2, start, start2;
    double v, v2;
    sx_error err = {0};
    sx_buf_init(&out, 0);
    sx_assert(tsdb_record_open(&first, record, &err) == SX_OK);
    tsdb_record_begin(&w, first.kind, &out);
    while (tsdb_record_next_sample(&first, &ref, &t, &start, &v, &err) == SX_OK)
        tsdb_record_sample(&w, ref, t, start, v);
    sx_assert(tsdb_record_open(&first, record, &err) == SX_OK);
    sx_assert(tsdb_record_open(&again, sx_buf_view(&out), &err) == SX_OK);
    while (tsdb_record_next_sample(&first, &ref, &t, &start, &v, &err) == SX_OK) {
        sx_assert(tsdb_record_next_sample(&again, &ref2, &t2, &start2, &v2, &err) == SX_OK);
        sx_assert(ref == ref2 && t == t2 && start == start2 && memcmp(&v, &v2, sizeof v) == 0);
    }
    sx_assert(tsdb_record_next_sample(&again, &ref2, &t2, &start2, &v2, &err) == SX_END);
    sx_buf_done(&out);
}

static void walk(sx_str record)
{
    tsdb_record_reader r;
    uint64_t ref;
    int64_t t, start;
    double v;
    bool integer;
    sx_str encoded;
    tsdb_labels labels;
    tsdb_metadata m;
    tsdb_histogram h;
    sx_arena arena;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 64 << 20);
    if (tsdb_record_open(&r, record, &err) != SX_OK) {
        sx_assert(err.message[0] != '\0');
    } else if (r.kind == TSDB_RECORD_SERIES) {
        while (tsdb_record_next_series(&r, &arena, &ref, &labels, &err) == SX_OK)
            ;
    } else if (r.kind == TSDB_RECORD_SAMPLES || r.kind == TSDB_RECORD_SAMPLES_V2) {
        rewrite_samples(record);
    } else if (r.kind == TSDB_RECORD_TOMBSTONES) {
        while (tsdb_record_next_tombstone(&r, &ref, &t, &start, &err) == SX_OK)
            ;
    } else if (r.kind == TSDB_RECORD_EXEMPLARS) {
        while (tsdb_record_next_exemplar(&r, &arena, &ref, &t, &v, &labels, &err) == SX_OK)
            ;
    } else if (r.kind == TSDB_RECORD_METADATA) {
        while (tsdb_record_next_metadata(&r, &ref, &m, &err) == SX_OK)
            ;
    } else if (r.kind != TSDB_RECORD_MMAP_MARKERS) {
        while (tsdb_record_next_histogram(&r, &ref, &t, &start, &integer, &encoded, &err) == SX_OK)
            (void)tsdb_record_get_histogram(encoded, integer, &arena, &h, &err);
    }
    sx_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tsdb_wal_reader r;
    sx_str record;
    sx_error err = {0};
    walk(sx_str_of(data, size)); /* the bytes as a record: checksums keep most from the other way */
    if (tsdb_wal_reader_open(&r, "/nonexistent", 0, 0, &err) != SX_OK)
        return 0;
    r.map = (sx_mapping){(const char *)data, size};
    r.open = true;
    sx_status status;
    while ((status = tsdb_wal_next(&r, &record, &err)) == SX_OK) {
        sx_assert(r.good_end <= size);
        walk(record);
    }
    sx_assert(status == SX_END && r.good_end <= size);
    r.open = false; /* the bytes are the fuzzer's */
    tsdb_wal_reader_close(&r);
    return 0;
}
