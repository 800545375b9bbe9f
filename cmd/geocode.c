/* geocode.c - `sextant geocode import`, `bench` and `verify`; `serve` is in geocode_serve.c. */
#include "cmd/geocode.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sextant/clock.h>
#include <sextant/file.h>
#include <sextant/mem.h>

#include "cmd/command.h"
#include "geocode/import/import.h"
#include "geocode/nominatim/search.h"
#include "geocode/places/places.h"
#include "geocode/search/explain.h"
#include "geocode/search/search.h"
#include "service/config_values.h"

enum { INPUTS_MAX = 64, BAR_CELLS = 30, QUERIES_BYTES_MAX = 1 << 30 };

static double share_of(uint64_t done, uint64_t total)
{
    return total ? (double)done / (double)total : 0;
}

/* One line, rewritten in place; each stage fills the bar anew. */
static bool draw_progress(void *context, const geo_import_progress *p)
{
    static const char *const NAMES[] = {[GEO_IMPORT_READING] = "reading",
                                        [GEO_IMPORT_MAP] = "reading",
                                        [GEO_IMPORT_PLACES] = "places",
                                        [GEO_IMPORT_WRITING] = "writing",
                                        [GEO_IMPORT_DONE] = "writing"};
    (void)context;
    bool by_bytes = p->stage == GEO_IMPORT_READING || p->stage == GEO_IMPORT_MAP;
    double share = by_bytes ? share_of(p->bytes_done, p->bytes_total) : share_of(p->step, p->steps);
    if (p->stage == GEO_IMPORT_DONE || share > 1)
        share = 1;
    int cells = (int)(share * BAR_CELLS);
    char bar[BAR_CELLS * 3 + 1];
    size_t at = 0;
    for (int i = 0; i < BAR_CELLS; i++)
        at += (size_t)snprintf(bar + at, sizeof(bar) - at, "%s", i < cells ? "█" : "░");
    fprintf(stderr, "\r\033[K%s %s %3.0f %%  ", NAMES[p->stage], bar, share * 100);
    if (p->what && (p->stage == GEO_IMPORT_MAP || p->stage == GEO_IMPORT_PLACES))
        fprintf(stderr, "%s ", p->what);
    else
        fprintf(stderr, "%u documents, %llu numbers ", p->documents,
                (unsigned long long)p->numbers);
    if (p->stage == GEO_IMPORT_DONE)
        fputc('\r', stderr);
    fflush(stderr);
    return true;
}

void cmd_import_summary(const geo_import_progress *p, const char *index)
{
    fprintf(stderr, "imported %u documents with %llu house numbers into %s in %.1f s\n",
            p->documents, (unsigned long long)p->numbers, index, (double)p->elapsed_ms / 1000);
    if (p->objects)
        fprintf(stderr, "map: %llu objects became %llu places\n", (unsigned long long)p->objects,
                (unsigned long long)p->places);
    if (p->flaws)
        fprintf(stderr, "map: %llu objects with flaws; the first: %s\n",
                (unsigned long long)p->flaws, p->first_flaw);
    if (p->broken)
        fprintf(stderr, "map: %llu areas broken or repaired; the first: %s\n",
                (unsigned long long)p->broken, p->first_broken);
    if (p->left_out)
        fprintf(stderr, "left out %llu rows of kinds that are not searched\n",
                (unsigned long long)p->left_out);
    if (p->skipped)
        fprintf(stderr, "passed over %llu bad rows; the first: %s\n",
                (unsigned long long)p->skipped, p->first_skipped);
}

sx_status cmd_import(const geo_import_options *options, bool quiet, sx_error *err)
{
    bool draw = !quiet && isatty(STDERR_FILENO);
    geo_import_progress summary = {0};
    geo_import_options own = *options;
    own.report = draw ? draw_progress : NULL;
    sx_status status = geo_import(&own, &summary, err);
    if (draw)
        fputs("\r\033[K", stderr);
    if (status == SX_OK && !quiet)
        cmd_import_summary(&summary, options->output);
    return status;
}

/* A flag that cannot be done without. */
static const char *required(const cmd_args *args, const char *flag, int *status)
{
    const char *value = cmd_value(args, flag);
    if (!value) {
        fprintf(stderr, "sextant: %s needs --%s; 'sextant help %s' explains\n", args->command->name,
                flag, args->command->name);
        *status = 2;
    }
    return value;
}

