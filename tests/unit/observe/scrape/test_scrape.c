/* The scrape manager with its threads, real sockets and the real clock: targets are asked in time,
 * configurations replaced while they are, discovery heard, and everything ended in the middle. */
#include "tests/unit/base/cmocka_all.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include <sextant/http.h>
#include <sextant/mem.h>

#include "observe/scrape/scrape_internal.h"
#include "tests/unit/observe/scrape/fake_discovery.h"
#include "tests/unit/observe/scrape/store_fixture.h"

enum { DEADLINE_MS = 30000 };

typedef struct fixture {
    store_fixture store;
    sx_metrics *metrics;
    sx_kit kit;
    prom_scraper *scraper;
    sx_loop *loop; /* of the target */
    pthread_t thread;
    sx_http_server *server;
    sx_bound bound;
    _Atomic int asked, status;
    pthread_mutex_t lock;
    char seen[1024]; /* behind the lock: fields of the last request */
    sx_buf out;
} fixture;

/* Between two looks at something that another thread does. */
static void pause_ms(int ms)
{
    poll(NULL, 0, ms);
}

static void handle(sx_request *r, void *ctx)
{
    static const char *const FIELDS[] = {"accept", "accept-encoding",
                                         "x-prometheus-scrape-timeout-seconds", "user-agent"};
    fixture *f = ctx;
    char body[128];
    int n = atomic_fetch_add(&f->asked, 1) + 1;
    pthread_mutex_lock(&f->lock);
    size_t len = (size_t)snprintf(f->seen, sizeof f->seen, "%.*s", SX_ARG(r->target));
    for (size_t i = 0; i < SX_COUNT_OF(FIELDS); i++) {
        sx_str value = sx_request_header(r, sx_str_z(FIELDS[i]));
        len += (size_t)snprintf(f->seen + len, sizeof f->seen - len, "|%.*s", SX_ARG(value));
    }
    pthread_mutex_unlock(&f->lock);
    if (sx_str_eq(r->path, SX_STR("/slow")))
        return; /* never */
    snprintf(body, sizeof body, "# TYPE n counter\n# HELP n Times asked.\nn{a=\"b\"} %d\n", n);
    sx_reply(r, atomic_load(&f->status), SX_STR("text/plain; version=0.0.4"), sx_str_z(body));
}

static void *run_target(void *arg)
{
    sx_loop_run(((fixture *)arg)->loop);
    return NULL;
}

static void start(fixture *f)
{
    sx_error err = {0};
    *f = (fixture){.lock = PTHREAD_MUTEX_INITIALIZER};
    atomic_store(&f->status, 200);
    store_open(&f->store, NULL);
    sx_buf_init(&f->out, 0);
    assert_int_equal(sx_metrics_new(NULL, &f->metrics, &err), SX_OK);
    f->kit.metrics = f->metrics;
    sx_http_server_options o = {.handler = handle, .ctx = f};
    sx_listen_options at = {.address = SX_STR("127.0.0.1:0")};
    assert_int_equal(sx_loop_new(NULL, 0, &f->loop, &err), SX_OK);
    assert_int_equal(sx_http_server_new(f->loop, &o, &f->server, &err), SX_OK);
    assert_int_equal(sx_http_server_listen(f->server, &at, &f->bound, &err), SX_OK);
    assert_int_equal(pthread_create(&f->thread, NULL, run_target, f), 0);
    prom_scraper_options so = {
        .kit = &f->kit, .threads = 2, .store = tsdb_appendable_of(f->store.db)};
    if (prom_scraper_new(&so, &f->scraper, &err) != SX_OK)
        fail_msg("%s", err.message);
}

static void end(fixture *f)
{
    prom_scraper_free(f->scraper);
    sx_loop_stop(f->loop);
    pthread_join(f->thread, NULL);
    sx_http_server_free(f->server);
    sx_loop_free(f->loop);
    sx_metrics_free(f->metrics);
    store_close(&f->store);
    sx_buf_done(&f->out);
}

