/* test_reader.c - answers of remote read, as our own server writes them, read back; answers cut short
 * at every byte; without memory. What goes over the network is in tests/e2e. */
#include "tests/unit/observe/remote/fixture.h"

#include "base/fault.h"
#include "observe/remote/reader_internal.h"

enum { SERIES = 3, SAMPLES = 300 };
static const read_limits LIMITS = {.frame_bytes_max = 50 << 20, .plain_bytes_max = 64 << 20};
static const tsdb_label EXTERNAL[] = {{SX_STR_INIT("region"), SX_STR_INIT("eu")}};

static bool gather(void *ctx, sx_str piece)
{
    sx_buf_str(ctx, piece);
    return true;
}

static void store_samples(fixture *f)
{
    for (int i = 0; i < SERIES; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        const char *const labels[] = {"__name__", "m", "i", number, NULL};
        for (int k = 0; k < SAMPLES; k++)
            wire_series(&f->plain, labels, i * 1000 + k, NOW_MS - 1000000 + k * 1000);
    }
    assert_int_equal(post(f, remote_write_v1), SX_OK);
}

typedef struct asking {
    tsdb_matcher matcher;
    read_question question;
    read_answer answer;
} asking;

/* Asks our own server, which knows the external label, for all that m is. `streamed` false: the
 * accepted types are cut off the request. */
static void ask(fixture *f, asking *a, bool streamed, int64_t min_t, int64_t max_t)
{
    sx_buf packed, plain;
    const remote_read_options options = {.external_labels = {EXTERNAL, 1}, .frame_bytes_max = 100};
    assert_int_equal(
        tsdb_matcher_init(&a->matcher, TSDB_MATCH_EQUAL, TSDB_METRIC_NAME, SX_STR("m"), &f->err),
        SX_OK);
    a->question = (read_question){.min_t = min_t,
                                  .max_t = max_t,
                                  .matchers = &a->matcher,
                                  .matcher_count = 1,
                                  .external = {EXTERNAL, 1}};
    sx_buf_init(&packed, 0);
    sx_buf_init(&plain, 0);
    sx_buf_init(&a->answer.body, 0);
    sx_buf_init(&a->answer.plain, 0);
    assert_int_equal(read_question_write(&a->question, &packed, &f->err), SX_OK);
    if (!streamed) { /* field 2, four bytes, is the last one */
        assert_int_equal(
            sx_decompress(SX_CODEC_SNAPPY, sx_buf_view(&packed), 1 << 20, &plain, &f->err), SX_OK);
        plain.len -= 4;
        sx_buf_clear(&packed);
        wire_pack(&plain, &packed);
    }
    bool is_stream;
    assert_int_equal(remote_read(tsdb_queryable_of(f->db), &options, sx_buf_view(&packed),
                                 &is_stream, gather, &a->answer.body, &f->err),
                     SX_OK);
    assert_int_equal(is_stream, streamed);
    sx_buf_done(&packed);
    sx_buf_done(&plain);
}

static void asking_done(asking *a)
{
    tsdb_matcher_done(&a->matcher);
    sx_buf_done(&a->answer.body);
    sx_buf_done(&a->answer.plain);
}

/* The samples of series `i`, whose parts may be several frames. */
static size_t read_all(fixture *f, const asking *a, const char *i, tsdb_columns *c)
{
    for (size_t k = 0; k < a->answer.count; k++) {
        const read_series *s = &a->answer.items[k];
        assert_int_equal(tsdb_labels_get(s->labels, SX_STR("region")).len, 0);
        if (sx_str_eq(tsdb_labels_get(s->labels, SX_STR("i")), sx_str_z(i)))
            assert_int_equal(read_series_samples(s, 0, INT64_MAX, c, &f->err), SX_OK);
    }
    return c->count;
}

