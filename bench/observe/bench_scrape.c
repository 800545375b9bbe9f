/* bench_scrape.c - what a scraped sample costs, all told: bodies of 20,000 series into a database.
 *
 *   scrape_append     parse, cache, append, commit: no network
 *   scrape_inflate    what gzip adds to that
 *   scrape_http...    the manager asks another process over loopback every second; CPU time of ours
 *
 * bench_scrape [SECONDS [TARGETS [SERIES]]] */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <sextant/compress.h>
#include <sextant/http.h>
#include <sextant/mem.h>

#include "observe/scrape/scrape_internal.h"
#include "observe/tsdb/db.h"
#include "tests/unit/base/temp_folder.h"

static int SECONDS = 5, TARGETS = 10, SERIES = 20000; /* set once, from the arguments */

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* As a busy exporter's: a third never changes, the others count. */
static void make_body(sx_buf *out, int scrape)
{
    sx_buf_clear(out);
    for (int i = 0; i < SERIES; i++) {
        if (i % 100 == 0)
            sx_buf_printf(out,
                          "# HELP http_requests_%d_total Requests by code.\n"
                          "# TYPE http_requests_%d_total counter\n",
                          i / 100, i / 100);
        sx_buf_printf(out,
                      "http_requests_%d_total{code=\"%d\",handler=\"/api/v1/query\",method=\"GET\","
                      "pod=\"api-7d9f-%05d\"} %d\n",
                      i / 100, 200 + i % 5, i, i % 3 ? i * 7 + scrape * (i % 97) : i);
    }
}

