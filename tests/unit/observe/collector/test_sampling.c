/* Strategies of a file and adaptive ones, by a clock moved by hand. */
#include "derive_fixture.h"

#include <pthread.h>
#include <unistd.h>

#include "base/fault.h"
#include "observe/collector/sampling_impl.h"

static void expect(sampling *s, const char *service, sampling_form form, const char *want)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    sampling_answer(s, sx_str_z(service), form, &out);
    assert_false(out.failed);
    if (!sx_str_eq(sx_buf_view(&out), sx_str_z(want)))
        print_error("got %.*s\n", (int)out.len, out.data);
    assert_true(sx_str_eq(sx_buf_view(&out), sx_str_z(want)));
    sx_buf_done(&out);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static sampling *open_file(const char *path, const char *text, const sx_clock *clock)
{
    sampling *s;
    sx_error err = {0};
    write_file(path, text);
    sampling_options o = {.file = path, .clock = clock};
    assert_int_equal(sampling_new(&o, &s, &err), SX_OK);
    return s;
}

static char path[] = "/tmp/sx-sampling-XXXXXX";

static int make_path(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void test_a_file_is_answered_as_jaeger_does(void **state)
{
    (void)state;
    sampling *s = open_file(
        path,
        "{\"service_strategies\":[{\"service\":\"foo\",\"type\":\"probabilistic\",\"param\":0.8,"
        "\"operation_strategies\":[{\"operation\":\"op1\",\"type\":\"probabilistic\",\"param\":0.2},"
        "{\"operation\":\"<op2>\",\"type\":\"ratelimiting\",\"param\":10}]},"
        "{\"service\":\"bar\",\"type\":\"ratelimiting\",\"param\":5}],"
        "\"default_strategy\":{\"type\":\"probabilistic\",\"param\":0.5,\"operation_strategies\":["
        "{\"operation\":\"/health\",\"type\":\"probabilistic\",\"param\":0},"
        "{\"operation\":\"op1\",\"type\":\"probabilistic\",\"param\":1e-7}]}}",
        NULL);
    expect(s, "foo", SAMPLING_JSON,
           "{\"strategyType\":\"PROBABILISTIC\",\"probabilisticSampling\":{\"samplingRate\":0.8},"
           "\"operationSampling\":{\"defaultSamplingProbability\":0.8,"
           "\"defaultLowerBoundTracesPerSecond\":0,\"perOperationStrategies\":["
           "{\"operation\":\"op1\",\"probabilisticSampling\":{\"samplingRate\":0.2}},"
           "{\"operation\":\"/health\",\"probabilisticSampling\":{\"samplingRate\":0}}],"
           "\"defaultUpperBoundTracesPerSecond\":0}}");
    expect(s, "bar", SAMPLING_LEGACY,
           "{\"strategyType\":1,\"rateLimitingSampling\":{\"maxTracesPerSecond\":5},"
           "\"operationSampling\":{\"defaultSamplingProbability\":0.5,"
           "\"defaultLowerBoundTracesPerSecond\":0,\"perOperationStrategies\":["
           "{\"operation\":\"/health\",\"probabilisticSampling\":{\"samplingRate\":0}},"
           "{\"operation\":\"op1\",\"probabilisticSampling\":{\"samplingRate\":1e-7}}]}}");
    sampling_free(s);
    s = open_file(path, "{\"default_strategy\":{\"type\":\"ratelimiting\",\"param\":2.9}}", NULL);
    expect(
        s, "any", SAMPLING_JSON,
        "{\"strategyType\":\"RATE_LIMITING\",\"rateLimitingSampling\":{\"maxTracesPerSecond\":2}}");
    expect(s, "any", SAMPLING_PROTO, "\x08\x01\x1a\x02\x08\x02");
    sampling_free(s);
    s = open_file(path, "{}", NULL);
    expect(s, "any", SAMPLING_LEGACY,
           "{\"strategyType\":0,\"probabilisticSampling\":{\"samplingRate\":0.001}}");
    sampling_free(s);
}

static void test_a_file_that_changes_is_read_again(void **state)
{
    sx_fake_clock clock;
    (void)state;
    sx_fake_clock_init(&clock, 1700000000000);
    sampling *s = open_file(
        path, "{\"default_strategy\":{\"type\":\"probabilistic\",\"param\":0.5}}", &clock.clock);
    write_file(path, "{\"default_strategy\":{\"type\":\"probabilistic\",\"param\":0.125}}");
    sx_fake_clock_advance(&clock, 1000);
    sampling_tick(s);
    expect(
        s, "any", SAMPLING_JSON,
        "{\"strategyType\":\"PROBABILISTIC\",\"probabilisticSampling\":{\"samplingRate\":0.125}}");
    write_file(path, "{\"default_strategy\":\n {\"type\":\"sometimes\"}}");
    sx_fake_clock_advance(&clock, 1000);
    sampling_tick(s); /* told, the old one stays */
    expect(
        s, "any", SAMPLING_JSON,
        "{\"strategyType\":\"PROBABILISTIC\",\"probabilisticSampling\":{\"samplingRate\":0.125}}");
    sx_error err = {0};
    assert_int_equal(sampling_reload(s, &err), SX_EFORMAT);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, "line 2"));
    assert_non_null(strstr(err.message, "'sometimes'"));
    sampling_free(s);
}

