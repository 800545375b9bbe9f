/* tsdb_tool.c - the metric store from the command line, for tests beside Prometheus and promtool.
 *
 *   tsdb_tool dump DIR       every sample of a data directory, one a line:
 *                            {labels} time value-bits, as hexadecimal
 *   tsdb_tool fill DIR       a day of floats and histograms, some late, without any block
 *   tsdb_tool maintain DIR   cuts and compacts as far as it is due, and tells what blocks there are
 *   tsdb_tool chunks FILE    reads every chunk of a chunk file that Prometheus wrote, packs its
 *                            samples again, and fails unless the bytes are the same
 *   tsdb_tool append DIR     reads lines "series time value" from standard input, appends each as a
 *                            batch of its own, and echoes the line once it is acknowledged
 *   tsdb_tool verify DIR     reads such lines and fails unless every one of them is in DIR */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/file.h>
#include <sextant/hash.h>

#include "observe/tsdb/chunk.h"
#include "observe/tsdb/db.h"

static int complain(const sx_error *err)
{
    fprintf(stderr, "tsdb_tool: %s\n", err->message);
    return 1;
}

static const tsdb_options OPTIONS = {.retention_ms = INT64_C(86400000) * 36500,
                                     .wal_segment_bytes = 256 << 10};

static int dump(const char *dir)
{
    tsdb_options options = OPTIONS;
    tsdb *db;
    tsdb_querier *q;
    tsdb_selection found;
    tsdb_columns c;
    sx_arena arena;
    sx_buf line;
    sx_error err = {0};
    options.read_only = true;
    if (tsdb_open(dir, &options, &db, &err) != SX_OK)
        return complain(&err);
    tsdb_queryable *from = tsdb_queryable_of(db);
    tsdb_hints hints = {.min_t = INT64_MIN, .max_t = INT64_MAX, .sorted = true};
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&line, 0);
    tsdb_columns_init(&c, &arena);
    if (from->querier(from, INT64_MIN, INT64_MAX, &q, &err) != SX_OK ||
        q->ops->select(q, &hints, NULL, 0, &arena, &found, NULL, &err) != SX_OK)
        return complain(&err);
    for (size_t i = 0; i < found.count; i++) {
        c.count = 0;
        sx_buf_clear(&line);
        if (q->ops->read(q, &found.items[i], INT64_MIN, INT64_MAX, &c, &err) != SX_OK ||
            tsdb_labels_print(found.items[i].labels, &line, &err) != SX_OK)
            return complain(&err);
        for (size_t k = 0; k < c.count; k++) {
            uint64_t bits;
            memcpy(&bits, &c.v[k], sizeof bits);
            if (c.h && c.h[k])
                printf("%.*s %" PRId64 " histogram %g %g\n", (int)line.len, line.data, c.t[k],
                       c.h[k]->count, c.h[k]->sum);
            else
                printf("%.*s %" PRId64 " %016" PRIx64 "\n", (int)line.len, line.data, c.t[k], bits);
        }
    }
    tsdb_stats stats;
    tsdb_stats_read(db, &stats);
    fprintf(stderr, "corruptions %" PRIu64 "\n", stats.wal_corruptions);
    q->ops->free(q);
    tsdb_columns_done(&c);
    sx_buf_done(&line);
    sx_arena_done(&arena);
    tsdb_close(db);
    return 0;
}

static int chunks(const char *path)
{
    sx_mapping map;
    sx_error err = {0};
    sx_arena arena;
    tsdb_columns c;
    size_t good = 0;
    if (sx_mapping_open(&map, path, SX_MAP_SEQUENTIAL, &err) != SX_OK)
        return complain(&err);
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    const uint8_t *data = (const uint8_t *)map.data;
    for (size_t at = 8; at < map.len;) {
        size_t len = 0;
        for (unsigned shift = 0; at < map.len && shift < 35; shift += 7) {
            len |= (size_t)(data[at] & 0x7f) << shift;
            if (data[at++] < 0x80)
                break;
        }
        if (len == 0 || at + 1 + len + 4 > map.len)
            break;
        tsdb_encoding encoding = (tsdb_encoding)data[at++];
        sx_str bytes = sx_str_of(data + at, len);
        at += len + 4;
        tsdb_packed packed;
        tsdb_pack_options options = {.xor2 = encoding == TSDB_CHUNK_XOR2, .samples_max = 2000};
        size_t from = 0;
        c.count = 0;
        if (tsdb_chunk_read(encoding, bytes, INT64_MIN, INT64_MAX, &c, &err) != SX_OK ||
            tsdb_chunk_pack(&c, &from, &options, &arena, &packed, &err) != SX_OK)
            return complain(&err);
        /* What came before the chunk is said in two bits that only the chunk before can tell. */
        bool histogram = encoding != TSDB_CHUNK_XOR && encoding != TSDB_CHUNK_XOR2;
        size_t hint =
            encoding == TSDB_CHUNK_HISTOGRAM || encoding == TSDB_CHUNK_FLOAT_HISTOGRAM ? 2 : 0;
        if (histogram && packed.bytes.len > hint)
            ((uint8_t *)(uintptr_t)packed.bytes.data)[hint] =
                (uint8_t)((packed.bytes.data[hint] & 0x3f) | (bytes.data[hint] & 0xc0));
        if (!sx_str_eq(packed.bytes, bytes) || from != c.count) {
            fprintf(stderr, "tsdb_tool: chunk before offset %zu of %s differs\n", at, path);
            return 1;
        }
        good++;
        tsdb_columns_done(&c);
        tsdb_columns_init(&c, &arena);
        sx_arena_reset(&arena);
    }
    printf("%zu chunks are the same\n", good);
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
    sx_mapping_close(&map);
    return 0;
}