/* The keys of --source. */
static const sx_str SOURCE_KEYS[] = {SX_STR_INIT("name"), SX_STR_INIT("attribution"),
                                     SX_STR_INIT("licence"), SX_STR_INIT("language"),
                                     SX_STR_INIT("communes")};

/* Whether a key of --source, or what looks like one, stands at the beginning of `s`. */
static bool begins_key(sx_str s)
{
    size_t letters = 0;
    while (letters < s.len && s.data[letters] >= 'a' && s.data[letters] <= 'z')
        letters++;
    return letters && letters < s.len && s.data[letters] == '=';
}

/* Cuts the first KEY=VALUE off *rest. Values may have commas: one ends where the next key begins. */
static sx_str cut_pair(sx_str *rest)
{
    size_t end = 0;
    while (end < rest->len && !(rest->data[end] == ',' && begins_key(sx_str_from(*rest, end + 1))))
        end++;
    sx_str pair = sx_str_first(*rest, end);
    *rest = sx_str_from(*rest, end + 1);
    return pair;
}

static sx_status set_source(geo_import_input *in, sx_str key, sx_str value, sx_error *err)
{
    sx_str *texts[] = {&in->name, &in->attribution, &in->licence};
    size_t i = 0;
    while (i < SX_COUNT_OF(SOURCE_KEYS) && !sx_str_eq(SOURCE_KEYS[i], key))
        i++;
    if (i < SX_COUNT_OF(texts)) {
        *texts[i] = value;
        return SX_OK;
    }
    if (i == SX_COUNT_OF(SOURCE_KEYS))
        return sx_fail(
            err, SX_EINVAL,
            "--source has no key '%.*s': it has name, attribution, licence, language and "
            "communes",
            SX_ARG(key));
    if (sx_str_eq(key, SX_STR("communes"))) {
        in->no_communes = sx_str_eq(value, SX_STR("no"));
        return in->no_communes || sx_str_eq(value, SX_STR("yes"))
                   ? SX_OK
                   : sx_fail(err, SX_EINVAL, "--source: communes is yes or no, not '%.*s'",
                             SX_ARG(value));
    }
    in->language = geo_rules_language(value);
    in->no_language = sx_str_eq(value, SX_STR("none"));
    if (in->language != GEO_LANGUAGES)
        return SX_OK;
    in->language = GEO_LANGUAGE_NONE;
    return in->no_language
               ? SX_OK
               : sx_fail(err, SX_EINVAL, "--source: language is fr, es, de or none, not '%.*s'",
                         SX_ARG(value));
}

static sx_status read_source(const char *text, geo_import_input *in, sx_error *err)
{
    for (sx_str rest = sx_str_z(text), key, value; rest.len;) {
        sx_str pair = cut_pair(&rest);
        if (!sx_str_cut(pair, '=', &key, &value))
            return sx_fail(err, SX_EINVAL, "--source wants KEY=VALUE,..., not '%.*s'",
                           SX_ARG(pair));
        sx_status status = set_source(in, key, value, err);
        if (status != SX_OK)
            return status;
    }
    return SX_OK;
}

/* Below the least of it the temporary files are written and read in small pieces. */
static const sx_key MEMORY = {.key = "memory",
                              .kind = SX_BYTES,
                              .offset = offsetof(geo_import_options, memory_max),
                              .size = sizeof(size_t),
                              .least = 16 << 20,
                              .most = INT64_C(1) << 40};

int cmd_geocode_import(const cmd_args *args)
{
    int status = 0;
    sx_error err = {0};
    geo_import_input inputs[INPUTS_MAX];
    geo_import_options options = {.inputs = inputs,
                                  .input_count = (size_t)args->rest_count,
                                  .output = required(args, "output", &status),
                                  .temp_dir = cmd_value(args, "temp"),
                                  .phrases = cmd_value(args, "phrases"),
                                  .base = cmd_value(args, "base"),
                                  .report_path = cmd_value(args, "report")};
    uint64_t threads = 0;
    if (status)
        return status;
    if (!sx_str_to_u64(sx_str_z(cmd_value(args, "threads")), &threads) ||
        threads > CMD_IMPORT_THREADS_MAX) {
        fprintf(stderr, "sextant: --threads is 0 to %d, not %s\n", CMD_IMPORT_THREADS_MAX,
                cmd_value(args, "threads"));
        return 2;
    }
    options.threads = (uint32_t)threads;
    if (sx_key_read(&MEMORY, sx_str_z(cmd_value(args, "memory")), NULL, &options, &err) != SX_OK) {
        fprintf(stderr, "sextant: --memory: %s\n", err.message);
        return 2;
    }
    if (!sx_str_to_u64(sx_str_z(cmd_value(args, "skip-bad")), &options.skip_max)) {
        fprintf(stderr, "sextant: --skip-bad is a number of rows, not %s\n",
                cmd_value(args, "skip-bad"));
        return 2;
    }
    if (args->rest_count > INPUTS_MAX) {
        fprintf(stderr, "sextant: %d files; at most %d at a time\n", args->rest_count, INPUTS_MAX);
        return 2;
    }
    for (int i = 0; i < args->rest_count; i++) {
        const char *source = cmd_value_at(args, "source", i);
        inputs[i] = (geo_import_input){.path = args->rest[i]};
        if (source && read_source(source, &inputs[i], &err) != SX_OK) {
            (void)cmd_failed(&err);
            return 2;
        }
    }
    return cmd_import(&options, cmd_switch(args, "quiet"), &err) == SX_OK ? 0 : cmd_failed(&err);
}