/* `yaml` has %s where the server's address goes. */
static void apply(fixture *f, const char *yaml)
{
    char text[2048];
    sx_error err = {0};
    sx_buf problems;
    prom_config *config;
    sx_buf_init(&problems, 0);
    snprintf(text, sizeof text, yaml, f->bound.text, f->bound.text, f->bound.text);
    if (prom_config_parse(sx_str_z(text), SX_STR("t.yml"), NULL, &config, &problems, &err) != SX_OK)
        fail_msg("%s: %.*s", err.message, SX_ARG(sx_buf_view(&problems)));
    if (prom_scraper_apply(f->scraper, config, &err) != SX_OK)
        fail_msg("%s", err.message);
    prom_config_unref(config);
    sx_buf_done(&problems);
}

static prom_targets targets_of(fixture *f, sx_arena *arena)
{
    prom_targets t;
    sx_error err = {0};
    if (prom_scraper_targets(f->scraper, (sx_str){0}, arena, &t, &err) != SX_OK)
        fail_msg("%s", err.message);
    return t;
}

/* Waits until all targets, `count` of them, are of that health. */
static prom_targets wait_for(fixture *f, size_t count, prom_health health, sx_arena *arena)
{
    for (int ms = 0; ms < DEADLINE_MS; ms += 20) {
        size_t right = 0;
        prom_targets t = targets_of(f, arena);
        for (size_t i = 0; i < t.active_count; i++)
            right += t.active[i].health == health;
        if (right == count && t.active_count == count)
            return t;
        pause_ms(20);
    }
    fail_msg("the targets do not become as expected");
    return (prom_targets){0};
}

static const char ONE[] = "scrape_configs:\n- job_name: j\n  scrape_interval: 1s\n"
                          "  params: {x: ['1 2', '3']}\n"
                          "  static_configs: [{targets: ['%s'], labels: {env: test}}]\n";

static void test_a_target_is_scraped_and_told(void **state)
{
    fixture f;
    sx_arena arena;
    char want[512];
    (void)state;
    sx_arena_init(&arena, 0, 0);
    start(&f);
    apply(&f, ONE);
    prom_targets t = targets_of(&f, &arena);
    assert_int_equal(t.active_count, 1);
    assert_int_equal(t.pool_count, 1);
    t = wait_for(&f, 1, PROM_HEALTH_UP, &arena);
    snprintf(want, sizeof want, "http://%s/metrics?x=1+2&x=3", f.bound.text);
    assert_string_equal(t.active[0].scrape_url.data, want);
    assert_int_equal(t.active[0].last_error.len, 0);
    assert_int_equal(t.active[0].interval_ms, 1000);
    pthread_mutex_lock(&f.lock);
    assert_true(sx_str_starts(
        sx_str_z(f.seen),
        SX_STR("/metrics?x=1+2&x=3|application/openmetrics-text;version=1.0.0;escaping="
               "allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;"
               "version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2|"
               "gzip|1|")));
    pthread_mutex_unlock(&f.lock);
    prom_target_metadata *m;
    size_t count;
    sx_error err;
    assert_int_equal(prom_scraper_metadata(f.scraper, SX_STR("n"), &arena, &m, &count, &err),
                     SX_OK);
    assert_int_equal(count, 1);
    assert_string_equal(m[0].metadata.help.data, "Times asked.");
    store_dump(&f.store, "up|n", 0, &f.out);
    snprintf(want, sizeof want, "n{a=\"b\", env=\"test\", instance=\"%s\", job=\"j\"} 1@",
             f.bound.text);
    assert_true(sx_str_starts(sx_buf_view(&f.out), sx_str_z(want)));
    sx_arena_done(&arena);
    end(&f);
}

