/* What becomes of a target's answers: samples, staleness, limits, synthetic series. Bodies go straight
 * to a target, without a network, at times that the test says. */
#include "tests/unit/base/cmocka_all.h"

#include <sextant/mem.h>

#include "base/fault.h"
#include "observe/scrape/scrape_internal.h"
#include "tests/unit/observe/scrape/store_fixture.h"

static const int64_t NOW = INT64_C(1700000000000);

typedef struct fixture {
    sx_fake_clock clock;
    store_fixture store;
    prom_scraper *scraper;
    prom_config *config;
    scrape_target *target;
    sx_buf out;
} fixture;

/* A target of the one job in `yaml`, which is what stands below job_name. */
static void with_job(fixture *f, const char *yaml)
{
    sx_error err = {0};
    sx_buf text, problems;
    sx_arena arena;
    target_scratch scratch;
    target_made made;
    scrape_job *job;
    sx_buf_init(&text, 0);
    sx_buf_init(&problems, 0);
    sx_arena_init(&arena, 0, 0);
    target_scratch_init(&scratch);
    sx_buf_printf(&text, "scrape_configs:\n- job_name: j\n%s", yaml);
    if (f->target)
        scrape_target_free(f->target);
    if (f->config)
        prom_config_unref(f->config);
    if (prom_config_parse(sx_buf_view(&text), SX_STR("t.yml"), NULL, &f->config, &problems, &err) !=
        SX_OK)
        fail_msg("%s: %.*s", err.message, SX_ARG(sx_buf_view(&problems)));
    const prom_scrape_config *c = &f->config->scrapes[0];
    assert_int_equal(scrape_job_new(f->config, c, &job, &err), SX_OK);
    if (target_make(c, SX_STR("h:1"), (tsdb_labels){0}, &scratch, &arena, &made, &err) != SX_OK ||
        scrape_target_new(f->scraper, job, &made, &f->target, &err) != SX_OK)
        fail_msg("%s", err.message);
    scrape_job_unref(job);
    sx_buf_done(&text);
    sx_buf_done(&problems);
    sx_arena_done(&arena);
    target_scratch_done(&scratch);
}

static void start(fixture *f, const prom_scraper_options *options)
{
    prom_scraper_options o = options ? *options : (prom_scraper_options){0};
    sx_error err = {0};
    sx_fake_clock_init(&f->clock, NOW);
    store_open(&f->store, &f->clock.clock);
    sx_buf_init(&f->out, 0);
    o.clock = &f->clock.clock;
    o.threads = 1;
    o.store = tsdb_appendable_of(f->store.db);
    if (prom_scraper_new(&o, &f->scraper, &err) != SX_OK)
        fail_msg("%s", err.message);
    with_job(f, "");
}

static void end(fixture *f)
{
    scrape_target_free(f->target);
    prom_scraper_free(f->scraper);
    prom_config_unref(f->config);
    store_close(&f->store);
    sx_buf_done(&f->out);
}

static const char *const TYPES[] = {
    ['t'] = "text/plain; version=0.0.4",
    ['o'] = "application/openmetrics-text; version=1.0.0",
};

/* One scrape, `ms` after the first one's time. */
static void scrape_as(fixture *f, char type, int64_t ms, const char *body)
{
    sx_error err = {0};
    sx_fake_clock_jump(&f->clock, NOW + ms);
    f->target->t = NOW + ms;
    scrape_target_finish(f->target, SX_OK, sx_str_z(body), sx_str_z(TYPES[(int)type]), &err);
    scrape_cache_check(&f->target->cache);
}

static void scrape(fixture *f, int64_t ms, const char *body)
{
    scrape_as(f, 't', ms, body);
}

static void scrape_fails(fixture *f, int64_t ms, const char *why)
{
    sx_error err = {0};
    f->target->t = NOW + ms;
    sx_fail(&err, SX_EIO, "%s", why);
    scrape_target_finish(f->target, SX_EIO, (sx_str){0}, (sx_str){0}, &err);
}

#define ME "instance=\"h:1\", job=\"j\""

static void expect(fixture *f, const char *names, const char *want)
{
    store_dump(&f->store, names, NOW, &f->out);
    assert_string_equal(f->out.data, want);
}

static void expect_error(fixture *f, const char *want)
{
    sx_buf_byte(&f->target->last_error, 0);
    assert_string_equal(f->target->last_error.data, want);
    assert_int_equal(f->target->health, *want ? PROM_HEALTH_DOWN : PROM_HEALTH_UP);
}