typedef enum depth { OPEN_ONLY, ALL_OF_IT } depth;

/* Opens or checks the places of OpenStreetMap in an index, and their words, if there are any. */
static sx_status look_at_places(const geo_index *index, depth how, uint32_t *count, sx_error *err)
{
    plc_index places;
    sx_str section = geo_index_places(index);
    *count = 0;
    if (section.len == 0)
        return SX_OK;
    sx_status status = plc_open(&places, section.data, section.len, err);
    if (status != SX_OK)
        return status;
    *count = places.place_count;
    if (how == ALL_OF_IT)
        status = plc_verify(&places, err);
    nom_words *words = status == SX_OK ? nom_words_open(&places, err) : NULL;
    if (status == SX_OK && !words)
        status = SX_ECORRUPT;
    nom_words_close(words);
    return status;
}

bool cmd_index_usable(const char *index)
{
    geo_index *ix;
    sx_error ignored;
    uint32_t places;
    if (geo_index_open(index, &ix, &ignored) != SX_OK)
        return false;
    bool usable = look_at_places(ix, OPEN_ONLY, &places, &ignored) == SX_OK;
    geo_index_close(ix);
    return usable;
}

int cmd_geocode_verify(const cmd_args *args)
{
    int status = 0;
    sx_error err = {0};
    geo_index *index = NULL;
    geo_stat stat;
    const char *path = required(args, "index", &status);
    if (status)
        return status;
    if (geo_index_open(path, &index, &err) != SX_OK)
        return cmd_failed(&err);
    uint32_t places;
    if (geo_index_verify(index, &err) != SX_OK ||
        look_at_places(index, ALL_OF_IT, &places, &err) != SX_OK) {
        sx_error_prefix(&err, SX_ECORRUPT, "%s", path);
        geo_index_close(index);
        return cmd_failed(&err);
    }
    geo_index_stat(index, &stat);
    printf("%s is whole: %u documents, %llu house numbers, %u words, ", path, stat.documents,
           (unsigned long long)stat.numbers, stat.terms);
    if (places)
        printf("%u places, ", places);
    printf("%.1f MB\n", (double)stat.file_bytes / 1e6);
    geo_index_close(index);
    return 0;
}

/* What one run over the queries measures. */
typedef struct bench {
    const geo_index *index;
    geo_searcher *searcher;
    geo_results results;
    geo_query query;
    uint32_t *nanoseconds; /* of each query */
    size_t count, cap, empty;
} bench;

