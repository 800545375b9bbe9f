/* bench_search.c - speed of the geocoder's core on recorded queries, and how often its first answer
 * is the recorded one.
 *
 *     bench_search DATA QUERIES [ROUNDS] [-v | -d]
 *
 * DATA is NDJSON to import (into a temporary file); QUERIES are recorded answers, one JSON object a
 * line: {"category", "path", "params": [[key, value]...], "status", "body": {"features": [...]}}.
 * Prints `name value unit` lines; -v also prints each query whose first answer differs. -d instead
 * prints every answer with its score to the last digit, for a comparison of two builds: a change
 * that is to make the search faster must leave them as they are. DATA may also be an index. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sextant/clock.h>
#include <sextant/compress.h>
#include <sextant/json.h>
#include <sextant/mem.h>

#include "geocode/import/import.h"
#include "geocode/reverse/reverse.h"
#include "geocode/search/search.h"

enum { QUERIES_MAX = 100000, CATEGORIES_MAX = 64, FILTERS_MAX = 32, ROUNDS = 20 };

typedef struct query {
    sx_str text, first_id; /* first_id: empty if the recorded answer has no feature */
    geo_filter filters[FILTERS_MAX];
    uint32_t filter_count, category, limit;
    bool reverse, autocomplete, has_lat, has_lon;
    double lat, lon, score;
    int64_t best_ns;
} query;

typedef struct category {
    sx_str name;
    uint32_t count, same, same_score;
} category;

typedef struct bench {
    sx_arena arena;
    query *queries;
    uint32_t count;
    category categories[CATEGORIES_MAX];
    uint32_t category_count;
    geo_index *ix;
    geo_searcher *searcher;
    geo_results results;
    bool verbose;
} bench;

static void fail(const sx_error *err)
{
    (void)fprintf(stderr, "bench_search: %s\n", err->message);
    exit(1);
}

static uint32_t category_of(bench *b, sx_str name)
{
    for (uint32_t i = 0; i < b->category_count; i++) {
        if (sx_str_eq(b->categories[i].name, name))
            return i;
    }
    if (b->category_count == CATEGORIES_MAX)
        return 0;
    b->categories[b->category_count].name = sx_arena_copy(&b->arena, name);
    return b->category_count++;
}

/* Splits "75001 75002" into one filter a word. */
static void add_filters(bench *b, query *q, sx_str key, sx_str values)
{
    sx_str word;
    while (values.len && q->filter_count < FILTERS_MAX) {
        (void)sx_str_cut(values, ' ', &word, &values);
        if (word.len)
            q->filters[q->filter_count++] =
                (geo_filter){sx_arena_copy(&b->arena, key), sx_arena_copy(&b->arena, word)};
    }
}

static void take_param(bench *b, query *q, sx_str key, sx_str value)
{
    uint64_t number;
    bool lat = sx_str_eq(key, SX_STR("lat")) || sx_str_eq(key, SX_STR("latitude"));
    bool lon = sx_str_eq(key, SX_STR("lon")) || sx_str_eq(key, SX_STR("lng")) ||
               sx_str_eq(key, SX_STR("long")) || sx_str_eq(key, SX_STR("longitude"));
    if (sx_str_eq(key, SX_STR("q")))
        q->text = sx_arena_copy(&b->arena, value);
    else if (sx_str_eq(key, SX_STR("limit")) && sx_str_to_u64(value, &number))
        q->limit = (uint32_t)number;
    else if (sx_str_eq(key, SX_STR("autocomplete")))
        q->autocomplete = !sx_str_eq(value, SX_STR("0")) && !sx_str_eq(value, SX_STR("false"));
    else if (lat)
        q->has_lat = sx_double_parse(value, &q->lat);
    else if (lon)
        q->has_lon = sx_double_parse(value, &q->lon);
    else
        add_filters(b, q, key, value);
}

static void read_params(bench *b, sx_json *j, query *q)
{
    sx_str key, value;
    for (sx_json_enter_array(j); sx_json_next_item(j);) {
        sx_json_enter_array(j);
        if (sx_json_next_item(j) && sx_json_read_str(j, &key) && sx_json_next_item(j) &&
            sx_json_read_str(j, &value))
            take_param(b, q, key, value);
        sx_json_leave(j);
    }
}

