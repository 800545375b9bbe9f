/* bench_remote.c - what a sample costs that arrives by remote write, from the compressed request to
 * the log and the head.
 *
 *   bench_remote [SERIES [ROUNDS [FOLDER]]]      200000 series, 20 rounds, a folder under /tmp
 *
 * Series are like those of bench_tsdb; a request has 2,000 samples of as many series, as Prometheus
 * sends them. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sextant/compress.h>
#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "observe/remote/remote.h"
#include "observe/tsdb/db.h"

enum { PER_INSTANCE = 1000, PER_REQUEST = 2000, STEP_MS = 15000, LABELS = 8 };

static void check(sx_status status, const sx_error *err)
{
    if (status == SX_OK)
        return;
    fprintf(stderr, "bench_remote: %s\n", err->message);
    exit(1);
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print(const char *name, double value, const char *unit)
{
    printf("%-28s %12.1f %s\n", name, value, unit);
    fflush(stdout);
}

typedef struct texts {
    char metric[64], instance[64], device[32], cpu[8];
} texts;

static void labels_of(size_t i, texts *s, tsdb_label out[LABELS])
{
    size_t host = i / PER_INSTANCE, n = i % PER_INSTANCE;
    snprintf(s->metric, sizeof s->metric, "node_metric_number_%zu_total", n / 8);
    snprintf(s->instance, sizeof s->instance, "host-%zu.example.org:9100", host);
    snprintf(s->device, sizeof s->device, "dev%zu", n % 4);
    snprintf(s->cpu, sizeof s->cpu, "%zu", n % 8);
    tsdb_label items[LABELS] = {
        {TSDB_METRIC_NAME, sx_str_z(s->metric)},
        {SX_STR("cluster"), SX_STR("eu-west-1")},
        {SX_STR("cpu"), sx_str_z(s->cpu)},
        {SX_STR("device"), sx_str_z(s->device)},
        {SX_STR("env"), SX_STR("production")},
        {SX_STR("instance"), sx_str_z(s->instance)},
        {SX_STR("job"), SX_STR("node")},
        {SX_STR("mode"), n % 2 ? SX_STR("user") : SX_STR("system")},
    };
    memcpy(out, items, sizeof items);
}

static uint64_t state = 88172645463325252u;

static double value_of(size_t i, size_t round)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return i % 5 < 2   ? (double)i
           : i % 5 < 4 ? (double)(round * 1000 + i)
                       : (double)(state % 1000000) / 1000;
}

static void put_sample(sx_buf *b, size_t i, size_t round, int64_t t)
{
    size_t mark = sx_pb_begin(b, 2);
    sx_pb_put_double(b, 1, value_of(i, round));
    sx_pb_put_i64(b, 2, t);
    sx_pb_end(b, mark);
}

static void make_v1(sx_buf *b, size_t first, size_t count, size_t round, int64_t t)
{
    for (size_t i = first; i < first + count; i++) {
        texts s;
        tsdb_label labels[LABELS];
        labels_of(i, &s, labels);
        size_t mark = sx_pb_begin(b, 1);
        for (unsigned l = 0; l < LABELS; l++) {
            size_t label = sx_pb_begin(b, 1);
            sx_pb_put_str(b, 1, labels[l].name);
            sx_pb_put_str(b, 2, labels[l].value);
            sx_pb_end(b, label);
        }
        put_sample(b, i, round, t);
        sx_pb_end(b, mark);
    }
}

/* Symbols are not shared here but for those of the same series' neighbours: a sender's table has each
 * once; what the receiver does with them is the same. */
static void make_v2(sx_buf *b, size_t first, size_t count, size_t round, int64_t t)
{
    static char text[PER_REQUEST * LABELS][64];
    static uint32_t refs[PER_REQUEST][LABELS * 2];
    uint32_t symbols = 1;
    static sx_str known[PER_REQUEST * LABELS];
    sx_pb_put_str(b, 4, SX_STR(""));
    for (size_t i = 0; i < count; i++) {
        texts s;
        tsdb_label labels[LABELS];
        labels_of(first + i, &s, labels);
        for (unsigned l = 0; l < 2 * LABELS; l++) {
            sx_str word = l % 2 ? labels[l / 2].value : labels[l / 2].name;
            uint32_t at = 1;
            while (at < symbols && !sx_str_eq(known[at], word))
                at++;
            if (at == symbols) {
                memcpy(text[at], word.data, word.len);
                known[at] = sx_str_of(text[at], word.len);
                sx_pb_put_str(b, 4, word);
                symbols++;
            }
            refs[i][l] = at;
        }
    }
    for (size_t i = 0; i < count; i++) {
        size_t mark = sx_pb_begin(b, 5);
        size_t list = sx_pb_begin(b, 1);
        for (unsigned l = 0; l < 2 * LABELS; l++)
            sx_pb_add_varint(b, refs[i][l]);
        sx_pb_end(b, list);
        put_sample(b, first + i, round, t);
        sx_pb_end(b, mark);
    }
}

