/* test_read.c - remote read over a real database: both kinds of response, external labels, limits and
 * bad requests. */
#include "tests/unit/observe/remote/fixture.h"

#include <sextant/hash.h>

#include "base/fault.h"
#include "observe/tsdb/chunk.h"

static bool gather(void *ctx, sx_str piece)
{
    sx_buf_str(ctx, piece);
    return true;
}

static bool refuse(void *ctx, sx_str piece)
{
    (void)piece;
    ++*(int *)ctx;
    return false;
}

static void put_matcher(sx_buf *b, int kind, const char *name, const char *value)
{
    size_t mark = sx_pb_begin(b, 3);
    sx_pb_put_u64(b, 1, (uint64_t)kind);
    sx_pb_put_str(b, 2, sx_str_z(name));
    sx_pb_put_str(b, 3, sx_str_z(value));
    sx_pb_end(b, mark);
}

/* A query for m{i=~"value"} over everything. */
static void put_query(sx_buf *b, const char *value)
{
    size_t mark = sx_pb_begin(b, 1);
    sx_pb_put_i64(b, 1, NOW_MS - 1000000000);
    sx_pb_put_i64(b, 2, NOW_MS + 1000000000);
    put_matcher(b, 0, "__name__", "m");
    put_matcher(b, 2, "i", value);
    put_matcher(b, 0, "region", "eu"); /* an external label */
    sx_pb_end(b, mark);
}

static void store_samples(fixture *f, int series, int samples)
{
    for (int i = 0; i < series; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        const char *const labels[] = {"__name__", "m", "i", number, NULL};
        for (int k = 0; k < samples; k++)
            wire_series(&f->plain, labels, i * 1000 + k, NOW_MS - 1000000 + k * 1000);
    }
    assert_int_equal(post(f, remote_write_v1), SX_OK);
}

static const tsdb_label EXTERNAL[] = {{SX_STR_INIT("i"), SX_STR_INIT("theirs")},
                                      {SX_STR_INIT("region"), SX_STR_INIT("eu")}};

static sx_status ask(fixture *f, const remote_read_options *more, bool *streamed, sx_buf *answer)
{
    remote_read_options options = more ? *more : (remote_read_options){0};
    options.external_labels = (tsdb_labels){EXTERNAL, 2};
    sx_str body = wire_pack(&f->plain, &f->packed);
    sx_status status =
        remote_read(tsdb_queryable_of(f->db), &options, body, streamed, gather, answer, &f->err);
    sx_buf_clear(&f->plain);
    return status;
}

typedef struct counts {
    size_t queries, series, samples, labels, frames;
    double sum;
    char order[256]; /* values of the label i */
} counts;

static void count_labels(sx_pb_reader *r, counts *n)
{
    sx_str name = {0}, value = {0};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        sx_str *to = sx_pb_field(r) == 1 ? &name : &value;
        *to = sx_pb_bytes(r);
    }
    sx_pb_leave(r, outer);
    n->labels++;
    if (sx_str_eq(name, SX_STR("i")))
        snprintf(n->order + strlen(n->order), sizeof n->order - strlen(n->order), "%.*s ",
                 SX_ARG(value));
}

static void count_chunk(sx_pb_reader *r, counts *n)
{
    sx_str bytes = {0};
    uint64_t encoding = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(3, SX_PB_VARINT))
            encoding = sx_pb_varint(r);
        else if (r->tag == SX_PB_TAG(4, SX_PB_BYTES))
            bytes = sx_pb_bytes(r);
        else
            sx_pb_skip(r);
    }
    sx_pb_leave(r, outer);
    tsdb_columns c;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    assert_int_equal(
        tsdb_chunk_read((tsdb_encoding)encoding, bytes, INT64_MIN, INT64_MAX, &c, NULL), SX_OK);
    n->samples += c.count;
    for (size_t i = 0; i < c.count; i++)
        n->sum += c.v[i];
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
}

/* A TimeSeries or ChunkedSeries. */
static void count_series(sx_pb_reader *r, counts *n, bool chunks)
{
    sx_pb_outer outer = sx_pb_enter(r);
    n->series++;
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(1, SX_PB_BYTES)) {
            count_labels(r, n);
        } else if (chunks) {
            count_chunk(r, n);
        } else {
            sx_pb_outer sample = sx_pb_enter(r);
            n->samples++;
            while (sx_pb_next(r))
                if (r->tag == SX_PB_TAG(1, SX_PB_FIXED64))
                    n->sum += sx_pb_double(r);
                else
                    sx_pb_skip(r);
            sx_pb_leave(r, sample);
        }
    }
    sx_pb_leave(r, outer);
}

static counts count_samples(const sx_buf *answer)
{
    counts n = {0};
    sx_buf plain;
    sx_pb_reader r;
    sx_buf_init(&plain, 0);
    assert_int_equal(sx_decompress(SX_CODEC_SNAPPY, sx_buf_view(answer), 1 << 30, &plain, NULL),
                     SX_OK);
    sx_pb_init(&r, sx_buf_view(&plain));
    while (sx_pb_next(&r)) {
        sx_pb_outer query = sx_pb_enter(&r);
        n.queries++;
        while (sx_pb_next(&r))
            count_series(&r, &n, false);
        sx_pb_leave(&r, query);
    }
    assert_int_equal(sx_pb_status(&r, "response", NULL), SX_OK);
    sx_buf_done(&plain);
    return n;
}