/* The first feature's id and score. */
static void read_feature(bench *b, sx_json *j, query *q)
{
    sx_str key, id;
    for (sx_json_enter_object(j); sx_json_next_key(j, &key);) {
        if (!sx_str_eq(key, SX_STR("properties")))
            continue;
        for (sx_json_enter_object(j); sx_json_next_key(j, &key);) {
            if (sx_str_eq(key, SX_STR("id")) && sx_json_read_str(j, &id))
                q->first_id = sx_arena_copy(&b->arena, id);
            else if (sx_str_eq(key, SX_STR("score")))
                sx_json_read_double(j, &q->score);
        }
    }
}

static void read_body(bench *b, sx_json *j, query *q)
{
    sx_str key;
    if (sx_json_peek(j) != SX_JSON_OBJECT)
        return;
    for (sx_json_enter_object(j); sx_json_next_key(j, &key);) {
        if (!sx_str_eq(key, SX_STR("features")))
            continue;
        sx_json_enter_array(j);
        if (sx_json_next_item(j)) { /* an empty array has been left by then */
            read_feature(b, j, q);
            sx_json_leave(j);
        }
    }
}

static void read_query(bench *b, sx_str line)
{
    sx_json j;
    sx_arena scratch;
    sx_str key, text;
    int64_t status = 0;
    query q = {.autocomplete = true};
    sx_arena_init(&scratch, 0, 0);
    sx_json_init(&j, line, &(sx_json_options){.arena = &scratch});
    for (sx_json_enter_object(&j); sx_json_next_key(&j, &key);) {
        if (sx_str_eq(key, SX_STR("category")) && sx_json_read_str(&j, &text))
            q.category = category_of(b, text);
        else if (sx_str_eq(key, SX_STR("path")) && sx_json_read_str(&j, &text))
            q.reverse = sx_str_eq(text, SX_STR("/reverse/"));
        else if (sx_str_eq(key, SX_STR("status")))
            sx_json_read_i64(&j, &status);
        else if (sx_str_eq(key, SX_STR("params")))
            read_params(b, &j, &q);
        else if (sx_str_eq(key, SX_STR("body")))
            read_body(b, &j, &q);
    }
    sx_error err;
    if (sx_json_finish(&j, &err) != SX_OK)
        fail(&err);
    sx_arena_done(&scratch);
    if (status == 200 && b->count < QUERIES_MAX)
        b->queries[b->count++] = q;
}

static void read_queries(bench *b, const char *path)
{
    sx_error err;
    sx_packed_file *file = sx_packed_file_open(path, NULL, &err);
    sx_json_lines lines;
    sx_str chunk, line;
    if (!file)
        fail(&err);
    sx_json_lines_init(&lines, 0);
    for (bool more = true; more;) {
        chunk = sx_str_of("", 0);
        more = sx_packed_file_read(file, &chunk, &err) == SX_OK;
        sx_json_lines_feed(&lines, more ? chunk : sx_str_of("", 0));
        while (sx_json_lines_next(&lines, &line, &err) == SX_OK)
            read_query(b, line);
    }
    sx_json_lines_done(&lines);
    sx_packed_file_close(file);
}

static sx_status run(bench *b, const query *q)
{
    if (q->reverse)
        return geo_reverse(b->ix,
                           &(geo_reverse_query){.lat = q->lat,
                                                .lon = q->lon,
                                                .limit = q->limit,
                                                .within_m = GEO_REVERSE_CELLS,
                                                .filters = q->filters,
                                                .filter_count = q->filter_count},
                           &b->results, NULL);
    return geo_search(b->ix, b->searcher,
                      &(geo_query){.text = q->text,
                                   .limit = q->limit,
                                   .chars_max = GEO_QUERY_CHARS_LIMIT,
                                   .autocomplete = q->autocomplete,
                                   .has_point = q->has_lat && q->has_lon,
                                   .lat = q->lat,
                                   .lon = q->lon,
                                   .filters = q->filters,
                                   .filter_count = q->filter_count},
                      &b->results, NULL);
}