/* Gauges of one resource, a metric of one point a series: no attribute is shared, as in remote write. */
static void make_otlp(sx_buf *b, size_t first, size_t count, size_t round, int64_t t)
{
    size_t resource = sx_pb_begin(b, 1), scope = sx_pb_begin(b, 2);
    for (size_t i = first; i < first + count; i++) {
        texts s;
        tsdb_label labels[LABELS];
        labels_of(i, &s, labels);
        size_t metric = sx_pb_begin(b, 2);
        sx_pb_put_str(b, 1, labels[0].value);
        size_t gauge = sx_pb_begin(b, 5), point = sx_pb_begin(b, 1);
        sx_pb_put_fixed64(b, 3, (uint64_t)t * 1000000);
        sx_pb_put_double(b, 4, value_of(i, round));
        for (unsigned l = 1; l < LABELS; l++) {
            size_t pair = sx_pb_begin(b, 7);
            sx_pb_put_str(b, 1, labels[l].name);
            size_t value = sx_pb_begin(b, 2);
            sx_pb_put_str(b, 1, labels[l].value);
            sx_pb_end(b, value);
            sx_pb_end(b, pair);
        }
        sx_pb_end(b, point);
        sx_pb_end(b, gauge);
        sx_pb_end(b, metric);
    }
    sx_pb_end(b, scope);
    sx_pb_end(b, resource);
}

static sx_status write_otlp(remote_writer *w, sx_str body, remote_written *out, sx_error *err)
{
    static const prom_otlp_config CONFIG = {.name_sanitization = true, .keep_underscores = true};
    remote_otlp_result result = {0};
    sx_status status = remote_otlp_metrics(w, &CONFIG, body, false, &result, err);
    out->samples = result.accepted;
    return status;
}

typedef struct protocol {
    const char *name;
    void (*make)(sx_buf *b, size_t first, size_t count, size_t round, int64_t t);
    sx_status (*write)(remote_writer *w, sx_str body, remote_written *out, sx_error *err);
    bool plain; /* not compressed */
} protocol;

static void run(const protocol *p, tsdb *db, size_t series, size_t rounds, int64_t t)
{
    sx_buf plain, packed;
    sx_error err;
    remote_writer *w;
    double cpu = 0, first_cpu = 0;
    uint64_t bytes = 0, samples = 0;
    sx_buf_init(&plain, 0);
    sx_buf_init(&packed, 0);
    check(remote_writer_new(tsdb_appendable_of(db), NULL, &w, &err), &err);
    for (size_t round = 0; round < rounds; round++, t += STEP_MS)
        for (size_t first = 0; first < series; first += PER_REQUEST) {
            size_t count = series - first < PER_REQUEST ? series - first : PER_REQUEST;
            remote_written out = {0};
            sx_buf_clear(&plain);
            sx_buf_clear(&packed);
            p->make(&plain, first, count, round, t);
            check(
                sx_compress(SX_CODEC_SNAPPY, sx_buf_view(&plain), SX_LEVEL_DEFAULT, &packed, &err),
                &err);
            sx_str body = sx_buf_view(p->plain ? &plain : &packed);
            double begin = cpu_seconds();
            check(p->write(w, body, &out, &err), &err);
            double took = cpu_seconds() - begin;
            if (round == 0) {
                first_cpu += took;
                continue;
            }
            cpu += took;
            samples += out.samples;
            bytes += body.len;
        }
    printf("%s\n", p->name);
    print("  first samples of series", first_cpu * 1e9 / (double)series, "ns/sample");
    print("  sample", cpu * 1e9 / (double)samples, "ns/sample");
    print("  compressed", (double)bytes / (double)samples, "bytes/sample");
    remote_writer_free(w);
    sx_buf_done(&plain);
    sx_buf_done(&packed);
}

int main(int argc, char **argv)
{
    static const protocol PROTOCOLS[] = {{"remote write 1.0", make_v1, remote_write_v1, false},
                                         {"remote write 2.0", make_v2, remote_write_v2, false},
                                         {"OTLP", make_otlp, write_otlp, true}};
    size_t series = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 20;
    sx_error err;
    for (unsigned i = 0; i < 3; i++) {
        char made[64], command[128];
        snprintf(made, sizeof made, "%s/bench-remote-XXXXXX", argc > 3 ? argv[3] : "/tmp");
        if (!mkdtemp(made))
            return 1;
        tsdb *db;
        tsdb_options options = {.retention_ms = INT64_MAX};
        check(tsdb_open(made, &options, &db, &err), &err);
        run(&PROTOCOLS[i], db, series, rounds,
            sx_clock_ms(sx_clock_system()) - (int64_t)(rounds * STEP_MS));
        tsdb_close(db);
        snprintf(command, sizeof command, "rm -rf '%s'", made);
        if (system(command) != 0)
            return 1;
    }
    return 0;
}
