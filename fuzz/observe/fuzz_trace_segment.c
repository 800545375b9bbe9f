/* A segment of which some bytes were changed, with all checksums set right again: nothing crashes,
 * a refusal has a message; and of one that passes tr_segment_verify, searches find what
 * span_filter_match says of the rows read, and merges keep every row. The input is a list of
 * changes: two bytes of offset, one byte of value. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sextant/hash.h>

#include "observe/traces/segment_impl.h"
#include "tests/unit/observe/traces/make_spans.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64], other[64]; /* one process, one file */
static sx_buf original;          /* a small segment, made once */

static void make_original(void)
{
    sx_error err = {0};
    tr_rows rows;
    make_spans m = {
        .seed = 5, .start_ns = 1700000000000000000, .step_ns = 1000, .per_trace = 5, .rich = true};
    span_batch *b = make_batch(&m, 20);
    snprintf(path, sizeof path, "/tmp/fuzz-segment-%d", (int)getpid());
    snprintf(other, sizeof other, "/tmp/fuzz-segment-%d.merged", (int)getpid());
    sx_assert(tr_rows_init(&rows, &err) == SX_OK && tr_rows_add(&rows, b, &err) == SX_OK);
    sx_assert(tr_segment_write(path, &rows, NULL, NULL, &err) == SX_OK);
    sx_assert(sx_file_read(path, 0, &original, &err) == SX_OK);
    tr_rows_done(&rows);
    span_batch_unref(b);
}

/* Sets all checksums that can be reached. */
static void mend(char *bytes, size_t len)
{
    tr_trailer t;
    memcpy(&t, bytes + len - sizeof t, sizeof t);
    uint64_t table = (uint64_t)t.section_count * sizeof(tr_section);
    if (t.table_offset <= len && table <= len - t.table_offset) {
        for (uint32_t i = 0; i < t.section_count; i++) {
            tr_section s;
            char *at = bytes + t.table_offset + i * sizeof s;
            memcpy(&s, at, sizeof s);
            if (s.offset > len || s.len > len - s.offset)
                continue;
            for (uint64_t g = 0; s.kind == TR_SECTION_GROUPS && g < s.len / sizeof(tr_summary);
                 g++) {
                tr_summary sum;
                memcpy(&sum, bytes + s.offset + g * sizeof sum, sizeof sum);
                if (sum.offset > len || (uint64_t)sum.len + sum.filter_len > len - sum.offset)
                    continue;
                sum.crc = sx_crc32c(0, bytes + sum.offset, sum.len);
                sum.filter_crc = sx_crc32c(0, bytes + sum.offset + sum.len, sum.filter_len);
                memcpy(bytes + s.offset + g * sizeof sum, &sum, sizeof sum);
            }
            s.crc = sx_crc32c(0, bytes + s.offset, s.len);
            memcpy(at, &s, sizeof s);
        }
        t.table_crc = sx_crc32c(0, bytes + t.table_offset, table);
    }
    t.crc = sx_crc32c(0, &t, offsetof(tr_trailer, crc));
    memcpy(bytes + len - sizeof t, &t, sizeof t);
}

static span_filter leaf(filter_field field, const char *key, filter_op op, span_value value)
{
    return (span_filter){
        .kind = FILTER_LEAF, .field = field, .key = sx_str_z(key), .op = op, .value = value};
}

static void search(const tr_segment *s, const span_filter *filter, const span_batch *rows)
{
    sx_error err = {0};
    tr_scan *scan;
    uint64_t found[32], hits = 0, want = 0;
    size_t count = 0;
    sx_status status = tr_scan_new(s, filter, 0, UINT64_MAX, &scan, &err);
    sx_assert(status == SX_OK);
    do {
        status = tr_scan_next(scan, found, 32, &count, &err);
        for (size_t i = 0; i < count; i++)
            sx_assert(!rows || span_filter_match(filter, rows->spans[found[i]]));
        hits += count;
    } while (status == SX_OK && count);
    sx_assert(status == SX_OK || err.message[0]);
    for (size_t i = 0; rows && i < rows->count; i++)
        want += span_filter_match(filter, rows->spans[i]);
    sx_assert(!rows || (status == SX_OK && hits == want));
    tr_scan_free(scan);
}