static counts count_frames(const sx_buf *answer)
{
    counts n = {0};
    sx_pb_reader r;
    sx_pb_init(&r, sx_buf_view(answer));
    while (r.at < r.end) {
        uint64_t len = sx_pb_varint(&r);
        uint32_t crc = __builtin_bswap32(sx_pb_fixed32(&r));
        assert_true(len <= (uint64_t)(r.end - r.at));
        assert_int_equal(sx_crc32c(0, r.at, len), crc);
        sx_pb_reader frame;
        sx_pb_init(&frame, sx_str_of(r.at, len));
        n.frames++;
        while (sx_pb_next(&frame))
            if (frame.tag == SX_PB_TAG(1, SX_PB_BYTES))
                count_series(&frame, &n, true);
            else
                n.queries = sx_pb_varint(&frame) + 1;
        assert_int_equal(sx_pb_status(&frame, "frame", NULL), SX_OK);
        r.at += len;
    }
    assert_int_equal(r.fault, SX_PB_FINE);
    return n;
}

static void test_samples_come_with_external_labels(void **state)
{
    fixture *f = *state;
    sx_buf answer;
    bool streamed = true;
    sx_buf_init(&answer, 0);
    store_samples(f, 3, 5);
    put_query(&f->plain, "[12]");
    put_query(&f->plain, "0");
    assert_int_equal(ask(f, NULL, &streamed, &answer), SX_OK);
    assert_false(streamed);
    counts n = count_samples(&answer);
    assert_int_equal(n.queries, 2);
    assert_int_equal(n.series, 3);
    assert_int_equal(n.samples, 15);
    assert_int_equal(n.labels, 9); /* name, i (its own one stays), region */
    assert_string_equal(n.order, "1 2 0 ");
    assert_true(n.sum == 5 * 3000 + 3 * 10);
    sx_buf_done(&answer);
}

static void test_chunks_are_streamed_in_frames(void **state)
{
    fixture *f = *state;
    sx_buf answer;
    bool streamed = false;
    sx_buf_init(&answer, 0);
    store_samples(f, 2, 500);
    put_query(&f->plain, ".*");
    sx_pb_put_u64(&f->plain, 2, 7); /* a type of the future */
    sx_pb_put_u64(&f->plain, 2, 1);
    sx_pb_put_u64(&f->plain, 2, 0);
    remote_read_options small = {.frame_bytes_max = 400};
    assert_int_equal(ask(f, &small, &streamed, &answer), SX_OK);
    assert_true(streamed);
    counts n = count_frames(&answer);
    assert_int_equal(n.samples, 1000);
    assert_true(n.frames > 2);
    assert_true(n.sum == 500 * 1000.0 + 2 * 499 * 250.0);
    sx_buf_done(&answer);
}

static void test_limits_and_bad_requests_are_named(void **state)
{
    fixture *f = *state;
    sx_buf answer;
    bool streamed;
    int calls = 0;
    sx_buf_init(&answer, 0);
    store_samples(f, 2, 10);
    put_query(&f->plain, ".*");
    remote_read_options few = {.samples_max = 19};
    assert_int_equal(ask(f, &few, &streamed, &answer), SX_ELIMIT);
    assert_string_equal(f->err.message, "exceeded sample limit (19)");
    put_query(&f->plain, "(");
    assert_int_equal(ask(f, NULL, &streamed, &answer), SX_EFORMAT);
    put_query(&f->plain, ".*");
    sx_pb_put_u64(&f->plain, 2, 7);
    assert_int_equal(ask(f, NULL, &streamed, &answer), SX_EINVAL);
    put_query(&f->plain, ".*");
    remote_read_options options = {0};
    assert_int_equal(remote_read(tsdb_queryable_of(f->db), &options,
                                 wire_pack(&f->plain, &f->packed), &streamed, refuse, &calls,
                                 &f->err),
                     SX_ECANCELED);
    assert_int_equal(calls, 1);
    sx_buf_done(&answer);
}

static void test_a_request_cut_anywhere_and_failing_memory(void **state)
{
    fixture *f = *state;
    sx_buf answer, whole;
    bool streamed;
    sx_buf_init(&answer, 0);
    sx_buf_init(&whole, 0);
    store_samples(f, 2, 10);
    put_query(&whole, ".*");
    for (size_t cut = 0; cut < whole.len; cut++) {
        sx_buf_bytes(&f->plain, whole.data, cut);
        sx_status status = ask(f, NULL, &streamed, &answer);
        assert_true(status == SX_OK || status == SX_EFORMAT || status == SX_EINVAL);
    }
    sx_pb_put_u64(&whole, 2, 1);
    for (unsigned kind = 0; kind < 2; kind++) {
        sx_str body = wire_pack(&whole, &f->packed);
        for (int64_t n = 1;; n++) {
            remote_read_options options = {0};
            sx_buf_done(&answer);
            sx_fault_alloc_set((sx_fault_alloc){.nth = n});
            sx_status status = remote_read(tsdb_queryable_of(f->db), &options, body, &streamed,
                                           gather, &answer, &f->err);
            int64_t calls = sx_fault_alloc_calls();
            sx_fault_alloc_set((sx_fault_alloc){0});
            assert_true(status == SX_OK || status == SX_ENOMEM);
            if (calls < n)
                break;
        }
        whole.len -= 2; /* samples, the second time */
    }
    sx_buf_done(&answer);
    sx_buf_done(&whole);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_samples_come_with_external_labels),
        TEST(test_chunks_are_streamed_in_frames),
        TEST(test_limits_and_bad_requests_are_named),
        TEST(test_a_request_cut_anywhere_and_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