static void test_samples_and_synthetic_series(void **state)
{
    fixture f = {0};
    (void)state;
    start(&f, NULL);
    scrape(&f, 0, "a 1\nb{x=\"y\"} 2\n");
    scrape(&f, 15000, "a 3\nb{x=\"y\"} 4\n");
    expect(&f, ".+",
           "a{" ME "} 1@0 3@15000\n"
           "b{" ME ", x=\"y\"} 2@0 4@15000\n"
           "scrape_samples_post_metric_relabeling{" ME "} 2@0 2@15000\n"
           "scrape_samples_scraped{" ME "} 2@0 2@15000\n"
           "scrape_series_added{" ME "} 2@0 0@15000\n"
           "up{" ME "} 1@0 1@15000\n");
    expect_error(&f, "");
    end(&f);
}

static void test_gone_series_get_markers_once(void **state)
{
    fixture f = {0};
    (void)state;
    start(&f, NULL);
    scrape(&f, 0, "a 1\nb 1\nc 1\n");
    scrape(&f, 1000, "a 2\nc 2\n");
    scrape(&f, 2000, "a 3\nc 3\n");
    scrape(&f, 3000, "c 4\nb 4\na 4\n"); /* back, and in another order */
    expect(&f, "[abc]",
           "a{" ME "} 1@0 2@1000 3@2000 4@3000\n"
           "b{" ME "} 1@0 stale@1000 4@3000\n"
           "c{" ME "} 1@0 2@1000 3@2000 4@3000\n");
    assert_int_equal(f.target->cache.live, 3);
    end(&f);
}

static void test_failures_mark_everything(void **state)
{
    fixture f = {0};
    (void)state;
    start(&f, NULL);
    scrape(&f, 0, "a 1\nb 1\n");
    scrape_fails(&f, 1000, "connection refused");
    expect_error(&f, "connection refused");
    scrape_fails(&f, 2000, "connection refused");
    scrape(&f, 3000, "a 2\nb 2\n");
    scrape(&f, 4000, "a 3\nb !\n"); /* half of it is right, none is taken */
    expect_error(&f, "strconv.ParseFloat: parsing \"!\": invalid syntax while parsing: \"b !\" "
                     "(line 2)");
    expect(&f, "a|b|up",
           "a{" ME "} 1@0 stale@1000 2@3000 stale@4000\n"
           "b{" ME "} 1@0 stale@1000 2@3000 stale@4000\n"
           "up{" ME "} 1@0 0@1000 0@2000 1@3000 0@4000\n");
    end(&f);
}

static void test_an_empty_answer_is_up(void **state)
{
    fixture f = {0};
    (void)state;
    start(&f, NULL);
    scrape(&f, 0, "a 1\n");
    scrape(&f, 1000, "");
    scrape(&f, 2000, "a 2\n");
    expect(&f, "a|up", "a{" ME "} 1@0 stale@1000 2@2000\nup{" ME "} 1@0 1@1000 1@2000\n");
    end(&f);
}

static void test_timestamps(void **state)
{
    fixture f = {0};
    (void)state;
    start(&f, NULL);
    scrape(&f, 0, "a 1 1699999999000\nb 1\n");
    scrape(&f, 1000, "b 2\n"); /* no marker for what has times of its own */
    expect(&f, "[ab]", "a{" ME "} 1@-1000\nb{" ME "} 1@0 2@1000\n");
    with_job(&f, "  track_timestamps_staleness: true\n");
    scrape(&f, 2000, "a 3 1700000002000\n");
    scrape(&f, 3000, "b 3\n");
    expect(&f, "a", "a{" ME "} 1@-1000 3@2000 stale@3000\n");
    with_job(&f, "  honor_timestamps: false\n");
    scrape(&f, 4000, "a 4 1700000000000\n");
    expect(&f, "a", "a{" ME "} 1@-1000 3@2000 stale@3000 4@4000\n");
    scrape(&f, 5000, "");
    with_job(&f, "");
    scrape(&f, 6000, "far 1 1700000700000\nnear 1 1700000599000\n");
    expect(&f, "far|near|up",
           "near{" ME "} 1@599000\nup{" ME "} 1@0 1@1000 1@2000 1@3000 1@4000 1@5000 1@6000\n");
    end(&f);
}

static void test_duplicates_are_counted_not_taken(void **state)
{
    fixture f = {0};
    (void)state;
    start(&f, NULL);
    scrape(&f, 0, "a 1\na 2\nb 1\n");
    scrape(&f, 1000, "a 1\na 2\nb 1\n");
    scrape(&f, 2000, "a 1 1700000002000\na 1 1700000002500\n");
    expect(&f, "a|b|scrape_samples.*|scrape_series_added",
           "a{" ME "} 1@0 1@1000 1@2000 1@2500\nb{" ME "} 1@0 1@1000 stale@2000\n"
           "scrape_samples_post_metric_relabeling{" ME "} 3@0 3@1000 2@2000\n"
           "scrape_samples_scraped{" ME "} 3@0 3@1000 2@2000\n"
           "scrape_series_added{" ME "} 2@0 0@1000 0@2000\n");
    expect_error(&f, "");
    end(&f);
}