static sx_status bench_one(bench *b, sx_str text, sx_error *err)
{
    if (!sx_grow(&b->nanoseconds, &b->cap, b->count + 1, sizeof(*b->nanoseconds)))
        return sx_fail_memory(err, "the timings");
    b->query.text = text;
    int64_t before = sx_clock_mono_ns(sx_clock_system());
    sx_status status = geo_search(b->index, b->searcher, &b->query, &b->results, err);
    int64_t took = sx_clock_mono_ns(sx_clock_system()) - before;
    if (status == SX_ECORRUPT)
        return status;
    b->empty += status != SX_OK || b->results.count == 0;
    b->nanoseconds[b->count++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
    return SX_OK;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void bench_report(bench *b)
{
    double total = 0;
    for (size_t i = 0; i < b->count; i++)
        total += b->nanoseconds[i];
    if (b->count)
        qsort(b->nanoseconds, b->count, sizeof(*b->nanoseconds), by_value);
    static const struct {
        const char *name;
        double share;
    } ROWS[] = {{"p50", .5}, {"p95", .95}, {"p99", .99}, {"max", 1}};
    if (b->count)
        printf("mean %.1f us\n", total / 1000.0 / (double)b->count);
    for (size_t i = 0; i < SX_COUNT_OF(ROWS) && b->count; i++)
        printf("%s %.1f us\n", ROWS[i].name,
               b->nanoseconds[(size_t)((double)(b->count - 1) * ROWS[i].share)] / 1000.0);
    printf("%zu of %zu queries found nothing\n", b->empty, b->count);
    printf("%.0f queries/s\n", total > 0 ? (double)b->count * 1e9 / total : 0);
}

static sx_status run_bench(bench *b, const char *file, sx_error *err)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_status status = sx_file_read(file, QUERIES_BYTES_MAX, &text, err);
    for (sx_str rest = sx_buf_view(&text), line; status == SX_OK && rest.len;) {
        sx_str_cut(rest, '\n', &line, &rest);
        if (line.len)
            status = bench_one(b, line, err);
    }
    sx_buf_done(&text);
    return status;
}

/* The same queries again, asked for something better: how much longer do those take that had a good
 * answer, and those that had none? */
static sx_status compare_better(bench *b, const char *file, sx_error *err)
{
    enum { ROUNDS = 5 };
    bench better = {.index = b->index, .searcher = b->searcher, .query = b->query};
    double plain_ns[2] = {0}, better_ns[2] = {0};
    size_t counts[2] = {0};
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_status status = sx_file_read(file, QUERIES_BYTES_MAX, &text, err);
    for (sx_str rest = sx_buf_view(&text), line; status == SX_OK && rest.len;) {
        uint32_t best[2] = {UINT32_MAX, UINT32_MAX};
        geo_trace trace = {0};
        sx_str_cut(rest, '\n', &line, &rest);
        for (int round = 0; line.len && round < 2 * ROUNDS && status == SX_OK; round++) {
            better.query.better = round % 2 ? GEO_BETTER_ALL : 0;
            better.count = 0;
            status = bench_one(&better, line, err);
            if (better.count && better.nanoseconds[0] < best[round % 2])
                best[round % 2] = better.nanoseconds[0];
        }
        better.query.trace = &trace;
        if (status == SX_OK && line.len)
            status = bench_one(&better, line, err);
        better.query.trace = NULL;
        if (!line.len || best[1] == UINT32_MAX)
            continue;
        counts[trace.better_ran]++;
        plain_ns[trace.better_ran] += best[0];
        better_ns[trace.better_ran] += best[1];
    }
    sx_buf_done(&text);
    sx_free(better.nanoseconds);
    static const char *const NAMES[] = {"not needed", "needed"};
    for (unsigned i = 0; i < 2 && status == SX_OK; i++) {
        double count = counts[i] ? (double)counts[i] : 1;
        printf("better %s: %zu queries, %.2f us plain, %.2f us better\n", NAMES[i], counts[i],
               plain_ns[i] / count / 1000, better_ns[i] / count / 1000);
    }
    return status;
}

int cmd_geocode_bench(const cmd_args *args)
{
    int status = 0;
    uint64_t limit;
    sx_error err = {0};
    geo_index *index = NULL;
    const char *path = required(args, "index", &status);
    if (status)
        return status;
    if (!sx_str_to_u64(sx_str_z(cmd_value(args, "limit")), &limit) || limit < 1 ||
        limit > GEO_RESULTS_MAX) {
        fprintf(stderr, "sextant: --limit is 1 to %d, not %s\n", GEO_RESULTS_MAX,
                cmd_value(args, "limit"));
        return 2;
    }
    int64_t began = sx_clock_mono_ns(sx_clock_system());
    if (geo_index_open(path, &index, &err) != SX_OK)
        return cmd_failed(&err);
    printf("opened in %.3f ms\n", (double)(sx_clock_mono_ns(sx_clock_system()) - began) / 1e6);
    bench b = {
        .index = index,
        .searcher = geo_searcher_new(&err),
        .query = {.limit = (uint32_t)limit, .autocomplete = cmd_switch(args, "autocomplete")}};
    bool better = cmd_switch(args, "better");
    if (!b.searcher || run_bench(&b, args->rest[0], &err) != SX_OK ||
        (better && compare_better(&b, args->rest[0], &err) != SX_OK))
        status = cmd_failed(&err);
    else
        bench_report(&b);
    sx_free(b.nanoseconds);
    geo_searcher_free(b.searcher);
    geo_index_close(index);
    return status;
}
