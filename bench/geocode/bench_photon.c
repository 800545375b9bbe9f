/* bench_photon.c - how long Photon's autocompletion takes: each line of a file is typed letter by letter,
 * and every beginning is a question.
 *
 *   bench_photon INDEX QUERIES      one question a line, one thread, no HTTP, no cache
 *
 * Prints one line a figure: `name value unit`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "geocode/nominatim/document.h"
#include "geocode/photon/photon.h"

enum { ASKED_MAX = 1 << 20, LINE_MAX_BYTES = 400, LEAST_BYTES = 3 };

typedef struct bench {
    geo_index *documents;
    plc_index places;
    nom_index index;
    nom_words *words;
    nom_searcher *searcher;
    geo_searcher *addresses;
    geo_results results;
    sx_arena arena;
    sx_buf body;
    uint64_t *ns;
    size_t count, found;
} bench;

static sx_status open_all(bench *b, const char *path, sx_error *err)
{
    sx_status status = geo_index_open(path, &b->documents, err);
    if (status != SX_OK)
        return status;
    sx_str places = geo_index_places(b->documents);
    b->index.documents = b->documents;
    if (places.len) {
        status = plc_open(&b->places, places.data, places.len, err);
        b->index.places = &b->places;
        b->words = status == SX_OK ? nom_words_open(&b->places, err) : NULL;
    }
    b->searcher = nom_searcher_new(err);
    b->addresses = nom_documents_any(b->documents) ? geo_searcher_new(err) : NULL;
    b->ns = calloc(ASKED_MAX, sizeof(*b->ns));
    sx_arena_init(&b->arena, 512 << 10, 0);
    sx_buf_init(&b->body, 0);
    return b->searcher && b->ns ? status : sx_fail_memory(err, "the bench");
}

static sx_status ask(bench *b, sx_str text, sx_error *err)
{
    static const photon_query DEFAULTS = {
        .endpoint = PHOTON_API, .limit = 7, .dedupe = true, .fuzzy = true, .zoom = 12, .bias = 0.4};
    photon_query q = DEFAULTS;
    nom_locale locale;
    nom_hits hits;
    q.q = text;
    sx_arena_reset(&b->arena);
    sx_buf_clear(&b->body);
    nom_locale_init(&locale, SX_STR("en"));
    const photon_asked asked = {.index = &b->index,
                                .words = b->words,
                                .searcher = b->searcher,
                                .addresses = b->addresses,
                                .results = &b->results,
                                .query = &q,
                                .locale = &locale,
                                .arena = &b->arena};
    sx_status status = photon_find(&asked, &hits, err);
    b->found += status == SX_OK && hits.count > 0;
    return status == SX_OK ? photon_write(&asked, &hits, &b->body, err) : status;
}

/* Of the thread: others on the machine do not count. */
static uint64_t cpu_ns(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0
               ? (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec
               : 0;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Beginnings of a line that end with a whole letter. */
static sx_status type_line(bench *b, sx_str line, sx_error *err)
{
    sx_status status = SX_OK;
    for (size_t len = LEAST_BYTES; len <= line.len && status == SX_OK; len++) {
        if ((len < line.len && ((uint8_t)line.data[len] & 0xC0) == 0x80) || b->count == ASKED_MAX)
            continue;
        uint64_t from = cpu_ns();
        status = ask(b, sx_str_first(line, len), err);
        uint64_t took = cpu_ns() - from;
        b->ns[b->count++] = took;
        if (took > 1000000 && getenv("BENCH_SLOW"))
            fprintf(stderr, "%.*s: %.3f ms\n", (int)len, line.data, (double)took / 1e6);
    }
    return status;
}

int main(int argc, char **argv)
{
    static bench b;
    char line[LINE_MAX_BYTES];
    sx_error err = {0};
    FILE *in = argc == 3 ? fopen(argv[2], "r") : NULL;
    if (!in) {
        fprintf(stderr, "usage: bench_photon INDEX QUERIES\n");
        return 2;
    }
    sx_status status = open_all(&b, argv[1], &err);
    while (status == SX_OK && fgets(line, sizeof(line), in))
        status = type_line(&b, sx_str_trim_all(sx_str_z(line)), &err);
    (void)fclose(in);
    if (status != SX_OK || b.count == 0) {
        fprintf(stderr, "bench_photon: %s\n", err.message);
        return 1;
    }
    qsort(b.ns, b.count, sizeof(*b.ns), by_size);
    double sum = 0;
    for (size_t i = 0; i < b.count; i++)
        sum += (double)b.ns[i];
    printf("photon_autocomplete_questions %zu questions\n", b.count);
    printf("photon_autocomplete_answered %.1f %%\n", 100.0 * (double)b.found / (double)b.count);
    printf("photon_autocomplete_mean %.1f us\n", sum / (double)b.count / 1e3);
    printf("photon_autocomplete_p50 %.1f us\n", (double)b.ns[b.count / 2] / 1e3);
    printf("photon_autocomplete_p99 %.1f us\n", (double)b.ns[b.count * 99 / 100] / 1e3);
    printf("photon_autocomplete_most %.1f us\n", (double)b.ns[b.count - 1] / 1e3);
    return 0;
}