/* --- A day of everything. */

enum { FILL_SERIES = 30, FILL_STEP_MS = 30000, FILL_SAMPLES = 1560 }; /* 13 h */
static const int64_t FILL_FROM = INT64_C(1700006400000);              /* a multiple of 2 h */

/* Buckets come, go and fall back; a third of the series are gauges, a third float histograms. */
static void make_histogram(unsigned series, unsigned k, tsdb_span spans[2], double counts[8],
                           tsdb_histogram *h)
{
    unsigned age = k % 400, buckets = 3 + age / 100;
    spans[0] = (tsdb_span){series % 5 ? -1 : 3, 2};
    spans[1] = (tsdb_span){2, buckets - 2};
    *h = (tsdb_histogram){.schema = (int32_t)(series % 4),
                          .integer = series % 3 != 0,
                          .reset = series % 3 == 2 ? TSDB_RESET_GAUGE : TSDB_RESET_UNKNOWN,
                          .zero_threshold = series % 2 ? 0.001 : 0x1p-128,
                          .zero_count = age / 7,
                          .positive_spans = spans,
                          .positive_span_count = 2,
                          .positive = counts,
                          .positive_count = buckets};
    h->count = h->zero_count;
    for (unsigned i = 0; i < buckets; i++) {
        counts[i] = age * (i + 1) + (series % 3 ? 0 : 0.25);
        if (series % 3 == 2)
            counts[i] = (k * 7 + i * 13) % 50;
        h->count += counts[i];
    }
    h->sum = 1.5 * (double)age + series;
}

static sx_status fill_one(tsdb_appender *a, unsigned series, unsigned k, sx_error *err)
{
    char number[16];
    snprintf(number, sizeof number, "%u", series);
    bool histogram = series >= FILL_SERIES / 2;
    tsdb_label items[] = {{TSDB_METRIC_NAME, histogram ? SX_STR("fill_h") : SX_STR("fill")},
                          {SX_STR("i"), sx_str_z(number)}};
    tsdb_labels labels = {items, 2};
    tsdb_ref ref;
    tsdb_refusal why;
    tsdb_histogram h;
    tsdb_span spans[2];
    double counts[8];
    int64_t t = FILL_FROM + (int64_t)k * FILL_STEP_MS + series;
    sx_status status = a->ops->series(a, labels, tsdb_labels_hash(labels), &ref, &why, err);
    if (status != SX_OK)
        return status;
    if (!histogram)
        return a->ops->sample(a, ref, t, k * (double)(series + 1) / 3, &why, err);
    make_histogram(series, k, spans, counts, &h);
    return a->ops->histogram(a, ref, t, &h, &why, err);
}

/* Every fifth float sample comes when all others are there. */
static int fill(const char *dir)
{
    tsdb_options options = OPTIONS;
    sx_fake_clock clock;
    tsdb *db;
    tsdb_appender *a;
    sx_error err = {0};
    sx_fake_clock_init(&clock, FILL_FROM);
    options.clock = &clock.clock; /* nothing is done in the background */
    if (tsdb_open(dir, &options, &db, &err) != SX_OK ||
        tsdb_appendable_of(db)->appender(tsdb_appendable_of(db), &a, &err) != SX_OK)
        return complain(&err);
    for (unsigned late = 0; late < 2; late++)
        for (unsigned k = 0; k < FILL_SAMPLES; k++) {
            for (unsigned i = 0; i < FILL_SERIES; i++) {
                bool is_late = i < FILL_SERIES / 2 && i % 2 && k % 5 == 0;
                if (is_late == (late != 0) && fill_one(a, i, k, &err) != SX_OK)
                    return complain(&err);
            }
            if (a->ops->commit(a, &err) != SX_OK)
                return complain(&err);
        }
    a->ops->free(a);
    tsdb_close(db);
    return 0;
}

