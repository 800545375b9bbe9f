/* test_search.c - Tempo's older search, by tags in logfmt: each is text, or what TraceQL can read. */
#include "tests/unit/base/cmocka_all.h"

#include <sextant/clock.h>

#include "observe/spans/otlp.h"
#include "observe/tempo/tempo.h"
#include "tests/unit/base/temp_folder.h"

#define START UINT64_C(1700000000000000000)

static const char SPANS[] =
    "{\"resourceSpans\":[{\"resource\":{},\"scopeSpans\":[{\"spans\":[{"
    "\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"00000000000000a1\","
    "\"name\":\"sell\",\"startTimeUnixNano\":\"1700000000000000000\","
    "\"endTimeUnixNano\":\"1700000001000000000\",\"attributes\":["
    "{\"key\":\"n\",\"value\":{\"intValue\":\"7\"}},"
    "{\"key\":\"part\",\"value\":{\"doubleValue\":-0.5}},"
    "{\"key\":\"long\",\"value\":{\"stringValue\":\"99999999999999999999\"}},"
    "{\"key\":\"least\",\"value\":{\"stringValue\":\"-9223372036854775808\"}},"
    "{\"key\":\"low\",\"value\":{\"stringValue\":\"-inf\"}},"
    "{\"key\":\"mask\",\"value\":{\"stringValue\":\"0X1F\"}},"
    "{\"key\":\"dot\",\"value\":{\"stringValue\":\"7.\"}},"
    "{\"key\":\"stadt\",\"value\":{\"stringValue\":\"K\xc3\xb6ln\"}},"
    "{\"key\":\"\xc3\xb6rtlich\",\"value\":{\"boolValue\":true}}]}]}]}]}";

typedef struct world {
    temp_folder folder;
    sx_fake_clock clock;
    tr_store *store;
} world;

static int begin(void **state)
{
    static world w;
    sx_error err = {0};
    assert_int_equal(temp_folder_make(&w.folder), 0);
    sx_fake_clock_init(&w.clock, (int64_t)(START / 1000000) + 60000);
    tr_store_options options = {.dir = w.folder.path,
                                .clock = &w.clock.clock,
                                .shards = 1,
                                .search_threads = 1,
                                .fsync = TR_FSYNC_NONE,
                                .disk_free_min = 1};
    assert_int_equal(tr_store_open(&options, &w.store, &err), SX_OK);
    span_batch *b = span_batch_new(0);
    assert_non_null(b);
    if (span_read_otlp_json(sx_str_z(SPANS), NULL, b, NULL, &err) != SX_OK ||
        tr_store_append(w.store, b, &err) != SX_OK)
        fail_msg("%s", err.message);
    span_batch_unref(b);
    *state = &w;
    return 0;
}

static int end(void **state)
{
    world *w = *state;
    tr_store_close(w->store);
    folder_remove(w->folder.path);
    return 0;
}

/* The answer's status, or 0 if it is a good one that holds no trace. */
static int search(world *w, const char *tags)
{
    sx_arena arena;
    sx_buf out;
    tempo_param param = {SX_STR("tags"), sx_str_z(tags)};
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&out, 0);
    tempo_call call = {
        .store = w->store, .arena = &arena, .params = &param, .param_count = 1, .out = &out};
    tempo_search(&call);
    sx_str answer = sx_buf_view(&out);
    bool found = sx_str_find(answer, SX_STR("\"traceID\":\"af7651")) < answer.len;
    sx_buf_done(&out);
    sx_arena_done(&arena);
    return call.status == 200 && !found ? 0 : call.status;
}

static void tags_are_text_or_literals(void **state)
{
    static const struct {
        const char *tags;
        int status;
    } CASES[] = {
        {"n=7", 200},
        {"n=8", 0},
        {"n=7e0", 200},
        {"n=70.0e-1", 200},
        {"part=-.5", 200},
        {"part=-0.5 n=7", 200},
        {"part=0.5", 0},
        {"long=99999999999999999999", 200},
        {"long=99999999999999999998", 0},
        {"least=-9223372036854775808", 200},
        {"low=-inf", 200},
        {"mask=0X1F", 200},
        {"dot=7.", 200},
        {"dot=7.e", 0},
        {"dot=-", 0},
        {"n=7e+", 0},
        {"stadt=K\xc3\xb6ln", 200},
        {"stadt=K\xc3\xb6ln n=7", 200},
        {"stadt=\"K\xc3\xb6ln\"", 200},
        {"\xc3\xb6rtlich=true", 200},
        {"=7", 400},
        {"stadt=\"K", 400},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++)
        if (search(*state, CASES[i].tags) != CASES[i].status)
            fail_msg("%s: %d", CASES[i].tags, search(*state, CASES[i].tags));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tags_are_text_or_literals)};
    return cmocka_run_group_tests(tests, begin, end);
}