static bool any_value(void *ctx, const span_value *v)
{
    (void)ctx, (void)v;
    return true;
}

/* A merge that need not unpack anything. */
static void copy(tr_segment *s, bool good)
{
    sx_error err = {0};
    tr_segment *copied;
    tr_segment_info info;
    sx_status status =
        tr_segment_merge(other, &s, 1, &(tr_write_options){.copy_least = 1}, &info, &err);
    sx_assert(status == SX_OK ? info.rows == tr_segment_about(s)->rows : !good);
    if (status != SX_OK)
        return;
    sx_assert(tr_segment_open(other, &copied, &err) == SX_OK);
    sx_assert(!good || tr_segment_verify(copied, NULL, &err) == SX_OK);
    tr_segment_unref(copied);
}

static void use(tr_segment *s)
{
    sx_error err = {0};
    const span_value get = {.data = "GET", .len = 3, .type = SPAN_STR},
                     list = {.data = "[1,\"two\"]", .len = 9, .type = SPAN_STR},
                     number = {.i = 300, .type = SPAN_INT};
    const span_filter filters[] = {
        leaf(FILTER_ATTRIBUTE, "http.request.method", FILTER_EQ, get),
        leaf(FILTER_ATTRIBUTE, "list", FILTER_TEXT, list),
        leaf(FILTER_ATTRIBUTE, "net.bytes", FILTER_GT, number),
        leaf(FILTER_ATTRIBUTE, "link.order", FILTER_EXISTS, number),
        leaf(FILTER_DURATION, "", FILTER_LT, (span_value){.i = 9000000, .type = SPAN_INT}),
        leaf(FILTER_EVENT_NAME, "", FILTER_NE, get),
        leaf(FILTER_PARENT_ID, "", FILTER_NE, get),
    };
    uint64_t first, count;
    uint8_t id[16] = {1};
    bool good = tr_segment_verify(s, NULL, &err) == SX_OK;
    sx_assert(good || err.message[0]);
    span_batch *rows = span_batch_new(0);
    sx_assert(rows);
    uint64_t all = tr_segment_about(s)->rows;
    sx_status status = tr_segment_read(s, 0, all, TR_WANT_ALL, rows, &err);
    sx_assert(status == SX_OK || !good);
    if (rows->count)
        memcpy(id, rows->spans[0]->trace_id, sizeof id);
    status = tr_segment_find(s, id, &first, &count, &err);
    sx_assert(status == SX_OK || !good);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        search(s, &filters[i], good ? rows : NULL);
    (void)tr_segment_values(s, 0, SX_STR("user.id"), any_value, NULL, &err);
    tr_segment_info info;
    tr_segment *inputs[] = {s, s};
    status = tr_segment_merge(other, inputs, 2, NULL, &info, &err);
    sx_assert(status == SX_OK || !good);
    sx_assert(!good || info.rows == 2 * all);
    copy(s, good);
    span_batch_unref(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_error err = {0};
    tr_segment *s;
    if (!original.len)
        make_original();
    char *bytes = malloc(original.len);
    if (!bytes)
        return 0;
    memcpy(bytes, original.data, original.len);
    for (; size >= 3; size -= 3, data += 3)
        bytes[((size_t)data[0] << 8 | data[1]) % original.len] = (char)data[2];
    mend(bytes, original.len);
    FILE *f = fopen(path, "wb");
    sx_assert(f && fwrite(bytes, 1, original.len, f) == original.len && fclose(f) == 0);
    free(bytes);
    if (tr_segment_open(path, &s, &err) == SX_OK) {
        use(s);
        tr_segment_unref(s);
    } else {
        sx_assert(err.message[0]);
    }
    unlink(path);
    unlink(other);
    return 0;
}