static int maintain(const char *dir)
{
    tsdb_options options = OPTIONS;
    sx_fake_clock clock;
    tsdb *db;
    sx_error err = {0};
    sx_arena arena;
    tsdb_block_info *blocks;
    size_t count;
    sx_fake_clock_init(&clock, FILL_FROM);
    options.clock = &clock.clock;
    sx_arena_init(&arena, 0, 0);
    if (tsdb_open(dir, &options, &db, &err) != SX_OK || tsdb_maintain(db, &err) != SX_OK ||
        tsdb_blocks(db, &arena, &blocks, &count, &err) != SX_OK)
        return complain(&err);
    for (size_t i = 0; i < count; i++)
        printf("%s %" PRId64 " %" PRId64 " level %u samples %" PRIu64 " series %" PRIu64 "\n",
               blocks[i].ulid, blocks[i].min_t, blocks[i].max_t, blocks[i].level, blocks[i].samples,
               blocks[i].series);
    sx_arena_done(&arena);
    tsdb_close(db);
    return 0;
}

typedef struct sample_line {
    char text[128], name[64];
    int64_t t;
    double v;
} sample_line;

static bool read_line(sample_line *l)
{
    return fgets(l->text, sizeof l->text, stdin) &&
           sscanf(l->text, "%63s %" SCNd64 " %lf", l->name, &l->t, &l->v) == 3;
}

static int append(const char *dir)
{
    tsdb_options options = OPTIONS;
    tsdb *db;
    tsdb_appender *a;
    sample_line l;
    sx_error err = {0};
    if (tsdb_open(dir, &options, &db, &err) != SX_OK ||
        tsdb_appendable_of(db)->appender(tsdb_appendable_of(db), &a, &err) != SX_OK)
        return complain(&err);
    while (read_line(&l)) {
        tsdb_label items[] = {{TSDB_METRIC_NAME, sx_str_z(l.name)}};
        tsdb_labels labels = {items, 1};
        tsdb_ref ref;
        tsdb_refusal why;
        if (a->ops->series(a, labels, tsdb_labels_hash(labels), &ref, &why, &err) != SX_OK ||
            a->ops->sample(a, ref, l.t, l.v, &why, &err) != SX_OK ||
            a->ops->commit(a, &err) != SX_OK)
            return complain(&err);
        fputs(l.text, stdout);
        fflush(stdout);
    }
    a->ops->free(a);
    tsdb_close(db);
    return 0;
}

static int verify(const char *dir)
{
    tsdb_options options = OPTIONS;
    tsdb *db;
    tsdb_querier *q;
    sample_line l;
    sx_error err = {0};
    size_t missing = 0, seen = 0;
    options.read_only = true;
    if (tsdb_open(dir, &options, &db, &err) != SX_OK)
        return complain(&err);
    tsdb_queryable *from = tsdb_queryable_of(db);
    if (from->querier(from, INT64_MIN, INT64_MAX, &q, &err) != SX_OK)
        return complain(&err);
    while (read_line(&l)) {
        tsdb_matcher m;
        tsdb_selection found;
        tsdb_columns c;
        sx_arena arena;
        tsdb_hints hints = {.min_t = l.t, .max_t = l.t};
        sx_arena_init(&arena, 0, 0);
        tsdb_columns_init(&c, &arena);
        bool there = tsdb_matcher_init(&m, TSDB_MATCH_EQUAL, TSDB_METRIC_NAME, sx_str_z(l.name),
                                       &err) == SX_OK &&
                     q->ops->select(q, &hints, &m, 1, &arena, &found, NULL, &err) == SX_OK &&
                     found.count == 1 &&
                     q->ops->read(q, &found.items[0], l.t, l.t, &c, &err) == SX_OK &&
                     c.count == 1 && memcmp(&c.v[0], &l.v, sizeof l.v) == 0;
        if (!there && missing++ == 0)
            fprintf(stderr, "tsdb_tool: lost %s", l.text);
        seen++;
        tsdb_columns_done(&c);
        sx_arena_done(&arena);
    }
    q->ops->free(q);
    tsdb_close(db);
    printf("%zu of %zu lost\n", missing, seen);
    return missing != 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const char *path);
    } COMMANDS[] = {{"dump", dump},     {"chunks", chunks}, {"fill", fill},
                    {"append", append}, {"verify", verify}, {"maintain", maintain}};
    for (size_t i = 0; argc == 3 && i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        if (strcmp(argv[1], COMMANDS[i].name) == 0)
            return COMMANDS[i].run(argv[2]);
    fprintf(stderr, "tsdb_tool dump|chunks|fill|maintain|append|verify PATH\n");
    return 2;
}