static void check_answer(fixture *f, bool streamed)
{
    asking a = {0};
    tsdb_columns c;
    store_samples(f);
    ask(f, &a, streamed, NOW_MS - 1000000 + 10000, NOW_MS - 1000000 + 250000);
    assert_int_equal(
        read_answer_parse(&a.answer, &a.question, streamed, &LIMITS, &f->arena, &f->err), SX_OK);
    assert_true(streamed ? a.answer.count > SERIES : a.answer.count == SERIES);
    tsdb_columns_init(&c, &f->arena);
    assert_int_equal(read_all(f, &a, "2", &c), 241); /* what lies outside was not asked for */
    for (size_t k = 0; k < c.count; k++) {
        assert_int_equal(c.t[k], NOW_MS - 1000000 + 10000 + (int64_t)k * 1000);
        assert_true(c.v[k] == 2010 + (double)k);
    }
    tsdb_columns_done(&c);
    asking_done(&a);
}

static void test_samples_are_read_back(void **state)
{
    check_answer(*state, false);
}

static void test_streamed_chunks_are_read_back(void **state)
{
    check_answer(*state, true);
}

static void test_an_answer_cut_short_is_refused_or_shorter(void **state)
{
    fixture *f = *state;
    for (int streamed = 0; streamed < 2; streamed++) {
        asking a = {0};
        size_t whole_frames = 0;
        if (!streamed)
            store_samples(f);
        ask(f, &a, streamed, 0, NOW_MS);
        size_t len = a.answer.body.len;
        for (size_t cut = 0; cut < len; cut++) {
            a.answer.count = a.answer.cap = 0;
            a.answer.items = NULL;
            a.answer.body.len = cut;
            sx_buf_clear(&a.answer.plain);
            f->err.message[0] = '\0';
            sx_status st =
                read_answer_parse(&a.answer, &a.question, streamed, &LIMITS, &f->arena, &f->err);
            if (st == SX_OK)
                whole_frames++; /* nothing tells that more was to come */
            else
                assert_true(f->err.message[0] != '\0');
            sx_arena_reset(&f->arena);
        }
        assert_true(streamed ? whole_frames > SERIES : whole_frames == 0);
        asking_done(&a);
    }
}

static void test_a_frame_above_the_limit_is_refused(void **state)
{
    fixture *f = *state;
    asking a = {0};
    const read_limits small = {.frame_bytes_max = 100, .plain_bytes_max = 100};
    store_samples(f);
    for (int streamed = 0; streamed < 2; streamed++) {
        ask(f, &a, streamed, 0, NOW_MS);
        assert_int_equal(
            read_answer_parse(&a.answer, &a.question, streamed, &small, &f->arena, &f->err),
            SX_ELIMIT);
        asking_done(&a);
        a = (asking){0};
    }
}

static void test_without_memory_reading_fails_whole(void **state)
{
    fixture *f = *state;
    store_samples(f);
    for (int streamed = 0; streamed < 2; streamed++) {
        asking a = {0};
        ask(f, &a, streamed, 0, NOW_MS);
        for (int64_t n = 1;; n++) {
            sx_arena arena;
            tsdb_columns c;
            sx_arena_init(&arena, 0, 0);
            tsdb_columns_init(&c, &arena);
            a.answer.count = a.answer.cap = 0;
            a.answer.items = NULL;
            sx_buf_done(&a.answer.plain);
            sx_buf_init(&a.answer.plain, 0);
            sx_fault_alloc_set((sx_fault_alloc){.nth = n});
            sx_status st =
                read_answer_parse(&a.answer, &a.question, streamed, &LIMITS, &arena, &f->err);
            for (size_t i = 0; i < a.answer.count && st == SX_OK; i++)
                st = read_series_samples(&a.answer.items[i], 0, INT64_MAX, &c, &f->err);
            int64_t calls = sx_fault_alloc_calls();
            sx_fault_alloc_set((sx_fault_alloc){0});
            tsdb_columns_done(&c);
            sx_arena_done(&arena);
            if (calls < n) {
                assert_int_equal(st, SX_OK);
                break;
            }
            assert_int_equal(st, SX_ENOMEM);
        }
        asking_done(&a);
    }
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_samples_are_read_back),
        T(test_streamed_chunks_are_read_back),
        T(test_an_answer_cut_short_is_refused_or_shorter),
        T(test_a_frame_above_the_limit_is_refused),
        T(test_without_memory_reading_fails_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