static void test_labels_that_collide(void **state)
{
    fixture f = {0};
    (void)state;
    start(&f, NULL);
    scrape(&f, 0, "a{job=\"x\",exported_job=\"y\",instance=\"\"} 1\n");
    with_job(&f, "  honor_labels: true\n");
    scrape(&f, 1000, "b{job=\"x\",instance=\"\"} 1\n");
    expect(&f, "[ab]",
           "a{exported_exported_job=\"x\", exported_job=\"y\", " ME "} 1@0\n"
           "b{instance=\"h:1\", job=\"x\"} 1@1000\n");
    end(&f);
}

static void test_metric_relabelling(void **state)
{
    fixture f = {0};
    (void)state;
    start(&f, NULL);
    with_job(&f, "  metric_relabel_configs:\n"
                 "  - {source_labels: [__name__], regex: 'drop_.*', action: drop}\n"
                 "  - {source_labels: [x], target_label: y, replacement: 'z$1'}\n");
    for (int i = 0; i < 2; i++)
        scrape(&f, i * 1000, "a{x=\"1\"} 1\ndrop_a 1\ndrop_b 2\n");
    expect(&f, "a|drop.*|scrape_samples.*|scrape_series_added",
           "a{" ME ", x=\"1\", y=\"z1\"} 1@0 1@1000\n"
           "scrape_samples_post_metric_relabeling{" ME "} 1@0 1@1000\n"
           "scrape_samples_scraped{" ME "} 3@0 3@1000\n"
           "scrape_series_added{" ME "} 1@0 0@1000\n");
    with_job(&f, "  metric_relabel_configs:\n"
                 "  - {target_label: __name__, replacement: ''}\n");
    scrape(&f, 2000, "a 1\n");
    expect_error(&f, "missing metric name (__name__ label)");
    end(&f);
}

static void test_limits(void **state)
{
    static const struct {
        const char *yaml, *body, *error;
    } CASES[] = {
        {"  sample_limit: 2\n", "a 1\nb 1\n", ""},
        {"  sample_limit: 2\n", "a 1\nb 1\nc 1\n", "sample limit exceeded"},
        {"  label_limit: 4\n", "a{x=\"1\"} 1\n", ""},
        {"  label_limit: 3\n", "a{x=\"1\"} 1\n",
         "label_limit exceeded (metric: a, number of labels: 4, limit: 3)"},
        {"  label_name_length_limit: 8\n", "a{abcdefghi=\"1\"} 1\n",
         "label_name_length_limit exceeded (metric: a, label name: abcdefghi, length: 9, limit: "
         "8)"},
        {"  label_value_length_limit: 3\n", "a{x=\"1234\"} 1\n",
         "label_value_length_limit exceeded (metric: a, label name: x, value: \"1234\", length: 4, "
         "limit: 3)"},
        {"  metric_name_validation_scheme: legacy\n", "{\"a.b\"} 1\n",
         "invalid metric name or label names: {__name__=\"a.b\", " ME "}"},
        {"  metric_name_validation_scheme: utf8\n", "{\"a.b\"} 1\n", ""},
    };
    fixture f = {0};
    (void)state;
    start(&f, NULL);
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        with_job(&f, CASES[i].yaml);
        for (int again = 0; again < 2; again++) {
            scrape(&f, (int64_t)(2 * i + (size_t)again) * 1000, CASES[i].body);
            expect_error(&f, CASES[i].error);
        }
    }
    end(&f);
}

static void test_sample_limit_counts_all_and_takes_none(void **state)
{
    fixture f = {0};
    (void)state;
    start(&f, NULL);
    with_job(&f, "  sample_limit: 2\n  extra_scrape_metrics: true\n");
    scrape(&f, 0, "a 1\nb 1\n");
    scrape(&f, 1000, "a 2\nb 2\nc 2\nd 2\n");
    scrape(&f, 2000, "a 3\nb 3\n");
    expect(&f, "[a-d]|scrape_sa.*|scrape_t.*|scrape_b.*|up",
           "a{" ME "} 1@0 stale@1000 3@2000\nb{" ME "} 1@0 stale@1000 3@2000\n"
           "scrape_body_size_bytes{" ME "} 8@0 16@1000 8@2000\n"
           "scrape_sample_limit{" ME "} 2@0 2@1000 2@2000\n"
           "scrape_samples_post_metric_relabeling{" ME "} 2@0 4@1000 2@2000\n"
           "scrape_samples_scraped{" ME "} 2@0 4@1000 2@2000\n"
           "scrape_timeout_seconds{" ME "} 10@0 10@1000 10@2000\n"
           "up{" ME "} 1@0 0@1000 1@2000\n");
    assert_int_equal(f.target->cache.live, 2);
    end(&f);
}