static void test_what_fails_is_said(void **state)
{
    static const char YAML[] = "scrape_configs:\n- job_name: status\n  scrape_interval: 1s\n"
                               "  static_configs: [{targets: ['%s']}]\n"
                               "- job_name: slow\n  scrape_interval: 1s\n  scrape_timeout: 200ms\n"
                               "  metrics_path: /slow\n"
                               "  static_configs: [{targets: ['%s']}]\n"
                               "- job_name: body\n  scrape_interval: 1s\n  body_size_limit: 10B\n"
                               "  static_configs: [{targets: ['%s']}]\n"
                               "- job_name: nobody\n  scrape_interval: 1s\n"
                               "  static_configs: [{targets: ['127.0.0.1:1']}]\n"
                               "- job_name: many\n  scrape_interval: 1s\n  target_limit: 1\n"
                               "  static_configs: [{targets: ['127.0.0.1:1', '127.0.0.1:2']}]\n";
    static const struct {
        const char *pool, *starts, *has;
    } WANT[] = {
        {"status", "server returned HTTP status 503 Service Unavailable", ""},
        {"slow", "Get \"http://127.0.0.1:", "/slow\": context deadline exceeded"},
        {"body", "body size limit exceeded", ""},
        {"nobody", "Get \"http://127.0.0.1:1/metrics\": ", "refused"},
        {"many", "target_limit exceeded (number of targets: 2, limit: 1)", ""},
    };
    fixture f;
    sx_arena arena;
    (void)state;
    sx_arena_init(&arena, 0, 0);
    start(&f);
    atomic_store(&f.status, 503);
    apply(&f, YAML);
    wait_for(&f, 6, PROM_HEALTH_DOWN, &arena);
    atomic_store(&f.status, 200); /* so that the size is what is wrong */
    for (size_t i = 0; i < SX_COUNT_OF(WANT); i++) {
        bool right = false;
        for (int ms = 0; ms < DEADLINE_MS && !right; ms += 20) {
            if (sx_str_eq(sx_str_z(WANT[i].pool), SX_STR("status")))
                atomic_store(&f.status, 503);
            else
                atomic_store(&f.status, 200);
            prom_targets t = targets_of(&f, &arena);
            for (size_t k = 0; k < t.active_count; k++) {
                sx_str e = t.active[k].last_error;
                right |= sx_str_eq(t.active[k].pool, sx_str_z(WANT[i].pool)) &&
                         sx_str_starts(e, sx_str_z(WANT[i].starts)) &&
                         sx_str_find(e, sx_str_z(WANT[i].has)) <= e.len - strlen(WANT[i].has);
            }
            pause_ms(20);
        }
        if (!right)
            fail_msg("no target of %s says %s", WANT[i].pool, WANT[i].starts);
    }
    sx_arena_done(&arena);
    end(&f);
}

static void test_an_unchanged_job_goes_on(void **state)
{
    fixture f;
    sx_arena arena;
    (void)state;
    sx_arena_init(&arena, 0, 0);
    start(&f);
    apply(&f, ONE);
    wait_for(&f, 1, PROM_HEALTH_UP, &arena);
    apply(&f, ONE);
    prom_targets t = targets_of(&f, &arena);
    assert_int_equal(t.active[0].health, PROM_HEALTH_UP);
    /* Another time-out: another target, but the series are the same and none is ended. */
    apply(&f, "scrape_configs:\n- job_name: j\n  scrape_interval: 1s\n  scrape_timeout: 900ms\n"
              "  params: {x: ['1 2', '3']}\n"
              "  static_configs: [{targets: ['%s'], labels: {env: test}}]\n");
    int asked = atomic_load(&f.asked);
    for (int ms = 0; ms < DEADLINE_MS && atomic_load(&f.asked) < asked + 4; ms += 20)
        pause_ms(20);
    store_dump(&f.store, "up|n", 0, &f.out);
    assert_true(sx_str_find(sx_buf_view(&f.out), SX_STR("stale")) == f.out.len);
    /* Gone: after two intervals its series end. */
    apply(&f, "scrape_configs: []\n");
    t = targets_of(&f, &arena);
    assert_int_equal(t.active_count, 0);
    assert_int_equal(t.pool_count, 0);
    size_t at = f.out.len;
    for (int ms = 0; ms < DEADLINE_MS && at == f.out.len; ms += 20) {
        pause_ms(20);
        store_dump(&f.store, "n", 0, &f.out);
        at = sx_str_find(sx_buf_view(&f.out), SX_STR("stale"));
    }
    assert_true(at < f.out.len);
    sx_arena_done(&arena);
    end(&f);
}