static prom_config *config_of(const char *address, int targets, bool compression)
{
    sx_buf text, problems;
    sx_error err = {0};
    prom_config *c;
    sx_buf_init(&text, 0);
    sx_buf_init(&problems, 0);
    sx_buf_printf(&text,
                  "scrape_configs:\n- job_name: bench\n  scrape_interval: 1s\n"
                  "  enable_compression: %s\n  static_configs:\n",
                  compression ? "true" : "false");
    for (int i = 0; i < targets; i++)
        sx_buf_printf(&text, "  - {targets: ['%s'], labels: {t: '%d'}}\n", address, i);
    if (prom_config_parse(sx_buf_view(&text), SX_STR("bench.yml"), NULL, &c, &problems, &err) !=
        SX_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    sx_buf_done(&text);
    sx_buf_done(&problems);
    return c;
}

static void die(const sx_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

/* --- Bodies straight into a target. */

static void bench_append(tsdb *db)
{
    enum { ROUNDS = 100, BODIES = 4 };
    sx_error err = {0};
    prom_scraper *s;
    scrape_job *job;
    scrape_target *t;
    target_scratch scratch;
    target_made made;
    sx_arena arena;
    sx_buf bodies[BODIES], packed[BODIES];
    prom_config *config = config_of("h:1", 1, true);
    sx_arena_init(&arena, 0, 0);
    target_scratch_init(&scratch);
    if (prom_scraper_new(&(prom_scraper_options){.threads = 1, .store = tsdb_appendable_of(db)}, &s,
                         &err) != SX_OK ||
        scrape_job_new(config, &config->scrapes[0], &job, &err) != SX_OK ||
        target_make(job->c, SX_STR("h:1"), (tsdb_labels){0}, &scratch, &arena, &made, &err) !=
            SX_OK ||
        scrape_target_new(s, job, &made, &t, &err) != SX_OK)
        die(&err);
    for (int i = 0; i < BODIES; i++) {
        sx_buf_init(&bodies[i], 0);
        sx_buf_init(&packed[i], 0);
        make_body(&bodies[i], i);
        if (sx_compress(SX_CODEC_GZIP, sx_buf_view(&bodies[i]), 6, &packed[i], &err) != SX_OK)
            die(&err);
    }
    int64_t now = sx_clock_ms(sx_clock_system()) - ROUNDS * 1000;
    double begun = 0;
    for (int r = 0; r <= ROUNDS; r++) {
        if (r == 1) /* the first makes the series */
            begun = cpu_seconds();
        t->t = now + r * 1000;
        scrape_target_finish(t, SX_OK, sx_buf_view(&bodies[r % BODIES]),
                             SX_STR("text/plain; version=0.0.4"), &err);
        if (t->health != PROM_HEALTH_UP)
            die(&err);
    }
    double spent = cpu_seconds() - begun, samples = (double)ROUNDS * SERIES;
    printf("scrape_append %.0f ns/sample\n", spent / samples * 1e9);
    printf("scrape_append %.2f Msamples/cpu-s\n", samples / spent / 1e6);
    printf("scrape_append %.0f bytes/line\n", (double)bodies[0].len / SERIES);
    sx_buf plain;
    sx_buf_init(&plain, 0);
    begun = cpu_seconds();
    for (int r = 0; r < ROUNDS; r++) {
        sx_buf_clear(&plain);
        if (sx_decompress(SX_CODEC_GZIP, sx_buf_view(&packed[r % BODIES]), 0, &plain, &err) !=
            SX_OK)
            die(&err);
    }
    printf("scrape_inflate %.0f ns/sample\n", (cpu_seconds() - begun) / samples * 1e9);
    printf("scrape_inflate %.1f ratio\n", (double)bodies[0].len / (double)packed[0].len);
    sx_buf_done(&plain);
    for (int i = 0; i < BODIES; i++) {
        sx_buf_done(&bodies[i]);
        sx_buf_done(&packed[i]);
    }
    scrape_target_free(t);
    scrape_job_unref(job);
    prom_scraper_free(s);
    prom_config_unref(config);
    target_scratch_done(&scratch);
    sx_arena_done(&arena);
}

/* --- Over HTTP. */

typedef struct answers {
    sx_buf plain[8], packed[8];
    unsigned turn;
} answers;

static void handle(sx_request *r, void *ctx)
{
    answers *a = ctx;
    unsigned i = a->turn++ / (unsigned)TARGETS % 8;
    sx_str accept = sx_request_header(r, SX_STR("accept-encoding"));
    bool gzip = sx_str_find(accept, SX_STR("gzip")) < accept.len;
    if (gzip)
        sx_reply_header(r, SX_STR("Content-Encoding"), SX_STR("gzip"));
    sx_reply_static(r, 200, SX_STR("text/plain; version=0.0.4"),
                    sx_buf_view(gzip ? &a->packed[i] : &a->plain[i]));
}

/* The child: a target that answers until it is killed. Tells its address through the pipe. */
static void serve(int to_parent)
{
    sx_error err = {0};
    sx_loop *loop;
    sx_http_server *server;
    sx_bound bound;
    answers a = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < 8; i++) {
        sx_buf_init(&a.plain[i], 0);
        sx_buf_init(&a.packed[i], 0);
        make_body(&a.plain[i], i);
        sx_compress(SX_CODEC_GZIP, sx_buf_view(&a.plain[i]), 6, &a.packed[i], &err);
    }
    sx_http_server_options o = {.handler = handle, .ctx = &a};
    if (sx_loop_new(NULL, 0, &loop, &err) != SX_OK ||
        sx_http_server_new(loop, &o, &server, &err) != SX_OK ||
        sx_http_server_listen(server, &(sx_listen_options){.address = SX_STR("127.0.0.1:0")},
                              &bound, &err) != SX_OK)
        die(&err);
    if (write(to_parent, bound.text, sizeof bound.text) < 0)
        exit(1);
    sx_loop_run(loop);
}

static void bench_http(tsdb *db, const char *address, bool gzip)
{
    sx_error err = {0};
    prom_scraper *s;
    tsdb_stats before, after;
    prom_config *config = config_of(address, TARGETS, gzip);
    if (prom_scraper_new(&(prom_scraper_options){.threads = 1, .store = tsdb_appendable_of(db)}, &s,
                         &err) != SX_OK ||
        prom_scraper_apply(s, config, &err) != SX_OK)
        die(&err);
    do { /* until all series are known */
        tsdb_stats_read(db, &before);
        poll(NULL, 0, 2000);
        tsdb_stats_read(db, &after);
    } while (after.series != before.series || after.appended[0] == before.appended[0]);
    before = after;
    double begun = cpu_seconds();
    poll(NULL, 0, SECONDS * 1000);
    double spent = cpu_seconds() - begun;
    tsdb_stats_read(db, &after);
    double samples = (double)(after.appended[0] - before.appended[0]);
    const char *kind = gzip ? "gzip" : "plain";
    printf("scrape_http_%s %.2f Msamples/cpu-s\n", kind, samples / spent / 1e6);
    printf("scrape_http_%s %.0f samples/s\n", kind, samples / SECONDS);
    printf("scrape_http_%s %.1f %%cpu\n", kind, spent / SECONDS * 100);
    prom_scraper_free(s);
    prom_config_unref(config);
}

int main(int argc, char **argv)
{
    sx_error err = {0};
    temp_folder folder;
    tsdb *db;
    int pipes[2], *const arguments[] = {&SECONDS, &TARGETS, &SERIES};
    char address[sizeof(sx_bound)] = "";
    for (int i = 1; i < argc && i <= 3; i++)
        *arguments[i - 1] = (int)strtol(argv[i], NULL, 10);
    if (pipe(pipes) != 0)
        return 1;
    pid_t child = fork(); /* before any thread */
    if (child == 0)
        serve(pipes[1]);
    if (read(pipes[0], address, sizeof address) <= 0 || temp_folder_make(&folder) != 0)
        return 1;
    if (tsdb_open(in_folder(&folder, "data"), &(tsdb_options){.fsync = TSDB_FSYNC_NONE}, &db,
                  &err) != SX_OK)
        die(&err);
    bench_append(db);
    bench_http(db, address, false);
    bench_http(db, address, true);
    tsdb_close(db);
    folder_remove(folder.path);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return 0;
}