/* Counts whether the first answer is the recorded one. */
static void compare(bench *b, const query *q)
{
    char id[128], label[GEO_LABEL_BYTES_MAX];
    sx_str got = {"", 0};
    category *c = &b->categories[q->category];
    double score = b->results.count ? b->results.items[0].score : 0;
    if (b->results.count)
        got = geo_result_text(b->ix, &b->results.items[0], SX_STR("id"), id, sizeof(id));
    bool same = sx_str_eq(got, q->first_id);
    c->count++;
    c->same += same;
    c->same_score += same && (score - q->score) * (score - q->score) < 1e-12;
    if (same || !b->verbose)
        return;
    sx_str shown = {"", 0};
    if (b->results.count)
        shown = geo_result_label(b->ix, &b->results.items[0], label);
    printf("# %.*s: '%.*s' gives '%.*s' (%.*s, %.4f), recorded %.*s (%.4f)\n", SX_ARG(c->name),
           SX_ARG(q->text), SX_ARG(shown), SX_ARG(got), score, SX_ARG(q->first_id), q->score);
}

/* Every answer to every query, once. */
static void dump(bench *b)
{
    char id[128];
    for (uint32_t i = 0; i < b->count; i++) {
        const query *q = &b->queries[i];
        sx_status status = run(b, q);
        printf("%u %.*s '%.*s' %d\n", i, SX_ARG(b->categories[q->category].name), SX_ARG(q->text),
               (int)status);
        for (uint32_t r = 0; r < b->results.count; r++) {
            const geo_result *one = &b->results.items[r];
            sx_str text = geo_result_text(b->ix, one, SX_STR("id"), id, sizeof(id));
            printf("  %u %.*s %.17g %.17g\n", one->doc, SX_ARG(text), one->score, one->distance_m);
        }
    }
}