static void on_tell(sx_loop *loop, void *arg)
{
    const sx_str *targets = arg;
    prom_target_group g = {.targets = targets, .target_count = 2, .source = SX_STR("s")};
    (void)loop;
    fake_discovery_tell(&g, 1);
}

static void test_discovery_makes_drops_and_ends_targets(void **state)
{
    fixture f;
    sx_arena arena;
    sx_error err;
    (void)state;
    sx_arena_init(&arena, 0, 0);
    start(&f);
    sx_str targets[] = {sx_str_z(f.bound.text), SX_STR("dropped:1")};
    apply(&f, "scrape_configs:\n- job_name: d\n  scrape_interval: 1s\n"
              "  http_sd_configs: [{url: 'http://%s/sd'}]\n"
              "  relabel_configs:\n"
              "  - {source_labels: [__address__], regex: 'dropped.*', action: drop}\n");
    assert_int_equal(targets_of(&f, &arena).active_count, 0);
    assert_int_equal(sx_loop_post(f.scraper->control.loop, on_tell, targets, &err), SX_OK);
    prom_targets t = wait_for(&f, 1, PROM_HEALTH_UP, &arena);
    assert_int_equal(t.dropped_count, 1);
    assert_int_equal(t.dropped_totals[0].count, 1);
    assert_true(sx_str_eq(tsdb_labels_get(t.dropped[0].discovered, SX_STR("__address__")),
                          SX_STR("dropped:1")));
    sx_str others[] = {SX_STR("dropped:1"), SX_STR("dropped:2")};
    assert_int_equal(sx_loop_post(f.scraper->control.loop, on_tell, others, &err), SX_OK);
    t = wait_for(&f, 0, PROM_HEALTH_UP, &arena);
    assert_int_equal(t.dropped_count, 2);
    sx_arena_done(&arena);
    end(&f);
}

static void *read_all(void *arg)
{
    fixture *f = arg;
    sx_arena arena;
    sx_error err;
    sx_buf text;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&text, 0);
    for (int i = 0; i < 200; i++) {
        prom_target_metadata *m;
        size_t count;
        targets_of(f, &arena);
        assert_int_equal(prom_scraper_metadata(f->scraper, (sx_str){0}, &arena, &m, &count, &err),
                         SX_OK);
        sx_buf_clear(&text);
        assert_int_equal(sx_metrics_write(f->metrics, SX_METRICS_TEXT_004, &text, &err), SX_OK);
        sx_arena_reset(&arena);
        pause_ms(5);
    }
    assert_true(sx_str_find(sx_buf_view(&text),
                            SX_STR("prometheus_target_interval_length_seconds{interval=\"100ms\","
                                   "quantile=\"0.5\"}")) < text.len);
    sx_buf_done(&text);
    sx_arena_done(&arena);
    return NULL;
}

/* For ThreadSanitizer: readers, reloads and scrapes at once. */
static void test_readers_beside_reloads(void **state)
{
    fixture f;
    pthread_t reader;
    (void)state;
    start(&f);
    assert_int_equal(pthread_create(&reader, NULL, read_all, &f), 0);
    for (int i = 0; i < 20; i++) {
        char yaml[512];
        snprintf(yaml, sizeof yaml,
                 "scrape_configs:\n- job_name: a\n  scrape_interval: 100ms\n"
                 "  static_configs: [{targets: ['%%s', '%s'], labels: {v: '%d'}}]\n"
                 "- job_name: b%d\n  scrape_interval: 100ms\n  sample_limit: %d\n"
                 "  static_configs: [{targets: ['%%s']}]\n",
                 f.bound.text, i / 4, i / 8, i);
        apply(&f, yaml);
        pause_ms(50);
    }
    pthread_join(reader, NULL);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_target_is_scraped_and_told),
        cmocka_unit_test(test_what_fails_is_said),
        cmocka_unit_test(test_an_unchanged_job_goes_on),
        cmocka_unit_test(test_discovery_makes_drops_and_ends_targets),
        cmocka_unit_test(test_readers_beside_reloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