static void test_metadata_is_kept_for_ten_scrapes(void **state)
{
    fixture f = {0};
    sx_arena arena;
    prom_target_metadata *m;
    size_t count;
    (void)state;
    start(&f, NULL);
    scrape(&f, 0, "# HELP a Some help.\n# TYPE a counter\na 1\n# TYPE b gauge\nb 1\n");
    assert_int_equal(f.target->meta_count, 2);
    for (int i = 1; i <= 10; i++)
        scrape(&f, i * 1000, "# HELP a Other help.\n# TYPE a counter\na 1\n");
    assert_int_equal(f.target->meta_count, 2);
    scrape(&f, 11000, "# HELP a Other help.\n# TYPE a counter\na 1\n");
    assert_int_equal(f.target->meta_count, 1);
    assert_string_equal(f.target->metas[0].type.data, "counter");
    assert_memory_equal(f.target->metas[0].help, "Other help.", 11);
    sx_arena_init(&arena, 0, 0);
    sx_error err;
    assert_int_equal(prom_scraper_metadata(f.scraper, (sx_str){0}, &arena, &m, &count, &err),
                     SX_OK);
    assert_int_equal(count, 0); /* this target is in no pool */
    tsdb_metadata_of *of;
    assert_int_equal(tsdb_metadata_read(f.store.db, SX_STR("a"), 0, &arena, &of, &count, &err),
                     SX_OK);
    assert_int_equal(count, 1);
    assert_memory_equal(of[0].metadata.help.data, "Other help.", 11);
    sx_arena_done(&arena);
    end(&f);
}

static void test_start_times_as_zeros(void **state)
{
    fixture f = {0};
    (void)state;
    start(&f, &(prom_scraper_options){.created_as_zero = true});
    for (int i = 0; i < 3; i++)
        scrape_as(&f, 'o', i * 1000, "# TYPE a counter\na_total 5\na_created 1699999990\n# EOF\n");
    scrape_as(&f, 'o', 9000, "# TYPE a counter\na_total 1\na_created 1700000008\n# EOF\n");
    expect(&f, "a.*", "a_total{" ME "} 0@-10000 5@0 5@1000 5@2000 0@8000 1@9000\n");
    end(&f);
}

static void test_markers_do_not_come_late(void **state)
{
    fixture f = {0};
    sx_error err;
    (void)state;
    start(&f, NULL);
    scrape(&f, 0, "a 1\n");
    scrape(&f, 5000, "a 2\n");
    assert_int_equal(scrape_append_nothing(f.target, NOW + 3000, &err), SX_OK);
    assert_int_equal(f.target->loop->appender->ops->commit(f.target->loop->appender, &err), SX_OK);
    expect(&f, "a", "a{" ME "} 1@0 2@5000\n");
    end(&f);
}

/* Whatever allocation fails: no crash, no leak, and the next scrape is whole. */
static void test_scrapes_without_memory(void **state)
{
    fixture f = {0};
    (void)state;
    start(&f, NULL);
    scrape(&f, 0, "# TYPE a gauge\na{x=\"1\"} 1\nb 1\n");
    for (int64_t nth = 1, ms = 1000;; nth++, ms += 2000) {
        char body[128];
        snprintf(body, sizeof body,
                 "# TYPE a gauge\na{x=\"1\"} 1\n# HELP n%d x\nn%d{y=\"%d\"} 1\nb 2\n", (int)nth,
                 (int)nth, (int)nth);
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        scrape(&f, ms, body);
        bool reached = sx_fault_alloc_calls() >= nth;
        sx_fault_alloc_set((sx_fault_alloc){0});
        scrape(&f, ms + 1000, body);
        expect_error(&f, "");
        assert_int_equal(f.target->cache.live, 3);
        if (!reached)
            break;
        assert_true(nth < 2000);
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_and_synthetic_series),
        cmocka_unit_test(test_gone_series_get_markers_once),
        cmocka_unit_test(test_failures_mark_everything),
        cmocka_unit_test(test_an_empty_answer_is_up),
        cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_duplicates_are_counted_not_taken),
        cmocka_unit_test(test_labels_that_collide),
        cmocka_unit_test(test_metric_relabelling),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_sample_limit_counts_all_and_takes_none),
        cmocka_unit_test(test_metadata_is_kept_for_ten_scrapes),
        cmocka_unit_test(test_start_times_as_zeros),
        cmocka_unit_test(test_markers_do_not_come_late),
        cmocka_unit_test(test_scrapes_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
