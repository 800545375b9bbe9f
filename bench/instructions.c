/* instructions.c - one hot path, a given number of times: for callgrind.
 *
 *     instructions PATH COUNT [INDEX]     PATH is a row of PATHS below; without arguments, lists them
 *
 * bench/callgrind.py runs it twice and divides the difference by the difference in COUNT, so that
 * start-up drops out. Instructions, unlike nanoseconds, come out the same on a busy machine. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sextant/json.h>
#include <sextant/log.h>
#include <sextant/metrics.h>
#include <sextant/random.h>

#include "geocode/search/search.h"
#include "net/http1_parser.h"

typedef void path_fn(uint64_t count, const char *index);

static sx_metric *metric(sx_metric_kind kind, const char *name)
{
    sx_metrics *m;
    sx_metric *out;
    sx_error err = {0};
    sx_assert(sx_metrics_new(NULL, &m, &err) == SX_OK);
    sx_telemetry_thread_join();
    sx_assert(sx_metric_new(m, &(sx_metric_options){.kind = kind, .name = name, .help = "Bench."},
                            &out, &err) == SX_OK);
    return out;
}

static void counter(uint64_t count, const char *index)
{
    (void)index;
    sx_counter *c = sx_metric_counter(metric(SX_METRIC_COUNTER, "c_total"), NULL, 0);
    for (uint64_t i = 0; i < count; i++)
        sx_counter_add(c, 1);
}

static void histogram(uint64_t count, const char *index)
{
    (void)index;
    sx_histogram *h = sx_metric_histogram(metric(SX_METRIC_HISTOGRAM, "h"), NULL, 0);
    for (uint64_t i = 0; i < count; i++)
        sx_histogram_observe(h, 0.0001 * (double)(i % 1000));
}

static void request_id(uint64_t count, const char *index)
{
    (void)index;
    sx_uuid_source source;
    char text[SX_UUID_BYTES];
    sx_uuid_source_init(&source, sx_clock_system());
    for (uint64_t i = 0; i < count; i++)
        sx_uuid7(&source, text);
}

static void http1_head_read(uint64_t count, const char *index)
{
    (void)index;
    static const char TEXT[] =
        "GET /search/?q=34+avenue+de+l+opera HTTP/1.1\r\nHost: localhost:7878\r\n"
        "User-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";
    const sx_http_limits limits = {
        .header_bytes_max = 32768, .header_count_max = 128, .target_bytes_max = 16384};
    sx_header headers[128];
    char text[512]; /* the parser may look some bytes beyond the end */
    memcpy(text, TEXT, sizeof(TEXT));
    for (uint64_t i = 0; i < count; i++) {
        http1_progress progress = {0};
        http1_head head;
        sx_assert(http1_head_parse(text, sizeof(TEXT) - 1, &limits, &progress, headers, &head) ==
                  SX_OK);
    }
}

static void json_document(uint64_t count, const char *index)
{
    (void)index;
    static const char TEXT[] =
        "{\"id\":\"01004\",\"type\":\"municipality\",\"name\":\"Ambérieu-en-Bugey\",\"postcode\":"
        "\"01500\",\"citycode\":\"01004\",\"city\":\"Ambérieu-en-Bugey\",\"context\":\"01, Ain\","
        "\"population\":15934,\"lon\":5.371,\"lat\":45.958,\"importance\":0.42889}";
    for (uint64_t i = 0; i < count; i++) {
        sx_json r;
        sx_json_init(&r, sx_str_of(TEXT, sizeof(TEXT) - 1), NULL);
        while (sx_json_next(&r) > SX_JSON_MORE)
            ;
        sx_assert(sx_json_status(&r, NULL) == SX_OK);
    }
}

static void double_text(uint64_t count, const char *index)
{
    (void)index;
    char text[SX_DOUBLE_BYTES];
    for (uint64_t i = 0; i < count; i++)
        sx_double_format(48.0 + (double)i / 1e6, SX_DOUBLE_PYTHON, text);
}

static void access_line(uint64_t count, const char *index)
{
    (void)index;
    sx_log *log;
    sx_error err = {0};
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    sx_telemetry_thread_join();
    sx_assert(sx_log_new(&(sx_log_options){.service = "bench", .fd = null}, &log, &err) == SX_OK);
    sx_access access = {.wall_ns = 1700000000000000000,
                        .context = {.request_id = SX_STR("0190c0de-0000-7000-8000-000000000000")},
                        .method = SX_STR("GET"),
                        .path = SX_STR("/search/"),
                        .route = SX_STR("/search/"),
                        .client = SX_STR("127.0.0.1"),
                        .user_agent = SX_STR("curl/7.88.1"),
                        .status = 200,
                        .duration_ns = 123456,
                        .sent_bytes = 700};
    for (uint64_t i = 0; i < count; i++)
        sx_log_access(log, &access);
    sx_log_free(log);
    close(null);
}

static void geocode(uint64_t count, const char *index)
{
    static const sx_str QUERIES[] = {
        SX_STR_INIT("34 avenue de l opera"),
        SX_STR_INIT("19 bis rue de vaugirard 75006 paris"),
        SX_STR_INIT("lyon"),
        SX_STR_INIT("101 av des champs elysees"),
        SX_STR_INIT("rue de la paix 75002"),
        SX_STR_INIT("saint germain en laye"),
    };
    sx_error err = {0};
    geo_index *ix = NULL;
    geo_searcher *s = geo_searcher_new(&err);
    static geo_results results;
    sx_assert(index && s && geo_index_open(index, &ix, &err) == SX_OK);
    for (uint64_t i = 0; i < count; i++) {
        geo_query q = {.text = QUERIES[i % SX_COUNT_OF(QUERIES)], .autocomplete = true};
        sx_assert(geo_search(ix, s, &q, &results, &err) == SX_OK && results.count);
    }
    geo_searcher_free(s);
    geo_index_close(ix);
}

static const struct {
    const char *name;
    path_fn *run;
} PATHS[] = {
    {"counter_add", counter},         {"histogram_observe", histogram},
    {"request_id", request_id},       {"http1_head", http1_head_read},
    {"json_document", json_document}, {"double_format", double_text},
    {"access_line", access_line},     {"geocode_search", geocode},
};

int main(int argc, char **argv)
{
    uint64_t count;
    for (size_t i = 0; i < SX_COUNT_OF(PATHS); i++) {
        if (argc < 3)
            puts(PATHS[i].name);
        else if (sx_str_eq(sx_str_z(PATHS[i].name), sx_str_z(argv[1])) &&
                 sx_str_to_u64(sx_str_z(argv[2]), &count)) {
            PATHS[i].run(count, argc > 3 ? argv[3] : NULL);
            return 0;
        }
    }
    return argc < 3 ? 0 : 2;
}