static int by_time(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* One line of times for the queries of `which` (all searches if it is CATEGORIES_MAX). */
static void print_times(const bench *b, uint32_t which, sx_str name)
{
    int64_t *times = sx_calloc(b->count + 1, sizeof(*times)), sum = 0;
    uint32_t count = 0;
    if (!times)
        return;
    for (uint32_t i = 0; i < b->count; i++) {
        const query *q = &b->queries[i];
        if (which == CATEGORIES_MAX ? q->reverse : q->category != which)
            continue;
        times[count++] = q->best_ns;
        sum += q->best_ns;
    }
    qsort(times, count, sizeof(*times), by_time);
    if (count)
        printf("search_%.*s_mean %.2f us\nsearch_%.*s_p50 %.2f us\nsearch_%.*s_p99 %.2f us\n"
               "search_%.*s_rate %.0f queries/s\n",
               SX_ARG(name), (double)sum / count / 1e3, SX_ARG(name),
               (double)times[count / 2] / 1e3, SX_ARG(name),
               (double)times[(uint64_t)count * 99 / 100] / 1e3, SX_ARG(name),
               (double)count * 1e9 / (double)sum);
    sx_free(times);
}

static double cpu_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Besides each query's best: how many a second of CPU are answered as they take their turns, which is
 * what a caller gets. */
static void measure(bench *b, uint32_t rounds)
{
    const sx_clock *clock = sx_clock_system();
    double from_s = 0;
    for (uint32_t i = 0; i < b->count; i++)
        b->queries[i].best_ns = INT64_MAX;
    for (uint32_t round = 0; round < rounds; round++) {
        if (round <= 1) /* the first only warms up, unless it is the only one */
            from_s = cpu_seconds();
        for (uint32_t i = 0; i < b->count; i++) {
            int64_t from = sx_clock_mono_ns(clock);
            (void)run(b, &b->queries[i]);
            int64_t took = sx_clock_mono_ns(clock) - from;
            if (took < b->queries[i].best_ns)
                b->queries[i].best_ns = took;
        }
    }
    if (rounds && b->count)
        printf("turns_rate %.0f queries/s\n",
               (double)b->count * (rounds > 1 ? rounds - 1 : 1) / (cpu_seconds() - from_s));
    for (uint32_t i = 0; i < b->count; i++) {
        (void)run(b, &b->queries[i]);
        compare(b, &b->queries[i]);
    }
}

static void print_agreement(const bench *b)
{
    for (uint32_t i = 0; i < b->category_count; i++) {
        const category *c = &b->categories[i];
        printf("first_answer_%.*s %.1f %% (%u of %u, %u with the same score)\n", SX_ARG(c->name),
               100.0 * c->same / (c->count ? c->count : 1), c->same, c->count, c->same_score);
    }
}

/* Pages of this process in memory, from /proc. */
static double resident_mb(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long pages = 0;
    if (f) {
        if (fscanf(f, "%*d %ld", &pages) != 1)
            pages = 0;
        (void)fclose(f);
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

/* Opens an index that was made before. */
static bool open_ready(bench *b, const char *path)
{
    sx_error err;
    return sx_str_ends(sx_str_z(path), SX_STR(".geo")) &&
           geo_index_open(path, &b->ix, &err) == SX_OK;
}

static void prepare(bench *b, const char *data, const char *index)
{
    sx_error err;
    geo_import_progress done;
    geo_import_input input = {.path = data};
    const sx_clock *clock = sx_clock_system();
    if (geo_import(&(geo_import_options){.inputs = &input, .input_count = 1, .output = index},
                   &done, &err) != SX_OK)
        fail(&err);
    int64_t from = sx_clock_mono_ns(clock);
    if (geo_index_open(index, &b->ix, &err) != SX_OK)
        fail(&err);
    double open_us = (double)(sx_clock_mono_ns(clock) - from) / 1e3;
    geo_stat stat;
    geo_index_stat(b->ix, &stat);
    printf("import %" PRId64
           " ms\nopen %.0f us\nindex %.1f MB\ndocuments %u\nhouse_numbers %" PRIu64 "\n",
           done.elapsed_ms, open_us, (double)stat.file_bytes / 1e6, stat.documents, stat.numbers);
    if (geo_index_verify(b->ix, &err) != SX_OK)
        fail(&err);
    geo_index_close(b->ix);
    if (geo_index_open(index, &b->ix, &err) != SX_OK)
        fail(&err);
}

static void report(bench *b, uint32_t rounds)
{
    measure(b, rounds);
    print_agreement(b);
    for (uint32_t i = 0; i < b->category_count; i++)
        print_times(b, i, b->categories[i].name);
    print_times(b, CATEGORIES_MAX, SX_STR("all"));
    printf("resident %.1f MB\n", resident_mb());
}

int main(int argc, char **argv)
{
    /* Without arguments, as `make bench` runs it from the repository: the data that ships. */
    char *usual[] = {(char[]){"bench_search"}, (char[]){"data/france.ndjson.gz"},
                     (char[]){"tests/e2e/data/addok/truth-1000.ndjson.gz"}, (char[]){"20"}};
    if (argc == 1) {
        argc = (int)SX_COUNT_OF(usual);
        argv = usual;
    }
    if (argc < 3) {
        (void)fprintf(stderr, "usage: bench_search DATA QUERIES [ROUNDS] [-v]\n");
        return 2;
    }
    char index[64];
    sx_error err;
    uint64_t rounds = ROUNDS;
    (void)snprintf(index, sizeof(index), "/tmp/bench_search.%d.geo", (int)getpid());
    bench *b = sx_calloc(1, sizeof(*b));
    if (!b)
        return 1;
    b->queries = sx_calloc(QUERIES_MAX, sizeof(*b->queries));
    b->searcher = geo_searcher_new(&err);
    if (!b->queries || !b->searcher)
        return 1;
    if (argc > 3)
        (void)sx_str_to_u64(sx_str_z(argv[3]), &rounds);
    b->verbose = sx_str_eq(sx_str_z(argv[argc - 1]), SX_STR("-v"));
    sx_arena_init(&b->arena, 0, 0);
    if (!open_ready(b, argv[1]))
        prepare(b, argv[1], index);
    read_queries(b, argv[2]);
    if (sx_str_eq(sx_str_z(argv[argc - 1]), SX_STR("-d")))
        dump(b);
    else
        report(b, (uint32_t)rounds);
    geo_index_close(b->ix);
    (void)unlink(index);
    geo_searcher_free(b->searcher);
    sx_arena_done(&b->arena);
    sx_free(b->queries);
    sx_free(b);
    return 0;
}