static void test_bad_files_are_refused(void **state)
{
    static const char *const BAD[] = {
        "",
        "[]",
        "{\"default_strategy\":[]}",
        "{\"service_strategies\":{}}",
        "{\"default_strategy\":{\"type\":\"probabilistic\",\"param\":1.5}}",
        "{\"default_strategy\":{\"type\":\"probabilistic\",\"param\":-1}}",
        "{\"default_strategy\":{\"type\":\"ratelimiting\",\"param\":-1}}",
        "{\"default_strategy\":{\"type\":\"ratelimiting\",\"param\":1e12}}",
        "{\"service_strategies\":[{\"service\":7}]}"};
    static const char WHOLE[] =
        "{\"service_strategies\":[{\"service\":\"foo\",\"type\":\"probabilistic\",\"param\":0.8,"
        "\"operation_strategies\":[{\"operation\":\"op1\",\"type\":\"probabilistic\",\"param\":0.2}]}]}";
    sampling_file *f;
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(BAD); i++) {
        sx_error err = {0};
        assert_int_not_equal(sampling_file_parse(sx_str_z(BAD[i]), 0.001, &f, NULL, &err), SX_OK);
        assert_true(err.message[0]);
    }
    for (size_t len = 0; len + 1 < sizeof(WHOLE) - 1; len++)
        assert_int_not_equal(sampling_file_parse(sx_str_of(WHOLE, len), 0.001, &f, NULL, NULL),
                             SX_OK);
    for (int64_t nth = 1;; nth++) {
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status st = sampling_file_parse(sx_str_z(WHOLE), 0.001, &f, NULL, NULL);
        if (st == SX_OK)
            sampling_file_free(f);
        bool reached = sx_fault_alloc_calls() >= nth;
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (!reached)
            break;
        assert_int_equal(st, SX_ENOMEM);
    }
}

/* --- Adaptive. */

typedef struct adapting {
    sx_fake_clock clock;
    sampling *s;
} adapting;

static void open_adaptive(adapting *a, int64_t delay_ms)
{
    sx_error err = {0};
    sx_fake_clock_init(&a->clock, 1700000000000);
    sampling_options o = {.clock = &a->clock.clock,
                          .delay_ms = delay_ms,
                          .initial_probability = 0.1,
                          .target_per_second = 2};
    assert_int_equal(sampling_new(&o, &a->s, &err), SX_OK);
}

/* One interval in which clients sampled `count` traces with that probability. */
static void interval(adapting *a, int count, double probability, const char *type)
{
    made in;
    made_init(&in, "shop");
    const span_attr attrs[] = {
        {"sampler.type", 12, {{.data = type}, (uint32_t)strlen(type), SPAN_STR}},
        {"sampler.param", 13, {{.d = probability}, 0, SPAN_DOUBLE}}};
    for (int i = 0; i < count; i++) {
        add_span(&in, "GET /", SPAN_SERVER, 1, 1, 1, 0)->attrs = (span_attrs){attrs, 2, 0};
        add_span(&in, "child", SPAN_SERVER, 1, 1, 1, 1)->attrs = (span_attrs){attrs, 2, 0};
        add_span(&in, "untagged", SPAN_SERVER, 1, 1, 1, 0);
    }
    sampling_take(a->s, in.batch);
    span_batch_unref(in.batch);
    sx_fake_clock_advance(&a->clock, 60000);
    sampling_tick(a->s);
}

static double probability(adapting *a)
{
    sx_buf out;
    double p = -1;
    sx_buf_init(&out, 0);
    sampling_answer(a->s, SX_STR("shop"), SAMPLING_JSON, &out);
    sx_buf_byte(&out, '\0');
    const char *at = strstr(out.data, "{\"operation\":\"GET /\",\"probabilisticSampling\":");
    if (at)
        sscanf(at, "{\"operation\":\"GET /\",\"probabilisticSampling\":{\"samplingRate\":%lf", &p);
    assert_null(strstr(out.data, "child"));
    assert_null(strstr(out.data, "untagged"));
    sx_buf_done(&out);
    return p;
}

#define IS(p, want) assert_true((p) > (want) - 1e-12 && (p) < (want) + 1e-12)

