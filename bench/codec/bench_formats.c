/* bench_formats.c - CSV, protobuf and decompression throughput, one core.
 *
 * Each figure is the best of several rounds, since a neighbour's load only ever adds time. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <sextant/clock.h>
#include <sextant/compress.h>
#include <sextant/csv.h>
#include <sextant/protobuf.h>
#include <sextant/yaml.h>

enum { ROUNDS = 7, TEXT_BYTES = 32 << 20, CHUNK_BYTES = 256 << 10 };

static uint64_t sink; /* keeps the compiler from dropping what is measured */

static double seconds_since(int64_t start_ns)
{
    return (double)(sx_clock_mono_ns(sx_clock_system()) - start_ns) / 1e9;
}

static int64_t now_ns(void)
{
    return sx_clock_mono_ns(sx_clock_system());
}

static void need(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "bench_formats: %s failed\n", what);
        exit(1);
    }
}

/* Addresses as the Base Adresse Nationale has them, or the same with every field in quotes. */
static sx_buf make_csv(bool quoted)
{
    sx_buf b;
    sx_csv_writer w;
    sx_buf_init(&b, 0);
    sx_csv_writer_init(&w, &b, &(sx_csv_options){.delimiter = ';'});
    w.quote_all = quoted;
    w.lf = true;
    for (uint32_t i = 0; b.len < TEXT_BYTES; i++) {
        char fields[6][40];
        snprintf(fields[0], sizeof(fields[0]), "75101_%04u_%05u", i % 9973, i);
        snprintf(fields[1], sizeof(fields[1]), "%u", i % 311);
        snprintf(fields[2], sizeof(fields[2]), "Avenue de l'Opera no %u", i % 77);
        snprintf(fields[3], sizeof(fields[3]), "%05u", 75000 + i % 20);
        snprintf(fields[4], sizeof(fields[4]), "%.6f", 48.8 + i % 1000 / 1e5);
        snprintf(fields[5], sizeof(fields[5]), "%.6f", 2.3 + i % 1000 / 1e5);
        for (int f = 0; f < 6; f++)
            sx_csv_put(&w, sx_str_z(fields[f]));
        sx_csv_end(&w);
    }
    need(!b.failed, "making CSV");
    return b;
}

static double read_csv(sx_str text)
{
    sx_csv_reader *r = sx_csv_reader_new(&(sx_csv_options){.delimiter = ';'}, NULL);
    need(r != NULL, "a CSV reader");
    double best = INFINITY;
    for (int round = 0; round < ROUNDS; round++) {
        sx_str rest = text;
        sx_csv_record record;
        sx_csv_reader_reset(r);
        int64_t start = now_ns();
        while (rest.len) {
            sx_csv_feed(r, sx_str_first(rest, CHUNK_BYTES));
            rest = sx_str_from(rest, CHUNK_BYTES);
            while (sx_csv_next(r, &record, NULL) == SX_OK)
                sink += record.fields[record.count - 1].len;
        }
        best = fmin(best, seconds_since(start));
        need(sink > 0, "reading CSV");
    }
    sx_csv_reader_free(r);
    return best;
}

static void bench_csv(void)
{
    for (int quoted = 0; quoted < 2; quoted++) {
        sx_buf text = make_csv(quoted);
        printf("csv_read_%s %.0f MB/s\n", quoted ? "quoted" : "plain",
               (double)text.len / 1e6 / read_csv(sx_buf_view(&text)));
        sx_buf_done(&text);
    }
}

enum { SERIES = 5000, LABELS = 6 };

/* A remote-write request: SERIES series of LABELS labels and one sample each. */
static void write_request(sx_buf *b)
{
    static const sx_str NAMES[LABELS] = {SX_STR_INIT("__name__"), SX_STR_INIT("instance"),
                                         SX_STR_INIT("job"),      SX_STR_INIT("method"),
                                         SX_STR_INIT("path"),     SX_STR_INIT("code")};
    for (int i = 0; i < SERIES; i++) {
        size_t series = sx_pb_begin(b, 1);
        for (int l = 0; l < LABELS; l++) {
            size_t label = sx_pb_begin(b, 1);
            sx_pb_put_str(b, 1, NAMES[l]);
            sx_pb_put_str(b, 2, SX_STR("http_requests_total"));
            sx_pb_end(b, label);
        }
        size_t sample = sx_pb_begin(b, 2);
        sx_pb_put_double(b, 1, i);
        sx_pb_put_i64(b, 2, 1700000000000 + i);
        sx_pb_end(b, sample);
        sx_pb_end(b, series);
    }
}

