/* bench_nominatim_search - searches a second and their times over the places of one map.
 *
 *     bench_nominatim_search MAP PHRASES.csv QUERIES [ROUNDS]
 *
 * QUERIES has a text a line. Prints the time of the import's parts, the mean and the slow end of a search, of
 * one with typing errors forgiven and one whose last word is unfinished (each query cut at every length). */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sextant/file.h>

#include "geocode/nominatim/search.h"
#include "geocode/nominatim/words_build.h"
#include "geocode/places/build.h"

enum { QUERIES_MAX = 100000, TIMES_MAX = 1000000, FILE_BYTES_MAX = 64 << 20 };

typedef struct bench {
    plc_writer *writer;
    plc_index ix;
    nom_index index;
    nom_words *words;
    nom_searcher *searcher;
    sx_arena arena;
    nom_locale locale;
    sx_str *queries;
    size_t query_count;
    double *times_us;
    size_t time_count;
} bench;

/* Time of this process on a processor: what else runs does not count. */
static double now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1000;
}

static sx_status import(bench *b, const char *map, const char *phrase_file, sx_error *err)
{
    osm_dataset *data;
    plc_report report;
    nom_phrases phrases;
    sx_buf text = {0};
    double begin = now_us();
    sx_status status = osm_dataset_open(NULL, &map, 1, &data, err);
    if (status != SX_OK)
        return status;
    printf("nominatim_read %.1f ms\n", (now_us() - begin) / 1000);
    plc_report_init(&report);
    b->writer = plc_writer_new(NULL, 0, err);
    begin = now_us();
    status = plc_build(data, NULL, b->writer, &report, err);
    printf("nominatim_places %.1f ms\n", (now_us() - begin) / 1000);
    osm_dataset_close(data);
    plc_report_done(&report);
    if (status == SX_OK)
        status = plc_writer_view(b->writer, &b->ix, err);
    if (status == SX_OK)
        status = sx_file_read(phrase_file, FILE_BYTES_MAX, &text, err);
    if (status == SX_OK)
        status = nom_phrases_read(sx_buf_view(&text), &b->arena, &phrases, err);
    begin = now_us();
    if (status == SX_OK)
        status = nom_words_build(&b->ix, &phrases, b->writer, err);
    if (status == SX_OK)
        status = plc_writer_seal(b->writer, err);
    printf("nominatim_words %.1f ms\n", (now_us() - begin) / 1000);
    if (status == SX_OK)
        status = plc_writer_view(b->writer, &b->ix, err);
    sx_buf_done(&text);
    return status;
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void search(bench *b, const nom_search_query *q)
{
    nom_hits hits;
    double begin = now_us();
    sx_arena_reset(&b->arena);
    (void)nom_search(&b->index, b->words, b->searcher, q, &b->locale, &b->arena, &hits, NULL);
    if (b->time_count < TIMES_MAX)
        b->times_us[b->time_count++] = now_us() - begin;
}

static void report(bench *b, const char *name)
{
    double sum = 0;
    for (size_t i = 0; i < b->time_count; i++)
        sum += b->times_us[i];
    if (b->time_count == 0)
        return;
    qsort(b->times_us, b->time_count, sizeof(double), by_time);
    printf("%s_mean %.1f us\n", name, sum / (double)b->time_count);
    printf("%s_p99 %.1f us\n", name, b->times_us[b->time_count * 99 / 100]);
    printf("%s_a_second %.0f\n", name, 1e6 * (double)b->time_count / sum);
    b->time_count = 0;
}

static void run(bench *b, int rounds)
{
    for (int round = 0; round < rounds; round++)
        for (size_t i = 0; i < b->query_count; i++)
            search(b, &(nom_search_query){.text = b->queries[i], .dedupe = true});
    report(b, "nominatim_search");
    for (size_t i = 0; i < b->query_count; i++)
        search(b, &(nom_search_query){.text = b->queries[i], .dedupe = true, .fuzzy = true});
    report(b, "nominatim_search_fuzzy");
    for (size_t i = 0; i < b->query_count; i++)
        for (size_t len = 1; len <= b->queries[i].len; len++)
            search(b, &(nom_search_query){.text = sx_str_first(b->queries[i], len),
                                          .dedupe = true,
                                          .autocomplete = true});
    report(b, "nominatim_autocomplete");
}

int main(int argc, char **argv)
{
    bench b = {0};
    sx_error err = {0};
    sx_buf text = {0};
    if (argc < 4) {
        fprintf(stderr, "usage: bench_nominatim_search MAP PHRASES.csv QUERIES [ROUNDS]\n");
        return 2;
    }
    sx_arena_init(&b.arena, 0, 0);
    nom_locale_init(&b.locale, sx_str_of("", 0));
    b.queries = calloc(QUERIES_MAX, sizeof(sx_str));
    b.times_us = calloc(TIMES_MAX, sizeof(double));
    if (!b.queries || !b.times_us || import(&b, argv[1], argv[2], &err) != SX_OK ||
        sx_file_read(argv[3], FILE_BYTES_MAX, &text, &err) != SX_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    b.index.places = &b.ix;
    b.words = nom_words_open(&b.ix, &err);
    b.searcher = nom_searcher_new(&err);
    sx_str line, rest = sx_buf_view(&text);
    while (rest.len && b.query_count < QUERIES_MAX) {
        (void)sx_str_cut(rest, '\n', &line, &rest);
        if (line.len)
            b.queries[b.query_count++] = line;
    }
    if (!b.words || !b.searcher)
        return 1;
    run(&b, argc > 4 ? (int)strtol(argv[4], NULL, 10) : 1);
    nom_searcher_free(b.searcher);
    nom_words_close(b.words);
    plc_writer_free(b.writer);
    sx_buf_done(&text);
    sx_arena_done(&b.arena);
    free(b.times_us);
    free(b.queries);
    return 0;
}