static void test_a_probability_goes_to_the_target(void **state)
{
    adapting a;
    (void)state;
    open_adaptive(&a, -1);
    expect(a.s, "shop", SAMPLING_JSON,
           "{\"strategyType\":\"PROBABILISTIC\",\"operationSampling\":{"
           "\"defaultSamplingProbability\":0.1,"
           "\"defaultLowerBoundTracesPerSecond\":0.016666666666666666,"
           "\"perOperationStrategies\":[],\"defaultUpperBoundTracesPerSecond\":0}}");
    interval(&a, 600, 0.1, "probabilistic"); /* 10 a second, five times the target */
    IS(probability(&a), 0.02);
    interval(&a, 130, 0.02, "probabilistic"); /* 2.17: near enough */
    IS(probability(&a), 0.02);
    interval(&a, 60, 0.02, "probabilistic"); /* half of it */
    IS(probability(&a), 0.04);
    interval(&a, 6, 0.04, "probabilistic"); /* it doubles at most */
    IS(probability(&a), 0.08);
    interval(&a, 600, 0.5, "probabilistic"); /* clients that follow somebody else */
    IS(probability(&a), 0.08);
    interval(&a, 5, 0.08, "lowerbound"); /* none by probability */
    IS(probability(&a), 0.16);
    for (int i = 0; i < 9; i++)
        interval(&a, 0, 0, "probabilistic");
    assert_true(probability(&a) > 0);
    interval(&a, 0, 0, "probabilistic"); /* ten intervals of silence */
    IS(probability(&a), -1);
    sampling_free(a.s);
}

static void test_what_is_too_new_waits(void **state)
{
    adapting a;
    (void)state;
    open_adaptive(&a, 120000);
    interval(&a, 600, 0.1, "probabilistic");
    IS(probability(&a), -1);
    interval(&a, 0, 0.1, "probabilistic");
    IS(probability(&a), -1);
    interval(&a, 0, 0.1, "probabilistic");
    IS(probability(&a), 0.02);
    sampling_free(a.s);
}

static void test_operations_are_bounded(void **state)
{
    made in;
    sampling *s;
    sx_fake_clock clock;
    static const span_attr ATTRS_OF[] = {TEXT_ATTR("sampler.type", "probabilistic"),
                                         TEXT_ATTR("sampler.param", "0.001")};
    (void)state;
    sx_fake_clock_init(&clock, 1700000000000);
    sampling_options o = {.clock = &clock.clock, .delay_ms = -1, .operations_max = 3};
    assert_int_equal(sampling_new(&o, &s, NULL), SX_OK);
    static const char *const NAMES[] = {"e", "d", "c", "b", "a"};
    for (int64_t nth = 0; nth < 8; nth++) { /* and without memory at any moment */
        made_init(&in, "shop");
        for (size_t i = 0; i < SX_COUNT_OF(NAMES); i++)
            add_span(&in, NAMES[i], SPAN_SERVER, 1, 1, 1, 0)->attrs = ATTRS(ATTRS_OF);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sampling_take(s, in.batch);
        sx_fault_alloc_set((sx_fault_alloc){0});
        span_batch_unref(in.batch);
        for (int i = 0; i < 12 && nth < 7; i++) {
            sx_fake_clock_advance(&clock, 60000);
            sampling_tick(s);
        }
    }
    sx_fake_clock_advance(&clock, 60000);
    sampling_tick(s);
    expect(s, "shop", SAMPLING_LEGACY,
           "{\"strategyType\":0,\"operationSampling\":{\"defaultSamplingProbability\":0.001,"
           "\"defaultLowerBoundTracesPerSecond\":0.016666666666666666,\"perOperationStrategies\":["
           "{\"operation\":\"c\",\"probabilisticSampling\":{\"samplingRate\":0.002}},"
           "{\"operation\":\"d\",\"probabilisticSampling\":{\"samplingRate\":0.002}},"
           "{\"operation\":\"e\",\"probabilisticSampling\":{\"samplingRate\":0.002}}]}}");
    sampling_free(s);
}

static void *ask(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        sx_buf out;
        sx_buf_init(&out, 0);
        sampling_answer(arg, SX_STR("shop"), SAMPLING_PROTO, &out);
        sx_buf_done(&out);
    }
    return NULL;
}

static void test_answers_while_it_calculates(void **state)
{
    adapting a;
    pthread_t thread;
    (void)state;
    open_adaptive(&a, -1);
    assert_int_equal(pthread_create(&thread, NULL, ask, a.s), 0);
    for (int i = 0; i < 40; i++)
        interval(&a, i % 13 ? 20 : 0, 0.1, "probabilistic");
    pthread_join(thread, NULL);
    sampling_free(a.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_is_answered_as_jaeger_does),
        cmocka_unit_test(test_a_file_that_changes_is_read_again),
        cmocka_unit_test(test_bad_files_are_refused),
        cmocka_unit_test(test_a_probability_goes_to_the_target),
        cmocka_unit_test(test_what_is_too_new_waits),
        cmocka_unit_test(test_operations_are_bounded),
        cmocka_unit_test(test_answers_while_it_calculates),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