static uint64_t read_pairs(sx_pb_reader *r)
{
    uint64_t sum = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
        case SX_PB_TAG(2, SX_PB_BYTES):
            sum += sx_pb_bytes(r).len;
            break;
        case SX_PB_TAG(1, SX_PB_FIXED64):
            sum += sx_pb_fixed64(r);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            sum += sx_pb_varint(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    return sum;
}

static uint64_t read_request(sx_str bytes)
{
    sx_pb_reader r;
    uint64_t sum = 0;
    sx_pb_init(&r, bytes);
    while (sx_pb_next(&r)) {
        sx_pb_outer outer = sx_pb_enter(&r);
        while (sx_pb_next(&r))
            sum += read_pairs(&r);
        sx_pb_leave(&r, outer);
    }
    need(sx_pb_status(&r, "request", NULL) == SX_OK, "reading protobuf");
    return sum;
}

static void bench_protobuf(void)
{
    /* A series, its labels with two strings each, and its sample with two numbers. */
    const double fields = (double)SERIES * (1 + LABELS * 3 + 3);
    double read_best = INFINITY, write_best = INFINITY;
    sx_buf b;
    sx_buf_init(&b, 0);
    for (int round = 0; round < ROUNDS * 5; round++) {
        sx_buf_clear(&b);
        int64_t start = now_ns();
        write_request(&b);
        write_best = fmin(write_best, seconds_since(start));
        start = now_ns();
        sink += read_request(sx_buf_view(&b));
        read_best = fmin(read_best, seconds_since(start));
    }
    printf("protobuf_read_field %.2f ns\n", read_best * 1e9 / fields);
    printf("protobuf_write_field %.2f ns\n", write_best * 1e9 / fields);
    printf("protobuf_read_sample_with_labels %.1f ns\n", read_best * 1e9 / SERIES);
    sx_buf_done(&b);
}

static void bench_decompress(void)
{
    static const struct {
        sx_codec codec;
        const char *name;
    } CODECS[] = {{SX_CODEC_GZIP, "gzip"},
                  {SX_CODEC_ZSTD, "zstd"},
                  {SX_CODEC_BROTLI, "brotli"},
                  {SX_CODEC_SNAPPY, "snappy"},
                  {SX_CODEC_SNAPPY_FRAMED, "snappy_framed"}};
    sx_buf text = make_csv(false);
    for (size_t c = 0; c < SX_COUNT_OF(CODECS); c++) {
        sx_buf small, out;
        double best = INFINITY;
        sx_buf_init(&small, 0);
        sx_buf_init(&out, 0);
        need(sx_compress(CODECS[c].codec, sx_buf_view(&text), SX_LEVEL_DEFAULT, &small, NULL) ==
                 SX_OK,
             "compressing");
        for (int round = 0; round < 3; round++) {
            sx_buf_clear(&out);
            int64_t start = now_ns();
            need(sx_decompress(CODECS[c].codec, sx_buf_view(&small), 0, &out, NULL) == SX_OK,
                 "decompressing");
            best = fmin(best, seconds_since(start));
        }
        printf("decode_%s %.0f MB/s\n", CODECS[c].name, (double)text.len / 1e6 / best);
        sx_buf_done(&small);
        sx_buf_done(&out);
    }
    sx_buf_done(&text);
}

static void bench_yaml(void)
{
    sx_buf text;
    double best = INFINITY;
    sx_buf_init(&text, 0);
    sx_buf_str(&text, SX_STR("groups:\n"));
    for (int i = 0; i < 2000; i++)
        sx_buf_printf(&text,
                      "- name: group%d\n  rules:\n  - alert: Down%d\n    expr: up == 0\n"
                      "    for: 5m\n    labels: {severity: page, team: \"a b\"}\n",
                      i, i);
    for (int round = 0; round < ROUNDS; round++) {
        sx_arena arena;
        sx_yaml_file file;
        sx_arena_init(&arena, 65536, 0);
        int64_t start = now_ns();
        need(sx_yaml_parse(sx_buf_view(&text), SX_STR("bench"), NULL, &arena, &file, NULL) == SX_OK,
             "parsing YAML");
        best = fmin(best, seconds_since(start));
        sx_arena_done(&arena);
    }
    printf("yaml_parse %.1f MB/s\n", (double)text.len / 1e6 / best);
    sx_buf_done(&text);
}

int main(void)
{
    bench_csv();
    bench_protobuf();
    bench_decompress();
    bench_yaml();
    return sink == 0;
}
